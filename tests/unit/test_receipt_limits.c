/*
 * No agreement that may be is too long for a receipt: as many acts as are kept, each hold under a device list of its own; as many
 * parties, each of which took it, one of them with two devices.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/receipt.h"
#include "proto/strict.h"
#include "proto/ustar.h"
#include "tests/unit/receipt_kit.h"

#define HOUR RECEIPT_KIT_HOUR_MS
#define DAY NDA_DAY_MS
#define START RECEIPT_KIT_START_MS
#define BUDGET ((size_t)32 << 20)
#define ACCEPT RK__ACT_KIND__ACCEPT
#define STEPS_MAX 700

static struct arena *arena;
static struct kit_step steps[STEPS_MAX];
static size_t step_count;

static int prepare(void **state)
{
	(void)state;
	step_count = 0;
	memset(steps, 0, sizeof(steps));
	arena = arena_new(BUDGET);
	return arena ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static void then(enum kit_what what, int org, int arg, int64_t at_ms)
{
	assert_in_range(step_count, 0, STEPS_MAX - 2);
	steps[step_count++] = (struct kit_step){what, org, arg, at_ms};
}

/* ---- many acts */

/* Each list of an organisation is the next one. */
static void number_lists(struct receipt_kit *k, const struct kit_step *s, ProtobufCMessage *m, const uint8_t **sk)
{
	Rk__OrgDevices *list = (Rk__OrgDevices *)m;

	(void)sk;
	if (s->what != KIT_DEVICES || s->arg <= 1)
		return;
	list->serial = (uint64_t)s->arg;
	list->prev_oh = fixed_data(k->arena, 32, "the list before");
}

/* acts - 2 of them by org 2, in turn a hold, by the list that it made just before, and a resumption. */
static void agree(int acts)
{
	then(KIT_CHARTER, 0, 0, 0);
	then(KIT_DEVICES, 1, 1, HOUR);
	then(KIT_DIRECTORY, 0, 0, 16 * DAY);
	then(KIT_TERMS, 1, 0, 17 * DAY);
	then(KIT_ACT, 1, ACCEPT, 17 * DAY);
	then(KIT_ACT, 2, ACCEPT, 18 * DAY);
	for (int i = 0; i < acts - 2; i++) {
		if (i % 2 == 0)
			then(KIT_DEVICES, 2, i / 2 + 1, 19 * DAY + i);
		then(KIT_ACT, 2, i % 2 == 0 ? RK__ACT_KIND__HOLD : RK__ACT_KIND__RESUME, 19 * DAY + i);
	}
	then(KIT_ENVELOPE, 1, 0, START + HOUR);
	then(KIT_PICKUP, 2, 0, START + 2 * HOUR);
}

static bool has_member(struct bytes archive, const char *name)
{
	static struct ustar_member members[USTAR_MEMBERS_MAX];
	bool yes = false;
	size_t n;

	assert_int_equal(ustar_read(archive, members, USTAR_MEMBERS_MAX, &n), RK_OK);
	for (size_t i = 0; i < n; i++)
		yes |= strcmp(members[i].name, name) == 0;
	return yes;
}

