/* nda list, nda view: which agreements there are, and one of them. */
#include "client/cli/show_nda.h"

static int list_row(struct shared *s, struct out_table *table, const struct duty_facts *facts, const uint8_t nda_id[32])
{
	enum lang lang = s->c->lang;
	struct agreement *ag;
	const char *with = "";
	char id[OUT_ID_CHARS];
	int r;

	if ((r = agreement_load(s->client, s->t, nda_id, true, s->a, &ag)) != RK_OK)
		return r;
	if (s->c->json)
		return out_json(show_nda_json(s, ag, facts, false));
	for (int p = 0; p < ag->row.party_count; p++)
		if (p != ag->self)
			with = shared_text(s, "%s%s%s", with, with[0] != '\0' ? text(TEXT_COMMA, lang) : "",
			                   shared_name(s, ag->row.parties[p].org_id));
	out_table_row(table);
	out_table_cell(table, out_short(id, bytes_make(ag->nda_id, 32)));
	out_table_cell(table, text(shared_state_text(ag->state), lang));
	out_table_cell(table, with);
	out_table_cell(table, show_nda_next_date(s, ag, facts));
	out_table_cell(table, show_nda_title(ag));
	return RK_OK;
}

int cmd_nda_list(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_COL_ID, TEXT_COL_STATE, TEXT_COL_WITH, TEXT_COL_NEXT, TEXT_COL_TITLE};
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_NONE};
	struct out_table *table = NULL;
	struct duty_facts facts;
	const uint8_t (*ids)[32];
	struct cli_args args;
	struct shared s;
	size_t n;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = duty_load(c->client, s.t, s.a, &facts)) != RK_OK)
		return shared_end(&s, r);
	if ((r = agreement_ids(s.t, s.a, &ids, &n)) == RK_OK && !c->json)
		table = out_table_new(c, 5, headings);
	for (size_t i = 0; i < n && r == RK_OK; i++) {
		struct shared_row row;

		if ((r = shared_row_begin(&s, &row)) == RK_OK) {
			r = list_row(&s, table, &facts, ids[i]);
			shared_row_end(&s, &row);
		}
	}
	out_table_end(table, TEXT_NDA_NONE);
	return shared_end(&s, r);
}

int cmd_nda_view(struct cli *c, int argc, char **argv)
{
	bool document = false;
	const struct cli_option options[] = {{"document", CLI_FLAG, &document, NULL, TEXT_OPT_SHOW_DOCUMENT, false}, {0}};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_NONE};
	struct duty_facts facts;
	struct cli_args args;
	struct agreement *ag;
	struct shared s;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = shared_agreement(&s, args.arg[0], true, RK_ENOTFOUND, &ag)) != RK_OK ||
	    (r = duty_load(c->client, s.t, s.a, &facts)) != RK_OK)
		return shared_end(&s, r);
	if (document)
		r = show_nda_document(&s, ag);
	else if (c->json)
		r = out_json(show_nda_json(&s, ag, &facts, true));
	else
		show_nda_lines(&s, ag, &facts);
	return shared_end(&s, r);
}
