/* orgkey: links between the keys of an organisation: their form, their signatures, what may follow on what, and the request's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/orgkey.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/fixed_kit.h"

#define KEYS 12
#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

static struct fixed f;
static struct arena *arena;
static struct fixed_sign keys[KEYS]; /* of org 1, oldest first; keys[0] is the kit's */

static int set_up(void **state)
{
	(void)state;
	fixed_init(&f);
	arena = arena_new(4 << 20);
	keys[0] = f.orgs[1].org;
	for (int i = 1; i < KEYS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "key %d", i);
		fixed_sign_key(&keys[i], name);
	}
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	arena_reset(arena, 4 << 20);
	return 0;
}

/* Signed OrgKey from one key to another, by `signer`. */
static struct bytes link_by(const struct fixed_sign *from, const struct fixed_sign *to, const struct fixed_sign *signer)
{
	Rk__OrgKey *k = fixed_org_key(&f, 1, to, arena);
	struct bytes wire;

	k->old_pk = pb_of(bytes_make(arena_copy(arena, from->pk, 32), 32));
	assert_int_equal(object_make(OBJECT_KIND_ORG_KEY, f.exchange_id, signer->sk, &k->base, arena, &wire), RK_OK);
	return wire;
}

static struct bytes link_of(int from, int to)
{
	return link_by(&keys[from], &keys[to], &keys[from]);
}

/* The row of org 1 under keys[0]. */
static const Rk__Org *first(void)
{
	return fixed_directory(&f, arena)->orgs[1];
}

static const Rk__Org *replaced(const Rk__Org *row, int to, struct bytes link)
{
	Rk__Org *next = fixed_alloc(arena, sizeof(*next));

	assert_int_equal(orgkey_replace(row, keys[to].pk, link, arena, next), RK_OK);
	return next;
}

/* From keys[0] to keys[n], each by the one before. */
static const Rk__Org *chain(int n)
{
	const Rk__Org *row = first();

	for (int i = 0; i < n; i++)
		row = replaced(row, i + 1, link_of(i, i + 1));
	return row;
}

static Rk__Directory *with_row(const Rk__Org *row)
{
	Rk__Directory *d = fixed_directory(&f, arena);

	d->orgs[1] = (Rk__Org *)(uintptr_t)row;
	return d;
}

static bool counts(const Rk__Org *row, int key)
{
	uint8_t fp[32];

	ids_sha256(fp, BYTES_OF(keys[key].pk));
	return orgkey_counts(row, fp);
}

static void a_line_grows_and_forgets_its_oldest(void **state)
{
	struct orgkey_line line;
	(void)state;

	for (int n = 0; n < KEYS; n++) {
		const Rk__Org *row = chain(n);
		size_t want = n < ORGKEY_LINKS_MAX ? (size_t)n : ORGKEY_LINKS_MAX;

		assert_int_equal(orgkey_read(row, &line), RK_OK);
		assert_int_equal(line.count, want);
		for (size_t i = 0; i < want; i++)
			assert_memory_equal(line.pk[i], keys[n - 1 - (int)i].pk, 32);
		for (int k = 0; k < KEYS; k++)
			assert_int_equal(counts(row, k), k <= n && n - k <= ORGKEY_LINKS_MAX);
		assert_int_equal(orgkey_verify(with_row(row), NULL, f.exchange_id), RK_OK);
	}
	/* Lost: whatever there was ends. */
	assert_int_equal(orgkey_read(replaced(chain(3), 5, (struct bytes){0}), &line), RK_OK);
	assert_int_equal(line.count, 0);
}

static void other_extensions_stay(void **state)
{
	Rk__Ext other = RK__EXT__INIT, *list[1] = {&other};
	Rk__Org row = *first();
	const Rk__Org *next;
	(void)state;

	other.id = 40;
	row.ext = list;
	row.n_ext = 1;
	next = replaced(replaced(&row, 1, link_of(0, 1)), 2, link_of(1, 2));
	assert_int_equal(next->n_ext, 3);
	assert_int_equal(next->ext[2]->id, 40);
	next = replaced(next, 3, (struct bytes){0});
	assert_int_equal(next->n_ext, 1);
	assert_int_equal(next->ext[0]->id, 40);
}

