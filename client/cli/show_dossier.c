#include "client/cli/show_dossier.h"

#include "client/attach.h"
#include "client/cli/notice_show.h"
#include "client/cli/progress.h"
#include "client/cli/show_attach.h"
#include "client/desk.h"
#include "client/dossier.h"
#include "proto/strict.h"

bool show_is_dossier(const Rkl__EnvelopeRecord *record)
{
	return record->kind == RK__KIND__NDA || record->kind == RK__KIND__NDA_NOTICE;
}

static const char *return_text(struct shared *s, uint32_t reason)
{
	static const enum text_id texts[] = {
		[RK__RETURN_REASON__RETURN_EXPIRED] = TEXT_RETURN_EXPIRED, [RK__RETURN_REASON__RETURN_NDA_ENDED] = TEXT_RETURN_NDA_ENDED,
		[RK__RETURN_REASON__RETURN_RECIPIENT_LEFT] = TEXT_RETURN_RECIPIENT_LEFT,
		[RK__RETURN_REASON__RETURN_DECLINED] = TEXT_RETURN_DECLINED,
	};

	return reason < sizeof(texts) / sizeof(texts[0]) ? text(texts[reason], s->c->lang) : "";
}

const char *show_own_desk(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	return desk_name(s->client, s->t, client_org_id(s->client), mail_own_desk(s->client, record), s->a);
}

/* Sealed to others of us: by its desks, this device has no wrap. */
static bool is_elsewhere(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	return record->state == RKL__ENVELOPE_STATE__LODGED && !mail_is_for_this_device(s->client, s->t, record);
}

/* Waiting for us: unless it is another desk's, the gate is closed now, or it is too late for ever. */
static const char *waiting_text(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	struct agreement *ag;

	if (is_elsewhere(s, record))
		return shared_fill(s, TEXT_DSTATE_OTHER_DESK, show_own_desk(s, record));

	switch (dossier_check_get(s->client, s->t, record)) {
	case RK_OK:
		return text(TEXT_DSTATE_LODGED_IN, s->c->lang);
	case RK_ENVELOPE_EXPIRED:
		return text(TEXT_DSTATE_LATE, s->c->lang);
	default:
		if (agreement_load(s->client, s->t, record->nda_id.data, false, s->a, &ag) != RK_OK)
			return "";
		return shared_fill(s, TEXT_DSTATE_LOCKED, text(shared_state_text(ag->state), s->c->lang));
	}
}

static const char *outcome_text(struct shared *s, enum mail_outcome outcome, uint32_t return_reason)
{
	static const enum text_id texts[MAIL_OUTCOME_COUNT] = {
		[MAIL_LODGED] = TEXT_DSTATE_LODGED_OUT, [MAIL_PICKED_UP] = TEXT_DSTATE_PICKED_UP, [MAIL_REFUSED] = TEXT_DSTATE_REFUSED_OUT,
		[MAIL_DECLINED] = TEXT_DSTATE_DECLINED_OUT, [MAIL_RETURNED] = TEXT_NONE,
	};

	return outcome == MAIL_RETURNED ? shared_fill(s, TEXT_DSTATE_RETURNED, return_text(s, return_reason)) : text(texts[outcome], s->c->lang);
}

/* Of what was sent both are of interest: how it stands there, and that it is gone here. */
static const char *and_destroyed(struct shared *s, const Rkl__EnvelopeRecord *record, const char *state)
{
	char when[OUT_TIME_CHARS];
	const char *destroyed;

	if (record->destroyed_at == 0)
		return state;
	destroyed = shared_fill(s, TEXT_DSTATE_DESTROYED, out_time(when, record->destroyed_at));
	return record->outgoing ? shared_text(s, "%s%s%s", state, text(TEXT_COMMA, s->c->lang), destroyed) : destroyed;
}

const char *show_dossier_fate(struct shared *s, const Rkl__EnvelopeRecord *record, const uint8_t org_id[16])
{
	char when[OUT_TIME_CHARS];
	struct mail_fate f;
	const char *what;
	int64_t at = 0;

	mail_fate(record, org_id, &f);
	what = outcome_text(s, f.outcome, f.returned != NULL ? f.returned->reason : record->return_reason);
	if (f.outcome == MAIL_PICKED_UP)
		at = f.pickup->time_ms;
	else if (f.outcome == MAIL_REFUSED || f.outcome == MAIL_DECLINED)
		at = f.nack->time_ms;
	else if (f.outcome == MAIL_RETURNED && f.returned != NULL)
		at = f.returned->time_ms;
	return and_destroyed(s, record, at == 0 ? what : shared_fill(s, TEXT_FATE_AT, what, out_time(when, at)));
}

