/*
 * link_download: one attachment on its way down, in order, into HOME/blobs/HEX.part.  The length on disk is how far it is; what a crash
 * has left there may be wrong, which its hash will show (client/cli looks at it before anything is decrypted).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/link_internal.h"
#include "proto/strict.h"

static int end_download(struct link *l, Rkl__FetchState state, int code)
{
	struct link_download *d = &l->blob.down;
	struct arena *a = arena_new(64 * 1024);
	Rkl__BlobRecord *record;
	struct txn *t;
	int r;

	client_log(l->c, "blob: fetch has ended: %s", errcode_name(code));
	blob_close(&d->w);
	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, true, &t)) != RK_OK)
		goto out;
	if ((r = attach_load_blob(t, d->key, a, &record)) == RK_OK && record->state == RKL__FETCH_STATE__WANTED) {
		record->state = state;
		record->code = code;
		r = attach_store_blob(t, d->key, record);
	}
	if (r == RK_OK)
		r = env_commit(t);
	else
		env_abort(t);
out:
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* Where it goes on; a file that is too long is none of ours. */
static int open_part(struct link *l)
{
	struct link_download *d = &l->blob.down;
	char name[SPOOL_NAME_CHARS];
	struct stat st;
	int dir_fd, r;

	if ((r = spool_open(l->c, &dir_fd)) != RK_OK)
		return r;
	spool_part_name(name, d->w.sha256);
	d->w.fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->w.fd < 0 || fstat(d->w.fd, &st) != 0)
		r = errno == ENOSPC ? RK_EDISKFULL : RK_EIO;
	else if ((uint64_t)st.st_size > d->w.len && ftruncate(d->w.fd, st.st_size = 0) != 0)
		r = RK_EIO;
	if (r == RK_OK) {
		d->length = d->w.next = (uint64_t)st.st_size;
		r = spool_check_room(dir_fd, d->w.len - d->length, SPOOL_SPARE_BYTES);
	}
	close(dir_fd);
	return r;
}

static int choose(struct link *l)
{
	struct link_download *d = &l->blob.down;
	struct arena *a = arena_new(64 * 1024);
	Rkl__BlobRecord *record;
	struct txn *t;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	memset(d->key, 0, sizeof(d->key));
	if ((r = env_begin(l->c->env, false, &t)) != RK_OK)
		goto out;
	r = attach_next_wanted(t, d->key, a, &record);
	env_abort(t);
	if (r != RK_OK) {
		r = r == RK_ENOTFOUND ? RK_OK : r;
		goto out;
	}
	memcpy(d->w.sha256, record->sha256.data, 32);
	d->w.len = record->len;
	d->w.active = true;
	if ((r = open_part(l)) != RK_OK)
		r = end_download(l, RKL__FETCH_STATE__REFUSED, r);
out:
	arena_free(a);
	return r;
}

