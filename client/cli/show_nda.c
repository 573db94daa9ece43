#include "client/cli/show_nda.h"

#include <stdlib.h>

#include "client/cli/notice_show.h"
#include "client/cli/show_suspended.h"
#include "client/days.h"
#include "client/forms.h"
#include "proto/strict.h"

const char *show_nda_title(const struct agreement *ag)
{
	if (ag->cover == NULL)
		return "";
	return ag->cover->title[0] != '\0' ? ag->cover->title : ag->cover->purpose;
}

/* ---- dates */

/* The next date that matters; NULL if there is none, or no memory to say it. */
static const struct duty *find_next(struct shared *s, const struct agreement *ag, const struct duty_facts *facts)
{
	struct duty *list;
	size_t n;

	if (notice_show_duties(s, ag, facts, &list, &n) != RK_OK)
		return NULL;
	return duty_next(list, n, client_now(s->client));
}

const char *show_nda_next_date(struct shared *s, const struct agreement *ag, const struct duty_facts *facts)
{
	const struct duty *next = find_next(s, ag, facts);

	return next != NULL ? notice_show_date(s, next) : "—";
}

static void show_duties(struct shared *s, const struct agreement *ag, const struct duty_facts *facts)
{
	struct duty *list;
	size_t n;

	if (notice_show_duties(s, ag, facts, &list, &n) != RK_OK)
		return;
	for (size_t i = 0; i < n; i++)
		out_field(s->c, i == 0 ? TEXT_F_DUTIES : TEXT_NONE, notice_show_duty(s, ag, &list[i]));
}

static const char *day_text(struct shared *s, uint32_t day)
{
	char text_of[11];

	days_text(text_of, day);
	return shared_text(s, "%s", text_of);
}

/* ---- differences */

static const struct {
	const char *name;
	enum text_id text;
} differences[] = {
#define D(id, name) [AGREEMENT_DIFFERS_##id] = {name, TEXT_DIFFERS_##id}
	D(ONE_WAY, "one_way"), D(NO_EXIT, "no_exit"), D(NOTICE_DAYS, "notice_days"), D(LENGTH, "length"), D(WINDOW, "notice_window_days"),
	D(MARKING, "marking_required"), D(SURVIVAL, "survival_months"), D(SURVIVAL_BASIS, "survival_basis"),
	D(TRADE_SECRET, "trade_secret_longer"), D(SCOPE, "scope_rule"), D(ORAL_DAYS, "oral_days"), D(COVERS_FROM, "covers_from"),
	D(EXISTENCE, "existence_secret"), D(RECEIVERS, "receiver_classes"), D(COPIES, "copies"), D(REVERSE, "reverse_engineering"),
	D(RESIDUALS, "residuals"), D(RETURN, "return_rule"), D(CERTIFICATE, "certificate_days"), D(BACKUPS, "backups"),
	D(NEXT_STEP, "next_step_by"), D(LAW, "law"), D(FORUM, "forum"), D(PENALTY, "penalty"), D(INSPECTION, "inspection"),
	D(IP_RULE, "ip_rule"), D(ANNEXES, "annexes"), D(MANDATE, "mandate"), D(OWN_TEXT, "own_text"), D(FORM_ALTERED, "form_altered"),
	D(EXTENSIONS, "extensions"),
#undef D
};

#define RULE_WORDS 5

/* The rules whose value is a choice: its words, by number. */
static const struct {
	enum agreement_difference_kind kind;
	enum text_id words[RULE_WORDS];
} rules[] = {
	{AGREEMENT_DIFFERS_SCOPE,
	 {TEXT_RULE_UNSAID, TEXT_RULE_SCOPE_ALL, TEXT_RULE_SCOPE_MARKED, TEXT_RULE_SCOPE_CONFIRMED, TEXT_RULE_SCOPE_EVIDENT}},
	{AGREEMENT_DIFFERS_SURVIVAL_BASIS,
	 {TEXT_RULE_BASIS_PERPETUAL, TEXT_RULE_BASIS_END, TEXT_RULE_BASIS_START, TEXT_RULE_BASIS_DISCLOSURE, TEXT_RULE_BASIS_PERPETUAL}},
	{AGREEMENT_DIFFERS_COPIES, {TEXT_RULE_UNSAID, TEXT_RULE_COPIES_FREE, TEXT_RULE_COPIES_CONSENT}},
	{AGREEMENT_DIFFERS_RESIDUALS, {TEXT_RULE_RESIDUALS_NOT, TEXT_RULE_RESIDUALS_PART, TEXT_RULE_RESIDUALS_ALL}},
	{AGREEMENT_DIFFERS_RETURN, {TEXT_RULE_UNSAID, TEXT_RULE_RETURN_CHOICE, TEXT_RULE_RETURN_BACK, TEXT_RULE_RETURN_DESTROY}},
	{AGREEMENT_DIFFERS_FORUM, {TEXT_RULE_UNSAID, TEXT_RULE_FORUM_COURT, TEXT_RULE_FORUM_MEDIATION, TEXT_RULE_FORUM_ARBITRATION}},
};

