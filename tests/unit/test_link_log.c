/* link_log: the questions about the log over a real connection, to a broker of a few lines that answers truly, lies, refuses or is silent. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>
#include <zmq.h>

#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/home_kit.h"
#include "tests/unit/log_kit.h"
#include "tests/unit/played.h"

#define RUN_MS 20000
#define OPS_MAX 64

enum trick {
	HONEST, FORK, SAME_SIZE, ROLLBACK, DENIES, NO_PROOF, OTHER_LEAF, BAD_SIGNATURE, GARBAGE, HUGE_SET, UNSUPPORTED, NO_ANSWER_FRAME, SILENT,
	LATE, READ_ONLY, UNSUPPORTED_BETWEEN,
};

struct rogue {
	enum trick trick;
	struct home *h;
	struct log_kit log, other;
	unsigned shown;              /* LATE: how often the newest was asked for */
	unsigned ends;               /* sessions that it ends by the next question but that for the newest */
	void *context, *sock;
	pthread_t thread;
	char endpoint[128];
	struct fixed_box key;
	struct arena *a;
	uint8_t peer[256];
	int peer_len;
	bool delivered;
	atomic_bool stop;
	/* What it was asked, in order; and what came with HELLO and PUT_CHECKPOINT. */
	Rk__Op ops[OPS_MAX];
	atomic_uint op_count;
	uint64_t seen_size;
	uint8_t put[1024];
	size_t put_len;
};

static void send_down(struct rogue *g, Rk__Down *down, struct bytes frame)
{
	uint8_t packed[4096];

	down->protocol = 1;
	zmq_send(g->sock, g->peer, (size_t)g->peer_len, ZMQ_SNDMORE);
	zmq_send(g->sock, packed, rk__down__pack(down, packed), frame.data != NULL ? ZMQ_SNDMORE : 0);
	if (frame.data != NULL)
		zmq_send(g->sock, frame.data, frame.len, 0);
}

static void reply(struct rogue *g, const Rk__Request *q, Rk__Reply *r, struct bytes frame)
{
	Rk__Down down = RK__DOWN__INIT;

	r->op = q->op;
	r->tag = q->tag;
	r->number = q->number;
	r->time_ms = home_now_ms;
	down.reply = r;
	send_down(g, &down, frame);
}

/* One entry of the mailbox that is said to be logged; its leaf is the last of the log. */
static void deliver(struct rogue *g)
{
	Rk__Down down = RK__DOWN__INIT;
	Rk__Delivery d = RK__DELIVERY__INIT;
	Rk__StreamId stream = RK__STREAM_ID__INIT;

	stream.type = RK__STREAM_TYPE__STREAM_MAILBOX;
	stream.org_id = pb_of(BYTES_OF(g->h->org_id));
	d.stream = &stream;
	d.seq = 1;
	d.kind = RK__ENTRY_KIND__ENTRY_NDA_TERMS;
	d.time_ms = home_now_ms - (g->trick == OTHER_LEAF);
	d.logged = true;
	d.log_index = g->log.edge.size - 1;
	down.delivery = &d;
	send_down(g, &down, bytes_str("terms"));
}

static void bend(struct rogue *g, const Rk__GetProof *get, struct log_kit_answer *a)
{
	uint8_t *last = a->reply.note.len > 10 ? &a->reply.note.data[a->reply.note.len - 10] : NULL;

	switch (g->trick) {
	case ROLLBACK:
		if (get->size == 0)
			log_kit_answer(&g->log, 10, 0, NULL, 0, g->a, a);
		a->reply.note = pb_of(log_kit_note(&g->log, a->reply.size, 0, g->a));
		break;
	case DENIES:
		a->code = RK_UNKNOWN_OBJECT;
		break;
	case NO_PROOF:
		if (get->n_indexes > 0)
			a->set.inclusion[0].len = 0;
		break;
	case BAD_SIGNATURE:
		if (last != NULL)
			*last = *last == 'A' ? 'B' : 'A';
		break;
	case UNSUPPORTED:
		a->code = RK_UNSUPPORTED;
		break;
	case UNSUPPORTED_BETWEEN:
		a->code = get->size != 0 ? RK_UNSUPPORTED : a->code;
		break;
	default:
		break;
	}
}

