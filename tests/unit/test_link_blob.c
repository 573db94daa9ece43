/* Attachments on the link, against a broker that breaks its word.  It is played here by a CURVE server of a few lines. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "client/attach.h"
#include "client/client_internal.h"
#include "client/link_blob.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "tests/unit/fixed_kit.h"
#include "tests/unit/store_kit.h"
#include "tests/unit/played.h"

#define LEN ((uint64_t)3 * 1024 * 1024 + 12345)
#define HALF (LEN / 2)
#define RUN_MS 40000
#define SHORT_MS 900
#define SEALED RK_DIRECTORY_EXPIRED /* see queue_upload */

/* What the broker of a test does beside the rules. */
enum trick {
	HONEST,
	BACK_ONCE,       /* durable bytes that are gone, once */
	BACK_ALWAYS,
	BEYOND,          /* more than there are */
	NOT_SENT,        /* more than were sent */
	FALSE_COMPLETE,
	ANOTHER,         /* an answer about another blob */
	NO_BLOB,         /* an answer about none */
	SILENT,          /* to every part */
	SILENT_ONCE,
	GAP_ONCE,
	BUSY_OFTEN,
	UNOPENED_ONCE,
	DENIED,          /* all there, and not the right bytes */
	GATE,            /* closes half way */
	NEVER_COMPLETE,
	WRONG_OFFSET, WRONG_TOTAL, WRONG_ENVELOPE, TOO_SHORT, TOO_LONG, NO_FRAME,
};

struct rogue {
	enum trick trick;
	void *context, *sock;
	pthread_t thread;
	char endpoint[128];
	struct fixed_box key;
	uint8_t exchange_id[32], peer[256];
	int peer_len;
	uint8_t *blob;               /* LEN bytes: what was taken in, or what is given out */
	uint8_t sha256[32];
	uint64_t have;
	unsigned done;               /* tricks of ONCE, BUSY */
	uint64_t first_offset;       /* of the first FETCH, or part */
	bool has_first;
	atomic_bool stop;
	atomic_uint puts, questions, opens, fetches;
};

static void send_down(struct rogue *g, Rk__Down *down, const void *frame, size_t len)
{
	uint8_t packed[2048];

	down->protocol = 1;
	zmq_send(g->sock, g->peer, (size_t)g->peer_len, ZMQ_SNDMORE);
	zmq_send(g->sock, packed, rk__down__pack(down, packed), frame != NULL ? ZMQ_SNDMORE : 0);
	if (frame != NULL)
		zmq_send(g->sock, frame, len, 0);
}

static void reply(struct rogue *g, const Rk__Request *q, Rk__Reply *r, const void *frame, size_t len)
{
	Rk__Down down = RK__DOWN__INIT;
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	r->op = q->op;
	r->tag = q->tag;
	r->number = q->number;
	r->time_ms = (int64_t)t.tv_sec * 1000;
	down.reply = r;
	send_down(g, &down, frame, len);
}

/* The first time that it is about something in the second half. */
static bool once(struct rogue *g, uint64_t offset)
{
	return offset >= HALF && g->done++ == 0;
}

static void take(struct rogue *g, uint64_t offset, const uint8_t *part, size_t len)
{
	if (offset > g->have || offset + len > LEN)
		return;
	memcpy(g->blob + offset, part, len);
	g->have = offset + len > g->have ? offset + len : g->have;
}

