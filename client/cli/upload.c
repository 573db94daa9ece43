#include "client/cli/upload.h"

#include <stdlib.h>

#include "client/attach.h"
#include "client/cli/progress.h"
#include "client/cli/show_dossier.h"
#include "proto/strict.h"

/* ---- rows */

struct gathering {
	struct shared *s;
	struct upload_row *rows;
	size_t count;
};

static int add_upload(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	struct gathering *g = user;
	uint64_t item = get_u64be(key);
	struct upload_row *row;

	if (g->count == 0 || g->rows[g->count - 1].item != item) {
		if (g->count == UPLOAD_ROWS_MAX)
			return RK_EEXISTS;
		row = &g->rows[g->count++];
		*row = (struct upload_row){.item = item, .complete = true};
		if (record->nda_id.len == 32)
			memcpy(row->nda_id, record->nda_id.data, 32);
	}
	row = &g->rows[g->count - 1];
	row->files++;
	row->bytes += record->len;
	row->have += record->complete ? record->len : record->have;
	row->complete &= record->complete;
	row->moved_at = record->moved_at > row->moved_at ? record->moved_at : row->moved_at;
	return RK_OK;
}

int upload_rows(struct shared *s, struct upload_row *rows, size_t *count)
{
	struct gathering g = {s, rows, 0};
	int r = attach_each_upload(s->t, s->a, add_upload, &g);

	for (size_t i = 0; i < g.count && r == RK_OK; i++)
		rows[i].created_at = outbox_created_at(s->t, rows[i].item);
	*count = g.count;
	return r;
}

/* ---- sending */

struct watch {
	struct cli *c;
	uint64_t item;
	struct progress progress;
	uint64_t bytes, have;
	bool is_proven;
};

static int add_bytes(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	struct watch *w = user;

	if (get_u64be(key) != w->item)
		return RK_OK;
	w->bytes += record->len;
	w->have += record->complete ? record->len : record->have;
	w->is_proven &= record->complete;
	return RK_OK;
}

/* Looks at the records: whichever process has the link writes there how far it is. */
static int look(struct watch *w)
{
	uint64_t bytes = w->bytes, have = w->have;
	struct shared s;
	int r;

	if ((r = shared_begin(w->c, false, &s)) != RK_OK)
		return r;
	w->bytes = w->have = 0;
	w->is_proven = true;
	r = attach_each_upload(s.t, s.a, add_bytes, w);
	/* Gone with the end of the item. */
	if (w->bytes == 0) {
		w->bytes = bytes;
		w->have = have;
	}
	return shared_end(&s, r);
}

static int on_step(struct client *client, void *user)
{
	struct watch *w = user;
	int r = look(w);

	(void)client;
	if (r == RK_OK && w->bytes > 0)
		progress_at(&w->progress, w->c, w->is_proven ? PROGRESS_SENT : PROGRESS_SENDING, NULL, w->have, w->bytes);
	return r;
}

/* It is kept, and goes on: what people must know to do so. */
static int report_broken_off(struct cli *c, const struct watch *w, int r, enum text_id what)
{
	char have[PROGRESS_BYTES_CHARS], bytes[PROGRESS_BYTES_CHARS];

	progress_bytes(have, w->have);
	progress_bytes(bytes, w->bytes);
	if (r == RK_EINTERRUPTED)
		return cli_refuse(c, r, TEXT_HINT_UPLOAD_RESUME, TEXT_UPLOAD_STOPPED, have, bytes);
	return cli_refuse(c, r, TEXT_HINT_UPLOAD_RESUME, TEXT_WHAT_WHY, text(what, c->lang), errcode_sentence(r, c->lang));
}

int upload_finish(struct cli *c, uint64_t item, enum text_id what, struct outcome *out)
{
	struct watch w = {.c = c, .item = item, .is_proven = true};
	struct link_options o = {.timeout_ms = -1, .stop = &c->stop, .until_item = item, .step = on_step, .user = &w};
	struct shared s;
	int r, found;

	if ((r = look(&w)) != RK_OK)
		return r;
	r = link_run(c->client, &o);
	if ((found = shared_begin(c, false, &s)) == RK_OK)
		found = shared_end(&s, outbox_outcome(s.t, item, out));
	if (found == RK_OK && out->code == RK_OK)
		progress_at(&w.progress, c, PROGRESS_SENT, NULL, w.bytes, w.bytes);
	progress_end(&w.progress, found == RK_OK && out->code == RK_OK);
	if (found == RK_OK)
		return out->code == RK_OK ? RK_OK : cli_fail(c, out->code, what);
	/* Not answered, whatever ended the link. */
	return report_broken_off(c, &w, r != RK_OK ? r : found, what);
}

