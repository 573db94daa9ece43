#include "client/cli/notice_show.h"

#include "client/days.h"
#include "proto/strict.h"

/* ---- notices */

static const struct {
	uint32_t type;
	enum text_id text;
} kinds[] = {
	{RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION, TEXT_NK_MARKING_CONFIRMATION},
	{RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, TEXT_NK_RETURN_REQUEST},
	{RK__MESSAGE_TYPE__MESSAGE_DESTRUCTION_CERTIFICATE, TEXT_NK_DESTRUCTION_CERTIFICATE},
	{RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP, TEXT_NK_NEXT_STEP}, {RK__MESSAGE_TYPE__MESSAGE_CONSENT, TEXT_NK_CONSENT},
	{RK__MESSAGE_TYPE__MESSAGE_COMPELLED_DISCLOSURE, TEXT_NK_COMPELLED_DISCLOSURE},
	{RK__MESSAGE_TYPE__MESSAGE_PRIOR_KNOWLEDGE, TEXT_NK_PRIOR_KNOWLEDGE}, {RK__MESSAGE_TYPE__MESSAGE_SAMPLE, TEXT_NK_SAMPLE},
	{RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE, TEXT_NK_DOSSIER_NOTICE},
};

enum text_id notice_show_kind(uint32_t type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == type)
			return kinds[i].text;
	return TEXT_NK_UNKNOWN;
}

const char *notice_show_option(const struct notice_type *type, unsigned field)
{
	static const struct {
		unsigned field;
		const char *option;
	} options[] = {
		{NOTICE_SCOPE, "dossier"}, {NOTICE_OCCURRED_AT, "occurred-at"}, {NOTICE_PLACE, "place"}, {NOTICE_DISCLOSER, "discloser"},
		{NOTICE_PRESENT, "present"}, {NOTICE_SUMMARY, "summary"}, {NOTICE_CHOICE, "choice"}, {NOTICE_DUE, "due"},
		{NOTICE_METHOD, "method"}, {NOTICE_DONE_AT, "done-at"}, {NOTICE_EXCEPTIONS, "exceptions"}, {NOTICE_SIGNER, "signer"},
		{NOTICE_TITLE, "title"}, {NOTICE_ABSTRACT, "abstract"},
	};

	if (field == NOTICE_DUE && type->type == RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP)
		return "until";
	if (field == NOTICE_SUMMARY && type->type == RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE)
		return "files";
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].field == field)
			return options[i].option;
	return "message";
}

/* What `choice` means in a kind: its word, and its name in JSON. */
static const struct {
	uint32_t type, choice;
	const char *name;
	enum text_id text;
} choices[] = {
	{RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, NOTICE_RETURN, "return", TEXT_CHOICE_RETURN},
	{RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, NOTICE_DESTROY, "destroy", TEXT_CHOICE_DESTROY},
	{RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, NOTICE_EITHER, "either", TEXT_CHOICE_EITHER},
	{RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP, NOTICE_GO, "go", TEXT_STEP_GO},
	{RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP, NOTICE_NO_GO, "no_go", TEXT_STEP_NO_GO},
	{RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP, NOTICE_EXTEND, "extend", TEXT_STEP_EXTEND},
};

static void show_choice(struct shared *s, uint32_t type, uint32_t choice)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (choices[i].type == type && choices[i].choice == choice)
			out_field(s->c, type == RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP ? TEXT_F_STEP : TEXT_F_CHOICE,
			          text(choices[i].text, s->c->lang));
}

static void show_scope(struct shared *s, const Rk__NdaNotice *n)
{
	char id[OUT_ID_CHARS];

	if (n->all)
		out_field(s->c, TEXT_F_ABOUT_DOSSIERS, text(TEXT_ABOUT_ALL, s->c->lang));
	for (size_t i = 0; i < n->n_env_ids; i++)
		out_field(s->c, i == 0 ? TEXT_F_ABOUT_DOSSIERS : TEXT_NONE, out_short(id, bytes_of(n->env_ids[i])));
}

static void show_text(struct shared *s, enum text_id label, const char *value)
{
	if (value[0] != '\0')
		out_field(s->c, label, value);
}

static void show_day(struct shared *s, enum text_id label, uint32_t day)
{
	char value[11];

	if (day == 0)
		return;
	days_text(value, day);
	out_field(s->c, label, value);
}

static void show_time(struct shared *s, enum text_id label, int64_t ms)
{
	char value[OUT_TIME_CHARS];

	if (ms != 0)
		out_field(s->c, label, out_time(value, ms));
}

void notice_show(struct shared *s, uint32_t type, const Rk__NdaNotice *n, const char *words)
{
	bool is_announcement = type == RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE;

	out_field(s->c, TEXT_F_KIND, text(notice_show_kind(type), s->c->lang));
	show_text(s, TEXT_F_TITLE, n->title);
	show_choice(s, type, n->choice);
	show_scope(s, n);
	show_time(s, TEXT_F_OCCURRED_AT, n->occurred_at);
	show_text(s, TEXT_F_PLACE, n->place);
	show_text(s, TEXT_F_TOLD_BY, n->discloser);
	for (size_t i = 0; i < n->n_present; i++)
		out_field(s->c, i == 0 ? TEXT_F_PRESENT : TEXT_NONE, n->present[i]);
	show_text(s, TEXT_F_ABSTRACT, n->abstract);
	show_text(s, is_announcement ? TEXT_F_KINDS_SIZES : TEXT_F_SUMMARY, n->summary);
	show_day(s, TEXT_F_DUE, n->due_day);
	show_text(s, TEXT_F_METHOD, n->method);
	show_time(s, TEXT_F_DONE_AT, n->done_at);
	show_text(s, TEXT_F_EXCEPTIONS, n->exceptions);
	show_text(s, TEXT_F_CERTIFIER, n->signer);
	show_text(s, TEXT_F_TEXT, words);
}

