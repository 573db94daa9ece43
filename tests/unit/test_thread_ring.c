/*
 * ring: nothing is lost, doubled or reordered between two threads, whether the consumer is awake or asleep; a full ring
 * says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "broker/ring.h"

#define ITEMS 200000
#define SLEEPY_ITEMS 300

struct pair {
	struct ring_bell *bell;
	struct ring *a, *b;    /* two rings of one consumer */
	atomic_bool a_done, b_done;
};

static void pair_init(struct pair *p, size_t capacity)
{
	p->bell = ring_bell_new();
	assert_non_null(p->bell);
	p->a = ring_new(capacity, p->bell);
	p->b = ring_new(capacity, p->bell);
	assert_non_null(p->a);
	assert_non_null(p->b);
	atomic_init(&p->a_done, false);
	atomic_init(&p->b_done, false);
}

static void pair_clear(struct pair *p)
{
	ring_free(p->a);
	ring_free(p->b);
	ring_bell_free(p->bell);
}

static void *item(uintptr_t n)
{
	return (void *)n; /* only compared, never followed */
}

static void *produce_a(void *user)
{
	struct pair *p = user;

	for (uintptr_t i = 1; i <= ITEMS; i++)
		ring_push_wait(p->a, item(i));
	atomic_store(&p->a_done, true);
	ring_bell_ring(p->bell);
	return NULL;
}

static void *produce_b(void *user)
{
	struct pair *p = user;

	for (uintptr_t i = 1; i <= ITEMS; i++)
		while (!ring_push(p->b, item(i)))
			sched_yield();
	atomic_store(&p->b_done, true);
	ring_bell_ring(p->bell);
	return NULL;
}

static bool take_next(struct ring *r, uintptr_t *last)
{
	uintptr_t got = (uintptr_t)ring_pop(r);

	if (got == 0)
		return false;
	assert_int_equal(got, *last + 1);
	*last = got;
	return true;
}

static void two_producers_one_consumer_in_order(void **state)
{
	uintptr_t last_a = 0, last_b = 0;
	struct pair p;
	pthread_t a, b;

	(void)state;
	pair_init(&p, 64);
	assert_int_equal(pthread_create(&a, NULL, produce_a, &p), 0);
	assert_int_equal(pthread_create(&b, NULL, produce_b, &p), 0);
	while (last_a < ITEMS || last_b < ITEMS) {
		bool any = take_next(p.a, &last_a);

		any = take_next(p.b, &last_b) || any;
		if (any)
			continue;
		ring_bell_arm(p.bell);
		/* For ever: a lost wake-up would hang the test. */
		if (ring_is_empty(p.a) && ring_is_empty(p.b) && !(atomic_load(&p.a_done) && atomic_load(&p.b_done)))
			ring_bell_sleep(p.bell, -1);
		else
			ring_bell_disarm(p.bell);
	}
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	assert_null(ring_pop(p.a));
	assert_null(ring_pop(p.b));
	pair_clear(&p);
}

static void *produce_slowly(void *user)
{
	const struct timespec pause = {.tv_nsec = 100000};
	struct pair *p = user;

	for (uintptr_t i = 1; i <= SLEEPY_ITEMS; i++) {
		ring_push_wait(p->a, item(i));
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void a_sleeping_consumer_is_woken_each_time(void **state)
{
	uintptr_t last = 0;
	struct pair p;
	pthread_t a;

	(void)state;
	pair_init(&p, 8);
	assert_int_equal(pthread_create(&a, NULL, produce_slowly, &p), 0);
	while (last < SLEEPY_ITEMS) {
		if (take_next(p.a, &last))
			continue;
		ring_bell_arm(p.bell);
		if (ring_is_empty(p.a))
			ring_bell_sleep(p.bell, -1);
		else
			ring_bell_disarm(p.bell);
	}
	pthread_join(a, NULL);
	pair_clear(&p);
}

static void a_full_ring_says_so(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, 5); /* rounded up to 8 */
	for (uintptr_t i = 1; i <= 8; i++)
		assert_true(ring_push(p.a, item(i)));
	assert_false(ring_push(p.a, item(9)));
	assert_int_equal(ring_count(p.a), 8);
	assert_int_equal((uintptr_t)ring_pop(p.a), 1);
	assert_true(ring_push(p.a, item(9)));
	for (uintptr_t i = 2; i <= 9; i++)
		assert_int_equal((uintptr_t)ring_pop(p.a), i);
	assert_true(ring_is_empty(p.a));
	pair_clear(&p);
}

static void a_bell_rung_before_the_sleep_is_not_lost(void **state)
{
	struct pair p;
	struct pollfd fd;

	(void)state;
	pair_init(&p, 8);
	fd = (struct pollfd){.fd = ring_bell_fd(p.bell), .events = POLLIN};
	/* Nobody sleeps: no system call, nothing to read. */
	ring_bell_ring(p.bell);
	assert_int_equal(poll(&fd, 1, 0), 0);
	ring_bell_arm(p.bell);
	ring_bell_ring(p.bell);
	assert_int_equal(poll(&fd, 1, 0), 1);
	ring_bell_disarm(p.bell);
	assert_int_equal(poll(&fd, 1, 0), 0);
	pair_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_producers_one_consumer_in_order),
		cmocka_unit_test(a_sleeping_consumer_is_woken_each_time),
		cmocka_unit_test(a_full_ring_says_so),
		cmocka_unit_test(a_bell_rung_before_the_sleep_is_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
