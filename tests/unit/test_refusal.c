/* Refusals in writing, releases without a record, and the end of what was received (CRYPTO 2.5, 2.11, 2.13). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/client_internal.h"
#include "client/dossier_destroy.h"
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
	deal_finish(&h, &deal);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	home_close(&h);
	return 0;
}

static void send_nda(struct bytes message, struct sent *sent)
{
	home_seal(&h, home_header(&h, RK__KIND__NDA, 1, &deal), 1, message, sent);
}

/* From org 1, for us, and no wrap for this device. */
static void seal_to_others(struct bytes message, struct sent *sent)
{
	struct envelope_target target = {.kx_serial = 1};
	struct envelope_random random;

	memcpy(target.device_id, h.f.orgs[1].device_id, 16);
	memcpy(target.kx_pk, h.f.orgs[1].kx.pk, 32);
	envelope_random(&random);
	sent->header = home_header(&h, RK__KIND__NDA, 1, &deal);
	assert_int_equal(envelope_seal(sent->header, message, NULL, &target, 1, h.f.orgs[1].device.sk, &random, h.a, &sent->wire), RK_OK);
}

static void expect_refused(const struct sent *sent, int problem)
{
	Rkl__EnvelopeRecord *record = home_record(&h, sent->wire.env_id);

	assert_non_null(record);
	assert_string_equal(mail_state_name(record), "failed");
	assert_int_equal(record->problem, problem);
	assert_false(home_has_content(&h, sent->wire.env_id));
}

/* ---- refusals */

