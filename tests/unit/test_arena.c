/* arena: budget, alignment, reuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/arena.h"

static void gives_aligned_memory_up_to_the_budget(void **state)
{
	struct arena *a = arena_new(1000);
	(void)state;

	assert_non_null(a);
	for (size_t len = 0; len < 40; len += 13) {
		uint8_t *p = arena_alloc(a, len);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		memset(p, 0xAA, len);
	}
	/* 0, 13, 26, 39 bytes take 16, 16, 32, 48 of 1000. */
	assert_int_equal(arena_used(a), 112);
	assert_null(arena_alloc(a, 889));
	assert_int_equal(arena_used(a), 112);
	assert_non_null(arena_alloc(a, 880));
	assert_null(arena_alloc(a, 1));
	assert_null(arena_alloc(a, 0));
	arena_free(a);
}

static void refuses_lengths_that_overflow(void **state)
{
	struct arena *a = arena_new(SIZE_MAX);
	(void)state;

	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, SIZE_MAX - 15));
	assert_null(arena_alloc(a, SIZE_MAX / 2));
	assert_null(arena_copy(a, "", SIZE_MAX));
	assert_int_equal(arena_used(a), 0);
	arena_raise(a, 100);
	assert_non_null(arena_alloc(a, 1));
	arena_free(a);
}

static void copies_with_a_nul_after(void **state)
{
	struct arena *a = arena_new(100);
	(void)state;

	assert_string_equal(arena_copy(a, "renkei!", 6), "renkei");
	assert_string_equal(arena_copy(a, NULL, 0), "");
	assert_null(arena_copy(a, "x", 100));
	arena_free(a);
}

static void reset_gives_all_back_and_sets_the_budget(void **state)
{
	struct arena *a = arena_new(1 << 20);
	void *first;
	(void)state;

	first = arena_alloc(a, 100);
	assert_non_null(arena_alloc(a, 100000));
	assert_non_null(arena_alloc(a, 20000));
	arena_reset(a, 64);
	assert_int_equal(arena_used(a), 0);
	/* The block of the usual size is kept, the large ones are not. */
	assert_ptr_equal(arena_alloc(a, 64), first);
	assert_null(arena_alloc(a, 1));
	arena_raise(a, 16);
	assert_non_null(arena_alloc(a, 1));
	arena_reset(a, 0);
	assert_null(arena_alloc(a, 1));
	arena_free_wiped(a);
}

static void reset_without_a_usual_block(void **state)
{
	struct arena *a = arena_new(1 << 20);
	(void)state;

	assert_non_null(arena_alloc(a, 100000));
	arena_reset(a, 1 << 20);
	assert_non_null(arena_alloc(a, 10));
	arena_free(a);
}

static void budget_is_eight_times_and_64_kib(void **state)
{
	(void)state;
	assert_int_equal(arena_budget(0), 65536);
	assert_int_equal(arena_budget(1000), 73536);
	assert_true(arena_budget(SIZE_MAX) == SIZE_MAX);
	assert_true(arena_budget(SIZE_MAX / 8) == SIZE_MAX);
}

static void null_may_be_freed(void **state)
{
	(void)state;
	arena_free(NULL);
	arena_free_wiped(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_aligned_memory_up_to_the_budget),
		cmocka_unit_test(refuses_lengths_that_overflow),
		cmocka_unit_test(copies_with_a_nul_after),
		cmocka_unit_test(reset_gives_all_back_and_sets_the_budget),
		cmocka_unit_test(reset_without_a_usual_block),
		cmocka_unit_test(budget_is_eight_times_and_64_kib),
		cmocka_unit_test(null_may_be_freed),
	};
	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
