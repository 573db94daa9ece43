/*
 * sequence: gives each batch its time.  time_ms = max(last, wall clock); but wall-clock progress is compared with
 * CLOCK_BOOTTIME since the start, and where they differ by more than SEQUENCE_STEP_MS nothing is sequenced: one batch
 * in 2099 would freeze the exchange there.  CRYPTO 2.12, HAZARDS K2.  Order is order of arrival.
 */
#ifndef RENKEI_BROKER_SEQUENCE_H
#define RENKEI_BROKER_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SEQUENCE_STEP_MS ((int64_t)60000)

struct sequence;

/* Where time comes from; tests give their own. */
struct sequence_clock {
	int64_t (*wall_ms)(void *user); /* Unix milliseconds, UTC */
	int64_t (*boot_ms)(void *user); /* CLOCK_BOOTTIME: never stepped, goes on in suspend */
	void *user;
};
extern const struct sequence_clock sequence_system_clock;

/**
 * last_ms: time of the last batch of the store, 0 if none.  RK_CLOCK if the wall clock is more than SEQUENCE_STEP_MS
 * behind it and accept_backward is false; RK_ENOMEM.
 */
int sequence_new(const struct sequence_clock *, int64_t last_ms, bool accept_backward, struct sequence **out);
void sequence_free(struct sequence *);

/** The apply thread only: the next batch's time, never less than the last; false while the clock is off. */
bool sequence_next(struct sequence *, int64_t *time_ms);
/** Any thread: the time for a reply that passes no batch: never less than the last batch's. */
int64_t sequence_time(const struct sequence *);
/** Any thread: wall clock less boot clock progress since the start, in ms: how far the clock was stepped. */
int64_t sequence_drift(const struct sequence *);

#endif
