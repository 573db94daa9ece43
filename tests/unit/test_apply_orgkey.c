/* Another organisation key at the broker: which directories bring one, what it is good for, what the old one is still good for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/strict.h"
#include "tests/unit/world.h"

#define A 1
#define B 2
#define C 3
#define TO_A 2u
#define TO_B 4u

static struct world w;
static struct fixed_sign first, next;
static uint8_t nda_id[32];

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, B);
	world_agree(&w, TO_A | TO_B, nda_id);
	first = w.orgs[A].key;
	fixed_sign_key(&next, "the next key");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

/* Signed OrgKey of A. */
static struct bytes link_by(const struct fixed_sign *from, const struct fixed_sign *to, const struct fixed_sign *signer)
{
	Rk__OrgKey k = RK__ORG_KEY__INIT;

	k.version = 1;
	k.org_id = pb_of(bytes_make(w.orgs[A].id, 16));
	k.old_pk = pb_of(bytes_make(from->pk, 32));
	k.new_pk = pb_of(bytes_make(to->pk, 32));
	k.time = w.now_ms;
	return world_sign(&w, OBJECT_KIND_ORG_KEY, signer, &k.base);
}

static size_t index_of(const Rk__Directory *d, int org)
{
	for (size_t i = 0; i < d->n_orgs; i++)
		if (memcmp(d->orgs[i]->org_id.data, w.orgs[org].id, 16) == 0)
			return i;
	fail();
	return 0;
}

static Rk__Org *row_of(Rk__Directory *d, int org)
{
	return d->orgs[index_of(d, org)];
}

/* The next directory, in which A has this key by this link (empty: none) over the row `before` (NULL: the plain one). */
static Rk__Directory *directory_with(const Rk__Org *before, const struct fixed_sign *key, struct bytes link)
{
	Rk__Directory *d = world_directory(&w);
	Rk__Org *row = row_of(d, A), changed;

	if (before) {
		row->ext = before->ext;
		row->n_ext = before->n_ext;
		row->org_pk = before->org_pk;
	}
	assert_int_equal(orgkey_replace(row, key->pk, link, w.arena, &changed), RK_OK);
	*row = changed;
	return d;
}

static int replace(const struct fixed_sign *to, struct bytes link)
{
	return world_put_directory(&w, directory_with(NULL, to, link));
}

static int disclose(int from, int to)
{
	uint8_t env_id[32];

	return world_disclose(&w, RK__KIND__NDA, from, 1u << to, nda_id, env_id);
}

static int act_by(const struct fixed_sign *key, Rk__ActKind kind)
{
	struct fixed_sign was = w.orgs[A].key;
	int code;

	w.orgs[A].key = *key;
	w.now_ms++;
	code = world_do_act(&w, A, nda_id, kind);
	w.orgs[A].key = was;
	return code;
}

static void by_its_own_word_all_goes_on(void **state)
{
	struct rows_org row;
	struct rows_line line;
	uint8_t fp[32], waiting[32];
	(void)state;

	assert_int_equal(disclose(A, B), RK_OK);
	assert_int_equal(replace(&next, link_by(&first, &next, &first)), RK_OK);
	ids_sha256(fp, BYTES_OF(first.pk));
	struct txn *t;
	assert_int_equal(env_begin(w.env, false, &t), RK_OK);
	assert_int_equal(rows_get_org(t, w.orgs[A].id, &row), RK_OK);
	assert_int_equal(rows_get_line(t, w.orgs[A].id, &line), RK_OK);
	assert_true(rows_has_key(t, first.pk) && rows_has_key(t, next.pk));
	env_abort(t);
	assert_memory_equal(row.org_pk, next.pk, 32);
	assert_int_equal(line.count, 1);
	assert_memory_equal(line.fp[0], fp, 32);

	assert_int_equal(disclose(A, B), RK_OK);
	assert_int_equal(disclose(B, A), RK_OK);
	/* A proposal that was on its way meanwhile and names the key before. */
	assert_int_equal(world_propose(&w, B, world_terms(&w, TO_A | TO_B), waiting), RK_OK);
	/* The key of now acts, the one of before no more. */
	assert_int_equal(act_by(&first, RK__ACT_KIND__TERMINATE), RK_BAD_SIGNATURE);
	assert_int_equal(act_by(&next, RK__ACT_KIND__TERMINATE), RK_OK);
	/* All of it also after a start from the store, and as a replay. */
	world_restart(&w);
	assert_int_equal(act_by(&first, RK__ACT_KIND__RESUME), RK_BAD_SIGNATURE);
}

