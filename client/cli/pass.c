/*
 * pass: where passphrases come from, in this order: the key's own variable (RENKEI_ORG_PASSPHRASE_FILE …), --passphrase-file,
 * --passphrase-fd, RENKEI_PASSPHRASE_FILE, the terminal.  Never the command line: other users of a machine can read that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/out.h"

#define PASS_MAX 1024
#define PASS_TRIES 3

struct pass {
	char *fd_text;   /* read once from --passphrase-fd: several keys may need it */
	char *typed;     /* last one typed; offered for the next key */
};

static struct pass *state_of(struct cli *c)
{
	if (!c->pass)
		c->pass = calloc(1, sizeof(struct pass));
	return c->pass;
}

void cli_passphrase_free(struct cli *c)
{
	struct pass *p = c->pass;
	if (!p)
		return;
	sodium_free(p->fd_text);
	sodium_free(p->typed);
	free(p);
	c->pass = NULL;
}

static char *guarded(const char *from, size_t len)
{
	char *s = sodium_malloc(len + 1);
	if (s) {
		memcpy(s, from, len);
		s[len] = '\0';
	}
	return s;
}

/* The first line of a file.  RK_EIO; RK_EPASSPHRASE: empty or longer than PASS_MAX. */
static int read_line(int fd, char **out)
{
	char buf[PASS_MAX + 1];
	size_t len = 0;
	ssize_t n = 1;
	while (len < sizeof(buf) && (n = read(fd, buf + len, sizeof(buf) - len)) > 0)
		len += (size_t)n;
	char *end = memchr(buf, '\n', len);
	size_t line = end ? (size_t)(end - buf) : len;
	if (line && buf[line - 1] == '\r')
		line--;
	int rc = n < 0 ? RK_EIO : line == 0 || line > PASS_MAX - 1 || memchr(buf, '\0', line) ? RK_EPASSPHRASE : RK_OK;
	if (rc == RK_OK) {
		*out = guarded(buf, line);
		rc = *out ? RK_OK : RK_ENOMEM;
	}
	sodium_memzero(buf, sizeof(buf));
	return rc;
}

static int from_file(struct cli *c, const char *path, char **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? RK_EIO : read_line(fd, out);
	if (fd >= 0)
		close(fd);
	if (rc == RK_EIO)
		return cli_refuse(c, RK_EIO, TEXT_HINT_PASS_FILE, TEXT_PASS_FILE_UNREADABLE, path);
	if (rc == RK_EPASSPHRASE)
		return cli_refuse(c, rc, TEXT_HINT_PASS_FILE, TEXT_PASS_FILE_EMPTY, path);
	return rc;
}

static int from_fd(struct cli *c, struct pass *p, char **out)
{
	if (!p->fd_text) {
		int rc = read_line(c->passphrase_fd, &p->fd_text);
		if (rc != RK_OK)
			return cli_refuse(c, rc, TEXT_HINT_PASS_FILE, TEXT_PASS_FD_UNREADABLE, c->passphrase_fd);
	}
	*out = guarded(p->fd_text, strlen(p->fd_text));
	return *out ? RK_OK : RK_ENOMEM;
}

/* Reads one line from the terminal without echo. */
static int prompt(struct cli *c, int tty, const char *question, char **out)
{
	struct termios old, quiet;
	if (tcgetattr(tty, &old) != 0)
		return RK_EIO;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(tty, TCSAFLUSH, &quiet);
	dprintf(tty, "%s", question);
	char buf[PASS_MAX];
	ssize_t n = read(tty, buf, sizeof(buf));
	tcsetattr(tty, TCSAFLUSH, &old);
	dprintf(tty, "\n");
	size_t len = n > 0 ? (size_t)n : 0;
	if (len && buf[len - 1] == '\n')
		len--;
	/* Nothing at all is Ctrl-D: no answer, not an empty one. */
	*out = n > 0 ? guarded(buf, len) : NULL;
	sodium_memzero(buf, sizeof(buf));
	if (n <= 0)
		return n == 0 || c->stop ? RK_EINTERRUPTED : RK_EIO;
	return *out ? RK_OK : RK_ENOMEM;
}

