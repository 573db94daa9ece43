/*
 * canonical: one walk over the bytes beside the rows of the message, which ascend as the tags in the bytes must.
 *
 * At each field the form is judged first, then the value against its row, then it is stored.  The two kinds of refusal differ.  What is not
 * canonical ends the walk: `false` or NULL all the way up.  What a rule refuses as malformed ends it too, for nothing behind it could change the
 * answer.  Any other refusal (version, unsupported, no memory) is only noted, since what follows may still not be canonical, which is the stronger
 * answer: from there on nothing more is judged by rules, nothing is allocated and nothing stored.
 *
 * What bounds memory: the arena's budget; and an array is taken for a list only when its elements have been counted in the bytes and the count
 * is legal.
 */
#include "proto/canonical.h"

#include <string.h>

#include "proto/errcode.h"
#include "proto/strict_internal.h"

enum wire { WIRE_VARINT = 0, WIRE_RUN = 2 };

struct varint {
	uint64_t value;
	const uint8_t *next; /* behind it; NULL: there is none, or not in its shortest form */
};

/* The tenth byte holds one bit. */
static struct varint take_long_varint(const uint8_t *p, const uint8_t *end)
{
	struct varint out = {0, NULL};

	for (unsigned i = 0; p < end && i < 10; i++) {
		uint8_t b = *p++;

		out.value |= (uint64_t)(b & 0x7F) << (7 * i);
		if (b & 0x80)
			continue;
		if ((b == 0 && i > 0) || (i == 9 && b > 1))
			break;
		out.next = p;
		break;
	}
	return out;
}

static inline struct varint take_varint(const uint8_t *p, const uint8_t *end)
{
	return p < end && *p < 0x80 ? (struct varint){*p, p + 1} : take_long_varint(p, end);
}

/* The length of a run, all of which is there. */
static inline struct varint take_length(const uint8_t *p, const uint8_t *end)
{
	struct varint len = take_varint(p, end);

	if (len.next != NULL && len.value > (size_t)(end - len.next))
		len.next = NULL;
	return len;
}

struct decoder {
	struct arena *arena;
	int refusal; /* the first that is not the end; RK_OK: values are judged and stored */
};

/* Only while there is none yet.  False: the walk ends here. */
static bool refuse(struct decoder *d, int code)
{
	d->refusal = code;
	return code != RK_MALFORMED;
}

static void *place(const struct decoder *d, void *base, size_t offset)
{
	return d->refusal == RK_OK ? (uint8_t *)base + offset : NULL;
}

static bool fits(unsigned kind, uint64_t v)
{
	switch (kind) {
	case STRICT_BOOL:
		return v <= 1;
	case STRICT_UINT32:
		return v <= UINT32_MAX;
	case STRICT_INT32:
	case STRICT_ENUM:
		/* Negative numbers of 32 bits are written as those of 64. */
		return v <= INT32_MAX || v >= UINT64_MAX - INT32_MAX;
	default:
		return true;
	}
}

static bool take_number(struct decoder *d, const struct strict_rule *rule, uint64_t v, void *at)
{
	int r = strict_check_number(rule, v);

	if (d->refusal != RK_OK || r != RK_OK)
		return fits(rule->kind, v) && (d->refusal != RK_OK || refuse(d, r));
	if (rule->size == sizeof(uint64_t))
		*(uint64_t *)at = v;
	else
		*(uint32_t *)at = (uint32_t)v;
	return true;
}

static bool take_message(struct decoder *, const struct strict_message *, const uint8_t *p, const uint8_t *end, ProtobufCMessage *m);

/* NULL when nothing is stored any more. */
static ProtobufCMessage *message_new(struct decoder *d, const ProtobufCMessageDescriptor *desc)
{
	ProtobufCMessage *m;

	if (d->refusal != RK_OK)
		return NULL;
	m = arena_alloc(d->arena, desc->sizeof_message);
	if (m == NULL)
		d->refusal = RK_TOO_LARGE;
	else
		desc->message_init(m);
	return m;
}

