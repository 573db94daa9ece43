/* device invite, request, list, message.  What changes the list is cmd_device_change.c. */
#include "client/cli/cmd_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/ids.h"
#include "proto/strict.h"

/* ---- what all of them show */

const char *device_called(struct shared *s, const Rk__Device *d)
{
	char shown[OUT_ID_CHARS];

	return d->label[0] != '\0' ? d->label : shared_text(s, "%s", out_short(shown, bytes_of(d->device_id)));
}

const char *device_desks_text(struct shared *s, const uint8_t org_id[16], const Rk__Device *d)
{
	const char *all = "";

	for (size_t i = 0; i < d->n_desks; i++)
		all = shared_text(s, "%s%s%s", all, i > 0 ? text(TEXT_COMMA, s->c->lang) : "",
		                  desk_name(s->client, s->t, org_id, d->desks[i], s->a));
	return all;
}

json_t *device_desks_json(struct shared *s, const uint8_t org_id[16], const Rk__Device *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n_desks; i++) {
		json_t *o = json_object();

		out_set_number(o, "desk_id", d->desks[i]);
		out_set_text(o, "name", desk_name(s->client, s->t, org_id, d->desks[i], s->a));
		json_array_append_new(list, o);
	}
	return list;
}

/* ---- invite */

int cmd_device_invite(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_HELP_DEVICE_INVITE};
	char card[INVITE_TEXT_CHARS];
	struct cli_args args;
	json_t *o;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = cli_open_joined(c)) != RK_OK)
		return r;
	if ((r = device_card(c->client, card)) != RK_OK)
		return r;
	if (!c->json) {
		out_raw(card);
		return RK_OK;
	}
	o = json_object();
	out_set_text(o, "card", card);
	out_set_id(o, "org_id", bytes_make(client_org_id(c->client), 16));
	return out_json(o);
}

/* ---- request */

/* Never over something that is there. */
static int write_request(struct cli *c, const char *path, const char *request)
{
	FILE *f = fopen(path, "wxe");
	int r = RK_OK;

	if (f == NULL)
		return cli_fail(c, errno == EEXIST ? RK_EEXISTS : RK_EIO, TEXT_CANNOT_WRITE_REQUEST, path);
	if (fprintf(f, "%s\n", request) < 0)
		r = RK_EIO;
	if (fclose(f) != 0)
		r = RK_EIO;
	return r == RK_OK ? r : cli_fail(c, r, TEXT_CANNOT_WRITE_REQUEST, path);
}

static int print_request(struct cli *c, const struct device_request *q, const char *request)
{
	char fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	const char *label = q->label;
	uint8_t device_id[16];
	json_t *o;

	ids_device_fingerprint(fingerprint, q->sign_pk, q->curve_pk);

	if (!c->json) {
		out_field(c, TEXT_F_DEVICE, label[0] != '\0' ? label : "—");
		out_field(c, TEXT_F_FINGERPRINT, fingerprint);
		out_raw(request);
		out_say(c, TEXT_DEVICE_REQUEST_NEXT);
		return RK_OK;
	}
	ids_device(device_id, q->sign_pk);
	o = json_object();
	out_set_text(o, "request", request);
	out_set_text(o, "fingerprint", fingerprint);
	out_set_id(o, "device_id", BYTES_OF(device_id));
	out_set_text(o, "label", label);
	out_set_text(o, "status", "pending");
	return out_json(o);
}

/* The one that this home has made already. */
static int show_request(struct cli *c)
{
	char request[INVITE_TEXT_CHARS];
	struct device_request q;
	struct txn *txn;
	int r = cli_open(c);

	if (r != RK_OK || (r = env_begin(client_env(c->client), false, &txn)) != RK_OK)
		return r;
	r = device_own_request(c->client, txn, &q);
	env_abort(txn);
	if (r == RK_ENOTFOUND)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_ORG_CARD, TEXT_NO_REQUEST);
	if (r == RK_OK && (r = device_request_text(request, &q)) == RK_OK)
		r = print_request(c, &q, request);
	return r;
}

int cmd_device_request(struct cli *c, int argc, char **argv)
{
	const char *label = "", *file = NULL;
	struct key_new new = {0};
	const struct cli_option options[] = {
		{"label", CLI_TEXT, &label, "TEXT", TEXT_OPT_DEVICE_LABEL, false},
		{"out", CLI_TEXT, &file, "FILE", TEXT_OPT_DEVICE_OUT, false},
		{"no-passphrase", CLI_FLAG, &new.no_passphrase, NULL, TEXT_OPT_NO_PASSPHRASE, false},
		{0},
	};
	const struct cli_usage usage = {options, "[TEXT]", 0, 1, TEXT_HELP_DEVICE_REQUEST};
	char request[INVITE_TEXT_CHARS], fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	struct device_request q;
	struct org_card card;
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if (args.count == 0)
		return show_request(c);
	if (org_card_parse(&card, args.arg[0]) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_ORG_CARD, TEXT_BAD_ORG_CARD);
	if (strlen(label) > DEVICE_LABEL_MAX || !strict_is_name(bytes_str(label)))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_NAME, TEXT_BAD_LABEL);
	if ((r = cli_create_home(c)) != RK_OK)
		return r;
	r = device_request_create(c->client, &card, label, &new, request, fingerprint);
	if (r != RK_OK) {
		cli_discard_home(c);
		return cli_fail(c, r, TEXT_CANNOT_REQUEST_DEVICE);
	}
	if (file != NULL)
		r = write_request(c, file, request);
	if (r == RK_OK && (r = device_request_parse(&q, request)) == RK_OK)
		r = print_request(c, &q, request);
	return r;
}

/* ---- list */

struct listed {
	struct shared *s;
	const uint8_t *org_id;
	struct out_table *table;
};

