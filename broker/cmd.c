#include "broker/cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/errcode.h"
#include "store/journal.h"
#include "store/tables.h"

#define PATH_MAX_BYTES 4096
#define JOURNAL_MAP_SHARE 32

int cmd_fail(int code, const char *format, ...)
{
	va_list ap;

	fputs("renkeid: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return errcode_exit(code);
}

int cmd_fail_code(int code, const char *format, ...)
{
	const char *hint = errcode_hint(code, LANG_EN);
	va_list ap;

	fputs("renkeid: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ": %s%s%s\n", errcode_sentence(code, LANG_EN), hint[0] != '\0' ? " " : "", hint);
	return errcode_exit(code);
}

bool cmd_lock(const char *data, int *fd, int *exit_code)
{
	int r = env_lock_folder(data, CMD_LOCK_NAME, fd);

	if (r == RK_OK)
		return true;
	if (r == RK_ELOCKED)
		*exit_code = cmd_fail(
			r, "%s is in use by another renkeid that is running: stop it first (one broker, one folder)",
			data);
	else
		*exit_code = cmd_fail_code(r, "%s/%s cannot be locked (%s)", data, CMD_LOCK_NAME, strerror(errno));
	return false;
}

bool cmd_open_store(const char *data, const struct config *config, enum cmd_store use, struct env **out, int *exit_code)
{
	char path[PATH_MAX_BYTES];
	struct env_options options = {
		.path = path,
		.tables = broker_tables,
		.table_count = BROKER_TABLE_COUNT,
		.map_bytes = (uint64_t)config->map_bytes,
		.format = STORE_FORMAT,
		.create = use == CMD_STORE_CREATE,
		.is_writer = use != CMD_STORE_READ,
	};
	int r;

	/* What is saved must have room in the map, whose marks are looked at when it comes. */
	if (use != CMD_STORE_READ)
		options.journal_bytes = (uint64_t)(config->journal_bytes < config->map_bytes / JOURNAL_MAP_SHARE ? config->journal_bytes :
		                                                                                                   config->map_bytes / JOURNAL_MAP_SHARE);
	if (snprintf(path, sizeof(path), "%s/store", data) >= (int)sizeof(path)) {
		*exit_code = cmd_fail(RK_EUSAGE, "the path of the data folder is too long");
		return false;
	}
	r = env_open(&options, out);
	if (r == RK_OK)
		return true;
	if (r == RK_ENOTFOUND)
		*exit_code = cmd_fail(
			RK_ENOTJOINED,
			"%s holds no exchange yet: give it its charter with `renkeid adopt --data %s charter.rk`", data,
			data);
	else if (r == RK_CONFLICT)
		*exit_code = cmd_fail(r, "%s/journal belongs to another store: put that store beside it, or move the journal away; nothing was changed", path);
	else if (r == RK_STORE_FULL)
		*exit_code = cmd_fail(r, "%s is full: what was posted last and lies in its journal does not fit in.  Set [store] map higher; nothing was lost", path);
	else if (r == RK_EINTEGRITY)
		*exit_code = cmd_fail(r, "%s/journal does not go with this store: it is damaged, or the store beside it is an older copy that was put back.  "
			"In the second case move the journal away.  In the first restore, or move it away and lose what was answered last: a tenth of a second, more if "
			"the disk was full.  Nothing was changed", path);
	else if (r == RK_ESTOREFORMAT)
		*exit_code = cmd_fail(
			r,
			"%s has another format than this renkeid writes: use the version that wrote it, or a later one; nothing was changed",
			path);
	else
		*exit_code = cmd_fail_code(r, "%s cannot be opened", path);
	return false;
}

bool cmd_take_up(const char *data, const struct config *config, int *exit_code)
{
	char path[PATH_MAX_BYTES];
	struct env *env = NULL;
	bool ok;
	int lock, r;

	if (snprintf(path, sizeof(path), "%s/store/" JOURNAL_NAME, data) >= (int)sizeof(path) || access(path, F_OK) != 0)
		return true;
	if ((r = env_lock_folder(data, CMD_LOCK_NAME, &lock)) != RK_OK) {
		if (r != RK_ELOCKED)
			fprintf(stderr, "renkeid: %s was not taken up, for its folder cannot be locked (%s): what a broker that was killed left there is missing below\n", path,
				strerror(errno));
		return true;
	}
	ok = cmd_open_store(data, config, CMD_STORE_WRITE, &env, exit_code);
	if (ok && env_taken_up(env) > 0)
		fprintf(stderr, "renkeid: %llu batches were taken up from %s\n", (unsigned long long)env_taken_up(env), path);
	env_close(env);
	close(lock);
	return ok;
}

bool cmd_read_text(const char *data, const char *name, char out[CMD_TEXT_MAX_BYTES])
{
	char path[PATH_MAX_BYTES];
	FILE *f;
	size_t n;

	if (snprintf(path, sizeof(path), "%s/%s", data, name) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(out, 1, CMD_TEXT_MAX_BYTES - 1, f);
	fclose(f);
	out[n] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
	return n > 0 && n < CMD_TEXT_MAX_BYTES - 1 && out[0] != '\0';
}

void cmd_harden(void)
{
	const struct rlimit none = {0, 0};

	/* Neither failure stops the broker: both are a second fence behind file modes and the service's settings. */
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* the leak checker traces its own process */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
