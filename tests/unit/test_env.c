/* env: transactions, values, cursors, formats, copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/tables.h"
#include "tests/unit/store_kit.h"

struct fixture {
	char folder[256];
	struct env *env;
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

static void put(struct txn *t, unsigned table, const char *key, const char *value)
{
	assert_int_equal(env_put(t, table, bytes_str(key), bytes_str(value), ENV_PUT), RK_OK);
}

static void expect(struct txn *t, unsigned table, const char *key, const char *value)
{
	struct bytes v;
	assert_int_equal(env_get(t, table, bytes_str(key), &v), RK_OK);
	assert_true(bytes_equal(v, bytes_str(value)));
}

static void commits_and_aborts(void **state)
{
	struct fixture *f = *state;
	struct txn *t = begin(f, true);
	put(t, T_ORG, "a", "1");
	put(t, T_NDA, "a", "2");
	put(t, T_ORG, "empty", "");
	expect(t, T_ORG, "a", "1");
	assert_int_equal(env_commit(t), RK_OK);

	t = begin(f, true);
	put(t, T_ORG, "a", "changed");
	assert_int_equal(env_del(t, T_NDA, bytes_str("a")), RK_OK);
	env_abort(t);

	t = begin(f, false);
	expect(t, T_ORG, "a", "1");
	expect(t, T_NDA, "a", "2");
	expect(t, T_ORG, "empty", "");
	assert_true(env_has(t, T_ORG, bytes_str("empty")));
	assert_false(env_has(t, T_POST, bytes_str("a")));
	env_abort(t);
	env_abort(NULL);
}

static void a_reader_sees_its_snapshot(void **state)
{
	struct fixture *f = *state;
	struct txn *r = begin(f, false), *t = begin(f, true);
	put(t, T_ORG, "a", "1");
	assert_int_equal(env_commit(t), RK_OK);
	assert_false(env_has(r, T_ORG, bytes_str("a")));
	assert_int_equal(env_commit(r), RK_OK);
	r = begin(f, false);
	assert_true(env_has(r, T_ORG, bytes_str("a")));
	env_abort(r);
}

static void not_found_and_exists_are_answers(void **state)
{
	struct fixture *f = *state;
	struct bytes v;
	uint8_t *room;
	struct txn *t = begin(f, true);
	assert_int_equal(env_get(t, T_ORG, bytes_str("x"), &v), RK_ENOTFOUND);
	assert_null(v.data);
	assert_int_equal(env_del(t, T_ORG, bytes_str("x")), RK_ENOTFOUND);
	put(t, T_ORG, "b", "1");
	assert_int_equal(env_put(t, T_ORG, bytes_str("b"), bytes_str("2"), ENV_NEW), RK_EEXISTS);
	assert_int_equal(env_put(t, T_ORG, bytes_str("a"), bytes_str("2"), ENV_APPEND), RK_EEXISTS);
	assert_int_equal(env_put(t, T_ORG, bytes_str("b"), bytes_str("2"), ENV_APPEND), RK_EEXISTS);
	assert_int_equal(env_put(t, T_ORG, bytes_str("c"), bytes_str("3"), ENV_APPEND), RK_OK);
	assert_int_equal(env_reserve(t, T_ORG, bytes_str("c"), 4, ENV_NEW, &room), RK_EEXISTS);
	assert_null(room);
	assert_int_equal(env_reserve(t, T_ORG, bytes_str("d"), 4, ENV_APPEND, &room), RK_OK);
	memcpy(room, "room", 4);
	assert_int_equal(env_error(t), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	t = begin(f, false);
	expect(t, T_ORG, "b", "1");
	expect(t, T_ORG, "d", "room");
	env_abort(t);
}

/* One after the other: our own mistakes stick, and nothing of the transaction is kept. */
static void mistakes_stick_to_the_transaction(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 7; i++) {
		struct txn *t = begin(f, i != 3);
		struct bytes k, v, none = bytes_make(NULL, 0);
		struct env_cursor *c = NULL;
		uint8_t *room, big[512] = {1};
		if (i != 3)
			put(t, T_ORG, "lost", "1");
		switch (i) {
		case 0: (void)env_put(t, T_ORG, none, none, ENV_PUT); break;
		case 1: (void)env_get(t, BROKER_TABLE_COUNT, bytes_str("a"), &v); break;
		case 2: (void)env_del(t, T_ORG, BYTES_OF(big)); break;
		case 3: (void)env_put(t, T_ORG, bytes_str("a"), none, ENV_PUT); break; /* a read transaction */
		case 4: (void)env_reserve(t, BROKER_TABLE_COUNT, bytes_str("a"), 1, ENV_PUT, &room); break;
		case 5: (void)env_last_with_prefix(t, T_ORG, BYTES_OF(big), &k, &v); break;
		default:
			assert_int_equal(env_cursor_open(t, T_ORG, &c), RK_OK);
			assert_int_equal(env_cursor_seek(c, BYTES_OF(big), &k, &v), RK_EINTERNAL);
			env_cursor_free(c);
		}
		assert_int_equal(env_error(t), RK_EINTERNAL);
		assert_int_equal(env_get(t, T_ORG, bytes_str("a"), &v), RK_EINTERNAL);
		assert_false(env_has(t, T_ORG, bytes_str("lost")));
		assert_int_equal(env_put(t, T_ORG, bytes_str("a"), none, ENV_PUT), RK_EINTERNAL);
		assert_int_equal(env_reserve(t, T_ORG, bytes_str("a"), 1, ENV_PUT, &room), RK_EINTERNAL);
		assert_int_equal(env_del(t, T_ORG, bytes_str("a")), RK_EINTERNAL);
		assert_int_equal(env_cursor_open(t, T_ORG, &c), RK_EINTERNAL);
		assert_int_equal(env_last_with_prefix(t, T_ORG, bytes_str("a"), &k, &v), RK_EINTERNAL);
		assert_int_equal(env_commit(t), RK_EINTERNAL);
	}
	struct txn *t = begin(f, false);
	assert_false(env_has(t, T_ORG, bytes_str("lost")));
	env_abort(t);
}

