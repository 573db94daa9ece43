/* Typed notices: what each type must and may say, who may say it, and that a home believes no other, whoever sends it (P2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/days.h"
#include "client/notice.h"
#include "proto/ids.h"
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

/* ---- fields */

static uint8_t two_ids[2][32] = {{1}, {2}};
static ProtobufCBinaryData envs[NOTICE_ENVS_MAX];

/* Fills one field with something legal. */
static void set_field(Rk__NdaNotice *n, unsigned field)
{
	static char *who[] = {(char *)"Mori"};

	switch (field) {
	case NOTICE_SCOPE: n->all = true; break;
	case NOTICE_OCCURRED_AT: n->occurred_at = home_now_ms - 1; break;
	case NOTICE_PLACE: n->place = (char *)"Kitami"; break;
	case NOTICE_DISCLOSER: n->discloser = (char *)"Sato"; break;
	case NOTICE_PRESENT: n->present = who; n->n_present = 1; break;
	case NOTICE_SUMMARY: n->summary = (char *)"about it"; break;
	case NOTICE_CHOICE: n->choice = 1; break;
	case NOTICE_DUE: n->due_day = 20270331; break;
	case NOTICE_METHOD: n->method = (char *)"erased"; break;
	case NOTICE_DONE_AT: n->done_at = home_now_ms - 1; break;
	case NOTICE_EXCEPTIONS: n->exceptions = (char *)"a backup"; break;
	case NOTICE_SIGNER: n->signer = (char *)"Ito"; break;
	case NOTICE_TITLE: n->title = (char *)"Sample 3"; break;
	case NOTICE_ABSTRACT: n->abstract = (char *)"what it holds"; break;
	default: fail_msg("no such field"); break;
	}
}

static Rk__NdaNotice notice_of(unsigned fields)
{
	Rk__NdaNotice n = RK__NDA_NOTICE__INIT;

	for (unsigned f = 1; f < NOTICE_FIELD_END; f <<= 1)
		if (fields & f)
			set_field(&n, f);
	return n;
}

/* One row a type, written down a second time: the table of the program must say the same. */
static const struct {
	uint32_t type;
	const char *name;
	unsigned required, optional;
} wanted[] = {
	{20, "marking-confirmation", NOTICE_OCCURRED_AT | NOTICE_SUMMARY, NOTICE_PLACE | NOTICE_DISCLOSER | NOTICE_PRESENT},
	{21, "return-request", NOTICE_SCOPE | NOTICE_CHOICE, NOTICE_DUE},
	{22, "destruction-certificate", NOTICE_SCOPE | NOTICE_METHOD | NOTICE_DONE_AT | NOTICE_SIGNER, NOTICE_EXCEPTIONS},
	{23, "next-step", NOTICE_CHOICE, 0},
	{24, "consent", NOTICE_SUMMARY, 0},
	{25, "compelled-disclosure", NOTICE_SUMMARY, NOTICE_DUE},
	{26, "prior-knowledge", NOTICE_SUMMARY, NOTICE_OCCURRED_AT},
	{27, "sample", NOTICE_TITLE, NOTICE_SUMMARY},
	{28, "dossier-notice", NOTICE_TITLE, NOTICE_ABSTRACT | NOTICE_SUMMARY},
};
#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

static void expect(const struct notice_type *type, const Rk__NdaNotice *n, enum notice_fault fault, unsigned field)
{
	struct notice_problem p;
	int r = notice_check(type, n, "", home_now_ms, &p);

	if (r != (fault == NOTICE_FAULT_NONE ? RK_OK : RK_MALFORMED) || p.fault != fault || p.field != field)
		fail_msg("%s: code %d, fault %d of field 0x%x, not %d of 0x%x", type->name, r, (int)p.fault, p.field, (int)fault, field);
}

static void each_type_takes_its_own_fields_and_no_others(void **state)
{
	size_t count;

	(void)state;
	notice_types(&count);
	assert_int_equal(count, WANTED);
	for (size_t i = 0; i < WANTED; i++) {
		const struct notice_type *type = notice_type_named(wanted[i].name);
		Rk__NdaNotice n = notice_of(wanted[i].required), full = notice_of(wanted[i].required | wanted[i].optional);

		assert_non_null(type);
		assert_ptr_equal(type, notice_type(wanted[i].type));
		expect(type, &n, NOTICE_FAULT_NONE, 0);
		expect(type, &full, NOTICE_FAULT_NONE, 0);
		for (unsigned f = 1; f < NOTICE_FIELD_END; f <<= 1) {
			Rk__NdaNotice without = notice_of(wanted[i].required & ~f), with = notice_of(wanted[i].required | f);

			if (wanted[i].required & f)
				expect(type, &without, NOTICE_FAULT_MISSING, f);
			else if (!(wanted[i].optional & f))
				expect(type, &with, NOTICE_FAULT_FOREIGN, f);
		}
	}
	assert_null(notice_type(19));
	assert_null(notice_type(29));
	assert_null(notice_type_named("dossier"));
}

