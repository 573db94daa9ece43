/* What people ask of an agreement: what may I do, what is unusual.  Its dates are duty.c's. */
#include "client/agreement.h"
#include "client/days.h"
#include "client/forms.h"
#include "proto/strict.h"

unsigned agreement_may(const struct agreement *ag)
{
	const struct nda_party *self = &ag->row.parties[ag->self];
	unsigned may = 0;

	if (ag->state == NDA_PROPOSED) {
		if (self->has_accepted)
			return AGREEMENT_MAY_WITHDRAW;
		return AGREEMENT_MAY_DECLINE | (ag->problem == RK_OK ? (unsigned)AGREEMENT_MAY_SIGN : 0u);
	}
	if (ag->state < NDA_SUSPENDED)
		return 0;
	if (self->is_held)
		may |= AGREEMENT_MAY_RESUME;
	else
		may |= AGREEMENT_MAY_HOLD;
	if (ag->row.exit_rule == RK__EXIT_RULE__END_ALL && !self->has_terminated)
		may |= AGREEMENT_MAY_TERMINATE;
	if (ag->state >= NDA_TERMINATING && self->may_disclose)
		may |= AGREEMENT_MAY_SEND;
	return may;
}

bool agreement_may_notify(const struct agreement *ag, int64_t now_ms)
{
	for (int i = 0; i < ag->row.party_count; i++) {
		const uint8_t *to = ag->row.parties[i].org_id;
		struct nda_question q = {.sender_org = ag->row.parties[ag->self].org_id, .recipients = &to, .recipient_count = 1,
		                         .t_ms = now_ms, .active = ag->active};

		if (i != ag->self && nda_gate_notice(&ag->row, &q) == RK_OK)
			return true;
	}
	return false;
}

struct collector {
	struct agreement_difference *out;
	size_t n;
};

static void differs(struct collector *k, bool is_different, enum agreement_difference_kind kind, int64_t value)
{
	if (is_different)
		k->out[k->n++] = (struct agreement_difference){kind, value};
}

static bool is_one_way(const struct agreement *ag)
{
	for (int i = 0; i < ag->row.party_count; i++)
		if (!ag->row.parties[i].may_disclose || !ag->row.parties[i].may_receive)
			return true;
	return false;
}

/* Months from the first day to the last, the started one counted. */
static int64_t months_of(const Rk__NdaTerms *t)
{
	uint32_t n = 1;

	while (n < 1200 && days_add_months(t->first_day, n) <= t->last_day)
		n++;
	return n;
}

static void terms_differ(struct collector *k, const struct agreement *ag)
{
	const Rk__NdaTerms *t = ag->terms;

	differs(k, is_one_way(ag), AGREEMENT_DIFFERS_ONE_WAY, 0);
	differs(k, t->exit_rule == RK__EXIT_RULE__EXIT_NONE, AGREEMENT_DIFFERS_NO_EXIT, 0);
	differs(k, t->notice_days != 0, AGREEMENT_DIFFERS_NOTICE_DAYS, t->notice_days);
	differs(k, t->last_day >= days_add_months(t->first_day, AGREEMENT_FORCE_MONTHS) &&
	        t->last_day != days_add_months(t->first_day, AGREEMENT_FORCE_MONTHS), AGREEMENT_DIFFERS_LENGTH, months_of(t));
	differs(k, t->marking_required, AGREEMENT_DIFFERS_MARKING, 0);
}

