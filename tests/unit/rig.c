#include "tests/unit/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/page_load.h"
#include "proto/bundle.h"
#include "proto/errcode.h"
#include "proto/strict.h"
#include "tests/unit/store_kit.h"

uint8_t rig_filler[RIG_LARGE_BODY];

int rig_set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	uint8_t log_sk[64] = {1};

	memset(rig_filler, 7, sizeof(rig_filler));
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
	assert_non_null(r->path.signer = signer_new(log_sk));
	memcpy(r->peer.id, r->device.device_id, 16);
	r->peer.routing_id_len = 1;
	r->channel = RK__CHANNEL__OFFER;
	r->deliver = deliver_new(&r->path);
	r->arena = arena_new(1 << 20);
	assert_non_null(r->deliver);
	*state = r;
	return 0;
}

int rig_set_up_with_loads(void **state)
{
	int code = rig_set_up(state);
	struct rig *r = *state;

	r->test_plays_pages = true;
	return code;
}

int rig_tear_down(void **state)
{
	struct rig *r = *state;
	struct message_out *o;

	while ((o = ring_pop(r->path.admit_front)) != NULL || (o = ring_pop(r->path.deliver_front)) != NULL)
		message_out_free(o);
	deliver_free(r->deliver);
	env_close(r->env);
	roster_free(r->path.roster);
	sequence_free(r->path.sequence);
	signer_free(r->path.signer);
	path_clear(&r->path);
	arena_free(r->arena);
	store_kit_remove(r->folder);
	free(r);
	return 0;
}

void rig_append(struct rig *r, unsigned count, size_t body)
{
	const struct stream_id stream = stream_channel(r->channel);
	struct txn *t;

	assert_int_equal(env_begin(r->env, true, &t), RK_OK);
	for (unsigned i = 0; i < count; i++) {
		struct stream_entry e = {.kind = RK__ENTRY_KIND__ENTRY_POST, .time_ms = 1, .object = bytes_make(rig_filler, 300), .body = bytes_make(rig_filler, body)};
		uint64_t position, seq;

		assert_int_equal(stream_append(t, &stream, 1, &e, &position, &seq), RK_OK);
	}
	assert_int_equal(env_commit(t), RK_OK);
}

void rig_tell(struct rig *r, uint64_t head)
{
	struct deliver_event *e = calloc(1, sizeof(*e));

	*e = (struct deliver_event){.kind = DELIVER_STREAM, .stream = stream_channel(r->channel), .seq = head};
	ring_push_wait(r->path.apply_deliver, e);
}

void rig_page(struct rig *r, uint64_t first, unsigned count)
{
	const struct stream_id stream = stream_channel(r->channel);
	struct stream_entry entry = {.kind = RK__ENTRY_KIND__ENTRY_POST, .object = bytes_make(rig_filler, 300), .body = bytes_make(rig_filler, 500)};
	struct deliver_event *e = calloc(1, sizeof(*e));
	struct page_builder b = {0};

	e->kind = DELIVER_PAGE;
	e->stream = stream;
	for (uint64_t seq = first; seq < first + count; seq++)
		assert_int_equal(page_add(&b, &stream, seq - 1, seq, &entry, NULL), RK_OK);
	assert_int_equal(page_finish(&b, &e->page), RK_OK);
	atomic_fetch_add(&r->path.live_bytes, deliver_event_bytes(e));
	ring_push_wait(r->path.apply_deliver, e);
}

void rig_ask(struct rig *r, Rk__Request *q)
{
	struct message_in *m = message_in_copy(&r->peer, NULL, 0, &r->path.load);
	uint8_t packed[256];

	q->protocol = 1;
	m->command.arena = arena_new(1 << 16);
	assert_int_equal(STRICT_PARSE(request, bytes_make(packed, rk__request__pack(q, packed)), m->command.arena, (Rk__Request **)(uintptr_t)&m->command.req), RK_OK);
	ring_push_wait(r->path.admit_deliver, m);
}

void rig_subscribe(struct rig *r, uint64_t cursor)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Subscribe s = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = r->channel;
	s.stream = &id;
	s.cursor = cursor;
	q.op = RK__OP__OP_SUBSCRIBE;
	q.subscribe = &s;
	r->seq = cursor;
	rig_ask(r, &q);
}

void rig_credit(struct rig *r, uint32_t entries, uint32_t bytes)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Credit c = RK__CREDIT__INIT;

	c.entries = entries;
	c.bytes = bytes;
	q.op = RK__OP__OP_CREDIT;
	q.credit = &c;
	rig_ask(r, &q);
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
	assert_true(bytes_equal(frames[1], bytes_make(rig_filler, 300)));
	assert_memory_equal(frames[2].data, rig_filler, frames[2].len);
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

static void take_reply(struct rig *r, struct message_out *o)
{
	Rk__Down *down;

	arena_reset(r->arena, 1 << 20);
	assert_int_equal(STRICT_PARSE(down, bytes_make(zmq_msg_data(&o->frames[0]), zmq_msg_size(&o->frames[0])), r->arena, &down), RK_OK);
	assert_true(down->reply != NULL && r->reply_count < RIG_REPLIES_MAX);
	r->replies[r->reply_count++] = down->reply->op;
	if (down->reply->subscribe != NULL)
		r->head = down->reply->subscribe->head_seq;
}

static void take(struct rig *r, struct message_out *o, uint64_t gap_to)
{
	if (o->kind == MESSAGE_REPLY)
		take_reply(r, o);
	if (o->kind != MESSAGE_DELIVERY) {
		message_out_free(o);
		return;
	}
	if (memcmp(o->peer.id, r->device.device_id, 16) == 0)
		take_message(r, o, r->entries == 0 ? gap_to : 0);
	else
		r->others += o->entries;
	o->result = MESSAGE_SENT;
	ring_push_wait(r->path.front_deliver, o);
}

bool rig_turn(struct rig *r)
{
	bool any = deliver_turn(r->deliver);

	while (!r->test_plays_pages && page_load_turn(&r->path, r->arena))
		any |= deliver_turn(r->deliver);
	return any;
}

unsigned rig_run(struct rig *r, uint64_t gap_to)
{
	struct message_out *o;
	bool any = true;

	r->entries = r->messages = r->bundles = r->others = r->reply_count = 0;
	for (unsigned turns = 0; any; turns++) {
		assert_true(turns < 10000);
		any = rig_turn(r);
		while ((o = ring_pop(r->path.admit_front)) != NULL)
			message_out_free(o);
		while ((o = ring_pop(r->path.deliver_front)) != NULL) {
			take(r, o, gap_to);
			any = true;
		}
	}
	return r->entries;
}