static void only_an_extension_has_a_day(void **state)
{
	const struct notice_type *type = notice_type_named("next-step");
	Rk__NdaNotice n = notice_of(NOTICE_CHOICE);

	(void)state;
	for (uint32_t choice = NOTICE_GO; choice <= NOTICE_EXTEND; choice++) {
		n.choice = choice;
		n.due_day = 0;
		expect(type, &n, choice == NOTICE_EXTEND ? NOTICE_FAULT_MISSING : NOTICE_FAULT_NONE, choice == NOTICE_EXTEND ? NOTICE_DUE : 0);
		n.due_day = 20280229;
		expect(type, &n, choice == NOTICE_EXTEND ? NOTICE_FAULT_NONE : NOTICE_FAULT_FOREIGN, choice == NOTICE_EXTEND ? 0 : NOTICE_DUE);
	}
	n.due_day = 20270229;
	expect(type, &n, NOTICE_FAULT_DAY, NOTICE_DUE);
}

static void what_happened_has_happened(void **state)
{
	const struct notice_type *told = notice_type_named("marking-confirmation"), *done = notice_type_named("destruction-certificate");
	Rk__NdaNotice n = notice_of(told->required), m = notice_of(done->required);

	(void)state;
	n.occurred_at = m.done_at = home_now_ms + ENVELOPE_CLOCK_MS;
	expect(told, &n, NOTICE_FAULT_NONE, 0);
	expect(done, &m, NOTICE_FAULT_NONE, 0);
	n.occurred_at = m.done_at = home_now_ms + ENVELOPE_CLOCK_MS + 1;
	expect(told, &n, NOTICE_FAULT_FUTURE, NOTICE_OCCURRED_AT);
	expect(done, &m, NOTICE_FAULT_FUTURE, NOTICE_DONE_AT);
}

static void a_scope_is_all_or_an_ascending_list(void **state)
{
	const struct notice_type *type = notice_type_named("return-request");
	Rk__NdaNotice n = notice_of(NOTICE_CHOICE);

	(void)state;
	envs[0] = pb_of(BYTES_OF(two_ids[0]));
	envs[1] = pb_of(BYTES_OF(two_ids[1]));
	n.env_ids = envs;
	n.n_env_ids = 2;
	expect(type, &n, NOTICE_FAULT_NONE, 0);
	n.all = true;
	expect(type, &n, NOTICE_FAULT_SCOPE, NOTICE_SCOPE);
	n.all = false;
	envs[1] = envs[0];
	expect(type, &n, NOTICE_FAULT_SCOPE, NOTICE_SCOPE);
	envs[0] = pb_of(BYTES_OF(two_ids[1]));
	expect(type, &n, NOTICE_FAULT_SCOPE, NOTICE_SCOPE);
	n.n_env_ids = NOTICE_ENVS_MAX + 1;
	expect(type, &n, NOTICE_FAULT_SCOPE, NOTICE_SCOPE);
}

static void free_text_has_its_limit(void **state)
{
	const struct notice_type *type = notice_type_named("consent");
	Rk__NdaNotice n = notice_of(type->required);
	char text[NOTICE_TEXT_MAX + 2];
	struct notice_problem p;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[NOTICE_TEXT_MAX + 1] = '\0';
	assert_int_equal(notice_check(type, &n, text, home_now_ms, &p), RK_MALFORMED);
	assert_int_equal(p.fault, NOTICE_FAULT_TEXT);
	text[NOTICE_TEXT_MAX] = '\0';
	assert_int_equal(notice_check(type, &n, text, home_now_ms, &p), RK_OK);
}

/* ---- received */

static struct bytes pack(uint32_t type, Rk__NdaNotice *n, Rk__Dossier *d)
{
	Rk__Message m = RK__MESSAGE__INIT;
	struct bytes packed;

	m.msg_version = 1;
	m.type = type;
	m.notice = n;
	m.dossier = d;
	if (n == NULL && d == NULL)
		m.text = (char *)"a secret in plain words";
	assert_int_equal(STRICT_PACK(&m, h.a, &packed), RK_OK);
	return packed;
}

