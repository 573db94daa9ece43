/*
 * deliver and the thread of pages, which the test plays: what is asked for comes back when the test says so, in its order, with what the store had or an
 * error.  Who waits for pages holds up nobody; nothing is lost, doubled or asked for without end, whatever happens meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/page_load.h"
#include "proto/errcode.h"
#include "tests/unit/rig.h"

#define MUCH ((uint32_t)1 << 25)
#define LOADS_MAX 1000 /* of a test: above, it would go on for ever */

/* ---- the thread of pages */

static struct page_load *next_load(struct rig *r)
{
	return ring_pop(r->path.deliver_pages);
}

static void give_back(struct rig *r, struct page_load *l)
{
	assert_true(ring_push(r->path.pages_deliver, l));
}

static void read_pages(struct rig *r, struct page_load *l)
{
	assert_non_null(l);
	page_load_run(l, r->env, r->arena);
	assert_int_equal(l->code, RK_OK);
	give_back(r, l);
}

static void fail_load(struct rig *r, struct page_load *l)
{
	assert_non_null(l);
	l->code = RK_EIO;
	give_back(r, l);
}

/* ---- what happens to readers */

static void subscribe(struct rig *r, uint64_t cursor)
{
	rig_subscribe(r, cursor);
	rig_credit(r, 1000, MUCH);
}

/* Another device, by its number; it takes bundles as the first one does. */
static void subscribe_other(struct rig *r, uint8_t number, uint64_t cursor)
{
	const struct peer mine = r->peer;
	const uint64_t seq = r->seq;
	struct roster_device other = r->device;

	memset(other.device_id, number, 16);
	assert_true(roster_put_device(r->path.roster, &other));
	memcpy(r->peer.id, other.device_id, 16);
	r->peer.routing_id[0] = number;
	subscribe(r, cursor);
	r->peer = mine;
	r->seq = seq;
}

static void tell_of_peer(struct rig *r, enum deliver_event_kind kind)
{
	struct deliver_event *e = calloc(1, sizeof(*e));

	*e = (struct deliver_event){.kind = kind, .peer = r->peer};
	ring_push_wait(r->path.apply_deliver, e);
}

static void set_active(struct rig *r, bool active)
{
	r->device.active = active;
	assert_true(roster_put_device(r->path.roster, &r->device));
}

