/* downloader: see downloader.h. */
#include "tests/unit/downloader.h"

#include <stdio.h>
#include <time.h>

#include <sodium.h>

int64_t downloader_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_delivery(void *user, const Rk__Delivery *d, const struct bytes *frames, size_t n)
{
	struct downloader *w = user;

	(void)frames;
	(void)n;
	w->heard_ms = downloader_now_ms();
	w->after_quiet += w->is_quiet;
	if (d->stream->type == RK__STREAM_TYPE__STREAM_CHANNEL && d->seq > w->channel_seq)
		w->channel_seq = d->seq;
	w->mailbox_count += d->stream->type == RK__STREAM_TYPE__STREAM_MAILBOX;
}

static void on_reply(void *user, const Rk__Reply *r, const struct bytes *frames, size_t n)
{
	struct downloader *w = user;

	w->heard_ms = downloader_now_ms();
	w->after_quiet += w->is_quiet && r->code != RK_REVOKED;
	for (unsigned i = 0; i < w->asked_count; i++) {
		struct asked *q = &w->asked[i];

		if (q->tag != r->tag || q->is_answered)
			continue;
		q->is_answered = true;
		q->code = (int)r->code;
		q->seq = r->seq;
		w->open_count -= !q->is_late;
		if (q->is_part)
			w->is_part_under_way = false;
		if (r->code == RK_OK && q->is_part && r->blob != NULL) {
			w->blob_have = r->blob->have;
			atomic_fetch_add(&w->got_parts, 1);
		}
		if (r->code == RK_OK && q->is_post)
			atomic_fetch_add(&w->got_acks, 1);
		if (r->code == RK_OK && q->is_piece && n > 0 && frames[n - 1].len == DOWNLOADER_PART_BYTES)
			atomic_fetch_add(&w->got_pieces, 1);
		else if (r->code == RK_OK && !q->is_post && n > 0 && frames[n - 1].len > DOWNLOADER_BODY_BYTES / 2)
			atomic_fetch_add(&w->got_bulk, 1);
		return;
	}
}

/* is_late: the acknowledgement was known before this is sent. */
static struct asked *new_asked(struct downloader *w, bool is_late)
{
	struct asked *q = &w->asked[w->asked_count++];

	exchange_need(w->asked_count < DOWNLOADER_ASKED, "room for what was asked");
	*q = (struct asked){.is_late = is_late};
	w->open_count += !q->is_late;
	w->late_count += q->is_late;
	return q;
}

static void ask_fetch(struct downloader *w, bool is_late)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Fetch fetch = RK__FETCH__INIT;
	struct asked *q = new_asked(w, is_late);

	fetch.env_id = (ProtobufCBinaryData){32, w->env_id};
	r.op = RK__OP__OP_FETCH;
	r.fetch = &fetch;
	q->tag = rawpeer_post(w->peer, &r, NULL, 0);
}

/* Of the attachment, one place after the other, and round again. */
static void ask_piece(struct downloader *w, bool is_late)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Fetch fetch = RK__FETCH__INIT;
	struct asked *q = new_asked(w, is_late);

	q->is_piece = true;
	fetch.env_id = (ProtobufCBinaryData){32, w->attached};
	fetch.blob = 1;
	fetch.offset = (uint64_t)w->asked_count * DOWNLOADER_PART_BYTES % DOWNLOADER_ATTACHED_BYTES;
	fetch.len = DOWNLOADER_PART_BYTES;
	r.op = RK__OP__OP_FETCH;
	r.fetch = &fetch;
	q->tag = rawpeer_post(w->peer, &r, NULL, 0);
}

static void ask_post(struct downloader *w, bool is_late)
{
	struct member_post *post = &w->posts[w->posted];
	Rk__Request r = RK__REQUEST__INIT;
	struct asked *q = new_asked(w, is_late);

	q->is_post = true;
	q->post = w->posted++;
	r.op = RK__OP__OP_SUBMIT;
	r.head = post->signed_head;
	r.writer_epoch = (ProtobufCBinaryData){8, (uint8_t *)(uintptr_t)rawpeer_epoch(w->peer)};
	r.number = rawpeer_number(w->peer) + w->posted;
	q->tag = rawpeer_post(w->peer, &r, &post->body, 1);
}

static void ask_part(struct downloader *w, bool is_late)
{
	static const uint8_t part[DOWNLOADER_PART_BYTES];
	struct bytes frame = BYTES_OF(part);
	Rk__Request r = RK__REQUEST__INIT;
	Rk__BlobPut put = RK__BLOB_PUT__INIT;
	struct asked *q = new_asked(w, is_late);

	q->is_part = w->is_part_under_way = true;
	put.sha256 = (ProtobufCBinaryData){32, w->blob};
	put.offset = w->blob_have;
	r.op = RK__OP__OP_BLOB_PUT;
	r.blob_put = &put;
	q->tag = rawpeer_post(w->peer, &r, &frame, 1);
}

