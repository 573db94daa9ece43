/*
 * The log as a tree, and a broker that finds that its store is not the newest: what grows the tree and what does not, what a restart
 * finds, what was written without a tree, damage, checkpoints that members show and that the witness cosigns, and proofs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "broker/proofs.h"
#include "broker/signer.h"
#include "proto/strict.h"
#include "tests/unit/world.h"

#define A 1
#define B 2

static struct world w;

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	world_admit(&w, A);
	world_admit(&w, B);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static uint64_t log_size(void)
{
	struct checkpoint head;

	apply_head(w.apply, &head);
	assert_int_equal(head.size, apply_log_size(w.apply));
	return head.size;
}

/* The root by RFC 6962's definition over the entries as they stand in T_LOG. */
static void naive(struct txn *t, uint64_t begin, uint64_t n, merkle_hash out)
{
	merkle_hash l, r;
	struct bytes entry;
	uint64_t k = 1;
	uint8_t key[8];

	if (n == 1) {
		put_u64be(key, begin);
		world_need(env_get(t, T_LOG, BYTES_OF(key), &entry) == RK_OK);
		merkle_leaf(out, entry);
		return;
	}
	while (2 * k < n)
		k *= 2;
	naive(t, begin, k, l);
	naive(t, begin + k, n - k, r);
	merkle_node(out, l, r);
}

static void root_of(uint64_t size, merkle_hash out)
{
	struct txn *t;

	world_need(env_begin(w.env, false, &t) == RK_OK);
	naive(t, 0, size, out);
	env_abort(t);
}

static void head_is_the_log(void)
{
	struct checkpoint head;
	merkle_hash root;

	apply_head(w.apply, &head);
	assert_non_null(strstr(head.origin, "/log1"));
	root_of(head.size, root);
	assert_memory_equal(head.root, root, 32);
	assert_int_equal(world_count(&w, T_TREE), merkle_count(head.size));
	assert_int_equal(world_count(&w, T_LOG), head.size);
}

static void write_row(unsigned table, struct bytes key, struct bytes value)
{
	struct txn *t;

	world_need(env_begin(w.env, true, &t) == RK_OK);
	world_need((value.data == NULL ? env_del(t, table, key) : env_put(t, table, key, value, ENV_PUT)) == RK_OK);
	world_need(env_commit(t) == RK_OK);
}

static void each_leaf_grows_the_tree_and_posts_do_not(void **state)
{
	uint8_t nda[32], env_id[32];
	uint64_t before = log_size();

	(void)state;
	head_is_the_log();
	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_OK);
	assert_int_equal(log_size(), before);
	world_agree(&w, 1u << A | 1u << B, nda);
	assert_int_equal(log_size(), before + 3); /* terms, two acts */
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, 1u << B, nda, env_id), RK_OK);
	assert_int_equal(world_pickup(&w, B, 0, nda, env_id), RK_OK);
	assert_int_equal(log_size(), before + 5);
	head_is_the_log();
	/* A refusal leaves no leaf. */
	nda[0] ^= 1;
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, 1u << B, nda, env_id), RK_NO_NDA);
	assert_int_equal(log_size(), before + 5);
}

