/* cli: what the verbs share: the home, errors, waiting for an answer, questions, ids and names. */
#include "client/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "client/cli/out.h"
#include "client/days.h"
#include "client/kx.h"
#include "client/secretariat_ahead.h"
#include "proto/ids.h"
#include "proto/keyfile.h"

#define REFRESH_MS 5000

/* ---- errors */

static char *format(enum lang lang, enum text_id id, va_list ap)
{
	char *out = NULL;
	if (vasprintf(&out, text(id, lang), ap) < 0)
		return NULL;
	char *clean = out_clean(out, false);
	free(out);
	return clean;
}

int cli_fail(struct cli *c, int code, enum text_id what, ...)
{
	if (c->reported)
		return code;
	c->reported = true;
	va_list ap;
	va_start(ap, what);
	char *subject = format(c->lang, what, ap), *message = NULL;
	va_end(ap);
	/* A member that is let in no more was removed; an invite, which the bare refusal advises, is not what it needs. */
	int why = code == RK_NOT_ADMITTED && c->client && client_state(c->client) == CLIENT_JOINED ? RK_REVOKED : code;
	if (code == CLI_PARTIAL)
		out_error(c, code, subject ? subject : "", "");
	else if (asprintf(&message, text(TEXT_WHAT_WHY, c->lang), subject ? subject : "", errcode_sentence(why, c->lang)) >= 0)
		out_error(c, code, message, errcode_hint(why, c->lang));
	free(subject);
	free(message);
	return code;
}

int cli_refuse(struct cli *c, int code, enum text_id hint, enum text_id what, ...)
{
	if (c->reported)
		return code;
	c->reported = true;
	va_list ap;
	va_start(ap, what);
	char *message = format(c->lang, what, ap);
	va_end(ap);
	out_error(c, code, message ? message : "", text(hint, c->lang));
	free(message);
	return code;
}

/* ---- the home */

static void log_line(void *user, const char *line)
{
	struct cli *c = user;
	if (c->verbose)
		fprintf(stderr, "%s\n", line);
}

struct client_options cli_client_options(struct cli *c)
{
	return (struct client_options){.home = c->home, .passphrase = cli_passphrase, .user = c, .log = log_line};
}

/* Dates are shown and read in the exchange's zone from here on. */
static void use_zone(struct cli *c)
{
	struct arena *a = arena_new(1024 * 1024);
	struct txn *txn = NULL;
	Rk__Charter *charter;
	if (a && env_begin(client_env(c->client), false, &txn) == RK_OK) {
		if (book_charter(c->client, txn, a, &charter) == RK_OK) {
			out_set_zone(charter->time_zone);
			if (!days_knows_zone(charter->time_zone))
				out_warn(c, TEXT_ZONE_UNKNOWN, charter->time_zone);
		}
		env_abort(txn);
	}
	arena_free(a);
}

int cli_open(struct cli *c)
{
	if (c->client)
		return RK_OK;
	struct client_options options = cli_client_options(c);
	int rc = client_open(&options, &c->client);
	if (rc == RK_ENOTJOINED)
		return cli_refuse(c, rc, TEXT_HINT_NO_HOME, TEXT_NO_HOME, c->home);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_OPEN_HOME, c->home);
	use_zone(c);
	return RK_OK;
}

bool cli_is_device_request(struct cli *c)
{
	struct txn *txn;
	struct bytes request;
	if (env_begin(client_env(c->client), false, &txn) != RK_OK)
		return false;
	bool is = meta_get(txn, META_DEVICE_REQUEST, &request) == RK_OK;
	env_abort(txn);
	return is;
}

int cli_open_joined(struct cli *c)
{
	int rc = cli_open(c);
	if (rc != RK_OK)
		return rc;
	if (client_state(c->client) == CLIENT_PENDING && cli_is_device_request(c))
		return cli_refuse(c, RK_ENOTJOINED, TEXT_HINT_DEVICE_PENDING, TEXT_DEVICE_PENDING);
	if (client_state(c->client) == CLIENT_PENDING)
		return cli_refuse(c, RK_ENOTJOINED, TEXT_HINT_PENDING, TEXT_PENDING_YET);
	if (client_state(c->client) != CLIENT_JOINED)
		return cli_refuse(c, RK_ENOTJOINED, TEXT_HINT_NO_HOME, TEXT_NO_HOME, c->home);
	return RK_OK;
}

int cli_refresh(struct cli *c)
{
	const struct link_options options = {.timeout_ms = REFRESH_MS, .stop = &c->stop, .until_synced = true,
	                                    .without_bulk = true};
	int rc = link_run(c->client, &options);
	if (c->reported)
		return rc;
	switch (rc) {
	case RK_EINTERRUPTED: case RK_EPASSPHRASE: case RK_EKEYFILE: case RK_ENOMEM: case RK_ESTORE: case RK_EDISKFULL:
		return cli_fail(c, rc, TEXT_CANNOT_SYNC);
	case RK_OK:
		return RK_OK;
	default:
		if (!c->json)
			out_warn(c, TEXT_NOT_REFRESHED, errcode_sentence(rc, c->lang));
		return RK_OK;
	}
}

