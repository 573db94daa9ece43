/*
 * admit's rules, without threads: what a request must be (request), whose connection counts (session), what a peer may
 * send (slots).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "broker/request.h"
#include "broker/session.h"
#include "broker/slots.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/fixed_kit.h"

#define FRAME_MAX (300 * 1024)

/* A request and its frames, to be bent before it is sent. */
struct draft {
	Rk__Request q;
	Rk__Hello hello;
	Rk__GetObject get;
	Rk__PutObject put;
	Rk__Subscribe subscribe;
	Rk__Credit credit;
	Rk__Ack ack;
	Rk__Fetch fetch;
	Rk__StreamId stream;
	struct bytes more[4];
	unsigned more_count;
};

static struct fixed fixed;
static struct arena *arena; /* of one request */
static struct arena *own;   /* of what all tests use */
static uint8_t epoch[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static uint8_t sha[32], id32[32] = {9};
static struct envelope_wire feed, open_mail;
static Rk__Signed *feed_head, *open_head;

static ProtobufCBinaryData data_of(uint8_t *data, size_t len)
{
	return (ProtobufCBinaryData){len, data};
}

static void add_object(struct draft *d, struct bytes object)
{
	ids_sha256(sha, object);
	d->q.object_sha256 = data_of(sha, 32);
	d->q.object_len = (uint32_t)object.len;
	d->more[d->more_count++] = object;
}

static void add(struct draft *d, struct bytes frame)
{
	d->more[d->more_count++] = frame;
}

/* A legal request of each operation. */
static void draft(struct draft *d, Rk__Op op)
{
	static const uint8_t object[] = "an object is opaque here";

	memset(d, 0, sizeof(*d));
	d->q = (Rk__Request)RK__REQUEST__INIT;
	d->hello = (Rk__Hello)RK__HELLO__INIT;
	d->get = (Rk__GetObject)RK__GET_OBJECT__INIT;
	d->put = (Rk__PutObject)RK__PUT_OBJECT__INIT;
	d->subscribe = (Rk__Subscribe)RK__SUBSCRIBE__INIT;
	d->credit = (Rk__Credit)RK__CREDIT__INIT;
	d->ack = (Rk__Ack)RK__ACK__INIT;
	d->fetch = (Rk__Fetch)RK__FETCH__INIT;
	d->stream = (Rk__StreamId)RK__STREAM_ID__INIT;
	d->hello.protocol_min = d->hello.protocol_max = 1;
	d->get.type = RK__OBJECT_TYPE__OBJECT_CHARTER;
	d->put.type = RK__OBJECT_TYPE__OBJECT_DEVICE_KX;
	d->put.oh = data_of(id32, 32);
	d->put.total = sizeof(object);
	d->stream.type = RK__STREAM_TYPE__STREAM_CONTROL;
	d->subscribe.stream = d->ack.stream = &d->stream;
	d->credit.entries = 10;
	d->credit.bytes = 1000;
	d->fetch.env_id = data_of(id32, 32);
	d->q.protocol = 1;
	d->q.op = op;
	d->q.tag = 77;
	switch (op) {
	case RK__OP__OP_HELLO: d->q.hello = &d->hello; break;
	case RK__OP__OP_GET_OBJECT: d->q.get_object = &d->get; break;
	case RK__OP__OP_PUT_OBJECT: d->q.put_object = &d->put; break;
	case RK__OP__OP_SUBSCRIBE: d->q.subscribe = &d->subscribe; break;
	case RK__OP__OP_UNSUBSCRIBE: d->q.unsubscribe = &d->stream; break;
	case RK__OP__OP_CREDIT: d->q.credit = &d->credit; break;
	case RK__OP__OP_ACK: d->q.ack = &d->ack; break;
	case RK__OP__OP_FETCH: d->q.fetch = &d->fetch; break;
	default: break;
	}
	switch (op) {
	case RK__OP__OP_INVITE_REG: case RK__OP__OP_PUT_OBJECT: case RK__OP__OP_SUBMIT: case RK__OP__OP_NDA_PROPOSE:
	case RK__OP__OP_NDA_ACT: case RK__OP__OP_PICKUP: case RK__OP__OP_NACK: case RK__OP__OP_DEPOSIT:
		d->q.number = 1;
		/* fall through */
	case RK__OP__OP_HELLO:
		d->q.writer_epoch = data_of(epoch, 8);
		break;
	default: break;
	}
	switch (op) {
	case RK__OP__OP_ENROL: case RK__OP__OP_INVITE_REG: case RK__OP__OP_PUT_OBJECT: case RK__OP__OP_NDA_PROPOSE:
	case RK__OP__OP_NDA_ACT: case RK__OP__OP_PICKUP: case RK__OP__OP_NACK: case RK__OP__OP_DEPOSIT:
		add_object(d, bytes_make(object, sizeof(object)));
		break;
	default: break;
	}
	if (op == RK__OP__OP_SUBMIT) {
		d->q.head = feed_head;
		add(d, feed.body);
	}
	if (op == RK__OP__OP_NDA_PROPOSE) {
		d->q.head = open_head;
		add(d, open_mail.wraps);
		add(d, open_mail.body);
	}
}

/* Parses the draft; the route and the peer check go to *command. */
static int parse(struct draft *d, struct command *c)
{
	static uint8_t header[16 * 1024];
	size_t len = rk__request__get_packed_size(&d->q);

	assert_true(len <= sizeof(header));
	memset(c, 0, sizeof(*c));
	rk__request__pack(&d->q, header);
	c->frames[0] = bytes_make(header, len);
	for (unsigned i = 0; i < d->more_count && i + 1 < COMMAND_FRAMES_MAX; i++)
		c->frames[i + 1] = d->more[i];
	c->frame_count = 1 + d->more_count;
	arena_reset(arena, arena_budget(len));
	c->arena = arena;
	return request_parse(c);
}

static int refusal(struct draft *d)
{
	struct command c;

	return parse(d, &c);
}

static int setup(void **state)
{
	Rk__EnvelopeHeader *h;

	(void)state;
	fixed_init(&fixed);
	arena = arena_new(0);
	own = arena_new(8 * 1024 * 1024);
	assert_non_null(arena);
	assert_non_null(own);
	h = fixed_header(&fixed, RK__KIND__FEED, 1, 0, own);
	assert_int_equal(fixed_seal(&fixed, h, 1, 0, fixed_message("a post", own), own, &feed), RK_OK);
	h = fixed_header(&fixed, RK__KIND__OPEN, 1, 1u << 2, own);
	assert_int_equal(fixed_seal(&fixed, h, 1, 1u << 2, fixed_message("a letter", own), own, &open_mail), RK_OK);
	assert_int_equal(STRICT_PARSE(signed, feed.head, own, &feed_head), RK_OK);
	assert_int_equal(STRICT_PARSE(signed, open_mail.head, own, &open_head), RK_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	arena_free(own);
	return 0;
}

/* ---- request */

static void every_operation_is_taken_and_goes_its_way(void **state)
{
	static const struct {
		Rk__Op op;
		enum request_route route;
		bool device, invite;
	} rows[] = {
		{RK__OP__OP_HELLO, REQUEST_APPLY, true, false},
		{RK__OP__OP_PING, REQUEST_ANSWER, true, true},
		{RK__OP__OP_GET_OBJECT, REQUEST_DELIVER, true, true},
		{RK__OP__OP_ENROL, REQUEST_VERIFY, false, true},
		{RK__OP__OP_INVITE_REG, REQUEST_VERIFY, true, false},
		{RK__OP__OP_PUT_OBJECT, REQUEST_VERIFY, true, false},
		{RK__OP__OP_SUBMIT, REQUEST_APPLY, true, false}, /* FEED: no signature check */
		{RK__OP__OP_NDA_PROPOSE, REQUEST_VERIFY, true, false},
		{RK__OP__OP_NDA_ACT, REQUEST_VERIFY, true, false},
		{RK__OP__OP_PICKUP, REQUEST_VERIFY, true, false},
		{RK__OP__OP_SUBSCRIBE, REQUEST_DELIVER, true, false},
		{RK__OP__OP_CREDIT, REQUEST_DELIVER, true, false},
		{RK__OP__OP_ACK, REQUEST_APPLY, true, false},
		{RK__OP__OP_FETCH, REQUEST_APPLY, true, false},
		{RK__OP__OP_UNSUBSCRIBE, REQUEST_DELIVER, true, false},
		{RK__OP__OP_NACK, REQUEST_VERIFY, true, false},
		{RK__OP__OP_DEPOSIT, REQUEST_VERIFY, true, false},
	};
	struct command c;
	struct draft d;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t hash[8];

		draft(&d, rows[i].op);
		if (parse(&d, &c) != RK_OK)
			fail_msg("op %d", (int)rows[i].op);
		request_hash(hash, c.frames[0]);
		assert_memory_equal(c.header_hash, hash, 8);
		assert_int_equal(request_route(&c), rows[i].route);
		assert_int_equal(request_check_peer(&c), rows[i].device ? RK_OK : RK_NOT_PERMITTED);
		c.peer.is_invite = true;
		assert_int_equal(request_check_peer(&c), rows[i].invite ? RK_OK : RK_NOT_PERMITTED);
		/* One frame more or less than the operation has. */
		d.more_count++;
		d.more[d.more_count - 1] = bytes_make(id32, 32);
		if (d.more_count < COMMAND_FRAMES_MAX)
			assert_int_equal(refusal(&d), RK_MALFORMED);
		d.more_count--;
		if (d.more_count > 0) {
			d.more_count--;
			assert_int_equal(refusal(&d), RK_MALFORMED);
		}
	}
}

static void an_invite_sees_charter_and_directory_only(void **state)
{
	struct command c;
	struct draft d;

	(void)state;
	for (int type = RK__OBJECT_TYPE__OBJECT_CHARTER; type <= RK__OBJECT_TYPE__OBJECT_FEED_KEY; type++) {
		bool may = type == RK__OBJECT_TYPE__OBJECT_CHARTER || type == RK__OBJECT_TYPE__OBJECT_DIRECTORY;

		draft(&d, RK__OP__OP_GET_OBJECT);
		d.get.type = (Rk__ObjectType)type;
		assert_int_equal(parse(&d, &c), RK_OK);
		c.peer.is_invite = true;
		assert_int_equal(request_check_peer(&c), may ? RK_OK : RK_NOT_PERMITTED);
	}
}

static void numbers_and_parts_must_fit_the_operation(void **state)
{
	struct draft d;

	(void)state;
	draft(&d, RK__OP__OP_PING);
	d.q.number = 1;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_SUBMIT);
	d.q.number = 0;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_SUBMIT);
	d.q.writer_epoch.len = 0;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_HELLO);
	d.q.writer_epoch.len = 7;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_HELLO);
	d.q.hello = NULL;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PING);
	d.q.credit = &d.credit;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_SUBSCRIBE);
	d.subscribe.stream = NULL;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_ACK);
	d.ack.stream = NULL;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PICKUP);
	d.q.head = open_head;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PING);
	d.q.op = RK__OP__OP_NONE;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PING);
	d.q.op = (Rk__Op)16;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PING);
	d.q.protocol = 2;
	assert_int_equal(refusal(&d), RK_VERSION);
}

