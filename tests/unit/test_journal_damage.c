/*
 * journal: a record is given under its own number alone, whatever of the file is cut, changed, left from before, or made to look like a record by
 * what a member put into a value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "store/tag.h"
#include "tests/unit/journal_kit.h"

#define PAGE JOURNAL_PAGE_BYTES

/* The layout of journal.c, once more: these tests make records by hand. */
#define TAG_TABLE 0xffu
#define AT_STORE 8
#define AT_NUMBER 24
#define AT_INDEX 32
#define AT_BYTES 40
#define AT_ROWS 48
#define ROW_HEAD 8

static const uint8_t other_id[JOURNAL_STORE_ID_BYTES] = "of another store";

/* ---- damage */

static void a_last_record_changed_at_any_byte_is_absent(void **state)
{
	const uint64_t at = 2 * PAGE; /* the record before takes one page */
	const size_t len = AT_ROWS + 2 * (ROW_HEAD + 3 + 9);
	uint8_t good[PAGE], bad[PAGE];

	(void)state;
	journal_kit_write(7, 0, 4);
	journal_kit_write(7, 4, 2);
	journal_kit_get_file(at, good, PAGE);
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t b = (uint8_t)(good[i] ^ 1u << bit);

			journal_kit_set_file(at + i, &b, 1);
			assert_int_equal(journal_kit_read(7, 0, RK_OK), 4);
		}
		/* Its end never came; one that ends in zeros would be whole without them. */
		memcpy(bad, good, PAGE);
		memset(bad + i, 0, PAGE - i);
		journal_kit_set_file(at, bad, PAGE);
		assert_int_equal(journal_kit_read(7, 0, RK_OK), 4);
		journal_kit_set_file(at, good, PAGE);
	}
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 6);
}

static void a_last_record_cut_short_is_absent(void **state)
{
	static uint8_t record[8 * PAGE];
	const uint64_t at = 2 * PAGE;
	uint32_t rows = 0;
	uint64_t end;

	(void)state;
	journal_kit_write(7, 0, 4);
	journal_begin(journal_kit.j, 7);
	for (size_t len = AT_ROWS; len <= 4 * PAGE; len += ROW_HEAD + 3 + 9)
		assert_true(journal_kit_add(4 + rows++));
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
	journal_kit_get_file(at, record, sizeof(record));
	for (end = at; end < at + 5 * PAGE; end += 512) {
		assert_int_equal(ftruncate(journal_kit.fd, (off_t)end), 0);
		assert_int_equal(journal_kit_read(7, 0, RK_OK), 4);
	}
	/* The pages of one write may come in any order: each may be the one that is missing. */
	for (size_t page = 0; page < 5; page++) {
		uint8_t nothing[PAGE] = {0};

		journal_kit_set_file(at, record, sizeof(record));
		assert_int_equal(journal_kit_read(7, 0, RK_OK), 4 + rows);
		journal_kit_set_file(at + page * PAGE, nothing, PAGE);
		assert_int_equal(journal_kit_read(7, 0, RK_OK), 4);
	}
	/* What comes next takes its place. */
	journal_kit_write(7, 4, 3);
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 7);
}

static void damage_before_a_whole_record_is_told(void **state)
{
	const struct {
		uint64_t at;
		size_t len;
		uint32_t rows_before;
	} damaged[] = {{PAGE, AT_ROWS + 4 * 20, 0}, {2 * PAGE, AT_ROWS + 500 * 20, 4}, {5 * PAGE, AT_ROWS + 20, 504}};

	(void)state;
	journal_kit_write(7, 0, 4);
	journal_kit_write(7, 4, 500); /* three pages */
	journal_kit_write(7, 504, 1);
	journal_kit_write(7, 505, 1);
	for (size_t n = 0; n < sizeof(damaged) / sizeof(*damaged); n++)
		for (size_t i = 0; i < damaged[n].len; i += n == 1 ? 61 : 1) {
			uint8_t good, bad;

			journal_kit_get_file(damaged[n].at + i, &good, 1);
			bad = good ^ 0x10;
			journal_kit_set_file(damaged[n].at + i, &bad, 1);
			assert_int_equal(journal_kit_read(7, 0, RK_EINTEGRITY), damaged[n].rows_before);
			journal_kit_set_file(damaged[n].at + i, &good, 1);
		}
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 506);
}

