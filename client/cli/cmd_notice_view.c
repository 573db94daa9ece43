/* nda notices, nda read: what the parties told each other.  A notice is small: reading one signs for it and fetches it. */
#include "client/cli/cmd_dossier.h"
#include "client/cli/show_dossier.h"
#include "client/cli/notice_show.h"
#include "proto/strict.h"

static bool is_notice(const Rkl__EnvelopeRecord *record)
{
	return record->kind == RK__KIND__NDA_NOTICE;
}

/* Its content, NULL while it is sealed. */
static const Rk__Message *content(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	Rk__Message *m;

	return mail_message(s->client, s->t, record, s->a, &m) == RK_OK && m->notice != NULL ? m : NULL;
}

static json_t *notice_json(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m)
{
	const struct notice_type *type = m != NULL ? notice_type(m->type) : NULL;
	json_t *o = json_object(), *to = json_array(), *pickups = json_array();

	out_set_id(o, "notice_id", bytes_of(record->env_id));
	out_set_id(o, "nda_id", bytes_of(record->nda_id));
	out_set_text(o, "notice", type != NULL ? type->name : NULL);
	out_set_text(o, "direction", record->outgoing ? "out" : "in");
	out_set_text(o, "state", mail_state_name(record));
	json_object_set_new(o, "from", shared_org_json(s, record->sender_org.data));
	for (size_t i = 0; i < record->n_recipients; i++)
		json_array_append_new(to, shared_org_json(s, record->recipients[i].data));
	json_object_set_new(o, "to", to);
	out_set_time(o, "time", record->time_ms);
	out_set_time(o, "expires_at", record->expires_at);
	out_set_number(o, "log_index", (int64_t)record->log_index);
	for (size_t i = 0; i < record->n_pickups; i++) {
		json_t *p = shared_org_json(s, record->pickups[i]->org_id.data);

		out_set_time(p, "time", record->pickups[i]->time_ms);
		json_array_append_new(pickups, p);
	}
	json_object_set_new(o, "pickups", pickups);
	out_set_text(o, "return_reason", record->return_reason != 0 ? mail_return_name(record->return_reason) : NULL);
	out_set_text(o, "problem", record->problem != 0 ? errcode_name(record->problem) : NULL);
	return o;
}

/* ---- list */

static int list_row(struct shared *s, struct out_table *table, const Rkl__EnvelopeRecord *record)
{
	const Rk__Message *m = content(s, record);
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];

	if (s->c->json)
		return out_json(notice_json(s, record, m));
	out_table_row(table);
	out_table_cell(table, out_short(id, bytes_of(record->env_id)));
	out_table_cell(table, text(record->outgoing ? TEXT_WAY_OUT : TEXT_WAY_IN, s->c->lang));
	out_table_cell(table, out_time(when, record->time_ms));
	out_table_cell(table, show_dossier_state(s, record));
	out_table_cell(table, record->outgoing ? shared_names(s, record->recipients, record->n_recipients)
	               : shared_name(s, record->sender_org.data));
	out_table_cell(table, text(notice_show_kind(m != NULL ? m->type : 0), s->c->lang));
	return RK_OK;
}

static int list_rows(struct shared *s, struct out_table *table, const struct agreement *only)
{
	Rkl__EnvelopeRecord **list;
	size_t n;
	int r = mail_list(s->t, s->a, is_notice, 0, &list, &n);

	for (size_t i = 0; r == RK_OK && i < n; i++) {
		struct shared_row row;

		if (only != NULL && memcmp(list[i]->nda_id.data, only->nda_id, 32) != 0)
			continue;
		if ((r = shared_row_begin(s, &row)) == RK_OK) {
			r = list_row(s, table, list[i]);
			shared_row_end(s, &row);
		}
	}
	return r;
}

