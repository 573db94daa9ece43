/*
 * sequence: time never goes back, and a stepped clock stops it (CRYPTO 2.12).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/sequence.h"
#include "proto/errcode.h"

#define START ((int64_t)1760000000000)

struct fake {
	int64_t wall, boot;
};

static int64_t wall(void *user)
{
	return ((struct fake *)user)->wall;
}

static int64_t boot(void *user)
{
	return ((struct fake *)user)->boot;
}

static struct sequence *begin(struct fake *f, int64_t last_ms, bool accept, int want)
{
	const struct sequence_clock clock = {wall, boot, f};
	struct sequence *s;

	*f = (struct fake){START, 5000};
	assert_int_equal(sequence_new(&clock, last_ms, accept, &s), want);
	return s;
}

static void pass(struct fake *f, int64_t ms)
{
	f->wall += ms;
	f->boot += ms;
}

static void time_follows_the_clock_and_never_goes_back(void **state)
{
	struct fake f;
	struct sequence *s = begin(&f, START - 10, false, RK_OK);
	int64_t t, last = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		pass(&f, 10);
		/* A small step back, as a time daemon makes them. */
		if (i == 50)
			f.wall -= 700;
		assert_true(sequence_next(s, &t));
		assert_true(t >= last);
		assert_true(sequence_time(s) >= t);
		last = t;
	}
	assert_true(last >= START);
	sequence_free(s);
}

static void a_step_beyond_a_minute_stops_it_until_it_is_undone(void **state)
{
	static const int64_t steps[] = {SEQUENCE_STEP_MS + 1, -SEQUENCE_STEP_MS - 1, (int64_t)75 * 365 * 86400000};
	int64_t t;

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct fake f;
		struct sequence *s = begin(&f, 0, false, RK_OK);

		assert_true(sequence_next(s, &t));
		f.wall += steps[i];
		assert_false(sequence_next(s, &t));
		pass(&f, 100000);
		assert_false(sequence_next(s, &t));
		assert_int_equal(sequence_drift(s), steps[i]);
		f.wall -= steps[i];
		assert_true(sequence_next(s, &t));
		assert_int_equal(t, START + 100000);
		sequence_free(s);
	}
}

static void a_step_of_exactly_a_minute_passes(void **state)
{
	struct fake f;
	struct sequence *s = begin(&f, 0, false, RK_OK);
	int64_t t;

	(void)state;
	f.wall += SEQUENCE_STEP_MS;
	assert_true(sequence_next(s, &t));
	assert_int_equal(t, START + SEQUENCE_STEP_MS);
	/* Back again: time stands until the clock has caught up. */
	f.wall -= SEQUENCE_STEP_MS;
	assert_true(sequence_next(s, &t));
	assert_int_equal(t, START + SEQUENCE_STEP_MS);
	sequence_free(s);
}

static void a_start_behind_the_store_needs_the_operators_word(void **state)
{
	struct fake f;
	struct sequence *s;
	int64_t t;

	(void)state;
	assert_null(begin(&f, START + SEQUENCE_STEP_MS + 1, false, RK_CLOCK));
	s = begin(&f, START + SEQUENCE_STEP_MS, false, RK_OK);
	sequence_free(s);
	s = begin(&f, START + 86400000, true, RK_OK);
	assert_true(sequence_next(s, &t));
	assert_int_equal(t, START + 86400000); /* never less than the last batch */
	sequence_free(s);
	/* A long pause is normal. */
	s = begin(&f, START - (int64_t)400 * 86400000, false, RK_OK);
	assert_true(sequence_next(s, &t));
	assert_int_equal(t, START);
	sequence_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_follows_the_clock_and_never_goes_back),
		cmocka_unit_test(a_step_beyond_a_minute_stops_it_until_it_is_undone),
		cmocka_unit_test(a_step_of_exactly_a_minute_passes),
		cmocka_unit_test(a_start_behind_the_store_needs_the_operators_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
