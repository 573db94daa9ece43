/*
 * Receipts: what the histories of a small exchange prove, and every check made to fail on purpose, by somebody who holds the keys that
 * he would need and signs and hashes again what he bends.  The step that must notice stands in the row.
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
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/object.h"
#include "proto/receipt.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/receipt_kit.h"

#define HOUR RECEIPT_KIT_HOUR_MS
#define DAY NDA_DAY_MS
#define START RECEIPT_KIT_START_MS
#define BUDGET (8u << 20)
#define ACCEPT RK__ACT_KIND__ACCEPT

static struct arena *arena;

static int prepare(void **state)
{
	(void)state;
	arena = arena_new(BUDGET);
	return arena ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static ProtobufCBinaryData copy_of(struct receipt_kit *k, const uint8_t *data, size_t len)
{
	uint8_t *copy = fixed_alloc(k->arena, len);

	memcpy(copy, data, len);
	return pb_of(bytes_make(copy, len));
}

/* ---- what is proven */

static enum receipt_level level_of(struct receipt_kit *k, struct receipt *out)
{
	struct bytes archive, again;
	struct receipt twice;

	arena_reset(arena, BUDGET);
	archive = receipt_kit_make(k, arena);
	assert_int_equal(receipt_verify(archive, k->f.exchange_id, arena, out), RK_OK);
	/* The same parts give the same bytes. */
	assert_int_equal(receipt_make(&k->parts, arena, &again, &twice), RK_OK);
	assert_true(bytes_equal(archive, again));
	for (size_t i = 0; i < out->check_count; i++)
		assert_int_equal(out->checks[i].code, RK_OK);
	return out->level;
}

/* The charter of another log is younger than what that log took over. */
static const struct kit_step charter_renewed[] = {
	{KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_DIRECTORY, 0, 0, 16 * DAY}, {KIT_TERMS, 1, 0, 17 * DAY},
	{KIT_ACT, 1, RK__ACT_KIND__ACCEPT, 17 * DAY}, {KIT_ACT, 2, RK__ACT_KIND__ACCEPT, 18 * DAY}, {KIT_ENVELOPE, 1, 0, START + HOUR},
	{KIT_CHARTER, 0, 0, START + HOUR}, {KIT_PICKUP, 2, 0, START + 2 * HOUR}, {KIT_END, 0, 0, 0}};

static void levels(void **state)
{
	static const struct {
		const char *name;
		const struct kit_step *steps;
		bool has_content, is_three, is_one_way;
		enum receipt_level level;
	} rows[] = {
		{"lodged", receipt_kit_lodged, false, false, false, RECEIPT_LODGED},
		{"lodged, content shown", receipt_kit_lodged, true, false, false, RECEIPT_LODGED},
		{"picked up", receipt_kit_plain, false, false, false, RECEIPT_PICKED_UP},
		{"opened", receipt_kit_plain, true, false, false, RECEIPT_OPENED},
		{"a charter renewed in between", charter_renewed, true, false, false, RECEIPT_OPENED},
		{"one way", receipt_kit_plain, true, false, true, RECEIPT_OPENED},
		{"held and resumed", receipt_kit_held, true, false, false, RECEIPT_OPENED},
		{"three parties, terminated, one could not open", receipt_kit_three, true, true, false, RECEIPT_OPENED},
		{"three parties without content", receipt_kit_three, false, true, true, RECEIPT_PICKED_UP},
		{"a deposit", receipt_kit_deposit, false, false, false, RECEIPT_LODGED},
		{"a deposit and its file", receipt_kit_deposit, true, false, false, RECEIPT_OPENED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct receipt_kit k = {.steps = rows[i].steps, .has_content = rows[i].has_content, .is_three = rows[i].is_three,
		                        .is_one_way = rows[i].is_one_way};
		struct receipt out;

		if (level_of(&k, &out) != rows[i].level)
			fail_msg("%s: %s", rows[i].name, receipt_level_name(out.level));
	}
}

static void what_it_says(void **state)
{
	struct receipt_kit k = {.steps = receipt_kit_three, .is_three = true, .has_content = true};
	struct receipt out;

	(void)state;
	assert_int_equal(level_of(&k, &out), RECEIPT_OPENED);
	assert_memory_equal(out.id, k.env_id, 32);
	assert_memory_equal(out.sender_org, k.f.orgs[1].org_id, 16);
	assert_memory_equal(out.sender_device->device_id.data, k.f.orgs[1].device_id, 16);
	assert_int_equal(out.event.time_ms, FIXED_TIME_MS + START + HOUR);
	assert_int_equal(out.event.witness_ms, FIXED_TIME_MS + START + 6 * HOUR);
	assert_int_equal(out.event.index, k.envelope.index[0]);
	assert_int_equal(out.pickup_count, 2);
	assert_memory_equal(out.pickups[0].org_id, k.f.orgs[2].org_id, 16);
	assert_memory_equal(out.pickups[1].org_id, k.f.orgs[0].org_id, 16);
	assert_int_equal(out.nack_count, 1);
	assert_memory_equal(out.nacks[0].org_id, k.f.orgs[2].org_id, 16);
	assert_false(out.nacks[0].is_declined);
	assert_string_equal(out.message->text, "How hot the kiln must be.");
}

/* Each checkpoint is enough by itself; without the witness no time but the broker's; and a tree of ten million leaves. */
static void proofs_of_all_kinds(void **state)
{
	struct receipt_kit many = {.steps = receipt_kit_plain, .has_many_checkpoints = true};
	struct receipt_kit plain = {.steps = receipt_kit_plain, .is_uncosigned = true};
	struct receipt_kit deep = {.steps = receipt_kit_plain, .deep_size = 10 * 1000 * 1000};
	struct receipt out;

	(void)state;
	assert_int_equal(level_of(&many, &out), RECEIPT_PICKED_UP);
	assert_int_equal(level_of(&plain, &out), RECEIPT_PICKED_UP);
	assert_int_equal(out.event.witness_ms, 0);
	assert_int_equal(level_of(&deep, &out), RECEIPT_PICKED_UP);
}

static void a_refusal_by_the_only_reader_is_not_opened(void **state)
{
	static const struct kit_step steps[] = {
		{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_DIRECTORY, 0, 0, 16 * DAY},
		{KIT_TERMS, 1, 0, 17 * DAY}, {KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ACT, 2, ACCEPT, 17 * DAY},
		{KIT_ENVELOPE, 1, 0, START}, {KIT_PICKUP, 2, 0, START}, {KIT_NACK, 2, RK__NACK_REASON__NACK_UNOPENED, START},
		{KIT_END, 0, 0, 0}};
	struct receipt_kit k = {.steps = steps, .has_content = true};
	struct receipt out;

	(void)state;
	assert_int_equal(level_of(&k, &out), RECEIPT_PICKED_UP);
}

#define ACCEPTED \
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_DIRECTORY, 0, 0, 16 * DAY}, \
	{KIT_TERMS, 1, 0, 17 * DAY}, {KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ACT, 2, ACCEPT, 17 * DAY}

