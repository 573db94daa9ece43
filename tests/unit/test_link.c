/* link: a broker that breaks its word.  It is played here by a CURVE server of a few lines that lets everybody in. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <sodium.h>
#include <zmq.h>

#include "client/client_internal.h"
#include "client/deposit.h"
#include "client/log.h"
#include "client/mail.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "tests/unit/fixed_kit.h"
#include "tests/unit/store_kit.h"
#include "tests/unit/played.h"

#define HEAD 300            /* entries of the control stream, as told */
#define ENTRIES_A_CREDIT 256
#define ANNOUNCED_LEN 700
#define FAT_BYTES (1000 * 1000)
#define RUN_MS 6000
#define PROMISED_FROM 10

/* What the broker of a test does beside the rules. */
enum trick { HONEST, ANNOUNCE_IN_CHANNEL, FAT, AHEAD, CHATTER, ODD_CODE, UNLOGGED, PROMISES };

struct rogue {
	enum trick trick;
	void *context, *sock;
	pthread_t thread;
	char endpoint[128];
	struct fixed_box key;
	uint8_t exchange_id[32];
	uint8_t peer[256];
	int peer_len;
	uint64_t sent;               /* of the control stream */
	uint32_t code;               /* ODD_CODE: answers HELLO */
	uint64_t serial;             /* of the directory announced; 1 */
	bool has_book;               /* the home has directory 2 */
	/* What a test puts into the home before its link runs, and looks at after it; may be NULL. */
	void (*prepare)(struct client *, struct txn *, struct fixed *);
	void (*look)(struct client *, struct txn *);
	atomic_bool stop;
	atomic_uint asked_for_object;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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

	r->op = q->op;
	r->tag = q->tag;
	r->number = q->number;
	r->time_ms = now_ms();
	down.reply = r;
	send_down(g, &down, frame, len);
}

static void deliver(struct rogue *g, Rk__StreamId *stream, uint64_t seq, int64_t time_ms, bool announce, size_t len)
{
	static uint8_t junk[FAT_BYTES];
	Rk__Down down = RK__DOWN__INIT;
	Rk__Delivery d = RK__DELIVERY__INIT;
	Rk__Announce a = RK__ANNOUNCE__INIT;
	uint8_t oh[32] = {1};

	d.stream = stream;
	d.seq = seq;
	d.kind = stream->type == RK__STREAM_TYPE__STREAM_CONTROL ? RK__ENTRY_KIND__ENTRY_DIRECTORY : RK__ENTRY_KIND__ENTRY_POST;
	d.time_ms = time_ms;
	if (g->trick == FAT)
		d.control_seq = HEAD + 1000;
	if (announce) {
		a.type = RK__OBJECT_TYPE__OBJECT_DIRECTORY;
		a.serial = g->serial;
		a.oh = (ProtobufCBinaryData){32, oh};
		a.len = ANNOUNCED_LEN;
		d.announce = &a;
	}
	down.delivery = &d;
	send_down(g, &down, announce ? NULL : junk, len);
}

/* Credit is spent on control. */
static void on_credit(struct rogue *g)
{
	Rk__StreamId control = RK__STREAM_ID__INIT;

	control.type = RK__STREAM_TYPE__STREAM_CONTROL;
	if (g->trick == AHEAD)
		deliver(g, &control, 1, now_ms() + 3600 * 1000, false, 100);
	for (unsigned i = 0; g->trick == HONEST && i < ENTRIES_A_CREDIT && g->sent < HEAD; i++) {
		g->sent++;
		deliver(g, &control, g->sent, now_ms(), g->sent == 1, 100);
	}
}

static void on_subscribed(struct rogue *g, Rk__StreamId *stream)
{
	if (stream->type == RK__STREAM_TYPE__STREAM_CHANNEL && g->trick == ANNOUNCE_IN_CHANNEL)
		deliver(g, stream, 1, now_ms(), true, 0);
	if (stream->type == RK__STREAM_TYPE__STREAM_MAILBOX && g->trick == FAT)
		for (uint64_t i = 1; i <= 200; i++)
			deliver(g, stream, i, now_ms(), false, FAT_BYTES);
}

static uint64_t head_of(const struct rogue *g, const Rk__StreamId *stream)
{
	if (g->trick == HONEST && stream->type == RK__STREAM_TYPE__STREAM_CONTROL)
		return HEAD;
	return g->trick == ANNOUNCE_IN_CHANNEL && stream->type == RK__STREAM_TYPE__STREAM_CHANNEL ? 1 : 0;
}

