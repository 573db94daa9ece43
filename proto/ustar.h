/*
 * ustar: archives of a few small files, in memory (and headers of larger ones), one form for each content: POSIX ustar, regular files only, mode 0644, owner 0, time
 * 0, no names of users, nothing after the two zero blocks.  tar lists and extracts them.  The reader accepts that form and no other,
 * so what it accepts, the writer writes again byte for byte: no byte of an archive is without meaning.  CRYPTO 2.11.
 * Pure; any thread.
 */
#ifndef RENKEI_PROTO_USTAR_H
#define RENKEI_PROTO_USTAR_H

#include "proto/arena.h"
#include "proto/bytes.h"

#define USTAR_NAME_CHARS 100                       /* with its NUL */
#define USTAR_MEMBERS_MAX 2560                     /* what the longest receipt needs: receipt_internal.h */
#define USTAR_MAX_BYTES ((size_t)16 * 1024 * 1024)
#define USTAR_BLOCK_BYTES ((size_t)512)
#define USTAR_END_BYTES (2 * USTAR_BLOCK_BYTES)    /* the zeros after the last member */

struct ustar_member {
	const char *name;       /* [A-Za-z0-9._-]{1,99} */
	struct bytes data;
};

/**
 * Writes n members, in the order given, into the arena (whose budget it raises itself).  RK_MALFORMED: a name that may not be, or
 * twice; RK_TOO_LARGE: over a limit above; RK_ENOMEM.
 */
int ustar_write(const struct ustar_member *, size_t n, struct arena *, struct bytes *out);

/** Reads at most max members; names and data borrow from `archive`.  RK_MALFORMED, RK_TOO_LARGE. */
int ustar_read(struct bytes archive, struct ustar_member *out, size_t max, size_t *n);

/* ---- archives too large for memory: the same form, one member at a time; names may have folders (client/archive), sizes may be large */

/**
 * Reads the members before the one called `stop`, or before the end; *used is where that begins, and what follows is not looked at.
 * `start` may be less than the archive.  RK_MALFORMED also where neither is in it.
 */
int ustar_read_start(struct bytes start, const char *stop, struct ustar_member *out, size_t max, size_t *n, size_t *used);

/** RK_MALFORMED: a name that may not be: parts of [A-Za-z0-9._-] that do not begin with a dot, between slashes, 99 characters in all. */
int ustar_header_write(uint8_t block[USTAR_BLOCK_BYTES], const char *name, uint64_t size);
/** RK_MALFORMED; RK_ENOTFOUND: a block of zeros, the first of the two that end an archive. */
int ustar_header_read(const uint8_t block[USTAR_BLOCK_BYTES], char name[USTAR_NAME_CHARS], uint64_t *size);
/** Zeros that follow size bytes of a member. */
size_t ustar_padding(uint64_t size);

#endif
