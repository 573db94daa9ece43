/* save: who sees what was saved, and when; what is left of it when the transaction is given up, by us or by a kill; when it is a commit's turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/journal.h"
#include "store/tables.h"
#include "tests/unit/save_kit.h"

#define BULK_BYTES 3000

static char folder[256];
static struct env *env;
static struct txn *t;

static int set_up(void **state)
{
	(void)state;
	store_kit_folder(folder);
	env = save_kit_open(folder);
	return env_begin(env, true, &t);
}

static int tear_down(void **state)
{
	(void)state;
	env_abort(t);
	t = NULL;
	env_close(env);
	store_kit_remove(folder);
	return 0;
}

static void put(const char *key, const char *value, enum env_put_flag flag)
{
	assert_int_equal(env_put(t, T_META, bytes_str(key), bytes_str(value), flag), RK_OK);
}

static void put_bulk(unsigned i)
{
	static uint8_t bulk[BULK_BYTES];
	uint8_t key[8];

	memset(bulk, (int)i + 1, sizeof(bulk));
	put_u64be(key, i);
	assert_int_equal(env_put(t, T_BULK, BYTES_OF(key), BYTES_OF(bulk), ENV_APPEND), RK_OK);
}

static void save(void)
{
	assert_int_equal(env_save(t), RK_OK);
}

/* A batch of one row. */
static void save_one(const char *key, const char *value, enum env_put_flag flag)
{
	env_gather(t);
	put(key, value, flag);
	save();
}

static void commit(void)
{
	assert_int_equal(env_commit(t), RK_OK);
	t = NULL;
}

static void begin(void)
{
	assert_int_equal(env_begin(env, true, &t), RK_OK);
}

static void check_bulk_in(struct env *e, unsigned count)
{
	struct txn *other;
	struct bytes v;
	uint8_t key[8];

	assert_int_equal(env_begin(e, false, &other), RK_OK);
	for (unsigned i = 0; i <= count; i++) {
		put_u64be(key, i);
		assert_int_equal(env_get(other, T_BULK, BYTES_OF(key), &v), i < count ? RK_OK : RK_ENOTFOUND);
		assert_true(i == count || (v.len == BULK_BYTES && v.data[0] == i + 1 && v.data[v.len - 1] == i + 1));
	}
	env_abort(other);
}

/* Goes on with what a kill leaves, not opened yet. */
static void kill_and_close(void)
{
	char copy[256];

	save_kit_copy(folder, copy);
	env_abort(t);
	t = NULL;
	env_close(env);
	env = NULL;
	store_kit_remove(folder);
	memcpy(folder, copy, sizeof(copy));
}

/* What a kill leaves now: this row, or with key NULL so much bulk. */
static void check_kill(const char *key, const char *value, unsigned bulk)
{
	char copy[256];
	struct env *left;

	save_kit_copy(folder, copy);
	left = save_kit_open(copy);
	if (key != NULL)
		save_kit_check_in(left, key, value);
	else
		check_bulk_in(left, bulk);
	env_close(left);
	store_kit_remove(copy);
}

static void check_after_kill(const char *key, const char *value)
{
	check_kill(key, value, 0);
}

/* ---- who sees it */

static void others_see_it_after_the_commit(void **state)
{
	(void)state;
	save_one("a", "put", ENV_PUT);
	save_one("b", "held", ENV_HOLD);
	save_kit_check(t, "a", "put");
	save_kit_check(t, "b", "held");
	save_kit_check_in(env, "a", NULL);
	save_kit_check_in(env, "b", NULL);
	check_after_kill("a", "put");
	check_after_kill("b", "held");
	commit();
	save_kit_check_in(env, "a", "put");
	save_kit_check_in(env, "b", "held");
}

static void an_abort_goes_back_to_what_was_saved(void **state)
{
	(void)state;
	save_one("a", "first", ENV_PUT);
	save_one("b", "held", ENV_HOLD);
	env_gather(t);
	put("a", "second", ENV_PUT);
	put("b", "again", ENV_HOLD);
	put("c", "new", ENV_PUT);
	check_after_kill("a", "first");
	env_abort(t);
	begin();
	save_kit_check(t, "a", "first");
	save_kit_check(t, "b", "held");
	save_kit_check(t, "c", NULL);
	/* More is saved behind it; an abort once more gives both. */
	save_one("c", "third", ENV_NEW);
	env_abort(t);
	begin();
	save_kit_check(t, "b", "held");
	save_kit_check(t, "c", "third");
	check_after_kill("c", "third");
	commit();
	save_kit_check_in(env, "a", "first");
	save_kit_check_in(env, "c", "third");
	/* Committed: the next one begins with nothing of it. */
	begin();
	put("a", "fourth", ENV_PUT);
	commit();
	check_after_kill("a", "fourth");
}

