/*
 * What a home keeps as evidence, when it happens: copies of everything signed, each once; the salt under the dossier's own key, so that
 * destroying the key destroys it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/client_internal.h"
#include "client/evidence_internal.h"
#include "client/log.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/home_kit.h"

static struct home h;
static struct deal deal;

static int set_up(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	memset(&deal, 0, sizeof(deal));
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

static void send_from(int org, struct sent *sent)
{
	home_seal(&h, home_header(&h, RK__KIND__NDA, org, &deal), org, fixed_message("secret", h.a), sent);
	home_deliver_sent(&h, sent);
}

static struct bytes pickup_by(const struct sent *sent, int org)
{
	Rk__Pickup *p = fixed_pickup(&h.f, org, h.a);
	struct bytes wire;

	p->env_ids[0] = pb_of(bytes_make(sent->wire.env_id, 32));
	p->nda_id = pb_of(BYTES_OF(deal.nda_id));
	p->nda_set = pb_of(bytes_make(deal_load(&h, &deal)->row.nda_set, 32));
	p->time = home_now_ms;
	assert_int_equal(object_make(OBJECT_KIND_PICKUP, h.f.exchange_id, h.f.orgs[org].device.sk, &p->base, h.a, &wire), RK_OK);
	return wire;
}

static struct txn *begin(bool write)
{
	struct txn *t;

	assert_int_equal(env_begin(client_env(h.client), write, &t), RK_OK);
	return t;
}

static Rkl__EvidenceRecord *record_of(const uint8_t id[32])
{
	Rkl__EvidenceRecord *record = NULL;
	struct txn *t = begin(false);
	int r = evidence_load(t, id, h.a, &record);

	env_abort(t);
	assert_true(r == RK_OK || r == RK_ENOTFOUND);
	return r == RK_OK ? record : NULL;
}

/* The bytes kept under a name. */
static struct bytes copy_of(ProtobufCBinaryData oh)
{
	uint8_t key[EVIDENCE_KEY_BYTES], *copy;
	struct txn *t = begin(false);
	struct bytes value = {0};

	assert_int_equal(oh.len, 32);
	evidence_key(key, EVIDENCE_OBJECT, oh.data);
	assert_int_equal(env_get(t, C_EVIDENCE, BYTES_OF(key), &value), RK_OK);
	copy = fixed_alloc(h.a, value.len);
	memcpy(copy, value.data, value.len);
	env_abort(t);
	return bytes_make(copy, value.len);
}

/* It is this kind, and the name is its hash. */
static void is_kept(enum object_kind kind, ProtobufCBinaryData oh)
{
	struct object o;
	uint8_t hash[32];

	assert_int_equal(object_parse(kind, copy_of(oh), h.a, &o), RK_OK);
	if (kind == OBJECT_KIND_NDA_ACT && ((const Rk__NdaAct *)o.message)->kind == RK__ACT_KIND__HOLD)
		o.kind = OBJECT_KIND_NDA_HOLD;
	object_oh(hash, &o, h.f.exchange_id);
	assert_memory_equal(hash, oh.data, 32);
}

static void an_envelope_takes_its_copies_at_once(void **state)
{
	Rkl__EvidenceRecord *record;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_from(1, &sent);
	record = record_of(sent.wire.env_id);
	assert_non_null(record);
	assert_false(record->is_deposit);
	is_kept(OBJECT_KIND_DIRECTORY, record->directory);
	is_kept(OBJECT_KIND_ENVELOPE, record->object);
	assert_memory_equal(record->object.data, sent.wire.oh, 32);
	assert_int_equal(record->n_devices, 3);
	assert_int_equal(record->n_acts, 3);
	for (size_t i = 0; i < 3; i++) {
		is_kept(OBJECT_KIND_ORG_DEVICES, record->devices[i]);
		is_kept(OBJECT_KIND_NDA_ACT, record->acts[i]);
	}
	assert_memory_equal(record->terms.data, deal.nda_id, 32);
	assert_true(bytes_equal(copy_of(record->terms), deal.terms_bytes));
}

