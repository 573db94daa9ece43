#include "tests/unit/nda_model.h"

#include <string.h>

#include "proto/errcode.h"

/* "each payload of any act once for ever ... counts a payload only at its lowest index" */
static bool counts(const struct model_log *l, int i)
{
	for (int j = 0; j < i; j++)
		if (l->acts[j].payload == l->acts[i].payload)
			return false;
	return true;
}

static bool is_act(const struct model_log *l, int i, enum model_kind kind)
{
	return l->acts[i].kind == kind && counts(l, i);
}

/* "ACCEPT ... logged before accept_by": the index of the party's, or -1. */
static int accept_of(const struct model_log *l, int party)
{
	for (int i = 0; i < l->n; i++)
		if (is_act(l, i, M_ACCEPT) && l->acts[i].party == party && l->acts[i].t < l->terms.accept_by)
			return i;
	return -1;
}

/* "every party has ACCEPT": the index of the last of them, or -1 while one is missing. */
static int last_accept(const struct model_log *l)
{
	int last = -1;

	for (int p = 0; p < l->terms.parties; p++) {
		int i = accept_of(l, p);

		if (i < 0)
			return -1;
		if (i > last)
			last = i;
	}
	return last;
}

/* "REJECT or WITHDRAW before the last ACCEPT"; while that has not come, any stands before it. */
static bool stands_before_last_accept(const struct model_log *l, enum model_kind kind)
{
	int last = last_accept(l);

	for (int i = 0; i < l->n; i++)
		if (is_act(l, i, kind) && (last < 0 || i < last))
			return true;
	return false;
}

/* "a TERMINATE takes effect at its log time + notice"; "exit_rule NONE: TERMINATE is refused". */
static bool has_terminate(const struct model_log *l)
{
	for (int i = 0; i < l->n; i++)
		if (l->terms.can_exit && is_act(l, i, M_TERMINATE))
			return true;
	return false;
}

static bool is_terminate_in_effect(const struct model_log *l, int64_t t)
{
	for (int i = 0; i < l->n; i++)
		if (l->terms.can_exit && is_act(l, i, M_TERMINATE) && t >= l->acts[i].t + l->terms.notice_ms)
			return true;
	return false;
}

/* "HOLD without a later RESUME of the same party" */
static bool holds(const struct model_log *l, int party)
{
	for (int i = 0; i < l->n; i++) {
		bool lifted = false;

		if (!is_act(l, i, M_HOLD) || l->acts[i].party != party)
			continue;
		for (int j = i + 1; j < l->n; j++)
			lifted |= is_act(l, j, M_RESUME) && l->acts[j].party == party;
		if (!lifted)
			return true;
	}
	return false;
}

static bool does_anyone_hold(const struct model_log *l)
{
	for (int p = 0; p < l->terms.parties; p++)
		if (holds(l, p))
			return true;
	return false;
}

static bool are_all_active(const struct model_log *l, unsigned active)
{
	for (int p = 0; p < l->terms.parties; p++)
		if (!(active >> p & 1))
			return false;
	return true;
}

/* The sentence "In force iff", in its own order. */
bool model_in_force(const struct model_log *l, unsigned active, int64_t t)
{
	return last_accept(l) >= 0 && !stands_before_last_accept(l, M_REJECT) && !stands_before_last_accept(l, M_WITHDRAW) &&
	       l->terms.not_before <= t && t < l->terms.not_after && !is_terminate_in_effect(l, t) && !does_anyone_hold(l) &&
	       are_all_active(l, active);
}

/* "The first that holds, in this order". */
const char *model_state(const struct model_log *l, unsigned active, int64_t t)
{
	bool missing = last_accept(l) < 0;

	if (stands_before_last_accept(l, M_REJECT))
		return "declined";
	if (stands_before_last_accept(l, M_WITHDRAW))
		return "withdrawn";
	if (missing && t >= l->terms.accept_by)
		return "lapsed";
	if (missing)
		return "proposed";
	if (is_terminate_in_effect(l, t))
		return "terminated";
	if (t >= l->terms.not_after)
		return "expired";
	if (!are_all_active(l, active))
		return "suspended";
	if (does_anyone_hold(l))
		return "held";
	if (t < l->terms.not_before)
		return "pending_start";
	if (has_terminate(l))
		return "terminating";
	return "in_force";
}

