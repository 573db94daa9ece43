/*
 * Files of attachments: growing, resuming, ending; a kill at every system call of an upload; damage; a full disk.  The system calls that change
 * something are counted by wrappers of the linker (Makefile), and the child kills itself at the n-th.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/ids.h"
#include "store/blob.h"
#include "tests/unit/store_kit.h"

#define PART ((size_t)256 * 1024)
#define LEN (5 * PART + 77)

static char root[256], path[300];
static struct blob_folder *folder;
static uint8_t *data, sha256[32];

/* ---- the wrapped calls */
static int calls_left = -1; /* -1: as many as it likes */

static void count_call(void)
{
	if (calls_left == 0)
		raise(SIGKILL);
	if (calls_left > 0)
		calls_left--;
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fallocate(int fd, int mode, off_t at, off_t len);
int __wrap_fallocate(int fd, int mode, off_t at, off_t len);
ssize_t __real_pwrite(int fd, const void *p, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t len, off_t at);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);

static bool syncs_fail;

int __wrap_fdatasync(int fd)
{
	count_call();
	if (syncs_fail) {
		errno = EIO;
		return -1;
	}
	return __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
	count_call();
	return __real_fsync(fd);
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t len)
{
	count_call();
	return __real_fallocate(fd, mode, at, len);
}

/* Never more than half of what was asked, as a file system may. */
ssize_t __wrap_pwrite(int fd, const void *p, size_t len, off_t at)
{
	count_call();
	return __real_pwrite(fd, p, len > 1 ? len / 2 : len, at);
}

int __wrap_renameat(int from, const char *a, int to, const char *b)
{
	count_call();
	return __real_renameat(from, a, to, b);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
	count_call();
	return __real_unlinkat(dir, name, flags);
}

/* ---- the kit */
static int set_up(void **state)
{
	uint8_t seed[randombytes_SEEDBYTES] = {3};

	(void)state;
	store_kit_folder(root);
	snprintf(path, sizeof(path), "%s/blobs", root);
	assert_int_equal(blob_folder_open(path, true, &folder), RK_OK);
	assert_non_null(data = malloc(LEN));
	randombytes_buf_deterministic(data, LEN, seed);
	ids_sha256(sha256, bytes_make(data, LEN));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	blob_folder_close(folder);
	free(data);
	store_kit_remove(root);
	return 0;
}

static void file_name(char out[500], const char *suffix)
{
	char hex[65];

	ids_hex(hex, BYTES_OF(sha256));
	snprintf(out, 500, "%s/%.2s/%s%s", path, hex, hex, suffix);
}

static int64_t file_length(const char *suffix)
{
	char name[500];
	struct stat st;

	file_name(name, suffix);
	return stat(name, &st) == 0 ? (int64_t)st.st_size : -1;
}

static struct bytes part_at(uint64_t offset)
{
	return bytes_make(data + offset, LEN - offset < PART ? LEN - offset : PART);
}

/* From where it is to its end. */
static int upload(struct blob_folder *f)
{
	struct blob_part p;
	int rc = blob_part_open(f, sha256, LEN, 0, &p);

	if (rc != RK_OK)
		return rc;
	while (rc == RK_OK && p.written < LEN)
		if ((rc = blob_part_write(&p, p.written, part_at(p.written))) == RK_OK && p.written == 3 * PART)
			rc = blob_part_sync(&p);
	if (rc == RK_OK)
		rc = blob_part_hash(&p, UINT64_MAX);
	if (rc == RK_OK)
		rc = blob_part_finish(f, &p);
	blob_part_close(&p);
	return rc;
}

static void assert_whole(void)
{
	uint8_t *read = malloc(LEN);
	uint64_t len;

	assert_int_equal(blob_length(folder, sha256, &len), RK_OK);
	assert_int_equal(len, LEN);
	assert_int_equal(blob_read(folder, sha256, 0, read, LEN), RK_OK);
	assert_memory_equal(read, data, LEN);
	assert_int_equal(blob_verify(folder, sha256, LEN), RK_OK);
	assert_int_equal(file_length(".part"), -1);
	free(read);
}

