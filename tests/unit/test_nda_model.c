/*
 * The predicate against nda_model.c, over every sequence of acts up to a length: 2 to 4 parties, mutual and one-way, every
 * act of every party and every replay of an earlier one, legal or not; at the instants around each boundary, under
 * every set of active parties, for every question.  Prints how many answers were compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/nda.h"
#include "tests/unit/nda_model.h"

#define DAY NDA_DAY_MS
#define NOT_BEFORE (10 * DAY)
#define NOT_AFTER (20 * DAY)
#define INSTANTS_MAX 64

enum direction { MUTUAL, ONE_WAY, MIXED, TWO_SOURCES };
enum schedule { ALL_EARLY, AROUND_ACCEPT_BY, IN_FORCE, AROUND_END, SCHEDULES };

static const uint8_t orgs[MODEL_PARTIES_MAX + 1][16] = {{1}, {2}, {3}, {4}, {9 /* a stranger */}};

struct walk {
	struct model_log log;
	struct nda_row row;
	struct nda_act acts[MODEL_ACTS_MAX];
	enum schedule schedule;
	int first;      /* acts that stand before the walk begins */
	int depth;      /* acts that the walk adds */
	int full_depth; /* up to here every question is asked; beyond, they take turns */
	unsigned turn;
	unsigned long compared;
};

static void make_terms(struct walk *w, int parties, enum direction direction, bool can_exit, int notice_days,
                       int64_t accept_by)
{
	struct model_terms *m = &w->log.terms;
	struct nda_row *row = &w->row;

	*m = (struct model_terms){.parties = parties, .not_before = NOT_BEFORE, .not_after = NOT_AFTER, .accept_by = accept_by,
	                          .notice_ms = notice_days * DAY, .window_ms = 3 * DAY, .can_exit = can_exit};
	memset(row, 0, sizeof(*row));
	row->not_before = NOT_BEFORE;
	row->not_after = NOT_AFTER;
	row->accept_by = accept_by;
	row->notice_days = (uint32_t)notice_days;
	row->notice_window_days = 3;
	row->exit_rule = can_exit ? RK__EXIT_RULE__END_ALL : RK__EXIT_RULE__EXIT_NONE;
	row->party_count = (uint8_t)parties;
	for (int p = 0; p < parties; p++) {
		m->discloses[p] = direction == MUTUAL || p == 0 || (direction == MIXED && p == 2);
		m->receives[p] = direction == MUTUAL || p != 0;
		if (direction == TWO_SOURCES) {
			m->discloses[p] = p < 2;
			m->receives[p] = p >= 2;
		}
		memcpy(row->parties[p].org_id, orgs[p], 16);
		row->parties[p].may_disclose = m->discloses[p];
		row->parties[p].may_receive = m->receives[p];
	}
}

static int64_t time_of(const struct walk *w, int i)
{
	int later = i - w->log.terms.parties;

	switch (w->schedule) {
	case AROUND_ACCEPT_BY:
		return w->log.terms.accept_by - 2 + i;
	case IN_FORCE:
		return later < 0 ? DAY : NOT_BEFORE + later;
	case AROUND_END:
		return later < 0 ? DAY : NOT_AFTER - 1 + later;
	default:
		return DAY;
	}
}

static void set_act(struct walk *w, int i, int party, int kind, int payload)
{
	struct nda_act *a = &w->acts[i];

	w->log.acts[i] = (struct model_act){party, (enum model_kind)kind, time_of(w, i), payload};
	memset(a, 0, sizeof(*a));
	a->log_index = (uint64_t)(100 + i);
	a->time_ms = time_of(w, i);
	a->party = (uint8_t)party;
	a->kind = (uint8_t)kind;
	a->payload_sha256[0] = (uint8_t)payload;
	a->oh[0] = (uint8_t)i;
}

