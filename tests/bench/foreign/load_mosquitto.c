/*
 * load_mosquitto: load for mosquitto: MQTT 3.1.1 over TLS, QoS 1 both ways, sessions that stay (--path: the certificate, --endpoint: the
 * port).  A subscriber acknowledges each message, as QoS 1 asks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/foreign/tls_kit.h"
#include "tests/bench/load_kit.h"

enum { CONNACK = 2, PUBLISH = 3, PUBACK = 4, SUBACK = 9 };
#define TOPIC_LEN 8            /* sessions stay, and with them what they had not acknowledged: each run has names of its own */

struct run {
	struct load l;
	struct tls *tls;
	unsigned publisher, greeted, subscribed;
	uint16_t packet_id;
	char topic[TOPIC_LEN + 1];
};

static void send_connect(struct run *r, unsigned i)
{
	/* protocol level 4; no clean session; no keep-alive */
	uint8_t m[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 0};
	int n = snprintf((char *)m + 14, sizeof(m) - 14, "%s.%u", r->topic, i);

	m[13] = (uint8_t)n;
	m[1] = (uint8_t)(12 + n);
	tls_send(r->tls, i, m, (size_t)(14 + n));
}

static void send_subscribe(struct run *r, unsigned i)
{
	uint8_t m[6 + TOPIC_LEN + 1] = {0x82, 2 + 2 + TOPIC_LEN + 1, 0, 1, 0, TOPIC_LEN};

	memcpy(m + 6, r->topic, TOPIC_LEN);
	m[6 + TOPIC_LEN] = 1;
	tls_send(r->tls, i, m, sizeof(m));
}

static void send_publish(struct run *r)
{
	const size_t rest = 2 + TOPIC_LEN + 2 + LOAD_PAYLOAD_BYTES;
	uint8_t m[3 + 2 + TOPIC_LEN + 2 + LOAD_PAYLOAD_BYTES] = {0x32, (uint8_t)(rest % 128 + 128), (uint8_t)(rest / 128), 0, TOPIC_LEN};

	r->packet_id = r->packet_id == UINT16_MAX ? 1 : r->packet_id + 1;
	memcpy(m + 5, r->topic, TOPIC_LEN);
	m[5 + TOPIC_LEN] = (uint8_t)(r->packet_id >> 8);
	m[6 + TOPIC_LEN] = (uint8_t)r->packet_id;
	load_payload(m + 7 + TOPIC_LEN, r->l.sent);
	tls_send(r->tls, r->publisher, m, sizeof(m));
}

static void on_publish(struct run *r, unsigned i, const uint8_t *m, size_t len)
{
	uint8_t ack[4] = {PUBACK << 4, 2};

	if (len != 2 + TOPIC_LEN + 2 + LOAD_PAYLOAD_BYTES || i >= r->l.subscribers)
		load_die(&r->l, "connection %u: a message of %zu bytes", i, len);
	memcpy(ack + 2, m + 2 + TOPIC_LEN, 2);
	tls_send(r->tls, i, ack, sizeof(ack));
	load_delivered(&r->l, i, load_payload_post(m + 2 + TOPIC_LEN + 2));
}

static void on_packet(struct run *r, unsigned i, unsigned type, const uint8_t *m, size_t len)
{
	switch (type) {
	case CONNACK:
		if (len != 2 || m[1] != 0)
			load_die(&r->l, "connection %u is refused", i);
		r->greeted++;
		break;
	case SUBACK:
		if (len != 3 || m[2] != 1)
			load_die(&r->l, "connection %u: no QoS 1", i);
		r->subscribed++;
		break;
	case PUBACK:
		load_acked(&r->l, 1);
		break;
	case PUBLISH:
		on_publish(r, i, m, len);
		break;
	default:
		load_die(&r->l, "packet of type %u", type);
	}
}

static size_t on_data(void *user, unsigned i, const uint8_t *data, size_t len)
{
	size_t taken = 0;

	for (;;) {
		size_t rest = 0, at = taken + 1;
		unsigned shift = 0;

		while (at < len && (data[at] & 0x80) && shift < 21) {
			rest |= (size_t)(data[at++] & 0x7f) << shift;
			shift += 7;
		}
		if (at >= len)
			return taken;
		rest |= (size_t)(data[at++] & 0x7f) << shift;
		if (rest > len - at)
			return taken;
		on_packet(user, i, data[taken] >> 4, data + at, rest);
		taken = at + rest;
	}
}

static void connect_all(struct run *r)
{
	unsigned port = (unsigned)atoi(r->l.endpoint);

	r->publisher = r->l.subscribers;
	for (unsigned i = 0; i <= r->l.subscribers; i++) {
		tls_connect(r->tls, port, 0);
		send_connect(r, i);
		tls_wait(r->tls, 0);
	}
	while (r->greeted <= r->l.subscribers)
		tls_wait(r->tls, 1000);
	for (unsigned i = 0; i < r->l.subscribers; i++)
		send_subscribe(r, i);
	while (r->subscribed < r->l.subscribers)
		tls_wait(r->tls, 1000);
}

int main(int argc, char **argv)
{
	struct run r = {0};

	load_options(&r.l, "mosquitto", argc, argv);
	if (r.l.path == NULL)
		load_die(&r.l, "--path CERTIFICATE");
	snprintf(r.topic, sizeof(r.topic), "b%07u", (unsigned)getpid() % 10000000);
	r.tls = tls_new(r.l.subscribers + 1, r.l.timer, r.l.path, on_data, &r);
	connect_all(&r);
	load_start(&r.l);
	while (!load_is_done(&r.l)) {
		while (load_may_send(&r.l)) {
			send_publish(&r);
			load_sent(&r.l);
		}
		tls_wait(r.tls, 10);
	}
	load_report(&r.l);
	tls_free(r.tls);
	load_free(&r.l);
	return 0;
}
