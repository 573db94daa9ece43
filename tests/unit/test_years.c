/* Two years of one exchange, in order: each test goes on where the one before it has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/years_kit.h"

static struct years y;

static void test_live(void **state)
{
	(void)state;
	years_live_until(&y, EXCHANGE_START_MS + 150 * EXCHANGE_DAY_MS);
	fprintf(stderr, "%u steps %u sent\n", y.steps, y.sent_count);
}

static int begin(void **state)
{
	(void)state;
	years_begin(&y);
	return 0;
}

static int end(void **state)
{
	(void)state;
	years_end(&y);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_live)};

	return cmocka_run_group_tests(tests, begin, end);
}
