/*
 * ring: head is written by the consumer only, tail by the producer only; both only grow.  A put is published by the
 * store of tail, a pop by the store of head.  Sleeping is Dekker's: the consumer writes `asleep`, then reads tail; the
 * producer, when it wakes, writes tail (once more), then reads `asleep`; all four sequentially consistent, so at least one of them sees the other.
 */
#include "broker/ring.h"

#include <errno.h>
#include <poll.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define CACHE_LINE_BYTES 64
#define FULL_WAIT_NS 50000 /* between two looks at a full ring: short against an fsync */

struct ring_bell {
	atomic_bool asleep;
	int fd;
};

struct ring {
	alignas(CACHE_LINE_BYTES) _Atomic size_t head; /* next to pop */
	alignas(CACHE_LINE_BYTES) _Atomic size_t tail; /* next to push */
	size_t told;                                   /* the producer's: tail when it last woke the consumer */
	alignas(CACHE_LINE_BYTES) size_t mask;
	struct ring_bell *bell;
	void *slots[];
};

struct ring_bell *ring_bell_new(void)
{
	struct ring_bell *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->fd < 0) {
		free(b);
		return NULL;
	}
	return b;
}

void ring_bell_free(struct ring_bell *b)
{
	if (b == NULL)
		return;
	close(b->fd);
	free(b);
}

void ring_bell_ring(struct ring_bell *b)
{
	const uint64_t one = 1;

	if (!atomic_load(&b->asleep) || !atomic_exchange(&b->asleep, false))
		return;
	/* The only failure is a counter near 2^64: then it is readable anyway. */
	while (write(b->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void ring_bell_arm(struct ring_bell *b)
{
	atomic_store(&b->asleep, true);
}

int ring_bell_fd(const struct ring_bell *b)
{
	return b->fd;
}

void ring_bell_disarm(struct ring_bell *b)
{
	uint64_t count;

	atomic_store(&b->asleep, false);
	while (read(b->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

void ring_bell_sleep(struct ring_bell *b, int timeout_ms)
{
	struct pollfd p = {.fd = b->fd, .events = POLLIN};

	/* EINTR or a time-out: the consumer looks at its rings either way. */
	(void)poll(&p, 1, timeout_ms);
	ring_bell_disarm(b);
}

struct ring *ring_new(size_t capacity, struct ring_bell *bell)
{
	size_t size = 2;
	struct ring *r;

	while (size < capacity)
		size *= 2;
	r = aligned_alloc(CACHE_LINE_BYTES, (sizeof(*r) + size * sizeof(void *) + CACHE_LINE_BYTES - 1) /
	                                            CACHE_LINE_BYTES * CACHE_LINE_BYTES);
	if (r == NULL)
		return NULL;
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	r->told = 0;
	r->mask = size - 1;
	r->bell = bell;
	return r;
}

void ring_free(struct ring *r)
{
	free(r);
}

bool ring_put(struct ring *r, void *item)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&r->head, memory_order_acquire) > r->mask)
		return false;
	r->slots[tail & r->mask] = item;
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

void ring_put_wait(struct ring *r, void *item)
{
	const struct timespec pause = {.tv_nsec = FULL_WAIT_NS};

	while (!ring_put(r, item)) {
		ring_wake(r);
		nanosleep(&pause, NULL);
	}
}

void ring_wake(struct ring *r)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail == r->told)
		return;
	r->told = tail;
	atomic_store(&r->tail, tail);
	ring_bell_ring(r->bell);
}

bool ring_push(struct ring *r, void *item)
{
	bool had_room = ring_put(r, item);

	ring_wake(r);
	return had_room;
}

void ring_push_wait(struct ring *r, void *item)
{
	ring_put_wait(r, item);
	ring_wake(r);
}

void *ring_pop(struct ring *r)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	void *item;

	if (head == atomic_load_explicit(&r->tail, memory_order_acquire))
		return NULL;
	item = r->slots[head & r->mask];
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return item;
}

bool ring_is_empty(struct ring *r)
{
	return atomic_load_explicit(&r->head, memory_order_relaxed) == atomic_load(&r->tail);
}

size_t ring_count(struct ring *r)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	return atomic_load_explicit(&r->tail, memory_order_relaxed) - head;
}
