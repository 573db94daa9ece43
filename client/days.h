/*
 * days: calendar days of the exchange's time zone, and the instants where they begin and end.  CRYPTO 2.0: "until 31 March" means
 * before 1 April 00:00 there.  The zone is one of the process: not for several threads.
 */
#ifndef RENKEI_CLIENT_DAYS_H
#define RENKEI_CLIENT_DAYS_H

#include <stdint.h>

/** Sets the zone ("Asia/Tokyo"); RK_ENOTFOUND if this machine does not know it, RK_EUSAGE if it is no zone's name. */
int days_set_zone(const char *zone);

/** "2026-03-31" -> 20260331; RK_EUSAGE if it is no day of the calendar. */
int days_parse(const char *text, uint32_t *yyyymmdd);

/** First instant of a day, and of the day after it, in ms UTC.  RK_EUSAGE. */
int days_start(uint32_t yyyymmdd, int64_t *ms);
int days_end(uint32_t yyyymmdd, int64_t *ms);

/** The day in which an instant lies. */
uint32_t days_of(int64_t ms);

#endif
