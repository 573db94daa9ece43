/*
 * env_journal: the journal (journal.h) put to use: a batch that is durable without a commit.
 *
 * LMDB's commit costs a write for each run of pages that it changed, and a post by itself changes some 25 in 15 runs.  Its rows, one behind the
 * other, are one run.  So a small batch is saved: its rows stand in the open write transaction, where the next batch sees them, and in the journal,
 * where a kill or a power cut leaves them.  A later commit brings all saved batches to the tables at once.
 *
 * What keeps it true:
 *   1. A record belongs to the number of the transaction that was open.  LMDB gives this number to the transaction after the last commit, so the
 *      records count exactly as long as that commit has not come: no moment has both or neither.
 *   2. Every write transaction begins with what the journal holds for its number, at the start of the process (env_journal_open) as after a
 *      transaction that was given up (env_take_up).  Nobody else writes (env_options.is_writer).
 *   3. Rows are put, never deleted: putting them again in their order gives the same tables.  A batch that deletes is committed.
 */
#include "store/env_internal.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#define ROW_APPENDED 0x8000u /* beside the table's number: its pages were filled to the brim, and are again */
#define OWN_STORE_ID_KEY "store"

/* ---- taking up */

struct taking {
	struct env *env;
	MDB_txn *txn;
};

static int take_row(void *user, unsigned table, struct bytes key, struct bytes value)
{
	struct taking *t = user;
	MDB_val k = env_val(key), v = env_val(value);
	unsigned flags = (table & ROW_APPENDED) != 0 ? MDB_APPEND : 0;
	int rc;

	table &= ~ROW_APPENDED;
	if (table >= t->env->table_count || key.len == 0 || key.len > ENV_KEY_MAX_BYTES)
		return RK_EINTEGRITY;
	rc = mdb_put(t->txn, t->env->dbi[table], &k, &v, flags);
	/* As the last one it was put, and the rows before it are there. */
	return rc == MDB_KEYEXIST ? RK_EINTEGRITY : env_code(rc, -1);
}

static int take_up(struct env *env, MDB_txn *txn)
{
	struct taking t = {.env = env, .txn = txn};

	return journal_read(env->journal, mdb_txn_id(txn), take_row, &t);
}

int env_take_up(struct env *env, MDB_txn *txn)
{
	return env->journal != NULL && journal_holds(env->journal, mdb_txn_id(txn)) ? take_up(env, txn) : RK_OK;
}

uint64_t env_taken_up(const struct env *env)
{
	return env->taken_up;
}

/* The store's number.  A new one where there is no journal: then no record can count, and an older copy of the store, put back later, has another number
 * than the journal that lies there. */
static int store_id(MDB_txn *txn, bool is_new, uint8_t id[JOURNAL_STORE_ID_BYTES])
{
	MDB_val k = {sizeof(OWN_STORE_ID_KEY) - 1, (void *)(uintptr_t)OWN_STORE_ID_KEY}, v = {JOURNAL_STORE_ID_BYTES, id};
	MDB_dbi own;
	int rc = mdb_dbi_open(txn, OWN_TABLE, 0, &own);

	if (rc == 0 && !is_new && (rc = mdb_get(txn, own, &k, &v)) == 0) {
		if (v.mv_size != JOURNAL_STORE_ID_BYTES)
			return RK_ESTORE;
		memcpy(id, v.mv_data, JOURNAL_STORE_ID_BYTES);
		return RK_OK;
	}
	if (rc != 0 && rc != MDB_NOTFOUND)
		return env_code(rc, -1);
	randombytes_buf(id, JOURNAL_STORE_ID_BYTES);
	v = (MDB_val){JOURNAL_STORE_ID_BYTES, id};
	return env_code(mdb_put(txn, own, &k, &v, 0), -1);
}

static bool file_path(char file[PATH_MAX], const char *folder)
{
	return snprintf(file, PATH_MAX, "%s/" JOURNAL_NAME, folder) < PATH_MAX;
}

