/*
 * fuzz_kit: what the fuzz targets share: a claim that ends the process, input cut into parts, and the exchange of
 * fixed_kit with its signed objects, which are seeds and at the same time all that may ever verify.
 */
#ifndef RENKEI_TESTS_FUZZ_KIT_H
#define RENKEI_TESTS_FUZZ_KIT_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "proto/object.h"
#include "tests/unit/fixed_kit.h"

/* One input.  Always 0; what it finds wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Inputs that the target's parser took: seeds of which none is taken test nothing. */
extern unsigned fuzz_accepted;

/* A claim about the code under test.  Unlike assert it is there in every build. */
#define MUST(fact) ((fact) ? (void)0 : fuzz_broken(#fact, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *fact, const char *file, int line);

/** Takes up to n bytes from the front. */
struct bytes fuzz_take(struct bytes *in, size_t n);
/** One byte; 0 at the end. */
uint8_t fuzz_take_u8(struct bytes *in);
/** A part with its length, u32be, before it; what is there of it. */
struct bytes fuzz_take_part(struct bytes *in);

/** A copy with a NUL after it in memory of exactly that size, so that reading past it is found.  free() it. */
char *fuzz_text(struct bytes);
/** A new arena; its end is the target's. */
struct arena *fuzz_arena(size_t budget);

/** The exchange of fixed_kit, made once. */
const struct fixed *fuzz_exchange(void);
/** The signed object of each kind: of organisation 1, where it is an organisation's.  NDA_HOLD and ENVELOPE too. */
struct bytes fuzz_golden(enum object_kind, struct arena *);
/** Whose key signs it. */
const uint8_t *fuzz_golden_pk(enum object_kind);

#endif
