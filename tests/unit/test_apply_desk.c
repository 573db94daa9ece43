/* Desks and INTERNAL mail at the broker: whom a wrap may be for, where such mail goes, and what a device that leaves takes along (P2, P6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define A 1
#define B 2
#define TO_A 2u
#define TO_B 4u
/* Who of B's three devices gets a wrap. */
#define D0 1u
#define D1 2u
#define D2 4u

static struct world w;
static uint8_t nda_id[32];

static void add_device(int device, uint32_t first, uint32_t second)
{
	struct world_device *d = &w.orgs[B].devices[device];

	d->is_listed = true;
	d->desks[0] = first;
	d->desks[1] = second;
	d->desk_count = second != 0 ? 2 : 1;
}

/* B's devices: 0 at desk 1, 1 at desk 2, 2 at both; A has one device, at none. */
static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, B);
	for (int i = 0; i < 3; i++)
		add_device(i, i == 1 ? 2 : 1, i == 2 ? 2 : 0);
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(world_hello(&w, B, i), RK_OK);
		assert_int_equal(world_put_kx(&w, B, i, world_kx(&w, B, i)), RK_OK);
	}
	world_agree(&w, TO_A | TO_B, nda_id);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static void wrap_for(unsigned devices)
{
	for (int i = 0; i < 3; i++)
		w.orgs[B].devices[i].gets_no_wrap = !(devices >> i & 1);
}

/* Of A to a desk of B, or of a device of B to its own side. */
static Rk__EnvelopeHeader *header(Rk__Kind kind, int org, int device, uint32_t desk)
{
	Rk__EnvelopeHeader *h = world_header(&w, kind, org, device, TO_B);
	struct nda_row nda;

	h->recipients[0]->desk_id = desk;
	if (kind != RK__KIND__NDA && kind != RK__KIND__NDA_NOTICE)
		return h;
	world_nda(&w, nda_id, &nda);
	h->nda_id = world_copy(&w, nda_id, 32);
	h->nda_set = world_copy(&w, nda.nda_set, 32);
	h->marking = RK__MARKING__CONFIDENTIAL;
	return h;
}

static int send(Rk__Kind kind, uint32_t desk, unsigned devices, uint8_t env_id[32])
{
	struct command *c;

	wrap_for(devices);
	c = world_submit_command(&w, A, 0, header(kind, A, 0, desk), TO_B);
	memcpy(env_id, c->env_id, 32);
	return world_run(&w, c);
}

static void wraps_are_of_the_desk_that_is_named(void **state)
{
	static const struct {
		uint32_t desk;
		unsigned devices;
		int expected;
	} rows[] = {
		{0, D0 | D1 | D2, RK_OK}, {0, D1, RK_OK}, {1, D0 | D2, RK_OK}, {1, D0, RK_OK}, {2, D1 | D2, RK_OK}, {2, D2, RK_OK},
		{1, D0 | D1 | D2, RK_STALE_DIRECTORY}, {1, D1, RK_STALE_DIRECTORY}, {2, D0, RK_STALE_DIRECTORY},
		{1, 0, RK_NO_RECIPIENT_KEY}, {0, 0, RK_NO_RECIPIENT_KEY}, {9, D0 | D1 | D2, RK_STALE_DIRECTORY}, {9, 0, RK_NO_RECIPIENT_KEY},
	};
	static const Rk__Kind kinds[] = {RK__KIND__OPEN, RK__KIND__NDA, RK__KIND__NDA_NOTICE};
	uint8_t env_id[32];
	(void)state;

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			uint64_t before = world_head(&w, stream_mailbox(w.orgs[B].id));
			int r = send(kinds[k], rows[i].desk, rows[i].devices, env_id);

			if (r != rows[i].expected)
				fail_msg("kind %d, row %zu: %s", (int)kinds[k], i, errcode_name(r));
			assert_int_equal(world_head(&w, stream_mailbox(w.orgs[B].id)) - before, r == RK_OK);
		}
}

static void a_device_that_moves_is_of_its_new_desk(void **state)
{
	uint8_t env_id[32];
	(void)state;

	assert_int_equal(world_count(&w, T_DESK), 3);
	add_device(0, 2, 0);
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	assert_int_equal(send(RK__KIND__NDA, 1, D0, env_id), RK_STALE_DIRECTORY);
	assert_int_equal(send(RK__KIND__NDA, 2, D0, env_id), RK_OK);
	w.orgs[B].devices[0].desk_count = 0;
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	assert_int_equal(send(RK__KIND__NDA, 2, D0, env_id), RK_STALE_DIRECTORY);
	assert_int_equal(world_count(&w, T_DESK), 2);
	/* It stays so after a restart. */
	world_restart(&w);
	assert_int_equal(world_hello(&w, A, 0), RK_OK);
	assert_int_equal(send(RK__KIND__NDA, 2, D0, env_id), RK_STALE_DIRECTORY);
	assert_int_equal(send(RK__KIND__NDA, 2, D1, env_id), RK_OK);
}

