/*
 * tag: LMDB has no checksums (HAZARDS L3), so a record of the stream tables ends in a tag over its table, its key and
 * its value. A flipped bit, or a record met at a key where it was not written, is RK_EINTEGRITY.  Against accidents,
 * not against people: what must be proved to others is signed.
 */
#ifndef RENKEI_STORE_TAG_H
#define RENKEI_STORE_TAG_H

#include "store/env.h"

#define TAG_BYTES 8
#define TAG_ROW_BYTES_MAX 64     /* key and numbers of a row */

/** Tag of a value that hangs at a position. */
void tag_make(uint8_t tag[TAG_BYTES], unsigned table, uint64_t position, struct bytes data);
/** Checks the tag at the end of *value and takes it off.  RK_EINTEGRITY. */
int tag_check(unsigned table, uint64_t position, struct bytes *value);

/* Rows: n numbers, u64be each, and the tag. */
int tag_row_put(struct txn *, unsigned table, struct bytes key, const uint64_t *numbers, size_t n, enum env_put_flag);
/** RK_ENOTFOUND (numbers are left as they are), RK_EINTEGRITY. */
int tag_row_get(struct txn *, unsigned table, struct bytes key, uint64_t *numbers, size_t n);
/** As tag_row_get, by env_get_held. */
int tag_row_get_held(struct txn *, unsigned table, struct bytes key, uint64_t *numbers, size_t n);
/** As tag_row_get, of a row that a cursor has found. */
int tag_row_decode(unsigned table, struct bytes key, struct bytes value, uint64_t *numbers, size_t n);

#endif
