/* Two buffers of a chunk each: of the plaintext that gathers or is handed out, and of the sealed form. */
#include "client/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "proto/age.h"

#define SEALED_BYTES ((size_t)AGE_CHUNK_BYTES + AGE_TAG_BYTES)
#define START_BYTES ((size_t)AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES)

static int io_error(void)
{
	return errno == ENOSPC || errno == EDQUOT ? RK_EDISKFULL : RK_EIO;
}

static int write_all(int fd, struct bytes b)
{
	while (b.len > 0) {
		ssize_t n = write(fd, b.data, b.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return io_error();
		b = bytes_make(b.data + n, b.len - (size_t)n);
	}
	return RK_OK;
}

/* As much as there is, up to room. */
static int read_full(int fd, uint8_t *out, size_t room, size_t *got)
{
	*got = 0;
	while (*got < room) {
		ssize_t n = read(fd, out + *got, room - *got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return RK_EIO;
		if (n == 0)
			return RK_OK;
		*got += (size_t)n;
	}
	return RK_OK;
}

/* ---- writing */

struct archive_writer {
	struct age age;
	int fd, error;
	archive_step *step;
	void *user;
	uint64_t written;       /* plaintext, all */
	uint64_t left;          /* of the member */
	size_t padding;         /* behind it */
	size_t filled;
	uint8_t plain[AGE_CHUNK_BYTES], sealed[SEALED_BYTES];
};

void archive_writer_free(struct archive_writer *w)
{
	if (w == NULL)
		return;
	age_end(&w->age);
	sodium_memzero(w->plain, sizeof(w->plain));
	free(w);
}

int archive_begin(int fd, struct bytes code, archive_step *step, void *user, struct archive_writer **out)
{
	struct archive_writer *w = calloc(1, sizeof(*w));
	struct age_random random;
	size_t len;
	int r;

	*out = NULL;
	if (w == NULL)
		return RK_ENOMEM;
	w->fd = fd;
	w->step = step;
	w->user = user;
	age_random(&random);
	if ((r = age_begin_scrypt(&w->age, &random, code, ARCHIVE_LOG_N, w->sealed, &len)) == RK_OK)
		r = write_all(fd, bytes_make(w->sealed, len));
	if (r != RK_OK) {
		archive_writer_free(w);
		return r;
	}
	*out = w;
	return RK_OK;
}

static int seal_chunk(struct archive_writer *w, bool is_last)
{
	int r = age_seal_chunk(&w->age, bytes_make(w->plain, w->filled), is_last, w->sealed);

	if (r == RK_OK)
		r = write_all(w->fd, bytes_make(w->sealed, w->filled + AGE_TAG_BYTES));
	w->filled = 0;
	if (r == RK_OK && w->step != NULL)
		r = w->step(w->user, w->written);
	return r;
}

/* A full chunk is sealed when more comes: the last one must be known as the last. */
static int put(struct archive_writer *w, struct bytes data)
{
	while (w->error == RK_OK && data.len > 0) {
		size_t n = sizeof(w->plain) - w->filled;

		if (n == 0) {
			w->error = seal_chunk(w, false);
			continue;
		}
		n = n < data.len ? n : data.len;
		memcpy(w->plain + w->filled, data.data, n);
		w->filled += n;
		w->written += n;
		data = bytes_make(data.data + n, data.len - n);
	}
	return w->error;
}

int archive_member(struct archive_writer *w, const char *name, uint64_t len)
{
	uint8_t block[USTAR_BLOCK_BYTES];

	if (w->error == RK_OK && w->left != 0)
		w->error = RK_EINTERNAL;
	if (w->error == RK_OK)
		w->error = ustar_header_write(block, name, len);
	if (w->error != RK_OK)
		return w->error;
	w->left = len;
	w->padding = ustar_padding(len);
	return put(w, BYTES_OF(block));
}

int archive_write(struct archive_writer *w, struct bytes data)
{
	static const uint8_t zeros[USTAR_BLOCK_BYTES];

	if (w->error == RK_OK && data.len > w->left)
		w->error = RK_EINTERNAL;
	if (put(w, data) != RK_OK)
		return w->error;
	w->left -= data.len;
	if (w->left > 0 || w->padding == 0)
		return RK_OK;
	data = bytes_make(zeros, w->padding);
	w->padding = 0;
	return put(w, data);
}

int archive_add_bytes(struct archive_writer *w, const char *name, struct bytes data)
{
	int r = archive_member(w, name, data.len);

	return r == RK_OK ? archive_write(w, data) : r;
}

/* It may grow meanwhile: the length at the beginning is what counts. */
int archive_add_file(struct archive_writer *w, const char *name, int fd)
{
	uint8_t *part;
	struct stat st;
	size_t got;
	int r;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || lseek(fd, 0, SEEK_SET) != 0)
		return w->error = RK_EIO;
	if ((part = malloc(AGE_CHUNK_BYTES)) == NULL)
		return w->error = RK_ENOMEM;
	r = archive_member(w, name, (uint64_t)st.st_size);
	while (r == RK_OK && w->left > 0) {
		size_t want = w->left < AGE_CHUNK_BYTES ? (size_t)w->left : AGE_CHUNK_BYTES;

		if ((r = read_full(fd, part, want, &got)) == RK_OK && got != want) {
			errno = EIO;
			r = RK_EIO;
		}
		if (r != RK_OK)
			w->error = r;
		else
			r = archive_write(w, bytes_make(part, got));
	}
	sodium_memzero(part, AGE_CHUNK_BYTES);
	free(part);
	return r;
}

int archive_end(struct archive_writer *w)
{
	static const uint8_t zeros[2 * USTAR_BLOCK_BYTES];

	if (w->error == RK_OK && w->left != 0)
		w->error = RK_EINTERNAL;
	if (put(w, BYTES_OF(zeros)) == RK_OK)
		w->error = seal_chunk(w, true);
	return w->error;
}

/* ---- reading */

struct archive_reader {
	struct age age;
	int fd, error;
	archive_step *step;
	void *user;
	uint64_t opened;        /* plaintext, all */
	uint64_t left;          /* of the member */
	size_t padding;
	bool is_last;           /* the chunk in plain is the last one */
	size_t have;            /* bytes in sealed: of a chunk, and the one behind it that says that it is not the last */
	size_t at, filled;      /* of plain */
	uint8_t plain[AGE_CHUNK_BYTES], sealed[SEALED_BYTES + 1];
};

void archive_reader_free(struct archive_reader *a)
{
	if (a == NULL)
		return;
	age_end(&a->age);
	sodium_memzero(a->plain, sizeof(a->plain));
	free(a);
}

/* Fills `sealed` up to one byte more than a chunk. */
static int fetch(struct archive_reader *a)
{
	size_t got;
	int r = read_full(a->fd, a->sealed + a->have, sizeof(a->sealed) - a->have, &got);

	a->have += got;
	return r;
}

int archive_open(int fd, struct bytes code, archive_step *step, void *user, struct archive_reader **out)
{
	struct archive_reader *a = calloc(1, sizeof(*a));
	size_t len;
	int r;

	*out = NULL;
	if (a == NULL)
		return RK_ENOMEM;
	a->fd = fd;
	a->step = step;
	a->user = user;
	if ((r = fetch(a)) == RK_OK)
		r = age_open_scrypt(&a->age, bytes_make(a->sealed, a->have < START_BYTES ? a->have : START_BYTES), code, ARCHIVE_LOG_N_MAX, &len);
	if (r != RK_OK) {
		archive_reader_free(a);
		return r;
	}
	memmove(a->sealed, a->sealed + len, a->have - len);
	a->have -= len;
	*out = a;
	return RK_OK;
}

static int open_chunk(struct archive_reader *a)
{
	size_t len;
	int r;

	if (a->is_last)
		return RK_EINTEGRITY; /* the archive says that there is more */
	if ((r = fetch(a)) != RK_OK)
		return r;
	a->is_last = a->have <= SEALED_BYTES;
	len = a->is_last ? a->have : SEALED_BYTES;
	if ((r = age_open_chunk(&a->age, bytes_make(a->sealed, len), a->is_last, a->plain)) != RK_OK)
		return r;
	a->at = 0;
	a->filled = len - AGE_TAG_BYTES;
	a->opened += a->filled;
	memmove(a->sealed, a->sealed + len, a->have - len);
	a->have -= len;
	return a->step != NULL ? a->step(a->user, a->opened) : RK_OK;
}

/* Some of the plaintext that comes next, at most max; borrowed until the next call. */
static int get_some(struct archive_reader *a, size_t max, struct bytes *some)
{
	*some = bytes_make(NULL, 0);
	while (a->error == RK_OK && a->at == a->filled)
		a->error = open_chunk(a);
	if (a->error != RK_OK)
		return a->error;
	*some = bytes_make(a->plain + a->at, max < a->filled - a->at ? max : a->filled - a->at);
	a->at += some->len;
	return RK_OK;
}

/* out NULL: passed over, and must be zeros. */
static int get(struct archive_reader *a, uint8_t *out, size_t len)
{
	struct bytes some;

	while (len > 0 && get_some(a, len, &some) == RK_OK) {
		if (out != NULL)
			memcpy(out, some.data, some.len);
		else if (!bytes_is_zero(some.data, some.len))
			a->error = RK_MALFORMED;
		out = out != NULL ? out + some.len : NULL;
		len -= some.len;
	}
	return a->error;
}

static int member_some(struct archive_reader *a, size_t max, struct bytes *some)
{
	*some = bytes_make(NULL, 0);
	if (a->left == 0)
		return a->error;
	if (get_some(a, max < a->left ? max : (size_t)a->left, some) != RK_OK)
		return a->error;
	a->left -= some->len;
	return RK_OK;
}

/* After the first block of zeros: the second, and nothing more in this file. */
static int check_end(struct archive_reader *a)
{
	if (get(a, NULL, USTAR_BLOCK_BYTES) != RK_OK)
		return a->error;
	if (a->at != a->filled)
		return a->error = RK_MALFORMED;
	if (!a->is_last)
		return a->error = RK_EINTEGRITY;
	return a->error = RK_ENOTFOUND;
}

int archive_next(struct archive_reader *a, char name[USTAR_NAME_CHARS], uint64_t *len)
{
	uint8_t block[USTAR_BLOCK_BYTES];
	struct bytes some;
	int r;

	name[0] = 0;
	*len = 0;
	while (a->error == RK_OK && a->left > 0)
		(void)member_some(a, AGE_CHUNK_BYTES, &some);
	if (a->error != RK_OK || get(a, NULL, a->padding) != RK_OK || get(a, block, sizeof(block)) != RK_OK)
		return a->error;
	a->padding = 0;
	r = ustar_header_read(block, name, len);
	if (r == RK_ENOTFOUND)
		return check_end(a);
	if (r != RK_OK)
		return a->error = r;
	a->left = *len;
	a->padding = ustar_padding(*len);
	return RK_OK;
}

int archive_read(struct archive_reader *a, uint8_t *out, size_t room, size_t *n)
{
	struct bytes some;
	int r;

	*n = 0;
	while (*n < room && a->left > 0) {
		if ((r = member_some(a, room - *n, &some)) != RK_OK)
			return r;
		memcpy(out + *n, some.data, some.len);
		*n += some.len;
	}
	return a->error;
}

int archive_save(struct archive_reader *a, int fd)
{
	struct bytes some;
	int r;

	while (a->left > 0) {
		if ((r = member_some(a, AGE_CHUNK_BYTES, &some)) != RK_OK || (r = write_all(fd, some)) != RK_OK)
			return r;
	}
	return a->error;
}
