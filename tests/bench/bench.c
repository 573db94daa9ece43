/*
 * bench: first crude figures.
 *
 *   bench feed BROKER_PID READER_HOME WRITER_HOME POSTS     1 KiB FEED posts, sealed beforehand, one writer to one subscriber:
 *                                                           broker CPU per delivery, deliveries a second
 *   bench idle BROKER_PID CONNECTIONS HOME...               resident memory of the broker with that many idle connections, shared
 *                                                           out among the homes: handshakes of one key are bounded
 */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/member.h"

#define WINDOW 200     /* unanswered requests of the writer; the protocol allows 256 */

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* User and system time of a process, in seconds. */
static double cpu_of(int pid)
{
	char path[64];
	unsigned long user, system;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (f == NULL || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) {
		fprintf(stderr, "bench: no process %d\n", pid);
		exit(1);
	}
	fclose(f);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static long rss_kib(int pid)
{
	char path[64], line[256];
	long kib = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld kB", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib;
}

/* ---- feed */

static atomic_ulong delivered;
static atomic_bool reading;

struct reader {
	const char *home;
	unsigned long want;
};

static void on_delivery(void *user, const Rk__Delivery *d, const struct bytes *frames, size_t n)
{
	(void)user;
	(void)d;
	(void)frames;
	(void)n;
	atomic_fetch_add(&delivered, 1);
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;
	struct member m;
	uint64_t head = 0;
	unsigned long credited = 0;

	member_open(&m, r->home);
	struct rawpeer *p = member_connect(&m);
	if (rawpeer_hello(p) != RK_OK || rawpeer_subscribe(p, RK__CHANNEL__OFFER, 0, &head) != RK_OK ||
	    rawpeer_subscribe(p, RK__CHANNEL__OFFER, head, &head) != RK_OK) {
		fprintf(stderr, "bench: cannot subscribe\n");
		exit(1);
	}
	rawpeer_on_delivery(p, on_delivery, NULL);
	atomic_store(&reading, true);
	while (atomic_load(&delivered) < r->want) {
		while (credited < atomic_load(&delivered) + 4096) {
			rawpeer_credit(p, 2048, 32 << 20);
			credited += 2048;
		}
		rawpeer_listen(p, 5);
	}
	rawpeer_free(p);
	member_close(&m);
	return NULL;
}

struct ready {
	uint8_t *header;
	size_t header_len;
	struct bytes body;
};

static int bench_feed(int pid, const char *reader_home, const char *writer_home, unsigned long posts)
{
	struct member m;
	struct reader r = {reader_home, posts};
	pthread_t thread;
	struct ready *list = calloc(posts, sizeof(*list));
	struct arena *arena = arena_new((size_t)16 << 30);
	uint8_t epoch[8];
	unsigned long answered = 0, sent = 0;

	member_open(&m, writer_home);
	randombytes_buf(epoch, sizeof(epoch));
	int64_t now = client_now(m.client);
	for (unsigned long i = 0; i < posts; i++) {
		struct member_post post;
		Rk__Request q = RK__REQUEST__INIT;
		member_seal(&m, now, 1024 + 512, arena, &post);
		q.protocol = 1;
		q.op = RK__OP__OP_SUBMIT;
		q.writer_epoch = (ProtobufCBinaryData){8, epoch};
		q.number = i + 1;
		q.tag = i + 1;
		q.head = post.signed_head;
		list[i].header_len = rk__request__get_packed_size(&q);
		list[i].header = arena_alloc(arena, list[i].header_len);
		rk__request__pack(&q, list[i].header);
		list[i].body = post.body;
	}
	pthread_create(&thread, NULL, reader_main, &r);
	while (!atomic_load(&reading))
		usleep(1000);
	struct rawpeer *p = member_connect(&m);
	if (rawpeer_hello_as(p, epoch, NULL) != RK_OK) {
		fprintf(stderr, "bench: no HELLO\n");
		return 1;
	}
	double cpu = cpu_of(pid), wall = seconds(CLOCK_MONOTONIC);
	while (answered < posts) {
		while (sent < posts && sent - answered < WINDOW) {
			struct bytes frames[2] = {bytes_make(list[sent].header, list[sent].header_len), list[sent].body};
			rawpeer_send(p, frames, 2);
			sent++;
		}
		int code = rawpeer_ask_tag(p, NULL, 0, answered + 1, NULL);
		if (code != RK_OK) {
			fprintf(stderr, "bench: post %lu: %s\n", answered + 1, errcode_name(code));
			return 1;
		}
		answered++;
	}
	double acknowledged = seconds(CLOCK_MONOTONIC) - wall;
	pthread_join(thread, NULL);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = cpu_of(pid) - cpu;
	printf("feed: %lu posts of %zu B body, %.2f us broker CPU per delivery, %.0f acknowledged/s, %.0f delivered/s\n", posts,
	       list[0].body.len, cpu / (double)posts * 1e6, (double)posts / acknowledged, (double)posts / wall);
	rawpeer_free(p);
	member_close(&m);
	arena_free(arena);
	free(list);
	return 0;
}

/* ---- idle connections */

static int bench_idle(int pid, int connections, char **homes, int home_count)
{
	struct member *members = calloc((size_t)home_count, sizeof(*members));
	struct rawpeer **peers = calloc((size_t)connections, sizeof(*peers));
	Rk__Request ping = RK__REQUEST__INIT;

	for (int i = 0; i < home_count; i++)
		member_open(&members[i], homes[i]);
	long before = rss_kib(pid);
	ping.op = RK__OP__OP_PING;
	for (int i = 0; i < connections; i++) {
		peers[i] = member_connect(&members[i % home_count]);
		if (rawpeer_call(peers[i], &ping, NULL, 0, NULL) == RAWPEER_NO_REPLY) {
			fprintf(stderr, "bench: connection %d does not answer\n", i);
			return 1;
		}
	}
	long after = rss_kib(pid);
	printf("idle: %d connections, broker RSS %ld KiB, %ld KiB before: %.1f KiB each\n", connections, after, before,
	       (double)(after - before) / connections);
	for (int i = 0; i < connections; i++)
		rawpeer_free(peers[i]);
	for (int i = 0; i < home_count; i++)
		member_close(&members[i]);
	free(members);
	free(peers);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "feed") == 0)
		return bench_feed(atoi(argv[2]), argv[3], argv[4], strtoul(argv[5], NULL, 10));
	if (argc >= 5 && strcmp(argv[1], "idle") == 0)
		return bench_idle(atoi(argv[2]), atoi(argv[3]), argv + 4, argc - 4);
	fprintf(stderr, "usage: bench feed PID READER WRITER POSTS | idle PID COUNT HOME...\n");
	return 2;
}
