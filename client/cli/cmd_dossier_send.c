/*
 * dossier send.  Our own gate is asked before anything large is read; then what is large is encrypted, without a transaction open; then all
 * is queued in one; then the link is run until it is sent.
 */
#include <stdlib.h>
#include <string.h>

#include "client/cli/progress.h"
#include "client/cli/upload.h"
#include "client/dossier.h"
#include "client/dossier_pack.h"

#define RECIPIENTS_MAX 16

struct send_options {
	struct dossier_new n;
	const char *nda, *marking, *reply_to;
	bool wait;
	struct cli_list to;
	uint8_t nda_id[32], reply_id[32], ids[RECIPIENTS_MAX][16];
	uint32_t desks[RECIPIENTS_MAX];
	struct dossier_pack *pack;
	struct arena *a;             /* of what goes into the message */
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
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_TEXT_LARGE, TEXT_TEXT_LARGE);
	if (r == RK_ENOTFOUND)
		return cli_refuse(c, r, TEXT_HINT_SYNC, TEXT_REPLY_UNKNOWN, o->reply_to);
	if (r == RK_CONFLICT)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_DESKS, o->n.to_count > 0 ? TEXT_DESK_TWICE : TEXT_DESK_WHICH);
	if (r == RK_EUSAGE)
		return cli_refuse(c, r, TEXT_HINT_HELP, o->n.reply_only && o->n.reply_to == NULL ? TEXT_REPLY_NEEDS : TEXT_DOSSIER_EMPTY);
	return shared_fail(c, r, TEXT_CANNOT_SEND);
}

/* ---- files */

static int report_source(struct cli *c, int r, const char *path)
{
	switch (r) {
	case RK_ENOTFOUND:
		return cli_refuse(c, r, TEXT_HINT_FILE, TEXT_FILE_MISSING, path);
	case RK_EUSAGE:
		return cli_refuse(c, r, TEXT_NONE, TEXT_SOURCE_UNFIT, path);
	case RK_UNSUPPORTED:
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_SOURCE_INSIDE, TEXT_SOURCE_INSIDE, path);
	case RK_TOO_LARGE:
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_SOURCE_LARGE, TEXT_SOURCE_LARGE, path);
	case RK_QUOTA:
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_SOURCE_MANY, TEXT_SOURCE_MANY);
	case RK_CONFLICT:
		return cli_refuse(c, r, TEXT_HINT_SOURCE_CHANGED, TEXT_SOURCE_CHANGED, path);
	case RK_EINTERRUPTED:
		return cli_refuse(c, r, TEXT_HINT_SEND_AGAIN, TEXT_SEND_STOPPED_EARLY);
	default:
		return cli_fail(c, r, TEXT_CANNOT_READ_FILE, path);
	}
}

static int plan(struct cli *c, struct send_options *o, const struct cli_args *args)
{
	char problem[SOURCE_PATH_CHARS], bytes[PROGRESS_BYTES_CHARS];
	uint64_t need;
	size_t which;
	int r;

	for (unsigned i = 0; i < args->count; i++)
		if ((r = dossier_pack_add(o->pack, args->arg[i], problem)) != RK_OK)
			return report_source(c, r, problem);
	r = dossier_pack_plan(o->pack, c->client, o->n.text != NULL ? strlen(o->n.text) : 0, &which, &need);
	if (r == RK_EUSAGE)
		return cli_refuse(c, r, TEXT_HINT_HELP, TEXT_DOSSIER_TWICE);
	if (o->n.reply_only && o->pack->blobs > 0)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_SMALLER, TEXT_REPLY_ONLY_LARGE);
	if (r == RK_EDISKFULL)
		return cli_refuse(c, r, TEXT_HINT_SPOOL_FULL, TEXT_SPOOL_FULL, progress_bytes(bytes, need));
	return r == RK_OK ? r : cli_fail(c, r, TEXT_CANNOT_SEND);
}

