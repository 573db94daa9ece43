/*
 * Two years of one exchange, in order: each test goes on where the one before it has ended, so the first that fails is the one to look at.
 * Ends are tested on both sides of their instant: what holds at the last millisecond does not at the next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/kx.h"
#include "proto/trust.h"
#include "tests/unit/years_kit.h"

#define DAY EXCHANGE_DAY_MS
#define MINUTE ((int64_t)60000)
#define MARGIN AGREEMENT_MARGIN_MS

static struct years y;
static struct exchange *const x = &y.x;

static int64_t after(int64_t days)
{
	return EXCHANGE_START_MS + days * DAY;
}

static void sync(unsigned home)
{
	exchange_must(verb_sync(x, home, NULL), "sync");
}

/* ---- the first months */

/* An invite lasts 7 days: it opens at the last millisecond, and not at the next. */
static void test_invite(void **state)
{
	unsigned late;
	int code, asked;

	(void)state;
	assert_int_equal(exchange_prepare(x, "Mostly away", RK__ORG_KIND__INSTITUTE, 7 * DAY), YEARS_M);
	late = exchange_prepare(x, "Too late", RK__ORG_KIND__SME, 7 * DAY);
	exchange_pass(7 * DAY - 1);
	exchange_must(exchange_ask(x, YEARS_M, &asked), "asking in the last millisecond");
	assert_int_equal(asked, RK__ENROL_STATE__ENROL_PENDING);
	exchange_pass(1);
	code = exchange_ask(x, late, &asked);
	assert_true(code == RK_INVITE_EXPIRED || code == RK_NOT_ADMITTED);
	/* The request came in time: it waits for the secretariat as long as that takes. */
	years_visit(&y);
	exchange_admit(x, YEARS_M, "Mostly away");
	exchange_close(x, late);
	years_visit(&y);
}

static uint8_t first_post[32], long_post[32];
static int64_t long_post_ends;

/* Days of the calendar in Tokyo: the first begins and the last ends at 15:00 UTC of the day before and of itself. */
static void test_agreement_begins(void **state)
{
	const struct agreement_new terms = {.first_day = 20270115, .last_day = 20270125, .window_days = 5, .survival_months = -1};
	const int64_t begins = after(14) - 9 * EXCHANGE_HOUR_MS, ends = begins + 11 * DAY;
	uint8_t nda[32], env[3][32];

	(void)state;
	exchange_must(verb_post(x, YEARS_A, "For 90 days", 0, first_post), "post");
	exchange_must(verb_agree(x, YEARS_A, YEARS_U, &terms, nda), "agree");
	years_live_until(&y, begins - 1);
	years_visit(&y);
	assert_int_equal(verb_state(x, YEARS_A, nda), NDA_PENDING_START);
	assert_int_equal(verb_send(x, YEARS_A, nda, "early", 10, env[0]), RK_NDA_NOT_YET);
	exchange_set_clock(begins);
	assert_int_equal(verb_state(x, YEARS_A, nda), NDA_IN_FORCE);
	/* Those who send stay five minutes clear of the dates. */
	exchange_set_clock(begins + MARGIN - 1);
	assert_int_equal(verb_send(x, YEARS_A, nda, "early", 10, env[0]), RK_NDA_NOT_YET);
	exchange_set_clock(begins + MARGIN);
	assert_int_equal(verb_send(x, YEARS_A, nda, "first", 10, env[0]), RK_OK);

	years_live_until(&y, ends - MARGIN - 1);
	years_visit(&y);
	assert_int_equal(verb_send(x, YEARS_A, nda, "last", 10, env[1]), RK_OK);
	exchange_pass(1);
	assert_int_equal(verb_send(x, YEARS_A, nda, "late", 10, env[2]), RK_NDA_EXPIRED);
	exchange_set_clock(ends - 1);
	sync(YEARS_U);
	assert_int_equal(verb_state(x, YEARS_U, nda), NDA_IN_FORCE);
	assert_int_equal(verb_pickup(x, YEARS_U, env[0]), RK_OK);
	exchange_set_clock(ends);
	assert_int_equal(verb_state(x, YEARS_U, nda), NDA_EXPIRED);
	assert_int_equal(verb_may_get(x, YEARS_U, env[1]), RK_NDA_EXPIRED);
	assert_int_equal(verb_pickup(x, YEARS_U, env[1]), RK_NDA_EXPIRED);
	sync(YEARS_A);
	assert_string_equal(verb_fate(x, YEARS_A, env[0]), "picked_up");
	assert_string_equal(verb_fate(x, YEARS_A, env[1]), "returned");

	/* Five days more for notices. */
	years_live_until(&y, ends + 5 * DAY - MARGIN - 1);
	years_visit(&y);
	assert_int_equal(verb_note(x, YEARS_A, nda, "In the window"), RK_OK);
	exchange_pass(1);
	assert_int_equal(verb_note(x, YEARS_A, nda, "After it"), RK_NDA_EXPIRED);
	years_visit(&y);
}

