/*
 * save: batches that are saved, committed, given up and killed, at random: what a kill leaves is what a plain table of keys and values had when the
 * last batch was saved or committed; others see what the last commit left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/journal.h"
#include "store/tables.h"
#include "tests/unit/save_kit.h"

#define KEYS 900
#define HOT_KEYS 12          /* of each table, lowest first: those that are held; in all more than a transaction can hold */
#define TABLES 3
#define BATCHES 1600
#define TXNS_MIN 150
#define STEPS_MAX 24
#define SMALL_MAX 32
#define VALUE_MAX 30000
#define ROW_BYTES_MAX 16     /* of a row in the journal, beside its value */
#define RECORD_BYTES_MAX (JOURNAL_PAGE_BYTES + 64) /* of a record beside its rows */

static const unsigned tables[TABLES] = {T_META, T_ENTRY, T_POST};
static uint64_t seed;

static unsigned roll(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* What a key should have: a version, from which its value follows; 0: it is not there. */
struct model {
	uint32_t version[TABLES][KEYS];
	unsigned end[TABLES];        /* behind the highest key that is there */
	size_t journal_bytes;        /* no more than this is gathered since the last commit */
	bool is_unsavable;           /* this transaction */
};

static struct model now, saved, committed; /* as the open transaction has it, as a kill leaves it, as others see it */
static char folder[256];
static struct env *env;
static struct txn *t;            /* NULL: none is open */
static bool is_long;         /* it: it is saved until there is no room */
static bool may_delete, is_gathered; /* this batch */
static struct {
	unsigned txns, saves, refused, aborts, kills, full;
} did;

static struct bytes value_of(uint32_t version, uint8_t out[VALUE_MAX])
{
	/* Every second one could be held. */
	size_t len = version % 2 == 0 ? 8 + version % (SMALL_MAX - 7) : version % 5 == 0 ? 2100 + version % 27900 : version * 2654435761u % 500;

	memset(out, (int)(version & 0xff), len);
	memcpy(out, &version, len < 4 ? len : 4);
	return bytes_make(out, len);
}

static void count_end(unsigned table)
{
	while (now.end[table] > 0 && now.version[table][now.end[table] - 1] == 0)
		now.end[table]--;
}

static void put(unsigned table, unsigned key, enum env_put_flag flag, bool reserve)
{
	static uint32_t versions;
	uint8_t k[8], v[VALUE_MAX], *room;
	struct bytes value = value_of(++versions, v);
	uint32_t *at = &now.version[table][key];
	bool is_there = (flag == ENV_NEW && *at != 0) || (flag == ENV_APPEND && key < now.end[table]);
	int r;

	put_u64be(k, key);
	if (reserve) {
		r = env_reserve(t, tables[table], BYTES_OF(k), value.len, flag, &room);
		if (r == RK_OK)
			memcpy(room, value.data, value.len);
	} else {
		r = env_put(t, tables[table], BYTES_OF(k), value, flag);
	}
	assert_int_equal(r, is_there ? RK_EEXISTS : RK_OK);
	if (is_there)
		return;
	*at = versions;
	if (key >= now.end[table])
		now.end[table] = key + 1;
	now.journal_bytes += value.len + ROW_BYTES_MAX;
	now.is_unsavable |= !is_gathered;
}

static void del(unsigned table, unsigned key)
{
	uint8_t k[8];

	put_u64be(k, key);
	assert_int_equal(env_del(t, tables[table], BYTES_OF(k)), now.version[table][key] != 0 ? RK_OK : RK_ENOTFOUND);
	now.version[table][key] = 0;
	count_end(table);
	now.is_unsavable = true;
}

static void get(unsigned table, unsigned key, bool hold)
{
	uint8_t k[8], v[VALUE_MAX];
	struct bytes value;
	uint32_t version = now.version[table][key];
	int r;

	put_u64be(k, key);
	r = hold ? env_get_held(t, tables[table], BYTES_OF(k), &value) : env_get(t, tables[table], BYTES_OF(k), &value);
	assert_int_equal(r, version != 0 ? RK_OK : RK_ENOTFOUND);
	assert_true(version == 0 || bytes_equal(value, value_of(version, v)));
}

/* Some rows by a cursor, from a key on; some of them are deleted. */
static void read_run(unsigned table, unsigned from, bool deletes)
{
	struct env_cursor *c;
	struct bytes key, value;
	uint8_t k[8], v[VALUE_MAX];
	int r;

	put_u64be(k, from);
	assert_int_equal(env_cursor_open(t, tables[table], &c), RK_OK);
	r = env_cursor_seek(c, BYTES_OF(k), &key, &value);
	for (unsigned n = 1 + roll(10); n > 0; n--) {
		while (from < KEYS && now.version[table][from] == 0)
			from++;
		assert_int_equal(r, from < KEYS ? RK_OK : RK_ENOTFOUND);
		if (r != RK_OK)
			break;
		assert_int_equal(get_u64be(key.data), from);
		assert_true(bytes_equal(value, value_of(now.version[table][from], v)));
		if (deletes && roll(2) == 0) {
			assert_int_equal(env_cursor_del(c), RK_OK);
			now.version[table][from] = 0;
			now.is_unsavable = true;
		} else if (roll(6) == 0) {
			put(roll(TABLES), roll(HOT_KEYS), ENV_HOLD, false); /* LMDB gets it before the cursor goes on */
		}
		from++;
		r = env_cursor_next(c, &key, &value);
	}
	env_cursor_free(c);
	count_end(table);
}

static void step(void)
{
	unsigned table = roll(TABLES), hot = roll(HOT_KEYS), key = roll(3) == 0 ? hot : roll(KEYS / 2), what = roll(may_delete ? 38 : 34);

	if (what < 8)
		put(table, hot, ENV_HOLD, false);
	else if (what < 13)
		put(table, key, ENV_PUT, what < 10);
	else if (what < 16)
		put(table, key, ENV_NEW, what < 14);
	else if (what < 20)
		put(table, now.end[table] < KEYS && roll(8) > 0 ? now.end[table] : key, ENV_APPEND, what < 18);
	else if (what < 28)
		get(table, hot, what < 26);
	else if (what < 30)
		get(table, key, what < 29);
	else if (what < 34)
		read_run(table, key, false);
	else if (what < 37)
		del(table, key);
	else
		read_run(table, key, true);
}

/* All that a transaction sees. */
static void check_seen(struct txn *by, const struct model *m)
{
	uint8_t v[VALUE_MAX];

	for (unsigned table = 0; table < TABLES; table++) {
		struct env_cursor *c;
		struct bytes key, value;
		int r;

		assert_int_equal(env_cursor_open(by, tables[table], &c), RK_OK);
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
		env_cursor_free(c);
	}
}

static void check_others(struct env *e, const struct model *m)
{
	struct txn *other;

	assert_int_equal(env_begin(e, false, &other), RK_OK);
	check_seen(other, m);
	env_abort(other);
}

/* A kill now: is what it leaves what was saved?  Sometimes life goes on from there. */
static void kill_it(void)
{
	char copy[256];
	struct env *left;

	did.kills++;
	save_kit_copy(folder, copy);
	left = save_kit_open(copy);
	check_others(left, &saved);
	if (roll(4) > 0) {
		env_close(left);
		store_kit_remove(copy);
		return;
	}
	env_abort(t);
	t = NULL;
	env_close(env);
	store_kit_remove(folder);
	memcpy(folder, copy, sizeof(copy));
	env = left;
	saved.journal_bytes = 0;
	now = committed = saved;
}

static void commit(void)
{
	assert_int_equal(env_commit(t), RK_OK);
	t = NULL;
	did.txns++;
	now.journal_bytes = 0;
	now.is_unsavable = false;
	saved = committed = now;
	check_others(env, &committed);
}

static void save(void)
{
	int r;

	now.journal_bytes += RECORD_BYTES_MAX;
	r = env_save(t);
	if (now.is_unsavable || !is_gathered) {
		assert_int_equal(r, RK_TOO_LARGE);
		did.refused++;
	} else if (r != RK_OK) {
		assert_int_equal(r, RK_TOO_LARGE);
		assert_true(now.journal_bytes > SAVE_KIT_JOURNAL_BYTES - JOURNAL_PAGE_BYTES);
		did.full++;
	} else {
		saved = now;
		did.saves++;
		return;
	}
	commit();
}

static void batch(void)
{
	unsigned end;

	if (t == NULL) {
		assert_int_equal(env_begin(env, true, &t), RK_OK);
		check_seen(t, &now);
		is_long = roll(5) == 0;
	}
	may_delete = !is_long && roll(8) == 0;
	is_gathered = is_long || roll(30) > 0;
	if (is_gathered)
		env_gather(t);
	for (unsigned steps = roll(STEPS_MAX); steps > 0; steps--)
		step();
	if (roll(15) == 0)
		kill_it();
	if (t == NULL)
		return;
	if ((end = roll(20)) < 15 || is_long) {
		save();
	} else if (end < 18) {
		commit();
	} else {
		env_abort(t);
		t = NULL;
		now = saved;
		did.aborts++;
	}
	if (roll(8) == 0)
		check_others(env, &committed);
	if (roll(15) == 0)
		kill_it();
}

static void what_was_saved_is_there(void **state)
{
	(void)state;
	seed = 11;
	store_kit_folder(folder);
	env = save_kit_open(folder);
	for (unsigned n = 0; n < BATCHES; n++)
		batch();
	kill_it();
	env_abort(t);
	env_close(env);
	store_kit_remove(folder);
	print_message("%u commits, %u saves, %u refused, %u for want of room, %u aborts, %u kills\n", did.txns, did.saves, did.refused, did.full,
	              did.aborts, did.kills);
	assert_true(did.txns >= TXNS_MIN && did.saves > TXNS_MIN && did.refused > 20 && did.full > 2 && did.aborts > 20 && did.kills > TXNS_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_saved_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