/* ---- form and signature of a link */

static struct bytes bad_by_new(void) { return link_by(&keys[0], &keys[1], &keys[1]); }
static struct bytes bad_by_other(void) { return link_by(&keys[0], &keys[1], &f.orgs[2].org); }
static struct bytes bad_to_other(void) { return link_by(&keys[0], &keys[2], &keys[0]); }
static struct bytes bad_from_itself(void) { return link_by(&keys[1], &keys[1], &keys[1]); }
static struct bytes bad_bytes(void) { return bytes_str("no link at all"); }

static struct bytes bad_org(void)
{
	Rk__OrgKey *k = fixed_org_key(&f, 1, &keys[1], arena);
	struct bytes wire;

	k->org_id = pb_of(bytes_make(f.orgs[2].org_id, 16));
	assert_int_equal(object_make(OBJECT_KIND_ORG_KEY, f.exchange_id, keys[0].sk, &k->base, arena, &wire), RK_OK);
	return wire;
}

static struct bytes bad_exchange(void)
{
	Rk__OrgKey *k = fixed_org_key(&f, 1, &keys[1], arena);
	uint8_t other[32] = {1};
	struct bytes wire;

	assert_int_equal(object_make(OBJECT_KIND_ORG_KEY, other, keys[0].sk, &k->base, arena, &wire), RK_OK);
	return wire;
}

static void a_link_is_what_it_says(void **state)
{
	static const struct {
		struct bytes (*make)(void);
		int form, signature;
	} rows[] = {
		{bad_by_new, RK_OK, RK_BAD_SIGNATURE}, {bad_by_other, RK_OK, RK_BAD_SIGNATURE}, {bad_exchange, RK_OK, RK_BAD_SIGNATURE},
		{bad_to_other, RK_MALFORMED, 0}, {bad_from_itself, RK_MALFORMED, 0}, {bad_bytes, RK_MALFORMED, 0}, {bad_org, RK_MALFORMED, 0},
	};
	struct trust_prev none = {0};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const Rk__Org *row = replaced(first(), 1, rows[i].make());
		struct orgkey_line line;
		int r = orgkey_read(row, &line);

		if (r != rows[i].form)
			fail_msg("row %zu: %s", i, errcode_name(r));
		if (r == RK_OK)
			assert_int_equal(orgkey_verify(with_row(row), NULL, f.exchange_id), rows[i].signature);
		else
			assert_int_equal(trust_check_directory(with_row(row), fixed_charter(&f, arena), none, NULL), RK_MALFORMED);
	}
}

/* A gap in the numbers, a key that comes twice, a key that is another member's, links of the first directory and of a newcomer. */
static void a_line_is_whole_and_its_own(void **state)
{
	const Rk__Org *two = chain(2);
	struct trust_prev none = {0}, prev = {.serial = 4};
	Rk__Directory *old = fixed_directory(&f, arena), *d;
	struct orgkey_line line;
	Rk__Org gap = *two, *newcomer;
	(void)state;

	gap.ext++;
	gap.n_ext = 1;
	assert_int_equal(orgkey_read(&gap, &line), RK_MALFORMED);
	assert_int_equal(orgkey_read(replaced(two, 0, link_of(2, 0)), &line), RK_MALFORMED);

	fixed_bytes(prev.oh, 32, "the past");
	d = with_row(replaced(first(), 1, link_of(0, 1)));
	d->serial = 5;
	d->prev_oh = fixed_data(arena, 32, "the past");
	old->serial = 4;
	assert_int_equal(trust_check_directory(d, fixed_charter(&f, arena), prev, old), RK_OK);
	d->orgs[2]->org_pk = pb_of(BYTES_OF(keys[0].pk));
	assert_int_equal(trust_check_directory(d, fixed_charter(&f, arena), prev, NULL), RK_MALFORMED);

	d = with_row(replaced(first(), 1, link_of(0, 1)));
	assert_int_equal(trust_check_directory(d, fixed_charter(&f, arena), none, NULL), RK_CONFLICT);
	d->serial = 5;
	d->prev_oh = fixed_data(arena, 32, "the past");
	newcomer = old->orgs[1];
	old->orgs[1] = old->orgs[2];
	old->n_orgs = 2;
	assert_int_equal(trust_check_directory(d, fixed_charter(&f, arena), prev, old), RK_CONFLICT);
	d->orgs[1] = newcomer;
	assert_int_equal(trust_check_directory(d, fixed_charter(&f, arena), prev, old), RK_OK);
}

