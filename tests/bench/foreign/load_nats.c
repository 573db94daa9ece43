/*
 * load_nats: load for nats-server with JetStream: one stream in files, a durable push consumer for each subscriber (--path: the certificate,
 * --endpoint: the port).  A post is acknowledged by its PubAck, which names its number in the stream.  A subscriber's word counts for all that
 * came before (ack_policy "all") and goes out each ACK_EVERY messages, as in the load of Renkei.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/foreign/tls_kit.h"
#include "tests/bench/load_kit.h"

#define ACK_EVERY 128
#define LINE_MAX 512
#define WORDS_MAX 5            /* MSG subject sid [reply] bytes */

/* Subscriptions of the publisher's connection; a subscriber has one, by its own number. */
enum { SID_PUBACK = 1, SID_API = 2, SID_POSTS = 3 };

struct run {
	struct load l;
	struct tls *tls;
	unsigned publisher, greeted, answered; /* connections that said PONG; replies of the API */
	char name[24];            /* of the stream, its subject, and the subjects below it: each run has its own */
};

static void send_line(struct run *r, unsigned i, const char *line)
{
	tls_send(r->tls, i, line, strlen(line));
}

static void publish(struct run *r, unsigned i, const char *subject, const char *reply, const void *data, size_t len)
{
	char head[LINE_MAX];
	int n = snprintf(head, sizeof(head), "PUB %s %s %zu\r\n", subject, reply, len);

	tls_send(r->tls, i, head, (size_t)n);
	tls_send(r->tls, i, data, len);
	tls_send(r->tls, i, "\r\n", 2);
}

/* ---- what comes */

/* {"stream":"b1234","seq":7}: numbers count from 1, and come in order. */
static void on_puback(struct run *r, const char *json)
{
	const char *seq = strstr(json, "\"seq\":");

	if (strstr(json, "\"error\"") != NULL || seq == NULL || strtoull(seq + 6, NULL, 10) != r->l.acked + 1)
		load_die(&r->l, "after %llu acknowledgements: %s", (unsigned long long)r->l.acked, json);
	load_acked(&r->l, 1);
}

static void on_api(struct run *r, const char *json)
{
	if (strstr(json, "\"error\"") != NULL)
		load_die(&r->l, "%s", json);
	r->answered++;
}

static void on_post(struct run *r, unsigned i, const char *reply, const uint8_t *payload, size_t len)
{
	if (i >= r->l.subscribers || len != LOAD_PAYLOAD_BYTES || reply[0] == '\0')
		load_die(&r->l, "connection %u: a message of %zu bytes", i, len);
	load_delivered(&r->l, i, load_payload_post(payload));
	if (r->l.got[i] % ACK_EVERY == 0)
		publish(r, i, reply, "", "+ACK", 4);
}

/* "MSG subject sid [reply] bytes": 0 and the words; or ends the program. */
static size_t split(struct run *r, char *line, char *words[WORDS_MAX])
{
	size_t n = 0;

	for (char *rest = line, *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
		if (n == WORDS_MAX)
			load_die(&r->l, "MSG with too many words");
		words[n++] = word;
	}
	if (n < 4)
		load_die(&r->l, "MSG with %zu words", n);
	return n;
}

/* A line of the server; returns how many bytes of payload follow it that are taken too, or SIZE_MAX if they are not all there. */
static size_t on_msg(struct run *r, unsigned i, char *line, const uint8_t *payload, size_t there)
{
	char *words[WORDS_MAX], json[LINE_MAX];
	size_t n = split(r, line, words), len = strtoul(words[n - 1], NULL, 10);
	unsigned long sid = strtoul(words[2], NULL, 10);

	if (there < len + 2)
		return SIZE_MAX;
	if (sid == SID_POSTS) {
		on_post(r, i, n == WORDS_MAX ? words[3] : "", payload, len);
	} else {
		snprintf(json, sizeof(json), "%.*s", (int)(len < LINE_MAX ? len : LINE_MAX - 1), (const char *)payload);
		if (sid == SID_PUBACK)
			on_puback(r, json);
		else
			on_api(r, json);
	}
	return len + 2;
}

