/*
 * load_long: loads for long.sh; each prints one line of JSON.
 *
 *   load_long storm PID DATA MEMBERS                      that many members connect at once and say HELLO
 *   load_long handshakes PID FOLDER URL MEMBERS           the same connections to `bare`, each with one message that comes back
 *   load_long catchup PID DATA DEVICE SECONDS CREDIT      a member reads the channel from its first post to its head, again and again for
 *                                                         so long; CREDIT is how many entries may be on their way to it
 *   load_long transfer PID FOLDER URL BYTES FRAME SECONDS as many bytes from `bare`, in frames of that size, again and again for so long
 *
 * DATA is renkeid's folder, filled by crowd, FOLDER that of `bare`; PID is whose CPU and memory are told.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bundle.h"
#include "proto/errcode.h"
#include "tests/bench/crowd_kit.h"
#include "tests/bench/load_kit.h"
#include "tests/bench/zmq_kit.h"

#define CREDIT_BYTES (16u << 20) /* as the entries: given anew at half of it, as a home does */
#define ACK_EVERY 128
#define STEP_BYTES ((uint64_t)16 << 20) /* bare.c's */
#define HELLO_BYTES 40         /* about what a HELLO takes */
#define PATIENCE_S 180

struct run {
	struct load l;            /* whose pid it is; says what is wrong */
	struct peers *peers;
	struct arena *scratch;    /* one message */
	unsigned answered;

	/* catchup */
	uint64_t tag;             /* of the SUBSCRIBE that counts; deliveries before its reply are of the one before */
	bool subscribed;
	uint64_t head, seq;       /* of the channel when it was subscribed; of the last entry */
	uint64_t entries, post_bytes; /* signed head and body */
	unsigned credit, taken;   /* entries; since the last credit */

	/* catchup, transfer */
	uint64_t bytes, step;     /* of all frames; since the last word to `bare` */
};

static long resident_kib(struct run *r)
{
	char path[64], line[256];
	long kib = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", r->l.pid);
	FILE *f = fopen(path, "r");
	while (f != NULL && kib < 0 && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "VmRSS: %ld kB", &kib);
	if (f != NULL)
		fclose(f);
	if (kib < 0)
		load_die(&r->l, "no process %d", r->l.pid);
	return kib;
}

/* ---- requests */

static void request(struct run *r, unsigned peer, Rk__Request *q)
{
	uint8_t packed[512];
	struct bytes frame;

	q->protocol = 1;
	if (rk__request__get_packed_size(q) > sizeof(packed))
		load_die(&r->l, "a request of %zu bytes", rk__request__get_packed_size(q));
	frame = bytes_make(packed, rk__request__pack(q, packed));
	peers_send(r->peers, peer, &frame, 1);
}

static void hello(struct run *r, unsigned peer)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Hello h = RK__HELLO__INIT;
	uint8_t epoch[8];

	randombytes_buf(epoch, sizeof(epoch));
	h.protocol_min = h.protocol_max = 1;
	h.bundles = true;
	q.op = RK__OP__OP_HELLO;
	q.tag = 1;
	q.hello = &h;
	q.writer_epoch = (ProtobufCBinaryData){sizeof(epoch), epoch};
	request(r, peer, &q);
}

/* From the first entry. */
static void subscribe(struct run *r)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Subscribe s = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = RK__CHANNEL__OFFER;
	s.stream = &id;
	q.op = RK__OP__OP_SUBSCRIBE;
	q.tag = ++r->tag;
	q.subscribe = &s;
	r->subscribed = false;
	request(r, 0, &q);
}

static void acknowledge(struct run *r)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Ack a = RK__ACK__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = RK__CHANNEL__OFFER;
	a.stream = &id;
	a.seq = r->seq;
	q.op = RK__OP__OP_ACK;
	q.ack = &a;
	request(r, 0, &q);
}

static void give_credit(struct run *r, uint32_t entries, uint32_t bytes)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Credit c = RK__CREDIT__INIT;

	c.entries = entries;
	c.bytes = bytes;
	q.op = RK__OP__OP_CREDIT;
	q.credit = &c;
	request(r, 0, &q);
}

/* ---- what renkeid sends */

static void on_reply(struct run *r, const Rk__Reply *reply)
{
	if (reply->code != RK_OK)
		load_die(&r->l, "operation %d: %s", (int)reply->op, errcode_name((int)reply->code));
	if (reply->op == RK__OP__OP_HELLO)
		r->answered++;
	if (reply->op != RK__OP__OP_SUBSCRIBE || reply->tag != r->tag || reply->subscribe == NULL)
		return;
	r->head = reply->subscribe->head_seq;
	r->seq = r->entries = r->post_bytes = r->bytes = 0;
	r->subscribed = true;
}

