/* spool, source, unseal: encrypted once, from what did not change, and opened only as what it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/savefile.h"
#include "client/unseal.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/bare_home.h"

#define BIG (1000 * 1000)

static struct bare b;
static int blobs = -1;
static char problem[SOURCE_PATH_CHARS];

static int set_up(void **state)
{
	(void)state;
	bare_begin(&b, 1);
	assert_int_equal(spool_open(b.c, &blobs), RK_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(blobs);
	bare_end(&b);
	return 0;
}

static const char *path_of(const char *name)
{
	static char path[4][600];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", b.folder, name);
	return p;
}

static void write_file(const char *name, size_t len, uint8_t seed)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint8_t *data = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / 251 + seed);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
	free(data);
}

/* How many files of HOME/blobs end so; "" counts all but the lock. */
static unsigned count_files(const char *suffix)
{
	int fd = openat(blobs, ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(fd);
	const struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(dir)) != NULL) {
		size_t len = strlen(e->d_name), end = strlen(suffix);

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, ".lock") == 0)
			continue;
		n += len >= end && strcmp(e->d_name + len - end, suffix) == 0;
	}
	closedir(dir);
	return n;
}

static int seal(const char *name, spool_progress_fn *progress, void *user, struct spooled *out)
{
	struct source *s;
	int r = source_open(path_of(name), AGE_PLAIN_MAX_BYTES, problem, &s);

	if (r != RK_OK)
		return r;
	r = spool_seal(blobs, s, progress, user, out);
	source_close(s);
	return r;
}

static int open_blob(const struct spooled *p)
{
	char name[SPOOL_NAME_CHARS];

	spool_name(name, p->sha256);
	return openat(blobs, name, O_RDWR);
}

/* What the message says of it. */
static void describe(const struct spooled *p, Rk__DossierFile *f)
{
	rk__dossier_file__init(f);
	f->plain_len = p->plain_len;
	f->plain_sha256 = pb_of(BYTES_OF(p->plain_sha256));
	f->blob_len = p->len;
	f->blob_sha256 = pb_of(BYTES_OF(p->sha256));
	f->age_identity = pb_of(BYTES_OF(p->identity));
}

static int unseal(const struct spooled *p, const Rk__DossierFile *f, const char *name)
{
	int dir_fd, fd = open_blob(p), r;
	struct savefile to;

	assert_true(fd >= 0);
	assert_int_equal(savefile_open(path_of("out"), &dir_fd), RK_OK);
	assert_int_equal(savefile_begin(dir_fd, &to), RK_OK);
	r = savefile_finish(&to, name, unseal_to(fd, f, &to, NULL, NULL));
	assert_int_equal(savefile_close(dir_fd), RK_OK);
	close(fd);
	return r;
}

static bool is_same_file(const char *one, const char *other)
{
	char command[1400];

	snprintf(command, sizeof(command), "cmp -s '%s' '%s'", path_of(one), path_of(other));
	return system(command) == 0;
}

static void every_length_comes_back(void **state)
{
	static const size_t lengths[] = {1, 15, 65535, 65536, 65537, 131071, 131072, 131073, 400000};
	uint8_t last[32] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct spooled p;
		Rk__DossierFile f;
		char name[32], out[40];
		int fd;

		snprintf(name, sizeof(name), "f%zu", i);
		snprintf(out, sizeof(out), "out/f%zu", i);
		write_file(name, lengths[i], (uint8_t)i);
		assert_int_equal(seal(name, NULL, NULL, &p), RK_OK);
		assert_int_equal(p.plain_len, lengths[i]);
		assert_int_equal(p.len, age_x25519_len(lengths[i]));
		assert_memory_not_equal(p.identity, last, 32);
		memcpy(last, p.identity, 32);
		fd = open_blob(&p);
		assert_int_equal(spool_prove(fd, p.sha256, p.len, NULL, NULL), RK_OK);
		assert_int_equal(spool_prove(fd, p.sha256, p.len - 1, NULL, NULL), RK_EINTEGRITY);
		assert_int_equal(spool_prove(fd, p.sha256, p.len + 1, NULL, NULL), RK_EINTEGRITY);
		assert_int_equal(spool_prove(fd, p.plain_sha256, p.len, NULL, NULL), RK_EINTEGRITY);
		close(fd);
		describe(&p, &f);
		assert_int_equal(unseal(&p, &f, name), RK_OK);
		assert_true(is_same_file(name, out));
	}
	assert_int_equal(count_files(".age"), sizeof(lengths) / sizeof(lengths[0]));
	assert_int_equal(count_files(""), sizeof(lengths) / sizeof(lengths[0]));
}

