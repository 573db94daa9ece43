/*
 * canonical: is this the one encoding of a message?  Wire bytes against a descriptor, before anything is unpacked or allocated.
 *
 * True exactly if protobuf_c_message_unpack takes the bytes, keeps no unknown field at any level, and pack() of the result is the input: fields
 * in ascending order, singular ones at most once and never with their default, every varint in its shortest form and within its type,
 * scalars packed where the schema packs them.  protobuf-c alone takes all else too.  CRYPTO 2.0.
 */
#ifndef RENKEI_PROTO_CANONICAL_H
#define RENKEI_PROTO_CANONICAL_H

#include <protobuf-c/protobuf-c.h>

#include "proto/bytes.h"

/** Any thread.  Recursion is as deep as the schema, which has no recursive message.  Types that the schema does not use are false. */
bool canonical_is(const ProtobufCMessageDescriptor *, struct bytes);

/** The bytes of a message, text or bytes field, as they stand in a message that is canonical; empty, with NULL, if it is not there.  Borrowed. */
struct bytes canonical_field(struct bytes message, uint32_t field);

#endif