static const struct kit_step while_held[] = {
	ACCEPTED, {KIT_ACT, 2, RK__ACT_KIND__HOLD, 18 * DAY}, {KIT_ENVELOPE, 1, 0, START}, {KIT_PICKUP, 2, 0, START}, {KIT_END, 0, 0, 0}};

static void no_notice_period(struct receipt_kit *k, const struct kit_step *s, ProtobufCMessage *m, const uint8_t **sk)
{
	(void)k;
	(void)sk;
	if (s->what == KIT_TERMS)
		((Rk__NdaTerms *)m)->notice_days = 0;
}

static const struct kit_step after_the_end[] = {
	ACCEPTED, {KIT_ACT, 2, RK__ACT_KIND__TERMINATE, 18 * DAY}, {KIT_ENVELOPE, 1, 0, START}, {KIT_PICKUP, 2, 0, START},
	{KIT_END, 0, 0, 0}};

static void notices_pass_where_dossiers_do_not(void **state)
{
	struct receipt_kit held = {.steps = while_held, .kind = RK__KIND__NDA_NOTICE, .has_content = true};
	struct receipt_kit ended = {.steps = after_the_end, .kind = RK__KIND__NDA_NOTICE, .bend = no_notice_period};
	struct receipt out;

	(void)state;
	assert_int_equal(level_of(&held, &out), RECEIPT_OPENED);
	assert_int_equal(level_of(&ended, &out), RECEIPT_PICKED_UP);
}

static void replies_against_the_direction(struct receipt_kit *k, const struct kit_step *s, ProtobufCMessage *m, const uint8_t **sk)
{
	Rk__NdaTerms *t = (Rk__NdaTerms *)m;
	Rk__EnvelopeHeader *h = (Rk__EnvelopeHeader *)m;

	(void)sk;
	if (s->what == KIT_TERMS)
		t->parties[0]->may_disclose = 0;
	if (s->what == KIT_ENVELOPE) {
		h->reply_only = 1;
		h->thread_id = copy_of(k, k->f.orgs[1].org_id, 16);
	}
}

static void a_reply_that_holds_no_secret(void **state)
{
	struct receipt_kit k = {.steps = receipt_kit_plain, .bend = replies_against_the_direction};
	struct receipt out;

	(void)state;
	assert_int_equal(level_of(&k, &out), RECEIPT_PICKED_UP);
}

/* ---- bending */

#define BEND(name) \
	static void name(struct receipt_kit *k, const struct kit_step *s, ProtobufCMessage *m, const uint8_t **sk)
#define ON(step) \
	(void)k; \
	(void)m; \
	(void)sk; \
	if (s->what != (step)) \
	return

