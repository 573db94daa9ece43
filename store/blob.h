/*
 * blob: the bulk of attachments, in files beside LMDB: FOLDER/ab/<64 hex of the SHA-256>, with `.part` behind the name while it grows.  Only
 * file I/O: which of them are wanted, and whose they are, stands in the store's rows, and the rows are written first and dropped first.
 * Under its final name a file is whole, durable and its hash is right.  Why files: store/DESIGN.md, "Attachments".
 *
 * A folder and its parts belong to one thread at a time.  Codes: RK_EDISKFULL; RK_EIO, errno says which; RK_ENOMEM.
 */
#ifndef RENKEI_STORE_BLOB_H
#define RENKEI_STORE_BLOB_H

#include <sodium.h>

#include "proto/bytes.h"
#include "proto/errcode.h"

#define BLOB_HASH_SLICE_BYTES ((uint64_t)4 << 20) /* hashed in one call of blob_hash */

struct blob_folder;

/** Opens the folder, made 0700 with its 256 parts if `create`.  RK_ENOTFOUND if it is not there. */
int blob_folder_open(const char *path, bool create, struct blob_folder **out);
void blob_folder_close(struct blob_folder *);
/** Bytes that are free on its disk for who is not root. */
int blob_folder_room(struct blob_folder *, uint64_t *bytes);

/* One that grows.  Read only for others. */
struct blob_part {
	uint8_t sha256[32];
	uint64_t len;         /* of the whole */
	uint64_t written;     /* from the start, without a gap */
	uint64_t synced;      /* of those, what survives a crash of the machine */
	uint64_t started;     /* up to here it was given to the disk */
	uint64_t hashed;
	bool is_whole;        /* stands under its final name: nothing more to do */
	int fd;               /* -1: whole */
	crypto_hash_sha256_state hash;
};

/**
 * Begins one, or goes on with what is there of it.  Room for all of it is set aside first, so that a full disk is known before the first
 * byte: RK_EDISKFULL, also when less than `reserve` would stay free.  What an earlier run has written counts as written but not as synced,
 * and is yet to be hashed.  One that stands under its final name already is found whole.
 */
int blob_part_open(struct blob_folder *, const uint8_t sha256[32], uint64_t len, uint64_t reserve, struct blob_part *);
/** Writes at offset (<= written; offset + bytes <= len); what is there already is passed over.  After RK_EDISKFULL
 *  all is as before; after another failure: blob_part_restart. */
int blob_part_write(struct blob_part *, uint64_t offset, struct bytes);
/** Makes durable what was written.  After a failure nothing of it can be trusted: blob_part_restart. */
int blob_part_sync(struct blob_part *);
/** Hashes up to `limit` bytes more of what was written before this run began; nothing to do is RK_OK. */
int blob_part_hash(struct blob_part *, uint64_t limit);
/** All is written and hashed: makes it durable, compares, gives it its name.  RK_EINTEGRITY: it is not what its name says; nothing of it is
 *  left. */
int blob_part_finish(struct blob_folder *, struct blob_part *);
/** Begins again from nothing: the file is gone. */
int blob_part_restart(struct blob_folder *, struct blob_part *);
/** Closes; the file stays as it is. */
void blob_part_close(struct blob_part *);

/** Length of a whole one; RK_ENOTFOUND. */
int blob_length(struct blob_folder *, const uint8_t sha256[32], uint64_t *len);
/** Reads exactly len bytes of a whole one.  RK_ENOTFOUND if it is not there, RK_EINTEGRITY if it is shorter. */
int blob_read(struct blob_folder *, const uint8_t sha256[32], uint64_t offset, uint8_t *out, size_t len);
/** Reads a whole one and compares: RK_ENOTFOUND, RK_EINTEGRITY. */
int blob_verify(struct blob_folder *, const uint8_t sha256[32], uint64_t len);
/** Removes it in either form; *any says if there was one.  Not synced: what a crash brings back is swept again. */
int blob_drop(struct blob_folder *, const uint8_t sha256[32], bool *any);
/** The same file in another folder, durable there: linked if both are on one disk, else copied. */
int blob_copy(struct blob_folder *from, struct blob_folder *to, const uint8_t sha256[32]);

enum blob_wish { BLOB_KEEP, BLOB_KEEP_WHOLE /* a .part beside it goes */, BLOB_DROP };
/** Asks of each file of the i-th of 256 parts, whose name is one of ours, whether it is wanted, and removes the others; *dropped counts them. */
int blob_sweep(struct blob_folder *, unsigned i, enum blob_wish (*ask)(void *, const uint8_t sha256[32]), void *user, unsigned *dropped);

#endif
