/*
 * link_wire: one CURVE connection.  libzmq reconnects behind one's back, and what it then sends would come from a connection
 * that has not said HELLO; so it is told never to (RECONNECT_IVL -1), and its monitor says when a connection has ended.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sodium.h>
#include <zmq.h>

#include "client/link_internal.h"
#include "proto/bundle.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define WIRE_SNDHWM 256
#define WIRE_HANDSHAKE_MS 15000
#define CODE_MIN 100 /* class x 100 + n; 0 is no refusal */
#define CODE_MAX 999
#ifndef ZMQ_ZERO_COPY_RECV
#define ZMQ_ZERO_COPY_RECV 10 /* behind DRAFT in zmq.h, live in Debian's build */
#endif

#define WIRE_BUNDLED_MAX ((size_t)16 * 1024) /* of a message in a bundle: above, a frame costs less than a copy */

struct wire {
	void *sock, *monitor;   /* of the thread that runs the link */
	int ended;              /* RK_OK while nothing bad was heard */
	struct bundle out;      /* small messages of this turn, not yet sent: the next receive sends them */
	zmq_msg_t in;           /* a bundle that came … */
	size_t in_at;           /* … and where its next message stands; 0: there is none */
};

int64_t monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int incoming_init(struct incoming *in)
{
	memset(in, 0, sizeof(*in));
	in->arena = arena_new(arena_budget(WIRE_HEADER_MAX));
	return in->arena == NULL ? RK_ENOMEM : RK_OK;
}

void incoming_free(struct incoming *in)
{
	arena_free(in->arena);
	free(in->memory);
	memset(in, 0, sizeof(*in));
}

void link_context_free(struct client *c)
{
	if (c->zmq != NULL)
		zmq_ctx_term(c->zmq);
	c->zmq = NULL;
}

static bool set_int(void *sock, int option, int value)
{
	return zmq_setsockopt(sock, option, &value, sizeof(value)) == 0;
}

/* Everything before connect: options take effect there (HAZARDS Z10). */
static bool set_options(void *sock, const uint8_t broker_pk[32], const uint8_t curve_pk[32], const uint8_t curve_sk[32])
{
	int64_t frame_max = WIRE_FRAME_MAX;

	return set_int(sock, ZMQ_LINGER, 0) && set_int(sock, ZMQ_RCVHWM, 0) && set_int(sock, ZMQ_SNDHWM, WIRE_SNDHWM) &&
	       zmq_setsockopt(sock, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max)) == 0 &&
	       set_int(sock, ZMQ_HANDSHAKE_IVL, WIRE_HANDSHAKE_MS) && set_int(sock, ZMQ_RECONNECT_IVL, -1) &&
	       set_int(sock, ZMQ_TCP_KEEPALIVE, 1) && set_int(sock, ZMQ_TCP_KEEPALIVE_IDLE, 60) &&
	       set_int(sock, ZMQ_TCP_KEEPALIVE_INTVL, 10) && set_int(sock, ZMQ_TCP_KEEPALIVE_CNT, 3) &&
	       set_int(sock, ZMQ_IPV6, 1) && zmq_setsockopt(sock, ZMQ_CURVE_SERVERKEY, broker_pk, 32) == 0 &&
	       zmq_setsockopt(sock, ZMQ_CURVE_PUBLICKEY, curve_pk, 32) == 0 &&
	       zmq_setsockopt(sock, ZMQ_CURVE_SECRETKEY, curve_sk, 32) == 0;
}

/* The reader is connected before there is anything to hear, and drained in every receive (Z13). */
static bool open_monitor(void *context, struct wire *w)
{
	const int events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
			   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
	char name[64];

	snprintf(name, sizeof(name), "inproc://renkei-monitor-%p", w->sock);
	if (zmq_socket_monitor(w->sock, name, events) != 0)
		return false;
	w->monitor = zmq_socket(context, ZMQ_PAIR);
	return w->monitor != NULL && set_int(w->monitor, ZMQ_LINGER, 0) && zmq_connect(w->monitor, name) == 0;
}

int wire_open(struct client *c, const char *endpoint, const uint8_t broker_pk[32], const uint8_t curve_pk[32],
	      const uint8_t curve_sk[32], struct wire **out)
{
	struct wire *w;

	*out = NULL;
	if (c->zmq == NULL && (c->zmq = zmq_ctx_new()) == NULL)
		return RK_ENOMEM;
	zmq_ctx_set(c->zmq, ZMQ_IO_THREADS, 1);
	zmq_ctx_set(c->zmq, ZMQ_ZERO_COPY_RECV, 0); /* a small message must not pin 8 KiB (Z16) */
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return RK_ENOMEM;
	w->sock = zmq_socket(c->zmq, ZMQ_DEALER);
	if (w->sock == NULL || !set_options(w->sock, broker_pk, curve_pk, curve_sk) || !open_monitor(c->zmq, w)) {
		wire_close(w);
		return RK_ENOMEM;
	}
	if (zmq_connect(w->sock, endpoint) != 0) {
		wire_close(w);
		return RK_EUNREACHABLE;
	}
	*out = w;
	return RK_OK;
}