BEND(charter_by_another)
{
	ON(KIT_CHARTER);
	*sk = k->f.secretariat.sk;
}
BEND(charter_of_a_newer_suite)
{
	ON(KIT_CHARTER);
	((Rk__Charter *)m)->min_suite = 2;
}
BEND(directory_by_the_witness)
{
	ON(KIT_DIRECTORY);
	*sk = k->f.witness.sk;
}
BEND(secretariat_key_not_yet_valid)
{
	ON(KIT_CHARTER);
	((Rk__Charter *)m)->secretariat_keys[0]->not_before = FIXED_TIME_MS + 20 * DAY;
}
BEND(log_key_swapped)
{
	ON(KIT_DIRECTORY);
	fixed_sign_key(&k->f.log, "another log");
}
BEND(witness_key_swapped)
{
	ON(KIT_DIRECTORY);
	fixed_sign_key(&k->f.witness, "another witness");
}
/* A rogue secretariat gives org 2 a key of its own, with a list and an acceptance by it. */
BEND(org_key_swapped)
{
	static struct fixed_sign rogue;

	(void)sk;
	fixed_sign_key(&rogue, "rogue");
	if (s->what == KIT_DIRECTORY)
		((Rk__Directory *)m)->orgs[2]->org_pk = copy_of(k, rogue.pk, 32);
	if (s->org == 2 && (s->what == KIT_DEVICES || s->what == KIT_ACT))
		*sk = rogue.sk;
}
BEND(recipient_suspended)
{
	ON(KIT_DIRECTORY);
	((Rk__Directory *)m)->orgs[2]->status = RK__ORG_STATUS__SUSPENDED;
}
BEND(directory_knows_a_newer_list)
{
	ON(KIT_DIRECTORY);
	((Rk__Directory *)m)->orgs[1]->min_devices_serial = 2;
}
BEND(devices_by_another)
{
	ON(KIT_DEVICES);
	if (s->org == 2)
		*sk = k->f.orgs[1].org.sk;
}
BEND(terms_of_another_exchange)
{
	ON(KIT_TERMS);
	((Rk__NdaTerms *)m)->exchange_id = copy_of(k, k->f.ek, 32);
}
BEND(accepted_by_a_device)
{
	ON(KIT_ACT);
	if (s->org == 2)
		*sk = k->f.orgs[2].device.sk;
}
BEND(accepts_another_agreement)
{
	ON(KIT_ACT);
	if (s->org == 2)
		((Rk__NdaAct *)m)->nda_id = copy_of(k, k->f.ek, 32);
}
BEND(held_by_a_stranger)
{
	ON(KIT_ACT);
	if (s->arg == RK__ACT_KIND__HOLD) {
		((Rk__NdaAct *)m)->device_id = copy_of(k, k->f.orgs[1].device_id, 16);
		*sk = k->f.orgs[1].device.sk;
	}
}
BEND(disclosed_by_an_unlisted_key)
{
	ON(KIT_ENVELOPE);
	*sk = k->f.root.sk;
}
/* The device left before it sent; another one of the organisation stays. */
BEND(device_retired)
{
	Rk__OrgDevices *list = (Rk__OrgDevices *)m;
	Rk__Device **both = fixed_alloc(k->arena, 2 * sizeof(*both)), *other = fixed_alloc(k->arena, sizeof(*other));
	struct fixed_sign key;
	struct fixed_box curve;
	uint8_t id[16];

	ON(KIT_DEVICES);
	if (s->org != 1)
		return;
	fixed_sign_key(&key, "second device");
	fixed_box_key(&curve, "second curve");
	ids_device(id, key.pk);
	*other = *list->devices[0];
	other->device_id = copy_of(k, id, 16);
	other->sign_pk = copy_of(k, key.pk, 32);
	other->curve_pk = copy_of(k, curve.pk, 32);
	list->devices[0]->retired_at = FIXED_TIME_MS + START + HOUR;
	both[0] = list->devices[0];
	both[1] = other;
	list->devices = both;
	list->n_devices = 2;
}
BEND(says_other_acts)
{
	ON(KIT_ENVELOPE);
	((Rk__EnvelopeHeader *)m)->nda_set = copy_of(k, k->f.ek, 32);
}
BEND(names_another_agreement)
{
	ON(KIT_ENVELOPE);
	((Rk__EnvelopeHeader *)m)->nda_id = copy_of(k, k->f.ek, 32);
}
BEND(unmarked)
{
	ON(KIT_ENVELOPE);
	((Rk__EnvelopeHeader *)m)->marking = RK__MARKING__UNMARKED;
}
BEND(direction_reversed)
{
	ON(KIT_TERMS);
	((Rk__NdaTerms *)m)->parties[0]->may_disclose = 0;
}
BEND(to_a_stranger)
{
	ON(KIT_ENVELOPE);
	((Rk__EnvelopeHeader *)m)->recipients[0]->org_id = copy_of(k, k->f.orgs[0].org_id, 16);
}
BEND(picked_up_by_the_sender)
{
	ON(KIT_PICKUP);
	((Rk__Pickup *)m)->device_id = copy_of(k, k->f.orgs[1].device_id, 16);
	*sk = k->f.orgs[1].device.sk;
}
BEND(picked_up_by_another_key)
{
	ON(KIT_PICKUP);
	*sk = k->f.orgs[1].device.sk;
}
BEND(picks_up_another)
{
	ON(KIT_PICKUP);
	((Rk__Pickup *)m)->env_ids[0] = copy_of(k, k->f.ek, 32);
}
BEND(picks_up_under_another_agreement)
{
	ON(KIT_PICKUP);
	((Rk__Pickup *)m)->nda_id = copy_of(k, k->f.ek, 32);
}
BEND(names_another_directory)
{
	ON(KIT_ENVELOPE);
	((Rk__EnvelopeHeader *)m)->directory_serial++;
}
BEND(picker_knows_other_acts)
{
	ON(KIT_PICKUP);
	((Rk__Pickup *)m)->nda_set = copy_of(k, k->f.ek, 32);
}
BEND(refuses_another)
{
	ON(KIT_NACK);
	((Rk__Nack *)m)->env_id = copy_of(k, k->f.ek, 32);
}
BEND(refuses_without_reason)
{
	ON(KIT_NACK);
	((Rk__Nack *)m)->reason = RK__NACK_REASON__NACK_NONE;
}
BEND(deposited_by_another)
{
	ON(KIT_DEPOSIT);
	*sk = k->f.orgs[2].device.sk;
}
BEND(commits_to_another_file)
{
	ON(KIT_DEPOSIT);
	((Rk__Deposit *)m)->commit = copy_of(k, k->f.ek, 32);
}

