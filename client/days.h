/*
 * days: calendar days of the exchange's time zone, and the instants at which they begin.  An agreement "until 31 March"
 * runs to the first instant of 1 April in that zone; people type and read days, the wire carries both (FIELDS "NdaTerms").
 * The zone is read from the system's zone files by the C library, through TZ for the length of one call: so one thread only,
 * as everything in client/.  A zone that this machine does not know is refused, never taken for UTC.
 */
#ifndef RENKEI_CLIENT_DAYS_H
#define RENKEI_CLIENT_DAYS_H

#include <stdbool.h>
#include <stdint.h>

/** True if yyyymmdd is a day of the calendar, 1970..9998. */
bool days_is_day(uint32_t day);

/** True if this machine can compute in `zone` ("Asia/Tokyo"). */
bool days_knows_zone(const char *zone);

/** Makes `zone` the process's own, for what is printed with localtime_r; RK_UNSUPPORTED leaves it as it was. */
int days_set_zone(const char *zone);

/**
 * First instant of `day` (yyyymmdd) in `zone`, UTC milliseconds.
 * RK_EUSAGE: not a day of the calendar (1970..9998); RK_UNSUPPORTED: this machine does not know the zone.
 */
int days_start(uint32_t day, const char *zone, int64_t *ms);

/** First instant after `day`: the start of the next one.  As days_start. */
int days_end(uint32_t day, const char *zone, int64_t *ms);

/** The day of `zone` that holds the instant.  RK_UNSUPPORTED. */
int days_of(int64_t ms, const char *zone, uint32_t *day);

/** "2027-03-31" to 20270331.  RK_EUSAGE on anything else, and on days that do not exist. */
int days_parse(const char *text, uint32_t *day);

/**
 * "2027-03-31", or "2027-03-31 14:05" by the wall clock of `zone`, to an instant; a day alone is its first.  RK_EUSAGE on anything else;
 * RK_UNSUPPORTED.
 */
int days_clock_parse(const char *text, const char *zone, int64_t *ms);

/** "2027-03-31"; out has room for 11. */
void days_text(char out[11], uint32_t day);

/** The same day `months` later, the last of its month where that day is missing (31 January + 1 = 28 February). */
uint32_t days_add_months(uint32_t day, unsigned months);

/** `n` days later (or earlier). */
uint32_t days_add(uint32_t day, int n);

/** Local wall clock "2027-03-31 14:05" of an instant in `zone`; UTC with a "Z" behind it if the zone is unknown. */
void days_clock_text(char out[24], int64_t ms, const char *zone);

#endif
