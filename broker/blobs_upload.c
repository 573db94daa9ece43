/* Attachments that grow: a bounded table of those that somebody is sending now.  All others are files with a row, and come back here with their
 * next part. */
#include "broker/blobs_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "broker/log.h"
#include "broker/metrics.h"
#include "proto/errcode.h"
#include "proto/ids.h"

#define LIE_MS 1000       /* what was written and not asked for is synced after this time */
#define FORGET_MS 600000  /* one that nobody sends any more gives its descriptor back */
#define HASH_AT_END_BYTES ((uint64_t)16 << 20) /* of an earlier run's bytes, hashed while somebody waits for the end */

static const char *id_text(char out[65], const uint8_t sha256[32])
{
	ids_hex(out, bytes_make(sha256, 32));
	out[16] = '\0';
	return out;
}

static struct blobs_upload *find(struct blobs *b, const uint8_t sha256[32])
{
	for (unsigned i = 0; i < BLOBS_UPLOADS; i++)
		if (b->uploads[i].is_used && memcmp(b->uploads[i].part.sha256, sha256, 32) == 0)
			return &b->uploads[i];
	return NULL;
}

static void forget(struct blobs_upload *u)
{
	blob_part_close(&u->part);
	*u = (struct blobs_upload){0};
}

/* A free place, or that of the one that has rested longest: its file stays. */
static struct blobs_upload *find_place(struct blobs *b)
{
	struct blobs_upload *oldest = &b->uploads[0];

	for (unsigned i = 0; i < BLOBS_UPLOADS; i++) {
		if (!b->uploads[i].is_used)
			return &b->uploads[i];
		if (b->uploads[i].touched_ms < oldest->touched_ms)
			oldest = &b->uploads[i];
	}
	forget(oldest);
	return oldest;
}

/* What of it can be trusted is nothing: it begins again. */
static int fail(struct blobs *b, struct blobs_upload *u, int code, const char *what)
{
	char id[65];

	metrics_add(M_BLOB_FAILED, 1);
	log_error("blobs", what, "blob=%s code=%s errno=%d", id_text(id, u->part.sha256), errcode_name(code), errno);
	(void)blob_part_restart(b->folder, &u->part);
	u->failure = code == RK_EDISKFULL ? RK_STORE_FULL : RK_BUSY;
	return u->failure;
}

/* A file system that could not set its room aside.  What is there stays: it was acknowledged. */
static int run_full(struct blobs_upload *u)
{
	char id[65];

	metrics_add(M_BLOB_FAILED, 1);
	log_error("blobs", "disk-full", "blob=%s written=%llu", id_text(id, u->part.sha256), (unsigned long long)u->part.written);
	u->failure = RK_STORE_FULL;
	return u->failure;
}

struct blobs_upload *blobs_upload_get(struct blobs *b, const uint8_t sha256[32], uint64_t len, int *failure)
{
	struct blobs_upload *u = find(b, sha256);
	char id[65];
	int r;

	/* One that failed in this turn is begun again in the next. */
	if (u != NULL && (u->failure != RK_OK || u->part.len == len)) {
		u->touched_ms = b->now_ms;
		return u;
	}
	if (u == NULL)
		u = find_place(b);
	else
		forget(u);
	if ((r = blob_part_open(b->folder, sha256, len, b->reserve, &u->part)) != RK_OK) {
		*failure = r == RK_EDISKFULL ? RK_STORE_FULL : RK_BUSY;
		log_warning("blobs", "not-begun", "blob=%s len=%llu code=%s", id_text(id, sha256), (unsigned long long)len,
		            errcode_name(r));
		return NULL;
	}
	u->is_used = true;
	u->touched_ms = b->now_ms;
	u->failure = RK_OK;
	/* What was there before counts as durable from a sync of this run on: it was told once, and must not be less now. */
	u->wants_sync = u->part.written > 0;
	return u;
}

