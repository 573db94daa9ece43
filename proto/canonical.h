/*
 * canonical: the one encoding of a message, read in one walk over its bytes.
 *
 * Taken is exactly what protobuf_c_message_unpack takes without keeping an unknown field at any level, and of which pack() is the input: fields
 * in ascending order, singular ones at most once and never with their default, every varint in its shortest form and within its type, numbers of
 * a list packed.  protobuf-c alone takes all else too.  CRYPTO 2.0.
 */
#ifndef RENKEI_PROTO_CANONICAL_H
#define RENKEI_PROTO_CANONICAL_H

#include <protobuf-c/protobuf-c.h>

#include "proto/arena.h"
#include "proto/bytes.h"

struct strict_message;

/**
 * strict_parse without its door: reads `in` as this type into the arena, whose budget stands.  `*out` is set on RK_OK only.  Results and their
 * order are those of strict_parse.  Any thread.  Recursion is as deep as the schema, which has no recursive message (test_schema).
 */
int canonical_parse(const struct strict_message *, struct bytes in, struct arena *, ProtobufCMessage **out);

/** The bytes of a message, text or bytes field, as they stand in a message that is canonical; empty, with NULL, if it is not there.  Borrowed. */
struct bytes canonical_field(struct bytes message, uint32_t field);

#endif