/* The same file a second time is another file key, another blob, another name. */
static void nothing_is_encrypted_twice_with_one_key(void **state)
{
	struct spooled one, other;

	(void)state;
	write_file("f", 1000, 1);
	assert_int_equal(seal("f", NULL, NULL, &one), RK_OK);
	assert_int_equal(seal("f", NULL, NULL, &other), RK_OK);
	assert_memory_equal(one.plain_sha256, other.plain_sha256, 32);
	assert_memory_not_equal(one.sha256, other.sha256, 32);
	assert_memory_not_equal(one.identity, other.identity, 32);
}

static void what_the_message_says_must_be_so(void **state)
{
	struct spooled p, q;
	Rk__DossierFile f;

	(void)state;
	write_file("f", 70000, 1);
	write_file("g", 70000, 2);
	assert_int_equal(seal("f", NULL, NULL, &p), RK_OK);
	assert_int_equal(seal("g", NULL, NULL, &q), RK_OK);
	describe(&p, &f);
	f.plain_sha256 = pb_of(BYTES_OF(q.plain_sha256));
	assert_int_equal(unseal(&p, &f, "x"), RK_EINTEGRITY);
	describe(&p, &f);
	f.plain_len--;
	assert_int_equal(unseal(&p, &f, "x"), RK_EINTEGRITY);
	describe(&p, &f);
	f.blob_len--;
	assert_int_equal(unseal(&p, &f, "x"), RK_EINTEGRITY);
	describe(&p, &f);
	f.blob_len++;
	assert_int_equal(unseal(&p, &f, "x"), RK_EINTEGRITY);
	describe(&p, &f);
	f.age_identity = pb_of(BYTES_OF(q.identity));
	assert_int_equal(unseal(&p, &f, "x"), RK_EINTEGRITY);
	assert_int_equal(access(path_of("out/x"), F_OK), -1);
}

static void a_damaged_file_is_not_opened(void **state)
{
	static const off_t places[] = {0, 30, 100, 170, 190, 65536 + 200, 70000};
	struct spooled p;
	Rk__DossierFile f;

	(void)state;
	write_file("f", 70000, 1);
	assert_int_equal(seal("f", NULL, NULL, &p), RK_OK);
	describe(&p, &f);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int fd = open_blob(&p);
		uint8_t byte;

		assert_int_equal(pread(fd, &byte, 1, places[i]), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, places[i]), 1);
		assert_int_equal(spool_prove(fd, p.sha256, p.len, NULL, NULL), RK_EINTEGRITY);
		assert_int_equal(unseal(&p, &f, "x"), RK_EINTEGRITY);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, places[i]), 1);
		close(fd);
	}
	assert_int_equal(unseal(&p, &f, "x"), RK_OK);
}

/* ---- while it is read */

static int append_once(void *user, uint64_t done)
{
	int fd = open(path_of(user), O_WRONLY | O_APPEND);

	if (done < BIG / 2) {
		assert_int_equal(write(fd, "x", 1), 1);
	}
	close(fd);
	return RK_OK;
}

static int rewrite_in_place(void *user, uint64_t done)
{
	int fd = open(path_of(user), O_WRONLY);

	(void)done;
	assert_int_equal(pwrite(fd, "other", 5, 0), 5);
	close(fd);
	return RK_OK;
}

static int cut_short(void *user, uint64_t done)
{
	return done < BIG && truncate(path_of(user), BIG / 2) != 0 ? RK_EIO : RK_OK;
}