static void the_object_frame_is_the_one_that_the_header_names(void **state)
{
	static uint8_t big[REQUEST_OBJECT_MAX_BYTES + 1];
	struct draft d;

	(void)state;
	draft(&d, RK__OP__OP_PICKUP);
	sha[0] ^= 1;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PICKUP);
	d.q.object_len++;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PICKUP);
	d.q.object_sha256.len = 0;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PICKUP);
	d.more[0] = bytes_make(big, 0);
	d.q.object_len = 0;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PING);
	d.q.object_len = 5;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	draft(&d, RK__OP__OP_PICKUP);
	d.more_count = 0;
	add_object(&d, bytes_make(big, REQUEST_OBJECT_MAX_BYTES));
	assert_int_equal(refusal(&d), RK_OK);
	d.more_count = 0;
	add_object(&d, bytes_make(big, REQUEST_OBJECT_MAX_BYTES + 1));
	d.q.object_len = REQUEST_OBJECT_MAX_BYTES; /* the parser's own bound comes first */
	assert_int_equal(refusal(&d), RK_TOO_LARGE);
}

static void bulk_has_its_bounds(void **state)
{
	static uint8_t big[FRAME_MAX];
	struct command c;
	struct draft d;

	(void)state;
	draft(&d, RK__OP__OP_SUBMIT);
	d.more[0].len--;
	assert_int_equal(refusal(&d), RK_MALFORMED); /* not body_len */
	draft(&d, RK__OP__OP_SUBMIT);
	d.more[0] = bytes_make(big, ENVELOPE_BODY_MAX_BYTES + 1);
	assert_int_equal(refusal(&d), RK_TOO_LARGE);
	draft(&d, RK__OP__OP_NDA_PROPOSE);
	d.more[1] = bytes_make(big, ENVELOPE_WRAPS_MAX_BYTES + 1);
	assert_int_equal(refusal(&d), RK_TOO_LARGE);
	/* Any other kind brings its WrapList and goes to verify. */
	draft(&d, RK__OP__OP_SUBMIT);
	d.q.head = open_head;
	d.more_count = 0;
	add(&d, open_mail.wraps);
	add(&d, open_mail.body);
	assert_int_equal(parse(&d, &c), RK_OK);
	assert_int_equal(request_route(&c), REQUEST_VERIFY);
	assert_true(bytes_equal(c.wraps, open_mail.wraps));
	assert_true(bytes_equal(c.body, open_mail.body));
	/* ACCEPT: object, WrapList, body. */
	draft(&d, RK__OP__OP_NDA_ACT);
	d.q.head = open_head;
	assert_int_equal(refusal(&d), RK_MALFORMED);
	add(&d, open_mail.wraps);
	add(&d, open_mail.body);
	assert_int_equal(parse(&d, &c), RK_OK);
	assert_true(bytes_equal(c.body, open_mail.body));
}

