/* inbox: what came in and where to look; never content.  Before it stands what falls due: derived each time, so never read or unread. */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/inbox_due.h"
#include "client/cli/notice_show.h"
#include "client/cli/shared.h"
#include "client/cli/show.h"
#include "client/cli/show_attach.h"
#include "client/kx.h"
#include "client/mail.h"
#include "client/secretariat.h"
#include "client/secretariat_ahead.h"
#include "proto/strict.h"

#define NUMBER_CHARS 24

/* A dossier or notice of ours that waited and will not go. */
static bool is_unsent(const Rkl__InboxRecord *record)
{
	return record->kind == RKL__INBOX_KIND__INBOX_ALERT && strncmp(record->detail, INBOX_UNSENT, strlen(INBOX_UNSENT)) == 0;
}

/* What waited in the backup that this home comes from. */
static bool is_aside(const Rkl__InboxRecord *record)
{
	return record->kind == RKL__INBOX_KIND__INBOX_ALERT && strncmp(record->detail, INBOX_ASIDE, strlen(INBOX_ASIDE)) == 0;
}

/* About the exchange's log: `renkei log view` shows what was found. */
static bool is_log(const Rkl__InboxRecord *record)
{
	return record->kind == RKL__INBOX_KIND__INBOX_ALERT && strncmp(record->detail, "log-", 4) == 0;
}

/* What stands by itself: nothing was refused, and the id behind it means nothing to people. */
static enum text_id restored_text(const Rkl__InboxRecord *record)
{
	static const struct {
		const char *name;
		enum text_id text;
	} own[] = {
		{"generation", TEXT_IN_GENERATION}, {"restored", TEXT_IN_RESTORED}, {KX_ALERT, TEXT_IN_KX_LATE}, {AHEAD_ALERT, TEXT_IN_AHEAD_VOID},
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && record->kind == RKL__INBOX_KIND__INBOX_ALERT; i++)
		if (strcmp(record->detail, own[i].name) == 0)
			return own[i].text;
	return TEXT_NONE;
}

/* Its sender sealed it when this device had no key: nobody's fault, and another device can hand it over. */
static bool is_sealed_before(const Rkl__InboxRecord *record)
{
	return record->kind == RKL__INBOX_KIND__INBOX_ALERT && strcmp(record->detail, errcode_name(RK_NO_RECIPIENT_KEY)) == 0;
}

/* The word for a detail, which is a name of ours: an act, a reason, a code. */
static const char *detail_text(struct shared *s, const Rkl__InboxRecord *record)
{
	static const struct {
		const char *name;
		enum text_id text;
	} words[] = {
		{"accept", TEXT_ACT_ACCEPT}, {"reject", TEXT_ACT_REJECT}, {"withdraw", TEXT_ACT_WITHDRAW}, {"terminate", TEXT_ACT_TERMINATE},
		{"hold", TEXT_ACT_HOLD}, {"resume", TEXT_ACT_RESUME}, {"accepted", TEXT_OUTCOME_ACCEPTED}, {"declined", TEXT_OUTCOME_DECLINED},
		{"expired", TEXT_RETURN_EXPIRED}, {"nda_ended", TEXT_RETURN_NDA_ENDED}, {"recipient_left", TEXT_RETURN_RECIPIENT_LEFT},
		{"log-fork", TEXT_IN_LOG_FORK}, {"log-rollback", TEXT_IN_LOG_ROLLBACK}, {"log-leaf", TEXT_IN_LOG_LEAF},
		{"log-unproven", TEXT_IN_LOG_UNPROVEN}, {"log-cut", TEXT_IN_LOG_CUT}, {"seen-unproven", TEXT_IN_SEEN_UNPROVEN},
		{"read-only", TEXT_IN_READ_ONLY},
		{"unopened", TEXT_IN_REFUSED_UNOPENED}, {INBOX_UNASKED, TEXT_ALERT_UNASKED}, {INBOX_UNLOGGED, TEXT_ALERT_UNLOGGED},
		{"stale-nda", TEXT_ALERT_STALE_NDA},
	};

	/* One word of two meanings: an interest is not taken up, a dossier is not looked at. */
	if (strcmp(record->detail, "declined") == 0 && record->kind != RKL__INBOX_KIND__INBOX_INTEREST_REPLY)
		return text(TEXT_IN_REFUSED_DECLINED, s->c->lang);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(record->detail, words[i].name) == 0)
			return text(words[i].text, s->c->lang);
	if (is_aside(record))
		return shared_text(s, "%s%s", text(TEXT_IN_ASIDE, s->c->lang), record->detail + strlen(INBOX_ASIDE));
	return is_unsent(record) ? shared_text(s, "%s%s", text(TEXT_UNSENT, s->c->lang), record->detail + strlen(INBOX_UNSENT))
	       : record->detail;
}