static int stop(void *user, uint64_t done)
{
	(void)user;
	return done > 300000 ? RK_EINTERRUPTED : RK_OK;
}

static void what_changes_while_it_is_read_is_refused(void **state)
{
	static const struct {
		spool_progress_fn *progress;
		int code;
	} rows[] = {{append_once, RK_CONFLICT}, {rewrite_in_place, RK_CONFLICT}, {cut_short, RK_CONFLICT}, {stop, RK_EINTERRUPTED}};
	static const uint8_t zero[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spooled p;
		char name[] = "f";

		write_file(name, BIG, 3);
		assert_int_equal(seal(name, rows[i].progress, name, &p), rows[i].code);
		assert_memory_equal(p.identity, zero, 32);
		assert_int_equal(count_files(""), 0);
	}
}

static void a_full_disk_leaves_nothing(void **state)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit limit = {300 * 1000, RLIM_INFINITY};
	struct spooled p;

	(void)state;
	assert_int_equal(spool_check_room(blobs, (uint64_t)1 << 60, 0), RK_EDISKFULL);
	assert_int_equal(spool_check_room(blobs, 1, (uint64_t)1 << 60), RK_EDISKFULL);
	assert_int_equal(spool_check_room(blobs, 1, 0), RK_OK);
	write_file("f", BIG, 3);
	/* A write that fails in the middle, as on a disk that is full. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(seal("f", NULL, NULL, &p), RK_EIO);
	limit = none;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(count_files(""), 0);
}

static int die(void *user, uint64_t done)
{
	(void)user;
	if (done > 500000)
		_exit(9);
	return RK_OK;
}

static void a_killed_run_leaves_no_name(void **state)
{
	struct spooled p;
	int status, lock;
	pid_t child;

	(void)state;
	write_file("f", BIG, 3);
	if ((child = fork()) == 0) {
		(void)!seal("f", die, NULL, &p);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 9);
	assert_int_equal(count_files(".age"), 0);
	assert_int_equal(count_files(""), 1);
	/* Not while somebody works here: it might be theirs. */
	assert_int_equal(spool_lock(b.c, &lock), RK_OK);
	spool_sweep(b.c);
	assert_int_equal(count_files(""), 1);
	close(lock);
	spool_sweep(b.c);
	assert_int_equal(count_files(""), 0);
}

static void only_what_is_on_record_survives_the_sweep(void **state)
{
	Rkl__BlobRecord blob = RKL__BLOB_RECORD__INIT;
	Rkl__UploadRecord upload = RKL__UPLOAD_RECORD__INIT;
	uint8_t env_id[32] = {1}, key[ATTACH_BLOB_KEY_BYTES], up_key[ATTACH_UPLOAD_KEY_BYTES] = {0};
	struct spooled p, q, r;
	uint64_t bytes;

	(void)state;
	write_file("f", 100000, 3);
	assert_int_equal(seal("f", NULL, NULL, &p), RK_OK);
	assert_int_equal(seal("f", NULL, NULL, &q), RK_OK);
	assert_int_equal(seal("f", NULL, NULL, &r), RK_OK);
	assert_int_equal(spool_usage(b.c, &bytes), RK_OK);
	assert_in_range(bytes, 300000, 600000);
	attach_blob_key(key, env_id, 0);
	blob.sha256 = pb_of(BYTES_OF(p.sha256));
	upload.sha256 = pb_of(BYTES_OF(q.sha256));
	assert_int_equal(attach_store_blob(bare_write(&b), key, &blob), RK_OK);
	assert_int_equal(attach_store_upload(b.t, up_key, &upload), RK_OK);
	bare_commit(&b);
	spool_sweep(b.c);
	assert_int_equal(count_files(".age"), 2);
	assert_int_equal(attach_forget(bare_write(&b), env_id), RK_OK);
	bare_commit(&b);
	spool_sweep(b.c);
	assert_int_equal(count_files(".age"), 1);
	assert_true(open_blob(&q) >= 0);
}

/* ---- folders */

