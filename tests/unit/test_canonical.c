/*
 * canonical: small cases of every message type, exhausted, against the definition (definition_kit); what a budget that does not do gives at each
 * allocation; a field as it stands in the bytes.  (Refusals by name: test_strict.  fuzz_strict goes on where this ends.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/canonical.h"
#include "proto/errcode.h"
#include "renkei.pb-c.h"
#include "tests/unit/definition_kit.h"
#include "tests/unit/schema_kit.h"

#define WIRE_MAX 16384
#define PARTS_MAX 600

static unsigned taken, refused;

static int must_agree(const ProtobufCMessageDescriptor *d, const uint8_t *wire, size_t len, const char *what)
{
	int r;
	const char *differs = definition_differs(d, bytes_make(wire, len), &r);

	if (differs != NULL)
		fail_msg("%s of %zu bytes, %s: %s differs (%s)", d->name, len, what, differs, errcode_name(r));
	taken += r == RK_OK;
	refused += r != RK_OK;
	return r;
}

/* A random message, the shortest of some. */
static size_t short_message(const ProtobufCMessageDescriptor *d, uint8_t out[WIRE_MAX])
{
	size_t best = SIZE_MAX;

	for (int i = 0; i < 100 && best > 400; i++) {
		struct arena *a = arena_new(0);
		struct bytes wire;

		assert_int_equal(strict_pack(schema_kit_random(d, a), a, &wire), RK_OK);
		if (wire.len > 0 && wire.len < best && wire.len <= WIRE_MAX / 2) {
			memcpy(out, wire.data, wire.len);
			best = wire.len;
		}
		arena_free(a);
	}
	assert_true(best <= WIRE_MAX / 2);
	return best;
}

/* A field as it stands in a message: tag, number or length, and what has that length. */
struct part {
	const uint8_t *at;
	size_t tag_len, number_len, len;
	uint64_t tag;
};

static size_t varint(const uint8_t *at, uint64_t *v)
{
	size_t n = 0;

	*v = 0;
	do
		*v |= (uint64_t)(at[n] & 0x7F) << (7 * n);
	while (at[n++] & 0x80);
	return n;
}

/* Of a message that is canonical. */
static size_t split(const uint8_t *wire, size_t len, struct part parts[PARTS_MAX])
{
	size_t n = 0, at = 0;

	while (at < len) {
		struct part *p = &parts[n++];
		uint64_t v;

		assert_true(n <= PARTS_MAX);
		p->at = wire + at;
		p->tag_len = varint(p->at, &p->tag);
		p->number_len = varint(p->at + p->tag_len, &v);
		p->len = p->tag_len + p->number_len + ((p->tag & 7) == 2 ? (size_t)v : 0);
		at += p->len;
	}
	return n;
}

static size_t put(uint8_t *out, size_t at, const void *data, size_t len)
{
	assert_true(at + len <= WIRE_MAX);
	memcpy(out + at, data, len);
	return at + len;
}

