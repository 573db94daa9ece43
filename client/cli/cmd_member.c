/* member: invites, requests, and who belongs to the exchange. */
#include <stdio.h>
#include <string.h>

#include "client/cli/out.h"
#include "client/cli/show.h"
#include "client/secretariat.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define DAY_MS ((int64_t)86400000)
#define INVITE_DAYS_MAX 90

/* The home of a secretariat, caught up. */
static int open_secretariat(struct cli *c, bool sync)
{
	int rc = cli_open_joined(c);
	if (rc == RK_OK && !secretariat_is_here(c->client))
		return cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_SECRETARIAT, TEXT_NOT_SECRETARIAT);
	if (rc != RK_OK || !sync)
		return rc;
	rc = link_sync(c->client, &c->stop);
	return rc == RK_OK ? RK_OK : cli_fail(c, rc, TEXT_CANNOT_SYNC);
}

/* ---- invite */

static int print_invite(struct cli *c, const char *invite, const char *note, int64_t expires_at, bool registered)
{
	char until[OUT_TIME_CHARS];
	if (c->json) {
		json_t *j = json_object();
		out_set_text(j, "invite", invite);
		out_set_time(j, "expires_at", expires_at);
		out_set_text(j, "note", note);
		out_set_bool(j, "registered", registered);
		return out_json(j);
	}
	out_raw(invite);
	if (registered)
		out_say(c, TEXT_INVITE_NEXT, out_time(until, expires_at));
	return RK_OK;
}

int cmd_member_invite(struct cli *c, int argc, char **argv)
{
	const char *note = "";
	int64_t days = INVITE_LIFE_MS / DAY_MS;
	const struct cli_option options[] = {
		{"for", CLI_TEXT, &note, "NOTE", TEXT_OPT_FOR, false},
		{"days", CLI_NUMBER, &days, "N", TEXT_OPT_DAYS, false},
		{0},
	};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_INVITE};
	struct cli_args args;
	char invite[INVITE_TEXT_CHARS];
	uint64_t item;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK && (days < 1 || days > INVITE_DAYS_MAX))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_BAD_DAYS, INVITE_DAYS_MAX);
	if (rc == RK_OK && (strlen(note) > 200 || !strict_is_name(bytes_str(note))))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_NAME, TEXT_BAD_FIELD, "--for");
	if (rc == RK_OK)
		rc = open_secretariat(c, false);
	if (rc != RK_OK)
		return rc;
	int64_t expires_at = client_now(c->client) + days * DAY_MS;
	rc = secretariat_invite(c->client, note, expires_at, invite, &item);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_INVITE);
	rc = cli_finish(c, item, TEXT_CANNOT_INVITE, NULL);
	/* Not answered yet, it is registered with the next sync: its text is shown only here. */
	if (rc > 0)
		return rc;
	int printed = print_invite(c, invite, note, expires_at, rc == RK_OK);
	return rc == RK_OK ? printed : rc;
}

/* ---- list and view */

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
	out_table_cell(l->table, status);
	out_table_cell(l->table, cli_org_kind_name(kind));
	out_table_cell(l->table, out_day(day, since));
	out_table_cell(l->table, name);
	return RK_OK;
}

static const char *enrol_name(const Rk__Enrol *e, enum lang lang)
{
	for (size_t i = 0; i < e->n_names; i++)
		if (strncmp(e->names[i]->lang, lang == LANG_JA ? "ja" : "en", 2) == 0)
			return e->names[i]->name;
	return e->names[0]->name;
}

static int list_request(void *user, const struct secretariat_request *r)
{
	struct listing *l = user;
	const Rk__Enrol *e = r->enrol.enrol;
	return list_row(l, bytes_of(e->org_id), enrol_name(e, l->c->lang), e->kind, "pending", r->fingerprint, r->record->time_ms, 0);
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
	return j;
}

static void print_org(struct cli *c, struct txn *txn, struct arena *a, const Rk__Org *o, const char *fingerprint)
{
	char hex[OUT_ID_CHARS], day[OUT_TIME_CHARS];
	out_field(c, TEXT_F_ORG, book_org_name(c->client, txn, o->org_id.data, c->lang, a));
	if (*o->names[0]->reading)
		out_field(c, TEXT_F_READING, o->names[0]->reading);
	out_field(c, TEXT_F_ORG_ID, out_hex(hex, bytes_of(o->org_id)));
	out_field(c, TEXT_F_KIND, cli_org_kind_name(o->kind));
	out_field(c, TEXT_F_STATUS, cli_org_status_name(o->status));
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
		out_set_text(j, "name", enrol_name(e, c->lang));
		out_set_text(j, "kind", cli_org_kind_name(e->kind));
		out_set_text(j, "status", "pending");
		out_set_text(j, "fingerprint", r.fingerprint);
		out_set_text(j, "country", e->country);
		out_set_text(j, "note", r.note);
		out_set_time(j, "since", r.record->time_ms);
		return out_json(j);
	}
	out_field(c, TEXT_F_ORG, enrol_name(e, c->lang));
	out_field(c, TEXT_F_ORG_ID, out_hex(hex, bytes_of(e->org_id)));
	out_field(c, TEXT_F_KIND, cli_org_kind_name(e->kind));
	out_field(c, TEXT_F_STATUS, "pending");
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