static void make_lab(void)
{
	assert_int_equal(mkdir(path_of("lab"), 0700), 0);
	assert_int_equal(mkdir(path_of("lab/runs"), 0700), 0);
	assert_int_equal(mkdir(path_of("lab/empty"), 0700), 0);
	write_file("lab/runs/scan.bin", 100000, 1);
	write_file("lab/runs/even.bin", 1024, 1);
	write_file("lab/nothing", 0, 1);
	write_file("lab/試料.txt", 3, 1);
}

static void a_folder_is_one_archive_and_the_same_each_time(void **state)
{
	struct spooled p, q;
	Rk__DossierFile f;
	char command[1800];

	(void)state;
	make_lab();
	assert_int_equal(seal("lab", NULL, NULL, &p), RK_OK);
	assert_int_equal(seal("lab/", NULL, NULL, &q), RK_OK);
	assert_memory_equal(p.plain_sha256, q.plain_sha256, 32);
	describe(&p, &f);
	assert_int_equal(unseal(&p, &f, "lab.tar"), RK_OK);
	snprintf(command, sizeof(command), "cd %s && tar -C out -xf out/lab.tar && diff -r lab out/lab && ! tar --numeric-owner -tvf out/lab.tar | "
	         "grep -qv ' 0/0 '", b.folder);
	assert_int_equal(system(command), 0);
}

static void what_an_archive_cannot_hold_is_named(void **state)
{
	char deep[900], command[1200];
	struct source *s;

	(void)state;
	make_lab();
	assert_int_equal(symlink("/etc/passwd", path_of("lab/runs/link")), 0);
	assert_int_equal(source_open(path_of("lab"), BIG, problem, &s), RK_UNSUPPORTED);
	assert_string_equal(problem, "lab/runs/link");
	unlink(path_of("lab/runs/link"));
	assert_int_equal(mkfifo(path_of("lab/runs/pipe"), 0600), 0);
	assert_int_equal(source_open(path_of("lab"), BIG, problem, &s), RK_UNSUPPORTED);
	assert_string_equal(problem, "lab/runs/pipe");
	assert_int_equal(source_open(path_of("lab/runs/pipe"), BIG, problem, &s), RK_EUSAGE);
	unlink(path_of("lab/runs/pipe"));
	write_file("lab/a\nb", 3, 1);
	assert_int_equal(source_open(path_of("lab"), BIG, problem, &s), RK_UNSUPPORTED);
	unlink(path_of("lab/a\nb"));
	/* A path of 240 bytes fits in two fields, one of 300 does not. */
	memset(deep, 'd', sizeof(deep));
	snprintf(command, sizeof(command), "mkdir -p %s/lab/%.80s/%.80s && : >%s/lab/%.80s/%.80s/f", b.folder, deep, deep, b.folder, deep, deep);
	assert_int_equal(system(command), 0);
	assert_int_equal(source_open(path_of("lab"), BIG, problem, &s), RK_OK);
	source_close(s);
	snprintf(command, sizeof(command), "mkdir -p %s/lab/%.80s/%.80s/%.99s", b.folder, deep, deep, deep);
	assert_int_equal(system(command), 0);
	assert_int_equal(source_open(path_of("lab"), BIG, problem, &s), RK_UNSUPPORTED);
}

static void sizes_and_paths_have_limits(void **state)
{
	struct source *s;

	(void)state;
	assert_int_equal(source_open(path_of("none"), BIG, problem, &s), RK_ENOTFOUND);
	assert_int_equal(source_open("", BIG, problem, &s), RK_EUSAGE);
	assert_int_equal(source_open("/dev/null", BIG, problem, &s), RK_EUSAGE);
	write_file("nothing", 0, 1);
	assert_int_equal(source_open(path_of("nothing"), BIG, problem, &s), RK_EUSAGE);
	assert_int_equal(mkdir(path_of("bare"), 0700), 0);
	assert_int_equal(source_open(path_of("bare"), BIG, problem, &s), RK_EUSAGE);
	write_file("f", 1000, 1);
	assert_int_equal(source_open(path_of("f"), 999, problem, &s), RK_TOO_LARGE);
	assert_int_equal(source_open(path_of("f"), 1000, problem, &s), RK_OK);
	assert_string_equal(source_name(s), "f");
	assert_false(source_is_folder(s));
	source_close(s);
	make_lab();
	assert_int_equal(source_open(path_of("lab"), 100000, problem, &s), RK_TOO_LARGE);
	assert_int_equal(source_open(path_of("lab"), BIG, problem, &s), RK_OK);
	assert_string_equal(source_name(s), "lab.tar");
	assert_int_equal(source_len(s) % 512, 0);
	source_close(s);
}

