/* interest: first contact about a post.  Every screen says that no confidentiality agreement applies. */
#include "client/cli/shared.h"
#include "client/interest.h"
#include "client/mail.h"
#include "proto/strict.h"

/* ---- send */

static int read_cooperation(struct cli *c, const struct cli_list *list, uint32_t *bits)
{
	for (unsigned i = 0; i < list->count; i++) {
		uint32_t bit;

		if (interest_cooperation(list->item[i], &bit) != RK_OK)
			return cli_refuse(c, RK_EUSAGE, TEXT_OPT_COOPERATION, TEXT_BAD_COOPERATION, list->item[i]);
		*bits |= bit;
	}
	return RK_OK;
}

static int report_send(struct cli *c, int r)
{
	switch (r) {
	case RK_OK:
		return RK_OK;
	case RK_NOT_PERMITTED:
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_POSTS, TEXT_OWN_POST);
	case RK_CONFLICT:
		return cli_refuse(c, r, TEXT_HINT_POSTS, TEXT_POST_CLOSED);
	case RK_TOO_LARGE:
		return cli_refuse(c, r, TEXT_NONE, TEXT_INTEREST_LARGE);
	default:
		return shared_fail(c, r, TEXT_CANNOT_SEND_INTEREST);
	}
}

/* Waits for the answer, then tells: the id of the interest (NULL: this is it), and that no agreement applies. */
static int finish_open(struct cli *c, uint64_t item, const uint8_t *interest_id, enum text_id done)
{
	struct outcome out;
	char hex[OUT_ID_CHARS];
	json_t *o;
	int r = cli_finish(c, item, TEXT_CANNOT_SEND_INTEREST, &out);

	if (r != RK_OK)
		return r;
	if (interest_id == NULL)
		interest_id = out.env_id;
	if (c->json) {
		o = json_object();
		out_set_id(o, "interest_id", bytes_make(interest_id, 32));
		out_set_bool(o, "confidential", false);
		out_set_time(o, "time", out.time_ms);
		return out_json(o);
	}
	out_field(c, TEXT_F_ID, out_hex(hex, bytes_make(interest_id, 32)));
	out_say(c, done);
	out_say(c, TEXT_OPEN_KIND);
	return RK_OK;
}

int cmd_interest_send(struct cli *c, int argc, char **argv)
{
	struct interest_new n = {0};
	struct cli_list cooperation = {0};
	const struct cli_option options[] = {
		{"message", CLI_TEXT, &n.message, "TEXT", TEXT_OPT_MESSAGE, true},
		{"about", CLI_TEXT, &n.about, "TEXT", TEXT_OPT_ABOUT, false},
		{"contact", CLI_TEXT, &n.contact, "TEXT", TEXT_OPT_CONTACT, false},
		{"cooperation", CLI_LIST, &cooperation, "KIND", TEXT_OPT_COOPERATION, false},
		{0},
	};
	const struct cli_usage usage = {options, "POST_ID", 1, 1, TEXT_OPEN_KIND};
	struct cli_args args;
	struct shared s;
	uint8_t post_id[32];
	uint64_t item;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = read_cooperation(c, &cooperation, &n.cooperation)) != RK_OK)
		return r;
	if (n.message[0] == '\0')
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_OPTION_NEEDS_VALUE, "--message");
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	n.post_id = post_id;
	if ((r = shared_id(&s, C_POST, args.arg[0], post_id, 32, TEXT_POST_UNKNOWN)) == RK_OK)
		r = report_send(c, interest_send(c->client, s.t, &n, s.a, &item));
	if ((r = shared_end(&s, r)) != RK_OK)
		return r;
	return finish_open(c, item, NULL, TEXT_INTEREST_SENT);
}

/* ---- list and view */

static bool is_interest(const Rkl__EnvelopeRecord *record)
{
	return record->kind == RK__KIND__OPEN && record->message_type == RK__MESSAGE_TYPE__MESSAGE_INTEREST;
}

static enum text_id outcome_text(uint32_t outcome)
{
	return outcome == RK__INTEREST_OUTCOME__ACCEPTED ? TEXT_OUTCOME_ACCEPTED
	       : outcome == RK__INTEREST_OUTCOME__DECLINED ? TEXT_OUTCOME_DECLINED : TEXT_OUTCOME_OPEN;
}

static const char *outcome_name(uint32_t outcome)
{
	return outcome == RK__INTEREST_OUTCOME__ACCEPTED ? "accepted" : outcome == RK__INTEREST_OUTCOME__DECLINED ? "declined" : "open";
}

static const uint8_t *other_side(const Rkl__EnvelopeRecord *record)
{
	return record->outgoing && record->n_recipients > 0 ? record->recipients[0].data : record->sender_org.data;
}

