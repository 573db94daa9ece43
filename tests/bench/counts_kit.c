#include "tests/bench/counts_kit.h"

#include <sodium.h>
#include <stdlib.h>
#include <zmq.h>

#include "broker/page_load.h"
#include "broker/request.h"
#include "broker/sequence.h"
#include "broker/signer.h"
#include "broker/socket.h"
#include "proto/bundle.h"
#include "proto/strict.h"

#define WAIT_MS 60000     /* for what comes over loopback, on the slowest machine */
#define FRAMES_MAX 8
#define need world_need

static const struct bytes nothing = {NULL, 0};

/* ---- what a program takes, and what a library chooses */

__thread uint64_t *rig_allocations;

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static void note_allocation(void)
{
	if (rig_allocations != NULL)
		(*rig_allocations)++;
}

/* Of the program, so the libraries' too. */
void *malloc(size_t len)
{
	note_allocation();
	return __libc_malloc(len);
}

void *calloc(size_t n, size_t len)
{
	note_allocation();
	return __libc_calloc(n, len);
}

void *realloc(void *p, size_t len)
{
	note_allocation();
	return __libc_realloc(p, len);
}

/* libsodium asks these before it chooses; with them it is the same code on every x86-64.  (glibc is told by GLIBC_TUNABLES: counts.py.) */
int sodium_runtime_has_ssse3(void) { return 0; }
int sodium_runtime_has_sse41(void) { return 0; }
int sodium_runtime_has_avx(void) { return 0; }
int sodium_runtime_has_avx2(void) { return 0; }
int sodium_runtime_has_avx512f(void) { return 0; }

/* ---- the clock */

static _Atomic int64_t clock_ms = 1000000;

int64_t __real_path_monotonic_ms(void), __wrap_path_monotonic_ms(void);

/* The reading is done, since it costs. */
int64_t __wrap_path_monotonic_ms(void)
{
	(void)__real_path_monotonic_ms();
	return atomic_load(&clock_ms);
}

void rig_later(int64_t ms)
{
	atomic_fetch_add(&clock_ms, ms);
}

/* ---- opening */

static int64_t fixed_wall(void *user)
{
	return ((struct rig *)user)->w.now_ms;
}

static int64_t fixed_boot(void *user)
{
	(void)user;
	return 0;
}

/* As it comes, but for the limits of one device, which are meant for people. */
static void configure(struct config *c)
{
	config_defaults(c);
	c->burst = c->rate_per_s = 100000;
	c->byte_burst = c->bytes_per_s = (int64_t)4 << 30;
	c->verify_threads = 1;
}

static void open_path(struct rig *r)
{
	const struct sequence_clock clock = {fixed_wall, fixed_boot, r};
	struct path *p = &r->path;
	struct checkpoint head;

	need(path_init(p, &r->config) == RK_OK);
	p->roster = r->w.roster;
	p->env = r->w.env;
	p->apply = r->w.apply;
	need(sequence_new(&clock, 0, false, &p->sequence) == RK_OK);
	need(roster_exchange(p->roster, p->exchange_id) && apply_generation(p->apply, p->generation));
	need((p->signer = signer_new(r->w.f.log.sk)) != NULL);
	apply_head(p->apply, &head);
	signer_commit(p->signer, &head);
}

static void open_sockets(struct rig *r, char endpoint[SOCKET_ENDPOINT_CHARS])
{
	const char *failed;

	need((r->path.zmq = socket_context()) != NULL);
	r->zap = (struct zap){&r->path, socket_zap(r->path.zmq)};
	need(r->zap.socket != NULL);
	r->router = socket_router(r->path.zmq, &r->config, r->w.f.broker.sk, "tcp://127.0.0.1:*", endpoint, &failed);
	need(r->router != NULL);
	need(pthread_create(&r->zap_thread, NULL, zap_run, &r->zap) == 0);
}