/* The entry of a disclosure comes late, when this home has a directory that was logged after it; the next disclosure is after both. */
static void what_was_logged_later_is_not_taken(void **state)
{
	struct delivery d = {.kind = RK__ENTRY_KIND__ENTRY_DIRECTORY, .time_ms = home_now_ms, .logged = true};
	uint8_t newest[32], older[32];
	struct bytes older_wire;
	struct sent sent[2];
	uint64_t serial;
	struct txn *t;

	(void)state;
	deal_conclude(&h, &deal);
	home_expel(&h, 2, 100);
	t = begin(true);
	assert_int_equal(book_newest(t, RK__OBJECT_TYPE__OBJECT_DIRECTORY, NULL, &serial, newest, &d.object), RK_OK);
	d.log_index = h.log_index + 2;
	assert_int_equal(log_on_entry(h.client, t, &d), RK_OK);
	assert_int_equal(book_older(t, RK__OBJECT_TYPE__OBJECT_DIRECTORY, NULL, &serial, older, &older_wire), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	send_from(1, &sent[0]);
	h.log_index++;
	send_from(1, &sent[1]);
	assert_memory_equal(record_of(sent[0].wire.env_id)->directory.data, older, 32);
	assert_memory_equal(record_of(sent[1].wire.env_id)->directory.data, newest, 32);
	t = begin(false);
	assert_int_equal(book_older(t, RK__OBJECT_TYPE__OBJECT_DIRECTORY, NULL, &serial, older, &older_wire), RK_ENOTFOUND);
	env_abort(t);
}

/* Acts of after the disclosure come with the pickup that they precede, and not by themselves. */
static void a_pickup_adds_what_was_new(void **state)
{
	Rkl__EvidenceRecord *record;
	struct sent sent;

	(void)state;
	deal_conclude(&h, &deal);
	send_from(HOME_SELF, &sent);
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__TERMINATE, "over"));
	assert_int_equal(record_of(sent.wire.env_id)->n_acts, 3);
	home_deliver(&h, mail_on_pickup, pickup_by(&sent, 1), (struct bytes){0}, (struct bytes){0}, true);
	home_deliver(&h, mail_on_pickup, pickup_by(&sent, 1), (struct bytes){0}, (struct bytes){0}, true);
	record = record_of(sent.wire.env_id);
	assert_int_equal(record->n_acts, 4);
	assert_int_equal(record->n_pickups, 1);
	assert_int_equal(record->n_devices, 3);
	is_kept(OBJECT_KIND_PICKUP, record->pickups[0]);
}