/* Sent by org 1, picked up and opened here: its record. */
static Rkl__EnvelopeRecord *receive(struct bytes message)
{
	struct sent sent;
	struct txn *t;

	home_seal(&h, home_header(&h, RK__KIND__NDA_NOTICE, 1, &deal), 1, message, &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(mail_on_bulk(h.client, t, sent.wire.env_id, sent.wire.wraps, sent.wire.body), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	return home_record(&h, sent.wire.env_id);
}

static void expect_failed(const Rkl__EnvelopeRecord *record, int problem)
{
	assert_non_null(record);
	assert_int_equal(record->state, RKL__ENVELOPE_STATE__FAILED);
	assert_int_equal(record->problem, problem);
	assert_false(home_has_content(&h, record->env_id.data));
}

static void conclude(void)
{
	deal_finish(&h, &deal);
	deal_conclude(&h, &deal);
}

static void each_type_is_opened(void **state)
{
	(void)state;
	conclude();
	for (size_t i = 0; i < WANTED; i++) {
		Rk__NdaNotice n = notice_of(wanted[i].required | wanted[i].optional);
		Rkl__EnvelopeRecord *record = receive(pack(wanted[i].type, &n, NULL));

		assert_non_null(record);
		assert_int_equal(record->state, RKL__ENVELOPE_STATE__OPENED);
		assert_int_equal(record->message_type, wanted[i].type);
		assert_true(home_has_content(&h, record->env_id.data));
	}
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_NOTICE), WANTED);
}

static void what_is_no_notice_is_not_opened(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_SUMMARY | NOTICE_TITLE);
	Rk__Dossier d = RK__DOSSIER__INIT;

	(void)state;
	conclude();
	d.text = (char *)"a secret";
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_DOSSIER, NULL, &d)), RK_NOT_PERMITTED);
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_TEXT, NULL, NULL)), RK_NOT_PERMITTED);
	/* Fields of another type. */
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_CONSENT, &n, NULL)), RK_MALFORMED);
}

static void after_the_end_a_notice_is_opened_and_an_announcement_is_not(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_SUMMARY), announced = notice_of(NOTICE_TITLE);

	(void)state;
	conclude();
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__TERMINATE, ""));
	assert_int_equal(receive(pack(RK__MESSAGE_TYPE__MESSAGE_CONSENT, &n, NULL))->state, RKL__ENVELOPE_STATE__OPENED);
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE, &announced, NULL)), RK_NDA_TERMINATED);
}

static void a_hold_lets_notices_pass_but_no_announcement(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_SUMMARY), announced = notice_of(NOTICE_TITLE);

	(void)state;
	conclude();
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__HOLD, ""));
	assert_int_equal(receive(pack(RK__MESSAGE_TYPE__MESSAGE_CONSENT, &n, NULL))->state, RKL__ENVELOPE_STATE__OPENED);
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE, &announced, NULL)), RK_NDA_HELD);
}

/* Party of org in the deal that is being made. */
static Rk__Party *party_of(int org)
{
	return &deal.party[org - 1];
}

static void who_only_receives_asks_nothing_back(void **state)
{
	Rk__NdaNotice request = notice_of(NOTICE_SCOPE | NOTICE_CHOICE), known = notice_of(NOTICE_SUMMARY);

	(void)state;
	party_of(1)->may_disclose = false;
	conclude();
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_RETURN_REQUEST, &request, NULL)), RK_NOT_PERMITTED);
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_CONSENT, &known, NULL)), RK_NOT_PERMITTED);
	assert_int_equal(receive(pack(RK__MESSAGE_TYPE__MESSAGE_PRIOR_KNOWLEDGE, &known, NULL))->state, RKL__ENVELOPE_STATE__OPENED);
}

static void who_only_discloses_certifies_nothing(void **state)
{
	const struct notice_type *type = notice_type_named("destruction-certificate");
	Rk__NdaNotice certificate = notice_of(type->required), known = notice_of(NOTICE_SUMMARY);

	(void)state;
	party_of(1)->may_receive = false;
	conclude();
	expect_failed(receive(pack(type->type, &certificate, NULL)), RK_NOT_PERMITTED);
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_PRIOR_KNOWLEDGE, &known, NULL)), RK_NOT_PERMITTED);
	assert_int_equal(receive(pack(RK__MESSAGE_TYPE__MESSAGE_CONSENT, &known, NULL))->state, RKL__ENVELOPE_STATE__OPENED);
}