static const struct {
	const char *name;
	enum text_id what, look;
} kinds[] = {
	[RKL__INBOX_KIND__INBOX_NONE] = {"none", TEXT_NONE, TEXT_NONE},
	[RKL__INBOX_KIND__INBOX_INTEREST] = {"interest", TEXT_IN_INTEREST, TEXT_LOOK_INTEREST},
	[RKL__INBOX_KIND__INBOX_INTEREST_REPLY] = {"interest_reply", TEXT_IN_INTEREST_REPLY, TEXT_LOOK_INTEREST},
	[RKL__INBOX_KIND__INBOX_NDA_PROPOSED] = {"nda_proposed", TEXT_IN_NDA_PROPOSED, TEXT_LOOK_NDA},
	[RKL__INBOX_KIND__INBOX_NDA_ACT] = {"nda_act", TEXT_IN_NDA_ACT, TEXT_LOOK_NDA},
	[RKL__INBOX_KIND__INBOX_DOSSIER] = {"dossier", TEXT_IN_DOSSIER, TEXT_LOOK_DOSSIER},
	[RKL__INBOX_KIND__INBOX_RETURNED] = {"returned", TEXT_IN_RETURNED, TEXT_LOOK_DOSSIER},
	[RKL__INBOX_KIND__INBOX_PICKED_UP] = {"picked_up", TEXT_IN_PICKED_UP, TEXT_LOOK_DOSSIER},
	[RKL__INBOX_KIND__INBOX_NOTICE] = {"notice", TEXT_IN_NOTICE, TEXT_LOOK_NOTICE},
	[RKL__INBOX_KIND__INBOX_ENROLMENT] = {"enrolment", TEXT_IN_ENROLMENT, TEXT_LOOK_MEMBER},
	[RKL__INBOX_KIND__INBOX_ALERT] = {"alert", TEXT_IN_ALERT, TEXT_LOOK_DOCTOR},
	[RKL__INBOX_KIND__INBOX_REFUSED] = {"refused", TEXT_IN_REFUSED, TEXT_LOOK_DOSSIER},
	[RKL__INBOX_KIND__INBOX_INTERNAL] = {"device_message", TEXT_IN_INTERNAL, TEXT_LOOK_INTERNAL},
};

static unsigned kind_of(const Rkl__InboxRecord *record)
{
	return (size_t)record->kind < sizeof(kinds) / sizeof(kinds[0]) ? (unsigned)record->kind : 0;
}

const char *shared_inbox_kind(Rkl__InboxKind kind)
{
	return kinds[(size_t)kind < sizeof(kinds) / sizeof(kinds[0]) ? kind : 0].name;
}

/* The envelope that a record is about, if it is a notice. */
static const Rkl__EnvelopeRecord *notice_of(struct shared *s, const Rkl__InboxRecord *record)
{
	Rkl__EnvelopeRecord *envelope;

	if (record->id.len != 32 || mail_load(s->t, record->id.data, s->a, &envelope) != RK_OK)
		return NULL;
	return envelope->kind == RK__KIND__NDA_NOTICE ? envelope : NULL;
}

/* What is said of a notice, and where to look: as of a dossier, with words of its own; its kind once it was opened. */
static enum text_id what_of(struct shared *s, const Rkl__InboxRecord *record)
{
	const Rkl__EnvelopeRecord *notice = notice_of(s, record);

