/*
 * A home's receipt with attachments into a file: all of them, or which are missing; what is damaged here is never given out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client_internal.h"
#include "client/evidence.h"
#include "client/savefile.h"
#include "proto/ids.h"
#include "tests/unit/receipt_kit.h"

static const size_t lens[] = {70000, 0, 131072};
#define COUNT (sizeof(lens) / sizeof(lens[0]))

/* The receipt as the exchange's history gives it; only what is written, and from where, is the home's. */
static struct client c;
static struct receipt_kit kit;
static struct arena *arena;
static struct bytes archive;
static struct receipt made;
static char folder[] = "/tmp/renkei-evidence-XXXXXX";
static int dir_fd;

static void blob_path(char path[256], size_t i)
{
	char hex[65];

	ids_hex(hex, bytes_make(made.header->blobs[i]->sha256.data, 32));
	snprintf(path, 256, "%s/blobs/%s.age", folder, hex);
}

static void put_blob(size_t i, struct bytes blob)
{
	char path[256];
	FILE *f;

	blob_path(path, i);
	assert_non_null(f = fopen(path, "we"));
	assert_int_equal(fwrite(blob.data, 1, blob.len, f), blob.len);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	char path[256];

	(void)state;
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/blobs", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true((dir_fd = open(folder, O_RDONLY | O_DIRECTORY)) >= 0);
	assert_non_null(arena = arena_new((size_t)4 << 20));
	snprintf(c.home, sizeof(c.home), "%s", folder);
	kit = (struct receipt_kit){.steps = receipt_kit_plain, .has_content = true, .attachment_lens = lens, .attachment_count = COUNT};
	receipt_kit_run(&kit, arena);
	assert_int_equal(receipt_make(&kit.parts, arena, &archive, &made), RK_OK);
	for (size_t i = 0; i < COUNT; i++)
		put_blob(i, kit.blobs[i]);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	close(dir_fd);
	arena_free(arena);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static int write_it(uint32_t *missing)
{
	struct evidence_blobs blobs;
	int r = evidence_blobs_open(&c, &made, &blobs, missing);

	if (r == RK_OK)
		r = evidence_write(dir_fd, "out", archive, &made, arena, &blobs);
	evidence_blobs_close(&blobs);
	return r;
}

static void all_of_them(void **state)
{
	struct bytes whole = receipt_kit_tail(&kit, archive, &made, kit.blobs);
	uint8_t *found = test_malloc(whole.len + 1);
	struct receipt out;
	uint32_t missing;
	int fd;

	(void)state;
	assert_int_equal(evidence_size(&made, archive), whole.len);
	assert_int_equal(write_it(&missing), RK_OK);
	assert_int_equal(missing, 0);
	assert_true((fd = openat(dir_fd, "out", O_RDONLY)) >= 0);
	assert_int_equal(read(fd, found, whole.len + 1), whole.len);
	close(fd);
	assert_memory_equal(found, whole.data, whole.len);
	assert_int_equal(receipt_verify(bytes_make(found, whole.len), kit.f.exchange_id, arena, &out), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
	test_free(found);
	/* Nothing is overwritten. */
	assert_int_equal(write_it(&missing), RK_EEXISTS);
}

static bool is_empty(void)
{
	char command[160];

	snprintf(command, sizeof(command), "[ \"$(ls -A %s)\" = blobs ]", folder);
	return system(command) == 0;
}

static void those_that_are_missing(void **state)
{
	char path[256];
	uint32_t missing;

	(void)state;
	blob_path(path, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write_it(&missing), RK_ENOTFOUND);
	assert_int_equal(missing, 2);
	/* Nor is one here that is here in part, or no file. */
	assert_int_equal(mkdir(path, 0700), 0);
	blob_path(path, 2);
	assert_int_equal(truncate(path, (off_t)kit.blobs[2].len - 1), 0);
	assert_int_equal(write_it(&missing), RK_ENOTFOUND);
	assert_int_equal(missing, 6);
	assert_true(is_empty());
}

static void one_that_is_damaged(void **state)
{
	uint8_t *bent = test_malloc(kit.blobs[2].len);
	uint32_t missing;

	(void)state;
	memcpy(bent, kit.blobs[2].data, kit.blobs[2].len);
	bent[kit.blobs[2].len - 1] ^= 1;
	put_blob(2, bytes_make(bent, kit.blobs[2].len));
	test_free(bent);
	assert_int_equal(write_it(&missing), RK_EINTEGRITY);
	assert_string_equal(made.checks[made.check_count - 1].member, "attachment-03.age");
	assert_int_equal(made.level, RECEIPT_UNPROVEN);
	assert_true(is_empty());
}

/* What is swept while it is written stays readable. */
static void one_that_is_swept_meanwhile(void **state)
{
	struct evidence_blobs blobs;
	char path[256];
	uint32_t missing;

	(void)state;
	assert_int_equal(evidence_blobs_open(&c, &made, &blobs, &missing), RK_OK);
	blob_path(path, 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(evidence_write(dir_fd, "out", archive, &made, arena, &blobs), RK_OK);
	evidence_blobs_close(&blobs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_them),
		TEST(those_that_are_missing),
		TEST(one_that_is_damaged),
		TEST(one_that_is_swept_meanwhile),
	};

	return cmocka_run_group_tests_name("a receipt into a file", tests, NULL, NULL);
}
