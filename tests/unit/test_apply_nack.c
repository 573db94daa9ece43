/*
 * NACK: a recipient's device says that what came does not open, or that its organisation does not want it; what either
 * does to mailboxes, to what waits, and to a later pickup and fetch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
#define UNOPENED RK__NACK_REASON__NACK_UNOPENED
#define CLOCK_MS ((int64_t)10 * 60 * 1000) /* how far off a claimed time may be */
#define DECLINED RK__NACK_REASON__NACK_DECLINED

static struct world w;
static uint8_t nda[32], env[32];
static uint64_t proposals; /* pending bytes from A to B before the first dossier */

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	for (int i = A; i <= C; i++)
		world_admit(&w, i);
	world_agree(&w, TO_A | TO_B | TO_C, nda);
	proposals = world_quota(&w, QUOTA_PENDING, B, A);
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

static struct stream_entry last_of(int org, uint64_t back)
{
	struct stream_entry e;

	world_entry(&w, box(org), world_head(&w, box(org)) - back, &e);
	return e;
}

static void disclose(Rk__Kind kind, unsigned to)
{
	assert_int_equal(world_disclose(&w, kind, A, to, nda, env), RK_OK);
}

static int nack(int org, Rk__NackReason reason)
{
	return world_nack(&w, org, 0, nda, env, reason);
}

/* The signed bytes with their leaf, in the mailbox of one who should have them. */
static void assert_nacked(int org, uint64_t back)
{
	struct stream_entry e = last_of(org, back);
	struct command *c = w.records[w.record_count - 1].command;

	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_NACK);
	assert_int_equal(e.flags, STREAM_LOGGED);
	assert_true(e.log_index == w.reply->log_index);
	assert_true(bytes_equal(e.object, c->signed_object.wire));
}

static void what_does_not_open_is_logged_for_both(void **state)
{
	uint64_t log, others;
	(void)state;

	disclose(RK__KIND__NDA, TO_B | TO_C);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_OK);
	log = apply_log_size(w.apply);
	others = world_head(&w, box(C));
	assert_int_equal(nack(B, UNOPENED), RK_OK);
	assert_true(w.reply->logged && w.reply->log_index == log);
	assert_true(apply_log_size(w.apply) == log + 1);
	assert_nacked(A, 0);
	assert_nacked(B, 0);
	assert_true(world_head(&w, box(C)) == others);
	/* It is a statement: what was released stays so. */
	assert_int_equal(world_fetch(&w, B, 0, env), RK_OK);
	assert_int_equal(world_pickup(&w, C, 0, nda, env), RK_OK);
	/* A pickup after it keeps the mark. */
	assert_int_equal(nack(B, UNOPENED), RK_DUPLICATE);
}

static void what_fails_before_the_pickup_can_still_be_picked_up(void **state)
{
	(void)state;
	disclose(RK__KIND__NDA, TO_B);
	assert_int_equal(nack(B, UNOPENED), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_OK);
	assert_int_equal(nack(B, DECLINED), RK_DUPLICATE);
}

static void what_is_declined_goes_back(void **state)
{
	struct stream_entry e;
	Rk__Returned *r;
	uint64_t stored;
	(void)state;

	stored = world_quota(&w, QUOTA_STORED, A, -1);
	disclose(RK__KIND__NDA, TO_B);
	assert_true(world_quota(&w, QUOTA_PENDING, B, A) > proposals);
	assert_int_equal(nack(B, DECLINED), RK_OK);
	assert_nacked(B, 0);
	assert_nacked(A, 1);
	e = last_of(A, 0);
	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_RETURNED);
	assert_int_equal(STRICT_PARSE(returned, e.object, w.arena, &r), RK_OK);
	assert_memory_equal(r->env_id.data, env, 32);
	assert_int_equal(r->reason, RK__RETURN_REASON__RETURN_DECLINED);
	assert_int_equal(r->n_orgs, 1);
	assert_memory_equal(r->orgs[0].data, w.orgs[B].id, 16);

	assert_true(world_quota(&w, QUOTA_PENDING, B, A) == proposals);
	/* The head stays and is paid for; the bulk is gone, for the sender too. */
	assert_true(world_quota(&w, QUOTA_STORED, A, -1) - stored < 1024);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_NOT_PERMITTED);
	assert_int_equal(world_fetch(&w, A, 0, env), RK_UNKNOWN_OBJECT);
	/* Its end comes as any other's. */
	w.now_ms += 51 * WORLD_DAY_MS;
	world_tick(&w);
	world_tick(&w);
	assert_int_equal(last_of(A, 0).kind, RK__ENTRY_KIND__ENTRY_RETURNED);
	assert_true(world_count(&w, T_WRAP) == 0);
}

