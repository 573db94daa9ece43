/*
 * Attachments in the state machine: every refusal of BLOB_OPEN, BLOB_PUT, SUBMIT and FETCH; the gate at each part; quotas, orphans, ends and
 * expulsion.  What the files said is given with the command (world_blob.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/world.h"

#define A 1
#define B 2
#define C 3
#define TO_A 2u
#define TO_B 4u
#define TO_C 8u
#define UPLOADS_MAX 64u
#define MIB ((uint64_t)1 << 20)
#define HOUR_MS ((int64_t)3600000)

static struct world w;
static uint8_t nda[32];

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	for (int i = A; i <= C; i++)
		world_admit(&w, i);
	world_agree(&w, TO_A | TO_B, nda);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static bool get_row(const Rk__BlobRef *b, struct rows_blob *row)
{
	struct txn *t;
	int rc;

	assert_int_equal(env_begin(w.env, false, &t), RK_OK);
	rc = rows_get_blob(t, b->sha256.data, row);
	env_abort(t);
	assert_true(rc == RK_OK || rc == RK_ENOTFOUND);
	return rc == RK_OK;
}

static void assert_state(const Rk__BlobRef *b, enum rows_blob_state state)
{
	struct rows_blob row;

	assert_true(get_row(b, &row));
	assert_int_equal(row.state, state);
}

static void assert_gone(const Rk__BlobRef *b)
{
	struct rows_blob row;

	assert_false(get_row(b, &row));
}

/* The file goes at once; the name rests for a day. */
static void assert_rests(const Rk__BlobRef *b)
{
	assert_state(b, BLOB_DROPPED);
	w.now_ms += WORLD_DAY_MS;
	world_tick(&w);
	assert_gone(b);
}

static bool was_dropped(const Rk__BlobRef *b)
{
	for (size_t i = 0; i < w.blob_drop_count; i++)
		if (memcmp(w.blob_drops[i], b->sha256.data, 32) == 0)
			return true;
	return false;
}

/* ---- the way of one */
static void an_attachment_goes_from_opened_to_attached_to_fetched(void **state)
{
	Rk__BlobRef *b = world_blob(&w, 3 * MIB);
	uint8_t env_id[32];
	struct rows_blob row;
	(void)state;

	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 3 * MIB);
	assert_int_equal(world_count(&w, T_UPLOAD), 1);
	assert_int_equal(world_blob_put(&w, A, b, MIB, false), RK_OK);
	assert_non_null(w.reply->blob);
	assert_int_equal(w.reply->blob->have, MIB);
	assert_false(w.reply->blob->complete);
	assert_memory_equal(w.reply->blob->sha256.data, b->sha256.data, 32);
	assert_state(b, BLOB_OPEN);
	assert_int_equal(world_blob_put(&w, A, b, 3 * MIB, true), RK_OK);
	assert_true(w.reply->blob->complete);
	assert_state(b, BLOB_COMPLETE);
	/* Asked again, it says the same and writes nothing. */
	assert_int_equal(world_blob_put(&w, A, b, 3 * MIB, true), RK_OK);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &b, 1, env_id), RK_OK);
	assert_true(get_row(b, &row));
	assert_int_equal(row.state, BLOB_ATTACHED);
	assert_memory_equal(row.env_id, env_id, 32);
	assert_int_equal(world_count(&w, T_UPLOAD), 0);
	assert_int_equal(world_count(&w, T_ATTACHED), 1);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 3 * MIB);

	/* The sender's own devices without a Pickup, others with one. */
	assert_int_equal(world_blob_fetch(&w, A, 0, env_id, 1, 0, 1000), RK_OK);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 1, 0, 1000), RK_NOT_PERMITTED);
	assert_int_equal(world_pickup(&w, B, 0, nda, env_id), RK_OK);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 1, 2 * MIB, 1000), RK_OK);
	assert_int_equal(w.frame_count, 1);
	assert_int_equal(w.frames[0].len, 1000);
	assert_int_equal(w.reply->fetch->blob, 1);
	assert_int_equal(w.reply->fetch->offset, 2 * MIB);
	assert_int_equal(w.reply->fetch->total, 3 * MIB);
	assert_int_equal(w.reply->fetch->parts, 0);
	/* Its orphan time is no concern any more. */
	w.now_ms += 2 * WORLD_DAY_MS;
	world_tick(&w);
	assert_state(b, BLOB_ATTACHED);
	/* It goes with the envelope's bulk. */
	w.now_ms += 19 * WORLD_DAY_MS;
	world_tick(&w);
	assert_true(was_dropped(b));
	assert_rests(b);
	assert_int_equal(world_count(&w, T_ATTACHED), 0);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 0);
}