static void a_restart_finds_the_tree(void **state)
{
	struct checkpoint before, after;
	uint8_t nda[32];

	(void)state;
	world_agree(&w, 1u << A | 1u << B, nda);
	apply_head(w.apply, &before);
	world_restart(&w);
	apply_head(w.apply, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	world_agree(&w, 1u << A | 1u << B, nda);
	head_is_the_log();
}

/* A store of a program without the tree, or one that such a program wrote to for a while. */
static void leaves_without_a_tree_are_caught_up(void **state)
{
	struct checkpoint before, after;
	uint64_t size;

	(void)state;
	apply_head(w.apply, &before);
	size = before.size;
	for (uint64_t keep = 0; keep < size; keep += size - 1) {
		struct rows_tree tree = {.size = keep};
		uint8_t value[40] = {0};

		for (uint64_t i = merkle_count(keep); i < merkle_count(size); i++) {
			uint8_t key[8];

			put_u64be(key, i);
			write_row(T_TREE, BYTES_OF(key), (struct bytes){0});
		}
		if (keep > 0)
			root_of(keep, tree.root);
		put_u64be(value, keep);
		memcpy(value + 8, tree.root, 32);
		if (keep == 0)
			write_row(T_META, bytes_str("tree"), (struct bytes){0});
		else
			write_row(T_META, bytes_str("tree"), BYTES_OF(value));
		world_restart(&w);
		apply_head(w.apply, &after);
		assert_memory_equal(&before, &after, sizeof(before));
		head_is_the_log();
	}
}

/* An honest broker must not sign a tree that it never had, because of one flipped bit. */
static void a_damaged_edge_is_no_start(void **state)
{
	struct apply *a = NULL;
	struct bytes value;
	uint8_t key[8], node[32];
	struct checkpoint head;
	struct txn *t;

	(void)state;
	apply_head(w.apply, &head);
	/* The newest node is on the edge. */
	put_u64be(key, merkle_count(head.size) - 1);
	world_need(env_begin(w.env, false, &t) == RK_OK);
	world_need(env_get(t, T_TREE, BYTES_OF(key), &value) == RK_OK);
	memcpy(node, value.data, 32);
	env_abort(t);
	node[7] ^= 0x10;
	write_row(T_TREE, BYTES_OF(key), BYTES_OF(node));
	assert_int_equal(apply_open(w.env, &w.limits, NULL, &a), RK_ESTORE);
	node[7] ^= 0x10;
	write_row(T_TREE, BYTES_OF(key), BYTES_OF(node));
	assert_int_equal(apply_open(w.env, &w.limits, NULL, &a), RK_OK);
	apply_close(a);
}

/* ---- shown checkpoints */

static ProtobufCBinaryData signed_note(uint64_t size, const merkle_hash root, const uint8_t sk[64])
{
	struct checkpoint c;
	struct note n;

	apply_head(w.apply, &c);
	c.size = size;
	memcpy(c.root, root, 32);
	note_sign(&n, &c, sk);
	return world_copy(&w, n.text, n.len);
}

static int hello_with(ProtobufCBinaryData seen)
{
	struct world_device *d = &w.orgs[A].devices[0];
	Rk__Request *q = world_request(&w, A, 0, RK__OP__OP_HELLO);
	Rk__Hello hello = RK__HELLO__INIT;

	hello.protocol_min = hello.protocol_max = 1;
	hello.seen_checkpoint = seen;
	q->hello = &hello;
	q->writer_epoch = pb_of(BYTES_OF(d->epoch));
	return world_run(&w, world_command(&w, A, 0, q, (struct bytes){0}, (struct bytes){0}, (struct bytes){0}));
}

static void our_own_past_is_no_contradiction(void **state)
{
	uint64_t size = log_size();
	merkle_hash root;

	(void)state;
	for (uint64_t i = 1; i <= size; i++) {
		root_of(i, root);
		assert_int_equal(hello_with(signed_note(i, root, w.f.log.sk)), RK_OK);
		assert_false(w.reply->hello->read_only);
	}
	assert_false(apply_is_read_only(w.apply));
}

/* Nobody but our own log key can stop us: what others sign, or what is no note at all, says nothing. */
static void what_we_did_not_sign_is_nothing(void **state)
{
	merkle_hash root;
	struct checkpoint other;
	struct note n;

	(void)state;
	memset(root, 9, sizeof(root));
	assert_int_equal(hello_with(signed_note(log_size() + 1, root, w.f.witness.sk)), RK_OK);
	assert_int_equal(hello_with(signed_note(log_size() + 1, root, w.orgs[A].key.sk)), RK_OK);
	assert_int_equal(hello_with(world_fresh(&w, 600)), RK_OK);
	assert_int_equal(hello_with(world_fresh(&w, 1)), RK_OK);
	/* Of another exchange, whose broker has been given the same key. */
	apply_head(w.apply, &other);
	other.origin[strlen("renkei/")] ^= 1;
	other.size = 1000;
	note_sign(&n, &other, w.f.log.sk);
	assert_int_equal(hello_with(world_copy(&w, n.text, n.len)), RK_OK);
	assert_false(apply_is_read_only(w.apply));
}

static void show_log(unsigned number, uint64_t size)
{
	struct checkpoint later = {.size = size, .root = {9}};
	struct note n;

	note_origin(later.origin, w.f.exchange_id, number);
	note_sign(&n, &later, w.f.log.sk);
	assert_int_equal(hello_with(world_copy(&w, n.text, n.len)), RK_OK);
}

static struct rows_fork marked(void)
{
	struct rows_fork f = {0};
	struct txn *t;

	assert_int_equal(env_begin(w.env, false, &t), RK_OK);
	(void)rows_get_fork(t, &f);
	env_abort(t);
	return f;
}

/* A copy from before the charter that began it: however short it is, our tree is none of its. */
static void a_later_log_under_our_signature_makes_us_read_only(void **state)
{
	(void)state;
	show_log(3, 1);
	assert_true(w.reply->hello->read_only);
	assert_true(marked().log == 3 && marked().size == 1);
	/* The mark goes up with what is shown, and never down. */
	show_log(2, 50);
	assert_int_equal(marked().log, 3);
	show_log(4, 7);
	assert_true(marked().log == 4 && marked().size == 7);
	world_restart(&w);
	assert_true(apply_is_read_only(w.apply));
	assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_READ_ONLY);
}