/* "active", "waiting" (no key that anybody could seal to), "retired". */
static const char *state_of(struct shared *s, const Rk__Device *d, int64_t *kx_until)
{
	int64_t now = client_now(s->client);
	Rk__DeviceKx *kx;

	*kx_until = 0;
	if (!trust_device_is_active(d, now))
		return "retired";
	if (book_device_kx(s->client, s->t, d->device_id.data, s->a, &kx) == RK_OK)
		*kx_until = kx->not_after;
	return *kx_until > now ? "active" : "waiting";
}

static int list_row(const struct listed *l, const Rk__Device *d)
{
	char fingerprint[IDS_ORG_FINGERPRINT_CHARS], id[OUT_ID_CHARS], until[OUT_TIME_CHARS];
	struct shared *s = l->s;
	bool is_self = memcmp(d->device_id.data, client_device_id(s->client), 16) == 0;
	int64_t kx_until;
	const char *state = state_of(s, d, &kx_until);
	json_t *o;

	ids_device_fingerprint(fingerprint, d->sign_pk.data, d->curve_pk.data);
	if (s->c->json) {
		o = json_object();
		out_set_id(o, "device_id", bytes_of(d->device_id));
		out_set_text(o, "label", d->label);
		out_set_text(o, "status", state);
		json_object_set_new(o, "desks", device_desks_json(s, l->org_id, d));
		out_set_text(o, "fingerprint", fingerprint);
		out_set_time(o, "kx_until", kx_until);
		out_set_time(o, "retired_at", d->retired_at);
		out_set_bool(o, "this", is_self);
		return out_json(o);
	}
	out_table_row(l->table);
	out_table_cell(l->table, out_short(id, bytes_of(d->device_id)));
	out_table_cell(l->table, cli_word(s->c, state));
	out_table_cell(l->table, is_self ? shared_fill(s, TEXT_THIS_DEVICE, device_called(s, d)) : d->label);
	out_table_cell(l->table, device_desks_text(s, l->org_id, d));
	out_table_cell(l->table, out_day(until, d->retired_at != 0 ? d->retired_at : kx_until));
	out_table_cell(l->table, fingerprint);
	return RK_OK;
}

static int list_all(struct shared *s, const uint8_t org_id[16])
{
	static const enum text_id headings[] = {TEXT_COL_ID, TEXT_COL_STATE, TEXT_COL_LABEL, TEXT_COL_DESKS, TEXT_COL_KEY_UNTIL,
	                                        TEXT_COL_FINGERPRINT};
	struct listed l = {.s = s, .org_id = org_id};
	char until[OUT_TIME_CHARS];
	Rk__OrgDevices *list;
	int r = book_org_devices(s->client, s->t, org_id, s->a, &list, NULL);

	if (r != RK_OK)
		return r;
	l.table = s->c->json ? NULL : out_table_new(s->c, 6, headings);
	for (size_t i = 0; i < list->n_devices && r == RK_OK; i++)
		r = list_row(&l, list->devices[i]);
	out_table_end(l.table, TEXT_NONE);
	if (r == RK_OK)
		out_say(s->c, TEXT_LIST_RENEWED, out_time(until, list->valid_until));
	return r;
}

int cmd_device_list(struct cli *c, int argc, char **argv)
{
	struct cli_list org = {.count = 0};
	bool offline = false;
	const struct cli_option options[] = {
		{"org", CLI_LIST, &org, "ORG", TEXT_OPT_DEVICE_ORG, false},
		{"offline", CLI_FLAG, &offline, NULL, TEXT_OPT_OFFLINE, false},
		{0},
	};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_NONE};
	uint8_t org_id[1][16];
	struct cli_args args;
	struct shared s;
	size_t n = 0;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = cli_open_joined(c)) != RK_OK)
		return r;
	if ((!offline && (r = cli_refresh(c)) != RK_OK) || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	memcpy(org_id[0], client_org_id(c->client), 16);
	if ((r = shared_orgs(&s, &org, org_id, 1, &n)) == RK_OK)
		r = list_all(&s, org_id[0]);
	return shared_end(&s, r);
}

/* ---- message */

static int queue_message(struct shared *s, const char *desk, const char *words, uint64_t *item)
{
	uint32_t desk_id = 0;
	int r;

	if (desk != NULL && (r = shared_desk(s, client_org_id(s->client), desk, &desk_id)) != RK_OK)
		return r;
	r = device_message(s->client, s->t, desk_id, words, s->a, item);
	if (r == RK_EUSAGE || r == RK_TOO_LARGE || r == RK_MALFORMED)
		return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_LENGTHS, TEXT_BAD_TEXT);
	return r;
}

int cmd_device_message(struct cli *c, int argc, char **argv)
{
	const char *desk = NULL;
	const struct cli_option options[] = {{"desk", CLI_TEXT, &desk, "NAME", TEXT_OPT_TO_DESK, false}, {0}};
	const struct cli_usage usage = {options, "TEXT", 1, 1, TEXT_HELP_DEVICE_MESSAGE};
	struct outcome out;
	struct cli_args args;
	struct shared s;
	uint64_t item = 0;
	json_t *o;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = shared_open(c)) != RK_OK ||
	    (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	r = queue_message(&s, desk, args.arg[0], &item);
	if ((r = shared_end(&s, r)) != RK_OK || (r = cli_finish(c, item, TEXT_CANNOT_SEND_MESSAGE, &out)) != RK_OK)
		return r;
	if (!c->json) {
		out_say(c, TEXT_MESSAGE_SENT);
		return RK_OK;
	}
	o = json_object();
	out_set_id(o, "message_id", BYTES_OF(out.env_id));
	out_set_time(o, "time", out.time_ms);
	return out_json(o);
}