static void the_longest_agreement(void **state)
{
	static struct receipt_kit k;
	struct bytes archive;
	struct receipt out;

	(void)state;
	agree(NDA_ACTS_MAX);
	k = (struct receipt_kit){.steps = steps, .bend = number_lists, .has_content = true};
	archive = receipt_kit_make(&k, arena);
	assert_int_equal(receipt_verify(archive, k.f.exchange_id, arena, &out), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
	assert_int_equal(k.parts.act_count, NDA_ACTS_MAX);
	assert_int_equal(k.parts.device_count, 1 + (NDA_ACTS_MAX - 2) / 2);
	assert_true(has_member(archive, "act-256.tbs") && has_member(archive, "orgdevices-Z.tbs"));
	assert_true(has_member(archive, "orgdevices-AA.tbs") && has_member(archive, "orgdevices-DX.sig"));
	assert_false(has_member(archive, "orgdevices-DY.tbs"));
	print_message("%d acts, %zu lists: %zu bytes, %zu checks\n", NDA_ACTS_MAX, k.parts.device_count, archive.len, out.check_count);
}

/* The last of them counts like the first: left out, it is missed. */
static void the_last_of_many_acts_is_missed(void **state)
{
	static struct receipt_kit k;
	struct bytes archive;
	struct receipt out;

	(void)state;
	agree(NDA_ACTS_MAX);
	k = (struct receipt_kit){.steps = steps, .bend = number_lists};
	receipt_kit_run(&k, arena);
	k.parts.act_count--;
	assert_int_equal(receipt_make(&k.parts, arena, &archive, &out), RK_EINTEGRITY);
	assert_int_equal(out.checks[out.check_count - 1].step, RECEIPT_NDA_SET);
	k.parts.act_count = RECEIPT_ACTS_MAX + 1;
	assert_int_equal(receipt_make(&k.parts, arena, &archive, &out), RK_TOO_LARGE);
}

/* ---- many parties */

static struct fixed_sign second;
static uint8_t second_id[16];

/* Org 2 has another device, which picks up last. */
static void two_devices(struct receipt_kit *k, const struct kit_step *s, ProtobufCMessage *m, const uint8_t **sk)
{
	static struct fixed_box curve;
	Rk__OrgDevices *list = (Rk__OrgDevices *)m;
	Rk__Device **both, *other;

	if (s->what == KIT_PICKUP && s->arg == 2) {
		((Rk__Pickup *)m)->device_id = pb_of(BYTES_OF(second_id));
		*sk = second.sk;
	}
	if (s->what != KIT_DEVICES || s->org != 2)
		return;
	fixed_sign_key(&second, "second device");
	fixed_box_key(&curve, "second curve");
	ids_device(second_id, second.pk);
	both = fixed_alloc(k->arena, 2 * sizeof(*both));
	other = fixed_alloc(k->arena, sizeof(*other));
	*other = *list->devices[0];
	other->device_id = pb_of(BYTES_OF(second_id));
	other->sign_pk = pb_of(bytes_make(second.pk, 32));
	other->curve_pk = pb_of(bytes_make(curve.pk, 32));
	both[0] = list->devices[0];
	both[1] = other;
	list->devices = both;
	list->n_devices = 2;
}

static void the_most_parties(void **state)
{
	static struct receipt_kit k;
	struct bytes archive;
	struct receipt out;

	(void)state;
	then(KIT_CHARTER, 0, 0, 0);
	for (int i = 0; i < NDA_PARTIES_MAX; i++)
		then(KIT_DEVICES, i, 0, HOUR);
	then(KIT_DIRECTORY, 0, 0, 16 * DAY);
	then(KIT_TERMS, 1, 0, 17 * DAY);
	for (int i = 0; i < NDA_PARTIES_MAX; i++)
		then(KIT_ACT, i, ACCEPT, 17 * DAY);
	then(KIT_ENVELOPE, 1, 0, START + HOUR);
	for (int i = 0; i < NDA_PARTIES_MAX; i++)
		if (i != 1)
			then(KIT_PICKUP, i, 0, START + 2 * HOUR);
	then(KIT_PICKUP, 2, 2, START + 2 * HOUR);
	k = (struct receipt_kit){.steps = steps, .bend = two_devices, .party_count = NDA_PARTIES_MAX, .has_content = true};
	archive = receipt_kit_make(&k, arena);
	assert_int_equal(receipt_verify(archive, k.f.exchange_id, arena, &out), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
	assert_int_equal(out.pickup_count, RECEIPT_PICKUPS_MAX);
	assert_int_equal(k.parts.device_count, NDA_PARTIES_MAX);
	assert_true(has_member(archive, "pickup-16.sig") && has_member(archive, "orgdevices-P.tbs"));
	assert_memory_equal(out.pickups[15].org_id, k.f.orgs[2].org_id, 16);
	assert_memory_equal(out.pickups[15].device->device_id.data, second_id, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_longest_agreement, prepare, end),
		cmocka_unit_test_setup_teardown(the_last_of_many_acts_is_missed, prepare, end),
		cmocka_unit_test_setup_teardown(the_most_parties, prepare, end),
	};

	return cmocka_run_group_tests_name("limits of receipts", tests, NULL, NULL);
}
