/* The roster: what is put is found, by id and by CURVE key; what is dropped is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/roster.h"

#define MANY 500

static struct roster_device device_of(uint32_t i)
{
	struct roster_device d = {.active = i % 3 != 0};

	/* Spread and unsorted. */
	put_u32be(d.device_id, i * 2654435761u);
	put_u32be(d.curve_pk, i * 40503u + 1);
	memset(d.sign_pk, (int)(i & 0xff), 32);
	memset(d.org_id, (int)(i & 0xff), 16);
	return d;
}

static void devices_are_found_both_ways(void **state)
{
	struct roster *r = roster_new();
	struct roster_device d, found;
	char id[ROSTER_USER_ID_CHARS], expected[ROSTER_USER_ID_CHARS];
	(void)state;

	for (uint32_t i = 1; i <= MANY; i++) {
		d = device_of(i);
		assert_true(roster_put_device(r, &d));
	}
	for (uint32_t i = 1; i <= MANY; i++) {
		d = device_of(i);
		assert_true(roster_device(r, d.device_id, &found));
		assert_memory_equal(found.sign_pk, d.sign_pk, 32);
		assert_int_equal(found.active, d.active);
		assert_int_equal(roster_user_id(r, d.curve_pk, 0, id), d.active);
		if (!d.active)
			continue;
		snprintf(expected, sizeof(expected), "dev:%08x%024d", get_u32be(d.device_id), 0);
		assert_string_equal(id, expected);
	}
	for (uint32_t i = 1; i <= MANY; i += 2) {
		d = device_of(i);
		roster_drop_device(r, d.device_id);
		roster_drop_device(r, d.device_id);
	}
	for (uint32_t i = 1; i <= MANY; i++) {
		d = device_of(i);
		assert_int_equal(roster_device(r, d.device_id, &found), i % 2 == 0);
		assert_int_equal(roster_user_id(r, d.curve_pk, 0, id), i % 2 == 0 && d.active);
	}
	roster_free(r);
}

static void an_inactive_device_does_not_shake_hands(void **state)
{
	struct roster *r = roster_new();
	struct roster_device d = device_of(1);
	char id[ROSTER_USER_ID_CHARS];
	(void)state;

	assert_true(roster_put_device(r, &d));
	assert_true(roster_user_id(r, d.curve_pk, 0, id));
	d.active = false;
	assert_true(roster_put_device(r, &d));
	assert_false(roster_user_id(r, d.curve_pk, 0, id));
	roster_free(r);
}

static void an_invite_ends_at_its_time(void **state)
{
	struct roster *r = roster_new();
	struct roster_invite i = {.invite_id = {0xab}, .curve_pk = {7}, .expires_at = 1000};
	char id[ROSTER_USER_ID_CHARS];
	(void)state;

	assert_true(roster_put_invite(r, &i));
	assert_true(roster_user_id(r, i.curve_pk, 999, id));
	assert_string_equal(id, "inv:ab000000000000000000000000000000");
	assert_false(roster_user_id(r, i.curve_pk, 1000, id));
	assert_true(roster_invite_is_open(r, i.invite_id, 999));
	assert_false(roster_invite_is_open(r, i.invite_id, 1000));
	roster_drop_invite(r, i.invite_id);
	assert_false(roster_invite_is_open(r, i.invite_id, 1));
	assert_false(roster_user_id(r, i.curve_pk, 1, id));
	roster_free(r);
}

static void exchange_organisations_and_keys(void **state)
{
	struct roster *r = roster_new();
	struct roster_org o = {.org_id = {1}, .org_pk = {2}, .roles = 8, .active = true}, found;
	uint8_t exchange[32] = {5}, got[32], signer[16] = {6}, pk[32] = {9};
	(void)state;

	assert_false(roster_exchange(r, got));
	roster_set_exchange(r, exchange);
	assert_true(roster_exchange(r, got));
	assert_memory_equal(got, exchange, 32);
	assert_false(roster_org(r, o.org_id, &found));
	assert_true(roster_put_org(r, &o));
	o.active = false;
	assert_true(roster_put_org(r, &o));
	assert_true(roster_org(r, o.org_id, &found));
	assert_false(found.active);
	assert_int_equal(found.roles, 8);
	assert_false(roster_secretariat_pk(r, signer, got));
	assert_true(roster_put_secretariat_key(r, signer, pk));
	assert_true(roster_secretariat_pk(r, signer, got));
	assert_memory_equal(got, pk, 32);
	roster_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_are_found_both_ways),
		cmocka_unit_test(an_inactive_device_does_not_shake_hands),
		cmocka_unit_test(an_invite_ends_at_its_time),
		cmocka_unit_test(exchange_organisations_and_keys),
	};
	return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
