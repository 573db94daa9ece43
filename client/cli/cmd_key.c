/* key rotate, key show; and what a sync does when a new key has come into force. */
#include "client/cli/cmd_key.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/out.h"
#include "client/cli/show.h"
#include "client/key_change.h"
#include "proto/ids.h"

#define DAY_MS ((int64_t)86400000)
#define FINGERPRINT_DIGITS 40

/* ---- shared */

int key_open_out(struct cli *c, const char *path, int *fd)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (*fd >= 0)
		return RK_OK;
	if (errno == EEXIST)
		return cli_refuse(c, RK_EEXISTS, TEXT_HINT_OTHER_FILE, TEXT_OUT_EXISTS, path);
	return cli_fail(c, RK_EIO, TEXT_CANNOT_WRITE, path);
}

int key_close_out(struct cli *c, const char *path, int fd, struct bytes content, int rc)
{
	bool failed = false;
	while (rc == RK_OK && !failed && content.len > 0) {
		ssize_t n = write(fd, content.data, content.len);
		failed = n <= 0;
		if (!failed)
			content = bytes_make(content.data + n, content.len - (size_t)n);
	}
	failed = failed || (rc == RK_OK && fsync(fd) != 0);
	close(fd);
	if (rc != RK_OK || failed)
		(void)unlink(path);
	return failed ? cli_fail(c, RK_EIO, TEXT_CANNOT_WRITE, path) : rc;
}

/* A slip of the tongue or the hand is not yet a stranger. */
static bool is_whole(const char *typed)
{
	size_t digits = 0;
	for (; *typed; typed++)
		digits += isxdigit((unsigned char)*typed) != 0;
	return digits == FINGERPRINT_DIGITS;
}

int key_heard(struct cli *c, const char *given, enum text_id ask, const char *name, char typed[128])
{
	out_warn(c, ask, name);
	if (given) {
		snprintf(typed, 128, "%s", given);
	} else if (!cli_ask(c, typed, 128, TEXT_APPROVE_PROMPT)) {
		if (c->stop)
			return cli_refuse(c, RK_EINTERRUPTED, TEXT_NONE, TEXT_NOT_CONFIRMED);
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_FINGERPRINT, TEXT_FINGERPRINT_NEEDED);
	}
	return is_whole(typed) ? RK_OK : cli_refuse(c, RK_EUSAGE, TEXT_HINT_FINGERPRINT, TEXT_FINGERPRINT_SHORT);
}

/* ---- after a sync */

struct list_due {
	bool is_due;
	unsigned devices;
};

static int find_list_due(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct list_due *due = user;
	Rk__OrgDevices *list;
	uint8_t oh[32];
	due->is_due = key_change_is_list_due(c->client, txn);
	if (due->is_due && book_org_devices(c->client, txn, client_org_id(c->client), a, &list, oh) == RK_OK)
		due->devices = (unsigned)list->n_devices;
	return RK_OK;
}

static int sign_list(struct cli *c, unsigned devices)
{
	uint64_t item;
	int rc = key_change_queue_list(c->client, &item);
	if (rc == RK_EPASSPHRASE)
		return cli_fail(c, CLI_PARTIAL, TEXT_KEY_LIST_WAITS);
	if (rc == RK_NOT_PERMITTED)
		return cli_refuse(c, rc, TEXT_HINT_ORG_KEY_OTHER, TEXT_ORG_KEY_OTHER);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_SIGN_LIST);
	if ((rc = cli_finish(c, item, TEXT_CANNOT_SIGN_LIST, NULL)) != RK_OK)
		return rc;
	out_say(c, TEXT_KEY_LIST_DONE);
	/* A thief of the old key may have added one. */
	if (devices > 1)
		out_warn(c, TEXT_KEY_LIST_DEVICES, devices);
	/* Our own list comes back by the control stream. */
	rc = link_sync(c->client, &c->stop);
	return rc == RK_OK ? RK_OK : cli_fail(c, rc, TEXT_CANNOT_SYNC);
}

int key_after_sync(struct cli *c)
{
	unsigned changed;
	struct list_due due = {0};
	int rc = key_change_settle(c->client, &changed);
	if (rc == RK_OK)
		rc = show_read(c, find_list_due, &due);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_SIGN_LIST);
	if (changed & 1u << KEY_ORG)
		out_say(c, TEXT_KEY_IN_FORCE);
	if (changed & 1u << KEY_SECRETARIAT)
		out_say(c, TEXT_OFFICER_IN_FORCE);
	return due.is_due ? sign_list(c, due.devices) : RK_OK;
}

/* ---- rotate */

static int rotate_fails(struct cli *c, int rc)
{
	if (rc == RK_ENOTJOINED)
		return cli_refuse(c, rc, TEXT_HINT_OTHER_HOME, TEXT_NO_ORG_KEY, text(TEXT_KEY_ORG, c->lang));
	if (rc == RK_NOT_PERMITTED)
		return cli_refuse(c, rc, TEXT_HINT_ORG_KEY_OTHER, TEXT_ORG_KEY_OTHER);
	return cli_fail(c, rc, TEXT_CANNOT_ROTATE);
}

