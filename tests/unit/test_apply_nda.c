/*
 * An agreement from its proposal to its end, and what the gate lets through on the way: accept, pickup, fetch, return
 * (P2).  The left-over cases: what was stored before an end and is asked for after it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/strict.h"
#include "tests/unit/world.h"

#define A 1
#define B 2
#define C 3
#define TO_A 2u
#define TO_B 4u
#define TO_C 8u

static struct world w;
static uint8_t nda[32], env[32];
static uint64_t proposals; /* pending bytes from A to B before the first dossier */

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	for (int i = A; i <= C; i++)
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

/* Bytes of gated mail that wait: without the proposals, which were delivered whole and count until they expire. */
static uint64_t waiting(int to, int from)
{
	return world_quota(&w, QUOTA_PENDING, to, from) - proposals;
}

/* After agreeing: what waits now is no dossier. */
static void agree(unsigned parties, uint8_t nda_id[32])
{
	world_agree(&w, parties, nda_id);
	proposals = world_quota(&w, QUOTA_PENDING, B, A);
}

static struct stream_entry last_of(int org)
{
	struct stream_entry e;

	world_entry(&w, box(org), world_head(&w, box(org)), &e);
	return e;
}

/* The newest entry of an organisation's mailbox says that this envelope came back from these. */
static void assert_returned(int org, const uint8_t env_id[32], Rk__ReturnReason reason, size_t n_orgs)
{
	struct stream_entry e = last_of(org);
	Rk__Returned *r;

	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_RETURNED);
	assert_int_equal(STRICT_PARSE(returned, e.object, w.arena, &r), RK_OK);
	assert_memory_equal(r->env_id.data, env_id, 32);
	assert_int_equal(r->reason, reason);
	assert_int_equal(r->n_orgs, n_orgs);
}

/* ---- from proposal to release */
static void a_proposal_and_its_acceptance(void **state)
{
	static const uint8_t kinds[] = {RK__ENTRY_KIND__ENTRY_NDA_TERMS, RK__ENTRY_KIND__ENTRY_NDA_ACT,
					RK__ENTRY_KIND__ENTRY_ENVELOPE, RK__ENTRY_KIND__ENTRY_NDA_ACT,
					RK__ENTRY_KIND__ENTRY_ENVELOPE};
	uint64_t log = apply_log_size(w.apply), head[3] = {0, world_head(&w, box(A)), world_head(&w, box(B))};
	struct stream_entry e;
	struct nda_row row;
	(void)state;

	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
	assert_true(w.reply->logged && w.reply->log_index == log + 1);
	assert_int_equal(world_quota(&w, QUOTA_UNSIGNED, A, -1), 1);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_true(w.reply->logged && w.reply->log_index == log + 2);
	assert_int_equal(world_quota(&w, QUOTA_UNSIGNED, A, -1), 0);
	assert_true(apply_log_size(w.apply) == log + 3);
	for (int org = A; org <= B; org++)
		for (size_t i = 0; i < sizeof(kinds); i++) {
			world_entry(&w, box(org), head[org] + 1 + i, &e);
			assert_int_equal(e.kind, kinds[i]);
			/* Proposals are whole; only what is logged has an index. */
			assert_int_equal(e.flags & STREAM_HEAD_ONLY, 0);
			assert_int_equal((e.flags & STREAM_LOGGED) != 0, kinds[i] != RK__ENTRY_KIND__ENTRY_ENVELOPE);
		}
	assert_true(world_head(&w, box(C)) == 0);
	world_nda(&w, nda, &row);
	assert_true(row.complete_at == w.now_ms);
	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
}

