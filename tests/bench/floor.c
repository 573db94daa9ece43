/*
 * floor FOLDER ENDPOINT: what the libraries cost, and nothing else: ROUTER, CURVE, and one LMDB transaction for all that arrived while the
 * last one was made durable.  No protocol: a frame of one byte says "deliver to me", every other frame is a post; its first 8 bytes come back as
 * the acknowledgement, and all of it goes to each subscriber.  Acknowledgements and deliveries leave after the commit, whose fsync is on.  No byte of a
 * post is copied but by libzmq (into the cipher) and LMDB (into the page).  One I/O thread, one thread beside it.
 *
 * It writes its CURVE key to FOLDER/key when it listens, and ends at SIGTERM.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lmdb.h>
#include <sodium.h>
#include <zmq.h>

#define BATCH_MESSAGES 1000
#define BATCH_BYTES ((size_t)16 << 20)
#define MAP_BYTES ((size_t)64 << 30)
#define SUBSCRIBERS_MAX 8192
#define ROUTING_ID_MAX 16

struct rid {
	uint8_t bytes[ROUTING_ID_MAX];
	size_t len;
};

static struct {
	void *context, *router;
	MDB_env *env;
	MDB_dbi posts;
	uint64_t seq;
	struct rid subscribers[SUBSCRIBERS_MAX];
	unsigned subscriber_count;
	struct rid senders[BATCH_MESSAGES];
	zmq_msg_t batch[BATCH_MESSAGES];
	unsigned count;
	size_t bytes;
} b;

static volatile sig_atomic_t stopping;

static void on_signal(int n)
{
	(void)n;
	stopping = 1;
}

static void need(bool fact, const char *what, const char *why)
{
	if (!fact) {
		fprintf(stderr, "floor: %s: %s\n", what, why);
		exit(1);
	}
}

#define NEED_ZMQ(fact, what) need((fact), (what), zmq_strerror(errno))
static void need_mdb(int rc, const char *what)
{
	need(rc == 0, what, mdb_strerror(rc));
}

static void open_store(const char *folder)
{
	MDB_txn *txn;

	need_mdb(mdb_env_create(&b.env), "environment");
	need_mdb(mdb_env_set_mapsize(b.env, MAP_BYTES), "map");
	need_mdb(mdb_env_open(b.env, folder, MDB_NOTLS | MDB_NOMEMINIT, 0600), folder);
	need_mdb(mdb_txn_begin(b.env, NULL, 0, &txn), "begin");
	need_mdb(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &b.posts), "table");
	need_mdb(mdb_txn_commit(txn), "commit");
}

static void open_router(const char *folder, const char *endpoint)
{
	uint8_t pk[32], sk[32];
	char path[512];
	const int one = 1, zero = 0, backlog = 4096, handshake_ms = 60000;

	crypto_box_keypair(pk, sk);
	NEED_ZMQ((b.context = zmq_ctx_new()) != NULL && zmq_ctx_set(b.context, ZMQ_IO_THREADS, 1) == 0 &&
	         zmq_ctx_set(b.context, ZMQ_MAX_SOCKETS, 64) == 0, "context");
	NEED_ZMQ((b.router = zmq_socket(b.context, ZMQ_ROUTER)) != NULL, "socket");
	NEED_ZMQ(zmq_setsockopt(b.router, ZMQ_CURVE_SERVER, &one, sizeof(one)) == 0 &&
	         zmq_setsockopt(b.router, ZMQ_CURVE_SECRETKEY, sk, 32) == 0 &&
	         zmq_setsockopt(b.router, ZMQ_RCVHWM, &zero, sizeof(zero)) == 0 &&
	         zmq_setsockopt(b.router, ZMQ_SNDHWM, &zero, sizeof(zero)) == 0 &&
	         zmq_setsockopt(b.router, ZMQ_ROUTER_MANDATORY, &one, sizeof(one)) == 0 &&
	         zmq_setsockopt(b.router, ZMQ_LINGER, &zero, sizeof(zero)) == 0 &&
	         zmq_setsockopt(b.router, ZMQ_BACKLOG, &backlog, sizeof(backlog)) == 0 &&
	         zmq_setsockopt(b.router, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof(handshake_ms)) == 0, "options");
	NEED_ZMQ(zmq_bind(b.router, endpoint) == 0, endpoint);
	sodium_memzero(sk, sizeof(sk));
	snprintf(path, sizeof(path), "%s/key", folder);
	FILE *f = fopen(path, "w");
	need(f != NULL && fwrite(pk, 32, 1, f) == 1 && fclose(f) == 0, path, strerror(errno));
}

static void subscribe(const struct rid *who)
{
	need(b.subscriber_count < SUBSCRIBERS_MAX, "subscribers", "too many");
	b.subscribers[b.subscriber_count++] = *who;
}

/* Takes the message.  False: whoever it was is gone. */
static bool send_to(const struct rid *who, zmq_msg_t *m)
{
	if (zmq_send(b.router, who->bytes, who->len, ZMQ_SNDMORE) < 0) {
		NEED_ZMQ(errno == EHOSTUNREACH, "send");
		zmq_msg_close(m);
		return false;
	}
	NEED_ZMQ(zmq_msg_send(m, b.router, 0) >= 0, "send");
	return true;
}