static void without_it_all_is_suspended(void **state)
{
	uint8_t waiting[32], again[32];
	(void)state;

	assert_int_equal(world_disclose(&w, RK__KIND__NDA, B, TO_A, nda_id, waiting), RK_OK);
	assert_int_equal(replace(&next, (struct bytes){0}), RK_OK);
	assert_int_equal(disclose(A, B), RK_NDA_SUSPENDED);
	assert_int_equal(disclose(B, A), RK_NDA_SUSPENDED);
	assert_int_equal(world_pickup(&w, A, 0, nda_id, waiting), RK_NDA_SUSPENDED);
	assert_int_equal(act_by(&first, RK__ACT_KIND__TERMINATE), RK_BAD_SIGNATURE);
	/* What stops is possible; and what is made anew names the key of now. */
	assert_int_equal(world_do_act(&w, A, nda_id, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(act_by(&next, RK__ACT_KIND__RESUME), RK_OK);
	assert_int_equal(disclose(B, A), RK_NDA_SUSPENDED);
	assert_int_equal(world_propose(&w, B, world_terms(&w, TO_A | TO_B), again), RK_STALE_DIRECTORY);
	w.orgs[A].key = next;
	world_agree(&w, TO_A | TO_B, again);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, B, TO_A, again, waiting), RK_OK);
	assert_int_equal(act_by(&next, RK__ACT_KIND__TERMINATE), RK_OK);
}

/* A proposal that names the old key can be signed by the one that it has named, and by no other. */
static void what_waits_for_a_signature(void **state)
{
	uint8_t linked[32], lost[32];
	struct fixed_sign third;
	Rk__Org *row;
	(void)state;

	fixed_sign_key(&third, "a third key");
	assert_int_equal(world_propose(&w, B, world_terms(&w, TO_A | TO_B), linked), RK_OK);
	assert_int_equal(world_propose(&w, B, world_terms(&w, TO_A | TO_B), lost), RK_OK);
	Rk__Directory *d = directory_with(NULL, &next, link_by(&first, &next, &first));
	assert_int_equal(world_put_directory(&w, d), RK_OK);
	row = row_of(d, A);
	assert_int_equal(world_do_act(&w, A, linked, RK__ACT_KIND__ACCEPT), RK_BAD_SIGNATURE);
	w.orgs[A].key = next;
	assert_int_equal(world_do_act(&w, A, linked, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_int_equal(world_put_directory(&w, directory_with(row, &third, (struct bytes){0})), RK_OK);
	w.orgs[A].key = third;
	assert_int_equal(world_do_act(&w, A, lost, RK__ACT_KIND__ACCEPT), RK_NDA_SUSPENDED);
	assert_int_equal(world_do_act(&w, A, lost, RK__ACT_KIND__REJECT), RK_OK);
}

/* The standing list is the one that the old key signed, until the new one signs the next. */
static void lists_go_on(void **state)
{
	(void)state;
	assert_int_equal(replace(&next, (struct bytes){0}), RK_OK);
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_BAD_SIGNATURE);
	w.orgs[A].key = next;
	assert_int_equal(world_put_devices(&w, A, 0, world_devices(&w, A)), RK_OK);
	assert_int_equal(world_post(&w, A, RK__CHANNEL__NEED, RK__POST_OP__NEW, 0, 1), RK_OK);
}

/* ---- what no directory may do; nothing is changed by any of them */

static Rk__Directory *by_new_key(void) { return directory_with(NULL, &next, link_by(&first, &next, &next)); }
static Rk__Directory *by_other_member(void) { return directory_with(NULL, &next, link_by(&first, &next, &w.orgs[B].key)); }
static Rk__Directory *from_other_key(void) { return directory_with(NULL, &next, link_by(&w.orgs[B].key, &next, &w.orgs[B].key)); }
static Rk__Directory *to_other_key(void) { return directory_with(NULL, &next, link_by(&first, &w.orgs[B].key, &first)); }
static Rk__Directory *key_of_member(void) { return directory_with(NULL, &w.orgs[B].key, link_by(&first, &w.orgs[B].key, &first)); }
static Rk__Directory *key_of_charter(void) { return directory_with(NULL, &w.f.secretariat, link_by(&first, &w.f.secretariat, &first)); }
static Rk__Directory *key_of_device(void)
{
	return directory_with(NULL, &w.orgs[B].devices[0].sign, link_by(&first, &w.orgs[B].devices[0].sign, &first));
}

/* Of an invite that waits: a key that was seen once is never taken again. */
static Rk__Directory *key_that_waits(void)
{
	assert_int_equal(world_put_invite(&w, world_invite(&w, C)), RK_OK);
	assert_int_equal(world_put_enrol(&w, C, world_enrol(&w, C)), RK_OK);
	return directory_with(NULL, &w.orgs[C].key, link_by(&first, &w.orgs[C].key, &first));
}

static Rk__Directory *to_itself(void)
{
	Rk__Directory *d = directory_with(NULL, &next, link_by(&first, &next, &first));

	row_of(d, A)->org_pk = world_copy(&w, first.pk, 32);
	return d;
}

static Rk__Directory *link_alone(void)
{
	Rk__Directory *d = directory_with(NULL, &first, link_by(&next, &first, &next));

	return d;
}

static Rk__Directory *expelled(void)
{
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__EXPELLED), RK_OK);
	return directory_with(NULL, &next, link_by(&first, &next, &first));
}

