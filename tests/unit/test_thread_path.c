/*
 * The path without its network: admit, verify, apply and deliver run as the broker runs them, and this program plays
 * front.  What it sends back in place of libzmq (full, gone) is drawn, and yet every reader gets every entry once and
 * in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "broker/applier.h"
#include "broker/metrics.h"
#include "broker/net.h"
#include "broker/page_load.h"
#include "broker/path.h"
#include "broker/signer.h"
#include "broker/verify.h"
#include "proto/strict.h"
#include "tests/unit/world.h"

#define WAIT_MS 20000
#define POSTS 300

struct rig {
	struct world w;
	_Atomic int64_t wall_ms;  /* the broker's clock */
	struct peer peer;
	struct bytes bulk;           /* its second frame */
	struct config config;
	struct path path;
	struct admit *admit;
	struct applier *applier;
	struct deliver *deliver;
	struct verify *verify;
	struct verify_thread parts[PATH_VERIFY_MAX];
	struct net net;
	pthread_t net_thread, apply_thread, pages_thread, verify_threads[PATH_VERIFY_MAX];
	uint32_t random;
	/* What front sees of deliveries. */
	uint64_t blocked_epoch;
	uint64_t last_seq;      /* of the one stream that a test reads */
	unsigned again, sent, tried;
	bool fails;             /* connections are full now and then */
	bool gone;              /* the next delivery finds the connection gone */
};

static int64_t fixed_wall(void *user)
{
	return atomic_load(&((struct rig *)user)->wall_ms);
}

static int64_t fixed_boot(void *user)
{
	(void)user;
	return 0;
}

static uint32_t draw(struct rig *r, uint32_t below)
{
	r->random = r->random * 1664525u + 1013904223u;
	return (r->random >> 8) % below;
}

static struct rig *rig_open(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->random = 20261122;
	world_open(&r->w);
	world_admit(&r->w, 1);
	world_admit(&r->w, 2);
	r->w.journal_bytes = (uint64_t)1 << 20;
	world_restart(&r->w);
	config_defaults(&r->config);
	assert_int_equal(path_init(&r->path, &r->config), RK_OK);
	/* This thread plays front: what net frees is not its to use again. */
	ring_free(r->path.load.spent);
	r->path.load.spent = NULL;
	return r;
}

static void rig_start(struct rig *r)
{
	const struct sequence_clock clock = {fixed_wall, fixed_boot, r};
	struct path *p = &r->path;
	struct checkpoint head;

	atomic_store(&r->wall_ms, r->w.now_ms);
	p->roster = r->w.roster;
	p->env = r->w.env;
	p->apply = r->w.apply;
	assert_int_equal(sequence_new(&clock, 0, false, &p->sequence), RK_OK);
	assert_true(roster_exchange(p->roster, p->exchange_id));
	assert_true(apply_generation(p->apply, p->generation));
	p->signer = signer_new(r->w.f.log.sk);
	assert_non_null(p->signer);
	apply_head(p->apply, &head);
	signer_commit(p->signer, &head);
	r->admit = admit_new(p);
	r->applier = applier_new(p);
	r->deliver = deliver_new(p);
	r->verify = verify_new(p->roster, p->exchange_id);
	assert_true(r->admit != NULL && r->applier != NULL && r->deliver != NULL && r->verify != NULL);
	pthread_create(&r->apply_thread, NULL, applier_run, r->applier);
	pthread_create(&r->pages_thread, NULL, page_load_thread, p);
	for (unsigned i = 0; i < (unsigned)r->config.verify_threads; i++) {
		r->parts[i] = (struct verify_thread){p, r->verify, i};
		pthread_create(&r->verify_threads[i], NULL, verify_run, &r->parts[i]);
	}
	r->net = (struct net){p, NULL, r->admit, r->deliver};
	pthread_create(&r->net_thread, NULL, net_run, &r->net);
}

static void pause_a_little(void)
{
	const struct timespec t = {.tv_nsec = 200000};

	nanosleep(&t, NULL);
}

/* ---- playing front */

