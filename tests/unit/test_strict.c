/*
 * strict: every reason to refuse a message (CRYPTO 2.0; mistakes 2, 3, 16), both sides of every limit of renkei.proto, and
 * memory bombs (HAZARDS C2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "renkei.pb-c.h"
#include "tests/unit/schema_kit.h"

#define WIRE_MAX 4096

/* Wire bytes from text: hex digits, blanks between, "aa*32" for a byte 32 times. */
static size_t from_text(uint8_t out[WIRE_MAX], const char *text)
{
	size_t len = 0;

	while (*text != '\0') {
		char pair[3] = {text[0], text[1], '\0'};
		unsigned long times = 1;
		uint8_t byte;

		if (*text == ' ') {
			text++;
			continue;
		}
		assert_true(ids_from_hex(&byte, 1, pair));
		text += 2;
		if (*text == '*')
			times = strtoul(text + 1, (char **)(uintptr_t)&text, 10);
		assert_true(len + times <= WIRE_MAX);
		memset(out + len, byte, times);
		len += times;
	}
	return len;
}

struct wire_row {
	const char *name;
	const ProtobufCMessageDescriptor *desc;
	const char *text;
	int result;
};

#define LOG rk__log_entry__descriptor
#define OH "2220 aa*32 "
#define SIG64 "1240 cc*64 "
#define TAG32 "1220 dd*32 "
#define WRAP "0a10 aa*16 1001 1a8001 bb*128 "
#define PARTY "0a10 aa*16 1220 bb*32 "
#define ACT "0801 1220 aa*32 1a10 bb*16 2801 3001"

