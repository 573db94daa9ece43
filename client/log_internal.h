/*
 * log_internal: what the files of log share.
 *
 *   log.c          what is known
 *   log_row.c      its rows: notes, heads, notes that wait, contradictions
 *   log_take.c     taking in: leaves, checkpoints of peers and of the control stream, the next log
 *   log_promise.c  leaves that a reply told of, until their entries come
 *   log_ask.c      questions to the broker
 *   log_answer.c   what its answers prove
 *   log_vain.c     questions that get none
 *   log_witness.c  cosigning
 *
 * Verified checkpoints of one origin form a chain: each was proven consistent with the newest before it, so any two of them are
 * consistent, and a head only ever grows.  A row of LogNote lives while it is a head or leaves stand on it.
 */
#ifndef RENKEI_CLIENT_LOG_INTERNAL_H
#define RENKEI_CLIENT_LOG_INTERNAL_H

#include "client/client_internal.h"
#include "client/log.h"

#define LOG_ARENA ((size_t)64 * 1024)
#define LOG_LEAF_KEY_BYTES 12
#define LOG_SEEN_KEY_BYTES 44
#define LOG_PROMISE_KEY_BYTES LOG_SEEN_KEY_BYTES /* of index and oh, as that of size and root */
#define LOG_SEEN_MAX 64       /* more can only come while the broker proves none: then UNPROVEN says so within a day */
#define LOG_FORKS_MAX 64      /* kept as evidence; later ones are only counted */

#define META_LOG_ORIGIN "log/origin"       /* u64be: number of the log that this home follows */
#define META_LOG_WITNESSED "log/witnessed" /* LogWitnessed */
#define META_LOG_STALE_TOLD "log/stale"    /* u64be: 1 + size of the cosigned checkpoint whose age was told */

/* The log of the newest Charter: its number, and the keys that sign its notes. */
struct log_keys {
	unsigned number;
	struct note_key log, witness;
	int64_t issued_at;           /* of the Charter */
};
/** RK_ENOTFOUND before there is a Charter. */
int log_keys(struct client *, struct txn *, struct log_keys *);
/** The same in a write transaction: where the Charter names the next log, it begins here (log_take.c). */
int log_follow(struct client *, struct txn *, struct log_keys *);

/* ---- rows */

void log_leaf_key(uint8_t key[LOG_LEAF_KEY_BYTES], unsigned number, uint64_t index);
void log_seen_key(uint8_t key[LOG_SEEN_KEY_BYTES], unsigned number, uint64_t size, const merkle_hash root);
/** The checkpoint that such a key names. */
void log_seen_checkpoint(const struct log_keys *, const uint8_t key[LOG_SEEN_KEY_BYTES], struct checkpoint *);
/** The first key of a table with this origin number; RK_ENOTFOUND.  key has room for LOG_SEEN_KEY_BYTES. */
int log_first(struct txn *, unsigned table, unsigned number, uint8_t *key, size_t len);

int log_leaf_get(struct txn *, unsigned number, uint64_t index, struct arena *, Rkl__LogLeaf **);
int log_leaf_put(struct txn *, unsigned number, const Rkl__LogLeaf *);

int log_note_get(struct txn *, unsigned number, uint64_t size, struct arena *, Rkl__LogNote **);
int log_note_put(struct txn *, unsigned number, uint64_t size, const Rkl__LogNote *);
/** Deletes a note on which nothing stands any more. */
int log_note_release(struct txn *, unsigned number, uint64_t size);

/** Sizes of the heads; 0: none. */
uint64_t log_head_size(struct txn *, unsigned number);
uint64_t log_cosigned_size(struct txn *, unsigned number);
/** The verified checkpoint of a size, as a head.  RK_ENOTFOUND. */
int log_head_load(struct client *, struct txn *, unsigned number, uint64_t size, struct arena *, struct log_head *);

/* A signed checkpoint, opened. */
struct log_signed {
	struct bytes note;
	struct note_opened o;
	const uint8_t *from_org;     /* NULL: the broker */
};
/** What we have of this size: RK_OK and *known (verified), RK_ENOTFOUND, or RK_EFORKED: another root; the fault is recorded. */
int log_compare(struct client *, struct txn *, const struct log_keys *, const struct log_signed *, bool *known);
/** It is proven: becomes a head where it is newer than one, and waits no longer. */
int log_proven(struct client *, struct txn *, const struct log_keys *, const struct log_signed *);

/** Records a contradiction, once; ours is filled with the newest verified note if it is empty. */
int log_fault(struct client *, struct txn *, const struct log_keys *, const struct log_fork *);
/** Its proof came after all: an UNPROVEN stands no longer.  theirs NULL: the leaf's. */
int log_resolve(struct client *, struct txn *, const struct log_keys *, const struct checkpoint *theirs, uint64_t leaf);

/** The question was answered: what was counted of its kind in vain is over. */
int log_vain_ends(struct txn *, unsigned number, const struct log_question *);

/* ---- promised leaves */

/** An entry told of this leaf: what was promised of its place or its object is kept, or contradicted. */
int log_promise_kept(struct client *, struct txn *, const struct log_keys *, uint64_t index, const uint8_t oh[32]);
/** Has one of this log waited for its entry since `before`, or longer, and was not accused yet? */
bool log_promise_is_overdue(struct txn *, unsigned number, int64_t before);
/** All of these are UNPROVEN from now on. */
int log_promise_accuse(struct client *, struct txn *, const struct log_keys *, int64_t before);
/** The next log begins: what it shares is still to come, under its number; the rest is lost. */
int log_promise_carry(struct client *, struct txn *, unsigned from, unsigned to, uint64_t shared);

/* ---- the witness */

/** The first half of log_cosign: decides, and makes durable, what may be signed.  RK_ENOTFOUND: nothing is to be cosigned;
 *  RK_EFORKED: it would contradict what was cosigned before. */
int log_witness_commit(struct client *, struct arena *, struct log_keys *, struct log_head *);

#endif