static void a_second_write_in_one_thread_is_refused_not_hung(void **state)
{
	struct fixture *f = *state;
	struct txn *second, *t = begin(f, true);
	assert_int_equal(env_begin(f->env, true, &second), RK_EINTERNAL);
	assert_null(second);
	env_abort(t);
	t = begin(f, true);
	assert_int_equal(env_commit(t), RK_OK);
	t = begin(f, true);
	env_abort(t);
}

static void *write_one(void *user)
{
	struct fixture *f = user;
	struct txn *t = NULL;
	if (env_begin(f->env, true, &t) == RK_OK) {
		(void)env_put(t, T_ORG, bytes_str("thread"), bytes_str("1"), ENV_PUT);
		return (void *)(intptr_t)env_commit(t);
	}
	return (void *)(intptr_t)RK_EINTERNAL;
}

static void another_thread_waits_for_the_writer(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	void *result;
	struct txn *t = begin(f, true);
	assert_int_equal(pthread_create(&thread, NULL, write_one, f), 0);
	usleep(20000);
	assert_false(env_has(t, T_ORG, bytes_str("thread")));
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, RK_OK);
}

/* ---- cursors */

static void fill_letters(struct fixture *f, const char *letters)
{
	struct txn *t = begin(f, true);
	for (const char *p = letters; *p != 0; p++) {
		char key[2] = {*p, 0};
		put(t, T_DUE, key, key);
	}
	assert_int_equal(env_commit(t), RK_OK);
}

static char letter(int code, struct bytes key, struct bytes value)
{
	if (code == RK_ENOTFOUND)
		return '.';
	assert_int_equal(code, RK_OK);
	assert_true(bytes_equal(key, value));
	return (char)key.data[0];
}

