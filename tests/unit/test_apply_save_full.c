/* A full map or disk behind batches that were saved: what fails is refused wholly, and what was saved stays, here and after a kill (P3, P4). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/store_kit.h"
#include "tests/unit/twin.h"

#define A 1
#define B 2
#define JOURNAL_BYTES ((uint64_t)256 << 10)
#define SMALL_MAP_BYTES ((uint64_t)2 << 20)
#define LARGE 60000
#define TOO_MANY 60             /* large posts: more than that map holds */

static struct world w;
static struct twin t;

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, B);
	twin_open(&t, &w, JOURNAL_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	twin_close(&t);
	world_close(&w);
	return 0;
}

static struct command *post(int org)
{
	return world_submit_command(&w, org, 0, world_post_header(&w, org, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), 0);
}

/* What others see of the offers. */
static uint64_t offers(void)
{
	return world_head(&w, stream_channel(RK__CHANNEL__OFFER));
}

static void save_post(void)
{
	assert_int_equal(twin_run(&t, post(A)), RK_OK);
	assert_false(apply_is_stored(w.apply));
}

/* A batch that the map does not hold: refused wholly, whether it was gathered or not. */
static void run_too_many(bool gather)
{
	static struct command *batch[TOO_MANY];
	const struct effect *e;
	uint64_t number = w.orgs[A].devices[0].number;
	size_t count;

	w.message_bytes = LARGE;
	for (unsigned i = 0; i < TOO_MANY; i++) {
		batch[i] = post(A);
		w.orgs[A].devices[0].number++;
	}
	w.message_bytes = 0;
	w.orgs[A].devices[0].number = number;
	assert_int_equal(apply_begin(w.apply, w.now_ms), RK_OK);
	if (gather)
		apply_gather(w.apply);
	for (unsigned i = 0; i < TOO_MANY; i++)
		apply_command(w.apply, batch[i]);
	assert_int_equal(apply_commit(w.apply), RK_STORE_FULL);
	e = apply_effects(w.apply, &count);
	assert_int_equal(count, TOO_MANY);
	for (size_t i = 0; i < count; i++)
		assert_true(e[i].kind == EFFECT_REPLY && e[i].code == RK_STORE_FULL);
}

static void a_full_map_takes_nothing_that_was_saved(void **state)
{
	struct command *c;
	(void)state;

	assert_int_equal(twin_run(&t, post(A)), RK_OK);
	w.map_bytes = SMALL_MAP_BYTES;
	twin_kill(&t);
	for (uint64_t seq = 2; seq < 12; seq += 3) {
		c = post(B);
		assert_int_equal(twin_run(&t, c), RK_OK);
		assert_int_equal(w.reply->seq, seq);
		run_too_many(seq % 2 == 0);
		assert_false(apply_is_stored(w.apply));
		run_too_many(true);
		assert_int_equal(twin_run(&t, c), RK_OK);
		assert_int_equal(w.reply->seq, seq);
		/* No number was used, and what fits passes. */
		save_post();
		assert_int_equal(w.reply->seq, seq + 1);
		run_too_many(false);
		if (seq % 2 == 0)
			assert_int_equal(apply_store(w.apply), RK_OK);
		twin_kill(&t);
		save_post();
		assert_int_equal(w.reply->seq, seq + 2);
	}
	assert_int_equal(twin_ran(&t, world_hello(&w, B, 0)), RK_OK);
	twin_assert_stored(&t);
}

/* The tables cannot grow, and the journal need not. */
static void a_full_disk_takes_nothing_that_was_saved(void **state)
{
	struct rlimit old, tight;
	const struct effect *e;
	struct env_status s;
	struct command *c;
	size_t count;
	(void)state;

	/* A data file longer than the journal. */
	w.message_bytes = LARGE;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(twin_run(&t, post(B)), RK_OK);
	assert_int_equal(apply_store(w.apply), RK_OK);
	assert_int_equal(env_status(w.env, &s), RK_OK);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = (struct rlimit){.rlim_cur = s.used_bytes, .rlim_max = old.rlim_max};
	assert_true(s.used_bytes > JOURNAL_BYTES);
	save_post();
	w.message_bytes = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(apply_store(w.apply), RK_EDISKFULL);
	assert_false(apply_is_stored(w.apply));
	assert_int_equal(offers(), 8);
	save_post();
	assert_int_equal(w.reply->seq, 10);
	assert_int_equal(apply_store(w.apply), RK_EDISKFULL);
	/* One that has to be committed is refused, with no number used. */
	c = world_put_command(&w, A, 0, RK__OBJECT_TYPE__OBJECT_DEVICE_KX,
	                      world_sign(&w, OBJECT_KIND_DEVICE_KX, &w.orgs[A].devices[0].sign, &world_kx(&w, A, 0)->base));
	assert_int_equal(apply_begin(w.apply, w.now_ms), RK_OK);
	apply_gather(w.apply);
	apply_command(w.apply, c);
	assert_int_equal(apply_commit(w.apply), RK_EDISKFULL);
	e = apply_effects(w.apply, &count);
	assert_true(count == 1 && e[0].code == RK_STORE_FULL);
	save_post();
	assert_int_equal(w.reply->seq, 11);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	twin_kill(&t);
	/* Its number was the last post's. */
	assert_int_equal(twin_run(&t, c), RK_NUMBER_CONFLICT);
	save_post();
	assert_int_equal(apply_store(w.apply), RK_OK);
	twin_assert_stored(&t);
}

/* Where what is saved might find no room when it is taken up, nothing is saved. */
static void near_the_end_of_the_map_batches_are_committed(void **state)
{
	(void)state;

	save_post();
	w.limits.soft_percent = 0;
	world_restart(&w);
	assert_int_equal(twin_ran(&t, world_ack(&w, B, stream_channel(RK__CHANNEL__OFFER), 1)), RK_OK);
	twin_assert_stored(&t);
}

/* A start needs no room: without it there is no journal. */
static void a_full_disk_has_no_journal(void **state)
{
	struct rlimit old, tight;
	char path[300];
	(void)state;

	save_post();
	snprintf(path, sizeof(path), "%s/store/journal", w.folder);
	w.journal_bytes = (uint64_t)8 << 20;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = (struct rlimit){.rlim_cur = 4 << 20, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	twin_kill(&t);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(twin_run(&t, post(A)), RK_OK);
	assert_int_equal(w.reply->seq, 2);
	twin_assert_stored(&t);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	twin_kill(&t);
	save_post();
	twin_kill(&t);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_full_map_takes_nothing_that_was_saved),
		TEST(a_full_disk_takes_nothing_that_was_saved),
		TEST(near_the_end_of_the_map_batches_are_committed),
		TEST(a_full_disk_has_no_journal),
	};
	return cmocka_run_group_tests_name("apply saves, and there is no room", tests, NULL, NULL);
}
