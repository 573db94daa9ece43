/*
 * arena: a chain of blocks, the newest first.  The budget counts what was given, rounded to the alignment;
 * what is taken from malloc is at most twice that plus one block, since a block is never larger than it must be
 * or ARENA_BLOCK_BYTES.
 */
#include "proto/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

/* Under AddressSanitizer a block can be read and written only where it was given, to the byte. */
#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

#define ARENA_ALIGN 16
#define ARENA_BLOCK_BYTES (16 * 1024) /* holds any header frame and what is parsed from it */

struct block {
	struct block *next;
	size_t size; /* bytes of data */
	size_t used; /* bytes of data given */
	alignas(ARENA_ALIGN) uint8_t data[];
};

struct arena {
	struct block *blocks; /* newest first; NULL before the first use */
	size_t budget;
	size_t used; /* never above budget */
	ProtobufCAllocator allocator;
};

static void *allocator_alloc(void *data, size_t size)
{
	return arena_alloc(data, size);
}

/* The arena gives everything back at once. */
static void allocator_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

struct arena *arena_new(size_t budget_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->budget = budget_bytes;
	a->allocator = (ProtobufCAllocator){allocator_alloc, allocator_free, a};
	return a;
}

static struct block *block_new(size_t len)
{
	size_t size = len > ARENA_BLOCK_BYTES ? len : ARENA_BLOCK_BYTES;
	struct block *b = NULL;

	if (size > SIZE_MAX - sizeof(*b))
		return NULL;
	/* malloc's own alignment is 16 on every platform that Debian calls 64-bit; elsewhere it may be 8. */
	if (posix_memalign((void **)&b, ARENA_ALIGN, sizeof(*b) + size) != 0)
		return NULL;
	b->next = NULL;
	b->size = size;
	b->used = 0;
	ASAN_POISON_MEMORY_REGION(b->data, b->size);
	return b;
}

void *arena_alloc(struct arena *a, size_t len)
{
	struct block *b = a->blocks;
	size_t wanted = len;
	void *out;

	if (len > SIZE_MAX - (ARENA_ALIGN - 1))
		return NULL;
	/* An empty allocation still gets an address of its own. */
	len = len == 0 ? ARENA_ALIGN : (len + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (len > a->budget - a->used)
		return NULL;
	if (b == NULL || len > b->size - b->used) {
		b = block_new(len);
		if (b == NULL)
			return NULL;
		b->next = a->blocks;
		a->blocks = b;
	}
	out = b->data + b->used;
	b->used += len;
	a->used += len;
	ASAN_UNPOISON_MEMORY_REGION(out, wanted);
	return out;
}

void *arena_copy(struct arena *a, const void *src, size_t len)
{
	uint8_t *out = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;

	if (out == NULL)
		return NULL;
	if (len > 0)
		memcpy(out, src, len);
	out[len] = 0;
	return out;
}

/* Frees all blocks but `keep`, which may be NULL. */
static void blocks_free(struct arena *a, const struct block *keep, bool wipe)
{
	struct block *next;

	for (struct block *b = a->blocks; b != NULL; b = next) {
		next = b->next;
		if (b == keep)
			continue;
		ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
		if (wipe)
			sodium_memzero(b->data, b->used);
		free(b);
	}
}

void arena_reset(struct arena *a, size_t budget_bytes)
{
	struct block *keep = NULL;

	/* One of the usual size: a rare large message must not stay in memory for good. */
	for (struct block *b = a->blocks; b != NULL; b = b->next)
		if (b->size == ARENA_BLOCK_BYTES)
			keep = b;
	blocks_free(a, keep, false);
	if (keep != NULL) {
		keep->next = NULL;
		keep->used = 0;
		ASAN_POISON_MEMORY_REGION(keep->data, keep->size);
	}
	a->blocks = keep;
	a->used = 0;
	a->budget = budget_bytes;
}

void arena_raise(struct arena *a, size_t more_bytes)
{
	a->budget = more_bytes > SIZE_MAX - a->budget ? SIZE_MAX : a->budget + more_bytes;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

static void arena_end(struct arena *a, bool wipe)
{
	if (a == NULL)
		return;
	blocks_free(a, NULL, wipe);
	free(a);
}

void arena_free_wiped(struct arena *a)
{
	arena_end(a, true);
}

void arena_free(struct arena *a)
{
	arena_end(a, false);
}

ProtobufCAllocator *arena_allocator(struct arena *a)
{
	return &a->allocator;
}

size_t arena_budget(size_t len)
{
	const size_t base = 64 * 1024;

	return len > (SIZE_MAX - base) / 8 ? SIZE_MAX : 8 * len + base;
}
