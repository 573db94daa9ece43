/* agent: one to a home; each new entry of the inbox is handed on once, by a line that says nothing of what it is about. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/agent.h"
#include "client/cli/notify.h"
#include "tests/unit/bare_home.h"

#define WAIT_MS 20000

static struct bare h;

static int set_up(void **state)
{
	(void)state;
	bare_begin(&h, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bare_end(&h);
	return 0;
}

static void arrive(Rkl__InboxKind kind, uint8_t id, const char *detail)
{
	uint8_t bytes[32], from[16] = {9, 9, 9};

	memset(bytes, id, sizeof(bytes));
	bare_write(&h);
	assert_int_equal(inbox_add(h.t, kind, BYTES_OF(bytes), from, bare_now_ms, detail), RK_OK);
	bare_commit(&h);
}

static void read_entry(uint64_t no)
{
	ProtobufCMessage *m;
	uint8_t key[8];

	put_u64be(key, no);
	bare_write(&h);
	assert_int_equal(record_get(h.t, C_INBOX, BYTES_OF(key), &rkl__inbox_record__descriptor, h.a, &m), RK_OK);
	((Rkl__InboxRecord *)m)->read = true;
	assert_int_equal(record_put(h.t, C_INBOX, BYTES_OF(key), m), RK_OK);
	bare_commit(&h);
}

/* ---- events */

static void each_entry_once_and_none_of_before(void **state)
{
	struct agent_event e;
	(void)state;

	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 1, "");
	/* What was there when an agent first looked is no news. */
	assert_int_equal(agent_next_event(h.c, &e), RK_ENOTFOUND);
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 2, "");
	arrive(RKL__INBOX_KIND__INBOX_NOTICE, 3, "");
	assert_int_equal(agent_next_event(h.c, &e), RK_OK);
	assert_int_equal(e.kind, RKL__INBOX_KIND__INBOX_DOSSIER);
	assert_int_equal(e.unread, 2);
	assert_int_equal(e.id[0], 2);
	/* A new process goes on behind it. */
	bare_reopen(&h);
	assert_int_equal(agent_next_event(h.c, &e), RK_OK);
	assert_int_equal(e.kind, RKL__INBOX_KIND__INBOX_NOTICE);
	assert_int_equal(e.unread, 1);
	assert_int_equal(agent_next_event(h.c, &e), RK_ENOTFOUND);
	/* What somebody has read meanwhile is passed over. */
	arrive(RKL__INBOX_KIND__INBOX_RETURNED, 4, "expired");
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 5, "");
	read_entry(4);
	assert_int_equal(agent_next_event(h.c, &e), RK_OK);
	assert_int_equal(e.id[0], 5);
	assert_int_equal(agent_next_event(h.c, &e), RK_ENOTFOUND);
}

static void an_alert_that_is_repeated_is_told_once(void **state)
{
	struct agent_event e;
	(void)state;

	assert_int_equal(agent_next_event(h.c, &e), RK_ENOTFOUND);
	arrive(RKL__INBOX_KIND__INBOX_ALERT, 1, "read-only");
	assert_int_equal(agent_next_event(h.c, &e), RK_OK);
	arrive(RKL__INBOX_KIND__INBOX_ALERT, 2, "read-only");
	assert_int_equal(agent_next_event(h.c, &e), RK_ENOTFOUND);
}

static void what_a_line_says(void **state)
{
	struct agent_event e = {.kind = RKL__INBOX_KIND__INBOX_DOSSIER, .unread = 3, .id_len = 32};
	char line[NOTIFY_LINE_CHARS];
	(void)state;

	memset(e.id, 0xab, 32);
	assert_string_equal(notify_line(line, &e), "dossier 3 abababababab\n");
	e.id_len = 0;
	e.kind = RKL__INBOX_KIND__INBOX_ALERT;
	assert_string_equal(notify_line(line, &e), "alert 3 -\n");
	e.kind = (Rkl__InboxKind)999;
	e.unread = UINT32_MAX;
	assert_string_equal(notify_line(line, &e), "none 4294967295 -\n");
}

/* ---- the command */

struct heard { unsigned started, failed, killed, not_run; int value; };

static void hear(void *user, enum notify_fault fault, const struct agent_event *e, int value)
{
	struct heard *heard = user;
	(void)e;

	heard->started += fault == NOTIFY_STARTED;
	heard->failed += fault == NOTIFY_FAILED;
	heard->killed += fault == NOTIFY_TOO_LONG;
	heard->not_run += fault == NOTIFY_NOT_RUN;
	heard->value = value;
}

static void run_until_idle(struct notifier *n)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	for (int i = 0; i < WAIT_MS / 5; i++) {
		assert_int_equal(notify_tick(n, h.c), RK_OK);
		if (!notify_is_running(n))
			return;
		nanosleep(&pause, NULL);
	}
	fail();
}

static size_t read_out(char *out, size_t len, const char *name)
{
	char path[400];
	size_t got;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", h.folder, name);
	file = fopen(path, "r");
	got = file != NULL ? fread(out, 1, len - 1, file) : 0;
	out[got] = '\0';
	if (file != NULL)
		fclose(file);
	return got;
}

