/*
 * ring: how one thread hands work to the next.  A bounded queue of pointers with exactly one producer and one consumer,
 * and a bell (eventfd) that wakes a sleeping consumer.  Several rings may share the bell of their one consumer.
 * The pattern of a consumer: drain all rings; if all were empty, arm the bell, look once more, and only then sleep.
 */
#ifndef RENKEI_BROKER_RING_H
#define RENKEI_BROKER_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring;
struct ring_bell;

/** NULL without memory or descriptors. */
struct ring_bell *ring_bell_new(void);
/** NULL is allowed. */
void ring_bell_free(struct ring_bell *);
/** Wakes the consumer if it sleeps or is about to.  Any thread. */
void ring_bell_ring(struct ring_bell *);
/** Consumer: says that it will sleep.  It must look at its rings again before it does. */
void ring_bell_arm(struct ring_bell *);
/** Consumer: the eventfd, readable when rung while armed; for a poll set of the consumer's own. */
int ring_bell_fd(const struct ring_bell *);
/** Consumer: awake again, whatever the reason.  Empties the eventfd. */
void ring_bell_disarm(struct ring_bell *);
/** Consumer, after arm: sleeps until rung or timeout_ms (-1: for ever), then disarms. */
void ring_bell_sleep(struct ring_bell *, int timeout_ms);

/** capacity is rounded up to a power of two, at least 2.  The bell is borrowed and must outlive the ring. */
struct ring *ring_new(size_t capacity, struct ring_bell *);
/** The caller has drained it; NULL is allowed. */
void ring_free(struct ring *);

/**
 * Producer: false when full.  The item must not be NULL.  The consumer finds it when it looks, but is not woken: one who puts many wakes once,
 * with ring_wake, at the end of its turn and before it waits for anything.
 */
bool ring_put(struct ring *, void *item);
/** Producer: waits until there is room.  Only towards a consumer that never waits for this producer. */
void ring_put_wait(struct ring *, void *item);
/** Producer: wakes the consumer if something was put since the last time. */
void ring_wake(struct ring *);
/** ring_put and ring_wake. */
bool ring_push(struct ring *, void *item);
void ring_push_wait(struct ring *, void *item);
/** Consumer: the oldest item, or NULL. */
void *ring_pop(struct ring *);
/** Consumer: true if there is nothing.  Sequentially consistent, so that arm + is_empty misses no push. */
bool ring_is_empty(struct ring *);
/** Any thread: how many items there are, about. */
size_t ring_count(struct ring *);

#endif