#define BEND_ENTRY(name) \
	static void name(struct receipt_kit *k, const struct kit_step *s, unsigned *type, int64_t *time_ms, uint8_t oh[32])
#define ENTRY_ON(step) \
	(void)k; \
	(void)type; \
	(void)time_ms; \
	(void)oh; \
	if (s->what != (step)) \
	return

BEND_ENTRY(entry_of_other_terms)
{
	ENTRY_ON(KIT_TERMS);
	oh[0] ^= 1;
}
BEND_ENTRY(entry_of_another_type)
{
	ENTRY_ON(KIT_PICKUP);
	*type = RK__LOG_TYPE__LOG_DISCLOSURE;
}
BEND_ENTRY(time_falls)
{
	ENTRY_ON(KIT_PICKUP);
	*time_ms -= 2 * HOUR;
}

/* Parts changed after all is signed and proven. */
typedef void change(struct receipt_kit *);

static void act_hidden(struct receipt_kit *k)
{
	k->parts.act_count--;
}
static void lists_swapped(struct receipt_kit *k)
{
	struct receipt_object moved = k->devices.objects[0];

	k->devices.objects[0] = k->devices.objects[1];
	k->devices.objects[1] = moved;
}
static void list_left_out(struct receipt_kit *k)
{
	k->parts.device_count = 1;
}
static void proof_of_another(struct receipt_kit *k)
{
	k->parts.envelope.proof = k->parts.terms.proof;
}
/* The log's key signs another tree of the same size, in which our leaf stands too. */
static void forked(struct receipt_kit *k)
{
	k->deep_size = k->edge.size - k->envelope.index[0];
	receipt_kit_prove(k, &k->parts.envelope, k->envelope.index[0]);
}
static void two_at_one_index(struct receipt_kit *k)
{
	k->deep_size = 1000;
	receipt_kit_prove(k, &k->pickups.objects[0], k->envelope.index[0]);
}
static void line_of_another_key(struct receipt_kit *k)
{
	static const char line[] = "\xe2\x80\x94 other AAAAAAAA\n";
	struct bytes old = k->parts.envelope.proof;
	uint8_t *text = fixed_alloc(k->arena, old.len + sizeof(line));

	memcpy(text, old.data, old.len);
	memcpy(text + old.len, line, sizeof(line) - 1);
	k->parts.envelope.proof = bytes_make(text, old.len + sizeof(line) - 1);
}
/* S + L: the same equation, other bytes. */
static void malleable(struct receipt_kit *k)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	                                  [31] = 0x10};
	uint8_t *sig = copy_of(k, k->parts.charter.sig.data, 64).data;
	unsigned carry = 0;

	for (size_t i = 0; i < 32; i++) {
		carry += (unsigned)sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	k->parts.charter.sig = bytes_make(sig, 64);
}
static void other_body(struct receipt_kit *k)
{
	uint8_t *plain = copy_of(k, k->parts.body_plain.data, k->parts.body_plain.len).data;

	plain[40] ^= 1;
	k->parts.body_plain = bytes_make(plain, k->parts.body_plain.len);
}
static void shorter_body(struct receipt_kit *k)
{
	k->parts.body_plain.len -= 1;
}
static void other_document(struct receipt_kit *k)
{
	k->parts.document = bytes_str("Both keep secret what they show each othex.\n");
}
static void document_without_cover(struct receipt_kit *k)
{
	k->parts.cover = bytes_make(NULL, 0);
}
static void other_file(struct receipt_kit *k)
{
	k->parts.file = bytes_str("What we had after.\n");
}
static void no_deposit_plain(struct receipt_kit *k)
{
	k->parts.deposit_plain = bytes_make(NULL, 0);
}

/* ---- histories that must not be */

static const struct kit_step not_accepted[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_DIRECTORY, 0, 0, 16 * DAY},
	{KIT_TERMS, 1, 0, 17 * DAY}, {KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ENVELOPE, 1, 0, START}, {KIT_END, 0, 0, 0}};
static const struct kit_step accepted_later[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_DIRECTORY, 0, 0, 16 * DAY},
	{KIT_TERMS, 1, 0, 17 * DAY}, {KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ENVELOPE, 1, 0, 18 * DAY}, {KIT_ACT, 2, ACCEPT, 18 * DAY},
	{KIT_PICKUP, 2, 0, START}, {KIT_END, 0, 0, 0}};
static const struct kit_step accepted_too_late[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_DIRECTORY, 0, 0, 16 * DAY},
	{KIT_TERMS, 1, 0, 17 * DAY}, {KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ACT, 2, ACCEPT, 20 * DAY}, {KIT_ENVELOPE, 1, 0, START},
	{KIT_END, 0, 0, 0}};
static const struct kit_step accepted_twice[] = {
	ACCEPTED, {KIT_ACT, 2, ACCEPT, 18 * DAY}, {KIT_ENVELOPE, 1, 0, START}, {KIT_END, 0, 0, 0}};
