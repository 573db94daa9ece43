/* nda propose, counter, sign: what carries our signature. */
#include "client/cli/show_nda.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/dossier.h"
#include "client/forms.h"

#define NAME_CHARS 201

/* ---- options that several verbs share */

struct signatory_options {
	struct agreement_signatory s;
	const char *authority;
	char asked[NAME_CHARS];
};

static int read_signatory(struct cli *c, struct signatory_options *o)
{
	if (o->authority != NULL) {
		if (strcmp(o->authority, "representative") == 0)
			o->s.authority = RK__AUTHORITY__REPRESENTATIVE;
		else if (strcmp(o->authority, "delegate") == 0)
			o->s.authority = RK__AUTHORITY__DELEGATE;
		else
			return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_BAD_AUTHORITY, o->authority);
	}
	if (o->s.name == NULL && cli_ask(c, o->asked, sizeof(o->asked), TEXT_ASK_SIGNATORY) && o->asked[0] != '\0')
		o->s.name = o->asked;
	if (c->stop)
		return cli_refuse(c, RK_EINTERRUPTED, TEXT_NONE, TEXT_NOT_CONFIRMED);
	/* A person signs: the organisation's name is never put there for them. */
	if (o->s.name == NULL || o->s.name[0] == '\0')
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_SIGNATORY, TEXT_NO_SIGNATORY);
	return RK_OK;
}

struct proposal_options {
	struct agreement_new n;
	struct cli_list with, disclosers;
	const char *document, *form, *until, *from, *accept_by, *again;
	int64_t notice_days, window_days, survival_months;
	uint8_t others[NDA_PARTIES_MAX][16], disclosing[NDA_PARTIES_MAX][16];
	struct signatory_options signatory;
};

/* Nothing of the old agreement is chosen anew but the day by which it must be signed. */
static int read_again_options(struct cli *c, struct proposal_options *o)
{
	const struct agreement_new *n = &o->n;

	if (o->with.count > 0 || o->disclosers.count > 0 || o->document != NULL || o->form != NULL || o->until != NULL ||
	    o->from != NULL || n->purpose != NULL || n->title != NULL || n->language != NULL || n->law != NULL || n->no_exit ||
	    n->marking_required || o->notice_days != 0 || o->window_days >= 0 || o->survival_months >= 0)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_AGAIN_ALONE);
	return shared_day(c, "accept-by", o->accept_by, &o->n.accept_by_day);
}

/* What a proposal needs that repeats none. */
static int check_given(struct cli *c, const struct proposal_options *o, bool counter)
{
	const char *missing = o->with.count == 0 && !counter ? "with" : o->n.purpose == NULL ? "purpose" : o->until == NULL ? "until" : NULL;

	if (o->again != NULL || missing == NULL)
		return RK_OK;
	return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_OPTION_MISSING, missing);
}

static int read_text_options(struct cli *c, struct proposal_options *o)
{
	struct agreement_new *n = &o->n;
	int r;

	if (o->again != NULL)
		return read_again_options(c, o);
	if ((o->document == NULL) == (o->form == NULL))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_DOCUMENT_OR_FORM);
	if (o->form != NULL && strcmp(o->form, "plain") != 0)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_UNKNOWN_FORM, o->form);
	if (n->language == NULL)
		n->language = c->lang == LANG_JA ? "ja" : "en";
	if (strcmp(n->language, "ja") != 0 && strcmp(n->language, "en") != 0)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_BAD_LANGUAGE, n->language);
	if (n->law != NULL && (strlen(n->law) != 2 || strspn(n->law, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_BAD_LAW, n->law);
	if ((r = shared_day(c, "until", o->until, &n->last_day)) != RK_OK || (r = shared_day(c, "from", o->from, &n->first_day)) != RK_OK)
		return r;
	return shared_day(c, "accept-by", o->accept_by, &n->accept_by_day);
}

static int read_numbers(struct cli *c, struct proposal_options *o)
{
	static const struct {
		const char *name;
		int max;
	} limits[] = {{"notice-days", AGREEMENT_WINDOW_MAX_DAYS}, {"window-days", AGREEMENT_WINDOW_MAX_DAYS}, {"survival-months", 1200}};
	const int64_t given[] = {o->notice_days, o->window_days, o->survival_months};

	for (size_t i = 0; i < 3; i++)
		if (given[i] > limits[i].max)
			return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NUMBER_TOO_LARGE, limits[i].name, limits[i].max);
	o->n.notice_days = (uint32_t)o->notice_days;
	o->n.window_days = (int32_t)o->window_days;
	o->n.survival_months = (int32_t)o->survival_months;
	return RK_OK;
}