	if (restored_text(record) != TEXT_NONE)
		return restored_text(record);
	if (is_sealed_before(record))
		return TEXT_IN_SEALED_BEFORE;
	if (notice != NULL && record->kind == RKL__INBOX_KIND__INBOX_NOTICE && notice->message_type != 0)
		return TEXT_IN_NOTICE_OF;
	if (notice != NULL && record->kind == RKL__INBOX_KIND__INBOX_PICKED_UP)
		return TEXT_IN_NOTICE_PICKED_UP;
	if (notice != NULL && record->kind == RKL__INBOX_KIND__INBOX_RETURNED)
		return TEXT_IN_NOTICE_RETURNED;
	if (record->kind == RKL__INBOX_KIND__INBOX_REFUSED && strcmp(record->detail, "declined") == 0)
		return notice != NULL ? TEXT_IN_NOTICE_DECLINED : TEXT_IN_DECLINED;
	if (notice != NULL && record->kind == RKL__INBOX_KIND__INBOX_REFUSED)
		return TEXT_IN_NOTICE_REFUSED;
	return kinds[kind_of(record)].what;
}

/* An answer is read where the question stands; the rest is named by its own id. */
static struct bytes subject_of(struct shared *s, const Rkl__InboxRecord *record)
{
	Rkl__EnvelopeRecord *reply;

	if (record->kind == RKL__INBOX_KIND__INBOX_INTEREST_REPLY && record->id.len == 32 &&
	    mail_load(s->t, record->id.data, s->a, &reply) == RK_OK && reply->ref.len == 32)
		return bytes_of(reply->ref);
	if (restored_text(record) != TEXT_NONE)
		return (struct bytes){NULL, 0};
	return bytes_of(record->id);
}

static enum text_id look_of(struct shared *s, const Rkl__InboxRecord *record)
{
	enum text_id look = kinds[kind_of(record)].look;

	if (is_aside(record))
		return TEXT_LOOK_ASIDE;
	if (is_sealed_before(record))
		return TEXT_LOOK_SEALED_BEFORE;
	if (is_unsent(record))
		return TEXT_LOOK_NDA;
	if (is_log(record))
		return TEXT_LOOK_LOG;
	if (look == TEXT_LOOK_DOCTOR && subject_of(s, record).len == 0)
		return TEXT_LOOK_DOCTOR_ALONE;
	return look == TEXT_LOOK_DOSSIER && notice_of(s, record) != NULL ? TEXT_LOOK_NOTICE : look;
}

/* An applicant stands in no directory yet: its name is the one of its request. */
static const char *from_name(struct shared *s, const Rkl__InboxRecord *record)
{
	struct secretariat_request request;

	if (record->from_org.len != 16)
		return "";
	if (record->kind == RKL__INBOX_KIND__INBOX_ENROLMENT &&
	    secretariat_open(s->client, s->t, record->from_org.data, s->a, &request) == RK_OK)
		return show_enrol_name(request.enrol.enrol, s->c->lang);
	return shared_name(s, record->from_org.data);
}

static json_t *from_json(struct shared *s, const Rkl__InboxRecord *record)
{
	json_t *o = json_object();

	out_set_id(o, "org_id", bytes_of(record->from_org));
	out_set_text(o, "name", from_name(s, record));
	return o;
}

/* NULL while it is sealed. */
static const char *notice_name(struct shared *s, const Rkl__InboxRecord *record)
{
	const Rkl__EnvelopeRecord *notice = notice_of(s, record);
	const struct notice_type *type = notice != NULL ? notice_type(notice->message_type) : NULL;

	return type != NULL ? type->name : NULL;
}

static json_t *inbox_json(struct shared *s, const Rkl__InboxRecord *record)
{
	struct bytes subject = subject_of(s, record);
	json_t *o = json_object();
	unsigned k = kind_of(record);

	out_set_number(o, "no", (int64_t)record->no);
	out_set_text(o, "kind", kinds[k].name);
	out_set_time(o, "time", record->time_ms);
	out_set_bool(o, "read", record->read);
	json_object_set_new(o, "from", record->from_org.len == 16 ? from_json(s, record) : json_null());
	out_set_id(o, "id", subject);
	out_set_text(o, "detail", record->detail);
	if (record->kind == RKL__INBOX_KIND__INBOX_NOTICE)
		out_set_text(o, "notice", notice_name(s, record));
	return o;
}