/* ---- BLOB_OPEN */
static void opening_again_prolongs_and_another_is_a_conflict(void **state)
{
	Rk__BlobRef *b = world_blob(&w, MIB), other = *b;
	uint8_t second[32];
	(void)state;

	world_agree(&w, TO_A | TO_B, second);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	w.now_ms += 20 * HOUR_MS;
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), MIB);
	w.now_ms += 20 * HOUR_MS;
	world_tick(&w);
	assert_state(b, BLOB_OPEN);
	other.len = MIB + 1;
	assert_int_equal(world_blob_open(&w, A, nda, &other), RK_CONFLICT);
	assert_int_equal(world_blob_open(&w, A, second, b), RK_CONFLICT);
	assert_int_equal(world_blob_open(&w, B, nda, b), RK_CONFLICT);
	w.now_ms += 4 * HOUR_MS;
	world_tick(&w);
	assert_gone(b);
	assert_true(was_dropped(b));
	/* Nothing is left that would come due. */
	assert_int_equal(world_count(&w, T_UPLOAD), 0);
	assert_int_equal(world_blob_open(&w, B, nda, b), RK_OK);
}

static void opening_asks_the_gate_of_a_sender(void **state)
{
	Rk__BlobRef *b = world_blob(&w, MIB);
	Rk__NdaTerms *terms = world_terms(&w, TO_A | TO_B);
	uint8_t one_way[32], unknown[32] = {1}, proposed[32];
	(void)state;

	assert_int_equal(world_blob_open(&w, A, unknown, b), RK_NO_NDA);
	assert_int_equal(world_blob_open(&w, C, nda, b), RK_NO_NDA);
	terms->parties[0]->may_receive = terms->parties[1]->may_disclose = 0;
	assert_int_equal(world_propose(&w, A, terms, one_way), RK_OK);
	assert_int_equal(world_blob_open(&w, B, one_way, b), RK_DIRECTION);
	assert_int_equal(world_blob_open(&w, A, one_way, b), RK_NDA_PROPOSED);
	assert_int_equal(world_do_act(&w, B, one_way, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_int_equal(world_blob_open(&w, B, one_way, b), RK_DIRECTION);
	assert_int_equal(world_blob_open(&w, A, one_way, b), RK_OK);
	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_C), proposed), RK_OK);
	assert_int_equal(world_blob_open(&w, A, proposed, world_blob(&w, MIB)), RK_NDA_PROPOSED);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(world_blob_open(&w, A, nda, world_blob(&w, MIB)), RK_NDA_HELD);
}

static void opening_needs_a_directory_room_and_quota(void **state)
{
	struct apply_limits limits = w.limits;
	Rk__BlobRef *b = world_blob(&w, 3 * MIB), *first;
	(void)state;

	limits.org_blob_bytes = 4 * MIB;
	limits.blob_reserve_bytes = MIB;
	world_limits(&w, &limits);
	apply_set_room(w.apply, 4 * MIB - 1);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_STORE_FULL);
	apply_set_room(w.apply, MIB - 1);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_STORE_FULL);
	apply_set_room(w.apply, 4 * MIB);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	apply_set_room(w.apply, 0);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK); /* it has its place */
	apply_set_room(w.apply, UINT64_MAX);
	assert_int_equal(world_blob_open(&w, A, nda, world_blob(&w, MIB + 1)), RK_QUOTA);
	assert_int_equal(world_blob_open(&w, B, nda, world_blob(&w, MIB + 1)), RK_OK);
	first = world_blob(&w, MIB);
	assert_int_equal(world_blob_open(&w, A, nda, first), RK_OK);
	w.now_ms += TRUST_DIRECTORY_AGE_MS;
	assert_int_equal(world_blob_open(&w, A, nda, world_blob(&w, 200)), RK_DIRECTORY_EXPIRED);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 0); /* the time of orphans has been */
}