static void a_held_row_is_saved_each_time_it_changes(void **state)
{
	static const char *const values[] = {"one", "two, which is longer", "3", "four"};
	struct bytes v;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		env_gather(t);
		put("held", "not yet", ENV_HOLD);
		put("held", values[i], ENV_HOLD);
		save();
		save_kit_check(t, "held", values[i]);
		check_after_kill("held", values[i]);
	}
	/* One that did not change since, one that was read only. */
	save_one("other", "o", ENV_PUT);
	env_gather(t);
	assert_int_equal(env_get_held(t, T_META, bytes_str("other"), &v), RK_OK);
	save();
	check_after_kill("held", "four");
	check_after_kill("other", "o");
	env_abort(t);
	begin();
	save_kit_check(t, "held", "four");
	/* And past it: what is put under its key ends what was held. */
	save_one("held", "five", ENV_HOLD);
	save_one("held", "six", ENV_PUT);
	check_after_kill("held", "six");
	save_one("held", "seven", ENV_HOLD);
	check_after_kill("held", "seven");
	commit();
	save_kit_check_in(env, "held", "seven");
}

/* ---- room that the caller fills */

static uint8_t *reserve(const char *key, size_t len)
{
	uint8_t *room;

	assert_int_equal(env_reserve(t, T_META, bytes_str(key), len, ENV_PUT, &room), RK_OK);
	return room;
}

static void a_reserved_value_is_saved_as_it_was_filled(void **state)
{
	(void)state;
	env_gather(t);
	memcpy(reserve("last", 5), "last!", 5);
	save();
	check_after_kill("last", "last!");
	env_gather(t);
	memcpy(reserve("a", 5), "first", 5);
	memcpy(reserve("b", 6), "second", 6);
	put("c", "put", ENV_PUT);
	reserve("empty", 0);
	save();
	check_after_kill("last", "last!");
	check_after_kill("a", "first");
	check_after_kill("b", "second");
	check_after_kill("empty", "");
}

/* A saved row that is still held goes to LMDB by itself: it moves the page that holds the reserved value. */
static void a_reserved_value_is_saved_before_its_page_moves(void **state)
{
	struct env_cursor *c;

	(void)state;
	save_one("x", "1", ENV_PUT);
	save_one("x", "held", ENV_HOLD);
	env_gather(t);
	memcpy(reserve("w", 8), "reserved", 8);
	assert_int_equal(env_cursor_open(t, T_META, &c), RK_OK);
	env_cursor_free(c);
	save();
	check_after_kill("w", "reserved");
	check_after_kill("x", "held");
}

/* ---- when it is a commit's turn */

static void what_was_not_gathered_or_deletes_is_committed(void **state)
{
	(void)state;
	/* Nothing gathered, nothing asked to be. */
	assert_int_equal(env_save(t), RK_TOO_LARGE);
	commit();
	begin();
	put("a", "not gathered", ENV_PUT);
	env_gather(t);
	put("b", "gathered", ENV_PUT);
	assert_int_equal(env_save(t), RK_TOO_LARGE);
	check_after_kill("b", NULL);
	/* It stays so until the commit. */
	env_gather(t);
	assert_int_equal(env_save(t), RK_TOO_LARGE);
	commit();
	check_after_kill("a", "not gathered");
	check_after_kill("b", "gathered");
	begin();
	save_one("c", "saved", ENV_PUT);
	assert_int_equal(env_save(t), RK_TOO_LARGE); /* gathered anew for each batch */
	env_gather(t);
	assert_int_equal(env_del(t, T_META, bytes_str("a")), RK_OK);
	put("d", "beside it", ENV_PUT);
	assert_int_equal(env_save(t), RK_TOO_LARGE);
	check_after_kill("a", "not gathered");
	check_after_kill("c", "saved");
	check_after_kill("d", NULL);
	commit();
	check_after_kill("a", NULL);
	check_after_kill("d", "beside it");
}

static void a_full_journal_is_used_again_from_its_start(void **state)
{
	uint8_t *before, *after;
	unsigned count = 0;
	size_t len;
	int r = RK_OK;

	(void)state;
	while (r == RK_OK) {
		env_gather(t);
		put_bulk(count++);
		r = env_save(t);
	}
	assert_int_equal(r, RK_TOO_LARGE);
	assert_int_equal(count, SAVE_KIT_JOURNAL_BYTES / JOURNAL_PAGE_BYTES); /* its first page is no record's, the last one had no room */
	check_kill(NULL, NULL, count - 1);
	commit();
	check_bulk_in(env, count);
	assert_non_null(before = save_kit_file(folder, JOURNAL_NAME, &len));
	begin();
	env_gather(t);
	put_bulk(count++);
	save();
	assert_non_null(after = save_kit_file(folder, JOURNAL_NAME, &len));
	assert_int_equal(len, SAVE_KIT_JOURNAL_BYTES);
	assert_memory_equal(before, after, JOURNAL_PAGE_BYTES);
	assert_memory_not_equal(before + JOURNAL_PAGE_BYTES, after + JOURNAL_PAGE_BYTES, JOURNAL_PAGE_BYTES);
	assert_memory_equal(before + 2 * JOURNAL_PAGE_BYTES, after + 2 * JOURNAL_PAGE_BYTES, len - 2 * JOURNAL_PAGE_BYTES);
	free(before);
	free(after);
	check_kill(NULL, NULL, count);
}