/* The bits of receiver_classes. */
static const char *classes_text(struct shared *s, int64_t classes)
{
	static const enum text_id words[] = {TEXT_RULE_STAFF, TEXT_RULE_ADVISERS, TEXT_RULE_AFFILIATES, TEXT_RULE_CONTRACTORS};
	const char *all = "";

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (classes & 1 << i)
			all = shared_text(s, "%s%s%s", all, all[0] != '\0' ? text(TEXT_COMMA, s->c->lang) : "", text(words[i], s->c->lang));
	return all[0] != '\0' ? all : text(TEXT_RULE_UNSAID, s->c->lang);
}

static const char *difference_text(struct shared *s, const struct agreement_difference *d)
{
	enum text_id sentence = differences[d->kind].text;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].kind == d->kind) {
			enum text_id word = d->value >= 0 && d->value < RULE_WORDS ? rules[i].words[d->value] : TEXT_NONE;

			return shared_fill(s, sentence, text(word != TEXT_NONE ? word : TEXT_RULE_UNSAID, s->c->lang));
		}
	if (d->kind == AGREEMENT_DIFFERS_RECEIVERS)
		return shared_fill(s, sentence, classes_text(s, d->value));
	if (d->kind == AGREEMENT_DIFFERS_NEXT_STEP)
		return shared_fill(s, sentence, d->value != 0 ? day_text(s, (uint32_t)d->value) : "—");
	return shared_fill(s, sentence, (long long)d->value);
}

static void show_differences(struct shared *s, const struct agreement *ag)
{
	struct agreement_difference list[AGREEMENT_DIFFERENCE_COUNT];
	size_t n = agreement_differences(ag, list);

	if (n == 0)
		out_field(s->c, TEXT_F_DIFFERS, text(TEXT_DIFFERS_NONE, s->c->lang));
	for (size_t i = 0; i < n; i++)
		out_field(s->c, i == 0 ? TEXT_F_DIFFERS : TEXT_NONE, difference_text(s, &list[i]));
}

/* ---- parties */

static const char *signed_by(struct shared *s, const struct agreement *ag, const struct nda_party *p)
{
	Rk__SignaturePage *page;
	Rk__PageReveal *reveal;

	switch (agreement_page(s->client, ag, p->org_id, s->a, &page, &reveal)) {
	case RK_OK:
		return shared_fill(s, TEXT_SIGNED_BY, page->title[0] != '\0' ?
				 shared_text(s, "%s%s%s", page->name, text(TEXT_COMMA, s->c->lang), page->title) : page->name);
	case RK_ENOTFOUND:
		return text(TEXT_PAGE_MISSING, s->c->lang);
	default:
		return text(TEXT_PAGE_WRONG, s->c->lang);
	}
}

static void show_party(struct shared *s, const struct agreement *ag, int i)
{
	const struct nda_party *p = &ag->row.parties[i];
	enum lang lang = s->c->lang;
	const char *rest = "", *by = "", *when = text(TEXT_NOT_SIGNED, lang);
	char time[OUT_TIME_CHARS];
	enum text_id may;

	if (p->has_accepted) {
		when = shared_fill(s, TEXT_SIGNED_ON, out_time(time, p->accepted_at));
		by = signed_by(s, ag, p);
	}
	if (p->is_held)
		rest = text(TEXT_IS_HELD, lang);
	if (p->has_terminated)
		rest = shared_text(s, "%s%s", rest, shared_fill(s, TEXT_HAS_TERMINATED, out_time(time, p->terminated_at)));
	if (!(ag->active & 1u << i))
		rest = shared_text(s, "%s%s", rest, text(TEXT_IS_INACTIVE, lang));
	may = p->may_disclose && p->may_receive ? TEXT_MAY_BOTH : p->may_disclose ? TEXT_MAY_DISCLOSE : TEXT_MAY_RECEIVE;
	out_field(s->c, i == 0 ? TEXT_F_PARTY : TEXT_NONE,
	          shared_fill(s, TEXT_PARTY_LINE, shared_name(s, p->org_id), text(may, lang), when, by, rest));
}