static bool take_inner(struct decoder *d, const struct strict_rule *rule, const uint8_t *p, size_t len, void *at)
{
	const struct strict_message *t = strict_message_at(rule->inner);
	ProtobufCMessage *m = message_new(d, t->desc);

	if (m != NULL)
		memcpy(at, &m, sizeof(m));
	return take_message(d, t, p, p + len, m);
}

/* The value of a field with a length. */
static bool take_run(struct decoder *d, const struct strict_rule *rule, const uint8_t *p, size_t len, void *at)
{
	uint8_t *copy = NULL;
	int r;

	if (rule->kind == STRICT_MESSAGE)
		return take_inner(d, rule, p, len, at);
	/* Read as a C string, it would be written shorter. */
	if (rule->kind == STRICT_STRING && memchr(p, 0, len) != NULL)
		return false;
	if (d->refusal != RK_OK)
		return true;
	if ((r = strict_check_run(rule, bytes_make(p, len))) != RK_OK)
		return refuse(d, r);
	if (rule->kind == STRICT_STRING) {
		if ((copy = arena_copy(d->arena, p, len)) == NULL)
			return refuse(d, RK_TOO_LARGE);
		*(char **)at = (char *)copy;
		return true;
	}
	/* An empty element of a list of bytes has no memory, as protobuf-c has it. */
	if (len > 0 && (copy = arena_alloc(d->arena, len)) == NULL)
		return refuse(d, RK_TOO_LARGE);
	if (len > 0)
		memcpy(copy, p, len);
	*(ProtobufCBinaryData *)at = (ProtobufCBinaryData){len, copy};
	return true;
}

static const uint8_t *take_single(struct decoder *d, const struct strict_rule *rule, const uint8_t *p, const uint8_t *end, ProtobufCMessage *m)
{
	struct varint v;

	if (rule->kind < STRICT_BYTES) {
		v = take_varint(p, end);
		/* Zero is written as nothing at all; so is an empty run below, while a message that is there and empty is not an absent one. */
		if (v.next == NULL || v.value == 0 || !take_number(d, rule, v.value, place(d, m, rule->offset)))
			return NULL;
		return v.next;
	}
	v = take_length(p, end);
	if (v.next == NULL || (v.value == 0 && rule->kind != STRICT_MESSAGE) ||
	    !take_run(d, rule, v.next, (size_t)v.value, place(d, m, rule->offset)))
		return NULL;
	return v.next + v.value;
}

/* Room for n elements in m; NULL when it is refused, or nothing is stored any more.  n is at most 2^20 when it is legal (rules.awk). */
static uint8_t *list_new(struct decoder *d, const struct strict_rule *rule, size_t n, ProtobufCMessage *m)
{
	uint8_t *array;

	if ((d->refusal = strict_check_count(rule, n)) != RK_OK)
		return NULL;
	array = arena_alloc(d->arena, n * rule->size);
	if (array == NULL) {
		d->refusal = RK_TOO_LARGE;
		return NULL;
	}
	memcpy((uint8_t *)m + rule->offset, &array, sizeof(array));
	*(size_t *)(void *)((uint8_t *)m + rule->count_offset) = n;
	return array;
}

/* The elements that follow each other from p, behind the first one's tag; none beyond the first that is too many. */
static size_t count_elements(const struct strict_rule *rule, const uint8_t *p, const uint8_t *end)
{
	size_t n = 0;

	while (n <= rule->count_max) {
		struct varint v = take_length(p, end);

		if (v.next == NULL)
			break;
		n++;
		p = v.next + v.value;
		v = take_varint(p, end);
		if (v.next == NULL || v.value != rule->tag)
			break;
		p = v.next;
	}
	return n;
}

/* Elements with a length, behind the first one's tag. */
static const uint8_t *take_list(struct decoder *d, const struct strict_rule *rule, const uint8_t *p, const uint8_t *end, ProtobufCMessage *m)
{
	size_t n = 0;
	uint8_t *array = NULL;

	if (d->refusal == RK_OK) {
		n = count_elements(rule, p, end);
		array = list_new(d, rule, n, m);
		if (d->refusal == RK_MALFORMED)
			return NULL;
	}
	for (size_t i = 0;; i++) {
		struct varint v = take_length(p, end);

		if (v.next == NULL || (d->refusal == RK_OK && i >= n) ||
		    !take_run(d, rule, v.next, (size_t)v.value, place(d, array, i * rule->size)))
			return NULL;
		p = v.next + v.value;
		v = take_varint(p, end);
		if (v.next == NULL || v.value != rule->tag)
			return p;
		p = v.next;
	}
}

