/*
 * backup and restore of a home without a broker: what comes back and what is new in it; archives of somebody who has the code but not
 * our good will; what is never overwritten; how old a backup may be.  Kills, disks and terminals are e2e's (23-backup.bats).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/backup_internal.h"
#include "tests/unit/bare_home.h"

#define CODE "ABCD-a code as good as any other"

static char file[600], place[600], temp[700];

static int setup(void **state)
{
	struct bare *h = calloc(1, sizeof(*h));

	bare_begin(h, 1);
	bare_fill_book(h);
	snprintf(file, sizeof(file), "%s/backup", h->folder);
	snprintf(place, sizeof(place), "%s/deep/again", h->folder);
	snprintf(temp, sizeof(temp), "%s.restoring", place);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	bare_end(*state);
	free(*state);
	return 0;
}

static int back_up(struct bare *h, struct backup_result *result)
{
	const struct backup_options o = {.file = file, .code = CODE};

	return backup_write(h->c, &o, result);
}

static int restore(const char *code, struct backup_result *result)
{
	return restore_home(&(struct restore_options){.file = file, .home = place, .code = code}, result);
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void assert_nothing_restored(void)
{
	assert_false(is_there(place));
	assert_false(is_there(temp));
}

static void comes_back_as_another_writer(void **state)
{
	struct bare *h = *state;
	static const uint8_t writer[8] = {1, 2, 3};
	struct backup_result made, found;
	struct client_options o = {.home = place};
	struct client *again;
	struct bytes value;
	struct txn *t = bare_write(h);
	uint8_t yes = 1;

	assert_int_equal(meta_put(t, META_WRITER, BYTES_OF(writer)), RK_OK);
	assert_int_equal(meta_put(t, META_STALE, bytes_make(&yes, 1)), RK_OK);
	assert_int_equal(meta_put_u64(t, META_NUMBER, 77), RK_OK);
	assert_int_equal(meta_put_u64(t, META_NEXT_ID, 12), RK_OK);
	bare_commit(h);
	assert_int_equal(back_up(h, &made), RK_OK);
	assert_int_equal(made.created_at, bare_now_ms);
	assert_true(made.has_key[KEY_DEVICE] && !made.has_key[KEY_ORG] && made.members == 4 && made.attachments == 0);
	assert_int_equal(back_up(h, &made), RK_EEXISTS);

	assert_int_equal(restore(CODE, &found), RK_OK);
	assert_int_equal(found.created_at, bare_now_ms);
	assert_int_equal(found.members, 4);
	assert_false(is_there(temp));
	assert_int_equal(client_open(&o, &again), RK_OK);
	assert_memory_equal(client_exchange_id(again), client_exchange_id(h->c), 32);
	assert_memory_equal(client_device_id(again), client_device_id(h->c), 16);
	assert_int_equal(env_begin(client_env(again), false, &t), RK_OK);
	assert_int_equal(meta_get(t, META_WRITER, &value), RK_OK);
	assert_int_equal(value.len, 8);
	assert_memory_not_equal(value.data, writer, 8);
	assert_int_equal(meta_u64(t, META_NUMBER), 0);
	assert_int_equal(meta_get(t, META_STALE, &value), RK_ENOTFOUND);
	assert_int_equal(meta_u64(t, META_ASIDE), 12);
	assert_int_equal(meta_u64(t, META_BACKUP_AT), bare_now_ms);
	assert_int_equal(meta_u64(t, "count/restored"), 1);
	env_abort(t);
	client_close(again);
	/* Into an empty place only. */
	assert_int_equal(restore(CODE, &found), RK_EEXISTS);
}

static void another_code_or_file_restores_nothing(void **state)
{
	struct bare *h = *state;
	struct backup_result result;

	assert_int_equal(restore(CODE, &result), RK_ENOTFOUND);
	assert_nothing_restored();
	assert_int_equal(back_up(h, &result), RK_OK);
	assert_int_equal(restore("another", &result), RK_EPASSPHRASE);
	assert_nothing_restored();
	assert_int_equal(truncate(file, (off_t)result.bytes - 1), 0);
	assert_int_equal(restore(CODE, &result), RK_EINTEGRITY);
	assert_nothing_restored();
}

