/* secretariat: what is due and why, and who gets which feed key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/client_internal.h"
#include "proto/ids.h"
#include "proto/note.h"
#include "proto/strict.h"
#include "tests/unit/office_kit.h"

/* ---- the rules, as a table */

static void what_is_due(void **state)
{
	static const struct {
		const char *name;
		int64_t directory_age, epoch_age, charter_left;
		bool expelled, removed, other_log;
		unsigned missing, waiting;
		enum secretariat_why directory, epoch;
		bool keys_due, charter_due, waiting_due;
	} rows[] = {
		{"fresh", 0, 0, 1000 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_NONE, false, false, false},
		{"6 days", 6 * DAY, 6 * DAY, 1000 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_NONE, false, false, false},
		{"a week", 7 * DAY, 7 * DAY, 1000 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_AGE, OFFICE_WHY_NONE, false, false, false},
		{"82 days", 0, 83 * DAY - 1, 1000 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_NONE, false, false, false},
		{"83 days: its last week", 0, 83 * DAY, 1000 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_AGE, false, false, false},
		{"100 days", 0, 100 * DAY, 1000 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_AGE, false, false, false},
		{"an expulsion, at once", 0, 1, 1000 * DAY, 1, 0, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_EXPELLED, false, false, false},
		{"a removal, the same day", 0, DAY - 1, 1000 * DAY, 0, 1, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_NONE, false, false, false},
		{"a removal, the next day", 0, DAY, 1000 * DAY, 0, 1, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_REMOVED, false, false, false},
		{"both", 0, 1, 1000 * DAY, 1, 1, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_EXPELLED, false, false, false},
		{"another log", DAY, DAY, 1000 * DAY, 0, 0, 1, 0, 0, OFFICE_WHY_LOG, OFFICE_WHY_LOG, false, false, false},
		{"a device without a key", 0, 0, 1000 * DAY, 0, 0, 0, 1, 0, OFFICE_WHY_NONE, OFFICE_WHY_NONE, true, false, false},
		{"its officer is none any more", 0, 0, 1000 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_OFFICER, OFFICE_WHY_NONE, false, false, false},
		{"somebody waits", 0, 0, 1000 * DAY, 0, 0, 0, 0, 2, OFFICE_WHY_NONE, OFFICE_WHY_NONE, false, false, true},
		{"the charter, 91 days", 0, 0, 91 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_NONE, false, false, false},
		{"the charter, 90 days", 0, 0, 90 * DAY, 0, 0, 0, 0, 0, OFFICE_WHY_NONE, OFFICE_WHY_NONE, false, true, false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Rk__Charter *charter = fixed_charter(&office.f, office.a);
		Rk__Directory *d = fixed_directory(&office.f, office.a);
		Rk__FeedEpoch *e = fixed_feed_epoch(&office.f, office.a);
		struct secretariat_facts facts = {.now_ms = office.now_ms, .charter = charter, .directory = d, .epoch = e,
						  .has_expelled = rows[i].expelled, .has_removed = rows[i].removed,
						  .keys_missing = rows[i].missing, .waiting = rows[i].waiting, .invites = 3};
		struct secretariat_duty all[OFFICE_COUNT];
		char name[NOTE_NAME_CHARS], vkey[NOTE_VKEY_CHARS];

		d->issued_at = office.now_ms - rows[i].directory_age;
		d->expires_at = d->issued_at + 14 * DAY;
		e->not_before = office.now_ms - rows[i].epoch_age;
		e->not_after = e->not_before + 90 * DAY;
		charter->not_after = office.now_ms + rows[i].charter_left;
		if (rows[i].other_log) {
			note_origin(name, office.f.exchange_id, 2);
			assert_int_equal(note_vkey(vkey, name, NOTE_TYPE_LOG, office.f.log.pk), RK_OK);
			charter->log_vkey = vkey;
			charter->issued_at = office.now_ms - DAY / 2;
		}
		if (rows[i].directory == OFFICE_WHY_OFFICER)
			charter->secretariat_keys[0]->not_after = office.now_ms;
		secretariat_judge(&facts, all);
		for (int k = 0; k < OFFICE_COUNT; k++)
			assert_int_equal(all[k].kind, k);
		if (all[OFFICE_DIRECTORY].why != rows[i].directory || all[OFFICE_EPOCH].why != rows[i].epoch ||
		    all[OFFICE_DIRECTORY].is_due != (rows[i].directory != OFFICE_WHY_NONE) ||
		    all[OFFICE_EPOCH].is_due != (rows[i].epoch != OFFICE_WHY_NONE) || all[OFFICE_FEED_KEYS].is_due != rows[i].keys_due ||
		    all[OFFICE_CHARTER].is_due != rows[i].charter_due || all[OFFICE_ENROLMENTS].is_due != rows[i].waiting_due ||
		    all[OFFICE_INVITES].is_due || all[OFFICE_AHEAD].is_due)
			fail_msg("%s: directory %d, epoch %d", rows[i].name, (int)all[OFFICE_DIRECTORY].why, (int)all[OFFICE_EPOCH].why);
		assert_true(all[OFFICE_CHARTER].by_hand && all[OFFICE_ENROLMENTS].by_hand && !all[OFFICE_EPOCH].by_hand);
	}
}

/* ---- doing it */

static void each_device_gets_the_key_once(void **state)
{
	struct secretariat_done done;
	(void)state;

	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, MEMBERS);
	assert_true(secretariat_is_due(office.c));
	done = office_do_now();
	assert_int_equal(done.feed_keys, MEMBERS);
	assert_false(done.directory || done.epoch);
	/* On its way, and taken: none is missing. */
	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, 0);
	assert_int_equal(office_take_all(), MEMBERS);
	assert_int_equal(office_do_now().feed_keys, 0);
	assert_false(secretariat_is_due(office.c));
}