/* ---- a sync, and all that is on its way with it */

struct watch_all {
	struct cli *c;
	struct progress progress;
	uint64_t left, done;         /* of all records; what was there at the beginning counts as done */
	bool began;
};

static int add_left(void *user, const uint8_t key[ATTACH_UPLOAD_KEY_BYTES], Rkl__UploadRecord *record)
{
	struct watch_all *w = user;
	uint64_t left = record->complete || record->have > record->len ? 0 : record->len - record->have;

	(void)key;
	w->left += left;
	if (!w->began)
		w->done += record->len - left;
	return RK_OK;
}

/* Records go with the end of their items, and others come: what is done is what was left before and is not now. */
static int on_step_of_all(struct client *client, void *user)
{
	struct watch_all *w = user;
	uint64_t before = w->left;
	struct shared s;
	int r;

	(void)client;
	if ((r = shared_begin(w->c, false, &s)) != RK_OK)
		return r;
	w->left = 0;
	r = attach_each_upload(s.t, s.a, add_left, w);
	if (w->began && w->left < before)
		w->done += before - w->left;
	w->began = true;
	if (w->left > 0 || w->progress.stage != PROGRESS_NONE)
		progress_at(&w->progress, w->c, PROGRESS_SENDING, NULL, w->done, w->done + w->left);
	return shared_end(&s, r);
}

int upload_sync(struct cli *c)
{
	struct watch_all w = {.c = c};
	const struct link_options o = {.timeout_ms = -1, .stop = &c->stop, .until_synced = true, .step = on_step_of_all, .user = &w};
	int r = on_step_of_all(c->client, &w);

	if (r == RK_OK)
		r = link_run(c->client, &o);
	/* What came of them is in the store; the last commit may have ended the link. */
	if (r == RK_OK)
		r = on_step_of_all(c->client, &w);
	progress_end(&w.progress, r == RK_OK && w.left == 0);
	return r;
}

/* ---- waiting for pickup */

struct waiting {
	struct cli *c;
	const uint8_t *env_id;
	bool is_over, all_picked_up;
};

static int look_at_fate(struct client *client, void *user)
{
	struct waiting *w = user;
	Rkl__EnvelopeRecord *record;
	struct shared s;
	int r;

	(void)client;
	if ((r = shared_begin(w->c, false, &s)) != RK_OK)
		return r;
	r = mail_load(s.t, w->env_id, s.a, &record);
	w->is_over = w->all_picked_up = r == RK_OK;
	for (size_t i = 0; r == RK_OK && i < record->n_recipients; i++) {
		struct mail_fate f;

		mail_fate(record, record->recipients[i].data, &f);
		w->is_over &= f.outcome != MAIL_LODGED;
		w->all_picked_up &= f.outcome == MAIL_PICKED_UP;
	}
	r = shared_end(&s, r == RK_ENOTFOUND ? RK_OK : r);
	return r == RK_OK && w->is_over ? RK_EEXISTS : r;
}

static int report_fate(struct cli *c, const uint8_t env_id[32])
{
	Rkl__EnvelopeRecord *record;
	struct shared s;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = mail_load(s.t, env_id, s.a, &record)) == RK_OK)
		r = cli_fail(c, CLI_PARTIAL, TEXT_WAIT_NOT_PICKED_UP, show_dossier_state(&s, record));
	return shared_end(&s, r);
}

int upload_wait(struct cli *c, const uint8_t env_id[32])
{
	struct waiting w = {.c = c, .env_id = env_id};
	struct link_options o = {.timeout_ms = -1, .stop = &c->stop, .step = look_at_fate, .user = &w};
	struct progress progress = {0};
	int r;

	progress_begin(&progress, c, PROGRESS_WAITING, NULL, 0, 0);
	r = link_run(c->client, &o);
	progress_end(&progress, false);
	if (r == RK_EINTERRUPTED)
		return cli_refuse(c, r, TEXT_NONE, TEXT_WAIT_STOPPED);
	if (!w.is_over)
		return cli_fail(c, r, TEXT_CANNOT_SYNC);
	if (!w.all_picked_up)
		return report_fate(c, env_id);
	progress_begin(&progress, c, PROGRESS_PICKED_UP, NULL, 0, 0);
	progress_end(&progress, true);
	return RK_OK;
}