static int print_request(struct cli *c, const char *request, const uint8_t pk[32], bool lost)
{
	char fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	ids_org_fingerprint(fingerprint, pk);
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "request", request);
		out_set_text(j, "fingerprint", fingerprint);
		out_set_bool(j, "lost", lost);
		return out_json(j);
	}
	out_field(c, TEXT_F_REQUEST, request);
	out_field(c, TEXT_F_FINGERPRINT, fingerprint);
	if (lost)
		out_warn(c, TEXT_KEY_LOST_WARNING);
	out_say(c, TEXT_KEY_ROTATE_NEXT);
	return RK_OK;
}

int cmd_key_rotate(struct cli *c, int argc, char **argv)
{
	static const struct key_new defaults;
	bool org = false, lost = false;
	const char *out = NULL;
	const struct cli_option options[] = {
		{"org", CLI_FLAG, &org, NULL, TEXT_OPT_KEY_ORG, false},
		{"lost", CLI_FLAG, &lost, NULL, TEXT_OPT_KEY_LOST, false},
		{"out", CLI_TEXT, &out, "FILE", TEXT_OPT_REQUEST_OUT, false},
		{0},
	};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_KEY_ROTATE};
	char request[ORGKEY_TEXT_CHARS];
	struct cli_args args;
	uint8_t pk[32];
	int fd = -1;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK && !org)
		rc = cli_refuse(c, RK_EUSAGE, TEXT_HINT_KEY_ORG, TEXT_KEY_ROTATE_WHAT);
	if (rc != RK_OK || (rc = cli_open_joined(c)) != RK_OK || (rc = cli_refresh(c)) != RK_OK)
		return rc;
	if (out && (rc = key_open_out(c, out, &fd)) != RK_OK)
		return rc;
	rc = key_change_begin(c->client, lost, &defaults, request, pk);
	if (rc != RK_OK)
		rc = rotate_fails(c, rc);
	if (out)
		rc = key_close_out(c, out, fd, bytes_str(request), rc);
	return rc == RK_OK ? print_request(c, request, pk, lost) : rc;
}

/* ---- show */

static const struct {
	enum key_role role;
	const char *name;
	enum text_id text;
} roles[] = {
	{KEY_DEVICE, "device", TEXT_KEY_DEVICE}, {KEY_ORG, "org", TEXT_KEY_ORG}, {KEY_ORG_NEXT, "org-next", TEXT_KEY_ORG_NEXT_NAME},
	{KEY_SECRETARIAT, "secretariat", TEXT_KEY_SECRETARIAT},
	{KEY_SECRETARIAT_NEXT, "secretariat-next", TEXT_KEY_SECRETARIAT_NEXT_NAME},
	{KEY_WITNESS, "witness", TEXT_KEY_WITNESS}, {KEY_ROOT, "root", TEXT_KEY_ROOT},
};

static size_t role_index(enum key_role role)
{
	size_t i = 0;
	while (roles[i].role != role)
		i++;
	return i;
}

static int show_key(struct cli *c, struct out_table *table, const struct key_facts *f)
{
	char fingerprint[IDS_ORG_FINGERPRINT_CHARS] = "", age[32], until[OUT_TIME_CHARS];
	size_t i = role_index(f->role);
	int64_t days = (client_now(c->client) - f->made_at) / DAY_MS;
	if (f->has_pk)
		ids_org_fingerprint(fingerprint, f->pk);
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "key", roles[i].name);
		out_set_text(j, "fingerprint", fingerprint);
		out_set_number(j, "age_days", days);
		out_set_time(j, "until", f->until);
		out_set_bool(j, "in_force", f->is_current);
		return out_json(j);
	}
	snprintf(age, sizeof(age), text(TEXT_KEY_DAYS, c->lang), (long long)days);
	out_table_row(table);
	out_table_cell(table, text(roles[i].text, c->lang));
	out_table_cell(table, f->has_pk ? fingerprint : "—");
	out_table_cell(table, age);
	out_table_cell(table, out_day(until, f->until));
	out_table_cell(table, text(f->is_current ? TEXT_YES_WORD : TEXT_NO_WORD, c->lang));
	return RK_OK;
}

static int show_keys(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	static const enum text_id headings[] = {TEXT_COL_KEY, TEXT_COL_FINGERPRINT, TEXT_COL_AGE, TEXT_COL_UNTIL, TEXT_COL_IN_FORCE};
	struct out_table *table = NULL;
	struct key_facts facts[KEY_FACTS_MAX];
	size_t n;
	(void)a;
	(void)user;
	int rc = key_change_facts(c->client, txn, facts, &n);
	if (rc == RK_OK && !c->json)
		table = out_table_new(c, 5, headings);
	for (size_t i = 0; i < n && rc == RK_OK; i++)
		rc = show_key(c, table, &facts[i]);
	out_table_end(table, TEXT_KEY_NONE);
	return rc;
}

int cmd_key_show(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_NONE};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open(c);
	return rc == RK_OK ? show_read(c, show_keys, NULL) : rc;
}