static void a_refused_key_is_issued_again_but_not_a_second_one(void **state)
{
	(void)state;

	office_do_now();
	for (uint64_t id = 1; id <= office_meta(META_NEXT_ID); id++)
		office_answer(id, id % 2 ? RK_QUOTA : RK_DUPLICATE);
	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, 1);
}

static void next_kx(int org, uint32_t kx_serial, int64_t not_before)
{
	Rk__DeviceKx *kx = fixed_device_kx(&office.f, org, office.a);
	struct fixed_box box;
	char name[32];

	snprintf(name, sizeof(name), "kx %d %u", org, kx_serial);
	fixed_box_key(&box, name);
	kx->serial = kx_serial;
	memcpy(kx->kx_pk.data, box.pk, 32);
	kx->not_before = not_before;
	kx->not_after = not_before + 40 * DAY;
	office_take_signed(OBJECT_KIND_DEVICE_KX, office.f.orgs[org].device.sk, &kx->base);
}

/* Who has had a valid kx key all along has read what was sealed to the ones before; who was late may not have. */
static void a_new_kx_key_needs_a_feed_key_only_of_who_was_away(void **state)
{
	struct secretariat_done done;
	(void)state;

	office_do_now();
	office_take_all();
	office.now_ms += 30 * DAY;
	office_do_now();
	office_take_all();
	next_kx(1, 2, office.now_ms);
	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, 0);
	office.now_ms += 30 * DAY;
	next_kx(1, 3, office.now_ms);
	next_kx(2, 2, office.now_ms);
	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, 1);
	done = office_do_now();
	assert_int_equal(done.feed_keys, 1);
	assert_true(done.directory);
	office_take_all();
	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, 0);
}

static void an_expulsion_turns_the_epoch_in_the_same_transaction(void **state)
{
	uint64_t item;
	(void)state;

	office_do_now();
	office_take_all();
	office.now_ms += 1000;
	assert_int_equal(secretariat_set_status(office.c, office.f.orgs[1].org_id, RK__ORG_STATUS__EXPELLED, &item), RK_OK);
	/* Directory, epoch, and keys for two: not for the one that is out. */
	assert_int_equal(office_take_all(), 4);
	assert_int_equal(office_duty(OFFICE_EPOCH).is_due, false);
	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, 0);
}

static void set_queued(uint64_t n)
{
	struct txn *t = office_begin(true);

	assert_int_equal(meta_put_u64(t, META_QUEUED, n), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
}

/* Feed keys for machines that somebody adds by the dozen fill the outbox; they do not keep a member in. */
static void an_expulsion_does_not_wait_for_room_for_the_keys(void **state)
{
	uint64_t item;
	(void)state;

	office_do_now();
	office_take_all();
	office.now_ms += 1000;
	set_queued(20000 - 3);
	assert_int_equal(secretariat_set_status(office.c, office.f.orgs[1].org_id, RK__ORG_STATUS__EXPELLED, &item), RK_OK);
	set_queued(3);
	/* Directory, epoch, and one key; the other one is issued when there is room. */
	assert_int_equal(office_take_all(), 3);
	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, 1);
	assert_int_equal(office_do_now().feed_keys, 1);
	assert_int_equal(office_take_all(), 1);
	assert_int_equal(office_duty(OFFICE_FEED_KEYS).count, 0);
	/* Where there is no room for the epoch itself, nothing is said to be done. */
	set_queued(20000 - 1);
	assert_int_equal(secretariat_set_status(office.c, office.f.orgs[2].org_id, RK__ORG_STATUS__EXPELLED, &item), RK_QUOTA);
	set_queued(0);
	assert_int_equal(office_take_all(), 0);
}

