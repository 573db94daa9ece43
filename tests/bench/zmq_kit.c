#include "tests/bench/zmq_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 256
#define TURN_MESSAGES 64       /* of one connection, before the next has its turn */
#define WAKE UINT32_MAX

struct connection {
	void *socket;
	bool is_waiting;          /* in `ready`: there may be more to read */
};

struct peers {
	void *context;
	struct connection *list;
	unsigned count, max;
	unsigned *ready, ready_count; /* ZMQ_FD tells only of changes: who may have more must be asked again.  Room for two a connection:
	                                a turn appends before it closes its gaps. */
	int epoll;
	peers_fn *on_message;
	void *user;
};

static void need(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "load: %s: %s\n", what, zmq_strerror(errno));
		exit(1);
	}
}

struct peers *peers_new(unsigned max, int fd, peers_fn *on_message, void *user)
{
	struct peers *p = calloc(1, sizeof(*p));
	struct epoll_event wake = {.events = EPOLLIN, .data.u32 = WAKE};

	need(p != NULL && (p->list = calloc(max, sizeof(*p->list))) != NULL && (p->ready = calloc(2 * (size_t)max, sizeof(*p->ready))) != NULL, "memory");
	p->max = max;
	p->on_message = on_message;
	p->user = user;
	need((p->context = zmq_ctx_new()) != NULL && zmq_ctx_set(p->context, ZMQ_MAX_SOCKETS, (int)max + 16) == 0, "context");
	need((p->epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0, "epoll");
	need(fd < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &wake) == 0, "epoll");
	return p;
}

void peers_free(struct peers *p)
{
	for (unsigned i = 0; i < p->count; i++)
		zmq_close(p->list[i].socket);
	zmq_ctx_term(p->context);
	close(p->epoll);
	free(p->list);
	free(p->ready);
	free(p);
}

static void make_ready(struct peers *p, unsigned i)
{
	if (!p->list[i].is_waiting) {
		p->list[i].is_waiting = true;
		p->ready[p->ready_count++] = i;
	}
}

unsigned peers_connect(struct peers *p, const char *endpoint, const uint8_t server_pk[32], const uint8_t pk[32], const uint8_t sk[32])
{
	unsigned i = p->count;
	const int zero = 0, handshake_ms = 60000;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = i};
	size_t len = sizeof(int);
	int fd;

	need(i < p->max, "too many connections");
	void *s = p->list[i].socket = zmq_socket(p->context, ZMQ_DEALER);
	need(s != NULL, "socket");
	p->count++;
	need(zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof(zero)) == 0 && zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof(zero)) == 0 &&
	     zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof(zero)) == 0 &&
	     zmq_setsockopt(s, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof(handshake_ms)) == 0 &&
	     zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, server_pk, 32) == 0 && zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, pk, 32) == 0 &&
	     zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, sk, 32) == 0, "options");
	need(zmq_connect(s, endpoint) == 0, endpoint);
	need(zmq_getsockopt(s, ZMQ_FD, &fd, &len) == 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) == 0, "descriptor");
	make_ready(p, i);
	return i;
}

void peers_send(struct peers *p, unsigned peer, const struct bytes *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		need(zmq_send(p->list[peer].socket, frames[i].data, frames[i].len, ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) >= 0, "send");
	/* Sending reads the socket's own commands, and with them the news that would have woken us. */
	make_ready(p, peer);
}

/* False: nothing there. */
static bool receive(struct peers *p, unsigned peer)
{
	struct peer_message m = {.count = 0};
	bool more = true;

	while (more) {
		zmq_msg_t *f = &m.frame[m.count];

		need(m.count < PEER_FRAMES_MAX, "more frames than any message has");
		zmq_msg_init(f);
		if (zmq_msg_recv(f, p->list[peer].socket, ZMQ_DONTWAIT) < 0) {
			need(errno == EAGAIN && m.count == 0, "receive");
			zmq_msg_close(f);
			return false;
		}
		m.count++;
		more = zmq_msg_more(f);
	}
	p->on_message(p->user, peer, &m);
	for (unsigned i = 0; i < m.count; i++)
		zmq_msg_close(&m.frame[i]);
	return true;
}

/* Each ready connection has one turn; who has more goes to the end of the line. */
static void take_turns(struct peers *p)
{
	unsigned n = p->ready_count;

	for (unsigned k = 0; k < n; k++) {
		unsigned i = p->ready[k], taken = 0;

		while (taken < TURN_MESSAGES && receive(p, i))
			taken++;
		p->list[i].is_waiting = false;
		if (taken == TURN_MESSAGES)
			p->list[i].is_waiting = true;
		p->ready[k] = p->list[i].is_waiting ? i : UINT32_MAX;
	}
	unsigned kept = 0;
	for (unsigned k = 0; k < p->ready_count; k++)
		if (p->ready[k] != UINT32_MAX)
			p->ready[kept++] = p->ready[k];
	p->ready_count = kept;
}

void peers_wait(struct peers *p, int ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(p->epoll, events, EVENTS, p->ready_count > 0 ? 0 : ms);

	for (int i = 0; i < n; i++)
		if (events[i].data.u32 != WAKE)
			make_ready(p, events[i].data.u32);
	take_turns(p);
}