/* One line an entry, no two at a time, nothing of ours in the environment, no file of ours open. */
static void a_command_hears_each_entry_alone(void **state)
{
	char command[2000], out[8192];
	struct heard heard = {0};
	struct notifier *n;
	struct agent_event e;
	(void)state;

	setenv("RENKEI_PASSPHRASE_FILE", "/secret/place", 1);
	setenv("NOTIFY_SOCKET", "/run/manager", 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials", 1);
	setenv("OTHER_SETTING", "kept", 1);
	snprintf(command, sizeof(command),
		 "mkdir %s/lock || echo twice >>%s/out; cat >>%s/out; env >>%s/env; ls -l /proc/self/fd >>%s/fds; sleep 0.05; rmdir %s/lock",
		 h.folder, h.folder, h.folder, h.folder, h.folder, h.folder);
	assert_int_equal(agent_next_event(h.c, &e), RK_ENOTFOUND);
	assert_non_null(n = notify_new(command, 30000, hear, &heard));
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 0x11, "Sealed-Title of Acme");
	arrive(RKL__INBOX_KIND__INBOX_NDA_ACT, 0x22, "accept");
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 0x33, "");
	run_until_idle(n);
	assert_int_equal(heard.started, 3);
	assert_int_equal(heard.failed + heard.killed + heard.not_run, 0);
	read_out(out, sizeof(out), "out");
	assert_string_equal(out, "dossier 3 111111111111\nnda_act 2 222222222222\ndossier 1 333333333333\n");
	assert_true(read_out(out, sizeof(out), "env") > 0);
	assert_null(strstr(out, "RENKEI_"));
	assert_null(strstr(out, "NOTIFY_SOCKET"));
	assert_null(strstr(out, "WATCHDOG_"));
	assert_null(strstr(out, "CREDENTIALS_"));
	assert_non_null(strstr(out, "OTHER_SETTING=kept"));
	assert_true(read_out(out, sizeof(out), "fds") > 0);
	assert_null(strstr(out, "data.mdb"));
	assert_null(strstr(out, ".lock"));
	notify_free(n);
	/* Nor by another process of this home. */
	bare_reopen(&h);
	assert_non_null(n = notify_new(command, 30000, hear, &heard));
	run_until_idle(n);
	assert_int_equal(heard.started, 3);
	notify_free(n);
	unsetenv("RENKEI_PASSPHRASE_FILE");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("OTHER_SETTING");
}

static void a_command_that_fails_is_not_repeated(void **state)
{
	struct heard heard = {0};
	struct agent_event e;
	struct notifier *n;
	(void)state;

	assert_int_equal(agent_next_event(h.c, &e), RK_ENOTFOUND);
	assert_non_null(n = notify_new("exit 7", 30000, hear, &heard));
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 1, "");
	run_until_idle(n);
	assert_int_equal(heard.failed, 1);
	assert_int_equal(heard.value, 7);
	run_until_idle(n);
	assert_int_equal(heard.started, 1);
	/* It does not read what it gets: no signal of ours for that. */
	notify_free(n);
	assert_non_null(n = notify_new("exec 0<&-; kill -s TERM $$", 30000, hear, &heard));
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 2, "");
	run_until_idle(n);
	assert_int_equal(heard.failed, 2);
	assert_int_equal(heard.value, 128 + 15);
	notify_free(n);
}

/* True once nobody holds the lock that the command took: whoever inherited it is gone. */
static bool is_released(void)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/held", h.folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < WAIT_MS / 5; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			close(fd);
			return true;
		}
		nanosleep(&pause, NULL);
	}
	close(fd);
	return false;
}

/* With what it has started: a child that holds on goes too, and does not keep the next one waiting. */
static void a_command_that_does_not_end_is_ended(void **state)
{
	struct heard heard = {0};
	struct agent_event e;
	struct notifier *n;
	char command[800];
	(void)state;

	assert_int_equal(agent_next_event(h.c, &e), RK_ENOTFOUND);
	snprintf(command, sizeof(command), "exec 9>%s/held; flock 9; sleep 60 & sleep 60", h.folder);
	assert_non_null(n = notify_new(command, 300, hear, &heard));
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 1, "");
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 2, "");
	run_until_idle(n);
	assert_int_equal(heard.started, 2);
	assert_int_equal(heard.killed, 2);
	assert_int_equal(heard.failed, 0);
	assert_true(is_released());
	/* One that runs when the agent ends goes with it. */
	arrive(RKL__INBOX_KIND__INBOX_DOSSIER, 3, "");
	assert_int_equal(notify_tick(n, h.c), RK_OK);
	assert_true(notify_is_running(n));
	notify_free(n);
	assert_true(is_released());
}

/* ---- presence */

static void one_agent_to_a_home(void **state)
{
	struct agent_view v;
	struct txn *t;
	int first, second;
	(void)state;

	assert_int_equal(env_begin(client_env(h.c), false, &t), RK_OK);
	assert_int_equal(agent_view(h.c, t, &v), RK_OK);
	env_abort(t);
	assert_false(v.is_running);
	assert_int_equal(agent_begin(h.c, true, &first), RK_OK);
	assert_int_equal(agent_begin(h.c, false, &second), RK_ELOCKED);
	assert_int_equal(second, -1);
	assert_int_equal(env_begin(client_env(h.c), false, &t), RK_OK);
	assert_int_equal(agent_view(h.c, t, &v), RK_OK);
	env_abort(t);
	assert_true(v.is_running && v.serves);
	assert_int_equal(v.since, bare_now_ms);
	assert_int_equal(v.connected_since, 0);
	close(first);
	assert_int_equal(env_begin(client_env(h.c), false, &t), RK_OK);
	assert_int_equal(agent_view(h.c, t, &v), RK_OK);
	env_abort(t);
	/* Killed or ended, it is gone: the lock says so, whatever the store remembers. */
	assert_false(v.is_running);
	assert_int_equal(v.since, 0);
	assert_int_equal(agent_begin(h.c, false, &second), RK_OK);
	close(second);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_entry_once_and_none_of_before), TEST(an_alert_that_is_repeated_is_told_once), TEST(what_a_line_says),
		TEST(a_command_hears_each_entry_alone), TEST(a_command_that_fails_is_not_repeated),
		TEST(a_command_that_does_not_end_is_ended), TEST(one_agent_to_a_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
