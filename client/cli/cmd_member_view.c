/* member list and view: who belongs to the exchange, who asks to, and which invites are open. */
#include <string.h>

#include "client/cli/out.h"
#include "client/cli/show.h"
#include "client/desk.h"
#include "client/secretariat.h"
#include "proto/ids.h"
#include "proto/strict.h"

struct listing {
	struct cli *c;
	struct arena *arena;
	struct out_table *table;
	const char *status;
	int rc;
};

/* One line for a member or a request. */
static int list_row(struct listing *l, struct bytes org_id, const char *name, Rk__OrgKind kind, const char *status,
		    const char *fingerprint, int64_t since, uint32_t roles)
{
	char shown[OUT_ID_CHARS], day[OUT_TIME_CHARS];
	if (l->c->json) {
		json_t *j = json_object();
		out_set_id(j, "org_id", org_id);
		out_set_text(j, "name", name);
		out_set_text(j, "kind", cli_org_kind_name(kind));
		out_set_text(j, "status", status);
		out_set_text(j, "fingerprint", fingerprint);
		out_set_bool(j, "secretariat", (roles & TRUST_ROLE_SECRETARIAT) != 0);
		out_set_time(j, "since", since);
		return out_json(j);
	}
	out_table_row(l->table);
	out_table_cell(l->table, out_short(shown, org_id));
	out_table_cell(l->table, cli_word(l->c, status));
	out_table_cell(l->table, cli_word(l->c, cli_org_kind_name(kind)));
	out_table_cell(l->table, out_day(day, since));
	out_table_cell(l->table, name);
	return RK_OK;
}

static int list_request(void *user, const struct secretariat_request *r)
{
	struct listing *l = user;
	const Rk__Enrol *e = r->enrol.enrol;
	return list_row(l, bytes_of(e->org_id), show_enrol_name(e, l->c->lang), e->kind, "pending", r->fingerprint, r->record->time_ms, 0);
}

/* An invite that nobody has used yet: its id is what `member reject` takes to end it. */
static int list_invite(void *user, const Rkl__InviteRecord *invite)
{
	struct listing *l = user;
	char shown[OUT_ID_CHARS], day[OUT_TIME_CHARS];
	if (l->c->json) {
		json_t *j = json_object();
		out_set_id(j, "invite_id", bytes_of(invite->invite_id));
		out_set_text(j, "name", invite->note);
		out_set_text(j, "status", "invited");
		out_set_time(j, "expires_at", invite->expires_at);
		return out_json(j);
	}
	out_table_row(l->table);
	out_table_cell(l->table, out_short(shown, bytes_of(invite->invite_id)));
	out_table_cell(l->table, cli_word(l->c, "invited"));
	out_table_cell(l->table, "");
	out_table_cell(l->table, out_day(day, invite->expires_at));
	out_table_cell(l->table, invite->note);
	return RK_OK;
}

static int list_all(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct listing *l = user;
	Rk__Directory *d;
	uint8_t oh[32];
	char fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	l->arena = a;
	int rc = book_directory(c->client, txn, a, &d, oh);
	for (size_t i = 0; rc == RK_OK && i < d->n_orgs; i++) {
		const Rk__Org *o = d->orgs[i];
		ids_org_fingerprint(fingerprint, o->org_pk.data);
		rc = list_row(l, bytes_of(o->org_id), book_org_name(c->client, txn, o->org_id.data, c->lang, a), o->kind,
			      cli_org_status_name(o->status), fingerprint, o->since, o->roles);
	}
	if (rc == RK_OK && secretariat_is_here(c->client) && keys_unlock(c->client, KEY_DEVICE) == RK_OK)
		rc = secretariat_each(c->client, txn, RKL__ENROLMENT_STATE__WAITING, list_request, l);
	if (rc == RK_OK && secretariat_is_here(c->client))
		rc = secretariat_each_invite(c->client, txn, list_invite, l);
	return rc;
}

