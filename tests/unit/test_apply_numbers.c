/* Numbers and writers: once, in order, remembered for 256, across restarts, one writer at a time (P4; FIELDS
 * "Numbers"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/strict.h"
#include "tests/unit/store_kit.h"
#include "tests/unit/world.h"

#define A 1

static struct world w;

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static struct command *post(void)
{
	return world_submit_command(&w, A, 0, world_post_header(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), 0);
}

static uint64_t offers(void)
{
	return world_head(&w, stream_channel(RK__CHANNEL__OFFER));
}

static void a_repeat_has_its_effect_once(void **state)
{
	struct command *c = post();
	uint64_t seq;
	(void)state;

	assert_int_equal(world_run(&w, c), RK_OK);
	seq = w.reply->seq;
	assert_int_equal(seq, 1);
	assert_int_equal(world_run(&w, c), RK_OK);
	assert_int_equal(w.reply->seq, seq);
	world_restart(&w);
	/* Long after its created_at was fresh: the outcome is told before the clock is asked. */
	w.now_ms += WORLD_DAY_MS;
	assert_int_equal(world_run(&w, c), RK_OK);
	assert_int_equal(w.reply->seq, seq);
	assert_true(w.reply->time_ms == w.now_ms);
	assert_int_equal(offers(), 1);
}

static void a_repeat_in_the_same_batch(void **state)
{
	struct command *c = post(), *both[2] = {c, c};
	int codes[2];
	(void)state;

	world_run_batch(&w, both, 2, codes);
	assert_int_equal(codes[0], RK_OK);
	assert_int_equal(codes[1], RK_OK);
	assert_int_equal(offers(), 1);
}

static void a_refusal_is_an_outcome_too(void **state)
{
	Rk__EnvelopeHeader *h = world_post_header(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1);
	struct command *c;
	(void)state;

	h->created_at += WORLD_DAY_MS;
	h->expires_at += WORLD_DAY_MS;
	c = world_submit_command(&w, A, 0, h, 0);
	assert_int_equal(world_run(&w, c), RK_CLOCK);
	w.now_ms += WORLD_DAY_MS;
	/* It would pass now; but this number has its answer. */
	assert_int_equal(world_run(&w, c), RK_CLOCK);
	assert_int_equal(offers(), 0);
	assert_int_equal(world_run(&w, post()), RK_OK);
}

static void the_ring_holds_256(void **state)
{
	struct command *first = post(), *second = NULL;
	(void)state;

	assert_int_equal(world_run(&w, first), RK_OK);
	for (unsigned i = 0; i < 256; i++) {
		struct command *c = post();

		second = second ? second : c;
		assert_int_equal(world_run(&w, c), RK_OK);
	}
	assert_int_equal(world_run(&w, first), RK_NUMBER_CONFLICT);
	assert_int_equal(world_run(&w, second), RK_OK);
	assert_int_equal(w.reply->seq, 2);
	world_restart(&w);
	assert_int_equal(world_run(&w, first), RK_NUMBER_CONFLICT);
	assert_int_equal(world_run(&w, second), RK_OK);
	assert_int_equal(offers(), 257);
}

/* Outcomes are kept in parts of 32: on both sides of each edge, over two laps, in batches that cross edges, read again from the store. */
static void each_of_the_last_256_is_answered_as_it_was(void **state)
{
	static const unsigned ends[] = {1, 31, 32, 33, 64, 65, 100, 255, 256, 257, 288, 289, 420, 512, 513, 600};
	static const unsigned backs[] = {1, 2, 31, 32, 33, 64, 100, 200, 255, 256, 257, 300};
	struct command *c[600];
	int codes[200];
	unsigned n = 0;
	(void)state;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		unsigned from = n;

		for (; n < ends[i]; n++) {
			w.orgs[A].devices[0].number = n;
			c[n] = post();
		}
		w.orgs[A].devices[0].number = from;
		world_run_batch(&w, c + from, n - from, codes);
		for (unsigned k = 0; k < n - from; k++)
			assert_int_equal(codes[k], RK_OK);
		if (i % 3 == 0)
			world_restart(&w);
		for (size_t j = 0; j < sizeof(backs) / sizeof(backs[0]); j++) {
			if (backs[j] > n)
				continue;
			assert_int_equal(world_run(&w, c[n - backs[j]]), backs[j] <= 256 ? RK_OK : RK_NUMBER_CONFLICT);
			if (backs[j] <= 256)
				assert_int_equal(w.reply->seq, n - backs[j] + 1);
		}
	}
	assert_int_equal(offers(), n);
}