/* Texts that are not set are null. */
static void set_text(json_t *o, const char *key, const char *value)
{
	out_set_text(o, key, value[0] != '\0' ? value : NULL);
}

static void set_day(json_t *o, const char *key, uint32_t day)
{
	char value[11];

	days_text(value, day);
	out_set_text(o, key, day != 0 ? value : NULL);
}

void notice_show_json(json_t *o, uint32_t type, const Rk__NdaNotice *n, const char *words)
{
	json_t *dossiers = json_array(), *present = json_array();
	const char *choice = NULL;
	char id[OUT_ID_CHARS];

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (choices[i].type == type && choices[i].choice == n->choice)
			choice = choices[i].name;
	for (size_t i = 0; i < n->n_env_ids; i++)
		json_array_append_new(dossiers, json_string(out_hex(id, bytes_of(n->env_ids[i]))));
	for (size_t i = 0; i < n->n_present; i++)
		json_array_append_new(present, json_string(n->present[i]));
	json_object_set_new(o, "dossiers", dossiers);
	out_set_bool(o, "all", n->all);
	out_set_time(o, "occurred_at", n->occurred_at);
	set_text(o, "place", n->place);
	set_text(o, "discloser", n->discloser);
	json_object_set_new(o, "present", present);
	set_text(o, "summary", n->summary);
	out_set_text(o, "choice", choice);
	set_day(o, "due", n->due_day);
	set_text(o, "method", n->method);
	out_set_time(o, "done_at", n->done_at);
	set_text(o, "exceptions", n->exceptions);
	set_text(o, "signer", n->signer);
	set_text(o, "title", n->title);
	set_text(o, "abstract", n->abstract);
	set_text(o, "text", words);
}

/* ---- duties */

int notice_show_duties(struct shared *s, const struct agreement *ag, const struct duty_facts *facts, struct duty **list, size_t *count)
{
	size_t room = duty_room(ag, facts);

	arena_raise(s->a, room * sizeof(**list) + 32);
	if ((*list = arena_alloc(s->a, room * sizeof(**list))) == NULL)
		return RK_ENOMEM;
	*count = duty_list(ag, facts, client_now(s->client), *list, room);
	return RK_OK;
}

/* Its sentence, and whether people read the last day or the instant. */
static const struct {
	enum text_id text;
	bool is_day;
} dates[DUTY_KIND_COUNT] = {
	[DUTY_SIGN] = {TEXT_DATE_ACCEPT_BY, false}, [DUTY_STARTS] = {TEXT_DATE_STARTS, false}, [DUTY_CONFIRM] = {TEXT_DATE_CONFIRM, true},
	[DUTY_NEXT_STEP] = {TEXT_DATE_NEXT_STEP, true}, [DUTY_TERMINATES] = {TEXT_DATE_TERMINATES, false},
	[DUTY_ENDS] = {TEXT_DATE_ENDS, true}, [DUTY_RETURN] = {TEXT_DATE_RETURN, true},
	[DUTY_NOTICES_END] = {TEXT_DATE_NOTICES_END, false}, [DUTY_SURVIVAL] = {TEXT_DATE_SURVIVAL, true},
};

const char *notice_show_date(struct shared *s, const struct duty *d)
{
	char when[OUT_TIME_CHARS], day[11];

	/* A zone that this machine does not know has instants, but no days. */
	days_text(day, d->due_day);
	return shared_fill(s, dates[d->kind].text, dates[d->kind].is_day && d->due_day != 0 ? day : out_time(when, d->due_at));
}

static const char *whose_text(struct shared *s, const struct agreement *ag, const struct duty *d)
{
	switch (d->whose) {
	case DUTY_US:
		return text(TEXT_DUTY_OF_US, s->c->lang);
	case DUTY_ALL:
		return text(TEXT_DUTY_OF_ALL, s->c->lang);
	case DUTY_THEM:
		return d->party >= 0 ? shared_fill(s, TEXT_DUTY_OF, shared_name(s, ag->row.parties[d->party].org_id)) : "";
	default:
		return "";
	}
}

const char *notice_show_duty(struct shared *s, const struct agreement *ag, const struct duty *d)
{
	enum text_id state = d->overdue ? TEXT_DUTY_OVERDUE : !d->done ? TEXT_NONE : d->late ? TEXT_DUTY_DONE_LATE
	                     : d->whose == DUTY_NOBODY ? TEXT_DUTY_PASSED : TEXT_DUTY_DONE;
	const char *about = "", *date = notice_show_date(s, d), *whose = whose_text(s, ag, d);
	char id[OUT_ID_CHARS];

	if (d->about != NULL)
		about = shared_fill(s, TEXT_DUTY_ABOUT, out_short(id, bytes_make(d->about, 32)));
	return shared_fill(s, TEXT_DUTY_LINE, date, whose, about, text(state, s->c->lang));
}

void notice_show_duty_json(struct shared *s, json_t *o, const struct agreement *ag, const struct duty *d)
{
	out_set_text(o, "duty", duty_name(d->kind));
	set_day(o, "due", d->due_day);
	out_set_time(o, "due_at", d->due_at);
	out_set_text(o, "whose", duty_whose_name(d->whose));
	json_object_set_new(o, "org", d->party >= 0 ? shared_org_json(s, ag->row.parties[d->party].org_id) : json_null());
	out_set_bool(o, "done", d->done);
	out_set_bool(o, "overdue", d->overdue);
	out_set_bool(o, "late", d->late);
	out_set_id(o, "about", bytes_make(d->about, d->about != NULL ? 32 : 0));
}