int cmd_member_list(struct cli *c, int argc, char **argv)
{
	bool offline = false;
	const struct cli_option options[] = {{"offline", CLI_FLAG, &offline, NULL, TEXT_OPT_OFFLINE, false}, {0}};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_NONE};
	static const enum text_id headings[] = {TEXT_H_ID, TEXT_H_STATUS, TEXT_H_KIND, TEXT_H_SINCE, TEXT_H_NAME};
	struct cli_args args;
	struct listing l = {.c = c};
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc == RK_OK && !offline)
		rc = cli_refresh(c);
	if (rc != RK_OK)
		return rc;
	l.table = c->json ? NULL : out_table_new(c, 5, headings);
	rc = show_read(c, list_all, &l);
	out_table_end(l.table, TEXT_NONE);
	return rc;
}

struct viewing { const char *wanted; };

static json_t *desks_json(struct cli *c, struct txn *txn, struct arena *a, const Rk__Org *o)
{
	json_t *all = json_array();
	struct desk *list;
	size_t n;
	if (desk_list(c->client, txn, o->org_id.data, a, &list, &n) != RK_OK)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		json_t *j = json_object();
		out_set_number(j, "desk_id", list[i].id);
		out_set_text(j, "name", list[i].name);
		out_set_number(j, "devices", list[i].devices);
		json_array_append_new(all, j);
	}
	return all;
}

/* What `dossier send --to ORG/DESK` takes. */
static void print_desks(struct cli *c, struct txn *txn, struct arena *a, const Rk__Org *o)
{
	struct desk *list;
	size_t n;
	if (desk_list(c->client, txn, o->org_id.data, a, &list, &n) != RK_OK)
		n = 0;
	for (size_t i = 0; i < n; i++)
		out_field(c, TEXT_F_DESKS, list[i].name);
}

static json_t *org_json(struct cli *c, struct txn *txn, struct arena *a, const Rk__Org *o, const char *fingerprint)
{
	Rk__OrgDevices *devices;
	uint8_t oh[32];
	json_t *j = json_object();
	out_set_id(j, "org_id", bytes_of(o->org_id));
	out_set_text(j, "name", book_org_name(c->client, txn, o->org_id.data, c->lang, a));
	out_set_text(j, "kind", cli_org_kind_name(o->kind));
	out_set_text(j, "status", cli_org_status_name(o->status));
	out_set_text(j, "fingerprint", fingerprint);
	out_set_bool(j, "secretariat", (o->roles & TRUST_ROLE_SECRETARIAT) != 0);
	out_set_bool(j, "coordinator", (o->roles & TRUST_ROLE_COORDINATOR) != 0);
	out_set_text(j, "reading", *o->names[0]->reading ? o->names[0]->reading : NULL);
	out_set_text(j, "country", o->country);
	out_set_text(j, "region", *o->region ? o->region : NULL);
	out_set_text(j, "corporate_number", *o->corporate_number ? o->corporate_number : NULL);
	out_set_time(j, "since", o->since);
	if (book_org_devices(c->client, txn, o->org_id.data, a, &devices, oh) == RK_OK)
		out_set_number(j, "devices", (int64_t)devices->n_devices);
	json_object_set_new(j, "desks", desks_json(c, txn, a, o));
	return j;
}

static void print_org(struct cli *c, struct txn *txn, struct arena *a, const Rk__Org *o, const char *fingerprint)
{
	char hex[OUT_ID_CHARS], day[OUT_TIME_CHARS];
	out_field(c, TEXT_F_ORG, book_org_name(c->client, txn, o->org_id.data, c->lang, a));
	if (*o->names[0]->reading)
		out_field(c, TEXT_F_READING, o->names[0]->reading);
	out_field(c, TEXT_F_ORG_ID, out_hex(hex, bytes_of(o->org_id)));
	out_field(c, TEXT_F_KIND, cli_word(c, cli_org_kind_name(o->kind)));
	out_field(c, TEXT_F_STATUS, cli_word(c, cli_org_status_name(o->status)));
	if (o->roles & TRUST_ROLE_SECRETARIAT)
		out_field(c, TEXT_F_ROLE, text(TEXT_ROLE_SECRETARIAT, c->lang));
	if (o->roles & TRUST_ROLE_COORDINATOR)
		out_field(c, TEXT_F_ROLE, text(TEXT_ROLE_COORDINATOR, c->lang));
	out_field(c, TEXT_F_COUNTRY, o->country);
	if (*o->region)
		out_field(c, TEXT_F_REGION, o->region);
	if (*o->corporate_number)
		out_field(c, TEXT_F_CORPORATE, o->corporate_number);
	out_field(c, TEXT_F_FINGERPRINT, fingerprint);
	out_field(c, TEXT_F_SINCE, out_day(day, o->since));
}

