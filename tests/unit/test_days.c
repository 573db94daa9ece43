/* days: what "until 31 March" means, in zones with and without clock changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "client/days.h"
#include "proto/errcode.h"

static void parses_only_days_that_exist(void **state)
{
	static const char *const bad[] = {"", "2027-3-31", "2027-03-32", "2027-02-29", "2027-13-01", "2027-00-10", "20270331",
		"2027-03-31 ", "1969-12-31", "９０２７-0", "2027/03/31", "-027-03-31"};
	uint32_t day = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(days_parse(bad[i], &day), RK_EUSAGE);
	assert_int_equal(day, 0);
	assert_int_equal(days_parse("2028-02-29", &day), RK_OK);
	assert_int_equal(day, 20280229);
}

static void a_wall_clock_is_read_in_its_zone(void **state)
{
	static const char *const bad[] = {"", "2027-04-01T10:00", "2027-04-01 1000", "2027-04-01 24:00", "2027-04-01 10:60", "2027-04-01 10:0",
		"2027-04-01 10:00:00", "2027-02-29 10:00", "2027-04-01 -1:00", "2027-04-01 "};
	int64_t ms = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(days_clock_parse(bad[i], "Asia/Tokyo", &ms), RK_EUSAGE);
	assert_int_equal(days_clock_parse("2027-04-01 10:00", "Atlantis/Capital", &ms), RK_UNSUPPORTED);
	assert_int_equal(ms, 7);
	assert_int_equal(days_clock_parse("2027-04-01", "Asia/Tokyo", &ms), RK_OK);
	assert_int_equal(ms, INT64_C(1806505200000));
	assert_int_equal(days_clock_parse("2027-04-01 23:59", "Asia/Tokyo", &ms), RK_OK);
	assert_int_equal(ms, INT64_C(1806505200000) + (23 * 60 + 59) * 60000);
	assert_int_equal(days_clock_parse("2027-04-01 00:00", "UTC", &ms), RK_OK);
	assert_int_equal(ms, INT64_C(1806505200000) + 9 * 3600000);
	/* Summer time, where this machine knows of it. */
	if (!days_knows_zone("Europe/Berlin"))
		return;
	assert_int_equal(days_clock_parse("2027-07-01 02:00", "Europe/Berlin", &ms), RK_OK);
	assert_int_equal(ms % 86400000, 0);
}

static void a_day_in_tokyo_begins_at_15_utc(void **state)
{
	int64_t start = 0, end = 0;
	uint32_t day = 0;

	(void)state;
	assert_int_equal(days_start(20270401, "Asia/Tokyo", &start), RK_OK);
	assert_int_equal(start, INT64_C(1806505200000)); /* 2027-03-31T15:00:00Z */
	assert_int_equal(days_end(20270331, "Asia/Tokyo", &end), RK_OK);
	assert_int_equal(end, start);
	assert_int_equal(days_of(end - 1, "Asia/Tokyo", &day), RK_OK);
	assert_int_equal(day, 20270331);
	assert_int_equal(days_of(end, "Asia/Tokyo", &day), RK_OK);
	assert_int_equal(day, 20270401);
}

static void days_follow_each_other(void **state)
{
	static const char *const zones[] = {"Asia/Tokyo", "UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia"};

	(void)state;
	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		int64_t last = 0;

		if (!days_knows_zone(zones[z]))
			continue;
		for (uint32_t day = 20171001; day < 20191101; day = days_add(day, 1)) {
			int64_t start, end, length;

			assert_int_equal(days_start(day, zones[z], &start), RK_OK);
			assert_int_equal(days_end(day, zones[z], &end), RK_OK);
			if (last != 0)
				assert_int_equal(start, last);
			last = end;
			length = (end - start) / 3600000;
			assert_true(length >= 23 && length <= 25);
		}
	}
}

static void a_day_without_midnight_begins_at_one(void **state)
{
	int64_t start;

	(void)state;
	if (!days_knows_zone("America/Sao_Paulo"))
		skip();
	/* Clocks went from 2018-11-03 23:59:59 -03 to 2018-11-04 01:00:00 -02, which is 03:00 UTC. */
	assert_int_equal(days_start(20181104, "America/Sao_Paulo", &start), RK_OK);
	assert_int_equal(start, INT64_C(1541300400000));
}

static void an_unknown_zone_is_refused(void **state)
{
	static const char *const bad[] = {"", "Asia/Nowhere", "../../etc/passwd", "/etc/localtime", "Asia/../Tokyo", "JST-9", ":x",
		"Asia/Tokyo\n", "Asia", "leapseconds"};
	int64_t ms = 7;
	uint32_t day = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(days_start(20270101, bad[i], &ms), RK_UNSUPPORTED);
		assert_int_equal(days_of(0, bad[i], &day), RK_UNSUPPORTED);
		assert_false(days_knows_zone(bad[i]));
	}
	assert_int_equal(ms, 7);
	assert_int_equal(day, 7);
}

static void the_zone_of_the_process_stays(void **state)
{
	int64_t ms;

	(void)state;
	setenv("TZ", "EST5", 1);
	tzset();
	assert_int_equal(days_start(20270401, "Asia/Tokyo", &ms), RK_OK);
	assert_string_equal(getenv("TZ"), "EST5");
	assert_int_equal(timezone, 5 * 3600);
	unsetenv("TZ");
	assert_int_equal(days_start(20270401, "Asia/Tokyo", &ms), RK_OK);
	assert_null(getenv("TZ"));
}

static void months_end_on_their_last_day(void **state)
{
	char text[11], clock[24];

	(void)state;
	assert_int_equal(days_add_months(20270131, 1), 20270228);
	assert_int_equal(days_add_months(20271231, 2), 20280229);
	assert_int_equal(days_add_months(20270331, 12), 20280331);
	assert_int_equal(days_add(20271231, 1), 20280101);
	assert_int_equal(days_add(20280301, -1), 20280229);
	days_text(text, 20270301);
	assert_string_equal(text, "2027-03-01");
	days_clock_text(clock, INT64_C(1806505200000), "Asia/Tokyo");
	assert_string_equal(clock, "2027-04-01 00:00");
	days_clock_text(clock, INT64_C(1806505200000), "No/Where");
	assert_string_equal(clock, "2027-03-31 15:00Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_only_days_that_exist),
		cmocka_unit_test(a_wall_clock_is_read_in_its_zone),
		cmocka_unit_test(a_day_in_tokyo_begins_at_15_utc),
		cmocka_unit_test(days_follow_each_other),
		cmocka_unit_test(a_day_without_midnight_begins_at_one),
		cmocka_unit_test(an_unknown_zone_is_refused),
		cmocka_unit_test(the_zone_of_the_process_stays),
		cmocka_unit_test(months_end_on_their_last_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
