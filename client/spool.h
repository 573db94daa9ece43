/*
 * spool: HOME/blobs, where attachments lie as the age files that they are on the wire: HEX.age is whole and has this SHA-256, HEX.part is
 * being fetched, anything else is rubbish of a run that was killed.  What was encrypted is encrypted once, from beginning to end
 * (CRYPTO 2.7): a file that is not there under its name is not gone on with, but made anew, under another key.
 * Files that no record of C_UPLOAD or C_BLOB names are swept; who is about to write such a record holds the lock meanwhile.
 */
#ifndef RENKEI_CLIENT_SPOOL_H
#define RENKEI_CLIENT_SPOOL_H

#include "client/client.h"
#include "client/source.h"
#include "proto/age.h"

#define SPOOL_NAME_CHARS 72
#define SPOOL_SPARE_BYTES ((uint64_t)16 << 20) /* left free on the home's disk: the store needs room too */

/** The folder, made (0700) if it is missing.  RK_EIO, RK_EDISKFULL. */
int spool_open(struct client *, int *dir_fd);
void spool_name(char out[SPOOL_NAME_CHARS], const uint8_t sha256[32]);
void spool_part_name(char out[SPOOL_NAME_CHARS], const uint8_t sha256[32]);

/** Nothing is swept until the descriptor is closed. */
int spool_lock(struct client *, int *fd);
/** Removes files that no record names, unless somebody holds the lock.  Best effort: what cannot be removed stays. */
void spool_sweep(struct client *);
/** How many bytes the files take. */
int spool_usage(struct client *, uint64_t *bytes);

/** Is there room for so many bytes on this folder's disk, and `spare` beside them?  RK_EDISKFULL; RK_EIO. */
int spool_check_room(int dir_fd, uint64_t bytes, uint64_t spare);

/** Called about every 256 KiB with the bytes done so far; anything but RK_OK ends the work with that code. */
typedef int spool_progress_fn(void *user, uint64_t done);

/* An attachment as it was encrypted. */
struct spooled {
	uint8_t sha256[32];          /* of the blob */
	uint64_t len;
	uint8_t plain_sha256[32];
	uint64_t plain_len;
	uint8_t identity[32];        /* secret; for the sealed message only: wipe it */
};

/**
 * Encrypts a source into the folder under its final name, durably, hashing both sides in the same pass.  On any failure nothing of it
 * stays.  RK_CONFLICT: the source has changed; RK_EIO; RK_EDISKFULL; progress's code.
 */
int spool_seal(int dir_fd, struct source *, spool_progress_fn *, void *user, struct spooled *out);

/** Reads a file from its beginning: exactly len bytes of this hash?  RK_EINTEGRITY; RK_EIO; progress's code. */
int spool_prove(int fd, const uint8_t sha256[32], uint64_t len, spool_progress_fn *, void *user);

/* Bytes in memory, as an age file of their own to a fresh identity: for `get --sealed` of what came in the message itself.  Caller frees. */
int spool_seal_bytes(struct bytes plain, uint8_t identity[32], uint8_t **out, size_t *len);

#endif