static void cursors_go_both_ways(void **state)
{
	struct fixture *f = *state;
	struct env_cursor *c;
	struct bytes k, v;
	fill_letters(f, "bdfh");
	struct txn *t = begin(f, false);
	assert_int_equal(env_cursor_open(t, T_DUE, &c), RK_OK);
	assert_int_equal(letter(env_cursor_seek(c, bytes_str("c"), &k, &v), k, v), 'd');
	assert_int_equal(letter(env_cursor_next(c, &k, &v), k, v), 'f');
	assert_int_equal(letter(env_cursor_prev(c, &k, &v), k, v), 'd');
	assert_int_equal(letter(env_cursor_prev(c, &k, &v), k, v), 'b');
	assert_int_equal(letter(env_cursor_prev(c, &k, &v), k, v), '.');
	assert_int_equal(letter(env_cursor_seek(c, bytes_str(""), &k, &v), k, v), 'b');
	assert_int_equal(letter(env_cursor_last(c, &k, &v), k, v), 'h');
	assert_int_equal(letter(env_cursor_next(c, &k, &v), k, v), '.');
	assert_int_equal(letter(env_cursor_seek(c, bytes_str("i"), &k, &v), k, v), '.');
	env_cursor_free(c);
	assert_int_equal(env_cursor_open(t, T_ORG, &c), RK_OK);
	assert_int_equal(letter(env_cursor_seek(c, bytes_str("a"), &k, &v), k, v), '.');
	assert_int_equal(letter(env_cursor_last(c, &k, &v), k, v), '.');
	env_cursor_free(c);
	env_cursor_free(NULL);
	assert_int_equal(env_error(t), RK_OK);
	env_abort(t);
}

static void deleting_at_a_cursor_keeps_its_place(void **state)
{
	struct fixture *f = *state;
	struct env_cursor *c;
	struct bytes k, v;
	fill_letters(f, "abcdef");
	struct txn *t = begin(f, true);
	assert_int_equal(env_cursor_open(t, T_DUE, &c), RK_OK);
	assert_int_equal(letter(env_cursor_seek(c, bytes_str("b"), &k, &v), k, v), 'b');
	assert_int_equal(env_cursor_del(c), RK_OK);
	assert_int_equal(letter(env_cursor_next(c, &k, &v), k, v), 'c');
	assert_int_equal(env_cursor_del(c), RK_OK);
	assert_int_equal(letter(env_cursor_prev(c, &k, &v), k, v), 'a');
	assert_int_equal(letter(env_cursor_last(c, &k, &v), k, v), 'f');
	assert_int_equal(env_cursor_del(c), RK_OK);
	assert_int_equal(letter(env_cursor_prev(c, &k, &v), k, v), 'e');
	assert_int_equal(letter(env_cursor_last(c, &k, &v), k, v), 'e');
	assert_int_equal(env_cursor_del(c), RK_OK);
	assert_int_equal(letter(env_cursor_next(c, &k, &v), k, v), '.');
	assert_int_equal(env_commit(t), RK_OK);
	env_cursor_free(c);  /* after its transaction: still ours to free */

	t = begin(f, true);
	assert_int_equal(env_cursor_open(t, T_DUE, &c), RK_OK);
	assert_int_equal(letter(env_cursor_seek(c, bytes_str(""), &k, &v), k, v), 'a');
	assert_int_equal(env_cursor_del(c), RK_OK);
	assert_int_equal(env_cursor_del(c), RK_EINTERNAL);  /* nothing is under it any more */
	env_abort(t);
	assert_int_equal(env_cursor_next(c, &k, &v), RK_EINTERNAL);
	env_cursor_free(c);
}

