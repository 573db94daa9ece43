/*
 * From what a home kept to a receipt: with the leaves and proofs of its log, once they are there.  The receipt is checked by the
 * verifier, which knows nothing of the home.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/client_internal.h"
#include "client/evidence_internal.h"
#include "client/log.h"
#include "proto/strict.h"
#include "tests/unit/home_kit.h"
#include "tests/unit/log_kit.h"
#include "tests/unit/receipt_kit.h"

#define FIRST_MAIL_INDEX 20 /* trust objects have the indexes below */

static struct home h;
static struct deal deal;
static struct log_kit *ledger;
static struct sent sent;

/* One leaf, and what the broker delivered with it. */
static struct entry {
	struct delivery d;
} entries[FIRST_MAIL_INDEX + 40];

static int set_up(void **state)
{
	(void)state;
	memset(&deal, 0, sizeof(deal));
	memset(entries, 0, sizeof(entries));
	home_open(&h);
	h.log_index = FIRST_MAIL_INDEX;
	deal_init(&h, &deal);
	deal_finish(&h, &deal);
	assert_non_null(ledger = calloc(1, sizeof(*ledger)));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	home_close(&h);
	free(ledger);
	return 0;
}

static struct txn *begin(bool write)
{
	struct txn *t;

	assert_int_equal(env_begin(client_env(h.client), write, &t), RK_OK);
	return t;
}

static void note_entry(uint64_t index, Rk__EntryKind kind, struct bytes object)
{
	uint8_t *copy = fixed_alloc(h.a, object.len);

	memcpy(copy, object.data, object.len);
	entries[index].d = (struct delivery){.stream = stream_mailbox(h.org_id), .kind = kind, .time_ms = home_now_ms, .logged = true,
	                                     .log_index = index, .object = bytes_make(copy, object.len)};
}

/* ---- the history: an agreement, a dossier of ours, its pickup */

static void note_objects(const Rkl__EvidenceRecord *record)
{
	const ProtobufCBinaryData kept[] = {record->directory, record->devices[0], record->devices[1], record->devices[2]};
	struct txn *t = begin(false);
	struct bytes wire;
	uint64_t serial;
	uint8_t oh[32];

	assert_int_equal(book_newest(t, RK__OBJECT_TYPE__OBJECT_CHARTER, NULL, &serial, oh, &wire), RK_OK);
	note_entry(0, RK__ENTRY_KIND__ENTRY_CHARTER, wire);
	for (size_t i = 0; i < 4; i++) {
		uint8_t key[EVIDENCE_KEY_BYTES];

		evidence_key(key, EVIDENCE_OBJECT, kept[i].data);
		assert_int_equal(env_get(t, C_EVIDENCE, BYTES_OF(key), &wire), RK_OK);
		note_entry(3 * (i + 1), i == 0 ? RK__ENTRY_KIND__ENTRY_DIRECTORY : RK__ENTRY_KIND__ENTRY_ORG_DEVICES, wire);
	}
	env_abort(t);
}

static void note_agreement(void)
{
	struct agreement *ag = deal_load(&h, &deal);

	note_entry(ag->record->log_index, RK__ENTRY_KIND__ENTRY_NDA_TERMS, deal.terms_bytes);
	for (size_t i = 0; i < ag->act_count; i++)
		note_entry(ag->acts[i].log_index, RK__ENTRY_KIND__ENTRY_NDA_ACT, ag->details[i].wire);
}

/* In knowledge of which acts: those that there are, or of others. */
static void pick_up_knowing(int org, int64_t time_ms, bool knows)
{
	static const uint8_t other_acts[32] = {1};
	Rk__Pickup *p = fixed_pickup(&h.f, org, h.a);
	struct bytes wire;

	p->env_ids[0] = pb_of(bytes_make(sent.wire.env_id, 32));
	p->nda_id = pb_of(BYTES_OF(deal.nda_id));
	p->nda_set = pb_of(bytes_make(knows ? deal_load(&h, &deal)->row.nda_set : other_acts, 32));
	p->time = time_ms;
	assert_int_equal(object_make(OBJECT_KIND_PICKUP, h.f.exchange_id, h.f.orgs[org].device.sk, &p->base, h.a, &wire), RK_OK);
	home_deliver(&h, mail_on_pickup, wire, (struct bytes){0}, (struct bytes){0}, true);
	note_entry(h.log_index, RK__ENTRY_KIND__ENTRY_PICKUP, wire);
}