static void a_larger_or_other_tree_under_our_signature_makes_us_read_only(void **state)
{
	uint8_t nda[32], env_id[32];
	uint64_t number;
	merkle_hash root;

	(void)state;
	world_agree(&w, 1u << A | 1u << B, nda);
	assert_int_equal(world_disclose(&w, RK__KIND__NDA, A, 1u << B, nda, env_id), RK_OK);
	if (*state != NULL) {
		memset(root, 9, sizeof(root));
		assert_int_equal(hello_with(signed_note(log_size() + 1, root, w.f.log.sk)), RK_OK);
	} else {
		root_of(3, root);
		root[31] ^= 1;
		assert_int_equal(hello_with(signed_note(3, root, w.f.log.sk)), RK_OK);
	}
	assert_true(w.reply->hello->read_only);
	for (int turn = 0; turn < 2; turn++) {
		uint64_t size = log_size();

		assert_true(apply_is_read_only(w.apply));
		assert_int_equal(apply_next_due(w.apply), INT64_MAX);
		number = w.orgs[A].devices[0].number;
		assert_int_equal(world_post(&w, A, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), RK_READ_ONLY);
		assert_int_equal(world_do_act(&w, B, nda, RK__ACT_KIND__TERMINATE), RK_READ_ONLY);
		assert_int_equal(world_pickup(&w, B, 0, nda, env_id), RK_READ_ONLY);
		assert_int_equal(world_fetch(&w, A, 0, env_id), RK_READ_ONLY);
		assert_int_equal(world_put_invite(&w, world_invite(&w, 3)), RK_READ_ONLY);
		assert_int_equal(log_size(), size);
		/* No number was used: the same requests will go when the operator has put it right. */
		w.orgs[A].devices[0].number = number;
		assert_int_equal(world_hello(&w, A, 0), RK_OK);
		assert_true(w.reply->hello->read_only);
		w.now_ms += 200 * WORLD_DAY_MS; /* nothing that is due is done either */
		world_tick(&w);
		assert_true(world_count(&w, T_PENDING) > 0);
		world_restart(&w);
	}
}

/* ---- cosigned checkpoints */

static int put_checkpoint(int org, uint64_t size, const merkle_hash root, int64_t witness_s, const uint8_t *witness_sk)
{
	struct note_key log, witness;
	ProtobufCBinaryData plain = signed_note(size, root, w.f.log.sk);
	struct note n;

	roster_note_keys(w.roster, &log, &witness);
	world_need(note_cosign(&n, bytes_of(plain), &witness, witness_sk, witness_s) == RK_OK);
	return world_run(&w, world_command(&w, org, 0, world_request(&w, org, 0, RK__OP__OP_PUT_CHECKPOINT),
	                                   bytes_of(world_copy(&w, n.text, n.len)), (struct bytes){0}, (struct bytes){0}));
}

