/* The roster beside a writer: readers see whole rows or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "broker/roster.h"

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

static atomic_bool stop;

static void *read_on(void *roster)
{
	struct roster_device d, found;

	while (!atomic_load(&stop))
		for (uint32_t i = 1; i <= 50; i++) {
			d = device_of(i);
			/* Whole or not at all. */
			if (roster_device(roster, d.device_id, &found) && memcmp(found.sign_pk, d.sign_pk, 32) != 0)
				return roster;
		}
	return NULL;
}

static void readers_see_whole_rows(void **state)
{
	struct roster *r = roster_new();
	pthread_t readers[2];
	void *bad;
	(void)state;

	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_on, r), 0);
	for (int round = 0; round < 50; round++)
		for (uint32_t i = 1; i <= 50; i++) {
			struct roster_device d = device_of(i);

			if (round % 2)
				roster_drop_device(r, d.device_id);
			else
				assert_true(roster_put_device(r, &d));
		}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], &bad);
		assert_null(bad);
	}
	roster_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_whole_rows),
	};
	return cmocka_run_group_tests_name("roster, threads", tests, NULL, NULL);
}