/* False: nothing there.  A subscription has its answer at once, by the same byte. */
static bool receive(void)
{
	struct rid *who = &b.senders[b.count];
	zmq_msg_t *m = &b.batch[b.count];
	int n = zmq_recv(b.router, who->bytes, sizeof(who->bytes), ZMQ_DONTWAIT);

	if (n < 0)
		return false;
	need(n <= ROUTING_ID_MAX, "routing id", "too long");
	who->len = (size_t)n;
	zmq_msg_init(m);
	NEED_ZMQ(zmq_msg_recv(m, b.router, 0) >= 0, "receive");
	need(!zmq_msg_more(m), "message", "more than one frame");
	if (zmq_msg_size(m) < 8) {
		subscribe(who);
		(void)send_to(who, m);
		return true;
	}
	b.bytes += zmq_msg_size(m);
	b.count++;
	return true;
}

static void commit(void)
{
	MDB_txn *txn;

	need_mdb(mdb_txn_begin(b.env, NULL, 0, &txn), "begin");
	for (unsigned i = 0; i < b.count; i++) {
		uint64_t seq = ++b.seq;
		MDB_val key = {sizeof(seq), &seq}, value = {zmq_msg_size(&b.batch[i]), zmq_msg_data(&b.batch[i])};
		need_mdb(mdb_put(txn, b.posts, &key, &value, MDB_APPEND), "put");
	}
	need_mdb(mdb_txn_commit(txn), "commit");
}

static void acknowledge(unsigned i)
{
	zmq_msg_t ack;

	zmq_msg_init_size(&ack, 8); /* stands in the zmq_msg_t itself */
	memcpy(zmq_msg_data(&ack), zmq_msg_data(&b.batch[i]), 8);
	(void)send_to(&b.senders[i], &ack); /* a load that is gone wants none */
}

/* The bytes are shared by all subscribers.  Those that are gone are forgotten: the next load would pay for each of them with each post. */
static void deliver(unsigned i)
{
	zmq_msg_t shared;
	unsigned k = 0;

	while (k + 1 < b.subscriber_count) {
		zmq_msg_init(&shared);
		NEED_ZMQ(zmq_msg_copy(&shared, &b.batch[i]) == 0, "copy");
		if (send_to(&b.subscribers[k], &shared))
			k++;
		else
			b.subscribers[k] = b.subscribers[--b.subscriber_count];
	}
	if (b.subscriber_count == 0)
		zmq_msg_close(&b.batch[i]);
	else if (!send_to(&b.subscribers[b.subscriber_count - 1], &b.batch[i]))
		b.subscriber_count--;
}

static void run(void)
{
	while (!stopping) {
		zmq_pollitem_t item = {b.router, 0, ZMQ_POLLIN, 0};

		if (zmq_poll(&item, 1, 500) <= 0)
			continue;
		b.count = 0;
		b.bytes = 0;
		while (b.count < BATCH_MESSAGES && b.bytes < BATCH_BYTES && receive()) {
		}
		if (b.count == 0)
			continue;
		commit();
		for (unsigned i = 0; i < b.count; i++)
			acknowledge(i);
		for (unsigned i = 0; i < b.count; i++)
			deliver(i);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};

	if (argc != 3) {
		fprintf(stderr, "usage: floor FOLDER ENDPOINT\n");
		return 2;
	}
	need(sodium_init() >= 0, "libsodium", "does not start");
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	mkdir(argv[1], 0700);
	open_store(argv[1]);
	open_router(argv[1], argv[2]);
	run();
	zmq_close(b.router);
	zmq_ctx_term(b.context);
	mdb_env_close(b.env);
	return 0;
}