static const struct kit_step too_early[] = {ACCEPTED, {KIT_ENVELOPE, 1, 0, START - 1}, {KIT_END, 0, 0, 0}};
static const struct kit_step directory_too_old[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, 0}, {KIT_DEVICES, 2, 0, 0}, {KIT_DIRECTORY, 0, 0, START - 14 * DAY},
	{KIT_TERMS, 1, 0, 17 * DAY}, {KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ACT, 2, ACCEPT, 17 * DAY}, {KIT_ENVELOPE, 1, 0, START},
	{KIT_END, 0, 0, 0}};
static const struct kit_step directory_after[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_TERMS, 1, 0, 17 * DAY},
	{KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ACT, 2, ACCEPT, 17 * DAY}, {KIT_ENVELOPE, 1, 0, START}, {KIT_DIRECTORY, 0, 0, START},
	{KIT_END, 0, 0, 0}};
static const struct kit_step list_after[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_DIRECTORY, 0, 0, 16 * DAY}, {KIT_TERMS, 1, 0, 17 * DAY},
	{KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ACT, 2, ACCEPT, 17 * DAY}, {KIT_ENVELOPE, 1, 0, START}, {KIT_DEVICES, 1, 0, START},
	{KIT_END, 0, 0, 0}};
static const struct kit_step terms_after[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_DIRECTORY, 0, 0, 16 * DAY},
	{KIT_TERMS, 1, 0, 17 * DAY}, {KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ACT, 2, ACCEPT, 17 * DAY}, {KIT_ENVELOPE, 1, 0, START},
	{KIT_END, 0, 0, 0}};
static const struct kit_step picked_up_expired[] = {
	ACCEPTED, {KIT_ENVELOPE, 1, 0, START}, {KIT_PICKUP, 2, 0, START + 10 * DAY}, {KIT_END, 0, 0, 0}};
static const struct kit_step picked_up_terminated[] = {
	ACCEPTED, {KIT_ENVELOPE, 1, 0, START}, {KIT_ACT, 1, RK__ACT_KIND__TERMINATE, START}, {KIT_PICKUP, 2, 0, START}, {KIT_END, 0, 0, 0}};
static const struct kit_step picked_up_held[] = {
	ACCEPTED, {KIT_ENVELOPE, 1, 0, START}, {KIT_ACT, 1, RK__ACT_KIND__HOLD, START}, {KIT_PICKUP, 2, 0, START}, {KIT_END, 0, 0, 0}};
static const struct kit_step declined_then_picked_up[] = {
	ACCEPTED, {KIT_ENVELOPE, 1, 0, START}, {KIT_NACK, 2, RK__NACK_REASON__NACK_DECLINED, START}, {KIT_PICKUP, 2, 0, START},
	{KIT_END, 0, 0, 0}};
static const struct kit_step refused[] = {
	ACCEPTED, {KIT_ENVELOPE, 1, 0, START}, {KIT_NACK, 2, RK__NACK_REASON__NACK_DECLINED, START}, {KIT_END, 0, 0, 0}};
static const struct kit_step picked_up_twice[] = {
	ACCEPTED, {KIT_ENVELOPE, 1, 0, START}, {KIT_PICKUP, 2, 0, START}, {KIT_PICKUP, 2, 0, START + 1}, {KIT_END, 0, 0, 0}};
static const struct kit_step act_too_many[] = {
	ACCEPTED, {KIT_ENVELOPE, 1, 0, START}, {KIT_ACT, 1, RK__ACT_KIND__TERMINATE, START}, {KIT_END, 0, 0, 0}};
static const struct kit_step list_too_many[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 0, 0, HOUR}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR},
	{KIT_DIRECTORY, 0, 0, 16 * DAY}, {KIT_TERMS, 1, 0, 17 * DAY}, {KIT_ACT, 1, ACCEPT, 17 * DAY}, {KIT_ACT, 2, ACCEPT, 17 * DAY},
	{KIT_ENVELOPE, 1, 0, START}, {KIT_END, 0, 0, 0}};
static const struct kit_step deposit_before_directory[] = {
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, 0}, {KIT_DEPOSIT, 1, 0, 0}, {KIT_DIRECTORY, 0, 0, 0}, {KIT_END, 0, 0, 0}};

/* Terms that were logged after the first act that speaks of them. */
static void terms_proven_later(struct receipt_kit *k)
{
	k->deep_size = 1000;
	receipt_kit_prove(k, &k->parts.terms, k->acts.index[0]);
	receipt_kit_prove(k, &k->acts.objects[0], k->terms.index[0]);
}

