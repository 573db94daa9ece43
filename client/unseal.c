#include "client/unseal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

#define COPY_BYTES ((size_t)256 * 1024)
#define PROGRESS_BYTES ((uint64_t)256 * 1024)

/* Up to `room` bytes at `at`, fewer only at the end. */
static int read_at(int fd, uint64_t at, uint8_t *out, size_t room, size_t *n)
{
	for (*n = 0; *n < room;) {
		ssize_t got = pread(fd, out + *n, room - *n, (off_t)(at + *n));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return RK_EIO;
		if (got == 0)
			return RK_OK;
		*n += (size_t)got;
	}
	return RK_OK;
}

struct opening {
	struct age age;
	crypto_hash_sha256_state plain;
	uint8_t in[AGE_CHUNK_BYTES + AGE_TAG_BYTES], out[AGE_CHUNK_BYTES];
};

static int open_all(struct opening *o, int fd, const Rk__DossierFile *f, struct savefile *to, spool_progress_fn *progress, void *user)
{
	uint64_t at, done = 0, told = 0;
	uint8_t digest[32];
	size_t n, start;
	int r;

	if ((r = read_at(fd, 0, o->in, AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES, &n)) != RK_OK)
		return r;
	/* No words for what is wrong with it: it is not what was promised. */
	if (age_open_x25519(&o->age, bytes_make(o->in, n), f->age_identity.data, &start) != RK_OK)
		return RK_EINTEGRITY;
	at = start;
	do {
		bool is_last;

		if ((r = read_at(fd, at, o->in, sizeof(o->in), &n)) != RK_OK)
			return r;
		at += n;
		is_last = at == f->blob_len;
		if (n < AGE_TAG_BYTES || at > f->blob_len || age_open_chunk(&o->age, bytes_make(o->in, n), is_last, o->out) != RK_OK)
			return RK_EINTEGRITY;
		n -= AGE_TAG_BYTES;
		crypto_hash_sha256_update(&o->plain, o->out, n);
		if (to != NULL && (r = savefile_append(to, bytes_make(o->out, n))) != RK_OK)
			return r;
		done += n;
		if (progress != NULL && (done - told >= PROGRESS_BYTES || is_last) && (r = progress(user, told = done)) != RK_OK)
			return r;
	} while (at < f->blob_len);
	crypto_hash_sha256_final(&o->plain, digest);
	return done == f->plain_len && memcmp(digest, f->plain_sha256.data, 32) == 0 ? RK_OK : RK_EINTEGRITY;
}

int unseal_to(int fd, const Rk__DossierFile *f, struct savefile *to, spool_progress_fn *progress, void *user)
{
	struct opening *o = sodium_malloc(sizeof(*o));
	int r;

	if (o == NULL)
		return RK_ENOMEM;
	crypto_hash_sha256_init(&o->plain);
	r = open_all(o, fd, f, to, progress, user);
	age_end(&o->age);
	sodium_free(o); /* wipes */
	return r;
}

int unseal_copy(int fd, uint64_t len, struct savefile *to, spool_progress_fn *progress, void *user)
{
	uint8_t *buffer = malloc(COPY_BYTES);
	uint64_t done = 0;
	int r = buffer == NULL ? RK_ENOMEM : RK_OK;

	while (r == RK_OK && done < len) {
		size_t n;

		if ((r = read_at(fd, done, buffer, len - done < COPY_BYTES ? (size_t)(len - done) : COPY_BYTES, &n)) != RK_OK)
			break;
		if (n == 0)
			r = RK_EINTEGRITY;
		else
			r = savefile_append(to, bytes_make(buffer, n));
		done += n;
		if (r == RK_OK && progress != NULL)
			r = progress(user, done);
	}
	free(buffer);
	return r;
}