static const struct wire_row wire_rows[] = {
	{"valid", &LOG, "0801 1001 1801" OH, RK_OK},
	{"all of it cut off", &LOG, "", RK_VERSION},
	{"cut inside a value", &LOG, "0801 1001 1801 2220 aa*31", RK_MALFORMED},
	{"cut inside a tag", &LOG, "0801 1001 1801" OH "8a", RK_MALFORMED},
	{"length beyond the end", &LOG, "0801 1001 1801 2221 aa*32", RK_MALFORMED},
	{"length near 2^32", &LOG, "0801 1001 1801 22ffffffff0f aa*32", RK_MALFORMED},
	{"unknown number", &LOG, "0801 1001 1801" OH "2801", RK_MALFORMED},
	{"unknown bytes", &LOG, "0801 1001 1801" OH "2a00", RK_MALFORMED},
	{"unknown fixed64", &LOG, "0801 1001 1801" OH "29 00*8", RK_MALFORMED},
	{"unknown field, high number", &LOG, "0801 1001 1801" OH "f8ffffff0f01", RK_MALFORMED},
	{"unknown field first", &LOG, "2801 0801 1001 1801" OH, RK_MALFORMED},
	{"field number 0", &LOG, "0801 1001 1801" OH "0001", RK_MALFORMED},
	{"start of a group", &LOG, "0801 1001 1801" OH "2b2c", RK_MALFORMED},
	{"duplicate field, equal value", &LOG, "0801 0801 1001 1801" OH, RK_MALFORMED},
	{"duplicate field, other value", &LOG, "0802 0801 1001 1801" OH, RK_MALFORMED},
	{"duplicate bytes", &LOG, "0801 1001 1801" OH OH, RK_MALFORMED},
	{"varint longer than needed", &LOG, "0801 1001 188100" OH, RK_MALFORMED},
	{"tag longer than needed", &LOG, "0801 1001 9800 01" OH, RK_MALFORMED},
	{"length longer than needed", &LOG, "0801 1001 1801 22a000 aa*32", RK_MALFORMED},
	{"varint of 11 bytes", &LOG, "0801 1001 18 80*10 01" OH, RK_MALFORMED},
	{"uint32 with a bit above 32", &LOG, "088180808010 1001 1801" OH, RK_MALFORMED},
	{"enum with a bit above 32", &LOG, "0801 108180808010 1801" OH, RK_MALFORMED},
	{"explicit default", &LOG, "0801 1000 1801" OH, RK_MALFORMED},
	{"swapped order", &LOG, "1001 0801 1801" OH, RK_MALFORMED},
	{"wrong wire type", &LOG, "0a0101 1001 1801" OH, RK_MALFORMED},
	{"version absent", &LOG, "1001 1801" OH, RK_VERSION},
	{"version 2", &LOG, "0802 1001 1801" OH, RK_VERSION},
	{"version 2^32 - 1", &LOG, "08ffffffff0f 1001 1801" OH, RK_VERSION},
	{"enum absent is its listed zero", &LOG, "0801 1801" OH, RK_OK},
	{"enum, last value", &LOG, "0801 1009 1801" OH, RK_OK},
	{"enum out of range", &LOG, "0801 100b 1801" OH, RK_MALFORMED},
	{"enum negative", &LOG, "0801 10 ff*9 01 1801" OH, RK_MALFORMED},
	{"time absent", &LOG, "0801 1001" OH, RK_MALFORMED},
	{"time largest", &LOG, "0801 1001 18 ff*8 7f" OH, RK_OK},
	{"time negative", &LOG, "0801 1001 18 ff*9 01" OH, RK_MALFORMED},
	{"hash of 31 bytes", &LOG, "0801 1001 1801 221f aa*31", RK_MALFORMED},
	{"hash of 33 bytes", &LOG, "0801 1001 1801 2221 aa*33", RK_MALFORMED},
	{"hash absent", &LOG, "0801 1001 1801", RK_MALFORMED},
	{"hash empty but there", &LOG, "0801 1001 1801 2200", RK_MALFORMED},

	{"bool true", &rk__party__descriptor, PARTY "1801", RK_OK},
	{"bool 2", &rk__party__descriptor, PARTY "1802", RK_MALFORMED},
	{"bool false, explicit", &rk__party__descriptor, PARTY "1800", RK_MALFORMED},
	{"bool with a high bit only", &rk__party__descriptor, PARTY "188080808010", RK_MALFORMED},
	{"reserved number set", &rk__party__descriptor, PARTY "1801 2801", RK_UNSUPPORTED},
	{"reserved bytes set", &rk__party__descriptor, PARTY "1801 3201aa", RK_UNSUPPORTED},
	{"version first, then a hash too short", &LOG, "0802 1001 1801 221f aa*31", RK_VERSION},
	{"version first, then no hash", &LOG, "0802 1001 1801", RK_VERSION},
	{"version first, then no enum's value", &LOG, "0802 103f 1801" OH, RK_VERSION},
	{"version first, but an enum beyond 32 bits", &LOG, "0802 108180808010 1801" OH, RK_MALFORMED},
	{"version first, but a default written out", &LOG, "0802 1000 1801" OH, RK_MALFORMED},
	{"version first, but an unknown field at the end", &LOG, "0802 1001 1801" OH "2801", RK_MALFORMED},
	{"version first, but the end is cut off", &LOG, "0802 1001 1801 2220 aa*31", RK_MALFORMED},
	{"version absent, but the end is cut off", &LOG, "1001 1801 2220 aa*31", RK_MALFORMED},
	{"version first, then a text with ESC", &rk__nda_act__descriptor, "0802 1220 aa*32 1a10 bb*16 2801 3001 3a01 1b", RK_VERSION},
	{"version first, but a text with NUL", &rk__nda_act__descriptor, "0802 1220 aa*32 1a10 bb*16 2801 3001 3a01 00", RK_MALFORMED},
	{"version first, then a row's reserved field", &rk__nda_terms__descriptor, "0802 2202 2801", RK_VERSION},
	{"version first, but a row's bool is 2", &rk__nda_terms__descriptor, "0802 2202 1802", RK_MALFORMED},
	{"version first, but a row's field is unknown", &rk__nda_terms__descriptor, "0802 2200 2202 7801", RK_MALFORMED},
	{"version first, then numbers beyond a list's count", &rk__org_devices__descriptor, "0802 3a13 2a11 01*17", RK_VERSION},
	{"version first, but a packed number is cut", &rk__org_devices__descriptor, "0802 3a05 2a03 01 01 81", RK_MALFORMED},
	{"version first, but a packed number is beyond its type", &rk__org_devices__descriptor, "0802 3a07 2a05 ff*4 1f", RK_MALFORMED},
	{"reserved first, but a bool is false, explicit", &rk__nda_terms__descriptor,
	 "0801 1220 aa*32 1a10 bb*16 2238 0a10 aa*16 1220 bb*32 2801 2002", RK_MALFORMED},
	{"first refusal wins", &rk__party__descriptor, "0a0faa*15 1220 bb*32 2801", RK_MALFORMED},

	{"nested valid", &rk__enrol_request__descriptor, "0a45 0a01ff" SIG64 TAG32, RK_OK},
	{"nested absent", &rk__enrol_request__descriptor, TAG32, RK_OK},
	{"nested empty", &rk__enrol_request__descriptor, "0a00" TAG32, RK_MALFORMED},
	{"nested unknown field", &rk__enrol_request__descriptor, "0a47 0a01ff" SIG64 "1801" TAG32, RK_MALFORMED},
	{"nested duplicate field", &rk__enrol_request__descriptor, "0a48 0a01ff 0a01ff" SIG64 TAG32, RK_MALFORMED},
	{"nested order", &rk__enrol_request__descriptor, "0a45" SIG64 "0a01ff" TAG32, RK_MALFORMED},
	{"nested length longer than needed", &rk__enrol_request__descriptor, "0a46 0a8100ff" SIG64 TAG32, RK_MALFORMED},
	{"nested signature of 63", &rk__enrol_request__descriptor, "0a44 0a01ff 123f cc*63 " TAG32, RK_MALFORMED},
	{"submessage split in two", &rk__enrol_request__descriptor, "0a03 0a01ff 0a42" SIG64 TAG32, RK_MALFORMED},
	{"submessage twice", &rk__enrol_request__descriptor, "0a45 0a01ff" SIG64 "0a45 0a01ff" SIG64 TAG32, RK_MALFORMED},
	{"submessage longer than its parent", &rk__enrol_request__descriptor, "0a7f 0a01ff" SIG64, RK_MALFORMED},
	{"three levels, unknown in the deepest", &rk__down__descriptor, "0801 1a06 0a04 0802 2001", RK_MALFORMED},
	{"three levels", &rk__down__descriptor, "0801 1a04 0a02 0802", RK_OK},
	{"three levels, enum out of range", &rk__down__descriptor, "0801 1a04 0a02 0804", RK_MALFORMED},

	{"repeated message", &rk__wrap_list__descriptor, "0a9701" WRAP "0a9701" WRAP, RK_OK},
	{"repeated message, none", &rk__wrap_list__descriptor, "", RK_MALFORMED},
	{"repeated message, unknown in the second", &rk__wrap_list__descriptor, "0a9701" WRAP "0a9901" WRAP "2001", RK_MALFORMED},
	{"repeated message, rule broken in the second", &rk__wrap_list__descriptor, "0a9701" WRAP "0a9501 0a10 aa*16 1a8001 bb*128",
	 RK_MALFORMED},
	{"packed numbers", &rk__device__descriptor, "0a10 aa*16 1220 bb*32 1a20 cc*32 2a0101 3001", RK_OK},
	{"the same without packing", &rk__device__descriptor, "0a10 aa*16 1220 bb*32 1a20 cc*32 2801 3001", RK_MALFORMED},
	{"the same absent", &rk__device__descriptor, "0a10 aa*16 1220 bb*32 1a20 cc*32 3001", RK_OK},
	{"packed but empty", &rk__device__descriptor, "0a10 aa*16 1220 bb*32 1a20 cc*32 2a00 3001", RK_MALFORMED},

	{"optional id absent", &rk__nda_act__descriptor, ACT, RK_OK},
	{"optional id of 16", &rk__nda_act__descriptor, "0801 1220 aa*32 1a10 bb*16 2210 ee*16 2801 3001", RK_OK},
	{"optional id of 15", &rk__nda_act__descriptor, "0801 1220 aa*32 1a10 bb*16 220f ee*15 2801 3001", RK_MALFORMED},
	{"optional id of 17", &rk__nda_act__descriptor, "0801 1220 aa*32 1a10 bb*16 2211 ee*17 2801 3001", RK_MALFORMED},
	{"text", &rk__nda_act__descriptor, ACT "3a03 61 0a 62", RK_OK},
	{"text with NUL", &rk__nda_act__descriptor, ACT "3a03 61 00 62", RK_MALFORMED},
	{"text with NUL at the end", &rk__nda_act__descriptor, ACT "3a02 61 00", RK_MALFORMED},
	{"text with only NUL", &rk__nda_act__descriptor, ACT "3a01 00", RK_MALFORMED},
	{"text not UTF-8", &rk__nda_act__descriptor, ACT "3a02 c328", RK_MALFORMED},
	{"text with ESC", &rk__nda_act__descriptor, ACT "3a01 1b", RK_MALFORMED},
	{"text of 500", &rk__nda_act__descriptor, ACT "3af403 61*500", RK_OK},
	{"text of 501", &rk__nda_act__descriptor, ACT "3af503 61*501", RK_MALFORMED},
	{"name with LF", &rk__org_name__descriptor, "0a026a61 1203 61 0a 62", RK_MALFORMED},
	{"name with right-to-left override", &rk__org_name__descriptor, "0a026a61 1203 e280ae", RK_MALFORMED},
	{"name", &rk__org_name__descriptor, "0a026a61 1206 e980a3e690ba", RK_OK},
};