static const struct attack {
	const char *name;
	const struct kit_step *steps;
	kit_bend *bend;
	kit_bend_entry *bend_entry;
	change *change;
	enum receipt_step step;
	const char *member;
	int code;
} attacks[] = {
	{"a charter that another key signed", receipt_kit_plain, charter_by_another, NULL, NULL, RECEIPT_SIGNATURE, "charter", RK_BAD_SIGNATURE},
	{"another form of the same signature", receipt_kit_plain, NULL, NULL, malleable, RECEIPT_SIGNATURE, "charter", RK_BAD_SIGNATURE},
	{"a charter that asks for a newer version", receipt_kit_plain, charter_of_a_newer_suite, NULL, NULL, RECEIPT_RULES, "charter", RK_UNSUPPORTED},
	{"a log of another key", receipt_kit_plain, log_key_swapped, NULL, NULL, RECEIPT_PROOF, "charter", RK_BAD_SIGNATURE},
	{"a witness of another key", receipt_kit_plain, witness_key_swapped, NULL, NULL, RECEIPT_PROOF, "charter", RK_MALFORMED},
	{"a directory by the witness's key", receipt_kit_plain, directory_by_the_witness, NULL, NULL, RECEIPT_SIGNATURE, "directory", RK_BAD_SIGNATURE},
	{"a secretariat key before its time", receipt_kit_plain, secretariat_key_not_yet_valid, NULL, NULL, RECEIPT_SIGNATURE, "directory", RK_BAD_SIGNATURE},
	{"a device list by another organisation", receipt_kit_plain, devices_by_another, NULL, NULL, RECEIPT_SIGNATURE, "orgdevices-B", RK_BAD_SIGNATURE},
	{"an organisation key that the terms do not name", receipt_kit_plain, org_key_swapped, NULL, NULL, RECEIPT_SIGNATURE, "act-002", RK_BAD_SIGNATURE},
	{"an entry of other terms", receipt_kit_plain, NULL, entry_of_other_terms, NULL, RECEIPT_ENTRY, "terms", RK_BAD_SIGNATURE},
	{"terms of another exchange", receipt_kit_plain, terms_of_another_exchange, NULL, NULL, RECEIPT_RULES, "terms", RK_WRONG_EXCHANGE},
	{"terms logged after an act", terms_after, NULL, NULL, terms_proven_later, RECEIPT_ORDER, "terms", RK_OUT_OF_ORDER},
	{"an acceptance by a device", receipt_kit_plain, accepted_by_a_device, NULL, NULL, RECEIPT_SIGNATURE, "act-002", RK_BAD_SIGNATURE},
	{"an acceptance of another agreement", receipt_kit_plain, accepts_another_agreement, NULL, NULL, RECEIPT_ACT, "act-002", RK_NO_NDA},
	{"an acceptance too late", accepted_too_late, NULL, NULL, NULL, RECEIPT_ACT, "act-002", RK_NDA_LAPSED},
	{"two acceptances of one party", accepted_twice, NULL, NULL, NULL, RECEIPT_ACT, "act-003", RK_DUPLICATE},
	{"a hold by a device of another organisation", receipt_kit_held, held_by_a_stranger, NULL, NULL, RECEIPT_SIGNATURE, "act-003", RK_BAD_SIGNATURE},
	{"a disclosure by a key that is not listed", receipt_kit_plain, disclosed_by_an_unlisted_key, NULL, NULL, RECEIPT_SIGNATURE, "envelope", RK_BAD_SIGNATURE},
	{"a disclosure by a device that had left", receipt_kit_plain, device_retired, NULL, NULL, RECEIPT_SIGNATURE, "envelope", RK_BAD_SIGNATURE},
	{"a device list older than the directory's", receipt_kit_plain, directory_knows_a_newer_list, NULL, NULL, RECEIPT_SIGNATURE, "envelope", RK_BAD_SIGNATURE},
	{"a device list later than the disclosure", list_after, NULL, NULL, NULL, RECEIPT_SIGNATURE, "envelope", RK_BAD_SIGNATURE},
	{"a directory later than the disclosure", directory_after, NULL, NULL, NULL, RECEIPT_ORDER, "directory", RK_OUT_OF_ORDER},
	{"a proof of another leaf", receipt_kit_plain, NULL, NULL, proof_of_another, RECEIPT_PROOF, "envelope", RK_BAD_SIGNATURE},
	{"a line of a key that nobody knows", receipt_kit_plain, NULL, NULL, line_of_another_key, RECEIPT_PROOF, "envelope", RK_MALFORMED},
	{"an entry of another type", receipt_kit_plain, NULL, entry_of_another_type, NULL, RECEIPT_ENTRY, "pickup-1", RK_BAD_SIGNATURE},
	{"two trees of one size", receipt_kit_plain, NULL, NULL, forked, RECEIPT_LOG, "envelope", RK_EFORKED},
	{"two leaves at one index", receipt_kit_plain, NULL, NULL, two_at_one_index, RECEIPT_LOG, "pickup-1", RK_DUPLICATE},
	{"times that fall", receipt_kit_plain, NULL, time_falls, NULL, RECEIPT_LOG, "pickup-1", RK_CLOCK},
	{"lists in another order", receipt_kit_lodged, NULL, NULL, lists_swapped, RECEIPT_PARTY, "orgdevices-A", RK_OUT_OF_ORDER},
	{"no list of the recipient", receipt_kit_lodged, NULL, NULL, list_left_out, RECEIPT_PARTY, "envelope", RK_NO_RECIPIENT_KEY},
	{"a list that nothing rests on", list_too_many, NULL, NULL, NULL, RECEIPT_NEEDED, "orgdevices-B", RK_DUPLICATE},
	{"a directory of another time", receipt_kit_lodged, names_another_directory, NULL, NULL, RECEIPT_PARTY, "envelope", RK_STALE_DIRECTORY},
	{"a recipient that was suspended", receipt_kit_plain, recipient_suspended, NULL, NULL, RECEIPT_PARTY, "envelope", RK_REVOKED},
	{"a recipient that is no party", list_too_many, to_a_stranger, NULL, NULL, RECEIPT_GATE, "envelope", RK_NO_NDA},
	{"an agreement that is not these terms", receipt_kit_plain, names_another_agreement, NULL, NULL, RECEIPT_GATE, "envelope", RK_NO_NDA},
	{"an acceptance that is missing", not_accepted, NULL, NULL, NULL, RECEIPT_GATE, "envelope", RK_NDA_LAPSED},
	{"an acceptance after the disclosure", accepted_later, NULL, NULL, NULL, RECEIPT_GATE, "envelope", RK_NDA_PROPOSED},
	{"a disclosure before the first day", too_early, NULL, NULL, NULL, RECEIPT_GATE, "envelope", RK_NDA_NOT_YET},
	{"a disclosure under a directory that had ended", directory_too_old, NULL, NULL, NULL, RECEIPT_GATE, "envelope", RK_DIRECTORY_EXPIRED},
	{"a disclosure against the direction", receipt_kit_plain, direction_reversed, NULL, NULL, RECEIPT_GATE, "envelope", RK_DIRECTION},
	{"a disclosure without marking", receipt_kit_plain, unmarked, NULL, NULL, RECEIPT_GATE, "envelope", RK_UNMARKED},
	{"a disclosure while held", while_held, NULL, NULL, NULL, RECEIPT_GATE, "envelope", RK_NDA_HELD},
	{"a disclosure after the end", after_the_end, no_notice_period, NULL, NULL, RECEIPT_GATE, "envelope", RK_NDA_TERMINATED},
	{"a sender that knew other acts", receipt_kit_plain, says_other_acts, NULL, NULL, RECEIPT_NDA_SET, "envelope", RK_STALE_NDA},
	{"a hold that is hidden", while_held, NULL, NULL, act_hidden, RECEIPT_NDA_SET, "envelope", RK_STALE_NDA},
	{"a termination that is hidden", picked_up_terminated, no_notice_period, NULL, act_hidden, RECEIPT_NDA_SET, "pickup-1", RK_STALE_NDA},
	{"a pickup after the end", picked_up_terminated, no_notice_period, NULL, NULL, RECEIPT_GATE, "pickup-1", RK_NDA_TERMINATED},
	{"a pickup while held", picked_up_held, NULL, NULL, NULL, RECEIPT_GATE, "pickup-1", RK_NDA_HELD},
	{"a pickup of what had expired", picked_up_expired, NULL, NULL, NULL, RECEIPT_GATE, "pickup-1", RK_ENVELOPE_EXPIRED},
	{"a pickup by the sender", receipt_kit_plain, picked_up_by_the_sender, NULL, NULL, RECEIPT_SIGNATURE, "pickup-1", RK_BAD_SIGNATURE},
	{"a pickup that another key signed", receipt_kit_plain, picked_up_by_another_key, NULL, NULL, RECEIPT_SIGNATURE, "pickup-1", RK_BAD_SIGNATURE},
	{"a pickup of another envelope", receipt_kit_plain, picks_up_another, NULL, NULL, RECEIPT_PICKUP, "pickup-1", RK_UNKNOWN_OBJECT},
	{"a pickup under another agreement", receipt_kit_plain, picks_up_under_another_agreement, NULL, NULL, RECEIPT_PICKUP, "pickup-1", RK_UNKNOWN_OBJECT},
	{"a recipient that knew other acts", receipt_kit_plain, picker_knows_other_acts, NULL, NULL, RECEIPT_NDA_SET, "pickup-1", RK_STALE_NDA},
	{"a pickup by whom it was declined", declined_then_picked_up, NULL, NULL, NULL, RECEIPT_PICKUP, "pickup-1", RK_CONFLICT},
	{"two pickups by one device", picked_up_twice, NULL, NULL, NULL, RECEIPT_PICKUP, "pickup-2", RK_NOT_PERMITTED},
	{"a refusal of another envelope", refused, refuses_another, NULL, NULL, RECEIPT_NACK, "nack-1", RK_UNKNOWN_OBJECT},
	{"a refusal without a reason", refused, refuses_without_reason, NULL, NULL, RECEIPT_NACK, "nack-1", RK_MALFORMED},
	{"an act after all that it could change", act_too_many, NULL, NULL, NULL, RECEIPT_ORDER, "act-003", RK_OUT_OF_ORDER},
	{"another plaintext", receipt_kit_plain, NULL, NULL, other_body, RECEIPT_CONTENT, "body_plain", RK_BAD_SIGNATURE},
	{"a shorter plaintext", receipt_kit_plain, NULL, NULL, shorter_body, RECEIPT_CONTENT, "body_plain", RK_BAD_SIGNATURE},
	{"another document", receipt_kit_plain, NULL, NULL, other_document, RECEIPT_DOCUMENT, "nda-document", RK_EINTEGRITY},
	{"a document without its cover", receipt_kit_plain, NULL, NULL, document_without_cover, RECEIPT_MEMBERS, "", RK_MALFORMED},
	{"a deposit by another organisation", receipt_kit_deposit, deposited_by_another, NULL, NULL, RECEIPT_SIGNATURE, "deposit", RK_BAD_SIGNATURE},
	{"a deposit before the directory", deposit_before_directory, NULL, NULL, NULL, RECEIPT_ORDER, "directory", RK_OUT_OF_ORDER},
	{"a deposit of another commitment", receipt_kit_deposit, commits_to_another_file, NULL, NULL, RECEIPT_CONTENT, "deposit_plain", RK_BAD_SIGNATURE},
	{"another deposited file", receipt_kit_deposit, NULL, NULL, other_file, RECEIPT_FILE, "deposit-file", RK_BAD_SIGNATURE},
	{"a deposit without its opening", receipt_kit_deposit, NULL, NULL, no_deposit_plain, RECEIPT_MEMBERS, "", RK_MALFORMED},
};