/* ---- what the home has noticed */

static const struct { const char *counter; enum text_id sentence; enum cli_alarm kind; } alarms[] = {
	{"restored", TEXT_ALARM_RESTORED, CLI_ALARM_WAS},
	{"generation", TEXT_ALARM_GENERATION, CLI_ALARM_WAS},
	{"cursor-lost", TEXT_ALARM_GENERATION, CLI_ALARM_WAS},
	{"two-objects", TEXT_ALARM_TWO_OBJECTS, CLI_ALARM_BAD},
	{"log-fork", TEXT_ALARM_LOG_FORK, CLI_ALARM_JUDGED},
	{"log-rollback", TEXT_ALARM_LOG_ROLLBACK, CLI_ALARM_JUDGED},
	{"log-leaf", TEXT_ALARM_LOG_LEAF, CLI_ALARM_JUDGED},
	{"log-unproven", TEXT_ALARM_LOG_UNPROVEN, CLI_ALARM_JUDGED},
	{"log-cut", TEXT_ALARM_LOG_CUT, CLI_ALARM_WAS},
	{"log-unwitnessed", TEXT_ALARM_LOG_UNWITNESSED, CLI_ALARM_JUDGED},
	{"seen-unproven", TEXT_ALARM_SEEN_UNPROVEN, CLI_ALARM_WAS},
	{"read-only", TEXT_ALARM_READ_ONLY, CLI_ALARM_JUDGED},
	{KX_ALERT, TEXT_ALARM_KX_LATE, CLI_ALARM_WAS},
	{AHEAD_ALERT, TEXT_ALARM_AHEAD_VOID, CLI_ALARM_WAS},
};
#define ALARMS (sizeof(alarms) / sizeof(alarms[0]))

enum text_id cli_alarm_sentence(const char *counter, enum cli_alarm *kind)
{
	*kind = CLI_ALARM_WAS;
	for (size_t i = 0; i < ALARMS; i++)
		if (strcmp(alarms[i].counter, counter) == 0) {
			*kind = alarms[i].kind;
			return alarms[i].sentence;
		}
	return TEXT_NONE;
}

/* Bit i: alarm i has counted more than was told.  With tell: remembers that it is told now. */
static unsigned untold(struct txn *txn, bool tell)
{
	unsigned mask = 0;
	for (size_t i = 0; i < ALARMS; i++) {
		char count[64], told[64];
		snprintf(count, sizeof(count), "count/%s", alarms[i].counter);
		snprintf(told, sizeof(told), "told/%s", alarms[i].counter);
		if (meta_u64(txn, count) <= meta_u64(txn, told))
			continue;
		mask |= 1u << i;
		if (tell)
			(void)meta_put_u64(txn, told, meta_u64(txn, count));
	}
	return mask;
}

void cli_tell_alarms(struct cli *c)
{
	struct txn *txn;
	if (!c->client || env_begin(client_env(c->client), false, &txn) != RK_OK)
		return;
	unsigned mask = untold(txn, false);
	env_abort(txn);
	if (!mask || env_begin(client_env(c->client), true, &txn) != RK_OK)
		return;
	mask = untold(txn, true);
	if (env_commit(txn) != RK_OK)
		return;
	for (size_t i = 0; i < ALARMS; i++)
		if (mask & 1u << i && !(i > 0 && mask & 1u << (i - 1) && alarms[i - 1].sentence == alarms[i].sentence))
			out_warn(c, alarms[i].sentence);
}

/* ---- a new home */

bool cli_device_key_is_open(struct cli *c)
{
	char path[4200];
	uint8_t file[512];
	snprintf(path, sizeof(path), "%s/device.key", c->home);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t len = fread(file, 1, sizeof(file), f);
	fclose(f);
	return keyfile_kdf_of(bytes_make(file, len)) == KEYFILE_NONE;
}

static const enum key_role all_roles[] = {KEY_DEVICE, KEY_ORG, KEY_SECRETARIAT, KEY_ROOT, KEY_WITNESS};

int cli_create_home(struct cli *c)
{
	struct client_options options = cli_client_options(c);
	int rc = client_create(&options, &c->client);
	for (size_t i = 0; rc == RK_OK && i < sizeof(all_roles) / sizeof(all_roles[0]); i++)
		if (keys_exists(c->client, all_roles[i]))
			rc = RK_EEXISTS;
	if (rc == RK_EEXISTS)
		return cli_refuse(c, rc, TEXT_HINT_HOME_EXISTS, TEXT_HOME_EXISTS, c->home);
	return rc == RK_OK ? RK_OK : cli_fail(c, rc, TEXT_CANNOT_MAKE_HOME, c->home);
}

