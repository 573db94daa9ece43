/* doctor: looks at everything that may be wrong and says of each what to do.  Changes nothing. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/backup.h"
#include "client/cli/out.h"
#include "client/cli/show.h"
#include "client/cli/standing.h"
#include "client/days.h"
#include "client/device.h"
#include "client/log.h"
#include "proto/ids.h"

#define PROBE_MS 5000
#define CLOCK_LIMIT_MS ENVELOPE_CLOCK_MS
#define STUCK_MS ((int64_t)86400000)
#define DAY_MS ((int64_t)86400000)

struct exam { struct cli *c; json_t *checks; unsigned bad; };

/* Further lines of a sentence stand below its first. */
static void print_finding(const char *mark, const char *sentence)
{
	const char *end;
	printf("%s  ", mark);
	for (; (end = strchr(sentence, '\n')); sentence = end + 1)
		printf("%.*s\n    ", (int)(end - sentence), sentence);
	printf("%s\n", sentence);
}

/* One finding: a word for scripts, whether it is well, and a sentence. */
static void say(struct exam *e, const char *name, bool ok, enum text_id id, ...) __attribute__((nonnull(1, 2)));

static void say(struct exam *e, const char *name, bool ok, enum text_id id, ...)
{
	char *sentence = NULL;
	va_list ap;
	va_start(ap, id);
	if (vasprintf(&sentence, text(id, e->c->lang), ap) < 0)
		sentence = NULL;
	va_end(ap);
	e->bad += !ok;
	if (e->c->json) {
		json_t *j = json_object();
		out_set_text(j, "check", name);
		out_set_bool(j, "ok", ok);
		out_set_text(j, "message", sentence ? sentence : "");
		json_array_append_new(e->checks, j);
	} else {
		print_finding(ok ? "ok" : "!!", sentence ? sentence : "");
	}
	free(sentence);
}

/* ---- files */

static void check_file(struct exam *e, const char *name, bool needed)
{
	char path[4300];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", e->c->home, name);
	if (stat(path, &st) != 0) {
		if (needed)
			say(e, "key", false, TEXT_DOC_KEY_MISSING, name);
		return;
	}
	if (st.st_mode & 077)
		say(e, "key", false, TEXT_DOC_KEY_OPEN, name, path);
	else if (access(path, R_OK) != 0)
		say(e, "key", false, TEXT_DOC_KEY_UNREADABLE, name);
	else
		say(e, "key", true, TEXT_DOC_KEY_OK, name);
}

static void check_files(struct exam *e)
{
	struct stat st;
	if (stat(e->c->home, &st) == 0 && (st.st_mode & 077))
		say(e, "home", false, TEXT_DOC_HOME_OPEN, e->c->home, e->c->home);
	else
		say(e, "home", true, TEXT_DOC_HOME_OK, e->c->home);
	check_file(e, "device.key", true);
	check_file(e, "kx.key", true);
	check_file(e, "org.key", false);
	check_file(e, "org-next.key", false);
	check_file(e, "secretariat.key", false);
	check_file(e, "secretariat-next.key", false);
	check_file(e, "witness.key", false);
	check_file(e, "root.key", false);
	if (cli_device_key_is_open(e->c))
		say(e, "passphrase", true, TEXT_DOC_NO_PASSPHRASE);
}

/* Who has the connection?  Tried and given back at once. */
static void check_lock(struct exam *e)
{
	char path[4300];
	snprintf(path, sizeof(path), "%s/link.lock", e->c->home);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
	if (fd >= 0)
		close(fd);
	say(e, "link-lock", true, held ? TEXT_DOC_LOCK_HELD : TEXT_DOC_LOCK_FREE);
}

/* ---- broker and clock */

static void check_broker(struct exam *e)
{
	int64_t rtt = 0, theirs = 0;
	int rc = keys_unlock(e->c->client, KEY_DEVICE);
	if (rc != RK_OK) {
		say(e, "device-key", false, TEXT_DOC_CANNOT_UNLOCK, errcode_sentence(rc, e->c->lang));
		return;
	}
	rc = link_probe(e->c->client, PROBE_MS, &rtt, &theirs);
	/* Who is a member and not let in any more needs no invitation. */
	if (rc == RK_NOT_ADMITTED && client_state(e->c->client) == CLIENT_JOINED)
		rc = RK_REVOKED;
	if (rc != RK_OK) {
		say(e, "broker", false, TEXT_DOC_BROKER_SILENT, errcode_sentence(rc, e->c->lang), errcode_hint(rc, e->c->lang));
		return;
	}
	say(e, "broker", true, TEXT_DOC_BROKER_OK, (long long)rtt);
	int64_t off = client_now(e->c->client) - rtt / 2 - theirs, magnitude = off < 0 ? -off : off;
	bool ok = magnitude < CLOCK_LIMIT_MS;
	say(e, "clock", ok, ok ? TEXT_DOC_CLOCK_OK : TEXT_DOC_CLOCK_BAD, (long long)(off / 1000));
}

