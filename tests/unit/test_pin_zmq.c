/*
 * Pins of libzmq's hazards (numbers of HAZARDS): each shows the bug in the library as it is installed, and that the
 * broker's way around it holds.  When the library is mended, the first half of a test fails and says that the way
 * around may go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>
#include <zmq.h>

#include "broker/metrics.h"
#include "broker/net.h"
#include "broker/socket.h"
#include "broker/zap.h"
#include "proto/errcode.h"

#define OPTION_ZAP_ENFORCE_DOMAIN 93
#define ADMITTED_MS 5000  /* how long a message that must come may take */
#define REFUSED_MS 600    /* how long one that must not come is waited for */

static void sleep_ms(long ms)
{
	const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* ---- Z1: a peer aborts a process whose receive pipe is full */

#define STALL_MS 500
#define FLOOD_MS 300

/* The victim: a plain ROUTER whose program stalls, then reads.  The mechanism does not matter: the engine is the same.
 */
static void victim(int hwm, int port_fd)
{
	char endpoint[100];
	size_t len = sizeof(endpoint);
	const struct rlimit none = {0, 0};
	void *context, *socket;
	struct timespec began, now;
	int null_fd = open("/dev/null", O_WRONLY);

	setrlimit(RLIMIT_CORE, &none);
	dup2(null_fd, STDERR_FILENO); /* the library's last words */
	context = zmq_ctx_new();
	socket = zmq_socket(context, ZMQ_ROUTER);
	zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof(hwm));
	if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
	    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &len) != 0 ||
	    write(port_fd, endpoint, len) != (ssize_t)len)
		_exit(3);
	sleep_ms(STALL_MS);
	clock_gettime(CLOCK_MONOTONIC, &began);
	do {
		char frame[64];

		if (zmq_recv(socket, frame, sizeof(frame), ZMQ_DONTWAIT) < 0)
			sleep_ms(1);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000 < 1000);
	_exit(0);
}

static bool send_all(int fd, const void *data, size_t len)
{
	return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool receive_exactly(int fd, size_t len)
{
	uint8_t buffer[256];

	return len <= sizeof(buffer) && recv(fd, buffer, len, MSG_WAITALL) == (ssize_t)len;
}

/* ZMTP 3.1 by hand up to the end of the handshake, with the NULL mechanism. */
static bool shake_hands(int fd)
{
	static const uint8_t ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
	                               "DEALER";
	uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1, 'N', 'U', 'L', 'L'};
	uint8_t head[2];

	return send_all(fd, greeting, sizeof(greeting)) && receive_exactly(fd, sizeof(greeting)) &&
	       send_all(fd, ready, sizeof(ready) - 1) && recv(fd, head, 2, MSG_WAITALL) == 2 &&
	       receive_exactly(fd, head[1]);
}