static void headers_that_are_not_canonical_are_refused(void **state)
{
	uint8_t header[REQUEST_HEADER_MAX_BYTES + 1];
	struct command c = {0};
	struct draft d;
	size_t len;

	(void)state;
	draft(&d, RK__OP__OP_PING);
	len = rk__request__pack(&d.q, header);
	c.arena = arena;
	c.frame_count = 1;
	/* An unknown field, a field twice, a cut, nothing at all. */
	header[len] = 0xf8;
	header[len + 1] = 0x07;
	header[len + 2] = 1;
	c.frames[0] = bytes_make(header, len + 3);
	assert_int_equal(request_parse(&c), RK_MALFORMED);
	assert_null(c.req);
	memcpy(header + len, header, len);
	c.frames[0] = bytes_make(header, 2 * len);
	assert_int_equal(request_parse(&c), RK_MALFORMED);
	c.frames[0] = bytes_make(header, len - 1);
	assert_int_not_equal(request_parse(&c), RK_OK);
	c.frames[0] = bytes_make(header, 0);
	assert_int_not_equal(request_parse(&c), RK_OK);
	c.frames[0] = bytes_make(header, sizeof(header));
	assert_int_equal(request_parse(&c), RK_TOO_LARGE);
	c.frame_count = 0;
	assert_int_equal(request_parse(&c), RK_MALFORMED);
}