static void the_next_step_is_said_by_whom_the_cover_names(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_CHOICE);

	(void)state;
	deal.cover.next_step_org = pb_of(bytes_make(home_org(&h, 2), 16));
	conclude();
	expect_failed(receive(pack(RK__MESSAGE_TYPE__MESSAGE_NEXT_STEP, &n, NULL)), RK_NOT_PERMITTED);
}

/* ---- sending */

static struct notice_made made;
static struct notice_problem problem;

static int send_to(uint32_t type, const Rk__NdaNotice *n, const uint8_t (*to)[16], size_t to_count, bool late)
{
	struct notice_new new = {.nda_id = deal.nda_id, .type = type, .notice = n, .to = to, .to_count = to_count, .late = late};
	unsigned queued, sent;
	uint64_t item;
	struct txn *t;
	int r;

	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	/* Asking first says the same, and queues nothing. */
	r = notice_send(h.client, t, &new, h.a, &made, &problem, NULL);
	assert_int_equal(outbox_count(t, &queued, &sent), RK_OK);
	assert_int_equal(queued, 0);
	assert_int_equal(notice_send(h.client, t, &new, h.a, &made, &problem, &item), r);
	assert_int_equal(outbox_count(t, &queued, &sent), RK_OK);
	assert_int_equal(queued, r == RK_OK);
	env_abort(t);
	return r;
}

static int send(const char *name, const Rk__NdaNotice *n)
{
	return send_to(notice_type_named(name)->type, n, NULL, 0, false);
}

static void a_notice_goes_to_all_others_unless_somebody_is_named(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_SUMMARY);
	uint8_t to[2][16];

	(void)state;
	conclude();
	home_now_ms += NDA_DAY_MS;
	assert_int_equal(send("consent", &n), RK_OK);
	assert_int_equal(made.to_count, 2);
	memcpy(to[0], home_org(&h, 2), 16);
	memcpy(to[1], home_org(&h, 2), 16);
	assert_int_equal(send_to(24, &n, (const uint8_t(*)[16])to, 2, false), RK_OK);
	assert_int_equal(made.to_count, 1);
	memcpy(to[0], home_org(&h, 0), 16);
	assert_int_equal(send_to(24, &n, (const uint8_t(*)[16])to, 1, false), RK_NO_NDA);
	home_now_ms -= NDA_DAY_MS;
}

static void our_own_gate_is_asked_first(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_SUMMARY), announced = notice_of(NOTICE_TITLE);

	(void)state;
	deal_finish(&h, &deal);
	deal_propose(&h, &deal);
	home_now_ms += NDA_DAY_MS;
	assert_int_equal(send("consent", &n), RK_NDA_PROPOSED);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__ACCEPT, ""));
	deal_deliver_act(&h, deal_act(&h, &deal, HOME_SELF, RK__ACT_KIND__ACCEPT, ""));
	assert_int_equal(send("dossier-notice", &announced), RK_OK);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__TERMINATE, ""));
	assert_int_equal(send("consent", &n), RK_OK);
	assert_int_equal(send("dossier-notice", &announced), RK_NDA_TERMINATED);
	/* The five minutes before the window ends are left alone, and what comes after it is refused. */
	home_now_ms += (int64_t)deal.terms.notice_window_days * NDA_DAY_MS - AGREEMENT_MARGIN_MS - 1;
	assert_int_equal(send("consent", &n), RK_OK);
	home_now_ms += 1;
	assert_int_equal(send("consent", &n), RK_NDA_TERMINATED);
	home_now_ms = FIXED_TIME_MS;
}

static void what_waited_is_judged_again_when_it_is_sealed(void **state)
{
	Rk__NdaNotice consent = notice_of(NOTICE_SUMMARY), announced = notice_of(NOTICE_TITLE);
	Rk__EnvelopeHeader *header;
	Rk__Dossier dossier = RK__DOSSIER__INIT;
	struct bytes said, announcement, smuggled;
	struct txn *t;

	(void)state;
	conclude();
	home_now_ms += NDA_DAY_MS;
	header = home_header(&h, RK__KIND__NDA_NOTICE, HOME_SELF, &deal);
	said = pack(RK__MESSAGE_TYPE__MESSAGE_CONSENT, &consent, NULL);
	announcement = pack(RK__MESSAGE_TYPE__MESSAGE_DOSSIER_NOTICE, &announced, NULL);
	smuggled = pack(RK__MESSAGE_TYPE__MESSAGE_DOSSIER, NULL, &dossier);
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(notice_check_seal(h.client, t, header, announcement, h.a), RK_OK);
	assert_int_equal(notice_check_seal(h.client, t, header, smuggled, h.a), RK_MALFORMED);
	env_abort(t);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__TERMINATE, ""));
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(notice_check_seal(h.client, t, header, said, h.a), RK_OK);
	assert_int_equal(notice_check_seal(h.client, t, header, announcement, h.a), RK_NDA_TERMINATED);
	env_abort(t);
	home_now_ms = FIXED_TIME_MS;
}

