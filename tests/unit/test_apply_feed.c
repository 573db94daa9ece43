/* Posts: revised, renewed, withdrawn, expired; what is kept, what is counted; and that the feed path computes no
 * env_id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/world.h"

#define A 1
#define B 2
#define OFFER RK__CHANNEL__OFFER
#define NEED RK__CHANNEL__NEED

static struct world w;

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, B);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static struct stream_entry offer(uint64_t seq)
{
	struct stream_entry e;

	world_entry(&w, stream_channel(OFFER), seq, &e);
	return e;
}

static void a_post_is_kept_as_it_came(void **state)
{
	struct command *c = world_submit_command(&w, A, 0, world_post_header(&w, A, OFFER, RK__POST_OP__NEW, 0, 1), 0);
	struct stream_entry e;
	struct envelope parsed;
	(void)state;

	assert_int_equal(world_run(&w, c), RK_OK);
	assert_int_equal(w.reply->seq, 1);
	assert_false(w.reply->logged);
	e = offer(1);
	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_POST);
	assert_true(bytes_equal(e.body, c->body));
	assert_true(e.time_ms == w.now_ms);
	assert_true(e.control_seq == world_head(&w, stream_control()));
	/* The head proves itself to a reader. */
	assert_int_equal(envelope_parse(e.object, w.arena, &parsed), RK_OK);
	assert_int_equal(envelope_verify(&parsed, w.f.exchange_id, w.orgs[A].devices[0].sign.pk), RK_OK);
	assert_int_equal(w.stream_count, 1);
}

static void a_new_version_drops_the_bulk_of_the_old(void **state)
{
	uint64_t stored;
	(void)state;

	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	assert_int_equal(world_count(&w, T_POST), 0); /* its entry says it all */
	stored = world_quota(&w, QUOTA_STORED, A, -1);
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__REVISE, 1, 2), RK_OK);
	assert_int_equal(w.reply->seq, 2);
	assert_true((offer(1).flags & STREAM_BULK_DROPPED) != 0 && offer(1).body.len == 0 && offer(1).object.len > 0);
	assert_true(offer(2).body.len > 0);
	/* Heads are kept: each version costs its own for good. */
	assert_true(world_quota(&w, QUOTA_STORED, A, -1) == stored + offer(2).object.len);
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__RENEW, 1, 3), RK_OK);
	assert_int_equal(world_count(&w, T_POST), 1);
	/* post_seq is that of the first entry, not of a version. */
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__REVISE, 2, 4), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_post(&w, A, NEED, RK__POST_OP__REVISE, 1, 4), RK_UNKNOWN_OBJECT);
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__REVISE, 1, 3), RK_CONFLICT);
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__WITHDRAW, 1, 4), RK_OK);
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__REVISE, 1, 5), RK_CONFLICT);
}

static void a_post_expires_and_can_be_renewed(void **state)
{
	Rk__EnvelopeHeader *h = world_post_header(&w, A, OFFER, RK__POST_OP__NEW, 0, 1);
	(void)state;

	h->expires_at = w.now_ms + WORLD_DAY_MS;
	assert_int_equal(world_submit(&w, A, 0, h, 0), RK_OK);
	assert_true(apply_next_due(w.apply) == h->expires_at);
	w.now_ms += WORLD_DAY_MS;
	world_tick(&w);
	assert_true((offer(1).flags & STREAM_BULK_DROPPED) != 0);
	assert_int_equal(world_quota(&w, QUOTA_STORED, A, -1), offer(1).object.len);
	assert_int_equal(world_count(&w, T_POST), 1);
	world_restart(&w);
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__RENEW, 1, 2), RK_OK);
	assert_true(world_quota(&w, QUOTA_STORED, A, -1) > offer(1).object.len);
}

/* A withdrawal passes a full quota, since it frees; one that brings content does not. */
static void a_withdrawal_is_small_or_counts(void **state)
{
	struct apply_limits l = w.limits;
	(void)state;

	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	l.org_stored_bytes = world_quota(&w, QUOTA_STORED, A, -1);
	world_limits(&w, &l);
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__REVISE, 1, 2), RK_QUOTA);
	w.message_bytes = 60000;
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__WITHDRAW, 1, 2), RK_QUOTA);
	w.message_bytes = 0;
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__WITHDRAW, 1, 2), RK_OK);
}

static void revising_moves_the_deadline(void **state)
{
	Rk__EnvelopeHeader *h = world_post_header(&w, A, OFFER, RK__POST_OP__NEW, 0, 1);
	(void)state;

	h->expires_at = w.now_ms + WORLD_DAY_MS;
	assert_int_equal(world_submit(&w, A, 0, h, 0), RK_OK);
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__REVISE, 1, 2), RK_OK);
	w.now_ms += WORLD_DAY_MS;
	world_tick(&w);
	assert_int_equal(offer(2).flags & STREAM_BULK_DROPPED, 0);
}

