/* DEPOSIT: a salted hash gets its leaf and an entry of the depositor's own mailbox, once, and within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/world.h"

#define A 1
#define B 2
#define CLOCK_MS ((int64_t)10 * 60 * 1000) /* how far off a claimed time may be */
#define A_DAY 100                          /* deposits of an organisation */

static struct world w;

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	for (int i = A; i <= B; i++)
		world_admit(&w, i);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static struct stream_id box(int org)
{
	return stream_mailbox(w.orgs[org].id);
}

static int run(int org, const Rk__Deposit *d)
{
	return world_run(&w, world_deposit_command(&w, org, 0, d));
}

static void it_is_logged_for_its_own_mailbox(void **state)
{
	uint64_t log = apply_log_size(w.apply), stored = world_quota(&w, QUOTA_STORED, A, -1);
	uint64_t heads[2] = {world_head(&w, box(A)), world_head(&w, box(B))};
	struct command *c = world_deposit_command(&w, A, 0, world_deposit_of(&w, A, 0));
	struct stream_entry e;
	(void)state;

	assert_int_equal(world_run(&w, c), RK_OK);
	assert_true(w.reply->logged && w.reply->log_index == log && apply_log_size(w.apply) == log + 1);
	assert_true(world_head(&w, box(A)) == heads[0] + 1 && world_head(&w, box(B)) == heads[1]);
	world_entry(&w, box(A), heads[0] + 1, &e);
	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_DEPOSIT);
	assert_int_equal(e.flags, STREAM_LOGGED);
	assert_true(e.log_index == log && bytes_equal(e.object, c->signed_object.wire));
	/* Paid for like a head, for good. */
	assert_true(world_quota(&w, QUOTA_STORED, A, -1) == stored + c->signed_object.wire.len);
}

static void the_same_payload_counts_once(void **state)
{
	Rk__Deposit *d = world_deposit_of(&w, A, 0);
	size_t due = world_count(&w, T_DUE);
	uint64_t log;
	(void)state;

	d->time += CLOCK_MS; /* as far ahead as may be: the longest that it must be remembered */
	assert_int_equal(run(A, d), RK_OK);
	log = apply_log_size(w.apply);
	assert_int_equal(run(A, d), RK_DUPLICATE);
	w.now_ms += 2 * CLOCK_MS;
	world_tick(&w);
	assert_int_equal(run(A, d), RK_DUPLICATE);
	/* One instant later the clock refuses it, and nothing of the memory is left. */
	w.now_ms += 1;
	world_tick(&w);
	assert_true(world_count(&w, T_DUE) == due);
	assert_int_equal(run(A, d), RK_CLOCK);
	assert_true(apply_log_size(w.apply) == log);
	/* The commitment itself may be deposited again: another statement, of a later time. */
	d->time = w.now_ms;
	assert_int_equal(run(A, d), RK_OK);
}

static void so_many_a_day_and_no_more(void **state)
{
	(void)state;
	for (int i = 0; i < A_DAY; i++)
		assert_int_equal(world_deposit(&w, A, 0), RK_OK);
	assert_int_equal(world_deposit(&w, A, 0), RK_QUOTA);
	assert_int_equal(world_deposit(&w, B, 0), RK_OK);
	w.now_ms += WORLD_DAY_MS;
	assert_int_equal(world_deposit(&w, A, 0), RK_OK);
}

static void stored_bytes_are_bounded(void **state)
{
	struct command *c = world_deposit_command(&w, A, 0, world_deposit_of(&w, A, 0));
	struct apply_limits limits = apply_default_limits;
	(void)state;

	limits.org_stored_bytes = world_quota(&w, QUOTA_STORED, A, -1) + c->signed_object.wire.len;
	world_limits(&w, &limits);
	assert_int_equal(world_run(&w, c), RK_OK);
	assert_int_equal(world_deposit(&w, A, 0), RK_QUOTA);
}

static void it_waits_below_the_soft_mark(void **state)
{
	struct apply_limits limits = apply_default_limits;
	Rk__Deposit *d = world_deposit_of(&w, A, 0);
	(void)state;

	assert_int_equal(run(A, d), RK_OK);
	limits.soft_percent = 0;
	world_limits(&w, &limits);
	assert_int_equal(world_deposit(&w, A, 0), RK_STORE_FULL);
	assert_int_equal(run(A, d), RK_DUPLICATE);
}

static void each_refusal(void **state)
{
	struct command *c = world_deposit_command(&w, A, 0, world_deposit_of(&w, A, 0));
	uint64_t log = apply_log_size(w.apply);
	Rk__Deposit *d;
	(void)state;

	c->object_pk[0] ^= 1;
	assert_int_equal(world_run(&w, c), RK_BAD_SIGNATURE);
	d = world_deposit_of(&w, A, 0);
	d->org_id = world_copy(&w, w.orgs[B].id, 16);
	assert_int_equal(run(A, d), RK_NOT_PERMITTED);
	d = world_deposit_of(&w, A, 0);
	d->device_id = world_copy(&w, w.orgs[A].devices[1].id, 16);
	assert_int_equal(run(A, d), RK_NOT_PERMITTED);
	d = world_deposit_of(&w, A, 0);
	d->time = w.now_ms - CLOCK_MS - 1;
	assert_int_equal(run(A, d), RK_CLOCK);
	d->time = w.now_ms + CLOCK_MS + 1;
	assert_int_equal(run(A, d), RK_CLOCK);
	assert_true(apply_log_size(w.apply) == log);
	w.now_ms = FIXED_TIME_MS + 6 * 365 * WORLD_DAY_MS;
	assert_int_equal(world_deposit(&w, A, 0), RK_CHARTER_EXPIRED);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(it_is_logged_for_its_own_mailbox),
		TEST(the_same_payload_counts_once),
		TEST(so_many_a_day_and_no_more),
		TEST(stored_bytes_are_bounded),
		TEST(it_waits_below_the_soft_mark),
		TEST(each_refusal),
	};
	return cmocka_run_group_tests_name("apply deposit", tests, NULL, NULL);
}