static void *connect_to(struct rig *r, const char *endpoint, const struct fixed_box *key)
{
	const int zero = 0;
	void *s = zmq_socket(r->client_context, ZMQ_DEALER);

	need(s != NULL && zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof(zero)) == 0 && zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof(zero)) == 0 &&
	     zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, r->w.f.broker.pk, 32) == 0 && zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, key->pk, 32) == 0 &&
	     zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, key->sk, 32) == 0);
	need(zmq_connect(s, endpoint) == 0);
	return s;
}

/* The store of a world has no journal before it is opened again. */
static void save_each(struct rig *r)
{
	r->config.batch_commands = 1;
	r->w.journal_bytes = (uint64_t)r->config.journal_bytes;
	world_restart(&r->w);
}

struct rig *rig_open(bool saves)
{
	struct rig *r = calloc(1, sizeof(*r));
	char endpoint[SOCKET_ENDPOINT_CHARS];

	need(r != NULL);
	configure(&r->config);
	world_open(&r->w);
	for (int org = 1; org < WORLD_ORGS; org++)
		world_admit(&r->w, org);
	if (saves)
		save_each(r);
	open_path(r);
	open_sockets(r, endpoint);
	r->net = (struct net){&r->path, front_new(&r->path, r->router), admit_new(&r->path), deliver_new(&r->path)};
	need((r->pages_arena = arena_new(0)) != NULL);
	r->applier = applier_new(&r->path);
	r->verify = (struct verify_thread){&r->path, verify_new(r->path.roster, r->path.exchange_id), 0};
	need(r->net.front != NULL && r->net.admit != NULL && r->net.deliver != NULL && r->applier != NULL && r->verify.verify != NULL);
	need((r->client_context = zmq_ctx_new()) != NULL);
	for (int org = 1; org < WORLD_ORGS; org++)
		r->clients[org] = connect_to(r, endpoint, &r->w.orgs[org].devices[0].curve);
	return r;
}

void rig_close(struct rig *r)
{
	struct path *p = &r->path;

	for (int org = 1; org < WORLD_ORGS; org++)
		zmq_close(r->clients[org]);
	zmq_ctx_term(r->client_context);
	need(atomic_load(&p->load.count) == 0 && atomic_load(&p->failure) == 0);
	atomic_store(&p->closing, true);
	front_finish(r->net.front);
	pthread_join(r->zap_thread, NULL);
	zmq_ctx_term(p->zmq);
	front_free(r->net.front);
	admit_free(r->net.admit);
	deliver_free(r->net.deliver);
	applier_free(r->applier);
	arena_free(r->pages_arena);
	verify_free(r->verify.verify);
	signer_free(p->signer);
	sequence_free(p->sequence);
	path_clear(p);
	world_close(&r->w);
	free(r);
}

/* ---- steps */

/* As at a stop: their threads end when their ring is empty. */
void rig_verify(struct rig *r)
{
	atomic_store(&r->path.stopping, true);
	(void)verify_run(&r->verify);
	atomic_store(&r->path.stopping, false);
}

void rig_apply(struct rig *r)
{
	atomic_store(&r->path.stopping, true);
	(void)applier_run(r->applier);
	atomic_store(&r->path.stopping, false);
}

/* With what the thread of pages does for it. */
void rig_deliver(struct rig *r)
{
	do
		(void)deliver_turn(r->net.deliver);
	while (page_load_turn(&r->path, r->pages_arena));
}

static void all_steps(struct rig *r)
{
	for (int i = 0; i < 2; i++) {
		(void)front_turn(r->net.front);
		(void)admit_turn(r->net.admit);
		rig_verify(r);
		(void)admit_turn(r->net.admit);
		rig_apply(r);
		rig_deliver(r);
	}
	(void)front_turn(r->net.front);
	rig_deliver(r);
}

/* ---- the other ends */

static void wait_for(void *socket)
{
	zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};

	need(zmq_poll(&item, 1, WAIT_MS) == 1);
}

void rig_send_all(struct rig *r, int org, struct command *const *commands, unsigned n)
{
	struct bundle b = {0};

	for (unsigned i = 0; i < n; i++)
		need(bundle_add(&b, commands[i]->frames, commands[i]->frame_count) == RK_OK);
	need(zmq_send(r->clients[org], b.data, b.len, 0) >= 0);
	bundle_clear(&b);
	wait_for(r->router);
}