/* The first record at any byte: alone it is a last one, whose end may never have come; the rest of its page is nobody's. */
static void a_damaged_record_that_is_alone_is_absent(void **state)
{
	const size_t len = AT_ROWS + 3 * (ROW_HEAD + 3 + 9);
	int rows = 9;

	(void)state;
	journal_kit_write(7, 0, 3);
	for (size_t i = 0; i < PAGE; i++) {
		uint8_t good, bad;

		journal_kit_get_file(PAGE + i, &good, 1);
		bad = (uint8_t)(good ^ 1u << i % 8);
		journal_kit_set_file(PAGE + i, &bad, 1);
		assert_int_equal(journal_kit_read(7, 0, RK_OK), i < len ? 0 : 3);
		journal_kit_set_file(PAGE + i, &good, 1);
	}
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 3);
	/* Who wrote it knows that it was there. */
	journal_kit_set_file(PAGE + len - 1, (const uint8_t[]){0}, 1);
	assert_int_equal(journal_read(journal_kit.j, 7, journal_kit_refuse, &rows), RK_EINTEGRITY);
	assert_int_equal(rows, 9);
	/* For whoever comes next, its place is free. */
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 0);
	journal_kit_write(7, 0, 2);
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 2);
}

/* A record as journal.c would make it, of one row's bytes. */
static size_t make_record(uint8_t *out, const uint8_t *id, uint64_t number, uint64_t index, uint64_t at, const uint8_t *rows, size_t len)
{
	memcpy(out + AT_STORE, id, JOURNAL_STORE_ID_BYTES);
	put_u64be(out + AT_NUMBER, number);
	put_u64be(out + AT_INDEX, index);
	put_u64be(out + AT_BYTES, len);
	memcpy(out + AT_ROWS, rows, len);
	tag_make(out, TAG_TABLE, at, bytes_make(out + AT_STORE, AT_ROWS - AT_STORE + len));
	return AT_ROWS + len;
}

/* Row 0 of these tests: as it stands in a record. */
static const uint8_t *row_zero(uint8_t rows[20])
{
	struct journal_kit_row r = journal_kit_row(0, 0);

	put_u16be(rows, (uint16_t)r.table);
	put_u16be(rows + 2, 3);
	put_u32be(rows + 4, 9);
	memcpy(rows + ROW_HEAD, r.key.data, 12);
	return rows;
}

