#include "client/duty.h"

#include <stdlib.h>

#include "client/days.h"

/* Rows that the agreement itself makes, whatever was sent under it: one a rule, and a return by each party. */
#define OWN_ROWS (DUTY_KIND_COUNT + NDA_PARTIES_MAX)

/* One list while it is made. */
struct reckoning {
	const struct agreement *ag;
	const struct duty_facts *facts;
	const char *zone;
	int64_t now_ms;
	int64_t end_ms;             /* first instant at which the agreement is not in force any more, as things stand */
	struct duty *out;
	size_t count, max;
};

static const struct {
	const char *name;
	bool is_event;              /* happens at due_at; else due_at ends the last day in time */
} kinds[DUTY_KIND_COUNT] = {
	[DUTY_SIGN] = {"accept_by", false}, [DUTY_STARTS] = {"starts", true}, [DUTY_CONFIRM] = {"confirm", false},
	[DUTY_NEXT_STEP] = {"next_step", false}, [DUTY_TERMINATES] = {"terminates", true}, [DUTY_ENDS] = {"ends", false},
	[DUTY_RETURN] = {"return", false}, [DUTY_NOTICES_END] = {"notices_end", false}, [DUTY_SURVIVAL] = {"survival_ends", false},
};

const char *duty_name(enum duty_kind kind)
{
	return kinds[kind].name;
}

const char *duty_whose_name(enum duty_whose whose)
{
	static const char *const names[] = {[DUTY_NOBODY] = NULL, [DUTY_US] = "us", [DUTY_THEM] = "them", [DUTY_ALL] = "all"};

	return names[whose];
}

/* ---- days */

/* The day that an instant ends, or in which it lies; 0 in a zone that this machine does not know. */
static uint32_t last_day_before(const struct reckoning *r, int64_t at_ms)
{
	uint32_t day;

	return days_of(at_ms - 1, r->zone, &day) == RK_OK ? day : 0;
}

/*
 * The last day of a period of calendar months that begins with the day `first`: the day before the one that bears its date, or the last
 * day of the month where that date is missing (31 August + 6 months: 28 February).
 */
static uint32_t period_last_day(uint32_t first, uint32_t months)
{
	uint32_t same = days_add_months(first, months);

	return same % 100 == first % 100 ? days_add(same, -1) : same;
}

/* ---- rows */

static struct duty *add(struct reckoning *r, enum duty_kind kind, int64_t due_at)
{
	struct duty *d;
	uint32_t day;

	if (r->count == r->max)
		return NULL;
	d = &r->out[r->count++];
	*d = (struct duty){.kind = kind, .party = -1, .due_at = due_at, .done = r->now_ms >= due_at};
	if (!kinds[kind].is_event)
		d->due_day = last_day_before(r, due_at);
	else if (days_of(due_at, r->zone, &day) == RK_OK)
		d->due_day = day;
	return d;
}

/* A row whose last day in time is `day`; none in a zone that is not known here. */
static struct duty *add_day(struct reckoning *r, enum duty_kind kind, uint32_t day)
{
	int64_t at;

	return days_end(day, r->zone, &at) == RK_OK ? add(r, kind, at) : NULL;
}

/* Makes a date a duty of somebody: what is done, and whether in time, is then the caller's to say. */
static void owe(const struct reckoning *r, struct duty *d, enum duty_whose whose, int party, bool done)
{
	d->whose = party < 0 ? whose : party == r->ag->self ? DUTY_US : DUTY_THEM;
	d->party = party;
	d->done = done;
	d->overdue = !done && r->now_ms >= d->due_at;
}

/* ---- what was sent */

static bool is_of(const struct reckoning *r, const uint8_t *nda_id)
{
	return memcmp(nda_id, r->ag->nda_id, 32) == 0;
}

static bool is_named(const uint8_t *org_id, ProtobufCBinaryData *const list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].len == 16 && memcmp(list[i].data, org_id, 16) == 0)
			return true;
	return false;
}

static bool lists_id(const Rk__NdaNotice *n, const uint8_t *env_id)
{
	for (size_t i = 0; i < n->n_env_ids; i++)
		if (memcmp(n->env_ids[i].data, env_id, 32) == 0)
			return true;
	return false;
}