static void hello_tells_the_last_number(void **state)
{
	(void)state;
	assert_int_equal(world_hello(&w, A, 0), RK_OK);
	assert_int_equal(w.reply->hello->last_number, 0);
	assert_int_equal(world_run(&w, post()), RK_OK);
	assert_int_equal(world_run(&w, post()), RK_OK);
	assert_int_equal(world_hello(&w, A, 0), RK_OK);
	assert_int_equal(w.reply->hello->last_number, 2);
	assert_memory_equal(w.reply->hello->exchange_id.data, w.f.exchange_id, 32);
	assert_int_equal(w.reply->hello->max_unanswered, 256);
	assert_true(w.reply->hello->log_size == apply_log_size(w.apply));
	assert_int_equal(strncmp(w.reply->hello->log_origin, "renkei/", 7), 0);
}

static void a_new_writer_starts_at_one(void **state)
{
	struct world_device *d = &w.orgs[A].devices[0];
	uint8_t old[8];
	(void)state;

	assert_int_equal(world_run(&w, post()), RK_OK);
	memcpy(old, d->epoch, 8);
	d->epoch[0] ^= 1;
	/* In one batch: the old writer's last post, then the new writer's HELLO. */
	struct command *c = post();

	assert_int_equal(world_run(&w, c), RK_GENERATION);
	assert_int_equal(world_hello(&w, A, 0), RK_OK);
	assert_int_equal(w.reply->hello->last_number, 0);
	d->number = 0;
	assert_int_equal(world_run(&w, post()), RK_OK);
	/* The copy of the home is told, and never becomes current again. */
	memcpy(d->epoch, old, 8);
	d->number = 1;
	assert_int_equal(world_run(&w, post()), RK_STALE_WRITER);
	assert_int_equal(world_hello(&w, A, 0), RK_STALE_WRITER);
	world_restart(&w);
	assert_int_equal(world_hello(&w, A, 0), RK_STALE_WRITER);
}

static void a_writer_that_changes_within_a_batch(void **state)
{
	struct world_device *d = &w.orgs[A].devices[0];
	struct command *batch[3];
	Rk__Request *req;
	Rk__Hello hello = RK__HELLO__INIT;
	int codes[3];
	(void)state;

	batch[0] = post();
	d->epoch[3] ^= 9;
	hello.protocol_min = hello.protocol_max = 1;
	req = world_request(&w, A, 0, RK__OP__OP_HELLO);
	req->hello = &hello;
	batch[1] = world_command(&w, A, 0, req, (struct bytes){0}, (struct bytes){0}, (struct bytes){0});
	batch[2] = post();
	world_run_batch(&w, batch, 3, codes);
	for (int i = 0; i < 3; i++)
		assert_int_equal(codes[i], RK_OK);
	assert_int_equal(offers(), 2);
	/* The old writer's number was kept. */
	assert_int_equal(world_count(&w, T_WRITER), 2 * 3); /* the last number, and a part with the outcome */
	world_restart(&w);
	assert_int_equal(world_run(&w, batch[2]), RK_OK);
	assert_int_equal(world_run(&w, batch[0]), RK_STALE_WRITER);
}

