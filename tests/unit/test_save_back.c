/*
 * save_back: what was saved comes back in no more pages than it had; beside an older copy of its store, or in a map that is too small, it is not
 * lost; and nothing comes back where a part of it is damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "store/journal.h"
#include "store/tables.h"
#include "tests/unit/save_kit.h"

#define ROWS 150
#define ROW_BYTES 1300

static char folder[256];

static int set_up(void **state)
{
	(void)state;
	store_kit_folder(folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_kit_remove(folder);
	return 0;
}

static void save_rows(struct txn *t, unsigned from)
{
	static uint8_t value[ROW_BYTES];
	uint8_t key[8];

	env_gather(t);
	for (unsigned i = 0; i < ROWS; i++) {
		put_u64be(key, from + i);
		assert_int_equal(env_put(t, T_ENTRY, BYTES_OF(key), BYTES_OF(value), ENV_APPEND), RK_OK);
	}
	assert_int_equal(env_save(t), RK_OK);
}

static void save_text(struct env *env, const char *key, const char *value)
{
	struct txn *t;

	assert_int_equal(env_begin(env, true, &t), RK_OK);
	env_gather(t);
	assert_int_equal(env_put(t, T_META, bytes_str(key), bytes_str(value), ENV_PUT), RK_OK);
	assert_int_equal(env_save(t), RK_OK);
	env_abort(t);
}

static uint64_t used_bytes(struct env *env)
{
	struct env_status s;

	assert_int_equal(env_status(env, &s), RK_OK);
	return s.used_bytes;
}

static void appended_rows_take_as_many_pages_again(void **state)
{
	struct env *env = save_kit_open(folder), *killed;
	struct txn *t;
	char copy[256];

	(void)state;
	assert_int_equal(env_begin(env, true, &t), RK_OK);
	save_rows(t, 0);
	save_kit_copy(folder, copy);
	assert_int_equal(env_commit(t), RK_OK);
	killed = save_kit_open(copy);
	assert_in_range(used_bytes(killed), 1, used_bytes(env) + 2 * 4096);
	env_close(killed);
	env_close(env);
	store_kit_remove(copy);
}

/* Reserved values are appended too; and one row more than once is no reason to fail. */
static void an_appended_row_that_was_put_again_comes_back(void **state)
{
	struct env *env = save_kit_open(folder);
	uint8_t key[8], *room;
	struct bytes value;
	struct txn *t;

	(void)state;
	assert_int_equal(env_begin(env, true, &t), RK_OK);
	env_gather(t);
	for (unsigned i = 0; i < 3; i++) {
		put_u64be(key, i);
		assert_int_equal(env_reserve(t, T_ENTRY, BYTES_OF(key), 9, ENV_APPEND, &room), RK_OK);
		memset(room, 'a', 9);
	}
	assert_int_equal(env_save(t), RK_OK);
	env_gather(t);
	assert_int_equal(env_put(t, T_ENTRY, BYTES_OF(key), bytes_str("changed"), ENV_PUT), RK_OK);
	assert_int_equal(env_save(t), RK_OK);
	env_abort(t);
	assert_int_equal(env_begin(env, true, &t), RK_OK);
	assert_int_equal(env_get(t, T_ENTRY, BYTES_OF(key), &value), RK_OK);
	assert_true(bytes_equal(value, bytes_str("changed")));
	env_abort(t);
	env_close(env);
	env = save_kit_open(folder);
	assert_int_equal(env_begin(env, false, &t), RK_OK);
	assert_int_equal(env_get(t, T_ENTRY, BYTES_OF(key), &value), RK_OK);
	assert_true(bytes_equal(value, bytes_str("changed")));
	env_abort(t);
	env_close(env);
}

/* X and Y are copies of one store.  X runs and is killed; then Y's data.mdb is put beside X's journal, whose records have the very number that comes next. */
static void an_older_copy_beside_a_journal_is_refused(void **state)
{
	struct env *env = save_kit_open(folder), *e;
	char copy[256], file[300];
	uint8_t *data;
	size_t len;

	(void)state;
	env_close(env);
	data = save_kit_file(folder, "data.mdb", &len);
	assert_non_null(data);
	save_kit_copy(folder, copy);
	assert_true(snprintf(file, sizeof(file), "%s/store/" JOURNAL_NAME, copy) < (int)sizeof(file));
	assert_int_equal(unlink(file), 0);
	env = save_kit_open(copy);
	save_text(env, "who", "x");
	env_close(env);
	save_kit_set_file(copy, "data.mdb", data, len);
	assert_int_equal(save_kit_try(copy, true, SAVE_KIT_JOURNAL_BYTES, &e), RK_CONFLICT);
	assert_int_equal(unlink(file), 0);
	env = save_kit_open(copy);
	save_kit_check_in(env, "who", NULL);
	env_close(env);
	store_kit_remove(copy);
	free(data);
}

