/*
 * link_upload: one attachment on its way up.
 *
 *   no record opened     BLOB_OPEN is queued, like any numbered request; the next one that is opened becomes the active one
 *   must_ask             a BLOB_PUT without bytes asks how far the broker is
 *   sending              parts from there on, BLOB_PUTS_MAX in flight; whatever goes wrong ends in must_ask
 *   complete             written down; with the last one of its item, the item is sealed (link_send.c)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/link_internal.h"
#include "proto/strict.h"

#define NOTE_MS 1000       /* how often `have` is written down: people look at it, nothing depends on it */
#define DENIALS_MAX 2      /* the file was looked at again by then, and it is not the file */
#define ASK_AGAIN_MS 100   /* all was sent, and not all of it is durable yet … */
#define ASK_AGAIN_MAX_MS 5000 /* … nor after many questions: a broker that hashes after a restart, or one that never says `complete` */

/* ---- the store */

/* Ends the item that waits for this upload, with the code that people are told. */
static int end_item(struct link *l, uint64_t id, int code)
{
	struct arena *a = arena_new(0);
	Rkl__OutboxItem *item;
	struct txn *t;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, true, &t)) != RK_OK)
		goto out;
	r = outbox_load(t, id, a, &item);
	if (r == RK_OK && item->state != RKL__ITEM_STATE__DONE)
		r = settle_end(l, t, item, code, client_now(l->c));
	else if (r == RK_ENOTFOUND)
		r = RK_OK;
	if (r == RK_OK)
		r = env_commit(t);
	else
		env_abort(t);
out:
	arena_free(a);
	return r;
}

static int end_upload(struct link *l, int code)
{
	uint64_t item = get_u64be(l->blob.up.key);

	client_log(l->c, "blob: upload of item %llu has ended: %s", (unsigned long long)item, errcode_name(code));
	blob_close(&l->blob.up.w);
	return end_item(l, item, code);
}

/* One change of the active record. */
enum change { NOTE_HAVE, NOTE_COMPLETE, NOTE_UNOPENED, NOTE_DENIED };

static int change_record(struct link *l, enum change what, uint32_t *denials)
{
	struct link_upload *u = &l->blob.up;
	struct arena *a = arena_new(64 * 1024);
	Rkl__UploadRecord *record;
	struct txn *t;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, true, &t)) != RK_OK)
		goto out;
	if ((r = attach_load_upload(t, u->key, a, &record)) == RK_OK) {
		record->moved_at = u->have > record->have ? client_now(l->c) : record->moved_at;
		record->have = u->have;
		record->complete = what == NOTE_COMPLETE;
		record->denials += what == NOTE_DENIED;
		if (what == NOTE_UNOPENED || what == NOTE_DENIED)
			record->opened_at = 0;
		if (denials != NULL)
			*denials = record->denials;
		r = attach_store_upload(t, u->key, record);
	}
	/* Taken back meanwhile, by another process: upload_tick finds that out. */
	if (r == RK_OK)
		r = env_commit(t);
	else
		env_abort(t);
	u->noted = u->have;
	u->noted_at = monotonic_ms();
out:
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* ---- who is next */

struct choice {
	int64_t now_ms;
	bool is_ready, must_open;
	uint8_t key[ATTACH_UPLOAD_KEY_BYTES];
	Rkl__UploadRecord *record;
};

static bool is_open(const Rkl__UploadRecord *record, int64_t now_ms)
{
	return record->opened_at != 0 && now_ms - record->opened_at < ATTACH_REOPEN_MS && record->opened_at <= now_ms;
}

static int look_at(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	struct choice *c = user;
	bool ready = !record->complete && record->open_item == 0 && is_open(record, c->now_ms);

	/* The first that can go on; else the first that must be opened. */
	if (record->complete || record->open_item != 0 || (!ready && c->must_open))
		return RK_OK;
	memcpy(c->key, key, sizeof(c->key));
	c->record = record;
	c->is_ready = ready;
	c->must_open = !ready;
	return ready ? RK_EEXISTS : RK_OK;
}

static int queue_open(struct link *l, const struct choice *c, struct arena *a)
{
	Rkl__UploadRecord *record;
	struct txn *t;
	int r;

	if ((r = env_begin(l->c->env, true, &t)) != RK_OK)
		return r;
	if ((r = attach_load_upload(t, c->key, a, &record)) == RK_OK)
		r = attach_open(l->c, t, c->key, record);
	if (r == RK_OK)
		return env_commit(t);
	env_abort(t);
	return r == RK_ENOTFOUND || r == RK_QUOTA ? RK_OK : r; /* taken back; or a full outbox: later */
}