/* ---- the whole */

static enum text_id problem_text(int problem)
{
	return problem == RK_ENEWER ? TEXT_PROBLEM_NEWER : problem == RK_ENOTFOUND ? TEXT_PROBLEM_ABSENT : TEXT_PROBLEM_INTEGRITY;
}

static void show_terms(struct shared *s, const struct agreement *ag)
{
	const Rk__NdaTerms *t = ag->terms;
	enum lang lang = s->c->lang;
	char when[OUT_TIME_CHARS];

	out_field(s->c, TEXT_F_IN_FORCE, shared_fill(s, TEXT_FROM_TO, day_text(s, t->first_day), day_text(s, t->last_day), t->zone));
	if (ag->row.complete_at == 0)
		out_field(s->c, TEXT_F_ACCEPT_BY, out_time(when, t->accept_by));
	for (int i = 0; i < ag->row.party_count; i++)
		show_party(s, ag, i);
	out_field(s->c, TEXT_F_EXIT, t->exit_rule == RK__EXIT_RULE__EXIT_NONE ? text(TEXT_EXIT_NO, lang)
	          : t->notice_days == 0 ? text(TEXT_EXIT_AT_ONCE, lang) : shared_fill(s, TEXT_EXIT_NOTICE, (long long)t->notice_days));
	out_field(s->c, TEXT_F_MARKING, text(t->marking_required ? TEXT_MARKING_NEEDED : TEXT_MARKING_FREE, lang));
	out_field(s->c, TEXT_F_WINDOW, shared_fill(s, TEXT_N_DAYS, (long long)t->notice_window_days));
}

static void show_cover(struct shared *s, const struct agreement *ag)
{
	static const enum text_id survivals[] = {TEXT_SURVIVAL_PERPETUAL, TEXT_SURVIVAL_END, TEXT_SURVIVAL_START,
		TEXT_SURVIVAL_DISCLOSURE, TEXT_SURVIVAL_PERPETUAL};
	const Rk__NdaCover *cover = ag->cover;
	unsigned basis = cover->survival != NULL ? (unsigned)cover->survival->basis : 0;
	long long months = cover->survival != NULL ? cover->survival->months : 0;
	char id[OUT_ID_CHARS];

	out_field(s->c, TEXT_F_SURVIVAL, shared_fill(s, survivals[basis < 5 ? basis : 0], months));
	out_field(s->c, TEXT_F_DOCUMENT,
	          shared_fill(s, TEXT_DOCUMENT_LINE, ag->proposal->document_name, (unsigned)ag->proposal->document.len));
	if (cover->counters.len == 32)
		out_field(s->c, TEXT_F_ANSWERS, out_short(id, bytes_of(cover->counters)));
}

/* Beside what agreement_may says: what goes on after the end. */
#define MAY_NOTICE (1u << 16)
#define MAY_CERTIFY (1u << 17)

static const struct {
	unsigned bit;
	const char *name;
	enum text_id text;
} mays[] = {
	{AGREEMENT_MAY_SIGN, "sign", TEXT_MAY_SIGN}, {AGREEMENT_MAY_DECLINE, "counter", TEXT_MAY_COUNTER},
	{AGREEMENT_MAY_DECLINE, "decline", TEXT_MAY_DECLINE}, {AGREEMENT_MAY_WITHDRAW, "withdraw", TEXT_MAY_WITHDRAW},
	{AGREEMENT_MAY_SEND, "send", TEXT_MAY_SEND}, {AGREEMENT_MAY_HOLD, "hold", TEXT_MAY_HOLD},
	{AGREEMENT_MAY_RESUME, "resume", TEXT_MAY_RESUME}, {AGREEMENT_MAY_TERMINATE, "terminate", TEXT_MAY_TERMINATE},
	{MAY_NOTICE, "notice", TEXT_MAY_NOTICE}, {MAY_CERTIFY, "certify", TEXT_MAY_CERTIFY},
};