/* What a failing comparison was about. */
static void explain(const struct walk *w, int64_t t, unsigned active)
{
	print_error("parties %d exit %d accept_by %lld t %lld active %x:", w->log.terms.parties, w->log.terms.can_exit,
	            (long long)w->log.terms.accept_by, (long long)t, active);
	for (int i = 0; i < w->log.n; i++)
		print_error(" %d.%d@%lld#%d", w->log.acts[i].party, w->log.acts[i].kind, (long long)w->log.acts[i].t,
		            w->log.acts[i].payload);
	print_error("\n");
}

static int around(int64_t *out, int n, int64_t t)
{
	for (int d = -1; d <= 1; d++)
		out[n++] = t + d;
	return n;
}

static int make_instants(const struct walk *w, int64_t out[INSTANTS_MAX])
{
	const struct model_terms *m = &w->log.terms;
	int n = 0;

	n = around(out, n, m->not_before);
	n = around(out, n, m->not_after);
	n = around(out, n, m->accept_by);
	n = around(out, n, m->not_after + m->window_ms);
	for (int i = 0; i < w->log.n; i++) {
		if (w->log.acts[i].kind == M_TERMINATE) {
			n = around(out, n, w->log.acts[i].t + m->notice_ms);
			n = around(out, n, w->log.acts[i].t + m->notice_ms + m->window_ms);
		} else if (w->log.acts[i].kind == M_HOLD) {
			out[n++] = w->log.acts[i].t;
		}
	}
	return n;
}

static void compare_question(struct walk *w, const struct model_question *m)
{
	const uint8_t *recipients[MODEL_PARTIES_MAX + 1];
	struct nda_question q = {orgs[m->sender < 0 ? MODEL_PARTIES_MAX : m->sender], recipients, 0, m->reply_only, m->t,
	                         (uint16_t)m->active};
	int gate, notice;

	for (int p = 0; p <= MODEL_PARTIES_MAX; p++)
		if (m->recipients >> p & 1)
			recipients[q.recipient_count++] = orgs[p < w->log.terms.parties ? p : MODEL_PARTIES_MAX];
	gate = model_gate(&w->log, m);
	notice = model_gate_notice(&w->log, m);
	if (nda_gate(&w->row, &q) != gate || nda_gate_notice(&w->row, &q) != notice) {
		explain(w, m->t, m->active);
		fail_msg("sender %d recipients %x reply %d: gate %d, model %d; notice %d, model %d", m->sender, m->recipients,
		         m->reply_only, nda_gate(&w->row, &q), gate, nda_gate_notice(&w->row, &q), notice);
	}
	w->compared += 2;
}

/* The k-th question: sender (also a stranger), a set of recipients (also empty, with the sender, with a stranger), reply. */
static unsigned question_count(const struct walk *w)
{
	return (unsigned)(w->log.terms.parties + 1) << (w->log.terms.parties + 1) << 1;
}

static void compare_kth(struct walk *w, unsigned k, unsigned active, int64_t t)
{
	unsigned sets = 1u << (w->log.terms.parties + 1);
	struct model_question m = {.reply_only = k & 1, .recipients = k / 2 % sets, .sender = (int)(k / 2 / sets) - 1,
	                           .active = active, .t = t};

	compare_question(w, &m);
}

static void compare_at(struct walk *w, unsigned active, int64_t t, bool is_full)
{
	enum nda_state state = nda_state_at(&w->row, (uint16_t)active, t);
	const char *model = model_state(&w->log, active, t);
	bool in_force = model_in_force(&w->log, active, t);

	if (strcmp(nda_state_name(state), model) != 0 || (nda_state_refusal(state) == RK_OK) != in_force) {
		explain(w, t, active);
		fail_msg("state %s, model %s, in force %d", nda_state_name(state), model, in_force);
	}
	w->compared++;
	if (is_full)
		for (unsigned k = 0; k < question_count(w); k++)
			compare_kth(w, k, active, t);
	else
		compare_kth(w, w->turn++ % question_count(w), active, t);
}