static int read_document(struct shared *s, struct proposal_options *o)
{
	struct dossier_part part;
	int r;

	if (o->document == NULL)
		return RK_OK;
	switch (r = dossier_read(o->document, s->a, &part)) {
	case RK_OK:
		break;
	case RK_TOO_LARGE:
		return cli_refuse(s->c, r, TEXT_NONE, TEXT_FILE_TOO_LARGE, o->document);
	case RK_EUSAGE:
		return cli_refuse(s->c, r, TEXT_NONE, TEXT_FILE_UNFIT, o->document);
	case RK_ENOTFOUND:
		return cli_refuse(s->c, r, TEXT_HINT_FILE, TEXT_FILE_MISSING, o->document);
	default:
		return cli_fail(s->c, r, TEXT_CANNOT_READ_FILE, o->document);
	}
	o->n.document = part.data;
	o->n.document_name = part.name;
	o->n.document_type = part.media_type;
	return RK_OK;
}

/* The parties that were named; for a counter-proposal without names, those of the old one. */
static int read_parties(struct shared *s, struct proposal_options *o, const struct agreement *old)
{
	int r;

	if ((r = shared_orgs(s, &o->with, o->others, NDA_PARTIES_MAX, &o->n.other_count)) != RK_OK)
		return r;
	for (int i = 0; o->with.count == 0 && old != NULL && i < old->row.party_count; i++)
		if (i != old->self)
			memcpy(o->others[o->n.other_count++], old->row.parties[i].org_id, 16);
	if ((r = shared_orgs(s, &o->disclosers, o->disclosing, NDA_PARTIES_MAX, &o->n.discloser_count)) != RK_OK)
		return r;
	o->n.others = (const uint8_t(*)[16])o->others;
	o->n.disclosers = o->disclosers.count > 0 ? (const uint8_t(*)[16])o->disclosing : NULL;
	return RK_OK;
}

static int report_fault(struct cli *c, int r, enum agreement_fault fault)
{
	static const enum text_id texts[] = {
		[AGREEMENT_FAULT_NONE] = TEXT_CANNOT_PROPOSE, [AGREEMENT_FAULT_SELF] = TEXT_FAULT_SELF,
		[AGREEMENT_FAULT_TWICE] = TEXT_FAULT_TWICE, [AGREEMENT_FAULT_INACTIVE] = TEXT_FAULT_INACTIVE,
		[AGREEMENT_FAULT_DISCLOSER] = TEXT_FAULT_DISCLOSER, [AGREEMENT_FAULT_DATES] = TEXT_FAULT_DATES,
		[AGREEMENT_FAULT_PAST] = TEXT_FAULT_PAST, [AGREEMENT_FAULT_ACCEPT_BY] = TEXT_FAULT_ACCEPT_BY,
		[AGREEMENT_FAULT_DOCUMENT] = TEXT_FAULT_DOCUMENT, [AGREEMENT_FAULT_PURPOSE] = TEXT_FAULT_PURPOSE,
		[AGREEMENT_FAULT_ZONE] = TEXT_FAULT_ZONE,
	};

	if (r == RK_OK)
		return r;
	if (fault == AGREEMENT_FAULT_NONE)
		return shared_fail(c, r, TEXT_CANNOT_PROPOSE);
	return cli_refuse(c, r, fault == AGREEMENT_FAULT_ZONE ? TEXT_HINT_ZONE : TEXT_HINT_HELP, texts[fault]);
}

/* The same agreement once more, under the keys of now. */
static int queue_again(struct shared *s, struct proposal_options *o, uint8_t nda_id[32], uint64_t *item)
{
	enum agreement_fault fault = AGREEMENT_FAULT_NONE;
	struct agreement *old;
	int r = shared_agreement(s, o->again, true, RK_ENOTFOUND, &old);

	if (r != RK_OK)
		return shared_end(s, r);
	o->n.again = old;
	o->n.signatory = o->signatory.s;
	r = agreement_propose(s->client, s->t, &o->n, &fault, nda_id, item);
	if (r != RK_OK && fault == AGREEMENT_FAULT_NONE)
		return shared_end(s, shared_fail(s->c, r, TEXT_CANNOT_AGAIN));
	return shared_end(s, report_fault(s->c, r, fault));
}

