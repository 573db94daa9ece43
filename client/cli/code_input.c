/* A code is never an argument: other users of a machine can read those.  It is shown once and typed back before anything is under it. */
#include "client/cli/code_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "client/cli/out.h"

#define TRIES 3
#define LINE_MAX_CHARS 256

static int read_file(struct cli *c, const char *file, char code[RECOVERY_CODE_CHARS])
{
	char line[LINE_MAX_CHARS];
	unsigned group;
	int fd = open(file, O_RDONLY | O_CLOEXEC), r;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? RK_ENOTFOUND : cli_fail(c, RK_EIO, TEXT_CODE_FILE_UNREADABLE, file);
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n < 0)
		return cli_fail(c, RK_EIO, TEXT_CODE_FILE_UNREADABLE, file);
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	r = recovery_read(line, code, &group);
	sodium_memzero(line, sizeof(line));
	return r == RK_OK ? RK_OK : cli_refuse(c, RK_EUSAGE, TEXT_CODE_FORM, TEXT_CODE_FILE_BAD, file);
}

/* Durable before anything is under it. */
static int write_file(struct cli *c, const char *file, const char *code)
{
	char line[RECOVERY_CODE_CHARS + 1];
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), r = RK_OK;
	int len = snprintf(line, sizeof(line), "%s\n", code);

	if (fd < 0 || write(fd, line, (size_t)len) != len || fsync(fd) != 0)
		r = errno == ENOSPC || errno == EDQUOT ? RK_EDISKFULL : RK_EIO;
	if (fd >= 0 && close(fd) != 0 && r == RK_OK)
		r = RK_EIO;
	if (r != RK_OK && fd >= 0)
		(void)unlink(file);
	sodium_memzero(line, sizeof(line));
	return r == RK_OK ? RK_OK : cli_fail(c, r, TEXT_CODE_FILE_UNREADABLE, file);
}

static void say_wrong(struct cli *c, int r, unsigned group)
{
	if (r == RK_MALFORMED)
		out_warn(c, TEXT_CODE_FORM);
	else if (group > 0)
		out_warn(c, TEXT_CODE_GROUP, group);
	else
		out_warn(c, TEXT_CODE_WRONG);
}

/* RK_ENOTFOUND: an empty line, if that may be; want: the code that it must be, or NULL. */
static int ask(struct cli *c, enum text_id question, bool may_be_empty, const char *want, char code[RECOVERY_CODE_CHARS])
{
	char line[LINE_MAX_CHARS];
	unsigned group;
	int r;

	for (int i = 0; i < TRIES; i++) {
		if (!cli_ask(c, line, sizeof(line), question))
			return c->stop ? RK_EINTERRUPTED : cli_refuse(c, RK_EUSAGE, TEXT_HINT_CODE_NEEDED, TEXT_CODE_NEEDED);
		if (may_be_empty && line[strspn(line, " ")] == 0)
			return RK_ENOTFOUND;
		r = recovery_read(line, code, &group);
		sodium_memzero(line, sizeof(line));
		if (r == RK_OK && (want == NULL || strcmp(code, want) == 0))
			return RK_OK;
		if (r == RK_OK)
			out_warn(c, TEXT_CODE_OTHER);
		else
			say_wrong(c, r, group);
	}
	return RK_EPASSPHRASE;
}

/* Shown, written down, typed. */
static int hand_over(struct cli *c, const char *code)
{
	char typed[RECOVERY_CODE_CHARS];
	int r;

	/* Not into somebody's log. */
	if (!isatty(STDERR_FILENO))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_CODE_NEEDED, TEXT_CODE_NEEDED);
	out_warn(c, TEXT_SHOW_CODE, code);
	r = ask(c, TEXT_ASK_CODE_BACK, false, code, typed);
	sodium_memzero(typed, sizeof(typed));
	if (r == RK_EPASSPHRASE || r == RK_EINTERRUPTED)
		return cli_refuse(c, r, TEXT_NONE, TEXT_CODE_NOT_TYPED);
	return r;
}

int code_for_writing(struct cli *c, const char *file, char code[RECOVERY_CODE_CHARS])
{
	int r = file != NULL ? read_file(c, file, code) : ask(c, TEXT_ASK_OLD_CODE, true, NULL, code);

	if (file == NULL && (r == RK_EPASSPHRASE || r == RK_EINTERRUPTED))
		return cli_refuse(c, r, TEXT_NONE, TEXT_CODE_NOT_TYPED);
	if (r != RK_ENOTFOUND)
		return r;
	recovery_new(code);
	if (file == NULL)
		return hand_over(c, code);
	if ((r = write_file(c, file, code)) == RK_OK)
		out_say(c, TEXT_CODE_FILE_NEW, file);
	return r;
}

int code_for_reading(struct cli *c, const char *file, char code[RECOVERY_CODE_CHARS])
{
	int r = file != NULL ? read_file(c, file, code) : ask(c, TEXT_ASK_CODE, false, NULL, code);

	if (file != NULL && r == RK_ENOTFOUND)
		return cli_fail(c, RK_EIO, TEXT_CODE_FILE_UNREADABLE, file);
	if (file == NULL && (r == RK_EPASSPHRASE || r == RK_EINTERRUPTED))
		return cli_refuse(c, r, TEXT_CODE_FORM, TEXT_NOT_CONFIRMED);
	return r;
}