static void on_a_full_disk_it_is_not_saved_and_may_be_committed(void **state)
{
	(void)state;
	save_one("a", "saved", ENV_PUT);
	env_gather(t);
	put("a", "not saved", ENV_PUT);
	put("b", "held", ENV_HOLD);
	save_kit_limit_files(JOURNAL_PAGE_BYTES);
	assert_int_equal(env_save(t), RK_EDISKFULL);
	save_kit_limit_files(RLIM_INFINITY);
	check_after_kill("a", "saved");
	check_after_kill("b", NULL);
	commit();
	save_kit_check_in(env, "a", "not saved");
	save_kit_check_in(env, "b", "held");
	begin();
	save_one("b", "again", ENV_PUT);
	check_after_kill("b", "again");
}

/* ---- opening */

static void without_a_journal_it_is_taken_up_and_removed(void **state)
{
	size_t len;

	(void)state;
	save_one("a", "saved", ENV_PUT);
	kill_and_close();
	assert_int_equal(save_kit_try(folder, true, 0, &env), RK_OK);
	assert_null(save_kit_file(folder, JOURNAL_NAME, &len));
	save_kit_check_in(env, "a", "saved");
	begin();
	env_gather(t);
	put("b", "put", ENV_PUT);
	assert_int_equal(env_save(t), RK_TOO_LARGE);
	commit();
	env_close(env);
	/* A new one, of the same store. */
	env = save_kit_open(folder);
	begin();
	save_one("c", "saved", ENV_PUT);
	check_after_kill("a", "saved");
	check_after_kill("c", "saved");
}

static void who_does_not_write_leaves_it_alone(void **state)
{
	uint8_t *before, *after;
	size_t len, len_after;

	(void)state;
	save_one("a", "saved", ENV_PUT);
	kill_and_close();
	assert_non_null(before = save_kit_file(folder, JOURNAL_NAME, &len));
	/* With a size or without: it is the writer's. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(save_kit_try(folder, false, i == 0 ? 0 : SAVE_KIT_JOURNAL_BYTES, &env), RK_OK);
		save_kit_check_in(env, "a", NULL);
		env_close(env);
		assert_non_null(after = save_kit_file(folder, JOURNAL_NAME, &len_after));
		assert_int_equal(len_after, len);
		assert_memory_equal(before, after, len);
		free(after);
	}
	free(before);
	env = save_kit_open(folder);
	save_kit_check_in(env, "a", "saved");
}

static void a_journal_of_another_store_is_refused(void **state)
{
	uint8_t *own[2], *other, *after;
	size_t own_len[2], other_len, len;

	(void)state;
	save_one("a", "another's", ENV_PUT);
	assert_non_null(other = save_kit_file(folder, JOURNAL_NAME, &other_len));
	tear_down(NULL);
	assert_int_equal(set_up(NULL), 0);
	save_one("a", "saved", ENV_PUT);
	kill_and_close();
	assert_non_null(own[0] = save_kit_file(folder, JOURNAL_NAME, &own_len[0]));
	assert_non_null(own[1] = save_kit_file(folder, "data.mdb", &own_len[1]));
	save_kit_set_file(folder, JOURNAL_NAME, other, other_len);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(save_kit_try(folder, true, i == 0 ? 0 : SAVE_KIT_JOURNAL_BYTES, &env), RK_CONFLICT);
		assert_null(env);
		assert_non_null(after = save_kit_file(folder, JOURNAL_NAME, &len));
		assert_true(bytes_equal(bytes_make(after, len), bytes_make(other, other_len)));
		free(after);
		assert_non_null(after = save_kit_file(folder, "data.mdb", &len));
		assert_true(bytes_equal(bytes_make(after, len), bytes_make(own[1], own_len[1])));
		free(after);
	}
	save_kit_set_file(folder, JOURNAL_NAME, own[0], own_len[0]);
	env = save_kit_open(folder);
	save_kit_check_in(env, "a", "saved");
	free(own[0]);
	free(own[1]);
	free(other);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(others_see_it_after_the_commit),
		WITH_STORE(an_abort_goes_back_to_what_was_saved),
		WITH_STORE(a_held_row_is_saved_each_time_it_changes),
		WITH_STORE(a_reserved_value_is_saved_as_it_was_filled),
		WITH_STORE(a_reserved_value_is_saved_before_its_page_moves),
		WITH_STORE(what_was_not_gathered_or_deletes_is_committed),
		WITH_STORE(a_full_journal_is_used_again_from_its_start),
		WITH_STORE(on_a_full_disk_it_is_not_saved_and_may_be_committed),
		WITH_STORE(without_a_journal_it_is_taken_up_and_removed),
		WITH_STORE(who_does_not_write_leaves_it_alone),
		WITH_STORE(a_journal_of_another_store_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