int blobs_upload_write(struct blobs *b, struct blobs_upload *u, uint64_t offset, struct bytes part)
{
	struct blob_part *p = &u->part;
	uint64_t before = p->written;
	int r;

	if (u->failure != RK_OK)
		return u->failure;
	if (offset > p->len || part.len > p->len - offset)
		return RK_MALFORMED;
	if (offset > p->written)
		return RK_OUT_OF_ORDER;
	if ((r = blob_part_write(p, offset, part)) == RK_EDISKFULL)
		return run_full(u);
	if (r != RK_OK)
		return fail(b, u, r, "not-written");
	metrics_add(M_BLOB_IN_BYTES, p->written - before);
	if (p->written == p->len || p->written - p->synced >= BLOBS_GATHER_BYTES)
		u->wants_sync = true;
	return RK_OK;
}

/* Of what may be hashed in this turn, for all together: nobody's uploads keep the others' parts waiting. */
static int hash_some(struct blobs *b, struct blobs_upload *u, uint64_t limit)
{
	uint64_t before = u->part.hashed;
	int r = blob_part_hash(&u->part, limit < b->hash_left ? limit : b->hash_left);

	b->hash_left -= u->part.hashed - before;
	return r;
}

static void finish(struct blobs *b, struct blobs_upload *u)
{
	char id[65];
	int r = hash_some(b, u, HASH_AT_END_BYTES);

	if (r != RK_OK) {
		fail(b, u, r, "not-read");
		return;
	}
	/* After a restart of the broker in the middle of a large one it takes some time: `complete` comes with a later question. */
	if (u->part.hashed < u->part.len)
		return;
	r = blob_part_finish(b->folder, &u->part);
	if (r == RK_OK) {
		metrics_add(M_BLOB_COMPLETE, 1);
		log_info("blobs", "complete", "blob=%s len=%llu", id_text(id, u->part.sha256), (unsigned long long)u->part.len);
	} else if (r == RK_EINTEGRITY) {
		metrics_add(M_BLOB_WRONG, 1);
		log_warning("blobs", "wrong-hash", "blob=%s len=%llu", id_text(id, u->part.sha256), (unsigned long long)u->part.len);
		u->failure = RK_MALFORMED;
	} else {
		fail(b, u, r, "not-finished");
	}
}

static void settle(struct blobs *b, struct blobs_upload *u)
{
	int r;

	if (!u->part.is_whole && u->part.synced < u->part.written) {
		metrics_add(M_BLOB_SYNCS, 1);
		if ((r = blob_part_sync(&u->part)) != RK_OK)
			fail(b, u, r, "not-synced");
	}
	if (u->failure == RK_OK && !u->part.is_whole && u->part.written == u->part.len)
		finish(b, u);
}

void blobs_upload_settle(struct blobs *b)
{
	for (unsigned i = 0; i < BLOBS_UPLOADS; i++) {
		struct blobs_upload *u = &b->uploads[i];

		if (!u->is_used || !u->wants_sync)
			continue;
		u->wants_sync = false;
		if (u->failure == RK_OK)
			settle(b, u);
	}
}

bool blobs_upload_idle(struct blobs *b)
{
	unsigned used = 0;
	bool more = false;

	/* Each turn another one is the first to be hashed. */
	b->hash_first = (b->hash_first + 1) % BLOBS_UPLOADS;
	for (unsigned i = 0; i < BLOBS_UPLOADS; i++) {
		struct blobs_upload *u = &b->uploads[(b->hash_first + i) % BLOBS_UPLOADS];
		int r;

		if (!u->is_used)
			continue;
		/* Its commands of this turn have gone on. */
		if (u->failure != RK_OK || u->part.is_whole || b->now_ms - u->touched_ms > FORGET_MS) {
			forget(u);
			continue;
		}
		used++;
		if (u->part.synced < u->part.written && b->now_ms - u->touched_ms > LIE_MS)
			settle(b, u);
		if (u->failure == RK_OK && u->part.hashed < u->part.written &&
		    (r = hash_some(b, u, BLOB_HASH_SLICE_BYTES)) != RK_OK)
			fail(b, u, r, "not-read");
		more |= u->failure == RK_OK && u->part.hashed < u->part.written;
	}
	metrics_set(M_BLOB_PARTS, used);
	return more;
}

void blobs_upload_forget(struct blobs *b, const uint8_t sha256[32])
{
	struct blobs_upload *u = find(b, sha256);

	if (u != NULL)
		forget(u);
}

void blobs_upload_close_all(struct blobs *b)
{
	for (unsigned i = 0; i < BLOBS_UPLOADS; i++)
		if (b->uploads[i].is_used)
			forget(&b->uploads[i]);
}