static int send_now(struct wire *w, const struct bytes *frames, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int flags = ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0), rc;

		do
			rc = zmq_send(w->sock, frames[i].data, frames[i].len, flags);
		while (rc < 0 && errno == EINTR);
		/* Only the first frame can find the pipe full; a later failure has broken the message, so the connection goes. */
		if (rc < 0 && i > 0)
			w->ended = RK_EUNREACHABLE;
		if (rc < 0)
			return RK_BUSY;
	}
	return RK_OK;
}

int wire_flush(struct wire *w)
{
	struct bytes frame = bytes_make(w->out.data, w->out.len);
	struct bundle_message m;
	size_t at = 0;
	int r = RK_OK;

	if (w->out.count == 1 && bundle_next(frame, &at, &m))
		r = send_now(w, m.frames, m.frame_count);
	else if (w->out.count > 1)
		r = send_now(w, &frame, 1);
	if (r == RK_OK)
		bundle_reset(&w->out);
	return r;
}

int wire_send(struct wire *w, const struct bytes *frames, size_t n)
{
	bool is_small = bundle_cost(frames, (unsigned)n) <= WIRE_BUNDLED_MAX;
	int r = is_small ? bundle_add(&w->out, frames, (unsigned)n) : RK_TOO_LARGE;

	if (r != RK_TOO_LARGE)
		return r;
	/* Behind what was sent before it. */
	if ((r = wire_flush(w)) != RK_OK)
		return r;
	return is_small ? bundle_add(&w->out, frames, (unsigned)n) : send_now(w, frames, n);
}

void wire_close(struct wire *w)
{
	if (w == NULL)
		return;
	(void)wire_flush(w);
	bundle_clear(&w->out);
	if (w->in_at != 0)
		zmq_msg_close(&w->in);
	/* The monitor ends before its reader goes, else its next event waits for ever. */
	if (w->sock != NULL)
		zmq_socket_monitor(w->sock, NULL, 0);
	if (w->monitor != NULL)
		zmq_close(w->monitor);
	if (w->sock != NULL)
		zmq_close(w->sock);
	free(w);
}

int wire_request(struct wire *w, Rk__Request *q, struct bytes object)
{
	uint8_t sha[32];

	if (object.len > 0) {
		ids_sha256(sha, object);
		q->object_sha256 = pb_of(BYTES_OF(sha));
		q->object_len = (uint32_t)object.len;
	}
	return wire_request_bulk(w, q, object);
}

int wire_request_bulk(struct wire *w, Rk__Request *q, struct bytes bulk)
{
	struct arena *arena = arena_new(arena_budget(WIRE_HEADER_MAX));
	struct bytes frames[2] = {{0}, bulk};
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	q->protocol = 1;
	r = STRICT_PACK(q, arena, &frames[0]);
	if (r == RK_OK)
		r = wire_send(w, frames, bulk.len > 0 ? 2 : 1);
	arena_free(arena);
	return r;
}

/* ---- receiving */

static void hear_monitor(struct wire *w)
{
	for (;;) {
		uint8_t event[6], address[256];
		uint16_t what;
		uint32_t value;
		int n = zmq_recv(w->monitor, event, sizeof(event), ZMQ_DONTWAIT);

		if (n < 0)
			return;
		(void)zmq_recv(w->monitor, address, sizeof(address), ZMQ_DONTWAIT);
		if (n != sizeof(event))
			continue;
		memcpy(&what, event, sizeof(what));
		memcpy(&value, event + 2, sizeof(value));
		if (what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && value == 400)
			w->ended = RK_NOT_ADMITTED;
		else if (w->ended == RK_OK)
			w->ended = RK_EUNREACHABLE;
	}
}

