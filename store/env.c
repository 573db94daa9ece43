/*
 * env: transactions, values and cursors.  env_open.c opens, closes and looks after the environment.
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

struct txn {
	struct env *env;
	MDB_txn *mdb;
	bool write;
	int error;                   /* sticky */
	struct env_cursor *cursors;  /* open ones: they end with the transaction */
};

struct env_cursor {
	struct txn *txn;             /* NULL once the transaction is over */
	MDB_cursor *mdb;
	struct env_cursor *prev, *next;
	bool deleted;                /* the entry under it is gone; `key` says where it was */
	size_t key_len;
	uint8_t key[ENV_KEY_MAX_BYTES];
};

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

/* Translates rc and remembers it if it is an error. */
static int settle(struct txn *t, int rc)
{
	int code = code_of(t->env, rc);
	if (code != RK_OK && code != RK_ENOTFOUND && code != RK_EEXISTS)
		t->error = code;
	return code;
}

/* Each operation begins here: the sticky error, and our own mistakes before LMDB sees them. */
static int check(struct txn *t, unsigned table, size_t key_len, bool write)
{
	if (t->error != RK_OK)
		return t->error;
	if (table >= t->env->table_count || key_len == 0 || key_len > ENV_KEY_MAX_BYTES || (write && !t->write))
		t->error = RK_EINTERNAL;
	return t->error;
}

static MDB_val val_of(struct bytes b)
{
	return (MDB_val){b.len, b.data != NULL ? (void *)(uintptr_t)b.data : (void *)(uintptr_t)""};
}

static struct bytes bytes_of(const MDB_val *v)
{
	return bytes_make(v->mv_data, v->mv_size);
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
	if (write)
		atomic_store(&env->writer, self);
	*out = t;
	return RK_OK;
}

static void end_cursors(struct txn *t)
{
	for (struct env_cursor *c = t->cursors; c != NULL; c = c->next) {
		mdb_cursor_close(c->mdb);
		c->mdb = NULL;
		c->txn = NULL;
	}
	t->cursors = NULL;
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
	int code = t->error;
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
	MDB_val k = val_of(key), v;
	*value = bytes_make(NULL, 0);
	if (check(t, table, key.len, false) != RK_OK)
		return t->error;
	int code = settle(t, mdb_get(t->mdb, t->env->dbi[table], &k, &v));
	if (code == RK_OK)
		*value = bytes_of(&v);
	return code;
}

bool env_has(struct txn *t, unsigned table, struct bytes key)
{
	struct bytes value;
	return env_get(t, table, key, &value) == RK_OK;
}

static unsigned mdb_flag(enum env_put_flag flag)
{
	return flag == ENV_APPEND ? MDB_APPEND : flag == ENV_NEW ? MDB_NOOVERWRITE : 0;
}

int env_put(struct txn *t, unsigned table, struct bytes key, struct bytes value, enum env_put_flag flag)
{
	MDB_val k = val_of(key), v = val_of(value);
	if (check(t, table, key.len, true) != RK_OK)
		return t->error;
	return settle(t, mdb_put(t->mdb, t->env->dbi[table], &k, &v, mdb_flag(flag)));
}

int env_reserve(struct txn *t, unsigned table, struct bytes key, size_t len, enum env_put_flag flag, uint8_t **room)
{
	MDB_val k = val_of(key), v = {len, NULL};
	*room = NULL;
	if (check(t, table, key.len, true) != RK_OK)
		return t->error;
	int code = settle(t, mdb_put(t->mdb, t->env->dbi[table], &k, &v, mdb_flag(flag) | MDB_RESERVE));
	if (code == RK_OK)
		*room = v.mv_data;
	return code;
}

int env_del(struct txn *t, unsigned table, struct bytes key)
{
	MDB_val k = val_of(key);
	if (check(t, table, key.len, true) != RK_OK)
		return t->error;
	return settle(t, mdb_del(t->mdb, t->env->dbi[table], &k, NULL));
}

/* ---- cursors */

int env_cursor_open(struct txn *t, unsigned table, struct env_cursor **out)
{
	*out = NULL;
	if (check(t, table, 1, false) != RK_OK)
		return t->error;
	struct env_cursor *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return t->error = RK_ENOMEM;
	int code = settle(t, mdb_cursor_open(t->mdb, t->env->dbi[table], &c->mdb));
	if (code != RK_OK) {
		free(c);
		return code;
	}
	c->txn = t;
	c->next = t->cursors;
	if (c->next != NULL)
		c->next->prev = c;
	t->cursors = c;
	*out = c;
	return RK_OK;
}

void env_cursor_free(struct env_cursor *c)
{
	if (c == NULL)
		return;
	if (c->txn != NULL) {
		if (c->prev != NULL)
			c->prev->next = c->next;
		else
			c->txn->cursors = c->next;
		if (c->next != NULL)
			c->next->prev = c->prev;
		mdb_cursor_close(c->mdb);
	}
	free(c);
}