static void canonical_encoding_and_rules(void **state)
{
	uint8_t wire[WIRE_MAX];
	(void)state;

	for (size_t i = 0; i < sizeof(wire_rows) / sizeof(wire_rows[0]); i++) {
		const struct wire_row *row = &wire_rows[i];
		size_t len = from_text(wire, row->text);
		/* A copy of exactly this size, so that a sanitizer sees a read behind its end. */
		uint8_t *exact = malloc(len + (len == 0));
		struct arena *a = arena_new(0);
		ProtobufCMessage *m = (ProtobufCMessage *)(uintptr_t)1;
		int r;

		assert_non_null(exact);
		memcpy(exact, wire, len);
		r = strict_parse(row->desc, bytes_make(exact, len), a, &m);
		if (r != row->result)
			fail_msg("row %s: %d (%s), expected %d", row->name, r, errcode_name(r), row->result);
		if ((m != NULL) != (r == RK_OK))
			fail_msg("row %s: message", row->name);
		arena_free(a);
		free(exact);
	}
}

static void text_rules(void **state)
{
	static const struct {
		const char *name, *hex;
		bool utf8, text, label;
	} rows[] = {
		{"empty", "", true, true, true},
		{"ASCII", "20 41 7e", true, true, true},
		{"TAB", "09", true, true, false},
		{"LF", "0a", true, true, false},
		{"CR", "0d", true, false, false},
		{"NUL", "00", false, false, false},
		{"US, the last below blank", "1f", true, false, false},
		{"DEL", "7f", true, false, false},
		{"C1, first", "c280", true, false, false},
		{"C1, last", "c29f", true, false, false},
		{"no-break space", "c2a0", true, true, true},
		{"kanji", "e980a3", true, true, true},
		{"four bytes", "f0a0aeb7", true, true, true},
		{"largest", "f48fbfbf", true, true, true},
		{"above the largest", "f4908080", false, false, false},
		{"lead F5", "f5808080", false, false, false},
		{"lead FF", "ff", false, false, false},
		{"over-long, 2 bytes", "c1bf", false, false, false},
		{"over-long, 3 bytes", "e09fbf", false, false, false},
		{"shortest of 3 bytes", "e0a080", true, true, true},
		{"over-long, 4 bytes", "f08fbfbf", false, false, false},
		{"shortest of 4 bytes", "f0908080", true, true, true},
		{"over-long NUL", "c080", false, false, false},
		{"before the surrogates", "ed9fbf", true, true, true},
		{"first surrogate", "eda080", false, false, false},
		{"last surrogate", "edbfbf", false, false, false},
		{"behind the surrogates", "ee8080", true, true, true},
		{"continuation alone", "80", false, false, false},
		{"cut, 2 bytes", "c3", false, false, false},
		{"cut, 3 bytes", "e980", false, false, false},
		{"cut, 4 bytes", "f0a0ae", false, false, false},
		{"second byte wrong", "e941a3", false, false, false},
		{"third byte wrong", "e98041", false, false, false},
		{"Arabic letter mark", "d89c", true, true, false},
		{"zero width joiner is no override", "e2808d", true, true, true},
		{"left-to-right mark", "e2808e", true, true, false},
		{"right-to-left mark", "e2808f", true, true, false},
		{"line separator", "e280a8", true, true, false},
		{"right-to-left override", "e280ae", true, true, false},
		{"narrow no-break space", "e280af", true, true, true},
		{"behind word joiners", "e281a5", true, true, true},
		{"left-to-right isolate", "e281a6", true, true, false},
		{"pop isolate", "e281a9", true, true, false},
		{"behind isolates", "e281aa", true, true, true},
		{"bad after good", "41 ff", false, false, false},
	};
	uint8_t wire[WIRE_MAX];
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bytes b = bytes_make(wire, from_text(wire, rows[i].hex));

		if (strict_is_utf8(b) != rows[i].utf8 || strict_is_text(b) != rows[i].text || strict_is_name(b) != rows[i].label)
			fail_msg("row: %s", rows[i].name);
	}
}

