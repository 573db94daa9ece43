/* dossier log: the register of disclosures: who disclosed what to whom, when, under which agreement, and what became of it. */
#include <stdlib.h>

#include "client/cli/csv.h"
#include "client/cli/shared.h"
#include "client/cli/show_dossier.h"
#include "client/days.h"
#include "proto/strict.h"

struct selection {
	const char *nda, *since, *until;
	bool csv;
	uint8_t nda_id[32];
	int64_t from_ms, to_ms;     /* to_ms 0: no end */
};

/* One disclosure to one recipient. */
struct row {
	const Rkl__EnvelopeRecord *record;
	const uint8_t *to;
	struct mail_fate fate;
	const Rk__Message *m;       /* NULL where it cannot be opened here */
	size_t files;
	uint64_t bytes;
};

/* Names in the header line and in JSON: fixed, whatever the language. */
enum column {
	COLUMN_TIME, COLUMN_DIRECTION, COLUMN_KIND, COLUMN_FROM, COLUMN_FROM_ID, COLUMN_TO, COLUMN_TO_ID, COLUMN_NDA_ID, COLUMN_TITLE,
	COLUMN_FILES, COLUMN_BYTES, COLUMN_MARKING, COLUMN_DOSSIER_ID, COLUMN_LOG_INDEX, COLUMN_STATE, COLUMN_PICKED_UP_AT,
	COLUMN_PICKED_UP_BY, COLUMN_PICKUP_LOG_INDEX, COLUMN_REFUSED_AT, COLUMN_DECLINED_AT, COLUMN_NACK_LOG_INDEX, COLUMN_RETURNED_AT,
	COLUMN_RETURN_REASON, COLUMN_EXPIRES_AT, COLUMN_DESTROYED_AT, COLUMN_COUNT,
};
static const char *const columns[COLUMN_COUNT] = {
	"time", "direction", "kind", "from", "from_id", "to", "to_id", "nda_id", "title", "files", "bytes", "marking", "dossier_id",
	"log_index", "state", "picked_up_at", "picked_up_by", "pickup_log_index", "refused_at", "declined_at", "nack_log_index",
	"returned_at", "return_reason", "expires_at", "destroyed_at",
};
static const bool is_number[COLUMN_COUNT] = {
	[COLUMN_FILES] = true, [COLUMN_BYTES] = true, [COLUMN_LOG_INDEX] = true, [COLUMN_PICKUP_LOG_INDEX] = true,
	[COLUMN_NACK_LOG_INDEX] = true,
};

/* ---- cells */

static const char *time_cell(struct shared *s, int64_t ms)
{
	char buf[OUT_TIME_CHARS];

	return ms != 0 ? shared_text(s, "%s", out_time_utc(buf, ms)) : NULL;
}

static const char *id_cell(struct shared *s, struct bytes id)
{
	char buf[OUT_ID_CHARS];

	return shared_text(s, "%s", out_hex(buf, id));
}

static const char *number_cell(struct shared *s, uint64_t n)
{
	return shared_text(s, "%llu", (unsigned long long)n);
}

static const char *title_cell(const struct row *row)
{
	if (row->m == NULL)
		return NULL;
	return row->m->dossier != NULL ? row->m->dossier->title : row->m->notice != NULL ? row->m->notice->title : NULL;
}

static void content_cells(struct shared *s, const struct row *row, const char **cell)
{
	cell[COLUMN_TITLE] = title_cell(row);
	if (row->m != NULL) {
		cell[COLUMN_FILES] = number_cell(s, row->files);
		cell[COLUMN_BYTES] = number_cell(s, row->bytes);
	}
}

static void fate_cells(struct shared *s, const struct row *row, const char **cell)
{
	const struct mail_fate *f = &row->fate;

	if (f->pickup != NULL) {
		cell[COLUMN_PICKED_UP_AT] = time_cell(s, f->pickup->time_ms);
		cell[COLUMN_PICKED_UP_BY] = id_cell(s, bytes_of(f->pickup->device_id));
		cell[COLUMN_PICKUP_LOG_INDEX] = number_cell(s, f->pickup->log_index);
	}
	if (f->nack != NULL) {
		bool is_declined = f->nack->reason == RK__NACK_REASON__NACK_DECLINED;

		cell[is_declined ? COLUMN_DECLINED_AT : COLUMN_REFUSED_AT] = time_cell(s, f->nack->time_ms);
		cell[COLUMN_NACK_LOG_INDEX] = number_cell(s, f->nack->log_index);
	}
	if (f->returned != NULL) {
		cell[COLUMN_RETURNED_AT] = time_cell(s, f->returned->time_ms);
		cell[COLUMN_RETURN_REASON] = mail_return_name(f->returned->reason);
	}
}