static void head_then_pickup_then_fetch(void **state)
{
	struct command *c;
	struct stream_entry e;
	uint64_t log;
	(void)state;

	agree(TO_A | TO_B, nda);
	log = apply_log_size(w.apply);
	c = world_disclose_command(&w, RK__KIND__NDA, A, TO_B, nda, env);
	assert_int_equal(world_run(&w, c), RK_OK);
	assert_true(w.reply->logged && w.reply->log_index == log);
	e = last_of(B);
	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_ENVELOPE);
	assert_true((e.flags & (STREAM_HEAD_ONLY | STREAM_LOGGED)) == (STREAM_HEAD_ONLY | STREAM_LOGGED));
	assert_true(e.log_index == log);
	assert_int_equal(waiting(B, A), c->wraps.len + c->body.len);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_NOT_PERMITTED);

	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_true(w.reply->logged && w.reply->log_index == log + 1);
	assert_int_equal(last_of(A).kind, RK__ENTRY_KIND__ENTRY_PICKUP);
	assert_int_equal(last_of(B).kind, RK__ENTRY_KIND__ENTRY_PICKUP);
	assert_int_equal(waiting(B, A), 0);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_OK);
	assert_int_equal(w.frame_count, 2);
	assert_true(bytes_equal(w.frames[0], c->wraps));
	assert_true(bytes_equal(w.frames[1], c->body));
	assert_int_equal(w.reply->fetch->parts, 1);
	/* Again: no new pair, no leaf. */
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_false(w.reply->logged);
	assert_true(apply_log_size(w.apply) == log + 2);
	/* The sender's own devices need no Pickup. */
	assert_int_equal(world_fetch(&w, A, 0, env), RK_OK);
	world_restart(&w);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_OK);
}

static void a_pickup_releases_all_or_nothing(void **state)
{
	uint8_t ids[3][32], other[32];
	uint64_t log;
	(void)state;

	agree(TO_A | TO_B, nda);
	agree(TO_A | TO_B, other);
	for (int i = 0; i < 2; i++)
		assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, ids[i]), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, other, ids[2]), RK_OK);
	log = apply_log_size(w.apply);
	assert_int_equal(world_run(&w, world_pickup_command(&w, B, 0, nda, ids, 3)), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_fetch(&w, B, 0, ids[0]), RK_NOT_PERMITTED);
	assert_true(apply_log_size(w.apply) == log);
	assert_int_equal(world_run(&w, world_pickup_command(&w, B, 0, nda, ids, 2)), RK_OK);
	assert_true(apply_log_size(w.apply) == log + 1);
	assert_int_equal(world_fetch(&w, B, 0, ids[0]), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, ids[1]), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, ids[2]), RK_NOT_PERMITTED);
}

static void each_device_signs_for_itself(void **state)
{
	(void)state;
	w.orgs[B].devices[1].is_listed = true;
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	assert_int_equal(world_hello(&w, B, 1), RK_OK);
	agree(TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	/* The second device had no kx key, so no wrap. */
	assert_int_equal(world_pickup(&w, B, 1, nda, env), RK_NO_RECIPIENT_KEY);
	assert_int_equal(world_fetch(&w, B, 1, env), RK_NOT_PERMITTED);
	assert_int_equal(world_put_kx(&w, B, 1, world_kx(&w, B, 1)), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_int_equal(world_fetch(&w, B, 1, env), RK_NOT_PERMITTED);
	assert_int_equal(world_pickup(&w, B, 1, nda, env), RK_OK);
	assert_true(w.reply->logged);
	assert_int_equal(world_fetch(&w, B, 1, env), RK_OK);
}

/* ---- left-over cases: nothing is released once an end stands */
static void nothing_passes_after_termination(void **state)
{
	uint8_t picked[32];
	struct command *repeat;
	(void)state;

	agree(TO_A | TO_B, nda);
	repeat = world_disclose_command(&w, RK__KIND__NDA, A, TO_B, nda, picked);
	assert_int_equal(world_run(&w, repeat), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, picked), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	/* With notice 0 the rest has gone back in the same transaction. */
	assert_returned(A, env, RK__RETURN_REASON__RETURN_NDA_ENDED, 1);
	assert_int_equal(waiting(B, A), 0);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_NDA_TERMINATED);
	assert_int_equal(world_fetch(&w, B, 0, picked), RK_NDA_TERMINATED);
	assert_int_equal(world_fetch(&w, A, 0, env), RK_NDA_TERMINATED);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, B, TO_A, nda, NULL), RK_NDA_TERMINATED);
	/* A repeat is told what happened then; it releases nothing. */
	assert_int_equal(world_run(&w, repeat), RK_OK);
	assert_int_equal(w.frame_count, 0);
	world_restart(&w);
	assert_int_equal(world_fetch(&w, B, 0, picked), RK_NDA_TERMINATED);
	/* Notices go on for their window. */
	assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_OK);
}

