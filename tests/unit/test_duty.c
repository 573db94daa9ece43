/* Dates and duties of an agreement: every rule, month ends, leap years, zones, and both sides of each day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client/days.h"
#include "client/duty.h"
#include "proto/strict.h"

#define ROOM 64
enum { A, B, C };                   /* parties; A is we */
#define HOUR_MS ((int64_t)3600000)

/* One agreement and what was sent under it; a test bends it. */
static struct {
	struct agreement ag;
	Rk__NdaTerms terms;
	Rk__NdaCover cover;
	Rk__Survival survival;
	uint8_t env_ids[16][32];
	Rk__NdaNotice said[16];
	ProtobufCBinaryData to[3], listed[16];
	struct duty_notice notices[16];
	struct duty_dossier dossiers[4];
	struct duty_holder holders[4];
	struct duty_facts facts;
	struct duty out[ROOM];
	size_t count;
	uint64_t log_index;
} w;

static const char *zone = "Asia/Tokyo";

static int64_t start_of(uint32_t day)
{
	int64_t ms;

	assert_int_equal(days_start(day, zone, &ms), RK_OK);
	return ms;
}

static int64_t end_of(uint32_t day)
{
	int64_t ms;

	assert_int_equal(days_end(day, zone, &ms), RK_OK);
	return ms;
}

/* Mutual, three parties, from first to last day, signed by all on the first. */
static void make(uint32_t first, uint32_t last)
{
	memset(&w, 0, sizeof(w));
	rk__nda_terms__init(&w.terms);
	rk__nda_cover__init(&w.cover);
	rk__survival__init(&w.survival);
	w.terms.zone = (char *)(uintptr_t)zone;
	w.terms.first_day = first;
	w.terms.last_day = last;
	w.ag.terms = &w.terms;
	w.ag.cover = &w.cover;
	w.ag.self = A;
	w.ag.active = UINT16_MAX;
	memset(w.ag.nda_id, 0x11, 32);
	w.ag.row.party_count = 3;
	w.ag.row.not_before = start_of(first);
	w.ag.row.not_after = end_of(last);
	w.ag.row.accept_by = w.ag.row.not_before + NDA_DAY_MS;
	w.ag.row.complete_at = w.ag.row.not_before;
	w.ag.row.exit_rule = RK__EXIT_RULE__END_ALL;
	w.ag.row.notice_window_days = 100;
	for (int i = 0; i < 3; i++) {
		struct nda_party *p = &w.ag.row.parties[i];

		memset(p->org_id, 'a' + i, 16);
		p->may_disclose = p->may_receive = p->has_accepted = 1;
		p->accepted_at = w.ag.row.not_before;
		w.to[i] = pb_of(bytes_make(p->org_id, 16));
	}
	w.facts.notices = w.notices;
	w.facts.dossiers = w.dossiers;
}

/* Not signed by all: only A has. */
static void unsign(void)
{
	w.ag.row.complete_at = 0;
	for (int i = B; i <= C; i++)
		w.ag.row.parties[i].has_accepted = 0;
}

/* A notice from one party to one other; its fields are then the test's. */
static Rk__NdaNotice *say(uint32_t type, int from, int to, int64_t t_ms)
{
	size_t i = w.facts.notice_count++;

	memset(w.env_ids[i], 0x40 + (int)i, 32);
	rk__nda_notice__init(&w.said[i]);
	w.notices[i] = (struct duty_notice){w.ag.nda_id, w.env_ids[i], w.ag.row.parties[from].org_id, &w.to[to], 1, ++w.log_index, t_ms,
	                                    type, &w.said[i]};
	return &w.said[i];
}

/* A dossier from one party that another has picked up. */
static const uint8_t *disclose(int from, int to, int64_t t_ms)
{
	size_t i = w.facts.dossier_count++;
	uint8_t *id = w.env_ids[12 + i];

	memset(id, 0x80 + (int)i, 32);
	w.dossiers[i] = (struct duty_dossier){w.ag.nda_id, id, w.ag.row.parties[from].org_id, &w.holders[i], 1, ++w.log_index, t_ms};
	w.holders[i] = (struct duty_holder){w.ag.row.parties[to].org_id, ++w.log_index};
	return id;
}