/* ---- from one directory to another */

static const Rk__Org *c_same(void) { return chain(2); }
static const Rk__Org *c_next(void) { return chain(3); }
static const Rk__Org *c_lost(void) { return replaced(chain(2), 5, (struct bytes){0}); }
static const Rk__Org *c_after_lost(void) { return replaced(c_lost(), 6, link_of(5, 6)); }
static const Rk__Org *c_two_on(void) { return chain(4); }
static const Rk__Org *c_unlinked(void) { Rk__Org *o = fixed_alloc(arena, sizeof(*o)); *o = *chain(2); o->n_ext = 0; return o; }
static const Rk__Org *c_shorter(void) { Rk__Org *o = fixed_alloc(arena, sizeof(*o)); *o = *chain(3); o->n_ext = 2; return o; }
static const Rk__Org *c_invented(void) { return replaced(replaced(first(), 2, link_of(0, 2)), 3, link_of(2, 3)); }
static const Rk__Org *c_other_line(void) { return replaced(replaced(first(), 7, (struct bytes){0}), 3, link_of(7, 3)); }

static void what_may_follow(void **state)
{
	static const struct {
		const Rk__Org *(*make)(void);
		int next, later;
	} rows[] = {
		{c_same, RK_OK, RK_OK}, {c_next, RK_OK, RK_OK}, {c_lost, RK_OK, RK_OK}, {c_after_lost, RK_CONFLICT, RK_OK},
		{c_two_on, RK_CONFLICT, RK_OK}, {c_unlinked, RK_CONFLICT, RK_CONFLICT}, {c_shorter, RK_CONFLICT, RK_CONFLICT},
		{c_invented, RK_CONFLICT, RK_CONFLICT}, {c_other_line, RK_CONFLICT, RK_OK},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int next = orgkey_check_change(chain(2), rows[i].make(), true), later = orgkey_check_change(chain(2), rows[i].make(), false);

		if (next != rows[i].next || later != rows[i].later)
			fail_msg("row %zu: %s, %s", i, errcode_name(next), errcode_name(later));
	}
	/* A link cannot be added to a key that stands already: whoever lost the old key did not find it again later. */
	assert_int_equal(orgkey_check_change(replaced(first(), 1, (struct bytes){0}), replaced(first(), 1, link_of(0, 1)), true), RK_CONFLICT);
	/* At the limit the oldest falls out. */
	assert_int_equal(orgkey_check_change(chain(10), chain(11), true), RK_OK);
	assert_int_equal(orgkey_check_change(chain(1), chain(9), false), RK_OK);
	assert_int_equal(orgkey_check_change(chain(0), chain(10), false), RK_OK);
}

static void verified_links_are_not_verified_again(void **state)
{
	Rk__Directory *known = with_row(replaced(first(), 1, bad_by_new()));
	(void)state;

	assert_int_equal(orgkey_verify(known, NULL, f.exchange_id), RK_BAD_SIGNATURE);
	assert_int_equal(orgkey_verify(known, known, f.exchange_id), RK_OK);
	assert_int_equal(orgkey_verify(with_row(chain(1)), known, f.exchange_id), RK_OK);
	assert_int_equal(orgkey_verify(known, with_row(chain(1)), f.exchange_id), RK_BAD_SIGNATURE);
}

