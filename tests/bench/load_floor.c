/* load_floor: load for tests/bench/floor (--path: its folder).  One connection publishes, each subscriber has its own. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/load_kit.h"
#include "tests/bench/zmq_kit.h"

struct run {
	struct load l;
	struct peers *peers;
	unsigned publisher, subscribed;
};

/* Subscribers are connections 0 to n - 1. */
static void on_message(void *user, unsigned peer, struct peer_message *m)
{
	struct run *r = user;
	size_t len = zmq_msg_size(&m->frame[0]);

	if (peer == r->publisher)
		load_acked(&r->l, 1);
	else if (len == 1)
		r->subscribed++;
	else if (len == LOAD_PAYLOAD_BYTES)
		load_delivered(&r->l, peer, load_payload_post(zmq_msg_data(&m->frame[0])));
	else
		load_die(&r->l, "%zu bytes", len);
}

static void connect_all(struct run *r)
{
	uint8_t server[32], pk[32], sk[32];
	char path[512];
	const struct bytes hello = bytes_make("", 1);

	snprintf(path, sizeof(path), "%s/key", r->l.path);
	FILE *f = fopen(path, "r");
	if (f == NULL || fread(server, 32, 1, f) != 1)
		load_die(&r->l, "no key in %s", path);
	fclose(f);
	r->publisher = r->l.subscribers;
	for (unsigned i = 0; i <= r->l.subscribers; i++) {
		crypto_box_keypair(pk, sk);
		peers_connect(r->peers, r->l.endpoint, server, pk, sk);
		if (i < r->l.subscribers)
			peers_send(r->peers, i, &hello, 1);
	}
	while (r->subscribed < r->l.subscribers)
		peers_wait(r->peers, 1000);
}

int main(int argc, char **argv)
{
	struct run r = {0};
	uint8_t payload[LOAD_PAYLOAD_BYTES];
	const struct bytes frame = BYTES_OF(payload);

	load_options(&r.l, "floor", argc, argv);
	if (sodium_init() < 0 || r.l.path == NULL)
		load_die(&r.l, "--path FOLDER of the floor");
	r.peers = peers_new(r.l.subscribers + 1, r.l.timer, on_message, &r);
	connect_all(&r);
	load_start(&r.l);
	while (!load_is_done(&r.l)) {
		while (load_may_send(&r.l)) {
			load_payload(payload, r.l.sent);
			peers_send(r.peers, r.publisher, &frame, 1);
			load_sent(&r.l);
		}
		peers_wait(r.peers, 10);
	}
	load_report(&r.l);
	peers_free(r.peers);
	load_free(&r.l);
	return 0;
}