static void answer(struct rogue *g, const Rk__Request *q)
{
	static const uint8_t object[ANNOUNCED_LEN], generation[16] = {7};
	Rk__Reply r = RK__REPLY__INIT;
	Rk__HelloReply hello = RK__HELLO_REPLY__INIT;
	Rk__SubscribeReply sub = RK__SUBSCRIBE_REPLY__INIT;
	Rk__ObjectReply part = RK__OBJECT_REPLY__INIT;

	switch (q->op) {
	case RK__OP__OP_HELLO:
		hello.protocol_min = hello.protocol_max = 1;
		hello.exchange_id = (ProtobufCBinaryData){32, g->exchange_id};
		hello.generation = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)generation};
		hello.log_origin = (char *)(uintptr_t)"x";
		hello.rate_per_s = 1000;
		hello.burst = 1000;
		r.hello = &hello;
		r.code = g->code;
		g->sent = 0;
		break;
	case RK__OP__OP_SUBSCRIBE:
		sub.stream = q->subscribe->stream;
		sub.first_seq = 1;
		sub.head_seq = head_of(g, q->subscribe->stream);
		r.subscribe = &sub;
		g->sent = q->subscribe->cursor > g->sent ? q->subscribe->cursor : g->sent;
		break;
	case RK__OP__OP_GET_OBJECT:
		atomic_fetch_add(&g->asked_for_object, 1);
		part.type = q->get_object->type;
		part.oh = q->get_object->oh;
		part.total = ANNOUNCED_LEN;
		r.object = &part;
		reply(g, q, &r, object, sizeof(object));
		return;
	default:
		r.logged = g->trick == PROMISES && q->number != 0;
		r.log_index = r.logged ? PROMISED_FROM + q->number : 0;
		break;
	}
	reply(g, q, &r, NULL, 0);
	if (q->op == RK__OP__OP_CREDIT)
		on_credit(g);
	if (q->op == RK__OP__OP_SUBSCRIBE)
		on_subscribed(g, q->subscribe->stream);
}

static void *play(void *user)
{
	struct rogue *g = user;
	struct played p = {0};

	while (!g->stop) {
		struct bytes header, last;
		bool chatters = g->trick == CHATTER && g->peer_len > 0;
		Rk__Reply noise = RK__REPLY__INIT;
		Rk__Request nobody = RK__REQUEST__INIT, *q;

		for (unsigned i = 0; chatters && i < 100; i++)
			reply(g, &nobody, &noise, NULL, 0);
		if (!played_next(&p, g->sock, chatters ? 0 : 20, g->peer, sizeof(g->peer), &g->peer_len, &header, &last))
			continue;
		/* Who chatters lets a home in and then answers nothing that it asks: it could be done before it has had enough. */
		if ((q = rk__request__unpack(NULL, header.len, header.data)) != NULL && (g->trick != CHATTER || q->op == RK__OP__OP_HELLO))
			answer(g, q);
		rk__request__free_unpacked(q, NULL);
	}
	played_free(&p);
	return NULL;
}