static const char *post_title(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	Rk__Message *message;
	Rkl__PostRecord *post;
	struct bytes packed;

	if (record->ref.len != 32 || record_get(s->t, C_POST, bytes_of(record->ref), &rkl__post_record__descriptor, s->a,
	                                        (ProtobufCMessage **)&post) != RK_OK)
		return "";
	if (post->env_id.len != 32 || content_get(s->client, s->t, post->env_id.data, false, s->a, &packed) != RK_OK ||
	    message_read(packed, s->a, &message) != MESSAGE_OK || message->post == NULL || message->post->n_texts == 0)
		return "";
	return message->post->texts[0]->title;
}

static json_t *interest_json(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	json_t *o = json_object();

	out_set_id(o, "interest_id", bytes_of(record->env_id));
	out_set_text(o, "direction", record->outgoing ? "out" : "in");
	json_object_set_new(o, "from", shared_org_json(s, record->sender_org.data));
	json_object_set_new(o, "to", shared_org_json(s, record->n_recipients > 0 ? record->recipients[0].data : record->sender_org.data));
	out_set_id(o, "post_id", bytes_of(record->ref));
	out_set_text(o, "title", post_title(s, record));
	out_set_text(o, "outcome", outcome_name(record->outcome));
	out_set_time(o, "time", record->time_ms);
	out_set_bool(o, "confidential", false);
	return o;
}

static int list_row(struct shared *s, struct out_table *table, const Rkl__EnvelopeRecord *record)
{
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];

	if (s->c->json)
		return out_json(interest_json(s, record));
	out_table_row(table);
	out_table_cell(table, out_short(id, bytes_of(record->env_id)));
	out_table_cell(table, text(record->outgoing ? TEXT_WAY_OUT : TEXT_WAY_IN, s->c->lang));
	out_table_cell(table, out_time(when, record->time_ms));
	out_table_cell(table, shared_name(s, other_side(record)));
	out_table_cell(table, text(outcome_text(record->outcome), s->c->lang));
	out_table_cell(table, post_title(s, record));
	return RK_OK;
}

int cmd_interest_list(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_COL_ID, TEXT_COL_WAY, TEXT_COL_TIME, TEXT_COL_WITH, TEXT_COL_STATE, TEXT_COL_POST};
	static const struct shared_list list = {headings, 6, TEXT_OPEN_KIND, TEXT_INTEREST_NONE, TEXT_OPEN_KIND, is_interest, list_row};

	return shared_list(c, argc, argv, &list);
}

/* The names, or with `words` what people read in their place. */
static const char *cooperation_text(struct shared *s, uint32_t bits, bool words)
{
	const char *all = "";

	for (unsigned i = 0; interest_cooperation_at(i) != NULL; i++)
		if (bits & 1u << i)
			all = shared_text(s, "%s%s%s", all, all[0] == '\0' ? "" : words ? text(TEXT_COMMA, s->c->lang) : ", ",
					  words ? cli_word(s->c, interest_cooperation_at(i)) : interest_cooperation_at(i));
	return all;
}

/* The answer to an Interest: the newest envelope that names it. */
static bool is_reply(const Rkl__EnvelopeRecord *record)
{
	return record->kind == RK__KIND__OPEN && record->message_type == RK__MESSAGE_TYPE__MESSAGE_INTEREST_REPLY;
}

static const Rk__InterestReply *find_reply(struct shared *s, const Rkl__EnvelopeRecord *record)
{
	Rkl__EnvelopeRecord **list;
	Rk__Message *message;
	size_t n;

	if (mail_list(s->t, s->a, is_reply, 0, &list, &n) != RK_OK)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (bytes_equal(bytes_of(list[i]->ref), bytes_of(record->env_id)) &&
		    mail_message(s->client, s->t, list[i], s->a, &message) == RK_OK)
			return message->interest_reply;
	return NULL;
}

static void view_lines(struct shared *s, const Rkl__EnvelopeRecord *record, const Rk__Message *m, const Rk__InterestReply *reply)
{
	struct cli *c = s->c;
	char id[OUT_ID_CHARS], when[OUT_TIME_CHARS];

	out_field(c, TEXT_F_ID, out_hex(id, bytes_of(record->env_id)));
	out_field(c, TEXT_F_FROM, shared_name(s, record->sender_org.data));
	out_field(c, TEXT_F_TO, shared_names(s, record->recipients, record->n_recipients));
	out_field(c, TEXT_F_TIME, out_time(when, record->time_ms));
	out_field(c, TEXT_F_POST, shared_text(s, "%s %s", out_short(id, bytes_of(record->ref)), post_title(s, record)));
	if (m != NULL && m->interest != NULL) {
		if (m->interest->cooperation != 0)
			out_field(c, TEXT_F_COOPERATION, cooperation_text(s, m->interest->cooperation, true));
		if (m->interest->about_us[0] != '\0')
			out_field(c, TEXT_F_ABOUT, m->interest->about_us);
		if (m->interest->contact[0] != '\0')
			out_field(c, TEXT_F_CONTACT, m->interest->contact);
		out_field(c, TEXT_F_TEXT, m->text);
	}
	out_field(c, TEXT_F_ANSWER, text(outcome_text(record->outcome), c->lang));
	if (reply != NULL && reply->reason != 0)
		out_field(c, TEXT_F_REASON, cli_word(c, interest_reason_name(reply->reason)));
	if (reply != NULL && reply->note[0] != '\0')
		out_field(c, TEXT_F_NOTE, reply->note);
	out_say(c, TEXT_OPEN_KIND);
	if (record->outcome == RK__INTEREST_OUTCOME__ACCEPTED)
		out_say(c, TEXT_NEXT_NDA, out_short(id, bytes_make(other_side(record), 16)));
}