/* Ten days from the act's place in the log. */
static void test_agreement_is_terminated(void **state)
{
	const struct agreement_new terms = {.last_day = 20271231, .notice_days = 10, .window_days = -1, .survival_months = -1};
	uint8_t nda[32], env[2][32];
	int64_t ends;

	(void)state;
	exchange_must(verb_agree(x, YEARS_B, YEARS_U, &terms, nda), "agree");
	exchange_must(verb_act(x, YEARS_U, nda, RK__ACT_KIND__TERMINATE), "terminate");
	ends = exchange_now() + 10 * DAY;
	exchange_pass(DAY);
	sync(YEARS_B);
	assert_int_equal(verb_state(x, YEARS_B, nda), NDA_TERMINATING);
	exchange_must(verb_send(x, YEARS_B, nda, "one", 10, env[0]), "send");
	exchange_must(verb_send(x, YEARS_B, nda, "two", 10, env[1]), "send");
	years_live_until(&y, ends - 1);
	years_visit(&y);
	assert_int_equal(verb_pickup(x, YEARS_U, env[0]), RK_OK);
	exchange_pass(1);
	assert_int_equal(verb_pickup(x, YEARS_U, env[1]), RK_NDA_TERMINATED);
	assert_int_equal(verb_state(x, YEARS_U, nda), NDA_TERMINATED);
	sync(YEARS_B);
	assert_string_equal(verb_fate(x, YEARS_B, env[1]), "returned");
	years_visit(&y);
}

/* What nobody asks for in 20 days goes back. */
static void test_envelope_expires(void **state)
{
	uint8_t env[2][32];
	int64_t ends = exchange_now() + 20 * DAY;
	int code;

	(void)state;
	exchange_must(verb_send(x, YEARS_A, y.nda, "one", 10, env[0]), "send");
	exchange_must(verb_send(x, YEARS_A, y.nda, "two", 10, env[1]), "send");
	years_live_until(&y, ends - 1);
	years_visit(&y);
	assert_int_equal(verb_pickup(x, YEARS_B, env[0]), RK_OK);
	exchange_pass(1);
	assert_int_equal(verb_may_get(x, YEARS_B, env[1]), RK_ENVELOPE_EXPIRED);
	code = verb_pickup(x, YEARS_B, env[1]);
	assert_true(code == RK_ENVELOPE_EXPIRED || code == RK_UNKNOWN_OBJECT); /* the broker may have sent it back already */
	sync(YEARS_A);
	assert_string_equal(verb_fate(x, YEARS_A, env[0]), "picked_up");
	assert_string_equal(verb_fate(x, YEARS_A, env[1]), "returned");
	years_visit(&y);
}

/* ---- posts and epochs */

