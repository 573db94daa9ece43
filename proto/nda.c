/*
 * The row is a summary by *log order*: which act stands before which is decided once, when it is folded; the
 * questions "which state" and "may it pass" then need only the row, the directory's word on the parties, and a time.
 *
 * What folding means, act by act (an act whose payload stood before does nothing):
 *   ACCEPT      the party's first one logged before accept_by counts; with the last party's the row is complete
 *   REJECT      before completion: declined for ever; after it: nothing
 *   WITHDRAW    before completion: withdrawn for ever; after it: nothing
 *   TERMINATE   effect at log time + notice, the earliest of all parties; nothing where the terms give no exit
 *   HOLD        held until the same party's next RESUME
 * It copes with every sequence, also with those that nda_check_act would never let into a log: a client folds what
 * a broker gave it.
 */
#include "proto/nda.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/ids.h"

static int64_t add_days(int64_t t_ms, uint32_t days)
{
	int64_t sum;

	if (__builtin_add_overflow(t_ms, (int64_t)days * NDA_DAY_MS, &sum))
		return INT64_MAX;
	return sum;
}

void nda_row_init(struct nda_row *row, const uint8_t nda_id[32], const Rk__NdaTerms *terms)
{
	assert(terms->n_parties <= NDA_PARTIES_MAX);
	memset(row, 0, sizeof(*row));
	memcpy(row->nda_id, nda_id, 32);
	row->not_before = terms->not_before;
	row->not_after = terms->not_after;
	row->accept_by = terms->accept_by;
	row->notice_days = terms->notice_days;
	row->notice_window_days = terms->notice_window_days;
	row->exit_rule = (uint8_t)terms->exit_rule;
	row->marking_required = terms->marking_required != 0;
	row->party_count = (uint8_t)terms->n_parties;
	for (size_t i = 0; i < terms->n_parties; i++) {
		const Rk__Party *from = terms->parties[i];
		struct nda_party *to = &row->parties[i];

		memcpy(to->org_id, from->org_id.data, sizeof(to->org_id));
		memcpy(to->org_key_fp, from->org_key_fp.data, sizeof(to->org_key_fp));
		to->may_disclose = from->may_disclose != 0;
		to->may_receive = from->may_receive != 0;
	}
	nda_set_of(row->nda_set, nda_id, NULL, 0);
}

int nda_party_index(const struct nda_row *row, const uint8_t org_id[16])
{
	for (int i = 0; i < row->party_count; i++)
		if (memcmp(row->parties[i].org_id, org_id, 16) == 0)
			return i;
	return -1;
}

static bool is_repeated(const struct nda_act *acts, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (memcmp(acts[j].payload_sha256, acts[i].payload_sha256, 32) == 0)
			return true;
	return false;
}

static void forget_acts(struct nda_row *row)
{
	row->complete_at = row->declined_at = row->withdrawn_at = row->terminate_effect_at = 0;
	row->act_count = 0;
	for (int i = 0; i < row->party_count; i++) {
		struct nda_party *p = &row->parties[i];

		p->has_accepted = p->has_rejected = p->has_withdrawn = p->has_terminated = p->is_held = 0;
		p->accepted_at = p->terminated_at = 0;
	}
}

static bool have_all_accepted(const struct nda_row *row)
{
	for (int i = 0; i < row->party_count; i++)
		if (!row->parties[i].has_accepted)
			return false;
	return true;
}

static void fold_accept(struct nda_row *row, struct nda_party *p, int64_t t_ms)
{
	if (p->has_accepted || t_ms >= row->accept_by)
		return;
	p->has_accepted = 1;
	p->accepted_at = t_ms;
	if (have_all_accepted(row))
		row->complete_at = t_ms;
}

static void fold_terminate(struct nda_row *row, struct nda_party *p, int64_t t_ms)
{
	int64_t effect_at = add_days(t_ms, row->notice_days);

	if (row->exit_rule != RK__EXIT_RULE__END_ALL)
		return;
	if (!p->has_terminated) {
		p->has_terminated = 1;
		p->terminated_at = t_ms;
	}
	if (row->terminate_effect_at == 0 || effect_at < row->terminate_effect_at)
		row->terminate_effect_at = effect_at;
}

static void fold_one(struct nda_row *row, const struct nda_act *act)
{
	struct nda_party *p = &row->parties[act->party];
	bool complete = row->complete_at != 0;

	switch (act->kind) {
	case RK__ACT_KIND__ACCEPT:
		fold_accept(row, p, act->time_ms);
		break;
	case RK__ACT_KIND__REJECT:
		p->has_rejected = 1;
		if (!complete && row->declined_at == 0)
			row->declined_at = act->time_ms;
		break;
	case RK__ACT_KIND__WITHDRAW_NDA:
		p->has_withdrawn = 1;
		if (!complete && row->withdrawn_at == 0)
			row->withdrawn_at = act->time_ms;
		break;
	case RK__ACT_KIND__TERMINATE:
		fold_terminate(row, p, act->time_ms);
		break;
	case RK__ACT_KIND__HOLD:
		p->is_held = 1;
		break;
	case RK__ACT_KIND__RESUME:
		p->is_held = 0;
		break;
	default:
		break;
	}
}

