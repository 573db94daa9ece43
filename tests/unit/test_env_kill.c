/*
 * The writer is killed at any instant, 50 times (HAZARDS L2; P3): whatever it was told is committed is there afterwards, whole;
 * the batch it was in is there whole or not at all.  The child tells its history through a pipe, which outlives it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/stream.h"
#include "store/tables.h"
#include "tests/unit/store_kit.h"

enum { ROUNDS = 50, ENTRIES_PER_BATCH = 5, KEPT = 200 };

static const char batch_key[] = "batch";

static struct stream_id mailbox(unsigned i)
{
	uint8_t org[16] = {1, (uint8_t)i};
	return stream_mailbox(org);
}

/* What entry i of a batch looks like: anybody can tell it from its numbers. */
static struct stream_entry entry_of(uint64_t batch, uint64_t i, uint8_t *room)
{
	size_t len = 100 + (batch * 977 + i * 3331) % 9000;
	memset(room, (int)(batch & 0xff), len);
	return (struct stream_entry){.kind = (uint8_t)i, .time_ms = (int64_t)batch, .object = bytes_make(room, 64),
	                             .body = bytes_make(room, len)};
}

static int write_batch(struct env *env, uint64_t batch)
{
	static uint8_t room[10000];
	const struct stream_id both[2] = {mailbox(1), mailbox(2)};
	uint64_t position, seqs[2], first, head;
	uint8_t be[8];
	struct txn *t;
	int r = env_begin(env, true, &t);
	if (r != RK_OK)
		return r;
	for (uint64_t i = 0; r == RK_OK && i < ENTRIES_PER_BATCH; i++) {
		struct stream_entry e = entry_of(batch, i, room);
		r = stream_append(t, both, 2, &e, &position, seqs);
	}
	for (size_t i = 0; r == RK_OK && i < 2; i++) {
		r = stream_bounds(t, &both[i], &first, &head);
		if (r == RK_OK && head > KEPT)
			r = stream_trim(t, &both[i], head - KEPT, 2 * ENTRIES_PER_BATCH);
	}
	put_u64be(be, batch);
	if (r == RK_OK)
		r = env_put(t, T_META, bytes_str(batch_key), BYTES_OF(be), ENV_PUT);
	if (r != RK_OK) {
		env_abort(t);
		return r;
	}
	return env_commit(t);
}

static uint64_t last_batch(struct env *env)
{
	struct txn *t;
	struct bytes v;
	uint64_t batch = 0;
	assert_int_equal(env_begin(env, false, &t), RK_OK);
	if (env_get(t, T_META, bytes_str(batch_key), &v) == RK_OK)
		batch = get_u64be(v.data);
	env_abort(t);
	return batch;
}

static int check_entry(void *user, uint64_t seq, const struct stream_entry *e)
{
	static uint8_t room[10000];
	uint64_t *expected = user, batch = (seq - 1) / ENTRIES_PER_BATCH + 1;
	struct stream_entry want = entry_of(batch, (seq - 1) % ENTRIES_PER_BATCH, room);
	assert_int_equal(seq, (*expected)++);
	assert_int_equal(e->kind, want.kind);
	assert_int_equal(e->time_ms, want.time_ms);
	assert_true(bytes_equal(e->object, want.object));
	assert_true(bytes_equal(e->body, want.body));
	return 0;
}

static void check_store(struct env *env, uint64_t acknowledged)
{
	struct txn *t;
	uint64_t first, head, batch = last_batch(env);
	assert_true(batch == acknowledged || batch == acknowledged + 1);
	assert_int_equal(env_begin(env, false, &t), RK_OK);
	for (unsigned i = 1; i <= 2; i++) {
		const struct stream_id id = mailbox(i);
		assert_int_equal(stream_bounds(t, &id, &first, &head), RK_OK);
		assert_int_equal(head, batch * ENTRIES_PER_BATCH);
		assert_true(head - first + 1 <= KEPT + ENTRIES_PER_BATCH);
		assert_int_equal(stream_page(t, &id, 0, UINT32_MAX, check_entry, &first), RK_OK);
		assert_int_equal(first, head + 1);
	}
	env_abort(t);
}

static void run_child(const char *folder, int history)
{
	struct env *env = store_kit_open(folder, 0);
	for (uint64_t batch = last_batch(env) + 1;; batch++) {
		if (write_batch(env, batch) != RK_OK || write(history, &batch, sizeof(batch)) != sizeof(batch))
			_exit(1);
	}
}

static void nothing_committed_is_lost_when_the_writer_is_killed(void **state)
{
	char folder[256];
	uint64_t acknowledged = 0;
	uint32_t x = (uint32_t)time(NULL);
	(void)state;
	print_message("seed %u\n", x);
	store_kit_folder(folder);
	env_close(store_kit_open(folder, 0));
	for (int round = 0; round < ROUNDS; round++) {
		int history[2], status;
		uint64_t batch;
		assert_int_equal(pipe(history), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			run_child(folder, history[1]);
		close(history[1]);
		x = x * 1664525 + 1013904223;
		usleep(5000 + (x >> 8) % 50000);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		while (read(history[0], &batch, sizeof(batch)) == sizeof(batch))
			acknowledged = batch;
		close(history[0]);
		struct env *env = store_kit_open(folder, 0);
		check_store(env, acknowledged);
		/* Batches that were committed but not told count from here on. */
		acknowledged = last_batch(env);
		env_close(env);
	}
	print_message("%llu batches, none lost\n", (unsigned long long)acknowledged);
	assert_true(acknowledged > ROUNDS);
	store_kit_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_committed_is_lost_when_the_writer_is_killed)};
	return cmocka_run_group_tests_name("env_kill", tests, NULL, NULL);
}