void cli_discard_home(struct cli *c)
{
	static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "device.key", "kx.key", "org.key", "secretariat.key",
					    "root.key", "witness.key", "kx.lock", "link.lock", "agent.lock"};
	char path[4200];
	client_close(c->client);
	c->client = NULL;
	/* What is not there, or is not ours to remove, stays: the home is unusable either way and says so when opened. */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", c->home, names[i]);
		(void)unlink(path);
	}
	snprintf(path, sizeof(path), "%s/store", c->home);
	(void)rmdir(path);
	(void)rmdir(c->home);
}

int cli_finish(struct cli *c, uint64_t item, enum text_id what, struct outcome *out)
{
	struct outcome own;
	int rc = link_finish(c->client, item, &c->stop, out ? out : &own);
	return rc == RK_OK ? rc : cli_fail_finish(c, rc, what);
}

int cli_fail_finish(struct cli *c, int rc, enum text_id what)
{
	/* Unanswered: it stays in the outbox.  Whoever does not know gives it a second time. */
	if (rc == RK_EUNREACHABLE || rc == RK_ETIMEOUT || rc == RK_EINTERRUPTED || rc == RK_MOVING || rc == RK_READ_ONLY)
		return cli_refuse(c, rc, TEXT_HINT_QUEUED, TEXT_WHAT_WHY, text(what, c->lang), errcode_sentence(rc, c->lang));
	return cli_fail(c, rc, what);
}

/* ---- questions */

bool cli_ask(struct cli *c, char *buf, size_t len, enum text_id question, ...)
{
	if (c->no_input || !isatty(STDIN_FILENO) || c->stop)
		return false;
	va_list ap;
	va_start(ap, question);
	vfprintf(stderr, text(question, c->lang), ap);
	va_end(ap);
	fputc(' ', stderr);
	if (!fgets(buf, (int)len, stdin)) {
		/* Ctrl-C and Ctrl-D alike: whoever does not answer wants out. */
		fputc('\n', stderr);
		c->stop = true;
		return false;
	}
	buf[strcspn(buf, "\r\n")] = '\0';
	return true;
}

static int confirm(struct cli *c, enum text_id nobody, const char *asked)
{
	char answer[16];
	bool answered = cli_ask(c, answer, sizeof(answer), TEXT_YES_NO, asked);
	if (answered && (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0 || strcmp(answer, "はい") == 0))
		return RK_OK;
	if (answered || c->stop)
		return cli_refuse(c, RK_EINTERRUPTED, TEXT_NONE, TEXT_NOT_CONFIRMED);
	return cli_refuse(c, RK_EUSAGE, nobody, TEXT_NOT_CONFIRMED);
}

int cli_confirm(struct cli *c, enum text_id question, ...)
{
	char asked[1024];
	va_list ap;

	va_start(ap, question);
	vsnprintf(asked, sizeof(asked), text(question, c->lang), ap);
	va_end(ap);
	return confirm(c, TEXT_HINT_YES, asked);
}

int cli_confirm_or(struct cli *c, enum text_id nobody, enum text_id question)
{
	return confirm(c, nobody, text(question, c->lang));
}

/* ---- ids */

/* True if the first `digits` hex digits of key are `hex`. */
static bool has_prefix(const uint8_t *key, const char *hex, size_t digits)
{
	char shown[OUT_ID_CHARS];
	ids_hex(shown, bytes_make(key, (digits + 1) / 2));
	return strncasecmp(shown, hex, digits) == 0;
}

static int seek_id(struct env_cursor *cur, const char *hex, uint8_t *id, size_t id_len)
{
	uint8_t from[32];
	char padded[OUT_ID_CHARS];
	size_t digits = strlen(hex);
	snprintf(padded, sizeof(padded), "%s%.*s", hex, (int)(2 * id_len - digits),
		 "0000000000000000000000000000000000000000000000000000000000000000");
	if (!ids_from_hex(from, id_len, padded))
		return RK_EUSAGE;
	struct bytes key, value;
	int rc = env_cursor_seek(cur, bytes_make(from, id_len), &key, &value);
	if (rc != RK_OK || key.len < id_len || !has_prefix(key.data, hex, digits))
		return rc == RK_OK ? RK_ENOTFOUND : rc;
	memcpy(id, key.data, id_len);
	rc = env_cursor_next(cur, &key, &value);
	if (rc == RK_OK && digits < 2 * id_len && has_prefix(key.data, hex, digits) && memcmp(key.data, id, id_len) != 0)
		return RK_CONFLICT;
	return rc == RK_OK || rc == RK_ENOTFOUND ? RK_OK : rc;
}

int cli_find_id(struct txn *txn, unsigned table, const char *hex, uint8_t *id, size_t id_len)
{
	size_t digits = strlen(hex);
	if (digits < 4 || digits > 2 * id_len || id_len > 32 || strspn(hex, "0123456789abcdefABCDEF") != digits)
		return RK_EUSAGE;
	struct env_cursor *cur;
	int rc = env_cursor_open(txn, table, &cur);
	if (rc == RK_OK) {
		rc = seek_id(cur, hex, id, id_len);
		env_cursor_free(cur);
	}
	return rc;
}
