/* deliver: pages to those who take bundles, entries one by one to those who do not or have little credit; nothing twice, nothing left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "broker/deliver.h"
#include "proto/bundle.h"
#include "proto/errcode.h"
#include "proto/strict.h"
#include "tests/unit/store_kit.h"

#define LARGE_BODY 100000

struct rig {
	char folder[256];
	struct config config;
	struct path path;
	struct env *env;
	struct deliver *deliver;
	struct arena *arena;
	struct roster_device device;
	struct peer peer;
	uint64_t seq;      /* of the last entry that came */
	unsigned entries;  /* since the last look */
	unsigned messages, bundles;
};

static uint8_t filler[LARGE_BODY];

static int set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	store_kit_folder(r->folder);
	r->env = store_kit_open(r->folder, 0);
	config_defaults(&r->config);
	assert_int_equal(path_init(&r->path, &r->config), RK_OK);
	assert_int_equal(sequence_new(&sequence_system_clock, 0, false, &r->path.sequence), RK_OK);
	r->path.env = r->env;
	r->path.roster = roster_new();
	memset(r->device.device_id, 0xd1, 16);
	r->device.active = true;
	assert_true(roster_put_device(r->path.roster, &r->device));
	memcpy(r->peer.id, r->device.device_id, 16);
	r->peer.routing_id_len = 1;
	r->deliver = deliver_new(&r->path);
	r->arena = arena_new(1 << 20);
	assert_non_null(r->deliver);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;
	struct message_out *o;

	while ((o = ring_pop(r->path.admit_front)) != NULL || (o = ring_pop(r->path.deliver_front)) != NULL)
		message_out_free(o);
	deliver_free(r->deliver);
	env_close(r->env);
	roster_free(r->path.roster);
	sequence_free(r->path.sequence);
	path_clear(&r->path);
	arena_free(r->arena);
	store_kit_remove(r->folder);
	free(r);
	return 0;
}

/* Entries of the channel of offers; a body of 1,000 bytes, unless it is said otherwise. */
static void append(struct rig *r, unsigned count, size_t body)
{
	const struct stream_id offers = stream_channel(RK__CHANNEL__OFFER);
	struct txn *t;

	assert_int_equal(env_begin(r->env, true, &t), RK_OK);
	for (unsigned i = 0; i < count; i++) {
		struct stream_entry e = {.kind = RK__ENTRY_KIND__ENTRY_POST, .time_ms = 1, .object = bytes_make(filler, 300), .body = bytes_make(filler, body)};
		uint64_t position, seq;

		assert_int_equal(stream_append(t, &offers, 1, &e, &position, &seq), RK_OK);
	}
	assert_int_equal(env_commit(t), RK_OK);
}

static void tell(struct rig *r, uint64_t head)
{
	struct deliver_event *e = calloc(1, sizeof(*e));

	*e = (struct deliver_event){.kind = DELIVER_STREAM, .stream = stream_channel(RK__CHANNEL__OFFER), .seq = head};
	ring_push_wait(r->path.apply_deliver, e);
}

static void ask(struct rig *r, Rk__Request *q)
{
	struct message_in *m = message_in_copy(&r->peer, NULL, 0, &r->path.load);
	uint8_t packed[256];

	q->protocol = 1;
	m->command.arena = arena_new(1 << 16);
	assert_int_equal(STRICT_PARSE(request, bytes_make(packed, rk__request__pack(q, packed)), m->command.arena, (Rk__Request **)(uintptr_t)&m->command.req), RK_OK);
	ring_push_wait(r->path.admit_deliver, m);
}

static void subscribe(struct rig *r, uint64_t cursor)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Subscribe s = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = RK__CHANNEL__OFFER;
	s.stream = &id;
	s.cursor = cursor;
	q.op = RK__OP__OP_SUBSCRIBE;
	q.subscribe = &s;
	r->seq = cursor;
	ask(r, &q);
}

static void credit(struct rig *r, uint32_t entries, uint32_t bytes)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Credit c = RK__CREDIT__INIT;

	c.entries = entries;
	c.bytes = bytes;
	q.op = RK__OP__OP_CREDIT;
	q.credit = &c;
	ask(r, &q);
}

