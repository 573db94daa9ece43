/*
 * socket: why each option stands is said in HAZARDS under the number beside it.
 */
#include "broker/socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <zmq.h>

/* Live in Debian's build of libzmq, declared only for drafts. */
#define OPTION_ZAP_ENFORCE_DOMAIN 93
#define OPTION_ZERO_COPY_RECV 10
#define ZAP_RECEIVE_MS 200

/*
 * libzmq numbers the connections of a ROUTER from rand(), which nobody has seeded: after every start the same numbers.
 * A peer that calls itself by one not yet given (the wire carries it, whatever zmq_setsockopt says) makes libzmq abort
 * the process when that number's turn comes (Z9).  From an unknown number on, it would have to hit one of 2^32.
 */
static void hide_routing_ids(void)
{
	srand(randombytes_random());
}

void *socket_context(void)
{
	void *context = zmq_ctx_new();

	if (context == NULL)
		return NULL;
	hide_routing_ids();
	/* One I/O thread: its decryption is the throttle of a flood (Z2).  A held message pins only itself (Z16). */
	if (zmq_ctx_set(context, ZMQ_IO_THREADS, 1) != 0 || zmq_ctx_set(context, OPTION_ZERO_COPY_RECV, 0) != 0) {
		zmq_ctx_term(context);
		return NULL;
	}
	return context;
}

static bool set_int(void *socket, int option, int value)
{
	int got = 0;
	size_t len = sizeof(got);

	if (zmq_setsockopt(socket, option, &value, sizeof(value)) != 0)
		return false;
	if (zmq_getsockopt(socket, option, &got, &len) != 0)
		return errno == EINVAL; /* this one cannot be read */
	if (got != value)
		errno = ENOTSUP;
	return got == value;
}

static bool set_frame_max(void *socket)
{
	int64_t value = SOCKET_FRAME_MAX_BYTES, got = 0;
	size_t len = sizeof(got);

	return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &value, sizeof(value)) == 0 &&
	       zmq_getsockopt(socket, ZMQ_MAXMSGSIZE, &got, &len) == 0 && got == value;
}

static bool set_domain(void *socket)
{
	const size_t chars = sizeof(SOCKET_ZAP_DOMAIN) - 1;
	char got[64] = "";
	size_t len = sizeof(got);

	return zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, SOCKET_ZAP_DOMAIN, chars) == 0 &&
	       zmq_getsockopt(socket, ZMQ_ZAP_DOMAIN, got, &len) == 0 && strcmp(got, SOCKET_ZAP_DOMAIN) == 0;
}

void *socket_zap(void *context)
{
	void *socket = zmq_socket(context, ZMQ_REP);

	if (socket == NULL)
		return NULL;
	if (!set_int(socket, ZMQ_LINGER, 0) || !set_int(socket, ZMQ_RCVTIMEO, ZAP_RECEIVE_MS) ||
	    zmq_bind(socket, SOCKET_ZAP_ENDPOINT) != 0) {
		zmq_close(socket);
		return NULL;
	}
	return socket;
}

static bool set_all(void *socket, const struct config *c, const uint8_t curve_sk[32], bool ipv6, const char **failed)
{
	const struct {
		const char *name;
		int option, value;
	} options[] = {
		{"RCVHWM", ZMQ_RCVHWM, 0},                                           /* Z1: else a peer can abort us */
		{"SNDHWM", ZMQ_SNDHWM, (int)c->send_queue},                          /* Z12 */
		{"LINGER", ZMQ_LINGER, 0},                                           /* Z17 */
		{"BACKLOG", ZMQ_BACKLOG, (int)c->backlog},                           /* Z10 */
		{"HANDSHAKE_IVL", ZMQ_HANDSHAKE_IVL, (int)c->handshake_ms},          /* Z7 */
		{"HEARTBEAT_IVL", ZMQ_HEARTBEAT_IVL, 0},                             /* Z3: pings are our own */
		{"TCP_KEEPALIVE", ZMQ_TCP_KEEPALIVE, 1},                             /* Z3 */
		{"TCP_KEEPALIVE_IDLE", ZMQ_TCP_KEEPALIVE_IDLE, (int)c->keepalive_idle_s},
		{"TCP_KEEPALIVE_INTVL", ZMQ_TCP_KEEPALIVE_INTVL, (int)c->keepalive_interval_s},
		{"TCP_KEEPALIVE_CNT", ZMQ_TCP_KEEPALIVE_CNT, (int)c->keepalive_count},
		{"TCP_MAXRT", ZMQ_TCP_MAXRT,
		 (int)((c->keepalive_idle_s + c->keepalive_interval_s * c->keepalive_count) * 1000)},
		{"ROUTER_MANDATORY", ZMQ_ROUTER_MANDATORY, 1},                       /* Z11 */
		{"ROUTER_HANDOVER", ZMQ_ROUTER_HANDOVER, 0},                         /* Z9 */
		{"CURVE_SERVER", ZMQ_CURVE_SERVER, 1},
		{"ZAP_ENFORCE_DOMAIN", OPTION_ZAP_ENFORCE_DOMAIN, 1},                /* Z6 */
		{"IPV6", ZMQ_IPV6, ipv6},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		*failed = options[i].name;
		if (!set_int(socket, options[i].option, options[i].value))
			return false;
	}
	*failed = "MAXMSGSIZE"; /* Z5 */
	if (!set_frame_max(socket))
		return false;
	*failed = "ZAP_DOMAIN"; /* Z6 */
	if (!set_domain(socket))
		return false;
	*failed = "CURVE_SECRETKEY";
	return zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, curve_sk, 32) == 0;
}

void *socket_router(void *context, const struct config *config, const uint8_t curve_sk[32], const char *endpoint,
                    char bound[SOCKET_ENDPOINT_CHARS], const char **failed)
{
	size_t len = SOCKET_ENDPOINT_CHARS;
	void *socket = zmq_socket(context, ZMQ_ROUTER);
	int saved;

	*failed = "socket";
	if (socket == NULL)
		return NULL;
	/* Only for an address in brackets: a machine without IPv6 shall do with the others. */
	if (!set_all(socket, config, curve_sk, strchr(endpoint, '[') != NULL, failed))
		goto out;
	*failed = "bind";
	if (zmq_bind(socket, endpoint) != 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &len) != 0)
		goto out;
	return socket;
out:
	saved = errno;
	zmq_close(socket);
	errno = saved;
	return NULL;
}
