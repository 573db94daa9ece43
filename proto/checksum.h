/*
 * checksum: XXH3 of 64 bits, against accidents: it shows what a disk or a mistake changed, and stops nobody who wants to forge.  Any thread.
 * Source: xxHash, doc/xxhash_spec.md.
 */
#ifndef RENKEI_PROTO_CHECKSUM_H
#define RENKEI_PROTO_CHECKSUM_H

#include "proto/bytes.h"

/** XXH3_64bits_withSeed. */
uint64_t checksum(struct bytes, uint64_t seed);

#endif
