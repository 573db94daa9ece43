/*
 * A restore is unpacked into HOME.restoring beside the home-to-be, under a lock of its own; what a broken-off one left there is cleared
 * away by the next.  Nothing is believed before the end of the archive was seen.  The last step is one rename, onto nothing or onto
 * an empty folder.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "client/backup_internal.h"
#include "client/client_internal.h"
#include "proto/keyfile.h"

#define SUFFIX ".restoring"
#define LOCK_NAME "restore.lock"
#define KEY_FILE_MAX_BYTES ((uint64_t)KEYFILE_SECRET_MAX + KEYFILE_OVERHEAD)

struct restore {
	const struct restore_options *o;
	struct backup_result *result;
	struct backup_head head;
	struct archive_reader *a;
	char home[BACKUP_PATH_MAX - 32], temp[BACKUP_PATH_MAX]; /* without a slash at the end */
	int dir;                                                /* of temp */
	bool has_store, has_kx, is_home;                        /* is_home: dir is the home now */
};

static int fail(struct restore *s, int code, const char *what)
{
	snprintf(s->result->failed, sizeof(s->result->failed), "%s", what);
	return code;
}

/* ---- folders */

static int is_free(struct restore *s)
{
	struct dirent *e;
	int r = RK_OK;
	DIR *d = opendir(s->home);

	if (d == NULL)
		return errno == ENOENT ? RK_OK : fail(s, errno == ENOTDIR ? RK_EEXISTS : RK_EIO, s->home);
	while (r == RK_OK && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = fail(s, RK_EEXISTS, s->home);
	closedir(d);
	return r;
}

/* Our own names in one folder of an unpacked home; anything else stays, and the folder with it. */
static void clear_folder(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (d != NULL) {
		while ((e = readdir(d)) != NULL)
			if (backup_is_blob(e->d_name) || strcmp(e->d_name, "data.mdb") == 0 || strcmp(e->d_name, "lock.mdb") == 0)
				(void)unlinkat(dirfd(d), e->d_name, 0);
		closedir(d);
	} else if (fd >= 0) {
		close(fd);
	}
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}

static void clear_temp(struct restore *s)
{
	clear_folder(s->dir, "store");
	clear_folder(s->dir, BACKUP_BLOBS);
	for (unsigned i = 0; i < BACKUP_KEYS; i++)
		(void)unlinkat(s->dir, backup_keys[i], 0);
}

static void drop_temp(struct restore *s)
{
	clear_temp(s);
	(void)unlinkat(s->dir, LOCK_NAME, 0);
	(void)rmdir(s->temp);
}

/* mkdir -p of what the home stands in. */
static int make_parents(struct restore *s)
{
	char part[sizeof(s->home)];

	for (size_t i = 1; s->home[i] != 0; i++) {
		if (s->home[i] != '/')
			continue;
		memcpy(part, s->home, i);
		part[i] = 0;
		if (mkdir(part, 0700) != 0 && errno != EEXIST && errno != EISDIR)
			return fail(s, backup_io(), part);
	}
	return RK_OK;
}

static int make_temp(struct restore *s, int *lock)
{
	int r = make_parents(s);

	if (r != RK_OK)
		return r;
	if (mkdir(s->temp, 0700) != 0 && errno != EEXIST)
		return fail(s, backup_io(), s->temp);
	if ((r = env_lock_folder(s->temp, LOCK_NAME, lock)) != RK_OK)
		return fail(s, r, s->temp);
	if ((s->dir = open(s->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return fail(s, RK_EIO, s->temp);
	clear_temp(s);
	if (mkdirat(s->dir, "store", 0700) != 0)
		return fail(s, backup_io(), s->temp);
	return RK_OK;
}

/* ---- members */

static int read_head(struct restore *s)
{
	uint8_t text[BACKUP_HEAD_MAX_BYTES];
	char name[USTAR_NAME_CHARS];
	uint64_t len;
	size_t n;
	int r = archive_next(s->a, name, &len);

	if (r == RK_OK && (strcmp(name, BACKUP_HEAD) != 0 || len > sizeof(text)))
		r = RK_MALFORMED;
	if (r == RK_OK)
		r = archive_read(s->a, text, sizeof(text), &n);
	if (r == RK_OK)
		r = backup_head_read(bytes_make(text, n), &s->head);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_MALFORMED : r;
	s->result->created_at = s->head.created_at;
	s->result->without_attachments = s->head.without_attachments;
	s->result->members++;
	return RK_OK;
}

/* Only what a home is made of; twice the same name is found when the file is made. */
static int admit(struct restore *s, const char *name, uint64_t len)
{
	if (strcmp(name, BACKUP_STORE) == 0) {
		s->has_store = true;
		return RK_OK;
	}
	for (unsigned i = 0; i < BACKUP_KEYS; i++)
		if (strcmp(name, backup_keys[i]) == 0) {
			if (i < KEY_ROLE_COUNT)
				s->result->has_key[i] = true;
			s->has_kx |= i == KEY_ROLE_COUNT;
			return len <= KEY_FILE_MAX_BYTES ? RK_OK : RK_MALFORMED;
		}
	if (strncmp(name, BACKUP_BLOBS "/", strlen(BACKUP_BLOBS) + 1) != 0 || !backup_is_blob(name + strlen(BACKUP_BLOBS) + 1))
		return RK_MALFORMED;
	s->result->attachments++;
	return mkdirat(s->dir, BACKUP_BLOBS, 0700) == 0 || errno == EEXIST ? RK_OK : backup_io();
}

static int unpack_one(struct restore *s, const char *name, uint64_t len)
{
	int r = admit(s, name, len), fd;

	if (r != RK_OK)
		return r;
	s->result->members++;
	if ((fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
		return errno == EEXIST ? RK_MALFORMED : fail(s, backup_io(), name);
	r = archive_save(s->a, fd);
	if (r == RK_OK && fsync(fd) != 0)
		r = backup_io();
	if (close(fd) != 0 && r == RK_OK)
		r = backup_io();
	return r;
}

static int unpack(struct restore *s)
{
	char name[USTAR_NAME_CHARS];
	uint64_t len;
	int r = read_head(s);

	while (r == RK_OK && (r = archive_next(s->a, name, &len)) == RK_OK)
		r = unpack_one(s, name, len);
	if (r != RK_ENOTFOUND)
		return r;
	return s->has_store && s->has_kx && s->result->has_key[KEY_DEVICE] ? RK_OK : RK_MALFORMED;
}

static int open_and_unpack(struct restore *s)
{
	int fd = open(s->o->file, O_RDONLY | O_CLOEXEC), r;
	struct stat st;

	if (fd < 0)
		return fail(s, errno == ENOENT ? RK_ENOTFOUND : RK_EIO, s->o->file);
	if (fstat(fd, &st) == 0)
		s->result->expected = s->result->bytes = (uint64_t)st.st_size;
	r = archive_open(fd, bytes_str(s->o->code), s->o->step, s->o->user, &s->a);
	if (r == RK_OK)
		r = unpack(s);
	archive_reader_free(s->a);
	s->a = NULL;
	close(fd);
	return r == RK_OK || s->result->failed[0] ? r : fail(s, r, s->o->file);
}

/* ---- what was unpacked, as a home */

static int check_key(struct restore *s, const char *name)
{
	uint8_t *file = malloc((size_t)KEY_FILE_MAX_BYTES);
	int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC), r = RK_ENOMEM;

	if (fd < 0) {
		free(file);
		return errno == ENOENT ? RK_OK : RK_EIO;
	}
	if (file != NULL) {
		ssize_t n = read(fd, file, (size_t)KEY_FILE_MAX_BYTES);

		r = n > 0 && keyfile_kdf_of(bytes_make(file, (size_t)n)) >= 0 ? RK_OK : RK_MALFORMED;
	}
	close(fd);
	free(file);
	return r;
}

/* A new writer; and what was unanswered then is nobody's to send now. */
static int begin_anew(struct restore *s, struct client *c, struct txn *txn)
{
	uint8_t writer[8];
	uint64_t last = meta_u64(txn, META_NEXT_ID);
	int r;

	randombytes_buf(writer, sizeof(writer));
	r = env_del(txn, C_META, bytes_str(META_STALE));
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	client_count(txn, "restored");
	if ((r = meta_put(txn, META_WRITER, BYTES_OF(writer))) != RK_OK || (r = meta_put_u64(txn, META_NUMBER, 0)) != RK_OK ||
	    (r = meta_put_u64(txn, META_ASIDE, last)) != RK_OK ||
	    (r = meta_put_u64(txn, META_BACKUP_AT, (uint64_t)s->head.created_at)) != RK_OK ||
	    (r = inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, (struct bytes){0}, NULL, client_now(c), "restored")) != RK_OK)
		return r;
	return meta_put_u64(txn, META_BACKUP_ID, meta_u64(txn, META_NEXT_ID));
}

static int adopt(struct restore *s)
{
	const struct client_options o = {.home = s->temp};
	struct client *c;
	struct txn *txn;
	int r = client_open(&o, &c);

	if (r != RK_OK)
		return r == RK_ENOTJOINED ? RK_ESTORE : r;
	if (memcmp(client_exchange_id(c), s->head.exchange_id, 32) != 0 || memcmp(client_org_id(c), s->head.org_id, 16) != 0 ||
	    memcmp(client_device_id(c), s->head.device_id, 16) != 0)
		r = RK_MALFORMED;
	if (r == RK_OK && (r = env_begin(client_env(c), true, &txn)) == RK_OK) {
		if ((r = begin_anew(s, c, txn)) == RK_OK)
			r = env_commit(txn);
		else
			env_abort(txn);
	}
	client_close(c);
	return r;
}

static int check_home(struct restore *s)
{
	int r = RK_OK;

	for (unsigned i = 0; i < BACKUP_KEYS && r == RK_OK; i++)
		if ((r = check_key(s, backup_keys[i])) != RK_OK)
			return fail(s, r, backup_keys[i]);
	if ((r = adopt(s)) != RK_OK)
		return fail(s, r, BACKUP_STORE);
	return r;
}

static int sync_folder(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = RK_OK;

	if (fd < 0)
		return errno == ENOENT ? RK_OK : RK_EIO;
	if (fsync(fd) != 0)
		r = backup_io();
	close(fd);
	return r;
}

/* Durable before it gets its name, and the name durable before anybody is told. */
static int move_in(struct restore *s)
{
	int r;

	(void)unlinkat(s->dir, LOCK_NAME, 0);
	if ((r = sync_folder(s->dir, "store")) != RK_OK || (r = sync_folder(s->dir, BACKUP_BLOBS)) != RK_OK ||
	    (r = sync_folder(s->dir, ".")) != RK_OK)
		return fail(s, r, s->temp);
	if (rename(s->temp, s->home) != 0)
		return fail(s, errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR ? RK_EEXISTS : backup_io(), s->home);
	s->is_home = true;
	return sync_folder(s->dir, "..");
}

int restore_home(const struct restore_options *o, struct backup_result *result)
{
	struct restore s = {.o = o, .result = result, .dir = -1};
	size_t len = strlen(o->home);
	int lock = -1, r;

	*result = (struct backup_result){0};
	while (len > 1 && o->home[len - 1] == '/')
		len--;
	if (len == 0 || len >= sizeof(s.home))
		return fail(&s, RK_EUSAGE, o->home);
	snprintf(s.home, sizeof(s.home), "%.*s", (int)len, o->home);
	snprintf(s.temp, sizeof(s.temp), "%s" SUFFIX, s.home);
	if ((r = is_free(&s)) != RK_OK)
		return r;
	if ((r = make_temp(&s, &lock)) == RK_OK) {
		if ((r = open_and_unpack(&s)) == RK_OK && (r = check_home(&s)) == RK_OK)
			r = move_in(&s);
		if (r != RK_OK && !s.is_home)
			drop_temp(&s);
	}
	if (s.dir >= 0)
		close(s.dir);
	if (lock >= 0)
		close(lock);
	return r;
}
