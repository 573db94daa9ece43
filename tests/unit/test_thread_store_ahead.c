/* env_ahead: the data file grows beside commits, and no page is hit; how far it grows.  test_store_ahead.c says when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/tables.h"
#include "tests/unit/store_kit.h"

#define ROWS 160
#define ROW_MAX_BYTES 65000
#define ROUNDS 20
#define AHEAD_BYTES ((uint64_t)6 << 20)
#define CHASED_BYTES ((uint64_t)1 << 20) /* less than a large transaction of fill_a_store writes */

struct fixture {
	char folder[256];
	struct env *env;
	atomic_bool stop;
	atomic_uint calls;
	uint32_t model[ROWS];  /* what each row was made of last; 0: there is none */
	uint32_t next;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	store_kit_folder(f->folder);
	f->env = store_kit_open(f->folder, 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	env_close(f->env);
	store_kit_remove(f->folder);
	free(f);
	return 0;
}

static struct txn *begin(struct fixture *f, bool write)
{
	struct txn *t;
	assert_int_equal(env_begin(f->env, write, &t), RK_OK);
	return t;
}

/* ---- rows and their model: length and bytes follow from one number, and no byte is zero */

static size_t row_bytes(uint32_t made_of, bool large)
{
	return large ? ROW_MAX_BYTES : 100 + made_of % 300;
}

static void fill(uint8_t *room, uint32_t made_of, size_t len)
{
	for (size_t i = 0; i < len; i++)
		room[i] = (uint8_t)(1 + (made_of * 31 + i / 64) % 255);
}

static bool is_large(uint32_t row)
{
	return row % 5 != 0;
}

static void put(struct fixture *f, struct txn *t, uint32_t row)
{
	uint8_t key[4], *room;
	size_t len;

	f->model[row] = ++f->next;
	len = row_bytes(f->next, is_large(row));
	put_u32be(key, row);
	assert_int_equal(env_reserve(t, T_BULK, BYTES_OF(key), len, ENV_PUT, &room), RK_OK);
	fill(room, f->next, len);
}

static void drop(struct fixture *f, struct txn *t, uint32_t row)
{
	uint8_t key[4];

	put_u32be(key, row);
	assert_int_equal(env_del(t, T_BULK, BYTES_OF(key)), f->model[row] != 0 ? RK_OK : RK_ENOTFOUND);
	f->model[row] = 0;
}

static void compare(struct fixture *f)
{
	static uint8_t want[ROW_MAX_BYTES];
	struct txn *t = begin(f, false);

	for (uint32_t row = 0; row < ROWS; row++) {
		uint8_t key[4];
		struct bytes value;
		size_t len = row_bytes(f->model[row], is_large(row));

		put_u32be(key, row);
		assert_int_equal(env_get(t, T_BULK, BYTES_OF(key), &value), f->model[row] != 0 ? RK_OK : RK_ENOTFOUND);
		if (f->model[row] == 0)
			continue;
		fill(want, f->model[row], len);
		assert_true(bytes_equal(value, bytes_make(want, len)));
	}
	env_abort(t);
}

static void reopen(struct fixture *f)
{
	env_close(f->env);
	f->env = store_kit_open(f->folder, 0);
}

/* ---- beside commits */

static void *grow(void *user)
{
	struct fixture *f = user;

	while (!atomic_load(&f->stop)) {
		uint64_t written;
		if (env_ahead_write(f->env, CHASED_BYTES, 0, &written) != RK_OK)
			abort();
		atomic_fetch_add(&f->calls, 1);
	}
	return NULL;
}

static void start(struct fixture *f, pthread_t *thread)
{
	atomic_store(&f->stop, false);
	assert_int_equal(pthread_create(thread, NULL, grow, f), 0);
}

static void stop(struct fixture *f, pthread_t thread)
{
	atomic_store(&f->stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* The larger transactions are longer than all that can lie ahead, so that LMDB writes past the end of the file, and zeros behind that, each time. */
static void fill_a_store(struct fixture *f)
{
	for (uint32_t count = 2; count <= ROWS; count = count * 5 / 2) {
		uint64_t before = store_kit_file_bytes(f->folder);
		struct txn *t = begin(f, true);
		for (uint32_t row = 0; row < count; row++)
			put(f, t, row);
		assert_int_equal(env_commit(t), RK_OK);
		if (count > 40)
			assert_true(store_kit_file_bytes(f->folder) > before);
		for (uint32_t i = 0; i < 25; i++) {
			t = begin(f, true);
			put(f, t, i * 5);
			(i % 3 == 0 ? drop : put)(f, t, i * 7 % ROWS);
			assert_int_equal(env_commit(t), RK_OK);
		}
		compare(f);
	}
}

static void no_page_is_hit(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < ROUNDS; round++) {
		pthread_t thread;
		start(f, &thread);
		fill_a_store(f);
		stop(f, thread);
		reopen(f);
		compare(f);
		tear_down(state);
		set_up(state);
		f = *state;
	}
}

static void nothing_is_written_inside_a_transaction(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	uint64_t before;
	unsigned calls;
	struct txn *t = begin(f, true);

	for (uint32_t row = 0; row < ROWS / 2; row++)
		put(f, t, row);
	assert_int_equal(env_commit(t), RK_OK);
	before = store_kit_file_bytes(f->folder);
	/* LMDB may write in the middle of a transaction: whoever grows waits for its end. */
	t = begin(f, true);
	start(f, &thread);
	usleep(100000);
	assert_int_equal(store_kit_file_bytes(f->folder), before);
	calls = atomic_load(&f->calls);
	assert_int_equal(calls, 0);
	put(f, t, 1);
	assert_int_equal(env_commit(t), RK_OK);
	while (atomic_load(&f->calls) < 3)
		usleep(1000);
	stop(f, thread);
	assert_true(store_kit_file_bytes(f->folder) >= before + ENV_AHEAD_CHUNK_BYTES);
	compare(f);
}

/* ---- how far */

static uint64_t lies_ahead(struct fixture *f)
{
	struct env_ahead a;

	assert_int_equal(env_ahead(f->env, &a), RK_OK);
	assert_int_equal(a.used_bytes + a.ahead_bytes, store_kit_file_bytes(f->folder));
	return a.ahead_bytes;
}

static unsigned grow_all(struct fixture *f, uint64_t ahead_bytes, uint64_t reserve_bytes)
{
	unsigned chunks = 0;
	uint64_t written;

	for (;;) {
		assert_int_equal(env_ahead_write(f->env, ahead_bytes, reserve_bytes, &written), RK_OK);
		if (written == 0)
			return chunks;
		chunks++;
	}
}

static void put_all(struct fixture *f)
{
	struct txn *t = begin(f, true);
	for (uint32_t row = 0; row < ROWS; row++)
		put(f, t, row);
	assert_int_equal(env_commit(t), RK_OK);
}

static void as_much_lies_ahead_as_was_asked_for(void **state)
{
	struct fixture *f = *state;
	struct env_status before, after;

	put_all(f);
	assert_int_equal(env_status(f->env, &before), RK_OK);
	assert_true(grow_all(f, AHEAD_BYTES, 0) >= AHEAD_BYTES / ENV_AHEAD_CHUNK_BYTES);
	assert_in_range(lies_ahead(f), AHEAD_BYTES, AHEAD_BYTES + ENV_AHEAD_CHUNK_BYTES);
	assert_int_equal(store_kit_file_bytes(f->folder) % ENV_AHEAD_CHUNK_BYTES, 0);
	/* What counts as used is what LMDB uses. */
	assert_int_equal(env_status(f->env, &after), RK_OK);
	assert_memory_equal(&before, &after, sizeof(before));
	reopen(f);
	assert_in_range(lies_ahead(f), AHEAD_BYTES, AHEAD_BYTES + ENV_AHEAD_CHUNK_BYTES);
	compare(f);
}

static void the_map_is_the_end(void **state)
{
	struct fixture *f = *state;
	const uint64_t map = (12 << 20) + 8192;

	put_all(f);
	env_close(f->env);
	f->env = store_kit_open(f->folder, map);
	grow_all(f, map, 0);
	assert_in_range(store_kit_file_bytes(f->folder), map - ENV_AHEAD_CHUNK_BYTES, map);
	compare(f);
}

static void the_reserve_of_the_disk_is_left_alone(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	put_all(f);
	before = store_kit_file_bytes(f->folder);
	assert_int_equal(grow_all(f, AHEAD_BYTES, UINT64_MAX), 0);
	assert_int_equal(store_kit_file_bytes(f->folder), before);
}

static void a_full_disk_ends_it(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, tight;
	uint64_t before, written;

	put_all(f);
	before = store_kit_file_bytes(f->folder);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = (struct rlimit){before + 5000, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	int first = env_ahead_write(f->env, AHEAD_BYTES, 0, &written);
	int second = env_ahead_write(f->env, AHEAD_BYTES, 0, &written);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	/* A part of a chunk found room, the next one none. */
	assert_int_equal(first, RK_OK);
	assert_int_equal(store_kit_file_bytes(f->folder), before + 5000);
	assert_int_equal(second, RK_EDISKFULL);
	assert_int_equal(written, 0);
	struct txn *t = begin(f, true);
	put(f, t, 1);
	assert_int_equal(env_commit(t), RK_OK);
	grow_all(f, AHEAD_BYTES, 0);
	assert_int_equal(store_kit_file_bytes(f->folder) % ENV_AHEAD_CHUNK_BYTES, 0);
	reopen(f);
	compare(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_page_is_hit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_written_inside_a_transaction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(as_much_lies_ahead_as_was_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_map_is_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_reserve_of_the_disk_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_disk_ends_it, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("thread_store_ahead", tests, NULL, NULL);
}
