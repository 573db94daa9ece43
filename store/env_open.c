/*
 * env_open: the life of an environment: opening with its checks, closing, status, dead readers, hot copy.
 *
 * Flags: MDB_NOTLS alone, which says only that a read transaction belongs to its object and not to its thread (L17).
 * Each flag that makes LMDB faster also makes it lose or tear data (L1).
 */
#include "store/env_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_FORMAT_KEY "format"
#define READERS_DEFAULT 126
#define MAP_SPARE_BYTES ((size_t)64 << 20)

/* L11: every environment this process has open, by the identity of its folder. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct env *open_list;

static int register_folder(struct env *env, const char *path)
{
	struct stat st;
	int r = RK_OK;
	if (stat(path, &st) != 0)
		return env_code(errno, -1);
	env->dev = st.st_dev;
	env->ino = st.st_ino;
	pthread_mutex_lock(&open_lock);
	for (const struct env *e = open_list; e != NULL; e = e->next) {
		if (e->dev == env->dev && e->ino == env->ino)
			r = RK_ELOCKED;
	}
	if (r == RK_OK) {
		env->pid = getpid();
		env->next = open_list;
		open_list = env;
	}
	pthread_mutex_unlock(&open_lock);
	return r;
}

static void unregister_folder(struct env *env)
{
	pthread_mutex_lock(&open_lock);
	for (struct env **p = &open_list; *p != NULL; p = &(*p)->next) {
		if (*p == env) {
			*p = env->next;
			break;
		}
	}
	pthread_mutex_unlock(&open_lock);
}

/* Makes new folder entries durable: LMDB syncs its file, never the folder that names it. */
static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return env_code(errno, -1);
	int r = fsync(fd) == 0 ? RK_OK : env_code(errno, fd);
	close(fd);
	return r;
}

static int sync_folder_and_parent(const char *path)
{
	char parent[PATH_MAX];
	int r = sync_folder(path);
	if (r == RK_OK && snprintf(parent, sizeof(parent), "%s/..", path) < (int)sizeof(parent))
		r = sync_folder(parent);
	return r;
}

/* Is a store there?  *fresh: its data file is still to be written.  An empty file is what a kill in the middle of the
 * very first open leaves behind; anyone who did not come to create must not take it for a new store. */
static int prepare_folder(const struct env_options *o, bool *fresh)
{
	char file[PATH_MAX];
	struct stat st;
	if (snprintf(file, sizeof(file), "%s/data.mdb", o->path) >= (int)sizeof(file))
		return RK_EUSAGE;
	if (o->create && mkdir(o->path, 0700) != 0 && errno != EEXIST)
		return env_code(errno, -1);
	*fresh = stat(file, &st) != 0;
	if (*fresh)
		return errno != ENOENT && errno != ENOTDIR ? env_code(errno, -1) : o->create ? RK_OK : RK_ENOTFOUND;
	if (st.st_size == 0 && !o->create)
		return RK_ESTORE;
	*fresh = st.st_size == 0;
	return RK_OK;
}

/* ---- length of the file (L4) */

