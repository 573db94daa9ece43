/* device add, desk, remove, renew: the verbs that sign the next list with the organisation's key. */
#include "client/cli/cmd_device.h"

#include <stdio.h>
#include <string.h>

#include "proto/strict.h"

#define REQUEST_FILE_MAX 4096

/* A change on its way through a verb. */
struct changing {
	struct device_change change;
	uint8_t device_id[16], oh[32];
	char called[DEVICE_LABEL_MAX + 1];
	struct outcome outcome;
	uint64_t item;
};

/* The home caught up, and the organisation's key open: without it the verb ends here, in clear words. */
static int open_admin(struct cli *c)
{
	int r = cli_open_joined(c);

	if (r != RK_OK || (r = shared_org_key(c)) != RK_OK)
		return r;
	r = link_sync(c->client, &c->stop);
	return r == RK_OK ? RK_OK : cli_fail(c, r, TEXT_CANNOT_SYNC);
}

static int report_change(struct cli *c, const struct changing *g, int r)
{
	switch (r) {
	case RK_BUSY:
		return cli_refuse(c, r, TEXT_HINT_SYNC, TEXT_DEVICES_BUSY);
	case RK_EUSAGE:
		return cli_refuse(c, r, TEXT_HINT_HELP, TEXT_DESK_BAD);
	case RK_NOT_PERMITTED:
		return g->change.kind == DEVICE_ADD ? cli_refuse(c, r, TEXT_HINT_REQUEST, TEXT_DEVICE_OF_OTHERS)
		                                    : cli_refuse(c, r, TEXT_HINT_DEVICE_SELF, TEXT_DEVICE_SELF);
	case RK_WRONG_EXCHANGE:
		return cli_refuse(c, r, TEXT_HINT_REQUEST, TEXT_DEVICE_OF_EXCHANGE);
	case RK_EEXISTS:
		return cli_refuse(c, r, TEXT_HINT_DEVICE_LIST, TEXT_DEVICE_IS_LISTED);
	case RK_BAD_SIGNATURE:
	case RK_MALFORMED:
		return cli_refuse(c, RK_BAD_SIGNATURE, TEXT_HINT_REQUEST, TEXT_DEVICE_FORGED);
	case RK_TOO_LARGE:
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_DEVICE_LIST, g->change.desk_count > TRUST_DESKS_MAX ? TEXT_DESK_TOO_MANY
		                                                                                             : TEXT_DEVICE_FULL);
	case RK_CONFLICT:
		return cli_refuse(c, r, TEXT_HINT_DEVICE_LIST, TEXT_DEVICE_RETIRED_ALREADY, g->called);
	default:
		return cli_fail(c, r, TEXT_CANNOT_CHANGE_DEVICES);
	}
}

/* Signs, queues, and waits for the answer. */
static int run_change(struct cli *c, struct changing *g)
{
	int r = device_change(c->client, &g->change, g->oh, &g->item);

	if (r != RK_OK)
		return report_change(c, g, r);
	r = link_finish(c->client, g->item, &c->stop, &g->outcome);
	if (r == RK_CONFLICT && g->change.kind == DEVICE_ADD)
		return cli_refuse(c, r, TEXT_HINT_DEVICE_GONE, TEXT_DEVICE_GONE, g->called);
	return r == RK_OK ? RK_OK : cli_fail_finish(c, r, TEXT_CANNOT_CHANGE_DEVICES);
}

/* How the device stands in the list that is now in force. */
static int print_device(struct cli *c, const struct changing *g, const char *state, enum text_id sentence)
{
	Rk__Device *d;
	struct shared s;
	const char *desks;
	json_t *o;
	int r = shared_begin(c, false, &s);

	if (r != RK_OK)
		return r;
	if (book_device(c->client, s.t, g->device_id, client_org_id(c->client), s.a, &d) != RK_OK)
		d = NULL;
	if (c->json) {
		o = json_object();
		out_set_id(o, "device_id", BYTES_OF(g->device_id));
		out_set_text(o, "label", g->called);
		out_set_text(o, "status", state);
		json_object_set_new(o, "desks", d != NULL ? device_desks_json(&s, client_org_id(c->client), d) : json_array());
		out_set_number(o, "log_index", (int64_t)g->outcome.log_index);
		r = out_json(o);
	} else {
		desks = d != NULL ? device_desks_text(&s, client_org_id(c->client), d) : "";
		out_line(c, sentence, g->called, desks[0] != '\0' ? desks : text(TEXT_DESK_NONE, c->lang));
	}
	return shared_end(&s, r);
}

/* ---- add */

