/*
 * dossier get: sign for it, fetch the message, fetch its attachments, prove everything, save.  What another verb needs of it is in
 * cmd_dossier.h.
 */
#include "client/cli/cmd_dossier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/cli/progress.h"
#include "client/cli/show_dossier.h"
#include "client/dossier.h"
#include "client/dossier_destroy.h"
#include "client/dossier_save.h"
#include "client/mail.h"
#include "proto/envelope.h"

#define FETCHES_MAX 3 /* of an attachment that is not what was promised: the broker may give it right the next time */

static bool is_dossier(const Rkl__EnvelopeRecord *record)
{
	return record->kind == RK__KIND__NDA;
}

static int load(struct shared *s, const char *given, Rkl__EnvelopeRecord **record)
{
	return show_envelope_load(s, given, is_dossier, TEXT_DOSSIER_UNKNOWN, record);
}

/* ---- the message */

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

int cmd_dossier_sealed_before(struct cli *c, const char *given)
{
	return cli_refuse(c, RK_NO_RECIPIENT_KEY, TEXT_HINT_SEALED_BEFORE, TEXT_GET_SEALED_BEFORE, given);
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
	if (r == RK_NO_RECIPIENT_KEY)
		return cmd_dossier_sealed_before(c, given);
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

/* ---- its attachments */

/* One run of the verb. */
struct getting {
	struct cli *c;
	const char *given, *folder;
	uint8_t env_id[32];
	bool sealed, is_signed;
	struct progress progress;
	uint64_t total, here;        /* of the attachments */
	struct dossier_saved saved[DOSSIER_SAVED_MAX];
	size_t count;
	int bad;                     /* see dossier_save */
};

/* A transaction with the record and what it says.  Ends with shared_end, also after a failure. */
struct opened {
	struct shared s;
	Rkl__EnvelopeRecord *record;
	Rk__Message *m;
};

static int open_message(struct getting *g, bool write, struct opened *o)
{
	int r;

	if ((r = shared_begin(g->c, write, &o->s)) != RK_OK)
		return r;
	if ((r = mail_load(o->s.t, g->env_id, o->s.a, &o->record)) == RK_OK &&
	    (r = mail_message(g->c->client, o->s.t, o->record, o->s.a, &o->m)) != RK_OK) {
		if (r == RK_ENOTFOUND && o->record->problem != RK_OK)
			r = o->record->problem;
		r = r == RK_NO_RECIPIENT_KEY ? cmd_dossier_sealed_before(g->c, g->given)
		                             : cli_fail(g->c, r, r == RK_ENEWER ? TEXT_DOSSIER_NEWER : TEXT_DOSSIER_REFUSED, g->given);
	}
	return r == RK_OK ? r : shared_end(&o->s, r);
}

static int on_step(struct client *client, void *user)
{
	struct getting *g = user;
	struct shared s;
	int r;

	if ((r = shared_begin(g->c, false, &s)) != RK_OK)
		return r;
	r = shared_end(&s, attach_progress(client, s.t, g->env_id, &g->total, &g->here));
	if (r == RK_OK)
		progress_at(&g->progress, g->c, PROGRESS_FETCHING, NULL, g->here, g->total);
	return r;
}

/* Asks for what is not here, if our own gate lets us.  *any: something is to be fetched. */
static int want(struct getting *g, bool *any)
{
	struct opened o;
	int code, r;

	*any = false;
	if ((r = open_message(g, true, &o)) != RK_OK)
		return r;
	if ((r = attach_want(g->c->client, o.s.t, g->env_id, o.m)) == RK_OK && (r = attach_wanted(o.s.t, g->env_id, any, &code)) == RK_OK && *any)
		r = dossier_check_get(g->c->client, o.s.t, o.record);
	return shared_end(&o.s, r);
}

/* What is here stays here; why there is not more of it, and how to go on. */
static int report_cut(struct getting *g, int r)
{
	char here[PROGRESS_BYTES_CHARS], total[PROGRESS_BYTES_CHARS];
	bool may_go_on = r == RK_EINTERRUPTED || r == RK_EUNREACHABLE || r == RK_ETIMEOUT || r == RK_MOVING || r == RK_READ_ONLY || r == RK_MALFORMED;
	char *what = NULL;

	progress_bytes(here, g->here);
	progress_bytes(total, g->total);
	if (!may_go_on)
		return cli_fail(g->c, r, TEXT_GET_CUT, here, total, g->given);
	if (asprintf(&what, text(TEXT_GET_CUT, g->c->lang), here, total, g->given) < 0)
		return RK_ENOMEM;
	r = cli_refuse(g->c, r, TEXT_HINT_GET_AGAIN, TEXT_WHAT_WHY, what, errcode_sentence(r, g->c->lang));
	free(what);
	return r;
}

static int fetch_blobs(struct getting *g)
{
	struct link_options o = {.timeout_ms = -1, .stop = &g->c->stop, .until_blobs = g->env_id, .step = on_step, .user = g};
	struct shared s;
	bool any;
	int r, code = RK_OK, found;

	if ((r = want(g, &any)) != RK_OK)
		return g->c->reported ? r : cli_fail(g->c, r, TEXT_CANNOT_GET, g->given);
	if (!any)
		return RK_OK;
	if ((r = on_step(g->c->client, g)) == RK_OK)
		r = link_run(g->c->client, &o);
	(void)on_step(g->c->client, g);
	if ((found = shared_begin(g->c, false, &s)) == RK_OK)
		found = shared_end(&s, attach_wanted(s.t, g->env_id, &any, &code));
	progress_end(&g->progress, r == RK_OK && code == RK_OK);
	/* The link may have ended badly just after the last byte. */
	if (found == RK_OK && !any)
		r = code;
	return r == RK_OK ? found : report_cut(g, r);
}

/* ---- saving */

static int on_saved(void *user, enum dossier_stage stage, const char *name, uint64_t done, uint64_t total)
{
	struct getting *g = user;

	progress_at(&g->progress, g->c, stage == DOSSIER_PROVING ? PROGRESS_VERIFYING : PROGRESS_SAVING, name, done, total);
	return g->c->stop ? RK_EINTERRUPTED : RK_OK;
}

static int say_saved(struct getting *g, struct opened *o)
{
	json_t *json, *files;

	if (!g->c->json) {
		for (size_t i = 0; i < g->count; i++)
			out_line(g->c, TEXT_SAVED, shared_text(&o->s, "%s/%s", g->folder, g->saved[i].name), (size_t)g->saved[i].len);
		if (g->is_signed)
			out_say(g->c, TEXT_SIGNED_FOR);
		return RK_OK;
	}
	json = show_dossier_json(&o->s, o->record, o->m);
	files = json_array();
	for (size_t i = 0; i < g->count; i++)
		json_array_append_new(files, json_string(shared_text(&o->s, "%s/%s", g->folder, g->saved[i].name)));
	json_object_set_new(json, "files", files);
	return out_json(json);
}

/* What was signed for before the saving failed stays signed for: that comes first. */
static int report_save(struct getting *g, int r)
{
	struct cli *c = g->c;

	if (r == RK_EEXISTS)
		return cli_refuse(c, r, TEXT_HINT_OTHER_FOLDER, g->is_signed ? TEXT_FILE_EXISTS_SIGNED : TEXT_FILE_EXISTS, g->folder,
		                  g->saved[g->count].name);
	if (r == RK_EDISKFULL)
		return cli_refuse(c, r, TEXT_HINT_OTHER_FOLDER, TEXT_GET_NO_ROOM, g->folder);
	return cli_fail(c, r, g->is_signed ? TEXT_CANNOT_SAVE_SIGNED : TEXT_CANNOT_SAVE, g->folder);
}

/* Names and room, before gigabytes are fetched for a folder that cannot take them. */
static int check_folder(struct getting *g)
{
	struct opened o;
	int r;

	if ((r = open_message(g, false, &o)) != RK_OK)
		return r;
	r = dossier_save_check(&(struct dossier_saving){.message = o.m, .folder = g->folder, .blobs_fd = -1, .sealed = g->sealed}, g->saved,
	                       &g->count);
	r = shared_end(&o.s, r);
	return r == RK_OK || r == RK_EINTEGRITY ? RK_OK : report_save(g, r);
}

/* Without a transaction: it may take minutes.  The message stays in memory for as long. */
static int write_files(struct getting *g)
{
	struct dossier_saving how = {.folder = g->folder, .blobs_fd = -1, .sealed = g->sealed, .progress = on_saved, .user = g};
	struct arena *a = arena_new(0);
	struct bytes packed, kept = {0};
	Rk__Message *m;
	struct shared s;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = shared_begin(g->c, false, &s)) != RK_OK)
		goto out;
	if ((r = content_get(g->c->client, s.t, g->env_id, true, s.a, &packed)) == RK_OK) {
		arena_raise(a, 2 * packed.len + 64);
		kept = bytes_make(arena_copy(a, packed.data, packed.len), packed.len);
		r = kept.data == NULL ? RK_ENOMEM : RK_OK;
	}
	if ((r = shared_end(&s, r)) != RK_OK || (r = message_read(kept, a, &m) == MESSAGE_OK ? RK_OK : RK_EINTEGRITY) != RK_OK)
		goto out;
	how.message = m;
	if ((r = spool_open(g->c->client, &how.blobs_fd)) == RK_OK) {
		r = dossier_save(&how, g->saved, &g->count, &g->bad);
		close(how.blobs_fd);
	}
	progress_end(&g->progress, r == RK_OK);