/* ---- archives made by hand: a genuine one with changes */

struct change {
	const char *drop, *add;      /* a member's name */
	struct bytes added;
	const char *head;            /* in place of the first member */
	bool twice;                  /* each member */
};

static void copy_member(struct archive_reader *from, struct archive_writer *to, const char *name, uint64_t len, const struct change *change)
{
	uint8_t *data = malloc((size_t)len + 1);
	struct bytes all;
	size_t n;

	assert_int_equal(archive_read(from, data, (size_t)len, &n), RK_OK);
	all = bytes_make(data, n);
	if (change->head != NULL && strcmp(name, BACKUP_HEAD) == 0)
		all = bytes_str(change->head);
	for (int i = 0; i < (change->twice && strcmp(name, "kx.key") == 0 ? 2 : 1); i++)
		if (change->drop == NULL || strcmp(change->drop, name) != 0)
			assert_int_equal(archive_add_bytes(to, name, all), RK_OK);
	free(data);
}

/* The backup is then this one. */
static int restore_changed(const struct change *change)
{
	char changed[700], name[USTAR_NAME_CHARS];
	struct backup_result result;
	struct archive_reader *from;
	struct archive_writer *to;
	int in = open(file, O_RDONLY | O_CLOEXEC), out, r;
	uint64_t len;

	snprintf(changed, sizeof(changed), "%s.changed", file);
	out = open(changed, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(archive_open(in, bytes_str(CODE), NULL, NULL, &from), RK_OK);
	assert_int_equal(archive_begin(out, bytes_str(CODE), NULL, NULL, &to), RK_OK);
	while ((r = archive_next(from, name, &len)) == RK_OK)
		copy_member(from, to, name, len, change);
	assert_int_equal(r, RK_ENOTFOUND);
	if (change->add != NULL)
		assert_int_equal(archive_add_bytes(to, change->add, change->added), RK_OK);
	assert_int_equal(archive_end(to), RK_OK);
	archive_reader_free(from);
	archive_writer_free(to);
	close(in);
	close(out);
	r = restore_home(&(struct restore_options){.file = changed, .home = place, .code = CODE}, &result);
	if (r != RK_OK)
		assert_nothing_restored();
	return r;
}

static void what_is_no_home_is_refused(void **state)
{
	static const struct { struct change change; int code; } cases[] = {
		{{.drop = BACKUP_HEAD}, RK_MALFORMED},
		{{.drop = "device.key"}, RK_MALFORMED},
		{{.drop = "kx.key"}, RK_MALFORMED},
		{{.drop = BACKUP_STORE}, RK_MALFORMED},
		{{.twice = true}, RK_MALFORMED},
		{{.add = "store/lock.mdb", .added = {(const uint8_t *)"x", 1}}, RK_MALFORMED},
		{{.add = "bin/sh", .added = {(const uint8_t *)"x", 1}}, RK_MALFORMED},
		{{.add = "blobs/not-hex.age", .added = {(const uint8_t *)"x", 1}}, RK_MALFORMED},
		{{.add = "org.key", .added = {(const uint8_t *)"no key file", 11}}, RK_MALFORMED},
		{{.head = ""}, RK_MALFORMED},
		{{.head = "renkei backup 1\n"}, RK_MALFORMED},
		{{.head = "renkei backup 1x\n"}, RK_MALFORMED},
		{{.head = "renkei backup 2\nwhat comes later\n"}, RK_ENEWER},
	};
	struct bare *h = *state;
	struct backup_result result;

	assert_int_equal(back_up(h, &result), RK_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int r = restore_changed(&cases[i].change);

		if (r != cases[i].code)
			fail_msg("case %zu: %s", i, errcode_name(r));
	}
	assert_int_equal(restore_changed(&(struct change){.add = "blobs/00ff.age", .added = {(const uint8_t *)"x", 1}}), RK_OK);
}

static void the_first_member_must_be_of_this_home(void **state)
{
	struct bare *h = *state;
	struct backup_head head = {.created_at = FIXED_TIME_MS}, back;
	struct backup_result result;
	char text[BACKUP_HEAD_MAX_BYTES];

	memcpy(head.exchange_id, client_exchange_id(h->c), 32);
	memcpy(head.org_id, client_org_id(h->c), 16);
	memset(head.device_id, 9, 16);
	assert_int_equal(back_up(h, &result), RK_OK);
	backup_head_write(text, &head);
	assert_int_equal(backup_head_read(bytes_str(text), &back), RK_OK);
	assert_memory_equal(&back, &head, sizeof(head));
	assert_int_equal(restore_changed(&(struct change){.head = text}), RK_MALFORMED);
	memcpy(head.device_id, client_device_id(h->c), 16);
	head.without_attachments = true;
	backup_head_write(text, &head);
	assert_int_equal(restore_changed(&(struct change){.head = text}), RK_OK);
}

static void what_was_broken_off_is_cleared_away(void **state)
{
	struct bare *h = *state;
	struct backup_result result;
	char path[800];

	assert_int_equal(back_up(h, &result), RK_OK);
	snprintf(path, sizeof(path), "%s/deep", h->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mkdir(temp, 0700), 0);
	snprintf(path, sizeof(path), "%s/store", temp);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/store/data.mdb", temp);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	snprintf(path, sizeof(path), "%s/root.key", temp);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(restore(CODE, &result), RK_OK);
	snprintf(path, sizeof(path), "%s/root.key", place);
	assert_false(is_there(path));
	assert_false(is_there(temp));
}

static void one_backup_of_a_home_at_a_time(void **state)
{
	struct bare *h = *state;
	struct backup_result result;
	int fd;

	assert_int_equal(env_lock_folder(h->path, "backup.lock", &fd), RK_OK);
	assert_int_equal(back_up(h, &result), RK_ELOCKED);
	assert_false(is_there(file));
	close(fd);
	assert_int_equal(back_up(h, &result), RK_OK);
}

static struct backup_state state_at(struct bare *h, int64_t now_ms)
{
	struct backup_state s;
	struct txn *t;

	bare_now_ms = now_ms;
	assert_int_equal(env_begin(client_env(h->c), false, &t), RK_OK);
	assert_int_equal(backup_state_read(h->c, t, h->a, &s), RK_OK);
	env_abort(t);
	return s;
}

static void it_is_old_after_thirty_days_with_something_new(void **state)
{
	struct bare *h = *state;
	const int64_t start = bare_now_ms;
	struct backup_result result;
	struct txn *t = bare_write(h);

	(void)meta_next_id(t);
	bare_commit(h);
	assert_int_equal(state_at(h, start).made_at, 0);
	assert_false(state_at(h, start).is_old);
	assert_true(state_at(h, start + 2 * BACKUP_MAX_AGE_MS).is_old);
	bare_now_ms = start;
	assert_int_equal(back_up(h, &result), RK_OK);
	assert_int_equal(state_at(h, start).made_at, start);
	assert_false(state_at(h, start + 2 * BACKUP_MAX_AGE_MS).is_old);
	bare_write(h);
	(void)meta_next_id(h->t);
	bare_commit(h);
	assert_false(state_at(h, start + BACKUP_MAX_AGE_MS).is_old);
	assert_true(state_at(h, start + BACKUP_MAX_AGE_MS + 1).is_old);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(comes_back_as_another_writer),
		TEST(another_code_or_file_restores_nothing),
		TEST(what_is_no_home_is_refused),
		TEST(the_first_member_must_be_of_this_home),
		TEST(what_was_broken_off_is_cleared_away),
		TEST(one_backup_of_a_home_at_a_time),
		TEST(it_is_old_after_thirty_days_with_something_new),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
