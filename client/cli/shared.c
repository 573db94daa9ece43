#include "client/cli/shared.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/days.h"
#include "client/desk.h"
#include "client/key_change.h"

#define CATCH_UP_MS 6000
#define ARENA_BUDGET ((size_t)1024 * 1024)

/* Old news is better than none; but a stop by the user ends the verb. */
static int catch_up(struct cli *c)
{
	struct link_options options = {.timeout_ms = CATCH_UP_MS, .stop = &c->stop, .until_synced = true, .without_bulk = true};
	int r = link_run(c->client, &options);

	if (r == RK_OK || r == RK_EINTERRUPTED)
		return r;
	out_warn(c, TEXT_NOT_CAUGHT_UP, errcode_sentence(r, c->lang));
	return RK_OK;
}

int shared_open(struct cli *c)
{
	int r = cli_open_joined(c);

	if (r != RK_OK)
		return r;
	if ((r = keys_unlock(c->client, KEY_DEVICE)) != RK_OK)
		return cli_fail(c, r, TEXT_CANNOT_UNLOCK, text(TEXT_KEY_DEVICE, c->lang));
	return catch_up(c);
}

int shared_begin(struct cli *c, bool write, struct shared *s)
{
	int r;

	*s = (struct shared){.c = c, .client = c->client};
	if ((s->a = arena_new(ARENA_BUDGET)) == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(client_env(c->client), write, &s->t)) != RK_OK) {
		arena_free(s->a);
		s->a = NULL;
	}
	return r;
}

int shared_end(struct shared *s, int rc)
{
	if (s->t != NULL) {
		if (rc == RK_OK)
			rc = env_commit(s->t);
		else
			env_abort(s->t);
	}
	s->t = NULL;
	arena_free_wiped(s->a);
	s->a = NULL;
	return rc;
}

int shared_row_begin(struct shared *s, struct shared_row *row)
{
	row->whole = s->a;
	if ((s->a = arena_new(ARENA_BUDGET)) != NULL)
		return RK_OK;
	s->a = row->whole;
	return RK_ENOMEM;
}

void shared_row_end(struct shared *s, struct shared_row *row)
{
	arena_free_wiped(s->a);
	s->a = row->whole;
}

int shared_list(struct cli *c, int argc, char **argv, const struct shared_list *what)
{
	const struct cli_usage usage = {NULL, "", 0, 0, what->help};
	struct out_table *table = NULL;
	Rkl__EnvelopeRecord **list;
	struct cli_args args;
	struct shared s;
	size_t n = 0;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = mail_list(s.t, s.a, what->wants, 0, &list, &n)) == RK_OK && !c->json)
		table = out_table_new(c, what->columns, what->headings);
	for (size_t i = 0; i < n && r == RK_OK; i++) {
		struct shared_row row;

		if ((r = shared_row_begin(&s, &row)) == RK_OK) {
			r = what->row(&s, table, list[i]);
			shared_row_end(&s, &row);
		}
	}
	out_table_end(table, what->none);
	if (r == RK_OK && n > 0 && what->some != TEXT_NONE)
		out_say(c, what->some);
	return shared_end(&s, r);
}

int shared_id(struct shared *s, unsigned table, const char *given, uint8_t *id, size_t len, enum text_id what)
{
	int r = cli_find_id(s->t, table, given, id, len);

	if (r == RK_EUSAGE)
		return cli_refuse(s->c, r, TEXT_HINT_ID, TEXT_NOT_AN_ID, given);
	if (r == RK_CONFLICT)
		return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_ID, TEXT_ID_AMBIGUOUS, given);
	if (r == RK_ENOTFOUND)
		return cli_refuse(s->c, r, TEXT_HINT_SYNC, what, given);
	return r;
}

int shared_agreement(struct shared *s, const char *given, bool content, int unknown, struct agreement **out)
{
	uint8_t nda_id[32];
	int r = cli_find_id(s->t, C_NDA, given, nda_id, 32);

	*out = NULL;
	if (r == RK_ENOTFOUND && unknown == RK_ENOTFOUND)
		return cli_refuse(s->c, r, TEXT_HINT_SYNC, TEXT_AGREEMENT_NOT_HERE, given);
	if (r == RK_ENOTFOUND)
		return cli_fail(s->c, unknown, TEXT_AGREEMENT_UNKNOWN, given);
	if (r == RK_OK)
		r = agreement_load(s->client, s->t, nda_id, content, s->a, out);
	else if (r == RK_EUSAGE || r == RK_CONFLICT)
		return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_ID, r == RK_EUSAGE ? TEXT_NOT_AN_ID : TEXT_ID_AMBIGUOUS, given);
	return r == RK_OK ? RK_OK : cli_fail(s->c, r, TEXT_AGREEMENT_UNREADABLE, given);
}

