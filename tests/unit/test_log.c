/* log: a home and its broker's log: checkpoints that follow each other, leaves and their proofs, and which entries have a leaf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/ids.h"
#include "tests/unit/log_world.h"

/* ---- the honest way */

static void checkpoints_follow_each_other(void **state)
{
	struct world *w = *state;
	struct log_question q;

	assert_true(next(w, false, &q)); /* there is none yet: it is asked for */
	assert_int_equal(q.size + q.from_size, 0);
	settle(w, &w->log);
	assert_int_equal(head_size(w), 25);
	log_kit_fill(&w->log, 100, 4);
	assert_true(next(w, true, &q));
	assert_int_equal(q.from_size, 25);
	settle(w, &w->log);
	assert_int_equal(head_size(w), 125);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

/* For a leaf that has come since, the newest checkpoint is asked for at once: only the same question for the same leaf is a repetition. */
static void a_newer_leaf_is_another_question(void **state)
{
	struct world *w = *state;
	struct log_question fresh, first, again, second;

	settle(w, &w->log);
	assert_true(next(w, true, &fresh));
	deliver_leaf(w, &w->log, "one", home_now_ms);
	assert_true(next(w, false, &first));
	assert_true(next(w, false, &again));
	assert_int_equal(first.from_size, fresh.from_size);
	assert_memory_not_equal(&first, &fresh, sizeof(first));
	assert_memory_equal(&first, &again, sizeof(first));
	settle(w, &w->log);
	deliver_leaf(w, &w->log, "two", home_now_ms);
	assert_true(next(w, false, &second));
	assert_memory_not_equal(&second, &first, sizeof(second));
}

static void a_leaf_is_proven_and_its_proof_stands_alone(void **state)
{
	struct world *w = *state;
	merkle_hash proof[MERKLE_PROOF_MAX], leaf_hash;
	uint8_t oh[32], entry[MERKLE_ENTRY_MAX_BYTES];
	struct note_key key = {.type = NOTE_TYPE_LOG};
	struct note_opened o;
	struct bytes text, note;
	struct log_leaf leaf;
	int64_t witness_ms;
	uint64_t index, at;
	struct txn *t;
	size_t n;

	index = deliver_leaf(w, &w->log, "terms", home_now_ms);
	assert_int_equal(unproven(w), 1);
	ids_nda(oh, w->h.f.exchange_id, bytes_str("terms"));
	t = begin(w);
	assert_int_equal(log_leaf_of(t, oh, &leaf), RK_OK);
	assert_false(leaf.is_proven);
	assert_int_equal(log_leaf_proof(w->h.client, t, &leaf, w->h.a, &text, &witness_ms), RK_ENOTFOUND);
	env_abort(t);
	settle(w, &w->log);
	assert_int_equal(unproven(w), 0);
	t = begin(w);
	assert_int_equal(log_leaf_of(t, oh, &leaf), RK_OK);
	assert_true(leaf.is_proven && !leaf.is_cosigned && leaf.index == index && leaf.origin == 1);
	assert_int_equal(log_leaf_proof(w->h.client, t, &leaf, w->h.a, &text, &witness_ms), RK_OK);
	env_abort(t);
	assert_int_equal(note_proof_read(text, &at, proof, &n, &note), RK_OK);
	note_origin(key.name, w->h.f.exchange_id, 1);
	memcpy(key.pk, w->h.f.log.pk, 32);
	assert_int_equal(note_open(note, &key, NULL, &o), RK_OK);
	merkle_leaf(leaf_hash, bytes_make(entry, merkle_entry(entry, leaf.type, leaf.time_ms, leaf.oh)));
	assert_int_equal(merkle_check_inclusion(at, o.checkpoint.size, leaf_hash, (const merkle_hash *)proof, n, o.checkpoint.root), RK_OK);
}

/* More than one question takes; and what is younger than the newest checkpoint asks for a newer one first. */
static void many_leaves(void **state)
{
	struct world *w = *state;
	struct log_question q;
	char name[32];

	settle(w, &w->log);
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "terms %d", i);
		deliver_leaf(w, &w->log, name, home_now_ms);
	}
	assert_true(next(w, false, &q));
	assert_true(q.size == 0 && q.from_size == 25 && q.index_count == 0);
	settle(w, &w->log);
	assert_int_equal(unproven(w), 0);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