static void one_recipient_declines_for_itself(void **state)
{
	uint8_t ids[2][32];
	(void)state;

	disclose(RK__KIND__NDA, TO_B | TO_C);
	assert_int_equal(nack(B, DECLINED), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_UNKNOWN_OBJECT);
	/* A pickup that names it among others releases nothing. */
	memcpy(ids[0], env, 32);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, ids[1]), RK_OK);
	assert_int_equal(world_run(&w, world_pickup_command(&w, B, 0, nda, (const uint8_t(*)[32])ids, 2)), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_pickup(&w, C, 0, nda, env), RK_OK);
	assert_int_equal(world_fetch(&w, C, 0, env), RK_OK);
	assert_int_equal(world_fetch(&w, A, 0, env), RK_OK);
}

static void what_was_released_cannot_be_declined(void **state)
{
	(void)state;
	disclose(RK__KIND__NDA, TO_B);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_int_equal(nack(B, DECLINED), RK_CONFLICT);
	/* The refusal used nothing up: the statement is still to be had. */
	assert_int_equal(nack(B, UNOPENED), RK_OK);
}

static void a_second_device_speaks_for_itself(void **state)
{
	(void)state;
	w.orgs[B].devices[1].is_listed = true;
	assert_int_equal(world_put_devices(&w, B, 0, world_devices(&w, B)), RK_OK);
	disclose(RK__KIND__NDA, TO_B);
	assert_int_equal(world_hello(&w, B, 1), RK_OK);
	/* Without a kx key at the sealing it has no wrap, and nothing to say about it. */
	assert_int_equal(world_nack(&w, B, 1, nda, env, UNOPENED), RK_NO_RECIPIENT_KEY);
	assert_int_equal(world_put_kx(&w, B, 1, world_kx(&w, B, 1)), RK_OK);
	disclose(RK__KIND__NDA, TO_B);
	assert_int_equal(nack(B, UNOPENED), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	/* What one device has picked up, the other cannot send back. */
	assert_int_equal(world_nack(&w, B, 1, nda, env, DECLINED), RK_CONFLICT);
	assert_int_equal(world_nack(&w, B, 1, nda, env, UNOPENED), RK_OK);
	assert_int_equal(world_nack(&w, B, 1, nda, env, UNOPENED), RK_DUPLICATE);
	disclose(RK__KIND__NDA, TO_B);
	assert_int_equal(nack(B, DECLINED), RK_OK);
	assert_int_equal(world_nack(&w, B, 1, nda, env, DECLINED), RK_CONFLICT);
}

static void a_notice_is_declined_likewise(void **state)
{
	(void)state;
	disclose(RK__KIND__NDA_NOTICE, TO_B);
	assert_int_equal(nack(B, DECLINED), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_UNKNOWN_OBJECT);
}

static void it_outlives_the_agreement_and_the_directory(void **state)
{
	(void)state;
	disclose(RK__KIND__NDA, TO_B);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_OK);
	assert_int_equal(world_do_act(&w, C, nda, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_int_equal(world_fetch(&w, B, 0, env), RK_NDA_TERMINATED);
	w.now_ms += 49 * WORLD_DAY_MS; /* the directory has ended, the id is not forgotten yet */
	world_tick(&w);
	assert_int_equal(nack(B, UNOPENED), RK_OK);
	assert_nacked(A, 0);
}

static void a_forgotten_envelope_is_unknown(void **state)
{
	(void)state;
	disclose(RK__KIND__NDA, TO_B);
	w.now_ms += 51 * WORLD_DAY_MS;
	world_tick(&w);
	world_tick(&w);
	assert_int_equal(nack(B, UNOPENED), RK_UNKNOWN_OBJECT);
}

static void it_passes_the_hard_mark(void **state)
{
	struct apply_limits full = apply_default_limits;
	(void)state;

	disclose(RK__KIND__NDA, TO_B | TO_C);
	full.soft_percent = full.hard_percent = 0;
	world_limits(&w, &full);
	assert_int_equal(world_pickup(&w, B, 0, nda, env), RK_STORE_FULL);
	assert_int_equal(nack(B, DECLINED), RK_OK);
	assert_int_equal(nack(C, UNOPENED), RK_OK);
}

static void each_refusal(void **state)
{
	Rk__EnvelopeHeader *letter = world_header(&w, RK__KIND__OPEN, A, 0, TO_B);
	struct command *c = world_submit_command(&w, A, 0, letter, TO_B);
	uint8_t other[32];
	uint64_t log;
	Rk__Nack *n;
	(void)state;

	assert_int_equal(world_run(&w, c), RK_OK);
	world_agree(&w, TO_A | TO_B, other);
	disclose(RK__KIND__NDA, TO_B);
	log = apply_log_size(w.apply);

	assert_int_equal(nack(B, RK__NACK_REASON__NACK_NONE), RK_MALFORMED);
	/* Unknown, not gated, of another agreement, of others, one's own: all answer alike. */
	assert_int_equal(world_nack(&w, B, 0, nda, w.orgs[B].key.pk, UNOPENED), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_nack(&w, B, 0, nda, c->env_id, UNOPENED), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_nack(&w, B, 0, other, env, UNOPENED), RK_UNKNOWN_OBJECT);
	assert_int_equal(nack(C, DECLINED), RK_UNKNOWN_OBJECT);
	assert_int_equal(nack(A, DECLINED), RK_UNKNOWN_OBJECT);
	n = world_nack_of(&w, B, 0, nda, env, UNOPENED);
	n->time += CLOCK_MS + 1;
	assert_int_equal(world_run(&w, world_nack_command(&w, B, 0, n)), RK_CLOCK);
	n->time -= 2 * (CLOCK_MS + 1);
	assert_int_equal(world_run(&w, world_nack_command(&w, B, 0, n)), RK_CLOCK);
	n = world_nack_of(&w, B, 0, nda, env, UNOPENED);
	n->device_id = world_copy(&w, w.orgs[B].devices[1].id, 16);
	assert_int_equal(world_run(&w, world_nack_command(&w, B, 0, n)), RK_NOT_PERMITTED);
	/* The key has changed between verify and apply. */
	c = world_nack_command(&w, B, 0, world_nack_of(&w, B, 0, nda, env, UNOPENED));
	c->object_pk[0] ^= 1;
	assert_int_equal(world_run(&w, c), RK_BAD_SIGNATURE);
	assert_true(apply_log_size(w.apply) == log);

	n = world_nack_of(&w, B, 0, nda, env, UNOPENED);
	n->time += CLOCK_MS;
	assert_int_equal(world_run(&w, world_nack_command(&w, B, 0, n)), RK_OK);
	/* What states something about an agreement waits for a charter in force, as a pickup does. */
	disclose(RK__KIND__NDA, TO_B);
	w.now_ms = FIXED_TIME_MS + 6 * 365 * WORLD_DAY_MS;
	assert_int_equal(nack(B, UNOPENED), RK_CHARTER_EXPIRED);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_does_not_open_is_logged_for_both),
		TEST(what_fails_before_the_pickup_can_still_be_picked_up),
		TEST(what_is_declined_goes_back),
		TEST(one_recipient_declines_for_itself),
		TEST(what_was_released_cannot_be_declined),
		TEST(a_second_device_speaks_for_itself),
		TEST(a_notice_is_declined_likewise),
		TEST(it_outlives_the_agreement_and_the_directory),
		TEST(a_forgotten_envelope_is_unknown),
		TEST(it_passes_the_hard_mark),
		TEST(each_refusal),
	};
	return cmocka_run_group_tests_name("apply nack", tests, NULL, NULL);
}