/* In place of each field in turn, of every wire type, what may stand behind a tag.  The rest of the message is legal. */
static void each_wire_type_stands_at_each_field(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} values[] = {
#define VALUE(text) {text, sizeof(text) - 1}
		VALUE(""), VALUE("\x00"), VALUE("\x01"), VALUE("\x02"), VALUE("\x07"), VALUE("\x3f"), VALUE("\x40"), VALUE("\x7f"), VALUE("\x80"),
		VALUE("\x80\x00"), VALUE("\x81\x00"), VALUE("\x80\x01"), VALUE("\xff\xff\xff\xff\x07"), VALUE("\xff\xff\xff\xff\x0f"),
		VALUE("\x80\x80\x80\x80\x10"), VALUE("\x81\x80\x80\x80\x10"), VALUE("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		VALUE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), VALUE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
		VALUE("\x80\x80\x80\x80\xf8\xff\xff\xff\xff\x01"), VALUE("\xff\xff\xff\xff\xf7\xff\xff\xff\xff\x01"),
		VALUE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"), VALUE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
		VALUE("\x01\x00"), VALUE("\x01\x01"), VALUE("\x01\x41"), VALUE("\x01\x80"), VALUE("\x02\x41\x00"), VALUE("\x02\xc3\x28"),
		VALUE("\x02\x81\x00"), VALUE("\x02\x80\x01"), VALUE("\x03\x01\x02\x03"), VALUE("\x02\x08\x01"), VALUE("\x02\x0a\x00"),
		VALUE("\x02\x01"), VALUE("\x08\x01\x02\x03\x04\x05\x06\x07\x08"), VALUE("\x10" "aaaaaaaaaaaaaaaa"),
		VALUE("\x20" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), VALUE("\x1f" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		VALUE("\x20" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), VALUE("\xff\xff\xff\xff\x0f"), VALUE("\x00\x00\x00\x00\x00\x00\x00\x00"),
	};
	static struct part parts[PARTS_MAX];
	uint8_t wire[WIRE_MAX], made[WIRE_MAX];
	(void)state;

	taken = refused = 0;
	for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
		const ProtobufCMessageDescriptor *d = schema_kit_at(i);
		size_t n = split(wire, short_message(d, wire), parts);

		for (unsigned k = 0; k <= d->n_fields; k++)
			for (uint32_t w = 0; w < 8; w++)
				for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
					/* Behind the last field: one that is unknown. */
					uint32_t id = k < d->n_fields ? d->fields[k].id : d->fields[k - 1].id + 1, tag = id << 3 | w;
					uint8_t tag_bytes[2] = {(uint8_t)(tag & 0x7F), (uint8_t)(tag >> 7)};
					size_t len = 0, p = 0;

					assert_true(tag < 1 << 14);
					tag_bytes[0] |= tag > 0x7F ? 0x80 : 0;
					for (; p < n && parts[p].tag >> 3 < id; p++)
						len = put(made, len, parts[p].at, parts[p].len);
					len = put(made, len, tag_bytes, tag > 0x7F ? 2 : 1);
					len = put(made, len, values[v].bytes, values[v].len);
					for (; p < n; p++)
						if (parts[p].tag >> 3 > id)
							len = put(made, len, parts[p].at, parts[p].len);
					must_agree(d, made, len, d->fields[k < d->n_fields ? k : k - 1].name);
				}
	}
	/* Both happen, else this tests nothing. */
	assert_true(taken > 1000 && refused > 100000);
}

static void each_message_is_cut_at_each_byte(void **state)
{
	uint8_t wire[WIRE_MAX];
	(void)state;

	taken = refused = 0;
	for (unsigned i = 0; schema_kit_at(i) != NULL; i++)
		for (size_t len = short_message(schema_kit_at(i), wire), n = 0; n <= len; n++)
			must_agree(schema_kit_at(i), wire, n, "cut");
	assert_true(taken > 80 && refused > 5000);
}

/* At each byte: each bit turned, the byte gone, there twice, another before it. */
static void each_byte_of_a_message_is_damaged(void **state)
{
	uint8_t wire[WIRE_MAX], made[WIRE_MAX];
	(void)state;

	taken = refused = 0;
	for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
		const ProtobufCMessageDescriptor *d = schema_kit_at(i);
		size_t len = short_message(d, wire);

		for (size_t at = 0; at < len; at++) {
			const uint8_t before[] = {wire[at], 0x00, 0x80, 0xFF};

			for (unsigned bit = 0; bit < 8; bit++) {
				wire[at] ^= (uint8_t)(1u << bit);
				must_agree(d, wire, len, "a bit turned");
				wire[at] ^= (uint8_t)(1u << bit);
			}
			must_agree(d, made, put(made, put(made, 0, wire, at), wire + at + 1, len - at - 1), "a byte gone");
			for (unsigned b = 0; b < sizeof(before); b++)
				must_agree(d, made, put(made, put(made, put(made, 0, wire, at), before + b, 1), wire + at, len - at),
				           "a byte too many");
		}
	}
	assert_true(taken > 1000 && refused > 10000);
}

/* The number that ends before `end`, one byte longer than it must be. */
static size_t put_longer(uint8_t *out, size_t at, const uint8_t *number, size_t len)
{
	at = put(out, at, number, len);
	out[at - 1] |= 0x80;
	return put(out, at, "", 1);
}