int cmd_interest_view(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "ID", 1, 1, TEXT_OPEN_KIND};
	const Rk__InterestReply *reply;
	Rkl__EnvelopeRecord *record;
	Rk__Message *m = NULL;
	struct cli_args args;
	struct shared s;
	uint8_t env_id[32];
	json_t *o;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = shared_id(&s, C_ENVELOPE, args.arg[0], env_id, 32, TEXT_INTEREST_UNKNOWN)) != RK_OK)
		return shared_end(&s, r);
	if ((r = mail_load(s.t, env_id, s.a, &record)) != RK_OK || !is_interest(record))
		return shared_end(&s, cli_refuse(c, RK_ENOTFOUND, TEXT_HINT_SYNC, TEXT_INTEREST_UNKNOWN, args.arg[0]));
	r = mail_message(c->client, s.t, record, s.a, &m);
	reply = find_reply(&s, record);
	if (c->json) {
		o = interest_json(&s, record);
		out_set_text(o, "message", m != NULL ? m->text : NULL);
		out_set_text(o, "about", m != NULL && m->interest != NULL ? m->interest->about_us : NULL);
		out_set_text(o, "contact", m != NULL && m->interest != NULL ? m->interest->contact : NULL);
		out_set_text(o, "cooperation", m != NULL && m->interest != NULL ? cooperation_text(&s, m->interest->cooperation, false) : NULL);
		out_set_text(o, "reason", reply != NULL ? interest_reason_name(reply->reason) : NULL);
		out_set_text(o, "note", reply != NULL ? reply->note : NULL);
		r = out_json(o);
	} else {
		view_lines(&s, record, m, reply);
		r = r == RK_ENOTFOUND ? RK_OK : r;
	}
	return shared_end(&s, r);
}

/* ---- accept and decline */

static int answer(struct cli *c, const char *given, Rk__InterestOutcome outcome, uint32_t reason, const char *note)
{
	struct shared s;
	uint8_t env_id[32];
	uint64_t item;
	int r;

	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if ((r = shared_id(&s, C_ENVELOPE, given, env_id, 32, TEXT_INTEREST_UNKNOWN)) == RK_OK) {
		r = interest_answer(c->client, s.t, env_id, outcome, reason, note, s.a, &item);
		if (r == RK_NOT_PERMITTED)
			r = cli_refuse(c, RK_EUSAGE, TEXT_NONE, TEXT_INTEREST_OWN);
		else if (r == RK_CONFLICT)
			r = cli_refuse(c, r, TEXT_NONE, TEXT_INTEREST_ANSWERED);
		else if (r == RK_ENOTFOUND)
			r = cli_refuse(c, r, TEXT_HINT_SYNC, TEXT_INTEREST_UNKNOWN, given);
		else
			r = report_send(c, r);
	}
	if ((r = shared_end(&s, r)) != RK_OK)
		return r;
	return finish_open(c, item, env_id, TEXT_ANSWER_SENT);
}

int cmd_interest_accept(struct cli *c, int argc, char **argv)
{
	const char *note = NULL;
	const struct cli_option options[] = {{"note", CLI_TEXT, &note, "TEXT", TEXT_OPT_NOTE, false}, {0}};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_OPEN_KIND};
	struct cli_args args;
	int r = cli_parse(c, &usage, argc, argv, &args);

	return r != RK_OK ? r : answer(c, args.arg[0], RK__INTEREST_OUTCOME__ACCEPTED, 0, note);
}

int cmd_interest_decline(struct cli *c, int argc, char **argv)
{
	const char *note = NULL, *code = NULL;
	const struct cli_option options[] = {
		{"reason", CLI_TEXT, &code, "CODE", TEXT_OPT_DECLINE_REASON, true},
		{"note", CLI_TEXT, &note, "TEXT", TEXT_OPT_NOTE, false},
		{0},
	};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_OPEN_KIND};
	struct cli_args args;
	uint32_t reason;
	int r = cli_parse(c, &usage, argc, argv, &args);

	if (r != RK_OK)
		return r;
	if (interest_reason(code, &reason) != RK_OK)
		return cli_refuse(c, RK_EUSAGE, TEXT_OPT_DECLINE_REASON, TEXT_BAD_REASON, code);
	return answer(c, args.arg[0], RK__INTEREST_OUTCOME__DECLINED, reason, note);
}
