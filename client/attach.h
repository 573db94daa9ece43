/*
 * attach: attachments on record.  On the way out they belong to an item of the outbox (C_UPLOAD), which is not sealed before all of them
 * are complete at the exchange; once the exchange has taken the envelope, and on the way in, they belong to the envelope (C_BLOB).  The
 * bytes lie in HOME/blobs (client/spool.h).  CRYPTO 2.7; PROTOCOL.md, "Attachments".
 */
#ifndef RENKEI_CLIENT_ATTACH_H
#define RENKEI_CLIENT_ATTACH_H

#include "client/client.h"
#include "client/spool.h"

#define ATTACH_MAX 32
#define ATTACH_UPLOAD_KEY_BYTES 9   /* of C_UPLOAD */
#define ATTACH_BLOB_KEY_BYTES 33    /* of C_BLOB */
#define ATTACH_REOPEN_MS ((int64_t)12 * 3600 * 1000) /* the broker forgets an upload that nobody speaks of for 24 hours */

/** Does any record name a file of this hash?  (True also when the store cannot be read: nothing is lost then.) */
bool attach_names(struct txn *, const uint8_t sha256[32]);

/**
 * Do header and message agree?  The files of a Dossier that are attachments are the header's blobs, one for one and in order; each
 * file is either here or an attachment, and an age file of its length has just the length that is said.  RK_MALFORMED.
 */
int attach_check(const Rk__EnvelopeHeader *, const Rk__Message *);
/** Is it an attachment? */
static inline bool attach_is(const Rk__DossierFile *f)
{
	return f->blob_sha256.len == 32 && f->age_identity.len == 32;
}

/* ---- on the way out */

/** Puts the attachments of a queued SUBMIT on record and queues a BLOB_OPEN for each. */
int attach_add(struct client *, struct txn *, uint64_t item, const uint8_t nda_id[32], const struct spooled *, size_t n);

/** Called for each upload in order of items; RK_OK goes on.  The record lives in the arena. */
typedef int attach_upload_fn(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *);
int attach_each_upload(struct txn *, struct arena *, attach_upload_fn *, void *user);
int attach_load_upload(struct txn *, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], struct arena *, Rkl__UploadRecord **);
int attach_store_upload(struct txn *, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], const Rkl__UploadRecord *);

/** Is an upload of this item not complete yet?  Such an item is passed by others. */
bool attach_is_held(struct txn *, uint64_t item);
/** How many items are. */
unsigned attach_held(struct txn *);

/** Queues a BLOB_OPEN, unless one is under way, and notes it in the record, which is stored. */
int attach_open(struct client *, struct txn *, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *);
/**
 * A BLOB_OPEN (with this ref: the hash) was answered.  With a refusal *waits is the item that is now without hope, for the caller to
 * end; 0 otherwise.
 */
int attach_on_opened(struct client *, struct txn *, uint64_t open_item, struct bytes sha256, int code, uint64_t *waits);
/** The exchange does not have them after all (it refused the SUBMIT as unknown-object): all are opened and looked at again. */
int attach_on_missing(struct txn *, uint64_t item);
/** The exchange took the envelope: its attachments are ours to keep, as evidence. */
int attach_on_sent(struct txn *, uint64_t item, const uint8_t env_id[32]);
/** The item has ended otherwise: the records go, the files with the next sweep. */
int attach_drop(struct txn *, uint64_t item);

/**
 * Takes a queued dossier back.  RK_ENOTFOUND: no such item is under way with attachments; RK_CONFLICT: its envelope has been handed to
 * the exchange already.
 */
int attach_cancel(struct client *, struct txn *, uint64_t item);

/* ---- on the way in */

void attach_blob_key(uint8_t key[ATTACH_BLOB_KEY_BYTES], const uint8_t env_id[32], size_t index);
int attach_load_blob(struct txn *, const uint8_t key[ATTACH_BLOB_KEY_BYTES], struct arena *, Rkl__BlobRecord **);
int attach_store_blob(struct txn *, const uint8_t key[ATTACH_BLOB_KEY_BYTES], const Rkl__BlobRecord *);
/** First record with a key above `key` whose state is WANTED; RK_ENOTFOUND. */
int attach_next_wanted(struct txn *, uint8_t key[ATTACH_BLOB_KEY_BYTES], struct arena *, Rkl__BlobRecord **);

/** Asks for all attachments of an envelope that are not here: what was refused before is asked for again. */
int attach_want(struct client *, struct txn *, const uint8_t env_id[32], const Rk__Message *);
/** Is any of them still to be fetched?  *code: why one of them is not here, RK_OK. */
int attach_wanted(struct txn *, const uint8_t env_id[32], bool *any, int *code);
/** All that have come were proven, and lie under their final names. */
int attach_on_proven(struct txn *, const uint8_t env_id[32]);
/** This one is not what was promised: its file goes, and it is wanted again. */
int attach_on_wrong(struct client *, struct txn *, const uint8_t env_id[32], size_t index);
/** The dossier was destroyed: its records go, the files with the next sweep. */
int attach_forget(struct txn *, const uint8_t env_id[32]);

/** Bytes of the attachments of an envelope: all, and here (whole or in part; looked at on disk). */
int attach_progress(struct client *, struct txn *, const uint8_t env_id[32], uint64_t *total, uint64_t *here);

#endif
