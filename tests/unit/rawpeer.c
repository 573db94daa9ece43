#include "tests/unit/rawpeer.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#define FRAMES_MAX 8

struct rawpeer {
	void *context, *socket;
	struct arena *arena;         /* the last reply */
	zmq_msg_t frames[FRAMES_MAX];
	size_t frame_count;
	uint8_t epoch[8];
	uint64_t number, tag, deliveries;
	int timeout_ms;
	rawpeer_delivery_fn *on_delivery;
	void *user;
	rawpeer_reply_fn *on_reply;
	void *reply_user;
	bool is_unsettled;           /* the last numbered call was refused: was its number used up? */
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct rawpeer *rawpeer_new(const char *endpoint, const uint8_t broker_pk[32], const uint8_t curve_pk[32],
                            const uint8_t curve_sk[32])
{
	struct rawpeer *p = calloc(1, sizeof(*p));
	int zero = 0, handshake_ms = 15000;

	if (p == NULL)
		return NULL;
	p->timeout_ms = 5000;
	p->context = zmq_ctx_new();
	p->socket = zmq_socket(p->context, ZMQ_DEALER);
	p->arena = arena_new(1 << 20);
	if (p->context == NULL || p->socket == NULL || p->arena == NULL) {
		rawpeer_free(p);
		return NULL;
	}
	zmq_setsockopt(p->socket, ZMQ_LINGER, &zero, sizeof(zero));
	zmq_setsockopt(p->socket, ZMQ_RCVHWM, &zero, sizeof(zero));
	zmq_setsockopt(p->socket, ZMQ_SNDHWM, &zero, sizeof(zero));
	zmq_setsockopt(p->socket, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof(handshake_ms));
	zmq_setsockopt(p->socket, ZMQ_CURVE_SERVERKEY, broker_pk, 32);
	zmq_setsockopt(p->socket, ZMQ_CURVE_PUBLICKEY, curve_pk, 32);
	zmq_setsockopt(p->socket, ZMQ_CURVE_SECRETKEY, curve_sk, 32);
	if (zmq_connect(p->socket, endpoint) != 0) {
		rawpeer_free(p);
		return NULL;
	}
	return p;
}

static void frames_close(struct rawpeer *p)
{
	for (size_t i = 0; i < p->frame_count; i++)
		zmq_msg_close(&p->frames[i]);
	p->frame_count = 0;
}

void rawpeer_free(struct rawpeer *p)
{
	if (p == NULL)
		return;
	frames_close(p);
	if (p->socket != NULL)
		zmq_close(p->socket);
	if (p->context != NULL)
		zmq_ctx_term(p->context);
	arena_free(p->arena);
	free(p);
}

void rawpeer_timeout(struct rawpeer *p, int timeout_ms)
{
	p->timeout_ms = timeout_ms;
}

void rawpeer_send(struct rawpeer *p, const struct bytes *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		zmq_send(p->socket, frames[i].data, frames[i].len, i + 1 < n ? ZMQ_SNDMORE : 0);
}

/* One multipart message into p->frames; false when the deadline passes. */
static bool receive(struct rawpeer *p, int64_t deadline)
{
	int more = 1;

	frames_close(p);
	while (more) {
		zmq_pollitem_t item = {p->socket, 0, ZMQ_POLLIN, 0};
		int64_t left = deadline - now_ms();
		if (p->frame_count == 0 && zmq_poll(&item, 1, left > 0 ? (long)left : 0) <= 0)
			return false;
		assert(p->frame_count < FRAMES_MAX);
		zmq_msg_t *m = &p->frames[p->frame_count];
		zmq_msg_init(m);
		if (zmq_msg_recv(m, p->socket, 0) < 0)
			return false;
		p->frame_count++;
		more = zmq_msg_more(m);
	}
	return true;
}

/* The last message as a Down; NULL if it is none. Deliveries are counted and handed over here. */
static const Rk__Down *take(struct rawpeer *p)
{
	struct bytes more[FRAMES_MAX];

	arena_reset(p->arena, 1 << 20);
	Rk__Down *down = rk__down__unpack(arena_allocator(p->arena), zmq_msg_size(&p->frames[0]), zmq_msg_data(&p->frames[0]));
	if (down != NULL && down->delivery != NULL) {
		p->deliveries++;
		if (p->on_delivery != NULL)
			p->on_delivery(p->user, down->delivery, more, rawpeer_reply_frames(p, more, FRAMES_MAX));
	}
	if (down != NULL && down->reply != NULL && p->on_reply != NULL)
		p->on_reply(p->reply_user, down->reply, more, rawpeer_reply_frames(p, more, FRAMES_MAX));
	return down;
}

int rawpeer_ask_tag(struct rawpeer *p, const struct bytes *frames, size_t n, uint64_t tag, const Rk__Reply **reply)
{
	int64_t deadline = now_ms() + p->timeout_ms;

	if (reply != NULL)
		*reply = NULL;
	rawpeer_send(p, frames, n);
	while (receive(p, deadline)) {
		const Rk__Down *down = take(p);
		if (down == NULL || down->reply == NULL)
			continue;
		/* An answer to an older request is not what we wait for; a refusal of bytes without a tag has tag 0. */
		if (down->reply->tag != 0 && down->reply->tag != tag)
			continue;
		if (reply != NULL)
			*reply = down->reply;
		return (int)down->reply->code;
	}
	return RAWPEER_NO_REPLY;
}

int rawpeer_ask(struct rawpeer *p, const struct bytes *frames, size_t n, const Rk__Reply **reply)
{
	return rawpeer_ask_tag(p, frames, n, p->tag, reply);
}

void rawpeer_on_delivery(struct rawpeer *p, rawpeer_delivery_fn *fn, void *user)
{
	p->on_delivery = fn;
	p->user = user;
}

void rawpeer_listen(struct rawpeer *p, int ms)
{
	int64_t deadline = now_ms() + ms;
	while (receive(p, deadline))
		take(p);
}

/* The request as it goes out, with the next tag; `packed` is what its first frame borrows. */
static size_t pack(struct rawpeer *p, Rk__Request *r, const struct bytes *more, size_t n, uint8_t packed[16384], struct bytes *frames)
{
	r->protocol = r->protocol == 0 ? 1 : r->protocol;
	r->tag = ++p->tag;
	assert(rk__request__get_packed_size(r) <= 16384 && n < FRAMES_MAX);
	frames[0] = bytes_make(packed, rk__request__pack(r, packed));
	for (size_t i = 0; i < n; i++)
		frames[i + 1] = more[i];
	return n + 1;
}

int rawpeer_call(struct rawpeer *p, Rk__Request *r, const struct bytes *more, size_t n, const Rk__Reply **reply)
{
	struct bytes frames[FRAMES_MAX];
	uint8_t packed[16384];

	n = pack(p, r, more, n, packed, frames);
	return rawpeer_ask(p, frames, n, reply);
}

uint64_t rawpeer_post(struct rawpeer *p, Rk__Request *r, const struct bytes *more, size_t n)
{
	struct bytes frames[FRAMES_MAX];
	uint8_t packed[16384];

	n = pack(p, r, more, n, packed, frames);
	rawpeer_send(p, frames, n);
	return r->tag;
}

void rawpeer_on_reply(struct rawpeer *p, rawpeer_reply_fn *fn, void *user)
{
	p->on_reply = fn;
	p->reply_user = user;
}

int rawpeer_hello_as(struct rawpeer *p, const uint8_t epoch[8], uint64_t *last_number)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Hello hello = RK__HELLO__INIT;
	const Rk__Reply *reply;