static void an_organisation_has_64_uploads(void **state)
{
	Rk__BlobRef *b[UPLOADS_MAX];
	uint8_t env_id[32];
	(void)state;

	for (unsigned i = 0; i < UPLOADS_MAX; i++)
		b[i] = world_blob_ready(&w, A, nda, 1000);
	assert_int_equal(world_blob_open(&w, A, nda, world_blob(&w, 1000)), RK_QUOTA);
	assert_int_equal(world_blob_open(&w, A, nda, b[3]), RK_OK);
	assert_int_equal(world_blob_open(&w, B, nda, world_blob(&w, 1000)), RK_OK);
	/* Attached ones make room. */
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, b, 32, env_id), RK_OK);
	assert_int_equal(world_count(&w, T_ATTACHED), 32);
	assert_int_equal(world_blob_open(&w, A, nda, world_blob(&w, 1000)), RK_OK);
	assert_int_equal(world_blob_fetch(&w, A, 0, env_id, 32, 0, 1000), RK_OK);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 65 * 1000);
}

/* ---- BLOB_PUT */
static void a_part_of_others_or_of_nothing_is_unknown(void **state)
{
	Rk__BlobRef *b = world_blob(&w, MIB);
	(void)state;

	assert_int_equal(world_blob_put(&w, A, b, 0, false), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	assert_int_equal(world_blob_put(&w, B, b, 0, false), RK_UNKNOWN_OBJECT);
	assert_null(w.reply->blob); /* and nothing is told */
	assert_int_equal(world_blob_put(&w, C, b, MIB, true), RK_UNKNOWN_OBJECT);
	assert_state(b, BLOB_OPEN);
}

static void a_refusal_of_the_files_says_how_far_it_is(void **state)
{
	static const int codes[] = {RK_OUT_OF_ORDER, RK_MALFORMED, RK_STORE_FULL, RK_BUSY};
	Rk__BlobRef *b = world_blob(&w, MIB);
	(void)state;

	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct command *c = world_blob_put_command(&w, A, b, 4096, false);

		c->blob.code = codes[i];
		assert_int_equal(world_run(&w, c), codes[i]);
		assert_int_equal(w.reply->blob->have, 4096);
		assert_state(b, BLOB_OPEN);
	}
}

/* What was found of one that was dropped and opened anew in between counts for nothing. */
static void findings_that_do_not_fit_the_row_complete_nothing(void **state)
{
	Rk__BlobRef *b = world_blob(&w, MIB);
	struct command *c;
	(void)state;

	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	assert_int_equal(world_blob_put(&w, A, b, 2 * MIB, true), RK_BUSY);
	assert_int_equal(world_blob_put(&w, A, b, 1000, true), RK_OK);
	assert_state(b, BLOB_OPEN);
	c = world_blob_put_command(&w, A, b, 0, false);
	c->blob.code = RK_UNKNOWN_OBJECT;
	assert_int_equal(world_run(&w, c), RK_BUSY);
	assert_state(b, BLOB_OPEN);
}

static void each_part_asks_the_gate_again(void **state)
{
	Rk__BlobRef *b = world_blob(&w, MIB);
	(void)state;

	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	assert_int_equal(world_blob_put(&w, A, b, 1000, false), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(world_blob_put(&w, A, b, 2000, false), RK_NDA_HELD);
	assert_null(w.reply->blob);
	assert_int_equal(world_blob_put(&w, A, b, MIB, true), RK_NDA_HELD);
	assert_state(b, BLOB_OPEN);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__RESUME), RK_OK);
	assert_int_equal(world_blob_put(&w, A, b, 2000, false), RK_OK);
	/* The end takes it away in its own transaction. */
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_true(was_dropped(b));
	assert_gone(b);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 0);
	assert_int_equal(world_blob_put(&w, A, b, MIB, true), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_NDA_TERMINATED);
}

/* ---- SUBMIT */
static void an_envelope_takes_only_what_is_complete_and_its_own(void **state)
{
	Rk__BlobRef *b = world_blob(&w, MIB), *ready, *of_b, *of_second, changed, *pair[2];
	uint8_t second[32], env_id[32];
	(void)state;

	world_agree(&w, TO_A | TO_B, second);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &b, 1, NULL), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &b, 1, NULL), RK_UNKNOWN_OBJECT);
	of_b = world_blob_ready(&w, B, nda, MIB);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &of_b, 1, NULL), RK_UNKNOWN_OBJECT);
	of_second = world_blob_ready(&w, A, second, MIB);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &of_second, 1, NULL), RK_UNKNOWN_OBJECT);
	ready = world_blob_ready(&w, A, nda, MIB);
	changed = *ready;
	changed.len = MIB - 1;
	pair[0] = &changed;
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, pair, 1, NULL), RK_UNKNOWN_OBJECT);
	/* All or nothing. */
	pair[0] = ready;
	pair[1] = b;
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, pair, 2, NULL), RK_UNKNOWN_OBJECT);
	assert_state(ready, BLOB_COMPLETE);
	assert_int_equal(world_count(&w, T_ATTACHED), 0);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &ready, 1, env_id), RK_OK);
	/* Once. */
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &ready, 1, NULL), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_blob_open(&w, A, nda, ready), RK_CONFLICT);
}

