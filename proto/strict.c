/*
 * strict: reflection over protobuf-c's descriptors, beside the generated rows of rules.inc.
 *
 * protobuf-c takes unknown fields, duplicates, any varint length, explicit defaults and any order: canonical.c refuses all of it, before anything
 * is unpacked.  What is left are the values.
 *
 * Rows are sorted by (message, field number), as descriptors sort their fields, so that one binary search per message
 * type finds the first row and both lists are then walked side by side.  Nothing is built at run time: any thread may
 * parse at any time.  Recursion is as deep as the schema, which has no recursive message (test_schema).
 */
#include "proto/strict.h"

#include <string.h>

#include "proto/canonical.h"
#include "proto/errcode.h"

static const struct strict_rule rules[] = {
#include "rules.inc"
};

#define RULES_COUNT (sizeof(rules) / sizeof(rules[0]))

static int check_message(const ProtobufCMessage *m, size_t first_rule);

const struct strict_rule *strict_rules(size_t *count)
{
	*count = RULES_COUNT;
	return rules;
}

/* The first row of a message; the row after it in the order of names where the message has none. */
static size_t rules_find(const char *message)
{
	size_t low = 0, high = RULES_COUNT;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(rules[middle].message, message) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The code point that begins at text.data[*at], which moves past it; UINT32_MAX if it is not UTF-8 in shortest form:
 * over-long forms, surrogates and values above U+10FFFF are refused.
 */
static uint32_t utf8_next(struct bytes text, size_t *at)
{
	uint8_t lead = text.data[*at];
	size_t more = lead < 0x80 ? 0 : lead < 0xC2 ? SIZE_MAX : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : lead < 0xF5 ? 3 : SIZE_MAX;
	uint32_t point;

	if (more > text.len - *at - 1)
		return UINT32_MAX;
	point = more == 0 ? lead : lead & (0x3Fu >> more);
	for (size_t i = 1; i <= more; i++) {
		uint8_t next = text.data[*at + i];

		if ((next & 0xC0) != 0x80)
			return UINT32_MAX;
		point = point << 6 | (next & 0x3F);
	}
	if ((more == 2 && (point < 0x800 || (point >= 0xD800 && point <= 0xDFFF))) ||
	    (more == 3 && (point < 0x10000 || point > 0x10FFFF)))
		return UINT32_MAX;
	*at += more + 1;
	return point;
}

static bool is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7F && point <= 0x9F);
}

/* What can make a line of a table read other than it is: direction marks and overrides, line and paragraph separators. */
static bool is_layout_control(uint32_t point)
{
	return point == 0x061C || point == 0x200E || point == 0x200F || (point >= 0x2028 && point <= 0x202E) ||
	       (point >= 0x2066 && point <= 0x2069);
}

/* flags: STRICT_NAME, STRICT_TEXT or 0. */
static bool is_clean(struct bytes text, uint32_t flags)
{
	for (size_t at = 0; at < text.len;) {
		uint32_t point = utf8_next(text, &at);

		if (point == UINT32_MAX || point == 0)
			return false;
		if (flags & STRICT_NAME && (is_control(point) || is_layout_control(point)))
			return false;
		if (flags & STRICT_TEXT && is_control(point) && point != '\t' && point != '\n')
			return false;
	}
	return true;
}

bool strict_is_utf8(struct bytes text)
{
	return is_clean(text, 0);
}

bool strict_is_name(struct bytes text)
{
	return is_clean(text, STRICT_NAME);
}

bool strict_is_text(struct bytes text)
{
	return is_clean(text, STRICT_TEXT);
}

/* A bytes or string value against its row. */
static int check_run(struct bytes value, const struct strict_rule *rule)
{
	if (value.len > 0 && value.data == NULL)
		return RK_MALFORMED;
	if (rule->flags & STRICT_RESERVED)
		return value.len == 0 ? RK_OK : RK_UNSUPPORTED;
	if (rule->flags & STRICT_LEN_OR_0) {
		if (value.len != 0 && value.len != rule->len_max)
			return RK_MALFORMED;
	} else if (value.len < rule->len_min || value.len > rule->len_max) {
		return RK_MALFORMED;
	}
	return rule->flags & (STRICT_NAME | STRICT_TEXT) && !is_clean(value, rule->flags) ? RK_MALFORMED : RK_OK;
}

/* An integer against its row, which may be absent.  A rule on a signed field makes every negative value illegal. */
static int check_integer(uint64_t value, bool is_negative, const struct strict_rule *rule)
{
	if (rule == NULL)
		return RK_OK;
	if (rule->flags & STRICT_RESERVED)
		return value == 0 ? RK_OK : RK_UNSUPPORTED;
	if (rule->flags & STRICT_VERSION)
		return value == rule->max ? RK_OK : RK_VERSION;
	return !is_negative && value >= rule->min && value <= rule->max ? RK_OK : RK_MALFORMED;
}

/* Bytes that one element takes in the C structure; 0 for a type that the schema may not use. */
static size_t element_bytes(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(uint32_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 0;
	}
}