static void only_the_secretariat_calls_and_notifies(void **state)
{
	(void)state;
	assert_int_equal(world_post(&w, A, RK__CHANNEL__CALL, RK__POST_OP__NEW, 0, 1), RK_NOT_PERMITTED);
	assert_int_equal(world_post(&w, 0, RK__CHANNEL__CALL, RK__POST_OP__NEW, 0, 1), RK_OK);
	assert_int_equal(world_post(&w, A, RK__CHANNEL__EVENT, RK__POST_OP__NEW, 0, 1), RK_OK);
}

static void posts_go_on_while_the_directory_is_late(void **state)
{
	(void)state;
	w.now_ms += 15 * WORLD_DAY_MS;
	assert_int_equal(world_post(&w, A, OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
}

/* One that was signed ahead may come late, while it has not expired; never early, and never from before the one it follows. */
static void a_directory_may_be_late_but_not_early(void **state)
{
	Rk__Directory *d;
	int64_t before;
	(void)state;

	assert_int_equal(world_put_directory(&w, world_directory(&w)), RK_OK);
	before = w.now_ms;
	w.now_ms += 7 * WORLD_DAY_MS;
	d = world_directory(&w);
	d->issued_at = w.now_ms + 11 * 60000;
	d->expires_at = d->issued_at + WORLD_DAY_MS;
	assert_int_equal(world_put_directory(&w, d), RK_CLOCK);
	d = world_directory(&w);
	d->issued_at = before - 1;
	d->expires_at = before + 13 * WORLD_DAY_MS;
	assert_int_equal(world_put_directory(&w, d), RK_CLOCK);
	d = world_directory(&w);
	d->issued_at = before;
	d->expires_at = w.now_ms;
	assert_int_equal(world_put_directory(&w, d), RK_DIRECTORY_EXPIRED);
	d = world_directory(&w);
	d->issued_at = w.now_ms - WORLD_DAY_MS;
	d->expires_at = w.now_ms + WORLD_DAY_MS;
	assert_int_equal(world_put_directory(&w, d), RK_OK);
}

static void one_stream_effect_a_batch(void **state)
{
	struct command *batch[40];
	const struct effect *e;
	size_t count, streams = 0;
	int codes[40];
	(void)state;

	for (int i = 0; i < 40; i++) {
		int org = i % 2 ? A : B;

		batch[i] = world_submit_command(
		    &w, org, 0, world_post_header(&w, org, i % 4 < 2 ? OFFER : NEED, RK__POST_OP__NEW, 0, 1), 0);
		w.orgs[org].devices[0].number++;
	}
	w.orgs[A].devices[0].number = w.orgs[B].devices[0].number = 0;
	world_run_batch(&w, batch, 40, codes);
	e = apply_effects(w.apply, &count);
	for (size_t i = 0; i < count; i++)
		if (e[i].kind == EFFECT_STREAM) {
			assert_int_equal(e[i].seq, 20);
			streams++;
		}
	assert_int_equal(streams, 2);
}

/* Readers may get a post from the batch or, later, from the store: they must not be able to tell which. */
static void what_goes_live_is_what_the_store_has(void **state)
{
	struct command *c = world_submit_command(&w, A, 0, world_post_header(&w, A, OFFER, RK__POST_OP__NEW, 0, 1), 0);
	const struct effect *e;
	size_t count, live = 0;
	struct stream_entry kept;
	(void)state;

	assert_int_equal(world_run(&w, c), RK_OK);
	e = apply_effects(w.apply, &count);
	for (size_t i = 0; i < count; i++) {
		if (e[i].kind != EFFECT_ENTRY)
			continue;
		live++;
		world_entry(&w, e[i].stream, e[i].seq, &kept);
		assert_ptr_equal(e[i].command, c);
		assert_true(e[i].entry->kind == kept.kind && e[i].entry->flags == kept.flags && e[i].entry->time_ms == kept.time_ms &&
		            e[i].entry->control_seq == kept.control_seq && e[i].entry->log_index == kept.log_index);
		assert_true(bytes_equal(e[i].entry->object, kept.object) && kept.wraps.len == 0);
		assert_true(bytes_equal(c->frames[c->frame_count - 1], kept.body));
	}
	assert_int_equal(live, 1);
	/* What is refused goes nowhere. */
	assert_int_not_equal(world_post(&w, A, OFFER, RK__POST_OP__REVISE, 9, 2), RK_OK);
	e = apply_effects(w.apply, &count);
	for (size_t i = 0; i < count; i++)
		assert_int_not_equal(e[i].kind, EFFECT_ENTRY);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_post_is_kept_as_it_came),
		TEST(a_new_version_drops_the_bulk_of_the_old),
		TEST(a_post_expires_and_can_be_renewed),
		TEST(a_withdrawal_is_small_or_counts),
		TEST(revising_moves_the_deadline),
		TEST(only_the_secretariat_calls_and_notifies),
		TEST(posts_go_on_while_the_directory_is_late),
		TEST(a_directory_may_be_late_but_not_early),
		TEST(one_stream_effect_a_batch),
		TEST(what_goes_live_is_what_the_store_has),
	};
	return cmocka_run_group_tests_name("apply posts", tests, NULL, NULL);
}
