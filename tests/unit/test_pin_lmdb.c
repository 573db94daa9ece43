/*
 * pins of HAZARDS section 2: what LMDB 0.9.24 does, and that store/ is on the safe side of it.  System calls and LMDB's own
 * entry points are interposed: a definition in the program goes before the library's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/tables.h"
#include "tests/unit/store_kit.h"

/* ---- interposed calls */

static unsigned open_flags, mapsize_calls;
static MDB_env *opened;

/* The order of calls: 'w' a write, 's' fdatasync, 'm' a write that is durable by itself (the meta page). */
static char calls[4096];
static size_t call_count;

/* Fault: the n-th call of this kind fails with code, or if short_write writes half. */
static struct {
	char kind;
	int countdown, code;
	bool short_write, disk_full;
} fault;

static void *next_of(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	if (f == NULL)
		abort();
	return f;
}

static bool fails(char kind)
{
	if (call_count < sizeof(calls) - 1)
		calls[call_count++] = kind;
	return fault.kind == kind && --fault.countdown == 0;
}

int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	int (*f)(MDB_env *, const char *, unsigned, mdb_mode_t);
	*(void **)&f = next_of("mdb_env_open");
	open_flags = flags;
	opened = env;
	return f(env, path, flags, mode);
}

int mdb_env_set_mapsize(MDB_env *env, size_t size)
{
	int (*f)(MDB_env *, size_t);
	*(void **)&f = next_of("mdb_env_set_mapsize");
	mapsize_calls++;
	return f(env, size);
}

