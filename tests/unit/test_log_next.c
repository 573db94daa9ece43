/* log: the next log, under another Charter; and leaves that were promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/ids.h"
#include "tests/unit/log_world.h"

/* ---- the next log */

static const uint8_t *object_hash_of(struct world *w, enum object_kind kind, struct bytes wire, uint8_t oh[32])
{
	struct object o;

	assert_int_equal(object_parse(kind, wire, w->h.a, &o), RK_OK);
	object_oh(oh, &o, w->h.f.exchange_id);
	return oh;
}

static void the_next_log_begins_anew(void **state)
{
	struct world *w = *state;
	struct log_question q;
	struct log_kit second;
	struct log_fork f;
	uint64_t kept, lost;
	struct txn *t;

	settle(w, &w->log);
	kept = deliver_leaf(w, &w->log, "kept", home_now_ms);
	second = w->log;
	second.number = 2;
	lost = deliver_leaf(w, &w->log, "lost", home_now_ms);
	assert_true(kept == 25 && lost == 26);
	assert_true(next(w, true, &q));
	answer(w, &w->other, &q, NULL); /* a contradiction stands under the old log */
	assert_int_equal(fault_of(w), LOG_FAULT_FORK);
	put_charter(w, 2, 2, log_kit_note(&w->log, 26, 0, w->h.a), NULL);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	assert_int_equal(head_size(w), 0);
	log_kit_fill(&second, 3, 7);
	settle(w, &second);
	assert_int_equal(head_size(w), 29);
	assert_int_equal(unproven(w), 0);
	assert_int_equal(home_count(&w->h, "log-lost"), 1);
	assert_int_equal(home_count(&w->h, "log-cut"), 0); /* we had seen no more of the old one than it says */
	t = begin(w);
	assert_int_equal(log_fork_at(w->h.client, t, 1, w->h.a, &f), RK_OK);
	assert_false(f.stands);
	env_abort(t);
	/* Another object under an index that the old log had: nothing is wrong with it. */
	deliver_leaf(w, &second, "again", home_now_ms);
	settle(w, &second);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

static bool is_proven_in(struct world *w, unsigned number, const char *terms)
{
	struct log_leaf leaf;
	struct bytes text;
	int64_t witness_ms;
	struct txn *t = begin(w);
	uint8_t oh[32];
	int r;

	ids_nda(oh, w->h.f.exchange_id, bytes_str(terms));
	r = log_leaf_in(t, number, oh, &leaf);
	if (r == RK_OK)
		r = log_leaf_proof(w->h.client, t, &leaf, w->h.a, &text, &witness_ms);
	env_abort(t);
	assert_true(r == RK_OK || r == RK_ENOTFOUND);
	return r == RK_OK;
}

/* What a copy of the broker had is in both logs, and proven in both; what came after the copy only in the old one. */
static void what_two_logs_share_is_proven_in_both(void **state)
{
	struct delivery d = {.stream = stream_control(), .kind = RK__ENTRY_KIND__ENTRY_CHARTER, .time_ms = home_now_ms, .logged = true};
	struct world *w = *state;
	struct log_kit second;
	uint8_t oh[32];
	uint64_t serial;
	struct txn *t;

	deliver_leaf(w, &w->log, "shared", home_now_ms);
	second = w->log;
	second.number = 2;
	deliver_leaf(w, &w->log, "lost", home_now_ms);
	settle(w, &w->log);
	/* The newest checkpoint of the old log is younger than the copy: where the next one began, its Charter's own leaf says. */
	put_charter(w, 2, 2, log_kit_note(&w->log, 27, 0, w->h.a), NULL);
	t = begin(w);
	assert_int_equal(book_newest(t, RK__OBJECT_TYPE__OBJECT_CHARTER, NULL, &serial, oh, &d.object), RK_OK);
	d.log_index = log_kit_add(&second, RK__LOG_TYPE__LOG_CHARTER, home_now_ms, object_hash_of(w, OBJECT_KIND_CHARTER, d.object, oh));
	assert_int_equal(d.log_index, 26);
	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK);
	commit(t);
	assert_false(is_proven_in(w, 2, "shared"));
	assert_true(is_proven_in(w, 1, "shared"));
	settle(w, &second);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	assert_true(is_proven_in(w, 1, "shared") && is_proven_in(w, 2, "shared"));
	assert_true(is_proven_in(w, 1, "lost") && !is_proven_in(w, 2, "lost"));
	assert_int_equal(home_count(&w->h, "log-lost"), 0);
}

