/* env_cursor: tables in the order of their keys. */
#include "store/env_internal.h"

#include <stdlib.h>

int env_cursor_open(struct txn *t, unsigned table, struct env_cursor **out)
{
	*out = NULL;
	if (env_check(t, table, 1, false) != RK_OK || env_write_held(t) != RK_OK)
		return t->error;
	struct env_cursor *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return t->error = RK_ENOMEM;
	int code = env_settle(t, mdb_cursor_open(t->mdb, t->env->dbi[table], &c->mdb));
	if (code != RK_OK) {
		free(c);
		return code;
	}
	c->txn = t;
	c->table = table;
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
	MDB_val k = env_val(from), v;
	*key = *value = bytes_make(NULL, 0);
	if (c->txn == NULL)
		return RK_EINTERNAL;
	if (c->txn->error != RK_OK || env_write_held(c->txn) != RK_OK)
		return c->txn->error;
	int code = env_settle(c->txn, mdb_cursor_get(c->mdb, &k, &v, op));
	if (code == RK_OK) {
		*key = env_bytes(&k);
		*value = env_bytes(&v);
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

int env_cursor_find(struct env_cursor *c, struct bytes key, struct bytes *value)
{
	struct bytes found;
	c->deleted = false;
	if ((key.len == 0 || key.len > ENV_KEY_MAX_BYTES) && c->txn != NULL && c->txn->error == RK_OK)
		c->txn->error = RK_EINTERNAL;
	return cursor_get(c, MDB_SET_KEY, key, &found, value);
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
	env_before_delete(c->txn, c->table);
	code = env_settle(c->txn, mdb_cursor_del(c->mdb, 0));
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
	if (env_check(t, table, prefix.len == 0 ? 1 : prefix.len, false) != RK_OK || env_write_held(t) != RK_OK)
		return t->error;
	int rc = mdb_cursor_open(t->mdb, t->env->dbi[table], &c);
	if (rc != 0)
		return env_settle(t, rc);
	size_t len = prefix_end(end, prefix);
	k = (MDB_val){len, end};
	rc = len == 0 ? MDB_NOTFOUND : mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	if (rc == 0 || rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(c, &k, &v, rc == 0 ? MDB_PREV : MDB_LAST);
	mdb_cursor_close(c);
	if (rc == 0 && (k.mv_size < prefix.len || (prefix.len > 0 && memcmp(k.mv_data, prefix.data, prefix.len) != 0)))
		rc = MDB_NOTFOUND;
	if (rc == 0) {
		*key = env_bytes(&k);
		*value = env_bytes(&v);
	}
	return env_settle(t, rc);
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