/* The file, whole and of the length that was promised; else it is lost, and with it the envelope that would name it. */
static int activate(struct link *l, const struct choice *c)
{
	struct link_upload *u = &l->blob.up;
	char name[SPOOL_NAME_CHARS];
	struct stat st;
	int dir_fd, r;

	if (c->record->sha256.len != 32)
		return RK_ESTORE;
	blob_close(&u->w);
	memcpy(u->key, c->key, sizeof(u->key));
	memcpy(u->w.sha256, c->record->sha256.data, 32);
	u->w.len = c->record->len;
	u->have = u->best = u->noted = 0;
	u->noted_at = monotonic_ms();
	u->asked = 0;
	u->must_ask = true;
	if ((r = spool_open(l->c, &dir_fd)) != RK_OK)
		return r;
	spool_name(name, u->w.sha256);
	u->w.fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	close(dir_fd);
	if (u->w.fd < 0 || fstat(u->w.fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != u->w.len)
		return end_upload(l, RK_EINTEGRITY);
	u->w.active = true;
	return RK_OK;
}

static int choose(struct link *l)
{
	struct choice c = {.now_ms = client_now(l->c)};
	struct arena *a = arena_new(64 * 1024);
	struct txn *t;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, false, &t)) != RK_OK)
		goto out;
	r = attach_each_upload(t, a, look_at, &c);
	env_abort(t);
	if (r == RK_OK && c.is_ready)
		r = activate(l, &c);
	else if (r == RK_OK && c.must_open)
		r = queue_open(l, &c, a);
out:
	arena_free(a);
	return r;
}