static void rogue_start(struct rogue *g, enum trick trick)
{
	size_t len = sizeof(g->endpoint);
	struct fixed f;
	int yes = 1, none = 0;

	memset(g, 0, sizeof(*g));
	g->trick = trick;
	g->serial = 1;
	fixed_init(&f);
	memcpy(g->exchange_id, f.exchange_id, 32);
	fixed_box_key(&g->key, "rogue broker");
	g->context = zmq_ctx_new();
	g->sock = zmq_socket(g->context, ZMQ_ROUTER);
	zmq_setsockopt(g->sock, ZMQ_CURVE_SERVER, &yes, sizeof(yes));
	zmq_setsockopt(g->sock, ZMQ_CURVE_SECRETKEY, g->key.sk, 32);
	zmq_setsockopt(g->sock, ZMQ_SNDHWM, &none, sizeof(none));
	zmq_setsockopt(g->sock, ZMQ_LINGER, &none, sizeof(none));
	assert_int_equal(zmq_bind(g->sock, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(g->sock, ZMQ_LAST_ENDPOINT, g->endpoint, &len), 0);
	assert_int_equal(pthread_create(&g->thread, NULL, play, g), 0);
}

static void rogue_end(struct rogue *g)
{
	g->stop = true;
	pthread_join(g->thread, NULL);
	zmq_close(g->sock);
	zmq_ctx_term(g->context);
}

static void take(struct client *c, struct fixed *f, enum object_kind kind, const uint8_t sk[64], const ProtobufCMessage *m,
		 struct arena *a)
{
	struct bytes wire;
	struct txn *t;

	assert_int_equal(object_make(kind, f->exchange_id, sk, m, a, &wire), RK_OK);
	assert_int_equal(env_begin(client_env(c), true, &t), RK_OK);
	assert_int_equal(book_take(c, t, kind, wire, FIXED_TIME_MS), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static void take_book(struct client *c, struct fixed *f)
{
	struct arena *a = arena_new((size_t)1 << 20);
	Rk__Directory *d = fixed_directory(f, a);

	d->serial = 2;
	d->prev_oh = fixed_data(a, 32, "directory 1");
	take(c, f, OBJECT_KIND_CHARTER, f->root.sk, &fixed_charter(f, a)->base, a);
	take(c, f, OBJECT_KIND_DIRECTORY, f->secretariat.sk, &d->base, a);
	arena_free(a);
}

/* A home of member 1 that believes in this broker, and what becomes of its link. */
static int run_home(struct rogue *g)
{
	const struct key_new open_to_all = {.no_passphrase = true};
	static const uint8_t joined = CLIENT_JOINED;
	struct link_options o = {.timeout_ms = RUN_MS, .until_synced = true};
	char folder[256], path[300];
	struct client_options home = {.home = path};
	struct client *c;
	struct fixed f;
	struct txn *t;
	int r;

	fixed_init(&f);
	store_kit_folder(folder);
	snprintf(path, sizeof(path), "%s/home", folder);
	assert_int_equal(client_create(&home, &c), RK_OK);
	assert_int_equal(keys_create(c, KEY_DEVICE, &open_to_all), RK_OK);
	assert_int_equal(env_begin(client_env(c), true, &t), RK_OK);
	meta_put(t, META_EXCHANGE, BYTES_OF(f.exchange_id));
	meta_put(t, META_ORG, BYTES_OF(f.orgs[1].org_id));
	meta_put(t, META_DEVICE, BYTES_OF(f.orgs[1].device_id));
	meta_put(t, META_STATE, bytes_make(&joined, 1));
	meta_put(t, META_ENDPOINT, bytes_str(g->endpoint));
	meta_put(t, META_BROKER_PK, BYTES_OF(g->key.pk));
	assert_int_equal(env_commit(t), RK_OK);
	if (g->has_book)
		take_book(c, &f);
	assert_int_equal(feed_follow(c, RK__CHANNEL__OFFER, true), RK_OK);
	if (g->prepare != NULL) {
		assert_int_equal(env_begin(client_env(c), true, &t), RK_OK);
		g->prepare(c, t, &f);
		assert_int_equal(env_commit(t), RK_OK);
	}
	r = link_run(c, &o);
	if (g->look != NULL) {
		assert_int_equal(env_begin(client_env(c), false, &t), RK_OK);
		g->look(c, t);
		env_abort(t);
	}
	client_close(c);
	store_kit_remove(folder);
	return r;
}

/* The object that the first entry announces comes after all the entries that wait for it. */
static void announced_before_a_full_credit(void **state)
{
	struct rogue g;
	int r;

	(void)state;
	rogue_start(&g, HONEST);
	r = run_home(&g);
	rogue_end(&g);
	assert_int_equal(r, RK_OK);
	assert_int_equal(g.asked_for_object, 1);
}

/* Only what is older than a directory that we have proven goes unread: no announced serial makes us skip one that is newer. */
static void directories_that_are_passed_over(void **state)
{
	static const struct {
		uint64_t serial;
		unsigned asked;
	} rows[] = {{1, 0}, {2, 1}, {3, 1}, {(uint64_t)1 << 62, 1}};
	struct rogue g;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rogue_start(&g, HONEST);
		g.has_book = true;
		g.serial = rows[i].serial;
		assert_int_equal(run_home(&g), RK_OK);
		rogue_end(&g);
		assert_int_equal(g.asked_for_object, rows[i].asked);
	}
}

/* Unfollowing would take the entry away and leave a buffer of its length to the next announced object. */
static void nothing_is_announced_in_a_channel(void **state)
{
	struct rogue g;
	int r;

	(void)state;
	rogue_start(&g, ANNOUNCE_IN_CHANNEL);
	r = run_home(&g);
	rogue_end(&g);
	assert_int_equal(g.asked_for_object, 0);
	assert_int_equal(r, RK_OK);
}

static void more_bytes_than_credit(void **state)
{
	struct rogue g;
	int r;

	(void)state;
	rogue_start(&g, FAT);
	r = run_home(&g);
	rogue_end(&g);
	assert_int_equal(r, RK_EUNREACHABLE);
}

static void an_entry_from_tomorrow(void **state)
{
	struct rogue g;
	int r;

	(void)state;
	rogue_start(&g, AHEAD);
	r = run_home(&g);
	rogue_end(&g);
	assert_int_equal(r, RK_CLOCK);
}

static void replies_to_nobody_without_end(void **state)
{
	struct rogue g;
	int r;

	(void)state;
	rogue_start(&g, CHATTER);
	r = run_home(&g);
	rogue_end(&g);
	assert_int_equal(r, RK_EUNREACHABLE);
}

/* The wire has 32 bits for a code; one of ours below zero would pass for a failure of this machine. */
static void codes_that_are_none(void **state)
{
	static const uint32_t odd[] = {(uint32_t)RK_EDISKFULL, (uint32_t)INT32_MIN, 1000, 99, 1};
	struct rogue g;

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		rogue_start(&g, ODD_CODE);
		g.code = odd[i];
		assert_int_equal(run_home(&g), RK_MALFORMED);
		rogue_end(&g);
	}
}

/* ---- what the broker grants and does not write down */

static uint64_t unlogged_items[3];
static uint8_t unlogged_env[32] = {9};

/* A Pickup that was sent before and not answered. */
static uint64_t put_sent_pickup(struct client *c, struct txn *t, struct fixed *f, struct arena *a)
{
	static uint8_t writer[8] = {1}, nda[32] = {8};
	Rkl__OutboxItem item = RKL__OUTBOX_ITEM__INIT;
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Pickup p = RK__PICKUP__INIT;
	ProtobufCBinaryData frames[2], env_id = pb_of(BYTES_OF(unlogged_env));
	struct bytes object, header;

	p.version = 1;
	p.n_env_ids = 1;
	p.env_ids = &env_id;
	p.nda_id = p.nda_set = pb_of(BYTES_OF(nda));
	p.device_id = pb_of(BYTES_OF(f->orgs[1].device_id));
	p.time = FIXED_TIME_MS;
	assert_int_equal(object_make(OBJECT_KIND_PICKUP, f->exchange_id, keys_sign_sk(c, KEY_DEVICE), &p.base, a, &object), RK_OK);
	item.id = meta_next_id(t);
	q.protocol = 1;
	q.op = RK__OP__OP_PICKUP;
	q.number = 1;
	q.tag = item.id;
	q.writer_epoch = pb_of(BYTES_OF(writer));
	assert_int_equal(STRICT_PACK(&q, a, &header), RK_OK);
	frames[0] = pb_of(header);
	frames[1] = pb_of(object);
	item.op = RK__OP__OP_PICKUP;
	item.what = (char *)(uintptr_t)"dossier get";
	item.state = RKL__ITEM_STATE__SENT;
	item.number = 1;
	item.writer_epoch = q.writer_epoch;
	item.frames = frames;
	item.n_frames = 2;
	assert_int_equal(outbox_store(t, &item, RKL__ITEM_STATE__ITEM_NONE), RK_OK);
	assert_int_equal(meta_put(t, META_WRITER, BYTES_OF(writer)), RK_OK);
	assert_int_equal(meta_put_u64(t, META_NUMBER, 1), RK_OK);
	return item.id;
}

static uint64_t hopeless_item;
static uint8_t hopeless_key_id[32];

/* Under an agreement that is not here: our own gate ends it when the link is up. */
static void put_hopeless_dossier(struct client *c, struct txn *t, struct arena *a)
{
	Rk__EnvelopeHeader header = RK__ENVELOPE_HEADER__INIT;
	struct outbox_request dossier = {.op = RK__OP__OP_SUBMIT, .what = "dossier send", .header = &header, .lifetime_ms = 1000,
	                                 .message = bytes_str("secret")};
	Rkl__OutboxItem *item;

	header.kind = RK__KIND__NDA;
	assert_int_equal(outbox_add(c, t, &dossier, &hopeless_item), RK_OK);
	assert_int_equal(outbox_load(t, hopeless_item, a, &item), RK_OK);
	assert_int_equal(item->key_id.len, 32);
	memcpy(hopeless_key_id, item->key_id.data, 32);
}

static void put_three_requests(struct client *c, struct txn *t, struct fixed *f)
{
	struct outbox_request nack = {.op = RK__OP__OP_NACK, .what = "dossier decline", .env_id = unlogged_env, .nda_id = unlogged_env,
	                              .nack_reason = RK__NACK_REASON__NACK_DECLINED};
	struct deposit_secret secret = {.name = "plan.pdf", .title = ""};
	Rkl__EnvelopeRecord record = RKL__ENVELOPE_RECORD__INIT;
	struct arena *a = arena_new((size_t)1 << 20);
	uint8_t oh[32];

	record.env_id = record.nda_id = pb_of(BYTES_OF(unlogged_env));
	record.kind = RK__KIND__NDA;
	record.state = RKL__ENVELOPE_STATE__LODGED;
	assert_int_equal(record_put(t, C_ENVELOPE, BYTES_OF(unlogged_env), &record.base), RK_OK);
	unlogged_items[0] = put_sent_pickup(c, t, f, a);
	assert_int_equal(outbox_add(c, t, &nack, &unlogged_items[1]), RK_OK);
	put_hopeless_dossier(c, t, a);
	assert_int_equal(deposit_add(c, t, &secret, oh, &unlogged_items[2]), RK_OK);
	arena_free(a);
}

static void look_at_three_requests(struct client *c, struct txn *t)
{
	static const char *const counters[] = {("count/" INBOX_UNLOGGED), "count/nack-unlogged", "count/deposit-unlogged"};
	struct arena *a = arena_new((size_t)1 << 20);
	Rkl__EnvelopeRecord *record;
	struct outcome out;
	uint8_t key[32];

	assert_int_equal(outbox_outcome(t, hopeless_item, &out), RK_OK);
	assert_int_not_equal(out.code, RK_OK);
	assert_int_equal(keys_dossier(c, hopeless_key_id, false, key), RK_ENOTFOUND);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(outbox_outcome(t, unlogged_items[i], &out), RK_OK);
		assert_int_equal(out.code, RK_EINTEGRITY);
		assert_int_equal(meta_u64(t, counters[i]), 1);
	}
	assert_int_equal(mail_load(t, unlogged_env, a, &record), RK_OK);
	assert_int_equal(record->n_pickups, 0);
	assert_int_equal(record->n_nacks, 0);
	arena_free(a);
}