static void certify(int from, int to, const uint8_t *env_id, int64_t t_ms)
{
	Rk__NdaNotice *n = say(RK__MESSAGE_TYPE__MESSAGE_DESTRUCTION_CERTIFICATE, from, to, t_ms);

	n->all = env_id == NULL;
	if (env_id == NULL)
		return;
	w.listed[w.facts.notice_count - 1] = pb_of(bytes_make(env_id, 32));
	n->env_ids = &w.listed[w.facts.notice_count - 1];
	n->n_env_ids = 1;
}

static void reckon(int64_t now)
{
	assert_true(duty_room(&w.ag, &w.facts) <= ROOM);
	w.count = duty_list(&w.ag, &w.facts, now, w.out, ROOM);
}

/* The n-th of a kind; NULL if there are fewer. */
static const struct duty *nth(enum duty_kind kind, size_t n)
{
	for (size_t i = 0; i < w.count; i++)
		if (w.out[i].kind == kind && n-- == 0)
			return &w.out[i];
	return NULL;
}

static const struct duty *the(enum duty_kind kind)
{
	const struct duty *d = nth(kind, 0);

	assert_non_null(d);
	assert_null(nth(kind, 1));
	return d;
}

/* ---- proposals */

static void a_proposal_has_one_date_and_says_who_must_sign(void **state)
{
	const struct duty *d;

	(void)state;
	make(20270401, 20280331);
	unsign();
	reckon(w.ag.row.accept_by - 1);
	assert_int_equal(w.count, 1);
	d = the(DUTY_SIGN);
	assert_int_equal(d->whose, DUTY_THEM);
	assert_false(d->done);
	assert_false(d->overdue);
	assert_true(d->due_at == w.ag.row.accept_by);
	w.ag.row.parties[A].has_accepted = 0;
	reckon(w.ag.row.accept_by - 1);
	assert_int_equal(the(DUTY_SIGN)->whose, DUTY_US);
	/* Lapsed: over, and nothing is owed any more. */
	reckon(w.ag.row.accept_by);
	assert_int_equal(w.count, 0);
	w.ag.row.accept_by += NDA_DAY_MS;
	w.ag.row.declined_at = 1;
	reckon(w.ag.row.accept_by - 1);
	assert_int_equal(w.count, 0);
}

/* ---- dates */

static void dates_stand_in_order_and_pass(void **state)
{
	const enum duty_kind order[] = {DUTY_STARTS, DUTY_NEXT_STEP, DUTY_ENDS, DUTY_NOTICES_END, DUTY_SURVIVAL};

	(void)state;
	make(20270401, 20280331);
	w.cover.next_step_by = 20270601;
	w.cover.survival = &w.survival;
	w.survival.basis = RK__SURVIVAL_BASIS__FROM_END;
	w.survival.months = 36;
	reckon(start_of(20270401) - 1);
	assert_int_equal(w.count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(w.out[i].kind, order[i]);
		assert_false(w.out[i].done);
	}
	assert_ptr_equal(duty_next(w.out, w.count, start_of(20270401) - 1), &w.out[0]);
	reckon(start_of(20270401));
	assert_true(the(DUTY_STARTS)->done);
	assert_int_equal(the(DUTY_STARTS)->due_day, 20270401);
	assert_int_equal(duty_next(w.out, w.count, start_of(20270401))->kind, DUTY_NEXT_STEP);
	reckon(end_of(20280331) - 1);
	assert_false(the(DUTY_ENDS)->done);
	assert_int_equal(the(DUTY_ENDS)->due_day, 20280331);
	reckon(end_of(20280331));
	assert_true(the(DUTY_ENDS)->done);
	assert_int_equal(duty_next(w.out, w.count, end_of(20280331))->kind, DUTY_NOTICES_END);
	assert_true(the(DUTY_NOTICES_END)->due_at == end_of(20280331) + 100 * NDA_DAY_MS);
	reckon(end_of(20310331));
	assert_null(duty_next(w.out, w.count, end_of(20310331)));
	assert_true(the(DUTY_SURVIVAL)->done);
	assert_false(the(DUTY_SURVIVAL)->overdue);
}