static void termination_with_notice(void **state)
{
	Rk__NdaTerms *t = world_terms(&w, TO_A | TO_B);
	int64_t end;
	(void)state;

	t->notice_days = 5;
	assert_int_equal(world_propose(&w, A, t, nda), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	end = w.now_ms + 5 * WORLD_DAY_MS;
	w.now_ms = end - 1;
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_true(apply_next_due(w.apply) == end);
	w.now_ms = end;
	world_tick(&w);
	assert_returned(A, env, RK__RETURN_REASON__RETURN_NDA_ENDED, 1);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_NDA_TERMINATED);
}

/* The gate judges by time itself: what is due may be late. */
static void an_end_counts_before_the_sweep(void **state)
{
	struct command *c;
	int code;
	(void)state;

	agree(TO_A | TO_B, nda);
	w.now_ms += 85 * WORLD_DAY_MS;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	for (int i = A; i <= B; i++)
		assert_int_equal(world_put_kx(&w, i, 0, world_kx(&w, i, 0)), RK_OK);
	w.now_ms += 10 * WORLD_DAY_MS;
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	w.now_ms += 5 * WORLD_DAY_MS;
	c = world_pickup_command(&w, B, 0, nda, (const uint8_t(*)[32])env, 1);
	assert_int_equal(apply_begin(w.apply, w.now_ms), RK_OK);
	apply_command(w.apply, c);
	assert_int_equal(apply_commit(w.apply), RK_OK);
	size_t count;

	code = apply_effects(w.apply, &count)[0].code;
	assert_int_equal(code, RK_NDA_EXPIRED);
	world_tick(&w);
	assert_returned(A, env, RK__RETURN_REASON__RETURN_NDA_ENDED, 1);
}

static void a_hold_stops_and_a_resume_opens(void **state)
{
	uint8_t picked[32];
	(void)state;

	agree(TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, picked), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, picked), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, picked), RK_NDA_HELD);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_NDA_HELD);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, A, TO_B, nda, NULL), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__RESUME), RK_CONFLICT);
	w.now_ms++;
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__RESUME), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, picked), RK_OK);
}

static void a_replayed_resume_lifts_no_later_hold(void **state)
{
	Rk__NdaAct *resume;
	(void)state;

	agree(TO_A | TO_B, nda);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__HOLD), RK_OK);
	resume = world_act(&w, A, nda, RK__ACT_KIND__RESUME);
	assert_int_equal(world_run(&w, world_act_command(&w, A, resume)), RK_OK);
	w.now_ms++;
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(world_run(&w, world_act_command(&w, A, resume)), RK_DUPLICATE);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL), RK_NDA_HELD);
}

/* HOLD and RESUME of one party cannot fill the record so far that another could not hold or end the agreement. */
static void holds_leave_room_for_the_others(void **state)
{
	int code = RK_OK;
	(void)state;

	agree(TO_A | TO_B, nda);
	for (int i = 0; i < 300 && code == RK_OK; i++) {
		w.now_ms++;
		code = world_do_act(&w, A, nda, i % 2 ? RK__ACT_KIND__RESUME : RK__ACT_KIND__HOLD);
	}
	assert_int_equal(code, RK_QUOTA);
	code = RK_OK;
	for (int i = 0; i < 300 && code == RK_OK; i++) {
		w.now_ms++;
		code = world_do_act(&w, B, nda, i % 2 ? RK__ACT_KIND__RESUME : RK__ACT_KIND__HOLD);
		/* A has used up its share; B has not lost any of its own. */
		assert_true(code == RK_OK || i > 100);
	}
	assert_int_equal(code, RK_QUOTA);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_OK);
}

