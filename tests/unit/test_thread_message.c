/* message: those that are used again go between net's thread, which makes and frees them, and apply's, which gives them back; what is in one is never of another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "broker/message.h"
#include "broker/ring.h"

#define MESSAGES 40000u
#define LARGE 5000     /* too large to be used again */

struct rig {
	struct ring_bell *bell;
	struct ring *to_apply;
	struct message_load load;
};

static size_t length_of(unsigned i)
{
	return i % 7 == 0 ? LARGE : 1 + i % 1500;
}

/* Does the message hold what number i was given, and nothing of an earlier one? */
static void check(const struct message_in *m, unsigned i)
{
	const struct command *c = &m->command;

	assert_int_equal(c->frame_count, 1);
	assert_int_equal(c->frames[0].len, length_of(i));
	for (size_t k = 0; k < c->frames[0].len; k += 97)
		assert_int_equal(c->frames[0].data[k], (uint8_t)i);
	assert_true(c->req == NULL && c->refusal == 0 && c->head.len == 0 && !m->has_bulk && m->share == NULL && m->next == NULL && !m->key_unknown);
	assert_int_equal(c->peer.slot, i);
}

static void *apply(void *user)
{
	struct rig *r = user;

	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message_in *m;

		if (i % 3 == 0)
			continue; /* net freed it itself */
		while ((m = ring_pop(r->to_apply)) == NULL)
			sched_yield();
		check(m, i);
		assert_non_null(m->command.arena);
		assert_non_null(arena_alloc(m->command.arena, 100));
		message_in_give_back(m);
	}
	return NULL;
}

/* What a step would leave behind. */
static void use(struct message_in *m)
{
	struct command *c = &m->command;

	if (c->arena == NULL)
		c->arena = arena_new(4096);
	else
		arena_reset(c->arena, 4096);
	assert_int_equal(arena_used(c->arena), 0);
	assert_non_null(arena_alloc(c->arena, 1000));
}

static void nothing_of_one_is_seen_in_another(void **state)
{
	struct rig r = {.bell = ring_bell_new()};
	static uint8_t bytes[LARGE];
	pthread_t thread;

	(void)state;
	r.to_apply = ring_new(256, r.bell);
	r.load.spent = ring_new(64, r.bell);
	assert_int_equal(pthread_create(&thread, NULL, apply, &r), 0);
	for (unsigned i = 0; i < MESSAGES; i++) {
		const struct peer peer = {.slot = i};
		struct bytes frame = bytes_make(bytes, length_of(i));
		struct message_in *m;

		memset(bytes, (int)(uint8_t)i, frame.len);
		m = message_in_copy(&peer, &frame, 1, &r.load);
		assert_non_null(m);
		check(m, i);
		use(m);
		if (i % 3 == 0) {
			/* Traces that the next one must not find. */
			m->key_unknown = true;
			m->command.refusal = 1;
			m->command.head = frame;
			message_in_free(m);
			continue;
		}
		while (!ring_put(r.to_apply, m))
			sched_yield();
	}
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&r.load.count), 0);
	assert_int_equal(atomic_load(&r.load.bytes), 0);
	message_load_clear(&r.load);
	assert_null(r.load.unused);
	ring_free(r.load.spent);
	ring_free(r.to_apply);
	ring_bell_free(r.bell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_one_is_seen_in_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