static const enum text_id role_names[KEY_ROLE_COUNT] = {
	[KEY_DEVICE] = TEXT_KEY_DEVICE, [KEY_ORG] = TEXT_KEY_ORG, [KEY_SECRETARIAT] = TEXT_KEY_SECRETARIAT,
	[KEY_ROOT] = TEXT_KEY_ROOT, [KEY_WITNESS] = TEXT_KEY_WITNESS,
	[KEY_ORG_NEXT] = TEXT_KEY_ORG, [KEY_SECRETARIAT_NEXT] = TEXT_KEY_SECRETARIAT,
};

/* A new passphrase, typed twice; an empty line takes the one typed before. */
static int prompt_new(struct cli *c, struct pass *p, int tty, enum key_role role, char **out)
{
	char question[256];
	snprintf(question, sizeof(question), text(p->typed ? TEXT_PASS_NEW_OR_SAME : TEXT_PASS_NEW, c->lang),
		 text(role_names[role], c->lang));
	for (int i = 0; i < PASS_TRIES; i++) {
		char *first = NULL, *second = NULL;
		int rc = prompt(c, tty, question, &first);
		if (rc == RK_OK && !*first && p->typed) {
			sodium_free(first);
			*out = guarded(p->typed, strlen(p->typed));
			return *out ? RK_OK : RK_ENOMEM;
		}
		if (rc == RK_OK && *first)
			rc = prompt(c, tty, text(TEXT_PASS_AGAIN, c->lang), &second);
		bool same = rc == RK_OK && second && strcmp(first, second) == 0;
		sodium_free(second);
		if (same) {
			*out = first;
			return RK_OK;
		}
		sodium_free(first);
		if (rc != RK_OK)
			return rc;
		dprintf(tty, "%s\n", text(TEXT_PASS_DIFFER, c->lang));
	}
	return RK_EPASSPHRASE;
}

static int from_terminal(struct cli *c, struct pass *p, enum key_role role, bool confirm, bool again, char **out)
{
	if (!confirm && !again && p->typed) {
		*out = guarded(p->typed, strlen(p->typed));
		return *out ? RK_OK : RK_ENOMEM;
	}
	int tty = c->no_input ? -1 : open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return cli_refuse(c, RK_EPASSPHRASE, TEXT_HINT_PASS_NEEDED, TEXT_PASS_NEEDED,
				  text(role_names[role], c->lang));
	int rc;
	if (confirm) {
		rc = prompt_new(c, p, tty, role, out);
	} else {
		char question[256];
		snprintf(question, sizeof(question), text(again ? TEXT_PASS_WRONG_ASK : TEXT_PASS_ASK, c->lang),
			 text(role_names[role], c->lang));
		rc = prompt(c, tty, question, out);
	}
	close(tty);
	if (rc == RK_OK) {
		sodium_free(p->typed);
		p->typed = guarded(*out, strlen(*out));
	}
	return rc;
}

/* The variable of the key itself, else NULL.  The witness key lies and lives with the secretariat's. */
static const char *own_variable(enum key_role role)
{
	static const char *const names[KEY_ROLE_COUNT] = {
		[KEY_ORG] = "RENKEI_ORG_PASSPHRASE_FILE", [KEY_SECRETARIAT] = "RENKEI_SECRETARIAT_PASSPHRASE_FILE",
		[KEY_WITNESS] = "RENKEI_SECRETARIAT_PASSPHRASE_FILE", [KEY_ROOT] = "RENKEI_ROOT_PASSPHRASE_FILE",
		[KEY_ORG_NEXT] = "RENKEI_ORG_PASSPHRASE_FILE", [KEY_SECRETARIAT_NEXT] = "RENKEI_SECRETARIAT_PASSPHRASE_FILE",
	};
	const char *value = names[role] ? getenv(names[role]) : NULL;
	return value && *value ? value : NULL;
}

int cli_passphrase(void *user, enum key_role role, bool confirm, bool again, char **out)
{
	struct cli *c = user;
	struct pass *p = state_of(c);
	*out = NULL;
	if (!p)
		return RK_ENOMEM;
	const char *path = own_variable(role);
	if (!path)
		path = c->passphrase_file;
	if (!path && c->passphrase_fd < 0) {
		path = getenv("RENKEI_PASSPHRASE_FILE");
		path = path && *path ? path : NULL;
	}
	if (!path && c->passphrase_fd < 0)
		return from_terminal(c, p, role, confirm, again, out);
	/* A file gives the same wrong answer each time. */
	if (again)
		return RK_EPASSPHRASE;
	return path ? from_file(c, path, out) : from_fd(c, p, out);
}