static uint64_t post_seq(const uint8_t post_id[32])
{
	struct client *c = exchange_client(x, YEARS_B);
	struct arena *a = arena_new(1024 * 1024);
	Rkl__PostRecord *record;
	struct txn *t;
	uint64_t seq;

	exchange_must(env_begin(client_env(c), false, &t), "begin");
	exchange_must(record_get(t, C_POST, bytes_make(post_id, 32), &rkl__post_record__descriptor, a, (ProtobufCMessage **)&record), "post");
	seq = record->first_seq;
	env_abort(t);
	arena_free(a);
	return seq;
}

static bool has_bulk(uint64_t seq)
{
	struct stream_id offers = stream_channel(RK__CHANNEL__OFFER);
	struct arena *a = arena_new(1024 * 1024);
	struct stream_entry e;
	bool yes = exchange_broker_entry(&x->broker, &offers, seq, a, &e);

	assert_true(yes);    /* its head stays */
	yes = e.body.len > 0;
	assert_int_equal(yes, !(e.flags & STREAM_BULK_DROPPED));
	arena_free(a);
	return yes;
}

static void must_end_at(const uint8_t post_id[32], int64_t ends)
{
	uint64_t seq = post_seq(post_id);
	bool is_readable;

	years_live_until(&y, ends - 1);
	years_visit(&y);
	assert_int_equal(verb_post_status(x, YEARS_B, post_id, &is_readable), RKL__POST_STATUS__LIVE);
	assert_true(is_readable);
	assert_true(has_bulk(seq));
	exchange_pass(1);
	assert_int_equal(verb_post_status(x, YEARS_B, post_id, &is_readable), RKL__POST_STATUS__EXPIRED);
	years_visit(&y);
	assert_false(has_bulk(seq));
}

/* The feed's epoch is replaced in its last week, and a post that was sealed before goes out under the next one. */
static void test_epoch_turns(void **state)
{
	struct secretariat_done done;
	bool has_key, is_readable;
	Rk__FeedEpoch before = years_epoch(&y, YEARS_A, &has_key), now;
	struct outcome out;
	uint64_t item;

	(void)state;
	years_live_until(&y, before.not_after - 7 * DAY - 1);
	years_visit(&y);
	assert_int_equal(years_epoch(&y, YEARS_SECRETARIAT, &has_key).n, before.n);
	exchange_pass(1);
	verb_post_later(x, YEARS_A, "Sealed before", 0, &item);
	verb_seal_and_stop(x, YEARS_A, item);
	exchange_must(verb_sync(x, YEARS_SECRETARIAT, &done), "sync");
	assert_true(done.epoch);
	assert_true(done.feed_keys >= 4);
	/* Ten minutes of grace, and the broker's clock allows ten to a sender: this one millisecond has both. */
	exchange_pass(TRUST_EPOCH_GRACE_MS);
	sync(YEARS_A);
	assert_int_equal(verb_outcome(x, YEARS_A, item, &out), RK_OK);
	assert_string_equal(x->home[YEARS_A].anew, "stale-epoch");
	assert_int_equal(x->home[YEARS_A].anew_count, 1);
	now = years_epoch(&y, YEARS_A, &has_key);
	assert_int_equal(now.n, before.n + 1);
	assert_true(has_key);
	/* Everybody reads it, and what was posted under the epoch before. */
	years_visit(&y);
	assert_int_equal(verb_post_status(x, YEARS_B, out.env_id, &is_readable), RKL__POST_STATUS__LIVE);
	assert_true(is_readable);
	(void)verb_post_status(x, YEARS_B, first_post, &is_readable);
	assert_true(is_readable);
}

static void test_post_expires(void **state)
{
	(void)state;
	must_end_at(first_post, after(7) + 90 * DAY);
}

static void test_long_post_expires(void **state)
{
	(void)state;
	must_end_at(long_post, long_post_ends);
}

/* ---- a member that is away */

static uint8_t away_nda[32];

static void must_have_said_late(unsigned times)
{
	assert_int_equal(verb_count(x, YEARS_M, KX_ALERT), times);
	assert_true(verb_alerts(x, YEARS_M, KX_ALERT) > 0);
}