static void fill(struct shared *s, const struct row *row, const char *cell[COLUMN_COUNT])
{
	const Rkl__EnvelopeRecord *record = row->record;

	for (size_t i = 0; i < COLUMN_COUNT; i++)
		cell[i] = NULL;
	cell[COLUMN_TIME] = time_cell(s, record->time_ms);
	cell[COLUMN_DIRECTION] = record->outgoing ? "out" : "in";
	cell[COLUMN_KIND] = record->kind == RK__KIND__NDA_NOTICE ? "notice" : "dossier";
	cell[COLUMN_FROM] = shared_name(s, record->sender_org.data);
	cell[COLUMN_FROM_ID] = id_cell(s, bytes_of(record->sender_org));
	cell[COLUMN_TO] = shared_name(s, row->to);
	cell[COLUMN_TO_ID] = id_cell(s, bytes_make(row->to, 16));
	cell[COLUMN_NDA_ID] = id_cell(s, bytes_of(record->nda_id));
	cell[COLUMN_MARKING] = show_marking_name(record->marking);
	cell[COLUMN_DOSSIER_ID] = id_cell(s, bytes_of(record->env_id));
	cell[COLUMN_LOG_INDEX] = record->logged ? number_cell(s, record->log_index) : NULL;
	cell[COLUMN_STATE] = record->outgoing ? mail_outcome_name(row->fate.outcome) : mail_state_name(record);
	cell[COLUMN_EXPIRES_AT] = time_cell(s, record->expires_at);
	cell[COLUMN_DESTROYED_AT] = time_cell(s, record->destroyed_at);
	content_cells(s, row, cell);
	fate_cells(s, row, cell);
}

/* ---- rows */

static int print_csv(const char *const *cell)
{
	char *line = csv_line(cell, COLUMN_COUNT);
	int r = line != NULL ? out_plain(line) : RK_ENOMEM;

	free(line);
	return r;
}

static int print_json(const char *const *cell)
{
	json_t *o = json_object();

	for (size_t i = 0; i < COLUMN_COUNT; i++)
		if (is_number[i] && cell[i] != NULL)
			out_set_number(o, columns[i], (int64_t)strtoll(cell[i], NULL, 10));
		else
			out_set_text(o, columns[i], cell[i]);
	return out_json(o);
}

static void print_cells(struct shared *s, struct out_table *table, const struct row *row)
{
	const Rkl__EnvelopeRecord *record = row->record;
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];

	out_table_row(table);
	out_table_cell(table, out_time(when, record->time_ms));
	out_table_cell(table, shared_name(s, record->sender_org.data));
	out_table_cell(table, shared_name(s, row->to));
	out_table_cell(table, out_short(id, bytes_of(record->nda_id)));
	out_table_cell(table, show_dossier_title(s, record, row->m));
	/* A notice has none. */
	out_table_cell(table, row->m != NULL && row->m->dossier != NULL ?
		       shared_text(s, "%zu (%llu)", row->files, (unsigned long long)row->bytes) : "");
	out_table_cell(table, show_marking_text(s, record->marking));
	out_table_cell(table, out_short(id, bytes_of(record->env_id)));
	out_table_cell(table, shared_text(s, "%llu", (unsigned long long)record->log_index));
	out_table_cell(table, record->outgoing ? show_dossier_fate(s, record, row->to) : show_dossier_state(s, record));
}

