/* secretariat officer request, add, list, rotate, remove: who may act for the secretariat. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cmd_key.h"
#include "client/cli/out.h"
#include "client/cli/show.h"
#include "client/key_change.h"
#include "client/officer.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define ARENA_BYTES ((size_t)1024 * 1024)

/* ---- request */

/* A home that exists, or an empty one for a person who has none yet. */
static int open_any(struct cli *c)
{
	char path[4300];
	snprintf(path, sizeof(path), "%s/store", c->home);
	return access(path, F_OK) == 0 || access(c->home, F_OK) == 0 ? cli_open(c) : cli_create_home(c);
}

static int print_request(struct cli *c, const uint8_t pk[32])
{
	char request[OFFICER_TEXT_CHARS], fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	int rc = officer_text(request, pk);
	if (rc != RK_OK)
		return rc;
	ids_org_fingerprint(fingerprint, pk);
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "request", request);
		out_set_text(j, "fingerprint", fingerprint);
		return out_json(j);
	}
	out_field(c, TEXT_F_REQUEST, request);
	out_field(c, TEXT_F_FINGERPRINT, fingerprint);
	out_say(c, TEXT_OFFICER_REQUEST_NEXT);
	return RK_OK;
}

static int officer_request(struct cli *c, int argc, char **argv)
{
	static const struct key_new defaults;
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_HELP_OFFICER};
	struct cli_args args;
	uint8_t pk[32];
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc != RK_OK || (rc = open_any(c)) != RK_OK)
		return rc;
	rc = key_change_officer(c->client, &defaults, pk);
	return rc == RK_OK ? print_request(c, pk) : cli_fail(c, rc, TEXT_CANNOT_ROTATE);
}

/* ---- charters */

struct charter_out {
	const char *path, *label;
	int fd;
};

static int open_root(struct cli *c, struct charter_out *o)
{
	int rc = cli_open_joined(c);
	if (rc == RK_OK && !keys_exists(c->client, KEY_ROOT))
		return cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_ROOT_KEY, TEXT_NO_ROOT_KEY);
	return rc == RK_OK ? key_open_out(c, o->path, &o->fd) : rc;
}

static int change_fails(struct cli *c, const char *label, const char *replaced, int rc)
{
	if (rc == RK_EEXISTS)
		return cli_refuse(c, rc, TEXT_HINT_OFFICER_LIST, TEXT_OFFICER_THERE, label);
	if (rc == RK_ENOTFOUND)
		return cli_refuse(c, rc, TEXT_HINT_OFFICER_LIST, TEXT_OFFICER_NOT_THERE, replaced);
	if (rc == RK_CONFLICT)
		return cli_refuse(c, rc, TEXT_HINT_OFFICER_LAST, TEXT_OFFICER_LAST);
	if (rc == RK_QUOTA)
		return cli_refuse(c, rc, TEXT_HINT_OFFICER_LIST, TEXT_OFFICER_FULL);
	return cli_fail(c, rc, TEXT_CANNOT_CHANGE_OFFICERS);
}

static int print_charter(struct cli *c, const struct charter_out *o, const struct renewal *r)
{
	char serial[24];
	if (c->json) {
		json_t *j = json_object();
		out_set_number(j, "serial", (int64_t)r->charter->serial);
		out_set_text(j, "officer", o->label);
		out_set_text(j, "log", r->log_origin);
		out_set_text(j, "charter", o->path);
		return out_json(j);
	}
	snprintf(serial, sizeof(serial), "%llu", (unsigned long long)r->charter->serial);
	out_field(c, TEXT_F_OFFICER, o->label);
	out_field(c, TEXT_F_CHARTER_SERIAL, serial);
	out_field(c, TEXT_F_CHARTER, o->path);
	out_say(c, TEXT_RENEW_NEXT, o->path);
	return RK_OK;
}

static int check_label(struct cli *c, const char *label)
{
	if (!*label || strlen(label) > OFFICER_LABEL_MAX || !strict_is_name(bytes_str(label)))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_NAME, TEXT_BAD_FIELD, "--label");
	return RK_OK;
}

