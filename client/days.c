/* days: mktime and localtime_r in the exchange's zone, which is made the process's own. */
#include "client/days.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/errcode.h"

/* A zone's name becomes a path: letters, digits, _ + - and single slashes, nothing that climbs. */
static bool is_zone_name(const char *zone)
{
	size_t len = strlen(zone);
	if (len == 0 || len > 63 || zone[0] == '/' || zone[len - 1] == '/')
		return false;
	for (const char *p = zone; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			     strchr("_+-", *p);
		if (!plain && !(*p == '/' && p[1] != '/'))
			return false;
	}
	return true;
}

int days_set_zone(const char *zone)
{
	char path[128];
	if (!is_zone_name(zone))
		return RK_EUSAGE;
	/* glibc takes any unknown name for UTC without a word, and every date would be wrong by hours. */
	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone);
	bool known = strcmp(zone, "UTC") == 0 || access(path, R_OK) == 0;
	/* Japan has had no change of clock since 1951: it must not depend on a package of zone files. */
	const char *value = known ? zone : strcmp(zone, "Asia/Tokyo") == 0 ? "JST-9" : "UTC";
	if (setenv("TZ", value, 1) != 0)
		return RK_ENOMEM;
	tzset();
	return known || strcmp(zone, "Asia/Tokyo") == 0 ? RK_OK : RK_ENOTFOUND;
}

static int month_days(int year, int month)
{
	static const int table[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return table[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool is_day(int year, int month, int day)
{
	return year >= 1970 && year <= 9998 && month >= 1 && month <= 12 && day >= 1 && day <= month_days(year, month);
}

int days_parse(const char *text, uint32_t *yyyymmdd)
{
	int year, month, day, used = 0;
	static const char form[] = "dddd-dd-dd";
	if (strlen(text) != sizeof(form) - 1)
		return RK_EUSAGE;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != '-')
			return RK_EUSAGE;
	if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 || text[used] != '\0' || !is_day(year, month, day))
		return RK_EUSAGE;
	*yyyymmdd = (uint32_t)(year * 10000 + month * 100 + day);
	return RK_OK;
}

/* The first instant of the day `plus` days later; mktime carries over months. */
static int instant(uint32_t yyyymmdd, int plus, int64_t *ms)
{
	int year = (int)(yyyymmdd / 10000), month = (int)(yyyymmdd / 100 % 100), day = (int)(yyyymmdd % 100);
	if (!is_day(year, month, day))
		return RK_EUSAGE;
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day + plus, .tm_isdst = -1};
	time_t t = mktime(&tm);
	if (t == (time_t)-1)
		return RK_EUSAGE;
	*ms = (int64_t)t * 1000;
	return RK_OK;
}

int days_start(uint32_t yyyymmdd, int64_t *ms)
{
	return instant(yyyymmdd, 0, ms);
}

int days_end(uint32_t yyyymmdd, int64_t *ms)
{
	return instant(yyyymmdd, 1, ms);
}

uint32_t days_of(int64_t ms)
{
	struct tm tm;
	time_t t = (time_t)(ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000));
	if (!localtime_r(&t, &tm))
		return 19700101;
	return (uint32_t)((tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
}