static void rows_that_overrun_are_told(void **state)
{
	static const struct {
		const char *name;
		uint16_t key_len;
		uint32_t value_len;
		size_t len;
		int code;
	} cases[] = {
		{"whole", 3, 9, 20, RK_OK},
		{"half a head", 3, 9, ROW_HEAD - 1, RK_EINTEGRITY},
		{"no value", 3, 9, ROW_HEAD + 3, RK_EINTEGRITY},
		{"a value one short", 3, 9, 19, RK_EINTEGRITY},
		{"a head behind the row", 3, 8, 20, RK_EINTEGRITY},
		{"key over the end", 13, 0, 20, RK_EINTEGRITY},
		{"largest key", UINT16_MAX, 0, 20, RK_EINTEGRITY},
		{"largest value", 3, UINT32_MAX, 20, RK_EINTEGRITY},
		{"sum that wraps in 32 bits", 3, UINT32_MAX - 2, 20, RK_EINTEGRITY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t rows[20], record[PAGE] = {0};
		int n = 9, code;

		row_zero(rows);
		put_u16be(rows + 2, cases[i].key_len);
		put_u32be(rows + 4, cases[i].value_len);
		make_record(record, journal_kit_id, 7, 0, PAGE, rows, cases[i].len);
		journal_kit_set_file(PAGE, record, PAGE);
		journal_kit_reopen();
		code = journal_read(journal_kit.j, 7, journal_kit_refuse, &n);
		if (code != cases[i].code)
			fail_msg("%s: code %d", cases[i].name, code);
	}
}

static void a_record_out_of_its_place_is_not_given(void **state)
{
	static const struct {
		uint64_t index, made_for;
		int code;
		uint32_t rows;
	} cases[] = {{0, PAGE, RK_OK, 1}, {1, PAGE, RK_EINTEGRITY, 0}, {0, 2 * PAGE, RK_OK, 0}, {0, 0, RK_OK, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t rows[20], record[PAGE] = {0};

		make_record(record, journal_kit_id, 7, cases[i].index, cases[i].made_for, row_zero(rows), sizeof(rows));
		journal_kit_set_file(PAGE, record, PAGE);
		assert_int_equal(journal_kit_read(7, 0, cases[i].code), cases[i].rows);
	}
}

/* ---- other numbers, other stores */

static void records_of_another_number_are_never_given(void **state)
{
	(void)state;
	journal_kit_write(0x0107, 0, 3);
	journal_kit_write(0x0107, 3, 3);
	for (unsigned bit = 0; bit < 64; bit++)
		assert_int_equal(journal_kit_read(0x0107 ^ 1ull << bit, 0, RK_OK), 0);
	assert_int_equal(journal_kit_read(0x0106, 0, RK_OK), 0);
	assert_int_equal(journal_kit_read(0x0108, 0, RK_OK), 0);
	assert_int_equal(journal_kit_read(0x0107, 0, RK_OK), 6);
}

static void stale_records_are_never_taken_for_new_ones(void **state)
{
	(void)state;
	/* Each new number writes less than the one before, so the earlier record of its next index stands just where the next would be. */
	for (uint64_t number = 5, records = 8; records > 0; number++, records--) {
		for (uint32_t i = 0; i < records; i++)
			journal_kit_write(number, (uint32_t)number * 100 + i, 1);
		assert_int_equal(journal_kit_read(number, (uint32_t)number * 100, RK_OK), records);
		assert_int_equal(journal_kit_read(number + 1, 0, RK_OK), 0);
		assert_int_equal(journal_kit_read(number, (uint32_t)number * 100, RK_OK), records);
	}
	/* The same of records of any size. */
	for (uint64_t number = 20; number < 120; number++) {
		uint32_t first = journal_kit_scatter((uint32_t)number) >> 8, count = 0;

		for (unsigned records = 1 + journal_kit_scatter(first) % 4; records > 0; records--) {
			uint32_t rows = 1 + journal_kit_scatter(first + records) % 600;

			journal_kit_write(number, first % 1000 + count, rows);
			count += rows;
		}
		assert_int_equal(journal_kit_read(number, first % 1000, RK_OK), count);
	}
}

/* A value whose second page is, byte for byte, a record for that place, in a record that stands at the first page. */
static void write_look_alike(uint64_t number, const uint8_t *id, uint64_t its_number, uint64_t its_index)
{
	const size_t value_at = AT_ROWS + ROW_HEAD + 3;
	uint8_t *room, rows[20];

	journal_begin(journal_kit.j, number);
	assert_true(journal_add(journal_kit.j, 1, bytes_str("key"), 3 * PAGE, &room));
	memset(room, 'v', 3 * PAGE);
	make_record(room + (PAGE - value_at), id, its_number, its_index, 2 * PAGE, row_zero(rows), sizeof(rows));
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
}

static void a_value_that_looks_like_a_record_is_not_taken(void **state)
{
	static const struct {
		const uint8_t *id;
		uint64_t number;
		int code;
	} cases[] = {{other_id, 7, RK_OK}, {journal_kit_id, 8, RK_OK}, {journal_kit_id, 6, RK_OK},
	             {journal_kit_id, 7, RK_EINTEGRITY}}; /* The last one says that these are records, but for whose they are. */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t zero[AT_ROWS] = {0};
		int rows = 9;

		/* Inside of a whole record it is a value like any. */
		assert_int_equal(journal_renew(journal_kit.j, 0), RK_OK);
		write_look_alike(7, cases[i].id, cases[i].number, 1);
		journal_kit_reopen();
		assert_int_equal(journal_read(journal_kit.j, 7, journal_kit_refuse, &rows), RK_OK);
		assert_int_equal(rows, 8);
		/* Left behind a record that was lost … */
		journal_kit_set_file(PAGE, zero, sizeof(zero));
		assert_int_equal(journal_kit_read(7, 0, cases[i].code), 0);
		/* … and by an earlier number, where the second record of this one will be. */
		assert_int_equal(journal_renew(journal_kit.j, 0), RK_OK);
		write_look_alike(5, cases[i].id, cases[i].number, 1);
		journal_kit_write(7, 0, 1);
		rows = 9;
		journal_kit_reopen();
		assert_int_equal(journal_read(journal_kit.j, 7, journal_kit_refuse, &rows), RK_OK);
		assert_int_equal(9 - rows, cases[i].code == RK_OK ? 1 : 2);
	}
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, journal_kit_set_up, journal_kit_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILE(a_last_record_changed_at_any_byte_is_absent),
		WITH_FILE(a_last_record_cut_short_is_absent),
		WITH_FILE(damage_before_a_whole_record_is_told),
		WITH_FILE(a_damaged_record_that_is_alone_is_absent),
		WITH_FILE(rows_that_overrun_are_told),
		WITH_FILE(a_record_out_of_its_place_is_not_given),
		WITH_FILE(records_of_another_number_are_never_given),
		WITH_FILE(stale_records_are_never_taken_for_new_ones),
		WITH_FILE(a_value_that_looks_like_a_record_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
