/* log: what a home's peers have seen of the log, and what stays without a proof for a day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/log_world.h"

/* ---- what others have seen */

static void what_a_peer_has_seen(void **state)
{
	static const struct {
		const char *name;
		uint64_t size;
		bool by_other;
		enum log_fault at_once, after;
		uint64_t head;
	} rows[] = {
		{"the same", 25, false, LOG_FAULT_NONE, LOG_FAULT_NONE, 25},
		{"an older one", 20, false, LOG_FAULT_NONE, LOG_FAULT_NONE, 25},
		{"a newer one", 30, false, LOG_FAULT_NONE, LOG_FAULT_NONE, 30},
		{"another tree of our size", 25, true, LOG_FAULT_FORK, LOG_FAULT_FORK, 25},
		{"another, older", 20, true, LOG_FAULT_NONE, LOG_FAULT_FORK, 25},
		{"another, newer", 30, true, LOG_FAULT_NONE, LOG_FAULT_FORK, 25},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w;
		struct log_question q;
		void *own;

		open_world(&own);
		w = own;
		settle(w, &w->log);
		log_kit_fill(&w->log, 5, 4);
		log_kit_fill(&w->other, 5, 4);
		see(w, log_kit_note(rows[i].by_other ? &w->other : &w->log, rows[i].size, 0, w->h.a), 1);
		if (fault_of(w) != rows[i].at_once)
			fail_msg("%s: %d at once", rows[i].name, fault_of(w));
		while (next(w, false, &q))
			answer(w, &w->log, &q, NULL);
		if (fault_of(w) != rows[i].after || head_size(w) != rows[i].head)
			fail_msg("%s: fault %d, head %d", rows[i].name, fault_of(w), (int)head_size(w));
		if (rows[i].after == LOG_FAULT_FORK)
			assert_memory_equal(fork_of(w).from_org, home_org(&w->h, 1), 16);
		close_world(&own);
	}
}

/* What a peer added to a note is not sent along. */
static void added_lines_are_not_kept(void **state)
{
	struct world *w = *state;
	struct log_head head;
	struct bytes honest, longer;
	struct txn *t;
	char text[NOTE_MAX_BYTES + 1];

	settle(w, &w->log);
	log_kit_fill(&w->log, 5, 4);
	honest = log_kit_note(&w->log, 30, home_now_ms / 1000, w->h.a);
	snprintf(text, sizeof(text), "%.*s\xe2\x80\x94 unknown.example AAAAAAAAAA==\n", (int)honest.len, (const char *)honest.data);
	longer = bytes_str(text);
	see(w, longer, 1);
	settle(w, &w->log);
	t = begin(w);
	assert_int_equal(log_newest(w->h.client, t, w->h.a, &head), RK_OK);
	env_abort(t);
	assert_int_equal(head.checkpoint.size, 30);
	assert_true(bytes_equal(head.note, honest));
}

/* The broker denies what it signed for somebody else. */
static void a_rollback_that_a_peer_exposes(void **state)
{
	struct world *w = *state;
	struct log_kit whole;
	struct log_question q;

	settle(w, &w->log);
	whole = w->log;
	log_kit_fill(&whole, 5, 4);
	see(w, log_kit_note(&whole, 30, 0, w->h.a), 2);
	assert_true(next(w, false, &q));
	assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
	assert_int_equal(fault_of(w), LOG_FAULT_ROLLBACK);
	assert_memory_equal(fork_of(w).from_org, home_org(&w->h, 2), 16);
}

/* Two peers were shown two trees of one size: known before any proof. */
static void two_peers_two_trees(void **state)
{
	struct world *w = *state;

	settle(w, &w->log);
	log_kit_fill(&w->log, 5, 4);
	log_kit_fill(&w->other, 5, 4);
	see(w, log_kit_note(&w->log, 30, 0, w->h.a), 1);
	see(w, log_kit_note(&w->other, 30, 0, w->h.a), 2);
	assert_int_equal(fault_of(w), LOG_FAULT_FORK);
}

