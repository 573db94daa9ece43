/*
 * Batches that are saved in the journal instead of being committed: which ones, what others see of them, and what a kill leaves (P3, P4, P8).
 * test_apply_save_full.c has those that meet a full map or disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/store_kit.h"
#include "tests/unit/twin.h"

#define A 1
#define B 2
#define C 3
#define TO_A 2u
#define TO_B 4u
#define OFFER RK__CHANNEL__OFFER
#define NEED RK__CHANNEL__NEED
#define JOURNAL_BYTES ((uint64_t)256 << 10)

static struct world w;
static struct twin t;
static uint8_t nda[32], letter[32]; /* an agreement of A and B, and a dossier of A that B has not fetched */

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, B);
	world_agree(&w, TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, letter), RK_OK);
	assert_int_equal(world_put_invite(&w, world_invite(&w, C)), RK_OK);
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

static struct command *post(int org, Rk__Channel channel)
{
	return world_submit_command(&w, org, 0, world_post_header(&w, org, channel, RK__POST_OP__NEW, 0, 1), 0);
}

/* What others see of the offers. */
static uint64_t offers(void)
{
	return world_head(&w, stream_channel(OFFER));
}

static void save_post(void)
{
	assert_int_equal(twin_run(&t, post(A, OFFER)), RK_OK);
	assert_false(apply_is_stored(w.apply));
}

/* ---- saved and stored */

static void nothing_saved_is_nothing_to_store(void **state)
{
	(void)state;
	assert_true(apply_is_stored(w.apply));
	assert_int_equal(apply_store(w.apply), RK_OK);
	twin_assert_stored(&t);
	save_post();
	assert_int_equal(apply_store(w.apply), RK_OK);
	assert_int_equal(apply_store(w.apply), RK_OK);
	twin_assert_stored(&t);
}

static void what_is_saved_is_answered_and_not_in_the_tables(void **state)
{
	struct command *batch[20];
	int codes[20];
	(void)state;

	for (int i = 0; i < 20; i++) {
		batch[i] = post(i % 2 ? A : B, i % 4 < 2 ? OFFER : NEED);
		w.orgs[i % 2 ? A : B].devices[0].number++;
	}
	w.orgs[A].devices[0].number -= 10;
	w.orgs[B].devices[0].number -= 10;
	world_run_batch(&w, batch, 20, codes);
	twin_follow(&t, batch, 20);
	for (int i = 0; i < 20; i++)
		assert_int_equal(codes[i], RK_OK);
	/* The next batch sees it, nobody else does. */
	assert_int_equal(twin_ran(&t, world_ack(&w, B, stream_channel(OFFER), 10)), RK_OK);
	assert_int_equal(twin_ran(&t, world_ack(&w, A, stream_channel(OFFER), 11)), RK_GENERATION);
	w.now_ms += 1000;
	assert_int_equal(twin_run(&t, post(A, OFFER)), RK_OK);
	assert_int_equal(w.reply->seq, 11);
	assert_false(apply_is_stored(w.apply));
	assert_int_equal(offers(), 0);
	assert_false(store_kit_equal(w.env, t.env));
	assert_int_equal(apply_store(w.apply), RK_OK);
	assert_int_equal(offers(), 11);
	twin_assert_stored(&t);
}

/* Those refused, those repeated, and those that are nobody's. */
static void refusals_are_saved_too(void **state)
{
	Rk__EnvelopeHeader *h = world_post_header(&w, A, OFFER, RK__POST_OP__NEW, 0, 1);
	struct command *c;
	(void)state;

	save_post();
	h->created_at += WORLD_DAY_MS;
	h->expires_at += WORLD_DAY_MS;
	c = world_submit_command(&w, A, 0, h, 0);
	assert_int_equal(twin_run(&t, c), RK_CLOCK);
	assert_int_equal(twin_run(&t, c), RK_CLOCK);
	assert_int_equal(twin_run(&t, post(A, RK__CHANNEL__CALL)), RK_NOT_PERMITTED);
	assert_int_equal(twin_ran(&t, world_post(&w, A, OFFER, RK__POST_OP__REVISE, 9, 2)), RK_UNKNOWN_OBJECT);
	assert_false(apply_is_stored(w.apply));
	twin_kill(&t);
	w.now_ms += WORLD_DAY_MS;
	assert_int_equal(twin_run(&t, c), RK_CLOCK);
}

/* A journal that is full begins anew with the commit. */
static void more_than_the_journal_holds(void **state)
{
	unsigned stored = 0;
	(void)state;

	w.message_bytes = 60000;
	for (unsigned i = 0; i < 24; i++) {
		assert_int_equal(twin_run(&t, post(A, OFFER)), RK_OK);
		assert_int_equal(w.reply->seq, i + 1);
		stored += apply_is_stored(w.apply);
		if (apply_is_stored(w.apply))
			twin_assert_stored(&t);
		if (i % 7 == 6)
			twin_kill(&t);
	}
	assert_true(stored >= 3 && stored <= 8);
	w.message_bytes = 0;
	save_post();
	twin_kill(&t);
}

