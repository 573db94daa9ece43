/*
 * strict: messages that were made against the rules, packing, and the door to the parser.
 *
 * protobuf-c takes unknown fields, duplicates, any varint length, explicit defaults and any order.  So what comes from outside is read by
 * canonical.c, which takes the one encoding of a message and judges its values in the same walk; protobuf-c only packs.
 */
#include "proto/strict.h"

#include "proto/canonical.h"
#include "proto/errcode.h"
#include "proto/strict_internal.h"

bool strict_is_utf8(struct bytes text)
{
	return strict_is_clean(text, 0);
}

bool strict_is_name(struct bytes text)
{
	return strict_is_clean(text, STRICT_NAME);
}

bool strict_is_text(struct bytes text)
{
	return strict_is_clean(text, STRICT_TEXT);
}

static int check_message(const ProtobufCMessage *, const struct strict_message *);

/* As it will stand on the wire: negative numbers of 32 bits as those of 64. */
static uint64_t number_at(const struct strict_rule *rule, const void *at)
{
	switch (rule->kind) {
	case STRICT_UINT32:
		return *(const uint32_t *)at;
	case STRICT_INT64:
	case STRICT_UINT64:
		return *(const uint64_t *)at;
	default:
		return (uint64_t)*(const int32_t *)at;
	}
}

/* One value: `at` points to it in the message's structure or in the array of a list. */
static int check_value(const struct strict_rule *rule, const void *at)
{
	switch (rule->kind) {
	case STRICT_STRING: {
		const char *text = *(char *const *)at;
		return strict_check_run(rule, bytes_str(text != NULL ? text : ""));
	}
	case STRICT_BYTES: {
		struct bytes value = bytes_of(*(const ProtobufCBinaryData *)at);
		return value.len > 0 && value.data == NULL ? RK_MALFORMED : strict_check_run(rule, value);
	}
	case STRICT_MESSAGE: {
		const ProtobufCMessage *m = *(ProtobufCMessage *const *)at;
		const struct strict_message *t = strict_message_at(rule->inner);
		/* Absent is legal for a single one only; which must be present is a rule of each message's user. */
		if (m == NULL)
			return rule->flags & STRICT_LIST ? RK_MALFORMED : RK_OK;
		return m->descriptor == t->desc ? check_message(m, t) : RK_MALFORMED;
	}
	default:
		return strict_check_number(rule, number_at(rule, at));
	}
}

static int check_list(const ProtobufCMessage *m, const struct strict_rule *rule)
{
	size_t count = *(const size_t *)((const uint8_t *)m + rule->count_offset);
	const uint8_t *array = *(uint8_t *const *)((const uint8_t *)m + rule->offset);
	int r = strict_check_count(rule, count);

	if (r != RK_OK)
		return r;
	if (count > 0 && array == NULL)
		return RK_MALFORMED;
	for (size_t i = 0; i < count; i++)
		if ((r = check_value(rule, array + i * rule->size)) != RK_OK)
			return r;
	return RK_OK;
}

/* Recursion is as deep as the schema, which has no recursive message (test_schema). */
static int check_message(const ProtobufCMessage *m, const struct strict_message *t)
{
	const struct strict_rule *end = t->rules + t->count;
	int r;

	if (m->n_unknown_fields != 0)
		return RK_MALFORMED;
	for (const struct strict_rule *rule = t->rules; rule < end; rule++) {
		r = rule->flags & STRICT_LIST ? check_list(m, rule) : check_value(rule, (const uint8_t *)m + rule->offset);
		if (r != RK_OK)
			return r;
	}
	return RK_OK;
}

int strict_check(const ProtobufCMessage *m)
{
	const struct strict_message *t = strict_message_of(m->descriptor);

	return t != NULL ? check_message(m, t) : RK_MALFORMED;
}

int strict_parse(const ProtobufCMessageDescriptor *desc, struct bytes in, struct arena *arena, ProtobufCMessage **out)
{
	const struct strict_message *t = strict_message_of(desc);

	*out = NULL;
	if (t == NULL)
		return RK_MALFORMED;
	arena_raise(arena, arena_budget(in.len));
	return canonical_parse(t, in, arena, out);
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