/* ---- FETCH */
static void fetching_asks_the_gate_each_time(void **state)
{
	Rk__BlobRef *b = world_blob_ready(&w, A, nda, MIB);
	uint8_t env_id[32];
	struct command *c;
	(void)state;

	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &b, 1, env_id), RK_OK);
	assert_int_equal(world_blob_fetch(&w, C, 0, env_id, 1, 0, 1000), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_pickup(&w, B, 0, nda, env_id), RK_OK);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 2, 0, 1000), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 1, MIB, 1000), RK_MALFORMED);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 1, 0, 0), RK_MALFORMED);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 0, 0, 1000), RK_MALFORMED);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 0, 5, 0), RK_MALFORMED);
	/* Nothing was read ahead, or could be. */
	c = world_blob_fetch_command(&w, B, 0, env_id, 1, 0, 1000);
	c->blob = (struct command_blob){0};
	assert_int_equal(world_run(&w, c), RK_BUSY);
	c = world_blob_fetch_command(&w, B, 0, env_id, 1, 0, 1000);
	c->blob = (struct command_blob){.code = RK_UNKNOWN_OBJECT};
	assert_int_equal(world_run(&w, c), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 1, 0, 1000), RK_OK);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 1, 1000, 1000), RK_NDA_HELD);
	assert_int_equal(w.frame_count, 0);
	assert_int_equal(world_blob_fetch(&w, A, 0, env_id, 1, 1000, 1000), RK_NDA_HELD);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__RESUME), RK_OK);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 1, 2000, 1000), RK_NDA_TERMINATED);
}

/* Read ahead before the end, decided after it, in one batch: nothing goes out. */
static void an_end_in_the_same_batch_stands_between_two_parts(void **state)
{
	Rk__BlobRef *b = world_blob_ready(&w, A, nda, MIB);
	struct command *batch[3];
	uint8_t env_id[32];
	int codes[3];
	(void)state;

	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &b, 1, env_id), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env_id), RK_OK);
	batch[0] = world_blob_fetch_command(&w, B, 0, env_id, 1, 0, 1000);
	batch[1] = world_act_command(&w, A, world_act(&w, A, nda, RK__ACT_KIND__TERMINATE));
	batch[2] = world_blob_fetch_command(&w, B, 0, env_id, 1, 1000, 1000);
	world_run_batch(&w, batch, 3, codes);
	assert_int_equal(codes[0], RK_OK);
	assert_int_equal(codes[1], RK_OK);
	assert_int_equal(codes[2], RK_NDA_TERMINATED);
}

/* ---- ends */
static void what_goes_back_takes_its_attachments_with_it(void **state)
{
	Rk__BlobRef *declined = world_blob_ready(&w, A, nda, MIB), *returned = world_blob_ready(&w, A, nda, MIB);
	uint8_t env[2][32];
	(void)state;

	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &declined, 1, env[0]), RK_OK);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &returned, 1, env[1]), RK_OK);
	assert_int_equal(world_nack(&w, B, 0, nda, env[0], RK__NACK_REASON__NACK_DECLINED), RK_OK);
	assert_true(was_dropped(declined));
	assert_state(declined, BLOB_DROPPED);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), MIB);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_true(was_dropped(returned));
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 0);
	assert_int_equal(world_count(&w, T_ATTACHED), 0);
	assert_rests(returned);
	assert_gone(declined);
}

/*
 * A recipient knows the hash and the length from the head.  Under another agreement of its own it opens the same name in the very batch of the
 * end, while the file is still there, and would find it whole: an attachment of nobody's agreement but its own, to be read in peace.
 */