static void answer_proof(struct rogue *g, const Rk__Request *q, Rk__Reply *r)
{
	const Rk__GetProof *get = q->get_proof;
	struct log_kit *log = g->trick == FORK || g->trick == SAME_SIZE ? &g->other : &g->log;
	/* LATE: its signature comes a little after what it delivers. */
	bool late = g->trick == LATE && get->size == 0 && g->shown++ == 0;
	struct log_kit_answer *a = calloc(1, sizeof(*a));
	static const uint8_t huge[900 * 1024];
	struct bytes set;

	if (get->size != 0 && g->ends > 0) {
		g->ends--;
		r->code = RK_GENERATION;
		reply(g, q, r, (struct bytes){0});
		free(a);
		return;
	}
	log_kit_answer(log, late ? 25 : get->size, get->from_size, get->indexes, get->n_indexes, g->a, a);
	if (late)
		a->reply.note = pb_of(log_kit_note(log, 25, 0, g->a));
	bend(g, get, a);
	r->code = (uint32_t)a->code;
	r->proof = a->code == RK_OK ? &a->reply : NULL;
	set = g->trick == GARBAGE ? bytes_str("\xff\xff\xff") : g->trick == HUGE_SET ? BYTES_OF(huge) : log_kit_pack(a, g->a);
	reply(g, q, r, a->code == RK_OK && g->trick != NO_ANSWER_FRAME ? set : (struct bytes){0});
	free(a);
}

static void answer(struct rogue *g, const Rk__Request *q, struct bytes object)
{
	static const uint8_t generation[16] = {7};
	Rk__Reply r = RK__REPLY__INIT;
	Rk__HelloReply hello = RK__HELLO_REPLY__INIT;
	Rk__SubscribeReply sub = RK__SUBSCRIBE_REPLY__INIT;
	char origin[NOTE_NAME_CHARS];
	struct checkpoint seen;

	if (g->op_count < OPS_MAX)
		g->ops[g->op_count++] = q->op;
	switch (q->op) {
	case RK__OP__OP_HELLO:
		if (note_read(bytes_of(q->hello->seen_checkpoint), &seen) == RK_OK)
			g->seen_size = seen.size;
		note_origin(origin, g->h->f.exchange_id, 1);
		hello.protocol_min = hello.protocol_max = 1;
		hello.exchange_id = pb_of(BYTES_OF(g->h->f.exchange_id));
		hello.generation = pb_of(BYTES_OF(generation));
		hello.log_origin = origin;
		hello.rate_per_s = hello.burst = 1000;
		hello.log_size = g->log.edge.size;
		hello.read_only = g->trick == READ_ONLY;
		r.hello = &hello;
		break;
	case RK__OP__OP_SUBSCRIBE:
		sub.stream = q->subscribe->stream;
		sub.first_seq = 1;
		sub.head_seq = g->delivered && sub.stream->type == RK__STREAM_TYPE__STREAM_MAILBOX;
		r.subscribe = &sub;
		break;
	case RK__OP__OP_GET_PROOF:
		if (g->trick != SILENT)
			answer_proof(g, q, &r);
		return;
	case RK__OP__OP_PUT_CHECKPOINT:
		g->put_len = object.len < sizeof(g->put) ? object.len : 0;
		memcpy(g->put, object.data, g->put_len);
		break;
	default:
		break;
	}
	reply(g, q, &r, (struct bytes){0});
	if (q->op == RK__OP__OP_SUBSCRIBE && sub.head_seq == 1 && q->subscribe->cursor == 0)
		deliver(g);
}

static void *play(void *user)
{
	struct rogue *g = user;
	struct played p = {0};

	while (!g->stop) {
		struct bytes header, last;
		Rk__Request *q;

		if (!played_next(&p, g->sock, 20, g->peer, sizeof(g->peer), &g->peer_len, &header, &last))
			continue;
		if ((q = rk__request__unpack(NULL, header.len, header.data)) != NULL)
			answer(g, q, last);
		rk__request__free_unpacked(q, NULL);
	}
	played_free(&p);
	return NULL;
}

