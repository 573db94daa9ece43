/*
 * verify: proves signatures and hashes as CRYPTO 2.8 says, in a small pool of threads.  A function of the command's
 * bytes and of keys from the roster; it decides nothing else: apply compares the key that verified with the state.  The
 * one thing that it remembers is a Directory that comes in parts.
 */
#ifndef RENKEI_BROKER_VERIFY_H
#define RENKEI_BROKER_VERIFY_H

#include "broker/command.h"
#include "broker/path.h"

struct verify;

/** roster is borrowed.  NULL without memory. */
struct verify *verify_new(struct roster *, const uint8_t exchange_id[32]);
void verify_free(struct verify *);

/**
 * Fills the verify part of a parsed command.  c->refusal becomes RK_OK or what was found: RK_BAD_SIGNATURE,
 * RK_NOT_PERMITTED (the envelope names another device; parts of a Directory from somebody else), RK_CONFLICT (a part
 * that fits nothing), form errors; negative only without memory.  Returns false if the roster did not know the key:
 * then nothing was decided, and the caller asks once more after the batch in flight.  Any thread; one command of a
 * device at a time.
 */
bool verify_command(struct verify *, struct command *) __attribute__((warn_unused_result));

/* One thread of the pool. */
struct verify_thread {
	struct path *path;
	struct verify *verify;
	unsigned index; /* of admit_verify and verify_admit */
};
/** Runs until path->stopping and its ring is empty.  Argument: struct verify_thread *. */
void *verify_run(void *thread);

#endif