static int cursor_get(struct env_cursor *c, MDB_cursor_op op, struct bytes from, struct bytes *key, struct bytes *value)
{
	MDB_val k = val_of(from), v;
	*key = *value = bytes_make(NULL, 0);
	if (c->txn == NULL)
		return RK_EINTERNAL;
	if (c->txn->error != RK_OK)
		return c->txn->error;
	int code = settle(c->txn, mdb_cursor_get(c->mdb, &k, &v, op));
	if (code == RK_OK) {
		*key = bytes_of(&k);
		*value = bytes_of(&v);
	}
	return code;
}

int env_cursor_seek(struct env_cursor *c, struct bytes from, struct bytes *key, struct bytes *value)
{
	c->deleted = false;
	if (from.len > ENV_KEY_MAX_BYTES && c->txn != NULL && c->txn->error == RK_OK)
		c->txn->error = RK_EINTERNAL;
	return cursor_get(c, from.len == 0 ? MDB_FIRST : MDB_SET_RANGE, from, key, value);
}

int env_cursor_last(struct env_cursor *c, struct bytes *key, struct bytes *value)
{
	c->deleted = false;
	return cursor_get(c, MDB_LAST, bytes_make(NULL, 0), key, value);
}

/* After a delete both neighbours are found by the deleted key: what LMDB's own cursor points at then has changed from
 * version to version (L13). */
int env_cursor_next(struct env_cursor *c, struct bytes *key, struct bytes *value)
{
	if (c->deleted)
		return env_cursor_seek(c, bytes_make(c->key, c->key_len), key, value);
	return cursor_get(c, MDB_NEXT, bytes_make(NULL, 0), key, value);
}

int env_cursor_prev(struct env_cursor *c, struct bytes *key, struct bytes *value)
{
	if (c->deleted && env_cursor_seek(c, bytes_make(c->key, c->key_len), key, value) == RK_ENOTFOUND)
		return env_cursor_last(c, key, value);
	return cursor_get(c, MDB_PREV, bytes_make(NULL, 0), key, value);
}

int env_cursor_del(struct env_cursor *c)
{
	struct bytes key, value;
	if (c->txn != NULL && c->txn->error == RK_OK && (!c->txn->write || c->deleted))
		c->txn->error = RK_EINTERNAL;
	int code = cursor_get(c, MDB_GET_CURRENT, bytes_make(NULL, 0), &key, &value);
	if (code != RK_OK)
		return code;
	memcpy(c->key, key.data, key.len);
	c->key_len = key.len;
	code = settle(c->txn, mdb_cursor_del(c->mdb, 0));
	c->deleted = code == RK_OK;
	return code;
}

/* The smallest key after all that start with prefix; its length, or 0 if there is none (prefix is empty or all 0xff).
 * */
static size_t prefix_end(uint8_t out[ENV_KEY_MAX_BYTES], struct bytes prefix)
{
	size_t len = prefix.len;
	while (len > 0 && prefix.data[len - 1] == 0xff)
		len--;
	if (len > 0) {
		memcpy(out, prefix.data, len);
		out[len - 1]++;
	}
	return len;
}

int env_last_with_prefix(struct txn *t, unsigned table, struct bytes prefix, struct bytes *key, struct bytes *value)
{
	uint8_t end[ENV_KEY_MAX_BYTES];
	MDB_cursor *c = NULL;
	MDB_val k, v;

	*key = *value = bytes_make(NULL, 0);
	if (check(t, table, prefix.len == 0 ? 1 : prefix.len, false) != RK_OK)
		return t->error;
	int rc = mdb_cursor_open(t->mdb, t->env->dbi[table], &c);
	if (rc != 0)
		return settle(t, rc);
	size_t len = prefix_end(end, prefix);
	k = (MDB_val){len, end};
	rc = len == 0 ? MDB_NOTFOUND : mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	if (rc == 0 || rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(c, &k, &v, rc == 0 ? MDB_PREV : MDB_LAST);
	mdb_cursor_close(c);
	if (rc == 0 && (k.mv_size < prefix.len || (prefix.len > 0 && memcmp(k.mv_data, prefix.data, prefix.len) != 0)))
		rc = MDB_NOTFOUND;
	if (rc == 0) {
		*key = bytes_of(&k);
		*value = bytes_of(&v);
	}
	return settle(t, rc);
}

/* ---- everything, in order */

/* RK_OK at the end of the table, else what fn or the store answered. */
static int walk_table(struct txn *t, unsigned table, int (*fn)(void *, unsigned, struct bytes, struct bytes),
                      void *user)
{
	struct env_cursor *c = NULL;
	struct bytes key, value;
	int r = env_cursor_open(t, table, &c);
	if (r != RK_OK)
		return r;
	int found = env_cursor_seek(c, bytes_make(NULL, 0), &key, &value);
	while (found == RK_OK && (r = fn(user, table, key, value)) == 0)
		found = env_cursor_next(c, &key, &value);
	env_cursor_free(c);
	return r != 0 || found == RK_ENOTFOUND ? r : found;
}

int env_walk(struct env *env, int (*fn)(void *, unsigned table, struct bytes key, struct bytes value), void *user)
{
	struct txn *t = NULL;
	int r = env_begin(env, false, &t);
	for (unsigned i = 0; r == RK_OK && i < env->table_count; i++)
		r = walk_table(t, i, fn, user);
	env_abort(t);
	return r;
}