/* Packs without our checks and parses: what a peer that breaks the rule would send. */
static int result_on_the_wire(const ProtobufCMessage *m, struct arena *a)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	ProtobufCMessage *parsed;
	uint8_t *wire;

	arena_raise(a, len + 16);
	wire = arena_alloc(a, len);
	assert_non_null(wire);
	protobuf_c_message_pack(m, wire);
	return strict_parse(m->descriptor, bytes_make(wire, len), a, &parsed);
}

static void expect(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct arena *a, const char *what, int result)
{
	struct bytes packed;
	int checked = strict_check(m), made = strict_pack(m, a, &packed), parsed = result_on_the_wire(m, a);

	if (checked != result || made != result || parsed != result)
		fail_msg("%s.%s %s: check %d, pack %d, parse %d, expected %d", m->descriptor->name, f->name, what, checked, made,
		         parsed, result);
}

static void set_run(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const struct strict_rule *rule, size_t len,
                    struct arena *a)
{
	uint8_t *data = schema_kit_run(rule, len, a);
	void *at = schema_kit_member(m, f);

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		if (*schema_kit_count(m, f) == 0) {
			*schema_kit_count(m, f) = 1;
			*(void **)at = schema_kit_run(rule, 16, a);
		}
		at = *(void **)at;
	}
	if (f->type == PROTOBUF_C_TYPE_STRING)
		*(char **)at = (char *)data;
	else
		*(ProtobufCBinaryData *)at = (ProtobufCBinaryData){len, data};
}