static void nothing_is_asked_for_by_a_day_that_is_over(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_CHOICE);
	uint32_t today;

	(void)state;
	conclude();
	home_now_ms += NDA_DAY_MS;
	n.all = true;
	assert_int_equal(days_of(home_now_ms, deal.terms.zone, &today), RK_OK);
	n.due_day = today;
	assert_int_equal(send("return-request", &n), RK_OK);
	assert_int_equal(days_of(home_now_ms - NDA_DAY_MS, deal.terms.zone, &n.due_day), RK_OK);
	assert_int_equal(send("return-request", &n), RK_EUSAGE);
	assert_int_equal(problem.fault, NOTICE_FAULT_PAST);
	assert_int_equal(problem.field, NOTICE_DUE);
	home_now_ms = FIXED_TIME_MS;
}

static void what_does_not_fit_is_not_sent(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_TITLE), scoped = notice_of(NOTICE_CHOICE);

	(void)state;
	deal.cover.next_step_org = pb_of(bytes_make(home_org(&h, 2), 16));
	conclude();
	home_now_ms += NDA_DAY_MS;
	assert_int_equal(send("consent", &n), RK_EUSAGE);
	assert_int_equal(problem.fault, NOTICE_FAULT_MISSING);
	assert_int_equal(send("next-step", &scoped), RK_NOT_PERMITTED);
	assert_int_equal(problem.fault, NOTICE_FAULT_ROLE);
	/* A dossier that nobody knows here. */
	envs[0] = pb_of(BYTES_OF(two_ids[0]));
	scoped.env_ids = envs;
	scoped.n_env_ids = 1;
	assert_int_equal(send("return-request", &scoped), RK_EUSAGE);
	assert_int_equal(problem.fault, NOTICE_FAULT_DOSSIER);
	home_now_ms = FIXED_TIME_MS;
}

static void a_confirmation_after_its_days_needs_a_word(void **state)
{
	Rk__NdaNotice n = notice_of(NOTICE_OCCURRED_AT | NOTICE_SUMMARY);
	int64_t at;
	uint32_t day;

	(void)state;
	conclude();
	n.occurred_at = home_now_ms;
	assert_int_equal(days_of(home_now_ms, deal.terms.zone, &day), RK_OK);
	day = days_add(day, AGREEMENT_ORAL_DAYS);
	assert_int_equal(days_end(day, deal.terms.zone, &at), RK_OK);
	home_now_ms = at - 1;
	assert_int_equal(send("marking-confirmation", &n), RK_OK);
	assert_false(made.is_late);
	assert_int_equal(made.confirm_by, day);
	home_now_ms = at;
	assert_int_equal(send("marking-confirmation", &n), RK_EUSAGE);
	assert_int_equal(problem.fault, NOTICE_FAULT_LATE);
	assert_int_equal(made.confirm_by, day);
	assert_int_equal(send_to(20, &n, NULL, 0, true), RK_OK);
	assert_true(made.is_late);
	home_now_ms = FIXED_TIME_MS;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_type_takes_its_own_fields_and_no_others),
		TEST(only_an_extension_has_a_day),
		TEST(what_happened_has_happened),
		TEST(a_scope_is_all_or_an_ascending_list),
		TEST(free_text_has_its_limit),
		TEST(each_type_is_opened),
		TEST(what_is_no_notice_is_not_opened),
		TEST(after_the_end_a_notice_is_opened_and_an_announcement_is_not),
		TEST(a_hold_lets_notices_pass_but_no_announcement),
		TEST(who_only_receives_asks_nothing_back),
		TEST(who_only_discloses_certifies_nothing),
		TEST(the_next_step_is_said_by_whom_the_cover_names),
		TEST(a_notice_goes_to_all_others_unless_somebody_is_named),
		TEST(our_own_gate_is_asked_first),
		TEST(what_waited_is_judged_again_when_it_is_sealed),
		TEST(nothing_is_asked_for_by_a_day_that_is_over),
		TEST(what_does_not_fit_is_not_sent),
		TEST(a_confirmation_after_its_days_needs_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