/* True: answered, or not to be answered. */
static bool put_trick(struct rogue *g, const Rk__Request *q, Rk__Reply *r, Rk__BlobReply *b, size_t len)
{
	uint64_t offset = q->blob_put->offset;
	static const uint8_t other[32] = {9};

	switch (g->trick) {
	case BACK_ONCE:
		if (len > 0 && once(g, offset))
			b->have = g->have = HALF / 4;
		return false;
	case BACK_ALWAYS:
		if (len > 0 && offset >= 2 * BLOB_PART_BYTES)
			b->have = g->have = 0;
		b->complete = false;
		return false;
	case BEYOND:
		b->have = LEN + 1;
		return false;
	case NOT_SENT:
		b->have = len > 0 ? LEN - 1 : 0;
		return false;
	case FALSE_COMPLETE:
		b->complete = true;
		b->have = LEN / 3;
		return false;
	case ANOTHER:
		b->sha256 = (ProtobufCBinaryData){32, (uint8_t *)(uintptr_t)other};
		return false;
	case NO_BLOB:
		r->blob = NULL;
		return false;
	case NEVER_COMPLETE:
		b->complete = false;
		return false;
	case GAP_ONCE:
		if (len > 0 && once(g, offset)) {
			r->code = RK_OUT_OF_ORDER;
			b->have = g->have = HALF / 4;
		}
		return false;
	case BUSY_OFTEN:
		if (len > 0 && offset >= HALF && g->done++ < 3) {
			r->code = g->done == 2 ? RK_RATE_LIMITED : RK_BUSY;
			r->blob = NULL;
		}
		return false;
	case UNOPENED_ONCE:
		if (len > 0 && once(g, offset)) {
			r->code = RK_UNKNOWN_OBJECT;
			r->blob = NULL;
			g->have = 0;
		}
		return false;
	case DENIED:
		if (g->have == LEN) {
			r->code = RK_MALFORMED;
			b->have = g->have = 0;
			b->complete = false;
		}
		return false;
	case GATE:
		if (offset >= HALF)
			r->code = RK_NDA_TERMINATED;
		return false;
	default:
		return false;
	}
}

static void on_put(struct rogue *g, const Rk__Request *q, const uint8_t *part, size_t len)
{
	Rk__Reply r = RK__REPLY__INIT;
	Rk__BlobReply b = RK__BLOB_REPLY__INIT;
	bool lost = len > 0 && (g->trick == SILENT || (g->trick == SILENT_ONCE && once(g, q->blob_put->offset)));

	atomic_fetch_add(len > 0 ? &g->puts : &g->questions, 1);
	if (lost)
		return;
	if (len > 0 && !g->has_first) {
		g->has_first = true;
		g->first_offset = q->blob_put->offset;
	}
	if (len > 0 && q->blob_put->offset > g->have)
		r.code = RK_OUT_OF_ORDER;
	else
		take(g, q->blob_put->offset, part, len);
	b.sha256 = q->blob_put->sha256;
	b.have = g->have;
	b.complete = g->have == LEN;
	r.blob = &b;
	if (!put_trick(g, q, &r, &b, len))
		reply(g, q, &r, NULL, 0);
}

static void on_fetch(struct rogue *g, const Rk__Request *q)
{
	const Rk__Fetch *f = q->fetch;
	Rk__Reply r = RK__REPLY__INIT;
	Rk__FetchReply a = RK__FETCH_REPLY__INIT;
	size_t len = f->offset + f->len > LEN ? (size_t)(LEN - f->offset) : f->len;
	uint8_t other[32] = {7};

	atomic_fetch_add(&g->fetches, 1);
	if (!g->has_first) {
		g->has_first = true;
		g->first_offset = f->offset;
	}
	a.env_id = f->env_id;
	a.blob = f->blob;
	a.offset = f->offset;
	a.total = LEN;
	r.fetch = &a;
	if (g->trick == WRONG_OFFSET)
		a.offset++;
	if (g->trick == WRONG_TOTAL)
		a.total++;
	if (g->trick == WRONG_ENVELOPE)
		a.env_id = (ProtobufCBinaryData){32, other};
	if (g->trick == SILENT)
		return;
	if ((g->trick == GATE && f->offset >= HALF) || (g->trick == BUSY_OFTEN && f->offset >= HALF && g->done++ < 3)) {
		r.code = g->trick == GATE ? RK_NDA_TERMINATED : RK_BUSY;
		r.fetch = NULL;
		reply(g, q, &r, NULL, 0);
		return;
	}
	reply(g, q, &r, g->trick == NO_FRAME ? NULL : g->blob + f->offset, g->trick == TOO_SHORT ? len - 1 : g->trick == TOO_LONG ? len + 1 : len);
}