/* The one queued Nack, sealed as for the wire; NULL if there is none. */
static const Rk__Nack *queued_nack(void)
{
	Rkl__OutboxItem *item = NULL;
	struct env_cursor *cursor;
	struct bytes key, value;
	uint64_t id = 0;
	struct object o;
	struct txn *t;

	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(env_cursor_open(t, C_OUTBOX, &cursor), RK_OK);
	for (int r = env_cursor_seek(cursor, bytes_make("", 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		item = rkl__outbox_item__unpack(arena_allocator(h.a), value.len, value.data);
		assert_non_null(item);
		if (item->op == RK__OP__OP_NACK) {
			assert_int_equal(id, 0);
			id = item->id;
		}
	}
	env_cursor_free(cursor);
	if (id != 0) {
		assert_int_equal(outbox_load(t, id, h.a, &item), RK_OK);
		item->writer_epoch = pb_of(bytes_make("12345678", 8));
		assert_int_equal(seal_item(h.client, t, item, 1, h.a), RK_OK);
	}
	env_abort(t);
	if (id == 0)
		return NULL;
	assert_int_equal(item->n_frames, 2);
	assert_int_equal(object_parse(OBJECT_KIND_NACK, bytes_of(item->frames[1]), h.a, &o), RK_OK);
	assert_int_equal(object_check(&o, h.f.exchange_id, keys_sign_sk(h.client, KEY_DEVICE) + 32), RK_OK);
	return (const Rk__Nack *)(const void *)o.message;
}

static void what_does_not_open_is_refused_in_writing(void **state)
{
	const Rk__Nack *nack;
	struct sent sent, late;
	uint8_t *body;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_null(queued_nack());
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	body = fixed_alloc(h.a, sent.wire.body.len);
	memcpy(body, sent.wire.body.data, sent.wire.body.len);
	body[40] ^= 1;
	home_give_bulk(&h, &sent, sent.wire.wraps, bytes_make(body, sent.wire.body.len));
	nack = queued_nack();
	assert_non_null(nack);
	assert_memory_equal(nack->env_id.data, sent.wire.env_id, 32);
	assert_memory_equal(nack->nda_id.data, deal.nda_id, 32);
	assert_memory_equal(nack->device_id.data, client_device_id(h.client), 16);
	assert_int_equal(nack->reason, RK__NACK_REASON__NACK_UNOPENED);
	/* Once: the true content, given later, changes nothing. */
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_non_null(queued_nack());
	assert_false(home_has_content(&h, sent.wire.env_id));
	/* What is not of an agreement is nobody's business. */
	home_seal(&h, home_header(&h, RK__KIND__OPEN, 1, NULL), 1, home_dossier(&h, "a.txt", "secret", true), &late);
	home_deliver_sent(&h, &late);
	assert_int_equal(home_record(&h, late.wire.env_id)->state, RKL__ENVELOPE_STATE__FAILED);
	assert_non_null(queued_nack());
}

static void a_head_that_fails_its_checks_is_refused_in_writing(void **state)
{
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_now_ms += ENVELOPE_CLOCK_MS + 1;
	home_deliver_sent(&h, &sent);
	expect_refused(&sent, RK_CLOCK);
	assert_int_equal(queued_nack()->reason, RK__NACK_REASON__NACK_UNOPENED);
}

static void neither_a_newer_type_nor_a_missing_key_is_refused(void **state)
{
	static const uint8_t newer[] = {0x08, 1, 0x10, 40, 0xf2, 0x03, 2, 'h', 'i'};
	struct sent sent, other;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(BYTES_OF(newer), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_int_equal(home_record(&h, sent.wire.env_id)->state, RKL__ENVELOPE_STATE__NEWER);
	seal_to_others(home_dossier(&h, "a.txt", "secret", true), &other);
	home_deliver_sent(&h, &other);
	assert_int_equal(home_grant(&h, &deal, &other, true), RK_OK);
	home_give_bulk(&h, &other, other.wire.wraps, other.wire.body);
	assert_int_equal(home_record(&h, other.wire.env_id)->problem, RK_NO_RECIPIENT_KEY);
	assert_null(queued_nack());
}

static int decline(const struct sent *sent, uint64_t *item)
{
	struct txn *t;
	int r;

	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	r = mail_decline(h.client, t, sent->wire.env_id, item);
	if (r == RK_OK)
		assert_int_equal(env_commit(t), RK_OK);
	else
		env_abort(t);
	return r;
}

static struct bytes nack_of(const struct sent *sent, const uint8_t *device_id, const uint8_t sk[64], Rk__NackReason reason)
{
	Rk__Nack n = RK__NACK__INIT;
	struct bytes wire;

	n.version = 1;
	n.env_id = pb_of(BYTES_OF(sent->wire.env_id));
	n.nda_id = pb_of(BYTES_OF(deal.nda_id));
	n.device_id = pb_of(bytes_make(device_id, 16));
	n.reason = reason;
	n.time = home_now_ms;
	assert_int_equal(object_make(OBJECT_KIND_NACK, h.f.exchange_id, sk, &n.base, h.a, &wire), RK_OK);
	return wire;
}

static int answer_nack(const struct sent *sent, int code, bool logged)
{
	struct outcome answer = {.code = code, .logged = logged, .log_index = logged ? ++h.log_index : 0, .time_ms = home_now_ms};
	struct bytes wire = nack_of(sent, client_device_id(h.client), keys_sign_sk(h.client, KEY_DEVICE), RK__NACK_REASON__NACK_DECLINED);
	struct txn *t;
	int r;

	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	r = mail_on_nack_answer(h.client, t, wire, &answer);
	assert_int_equal(env_commit(t), RK_OK);
	return r;
}

static void declining_is_a_nack_on_record(void **state)
{
	Rkl__EnvelopeRecord *record;
	uint64_t item, again;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(decline(&sent, &item), RK_OK);
	assert_int_not_equal(item, 0);
	assert_int_equal(queued_nack()->reason, RK__NACK_REASON__NACK_DECLINED);
	/* Said twice, queued once. */
	assert_int_equal(decline(&sent, &again), RK_OK);
	assert_int_equal(again, item);
	/* Taken in, but nowhere in the log: no proof, and it says so. */
	assert_int_equal(answer_nack(&sent, RK_OK, false), RK_EINTEGRITY);
	assert_int_equal(home_count(&h, "nack-unlogged"), 1);
	assert_int_equal(answer_nack(&sent, RK_OK, true), RK_OK);
	record = home_record(&h, sent.wire.env_id);
	assert_string_equal(mail_state_name(record), "declined");
	assert_int_equal(record->n_nacks, 1);
	assert_int_equal(record->nacks[0]->log_index, h.log_index);
	assert_int_equal(decline(&sent, &again), RK_OK);
	assert_int_equal(again, 0);
}

static void a_decline_that_comes_too_late_is_taken_back(void **state)
{
	uint64_t item, again;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(decline(&sent, &item), RK_OK);
	assert_int_equal(answer_nack(&sent, RK_CONFLICT, false), RK_OK);
	assert_string_equal(mail_state_name(home_record(&h, sent.wire.env_id)), "waiting");
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_int_equal(decline(&sent, &again), RK_CONFLICT);
}

static void our_own_and_refused_ones_are_not_declined(void **state)
{
	struct sent mine, bad;
	uint64_t item;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, home_dossier(&h, "a.txt", "mine", true), &mine);
	home_deliver_sent(&h, &mine);
	assert_int_equal(decline(&mine, &item), RK_CONFLICT);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &bad);
	home_now_ms += ENVELOPE_CLOCK_MS + 1;
	home_deliver_sent(&h, &bad);
	assert_int_equal(decline(&bad, &item), RK_CONFLICT);
}

static void deliver_nack(const struct sent *sent, int org, const uint8_t sk[64], Rk__NackReason reason, bool logged)
{
	home_deliver(&h, mail_on_nack, nack_of(sent, h.f.orgs[org].device_id, sk, reason), (struct bytes){0}, (struct bytes){0}, logged);
}

static void a_nack_counts_if_the_recipient_signed_it(void **state)
{
	const Rk__NackReason unopened = RK__NACK_REASON__NACK_UNOPENED;
	Rkl__EnvelopeRecord *record;
	struct mail_fate f;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, home_dossier(&h, "a.txt", "mine", true), &sent);
	home_deliver_sent(&h, &sent);
	deliver_nack(&sent, 1, h.f.orgs[2].device.sk, unopened, true);   /* signed by another */
	deliver_nack(&sent, 2, h.f.orgs[2].device.sk, unopened, true);   /* a party, but not a recipient */
	deliver_nack(&sent, 1, h.f.orgs[1].device.sk, unopened, false);  /* not in the log */
	deliver_nack(&sent, 1, h.f.orgs[1].device.sk, RK__NACK_REASON__NACK_NONE, true);
	home_deliver(&h, mail_on_nack, BYTES_OF("garbage"), (struct bytes){0}, (struct bytes){0}, true);
	assert_int_equal(home_count(&h, "nack-unproven"), 5);
	assert_string_equal(mail_state_name(home_record(&h, sent.wire.env_id)), "lodged");
	home_deliver_pickup(&h, &deal, &sent, 1, h.f.orgs[1].device.sk);
	assert_string_equal(mail_state_name(home_record(&h, sent.wire.env_id)), "picked_up");
	deliver_nack(&sent, 1, h.f.orgs[1].device.sk, unopened, true);
	deliver_nack(&sent, 1, h.f.orgs[1].device.sk, unopened, true);
	record = home_record(&h, sent.wire.env_id);
	assert_int_equal(record->n_nacks, 1);
	assert_string_equal(mail_state_name(record), "refused");
	mail_fate(record, h.f.orgs[1].org_id, &f);
	assert_int_equal(f.outcome, MAIL_REFUSED);
	assert_int_equal(f.nack->log_index, h.log_index - 1);
	assert_non_null(f.pickup);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_REFUSED), 1);
}