static void the_same_entry_again_is_nothing_new(void **state)
{
	struct world *w = *state;
	struct delivery d = {.kind = RK__ENTRY_KIND__ENTRY_NDA_TERMS, .time_ms = home_now_ms, .logged = true, .object = bytes_str("terms")};
	struct txn *t;

	d.log_index = deliver_leaf(w, &w->log, "terms", home_now_ms);
	settle(w, &w->log);
	t = begin(w);
	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK);
	commit(t);
	assert_int_equal(unproven(w), 0);
	assert_int_equal(fault_of(w), LOG_FAULT_NONE);
}

/* ---- what a leaf stands for */

static void oh_by_kind_of_entry(void **state)
{
	struct world *w = *state;
	struct fixed *f = &w->h.f;
	struct arena *a = w->h.a;
	struct fixed_org *one = &f->orgs[1];
	Rk__NdaAct *hold = fixed_act(f, 1, RK__ACT_KIND__HOLD, a);
	const struct {
		Rk__EntryKind entry;
		enum object_kind kind;
		unsigned type;
		const uint8_t *sk;
		const ProtobufCMessage *m;
	} rows[] = {
		{RK__ENTRY_KIND__ENTRY_CHARTER, OBJECT_KIND_CHARTER, RK__LOG_TYPE__LOG_CHARTER, f->root.sk, &fixed_charter(f, a)->base},
		{RK__ENTRY_KIND__ENTRY_DIRECTORY, OBJECT_KIND_DIRECTORY, RK__LOG_TYPE__LOG_DIRECTORY, f->secretariat.sk,
		 &fixed_directory(f, a)->base},
		{RK__ENTRY_KIND__ENTRY_ORG_DEVICES, OBJECT_KIND_ORG_DEVICES, RK__LOG_TYPE__LOG_ORG_DEVICES, one->org.sk,
		 &fixed_org_devices(f, 1, a)->base},
		{RK__ENTRY_KIND__ENTRY_FEED_EPOCH, OBJECT_KIND_FEED_EPOCH, RK__LOG_TYPE__LOG_FEED_EPOCH, f->secretariat.sk,
		 &fixed_feed_epoch(f, a)->base},
		{RK__ENTRY_KIND__ENTRY_NDA_ACT, OBJECT_KIND_NDA_ACT, RK__LOG_TYPE__LOG_NDA_ACT, one->org.sk,
		 &fixed_act(f, 1, RK__ACT_KIND__TERMINATE, a)->base},
		{RK__ENTRY_KIND__ENTRY_NDA_ACT, OBJECT_KIND_NDA_HOLD, RK__LOG_TYPE__LOG_NDA_ACT, one->device.sk, &hold->base},
		{RK__ENTRY_KIND__ENTRY_PICKUP, OBJECT_KIND_PICKUP, RK__LOG_TYPE__LOG_PICKUP, one->device.sk, &fixed_pickup(f, 1, a)->base},
		{RK__ENTRY_KIND__ENTRY_NACK, OBJECT_KIND_NACK, RK__LOG_TYPE__LOG_NACK, one->device.sk,
		 &fixed_nack(f, 1, RK__NACK_REASON__NACK_DECLINED, a)->base},
		{RK__ENTRY_KIND__ENTRY_DEPOSIT, OBJECT_KIND_DEPOSIT, RK__LOG_TYPE__LOG_DEPOSIT, one->device.sk, &fixed_deposit(f, 1, a)->base},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct delivery d = {.kind = rows[i].entry, .time_ms = home_now_ms, .logged = true, .log_index = i + 100};
		struct txn *t = begin(w);
		struct log_leaf leaf;
		struct object o;
		uint8_t oh[32];

		assert_int_equal(object_make(rows[i].kind, f->exchange_id, rows[i].sk, rows[i].m, a, &d.object), RK_OK);
		assert_int_equal(object_parse(rows[i].kind, d.object, a, &o), RK_OK);
		object_oh(oh, &o, f->exchange_id);
		assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK);
		assert_int_equal(log_leaf_of(t, oh, &leaf), RK_OK);
		assert_int_equal(leaf.type, rows[i].type);
		assert_int_equal(leaf.index, d.log_index);
		commit(t);
	}
	assert_int_equal(unproven(w), sizeof(rows) / sizeof(rows[0]));
}