/* Each is answered with "ok" and no place in the log: that is no record of it, and the link goes on. */
static void granted_but_not_written_down(void **state)
{
	struct rogue g;
	int r;

	(void)state;
	rogue_start(&g, UNLOGGED);
	g.has_book = true;
	g.prepare = put_three_requests;
	g.look = look_at_three_requests;
	r = run_home(&g);
	rogue_end(&g);
	assert_int_equal(r, RK_OK);
}

/* Each of them is expected in the log, where the reply has said. */
static void look_at_three_promises(struct client *c, struct txn *t)
{
	struct env_cursor *cursor;
	struct bytes key, value;
	bool is_there[3] = {false};
	uint64_t n = 0;

	(void)c;
	assert_int_equal(env_cursor_open(t, C_PROMISED, &cursor), RK_OK);
	for (int r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		uint64_t i = get_u64be(key.data + 4) - PROMISED_FROM - 1;

		assert_int_equal(key.len, 44);
		assert_in_range(i, 0, 2);
		is_there[i] = true;
		n++;
	}
	env_cursor_free(cursor);
	assert_int_equal(n, 3);
	assert_true(is_there[0] && is_there[1] && is_there[2]);
	assert_int_equal(log_unproven(t), 3);
}

/* Each is answered with a place in the log, and nothing comes after it. */
static void promised_and_not_delivered(void **state)
{
	struct rogue g;
	int r;

	(void)state;
	rogue_start(&g, PROMISES);
	g.has_book = true;
	g.prepare = put_three_requests;
	g.look = look_at_three_promises;
	r = run_home(&g);
	rogue_end(&g);
	assert_int_equal(r, RK_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(announced_before_a_full_credit),
		cmocka_unit_test(directories_that_are_passed_over),
		cmocka_unit_test(nothing_is_announced_in_a_channel),
		cmocka_unit_test(more_bytes_than_credit),
		cmocka_unit_test(an_entry_from_tomorrow),
		cmocka_unit_test(replies_to_nobody_without_end),
		cmocka_unit_test(codes_that_are_none),
		cmocka_unit_test(granted_but_not_written_down),
		cmocka_unit_test(promised_and_not_delivered),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
