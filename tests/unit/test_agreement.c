/* Agreements in a member's home: every act, cover, document and page is judged again here, whatever the broker let through (P2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/strict.h"
#include "tests/unit/home_kit.h"

static struct home h;
static struct deal deal;

static int set_up(void **state)
{
	(void)state;
	home_open(&h);
	deal_init(&h, &deal);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	home_close(&h);
	return 0;
}

static enum nda_state state_now(void)
{
	struct agreement *ag = deal_load(&h, &deal);

	assert_non_null(ag);
	return ag->state;
}

static int check_sign(void)
{
	struct agreement *ag = deal_load(&h, &deal);
	struct txn *t;
	int r;

	assert_non_null(ag);
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	r = agreement_check_sign(h.client, t, ag, h.a);
	env_abort(t);
	return r;
}

/* ---- taking in */

static void a_proposal_is_shown_proven_and_may_be_signed(void **state)
{
	struct agreement_difference differs[AGREEMENT_DIFFERENCE_COUNT];
	Rk__SignaturePage *page;
	Rk__PageReveal *reveal;
	struct agreement *ag;

	(void)state;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	ag = deal_load(&h, &deal);
	assert_non_null(ag);
	assert_int_equal(ag->state, NDA_PROPOSED);
	assert_int_equal(ag->problem, RK_OK);
	assert_non_null(ag->cover);
	assert_int_equal(agreement_may(ag), AGREEMENT_MAY_SIGN | AGREEMENT_MAY_DECLINE);
	assert_false(agreement_may_notify(ag, client_now(h.client)));
	assert_int_equal(agreement_differences(ag, differs), 0);
	assert_int_equal(agreement_page(h.client, ag, home_org(&h, 1), h.a, &page, &reveal), RK_OK);
	assert_string_equal(page->name, "Sato Haruka");
	assert_int_equal(agreement_page(h.client, ag, home_org(&h, 2), h.a, &page, &reveal), RK_ENOTFOUND);
	assert_int_equal(check_sign(), RK_OK);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_NDA_PROPOSED), 1);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 0);
}

static void signing_queues_one_request(void **state)
{
	struct agreement_signatory who = {.name = "Ito Kenji"};
	struct agreement *ag;
	unsigned queued, sent;
	uint64_t item;
	struct txn *t;

	(void)state;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	ag = deal_load(&h, &deal);
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(agreement_sign(h.client, t, ag, &who, &item), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(outbox_count(t, &queued, &sent), RK_OK);
	env_abort(t);
	assert_int_equal(queued, 1);
}

static void all_acts_in_order_make_the_states(void **state)
{
	struct agreement *ag;

	(void)state;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__ACCEPT, ""));
	assert_int_equal(state_now(), NDA_PROPOSED);
	deal_deliver_act(&h, deal_act(&h, &deal, HOME_SELF, RK__ACT_KIND__ACCEPT, ""));
	assert_int_equal(state_now(), NDA_IN_FORCE);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__HOLD, ""));
	assert_int_equal(state_now(), NDA_HELD);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__RESUME, "one"));
	assert_int_equal(state_now(), NDA_IN_FORCE);
	ag = deal_load(&h, &deal);
	assert_int_equal(agreement_may(ag), AGREEMENT_MAY_SEND | AGREEMENT_MAY_HOLD | AGREEMENT_MAY_TERMINATE);
	deal_deliver_act(&h, deal_act(&h, &deal, 1, RK__ACT_KIND__TERMINATE, "over"));
	assert_int_equal(state_now(), NDA_TERMINATED);
	ag = deal_load(&h, &deal);
	assert_int_equal(agreement_may(ag), 0);
	assert_true(agreement_may_notify(ag, client_now(h.client)));
	assert_false(agreement_may_notify(ag, ag->row.not_after + ((int64_t)ag->row.notice_window_days + 1) * NDA_DAY_MS));
	/* The proposal and five acts of others; our own is no news. */
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_NDA_ACT), 4);
}

