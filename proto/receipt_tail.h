/*
 * receipt_tail: what stands in a receipt after the part that is checked in memory: the attachments that it shows, each the age file of which
 * the header signs length and SHA-256, and the end of the archive.  They may have 64 GiB: a verifier is fed with them as they come,
 * in pieces of any size, and needs the same memory for each.  Nothing of a receipt is proven before receipt_tail_end says so.
 * The same object checks what a maker writes.  CRYPTO 2.7, 2.11; proto/RECEIPT.md.  Pure; one thread at a time.
 */
#ifndef RENKEI_PROTO_RECEIPT_TAIL_H
#define RENKEI_PROTO_RECEIPT_TAIL_H

#include "proto/receipt.h"
#include "proto/ustar.h"

struct receipt_tail;

/** For a receipt that receipt_verify_start has found sound.  In the arena, which the receipt lives in too; NULL without memory. */
struct receipt_tail *receipt_tail_new(struct receipt *, struct arena *);

/** The next bytes, from *used of receipt_verify_start on.  RK_OK or RK_EINTEGRITY; after that, what is fed is not looked at. */
int receipt_tail_feed(struct receipt_tail *, struct bytes);

/**
 * No more bytes come.  RK_OK: all attachments are what was signed, and the archive ends where it must.  RK_EINTEGRITY: the last of the
 * receipt's checks says what failed, and its level is RECEIPT_UNPROVEN.  Wipes the object either way.
 */
int receipt_tail_end(struct receipt_tail *);

/* ---- making: after the archive of receipt_make, for each attachment its header, its bytes and zeros; then USTAR_END_BYTES zeros */

void receipt_tail_header(uint8_t block[USTAR_BLOCK_BYTES], const struct receipt *, size_t i);
size_t receipt_tail_padding(const struct receipt *, size_t i);

#endif