/* Entries above the head, which others have posted since, cost the same but are not counted. */
static void on_delivery(struct run *r, const Rk__Delivery *d, const struct bundle_message *m)
{
	if (++r->taken == r->credit / 2) {
		give_credit(r, r->credit / 2, CREDIT_BYTES / 2);
		r->taken = 0;
	}
	if (!r->subscribed || r->seq == r->head)
		return;
	if (d->kind != RK__ENTRY_KIND__ENTRY_POST || m->frame_count != 3 || d->seq != r->seq + 1 || d->gap_to != 0)
		load_die(&r->l, "entry %llu after %llu", (unsigned long long)d->seq, (unsigned long long)r->seq);
	r->seq = d->seq;
	r->entries++;
	r->post_bytes += m->frames[1].len + m->frames[2].len;
	if (r->entries % ACK_EVERY == 0)
		acknowledge(r);
}

static void take(struct run *r, const struct bundle_message *m)
{
	const Rk__Down *down;

	arena_reset(r->scratch, 1 << 20);
	down = rk__down__unpack(arena_allocator(r->scratch), m->frames[0].len, m->frames[0].data);
	if (down == NULL)
		load_die(&r->l, "a message that is no message");
	if (down->reply != NULL)
		on_reply(r, down->reply);
	else if (down->delivery != NULL)
		on_delivery(r, down->delivery, m);
}

static void on_message(void *user, unsigned peer, struct peer_message *m)
{
	struct run *r = user;
	struct bundle_message whole = {.frame_count = m->count}, one;
	size_t at = 0;
	unsigned count;

	(void)peer;
	if (m->count > BUNDLE_FRAMES_MAX)
		load_die(&r->l, "a message of %u frames", m->count);
	for (unsigned i = 0; i < m->count; i++) {
		whole.frames[i] = bytes_make(zmq_msg_data(&m->frame[i]), zmq_msg_size(&m->frame[i]));
		r->bytes += whole.frames[i].len;
	}
	if (!bundle_is(whole.frames[0])) {
		take(r, &whole);
		return;
	}
	if (bundle_check(whole.frames[0], &count) != RK_OK)
		load_die(&r->l, "a bundle that is none");
	while (bundle_next(whole.frames[0], &at, &one))
		take(r, &one);
}

/* ---- what `bare` sends */

static void on_echo(void *user, unsigned peer, struct peer_message *m)
{
	struct run *r = user;

	(void)peer;
	if (m->count != 1 || zmq_msg_size(&m->frame[0]) != HELLO_BYTES)
		load_die(&r->l, "not what was sent");
	r->answered++;
}

static void on_part(void *user, unsigned peer, struct peer_message *m)
{
	static const uint8_t word = 1;
	const struct bytes frame = bytes_make(&word, 1);
	struct run *r = user;
	size_t n = zmq_msg_size(&m->frame[0]);

	r->bytes += n;
	r->step += n;
	if (r->step >= STEP_BYTES) {
		r->step -= STEP_BYTES;
		peers_send(r->peers, peer, &frame, 1);
	}
}

static void read_key(struct run *r, const char *folder, uint8_t pk[32])
{
	char path[512];

	snprintf(path, sizeof(path), "%s/key", folder);
	FILE *f = fopen(path, "r");
	if (f == NULL || fread(pk, 32, 1, f) != 1)
		load_die(&r->l, "%s: no key", path);
	fclose(f);
}

/* ---- the runs */

static void wait_answers(struct run *r, unsigned want)
{
	double until = load_now() + PATIENCE_S;

	while (r->answered < want && load_now() < until)
		peers_wait(r->peers, 100);
	if (r->answered < want)
		load_die(&r->l, "%u of %u were answered in %d s", r->answered, want, PATIENCE_S);
}

static void report_storm(struct run *r, const char *what, unsigned members, double seconds, double cpu, long before)
{
	long after = resident_kib(r);

	printf("{\"run\": \"%s\", \"members\": %u, \"seconds\": %.3f, \"cpu_seconds\": %.2f, \"cpu_us_each\": %.1f, \"rss_before_kib\": %ld, "
	       "\"rss_after_kib\": %ld, \"kib_each\": %.2f}\n", what, members, seconds, cpu, cpu / members * 1e6, before, after,
	       (double)(after - before) / members);
}

/* Keys are made before anything is timed.  Nobody waits for anybody: libzmq tries again what does not come through. */
static void storm(struct run *r, const char *what, const char *endpoint, const uint8_t pk[32], unsigned members)
{
	struct fixed_box *keys = calloc(members, sizeof(*keys));
	const uint8_t greeting[HELLO_BYTES] = {0};
	const struct bytes frame = BYTES_OF(greeting);
	const bool is_renkei = strcmp(what, "storm") == 0;

	if (keys == NULL)
		load_die(&r->l, "no memory");
	for (unsigned i = 0; i < members; i++) {
		struct crowd_device d;
		crowd_device(&d, i);
		keys[i] = d.curve;
	}
	r->peers = peers_new(members, -1, is_renkei ? on_message : on_echo, r);
	long before = resident_kib(r);
	double cpu = load_cpu(&r->l), began = load_now();
	for (unsigned i = 0; i < members; i++) {
		peers_connect(r->peers, endpoint, pk, keys[i].pk, keys[i].sk);
		if (is_renkei)
			hello(r, i);
		else
			peers_send(r->peers, i, &frame, 1);
	}
	wait_answers(r, members);
	report_storm(r, what, members, load_now() - began, load_cpu(&r->l) - cpu, before);
	free(keys);
}

