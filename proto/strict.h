/*
 * strict: the one parser and the one packer of protobuf messages.  A message is accepted only if it is the
 * canonical encoding of itself and keeps every rule annotated in renkei.proto (lengths, counts, ranges,
 * closed enums, UTF-8, reserved fields).  CRYPTO 2.0; mistakes 2, 3 and 16 of CRYPTO 4.
 */
#ifndef RENKEI_PROTO_STRICT_H
#define RENKEI_PROTO_STRICT_H

#include <protobuf-c/protobuf-c.h>

#include "proto/arena.h"
#include "proto/bytes.h"

/**
 * Parses `in` as a message of `desc`: the canonical encoding (proto/canonical.h: no unknown field at any level, pack() of it is the input byte for
 * byte), within the arena's budget, that keeps every rule of renkei.proto.  `*out` is what protobuf-c would unpack, lives in the arena and
 * borrows nothing from `in`; it is NULL unless RK_OK is returned.  The caller has capped in.len.
 * Returns RK_OK; RK_MALFORMED if it is not canonical, wherever that shows; else the first refusal in the order of fields, depth first:
 * RK_MALFORMED, RK_VERSION, RK_UNSUPPORTED by a rule, RK_TOO_LARGE when budget or memory do not do.  A type that is not of renkei.proto is
 * malformed.  Raises the arena's budget by arena_budget(in.len) itself.
 */
int strict_parse(const ProtobufCMessageDescriptor *desc, struct bytes in, struct arena *, ProtobufCMessage **out);

/** Typed use: Rk__Charter *c; STRICT_PARSE(charter, in, arena, &c) */
#define STRICT_PARSE(type, in, arena, out) \
	strict_parse(&rk__##type##__descriptor, (in), (arena), (ProtobufCMessage **)(out))

/**
 * Packs a message that we made into the arena.  It must keep the same rules: else nothing is packed and the same
 * code is returned as a parser would give, so that we never sign what every receiver refuses.  Raises the arena's
 * budget by the packed length itself; RK_ENOMEM without memory.
 */
int strict_pack(const ProtobufCMessage *, struct arena *, struct bytes *out);

#define STRICT_PACK(message, arena, out) strict_pack(&(message)->base, (arena), (out))

/** Checks the rules alone, on a message that was made, not parsed. */
int strict_check(const ProtobufCMessage *);

/** True if the text is valid UTF-8 without embedded NUL (and, for names, without controls and bidi overrides). */
bool strict_is_utf8(struct bytes text);
bool strict_is_name(struct bytes text);
bool strict_is_text(struct bytes text);

/** ProtobufCBinaryData from and to bytes; borrowed, no copy. */
static inline ProtobufCBinaryData pb_of(struct bytes b)
{
	return (ProtobufCBinaryData){b.len, (uint8_t *)(uintptr_t)b.data};
}

static inline struct bytes bytes_of(ProtobufCBinaryData d)
{
	return (struct bytes){d.data, d.len};
}

/** A text for a message that is only packed, borrowed; NULL as "", for packing writes no NULL. */
static inline char *pb_text(const char *s)
{
	return (char *)(uintptr_t)(s != NULL ? s : "");
}

#endif
