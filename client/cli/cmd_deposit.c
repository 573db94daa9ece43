/* deposit: proof of what one had before, and the list of such proofs. */
#include "client/deposit.h"

#include "client/cli/shared.h"
#include "proto/strict.h"

static int report_hash(struct cli *c, int r, const char *path)
{
	switch (r) {
	case RK_OK:
		return r;
	case RK_ENOTFOUND:
		return cli_refuse(c, r, TEXT_HINT_FILE, TEXT_FILE_MISSING, path);
	case RK_EUSAGE:
		return cli_refuse(c, r, TEXT_NONE, TEXT_DEPOSIT_UNFIT, path);
	default:
		return cli_fail(c, r, TEXT_CANNOT_READ_FILE, path);
	}
}

static int say_deposited(struct cli *c, const uint8_t oh[32], const struct outcome *out)
{
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];
	json_t *json;

	if (c->json) {
		json = json_object();
		out_set_id(json, "deposit_id", bytes_make(oh, 32));
		out_set_text(json, "state", "logged");
		out_set_time(json, "time", out->time_ms);
		out_set_number(json, "log_index", (int64_t)out->log_index);
		return out_json(json);
	}
	out_field(c, TEXT_F_ID, out_hex(id, bytes_make(oh, 32)));
	out_field(c, TEXT_F_TIME, out_time(when, out->time_ms));
	out_say(c, TEXT_DEPOSITED);
	return RK_OK;
}

int cmd_deposit(struct cli *c, int argc, char **argv)
{
	const char *title = NULL;
	const struct cli_option options[] = {{"title", CLI_TEXT, &title, "TEXT", TEXT_OPT_DEPOSIT_TITLE, false}, {0}};
	const struct cli_usage usage = {options, "FILE", 1, 1, TEXT_HELP_DEPOSIT};
	struct deposit_secret secret;
	struct cli_args args;
	struct outcome out;
	struct shared s;
	uint8_t oh[32];
	uint64_t item;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if ((r = report_hash(c, deposit_hash(args.arg[0], &c->stop, s.a, &secret), args.arg[0])) == RK_OK) {
		secret.title = title != NULL ? title : "";
		if ((r = deposit_add(c->client, s.t, &secret, oh, &item)) == RK_EUSAGE)
			r = cli_refuse(c, r, TEXT_HINT_LENGTHS, TEXT_BAD_TEXT);
		else if (r != RK_OK)
			r = cli_fail(c, r, TEXT_CANNOT_DEPOSIT);
	}
	if ((r = shared_end(&s, r)) != RK_OK)
		return r;
	r = cli_finish(c, item, TEXT_CANNOT_DEPOSIT, &out);
	return r != RK_OK ? r : say_deposited(c, oh, &out);
}

/* ---- list */

static int json_row(struct shared *s, const Rkl__DepositRecord *record, const struct deposit_secret *secret)
{
	json_t *o = json_object();

	out_set_id(o, "deposit_id", bytes_of(record->oh));
	out_set_text(o, "state", deposit_state_name(s->t, record));
	out_set_time(o, "time", record->time_ms);
	if (record->logged)
		out_set_number(o, "log_index", (int64_t)record->log_index);
	out_set_text(o, "name", secret != NULL ? secret->name : NULL);
	out_set_text(o, "title", secret != NULL && secret->title[0] != '\0' ? secret->title : NULL);
	out_set_id(o, "sha256", secret != NULL ? BYTES_OF(secret->sha256) : (struct bytes){0});
	if (secret != NULL)
		out_set_number(o, "bytes", (int64_t)secret->size);
	return out_json(o);
}

static void table_row(struct shared *s, struct out_table *table, const Rkl__DepositRecord *record, const struct deposit_secret *secret)
{
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];

	out_table_row(table);
	out_table_cell(table, out_short(id, bytes_of(record->oh)));
	out_table_cell(table, out_time(when, record->time_ms));
	out_table_cell(table, cli_word(s->c, deposit_state_name(s->t, record)));
	out_table_cell(table, record->logged ? shared_text(s, "%llu", (unsigned long long)record->log_index) : "");
	out_table_cell(table, secret != NULL ? secret->name : text(TEXT_DEPOSIT_ELSEWHERE, s->c->lang));
	out_table_cell(table, secret != NULL ? secret->title : "");
}

static int print_row(struct shared *s, struct out_table *table, const Rkl__DepositRecord *record)
{
	struct deposit_secret secret;
	int r = deposit_open(s->client, record, s->a, &secret);

	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	if (s->c->json)
		return json_row(s, record, r == RK_OK ? &secret : NULL);
	table_row(s, table, record, r == RK_OK ? &secret : NULL);
	return RK_OK;
}

int cmd_deposit_list(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_COL_ID, TEXT_COL_TIME, TEXT_COL_STATE, TEXT_COL_LOG, TEXT_COL_FILE, TEXT_COL_TITLE};
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_NONE};
	struct out_table *table = NULL;
	Rkl__DepositRecord **list;
	struct cli_args args;
	struct shared s;
	size_t n = 0;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = deposit_list(s.t, s.a, &list, &n)) == RK_OK && !c->json)
		table = out_table_new(c, sizeof(headings) / sizeof(headings[0]), headings);
	for (size_t i = 0; i < n && r == RK_OK; i++) {
		struct shared_row row;

		if ((r = shared_row_begin(&s, &row)) == RK_OK) {
			r = print_row(&s, table, list[i]);
			shared_row_end(&s, &row);
		}
	}
	out_table_end(table, TEXT_DEPOSIT_NONE);
	return shared_end(&s, r);
}
