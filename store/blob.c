/* Attachments that grow, and the folder they stand in.  What is done with whole ones: blob_whole.c. */
#include "store/blob_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proto/ids.h"

/* Each of these is on the disk before the next is written: dirty pages that gather come down in one burst, and the store's own fdatasync on the same
 * disk, which somebody waits for, stands behind it. */
#define WRITEBACK_BYTES ((uint64_t)256 << 10)

int blob_code(void)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG: /* RLIMIT_FSIZE, or what the file system can hold */
		return RK_EDISKFULL;
	case ENOENT:
		return RK_ENOTFOUND;
	case ENOMEM:
		return RK_ENOMEM;
	default:
		return RK_EIO;
	}
}

void blob_name(char out[BLOB_NAME_CHARS], const uint8_t sha256[32], bool is_part)
{
	char hex[65];

	ids_hex(hex, bytes_make(sha256, 32));
	snprintf(out, BLOB_NAME_CHARS, "%.2s/%s%s", hex, hex, is_part ? ".part" : "");
}

/* ---- the folder */
static int sync_fd(int fd)
{
	return fsync(fd) == 0 ? RK_OK : blob_code();
}

static int sync_parent(const char *path)
{
	char parent[4096];
	char *slash;
	int fd, rc;

	if (snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent))
		return RK_EIO;
	slash = strrchr(parent, '/');
	if (slash == NULL)
		strcpy(parent, ".");
	else
		slash[slash == parent] = '\0';
	if ((fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return blob_code();
	rc = sync_fd(fd);
	close(fd);
	return rc;
}

/* All 256, durable before any file stands in them. */
static int make_parts(int dir)
{
	char name[3];

	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(dir, name, 0700) != 0 && errno != EEXIST)
			return blob_code();
	}
	return sync_fd(dir);
}