out:
	arena_free_wiped(a);
	return r;
}

/* The copies outside are remembered; attachments that were proven on the way are so on record. */
static int settle_saved(struct getting *g)
{
	struct opened o;
	int r;

	if ((r = open_message(g, true, &o)) != RK_OK)
		return r;
	if ((r = attach_on_proven(o.s.t, g->env_id)) == RK_OK &&
	    (r = dossier_note_saved(g->c->client, o.s.t, o.record, g->folder, g->saved, g->count, o.s.a)) == RK_OK)
		r = say_saved(g, &o);
	return shared_end(&o.s, r);
}

/* Fetched wrong: away with it.  RK_BUSY: it is asked for once more; RK_EINTEGRITY: that was the last time. */
static int drop_wrong(struct getting *g, bool is_last)
{
	struct shared s;
	int r;

	if ((r = shared_begin(g->c, true, &s)) != RK_OK)
		return r;
	r = shared_end(&s, attach_on_wrong(g->c->client, s.t, g->env_id, (size_t)g->bad));
	return r == RK_OK ? is_last ? RK_EINTEGRITY : RK_BUSY : r;
}

/* It is not what its sender has signed: on record, in writing, and said here. */
static int refuse(struct getting *g)
{
	struct link_options o = {.timeout_ms = 10000, .stop = &g->c->stop, .until_synced = true, .without_bulk = true};
	struct shared s;
	int r;

	if ((r = shared_begin(g->c, true, &s)) != RK_OK)
		return r;
	if ((r = shared_end(&s, mail_refuse(g->c->client, s.t, g->env_id, RK_EINTEGRITY))) == RK_OK)
		(void)link_run(g->c->client, &o); /* else it goes out with the next sync */
	return cli_fail(g->c, RK_EINTEGRITY, TEXT_GET_DAMAGED, g->given);
}