static void fold_all(struct nda_row *row, const struct nda_act *acts, size_t n)
{
	assert(n <= NDA_ACTS_MAX);
	forget_acts(row);
	for (size_t i = 0; i < n; i++)
		if (acts[i].party < row->party_count && !is_repeated(acts, i))
			fold_one(row, &acts[i]);
	row->act_count = (uint32_t)n;
}

void nda_fold(struct nda_row *row, const struct nda_act *acts, size_t n)
{
	fold_all(row, acts, n);
	nda_set_of(row->nda_set, row->nda_id, acts, n);
}

static int by_oh(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

void nda_set_of(uint8_t out[32], const uint8_t nda_id[32], const struct nda_act *acts, size_t n)
{
	uint8_t sorted[NDA_ACTS_MAX][32];
	struct bytes parts[2];

	assert(n <= NDA_ACTS_MAX);
	for (size_t i = 0; i < n; i++)
		memcpy(sorted[i], acts[i].oh, 32);
	qsort(sorted, n, 32, by_oh);
	parts[0] = bytes_make(nda_id, 32);
	parts[1] = bytes_make(sorted, n * 32);
	ids_hash_parts(out, "renkei/v1/nda-set", parts, 2);
}

int64_t nda_end_ms(const struct nda_row *row)
{
	if (row->terminate_effect_at != 0 && row->terminate_effect_at < row->not_after)
		return row->terminate_effect_at;
	return row->not_after;
}

static bool has_act(const struct nda_act *acts, size_t n, uint8_t party, uint8_t kind)
{
	for (size_t i = 0; i < n; i++)
		if (acts[i].party == party && acts[i].kind == kind)
			return true;
	return false;
}

/* ACCEPT, REJECT and WITHDRAW belong to a proposal that still waits for someone's word. */
static int check_before_completion(const struct nda_row *row, const struct nda_act *act)
{
	if (row->declined_at != 0)
		return RK_NDA_DECLINED;
	if (row->withdrawn_at != 0)
		return RK_NDA_WITHDRAWN;
	if (row->complete_at != 0)
		return RK_CONFLICT;
	if (act->time_ms >= row->accept_by)
		return RK_NDA_LAPSED;
	return RK_OK;
}

/* TERMINATE, HOLD and RESUME belong to an agreement that all have accepted and that has not ended. */
static int check_after_completion(const struct nda_row *row, const struct nda_act *act)
{
	bool is_held = row->parties[act->party].is_held;

	if (row->declined_at != 0 || row->withdrawn_at != 0 || row->complete_at == 0)
		return RK_CONFLICT;
	if (act->time_ms >= nda_end_ms(row))
		return RK_CONFLICT;
	if (act->kind == RK__ACT_KIND__HOLD && is_held)
		return RK_CONFLICT;
	if (act->kind == RK__ACT_KIND__RESUME && !is_held)
		return RK_CONFLICT;
	return RK_OK;
}

int nda_check_act(const struct nda_row *row, const struct nda_act *acts, size_t n, const struct nda_act *act)
{
	struct nda_row now = *row;

	if (act->party >= row->party_count)
		return RK_NO_NDA;
	for (size_t i = 0; i < n; i++)
		if (memcmp(acts[i].payload_sha256, act->payload_sha256, 32) == 0)
			return RK_DUPLICATE;
	/* The row may be older than the acts; what is judged is the acts. */
	fold_all(&now, acts, n);
	switch (act->kind) {
	case RK__ACT_KIND__ACCEPT:
	case RK__ACT_KIND__REJECT:
	case RK__ACT_KIND__WITHDRAW_NDA:
		if (has_act(acts, n, act->party, act->kind))
			return RK_DUPLICATE;
		if (n >= NDA_ACTS_MAX)
			return RK_QUOTA;
		return check_before_completion(&now, act);
	case RK__ACT_KIND__TERMINATE:
		if (row->exit_rule != RK__EXIT_RULE__END_ALL)
			return RK_NOT_PERMITTED;
		if (has_act(acts, n, act->party, act->kind))
			return RK_DUPLICATE;
		break;
	case RK__ACT_KIND__HOLD:
	case RK__ACT_KIND__RESUME:
		break;
	default:
		return RK_MALFORMED;
	}
	if (n >= NDA_ACTS_MAX)
		return RK_QUOTA;
	return check_after_completion(&now, act);
}

static bool are_all_active(const struct nda_row *row, uint16_t active)
{
	uint32_t all = (1u << row->party_count) - 1;

	return (active & all) == all;
}

static bool is_any_held(const struct nda_row *row)
{
	for (int i = 0; i < row->party_count; i++)
		if (row->parties[i].is_held)
			return true;
	return false;
}

static bool is_terminated(const struct nda_row *row, int64_t t_ms)
{
	return row->terminate_effect_at != 0 && t_ms >= row->terminate_effect_at;
}

enum nda_state nda_state_at(const struct nda_row *row, uint16_t active, int64_t t_ms)
{
	/* NDA_SUPERSEDED would stand first; terms of version 1 cannot supersede (nda_check_terms). */
	if (row->declined_at != 0)
		return NDA_DECLINED;
	if (row->withdrawn_at != 0)
		return NDA_WITHDRAWN;
	if (row->complete_at == 0)
		return t_ms >= row->accept_by ? NDA_LAPSED : NDA_PROPOSED;
	if (is_terminated(row, t_ms))
		return NDA_TERMINATED;
	if (t_ms >= row->not_after)
		return NDA_EXPIRED;
	if (!are_all_active(row, active))
		return NDA_SUSPENDED;
	if (is_any_held(row))
		return NDA_HELD;
	if (t_ms < row->not_before)
		return NDA_PENDING_START;
	return row->terminate_effect_at != 0 ? NDA_TERMINATING : NDA_IN_FORCE;
}

static const struct {
	const char *name;
	int refusal;
} states[] = {
	[NDA_SUPERSEDED] = {"superseded", RK_NDA_SUPERSEDED},
	[NDA_DECLINED] = {"declined", RK_NDA_DECLINED},
	[NDA_WITHDRAWN] = {"withdrawn", RK_NDA_WITHDRAWN},
	[NDA_LAPSED] = {"lapsed", RK_NDA_LAPSED},
	[NDA_PROPOSED] = {"proposed", RK_NDA_PROPOSED},
	[NDA_TERMINATED] = {"terminated", RK_NDA_TERMINATED},
	[NDA_EXPIRED] = {"expired", RK_NDA_EXPIRED},
	[NDA_SUSPENDED] = {"suspended", RK_NDA_SUSPENDED},
	[NDA_HELD] = {"held", RK_NDA_HELD},
	[NDA_PENDING_START] = {"pending_start", RK_NDA_NOT_YET},
	[NDA_TERMINATING] = {"terminating", RK_OK},
	[NDA_IN_FORCE] = {"in_force", RK_OK},
};

const char *nda_state_name(enum nda_state state)
{
	assert(state >= NDA_SUPERSEDED && state <= NDA_IN_FORCE);
	return states[state].name;
}

int nda_state_refusal(enum nda_state state)
{
	assert(state >= NDA_SUPERSEDED && state <= NDA_IN_FORCE);
	return states[state].refusal;
}

/*
 * Who asks, before any question of state or time, so that a stranger learns nothing.  Sets *sender to the sender's
 * index and *recipients to a bit for each recipient.
 */
static int find_parties(const struct nda_row *row, const struct nda_question *q, int *sender, uint16_t *recipients)
{
	*recipients = 0;
	*sender = nda_party_index(row, q->sender_org);
	if (*sender < 0 || q->recipient_count == 0)
		return RK_NO_NDA;
	for (size_t i = 0; i < q->recipient_count; i++) {
		int r = nda_party_index(row, q->recipients[i]);

		if (r < 0 || r == *sender)
			return RK_NO_NDA;
		*recipients = (uint16_t)(*recipients | 1u << r);
	}
	return RK_OK;
}

/* A reply that holds no secret of its own goes against the direction; any other is a disclosure like the first. */
static bool is_direction_allowed(const struct nda_row *row, int sender, uint16_t recipients, bool reply_only)
{
	const struct nda_party *from = &row->parties[sender];
	bool with = from->may_disclose, against = reply_only && from->may_receive;

	for (int i = 0; i < row->party_count; i++) {
		if (!(recipients & 1u << i))
			continue;
		with = with && row->parties[i].may_receive;
		against = against && row->parties[i].may_disclose;
	}
	return with || against;
}

int nda_gate(const struct nda_row *row, const struct nda_question *q)
{
	uint16_t recipients;
	int sender, r;

	if ((r = find_parties(row, q, &sender, &recipients)) != RK_OK)
		return r;
	if (!is_direction_allowed(row, sender, recipients, q->reply_only))
		return RK_DIRECTION;
	return nda_state_refusal(nda_state_at(row, q->active, q->t_ms));
}

int nda_gate_notice(const struct nda_row *row, const struct nda_question *q)
{
	uint16_t recipients, asked;
	int sender, r;

	if ((r = find_parties(row, q, &sender, &recipients)) != RK_OK)
		return r;
	if (row->declined_at != 0 || row->withdrawn_at != 0 || row->complete_at == 0)
		return nda_state_refusal(nda_state_at(row, q->active, q->t_ms));
	if (q->t_ms >= add_days(nda_end_ms(row), row->notice_window_days))
		return is_terminated(row, q->t_ms) ? RK_NDA_TERMINATED : RK_NDA_EXPIRED;
	asked = (uint16_t)(recipients | 1u << sender);
	if ((q->active & asked) != asked)
		return RK_NDA_SUSPENDED;
	return q->t_ms < row->not_before ? RK_NDA_NOT_YET : RK_OK;
}
