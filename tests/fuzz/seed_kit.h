/* seed_kit: how make_seeds puts a seed together, and the legal requests that it writes (seed_requests.c). */
#ifndef RENKEI_TESTS_SEED_KIT_H
#define RENKEI_TESTS_SEED_KIT_H

#include "proto/note.h"
#include "tests/fuzz/fuzz_kit.h"

/* A seed that is being written. */
struct seed {
	uint8_t data[64 * 1024];
	size_t len;
};

void seed_add(struct seed *, struct bytes);
void seed_add_u8(struct seed *, unsigned v);
/** Its length, u32be, then the bytes. */
void seed_add_part(struct seed *, struct bytes);
/** Writes the seed as corpus TARGET/NAME, and empties it. */
void seed_write(const char *target, const char *name, struct seed *);

/** An envelope of organisation 1 to organisation 2; nda_id NULL: that of fixed_header.  False for a kind that is not sent. */
bool seed_envelope(Rk__Kind, const uint8_t *nda_id, struct arena *, struct envelope_wire *);
/** A legal EnrolRequest of organisation 1. */
struct bytes seed_enrol(struct arena *);
/** A checkpoint by the fixed log key, and the same with the witness's line. */
void seed_note(struct note *plain, struct note *cosigned);
/** The seeds of fuzz_request. */
void seed_requests(struct seed *, struct arena *);

#endif
