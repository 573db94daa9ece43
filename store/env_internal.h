/*
 * env_internal: what env.c (transactions) and env_open.c (life of an environment) share.  Nothing else includes this
 * file, so nothing else sees lmdb.h.
 */
#ifndef RENKEI_STORE_ENV_INTERNAL_H
#define RENKEI_STORE_ENV_INTERNAL_H

#include <lmdb.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "store/env.h"

struct env {
	MDB_env *mdb;
	MDB_dbi dbi[ENV_TABLES_MAX];  /* by table number */
	unsigned table_count;
	pid_t pid;                    /* of the process that opened it: a child of fork may not use it */
	dev_t dev;                    /* the folder, for the list of open environments */
	ino_t ino;
	struct env *next;
	atomic_uintptr_t writer;      /* thread in a write transaction, 0: none; its second begin would hang */
};

/** Turns an LMDB or errno code into ours; the one place that does.  fd: the data file, asked whether its disk is full.
 *  For RK_EIO and RK_EDISKFULL errno is set. */
int env_code(int rc, int fd);

#endif