static const char *what_text(struct shared *s, const Rkl__InboxRecord *record)
{
	enum text_id what = what_of(s, record);
	const char *detail = detail_text(s, record);
	Rkl__EnvelopeRecord *dossier;

	if (what == TEXT_IN_NOTICE_OF)
		detail = text(notice_show_kind(notice_of(s, record)->message_type), s->c->lang);
	/* The table's own sentence, with one text to fill in or none. */
	detail = shared_text(s, "%s%s", record->read ? "" : text(TEXT_UNREAD_MARK, s->c->lang), shared_fill(s, what, detail));
	if (record->kind == RKL__INBOX_KIND__INBOX_DOSSIER && mail_load(s->t, record->id.data, s->a, &dossier) == RK_OK)
		return show_attach_title(s, dossier, detail);
	return detail;
}

static void inbox_row(struct shared *s, struct out_table *table, const Rkl__InboxRecord *record)
{
	char number[NUMBER_CHARS], when[OUT_TIME_CHARS], id[OUT_ID_CHARS];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)record->no);
	out_table_row(table);
	out_table_cell(table, number);
	out_table_cell(table, out_time(when, record->time_ms));
	out_table_cell(table, from_name(s, record));
	out_table_cell(table, out_short(id, subject_of(s, record)));
	out_table_cell(table, what_text(s, record));
}

/* ---- list */

int cmd_inbox_list(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_COL_NO, TEXT_COL_TIME, TEXT_COL_FROM, TEXT_COL_ID, TEXT_COL_WHAT};
	bool unread = false;
	const struct cli_option options[] = {{"unread", CLI_FLAG, &unread, NULL, TEXT_OPT_UNREAD, false}, {0}};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_NONE};
	struct out_table *table = NULL;
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	struct cli_args args;
	struct shared s;
	int r, more;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	r = env_cursor_open(s.t, C_INBOX, &cursor);
	if (r == RK_OK && !c->json)
		table = out_table_new(c, 5, headings);
	if (r == RK_OK)
		r = inbox_due_list(&s, table);
	more = r == RK_OK ? env_cursor_last(cursor, &key, &value) : RK_ENOTFOUND;
	for (; more == RK_OK && r == RK_OK; more = env_cursor_prev(cursor, &key, &value)) {
		Rkl__InboxRecord *record;

		arena_raise(s.a, arena_budget(value.len));
		record = rkl__inbox_record__unpack(arena_allocator(s.a), value.len, value.data);
		if (record == NULL)
			r = RK_ESTORE;
		else if (unread && record->read)
			continue;
		else if (c->json)
			r = out_json(inbox_json(&s, record));
		else
			inbox_row(&s, table, record);
	}
	env_cursor_free(cursor);
	out_table_end(table, TEXT_INBOX_EMPTY);
	return shared_end(&s, r);
}

/* ---- read */

/* Words of another device of ours are read here: they have no verb of their own.  NULL: not one, or sealed. */
static const char *internal_words(struct shared *s, const Rkl__InboxRecord *record)
{
	Rkl__EnvelopeRecord *envelope;
	Rk__Message *m;

	if (record->kind != RKL__INBOX_KIND__INBOX_INTERNAL || record->id.len != 32 ||
	    mail_load(s->t, record->id.data, s->a, &envelope) != RK_OK || mail_message(s->client, s->t, envelope, s->a, &m) != RK_OK)
		return NULL;
	return m->text;
}

/* The device that wrote them, by its label. */
static const char *internal_sender(struct shared *s, const Rkl__InboxRecord *record)
{
	Rkl__EnvelopeRecord *envelope;
	char shown[OUT_ID_CHARS];
	Rk__Device *d;

	if (mail_load(s->t, record->id.data, s->a, &envelope) != RK_OK)
		return "";
	if (book_device(s->client, s->t, envelope->sender_device.data, envelope->sender_org.data, s->a, &d) == RK_OK && d->label[0] != '\0')
		return d->label;
	return shared_text(s, "%s", out_short(shown, bytes_of(envelope->sender_device)));
}