/* ---- session */

static struct peer peer_at(uint8_t device, uint8_t connection)
{
	struct peer p = {.routing_id_len = 5};

	memset(p.id, device, 16);
	p.routing_id[1] = connection;
	return p;
}

static void the_newest_hello_is_the_session(void **state)
{
	struct sessions *table = sessions_new(16, NULL, NULL);
	struct peer first = peer_at(1, 1), second = peer_at(1, 2), third = peer_at(1, 3);
	struct session *s;

	(void)state;
	assert_non_null(table);
	s = session_get(table, &first, 0);
	/* A restarted broker knows nobody: say HELLO again. */
	assert_int_equal(session_check(s, &first), RK_GENERATION);
	session_hello(s, &first, false);
	session_hello(s, &first, false);
	assert_int_equal(session_check(s, &first), RK_OK);
	/* A client whose TCP connection was renewed under it is no older copy. */
	assert_int_equal(session_check(s, &second), RK_GENERATION);
	session_hello(s, &second, false);
	assert_int_equal(session_check(s, &second), RK_OK);
	assert_int_equal(session_check(s, &first), RK_SUPERSEDED);
	assert_int_equal(session_check(s, &third), RK_GENERATION);
	/* The older one takes over again. */
	session_hello(s, &first, false);
	assert_int_equal(session_check(s, &first), RK_OK);
	assert_int_equal(session_check(s, &second), RK_SUPERSEDED);
	session_end(s);
	assert_int_equal(session_check(s, &first), RK_GENERATION);
	sessions_free(table);
}

/* Which peers are forgotten, and one that must not be. */
struct forgotten {
	uint32_t mask;
	uint8_t keep;
};

static bool on_forget(void *user, const struct peer *peer)
{
	struct forgotten *f = user;

	if (peer->id[0] == f->keep)
		return false;
	f->mask |= 1u << peer->id[0];
	return true;
}