/* Counts the free pages from `first` to `last`, each once. */
static int count_free_pages(MDB_env *mdb, size_t first, size_t last, size_t *count)
{
	MDB_txn *txn = NULL;
	MDB_cursor *c = NULL;
	MDB_val k, v;
	uint8_t *seen = calloc((last - first) / 8 + 1, 1);
	int rc = seen == NULL ? ENOMEM : mdb_txn_begin(mdb, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = mdb_cursor_open(txn, 0, &c);  /* 0: the table of free pages */
	*count = 0;
	while (rc == 0 && (rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		/* A list: how many, then page numbers, in the machine's own words. */
		const size_t *list = v.mv_data;
		if (v.mv_size < sizeof(*list) || list[0] > v.mv_size / sizeof(*list) - 1) {
			rc = MDB_CORRUPTED;
			break;
		}
		for (size_t i = 1; i <= list[0]; i++) {
			if (list[i] < first || list[i] > last)
				continue;
			size_t bit = list[i] - first;
			*count += (seen[bit / 8] >> bit % 8 & 1) == 0;
			seen[bit / 8] |= (uint8_t)(1 << bit % 8);
		}
	}
	if (c != NULL)
		mdb_cursor_close(c);
	if (txn != NULL)
		mdb_txn_abort(txn);
	free(seen);
	return rc == MDB_NOTFOUND ? RK_OK : env_code(rc, -1);
}

/*
 * The file ends before the last page.  That is a damaged file, which would SIGBUS when read, unless all missing pages
 * are free: LMDB counts but never writes pages that one transaction both took and gave back, so a sound file can be
 * short for a while (measured: 8 % of commits that delete much).  The list of free pages may itself be missing, so
 * the file is made long with zeros before it is read; a damaged file gets its length back, lest it passes next time.
 */
static int check_missing_pages(MDB_env *mdb, int fd, off_t size, size_t first, size_t last, size_t page_bytes)
{
	size_t found = 0;
	if (ftruncate(fd, (off_t)((last + 1) * page_bytes)) != 0)
		return env_code(errno, fd);
	int r = count_free_pages(mdb, first, last, &found);
	if (r == RK_OK && found == last - first + 1)
		return RK_OK;
	if (ftruncate(fd, size) != 0)
		return env_code(errno, fd);
	return r != RK_OK ? r : RK_ESTORE;
}

/* Holds the writer's lock: nobody else may grow the file while its length is judged. */
static int check_length(struct env *env)
{
	MDB_txn *lock = NULL;
	MDB_envinfo info;
	MDB_stat s;
	struct stat st;
	int fd = -1, r = RK_OK;

	int rc = mdb_env_get_fd(env->mdb, &fd);
	if (rc == 0)
		rc = mdb_txn_begin(env->mdb, NULL, 0, &lock);
	if (rc != 0)
		return env_code(rc, fd);
	mdb_env_info(env->mdb, &info);
	mdb_env_stat(env->mdb, &s);
	if (fstat(fd, &st) != 0)
		r = env_code(errno, fd);
	size_t pages = r != RK_OK ? 0 : (size_t)st.st_size / s.ms_psize;
	if (r == RK_OK && info.me_last_pgno >= pages)
		r = check_missing_pages(env->mdb, fd, st.st_size, pages, info.me_last_pgno, s.ms_psize);
	mdb_txn_abort(lock);
	return r;
}

/* ---- tables and format */

/* The format that the folder has: 0 if it is still empty.  A file of somebody else's: RK_ESTORE. */
static int read_format(MDB_txn *txn, uint32_t *format)
{
	MDB_dbi own, main_dbi;
	MDB_stat s;
	MDB_val k = {sizeof(OWN_FORMAT_KEY) - 1, (void *)(uintptr_t)OWN_FORMAT_KEY}, v;
	*format = 0;
	int rc = mdb_dbi_open(txn, OWN_TABLE, 0, &own);
	if (rc == MDB_NOTFOUND) {
		rc = mdb_dbi_open(txn, NULL, 0, &main_dbi);
		if (rc == 0)
			rc = mdb_stat(txn, main_dbi, &s);
		return rc != 0 ? rc : s.ms_entries == 0 ? 0 : MDB_INVALID;
	}
	if (rc == 0)
		rc = mdb_get(txn, own, &k, &v);
	if (rc == 0 && v.mv_size == 4)
		*format = get_u32be(v.mv_data);
	return rc == MDB_NOTFOUND || (rc == 0 && *format == 0) ? MDB_INVALID : rc;
}

static int write_format(MDB_txn *txn, uint32_t format)
{
	MDB_dbi own;
	uint8_t be[4];
	put_u32be(be, format);
	MDB_val k = {sizeof(OWN_FORMAT_KEY) - 1, (void *)(uintptr_t)OWN_FORMAT_KEY}, v = {sizeof(be), be};
	int rc = mdb_dbi_open(txn, OWN_TABLE, MDB_CREATE, &own);
	return rc != 0 ? rc : mdb_put(txn, own, &k, &v, 0);
}

/* Who only reads makes none: his commit would make what a journal holds void. */
static int open_table(MDB_txn *txn, const struct env_options *o, unsigned table, MDB_dbi *dbi, int fd)
{
	int rc = mdb_dbi_open(txn, o->tables[table], o->create || o->is_writer ? MDB_CREATE : 0, dbi);

	return rc == MDB_NOTFOUND ? RK_ESTOREFORMAT : env_code(rc, fd);
}

/* One transaction: a kill leaves either nothing or all tables with their format.  Writes nothing if all is there. */
static int open_tables(struct env *env, const struct env_options *o)
{
	MDB_txn *txn = NULL;
	uint32_t format = 0;
	int fd = -1;
	(void)mdb_env_get_fd(env->mdb, &fd);
	int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
	if (rc != 0)
		return env_code(rc, fd);
	int code = env_code(read_format(txn, &format), fd);
	if (code == RK_OK && format == 0 && !o->create)
		code = RK_ENOTFOUND;
	if (code == RK_OK && format != 0 && format != o->format)
		code = RK_ESTOREFORMAT;
	if (code == RK_OK && format == 0)
		code = env_code(write_format(txn, o->format), fd);
	for (unsigned i = 0; code == RK_OK && i < o->table_count; i++)
		code = open_table(txn, o, i, &env->dbi[i], fd);
	env->table_count = o->table_count;
	/* In this transaction, the first one: a commit before it would make what the journal holds void. */
	if (code == RK_OK && o->is_writer)
		code = env_journal_open(env, txn, o->path, o->journal_bytes);
	if (code != RK_OK) {
		mdb_txn_abort(txn);
		return code;
	}
	return env_code(mdb_txn_commit(txn), fd);
}

/* ---- open and close */

static int open_mdb(struct env *env, const struct env_options *o)
{
	int rc = mdb_env_create(&env->mdb);
	if (rc == 0)
		rc = mdb_env_set_mapsize(env->mdb, o->map_bytes);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(env->mdb, ENV_TABLES_MAX + 1);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(env->mdb, o->readers != 0 ? o->readers : READERS_DEFAULT);
	if (rc == 0)
		rc = mdb_env_open(env->mdb, o->path, MDB_NOTLS, 0600);
	return rc;
}

/* Of a store that is larger than the map asked for, LMDB maps what there is: nothing could be put, not even what the journal holds. */
static int make_room(struct env *env, const struct env_options *o)
{
	MDB_envinfo info;
	int rc = mdb_env_info(env->mdb, &info);

	if (rc == 0 && o->is_writer && info.me_mapsize > o->map_bytes)
		rc = mdb_env_set_mapsize(env->mdb, info.me_mapsize + MAP_SPARE_BYTES);
	return env_code(rc, -1);
}

int env_open(const struct env_options *o, struct env **out)
{
	bool fresh = false;
	*out = NULL;
	if (o->table_count > ENV_TABLES_MAX || o->format == 0)
		return RK_EINTERNAL;
	struct env *env = calloc(1, sizeof(*env));
	if (env == NULL)
		return RK_ENOMEM;
	env->ahead_fd = -1;
	int r = prepare_folder(o, &fresh);
	if (r == RK_OK)
		r = register_folder(env, o->path);
	if (r != RK_OK)
		goto out;
	r = env_code(open_mdb(env, o), -1);
	if (r == RK_OK)
		r = make_room(env, o);
	if (r == RK_OK)
		r = env_check_readers(env);
	if (r == RK_OK)
		r = check_length(env);
	if (r == RK_OK)
		r = open_tables(env, o);
	if (r == RK_OK)
		r = env_journal_renew(env, o->path, o->journal_bytes);
	if (r == RK_OK && (fresh || env->journal != NULL))
		r = sync_folder_and_parent(o->path);
	if (r == RK_OK) {
		*out = env;
		env = NULL;
	}
out:
	env_close(env);
	return r;
}

void env_close(struct env *env)
{
	if (env == NULL)
		return;
	/* In a child of fork nothing may be touched: the parent's reader slots would go with it. */
	if (env->pid != 0 && env->pid != getpid())
		return;
	if (env->mdb != NULL)
		mdb_env_close(env->mdb);
	if (env->ahead_fd >= 0)
		close(env->ahead_fd);
	journal_close(env->journal);
	unregister_folder(env);
	free(env);
}

int env_lock_folder(const char *path, const char *name, int *fd)
{
	char file[PATH_MAX];
	*fd = -1;
	if (snprintf(file, sizeof(file), "%s/%s", path, name) >= (int)sizeof(file))
		return RK_EUSAGE;
	int lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return env_code(errno, -1);
	if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
		int r = errno == EWOULDBLOCK ? RK_ELOCKED : env_code(errno, -1);
		close(lock);
		return r;
	}
	*fd = lock;
	return RK_OK;
}

/* ---- care */

int env_check_readers(struct env *env)
{
	int dead = 0;
	return env_code(mdb_reader_check(env->mdb, &dead), -1);
}

struct reader_list {
	uint32_t count;
	uint64_t oldest;  /* transaction number */
};

/* LMDB tells about readers in lines of text only: "pid thread txnid", with "-" for a slot without a transaction. */
static int read_reader_line(const char *line, void *user)
{
	struct reader_list *l = user;
	uint64_t txn;
	if (sscanf(line, "%*d %*s %" SCNu64, &txn) == 1) {
		l->count++;
		if (txn < l->oldest)
			l->oldest = txn;
	}
	return 0;
}

/* Pages of a table: mdb_stat reads them from the table's record, nothing is counted. */
static uint64_t table_pages(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_stat s;
	return mdb_stat(txn, dbi, &s) != 0 ? 0 : s.ms_branch_pages + s.ms_leaf_pages + s.ms_overflow_pages;
}

int env_status(struct env *env, struct env_status *out)
{
	struct reader_list readers = {0, UINT64_MAX};
	MDB_txn *txn = NULL;
	MDB_envinfo info;
	MDB_stat stat_main;

	memset(out, 0, sizeof(*out));
	if (mdb_reader_list(env->mdb, read_reader_line, &readers) < 0)
		return RK_ESTORE;
	int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
	if (rc != 0)
		return env_code(rc, -1);
	mdb_env_info(env->mdb, &info);
	mdb_env_stat(env->mdb, &stat_main);
	/* Two meta pages, the tables of free pages (0) and of tables (1), ours, and the owner's. */
	uint64_t pages = 2 + table_pages(txn, 0) + table_pages(txn, 1) + 1;
	for (unsigned i = 0; i < env->table_count; i++)
		pages += table_pages(txn, env->dbi[i]);
	mdb_txn_abort(txn);
	out->map_bytes = info.me_mapsize;
	out->used_bytes = pages * stat_main.ms_psize;
	out->last_txn = info.me_last_txnid;
	out->readers = readers.count;
	if (readers.count > 0 && readers.oldest < info.me_last_txnid)
		out->oldest_reader_lag = info.me_last_txnid - readers.oldest;
	return RK_OK;
}

/* mdb_env_copy would create the file readable by all: it gets a descriptor instead. */
int env_copy(struct env *env, const char *folder)
{
	char file[PATH_MAX];
	if (env->pid != getpid())
		return RK_EINTERNAL;
	if (snprintf(file, sizeof(file), "%s/data.mdb", folder) >= (int)sizeof(file))
		return RK_EUSAGE;
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return env_code(errno, -1);
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? RK_EEXISTS : env_code(errno, -1);
	int r = env_code(mdb_env_copyfd2(env->mdb, fd, MDB_CP_COMPACT), fd);
	if (r == RK_OK && fsync(fd) != 0)
		r = env_code(errno, fd);
	if (close(fd) != 0 && r == RK_OK)
		r = env_code(errno, -1);
	if (r == RK_OK)
		r = sync_folder_and_parent(folder);
	if (r != RK_OK)
		(void)unlink(file);  /* a part of a copy must not pass for one */
	return r;
}
