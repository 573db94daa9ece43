/*
 * front as it sends, over a real connection whose other end does not read: small replies wait and come in order, bulk
 * gives way to its refusal, deliveries are given back in order, and after a cut nothing comes but the word that it is
 * cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>
#include <zmq.h>

#include "broker/metrics.h"
#include "broker/net.h"
#include "broker/socket.h"
#include "broker/zap.h"
#include "proto/bundle.h"
#include "proto/errcode.h"

#define WAIT_MS 10000
#define FILLER_BYTES (64 * 1024)
#define KEPT_MAX 256

/* Front and zap with one member, whose connection is open and known. */
struct rig {
	struct config config;
	struct path path;
	struct zap zap;
	struct front *front;
	struct net net;
	pthread_t net_thread, zap_thread;
	void *client_context, *client;
	struct roster_device member;
	struct peer peer;  /* as front knows it */
};

static void pause_a_little(void)
{
	const struct timespec t = {.tv_nsec = 1000000};

	nanosleep(&t, NULL);
}

static struct message_in *wait_for_command(struct rig *r)
{
	for (int i = 0; i < WAIT_MS; i++, pause_a_little()) {
		struct message_in *m = ring_pop(r->path.front_admit);

		if (m != NULL)
			return m;
	}
	fail_msg("nothing came");
	return NULL;
}

static void connect_member(struct rig *r, const char *endpoint, const uint8_t server_pk[32], const uint8_t sk[32])
{
	int zero = 0, few = 2, small = 4096;

	r->client_context = zmq_ctx_new();
	r->client = zmq_socket(r->client_context, ZMQ_DEALER);
	zmq_setsockopt(r->client, ZMQ_LINGER, &zero, sizeof(zero));
	/* Little room on the way, so that "full" is reached soon. */
	zmq_setsockopt(r->client, ZMQ_RCVHWM, &few, sizeof(few));
	zmq_setsockopt(r->client, ZMQ_RCVBUF, &small, sizeof(small));
	zmq_setsockopt(r->client, ZMQ_CURVE_SERVERKEY, server_pk, 32);
	zmq_setsockopt(r->client, ZMQ_CURVE_PUBLICKEY, r->member.curve_pk, 32);
	zmq_setsockopt(r->client, ZMQ_CURVE_SECRETKEY, sk, 32);
	assert_int_equal(zmq_connect(r->client, endpoint), 0);
}

static void speak(struct rig *r)
{
	struct message_in *m;

	assert_int_equal(zmq_send(r->client, "hello", 5, 0), 5);
	m = wait_for_command(r);
	r->peer = m->command.peer;
	message_in_give_back(m);
}

static struct rig *rig_open(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	uint8_t server_pk[32], server_sk[32], member_sk[32];
	char endpoint[SOCKET_ENDPOINT_CHARS];
	const char *failed;
	void *router;

	assert_non_null(r);
	config_defaults(&r->config);
	assert_int_equal(path_init(&r->path, &r->config), RK_OK);
	assert_int_equal(sequence_new(&sequence_system_clock, 0, false, &r->path.sequence), RK_OK);
	r->path.roster = roster_new();
	crypto_box_keypair(server_pk, server_sk);
	crypto_box_keypair(r->member.curve_pk, member_sk);
	memset(r->member.device_id, 0xd1, 16);
	r->member.active = true;
	assert_true(roster_put_device(r->path.roster, &r->member));
	r->path.zmq = socket_context();
	r->zap = (struct zap){&r->path, socket_zap(r->path.zmq)};
	router = socket_router(r->path.zmq, &r->config, server_sk, "tcp://127.0.0.1:*", endpoint, &failed);
	assert_non_null(router);
	r->front = front_new(&r->path, router);
	assert_non_null(r->front);
	r->net = (struct net){&r->path, r->front, NULL, NULL};
	assert_int_equal(pthread_create(&r->zap_thread, NULL, zap_run, &r->zap), 0);
	assert_int_equal(pthread_create(&r->net_thread, NULL, net_run, &r->net), 0);
	connect_member(r, endpoint, server_pk, member_sk);
	speak(r);
	return r;
}

static void rig_close(struct rig *r)
{
	zmq_close(r->client);
	zmq_ctx_term(r->client_context);
	atomic_store(&r->path.closing, true);
	path_wake(&r->path);
	pthread_join(r->net_thread, NULL);
	pthread_join(r->zap_thread, NULL);
	zmq_ctx_term(r->path.zmq);
	front_free(r->front);
	roster_free(r->path.roster);
	sequence_free(r->path.sequence);
	path_clear(&r->path);
	free(r);
}