static void who_is_forgotten_is_told(void **state)
{
	struct forgotten f = {.keep = 3};
	struct sessions *table = sessions_new(4, on_forget, &f);
	struct peer p;

	(void)state;
	for (uint8_t i = 1; i <= 4; i++) {
		p = peer_at(i, i);
		assert_non_null(session_get(table, &p, 1000));
	}
	/* A ping now and then is enough to stay. */
	p = peer_at(2, 2);
	assert_non_null(session_get(table, &p, 500000));
	p = peer_at(5, 5);
	assert_non_null(session_get(table, &p, 700000));
	assert_int_equal(f.mask, 1u << 1 | 1u << 4);
	assert_int_equal(sessions_count(table), 3);
	for (uint8_t i = 2; i <= 3; i++) {
		p = peer_at(i, i);
		assert_non_null(session_find(table, &p));
	}
	sessions_free(table);
}

static void a_full_table_makes_room_of_the_idle_only(void **state)
{
	struct sessions *table = sessions_new(4, NULL, NULL);
	struct peer p;
	struct session *s;

	(void)state;
	for (uint8_t i = 1; i <= 4; i++) {
		p = peer_at(i, i);
		s = session_get(table, &p, 1000);
		assert_non_null(s);
		session_hello(s, &p, false);
		s->is_busy = i == 1;
	}
	p = peer_at(5, 5);
	assert_null(session_get(table, &p, 2000));
	assert_non_null(session_get(table, &p, 700000));
	p = peer_at(1, 1);
	s = session_find(table, &p);
	assert_non_null(s); /* one of its commands is under way */
	assert_int_equal(session_check(s, &p), RK_OK);
	p = peer_at(2, 2);
	assert_null(session_find(table, &p));
	sessions_free(table);
}

static void waiting_commands_keep_their_order_and_bound(void **state)
{
	struct message_load load = {0};
	struct sessions *table = sessions_new(4, NULL, NULL);
	struct peer p = peer_at(1, 1);
	struct session *s = session_get(table, &p, 0);
	struct message_in *m[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		m[i] = message_in_new(&p, NULL, 0, &load);
		assert_non_null(m[i]);
		assert_int_equal(session_push(s, m[i], 3), i < 3);
	}
	message_in_free(m[3]);
	assert_ptr_equal(session_pop(s), m[0]);
	assert_ptr_equal(session_pop(s), m[1]);
	message_in_free(m[0]);
	message_in_free(m[1]);
	assert_int_equal(s->queued, 1);
	sessions_free(table); /* the one that still waits goes with it */
	assert_int_equal(load.count, 0);
	assert_int_equal(load.bytes, 0);
}

/* ---- slots */

static const struct slots_limits limits = {500, 100, 1 << 20, 1 << 10, 32 * 1024};

static void a_device_has_a_burst_and_a_rate(void **state)
{
	struct slots *table = slots_new(16, &limits);
	uint8_t id[16] = {1}, other[16] = {2};
	struct slot *s = slots_get(table, id, false, 1000), *o = slots_get(table, other, false, 1000);

	(void)state;
	for (int i = 0; i < 500; i++)
		assert_int_equal(slots_take(table, s, 100, 1000), SLOTS_PASS);
	assert_int_equal(slots_take(table, s, 100, 1000), SLOTS_RATE);
	assert_int_equal(slots_take(table, o, 100, 1000), SLOTS_PASS); /* another is not held up */
	assert_int_equal(slots_take(table, s, 100, 1009), SLOTS_RATE);
	assert_int_equal(slots_take(table, s, 100, 1010), SLOTS_PASS);
	assert_int_equal(slots_take(table, s, 100, 1010), SLOTS_RATE);
	/* A day later: the burst again, and no more. */
	for (int i = 0; i < 500; i++)
		assert_int_equal(slots_take(table, s, 10, 86401000), SLOTS_PASS);
	assert_int_equal(slots_take(table, s, 10, 86401000), SLOTS_RATE);
	slots_free(table);
}

static void a_device_has_bytes(void **state)
{
	struct slots *table = slots_new(16, &limits);
	uint8_t id[16] = {1};
	struct slot *s = slots_get(table, id, false, 1000);

	(void)state;
	assert_int_equal(slots_take(table, s, 1 << 20, 1000), SLOTS_PASS);
	assert_int_equal(slots_take(table, s, 1, 1000), SLOTS_RATE);
	assert_int_equal(slots_take(table, s, 1 << 10, 2000), SLOTS_PASS);
	slots_free(table);
}