static int refusal_of(const char *state)
{
	static const struct {
		const char *state;
		int code;
	} table[] = {
		{"declined", RK_NDA_DECLINED}, {"withdrawn", RK_NDA_WITHDRAWN}, {"lapsed", RK_NDA_LAPSED},
		{"proposed", RK_NDA_PROPOSED}, {"terminated", RK_NDA_TERMINATED}, {"expired", RK_NDA_EXPIRED},
		{"suspended", RK_NDA_SUSPENDED}, {"held", RK_NDA_HELD}, {"pending_start", RK_NDA_NOT_YET},
		{"terminating", RK_OK}, {"in_force", RK_OK},
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (strcmp(table[i].state, state) == 0)
			return table[i].code;
	return RK_EINTERNAL;
}

/* "unknown NDA and not-a-party answer alike"; nobody is another party to himself; to nobody is no disclosure. */
static bool are_other_parties(const struct model_log *l, const struct model_question *q)
{
	if (q->sender < 0 || q->sender >= l->terms.parties || q->recipients == 0)
		return false;
	return q->recipients >> l->terms.parties == 0 && !(q->recipients >> q->sender & 1);
}

/* "sender may_disclose and each recipient may_receive; or, with reply_only ..., sender may_receive and each recipient
 * may_disclose" */
static bool is_direction_right(const struct model_log *l, const struct model_question *q)
{
	bool first = l->terms.discloses[q->sender], second = q->reply_only && l->terms.receives[q->sender];

	for (int p = 0; p < l->terms.parties; p++) {
		if (!(q->recipients >> p & 1))
			continue;
		if (!l->terms.receives[p])
			first = false;
		if (!l->terms.discloses[p])
			second = false;
	}
	return first || second;
}

int model_gate(const struct model_log *l, const struct model_question *q)
{
	if (!are_other_parties(l, q))
		return RK_NO_NDA;
	if (!is_direction_right(l, q))
		return RK_DIRECTION;
	if (model_in_force(l, q->active, q->t))
		return RK_OK;
	return refusal_of(model_state(l, q->active, q->t));
}

/* "end = the earlier of not_after and the effect of a TERMINATE" */
static int64_t end_of(const struct model_log *l)
{
	int64_t end = l->terms.not_after;

	for (int i = 0; i < l->n; i++)
		if (l->terms.can_exit && is_act(l, i, M_TERMINATE) && l->acts[i].t + l->terms.notice_ms < end)
			end = l->acts[i].t + l->terms.notice_ms;
	return end;
}

int model_gate_notice(const struct model_log *l, const struct model_question *q)
{
	bool had_all = last_accept(l) >= 0 && !stands_before_last_accept(l, M_REJECT) &&
	               !stands_before_last_accept(l, M_WITHDRAW);

	if (!are_other_parties(l, q))
		return RK_NO_NDA;
	if (!had_all)
		return refusal_of(model_state(l, q->active, q->t));
	if (q->t >= end_of(l) + l->terms.window_ms)
		return is_terminate_in_effect(l, q->t) ? RK_NDA_TERMINATED : RK_NDA_EXPIRED;
	for (int p = 0; p < l->terms.parties; p++)
		if ((p == q->sender || q->recipients >> p & 1) && !(q->active >> p & 1))
			return RK_NDA_SUSPENDED;
	return q->t >= l->terms.not_before ? RK_OK : RK_NDA_NOT_YET;
}

static bool did_before(const struct model_log *l, const struct model_act *a)
{
	for (int i = 0; i < l->n; i++)
		if (l->acts[i].party == a->party && l->acts[i].kind == a->kind)
			return true;
	return false;
}

static int check_word_on_proposal(const struct model_log *l, const struct model_act *a)
{
	if (did_before(l, a))
		return RK_DUPLICATE;
	if (stands_before_last_accept(l, M_REJECT))
		return RK_NDA_DECLINED;
	if (stands_before_last_accept(l, M_WITHDRAW))
		return RK_NDA_WITHDRAWN;
	if (last_accept(l) >= 0)
		return RK_CONFLICT;
	return a->t < l->terms.accept_by ? RK_OK : RK_NDA_LAPSED;
}

int model_check_act(const struct model_log *l, const struct model_act *a)
{
	for (int i = 0; i < l->n; i++)
		if (l->acts[i].payload == a->payload)
			return RK_DUPLICATE;
	if (a->kind == M_ACCEPT || a->kind == M_REJECT || a->kind == M_WITHDRAW)
		return check_word_on_proposal(l, a);
	if (a->kind == M_TERMINATE && !l->terms.can_exit)
		return RK_NOT_PERMITTED;
	if (a->kind == M_TERMINATE && did_before(l, a))
		return RK_DUPLICATE;
	if (last_accept(l) < 0 || stands_before_last_accept(l, M_REJECT) || stands_before_last_accept(l, M_WITHDRAW))
		return RK_CONFLICT;
	if (a->t >= end_of(l))
		return RK_CONFLICT;
	if (a->kind == M_HOLD && holds(l, a->party))
		return RK_CONFLICT;
	if (a->kind == M_RESUME && !holds(l, a->party))
		return RK_CONFLICT;
	return RK_OK;
}