static void a_cosigned_checkpoint_goes_to_all(void **state)
{
	uint64_t size = log_size(), head = world_head(&w, stream_control());
	int64_t now_s = w.now_ms / 1000;
	struct stream_entry e;
	merkle_hash root;

	(void)state;
	root_of(size, root);
	assert_int_equal(put_checkpoint(A, size, root, now_s, w.f.witness.sk), RK_NOT_PERMITTED);
	assert_int_equal(put_checkpoint(0, size, root, now_s + 700, w.f.witness.sk), RK_CLOCK);
	assert_int_equal(put_checkpoint(0, size, root, now_s - 700, w.f.witness.sk), RK_CLOCK);
	assert_int_equal(put_checkpoint(0, size, root, now_s, w.orgs[A].key.sk), RK_BAD_SIGNATURE);
	assert_int_equal(put_checkpoint(0, size + 1, root, now_s, w.f.witness.sk), RK_CONFLICT);
	root[0] ^= 1;
	assert_int_equal(put_checkpoint(0, size, root, now_s, w.f.witness.sk), RK_CONFLICT);
	root[0] ^= 1;
	assert_int_equal(world_head(&w, stream_control()), head);
	assert_int_equal(put_checkpoint(0, size, root, now_s, w.f.witness.sk), RK_OK);
	assert_int_equal(world_head(&w, stream_control()), head + 1);
	world_entry(&w, stream_control(), head + 1, &e);
	assert_int_equal(e.kind, RK__ENTRY_KIND__ENTRY_CHECKPOINT);
	assert_int_equal(e.flags & STREAM_LOGGED, 0);
	assert_int_equal(log_size(), size);
	/* Never back, in the tree or in time, and not every second. */
	root_of(size - 1, root);
	assert_int_equal(put_checkpoint(0, size - 1, root, now_s + 100, w.f.witness.sk), RK_CONFLICT);
	root_of(size, root);
	assert_int_equal(put_checkpoint(0, size, root, now_s, w.f.witness.sk), RK_CONFLICT);
	assert_int_equal(put_checkpoint(0, size, root, now_s + 59, w.f.witness.sk), RK_DUPLICATE);
	world_restart(&w);
	assert_int_equal(put_checkpoint(0, size, root, now_s + 59, w.f.witness.sk), RK_DUPLICATE);
	assert_int_equal(put_checkpoint(0, size, root, now_s + 60, w.f.witness.sk), RK_OK);
}

static void what_is_no_cosigned_checkpoint(void **state)
{
	merkle_hash root;
	ProtobufCBinaryData plain;

	(void)state;
	root_of(2, root);
	plain = signed_note(2, root, w.f.log.sk);
	assert_int_equal(world_run(&w, world_command(&w, 0, 0, world_request(&w, 0, 0, RK__OP__OP_PUT_CHECKPOINT), bytes_of(plain),
	                                             (struct bytes){0}, (struct bytes){0})), RK_MALFORMED);
	assert_int_equal(world_run(&w, world_command(&w, 0, 0, world_request(&w, 0, 0, RK__OP__OP_PUT_CHECKPOINT),
	                                             bytes_of(world_fresh(&w, 601)), (struct bytes){0}, (struct bytes){0})), RK_TOO_LARGE);
	assert_int_equal(world_run(&w, world_command(&w, 0, 0, world_request(&w, 0, 0, RK__OP__OP_PUT_CHECKPOINT),
	                                             bytes_of(world_fresh(&w, 600)), (struct bytes){0}, (struct bytes){0})), RK_MALFORMED);
}

/* ---- proofs */

static int ask(uint64_t size, uint64_t from, uint64_t *indexes, size_t n, struct bytes *set)
{
	Rk__GetProof q = RK__GET_PROOF__INIT;
	struct txn *t;
	int r;

	q.from_size = from;
	q.indexes = indexes;
	q.n_indexes = n;
	world_need(env_begin(w.env, false, &t) == RK_OK);
	r = proofs_make(t, &q, size, w.arena, set);
	env_abort(t);
	return r;
}