static void duties_differ(struct collector *k, const Rk__NdaTerms *t, const Rk__NdaCover *c)
{
	const Rk__Survival *s = c->survival;
	uint32_t months = s != NULL ? s->months : 0;
	bool from_end = s != NULL && s->basis == RK__SURVIVAL_BASIS__FROM_END;
	uint32_t window = months * 31 > AGREEMENT_WINDOW_MAX_DAYS ? AGREEMENT_WINDOW_MAX_DAYS : months * 31;

	differs(k, from_end && t->notice_window_days != window, AGREEMENT_DIFFERS_WINDOW, t->notice_window_days);
	differs(k, months != AGREEMENT_SURVIVAL_MONTHS, AGREEMENT_DIFFERS_SURVIVAL, months);
	differs(k, !from_end, AGREEMENT_DIFFERS_SURVIVAL_BASIS, s != NULL ? s->basis : 0);
	differs(k, s != NULL && s->trade_secret_longer, AGREEMENT_DIFFERS_TRADE_SECRET, 0);
	differs(k, c->scope_rule != RK__SCOPE_RULE__MARKED_OR_CONFIRMED, AGREEMENT_DIFFERS_SCOPE, c->scope_rule);
	differs(k, c->scope_rule == RK__SCOPE_RULE__MARKED_OR_CONFIRMED && c->oral_days != AGREEMENT_ORAL_DAYS,
	        AGREEMENT_DIFFERS_ORAL_DAYS, c->oral_days);
	differs(k, c->covers_from != 0, AGREEMENT_DIFFERS_COVERS_FROM, c->covers_from);
	differs(k, c->existence_secret, AGREEMENT_DIFFERS_EXISTENCE, 0);
	differs(k, c->receiver_classes != AGREEMENT_CLASSES, AGREEMENT_DIFFERS_RECEIVERS, c->receiver_classes);
	differs(k, c->copies != RK__COPIES__COPIES_FREE, AGREEMENT_DIFFERS_COPIES, c->copies);
	differs(k, !c->no_reverse_engineering, AGREEMENT_DIFFERS_REVERSE, 0);
	differs(k, c->residuals != RK__RESIDUALS__RESIDUALS_NONE, AGREEMENT_DIFFERS_RESIDUALS, c->residuals);
	differs(k, c->return_rule != RK__RETURN_RULE__RECEIVER_CHOICE, AGREEMENT_DIFFERS_RETURN, c->return_rule);
	differs(k, c->certificate_days != AGREEMENT_CERTIFICATE_DAYS, AGREEMENT_DIFFERS_CERTIFICATE, c->certificate_days);
	differs(k, !c->backups_exempt, AGREEMENT_DIFFERS_BACKUPS, 0);
}

static void cover_differs(struct collector *k, const Rk__NdaTerms *t, const Rk__NdaCover *c)
{
	uint32_t step = days_add_months(t->first_day, AGREEMENT_NEXT_STEP_MONTHS);

	if (step > t->last_day)
		step = t->last_day;
	differs(k, c->next_step_by != step, AGREEMENT_DIFFERS_NEXT_STEP, c->next_step_by);
	differs(k, strcmp(c->law, AGREEMENT_LAW) != 0, AGREEMENT_DIFFERS_LAW, 0);
	differs(k, c->forum != RK__FORUM__COURT || c->forum_text[0] != '\0', AGREEMENT_DIFFERS_FORUM, c->forum);
	differs(k, c->penalty != NULL && c->penalty->amount != 0, AGREEMENT_DIFFERS_PENALTY,
	        c->penalty != NULL ? (int64_t)c->penalty->amount : 0);
	differs(k, c->inspection[0] != '\0', AGREEMENT_DIFFERS_INSPECTION, 0);
	differs(k, c->ip_rule[0] != '\0', AGREEMENT_DIFFERS_IP_RULE, 0);
	differs(k, c->n_annexes != 0, AGREEMENT_DIFFERS_ANNEXES, (int64_t)c->n_annexes);
	differs(k, c->mandate_org.len != 0, AGREEMENT_DIFFERS_MANDATE, 0);
	differs(k, c->n_ext != 0, AGREEMENT_DIFFERS_EXTENSIONS, (int64_t)c->n_ext);
}

/* A document that claims to be the plain form must be what the form writes from these fields. */
static bool is_form_altered(const struct agreement *ag)
{
	struct arena *a = arena_new(64 * 1024);
	struct bytes text;
	bool same;

	if (a == NULL)
		return true;
	same = ag->cover->form_version == FORMS_PLAIN_VERSION && forms_write(ag->terms, ag->cover, a, &text) == RK_OK &&
	       bytes_equal(text, bytes_of(ag->proposal->document));
	arena_free(a);
	return !same;
}

size_t agreement_differences(const struct agreement *ag, struct agreement_difference *out)
{
	struct collector k = {.out = out};

	terms_differ(&k, ag);
	if (ag->cover != NULL) {
		bool is_form = strcmp(ag->cover->form_id, FORMS_PLAIN_ID) == 0;

		duties_differ(&k, ag->terms, ag->cover);
		cover_differs(&k, ag->terms, ag->cover);
		differs(&k, !is_form, AGREEMENT_DIFFERS_OWN_TEXT, 0);
		differs(&k, is_form && is_form_altered(ag), AGREEMENT_DIFFERS_FORM_ALTERED, 0);
	}
	return k.n;
}