static int find_org(struct shared *s, const char *given, uint8_t id[16])
{
	if (strcmp(given, "self") != 0)
		return book_find_org(s->client, s->t, given, id);
	memcpy(id, client_org_id(s->client), 16);
	return RK_OK;
}

static int report_org(struct shared *s, const char *given, int r)
{
	if (r == RK_CONFLICT)
		return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_ORG, TEXT_ORG_AMBIGUOUS, given);
	return cli_fail(s->c, r == RK_ENOTFOUND ? RK_UNKNOWN_RECIPIENT : r, TEXT_ORG_UNKNOWN, given);
}

int shared_orgs(struct shared *s, const struct cli_list *list, uint8_t (*ids)[16], size_t max, size_t *count)
{
	int r;

	for (*count = 0; *count < list->count; (*count)++) {
		if (*count == max)
			return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_TOO_MANY_ORGS, (int)max);
		if ((r = find_org(s, list->item[*count], ids[*count])) != RK_OK)
			return report_org(s, list->item[*count], r);
	}
	return RK_OK;
}

int shared_desk(struct shared *s, const uint8_t org_id[16], const char *name, uint32_t *desk_id)
{
	int r = desk_find(s->client, s->t, org_id, name, s->a, desk_id);
	const char *all = "";
	struct desk *list;
	size_t n;

	if (r == RK_CONFLICT)
		return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_DESKS, TEXT_DESK_AMBIGUOUS, shared_name(s, org_id), name);
	if (r != RK_ENOTFOUND)
		return r;
	if (desk_list(s->client, s->t, org_id, s->a, &list, &n) != RK_OK)
		n = 0;
	for (size_t i = 0; i < n; i++)
		all = shared_text(s, "%s%s%s", all, i > 0 ? text(TEXT_COMMA, s->c->lang) : "", list[i].name);
	return cli_refuse(s->c, RK_UNKNOWN_RECIPIENT, TEXT_HINT_DESKS, TEXT_DESK_UNKNOWN, shared_name(s, org_id), name,
	                  n > 0 ? all : text(TEXT_DESK_NONE, s->c->lang));
}

/* A name of an organisation may have a stroke in it: what is one as a whole names no desk. */
static int find_addressee(struct shared *s, const char *given, uint8_t id[16], uint32_t *desk)
{
	const char *stroke = strrchr(given, '/');
	int r = find_org(s, given, id);

	*desk = 0;
	if (r == RK_OK || stroke == NULL)
		return r == RK_OK ? r : report_org(s, given, r);
	if ((r = find_org(s, shared_text(s, "%.*s", (int)(stroke - given), given), id)) != RK_OK)
		return report_org(s, given, r);
	return shared_desk(s, id, stroke + 1, desk);
}

int shared_addressees(struct shared *s, const struct cli_list *list, uint8_t (*ids)[16], uint32_t *desks, size_t max, size_t *count)
{
	int r;

	for (*count = 0; *count < list->count; (*count)++) {
		if (*count == max)
			return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_TOO_MANY_ORGS, (int)max);
		if ((r = find_addressee(s, list->item[*count], ids[*count], &desks[*count])) != RK_OK)
			return r;
	}
	return RK_OK;
}

const char *shared_name(struct shared *s, const uint8_t *org_id)
{
	return book_org_name(s->client, s->t, org_id, s->c->lang, s->a);
}

const char *shared_names(struct shared *s, ProtobufCBinaryData *const orgs, size_t n)
{
	const char *all = "";

	for (size_t i = 0; i < n; i++)
		all = shared_text(s, "%s%s%s", all, i > 0 ? text(TEXT_COMMA, s->c->lang) : "", shared_name(s, orgs[i].data));
	return all;
}

const char *shared_addressee(struct shared *s, const uint8_t *org_id, uint32_t desk_id)
{
	if (desk_id == 0)
		return shared_name(s, org_id);
	return shared_text(s, "%s/%s", shared_name(s, org_id), desk_name(s->client, s->t, org_id, desk_id, s->a));
}

const char *shared_addressed(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	const char *all = "";

	for (size_t i = 0; i < record->n_recipients; i++)
		all = shared_text(s, "%s%s%s", all, i > 0 ? text(TEXT_COMMA, s->c->lang) : "",
		                  shared_addressee(s, record->recipients[i].data,
		                                   i < record->n_recipient_desks ? record->recipient_desks[i] : 0));
	return all;
}