static void a_declined_dossier_returns_and_is_told_once(void **state)
{
	Rk__Returned returned = RK__RETURNED__INIT;
	ProtobufCBinaryData orgs[1];
	struct bytes packed;
	struct mail_fate f;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, home_dossier(&h, "a.txt", "mine", true), &sent);
	home_deliver_sent(&h, &sent);
	deliver_nack(&sent, 1, h.f.orgs[1].device.sk, RK__NACK_REASON__NACK_DECLINED, true);
	orgs[0] = pb_of(BYTES_OF(h.f.orgs[1].org_id));
	returned.env_id = pb_of(BYTES_OF(sent.wire.env_id));
	returned.reason = RK__RETURN_REASON__RETURN_DECLINED;
	returned.orgs = orgs;
	returned.n_orgs = 1;
	assert_int_equal(STRICT_PACK(&returned, h.a, &packed), RK_OK);
	home_deliver(&h, mail_on_returned, packed, (struct bytes){0}, (struct bytes){0}, false);
	mail_fate(home_record(&h, sent.wire.env_id), h.f.orgs[1].org_id, &f);
	assert_int_equal(f.outcome, MAIL_DECLINED);
	assert_int_equal(f.returned->reason, RK__RETURN_REASON__RETURN_DECLINED);
	assert_string_equal(mail_return_name(f.returned->reason), "declined");
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_REFUSED), 1);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_RETURNED), 0);
	/* By itself, the broker's word is told. */
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, home_dossier(&h, "b.txt", "mine", true), &sent);
	home_deliver_sent(&h, &sent);
	returned.env_id = pb_of(BYTES_OF(sent.wire.env_id));
	assert_int_equal(STRICT_PACK(&returned, h.a, &packed), RK_OK);
	home_deliver(&h, mail_on_returned, packed, (struct bytes){0}, (struct bytes){0}, false);
	assert_string_equal(mail_state_name(home_record(&h, sent.wire.env_id)), "returned");
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_RETURNED), 1);
}