/* Is the active one still wanted, and still open?  Looked at when the store has changed. */
static int still_active(struct link *l)
{
	struct link_upload *u = &l->blob.up;
	struct arena *a;
	Rkl__UploadRecord *record;
	struct txn *t;
	int r;

	if (u->seen_txn == l->store_txn && client_now(l->c) < u->open_until)
		return RK_OK;
	if ((a = arena_new(64 * 1024)) == NULL)
		return RK_ENOMEM;
	u->seen_txn = l->store_txn;
	if ((r = env_begin(l->c->env, false, &t)) == RK_OK) {
		r = attach_load_upload(t, u->key, a, &record);
		if (r == RK_OK)
			u->open_until = record->opened_at + ATTACH_REOPEN_MS;
		if (r == RK_ENOTFOUND || (r == RK_OK && (record->complete || !is_open(record, client_now(l->c)))))
			blob_close(&u->w);
		env_abort(t);
	}
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* ---- sending */

static int send_put(struct link *l, uint64_t offset, uint32_t len)
{
	struct link_upload *u = &l->blob.up;
	Rk__Request q = RK__REQUEST__INIT;
	Rk__BlobPut put = RK__BLOB_PUT__INIT;
	struct blob_flight *f;
	uint32_t have = 0;
	int r;

	while (have < len) {
		ssize_t n = pread(u->w.fd, u->part + have, len - have, (off_t)(offset + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return end_upload(l, n < 0 ? RK_EIO : RK_EINTEGRITY);
		have += (uint32_t)n;
	}
	put.sha256 = pb_of(BYTES_OF(u->w.sha256));
	put.offset = offset;
	f = blob_fly(l, &u->w, offset, len);
	q.op = RK__OP__OP_BLOB_PUT;
	q.tag = f->tag;
	q.blob_put = &put;
	if ((r = wire_request_bulk(l->wire, &q, bytes_make(u->part, len))) == RK_OK)
		return r;
	u->w.flight_count--;
	return r;
}

/* Nothing to do but to ask again, each time a little later. */
static void ask_later(struct link_upload *u)
{
	int64_t ms = (int64_t)ASK_AGAIN_MS << (u->asked < 6 ? u->asked : 6);

	u->asked++;
	u->w.not_before = monotonic_ms() + (ms < ASK_AGAIN_MAX_MS ? ms : ASK_AGAIN_MAX_MS);
}

static int send_parts(struct link *l)
{
	struct link_upload *u = &l->blob.up;
	int r = RK_OK;

	if (u->part == NULL && (u->part = malloc(BLOB_PART_BYTES)) == NULL)
		return RK_ENOMEM;
	if (u->must_ask) {
		if (u->w.flight_count > 0 || !send_token_bulk(l))
			return RK_OK;
		u->must_ask = false;
		return send_put(l, 0, 0);
	}
	/* A question is out, or all is on its way. */
	if (u->w.flight_count > 0 && u->w.flight[0].len == 0)
		return RK_OK;
	while (r == RK_OK && u->w.active && u->w.flight_count < BLOB_PUTS_MAX && u->w.next < u->w.len) {
		uint64_t left = u->w.len - u->w.next;
		uint32_t len = left < BLOB_PART_BYTES ? (uint32_t)left : BLOB_PART_BYTES;

		if (!pace_may_send(l, len))
			break;
		if ((r = send_put(l, u->w.next, len)) == RK_OK)
			u->w.next += len;
	}
	/* Everything is answered, and it is not complete: what is not durable yet will be. */
	if (r == RK_OK && u->w.active && u->w.flight_count == 0 && u->w.next == u->w.len) {
		u->must_ask = true;
		ask_later(u);
	}
	return r;
}

/* The verb that waits for this item learns that it makes no sense to; for anybody else the pauses are long by now. */
static int trouble(struct link *l, const char *what, unsigned max, int code)
{
	struct link_upload *u = &l->blob.up;

	blob_trouble(l, &u->w, what);
	u->must_ask = true;
	return u->w.troubles >= max && l->o->until_item == get_u64be(u->key) ? code : RK_OK;
}

/* Parts are asked about; where not even a question is answered, the session is. */
static int on_silence(struct link *l)
{
	struct link_upload *u = &l->blob.up;
	bool is_question = u->w.flight[0].len == 0;

	pace_down(u);
	if (is_question)
		link_again(l, 0);
	return trouble(l, is_question ? "no answer to a question" : "no answer to a part", BLOB_LOSSES_MAX, RK_ETIMEOUT);
}

int upload_tick(struct link *l)
{
	struct link_upload *u = &l->blob.up;
	int r;

	if (u->w.active && (r = still_active(l)) != RK_OK)
		return r;
	if (blob_is_resting(l, &u->w))
		return RK_OK;
	if (!u->w.active && (r = choose(l)) != RK_OK)
		return r;
	if (!u->w.active)
		return RK_OK;
	if (blob_is_late(&u->w, BLOB_ANSWER_MS) || (blob_is_late(&u->w, pace_lost_after_ms(u)) && u->w.flight[0].len > 0))
		return on_silence(l);
	if (monotonic_ms() < u->w.not_before)
		return RK_OK;
	r = send_parts(l);
	if (r == RK_BUSY) {
		u->must_ask |= u->w.flight_count == 0;
		return RK_OK;
	}
	if (r != RK_OK || u->have <= u->noted || monotonic_ms() - u->noted_at < NOTE_MS)
		return r;
	return change_record(l, NOTE_HAVE, NULL);
}

/* ---- answers */

/* A `have` that can be, of the upload that it is about.  Only the answer to a question may be less than what was told before. */
static const char *what_is_wrong(const struct link_upload *u, const Rk__BlobReply *b, bool was_asked)
{
	if (b == NULL || !bytes_equal(bytes_of(b->sha256), BYTES_OF(u->w.sha256)))
		return "an answer about another blob";
	if (b->have > u->w.len)
		return "more bytes than there are";
	if (b->complete && b->have != u->w.len)
		return "complete, and not all of it";
	if (!was_asked && b->have < u->have)
		return "durable bytes that are gone";
	return NULL;
}

static int on_have(struct link *l, const Rk__BlobReply *b, const struct blob_flight *f)
{
	struct link_upload *u = &l->blob.up;
	bool was_asked = f->len == 0;
	const char *wrong = what_is_wrong(u, b, was_asked);

	if (wrong != NULL)
		return trouble(l, wrong, BLOB_TROUBLES_MAX, RK_MALFORMED);
	u->have = b->have;
	if (u->have > u->best) {
		u->best = u->have;
		u->asked = 0;
		u->w.troubles = 0;
	}
	/* Only an answer to a question moves the place from which is sent: all else that is in flight is behind it. */
	if (was_asked) {
		u->w.next = u->have;
		pace_begin(u);
	} else {
		pace_passed(u, f);
	}
	if (u->have > u->w.next)
		return trouble(l, "bytes that were not sent", BLOB_TROUBLES_MAX, RK_MALFORMED);
	if (!b->complete) {
		/* All there, and not what was promised?  The broker says that in words of its own; until then it is counting. */
		if (was_asked && u->have == u->w.len)
			ask_later(u);
		return RK_OK;
	}
	blob_close(&u->w);
	return change_record(l, NOTE_COMPLETE, NULL);
}

/* "Did not hash right": either our file has changed, or it was damaged on the way; looked at here, the broker only says so. */
static int on_denied(struct link *l)
{
	uint32_t denials = 0;
	int r;

	l->blob.up.have = l->blob.up.best = 0;
	if ((r = change_record(l, NOTE_DENIED, &denials)) != RK_OK)
		return r;
	if (denials > DENIALS_MAX || spool_prove(l->blob.up.w.fd, l->blob.up.w.sha256, l->blob.up.w.len, NULL, NULL) != RK_OK)
		return end_upload(l, RK_EINTEGRITY);
	blob_close(&l->blob.up.w);
	return RK_OK;
}

int upload_on_reply(struct link *l, const Rk__Reply *reply, const struct blob_flight *f)
{
	struct link_upload *u = &l->blob.up;
	int code = (int)reply->code;

	if (code == RK_OK)
		return on_have(l, reply->blob, f);
	if (blob_is_busy(code)) {
		blob_rest(&u->w);
		u->must_ask = true;
		return RK_OK;
	}
	switch (code) {
	case RK_OUT_OF_ORDER:
		pace_down(u);
		return trouble(l, "a part left a gap", BLOB_LOSSES_MAX, RK_OUT_OF_ORDER);
	case RK_UNKNOWN_OBJECT:
		blob_trouble(l, &u->w, "the upload is not open");
		if (u->reopened++ >= BLOB_TROUBLES_MAX && u->best == 0)
			return end_upload(l, code);
		blob_close(&u->w);
		return change_record(l, NOTE_UNOPENED, NULL);
	case RK_MALFORMED:
		if (reply->blob != NULL && reply->blob->have == 0)
			return on_denied(l);
		return end_upload(l, code);
	default:
		return end_upload(l, code);
	}
}