static void answer(struct rogue *g, const Rk__Request *q, const uint8_t *part, size_t len)
{
	static const uint8_t generation[16] = {7};
	Rk__Reply r = RK__REPLY__INIT;
	Rk__HelloReply hello = RK__HELLO_REPLY__INIT;
	Rk__SubscribeReply sub = RK__SUBSCRIBE_REPLY__INIT;

	switch (q->op) {
	case RK__OP__OP_HELLO:
		hello.protocol_min = hello.protocol_max = 1;
		hello.exchange_id = (ProtobufCBinaryData){32, g->exchange_id};
		hello.generation = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)generation};
		hello.log_origin = (char *)(uintptr_t)"x";
		hello.rate_per_s = 1000;
		hello.burst = 1000;
		r.hello = &hello;
		break;
	case RK__OP__OP_SUBSCRIBE:
		sub.stream = q->subscribe->stream;
		sub.first_seq = 1;
		r.subscribe = &sub;
		break;
	case RK__OP__OP_BLOB_PUT:
		on_put(g, q, part, len);
		return;
	case RK__OP__OP_FETCH:
		on_fetch(g, q);
		return;
	case RK__OP__OP_BLOB_OPEN:
		atomic_fetch_add(&g->opens, 1);
		break;
	default:
		break;
	}
	reply(g, q, &r, NULL, 0);
}

static void *play(void *user)
{
	struct rogue *g = user;
	struct played p = {0};

	while (!g->stop) {
		struct bytes header, last;
		Rk__Request *q;

		if (!played_next(&p, g->sock, 20, g->peer, sizeof(g->peer), &g->peer_len, &header, &last))
			continue;
		if ((q = rk__request__unpack(NULL, header.len, header.data)) != NULL)
			answer(g, q, last.data, last.len);
		rk__request__free_unpacked(q, NULL);
	}
	/* libzmq 4.3.4 loses the memory of a message that comes while its socket closes: whoever spoke last is heard to the end. */
	for (zmq_pollitem_t item = {.socket = g->sock, .events = ZMQ_POLLIN}; zmq_poll(&item, 1, 100) > 0;)
		zmq_recv(g->sock, p.frame, PLAYED_FRAME_MAX, 0);
	played_free(&p);
	return NULL;
}

/* ---- the home */

struct run {
	struct rogue g;
	struct client *c;
	char folder[256], path[300];
	struct fixed f;
	uint8_t env_id[32], key[ATTACH_BLOB_KEY_BYTES];
	uint64_t item;
	int64_t opened_at;
};

