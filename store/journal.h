/*
 * journal: a file beside the store for what is durable and not yet in its tables.  Rows of one transaction after the other are gathered and
 * written in a row, which costs one short write and one fdatasync where LMDB's commit writes a page here and a page there.  It holds what the one
 * open write transaction has put so far, in records; when that transaction is committed, none of them counts any more, and the next record is
 * written over the first.  It knows nothing of LMDB; env_journal.c puts it to use.  The writing thread's alone.
 *
 * The file: a page that says whose it is, then records, each from the start of a page: what was made durable once is never written again.  A record
 * is valid for one store, one transaction and one place in the order; so what is left of earlier ones is never taken for it, whatever bytes a
 * member put into it (the store's number is random and goes nowhere).  store/DESIGN.md, "The journal", has the layout.
 */
#ifndef RENKEI_STORE_JOURNAL_H
#define RENKEI_STORE_JOURNAL_H

#include "proto/bytes.h"
#include "proto/errcode.h"

#define JOURNAL_NAME "journal"
#define JOURNAL_STORE_ID_BYTES 16
#define JOURNAL_PAGE_BYTES ((size_t)4096)
#define JOURNAL_RECORD_MAX_BYTES ((size_t)512 << 10)
#define JOURNAL_MIN_BYTES ((uint64_t)64 << 10)

struct journal;

/**
 * Opens folder/journal, as long as it is, or makes an empty one.  RK_CONFLICT: it is another store's; RK_ESTORE: it is no journal, or has lost its first page; RK_EIO,
 * RK_EDISKFULL, RK_ENOMEM.
 */
int journal_open(const char *folder, const uint8_t store_id[JOURNAL_STORE_ID_BYTES], struct journal **out);
/** NULL is allowed. */
void journal_close(struct journal *);
/** Makes it empty, and so long (at least JOURNAL_MIN_BYTES), written once from end to end.  At each start: so what it holds later is of this process
 *  and its one line of transactions. */
int journal_renew(struct journal *, uint64_t bytes);

/**
 * Calls fn for every row of the records that belong to transaction `number`, in the order in which they were written; records are added behind
 * them from then on.  Stops at fn's first non-zero and returns it.  RK_EINTEGRITY: a record is damaged that was durable, since one behind it is whole.  A damaged
 * last record cannot be told from one that a kill cut short, and is taken as that, unless this process wrote it.
 */
int journal_read(struct journal *, uint64_t number, int (*fn)(void *, unsigned table, struct bytes key, struct bytes value), void *user);
/** Are there records of transaction `number`, as far as was read or written? */
bool journal_holds(const struct journal *, uint64_t number);
/** How many. */
uint64_t journal_count(const struct journal *, uint64_t number);

/** Begins the next record of transaction `number`: what was gathered and not written is forgotten, and so are records of an earlier one. */
void journal_begin(struct journal *, uint64_t number);
/** Gathers a row.  *room is where its value goes, before the next call.  False: it does not fit into a record, or into what is left of the file. */
bool journal_add(struct journal *, unsigned table, struct bytes key, size_t value_len, uint8_t **room);
/** Takes back the row that was added last. */
void journal_take_back(struct journal *);
/** Writes what was gathered; durable on RK_OK, and the next record begins.  Nothing gathered is no record.  RK_EDISKFULL: nothing of it counts.
 *  RK_EIO: unknown; stop. */
int journal_write(struct journal *);

#endif
