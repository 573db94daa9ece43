/*
 * bench_bulk: what an attachment's way is measured against.
 *
 *   bench_bulk copy FILE COPY                a file over a bare ZeroMQ socket on loopback, by credit, as a reader would write it:
 *                                            chunks of 256 KiB, eight on the way, no encryption, one fsync at the end
 *   bench_bulk latency HOME SECONDS RATE     1 KiB FEED posts at a steady rate, one connection: quantiles of the time from sending to the
 *                                            acknowledgement, which is after the broker's fsync
 */
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "tests/unit/member.h"

#define CHUNK_BYTES (256 * 1024)
#define CREDIT 8

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- copy */

struct copy {
	void *zmq;
	const char *to;
	char endpoint[64];
};

/* Asks for chunk after chunk; one that is not full is the last. */
static void *receiver_main(void *arg)
{
	struct copy *c = arg;
	void *s = zmq_socket(c->zmq, ZMQ_DEALER);
	int fd = open(c->to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool last = false;

	if (s == NULL || fd < 0 || zmq_connect(s, c->endpoint) != 0)
		fail("bench_bulk: receiver");
	for (int i = 0; i < CREDIT; i++)
		zmq_send(s, "", 0, 0);
	while (!last) {
		zmq_msg_t m;

		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, s, 0) < 0)
			fail("bench_bulk: receive");
		last = zmq_msg_size(&m) < CHUNK_BYTES;
		if (write(fd, zmq_msg_data(&m), zmq_msg_size(&m)) != (ssize_t)zmq_msg_size(&m))
			fail(c->to);
		zmq_msg_close(&m);
		if (!last)
			zmq_send(s, "", 0, 0);
	}
	if (fsync(fd) != 0 || close(fd) != 0)
		fail(c->to);
	zmq_close(s);
	return NULL;
}

/* Sends one chunk to whoever asked; false after the last. */
static bool send_chunk(void *s, int fd)
{
	char id[256], nothing[1];
	int id_len = zmq_recv(s, id, sizeof(id), 0);
	zmq_msg_t m;
	size_t have = 0;

	if (id_len < 0 || zmq_recv(s, nothing, sizeof(nothing), 0) < 0 || zmq_msg_init_size(&m, CHUNK_BYTES) != 0)
		fail("bench_bulk: send");
	while (have < CHUNK_BYTES) {
		ssize_t n = read(fd, (char *)zmq_msg_data(&m) + have, CHUNK_BYTES - have);

		if (n < 0)
			fail("bench_bulk: read");
		if (n == 0)
			break;
		have += (size_t)n;
	}
	zmq_send(s, id, (size_t)id_len, ZMQ_SNDMORE);
	if (have == CHUNK_BYTES) {
		zmq_msg_send(&m, s, 0);
		return true;
	}
	zmq_send(s, zmq_msg_data(&m), have, 0);
	zmq_msg_close(&m);
	return false;
}

static int bench_copy(const char *from, const char *to)
{
	struct copy c = {.zmq = zmq_ctx_new(), .to = to};
	void *s = zmq_socket(c.zmq, ZMQ_ROUTER);
	size_t len = sizeof(c.endpoint);
	int fd = open(from, O_RDONLY);
	pthread_t receiver;
	int64_t began;
	off_t size;

	if (s == NULL || fd < 0 || (size = lseek(fd, 0, SEEK_END)) < 0 || lseek(fd, 0, SEEK_SET) != 0)
		fail(from);
	if (zmq_bind(s, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, c.endpoint, &len) != 0)
		fail("bench_bulk: bind");
	began = now_us();
	pthread_create(&receiver, NULL, receiver_main, &c);
	while (send_chunk(s, fd))
		;
	pthread_join(receiver, NULL);
	printf("{\"bytes\": %lld, \"seconds\": %.3f}\n", (long long)size, (double)(now_us() - began) / 1e6);
	close(fd);
	zmq_close(s);
	zmq_ctx_term(c.zmq);
	return 0;
}

/* ---- latency of small posts */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* One post, sealed, sent and acknowledged; its time on the way in us. */
static int64_t post_once(struct member *m, struct rawpeer *p, struct arena *arena)
{
	Rk__Request q = RK__REQUEST__INIT;
	struct member_post post;
	int64_t began;
	int code;

	member_seal(m, client_now(m->client), 1024 + 512, arena, &post);
	q.protocol = 1;
	q.op = RK__OP__OP_SUBMIT;
	q.head = post.signed_head;
	began = now_us();
	if ((code = rawpeer_numbered(p, &q, &post.body, 1, NULL)) != RK_OK) {
		fprintf(stderr, "bench_bulk: post: %s\n", code == RAWPEER_NO_REPLY ? "no reply" : errcode_name(code));
		exit(1);
	}
	return now_us() - began;
}

static int bench_latency(const char *home, long seconds, long rate)
{
	struct arena *arena = arena_new((size_t)1 << 20);
	int64_t *took = calloc((size_t)(seconds * rate), sizeof(*took)), begin;
	struct member m;
	struct rawpeer *p;
	long n = 0;

	if (arena == NULL || took == NULL)
		return 1;
	member_open(&m, home);
	p = member_connect(&m);
	if (rawpeer_hello(p) != RK_OK) {
		fprintf(stderr, "bench_bulk: no HELLO\n");
		return 1;
	}
	begin = now_us();
	while (n < seconds * rate) {
		int64_t due = begin + n * 1000000 / rate, now = now_us();

		if (now - begin > seconds * 1000000)
			break;
		if (now < due)
			usleep((useconds_t)(due - now));
		arena_reset(arena, (size_t)1 << 20);
		took[n++] = post_once(&m, p, arena);
	}
	qsort(took, (size_t)n, sizeof(*took), by_value);
	printf("{\"posts\": %ld, \"p50_us\": %lld, \"p90_us\": %lld, \"p99_us\": %lld, \"max_us\": %lld}\n", n, (long long)took[n / 2],
	       (long long)took[n * 9 / 10], (long long)took[n * 99 / 100], (long long)took[n - 1]);
	rawpeer_free(p);
	member_close(&m);
	arena_free(arena);
	free(took);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "copy") == 0)
		return bench_copy(argv[2], argv[3]);
	if (argc == 5 && strcmp(argv[1], "latency") == 0 && atol(argv[3]) > 0 && atol(argv[4]) > 0)
		return bench_latency(argv[2], atol(argv[3]), atol(argv[4]));
	fprintf(stderr, "usage: bench_bulk copy FILE COPY | latency HOME SECONDS RATE\n");
	return 2;
}