static void acts_that_prove_nothing_are_dropped_and_counted(void **state)
{
	struct bytes wire;
	struct fixed_sign key;

	(void)state;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	/* Org 2's ACCEPT under another key. */
	key = h.f.orgs[2].org;
	h.f.orgs[2].org = h.f.orgs[1].org;
	wire = deal_act(&h, &deal, 2, RK__ACT_KIND__ACCEPT, "");
	h.f.orgs[2].org = key;
	deal_deliver_act(&h, wire);
	assert_int_equal(home_count(&h, "nda-act-bad-signature"), 1);
	/* A TERMINATE before anybody else has signed, and one signed far in the future. */
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__TERMINATE, ""));
	assert_int_equal(home_count(&h, "nda-act-not-legal"), 1);
	home_now_ms += 8 * NDA_DAY_MS;
	wire = deal_act(&h, &deal, 2, RK__ACT_KIND__ACCEPT, "");
	home_now_ms -= 8 * NDA_DAY_MS;
	deal_deliver_act(&h, wire);
	assert_int_equal(home_count(&h, "nda-act-bad-signature"), 2);
	assert_int_equal(deal_load(&h, &deal)->act_count, 1);
	/* Two of the same reason are one to look at. */
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 2);
	/* Garbage, and an act of an agreement that is not ours. */
	deal_deliver_act(&h, BYTES_OF("garbage"));
	assert_int_equal(home_count(&h, "nda-act-refused"), 1);
	deal.nda_id[0] ^= 1;
	wire = deal_act(&h, &deal, 2, RK__ACT_KIND__ACCEPT, "");
	deal.nda_id[0] ^= 1;
	deal_deliver_act(&h, wire);
	assert_int_equal(home_count(&h, "nda-act-of-stranger"), 1);
}

static void a_hold_is_the_devices_and_a_resume_the_organisations(void **state)
{
	struct fixed_sign key;
	struct bytes wire;

	(void)state;
	deal_finish(&h, &deal);
	deal_conclude(&h, &deal);
	key = h.f.orgs[2].device;
	h.f.orgs[2].device = h.f.orgs[2].org;
	wire = deal_act(&h, &deal, 2, RK__ACT_KIND__HOLD, "");
	h.f.orgs[2].device = key;
	deal_deliver_act(&h, wire);
	assert_int_equal(state_now(), NDA_IN_FORCE);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__HOLD, ""));
	assert_int_equal(state_now(), NDA_HELD);
	/* Another party cannot lift it. */
	deal_deliver_act(&h, deal_act(&h, &deal, 1, RK__ACT_KIND__RESUME, ""));
	assert_int_equal(state_now(), NDA_HELD);
	assert_int_equal(home_count(&h, "nda-act-not-legal"), 1);
}

static void a_replayed_resume_lifts_no_later_hold(void **state)
{
	struct bytes resume;

	(void)state;
	deal_finish(&h, &deal);
	deal_conclude(&h, &deal);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__HOLD, "1"));
	resume = deal_act(&h, &deal, 2, RK__ACT_KIND__RESUME, "1");
	deal_deliver_act(&h, resume);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__HOLD, "2"));
	deal_deliver_act(&h, resume);
	assert_int_equal(state_now(), NDA_HELD);
}

static void delivered_twice_is_taken_once(void **state)
{
	struct bytes wire;

	(void)state;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	wire = deal_act(&h, &deal, 2, RK__ACT_KIND__ACCEPT, "");
	deal_deliver_act(&h, wire);
	h.log_index--;
	deal_deliver_act(&h, wire);
	home_deliver(&h, agreement_on_terms, deal.terms_bytes, (struct bytes){0}, (struct bytes){0}, true);
	assert_int_equal(deal_load(&h, &deal)->act_count, 2);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 0);
}