static void probe_run(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const struct strict_rule *rule, struct arena *a)
{
	if (rule->flags & STRICT_RESERVED) {
		set_run(m, f, rule, 1, a);
		expect(m, f, a, "reserved, set", RK_UNSUPPORTED);
		return;
	}
	set_run(m, f, rule, rule->len_max + (size_t)1, a);
	expect(m, f, a, "too long", RK_MALFORMED);
	if (rule->flags & STRICT_LEN_OR_0) {
		set_run(m, f, rule, 1, a);
		expect(m, f, a, "between 0 and its length", RK_MALFORMED);
		set_run(m, f, rule, rule->len_max - (size_t)1, a);
		expect(m, f, a, "one short", RK_MALFORMED);
		set_run(m, f, rule, 0, a);
		expect(m, f, a, "empty", RK_OK);
	} else if (rule->len_min > 0) {
		set_run(m, f, rule, rule->len_min - (size_t)1, a);
		expect(m, f, a, "too short", RK_MALFORMED);
	}
	set_run(m, f, rule, rule->len_min, a);
	expect(m, f, a, "shortest", RK_OK);
	set_run(m, f, rule, rule->len_max, a);
	expect(m, f, a, "longest", RK_OK);
}

/* n times the same element: the rules do not ask that they differ. */
static void set_count(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const void *element, size_t n, struct arena *a)
{
	size_t size = schema_kit_element(f);
	uint8_t *array;

	arena_raise(a, n * size + 16);
	array = arena_alloc(a, n * size);
	assert_non_null(array);
	for (size_t i = 0; i < n; i++)
		memcpy(array + i * size, element, size);
	*schema_kit_count(m, f) = n;
	*(void **)schema_kit_member(m, f) = n > 0 ? array : NULL;
}