static void trim(struct rig *r, uint64_t through)
{
	const struct stream_id stream = stream_channel(r->channel);
	struct txn *t;

	assert_int_equal(env_begin(r->env, true, &t), RK_OK);
	assert_int_equal(stream_trim(t, &stream, through, 1000), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

/* As apply's thread does it: a batch is durable, and later in the tables. */
static void save(struct rig *r)
{
	atomic_fetch_add(&r->path.batches, 1);
}

static void store(struct rig *r)
{
	atomic_store(&r->path.stored, atomic_load(&r->path.batches));
}

/* ---- runs */

struct sum {
	unsigned entries, others;
	unsigned loads;
};

static void add(struct rig *r, struct sum *sum)
{
	rig_run(r, 0);
	sum->entries += r->entries;
	sum->others += r->others;
}

/* Whatever is asked for is read, one after the other, until nobody asks. */
static struct sum run_all(struct rig *r)
{
	struct sum sum = {0};
	struct page_load *l;

	for (add(r, &sum); (l = next_load(r)) != NULL; add(r, &sum)) {
		assert_true(++sum.loads < LOADS_MAX);
		read_pages(r, l);
	}
	return sum;
}

static void assert_quiet(struct rig *r)
{
	for (unsigned i = 0; i < 3; i++) {
		assert_true(deliver_is_idle(r->deliver));
		assert_false(deliver_turn(r->deliver));
	}
	assert_null(next_load(r));
}

/* ---- tests */

static void who_waits_for_pages_holds_up_nobody(void **state)
{
	struct rig *r = *state;
	struct page_load *l;

	r->peer.bundles = true;
	rig_append(r, 5, 1000);
	subscribe_other(r, 1, 5);
	subscribe(r, 0);
	assert_int_equal(rig_run(r, 0), 0);
	assert_non_null(l = next_load(r));
	rig_page(r, 6, 2);
	rig_tell(r, 7);
	rig_credit(r, 1, 1);
	rig_run(r, 0);
	assert_int_equal(r->others, 2);
	assert_true(r->reply_count == 1 && r->replies[0] == RK__OP__OP_CREDIT);
	assert_quiet(r);
	/* Then it gets what was loaded, and the other one's page. */
	read_pages(r, l);
	assert_int_equal(rig_run(r, 0), 7);
	assert_int_equal(r->others, 0);
	assert_quiet(r);
}

static void one_load_serves_all_at_the_same_place(void **state)
{
	struct rig *r = *state;
	struct page_load *l;

	r->peer.bundles = true;
	rig_append(r, 40, 1000);
	subscribe_other(r, 1, 0);
	subscribe(r, 0);
	subscribe_other(r, 2, 0);
	rig_run(r, 0);
	assert_non_null(l = next_load(r));
	assert_quiet(r);
	read_pages(r, l);
	assert_int_equal(rig_run(r, 0), 40);
	assert_int_equal(r->others, 80);
	assert_quiet(r);
}

/* There are three times as many places as loads; the loads come back in the other order. */
static void loads_are_bounded_and_all_get_everything(void **state)
{
	struct rig *r = *state;
	struct page_load *out[PATH_LOADS_MAX + 1];
	struct sum sum = {0};
	unsigned expected = 0, count;

	rig_append(r, 60, 1000);
	for (unsigned i = 1; i < 3 * PATH_LOADS_MAX; i++) {
		r->peer.bundles = i % 2 == 0;
		subscribe_other(r, (uint8_t)i, i);
		expected += 60 - i;
	}
	subscribe(r, 0);
	for (;;) {
		add(r, &sum);
		for (count = 0; count <= PATH_LOADS_MAX && (out[count] = next_load(r)) != NULL; count++)
			;
		assert_true(count <= PATH_LOADS_MAX);
		assert_true(sum.loads > 0 || count == PATH_LOADS_MAX);
		sum.loads += count;
		assert_true(sum.loads < LOADS_MAX);
		if (count == 0)
			break;
		while (count > 0)
			read_pages(r, out[--count]);
	}
	assert_int_equal(sum.entries, 60);
	assert_int_equal(sum.others, expected);
}

/* One place that is free is given to somebody at once. */
static void a_load_that_comes_back_makes_room_for_one(void **state)
{
	struct rig *r = *state;
	struct page_load *first;
	uint64_t cursor;

	r->peer.bundles = true;
	rig_append(r, 60, 1000);
	for (unsigned i = 1; i <= PATH_LOADS_MAX + 2; i++)
		subscribe_other(r, (uint8_t)i, i);
	rig_run(r, 0);
	assert_int_equal(ring_count(r->path.deliver_pages), PATH_LOADS_MAX);
	first = next_load(r);
	cursor = first->cursor;
	rig_run(r, 0);
	assert_int_equal(ring_count(r->path.deliver_pages), PATH_LOADS_MAX - 1);
	read_pages(r, first);
	rig_run(r, 0);
	assert_int_equal(r->others, 60 - cursor);
	assert_int_equal(ring_count(r->path.deliver_pages), PATH_LOADS_MAX);
}

/* Who subscribes here and there has one load out, even if others' loads come back all the time. */
static void who_wanders_has_one_load(void **state)
{
	struct rig *r = *state;
	unsigned own = 0;

	r->peer.bundles = true;
	rig_append(r, 60, 1000);
	for (unsigned i = 1; i <= PATH_LOADS_MAX; i++) {
		struct page_load *l;

		subscribe(r, i);
		rig_run(r, 0);
		subscribe_other(r, (uint8_t)i, 30 + i);
		rig_run(r, 0);
		while ((l = next_load(r)) != NULL) {
			if (memcmp(l->device_id, r->device.device_id, 16) == 0)
				own++;
			else
				read_pages(r, l);
		}
	}
	assert_int_equal(own, 1);
}

/* Those with a load each read on and on, a page at a time; who came later gets a place when one is free, before they go on. */
static void who_came_later_has_his_turn(void **state)
{
	struct rig *r = *state;

	r->config.page_entries = PATH_LOADS_MAX + 4; /* so that nobody comes to a place where another one has been */
	r->peer.bundles = true;
	rig_append(r, 200, 100);
	for (unsigned i = 1; i <= PATH_LOADS_MAX; i++)
		subscribe_other(r, (uint8_t)i, i);
	subscribe(r, 0);
	rig_run(r, 0);
	for (unsigned i = 0; i < PATH_LOADS_MAX; i++) {
		read_pages(r, next_load(r));
		assert_int_equal(rig_run(r, 0), 0);
		assert_int_equal(r->others, r->config.page_entries);
	}
	read_pages(r, next_load(r));
	assert_int_equal(rig_run(r, 0), r->config.page_entries);
	assert_int_equal(run_all(r).entries, 200 - r->config.page_entries);
}

/* The one place that falls free is for who has waited, not for who comes in the same moment. */
static void who_waits_to_ask_is_before_who_comes(void **state)
{
	struct rig *r = *state;
	struct page_load *l;

	r->peer.bundles = true;
	rig_append(r, 200, 100);
	for (unsigned i = 1; i <= PATH_LOADS_MAX + 1; i++)
		subscribe_other(r, (uint8_t)i, i);
	rig_run(r, 0);
	read_pages(r, next_load(r));
	subscribe(r, 50);
	rig_run(r, 0);
	for (unsigned i = 2; i <= PATH_LOADS_MAX + 1; i++) {
		assert_non_null(l = next_load(r));
		assert_int_equal(l->cursor, i);
		read_pages(r, l);
	}
	assert_null(next_load(r));
	assert_int_equal(run_all(r).entries, 150);
}

/* A few entries that were written a moment ago wait for no other thread; older ones do, however few. */
static void who_is_little_behind_is_served_at_once(void **state)
{
	struct rig *r = *state;

	r->peer.bundles = true;
	subscribe(r, 0);
	rig_run(r, 0);
	rig_append(r, 4, 1000);
	rig_tell(r, 4);
	assert_int_equal(rig_run(r, 0), 4);
	assert_null(next_load(r));
	rig_append(r, 5, 1000);
	rig_tell(r, 9);
	assert_int_equal(rig_run(r, 0), 0);
	assert_int_equal(run_all(r).entries, 5);
	r->channel = RK__CHANNEL__NEED;
	rig_append(r, 2, 1000);
	subscribe(r, 0);
	assert_int_equal(rig_run(r, 0), 0);
	assert_int_equal(run_all(r).entries, 2);
}

#define ENTRIES 120

static void is_cut(struct rig *r)
{
	tell_of_peer(r, DELIVER_CUT);
}

static void says_hello(struct rig *r)
{
	tell_of_peer(r, DELIVER_HELLO);
}

static void is_struck(struct rig *r)
{
	set_active(r, false);
}

/* Another connection, which reads nothing yet. */
static void reconnects(struct rig *r)
{
	r->peer.routing_id[0]++;
	rig_credit(r, 1, 1);
}

static void unsubscribes(struct rig *r)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = r->channel;
	q.op = RK__OP__OP_UNSUBSCRIBE;
	q.unsubscribe = &id;
	rig_ask(r, &q);
}

static void goes_to_the_end(struct rig *r)
{
	rig_subscribe(r, ENTRIES);
}

/* Whatever ends the reading while its load is out, and whether deliver learns of it before the load or with it: nothing comes; and there is room for the next load. */
static void whose_reading_ended_gets_nothing(void **state)
{
	struct rig *r = *state;
	void (*const ends[])(struct rig *) = {is_cut, says_hello, is_struck, reconnects, unsubscribes, goes_to_the_end};
	const size_t count = sizeof(ends) / sizeof(ends[0]);

	r->peer.bundles = true;
	rig_append(r, ENTRIES, 100);
	for (unsigned i = 0; i < count * (PATH_LOADS_MAX + 2); i++) {
		const uint64_t cursor = ENTRIES - 5 - i; /* far enough behind for a load, and no earlier one went through it */
		struct page_load *l;

		r->peer.routing_id[0]++;
		subscribe(r, cursor);
		assert_int_equal(rig_run(r, 0), 0);
		assert_non_null(l = next_load(r));
		assert_int_equal(l->cursor, cursor);
		ends[i % count](r);
		if (i / count % 2 == 0)
			assert_int_equal(rig_run(r, 0), 0);
		read_pages(r, l);
		assert_int_equal(rig_run(r, 0), 0);
		assert_quiet(r);
		set_active(r, true);
	}
	r->peer.routing_id[0]++;
	subscribe(r, 0);
	assert_int_equal(run_all(r).entries, ENTRIES);
}

/* It gets what it asked for last, once; on another connection, also if the load of the former one fails. */
static void who_subscribes_elsewhere_reads_from_there(void **state)
{
	struct rig *r = *state;

	r->peer.bundles = true;
	rig_append(r, 60, 1000);
	for (unsigned i = 0; i < 24; i++) {
		const uint64_t cursor = 1 + 2 * i + i % 2, other = 2 + 2 * i - i % 2;
		struct page_load *l;
		struct sum sum = {0};

		r->peer.routing_id[0]++;
		subscribe(r, cursor);
		rig_run(r, 0);
		assert_non_null(l = next_load(r));
		if (i % 3 == 0)
			r->peer.routing_id[0]++;
		subscribe(r, other);
		add(r, &sum);
		assert_int_equal(sum.entries, 0);
		assert_null(next_load(r)); /* one load a device */
		if (i % 3 == 0)
			fail_load(r, l);
		else
			read_pages(r, l);
		add(r, &sum);
		assert_int_equal(sum.entries + run_all(r).entries, 60 - other);
		assert_quiet(r);
	}
}

/* Both streams are said to have more than the tables have; the second one never has it. */
static void who_comes_to_the_end_of_two_streams_waits_quietly(void **state)
{
	struct rig *r = *state;
	struct sum sum;

	r->peer.bundles = true;
	rig_append(r, 5, 1000);
	rig_subscribe(r, 0);
	r->channel = RK__CHANNEL__NEED;
	subscribe(r, 0);
	rig_run(r, 0);
	save(r);
	rig_tell(r, 3);
	r->channel = RK__CHANNEL__OFFER;
	rig_tell(r, 7);
	sum = run_all(r);
	assert_int_equal(sum.entries, 5);
	assert_true(sum.loads <= 3);
	assert_true(atomic_load(&r->path.store_wanted));
	assert_quiet(r);
	rig_append(r, 2, 1000);
	store(r);
	sum = run_all(r);
	assert_int_equal(sum.entries, 2);
	assert_true(sum.loads <= 5);
	assert_quiet(r);
	/* When it grows, it is looked at again. */
	r->channel = RK__CHANNEL__NEED;
	rig_append(r, 6, 1000);
	rig_tell(r, 6);
	r->seq = 0;
	sum = run_all(r);
	assert_int_equal(sum.entries, 6);
	assert_true(sum.loads == 1);
	assert_quiet(r);
}

/* The stream had been trimmed to its end; a post comes after the thread has looked, and before deliver learns that there was nothing. */
static void what_comes_while_nothing_is_found_is_not_missed(void **state)
{
	struct rig *r = *state;
	struct page_load *l;

	r->peer.bundles = true;
	rig_append(r, 10, 1000);
	trim(r, 10);
	subscribe(r, 2);
	assert_int_equal(rig_run(r, 0), 0);
	assert_non_null(l = next_load(r));
	read_pages(r, l);
	rig_append(r, 1, 1000);
	rig_tell(r, 11);
	rig_run(r, 10);
	while ((l = next_load(r)) != NULL) {
		read_pages(r, l);
		rig_run(r, 10);
	}
	assert_int_equal(r->seq, 11);
	assert_quiet(r);
}

/* All places are taken when it was found at the end of one stream; then it reads another one, which is as long, and of which the tables have less. */
static void what_holds_of_one_stream_is_not_said_of_another(void **state)
{
	struct rig *r = *state;
	struct page_load *l;

	r->peer.bundles = true;
	rig_append(r, 44, 100);
	trim(r, 44);
	subscribe(r, 7);
	rig_run(r, 0);
	r->channel = RK__CHANNEL__NEED;
	rig_append(r, 40, 100);
	for (unsigned i = 1; i <= PATH_LOADS_MAX; i++)
		subscribe_other(r, (uint8_t)i, i);
	rig_run(r, 0);
	assert_non_null(l = next_load(r));
	assert_int_equal(l->cursor, 7);
	read_pages(r, l);
	rig_run(r, 0);
	assert_int_equal(ring_count(r->path.deliver_pages), PATH_LOADS_MAX);
	r->channel = RK__CHANNEL__OFFER;
	unsubscribes(r);
	r->channel = RK__CHANNEL__NEED;
	rig_subscribe(r, 40);
	rig_run(r, 0);
	save(r);
	rig_tell(r, 44);
	assert_int_equal(run_all(r).entries, 0);
	rig_append(r, 4, 100);
	store(r);
	assert_int_equal(run_all(r).entries, 4);
	assert_quiet(r);
}

/* How often the log says that something could not be read. */
static unsigned failures_said(struct rig *r)
{
	const int log = dup(STDERR_FILENO);
	FILE *f = tmpfile();
	unsigned count = 0;
	char line[512];

	assert_true(log >= 0 && f != NULL && dup2(fileno(f), STDERR_FILENO) >= 0);
	rig_run(r, 0);
	assert_true(fflush(stderr) == 0 && dup2(log, STDERR_FILENO) >= 0 && close(log) == 0);
	rewind(f);
	while (fgets(line, sizeof(line), f) != NULL)
		count += strstr(line, "read-failed") != NULL;
	fclose(f);
	return count;
}

static void an_error_is_said_once_and_tried_again_when_the_stream_grows(void **state)
{
	struct rig *r = *state;
	struct page_load *l;

	r->peer.bundles = true;
	rig_append(r, 40, 1000);
	subscribe(r, 0);
	for (unsigned i = 0; i < 3; i++) {
		rig_run(r, 0);
		fail_load(r, next_load(r));
		assert_int_equal(failures_said(r), 1);
		assert_int_equal(r->entries, 0);
		assert_quiet(r);
		rig_append(r, 1, 1000);
		rig_tell(r, 41 + i);
	}
	/* Also where it grew while the load was out. */
	rig_run(r, 0);
	l = next_load(r);
	rig_append(r, 1, 1000);
	rig_tell(r, 44);
	rig_run(r, 0);
	fail_load(r, l);
	assert_int_equal(failures_said(r), 1);
	assert_int_equal(run_all(r).entries, 44);
}

static void pages_beside_an_error_are_delivered_first(void **state)
{
	struct rig *r = *state;
	struct page_load *l;

	r->peer.bundles = true;
	rig_append(r, 50, 1000);
	rig_subscribe(r, 0);
	rig_credit(r, 20, MUCH);
	rig_run(r, 0);
	assert_non_null(l = next_load(r));
	page_load_run(l, r->env, r->arena);
	fail_load(r, l);
	rig_credit(r, 1000, MUCH);
	assert_int_equal(failures_said(r), 0);
	assert_int_equal(r->entries, 20);
	fail_load(r, next_load(r));
	assert_int_equal(failures_said(r), 1);
	rig_append(r, 1, 1000);
	rig_tell(r, 51);
	assert_int_equal(run_all(r).entries, 31);
}

/* Not begun, read, failed, with nobody who waits any more, used. */
static void it_ends_with_loads_in_every_state(void **state)
{
	struct rig *r = *state;

	r->peer.bundles = true;
	rig_append(r, 40, 1000);
	for (unsigned i = 1; i <= 4; i++)
		subscribe_other(r, (uint8_t)i, i);
	subscribe(r, 5);
	rig_run(r, 0);
	read_pages(r, next_load(r));
	rig_run(r, 0);
	assert_int_equal(r->others, 39);
	read_pages(r, next_load(r));
	fail_load(r, next_load(r));
	tell_of_peer(r, DELIVER_CUT);
	assert_true(deliver_take_events(r->deliver));
	assert_int_equal(ring_count(r->path.pages_deliver), 2);
	assert_int_equal(ring_count(r->path.deliver_pages), 2);
}

/* Entries that are larger than all the memory for pages, alone, one after the other, and behind a small one. */
static void what_is_larger_than_the_memory_for_pages_is_delivered(void **state)
{
	struct rig *r = *state;
	struct sum sum;

	deliver_free(r->deliver);
	r->config.cache_bytes = RIG_LARGE_BODY / 2;
	assert_non_null(r->deliver = deliver_new(&r->path));
	r->peer.bundles = true;
	rig_append(r, 2, RIG_LARGE_BODY);
	rig_append(r, 1, 1000);
	rig_append(r, 1, RIG_LARGE_BODY);
	rig_append(r, 3, 1000);
	subscribe_other(r, 1, 0);
	subscribe(r, 0);
	sum = run_all(r);
	assert_int_equal(sum.entries, 7);
	assert_int_equal(sum.others, 7);
	assert_true(sum.loads <= 14);
	assert_quiet(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up_with_loads, rig_tear_down)
		TEST(who_waits_for_pages_holds_up_nobody),
		TEST(one_load_serves_all_at_the_same_place),
		TEST(loads_are_bounded_and_all_get_everything),
		TEST(a_load_that_comes_back_makes_room_for_one),
		TEST(who_wanders_has_one_load),
		TEST(who_came_later_has_his_turn),
		TEST(who_waits_to_ask_is_before_who_comes),
		TEST(who_is_little_behind_is_served_at_once),
		TEST(whose_reading_ended_gets_nothing),
		TEST(who_subscribes_elsewhere_reads_from_there),
		TEST(who_comes_to_the_end_of_two_streams_waits_quietly),
		TEST(what_comes_while_nothing_is_found_is_not_missed),
		TEST(what_holds_of_one_stream_is_not_said_of_another),
		TEST(an_error_is_said_once_and_tried_again_when_the_stream_grows),
		TEST(pages_beside_an_error_are_delivered_first),
		TEST(it_ends_with_loads_in_every_state),
		TEST(what_is_larger_than_the_memory_for_pages_is_delivered),
	};

	return cmocka_run_group_tests_name("deliver and its loads of pages", tests, NULL, NULL);
}