/* The epoch of the expulsion was refused: the one that is out still holds the newest key, and so it is due until it turns. */
static void an_expulsion_whose_epoch_was_refused(void **state)
{
	uint64_t item;
	struct secretariat_done done;
	(void)state;

	office_do_now();
	office_take_all();
	office.now_ms += 1000;
	assert_int_equal(secretariat_set_status(office.c, office.f.orgs[1].org_id, RK__ORG_STATUS__EXPELLED, &item), RK_OK);
	office_take(OBJECT_KIND_DIRECTORY, office_queued_object(item));
	for (uint64_t id = item; id <= office_meta(META_NEXT_ID); id++)
		office_answer(id, id == item ? RK_OK : RK_EPOCH_UNKNOWN);
	assert_int_equal(office_duty(OFFICE_EPOCH).why, OFFICE_WHY_EXPELLED);
	done = office_do_now();
	assert_true(done.epoch);
	assert_int_equal(done.feed_keys, 2);
	office_take_all();
	assert_false(office_duty(OFFICE_EPOCH).is_due);
}

/* Taken, but not come back: a second epoch of the same number would put another key in its place. */
static void no_second_epoch_before_the_first_has_come(void **state)
{
	struct secretariat_done done;
	(void)state;

	office_do_now();
	office_take_all();
	office.now_ms += 84 * DAY;
	assert_true(office_do_now().epoch);
	for (uint64_t id = 1; id <= office_meta(META_NEXT_ID); id++)
		office_answer(id, RK_OK);
	/* The directory does not wait for it. */
	assert_int_equal(secretariat_duties(office.c, &done), RK_OK);
	assert_true(done.directory && !done.epoch);
}

static void a_removed_device_turns_the_epoch_the_next_day(void **state)
{
	Rk__OrgDevices *list = fixed_org_devices(&office.f, 1, office.a), *old;
	struct fixed_sign sign;
	struct fixed_box box;
	uint8_t oh[32], id[16];
	struct txn *t;
	(void)state;

	office_do_now();
	office_take_all();
	t = office_begin(false);
	assert_int_equal(book_org_devices(office.c, t, office.f.orgs[1].org_id, office.a, &old, oh), RK_OK);
	env_abort(t);
	fixed_sign_key(&sign, "new machine");
	fixed_box_key(&box, "new machine");
	ids_device(id, sign.pk);
	list->serial = 2;
	list->prev_oh = pb_of(BYTES_OF(oh));
	list->devices[0]->device_id = pb_of(BYTES_OF(id));
	list->devices[0]->sign_pk = pb_of(BYTES_OF(sign.pk));
	list->devices[0]->curve_pk = pb_of(BYTES_OF(box.pk));
	office_take_signed(OBJECT_KIND_ORG_DEVICES, office.f.orgs[1].org.sk, &list->base);
	assert_false(office_duty(OFFICE_EPOCH).is_due);
	office.now_ms += DAY - 1;
	assert_false(office_duty(OFFICE_EPOCH).is_due);
	office.now_ms += 1;
	assert_int_equal(office_duty(OFFICE_EPOCH).why, OFFICE_WHY_REMOVED);
	assert_true(office_do_now().epoch);
	office_take_all();
	office.now_ms += DAY;
	assert_false(office_duty(OFFICE_EPOCH).is_due);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, office_set_up, office_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_due), TEST(each_device_gets_the_key_once), TEST(a_refused_key_is_issued_again_but_not_a_second_one),
		TEST(a_new_kx_key_needs_a_feed_key_only_of_who_was_away), TEST(an_expulsion_turns_the_epoch_in_the_same_transaction),
		TEST(an_expulsion_does_not_wait_for_room_for_the_keys), TEST(an_expulsion_whose_epoch_was_refused), TEST(no_second_epoch_before_the_first_has_come),
		TEST(a_removed_device_turns_the_epoch_the_next_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