/* ---- releases without a record */

static void content_that_nobody_signed_for_is_not_opened(void **state)
{
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	/* With the head, as other kinds come. */
	home_deliver(&h, mail_on_envelope, sent.wire.head, sent.wire.wraps, sent.wire.body, true);
	assert_false(home_has_content(&h, sent.wire.env_id));
	assert_string_equal(mail_state_name(home_record(&h, sent.wire.env_id)), "waiting");
	assert_int_equal(home_count(&h, INBOX_UNASKED), 1);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 1);
	/* Or as the answer to a FETCH without a Pickup. */
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_false(home_has_content(&h, sent.wire.env_id));
	assert_int_equal(home_count(&h, INBOX_UNASKED), 2);
	/* It is no fault of the sender's: the dossier can still be got in order. */
	assert_null(queued_nack());
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_true(home_has_content(&h, sent.wire.env_id));
}

static void a_pickup_outside_the_log_opens_nothing(void **state)
{
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	assert_int_equal(home_grant(&h, &deal, &sent, false), RK_EINTEGRITY);
	assert_int_equal(home_count(&h, INBOX_UNLOGGED), 1);
	assert_int_equal(home_inbox(&h, RKL__INBOX_KIND__INBOX_ALERT), 1);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_false(home_has_content(&h, sent.wire.env_id));
	/* Once it is in the log, a repetition has no place of its own there. */
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	assert_int_equal(home_grant(&h, &deal, &sent, false), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_true(home_has_content(&h, sent.wire.env_id));
}

/* What is released was disclosed before. */
static void a_pickup_before_its_disclosure_opens_nothing(void **state)
{
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &sent);
	home_deliver_sent(&h, &sent);
	h.log_index--;
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_EINTEGRITY);
	assert_int_equal(home_count(&h, INBOX_UNLOGGED), 1);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_false(home_has_content(&h, sent.wire.env_id));
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_true(home_has_content(&h, sent.wire.env_id));
}

/* A repeated number is answered with the time of the repetition: what the entry says stands, whichever comes first. */
static void the_entry_overwrites_what_the_reply_said(void **state)
{
	const uint8_t *sk = keys_sign_sk(h.client, KEY_DEVICE);
	Rkl__EnvelopeRecord *record;
	struct sent taken, declined;
	struct bytes nack;
	uint64_t item;

	(void)state;
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "secret", true), &taken);
	home_deliver_sent(&h, &taken);
	send_nda(home_dossier(&h, "b.txt", "unwanted", true), &declined);
	home_deliver_sent(&h, &declined);
	assert_int_equal(home_grant(&h, &deal, &taken, true), RK_OK);
	assert_int_equal(decline(&declined, &item), RK_OK);
	assert_int_equal(answer_nack(&declined, RK_OK, true), RK_OK);
	home_now_ms += 60000;
	home_deliver_pickup(&h, &deal, &taken, HOME_SELF, sk);
	record = home_record(&h, taken.wire.env_id);
	assert_int_equal(record->n_pickups, 1);
	assert_int_equal(record->pickups[0]->log_index, h.log_index);
	assert_int_equal(record->pickups[0]->time_ms, home_now_ms);
	nack = nack_of(&declined, client_device_id(h.client), sk, RK__NACK_REASON__NACK_DECLINED);
	home_deliver(&h, mail_on_nack, nack, (struct bytes){0}, (struct bytes){0}, true);
	record = home_record(&h, declined.wire.env_id);
	assert_int_equal(record->n_nacks, 1);
	assert_int_equal(record->nacks[0]->log_index, h.log_index);
	assert_int_equal(record->nacks[0]->time_ms, home_now_ms);
	/* And no reply, and no second pickup, moves them again. */
	home_now_ms += 60000;
	assert_int_equal(home_grant(&h, &deal, &taken, true), RK_OK);
	assert_int_equal(answer_nack(&declined, RK_OK, true), RK_OK);
	home_deliver_pickup(&h, &deal, &taken, HOME_SELF, sk);
	assert_int_equal(home_record(&h, taken.wire.env_id)->pickups[0]->time_ms, home_now_ms - 60000);
	assert_int_equal(home_record(&h, declined.wire.env_id)->nacks[0]->time_ms, home_now_ms - 60000);
	home_now_ms = FIXED_TIME_MS;
}