/* Numbers in one run.  Each ends with its only byte below 0x80. */
static const uint8_t *take_packed(struct decoder *d, const struct strict_rule *rule, const uint8_t *p, const uint8_t *end, ProtobufCMessage *m)
{
	struct varint v = take_length(p, end);
	size_t n = 0;
	uint8_t *array = NULL;

	if (v.next == NULL || v.value == 0)
		return NULL;
	p = v.next;
	end = p + v.value;
	if (d->refusal == RK_OK) {
		for (const uint8_t *at = p; at < end; at++)
			n += *at < 0x80;
		array = list_new(d, rule, n, m);
		if (d->refusal == RK_MALFORMED)
			return NULL;
	}
	for (size_t i = 0; p < end; i++) {
		v = take_varint(p, end);
		if (v.next == NULL || (d->refusal == RK_OK && i >= n) || !take_number(d, rule, v.value, place(d, array, i * rule->size)))
			return NULL;
		p = v.next;
	}
	return p;
}

/* A field that is not there is its default. */
static bool take_absent(struct decoder *d, const struct strict_rule *rule)
{
	if (!(rule->flags & STRICT_REQUIRED) || d->refusal != RK_OK)
		return true;
	return refuse(d, rule->flags & STRICT_VERSION ? RK_VERSION : RK_MALFORMED);
}

/* m is NULL when nothing is stored any more. */
static bool take_message(struct decoder *d, const struct strict_message *t, const uint8_t *p, const uint8_t *end, ProtobufCMessage *m)
{
	const struct strict_rule *rule = t->rules, *last = rule + t->count;

	while (p < end) {
		struct varint tag = take_varint(p, end);

		if (tag.next == NULL)
			return false;
		for (; rule < last && rule->tag < tag.value; rule++)
			if (!take_absent(d, rule))
				return false;
		/* Unknown, out of order, there twice, or of another wire type. */
		if (rule == last || rule->tag != tag.value)
			return false;
		p = tag.next;
		p = !(rule->flags & STRICT_LIST) ? take_single(d, rule, p, end, m) :
		    rule->kind < STRICT_BYTES	 ? take_packed(d, rule, p, end, m) : take_list(d, rule, p, end, m);
		if (p == NULL)
			return false;
		rule++;
	}
	for (; rule < last; rule++)
		if (!take_absent(d, rule))
			return false;
	return true;
}

int canonical_parse(const struct strict_message *t, struct bytes in, struct arena *arena, ProtobufCMessage **out)
{
	static const uint8_t nothing[1];
	const uint8_t *p = in.len > 0 ? in.data : nothing;
	struct decoder d = {arena, RK_OK};
	ProtobufCMessage *m = message_new(&d, t->desc);

	if (!take_message(&d, t, p, p + in.len, m))
		return RK_MALFORMED;
	if (d.refusal == RK_OK)
		*out = m;
	return d.refusal;
}

struct bytes canonical_field(struct bytes in, uint32_t field)
{
	const uint8_t *p = in.data, *end = in.len > 0 ? p + in.len : p;

	/* Fields ascend: beyond it there is nothing to look for. */
	while (p < end) {
		struct varint tag = take_varint(p, end), v;
		bool is_run = (tag.value & 7) == WIRE_RUN;

		if (tag.next == NULL || tag.value >> 3 > field)
			break;
		v = is_run ? take_length(tag.next, end) : take_varint(tag.next, end);
		if (v.next == NULL)
			break;
		if (is_run && tag.value >> 3 == field)
			return bytes_make(v.next, (size_t)v.value);
		p = v.next + (is_run ? v.value : 0);
	}
	return bytes_make(NULL, 0);
}
