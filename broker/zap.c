#include "broker/zap.h"

#include <errno.h>
#include <string.h>

#include "broker/front.h"
#include "broker/log.h"
#include "broker/metrics.h"
#include "broker/slots.h"
#include "broker/socket.h"
#include "proto/errcode.h"

/* version, request id, domain, address, identity, mechanism, credentials */
#define REQUEST_FRAMES 7
#define FRAME_MAX_BYTES 255
/*
 * Handshakes of one device; an invite has the burst and rate of its requests.  Who needs more is not connecting anew:
 * it fills descriptors (Z14), or tries routing ids until it meets one that libzmq gives next (Z9).
 */
#define HANDSHAKE_BURST 300
#define HANDSHAKES_PER_S 5

struct request {
	uint8_t data[REQUEST_FRAMES][FRAME_MAX_BYTES];
	size_t len[REQUEST_FRAMES];
	bool is_whole;
};

/* False: nothing came in this turn.  A request that is not as the RFC says is read to its end all the same. */
static bool receive_request(void *socket, struct request *q)
{
	int more = 1;
	size_t more_len = sizeof(more);
	unsigned count = 0;

	q->is_whole = true;
	while (more) {
		uint8_t extra[1];
		bool keep = count < REQUEST_FRAMES;
		int n = zmq_recv(socket, keep ? q->data[count] : extra, keep ? FRAME_MAX_BYTES : sizeof(extra), 0);

		if (n < 0)
			return false;
		if (!keep || n > FRAME_MAX_BYTES)
			q->is_whole = false;
		else
			q->len[count] = (size_t)n;
		count++;
		if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_len) != 0)
			return false;
	}
	q->is_whole = q->is_whole && count == REQUEST_FRAMES;
	return true;
}

static bool frame_is(const struct request *q, unsigned i, const char *text)
{
	return bytes_equal(bytes_make(q->data[i], q->len[i]), bytes_str(text));
}

/* One handshake more of this peer?  Each counts 0 bytes. */
static bool has_tokens(struct slots *handshakes, const char *user_id)
{
	int64_t now_ms = path_monotonic_ms();
	struct peer peer = {0};
	struct slot *slot;

	if (!front_parse_user_id(user_id, &peer))
		return false;
	slot = slots_get(handshakes, peer.id, peer.is_invite, now_ms);
	/* Full of others that were here just now: they are members, and this is a fence, not the gate. */
	if (slot == NULL || slots_take(handshakes, slot, 0, now_ms) == SLOTS_PASS)
		return true;
	log_debug("zap", "handshakes", "user=%s", user_id);
	return false;
}

/* "200" and a User-Id, or "400".  One answer for every reason: a stranger learns nothing. */
static bool decide(struct zap *z, struct slots *handshakes, const struct request *q, char user_id[ROSTER_USER_ID_CHARS])
{
	if (!q->is_whole || !frame_is(q, 0, "1.0") || !frame_is(q, 2, SOCKET_ZAP_DOMAIN) || !frame_is(q, 5, "CURVE") ||
	    q->len[6] != 32)
		return false;
	return roster_user_id(z->path->roster, q->data[6], sequence_time(z->path->sequence), user_id) &&
	       has_tokens(handshakes, user_id);
}

static bool answer(void *socket, const struct request *q, const char *user_id)
{
	const char *code = user_id != NULL ? "200" : "400";
	const char *text = user_id != NULL ? "OK" : "not admitted";
	const char *name = user_id != NULL ? user_id : "";

	return zmq_send(socket, "1.0", 3, ZMQ_SNDMORE) >= 0 &&
	       zmq_send(socket, q->data[1], q->is_whole ? q->len[1] : 0, ZMQ_SNDMORE) >= 0 &&
	       zmq_send(socket, code, 3, ZMQ_SNDMORE) >= 0 && zmq_send(socket, text, strlen(text), ZMQ_SNDMORE) >= 0 &&
	       zmq_send(socket, name, strlen(name), ZMQ_SNDMORE) >= 0 && zmq_send(socket, "", 0, 0) >= 0;
}

void *zap_run(void *zap)
{
	struct zap *z = zap;
	const struct slots_limits limits = {.burst = HANDSHAKE_BURST, .rate_per_s = HANDSHAKES_PER_S};
	struct slots *handshakes = slots_new(2 * (size_t)z->path->config->connections, &limits);

	while (handshakes != NULL && !atomic_load(&z->path->closing)) {
		char user_id[ROSTER_USER_ID_CHARS];
		struct request q;
		bool admitted;

		if (!receive_request(z->socket, &q)) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			break;
		}
		admitted = decide(z, handshakes, &q, user_id);
		metrics_add(admitted ? M_ZAP_ADMITTED : M_ZAP_REFUSED, 1);
		log_debug("zap", admitted ? "admitted" : "refused", "%s%s", admitted ? "user=" : "",
			  admitted ? user_id : "");
		if (!answer(z->socket, &q, admitted ? user_id : NULL))
			break;
	}
	/* Without a handler nobody gets in: better to end and be started again (Z6). */
	if (!atomic_load(&z->path->closing)) {
		log_error("zap", "ended", "error=\"%s\"", zmq_strerror(errno));
		path_fail(z->path, RK_EINTERNAL);
	}
	slots_free(handshakes);
	zmq_close(z->socket);
	return NULL;
}