	if (epoch != p->epoch)
		memcpy(p->epoch, epoch, sizeof(p->epoch));
	hello.protocol_min = hello.protocol_max = 1;
	r.op = RK__OP__OP_HELLO;
	r.hello = &hello;
	r.writer_epoch = (ProtobufCBinaryData){sizeof(p->epoch), p->epoch};
	int code = rawpeer_call(p, &r, NULL, 0, &reply);
	if (code == 0 && reply->hello == NULL)
		return RAWPEER_NO_REPLY;
	if (code == 0) {
		p->number = reply->hello->last_number;
		if (last_number != NULL)
			*last_number = p->number;
	}
	return code;
}

int rawpeer_hello(struct rawpeer *p)
{
	uint8_t epoch[8];
	randombytes_buf(epoch, sizeof(epoch));
	return rawpeer_hello_as(p, epoch, NULL);
}

int rawpeer_subscribe(struct rawpeer *p, Rk__Channel channel, uint64_t cursor, uint64_t *head)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Subscribe sub = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;
	const Rk__Reply *reply;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = channel;
	sub.stream = &id;
	sub.cursor = cursor;
	r.op = RK__OP__OP_SUBSCRIBE;
	r.subscribe = &sub;
	int code = rawpeer_call(p, &r, NULL, 0, &reply);
	if (code == 0 && head != NULL)
		*head = reply->subscribe == NULL ? 0 : reply->subscribe->head_seq;
	return code;
}

int rawpeer_credit(struct rawpeer *p, uint32_t entries, uint32_t bytes)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Credit credit = RK__CREDIT__INIT;

	credit.entries = entries;
	credit.bytes = bytes;
	r.op = RK__OP__OP_CREDIT;
	r.credit = &credit;
	return rawpeer_call(p, &r, NULL, 0, NULL);
}

const uint8_t *rawpeer_epoch(const struct rawpeer *p)
{
	return p->epoch;
}

int rawpeer_numbered(struct rawpeer *p, Rk__Request *r, const struct bytes *more, size_t n, const Rk__Reply **reply)
{
	if (p->is_unsettled)
		rawpeer_hello_as(p, p->epoch, NULL); /* was the refused number used up?  PROTOCOL.md, "Numbers" */
	r->writer_epoch = (ProtobufCBinaryData){sizeof(p->epoch), p->epoch};
	r->number = p->number + 1;
	int code = rawpeer_call(p, r, more, n, reply);
	p->is_unsettled = code != 0;
	if (code == 0)
		p->number++;
	return code;
}

uint64_t rawpeer_number(const struct rawpeer *p)
{
	return p->number;
}

uint64_t rawpeer_deliveries(const struct rawpeer *p)
{
	return p->deliveries;
}

size_t rawpeer_reply_frames(const struct rawpeer *p, struct bytes *frames, size_t max)
{
	size_t n = 0;
	for (size_t i = 1; i < p->frame_count && n < max; i++, n++) {
		zmq_msg_t *m = (zmq_msg_t *)(uintptr_t)&p->frames[i];
		frames[n] = bytes_make(zmq_msg_data(m), zmq_msg_size(m));
	}
	return n;
}
