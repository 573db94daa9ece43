#include "broker/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "proto/errcode.h"
#include "proto/keyfile.h"

#define PATH_MAX_BYTES 4096
#define KEY_FILE_MAX_BYTES (64 + KEYFILE_OVERHEAD)

static const char curve_name[] = "curve.key", log_name[] = "log.key";

static int of_errno(int e)
{
	return e == ENOSPC || e == EDQUOT ? RK_EDISKFULL : RK_EIO;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return of_errno(errno);
		data += n;
		len -= (size_t)n;
	}
	return RK_OK;
}

static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = RK_OK;

	if (fd < 0)
		return RK_EIO;
	if (fsync(fd) != 0)
		r = of_errno(errno);
	close(fd);
	return r;
}

int secrets_write_file(const char *folder, const char *name, const void *data, uint32_t len, uint32_t mode)
{
	char path[PATH_MAX_BYTES], temp[PATH_MAX_BYTES];
	int fd = -1, r = RK_EIO;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
	    snprintf(temp, sizeof(temp), "%s/%s.new", folder, name) >= (int)sizeof(temp))
		return RK_EIO;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
	if (fd < 0)
		return of_errno(errno);
	if ((r = write_all(fd, data, len)) != RK_OK)
		goto out;
	if (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0 || rename(temp, path) != 0) {
		r = of_errno(errno);
		goto out;
	}
	r = sync_folder(folder);
out:
	close(fd);
	if (r != RK_OK)
		unlink(temp);
	return r;
}

static bool is_there(const char *folder, const char *name)
{
	char path[PATH_MAX_BYTES];

	return snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) && access(path, F_OK) == 0;
}

static int save(const char *folder, const char *name, struct bytes secret)
{
	const struct keyfile_params none = {.kdf = KEYFILE_NONE};
	uint8_t file[KEY_FILE_MAX_BYTES];
	int r = keyfile_seal(file, &none, bytes_make(NULL, 0), secret);

	if (r == RK_OK)
		r = secrets_write_file(folder, name, file, (uint32_t)(secret.len + KEYFILE_OVERHEAD), 0600);
	sodium_memzero(file, sizeof(file));
	return r;
}

int secrets_create(const char *folder, struct secrets *out)
{
	int r = RK_ENOMEM;

	*out = (struct secrets){0};
	if (is_there(folder, curve_name) || is_there(folder, log_name))
		return RK_EEXISTS;
	out->curve_sk = sodium_malloc(32);
	out->log_sk = sodium_malloc(64);
	if (out->curve_sk == NULL || out->log_sk == NULL)
		goto out;
	crypto_box_keypair(out->curve_pk, out->curve_sk);
	crypto_sign_keypair(out->log_pk, out->log_sk);
	if ((r = save(folder, curve_name, bytes_make(out->curve_sk, 32))) != RK_OK)
		goto out;
	r = save(folder, log_name, bytes_make(out->log_sk, 64));
out:
	if (r != RK_OK)
		secrets_wipe(out);
	return r;
}

/* *secret is sodium_malloc'ed, of exactly want bytes. */
static int load(const char *folder, const char *name, size_t want, uint8_t **secret)
{
	uint8_t file[KEY_FILE_MAX_BYTES + 1];
	char path[PATH_MAX_BYTES];
	size_t len = 0, secret_len;
	ssize_t n = 1;
	int fd, r;

	*secret = NULL;
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return RK_EIO;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? RK_ENOTFOUND : RK_EIO;
	while (n > 0 && len < sizeof(file)) {
		n = read(fd, file + len, sizeof(file) - len);
		if (n > 0)
			len += (size_t)n;
	}
	close(fd);
	r = n < 0 ? RK_EIO : len > KEY_FILE_MAX_BYTES ? RK_EKEYFILE : RK_OK;
	if (r == RK_OK)
		r = keyfile_open(bytes_make(file, len), bytes_make(NULL, 0), secret, &secret_len);
	sodium_memzero(file, sizeof(file));
	if (r == RK_OK && secret_len != want) {
		sodium_free(*secret);
		*secret = NULL;
		r = RK_EKEYFILE;
	}
	return r;
}

int secrets_load(const char *folder, struct secrets *out, const char **failed)
{
	const char *name = curve_name;
	int r;

	*out = (struct secrets){0};
	if ((r = load(folder, curve_name, 32, &out->curve_sk)) != RK_OK)
		goto out;
	name = log_name;
	if ((r = load(folder, log_name, 64, &out->log_sk)) != RK_OK)
		goto out;
	if (crypto_scalarmult_base(out->curve_pk, out->curve_sk) != 0 ||
	    crypto_sign_ed25519_sk_to_pk(out->log_pk, out->log_sk) != 0)
		r = RK_EKEYFILE;
out:
	if (failed != NULL)
		*failed = name;
	if (r != RK_OK)
		secrets_wipe(out);
	return r;
}

const char *secrets_foreign(const struct secrets *k, const uint8_t curve_pk[32], const uint8_t log_pk[32])
{
	if (memcmp(k->curve_pk, curve_pk, 32) != 0)
		return curve_name;
	return memcmp(k->log_pk, log_pk, 32) != 0 ? log_name : NULL;
}

void secrets_wipe(struct secrets *k)
{
	sodium_free(k->curve_sk);
	sodium_free(k->log_sk);
	*k = (struct secrets){0};
}