/* The text itself, or a file that begins with it. */
static int read_request(struct cli *c, const char *given, struct device_request *q)
{
	char text[REQUEST_FILE_MAX];
	size_t len;
	FILE *f;

	if (strncmp(given, "rk-dev:", 7) == 0) {
		snprintf(text, sizeof(text), "%s", given);
	} else {
		if ((f = fopen(given, "re")) == NULL)
			return cli_refuse(c, RK_EUSAGE, TEXT_HINT_REQUEST, TEXT_BAD_REQUEST, given);
		len = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
		text[len] = '\0';
		text[strcspn(text, " \t\r\n")] = '\0';
	}
	if (device_request_parse(q, text) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_REQUEST, TEXT_BAD_REQUEST, given);
	return RK_OK;
}

/* What stands on the other screen: read from there, or seen to be the same. */
static int compare(struct cli *c, const struct changing *g, const char *fingerprint, const char *given)
{
	if (given == NULL) {
		out_say(c, TEXT_DEVICE_ASK, g->called, fingerprint);
		return cli_confirm_or(c, TEXT_HINT_DEVICE_FINGERPRINT, TEXT_DEVICE_ASK_SAME);
	}
	if (!ids_fingerprint_matches(given, fingerprint))
		return cli_refuse(c, RK_EINTEGRITY, TEXT_HINT_DEVICE_DIFFERS, TEXT_DEVICE_DIFFERS);
	return RK_OK;
}

int cmd_device_add(struct cli *c, int argc, char **argv)
{
	const char *fingerprint = NULL;
	struct cli_list desks = {.count = 0};
	const struct cli_option options[] = {
		{"desk", CLI_LIST, &desks, "NAME", TEXT_OPT_DESK, false},
		{"fingerprint", CLI_TEXT, &fingerprint, "F", TEXT_OPT_DEVICE_FINGERPRINT, false},
		{0},
	};
	const struct cli_usage usage = {options, "REQUEST", 1, 1, TEXT_HELP_DEVICE_ADD};
	char expected[IDS_ORG_FINGERPRINT_CHARS];
	struct device_request q;
	struct changing g = {.change = {.kind = DEVICE_ADD, .request = &q, .desks = desks.item}};
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = read_request(c, args.arg[0], &q)) != RK_OK)
		return r;
	g.change.desk_count = desks.count;
	ids_device(g.device_id, q.sign_pk);
	ids_device_fingerprint(expected, q.sign_pk, q.curve_pk);
	if (q.label[0] != '\0')
		memcpy(g.called, q.label, sizeof(g.called));
	else
		snprintf(g.called, sizeof(g.called), "%.8s", expected);
	if ((r = open_admin(c)) != RK_OK || (r = compare(c, &g, expected, fingerprint)) != RK_OK || (r = run_change(c, &g)) != RK_OK)
		return r;
	return print_device(c, &g, "listed", TEXT_DEVICE_ADDED);
}

/* ---- one that is listed */

static int find(struct cli *c, struct changing *g, const char *given)
{
	Rk__Device *d;
	struct shared s;
	int r = shared_begin(c, false, &s);

	if (r != RK_OK)
		return r;
	r = device_find(c->client, s.t, given, s.a, &d);
	if (r == RK_ENOTFOUND)
		r = cli_refuse(c, r, TEXT_HINT_DEVICE_LIST, TEXT_DEVICE_NO_SUCH, given);
	else if (r == RK_CONFLICT)
		r = cli_refuse(c, RK_EUSAGE, TEXT_HINT_DEVICE_LIST, TEXT_DEVICE_SEVERAL, given);
	if (r == RK_OK) {
		memcpy(g->device_id, d->device_id.data, 16);
		snprintf(g->called, sizeof(g->called), "%s", device_called(&s, d));
		g->change.device_id = g->device_id;
	}
	return shared_end(&s, r);
}

int cmd_device_desk(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "DEVICE [NAME…]", 1, 1 + TRUST_DESKS_MAX, TEXT_HELP_DEVICE_DESK};
	struct changing g = {.change = {.kind = DEVICE_DESKS}};
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = open_admin(c)) != RK_OK ||
	    (r = find(c, &g, args.arg[0])) != RK_OK)
		return r;
	g.change.desks = args.arg + 1;
	g.change.desk_count = args.count - 1;
	if ((r = run_change(c, &g)) != RK_OK)
		return r;
	return print_device(c, &g, "listed", TEXT_DESK_CHANGED);
}

/* ---- remove */

