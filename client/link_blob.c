/* link_blob: what uploads and downloads share: requests in flight, pauses, and who is next. */
#include <stdlib.h>
#include <unistd.h>

#include "client/link_internal.h"

#define PAUSE_FIRST_MS 100
#define REST_MS 250
#define PAUSE_MAX_MS 60000
#define LOOK_MS 1000         /* dates pass without a commit: an upload is to be opened again, a pause is over */

void blob_init(struct link_blob *b)
{
	memset(b, 0, sizeof(*b));
	b->up.w.fd = b->down.w.fd = -1;
}

void blob_close(struct blob_way *w)
{
	if (w->fd >= 0)
		close(w->fd);
	*w = (struct blob_way){.fd = -1};
}

void blob_end(struct link_blob *b)
{
	blob_close(&b->up.w);
	blob_close(&b->down.w);
	free(b->up.part);
}

void blob_forget(struct link *l)
{
	l->blob.up.w.flight_count = 0;
	l->blob.up.must_ask = true;
	l->blob.down.w.flight_count = 0;
	l->blob.down.w.next = l->blob.down.length;
	l->blob.scanned_txn = l->blob.up.w.idle_txn = l->blob.down.w.idle_txn = 0;
}

/* ---- flights */

bool blob_land(struct blob_way *w, uint64_t tag, struct blob_flight *out)
{
	for (size_t i = 0; i < w->flight_count; i++) {
		struct blob_flight *f = &w->flight[i];

		if (f->tag != tag)
			continue;
		*out = *f;
		memmove(f, f + 1, (w->flight_count - i - 1) * sizeof(*f));
		w->flight_count--;
		return true;
	}
	return false;
}

struct blob_flight *blob_fly(struct link *l, struct blob_way *w, uint64_t offset, uint32_t len)
{
	struct blob_flight *f = &w->flight[w->flight_count++];

	*f = (struct blob_flight){.tag = link_tag(l), .offset = offset, .len = len, .sent_at = monotonic_ms()};
	return f;
}

bool blob_is_late(const struct blob_way *w, int64_t ms)
{
	return w->flight_count > 0 && monotonic_ms() - w->flight[0].sent_at > ms;
}

static void pause_for(struct blob_way *w)
{
	int64_t pause = w->troubles < 10 ? (int64_t)PAUSE_FIRST_MS << w->troubles : PAUSE_MAX_MS;

	w->not_before = monotonic_ms() + (pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
}

void blob_trouble(struct link *l, struct blob_way *w, const char *what)
{
	client_log(l->c, "blob: %s; trouble %u in a row", what, w->troubles + 1);
	w->flight_count = 0;
	pause_for(w);
	w->troubles++;
}

/* Not a trouble: the broker is well, and others come before us.  The pauses are short, for its patience grows by the millisecond. */
void blob_rest(struct blob_way *w)
{
	w->flight_count = 0;
	w->not_before = monotonic_ms() + REST_MS;
}

bool blob_is_busy(int code)
{
	return code == RK_RATE_LIMITED || code == RK_BUSY || code == RK_MOVING;
}

/* ---- the link's part */

bool blob_is_resting(const struct link *l, struct blob_way *w)
{
	int64_t now = monotonic_ms();

	if (w->active)
		return false;
	/* Another process may have queued or taken back something; without a commit there is nothing new but the time. */
	if (w->idle_txn != 0 && w->idle_txn == l->store_txn && now - w->idle_at < LOOK_MS)
		return true;
	w->idle_txn = l->store_txn;
	w->idle_at = now;
	return false;
}

int blob_tick(struct link *l)
{
	int r;

	if (l->must_sweep)
		spool_sweep(l->c);
	l->must_sweep = false;
	if (l->read_only || l->must_again)
		return RK_OK;
	if ((r = upload_tick(l)) != RK_OK || l->state != LINK_UP)
		return r;
	return download_tick(l);
}

int blob_on_reply(struct link *l, const Rk__Reply *reply, struct incoming *in, bool *taken)
{
	struct link_blob *b = &l->blob;
	struct blob_flight f;
	int code = (int)reply->code;
	bool is_up = blob_land(&b->up.w, reply->tag, &f);

	if (!is_up && !blob_land(&b->down.w, reply->tag, &f))
		return RK_OK;
	*taken = true;
	/* The session is at fault, not the blob: HELLO again, then everything goes on. */
	if (code == RK_GENERATION || code == RK_READ_ONLY) {
		link_again(l, code == RK_GENERATION ? 50 : 1000);
		return RK_OK;
	}
	return is_up ? upload_on_reply(l, reply, &f) : download_on_reply(l, reply, in, &f);
}

struct idle {
	bool idle;
};

static int see_upload(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	(void)key;
	if (!record->complete)
		((struct idle *)user)->idle = false;
	return record->complete ? RK_OK : RK_EEXISTS;
}

int blob_is_idle(struct link *l, bool *idle)
{
	uint8_t key[ATTACH_BLOB_KEY_BYTES] = {0};
	struct arena *a = arena_new(64 * 1024);
	struct idle s = {.idle = true};
	Rkl__BlobRecord *wanted;
	struct txn *t;
	int r;

	*idle = false;
	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, false, &t)) == RK_OK) {
		r = attach_each_upload(t, a, see_upload, &s);
		if (r == RK_OK && s.idle && (r = attach_next_wanted(t, key, a, &wanted)) == RK_OK)
			s.idle = false;
		env_abort(t);
	}
	arena_free(a);
	*idle = s.idle;
	return r == RK_ENOTFOUND ? RK_OK : r;
}