static void after_an_end_nobody_opens_the_same_name(void **state)
{
	uint8_t env_id[32], own[32], all[32];
	struct command *batch[3];
	Rk__BlobRef *b;
	int codes[3];
	(void)state;

	world_agree(&w, TO_B | TO_C, own);
	world_agree(&w, TO_A | TO_B | TO_C, all);
	b = world_blob_ready(&w, A, all, MIB);
	assert_int_equal(world_blob_disclose(&w, A, TO_B | TO_C, all, &b, 1, env_id), RK_OK);
	/* One recipient has the key, and the other has not picked up, so all of it goes back. */
	assert_int_equal(world_pickup(&w, B, 0, all, env_id), RK_OK);
	assert_int_equal(world_blob_open(&w, B, own, b), RK_CONFLICT);
	batch[0] = world_act_command(&w, A, world_act(&w, A, all, RK__ACT_KIND__TERMINATE));
	batch[1] = world_blob_open_command(&w, B, own, b);
	batch[2] = world_blob_put_command(&w, B, b, MIB, true);
	world_run_batch(&w, batch, 3, codes);
	assert_int_equal(codes[0], RK_OK);
	assert_int_equal(codes[1], RK_CONFLICT);
	assert_int_equal(codes[2], RK_UNKNOWN_OBJECT);
	assert_state(b, BLOB_DROPPED);
	assert_int_equal(world_blob_disclose(&w, B, TO_C, own, &b, 1, NULL), RK_UNKNOWN_OBJECT);
	/* Its owner neither: what rests has no owner. */
	w.now_ms += HOUR_MS;
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_CONFLICT);
	assert_int_equal(world_blob_put(&w, A, b, MIB, true), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &b, 1, NULL), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 0);
	/* Later it is a name as others are. */
	w.now_ms += WORLD_DAY_MS;
	world_tick(&w);
	assert_gone(b);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
}

static void an_agreement_that_runs_out_drops_its_uploads_a_few_at_a_time(void **state)
{
	Rk__NdaTerms *terms = world_terms(&w, TO_A | TO_B);
	Rk__BlobRef *other;
	uint8_t small[32];
	(void)state;

	terms->not_after = w.now_ms + 2 * WORLD_DAY_MS;
	terms->last_day = 20251010;
	assert_int_equal(world_propose(&w, A, terms, small), RK_OK);
	assert_int_equal(world_do_act(&w, B, small, RK__ACT_KIND__ACCEPT), RK_OK);
	w.now_ms += WORLD_DAY_MS + HOUR_MS;
	for (int i = 0; i < 10; i++)
		assert_int_equal(world_blob_open(&w, i % 2 ? A : B, small, world_blob(&w, 1000)), RK_OK);
	other = world_blob(&w, 1000);
	assert_int_equal(world_blob_open(&w, A, nda, other), RK_OK);
	w.now_ms += WORLD_DAY_MS - 2 * HOUR_MS;
	world_tick(&w);
	assert_int_equal(world_count(&w, T_UPLOAD), 11);
	w.now_ms += HOUR_MS;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(apply_begin(w.apply, w.now_ms), RK_OK);
		assert_true(apply_due(w.apply, 3) <= 3);
		assert_int_equal(apply_commit(w.apply), RK_OK);
		if (i < 3)
			assert_int_equal(world_count(&w, T_UPLOAD), 11 - 3 * (i + 1));
	}
	assert_int_equal(world_count(&w, T_UPLOAD), 1);
	assert_state(other, BLOB_OPEN);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 1000);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, B, -1), 0);
}

static void an_expulsion_takes_all_uploads_in_its_own_transaction(void **state)
{
	Rk__BlobRef *attached = world_blob_ready(&w, A, nda, 1000), *of_b;
	uint8_t env_id[32];
	(void)state;

	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, &attached, 1, env_id), RK_OK);
	for (unsigned i = 0; i < UPLOADS_MAX; i++)
		assert_int_equal(world_blob_open(&w, A, nda, world_blob(&w, 1000)), RK_OK);
	of_b = world_blob_ready(&w, B, nda, 1000);
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__EXPELLED), RK_OK);
	assert_int_equal(w.blob_drop_count, UPLOADS_MAX);
	assert_int_equal(world_count(&w, T_UPLOAD), 1);
	assert_state(of_b, BLOB_COMPLETE);
	/* What was disclosed is the recipients' as far as the agreement goes: it is suspended. */
	assert_state(attached, BLOB_ATTACHED);
	assert_int_equal(world_quota(&w, QUOTA_BLOB, A, -1), 1000);
	assert_int_equal(world_blob_fetch(&w, B, 0, env_id, 1, 0, 100), RK_NDA_SUSPENDED);
	/* None of them comes due afterwards. */
	w.now_ms += 2 * WORLD_DAY_MS;
	world_tick(&w);
	assert_int_equal(w.blob_drop_count, 1); /* B's orphan */
}