/* What was received and must be returned or destroyed is ours to certify as long as a notice goes. */
static unsigned may_do(struct shared *s, const struct agreement *ag, const struct duty_facts *facts)
{
	unsigned may = agreement_may(ag);
	struct duty *list;
	size_t n;

	if (!agreement_may_notify(ag, client_now(s->client)))
		return may;
	may |= MAY_NOTICE;
	if (notice_show_duties(s, ag, facts, &list, &n) != RK_OK)
		return may;
	for (size_t i = 0; i < n; i++)
		if (list[i].kind == DUTY_RETURN && list[i].whose == DUTY_US && !list[i].done)
			may |= MAY_CERTIFY;
	return may;
}

static void show_history(struct shared *s, const struct agreement *ag)
{
	for (size_t i = 0; i < ag->act_count; i++) {
		const struct agreement_act *d = &ag->details[i];
		char when[OUT_TIME_CHARS];
		const char *act = text(shared_act_text(d->act->kind), s->c->lang);

		if (d->act->reason[0] != '\0')
			act = shared_text(s, "%s: %s", act, d->act->reason);
		out_field(s->c, i == 0 ? TEXT_F_HISTORY : TEXT_NONE,
		          shared_fill(s, TEXT_HISTORY_LINE, out_time(when, d->time_ms), shared_name(s, d->act->org_id.data), act));
	}
}

static void show_may(struct shared *s, const struct agreement *ag, const struct duty_facts *facts)
{
	unsigned may = may_do(s, ag, facts);
	enum text_id label = TEXT_F_MAY;
	char id[OUT_ID_CHARS];

	out_short(id, bytes_make(ag->nda_id, 32));
	for (size_t i = 0; i < sizeof(mays) / sizeof(mays[0]); i++) {
		if (!(may & mays[i].bit))
			continue;
		out_field(s->c, label, shared_fill(s, mays[i].text, id));
		label = TEXT_NONE;
	}
	if (may == 0)
		out_field(s->c, label, shared_fill(s, TEXT_MAY_NOTHING, id));
}

void show_nda_lines(struct shared *s, const struct agreement *ag, const struct duty_facts *facts)
{
	struct cli *c = s->c;
	char id[OUT_ID_CHARS];

	out_field(c, TEXT_F_ID, out_hex(id, bytes_make(ag->nda_id, 32)));
	if (ag->cover != NULL && ag->cover->title[0] != '\0')
		out_field(c, TEXT_F_TITLE, ag->cover->title);
	out_field(c, TEXT_F_STATE, text(shared_state_text(ag->state), c->lang));
	show_suspended(s, ag);
	out_field(c, TEXT_F_NEXT, show_nda_next_date(s, ag, facts));
	if (ag->problem != RK_OK)
		out_field(c, TEXT_F_PROBLEM, text(problem_text(ag->problem), c->lang));
	if (ag->cover != NULL)
		out_field(c, TEXT_F_PURPOSE, ag->cover->purpose);
	show_terms(s, ag);
	if (ag->cover != NULL)
		show_cover(s, ag);
	show_duties(s, ag, facts);
	show_differences(s, ag);
	show_history(s, ag);
	show_may(s, ag, facts);
}

int show_nda_document(struct shared *s, const struct agreement *ag)
{
	char id[OUT_ID_CHARS];
	struct bytes document;
	char *clean;

	if (ag->proposal == NULL)
		return cli_fail(s->c, ag->problem, TEXT_NO_CONTENT);
	document = bytes_of(ag->proposal->document);
	if (!strict_is_utf8(document)) {
		out_warn(s->c, TEXT_DOCUMENT_BINARY, out_short(id, bytes_make(ag->nda_id, 32)));
		return RK_OK;
	}
	clean = out_clean(shared_text(s, "%.*s", (int)document.len, (const char *)document.data), true);
	if (clean == NULL)
		return RK_ENOMEM;
	out_raw(clean);
	free(clean);
	return RK_OK;
}

/* ---- JSON */

static json_t *party_json(struct shared *s, const struct agreement *ag, int i, bool whole)
{
	const struct nda_party *p = &ag->row.parties[i];
	json_t *o = shared_org_json(s, p->org_id);
	Rk__SignaturePage *page;
	Rk__PageReveal *reveal;

	out_set_bool(o, "may_disclose", p->may_disclose);
	out_set_bool(o, "may_receive", p->may_receive);
	out_set_time(o, "accepted_at", p->accepted_at);
	out_set_bool(o, "held", p->is_held);
	out_set_time(o, "terminated_at", p->terminated_at);
	out_set_bool(o, "active", (ag->active & 1u << i) != 0);
	if (!whole)
		return o;
	if (agreement_page(s->client, ag, p->org_id, s->a, &page, &reveal) == RK_OK) {
		out_set_text(o, "signatory", page->name);
		out_set_text(o, "signatory_title", page->title);
	} else {
		out_set_text(o, "signatory", NULL);
	}
	return o;
}