static int print_row(struct shared *s, const struct selection *o, struct out_table *table, const Rkl__EnvelopeRecord *record,
                     const uint8_t *to)
{
	struct row row = {.record = record, .to = to};
	const char *cell[COLUMN_COUNT];
	struct shared_row kept;
	int r;

	if ((r = shared_row_begin(s, &kept)) != RK_OK)
		return r;
	mail_fate(record, to, &row.fate);
	row.m = show_dossier_content(s, record);
	for (size_t i = 0; row.m != NULL && row.m->dossier != NULL && i < row.m->dossier->n_files; i++, row.files++)
		row.bytes += row.m->dossier->files[i]->plain_len;
	if (!o->csv && !s->c->json) {
		print_cells(s, table, &row);
	} else {
		fill(s, &row, cell);
		r = o->csv ? print_csv(cell) : print_json(cell);
	}
	shared_row_end(s, &kept);
	return r;
}

/* Of what came, we know what became of it only here: one row. */
static int print_record(struct shared *s, const struct selection *o, struct out_table *table, const Rkl__EnvelopeRecord *record)
{
	int r = RK_OK;

	if (!record->outgoing)
		return print_row(s, o, table, record, client_org_id(s->client));
	for (size_t i = 0; i < record->n_recipients && r == RK_OK; i++)
		r = print_row(s, o, table, record, record->recipients[i].data);
	return r;
}

static bool is_selected(const struct selection *o, const Rkl__EnvelopeRecord *record)
{
	if (o->nda != NULL && !bytes_equal(bytes_of(record->nda_id), BYTES_OF(o->nda_id)))
		return false;
	return record->time_ms >= o->from_ms && (o->to_ms == 0 || record->time_ms < o->to_ms);
}

/* ---- the verb */

static int read_selection(struct shared *s, struct selection *o)
{
	uint32_t since = 0, until = 0;
	struct agreement *ag;
	int r;

	if (o->csv && s->c->json)
		return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_CSV_OR_JSON);
	if ((r = shared_day(s->c, "since", o->since, &since)) != RK_OK || (r = shared_day(s->c, "until", o->until, &until)) != RK_OK)
		return r;
	if ((since != 0 && (r = days_start(since, out_zone(), &o->from_ms)) != RK_OK) ||
	    (until != 0 && (r = days_end(until, out_zone(), &o->to_ms)) != RK_OK))
		return cli_fail(s->c, r, TEXT_CANNOT_READ_DAY);
	if (o->nda == NULL)
		return RK_OK;
	if ((r = shared_agreement(s, o->nda, false, RK_ENOTFOUND, &ag)) == RK_OK)
		memcpy(o->nda_id, ag->nda_id, 32);
	return r;
}

static int print_all(struct shared *s, const struct selection *o)
{
	static const enum text_id headings[] = {TEXT_COL_TIME, TEXT_COL_FROM, TEXT_COL_TO, TEXT_COL_AGREEMENT, TEXT_COL_TITLE,
	                                        TEXT_COL_FILES, TEXT_COL_MARK, TEXT_COL_ID, TEXT_COL_LOG, TEXT_COL_STATE};
	struct out_table *table = NULL;
	Rkl__EnvelopeRecord **list;
	size_t n;
	int r = mail_list(s->t, s->a, show_is_dossier, 0, &list, &n);

	if (r == RK_OK && o->csv)
		r = print_csv(columns);
	else if (r == RK_OK && !s->c->json)
		table = out_table_new(s->c, sizeof(headings) / sizeof(headings[0]), headings);
	/* A register reads from its beginning. */
	for (size_t i = n; i > 0 && r == RK_OK; i--)
		if (is_selected(o, list[i - 1]))
			r = print_record(s, o, table, list[i - 1]);
	out_table_end(table, TEXT_LOG_EMPTY);
	return r;
}

int cmd_dossier_log(struct cli *c, int argc, char **argv)
{
	struct selection o = {0};
	const struct cli_option options[] = {
		{"nda", CLI_TEXT, &o.nda, "ID", TEXT_OPT_LOG_NDA, false},
		{"since", CLI_TEXT, &o.since, "DATE", TEXT_OPT_SINCE, false},
		{"until", CLI_TEXT, &o.until, "DATE", TEXT_OPT_LOG_UNTIL, false},
		{"csv", CLI_FLAG, &o.csv, NULL, TEXT_OPT_CSV, false},
		{0},
	};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_LOG};
	struct cli_args args;
	struct shared s;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = read_selection(&s, &o)) == RK_OK)
		r = print_all(&s, &o);
	return shared_end(&s, r);
}