/* Proposes; a counter-proposal also closes the old one.  Both are queued together or not at all. */
static int queue(struct cli *c, struct proposal_options *o, const char *countered, uint8_t nda_id[32], uint64_t *item,
                 uint64_t *closing)
{
	enum agreement_fault fault;
	struct agreement *old = NULL;
	struct shared s;
	int r;

	*closing = 0;
	if ((r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if (o->again != NULL)
		return queue_again(&s, o, nda_id, item);
	if (countered != NULL && (r = shared_agreement(&s, countered, false, RK_ENOTFOUND, &old)) != RK_OK)
		return shared_end(&s, r);
	if (old != NULL)
		o->n.counters = old->nda_id;
	if ((r = read_parties(&s, o, old)) != RK_OK || (r = read_document(&s, o)) != RK_OK)
		return shared_end(&s, r);
	o->n.signatory = o->signatory.s;
	r = agreement_propose(c->client, s.t, &o->n, &fault, nda_id, item);
	r = report_fault(c, r, fault);
	if (r == RK_OK && old != NULL) {
		r = agreement_act(c->client, s.t, old, old->row.parties[old->self].has_accepted ? RK__ACT_KIND__WITHDRAW_NDA
		                  : RK__ACT_KIND__REJECT, NULL, closing);
		if (r != RK_OK)
			r = cli_fail(c, r, TEXT_CANNOT_ACT);
	}
	return shared_end(&s, r);
}

static int propose(struct cli *c, int argc, char **argv, bool counter)
{
	struct proposal_options o = {.window_days = -1, .survival_months = -1};
	struct agreement_signatory *who = &o.signatory.s;
	const struct cli_option options[] = {
		{"with", CLI_LIST, &o.with, "ORG", TEXT_OPT_WITH, false},
		{"purpose", CLI_TEXT, &o.n.purpose, "TEXT", TEXT_OPT_PURPOSE, false},
		{"document", CLI_TEXT, &o.document, "FILE", TEXT_OPT_DOCUMENT, false},
		{"form", CLI_TEXT, &o.form, "plain", TEXT_OPT_FORM, false},
		{"until", CLI_TEXT, &o.until, "DATE", TEXT_OPT_UNTIL, false},
		{"from", CLI_TEXT, &o.from, "DATE", TEXT_OPT_FROM, false},
		{"discloser", CLI_LIST, &o.disclosers, "ORG", TEXT_OPT_DISCLOSER, false},
		{"notice-days", CLI_NUMBER, &o.notice_days, "N", TEXT_OPT_NOTICE_DAYS, false},
		{"no-exit", CLI_FLAG, &o.n.no_exit, NULL, TEXT_OPT_NO_EXIT, false},
		{"window-days", CLI_NUMBER, &o.window_days, "N", TEXT_OPT_WINDOW_DAYS, false},
		{"survival-months", CLI_NUMBER, &o.survival_months, "N", TEXT_OPT_SURVIVAL_MONTHS, false},
		{"marking-required", CLI_FLAG, &o.n.marking_required, NULL, TEXT_OPT_MARKING_REQUIRED, false},
		{"accept-by", CLI_TEXT, &o.accept_by, "DATE", TEXT_OPT_ACCEPT_BY, false},
		{"title", CLI_TEXT, &o.n.title, "TEXT", TEXT_OPT_TITLE, false},
		{"language", CLI_TEXT, &o.n.language, "ja|en", TEXT_OPT_LANGUAGE, false},
		{"law", CLI_TEXT, &o.n.law, "CC", TEXT_OPT_LAW, false},
		{"signatory", CLI_TEXT, &who->name, "NAME", TEXT_OPT_SIGNATORY, false},
		{"signatory-title", CLI_TEXT, &who->title, "TEXT", TEXT_OPT_SIGNATORY_TITLE, false},
		{"authority", CLI_TEXT, &o.signatory.authority, "A", TEXT_OPT_AUTHORITY, false},
		{"notice-address", CLI_TEXT, &who->address, "TEXT", TEXT_OPT_ADDRESS, false},
		{counter ? NULL : "again", CLI_TEXT, &o.again, "ID", TEXT_OPT_AGAIN, false},
		{0},
	};
	const struct cli_usage usage = {options, counter ? "ID" : "", counter ? 1 : 0, counter ? 1 : 0, TEXT_ARG_ORG};
	uint64_t item, closing;
	uint8_t nda_id[32];
	struct outcome out;
	struct cli_args args;
	char id[OUT_ID_CHARS];
	json_t *json;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = check_given(c, &o, counter)) != RK_OK ||
	    (r = read_text_options(c, &o)) != RK_OK ||
	    (r = read_numbers(c, &o)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = read_signatory(c, &o.signatory)) != RK_OK || (r = shared_org_key(c)) != RK_OK)
		return r;
	if ((r = queue(c, &o, counter ? args.arg[0] : NULL, nda_id, &item, &closing)) != RK_OK)
		return r;
	if ((r = cli_finish(c, item, TEXT_CANNOT_PROPOSE, &out)) != RK_OK ||
	    (closing != 0 && (r = cli_finish(c, closing, TEXT_CANNOT_ACT, NULL)) != RK_OK))
		return r;
	if (c->json) {
		json = json_object();
		out_set_id(json, "nda_id", BYTES_OF(nda_id));
		out_set_text(json, "state", "proposed");
		out_set_time(json, "time", out.time_ms);
		return out_json(json);
	}
	out_field(c, TEXT_F_ID, out_hex(id, BYTES_OF(nda_id)));
	out_say(c, o.again != NULL ? TEXT_PROPOSED_AGAIN : counter ? TEXT_COUNTERED : TEXT_PROPOSED);
	if (o.form != NULL)
		out_say(c, TEXT_NOT_LEGAL_ADVICE);
	return RK_OK;
}