/* ---- promised leaves */

static const uint8_t promised_oh[32] = {7}, another_oh[32] = {8};

static void promise(struct world *w, uint64_t index, const uint8_t oh[32])
{
	struct txn *t = begin(w);

	assert_int_equal(log_on_promise(w->h.client, t, index, oh), RK_OK);
	commit(t);
}

/* The entry of terms that are `name`, at any index. */
static void deliver_at(struct world *w, const char *name, uint64_t index)
{
	struct delivery d = {.stream = stream_mailbox(w->h.org_id), .kind = RK__ENTRY_KIND__ENTRY_NDA_TERMS, .time_ms = home_now_ms,
	                     .logged = true, .log_index = index, .object = bytes_str(name)};
	struct txn *t = begin(w);

	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK);
	commit(t);
}

static void a_promise_is_kept(void **state)
{
	struct world *w = *state;
	uint8_t oh[32];
	uint64_t index;

	settle(w, &w->log);
	ids_nda(oh, w->h.f.exchange_id, bytes_str("terms"));
	promise(w, 25, oh);
	promise(w, 25, oh);
	assert_int_equal(unproven(w), 1);
	/* The hour of the reply is not the leaf's. */
	home_now_ms += HOUR_MS;
	index = deliver_leaf(w, &w->log, "terms", home_now_ms);
	assert_int_equal(index, 25);
	settle(w, &w->log);
	assert_int_equal(unproven(w), 0);
	/* Or the entry was quicker, or the reply is repeated. */
	promise(w, 25, oh);
	home_now_ms += LOG_PROVE_WITHIN_MS;
	settle(w, &w->log);
	assert_int_equal(unproven(w), 0);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

static void a_promise_that_is_not_kept_for_a_day(void **state)
{
	struct world *w = *state;
	struct log_question q;
	struct log_fork f;
	uint8_t oh[32];

	settle(w, &w->log);
	ids_nda(oh, w->h.f.exchange_id, bytes_str("terms"));
	promise(w, 25, oh);
	home_now_ms += LOG_PROVE_WITHIN_MS - 1;
	assert_false(next(w, false, &q)); /* nothing to ask: the entry brings what can be asked for */
	home_now_ms += 1;
	/* What is asked before the streams have caught up judges nothing: the entry may be in them. */
	assert_true(next(w, true, &q));
	assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	assert_true(next(w, false, &q) && q.is_last_call);
	assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
	f = fork_of(w);
	assert_int_equal(f.fault, LOG_FAULT_UNPROVEN);
	assert_int_equal(f.leaf, 25);
	assert_false(next(w, false, &q));
	assert_int_equal(deliver_leaf(w, &w->log, "terms", home_now_ms), 25);
	settle(w, &w->log);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	assert_int_equal(unproven(w), 0);
}

/* Refusing the question is no way out. */
static void a_promise_and_no_answer(void **state)
{
	struct world *w = *state;
	struct log_question q;

	settle(w, &w->log);
	promise(w, 3, promised_oh);
	home_now_ms += LOG_PROVE_WITHIN_MS;
	assert_true(next(w, false, &q) && q.is_last_call);
	answer(w, &w->log, &q, older_version);
	assert_int_equal(fault_of(w), LOG_FAULT_UNPROVEN);
}

static void promises_that_contradict(void **state)
{
	static const struct {
		uint64_t promised;
		bool is_same;            /* object */
		uint64_t other;
		bool by_reply;           /* the second word is another reply, not an entry */
		bool entry_first;
		enum log_fault fault;
	} rows[] = {
		{25, true, 25, false, false, LOG_FAULT_NONE},  {25, true, 24, false, false, LOG_FAULT_LEAF},
		{25, true, 26, false, true, LOG_FAULT_LEAF},   {25, false, 25, false, false, LOG_FAULT_LEAF},
		{25, false, 25, false, true, LOG_FAULT_LEAF},  {25, false, 26, false, true, LOG_FAULT_NONE},
		{25, false, 25, true, false, LOG_FAULT_LEAF},  {25, true, 26, true, false, LOG_FAULT_LEAF},
		{25, false, 26, true, false, LOG_FAULT_NONE},  {UINT64_MAX, true, 25, false, false, LOG_FAULT_LEAF},
	};
	uint8_t terms[32];

	close_world(state);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w;

		open_world(state);
		w = *state;
		settle(w, &w->log);
		ids_nda(terms, w->h.f.exchange_id, bytes_str("terms"));
		if (rows[i].entry_first)
			deliver_at(w, "terms", rows[i].other);
		promise(w, rows[i].promised, rows[i].is_same ? terms : another_oh);
		if (rows[i].by_reply)
			promise(w, rows[i].other, terms);
		else
			deliver_at(w, "terms", rows[i].other);
		assert_int_equal(fault_of(w), rows[i].fault);
		close_world(state);
	}
	open_world(state);
}

