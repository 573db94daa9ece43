/* log: the witness, as others see it and as the secretariat is it; and what stops while a contradiction stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/log_world.h"

/* ---- the witness, as others see it */

static void cosigned_checkpoints(void **state)
{
	struct world *w = *state;
	struct log_leaf leaf;
	int64_t witness_ms;
	struct bytes text;
	uint8_t oh[32];
	struct txn *t;

	deliver_leaf(w, &w->log, "terms", home_now_ms);
	settle(w, &w->log);
	assert_int_equal(cosigned_size(w), 0);
	log_kit_fill(&w->log, 10, 4);
	deliver_checkpoint(w, log_kit_note(&w->log, 30, home_now_ms / 1000, w->h.a));
	assert_int_equal(cosigned_size(w), 0); /* not before it is proven */
	settle(w, &w->log);
	assert_int_equal(cosigned_size(w), 30);
	ids_nda(oh, w->h.f.exchange_id, bytes_str("terms"));
	t = begin(w);
	assert_int_equal(log_leaf_of(t, oh, &leaf), RK_OK);
	assert_true(leaf.is_proven && leaf.is_cosigned);
	assert_int_equal(log_leaf_proof(w->h.client, t, &leaf, w->h.a, &text, &witness_ms), RK_OK);
	assert_int_equal(witness_ms, home_now_ms / 1000 * 1000);
	env_abort(t);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

/* A younger one is cosigned while proofs in this one are under way: its note may be gone, and the answer is of no more interest. */
static void a_newer_cosignature_overtakes_an_answer(void **state)
{
	struct world *w = *state;
	struct log_question q;
	struct log_leaf leaf;
	uint8_t oh[32];
	struct txn *t;

	deliver_leaf(w, &w->log, "terms", home_now_ms);
	settle(w, &w->log);
	log_kit_fill(&w->log, 4, 4);
	deliver_checkpoint(w, log_kit_note(&w->log, 30, home_now_ms / 1000, w->h.a));
	for (bool fresh = true; next(w, fresh, &q) && head_size(w) < 30; fresh = false)
		assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
	log_kit_fill(&w->log, 5, 4);
	assert_true(next(w, true, &q));
	assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
	assert_true(next(w, false, &q));
	assert_true(q.size == 30 && q.index_count == 1);
	home_now_ms += DAY_MS;
	deliver_checkpoint(w, log_kit_note(&w->log, 35, home_now_ms / 1000, w->h.a));
	assert_int_equal(answer(w, &w->log, &q, NULL), RK_OK);
	settle(w, &w->log);
	ids_nda(oh, w->h.f.exchange_id, bytes_str("terms"));
	t = begin(w);
	assert_int_equal(log_leaf_of(t, oh, &leaf), RK_OK);
	assert_true(leaf.is_proven && leaf.is_cosigned);
	env_abort(t);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

/* Our newest gets its cosignature: nothing has to be proven again. */
static void our_own_head_is_cosigned(void **state)
{
	struct world *w = *state;
	struct log_question q;

	settle(w, &w->log);
	deliver_checkpoint(w, log_kit_note(&w->log, 25, home_now_ms / 1000, w->h.a));
	assert_int_equal(cosigned_size(w), 25);
	assert_false(next(w, false, &q));
}

static void a_cosigned_fork(void **state)
{
	struct world *w = *state;

	settle(w, &w->log);
	deliver_checkpoint(w, log_kit_note(&w->other, 25, home_now_ms / 1000, w->h.a));
	assert_int_equal(fault_of(w), LOG_FAULT_FORK);
	assert_int_equal(cosigned_size(w), 0);
}

static void checkpoints_without_a_witness_are_not_taken(void **state)
{
	struct world *w = *state;
	struct log_question q;

	settle(w, &w->log);
	deliver_checkpoint(w, log_kit_note(&w->log, 20, 0, w->h.a));
	deliver_checkpoint(w, bytes_str("junk"));
	assert_int_equal(home_count(&w->h, "bad-checkpoint"), 2);
	assert_false(next(w, false, &q));
}

static bool is_unwitnessed(struct world *w)
{
	struct txn *t = begin(w);
	bool yes = log_is_unwitnessed(w->h.client, t);

	assert_int_equal(log_tell_unwitnessed(w->h.client, t), RK_OK);
	commit(t);
	return yes;
}

static void a_witness_that_is_silent(void **state)
{
	struct world *w = *state;

	settle(w, &w->log);
	home_now_ms += LOG_COSIGNED_WARN_MS;
	assert_false(is_unwitnessed(w)); /* the exchange is not older itself */
	home_now_ms += 1;
	assert_true(is_unwitnessed(w));
	assert_true(is_unwitnessed(w));
	assert_int_equal(home_count(&w->h, "log-unwitnessed"), 1); /* told once */
	deliver_checkpoint(w, log_kit_note(&w->log, 25, home_now_ms / 1000, w->h.a));
	assert_false(is_unwitnessed(w));
	home_now_ms += LOG_COSIGNED_WARN_MS + 1000;
	assert_true(is_unwitnessed(w));
	assert_int_equal(home_count(&w->h, "log-unwitnessed"), 2);
}

/* ---- what stops */

static void nothing_confidential_is_sent(void **state)
{
	struct world *w = *state;
	struct log_question q;
	struct deal deal;
	static const Rk__Kind kinds[] = {RK__KIND__NDA, RK__KIND__NDA_NOTICE};

	deal_init(&w->h, &deal);
	deal_finish(&w->h, &deal);
	deal_conclude(&w->h, &deal);
	home_now_ms += HOUR_MS;
	settle(w, &w->log);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			Rk__EnvelopeHeader *h = home_header(&w->h, kinds[i], HOME_SELF, &deal);
			struct txn *t = begin(w);

			assert_int_equal(agreement_check_send(w->h.client, t, h, w->h.a), pass == 0 ? RK_OK : RK_EFORKED);
			env_abort(t);
		}
		assert_true(next(w, true, &q));
		answer(w, &w->other, &q, NULL);
	}
}