/* ---- kills */

static void a_kill_behind_each_batch(void **state)
{
	struct command *c;
	(void)state;

	for (unsigned i = 1; i <= 12; i++) {
		w.now_ms += i % 3 == 0 ? 1000 : 0;
		c = post(A, OFFER);
		assert_int_equal(twin_run(&t, c), RK_OK);
		assert_int_equal(w.reply->seq, i);
		if (i % 2 == 0)
			assert_int_equal(twin_ran(&t, world_ack(&w, B, stream_channel(OFFER), i)), RK_OK);
		assert_int_equal(offers(), i - 1);
		twin_kill(&t);
		/* Its number has its outcome, before a commit as after it. */
		assert_int_equal(twin_run(&t, c), RK_OK);
		assert_int_equal(w.reply->seq, i);
		assert_int_equal(offers(), i);
	}
	assert_int_equal(twin_ran(&t, world_hello(&w, A, 0)), RK_OK);
	assert_int_equal(w.reply->hello->last_number, w.orgs[A].devices[0].number);
}

static void a_kill_behind_many(void **state)
{
	struct command *first = post(A, OFFER);
	(void)state;

	assert_int_equal(twin_run(&t, first), RK_OK);
	for (unsigned i = 0; i < 40; i++) {
		w.now_ms += 10;
		assert_int_equal(twin_run(&t, post(i % 3 ? A : B, i % 5 ? OFFER : NEED)), RK_OK);
		assert_false(apply_is_stored(w.apply));
	}
	twin_kill(&t);
	twin_kill(&t); /* once taken up it is not taken up again */
	assert_int_equal(twin_run(&t, first), RK_OK);
	assert_int_equal(w.reply->seq, 1);
	save_post();
	assert_int_equal(w.reply->seq, 34);
	/* Time is the last batch's. */
	w.now_ms -= 200;
	first = post(B, OFFER);
	assert_int_equal(twin_run(&t, first), RK_OK);
	twin_kill(&t);
}

static void a_kill_within_a_batch(void **state)
{
	struct command *c;
	(void)state;

	save_post();
	c = post(A, OFFER);
	assert_int_equal(apply_begin(w.apply, w.now_ms), RK_OK);
	apply_gather(w.apply);
	apply_command(w.apply, c);
	twin_kill(&t);
	assert_int_equal(twin_run(&t, c), RK_OK);
	assert_int_equal(w.reply->seq, 2);
	twin_kill(&t);
}

/* What a journal held before a commit is nothing behind it, though its bytes are there. */
static void a_kill_behind_a_commit(void **state)
{
	(void)state;

	for (unsigned i = 0; i < 3; i++) {
		save_post();
		save_post();
		if (i == 1)
			assert_int_equal(twin_ran(&t, world_hello(&w, B, 0)), RK_OK);
		else
			assert_int_equal(apply_store(w.apply), RK_OK);
		twin_assert_stored(&t);
		if (i == 2)
			save_post();
		twin_kill(&t);
	}
}

/* Stopped and started without a journal: it is taken up, and the file is gone. */
static void a_start_without_a_journal(void **state)
{
	char path[300];
	struct env_options o = store_kit_options(w.folder, path);
	(void)state;

	save_post();
	verify_free(w.verify);
	apply_close(w.apply);
	roster_free(w.roster);
	env_close(w.env);
	o.is_writer = true;
	assert_int_equal(env_open(&o, &w.env), RK_OK);
	w.roster = roster_new();
	w.verify = verify_new(w.roster, w.f.exchange_id);
	assert_int_equal(apply_open(w.env, &w.limits, w.roster, &w.apply), RK_OK);
	twin_assert_stored(&t);
	snprintf(path, sizeof(path), "%s/store/journal", w.folder);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(twin_run(&t, post(A, OFFER)), RK_OK);
	assert_int_equal(w.reply->seq, 2);
	twin_assert_stored(&t);
}

/* ---- what is not saved */

static int revise(void)
{
	return world_post(&w, A, OFFER, RK__POST_OP__REVISE, 1, 2);
}

static int renew(void)
{
	return world_post(&w, A, OFFER, RK__POST_OP__RENEW, 1, 3);
}

static int withdraw(void)
{
	return world_post(&w, A, OFFER, RK__POST_OP__WITHDRAW, 1, 4);
}

static int hello(void)
{
	return world_hello(&w, B, 0);
}

static int open_mail(void)
{
	return world_submit(&w, A, 0, world_header(&w, RK__KIND__OPEN, A, 0, TO_B), TO_B);
}