static size_t on_data(void *user, unsigned i, const uint8_t *data, size_t len)
{
	struct run *r = user;
	size_t taken = 0, rest;
	char line[LINE_MAX];

	for (;;) {
		const uint8_t *begin = data + taken, *end = memchr(begin, '\n', len - taken);

		if (end == NULL)
			return taken;
		snprintf(line, sizeof(line), "%.*s", (int)(end - begin < LINE_MAX ? end - begin : LINE_MAX - 1), (const char *)begin);
		line[strcspn(line, "\r")] = '\0';
		rest = 0;
		if (strncmp(line, "MSG ", 4) == 0)
			rest = on_msg(r, i, line, end + 1, (size_t)(data + len - end - 1));
		else if (strcmp(line, "PING") == 0)
			send_line(r, i, "PONG\r\n");
		else if (strcmp(line, "PONG") == 0)
			r->greeted++;
		else if (strncmp(line, "INFO ", 5) != 0)
			load_die(&r->l, "connection %u: %s", i, line);
		if (rest == SIZE_MAX)
			return taken;
		taken = (size_t)(end + 1 - data) + rest;
	}
}

/* ---- before the start */

static void greet(struct run *r, unsigned i)
{
	char line[LINE_MAX];

	send_line(r, i, "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\n");
	if (i == r->publisher)
		snprintf(line, sizeof(line), "SUB %s.ack %d\r\nSUB %s.api %d\r\nPING\r\n", r->name, SID_PUBACK, r->name, SID_API);
	else
		snprintf(line, sizeof(line), "SUB %s.to.%u %d\r\nPING\r\n", r->name, i, SID_POSTS);
	send_line(r, i, line);
}

static void ask(struct run *r, const char *subject, const char *json)
{
	char reply[LINE_MAX];

	snprintf(reply, sizeof(reply), "%s.api", r->name);
	publish(r, r->publisher, subject, reply, json, strlen(json));
}

static void make_stream(struct run *r)
{
	char subject[LINE_MAX], json[LINE_MAX];

	snprintf(subject, sizeof(subject), "$JS.API.STREAM.CREATE.%s", r->name);
	snprintf(json, sizeof(json), "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"storage\":\"file\",\"retention\":\"limits\",\"num_replicas\":1,"
		 "\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,\"discard\":\"old\"}", r->name, r->name);
	ask(r, subject, json);
	while (r->answered < 1)
		tls_wait(r->tls, 1000);
}

/* Room for all that a window may leave unacknowledged, and more time than a run takes: nothing is held back or sent again. */
static void make_consumers(struct run *r)
{
	char subject[LINE_MAX], json[LINE_MAX];

	r->answered = 0;
	for (unsigned i = 0; i < r->l.subscribers; i++) {
		snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DURABLE.CREATE.%s.c%u", r->name, i);
		snprintf(json, sizeof(json), "{\"stream_name\":\"%s\",\"config\":{\"durable_name\":\"c%u\",\"deliver_subject\":\"%s.to.%u\","
			 "\"deliver_policy\":\"all\",\"ack_policy\":\"all\",\"replay_policy\":\"instant\",\"ack_wait\":600000000000,"
			 "\"max_ack_pending\":65536}}", r->name, i, r->name, i);
		ask(r, subject, json);
	}
	while (r->answered < r->l.subscribers)
		tls_wait(r->tls, 1000);
}

static void connect_all(struct run *r)
{
	unsigned port = (unsigned)atoi(r->l.endpoint);

	r->publisher = r->l.subscribers;
	for (unsigned i = 0; i <= r->l.subscribers; i++) {
		tls_connect(r->tls, port, 1);
		greet(r, i);
		tls_wait(r->tls, 0);
	}
	while (r->greeted <= r->l.subscribers)
		tls_wait(r->tls, 1000);
	make_stream(r);
	make_consumers(r);
}

int main(int argc, char **argv)
{
	struct run r = {0};
	uint8_t payload[LOAD_PAYLOAD_BYTES];
	char reply[LINE_MAX];

	load_options(&r.l, "nats", argc, argv);
	if (r.l.path == NULL)
		load_die(&r.l, "--path CERTIFICATE");
	snprintf(r.name, sizeof(r.name), "b%d", (int)getpid());
	snprintf(reply, sizeof(reply), "%s.ack", r.name);
	r.tls = tls_new(r.l.subscribers + 1, r.l.timer, r.l.path, on_data, &r);
	connect_all(&r);
	load_start(&r.l);
	while (!load_is_done(&r.l)) {
		while (load_may_send(&r.l)) {
			load_payload(payload, r.l.sent);
			publish(&r, r.publisher, r.name, reply, payload, sizeof(payload));
			load_sent(&r.l);
		}
		tls_wait(r.tls, 10);
	}
	load_report(&r.l);
	tls_free(r.tls);
	load_free(&r.l);
	return 0;
}