/* ---- the end of it */

static bool files_hold(const char *folder, struct bytes wanted)
{
	char command[600], hex[129];
	struct bytes head = bytes_make(wanted.data, wanted.len > 64 ? 64 : wanted.len);

	ids_hex(hex, head);
	snprintf(command, sizeof(command), "cat $(find %s -type f) | od -An -v -tx1 | tr -d ' \\n' | grep -q %s", folder, hex);
	return system(command) == 0;
}

static void what_is_destroyed_is_opened_nowhere(void **state)
{
	struct dossier_saved *saved = calloc(1, sizeof(*saved));
	Rkl__EnvelopeRecord *record, **list;
	uint8_t key[32];
	struct bytes old, plain;
	struct sent sent;
	struct txn *t;
	size_t n;

	(void)state;
	assert_non_null(saved);
	deal_conclude(&h, &deal);
	send_nda(home_dossier(&h, "a.txt", "wombat-in-the-dossier", true), &sent);
	home_deliver_sent(&h, &sent);
	record = home_record(&h, sent.wire.env_id);
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(dossier_destroy(h.client, t, record), RK_ENOTFOUND);
	env_abort(t);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_int_equal(keys_dossier(h.client, sent.wire.env_id, false, key), RK_OK);
	assert_false(files_hold(h.folder, bytes_str("wombat-in-the-dossier")));
	assert_false(files_hold(h.folder, BYTES_OF(key)));
	assert_true(files_hold(h.folder, BYTES_OF(sent.wire.env_id)));
	record = home_record(&h, sent.wire.env_id);
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	/* The row as an old page of the store still has it. */
	assert_int_equal(env_get(t, C_CONTENT, BYTES_OF(sent.wire.env_id), &old), RK_OK);
	old = bytes_make(arena_copy(h.a, old.data, old.len), old.len);
	assert_int_equal(vault_open(key, VAULT_CONTENT, BYTES_OF(sent.wire.env_id), old, h.a, &plain), RK_OK);
	snprintf(saved->name, sizeof(saved->name), "a.txt");
	assert_int_equal(dossier_note_saved(h.client, t, record, "/tmp", saved, 1, h.a), RK_OK);
	assert_int_equal(dossier_received(t, deal.nda_id, h.a, &list, &n), RK_OK);
	assert_int_equal(n, 1);
	assert_int_equal(dossier_destroy(h.client, t, record), RK_OK);
	assert_int_equal(dossier_destroy(h.client, t, record), RK_EEXISTS);
	assert_int_equal(dossier_received(t, deal.nda_id, h.a, &list, &n), RK_OK);
	assert_int_equal(n, 0);
	assert_int_equal(env_commit(t), RK_OK);
	record = home_record(&h, sent.wire.env_id);
	assert_string_equal(mail_state_name(record), "destroyed");
	assert_int_equal(record->n_copies, 1);
	assert_string_equal(record->copies[0]->folder, "/tmp");
	assert_int_equal(keys_dossier(h.client, sent.wire.env_id, false, key), RK_ENOTFOUND);
	assert_false(home_has_content(&h, sent.wire.env_id));
	/* Put the old row back: this home has no key for it. */
	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	assert_int_equal(env_put(t, C_CONTENT, BYTES_OF(sent.wire.env_id), old, ENV_PUT), RK_OK);
	assert_int_equal(content_get(h.client, t, sent.wire.env_id, true, h.a, &plain), RK_ENOTFOUND);
	assert_int_equal(vault_open(keys_home_key(h.client), VAULT_CONTENT, BYTES_OF(sent.wire.env_id), old, h.a, &plain), RK_EINTEGRITY);
	env_abort(t);
	/* The exchange may still have it: it is not opened again. */
	home_give_bulk(&h, &sent, sent.wire.wraps, sent.wire.body);
	assert_false(home_has_content(&h, sent.wire.env_id));
	free(saved);
}