static int show_internal(struct shared *s, const Rkl__InboxRecord *record, const char *words)
{
	char *clean;
	json_t *o;

	if (!s->c->json) {
		if ((clean = out_clean(words, true)) == NULL)
			return RK_ENOMEM;
		out_line(s->c, TEXT_LOOK_INTERNAL, internal_sender(s, record));
		out_raw(clean);
		free(clean);
		return RK_OK;
	}
	o = inbox_json(s, record);
	out_set_text(o, "device", internal_sender(s, record));
	out_set_text(o, "text", words);
	return out_json(o);
}

static int mark(struct shared *s, uint64_t no, bool tell)
{
	Rkl__InboxRecord *record;
	const char *words;
	char id[OUT_ID_CHARS];
	uint8_t key[8];
	int r;

	put_u64be(key, no);
	r = record_get(s->t, C_INBOX, BYTES_OF(key), &rkl__inbox_record__descriptor, s->a, (ProtobufCMessage **)&record);
	if (r != RK_OK)
		return r;
	record->read = true;
	if ((r = record_put(s->t, C_INBOX, BYTES_OF(key), &record->base)) != RK_OK || !tell)
		return r;
	if ((words = internal_words(s, record)) != NULL)
		return show_internal(s, record, words);
	if (s->c->json)
		return out_json(inbox_json(s, record));
	out_raw(what_text(s, record));
	/* Some of these sentences leave the id. */
	out_line(s->c, look_of(s, record), out_short(id, subject_of(s, record)));
	return RK_OK;
}

static int mark_all(struct shared *s, unsigned *count)
{
	struct env_cursor *cursor = NULL;
	uint64_t numbers[256], from = 0;
	struct bytes key, value;
	size_t n = 0;
	int r, more;

	/* By pages: a cursor does not outlive what is written beside it. */
	do {
		uint8_t first[8];

		put_u64be(first, from);
		if ((r = env_cursor_open(s->t, C_INBOX, &cursor)) != RK_OK)
			return r;
		n = 0;
		for (more = env_cursor_seek(cursor, BYTES_OF(first), &key, &value); more == RK_OK && n < 256;
		     more = env_cursor_next(cursor, &key, &value))
			if (key.len == 8)
				numbers[n++] = get_u64be(key.data);
		env_cursor_free(cursor);
		for (size_t i = 0; i < n; i++, (*count)++)
			if ((r = mark(s, numbers[i], false)) != RK_OK)
				return r;
		from = n > 0 ? numbers[n - 1] + 1 : 0;
	} while (n == 256);
	return RK_OK;
}

int cmd_inbox_read(struct cli *c, int argc, char **argv)
{
	bool all = false;
	const struct cli_option options[] = {{"all", CLI_FLAG, &all, NULL, TEXT_OPT_ALL, false}, {0}};
	const struct cli_usage usage = {options, "[NO]", 0, 1, TEXT_NONE};
	unsigned long long no = 0;
	struct cli_args args;
	unsigned count = 0;
	struct shared s;
	char *end = NULL;
	json_t *o;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if (all == (args.count == 1))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_INBOX_WHICH);
	if (!all && ((no = strtoull(args.arg[0], &end, 10)) == 0 || *end != '\0' || args.arg[0][0] == '-'))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_INBOX_NOT_A_NUMBER, args.arg[0]);
	if ((r = cli_open_joined(c)) != RK_OK || (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	r = all ? mark_all(&s, &count) : mark(&s, no, true);
	if (r == RK_ENOTFOUND)
		r = cli_refuse(c, r, TEXT_HINT_SYNC, TEXT_INBOX_UNKNOWN, args.arg[0]);
	if ((r = shared_end(&s, r)) != RK_OK || !all)
		return r;
	if (!c->json) {
		out_say(c, TEXT_INBOX_MARKED, count);
		return RK_OK;
	}
	o = json_object();
	out_set_number(o, "read", count);
	return out_json(o);
}
