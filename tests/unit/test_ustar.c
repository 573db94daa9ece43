/* Archives of the one form: their bytes, what tar makes of them is tests/interop's; every bit of a header, of padding, of the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/errcode.h"
#include "proto/ustar.h"

static const struct ustar_member three[] = {
	{"README.txt", {(const uint8_t *)"hello\n", 6}},
	{"empty", {(const uint8_t *)"", 0}},
	{"a-1.tbs", {(const uint8_t *)"0123456789", 10}},
};

static struct arena *arena;
static struct ustar_member found[USTAR_MEMBERS_MAX];
static size_t found_count;

static int prepare(void **state)
{
	(void)state;
	arena = arena_new(1 << 16);
	return arena ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static struct bytes write_three(void)
{
	struct bytes archive;

	assert_int_equal(ustar_write(three, 3, arena, &archive), RK_OK);
	return archive;
}

static void written_and_read(void **state)
{
	struct bytes archive = write_three(), again;

	(void)state;
	assert_int_equal(archive.len, 3 * 512 + 2 * 512 + 1024);
	assert_int_equal(ustar_read(archive, found, USTAR_MEMBERS_MAX, &found_count), RK_OK);
	assert_int_equal(found_count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(found[i].name, three[i].name);
		assert_true(bytes_equal(found[i].data, three[i].data));
	}
	assert_int_equal(ustar_write(found, found_count, arena, &again), RK_OK);
	assert_true(bytes_equal(archive, again));
	assert_int_equal(ustar_read(archive, found, 2, &found_count), RK_TOO_LARGE);
}

static void the_header_is_these_bytes(void **state)
{
	struct bytes archive = write_three();
	const char *h = (const char *)archive.data;
	unsigned sum = 8 * ' ';

	(void)state;
	for (size_t i = 0; i < 512; i++)
		if (i < 148 || i >= 156)
			sum += archive.data[i];
	assert_memory_equal(h + 100, "0000644\0" "0000000\0" "0000000\0" "00000000006\0" "00000000000\0", 48);
	assert_int_equal(strtoul(h + 148, NULL, 8), sum);
	assert_memory_equal(h + 154, "\0 0", 3);
	assert_memory_equal(h + 257, "ustar\0" "00", 8);
	assert_memory_equal(h + 329, "0000000\0" "0000000\0", 16);
}

/* Every bit, but those of the data itself, which are the caller's to check. */
static void each_bit_has_its_value(void **state)
{
	struct bytes archive = write_three(), data_1 = {archive.data + 512, 6}, data_3 = {archive.data + 4 * 512, 10};
	uint8_t *bent = test_malloc(archive.len);

	(void)state;
	for (size_t i = 0; i < archive.len * 8; i++) {
		const uint8_t *at = archive.data + i / 8;
		int r;

		memcpy(bent, archive.data, archive.len);
		bent[i / 8] ^= (uint8_t)(1u << i % 8);
		r = ustar_read(bytes_make(bent, archive.len), found, USTAR_MEMBERS_MAX, &found_count);
		if ((at >= data_1.data && at < data_1.data + 6) || (at >= data_3.data && at < data_3.data + 10))
			assert_int_equal(r, RK_OK);
		else
			assert_int_not_equal(r, RK_OK);
	}
	test_free(bent);
}

static void no_other_length(void **state)
{
	struct bytes archive = write_three();
	uint8_t *longer = test_calloc(1, archive.len + 1024);

	(void)state;
	memcpy(longer, archive.data, archive.len);
	for (size_t len = 0; len <= archive.len + 1024; len++)
		assert_int_equal(ustar_read(bytes_make(longer, len), found, USTAR_MEMBERS_MAX, &found_count) == RK_OK,
		                 len == archive.len);
	test_free(longer);
}

static void names_that_may_not_be(void **state)
{
	static const char long_name[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	const char *const names[] = {"", "a/b", "a b", "é", "a\n", "*", long_name};
	struct bytes archive;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct ustar_member m = {names[i], bytes_str("x")};

		assert_int_equal(ustar_write(&m, 1, arena, &archive), RK_MALFORMED);
	}
	assert_int_equal(strlen(long_name), 100);
	{
		struct ustar_member longest = {long_name + 1, bytes_str("x")};

		assert_int_equal(ustar_write(&longest, 1, arena, &archive), RK_OK);
		assert_int_equal(ustar_read(archive, found, USTAR_MEMBERS_MAX, &found_count), RK_OK);
	}
	{
		struct ustar_member twice[2] = {{"a", bytes_str("x")}, {"a", bytes_str("y")}};
		struct ustar_member once[2] = {{"a", bytes_str("x")}, {"b", bytes_str("y")}};
		uint8_t *bent;

		assert_int_equal(ustar_write(twice, 2, arena, &archive), RK_MALFORMED);
		/* The same by hand, checksum and all: the second header becomes the first. */
		assert_int_equal(ustar_write(once, 2, arena, &archive), RK_OK);
		bent = test_malloc(archive.len);
		memcpy(bent, archive.data, archive.len);
		memcpy(bent + 1024, bent, 512);
		assert_int_equal(ustar_read(bytes_make(bent, archive.len), found, USTAR_MEMBERS_MAX, &found_count), RK_MALFORMED);
		test_free(bent);
	}
}

static void limits(void **state)
{
	static char names[USTAR_MEMBERS_MAX + 1][16];
	struct ustar_member many[USTAR_MEMBERS_MAX + 1];
	uint8_t *large = test_calloc(1, USTAR_MAX_BYTES + 512);
	struct ustar_member one = {"large", {large, USTAR_MAX_BYTES - 3 * 512}};
	struct bytes archive;

	(void)state;
	for (unsigned i = 0; i <= USTAR_MEMBERS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "m%u", i);
		many[i] = (struct ustar_member){names[i], bytes_str("x")};
	}
	assert_int_equal(ustar_write(many, USTAR_MEMBERS_MAX, arena, &archive), RK_OK);
	assert_int_equal(ustar_read(archive, found, USTAR_MEMBERS_MAX, &found_count), RK_OK);
	assert_int_equal(ustar_write(many, USTAR_MEMBERS_MAX + 1, arena, &archive), RK_TOO_LARGE);
	assert_int_equal(ustar_write(&one, 1, arena, &archive), RK_OK);
	assert_int_equal(archive.len, USTAR_MAX_BYTES);
	assert_int_equal(ustar_read(archive, found, USTAR_MEMBERS_MAX, &found_count), RK_OK);
	one.data.len++;
	assert_int_equal(ustar_write(&one, 1, arena, &archive), RK_TOO_LARGE);
	assert_int_equal(ustar_read(bytes_make(large, USTAR_MAX_BYTES + 512), found, USTAR_MEMBERS_MAX, &found_count), RK_TOO_LARGE);
	assert_int_equal(ustar_write(NULL, 0, arena, &archive), RK_OK);
	assert_int_equal(ustar_read(archive, found, USTAR_MEMBERS_MAX, &found_count), RK_OK);
	assert_int_equal(found_count, 0);
	test_free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_and_read),       cmocka_unit_test(the_header_is_these_bytes),
		cmocka_unit_test(each_bit_has_its_value), cmocka_unit_test(no_other_length),
		cmocka_unit_test(names_that_may_not_be),  cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests_name("ustar", tests, prepare, end);
}
