/* nda notice: what is said to the other parties beside dossiers, also after the end. */
#include "client/cli/notice_show.h"
#include "client/days.h"
#include "proto/strict.h"

#define PRESENT_MAX 16
#define NAME_CHARS 201

_Static_assert(CLI_LIST_MAX <= NOTICE_ENVS_MAX, "a list of the command line has no more places than a notice");

struct notice_options {
	const char *occurred_at, *done_at, *due, *until, *choice, *place, *discloser, *summary, *files, *method, *exceptions, *signer,
		*title, *abstract;
	struct cli_list to, present, dossiers;
	bool all, go, no_go, extend, yes;
	struct notice_new n;
	const struct notice_type *type;
	Rk__NdaNotice notice;
	uint8_t nda_id[32], ids[NDA_PARTIES_MAX][16], env_ids[NOTICE_ENVS_MAX][32];
	ProtobufCBinaryData envs[NOTICE_ENVS_MAX];
	char asked[NAME_CHARS];
};

/* ---- reading what was given */

static int read_kind(struct cli *c, struct notice_options *o, const struct cli_args *args)
{
	if (args->count > 2)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_NO_FILES, TEXT_NOTICE_NO_FILES, args->arg[2]);
	if ((o->type = notice_type_named(args->arg[1])) == NULL)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NOTICE_UNKNOWN_KIND, args->arg[1]);
	o->n.type = o->type->type;
	return RK_OK;
}

static int read_time(struct cli *c, const char *option, const char *given, int64_t *ms)
{
	int r;

	if (given == NULL || (r = days_clock_parse(given, out_zone(), ms)) == RK_OK)
		return RK_OK;
	if (r != RK_EUSAGE)
		return cli_fail(c, r, TEXT_CANNOT_NOTICE);
	return cli_refuse(c, RK_EUSAGE, TEXT_HINT_TIME, TEXT_NOTICE_BAD_TIME, option, given);
}

/* --choice, or one of --go, --no-go, --extend: the same field, asked for as each kind calls it. */
static int read_choice(struct cli *c, struct notice_options *o)
{
	static const char *const choices[] = {NULL, "return", "destroy", "either"};
	int steps = o->go + o->no_go + o->extend;

	if (o->type->type == RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP) {
		if (steps != 1 || o->choice != NULL)
			return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NOTICE_ONE_STEP);
		o->notice.choice = o->go ? NOTICE_GO : o->no_go ? NOTICE_NO_GO : NOTICE_EXTEND;
		return RK_OK;
	}
	if (steps > 0 || o->until != NULL)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NOTICE_FOREIGN, o->type->name,
		                  o->go ? "go" : o->no_go ? "no-go" : o->extend ? "extend" : "until");
	for (uint32_t i = 1; o->choice != NULL && i < 4; i++)
		if (strcmp(o->choice, choices[i]) == 0)
			o->notice.choice = i;
	if (o->choice != NULL && o->notice.choice == 0)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NOTICE_BAD_CHOICE, o->choice);
	return RK_OK;
}

/* An option whose field goes by another name in this kind. */
static int read_renamed(struct cli *c, struct notice_options *o)
{
	bool is_step = o->type->type == RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP;
	bool is_announcement = o->type->type == RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE;
	const char *foreign = is_step && o->due != NULL ? "due" : is_announcement && o->summary != NULL ? "summary"
	                      : !is_announcement && o->files != NULL ? "files" : NULL;

	if (foreign != NULL)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NOTICE_FOREIGN, o->type->name, foreign);
	o->notice.summary = pb_text(is_announcement ? o->files : o->summary);
	return is_step ? shared_day(c, "until", o->until, &o->notice.due_day) : shared_day(c, "due", o->due, &o->notice.due_day);
}

/* A person certifies: the organisation's name is never put there for them. */
static int read_certificate(struct cli *c, struct notice_options *o)
{
	int r;

	if ((r = read_time(c, "done-at", o->done_at, &o->notice.done_at)) != RK_OK)
		return r;
	if (o->type->type == RK__MESSAGE_TYPE__MESSAGE_DESTRUCTION_CERTIFICATE) {
		if (o->done_at == NULL)
			o->notice.done_at = client_now(c->client);
		if (o->signer == NULL && cli_ask(c, o->asked, sizeof(o->asked), TEXT_ASK_CERTIFIER))
			o->signer = o->asked;
		if (c->stop)
			return cli_refuse(c, RK_EINTERRUPTED, TEXT_NONE, TEXT_NOT_CONFIRMED);
	}
	o->notice.signer = pb_text(o->signer);
	return RK_OK;
}

static int read_fields(struct cli *c, struct notice_options *o)
{
	Rk__NdaNotice *n = &o->notice;
	int r;

	if (o->present.count > PRESENT_MAX)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NOTICE_TOO_MANY);
	n->place = pb_text(o->place);
	n->discloser = pb_text(o->discloser);
	n->present = (char **)(uintptr_t)o->present.item;
	n->n_present = o->present.count;
	n->method = pb_text(o->method);
	n->exceptions = pb_text(o->exceptions);
	n->title = pb_text(o->title);
	n->abstract = pb_text(o->abstract);
	n->all = o->all;
	if ((r = read_choice(c, o)) != RK_OK || (r = read_renamed(c, o)) != RK_OK ||
	    (r = read_time(c, "occurred-at", o->occurred_at, &n->occurred_at)) != RK_OK)
		return r;
	return read_certificate(c, o);
}