/* Something that one party has of another: a dossier that it picked up, or what it was told and the other confirmed. */
struct holding {
	const uint8_t *env_id, *from;
	uint64_t log_index;         /* since when */
};

/* The i-th thing sent under any agreement, as far as `org` has it under this one. */
static bool get_holding(const struct reckoning *r, size_t i, const uint8_t *org, struct holding *out)
{
	const struct duty_facts *f = r->facts;

	if (i < f->dossier_count) {
		const struct duty_dossier *d = &f->dossiers[i];

		for (size_t k = 0; is_of(r, d->nda_id) && k < d->holder_count; k++)
			if (memcmp(d->holders[k].org_id, org, 16) == 0 && memcmp(d->sender, org, 16) != 0) {
				*out = (struct holding){d->env_id, d->sender, d->holders[k].log_index};
				return true;
			}
		return false;
	}
	const struct duty_notice *n = &f->notices[i - f->dossier_count];

	if (!is_of(r, n->nda_id) || n->type != RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION ||
	    !is_named(org, n->recipients, n->recipient_count))
		return false;
	*out = (struct holding){n->env_id, n->sender, n->log_index};
	return true;
}

/* Has `org` certified to whom it has it from that this is gone?  "All" is all that it had by then. */
static bool is_certified(const struct reckoning *r, const uint8_t *org, const struct holding *h)
{
	for (size_t i = 0; i < r->facts->notice_count; i++) {
		const struct duty_notice *n = &r->facts->notices[i];

		if (n->type != RK__MESSAGE_TYPE__MESSAGE_DESTRUCTION_CERTIFICATE || !is_of(r, n->nda_id) ||
		    memcmp(n->sender, org, 16) != 0 || !is_named(h->from, n->recipients, n->recipient_count))
			continue;
		if (n->notice->all ? n->log_index > h->log_index : lists_id(n->notice, h->env_id))
			return true;
	}
	return false;
}

struct return_state {
	size_t held;
	bool all_certified;
};

/* What `org` has: of everybody (from NULL) or of one; only what a request lists, or (NULL) everything. */
static struct return_state returns_of(const struct reckoning *r, const uint8_t *org, const uint8_t *from, const Rk__NdaNotice *request)
{
	struct return_state s = {0, true};
	struct holding h;

	for (size_t i = 0; i < r->facts->dossier_count + r->facts->notice_count; i++) {
		if (!get_holding(r, i, org, &h) || (from != NULL && memcmp(h.from, from, 16) != 0) ||
		    (request != NULL && !request->all && !lists_id(request, h.env_id)))
			continue;
		s.held++;
		s.all_certified = s.all_certified && is_certified(r, org, &h);
	}
	return s;
}

/* ---- rules */

static void sign_by(struct reckoning *r)
{
	const struct nda_row *row = &r->ag->row;
	struct duty *d = add(r, DUTY_SIGN, row->accept_by);

	if (d != NULL)
		owe(r, d, row->parties[r->ag->self].has_accepted ? DUTY_THEM : DUTY_US, -1, false);
}

static void starts(struct reckoning *r)
{
	add(r, DUTY_STARTS, r->ag->row.not_before);
}

static void ends(struct reckoning *r)
{
	add(r, r->end_ms < r->ag->row.not_after ? DUTY_TERMINATES : DUTY_ENDS, r->end_ms);
}

static int64_t window_end_ms(const struct nda_row *row)
{
	return nda_end_ms(row) + (int64_t)row->notice_window_days * NDA_DAY_MS;
}

static void notices_end(struct reckoning *r)
{
	add(r, DUTY_NOTICES_END, window_end_ms(&r->ag->row));
}