/* A message of two frames: a number, and len bytes. */
static struct message_out *numbered(struct rig *r, enum message_out_kind kind, unsigned n, size_t len)
{
	static uint8_t filler[FILLER_BYTES];
	struct message_out *o = message_out_new(kind, &r->peer);
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	assert_non_null(o);
	assert_true(message_out_copy(o, bytes_str(text)));
	assert_true(message_out_copy(o, bytes_make(filler, len)));
	return o;
}

/* The number of the next message, -1 when none comes; its text when it is none. */
static int next_number(struct rig *r, int wait_ms, char text[32])
{
	zmq_pollitem_t item = {.socket = r->client, .events = ZMQ_POLLIN};
	char first[32] = "";
	int more = 1, parts = 0;

	if (zmq_poll(&item, 1, wait_ms) <= 0)
		return -1;
	while (more) {
		zmq_msg_t frame;

		zmq_msg_init(&frame);
		assert_true(zmq_msg_recv(&frame, r->client, 0) >= 0);
		if (parts++ == 0)
			snprintf(first, sizeof(first), "%.*s", (int)zmq_msg_size(&frame), (char *)zmq_msg_data(&frame));
		more = zmq_msg_more(&frame);
		zmq_msg_close(&frame);
	}
	if (text != NULL)
		memcpy(text, first, sizeof(first));
	return atoi(first);
}

static void small_replies_wait_for_a_full_connection_in_order(void **state)
{
	uint64_t deferred = metrics_get(M_SEND_DEFERRED), lost = metrics_get(M_SEND_LOST);
	struct rig *r = rig_open();

	(void)state;
	for (unsigned i = 1; i <= 400; i++)
		ring_push_wait(r->path.apply_front, numbered(r, MESSAGE_REPLY, i, 1000));
	while (!ring_is_empty(r->path.apply_front))
		pause_a_little();
	assert_true(metrics_get(M_SEND_DEFERRED) > deferred); /* it was full */
	for (int i = 1; i <= 400; i++)
		assert_int_equal(next_number(r, WAIT_MS, NULL), i);
	assert_int_equal(metrics_get(M_SEND_LOST), lost);
	rig_close(r);
}

static void what_waits_is_bounded(void **state)
{
	uint64_t lost = metrics_get(M_SEND_LOST);
	struct rig *r = rig_open();
	int last = 0, n;

	(void)state;
	for (unsigned i = 1; i <= 2000; i++)
		ring_push_wait(r->path.apply_front, numbered(r, MESSAGE_REPLY, i, 1000));
	while (!ring_is_empty(r->path.apply_front))
		pause_a_little();
	assert_true(metrics_get(M_SEND_LOST) > lost);
	while ((n = next_number(r, 300, NULL)) > 0) {
		assert_true(n > last);
		last = n;
	}
	assert_true(last > 512 && last <= 2000);
	rig_close(r);
}

static void bulk_does_not_wait_but_says_busy(void **state)
{
	struct rig *r = rig_open();
	char text[32];
	int busy = 0, whole = 0;

	(void)state;
	for (unsigned i = 1; i <= 200; i++) {
		struct message_out *o = numbered(r, MESSAGE_REPLY, i, FILLER_BYTES);

		assert_true(message_out_set_fallback(o, bytes_str("busy")));
		ring_push_wait(r->path.apply_front, o);
	}
	for (int i = 0; i < 200; i++) {
		assert_int_not_equal(next_number(r, WAIT_MS, text), -1);
		if (strcmp(text, "busy") == 0)
			busy++;
		else
			whole++;
	}
	assert_true(busy > 0 && whole > 0);
	assert_int_equal(busy + whole, 200); /* one answer each */
	rig_close(r);
}

static struct message_out *given_back(struct rig *r)
{
	for (int i = 0; i < WAIT_MS; i++, pause_a_little()) {
		struct message_out *o = ring_pop(r->path.front_deliver);

		if (o != NULL)
			return o;
	}
	fail_msg("a delivery was not given back");
	return NULL;
}