/* Agreement, recipients, dossiers: in this order, so that a stranger learns no more than "no agreement". */
static int read_ids(struct shared *s, struct notice_options *o, const char *nda)
{
	struct agreement *ag;
	int r;

	if ((r = shared_agreement(s, nda, false, RK_NO_NDA, &ag)) != RK_OK)
		return r;
	memcpy(o->nda_id, ag->nda_id, 32);
	o->n.nda_id = o->nda_id;
	if ((r = shared_orgs(s, &o->to, o->ids, NDA_PARTIES_MAX, &o->n.to_count)) != RK_OK)
		return r;
	o->n.to = (const uint8_t(*)[16])o->ids;
	for (o->notice.n_env_ids = 0; o->notice.n_env_ids < o->dossiers.count; o->notice.n_env_ids++) {
		size_t i = o->notice.n_env_ids;

		if ((r = shared_id(s, C_ENVELOPE, o->dossiers.item[i], o->env_ids[i], 32, TEXT_DOSSIER_UNKNOWN)) != RK_OK)
			return r;
		o->envs[i] = pb_of(bytes_make(o->env_ids[i], 32));
	}
	o->notice.env_ids = o->envs;
	o->n.notice = &o->notice;
	return RK_OK;
}

/* ---- refusals */

static int report_fault(struct shared *s, const struct notice_options *o, const struct notice_made *made,
                        const struct notice_problem *p, int r)
{
	const char *kind = o->type->name, *option = notice_show_option(o->type, p->field);
	struct cli *c = s->c;
	char day[11];

	switch (p->fault) {
	case NOTICE_FAULT_MISSING:
		return cli_refuse(c, r, TEXT_HINT_HELP, TEXT_NOTICE_MISSING, kind, option);
	case NOTICE_FAULT_FOREIGN:
		return cli_refuse(c, r, TEXT_HINT_HELP, TEXT_NOTICE_FOREIGN, kind, option);
	case NOTICE_FAULT_SCOPE:
		return cli_refuse(c, r, TEXT_HINT_HELP, TEXT_NOTICE_SCOPE_WRONG);
	case NOTICE_FAULT_DAY:
		return cli_refuse(c, r, TEXT_HINT_TIME, TEXT_NOTICE_BAD_TIME, option, "");
	case NOTICE_FAULT_FUTURE:
		return cli_refuse(c, r, TEXT_HINT_TIME, TEXT_NOTICE_FUTURE, option);
	case NOTICE_FAULT_PAST:
		return cli_refuse(c, r, TEXT_HINT_DAY, TEXT_NOTICE_PAST, option);
	case NOTICE_FAULT_TEXT:
		return cli_refuse(c, r, TEXT_HINT_HELP, TEXT_NOTICE_LONG);
	case NOTICE_FAULT_ROLE:
		return cli_refuse(c, r, TEXT_HINT_VIEW, TEXT_NOTICE_ROLE, text(notice_show_kind(o->type->type), c->lang));
	case NOTICE_FAULT_DOSSIER:
		return cli_refuse(c, r, TEXT_HINT_SYNC, TEXT_NOTICE_FOREIGN_DOSSIER);
	case NOTICE_FAULT_LATE:
		days_text(day, made->confirm_by);
		return cli_refuse(c, r, TEXT_HINT_LATE, TEXT_NOTICE_LATE, day);
	default:
		return shared_fail(c, r, TEXT_CANNOT_NOTICE);
	}
}

/* ---- the verb */

/* What will be said, and whether it comes in time. */
static void show_before(struct shared *s, const struct notice_options *o, const struct notice_made *made)
{
	char day[11];

	if (made->is_late) {
		days_text(day, made->confirm_by);
		out_warn(s->c, TEXT_NOTICE_LATE, day);
	}
	if (s->c->json || o->yes)
		return;
	notice_show(s, o->type->type, made->notice, o->n.text != NULL ? o->n.text : "");
	if (made->confirm_by == 0)
		return;
	days_text(day, made->confirm_by);
	out_field(s->c, TEXT_F_CONFIRM_BY, made->is_late ? shared_fill(s, TEXT_CONFIRM_LATE, day) : day);
}

/* Everything but the sending, and the question. */
static int ask_first(struct cli *c, struct notice_options *o, const char *nda)
{
	struct notice_problem problem;
	struct notice_made made;
	const char *names = "";
	struct shared s;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = read_ids(&s, o, nda)) != RK_OK)
		return shared_end(&s, r);
	if ((r = notice_send(c->client, s.t, &o->n, s.a, &made, &problem, NULL)) != RK_OK)
		return shared_end(&s, report_fault(&s, o, &made, &problem, r));
	show_before(&s, o, &made);
	for (size_t i = 0; i < made.to_count; i++)
		names = shared_text(&s, "%s%s%s", names, i > 0 ? text(TEXT_COMMA, c->lang) : "", shared_name(&s, made.to[i]));
	if (!o->yes)
		r = cli_confirm(c, TEXT_ASK_NOTICE, names);
	return shared_end(&s, r);
}