static int certify(const struct dossier_certificate *d, uint64_t *item)
{
	struct txn *t;
	int r;

	assert_int_equal(env_begin(client_env(h.client), true, &t), RK_OK);
	r = dossier_certify(h.client, t, d, h.a, item);
	assert_int_equal(env_commit(t), RK_OK);
	return r;
}

static void the_certificate_goes_to_who_sent_it(void **state)
{
	Rkl__EnvelopeRecord *records[NOTICE_ENVS_MAX + 1], notice;
	struct dossier_certificate d = {.nda_id = deal.nda_id, .records = records, .count = 2, .method = "erased", .signer = "Self"};
	struct sent mine, theirs;
	uint64_t item = 0;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, home_dossier(&h, "a.txt", "mine", true), &mine);
	home_deliver_sent(&h, &mine);
	send_nda(home_dossier(&h, "a.txt", "theirs", true), &theirs);
	home_deliver_sent(&h, &theirs);
	d.done_at = home_now_ms;
	home_now_ms += 10 * 60 * 1000; /* the gate keeps five minutes from the first instant */
	notice = *home_record(&h, theirs.wire.env_id);
	notice.kind = RK__KIND__NDA_NOTICE;
	records[0] = home_record(&h, mine.wire.env_id);
	records[1] = &notice;
	assert_int_equal(certify(&d, &item), RK_ENOTFOUND);
	records[1] = home_record(&h, theirs.wire.env_id);
	assert_int_equal(certify(&d, NULL), RK_OK);
	assert_int_equal(item, 0);
	assert_int_equal(certify(&d, &item), RK_OK);
	assert_int_not_equal(item, 0);
	d.method = "a\x01b";
	assert_int_equal(certify(&d, NULL), RK_MALFORMED);
	d.method = "erased";
	d.signer = NULL;
	assert_int_equal(certify(&d, NULL), RK_MALFORMED);
	d.signer = "Self";
	for (size_t i = 0; i <= NOTICE_ENVS_MAX; i++)
		records[i] = records[1];
	d.count = NOTICE_ENVS_MAX + 1;
	assert_int_equal(certify(&d, NULL), RK_TOO_LARGE);
	d.all = true;
	assert_int_equal(certify(&d, NULL), RK_OK);
	/* It is for the sender alone: without it there is nobody left to tell. */
	home_expel(&h, 1, 2);
	assert_int_equal(certify(&d, NULL), RK_NDA_SUSPENDED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_does_not_open_is_refused_in_writing),
		TEST(a_head_that_fails_its_checks_is_refused_in_writing),
		TEST(neither_a_newer_type_nor_a_missing_key_is_refused),
		TEST(declining_is_a_nack_on_record),
		TEST(a_decline_that_comes_too_late_is_taken_back),
		TEST(our_own_and_refused_ones_are_not_declined),
		TEST(a_nack_counts_if_the_recipient_signed_it),
		TEST(a_declined_dossier_returns_and_is_told_once),
		TEST(content_that_nobody_signed_for_is_not_opened),
		TEST(a_pickup_outside_the_log_opens_nothing),
		TEST(a_pickup_before_its_disclosure_opens_nothing),
		TEST(the_entry_overwrites_what_the_reply_said),
		TEST(what_is_destroyed_is_opened_nowhere),
		TEST(the_certificate_goes_to_who_sent_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