static int disclose(void)
{
	return world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
}

static int pickup(void)
{
	return world_pickup(&w, B, 0, nda, letter);
}

static int fetch(void)
{
	return world_fetch(&w, B, 0, letter);
}

static int propose(void)
{
	uint8_t id[32];

	return world_propose(&w, A, world_terms(&w, TO_A | TO_B), id);
}

static int act(void)
{
	return world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE);
}

static int enrol(void)
{
	return world_put_enrol(&w, C, world_enrol(&w, C));
}

static int put_epoch(void)
{
	return world_put_epoch(&w, world_epoch(&w));
}

static int put_kx(void)
{
	return world_put_kx(&w, A, 0, world_kx(&w, A, 0));
}

static int deposit(void)
{
	return world_deposit(&w, A, 0);
}

static int open_blob(void)
{
	return world_blob_open(&w, A, nda, world_blob(&w, 300));
}

static void all_else_is_committed_with_what_was_saved(void **state)
{
	static int (*const fn[])(void) = {revise, renew,   withdraw, hello,  open_mail, disclose, pickup,    fetch,
	                                  put_kx, propose, enrol,    deposit, open_blob, put_epoch, act};
	(void)state;

	for (size_t i = 0; i < sizeof(fn) / sizeof(fn[0]); i++) {
		uint64_t head = offers();

		save_post();
		assert_int_equal(offers(), head);
		assert_int_equal(twin_ran(&t, fn[i]()), RK_OK);
		if (!apply_is_stored(w.apply))
			fail_msg("the %zuth was saved", i);
		twin_assert_stored(&t);
		assert_true(offers() > head);
	}
	save_post();
	twin_kill(&t);
}

/* One of them among posts, wherever it stands. */
static void a_batch_of_both_is_committed(void **state)
{
	(void)state;

	for (unsigned place = 0; place < 3; place++) {
		struct command *batch[3];
		int codes[3];

		save_post();
		for (unsigned i = 0; i < 3; i++) {
			batch[i] = i == place ? world_blob_open_command(&w, A, nda, world_blob(&w, 300)) : post(A, OFFER);
			w.orgs[A].devices[0].number++;
		}
		w.orgs[A].devices[0].number -= 3;
		world_run_batch(&w, batch, 3, codes);
		twin_follow(&t, batch, 3);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(codes[i], RK_OK);
		twin_assert_stored(&t);
	}
}

static void what_is_due_is_committed(void **state)
{
	Rk__EnvelopeHeader *h = world_post_header(&w, A, OFFER, RK__POST_OP__NEW, 0, 1);
	(void)state;

	h->expires_at = w.now_ms + 3600000;
	assert_int_equal(twin_run(&t, world_submit_command(&w, A, 0, h, 0)), RK_OK);
	assert_false(apply_is_stored(w.apply));
	/* Of what was saved, too, the tick must know. */
	assert_true(apply_next_due(w.apply) == h->expires_at);
	w.now_ms = h->expires_at - 1;
	save_post();
	w.now_ms++;
	world_tick(&w);
	twin_follow(&t, NULL, 0);
	twin_assert_stored(&t);
	h = world_post_header(&w, A, OFFER, RK__POST_OP__NEW, 0, 1);
	h->expires_at = w.now_ms + 3600000;
	assert_int_equal(twin_run(&t, world_submit_command(&w, A, 0, h, 0)), RK_OK);
	twin_kill(&t);
	assert_true(apply_next_due(w.apply) == h->expires_at);
	w.now_ms = h->expires_at;
	assert_int_equal(twin_run(&t, post(B, OFFER)), RK_OK);
	twin_assert_stored(&t);
}

static void who_does_not_gather_commits(void **state)
{
	(void)state;

	save_post();
	w.gathers = false;
	assert_int_equal(twin_run(&t, post(A, OFFER)), RK_OK);
	twin_assert_stored(&t);
	w.gathers = true;
	save_post();
	w.gathers = false;
	world_tick(&w);
	twin_follow(&t, NULL, 0);
	twin_assert_stored(&t);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(nothing_saved_is_nothing_to_store),
		TEST(what_is_saved_is_answered_and_not_in_the_tables),
		TEST(refusals_are_saved_too),
		TEST(more_than_the_journal_holds),
		TEST(a_kill_behind_each_batch),
		TEST(a_kill_behind_many),
		TEST(a_kill_within_a_batch),
		TEST(a_kill_behind_a_commit),
		TEST(a_start_without_a_journal),
		TEST(all_else_is_committed_with_what_was_saved),
		TEST(a_batch_of_both_is_committed),
		TEST(what_is_due_is_committed),
		TEST(who_does_not_gather_commits),
	};
	return cmocka_run_group_tests_name("apply saves", tests, NULL, NULL);
}