static void terms_that_are_not_ours_are_dropped(void **state)
{
	(void)state;
	/* Without us: two parties only. */
	for (int i = 0; i < 3; i++)
		if (memcmp(deal.parties[i]->org_id.data, h.org_id, 16) == 0) {
			deal.parties[i] = deal.parties[2];
			break;
		}
	deal.terms.n_parties = 2;
	deal.cover.n_parties = 2;
	if (memcmp(deal.parties[0]->org_id.data, deal.parties[1]->org_id.data, 16) > 0) {
		Rk__Party *p = deal.parties[0];

		deal.parties[0] = deal.parties[1];
		deal.parties[1] = p;
	}
	deal_finish(&h, &deal);
	home_deliver(&h, agreement_on_terms, deal.terms_bytes, (struct bytes){0}, (struct bytes){0}, true);
	assert_int_equal(home_count(&h, "nda-not-ours"), 1);
	assert_null(deal_load(&h, &deal));
	home_deliver(&h, agreement_on_terms, BYTES_OF("x"), (struct bytes){0}, (struct bytes){0}, true);
	assert_int_equal(home_count(&h, "nda-terms-refused"), 1);
}

/* ---- what must not be signed */

static void another_document_is_not_to_be_signed(void **state)
{
	(void)state;
	deal_finish(&h, &deal);
	deal.document = BYTES_OF("something else entirely");
	deal_propose(&h, &deal);
	assert_int_equal(check_sign(), RK_EINTEGRITY);
	assert_null(deal_load(&h, &deal)->proposal);
	assert_int_equal(agreement_may(deal_load(&h, &deal)), AGREEMENT_MAY_DECLINE);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 1);
}

static void a_page_that_was_not_signed_is_not_shown(void **state)
{
	(void)state;
	deal_finish(&h, &deal);
	deal.page_salt[0][0] ^= 1;
	deal_propose(&h, &deal);
	assert_int_equal(check_sign(), RK_EINTEGRITY);
}

static void dates_that_do_not_derive_are_not_to_be_signed(void **state)
{
	(void)state;
	deal.terms.not_after += 3600000;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	assert_int_equal(check_sign(), RK_EINTEGRITY);
}

static void an_unknown_zone_is_not_to_be_signed(void **state)
{
	(void)state;
	deal.terms.zone = (char *)"Mars/Base";
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	assert_int_equal(check_sign(), RK_UNSUPPORTED);
}

static void another_key_of_a_party_is_not_to_be_signed(void **state)
{
	(void)state;
	deal.fp[1][0] ^= 1;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	assert_int_equal(check_sign(), RK_NDA_SUSPENDED);
	/* And that party's real key accepts nothing here. */
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__ACCEPT, ""));
	assert_int_equal(home_count(&h, "nda-act-bad-signature"), 1);
}

static void other_parties_in_the_cover_are_not_to_be_signed(void **state)
{
	(void)state;
	deal.covered[1].org_id = pb_of(BYTES_OF(h.f.orgs[0].org_id));
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	assert_int_equal(check_sign(), RK_EINTEGRITY);
}

static void a_critical_extension_can_be_read_not_signed(void **state)
{
	Rk__Ext ext = RK__EXT__INIT, *list[] = {&ext};
	struct agreement *ag;

	(void)state;
	ext.id = 7;
	ext.critical = true;
	deal.cover.ext = list;
	deal.cover.n_ext = 1;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	assert_int_equal(check_sign(), RK_ENEWER);
	ag = deal_load(&h, &deal);
	assert_non_null(ag->cover);
	assert_int_equal(agreement_may(ag), AGREEMENT_MAY_DECLINE);
}

static void what_is_unusual_is_said(void **state)
{
	struct agreement_difference differs[AGREEMENT_DIFFERENCE_COUNT];
	unsigned seen = 0;
	size_t n;

	(void)state;
	deal.party[1].may_disclose = false;
	deal.terms.notice_days = 30;
	deal.survival.months = 12;
	deal.cover.law = (char *)"DE";
	deal.document = BYTES_OF("not what the form writes");
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	n = agreement_differences(deal_load(&h, &deal), differs);
	for (size_t i = 0; i < n; i++)
		seen |= differs[i].kind == AGREEMENT_DIFFERS_ONE_WAY ? 1 : differs[i].kind == AGREEMENT_DIFFERS_NOTICE_DAYS ? 2
		        : differs[i].kind == AGREEMENT_DIFFERS_SURVIVAL ? 4 : differs[i].kind == AGREEMENT_DIFFERS_LAW ? 8
		        : differs[i].kind == AGREEMENT_DIFFERS_FORM_ALTERED ? 16 : differs[i].kind == AGREEMENT_DIFFERS_WINDOW ? 32 : 64;
	assert_int_equal(seen, 63);
	assert_int_equal(n, 6);
}