/* Is our own word on record, or does it still wait here? */
static const char *declined_text(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	bool is_logged = mail_has_nack(record, bytes_make(client_device_id(s->client), 16));

	return text(is_logged || record->nack_item == 0 ? TEXT_DSTATE_DECLINED : TEXT_DSTATE_DECLINED_QUEUED, s->c->lang);
}

/* Opened is its message; attachments may have stopped on the way. */
static const char *opened_text(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	char have[PROGRESS_BYTES_CHARS], all[PROGRESS_BYTES_CHARS];
	uint64_t bytes, wanted, here;

	if (show_attach_of(s, record, &bytes) == 0 || attach_progress(s->client, s->t, record->env_id.data, &wanted, &here) != RK_OK || here >= bytes)
		return text(TEXT_DSTATE_OPENED, s->c->lang);
	return shared_fill(s, TEXT_DSTATE_OPENED_PART, progress_bytes(have, here), progress_bytes(all, bytes));
}

static const char *received_text(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	enum lang lang = s->c->lang;

	switch (record->state) {
	case RKL__ENVELOPE_STATE__LODGED:
		return waiting_text(s, record);
	case RKL__ENVELOPE_STATE__PICKED_UP:
		return text(TEXT_DSTATE_PICKED_UP, lang);
	case RKL__ENVELOPE_STATE__OPENED:
		return opened_text(s, record);
	case RKL__ENVELOPE_STATE__DECLINED_HERE:
		return declined_text(s, record);
	case RKL__ENVELOPE_STATE__NEWER:
		return text(TEXT_DSTATE_NEWER, lang);
	default:
		return shared_fill(s, TEXT_DSTATE_FAILED, errcode_name(record->problem));
	}
}

const char *show_dossier_state(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	return and_destroyed(s, record, record->outgoing ? outcome_text(s, mail_outcome(record), record->return_reason)
	                     : received_text(s, record));
}

const Rk__Message *show_dossier_content(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	Rk__Message *m;

	return mail_message(s->client, s->t, record, s->a, &m) == RK_OK ? m : NULL;
}

/* Why there is no title to show; only what may be got is offered. */
static enum text_id absent_title(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	if (record->destroyed_at != 0)
		return TEXT_DESTROYED_TITLE;
	if (record->state == RKL__ENVELOPE_STATE__DECLINED_HERE)
		return TEXT_DECLINED_TITLE;
	if (is_elsewhere(s, record))
		return TEXT_OTHER_DESK_TITLE;
	if (!record->outgoing && (record->state == RKL__ENVELOPE_STATE__FAILED || dossier_check_get(s->client, s->t, record) != RK_OK))
		return TEXT_UNOPENED_TITLE;
	return record->kind == RK__KIND__NDA_NOTICE ? TEXT_NK_UNKNOWN : TEXT_SEALED_TITLE;
}

const char *show_dossier_title(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m)
{
	if (m == NULL)
		return text(absent_title(s, record), s->c->lang);
	if (record->kind == RK__KIND__NDA_NOTICE)
		return text(notice_show_kind(m->type), s->c->lang);
	return m->dossier != NULL && m->dossier->title[0] != '\0' ? m->dossier->title : text(TEXT_UNTITLED, s->c->lang);
}

const char *show_marking_name(uint32_t marking)
{
	static const char *const names[] = {"none", "confidential", "strict", "no_own_secrets"};

	return marking < 4 ? names[marking] : "none";
}

const char *show_marking_text(struct shared *s, uint32_t marking)
{
	static const enum text_id marks[] = {TEXT_MARK_NONE, TEXT_MARK_CONFIDENTIAL, TEXT_MARK_STRICT, TEXT_MARK_NO_SECRETS};

	return text(marks[marking < 4 ? marking : 0], s->c->lang);
}

/* ---- JSON */

static json_t *marked(struct shared *s, const uint8_t *org_id, struct bytes device_id, int64_t time_ms, uint64_t log_index)
{
	json_t *o = shared_org_json(s, org_id);

	out_set_id(o, "device_id", device_id);
	out_set_time(o, "time", time_ms);
	out_set_number(o, "log_index", (int64_t)log_index);
	return o;
}

static json_t *pickups_json(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	json_t *list = json_array();

	for (size_t i = 0; i < record->n_pickups; i++) {
		const Rkl__PickupMark *p = record->pickups[i];

		json_array_append_new(list, marked(s, p->org_id.data, bytes_of(p->device_id), p->time_ms, p->log_index));
	}
	return list;
}

