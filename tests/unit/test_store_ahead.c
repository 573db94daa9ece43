/* ahead: when the store's file is written ahead: turns by a clock of our own, beside nothing, something and much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/ahead.h"
#include "store/tables.h"
#include "tests/unit/store_kit.h"

#define ROW_BYTES 65000                      /* and its head: 16 pages */
#define AHEAD_BYTES ((uint64_t)6 << 20)
#define LOADED_BYTES ((uint64_t)16 << 20)    /* ahead.c: so much beside some load, … */
#define LOADED_PER_S ((uint64_t)4 << 20)     /* … and nothing where the store grows faster */
#define CHUNK ENV_AHEAD_CHUNK_BYTES

struct fixture {
	char folder[256];
	struct env *env;
	uint32_t rows;
	int64_t now_ms;
};

static void put_row(struct txn *t, uint32_t row, size_t len)
{
	uint8_t key[4], *room;

	put_u32be(key, row);
	assert_int_equal(env_reserve(t, T_BULK, BYTES_OF(key), len, ENV_PUT, &room), RK_OK);
	memset(room, 1, len);
}

/* 64 KiB each. */
static void put_rows(struct fixture *f, uint32_t count)
{
	struct txn *t;

	assert_int_equal(env_begin(f->env, true, &t), RK_OK);
	while (count-- > 0)
		put_row(t, ++f->rows, ROW_BYTES);
	assert_int_equal(env_commit(t), RK_OK);
}

/* The same row again and again: the store does not grow. */
static void commit_often(struct fixture *f, unsigned count)
{
	while (count-- > 0) {
		struct txn *t;

		assert_int_equal(env_begin(f->env, true, &t), RK_OK);
		put_row(t, 0, 100);
		assert_int_equal(env_commit(t), RK_OK);
	}
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	store_kit_folder(f->folder);
	f->env = store_kit_open(f->folder, 0);
	f->now_ms = 5000;
	put_rows(f, 100);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	env_close(f->env);
	store_kit_remove(f->folder);
	free(f);
	return 0;
}

static struct env_ahead look(struct fixture *f)
{
	struct env_ahead now;

	assert_int_equal(env_ahead(f->env, &now), RK_OK);
	return now;
}

static uint64_t lies_ahead(struct fixture *f)
{
	return look(f).ahead_bytes;
}

static void assert_ahead(struct fixture *f, uint64_t bytes)
{
	assert_in_range(lies_ahead(f), bytes, bytes + CHUNK);
}

/* How many chunks were written. */
static unsigned turns(struct fixture *f, struct ahead *a, int64_t for_ms)
{
	uint64_t before = store_kit_file_bytes(f->folder);
	int64_t end_ms = f->now_ms + for_ms;

	while (f->now_ms < end_ms)
		f->now_ms += ahead_turn(a, f->now_ms);
	return (unsigned)((store_kit_file_bytes(f->folder) - before + CHUNK - 1) / CHUNK);
}

/* A second's turns.  `enough`: the target, or the bound beside load.  While three quarters of it lie ahead nothing is written, below them all of it is.
 * True: it was below. */
static bool second_with_quarters(struct fixture *f, struct ahead *a, uint64_t enough)
{
	bool is_below = lies_ahead(f) < enough - enough / 4;
	unsigned chunks = turns(f, a, 1000);

	if (is_below)
		assert_ahead(f, enough);
	else
		assert_int_equal(chunks, 0);
	return is_below;
}

/* ---- beside nothing */

static void quiet_time_is_used(void **state)
{
	struct fixture *f = *state;
	struct ahead a = {.env = f->env, .target_bytes = AHEAD_BYTES}, none = {.env = f->env};
	struct ahead poor = {.env = f->env, .target_bytes = AHEAD_BYTES, .reserve_bytes = UINT64_MAX - AHEAD_BYTES};

	assert_int_equal(turns(f, &none, 10000), 0);
	assert_int_equal(turns(f, &poor, 10000), 0);
	/* The first second only says that it is quiet. */
	assert_int_equal(turns(f, &a, 999), 0);
	assert_true(turns(f, &a, 1000) >= AHEAD_BYTES / CHUNK);
	assert_ahead(f, AHEAD_BYTES);
	assert_int_equal(turns(f, &a, 10000), 0);
}

static void it_goes_from_three_quarters_to_all(void **state)
{
	struct fixture *f = *state;
	struct ahead a = {.env = f->env, .target_bytes = AHEAD_BYTES};
	unsigned below = 0;

	turns(f, &a, 2000);
	assert_ahead(f, AHEAD_BYTES);
	for (unsigned second = 0; second < 100; second++) {
		put_rows(f, 1 + second % 5);
		below += second_with_quarters(f, &a, AHEAD_BYTES);
	}
	assert_in_range(below, 5, 20);
}

