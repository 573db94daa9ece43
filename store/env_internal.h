/*
 * env_internal: what env.c (transactions, values), env_cursor.c (order) and env_open.c (life of an environment) share.  Nothing else includes this
 * file, so nothing else sees lmdb.h.
 */
#ifndef RENKEI_STORE_ENV_INTERNAL_H
#define RENKEI_STORE_ENV_INTERNAL_H

#include <lmdb.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "store/env.h"
#include "store/held.h"
#include "store/journal.h"

#define OWN_TABLE "_env" /* ours, beside the owner's: format of the folder, number of the store */

struct env {
	MDB_env *mdb;
	MDB_dbi dbi[ENV_TABLES_MAX];  /* by table number */
	unsigned table_count;
	pid_t pid;                    /* of the process that opened it: a child of fork may not use it */
	dev_t dev;                    /* the folder, for the list of open environments */
	ino_t ino;
	struct env *next;
	int ahead_fd;                 /* env_ahead.c's own, -1: not open */
	struct journal *journal;      /* NULL: none is kept */
	uint64_t taken_up;            /* batches that it held at the opening */
	atomic_uintptr_t writer;      /* thread in a write transaction, 0: none; its second begin would hang */
};

/** Turns an LMDB or errno code into ours; the one place that does.  fd: the data file, asked whether its disk is full.
 *  For RK_EIO and RK_EDISKFULL errno is set. */
int env_code(int rc, int fd);

struct txn {
	struct env *env;
	MDB_txn *mdb;
	bool write;
	int error;                   /* sticky */
	struct env_cursor *cursors;  /* open ones: they end with the transaction */
	struct held held;
	bool gathers;                /* what is put is put into the journal's next record too … */
	bool is_unsavable;           /* … but something of it cannot be */
	struct {
		uint8_t *to;         /* in that record, for a value that … */
		const uint8_t *from; /* … the caller of env_reserve is filling here; NULL: none */
		size_t len;
	} reserved;
	struct {
		MDB_cursor *cursor;  /* stands at the last row put; NULL: none yet */
		bool was_put;
	} puts[ENV_TABLES_MAX];
};

struct env_cursor {
	struct txn *txn;             /* NULL once the transaction is over */
	unsigned table;
	MDB_cursor *mdb;
	struct env_cursor *prev, *next;
	bool deleted;                /* the entry under it is gone; `key` says where it was */
	size_t key_len;
	uint8_t key[ENV_KEY_MAX_BYTES];
};

/** Translates LMDB's code and remembers it if it is an error. */
int env_settle(struct txn *, int rc);
/** Each operation begins here: the sticky error, and our own mistakes before LMDB sees them. */
int env_check(struct txn *, unsigned table, size_t key_len, bool write);
/** Before anything but a put changes a table. */
void env_before_delete(struct txn *, unsigned table);
/** What was held goes to LMDB, in the order in which it came: the same commands give the same file (P8).  The sticky error. */
int env_write_held(struct txn *);

/* ---- env_journal.c */
/** Opens the journal of a store whose tables are open in txn, and puts what it holds for this transaction.  RK_OK also where there is none.
 *  As journal_open and journal_read. */
int env_journal_open(struct env *, MDB_txn *txn, const char *folder, uint64_t bytes);
/** After that transaction was committed: an empty one of so many bytes; none if that is 0, or the disk has no room for it. */
int env_journal_renew(struct env *, const char *folder, uint64_t bytes);
/** What a transaction that was given up had saved, into the one that begins in its place. */
int env_take_up(struct env *, MDB_txn *txn);
/** Before a row is put: its key and value go into the record.  *room: where the value stands there, for a value.mv_data of NULL yet to come; NULL: the row
 *  is not gathered. */
void env_gather_row(struct txn *, unsigned table, bool is_appended, const MDB_val *key, const MDB_val *value, uint8_t **room);
/** After it: the row is taken back if the put failed; is_reserved: value.mv_data is where the caller fills it. */
void env_gathered(struct txn *, uint8_t *room, bool is_reserved, int rc, const MDB_val *value);
/** Before the transaction's next write: the value that was filled meanwhile. */
void env_gather_reserved(struct txn *);

static inline MDB_val env_val(struct bytes b)
{
	return (MDB_val){b.len, b.data != NULL ? (void *)(uintptr_t)b.data : (void *)(uintptr_t)""};
}

static inline struct bytes env_bytes(const MDB_val *v)
{
	return bytes_make(v->mv_data, v->mv_size);
}

#endif
