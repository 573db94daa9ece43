/*
 * `renkeid check` and `renkeid backup` with attachments: what the rows name must be there, as long and as whole as they say; a backup has all of
 * it, and goes on from there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "broker/cmd.h"
#include "broker/cmd_blobs.h"
#include "broker/secrets.h"
#include "proto/ids.h"
#include "store/blob.h"
#include "tests/unit/store_kit.h"
#include "tests/unit/world.h"

#define A 1
#define B 2
#define TO_B 4u
#define LEN 300000u

static struct world w;
static uint8_t nda[32];
static char root[256], data[300], output[300];
static Rk__BlobRef *blobs[3]; /* attached, complete, open */

static void put_file(struct blob_folder *f, Rk__BlobRef *b, uint8_t fill, bool is_whole)
{
	uint8_t *bytes = malloc(LEN), hash[32];
	struct blob_part p;

	memset(bytes, fill, LEN);
	ids_sha256(hash, bytes_make(bytes, LEN));
	b->sha256 = world_copy(&w, hash, 32);
	assert_int_equal(blob_part_open(f, hash, LEN, 0, &p), RK_OK);
	assert_int_equal(blob_part_write(&p, 0, bytes_make(bytes, is_whole ? LEN : 1000)), RK_OK);
	if (is_whole)
		assert_int_equal(blob_part_finish(f, &p), RK_OK);
	blob_part_close(&p);
	free(bytes);
}

/* A data folder as a broker leaves it. */
static int set_up(void **state)
{
	struct blob_folder *f;
	char path[400];

	(void)state;
	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, B);
	world_agree(&w, 6u, nda);
	store_kit_folder(root);
	snprintf(data, sizeof(data), "%s/data", root);
	snprintf(output, sizeof(output), "%s/copy", root);
	assert_int_equal(mkdir(data, 0700), 0);
	snprintf(path, sizeof(path), "%s/blobs", data);
	assert_int_equal(blob_folder_open(path, true, &f), RK_OK);
	for (unsigned i = 0; i < 3; i++) {
		blobs[i] = world_blob(&w, LEN);
		put_file(f, blobs[i], (uint8_t)i, i < 2);
		assert_int_equal(world_blob_open(&w, A, nda, blobs[i]), RK_OK);
		if (i < 2)
			assert_int_equal(world_blob_put(&w, A, blobs[i], LEN, true), RK_OK);
	}
	assert_int_equal(world_blob_disclose(&w, A, TO_B, nda, blobs, 1, NULL), RK_OK);
	blob_folder_close(f);
	snprintf(path, sizeof(path), "%s/store", data);
	assert_int_equal(env_copy(w.env, path), RK_OK);
	assert_int_equal(secrets_write_file(data, "card", "c", 1, 0600), RK_OK);
	assert_int_equal(secrets_write_file(data, "listen", "l", 1, 0600), RK_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_kit_remove(root);
	world_close(&w);
	return 0;
}

static void file_name(char out[500], const char *folder, const Rk__BlobRef *b)
{
	char hex[65];

	ids_hex(hex, bytes_make(b->sha256.data, 32));
	snprintf(out, 500, "%s/blobs/%.2s/%s", folder, hex, hex);
}

static int check(const char *folder, bool attachments)
{
	const struct cmd_options o = {.data = folder, .attachments = attachments};

	return cmd_check(&o);
}

static int backup(void)
{
	const struct cmd_options o = {.data = data, .output = output};

	return cmd_backup(&o);
}

static bool has_manifest(void)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/MANIFEST", output);
	return access(path, F_OK) == 0;
}

static void a_backup_has_every_complete_attachment(void **state)
{
	char name[500];

	(void)state;
	assert_int_equal(check(data, true), 0);
	assert_int_equal(backup(), 0);
	assert_true(has_manifest());
	assert_int_equal(check(output, true), 0);
	for (unsigned i = 0; i < 3; i++) {
		file_name(name, output, blobs[i]);
		assert_int_equal(access(name, F_OK) == 0, i < 2);
	}
	/* What is dropped afterwards stays in the backup. */
	file_name(name, data, blobs[0]);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(check(output, true), 0);
	assert_int_equal(check(data, false), errcode_exit(RK_EINTEGRITY));
}

static void damage_is_found_by_length_and_by_reading(void **state)
{
	char name[500];
	int fd;

	(void)state;
	file_name(name, data, blobs[1]);
	assert_true((fd = open(name, O_WRONLY)) >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 1000), 1);
	assert_int_equal(check(data, false), 0); /* its length is right */
	assert_int_equal(check(data, true), errcode_exit(RK_EINTEGRITY));
	assert_int_equal(ftruncate(fd, LEN - 1), 0);
	close(fd);
	assert_int_equal(check(data, false), errcode_exit(RK_EINTEGRITY));
}

static void a_backup_of_what_is_not_all_there_is_none(void **state)
{
	char name[500];

	(void)state;
	file_name(name, data, blobs[1]);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(backup(), errcode_exit(RK_EINTEGRITY));
	assert_false(has_manifest());
}

/* Dropped between the copy of its row and its own: no fault. */
static void one_that_was_dropped_meanwhile_is_not_missed(void **state)
{
	struct cmd_blobs found;
	char name[500];
	struct env *copy, *live;
	struct txn *t;

	(void)state;
	copy = store_kit_open(data, 0);
	live = w.env;
	assert_int_equal(env_begin(live, true, &t), RK_OK);
	assert_int_equal(rows_del_blob(t, blobs[1]->sha256.data), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	file_name(name, data, blobs[1]);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(mkdir(output, 0700), 0);
	assert_int_equal(cmd_blobs_copy(copy, live, data, output, &found), RK_OK);
	assert_true(found.files == 1 && found.wrong == 0);
	assert_int_equal(cmd_blobs_copy(copy, copy, data, output, &found), RK_OK);
	assert_true(found.files == 1 && found.wrong == 1);
	env_close(copy);
}

static void a_folder_may_be_missing_where_no_row_names_a_file(void **state)
{
	struct txn *t;
	struct env *env;
	char path[400];

	(void)state;
	snprintf(path, sizeof(path), "%s/blobs", data);
	store_kit_remove(path);
	assert_int_equal(check(data, false), errcode_exit(RK_EINTEGRITY));
	env = store_kit_open(data, 0);
	assert_int_equal(env_begin(env, true, &t), RK_OK);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(rows_del_blob(t, blobs[i]->sha256.data), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	env_close(env);
	assert_int_equal(check(data, true), 0);
	assert_int_equal(backup(), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_backup_has_every_complete_attachment),
		TEST(damage_is_found_by_length_and_by_reading),
		TEST(a_backup_of_what_is_not_all_there_is_none),
		TEST(one_that_was_dropped_meanwhile_is_not_missed),
		TEST(a_folder_may_be_missing_where_no_row_names_a_file),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("attachments in check and backup", tests, NULL, NULL);
}
