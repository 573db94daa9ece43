/*
 * strict_rules: the generated table, and the forms of text.
 *
 * rules.inc is read twice: for the rows of fields and for the messages that own them.  Offsets and sizes are the compiler's; a name that protoc-c
 * does not make so does not compile.
 */
#include <stdatomic.h>
#include <string.h>

#include "proto/strict.h"
#include "proto/strict_internal.h"
#include "renkei.pb-c.h"

_Static_assert(sizeof(protobuf_c_boolean) == 4 && sizeof(Rk__Kind) == 4, "the parser stores numbers in 4 or 8 bytes");

#define BIT(n) UINT64_C(1) << n
#define ROW(at, count_at, bytes, number, wire, kind, flags, len_min, len_max, count_min, count_max, min, max, listed, inner) \
	{number << 3 | wire, flags, kind, bytes, at, count_at, inner, len_min, len_max, count_min, count_max, min, max, listed},
#define FIELD(type, member, ...) ROW(offsetof(Rk__##type, member), 0, sizeof(((Rk__##type *)0)->member), __VA_ARGS__)
#define LIST(type, member, ...) \
	ROW(offsetof(Rk__##type, member), offsetof(Rk__##type, n_##member), sizeof(*((Rk__##type *)0)->member), __VA_ARGS__)
#define MESSAGE(type, name, first, count)

static const struct strict_rule rules[] = {
#include "rules.inc"
};

#undef FIELD
#undef LIST
#undef MESSAGE
#define FIELD(...)
#define LIST(...)
#define MESSAGE(type, name, first, count) {&rk__##name##__descriptor, rules + first, count},

static const struct strict_message messages[] = {
#include "rules.inc"
};

#define MESSAGES_COUNT (sizeof(messages) / sizeof(messages[0]))

/*
 * Which message a descriptor belongs to, as it was last found: descriptors have no room for it.  A place for each few addresses; what two share is
 * searched again.  Only pointers into a constant table are kept, so that no order between threads matters.
 */
#define FOUND_COUNT 256
static const struct strict_message *_Atomic found[FOUND_COUNT];

const struct strict_message *strict_message_at(size_t i)
{
	return i < MESSAGES_COUNT ? &messages[i] : NULL;
}

static const struct strict_message *search(const ProtobufCMessageDescriptor *desc)
{
	size_t low = 0, high = MESSAGES_COUNT;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(messages[middle].desc->name, desc->name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < MESSAGES_COUNT && messages[low].desc == desc ? &messages[low] : NULL;
}

const struct strict_message *strict_message_of(const ProtobufCMessageDescriptor *desc)
{
	const struct strict_message *_Atomic *place = &found[(uintptr_t)desc / 64 % FOUND_COUNT];
	const struct strict_message *t = atomic_load_explicit(place, memory_order_relaxed);

	if (t != NULL && t->desc == desc)
		return t;
	t = search(desc);
	if (t != NULL)
		atomic_store_explicit(place, t, memory_order_relaxed);
	return t;
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

bool strict_is_clean(struct bytes text, uint32_t flags)
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