/* Who asks for bulk and does not read it pays for it as if it had sent it. */
static void bulk_that_is_asked_for_takes_bytes(void **state)
{
	struct slots *table = slots_new(16, &limits);
	uint8_t id[16] = {1};
	struct slot *s = slots_get(table, id, false, 1000);

	(void)state;
	assert_int_equal(slots_take(table, s, 100, 1000), SLOTS_PASS);
	assert_true(slots_take_bulk(s, (1 << 20) - 100));
	assert_false(slots_take_bulk(s, 1));
	assert_int_equal(slots_take(table, s, 1, 1000), SLOTS_RATE);
	assert_int_equal(slots_take(table, s, 1, 2000), SLOTS_PASS);
	assert_true(slots_take_bulk(s, 1000));
	slots_free(table);
}

static void an_invite_has_32_kib_whatever_the_connection(void **state)
{
	struct slots *table = slots_new(16, &limits);
	uint8_t id[16] = {1};
	struct slot *s = slots_get(table, id, true, 1000);

	(void)state;
	assert_int_equal(slots_take(table, s, 32 * 1024, 1000), SLOTS_PASS);
	assert_int_equal(slots_take(table, s, 1, 1000), SLOTS_INVITE_BYTES);
	/* They come back as slowly as one who waits for a decision needs them: 1 KiB a second. */
	assert_int_equal(slots_take(table, s, 2049, 3000), SLOTS_INVITE_BYTES);
	assert_int_equal(slots_take(table, s, 2048, 3000), SLOTS_PASS);
	/* Never more than at first, and requests have their own bound. */
	assert_int_equal(slots_take(table, s, 32 * 1024 + 1, 300000), SLOTS_INVITE_BYTES);
	for (int i = 0; i < 60; i++)
		assert_int_equal(slots_take(table, s, 100, 300000), SLOTS_PASS);
	assert_int_equal(slots_take(table, s, 100, 300000), SLOTS_RATE);
	/* An invite and a device of the same id are two peers. */
	assert_null(slots_find(table, id, false));
	slots_free(table);
}

static void the_table_of_slots_is_bounded(void **state)
{
	struct slots *table = slots_new(8, &limits);
	uint8_t id[16] = {0};

	(void)state;
	for (uint8_t i = 0; i < 8; i++) {
		id[7] = i;
		assert_non_null(slots_get(table, id, false, 1000));
	}
	id[7] = 8;
	assert_null(slots_get(table, id, false, 1000));
	assert_non_null(slots_get(table, id, false, 1000000));
	assert_int_equal(slots_count(table), 1);
	slots_free(table);
}

/* What the leaves of a question cost is taken before anything is done for them; one token is enough to begin. */
static void leaves_of_proofs_have_tokens(void **state)
{
	struct session s = {.proof_ms = 0};
	(void)state;

	assert_true(session_take_proof(&s, 64, 10, 20, 1000)); /* 16 of 20 */
	assert_true(session_take_proof(&s, 64, 10, 20, 1000)); /* a debt of 12 */
	assert_false(session_take_proof(&s, 1, 10, 20, 1000));
	assert_false(session_take_proof(&s, 0, 10, 20, 1000));
	assert_false(session_take_proof(&s, 1, 10, 20, 2299)); /* 10 a second: 1.3 s to have one again */
	assert_true(session_take_proof(&s, 5, 10, 20, 2300));
	assert_int_equal(s.proof_milli, -1000);
	/* Never more than the burst, however long nothing was asked. */
	assert_true(session_take_proof(&s, 0, 10, 20, 600000));
	assert_int_equal(s.proof_milli, 20000);
	assert_true(session_take_proof(&s, 0, 10, 20, 86400000));
	assert_int_equal(s.proof_milli, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_is_taken_and_goes_its_way),
		cmocka_unit_test(an_invite_sees_charter_and_directory_only),
		cmocka_unit_test(numbers_and_parts_must_fit_the_operation),
		cmocka_unit_test(the_object_frame_is_the_one_that_the_header_names),
		cmocka_unit_test(bulk_has_its_bounds),
		cmocka_unit_test(headers_that_are_not_canonical_are_refused),
		cmocka_unit_test(the_newest_hello_is_the_session),
		cmocka_unit_test(a_full_table_makes_room_of_the_idle_only),
		cmocka_unit_test(who_is_forgotten_is_told),
		cmocka_unit_test(waiting_commands_keep_their_order_and_bound),
		cmocka_unit_test(a_device_has_a_burst_and_a_rate),
		cmocka_unit_test(a_device_has_bytes),
		cmocka_unit_test(bulk_that_is_asked_for_takes_bytes),
		cmocka_unit_test(an_invite_has_32_kib_whatever_the_connection),
		cmocka_unit_test(leaves_of_proofs_have_tokens),
		cmocka_unit_test(the_table_of_slots_is_bounded),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