static void a_termination_moves_everything_that_follows_the_end(void **state)
{
	int64_t at = start_of(20270815) + 10 * HOUR_MS;

	(void)state;
	make(20270401, 20280331);
	w.cover.on_end = true;
	w.cover.certificate_days = 30;
	w.cover.survival = &w.survival;
	w.survival.basis = RK__SURVIVAL_BASIS__FROM_END;
	w.survival.months = 12;
	disclose(B, A, start_of(20270501));
	w.ag.row.terminate_effect_at = at;
	reckon(at - 1);
	assert_null(nth(DUTY_ENDS, 0));
	assert_true(the(DUTY_TERMINATES)->due_at == at);
	assert_int_equal(the(DUTY_TERMINATES)->due_day, 20270815);
	assert_int_equal(the(DUTY_RETURN)->due_day, 20270914);
	assert_int_equal(the(DUTY_SURVIVAL)->due_day, 20280815);
	assert_true(the(DUTY_NOTICES_END)->due_at == at + 100 * NDA_DAY_MS);
	/* One that would take effect after the last day changes nothing. */
	w.ag.row.terminate_effect_at = end_of(20280331) + 1;
	reckon(at);
	assert_int_equal(the(DUTY_ENDS)->due_day, 20280331);
	assert_null(nth(DUTY_TERMINATES, 0));
}

