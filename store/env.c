/*
 * env: transactions and values.  env_cursor.c has what goes in order, env_open.c opens, closes and looks after the environment.
 *
 * A transaction has one sticky error.  LMDB demands an abort after most errors (HAZARDS L18), and the callers stay
 * flat: they may ignore each single result and look at env_commit alone.  "Not found" and "exists" are answers, not
 * errors.
 */
#include "store/env_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* LMDB reports a short write as EIO (L7): with less room than this left, it is the disk that is full and not broken. */
#define DISK_FULL_BYTES (64 * 1024)

static bool disk_is_full(int fd)
{
	struct statvfs v;
	return fstatvfs(fd, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize < DISK_FULL_BYTES;
}

int env_code(int rc, int fd)
{
	switch (rc) {
	case MDB_SUCCESS:
		return RK_OK;
	case MDB_NOTFOUND:
		return RK_ENOTFOUND;
	case MDB_KEYEXIST:
		return RK_EEXISTS;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return RK_STORE_FULL;
	case MDB_READERS_FULL:
		return RK_BUSY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC:
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
	case MDB_CURSOR_FULL:
	case MDB_PAGE_FULL:
	case MDB_MAP_RESIZED:
	case MDB_INCOMPATIBLE:
		return RK_ESTORE;
	case MDB_BAD_VALSIZE:
	case MDB_BAD_TXN:
	case MDB_BAD_DBI:
	case MDB_BAD_RSLOT:
	case MDB_DBS_FULL:
	case EINVAL:
		return RK_EINTERNAL;
	case ENOMEM:
		return RK_ENOMEM;
	case ENOENT:
		return RK_ENOTFOUND;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		errno = rc;
		return RK_EDISKFULL;
	default:
		errno = rc > 0 ? rc : EIO;
		return rc == EIO && fd >= 0 && disk_is_full(fd) ? RK_EDISKFULL : RK_EIO;
	}
}

static int code_of(const struct env *env, int rc)
{
	int fd = -1;
	if (rc == EIO)
		(void)mdb_env_get_fd(env->mdb, &fd);
	return env_code(rc, fd);
}

int env_settle(struct txn *t, int rc)
{
	int code = code_of(t->env, rc);
	if (code != RK_OK && code != RK_ENOTFOUND && code != RK_EEXISTS)
		t->error = code;
	return code;
}

int env_check(struct txn *t, unsigned table, size_t key_len, bool write)
{
	if (t->error != RK_OK)
		return t->error;
	if (table >= t->env->table_count || key_len == 0 || key_len > ENV_KEY_MAX_BYTES || (write && !t->write))
		t->error = RK_EINTERNAL;
	return t->error;
}

/* ---- transactions */

int env_begin(struct env *env, bool write, struct txn **out)
{
	uintptr_t self = (uintptr_t)pthread_self();
	*out = NULL;
	if (env->pid != getpid() || (write && atomic_load(&env->writer) == self))
		return RK_EINTERNAL;
	struct txn *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return RK_ENOMEM;
	t->env = env;
	t->write = write;
	int rc = mdb_txn_begin(env->mdb, NULL, write ? 0 : MDB_RDONLY, &t->mdb);
	if (rc != 0) {
		free(t);
		return code_of(env, rc);
	}
	if (write && (rc = env_take_up(env, t->mdb)) != RK_OK) {
		mdb_txn_abort(t->mdb);
		free(t);
		return rc;
	}
	if (write)
		atomic_store(&env->writer, self);
	*out = t;
	return RK_OK;
}

static void end_puts(struct txn *t, unsigned table)
{
	if (t->puts[table].cursor != NULL)
		mdb_cursor_close(t->puts[table].cursor);
	t->puts[table].cursor = NULL;
}

static void end_cursors(struct txn *t)
{
	for (struct env_cursor *c = t->cursors; c != NULL; c = c->next) {
		mdb_cursor_close(c->mdb);
		c->mdb = NULL;
		c->txn = NULL;
	}
	t->cursors = NULL;
	for (unsigned i = 0; t->write && i < t->env->table_count; i++)
		end_puts(t, i);
}

/*
 * Most rows of a batch follow the one before in their table.  mdb_put begins each time at the root; a cursor that stands at the last row finds
 * the next place by two comparisons.  It is used for puts alone and closed before any delete: that a second cursor keeps its place when pages
 * merge is not relied upon (L13).  The first row of a table needs none: a transaction of one command opens no cursor.
 */
static int put_row(struct txn *t, unsigned table, MDB_val *key, MDB_val *value, unsigned flags)
{
	MDB_cursor **cursor = &t->puts[table].cursor;

	if (!t->puts[table].was_put) {
		t->puts[table].was_put = true;
		return mdb_put(t->mdb, t->env->dbi[table], key, value, flags);
	}
	if (*cursor == NULL) {
		int rc = mdb_cursor_open(t->mdb, t->env->dbi[table], cursor);

		if (rc != 0)
			return rc;
	}
	return mdb_cursor_put(*cursor, key, value, flags);
}

static int put(struct txn *t, unsigned table, MDB_val *key, MDB_val *value, unsigned flags)
{
	uint8_t *room;
	int rc;

	env_gather_reserved(t);
	env_gather_row(t, table, (flags & MDB_APPEND) != 0, key, value, &room);
	rc = put_row(t, table, key, value, flags);
	env_gathered(t, room, (flags & MDB_RESERVE) != 0, rc, value);
	return rc;
}

void env_before_delete(struct txn *t, unsigned table)
{
	env_gather_reserved(t);
	t->is_unsavable = true;
	end_puts(t, table);
}

int env_write_held(struct txn *t)
{
	/* A row that is saved goes to LMDB alone, past put(), and may move what stands in the page. */
	env_gather_reserved(t);
	for (unsigned i = 0; i < t->held.count && t->error == RK_OK; i++) {
		struct held_row *r = &t->held.rows[i];
		MDB_val k = {r->key_len, r->key}, v = {r->value_len, r->value};

		if (r->is_clean)
			continue;
		(void)env_settle(t, r->is_saved ? put_row(t, r->table, &k, &v, 0) : put(t, r->table, &k, &v, 0));
	}
	t->held.count = 0;
	return t->error;
}

/* A failure at the meta page leaves the environment dead until it is opened again (L8): then nobody may go on as if
 * only the disk were full. */
static bool is_dead(struct env *env)
{
	MDB_txn *probe = NULL;
	if (mdb_txn_begin(env->mdb, NULL, 0, &probe) != 0)
		return true;
	mdb_txn_abort(probe);
	return false;
}

int env_commit(struct txn *t)
{
	struct env *env = t->env;
	int code = env_write_held(t);
	if (code != RK_OK) {
		env_abort(t);
		return code;
	}
	end_cursors(t);
	bool write = t->write;
	if (write)
		atomic_store(&env->writer, 0);
	code = code_of(env, mdb_txn_commit(t->mdb));  /* frees it, whatever comes */
	free(t);
	if (code == RK_EDISKFULL && is_dead(env))
		code = RK_ESTORE;
	return code;
}

void env_abort(struct txn *t)
{
	if (t == NULL)
		return;
	end_cursors(t);
	if (t->write)
		atomic_store(&t->env->writer, 0);
	mdb_txn_abort(t->mdb);
	free(t);
}

int env_error(const struct txn *t)
{
	return t->error;
}

/* ---- values */

int env_get(struct txn *t, unsigned table, struct bytes key, struct bytes *value)
{
	MDB_val k = env_val(key), v;
	struct held_row *held;
	*value = bytes_make(NULL, 0);
	if (env_check(t, table, key.len, false) != RK_OK)
		return t->error;
	if ((held = held_find(&t->held, table, key)) != NULL) {
		*value = bytes_make(held->value, held->value_len);
		return RK_OK;
	}
	int code = env_settle(t, mdb_get(t->mdb, t->env->dbi[table], &k, &v));
	if (code == RK_OK)
		*value = env_bytes(&v);
	return code;
}

int env_get_held(struct txn *t, unsigned table, struct bytes key, struct bytes *value)
{
	int code = env_get(t, table, key, value);

	if (code == RK_OK && t->write && held_find(&t->held, table, key) == NULL)
		held_keep(&t->held, table, key, *value);
	return code;
}

bool env_has(struct txn *t, unsigned table, struct bytes key)
{
	struct bytes value;
	return env_get(t, table, key, &value) == RK_OK;
}

/* A row that is written past what is held under its key: ENV_NEW and ENV_APPEND must meet it, ENV_PUT ends it. */
static int settle_held(struct txn *t, unsigned table, struct bytes key, enum env_put_flag flag)
{
	if (flag != ENV_PUT && held_find(&t->held, table, key) != NULL)
		return env_write_held(t);
	held_drop(&t->held, table, key);
	return RK_OK;
}

static unsigned mdb_flag(enum env_put_flag flag)
{
	return flag == ENV_APPEND ? MDB_APPEND : flag == ENV_NEW ? MDB_NOOVERWRITE : 0;
}

static int hold(struct txn *t, unsigned table, struct bytes key, struct bytes value)
{
	if (held_set(&t->held, table, key, value))
		return RK_OK;
	/* No place: all is written and begins anew; a row too large for a place is written itself. */
	if (env_write_held(t) != RK_OK || held_set(&t->held, table, key, value))
		return t->error;
	return env_put(t, table, key, value, ENV_PUT);
}

int env_put(struct txn *t, unsigned table, struct bytes key, struct bytes value, enum env_put_flag flag)
{
	MDB_val k = env_val(key), v = env_val(value);
	if (env_check(t, table, key.len, true) != RK_OK)
		return t->error;
	if (flag == ENV_HOLD)
		return hold(t, table, key, value);
	if (settle_held(t, table, key, flag) != RK_OK)
		return t->error;
	return env_settle(t, put(t, table, &k, &v, mdb_flag(flag)));
}

int env_reserve(struct txn *t, unsigned table, struct bytes key, size_t len, enum env_put_flag flag, uint8_t **room)
{
	MDB_val k = env_val(key), v = {len, NULL};
	*room = NULL;
	if (env_check(t, table, key.len, true) != RK_OK || settle_held(t, table, key, flag) != RK_OK)
		return t->error;
	int code = env_settle(t, put(t, table, &k, &v, mdb_flag(flag) | MDB_RESERVE));
	if (code == RK_OK)
		*room = v.mv_data;
	return code;
}

int env_del(struct txn *t, unsigned table, struct bytes key)
{
	MDB_val k = env_val(key);
	/* LMDB must know of it, to say whether it was there. */
	if (env_check(t, table, key.len, true) != RK_OK || (held_find(&t->held, table, key) != NULL && env_write_held(t) != RK_OK))
		return t->error;
	env_before_delete(t, table);
	return env_settle(t, mdb_del(t->mdb, t->env->dbi[table], &k, NULL));
}