/* ---- approve and reject */

struct request_facts {
	const char *wanted;
	uint8_t org_id[16];
	char name[201], fingerprint[64];
	const char *kind;
	int problem;
};

static int find_request(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct request_facts *f = user;
	struct secretariat_request r;
	uint8_t member[16];
	int rc = secretariat_find(c->client, txn, f->wanted, f->org_id);
	if (rc == RK_ENOTFOUND && book_find_org(c->client, txn, f->wanted, member) == RK_OK)
		return cli_refuse(c, RK_CONFLICT, TEXT_HINT_MEMBER_LIST, TEXT_MEMBER_ALREADY, f->wanted);
	if (rc == RK_ENOTFOUND)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_NO_SUCH_REQUEST, f->wanted);
	if (rc == RK_CONFLICT)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_SEVERAL_MEMBERS, f->wanted);
	if (rc == RK_OK)
		rc = secretariat_open(c->client, txn, f->org_id, a, &r);
	if (rc != RK_OK)
		return rc;
	snprintf(f->name, sizeof(f->name), "%s", enrol_name(r.enrol.enrol, c->lang));
	snprintf(f->fingerprint, sizeof(f->fingerprint), "%s", r.fingerprint);
	f->kind = cli_org_kind_name(r.enrol.enrol->kind);
	f->problem = r.problem;
	return RK_OK;
}

static int refuse_problem(struct cli *c, const struct request_facts *f)
{
	if (f->problem == RK_ENOTFOUND)
		return cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_OTHER_HOME, TEXT_INVITE_ELSEWHERE, f->name);
	return cli_fail(c, f->problem, TEXT_CANNOT_APPROVE, f->name);
}

/* What the applicant reads aloud, typed in: the expected one is not shown before. */
static int heard_fingerprint(struct cli *c, const struct request_facts *f, const char *given, char *typed, size_t len)
{
	if (given) {
		snprintf(typed, len, "%s", given);
		return RK_OK;
	}
	out_say(c, TEXT_APPROVE_ASK, f->name, f->kind);
	if (cli_ask(c, typed, len, TEXT_APPROVE_PROMPT))
		return RK_OK;
	return cli_refuse(c, RK_EUSAGE, TEXT_HINT_FINGERPRINT, TEXT_FINGERPRINT_NEEDED);
}

static int print_member(struct cli *c, const uint8_t org_id[16], const char *name, const char *status, const char *fingerprint,
			enum text_id sentence)
{
	if (!c->json) {
		out_line(c, sentence, name);
		return RK_OK;
	}
	json_t *j = json_object();
	out_set_id(j, "org_id", bytes_make(org_id, 16));
	out_set_text(j, "name", name);
	out_set_text(j, "status", status);
	if (fingerprint)
		out_set_text(j, "fingerprint", fingerprint);
	return out_json(j);
}

int cmd_member_approve(struct cli *c, int argc, char **argv)
{
	const char *given = NULL;
	const struct cli_option options[] = {{"fingerprint", CLI_TEXT, &given, "F", TEXT_OPT_FINGERPRINT, false}, {0}};
	const struct cli_usage usage = {options, "ORG|NAME", 1, 1, TEXT_HELP_APPROVE};
	struct cli_args args;
	struct request_facts f = {0};
	char typed[128];
	uint64_t item;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = open_secretariat(c, true);
	if (rc != RK_OK)
		return rc;
	f.wanted = args.arg[0];
	if ((rc = show_read(c, find_request, &f)) != RK_OK)
		return rc;
	if (f.problem != RK_OK)
		return refuse_problem(c, &f);
	if ((rc = heard_fingerprint(c, &f, given, typed, sizeof(typed))) != RK_OK)
		return rc;
	rc = secretariat_approve(c->client, f.org_id, typed, &item);
	if (rc == RK_EINTEGRITY)
		return cli_refuse(c, rc, TEXT_HINT_FINGERPRINT_DIFFERS, TEXT_FINGERPRINT_DIFFERS, f.name);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_APPROVE, f.name);
	if ((rc = cli_finish(c, item, TEXT_CANNOT_APPROVE_NOW, NULL)) != RK_OK)
		return rc;
	rc = secretariat_settle(c->client, f.org_id, RKL__ENROLMENT_STATE__APPROVED);
	/* Its feed keys stand behind the directory in the outbox. */
	if (rc == RK_OK)
		rc = link_sync(c->client, &c->stop);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_SYNC);
	return print_member(c, f.org_id, f.name, "active", f.fingerprint, TEXT_APPROVED);
}