/* What the next log shares is still to come; of what was lost nothing can come, and that is nobody's lie. */
static void promises_of_a_log_that_was_cut(void **state)
{
	struct world *w = *state;
	struct log_kit second;
	uint8_t oh[32];

	settle(w, &w->log);
	ids_nda(oh, w->h.f.exchange_id, bytes_str("kept"));
	promise(w, 25, oh);
	promise(w, 26, another_oh);
	assert_int_equal(log_kit_add(&w->log, RK__LOG_TYPE__LOG_NDA_TERMS, home_now_ms, oh), 25);
	second = w->log;
	second.number = 2;
	home_now_ms += LOG_PROVE_WITHIN_MS;
	put_charter(w, 2, 2, log_kit_note(&w->log, 26, 0, w->h.a), NULL);
	log_kit_fill(&second, 3, 7);
	settle(w, &second);
	assert_int_equal(home_count(&w->h, "log-lost"), 1);
	assert_int_equal(unproven(w), 1);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
	deliver_at(w, "kept", 25);
	home_now_ms += LOG_PROVE_WITHIN_MS;
	assert_int_equal(unproven(w), 1);
}

static void a_log_that_was_cut(void **state)
{
	static const struct {
		uint64_t end;
		bool by_other;
		unsigned alarms;
	} rows[] = {{25, false, 0}, {30, false, 0}, {24, false, 1}, {25, true, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w;
		void *own;

		open_world(&own);
		w = own;
		settle(w, &w->log);
		log_kit_fill(&w->log, 10, 4);
		put_charter(w, 2, 2, log_kit_note(rows[i].by_other ? &w->other : &w->log, rows[i].end, 0, w->h.a), NULL);
		w->log.number = 2;
		settle(w, &w->log);
		assert_int_equal(home_count(&w->h, "log-cut"), rows[i].alarms);
		assert_int_equal(fault_of(w), LOG_FAULT_NONE);
		close_world(&own);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_log_begins_anew),
		TEST(what_two_logs_share_is_proven_in_both),
		TEST(a_promise_is_kept),
		TEST(a_promise_that_is_not_kept_for_a_day),
		TEST(a_promise_and_no_answer),
		TEST(promises_that_contradict),
		TEST(promises_of_a_log_that_was_cut),
		TEST(a_log_that_was_cut),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