/* The newest next-step notice decides: an extension moves the day, an answer settles it.  So does the end of the agreement. */
static void next_step(struct reckoning *r)
{
	const Rk__NdaCover *cover = r->ag->cover;
	const struct duty_notice *newest = NULL;
	uint32_t day = cover != NULL ? cover->next_step_by : 0;
	bool is_answered;
	struct duty *d;

	for (size_t i = 0; i < r->facts->notice_count; i++)
		if (r->facts->notices[i].type == RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP && is_of(r, r->facts->notices[i].nda_id))
			newest = &r->facts->notices[i];
	is_answered = newest != NULL && newest->notice->due_day == 0;
	if (newest != NULL && newest->notice->due_day != 0)
		day = newest->notice->due_day;
	if (day == 0 || (!is_answered && r->now_ms >= r->end_ms) || (d = add_day(r, DUTY_NEXT_STEP, day)) == NULL)
		return;
	owe(r, d, DUTY_ALL, cover->next_step_org.len == 16 ? nda_party_index(&r->ag->row, cover->next_step_org.data) : -1, is_answered);
	d->about = newest != NULL ? newest->env_id : NULL;
	d->late = is_answered && newest->time_ms >= d->due_at;
}

int duty_confirm_by(const struct agreement *ag, int64_t occurred_at, uint32_t *day, int64_t *at_ms)
{
	int r;

	if (ag->cover == NULL || ag->cover->oral_days == 0)
		return RK_ENOTFOUND;
	if ((r = days_of(occurred_at, ag->terms->zone, day)) != RK_OK)
		return r;
	*day = days_add(*day, (int)ag->cover->oral_days);
	return days_end(*day, ag->terms->zone, at_ms);
}

/* Nobody but those who were there knows of what was not confirmed; so there is a row for each confirmation, in time or not. */
static void confirmations(struct reckoning *r)
{
	for (size_t i = 0; i < r->facts->notice_count; i++) {
		const struct duty_notice *n = &r->facts->notices[i];
		struct duty *d;
		uint32_t day;
		int64_t at;

		if (n->type != RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION || !is_of(r, n->nda_id) ||
		    duty_confirm_by(r->ag, n->notice->occurred_at, &day, &at) != RK_OK || (d = add(r, DUTY_CONFIRM, at)) == NULL)
			continue;
		owe(r, d, DUTY_ALL, nda_party_index(&r->ag->row, n->sender), true);
		d->about = n->env_id;
		d->late = n->time_ms >= at;
	}
}

/* At the end each party owes a certificate for what it has of the others. */
static void returns_at_end(struct reckoning *r)
{
	const Rk__NdaCover *cover = r->ag->cover;
	uint32_t last = last_day_before(r, r->end_ms);

	if (cover == NULL || !cover->on_end || last == 0)
		return;
	for (int i = 0; i < r->ag->row.party_count; i++) {
		struct return_state s = returns_of(r, r->ag->row.parties[i].org_id, NULL, NULL);
		struct duty *d;

		if (s.held > 0 && (d = add_day(r, DUTY_RETURN, days_add(last, (int)cover->certificate_days))) != NULL)
			owe(r, d, DUTY_ALL, i, s.all_certified);
	}
}

/* What a request asks back of one party: from its own day, or from that of the request. */
static void return_asked(struct reckoning *r, const struct duty_notice *n, int party)
{
	const uint8_t *org = r->ag->row.parties[party].org_id;
	/* The request itself stands for what nobody else can list: notes, copies, samples. */
	struct holding asked = {n->env_id, n->sender, n->log_index};
	struct return_state s = returns_of(r, org, n->sender, n->notice);
	uint32_t day = n->notice->due_day;
	struct duty *d;

	if (day == 0 && days_of(n->time_ms, r->zone, &day) != RK_OK)
		return;
	if ((d = add_day(r, DUTY_RETURN, days_add(day, (int)r->ag->cover->certificate_days))) == NULL)
		return;
	owe(r, d, DUTY_ALL, party, s.held > 0 || !n->notice->all ? s.all_certified : is_certified(r, org, &asked));
	d->about = n->env_id;
}

static void returns_asked(struct reckoning *r)
{
	for (size_t i = 0; r->ag->cover != NULL && i < r->facts->notice_count; i++) {
		const struct duty_notice *n = &r->facts->notices[i];

		if (n->type != RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST || !is_of(r, n->nda_id))
			continue;
		for (int p = 0; p < r->ag->row.party_count; p++)
			if (is_named(r->ag->row.parties[p].org_id, n->recipients, n->recipient_count))
				return_asked(r, n, p);
	}
}

