/*
 * kill_loop: kills the broker with SIGKILL at random instants while writers post, and proves afterwards that nothing acknowledged
 * was lost, nothing happened twice, and nothing is there by half (P3, P4; TESTPLAN 2 A and C).
 *
 *   kill_loop RENKEID DATA ROUNDS SEED READER_HOME WRITER_HOME...
 *
 * Each writer is a process of its own with a real home's keys.  It seals a post, writes "S number nonce" to its history and fsyncs,
 * sends, and on the broker's ok writes "A number nonce seq" and fsyncs.  After a cut it says HELLO as the same writer and sends the
 * unanswered bytes again, byte for byte.  At the end the parent reads the whole stream from the start with the reader's home, and
 * compares it with the histories.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/ids.h"
#include "tests/unit/member.h"
#include "tests/unit/process_kit.h"

#define WRITERS_MAX 16
#define POSTS_MAX 200000
#define IN_FLIGHT 8

static volatile sig_atomic_t stopping;

static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

static void history(int fd, char what, uint64_t number, const uint8_t nonce[16], uint64_t seq)
{
	char hex[33], line[128];
	ids_hex(hex, bytes_make(nonce, 16));
	int n = snprintf(line, sizeof(line), "%c %llu %s %llu\n", what, (unsigned long long)number, hex, (unsigned long long)seq);
	if (write(fd, line, (size_t)n) != n || fdatasync(fd) != 0) {
		perror("history");
		exit(3);
	}
}

/* ---- writer */

/* One request on its way: its exact frames, so that a repeat is the same bytes. */
struct flight {
	uint64_t number;
	uint8_t nonce16[16];
	uint8_t *header;
	size_t header_len;
	uint8_t *body;
	size_t body_len;
};

static void flight_make(struct member *m, struct flight *f, uint64_t number, const uint8_t epoch[8])
{
	struct arena *arena = arena_new(1 << 20);
	struct member_post post;
	Rk__Request r = RK__REQUEST__INIT;

	member_seal(m, process_wall_ms(), 1024, arena, &post);
	r.protocol = 1;
	r.op = RK__OP__OP_SUBMIT;
	r.writer_epoch = (ProtobufCBinaryData){8, (uint8_t *)(uintptr_t)epoch};
	r.number = number;
	r.tag = number + 1000000;
	r.head = post.signed_head;
	f->number = number;
	memcpy(f->nonce16, post.nonce16, 16);
	f->header_len = rk__request__get_packed_size(&r);
	f->header = malloc(f->header_len);
	rk__request__pack(&r, f->header);
	f->body_len = post.body.len;
	f->body = malloc(post.body.len);
	memcpy(f->body, post.body.data, post.body.len);
	arena_free(arena);
}

static int flight_send(struct rawpeer *p, const struct flight *f, const Rk__Reply **reply)
{
	struct bytes frames[2] = {bytes_make(f->header, f->header_len), bytes_make(f->body, f->body_len)};
	return rawpeer_ask_tag(p, frames, 2, f->number + 1000000, reply);
}

/* Posts until told to stop; then until the last one is answered. */
static int writer(const char *home, const char *path)
{
	struct member m;
	struct flight f = {0};
	uint8_t epoch[8];
	uint64_t acknowledged = 0, repeats = 0;
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	struct rawpeer *p = NULL;

	signal(SIGTERM, on_term);
	member_open(&m, home);
	randombytes_buf(epoch, sizeof(epoch));
	while (!(stopping && f.number == 0)) {
		const Rk__Reply *reply = NULL;
		uint64_t last;
		if (p == NULL) {
			p = member_connect(&m);
			rawpeer_timeout(p, 1000);
			if (rawpeer_hello_as(p, epoch, &last) != RK_OK) {
				rawpeer_free(p);
				p = NULL;
				continue;
			}
			if (last < acknowledged) {
				fprintf(stderr, "kill_loop: the broker forgot numbers %llu..%llu\n", (unsigned long long)last + 1,
				        (unsigned long long)acknowledged);
				return 1;
			}
			repeats += f.number != 0;
		}
		if (f.number == 0) {
			flight_make(&m, &f, acknowledged + 1, epoch);
			history(fd, 'S', f.number, f.nonce16, 0);
		}
		int code = flight_send(p, &f, &reply);
		if (code == RAWPEER_NO_REPLY) {
			rawpeer_free(p);
			p = NULL;
			continue;
		}
		if (code == RK_BUSY || code == RK_MOVING || code == RK_GENERATION || code == RK_RATE_LIMITED) {
			process_pause_ms(10);
			rawpeer_free(p);
			p = NULL;
			continue;
		}
		if (code != RK_OK) {
			fprintf(stderr, "kill_loop: a post was refused: %s\n", errcode_name(code));
			return 1;
		}
		history(fd, 'A', f.number, f.nonce16, reply->seq);
		acknowledged = f.number;
		free(f.header);
		free(f.body);
		memset(&f, 0, sizeof(f));
		process_pause_ms(11); /* below the rate limit of 100 a second */
	}
	printf("writer: %llu acknowledged, %llu sent again after a cut\n", (unsigned long long)acknowledged,
	       (unsigned long long)repeats);
	rawpeer_free(p);
	member_close(&m);
	close(fd);
	return 0;
}

