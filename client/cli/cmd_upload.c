/* dossier uploads, resume, cancel: dossiers whose attachments are on their way out. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/attach.h"
#include "client/cli/progress.h"
#include "client/cli/upload.h"

static const char *state_name(const struct upload_row *row)
{
	return row->complete ? "complete" : row->have > 0 ? "sending" : "waiting";
}

static json_t *row_json(const struct upload_row *row)
{
	json_t *o = json_object();

	out_set_number(o, "upload", (int64_t)row->item);
	out_set_id(o, "nda_id", BYTES_OF(row->nda_id));
	out_set_time(o, "created_at", row->created_at);
	out_set_time(o, "moved_at", row->moved_at);
	out_set_number(o, "attachments", row->files);
	out_set_number(o, "bytes", (int64_t)row->bytes);
	out_set_number(o, "have", (int64_t)row->have);
	out_set_text(o, "state", state_name(row));
	return o;
}

static void row_cells(struct shared *s, struct out_table *table, const struct upload_row *row)
{
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS], have[PROGRESS_BYTES_CHARS], bytes[PROGRESS_BYTES_CHARS];

	out_table_row(table);
	out_table_cell(table, shared_text(s, "%" PRIu64, row->item));
	out_table_cell(table, out_short(id, BYTES_OF(row->nda_id)));
	out_table_cell(table, out_time(when, row->created_at));
	out_table_cell(table, shared_text(s, "%u", row->files));
	out_table_cell(table, shared_fill(s, TEXT_SENT_OF, progress_bytes(have, row->have), progress_bytes(bytes, row->bytes)));
}

int cmd_dossier_uploads(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_COL_NUMBER, TEXT_COL_AGREEMENT, TEXT_COL_SINCE, TEXT_COL_ATTACHMENTS, TEXT_COL_SENT};
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_HELP_DOSSIER_UPLOADS};
	struct upload_row *rows = calloc(UPLOAD_ROWS_MAX, sizeof(*rows));
	struct out_table *table = NULL;
	struct cli_args args;
	struct shared s;
	size_t n = 0;
	int r = rows == NULL ? RK_ENOMEM : cli_parse(c, &usage, argc, argv, &args);

	/* What is here is all there is to know: the exchange need not answer. */
	if (r != RK_OK || (r = cli_open_joined(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		goto out;
	if ((r = upload_rows(&s, rows, &n)) == RK_OK && !c->json)
		table = out_table_new(c, 5, headings);
	for (size_t i = 0; i < n && r == RK_OK; i++) {
		if (c->json)
			r = out_json(row_json(&rows[i]));
		else
			row_cells(&s, table, &rows[i]);
	}
	out_table_end(table, TEXT_UPLOADS_NONE);
	if (r == RK_OK && n > 0)
		out_say(c, TEXT_HINT_UPLOAD_RESUME);
	r = shared_end(&s, r);
out:
	free(rows);
	return r;
}

/* The number that people give; RK_EUSAGE reported. */
static int read_number(struct cli *c, const char *given, uint64_t *number)
{
	char *end;

	*number = strtoull(given, &end, 10);
	if (given[0] >= '0' && given[0] <= '9' && *end == '\0')
		return RK_OK;
	return cli_refuse(c, RK_EUSAGE, TEXT_HINT_UPLOADS, TEXT_UPLOAD_UNKNOWN, given);
}

/* Those that are meant: one by its number, or all. */
static int choose(struct cli *c, const char *given, uint64_t number, struct upload_row *rows, size_t *n)
{
	struct shared s;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	r = upload_rows(&s, rows, n);
	for (size_t i = 0; given != NULL && i < *n; i++)
		if (rows[i].item == number) {
			rows[0] = rows[i];
			*n = 1;
			return shared_end(&s, r);
		}
	if ((r = shared_end(&s, r)) != RK_OK || given == NULL)
		return r;
	return cli_refuse(c, RK_ENOTFOUND, TEXT_HINT_UPLOADS, TEXT_UPLOAD_UNKNOWN, given);
}

static int resume_one(struct cli *c, uint64_t item)
{
	struct outcome out;
	char id[OUT_ID_CHARS];
	int r = upload_finish(c, item, TEXT_CANNOT_RESUME, &out);

	if (r != RK_OK)
		return r;
	if (c->json)
		return out_json(shared_outcome_json("dossier_id", &out));
	out_field(c, TEXT_F_ID, out_hex(id, BYTES_OF(out.env_id)));
	out_say(c, TEXT_DOSSIER_SENT);
	return RK_OK;
}

int cmd_dossier_resume(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "[NUMBER]", 0, 1, TEXT_HELP_DOSSIER_RESUME};
	struct upload_row *rows = calloc(UPLOAD_ROWS_MAX, sizeof(*rows));
	struct cli_args args;
	uint64_t number = 0;
	size_t n = 0;
	int r = rows == NULL ? RK_ENOMEM : cli_parse(c, &usage, argc, argv, &args);

	if (r == RK_OK && args.count > 0)
		r = read_number(c, args.arg[0], &number);
	if (r != RK_OK || (r = cli_open_joined(c)) != RK_OK)
		goto out;
	if ((r = choose(c, args.count > 0 ? args.arg[0] : NULL, number, rows, &n)) != RK_OK)
		goto out;
	if (n == 0)
		out_say(c, TEXT_UPLOADS_NONE);
	for (size_t i = 0; i < n && r == RK_OK; i++)
		r = resume_one(c, rows[i].item);
out:
	free(rows);
	return r;
}

int cmd_dossier_cancel(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "NUMBER", 1, 1, TEXT_HELP_DOSSIER_CANCEL};
	struct cli_args args;
	struct shared s;
	uint64_t number;
	json_t *o;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = read_number(c, args.arg[0], &number)) != RK_OK)
		return r;
	if ((r = cli_open_joined(c)) != RK_OK || (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	r = attach_cancel(c->client, s.t, number);
	if (r == RK_ENOTFOUND)
		r = cli_refuse(c, r, TEXT_HINT_UPLOADS, TEXT_UPLOAD_UNKNOWN, args.arg[0]);
	else if (r == RK_CONFLICT)
		r = cli_refuse(c, r, TEXT_NONE, TEXT_CANCEL_LATE, args.arg[0]);
	if ((r = shared_end(&s, r)) != RK_OK)
		return r;
	spool_sweep(c->client);
	if (!c->json) {
		out_say(c, TEXT_CANCELLED);
		return RK_OK;
	}
	o = json_object();
	out_set_number(o, "upload", (int64_t)number);
	out_set_text(o, "state", "cancelled");
	return out_json(o);
}
