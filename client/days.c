#include "client/days.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/errcode.h"

#define ZONE_FOLDER "/usr/share/zoneinfo/"
#define ZONE_NAME_MAX 64
/* No zone is farther from UTC than this. */
#define ZONE_SPAN_S ((int64_t)26 * 3600)

/* Zones without a change of clocks in living memory: they must not depend on a package of zone files. */
static const struct {
	const char *name, *posix;
} fixed_zones[] = {{"Asia/Tokyo", "JST-9"}, {"UTC", "UTC0"}, {"Etc/UTC", "UTC0"}};

/* Only names such as the zone files have: what stands in a charter must not point elsewhere in the file system. */
static bool is_zone_name(const char *zone)
{
	size_t len = strlen(zone);

	if (len == 0 || len > ZONE_NAME_MAX || zone[0] == '/' || strstr(zone, "..") != NULL)
		return false;
	return strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == len;
}

/* True if the file is one of a zone: lists and leap seconds lie in the same folder. */
static bool is_zone_file(const char *path)
{
	char magic[4] = "";
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return false;
	n = fread(magic, 1, sizeof(magic), f);
	fclose(f);
	return n == sizeof(magic) && memcmp(magic, "TZif", sizeof(magic)) == 0;
}

/* The value of TZ for a zone.  The C library takes any unknown one for UTC without a word; so the file must be there. */
static bool find_zone(const char *zone, char tz[ZONE_NAME_MAX + 2])
{
	char path[sizeof(ZONE_FOLDER) + ZONE_NAME_MAX];

	if (!is_zone_name(zone))
		return false;
	snprintf(path, sizeof(path), ZONE_FOLDER "%s", zone);
	if (is_zone_file(path)) {
		snprintf(tz, ZONE_NAME_MAX + 2, ":%s", zone);
		return true;
	}
	for (size_t i = 0; i < sizeof(fixed_zones) / sizeof(fixed_zones[0]); i++)
		if (strcmp(zone, fixed_zones[i].name) == 0) {
			snprintf(tz, ZONE_NAME_MAX + 2, "%s", fixed_zones[i].posix);
			return true;
		}
	return false;
}

bool days_knows_zone(const char *zone)
{
	char tz[ZONE_NAME_MAX + 2];

	return find_zone(zone, tz);
}

int days_set_zone(const char *zone)
{
	char tz[ZONE_NAME_MAX + 2];

	if (!find_zone(zone, tz))
		return RK_UNSUPPORTED;
	if (setenv("TZ", tz, 1) != 0)
		return RK_ENOMEM;
	tzset();
	return RK_OK;
}

/* days_set_zone for the length of one call; the old value (or NULL) is given back through leave_zone. */
static int enter_zone(const char *zone, char **old)
{
	const char *now = getenv("TZ");
	int r;

	*old = NULL;
	if (now != NULL && (*old = strdup(now)) == NULL)
		return RK_ENOMEM;
	if ((r = days_set_zone(zone)) != RK_OK) {
		free(*old);
		*old = NULL;
	}
	return r;
}

static void leave_zone(char *old)
{
	if (old != NULL)
		setenv("TZ", old, 1);
	else
		unsetenv("TZ");
	tzset();
	free(old);
}

static bool is_leap(uint32_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static uint32_t days_in_month(uint32_t y, uint32_t m)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

bool days_is_day(uint32_t day)
{
	uint32_t y = day / 10000, m = day / 100 % 100, d = day % 100;

	return y >= 1970 && y <= 9998 && m >= 1 && m <= 12 && d >= 1 && d <= days_in_month(y, m);
}

/* Days since 1970-01-01 of a calendar day, and back: counting years, which is quick enough for a command line. */
static int64_t day_number(uint32_t day)
{
	uint32_t y = day / 10000, m = day / 100 % 100;
	int64_t n = 0;

	for (uint32_t i = 1970; i < y; i++)
		n += is_leap(i) ? 366 : 365;
	for (uint32_t i = 1; i < m; i++)
		n += days_in_month(y, i);
	return n + day % 100 - 1;
}

static uint32_t day_of_number(int64_t n)
{
	uint32_t y = 1970, m = 1;

	if (n < 0)
		n = 0;
	for (; n >= (is_leap(y) ? 366 : 365); y++)
		n -= is_leap(y) ? 366 : 365;
	for (; n >= days_in_month(y, m); m++)
		n -= days_in_month(y, m);
	return y * 10000 + m * 100 + (uint32_t)n + 1;
}

static uint32_t local_day(int64_t t_s)
{
	time_t t = (time_t)t_s;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return 0;
	return (uint32_t)(tm.tm_year + 1900) * 10000 + (uint32_t)(tm.tm_mon + 1) * 100 + (uint32_t)tm.tm_mday;
}

/*
 * The first second whose local day is `day` or later.  A search over instants, not mktime of midnight: where clocks go forward at
 * midnight there is no 00:00, and the day begins at 01:00.
 */
int days_start(uint32_t day, const char *zone, int64_t *ms)
{
	int64_t low, high;
	char *old;
	int r;

	if (!days_is_day(day))
		return RK_EUSAGE;
	if ((r = enter_zone(zone, &old)) != RK_OK)
		return r;
	low = day_number(day) * 86400 - ZONE_SPAN_S;
	high = day_number(day) * 86400 + ZONE_SPAN_S;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		if (local_day(middle) >= day)
			high = middle;
		else
			low = middle + 1;
	}
	leave_zone(old);
	*ms = low * 1000;
	return RK_OK;
}