int blob_folder_open(const char *path, bool create, struct blob_folder **out)
{
	struct blob_folder *f;
	bool is_new = create && mkdir(path, 0700) == 0;
	int rc = RK_OK;

	*out = NULL;
	if ((f = calloc(1, sizeof(*f))) == NULL)
		return RK_ENOMEM;
	if ((f->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rc = blob_code();
	if (rc == RK_OK && create)
		rc = make_parts(f->dir);
	if (rc == RK_OK && is_new)
		rc = sync_parent(path);
	if (rc != RK_OK) {
		blob_folder_close(f);
		return rc;
	}
	*out = f;
	return RK_OK;
}

void blob_folder_close(struct blob_folder *f)
{
	if (f == NULL)
		return;
	if (f->dir >= 0)
		close(f->dir);
	free(f);
}

int blob_folder_room(struct blob_folder *f, uint64_t *bytes)
{
	struct statvfs disk;

	if (fstatvfs(f->dir, &disk) != 0)
		return blob_code();
	*bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	return RK_OK;
}

int blob_sync_names(struct blob_folder *f, const uint8_t sha256[32])
{
	char name[3];
	int fd, rc;

	snprintf(name, sizeof(name), "%02x", sha256[0]);
	if ((fd = openat(f->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return blob_code();
	rc = sync_fd(fd);
	close(fd);
	return rc;
}

/* ---- one that grows */
static int set_aside(struct blob_folder *f, int fd, uint64_t len, uint64_t have, uint64_t reserve)
{
	uint64_t room;
	int rc = blob_folder_room(f, &room);

	if (rc != RK_OK)
		return rc;
	if (room < reserve || room - reserve < len - have)
		return RK_EDISKFULL;
	/* A file system that cannot has at least been asked for its room. */
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)len) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
		return blob_code();
	return RK_OK;
}

static void begin(struct blob_part *p, const uint8_t sha256[32], uint64_t len)
{
	*p = (struct blob_part){.len = len, .fd = -1};
	memcpy(p->sha256, sha256, 32);
	crypto_hash_sha256_init(&p->hash);
}

/* The part's file, made if need be; one that is longer than it may be is of no use. */
static int open_part(struct blob_folder *f, struct blob_part *p, uint64_t reserve)
{
	char name[BLOB_NAME_CHARS];
	struct stat st;
	bool is_new;
	int rc;

	blob_name(name, p->sha256, true);
	if ((p->fd = openat(f->dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
		return blob_code();
	if (fstat(p->fd, &st) != 0)
		return blob_code();
	if ((uint64_t)st.st_size > p->len) {
		if (ftruncate(p->fd, 0) != 0)
			return blob_code();
		st.st_size = 0;
	}
	p->written = (uint64_t)st.st_size;
	is_new = st.st_blocks == 0;
	/* What was set aside before is there still; asking again costs nothing but must not count it twice. */
	if ((rc = set_aside(f, p->fd, p->len, is_new ? 0 : p->len, is_new ? reserve : 0)) != RK_OK && is_new)
		(void)unlinkat(f->dir, name, 0);
	/* Its name must be as durable as its bytes will be said to be; one that is there already may be a killed run's, which did not get so far. */
	return rc == RK_OK ? blob_sync_names(f, p->sha256) : rc;
}

int blob_part_open(struct blob_folder *f, const uint8_t sha256[32], uint64_t len, uint64_t reserve, struct blob_part *p)
{
	uint64_t whole;
	int rc = blob_length(f, sha256, &whole);

	begin(p, sha256, len);
	if (rc == RK_OK && whole == len) {
		p->written = p->synced = p->hashed = len;
		p->is_whole = true;
		/* A run that was killed, or failed, between the rename and its sync leaves a name that a crash of the machine may take back. */
		return blob_sync_names(f, sha256);
	}
	if (rc != RK_OK && rc != RK_ENOTFOUND)
		return rc;
	if ((rc = open_part(f, p, reserve)) != RK_OK)
		blob_part_close(p);
	return rc;
}

static int write_all(int fd, uint64_t offset, struct bytes b)
{
	size_t done = 0;

	while (done < b.len) {
		ssize_t n = pwrite(fd, b.data + done, b.len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? blob_code() : RK_EIO;
		done += (size_t)n;
	}
	return RK_OK;
}

int blob_part_write(struct blob_part *p, uint64_t offset, struct bytes b)
{
	uint64_t known;
	int rc;

	if (p->is_whole)
		return RK_OK;
	if (offset > p->written || offset > p->len || b.len > p->len - offset)
		return RK_EINTERNAL;
	known = p->written - offset;
	if (known >= b.len)
		return RK_OK;
	b = bytes_make(b.data + known, b.len - known);
	if ((rc = write_all(p->fd, p->written, b)) != RK_OK)
		return rc;
	if (p->hashed == p->written) {
		crypto_hash_sha256_update(&p->hash, b.data, b.len);
		p->hashed += b.len;
	}
	p->written += b.len;
	if (p->written - p->started >= WRITEBACK_BYTES) {
		/* Neither durable nor surely well: that is what the sync is for. */
		(void)sync_file_range(p->fd, (off_t)p->started, (off_t)(p->written - p->started),
		                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
		p->started = p->written;
	}
	return RK_OK;
}

int blob_part_sync(struct blob_part *p)
{
	if (p->synced == p->written)
		return RK_OK;
	if (fdatasync(p->fd) != 0)
		return blob_code();
	p->synced = p->started = p->written;
	return RK_OK;
}

int blob_part_hash(struct blob_part *p, uint64_t limit)
{
	static _Thread_local uint8_t buffer[256 * 1024];

	while (p->hashed < p->written && limit > 0) {
		uint64_t want = p->written - p->hashed;
		ssize_t n;

		want = want > sizeof(buffer) ? sizeof(buffer) : want;
		want = want > limit ? limit : want;
		n = pread(p->fd, buffer, (size_t)want, (off_t)p->hashed);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? blob_code() : RK_EIO;
		crypto_hash_sha256_update(&p->hash, buffer, (unsigned long long)n);
		p->hashed += (uint64_t)n;
		limit -= (uint64_t)n;
	}
	return RK_OK;
}

int blob_part_finish(struct blob_folder *f, struct blob_part *p)
{
	char from[BLOB_NAME_CHARS], to[BLOB_NAME_CHARS];
	uint8_t hash[32];
	int rc;

	if (p->is_whole)
		return RK_OK;
	if (p->written != p->len || p->hashed != p->len)
		return RK_EINTERNAL;
	if ((rc = blob_part_sync(p)) != RK_OK)
		return rc;
	crypto_hash_sha256_final(&p->hash, hash);
	if (memcmp(hash, p->sha256, 32) != 0)
		return (rc = blob_part_restart(f, p)) != RK_OK ? rc : RK_EINTEGRITY;
	blob_name(from, p->sha256, true);
	blob_name(to, p->sha256, false);
	if (renameat(f->dir, from, f->dir, to) != 0)
		return blob_code();
	if ((rc = blob_sync_names(f, p->sha256)) != RK_OK)
		return rc;
	blob_part_close(p);
	p->is_whole = true;
	return RK_OK;
}

int blob_part_restart(struct blob_folder *f, struct blob_part *p)
{
	char name[BLOB_NAME_CHARS];
	uint8_t sha256[32];

	memcpy(sha256, p->sha256, 32);
	blob_part_close(p);
	begin(p, sha256, p->len);
	blob_name(name, sha256, true);
	if (unlinkat(f->dir, name, 0) != 0 && errno != ENOENT)
		return blob_code();
	return RK_OK;
}

void blob_part_close(struct blob_part *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}