static void take_entry(struct rig *r, const struct bytes *frames, unsigned count, uint64_t gap_to)
{
	Rk__Down *down;

	arena_reset(r->arena, 1 << 20);
	assert_int_equal(STRICT_PARSE(down, frames[0], r->arena, &down), RK_OK);
	assert_non_null(down->delivery);
	assert_int_equal(down->delivery->gap_to, gap_to);
	if (gap_to != 0)
		r->seq = gap_to;
	assert_int_equal(down->delivery->seq, ++r->seq);
	assert_int_equal(count, 3);
	assert_true(bytes_equal(frames[1], bytes_make(filler, 300)));
	assert_memory_equal(frames[2].data, filler, frames[2].len);
	r->entries++;
}

static void take_message(struct rig *r, struct message_out *o, uint64_t gap_to)
{
	struct bytes frames[MESSAGE_OUT_FRAMES];
	struct bundle_message m;
	unsigned count;
	size_t at = 0;

	r->messages++;
	for (unsigned i = 0; i < o->frame_count; i++)
		frames[i] = bytes_make(zmq_msg_data(&o->frames[i]), zmq_msg_size(&o->frames[i]));
	if (!bundle_is(frames[0])) {
		take_entry(r, frames, o->frame_count, gap_to);
	} else {
		r->bundles++;
		assert_int_equal(bundle_check(frames[0], &count), RK_OK);
		assert_int_equal(count, o->entries);
		while (bundle_next(frames[0], &at, &m)) {
			take_entry(r, m.frames, m.frame_count, gap_to);
			gap_to = 0;
		}
	}
	assert_int_equal(o->seq, r->seq);
}

/* Turns until nothing moves; what is for front is taken, and given back as sent.  How many entries came. */
static unsigned run(struct rig *r, uint64_t gap_to)
{
	struct message_out *o;
	bool any = true;

	r->entries = r->messages = r->bundles = 0;
	while (any) {
		any = deliver_turn(r->deliver);
		while ((o = ring_pop(r->path.admit_front)) != NULL)
			message_out_free(o);
		while ((o = ring_pop(r->path.deliver_front)) != NULL) {
			if (o->kind == MESSAGE_DELIVERY) {
				take_message(r, o, r->entries == 0 ? gap_to : 0);
				o->result = MESSAGE_SENT;
				ring_push_wait(r->path.front_deliver, o);
			} else {
				message_out_free(o);
			}
			any = true;
		}
	}
	return r->entries;
}

static void a_page_goes_as_a_bundle(void **state)
{
	struct rig *r = *state;

	r->peer.bundles = true;
	append(r, 200, 1000);
	subscribe(r, 0);
	assert_int_equal(run(r, 0), 0); /* no credit */
	credit(r, 1000, 1 << 25);
	assert_int_equal(run(r, 0), 200);
	assert_true(r->bundles == r->messages && r->messages <= 5); /* 1.3 KiB each, 64 KiB a frame */
	append(r, 1, 1000);
	tell(r, 201);
	assert_int_equal(run(r, 0), 1);
	assert_int_equal(r->bundles, 1);
}

static void without_bundles_each_entry_is_a_message(void **state)
{
	struct rig *r = *state;

	append(r, 200, 1000);
	subscribe(r, 0);
	credit(r, 1000, 1 << 25);
	assert_int_equal(run(r, 0), 200);
	assert_true(r->bundles == 0 && r->messages == 200);
}

/* Whatever credit comes, whether the page is there already or not: as many entries as credit, each once. */
static void credit_bounds_entries(void **state)
{
	struct rig *r = *state;
	const unsigned steps[] = {1, 1, 3, 60, 2, 100, 7, 26};

	append(r, 200, 1000);
	for (unsigned pass = 0; pass < 4; pass++) {
		uint64_t seq = r->seq;
		unsigned sent = 0;

		r->peer.bundles = pass % 2 == 0;
		r->peer.routing_id[0] = (uint8_t)pass; /* another session */
		subscribe(r, 0);
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			credit(r, steps[i], 1 << 25);
			assert_int_equal(run(r, 0), steps[i]);
			sent += steps[i];
		}
		assert_int_equal(sent, 200);
		assert_int_equal(run(r, 0), 0);
		assert_true(pass == 0 || r->seq == seq);
	}
}

/* One entry, or one message of them, may overdraw the bytes. */
static void credit_bounds_bytes(void **state)
{
	struct rig *r = *state;

	append(r, 200, 1000);
	r->peer.bundles = true;
	subscribe(r, 0);
	credit(r, 1000, 1);
	assert_true(run(r, 0) > 0 && r->messages == 1);
	assert_int_equal(run(r, 0), 0);
	r->peer.bundles = false;
	r->peer.routing_id[0] = 9;
	subscribe(r, 0);
	credit(r, 1000, 1);
	assert_int_equal(run(r, 0), 1);
}