json_t *shared_org_json(struct shared *s, const uint8_t *org_id)
{
	json_t *o = json_object();

	out_set_id(o, "org_id", bytes_make(org_id, 16));
	out_set_text(o, "name", shared_name(s, org_id));
	return o;
}

json_t *shared_outcome_json(const char *id_name, const struct outcome *out)
{
	json_t *o = json_object();

	out_set_id(o, id_name, BYTES_OF(out->env_id));
	out_set_time(o, "time", out->time_ms);
	out_set_number(o, "log_index", (int64_t)out->log_index);
	return o;
}

static const char *keep_text(struct shared *s, const char *format, va_list ap)
{
	char *made = NULL, *kept;
	int n = vasprintf(&made, format, ap);

	if (n < 0)
		return "";
	arena_raise(s->a, (size_t)n + 32);
	kept = arena_copy(s->a, made, (size_t)n);
	free(made);
	return kept != NULL ? kept : "";
}

const char *shared_text(struct shared *s, const char *format, ...)
{
	const char *kept;
	va_list ap;

	va_start(ap, format);
	kept = keep_text(s, format, ap);
	va_end(ap);
	return kept;
}

const char *shared_fill(struct shared *s, enum text_id id, ...)
{
	const char *kept;
	va_list ap;

	va_start(ap, id);
	kept = keep_text(s, text(id, s->c->lang), ap);
	va_end(ap);
	return kept;
}

int shared_fail(struct cli *c, int code, enum text_id what)
{
	if (code == RK_MALFORMED)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_LENGTHS, TEXT_BAD_TEXT);
	return cli_fail(c, code, what);
}

int shared_org_key(struct cli *c)
{
	int r = key_change_unlock_org(c->client);

	if (r == RK_OK)
		return r;
	/* Nothing that a key of before signs is taken any more. */
	if (r == RK_NOT_PERMITTED)
		return cli_refuse(c, r, TEXT_HINT_ORG_KEY_OTHER, TEXT_ORG_KEY_OTHER);
	if (r == RK_ENOTJOINED)
		return cli_refuse(c, r, TEXT_HINT_ORG_KEY, TEXT_NO_ORG_KEY, text(TEXT_KEY_ORG, c->lang));
	return cli_fail(c, r, TEXT_CANNOT_UNLOCK, text(TEXT_KEY_ORG, c->lang));
}

int shared_day(struct cli *c, const char *option, const char *given, uint32_t *day)
{
	if (given == NULL || days_parse(given, day) == RK_OK)
		return RK_OK;
	return cli_refuse(c, RK_EUSAGE, TEXT_HINT_DAY, TEXT_BAD_DAY, option, given);
}

enum text_id shared_state_text(enum nda_state state)
{
	static const enum text_id texts[] = {
		[NDA_SUPERSEDED] = TEXT_STATE_SUPERSEDED, [NDA_DECLINED] = TEXT_STATE_DECLINED, [NDA_WITHDRAWN] = TEXT_STATE_WITHDRAWN,
		[NDA_LAPSED] = TEXT_STATE_LAPSED, [NDA_PROPOSED] = TEXT_STATE_PROPOSED, [NDA_TERMINATED] = TEXT_STATE_TERMINATED,
		[NDA_EXPIRED] = TEXT_STATE_EXPIRED, [NDA_SUSPENDED] = TEXT_STATE_SUSPENDED, [NDA_HELD] = TEXT_STATE_HELD,
		[NDA_PENDING_START] = TEXT_STATE_PENDING_START, [NDA_TERMINATING] = TEXT_STATE_TERMINATING,
		[NDA_IN_FORCE] = TEXT_STATE_IN_FORCE,
	};

	return texts[state];
}

enum text_id shared_act_text(Rk__ActKind kind)
{
	static const enum text_id texts[] = {
		[RK__ACT_KIND__ACT_NONE] = TEXT_NONE, [RK__ACT_KIND__ACCEPT] = TEXT_ACT_ACCEPT, [RK__ACT_KIND__REJECT] = TEXT_ACT_REJECT,
		[RK__ACT_KIND__WITHDRAW_NDA] = TEXT_ACT_WITHDRAW, [RK__ACT_KIND__TERMINATE] = TEXT_ACT_TERMINATE,
		[RK__ACT_KIND__HOLD] = TEXT_ACT_HOLD, [RK__ACT_KIND__RESUME] = TEXT_ACT_RESUME,
	};

	return (size_t)kind < sizeof(texts) / sizeof(texts[0]) ? texts[kind] : TEXT_NONE;
}