static void probe_count(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const struct strict_rule *rule, struct arena *a)
{
	union {
		ProtobufCBinaryData data;
		void *pointer;
		uint32_t number;
	} element = {.pointer = NULL};

	if (rule->count_max == 0) {
		if (f->type == PROTOBUF_C_TYPE_MESSAGE)
			element.pointer = schema_kit_random(f->descriptor, a);
		set_count(m, f, &element, 1, a);
		expect(m, f, a, "must be empty", RK_UNSUPPORTED);
		set_count(m, f, &element, 0, a);
		return;
	}
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		element.pointer = schema_kit_random(f->descriptor, a);
	else if (f->type == PROTOBUF_C_TYPE_STRING)
		element.pointer = schema_kit_run(rule, rule->len_min, a);
	else
		element.data = (ProtobufCBinaryData){rule->len_min, schema_kit_run(rule, rule->len_min, a)};
	set_count(m, f, &element, rule->count_max + (size_t)1, a);
	expect(m, f, a, "too many", RK_MALFORMED);
	if (rule->count_min > 0) {
		set_count(m, f, &element, rule->count_min - (size_t)1, a);
		expect(m, f, a, "too few", RK_MALFORMED);
	}
	set_count(m, f, &element, rule->count_max, a);
	expect(m, f, a, "most", RK_OK);
	set_count(m, f, &element, rule->count_min, a);
	expect(m, f, a, "fewest", RK_OK);
}

static void set_int(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, uint64_t v)
{
	memcpy(schema_kit_member(m, f), &v, schema_kit_element(f));
}

static void probe_int(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const struct strict_rule *rule, struct arena *a)
{
	uint64_t type_max = f->type == PROTOBUF_C_TYPE_UINT32 ? UINT32_MAX : f->type == PROTOBUF_C_TYPE_INT64 ? INT64_MAX : UINT64_MAX;
	bool is_version = rule->flags & STRICT_VERSION;
	int below_or_above = is_version ? RK_VERSION : rule->flags & STRICT_RESERVED ? RK_UNSUPPORTED : RK_MALFORMED;

	if (rule->flags & STRICT_RESERVED) {
		set_int(m, f, 1);
		expect(m, f, a, "reserved, 1", RK_UNSUPPORTED);
		set_int(m, f, type_max);
		expect(m, f, a, "reserved, largest", RK_UNSUPPORTED);
		set_int(m, f, 0);
		expect(m, f, a, "reserved, 0", RK_OK);
		return;
	}
	if (f->type == PROTOBUF_C_TYPE_INT64) {
		set_int(m, f, UINT64_MAX);
		expect(m, f, a, "negative", rule->max == UINT64_MAX ? RK_OK : RK_MALFORMED);
	}
	if (rule->min > 0) {
		set_int(m, f, rule->min - 1);
		expect(m, f, a, "below", below_or_above);
	}
	if (rule->max < type_max) {
		set_int(m, f, rule->max + 1);
		expect(m, f, a, "above", below_or_above);
	}
	set_int(m, f, rule->max < type_max ? rule->max : type_max);
	expect(m, f, a, "largest", RK_OK);
	set_int(m, f, rule->min);
	expect(m, f, a, "smallest", RK_OK);
}