/* ---- dates */

/* The sentences for what ends soon and what is over, where they are not those of all. */
static const struct { const char *name; enum text_id soon, over; } dates[STANDING_COUNT] = {
	[STANDING_KX] = {"kx", TEXT_DOC_KX_SOON, TEXT_DOC_KX_ENDED},
	[STANDING_DIRECTORY] = {"directory", TEXT_NONE, TEXT_NONE},
	[STANDING_EPOCH] = {"feed-epoch", TEXT_NONE, TEXT_NONE},
	[STANDING_DEVICES] = {"device-list", TEXT_DOC_DEVICES_SOON, TEXT_DOC_DEVICES_ENDED},
	[STANDING_CHARTER] = {"charter", TEXT_NONE, TEXT_NONE},
};

static void check_date(struct exam *e, enum standing_date d, int64_t until)
{
	char when[OUT_TIME_CHARS];
	int64_t left = until - client_now(e->c->client);
	const char *noun = text(standing_name(d), e->c->lang);
	enum text_id own = left <= 0 ? dates[d].over : dates[d].soon;
	bool ok = left > standing_days_soon(d) * DAY_MS;
	out_time(when, until);
	if (!until)
		say(e, dates[d].name, false, TEXT_DOC_MISSING, noun);
	else if (ok)
		say(e, dates[d].name, true, TEXT_DOC_DATE_OK, noun, when);
	else if (own != TEXT_NONE)
		say(e, dates[d].name, false, own, when);
	else
		say(e, dates[d].name, false, left <= 0 ? TEXT_DOC_EXPIRED : TEXT_DOC_SOON, noun, when);
}

static int check_dates(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct exam *e = user;
	struct standing s;
	Rk__Charter *charter;
	Rk__Org *own;
	char since[OUT_TIME_CHARS];
	int rc = standing_gather(c, txn, a, &s);
	if (rc != RK_OK)
		return rc;
	for (int d = 0; d < STANDING_COUNT; d++)
		check_date(e, (enum standing_date)d, s.until[d]);
	if (device_waits_for(c->client, txn) == DEVICE_WAITS_FEED)
		say(e, "feed-key", true, TEXT_DOC_NO_FEED_KEY);
	if (book_charter(c->client, txn, a, &charter) == RK_OK && !days_knows_zone(charter->time_zone))
		say(e, "zone", false, TEXT_ZONE_UNKNOWN, charter->time_zone);
	if (s.agent.is_running)
		say(e, "agent", true, TEXT_DOC_AGENT_UP, out_time(since, s.agent.since));
	else
		say(e, "agent", true, TEXT_DOC_AGENT_NONE);
	if (book_org(c->client, txn, client_org_id(c->client), a, &own) == RK_OK && own->status != RK__ORG_STATUS__ACTIVE)
		say(e, "membership", false, TEXT_NOT_ACTIVE, cli_word(c, cli_org_status_name(own->status)));
	return RK_OK;
}

/* ---- the exchange's log */

static int check_log(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct exam *e = user;
	struct log_head head;
	struct log_fork fork;
	char number[24];
	uint64_t unproven = log_unproven(txn);
	int rc = log_newest(c->client, txn, a, &head);
	if (rc != RK_OK && rc != RK_ENOTFOUND)
		return rc;
	snprintf(number, sizeof(number), "%llu", (unsigned long long)head.checkpoint.size);
	if (rc == RK_OK)
		say(e, "log", true, TEXT_DOC_LOG_OK, number);
	else
		say(e, "log", true, TEXT_DOC_LOG_NONE);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)unproven);
	if (rc == RK_OK && unproven)
		say(e, "log-unproven", true, TEXT_DOC_LOG_UNPROVEN, number);
	rc = log_fork(c->client, txn, a, &fork);
	if (rc == RK_OK)
		say(e, "log-fault", false, TEXT_LOG_FORKED);
	if (log_is_unwitnessed(c->client, txn))
		say(e, "log-cosigned", false, TEXT_LOG_UNWITNESSED);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

/* ---- attachments on their way */

struct uploads { struct exam *e; uint64_t item; unsigned moving; };