static void set_up(struct rogue *g, struct home *h)
{
	home_open(h);
	memset(g, 0, sizeof(*g));
	g->h = h;
	fixed_box_key(&g->key, "rogue broker");
	log_kit_init(&g->log, &h->f, 1);
	log_kit_fill(&g->log, 5, 1);
	g->other = g->log;
	log_kit_fill(&g->log, 20, 2);
	log_kit_fill(&g->other, 20, 3);
	assert_non_null(g->a = arena_new((size_t)64 << 20));
}

static void tear_down(struct rogue *g)
{
	home_close(g->h);
	arena_free(g->a);
}

/* One connection of the home to the broker, until it says that it is up to date. */
static int run(struct rogue *g, enum trick trick, uint64_t until_item)
{
	struct link_options o = {.timeout_ms = RUN_MS, .until_synced = until_item == 0, .until_item = until_item};
	size_t len = sizeof(g->endpoint);
	int yes = 1, none = 0, r;
	struct txn *t;

	g->trick = trick;
	g->op_count = 0;
	g->stop = false;
	g->context = zmq_ctx_new();
	g->sock = zmq_socket(g->context, ZMQ_ROUTER);
	zmq_setsockopt(g->sock, ZMQ_CURVE_SERVER, &yes, sizeof(yes));
	zmq_setsockopt(g->sock, ZMQ_CURVE_SECRETKEY, g->key.sk, 32);
	zmq_setsockopt(g->sock, ZMQ_LINGER, &none, sizeof(none));
	assert_int_equal(zmq_bind(g->sock, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(g->sock, ZMQ_LAST_ENDPOINT, g->endpoint, &len), 0);
	assert_int_equal(env_begin(client_env(g->h->client), true, &t), RK_OK);
	meta_put(t, META_ENDPOINT, bytes_str(g->endpoint));
	meta_put(t, META_BROKER_PK, BYTES_OF(g->key.pk));
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(pthread_create(&g->thread, NULL, play, g), 0);
	r = link_run(g->h->client, &o);
	g->stop = true;
	pthread_join(g->thread, NULL);
	zmq_close(g->sock);
	zmq_ctx_term(g->context);
	return r;
}

/* The log grows by one leaf, which the mailbox tells of. */
static void grow(struct rogue *g)
{
	uint8_t oh[32];

	ids_nda(oh, g->h->f.exchange_id, bytes_str("terms"));
	log_kit_add(&g->log, RK__LOG_TYPE__LOG_NDA_TERMS, home_now_ms, oh);
	log_kit_add(&g->other, RK__LOG_TYPE__LOG_NDA_TERMS, home_now_ms, oh);
	g->delivered = true;
}

struct known {
	uint64_t size, unproven;
	enum log_fault fault;
};

static struct known known(struct home *h)
{
	struct known k = {0};
	struct log_head head;
	struct log_fork fork;
	struct txn *t;

	assert_int_equal(env_begin(client_env(h->client), false, &t), RK_OK);
	if (log_newest(h->client, t, h->a, &head) == RK_OK)
		k.size = head.checkpoint.size;
	if (log_fork(h->client, t, h->a, &fork) == RK_OK)
		k.fault = fork.fault;
	k.unproven = log_unproven(t);
	env_abort(t);
	return k;
}

static void each_lie_is_found_out(void **state)
{
	static const struct {
		const char *name;
		enum trick trick;
		bool grows;
		enum log_fault fault;
		uint64_t size, unproven;
	} rows[] = {
		{"honest", HONEST, true, LOG_FAULT_NONE, 26, 0},
		{"honest, signed a little late", LATE, true, LOG_FAULT_NONE, 26, 0},
		{"fork", FORK, true, LOG_FAULT_FORK, 25, 1},
		{"two trees of one size", SAME_SIZE, false, LOG_FAULT_FORK, 25, 0},
		{"rollback", ROLLBACK, false, LOG_FAULT_ROLLBACK, 25, 0},
		{"denies what it signed", DENIES, false, LOG_FAULT_ROLLBACK, 25, 0},
		{"leaf left out", NO_PROOF, true, LOG_FAULT_LEAF, 26, 0},
		{"another leaf than told", OTHER_LEAF, true, LOG_FAULT_LEAF, 26, 0},
		{"bad signature", BAD_SIGNATURE, true, LOG_FAULT_NONE, 25, 1},
		{"garbage", GARBAGE, true, LOG_FAULT_NONE, 25, 1},
		{"huge", HUGE_SET, true, LOG_FAULT_NONE, 25, 1},
		{"a larger one without a proof", NO_ANSWER_FRAME, true, LOG_FAULT_FORK, 25, 1},
		{"an older version", UNSUPPORTED, true, LOG_FAULT_NONE, 25, 1},
		{"no answer", SILENT, true, LOG_FAULT_NONE, 25, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rogue g;
		struct home h;
		struct known k;
		int r;

		set_up(&g, &h);
		assert_int_equal(run(&g, HONEST, 0), RK_OK);
		assert_int_equal(known(&h).size, 25);
		assert_int_equal(g.seen_size, 0);
		if (rows[i].grows)
			grow(&g);
		r = run(&g, rows[i].trick, 0);
		k = known(&h);
		/* Whatever it does, the rest of the sync is done. */
		if (r != RK_OK || k.fault != rows[i].fault || k.size != rows[i].size || k.unproven != rows[i].unproven)
			fail_msg("%s: %d, fault %d, size %d, unproven %d", rows[i].name, r, k.fault, (int)k.size, (int)k.unproven);
		assert_int_equal(g.seen_size, 25); /* HELLO tells what we have verified */
		tear_down(&g);
	}
}

/* A broker from before the tree, and a home that has never seen a checkpoint. */
static void an_older_broker(void **state)
{
	struct rogue g;
	struct home h;

	(void)state;
	set_up(&g, &h);
	grow(&g);
	assert_int_equal(run(&g, UNSUPPORTED, 0), RK_OK);
	assert_true(known(&h).size == 0 && known(&h).fault == LOG_FAULT_NONE);
	assert_int_equal(known(&h).unproven, 1);
	assert_int_equal(run(&g, HONEST, 0), RK_OK); /* upgraded: what was told before is proven now */
	assert_true(known(&h).size == 26 && known(&h).unproven == 0);
	tear_down(&g);
}

static unsigned first_op(const struct rogue *g, Rk__Op op)
{
	unsigned i = 0;

	while (i < g->op_count && g->ops[i] != op)
		i++;
	return i;
}

/* A home with the Charter's witness key. */
static void make_witness(struct home *h)
{
	struct key_new cheap = {.mem_mib = 64, .ops = 2};
	char name[NOTE_NAME_CHARS], vkey[NOTE_VKEY_CHARS];
	Rk__Charter *c = fixed_charter(&h->f, h->a);
	uint8_t key[25] = {RK__OBJECT_TYPE__OBJECT_CHARTER}, *value;
	struct bytes wire;
	struct txn *t;

	assert_int_equal(keys_create(h->client, KEY_WITNESS, &cheap), RK_OK);
	keys_sign_pk(h->client, KEY_WITNESS, h->f.witness.pk);
	memcpy(h->f.witness.sk, keys_sign_sk(h->client, KEY_WITNESS), 64);
	note_witness_name(name, h->f.exchange_id);
	assert_int_equal(note_vkey(vkey, name, NOTE_TYPE_WITNESS, h->f.witness.pk), RK_OK);
	c->witness_vkey = vkey;
	assert_int_equal(object_make(OBJECT_KIND_CHARTER, h->f.exchange_id, h->f.root.sk, &c->base, h->a, &wire), RK_OK);
	/* In the place of the kit's own: type || no id || serial 1. */
	key[24] = 1;
	assert_int_equal(env_begin(client_env(h->client), true, &t), RK_OK);
	assert_int_equal(env_reserve(t, C_OBJECT, BYTES_OF(key), 32 + wire.len, ENV_PUT, &value), RK_OK);
	memset(value, 1, 32);
	memcpy(value + 32, wire.data, wire.len);
	assert_int_equal(env_commit(t), RK_OK);
}

/* The cosigned checkpoint goes out as a request of its own, and not before the newest one was compared with ours. */
static void the_cosigned_checkpoint_goes_out(void **state)
{
	struct note_key log = {.type = NOTE_TYPE_LOG}, witness = {.type = NOTE_TYPE_WITNESS};
	struct note_opened o;
	struct rogue g;
	struct home h;
	bool queued;

	(void)state;
	set_up(&g, &h);
	make_witness(&h);
	assert_int_equal(run(&g, HONEST, 0), RK_OK);
	assert_int_equal(log_cosign(h.client, &queued), RK_OK);
	assert_true(queued);
	assert_int_equal(run(&g, HONEST, 0), RK_OK);
	assert_true(first_op(&g, RK__OP__OP_GET_PROOF) < first_op(&g, RK__OP__OP_PUT_CHECKPOINT));
	note_origin(log.name, h.f.exchange_id, 1);
	memcpy(log.pk, h.f.log.pk, 32);
	note_witness_name(witness.name, h.f.exchange_id);
	memcpy(witness.pk, h.f.witness.pk, 32);
	assert_int_equal(note_open(bytes_make(g.put, g.put_len), &log, &witness, &o), RK_OK);
	assert_true(o.is_cosigned && o.checkpoint.size == 25);
	assert_int_equal(o.witness_s, home_now_ms / 1000);
	tear_down(&g);
}

/* Items wait; people are told once; a verb that waits for its item is told why. */
static void a_read_only_broker(void **state)
{
	unsigned queued, sent;
	struct outcome outcome;
	struct rogue g;
	struct home h;
	struct txn *t;
	uint64_t item;
	bool any;

	(void)state;
	set_up(&g, &h);
	make_witness(&h);
	assert_int_equal(run(&g, HONEST, 0), RK_OK);
	assert_int_equal(log_cosign(h.client, &any), RK_OK);
	assert_int_equal(run(&g, READ_ONLY, 0), RK_OK);
	assert_int_equal(run(&g, READ_ONLY, 0), RK_OK);
	assert_int_equal(first_op(&g, RK__OP__OP_PUT_CHECKPOINT), g.op_count);
	assert_int_equal(home_count(&h, "read-only"), 1);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 1);
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(outbox_count(t, &queued, &sent), RK_OK);
	assert_int_equal(queued + sent, 1);
	item = meta_u64(t, META_NEXT_ID) - 1; /* the inbox's alert came after it */
	assert_int_equal(outbox_outcome(t, item, &outcome), RK_BUSY);
	env_abort(t);
	assert_int_equal(run(&g, READ_ONLY, item), RK_READ_ONLY);
	assert_int_equal(run(&g, HONEST, 0), RK_OK);
	assert_true(first_op(&g, RK__OP__OP_PUT_CHECKPOINT) < g.op_count);
	tear_down(&g);
}

/* Each session ends with the question about what a peer saw: counted in each process, until it is told; and the proof that comes then ends it. */
static void sessions_that_end_by_the_question_are_counted(void **state)
{
	struct log_fork fork;
	struct rogue g;
	struct home h;
	struct txn *t;

	(void)state;
	set_up(&g, &h);
	assert_int_equal(run(&g, HONEST, 0), RK_OK);
	log_kit_fill(&g.log, 5, 4);
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(log_on_seen(h.client, t, log_kit_note(&g.log, 20, 0, h.a), home_org(&h, 1)), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(known(&h).fault, LOG_FAULT_NONE);
		g.ends = 1;
		assert_int_equal(run(&g, i < 2 ? UNSUPPORTED_BETWEEN : HONEST, 0), RK_OK);
		assert_int_equal(g.ends, 0);
		home_now_ms += LOG_PROVE_WITHIN_MS / 2 - 1 + 2 * (i == 1);
	}
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(log_fork_at(h.client, t, 1, h.a, &fork), RK_OK);
	env_abort(t);
	assert_int_equal(fork.fault, LOG_FAULT_UNPROVEN);
	assert_false(fork.stands);
	assert_int_equal(known(&h).fault, LOG_FAULT_NONE);
	tear_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_lie_is_found_out),
		cmocka_unit_test(an_older_broker),
		cmocka_unit_test(the_cosigned_checkpoint_goes_out),
		cmocka_unit_test(a_read_only_broker),
		cmocka_unit_test(sessions_that_end_by_the_question_are_counted),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
