/*
 * blobs: the thread that has the files of attachments.  A step before apply, as verify is: it takes what BLOB_PUT brings and reads ahead what
 * FETCH asks for, and what it found goes on with the command.  It decides nothing: apply asks the gate for each part, in its own order, and
 * what was read ahead for one who may not have it is thrown away there.  It reads rows in short transactions of its own, and writes none.
 */
#ifndef RENKEI_BROKER_BLOBS_H
#define RENKEI_BROKER_BLOBS_H

#include "broker/path.h"

struct blobs;

/* What apply_blobs holds: no row wanted this one any more, as of a commit. */
struct blobs_drop {
	uint8_t sha256[32];
};

/** Opens path->blobs_folder, made if need be, and learns the disk's room.  RK_ENOMEM, RK_EIO, RK_EDISKFULL. */
int blobs_new(struct path *, struct blobs **out);
/** Also of what stands in its ring of drops.  NULL is allowed. */
void blobs_free(struct blobs *);
/** The thread: runs until path->stopping and its rings are empty.  Argument: struct blobs *. */
void *blobs_run(void *blobs);

#endif