static void survival_is_counted_in_calendar_months(void **state)
{
	static const struct {
		const char *name, *zone;
		uint32_t first, last;
		Rk__SurvivalBasis basis;
		uint32_t months, want; /* want 0: no row */
	} rows[] = {
		{"three years from the end", "Asia/Tokyo", 20270401, 20280331, RK__SURVIVAL_BASIS__FROM_END, 36, 20310331},
		{"a short month's end runs to the long month's", "Asia/Tokyo", 20270101, 20270430, RK__SURVIVAL_BASIS__FROM_END, 1, 20270531},
		{"no such date: the month's last day", "Asia/Tokyo", 20270101, 20270830, RK__SURVIVAL_BASIS__FROM_END, 6, 20280229},
		{"no such date, no leap year", "Asia/Tokyo", 20270101, 20280830, RK__SURVIVAL_BASIS__FROM_END, 6, 20290228},
		{"29 February to itself", "Asia/Tokyo", 20270301, 20280228, RK__SURVIVAL_BASIS__FROM_END, 48, 20320228},
		{"from 1 March after 29 February", "Asia/Tokyo", 20270301, 20280229, RK__SURVIVAL_BASIS__FROM_END, 12, 20290228},
		{"nothing survives", "Asia/Tokyo", 20270401, 20280331, RK__SURVIVAL_BASIS__FROM_END, 0, 20280331},
		{"from the start, the first day counted", "Asia/Tokyo", 20270401, 20280331, RK__SURVIVAL_BASIS__FROM_START, 60, 20320331},
		{"from the start on a 31st", "Asia/Tokyo", 20270831, 20280331, RK__SURVIVAL_BASIS__FROM_START, 6, 20280229},
		{"without end", "Asia/Tokyo", 20270401, 20280331, RK__SURVIVAL_BASIS__PERPETUAL, 0, 0},
		{"unsaid", "Asia/Tokyo", 20270401, 20280331, RK__SURVIVAL_BASIS__SURVIVAL_NONE, 12, 0},
		{"where clocks change in between", "Europe/Berlin", 20270101, 20270131, RK__SURVIVAL_BASIS__FROM_END, 6, 20270731},
		{"west of Greenwich", "America/New_York", 20270101, 20271231, RK__SURVIVAL_BASIS__FROM_END, 2, 20280229},
		{"zone unknown here", "Atlantis/Capital", 0, 0, RK__SURVIVAL_BASIS__FROM_END, 12, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct duty *d;

		if (rows[i].first != 0 && !days_knows_zone(rows[i].zone))
			continue;
		zone = rows[i].first != 0 ? rows[i].zone : "Asia/Tokyo";
		make(rows[i].first != 0 ? rows[i].first : 20270401, rows[i].first != 0 ? rows[i].last : 20280331);
		w.terms.zone = (char *)(uintptr_t)rows[i].zone;
		w.cover.survival = &w.survival;
		w.survival.basis = rows[i].basis;
		w.survival.months = rows[i].months;
		reckon(w.ag.row.not_before);
		d = nth(DUTY_SURVIVAL, 0);
		if ((d != NULL ? d->due_day : 0) != rows[i].want)
			fail_msg("%s: %u, not %u", rows[i].name, d != NULL ? d->due_day : 0, rows[i].want);
		if (d == NULL)
			continue;
		reckon(end_of(rows[i].want) - 1);
		if (the(DUTY_SURVIVAL)->done)
			fail_msg("%s: ends before its last day is over", rows[i].name);
		reckon(end_of(rows[i].want));
		if (!the(DUTY_SURVIVAL)->done)
			fail_msg("%s: goes on after its last day", rows[i].name);
	}
	zone = "Asia/Tokyo";
}

static void each_disclosure_has_its_own_survival(void **state)
{
	const uint8_t *first;

	(void)state;
	make(20270401, 20280331);
	w.cover.survival = &w.survival;
	w.survival.basis = RK__SURVIVAL_BASIS__FROM_DISCLOSURE;
	w.survival.months = 12;
	/* The day is the zone's: 23:30 there is 14:30 UTC, and half an hour later it is another day. */
	first = disclose(B, A, end_of(20270531) - HOUR_MS / 2);
	disclose(A, B, end_of(20270531));
	say(RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION, B, A, start_of(20270710))->occurred_at = start_of(20270701);
	/* Of another agreement. */
	disclose(A, B, end_of(20270531));
	w.dossiers[2].nda_id = w.env_ids[0];
	reckon(start_of(20270801));
	assert_int_equal(nth(DUTY_SURVIVAL, 0)->due_day, 20280531);
	assert_ptr_equal(nth(DUTY_SURVIVAL, 0)->about, first);
	assert_int_equal(nth(DUTY_SURVIVAL, 1)->due_day, 20280601);
	assert_int_equal(nth(DUTY_SURVIVAL, 2)->due_day, 20280701);
	assert_null(nth(DUTY_SURVIVAL, 3));
}

/* ---- next step */

static void the_next_step_is_owed_until_it_is_said(void **state)
{
	Rk__NdaNotice *n;

	(void)state;
	make(20270401, 20280331);
	w.cover.next_step_by = 20270601;
	reckon(end_of(20270601) - 1);
	assert_int_equal(the(DUTY_NEXT_STEP)->whose, DUTY_ALL);
	assert_false(the(DUTY_NEXT_STEP)->overdue);
	reckon(end_of(20270601));
	assert_true(the(DUTY_NEXT_STEP)->overdue);
	w.cover.next_step_org = w.to[A];
	reckon(end_of(20270601));
	assert_int_equal(the(DUTY_NEXT_STEP)->whose, DUTY_US);
	w.cover.next_step_org = w.to[C];
	reckon(end_of(20270601));
	assert_int_equal(the(DUTY_NEXT_STEP)->whose, DUTY_THEM);
	assert_int_equal(the(DUTY_NEXT_STEP)->party, C);
	/* An extension moves it, an answer settles it. */
	n = say(RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP, C, A, end_of(20270601) - 1);
	n->choice = 3;
	n->due_day = 20270930;
	reckon(end_of(20270601));
	assert_int_equal(the(DUTY_NEXT_STEP)->due_day, 20270930);
	assert_false(the(DUTY_NEXT_STEP)->overdue);
	say(RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP, C, A, end_of(20270930) - 1)->choice = 1;
	reckon(end_of(20270930));
	assert_true(the(DUTY_NEXT_STEP)->done);
	assert_int_equal(the(DUTY_NEXT_STEP)->due_day, 20270601);
	assert_true(the(DUTY_NEXT_STEP)->late);
}

static void the_end_settles_the_next_step(void **state)
{
	(void)state;
	make(20270401, 20270601);
	w.cover.next_step_by = 20270601;
	reckon(end_of(20270601) - 1);
	assert_false(the(DUTY_NEXT_STEP)->done);
	reckon(end_of(20270601));
	assert_null(nth(DUTY_NEXT_STEP, 0));
	w.cover.next_step_by = 0;
	reckon(start_of(20270501));
	assert_null(nth(DUTY_NEXT_STEP, 0));
}

/* ---- what was told */

static void a_confirmation_is_in_time_until_its_last_day_is_over(void **state)
{
	int64_t at;
	uint32_t day;

	(void)state;
	make(20270401, 20280331);
	w.cover.oral_days = 14;
	/* Told late in the evening of 28 May: the days count from 29 May. */
	assert_int_equal(duty_confirm_by(&w.ag, end_of(20270528) - 1, &day, &at), RK_OK);
	assert_int_equal(day, 20270611);
	assert_true(at == end_of(20270611));
	say(RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION, B, A, at - 1)->occurred_at = end_of(20270528) - 1;
	say(RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION, A, B, at)->occurred_at = end_of(20270528) - 1;
	reckon(at + 1);
	assert_true(nth(DUTY_CONFIRM, 0)->done);
	/* Of one day: by party. */
	assert_int_equal(nth(DUTY_CONFIRM, 0)->whose, DUTY_US);
	assert_true(nth(DUTY_CONFIRM, 0)->late);
	assert_int_equal(nth(DUTY_CONFIRM, 1)->party, B);
	assert_false(nth(DUTY_CONFIRM, 1)->late);
	w.cover.oral_days = 0;
	reckon(at + 1);
	assert_null(nth(DUTY_CONFIRM, 0));
	assert_int_equal(duty_confirm_by(&w.ag, at, &day, &at), RK_ENOTFOUND);
}

/* ---- return and destruction */

static void at_the_end_each_holder_owes_a_certificate(void **state)
{
	const uint8_t *to_us, *to_c;
	int64_t end;

	(void)state;
	make(20270401, 20280331);
	end = end_of(20280331);
	w.cover.on_end = true;
	w.cover.certificate_days = 30;
	to_us = disclose(B, A, start_of(20270501));
	to_c = disclose(A, C, start_of(20270502));
	reckon(end_of(20280430) - 1);
	assert_int_equal(nth(DUTY_RETURN, 0)->whose, DUTY_US);
	assert_int_equal(nth(DUTY_RETURN, 0)->due_day, 20280430);
	assert_false(nth(DUTY_RETURN, 0)->overdue);
	assert_int_equal(nth(DUTY_RETURN, 1)->party, C);
	/* B has nothing of anybody. */
	assert_null(nth(DUTY_RETURN, 2));
	reckon(end_of(20280430));
	assert_true(nth(DUTY_RETURN, 0)->overdue);
	/* To somebody else, or of something else: not done. */
	certify(A, C, to_us, end);
	certify(A, B, to_c, end);
	certify(B, A, to_us, end);
	reckon(end_of(20280430));
	assert_true(nth(DUTY_RETURN, 0)->overdue);
	certify(A, B, to_us, end);
	certify(C, A, NULL, end);
	reckon(end_of(20280430));
	assert_true(nth(DUTY_RETURN, 0)->done);
	assert_true(nth(DUTY_RETURN, 1)->done);
	w.cover.on_end = false;
	reckon(end);
	assert_null(nth(DUTY_RETURN, 0));
}

static void all_means_what_was_there_by_then(void **state)
{
	(void)state;
	make(20270401, 20280331);
	w.cover.on_end = true;
	disclose(B, A, start_of(20270501));
	certify(A, B, NULL, start_of(20270601));
	reckon(start_of(20270701));
	assert_true(the(DUTY_RETURN)->done);
	disclose(B, A, start_of(20270702));
	reckon(start_of(20270703));
	assert_false(the(DUTY_RETURN)->done);
	/* What was told and confirmed is held as well. */
	certify(A, B, NULL, start_of(20270704));
	say(RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION, B, A, start_of(20270706))->occurred_at = start_of(20270705);
	reckon(start_of(20270707));
	assert_false(the(DUTY_RETURN)->done);
	certify(A, B, NULL, start_of(20270708));
	reckon(start_of(20270709));
	assert_true(the(DUTY_RETURN)->done);
}

static void a_request_is_owed_by_those_it_went_to(void **state)
{
	Rk__NdaNotice *n;
	const uint8_t *id;

	(void)state;
	make(20270401, 20280331);
	w.cover.certificate_days = 10;
	id = disclose(B, A, start_of(20270501));
	disclose(C, A, start_of(20270501));
	n = say(RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, B, A, start_of(20270510));
	n->choice = 2;
	n->all = true;
	n->due_day = 20270520;
	reckon(end_of(20270530) - 1);
	assert_int_equal(the(DUTY_RETURN)->due_day, 20270530);
	assert_int_equal(the(DUTY_RETURN)->whose, DUTY_US);
	assert_ptr_equal(the(DUTY_RETURN)->about, w.notices[0].env_id);
	assert_false(the(DUTY_RETURN)->overdue);
	reckon(end_of(20270530));
	assert_true(the(DUTY_RETURN)->overdue);
	/* Without a day of its own: from the day of the request. */
	n->due_day = 0;
	reckon(end_of(20270520));
	assert_int_equal(the(DUTY_RETURN)->due_day, 20270520);
	/* What C disclosed is not B's to ask for. */
	certify(A, B, id, start_of(20270515));
	reckon(end_of(20270530));
	assert_true(the(DUTY_RETURN)->done);
}

static void a_request_for_what_no_dossier_holds_needs_a_certificate_for_all(void **state)
{
	Rk__NdaNotice *n;

	(void)state;
	make(20270401, 20280331);
	certify(C, A, NULL, start_of(20270505));
	n = say(RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, A, C, start_of(20270510));
	n->choice = 3;
	n->all = true;
	reckon(start_of(20270511));
	assert_int_equal(the(DUTY_RETURN)->whose, DUTY_THEM);
	assert_int_equal(the(DUTY_RETURN)->party, C);
	assert_false(the(DUTY_RETURN)->done);
	certify(C, A, NULL, start_of(20270512));
	reckon(start_of(20270513));
	assert_true(the(DUTY_RETURN)->done);
}

/* ---- what people are told */

static void people_are_told_thirty_days_before_and_while_a_notice_can_still_be_sent(void **state)
{
	const struct duty *d;
	int64_t due, window_end;

	(void)state;
	make(20270401, 20280331);
	w.cover.on_end = true;
	disclose(B, A, start_of(20270501));
	due = end_of(20280331);
	window_end = due + 100 * NDA_DAY_MS;
	reckon(due - DUTY_AHEAD_MS - 1);
	d = the(DUTY_RETURN);
	assert_false(duty_is_pressing(&w.ag, d, due - DUTY_AHEAD_MS - 1));
	assert_true(duty_is_pressing(&w.ag, d, due - DUTY_AHEAD_MS));
	reckon(due);
	d = the(DUTY_RETURN);
	assert_true(d->overdue);
	assert_true(duty_is_pressing(&w.ag, d, window_end - 1));
	assert_false(duty_is_pressing(&w.ag, d, window_end));
	assert_false(duty_is_pressing(&w.ag, the(DUTY_ENDS), due));
}

static void what_has_no_room_is_left_out(void **state)
{
	struct duty out[2];

	(void)state;
	make(20270401, 20280331);
	assert_int_equal(duty_list(&w.ag, &w.facts, w.ag.row.not_before, out, 2), 2);
	assert_int_equal(duty_list(&w.ag, &w.facts, w.ag.row.not_before, out, 0), 0);
}

static void without_its_cover_only_the_terms_speak(void **state)
{
	(void)state;
	make(20270401, 20280331);
	w.ag.cover = NULL;
	disclose(B, A, start_of(20270501));
	say(RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, B, A, start_of(20270510))->all = true;
	say(RK__MESSAGE_TYPE__MESSAGE_MARKING_CONFIRMATION, B, A, start_of(20270510))->occurred_at = start_of(20270509);
	reckon(start_of(20270511));
	assert_int_equal(w.count, 3);
}

static void every_kind_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < DUTY_KIND_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(duty_name((enum duty_kind)i), duty_name((enum duty_kind)j));
	assert_null(duty_whose_name(DUTY_NOBODY));
	assert_string_equal(duty_whose_name(DUTY_US), "us");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proposal_has_one_date_and_says_who_must_sign),
		cmocka_unit_test(dates_stand_in_order_and_pass),
		cmocka_unit_test(a_termination_moves_everything_that_follows_the_end),
		cmocka_unit_test(survival_is_counted_in_calendar_months),
		cmocka_unit_test(each_disclosure_has_its_own_survival),
		cmocka_unit_test(the_next_step_is_owed_until_it_is_said),
		cmocka_unit_test(the_end_settles_the_next_step),
		cmocka_unit_test(a_confirmation_is_in_time_until_its_last_day_is_over),
		cmocka_unit_test(at_the_end_each_holder_owes_a_certificate),
		cmocka_unit_test(all_means_what_was_there_by_then),
		cmocka_unit_test(a_request_is_owed_by_those_it_went_to),
		cmocka_unit_test(a_request_for_what_no_dossier_holds_needs_a_certificate_for_all),
		cmocka_unit_test(people_are_told_thirty_days_before_and_while_a_notice_can_still_be_sent),
		cmocka_unit_test(what_has_no_room_is_left_out),
		cmocka_unit_test(without_its_cover_only_the_terms_speak),
		cmocka_unit_test(every_kind_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