/* It has been away since it joined: too late for its key, and it is told so.  One visit of the secretariat later it has everything. */
static void come_back(void)
{
	bool has_key;

	sync(YEARS_M);
	assert_true(years_kx(&y, YEARS_M, YEARS_M).not_after > exchange_now());
	sync(YEARS_SECRETARIAT);
	sync(YEARS_M);
	(void)years_epoch(&y, YEARS_M, &has_key);
	assert_true(has_key);
	sync(YEARS_A);
}

/* Fifty days: its key was over after 40, but what came before that can be read until 60. */
static void test_away_for_50_days(void **state)
{
	const struct agreement_new terms = {.last_day = 20281231, .window_days = -1, .survival_months = -1};
	uint8_t env[3][32], post[32];
	bool is_readable;
	int64_t left;

	(void)state;
	come_back();
	must_have_said_late(1);
	exchange_must(verb_agree(x, YEARS_A, YEARS_M, &terms, away_nda), "agree");
	left = years_kx(&y, YEARS_A, YEARS_M).not_before;
	years_live_until(&y, left + 35 * DAY);
	years_visit(&y);
	exchange_must(verb_post(x, YEARS_A, "While you were out", 0, post), "post");
	exchange_must(verb_send(x, YEARS_A, away_nda, "In time", 500, env[0]), "send");
	years_live_until(&y, left + 40 * DAY - MARGIN - 1);
	years_visit(&y);
	assert_int_equal(verb_send(x, YEARS_A, away_nda, "Just in time", 500, env[1]), RK_OK);
	exchange_pass(1);
	assert_int_equal(verb_send(x, YEARS_A, away_nda, "Nobody could open it", 500, env[2]), RK_NO_RECIPIENT_KEY);
	years_live_until(&y, left + 50 * DAY);
	years_visit(&y);
	sync(YEARS_M);
	must_have_said_late(2);
	assert_int_equal(verb_get(x, YEARS_M, env[0], "In time", 500), RK_OK);
	assert_int_equal(verb_get(x, YEARS_M, env[1], "Just in time", 500), RK_OK);
	(void)verb_post_status(x, YEARS_M, post, &is_readable);
	assert_true(is_readable);
	come_back();
	assert_int_equal(verb_send(x, YEARS_A, away_nda, "Welcome back", 500, env[2]), RK_OK);
	assert_int_equal(verb_get(x, YEARS_M, env[2], "Welcome back", 500), RK_OK);
}

/* Seventy: its secrets of that time are destroyed, what was sent has gone back, and the feed's key must come once more. */
static void test_away_for_70_days(void **state)
{
	uint8_t env[2][32], post[32];
	int64_t left, oldest;
	bool is_readable, has_key;
	uint32_t epoch;

	(void)state;
	assert_true(verb_list_is_due(x, YEARS_M));
	exchange_must(verb_renew_list(x, YEARS_M), "device renew");
	sync(YEARS_A);
	left = years_kx(&y, YEARS_A, YEARS_M).not_before;
	epoch = years_epoch(&y, YEARS_M, &has_key).n;
	years_live_until(&y, left + 39 * DAY);
	years_visit(&y);
	assert_true(years_epoch(&y, YEARS_A, &has_key).n > epoch);
	exchange_must(verb_send(x, YEARS_A, away_nda, "Too late for you", 500, env[0]), "send");
	exchange_must(verb_post(x, YEARS_A, "Under the next epoch", 0, post), "post");
	years_live_until(&y, left + 60 * DAY);
	years_visit(&y);
	assert_string_equal(verb_fate(x, YEARS_A, env[0]), "returned");
	years_live_until(&y, left + 70 * DAY);
	years_visit(&y);
	sync(YEARS_M);
	must_have_said_late(3);
	(void)years_kx_secrets(&y, YEARS_M, &oldest);
	assert_true(oldest > left);
	assert_int_equal(verb_may_get(x, YEARS_M, env[0]), RK_ENVELOPE_EXPIRED);
	(void)verb_post_status(x, YEARS_M, post, &is_readable);
	assert_false(is_readable);
	come_back();
	(void)verb_post_status(x, YEARS_M, post, &is_readable);
	assert_true(is_readable);
	assert_int_equal(verb_send(x, YEARS_A, away_nda, "Welcome back", 500, env[1]), RK_OK);
	assert_int_equal(verb_get(x, YEARS_M, env[1], "Welcome back", 500), RK_OK);
}

