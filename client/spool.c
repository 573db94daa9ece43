#include "client/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <sodium.h>

#include "client/attach.h"
#include "client/client_internal.h"
#include "proto/ids.h"

#define FOLDER "blobs"
#define LOCK ".lock"
#define PROGRESS_BYTES ((uint64_t)256 * 1024)

static int io_code(void)
{
	return errno == ENOSPC || errno == EDQUOT ? RK_EDISKFULL : RK_EIO;
}

int spool_open(struct client *c, int *dir_fd)
{
	char path[CLIENT_PATH_MAX + 8];

	*dir_fd = -1;
	snprintf(path, sizeof(path), "%s/" FOLDER, c->home);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return io_code();
	*dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *dir_fd >= 0 ? RK_OK : io_code();
}

void spool_name(char out[SPOOL_NAME_CHARS], const uint8_t sha256[32])
{
	ids_hex(out, bytes_make(sha256, 32));
	memcpy(out + 64, ".age", 5);
}

void spool_part_name(char out[SPOOL_NAME_CHARS], const uint8_t sha256[32])
{
	ids_hex(out, bytes_make(sha256, 32));
	memcpy(out + 64, ".part", 6);
}

/* ---- room */

int spool_check_room(int dir_fd, uint64_t bytes, uint64_t spare)
{
	struct statvfs v;

	if (fstatvfs(dir_fd, &v) != 0)
		return RK_EIO;
	return (uint64_t)v.f_bavail * v.f_frsize < bytes + spare ? RK_EDISKFULL : RK_OK;
}

/* Calls each(name) for every file of the folder. */
static int each_file(int dir_fd, void (*each)(void *user, int dir_fd, const char *name), void *user)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return RK_EIO;
	}
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, LOCK) != 0)
			each(user, dir_fd, e->d_name);
	closedir(dir);
	return RK_OK;
}

static void add_size(void *user, int dir_fd, const char *name)
{
	uint64_t *bytes = user;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		*bytes += (uint64_t)st.st_blocks * 512;
}

int spool_usage(struct client *c, uint64_t *bytes)
{
	int dir_fd, r = spool_open(c, &dir_fd);

	*bytes = 0;
	if (r != RK_OK)
		return r;
	r = each_file(dir_fd, add_size, bytes);
	close(dir_fd);
	return r;
}

/* ---- sweeping */