static int see_upload(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	struct uploads *u = user;
	if (record->complete || get_u64be(key) == u->item)
		return RK_OK;
	u->item = get_u64be(key);
	if (client_now(u->e->c->client) - record->moved_at > STUCK_MS)
		say(u->e, "upload", false, TEXT_DOC_UPLOAD_STUCK, (unsigned long long)u->item, (unsigned long long)u->item);
	else
		u->moving++;
	return RK_OK;
}

static int check_uploads(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct uploads u = {.e = user};
	int rc = attach_each_upload(txn, a, see_upload, &u);
	(void)c;
	if (rc == RK_OK && u.moving)
		say(user, "upload", true, TEXT_DOC_UPLOAD_OK, u.moving);
	return rc;
}

/* ---- the last backup */

static int check_backup(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct exam *e = user;
	struct backup_state s;
	char when[OUT_TIME_CHARS];
	int rc = backup_state_read(c->client, txn, a, &s);
	if (rc != RK_OK)
		return rc;
	out_time(when, s.made_at);
	if (s.made_at)
		say(e, "backup", !s.is_old, s.is_old ? TEXT_BACKUP_DUE : TEXT_DOC_BACKUP_OK, when);
	else
		say(e, "backup", !s.is_old, s.is_old ? TEXT_BACKUP_DUE_NEVER : TEXT_DOC_BACKUP_NONE);
	return RK_OK;
}

/* ---- what was dropped, what waits, copies of this home */

static int check_store(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct exam *e = user;
	struct env_cursor *cur;
	struct bytes key, value;
	unsigned queued = 0, sent = 0;
	char name[64];
	(void)a;
	int rc = outbox_count(txn, &queued, &sent);
	if (rc == RK_OK)
		rc = env_cursor_open(txn, C_META, &cur);
	if (rc != RK_OK)
		return rc;
	say(e, "outbox", true, queued + sent == 1 ? TEXT_DOC_QUEUED_ONE : TEXT_DOC_QUEUED, queued + sent);
	if (meta_get(txn, META_STALE, &value) == RK_OK && value.len == 1 && value.data[0])
		say(e, "copy", false, TEXT_DOC_COPY);
	if (meta_u64(txn, META_READ_ONLY))
		say(e, "read-only", false, TEXT_DOC_READ_ONLY);
	for (rc = env_cursor_seek(cur, bytes_str("count/"), &key, &value);
	     rc == RK_OK && key.len > 6 && memcmp(key.data, "count/", 6) == 0; rc = env_cursor_next(cur, &key, &value)) {
		snprintf(name, sizeof(name), "%.*s", (int)(key.len - 6 < 60 ? key.len - 6 : 60), (const char *)key.data + 6);
		enum cli_alarm kind;
		enum text_id sentence = cli_alarm_sentence(name, &kind);
		if (value.len != 8 || get_u64be(value.data) == 0 || kind == CLI_ALARM_JUDGED)
			continue;
		/* One restore counts twice, if there was anything to lose by it. */
		if (strcmp(name, "cursor-lost") == 0 && meta_u64(txn, "count/generation"))
			continue;
		if (sentence != TEXT_NONE)
			say(e, name, kind != CLI_ALARM_BAD, sentence);
		else
			say(e, "dropped", true, TEXT_DOC_DROPPED, name, (unsigned long long)get_u64be(value.data));
	}
	env_cursor_free(cur);
	(void)c;
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

int cmd_doctor(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_HELP_DOCTOR};
	struct cli_args args;
	struct exam e = {.c = c};
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open(c);
	if (rc != RK_OK)
		return rc;
	e.checks = c->json ? json_array() : NULL;
	check_files(&e);
	check_lock(&e);
	check_broker(&e);
	if (client_state(c->client) == CLIENT_JOINED)
		rc = show_read(c, check_dates, &e);
	if (rc == RK_OK && client_state(c->client) == CLIENT_JOINED)
		rc = show_read(c, check_log, &e);
	if (rc == RK_OK)
		rc = show_read(c, check_uploads, &e);
	if (rc == RK_OK)
		rc = show_read(c, check_backup, &e);
	if (rc == RK_OK)
		rc = show_read(c, check_store, &e);
	if (c->json) {
		json_t *j = json_object();
		out_set_bool(j, "ok", e.bad == 0);
		json_object_set_new(j, "checks", e.checks);
		int printed = out_json(j);
		rc = rc == RK_OK ? printed : rc;
	}
	if (rc != RK_OK || !e.bad)
		return rc;
	c->reported = true;
	if (!c->json)
		out_warn(c, e.bad == 1 ? TEXT_DOC_BAD_ONE : TEXT_DOC_BAD, e.bad);
	return RK_EIO;
}
