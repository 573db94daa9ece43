/*
 * link_blob: attachments on the link, one of them at a time each way, beside everything else and never before it.
 *
 * Up: what C_UPLOAD says is opened and not complete is sent in parts, from the place that the broker says it has durably; a few parts are in
 * flight at a time.  After any break the broker is asked again: it alone knows how far it is.  Down: what C_BLOB says is wanted is
 * fetched in order into HOME/blobs/HEX.part, and goes on from the length on disk; its hash is looked at by who wants it.
 *
 * The broker is believed in nothing that costs us: a `have` that is beyond the end, goes back, or does not fit `complete`, bytes of
 * another place or length, answers that do not come: each is a trouble, and troubles without progress end in pauses.
 * Part of link_internal.h; the thread that runs link_run.
 */
#ifndef RENKEI_CLIENT_LINK_BLOB_H
#define RENKEI_CLIENT_LINK_BLOB_H

#include "client/attach.h"

#define BLOB_PART_BYTES (256u * 1024)   /* of a BLOB_PUT */
#define BLOB_BYTES_ALONE (128u * 1024)  /* PROTOCOL.md: from here on a message costs no request token */
#define BLOB_PUTS_MAX 8                 /* in flight: 2 MiB */
#define BLOB_FETCH_BYTES (768u * 1024)  /* of a FETCH */
#define BLOB_FETCHES_MAX 4              /* in flight: 3 MiB */
#define BLOB_ANSWER_MS 20000            /* a broker that syncs a slow disk is waited for */
#define BLOB_LOST_MS 3000               /* a part: the broker drops, without a word, what exceeds its rates */
#define BLOB_TROUBLES_MAX 5             /* in a row: then its verb need not wait any longer */
#define BLOB_LOSSES_MAX 9               /* the same where parts are only lost: half a minute, for a broker that lets little pass */

/* One request in flight. */
struct blob_flight {
	uint64_t tag, offset;
	uint32_t len;                /* of a PUT: 0 is a question */
	int64_t sent_at;
};

/* What both ways share. */
struct blob_way {
	bool active;
	uint8_t sha256[32];
	uint64_t len;
	int fd;
	struct blob_flight flight[BLOB_PUTS_MAX];
	size_t flight_count;
	uint64_t next;               /* offset of the next request */
	int64_t not_before;          /* a pause, by monotonic_ms */
	unsigned troubles;           /* in a row, without progress */
	uint64_t idle_txn;           /* nothing was to be done when the store was here */
	int64_t idle_at;
};

struct link_upload {
	struct blob_way w;
	uint8_t key[ATTACH_UPLOAD_KEY_BYTES];
	uint64_t have, best;         /* as told, durably; and the most that ever was */
	bool must_ask;               /* how far is the broker? */
	unsigned asked;              /* in a row, with nothing left to send and no progress */
	unsigned reopened;           /* in this run, the upload was unknown there */
	uint8_t *part;               /* BLOB_PART_BYTES, once needed */
	uint64_t seen_txn;           /* the store when the record was looked at */
	int64_t open_until;
	double pace;                 /* bytes a second that pass; 0: not known yet */
	uint64_t paced_bytes;        /* since paced_at */
	int64_t paced_at;
	uint64_t passed;             /* bytes answered since passed_from, the last of them at passed_at */
	int64_t passed_from, passed_at;
	int64_t usual_ms;            /* that an answer takes; 0: not known yet */
	uint64_t noted;              /* of `have`, in the record */
	int64_t noted_at;
};

struct link_download {
	struct blob_way w;
	uint8_t key[ATTACH_BLOB_KEY_BYTES];
	uint64_t length;             /* on disk */
	uint64_t seen_txn;
};

struct link_blob {
	struct link_upload up;
	struct link_download down;
	uint64_t scanned_txn;        /* link_send.c: nothing could be sealed when the store was here */
};

struct link;
struct incoming;

/* ---- link_blob.c */
void blob_init(struct link_blob *);
void blob_end(struct link_blob *);
/** The session is gone: what was in flight is asked for again. */
void blob_forget(struct link *);
int blob_tick(struct link *);
/** Returns what ends the link, or RK_OK; *taken if the reply was to BLOB_PUT or a FETCH of a blob. */
int blob_on_reply(struct link *, const Rk__Reply *, struct incoming *, bool *taken);
/** Is an upload of an item, or a download, under way or waiting? */
int blob_is_idle(struct link *, bool *idle);

/* For both ways: */
/** Takes the flight of this tag out; false if there is none. */
bool blob_land(struct blob_way *, uint64_t tag, struct blob_flight *out);
struct blob_flight *blob_fly(struct link *, struct blob_way *, uint64_t offset, uint32_t len);
/** Has the oldest been in flight for longer than this? */
bool blob_is_late(const struct blob_way *, int64_t ms);
/** Nothing in flight counts any more; a pause that grows with the troubles. */
void blob_trouble(struct link *, struct blob_way *, const char *what);
/** busy and its like: a pause. */
void blob_rest(struct blob_way *);
bool blob_is_busy(int code);
void blob_close(struct blob_way *);
/** Not active, and nothing new since it was found that nothing is to be done. */
bool blob_is_resting(const struct link *, struct blob_way *);

/* ---- link_upload.c */
int upload_tick(struct link *);
int upload_on_reply(struct link *, const Rk__Reply *, const struct blob_flight *);

/* ---- link_pace.c */
/** The place to send from was told anew: what passes is measured from here. */
void pace_begin(struct link_upload *);
/** A part was answered. */
void pace_passed(struct link_upload *, const struct blob_flight *);
/** Something was lost. */
void pace_down(struct link_upload *);
/** May so many bytes go out now?  Counts them if so. */
bool pace_may_send(struct link *, uint32_t len);
/** When a part that is not answered counts as lost. */
int64_t pace_lost_after_ms(const struct link_upload *);

/* ---- link_download.c */
int download_tick(struct link *);
int download_on_reply(struct link *, const Rk__Reply *, struct incoming *, const struct blob_flight *);

#endif