/* A list of devices lasts 180 days; after that nobody seals to them, until it is signed anew. */
static void test_list_of_devices_ends(void **state)
{
	int64_t ends = years_list_end(&y, YEARS_A, YEARS_M);
	uint8_t env[32];

	(void)state;
	exchange_must(verb_post(x, YEARS_A, "For 180 days", 180 * DAY, long_post), "post");
	long_post_ends = exchange_now() + 180 * DAY;
	years_live_until(&y, ends - 10 * DAY);
	years_visit(&y);
	come_back();
	years_live_until(&y, ends - 1);
	years_visit(&y);
	assert_int_equal(verb_send(x, YEARS_A, away_nda, "Last", 500, env), RK_OK);
	exchange_pass(1);
	assert_int_equal(verb_send(x, YEARS_A, away_nda, "Late", 500, env), RK_NO_RECIPIENT_KEY);
	/* It still connects and reads: the list bounds what is sealed to it, not its membership. */
	sync(YEARS_M);
	exchange_must(verb_renew_list(x, YEARS_M), "device renew");
	sync(YEARS_A);
	assert_int_equal(verb_send(x, YEARS_A, away_nda, "Again", 500, env), RK_OK);
	assert_int_equal(verb_get(x, YEARS_M, env, "Again", 500), RK_OK);
	years_visit(&y);
}

/* ---- the rest of the two years, and what is left of them */

static void test_the_rest_of_two_years(void **state)
{
	Rk__FeedEpoch epoch;
	bool has_key;

	(void)state;
	years_live_until(&y, after(731));
	years_visit(&y);
	epoch = years_epoch(&y, YEARS_A, &has_key);
	assert_in_range(epoch.n, 9, 10);            /* 730 days of 83 each */
	assert_true(years_kx(&y, YEARS_B, YEARS_A).serial >= 20);
	assert_true(y.sent_count >= 23);
	assert_true(y.broker_starts >= 1);
}

/* One of each quarter, from either side, as somebody without a home would check it. */
static void test_receipts_verify(void **state)
{
	int level;

	(void)state;
	for (unsigned i = 0; i + 1 < y.sent_count; i += 3) {
		assert_int_equal(verb_receipt(x, YEARS_A, y.sent[i].env_id, &level), RK_OK);
		assert_int_equal(level, RECEIPT_OPENED);
		assert_int_equal(verb_receipt(x, YEARS_B, y.sent[i].env_id, &level), RK_OK);
		assert_int_equal(level, RECEIPT_OPENED);
	}
}

static int begin(void **state)
{
	(void)state;
	years_begin(&y);
	return 0;
}

static int end(void **state)
{
	(void)state;
	years_end(&y);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invite),
		cmocka_unit_test(test_agreement_begins),
		cmocka_unit_test(test_agreement_is_terminated),
		cmocka_unit_test(test_envelope_expires),
		cmocka_unit_test(test_epoch_turns),
		cmocka_unit_test(test_post_expires),
		cmocka_unit_test(test_away_for_50_days),
		cmocka_unit_test(test_away_for_70_days),
		cmocka_unit_test(test_list_of_devices_ends),
		cmocka_unit_test(test_long_post_expires),
		cmocka_unit_test(test_the_rest_of_two_years),
		cmocka_unit_test(test_receipts_verify),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
