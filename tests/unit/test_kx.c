/* kx: when a device makes its next key, what survives a crash in between, and when secrets go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/client_internal.h"
#include "client/kx.h"
#include "proto/ids.h"
#include "proto/note.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/bare_home.h"

#define DAY ((int64_t)86400000)
#define SELF 1

static struct bare h;

static int set_up(void **state)
{
	(void)state;
	bare_begin(&h, SELF);
	bare_fill_book(&h);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bare_end(&h);
	return 0;
}

/* The clock goes on, and the secretariat has signed in the meantime. */
static void day(int64_t n)
{
	uint64_t serial;
	uint8_t oh[32];
	struct bytes wire;
	Rk__Directory *d;

	bare_now_ms = FIXED_TIME_MS + n * DAY;
	bare_write(&h);
	assert_int_equal(book_newest(h.t, RK__OBJECT_TYPE__OBJECT_DIRECTORY, NULL, &serial, oh, &wire), RK_OK);
	d = bare_next_directory(&h, serial + 1);
	d->issued_at = bare_now_ms;
	d->expires_at = bare_now_ms + TRUST_DIRECTORY_AGE_MS;
	assert_int_equal(bare_take_directory(&h, d), RK_OK);
	bare_commit(&h);
}

static bool tick(void)
{
	bool queued;

	assert_int_equal(kx_tick(h.c, &queued), RK_OK);
	return queued;
}

static size_t ring(struct keys_kx keys[KEYS_KX_MAX])
{
	size_t n;

	assert_int_equal(keys_kx_list(h.c, keys, KEYS_KX_MAX, &n), RK_OK);
	return n;
}

static uint64_t offered(void)
{
	struct txn *t;
	uint64_t item;

	assert_int_equal(env_begin(client_env(h.c), false, &t), RK_OK);
	item = meta_u64(t, META_KX_ITEM);
	env_abort(t);
	return item;
}

/* The broker's answer to the one that was offered last. */
static void answer(int code)
{
	Rkl__OutboxItem *item;
	uint64_t id = offered();

	bare_write(&h);
	assert_int_equal(outbox_load(h.t, id, h.a, &item), RK_OK);
	item->state = RKL__ITEM_STATE__DONE;
	item->code = code;
	item->time_ms = bare_now_ms;
	assert_int_equal(outbox_store(h.t, item, RKL__ITEM_STATE__QUEUED), RK_OK);
	bare_commit(&h);
}

static int take(const struct keys_kx *key)
{
	Rk__DeviceKx m = RK__DEVICE_KX__INIT;
	uint8_t pk[32];
	int r;

	memcpy(pk, key->pk, 32);
	m.version = 1;
	m.device_id = pb_of(BYTES_OF(h.f.orgs[SELF].device_id));
	m.serial = key->serial;
	m.kx_pk = pb_of(BYTES_OF(pk));
	m.not_before = key->not_before;
	m.not_after = key->not_after;
	bare_write(&h);
	r = bare_take(&h, OBJECT_KIND_DEVICE_KX, bare_sign(&h, OBJECT_KIND_DEVICE_KX, h.f.orgs[SELF].device.sk, &m.base));
	bare_commit(&h);
	return r;
}

/* The broker has it, and its entry has come. */
static void publish(void)
{
	struct keys_kx keys[KEYS_KX_MAX];
	size_t n = ring(keys);

	answer(RK_OK);
	assert_int_equal(take(&keys[n - 1]), RK_OK);
}

/* ---- rules */

static void when_it_is_due(void **state)
{
	static const struct {
		const char *name;
		int64_t age;             /* of the published one */
		bool none, has_secret, other_log;
		enum kx_due due;
	} rows[] = {
		{"29 days", 29 * DAY, false, true, false, KX_NOT_DUE},
		{"a moment before 30 days", 30 * DAY - 1, false, true, false, KX_NOT_DUE},
		{"30 days", 30 * DAY, false, true, false, KX_AGE},
		{"31 days", 31 * DAY, false, true, false, KX_AGE},
		{"a moment before 40 days", 40 * DAY - 1, false, true, false, KX_AGE},
		{"40 days", 40 * DAY, false, true, false, KX_LATE},
		{"60 days", 60 * DAY, false, true, false, KX_LATE},
		{"none was ever published", 0, true, false, false, KX_FIRST},
		{"its secret is not here", DAY, false, false, false, KX_LOST},
		{"over, and its secret is not here", 41 * DAY, false, false, false, KX_LATE},
		{"the exchange went on with another log", DAY, false, true, true, KX_LOG},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Rk__DeviceKx *kx = fixed_device_kx(&h.f, SELF, h.a);
		Rk__Charter *charter = fixed_charter(&h.f, h.a);
		char name[NOTE_NAME_CHARS], vkey[NOTE_VKEY_CHARS];
		enum kx_due due;

		if (rows[i].other_log) {
			note_origin(name, h.f.exchange_id, 2);
			assert_int_equal(note_vkey(vkey, name, NOTE_TYPE_LOG, h.f.log.pk), RK_OK);
			charter->log_vkey = vkey;
			charter->issued_at = kx->not_before + DAY / 2;
		}
		due = kx_due(rows[i].none ? NULL : kx, rows[i].has_secret, charter, kx->not_before + rows[i].age);
		if (due != rows[i].due)
			fail_msg("%s: %d, not %d", rows[i].name, (int)due, (int)rows[i].due);
	}
}

