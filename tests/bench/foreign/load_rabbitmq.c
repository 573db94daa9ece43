/*
 * load_rabbitmq: load for RabbitMQ: AMQP 0-9-1, one durable quorum queue, persistent posts with publisher confirms, one consumer that
 * acknowledges by hand (--path: the certificate, --endpoint: the port).  A confirmation may cover many posts and need not come in order; the
 * consumer's goes out each ACK_EVERY messages and covers all before, as in the load of Renkei.  A queue hands each post to one consumer, so
 * there is no fan-out here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/foreign/tls_kit.h"
#include "tests/bench/load_kit.h"

#define ACK_EVERY 128
#define PREFETCH 2048          /* more than any window and what waits for an ACK */
#define FRAME_END 0xce
#define FRAME_OVERHEAD 8       /* type, channel, size; end */
#define CONFIRM_SLOTS 65536    /* more than any window */

enum { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_HEARTBEAT = 8 };

/* class << 16 | method */
#define METHOD(class, method) ((uint32_t)(class) << 16 | (method))
enum {
	CONNECTION_START = METHOD(10, 10), CONNECTION_START_OK = METHOD(10, 11), CONNECTION_TUNE = METHOD(10, 30),
	CONNECTION_TUNE_OK = METHOD(10, 31), CONNECTION_OPEN = METHOD(10, 40), CONNECTION_OPEN_OK = METHOD(10, 41),
	CHANNEL_OPEN = METHOD(20, 10), CHANNEL_OPEN_OK = METHOD(20, 11), QUEUE_DECLARE = METHOD(50, 10),
	QUEUE_DECLARE_OK = METHOD(50, 11), BASIC_QOS = METHOD(60, 10), BASIC_QOS_OK = METHOD(60, 11), BASIC_CONSUME = METHOD(60, 20),
	BASIC_CONSUME_OK = METHOD(60, 21), BASIC_PUBLISH = METHOD(60, 40), BASIC_DELIVER = METHOD(60, 60), BASIC_ACK = METHOD(60, 80),
	CONFIRM_SELECT = METHOD(85, 10), CONFIRM_SELECT_OK = METHOD(85, 11),
};

enum { SUBSCRIBER, PUBLISHER };

struct run {
	struct load l;
	struct tls *tls;
	char queue[24];           /* each run has its own */
	bool is_open[2], is_ready[2];
	bool confirmed[CONFIRM_SLOTS];
	uint64_t all_confirmed;   /* all posts up to this tag are */
	uint64_t delivery_tag;    /* of the message that is coming in */
	uint8_t body[LOAD_PAYLOAD_BYTES];
	size_t body_want, body_have;
};

/* ---- what goes out: a frame is written into a buffer of its own, then sent */

struct out {
	uint8_t data[2048];
	size_t len, frame;        /* frame: where the one that is being written begins */
};

static void u(struct out *o, uint64_t value, unsigned bytes)
{
	while (bytes-- > 0)
		o->data[o->len++] = (uint8_t)(value >> (8 * bytes));
}

static void short_string(struct out *o, const char *text)
{
	size_t len = strlen(text);

	u(o, len, 1);
	memcpy(o->data + o->len, text, len);
	o->len += len;
}

static void frame_begin(struct out *o, unsigned type, unsigned channel)
{
	o->frame = o->len;
	u(o, type, 1);
	u(o, channel, 2);
	u(o, 0, 4);
}

static void frame_end(struct out *o)
{
	size_t end = o->len;

	o->len = o->frame + 3;
	u(o, end - o->frame - 7, 4);
	o->len = end;
	u(o, FRAME_END, 1);
}

static void method_begin(struct out *o, unsigned channel, uint32_t method)
{
	frame_begin(o, FRAME_METHOD, channel);
	u(o, method, 4);
}

static void method_send(struct run *r, unsigned i, struct out *o)
{
	frame_end(o);
	tls_send(r->tls, i, o->data, o->len);
}

static void send_start_ok(struct run *r, unsigned i)
{
	static const char plain[] = "\0guest\0guest";
	struct out o = {.len = 0};

	method_begin(&o, 0, CONNECTION_START_OK);
	u(&o, 0, 4); /* no properties */
	short_string(&o, "PLAIN");
	u(&o, sizeof(plain) - 1, 4);
	memcpy(o.data + o.len, plain, sizeof(plain) - 1);
	o.len += sizeof(plain) - 1;
	short_string(&o, "en_US");
	method_send(r, i, &o);
}

/* Takes channels and frames as they are offered; no heartbeat. */
static void send_tune_ok(struct run *r, unsigned i, const uint8_t *offered)
{
	struct out o = {.len = 0}, open = {.len = 0};

	method_begin(&o, 0, CONNECTION_TUNE_OK);
	memcpy(o.data + o.len, offered, 6);
	o.len += 6;
	u(&o, 0, 2);
	method_send(r, i, &o);
	method_begin(&open, 0, CONNECTION_OPEN);
	short_string(&open, "/");
	short_string(&open, "");
	u(&open, 0, 1);
	method_send(r, i, &open);
}

