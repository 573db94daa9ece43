/*
 * load_renkei: load for renkeid (--path: its folder, filled by crowd).  Posts are sealed before anything is timed.  Devices 0 to n - 1
 * subscribe, with ACK and credit as a home gives them; the next --writers devices publish, since one may have 256 unanswered; then --stuck
 * ones that subscribe and give no credit, and --idle ones that only said HELLO.  What arrives is counted by its number in the stream; with
 * one writer that is the number of the post.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/bundle.h"
#include "proto/errcode.h"
#include "proto/strict.h"
#include "tests/bench/crowd_kit.h"
#include "tests/bench/load_kit.h"
#include "tests/bench/zmq_kit.h"

#define UNANSWERED_MAX 256
#define CREDIT_ENTRIES 2048u   /* given anew at half of it */
#define CREDIT_BYTES (16u << 20)
#define ACK_EVERY 128

struct writer {
	uint8_t epoch[8];
	uint64_t sent, answered;
	struct bundle out;
};

struct reader {
	uint64_t taken;           /* since the last credit */
};

struct run {
	struct load l;
	struct crowd crowd;
	struct peers *peers;
	struct arena *arena;      /* posts */
	struct arena *scratch;    /* one message */
	struct crowd_post *posts; /* number i is writer i % writers' next */
	struct writer *writers;
	struct reader *readers;
	unsigned greeted, subscribed;
	uint64_t head;            /* of the stream, before the first post */
};

static unsigned first_writer(const struct run *r)
{
	return r->l.subscribers;
}

static unsigned first_stuck(const struct run *r)
{
	return first_writer(r) + r->l.writers;
}

static void request(struct run *r, unsigned peer, Rk__Request *q)
{
	uint8_t packed[512];
	struct bytes frame;

	q->protocol = 1;
	if (rk__request__get_packed_size(q) > sizeof(packed))
		load_die(&r->l, "a request of %zu bytes", rk__request__get_packed_size(q));
	frame = bytes_make(packed, rk__request__pack(q, packed));
	peers_send(r->peers, peer, &frame, 1);
}

static void hello(struct run *r, unsigned peer, uint8_t epoch[8])
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Hello h = RK__HELLO__INIT;

	randombytes_buf(epoch, 8);
	h.protocol_min = h.protocol_max = 1;
	h.bundles = true;
	q.op = RK__OP__OP_HELLO;
	q.tag = 1;
	q.hello = &h;
	q.writer_epoch = (ProtobufCBinaryData){8, epoch};
	request(r, peer, &q);
}

static void subscribe(struct run *r, unsigned peer, uint64_t cursor, uint64_t tag)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Subscribe s = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = RK__CHANNEL__OFFER;
	s.stream = &id;
	s.cursor = cursor;
	q.op = RK__OP__OP_SUBSCRIBE;
	q.tag = tag;
	q.subscribe = &s;
	request(r, peer, &q);
}

static void acknowledge(struct run *r, unsigned peer)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Ack a = RK__ACK__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = RK__CHANNEL__OFFER;
	a.stream = &id;
	a.seq = r->head + r->l.got[peer];
	q.op = RK__OP__OP_ACK;
	q.ack = &a;
	request(r, peer, &q);
}

static void give_credit(struct run *r, unsigned peer, uint32_t entries, uint32_t bytes)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Credit c = RK__CREDIT__INIT;

	c.entries = entries;
	c.bytes = bytes;
	q.op = RK__OP__OP_CREDIT;
	q.credit = &c;
	request(r, peer, &q);
}

/* ---- what comes */

static void on_reply(struct run *r, unsigned peer, const Rk__Reply *reply)
{
	if (reply->code != RK_OK)
		load_die(&r->l, "connection %u, operation %d, tag %llu: %s", peer, (int)reply->op, (unsigned long long)reply->tag,
			 errcode_name((int)reply->code));
	switch (reply->op) {
	case RK__OP__OP_HELLO:
		r->greeted++;
		break;
	case RK__OP__OP_SUBSCRIBE:
		r->subscribed++;
		if (reply->subscribe != NULL && reply->tag == 2)
			r->head = reply->subscribe->head_seq;
		break;
	case RK__OP__OP_SUBMIT:
		r->writers[peer - first_writer(r)].answered++;
		load_acked(&r->l, 1);
		break;
	default:
		break;
	}
}