static int get_all(struct getting *g)
{
	int r;

	if ((r = check_folder(g)) != RK_OK)
		return r;
	for (unsigned i = 1;; i++) {
		if ((r = fetch_blobs(g)) != RK_OK)
			return r;
		r = write_files(g);
		if ((r == RK_EINTEGRITY || r == RK_ENOTFOUND) && g->bad >= 0)
			r = drop_wrong(g, i == FETCHES_MAX);
		if (r != RK_BUSY)
			break;
	}
	if (r == RK_EINTEGRITY)
		return refuse(g);
	return r == RK_OK ? settle_saved(g) : report_save(g, r);
}

int cmd_dossier_get(struct cli *c, int argc, char **argv)
{
	const char *output = NULL;
	bool sealed = false;
	const struct cli_option options[] = {{"output", CLI_TEXT, &output, "DIR", TEXT_OPT_OUTPUT, true},
	                                     {"sealed", CLI_FLAG, &sealed, NULL, TEXT_OPT_SEALED, false}, {0}};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_HELP_DOSSIER_GET};
	struct getting *g;
	struct cli_args args;
	uint8_t env_id[32];
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = look(c, args.arg[0], env_id)) != RK_OK)
		return r;
	/* Before the signature: it cannot be taken back because of a folder. */
	if (savefile_check(output) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_OTHER_FOLDER, TEXT_FOLDER_UNFIT, output, strerror(errno));
	if ((g = calloc(1, sizeof(*g))) == NULL)
		return RK_ENOMEM;
	*g = (struct getting){.c = c, .given = args.arg[0], .folder = output, .sealed = sealed};
	memcpy(g->env_id, env_id, 32);
	if ((r = cmd_dossier_fetch(c, env_id, args.arg[0], TEXT_CANNOT_GET, &g->is_signed)) == RK_OK)
		r = get_all(g);
	free(g);
	return r;
}
