/*
 * ustar: archives of a few small files, in memory, one form for each content: POSIX ustar, regular files only, mode 0644, owner 0, time
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
#define USTAR_STREAM_MAX_BYTES ((uint64_t)8 << 30) /* of a member whose bytes are not in memory: below this */

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

/* ---- an archive too large for memory: its first members as above, the others as they stream by */

/**
 * Reads the members before the one called `stop`, or before the end; *used is where that begins, and what follows is not looked at.
 * `start` may be less than the archive.  RK_MALFORMED also where neither is in it.
 */
int ustar_read_start(struct bytes start, const char *stop, struct ustar_member *out, size_t max, size_t *n, size_t *used);

/** The one header that a member of this name and size has. */
void ustar_header(uint8_t block[USTAR_BLOCK_BYTES], const char *name, uint64_t size);

/** Zeros after that many bytes, to the end of their block. */
size_t ustar_padding(uint64_t size);

#endif