/* Done is what this machine can prove; a broker that says so may still be hiding it from everybody else. */
static int finish_remove(struct cli *c, struct changing *g)
{
	int r = device_change(c->client, &g->change, g->oh, &g->item);

	if (r != RK_OK)
		return report_change(c, g, r);
	r = link_finish(c->client, g->item, &c->stop, &g->outcome);
	if (r != RK_OK) {
		r = cli_fail(c, r, TEXT_DEVICE_REMOVE_UNSENT, g->called);
		out_warn(c, TEXT_HINT_TELEPHONE);
		return r;
	}
	/* What the reply promised is asked for in the log before the link says that it is caught up. */
	if (!device_is_proven(c->client, g->oh))
		(void)!link_sync(c->client, &c->stop);
	if (!device_is_proven(c->client, g->oh))
		return cli_refuse(c, CLI_PARTIAL, TEXT_HINT_TELEPHONE, TEXT_DEVICE_REMOVE_UNPROVEN, g->called);
	return RK_OK;
}

int cmd_device_remove(struct cli *c, int argc, char **argv)
{
	bool retired = false, compromised = false, yes = false;
	const struct cli_option options[] = {
		{"retired", CLI_FLAG, &retired, NULL, TEXT_OPT_RETIRED, false},
		{"compromised", CLI_FLAG, &compromised, NULL, TEXT_OPT_COMPROMISED, false},
		{"yes", CLI_FLAG, &yes, NULL, TEXT_OPT_NO_QUESTION, false},
		{0},
	};
	const struct cli_usage usage = {options, "DEVICE", 1, 1, TEXT_HELP_DEVICE_REMOVE};
	struct changing g = {.change = {.kind = DEVICE_RETIRE}};
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if (retired == compromised)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_DEVICE_WHICH_WAY);
	if (compromised)
		g.change.kind = DEVICE_DROP;
	/* A list that may be old is not signed over; whoever has the machine has it meanwhile. */
	if ((r = open_admin(c)) == RK_EUNREACHABLE)
		out_warn(c, TEXT_HINT_TELEPHONE);
	if (r != RK_OK || (r = find(c, &g, args.arg[0])) != RK_OK)
		return r;
	if (!yes) {
		char id[OUT_ID_CHARS];

		if ((r = cli_confirm(c, TEXT_DEVICE_REMOVE_ASK, g.called, out_short(id, BYTES_OF(g.device_id)))) != RK_OK)
			return r;
	}
	if ((r = finish_remove(c, &g)) != RK_OK)
		return r;
	return print_device(c, &g, compromised ? "removed" : "retired", compromised ? TEXT_DEVICE_REMOVED_DONE : TEXT_DEVICE_RETIRED_DONE);
}

/* ---- renew */

static int valid_until(struct cli *c, int64_t *until)
{
	Rk__OrgDevices *list;
	struct shared s;
	int r = shared_begin(c, false, &s);

	if (r != RK_OK)
		return r;
	if ((r = book_org_devices(c->client, s.t, client_org_id(c->client), s.a, &list, NULL)) == RK_OK)
		*until = list->valid_until;
	return shared_end(&s, r);
}

int cmd_device_renew(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_HELP_DEVICE_RENEW};
	struct changing g = {.change = {.kind = DEVICE_RENEW}};
	char when[OUT_TIME_CHARS];
	struct cli_args args;
	int64_t until = 0;
	json_t *o;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = open_admin(c)) != RK_OK || (r = run_change(c, &g)) != RK_OK ||
	    (r = valid_until(c, &until)) != RK_OK)
		return r;
	if (!c->json) {
		out_line(c, TEXT_LIST_RENEWED, out_time(when, until));
		return RK_OK;
	}
	o = json_object();
	out_set_time(o, "valid_until", until);
	out_set_number(o, "log_index", (int64_t)g.outcome.log_index);
	return out_json(o);
}

void cmd_device_renew_if_due(struct cli *c)
{
	struct changing g = {.change = {.kind = DEVICE_RENEW}};
	char when[OUT_TIME_CHARS];
	struct txn *txn;
	int64_t until = 0;
	bool due;
	int r;

	if (c->client == NULL || c->stop || client_state(c->client) != CLIENT_JOINED || !keys_is_open(c->client, KEY_ORG) ||
	    env_begin(client_env(c->client), false, &txn) != RK_OK)
		return;
	due = device_list_is_due(c->client, txn);
	env_abort(txn);
	if (!due)
		return;
	if ((r = device_change(c->client, &g.change, g.oh, &g.item)) == RK_OK)
		r = link_finish(c->client, g.item, &c->stop, &g.outcome);
	if (r == RK_OK && (r = valid_until(c, &until)) == RK_OK)
		out_say(c, TEXT_LIST_RENEWED, out_time(when, until));
	else
		out_warn(c, TEXT_LIST_NOT_RENEWED, errcode_sentence(r, c->lang));
}