/* ---- the parent: broker and checker */

struct seen {
	uint8_t nonce16[16];
	uint8_t device[16];
	uint64_t seq;
	bool has_body;
};

static struct {
	struct seen *list;
	size_t count;
	uint64_t last_seq;
	unsigned wrong;
} stream;

static void on_delivery(void *user, const Rk__Delivery *d, const struct bytes *frames, size_t n)
{
	struct arena *arena = user;
	struct envelope e;

	if (d->seq != stream.last_seq + 1) {
		fprintf(stderr, "kill_loop: seq %llu after %llu\n", (unsigned long long)d->seq, (unsigned long long)stream.last_seq);
		stream.wrong++;
	}
	stream.last_seq = d->seq;
	arena_reset(arena, 1 << 20);
	if (n < 1 || stream.count == POSTS_MAX || envelope_parse(frames[0], arena, &e) != RK_OK) {
		stream.wrong++;
		return;
	}
	struct seen *s = &stream.list[stream.count++];
	memcpy(s->nonce16, e.header->nonce16.data, 16);
	memcpy(s->device, e.header->sender_device.data, 16);
	s->seq = d->seq;
	uint8_t hash[32];
	ids_sha256(hash, n > 1 ? frames[1] : (struct bytes){NULL, 0});
	s->has_body = n > 1 && memcmp(hash, e.head->body_sha256.data, 32) == 0;
}

static void read_stream(const char *home)
{
	struct member m;
	uint64_t head = 0;
	struct arena *arena = arena_new(1 << 20);

	member_open(&m, home);
	struct rawpeer *p = member_connect(&m);
	rawpeer_on_delivery(p, on_delivery, arena);
	if (rawpeer_hello(p) != RK_OK || rawpeer_subscribe(p, RK__CHANNEL__OFFER, 0, &head) != RK_OK) {
		fprintf(stderr, "kill_loop: the reader cannot subscribe\n");
		exit(1);
	}
	for (int idle = 0; stream.last_seq < head && idle < 50; idle++) {
		uint64_t before = stream.last_seq;
		rawpeer_credit(p, 4096, 64 << 20);
		rawpeer_listen(p, 200);
		if (stream.last_seq != before)
			idle = 0;
	}
	if (stream.last_seq != head) {
		fprintf(stderr, "kill_loop: read %llu of %llu\n", (unsigned long long)stream.last_seq, (unsigned long long)head);
		stream.wrong++;
	}
	rawpeer_free(p);
	member_close(&m);
	arena_free(arena);
}

static const struct seen *find(const uint8_t nonce16[16], unsigned *times)
{
	const struct seen *found = NULL;
	*times = 0;
	for (size_t i = 0; i < stream.count; i++)
		if (memcmp(stream.list[i].nonce16, nonce16, 16) == 0) {
			(*times)++;
			found = &stream.list[i];
		}
	return found;
}

