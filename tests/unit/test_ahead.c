/* secretariat: directories signed ahead, and what becomes of them without the key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/secretariat_ahead.h"
#include "client/secretariat_internal.h"
#include "tests/unit/office_kit.h"

static bool ahead_turn(void)
{
	bool queued;

	assert_int_equal(ahead_tick(office.c, &queued), RK_OK);
	return queued;
}

static struct ahead_view look_ahead(void)
{
	struct ahead_view v;
	struct txn *t = office_begin(false);

	assert_int_equal(ahead_view(office.c, t, &v), RK_OK);
	env_abort(t);
	return v;
}

static uint64_t counted(const char *name)
{
	char key[80];

	snprintf(key, sizeof(key), "count/%s", name);
	return office_meta(key);
}

static void signed_ahead_and_put_week_by_week(void **state)
{
	struct ahead_view v;
	uint64_t first = office_serial();
	unsigned count, before;
	(void)state;

	assert_int_equal(secretariat_ahead(office.c, office.now_ms, &count), RK_EUSAGE);
	assert_int_equal(secretariat_ahead(office.c, office.now_ms + 57 * DAY, &count), RK_EUSAGE);
	assert_int_equal(secretariat_ahead(office.c, office.now_ms + 6 * DAY, &count), RK_OK);
	assert_int_equal(count, 0);
	assert_int_equal(secretariat_ahead(office.c, office.now_ms + 22 * DAY, &count), RK_OK);
	assert_int_equal(count, 3);
	/* Signed again: in place of those. */
	assert_int_equal(secretariat_ahead(office.c, office.now_ms + 22 * DAY, &count), RK_OK);
	v = look_ahead();
	assert_int_equal(v.count, 3);
	assert_in_range(v.covers_until, office.now_ms + 35 * DAY, office.now_ms + 35 * DAY + 10);
	assert_int_equal(office_duty(OFFICE_AHEAD).count, 3);
	/* From here on without the secretariat's key: another process, that nobody is office.asked for a passphrase by. */
	office_reopen();
	before = office.asked;
	assert_false(ahead_turn());
	for (unsigned week = 1; week <= 3; week++) {
		office.now_ms += 7 * DAY + 60000;
		assert_true(ahead_turn());
		/* On its way: no second one. */
		assert_false(ahead_turn());
		assert_int_equal(office_take_all(), 1);
		assert_int_equal(office_serial(), first + week);
		assert_int_equal(look_ahead().count, 3 - week);
		assert_false(ahead_turn());
	}
	assert_int_equal(office.asked, before);
	assert_int_equal(counted(AHEAD_ALERT), 0);
}

static void void_once_another_was_signed(void **state)
{
	uint64_t item;
	unsigned count;
	(void)state;

	assert_int_equal(secretariat_ahead(office.c, office.now_ms + 22 * DAY, &count), RK_OK);
	assert_int_equal(secretariat_set_status(office.c, office.f.orgs[2].org_id, RK__ORG_STATUS__SUSPENDED, &item), RK_OK);
	office_take_all();
	assert_int_equal(look_ahead().count, 0);
	assert_false(ahead_turn());
	assert_int_equal(counted(AHEAD_ALERT), 1);
	assert_false(ahead_turn());
	assert_int_equal(counted(AHEAD_ALERT), 1);
	office.now_ms += 8 * DAY;
	assert_false(ahead_turn());
	assert_int_equal(office_duty(OFFICE_DIRECTORY).why, OFFICE_WHY_AGE);
}

/* The right serial is not enough: it must name the very directory that it follows. */
static void void_where_the_predecessor_is_another(void **state)
{
	uint64_t first = office_serial(), item;
	struct txn *t;
	uint8_t key[8];
	unsigned count;
	(void)state;

	assert_int_equal(secretariat_ahead(office.c, office.now_ms + 22 * DAY, &count), RK_OK);
	put_u64be(key, first + 1);
	t = office_begin(true);
	assert_int_equal(env_del(t, C_AHEAD, BYTES_OF(key)), RK_OK);
	assert_int_equal(env_commit(t), RK_OK);
	assert_int_equal(secretariat_set_status(office.c, office.f.orgs[2].org_id, RK__ORG_STATUS__SUSPENDED, &item), RK_OK);
	office_take_all();
	assert_int_equal(office_serial(), first + 1);
	office.now_ms += 15 * DAY;
	assert_int_equal(look_ahead().count, 0);
	assert_false(ahead_turn());
	assert_int_equal(counted(AHEAD_ALERT), 1);
}

/* The machine slept: what was due a week ago goes first, and then the next; what has expired goes no more. */
static void late_but_in_time_and_too_late(void **state)
{
	uint64_t first = office_serial();
	unsigned count;
	(void)state;

	assert_int_equal(secretariat_ahead(office.c, office.now_ms + 22 * DAY, &count), RK_OK);
	office.now_ms += 15 * DAY;
	assert_true(ahead_turn());
	office_take_all();
	assert_true(ahead_turn());
	office_take_all();
	assert_int_equal(office_serial(), first + 2);
	office.now_ms += 25 * DAY;
	assert_false(ahead_turn());
	assert_int_equal(look_ahead().count, 0);
	assert_int_equal(counted(AHEAD_ALERT), 1);
}

static void refused_and_tried_again(void **state)
{
	unsigned count;
	(void)state;

	assert_int_equal(secretariat_ahead(office.c, office.now_ms + 8 * DAY, &count), RK_OK);
	office.now_ms += 8 * DAY;
	assert_true(ahead_turn());
	office_answer(office_meta(META_DIRECTORY_ITEM), RK_STORE_FULL);
	assert_false(ahead_turn());
	office.now_ms += 3600000;
	assert_true(ahead_turn());
	office_answer(office_meta(META_DIRECTORY_ITEM), RK_CONFLICT);
	assert_false(ahead_turn());
	assert_int_equal(counted(AHEAD_ALERT), 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, office_set_up, office_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signed_ahead_and_put_week_by_week), TEST(void_once_another_was_signed), TEST(void_where_the_predecessor_is_another), TEST(late_but_in_time_and_too_late),
		TEST(refused_and_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