/* Its first numbered request. */
static void open_upload(struct downloader *w)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__BlobOpen open = RK__BLOB_OPEN__INIT;

	open.nda_id = (ProtobufCBinaryData){32, w->nda_id};
	open.sha256 = (ProtobufCBinaryData){32, w->blob};
	open.len = DOWNLOADER_BLOB_BYTES;
	r.op = RK__OP__OP_BLOB_OPEN;
	r.blob_open = &open;
	exchange_must(rawpeer_numbered(w->peer, &r, NULL, 0, NULL), "opening an upload");
}

static void subscribe_mailbox(struct downloader *w)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Subscribe sub = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_MAILBOX;
	id.org_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)client_org_id(w->m.client)};
	sub.stream = &id;
	r.op = RK__OP__OP_SUBSCRIBE;
	r.subscribe = &sub;
	exchange_must(rawpeer_call(w->peer, &r, NULL, 0, NULL), "subscribing to the mailbox");
}

bool downloader_is_under_way(const struct downloader *w)
{
	return atomic_load(&w->got_bulk) >= 3 && atomic_load(&w->got_acks) >= 3 && atomic_load(&w->got_parts) >= 3 &&
	       atomic_load(&w->got_pieces) >= 3;
}

/* May it ask for something more now? */
static bool may_ask(const struct downloader *w, bool is_late)
{
	if (is_late)
		return w->late_count < DOWNLOADER_LATE_ASKS && (!w->is_silent || w->is_quiet);
	if (w->is_silent && downloader_is_under_way(w))
		return false;
	return w->open_count < DOWNLOADER_DEPTH && w->asked_count < DOWNLOADER_ASKED - DOWNLOADER_LATE_ASKS - 1;
}

void *downloader_run(void *user)
{
	struct downloader *w = user;

	rawpeer_on_delivery(w->peer, on_delivery, w);
	rawpeer_on_reply(w->peer, on_reply, w);
	exchange_must(rawpeer_hello(w->peer), "hello");
	exchange_must(rawpeer_subscribe(w->peer, RK__CHANNEL__OFFER, 0, NULL), "subscribing");
	subscribe_mailbox(w);
	open_upload(w);
	exchange_must(rawpeer_credit(w->peer, 4000, 64 * 1024 * 1024), "credit");
	while (!atomic_load(&w->stop)) {
		bool is_late = atomic_load(&w->acked);

		while (may_ask(w, is_late)) {
			if (w->asked_count % 3 == 2 && !w->is_part_under_way)
				ask_part(w, is_late);
			else if (w->asked_count % 2 == 0 && w->posted < DOWNLOADER_POSTS)
				ask_post(w, is_late);
			else if (w->asked_count % 4 == 1)
				ask_piece(w, is_late);
			else
				ask_fetch(w, is_late);
		}
		rawpeer_listen(w->peer, 1);
		if (is_late && !w->is_quiet && downloader_now_ms() - w->heard_ms > DOWNLOADER_QUIET_MS)
			w->is_quiet = true;
	}
	return NULL;
}

void downloader_prepare(struct downloader *w, struct exchange *x, unsigned home, const uint8_t nda_id[32], const uint8_t env_id[32],
                        const uint8_t attached[32], struct arena *a)
{
	struct client *c = exchange_client(x, home);
	Rk__Directory *directory;
	Rk__FeedEpoch *epoch;
	struct bytes pk;
	struct txn *t;

	memcpy(w->env_id, env_id, 32);
	memcpy(w->attached, attached, 32);
	memcpy(w->nda_id, nda_id, 32);
	randombytes_buf(w->blob, sizeof(w->blob));
	w->m.client = c;
	w->m.arena = a;
	snprintf(w->m.endpoint, sizeof(w->m.endpoint), "%s", x->broker.endpoint);
	exchange_must(keys_unlock(c, KEY_DEVICE), "the device's key");
	exchange_must(env_begin(client_env(c), false, &t), "begin");
	exchange_must(meta_get(t, META_BROKER_PK, &pk), "broker key");
	memcpy(w->m.broker_pk, pk.data, 32);
	exchange_must(book_directory(c, t, a, &directory, NULL), "directory");
	exchange_must(book_epoch(c, t, 0, a, &epoch, NULL), "epoch");
	exchange_must(book_epoch_key(c, t, epoch->n, w->m.ek), "epoch key");
	w->m.directory_serial = directory->serial;
	w->m.epoch = epoch->n;
	env_abort(t);
	keys_curve_pk(c, w->m.curve_pk);
	for (unsigned i = 0; i < DOWNLOADER_POSTS; i++) {
		arena_raise(a, 64 * 1024);
		member_seal(&w->m, exchange_now(), 900, a, &w->posts[i]);
	}
	w->peer = member_connect(&w->m);
}