static void proofs_lead_to_the_tree_that_was_asked(void **state)
{
	uint64_t size = log_size(), indexes[64];
	merkle_hash root, from_root, leaf;
	struct bytes packed;
	Rk__ProofSet *set;

	(void)state;
	for (uint64_t n = 1; n <= size; n++) {
		root_of(n, root);
		for (uint64_t i = 0; i < n; i++)
			indexes[i] = n - 1 - i;
		for (uint64_t from = 1; from <= n; from++) {
			assert_int_equal(ask(n, from, indexes, n, &packed), RK_OK);
			assert_int_equal(STRICT_PARSE(proof_set, packed, w.arena, &set), RK_OK);
			root_of(from, from_root);
			assert_int_equal(merkle_check_consistency(from, from_root, n, root, (const merkle_hash *)set->consistency.data,
			                                          set->consistency.len / 32), RK_OK);
			assert_int_equal(set->n_inclusion, n);
			for (uint64_t i = 0; i < n; i++) {
				struct txn *t;

				world_need(env_begin(w.env, false, &t) == RK_OK);
				naive(t, indexes[i], 1, leaf);
				env_abort(t);
				assert_int_equal(merkle_check_inclusion(indexes[i], n, leaf, (const merkle_hash *)set->inclusion[i].data,
				                                        set->inclusion[i].len / 32, root), RK_OK);
			}
		}
	}
	assert_int_equal(ask(size, 0, NULL, 0, &packed), RK_OK);
	assert_int_equal(packed.len, 0);
	indexes[0] = size;
	assert_int_equal(ask(size, 0, indexes, 1, &packed), RK_MALFORMED);
	assert_int_equal(ask(size, size + 1, NULL, 0, &packed), RK_MALFORMED);
}

static void a_damaged_node_gives_no_proof(void **state)
{
	uint64_t size = log_size(), index = 0;
	uint8_t key[8], bent[32] = {1};
	struct bytes packed;

	(void)state;
	put_u64be(key, merkle_position(0, 1));
	write_row(T_TREE, BYTES_OF(key), BYTES_OF(bent));
	assert_int_equal(ask(size, 0, &index, 1, &packed), RK_EINTEGRITY);
	index = 1;
	assert_int_equal(ask(size, 0, &index, 1, &packed), RK_EINTEGRITY);
	index = 2;
	assert_int_equal(ask(size, 0, &index, 1, &packed), RK_OK);
}

static void the_signer_signs_what_is_durable_once(void **state)
{
	struct signer *s = signer_new(w.f.log.sk);
	struct note_key log, witness;
	struct note_opened opened;
	struct checkpoint c, head;
	struct note a, b;

	(void)state;
	roster_note_keys(w.roster, &log, &witness);
	assert_false(signer_newest(s, &c, &a));
	assert_false(signer_last(s, &a));
	apply_head(w.apply, &head);
	signer_commit(s, &head);
	assert_int_equal(signer_size(s), head.size);
	assert_true(signer_newest(s, &c, &a));
	assert_true(signer_newest(s, &c, &b));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.text, b.text, a.len);
	assert_int_equal(note_open(bytes_make(a.text, a.len), &log, NULL, &opened), RK_OK);
	assert_memory_equal(&opened.checkpoint, &head, sizeof(head));
	assert_true(signer_last(s, &b));
	signer_stop(s);
	assert_false(signer_newest(s, &c, &a));
	signer_free(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	static int larger = 1;
	const struct CMUnitTest tests[] = {
		TEST(each_leaf_grows_the_tree_and_posts_do_not),
		TEST(a_restart_finds_the_tree),
		TEST(leaves_without_a_tree_are_caught_up),
		TEST(a_damaged_edge_is_no_start),
		TEST(our_own_past_is_no_contradiction),
		TEST(what_we_did_not_sign_is_nothing),
		TEST(a_later_log_under_our_signature_makes_us_read_only),
		TEST(a_larger_or_other_tree_under_our_signature_makes_us_read_only),
		{"a_larger_tree_makes_us_read_only", a_larger_or_other_tree_under_our_signature_makes_us_read_only, set_up, tear_down, &larger},
		TEST(a_cosigned_checkpoint_goes_to_all),
		TEST(what_is_no_cosigned_checkpoint),
		TEST(proofs_lead_to_the_tree_that_was_asked),
		TEST(a_damaged_node_gives_no_proof),
		TEST(the_signer_signs_what_is_durable_once),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