static void an_expelled_party_closes_all(void **state)
{
	uint8_t picked[32];
	uint64_t proposal_to_c;
	(void)state;

	agree(TO_A | TO_B | TO_C, nda);
	proposal_to_c = world_quota(&w, QUOTA_PENDING, C, A);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B | TO_C, nda, picked), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, picked), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B | TO_C, nda, env), RK_OK);
	assert_int_equal(world_set_status(&w, C, RK__ORG_STATUS__EXPELLED), RK_OK);
	assert_int_equal(last_of(A).kind, RK__ENTRY_KIND__ENTRY_RETURNED);
	assert_true(world_quota(&w, QUOTA_PENDING, C, A) == proposal_to_c);
	assert_true(waiting(B, A) > 0);
	assert_int_equal(world_fetch(&w, B, 0, picked), RK_NDA_SUSPENDED);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_NDA_SUSPENDED);
	/* Notices between those who are left go on. */
	assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, A, TO_B, nda, NULL), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, A, TO_C, nda, NULL), RK_NDA_SUSPENDED);
	/* What B never could pick up comes back when it expires. */
	w.now_ms += 20 * WORLD_DAY_MS;
	world_tick(&w);
	assert_int_equal(world_quota(&w, QUOTA_PENDING, B, A), 0);
}

static void what_expires_comes_back_and_is_forgotten(void **state)
{
	uint64_t stored;

	(void)state;
	agree(TO_A | TO_B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	stored = world_quota(&w, QUOTA_STORED, A, -1);
	w.now_ms += 20 * WORLD_DAY_MS;
	world_tick(&w);
	assert_returned(A, env, RK__RETURN_REASON__RETURN_EXPIRED, 1);
	/* Heads, terms and acts stay, and count. */
	assert_true(world_quota(&w, QUOTA_STORED, A, -1) > 1000);
	assert_true(world_quota(&w, QUOTA_STORED, A, -1) < stored - 1000);
	assert_true(world_quota(&w, QUOTA_STORED, B, -1) < world_quota(&w, QUOTA_STORED, A, -1));
	assert_int_equal(world_count(&w, T_PENDING), 0);
	assert_int_equal(world_fetch(&w, A, 0, env), RK_ENVELOPE_EXPIRED);
	assert_int_equal(world_count(&w, T_ENVELOPE), 3);
	w.now_ms += 30 * WORLD_DAY_MS;
	world_tick(&w);
	assert_int_equal(world_count(&w, T_ENVELOPE), 0);
	assert_int_equal(world_count(&w, T_WRAP), 0);
	assert_int_equal(world_fetch(&w, A, 0, env), RK_UNKNOWN_OBJECT);
}

static void a_window_of_notices_ends(void **state)
{
	(void)state;
	agree(TO_A | TO_B, nda);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	w.now_ms += 25 * WORLD_DAY_MS;
	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, B, TO_A, nda, env), RK_OK);
	w.now_ms += 5 * WORLD_DAY_MS;
	world_tick(&w);
	assert_returned(B, env, RK__RETURN_REASON__RETURN_NDA_ENDED, 1);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, B, TO_A, nda, NULL), RK_NDA_TERMINATED);
}

static void many_returns_are_done_in_parts(void **state)
{
	size_t head;
	(void)state;

	agree(TO_A | TO_B, nda);
	for (int i = 0; i < 70; i++)
		assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	head = world_head(&w, box(A));
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_int_equal(world_head(&w, box(A)), head + 1 + 64);
	assert_true(apply_next_due(w.apply) <= w.now_ms);
	world_tick(&w);
	assert_int_equal(world_head(&w, box(A)), head + 1 + 70);
	assert_int_equal(waiting(B, A), 0);
}

/* ---- marks and dates: what must always be possible */
static void termination_fits_above_the_hard_mark(void **state)
{
	struct apply_limits l = w.limits;
	(void)state;

	agree(TO_A | TO_B, nda);
	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	l.soft_percent = l.hard_percent = 0;
	world_limits(&w, &l);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL), RK_STORE_FULL);
	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_STORE_FULL);
	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__WITHDRAW, 1, 2), RK_OK);
	assert_int_equal(world_ack(&w, A, stream_control(), 1), RK_OK);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_int_equal(world_set_status(&w, A, RK__ORG_STATUS__EXPELLED), RK_OK);
}

static void ends_do_not_wait_for_directory_or_charter(void **state)
{
	uint8_t other[32], mail[32];
	(void)state;

	agree(TO_A | TO_B, nda);
	agree(TO_A | TO_B, other);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, mail), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, mail), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, env), RK_OK);
	w.now_ms += 15 * WORLD_DAY_MS;
	assert_int_equal(world_fetch(&w, B, 0, mail), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_DIRECTORY_EXPIRED);
	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), mail), RK_DIRECTORY_EXPIRED);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA_NOTICE, A, TO_B, nda, NULL), RK_OK);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_int_equal(world_do_act(&w, A, other, RK__ACT_KIND__HOLD), RK_OK);
}