static void what_is_longer_than_it_must_be_is_malformed(void **state)
{
	static struct part parts[PARTS_MAX];
	uint8_t wire[WIRE_MAX], made[WIRE_MAX];
	(void)state;

	for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
		const ProtobufCMessageDescriptor *d = schema_kit_at(i);
		size_t len = short_message(d, wire), n = split(wire, len, parts);

		for (size_t k = 0; k < n; k++) {
			const struct part *p = &parts[k];
			size_t at = (size_t)(p->at - wire), value = at + p->tag_len, rest = value + p->number_len, made_len;

			made_len = put(made, put_longer(made, put(made, 0, wire, at), p->at, p->tag_len), wire + value, len - value);
			assert_int_equal(must_agree(d, made, made_len, "a longer tag"), RK_MALFORMED);
			made_len = put(made, put_longer(made, put(made, 0, wire, value), wire + value, p->number_len), wire + rest, len - rest);
			assert_int_equal(must_agree(d, made, made_len, "a longer number"), RK_MALFORMED);
		}
	}
}

/* Two neighbours change places, and each stands twice: legal within a list only. */
static void fields_change_places_and_repeat(void **state)
{
	static struct part parts[PARTS_MAX];
	uint8_t wire[WIRE_MAX], made[WIRE_MAX];
	(void)state;

	taken = refused = 0;
	for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
		const ProtobufCMessageDescriptor *d = schema_kit_at(i);
		size_t len = short_message(d, wire), n = split(wire, len, parts);

		for (size_t k = 0; k < n; k++) {
			size_t at = (size_t)(parts[k].at - wire), end = at + parts[k].len, made_len;
			bool is_list = protobuf_c_message_descriptor_get_field(d, (unsigned)(parts[k].tag >> 3))->label ==
			               PROTOBUF_C_LABEL_REPEATED;
			int r;

			made_len = put(made, put(made, put(made, 0, wire, end), wire + at, parts[k].len), wire + end, len - end);
			r = must_agree(d, made, made_len, "a field twice");
			assert_true(is_list || r == RK_MALFORMED);
			if (k + 1 == n)
				continue;
			made_len = put(made, put(made, 0, wire, at), wire + end, parts[k + 1].len);
			made_len = put(made, put(made, made_len, wire + at, parts[k].len), wire + end + parts[k + 1].len,
			               len - end - parts[k + 1].len);
			r = must_agree(d, made, made_len, "two fields in the other order");
			assert_true(parts[k].tag == parts[k + 1].tag ? r == RK_OK : r == RK_MALFORMED);
		}
	}
	assert_true(taken > 10 && refused > 500);
}

/* A budget one step too small for any of its allocations is RK_TOO_LARGE, unless the bytes are not canonical, which then is said. */
static void a_budget_that_does_not_do_is_said_at_each_allocation(void **state)
{
	uint8_t wire[WIRE_MAX];
	(void)state;

	for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
		const struct strict_message *t = strict_message_of(schema_kit_at(i));
		size_t len = short_message(t->desc, wire), budget = 0;
		int r = RK_TOO_LARGE;

		for (; r != RK_OK; budget += 16) {
			struct arena *a = arena_new(budget);
			ProtobufCMessage *m = NULL;

			wire[len] = 0x80;
			assert_int_equal(canonical_parse(t, bytes_make(wire, len + 1), a, &m), RK_MALFORMED);
			arena_reset(a, budget);
			r = canonical_parse(t, bytes_make(wire, len), a, &m);
			assert_true((r == RK_OK) == (m != NULL));
			if (r == RK_OK)
				assert_int_equal(arena_used(a), budget);
			else
				assert_int_equal(r, RK_TOO_LARGE);
			assert_true(arena_used(a) <= budget);
			arena_free(a);
		}
		assert_true(budget > 16);
	}
}

