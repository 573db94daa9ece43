/* notify: one command at a time, and what becomes of it. */
#include "client/cli/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/shared.h"
#include "proto/ids.h"

#define ID_SHOWN_BYTES 6
#define FIRST_FREE_FD 3

extern char **environ;

struct notifier {
	const char *command;
	int limit_ms;
	notify_tell *tell;
	void *user;
	pid_t pid;               /* 0: none runs */
	bool killed;
	int64_t deadline_ms;     /* of the monotonic clock */
	struct agent_event event;
};

static int64_t monotonic_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct notifier *notify_new(const char *command, int limit_ms, notify_tell *tell, void *user)
{
	struct notifier *n = calloc(1, sizeof(*n));
	if (n)
		*n = (struct notifier){.command = command, .limit_ms = limit_ms, .tell = tell, .user = user};
	return n;
}

const char *notify_line(char line[NOTIFY_LINE_CHARS], const struct agent_event *e)
{
	char id[2 * ID_SHOWN_BYTES + 1] = "-";
	if (e->id_len >= ID_SHOWN_BYTES)
		ids_hex(id, bytes_make(e->id, ID_SHOWN_BYTES));
	snprintf(line, NOTIFY_LINE_CHARS, "%s %u %s\n", shared_inbox_kind(e->kind), e->unread, id);
	return line;
}

/* What was given to us alone: a command that has it could say for us that we are ready, feed our watchdog, or find our passphrases. */
static bool is_ours(const char *setting)
{
	static const char *const ours[] = {"RENKEI_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY="};
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strncmp(setting, ours[i], strlen(ours[i])) == 0)
			return true;
	return false;
}

/* The environment without what is ours; the list is the caller's to free, the strings are the environment's. */
static char **clean_environment(void)
{
	size_t n = 0, kept = 0;
	while (environ[n])
		n++;
	char **list = calloc(n + 1, sizeof(*list));
	for (size_t i = 0; list && i < n; i++)
		if (!is_ours(environ[i]))
			list[kept++] = environ[i];
	return list;
}

/* In a group of its own, with the signals of a fresh program; nothing of ours stays open in it.  errno, or 0. */
static int spawn(struct notifier *n, int from, char **environment)
{
	char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)n->command, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t defaults, none;
	int rc = posix_spawn_file_actions_init(&files);
	if (rc != 0)
		return rc;
	if ((rc = posix_spawnattr_init(&attr)) != 0) {
		posix_spawn_file_actions_destroy(&files);
		return rc;
	}
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGINT);
	sigaddset(&defaults, SIGTERM);
	/* What it prints goes where our own remarks go: our results are for whoever reads them. */
	if ((rc = posix_spawn_file_actions_adddup2(&files, from, STDIN_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_addclosefrom_np(&files, FIRST_FREE_FD)) == 0 &&
	    (rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK)) == 0 &&
	    (rc = posix_spawnattr_setsigdefault(&attr, &defaults)) == 0 && (rc = posix_spawnattr_setsigmask(&attr, &none)) == 0)
		rc = posix_spawn(&n->pid, "/bin/sh", &files, &attr, argv, environment);
	if (rc != 0)
		n->pid = 0;
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static int start(struct notifier *n)
{
	char line[NOTIFY_LINE_CHARS], **environment = clean_environment();
	int ends[2], rc;
	if (!environment)
		return ENOMEM;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		free(environment);
		return errno;
	}
	notify_line(line, &n->event);
	/* Shorter than a pipe holds: this never waits, whether the command reads or not. */
	if (write(ends[1], line, strlen(line)) < 0)
		rc = errno;
	else
		rc = spawn(n, ends[0], environment);
	close(ends[0]);
	close(ends[1]);
	free(environment);
	n->deadline_ms = monotonic_now() + n->limit_ms;
	n->killed = false;
	return rc;
}

static void look_after(struct notifier *n)
{
	int status;
	pid_t pid = waitpid(n->pid, &status, WNOHANG);
	if (pid == 0) {
		if (!n->killed && monotonic_now() >= n->deadline_ms) {
			n->killed = true;
			(void)kill(-n->pid, SIGKILL);
			n->tell(n->user, NOTIFY_TOO_LONG, &n->event, 0);
		}
		return;
	}
	int value = pid < 0 ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (value != 0 && !n->killed)
		n->tell(n->user, NOTIFY_FAILED, &n->event, value);
	n->pid = 0;
}

int notify_tick(struct notifier *n, struct client *client)
{
	if (n->pid)
		look_after(n);
	if (n->pid)
		return RK_OK;
	int rc = agent_next_event(client, &n->event);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	int error = start(n);
	n->tell(n->user, error ? NOTIFY_NOT_RUN : NOTIFY_STARTED, &n->event, error);
	return RK_OK;
}

bool notify_is_running(const struct notifier *n)
{
	return n->pid != 0;
}

void notify_free(struct notifier *n)
{
	if (!n)
		return;
	if (n->pid) {
		(void)kill(-n->pid, SIGKILL);
		(void)waitpid(n->pid, NULL, 0);
	}
	free(n);
}