/* Many pages, deletes of every third while walking: each entry is met exactly once. */
static void a_sweep_meets_each_entry_once(void **state)
{
	struct fixture *f = *state;
	enum { COUNT = 5000 };
	struct env_cursor *c;
	struct bytes k, v;
	uint8_t key[8], value[100] = {0};
	struct txn *t = begin(f, true);
	for (uint64_t i = 0; i < COUNT; i++) {
		put_u64be(key, i);
		assert_int_equal(env_put(t, T_DUE, BYTES_OF(key), BYTES_OF(value), ENV_APPEND), RK_OK);
	}
	assert_int_equal(env_cursor_open(t, T_DUE, &c), RK_OK);
	uint64_t met = 0;
	int r = env_cursor_seek(c, bytes_make(NULL, 0), &k, &v);
	for (; r == RK_OK; r = env_cursor_next(c, &k, &v)) {
		assert_int_equal(get_u64be(k.data), met);
		if (met++ % 3 != 0)
			assert_int_equal(env_cursor_del(c), RK_OK);
	}
	assert_int_equal(r, RK_ENOTFOUND);
	assert_int_equal(met, COUNT);
	env_cursor_free(c);
	for (uint64_t i = 0; i < COUNT; i++) {
		put_u64be(key, i);
		assert_int_equal(env_has(t, T_DUE, BYTES_OF(key)), i % 3 == 0);
	}
	assert_int_equal(env_commit(t), RK_OK);
}

static void finds_the_last_key_of_a_prefix(void **state)
{
	struct fixture *f = *state;
	static const struct { const char *prefix, *last; } rows[] = {
		{"a", "a\xff\xff"}, {"a\xff", "a\xff\xff"}, {"a\xff\xff", "a\xff\xff"}, {"a1", "a1"}, {"b", NULL},
		{"c", "cz"}, {"cz", "cz"}, {"czz", NULL}, {"\xff", "\xff\x01"}, {"\xff\xff", NULL}, {"", "\xff\x01"}, {"0", NULL},
	};
	struct txn *t = begin(f, true);
	struct bytes k, v;
	assert_int_equal(env_last_with_prefix(t, T_OBJECT, bytes_str("a"), &k, &v), RK_ENOTFOUND);
	assert_int_equal(env_last_with_prefix(t, T_OBJECT, bytes_str(""), &k, &v), RK_ENOTFOUND);
	put(t, T_OBJECT, "a1", "x");
	put(t, T_OBJECT, "a\xff\xff", "x");
	put(t, T_OBJECT, "ca", "x");
	put(t, T_OBJECT, "cz", "x");
	put(t, T_OBJECT, "\xff\x01", "x");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int r = env_last_with_prefix(t, T_OBJECT, bytes_str(rows[i].prefix), &k, &v);
		if (rows[i].last == NULL) {
			assert_int_equal(r, RK_ENOTFOUND);
			continue;
		}
		assert_int_equal(r, RK_OK);
		assert_true(bytes_equal(k, bytes_str(rows[i].last)));
		assert_true(bytes_equal(v, bytes_str("x")));
	}
	env_abort(t);
}

/* ---- opening */

static void reopen_as(struct fixture *f, uint32_t format, bool create, int code)
{
	char path[256];
	struct env_options o = store_kit_options(f->folder, path);
	o.format = format;
	o.create = create;
	assert_int_equal(env_open(&o, &f->env), code);
	env_close(f->env);
	f->env = NULL;
}

static void refuses_another_format(void **state)
{
	struct fixture *f = *state;
	env_close(f->env);
	reopen_as(f, STORE_FORMAT, false, RK_OK);
	reopen_as(f, STORE_FORMAT + 1, true, RK_ESTOREFORMAT);
	reopen_as(f, 0, true, RK_EINTERNAL);
	reopen_as(f, STORE_FORMAT, true, RK_OK);
}

