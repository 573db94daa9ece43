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
	const Rk__Message *m = show_dossier_content(s, record);

	return m != NULL && m->notice != NULL ? m : NULL;
}

static json_t *notice_json(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m)
{
	const struct notice_type *type = m != NULL ? notice_type(m->type) : NULL;
	json_t *o = show_envelope_json(s, record, "notice_id");

	out_set_text(o, "notice", type != NULL ? type->name : NULL);
	return o;
}

/* ---- list */

static int list_row(struct shared *s, struct out_table *table, const Rkl__EnvelopeRecord *record)
{
	const Rk__Message *m = content(s, record);

	if (s->c->json)
		return out_json(notice_json(s, record, m));
	show_envelope_row(s, table, record, show_dossier_title(s, record, m));
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
	return show_envelope_load(s, given, is_notice, TEXT_NOTICE_NOT_HERE, record);
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
	if (r == RK_ENOTFOUND && record->problem == RK_NO_RECIPIENT_KEY)
		return shared_end(&s, cmd_dossier_sealed_before(c, given));
	if (r != RK_OK || m->notice == NULL)
		return shared_end(&s, cli_fail(c, r == RK_ENOTFOUND && record->problem != RK_OK ? record->problem : r != RK_OK ? r : RK_EINTEGRITY,
		                               r == RK_ENEWER ? TEXT_CANNOT_READ_NOTICE : TEXT_NOTICE_REFUSED, given));
	if (c->json) {
		json = notice_json(&s, record, m);
		notice_show_json(json, m->type, m->notice, m->text);
		r = out_json(json);
	} else {
		show_envelope_head(&s, record);
		show_envelope_fates(&s, record);
		notice_show(&s, m->type, m->notice, m->text);
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
