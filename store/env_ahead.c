/*
 * env_ahead: the data file is written ahead of LMDB.
 *
 * A commit that makes the file longer makes the file system's journal commit with it: the fdatasync brings new blocks and a new length to disk
 * beside the pages.  A commit into blocks that are there already, and were written once, brings its pages alone.  So zeros are appended before
 * LMDB comes to these pages.  (fallocate would not do: its blocks are marked unwritten, and taking the mark off is journalled too.)
 *
 * Zeros must never meet a page.  LMDB writes pages beyond the end of the file, at commits and in the middle of large transactions; hence
 *   1. the end of the file is read, and zeros written from there on, inside a write transaction of our own, which changes nothing and is aborted.
 *      LMDB has one writer among all threads and processes, so nobody else is between his first page and the end of his commit;
 *   2. nothing before that end is written.
 *   3. it is done by a descriptor of its own: Linux tells a failed write once to each, and LMDB's must hear of those that hit its pages.
 * Whatever a page has been given is before the end; what is behind it was never written.  The lock is held for one chunk's copy into the page
 * cache, never for the disk.  A kill leaves a longer file, which is as sound as a shorter one: no meta page counts the zeros.
 */
#include "store/env_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK_BYTES ((uint64_t)ENV_AHEAD_CHUNK_BYTES)

static uint8_t zeros[ENV_AHEAD_CHUNK_BYTES]; /* never written to */

struct lengths {
	int fd;
	uint64_t used;  /* to the end of the last page that LMDB counts */
	uint64_t file;
	uint64_t map;
	uint64_t last_txn;
};

static int look(struct env *env, struct lengths *l)
{
	MDB_envinfo info;
	MDB_stat s;
	struct stat st;
	int rc = mdb_env_get_fd(env->mdb, &l->fd);

	if (rc == 0)
		rc = mdb_env_info(env->mdb, &info);
	if (rc == 0)
		rc = mdb_env_stat(env->mdb, &s);
	if (rc == 0 && fstat(l->fd, &st) != 0)
		rc = errno;
	if (rc != 0)
		return env_code(rc, -1);
	l->last_txn = info.me_last_txnid;
	l->used = ((uint64_t)info.me_last_pgno + 1) * s.ms_psize;
	l->file = (uint64_t)st.st_size;
	l->map = info.me_mapsize;
	return RK_OK;
}

int env_ahead(struct env *env, struct env_ahead *out)
{
	struct lengths l;
	int r = look(env, &l);

	*out = (struct env_ahead){0};
	if (r == RK_OK)
		*out = (struct env_ahead){.used_bytes = l.used, .ahead_bytes = l.file > l.used ? l.file - l.used : 0, .last_txn = l.last_txn};
	return r;
}

static int open_own(struct env *env)
{
	char file[PATH_MAX];
	const char *folder;
	struct stat own, theirs;
	int fd, own_fd, rc;

	if (env->ahead_fd >= 0)
		return RK_OK;
	if ((rc = mdb_env_get_path(env->mdb, &folder)) != 0 || (rc = mdb_env_get_fd(env->mdb, &fd)) != 0)
		return env_code(rc, -1);
	if (snprintf(file, sizeof(file), "%s/data.mdb", folder) >= (int)sizeof(file))
		return RK_EUSAGE;
	if ((own_fd = open(file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return env_code(errno, -1);
	if (fstat(own_fd, &own) != 0 || fstat(fd, &theirs) != 0 || own.st_dev != theirs.st_dev || own.st_ino != theirs.st_ino) {
		close(own_fd);
		return RK_EINTERNAL; /* the folder has another file by now */
	}
	env->ahead_fd = own_fd;
	return RK_OK;
}

/* Bytes of the next chunk, which ends at a multiple of the chunk; 0: there is enough, or no place in the map. */
static uint64_t next_chunk(const struct lengths *l, uint64_t ahead_bytes)
{
	uint64_t len = CHUNK_BYTES - l->file % CHUNK_BYTES;
	bool enough = l->file > l->used && l->file - l->used >= ahead_bytes;

	return enough || l->file >= l->map || len > l->map - l->file ? 0 : len;
}

static bool has_room(int fd, uint64_t bytes)
{
	struct statvfs v;

	return fstatvfs(fd, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize >= bytes;
}

int env_ahead_write(struct env *env, uint64_t ahead_bytes, uint64_t reserve_bytes, uint64_t *written)
{
	struct txn *lock = NULL;
	struct lengths l;
	uint64_t len;
	ssize_t n = 0;
	int r = open_own(env);

	*written = 0;
	if (r != RK_OK || (r = env_begin(env, true, &lock)) != RK_OK)
		return r;
	r = look(env, &l);
	if (r == RK_OK && (len = next_chunk(&l, ahead_bytes)) > 0 && has_room(l.fd, reserve_bytes) &&
	    (n = pwrite(env->ahead_fd, zeros, len, (off_t)l.file)) < 0)
		r = env_code(errno, l.fd);
	env_abort(lock);
	if (r != RK_OK || n == 0)
		return r;
	*written = (uint64_t)n;
	/* Here, so that the next commit does not find this to do. */
	return fdatasync(env->ahead_fd) == 0 ? RK_OK : env_code(errno, l.fd);
}
