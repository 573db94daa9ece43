/*
 * stream: everything the broker hands out is an entry of a stream.  `entry` holds each once, by global position;
 * `stream` refers to it by (stream id, seq); its bulk within it or in a table of its own, whichever fills
 * pages better.
 * FIELDS "Store layout that measured well"; store/DESIGN.  Write functions need the one write transaction.
 */
#ifndef RENKEI_STORE_STREAM_H
#define RENKEI_STORE_STREAM_H

#include "renkei.pb-c.h"
#include "store/env.h"

#define STREAM_ID_BYTES 18          /* type u8 || channel u8 || org_id (zero unless a mailbox) */
#define STREAM_INLINE_MAX_BYTES 2000 /* LMDB takes larger values out of its leaves */

struct stream_id {
	uint8_t b[STREAM_ID_BYTES];
};

struct stream_id stream_control(void);
struct stream_id stream_channel(Rk__Channel);
struct stream_id stream_mailbox(const uint8_t org_id[16]);
/** From and to the wire; RK_MALFORMED if fields do not fit the type. `out` of to_wire borrows org_id from id. */
int stream_from_wire(struct stream_id *, const Rk__StreamId *);
void stream_to_wire(const struct stream_id *, Rk__StreamId *out);

/* Tables this module uses, given by the environment's owner (broker store: store/tables.h). */

enum stream_flag {
	STREAM_LOGGED = 1,        /* log_index is meaningful */
	STREAM_BULK_DROPPED = 2,  /* tombstone: the head stays */
	STREAM_ANNOUNCED = 4,     /* object holds a packed Announce instead of the object */
	STREAM_BULK_APART = 8,    /* bulk stands in its own table */
	STREAM_HEAD_ONLY = 16,    /* bulk is released by FETCH only, never with the delivery */
};

/* An entry as written and read.  Read: borrowed from the transaction. */
struct stream_entry {
	uint8_t kind;             /* Rk__EntryKind */
	uint8_t flags;
	int64_t time_ms;
	uint64_t control_seq;     /* head of the control stream when it was written */
	uint64_t log_index;
	struct bytes object;      /* Signed object, head, terms, Returned … */
	struct bytes wraps, body; /* empty where there are none */
};

/**
 * Appends one entry to each of n streams (1..17) and returns its position and the seqs.  Fills e->control_seq from
 * the control stream (an entry of the control stream itself carries its own seq).
 */
int stream_append(struct txn *, const struct stream_id *streams, size_t n, struct stream_entry *e, uint64_t *position,
                  uint64_t *seqs);

/** Position of (stream, seq); RK_ENOTFOUND. */
int stream_position(struct txn *, const struct stream_id *, uint64_t seq, uint64_t *position);
/** The entry at a position, with_bulk also its wraps and body (also of HEAD_ONLY entries: the gate is the caller's).
 *  RK_ENOTFOUND, RK_EINTEGRITY: the record does not prove itself and is not given out. */
int stream_read(struct txn *, uint64_t position, bool with_bulk, struct stream_entry *e);
/** Deletes the bulk, keeps the head as a tombstone.  *freed = bytes given back. Nothing to do is RK_OK. */
int stream_drop_bulk(struct txn *, uint64_t position, uint64_t *freed);

/** head: last seq (0: empty); first: first seq still there (head + 1 when none is). */
int stream_bounds(struct txn *, const struct stream_id *, uint64_t *first, uint64_t *head);
/** Deletes references up to and including seq, at most `limit` of them; entries whose last reference goes are deleted
 *  too. */
int stream_trim(struct txn *, const struct stream_id *, uint64_t seq, unsigned limit);

/** One page from a cursor key: calls fn for entries cursor+1 … while fn returns 0; at most `limit`.  Bulk is given
 *  unless HEAD_ONLY. Entries already trimmed are passed over.  Returns fn's first non-zero, or RK_OK. */
int stream_page(struct txn *, const struct stream_id *, uint64_t cursor, unsigned limit,
                int (*fn)(void *, uint64_t seq, const struct stream_entry *), void *user);

/** Acknowledged cursors: for retention and status only. */
int stream_cursor_put(struct txn *, const uint8_t device_id[16], const struct stream_id *, uint64_t seq);
int stream_cursor_get(struct txn *, const uint8_t device_id[16], const struct stream_id *, uint64_t *seq);
int stream_cursor_drop_device(struct txn *, const uint8_t device_id[16]);

#endif
