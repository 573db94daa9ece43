/* Envelopes in a member's home: the receiver's order of CRYPTO 2.5, and what is not opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/dossier_save.h"
#include "client/interest.h"
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
	deal_finish(&h, &deal);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	home_close(&h);
	return 0;
}

/* ---- messages */

static struct bytes pack(const Rk__Message *m)
{
	struct bytes packed;

	assert_int_equal(STRICT_PACK(m, h.a, &packed), RK_OK);
	return packed;
}

static struct bytes interest_message(void)
{
	Rk__Interest i = RK__INTEREST__INIT;
	Rk__Message m = RK__MESSAGE__INIT;

	i.post_id = fixed_data(h.a, 32, "post");
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_INTEREST;
	m.interest = &i;
	m.text = (char *)"We like it";
	return pack(&m);
}

static struct bytes reply_message(const uint8_t env_id[32])
{
	Rk__InterestReply i = RK__INTEREST_REPLY__INIT;
	Rk__Message m = RK__MESSAGE__INIT;

	i.outcome = RK__INTEREST_OUTCOME__ACCEPTED;
	i.in_reply_to = pb_of(bytes_make(env_id, 32));
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_INTEREST_REPLY;
	m.interest_reply = &i;
	return pack(&m);
}

static void send_nda(struct bytes message, struct sent *sent)
{
	home_seal(&h, home_header(&h, RK__KIND__NDA, 1, &deal), 1, message, sent);
}

static void expect_refused(const struct sent *sent, int problem)
{
	Rkl__EnvelopeRecord *record = home_record(&h, sent->wire.env_id);

	assert_non_null(record);
	assert_int_equal(record->state, RKL__ENVELOPE_STATE__FAILED);
	assert_int_equal(record->problem, problem);
	assert_false(home_has_content(&h, sent->wire.env_id));
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 1);
}

/* ---- under an agreement */

static void a_dossier_waits_and_opens_after_its_bulk_came(void **state)
{
	Rkl__EnvelopeRecord *record;
	Rk__Message *m;
	struct sent sent;
	struct txn *t;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	record = home_record(&h, sent.wire.env_id);
	assert_non_null(record);
	assert_int_equal(record->state, RKL__ENVELOPE_STATE__LODGED);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_DOSSIER), 1);
	assert_false(home_has_content(&h, sent.wire.env_id));
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	record = home_record(&h, sent.wire.env_id);
	assert_int_equal(record->state, RKL__ENVELOPE_STATE__OPENED);
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(mail_message(h.client, t, record, h.a, &m), RK_OK);
	env_abort(t);
	assert_string_equal(m->dossier->title, "Run 14");
	/* Once is enough: a second bulk, true or not, changes nothing. */
	home_give_bulk(&h, &sent, sent.wire.wraps, bytes_make(sent.wire.body.data, sent.wire.body.len - 1));
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__OPENED);
}

static void a_bent_bulk_is_not_opened(void **state)
{
	struct sent sent;
	uint8_t *body;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	body = fixed_alloc(h.a, sent.wire.body.len);
	memcpy(body, sent.wire.body.data, sent.wire.body.len);
	body[40] ^= 1;
	home_give_bulk(&h, &sent, sent.wire.wraps, bytes_make(body, sent.wire.body.len));
	expect_refused(&sent, RK_BAD_SIGNATURE);
}

static void an_envelope_of_yesterdays_acts_is_refused(void **state)
{
	Rk__EnvelopeHeader *e;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	e = home_header(&h, RK__KIND__NDA, 1, &deal);
	/* A HOLD and its end: in force again, but the sender has not heard of them.  So it goes if a broker hides acts. */
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__HOLD, ""));
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__RESUME, ""));
	home_seal(&h, e, 1, home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	expect_refused(&sent, RK_STALE_NDA);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_false(home_has_content(&h, sent.wire.env_id));
}

