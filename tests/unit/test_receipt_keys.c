/* Receipts across a change of an organisation key: what is older than the directory may bear a key of its line, nothing else may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/orgkey.h"
#include "proto/strict.h"
#include "tests/unit/receipt_kit.h"

#define HOUR RECEIPT_KIT_HOUR_MS
#define DAY ((int64_t)86400000)
#define START RECEIPT_KIT_START_MS

static struct arena *a;
static struct fixed_sign next, third;

static int set_up(void **state)
{
	(void)state;
	fixed_sign_key(&next, "the next key");
	fixed_sign_key(&third, "a third key");
	return (a = arena_new(16 << 20)) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(a);
	return 0;
}

/* Everything that the first key signed is older than the directory that names another one. */
static const struct kit_step changed_before[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_TERMS, 1, 0, 17 * DAY},
	{KIT_ACT, 1, RK__ACT_KIND__ACCEPT, 17 * DAY}, {KIT_ACT, 2, RK__ACT_KIND__ACCEPT, 18 * DAY}, {KIT_DIRECTORY, 0, 0, 19 * DAY},
	{KIT_ENVELOPE, 1, 0, START + HOUR}, {KIT_PICKUP, 2, 0, START + 2 * HOUR}, {KIT_END, 0, 0, 0},
};
/* The second party accepts, and the agreement is in force, after the directory. */
static const struct kit_step accepted_after[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_TERMS, 1, 0, 17 * DAY},
	{KIT_ACT, 2, RK__ACT_KIND__ACCEPT, 17 * DAY}, {KIT_DIRECTORY, 0, 0, 18 * DAY}, {KIT_ACT, 1, RK__ACT_KIND__ACCEPT, 18 * DAY + HOUR},
	{KIT_ENVELOPE, 1, 0, START + HOUR}, {KIT_PICKUP, 2, 0, START + 2 * HOUR}, {KIT_END, 0, 0, 0},
};

/* How organisation 1 changes its key, and which key signs what. */
static struct {
	const struct fixed_sign *to, *over, *signer; /* over: a key between them, or NULL; signer of the newest link; NULL: no link */
	const struct fixed_sign *acts, *lists;       /* NULL: the kit's */
} how;

static struct bytes make_link(struct receipt_kit *k, const struct fixed_sign *from, const struct fixed_sign *to,
                              const struct fixed_sign *signer)
{
	Rk__OrgKey *m = fixed_org_key(&k->f, 1, to, k->arena);
	struct bytes wire;

	m->old_pk = pb_of(bytes_make(from->pk, 32));
	assert_int_equal(object_make(OBJECT_KIND_ORG_KEY, k->f.exchange_id, signer->sk, &m->base, k->arena, &wire), RK_OK);
	return wire;
}

static void change_row(struct receipt_kit *k, Rk__Org *row)
{
	const struct fixed_sign *from = &k->f.orgs[1].org;
	Rk__Org one, two;

	if (how.over) {
		assert_int_equal(orgkey_replace(row, how.over->pk, make_link(k, from, how.over, from), k->arena, &one), RK_OK);
		*row = one;
		from = how.over;
	}
	assert_int_equal(orgkey_replace(row, how.to->pk, how.signer ? make_link(k, from, how.to, how.signer) : (struct bytes){0}, k->arena,
	                                &two), RK_OK);
	*row = two;
}

static void bend(struct receipt_kit *k, const struct kit_step *s, ProtobufCMessage *m, const uint8_t **sk)
{
	if (s->what == KIT_DIRECTORY) {
		Rk__Directory *d = (Rk__Directory *)m;

		d->serial = 2;
		d->prev_oh = fixed_data(k->arena, 32, "the one before");
		change_row(k, d->orgs[1]);
	}
	if (s->what == KIT_ENVELOPE)
		((Rk__EnvelopeHeader *)m)->directory_serial = 2;
	if (s->what == KIT_ACT && s->org == 1 && how.acts)
		*sk = how.acts->sk;
	if (s->what == KIT_DEVICES && s->org == 1 && how.lists)
		*sk = how.lists->sk;
}

/* The member and step at which it fails, or "" where it is proven. */
static const char *verdict(const struct kit_step *steps)
{
	static char text[64];
	struct receipt_kit k = {.steps = steps, .bend = bend};
	struct receipt out;
	struct bytes archive;
	int r;

	arena_reset(a, 16 << 20);
	receipt_kit_run(&k, a);
	r = receipt_make(&k.parts, a, &archive, &out);
	if (r == RK_OK) {
		assert_int_equal(out.level, RECEIPT_PICKED_UP);
		return "";
	}
	assert_int_equal(r, RK_EINTEGRITY);
	snprintf(text, sizeof(text), "%s %s", receipt_step_name(out.checks[out.check_count - 1].step),
	         out.checks[out.check_count - 1].member);
	return text;
}

static void set_how(const struct fixed_sign *to, const struct fixed_sign *over, const struct fixed_sign *signer,
                    const struct fixed_sign *acts, const struct fixed_sign *lists)
{
	how.to = to;
	how.over = over;
	how.signer = signer;
	how.acts = acts;
	how.lists = lists;
}

static void keys_of_one_line(void **state)
{
	struct fixed f;
	(void)state;

	fixed_init(&f);
	set_how(&next, NULL, &f.orgs[1].org, NULL, NULL);
	assert_string_equal(verdict(changed_before), "");
	/* Over two changes, the act by the key between them. */
	set_how(&third, &next, &next, NULL, NULL);
	assert_string_equal(verdict(changed_before), "");
	set_how(&third, &next, &next, &next, &next);
	assert_string_equal(verdict(changed_before), "");
	/* After the directory the key of the directory alone. */
	set_how(&next, NULL, &f.orgs[1].org, &next, NULL);
	assert_string_equal(verdict(accepted_after), "");
	set_how(&next, NULL, &f.orgs[1].org, NULL, NULL);
	assert_string_equal(verdict(accepted_after), "signature act-02");
}

static void keys_of_no_line(void **state)
{
	struct fixed f;
	(void)state;

	fixed_init(&f);
	/* Replaced without the old key: what that one signed is not the organisation's. */
	set_how(&next, NULL, NULL, NULL, NULL);
	assert_string_equal(verdict(changed_before), "signature orgdevices-A");
	set_how(&next, NULL, NULL, NULL, &next);
	assert_string_equal(verdict(changed_before), "signature act-01");
	/* Nor may the new key accept for it. */
	set_how(&next, NULL, NULL, &next, &next);
	assert_string_equal(verdict(changed_before), "signature act-01");
	assert_string_equal(verdict(accepted_after), "signature act-02");
	/* A link that somebody else signed. */
	set_how(&next, NULL, &next, NULL, NULL);
	assert_string_equal(verdict(changed_before), "rules directory");
	set_how(&third, &next, &f.orgs[2].org, NULL, NULL);
	assert_string_equal(verdict(changed_before), "rules directory");
	/* The line ends with the second change: the key between is not the one that the terms name. */
	set_how(&third, &next, NULL, NULL, NULL);
	assert_string_equal(verdict(changed_before), "signature orgdevices-A");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keys_of_one_line), cmocka_unit_test(keys_of_no_line)};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