/* Messages with a PING after each few, until no more goes in; then a reset. */
static void flood_and_reset(int fd)
{
	static const uint8_t message[] = {0x00, 0x04, 'r', 'k', 'r', 'k'};
	static const uint8_t ping[] = {0x04, 0x07, 0x04, 'P', 'I', 'N', 'G', 0, 0};
	const struct linger reset = {1, 0};
	uint8_t block[4096];
	size_t len = 0;

	while (len + 4 * sizeof(message) + sizeof(ping) <= sizeof(block)) {
		for (int i = 0; i < 4; i++, len += sizeof(message))
			memcpy(block + len, message, sizeof(message));
		memcpy(block + len, ping, sizeof(ping));
		len += sizeof(ping);
	}
	for (int i = 0; i < 40; i++) {
		/* Whole blocks or nothing: MSG_DONTWAIT may cut one, which ends the flood. */
		if (send(fd, block, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
			break;
	}
	sleep_ms(FLOOD_MS);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

static int attack(int hwm)
{
	char endpoint[100] = "";
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int pipe_fd[2], fd, status = 0;
	pid_t child;

	assert_int_equal(pipe(pipe_fd), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		victim(hwm, pipe_fd[1]);
	assert_true(read(pipe_fd[0], endpoint, sizeof(endpoint) - 1) > 0);
	address.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(shake_hands(fd));
	flood_and_reset(fd);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return status;
}

static void z1_a_full_receive_pipe_lets_a_peer_abort_the_process(void **state)
{
	int status;

	(void)state;
	/* The bug, as it is. */
	status = attack(64);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	/* The way around: no bound there, so it is never full. */
	for (int i = 0; i < 3; i++) {
		status = attack(0);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* ---- a broker's sockets in this process */

struct world {
	struct config config;
	struct path path;
	struct zap zap;
	pthread_t zap_thread, net_thread;
	bool has_zap;
	void *router;
	char endpoint[SOCKET_ENDPOINT_CHARS];
	uint8_t server_pk[32], server_sk[32];
	uint8_t member_pk[32], member_sk[32], stranger_pk[32], stranger_sk[32];
	struct roster_device member;
};

static void world_open(struct world *w, bool with_zap)
{
	uint8_t exchange_id[32] = {7};

	memset(w, 0, sizeof(*w));
	config_defaults(&w->config);
	assert_int_equal(path_init(&w->path, &w->config), RK_OK);
	assert_int_equal(sequence_new(&sequence_system_clock, 0, false, &w->path.sequence), RK_OK);
	w->path.roster = roster_new();
	assert_non_null(w->path.roster);
	crypto_box_keypair(w->server_pk, w->server_sk);
	crypto_box_keypair(w->member_pk, w->member_sk);
	crypto_box_keypair(w->stranger_pk, w->stranger_sk);
	memset(w->member.device_id, 0xd1, 16);
	memset(w->member.org_id, 0x01, 16);
	memcpy(w->member.curve_pk, w->member_pk, 32);
	w->member.active = true;
	roster_set_exchange(w->path.roster, exchange_id);
	assert_true(roster_put_device(w->path.roster, &w->member));
	w->path.zmq = socket_context();
	assert_non_null(w->path.zmq);
	w->has_zap = with_zap;
	if (with_zap) {
		w->zap = (struct zap){&w->path, socket_zap(w->path.zmq)};
		assert_non_null(w->zap.socket);
		assert_int_equal(pthread_create(&w->zap_thread, NULL, zap_run, &w->zap), 0);
	}
}

static void world_bind(struct world *w)
{
	const char *failed;

	w->router = socket_router(w->path.zmq, &w->config, w->server_sk, "tcp://127.0.0.1:*", w->endpoint, &failed);
	if (w->router == NULL)
		fail_msg("%s: %s", failed, zmq_strerror(errno));
}

static void world_close(struct world *w)
{
	atomic_store(&w->path.closing, true);
	if (w->has_zap)
		pthread_join(w->zap_thread, NULL);
	if (w->router != NULL)
		zmq_close(w->router);
	zmq_ctx_term(w->path.zmq);
	roster_free(w->path.roster);
	sequence_free(w->path.sequence);
	path_clear(&w->path);
}

static void *dealer(struct world *w, const uint8_t pk[32], const uint8_t sk[32])
{
	void *s = zmq_socket(w->path.zmq, ZMQ_DEALER);
	int zero = 0;

	assert_non_null(s);
	zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof(zero));
	zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, w->server_pk, 32);
	zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, pk, 32);
	zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, sk, 32);
	assert_int_equal(zmq_connect(s, w->endpoint), 0);
	return s;
}

static bool readable(void *socket, long timeout_ms)
{
	zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};

	return zmq_poll(&item, 1, timeout_ms) > 0;
}

/* Does one message of this key reach the ROUTER? */
static bool gets_in(struct world *w, const uint8_t pk[32], const uint8_t sk[32], long timeout_ms)
{
	void *s = dealer(w, pk, sk);
	bool in;
	zmq_msg_t frame;

	zmq_send(s, "hello", 5, ZMQ_DONTWAIT);
	in = readable(w->router, timeout_ms);
	zmq_msg_init(&frame);
	while (zmq_msg_recv(&frame, w->router, ZMQ_DONTWAIT) >= 0)
		;
	zmq_msg_close(&frame);
	zmq_close(s);
	return in;
}

/* ---- Z6: authentication that is not asked for is not done */

static void plain_router(struct world *w, const char *domain, int enforce)
{
	size_t len = sizeof(w->endpoint);
	int one = 1, zero = 0;

	w->router = zmq_socket(w->path.zmq, ZMQ_ROUTER);
	assert_non_null(w->router);
	zmq_setsockopt(w->router, ZMQ_LINGER, &zero, sizeof(zero));
	zmq_setsockopt(w->router, ZMQ_CURVE_SERVER, &one, sizeof(one));
	zmq_setsockopt(w->router, ZMQ_CURVE_SECRETKEY, w->server_sk, 32);
	zmq_setsockopt(w->router, ZMQ_ZAP_DOMAIN, domain, strlen(domain));
	assert_int_equal(zmq_setsockopt(w->router, OPTION_ZAP_ENFORCE_DOMAIN, &enforce, sizeof(enforce)), 0);
	assert_int_equal(zmq_bind(w->router, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(w->router, ZMQ_LAST_ENDPOINT, w->endpoint, &len), 0);
}

static void z6_zap_fails_open_unless_domain_and_enforcement_are_set(void **state)
{
	static const struct {
		bool handler;
		const char *domain;
		int enforce;
		bool stranger_gets_in;
	} rows[] = {
		{false, "renkei", 0, true}, /* a domain alone does nothing */
		{true, "", 1, true}, /* nor does enforcement without a domain, even with a handler that refuses */
		{false, "renkei", 1, false},
		{true, "renkei", 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		world_open(&w, rows[i].handler);
		plain_router(&w, rows[i].domain, rows[i].enforce);
		if (gets_in(&w, w.stranger_pk, w.stranger_sk, rows[i].stranger_gets_in ? ADMITTED_MS : REFUSED_MS) !=
		    rows[i].stranger_gets_in)
			fail_msg("row %zu", i);
		world_close(&w);
	}
}

static void z6_the_brokers_socket_admits_members_only(void **state)
{
	uint64_t refused = metrics_get(M_ZAP_REFUSED);
	struct world w;

	(void)state;
	world_open(&w, true);
	world_bind(&w);
	assert_false(gets_in(&w, w.stranger_pk, w.stranger_sk, REFUSED_MS));
	assert_true(metrics_get(M_ZAP_REFUSED) > refused);
	assert_true(gets_in(&w, w.member_pk, w.member_sk, ADMITTED_MS));
	/* A member that is one no more is not let in again. */
	roster_drop_device(w.path.roster, w.member.device_id);
	assert_false(gets_in(&w, w.member_pk, w.member_sk, REFUSED_MS));
	world_close(&w);
	/* Without the handler nobody gets in. */
	world_open(&w, false);
	world_bind(&w);
	assert_false(gets_in(&w, w.member_pk, w.member_sk, REFUSED_MS));
	world_close(&w);
}

/* ---- Z9, Z14: a member may connect anew, not without end */

static void handshakes_of_one_key_are_bounded(void **state)
{
	uint64_t refused = metrics_get(M_ZAP_REFUSED);
	struct world w;
	int n = 0;

	(void)state;
	world_open(&w, true);
	world_bind(&w);
	while (n < 1000 && gets_in(&w, w.member_pk, w.member_sk, n < 300 ? ADMITTED_MS : 100))
		n++;
	assert_in_range(n, 300, 999);
	assert_true(metrics_get(M_ZAP_REFUSED) > refused);
	world_close(&w);
}

/* ---- Z8: User-Id is missing on the first frame after zmq_poll */

/* Receives one message; the User-Id of its first and of its last frame. */
static void receive_ids(void *router, char first[64], char last[64])
{
	zmq_msg_t frame;
	bool more = true, is_first = true;

	first[0] = last[0] = '\0';
	while (more) {
		const char *id;

		zmq_msg_init(&frame);
		assert_true(zmq_msg_recv(&frame, router, 0) >= 0);
		more = zmq_msg_more(&frame);
		id = zmq_msg_gets(&frame, "User-Id");
		if (is_first)
			snprintf(first, 64, "%s", id != NULL ? id : "");
		if (!more)
			snprintf(last, 64, "%s", id != NULL ? id : "");
		is_first = false;
		zmq_msg_close(&frame);
	}
}

static void z8_user_id_stands_on_the_last_frame_on_both_paths(void **state)
{
	const char *want = "dev:d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1";
	char first[64], last[64];
	struct world w;
	void *s;

	(void)state;
	world_open(&w, true);
	world_bind(&w);
	s = dealer(&w, w.member_pk, w.member_sk);
	/* The poll path. */
	assert_int_equal(zmq_send(s, "a", 1, ZMQ_SNDMORE), 1);
	assert_int_equal(zmq_send(s, "b", 1, 0), 1);
	assert_true(readable(w.router, ADMITTED_MS));
	receive_ids(w.router, first, last);
	assert_string_equal(first, "");
	assert_string_equal(last, want);
	/* The path without poll. */
	assert_int_equal(zmq_send(s, "a", 1, ZMQ_SNDMORE), 1);
	assert_int_equal(zmq_send(s, "b", 1, 0), 1);
	receive_ids(w.router, first, last);
	assert_string_equal(last, want);
	zmq_close(s);
	world_close(&w);
}

static struct message_in *wait_for_command(struct world *w)
{
	for (int i = 0; i < ADMITTED_MS; i++) {
		struct message_in *m = ring_pop(w->path.front_admit);

		if (m != NULL)
			return m;
		sleep_ms(1);
	}
	return NULL;
}

static void z8_front_knows_its_peers_by_the_last_frame(void **state)
{
	struct front *front;
	struct net net;
	struct message_in *m;
	struct world w;
	void *s;

	(void)state;
	world_open(&w, true);
	world_bind(&w);
	front = front_new(&w.path, w.router);
	assert_non_null(front);
	net = (struct net){&w.path, front, NULL, NULL};
	w.router = NULL; /* front closes it */
	assert_int_equal(pthread_create(&w.net_thread, NULL, net_run, &net), 0);
	s = dealer(&w, w.member_pk, w.member_sk);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(zmq_send(s, "header", 6, ZMQ_SNDMORE), 6);
		assert_int_equal(zmq_send(s, "body", 4, 0), 4);
		m = wait_for_command(&w);
		assert_non_null(m);
		assert_memory_equal(m->command.peer.id, w.member.device_id, 16);
		assert_false(m->command.peer.is_invite);
		assert_int_equal(m->command.frame_count, 2);
		assert_memory_equal(m->command.frames[1].data, "body", 4);
		message_in_give_back(m);
		if (i % 5 == 4)
			sleep_ms(5); /* let front sleep in its poll */
	}
	/* More frames than there may be: dropped, counted, and the next message is whole. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(zmq_send(s, "x", 1, i < 9 ? ZMQ_SNDMORE : 0), 1);
	assert_int_equal(zmq_send(s, "after", 5, 0), 5);
	m = wait_for_command(&w);
	assert_non_null(m);
	assert_memory_equal(m->command.frames[0].data, "after", 5);
	message_in_give_back(m);
	assert_int_equal(metrics_get(M_DROP_FRAMES), 1);
	assert_int_equal(metrics_get(M_DROP_NO_USER_ID), 0);
	zmq_close(s);
	atomic_store(&w.path.closing, true);
	path_wake(&w.path);
	pthread_join(w.net_thread, NULL);
	front_free(front);
	world_close(&w);
}

/* ---- Z9: the routing ids that libzmq gives are the same after every start, and a peer may take the next one */

/* In a child: the first routing id that a ROUTER gives, written to fd. */
static void first_routing_id(bool ours, int fd)
{
	char endpoint[100];
	size_t len = sizeof(endpoint);
	void *context = ours ? socket_context() : zmq_ctx_new();
	void *router = zmq_socket(context, ZMQ_ROUTER), *dealer = zmq_socket(context, ZMQ_DEALER);
	uint8_t id[64];

	if (zmq_bind(router, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &len) != 0 ||
	    zmq_connect(dealer, endpoint) != 0 || zmq_send(dealer, "x", 1, 0) != 1 ||
	    zmq_recv(router, id, sizeof(id), 0) != 5 || write(fd, id, 5) != 5)
		_exit(1);
	_exit(0);
}

static void routing_id_of_a_start(bool ours, uint8_t id[5])
{
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		first_routing_id(ours, fds[1]);
	assert_int_equal(read(fds[0], id, 5), 5);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(fds[0]);
	close(fds[1]);
}

static void z9_the_next_routing_id_is_known_unless_we_hide_it(void **state)
{
	uint8_t first[5], second[5];
	(void)state;

	routing_id_of_a_start(false, first);
	routing_id_of_a_start(false, second);
	assert_memory_equal(first, second, 5);
	routing_id_of_a_start(true, first);
	routing_id_of_a_start(true, second);
	assert_memory_not_equal(first, second, 5);
}

static void names_that_our_handler_did_not_give_are_refused(void **state)
{
	static const char *const wrong[] = {
		"", "dev:", "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1", "dev:d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d",
		"dev:d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d", "org:d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
		"DEV:d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1", "dev:d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1dg",
	};
	struct peer peer;

	(void)state;
	assert_false(front_parse_user_id(NULL, &peer));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(front_parse_user_id(wrong[i], &peer));
	assert_true(front_parse_user_id("inv:00112233445566778899aabbccddeeff", &peer));
	assert_true(peer.is_invite);
	assert_int_equal(peer.id[1], 0x11);
}

/* ---- the options that the other hazards ask for */

static void every_option_is_set_before_bind(void **state)
{
	static const struct {
		const char *hazard;
		int option, value;
	} rows[] = {
		{"Z1 RCVHWM", ZMQ_RCVHWM, 0},
		{"Z3 HEARTBEAT_IVL", ZMQ_HEARTBEAT_IVL, 0},
		{"Z3 TCP_KEEPALIVE", ZMQ_TCP_KEEPALIVE, 1},
		{"Z3 TCP_KEEPALIVE_IDLE", ZMQ_TCP_KEEPALIVE_IDLE, 60},
		{"Z3 TCP_KEEPALIVE_INTVL", ZMQ_TCP_KEEPALIVE_INTVL, 10},
		{"Z3 TCP_KEEPALIVE_CNT", ZMQ_TCP_KEEPALIVE_CNT, 3},
		{"Z6 ENFORCE_DOMAIN", OPTION_ZAP_ENFORCE_DOMAIN, 1},
		{"Z7 HANDSHAKE_IVL", ZMQ_HANDSHAKE_IVL, 15000},
		{"Z10 BACKLOG", ZMQ_BACKLOG, 4096},
		{"Z12 SNDHWM", ZMQ_SNDHWM, 64},
		{"Z17 LINGER", ZMQ_LINGER, 0},
		{"CURVE_SERVER", ZMQ_CURVE_SERVER, 1},
	};
	struct world w;
	int64_t frame_max = 0;
	size_t len = sizeof(frame_max);

	(void)state;
	world_open(&w, true);
	world_bind(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int value = -1;

		len = sizeof(value);
		assert_int_equal(zmq_getsockopt(w.router, rows[i].option, &value, &len), 0);
		if (value != rows[i].value)
			fail_msg("%s is %d", rows[i].hazard, value);
	}
	len = sizeof(frame_max);
	assert_int_equal(zmq_getsockopt(w.router, ZMQ_MAXMSGSIZE, &frame_max, &len), 0);
	assert_int_equal(frame_max, 1024 * 1024); /* Z5 */
	assert_int_equal(zmq_ctx_get(w.path.zmq, 10), 0); /* Z16 ZERO_COPY_RECV */
	/* Z11: to nobody is an error, not silence. */
	assert_int_equal(zmq_send(w.router, "nobody", 6, ZMQ_SNDMORE | ZMQ_DONTWAIT), -1);
	assert_int_equal(errno, EHOSTUNREACH);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: it forks, and no context may live across that (Z18). */
		cmocka_unit_test(z1_a_full_receive_pipe_lets_a_peer_abort_the_process),
		cmocka_unit_test(z6_zap_fails_open_unless_domain_and_enforcement_are_set),
		cmocka_unit_test(z6_the_brokers_socket_admits_members_only),
		cmocka_unit_test(handshakes_of_one_key_are_bounded),
		cmocka_unit_test(z8_user_id_stands_on_the_last_frame_on_both_paths),
		cmocka_unit_test(z8_front_knows_its_peers_by_the_last_frame),
		cmocka_unit_test(z9_the_next_routing_id_is_known_unless_we_hide_it),
		cmocka_unit_test(names_that_our_handler_did_not_give_are_refused),
		cmocka_unit_test(every_option_is_set_before_bind),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