static Rk__Directory *with_expulsion(void)
{
	Rk__Directory *d = directory_with(NULL, &next, link_by(&first, &next, &first));

	row_of(d, A)->status = RK__ORG_STATUS__EXPELLED;
	return d;
}

static Rk__Directory *back_again(void)
{
	struct fixed_sign third;
	Rk__Directory *d = directory_with(NULL, &next, (struct bytes){0});

	fixed_sign_key(&third, "a third key");
	assert_int_equal(world_put_directory(&w, d), RK_OK);
	return directory_with(row_of(d, A), &first, (struct bytes){0});
}

static void defects_are_refused_without_a_trace(void **state)
{
	static const struct {
		const char *name;
		Rk__Directory *(*make)(void);
		int code;
	} rows[] = {
		{"signed by the new key", by_new_key, RK_BAD_SIGNATURE}, {"signed by another member", by_other_member, RK_BAD_SIGNATURE},
		{"from another key", from_other_key, RK_MALFORMED}, {"to another key", to_other_key, RK_MALFORMED},
		{"key of a member", key_of_member, RK_MALFORMED}, {"key of the charter", key_of_charter, RK_MALFORMED},
		{"key of a device", key_of_device, RK_CONFLICT}, {"key that waits", key_that_waits, RK_CONFLICT},
		{"no change but a link", link_alone, RK_CONFLICT}, {"to itself", to_itself, RK_MALFORMED},
		{"expelled", expelled, RK_CONFLICT}, {"expelled with it", with_expulsion, RK_CONFLICT}, {"back again", back_again, RK_CONFLICT},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Rk__Directory *d;
		uint64_t log_size;
		int code;

		if (i > 0) {
			world_close(&w);
			set_up(NULL);
		}
		d = rows[i].make();
		log_size = apply_log_size(w.apply);
		code = world_put_directory(&w, d);
		if (code != rows[i].code)
			fail_msg("%s: %s", rows[i].name, errcode_name(code));
		assert_true(apply_log_size(w.apply) == log_size);
	}
}

/* Suspended members may have another key: it may be the reason for it. */
static void a_suspended_member_may(void **state)
{
	(void)state;
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__SUSPENDED), RK_OK);
	assert_int_equal(replace(&next, link_by(&first, &next, &first)), RK_OK);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(by_its_own_word_all_goes_on), TEST(without_it_all_is_suspended), TEST(what_waits_for_a_signature), TEST(lists_go_on),
		TEST(defects_are_refused_without_a_trace), TEST(a_suspended_member_may),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