int fdatasync(int fd)
{
	int (*f)(int);
	*(void **)&f = next_of("fdatasync");
	if (fails('s')) {
		errno = fault.code;
		return -1;
	}
	return f(fd);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	ssize_t (*f)(int, const void *, size_t, off_t);
	*(void **)&f = next_of("pwrite");
	if (fails((fcntl(fd, F_GETFL) & O_DSYNC) != 0 ? 'm' : 'w')) {
		if (fault.short_write)
			return f(fd, data, len / 2, at);
		errno = fault.code;
		return -1;
	}
	return f(fd, data, len, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	ssize_t (*f)(int, const struct iovec *, int);
	*(void **)&f = next_of("writev");
	if (fails('w')) {
		if (fault.short_write)
			return f(fd, v, n / 2 > 0 ? n / 2 : 1);
		errno = fault.code;
		return -1;
	}
	return f(fd, v, n);
}

int fstatvfs(int fd, struct statvfs *out)
{
	int (*f)(int, struct statvfs *);
	*(void **)&f = next_of("fstatvfs");
	int r = f(fd, out);
	if (fault.disk_full)
		out->f_bavail = 0;
	return r;
}

/* ---- fixture */

struct fixture {
	char folder[256];
	struct env *env;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	store_kit_folder(f->folder);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	memset(&fault, 0, sizeof(fault));
	env_close(f->env);
	store_kit_remove(f->folder);
	free(f);
	return 0;
}

/* Puts `count` values of len bytes from key `from`, in one transaction; what the commit says. */
static int put_many(struct env *env, uint64_t from, uint64_t count, size_t len)
{
	struct txn *t;
	int r = env_begin(env, true, &t);
	if (r != RK_OK)
		return r;
	for (uint64_t i = from; i < from + count; i++) {
		uint8_t key[8], *room;
		put_u64be(key, i);
		if (env_reserve(t, T_BULK, BYTES_OF(key), len, ENV_PUT, &room) == RK_OK)
			memset(room, (int)(i & 0xff), len);
	}
	return env_commit(t);
}

static int delete_many(struct env *env, uint64_t from, uint64_t count)
{
	struct txn *t;
	int r = env_begin(env, true, &t);
	if (r != RK_OK)
		return r;
	for (uint64_t i = from; i < from + count; i++) {
		uint8_t key[8];
		put_u64be(key, i);
		(void)env_del(t, T_BULK, BYTES_OF(key));
	}
	return env_commit(t);
}

/* How many of keys 0 … end are there, each with its right value. */
static uint64_t count_sound(struct env *env, uint64_t end)
{
	struct txn *t;
	uint64_t n = 0;
	assert_int_equal(env_begin(env, false, &t), RK_OK);
	for (uint64_t i = 0; i < end; i++) {
		uint8_t key[8];
		struct bytes v;
		put_u64be(key, i);
		if (env_get(t, T_BULK, BYTES_OF(key), &v) != RK_OK)
			continue;
		n++;
		for (size_t j = 0; j < v.len; j++)
			assert_int_equal(v.data[j], i & 0xff);
	}
	env_abort(t);
	return n;
}

static int reopen(struct fixture *f)
{
	char path[256];
	struct env_options o = store_kit_options(f->folder, path);
	env_close(f->env);
	f->env = NULL;
	return env_open(&o, &f->env);
}

/* ---- L1 */

static void L1_only_the_safe_flags(void **state)
{
	struct fixture *f = *state;
	unsigned flags = 0;
	const unsigned unsafe = MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP | MDB_NOLOCK | MDB_NOMEMINIT;
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(open_flags, MDB_NOTLS);
	assert_int_equal(mdb_env_get_flags(opened, &flags), 0);
	assert_int_equal(flags & unsafe, 0);
}

static void L1_a_commit_is_data_then_sync_then_a_durable_meta_page(void **state)
{
	struct fixture *f = *state;
	f->env = store_kit_open(f->folder, 0);
	for (uint64_t i = 0; i < 20; i++) {
		call_count = 0;
		assert_int_equal(put_many(f->env, i * 10, 10, 1 + 3000 * i), RK_OK);
		calls[call_count] = 0;
		/* w…w s m */
		assert_true(call_count >= 3);
		assert_int_equal(strspn(calls, "w"), call_count - 2);
		assert_string_equal(calls + call_count - 2, "sm");
	}
	struct txn *t;
	call_count = 0;
	assert_int_equal(env_begin(f->env, true, &t), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(call_count, 0);  /* nothing changed: nothing to sync */
}

/* ---- L4 */

static void L4_a_truncated_file_is_refused(void **state)
{
	struct fixture *f = *state;
	char file[300];
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(put_many(f->env, 0, 200, 3000), RK_OK);
	env_close(f->env);
	f->env = NULL;
	uint64_t whole = store_kit_file_bytes(f->folder);
	snprintf(file, sizeof(file), "%s/store/data.mdb", f->folder);
	const uint64_t cuts[] = {1, 4096, whole / 8192 * 4096, whole - 5 * 4096, whole - 3 * 8192};
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		char saved[320], command[700];
		snprintf(saved, sizeof(saved), "%s/saved", f->folder);
		snprintf(command, sizeof(command), "cp %s %s", file, saved);
		assert_int_equal(system(command), 0);
		assert_int_equal(truncate(file, (off_t)(whole - cuts[i])), 0);
		assert_int_equal(reopen(f), RK_ESTORE);
		assert_int_equal(store_kit_file_bytes(f->folder), whole - cuts[i]);
		assert_int_equal(reopen(f), RK_ESTORE);  /* the first refusal did not make it pass */
		assert_int_equal(rename(saved, file), 0);
		assert_int_equal(reopen(f), RK_OK);
		assert_int_equal(count_sound(f->env, 200), 200);
		env_close(f->env);
		f->env = NULL;
	}
}

/* LMDB counts pages that it never wrote: a bare length check would refuse a sound store. */
static void L4_a_sound_file_may_be_short(void **state)
{
	struct fixture *f = *state;
	unsigned shorts = 0;
	uint32_t x = 1;
	f->env = store_kit_open(f->folder, 0);
	for (unsigned round = 0; round < 3000 && shorts < 5; round++) {
		struct txn *t;
		MDB_envinfo info;
		assert_int_equal(env_begin(f->env, true, &t), RK_OK);
		for (unsigned i = 0; i < 1 + x % 6; i++) {
			uint8_t key[8], *room;
			x = x * 1664525 + 1013904223;
			put_u64be(key, x >> 16 & 511);
			size_t len = (x >> 8 & 3) != 0 ? x >> 12 & 1023 : x >> 12 & 0xffff;
			if ((x >> 28 & 3) != 0 && env_reserve(t, T_BULK, BYTES_OF(key), len, ENV_PUT, &room) == RK_OK)
				memset(room, key[7], len);
			if ((x >> 30 & 1) != 0)
				(void)env_del(t, T_BULK, BYTES_OF(key));
		}
		assert_int_equal(env_commit(t), RK_OK);
		mdb_env_info(opened, &info);
		if ((info.me_last_pgno + 1) * 4096 <= store_kit_file_bytes(f->folder))
			continue;
		shorts++;
		uint64_t before = count_sound(f->env, 512);
		assert_int_equal(reopen(f), RK_OK);
		assert_int_equal(count_sound(f->env, 512), before);
	}
	assert_true(shorts > 0);
}

/* ---- L5, L6 */

static void L5_full_map_is_an_answer_and_deletes_go_on(void **state)
{
	struct fixture *f = *state;
	uint64_t n = 0;
	int r;
	f->env = store_kit_open(f->folder, 4 << 20);
	unsigned sized = mapsize_calls;
	while ((r = put_many(f->env, n, 10, 20000)) == RK_OK)
		n += 10;
	assert_int_equal(r, RK_STORE_FULL);
	assert_int_equal(put_many(f->env, n, 10, 20000), RK_STORE_FULL);
	assert_int_equal(count_sound(f->env, n + 10), n);
	/* The marks of apply keep a reserve; even without it, one bulk delete passes, and writing resumes. */
	assert_int_equal(delete_many(f->env, 0, n / 2), RK_OK);
	assert_int_equal(delete_many(f->env, n / 2, 1), RK_OK);
	assert_int_equal(put_many(f->env, 0, 10, 20000), RK_OK);
	assert_int_equal(count_sound(f->env, n), 10 + n - n / 2 - 1);
	assert_int_equal(mapsize_calls, sized);  /* L6: never resized */
}

static void L5_full_is_seen_at_the_put_and_sticks(void **state)
{
	struct fixture *f = *state;
	struct txn *t;
	uint8_t key[8] = {0}, *room;
	f->env = store_kit_open(f->folder, 1 << 20);
	assert_int_equal(env_begin(f->env, true, &t), RK_OK);
	assert_int_equal(env_reserve(t, T_BULK, BYTES_OF(key), 2 << 20, ENV_PUT, &room), RK_STORE_FULL);
	assert_null(room);
	assert_int_equal(env_put(t, T_ORG, BYTES_OF(key), BYTES_OF(key), ENV_PUT), RK_STORE_FULL);
	assert_int_equal(env_error(t), RK_STORE_FULL);
	assert_int_equal(env_commit(t), RK_STORE_FULL);
}

static void L6_a_store_opens_under_a_smaller_map(void **state)
{
	struct fixture *f = *state;
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(put_many(f->env, 0, 200, 20000), RK_OK);
	env_close(f->env);
	f->env = store_kit_open(f->folder, 1 << 20);
	assert_int_equal(count_sound(f->env, 200), 200);
	assert_int_equal(put_many(f->env, 200, 100, 20000), RK_STORE_FULL);
	env_close(f->env);
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(put_many(f->env, 200, 100, 20000), RK_OK);
	assert_int_equal(count_sound(f->env, 300), 300);
}

/* ---- L7, L8 */

static void inject(char kind, int nth, int code, bool short_write, bool disk_full)
{
	fault.kind = kind;
	fault.countdown = nth;
	fault.code = code;
	fault.short_write = short_write;
	fault.disk_full = disk_full;
}

/* Each write of a commit in turn meets the full disk. */
static void L7_disk_full_loses_nothing_and_passes(void **state)
{
	struct fixture *f = *state;
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(put_many(f->env, 0, 50, 5000), RK_OK);
	uint64_t n = 50;
	for (int way = 0; way < 3; way++) {
		for (int nth = 1;; nth++) {
			assert_true(nth < 100);
			inject('w', nth, way == 0 ? ENOSPC : way == 1 ? EDQUOT : EIO, way == 2, way == 2);
			int r = put_many(f->env, n, 30, 100 + 2000 * (size_t)nth);
			bool met = fault.countdown <= 0;
			memset(&fault, 0, sizeof(fault));
			if (!met) {
				assert_int_equal(r, RK_OK);
				n += 30;
				break;
			}
			/* A short write of a vector may still have been a whole one; then the commit is good. */
			if (r == RK_OK) {
				n += 30;
				continue;
			}
			assert_int_equal(r, RK_EDISKFULL);
			assert_int_equal(count_sound(f->env, n + 30), n);
			assert_int_equal(delete_many(f->env, 0, 1), RK_OK);
			assert_int_equal(put_many(f->env, 0, 1, 5000), RK_OK);
		}
	}
	assert_int_equal(reopen(f), RK_OK);
	assert_int_equal(count_sound(f->env, n), n);
}

static void L7_an_error_with_room_left_is_not_a_full_disk(void **state)
{
	struct fixture *f = *state;
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(put_many(f->env, 0, 10, 5000), RK_OK);
	inject('w', 1, EIO, false, false);
	assert_int_equal(put_many(f->env, 10, 10, 5000), RK_EIO);
	assert_int_equal(errno, EIO);
	inject('s', 1, EIO, false, false);
	assert_int_equal(put_many(f->env, 10, 10, 5000), RK_EIO);
	assert_int_equal(count_sound(f->env, 20), 10);
}

/* L8: the environment is dead after a failure at the meta page, also when the disk was only full. */
static void L8_a_failed_meta_page_ends_the_environment(void **state)
{
	struct fixture *f = *state;
	for (int full = 0; full < 2; full++) {
		struct txn *t;
		f->env = store_kit_open(f->folder, 0);
		assert_int_equal(put_many(f->env, 0, 10, 5000), RK_OK);
		inject('m', 1, full != 0 ? ENOSPC : EIO, false, full != 0);
		assert_int_equal(put_many(f->env, 10, 10, 5000), full != 0 ? RK_ESTORE : RK_EIO);
		memset(&fault, 0, sizeof(fault));
		assert_int_equal(env_begin(f->env, true, &t), RK_ESTORE);
		assert_int_equal(reopen(f), RK_OK);
		uint64_t n = count_sound(f->env, 20);
		assert_true(n == 10 || n == 20);
		assert_int_equal(put_many(f->env, 0, 20, 5000), RK_OK);
		assert_int_equal(delete_many(f->env, 10, 10), RK_OK);
		env_close(f->env);
		f->env = NULL;
	}
}

static void L7_a_real_full_disk(void **state)
{
	struct fixture *f = *state;
	char disk[300];
	snprintf(disk, sizeof(disk), "%s/store", f->folder);
	assert_int_equal(mkdir(disk, 0700), 0);
	if (mount("tmpfs", disk, "tmpfs", 0, "size=8m,mode=700") != 0) {
		print_message("skipped: a real full disk (mounting a tmpfs needs root: %s)\n", strerror(errno));
		return;
	}
	uint64_t n = 0;
	int r, failures = 0;
	f->env = store_kit_open(f->folder, 0);
	while ((r = put_many(f->env, n, 10, 20000)) == RK_OK)
		n += 10;
	for (; failures < 20 && r == RK_EDISKFULL; failures++)
		r = put_many(f->env, n, 10, 20000);
	uint64_t sound = count_sound(f->env, n + 10);
	int deleted = delete_many(f->env, 0, n / 2), again = delete_many(f->env, n / 2, 1);
	int resumed = put_many(f->env, 0, 10, 20000);
	int opened_again = reopen(f);
	uint64_t left = opened_again == RK_OK ? count_sound(f->env, n + 10) : 0;
	env_close(f->env);
	f->env = NULL;
	assert_int_equal(umount(disk), 0);  /* before anything may fail: the mount must not stay */
	assert_int_equal(r, RK_EDISKFULL);
	assert_int_equal(sound, n);
	assert_int_equal(deleted, RK_OK);
	assert_int_equal(again, RK_OK);
	assert_int_equal(resumed, RK_OK);
	assert_int_equal(opened_again, RK_OK);
	assert_int_equal(left, 10 + n - n / 2 - 1);
}

/* ---- L9, L10, L11 */

static uint64_t churn(struct fixture *f, unsigned commits)
{
	for (unsigned i = 0; i < commits; i++)
		assert_int_equal(put_many(f->env, i % 4, 1, 3000), RK_OK);
	return store_kit_file_bytes(f->folder);
}

struct child {
	pid_t pid;
	int go, ready;   /* our ends: a byte to it lets it open the store, a byte from it says that it has */
};

/* A child that, when told, opens the store, begins to read if wanted, and stays so until it is killed.  It is made while this
 * process has nothing open: nothing is kept across fork. */
static struct child make_child(struct fixture *f, bool reads)
{
	int go[2], ready[2];
	char byte = 0;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	assert_null(f->env);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct txn *t;
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		struct env *env = store_kit_open(f->folder, 0);
		if ((!reads || env_begin(env, false, &t) == RK_OK) && write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	close(go[0]);
	close(ready[1]);
	return (struct child){pid, go[1], ready[0]};
}

static void let_open(const struct child *c)
{
	char byte = 0;
	assert_int_equal(write(c->go, &byte, 1), 1);
	assert_int_equal(read(c->ready, &byte, 1), 1);
}

static void kill_child(const struct child *c)
{
	int status;
	assert_int_equal(kill(c->pid, SIGKILL), 0);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->go);
	close(c->ready);
}

static void L9_a_long_reader_stops_reuse_and_is_seen(void **state)
{
	struct fixture *f = *state;
	struct txn *reader;
	struct env_status s;
	f->env = store_kit_open(f->folder, 0);
	uint64_t before = churn(f, 300);
	assert_int_equal(env_begin(f->env, false, &reader), RK_OK);
	uint64_t held = churn(f, 300);
	assert_true(held > 2 * before);
	assert_int_equal(env_status(f->env, &s), RK_OK);
	assert_int_equal(s.oldest_reader_lag, 300);
	env_abort(reader);
	churn(f, 2);
	held = store_kit_file_bytes(f->folder);
	assert_true(churn(f, 300) <= held + 65536);
}

/* Another process keeps the lock file alive, so LMDB does not begin it anew. */
static void L10_dead_readers_are_cleared_at_open(void **state)
{
	struct fixture *f = *state;
	struct env_status s;
	f->env = store_kit_open(f->folder, 0);
	uint64_t before = churn(f, 300);
	env_close(f->env);
	f->env = NULL;
	struct child holder = make_child(f, false), reader = make_child(f, true);
	let_open(&holder);
	let_open(&reader);
	kill_child(&reader);
	assert_int_equal(reopen(f), RK_OK);
	assert_int_equal(env_status(f->env, &s), RK_OK);
	assert_int_equal(s.readers, 0);
	assert_true(churn(f, 300) <= before + 65536);
	kill_child(&holder);
}

static void L10_dead_readers_are_cleared_each_minute(void **state)
{
	struct fixture *f = *state;
	struct env_status s;
	struct child reader = make_child(f, true);
	assert_int_equal(reopen(f), RK_OK);
	let_open(&reader);
	kill_child(&reader);
	churn(f, 10);
	assert_int_equal(env_status(f->env, &s), RK_OK);
	assert_int_equal(s.readers, 1);
	assert_int_equal(s.oldest_reader_lag, 10);
	assert_int_equal(env_check_readers(f->env), RK_OK);
	assert_int_equal(env_status(f->env, &s), RK_OK);
	assert_int_equal(s.readers, 0);
}

static void L11_a_second_open_in_the_process_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[256], other[600];
	struct env_options o = store_kit_options(f->folder, path);
	struct env *second;
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(env_open(&o, &second), RK_ELOCKED);
	assert_null(second);
	snprintf(other, sizeof(other), "%s/../%s/store", f->folder, strrchr(f->folder, '/') + 1);
	o.path = other;  /* the same folder by another name */
	assert_int_equal(env_open(&o, &second), RK_ELOCKED);
	assert_int_equal(put_many(f->env, 0, 1, 10), RK_OK);
	assert_int_equal(reopen(f), RK_OK);
}