static void another_desk_picks_nothing_up(void **state)
{
	uint8_t env_id[32];
	(void)state;

	assert_int_equal(send(RK__KIND__NDA, 1, D0 | D2, env_id), RK_OK);
	assert_int_equal(world_pickup(&w, B, 1, nda_id, env_id), RK_NO_RECIPIENT_KEY);
	assert_int_equal(world_nack(&w, B, 1, nda_id, env_id, RK__NACK_REASON__NACK_DECLINED), RK_NO_RECIPIENT_KEY);
	assert_int_equal(world_fetch(&w, B, 1, env_id), RK_NOT_PERMITTED);
	/* Each of the desk signs for itself, and only then has it. */
	assert_int_equal(world_pickup(&w, B, 0, nda_id, env_id), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, env_id), RK_OK);
	assert_int_equal(world_fetch(&w, B, 2, env_id), RK_NOT_PERMITTED);
	assert_int_equal(world_pickup(&w, B, 2, nda_id, env_id), RK_OK);
	assert_int_equal(world_fetch(&w, B, 2, env_id), RK_OK);
	assert_int_equal(world_fetch(&w, B, 1, env_id), RK_NOT_PERMITTED);
}

/* ---- INTERNAL */

static int write_internal(int device, uint32_t desk, unsigned devices, unsigned wraps_to)
{
	wrap_for(devices);
	return world_submit(&w, B, device, header(RK__KIND__INTERNAL, B, device, desk), wraps_to);
}

static void internal_wraps_are_of_the_own_organisation(void **state)
{
	static const struct {
		int device;
		uint32_t desk;
		unsigned devices, to;
		int expected;
	} rows[] = {
		{0, 0, D0 | D1 | D2, TO_B, RK_OK}, {0, 0, D1, TO_B, RK_OK}, {0, 0, D0, TO_B, RK_OK}, {0, 0, 0, TO_B | TO_A, RK_STALE_DIRECTORY},
		{0, 0, D1, TO_B | TO_A, RK_STALE_DIRECTORY}, {0, 1, D0 | D2, TO_B, RK_OK},
		/* Who writes to another desk may keep a copy, and is no recipient by it. */
		{1, 1, D0 | D1 | D2, TO_B, RK_OK}, {1, 1, D0 | D2, TO_B, RK_OK}, {1, 1, D1, TO_B, RK_NO_RECIPIENT_KEY},
		{0, 1, D0 | D1, TO_B, RK_STALE_DIRECTORY}, {2, 9, D0, TO_B, RK_STALE_DIRECTORY}, {2, 9, D2, TO_B, RK_NO_RECIPIENT_KEY},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = write_internal(rows[i].device, rows[i].desk, rows[i].devices, rows[i].to);

		if (r != rows[i].expected)
			fail_msg("row %zu: %s", i, errcode_name(r));
	}
}

static void internal_mail_stays_at_home(void **state)
{
	struct stream_id b = stream_mailbox(w.orgs[B].id), a = stream_mailbox(w.orgs[A].id);
	uint64_t in_b = world_head(&w, b), in_a = world_head(&w, a), leaves = world_count(&w, T_LOG);
	struct apply_limits limits = w.limits;
	struct stream_entry e;
	uint64_t pending;
	(void)state;

	assert_int_equal(write_internal(0, 0, D0 | D1 | D2, TO_B), RK_OK);
	assert_false(w.reply->logged);
	assert_int_equal(world_count(&w, T_LOG), leaves);
	assert_int_equal(world_head(&w, b), in_b + 1); /* once, though B is sender and recipient */
	assert_int_equal(world_head(&w, a), in_a);
	world_entry(&w, b, in_b + 1, &e);
	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_ENVELOPE);
	assert_false(e.flags & (STREAM_HEAD_ONLY | STREAM_LOGGED));
	assert_true(e.body.len > 0 && e.wraps.len > 0);
	/* It counts as other mail does. */
	pending = world_quota(&w, QUOTA_PENDING, B, B);
	assert_int_equal(pending, e.body.len + e.wraps.len);
	limits.pair_pending_bytes = pending;
	world_limits(&w, &limits);
	assert_int_equal(world_hello(&w, B, 0), RK_OK);
	assert_int_equal(write_internal(0, 0, D1, TO_B), RK_QUOTA);
	/* At its end the bulk goes, and nothing comes back: it was delivered. */
	w.now_ms += 20 * WORLD_DAY_MS;
	world_tick(&w);
	assert_int_equal(world_quota(&w, QUOTA_PENDING, B, B), 0);
	assert_int_equal(world_head(&w, b), in_b + 1);
}