int cmd_nda_notices(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_COL_ID, TEXT_COL_WAY, TEXT_COL_TIME, TEXT_COL_STATE, TEXT_COL_WITH, TEXT_COL_WHAT};
	const struct cli_usage usage = {NULL, "[ID]", 0, 1, TEXT_HINT_READ};
	struct out_table *table = NULL;
	struct agreement *only = NULL;
	struct cli_args args;
	struct shared s;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if (args.count == 1 && (r = shared_agreement(&s, args.arg[0], false, RK_ENOTFOUND, &only)) != RK_OK)
		return shared_end(&s, r);
	if (!c->json)
		table = out_table_new(c, sizeof(headings) / sizeof(headings[0]), headings);
	r = list_rows(&s, table, only);
	out_table_end(table, TEXT_NOTICE_NONE);
	return shared_end(&s, r);
}

/* ---- read */

static int load(struct shared *s, const char *given, Rkl__EnvelopeRecord **record)
{
	uint8_t env_id[32];
	int r;

	if ((r = shared_id(s, C_ENVELOPE, given, env_id, 32, TEXT_NOTICE_NOT_HERE)) != RK_OK)
		return r;
	if ((r = mail_load(s->t, env_id, s->a, record)) == RK_OK && !is_notice(*record))
		return cli_refuse(s->c, RK_ENOTFOUND, TEXT_HINT_SYNC, TEXT_NOTICE_NOT_HERE, given);
	return r;
}

/* The notice that is meant; one that was refused when it came is not asked for. */
static int look(struct cli *c, const char *given, uint8_t env_id[32])
{
	Rkl__EnvelopeRecord *record;
	struct shared s;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = load(&s, given, &record)) == RK_OK) {
		memcpy(env_id, record->env_id.data, 32);
		if (record->state == RKL__ENVELOPE_STATE__FAILED)
			r = cli_fail(c, record->problem, TEXT_NOTICE_REFUSED, given);
	}
	return shared_end(&s, r);
}

static void show_lines(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m)
{
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];
	struct cli *c = s->c;

	out_field(c, TEXT_F_ID, out_hex(id, bytes_of(record->env_id)));
	out_field(c, TEXT_F_STATE, show_dossier_state(s, record));
	out_field(c, TEXT_F_AGREEMENT, out_short(id, bytes_of(record->nda_id)));
	out_field(c, TEXT_F_FROM, shared_name(s, record->sender_org.data));
	out_field(c, TEXT_F_TO, shared_names(s, record->recipients, record->n_recipients));
	out_field(c, TEXT_F_TIME, out_time(when, record->time_ms));
	notice_show(s, m->type, m->notice, m->text);
}

static int show(struct cli *c, const char *given, bool is_signed)
{
	Rkl__EnvelopeRecord *record;
	struct shared s;
	Rk__Message *m;
	json_t *json;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = load(&s, given, &record)) != RK_OK)
		return shared_end(&s, r);
	r = mail_message(c->client, s.t, record, s.a, &m);
	if (r != RK_OK || m->notice == NULL)
		return shared_end(&s, cli_fail(c, r == RK_ENOTFOUND && record->problem != RK_OK ? record->problem : r != RK_OK ? r : RK_EINTEGRITY,
		                               r == RK_ENEWER ? TEXT_CANNOT_READ_NOTICE : TEXT_NOTICE_REFUSED, given));
	if (c->json) {
		json = notice_json(&s, record, m);
		notice_show_json(json, m->type, m->notice, m->text);
		r = out_json(json);
	} else {
		show_lines(&s, record, m);
		if (is_signed)
			out_say(c, TEXT_SIGNED_FOR_NOTICE);
	}
	return shared_end(&s, r);
}

int cmd_nda_read(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "ID", 1, 1, TEXT_NONE};
	struct cli_args args;
	uint8_t env_id[32];
	bool is_signed;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = look(c, args.arg[0], env_id)) != RK_OK ||
	    (r = cmd_dossier_fetch(c, env_id, args.arg[0], TEXT_CANNOT_READ_NOTICE, &is_signed)) != RK_OK)
		return r;
	return show(c, args.arg[0], is_signed);
}
