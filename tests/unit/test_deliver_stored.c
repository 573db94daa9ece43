/*
 * deliver while the tables do not have yet what was answered (path.h, "stored"): who must see all of it waits, in his place, and gets it then; who
 * need not is answered at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "proto/errcode.h"
#include "tests/unit/rig.h"

#define MUCH ((uint32_t)1 << 25)

/* As apply's thread does it: a batch is durable, … */
static void save(struct rig *r)
{
	atomic_fetch_add(&r->path.batches, 1);
}

/* … and now the tables have it, and all before. */
static void store(struct rig *r)
{
	atomic_store(&r->path.stored, atomic_load(&r->path.batches));
	atomic_store(&r->path.store_stuck, false);
	atomic_store(&r->path.store_wanted, false);
}

static void ask_object(struct rig *r)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__GetObject g = RK__GET_OBJECT__INIT;

	g.type = RK__OBJECT_TYPE__OBJECT_CHARTER;
	q.op = RK__OP__OP_GET_OBJECT;
	q.get_object = &g;
	rig_ask(r, &q);
}

static void ask_proof(struct rig *r)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__GetProof g = RK__GET_PROOF__INIT;

	g.size = 1;
	q.op = RK__OP__OP_GET_PROOF;
	q.get_proof = &g;
	atomic_fetch_add(&r->path.proofs, 1);
	rig_ask(r, &q);
}

static void subscribe(struct rig *r)
{
	rig_subscribe(r, 0);
}

static void unsubscribe(struct rig *r)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = RK__CHANNEL__NEED;
	q.op = RK__OP__OP_UNSUBSCRIBE;
	q.unsubscribe = &id;
	rig_ask(r, &q);
}