static void opens_only_what_is_there_unless_told_to_create(void **state)
{
	struct fixture *f = *state;
	char file[300];
	env_close(f->env);
	f->env = NULL;
	snprintf(file, sizeof(file), "%s/store", f->folder);
	store_kit_remove(file);
	reopen_as(f, STORE_FORMAT, false, RK_ENOTFOUND);
	reopen_as(f, STORE_FORMAT, true, RK_OK);
	snprintf(file, sizeof(file), "%s/store/data.mdb", f->folder);
	assert_int_equal(truncate(file, 0), 0);
	reopen_as(f, STORE_FORMAT, false, RK_ESTORE);
}

static void refuses_a_file_that_is_not_a_store(void **state)
{
	struct fixture *f = *state;
	char file[300], text[8192];
	env_close(f->env);
	f->env = NULL;
	snprintf(file, sizeof(file), "%s/store/data.mdb", f->folder);
	memset(text, 'x', sizeof(text));
	for (size_t len = 1; len <= sizeof(text); len = len * 3 + 1) {
		int fd = open(file, O_WRONLY | O_TRUNC);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, text, len), len);
		close(fd);
		reopen_as(f, STORE_FORMAT, true, RK_ESTORE);
	}
}

static void files_are_private(void **state)
{
	struct fixture *f = *state;
	static const struct { const char *name; mode_t mode; } rows[] = {
		{"store", S_IFDIR | 0700}, {"store/data.mdb", S_IFREG | 0600}, {"store/lock.mdb", S_IFREG | 0600},
	};
	for (size_t i = 0; i < 3; i++) {
		char file[300];
		struct stat st;
		snprintf(file, sizeof(file), "%s/%s", f->folder, rows[i].name);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode, rows[i].mode);
	}
}

static void a_locked_folder_refuses_another_holder(void **state)
{
	struct fixture *f = *state;
	int fd, other;
	assert_int_equal(env_lock_folder(f->folder, "renkeid.lock", &fd), RK_OK);
	assert_int_equal(env_lock_folder(f->folder, "renkeid.lock", &other), RK_ELOCKED);
	assert_int_equal(other, -1);
	assert_int_equal(env_lock_folder(f->folder, "other.lock", &other), RK_OK);
	close(other);
	close(fd);
	assert_int_equal(env_lock_folder(f->folder, "renkeid.lock", &fd), RK_OK);
	close(fd);
	assert_int_equal(env_lock_folder("/nonexistent", "renkeid.lock", &fd), RK_ENOTFOUND);
}

/* ---- status, copy, walk */

static void put_big(struct fixture *f, uint64_t from, uint64_t to, size_t len)
{
	struct txn *t = begin(f, true);
	for (uint64_t i = from; i < to; i++) {
		uint8_t key[8], *room;
		put_u64be(key, i);
		assert_int_equal(env_reserve(t, T_BULK, BYTES_OF(key), len, ENV_PUT, &room), RK_OK);
		memset(room, (int)i, len);
	}
	assert_int_equal(env_commit(t), RK_OK);
}

static void status_counts_pages_in_use(void **state)
{
	struct fixture *f = *state;
	struct env_status s0, s1, s2;
	assert_int_equal(env_status(f->env, &s0), RK_OK);
	assert_int_equal(s0.map_bytes, STORE_KIT_MAP_BYTES);
	put_big(f, 0, 100, 100000);
	assert_int_equal(env_status(f->env, &s1), RK_OK);
	assert_true(s1.used_bytes >= s0.used_bytes + 100 * 100000);
	assert_true(s1.used_bytes <= s0.used_bytes + 100 * 103000 + 65536);
	assert_true(s1.used_bytes <= store_kit_file_bytes(f->folder) + 65536);
	assert_int_equal(s1.last_txn, s0.last_txn + 1);
	struct txn *reader = begin(f, false), *t = begin(f, true);
	for (uint64_t i = 0; i < 90; i++) {
		uint8_t key[8];
		put_u64be(key, i);
		assert_int_equal(env_del(t, T_BULK, BYTES_OF(key)), RK_OK);
	}
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(env_status(f->env, &s2), RK_OK);
	assert_true(s2.used_bytes < s1.used_bytes / 5);
	assert_int_equal(s2.readers, 1);
	assert_int_equal(s2.oldest_reader_lag, 1);
	env_abort(reader);
	assert_int_equal(env_status(f->env, &s2), RK_OK);
	assert_int_equal(s2.readers, 0);
	assert_int_equal(s2.oldest_reader_lag, 0);
}