static json_t *nacks_json(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	json_t *list = json_array();

	for (size_t i = 0; i < record->n_nacks; i++) {
		const Rkl__NackMark *n = record->nacks[i];
		json_t *o = marked(s, n->org_id.data, bytes_of(n->device_id), n->time_ms, n->log_index);

		out_set_text(o, "reason", mail_nack_name(n->reason));
		json_array_append_new(list, o);
	}
	return list;
}

/* Each of those it was sent to, with what became of it there; of what came, only what we know of ourselves. */
static json_t *recipients_json(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	json_t *list = json_array();

	for (size_t i = 0; i < record->n_recipients; i++) {
		json_t *o = shared_org_json(s, record->recipients[i].data);
		uint32_t desk = i < record->n_recipient_desks ? record->recipient_desks[i] : 0;
		struct mail_fate f;

		if (desk != 0) {
			out_set_number(o, "desk_id", desk);
			out_set_text(o, "desk", desk_name(s->client, s->t, record->recipients[i].data, desk, s->a));
		}
		mail_fate(record, record->recipients[i].data, &f);
		if (record->outgoing) {
			out_set_text(o, "state", mail_outcome_name(f.outcome));
			out_set_time(o, "returned_at", f.returned != NULL ? f.returned->time_ms : 0);
			out_set_text(o, "return_reason", f.returned != NULL ? mail_return_name(f.returned->reason) : NULL);
		}
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *copies_json(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	json_t *list = json_array();

	for (size_t i = 0; i < record->n_copies; i++) {
		json_t *o = json_object();

		out_set_text(o, "path", shared_text(s, "%s/%s", record->copies[i]->folder, record->copies[i]->name));
		out_set_time(o, "time", record->copies[i]->time_ms);
		json_array_append_new(list, o);
	}
	return list;
}

/* Content that is here, or that may be got. */
static bool is_available(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m)
{
	if (m != NULL)
		return true;
	return record->destroyed_at == 0 && record->state != RKL__ENVELOPE_STATE__DECLINED_HERE && !is_elsewhere(s, record) &&
	       dossier_check_get(s->client, s->t, record) == RK_OK;
}

json_t *show_envelope_json(struct shared *s, const Rkl__EnvelopeRecord *record, const char *id_name)
{
	json_t *o = json_object();

	out_set_id(o, id_name, bytes_of(record->env_id));
	out_set_id(o, "nda_id", bytes_of(record->nda_id));
	out_set_text(o, "direction", record->outgoing ? "out" : "in");
	out_set_text(o, "state", mail_state_name(record));
	json_object_set_new(o, "from", shared_org_json(s, record->sender_org.data));
	json_object_set_new(o, "to", recipients_json(s, record));
	out_set_time(o, "time", record->time_ms);
	out_set_time(o, "expires_at", record->expires_at);
	out_set_number(o, "log_index", (int64_t)record->log_index);
	json_object_set_new(o, "pickups", pickups_json(s, record));
	json_object_set_new(o, "nacks", nacks_json(s, record));
	out_set_time(o, "destroyed_at", record->destroyed_at);
	out_set_text(o, "return_reason", record->return_reason != 0 ? mail_return_name(record->return_reason) : NULL);
	out_set_text(o, "problem", record->problem != 0 ? errcode_name(record->problem) : NULL);
	return o;
}

json_t *show_dossier_json(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m)
{
	json_t *o = show_envelope_json(s, record, "dossier_id");

	out_set_text(o, "title", m != NULL && m->dossier != NULL ? m->dossier->title : NULL);
	out_set_text(o, "marking", show_marking_name(record->marking));
	out_set_bool(o, "reply_only", record->reply_only);
	show_attach_json(s, record, o);
	out_set_bool(o, "available", is_available(s, record, m));
	json_object_set_new(o, "saved", copies_json(s, record));
	return o;
}

/* ---- lists and pages */

int show_envelope_load(struct shared *s, const char *given, bool (*wants)(const Rkl__EnvelopeRecord *), enum text_id unknown,
                       Rkl__EnvelopeRecord **record)
{
	uint8_t env_id[32];
	int r;

	if ((r = shared_id(s, C_ENVELOPE, given, env_id, 32, unknown)) != RK_OK)
		return r;
	r = mail_load(s->t, env_id, s->a, record);
	if (r == RK_OK && !wants(*record))
		r = RK_ENOTFOUND;
	if (r == RK_ENOTFOUND)
		return cli_refuse(s->c, r, TEXT_HINT_SYNC, unknown, given);
	return r;
}

void show_envelope_row(struct shared *s, struct out_table *table, const Rkl__EnvelopeRecord *record, const char *last)
{
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];

	out_table_row(table);
	out_table_cell(table, out_short(id, bytes_of(record->env_id)));
	out_table_cell(table, text(record->outgoing ? TEXT_WAY_OUT : TEXT_WAY_IN, s->c->lang));
	out_table_cell(table, out_time(when, record->time_ms));
	out_table_cell(table, show_dossier_state(s, record));
	out_table_cell(table, record->outgoing ? shared_addressed(s, record)
	               : shared_name(s, record->sender_org.data));
	out_table_cell(table, last);
}

static void view_content(struct shared *s, const Rk__Message *m)
{
	const Rk__Dossier *d = m->dossier;
	const char *words = d != NULL ? d->text : m->text;

	for (size_t i = 0; d != NULL && i < d->n_files; i++)
		out_field(s->c, TEXT_F_FILE, show_attach_file(s, d->files[i]));
	if (words[0] != '\0')
		out_field(s->c, TEXT_F_TEXT, words);
}

/* Who did it, with which device, when, and where it stands in the log. */
static void view_mark(struct shared *s, enum text_id field, const uint8_t *org_id, struct bytes device_id, int64_t time_ms,
                      uint64_t log_index, const char *why)
{
	char when[OUT_TIME_CHARS], id[OUT_ID_CHARS];
	const char *line = shared_fill(s, TEXT_MARK_LINE, shared_name(s, org_id), out_short(id, device_id), out_time(when, time_ms),
	                               (unsigned long long)log_index);

	out_field(s->c, field, shared_text(s, "%s%s%s", why, why[0] != '\0' ? text(TEXT_COMMA, s->c->lang) : "", line));
}

void show_envelope_fates(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	char when[OUT_TIME_CHARS];

	for (size_t i = 0; i < record->n_pickups; i++) {
		const Rkl__PickupMark *p = record->pickups[i];

		view_mark(s, TEXT_F_PICKED_UP, p->org_id.data, bytes_of(p->device_id), p->time_ms, p->log_index, "");
	}
	for (size_t i = 0; i < record->n_nacks; i++) {
		const Rkl__NackMark *n = record->nacks[i];
		bool is_declined = n->reason == RK__NACK_REASON__NACK_DECLINED;

		view_mark(s, is_declined ? TEXT_F_DECLINED : TEXT_F_REFUSED, n->org_id.data, bytes_of(n->device_id), n->time_ms, n->log_index,
		          is_declined ? "" : text(TEXT_NACK_UNOPENED, s->c->lang));
	}
	for (size_t i = 0; i < record->n_returns; i++)
		out_field(s->c, TEXT_F_RETURNED, shared_text(s, "%s, %s, %s", shared_name(s, record->returns[i]->org_id.data),
		          return_text(s, record->returns[i]->reason), out_time(when, record->returns[i]->time_ms)));
}

void show_envelope_head(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	struct cli *c = s->c;
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];

	out_field(c, TEXT_F_ID, out_hex(id, bytes_of(record->env_id)));
	out_field(c, TEXT_F_STATE, show_dossier_state(s, record));
	out_field(c, TEXT_F_AGREEMENT, out_short(id, bytes_of(record->nda_id)));
	out_field(c, TEXT_F_FROM, shared_name(s, record->sender_org.data));
	out_field(c, TEXT_F_TO, shared_addressed(s, record));
	out_field(c, TEXT_F_TIME, out_time(when, record->time_ms));
	if (record->logged)
		out_field(c, TEXT_F_LOG_INDEX, shared_text(s, "%llu", (unsigned long long)record->log_index));
}

void show_dossier_lines(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m)
{
	struct cli *c = s->c;
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];

	show_envelope_head(s, record);
	out_field(c, TEXT_F_TITLE, show_dossier_title(s, record, m));
	out_field(c, TEXT_F_MARK, show_marking_text(s, record->marking));
	show_envelope_fates(s, record);
	if (m != NULL)
		view_content(s, m);
	for (size_t i = 0; i < record->n_copies; i++)
		out_field(c, TEXT_F_SAVED, shared_text(s, "%s/%s, %s", record->copies[i]->folder, record->copies[i]->name,
		                                       out_time(when, record->copies[i]->time_ms)));
	if (record->outgoing || record->state != RKL__ENVELOPE_STATE__LODGED || is_elsewhere(s, record))
		return;
	out_field(c, TEXT_F_SIZE, show_attach_size(s, record));
	out_field(c, TEXT_F_EXPIRES, out_time(when, record->expires_at));
	out_short(id, bytes_of(record->env_id));
	out_say(c, TEXT_HINT_GET, id, id);
}
