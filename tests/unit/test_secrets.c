/*
 * secrets: written whole and private, read back as they were; what is missing, there already or damaged is said.
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

#include "broker/secrets.h"
#include "proto/errcode.h"

static char folder[64];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/renkei-keys-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path_of("curve.key"));
	unlink(path_of("log.key"));
	unlink(path_of("note"));
	return rmdir(folder);
}

static void are_read_back_as_they_were_made(void **state)
{
	struct secrets made, read;
	struct stat st;

	(void)state;
	assert_int_equal(secrets_load(folder, &read, NULL), RK_ENOTFOUND);
	assert_int_equal(secrets_create(folder, &made), RK_OK);
	assert_int_equal(secrets_load(folder, &read, NULL), RK_OK);
	assert_memory_equal(made.curve_pk, read.curve_pk, 32);
	assert_memory_equal(made.curve_sk, read.curve_sk, 32);
	assert_memory_equal(made.log_pk, read.log_pk, 32);
	assert_memory_equal(made.log_sk, read.log_sk, 64);
	assert_int_equal(stat(path_of("curve.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(path_of("log.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	secrets_wipe(&made);
	secrets_wipe(&read);
	assert_null(read.log_sk);
	/* A second init would orphan the exchange. */
	assert_int_equal(secrets_create(folder, &made), RK_EEXISTS);
	assert_null(made.curve_sk);
}

static void damage_is_said_by_name(void **state)
{
	const char *failed = NULL;
	struct secrets keys;
	uint8_t byte;
	int fd;

	(void)state;
	assert_int_equal(secrets_create(folder, &keys), RK_OK);
	secrets_wipe(&keys);
	fd = open(path_of("log.key"), O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, 80), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 80), 1);
	assert_int_equal(secrets_load(folder, &keys, &failed), RK_EPASSPHRASE);
	assert_string_equal(failed, "log.key");
	assert_null(keys.curve_sk); /* nothing is left half open */
	assert_int_equal(ftruncate(fd, 20), 0);
	assert_int_equal(secrets_load(folder, &keys, &failed), RK_EKEYFILE);
	assert_int_equal(ftruncate(fd, 5000), 0);
	assert_int_equal(secrets_load(folder, &keys, &failed), RK_EKEYFILE);
	close(fd);
	assert_int_equal(unlink(path_of("curve.key")), 0);
	assert_int_equal(secrets_load(folder, &keys, &failed), RK_ENOTFOUND);
	assert_string_equal(failed, "curve.key");
}

static void small_files_are_whole_or_not_there(void **state)
{
	char text[16] = "";
	FILE *f;

	(void)state;
	assert_int_equal(secrets_write_file(folder, "note", "one\n", 4, 0600), RK_OK);
	assert_int_equal(secrets_write_file(folder, "note", "two\n", 4, 0600), RK_OK);
	f = fopen(path_of("note"), "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "two\n");
	assert_int_equal(access(path_of("note.new"), F_OK), -1);
	assert_int_equal(secrets_write_file("/nonexistent", "note", "x", 1, 0600), RK_EIO);
}

static void foreign_keys_are_named(void **state)
{
	struct secrets k = {.curve_pk = {1}, .log_pk = {2}};
	const uint8_t curve[32] = {1}, log[32] = {2}, other[32] = {3};
	(void)state;

	assert_null(secrets_foreign(&k, curve, log));
	assert_string_equal(secrets_foreign(&k, other, log), "curve.key");
	assert_string_equal(secrets_foreign(&k, curve, other), "log.key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(are_read_back_as_they_were_made, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_said_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(small_files_are_whole_or_not_there, setup, teardown),
		cmocka_unit_test(foreign_keys_are_named),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
