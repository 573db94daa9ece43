/* `renkeid check` and the agreements: what the gate judges by is what the terms and the acts say, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cmd.h"
#include "store/tables.h"
#include "tests/unit/world.h"

#define A 1
#define B 2
#define C 3

static struct world w;
static uint8_t agreed[32], held[32], proposed[32];

static int set_up(void **state)
{
	(void)state;
	world_open(&w);
	for (int org = A; org <= C; org++)
		world_admit(&w, org);
	world_agree(&w, 1u << A | 1u << B, agreed);
	world_agree(&w, 1u << A | 1u << B | 1u << C, held);
	assert_int_equal(world_do_act(&w, B, held, RK__ACT_KIND__HOLD), RK_OK);
	assert_int_equal(world_do_act(&w, A, held, RK__ACT_KIND__TERMINATE), RK_OK);
	assert_int_equal(world_propose(&w, C, world_terms(&w, 1u << A | 1u << C), proposed), RK_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static uint64_t wrong(void)
{
	struct cmd_walked walked;

	assert_int_equal(cmd_walk(w.env, &walked), RK_OK);
	assert_int_equal(walked.rows[T_NDA], 3);
	return walked.wrong;
}

static void put(unsigned table, struct bytes key, struct bytes value)
{
	struct txn *t;

	assert_int_equal(env_begin(w.env, true, &t), RK_OK);
	assert_int_equal(env_put(t, table, key, value, ENV_PUT), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

static void del(unsigned table, struct bytes key)
{
	struct txn *t;

	assert_int_equal(env_begin(w.env, true, &t), RK_OK);
	assert_int_equal(env_del(t, table, key), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

/* A copy of the first row at or behind a key. */
static struct bytes copy_of(unsigned table, struct bytes from, uint8_t key[ENV_KEY_MAX_BYTES], size_t *key_len, uint8_t value[8192])
{
	struct env_cursor *c;
	struct bytes k, v;
	struct txn *t;

	assert_int_equal(env_begin(w.env, false, &t), RK_OK);
	assert_int_equal(env_cursor_open(t, table, &c), RK_OK);
	assert_int_equal(env_cursor_seek(c, from, &k, &v), RK_OK);
	assert_true(k.len <= ENV_KEY_MAX_BYTES && v.len <= 8192);
	memcpy(key, k.data, k.len);
	*key_len = k.len;
	memcpy(value, v.data, v.len);
	v.data = value;
	env_cursor_free(c);
	env_abort(t);
	return v;
}

static void a_sound_store_has_no_complaint(void **state)
{
	(void)state;
	assert_int_equal(wrong(), 0);
	assert_int_equal(world_do_act(&w, A, proposed, RK__ACT_KIND__ACCEPT), RK_OK);
	assert_int_equal(wrong(), 0);
}

/* Each byte of one row; of the two others, which have other acts, one in 17. */
static void no_byte_of_the_gate_s_row_can_be_another(void **state)
{
	const uint8_t *const ids[] = {agreed, held, proposed};
	uint8_t key[ENV_KEY_MAX_BYTES], value[8192];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t key_len;
		struct bytes row = copy_of(T_NDA, bytes_make(ids[i], 32), key, &key_len, value);

		for (size_t at = 0; at < row.len; at += i == 0 ? 1 : 17) {
			value[at] ^= (uint8_t)(1u << at % 8);
			put(T_NDA, bytes_make(key, key_len), row);
			assert_int_equal(wrong(), 1);
			value[at] ^= (uint8_t)(1u << at % 8);
		}
		put(T_NDA, bytes_make(key, key_len), row);
		assert_int_equal(wrong(), 0);
	}
}

/* As when an older copy of the row, or of the acts, came back. */
static void an_act_more_or_less_is_told(void **state)
{
	uint8_t key[ENV_KEY_MAX_BYTES], value[8192], last[ENV_KEY_MAX_BYTES];
	size_t key_len;
	struct bytes act;

	(void)state;
	act = copy_of(T_NDA_ACT, bytes_make(held, 32), key, &key_len, value);
	del(T_NDA_ACT, bytes_make(key, key_len));
	assert_int_equal(wrong(), 1);
	put(T_NDA_ACT, bytes_make(key, key_len), act);
	assert_int_equal(wrong(), 0);
	memcpy(last, key, key_len);
	memset(last + 32, 0xff, 8);
	value[8] ^= 1; /* of its payload's hash: else it is the same act once more, and counts once */
	put(T_NDA_ACT, bytes_make(last, key_len), act);
	assert_int_equal(wrong(), 1);
}

static void terms_that_are_others_or_lost_are_told(void **state)
{
	uint8_t key[ENV_KEY_MAX_BYTES], value[8192];
	size_t key_len;
	struct bytes terms = copy_of(T_NDA_TERMS, bytes_make(agreed, 32), key, &key_len, value);

	(void)state;
	for (size_t at = 0; at < terms.len; at += 5) {
		value[at] ^= 1;
		put(T_NDA_TERMS, bytes_make(key, key_len), terms);
		assert_int_equal(wrong(), 1);
		value[at] ^= 1;
	}
	del(T_NDA_TERMS, bytes_make(key, key_len));
	assert_int_equal(wrong(), 1);
	put(T_NDA_TERMS, bytes_make(key, key_len), terms);
	assert_int_equal(wrong(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(a_sound_store_has_no_complaint),
		TEST(no_byte_of_the_gate_s_row_can_be_another),
		TEST(an_act_more_or_less_is_told),
		TEST(terms_that_are_others_or_lost_are_told),
#undef TEST
	};
	return cmocka_run_group_tests_name("cmd_check", tests, NULL, NULL);
}
