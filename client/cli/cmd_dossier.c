/* dossier list and view. */
#include "client/cli/show_attach.h"
#include "client/cli/show_dossier.h"
#include "client/dossier.h"
#include "client/mail.h"

/* Notices have verbs of their own. */
static bool is_dossier(const Rkl__EnvelopeRecord *record)
{
	return record->kind == RK__KIND__NDA;
}

static int load(struct shared *s, const char *given, Rkl__EnvelopeRecord **record)
{
	return show_envelope_load(s, given, is_dossier, TEXT_DOSSIER_UNKNOWN, record);
}

static int list_row(struct shared *s, struct out_table *table, const Rkl__EnvelopeRecord *record)
{
	const Rk__Message *m = show_dossier_content(s, record);

	if (s->c->json)
		return out_json(show_dossier_json(s, record, m));
	show_envelope_row(s, table, record, show_attach_title(s, record, show_dossier_title(s, record, m)));
	return RK_OK;
}

int cmd_dossier_list(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_COL_ID, TEXT_COL_WAY, TEXT_COL_TIME, TEXT_COL_STATE, TEXT_COL_WITH, TEXT_COL_TITLE};
	static const struct shared_list list = {headings, 6, TEXT_NONE, TEXT_DOSSIER_NONE, TEXT_NONE, is_dossier, list_row};

	struct shared s;
	int r = shared_list(c, argc, argv, &list);

	if (r != RK_OK || c->json || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	show_attach_under_way(&s);
	return shared_end(&s, RK_OK);
}

int cmd_dossier_view(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "ID", 1, 1, TEXT_NONE};
	Rkl__EnvelopeRecord *record;
	const Rk__Message *m;
	struct cli_args args;
	struct shared s;
	json_t *json;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = load(&s, args.arg[0], &record)) != RK_OK)
		return shared_end(&s, r);
	m = show_dossier_content(&s, record);
	if (c->json) {
		json_t *files = json_array();

		json = show_dossier_json(&s, record, m);
		out_set_text(json, "text", m != NULL && m->dossier != NULL ? m->dossier->text : NULL);
		for (size_t i = 0; m != NULL && m->dossier != NULL && i < m->dossier->n_files; i++)
			json_array_append_new(files, show_attach_file_json(m->dossier->files[i]));
		json_object_set_new(json, "files", files);
		r = out_json(json);
	} else {
		show_dossier_lines(&s, record, m);
	}
	return shared_end(&s, r);
}
