/* member: invites, and what the secretariat decides.  Listing is cmd_member_view.c. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/out.h"
#include "client/cli/show.h"
#include "client/secretariat_duty.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define DAY_MS ((int64_t)86400000)
#define INVITE_DAYS_MAX 90
#define FINGERPRINT_DIGITS 40

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
	snprintf(f->name, sizeof(f->name), "%s", show_enrol_name(r.enrol.enrol, c->lang));
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
	out_say(c, TEXT_APPROVE_ASK, f->name, cli_word(c, f->kind));
	if (cli_ask(c, typed, len, TEXT_APPROVE_PROMPT))
		return RK_OK;
	if (c->stop)
		return cli_refuse(c, RK_EINTERRUPTED, TEXT_NONE, TEXT_NOT_CONFIRMED);
	return cli_refuse(c, RK_EUSAGE, TEXT_HINT_FINGERPRINT, TEXT_FINGERPRINT_NEEDED);
}

/* A slip of the tongue or the hand is not yet a stranger with the invite. */
static bool is_whole(const char *typed)
{
	size_t digits = 0;
	for (; *typed; typed++)
		digits += isxdigit((unsigned char)*typed) != 0;
	return digits == FINGERPRINT_DIGITS;
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

/*
 * Waits for the directory.  Of two officers who sign at once the broker takes one: the other reads what came of it and signs anew.  *again:
 * it is to be made once more.
 */
static int finish_directory(struct cli *c, uint64_t item, enum text_id what, bool *again)
{
	struct outcome out;
	int rc = link_finish(c->client, item, &c->stop, &out);
	bool is_first = !*again;
	*again = rc == RK_CONFLICT && is_first;
	if (rc == RK_OK || !*again)
		return rc == RK_OK ? rc : cli_fail_finish(c, rc, what);
	out_say(c, TEXT_OTHER_OFFICER);
	rc = link_sync(c->client, &c->stop);
	return rc == RK_OK ? RK_OK : cli_fail(c, rc, TEXT_CANNOT_SYNC);
}

static int approve(struct cli *c, const struct request_facts *f, const char *typed)
{
	bool again = false;
	int rc;
	do {
		uint64_t item;
		rc = secretariat_approve(c->client, f->org_id, typed, &item);
		if (rc == RK_EINTEGRITY)
			return cli_refuse(c, rc, TEXT_HINT_FINGERPRINT_DIFFERS, TEXT_FINGERPRINT_DIFFERS, f->name);
		if (rc != RK_OK)
			return cli_fail(c, rc, TEXT_CANNOT_APPROVE, f->name);
		rc = finish_directory(c, item, TEXT_CANNOT_APPROVE_NOW, &again);
	} while (rc == RK_OK && again);
	return rc;
}

int cmd_member_approve(struct cli *c, int argc, char **argv)
{
	const char *given = NULL;
	const struct cli_option options[] = {{"fingerprint", CLI_TEXT, &given, "F", TEXT_OPT_FINGERPRINT, false}, {0}};
	const struct cli_usage usage = {options, "ORG|NAME", 1, 1, TEXT_HELP_APPROVE};
	struct cli_args args;
	struct request_facts f = {0};
	unsigned missing = 0;
	char typed[128];
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
	if (!is_whole(typed))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_FINGERPRINT, TEXT_FINGERPRINT_SHORT);
	if ((rc = approve(c, &f, typed)) != RK_OK)
		return rc;
	rc = secretariat_settle(c->client, f.org_id, RKL__ENROLMENT_STATE__APPROVED);
	/* Its feed keys stand behind the directory in the outbox. */
	if (rc == RK_OK)
		rc = link_sync(c->client, &c->stop);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_SYNC);
	if ((rc = secretariat_missing_epochs(c->client, &missing)) == RK_OK && missing > 0)
		out_warn(c, TEXT_MISSING_EPOCHS, missing);
	return print_member(c, f.org_id, f.name, "active", f.fingerprint, TEXT_APPROVED);
}

/* An invite that nobody used is ended by its id. */
static int end_invite(struct cli *c, const uint8_t invite_id[16], const char *shown)
{
	uint64_t item;
	int rc = secretariat_end_invite(c->client, invite_id, &item);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_REJECT, shown);
	if ((rc = cli_finish(c, item, TEXT_CANNOT_REJECT_NOW, NULL)) != RK_OK)
		return rc;
	if (!c->json) {
		out_line(c, TEXT_INVITE_ENDED, shown);
		return RK_OK;
	}
	json_t *j = json_object();
	out_set_id(j, "invite_id", bytes_make(invite_id, 16));
	out_set_text(j, "status", "ended");
	return out_json(j);
}

struct invite_search { const char *wanted; uint8_t id[16]; bool found; };

static int find_invite(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct invite_search *s = user;
	uint8_t org_id[16];
	(void)a;
	/* A request comes first: ending its invite is part of refusing it. */
	s->found = secretariat_find(c->client, txn, s->wanted, org_id) == RK_ENOTFOUND &&
		   cli_find_id(txn, C_INVITE, s->wanted, s->id, 16) == RK_OK;
	return RK_OK;
}

int cmd_member_reject(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "ORG|NAME|INVITE", 1, 1, TEXT_HELP_REJECT};
	struct cli_args args;
	struct request_facts f = {0};
	struct invite_search search = {0};
	uint64_t item;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = open_secretariat(c, true);
	if (rc != RK_OK)
		return rc;
	f.wanted = search.wanted = args.arg[0];
	if ((rc = show_read(c, find_invite, &search)) != RK_OK)
		return rc;
	if (search.found)
		return end_invite(c, search.id, f.wanted);
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
	bool again = false;
	uint64_t item;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = open_secretariat(c, true);
	if (rc != RK_OK)
		return rc;
	f.wanted = args.arg[0];
	if ((rc = show_read(c, find_member, &f)) != RK_OK)
		return rc;
	if (question != TEXT_NONE && !yes && (rc = cli_confirm(c, question, f.name)) != RK_OK)
		return rc;
	do {
		rc = secretariat_set_status(c->client, f.org_id, status, &item);
		if (rc == RK_CONFLICT)
			return cli_refuse(c, rc, TEXT_HINT_MEMBER_LIST, TEXT_STATUS_ALREADY, f.name);
		if (rc != RK_OK)
			return cli_fail(c, rc, TEXT_CANNOT_CHANGE, f.name);
		if ((rc = finish_directory(c, item, TEXT_CANNOT_CHANGE_NOW, &again)) != RK_OK)
			return rc;
	} while (again);
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
