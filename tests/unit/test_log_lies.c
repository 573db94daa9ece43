/* log: a home against a broker that lies about its log in every way that a signature and a proof can show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/strict.h"
#include "tests/unit/log_world.h"

/* ---- lies in answers */

static void no_consistency(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->set.consistency.len = 0;
}

static void half_a_hash(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->set.consistency.len -= 1;
}

static void bad_signature(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	uint8_t *last = &a->reply.note.data[a->reply.note.len - 10];

	(void)w;
	(void)q;
	*last = *last == 'A' ? 'B' : 'A';
}

static void no_note(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->reply.note.len = 0;
}

static void other_size_told(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->reply.size += 1;
}

static void huge(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)q;
	a->set.consistency = (ProtobufCBinaryData){1 << 20, fixed_alloc(w->h.a, 1 << 20)};
}

static void smaller_than_signed(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)q;
	a->reply.size = 20;
	a->reply.note = pb_of(log_kit_note(&w->log, 20, 0, w->h.a));
	a->set.consistency.len = 0;
}

/* The newest checkpoint, asked for by a home that has verified size 25. */
static void lies_about_the_newest_checkpoint(void **state)
{
	static const struct {
		const char *name;
		bool by_other;     /* from the log with another past */
		unsigned grow;
		bend_fn *bend;
		int code;
		enum log_fault fault;
		uint64_t head;
	} rows[] = {
		{"honest", false, 10, NULL, RK_OK, LOG_FAULT_NONE, 35},
		{"the same again", false, 0, NULL, RK_OK, LOG_FAULT_NONE, 25},
		{"fork, larger", true, 10, NULL, RK_OK, LOG_FAULT_FORK, 25},
		{"fork, same size", true, 0, NULL, RK_OK, LOG_FAULT_FORK, 25},
		{"no proof", false, 10, no_consistency, RK_OK, LOG_FAULT_FORK, 25},
		{"proof bent", false, 10, bent_consistency, RK_OK, LOG_FAULT_FORK, 25},
		{"rolled back", false, 0, smaller_than_signed, RK_OK, LOG_FAULT_ROLLBACK, 25},
		{"denied", false, 0, unknown, RK_OK, LOG_FAULT_ROLLBACK, 25},
		{"half a hash", false, 10, half_a_hash, RK_MALFORMED, LOG_FAULT_NONE, 25},
		{"bad signature", false, 10, bad_signature, RK_MALFORMED, LOG_FAULT_NONE, 25},
		{"no note", false, 10, no_note, RK_MALFORMED, LOG_FAULT_NONE, 25},
		{"another size told", false, 10, other_size_told, RK_MALFORMED, LOG_FAULT_NONE, 25},
		{"huge", false, 10, huge, RK_MALFORMED, LOG_FAULT_NONE, 25},
		{"older broker", false, 10, older_version, RK_OK, LOG_FAULT_NONE, 25},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w;
		struct log_question q;
		void *own;
		int r;

		(void)state;
		open_world(&own);
		w = own;
		settle(w, &w->log);
		log_kit_fill(&w->log, rows[i].grow, 4);
		log_kit_fill(&w->other, rows[i].grow, 4);
		assert_true(next(w, true, &q));
		r = answer(w, rows[i].by_other ? &w->other : &w->log, &q, rows[i].bend);
		if (r != rows[i].code || fault_of(w) != rows[i].fault || head_size(w) != rows[i].head)
			fail_msg("%s: code %d, fault %d, head %d", rows[i].name, r, fault_of(w), (int)head_size(w));
		assert_int_equal(home_count(&w->h, "log-answer"), r == RK_MALFORMED);
		assert_int_equal(home_inbox(&w->h, RKL__INBOX_KIND__INBOX_ALERT), rows[i].fault != LOG_FAULT_NONE);
		close_world(&own);
	}
}

