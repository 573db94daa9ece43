/* dossier send, list, view, get. */
#include "client/cli/cmd_dossier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/show_dossier.h"
#include "client/dossier.h"
#include "client/dossier_destroy.h"
#include "client/mail.h"
#include "proto/strict.h"

#define RECIPIENTS_MAX 16

/* ---- send */

struct send_options {
	struct dossier_new n;
	const char *nda, *marking, *reply_to;
	struct cli_list to;
	uint8_t nda_id[32], reply_id[32], ids[RECIPIENTS_MAX][16];
	uint32_t desks[RECIPIENTS_MAX];
	struct dossier_part parts[DOSSIER_FILES_MAX];
};

static int read_marking(struct cli *c, struct send_options *o)
{
	o->n.marking = RK__MARKING__CONFIDENTIAL;
	if (o->marking == NULL || strcmp(o->marking, "confidential") == 0)
		return RK_OK;
	if (strcmp(o->marking, "strict") == 0)
		o->n.marking = RK__MARKING__STRICT;
	else if (strcmp(o->marking, "none") == 0)
		o->n.marking = RK__MARKING__UNMARKED;
	else
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_BAD_MARKING, o->marking);
	return RK_OK;
}

static int read_files(struct shared *s, struct send_options *o, const struct cli_args *args)
{
	for (unsigned i = 0; i < args->count; i++) {
		int r = i < DOSSIER_FILES_MAX ? dossier_read(args->arg[i], s->a, &o->parts[i]) : RK_TOO_LARGE;

		if (r == RK_TOO_LARGE)
			return cli_refuse(s->c, RK_EUSAGE, TEXT_HINT_SMALLER, TEXT_FILE_TOO_LARGE, args->arg[i]);
		if (r == RK_EUSAGE)
			return cli_refuse(s->c, r, TEXT_NONE, TEXT_FILE_UNFIT, args->arg[i]);
		if (r == RK_ENOTFOUND)
			return cli_refuse(s->c, r, TEXT_HINT_FILE, TEXT_FILE_MISSING, args->arg[i]);
		if (r != RK_OK)
			return cli_fail(s->c, r, TEXT_CANNOT_READ_FILE, args->arg[i]);
	}
	o->n.parts = o->parts;
	o->n.part_count = args->count;
	if (o->n.title == NULL && args->count > 0)
		o->n.title = o->parts[0].name;
	return RK_OK;
}

/* Agreement, recipients, the dossier that is answered: in this order, so that a stranger learns no more than "no agreement". */
static int read_ids(struct shared *s, struct send_options *o)
{
	struct agreement *ag;
	int r;

	if ((r = shared_agreement(s, o->nda, false, RK_NO_NDA, &ag)) != RK_OK)
		return r;
	memcpy(o->nda_id, ag->nda_id, 32);
	o->n.nda_id = o->nda_id;
	if ((r = shared_addressees(s, &o->to, o->ids, o->desks, RECIPIENTS_MAX, &o->n.to_count)) != RK_OK)
		return r;
	o->n.to = (const uint8_t(*)[16])o->ids;
	o->n.to_desks = o->desks;
	if (o->reply_to == NULL)
		return RK_OK;
	o->n.reply_to = o->reply_id;
	return shared_id(s, C_ENVELOPE, o->reply_to, o->reply_id, 32, TEXT_DOSSIER_UNKNOWN);
}

static int report_send(struct cli *c, const struct send_options *o, int r)
{
	if (r == RK_OK)
		return r;
	if (r == RK_TOO_LARGE)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_SMALLER, TEXT_DOSSIER_LARGE);
	if (r == RK_ENOTFOUND)
		return cli_refuse(c, r, TEXT_HINT_SYNC, TEXT_REPLY_UNKNOWN, o->reply_to);
	if (r == RK_CONFLICT)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_DESKS, o->n.to_count > 0 ? TEXT_DESK_TWICE : TEXT_DESK_WHICH);
	if (r == RK_EUSAGE)
		return cli_refuse(c, r, TEXT_HINT_HELP, o->n.reply_only && o->n.reply_to == NULL ? TEXT_REPLY_NEEDS
		                  : o->n.part_count > 1 ? TEXT_DOSSIER_TWICE : TEXT_DOSSIER_EMPTY);
	return shared_fail(c, r, TEXT_CANNOT_SEND);
}

static int finish_send(struct cli *c, uint64_t item)
{
	struct outcome out;
	char id[OUT_ID_CHARS];
	int r;

	if ((r = cli_finish(c, item, TEXT_CANNOT_SEND, &out)) != RK_OK)
		return r;
	if (c->json)
		return out_json(shared_outcome_json("dossier_id", &out));
	out_field(c, TEXT_F_ID, out_hex(id, BYTES_OF(out.env_id)));
	out_say(c, TEXT_DOSSIER_SENT);
	return RK_OK;
}