static void rogue_start(struct rogue *g, enum trick trick)
{
	size_t len = sizeof(g->endpoint);
	struct fixed f;
	int yes = 1, none = 0;

	memset(g, 0, sizeof(*g));
	g->trick = trick;
	g->blob = malloc(LEN + 1);
	fixed_init(&f);
	memcpy(g->exchange_id, f.exchange_id, 32);
	fixed_box_key(&g->key, "rogue broker");
	g->context = zmq_ctx_new();
	g->sock = zmq_socket(g->context, ZMQ_ROUTER);
	zmq_setsockopt(g->sock, ZMQ_CURVE_SERVER, &yes, sizeof(yes));
	zmq_setsockopt(g->sock, ZMQ_CURVE_SECRETKEY, g->key.sk, 32);
	zmq_setsockopt(g->sock, ZMQ_SNDHWM, &none, sizeof(none));
	zmq_setsockopt(g->sock, ZMQ_RCVHWM, &none, sizeof(none));
	zmq_setsockopt(g->sock, ZMQ_LINGER, &none, sizeof(none));
	assert_int_equal(zmq_bind(g->sock, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(g->sock, ZMQ_LAST_ENDPOINT, g->endpoint, &len), 0);
}

static void take_object(struct run *x, enum object_kind kind, const uint8_t sk[64], const ProtobufCMessage *m, struct arena *a)
{
	struct bytes wire;
	struct txn *t;

	assert_int_equal(object_make(kind, x->f.exchange_id, sk, m, a, &wire), RK_OK);
	assert_int_equal(env_begin(client_env(x->c), true, &t), RK_OK);
	assert_int_equal(book_take(x->c, t, kind, wire, FIXED_TIME_MS), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static void begin(struct run *x, enum trick trick)
{
	const struct key_new open_to_all = {.no_passphrase = true};
	static const uint8_t joined = CLIENT_JOINED;
	struct client_options home = {.home = x->path};
	struct arena *a = arena_new((size_t)1 << 20);
	Rk__Directory *directory;
	struct txn *t;

	memset(x, 0, sizeof(*x));
	rogue_start(&x->g, trick);
	fixed_init(&x->f);
	store_kit_folder(x->folder);
	snprintf(x->path, sizeof(x->path), "%s/home", x->folder);
	assert_int_equal(client_create(&home, &x->c), RK_OK);
	assert_int_equal(keys_create(x->c, KEY_DEVICE, &open_to_all), RK_OK);
	assert_int_equal(env_begin(client_env(x->c), true, &t), RK_OK);
	meta_put(t, META_EXCHANGE, BYTES_OF(x->f.exchange_id));
	meta_put(t, META_ORG, BYTES_OF(x->f.orgs[1].org_id));
	meta_put(t, META_DEVICE, BYTES_OF(x->f.orgs[1].device_id));
	meta_put(t, META_STATE, bytes_make(&joined, 1));
	meta_put(t, META_ENDPOINT, bytes_str(x->g.endpoint));
	meta_put(t, META_BROKER_PK, BYTES_OF(x->g.key.pk));
	assert_int_equal(env_commit(t), RK_OK);
	take_object(x, OBJECT_KIND_CHARTER, x->f.root.sk, &fixed_charter(&x->f, a)->base, a);
	directory = fixed_directory(&x->f, a);
	directory->serial = 2;
	directory->prev_oh = fixed_data(a, 32, "directory 1");
	take_object(x, OBJECT_KIND_DIRECTORY, x->f.secretariat.sk, &directory->base, a);
	arena_free(a);
}

static void end(struct run *x)
{
	x->g.stop = true;
	pthread_join(x->g.thread, NULL);
	zmq_close(x->g.sock);
	zmq_ctx_term(x->g.context);
	free(x->g.blob);
	client_close(x->c);
	store_kit_remove(x->folder);
}

static int64_t real_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000;
}

/* A file of HOME/blobs of LEN bytes, or of its beginning; its hash is the blob's. */
static void put_blob(struct run *x, uint8_t *data, uint64_t len, const char *suffix)
{
	char name[SPOOL_NAME_CHARS];
	int dir_fd, fd;

	for (uint64_t i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * 13 + i / 977);
	ids_sha256(x->g.sha256, bytes_make(data, LEN));
	assert_int_equal(spool_open(x->c, &dir_fd), RK_OK);
	spool_name(name, x->g.sha256);
	snprintf(name + 64, sizeof(name) - 64, "%s", suffix);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
	close(dir_fd);
}

/* A dossier under an agreement that is not here: once its attachment is complete, it is our own gate that ends it: the kit's directory has expired long ago. */
static void queue_upload(struct run *x)
{
	static uint8_t nda_id[32] = {8};
	Rk__EnvelopeHeader header = RK__ENVELOPE_HEADER__INIT;
	struct outbox_request dossier = {.op = RK__OP__OP_SUBMIT, .what = "dossier send", .header = &header, .lifetime_ms = 1000,
	                                 .message = bytes_str("secret"), .attachments = 1};
	Rkl__UploadRecord record = RKL__UPLOAD_RECORD__INIT;
	uint8_t key[ATTACH_UPLOAD_KEY_BYTES], *data = malloc(LEN);
	struct txn *t;

	put_blob(x, data, LEN, ".age");
	free(data);
	header.kind = RK__KIND__NDA;
	header.nda_id = pb_of(BYTES_OF(nda_id));
	assert_int_equal(env_begin(client_env(x->c), true, &t), RK_OK);
	assert_int_equal(outbox_add(x->c, t, &dossier, &x->item), RK_OK);
	record.sha256 = pb_of(BYTES_OF(x->g.sha256));
	record.len = LEN;
	record.nda_id = pb_of(BYTES_OF(nda_id));
	record.opened_at = real_ms() - 1000;
	put_u64be(key, x->item);
	key[8] = 0;
	assert_int_equal(attach_store_upload(t, key, &record), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static int run(struct run *x, const struct link_options *o)
{
	assert_int_equal(pthread_create(&x->g.thread, NULL, play, &x->g), 0);
	return link_run(x->c, o);
}

/* What became of the dossier; RK_BUSY while it waits. */
static int fate(struct run *x)
{
	struct outcome out;
	struct txn *t;
	int r;

	assert_int_equal(env_begin(client_env(x->c), false, &t), RK_OK);
	r = outbox_outcome(t, x->item, &out);
	if (r == RK_OK)
		assert_int_equal(attach_held(t), 0);
	env_abort(t);
	return r == RK_OK ? out.code : r;
}

/* ---- up */

static void what_comes_up_is_the_file(void **state)
{
	static const enum trick tricks[] = {HONEST, BACK_ONCE, GAP_ONCE, BUSY_OFTEN, SILENT_ONCE};

	(void)state;
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) {
		struct run x;
		struct link_options o = {.timeout_ms = RUN_MS};
		uint8_t got[32];

		begin(&x, tricks[i]);
		queue_upload(&x);
		o.until_item = x.item;
		assert_int_equal(run(&x, &o), RK_OK);
		assert_int_equal(fate(&x), SEALED);
		assert_int_equal(x.g.have, LEN);
		ids_sha256(got, bytes_make(x.g.blob, LEN));
		assert_memory_equal(got, x.g.sha256, 32);
		assert_in_range(x.g.questions, 1, 6);
		end(&x);
	}
}

static void it_goes_on_where_the_broker_is(void **state)
{
	struct link_options o = {.timeout_ms = RUN_MS};
	struct run x;

	(void)state;
	begin(&x, HONEST);
	queue_upload(&x);
	o.until_item = x.item;
	x.g.have = HALF;
	for (uint64_t i = 0; i < HALF; i++)
		x.g.blob[i] = (uint8_t)(i * 13 + i / 977);
	assert_int_equal(run(&x, &o), RK_OK);
	assert_int_equal(fate(&x), SEALED);
	assert_int_equal(x.g.first_offset, HALF);
	end(&x);
}

/* Its verb is told; the dossier waits, for a broker that keeps its word.  No trick makes us send without end. */
static void a_word_that_is_not_kept_is_not_believed(void **state)
{
	static const enum trick tricks[] = {BACK_ALWAYS, BEYOND, NOT_SENT, FALSE_COMPLETE, ANOTHER, NO_BLOB};

	(void)state;
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) {
		/* The first one to its end; of the others, that they move nothing. */
		struct link_options o = {.timeout_ms = i == 0 ? RUN_MS : SHORT_MS};
		struct run x;

		begin(&x, tricks[i]);
		queue_upload(&x);
		o.until_item = x.item;
		assert_int_equal(run(&x, &o), i == 0 ? RK_MALFORMED : RK_ETIMEOUT);
		assert_int_equal(fate(&x), RK_BUSY);
		assert_in_range(x.g.puts, 0, BLOB_PUTS_MAX * (BLOB_TROUBLES_MAX + 1));
		end(&x);
	}
}

/* Each time it is silent for longer, less is sent. */
static void into_silence_little_is_sent(void **state)
{
	struct link_options o = {.timeout_ms = 7000};
	struct run x;

	(void)state;
	begin(&x, SILENT);
	queue_upload(&x);
	o.until_item = x.item;
	assert_int_equal(run(&x, &o), RK_ETIMEOUT);
	assert_int_equal(fate(&x), RK_BUSY);
	assert_in_range(x.g.puts, 1, 3 * BLOB_PUTS_MAX);
	end(&x);
}

static void all_there_is_not_complete(void **state)
{
	struct link_options o = {.timeout_ms = 3000};
	struct run x;

	(void)state;
	begin(&x, NEVER_COMPLETE);
	queue_upload(&x);
	o.until_item = x.item;
	assert_int_equal(run(&x, &o), RK_ETIMEOUT);
	assert_int_equal(fate(&x), RK_BUSY);
	assert_in_range(x.g.puts, 13, 13);
	assert_in_range(x.g.questions, 2, 40);
	end(&x);
}

static void what_is_unknown_is_opened_again(void **state)
{
	struct link_options o = {.timeout_ms = RUN_MS};
	struct run x;

	(void)state;
	begin(&x, UNOPENED_ONCE);
	queue_upload(&x);
	o.until_item = x.item;
	assert_int_equal(run(&x, &o), RK_OK);
	assert_int_equal(fate(&x), SEALED);
	assert_int_equal(x.g.opens, 1);
	end(&x);
}

static void the_gate_ends_it_and_what_was_sealed_goes(void **state)
{
	static const struct {
		enum trick trick;
		int code;
	} rows[] = {{GATE, RK_NDA_TERMINATED}, {DENIED, RK_EINTEGRITY}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct link_options o = {.timeout_ms = RUN_MS};
		char name[SPOOL_NAME_CHARS];
		struct run x;
		int dir_fd;

		begin(&x, rows[i].trick);
		queue_upload(&x);
		o.until_item = x.item;
		assert_int_equal(run(&x, &o), RK_OK);
		assert_int_equal(fate(&x), rows[i].code);
		spool_sweep(x.c);
		spool_name(name, x.g.sha256);
		assert_int_equal(spool_open(x.c, &dir_fd), RK_OK);
		assert_int_equal(faccessat(dir_fd, name, F_OK, 0), -1);
		close(dir_fd);
		end(&x);
	}
}

/* Never gone on with, never made again under the same name: the envelope that would name it is given up. */
static void a_lost_file_ends_it(void **state)
{
	struct link_options o = {.timeout_ms = RUN_MS};
	char name[SPOOL_NAME_CHARS];
	struct run x;
	int dir_fd;

	(void)state;
	begin(&x, HONEST);
	queue_upload(&x);
	o.until_item = x.item;
	spool_name(name, x.g.sha256);
	assert_int_equal(spool_open(x.c, &dir_fd), RK_OK);
	assert_int_equal(unlinkat(dir_fd, name, 0), 0);
	close(dir_fd);
	assert_int_equal(run(&x, &o), RK_OK);
	assert_int_equal(fate(&x), RK_EINTEGRITY);
	assert_int_equal(x.g.puts, 0);
	end(&x);
}

static void what_is_taken_back_is_not_sent(void **state)
{
	struct link_options o = {.timeout_ms = RUN_MS, .until_synced = true};
	struct txn *t;
	struct run x;

	(void)state;
	begin(&x, HONEST);
	queue_upload(&x);
	assert_int_equal(env_begin(client_env(x.c), true, &t), RK_OK);
	assert_int_equal(attach_cancel(x.c, t, x.item + 1), RK_ENOTFOUND);
	assert_int_equal(attach_cancel(x.c, t, x.item), RK_OK);
	assert_int_equal(attach_cancel(x.c, t, x.item), RK_ENOTFOUND);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(run(&x, &o), RK_OK);
	assert_int_equal(fate(&x), RK_EINTERRUPTED);
	assert_int_equal(x.g.puts, 0);
	end(&x);
}

/* A sync waits for it; a verb that only wants to be up to date does not. */
static void small_things_do_not_wait_for_it(void **state)
{
	struct link_options o = {.timeout_ms = RUN_MS, .until_synced = true, .without_bulk = true};
	struct run x;

	(void)state;
	begin(&x, NEVER_COMPLETE);
	queue_upload(&x);
	assert_int_equal(run(&x, &o), RK_OK);
	assert_int_equal(fate(&x), RK_BUSY);
	o = (struct link_options){.timeout_ms = 1500, .until_synced = true};
	assert_int_equal(link_run(x.c, &o), RK_ETIMEOUT);
	end(&x);
}

/* ---- down */

static int fetch(struct run *x, enum trick trick, uint64_t here, int timeout_ms)
{
	struct link_options o = {.timeout_ms = timeout_ms};
	Rkl__BlobRecord record = RKL__BLOB_RECORD__INIT;
	struct txn *t;

	begin(x, trick);
	put_blob(x, x->g.blob, here, ".part");
	x->env_id[0] = 5;
	attach_blob_key(x->key, x->env_id, 0);
	record.sha256 = pb_of(BYTES_OF(x->g.sha256));
	record.len = LEN;
	record.state = RKL__FETCH_STATE__WANTED;
	assert_int_equal(env_begin(client_env(x->c), true, &t), RK_OK);
	assert_int_equal(attach_store_blob(t, x->key, &record), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	o.until_blobs = x->env_id;
	return run(x, &o);
}

/* State, code and length on disk. */
static void look(struct run *x, Rkl__FetchState state, int code, uint64_t low, uint64_t high)
{
	struct arena *a = arena_new(0);
	char name[SPOOL_NAME_CHARS];
	Rkl__BlobRecord *record;
	struct stat st;
	struct txn *t;
	int dir_fd;

	assert_int_equal(env_begin(client_env(x->c), false, &t), RK_OK);
	assert_int_equal(attach_load_blob(t, x->key, a, &record), RK_OK);
	assert_int_equal(record->state, state);
	assert_int_equal(record->code, code);
	env_abort(t);
	spool_part_name(name, x->g.sha256);
	assert_int_equal(spool_open(x->c, &dir_fd), RK_OK);
	assert_int_equal(fstatat(dir_fd, name, &st, 0), 0);
	assert_in_range(st.st_size, low, high);
	if (state == RKL__FETCH_STATE__FETCHED) {
		int fd = openat(dir_fd, name, O_RDONLY);

		assert_int_equal(spool_prove(fd, x->g.sha256, LEN, NULL, NULL), RK_OK);
		close(fd);
	}
	close(dir_fd);
	arena_free(a);
}

static void what_comes_down_is_the_file(void **state)
{
	struct run x;

	(void)state;
	assert_int_equal(fetch(&x, HONEST, 0, RUN_MS), RK_OK);
	look(&x, RKL__FETCH_STATE__FETCHED, RK_OK, LEN, LEN);
	assert_int_equal(x.g.first_offset, 0);
	end(&x);
	assert_int_equal(fetch(&x, BUSY_OFTEN, 0, RUN_MS), RK_OK);
	look(&x, RKL__FETCH_STATE__FETCHED, RK_OK, LEN, LEN);
	end(&x);
	/* From where it was. */
	assert_int_equal(fetch(&x, HONEST, HALF, RUN_MS), RK_OK);
	look(&x, RKL__FETCH_STATE__FETCHED, RK_OK, LEN, LEN);
	assert_int_equal(x.g.first_offset, HALF);
	end(&x);
	assert_int_equal(fetch(&x, HONEST, LEN, RUN_MS), RK_OK);
	look(&x, RKL__FETCH_STATE__FETCHED, RK_OK, LEN, LEN);
	assert_int_equal(x.g.fetches, 0);
	end(&x);
}

static void bytes_that_were_not_asked_for_are_not_kept(void **state)
{
	static const enum trick tricks[] = {WRONG_OFFSET, WRONG_TOTAL, WRONG_ENVELOPE, TOO_SHORT, TOO_LONG, NO_FRAME};

	(void)state;
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) {
		struct run x;

		assert_int_equal(fetch(&x, tricks[i], 1000, i == 0 ? RUN_MS : SHORT_MS), i == 0 ? RK_MALFORMED : RK_ETIMEOUT);
		look(&x, RKL__FETCH_STATE__WANTED, RK_OK, 1000, 1000);
		assert_in_range(x.g.fetches, 1, BLOB_FETCHES_MAX * (BLOB_TROUBLES_MAX + 1));
		end(&x);
	}
}

static void the_gate_closes_in_the_middle(void **state)
{
	struct run x;

	(void)state;
	assert_int_equal(fetch(&x, GATE, 0, RUN_MS), RK_OK);
	look(&x, RKL__FETCH_STATE__REFUSED, RK_NDA_TERMINATED, 1, HALF + BLOB_FETCH_BYTES);
	end(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_up_is_the_file),
		cmocka_unit_test(it_goes_on_where_the_broker_is),
		cmocka_unit_test(a_word_that_is_not_kept_is_not_believed),
		cmocka_unit_test(into_silence_little_is_sent),
		cmocka_unit_test(all_there_is_not_complete),
		cmocka_unit_test(what_is_unknown_is_opened_again),
		cmocka_unit_test(the_gate_ends_it_and_what_was_sealed_goes),
		cmocka_unit_test(a_lost_file_ends_it),
		cmocka_unit_test(what_is_taken_back_is_not_sent),
		cmocka_unit_test(small_things_do_not_wait_for_it),
		cmocka_unit_test(what_comes_down_is_the_file),
		cmocka_unit_test(bytes_that_were_not_asked_for_are_not_kept),
		cmocka_unit_test(the_gate_closes_in_the_middle),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