/* ---- the request */

static void a_request_proves_both_keys(void **state)
{
	char text[ORGKEY_TEXT_CHARS], lost[ORGKEY_TEXT_CHARS], bent[ORGKEY_TEXT_CHARS];
	Rk__OrgKey *k = fixed_org_key(&f, 1, &keys[1], arena);
	struct orgkey_request q;
	struct object o;
	uint8_t other[32] = {1};
	(void)state;

	assert_int_equal(orgkey_request_make(k, f.exchange_id, keys[1].sk, keys[0].sk, arena, text), RK_OK);
	assert_int_equal(orgkey_request_read(text, f.exchange_id, arena, &q), RK_OK);
	assert_memory_equal(q.org_id, f.orgs[1].org_id, 16);
	assert_memory_equal(q.old_pk, keys[0].pk, 32);
	assert_memory_equal(q.new_pk, keys[1].pk, 32);
	assert_int_equal(object_parse(OBJECT_KIND_ORG_KEY, q.link, arena, &o), RK_OK);
	assert_int_equal(object_check(&o, f.exchange_id, keys[0].pk), RK_OK);
	assert_int_equal(orgkey_request_make(k, f.exchange_id, keys[1].sk, NULL, arena, lost), RK_OK);
	assert_int_equal(orgkey_request_read(lost, f.exchange_id, arena, &q), RK_OK);
	assert_int_equal(q.link.len, 0);

	/* Another exchange; a new key that its owner does not have; an old key that did not sign. */
	assert_int_equal(orgkey_request_read(text, other, arena, &q), RK_BAD_SIGNATURE);
	assert_int_equal(orgkey_request_make(k, f.exchange_id, keys[2].sk, keys[0].sk, arena, bent), RK_OK);
	assert_int_equal(orgkey_request_read(bent, f.exchange_id, arena, &q), RK_BAD_SIGNATURE);
	assert_int_equal(orgkey_request_make(k, f.exchange_id, keys[1].sk, keys[2].sk, arena, bent), RK_OK);
	assert_int_equal(orgkey_request_read(bent, f.exchange_id, arena, &q), RK_BAD_SIGNATURE);
	assert_int_equal(orgkey_request_read("", f.exchange_id, arena, &q), RK_MALFORMED);
	assert_int_equal(orgkey_request_read("rk-orgkey:", f.exchange_id, arena, &q), RK_MALFORMED);
}

/* No character of it can be changed, and none left out. */
static void every_character_counts(void **state)
{
	char text[ORGKEY_TEXT_CHARS], bent[ORGKEY_TEXT_CHARS];
	struct orgkey_request q;
	(void)state;

	assert_int_equal(orgkey_request_make(fixed_org_key(&f, 1, &keys[1], arena), f.exchange_id, keys[1].sk, keys[0].sk, arena, text), RK_OK);
	for (size_t i = 0; text[i] != '\0'; i++) {
		strcpy(bent, text);
		bent[i] = text[i] == 'A' ? 'B' : 'A';
		assert_int_not_equal(orgkey_request_read(bent, f.exchange_id, arena, &q), RK_OK);
		bent[i] = '\0';
		assert_int_not_equal(orgkey_request_read(bent, f.exchange_id, arena, &q), RK_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_line_grows_and_forgets_its_oldest, clear), cmocka_unit_test_setup(other_extensions_stay, clear),
		cmocka_unit_test_setup(a_link_is_what_it_says, clear), cmocka_unit_test_setup(a_line_is_whole_and_its_own, clear),
		cmocka_unit_test_setup(what_may_follow, clear), cmocka_unit_test_setup(verified_links_are_not_verified_again, clear),
		cmocka_unit_test_setup(a_request_proves_both_keys, clear), cmocka_unit_test_setup(every_character_counts, clear),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