/* Every acknowledged post is there once, whole, at the seq that was promised; the others are there once or not at all. */
static unsigned check(const char *path, unsigned *acknowledged, unsigned *sent)
{
	FILE *f = fopen(path, "r");
	char what, hex[33];
	unsigned long long number, seq, last_seq = 0;
	unsigned wrong = 0;

	while (f != NULL && fscanf(f, " %c %llu %32s %llu", &what, &number, hex, &seq) == 4) {
		uint8_t nonce16[16];
		unsigned times;
		if (!ids_from_hex(nonce16, 16, hex))
			return wrong + 1;
		const struct seen *s = find(nonce16, &times);
		if (what == 'S') {
			(*sent)++;
			if (times > 1) {
				fprintf(stderr, "%s: post %llu is there %u times\n", path, number, times);
				wrong++;
			}
			continue;
		}
		(*acknowledged)++;
		if (times != 1 || s->seq != seq || !s->has_body) {
			fprintf(stderr, "%s: acknowledged post %llu: %u times, seq %llu, promised %llu, body %s\n", path, number, times,
			        s == NULL ? 0 : (unsigned long long)s->seq, seq, s != NULL && s->has_body ? "whole" : "missing");
			wrong++;
		}
		if (seq <= last_seq) {
			fprintf(stderr, "%s: order: seq %llu after %llu\n", path, seq, last_seq);
			wrong++;
		}
		last_seq = seq;
	}
	if (f != NULL)
		fclose(f);
	return wrong;
}

/* What the broker found in its journal at its starts: batches that were answered, and that no commit had reached. */
static void read_log(const char *path, unsigned *starts, unsigned long long *batches)
{
	static const char wanted[] = " journal taken_up=";
	FILE *f = fopen(path, "r");
	char line[1024], *at;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if ((at = strstr(line, wanted)) == NULL)
			continue;
		(*starts)++;
		*batches += strtoull(at + sizeof(wanted) - 1, NULL, 10);
	}
	if (f != NULL)
		fclose(f);
}

int main(int argc, char **argv)
{
	pid_t writers[WRITERS_MAX];
	char log[512], paths[WRITERS_MAX][512];
	int count = argc - 6, status, failed = 0;
	unsigned acknowledged = 0, sent = 0, mid_batch = 0, taken_up = 0;
	unsigned long long batches = 0;

	if (argc < 7 || count > WRITERS_MAX) {
		fprintf(stderr, "usage: kill_loop RENKEID DATA ROUNDS SEED READER_HOME WRITER_HOME...\n");
		return 2;
	}
	int rounds = atoi(argv[3]);
	srand((unsigned)atoi(argv[4]));
	snprintf(log, sizeof(log), "%s.log", argv[2]);
	printf("kill_loop: seed %s, %d rounds, %d writers\n", argv[4], rounds, count);
	fflush(stdout);
	pid_t broker = process_broker(argv[1], argv[2], log);
	process_pause_ms(500);
	for (int i = 0; i < count; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s.history%d", argv[2], i);
		if ((writers[i] = fork()) == 0)
			_exit(writer(argv[6 + i], paths[i]));
	}
	process_pause_ms(2500); /* the writers unlock their keys */
	for (int r = 0; r < rounds; r++) {
		/* from the moment the broker answers again: 5 to 65 ms; the start itself takes a while, so add it to some */
		process_pause_ms(60 + 5 + rand() % 60 + (rand() % 4 == 0 ? 150 : 0));
		kill(broker, SIGKILL);
		waitpid(broker, &status, 0);
		if (!WIFSIGNALED(status)) {
			fprintf(stderr, "kill_loop: the broker had ended by itself in round %d\n", r);
			failed++;
		} else {
			mid_batch++;
		}
		broker = process_broker(argv[1], argv[2], log);
	}
	process_pause_ms(1500);
	for (int i = 0; i < count; i++)
		kill(writers[i], SIGTERM);
	for (int i = 0; i < count; i++) {
		waitpid(writers[i], &status, 0);
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	}
	stream.list = calloc(POSTS_MAX, sizeof(*stream.list));
	read_stream(argv[5]);
	for (int i = 0; i < count; i++)
		failed += (int)check(paths[i], &acknowledged, &sent);
	kill(broker, SIGTERM);
	waitpid(broker, &status, 0);
	failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	failed += (int)stream.wrong;
	read_log(log, &taken_up, &batches);
	printf("crash: %u kills, %u posts sent, %u acknowledged, %zu in the stream, %u times a journal with %llu batches, %d faults\n", mid_batch,
	       sent, acknowledged, stream.count, taken_up, batches, failed);
	free(stream.list);
	/* a run in which hardly anything was acknowledged proves nothing, and one that never met a batch between journal and commit not much more */
	return failed == 0 && acknowledged > (unsigned)rounds && mid_batch == (unsigned)rounds && (taken_up > 0 || rounds < 40) ? 0 : 1;
}