static void duties_json(struct shared *s, const struct agreement *ag, const struct duty_facts *facts, json_t *o)
{
	json_t *duties = json_array();
	struct duty *list;
	size_t n = 0;

	if (notice_show_duties(s, ag, facts, &list, &n) != RK_OK)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		json_t *d = json_object();

		notice_show_duty_json(s, d, ag, &list[i]);
		json_array_append_new(duties, d);
	}
	json_object_set_new(o, "duties", duties);
}

static void whole_json(const struct agreement *ag, unsigned bits, json_t *o)
{
	struct agreement_difference list[AGREEMENT_DIFFERENCE_COUNT];
	json_t *differs = json_array(), *may = json_array(), *acts = json_array();
	size_t n = agreement_differences(ag, list);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(differs, json_string(differences[list[i].kind].name));
	for (size_t i = 0; i < sizeof(mays) / sizeof(mays[0]); i++)
		if (bits & mays[i].bit)
			json_array_append_new(may, json_string(mays[i].name));
	for (size_t i = 0; i < ag->act_count; i++) {
		const struct agreement_act *d = &ag->details[i];
		json_t *act = json_object();

		out_set_text(act, "kind", agreement_act_name(d->act->kind));
		out_set_id(act, "org_id", bytes_of(d->act->org_id));
		out_set_time(act, "time", d->time_ms);
		out_set_number(act, "log_index", (int64_t)d->log_index);
		out_set_text(act, "reason", d->act->reason);
		json_array_append_new(acts, act);
	}
	json_object_set_new(o, "differs", differs);
	json_object_set_new(o, "may", may);
	json_object_set_new(o, "acts", acts);
	if (ag->cover == NULL)
		return;
	out_set_text(o, "purpose", ag->cover->purpose);
	out_set_text(o, "document", ag->proposal->document_name);
	out_set_number(o, "document_bytes", (int64_t)ag->proposal->document.len);
	out_set_text(o, "form", ag->cover->form_id);
	out_set_id(o, "counters", bytes_of(ag->cover->counters));
	out_set_number(o, "survival_months", ag->cover->survival != NULL ? ag->cover->survival->months : 0);
}

json_t *show_nda_json(struct shared *s, const struct agreement *ag, const struct duty_facts *facts, bool whole)
{
	json_t *o = json_object(), *parties = json_array(), *next = json_object();
	const struct duty *date = find_next(s, ag, facts);

	out_set_id(o, "nda_id", bytes_make(ag->nda_id, 32));
	out_set_text(o, "state", nda_state_name(ag->state));
	out_set_text(o, "title", show_nda_title(ag));
	for (int i = 0; i < ag->row.party_count; i++)
		json_array_append_new(parties, party_json(s, ag, i, whole));
	json_object_set_new(o, "parties", parties);
	json_object_set_new(o, "suspended_by", show_suspended_json(s, ag));
	out_set_text(o, "first_day", day_text(s, ag->terms->first_day));
	out_set_text(o, "last_day", day_text(s, ag->terms->last_day));
	out_set_text(o, "zone", ag->terms->zone);
	out_set_time(o, "not_before", ag->terms->not_before);
	out_set_time(o, "not_after", ag->terms->not_after);
	out_set_time(o, "accept_by", ag->terms->accept_by);
	out_set_text(o, "exit_rule", ag->terms->exit_rule == RK__EXIT_RULE__END_ALL ? "end_all" : "none");
	out_set_number(o, "notice_days", ag->terms->notice_days);
	out_set_number(o, "notice_window_days", ag->terms->notice_window_days);
	out_set_bool(o, "marking_required", ag->terms->marking_required);
	out_set_text(o, "problem", ag->problem == RK_OK ? NULL : errcode_name(ag->problem));
	out_set_text(next, "what", date != NULL ? duty_name(date->kind) : NULL);
	out_set_time(next, "at", date != NULL ? date->due_at : 0);
	json_object_set_new(o, "next_date", next);
	if (whole) {
		duties_json(s, ag, facts, o);
		whole_json(ag, may_do(s, ag, facts), o);
	}
	return o;
}
