/* exchange: founding one in a new home, and its later charters; each writes the file that the operator adopts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/out.h"
#include "client/days.h"
#include "client/exchange.h"
#include "client/log.h"
#include "client/renew.h"
#include "proto/ids.h"
#include "proto/strict.h"

struct create {
	const char *name, *card, *out, *zone, *org_name, *kind, *reading, *country, *region;
	bool no_passphrase;
};

static int check(struct cli *c, const struct create *o, struct exchange_form *form)
{
	const char *field;
	if (strlen(o->name) > 200 || !*o->name || !strict_is_name(bytes_str(o->name)))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_NAME, TEXT_BAD_FIELD, "NAME");
	if (invite_card_parse(&form->card, o->card) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_CARD, TEXT_BAD_CARD);
	if (!days_knows_zone(o->zone))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_ZONE_NAME, TEXT_BAD_ZONE, o->zone);
	form->name = o->name;
	form->time_zone = o->zone;
	form->org = (struct own_form){.name = o->org_name ? o->org_name : o->name, .lang = c->lang == LANG_JA ? "ja" : "en",
				      .reading = o->reading, .kind = cli_org_kind(o->kind), .country = o->country,
				      .region = o->region, .corporate_number = "", .device_label = "secretariat"};
	if (own_check_form(&form->org, &field) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_NAME, TEXT_BAD_OPTION, field);
	return RK_OK;
}

/* Opened before anything is made, so that a wrong path costs no keys. */
static int open_out(struct cli *c, const char *path, int *fd)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (*fd >= 0)
		return RK_OK;
	if (errno == EEXIST)
		return cli_refuse(c, RK_EEXISTS, TEXT_HINT_OTHER_FILE, TEXT_OUT_EXISTS, path);
	return cli_fail(c, RK_EIO, TEXT_CANNOT_WRITE, path);
}

static int write_file(int fd, struct bytes file)
{
	while (file.len) {
		ssize_t n = write(fd, file.data, file.len);
		if (n <= 0)
			return errno == ENOSPC ? RK_EDISKFULL : RK_EIO;
		file = bytes_make(file.data + n, file.len - (size_t)n);
	}
	return fsync(fd) == 0 ? RK_OK : RK_EIO;
}

static int print_result(struct cli *c, const struct create *o, const uint8_t exchange_id[32], const uint8_t org_id[16])
{
	char fingerprint[IDS_ROOT_FINGERPRINT_CHARS], hex[OUT_ID_CHARS];
	ids_root_fingerprint(fingerprint, exchange_id);
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "name", o->name);
		out_set_id(j, "exchange_id", bytes_make(exchange_id, 32));
		out_set_text(j, "root_fingerprint", fingerprint);
		out_set_id(j, "org_id", bytes_make(org_id, 16));
		out_set_text(j, "charter", o->out);
		return out_json(j);
	}
	out_field(c, TEXT_F_EXCHANGE, o->name);
	out_field(c, TEXT_F_ROOT_FINGERPRINT, fingerprint);
	out_field(c, TEXT_F_ORG_ID, out_hex(hex, bytes_make(org_id, 16)));
	out_field(c, TEXT_F_CHARTER, o->out);
	out_say(c, TEXT_EXCHANGE_NEXT, o->out);
	return RK_OK;
}

static int create(struct cli *c, const struct create *o, const struct exchange_form *form)
{
	uint8_t exchange_id[32], org_id[16];
	struct bytes file;
	int fd;
	int rc = open_out(c, o->out, &fd);
	if (rc != RK_OK)
		return rc;
	struct arena *a = arena_new(1024 * 1024);
	struct key_new new = {.no_passphrase = o->no_passphrase};
	rc = a ? cli_create_home(c) : RK_ENOMEM;
	bool made = rc == RK_OK;
	if (rc == RK_OK)
		rc = exchange_create(c->client, form, &new, a, &file, exchange_id, org_id);
	if (rc == RK_OK)
		rc = write_file(fd, file);
	close(fd);
	arena_free(a);
	if (rc == RK_OK)
		return print_result(c, o, exchange_id, org_id);
	/* Nothing half-made stays behind. */
	(void)unlink(o->out);
	if (made)
		cli_discard_home(c);
	return cli_fail(c, rc, TEXT_CANNOT_CREATE_EXCHANGE, o->name);
}