/* A broker that goes on to take in and deliver what an expelled organisation sends. */
static void after_the_expulsion_nothing_is_taken(void **state)
{
	struct sent before, after;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "in time", true), &before);
	send_nda(home_dossier(&h, "a.txt", "too late", true), &after);
	home_expel(&h, 1, 7);
	/* Accepted before, read after: so it goes for a home that comes late. */
	h.control_seq = 6;
	home_deliver_sent(&h, &before);
	assert_int_equal(home_record(&h, before.wire.env_id)->state, RKL__ENVELOPE_STATE__LODGED);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_DOSSIER), 1);
	h.control_seq = 7;
	home_deliver_sent(&h, &after);
	assert_null(home_record(&h, after.wire.env_id));
	assert_int_equal(home_count(&h, "mail-unproven"), 1);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_DOSSIER), 1);
}

static void add_alert(uint8_t id, const uint8_t *org, const char *detail)
{
	struct txn *t;

	home_now_ms += 1000;
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, bytes_make(&id, 1), org, home_now_ms, detail), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static void alerts_do_not_pile_up(void **state)
{
	const uint8_t *one = h.f.orgs[1].org_id, *two = h.f.orgs[2].org_id;
	Rkl__InboxRecord *rec;
	uint8_t key[8];
	struct txn *t;

	(void)state;
	for (uint8_t i = 0; i < 100; i++)
		add_alert(i, one, "stale-nda");
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 1);
	/* The newest is told, until somebody has seen it. */
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	put_u64be(key, 1);
	assert_int_equal(record_get(t, C_INBOX, BYTES_OF(key), &rkl__inbox_record__descriptor, h.a, (ProtobufCMessage **)&rec), RK_OK);
	assert_int_equal(rec->time_ms, home_now_ms);
	assert_int_equal(rec->id.data[0], 99);
	rec->read = true;
	assert_int_equal(record_put(t, C_INBOX, BYTES_OF(key), &rec->base), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	add_alert(1, one, "stale-nda");
	add_alert(2, one, "stale-nda");
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 2);
	/* Other reasons and others' are not hidden by it. */
	add_alert(3, one, "clock");
	add_alert(4, two, "clock");
	add_alert(5, NULL, "clock");
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 5);
}

static void outside_the_agreement_nothing_is_taken(void **state)
{
	struct sent sent;

	(void)state;
	deal_propose(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	expect_refused(&sent, RK_NDA_PROPOSED);
}

static void after_the_end_nothing_is_taken(void **state)
{
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__TERMINATE, ""));
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	expect_refused(&sent, RK_NDA_TERMINATED);
}

static void a_stranger_under_our_agreement_is_refused(void **state)
{
	Rk__EnvelopeHeader *e;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	e = home_header(&h, RK__KIND__NDA, 1, &deal);
	e->sender_org = pb_of(BYTES_OF(h.f.orgs[0].org_id));
	e->sender_device = pb_of(BYTES_OF(h.f.orgs[0].device_id));
	home_seal(&h, e, 0, home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	expect_refused(&sent, RK_NO_NDA);
}

static void what_nobody_signed_leaves_no_record(void **state)
{
	Rk__EnvelopeHeader *e;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	e = home_header(&h, RK__KIND__NDA, 1, &deal);
	home_seal(&h, e, 2, home_dossier(&h, "a.txt", "secret", true), &sent); /* org 2 signs as org 1 */
	home_deliver_sent(&h, &sent);
	assert_null(home_record(&h, sent.wire.env_id));
	assert_int_equal(home_count(&h, "mail-unproven"), 1);
	home_deliver(&h, mail_on_envelope, BYTES_OF("garbage"), (struct bytes){0}, (struct bytes){0}, true);
	assert_int_equal(home_count(&h, "mail-unproven"), 2);
	/* Not for us at all. */
	e = home_header(&h, RK__KIND__NDA, 1, &deal);
	e->recipients[0]->org_id = pb_of(BYTES_OF(h.f.orgs[2].org_id));
	home_seal(&h, e, 1, home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_null(home_record(&h, sent.wire.env_id));
}

static void a_replay_is_dropped(void **state)
{
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_DOSSIER), 1);
}

