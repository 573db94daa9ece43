/* down: what protobuf-c packs, byte for byte; each field by itself at its edges, then many at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/bytes.h"
#include "proto/down.h"

static const uint64_t edges[] = {0, 1, 2, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)UINT32_MAX + 1, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX};
#define EDGES (sizeof(edges) / sizeof(edges[0]))

static uint64_t seed = 1;

static uint64_t any(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 62 == 0 ? 0 : edges[(seed >> 33) % EDGES] + (seed >> 40 & 1);
}

static void same_reply(const Rk__Reply *r)
{
	Rk__Down down = RK__DOWN__INIT;
	uint8_t ours[DOWN_MAX_BYTES], theirs[256];
	size_t len;

	down.protocol = 1;
	down.reply = (Rk__Reply *)(uintptr_t)r;
	assert_true(down_is_plain_reply(r));
	len = rk__down__pack(&down, theirs);
	assert_int_equal(down_pack_reply(ours, r), len);
	assert_memory_equal(ours, theirs, len);
}

static void same_delivery(const Rk__Delivery *d)
{
	Rk__Down down = RK__DOWN__INIT;
	uint8_t ours[DOWN_MAX_BYTES], theirs[256];
	size_t len;

	down.protocol = 1;
	down.delivery = (Rk__Delivery *)(uintptr_t)d;
	assert_true(down_is_plain_delivery(d));
	len = rk__down__pack(&down, theirs);
	assert_int_equal(down_pack_delivery(ours, d), len);
	assert_memory_equal(ours, theirs, len);
}

/* The i-th field of a reply. */
static void set_reply(Rk__Reply *r, unsigned i, uint64_t v)
{
	switch (i) {
	case 0: r->op = (Rk__Op)(v & 0x7f); break;
	case 1: r->number = v; break;
	case 2: r->tag = v; break;
	case 3: r->code = (uint32_t)v; break;
	case 4: r->time_ms = (int64_t)v; break;
	case 5: r->seq = v; break;
	case 6: r->logged = v != 0; break;
	default: r->log_index = v; break;
	}
}

static void set_delivery(Rk__Delivery *d, unsigned i, uint64_t v)
{
	switch (i) {
	case 0: d->kind = (Rk__EntryKind)(v & 0x7f); break;
	case 1: d->seq = v; break;
	case 2: d->time_ms = (int64_t)v; break;
	case 3: d->control_seq = v; break;
	case 4: d->logged = v != 0; break;
	case 5: d->log_index = v; break;
	case 6: d->gap_to = v; break;
	default: d->bulk_dropped = v != 0; break;
	}
}

static void replies_are_what_protobuf_packs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		for (size_t k = 0; k < EDGES; k++) {
			Rk__Reply r = RK__REPLY__INIT;

			set_reply(&r, i, edges[k]);
			same_reply(&r);
		}
	for (unsigned n = 0; n < 20000; n++) {
		Rk__Reply r = RK__REPLY__INIT;

		for (unsigned i = 0; i < 8; i++)
			set_reply(&r, i, n == 0 ? UINT64_MAX : any());
		same_reply(&r);
	}
}

static void deliveries_are_what_protobuf_packs(void **state)
{
	uint8_t org_id[16] = {1, 2, 3};

	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		Rk__Delivery d = RK__DELIVERY__INIT;
		Rk__StreamId stream = RK__STREAM_ID__INIT;

		d.stream = &stream;
		stream.type = (Rk__StreamType)(n % 4);
		stream.channel = (Rk__Channel)(n / 4 % 7);
		if (n / 28 % 2 == 0)
			stream.org_id = (ProtobufCBinaryData){16, org_id};
		for (unsigned i = 0; i < 8; i++)
			set_delivery(&d, i, n == 0 ? UINT64_MAX : any());
		same_delivery(&d);
	}
}

/* A field more in the schema must be written, or make its message no plain one. */
static void no_field_was_added(void **state)
{
	(void)state;
	assert_int_equal(rk__down__descriptor.n_fields, 3);
	assert_int_equal(rk__reply__descriptor.n_fields, 15);
	assert_int_equal(rk__delivery__descriptor.n_fields, 10);
	assert_int_equal(rk__stream_id__descriptor.n_fields, 3);
}

static void what_carries_more_is_not_plain(void **state)
{
	Rk__Reply r = RK__REPLY__INIT;
	Rk__Delivery d = RK__DELIVERY__INIT;
	Rk__StreamId stream = RK__STREAM_ID__INIT;
	Rk__HelloReply hello = RK__HELLO_REPLY__INIT;
	Rk__Announce announce = RK__ANNOUNCE__INIT;

	(void)state;
	r.hello = &hello;
	assert_false(down_is_plain_reply(&r));
	r.hello = NULL;
	r.enrol = RK__ENROL_STATE__ENROL_PENDING;
	assert_false(down_is_plain_reply(&r));
	assert_false(down_is_plain_delivery(&d));
	d.stream = &stream;
	assert_true(down_is_plain_delivery(&d));
	d.announce = &announce;
	assert_false(down_is_plain_delivery(&d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_what_protobuf_packs),
		cmocka_unit_test(deliveries_are_what_protobuf_packs),
		cmocka_unit_test(no_field_was_added),
		cmocka_unit_test(what_carries_more_is_not_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