static int add_a_file(void *user, uint64_t done)
{
	(void)user;
	if (done < 200000)
		write_file("lab/runs/late", 10, 1);
	return RK_OK;
}

static int swap_for_a_link(void *user, uint64_t done)
{
	(void)user;
	(void)done;
	unlink(path_of("lab/runs/scan.bin"));
	(void)!symlink("/etc/passwd", path_of("lab/runs/scan.bin"));
	return RK_OK;
}

static void a_folder_that_changes_is_refused(void **state)
{
	struct spooled p;

	(void)state;
	make_lab();
	assert_int_equal(seal("lab", add_a_file, NULL, &p), RK_CONFLICT);
	assert_int_equal(seal("lab", swap_for_a_link, NULL, &p), RK_CONFLICT);
	assert_int_equal(count_files(""), 0);
}

static void bytes_are_sealed_as_age_files_too(void **state)
{
	static const size_t lengths[] = {1, 65536, 65537};
	uint8_t identity[32], *file, plain[AGE_CHUNK_BYTES];
	size_t len, start;
	struct age age;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint8_t *data = calloc(1, lengths[i]);

		assert_int_equal(spool_seal_bytes(bytes_make(data, lengths[i]), identity, &file, &len), RK_OK);
		assert_int_equal(len, age_x25519_len(lengths[i]));
		assert_int_equal(age_open_x25519(&age, bytes_make(file, len), identity, &start), RK_OK);
		len -= start;
		assert_int_equal(age_open_chunk(&age, bytes_make(file + start, len < 65552 ? len : 65552), len <= 65552, plain), RK_OK);
		free(file);
		free(data);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* What a kill in the middle of saving leaves: nothing, where the file system knows files without a name; else a hidden one. */
static void what_was_not_finished_is_not_there(void **state)
{
	struct savefile f;
	struct dirent *d;
	int dir_fd;
	DIR *dir;

	(void)state;
	assert_int_equal(savefile_open(path_of("killed"), &dir_fd), RK_OK);
	assert_int_equal(savefile_begin(dir_fd, &f), RK_OK);
	assert_int_equal(savefile_append(&f, bytes_str("half of it")), RK_OK);
	close(f.fd);
	assert_non_null(dir = fdopendir(dup(dir_fd)));
	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.' || f.temporary[0] == '\0')
			assert_true(strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0);
	closedir(dir);
	/* And a whole one is there, but never in place of another. */
	assert_int_equal(savefile_write(dir_fd, "whole", bytes_str("all")), RK_OK);
	assert_int_equal(savefile_write(dir_fd, "whole", bytes_str("other")), RK_EEXISTS);
	close(dir_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_not_finished_is_not_there),
		TEST(every_length_comes_back),
		TEST(nothing_is_encrypted_twice_with_one_key),
		TEST(what_the_message_says_must_be_so),
		TEST(a_damaged_file_is_not_opened),
		TEST(what_changes_while_it_is_read_is_refused),
		TEST(a_full_disk_leaves_nothing),
		TEST(a_killed_run_leaves_no_name),
		TEST(only_what_is_on_record_survives_the_sweep),
		TEST(a_folder_is_one_archive_and_the_same_each_time),
		TEST(what_an_archive_cannot_hold_is_named),
		TEST(sizes_and_paths_have_limits),
		TEST(a_folder_that_changes_is_refused),
		TEST(bytes_are_sealed_as_age_files_too),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
