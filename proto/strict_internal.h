/*
 * strict_internal: the table of fields and rules that parser and packer share, and one value against its row.  The table is made from renkei.proto
 * at build time (proto/rules.awk, build/gen/rules.inc) and never changes.
 */
#ifndef RENKEI_PROTO_STRICT_INTERNAL_H
#define RENKEI_PROTO_STRICT_INTERNAL_H

#include <protobuf-c/protobuf-c.h>

#include "proto/bytes.h"
#include "proto/errcode.h"

/* Types of fields: first the numbers, which are varints on the wire, then what has a length there. */
enum strict_kind {
	STRICT_INT32,
	STRICT_INT64,
	STRICT_UINT32,
	STRICT_UINT64,
	STRICT_BOOL,
	STRICT_ENUM,
	STRICT_BYTES,
	STRICT_STRING,
	STRICT_MESSAGE,
};

enum strict_flag {
	STRICT_RESERVED = 1, /* only the default value: else RK_UNSUPPORTED */
	STRICT_VERSION = 2,  /* max holds the one legal value: else RK_VERSION */
	STRICT_TEXT = 4,
	STRICT_NAME = 8,
	STRICT_LEN_OR_0 = 16, /* len=0|N: empty or exactly len_max */
	STRICT_REQUIRED = 32, /* its absence breaks its rule */
	STRICT_LIST = 64,     /* a repeated field; numbers in it are packed */
};

/* A field: where it stands on the wire and in memory, and what it may hold. */
struct strict_rule {
	uint32_t tag; /* number << 3 | wire type, as it is written */
	uint16_t flags;
	uint8_t kind;
	uint8_t size;                  /* bytes in memory of its value, or of one element */
	uint16_t offset, count_offset; /* in the C structure; the latter of a list */
	uint16_t inner;                /* a message field: the number of its type, for strict_message_at */
	uint32_t len_min, len_max;     /* bytes and strings */
	uint32_t count_min, count_max; /* lists */
	uint64_t min, max;             /* numbers, negative ones as the 64 bits that stand on the wire; never beyond the type */
	uint64_t listed;               /* the values of an enum as bits; all bits for other numbers */
};

struct strict_message {
	const ProtobufCMessageDescriptor *desc;
	const struct strict_rule *rules; /* one for each field, in ascending order, as desc->fields */
	uint32_t count;
};

/** The i-th message of renkei.proto in the order of names; NULL past the end. */
const struct strict_message *strict_message_at(size_t i);

/** The message of this descriptor, or NULL if it is not of renkei.proto.  Any thread. */
const struct strict_message *strict_message_of(const ProtobufCMessageDescriptor *);

/** True if the text is UTF-8 without NUL that keeps STRICT_NAME or STRICT_TEXT, whichever flags has. */
bool strict_is_clean(struct bytes text, uint32_t flags);

/** A number against its row: RK_OK, RK_MALFORMED, RK_VERSION or RK_UNSUPPORTED.  What is RK_OK is within the type. */
static inline int strict_check_number(const struct strict_rule *rule, uint64_t v)
{
	if (v < rule->min || v > rule->max)
		return rule->flags & STRICT_VERSION ? RK_VERSION : rule->flags & STRICT_RESERVED ? RK_UNSUPPORTED : RK_MALFORMED;
	/* An enum's largest value is below 64. */
	return rule->listed >> (v & 63) & 1 ? RK_OK : RK_MALFORMED;
}

/** A bytes or string value against its row: RK_OK, RK_MALFORMED or RK_UNSUPPORTED. */
static inline int strict_check_run(const struct strict_rule *rule, struct bytes value)
{
	if (rule->flags & STRICT_RESERVED)
		return value.len == 0 ? RK_OK : RK_UNSUPPORTED;
	if (rule->flags & STRICT_LEN_OR_0) {
		if (value.len != 0 && value.len != rule->len_max)
			return RK_MALFORMED;
	} else if (value.len < rule->len_min || value.len > rule->len_max) {
		return RK_MALFORMED;
	}
	return rule->flags & (STRICT_NAME | STRICT_TEXT) && !strict_is_clean(value, rule->flags) ? RK_MALFORMED : RK_OK;
}

/** The length of a list against its row: RK_OK, RK_MALFORMED or RK_UNSUPPORTED. */
static inline int strict_check_count(const struct strict_rule *rule, size_t count)
{
	if (rule->count_max == 0)
		return count == 0 ? RK_OK : RK_UNSUPPORTED;
	return count >= rule->count_min && count <= rule->count_max ? RK_OK : RK_MALFORMED;
}

#endif