static void an_announced_object_has_its_leaf(void **state)
{
	struct world *w = *state;
	struct delivery d = {.kind = RK__ENTRY_KIND__ENTRY_DIRECTORY, .time_ms = home_now_ms, .logged = true, .log_index = 7};
	uint8_t oh[32] = {9};
	struct log_leaf leaf;
	struct txn *t = begin(w);

	assert_int_equal(log_on_announced(w->h.client, t, &d, RK__OBJECT_TYPE__OBJECT_DIRECTORY, oh), RK_OK);
	assert_int_equal(log_leaf_of(t, oh, &leaf), RK_OK);
	assert_int_equal(leaf.type, RK__LOG_TYPE__LOG_DIRECTORY);
	d.log_index = 8;
	assert_int_equal(log_on_announced(w->h.client, t, &d, RK__OBJECT_TYPE__OBJECT_DEVICE_KX, oh), RK_OK);
	commit(t);
	assert_int_equal(home_count(&w->h, "log-unreadable"), 1);
	assert_int_equal(unproven(w), 1);
}

static void entries_without_a_leaf(void **state)
{
	struct world *w = *state;
	struct delivery d = {.kind = RK__ENTRY_KIND__ENTRY_NDA_ACT, .time_ms = home_now_ms, .logged = true, .object = bytes_str("junk")};
	struct txn *t = begin(w);

	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK); /* no object */
	d.kind = RK__ENTRY_KIND__ENTRY_FEED_KEY;
	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK); /* never logged */
	d.kind = RK__ENTRY_KIND__ENTRY_NDA_TERMS;
	d.log_index = (uint64_t)INT64_MAX + 1;
	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK); /* no tree is so large */
	d.log_index = 1;
	d.logged = false;
	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK);
	commit(t);
	assert_int_equal(home_count(&w->h, "log-unreadable"), 3);
	assert_int_equal(unproven(w), 0);
}

static void two_leaves_at_one_index(void **state)
{
	struct world *w = *state;
	struct delivery d = {.kind = RK__ENTRY_KIND__ENTRY_NDA_TERMS, .time_ms = home_now_ms, .logged = true, .object = bytes_str("other")};
	struct txn *t;

	d.log_index = deliver_leaf(w, &w->log, "terms", home_now_ms);
	t = begin(w);
	assert_int_equal(log_on_entry(w->h.client, t, &d), RK_OK);
	commit(t);
	assert_int_equal(fault_of(w), LOG_FAULT_LEAF);
	assert_int_equal(fork_of(w).leaf, d.log_index);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(checkpoints_follow_each_other),
		TEST(a_newer_leaf_is_another_question),
		TEST(a_leaf_is_proven_and_its_proof_stands_alone),
		TEST(many_leaves),
		TEST(the_same_entry_again_is_nothing_new),
		TEST(oh_by_kind_of_entry),
		TEST(an_announced_object_has_its_leaf),
		TEST(entries_without_a_leaf),
		TEST(two_leaves_at_one_index),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