int cmd_nda_propose(struct cli *c, int argc, char **argv)
{
	return propose(c, argc, argv, false);
}

int cmd_nda_counter(struct cli *c, int argc, char **argv)
{
	return propose(c, argc, argv, true);
}

/* ---- sign */

/* Checks and shows before anybody is asked for a passphrase. */
static int show_before(struct cli *c, const char *given)
{
	/* Nothing can have been sent under it yet. */
	static const struct duty_facts no_facts;
	struct agreement *ag;
	struct shared s;
	int r;

	if ((r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	if ((r = shared_agreement(&s, given, true, RK_ENOTFOUND, &ag)) != RK_OK)
		return shared_end(&s, r);
	if (ag->row.parties[ag->self].has_accepted)
		return shared_end(&s, cli_refuse(c, RK_CONFLICT, TEXT_HINT_VIEW, TEXT_SIGNED_ALREADY));
	if ((r = agreement_check_act(ag, RK__ACT_KIND__ACCEPT, client_now(c->client))) != RK_OK ||
	    (r = agreement_check_sign(c->client, s.t, ag, s.a)) != RK_OK)
		return shared_end(&s, shared_fail(c, r, TEXT_CANNOT_SIGN));
	if (!c->json && !c->quiet) {
		show_nda_lines(&s, ag, &no_facts);
		if (!c->no_input && (r = show_nda_document(&s, ag)) != RK_OK)
			return shared_end(&s, r);
	}
	return shared_end(&s, RK_OK);
}

/* After the answer: what stands now. */
static int show_after(struct cli *c, const uint8_t nda_id[32], bool complete)
{
	json_t *json;

	if (!c->json) {
		out_say(c, TEXT_SIGNED_DONE);
		if (complete)
			out_say(c, TEXT_SIGNED_FORCE);
		return RK_OK;
	}
	json = json_object();
	out_set_id(json, "nda_id", bytes_make(nda_id, 32));
	out_set_bool(json, "complete", complete);
	return out_json(json);
}

static bool is_last_signature(const struct agreement *ag)
{
	for (int i = 0; i < ag->row.party_count; i++)
		if (i != ag->self && !ag->row.parties[i].has_accepted)
			return false;
	return true;
}

int cmd_nda_sign(struct cli *c, int argc, char **argv)
{
	struct signatory_options o = {0};
	bool yes = false, complete = false;
	const struct cli_option options[] = {
		{"yes", CLI_FLAG, &yes, NULL, TEXT_OPT_YES, false},
		{"signatory", CLI_TEXT, &o.s.name, "NAME", TEXT_OPT_SIGNATORY, false},
		{"signatory-title", CLI_TEXT, &o.s.title, "TEXT", TEXT_OPT_SIGNATORY_TITLE, false},
		{"authority", CLI_TEXT, &o.authority, "A", TEXT_OPT_AUTHORITY, false},
		{"notice-address", CLI_TEXT, &o.s.address, "TEXT", TEXT_OPT_ADDRESS, false},
		{0},
	};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_NONE};
	struct cli_args args;
	struct agreement *ag;
	uint8_t nda_id[32];
	struct shared s;
	uint64_t item;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = show_before(c, args.arg[0])) != RK_OK || (r = read_signatory(c, &o)) != RK_OK)
		return r;
	if (!yes && (r = cli_confirm(c, TEXT_ASK_SIGN)) != RK_OK)
		return r;
	if ((r = shared_org_key(c)) != RK_OK || (r = shared_begin(c, true, &s)) != RK_OK)
		return r;
	if ((r = shared_agreement(&s, args.arg[0], true, RK_ENOTFOUND, &ag)) == RK_OK) {
		memcpy(nda_id, ag->nda_id, 32);
		complete = is_last_signature(ag);
		if ((r = agreement_sign(c->client, s.t, ag, &o.s, &item)) != RK_OK)
			r = shared_fail(c, r, TEXT_CANNOT_SIGN);
	}
	if ((r = shared_end(&s, r)) != RK_OK || (r = cli_finish(c, item, TEXT_CANNOT_SIGN, NULL)) != RK_OK)
		return r;
	return show_after(c, nda_id, complete);
}