static void need_step(const char *name, const struct receipt *out, enum receipt_step step, const char *member, int code)
{
	const struct receipt_check *last = &out->checks[out->check_count - 1];

	assert_int_equal(out->level, RECEIPT_UNPROVEN);
	if (last->step != step || strcmp(last->member, member) != 0 || last->code != code)
		fail_msg("%s: noticed by %s of '%s' (%s), not %s of '%s' (%s)", name, receipt_step_name(last->step), last->member,
		         errcode_name(last->code), receipt_step_name(step), member, errcode_name(code));
	for (size_t i = 0; i + 1 < out->check_count; i++)
		assert_int_equal(out->checks[i].code, RK_OK);
}

static void each_check_notices(void **state)
{
	bool is_tried[RECEIPT_STEP_COUNT] = {[RECEIPT_ARCHIVE] = true, [RECEIPT_FORM] = true, [RECEIPT_EXCHANGE] = true,
	                                     [RECEIPT_WITNESS] = true, [RECEIPT_ATTACHMENT] = true /* test_receipt_tail */};

	(void)state;
	for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
		const struct attack *a = &attacks[i];
		struct receipt_kit k = {.steps = a->steps, .bend = a->bend, .bend_entry = a->bend_entry, .has_content = true};
		struct bytes archive;
		struct receipt out;

		arena_reset(arena, BUDGET);
		receipt_kit_run(&k, arena);
		if (a->change)
			a->change(&k);
		if (receipt_make(&k.parts, arena, &archive, &out) != RK_EINTEGRITY)
			fail_msg("%s: not noticed", a->name);
		assert_null(archive.data);
		need_step(a->name, &out, a->step, a->member, a->code);
		is_tried[a->step] = true;
	}
	for (unsigned step = 0; step < RECEIPT_STEP_COUNT; step++)
		if (!is_tried[step])
			fail_msg("no attack on %s", receipt_step_name((enum receipt_step)step));
}

