/*
 * P8: the same commands at the same times give the same store, byte for byte: after a replay on a second machine
 * (another heap, another folder), cut in other batches where times are equal, with restarts between, and with a roster
 * or without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/store_kit.h"
#include "tests/unit/world.h"

#define A 1
#define B 2
#define C 3
#define TO_A 2u
#define TO_B 4u
#define TO_C 8u

static struct world w;
static char start[256]; /* a copy of the store as the adoption left it */

/* Attachments: what the files said is part of the command, so a replay needs none of them. */
static void attach(const uint8_t nda[32], const uint8_t other[32])
{
	Rk__BlobRef *b[4];
	struct command *c;
	uint8_t env_id[32];

	for (int i = 0; i < 3; i++)
		b[i] = world_blob_ready(&w, A, nda, 1000 + (uint64_t)i);
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, b, 2, env_id), RK_OK);
	assert_int_equal(world_blob_fetch(&w, A, 0, env_id, 2, 0, 500), RK_OK);
	b[3] = world_blob(&w, 5000);
	world_blob_open(&w, B, other, b[3]);
	c = world_blob_put_command(&w, B, b[3], 400, false);
	c->blob.code = RK_OUT_OF_ORDER;
	assert_int_equal(world_run(&w, c), RK_OUT_OF_ORDER);
	world_blob_put(&w, B, b[3], 400, false);
	world_blob_open(&w, C, nda, world_blob(&w, 300)); /* an upload of one who will be expelled */
	w.now_ms += 1000;
	world_blob_open(&w, A, nda, b[2]);
}

/* A day in the life of an exchange, refusals included. */
static void live(void)
{
	uint8_t nda[32], other[32], env[3][32];

	for (int i = A; i <= C; i++)
		world_admit(&w, i);
	for (int i = 0; i < 12; i++) {
		world_post(&w, A + i % 3, i % 2 ? RK__CHANNEL__OFFER : RK__CHANNEL__NEED, RK__POST_OP__NEW, 0, 1);
		w.now_ms += i % 4 == 3 ? 1000 : 0;
	}
	world_post(&w, B, RK__CHANNEL__NEED, RK__POST_OP__WITHDRAW, 1, 2);
	world_post(&w, A, RK__CHANNEL__NEED, RK__POST_OP__REVISE, 1, 2);
	world_submit(&w, A, 0, world_header(&w, RK__KIND__OPEN, A, 0, TO_B | TO_C), TO_B | TO_C);
	world_ack(&w, B, stream_control(), 7);
	world_agree(&w, TO_A | TO_B | TO_C, nda);
	world_agree(&w, TO_A | TO_B, other);
	for (int i = 0; i < 3; i++)
		assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, i == 2 ? TO_B | TO_C : TO_B, nda, env[i]), RK_OK);
	w.now_ms += 5000;
	world_pickup(&w, B, 0, nda, env[0]);
	world_fetch(&w, B, 0, env[0]);
	assert_int_equal(world_nack(&w, B, 0, nda, env[0], RK__NACK_REASON__NACK_UNOPENED), RK_OK);
	assert_int_equal(world_nack(&w, B, 0, nda, env[2], RK__NACK_REASON__NACK_DECLINED), RK_OK);
	assert_int_equal(world_deposit(&w, C, 0), RK_OK);
	attach(nda, other);
	world_disclose(&w, RK__KIND__NDA_NOTICE, C, TO_B, nda, NULL);
	world_do_act(&w, C, nda, RK__ACT_KIND__HOLD);
	world_disclose(&w, RK__KIND__NDA, A, TO_B, nda, NULL);
	world_do_act(&w, C, nda, RK__ACT_KIND__RESUME);
	world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE);
	w.now_ms += 1000;
	world_put_epoch(&w, world_epoch(&w));
	world_put_feed_key(&w, world_feed_key(&w, B, 0, 2));
	world_set_status(&w, C, RK__ORG_STATUS__EXPELLED);
	w.now_ms += 21 * WORLD_DAY_MS;
	world_hello(&w, A, 0);
	world_tick(&w);
	world_put_directory(&w, world_directory(&w));
}

static int set_up(void **state)
{
	char folder[300];
	(void)state;

	world_open(&w);
	/* The state before the first command, for the others to start from. */
	store_kit_folder(start);
	snprintf(folder, sizeof(folder), "%s/store", start);
	assert_int_equal(env_copy(w.env, folder), RK_OK);
	w.record_count = 0;
	live();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_kit_remove(start);
	world_close(&w);
	return 0;
}

