/* Which answers a receipt shows where there are more than it has room for, or some that the verifier refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/evidence_internal.h"
#include "proto/strict.h"

#define MANY 40 /* devices of org 0; the others have one each */
#define ORGS 3

static uint8_t org_ids[ORGS][16], device_ids[ORGS][MANY][16];
static Rk__Device devices[ORGS][MANY], *device_lists[ORGS][MANY];
static Rk__OrgDevices lists[ORGS];
static Rk__Recipient recipients[ORGS], *recipient_list[ORGS];
static Rk__EnvelopeHeader header;
static Rk__Pickup pickups[ORGS * MANY];
static struct evidence_piece list_pieces[ORGS], pickup_pieces[ORGS * MANY];
static struct evidence_choice k;

/* Every list is logged before the envelope, at index 10. */
static int prepare(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	memset(list_pieces, 0, sizeof(list_pieces));
	memset(pickup_pieces, 0, sizeof(pickup_pieces));
	rk__envelope_header__init(&header);
	header.n_recipients = ORGS;
	header.recipients = recipient_list;
	for (size_t i = 0; i < ORGS; i++) {
		memset(org_ids[i], (int)i + 1, 16);
		rk__recipient__init(&recipients[i]);
		recipients[i].org_id = pb_of(bytes_make(org_ids[i], 16));
		recipient_list[i] = &recipients[i];
		rk__org_devices__init(&lists[i]);
		lists[i].org_id = recipients[i].org_id;
		lists[i].n_devices = i == 0 ? MANY : 1;
		lists[i].devices = device_lists[i];
		for (size_t d = 0; d < MANY; d++) {
			memset(device_ids[i][d], (int)d, 16);
			device_ids[i][d][0] = (uint8_t)(100 + i);
			rk__device__init(&devices[i][d]);
			devices[i][d].device_id = pb_of(bytes_make(device_ids[i][d], 16));
			device_lists[i][d] = &devices[i][d];
		}
		list_pieces[i].index = i + 1;
		list_pieces[i].message = &lists[i].base;
	}
	k.header = &header;
	k.index = 10;
	k.devices = (struct evidence_pieces){list_pieces, ORGS};
	k.pickups = (struct evidence_pieces){pickup_pieces, 0};
	return 0;
}

static void picks_up(size_t org, size_t device)
{
	size_t n = k.pickups.n++;

	rk__pickup__init(&pickups[n]);
	pickups[n].device_id = devices[org][device].device_id;
	pickup_pieces[n].index = 11 + n;
	pickup_pieces[n].message = &pickups[n].base;
}

static bool is_shown(size_t at, size_t org, size_t device)
{
	const struct evidence_piece *p = k.shown_pickups.list[at];

	return memcmp(p->org_id, org_ids[org], 16) == 0 &&
	       memcmp(((const Rk__Pickup *)(const void *)p->message)->device_id.data, device_ids[org][device], 16) == 0;
}

static void each_organisation_before_the_second_of_one(void **state)
{
	(void)state;
	for (size_t d = 0; d < 20; d++)
		picks_up(0, d);
	picks_up(1, 0);
	picks_up(1, 0);
	picks_up(2, 0);
	picks_up(0, 20);
	evidence_choose(&k);
	assert_int_equal(k.shown_pickups.n, RECEIPT_PICKUPS_MAX);
	for (size_t i = 0; i < RECEIPT_PICKUPS_MAX - 2; i++)
		assert_true(is_shown(i, 0, i));
	assert_true(is_shown(RECEIPT_PICKUPS_MAX - 2, 1, 0));
	assert_true(is_shown(RECEIPT_PICKUPS_MAX - 1, 2, 0));
	assert_int_equal(k.left_out, 21 - (RECEIPT_PICKUPS_MAX - 2));
	assert_int_equal(k.bad_pickups, 0);
	assert_true(list_pieces[0].is_needed && list_pieces[1].is_needed && list_pieces[2].is_needed);
}

/* The room of what is refused goes to the next; an organisation that gave too many has no more turns. */
static void what_is_refused_makes_room(void **state)
{
	(void)state;
	for (size_t d = 0; d < MANY; d++)
		picks_up(0, d);
	picks_up(1, 0);
	for (unsigned bad = 1; bad < 4; bad++) {
		evidence_choose(&k);
		assert_true(is_shown(0, 0, bad - 1));
		assert_true(evidence_blame(&k, NULL, "pickup-1"));
	}
	evidence_choose(&k);
	assert_int_equal(k.bad_pickups, 3);
	assert_int_equal(k.shown_pickups.n, RECEIPT_PICKUPS_MAX);
	assert_true(evidence_blame(&k, NULL, "pickup-2"));
	evidence_choose(&k);
	assert_int_equal(k.bad_pickups, MANY);
	assert_int_equal(k.shown_pickups.n, 1);
	assert_true(is_shown(0, 1, 0));
	assert_int_equal(k.left_out, 0);
}

static void what_rests_on_a_refused_list_goes_with_it(void **state)
{
	(void)state;
	picks_up(0, 0);
	picks_up(1, 0);
	evidence_choose(&k);
	assert_false(evidence_blame(&k, &list_pieces[2], "orgdevices-A"));
	assert_false(evidence_blame(&k, &list_pieces[2], "orgdevices-D"));
	assert_false(evidence_blame(&k, &list_pieces[2], "orgdevices-AA"));
	assert_false(evidence_blame(&k, &list_pieces[2], "envelope"));
	assert_false(evidence_blame(&k, &list_pieces[2], "pickup-3"));
	assert_true(evidence_blame(&k, &list_pieces[2], "orgdevices-B"));
	evidence_choose(&k);
	assert_int_equal(k.shown_pickups.n, 1);
	assert_true(is_shown(0, 1, 0));
	assert_int_equal(k.bad_pickups, 1);
	assert_false(list_pieces[0].is_needed);
}

static void unknown_devices_are_left_out(void **state)
{
	(void)state;
	picks_up(1, 5); /* its list names device 0 alone */
	picks_up(1, 0);
	evidence_choose(&k);
	assert_int_equal(k.shown_pickups.n, 1);
	assert_int_equal(k.left_out, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_organisation_before_the_second_of_one, prepare),
		cmocka_unit_test_setup(what_is_refused_makes_room, prepare),
		cmocka_unit_test_setup(what_rests_on_a_refused_list_goes_with_it, prepare),
		cmocka_unit_test_setup(unknown_devices_are_left_out, prepare),
	};

	return cmocka_run_group_tests_name("what a receipt shows", tests, NULL, NULL);
}