int days_end(uint32_t day, const char *zone, int64_t *ms)
{
	return days_is_day(day) ? days_start(days_add(day, 1), zone, ms) : RK_EUSAGE;
}

int days_of(int64_t ms, const char *zone, uint32_t *day)
{
	char *old;
	int r;

	if ((r = enter_zone(zone, &old)) != RK_OK)
		return r;
	*day = local_day(ms / 1000);
	leave_zone(old);
	return RK_OK;
}

int days_parse(const char *text, uint32_t *day)
{
	uint32_t v = 0;

	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
		return RK_EUSAGE;
	for (int i = 0; i < 10; i++) {
		if (i == 4 || i == 7)
			continue;
		if (text[i] < '0' || text[i] > '9')
			return RK_EUSAGE;
		v = v * 10 + (uint32_t)(text[i] - '0');
	}
	if (!days_is_day(v))
		return RK_EUSAGE;
	*day = v;
	return RK_OK;
}

/* Two digits below `limit`, or -1. */
static int two_digits(const char *text, int limit)
{
	int v;

	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return -1;
	v = (text[0] - '0') * 10 + text[1] - '0';
	return v < limit ? v : -1;
}

int days_clock_parse(const char *text, const char *zone, int64_t *ms)
{
	struct tm tm = {.tm_isdst = -1};
	char day_part[11], *old;
	uint32_t day;
	time_t t;
	int r;

	if (strlen(text) != 10 && (strlen(text) != 16 || text[10] != ' ' || text[13] != ':'))
		return RK_EUSAGE;
	memcpy(day_part, text, 10);
	day_part[10] = '\0';
	if ((r = days_parse(day_part, &day)) != RK_OK)
		return r;
	if (text[10] == '\0')
		return days_start(day, zone, ms);
	tm.tm_hour = two_digits(text + 11, 24);
	tm.tm_min = two_digits(text + 14, 60);
	if (tm.tm_hour < 0 || tm.tm_min < 0)
		return RK_EUSAGE;
	tm.tm_year = (int)(day / 10000) - 1900;
	tm.tm_mon = (int)(day / 100 % 100) - 1;
	tm.tm_mday = (int)(day % 100);
	if ((r = enter_zone(zone, &old)) != RK_OK)
		return r;
	t = mktime(&tm);
	leave_zone(old);
	*ms = (int64_t)t * 1000;
	return RK_OK;
}

void days_text(char out[11], uint32_t day)
{
	snprintf(out, 11, "%04u-%02u-%02u", day / 10000 % 10000, day / 100 % 100, day % 100);
}

uint32_t days_add_months(uint32_t day, unsigned months)
{
	uint32_t total = day / 10000 * 12 + day / 100 % 100 - 1 + months;
	uint32_t y = total / 12, m = total % 12 + 1, d = day % 100, last = days_in_month(y, m);

	return y * 10000 + m * 100 + (d > last ? last : d);
}

uint32_t days_add(uint32_t day, int n)
{
	return day_of_number(day_number(day) + n);
}

void days_clock_text(char out[24], int64_t ms, const char *zone)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char *old;

	if (enter_zone(zone, &old) == RK_OK) {
		bool good = localtime_r(&t, &tm) != NULL;

		leave_zone(old);
		if (good && strftime(out, 24, "%Y-%m-%d %H:%M", &tm) > 0)
			return;
	}
	if (gmtime_r(&t, &tm) == NULL || strftime(out, 24, "%Y-%m-%d %H:%MZ", &tm) == 0)
		snprintf(out, 24, "-");
}