static void probe_field(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f, struct arena *a)
{
	const struct strict_rule *rule = schema_kit_rule(d, f->id);
	ProtobufCMessage *m = schema_kit_random(d, a);

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		probe_count(m, f, rule, a);
	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_STRING:
		probe_run(m, f, rule, a);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)schema_kit_member(m, f) = 2;
		assert_int_equal(strict_check(m), RK_MALFORMED);
		break;
	case PROTOBUF_C_TYPE_ENUM: {
		const ProtobufCEnumDescriptor *e = f->descriptor;

		set_int(m, f, (uint64_t)e->values[e->n_values - 1].value + 1);
		expect(m, f, a, "behind the last value", RK_MALFORMED);
		set_int(m, f, UINT32_MAX);
		expect(m, f, a, "-1", RK_MALFORMED);
		break;
	}
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	default:
		if (f->label != PROTOBUF_C_LABEL_REPEATED)
			probe_int(m, f, rule, a);
	}
}

static void both_sides_of_every_limit(void **state)
{
	(void)state;
	for (unsigned i = 0; schema_kit_at(i) != NULL; i++)
		for (unsigned k = 0; k < schema_kit_at(i)->n_fields; k++) {
			struct arena *a = arena_new(0);

			probe_field(schema_kit_at(i), &schema_kit_at(i)->fields[k], a);
			arena_free(a);
		}
}

static void random_messages_survive_and_mutants_stay_canonical(void **state)
{
	unsigned refused = 0, accepted = 0;
	(void)state;

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; schema_kit_at(i) != NULL; i++) {
			const ProtobufCMessageDescriptor *d = schema_kit_at(i);
			struct arena *a = arena_new(0);
			struct bytes wire, again;
			ProtobufCMessage *m;

			assert_int_equal(strict_pack(schema_kit_random(d, a), a, &wire), RK_OK);
			assert_int_equal(strict_parse(d, wire, a, &m), RK_OK);
			assert_int_equal(strict_pack(m, a, &again), RK_OK);
			assert_true(bytes_equal(wire, again));
			/* Whatever is accepted is the canonical encoding of itself, mutants too. */
			for (unsigned k = 0; k < 20 && wire.len > 0; k++) {
				uint8_t *at = (uint8_t *)(uintptr_t)wire.data + randombytes_uniform((uint32_t)wire.len), old = *at;

				*at ^= (uint8_t)(1u << randombytes_uniform(8));
				if (strict_parse(d, wire, a, &m) == RK_OK) {
					assert_int_equal(strict_pack(m, a, &again), RK_OK);
					assert_true(bytes_equal(wire, again));
					accepted++;
				} else {
					assert_null(m);
					refused++;
				}
				*at = old;
			}
			arena_free(a);
		}
	}
	/* Both happen, else this tests nothing. */
	assert_true(refused > 1000 && accepted > 1000);
}

/* HAZARDS C2: what a wire byte costs in memory.  Each bomb repeats one unit. */
static void bombs_are_refused_within_the_budget(void **state)
{
	static const struct {
		const char *name;
		const ProtobufCMessageDescriptor *desc;
		const char *unit;
	} rows[] = {
		{"empty sub-messages", &rk__directory__descriptor, "3a00"},
		{"unknown fields", &rk__directory__descriptor, "4800"},
		{"empty strings", &rk__charter__descriptor, "3200"},
		{"empty bytes", &rk__envelope_header__descriptor, "aa0100"},
		{"unpacked integers", &rk__device__descriptor, "2801"},
		{"sub-messages of sub-messages", &rk__directory__descriptor, "3a021200"},
		{"one single field again and again", &rk__request__descriptor, "4200"},
	};
	const size_t len = 1 << 20;
	uint8_t *wire = malloc(len + 8), unit[WIRE_MAX];
	(void)state;

	assert_non_null(wire);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = from_text(unit, rows[i].unit), at = 0;
		struct arena *a = arena_new(0);
		ProtobufCMessage *m;
		int r;

		for (; at + n <= len; at += n)
			memcpy(wire + at, unit, n);
		r = strict_parse(rows[i].desc, bytes_make(wire, at), a, &m);
		if (r != RK_TOO_LARGE && r != RK_MALFORMED && r != RK_UNSUPPORTED && r != RK_VERSION)
			fail_msg("row %s: %d", rows[i].name, r);
		if (arena_used(a) > arena_budget(at))
			fail_msg("row %s: took %zu of %zu", rows[i].name, arena_used(a), arena_budget(at));
		arena_free(a);
	}
	free(wire);
}