/* Those that a table row cannot say. */
static void other_fingerprints_times_and_bytes(void **state)
{
	struct receipt_kit k = {.steps = receipt_kit_plain}, early = {.steps = receipt_kit_plain};
	uint8_t other[32];
	struct receipt out;
	struct bytes archive;

	(void)state;
	arena_reset(arena, BUDGET);
	archive = receipt_kit_make(&k, arena);
	memcpy(other, k.f.exchange_id, 32);
	other[31] ^= 1;
	assert_int_equal(receipt_verify(archive, other, arena, &out), RK_EINTEGRITY);
	need_step("another fingerprint", &out, RECEIPT_EXCHANGE, "charter", RK_WRONG_EXCHANGE);
	assert_int_equal(receipt_verify(bytes_make(archive.data, archive.len - 512), k.f.exchange_id, arena, &out), RK_EINTEGRITY);
	need_step("a cut archive", &out, RECEIPT_ARCHIVE, "", RK_MALFORMED);
	assert_int_equal(receipt_verify(bytes_make(NULL, 0), k.f.exchange_id, arena, &out), RK_EINTEGRITY);
	need_step("nothing", &out, RECEIPT_ARCHIVE, "", RK_MALFORMED);
	/* The witness had seen the tree before what is said to be its last leaf. */
	early.witness_ms = FIXED_TIME_MS + START;
	receipt_kit_run(&early, arena);
	assert_int_equal(receipt_make(&early.parts, arena, &archive, &out), RK_EINTEGRITY);
	need_step("an early witness", &out, RECEIPT_WITNESS, "envelope", RK_CLOCK);
	/* A payload that does not parse. */
	k.parts.terms.payload.len--;
	assert_int_equal(receipt_make(&k.parts, arena, &archive, &out), RK_EINTEGRITY);
	need_step("bent terms", &out, RECEIPT_FORM, "terms", RK_MALFORMED);
}

static void parts_that_no_receipt_has(void **state)
{
	struct receipt_kit k = {.steps = receipt_kit_plain};
	struct receipt_object many[RECEIPT_ACTS_MAX + 1];
	struct bytes archive;
	struct receipt out;

	(void)state;
	arena_reset(arena, BUDGET);
	receipt_kit_run(&k, arena);
	for (size_t i = 0; i <= RECEIPT_ACTS_MAX; i++)
		many[i] = k.acts.objects[0];
	k.parts.acts = many;
	k.parts.act_count = RECEIPT_ACTS_MAX + 1;
	assert_int_equal(receipt_make(&k.parts, arena, &archive, &out), RK_TOO_LARGE);
	k.parts.act_count = 1;
	many[0].payload.len--;
	assert_int_equal(receipt_make(&k.parts, arena, &archive, &out), RK_MALFORMED);
	k.parts.charter.payload.len = 0;
	assert_int_equal(receipt_make(&k.parts, arena, &archive, &out), RK_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(what_it_says),
		cmocka_unit_test(proofs_of_all_kinds),
		cmocka_unit_test(a_refusal_by_the_only_reader_is_not_opened),
		cmocka_unit_test(notices_pass_where_dossiers_do_not),
		cmocka_unit_test(a_reply_that_holds_no_secret),
		cmocka_unit_test(each_check_notices),
		cmocka_unit_test(other_fingerprints_times_and_bytes),
		cmocka_unit_test(parts_that_no_receipt_has),
	};

	return cmocka_run_group_tests_name("receipt", tests, prepare, end);
}
