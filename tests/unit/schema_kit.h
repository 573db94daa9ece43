/* schema_kit: every message of renkei.proto, and random valid messages, by reflection.  For tests of parsers. */
#ifndef RENKEI_TESTS_SCHEMA_KIT_H
#define RENKEI_TESTS_SCHEMA_KIT_H

#include <protobuf-c/protobuf-c.h>

#include "proto/arena.h"
#include "proto/strict.h"
#include "proto/strict_internal.h"

/** The i-th message type that can be reached from what is sent, signed or sealed; NULL past the end. */
const ProtobufCMessageDescriptor *schema_kit_at(unsigned i);

/** The row of a field, or NULL if there is no such field. */
const struct strict_rule *schema_kit_rule(const ProtobufCMessageDescriptor *, uint32_t field);

/** A random message that keeps every rule; lives in the arena, whose budget is raised as needed.  Never NULL. */
ProtobufCMessage *schema_kit_random(const ProtobufCMessageDescriptor *, struct arena *);

/** `len` bytes of text or of random bytes that fit the rule's flags, in the arena, with a NUL after them. */
uint8_t *schema_kit_run(const struct strict_rule *, size_t len, struct arena *);

/** Where a field, or the count of a repeated one, lies. */
static inline void *schema_kit_member(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return (uint8_t *)m + f->offset;
}

static inline size_t *schema_kit_count(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return (size_t *)(void *)((uint8_t *)m + f->quantifier_offset);
}

/** Bytes of one element of a field in memory. */
size_t schema_kit_element(const ProtobufCFieldDescriptor *);

#endif