static void a_delivery_that_does_not_fit_holds_back_the_rest_of_its_epoch(void **state)
{
	struct rig *r = rig_open();
	unsigned sent = 0;
	bool blocked = false;

	(void)state;
	for (unsigned i = 1; i <= 200; i++) {
		struct message_out *o = numbered(r, MESSAGE_DELIVERY, i, FILLER_BYTES);

		o->epoch = 7;
		o->seq = i;
		ring_push_wait(r->path.deliver_front, o);
	}
	for (unsigned i = 1; i <= 200; i++) {
		struct message_out *o = given_back(r);

		assert_int_equal(o->seq, i);
		if (o->result == MESSAGE_AGAIN)
			blocked = true;
		assert_int_equal(o->result, blocked ? MESSAGE_AGAIN : MESSAGE_SENT);
		sent += o->result == MESSAGE_SENT;
		message_out_free(o);
	}
	assert_true(blocked && sent > 0);
	/* What was sent arrives, and nothing else. */
	for (unsigned i = 1; i <= sent; i++)
		assert_int_equal(next_number(r, WAIT_MS, NULL), (int)i);
	assert_int_equal(next_number(r, 200, NULL), -1);
	/* The next epoch goes again. */
	for (unsigned k = 0; k < 2; k++) {
		struct message_out *o = numbered(r, MESSAGE_DELIVERY, 1000, 10);

		o->epoch = 7 + k;
		ring_push_wait(r->path.deliver_front, o);
		o = given_back(r);
		assert_int_equal(o->result, k == 0 ? MESSAGE_AGAIN : MESSAGE_SENT);
		message_out_free(o);
	}
	assert_int_equal(next_number(r, WAIT_MS, NULL), 1000);
	rig_close(r);
}

static void a_vanished_connection_is_told(void **state)
{
	struct rig *r = rig_open();
	struct message_out *o;

	(void)state;
	r->peer.routing_id[r->peer.routing_id_len - 1] ^= 0x55;
	o = numbered(r, MESSAGE_DELIVERY, 1, 10);
	o->epoch = 3;
	ring_push_wait(r->path.deliver_front, o);
	o = given_back(r);
	assert_int_equal(o->result, MESSAGE_GONE);
	message_out_free(o);
	rig_close(r);
}

static void after_a_cut_nothing_comes_but_that_it_is_cut(void **state)
{
	struct rig *r = rig_open();
	struct message_out *o;
	char text[32];

	(void)state;
	r->member.active = false;
	assert_true(roster_put_device(r->path.roster, &r->member));
	ring_push_wait(r->path.apply_front, message_out_new(MESSAGE_CUT, &r->peer));
	ring_push_wait(r->path.apply_front, numbered(r, MESSAGE_REPLY, 1, 10));
	ring_push_wait(r->path.admit_front, numbered(r, MESSAGE_REPLY, 2, 10));
	ring_push_wait(r->path.deliver_front, numbered(r, MESSAGE_DELIVERY, 3, 10));
	o = given_back(r);
	assert_int_equal(o->result, MESSAGE_GONE);
	message_out_free(o);
	o = numbered(r, MESSAGE_REPLY, 4, 10);
	o->to_cut = true;
	ring_push_wait(r->path.admit_front, o);
	assert_int_equal(next_number(r, WAIT_MS, text), 4);
	assert_int_equal(next_number(r, 200, NULL), -1);
	/* It is heard, so that it can be told; and taken back when the roster says so. */
	speak(r);
	ring_push_wait(r->path.admit_front, numbered(r, MESSAGE_REPLY, 5, 10));
	assert_int_equal(next_number(r, 200, NULL), -1);
	r->member.active = true;
	assert_true(roster_put_device(r->path.roster, &r->member));
	speak(r);
	ring_push_wait(r->path.admit_front, numbered(r, MESSAGE_REPLY, 6, 10));
	assert_int_equal(next_number(r, WAIT_MS, NULL), 6);
	rig_close(r);
}

/* One member sends large messages faster than anything takes them: half of the memory is for others, and for small words; all comes back. */
static void large_messages_of_one_organisation_have_half_of_the_room(void **state)
{
	struct rig *r = rig_open();
	const size_t len = 256 * 1024, half = (size_t)r->config.ring_bytes / 2;
	uint8_t *large = calloc(1, len);
	uint64_t dropped = metrics_get(M_DROP_RING);
	struct message_in *m, *kept[KEPT_MAX];
	size_t count = 0;

	(void)state;
	assert_non_null(large);
	memset(large, 8, len); /* no bundle */
	for (size_t i = 0; i < half / len + 40; i++)
		assert_int_equal(zmq_send(r->client, large, len, 0), len);
	assert_int_equal(zmq_send(r->client, "small", 5, 0), 5);
	while ((m = wait_for_command(r))->bytes == len) {
		/* Not freed: as those that wait for a disk. */
		assert_true(count < KEPT_MAX);
		kept[count++] = m;
	}
	assert_int_equal(m->bytes, 5);
	message_in_give_back(m);
	assert_true(count >= half / len - 2);
	assert_int_equal(metrics_get(M_DROP_RING) - dropped, half / len + 40 - count);
	assert_true(atomic_load(&r->path.load.bytes) <= half + 1024 * 1024);
	while (count > 0)
		message_in_give_back(kept[--count]);
	assert_int_equal(message_large(&r->path.load, r->member.org_id), 0);
	assert_int_equal(zmq_send(r->client, large, len, 0), len);
	message_in_give_back(wait_for_command(r));
	free(large);
	rig_close(r);
}