static void what_admit_refuses_uses_no_number(void **state)
{
	struct command *c = post();
	struct bytes header;
	Rk__Down *down;
	(void)state;

	assert_int_equal(apply_pack_refusal(c, RK_RATE_LIMITED, w.now_ms, &header), RK_OK);
	assert_int_equal(STRICT_PARSE(down, header, w.arena, &down), RK_OK);
	assert_int_equal(down->reply->code, RK_RATE_LIMITED);
	assert_int_equal(down->reply->number, c->req->number);
	assert_int_equal(down->reply->tag, 7);
	assert_int_equal(world_run(&w, c), RK_OK);
}

/* Another device's Directory is coming in: the client sends the same bytes under the same number again, and must not
 * meet `busy` there for ever. */
static void busy_uses_no_number(void **state)
{
	struct command *c = world_submit_command(&w, A, 0, world_post_header(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), 0);
	(void)state;

	c->refusal = RK_BUSY;
	assert_int_equal(world_run(&w, c), RK_BUSY);
	c->refusal = RK_OK;
	assert_int_equal(world_run(&w, c), RK_OK);
}

static void time_never_goes_back(void **state)
{
	int64_t before = w.now_ms;
	(void)state;

	assert_int_equal(world_run(&w, post()), RK_OK);
	struct command *c = post();

	w.now_ms -= 60000;
	assert_int_equal(world_run(&w, c), RK_OK);
	assert_true(w.reply->time_ms == before);
	world_restart(&w);
	assert_int_equal(world_hello(&w, A, 0), RK_OK);
	assert_true(w.reply->time_ms == before);
}

static void a_full_store_loses_nothing_and_goes_on(void **state)
{
	static struct command *batch[300];
	struct command *again;
	uint64_t log_size = apply_log_size(w.apply), had;
	size_t count;
	int rc;
	(void)state;

	/* A map of 1 MiB above what is used: big posts fill it. */
	w.message_bytes = 60000;
	for (unsigned i = 0; i < 300; i++) {
		batch[i] = post();
		w.orgs[A].devices[0].number++;
	}
	w.orgs[A].devices[0].number = 0;
	had = offers();
	verify_free(w.verify);
	apply_close(w.apply);
	roster_free(w.roster);
	env_close(w.env);
	w.env = store_kit_open(w.folder, 2 << 20);
	w.roster = roster_new();
	w.verify = verify_new(w.roster, w.f.exchange_id);
	assert_int_equal(apply_open(w.env, &w.limits, w.roster, &w.apply), RK_OK);
	assert_int_equal(apply_begin(w.apply, w.now_ms), RK_OK);
	for (unsigned i = 0; i < 300; i++)
		apply_command(w.apply, batch[i]);
	rc = apply_commit(w.apply);
	assert_true(rc == RK_STORE_FULL || rc == RK_EDISKFULL);
	const struct effect *e = apply_effects(w.apply, &count);

	assert_int_equal(count, 300);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(e[i].kind, EFFECT_REPLY);
		assert_int_equal(e[i].code, RK_STORE_FULL);
	}
	assert_int_equal(offers(), had);
	assert_true(apply_log_size(w.apply) == log_size);
	/* No number was used: what fits passes under the same number. */
	again = batch[0];
	assert_int_equal(world_run(&w, again), RK_OK);
	assert_int_equal(offers(), had + 1);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_repeat_has_its_effect_once),
		TEST(a_repeat_in_the_same_batch),
		TEST(a_refusal_is_an_outcome_too),
		TEST(the_ring_holds_256),
		TEST(each_of_the_last_256_is_answered_as_it_was),
		TEST(hello_tells_the_last_number),
		TEST(a_new_writer_starts_at_one),
		TEST(a_writer_that_changes_within_a_batch),
		TEST(what_admit_refuses_uses_no_number),
		TEST(busy_uses_no_number),
		TEST(time_never_goes_back),
		TEST(a_full_store_loses_nothing_and_goes_on),
	};
	return cmocka_run_group_tests_name("apply numbers", tests, NULL, NULL);
}