/* Both notes of a fork are signed by the log, and are for two trees. */
static void a_fork_is_a_proof_for_others(void **state)
{
	struct world *w = *state;
	struct note_key key = {.type = NOTE_TYPE_LOG};
	struct note_opened ours, theirs;
	struct log_question q;
	struct log_fork f;

	settle(w, &w->log);
	assert_true(next(w, true, &q));
	answer(w, &w->other, &q, NULL);
	f = fork_of(w);
	note_origin(key.name, w->h.f.exchange_id, 1);
	memcpy(key.pk, w->h.f.log.pk, 32);
	assert_int_equal(note_open(f.ours, &key, NULL, &ours), RK_OK);
	assert_int_equal(note_open(f.theirs, &key, NULL, &theirs), RK_OK);
	assert_int_equal(ours.checkpoint.size, theirs.checkpoint.size);
	assert_memory_not_equal(ours.checkpoint.root, theirs.checkpoint.root, 32);
	assert_true(f.stands && f.from_org == NULL);
	/* Told once, however often it is shown. */
	answer(w, &w->other, &q, NULL);
	assert_int_equal(home_count(&w->h, "log-fork"), 1);
}

/* ---- lies about leaves */

static void missing_proof(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->set.inclusion[0].len = 0;
}

static void bent_proof(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->set.inclusion[0].data[0] ^= 1;
}

static void one_proof_less(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->set.n_inclusion--;
}

static void one_proof_more(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	(void)w;
	(void)q;
	a->set.inclusion[a->set.n_inclusion] = a->set.inclusion[0];
	a->set.n_inclusion++;
}

static void other_tree_beside(struct world *w, struct log_kit_answer *a, const struct log_question *q)
{
	a->reply.note = pb_of(log_kit_note(&w->other, q->size, 0, w->h.a));
}

static void lies_about_a_leaf(void **state)
{
	static const struct {
		const char *name;
		int64_t told;      /* the time that the entry came with, beside the one that was logged */
		bend_fn *bend;
		int code;
		enum log_fault fault;
		uint64_t unproven;
	} rows[] = {
		{"honest", 0, NULL, RK_OK, LOG_FAULT_NONE, 0},
		{"another leaf was logged", 1, NULL, RK_OK, LOG_FAULT_LEAF, 0},
		{"no proof", 0, missing_proof, RK_OK, LOG_FAULT_LEAF, 0},
		{"proof bent", 0, bent_proof, RK_OK, LOG_FAULT_LEAF, 0},
		{"denied", 0, unknown, RK_OK, LOG_FAULT_LEAF, 1},
		{"too few proofs", 0, one_proof_less, RK_MALFORMED, LOG_FAULT_NONE, 1},
		{"too many proofs", 0, one_proof_more, RK_MALFORMED, LOG_FAULT_NONE, 1},
		{"of another size", 0, other_size_told, RK_MALFORMED, LOG_FAULT_NONE, 1},
		{"another tree's note beside it", 0, other_tree_beside, RK_OK, LOG_FAULT_FORK, 1},
		{"busy for good", 0, older_version, RK_OK, LOG_FAULT_NONE, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w;
		struct log_question q;
		void *own;
		int r;

		open_world(&own);
		w = own;
		deliver_leaf(w, &w->log, "terms", home_now_ms + rows[i].told);
		log_kit_fill(&w->other, 1, 9);
		assert_true(next(w, true, &q));
		assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
		assert_true(next(w, false, &q));
		assert_int_equal(q.index_count, 1);
		r = answer(w, &w->log, &q, rows[i].bend);
		if (r != rows[i].code || fault_of(w) != rows[i].fault || unproven(w) != rows[i].unproven)
			fail_msg("%s: code %d, fault %d, unproven %d", rows[i].name, r, fault_of(w), (int)unproven(w));
		close_world(&own);
	}
}

static void garbage_in_place_of_proofs(void **state)
{
	struct world *w = *state;
	Rk__ProofReply reply = RK__PROOF_REPLY__INIT;
	struct log_question q;
	uint8_t junk[64];
	struct txn *t;

	settle(w, &w->log);
	assert_true(next(w, true, &q));
	memset(junk, 0xff, sizeof(junk));
	t = begin(w);
	reply.size = 25;
	assert_int_equal(log_on_answer(w->h.client, t, &q, &reply, BYTES_OF(junk)), RK_MALFORMED);
	assert_int_equal(log_on_answer(w->h.client, t, &q, NULL, (struct bytes){0}), RK_MALFORMED);
	commit(t);
	assert_int_equal(home_count(&w->h, "log-answer"), 2);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_about_the_newest_checkpoint),
		TEST(a_fork_is_a_proof_for_others),
		cmocka_unit_test(lies_about_a_leaf),
		TEST(garbage_in_place_of_proofs),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
