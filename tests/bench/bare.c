/*
 * bare FOLDER ENDPOINT: ROUTER and CURVE, and nothing behind them: what a long run of Renkei is compared with (long.sh).  A message of
 * one frame: 12 bytes ask for a transfer (total bytes, 8; bytes a frame, 4; in the machine's order), which then goes to the asker in that many
 * bytes and frames, each a message, 32 MiB at most under way; 1 byte says that 16 MiB of it have come; every other message comes back as it is.
 * One I/O thread, one beside it.  It writes its CURVE key to FOLDER/key when it listens, and ends at SIGTERM.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>
#include <zmq.h>

#define ROUTING_ID_MAX 16
#define FRAME_MAX ((uint32_t)1 << 20)
#define UNDER_WAY_BYTES ((uint64_t)32 << 20)
#define STEP_BYTES ((uint64_t)16 << 20)
#define ASK_BYTES 12

static struct {
	void *context, *router;
	uint8_t asker[ROUTING_ID_MAX];
	size_t asker_len;
	uint64_t left, room;     /* of the transfer: bytes still to send, and that may be sent now */
	uint32_t frame;
	uint8_t noise[FRAME_MAX];
} b;

static volatile sig_atomic_t stopping;

static void on_signal(int n)
{
	(void)n;
	stopping = 1;
}

static void need(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "bare: %s: %s\n", what, zmq_strerror(errno));
		exit(1);
	}
}

/* As renkeid's router, but that handshakes have the time they need. */
static void open_router(const char *folder, const char *endpoint)
{
	uint8_t pk[32], sk[32];
	char path[512];
	const int one = 1, zero = 0, backlog = 4096, handshake_ms = 15000;

	crypto_box_keypair(pk, sk);
	need((b.context = zmq_ctx_new()) != NULL && zmq_ctx_set(b.context, ZMQ_MAX_SOCKETS, 16) == 0, "context");
	need((b.router = zmq_socket(b.context, ZMQ_ROUTER)) != NULL, "socket");
	need(zmq_setsockopt(b.router, ZMQ_CURVE_SERVER, &one, sizeof(one)) == 0 &&
	     zmq_setsockopt(b.router, ZMQ_CURVE_SECRETKEY, sk, 32) == 0 &&
	     zmq_setsockopt(b.router, ZMQ_RCVHWM, &zero, sizeof(zero)) == 0 && zmq_setsockopt(b.router, ZMQ_SNDHWM, &zero, sizeof(zero)) == 0 &&
	     zmq_setsockopt(b.router, ZMQ_LINGER, &zero, sizeof(zero)) == 0 && zmq_setsockopt(b.router, ZMQ_BACKLOG, &backlog, sizeof(backlog)) == 0 &&
	     zmq_setsockopt(b.router, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof(handshake_ms)) == 0, "options");
	need(zmq_bind(b.router, endpoint) == 0, endpoint);
	sodium_memzero(sk, sizeof(sk));
	snprintf(path, sizeof(path), "%s/key", folder);
	FILE *f = fopen(path, "w");
	need(f != NULL && fwrite(pk, 32, 1, f) == 1 && fclose(f) == 0, path);
}

static void begin(const uint8_t *who, size_t len, const uint8_t ask[ASK_BYTES])
{
	memcpy(b.asker, who, b.asker_len = len);
	memcpy(&b.left, ask, 8);
	memcpy(&b.frame, ask + 8, 4);
	b.room = UNDER_WAY_BYTES;
	if (b.frame < 1 || b.frame > FRAME_MAX)
		b.left = 0;
}

static void take(const uint8_t *who, size_t len, zmq_msg_t *m)
{
	if (zmq_msg_size(m) == ASK_BYTES) {
		begin(who, len, zmq_msg_data(m));
	} else if (zmq_msg_size(m) == 1) {
		b.room += STEP_BYTES;
	} else {
		need(zmq_send(b.router, who, len, ZMQ_SNDMORE) >= 0 && zmq_msg_send(m, b.router, 0) >= 0, "send");
		return;
	}
	zmq_msg_close(m);
}

/* False: nothing there. */
static bool receive(void)
{
	uint8_t who[ROUTING_ID_MAX];
	zmq_msg_t m;
	int n = zmq_recv(b.router, who, sizeof(who), ZMQ_DONTWAIT);

	if (n < 0)
		return false;
	zmq_msg_init(&m);
	need(n <= ROUTING_ID_MAX && zmq_msg_recv(&m, b.router, 0) >= 0 && !zmq_msg_more(&m), "a message of one frame");
	take(who, (size_t)n, &m);
	return true;
}

/* The frames are the same bytes each time and not copied, so that nothing but libzmq is measured. */
static void transfer(void)
{
	while (b.left > 0 && b.room > 0) {
		uint64_t n = b.left < b.frame ? b.left : b.frame;
		zmq_msg_t m;

		need(zmq_send(b.router, b.asker, b.asker_len, ZMQ_SNDMORE) >= 0, "send");
		need(zmq_msg_init_data(&m, b.noise, (size_t)n, NULL, NULL) == 0 && zmq_msg_send(&m, b.router, 0) >= 0, "send");
		b.left -= n;
		b.room -= b.room < n ? b.room : n;
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};

	if (argc != 3) {
		fprintf(stderr, "usage: bare FOLDER ENDPOINT\n");
		return 2;
	}
	need(sodium_init() >= 0, "libsodium");
	randombytes_buf(b.noise, sizeof(b.noise));
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	mkdir(argv[1], 0700);
	open_router(argv[1], argv[2]);
	while (!stopping) {
		zmq_pollitem_t item = {b.router, 0, ZMQ_POLLIN, 0};

		if (zmq_poll(&item, 1, 500) <= 0)
			continue;
		while (receive())
			transfer();
	}
	zmq_close(b.router);
	zmq_ctx_term(b.context);
	return 0;
}