static void report_bytes(struct run *r, const char *what, unsigned rounds, double seconds, double cpu)
{
	printf("{\"run\": \"%s\", \"rounds\": %u, \"seconds\": %.3f, \"cpu_seconds\": %.2f, \"entries\": %llu, \"bytes\": %llu, \"post_bytes\": %llu, "
	       "\"mb_per_s\": %.1f, \"entries_per_s\": %.0f}\n", what, rounds, seconds, cpu, (unsigned long long)r->entries,
	       (unsigned long long)r->bytes, (unsigned long long)r->post_bytes, (double)r->bytes * rounds / seconds / 1e6,
	       (double)r->entries * rounds / seconds);
}

static void catch_up(struct run *r, const char *data, unsigned device, double seconds)
{
	struct crowd crowd;
	struct crowd_device d;
	unsigned rounds = 0;

	crowd_open(&crowd, data);
	crowd_device(&d, device);
	r->peers = peers_new(1, -1, on_message, r);
	peers_connect(r->peers, crowd.card.endpoint, crowd.card.curve_pk, d.curve.pk, d.curve.sk);
	hello(r, 0);
	wait_answers(r, 1);
	give_credit(r, r->credit, CREDIT_BYTES);
	double cpu = load_cpu(&r->l), began = load_now();
	do {
		double until = load_now() + PATIENCE_S;

		subscribe(r);
		while (!r->subscribed || r->seq < r->head) {
			peers_wait(r->peers, 100);
			if (load_now() > until)
				load_die(&r->l, "entry %llu of %llu after %d s", (unsigned long long)r->seq, (unsigned long long)r->head, PATIENCE_S);
		}
		rounds++;
	} while (load_now() - began < seconds);
	report_bytes(r, "catchup", rounds, load_now() - began, load_cpu(&r->l) - cpu);
}

static void transfer(struct run *r, const char *folder, const char *endpoint, uint64_t bytes, uint32_t frame, double seconds)
{
	uint8_t pk[32], own_pk[32], own_sk[32], ask[12], greeting[HELLO_BYTES] = {0};
	const struct bytes hello_frame = BYTES_OF(greeting), ask_frame = BYTES_OF(ask);
	unsigned rounds = 0;

	read_key(r, folder, pk);
	crypto_box_keypair(own_pk, own_sk);
	memcpy(ask, &bytes, 8);
	memcpy(ask + 8, &frame, 4);
	/* The first answer is no part of the transfer: the connection stands before the clock starts. */
	r->peers = peers_new(1, -1, on_part, r);
	peers_connect(r->peers, endpoint, pk, own_pk, own_sk);
	peers_send(r->peers, 0, &hello_frame, 1);
	while (r->bytes < HELLO_BYTES)
		peers_wait(r->peers, 100);
	double cpu = load_cpu(&r->l), began = load_now();
	do {
		double until = load_now() + PATIENCE_S;

		r->bytes = r->step = 0;
		peers_send(r->peers, 0, &ask_frame, 1);
		while (r->bytes < bytes) {
			peers_wait(r->peers, 100);
			if (load_now() > until)
				load_die(&r->l, "%llu bytes after %d s", (unsigned long long)r->bytes, PATIENCE_S);
		}
		rounds++;
	} while (load_now() - began < seconds);
	report_bytes(r, "transfer", rounds, load_now() - began, load_cpu(&r->l) - cpu);
}

static int usage(void)
{
	fprintf(stderr, "usage: load_long storm PID DATA MEMBERS | handshakes PID FOLDER URL MEMBERS | catchup PID DATA DEVICE SECONDS CREDIT |\n"
			"       transfer PID FOLDER URL BYTES FRAME SECONDS\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct run r;
	struct crowd crowd;
	uint8_t pk[32];

	if (argc < 5 || sodium_init() < 0)
		return usage();
	r.l.system = argv[1];
	r.l.pid = atoi(argv[2]);
	if ((r.scratch = arena_new(1 << 20)) == NULL)
		load_die(&r.l, "no memory");
	if (argc == 5 && strcmp(argv[1], "storm") == 0) {
		crowd_open(&crowd, argv[3]);
		storm(&r, "storm", crowd.card.endpoint, crowd.card.curve_pk, (unsigned)atoi(argv[4]));
	} else if (argc == 6 && strcmp(argv[1], "handshakes") == 0) {
		read_key(&r, argv[3], pk);
		storm(&r, "handshakes", argv[4], pk, (unsigned)atoi(argv[5]));
	} else if (argc == 7 && strcmp(argv[1], "catchup") == 0 && atoi(argv[6]) >= 2) {
		r.credit = (unsigned)atoi(argv[6]);
		catch_up(&r, argv[3], (unsigned)atoi(argv[4]), atof(argv[5]));
	} else if (argc == 8 && strcmp(argv[1], "transfer") == 0) {
		transfer(&r, argv[3], argv[4], strtoull(argv[5], NULL, 10), (uint32_t)atoi(argv[6]), atof(argv[7]));
	} else {
		return usage();
	}
	peers_free(r.peers);
	arena_free(r.scratch);
	return 0;
}