static void internal_mail_is_for_nobody_else(void **state)
{
	uint8_t env_id[32];
	struct command *c;
	(void)state;

	wrap_for(D0 | D1 | D2);
	c = world_submit_command(&w, B, 0, header(RK__KIND__INTERNAL, B, 0, 0), TO_B);
	memcpy(env_id, c->env_id, 32);
	assert_int_equal(world_run(&w, c), RK_OK);
	assert_int_equal(world_run(&w, c), RK_OK); /* the same number again: the stored outcome */
	assert_int_equal(world_fetch(&w, A, 0, env_id), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_fetch(&w, B, 1, env_id), RK_OK);
}

/* ---- leaving */

static void what_leaves_takes_its_rows_along(void **state)
{
	uint8_t env_id[32];
	size_t cursors;
	(void)state;

	assert_int_equal(send(RK__KIND__NDA, 2, D1 | D2, env_id), RK_OK);
	cursors = world_count(&w, T_CURSOR);
	for (int i = 1; i < 3; i++) {
		Rk__Request *req = world_request(&w, B, i, RK__OP__OP_ACK);
		Rk__StreamId id = RK__STREAM_ID__INIT;
		Rk__Ack ack = RK__ACK__INIT;

		id.type = RK__STREAM_TYPE__STREAM_CONTROL;
		ack.stream = &id;
		ack.seq = 1;
		req->ack = &ack;
		assert_int_equal(world_run(&w, world_command(&w, B, i, req, (struct bytes){0}, (struct bytes){0}, (struct bytes){0})), RK_OK);
	}
	assert_int_equal(world_count(&w, T_CURSOR), cursors + 2);
	/* Retired at once: cut, its cursor gone, its wrap worth nothing; listed still. */
	w.orgs[B].devices[1].retired_at = w.now_ms;
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	assert_int_equal(w.cut_count, 1);
	assert_int_equal(world_count(&w, T_CURSOR), cursors + 1);
	assert_int_equal(world_pickup(&w, B, 1, nda_id, env_id), RK_REVOKED);
	/* Compromised: the row too. */
	w.orgs[B].devices[2].is_listed = false;
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	assert_int_equal(world_count(&w, T_CURSOR), cursors);
	assert_int_equal(world_count(&w, T_DESK), 2);
	assert_int_equal(world_pickup(&w, B, 2, nda_id, env_id), RK_REVOKED);
	assert_int_equal(world_fetch(&w, B, 2, env_id), RK_REVOKED);
	/* A retired one gets no more wraps either. */
	assert_int_equal(send(RK__KIND__NDA, 0, D1, env_id), RK_STALE_DIRECTORY);
	assert_int_equal(send(RK__KIND__NDA, 1, D0, env_id), RK_OK);
}

static void a_list_has_room_for_32(void **state)
{
	Rk__OrgDevices *list = world_devices(&w, B);
	Rk__Device **rows = fixed_alloc(w.arena, 33 * sizeof(*rows));
	(void)state;

	for (int i = 0; i < 33; i++) {
		struct fixed_sign sign;
		struct fixed_box box;
		uint8_t id[16];
		char name[32];

		if (i < 3) {
			rows[i] = list->devices[i];
			continue;
		}
		snprintf(name, sizeof(name), "machine %d", i);
		fixed_sign_key(&sign, name);
		fixed_box_key(&box, name);
		ids_device(id, sign.pk);
		rows[i] = fixed_alloc(w.arena, sizeof(**rows));
		rk__device__init(rows[i]);
		rows[i]->device_id = world_copy(&w, id, 16);
		rows[i]->sign_pk = world_copy(&w, sign.pk, 32);
		rows[i]->curve_pk = world_copy(&w, box.pk, 32);
		rows[i]->accepts_max = 1;
	}
	list->devices = rows;
	list->n_devices = 33;
	{
		/* Nobody of ours can even sign such a list: the rules of the schema forbid it. */
		struct bytes packed;

		assert_int_equal(STRICT_PACK(list, w.arena, &packed), RK_MALFORMED);
	}
	list->n_devices = 32;
	assert_int_equal(world_put_devices(&w, B, 0, list), RK_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wraps_are_of_the_desk_that_is_named),
		TEST(a_device_that_moves_is_of_its_new_desk),
		TEST(another_desk_picks_nothing_up),
		TEST(internal_wraps_are_of_the_own_organisation),
		TEST(internal_mail_stays_at_home),
		TEST(internal_mail_is_for_nobody_else),
		TEST(what_leaves_takes_its_rows_along),
		TEST(a_list_has_room_for_32),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