static void on_delivery(struct run *r, unsigned peer, const Rk__Delivery *d, const struct bundle_message *m)
{
	struct reader *reader = &r->readers[peer];

	if (peer >= r->l.subscribers)
		load_die(&r->l, "a delivery without credit on connection %u", peer);
	if (d->kind != RK__ENTRY_KIND__ENTRY_POST || m->frame_count != 3 || d->seq <= r->head || d->gap_to != 0 ||
	    m->frames[2].len != r->posts[0].body.len)
		load_die(&r->l, "connection %u: entry %llu is not one of our posts", peer, (unsigned long long)d->seq);
	load_delivered(&r->l, peer, d->seq - r->head - 1);
	if (r->l.got[peer] % ACK_EVERY == 0)
		acknowledge(r, peer);
	if (++reader->taken == CREDIT_ENTRIES / 2) {
		give_credit(r, peer, CREDIT_ENTRIES / 2, CREDIT_BYTES / 2);
		reader->taken = 0;
	}
}

static void take(struct run *r, unsigned peer, const struct bundle_message *m)
{
	Rk__Down *down;

	arena_reset(r->scratch, 1 << 20);
	if (STRICT_PARSE(down, m->frames[0], r->scratch, &down) != RK_OK)
		load_die(&r->l, "a message that is no message");
	if (down->reply != NULL)
		on_reply(r, peer, down->reply);
	else if (down->delivery != NULL)
		on_delivery(r, peer, down->delivery, m);
}

static void on_message(void *user, unsigned peer, struct peer_message *m)
{
	struct bundle_message whole = {.frame_count = m->count}, one;
	size_t at = 0;
	unsigned count;

	if (m->count > BUNDLE_FRAMES_MAX)
		load_die(user, "a message of %u frames", m->count);
	for (unsigned i = 0; i < m->count; i++)
		whole.frames[i] = bytes_make(zmq_msg_data(&m->frame[i]), zmq_msg_size(&m->frame[i]));
	if (!bundle_is(whole.frames[0])) {
		take(user, peer, &whole);
		return;
	}
	if (bundle_check(whole.frames[0], &count) != RK_OK)
		load_die(user, "a bundle that is none");
	while (bundle_next(whole.frames[0], &at, &one))
		take(user, peer, &one);
}

/* ---- before the start */