static int still_active(struct link *l)
{
	struct link_download *d = &l->blob.down;
	struct arena *a;
	Rkl__BlobRecord *record;
	struct txn *t;
	int r;

	if (d->seen_txn == l->store_txn)
		return RK_OK;
	if ((a = arena_new(64 * 1024)) == NULL)
		return RK_ENOMEM;
	d->seen_txn = l->store_txn;
	if ((r = env_begin(l->c->env, false, &t)) == RK_OK) {
		r = attach_load_blob(t, d->key, a, &record);
		if (r == RK_ENOTFOUND || (r == RK_OK && record->state != RKL__FETCH_STATE__WANTED))
			blob_close(&d->w);
		env_abort(t);
	}
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int send_fetches(struct link *l)
{
	struct link_download *d = &l->blob.down;

	while (d->w.flight_count < BLOB_FETCHES_MAX && d->w.next < d->w.len && send_token_bulk(l)) {
		uint64_t left = d->w.len - d->w.next;
		uint32_t len = left < BLOB_FETCH_BYTES ? (uint32_t)left : BLOB_FETCH_BYTES;
		struct blob_flight *f = blob_fly(l, &d->w, d->w.next, len);
		Rk__Request q = RK__REQUEST__INIT;
		Rk__Fetch fetch = RK__FETCH__INIT;
		int r;

		fetch.env_id = pb_of(bytes_make(d->key, 32));
		fetch.blob = d->key[32] + 1u;
		fetch.offset = f->offset;
		fetch.len = len;
		q.op = RK__OP__OP_FETCH;
		q.tag = f->tag;
		q.fetch = &fetch;
		if ((r = wire_request(l->wire, &q, (struct bytes){0})) != RK_OK) {
			d->w.flight_count--;
			return r == RK_BUSY ? RK_OK : r;
		}
		d->w.next += len;
	}
	return RK_OK;
}

int download_tick(struct link *l)
{
	struct link_download *d = &l->blob.down;
	int r;

	if (d->w.active && (r = still_active(l)) != RK_OK)
		return r;
	if (blob_is_resting(l, &d->w))
		return RK_OK;
	if (!d->w.active && (r = choose(l)) != RK_OK)
		return r;
	if (!d->w.active)
		return RK_OK;
	if (d->length == d->w.len)
		return end_download(l, RKL__FETCH_STATE__FETCHED, fsync(d->w.fd) == 0 ? RK_OK : RK_EIO);
	if (blob_is_late(&d->w, BLOB_ANSWER_MS)) {
		blob_trouble(l, &d->w, "no answer to what was asked");
		d->w.next = d->length;
		link_again(l, 0);
		return RK_OK;
	}
	return monotonic_ms() < d->w.not_before ? RK_OK : send_fetches(l);
}

/* ---- answers */

static int trouble(struct link *l, const char *what)
{
	struct link_download *d = &l->blob.down;
	bool is_awaited = l->o->until_blobs != NULL && memcmp(l->o->until_blobs, d->key, 32) == 0;

	blob_trouble(l, &d->w, what);
	d->w.next = d->length;
	return d->w.troubles >= BLOB_TROUBLES_MAX && is_awaited ? RK_MALFORMED : RK_OK;
}

/* Bytes of just this place, as many as were asked for. */
static bool is_asked(const struct link_download *d, const Rk__FetchReply *f, const struct incoming *in, const struct blob_flight *flight)
{
	return f != NULL && bytes_equal(bytes_of(f->env_id), bytes_make(d->key, 32)) && f->blob == d->key[32] + 1u &&
	       f->offset == flight->offset && f->total == d->w.len && in->frame_count == 1 && in->frames[0].len == flight->len;
}

static int write_part(struct link_download *d, struct bytes part)
{
	while (part.len > 0) {
		ssize_t n = pwrite(d->w.fd, part.data, part.len, (off_t)d->length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return errno == ENOSPC || errno == EDQUOT ? RK_EDISKFULL : RK_EIO;
		d->length += (uint64_t)n;
		part = bytes_make(part.data + n, part.len - (size_t)n);
	}
	return RK_OK;
}

int download_on_reply(struct link *l, const Rk__Reply *reply, struct incoming *in, const struct blob_flight *f)
{
	struct link_download *d = &l->blob.down;
	int code = (int)reply->code, r;

	if (blob_is_busy(code)) {
		blob_rest(&d->w);
		d->w.next = d->length;
		return RK_OK;
	}
	/* The gate, or no such thing: what is here stays, nothing more comes. */
	if (code != RK_OK)
		return end_download(l, RKL__FETCH_STATE__REFUSED, code);
	if (!is_asked(d, reply->fetch, in, f))
		return trouble(l, "bytes that were not asked for");
	if (f->offset != d->length)
		return trouble(l, "parts out of order");
	if ((r = write_part(d, in->frames[0])) != RK_OK)
		return end_download(l, RKL__FETCH_STATE__REFUSED, r);
	d->w.troubles = 0;
	return RK_OK;
}
