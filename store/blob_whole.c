/* Whole attachments: reading, proving, copying, dropping, and finding those that nobody wants. */
#include "store/blob_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/ids.h"

#define COPY_BYTES (256 * 1024)

static int open_whole(struct blob_folder *f, const uint8_t sha256[32], int *fd)
{
	char name[BLOB_NAME_CHARS];

	blob_name(name, sha256, false);
	*fd = openat(f->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return *fd >= 0 ? RK_OK : blob_code();
}

int blob_length(struct blob_folder *f, const uint8_t sha256[32], uint64_t *len)
{
	char name[BLOB_NAME_CHARS];
	struct stat st;

	blob_name(name, sha256, false);
	if (fstatat(f->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return blob_code();
	*len = (uint64_t)st.st_size;
	return RK_OK;
}

static int read_all(int fd, uint64_t offset, uint8_t *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, out + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return RK_EIO;
		if (n == 0)
			return RK_EINTEGRITY;
		done += (size_t)n;
	}
	return RK_OK;
}

int blob_read(struct blob_folder *f, const uint8_t sha256[32], uint64_t offset, uint8_t *out, size_t len)
{
	int fd, rc = open_whole(f, sha256, &fd);

	if (rc != RK_OK)
		return rc;
	rc = read_all(fd, offset, out, len);
	close(fd);
	return rc;
}

/* Reads len bytes, hashes them, and writes them too where `to` is a file. */
static int hash_file(int fd, uint64_t len, int to, uint8_t out[32])
{
	crypto_hash_sha256_state state;
	uint8_t *buffer = malloc(COPY_BYTES);
	int rc = buffer != NULL ? RK_OK : RK_ENOMEM;

	crypto_hash_sha256_init(&state);
	for (uint64_t at = 0; rc == RK_OK && at < len;) {
		size_t n = len - at > COPY_BYTES ? COPY_BYTES : (size_t)(len - at);

		if ((rc = read_all(fd, at, buffer, n)) != RK_OK)
			break;
		crypto_hash_sha256_update(&state, buffer, n);
		for (size_t done = 0; to >= 0 && done < n && rc == RK_OK;) {
			ssize_t w = write(to, buffer + done, n - done);

			if (w < 0 && errno != EINTR)
				rc = blob_code();
			done += w > 0 ? (size_t)w : 0;
		}
		at += n;
	}
	crypto_hash_sha256_final(&state, out);
	free(buffer);
	return rc;
}

static int length_of(int fd, uint64_t *len)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return blob_code();
	*len = (uint64_t)st.st_size;
	return RK_OK;
}

int blob_verify(struct blob_folder *f, const uint8_t sha256[32], uint64_t len)
{
	uint8_t hash[32];
	uint64_t found = 0;
	int fd, rc = open_whole(f, sha256, &fd);

	if (rc != RK_OK)
		return rc;
	if ((rc = length_of(fd, &found)) == RK_OK && found != len)
		rc = RK_EINTEGRITY;
	if (rc == RK_OK)
		rc = hash_file(fd, len, -1, hash);
	close(fd);
	return rc != RK_OK ? rc : memcmp(hash, sha256, 32) == 0 ? RK_OK : RK_EINTEGRITY;
}

static int unlink_in(struct blob_folder *f, const uint8_t sha256[32], bool is_part, bool *any)
{
	char name[BLOB_NAME_CHARS];

	blob_name(name, sha256, is_part);
	if (unlinkat(f->dir, name, 0) == 0) {
		*any = true;
		return RK_OK;
	}
	return errno == ENOENT ? RK_OK : blob_code();
}

int blob_drop(struct blob_folder *f, const uint8_t sha256[32], bool *any)
{
	int rc, other;

	*any = false;
	rc = unlink_in(f, sha256, false, any);
	other = unlink_in(f, sha256, true, any);
	return rc != RK_OK ? rc : other;
}

/* Byte by byte; the hash is compared on the way, so that no damaged file becomes a backup. */
static int copy_bytes(struct blob_folder *from, struct blob_folder *to, const uint8_t sha256[32])
{
	char name[BLOB_NAME_CHARS], part[BLOB_NAME_CHARS];
	uint8_t hash[32];
	uint64_t len = 0;
	int in, out, rc = open_whole(from, sha256, &in);

	if (rc != RK_OK)
		return rc;
	blob_name(name, sha256, false);
	blob_name(part, sha256, true);
	out = openat(to->dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	rc = out < 0 ? blob_code() : length_of(in, &len);
	if (rc == RK_OK)
		rc = hash_file(in, len, out, hash);
	if (rc == RK_OK && memcmp(hash, sha256, 32) != 0)
		rc = RK_EINTEGRITY;
	if (rc == RK_OK && (fsync(out) != 0 || renameat(to->dir, part, to->dir, name) != 0))
		rc = blob_code();
	if (rc != RK_OK)
		(void)unlinkat(to->dir, part, 0);
	if (out >= 0)
		close(out);
	close(in);
	return rc;
}

int blob_copy(struct blob_folder *from, struct blob_folder *to, const uint8_t sha256[32])
{
	char name[BLOB_NAME_CHARS];
	int rc = RK_OK;

	blob_name(name, sha256, false);
	/* Whole files never change, so two names for one file are as good as two files. */
	if (linkat(from->dir, name, to->dir, name, 0) != 0 && errno != EEXIST)
		rc = errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP ? copy_bytes(from, to, sha256)
		                                                                                : blob_code();
	return rc == RK_OK ? blob_sync_names(to, sha256) : rc;
}

/* ---- sweeping */
/* The hash that a file of part i is named by; false: none of our names. */
static bool read_name(const char *name, unsigned i, uint8_t sha256[32], bool *is_part)
{
	char hex[65];
	size_t len = strlen(name);

	*is_part = len == 69 && strcmp(name + 64, ".part") == 0;
	if (len != 64 && !*is_part)
		return false;
	snprintf(hex, sizeof(hex), "%.64s", name);
	return ids_from_hex(sha256, 32, hex) && sha256[0] == i;
}

int blob_sweep(struct blob_folder *f, unsigned i, enum blob_wish (*ask)(void *, const uint8_t sha256[32]), void *user, unsigned *dropped)
{
	char part[3];
	struct dirent *e;
	DIR *d;
	int fd, rc = RK_OK;

	snprintf(part, sizeof(part), "%02x", i);
	if ((fd = openat(f->dir, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return blob_code();
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return RK_ENOMEM;
	}
	while (rc == RK_OK && (e = readdir(d)) != NULL) {
		uint8_t sha256[32];
		enum blob_wish wish;
		bool is_part;

		if (!read_name(e->d_name, i, sha256, &is_part))
			continue;
		wish = ask(user, sha256);
		if (wish == BLOB_KEEP || (wish == BLOB_KEEP_WHOLE && !is_part))
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			(*dropped)++;
		else if (errno != ENOENT)
			rc = blob_code();
	}
	closedir(d);
	return rc;
}