static void seal_all(struct run *r)
{
	struct timespec t;
	struct crowd_device *devices = calloc(r->l.writers, sizeof(*devices));

	if (devices == NULL)
		load_die(&r->l, "no memory");
	clock_gettime(CLOCK_REALTIME, &t);
	for (unsigned w = 0; w < r->l.writers; w++)
		crowd_device(&devices[w], first_writer(r) + w);
	for (uint64_t i = 0; i < r->l.posts; i++) {
		unsigned w = (unsigned)(i % r->l.writers);
		crowd_seal(&r->crowd, &devices[w], r->writers[w].epoch, i / r->l.writers + 1,
			   (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000, (int64_t)(1e3 * r->l.life), r->arena, &r->posts[i]);
	}
	free(devices);
}

static void wait_for(struct run *r, const unsigned *count, unsigned want, const char *what)
{
	double until = load_now() + 120;

	while (*count < want && load_now() < until)
		peers_wait(r->peers, 1000);
	if (*count < want)
		load_die(&r->l, "%s: %u of %u", what, *count, want);
}

/* Handshakes cost the broker more than anything else here: not all at once, or they run into their time-out. */
static void connect_all(struct run *r)
{
	unsigned all = first_stuck(r) + r->l.stuck + r->l.idle, streams = r->l.subscribers + r->l.stuck;
	uint8_t epoch[8];

	for (unsigned i = 0; i < all; i++) {
		struct crowd_device d;
		bool is_writer = i >= first_writer(r) && i < first_stuck(r);

		crowd_device(&d, i);
		peers_connect(r->peers, r->crowd.card.endpoint, r->crowd.card.curve_pk, d.curve.pk, d.curve.sk);
		hello(r, i, epoch);
		if (is_writer)
			memcpy(r->writers[i - first_writer(r)].epoch, epoch, 8);
		if (i % 64 == 63)
			wait_for(r, &r->greeted, i + 1 - 32, "HELLO");
	}
	wait_for(r, &r->greeted, all, "HELLO");
	subscribe(r, 0, 0, 2); /* tells the head; nothing comes without credit */
	wait_for(r, &r->subscribed, 1, "SUBSCRIBE");
	r->subscribed = 0;
	for (unsigned i = 0; i < streams; i++)
		subscribe(r, i < r->l.subscribers ? i : i - r->l.subscribers + first_stuck(r), r->head, 3);
	wait_for(r, &r->subscribed, streams, "SUBSCRIBE");
	for (unsigned i = 0; i < r->l.subscribers; i++)
		give_credit(r, i, CREDIT_ENTRIES, CREDIT_BYTES);
}

/* ---- the run */

static void flush(struct run *r, unsigned w)
{
	struct bundle *b = &r->writers[w].out;
	struct bytes frame = bytes_make(b->data, b->len);
	struct bundle_message m;
	size_t at = 0;

	if (b->count == 1 && bundle_next(frame, &at, &m))
		peers_send(r->peers, first_writer(r) + w, m.frames, m.frame_count);
	else if (b->count > 1)
		peers_send(r->peers, first_writer(r) + w, &frame, 1);
	bundle_reset(b);
}

/* As a home does: what may be sent now goes together, and nobody waits for more. */
static void publish(struct run *r)
{
	while (load_may_send(&r->l)) {
		unsigned w = (unsigned)(r->l.sent % r->l.writers);
		const struct crowd_post *post = &r->posts[r->l.sent];
		const struct bytes frames[2] = {post->header, post->body};

		if (r->writers[w].sent - r->writers[w].answered >= UNANSWERED_MAX)
			break;
		if (bundle_add(&r->writers[w].out, frames, 2) == RK_TOO_LARGE) {
			flush(r, w);
			(void)bundle_add(&r->writers[w].out, frames, 2);
		}
		r->writers[w].sent++;
		load_sent(&r->l);
	}
	for (unsigned w = 0; w < r->l.writers; w++)
		flush(r, w);
}

int main(int argc, char **argv)
{
	struct run r = {0};

	load_options(&r.l, "renkei", argc, argv);
	if (r.l.path == NULL)
		load_die(&r.l, "--path FOLDER of the broker");
	crowd_open(&r.crowd, r.l.path);
	r.arena = arena_new((size_t)16 << 30);
	r.scratch = arena_new(1 << 20);
	r.posts = calloc(r.l.posts, sizeof(*r.posts));
	r.writers = calloc(r.l.writers, sizeof(*r.writers));
	r.readers = calloc(r.l.subscribers, sizeof(*r.readers));
	if (r.arena == NULL || r.scratch == NULL || r.posts == NULL || r.writers == NULL || r.readers == NULL)
		load_die(&r.l, "no memory");
	r.peers = peers_new(first_stuck(&r) + r.l.stuck + r.l.idle, r.l.timer, on_message, &r);
	connect_all(&r);
	seal_all(&r);
	load_start(&r.l);
	while (!load_is_done(&r.l)) {
		publish(&r);
		peers_wait(r.peers, 10);
	}
	load_report(&r.l);
	peers_free(r.peers);
	arena_free(r.arena);
	arena_free(r.scratch);
	free(r.posts);
	free(r.writers);
	free(r.readers);
	load_free(&r.l);
	return 0;
}
