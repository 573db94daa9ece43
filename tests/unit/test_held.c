/* held: a transaction that holds rows answers, at every moment, as one that writes each of them at once; and leaves the same store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/held.h"
#include "store/tables.h"
#include "tests/unit/store_kit.h"

#define KEYS 40 /* more than there are places */
#define STEPS 4000
#define STEPS_OF_TXN 97

static uint64_t seed;

static unsigned roll(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* The same operation in both stores: the first one holds where the second puts. */
struct pair {
	char folder[2][256];
	struct env *env[2];
	struct txn *txn[2];
};

static void begin(struct pair *p)
{
	for (int i = 0; i < 2; i++)
		assert_int_equal(env_begin(p->env[i], true, &p->txn[i]), RK_OK);
}

static void end(struct pair *p, bool commit)
{
	for (int i = 0; i < 2; i++) {
		if (commit)
			assert_int_equal(env_commit(p->txn[i]), RK_OK);
		else
			env_abort(p->txn[i]);
	}
}

static void same_walk(struct pair *p)
{
	struct env_cursor *c[2];
	struct bytes key[2], value[2];
	int r[2];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(env_cursor_open(p->txn[i], T_QUOTA, &c[i]), RK_OK);
		r[i] = env_cursor_seek(c[i], bytes_make(NULL, 0), &key[i], &value[i]);
	}
	while (r[0] == RK_OK && r[1] == RK_OK) {
		assert_true(bytes_equal(key[0], key[1]) && bytes_equal(value[0], value[1]));
		/* Rows that come under an open cursor are met as well. */
		if (roll(4) == 0)
			for (int i = 0; i < 2; i++)
				assert_int_equal(env_put(p->txn[i], T_QUOTA, bytes_str("zz"), bytes_str("late"), i == 0 ? ENV_HOLD : ENV_PUT), RK_OK);
		for (int i = 0; i < 2; i++)
			r[i] = env_cursor_next(c[i], &key[i], &value[i]);
	}
	assert_int_equal(r[0], r[1]);
	for (int i = 0; i < 2; i++)
		env_cursor_free(c[i]);
}

static void step(struct pair *p)
{
	unsigned what = roll(20), table = roll(2) == 0 ? T_QUOTA : T_STREAM_HEAD;
	char key[HELD_KEY_MAX_BYTES + 8] = {0}, value[HELD_VALUE_MAX_BYTES + 8];
	struct bytes got[2], k, v;
	int r[2];

	snprintf(key, sizeof(key), "k%02u", roll(KEYS));
	/* Some keys and values are too long to be held. */
	k = roll(9) == 0 ? bytes_make((const uint8_t *)key, HELD_KEY_MAX_BYTES + 4) : bytes_str(key);
	memset(value, 'a' + (int)roll(26), sizeof(value));
	v = bytes_make((const uint8_t *)value, 1 + roll(sizeof(value)));
	for (int i = 0; i < 2; i++) {
		got[i] = bytes_make(NULL, 0);
		if (what < 9)
			r[i] = env_put(p->txn[i], table, k, v, i == 0 ? ENV_HOLD : ENV_PUT);
		else if (what < 11)
			r[i] = env_put(p->txn[i], table, k, v, ENV_PUT);
		else if (what < 13)
			r[i] = env_put(p->txn[i], table, k, v, ENV_NEW);
		else if (what < 15)
			r[i] = env_del(p->txn[i], table, k);
		else if (what < 17)
			r[i] = env_get(p->txn[i], table, k, &got[i]);
		else
			r[i] = (i == 0 ? env_get_held : env_get)(p->txn[i], table, k, &got[i]);
	}
	assert_int_equal(r[0], r[1]);
	assert_true(bytes_equal(got[0], got[1]));
}

static void holding_changes_nothing_but_the_work(void **state)
{
	struct pair p;

	(void)state;
	seed = 11;
	for (int i = 0; i < 2; i++) {
		store_kit_folder(p.folder[i]);
		p.env[i] = store_kit_open(p.folder[i], 0);
	}
	begin(&p);
	for (unsigned n = 1; n <= STEPS; n++) {
		step(&p);
		if (roll(50) == 0)
			same_walk(&p);
		if (n % STEPS_OF_TXN == 0) {
			end(&p, roll(5) != 0);
			assert_true(store_kit_equal(p.env[0], p.env[1]));
			begin(&p);
		}
	}
	end(&p, true);
	assert_true(store_kit_equal(p.env[0], p.env[1]));
	for (int i = 0; i < 2; i++) {
		env_close(p.env[i]);
		store_kit_remove(p.folder[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holding_changes_nothing_but_the_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