static void old_and_expired_envelopes_are_refused(void **state)
{
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_now_ms += ENVELOPE_CLOCK_MS + 1;
	home_deliver_sent(&h, &sent);
	expect_refused(&sent, RK_CLOCK);
}

static void an_unknown_type_is_kept_sealed(void **state)
{
	/* msg_version 1, type 40, and a field that this version does not know. */
	static const uint8_t newer[] = {0x08, 1, 0x10, 40, 0xf2, 0x03, 2, 'h', 'i'};
	Rkl__EnvelopeRecord *record;
	Rk__Message *m;
	struct sent sent;
	struct txn *t;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(BYTES_OF(newer), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	record = home_record(&h, sent.wire.env_id);
	assert_int_equal(record->state, RKL__ENVELOPE_STATE__NEWER);
	assert_true(home_has_content(&h, sent.wire.env_id));
	assert_int_equal(env_begin(client_env(h.client), false, &t), RK_OK);
	assert_int_equal(mail_message(h.client, t, record, h.a, &m), RK_ENEWER);
	env_abort(t);
}

static void a_type_in_the_wrong_kind_is_refused(void **state)
{
	struct sent sent;

	(void)state;
	home_seal(&h, home_header(&h, RK__KIND__OPEN, 1, NULL), 1, home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	expect_refused(&sent, RK_NOT_PERMITTED);
}

/* ---- first contact */

static void interest_and_its_answer(void **state)
{
	struct sent asked, answered, forged;

	(void)state;
	home_seal(&h, home_header(&h, RK__KIND__OPEN, HOME_SELF, NULL), HOME_SELF, interest_message(), &asked);
	home_deliver_sent(&h, &asked);
	assert_int_equal(home_record(&h, asked.wire.env_id)->state, RKL__ENVELOPE_STATE__LODGED);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_INTEREST), 0);
	/* Org 2 was not asked. */
	home_seal(&h, home_header(&h, RK__KIND__OPEN, 2, NULL), 2, reply_message(asked.wire.env_id), &forged);
	home_deliver_sent(&h, &forged);
	expect_refused(&forged, RK_NOT_PERMITTED);
	assert_int_equal(home_record(&h, asked.wire.env_id)->outcome, RK__INTEREST_OUTCOME__OUTCOME_NONE);
	home_seal(&h, home_header(&h, RK__KIND__OPEN, 1, NULL), 1, reply_message(asked.wire.env_id), &answered);
	home_deliver_sent(&h, &answered);
	assert_int_equal(home_record(&h, asked.wire.env_id)->outcome, RK__INTEREST_OUTCOME__ACCEPTED);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_INTEREST_REPLY), 1);
}

static void only_the_proposer_sends_the_document(void **state)
{
	Rk__Proposal p = RK__PROPOSAL__INIT;
	Rk__Message m = RK__MESSAGE__INIT;
	struct sent sent;

	(void)state;
	home_deliver(&h, agreement_on_terms, deal.terms_bytes, (struct bytes){0}, (struct bytes){0}, true);
	deal_deliver_act(&h, deal_act(&h, &deal, 1, RK__ACT_KIND__ACCEPT, ""));
	p.cover = pb_of(deal.cover_bytes);
	p.document = pb_of(deal.document);
	p.doc_salt = pb_of(BYTES_OF(deal.salt));
	p.page = pb_of(deal.page[1]);
	p.page_salt = pb_of(BYTES_OF(deal.page_salt[1]));
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_PROPOSAL;
	m.proposal = &p;
	home_seal(&h, home_header(&h, RK__KIND__PROPOSAL, 2, &deal), 2, pack(&m), &sent);
	home_deliver_sent(&h, &sent);
	expect_refused(&sent, RK_NOT_PERMITTED);
	assert_null(deal_load(&h, &deal)->proposal);
}