static void a_hot_copy_is_equal_and_private(void **state)
{
	struct fixture *f = *state;
	struct fixture copy = {.env = NULL};
	char path[300], file[320];
	struct stat st;
	put_big(f, 0, 50, 5000);
	put_big(f, 0, 20, 100);
	store_kit_folder(copy.folder);
	snprintf(path, sizeof(path), "%s/store", copy.folder);
	assert_int_equal(env_copy(f->env, path), RK_OK);
	assert_int_equal(env_copy(f->env, path), RK_EEXISTS);
	snprintf(file, sizeof(file), "%s/data.mdb", path);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	copy.env = store_kit_open(copy.folder, 0);
	assert_true(store_kit_equal(f->env, copy.env));
	put_big(&copy, 7, 8, 10);
	assert_false(store_kit_equal(f->env, copy.env));
	env_close(copy.env);
	store_kit_remove(copy.folder);
	assert_int_equal(env_copy(f->env, "/nonexistent/folder"), RK_ENOTFOUND);
}

struct walked {
	int stop_after;
	char text[64];
};

static int note_row(void *user, unsigned table, struct bytes key, struct bytes value)
{
	struct walked *w = user;
	size_t len = strlen(w->text);
	(void)value;
	snprintf(w->text + len, sizeof(w->text) - len, "%u%.*s ", table, (int)key.len, (const char *)key.data);
	return --w->stop_after == 0 ? 77 : 0;
}

static void walks_tables_and_keys_in_order(void **state)
{
	struct fixture *f = *state;
	struct walked all = {.stop_after = -1}, some = {.stop_after = 2};
	struct txn *t = begin(f, true);
	put(t, T_DUE, "z", "1");
	put(t, T_META, "b", "1");
	put(t, T_ENTRY, "c", "1");
	put(t, T_META, "a", "1");
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(env_walk(f->env, note_row, &all), RK_OK);
	assert_string_equal(all.text, "0a 0b 1c 21z ");
	assert_int_equal(env_walk(f->env, note_row, &some), 77);
	assert_string_equal(some.text, "0a 0b ");
}

static void all_tables_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BROKER_TABLE_COUNT; i++) {
		assert_non_null(broker_tables[i]);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(broker_tables[i], broker_tables[j]);
	}
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(commits_and_aborts),
		WITH_STORE(a_reader_sees_its_snapshot),
		WITH_STORE(not_found_and_exists_are_answers),
		WITH_STORE(mistakes_stick_to_the_transaction),
		WITH_STORE(a_second_write_in_one_thread_is_refused_not_hung),
		WITH_STORE(another_thread_waits_for_the_writer),
		WITH_STORE(cursors_go_both_ways),
		WITH_STORE(deleting_at_a_cursor_keeps_its_place),
		WITH_STORE(a_sweep_meets_each_entry_once),
		WITH_STORE(finds_the_last_key_of_a_prefix),
		WITH_STORE(refuses_another_format),
		WITH_STORE(opens_only_what_is_there_unless_told_to_create),
		WITH_STORE(refuses_a_file_that_is_not_a_store),
		WITH_STORE(files_are_private),
		WITH_STORE(a_locked_folder_refuses_another_holder),
		WITH_STORE(status_counts_pages_in_use),
		WITH_STORE(a_hot_copy_is_equal_and_private),
		WITH_STORE(walks_tables_and_keys_in_order),
		cmocka_unit_test(all_tables_have_names),
	};
	return cmocka_run_group_tests_name("env", tests, NULL, NULL);
}