/* In the middle of an upload and of a download: nothing after the acknowledgement. */
static void an_expelled_member_gets_and_sends_no_further_part(void **state)
{
	Rk__BlobRef *b = world_blob(&w, MIB), *attached = world_blob_ready(&w, B, nda, MIB);
	struct command *batch[3];
	uint8_t env_id[32];
	int codes[3];
	(void)state;

	assert_int_equal(world_blob_disclose(&w, B, TO_A, nda, &attached, 1, env_id), RK_OK);
	assert_int_equal(world_pickup(&w, A, 0, nda, env_id), RK_OK);
	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	assert_int_equal(world_blob_put(&w, A, b, 1000, false), RK_OK);
	assert_int_equal(world_blob_fetch(&w, A, 0, env_id, 1, 0, 1000), RK_OK);
	w.orgs[A].status = RK__ORG_STATUS__EXPELLED;
	batch[0] = world_put_command(&w, 0, 0, RK__OBJECT_TYPE__OBJECT_DIRECTORY,
				     world_sign(&w, OBJECT_KIND_DIRECTORY, &w.f.secretariat, &world_directory(&w)->base));
	batch[1] = world_blob_put_command(&w, A, b, 2000, false);
	batch[2] = world_blob_fetch_command(&w, A, 0, env_id, 1, 1000, 1000);
	world_run_batch(&w, batch, 3, codes);
	assert_int_equal(codes[0], RK_OK);
	assert_int_equal(codes[1], RK_REVOKED);
	assert_int_equal(codes[2], RK_REVOKED);
	assert_gone(b);
	assert_true(was_dropped(b));
}

static void a_suspended_agreement_and_a_charter_that_ended_stop_parts(void **state)
{
	Rk__BlobRef *b = world_blob(&w, MIB);
	(void)state;

	assert_int_equal(world_blob_open(&w, A, nda, b), RK_OK);
	assert_int_equal(world_set_status(&w, B, RK__ORG_STATUS__SUSPENDED), RK_OK);
	assert_int_equal(world_blob_put(&w, A, b, 1000, false), RK_NDA_SUSPENDED);
	assert_state(b, BLOB_OPEN); /* it may go on later */
	assert_int_equal(world_set_status(&w, B, RK__ORG_STATUS__ACTIVE), RK_OK);
	assert_int_equal(world_blob_put(&w, A, b, 1000, false), RK_OK);
	w.now_ms = apply_charter(w.apply)->not_after;
	assert_int_equal(world_blob_put(&w, A, b, 2000, false), RK_CHARTER_EXPIRED);
	assert_int_equal(world_blob_open(&w, A, nda, world_blob(&w, MIB)), RK_CHARTER_EXPIRED);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_attachment_goes_from_opened_to_attached_to_fetched),
		TEST(opening_again_prolongs_and_another_is_a_conflict),
		TEST(opening_asks_the_gate_of_a_sender),
		TEST(opening_needs_a_directory_room_and_quota),
		TEST(an_organisation_has_64_uploads),
		TEST(a_part_of_others_or_of_nothing_is_unknown),
		TEST(a_refusal_of_the_files_says_how_far_it_is),
		TEST(findings_that_do_not_fit_the_row_complete_nothing),
		TEST(each_part_asks_the_gate_again),
		TEST(an_envelope_takes_only_what_is_complete_and_its_own),
		TEST(fetching_asks_the_gate_each_time),
		TEST(an_end_in_the_same_batch_stands_between_two_parts),
		TEST(what_goes_back_takes_its_attachments_with_it),
		TEST(after_an_end_nobody_opens_the_same_name),
		TEST(an_agreement_that_runs_out_drops_its_uploads_a_few_at_a_time),
		TEST(an_expulsion_takes_all_uploads_in_its_own_transaction),
		TEST(an_expelled_member_gets_and_sends_no_further_part),
		TEST(a_suspended_agreement_and_a_charter_that_ended_stop_parts),
	};
	return cmocka_run_group_tests_name("attachments in the state machine", tests, NULL, NULL);
}