int cmd_exchange_create(struct cli *c, int argc, char **argv)
{
	struct create o = {.zone = "Asia/Tokyo", .kind = "coordinator", .reading = "", .country = "JP", .region = ""};
	const struct cli_option options[] = {
		{"broker", CLI_TEXT, &o.card, "CARD", TEXT_OPT_BROKER, true},
		{"out", CLI_TEXT, &o.out, "FILE", TEXT_OPT_OUT, true},
		{"timezone", CLI_TEXT, &o.zone, "ZONE", TEXT_OPT_ZONE, false},
		{"org-name", CLI_TEXT, &o.org_name, "NAME", TEXT_OPT_ORG_NAME, false},
		{"kind", CLI_TEXT, &o.kind, "KIND", TEXT_OPT_KIND, false},
		{"reading", CLI_TEXT, &o.reading, "TEXT", TEXT_OPT_READING, false},
		{"country", CLI_TEXT, &o.country, "CC", TEXT_OPT_COUNTRY, false},
		{"region", CLI_TEXT, &o.region, "REGION", TEXT_OPT_REGION, false},
		{"no-passphrase", CLI_FLAG, &o.no_passphrase, NULL, TEXT_OPT_NO_PASSPHRASE, false},
		{0},
	};
	const struct cli_usage usage = {options, "NAME", 1, 1, TEXT_HELP_EXCHANGE_CREATE};
	struct exchange_form form = {0};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK) {
		o.name = args.arg[0];
		rc = check(c, &o, &form);
	}
	return rc == RK_OK ? create(c, &o, &form) : rc;
}

/* ---- renew */
struct renew {
	const char *out, *last_checkpoint;
	bool new_log;
};

/* One byte more than a note may have is read, so that too long is not taken for whole. */
static int read_checkpoint(struct cli *c, const char *path, uint8_t data[NOTE_READ_MAX_BYTES + 1], struct bytes *out)
{
	FILE *f = fopen(path, "re");
	if (!f && errno == ENOENT)
		return cli_refuse(c, RK_ENOTFOUND, TEXT_HINT_FILE, TEXT_FILE_MISSING, path);
	if (!f)
		return cli_refuse(c, RK_EIO, TEXT_HINT_FILE, TEXT_CANNOT_OPEN_FILE, path, strerror(errno));
	*out = bytes_make(data, fread(data, 1, NOTE_READ_MAX_BYTES + 1, f));
	bool bad = ferror(f) || out->len == 0;
	fclose(f);
	return bad ? cli_refuse(c, RK_MALFORMED, TEXT_HINT_NEW_LOG, TEXT_BAD_CHECKPOINT, path) : RK_OK;
}

/* The newest that this home has verified itself. */
static int own_checkpoint(struct cli *c, struct arena *a, struct bytes *out)
{
	struct log_head head;
	struct txn *txn;
	int rc = env_begin(client_env(c->client), false, &txn);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_RENEW_CHARTER);
	rc = log_newest(c->client, txn, a, &head);
	env_abort(txn);
	if (rc == RK_ENOTFOUND)
		return cli_refuse(c, rc, TEXT_HINT_NEW_LOG, TEXT_NO_CHECKPOINT);
	*out = head.note;
	return rc == RK_OK ? RK_OK : cli_fail(c, rc, TEXT_CANNOT_RENEW_CHARTER);
}

