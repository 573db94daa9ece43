/*
 * The store is copied first, by LMDB and at one instant, then the keys: a dossier's key is written before the record that needs it, so
 * each record of the copy finds its key.  (One that was destroyed in between does not: so it shall be.)  The copy lies in a folder
 * inside the home and has lost its name before it is read: a kill leaves nothing behind once it is whole, and the next backup
 * clears away a part.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "client/backup_internal.h"
#include "client/client_internal.h"
#include "client/savefile.h"
#include "proto/age.h"

#define COPY_FOLDER "backup.tmp"
#define LOCK_NAME "backup.lock"
#define SPARE_BYTES ((uint64_t)1 << 20)

struct backup {
	struct client *c;
	const struct backup_options *o;
	struct backup_result *result;
	struct archive_writer *w;
	int store_fd;
	uint64_t blob_bytes;
};

static int fail(struct backup *b, int code, const char *what)
{
	snprintf(b->result->failed, sizeof(b->result->failed), "%s", what);
	return code;
}

static void home_path(char path[BACKUP_PATH_MAX], const struct client *c, const char *name)
{
	snprintf(path, BACKUP_PATH_MAX, "%s/%s", c->home, name);
}

static uint64_t member_bytes(uint64_t len)
{
	return USTAR_BLOCK_BYTES + len + ustar_padding(len);
}

/* ---- how much it will be */

static bool has_room(const char *folder, uint64_t bytes)
{
	struct statvfs disk;

	return statvfs(folder, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize >= bytes + SPARE_BYTES;
}

/* Attachments, one after the other; a file that went away in between is none. */
static int each_blob(struct backup *b, int (*fn)(struct backup *, const char *name, int fd))
{
	char path[BACKUP_PATH_MAX];
	struct dirent *e;
	int r = RK_OK;
	DIR *d;

	home_path(path, b->c, BACKUP_BLOBS);
	if (b->o->without_attachments)
		return RK_OK;
	if ((d = opendir(path)) == NULL)
		return errno == ENOENT ? RK_OK : fail(b, RK_EIO, BACKUP_BLOBS);
	while (r == RK_OK && (e = readdir(d)) != NULL) {
		int fd;

		if (!backup_is_blob(e->d_name))
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno != ENOENT)
			r = fail(b, RK_EIO, e->d_name);
		if (fd < 0)
			continue;
		r = fn(b, e->d_name, fd);
		close(fd);
	}
	closedir(d);
	return r;
}

static int count_blob(struct backup *b, const char *name, int fd)
{
	struct stat st;

	(void)name;
	if (fstat(fd, &st) == 0)
		b->blob_bytes += member_bytes((uint64_t)st.st_size);
	return RK_OK;
}

static void folder_of(char folder[PATH_MAX], const char *file)
{
	const char *slash = strrchr(file, '/');

	snprintf(folder, PATH_MAX, "%.*s", slash == file ? 1 : slash ? (int)(slash - file) : 1, slash ? file : ".");
}

/* Where there is no room it is better to know at once. */
static int measure(struct backup *b)
{
	struct env_status status;
	char folder[PATH_MAX];
	int r = env_status(b->c->env, &status);

	if (r == RK_OK)
		r = each_blob(b, count_blob);
	if (r != RK_OK)
		return r;
	b->result->expected = status.used_bytes + b->blob_bytes + BACKUP_KEYS * (uint64_t)4096;
	folder_of(folder, b->o->file);
	if (!has_room(b->c->home, status.used_bytes))
		return fail(b, RK_EDISKFULL, b->c->home);
	return has_room(folder, b->result->expected) ? RK_OK : fail(b, RK_EDISKFULL, folder);
}

/* ---- the store */

static void clear_copy(const struct client *c)
{
	char path[BACKUP_PATH_MAX];

	home_path(path, c, COPY_FOLDER "/data.mdb");
	(void)unlink(path);
	home_path(path, c, COPY_FOLDER);
	(void)rmdir(path);
}

