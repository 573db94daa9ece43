/*
 * held: small rows that one transaction changes again and again (a stream's head, a counter), kept in memory until its commit.  A table of a few
 * places and nothing else; env.c asks it before LMDB and writes what it holds before the commit, before a cursor, and when it is full.
 */
#ifndef RENKEI_STORE_HELD_H
#define RENKEI_STORE_HELD_H

#include <stdbool.h>

#include "proto/bytes.h"

#define HELD_MAX 16
#define HELD_KEY_MAX_BYTES 40
#define HELD_VALUE_MAX_BYTES 32

struct held_row {
	unsigned table;
	bool is_clean;               /* as LMDB has it: it was read, and need not be written */
	bool is_saved;               /* as the journal has it */
	uint8_t key_len, value_len;
	uint8_t key[HELD_KEY_MAX_BYTES], value[HELD_VALUE_MAX_BYTES];
};

struct held {
	unsigned count;
	struct held_row rows[HELD_MAX];
};

/** NULL if it is not held. */
struct held_row *held_find(struct held *, unsigned table, struct bytes key);
/** Holds it as changed, in place of what was held under this key.  False: too large, or no place. */
bool held_set(struct held *, unsigned table, struct bytes key, struct bytes value);
/** Holds what was read, if there is a place for it. */
void held_keep(struct held *, unsigned table, struct bytes key, struct bytes value);
/** Forgets it, if it is held. */
void held_drop(struct held *, unsigned table, struct bytes key);

#endif
