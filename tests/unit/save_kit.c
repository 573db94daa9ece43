#include "tests/unit/save_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/journal.h"
#include "store/tables.h"

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

int save_kit_try(const char *folder, bool is_writer, uint64_t journal_bytes, struct env **env)
{
	char path[256];
	struct env_options o = store_kit_options(folder, path);

	o.is_writer = is_writer;
	o.journal_bytes = journal_bytes;
	return env_open(&o, env);
}

struct env *save_kit_open(const char *folder)
{
	struct env *env;
	int r = save_kit_try(folder, true, SAVE_KIT_JOURNAL_BYTES, &env);

	if (r != RK_OK)
		fprintf(stderr, "env_open: code %d\n", r);
	must(r == RK_OK, folder);
	return env;
}

uint8_t *save_kit_file(const char *folder, const char *name, size_t *len)
{
	char file[300];
	struct stat st;
	uint8_t *data;
	int fd;

	snprintf(file, sizeof(file), "%s/store/%s", folder, name);
	if ((fd = open(file, O_RDONLY)) < 0)
		return NULL;
	must(fstat(fd, &st) == 0, file);
	*len = (size_t)st.st_size;
	must((data = malloc(*len + 1)) != NULL, "malloc");
	must(read(fd, data, *len) == st.st_size, file);
	close(fd);
	return data;
}

void save_kit_set_file(const char *folder, const char *name, const uint8_t *data, size_t len)
{
	char file[300];
	int fd;

	snprintf(file, sizeof(file), "%s/store/%s", folder, name);
	must((fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0, file);
	must(write(fd, data, len) == (ssize_t)len, file);
	close(fd);
}

void save_kit_copy(const char *folder, char copy[256])
{
	static const char *const names[] = {"data.mdb", JOURNAL_NAME};
	char path[300];

	store_kit_folder(copy);
	snprintf(path, sizeof(path), "%s/store", copy);
	must(mkdir(path, 0700) == 0, path);
	for (unsigned i = 0; i < 2; i++) {
		size_t len;
		uint8_t *data = save_kit_file(folder, names[i], &len);

		if (data != NULL)
			save_kit_set_file(copy, names[i], data, len);
		free(data);
	}
}

void save_kit_check(struct txn *t, const char *key, const char *value)
{
	struct bytes v;

	assert_int_equal(env_get(t, T_META, bytes_str(key), &v), value != NULL ? RK_OK : RK_ENOTFOUND);
	assert_true(value == NULL || bytes_equal(v, bytes_str(value)));
}

void save_kit_check_in(struct env *env, const char *key, const char *value)
{
	struct txn *t;

	assert_int_equal(env_begin(env, false, &t), RK_OK);
	save_kit_check(t, key, value);
	env_abort(t);
}

void save_kit_limit_files(rlim_t bytes)
{
	struct rlimit l;

	signal(SIGXFSZ, SIG_IGN); /* the write fails instead */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}