/* ---- the long way of a proposal */
static void a_proposal_that_lapses_frees_its_place(void **state)
{
	(void)state;
	assert_int_equal(world_propose(&w, A, world_terms(&w, TO_A | TO_B), nda), RK_OK);
	w.now_ms += 10 * WORLD_DAY_MS;
	world_tick(&w);
	assert_int_equal(world_quota(&w, QUOTA_UNSIGNED, A, -1), 0);
	assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__REJECT), RK_NDA_LAPSED);
}

static void three_parties_all_sign(void **state)
{
	(void)state;
	assert_int_equal(world_propose(&w, B, world_terms(&w, TO_A | TO_B | TO_C), nda), RK_OK);
	assert_int_equal(world_do_act(&w, C, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, B, TO_C, nda, NULL), RK_NDA_PROPOSED);
	assert_int_equal(world_quota(&w, QUOTA_UNSIGNED, B, -1), 1);
	assert_int_equal(world_do_act(&w, A, nda, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, B, TO_A | TO_C, nda, env), RK_OK);
	assert_int_equal(world_pickup(&w, A, 0, nda, env), RK_OK);
	assert_int_equal(world_do_act(&w, C, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_returned(B, env, RK__RETURN_REASON__RETURN_NDA_ENDED, 1);
	assert_int_equal(world_fetch(&w, A, 0, env), RK_NDA_TERMINATED);
	assert_int_equal(world_quota(&w, QUOTA_UNSIGNED, B, -1), 0);
}

static void an_open_letter_is_whole_and_ungated(void **state)
{
	struct command *c = world_submit_command(&w, A, 0, world_header(&w, RK__KIND__OPEN, A, 0, TO_B), TO_B);
	struct stream_entry e;
	(void)state;

	assert_int_equal(world_run(&w, c), RK_OK);
	assert_false(w.reply->logged);
	e = last_of(B);
	assert_int_equal(e.flags & (STREAM_HEAD_ONLY | STREAM_LOGGED), 0);
	assert_true(bytes_equal(e.body, c->body));
	assert_int_equal(world_fetch(&w, B, 0, c->env_id), RK_OK);
	assert_int_equal(world_fetch(&w, C, 0, c->env_id), RK_UNKNOWN_OBJECT);
	/* Who has answered is no stranger any more. */
	assert_int_equal(world_quota(&w, QUOTA_OPEN_DAY, A, -1) & 0xffffffff, 1);
	assert_int_equal(world_submit(&w, B, 0, world_header(&w, RK__KIND__OPEN, B, 0, TO_A), TO_A), RK_OK);
	assert_int_equal(world_quota(&w, QUOTA_OPEN_DAY, B, -1), 0);
	assert_int_equal(world_submit(&w, A, 0, world_header(&w, RK__KIND__OPEN, A, 0, TO_B), TO_B), RK_OK);
	assert_int_equal(world_quota(&w, QUOTA_OPEN_DAY, A, -1) & 0xffffffff, 1);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_proposal_and_its_acceptance),
		TEST(head_then_pickup_then_fetch),
		TEST(a_pickup_releases_all_or_nothing),
		TEST(each_device_signs_for_itself),
		TEST(nothing_passes_after_termination),
		TEST(termination_with_notice),
		TEST(an_end_counts_before_the_sweep),
		TEST(a_hold_stops_and_a_resume_opens),
		TEST(a_replayed_resume_lifts_no_later_hold),
		TEST(holds_leave_room_for_the_others),
		TEST(an_expelled_party_closes_all),
		TEST(what_expires_comes_back_and_is_forgotten),
		TEST(a_window_of_notices_ends),
		TEST(many_returns_are_done_in_parts),
		TEST(termination_fits_above_the_hard_mark),
		TEST(ends_do_not_wait_for_directory_or_charter),
		TEST(a_proposal_that_lapses_frees_its_place),
		TEST(three_parties_all_sign),
		TEST(an_open_letter_is_whole_and_ungated),
	};
	return cmocka_run_group_tests_name("apply agreements", tests, NULL, NULL);
}
