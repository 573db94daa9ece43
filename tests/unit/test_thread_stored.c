/*
 * Apply's thread beside deliver, over a store with a journal: what was answered is read by whoever asks for it then, whether it was in the tables or
 * not; and a disk that is full for a while keeps nothing from anybody for longer.  This program is front, admit and deliver's thread.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "broker/applier.h"
#include "broker/deliver.h"
#include "broker/metrics.h"
#include "broker/page_load.h"
#include "broker/signer.h"
#include "proto/strict.h"
#include "tests/unit/store_kit.h"
#include "tests/unit/world.h"

#define A 1
#define READER 2
#define WAIT_MS 20000
#define LIFE_MS 3000      /* long enough to post what expires after it */
#define QUIET_MS 150      /* longer than reading keeps batches from being saved */

static struct world w;
static struct config config;
static struct path path;
static struct applier *applier;
static struct deliver *deliver;
static pthread_t thread, pages_thread;
static uint64_t seq, told_head; /* of the last entry that came; as a SUBSCRIBE was told */
static int code;          /* of the last reply */

static int set_up(void **state)
{
	struct checkpoint head;
	(void)state;

	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, READER);
	w.journal_bytes = (uint64_t)64 << 10;
	world_restart(&w);
	config_defaults(&config);
	assert_int_equal(path_init(&path, &config), RK_OK);
	path.roster = w.roster;
	path.env = w.env;
	path.apply = w.apply;
	assert_int_equal(sequence_new(&sequence_system_clock, 0, true, &path.sequence), RK_OK);
	assert_true(roster_exchange(path.roster, path.exchange_id) && apply_generation(path.apply, path.generation));
	assert_non_null(path.signer = signer_new(w.f.log.sk));
	apply_head(path.apply, &head);
	signer_commit(path.signer, &head);
	assert_non_null(applier = applier_new(&path));
	assert_non_null(deliver = deliver_new(&path));
	assert_int_equal(pthread_create(&thread, NULL, applier_run, applier), 0);
	assert_int_equal(pthread_create(&pages_thread, NULL, page_load_thread, &path), 0);
	seq = told_head = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	atomic_store(&path.stopping, true);
	path_wake(&path);
	pthread_join(thread, NULL);
	pthread_join(pages_thread, NULL);
	assert_int_equal(atomic_load(&path.failure), 0);
	assert_true(apply_is_stored(w.apply));
	(void)deliver_turn(deliver); /* takes what it was given back */
	applier_free(applier);
	deliver_free(deliver);
	signer_free(path.signer);
	sequence_free(path.sequence);
	path_clear(&path);
	world_close(&w);
	return 0;
}

/* ---- front */

static bool take_reply(struct message_out *o)
{
	struct bytes frame = bytes_make(zmq_msg_data(&o->frames[0]), zmq_msg_size(&o->frames[0]));
	Rk__Down *down;

	assert_int_equal(STRICT_PARSE(down, frame, w.arena, &down), RK_OK);
	assert_non_null(down->reply);
	code = (int)down->reply->code;
	if (down->reply->subscribe != NULL)
		told_head = down->reply->subscribe->head_seq;
	message_out_free(o);
	return true;
}

static void take_delivery(struct message_out *o)
{
	Rk__Down *down;

	assert_int_equal(STRICT_PARSE(down, bytes_make(zmq_msg_data(&o->frames[0]), zmq_msg_size(&o->frames[0])), w.arena, &down), RK_OK);
	assert_int_equal(down->delivery->seq, ++seq);
	assert_int_equal(down->delivery->gap_to, 0);
	o->result = MESSAGE_SENT;
	ring_push_wait(path.front_deliver, o);
}

/* Until a reply comes, or until the reader has so many entries (reply false). */
static void turn_until(bool reply, uint64_t entries)
{
	const struct timespec pause = {.tv_nsec = 200000};

	for (int64_t end = path_monotonic_ms() + WAIT_MS; path_monotonic_ms() < end; nanosleep(&pause, NULL)) {
		struct message_out *o;

		(void)deliver_turn(deliver);
		while ((o = ring_pop(path.deliver_front)) != NULL) {
			if (o->kind == MESSAGE_DELIVERY)
				take_delivery(o);
			else if (take_reply(o) && reply)
				return;
		}
		if ((o = ring_pop(path.apply_front)) != NULL && take_reply(o) && reply)
			return;
		if (!reply && seq >= entries)
			return;
	}
	fail_msg("nothing came");
}

/* A command as admit and verify hand it on; the code of its reply. */
static int run(struct ring *to, const struct command *c)
{
	struct message_in *m = message_in_copy(&c->peer, NULL, 0, &path.load);
	struct arena *arena = m->command.arena != NULL ? m->command.arena : arena_new(1 << 20);

	m->command = *c;
	m->command.owner = m;
	m->command.arena = arena;
	m->command.peer.routing_id_len = 1;
	ring_push_wait(to, m);
	turn_until(true, 0);
	return code;
}

static const struct bytes nothing = {NULL, 0};

static int subscribe(uint64_t cursor)
{
	Rk__Request *q = world_request(&w, READER, 0, RK__OP__OP_SUBSCRIBE);
	Rk__Subscribe s = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = RK__CHANNEL__OFFER;
	s.stream = &id;
	s.cursor = cursor;
	q->subscribe = &s;
	return run(path.admit_deliver, world_command(&w, READER, 0, q, nothing, nothing, nothing));
}