int env_journal_open(struct env *env, MDB_txn *txn, const char *folder, uint64_t bytes)
{
	uint8_t id[JOURNAL_STORE_ID_BYTES];
	char file[PATH_MAX];
	bool is_there;
	int code;

	if (!file_path(file, folder))
		return RK_EUSAGE;
	is_there = access(file, F_OK) == 0;
	if (!is_there && errno != ENOENT)
		return env_code(errno, -1);
	if (!is_there && bytes == 0)
		return RK_OK;
	if ((code = store_id(txn, !is_there, id)) != RK_OK || (code = journal_open(folder, id, &env->journal)) != RK_OK)
		return code;
	code = take_up(env, txn);
	env->taken_up = journal_count(env->journal, mdb_txn_id(txn));
	return code;
}

int env_journal_renew(struct env *env, const char *folder, uint64_t bytes)
{
	char file[PATH_MAX];
	int code;

	if (env->journal == NULL)
		return RK_OK;
	/* No record may be gone before the commit that has its rows is on the disk, meta page and all: one that changed nothing has not waited for it. */
	if ((code = env_code(mdb_env_sync(env->mdb, 1), -1)) != RK_OK)
		return code;
	code = bytes > 0 ? journal_renew(env->journal, bytes) : RK_OK;
	if (bytes > 0 && code != RK_EDISKFULL)
		return code;
	journal_close(env->journal);
	env->journal = NULL;
	return !file_path(file, folder) ? RK_EUSAGE : unlink(file) == 0 ? RK_OK : env_code(errno, -1);
}

bool env_has_journal(const struct env *env)
{
	return env->journal != NULL;
}

/* ---- saving */

void env_gather(struct txn *t)
{
	if (!t->write || t->env->journal == NULL)
		return;
	t->gathers = true;
	journal_begin(t->env->journal, mdb_txn_id(t->mdb));
}

void env_gather_reserved(struct txn *t)
{
	if (t->reserved.to != NULL)
		memcpy(t->reserved.to, t->reserved.from, t->reserved.len);
	t->reserved.to = NULL;
}

/* Before the put: key and value may point into a page that it moves. */
void env_gather_row(struct txn *t, unsigned table, bool is_appended, const MDB_val *key, const MDB_val *value, uint8_t **room)
{
	*room = NULL;
	/* What is put while nobody gathers is not in the journal, so nothing behind it can be. */
	if (!t->gathers)
		t->is_unsavable = true;
	if (t->is_unsavable)
		return;
	if (!journal_add(t->env->journal, table | (is_appended ? ROW_APPENDED : 0), env_bytes(key), value->mv_size, room))
		t->is_unsavable = true;
	else if (value->mv_data != NULL && value->mv_size > 0)
		memcpy(*room, value->mv_data, value->mv_size);
}

void env_gathered(struct txn *t, uint8_t *room, bool is_reserved, int rc, const MDB_val *value)
{
	if (room != NULL && rc != 0)
		journal_take_back(t->env->journal);
	if (room == NULL || rc != 0 || !is_reserved)
		return;
	t->reserved.to = room;
	t->reserved.from = value->mv_data;
	t->reserved.len = value->mv_size;
}

/* LMDB has what is held only before a cursor looks, or at the commit; a kill must find it here. */
static void gather_held(struct txn *t)
{
	uint8_t *room;

	for (unsigned i = 0; i < t->held.count; i++) {
		struct held_row *r = &t->held.rows[i];
		MDB_val k = {r->key_len, r->key}, v = {r->value_len, r->value};

		if (r->is_clean || r->is_saved)
			continue;
		env_gather_row(t, r->table, false, &k, &v, &room);
		r->is_saved = true;
	}
}

int env_save(struct txn *t)
{
	int code;

	if (t->error != RK_OK)
		return t->error;
	if (!t->gathers || t->is_unsavable)
		return RK_TOO_LARGE;
	env_gather_reserved(t);
	gather_held(t);
	if (t->is_unsavable)
		return RK_TOO_LARGE;
	code = journal_write(t->env->journal);
	t->gathers = false;
	t->is_unsavable = code != RK_OK;
	return code;
}