int cmd_member_reject(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "ORG|NAME", 1, 1, TEXT_HELP_REJECT};
	struct cli_args args;
	struct request_facts f = {0};
	uint64_t item;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = open_secretariat(c, true);
	if (rc != RK_OK)
		return rc;
	f.wanted = args.arg[0];
	if ((rc = show_read(c, find_request, &f)) != RK_OK)
		return rc;
	rc = secretariat_reject(c->client, f.org_id, &item);
	if (rc == RK_ENOTFOUND)
		return cli_refuse(c, RK_NOT_PERMITTED, TEXT_HINT_OTHER_HOME, TEXT_INVITE_ELSEWHERE, f.name);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_REJECT, f.name);
	if ((rc = cli_finish(c, item, TEXT_CANNOT_REJECT_NOW, NULL)) != RK_OK)
		return rc;
	if ((rc = secretariat_settle(c->client, f.org_id, RKL__ENROLMENT_STATE__REJECTED)) != RK_OK)
		return rc;
	return print_member(c, f.org_id, f.name, "rejected", NULL, TEXT_REJECTED_DONE);
}

/* ---- suspend, reinstate, expel */

struct member_facts { const char *wanted; uint8_t org_id[16]; char name[201]; };

static int find_member(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct member_facts *f = user;
	int rc = book_find_org(c->client, txn, f->wanted, f->org_id);
	if (rc == RK_ENOTFOUND)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_NO_SUCH_MEMBER, f->wanted);
	if (rc == RK_CONFLICT)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_SEVERAL_MEMBERS, f->wanted);
	if (rc == RK_OK)
		snprintf(f->name, sizeof(f->name), "%s", book_org_name(c->client, txn, f->org_id, c->lang, a));
	return rc;
}

static int change_status(struct cli *c, int argc, char **argv, Rk__OrgStatus status, enum text_id help, enum text_id question,
			 enum text_id done)
{
	bool yes = false;
	const struct cli_option options[] = {{"yes", CLI_FLAG, &yes, NULL, TEXT_OPT_NO_QUESTION, false}, {0}};
	const struct cli_usage usage = {options, "ORG", 1, 1, help};
	struct cli_args args;
	struct member_facts f = {0};
	struct secretariat_done duties;
	char answer[16];
	uint64_t item;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = open_secretariat(c, true);
	if (rc != RK_OK)
		return rc;
	f.wanted = args.arg[0];
	if ((rc = show_read(c, find_member, &f)) != RK_OK)
		return rc;
	/* A person is asked; a script that names an organisation means it. */
	if (question != TEXT_NONE && !yes && cli_ask(c, answer, sizeof(answer), question, f.name) &&
	    answer[0] != 'y' && answer[0] != 'Y')
		return cli_refuse(c, RK_EINTERRUPTED, TEXT_NONE, TEXT_NOTHING_DONE);
	rc = secretariat_set_status(c->client, f.org_id, status, &item);
	if (rc == RK_CONFLICT)
		return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_STATUS_ALREADY, f.name);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_CHANGE, f.name);
	if ((rc = cli_finish(c, item, TEXT_CANNOT_CHANGE_NOW, NULL)) != RK_OK)
		return rc;
	rc = link_sync(c->client, &c->stop);
	/* Who comes back lacks the keys of the epochs in between. */
	if (rc == RK_OK && status == RK__ORG_STATUS__ACTIVE && (rc = secretariat_duties(c->client, &duties)) == RK_OK)
		rc = link_sync(c->client, &c->stop);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_SYNC);
	return print_member(c, f.org_id, f.name, cli_org_status_name(status), NULL, done);
}

int cmd_member_suspend(struct cli *c, int argc, char **argv)
{
	return change_status(c, argc, argv, RK__ORG_STATUS__SUSPENDED, TEXT_HELP_SUSPEND, TEXT_NONE, TEXT_SUSPENDED);
}

int cmd_member_reinstate(struct cli *c, int argc, char **argv)
{
	return change_status(c, argc, argv, RK__ORG_STATUS__ACTIVE, TEXT_NONE, TEXT_NONE, TEXT_REINSTATED);
}

int cmd_member_expel(struct cli *c, int argc, char **argv)
{
	return change_status(c, argc, argv, RK__ORG_STATUS__EXPELLED, TEXT_HELP_EXPEL, TEXT_EXPEL_QUESTION, TEXT_EXPELLED);
}