/* All frames of one message; too many or too large ones are read off and *bad is set. */
static int read_frames(struct wire *w, zmq_msg_t *msgs, size_t *count, bool *bad)
{
	int more = 1;

	*count = 0;
	*bad = false;
	while (more) {
		zmq_msg_t surplus, *m = *count < WIRE_FRAMES_MAX ? &msgs[*count] : &surplus;

		zmq_msg_init(m);
		if (zmq_msg_recv(m, w->sock, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(m);
			if (errno == EINTR)
				continue;
			return *count == 0 ? RK_ETIMEOUT : RK_EUNREACHABLE;
		}
		more = zmq_msg_more(m);
		if (m == &surplus) {
			*bad = true;
			zmq_msg_close(m);
			continue;
		}
		(*count)++;
	}
	return RK_OK;
}

static int parse(struct incoming *in, const struct bytes *frames, size_t count)
{
	size_t total = 0, at = 0;
	int r;

	if (frames[0].len > WIRE_HEADER_MAX)
		return RK_TOO_LARGE;
	arena_reset(in->arena, arena_budget(frames[0].len));
	if ((r = STRICT_PARSE(down, frames[0], in->arena, &in->down)) != RK_OK)
		return r;
	if ((in->down->reply != NULL) == (in->down->delivery != NULL))
		return RK_MALFORMED;
	/* As an int it could be one of our own failures.  Later versions may have other codes, but of this form. */
	if (in->down->reply != NULL && in->down->reply->code != RK_OK &&
	    (in->down->reply->code < CODE_MIN || in->down->reply->code > CODE_MAX))
		in->down->reply->code = RK_MALFORMED;
	for (size_t i = 1; i < count; i++)
		total += frames[i].len;
	in->bytes = total + frames[0].len;
	free(in->memory);
	if ((in->memory = malloc(total + 1)) == NULL)
		return RK_ENOMEM;
	for (size_t i = 1; i < count; i++) {
		memcpy(in->memory + at, frames[i].data, frames[i].len);
		in->frames[i - 1] = bytes_make(in->memory + at, frames[i].len);
		at += frames[i].len;
	}
	in->frame_count = count - 1;
	return RK_OK;
}

/* The next message of the bundle that came last. */
static int take_bundled(struct wire *w, struct incoming *in)
{
	struct bytes frame = bytes_make(zmq_msg_data(&w->in), zmq_msg_size(&w->in));
	struct bundle_message m;
	int r = RK_ETIMEOUT;

	if (bundle_next(frame, &w->in_at, &m))
		r = parse(in, m.frames, m.frame_count);
	if (w->in_at >= frame.len) {
		zmq_msg_close(&w->in);
		w->in_at = 0;
	}
	return r;
}

/* Keeps a bundle, and takes its first message.  One that is not well formed is dropped whole. */
static int open_bundle(struct wire *w, struct incoming *in, zmq_msg_t *msg)
{
	unsigned count;
	int r = bundle_check(bytes_make(zmq_msg_data(msg), zmq_msg_size(msg)), &count);

	if (r != RK_OK)
		return r;
	zmq_msg_init(&w->in);
	zmq_msg_move(&w->in, msg);
	w->in_at = 1;
	return take_bundled(w, in);
}

static int take_message(struct wire *w, struct incoming *in, zmq_msg_t *msgs, size_t count)
{
	struct bytes frames[WIRE_FRAMES_MAX];

	for (size_t i = 0; i < count; i++)
		frames[i] = bytes_make(zmq_msg_data(&msgs[i]), zmq_msg_size(&msgs[i]));
	if (count == 1 && bundle_is(frames[0]))
		return open_bundle(w, in, &msgs[0]);
	return parse(in, frames, count);
}

/* One message that is already there. */
static int receive_now(struct wire *w, struct incoming *in)
{
	zmq_msg_t msgs[WIRE_FRAMES_MAX];
	size_t count;
	bool bad;
	int r;

	in->down = NULL;
	if (w->in_at != 0) {
		r = take_bundled(w, in);
		return r > 0 ? RK_ETIMEOUT : r;
	}
	r = read_frames(w, msgs, &count, &bad);
	if (r == RK_OK)
		r = bad ? RK_MALFORMED : take_message(w, in, msgs, count);
	for (size_t i = 0; i < count; i++)
		zmq_msg_close(&msgs[i]);
	/* What is no message of ours is dropped: its request will be found unanswered. */
	return r > 0 ? RK_ETIMEOUT : r;
}

int wire_receive(struct wire *w, int wait_ms, struct incoming *in)
{
	zmq_pollitem_t items[2] = {{.socket = w->sock, .events = ZMQ_POLLIN}, {.socket = w->monitor, .events = ZMQ_POLLIN}};
	int r;

	(void)wire_flush(w);
	r = receive_now(w, in);
	/* More of a bundle is in hand: nothing to wait for. */
	if (r != RK_ETIMEOUT || in->down != NULL || w->in_at != 0)
		return r;
	hear_monitor(w);
	if (w->ended != RK_OK)
		return w->ended;
	if (wait_ms <= 0)
		return RK_ETIMEOUT;
	if (zmq_poll(items, 2, wait_ms) <= 0)
		return RK_ETIMEOUT;
	return receive_now(w, in);
}