/* The command's frames as one message of its device over a connection of its own choice. */
static void send_from(struct rig *r, const struct command *c, uint8_t connection)
{
	struct peer peer = c->peer;
	zmq_msg_t frames[COMMAND_FRAMES_MAX];
	struct message_in *m;

	peer.routing_id_len = 5;
	memset(peer.routing_id, 0, 5);
	peer.routing_id[4] = connection;
	for (unsigned i = 0; i < c->frame_count; i++) {
		assert_int_equal(zmq_msg_init_size(&frames[i], c->frames[i].len), 0);
		memcpy(zmq_msg_data(&frames[i]), c->frames[i].data, c->frames[i].len);
	}
	m = message_in_new(&peer, frames, c->frame_count, &r->path.load);
	assert_non_null(m);
	assert_true(ring_push(r->path.front_admit, m));
}

static const Rk__Down *read_down(struct rig *r, struct message_out *o)
{
	Rk__Down *down;

	assert_true(o->frame_count > 0);
	assert_int_equal(STRICT_PARSE(down, bytes_make(zmq_msg_data(&o->frames[0]), zmq_msg_size(&o->frames[0])),
				      r->w.arena, &down),
			 RK_OK);
	return down;
}

/* As front: what one delivery does not get, none behind it gets. */
static void take_delivery(struct rig *r, struct message_out *o)
{
	const Rk__Down *down = read_down(r, o);

	r->tried++;
	if (r->gone)
		o->result = MESSAGE_GONE;
	else if (o->epoch == r->blocked_epoch || (r->fails && draw(r, 7) == 0))
		o->result = MESSAGE_AGAIN;
	else
		o->result = MESSAGE_SENT;
	if (o->result == MESSAGE_SENT) {
		assert_int_equal(down->delivery->seq, r->last_seq + 1);
		assert_int_equal(down->delivery->gap_to, 0);
		r->last_seq = down->delivery->seq;
		r->sent++;
	} else {
		r->blocked_epoch = o->epoch;
		r->again++;
	}
	for (unsigned i = 0; i < o->frame_count; i++)
		zmq_msg_close(&o->frames[i]);
	o->frame_count = 0;
	assert_true(ring_push(r->path.front_deliver, o));
}

/* The next reply of any ring, or NULL when none came in time; deliveries are dealt with on the way. */
static const Rk__Reply *next_reply(struct rig *r, int wait_ms)
{
	struct ring *const rings[] = {r->path.apply_front, r->path.admit_front, r->path.deliver_front};

	for (int64_t end = path_monotonic_ms() + wait_ms; path_monotonic_ms() < end; pause_a_little()) {
		for (size_t i = 0; i < 3; i++) {
			struct message_out *o;

			while ((o = ring_pop(rings[i])) != NULL) {
				const Rk__Down *down;

				if (o->kind == MESSAGE_DELIVERY) {
					take_delivery(r, o);
					continue;
				}
				assert_int_equal(o->kind, MESSAGE_REPLY);
				down = read_down(r, o);
				r->peer = o->peer;
				r->bulk = (struct bytes){0};
				if (o->frame_count == 2)
					r->bulk = bytes_of(world_copy(&r->w, zmq_msg_data(&o->frames[1]), zmq_msg_size(&o->frames[1])));
				message_out_free(o);
				return down->reply;
			}
		}
	}
	return NULL;
}

static int ask(struct rig *r, const struct command *c, uint8_t connection)
{
	const Rk__Reply *reply;

	send_from(r, c, connection);
	reply = next_reply(r, WAIT_MS);
	assert_non_null(reply);
	return (int)reply->code;
}

static const struct bytes nothing = {NULL, 0};

static struct command *simple(struct rig *r, int org, Rk__Op op)
{
	return world_command(&r->w, org, 0, world_request(&r->w, org, 0, op), nothing, nothing, nothing);
}

static struct command *hello(struct rig *r, int org)
{
	Rk__Request *q = world_request(&r->w, org, 0, RK__OP__OP_HELLO);
	Rk__Hello *h = fixed_alloc(r->w.arena, sizeof(*h));

	rk__hello__init(h);
	h->protocol_min = h->protocol_max = 1;
	q->hello = h;
	return world_command(&r->w, org, 0, q, nothing, nothing, nothing);
}

static struct command *subscribe(struct rig *r, int org, uint64_t cursor)
{
	Rk__Request *q = world_request(&r->w, org, 0, RK__OP__OP_SUBSCRIBE);
	Rk__Subscribe *s = fixed_alloc(r->w.arena, sizeof(*s));
	Rk__StreamId *id = fixed_alloc(r->w.arena, sizeof(*id));