struct encrypting {
	struct cli *c;
	struct progress progress;
};

static int on_encrypted(void *user, const char *name, uint64_t done, uint64_t total)
{
	struct encrypting *e = user;

	progress_at(&e->progress, e->c, PROGRESS_ENCRYPTING, name, done, total);
	return e->c->stop ? RK_EINTERRUPTED : RK_OK;
}

static int read_files(struct cli *c, struct send_options *o, const struct cli_args *args)
{
	struct encrypting e = {.c = c};
	size_t which = 0;
	int r = dossier_pack_read(o->pack, c->client, o->a, on_encrypted, &e, &which);

	progress_end(&e.progress, r == RK_OK);
	if (r != RK_OK)
		return report_source(c, r, which < args->count ? args->arg[which] : "");
	o->n.parts = o->pack->parts;
	o->n.part_count = o->pack->count;
	if (o->n.title == NULL && o->pack->count > 0)
		o->n.title = o->pack->parts[0].name;
	return RK_OK;
}

/* ---- the whole */

static int check(struct cli *c, struct send_options *o)
{
	struct shared s;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = read_ids(&s, o)) == RK_OK)
		r = report_send(c, o, dossier_check_send(c->client, s.t, &o->n, s.a));
	return shared_end(&s, r);
}

static int queue(struct cli *c, struct send_options *o, uint64_t *item)
{
	struct shared s;
	int r;

	if ((r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	r = report_send(c, o, dossier_send(c->client, s.t, &o->n, s.a, item));
	return shared_end(&s, r);
}

static int prepare(struct cli *c, struct send_options *o, const struct cli_args *args, uint64_t *item)
{
	int r;

	if ((r = shared_open(c)) != RK_OK || (r = check(c, o)) != RK_OK || (r = plan(c, o, args)) != RK_OK)
		return r;
	if ((r = read_files(c, o, args)) == RK_OK)
		r = queue(c, o, item);
	return r;
}

static int finish(struct cli *c, const struct send_options *o, uint64_t item, bool has_blobs)
{
	struct outcome out;
	char id[OUT_ID_CHARS];
	int r;

	r = has_blobs ? upload_finish(c, item, TEXT_CANNOT_SEND, &out) : cli_finish(c, item, TEXT_CANNOT_SEND, &out);
	if (r != RK_OK)
		return r;
	if (c->json) {
		r = out_json(shared_outcome_json("dossier_id", &out));
	} else {
		out_field(c, TEXT_F_ID, out_hex(id, BYTES_OF(out.env_id)));
		out_say(c, TEXT_DOSSIER_SENT);
	}
	return r == RK_OK && o->wait ? upload_wait(c, out.env_id) : r;
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
		{"wait", CLI_FLAG, &o.wait, NULL, TEXT_OPT_WAIT_PICKUP, false},
		{0},
	};
	const struct cli_usage usage = {options, "[FILE|FOLDER…]", 0, CLI_ARGS_MAX, TEXT_HELP_DOSSIER_SEND};
	struct cli_args args;
	bool has_blobs = false;
	uint64_t item;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = read_marking(c, &o)) != RK_OK)
		return r;
	o.pack = malloc(sizeof(*o.pack));
	o.a = arena_new(DOSSIER_MAX_BYTES);
	r = RK_ENOMEM;
	if (o.pack != NULL)
		dossier_pack_init(o.pack);
	if (o.pack != NULL && o.a != NULL)
		r = prepare(c, &o, &args, &item);
	if (o.pack != NULL) {
		has_blobs = o.pack->blobs > 0;
		dossier_pack_free(o.pack);
	}
	free(o.pack);
	arena_free_wiped(o.a);
	if (r != RK_OK) {
		/* What was encrypted and not queued is nobody's. */
		if (has_blobs && c->client != NULL)
			spool_sweep(c->client);
		return r;
	}
	return finish(c, &o, item, has_blobs);
}