/* ---- our own gate */

static int ask(Rk__Marking marking, const uint8_t *to)
{
	Rk__EnvelopeHeader *e = home_header(&h, RK__KIND__NDA, HOME_SELF, &deal);
	struct txn *t;
	int r;

	e->marking = marking;
	if (to != NULL)
		e->recipients[0]->org_id = pb_of(bytes_make(to, 16));
	e->nda_set.len = 0;
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	r = agreement_check_send(h.client, t, e, h.a);
	env_abort(t);
	if (r == RK_OK)
		assert_memory_equal(e->nda_set.data, deal_load(&h, &deal)->row.nda_set, 32);
	return r;
}

static void the_gate_is_asked_before_anything_is_sealed(void **state)
{
	(void)state;
	deal.terms.marking_required = true;
	deal_finish(&h, &deal);
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_NO_NDA);
	deal_propose(&h, &deal);
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_NDA_PROPOSED);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__ACCEPT, ""));
	deal_deliver_act(&h, deal_act(&h, &deal, HOME_SELF, RK__ACT_KIND__ACCEPT, ""));
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_OK);
	assert_int_equal(ask(RK__MARKING__UNMARKED, NULL), RK_UNMARKED);
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, home_org(&h, 0)), RK_NO_NDA);
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, home_org(&h, HOME_SELF)), RK_NO_NDA);
	deal_deliver_act(&h, deal_act(&h, &deal, 1, RK__ACT_KIND__HOLD, ""));
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_NDA_HELD);
}

static void dates_are_kept_with_a_margin(void **state)
{
	(void)state;
	deal_finish(&h, &deal);
	deal_conclude(&h, &deal);
	home_now_ms = deal.terms.not_before + AGREEMENT_MARGIN_MS - 1;
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_NDA_NOT_YET);
	home_now_ms = deal.terms.not_before + AGREEMENT_MARGIN_MS;
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_OK);
	home_now_ms = deal.terms.not_after - AGREEMENT_MARGIN_MS;
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_NDA_EXPIRED);
	/* The directory lives 14 days in this exchange; the agreement a year. */
	home_now_ms = FIXED_TIME_MS + 14 * NDA_DAY_MS - AGREEMENT_MARGIN_MS;
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_DIRECTORY_EXPIRED);
	home_now_ms = FIXED_TIME_MS;
}

static void the_direction_is_kept(void **state)
{
	(void)state;
	deal.party[2].may_disclose = false;
	deal.party[0].may_receive = false;
	deal_finish(&h, &deal);
	deal_conclude(&h, &deal);
	assert_int_equal(ask(RK__MARKING__CONFIDENTIAL, NULL), RK_DIRECTION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_proposal_is_shown_proven_and_may_be_signed),
		TEST(signing_queues_one_request),
		TEST(all_acts_in_order_make_the_states),
		TEST(acts_that_prove_nothing_are_dropped_and_counted),
		TEST(a_hold_is_the_devices_and_a_resume_the_organisations),
		TEST(a_replayed_resume_lifts_no_later_hold),
		TEST(delivered_twice_is_taken_once),
		TEST(terms_that_are_not_ours_are_dropped),
		TEST(another_document_is_not_to_be_signed),
		TEST(a_page_that_was_not_signed_is_not_shown),
		TEST(dates_that_do_not_derive_are_not_to_be_signed),
		TEST(an_unknown_zone_is_not_to_be_signed),
		TEST(another_key_of_a_party_is_not_to_be_signed),
		TEST(other_parties_in_the_cover_are_not_to_be_signed),
		TEST(a_critical_extension_can_be_read_not_signed),
		TEST(what_is_unusual_is_said),
		TEST(the_gate_is_asked_before_anything_is_sealed),
		TEST(dates_are_kept_with_a_margin),
		TEST(the_direction_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