static int credit(void)
{
	Rk__Request *q = world_request(&w, READER, 0, RK__OP__OP_CREDIT);
	Rk__Credit c = RK__CREDIT__INIT;

	c.entries = 1000;
	c.bytes = 1 << 25;
	q->credit = &c;
	return run(path.admit_deliver, world_command(&w, READER, 0, q, nothing, nothing, nothing));
}

/* One that expires then; 0: not while a test lasts. */
static int post_until(int64_t expires_at)
{
	Rk__EnvelopeHeader *h;
	int r;

	w.now_ms = sequence_time(path.sequence);
	h = world_post_header(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1);
	if (expires_at != 0)
		h->expires_at = expires_at;
	r = run(path.admit_apply, world_submit_command(&w, A, 0, h, 0));
	w.orgs[A].devices[0].number += r == RK_OK;
	return r;
}

static int post(void)
{
	return post_until(0);
}

static void wait_quietly(void)
{
	const struct timespec t = {.tv_nsec = QUIET_MS * 1000000};

	nanosleep(&t, NULL);
}

static uint64_t tables_head(void)
{
	return world_head(&w, stream_channel(RK__CHANNEL__OFFER));
}

/* ---- the tests */

static void what_was_answered_is_there_for_who_asks_then(void **state)
{
	uint64_t saved = metrics_get(M_SAVED);
	(void)state;

	for (uint64_t i = 1; i <= 12; i++) {
		wait_quietly();
		assert_int_equal(post(), RK_OK);
		assert_int_equal(subscribe(0), RK_OK);
		assert_int_equal(told_head, i);
	}
	assert_true(metrics_get(M_SAVED) >= saved + 6);
	assert_int_equal(credit(), RK_OK);
	turn_until(false, 12);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(post(), RK_OK);
	turn_until(false, 212);
	assert_int_equal(seq, 212);
}

/* Without anybody asking, the tables have it soon. */
static void what_was_saved_is_stored_soon(void **state)
{
	(void)state;

	uint64_t saved = metrics_get(M_SAVED);

	wait_quietly();
	assert_int_equal(post(), RK_OK);
	assert_int_equal(metrics_get(M_SAVED), saved + 1);
	for (int i = 0; i < 100 && tables_head() == 0; i++)
		wait_quietly();
	assert_int_equal(tables_head(), 1);
}

/* Of what was saved while the tables had no room, who subscribed meanwhile is told when they have. */
static void who_came_while_the_disk_was_full_misses_nothing(void **state)
{
	struct rlimit old, tight;
	struct env_status s;
	(void)state;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(post(), RK_OK);
	for (int i = 0; i < 100 && tables_head() < 3; i++)
		wait_quietly();
	assert_int_equal(env_status(w.env, &s), RK_OK);
	assert_true(s.used_bytes > w.journal_bytes);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = (struct rlimit){.rlim_cur = s.used_bytes, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	wait_quietly();
	w.message_bytes = 20000;
	assert_int_equal(post(), RK_OK);
	for (int i = 0; i < 100 && !atomic_load(&path.store_stuck); i++)
		wait_quietly();
	assert_true(atomic_load(&path.store_stuck));
	assert_int_equal(subscribe(0), RK_OK);
	assert_int_equal(told_head, 3);
	assert_int_equal(credit(), RK_OK);
	turn_until(false, 3);
	/* A reader who waits does not keep the next one from being saved. */
	assert_int_equal(post(), RK_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	turn_until(false, 5);
	assert_int_equal(seq, 5);
	assert_false(atomic_load(&path.store_stuck));
}

static void wait_a_little(void)
{
	const struct timespec t = {.tv_nsec = 2000000};

	nanosleep(&t, NULL);
}

/* What was due before the test is done.  How much that was. */
static uint64_t settle(void)
{
	assert_int_equal(post(), RK_OK);
	wait_quietly();
	return metrics_get(M_DUE_DONE);
}

static uint64_t committed(void)
{
	return metrics_get(M_BATCHES) - metrics_get(M_SAVED);
}

static void wait_until_done(uint64_t done)
{
	for (int64_t end = path_monotonic_ms() + WAIT_MS; metrics_get(M_DUE_DONE) < done && path_monotonic_ms() < end;)
		wait_a_little();
	assert_int_equal(metrics_get(M_DUE_DONE), done);
}

/* However many posts expire at once, no batch has more than some of them: who posts meanwhile waits for those only. */
static void what_expires_at_once_goes_little_by_little(void **state)
{
	const unsigned count = 200;
	uint64_t done = settle(), before;
	int64_t at = sequence_time(path.sequence) + LIFE_MS;
	(void)state;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(post_until(at), RK_OK);
	assert_int_equal(metrics_get(M_DUE_DONE), done);
	before = committed();
	wait_until_done(done + count);
	assert_true(committed() - before >= count / 40);
}

/* One post after the other: there is a commit now and then for all that has expired, and batches between may be saved. */
static void what_expires_one_by_one_is_gathered(void **state)
{
	const unsigned count = 200;
	uint64_t done = settle(), before;
	int64_t at = sequence_time(path.sequence) + LIFE_MS;
	(void)state;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(post_until(at + 3 * i), RK_OK);
	assert_int_equal(metrics_get(M_DUE_DONE), done);
	before = committed();
	wait_until_done(done + count);
	assert_in_range(committed() - before, 1, count / 10);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_was_answered_is_there_for_who_asks_then),
		TEST(what_was_saved_is_stored_soon),
		TEST(who_came_while_the_disk_was_full_misses_nothing),
		TEST(what_expires_at_once_goes_little_by_little),
		TEST(what_expires_one_by_one_is_gathered),
	};
	return cmocka_run_group_tests_name("saved and stored, by threads", tests, NULL, NULL);
}