/* A million elements where fewer may stand: counted, and refused before there is an array for them. */
static void a_list_that_is_too_long_takes_no_memory(void **state)
{
	enum { COUNT = 1000000 };
	static const char head[] = "\x08\x02\x10\x01\x20\x01\x28\x01\x32\x10" "aaaaaaaaaaaaaaaa";
	struct arena *a = arena_new(0);
	uint8_t *wire = malloc(2 * COUNT + 100);
	ProtobufCMessage *m;
	size_t len = 0;
	(void)state;

	assert_non_null(wire);
	for (; len < 2 * COUNT; len += 2)
		memcpy(wire + len, "\x0a\x00", 2);
	assert_int_equal(strict_parse(&rk__wrap_list__descriptor, bytes_make(wire, len), a, &m), RK_MALFORMED);
	assert_true(arena_used(a) <= 64);
	/* Numbers: COUNT bytes of them. */
	arena_reset(a, 0);
	memset(wire, 1, COUNT + 4);
	memcpy(wire, "\x1a\xc0\x84\x3d", 4);
	assert_int_equal(strict_parse(&rk__get_proof__descriptor, bytes_make(wire, COUNT + 4), a, &m), RK_MALFORMED);
	assert_true(arena_used(a) <= 128);
	/* A version of tomorrow is said without a byte for the million behind it. */
	arena_reset(a, 0);
	for (len = put(wire, 0, head, sizeof(head) - 1); len < 2 * COUNT; len += 2)
		memcpy(wire + len, "\x3a\x00", 2);
	assert_int_equal(strict_parse(&rk__directory__descriptor, bytes_make(wire, len), a, &m), RK_VERSION);
	assert_true(arena_used(a) <= 256);
	free(wire);
	arena_free(a);
}

static void a_field_is_found_as_it_was_packed(void **state)
{
	uint8_t sig[64], payload[300], packed[1024], inner[512];
	Rk__Signed head = RK__SIGNED__INIT;
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Hello hello = RK__HELLO__INIT;
	size_t len, inner_len;

	(void)state;
	memset(sig, 7, sizeof(sig));
	memset(payload, 9, sizeof(payload));
	head.payload = (ProtobufCBinaryData){sizeof(payload), payload};
	head.sig = (ProtobufCBinaryData){sizeof(sig), sig};
	q.protocol = 1;
	q.op = RK__OP__OP_SUBMIT;
	q.number = UINT64_MAX;
	q.tag = 5;
	q.head = &head;
	q.hello = &hello;
	len = rk__request__pack(&q, packed);
	inner_len = rk__signed__pack(&head, inner);
	assert_true(bytes_equal(canonical_field(bytes_make(packed, len), 8), bytes_make(inner, inner_len)));
	/* There, and empty. */
	assert_true(canonical_field(bytes_make(packed, len), 9).len == 0 && canonical_field(bytes_make(packed, len), 9).data != NULL);
	/* A number, one that is not there, one beyond the end, and bytes that end too early. */
	assert_null(canonical_field(bytes_make(packed, len), 4).data);
	assert_null(canonical_field(bytes_make(packed, len), 6).data);
	assert_null(canonical_field(bytes_make(packed, len), 99).data);
	for (size_t n = 0; n < len; n++)
		(void)canonical_field(bytes_make(packed, n), 9);
	assert_null(canonical_field(bytes_make(NULL, 0), 8).data);
}

static void the_head_of_a_request_has_the_number_that_apply_takes(void **state)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(&rk__request__descriptor, "head");

	(void)state;
	assert_int_equal(f->id, 8); /* REQUEST_HEAD of broker/apply_submit.c */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wire_type_stands_at_each_field),
		cmocka_unit_test(each_message_is_cut_at_each_byte),
		cmocka_unit_test(each_byte_of_a_message_is_damaged),
		cmocka_unit_test(what_is_longer_than_it_must_be_is_malformed),
		cmocka_unit_test(fields_change_places_and_repeat),
		cmocka_unit_test(a_budget_that_does_not_do_is_said_at_each_allocation),
		cmocka_unit_test(a_list_that_is_too_long_takes_no_memory),
		cmocka_unit_test(a_field_is_found_as_it_was_packed),
		cmocka_unit_test(the_head_of_a_request_has_the_number_that_apply_takes),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("canonical", tests, NULL, NULL);
}