static void assert_replies(const struct rig *r, const Rk__Op *ops, unsigned count)
{
	assert_int_equal(r->reply_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(r->replies[i], ops[i]);
}

/* It sleeps, for a short time, and finds nothing to do. */
static void assert_waits(struct rig *r)
{
	for (unsigned i = 0; i < 3; i++) {
		assert_true(deliver_is_idle(r->deliver));
		assert_false(deliver_turn(r->deliver));
		assert_true(deliver_sleep_ms(r->deliver) <= 4);
	}
	assert_true(atomic_load(&r->path.store_wanted));
}

static void who_subscribes_waits_in_his_place(void **state)
{
	struct rig *r = *state;

	save(r);
	rig_credit(r, 1, 1);
	unsubscribe(r);
	subscribe(r);
	ask_object(r);
	unsubscribe(r);
	subscribe(r);
	rig_run(r, 0);
	assert_replies(r, (const Rk__Op[]){RK__OP__OP_CREDIT, RK__OP__OP_UNSUBSCRIBE}, 2);
	assert_waits(r);
	/* One for whom all is there that was answered when he asked is not kept by what comes after. */
	store(r);
	save(r);
	rig_run(r, 0);
	assert_replies(r, (const Rk__Op[]){RK__OP__OP_SUBSCRIBE, RK__OP__OP_GET_OBJECT, RK__OP__OP_UNSUBSCRIBE}, 3);
	assert_waits(r);
	store(r);
	rig_run(r, 0);
	assert_replies(r, (const Rk__Op[]){RK__OP__OP_SUBSCRIBE}, 1);
	assert_false(atomic_load(&r->path.store_wanted));
}

/* No batch that changes them is ever saved. */
static void objects_and_proofs_wait_for_nothing(void **state)
{
	struct rig *r = *state;

	save(r);
	ask_object(r);
	ask_proof(r);
	rig_run(r, 0);
	assert_replies(r, (const Rk__Op[]){RK__OP__OP_GET_OBJECT, RK__OP__OP_GET_PROOF}, 2);
	assert_false(atomic_load(&r->path.store_wanted));
	assert_int_equal(atomic_load(&r->path.proofs), 0);
}

static void a_subscriber_is_told_of_all_that_was_answered(void **state)
{
	struct rig *r = *state;

	rig_append(r, 3, 1000);
	save(r);
	rig_subscribe(r, 0);
	rig_credit(r, 1000, MUCH);
	assert_int_equal(rig_run(r, 0), 0);
	rig_append(r, 2, 1000);
	store(r);
	assert_int_equal(rig_run(r, 0), 5);
	assert_int_equal(r->head, 5);
}

/* Nobody read the channel when its last posts came: they are in no page. */
static void what_is_in_no_page_is_waited_for(void **state)
{
	struct rig *r = *state;

	for (unsigned pass = 0; pass < 2; pass++) {
		uint64_t head = 10 * pass;

		r->peer.bundles = pass == 0;
		r->peer.routing_id[0] = (uint8_t)pass; /* another session */
		rig_append(r, 7, 1000);
		rig_subscribe(r, head);
		assert_int_equal(rig_run(r, 0), 0);
		assert_int_equal(r->head, head + 7);
		save(r);
		rig_tell(r, head + 10);
		rig_credit(r, 1000, MUCH);
		/* What is in the tables comes at once. */
		assert_int_equal(rig_run(r, 0), 7);
		assert_replies(r, (const Rk__Op[]){RK__OP__OP_CREDIT}, 1);
		assert_waits(r);
		rig_append(r, 3, 1000);
		store(r);
		assert_int_equal(rig_run(r, 0), 3);
		assert_int_equal(rig_run(r, 0), 0);
	}
}

/* Live, posts go from apply to their readers past the tables. */
static void what_is_in_a_page_goes_at_once(void **state)
{
	struct rig *r = *state;

	r->peer.bundles = true;
	rig_subscribe(r, 0);
	rig_credit(r, 1000, MUCH);
	assert_int_equal(rig_run(r, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		save(r);
		rig_page(r, 1 + 2 * i, 2);
		rig_tell(r, 2 + 2 * i);
		assert_int_equal(rig_run(r, 0), 2);
		assert_false(atomic_load(&r->path.store_wanted));
	}
	rig_append(r, 6, 500);
	store(r);
	assert_int_equal(rig_run(r, 0), 0);
}

/* A reader who is behind has come to the end of the tables, and holds up nobody; then the rest comes, whole and once. */
static void who_waits_holds_up_nobody(void **state)
{
	struct rig *r = *state;
	struct roster_device other = r->device;
	struct peer first = r->peer, second = r->peer;

	memset(other.device_id, 0xd2, 16);
	assert_true(roster_put_device(r->path.roster, &other));
	memcpy(second.id, other.device_id, 16);
	second.routing_id[0] = 2;
	rig_append(r, 5, 1000);
	r->peer = second;
	rig_subscribe(r, 5);
	rig_credit(r, 1000, MUCH);
	r->peer = first;
	rig_subscribe(r, 0);
	rig_run(r, 0);
	save(r);
	rig_page(r, 6, 2);
	rig_tell(r, 9); /* and no page has 8 and 9 */
	rig_credit(r, 1000, MUCH);
	assert_int_equal(rig_run(r, 0), 7);
	assert_int_equal(r->others, 2);
	assert_waits(r);
	rig_credit(r, 1, 1);
	rig_run(r, 0);
	assert_replies(r, (const Rk__Op[]){RK__OP__OP_CREDIT}, 1);
	rig_append(r, 4, 500);
	store(r);
	assert_int_equal(rig_run(r, 0), 2);
	assert_int_equal(r->others, 2);
}

/* With no room for them in the tables, what is there has to do. */
static void nobody_waits_for_what_is_stuck(void **state)
{
	struct rig *r = *state;

	rig_append(r, 5, 1000);
	save(r);
	rig_subscribe(r, 0);
	ask_object(r);
	ask_proof(r);
	rig_credit(r, 1000, MUCH);
	rig_run(r, 0);
	assert_replies(r, NULL, 0);
	assert_waits(r);
	atomic_store(&r->path.store_stuck, true);
	atomic_store(&r->path.store_wanted, false);
	assert_int_equal(rig_run(r, 0), 5);
	assert_replies(r, (const Rk__Op[]){RK__OP__OP_SUBSCRIBE, RK__OP__OP_GET_OBJECT, RK__OP__OP_GET_PROOF, RK__OP__OP_CREDIT}, 4);
	assert_false(atomic_load(&r->path.store_wanted));
	rig_credit(r, 1000, MUCH);
	rig_run(r, 0);
	assert_replies(r, (const Rk__Op[]){RK__OP__OP_CREDIT}, 1);
}

/* A reader who was told of posts that the tables had no room for gets them when they have, also if no other post comes. */
static void what_was_stuck_comes_when_there_is_room(void **state)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct rig *r = *state;

	rig_append(r, 5, 1000);
	rig_subscribe(r, 0);
	rig_run(r, 0);
	save(r);
	atomic_store(&r->path.store_stuck, true);
	rig_tell(r, 7);
	rig_credit(r, 1000, MUCH);
	assert_int_equal(rig_run(r, 0), 5);
	/* It does not ask without pause. */
	assert_true(deliver_is_idle(r->deliver));
	assert_false(deliver_turn(r->deliver));
	rig_append(r, 2, 1000);
	store(r);
	for (int i = 0; i < 100 && rig_run(r, 0) == 0; i++)
		nanosleep(&pause, NULL);
	assert_int_equal(r->entries, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)
		TEST(who_subscribes_waits_in_his_place),
		TEST(objects_and_proofs_wait_for_nothing),
		TEST(a_subscriber_is_told_of_all_that_was_answered),
		TEST(what_is_in_no_page_is_waited_for),
		TEST(what_is_in_a_page_goes_at_once),
		TEST(who_waits_holds_up_nobody),
		TEST(nobody_waits_for_what_is_stuck),
		TEST(what_was_stuck_comes_when_there_is_room),
	};

	return cmocka_run_group_tests_name("deliver before the tables have it", tests, NULL, NULL);
}
