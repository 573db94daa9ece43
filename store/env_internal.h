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

struct env {
	MDB_env *mdb;
	MDB_dbi dbi[ENV_TABLES_MAX];  /* by table number */
	unsigned table_count;
	pid_t pid;                    /* of the process that opened it: a child of fork may not use it */
	dev_t dev;                    /* the folder, for the list of open environments */
	ino_t ino;
	struct env *next;
	int ahead_fd;                 /* env_ahead.c's own, -1: not open */
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
void env_end_puts(struct txn *, unsigned table);
/** What was held goes to LMDB, in the order in which it came: the same commands give the same file (P8).  The sticky error. */
int env_write_held(struct txn *);

static inline MDB_val env_val(struct bytes b)
{
	return (MDB_val){b.len, b.data != NULL ? (void *)(uintptr_t)b.data : (void *)(uintptr_t)""};
}

static inline struct bytes env_bytes(const MDB_val *v)
{
	return bytes_make(v->mv_data, v->mv_size);
}

#endif
