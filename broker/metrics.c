#include "broker/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "broker/log.h"
#include "proto/errcode.h"

#define REFUSAL_CODES 700 /* class x 100 + n */
#define TEXT_MAX_BYTES 900

static _Atomic uint64_t values[METRIC_COUNT];
static _Atomic uint64_t refusals[REFUSAL_CODES];
static uint64_t last_values[METRIC_COUNT]; /* as of the last metrics_log */
static uint64_t last_refusals[REFUSAL_CODES];

#define NAME(id, name) name,
static const char *const names[METRIC_COUNT] = {METRICS_COUNTERS(NAME) METRICS_GAUGES(NAME)};
#undef NAME

void metrics_add(enum metric m, uint64_t n)
{
	atomic_fetch_add_explicit(&values[m], n, memory_order_relaxed);
}

void metrics_set(enum metric m, uint64_t n)
{
	atomic_store_explicit(&values[m], n, memory_order_relaxed);
}

void metrics_max(enum metric m, uint64_t n)
{
	uint64_t old = atomic_load_explicit(&values[m], memory_order_relaxed);

	while (old < n && !atomic_compare_exchange_weak_explicit(&values[m], &old, n, memory_order_relaxed,
	                                                         memory_order_relaxed))
		;
}

uint64_t metrics_get(enum metric m)
{
	return atomic_load_explicit(&values[m], memory_order_relaxed);
}

const char *metrics_name(enum metric m)
{
	return names[m];
}

void metrics_refusal(int code)
{
	if (code <= 0 || code >= REFUSAL_CODES)
		return;
	atomic_fetch_add_explicit(&refusals[code], 1, memory_order_relaxed);
}

uint64_t metrics_refusals(int code)
{
	if (code <= 0 || code >= REFUSAL_CODES)
		return 0;
	return atomic_load_explicit(&refusals[code], memory_order_relaxed);
}

/* Appends ` name=value`; a line that is full ends there, the numbers come again when they change. */
static size_t append(char text[TEXT_MAX_BYTES], size_t len, const char *name, uint64_t value)
{
	int n = snprintf(text + len, TEXT_MAX_BYTES - len, "%s%s=%" PRIu64, len == 0 ? "" : " ", name, value);

	if (n < 0 || (size_t)n >= TEXT_MAX_BYTES - len) {
		text[len] = '\0';
		return len;
	}
	return len + (size_t)n;
}

void metrics_log(void)
{
	char text[TEXT_MAX_BYTES] = "";
	size_t len = 0;

	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		uint64_t v = metrics_get((enum metric)i);

		if (v != last_values[i])
			len = append(text, len, names[i], v);
		last_values[i] = v;
	}
	if (len > 0)
		log_info("metrics", "numbers", "%s", text);
	len = 0;
	for (int i = 1; i < REFUSAL_CODES; i++) {
		uint64_t v = metrics_refusals(i);

		if (v != last_refusals[i])
			len = append(text, len, errcode_name(i), v);
		last_refusals[i] = v;
	}
	if (len > 0)
		log_info("metrics", "refusals", "%s", text);
}