static void L11_a_child_of_fork_cannot_use_it(void **state)
{
	struct fixture *f = *state;
	struct txn *reader;
	struct env_status s;
	int status;
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(env_begin(f->env, false, &reader), RK_OK);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct txn *t;
		int r = env_begin(f->env, false, &t), w = env_begin(f->env, true, &t), c = env_copy(f->env, f->folder);
		env_close(f->env);
		_exit(r == RK_EINTERNAL && w == RK_EINTERNAL && c == RK_EINTERNAL ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(env_status(f->env, &s), RK_OK);
	assert_int_equal(s.readers, 1);  /* the child's close did not wipe it */
	env_abort(reader);
}

/* ---- L12 */

static void L12_key_lengths(void **state)
{
	struct fixture *f = *state;
	static const struct { size_t len; int code; } rows[] = {
		{0, RK_EINTERNAL}, {1, RK_OK}, {511, RK_OK}, {512, RK_EINTERNAL}, {100000, RK_EINTERNAL},
	};
	static uint8_t key[100000] = {1};
	f->env = store_kit_open(f->folder, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct txn *t;
		struct bytes v, k = bytes_make(key, rows[i].len);
		assert_int_equal(env_begin(f->env, true, &t), RK_OK);
		assert_int_equal(env_put(t, T_ORG, k, bytes_str("x"), ENV_PUT), rows[i].code);
		assert_int_equal(env_get(t, T_ORG, k, &v), rows[i].code);
		assert_int_equal(env_commit(t), rows[i].code);
	}
	/* What LMDB itself says: the limit is its own, not a lower one of ours. */
	assert_int_equal(mdb_env_get_maxkeysize(opened), ENV_KEY_MAX_BYTES);
}

#define PIN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PIN(L1_only_the_safe_flags),
		PIN(L1_a_commit_is_data_then_sync_then_a_durable_meta_page),
		PIN(L4_a_truncated_file_is_refused),
		PIN(L4_a_sound_file_may_be_short),
		PIN(L5_full_map_is_an_answer_and_deletes_go_on),
		PIN(L5_full_is_seen_at_the_put_and_sticks),
		PIN(L6_a_store_opens_under_a_smaller_map),
		PIN(L7_disk_full_loses_nothing_and_passes),
		PIN(L7_an_error_with_room_left_is_not_a_full_disk),
		PIN(L7_a_real_full_disk),
		PIN(L8_a_failed_meta_page_ends_the_environment),
		PIN(L9_a_long_reader_stops_reuse_and_is_seen),
		PIN(L10_dead_readers_are_cleared_at_open),
		PIN(L10_dead_readers_are_cleared_each_minute),
		PIN(L11_a_second_open_in_the_process_is_refused),
		PIN(L11_a_child_of_fork_cannot_use_it),
		PIN(L12_key_lengths),
	};
	return cmocka_run_group_tests_name("pin_lmdb", tests, NULL, NULL);
}