int cmd_dossier_send(struct cli *c, int argc, char **argv)
{
	struct send_options o = {0};
	const struct cli_option options[] = {
		{"nda", CLI_TEXT, &o.nda, "ID", TEXT_OPT_NDA, true},
		{"to", CLI_LIST, &o.to, "ORG[/DESK]", TEXT_OPT_TO, false},
		{"title", CLI_TEXT, &o.n.title, "TEXT", TEXT_OPT_TITLE, false},
		{"message", CLI_TEXT, &o.n.text, "TEXT", TEXT_OPT_MESSAGE, false},
		{"marking", CLI_TEXT, &o.marking, "MARK", TEXT_OPT_MARKING, false},
		{"reply-to", CLI_TEXT, &o.reply_to, "ID", TEXT_OPT_REPLY_TO, false},
		{"reply-only", CLI_FLAG, &o.n.reply_only, NULL, TEXT_OPT_REPLY_ONLY, false},
		{0},
	};
	const struct cli_usage usage = {options, "[FILE…]", 0, DOSSIER_FILES_MAX, TEXT_NONE};
	struct cli_args args;
	struct shared s;
	uint64_t item;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = read_marking(c, &o)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if ((r = read_ids(&s, &o)) == RK_OK && (r = read_files(&s, &o, &args)) == RK_OK)
		r = report_send(c, &o, dossier_send(c->client, s.t, &o.n, s.a, &item));
	r = shared_end(&s, r);
	return r != RK_OK ? r : finish_send(c, item);
}

/* ---- list and view */

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
	show_envelope_row(s, table, record, show_dossier_title(s, record, m));
	return RK_OK;
}

int cmd_dossier_list(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_COL_ID, TEXT_COL_WAY, TEXT_COL_TIME, TEXT_COL_STATE, TEXT_COL_WITH, TEXT_COL_TITLE};
	static const struct shared_list list = {headings, 6, TEXT_NONE, TEXT_DOSSIER_NONE, TEXT_NONE, is_dossier, list_row};

	return shared_list(c, argc, argv, &list);
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
		for (size_t i = 0; m != NULL && m->dossier != NULL && i < m->dossier->n_files; i++) {
			json_t *f = json_object();

			out_set_text(f, "name", m->dossier->files[i]->name);
			out_set_text(f, "media_type", m->dossier->files[i]->media_type);
			out_set_number(f, "bytes", (int64_t)m->dossier->files[i]->plain_len);
			json_array_append_new(files, f);
		}
		json_object_set_new(json, "files", files);
		r = out_json(json);
	} else {
		show_dossier_lines(&s, record, m);
	}
	return shared_end(&s, r);
}

/* ---- get */

enum fetch_step { STEP_PICKUP, STEP_FETCH };

/* Queues one step, if our own gate lets us ask at all. */
static int queue_step(struct cli *c, const uint8_t env_id[32], enum fetch_step step, uint64_t *item)
{
	Rkl__EnvelopeRecord *record;
	struct shared s;
	int r;

	if ((r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if ((r = mail_load(s.t, env_id, s.a, &record)) == RK_OK && (r = dossier_check_get(c->client, s.t, record)) == RK_OK)
		r = step == STEP_PICKUP ? dossier_pickup(c->client, s.t, record, item) : dossier_fetch(c->client, s.t, env_id, item);
	return shared_end(&s, r);
}

static int run_step(struct cli *c, const uint8_t env_id[32], enum fetch_step step)
{
	struct outcome out;
	uint64_t item;
	int r = queue_step(c, env_id, step, &item);

	return r == RK_OK ? link_finish(c->client, item, &c->stop, &out) : r;
}

/* It is here: whoever asked for it need not be told any more that it came. */
static int settle(struct cli *c, const uint8_t env_id[32])
{
	struct shared s;
	int r;

	if ((r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	return shared_end(&s, inbox_settle(s.t, bytes_make(env_id, 32)));
}

/* What must happen before the content is here: nothing, a fetch, or a signed pickup first. */
int cmd_dossier_fetch(struct cli *c, const uint8_t env_id[32], const char *given, enum text_id cannot, bool *is_signed)
{
	Rkl__EnvelopeRecord *record;
	bool is_here = false, is_own = false;
	struct shared s;
	int r;

	*is_signed = false;
	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = mail_load(s.t, env_id, s.a, &record)) == RK_OK) {
		is_here = env_has(s.t, C_CONTENT, bytes_make(env_id, 32));
		is_own = record->outgoing;
	}
	if ((r = shared_end(&s, r)) == RK_OK && !is_here && !is_own)
		r = run_step(c, env_id, STEP_PICKUP);
	if (r == RK_OK && !is_here)
		r = run_step(c, env_id, STEP_FETCH);
	if (r == RK_OK)
		r = settle(c, env_id);
	*is_signed = !is_here && !is_own;
	return r == RK_OK ? r : cli_fail(c, r, cannot, given);
}

/* The dossier that is meant; one that was refused when it came is not asked for. */
static int look(struct cli *c, const char *given, uint8_t env_id[32])
{
	Rkl__EnvelopeRecord *record;
	char when[OUT_TIME_CHARS];
	struct shared s;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = load(&s, given, &record)) == RK_OK) {
		memcpy(env_id, record->env_id.data, 32);
		if (record->destroyed_at != 0)
			r = cli_refuse(c, RK_CONFLICT, TEXT_NONE, TEXT_DOSSIER_DESTROYED, given, out_time(when, record->destroyed_at));
		else if (!mail_is_for_this_device(c->client, s.t, record))
			r = cli_refuse(c, RK_NO_RECIPIENT_KEY, TEXT_HINT_OTHER_DESK, TEXT_GET_OTHER_DESK, given, show_own_desk(&s, record));
		else if (record->state == RKL__ENVELOPE_STATE__FAILED)
			r = cli_fail(c, record->problem, TEXT_DOSSIER_REFUSED, given);
		else if (record->state == RKL__ENVELOPE_STATE__DECLINED_HERE)
			r = cli_refuse(c, RK_CONFLICT, TEXT_NONE, TEXT_GET_DECLINED, given);
	}
	return shared_end(&s, r);
}