static void notes_that_are_none(void **state)
{
	struct world *w = *state;
	struct log_kit stranger = w->log, next_log = w->log;
	struct fixed f = w->h.f;
	struct bytes note;

	fixed_sign_key(&f.log, "not the log");
	stranger.f = &f;
	next_log.number = 2;
	note = log_kit_note(&w->log, 20, 0, w->h.a);
	see(w, (struct bytes){0}, 1);
	assert_int_equal(home_count(&w->h, "seen-unproven"), 0);
	see(w, bytes_make(note.data, note.len - 1), 1);
	see(w, log_kit_note(&stranger, 20, 0, w->h.a), 1);
	see(w, bytes_str("junk"), 1);
	assert_int_equal(home_count(&w->h, "seen-unproven"), 3);
	see(w, log_kit_note(&next_log, 20, 0, w->h.a), 1);
	assert_int_equal(home_count(&w->h, "seen-unproven"), 3);
	assert_int_equal(home_count(&w->h, "seen-other-log"), 1);
	assert_int_equal(home_inbox(&w->h, RKL__INBOX_KIND__INBOX_ALERT), 1); /* once while it is unread */
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

static void notes_that_wait_are_bounded(void **state)
{
	struct world *w = *state;

	log_kit_fill(&w->log, 100, 4);
	for (uint64_t size = 1; size <= LOG_SEEN_MAX + 10; size++)
		see(w, log_kit_note(&w->log, size, 0, w->h.a), 1);
	assert_int_equal(home_count(&w->h, "log-seen-full"), 10);
	settle(w, &w->log);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

/* A day without a proof, although it was asked for; and the proof that comes after all. */
static void unproven_for_a_day(void **state)
{
	struct world *w = *state;
	struct log_question q;
	struct log_fork f;
	struct txn *t;

	settle(w, &w->log);
	log_kit_fill(&w->log, 5, 4);
	see(w, log_kit_note(&w->log, 30, 0, w->h.a), 1);
	assert_true(next(w, false, &q));
	answer(w, &w->log, &q, older_version);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	home_now_ms += LOG_PROVE_WITHIN_MS - 1;
	answer(w, &w->log, &q, older_version);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	home_now_ms += 1;
	assert_int_equal(fault_of(w), LOG_FAULT_NONE); /* a machine that slept has not asked yet */
	answer(w, &w->log, &q, older_version);
	assert_int_equal(fault_of(w), LOG_FAULT_UNPROVEN);
	see(w, log_kit_note(&w->log, 30, home_now_ms / 1000, w->h.a), 2); /* the same, with the witness's line by now */
	settle(w, &w->log);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	assert_int_equal(head_size(w), 30);
	assert_int_equal(cosigned_size(w), 30);
	t = begin(w);
	assert_int_equal(log_fork_at(w->h.client, t, 1, w->h.a, &f), RK_OK);
	assert_true(!f.stands && f.fault == LOG_FAULT_UNPROVEN);
	env_abort(t);
}

static void a_leaf_unproven_for_a_day(void **state)
{
	struct world *w = *state;
	struct log_question q;

	settle(w, &w->log);
	deliver_leaf(w, &w->log, "terms", home_now_ms);
	home_now_ms += LOG_PROVE_WITHIN_MS;
	assert_true(next(w, false, &q));
	answer(w, &w->log, &q, older_version);
	assert_int_equal(fault_of(w), LOG_FAULT_UNPROVEN);
	settle(w, &w->log);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

/* A question that was asked before there was a head proves nothing of it. */
static void only_the_first_checkpoint_is_taken_unproven(void **state)
{
	struct world *w = *state;
	struct log_question early, q;

	assert_true(next(w, true, &early));
	assert_int_equal(early.from_size, 0);
	settle(w, &w->log);
	assert_int_equal(head_size(w), 25);
	log_kit_fill(&w->other, 5, 4);
	assert_int_equal(answer(w, &w->other, &early, NULL), RK_MALFORMED);
	assert_int_equal(head_size(w), 25);
	assert_true(next(w, true, &q));
	assert_int_equal(q.from_size, 25);
	assert_int_equal(answer(w, &w->other, &q, bent_consistency), RK_OK);
	assert_int_equal(fault_of(w), LOG_FAULT_FORK);
}

/* Its newest is ours for ever, and validly so; what it told is never in it. */
static void a_frozen_head_is_unproven_after_a_day(void **state)
{
	struct world *w = *state;
	struct log_question q;
	struct log_kit frozen;

	settle(w, &w->log);
	frozen = w->log;
	deliver_leaf(w, &w->log, "terms", home_now_ms);
	home_now_ms += LOG_PROVE_WITHIN_MS - 1;
	for (unsigned i = 0; i < 10; i++) {
		assert_true(next(w, i == 0, &q));
		assert_int_equal(answer(w, &frozen, &q, NULL), RK_OK);
		assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	}
	home_now_ms += 1;
	assert_true(next(w, false, &q));
	assert_int_equal(answer(w, &frozen, &q, NULL), RK_OK);
	assert_int_equal(fault_of(w), LOG_FAULT_UNPROVEN);
	settle(w, &w->log);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

/* It grows, and stays behind; and what a younger leaf waits for hides no older one. */
static void a_head_that_grows_too_slowly_is_no_excuse(void **state)
{
	struct world *w = *state;
	struct delivery absurd = {.seq = 9, .time_ms = home_now_ms, .kind = RK__ENTRY_KIND__ENTRY_NDA_TERMS, .logged = true,
	                          .log_index = INT64_MAX, .object = bytes_str("absurd")};
	struct log_question q;
	struct txn *t;

	settle(w, &w->log);
	t = begin(w);
	assert_int_equal(log_on_entry(w->h.client, t, &absurd), RK_OK);
	commit(t);
	home_now_ms += LOG_PROVE_WITHIN_MS - 5;
	for (unsigned i = 0; i < 5; i++) {
		log_kit_fill(&w->log, i, 1);
		assert_true(next(w, false, &q));
		assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
		assert_int_equal(fault_of(w), LOG_FAULT_NONE);
		home_now_ms += 1;
	}
	absurd.log_index--;
	absurd.object = bytes_str("younger");
	t = begin(w);
	assert_int_equal(log_on_entry(w->h.client, t, &absurd), RK_OK);
	commit(t);
	log_kit_fill(&w->log, 5, 1);
	assert_true(next(w, false, &q));
	assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
	assert_int_equal(fault_of(w), LOG_FAULT_UNPROVEN);
}

/* Nor does it keep others from being asked about: what a peer saw is compared, and cosigned proofs are fetched. */
static void a_leaf_out_of_reach_hinders_no_other_question(void **state)
{
	struct world *w = *state;
	struct log_question q;
	struct log_kit frozen;

	deliver_leaf(w, &w->log, "terms", home_now_ms);
	settle(w, &w->log);
	log_kit_fill(&w->log, 5, 4);
	settle(w, &w->log);
	deliver_checkpoint(w, log_kit_note(&w->log, head_size(w), home_now_ms / 1000, w->h.a));
	frozen = w->log;
	deliver_leaf(w, &w->log, "more", home_now_ms);
	log_kit_fill(&w->other, 5, 4);
	see(w, log_kit_note(&w->other, 30, 0, w->h.a), 1);
	assert_true(next(w, false, &q));
	assert_int_equal(q.size, head_size(w));
	assert_int_equal(q.index_count, 0);
	assert_int_equal(answer(w, &frozen, &q, bent_consistency), RK_OK);
	assert_int_equal(fault_of(w), LOG_FAULT_FORK);
	assert_true(next(w, false, &q));
	assert_int_equal(q.index_count, 1);
	assert_int_equal(answer(w, &frozen, &q, NULL), RK_OK);
	assert_true(next(w, false, &q));
	assert_int_equal(q.size, 0);
}

static void vain(struct world *w, const struct log_question *q)
{
	struct txn *t = begin(w);

	assert_int_equal(log_on_vain(w->h.client, t, q), RK_OK);
	commit(t);
}

/* Each session ends with the question: the others are answered, and that one counts until it is. */
static void asked_in_vain_for_a_day(void **state)
{
	struct world *w = *state;
	struct log_question q;

	settle(w, &w->log);
	log_kit_fill(&w->log, 5, 4);
	see(w, log_kit_note(&w->log, 30, 0, w->h.a), 1);
	home_now_ms += 3 * LOG_PROVE_WITHIN_MS; /* away: nothing was asked */
	for (unsigned i = 0; i < 5; i++) {
		assert_true(next(w, false, &q));
		assert_int_equal(q.from_size, 25);
		vain(w, &q);
		assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	}
	home_now_ms += LOG_PROVE_WITHIN_MS - 1;
	vain(w, &q);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	home_now_ms += 1;
	vain(w, &q);
	assert_int_equal(fault_of(w), LOG_FAULT_UNPROVEN);
	assert_memory_equal(fork_of(w).from_org, home_org(&w->h, 1), 16);
	/* It was a line that broke, after all. */
	settle(w, &w->log);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

/* Two broken lines in a month are none. */
static void seldom_in_vain_is_nothing(void **state)
{
	struct world *w = *state;
	struct log_question q;

	settle(w, &w->log);
	log_kit_fill(&w->log, 5, 4);
	see(w, log_kit_note(&w->log, 30, 0, w->h.a), 1);
	assert_true(next(w, false, &q));
	for (unsigned i = 0; i < 2; i++) {
		vain(w, &q);
		home_now_ms += 15 * DAY_MS;
		assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	}
	vain(w, &q);
	assert_int_equal(fault_of(w), LOG_FAULT_UNPROVEN);
}

/* The newest that it shows ends the count of that question, and of no other; an entry that was promised is asked for by a call of its own. */
static void a_promise_whose_call_is_in_vain(void **state)
{
	struct world *w = *state;
	struct log_question q, newest;
	uint8_t oh[32] = {7};
	struct txn *t;

	settle(w, &w->log);
	t = begin(w);
	assert_int_equal(log_on_promise(w->h.client, t, 25, oh), RK_OK);
	commit(t);
	home_now_ms += LOG_PROVE_WITHIN_MS;
	for (unsigned i = 0; i < 25; i++) {
		assert_true(next(w, true, &newest));
		assert_false(newest.is_last_call);
		vain(w, &newest);
		assert_int_equal(answer(w, &w->log, &newest, NULL), RK_OK);
		assert_int_equal(fault_of(w), LOG_FAULT_NONE);
		assert_true(next(w, false, &q));
		assert_true(q.is_last_call);
		vain(w, &q);
		if (i < 24)
			assert_int_equal(fault_of(w), LOG_FAULT_NONE);
		home_now_ms += HOUR_MS;
	}
	assert_int_equal(fault_of(w), LOG_FAULT_UNPROVEN);
	assert_int_equal(fork_of(w).leaf, 25);
}

/* A broker from before the tree promises no proofs, however long one waits. */
static void an_older_broker_is_no_liar(void **state)
{
	struct world *w = *state;
	struct log_question q;

	deliver_leaf(w, &w->log, "terms", home_now_ms);
	home_now_ms += 30 * DAY_MS;
	assert_true(next(w, true, &q));
	answer(w, &w->log, &q, older_version);
	answer(w, &w->log, &q, unknown);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_peer_has_seen),
		TEST(added_lines_are_not_kept),
		TEST(a_rollback_that_a_peer_exposes),
		TEST(two_peers_two_trees),
		TEST(notes_that_are_none),
		TEST(notes_that_wait_are_bounded),
		TEST(unproven_for_a_day),
		TEST(a_leaf_unproven_for_a_day),
		TEST(only_the_first_checkpoint_is_taken_unproven),
		TEST(a_frozen_head_is_unproven_after_a_day),
		TEST(a_head_that_grows_too_slowly_is_no_excuse),
		TEST(a_leaf_out_of_reach_hinders_no_other_question),
		TEST(asked_in_vain_for_a_day),
		TEST(seldom_in_vain_is_nothing),
		TEST(a_promise_whose_call_is_in_vain),
		TEST(an_older_broker_is_no_liar),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