static int print_renewal(struct cli *c, const struct renew *o, const struct renewal *r)
{
	char fingerprint[IDS_ROOT_FINGERPRINT_CHARS], until[OUT_TIME_CHARS], serial[24];
	ids_root_fingerprint(fingerprint, r->charter->exchange_id.data);
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "name", r->charter->name);
		out_set_id(j, "exchange_id", bytes_of(r->charter->exchange_id));
		out_set_text(j, "root_fingerprint", fingerprint);
		out_set_number(j, "serial", (int64_t)r->charter->serial);
		out_set_text(j, "log", r->log_origin);
		out_set_time(j, "until", r->charter->not_after);
		out_set_text(j, "charter", o->out);
		return out_json(j);
	}
	snprintf(serial, sizeof(serial), "%llu", (unsigned long long)r->charter->serial);
	out_field(c, TEXT_F_EXCHANGE, r->charter->name);
	out_field(c, TEXT_F_ROOT_FINGERPRINT, fingerprint);
	out_field(c, TEXT_F_CHARTER_SERIAL, serial);
	out_field(c, TEXT_F_LOG, r->log_origin);
	out_field(c, TEXT_F_CHARTER_UNTIL, out_day(until, r->charter->not_after));
	out_field(c, TEXT_F_CHARTER, o->out);
	out_say(c, TEXT_RENEW_NEXT, o->out);
	return RK_OK;
}

static int renew_fails(struct cli *c, const struct renew *o, int rc)
{
	if (o->new_log && (rc == RK_MALFORMED || rc == RK_BAD_SIGNATURE || rc == RK_TOO_LARGE))
		return cli_refuse(c, rc, TEXT_HINT_NEW_LOG, TEXT_BAD_CHECKPOINT, o->last_checkpoint ? o->last_checkpoint : c->home);
	return cli_fail(c, rc, TEXT_CANNOT_RENEW_CHARTER);
}

static int renew(struct cli *c, const struct renew *o)
{
	uint8_t note[NOTE_READ_MAX_BYTES + 1];
	struct bytes last = {NULL, 0};
	struct renewal renewal;
	int fd;
	struct arena *a = arena_new(1024 * 1024);
	int rc = a ? cli_open_joined(c) : RK_ENOMEM;
	if (rc == RK_OK && !keys_exists(c->client, KEY_ROOT))
		rc = cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_ROOT_KEY, TEXT_NO_ROOT_KEY);
	if (rc == RK_OK && o->new_log)
		rc = o->last_checkpoint ? read_checkpoint(c, o->last_checkpoint, note, &last) : own_checkpoint(c, a, &last);
	if (rc == RK_OK)
		rc = open_out(c, o->out, &fd);
	if (rc != RK_OK) {
		arena_free(a);
		return rc;
	}
	rc = renew_charter(c->client, last, a, &renewal);
	if (rc == RK_OK)
		rc = write_file(fd, renewal.file);
	close(fd);
	if (rc == RK_OK) {
		rc = print_renewal(c, o, &renewal);
	} else {
		(void)unlink(o->out);
		rc = renew_fails(c, o, rc);
	}
	arena_free(a);
	return rc;
}

int cmd_exchange_renew(struct cli *c, int argc, char **argv)
{
	struct renew o = {0};
	const struct cli_option options[] = {
		{"out", CLI_TEXT, &o.out, "FILE", TEXT_OPT_OUT, true},
		{"new-log", CLI_FLAG, &o.new_log, NULL, TEXT_OPT_NEW_LOG, false},
		{"last-checkpoint", CLI_TEXT, &o.last_checkpoint, "FILE", TEXT_OPT_LAST_CHECKPOINT, false},
		{0},
	};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_EXCHANGE_RENEW};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK && o.last_checkpoint && !o.new_log)
		rc = cli_refuse(c, RK_EUSAGE, TEXT_HINT_NEW_LOG, TEXT_NEW_LOG_PAIR);
	return rc == RK_OK ? renew(c, &o) : rc;
}