static void a_large_entry_stands_alone_in_its_place(void **state)
{
	struct rig *r = *state;

	append(r, 3, 1000);
	append(r, 1, LARGE_BODY);
	append(r, 1, LARGE_BODY);
	append(r, 3, 1000);
	r->peer.bundles = true;
	subscribe(r, 0);
	credit(r, 1000, 1 << 25);
	assert_int_equal(run(r, 0), 8);
	assert_true(r->messages == 4 && r->bundles == 2);
}

static void a_gap_by_retention_is_told_by_the_first_entry_after_it(void **state)
{
	struct rig *r = *state;
	const struct stream_id offers = stream_channel(RK__CHANNEL__OFFER);
	struct txn *t;

	append(r, 100, 1000);
	assert_int_equal(env_begin(r->env, true, &t), RK_OK);
	assert_int_equal(stream_trim(t, &offers, 30, 1000), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	for (unsigned pass = 0; pass < 2; pass++) {
		r->peer.bundles = pass == 0;
		r->peer.routing_id[0] = (uint8_t)pass;
		subscribe(r, 5);
		credit(r, 1000, 1 << 25);
		assert_int_equal(run(r, 30), 70);
	}
}

/* What did not go is sent again from its place, in the same order, and credit is as before. */
static void a_full_connection_takes_it_up_again(void **state)
{
	struct rig *r = *state;
	struct message_out *o;

	append(r, 200, 1000);
	r->peer.bundles = true;
	subscribe(r, 0);
	credit(r, 200, 1 << 25);
	assert_true(deliver_turn(r->deliver));
	while ((o = ring_pop(r->path.deliver_front)) != NULL) {
		if (o->kind != MESSAGE_DELIVERY) {
			message_out_free(o);
			continue;
		}
		o->result = MESSAGE_AGAIN;
		for (unsigned i = 0; i < o->frame_count; i++)
			zmq_msg_close(&o->frames[i]);
		o->frame_count = 0;
		ring_push_wait(r->path.front_deliver, o);
	}
	assert_true(deliver_turn(r->deliver));
	for (int i = 0; i < 100 && run(r, 0) == 0; i++) {
		const struct timespec t = {.tv_nsec = 10000000};

		nanosleep(&t, NULL);
	}
	assert_int_equal(r->entries, 200);
	append(r, 1, 1000);
	tell(r, 201);
	assert_int_equal(run(r, 0), 0);
}

/* A page that came with the batch is sent as it came: the store has nothing there. */
static void a_page_of_the_batch_needs_no_store(void **state)
{
	struct rig *r = *state;
	const struct stream_id offers = stream_channel(RK__CHANNEL__OFFER);
	struct stream_entry entry = {.kind = RK__ENTRY_KIND__ENTRY_POST, .object = bytes_make(filler, 300), .body = bytes_make(filler, 500)};
	struct deliver_event *e = calloc(1, sizeof(*e));
	struct page_builder b = {0};

	r->peer.bundles = true;
	subscribe(r, 0);
	credit(r, 10, 1 << 20);
	assert_int_equal(run(r, 0), 0);
	e->kind = DELIVER_PAGE;
	e->stream = offers;
	for (uint64_t seq = 1; seq <= 2; seq++)
		assert_int_equal(page_add(&b, &offers, seq - 1, seq, &entry, NULL), RK_OK);
	assert_int_equal(page_finish(&b, &e->page), RK_OK);
	atomic_store(&r->path.live_bytes, deliver_event_bytes(e));
	ring_push_wait(r->path.apply_deliver, e);
	tell(r, 2);
	assert_int_equal(run(r, 0), 2);
	assert_int_equal(atomic_load(&r->path.live_bytes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(a_page_goes_as_a_bundle),
		TEST(without_bundles_each_entry_is_a_message),
		TEST(credit_bounds_entries),
		TEST(credit_bounds_bytes),
		TEST(a_large_entry_stands_alone_in_its_place),
		TEST(a_gap_by_retention_is_told_by_the_first_entry_after_it),
		TEST(a_full_connection_takes_it_up_again),
		TEST(a_page_of_the_batch_needs_no_store),
	};

	memset(filler, 7, sizeof(filler));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
