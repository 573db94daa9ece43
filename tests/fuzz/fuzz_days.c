/* A day as people type it, and the name of a zone behind a line end.  The day comes out again; its instants lie in it. */
#include <stdlib.h>

#include "client/days.h"
#include "proto/errcode.h"
#include "tests/fuzz/fuzz_kit.h"

#define LAST_DAY 99981231

static void check_in(uint32_t day, const char *zone)
{
	int64_t start, end;
	uint32_t first, last;

	MUST(days_start(day, zone, &start) == RK_OK && days_end(day, zone, &end) == RK_OK);
	MUST(start <= end && end - start <= INT64_C(50) * 3600 * 1000);
	/* A day that was left out, where a zone changed sides of the date line, has no instant. */
	if (start == end)
		return;
	MUST(days_of(start, zone, &first) == RK_OK && days_of(end - 1, zone, &last) == RK_OK);
	MUST(first == day && last == day);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = fuzz_text(bytes_make(data, len)), *zone = strchr(text, '\n'), again[11], clock[24];
	uint32_t day;
	int64_t ms;

	if (zone != NULL)
		*zone++ = '\0';
	if (days_parse(text, &day) == RK_OK) {
		fuzz_accepted++;
		days_text(again, day);
		MUST(strcmp(again, text) == 0);
		MUST(days_add(days_add(day, 40), -40) == day && days_add(day, 1) > day);
		MUST(days_add_months(day, 12) >= day && days_add_months(day, 0) == day);
		/* The last day has no day after it. */
		if (day < LAST_DAY) {
			check_in(day, "Asia/Tokyo");
			check_in(day, "UTC");
		}
		if (zone != NULL && !days_knows_zone(zone))
			MUST(days_start(day, zone, &ms) == RK_UNSUPPORTED);
		else if (zone != NULL && day < LAST_DAY)
			check_in(day, zone);
		if (zone != NULL)
			days_clock_text(clock, INT64_C(1000) * day, zone);
	}
	free(text);
	return 0;
}