/* ---- the tests */
static void parts_become_a_whole_under_its_hash(void **state)
{
	struct blob_part p;
	uint8_t some[1000];
	bool any;

	(void)state;
	assert_int_equal(blob_part_open(folder, sha256, LEN, 0, &p), RK_OK);
	assert_int_equal(file_length(".part"), 0); /* its room is set aside, its length is not */
	assert_int_equal(blob_part_write(&p, 0, part_at(0)), RK_OK);
	assert_int_equal(p.synced, 0);
	assert_int_equal(blob_part_sync(&p), RK_OK);
	assert_int_equal(p.synced, PART);
	/* Overlaps and repeats, with other bytes: what is there stays. */
	memset(some, 0, sizeof(some));
	assert_int_equal(blob_part_write(&p, 100, BYTES_OF(some)), RK_OK);
	assert_int_equal(blob_part_write(&p, PART / 2, bytes_make(data + PART / 2, PART)), RK_OK);
	assert_int_equal(p.written, PART + PART / 2);
	/* A gap and an excess are the caller's mistake. */
	assert_int_equal(blob_part_write(&p, 2 * PART, part_at(2 * PART)), RK_EINTERNAL);
	assert_int_equal(blob_part_write(&p, PART, bytes_make(data, LEN)), RK_EINTERNAL);
	assert_int_equal(blob_part_finish(folder, &p), RK_EINTERNAL);
	blob_part_close(&p);
	assert_int_equal(upload(folder), RK_OK);
	assert_whole();
	/* Again: it is found. */
	assert_int_equal(blob_part_open(folder, sha256, LEN, 0, &p), RK_OK);
	assert_true(p.is_whole && p.synced == LEN);
	assert_int_equal(blob_read(folder, sha256, LEN - 10, some, 10), RK_OK);
	assert_int_equal(blob_read(folder, sha256, LEN - 10, some, 11), RK_EINTEGRITY);
	assert_int_equal(blob_drop(folder, sha256, &any), RK_OK);
	assert_true(any);
	assert_int_equal(blob_drop(folder, sha256, &any), RK_OK);
	assert_false(any);
	assert_int_equal(blob_read(folder, sha256, 0, some, 10), RK_ENOTFOUND);
}

