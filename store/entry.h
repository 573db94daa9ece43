/*
 * entry: the record of one stream entry at its position, and its bulk.  Of stream.c only; layout: store/DESIGN.md.
 */
#ifndef RENKEI_STORE_ENTRY_H
#define RENKEI_STORE_ENTRY_H

#include "store/stream.h"

enum entry_bulk {
	ENTRY_BULK_NEVER,
	ENTRY_BULK_DELIVERY,  /* unless the entry is HEAD_ONLY */
	ENTRY_BULK_ALWAYS,
};

/** Writes the entry of a new, highest position: bulk within it while both fit a leaf page well, else apart. */
int entry_put(struct txn *, uint64_t position, const struct stream_entry *e, size_t references);
/** Reads and proves it; borrowed from the transaction.  RK_ENOTFOUND, RK_EINTEGRITY. */
int entry_read(struct txn *, uint64_t position, enum entry_bulk, struct stream_entry *e);
/** The same for many of one transaction, in the order of their positions at best; nothing is deleted meanwhile.  {txn} at first; entry_walk_end at the end. */
struct entry_walk {
	struct txn *txn;
	struct entry_column {         /* of one table */
		struct env_cursor *cursor;
		uint64_t position;    /* where the cursor stands; 0: nowhere known */
	} entries, bulk;
};
int entry_walk_read(struct entry_walk *, uint64_t position, enum entry_bulk, struct stream_entry *e);
void entry_walk_end(struct entry_walk *);
/** As stream_drop_bulk. */
int entry_drop_bulk(struct txn *, uint64_t position, uint64_t *freed);
/** One stream less refers to it: the last one deletes it. */
int entry_release(struct txn *, uint64_t position);

#endif