static int queue(struct cli *c, const struct notice_options *o, uint64_t *item)
{
	struct notice_problem problem;
	struct notice_made made;
	struct shared s;
	int r;

	if ((r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if ((r = notice_send(c->client, s.t, &o->n, s.a, &made, &problem, item)) != RK_OK)
		r = report_fault(&s, o, &made, &problem, r);
	return shared_end(&s, r);
}

static int finish(struct cli *c, const struct notice_options *o, uint64_t item)
{
	struct outcome out;
	char id[OUT_ID_CHARS];
	json_t *json;
	int r;

	/* The only allowance that a notice can use up is that of the day. */
	if ((r = link_finish(c->client, item, &c->stop, &out)) == RK_QUOTA)
		return cli_refuse(c, r, TEXT_HINT_TOMORROW, TEXT_NOTICE_QUOTA);
	if (r != RK_OK)
		return cli_fail_finish(c, r, TEXT_CANNOT_NOTICE);
	if (c->json) {
		json = shared_outcome_json("notice_id", &out);
		out_set_id(json, "nda_id", BYTES_OF(o->nda_id));
		out_set_text(json, "notice", o->type->name);
		return out_json(json);
	}
	out_field(c, TEXT_F_ID, out_hex(id, BYTES_OF(out.env_id)));
	out_say(c, TEXT_NOTICE_SENT);
	return RK_OK;
}

int cmd_nda_notice(struct cli *c, int argc, char **argv)
{
	struct notice_options o = {.notice = RK__NDA_NOTICE__INIT};
	const struct cli_option options[] = {
		{"to", CLI_LIST, &o.to, "ORG", TEXT_OPT_NOTICE_TO, false},
		{"message", CLI_TEXT, &o.n.text, "TEXT", TEXT_OPT_MESSAGE, false},
		{"occurred-at", CLI_TEXT, &o.occurred_at, "TIME", TEXT_OPT_OCCURRED_AT, false},
		{"place", CLI_TEXT, &o.place, "TEXT", TEXT_OPT_PLACE, false},
		{"discloser", CLI_TEXT, &o.discloser, "NAME", TEXT_OPT_TOLD_BY, false},
		{"present", CLI_LIST, &o.present, "NAME", TEXT_OPT_PRESENT, false},
		{"summary", CLI_TEXT, &o.summary, "TEXT", TEXT_OPT_SUMMARY, false},
		{"late", CLI_FLAG, &o.n.late, NULL, TEXT_OPT_LATE, false},
		{"dossier", CLI_LIST, &o.dossiers, "ID", TEXT_OPT_ABOUT_DOSSIER, false},
		{"all", CLI_FLAG, &o.all, NULL, TEXT_OPT_ALL_RECEIVED, false},
		{"choice", CLI_TEXT, &o.choice, "CHOICE", TEXT_OPT_CHOICE, false},
		{"due", CLI_TEXT, &o.due, "DATE", TEXT_OPT_DUE, false},
		{"method", CLI_TEXT, &o.method, "TEXT", TEXT_OPT_METHOD, false},
		{"done-at", CLI_TEXT, &o.done_at, "TIME", TEXT_OPT_DONE_AT, false},
		{"exceptions", CLI_TEXT, &o.exceptions, "TEXT", TEXT_OPT_EXCEPTIONS, false},
		{"signer", CLI_TEXT, &o.signer, "NAME", TEXT_OPT_CERTIFIER, false},
		{"go", CLI_FLAG, &o.go, NULL, TEXT_OPT_GO, false},
		{"no-go", CLI_FLAG, &o.no_go, NULL, TEXT_OPT_NO_GO, false},
		{"extend", CLI_FLAG, &o.extend, NULL, TEXT_OPT_EXTEND, false},
		{"until", CLI_TEXT, &o.until, "DATE", TEXT_OPT_EXTEND_UNTIL, false},
		{"title", CLI_TEXT, &o.title, "TEXT", TEXT_OPT_TITLE, false},
		{"abstract", CLI_TEXT, &o.abstract, "TEXT", TEXT_OPT_ABSTRACT, false},
		{"files", CLI_TEXT, &o.files, "TEXT", TEXT_OPT_KINDS_SIZES, false},
		{"yes", CLI_FLAG, &o.yes, NULL, TEXT_OPT_YES, false},
		{0},
	};
	const struct cli_usage usage = {options, "ID KIND", 2, CLI_ARGS_MAX, TEXT_NOTICE_KINDS};
	struct cli_args args;
	uint64_t item;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = read_kind(c, &o, &args)) != RK_OK)
		return r;
	/* The home knows the zone of the days that were given. */
	if ((r = shared_open(c)) != RK_OK || (r = read_fields(c, &o)) != RK_OK || (r = ask_first(c, &o, args.arg[0])) != RK_OK ||
	    (r = queue(c, &o, &item)) != RK_OK)
		return r;
	return finish(c, &o, item);
}