/* What a letter carries is looked at after its signature; a bad note does not undo the letter. */
static void letters_carry_what_their_sender_saw(void **state)
{
	struct world *w = *state;
	struct deal deal;
	struct sent sent;

	deal_init(&w->h, &deal);
	deal_finish(&w->h, &deal);
	deal_conclude(&w->h, &deal);
	settle(w, &w->log);
	for (int i = 0; i < 2; i++) {
		Rk__EnvelopeHeader *h = home_header(&w->h, RK__KIND__NDA, 1, &deal);

		h->seen_checkpoint = pb_of(i == 0 ? bytes_str("no note at all") : log_kit_note(&w->other, 25, 0, w->h.a));
		home_seal(&w->h, h, 1, fixed_message("secret", w->h.a), &sent);
		home_deliver_sent(&w->h, &sent);
		assert_non_null(home_record(&w->h, sent.wire.env_id));
		assert_int_equal(home_record(&w->h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__LODGED);
		assert_int_equal(home_count(&w->h, "seen-unproven"), 1);
		assert_int_equal(fault_of(w), i == 0 ? LOG_FAULT_NONE : LOG_FAULT_FORK);
	}
	assert_memory_equal(fork_of(w).from_org, home_org(&w->h, 1), 16);
}

/* ---- cosigning */

static void make_witness(struct world *w)
{
	struct key_new cheap = {.mem_mib = 64, .ops = 2};
	uint8_t pk[32];

	assert_int_equal(keys_create(w->h.client, KEY_WITNESS, &cheap), RK_OK);
	keys_sign_pk(w->h.client, KEY_WITNESS, pk);
	put_charter(w, 2, 1, (struct bytes){0}, pk);
}

static bool is_due(struct world *w)
{
	struct txn *t = begin(w);
	bool due = log_is_cosign_due(w->h.client, t);

	env_abort(t);
	return due;
}

static void set_head(struct world *w, struct log_kit *log, uint64_t size)
{
	struct log_signed s = {.note = log_kit_note(log, size, 0, w->h.a)};
	uint8_t key[LOG_LEAF_KEY_BYTES];
	struct txn *t = begin(w);
	struct log_keys k;

	/* As if it had been verified: the test needs a home that was led astray. */
	assert_int_equal(log_follow(w->h.client, t, &k), RK_OK);
	assert_int_equal(note_open(s.note, &k.log, NULL, &s.o), RK_OK);
	log_leaf_key(key, 1, size);
	(void)env_del(t, C_LOG_NOTE, BYTES_OF(key));
	assert_int_equal(meta_put_u64(t, "log/head/1", 0), RK_OK);
	assert_int_equal(log_proven(w->h.client, t, &k, &s), RK_OK);
	commit(t);
}

static void the_secretariat_cosigns(void **state)
{
	struct world *w = *state;
	struct outcome outcome;
	struct log_question q;
	bool queued;
	struct txn *t;
	unsigned n, sent;

	settle(w, &w->log);
	assert_false(is_due(w)); /* no witness key here */
	make_witness(w);
	assert_true(is_due(w));
	assert_int_equal(log_cosign(w->h.client, &queued), RK_OK);
	assert_true(queued);
	assert_false(is_due(w)); /* on its way */
	t = begin(w);
	assert_int_equal(outbox_count(t, &n, &sent), RK_OK);
	assert_int_equal(n, 1);
	assert_int_equal(outbox_outcome(t, meta_u64(t, META_NEXT_ID), &outcome), RK_BUSY);
	env_abort(t);
	assert_int_equal(log_cosign(w->h.client, &queued), RK_OK);
	assert_false(queued);
	assert_false(next(w, false, &q));
}

static void a_key_that_is_not_the_charters(void **state)
{
	struct world *w = *state;
	struct key_new cheap = {.mem_mib = 64, .ops = 2};
	bool queued;

	settle(w, &w->log);
	assert_int_equal(keys_create(w->h.client, KEY_WITNESS, &cheap), RK_OK);
	assert_int_equal(log_cosign(w->h.client, &queued), RK_NOT_PERMITTED);
	assert_false(queued);
}

static void nothing_is_cosigned_while_a_contradiction_stands(void **state)
{
	struct world *w = *state;
	struct log_question q;

	settle(w, &w->log);
	make_witness(w);
	assert_true(next(w, true, &q));
	answer(w, &w->other, &q, NULL);
	assert_int_equal(fault_of(w), LOG_FAULT_FORK);
	assert_false(is_due(w));
}

/* The process ends between the decision and the signature; afterwards the home believes another tree. */
static void a_crash_before_the_signature(void **state)
{
	struct world *w = *state;
	struct log_head head;
	struct log_keys k;
	bool queued;

	settle(w, &w->log);
	make_witness(w);
	assert_int_equal(log_witness_commit(w->h.client, w->h.a, &k, &head), RK_OK);
	assert_int_equal(head.checkpoint.size, 25);
	set_head(w, &w->other, 25);
	assert_int_equal(log_cosign(w->h.client, &queued), RK_EFORKED); /* another tree of that size */
	set_head(w, &w->log, 20);
	assert_int_equal(log_cosign(w->h.client, &queued), RK_EFORKED); /* a smaller one */
	assert_false(queued);
	set_head(w, &w->log, 25);
	assert_int_equal(log_cosign(w->h.client, &queued), RK_OK); /* the same, signed at last */
	assert_true(queued);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cosigned_checkpoints),
		TEST(a_newer_cosignature_overtakes_an_answer),
		TEST(our_own_head_is_cosigned),
		TEST(a_cosigned_fork),
		TEST(checkpoints_without_a_witness_are_not_taken),
		TEST(a_witness_that_is_silent),
		TEST(nothing_confidential_is_sent),
		TEST(letters_carry_what_their_sender_saw),
		TEST(the_secretariat_cosigns),
		TEST(a_key_that_is_not_the_charters),
		TEST(nothing_is_cosigned_while_a_contradiction_stands),
		TEST(a_crash_before_the_signature),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