/* ---- what became of it */

static void a_pickup_counts_if_the_recipient_signed_it(void **state)
{
	Rkl__EnvelopeRecord *record;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, home_dossier(&h, "a.txt", "mine", true), &sent);
	home_deliver_sent(&h, &sent);
	home_deliver_pickup(&h, &deal, &sent, 1, h.f.orgs[2].device.sk); /* signed by another */
	home_deliver_pickup(&h, &deal, &sent, 2, h.f.orgs[2].device.sk); /* a party, but not a recipient */
	assert_int_equal(home_count(&h, "pickup-unproven"), 2);
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__LODGED);
	home_deliver_pickup(&h, &deal, &sent, 1, h.f.orgs[1].device.sk);
	home_deliver_pickup(&h, &deal, &sent, 1, h.f.orgs[1].device.sk);
	record = home_record(&h, sent.wire.env_id);
	assert_int_equal(record->state, RKL__ENVELOPE_STATE__PICKED_UP);
	assert_int_equal(record->n_pickups, 1);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_PICKED_UP), 1);
}

static void what_returns_is_told(void **state)
{
	Rk__Returned returned = RK__RETURNED__INIT;
	ProtobufCBinaryData orgs[1];
	struct bytes packed;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, home_dossier(&h, "a.txt", "mine", true), &sent);
	home_deliver_sent(&h, &sent);
	orgs[0] = pb_of(BYTES_OF(h.f.orgs[1].org_id));
	returned.env_id = pb_of(BYTES_OF(sent.wire.env_id));
	returned.reason = RK__RETURN_REASON__RETURN_NDA_ENDED;
	returned.orgs = orgs;
	returned.n_orgs = 1;
	assert_int_equal(STRICT_PACK(&returned, h.a, &packed), RK_OK);
	home_deliver(&h, mail_on_returned, packed, (struct bytes){0}, (struct bytes){0}, false);
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__RETURNED_HERE);
	assert_int_equal(home_record(&h, sent.wire.env_id)->return_reason, RK__RETURN_REASON__RETURN_NDA_ENDED);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_RETURNED), 1);
	/* It is the broker's word, and costs it nothing. */
	home_deliver(&h, mail_on_returned, packed, (struct bytes){0}, (struct bytes){0}, false);
	for (int i = 0; i < 5; i++) {
		orgs[0] = fixed_data(h.a, 16, (const char *[]){"a", "b", "c", "d", "e"}[i]);
		assert_int_equal(STRICT_PACK(&returned, h.a, &packed), RK_OK);
		home_deliver(&h, mail_on_returned, packed, (struct bytes){0}, (struct bytes){0}, false);
	}
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_RETURNED), 2);
	sent.wire.env_id[0] ^= 1;
	returned.env_id = pb_of(BYTES_OF(sent.wire.env_id));
	assert_int_equal(STRICT_PACK(&returned, h.a, &packed), RK_OK);
	home_deliver(&h, mail_on_returned, packed, (struct bytes){0}, (struct bytes){0}, false);
	assert_int_equal(home_count(&h, "returned-unknown"), 1);
}

static void our_own_copy_is_kept_when_the_exchange_took_it(void **state)
{
	struct sent sent;
	struct txn *t;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, home_dossier(&h, "a.txt", "mine", true), &sent);
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(mail_on_sent(h.client, t, sent.wire.head, sent.wire.wraps, sent.wire.body), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_true(home_has_content(&h, sent.wire.env_id));
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__LODGED);
}

/* ---- saving */

static int save(struct bytes packed, const char *folder, struct dossier_saved *saved, size_t *n)
{
	struct dossier_saving how = {.folder = folder, .blobs_fd = -1};
	Rk__Message *m;
	int bad;

	assert_int_equal(message_read(packed, h.a, &m), MESSAGE_OK);
	how.message = m;
	return dossier_save(&how, saved, n, &bad);
}