static void a_kill_at_any_call_leaves_what_goes_on(void **state)
{
	int calls = 0, status = 0;
	bool any;

	(void)state;
	for (;; calls++) {
		pid_t child = fork();
		int64_t part, whole;

		assert_true(child >= 0);
		if (child == 0) {
			calls_left = calls;
			_exit(upload(folder) == RK_OK ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		part = file_length(".part");
		whole = file_length("");
		/* Never both, and under the last name only what is whole. */
		assert_true(part < 0 || whole < 0);
		assert_true(whole < 0 || whole == LEN);
		if (whole == LEN)
			assert_int_equal(blob_verify(folder, sha256, LEN), RK_OK);
		assert_int_equal(upload(folder), RK_OK);
		assert_whole();
		assert_int_equal(blob_drop(folder, sha256, &any), RK_OK);
		if (WIFEXITED(status))
			break;
		assert_int_equal(WTERMSIG(status), SIGKILL);
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(calls > 20); /* the kills did happen */
}

static void a_wrong_byte_ends_in_nothing(void **state)
{
	char name[500];
	uint8_t byte = 0;
	int fd;

	(void)state;
	data[LEN - 1] ^= 1;
	assert_int_equal(upload(folder), RK_EINTEGRITY);
	data[LEN - 1] ^= 1;
	assert_int_equal(file_length(""), -1);
	assert_int_equal(file_length(".part"), -1);
	assert_int_equal(upload(folder), RK_OK);
	/* Damage afterwards is found by who looks. */
	file_name(name, "");
	assert_true((fd = open(name, O_RDWR)) >= 0);
	assert_int_equal(pread(fd, &byte, 1, PART), 1);
	byte ^= 0x80;
	assert_int_equal(__real_pwrite(fd, &byte, 1, PART), 1);
	close(fd);
	assert_int_equal(blob_verify(folder, sha256, LEN), RK_EINTEGRITY);
	assert_int_equal(truncate(name, LEN - 1), 0);
	assert_int_equal(blob_verify(folder, sha256, LEN), RK_EINTEGRITY);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(blob_verify(folder, sha256, LEN), RK_ENOTFOUND);
}

/* What a crash of the machine may leave of a part: damaged, short, longer than it can be. */
static void a_damaged_part_is_found_at_the_end_and_a_long_one_at_once(void **state)
{
	char name[500];
	struct blob_part p;
	uint8_t byte = 0;
	int fd;

	(void)state;
	assert_int_equal(blob_part_open(folder, sha256, LEN, 0, &p), RK_OK);
	assert_int_equal(blob_part_write(&p, 0, part_at(0)), RK_OK);
	blob_part_close(&p);
	file_name(name, ".part");
	assert_true((fd = open(name, O_RDWR)) >= 0);
	assert_int_equal(__real_pwrite(fd, &byte, 1, 1000), 1);
	close(fd);
	data[1000] = 0xff; /* so that the byte did change */
	ids_sha256(sha256, bytes_make(data, LEN));
	file_name(name, ".part");
	assert_true((fd = open(name, O_RDWR | O_CREAT, 0600)) >= 0);
	assert_int_equal(__real_pwrite(fd, data, PART, 0), PART);
	assert_int_equal(__real_pwrite(fd, &byte, 1, 1000), 1);
	close(fd);
	assert_int_equal(upload(folder), RK_EINTEGRITY);
	assert_int_equal(upload(folder), RK_OK);
	assert_whole();
	file_name(name, "");
	assert_int_equal(unlink(name), 0);
	file_name(name, ".part");
	assert_true((fd = open(name, O_RDWR | O_CREAT, 0600)) >= 0);
	assert_int_equal(ftruncate(fd, LEN + 1), 0);
	close(fd);
	assert_int_equal(blob_part_open(folder, sha256, LEN, 0, &p), RK_OK);
	assert_int_equal(p.written, 0);
	blob_part_close(&p);
	assert_int_equal(upload(folder), RK_OK);
}

static void resuming_hashes_a_little_at_a_time(void **state)
{
	struct blob_part p;

	(void)state;
	assert_int_equal(blob_part_open(folder, sha256, LEN, 0, &p), RK_OK);
	for (uint64_t at = 0; at < 4 * PART; at += PART)
		assert_int_equal(blob_part_write(&p, at, part_at(at)), RK_OK);
	blob_part_close(&p);
	assert_int_equal(blob_part_open(folder, sha256, LEN, 0, &p), RK_OK);
	assert_int_equal(p.written, 4 * PART);
	assert_true(p.synced == 0 && p.hashed == 0);
	assert_int_equal(blob_part_hash(&p, 1000), RK_OK);
	assert_int_equal(p.hashed, 1000);
	/* What comes meanwhile is hashed later, in its order. */
	assert_int_equal(blob_part_write(&p, 4 * PART, part_at(4 * PART)), RK_OK);
	assert_int_equal(blob_part_write(&p, 5 * PART, part_at(5 * PART)), RK_OK);
	assert_int_equal(p.hashed, 1000);
	assert_int_equal(blob_part_finish(folder, &p), RK_EINTERNAL);
	while (p.hashed < LEN)
		assert_int_equal(blob_part_hash(&p, 3 * PART), RK_OK);
	assert_int_equal(blob_part_finish(folder, &p), RK_OK);
	assert_whole();
}

static void a_failed_sync_is_told(void **state)
{
	struct blob_part p;

	(void)state;
	assert_int_equal(blob_part_open(folder, sha256, LEN, 0, &p), RK_OK);
	assert_int_equal(blob_part_write(&p, 0, part_at(0)), RK_OK);
	syncs_fail = true;
	assert_int_equal(blob_part_sync(&p), RK_EIO);
	assert_int_equal(p.synced, 0);
	syncs_fail = false;
	assert_int_equal(blob_part_restart(folder, &p), RK_OK);
	assert_int_equal(p.written, 0);
	assert_int_equal(file_length(".part"), -1);
	assert_int_equal(upload(folder), RK_OK);
}

static void a_full_disk_is_known_before_the_first_byte(void **state)
{
	struct blob_part p;
	uint64_t room;

	(void)state;
	assert_int_equal(blob_folder_room(folder, &room), RK_OK);
	assert_int_equal(blob_part_open(folder, sha256, LEN, room, &p), RK_EDISKFULL);
	assert_int_equal(blob_part_open(folder, sha256, LEN, UINT64_MAX, &p), RK_EDISKFULL);
	assert_int_equal(file_length(".part"), -1);
	/* One that has its room goes on, however full the disk has become. */
	assert_int_equal(blob_part_open(folder, sha256, LEN, 0, &p), RK_OK);
	blob_part_close(&p);
	assert_int_equal(blob_part_open(folder, sha256, LEN, UINT64_MAX, &p), RK_OK);
	blob_part_close(&p);
}

/* Runs in a child, whose exit code says whether all was so; 77: it cannot be tried here. */
static int in_child(int (*run)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(run());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The limit stands in the way of the second part: the disk was not as large as it seemed. */
static int write_over_a_limit(void)
{
	const struct rlimit limit = {PART + PART / 2, PART + PART / 2};
	struct blob_part p;
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	if (blob_part_open(folder, sha256, LEN, 0, &p) != RK_OK || blob_part_write(&p, 0, part_at(0)) != RK_OK)
		return 1;
	rc = blob_part_write(&p, PART, part_at(PART));
	/* What was there before is there still, and is as durable as it was said to be. */
	if (rc != RK_EDISKFULL || p.written != PART || p.hashed != PART || blob_part_sync(&p) != RK_OK || p.synced != PART)
		return 2;
	return blob_part_restart(folder, &p) == RK_OK && file_length(".part") == -1 ? 0 : 1;
}

static bool write_text(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

/* A real disk that is full: 1 MiB of memory, in a name space of our own. */
static int write_to_a_small_disk(void)
{
	struct blob_part p;
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)getuid());
	snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)getgid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return 77;
	/* Who has no name there may not make files. */
	if (!write_text("/proc/self/uid_map", uids) || !write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/gid_map", gids) ||
	    mount("none", path, "tmpfs", 0, "size=1M") != 0)
		return 77;
	if (blob_folder_open(path, true, &folder) != RK_OK)
		return 1;
	return blob_part_open(folder, sha256, LEN, 0, &p) == RK_EDISKFULL && file_length(".part") == -1 ? 0 : 1;
}

static void a_disk_that_is_smaller_than_it_said_is_a_refusal_too(void **state)
{
	int code;

	(void)state;
	assert_int_equal(in_child(write_over_a_limit), 0);
	code = in_child(write_to_a_small_disk);
	if (code == 77)
		print_message("skipped: no mount in a name space of one's own here\n");
	else
		assert_int_equal(code, 0);
}

/* ---- sweeping and copying */
static enum blob_wish by_second_byte(void *user, const uint8_t id[32])
{
	(*(unsigned *)user)++;
	return id[1] == 0 ? BLOB_DROP : id[1] == 1 ? BLOB_KEEP_WHOLE : BLOB_KEEP;
}

static void touch(unsigned second, const char *suffix)
{
	char name[500];
	int fd;

	sha256[1] = (uint8_t)second;
	file_name(name, suffix);
	assert_true((fd = open(name, O_CREAT | O_WRONLY, 0600)) >= 0);
	close(fd);
}

static bool is_there(unsigned second, const char *suffix)
{
	sha256[1] = (uint8_t)second;
	return file_length(suffix) >= 0;
}

static void the_sweep_asks_for_each_and_leaves_what_is_not_ours(void **state)
{
	unsigned asked = 0, dropped = 0;
	char other[400];
	int fd;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		touch(i, "");
		touch(i, ".part");
	}
	snprintf(other, sizeof(other), "%s/%02x/README", path, sha256[0]);
	assert_true((fd = open(other, O_CREAT | O_WRONLY, 0600)) >= 0);
	close(fd);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(blob_sweep(folder, i, by_second_byte, &asked, &dropped), RK_OK);
	assert_int_equal(asked, 6);
	assert_int_equal(dropped, 3);
	assert_false(is_there(0, "") || is_there(0, ".part") || is_there(1, ".part"));
	assert_true(is_there(1, "") && is_there(2, "") && is_there(2, ".part"));
	assert_int_equal(access(other, F_OK), 0);
}

static void a_copy_stands_by_itself(void **state)
{
	struct blob_folder *to;
	char name[300];
	bool any;

	(void)state;
	snprintf(name, sizeof(name), "%s/copy", root);
	assert_int_equal(blob_folder_open(name, false, &to), RK_ENOTFOUND);
	assert_int_equal(blob_folder_open(name, true, &to), RK_OK);
	assert_int_equal(blob_copy(folder, to, sha256), RK_ENOTFOUND);
	assert_int_equal(upload(folder), RK_OK);
	assert_int_equal(blob_copy(folder, to, sha256), RK_OK);
	assert_int_equal(blob_copy(folder, to, sha256), RK_OK);
	assert_int_equal(blob_drop(folder, sha256, &any), RK_OK);
	assert_int_equal(blob_verify(to, sha256, LEN), RK_OK);
	blob_folder_close(to);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(parts_become_a_whole_under_its_hash),
		TEST(a_kill_at_any_call_leaves_what_goes_on),
		TEST(a_wrong_byte_ends_in_nothing),
		TEST(a_damaged_part_is_found_at_the_end_and_a_long_one_at_once),
		TEST(resuming_hashes_a_little_at_a_time),
		TEST(a_failed_sync_is_told),
		TEST(a_full_disk_is_known_before_the_first_byte),
		TEST(a_disk_that_is_smaller_than_it_said_is_a_refusal_too),
		TEST(the_sweep_asks_for_each_and_leaves_what_is_not_ours),
		TEST(a_copy_stands_by_itself),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("files of attachments", tests, NULL, NULL);
}