void rig_send(struct rig *r, int org, const struct command *c)
{
	for (unsigned i = 0; i < c->frame_count; i++)
		need(zmq_send(r->clients[org], c->frames[i].data, c->frames[i].len, i + 1 < c->frame_count ? ZMQ_SNDMORE : 0) >= 0);
	wait_for(r->router);
}

/* A header frame; true if it is a delivery's. */
static bool read_header(struct bytes header)
{
	struct arena *arena = arena_new(arena_budget(header.len));
	Rk__Down *down = NULL;
	bool is_delivery;

	need(arena != NULL && STRICT_PARSE(down, header, arena, &down) == RK_OK);
	need(down->delivery != NULL || down->reply != NULL);
	is_delivery = down->delivery != NULL;
	if (!is_delivery && down->reply->code != RK_OK)
		fprintf(stderr, "counts: a reply says %s\n", errcode_name((int)down->reply->code));
	need(is_delivery || down->reply->code == RK_OK);
	arena_free(arena);
	return is_delivery;
}

/* The first frame of a message: a header or a bundle.  How many messages it holds; of them deliveries are counted. */
static unsigned read_first(struct bytes frame, unsigned *deliveries)
{
	struct bundle_message m;
	unsigned count;
	size_t at = 0;

	if (!bundle_is(frame)) {
		*deliveries += read_header(frame);
		return 1;
	}
	need(bundle_check(frame, &count) == RK_OK);
	while (bundle_next(frame, &at, &m))
		*deliveries += read_header(m.frames[0]);
	return count;
}

unsigned rig_receive(struct rig *r, int org, unsigned n)
{
	unsigned deliveries = 0, got = 0;

	while (got < n) {
		bool more = true;

		wait_for(r->clients[org]);
		for (unsigned k = 0; more; k++) {
			zmq_msg_t frame;

			zmq_msg_init(&frame);
			need(k < FRAMES_MAX && zmq_msg_recv(&frame, r->clients[org], 0) >= 0);
			if (k == 0)
				got += read_first(bytes_make(zmq_msg_data(&frame), zmq_msg_size(&frame)), &deliveries);
			more = zmq_msg_more(&frame);
			zmq_msg_close(&frame);
		}
	}
	need(got == n);
	return deliveries;
}

static void ask(struct rig *r, int org, Rk__Request *q)
{
	rig_send(r, org, world_command(&r->w, org, 0, q, nothing, nothing, nothing));
	all_steps(r);
	need(rig_receive(r, org, 1) == 0);
}

void rig_connect(struct rig *r, int org)
{
	Rk__Request *q = world_request(&r->w, org, 0, RK__OP__OP_HELLO);
	Rk__Hello *h = fixed_alloc(r->w.arena, sizeof(*h));

	rk__hello__init(h);
	h->protocol_min = h->protocol_max = 1;
	h->bundles = true;
	q->hello = h;
	ask(r, org, q);
}

void rig_subscribe(struct rig *r, int org, struct stream_id stream)
{
	Rk__Request *q = world_request(&r->w, org, 0, RK__OP__OP_SUBSCRIBE);
	Rk__Subscribe *s = fixed_alloc(r->w.arena, sizeof(*s));
	Rk__StreamId *id = fixed_alloc(r->w.arena, sizeof(*id));
	Rk__Credit *c = fixed_alloc(r->w.arena, sizeof(*c));
	struct stream_id *kept = fixed_alloc(r->w.arena, sizeof(*kept));

	*kept = stream;
	rk__subscribe__init(s);
	rk__stream_id__init(id);
	rk__credit__init(c);
	stream_to_wire(kept, id);
	s->stream = id;
	s->cursor = world_head(&r->w, stream);
	q->subscribe = s;
	ask(r, org, q);
	q = world_request(&r->w, org, 0, RK__OP__OP_CREDIT);
	c->entries = 4096;
	c->bytes = 64u << 20;
	q->credit = c;
	ask(r, org, q);
}