static void a_refusal_is_kept(void **state)
{
	Rk__Nack *nack = fixed_nack(&h.f, 1, RK__NACK_REASON__NACK_UNOPENED, h.a);
	Rkl__EvidenceRecord *record;
	struct bytes wire;
	struct sent sent;
	struct txn *t;

	(void)state;
	deal_conclude(&h, &deal);
	send_from(HOME_SELF, &sent);
	nack->env_id = pb_of(bytes_make(sent.wire.env_id, 32));
	nack->nda_id = pb_of(BYTES_OF(deal.nda_id));
	assert_int_equal(object_make(OBJECT_KIND_NACK, h.f.exchange_id, h.f.orgs[1].device.sk, &nack->base, h.a, &wire), RK_OK);
	t = begin(true);
	assert_int_equal(evidence_on_nack(h.client, t, sent.wire.env_id, wire, h.log_index + 1), RK_OK);
	assert_int_equal(evidence_on_nack(h.client, t, sent.wire.env_id, wire, h.log_index + 1), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	record = record_of(sent.wire.env_id);
	assert_int_equal(record->n_nacks, 1);
	is_kept(OBJECT_KIND_NACK, record->nacks[0]);
}

static int open_salt(const uint8_t id[32], bool is_deposit, struct bytes *salt)
{
	struct txn *t = begin(false);
	int r = evidence_open_salt(h.client, t, id, is_deposit, h.a, salt);

	env_abort(t);
	return r;
}

static void the_salt_goes_with_the_dossiers_key(void **state)
{
	struct bytes message = fixed_message("secret", h.a), salt;
	uint8_t *plain, pc[32], key[32];
	struct sent sent;
	struct txn *t;
	size_t len;

	(void)state;
	deal_conclude(&h, &deal);
	send_from(1, &sent);
	assert_int_equal(open_salt(sent.wire.env_id, false, &salt), RK_ENOTFOUND);
	assert_int_equal(home_grant(&h, &deal, &sent, true), RK_OK);
	t = begin(true);
	assert_int_equal(mail_on_bulk(h.client, t, sent.wire.env_id, sent.wire.wraps, sent.wire.body), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(open_salt(sent.wire.env_id, false, &salt), RK_OK);
	assert_int_equal(salt.len, ENVELOPE_SALT_BYTES);
	assert_int_equal(envelope_plain(message, salt.data, h.a, &plain, &len), RK_OK);
	envelope_pc(pc, bytes_make(plain, len));
	assert_memory_equal(pc, sent.wire.pc, 32);
	assert_int_equal(keys_dossier_destroy(h.client, sent.wire.env_id), RK_OK);
	assert_int_equal(open_salt(sent.wire.env_id, false, &salt), RK_ENOTFOUND);
	/* Another key under the same name opens nothing. */
	assert_int_equal(keys_dossier(h.client, sent.wire.env_id, true, key), RK_OK);
	assert_int_equal(open_salt(sent.wire.env_id, false, &salt), RK_EINTEGRITY);
}

static void what_we_sent_keeps_its_salt_before_its_entry_comes(void **state)
{
	struct bytes salt;
	struct sent sent;
	struct txn *t;

	(void)state;
	deal_conclude(&h, &deal);
	home_seal(&h, home_header(&h, RK__KIND__NDA, HOME_SELF, &deal), HOME_SELF, fixed_message("ours", h.a), &sent);
	t = begin(true);
	assert_int_equal(mail_on_sent(h.client, t, sent.wire.head, sent.wire.wraps, sent.wire.body), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(open_salt(sent.wire.env_id, false, &salt), RK_OK);
	assert_null(record_of(sent.wire.env_id));
	home_deliver_sent(&h, &sent);
	assert_non_null(record_of(sent.wire.env_id));
	assert_int_equal(open_salt(sent.wire.env_id, false, &salt), RK_OK);
}

static void a_deposit_keeps_what_it_commits_to(void **state)
{
	Rk__Deposit *d = fixed_deposit(&h.f, 1, h.a);
	uint8_t salt[32], sha256[32];
	struct bytes wire, plain;
	struct object o;
	uint8_t oh[32];
	struct txn *t;

	(void)state;
	fixed_bytes(salt, sizeof(salt), "salt");
	fixed_bytes(sha256, sizeof(sha256), "file");
	assert_int_equal(object_make(OBJECT_KIND_DEPOSIT, h.f.exchange_id, h.f.orgs[1].device.sk, &d->base, h.a, &wire), RK_OK);
	assert_int_equal(object_parse(OBJECT_KIND_DEPOSIT, wire, h.a, &o), RK_OK);
	object_oh(oh, &o, h.f.exchange_id);
	t = begin(true);
	assert_int_equal(evidence_on_deposit(h.client, t, wire, h.log_index + 1, NULL, NULL), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(open_salt(oh, true, &plain), RK_ENOTFOUND);
	t = begin(true);
	assert_int_equal(evidence_on_deposit(h.client, t, wire, h.log_index + 1, salt, sha256), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_true(record_of(oh)->is_deposit);
	assert_int_equal(record_of(oh)->n_devices, 1);
	is_kept(OBJECT_KIND_DEPOSIT, record_of(oh)->object);
	assert_int_equal(open_salt(oh, true, &plain), RK_OK);
	assert_int_equal(plain.len, 64);
	assert_memory_equal(plain.data, salt, 32);
	assert_memory_equal(plain.data + 32, sha256, 32);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_envelope_takes_its_copies_at_once),
		TEST(what_was_logged_later_is_not_taken),
		TEST(a_pickup_adds_what_was_new),
		TEST(a_refusal_is_kept),
		TEST(the_salt_goes_with_the_dossiers_key),
		TEST(what_we_sent_keeps_its_salt_before_its_entry_comes),
		TEST(a_deposit_keeps_what_it_commits_to),
	};

	return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