static int lock(struct client *c, int how, int *fd)
{
	int dir_fd, r = spool_open(c, &dir_fd);

	*fd = -1;
	if (r != RK_OK)
		return r;
	*fd = openat(dir_fd, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	close(dir_fd);
	if (*fd < 0)
		return io_code();
	while (flock(*fd, how) != 0) {
		if (errno == EINTR)
			continue;
		r = errno == EWOULDBLOCK ? RK_ELOCKED : RK_EIO;
		close(*fd);
		*fd = -1;
		return r;
	}
	return RK_OK;
}

int spool_lock(struct client *c, int *fd)
{
	return lock(c, LOCK_SH, fd);
}

struct sweep {
	struct client *c;
	struct txn *t;
};

static void sweep_file(void *user, int dir_fd, const char *name)
{
	struct sweep *s = user;
	uint8_t sha256[32];
	size_t len = 0;
	const char *end;
	bool is_named = sodium_hex2bin(sha256, sizeof(sha256), name, strlen(name), NULL, &len, &end) == 0 && len == 32 &&
	                (strcmp(end, ".age") == 0 || strcmp(end, ".part") == 0) && attach_names(s->t, sha256);

	/* Left behind by a run that was killed, or by a dossier that was destroyed; if it cannot go now, the next sweep tries again. */
	if (!is_named && unlinkat(dir_fd, name, 0) == 0)
		client_log(s->c, "spool: %.12s… is nobody's and was removed", name);
}

void spool_sweep(struct client *c)
{
	struct sweep s = {.c = c};
	int dir_fd, fd;

	if (lock(c, LOCK_EX | LOCK_NB, &fd) != RK_OK)
		return;
	/* Begun under the lock: every record that its holders have written is seen. */
	if (spool_open(c, &dir_fd) == RK_OK) {
		if (env_begin(c->env, false, &s.t) == RK_OK) {
			(void)each_file(dir_fd, sweep_file, &s);
			env_abort(s.t);
		}
		close(dir_fd);
	}
	close(fd);
}

/* ---- encrypting */

struct sealing {
	struct age age;
	crypto_hash_sha256_state plain, cipher;
	int fd;
	uint64_t len;
	uint8_t in[AGE_CHUNK_BYTES], out[AGE_CHUNK_BYTES + AGE_TAG_BYTES];
};

static int put(struct sealing *s, const uint8_t *data, size_t len)
{
	crypto_hash_sha256_update(&s->cipher, data, len);
	s->len += len;
	while (len > 0) {
		ssize_t n = write(s->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return io_code();
		data += n;
		len -= (size_t)n;
	}
	return RK_OK;
}

/* A fresh identity, file key and nonce: each is used for this file only. */
static int begin(struct age *age, uint8_t identity[32], uint8_t *header, size_t *len)
{
	struct age_random random;
	uint8_t pk[32];

	randombytes_buf(identity, 32);
	if (crypto_scalarmult_base(pk, identity) != 0)
		return RK_EINTERNAL;
	age_random(&random);
	return age_begin_x25519(age, &random, pk, header, len);
}

static int seal_all(struct sealing *s, struct source *from, spool_progress_fn *progress, void *user)
{
	uint64_t done = 0, told = 0, len = source_len(from);
	int r;

	do {
		bool is_last;
		size_t n;

		if ((r = source_read(from, s->in, sizeof(s->in), &n)) != RK_OK)
			return r;
		done += n;
		is_last = done == len;
		if (n < sizeof(s->in) && !is_last)
			return RK_CONFLICT;
		crypto_hash_sha256_update(&s->plain, s->in, n);
		if ((r = age_seal_chunk(&s->age, bytes_make(s->in, n), is_last, s->out)) != RK_OK ||
		    (r = put(s, s->out, n + AGE_TAG_BYTES)) != RK_OK)
			return r;
		if (progress != NULL && (done - told >= PROGRESS_BYTES || is_last) && (r = progress(user, told = done)) != RK_OK)
			return r;
	} while (done < len);
	return source_check(from);
}

static int seal_file(struct sealing *s, struct source *from, spool_progress_fn *progress, void *user, struct spooled *out)
{
	uint8_t header[AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES];
	size_t len;
	int r;

	crypto_hash_sha256_init(&s->plain);
	crypto_hash_sha256_init(&s->cipher);
	if ((r = begin(&s->age, out->identity, header, &len)) != RK_OK || (r = put(s, header, len)) != RK_OK ||
	    (r = seal_all(s, from, progress, user)) != RK_OK)
		return r;
	out->len = s->len;
	out->plain_len = source_len(from);
	crypto_hash_sha256_final(&s->plain, out->plain_sha256);
	crypto_hash_sha256_final(&s->cipher, out->sha256);
	if (out->len != age_x25519_len(out->plain_len))
		return RK_EINTERNAL;
	return fsync(s->fd) == 0 ? RK_OK : io_code();
}

int spool_seal(int dir_fd, struct source *from, spool_progress_fn *progress, void *user, struct spooled *out)
{
	struct sealing *s = sodium_malloc(sizeof(*s)); /* plaintext and key: not into a swap file */
	char temporary[SPOOL_NAME_CHARS], name[SPOOL_NAME_CHARS];
	int r;

	memset(out, 0, sizeof(*out));
	if (s == NULL)
		return RK_ENOMEM;
	memset(s, 0, sizeof(*s));
	snprintf(temporary, sizeof(temporary), ".seal-%08x%08x.tmp", randombytes_random(), randombytes_random());
	s->fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->fd < 0) {
		r = io_code();
		goto out;
	}
	r = seal_file(s, from, progress, user, out);
	if (close(s->fd) != 0 && r == RK_OK)
		r = io_code();
	spool_name(name, out->sha256);
	if (r == RK_OK && (renameat(dir_fd, temporary, dir_fd, name) != 0 || fsync(dir_fd) != 0))
		r = io_code();
	if (r != RK_OK)
		(void)unlinkat(dir_fd, temporary, 0); /* else the next sweep finds it */
out:
	age_end(&s->age);
	sodium_free(s); /* wipes */
	if (r != RK_OK)
		sodium_memzero(out, sizeof(*out));
	return r;
}

int spool_prove(int fd, const uint8_t sha256[32], uint64_t len, spool_progress_fn *progress, void *user)
{
	static const size_t room = 256 * 1024;
	crypto_hash_sha256_state h;
	uint8_t *buffer = malloc(room), got[32];
	uint64_t done = 0;
	int r = buffer == NULL ? RK_ENOMEM : RK_OK;

	crypto_hash_sha256_init(&h);
	while (r == RK_OK) {
		ssize_t n = pread(fd, buffer, room, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? RK_EIO : RK_OK;
			break;
		}
		crypto_hash_sha256_update(&h, buffer, (size_t)n);
		done += (uint64_t)n;
		if (done > len)
			r = RK_EINTEGRITY;
		else if (progress != NULL)
			r = progress(user, done);
	}
	crypto_hash_sha256_final(&h, got);
	free(buffer);
	return r != RK_OK ? r : done == len && memcmp(got, sha256, 32) == 0 ? RK_OK : RK_EINTEGRITY;
}

int spool_seal_bytes(struct bytes plain, uint8_t identity[32], uint8_t **out, size_t *len)
{
	size_t at = 0, used, room = (size_t)age_x25519_len(plain.len);
	uint8_t *file = malloc(room + AGE_HEADER_MAX_BYTES);
	struct age age;
	int r = RK_ENOMEM;

	*out = NULL;
	*len = 0;
	if (file == NULL)
		return r;
	r = begin(&age, identity, file, &used);
	while (r == RK_OK) {
		size_t n = plain.len - at < AGE_CHUNK_BYTES ? plain.len - at : AGE_CHUNK_BYTES;
		bool is_last = at + n == plain.len;

		if ((r = age_seal_chunk(&age, bytes_make(plain.data + at, n), is_last, file + used)) != RK_OK)
			break;
		at += n;
		used += n + AGE_TAG_BYTES;
		if (is_last)
			break;
	}
	age_end(&age);
	if (r != RK_OK) {
		free(file);
		return r;
	}
	*out = file;
	*len = used;
	return RK_OK;
}
