/*
 * arena: memory for one message, given back at once.  It has a budget, so no input can make a parser take
 * more than its length allows (HAZARDS C2: protobuf-c amplifies up to 104 times).
 */
#ifndef RENKEI_PROTO_ARENA_H
#define RENKEI_PROTO_ARENA_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

struct arena;

/** A new arena that gives at most budget_bytes between two resets, or NULL without memory. */
struct arena *arena_new(size_t budget_bytes);

/** 16-byte aligned, uninitialised; NULL when the budget or memory is out.  Valid until reset or free. */
void *arena_alloc(struct arena *, size_t len);

/** A copy of len bytes at src, followed by a NUL that is not counted; NULL as arena_alloc. */
void *arena_copy(struct arena *, const void *src, size_t len);

/** Gives everything back and sets a new budget; keeps one block for reuse. */
void arena_reset(struct arena *, size_t budget_bytes);

/** Adds to the budget of the current use: 8 x len + 64 KiB for a frame of len bytes is the rule (CRYPTO 2.0). */
void arena_raise(struct arena *, size_t more_bytes);

/** Bytes given since the last reset. */
size_t arena_used(const struct arena *);

/** Wipes all memory before giving it back, for arenas that held secrets. */
void arena_free_wiped(struct arena *);

/** NULL is allowed. */
void arena_free(struct arena *);

/** The allocator face for protobuf-c: free does nothing.  Borrowed from the arena, same lifetime. */
ProtobufCAllocator *arena_allocator(struct arena *);

/** The budget of a frame of len bytes: 8 x len + 64 KiB. */
size_t arena_budget(size_t len);

#endif