/* The target is one of which three quarters lie ahead, to the byte; then a little more. */
static void just_three_quarters_are_enough(void **state)
{
	struct fixture *f = *state;
	struct ahead a = {.env = f->env, .target_bytes = AHEAD_BYTES};
	uint64_t ahead, target;

	turns(f, &a, 2000);
	ahead = lies_ahead(f);
	target = ahead + (ahead - 1) / 3;
	assert_int_equal(target - target / 4, ahead);
	a.target_bytes = target;
	assert_int_equal(turns(f, &a, 10000), 0);
	a.target_bytes = target + 2;
	assert_true(turns(f, &a, 2000) > 0);
	assert_ahead(f, target + 2);
}

/* ---- beside something */

/* What expires makes room for what comes: no growth, and yet much to do. */
static void a_store_that_does_not_grow_may_be_busy(void **state)
{
	struct fixture *f = *state;
	struct ahead a = {.env = f->env, .target_bytes = AHEAD_BYTES};

	turns(f, &a, 1);
	commit_often(f, 20);
	assert_in_range(turns(f, &a, 200), 2, 12);
}

static void beside_some_load_less_is_enough(void **state)
{
	struct fixture *f = *state;
	struct ahead a = {.env = f->env, .target_bytes = 2 * LOADED_BYTES};
	unsigned below = 0;

	turns(f, &a, 1);
	for (unsigned second = 0; second < 4; second++) {
		commit_often(f, 10);
		turns(f, &a, 1000);
	}
	assert_ahead(f, LOADED_BYTES);
	for (unsigned second = 0; second < 20; second++) {
		commit_often(f, 10);
		put_rows(f, 12);
		below += second_with_quarters(f, &a, LOADED_BYTES);
	}
	assert_in_range(below, 2, 5);
	/* The rest waits for quiet. */
	turns(f, &a, 3000);
	assert_ahead(f, 2 * LOADED_BYTES);
}

/* Of a target below that bound, all. */
static void a_small_target_is_reached_beside_some_load(void **state)
{
	struct fixture *f = *state;
	struct ahead a = {.env = f->env, .target_bytes = AHEAD_BYTES};
	unsigned below = 0;

	turns(f, &a, 1);
	for (unsigned second = 0; second < 20; second++) {
		commit_often(f, 10);
		put_rows(f, 4);
		below += second_with_quarters(f, &a, AHEAD_BYTES);
	}
	assert_in_range(below, 2, 6);
}

/* ---- beside much */

static void nothing_is_written_beside_much(void **state)
{
	struct fixture *f = *state;
	struct ahead a = {.env = f->env, .target_bytes = AHEAD_BYTES};

	turns(f, &a, 1);
	for (int second = 0; second < 3; second++) {
		put_rows(f, 100); /* 6 MiB a second */
		assert_int_equal(turns(f, &a, 1000), 0);
	}
	/* With less of it, some: not as fast as in quiet time. */
	put_rows(f, 20);
	assert_in_range(turns(f, &a, 200), 2, 12);
}

/* Two look at the same growth, one of them just before it is no more than so much a second. */
static void much_is_what_is_above_the_loaded_rate(void **state)
{
	struct fixture *f = *state;
	struct ahead fast = {.env = f->env, .target_bytes = AHEAD_BYTES}, slow = fast;
	uint64_t used = look(f).used_bytes, ahead;
	int64_t ms;

	(void)ahead_turn(&fast, f->now_ms);
	(void)ahead_turn(&slow, f->now_ms);
	put_rows(f, 100);
	ahead = lies_ahead(f);
	ms = (int64_t)((look(f).used_bytes - used) * 1000 / LOADED_PER_S);
	assert_true(ms > 1000);
	(void)ahead_turn(&fast, f->now_ms + ms - 1);
	assert_int_equal(lies_ahead(f), ahead);
	(void)ahead_turn(&slow, f->now_ms + ms + 1);
	assert_true(lies_ahead(f) > ahead);
}

static void much_ends_what_was_begun(void **state)
{
	struct fixture *f = *state;
	struct ahead a = {.env = f->env, .target_bytes = 2 * LOADED_BYTES};

	turns(f, &a, 1);
	commit_often(f, 10);
	assert_in_range(turns(f, &a, 500), 20, 30);
	put_rows(f, 100);
	turns(f, &a, 500); /* it does not look before the second is over */
	assert_true(lies_ahead(f) < LOADED_BYTES - LOADED_BYTES / 4);
	assert_int_equal(turns(f, &a, 1000), 0);
	assert_true(turns(f, &a, 1000) > 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(quiet_time_is_used),
		TEST(it_goes_from_three_quarters_to_all),
		TEST(just_three_quarters_are_enough),
		TEST(a_store_that_does_not_grow_may_be_busy),
		TEST(beside_some_load_less_is_enough),
		TEST(a_small_target_is_reached_beside_some_load),
		TEST(nothing_is_written_beside_much),
		TEST(much_is_what_is_above_the_loaded_rate),
		TEST(much_ends_what_was_begun),
	};
	return cmocka_run_group_tests_name("store_ahead", tests, NULL, NULL);
}
