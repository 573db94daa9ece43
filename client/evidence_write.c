/* A receipt into a file: what is in memory, then the attachments from where they lie, each byte seen by the verifier on its way. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "client/client_internal.h"
#include "client/evidence.h"
#include "client/savefile.h"
#include "proto/ids.h"
#include "proto/receipt_tail.h"

#define PART_BYTES ((size_t)64 * 1024)

/* HOME/blobs/<hex>.age, if it is there in full; else -1. */
static int open_blob(const struct client *c, const Rk__BlobRef *blob)
{
	char path[CLIENT_PATH_MAX + 80], hex[65];
	struct stat st;
	int fd;

	ids_hex(hex, bytes_make(blob->sha256.data, 32));
	snprintf(path, sizeof(path), "%s/blobs/%s.age", c->home, hex);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == blob->len)
		return fd;
	close(fd);
	return -1;
}

int evidence_blobs_open(struct client *c, const struct receipt *x, struct evidence_blobs *blobs, uint32_t *missing)
{
	*blobs = (struct evidence_blobs){.count = x->has_attachments ? x->header->n_blobs : 0};
	*missing = 0;
	for (size_t i = 0; i < blobs->count; i++)
		if ((blobs->fd[i] = open_blob(c, x->header->blobs[i])) < 0)
			*missing |= 1u << i;
	return *missing == 0 ? RK_OK : RK_ENOTFOUND;
}

void evidence_blobs_close(struct evidence_blobs *blobs)
{
	for (size_t i = 0; i < blobs->count; i++)
		if (blobs->fd[i] >= 0)
			close(blobs->fd[i]);
	blobs->count = 0;
}

uint64_t evidence_size(const struct receipt *x, struct bytes archive)
{
	uint64_t size = archive.len;

	if (!x->has_attachments)
		return size;
	for (size_t i = 0; i < x->header->n_blobs; i++)
		size += USTAR_BLOCK_BYTES + x->header->blobs[i]->len + receipt_tail_padding(x, i);
	return size + USTAR_END_BYTES;
}

/* Said before the first byte, where it can be known. */
static int check_room(int dir_fd, uint64_t size)
{
	struct statvfs v;

	return fstatvfs(dir_fd, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize < size ? RK_EDISKFULL : RK_OK;
}

/* One file while it is written. */
struct writing {
	struct savefile file;
	struct receipt_tail *tail;
};

/* The verifier first: what it refuses is not written. */
static int put(struct writing *w, struct bytes part)
{
	int r = receipt_tail_feed(w->tail, part);

	return r == RK_OK ? savefile_append(&w->file, part) : r;
}

static int put_zeros(struct writing *w, size_t len)
{
	static const uint8_t zeros[USTAR_END_BYTES];

	return len > 0 ? put(w, bytes_make(zeros, len)) : RK_OK;
}

static int put_blob(struct writing *w, int fd, uint64_t len)
{
	uint8_t part[PART_BYTES];
	int r = RK_OK;

	while (len > 0 && r == RK_OK) {
		ssize_t n = read(fd, part, len < sizeof(part) ? (size_t)len : sizeof(part));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? RK_EIO : RK_EINTEGRITY;
		r = put(w, bytes_make(part, (size_t)n));
		len -= (uint64_t)n;
	}
	return r;
}

static int put_attachments(struct writing *w, const struct receipt *x, const struct evidence_blobs *blobs)
{
	uint8_t block[USTAR_BLOCK_BYTES];
	int r = RK_OK;

	for (size_t i = 0; i < blobs->count && r == RK_OK; i++) {
		receipt_tail_header(block, x, i);
		if ((r = put(w, BYTES_OF(block))) == RK_OK && (r = put_blob(w, blobs->fd[i], x->header->blobs[i]->len)) == RK_OK)
			r = put_zeros(w, receipt_tail_padding(x, i));
	}
	return r == RK_OK ? put_zeros(w, USTAR_END_BYTES) : r;
}

int evidence_write(int dir_fd, const char *name, struct bytes archive, struct receipt *x, struct arena *a, const struct evidence_blobs *blobs)
{
	struct writing w;
	int r, done;

	if (!x->has_attachments)
		return savefile_write(dir_fd, name, archive);
	if ((r = check_room(dir_fd, evidence_size(x, archive))) != RK_OK)
		return r;
	if ((w.tail = receipt_tail_new(x, a)) == NULL)
		return RK_ENOMEM;
	if ((r = savefile_begin(dir_fd, &w.file)) != RK_OK)
		return r;
	if ((r = savefile_append(&w.file, archive)) == RK_OK)
		r = put_attachments(&w, x, blobs);
	done = receipt_tail_end(w.tail);
	return savefile_finish(&w.file, name, r == RK_OK ? done : r);
}