static int copy_store(struct backup *b)
{
	char folder[BACKUP_PATH_MAX], path[BACKUP_PATH_MAX];
	int r;

	clear_copy(b->c);
	home_path(folder, b->c, COPY_FOLDER);
	home_path(path, b->c, COPY_FOLDER "/data.mdb");
	if ((r = env_copy(b->c->env, folder)) == RK_OK && (b->store_fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		r = RK_EIO;
	clear_copy(b->c);
	return r == RK_OK ? RK_OK : fail(b, r, b->c->home);
}

/* ---- the members */

static int add_head(struct backup *b)
{
	struct backup_head h = {.created_at = b->result->created_at, .without_attachments = b->o->without_attachments};
	char text[BACKUP_HEAD_MAX_BYTES];

	memcpy(h.exchange_id, client_exchange_id(b->c), sizeof(h.exchange_id));
	memcpy(h.org_id, client_org_id(b->c), sizeof(h.org_id));
	memcpy(h.device_id, client_device_id(b->c), sizeof(h.device_id));
	return archive_add_bytes(b->w, BACKUP_HEAD, bytes_make(text, backup_head_write(text, &h)));
}

static int add_keys(struct backup *b)
{
	char path[BACKUP_PATH_MAX];
	int r = RK_OK;

	for (unsigned i = 0; i < BACKUP_KEYS && r == RK_OK; i++) {
		int fd;

		home_path(path, b->c, backup_keys[i]);
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
			if (errno != ENOENT)
				r = fail(b, RK_EIO, backup_keys[i]);
			continue;
		}
		r = archive_add_file(b->w, backup_keys[i], fd);
		close(fd);
		b->result->members++;
		if (i < KEY_ROLE_COUNT)
			b->result->has_key[i] = true;
	}
	return r;
}

static int add_blob(struct backup *b, const char *name, int fd)
{
	char member[USTAR_NAME_CHARS];

	snprintf(member, sizeof(member), BACKUP_BLOBS "/%.90s", name);
	b->result->members++;
	b->result->attachments++;
	return archive_add_file(b->w, member, fd);
}

static int add_all(struct backup *b)
{
	int r = add_head(b);

	if (r == RK_OK)
		r = archive_add_file(b->w, BACKUP_STORE, b->store_fd);
	if (r == RK_OK)
		r = add_keys(b);
	b->result->members += 2;
	if (r == RK_OK)
		r = each_blob(b, add_blob);
	return r == RK_OK ? archive_end(b->w) : r;
}

/* ---- the file */

static int write_to(struct backup *b, int fd)
{
	struct stat st;
	int r = archive_begin(fd, bytes_str(b->o->code), b->o->step, b->o->user, &b->w);

	if (r == RK_OK)
		r = add_all(b);
	archive_writer_free(b->w);
	b->w = NULL;
	if (r == RK_OK && fsync(fd) != 0)
		r = backup_io();
	if (r == RK_OK && fstat(fd, &st) == 0)
		b->result->bytes = (uint64_t)st.st_size;
	return r;
}

static int write_file(struct backup *b)
{
	const char *slash = strrchr(b->o->file, '/'), *name = slash ? slash + 1 : b->o->file;
	char folder[PATH_MAX], part[NAME_MAX + 16];
	int dir, fd, closed, r;

	if (name[0] == 0 || strlen(name) > NAME_MAX - 12)
		return fail(b, RK_EUSAGE, b->o->file);
	folder_of(folder, b->o->file);
	snprintf(part, sizeof(part), "%s.part-%ld", name, (long)getpid());
	if ((dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return fail(b, RK_EIO, folder);
	fd = openat(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = backup_io();
		close(dir);
		return fail(b, r, folder);
	}
	r = write_to(b, fd);
	if (close(fd) != 0 && r == RK_OK)
		r = backup_io();
	if (r == RK_OK)
		r = savefile_rename_new(dir, part, name);
	if (r != RK_OK)
		(void)unlinkat(dir, part, 0);
	closed = savefile_close(dir);
	r = r == RK_OK ? closed : r;
	return r == RK_OK || b->result->failed[0] ? r : fail(b, r, b->o->file);
}

/* For status and doctor: written when the file is there. */
static int remember(struct backup *b)
{
	struct txn *txn;
	int r = env_begin(b->c->env, true, &txn);

	if (r != RK_OK)
		return r;
	(void)meta_put_u64(txn, META_BACKUP_AT, (uint64_t)b->result->created_at);
	(void)meta_put_u64(txn, META_BACKUP_ID, meta_u64(txn, META_NEXT_ID));
	return env_commit(txn);
}

int backup_write(struct client *c, const struct backup_options *o, struct backup_result *result)
{
	struct backup b = {.c = c, .o = o, .result = result, .store_fd = -1};
	struct stat st;
	int lock = -1, r;

	*result = (struct backup_result){.created_at = client_now(c), .without_attachments = o->without_attachments};
	if (lstat(o->file, &st) == 0)
		return fail(&b, RK_EEXISTS, o->file);
	if ((r = env_lock_folder(c->home, LOCK_NAME, &lock)) != RK_OK)
		return fail(&b, r, c->home);
	if ((r = measure(&b)) == RK_OK && (r = copy_store(&b)) == RK_OK)
		r = write_file(&b);
	if (b.store_fd >= 0)
		close(b.store_fd);
	if (r == RK_OK)
		r = remember(&b);
	close(lock);
	return r;
}

/* ---- how it stands */

int backup_state_read(struct client *c, struct txn *txn, struct arena *a, struct backup_state *s)
{
	int64_t since;
	Rk__Org *own;

	*s = (struct backup_state){.made_at = (int64_t)meta_u64(txn, META_BACKUP_AT)};
	since = s->made_at;
	if (since == 0) {
		/* Nothing says when this home began; its organisation has been a member at least as long. */
		if (book_org(c, txn, client_org_id(c), a, &own) != RK_OK)
			return env_error(txn);
		since = own->since;
	}
	s->is_old = client_now(c) - since > BACKUP_MAX_AGE_MS && meta_u64(txn, META_NEXT_ID) > meta_u64(txn, META_BACKUP_ID);
	return env_error(txn);
}