/* Feeds all commands to the store in `start`, at most `cut` of one time to a batch, reopening apply every `restart`
 * batches. */
static struct env *replay(size_t cut, size_t restart, struct roster *roster)
{
	struct env *env = store_kit_open(start, 0);
	struct apply *a;
	size_t batches = 0;

	assert_int_equal(apply_open(env, &w.limits, roster, &a), RK_OK);
	for (size_t i = 0; i < w.record_count;) {
		int64_t t = w.records[i].time_ms;

		assert_int_equal(apply_begin(a, t), RK_OK);
		apply_due(a, 1000);
		for (size_t n = 0; i < w.record_count && n < cut && w.records[i].time_ms == t; n++)
			apply_command(a, w.records[i++].command);
		assert_int_equal(apply_commit(a), RK_OK);
		if (restart && ++batches % restart == 0) {
			apply_close(a);
			assert_int_equal(apply_open(env, &w.limits, roster, &a), RK_OK);
		}
	}
	/* The last batch of the original was followed by nothing that is due. */
	assert_true(apply_next_due(a) == apply_next_due(w.apply));
	assert_true(apply_log_size(a) == apply_log_size(w.apply));
	apply_close(a);
	return env;
}

struct dump {
	uint8_t *bytes;
	size_t len, room;
};

static int dump_row(void *user, unsigned table, struct bytes key, struct bytes value)
{
	struct dump *d = user;
	size_t need = d->len + 12 + key.len + value.len;

	if (need > d->room) {
		d->room = need * 2;
		d->bytes = realloc(d->bytes, d->room);
		assert_non_null(d->bytes);
	}
	put_u32be(d->bytes + d->len, table);
	put_u32be(d->bytes + d->len + 4, (uint32_t)key.len);
	put_u32be(d->bytes + d->len + 8, (uint32_t)value.len);
	memcpy(d->bytes + d->len + 12, key.data, key.len);
	if (value.len > 0)
		memcpy(d->bytes + d->len + 12 + key.len, value.data, value.len);
	d->len = need;
	return 0;
}

/* Says which table differs, which a hash could not. */
static void assert_same_store(struct env *a, struct env *b)
{
	struct dump da = {0}, db = {0};
	size_t i = 0;

	assert_int_equal(env_walk(a, dump_row, &da), RK_OK);
	assert_int_equal(env_walk(b, dump_row, &db), RK_OK);
	for (size_t at = 0; at + 12 <= da.len && at + 12 <= db.len;) {
		size_t len = 12 + get_u32be(da.bytes + at + 4) + get_u32be(da.bytes + at + 8);

		if (at + len > db.len || memcmp(da.bytes + at, db.bytes + at, len) != 0)
			fail_msg("row %zu differs, in %s", i, broker_tables[get_u32be(da.bytes + at)]);
		at += len;
		i++;
	}
	assert_int_equal(da.len, db.len);
	assert_true(i > 200);
	free(da.bytes);
	free(db.bytes);
}

static void a_replay_gives_the_same_store(void **state)
{
	struct env *env = replay(1, 0, NULL);
	(void)state;

	assert_same_store(w.env, env);
	env_close(env);
}

static void batches_cut_otherwise_give_the_same_store(void **state)
{
	struct env *env = replay(1000, 0, NULL);
	(void)state;

	assert_same_store(w.env, env);
	env_close(env);
}

static void restarts_between_give_the_same_store(void **state)
{
	struct roster *roster = roster_new();
	struct env *env = replay(3, 1, roster);
	(void)state;

	assert_same_store(w.env, env);
	env_close(env);
	roster_free(roster);
}

/* A batch that is given up leaves apply as if it had not been begun. */
static void a_batch_given_up_changes_nothing(void **state)
{
	struct env *env = store_kit_open(start, 0);
	struct apply *a;
	(void)state;

	assert_int_equal(apply_open(env, &w.limits, NULL, &a), RK_OK);
	assert_int_equal(apply_begin(a, w.records[0].time_ms), RK_OK);
	for (size_t i = 0; i < 8; i++)
		apply_command(a, w.records[i].command);
	apply_close(a);
	env_close(env);
	env = replay(2, 0, NULL);
	assert_same_store(w.env, env);
	env_close(env);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_replay_gives_the_same_store),
		TEST(batches_cut_otherwise_give_the_same_store),
		TEST(restarts_between_give_the_same_store),
		TEST(a_batch_given_up_changes_nothing),
	};
	return cmocka_run_group_tests_name("apply is a function", tests, NULL, NULL);
}