static void send_channel_open(struct run *r, unsigned i)
{
	struct out o = {.len = 0};

	method_begin(&o, 1, CHANNEL_OPEN);
	short_string(&o, "");
	method_send(r, i, &o);
}

static void send_declare(struct run *r, unsigned i)
{
	static const char type[] = "quorum";
	struct out o = {.len = 0};

	method_begin(&o, 1, QUEUE_DECLARE);
	u(&o, 0, 2);
	short_string(&o, r->queue);
	u(&o, 2, 1); /* durable */
	u(&o, 1 + 12 + 1 + 4 + sizeof(type) - 1, 4);
	short_string(&o, "x-queue-type");
	u(&o, 'S', 1);
	u(&o, sizeof(type) - 1, 4);
	memcpy(o.data + o.len, type, sizeof(type) - 1);
	o.len += sizeof(type) - 1;
	method_send(r, i, &o);
}

static void send_qos(struct run *r, unsigned i)
{
	struct out o = {.len = 0};

	method_begin(&o, 1, BASIC_QOS);
	u(&o, 0, 4);
	u(&o, PREFETCH, 2);
	u(&o, 0, 1);
	method_send(r, i, &o);
}

static void send_consume(struct run *r, unsigned i)
{
	struct out o = {.len = 0};

	method_begin(&o, 1, BASIC_CONSUME);
	u(&o, 0, 2);
	short_string(&o, r->queue);
	short_string(&o, "c");
	u(&o, 0, 1); /* acknowledged by hand */
	u(&o, 0, 4);
	method_send(r, i, &o);
}

static void send_confirm_select(struct run *r, unsigned i)
{
	struct out o = {.len = 0};

	method_begin(&o, 1, CONFIRM_SELECT);
	u(&o, 0, 1);
	method_send(r, i, &o);
}

static void send_ack(struct run *r, unsigned i, uint64_t tag)
{
	struct out o = {.len = 0};

	method_begin(&o, 1, BASIC_ACK);
	u(&o, tag, 8);
	u(&o, 1, 1); /* and all before */
	method_send(r, i, &o);
}

static void send_publish(struct run *r)
{
	struct out o = {.len = 0};

	method_begin(&o, 1, BASIC_PUBLISH);
	u(&o, 0, 2);
	short_string(&o, "");
	short_string(&o, r->queue);
	u(&o, 0, 1);
	frame_end(&o);
	frame_begin(&o, FRAME_HEADER, 1);
	u(&o, 60, 2);
	u(&o, 0, 2);
	u(&o, LOAD_PAYLOAD_BYTES, 8);
	u(&o, 0x1000, 2); /* has a delivery mode: */
	u(&o, 2, 1);      /* persistent */
	frame_end(&o);
	frame_begin(&o, FRAME_BODY, 1);
	load_payload(o.data + o.len, r->l.sent);
	o.len += LOAD_PAYLOAD_BYTES;
	frame_end(&o);
	tls_send(r->tls, PUBLISHER, o.data, o.len);
}

/* ---- what comes */

static uint64_t get(const uint8_t *data, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | *data++;
	return value;
}

static void on_confirm(struct run *r, uint64_t tag, bool and_before)
{
	uint64_t n = 0;

	if (tag <= r->all_confirmed || tag > r->l.sent)
		load_die(&r->l, "post %llu confirmed again or before it was sent", (unsigned long long)tag);
	for (uint64_t t = and_before ? r->all_confirmed + 1 : tag; t <= tag; t++) {
		n += !r->confirmed[t % CONFIRM_SLOTS];
		r->confirmed[t % CONFIRM_SLOTS] = true;
	}
	while (r->confirmed[(r->all_confirmed + 1) % CONFIRM_SLOTS])
		r->confirmed[++r->all_confirmed % CONFIRM_SLOTS] = false;
	load_acked(&r->l, n);
}

static void on_deliver(struct run *r, const uint8_t *m, size_t len)
{
	size_t tag_at = 1 + (size_t)m[0];

	if (len < tag_at + 9 || m[tag_at + 8] != 0)
		load_die(&r->l, "a post is delivered again");
	r->delivery_tag = get(m + tag_at, 8);
	r->body_want = r->body_have = 0;
}

static void on_header(struct run *r, const uint8_t *m, size_t len)
{
	if (len < 12 || get(m + 4, 8) != LOAD_PAYLOAD_BYTES)
		load_die(&r->l, "a message of other size");
	r->body_want = LOAD_PAYLOAD_BYTES;
}