static void in_turn_or_not(void **state)
{
	Rk__DeviceKx *before = fixed_device_kx(&h.f, SELF, h.a), *next = fixed_device_kx(&h.f, SELF, h.a);
	static const struct { int64_t after; bool in_turn; } rows[] = {
		{DAY, false}, {28 * DAY, false}, {29 * DAY, true}, {30 * DAY - 600000, true}, {39 * DAY, true}, {40 * DAY - 1, true},
		{40 * DAY, false}, {70 * DAY, false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		next->not_before = before->not_before + rows[i].after;
		assert_int_equal(kx_is_in_turn(before, next), rows[i].in_turn);
	}
}

/* ---- a device over time */

static void a_new_one_each_month(void **state)
{
	struct keys_kx keys[KEYS_KX_MAX];
	uint8_t pk[32], sk[32];
	bool any;
	(void)state;

	day(29);
	assert_false(tick());
	assert_int_equal(ring(keys), 1);
	day(30);
	assert_true(tick());
	assert_int_equal(ring(keys), 2);
	assert_int_equal(keys[1].serial, 2);
	assert_int_equal(keys[1].not_after - keys[1].not_before, TRUST_KX_AGE_MS);
	assert_true(keys[1].not_before <= bare_now_ms);
	/* On its way: nobody makes a third. */
	assert_false(tick());
	/* Taken, and its entry still to come. */
	answer(RK_OK);
	assert_false(tick());
	assert_int_equal(take(&keys[1]), RK_OK);
	assert_false(tick());
	assert_int_equal(ring(keys), 2);
	day(59);
	assert_int_equal(kx_forget(h.c), RK_OK);
	assert_true(keys_kx(h.c, 1, pk, sk));
	day(60);
	assert_int_equal(keys_kx_forget(h.c, bare_now_ms, &any), RK_OK);
	assert_true(any);
	assert_false(keys_kx(h.c, 1, pk, sk));
	assert_true(keys_kx(h.c, 2, pk, sk));
	assert_int_equal(keys_kx_forget(h.c, bare_now_ms, &any), RK_OK);
	assert_false(any);
	/* In time: nothing was missed. */
	assert_int_equal(bare_counter(&h, KX_ALERT), 0);
	assert_true(tick());
	assert_int_equal(ring(keys), 2);
	assert_int_equal(keys[1].serial, 3);
}

/* A destroyed secret takes the keys of dossiers with it no more than they it. */
static void forgetting_keeps_the_rest(void **state)
{
	uint8_t id[32] = {7}, key[32], found[32], pk[32], sk[32];
	(void)state;

	assert_int_equal(keys_dossier(h.c, id, true, key), RK_OK);
	day(30);
	assert_true(tick());
	day(61);
	assert_int_equal(kx_forget(h.c), RK_OK);
	bare_reopen(&h);
	assert_int_equal(keys_unlock(h.c, KEY_DEVICE), RK_OK);
	assert_int_equal(keys_dossier(h.c, id, false, found), RK_OK);
	assert_memory_equal(key, found, 32);
	assert_false(keys_kx(h.c, 1, pk, sk));
}

/* Killed after the secret was durable and before the item was: the next process offers that very key. */
static void killed_before_it_was_offered(void **state)
{
	struct keys_kx made = {.serial = 2}, keys[KEYS_KX_MAX];
	(void)state;

	day(30);
	made.not_before = bare_now_ms - 600000;
	made.not_after = made.not_before + TRUST_KX_AGE_MS;
	assert_int_equal(keys_kx_make(h.c, &made), RK_OK);
	bare_reopen(&h);
	bare_now_ms += DAY;
	assert_true(tick());
	assert_int_equal(ring(keys), 2);
	assert_memory_equal(keys[1].pk, made.pk, 32);
	/* Killed after it was durable: the item is there, and is all. */
	bare_reopen(&h);
	assert_false(tick());
	publish();
	assert_false(tick());
}

/* Neither knows of the other, nor of a lock: the store makes them take turns, and the second finds it done. */
static void processes_at_once_make_one_key(void **state)
{
	struct keys_kx keys[KEYS_KX_MAX];
	pid_t children[4];
	int status, made = 0;
	(void)state;

	day(30);
	client_close(h.c);
	h.c = NULL;
	for (size_t i = 0; i < 4; i++) {
		if ((children[i] = fork()) != 0)
			continue;
		bool queued = false;
		bare_reopen(&h);
		int r = kx_tick(h.c, &queued);
		client_close(h.c);
		_exit(r != RK_OK ? 9 : queued ? 1 : 0);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		made += WEXITSTATUS(status);
	}
	bare_reopen(&h);
	assert_int_equal(keys_unlock(h.c, KEY_DEVICE), RK_OK);
	assert_int_equal(made, 1);
	assert_int_equal(ring(keys), 2);
	assert_int_equal(bare_table_count(&h, C_OUTBOX), 1);
}

/* One that never got out and has grown old over it makes way for another of the same serial. */
static void made_and_forgotten(void **state)
{
	struct keys_kx made = {.serial = 2}, keys[KEYS_KX_MAX];
	(void)state;

	day(30);
	made.not_before = bare_now_ms;
	made.not_after = made.not_before + TRUST_KX_AGE_MS;
	assert_int_equal(keys_kx_make(h.c, &made), RK_OK);
	day(61);
	assert_true(tick());
	assert_int_equal(ring(keys), 2);
	assert_int_equal(keys[1].serial, 2);
	assert_memory_not_equal(keys[1].pk, made.pk, 32);
}

static void refused_and_offered_again(void **state)
{
	struct keys_kx keys[KEYS_KX_MAX];
	uint8_t pk[32];
	uint64_t first;
	(void)state;

	day(30);
	assert_true(tick());
	ring(keys);
	memcpy(pk, keys[1].pk, 32);
	first = offered();
	answer(RK_QUOTA);
	assert_false(tick());
	bare_now_ms += 3600000;
	assert_true(tick());
	assert_int_not_equal(offered(), first);
	assert_int_equal(ring(keys), 2);
	assert_memory_equal(keys[1].pk, pk, 32);
}

/* Without a directory that stands the exchange takes no key. */
static void not_under_an_expired_directory(void **state)
{
	(void)state;

	bare_now_ms = FIXED_TIME_MS + 31 * DAY;
	assert_false(tick());
	day(31);
	assert_true(tick());
}

static void away_for_too_long(void **state)
{
	struct keys_kx keys[KEYS_KX_MAX];
	(void)state;

	day(41);
	assert_true(tick());
	assert_int_equal(bare_counter(&h, KX_ALERT), 1);
	assert_int_equal(bare_table_count(&h, C_INBOX), 1);
	assert_int_equal(ring(keys), 2);
	publish();
	assert_false(tick());
	assert_int_equal(bare_counter(&h, KX_ALERT), 1);
}

/* An older copy of the home was put back: what it published since is known to all and has no secret here. */
static void put_back_from_a_copy(void **state)
{
	struct keys_kx lost = {.serial = 2, .not_before = FIXED_TIME_MS, .not_after = FIXED_TIME_MS + TRUST_KX_AGE_MS}, keys[KEYS_KX_MAX];
	struct keys_kx never_told = lost;
	(void)state;

	/* The copy has a key of that serial too, which was never told to anybody. */
	assert_int_equal(keys_kx_make(h.c, &never_told), RK_OK);
	assert_int_equal(crypto_scalarmult_base(lost.pk, (const uint8_t[32]){1, 2, 3}), 0);
	day(10);
	assert_int_equal(take(&lost), RK_OK);
	assert_true(tick());
	assert_int_equal(ring(keys), 3);
	assert_int_equal(keys[2].serial, 3);
	assert_int_equal(bare_counter(&h, KX_ALERT), 1);
}

static void a_device_that_was_removed(void **state)
{
	struct fixed_sign other;
	struct fixed_box box;
	Rk__OrgDevices *list;
	uint8_t id[16];
	(void)state;

	day(31);
	bare_write(&h);
	list = bare_next_devices(&h, SELF, 2);
	list->n_devices = 2;
	list->devices = fixed_alloc(h.a, 2 * sizeof(*list->devices));
	for (int i = 0; i < 2; i++)
		list->devices[i] = fixed_org_devices(&h.f, SELF, h.a)->devices[0];
	list->devices[0]->retired_at = FIXED_TIME_MS + 20 * DAY;
	fixed_sign_key(&other, "another device");
	fixed_box_key(&box, "another device");
	ids_device(id, other.pk);
	memcpy(list->devices[1]->device_id.data, id, 16);
	memcpy(list->devices[1]->sign_pk.data, other.pk, 32);
	memcpy(list->devices[1]->curve_pk.data, box.pk, 32);
	if (memcmp(list->devices[0]->device_id.data, id, 16) > 0) {
		Rk__Device *d = list->devices[0];

		list->devices[0] = list->devices[1];
		list->devices[1] = d;
	}
	assert_int_equal(bare_take(&h, OBJECT_KIND_ORG_DEVICES, bare_sign(&h, OBJECT_KIND_ORG_DEVICES, h.f.orgs[SELF].org.sk, &list->base)),
	                 RK_OK);
	bare_commit(&h);
	assert_false(tick());
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(when_it_is_due), TEST(in_turn_or_not), TEST(a_new_one_each_month), TEST(forgetting_keeps_the_rest),
		TEST(killed_before_it_was_offered), TEST(processes_at_once_make_one_key), TEST(made_and_forgotten), TEST(refused_and_offered_again),
		TEST(not_under_an_expired_directory), TEST(away_for_too_long), TEST(put_back_from_a_copy), TEST(a_device_that_was_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