/* The new charter into the file that is open for it; rc: what stands so far. */
static int add(struct cli *c, const struct charter_out *o, const uint8_t pk[32], const char *replaces)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct renewal renewal = {0};
	int rc = a ? officer_add(c->client, pk, o->label, replaces, a, &renewal) : RK_ENOMEM;
	if (rc != RK_OK)
		rc = change_fails(c, o->label, replaces, rc);
	rc = key_close_out(c, o->path, o->fd, renewal.file, rc);
	if (rc == RK_OK)
		rc = print_charter(c, o, &renewal);
	arena_free(a);
	return rc;
}

static int officer_add_verb(struct cli *c, int argc, char **argv)
{
	const char *replaces = NULL, *given = NULL;
	struct charter_out o = {.fd = -1};
	const struct cli_option options[] = {
		{"label", CLI_TEXT, &o.label, "NAME", TEXT_OPT_OFFICER_LABEL, true},
		{"out", CLI_TEXT, &o.path, "FILE", TEXT_OPT_OUT, true},
		{"replaces", CLI_TEXT, &replaces, "LABEL", TEXT_OPT_OFFICER_REPLACES, false},
		{"fingerprint", CLI_TEXT, &given, "F", TEXT_OPT_FINGERPRINT, false},
		{0},
	};
	const struct cli_usage usage = {options, "REQUEST", 1, 1, TEXT_HELP_OFFICER};
	char typed[128], expected[IDS_ORG_FINGERPRINT_CHARS];
	struct cli_args args;
	uint8_t pk[32];
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc != RK_OK || (rc = check_label(c, o.label)) != RK_OK)
		return rc;
	if (officer_parse(args.arg[0], pk) != RK_OK)
		return cli_refuse(c, RK_MALFORMED, TEXT_HINT_OFFICER_REQUEST, TEXT_BAD_OFFICER_REQUEST);
	if ((rc = key_heard(c, given, TEXT_OFFICER_ASK, o.label, typed)) != RK_OK)
		return rc;
	ids_org_fingerprint(expected, pk);
	if (!ids_fingerprint_matches(typed, expected))
		return cli_refuse(c, RK_EINTEGRITY, TEXT_HINT_OFFICER_REQUEST, TEXT_OFFICER_DIFFERS);
	return (rc = open_root(c, &o)) == RK_OK ? add(c, &o, pk, replaces) : rc;
}

static int officer_remove_verb(struct cli *c, int argc, char **argv)
{
	struct charter_out o = {.fd = -1};
	const struct cli_option options[] = {{"out", CLI_TEXT, &o.path, "FILE", TEXT_OPT_OUT, true}, {0}};
	const struct cli_usage usage = {options, "LABEL", 1, 1, TEXT_HELP_OFFICER};
	struct renewal renewal = {0};
	struct cli_args args;
	struct arena *a;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc != RK_OK)
		return rc;
	o.label = args.arg[0];
	if ((rc = open_root(c, &o)) != RK_OK)
		return rc;
	a = arena_new(ARENA_BYTES);
	rc = a ? officer_remove(c->client, o.label, a, &renewal) : RK_ENOMEM;
	if (rc != RK_OK)
		rc = change_fails(c, o.label, o.label, rc);
	rc = key_close_out(c, o.path, o.fd, renewal.file, rc);
	if (rc == RK_OK)
		rc = print_charter(c, &o, &renewal);
	arena_free(a);
	return rc;
}

/* ---- rotate: the officer of this home */

struct own_officer {
	uint8_t pk[32];
	char label[OFFICER_LABEL_MAX + 1];
};

static int find_own(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct own_officer *own = user;
	Rk__Charter *charter;
	int rc = book_charter(c->client, txn, a, &charter);
	for (size_t i = 0; rc == RK_OK && i < charter->n_secretariat_keys; i++)
		if (memcmp(charter->secretariat_keys[i]->pk.data, own->pk, 32) == 0 &&
		    officer_is_in_force(charter->secretariat_keys[i], client_now(c->client))) {
			snprintf(own->label, sizeof(own->label), "%s", charter->secretariat_keys[i]->label);
			return RK_OK;
		}
	return rc == RK_OK ? cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_OFFICER_LIST, TEXT_OFFICER_NOT_NAMED) : rc;
}