static void on_body(struct run *r, unsigned i, const uint8_t *m, size_t len)
{
	if (len > r->body_want - r->body_have || i != SUBSCRIBER)
		load_die(&r->l, "%zu bytes of body, not wanted", len);
	memcpy(r->body + r->body_have, m, len);
	r->body_have += len;
	if (r->body_have < r->body_want)
		return;
	load_delivered(&r->l, SUBSCRIBER, load_payload_post(r->body));
	if (r->l.got[SUBSCRIBER] % ACK_EVERY == 0)
		send_ack(r, i, r->delivery_tag);
}

/* Each answer is the next step of a connection's way to its role. */
static void on_method(struct run *r, unsigned i, uint32_t method, const uint8_t *m, size_t len)
{
	switch (method) {
	case CONNECTION_START: send_start_ok(r, i); break;
	case CONNECTION_TUNE:
		if (len < 8)
			load_die(&r->l, "TUNE of %zu bytes", len);
		send_tune_ok(r, i, m);
		break;
	case CONNECTION_OPEN_OK: send_channel_open(r, i); break;
	case CHANNEL_OPEN_OK: r->is_open[i] = true; break;
	case QUEUE_DECLARE_OK: send_qos(r, i); break;
	case BASIC_QOS_OK: send_consume(r, i); break;
	case CONFIRM_SELECT_OK:
	case BASIC_CONSUME_OK: r->is_ready[i] = true; break;
	case BASIC_DELIVER: on_deliver(r, m, len); break;
	case BASIC_ACK:
		if (len < 9)
			load_die(&r->l, "ACK of %zu bytes", len);
		on_confirm(r, get(m, 8), m[8] & 1);
		break;
	default: /* a channel or connection that is closed says why in a short string behind its code */
		load_die(&r->l, "connection %u: method %u.%u: %.*s", i, method >> 16, method & 0xffff,
			 len > 3 ? (int)(m[2] < len - 3 ? m[2] : len - 3) : 0, (const char *)m + 3);
	}
}

static void on_frame(struct run *r, unsigned i, unsigned type, const uint8_t *m, size_t len)
{
	if (type == FRAME_METHOD && len >= 5)
		on_method(r, i, (uint32_t)get(m, 4), m + 4, len - 4);
	else if (type == FRAME_METHOD && len == 4)
		on_method(r, i, (uint32_t)get(m, 4), (const uint8_t *)"", 0);
	else if (type == FRAME_HEADER)
		on_header(r, m, len);
	else if (type == FRAME_BODY)
		on_body(r, i, m, len);
	else if (type != FRAME_HEARTBEAT)
		load_die(&r->l, "frame of type %u", type);
}

static size_t on_data(void *user, unsigned i, const uint8_t *data, size_t len)
{
	struct run *r = user;
	size_t taken = 0;

	while (len - taken >= FRAME_OVERHEAD) {
		size_t size = (size_t)get(data + taken + 3, 4);

		if (data[taken] == 'A')
			load_die(&r->l, "another version of AMQP");
		if (len - taken < size + FRAME_OVERHEAD)
			break;
		if (data[taken + 7 + size] != FRAME_END)
			load_die(&r->l, "a frame without its end");
		on_frame(r, i, data[taken], data + taken + 7, size);
		taken += size + FRAME_OVERHEAD;
	}
	return taken;
}

static void wait_for(struct run *r, const bool *fact)
{
	while (!*fact)
		tls_wait(r->tls, 1000);
}

static void connect_all(struct run *r)
{
	static const uint8_t greeting[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

	for (unsigned i = SUBSCRIBER; i <= PUBLISHER; i++) {
		tls_connect(r->tls, (unsigned)atoi(r->l.endpoint), 0);
		tls_send(r->tls, i, greeting, sizeof(greeting));
		wait_for(r, &r->is_open[i]);
	}
	send_declare(r, SUBSCRIBER);
	wait_for(r, &r->is_ready[SUBSCRIBER]);
	send_confirm_select(r, PUBLISHER);
	wait_for(r, &r->is_ready[PUBLISHER]);
}

int main(int argc, char **argv)
{
	static struct run r;

	load_options(&r.l, "rabbitmq", argc, argv);
	if (r.l.path == NULL || r.l.subscribers != 1)
		load_die(&r.l, "--path CERTIFICATE; one subscriber");
	snprintf(r.queue, sizeof(r.queue), "b%d", (int)getpid());
	r.tls = tls_new(2, r.l.timer, r.l.path, on_data, &r);
	connect_all(&r);
	load_start(&r.l);
	while (!load_is_done(&r.l)) {
		while (load_may_send(&r.l)) {
			send_publish(&r);
			load_sent(&r.l);
		}
		tls_wait(r.tls, 10);
	}
	load_report(&r.l);
	tls_free(r.tls);
	load_free(&r.l);
	return 0;
}