static int say_saved(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m, const char *folder,
                     const struct dossier_saved *saved, size_t n, bool is_new)
{
	json_t *json, *files;

	if (!s->c->json) {
		for (size_t i = 0; i < n; i++)
			out_line(s->c, TEXT_SAVED, shared_text(s, "%s/%s", folder, saved[i].name), saved[i].data.len);
		if (is_new)
			out_say(s->c, TEXT_SIGNED_FOR);
		return RK_OK;
	}
	json = show_dossier_json(s, record, m);
	files = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(files, json_string(shared_text(s, "%s/%s", folder, saved[i].name)));
	json_object_set_new(json, "files", files);
	return out_json(json);
}

/* What was signed for before the saving failed stays signed for: that comes first. */
static int report_save(struct cli *c, int r, const char *folder, const char *name, bool is_new)
{
	if (r == RK_EEXISTS)
		return cli_refuse(c, r, TEXT_HINT_OTHER_FOLDER, is_new ? TEXT_FILE_EXISTS_SIGNED : TEXT_FILE_EXISTS, folder, name);
	return cli_fail(c, r, is_new ? TEXT_CANNOT_SAVE_SIGNED : TEXT_CANNOT_SAVE, folder);
}

static int save(struct cli *c, const char *given, const char *folder, bool is_new)
{
	struct dossier_saved *saved = calloc(DOSSIER_FILES_MAX + 1, sizeof(*saved));
	Rkl__EnvelopeRecord *record;
	Rk__Message *m;
	struct shared s;
	size_t n = 0;
	int r;

	if (saved == NULL)
		return RK_ENOMEM;
	if ((r = shared_begin(c, true, &s)) != RK_OK)
		goto out;
	if ((r = load(&s, given, &record)) == RK_OK) {
		if ((r = mail_message(c->client, s.t, record, s.a, &m)) != RK_OK)
			r = cli_fail(c, r == RK_ENOTFOUND && record->problem != RK_OK ? record->problem : r,
			             r == RK_ENEWER ? TEXT_DOSSIER_NEWER : TEXT_DOSSIER_REFUSED, given);
		else if ((r = dossier_save(m, folder, saved, &n)) != RK_OK)
			r = report_save(c, r, folder, saved[n].name, is_new);
		else if ((r = dossier_note_saved(c->client, s.t, record, folder, saved, n, s.a)) == RK_OK)
			r = say_saved(&s, record, m, folder, saved, n, is_new);
	}
	r = shared_end(&s, r);
out:
	free(saved);
	return r;
}

int cmd_dossier_get(struct cli *c, int argc, char **argv)
{
	const char *output = NULL;
	const struct cli_option options[] = {{"output", CLI_TEXT, &output, "DIR", TEXT_OPT_OUTPUT, true}, {0}};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_NONE};
	struct cli_args args;
	uint8_t env_id[32];
	bool is_signed;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = look(c, args.arg[0], env_id)) != RK_OK)
		return r;
	/* Before the signature: it cannot be taken back because of a folder. */
	if (savefile_check(output) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_OTHER_FOLDER, TEXT_FOLDER_UNFIT, output, strerror(errno));
	if ((r = cmd_dossier_fetch(c, env_id, args.arg[0], TEXT_CANNOT_GET, &is_signed)) != RK_OK)
		return r;
	return save(c, args.arg[0], output, is_signed);
}