static void compare_node(struct walk *w, bool is_full)
{
	unsigned all = (1u << w->log.terms.parties) - 1;
	int64_t instants[INSTANTS_MAX];
	int n = make_instants(w, instants);

	assert_true(n <= INSTANTS_MAX);
	nda_fold(&w->row, w->acts, (size_t)w->log.n);
	for (int i = 0; i < n; i++) {
		compare_at(w, all, instants[i], is_full);
		compare_at(w, 0, instants[i], is_full);
		for (int p = 0; p < w->log.terms.parties; p++)
			compare_at(w, all & ~(1u << p), instants[i], is_full);
	}
}

static void compare_act(struct walk *w, int i)
{
	int r = nda_check_act(&w->row, w->acts, (size_t)i, &w->acts[i]);
	int model = model_check_act(&w->log, &w->log.acts[i]);

	if (r != model) {
		explain(w, w->acts[i].time_ms, 0);
		fail_msg("act %d of party %d: %d, model %d", w->acts[i].kind, w->acts[i].party, r, model);
	}
	w->compared++;
}

static void visit(struct walk *w, int depth)
{
	int i = w->log.n;

	compare_node(w, depth <= w->full_depth);
	if (depth == w->depth)
		return;
	for (int s = 0; s < 6 * w->log.terms.parties + i; s++) {
		int replayed = s - 6 * w->log.terms.parties;

		/* Every act of every party, then every earlier act once more with the same bytes. */
		if (replayed < 0)
			set_act(w, i, s / 6, s % 6 + 1, i);
		else
			set_act(w, i, w->log.acts[replayed].party, (int)w->log.acts[replayed].kind, w->log.acts[replayed].payload);
		w->log.n = i;
		nda_fold(&w->row, w->acts, (size_t)i);
		compare_act(w, i);
		w->log.n = i + 1;
		visit(w, depth + 1);
	}
	w->log.n = i;
}

/* Walks from an empty log, or from one in which all have accepted. */
static unsigned long walk(struct walk *w, bool from_accepted, int depth, int full_depth)
{
	w->log.n = 0;
	w->compared = 0;
	w->depth = depth;
	w->full_depth = full_depth;
	if (from_accepted) {
		for (int p = 0; p < w->log.terms.parties; p++)
			set_act(w, p, p, M_ACCEPT, p);
		w->log.n = w->log.terms.parties;
	}
	visit(w, 0);
	return w->compared;
}

static void predicate_agrees_with_the_model(void **state)
{
	static const struct {
		int parties;
		enum direction direction;
		bool from_accepted;
		int depth, full_depth;
	} cases[] = {
		{2, MUTUAL, false, 3, 0}, {2, ONE_WAY, true, 2, 1}, {2, ONE_WAY, false, 2, 0}, {2, MUTUAL, true, 2, 1},
		{3, MUTUAL, false, 2, 0}, {3, ONE_WAY, true, 2, 0}, {3, MIXED, true, 2, 0}, {3, TWO_SOURCES, true, 1, 1},
		{4, MIXED, false, 1, 0}, {4, MUTUAL, true, 1, 0},
	};
	unsigned long compared = 0;
	static struct walk w;
	(void)state;

	for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++)
		for (int v = 0; v < 8 * SCHEDULES; v++) {
			w.schedule = (enum schedule)(v / 8);
			/* exit rule, notice, accept_by before or after the first day */
			make_terms(&w, cases[c].parties, cases[c].direction, v & 1, v & 2 ? 2 : 0, v & 4 ? 5 * DAY : 12 * DAY);
			compared += walk(&w, cases[c].from_accepted, cases[c].depth, cases[c].full_depth);
		}
	/* A step deeper, where most happens. */
	w.schedule = IN_FORCE;
	make_terms(&w, 2, ONE_WAY, true, 2, 5 * DAY);
	compared += walk(&w, false, 4, 1);
	make_terms(&w, 3, MUTUAL, true, 2, 5 * DAY);
	compared += walk(&w, true, 3, 1);
	print_message("predicate: %lu answers compared\n", compared);
	assert_true(compared > 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(predicate_agrees_with_the_model),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