static void a_map_smaller_than_the_store_has_room_for_it(void **state)
{
	struct env *env = save_kit_open(folder), *e;
	struct env_options o;
	struct txn *t;
	char path[256];

	(void)state;
	assert_int_equal(env_begin(env, true, &t), RK_OK);
	save_rows(t, 0);
	assert_int_equal(env_commit(t), RK_OK);
	save_text(env, "last", "saved");
	env_close(env);
	o = store_kit_options(folder, path);
	o.is_writer = true;
	o.create = false;
	o.map_bytes = 65536; /* of 200 KiB and more */
	assert_int_equal(env_open(&o, &e), RK_OK);
	save_kit_check_in(e, "last", "saved");
	env_close(e);
}

/* ---- a journal whose first record is damaged */

static void check_file(const char *name, const uint8_t *data, size_t len)
{
	size_t now_len;
	uint8_t *now = save_kit_file(folder, name, &now_len);

	assert_non_null(now);
	assert_true(bytes_equal(bytes_make(now, now_len), bytes_make(data, len)));
	free(now);
}

/* Saves these, and gives the store's two files as a kill leaves them. */
static void save_and_kill(const char *const *keys, unsigned count, uint8_t *files[2], size_t len[2])
{
	struct env *env = save_kit_open(folder);

	for (unsigned i = 0; i < count; i++)
		save_text(env, keys[i], "saved");
	env_close(env);
	assert_non_null(files[0] = save_kit_file(folder, "data.mdb", &len[0]));
	assert_non_null(files[1] = save_kit_file(folder, JOURNAL_NAME, &len[1]));
}

static size_t first_record_bytes(const uint8_t *journal)
{
	const size_t head = 48, bytes_at = 40; /* store/DESIGN.md, "The journal" */

	return head + get_u64be(journal + JOURNAL_PAGE_BYTES + bytes_at);
}

static const char *const saved_keys[] = {"first", "second", "third"};

/* Nobody starts on a part of what was answered, and nothing is made worse. */
static void damage_before_what_is_whole_is_refused(void **state)
{
	uint8_t *files[2];
	struct env *env;
	size_t len[2];

	(void)state;
	save_and_kill(saved_keys, 3, files, len);
	for (size_t i = 0, end = first_record_bytes(files[1]); i < end; i++) {
		uint8_t *at = files[1] + JOURNAL_PAGE_BYTES + i;

		*at ^= 0x20;
		save_kit_set_file(folder, JOURNAL_NAME, files[1], len[1]);
		for (unsigned has_journal = 0; has_journal < 2; has_journal++) { /* the next start: without one, with one */
			assert_int_equal(save_kit_try(folder, true, has_journal * SAVE_KIT_JOURNAL_BYTES, &env), RK_EINTEGRITY);
			assert_null(env);
			check_file("data.mdb", files[0], len[0]);
			check_file(JOURNAL_NAME, files[1], len[1]);
		}
		*at ^= 0x20;
	}
	save_kit_set_file(folder, JOURNAL_NAME, files[1], len[1]);
	env = save_kit_open(folder);
	for (unsigned i = 0; i < 3; i++)
		save_kit_check_in(env, saved_keys[i], "saved");
	env_close(env);
	free(files[0]);
	free(files[1]);
}

/* It may be one that a kill cut short, and was never answered. */
static void a_damaged_only_record_is_taken_for_one_cut_short(void **state)
{
	uint8_t *files[2];
	struct env *env;
	size_t len[2];

	(void)state;
	save_and_kill(saved_keys, 1, files, len);
	for (size_t i = 0, end = first_record_bytes(files[1]); i < end; i++) {
		uint8_t *at = files[1] + JOURNAL_PAGE_BYTES + i;

		*at ^= 0x20;
		save_kit_set_file(folder, "data.mdb", files[0], len[0]);
		save_kit_set_file(folder, JOURNAL_NAME, files[1], len[1]);
		*at ^= 0x20;
		env = save_kit_open(folder);
		save_kit_check_in(env, "first", NULL);
		save_text(env, "second", "saved");
		env_close(env);
		env = save_kit_open(folder);
		save_kit_check_in(env, "first", NULL);
		save_kit_check_in(env, "second", "saved");
		env_close(env);
	}
	free(files[0]);
	free(files[1]);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(appended_rows_take_as_many_pages_again),
		IN_FOLDER(an_appended_row_that_was_put_again_comes_back),
		IN_FOLDER(an_older_copy_beside_a_journal_is_refused),
		IN_FOLDER(a_map_smaller_than_the_store_has_room_for_it),
		IN_FOLDER(damage_before_what_is_whole_is_refused),
		IN_FOLDER(a_damaged_only_record_is_taken_for_one_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
