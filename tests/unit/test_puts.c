/* puts: a transaction whose puts go on where the last one stood leaves what a plain table of keys and values would, whatever comes between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/tables.h"
#include "tests/unit/store_kit.h"

#define KEYS 6000
#define TABLES 2
#define TXNS 150
#define STEPS_MAX 120
#define VALUE_MAX 5000

static const unsigned tables[TABLES] = {T_ENTRY, T_POST};
static uint64_t seed;

static unsigned roll(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* What a key should have: a version, from which its value follows; 0: it is not there. */
struct model {
	uint32_t version[TABLES][KEYS];
	unsigned end[TABLES];        /* behind the highest key there ever was */
};

static struct bytes value_of(uint32_t version, uint8_t out[VALUE_MAX])
{
	/* From a few bytes to a page of its own. */
	size_t len = version % 11 == 0 ? 2100 + version % 2900 : 1 + version * 2654435761u % 1400;

	memset(out, (int)(version & 0xff), len);
	memcpy(out, &version, len < 4 ? len : 4);
	return bytes_make(out, len);
}

static void put(struct txn *t, struct model *m, unsigned table, unsigned key, enum env_put_flag flag, bool reserve)
{
	static uint32_t versions;
	uint8_t k[8], v[VALUE_MAX], *room;
	struct bytes value = value_of(++versions, v);
	uint32_t *at = &m->version[table][key];
	int r, expected = flag == ENV_NEW && *at != 0 ? RK_EEXISTS : RK_OK;

	put_u64be(k, key);
	if (reserve) {
		r = env_reserve(t, tables[table], BYTES_OF(k), value.len, flag, &room);
		if (r == RK_OK)
			memcpy(room, value.data, value.len);
	} else {
		r = env_put(t, tables[table], BYTES_OF(k), value, flag);
	}
	assert_int_equal(r, expected);
	if (r == RK_OK)
		*at = versions;
	if (key >= m->end[table])
		m->end[table] = key + 1;
}

static void del(struct txn *t, struct model *m, unsigned table, unsigned key)
{
	uint8_t k[8];

	put_u64be(k, key);
	assert_int_equal(env_del(t, tables[table], BYTES_OF(k)), m->version[table][key] != 0 ? RK_OK : RK_ENOTFOUND);
	m->version[table][key] = 0;
}

/* A run of rows by a cursor, as trim and expiry do. */
static void del_run(struct txn *t, struct model *m, unsigned table, unsigned from)
{
	struct env_cursor *c;
	struct bytes key, value;
	uint8_t k[8];
	int r;

	put_u64be(k, from);
	assert_int_equal(env_cursor_open(t, tables[table], &c), RK_OK);
	r = env_cursor_seek(c, BYTES_OF(k), &key, &value);
	for (unsigned n = roll(40); r == RK_OK && n > 0; n--) {
		uint64_t at = get_u64be(key.data);

		/* A row may come while the cursor is open. */
		if (roll(10) == 0)
			put(t, m, table, roll(KEYS / 2), ENV_PUT, false);
		m->version[table][at] = 0;
		assert_int_equal(env_cursor_del(c), RK_OK);
		r = env_cursor_next(c, &key, &value);
	}
	env_cursor_free(c);
}

static void check(struct env *env, const struct model *m)
{
	uint8_t v[VALUE_MAX];

	for (unsigned table = 0; table < TABLES; table++) {
		struct env_cursor *c;
		struct bytes key, value;
		struct txn *t;
		int r;

		assert_int_equal(env_begin(env, false, &t), RK_OK);
		assert_int_equal(env_cursor_open(t, tables[table], &c), RK_OK);
		r = env_cursor_seek(c, bytes_make(NULL, 0), &key, &value);
		for (unsigned i = 0; i < KEYS; i++) {
			if (m->version[table][i] == 0)
				continue;
			assert_int_equal(r, RK_OK);
			assert_int_equal(get_u64be(key.data), i);
			assert_true(bytes_equal(value, value_of(m->version[table][i], v)));
			r = env_cursor_next(c, &key, &value);
		}
		assert_int_equal(r, RK_ENOTFOUND);
		env_abort(t);
		env_cursor_free(c);
	}
}

static void step(struct txn *t, struct model *m)
{
	unsigned table = roll(TABLES), key = roll(m->end[table] + 1 < KEYS / 2 ? m->end[table] + 1 : KEYS / 2), what = roll(32);

	if (what < 16 && m->end[table] < KEYS)
		put(t, m, table, m->end[table], ENV_APPEND, what < 8);
	else if (what < 22)
		put(t, m, table, key, ENV_PUT, what < 18);
	else if (what < 25)
		put(t, m, table, key, ENV_NEW, false);
	else if (what < 31)
		del(t, m, table, key);
	else
		del_run(t, m, table, key);
}

static void the_rows_are_those_that_were_put(void **state)
{
	static struct model m, before;
	struct env *env;
	char folder[256];

	(void)state;
	seed = 5;
	store_kit_folder(folder);
	env = store_kit_open(folder, 0);
	for (unsigned n = 0; n < TXNS; n++) {
		struct txn *t;

		before = m;
		assert_int_equal(env_begin(env, true, &t), RK_OK);
		for (unsigned steps = roll(STEPS_MAX); steps > 0; steps--)
			step(t, &m);
		if (roll(6) == 0) {
			env_abort(t);
			m = before;
		} else {
			assert_int_equal(env_commit(t), RK_OK);
		}
		check(env, &m);
	}
	assert_true(m.end[0] > KEYS / 3); /* trees of several levels */
	env_close(env);
	store_kit_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rows_are_those_that_were_put),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
