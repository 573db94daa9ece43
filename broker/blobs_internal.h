/* blobs_internal: what the parts of blobs share: blobs.c is the thread and its order, blobs_upload.c those that grow, blobs_sweep.c what
 * nobody wants any more. */
#ifndef RENKEI_BROKER_BLOBS_INTERNAL_H
#define RENKEI_BROKER_BLOBS_INTERNAL_H

#include "broker/ahead.h"
#include "broker/blobs.h"
#include "broker/rows.h"
#include "store/blob.h"

#define BLOBS_TURN 64       /* commands looked at together: one read transaction, and one sync for each upload among them */
#define BLOBS_UPLOADS 128   /* that have a descriptor and a running hash; more than a turn can name */
#define BLOBS_HASH_TURN_BYTES ((uint64_t)32 << 20) /* hashed in a turn, of all uploads together: about a tenth of a second */
#define BLOBS_GATHER_BYTES ((uint64_t)8 << 20) /* unsynced bytes of an upload that are synced without being asked for */

/* One that grows, while somebody sends it. */
struct blobs_upload {
	bool is_used;
	struct blob_part part;
	int64_t touched_ms;
	bool wants_sync;        /* this turn: somebody asked, or the end is there, or enough has gathered */
	int failure;            /* of this turn: what all its commands are answered */
};

struct blobs {
	struct path *path;
	struct blob_folder *folder;
	struct blobs_upload uploads[BLOBS_UPLOADS];
	int64_t now_ms, room_ms;
	/* The sweep: which of the 256 parts is next, and when. */
	unsigned sweep_part;
	int64_t sweep_ms;
	bool sweep_fast;        /* one part a turn, to the end of this round */
	uint64_t reserve;
	struct ahead ahead;     /* of the store's file: its disk is waited for here, as that of attachments is */
	/* Of earlier runs' bytes: how many may yet be hashed in this turn, and which upload is the first. */
	uint64_t hash_left;
	unsigned hash_first;
};

/* ---- blobs_upload.c */
/** The upload of this row, begun or gone on with if need be: *failure (RK_STORE_FULL, RK_BUSY) if that is not possible. */
struct blobs_upload *blobs_upload_get(struct blobs *, const uint8_t sha256[32], uint64_t len, int *failure);
/** What BLOB_PUT brings: RK_OK, or why it was not taken. */
int blobs_upload_write(struct blobs *, struct blobs_upload *, uint64_t offset, struct bytes);
/** Syncs and finishes those that want it. */
void blobs_upload_settle(struct blobs *);
/** Catches up with hashes and syncs what has lain for a second.  True: there is more to hash. */
bool blobs_upload_idle(struct blobs *);
/** Closes it, if it is one; the file stays. */
void blobs_upload_forget(struct blobs *, const uint8_t sha256[32]);
void blobs_upload_close_all(struct blobs *);

/* ---- blobs_sweep.c */
/** Empties the ring of drops. */
void blobs_sweep_drops(struct blobs *);
/** One part, if it is time for one.  True: the next one is due at once. */
bool blobs_sweep_some(struct blobs *);

#endif