	rk__subscribe__init(s);
	rk__stream_id__init(id);
	id->type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id->channel = RK__CHANNEL__OFFER;
	s->stream = id;
	s->cursor = cursor;
	q->subscribe = s;
	return world_command(&r->w, org, 0, q, nothing, nothing, nothing);
}

static struct command *credit(struct rig *r, int org, uint32_t entries, uint32_t bytes)
{
	Rk__Request *q = world_request(&r->w, org, 0, RK__OP__OP_CREDIT);
	Rk__Credit *c = fixed_alloc(r->w.arena, sizeof(*c));

	rk__credit__init(c);
	c->entries = entries;
	c->bytes = bytes;
	q->credit = c;
	return world_command(&r->w, org, 0, q, nothing, nothing, nothing);
}

/* A post with this device's next number, which is used up. */
static struct command *post(struct rig *r, int org)
{
	Rk__EnvelopeHeader *h = world_post_header(&r->w, org, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1);
	struct command *c = world_submit_command(&r->w, org, 0, h, 0);

	r->w.orgs[org].devices[0].number++;
	return c;
}

static struct command *letter(struct rig *r, int org, int to)
{
	Rk__EnvelopeHeader *h = world_header(&r->w, RK__KIND__OPEN, org, 0, 1u << to);
	struct command *c = world_submit_command(&r->w, org, 0, h, 1u << to);

	r->w.orgs[org].devices[0].number++;
	return c;
}

static struct command *get_proof(struct rig *r, int org, uint64_t from, uint64_t index)
{
	Rk__Request *q = world_request(&r->w, org, 0, RK__OP__OP_GET_PROOF);
	Rk__GetProof *p = fixed_alloc(r->w.arena, sizeof(*p));

	rk__get_proof__init(p);
	p->from_size = from;
	p->indexes = fixed_alloc(r->w.arena, sizeof(*p->indexes));
	p->indexes[0] = index;
	p->n_indexes = 1;
	q->get_proof = p;
	return world_command(&r->w, org, 0, q, nothing, nothing, nothing);
}

static void rig_close(struct rig *r)
{
	struct path *p = &r->path;

	r->fails = false;
	for (int i = 0; i < WAIT_MS && atomic_load(&p->load.count) != 0; i++)
		assert_null(next_reply(r, 1));
	assert_int_equal(atomic_load(&p->load.count), 0);
	assert_int_equal(atomic_load(&p->load.bytes), 0);
	atomic_store(&p->stopping, true);
	path_wake(p);
	for (unsigned i = 0; i < (unsigned)r->config.verify_threads; i++)
		pthread_join(r->verify_threads[i], NULL);
	pthread_join(r->apply_thread, NULL);
	pthread_join(r->pages_thread, NULL);
	assert_null(next_reply(r, 50)); /* gives back what deliver waits for */
	atomic_store(&p->closing, true);
	path_wake(p);
	pthread_join(r->net_thread, NULL);
	assert_int_equal(atomic_load(&p->failure), 0);
	admit_free(r->admit);
	applier_free(r->applier);
	deliver_free(r->deliver);
	verify_free(r->verify);
	signer_free(p->signer);
	sequence_free(p->sequence);
	path_clear(p);
	world_close(&r->w);
	free(r);
}

/* ---- the tests */

static void a_devices_commands_keep_their_order_through_the_pool(void **state)
{
	struct rig *r = rig_open();
	uint64_t last[3];
	unsigned sent = 0;

	(void)state;
	rig_start(r);
	assert_int_equal(ask(r, hello(r, 1), 1), RK_OK);
	assert_int_equal(ask(r, hello(r, 2), 2), RK_OK);
	for (int org = 1; org <= 2; org++)
		last[org] = r->w.orgs[org].devices[0].number;
	/* Posts pass by verify, letters go through it: without the queue the next post would overtake. */
	for (int i = 0; i < 10; i++) {
		for (int org = 1; org <= 2; org++) {
			send_from(r, letter(r, org, 3 - org), (uint8_t)org);
			for (int k = 0; k < 5; k++)
				send_from(r, post(r, org), (uint8_t)org);
			sent += 6;
		}
	}
	for (; sent > 0; sent--) {
		const Rk__Reply *reply = next_reply(r, WAIT_MS);
		int org;

		assert_non_null(reply);
		org = memcmp(r->peer.id, r->w.orgs[1].devices[0].id, 16) == 0 ? 1 : 2;
		assert_int_equal(reply->code, RK_OK);
		assert_int_equal(reply->number, ++last[org]);
	}
	rig_close(r);
}