/* Each message of a bundle as if it had come alone; of one that is not well formed, none. */
static void a_bundle_is_taken_apart(void **state)
{
	uint64_t dropped = metrics_get(M_DROP_FRAMES);
	struct rig *r = rig_open();
	struct bytes frames[2] = {bytes_str("header"), bytes_str("body")};
	struct bundle b = {0};
	uint64_t before = atomic_load(&r->path.load.bytes);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(bundle_add(&b, frames, 1 + i % 2), RK_OK);
	assert_int_equal(zmq_send(r->client, b.data, b.len - 1, 0), b.len - 1);
	assert_int_equal(zmq_send(r->client, b.data, b.len, 0), b.len);
	for (unsigned i = 0; i < 3; i++) {
		struct message_in *m = wait_for_command(r);

		assert_int_equal(m->command.frame_count, 1 + i % 2);
		assert_memory_equal(m->command.peer.id, r->member.device_id, 16);
		for (unsigned k = 0; k < m->command.frame_count; k++)
			assert_true(bytes_equal(m->command.frames[k], frames[k]));
		message_in_drop_frame(m, 0);
		message_in_give_back(m);
	}
	assert_int_equal(metrics_get(M_DROP_FRAMES) - dropped, 1);
	assert_int_equal(atomic_load(&r->path.load.bytes), before);
	bundle_clear(&b);
	rig_close(r);
}

/* As many tokens as messages: what came in one frame costs no less. */
static void a_bundle_takes_a_token_for_each_message(void **state)
{
	struct rig *r = rig_open();
	struct bytes frame = bytes_str("request");
	struct bundle b = {0};
	uint64_t dropped = metrics_get(M_DROP_RATE);
	unsigned sent = 0, taken = 0;

	(void)state;
	while (bundle_add(&b, &frame, 1) == RK_OK)
		;
	for (; sent < (unsigned)r->config.burst + 4 * BUNDLE_MESSAGES_MAX; sent += BUNDLE_MESSAGES_MAX)
		assert_int_equal(zmq_send(r->client, b.data, b.len, 0), b.len);
	while (taken + (metrics_get(M_DROP_RATE) - dropped) < sent) {
		struct message_in *m = ring_pop(r->path.front_admit);

		if (m == NULL)
			continue;
		taken++;
		message_in_give_back(m);
	}
	assert_true(metrics_get(M_DROP_RATE) > dropped);
	assert_true(taken >= (unsigned)r->config.burst - 1);
	bundle_clear(&b);
	rig_close(r);
}

static void a_closing_front_sends_what_is_left(void **state)
{
	struct rig *r = rig_open();

	(void)state;
	for (unsigned i = 1; i <= 40; i++)
		ring_push_wait(r->path.apply_front, numbered(r, MESSAGE_REPLY, i, 10));
	atomic_store(&r->path.closing, true);
	path_wake(&r->path);
	for (int i = 1; i <= 40; i++)
		assert_int_equal(next_number(r, WAIT_MS, NULL), i);
	rig_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_replies_wait_for_a_full_connection_in_order),
		cmocka_unit_test(what_waits_is_bounded),
		cmocka_unit_test(bulk_does_not_wait_but_says_busy),
		cmocka_unit_test(a_delivery_that_does_not_fit_holds_back_the_rest_of_its_epoch),
		cmocka_unit_test(a_vanished_connection_is_told),
		cmocka_unit_test(after_a_cut_nothing_comes_but_that_it_is_cut),
		cmocka_unit_test(large_messages_of_one_organisation_have_half_of_the_room),
		cmocka_unit_test(a_bundle_is_taken_apart),
		cmocka_unit_test(a_bundle_takes_a_token_for_each_message),
		cmocka_unit_test(a_closing_front_sends_what_is_left),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