/* A request that waits, as far as an applicant's own words go. */
static int view_request(struct cli *c, struct txn *txn, struct arena *a, const uint8_t org_id[16])
{
	struct secretariat_request r;
	char hex[OUT_ID_CHARS], when[OUT_TIME_CHARS];
	int rc = secretariat_open(c->client, txn, org_id, a, &r);
	if (rc != RK_OK)
		return rc;
	const Rk__Enrol *e = r.enrol.enrol;
	if (c->json) {
		json_t *j = json_object();
		out_set_id(j, "org_id", bytes_of(e->org_id));
		out_set_text(j, "name", show_enrol_name(e, c->lang));
		out_set_text(j, "kind", cli_org_kind_name(e->kind));
		out_set_text(j, "status", "pending");
		out_set_text(j, "fingerprint", r.fingerprint);
		out_set_text(j, "country", e->country);
		out_set_text(j, "note", r.note);
		out_set_time(j, "since", r.record->time_ms);
		return out_json(j);
	}
	out_field(c, TEXT_F_ORG, show_enrol_name(e, c->lang));
	out_field(c, TEXT_F_ORG_ID, out_hex(hex, bytes_of(e->org_id)));
	out_field(c, TEXT_F_KIND, cli_word(c, cli_org_kind_name(e->kind)));
	out_field(c, TEXT_F_STATUS, cli_word(c, "pending"));
	out_field(c, TEXT_F_COUNTRY, e->country);
	out_field(c, TEXT_F_FINGERPRINT, r.fingerprint);
	out_field(c, TEXT_F_INVITED_AS, r.note);
	out_field(c, TEXT_F_SINCE, out_time(when, r.record->time_ms));
	return RK_OK;
}

static int view(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	const struct viewing *v = user;
	uint8_t org_id[16];
	char fingerprint[IDS_ORG_FINGERPRINT_CHARS];
	Rk__Org *o;
	int rc = book_find_org(c->client, txn, v->wanted, org_id);
	if (rc == RK_ENOTFOUND && secretariat_is_here(c->client) && keys_unlock(c->client, KEY_DEVICE) == RK_OK &&
	    secretariat_find(c->client, txn, v->wanted, org_id) == RK_OK)
		return view_request(c, txn, a, org_id);
	if (rc == RK_OK)
		rc = book_org(c->client, txn, org_id, a, &o);
	if (rc == RK_CONFLICT)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_SEVERAL_MEMBERS, v->wanted);
	if (rc == RK_ENOTFOUND)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_NO_SUCH_MEMBER, v->wanted);
	if (rc != RK_OK)
		return rc;
	ids_org_fingerprint(fingerprint, o->org_pk.data);
	if (c->json)
		return out_json(org_json(c, txn, a, o, fingerprint));
	print_org(c, txn, a, o, fingerprint);
	print_desks(c, txn, a, o);
	return RK_OK;
}

int cmd_member_view(struct cli *c, int argc, char **argv)
{
	bool offline = false;
	const struct cli_option options[] = {{"offline", CLI_FLAG, &offline, NULL, TEXT_OPT_OFFLINE, false}, {0}};
	const struct cli_usage usage = {options, "ORG", 1, 1, TEXT_NONE};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc == RK_OK && !offline)
		rc = cli_refresh(c);
	struct viewing v = {rc == RK_OK ? args.arg[0] : NULL};
	return rc == RK_OK ? show_read(c, view, &v) : rc;
}
