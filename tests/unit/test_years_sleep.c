/*
 * A secretariat that is not there for three weeks, and one that has signed ahead.  What goes on, what stops and from which instant is
 * CRYPTO 2.2 and APPLY.md, "Directory expired"; each test goes on where the one before it has ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/secretariat_ahead.h"
#include "tests/unit/years_kit.h"

#define DAY EXCHANGE_DAY_MS
#define MARGIN AGREEMENT_MARGIN_MS

static struct years y;
static struct exchange *const x = &y.x;

static void sync(unsigned home)
{
	exchange_must(verb_sync(x, home, NULL), "sync");
}

static uint8_t with_u[32], to_end[32];

/* What goes on and what stops under a directory that is over (CRYPTO 2.2, APPLY.md "Directory expired"). */
static void must_be_degraded(const uint8_t post_id[32], const uint8_t env_id[32])
{
	const struct agreement_new terms = {.last_day = 20281231, .window_days = -1, .survival_months = -1};
	uint8_t nda[32], env[32], post[32];
	bool is_readable;

	/* Reading, posts, first contact, notices, and whatever ends or stops. */
	(void)verb_post_status(x, YEARS_U, post_id, &is_readable);
	assert_true(is_readable);
	assert_int_equal(verb_open(x, YEARS_B, y.sent[0].env_id, y.sent[0].title, YEARS_DOSSIER_BYTES), RK_OK);
	assert_int_equal(verb_post(x, YEARS_A, "All the same", 0, post), RK_OK);
	assert_int_equal(verb_interest(x, YEARS_U, post_id), RK_OK);
	assert_int_equal(verb_note(x, YEARS_A, y.nda, "Still here"), RK_OK);
	assert_int_equal(verb_act(x, YEARS_B, y.nda, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(verb_act(x, YEARS_B, y.nda, RK__ACT_KIND__RESUME), RK_OK);
	/* Sending, asking for and agreeing stop. */
	sync(YEARS_A);
	assert_int_equal(verb_send(x, YEARS_A, y.nda, "No", 10, env), RK_DIRECTORY_EXPIRED);
	assert_int_equal(verb_pickup(x, YEARS_B, env_id), RK_DIRECTORY_EXPIRED);
	assert_int_equal(verb_propose(x, YEARS_A, YEARS_B, &terms, nda), RK_DIRECTORY_EXPIRED);
	assert_int_equal(verb_sign(x, YEARS_U, with_u), RK_DIRECTORY_EXPIRED);
}

static void test_secretariat_sleeps_for_three_weeks(void **state)
{
	const struct agreement_new terms = {.last_day = 20281231, .accept_by_day = 20270401, .window_days = -1, .survival_months = -1};
	uint8_t env[3][32], post[32];
	int64_t slept, ends;
	unsigned newcomer;
	int asked;

	(void)state;
	years_visit(&y);
	slept = exchange_now();
	ends = years_directory_end(&y, YEARS_A);
	y.is_asleep = true;
	y.is_strict = false;
	years_live_until(&y, ends - 2 * DAY);
	newcomer = exchange_prepare(x, "Newcomer", RK__ORG_KIND__SME, 7 * DAY);
	exchange_must(verb_post(x, YEARS_A, "Before", 0, post), "post");
	exchange_must(verb_agree(x, YEARS_B, YEARS_U, &terms, to_end), "agree");
	exchange_must(verb_propose(x, YEARS_A, YEARS_U, &terms, with_u), "propose");
	for (unsigned i = 0; i < 3; i++)
		exchange_must(verb_send(x, YEARS_A, y.nda, "In time", 10, env[i]), "send");
	sync(YEARS_B);
	exchange_set_clock(ends - MARGIN - 1);
	assert_int_equal(verb_send(x, YEARS_A, y.nda, "Last", 10, env[2]), RK_OK);
	exchange_set_clock(ends - 1);
	sync(YEARS_B);
	assert_int_equal(verb_pickup(x, YEARS_B, env[0]), RK_OK);
	exchange_set_clock(ends);
	must_be_degraded(post, env[1]);
	assert_int_equal(verb_act(x, YEARS_B, to_end, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_int_equal(verb_state(x, YEARS_B, to_end), NDA_TERMINATED);
	/* Who asks to be let in waits. */
	exchange_must(exchange_ask(x, newcomer, &asked), "asking");
	assert_int_equal(asked, RK__ENROL_STATE__ENROL_PENDING);
	exchange_set_clock(slept + 21 * DAY);
	years_visit(&y);
	y.sleeps++;
	assert_int_equal(verb_count(x, YEARS_A, "log-unwitnessed"), y.sleeps);   /* and it is said */
	must_be_degraded(post, env[1]);
	/* One sync of the secretariat, and everybody goes on by itself; its own next key follows with its next one. */
	y.is_asleep = false;
	sync(YEARS_SECRETARIAT);
	y.is_strict = true;
	years_visit(&y);
	assert_int_equal(verb_get(x, YEARS_B, env[1], "In time", 10), RK_OK);
	assert_int_equal(verb_send(x, YEARS_A, y.nda, "Yes", 10, env[2]), RK_OK);
	assert_int_equal(verb_sign(x, YEARS_U, with_u), RK_OK);
	exchange_admit(x, newcomer, "Newcomer");
	exchange_close(x, newcomer);
	years_visit(&y);
}

/* Four weeks away, signed ahead: its machine publishes them without a passphrase, and nothing stops. */
static void test_secretariat_signed_ahead(void **state)
{
	unsigned count;
	int64_t left, back;
	uint8_t env[32];

	(void)state;
	years_visit(&y);
	left = exchange_now();
	back = left + 28 * DAY;
	exchange_must(secretariat_ahead(exchange_client(x, YEARS_SECRETARIAT), back, &count), "secretariat ahead");
	assert_true(count >= 2);
	y.is_asleep = true;
	y.sleeps++;
	x->home[YEARS_SECRETARIAT].is_locked = true;
	exchange_reopen(x, YEARS_SECRETARIAT);
	for (int64_t t = left + DAY; t <= back; t += DAY) {
		exchange_set_clock(t);
		exchange_must(link_sync(exchange_client(x, YEARS_SECRETARIAT), NULL), "its machine");
		sync(YEARS_A);
		assert_true(years_directory_end(&y, YEARS_A) > t + MARGIN);
	}
	assert_int_equal(verb_send(x, YEARS_A, y.nda, "Yes", 10, env), RK_OK);
	assert_int_equal(verb_get(x, YEARS_B, env, "Yes", 10), RK_OK);
	y.is_asleep = false;
	x->home[YEARS_SECRETARIAT].is_locked = false;
	exchange_reopen(x, YEARS_SECRETARIAT);
	years_visit(&y);
}

static int begin(void **state)
{
	(void)state;
	years_begin(&y);
	years_live_until(&y, EXCHANGE_START_MS + 15 * DAY);
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
		cmocka_unit_test(test_secretariat_sleeps_for_three_weeks),
		cmocka_unit_test(test_secretariat_signed_ahead),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
