/*
 * Calendars and numbers of time: a day on which an hour comes twice, in a zone with daylight saving time; and 03:14:08 UTC on 19 January
 * 2038, when 31 bits of seconds are over.  One exchange, which sleeps between the two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/exchange_verbs.h"

#define HOUR EXCHANGE_HOUR_MS
#define DAY EXCHANGE_DAY_MS
#define MARGIN AGREEMENT_MARGIN_MS
#define ZONE "Europe/Berlin"
#define SUMMER_ENDS_MS ((int64_t)2140045200000) /* 2037-10-25 01:00 UTC: from 03:00 back to 02:00 there */
#define LAST_SECOND_MS ((int64_t)2147483647000) /* 2^31 - 1 seconds: 2038-01-19 03:14:07 UTC */

static struct exchange x;
static unsigned a, b;

/* "Until 25 October" of a day of 25 hours: neither an hour less, nor one more. */
static void test_day_of_25_hours(void **state)
{
	const int64_t begins = SUMMER_ENDS_MS - 3 * HOUR, ends = begins + 25 * HOUR;
	const struct agreement_new terms = {.first_day = 20371025, .last_day = 20371025, .window_days = 0, .survival_months = -1};
	uint8_t nda[32], env[3][32];

	(void)state;
	exchange_must(verb_agree(&x, a, b, &terms, nda), "agree");
	exchange_set_clock(begins - 1);
	assert_int_equal(verb_state(&x, a, nda), NDA_PENDING_START);
	exchange_set_clock(begins);
	assert_int_equal(verb_state(&x, a, nda), NDA_IN_FORCE);
	/* 02:30 comes twice, and both are of that day. */
	exchange_set_clock(SUMMER_ENDS_MS - HOUR / 2);
	assert_int_equal(verb_send(&x, a, nda, "half past two", 10, env[0]), RK_OK);
	exchange_set_clock(SUMMER_ENDS_MS + HOUR / 2);
	assert_int_equal(verb_send(&x, a, nda, "half past two again", 10, env[1]), RK_OK);
	exchange_set_clock(ends - MARGIN - 1);
	assert_int_equal(verb_send(&x, a, nda, "in the last hour", 10, env[2]), RK_OK);
	exchange_must(verb_sync(&x, b, NULL), "sync");
	exchange_set_clock(ends - 1);
	assert_int_equal(verb_pickup(&x, b, env[0]), RK_OK);
	exchange_set_clock(ends);
	assert_int_equal(verb_state(&x, b, nda), NDA_EXPIRED);
	assert_int_equal(verb_pickup(&x, b, env[1]), RK_NDA_EXPIRED);
	exchange_must(verb_sync(&x, a, NULL), "sync");
	assert_string_equal(verb_fate(&x, a, env[0]), "picked_up");
	assert_string_equal(verb_fate(&x, a, env[1]), "returned");
	assert_string_equal(verb_fate(&x, a, env[2]), "returned");
}

/* Twelve weeks in which nobody was there; one round of visits, and all goes on, across the end of 31 bits. */
static void test_2038(void **state)
{
	const struct agreement_new terms = {.first_day = 20380119, .last_day = 20390118, .window_days = -1, .survival_months = -1};
	uint8_t nda[32], env[2][32], post[32];
	bool is_readable;
	int level;

	(void)state;
	exchange_set_clock(LAST_SECOND_MS - 2 * HOUR);
	for (unsigned round = 0; round < 2; round++) {
		exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
		exchange_must(verb_sync(&x, a, NULL), "sync");
		exchange_must(verb_sync(&x, b, NULL), "sync");
	}
	exchange_must(verb_agree(&x, a, b, &terms, nda), "agree");
	exchange_set_clock(LAST_SECOND_MS + 999);
	assert_int_equal(verb_send(&x, a, nda, "before", 1000, env[0]), RK_OK);
	assert_int_equal(verb_post(&x, b, "Before", 0, post), RK_OK);
	exchange_pass(1);
	assert_int_equal(verb_get(&x, b, env[0], "before", 1000), RK_OK);
	assert_int_equal(verb_send(&x, a, nda, "after", 1000, env[1]), RK_OK);
	exchange_broker_stop(&x.broker);
	exchange_broker_start(&x.broker);
	exchange_reopen(&x, b);
	assert_int_equal(verb_get(&x, b, env[1], "after", 1000), RK_OK);
	exchange_pass(2 * DAY);
	exchange_must(verb_sync(&x, EXCHANGE_SECRETARIAT, NULL), "sync");
	exchange_must(verb_sync(&x, a, NULL), "sync");
	assert_int_equal(verb_post_status(&x, a, post, &is_readable), RKL__POST_STATUS__LIVE);
	assert_true(is_readable);
	exchange_must(verb_sync(&x, b, NULL), "sync");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(verb_receipt(&x, a, env[i], &level), RK_OK);
		assert_int_equal(level, RECEIPT_OPENED);
		assert_int_equal(verb_receipt(&x, b, env[i], &level), RK_OK);
		assert_int_equal(level, RECEIPT_OPENED);
	}
}

static int begin(void **state)
{
	(void)state;
	exchange_begin(&x, SUMMER_ENDS_MS - 20 * HOUR, ZONE);
	a = exchange_join(&x, "a", RK__ORG_KIND__SME);
	b = exchange_join(&x, "b", RK__ORG_KIND__UNIVERSITY);
	exchange_must(verb_sync(&x, a, NULL), "sync");
	return 0;
}

static int end(void **state)
{
	(void)state;
	exchange_end(&x);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_day_of_25_hours),
		cmocka_unit_test(test_2038),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