/* The day of a disclosure itself does not count. */
static void survives_from(struct reckoning *r, int64_t disclosed_at, const uint8_t *env_id)
{
	struct duty *d;
	uint32_t day;

	if (days_of(disclosed_at, r->zone, &day) != RK_OK)
		return;
	d = add_day(r, DUTY_SURVIVAL, period_last_day(days_add(day, 1), r->ag->cover->survival->months));
	if (d != NULL)
		d->about = env_id;
}

static void survives_disclosures(struct reckoning *r)
{
	for (size_t i = 0; i < r->facts->dossier_count; i++)
		if (is_of(r, r->facts->dossiers[i].nda_id))
			survives_from(r, r->facts->dossiers[i].time_ms, r->facts->dossiers[i].env_id);
	for (size_t i = 0; i < r->facts->notice_count; i++) {
		const struct duty_notice *n = &r->facts->notices[i];

		if (n->type == RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION && is_of(r, n->nda_id))
			survives_from(r, n->notice->occurred_at, n->env_id);
	}
}

static void survival(struct reckoning *r)
{
	const Rk__Survival *s = r->ag->cover != NULL ? r->ag->cover->survival : NULL;
	uint32_t last = last_day_before(r, r->end_ms);

	if (s == NULL || last == 0)
		return;
	switch (s->basis) {
	case RK__SURVIVAL_BASIS__FROM_END:
		add_day(r, DUTY_SURVIVAL, period_last_day(days_add(last, 1), s->months));
		break;
	case RK__SURVIVAL_BASIS__FROM_START:
		add_day(r, DUTY_SURVIVAL, period_last_day(r->ag->terms->first_day, s->months));
		break;
	case RK__SURVIVAL_BASIS__FROM_DISCLOSURE:
		survives_disclosures(r);
		break;
	default: /* without end */
		break;
	}
}

/* Which rules speak of an agreement that is not signed by all, and of one that is or was. */
static const struct {
	bool is_proposal;
	void (*reckon)(struct reckoning *);
} rules[] = {
	{true, sign_by}, {false, starts}, {false, confirmations}, {false, next_step}, {false, ends}, {false, returns_at_end},
	{false, returns_asked}, {false, notices_end}, {false, survival},
};

static int by_date(const void *a, const void *b)
{
	const struct duty *x = a, *y = b;

	if (x->due_at != y->due_at)
		return x->due_at < y->due_at ? -1 : 1;
	return x->kind != y->kind ? (int)x->kind - (int)y->kind : x->party - y->party;
}

size_t duty_room(const struct agreement *ag, const struct duty_facts *facts)
{
	size_t room = OWN_ROWS;

	for (size_t i = 0; i < facts->dossier_count; i++)
		room += memcmp(facts->dossiers[i].nda_id, ag->nda_id, 32) == 0;
	/* A notice makes a confirmation and an end of survival, or a return by each party. */
	for (size_t i = 0; i < facts->notice_count; i++)
		if (memcmp(facts->notices[i].nda_id, ag->nda_id, 32) == 0)
			room += (size_t)ag->row.party_count + 1;
	return room;
}

size_t duty_list(const struct agreement *ag, const struct duty_facts *facts, int64_t now_ms, struct duty *out, size_t max)
{
	enum nda_state state = nda_state_at(&ag->row, ag->active, now_ms);
	struct reckoning r = {.ag = ag, .facts = facts, .zone = ag->terms->zone, .now_ms = now_ms, .end_ms = nda_end_ms(&ag->row),
	                      .out = out, .max = max};

	if (state < NDA_PROPOSED)
		return 0;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].is_proposal == (state == NDA_PROPOSED))
			rules[i].reckon(&r);
	qsort(out, r.count, sizeof(*out), by_date);
	return r.count;
}

const struct duty *duty_next(const struct duty *list, size_t count, int64_t now_ms)
{
	for (size_t i = 0; i < count; i++)
		if (!list[i].done && list[i].due_at > now_ms)
			return &list[i];
	return NULL;
}

bool duty_is_pressing(const struct agreement *ag, const struct duty *d, int64_t now_ms)
{
	if (d->done)
		return false;
	return d->overdue ? now_ms < window_end_ms(&ag->row) : d->due_at - now_ms <= DUTY_AHEAD_MS;
}
