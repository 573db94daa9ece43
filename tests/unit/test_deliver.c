/* deliver: pages to those who take bundles, entries one by one to those who do not or have little credit; nothing twice, nothing left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "proto/errcode.h"
#include "tests/unit/rig.h"

static void a_page_goes_as_a_bundle(void **state)
{
	struct rig *r = *state;

	r->peer.bundles = true;
	rig_append(r, 200, 1000);
	rig_subscribe(r, 0);
	assert_int_equal(rig_run(r, 0), 0); /* no credit */
	rig_credit(r, 1000, 1 << 25);
	assert_int_equal(rig_run(r, 0), 200);
	assert_true(r->bundles == r->messages && r->messages <= 5); /* 1.3 KiB each, 64 KiB a frame */
	rig_append(r, 1, 1000);
	rig_tell(r, 201);
	assert_int_equal(rig_run(r, 0), 1);
	assert_int_equal(r->bundles, 1);
}

static void without_bundles_each_entry_is_a_message(void **state)
{
	struct rig *r = *state;

	rig_append(r, 200, 1000);
	rig_subscribe(r, 0);
	rig_credit(r, 1000, 1 << 25);
	assert_int_equal(rig_run(r, 0), 200);
	assert_true(r->bundles == 0 && r->messages == 200);
}

/* Whatever credit comes, whether the page is there already or not: as many entries as credit, each once. */
static void credit_bounds_entries(void **state)
{
	struct rig *r = *state;
	const unsigned steps[] = {1, 1, 3, 60, 2, 100, 7, 26};

	rig_append(r, 200, 1000);
	for (unsigned pass = 0; pass < 4; pass++) {
		uint64_t seq = r->seq;
		unsigned sent = 0;

		r->peer.bundles = pass % 2 == 0;
		r->peer.routing_id[0] = (uint8_t)pass; /* another session */
		rig_subscribe(r, 0);
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			rig_credit(r, steps[i], 1 << 25);
			assert_int_equal(rig_run(r, 0), steps[i]);
			sent += steps[i];
		}
		assert_int_equal(sent, 200);
		assert_int_equal(rig_run(r, 0), 0);
		assert_true(pass == 0 || r->seq == seq);
	}
}

/* One entry, or one message of them, may overdraw the bytes. */
static void credit_bounds_bytes(void **state)
{
	struct rig *r = *state;

	rig_append(r, 200, 1000);
	r->peer.bundles = true;
	rig_subscribe(r, 0);
	rig_credit(r, 1000, 1);
	assert_true(rig_run(r, 0) > 0 && r->messages == 1);
	assert_int_equal(rig_run(r, 0), 0);
	r->peer.bundles = false;
	r->peer.routing_id[0] = 9;
	rig_subscribe(r, 0);
	rig_credit(r, 1000, 1);
	assert_int_equal(rig_run(r, 0), 1);
}

static void a_large_entry_stands_alone_in_its_place(void **state)
{
	struct rig *r = *state;

	rig_append(r, 3, 1000);
	rig_append(r, 1, RIG_LARGE_BODY);
	rig_append(r, 1, RIG_LARGE_BODY);
	rig_append(r, 3, 1000);
	r->peer.bundles = true;
	rig_subscribe(r, 0);
	rig_credit(r, 1000, 1 << 25);
	assert_int_equal(rig_run(r, 0), 8);
	assert_true(r->messages == 4 && r->bundles == 2);
}

static void a_gap_by_retention_is_told_by_the_first_entry_after_it(void **state)
{
	struct rig *r = *state;
	const struct stream_id offers = stream_channel(RK__CHANNEL__OFFER);
	struct txn *t;

	rig_append(r, 100, 1000);
	assert_int_equal(env_begin(r->env, true, &t), RK_OK);
	assert_int_equal(stream_trim(t, &offers, 30, 1000), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	for (unsigned pass = 0; pass < 2; pass++) {
		r->peer.bundles = pass == 0;
		r->peer.routing_id[0] = (uint8_t)pass;
		rig_subscribe(r, 5);
		rig_credit(r, 1000, 1 << 25);
		assert_int_equal(rig_run(r, 30), 70);
	}
}

/* What did not go is sent again from its place, in the same order, and credit is as before. */
static void a_full_connection_takes_it_up_again(void **state)
{
	struct rig *r = *state;
	struct message_out *o;

	rig_append(r, 200, 1000);
	r->peer.bundles = true;
	rig_subscribe(r, 0);
	rig_credit(r, 200, 1 << 25);
	assert_true(rig_turn(r));
	while ((o = ring_pop(r->path.deliver_front)) != NULL) {
		if (o->kind != MESSAGE_DELIVERY) {
			message_out_free(o);
			continue;
		}
		o->result = MESSAGE_AGAIN;
		for (unsigned i = 0; i < o->frame_count; i++)
			zmq_msg_close(&o->frames[i]);
		o->frame_count = 0;
		ring_push_wait(r->path.front_deliver, o);
	}
	assert_true(rig_turn(r));
	for (int i = 0; i < 100 && rig_run(r, 0) == 0; i++) {
		const struct timespec t = {.tv_nsec = 10000000};

		nanosleep(&t, NULL);
	}
	assert_int_equal(r->entries, 200);
	rig_append(r, 1, 1000);
	rig_tell(r, 201);
	assert_int_equal(rig_run(r, 0), 0);
}

/* A page that came with the batch is sent as it came: the store has nothing there. */
static void a_page_of_the_batch_needs_no_store(void **state)
{
	struct rig *r = *state;

	r->peer.bundles = true;
	rig_subscribe(r, 0);
	rig_credit(r, 10, 1 << 20);
	assert_int_equal(rig_run(r, 0), 0);
	rig_page(r, 1, 2);
	rig_tell(r, 2);
	assert_int_equal(rig_run(r, 0), 2);
	assert_int_equal(atomic_load(&r->path.live_bytes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)
		TEST(a_page_goes_as_a_bundle),
		TEST(without_bundles_each_entry_is_a_message),
		TEST(credit_bounds_entries),
		TEST(credit_bounds_bytes),
		TEST(a_large_entry_stands_alone_in_its_place),
		TEST(a_gap_by_retention_is_told_by_the_first_entry_after_it),
		TEST(a_full_connection_takes_it_up_again),
		TEST(a_page_of_the_batch_needs_no_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