static void files_are_saved_without_harm(void **state)
{
	struct dossier_saved *saved = calloc(DOSSIER_SAVED_MAX, sizeof(*saved));
	char folder[128], path[128 + SAVEFILE_NAME_MAX];
	struct stat st;
	size_t n;

	(void)state;
	assert_non_null(saved);
	snprintf(folder, sizeof(folder), "%s/out", h.folder);
	/* Asking first makes nothing. */
	assert_int_equal(savefile_check(folder), RK_OK);
	assert_int_equal(stat(folder, &st), -1);
	assert_int_equal(save(home_dossier(&h, "../../evil", "x", true), folder, saved, &n), RK_OK);
	assert_int_equal(n, 2);
	assert_int_equal(savefile_check(folder), RK_OK);
	assert_string_equal(saved[0].name, "_._.._evil");
	snprintf(path, sizeof(path), "%s/%s", folder, saved[0].name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(savefile_check(path), RK_EIO);
	snprintf(path, sizeof(path), "%s/none/deeper/", folder);
	assert_int_equal(savefile_check(path), RK_EIO);
	assert_int_equal(savefile_check(""), RK_EIO);
	snprintf(path, sizeof(path), "%s/%s", folder, saved[0].name);
	/* The name is taken: nothing is written, the old content stays. */
	assert_int_equal(save(home_dossier(&h, "../../evil", "other", true), folder, saved, &n), RK_EEXISTS);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1);
	assert_int_equal(save(home_dossier(&h, "b.txt", "x", false), folder, saved, &n), RK_EINTEGRITY);
	snprintf(path, sizeof(path), "%s/b.txt", folder);
	assert_int_equal(stat(path, &st), -1);
	free(saved);
}

static void names_become_harmless(void **state)
{
	static const struct {
		const char *given, *safe;
	} names[] = {
		{"a.txt", "a.txt"}, {"試料 1.pdf", "試料 1.pdf"}, {"/etc/passwd", "_etc_passwd"}, {"..", "_."}, {".bashrc", "_bashrc"},
		{"a\nb", "a_b"}, {"C:\\x", "C__x"}, {"", "_"}, {"a\177", "a_"},
	};
	char out[SAVEFILE_NAME_MAX], big[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		savefile_name(out, names[i].given);
		assert_string_equal(out, names[i].safe);
	}
	memset(big, 0, sizeof(big));
	for (size_t i = 0; i + 3 < sizeof(big); i += 3)
		memcpy(big + i, "試", 3);
	savefile_name(out, big);
	assert_true(strlen(out) < SAVEFILE_NAME_MAX);
	assert_true(strict_is_utf8(bytes_str(out)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_dossier_waits_and_opens_after_its_bulk_came),
		TEST(a_bent_bulk_is_not_opened),
		TEST(an_envelope_of_yesterdays_acts_is_refused),
		TEST(after_the_expulsion_nothing_is_taken),
		TEST(alerts_do_not_pile_up),
		TEST(outside_the_agreement_nothing_is_taken),
		TEST(after_the_end_nothing_is_taken),
		TEST(a_stranger_under_our_agreement_is_refused),
		TEST(what_nobody_signed_leaves_no_record),
		TEST(a_replay_is_dropped),
		TEST(old_and_expired_envelopes_are_refused),
		TEST(an_unknown_type_is_kept_sealed),
		TEST(a_type_in_the_wrong_kind_is_refused),
		TEST(interest_and_its_answer),
		TEST(only_the_proposer_sends_the_document),
		TEST(a_pickup_counts_if_the_recipient_signed_it),
		TEST(what_returns_is_told),
		TEST(our_own_copy_is_kept_when_the_exchange_took_it),
		TEST(files_are_saved_without_harm),
		TEST(names_become_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