/* One value: `at` points to it in the message's structure or in the array of a repeated field. */
static int check_value(const ProtobufCFieldDescriptor *f, const void *at, const struct strict_rule *rule,
                       size_t first_rule)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32: {
		int32_t v = *(const int32_t *)at;
		return check_integer((uint64_t)v, v < 0, rule);
	}
	case PROTOBUF_C_TYPE_INT64: {
		int64_t v = *(const int64_t *)at;
		return check_integer((uint64_t)v, v < 0, rule);
	}
	case PROTOBUF_C_TYPE_UINT32:
		return check_integer(*(const uint32_t *)at, false, rule);
	case PROTOBUF_C_TYPE_UINT64:
		return check_integer(*(const uint64_t *)at, false, rule);
	case PROTOBUF_C_TYPE_BOOL: {
		protobuf_c_boolean v = *(const protobuf_c_boolean *)at;
		return v == 0 || v == 1 ? RK_OK : RK_MALFORMED;
	}
	case PROTOBUF_C_TYPE_ENUM:
		return protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)at) != NULL ? RK_OK : RK_MALFORMED;
	case PROTOBUF_C_TYPE_STRING: {
		const char *text = *(char *const *)at;
		return check_run(bytes_str(text != NULL ? text : ""), rule);
	}
	case PROTOBUF_C_TYPE_BYTES:
		return check_run(bytes_of(*(const ProtobufCBinaryData *)at), rule);
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *m = *(ProtobufCMessage *const *)at;
		/* Absent is legal for a single one only; which must be present is a rule of each message's user. */
		if (m == NULL)
			return f->label == PROTOBUF_C_LABEL_REPEATED ? RK_MALFORMED : RK_OK;
		if (m->descriptor != f->descriptor)
			return RK_MALFORMED;
		return check_message(m, first_rule);
	}
	default:
		return RK_MALFORMED; /* float, fixed and zigzag types: not in the schema (test_schema) */
	}
}

static int check_repeated(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const struct strict_rule *rule,
                          size_t first_rule)
{
	size_t count = *(const size_t *)((const uint8_t *)m + f->quantifier_offset);
	const uint8_t *array = *(uint8_t *const *)((const uint8_t *)m + f->offset);
	size_t size = element_bytes(f->type);
	int r;

	if (rule->count_max == 0)
		return count == 0 ? RK_OK : RK_UNSUPPORTED;
	if (count < rule->count_min || count > rule->count_max || (count > 0 && array == NULL))
		return RK_MALFORMED;
	for (size_t i = 0; i < count; i++)
		if ((r = check_value(f, array + i * size, rule, first_rule)) != RK_OK)
			return r;
	return RK_OK;
}

/* True for what may not go without a row: such a field is refused, whatever it holds. */
static bool needs_rule(const ProtobufCFieldDescriptor *f)
{
	return f->label == PROTOBUF_C_LABEL_REPEATED || f->type == PROTOBUF_C_TYPE_STRING ||
	       f->type == PROTOBUF_C_TYPE_BYTES;
}

static int check_message(const ProtobufCMessage *m, size_t first_rule)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;
	const struct strict_rule *next = rules + first_rule, *end = next;
	int r;

	if (m->n_unknown_fields != 0)
		return RK_MALFORMED;
	if (first_rule < RULES_COUNT && strcmp(next->message, d->name) == 0)
		end += next->left;
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const void *at = (const uint8_t *)m + f->offset;
		const struct strict_rule *rule = NULL;
		size_t inner = 0;

		if (next < end && next->field == f->id)
			rule = next++;
		if (rule == NULL && needs_rule(f))
			return RK_MALFORMED;
		/* An absent message needs no search; a repeated one needs one search for all its elements. */
		if (f->type == PROTOBUF_C_TYPE_MESSAGE && *(void *const *)at != NULL)
			inner = rules_find(((const ProtobufCMessageDescriptor *)f->descriptor)->name);
		r = f->label == PROTOBUF_C_LABEL_REPEATED ? check_repeated(m, f, rule, inner) :
							    check_value(f, at, rule, inner);
		if (r != RK_OK)
			return r;
	}
	return RK_OK;
}

int strict_check(const ProtobufCMessage *m)
{
	return check_message(m, rules_find(m->descriptor->name));
}

/* Tells "no memory left for it" from "not a message": protobuf_c_message_unpack answers NULL to both. */
struct watched_arena {
	struct arena *arena;
	bool is_exhausted;
};

static void *watched_alloc(void *data, size_t size)
{
	struct watched_arena *w = data;
	void *out = arena_alloc(w->arena, size);

	if (out == NULL)
		w->is_exhausted = true;
	return out;
}

static void watched_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

int strict_parse(const ProtobufCMessageDescriptor *desc, struct bytes in, struct arena *arena, ProtobufCMessage **out)
{
	struct watched_arena watched = {arena, false};
	ProtobufCAllocator allocator = {watched_alloc, watched_free, &watched};
	ProtobufCMessage *m;
	int r;

	*out = NULL;
	if (!canonical_is(desc, in))
		return RK_MALFORMED;
	arena_raise(arena, arena_budget(in.len));
	m = protobuf_c_message_unpack(desc, &allocator, in.len, in.data);
	if (m == NULL)
		return watched.is_exhausted ? RK_TOO_LARGE : RK_MALFORMED;
	r = strict_check(m);
	if (r == RK_OK)
		*out = m;
	return r;
}

int strict_pack(const ProtobufCMessage *m, struct arena *arena, struct bytes *out)
{
	size_t len;
	uint8_t *data;
	int r = strict_check(m);

	*out = bytes_make(NULL, 0);
	if (r != RK_OK)
		return r;
	len = protobuf_c_message_get_packed_size(m);
	arena_raise(arena, len + 16);
	data = arena_alloc(arena, len);
	if (data == NULL)
		return RK_ENOMEM;
	if (protobuf_c_message_pack(m, data) != len)
		return RK_EINTERNAL;
	*out = bytes_make(data, len);
	return RK_OK;
}