/* The budget must do for the largest honest message of the smallest parts. */
static void a_directory_of_20000_fits_its_budget(void **state)
{
	struct arena *a = arena_new(0);
	Rk__OrgName name = RK__ORG_NAME__INIT, *names[] = {&name};
	Rk__Org org = RK__ORG__INIT, **orgs = calloc(20000, sizeof(*orgs));
	Rk__Directory d = RK__DIRECTORY__INIT, *parsed;
	char lang[] = "ja", text[] = "x", country[] = "JP";
	uint8_t id[32] = {1};
	struct bytes wire;
	(void)state;

	assert_non_null(orgs);
	name.lang = lang;
	name.name = text;
	org.org_id = (ProtobufCBinaryData){16, id};
	org.names = names;
	org.n_names = 1;
	org.country = country;
	org.org_pk = (ProtobufCBinaryData){32, id};
	org.since = 1;
	org.min_devices_serial = 1;
	for (size_t i = 0; i < 20000; i++)
		orgs[i] = &org;
	d.version = 1;
	d.serial = 1;
	d.issued_at = d.expires_at = 1;
	d.signer_id = org.org_id;
	d.orgs = orgs;
	d.n_orgs = 20000;
	assert_int_equal(STRICT_PACK(&d, a, &wire), RK_OK);
	assert_int_equal(STRICT_PARSE(directory, wire, a, &parsed), RK_OK);
	assert_int_equal(parsed->n_orgs, 20000);
	arena_free(a);
	free(orgs);
}

static void what_we_make_keeps_the_same_rules(void **state)
{
	struct arena *a = arena_new(0);
	Rk__LogEntry e = RK__LOG_ENTRY__INIT;
	Rk__WrapList list = RK__WRAP_LIST__INIT;
	Rk__Wrap *hole[] = {NULL};
	Rk__EnrolRequest request = RK__ENROL_REQUEST__INIT;
	uint8_t tag[32] = {0};
	struct bytes out;
	(void)state;

	e.version = 1;
	e.time_ms = 1;
	e.oh = (ProtobufCBinaryData){32, NULL};
	assert_int_equal(STRICT_PACK(&e, a, &out), RK_MALFORMED);
	assert_null(out.data);
	list.n_wraps = 1;
	assert_int_equal(STRICT_PACK(&list, a, &out), RK_MALFORMED);
	list.wraps = hole;
	assert_int_equal(STRICT_PACK(&list, a, &out), RK_MALFORMED);
	request.tag = (ProtobufCBinaryData){32, tag};
	request.enrol = (Rk__Signed *)&e;
	assert_int_equal(STRICT_PACK(&request, a, &out), RK_MALFORMED);
	request.enrol = NULL;
	assert_int_equal(STRICT_PACK(&request, a, &out), RK_OK);
	assert_int_equal(out.len, 34);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_encoding_and_rules),
		cmocka_unit_test(text_rules),
		cmocka_unit_test(both_sides_of_every_limit),
		cmocka_unit_test(random_messages_survive_and_mutants_stay_canonical),
		cmocka_unit_test(bombs_are_refused_within_the_budget),
		cmocka_unit_test(a_directory_of_20000_fits_its_budget),
		cmocka_unit_test(what_we_make_keeps_the_same_rules),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("strict", tests, NULL, NULL);
}