static int officer_rotate(struct cli *c, int argc, char **argv)
{
	static const struct key_new defaults;
	struct charter_out o = {.fd = -1};
	const struct cli_option options[] = {{"out", CLI_TEXT, &o.path, "FILE", TEXT_OPT_OUT, true}, {0}};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_OFFICER};
	struct own_officer own = {0};
	struct cli_args args;
	uint8_t next_pk[32];
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc != RK_OK || (rc = open_root(c, &o)) != RK_OK)
		return rc;
	if (!keys_exists(c->client, KEY_SECRETARIAT))
		rc = cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_SECRETARIAT, TEXT_NOT_SECRETARIAT);
	else if ((rc = keys_unlock(c->client, KEY_SECRETARIAT)) != RK_OK)
		rc = cli_fail(c, rc, TEXT_CANNOT_UNLOCK, text(TEXT_KEY_SECRETARIAT, c->lang));
	if (rc == RK_OK) {
		keys_sign_pk(c->client, KEY_SECRETARIAT, own.pk);
		rc = show_read(c, find_own, &own);
	}
	if (rc == RK_OK && (rc = key_change_officer(c->client, &defaults, next_pk)) != RK_OK)
		rc = cli_fail(c, rc, TEXT_CANNOT_ROTATE);
	o.label = own.label;
	return rc == RK_OK ? add(c, &o, next_pk, own.label) : key_close_out(c, o.path, o.fd, (struct bytes){0}, rc);
}

/* ---- list */

static int list_row(struct cli *c, struct out_table *table, const Rk__SecretariatKey *k)
{
	char fingerprint[IDS_ORG_FINGERPRINT_CHARS], day[OUT_TIME_CHARS];
	int64_t now = client_now(c->client);
	bool in_force = officer_is_in_force(k, now);
	ids_org_fingerprint(fingerprint, k->pk.data);
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "label", k->label);
		out_set_text(j, "fingerprint", fingerprint);
		out_set_time(j, "since", k->not_before);
		out_set_time(j, "until", k->not_after);
		out_set_bool(j, "in_force", in_force);
		return out_json(j);
	}
	out_table_row(table);
	out_table_cell(table, k->label);
	out_table_cell(table, fingerprint);
	out_table_cell(table, out_day(day, k->not_before));
	out_table_cell(table, out_day(day, k->not_after));
	out_table_cell(table, text(in_force ? TEXT_YES_WORD : k->not_after <= now ? TEXT_ENDED_WORD : TEXT_NO_WORD, c->lang));
	return RK_OK;
}

static int list_all(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	static const enum text_id headings[] = {TEXT_COL_OFFICER, TEXT_COL_FINGERPRINT, TEXT_COL_SINCE, TEXT_COL_UNTIL, TEXT_COL_IN_FORCE};
	struct out_table *table = NULL;
	Rk__Charter *charter;
	(void)user;
	int rc = book_charter(c->client, txn, a, &charter);
	if (rc != RK_OK)
		return rc;
	if (!c->json)
		table = out_table_new(c, 5, headings);
	for (size_t i = 0; i < charter->n_secretariat_keys && rc == RK_OK; i++)
		rc = list_row(c, table, charter->secretariat_keys[i]);
	out_table_end(table, TEXT_OFFICER_NONE);
	return rc;
}

static int officer_list(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_HELP_OFFICER};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc == RK_OK)
		rc = cli_refresh(c);
	return rc == RK_OK ? show_read(c, list_all, NULL) : rc;
}

/* ---- the verb of the verb */

int cmd_officer(struct cli *c, int argc, char **argv)
{
	static const struct {
		const char *name, *whole;
		int (*run)(struct cli *, int, char **);
	} verbs[] = {
		{"request", "officer request", officer_request}, {"add", "officer add", officer_add_verb},
		{"list", "officer list", officer_list}, {"rotate", "officer rotate", officer_rotate},
		{"remove", "officer remove", officer_remove_verb},
	};
	const struct cli_usage usage = {NULL, "request|add|list|rotate|remove", 0, 0, TEXT_HELP_OFFICER};
	struct cli_args args;
	if (argc < 2)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_OFFICER_WHAT);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, argv[1]) == 0) {
			c->verb = verbs[i].whole;
			return verbs[i].run(c, argc - 1, argv + 1);
		}
	if (argv[1][0] == '-')
		return cli_parse(c, &usage, argc, argv, &args) == CLI_HELP ? CLI_HELP
			: c->reported ? RK_EUSAGE : cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_OFFICER_WHAT);
	return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_OFFICER_UNKNOWN_VERB, argv[1]);
}
