/*
 * definition_kit: what strict_parse must answer, word for word and slowly: protobuf-c takes the bytes, keeps no unknown field at any level, pack() of
 * the message gives the same bytes, and strict_check finds its values legal.  It shares no walk over bytes with proto/canonical.c.
 */
#ifndef RENKEI_TESTS_DEFINITION_KIT_H
#define RENKEI_TESTS_DEFINITION_KIT_H

#include "proto/arena.h"
#include "proto/bytes.h"

/** The result and, with RK_OK, the message; else NULL.  The caller ends it with protobuf_c_message_free_unpacked(m, NULL).  No budget. */
int definition_parse(const ProtobufCMessageDescriptor *, struct bytes in, ProtobufCMessage **out);

/** True if two messages are the same to whoever reads their structures, addresses apart. */
bool definition_is_same(const ProtobufCMessage *, const ProtobufCMessage *);

/**
 * Runs strict_parse on a copy of exactly `in` and compares: its result, its message, what that is packed to, its memory.  NULL, or what differs.
 * `*result` is set either way.
 */
const char *definition_differs(const ProtobufCMessageDescriptor *, struct bytes in, int *result);

#endif