static void pick_up(int org, int64_t time_ms)
{
	pick_up_knowing(org, time_ms, true);
}

static struct receipt_kit attachments; /* of what is sent, if there are any */

static void send_ours(void)
{
	Rk__EnvelopeHeader *header;
	struct bytes message;
	struct txn *t;

	deal_conclude(&h, &deal);
	header = home_header(&h, RK__KIND__NDA, HOME_SELF, &deal);
	attachments.arena = h.a;
	message = attachments.attachment_count > 0 ? receipt_kit_attach(&attachments, header) : fixed_message("ours", h.a);
	home_seal(&h, header, HOME_SELF, message, &sent);
	t = begin(true);
	assert_int_equal(mail_on_sent(h.client, t, sent.wire.head, sent.wire.wraps, sent.wire.body), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	home_deliver_sent(&h, &sent);
	note_entry(h.log_index, RK__ENTRY_KIND__ENTRY_ENVELOPE, sent.wire.head);
}

static void make_history(void)
{
	Rkl__EvidenceRecord *record;
	struct txn *t;

	send_ours();
	pick_up(1, home_now_ms);
	/* The same device once more, as it can beside another dossier: no receipt may fail by that. */
	pick_up(1, home_now_ms + 1);
	t = begin(false);
	assert_int_equal(evidence_load(t, sent.wire.env_id, h.a, &record), RK_OK);
	env_abort(t);
	assert_int_equal(record->n_devices, 3);
	assert_int_equal(record->n_pickups, 2);
	note_objects(record);
	note_agreement();
}

/* ---- the log */

/* The leaf of an entry, as the broker writes it. */
static void add_leaf(const struct delivery *d)
{
	static const struct { Rk__EntryKind entry; enum object_kind kind; } kinds[] = {
		{RK__ENTRY_KIND__ENTRY_CHARTER, OBJECT_KIND_CHARTER}, {RK__ENTRY_KIND__ENTRY_DIRECTORY, OBJECT_KIND_DIRECTORY},
		{RK__ENTRY_KIND__ENTRY_ORG_DEVICES, OBJECT_KIND_ORG_DEVICES}, {RK__ENTRY_KIND__ENTRY_NDA_ACT, OBJECT_KIND_NDA_ACT},
		{RK__ENTRY_KIND__ENTRY_ENVELOPE, OBJECT_KIND_ENVELOPE}, {RK__ENTRY_KIND__ENTRY_PICKUP, OBJECT_KIND_PICKUP}};
	struct object o;
	uint8_t oh[32];

	if (d->kind == RK__ENTRY_KIND__ENTRY_NDA_TERMS) {
		log_kit_add(ledger, RK__LOG_TYPE__LOG_NDA_TERMS, d->time_ms, deal.nda_id);
		return;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (kinds[i].entry != d->kind)
			continue;
		assert_int_equal(object_parse(kinds[i].kind, d->object, h.a, &o), RK_OK);
		object_oh(oh, &o, h.f.exchange_id);
		log_kit_add(ledger, object_info(o.kind)->log_type, d->time_ms, oh);
		return;
	}
	log_kit_fill(ledger, 1, 1);
}

static void write_log(void)
{
	log_kit_init(ledger, &h.f, 1);
	for (uint64_t i = 0; i <= h.log_index; i++)
		add_leaf(&entries[i].d);
	log_kit_fill(ledger, 3, 1);
}

static void tell_entries_from(uint64_t first, uint64_t end)
{
	struct txn *t = begin(true);

	for (uint64_t i = first; i < end; i++)
		if (entries[i].d.object.data)
			assert_int_equal(log_on_entry(h.client, t, &entries[i].d), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static void tell_entries(void)
{
	tell_entries_from(0, h.log_index + 1);
}

/* Asks until nothing is to be asked. */
static void prove_all(void)
{
	struct log_kit_answer *a = calloc(1, sizeof(*a));
	struct log_question q;

	assert_non_null(a);
	for (int i = 0; i < 100; i++) {
		struct txn *t = begin(true);
		bool any = log_next_question(h.client, t, i == 0, &q);

		if (any) {
			memset(a, 0, sizeof(*a));
			log_kit_answer(ledger, q.size, q.from_size, q.indexes, q.index_count, h.a, a);
			assert_int_equal(a->code, RK_OK);
			assert_int_equal(log_on_answer(h.client, t, &q, &a->reply, log_kit_pack(a, h.a)), RK_OK);
		}
		assert_int_equal(env_commit(t), RK_OK);
		if (!any)
			break;
	}
	free(a);
}

/* ---- receipts */

static struct evidence_lack lack;
static struct receipt out;

static struct bytes archive;

/* Verified by itself where it is whole: attachments follow. */
static int make_showing(enum evidence_content content)
{
	struct txn *t = begin(false);
	int r = evidence_receipt(h.client, t, sent.wire.env_id, content, (struct bytes){0}, h.a, &archive, &out, &lack);

	env_abort(t);
	assert_true((r == RK_OK) == (archive.data != NULL));
	if (r == RK_OK && !out.has_attachments)
		assert_int_equal(receipt_verify(archive, h.f.exchange_id, h.a, &out), RK_OK);
	return r;
}

static int make(bool with_content)
{
	return make_showing(with_content ? EVIDENCE_ATTACHMENTS : EVIDENCE_BARE);
}

static void a_receipt_waits_for_the_proofs(void **state)
{
	(void)state;
	make_history();
	write_log();
	assert_int_equal(make(false), RK_ENOTFOUND);
	assert_string_equal(lack.part, "charter");
	assert_int_equal(lack.why, EVIDENCE_NO_LEAF);
	tell_entries();
	assert_int_equal(make(false), RK_ENOTFOUND);
	assert_string_equal(lack.part, "charter");
	assert_int_equal(lack.why, EVIDENCE_NO_PROOF);
	prove_all();
	assert_int_equal(make(false), RK_OK);
	assert_int_equal(out.level, RECEIPT_PICKED_UP);
	assert_int_equal(lack.left_out, 0);
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
	assert_string_equal(out.message->text, "ours");
	assert_memory_equal(out.id, sent.wire.env_id, 32);
	assert_memory_equal(out.pickups[0].org_id, h.f.orgs[1].org_id, 16);
}

/* An act that was logged after the last pickup changes nothing. */
static void what_came_later_is_not_shown(void **state)
{
	(void)state;
	make_history();
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__TERMINATE, "over"));
	note_agreement();
	write_log();
	tell_entries();
	prove_all();
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
}

/* Objects whose copies the record names, after a history that make_history did not write. */
static void note_all(void)
{
	Rkl__EvidenceRecord *record;
	struct txn *t = begin(false);

	assert_int_equal(evidence_load(t, sent.wire.env_id, h.a, &record), RK_OK);
	env_abort(t);
	note_objects(record);
	note_agreement();
}

/* Nor does what is not proven yet keep anything back that does not need it. */
static void what_came_later_need_not_be_proven(void **state)
{
	uint64_t known;

	(void)state;
	make_history();
	known = h.log_index + 1;
	deal_deliver_act(&h, deal_act(&h, &deal, 2, RK__ACT_KIND__TERMINATE, "over"));
	pick_up(1, home_now_ms + 2);
	note_agreement();
	write_log();
	tell_entries_from(0, known);
	prove_all();
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(out.pickup_count, 1);
	assert_int_equal(lack.left_out, 1);
	tell_entries_from(known, h.log_index + 1);
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(lack.left_out, 1);
	prove_all();
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(out.pickup_count, 1);
	assert_int_equal(lack.left_out + lack.bad_pickups, 0);
}

/* One that its signer, or the exchange, got wrong is left out and counted; the same device's next one is shown. */
static void an_answer_that_does_not_prove_itself_is_left_out(void **state)
{
	(void)state;
	send_ours();
	pick_up_knowing(1, home_now_ms, false);
	note_all();
	write_log();
	tell_entries();
	prove_all();
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(out.level, RECEIPT_LODGED);
	assert_int_equal(lack.bad_pickups, 1);
	assert_int_equal(lack.left_out, 0);
}

static void the_next_answer_of_the_same_device_is_shown(void **state)
{
	(void)state;
	send_ours();
	for (int i = 0; i < 3; i++)
		pick_up_knowing(1, home_now_ms + i, false);
	pick_up(1, home_now_ms + 3);
	note_all();
	write_log();
	tell_entries();
	prove_all();
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
	assert_int_equal(out.pickup_count, 1);
	assert_int_equal(out.pickups[0].event.index, h.log_index);
	assert_int_equal(lack.bad_pickups, 3);
	assert_int_equal(lack.bad_nacks + lack.left_out, 0);
}

static void attachments_are_shown_with_their_keys_or_only_named(void **state)
{
	static const size_t lens[] = {3, 70000};

	(void)state;
	attachments.attachment_lens = lens;
	attachments.attachment_count = 2;
	make_history();
	write_log();
	tell_entries();
	prove_all();
	attachments.attachment_count = 0;
	assert_int_equal(make_showing(EVIDENCE_MESSAGE), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
	assert_false(out.has_attachments);
	assert_int_equal(out.attachments[1]->plain_len, 70000);
	assert_int_equal(make_showing(EVIDENCE_BARE), RK_OK);
	assert_null(out.attachments[1]);
	assert_int_equal(make_showing(EVIDENCE_ATTACHMENTS), RK_OK);
	assert_true(out.has_attachments);
	archive = receipt_kit_tail(&attachments, archive, &out, attachments.blobs);
	assert_int_equal(receipt_verify(archive, h.f.exchange_id, h.a, &out), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
}

static void a_destroyed_key_leaves_a_receipt_without_content(void **state)
{
	(void)state;
	make_history();
	write_log();
	tell_entries();
	prove_all();
	assert_int_equal(keys_dossier_destroy(h.client, sent.wire.env_id), RK_OK);
	assert_int_equal(make(true), RK_ENOTFOUND);
	assert_string_equal(lack.part, "body_plain");
	assert_int_equal(lack.why, EVIDENCE_NO_COPY);
	assert_int_equal(make(false), RK_OK);
	assert_int_equal(out.level, RECEIPT_PICKED_UP);
}

/* The next charter, by which another log goes on from what there is. */
static void begin_another_log(void)
{
	struct delivery d = {.stream = stream_control(), .kind = RK__ENTRY_KIND__ENTRY_CHARTER, .time_ms = home_now_ms, .logged = true};
	Rk__Charter *c = fixed_charter(&h.f, h.a);
	char name[NOTE_NAME_CHARS], vkey[NOTE_VKEY_CHARS];
	struct txn *t = begin(true);

	note_origin(name, h.f.exchange_id, 2);
	assert_int_equal(note_vkey(vkey, name, NOTE_TYPE_LOG, h.f.log.pk), RK_OK);
	c->serial = 2;
	c->issued_at++;
	c->log_vkey = vkey;
	c->prev_checkpoint = pb_of(log_kit_note(ledger, h.log_index, 0, h.a));
	assert_int_equal(object_make(OBJECT_KIND_CHARTER, h.f.exchange_id, h.f.root.sk, &c->base, h.a, &d.object), RK_OK);
	assert_int_equal(book_on_control(h.client, t, &d), RK_OK);
	d.log_index = ++h.log_index;
	entries[d.log_index].d = d;
	assert_int_equal(log_on_entry(h.client, t, &d), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

/* A receipt is of one log: of the old one until the next has proven what it took over. */
static void another_log_proves_what_it_took_over(void **state)
{
	(void)state;
	make_history();
	write_log();
	tell_entries();
	prove_all();
	begin_another_log();
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(out.charter->serial, 1);
	write_log();
	ledger->number = 2;
	prove_all();
	assert_int_equal(make(true), RK_OK);
	assert_int_equal(out.charter->serial, 2);
	assert_int_equal(out.level, RECEIPT_OPENED);
}

static void nothing_is_known_of_others(void **state)
{
	(void)state;
	memset(&sent, 0, sizeof(sent));
	assert_int_equal(make(false), RK_ENOTFOUND);
	assert_string_equal(lack.part, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_receipt_waits_for_the_proofs),
		TEST(what_came_later_is_not_shown),
		TEST(what_came_later_need_not_be_proven),
		TEST(an_answer_that_does_not_prove_itself_is_left_out),
		TEST(the_next_answer_of_the_same_device_is_shown),
		TEST(attachments_are_shown_with_their_keys_or_only_named),
		TEST(a_destroyed_key_leaves_a_receipt_without_content),
		TEST(another_log_proves_what_it_took_over),
		TEST(nothing_is_known_of_others),
	};

	return cmocka_run_group_tests_name("receipts of a home", tests, NULL, NULL);
}