static void every_entry_comes_once_and_in_order_whatever_the_connection_does(void **state)
{
	struct rig *r = rig_open();
	unsigned replies = 0;

	(void)state;
	for (int i = 0; i < POSTS; i++)
		assert_int_equal(world_post(&r->w, 1, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	rig_start(r);
	r->fails = true;
	assert_int_equal(ask(r, hello(r, 1), 1), RK_OK);
	assert_int_equal(ask(r, hello(r, 2), 2), RK_OK);
	assert_int_equal(ask(r, subscribe(r, 2, 0), 2), RK_OK);
	/* Not one without credit. */
	assert_null(next_reply(r, 100));
	assert_int_equal(r->tried, 0);
	assert_int_equal(ask(r, credit(r, 2, 100, 1 << 20), 2), RK_OK);
	while (r->sent < 100)
		assert_null(next_reply(r, 20));
	/* Nor one more than credit, and what did not go cost none. */
	assert_null(next_reply(r, 300));
	assert_int_equal(r->sent, 100);
	assert_int_equal(r->last_seq, 100);
	/* The rest while new ones come. */
	send_from(r, credit(r, 2, 1000, 1 << 24), 2);
	for (int i = 0; i < 50; i++)
		send_from(r, post(r, 1), 1);
	for (int64_t end = path_monotonic_ms() + WAIT_MS; r->sent < POSTS + 50 && path_monotonic_ms() < end;) {
		const Rk__Reply *reply = next_reply(r, 20);

		if (reply != NULL) {
			assert_int_equal(reply->code, RK_OK);
			replies++;
		}
	}
	assert_int_equal(r->sent, POSTS + 50);
	assert_int_equal(r->last_seq, POSTS + 50);
	assert_true(r->again > 0); /* the fault did happen */
	assert_int_equal(replies, 51);
	/* A cursor beyond the head is of another store. */
	assert_int_equal(ask(r, subscribe(r, 2, POSTS + 51), 2), RK_GENERATION);
	rig_close(r);
}

static void bytes_of_credit_bound_what_is_sent(void **state)
{
	struct rig *r = rig_open();

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(world_post(&r->w, 1, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	rig_start(r);
	assert_int_equal(ask(r, hello(r, 2), 2), RK_OK);
	assert_int_equal(ask(r, subscribe(r, 2, 0), 2), RK_OK);
	/* One byte: one entry may overdraw, the next may not. */
	assert_int_equal(ask(r, credit(r, 2, 4096, 1), 2), RK_OK);
	assert_null(next_reply(r, 200));
	assert_int_equal(r->sent, 1);
	rig_close(r);
}

static void a_vanished_reader_is_dropped_and_comes_again_with_its_cursor(void **state)
{
	struct rig *r = rig_open();

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(world_post(&r->w, 1, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	rig_start(r);
	assert_int_equal(ask(r, hello(r, 2), 2), RK_OK);
	assert_int_equal(ask(r, subscribe(r, 2, 0), 2), RK_OK);
	assert_int_equal(ask(r, credit(r, 2, 30, 1 << 20), 2), RK_OK);
	while (r->sent < 30)
		assert_null(next_reply(r, 20));
	r->gone = true;
	assert_int_equal(ask(r, credit(r, 2, 30, 1 << 20), 2), RK_OK);
	assert_null(next_reply(r, 200));
	assert_int_equal(r->sent, 30);
	r->gone = false;
	/* Its new connection is unknown, then it is the session, and the old one is not any more. */
	assert_int_equal(ask(r, simple(r, 2, RK__OP__OP_PING), 3), RK_GENERATION);
	assert_int_equal(ask(r, hello(r, 2), 3), RK_OK);
	assert_int_equal(ask(r, simple(r, 2, RK__OP__OP_PING), 3), RK_OK);
	assert_int_equal(ask(r, simple(r, 2, RK__OP__OP_PING), 2), RK_SUPERSEDED);
	assert_null(next_reply(r, 100));
	assert_int_equal(r->sent, 30); /* neither subscription nor credit outlived it */
	assert_int_equal(ask(r, subscribe(r, 2, 30), 3), RK_OK);
	assert_int_equal(ask(r, credit(r, 2, 100, 1 << 20), 3), RK_OK);
	while (r->sent < 100)
		assert_null(next_reply(r, 20));
	rig_close(r);
}

static void a_forgotten_session_has_no_reader(void **state)
{
	struct rig *r = rig_open();
	struct message_in *m;

	(void)state;
	assert_int_equal(world_post(&r->w, 1, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	rig_start(r);
	assert_int_equal(ask(r, hello(r, 1), 1), RK_OK);
	assert_int_equal(ask(r, hello(r, 2), 2), RK_OK);
	assert_int_equal(ask(r, subscribe(r, 2, 0), 2), RK_OK);
	assert_int_equal(ask(r, credit(r, 2, 100, 1 << 20), 2), RK_OK);
	while (r->sent < 1)
		assert_null(next_reply(r, 20));
	/* As admit, which has been silent since its last answer. */
	m = message_in_new(&r->peer, NULL, 0, &r->path.load);
	assert_non_null(m);
	assert_true(ring_push(r->path.admit_deliver, m));
	while (atomic_load(&r->path.load.count) != 0)
		assert_null(next_reply(r, 20));
	assert_int_equal(ask(r, post(r, 1), 1), RK_OK);
	assert_null(next_reply(r, 100));
	assert_int_equal(r->sent, 1);
	/* Its place is free again, for itself too. */
	assert_int_equal(ask(r, subscribe(r, 2, 1), 2), RK_OK);
	assert_int_equal(ask(r, credit(r, 2, 100, 1 << 20), 2), RK_OK);
	while (r->sent < 2)
		assert_null(next_reply(r, 20));
	rig_close(r);
}

/* Waits for something in apply's ring, in the order in which front would see it. */
static struct message_out *next_of_apply(struct rig *r)
{
	for (int64_t end = path_monotonic_ms() + WAIT_MS; path_monotonic_ms() < end; pause_a_little()) {
		struct message_out *o = ring_pop(r->path.apply_front);

		if (o != NULL)
			return o;
	}
	fail_msg("apply said nothing");
	return NULL;
}

static void the_cut_comes_before_the_ok_that_tells_of_it(void **state)
{
	struct rig *r = rig_open();
	struct message_out *o;
	struct bytes wire;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(world_post(&r->w, 1, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	rig_start(r);
	for (int org = 0; org <= 2; org++)
		assert_int_equal(ask(r, hello(r, org), (uint8_t)(org + 1)), RK_OK);
	assert_int_equal(ask(r, subscribe(r, 2, 0), 3), RK_OK);
	assert_int_equal(ask(r, credit(r, 2, 1000, 1 << 20), 3), RK_OK);
	while (r->sent < 3)
		assert_null(next_reply(r, 20));
	r->w.orgs[2].status = RK__ORG_STATUS__EXPELLED;
	wire = world_sign(&r->w, OBJECT_KIND_DIRECTORY, &r->w.f.secretariat, &world_directory(&r->w)->base);
	send_from(r, world_put_command(&r->w, 0, 0, RK__OBJECT_TYPE__OBJECT_DIRECTORY, wire), 1);
	o = next_of_apply(r);
	assert_int_equal(o->kind, MESSAGE_CUT);
	assert_memory_equal(o->peer.id, r->w.orgs[2].devices[0].id, 16);
	message_out_free(o);
	o = next_of_apply(r);
	assert_int_equal(o->kind, MESSAGE_REPLY);
	assert_int_equal(read_down(r, o)->reply->code, RK_OK);
	message_out_free(o);
	/* It had credit and its subscription; there is something new; it gets nothing. */
	assert_int_equal(ask(r, post(r, 1), 2), RK_OK);
	assert_null(next_reply(r, 200));
	assert_int_equal(r->sent, 3);
	/* And if it speaks, it is told so, whatever it says. */
	assert_int_equal(ask(r, simple(r, 2, RK__OP__OP_PING), 3), RK_REVOKED);
	assert_int_equal(ask(r, credit(r, 2, 10, 10), 3), RK_REVOKED);
	assert_int_equal(ask(r, hello(r, 2), 3), RK_REVOKED);
	rig_close(r);
}

static void a_draining_broker_takes_no_new_work(void **state)
{
	struct rig *r = rig_open();

	(void)state;
	rig_start(r);
	assert_int_equal(ask(r, hello(r, 1), 1), RK_OK);
	atomic_store(&r->path.draining, true);
	assert_int_equal(ask(r, post(r, 1), 1), RK_MOVING);
	assert_int_equal(ask(r, hello(r, 1), 1), RK_MOVING);
	assert_int_equal(ask(r, simple(r, 1, RK__OP__OP_PING), 1), RK_OK);
	rig_close(r);
}

static void a_stepped_clock_answers_busy_and_consumes_nothing(void **state)
{
	struct rig *r = rig_open();
	struct command *c;

	(void)state;
	rig_start(r);
	assert_int_equal(ask(r, hello(r, 1), 1), RK_OK);
	c = post(r, 1);
	atomic_fetch_add(&r->wall_ms, 10 * SEQUENCE_STEP_MS);
	assert_int_equal(ask(r, c, 1), RK_BUSY);
	atomic_fetch_sub(&r->wall_ms, 10 * SEQUENCE_STEP_MS);
	for (int i = 0; i < 100 && atomic_load(&r->path.clock_off); i++)
		assert_null(next_reply(r, 50));
	assert_int_equal(ask(r, c, 1), RK_OK);
	rig_close(r);
}

/* One member makes the log grow, another asks: each tree it is shown contains the one before, and is signed. */
static void checkpoints_are_consistent_while_the_log_grows(void **state)
{
	struct rig *r = rig_open();
	struct checkpoint last = {.size = 1};
	struct note_key log, witness;
	unsigned disclosed = 0, shown = 0;
	uint8_t nda[32], env_id[32];

	(void)state;
	world_agree(&r->w, 1u << 1 | 1u << 2, nda);
	rig_start(r);
	roster_note_keys(r->path.roster, &log, &witness);
	assert_int_equal(ask(r, hello(r, 1), 1), RK_OK);
	assert_int_equal(ask(r, hello(r, 2), 2), RK_OK);
	for (unsigned i = 0; i < 40; i++) {
		struct command *c = world_disclose_command(&r->w, RK__KIND__NDA, 1, 1u << 2, nda, env_id);

		r->w.orgs[1].devices[0].number++;
		send_from(r, c, 1);
		send_from(r, get_proof(r, 2, shown > 0 ? last.size : 1, 0), 2);
		for (unsigned replies = 0; replies < 2; replies++) {
			const Rk__Reply *reply = next_reply(r, WAIT_MS);
			struct note_opened o;
			Rk__ProofSet *set;

			assert_non_null(reply);
			assert_int_equal(reply->code, RK_OK);
			if (reply->op != RK__OP__OP_GET_PROOF) {
				assert_true(reply->logged);
				disclosed++;
				continue;
			}
			assert_int_equal(note_open(bytes_of(reply->proof->note), &log, &witness, &o), RK_OK);
			assert_int_equal(reply->proof->size, o.checkpoint.size);
			assert_int_equal(STRICT_PARSE(proof_set, r->bulk, r->w.arena, &set), RK_OK);
			if (shown++ > 0)
				assert_int_equal(merkle_check_consistency(last.size, last.root, o.checkpoint.size, o.checkpoint.root,
				                                          (const merkle_hash *)set->consistency.data,
				                                          set->consistency.len / 32), RK_OK);
			last = o.checkpoint;
		}
	}
	assert_int_equal(disclosed, 40);
	assert_int_equal(shown, 40);
	assert_true(last.size > 40);
	/* More than there is, and an index that is not in it. */
	assert_int_equal(ask(r, get_proof(r, 2, last.size + 2, 0), 2), RK_UNKNOWN_OBJECT);
	assert_int_equal(ask(r, get_proof(r, 2, 1, last.size + 2), 2), RK_MALFORMED);
	rig_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checkpoints_are_consistent_while_the_log_grows),
		cmocka_unit_test(a_devices_commands_keep_their_order_through_the_pool),
		cmocka_unit_test(every_entry_comes_once_and_in_order_whatever_the_connection_does),
		cmocka_unit_test(bytes_of_credit_bound_what_is_sent),
		cmocka_unit_test(a_vanished_reader_is_dropped_and_comes_again_with_its_cursor),
		cmocka_unit_test(a_forgotten_session_has_no_reader),
		cmocka_unit_test(the_cut_comes_before_the_ok_that_tells_of_it),
		cmocka_unit_test(a_draining_broker_takes_no_new_work),
		cmocka_unit_test(a_stepped_clock_answers_busy_and_consumes_nothing),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
