/* journal: what was written comes back, in its order; a file, a record and a disk that are full keep what they have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/journal_kit.h"
#include "tests/unit/save_kit.h"

#define PAGE JOURNAL_PAGE_BYTES
#define AT_ROWS 48           /* of a record: what stands before its rows; and of a row, before its key */
#define ROW_HEAD 8

static const uint8_t other_id[JOURNAL_STORE_ID_BYTES] = "of another store";

/* ---- what was written */

static void rows_come_back_in_order(void **state)
{
	uint32_t end = JOURNAL_KIT_LARGE, in_record;

	(void)state;
	assert_int_equal(journal_renew(journal_kit.j, 16 << 20), RK_OK);
	for (unsigned record = 0; record < 24; record++) {
		journal_begin(journal_kit.j, 7);
		for (in_record = 1 + journal_kit_scatter(record) % 40; in_record > 0 && journal_kit_add(end); in_record--)
			end++;
		assert_int_equal(journal_write(journal_kit.j), RK_OK);
		assert_true(journal_holds(journal_kit.j, 7));
		/* Sometimes the next record goes behind what was read and not written. */
		if (record % 3 == 0)
			assert_int_equal(journal_kit_read(7, JOURNAL_KIT_LARGE, RK_OK), end - JOURNAL_KIT_LARGE);
	}
	assert_int_equal(journal_kit_read(7, JOURNAL_KIT_LARGE, RK_OK), end - JOURNAL_KIT_LARGE);
	assert_true(end - JOURNAL_KIT_LARGE > 200);
}

static void nothing_gathered_is_no_record(void **state)
{
	(void)state;
	journal_begin(journal_kit.j, 7);
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
	assert_false(journal_holds(journal_kit.j, 7));
	assert_true(journal_kit_add(0));
	journal_begin(journal_kit.j, 7); /* forgets it */
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 0);
}

static void reading_stops_where_it_is_told(void **state)
{
	int rows = 5;

	(void)state;
	journal_kit_write(7, 0, 3);
	journal_kit_write(7, 3, 3);
	assert_int_equal(journal_read(journal_kit.j, 7, journal_kit_refuse, &rows), RK_STORE_FULL);
	assert_int_equal(rows, 0);
}

/* ---- the file */

static uint64_t file_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(journal_kit.fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void opening_says_whose_it_is(void **state)
{
	uint8_t page[PAGE], nothing[PAGE] = {0};
	struct journal *other;

	(void)state;
	journal_kit_write(7, 0, 3);
	assert_int_equal(journal_open(journal_kit.folder, other_id, &other), RK_CONFLICT);
	assert_null(other);
	assert_int_equal(journal_open("/nowhere/at/all", journal_kit_id, &other), RK_EIO);
	journal_kit_get_file(0, page, PAGE);
	page[3] ^= 1;
	journal_kit_set_file(0, page, PAGE);
	assert_int_equal(journal_open(journal_kit.folder, journal_kit_id, &other), RK_ESTORE);
	assert_null(other);
	page[3] ^= 1;
	/* Its first byte is lost, or all of the page: what stands behind it was answered. */
	journal_kit_set_file(0, page, PAGE);
	journal_kit_set_file(0, nothing, 1);
	assert_int_equal(journal_open(journal_kit.folder, journal_kit_id, &other), RK_ESTORE);
	journal_kit_set_file(0, nothing, PAGE);
	assert_int_equal(journal_open(journal_kit.folder, journal_kit_id, &other), RK_ESTORE);
	journal_kit_set_file(0, page, PAGE);
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 3);
	/* A file that was being made: it holds nothing, and takes nothing before it is made anew. */
	journal_kit_set_file(PAGE, nothing, PAGE);
	for (unsigned is_empty = 0; is_empty < 2; is_empty++) {
		if (is_empty)
			assert_int_equal(ftruncate(journal_kit.fd, 0), 0);
		else
			journal_kit_set_file(0, nothing, PAGE);
		assert_int_equal(journal_kit_read(7, 0, RK_OK), 0);
		journal_begin(journal_kit.j, 7);
		assert_false(journal_kit_add(0));
		assert_int_equal(journal_renew(journal_kit.j, 0), RK_OK);
		journal_kit_write(7, 0, 2);
		assert_int_equal(journal_kit_read(7, 0, RK_OK), 2);
	}
}

static void renewing_empties_it_and_sets_its_size(void **state)
{
	static const uint64_t sizes[][2] = {
		{0, JOURNAL_MIN_BYTES}, {3 << 20, 3 << 20}, {JOURNAL_MIN_BYTES + 1, JOURNAL_MIN_BYTES + PAGE}, {200000, 49 * PAGE}};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		journal_kit_write(7, 0, 3);
		assert_int_equal(journal_renew(journal_kit.j, sizes[i][0]), RK_OK);
		assert_int_equal(file_bytes(), sizes[i][1]);
		assert_false(journal_holds(journal_kit.j, 7));
		for (uint64_t at = PAGE; at < sizes[i][1]; at += PAGE) {
			uint8_t page[PAGE];

			journal_kit_get_file(at, page, PAGE);
			assert_true(bytes_is_zero(page, PAGE));
		}
		assert_int_equal(journal_kit_read(7, 0, RK_OK), 0);
	}
}

/* Does a row of this many bytes, head and key with them, go into what is gathered? */
static bool add_bytes(size_t len)
{
	uint8_t *room;

	if (!journal_add(journal_kit.j, 1, bytes_str("key"), len - ROW_HEAD - 3, &room))
		return false;
	memset(room, 'v', len - ROW_HEAD - 3);
	return true;
}

static void a_full_file_takes_no_more_and_keeps_what_it_has(void **state)
{
	const uint32_t pages = JOURNAL_MIN_BYTES / PAGE - 1;
	int rows = 99;

	(void)state;
	assert_int_equal(journal_renew(journal_kit.j, 0), RK_OK);
	for (uint32_t i = 0; i < pages - 2; i++)
		journal_kit_write(7, i, 1);
	journal_begin(journal_kit.j, 7);
	assert_false(add_bytes(2 * PAGE - AT_ROWS + 1));
	assert_false(add_bytes(SIZE_MAX / 2));
	assert_true(journal_kit_add(pages - 2)); /* what did not fit left no trace */
	assert_false(add_bytes(2 * PAGE - AT_ROWS - 19));
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
	assert_int_equal(journal_kit_read(7, 0, RK_OK), pages - 1);
	journal_begin(journal_kit.j, 7);
	assert_true(add_bytes(PAGE - AT_ROWS)); /* to its last byte */
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
	assert_int_equal(file_bytes(), JOURNAL_MIN_BYTES);
	journal_begin(journal_kit.j, 7);
	assert_false(journal_kit_add(0));
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
	journal_kit_reopen();
	assert_int_equal(journal_read(journal_kit.j, 7, journal_kit_refuse, &rows), RK_OK);
	assert_int_equal(99 - rows, pages);
	assert_false(journal_kit_add(0));
	/* The next number begins at its start. */
	journal_kit_write(8, 0, 3);
	assert_int_equal(journal_kit_read(8, 0, RK_OK), 3);
}

static void a_full_record_takes_no_more(void **state)
{
	int rows = 99;

	(void)state;
	assert_int_equal(journal_renew(journal_kit.j, 4 << 20), RK_OK);
	journal_begin(journal_kit.j, 7);
	assert_false(add_bytes(JOURNAL_RECORD_MAX_BYTES - AT_ROWS + 1));
	assert_true(add_bytes(JOURNAL_RECORD_MAX_BYTES - AT_ROWS - 20));
	assert_false(add_bytes(21));
	assert_true(add_bytes(20));
	assert_false(add_bytes(11));
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
	assert_true(add_bytes(JOURNAL_RECORD_MAX_BYTES - AT_ROWS));
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
	journal_kit_reopen();
	assert_int_equal(journal_read(journal_kit.j, 7, journal_kit_refuse, &rows), RK_OK);
	assert_int_equal(99 - rows, 3);
}

static void on_a_full_disk_nothing_of_a_record_counts(void **state)
{
	(void)state;
	journal_kit_write(7, 0, 4);
	/* No page of it, some of its pages. */
	for (uint64_t limit = 2 * PAGE; limit <= 4 * PAGE; limit += PAGE) {
		uint32_t before = journal_kit_read(7, 0, RK_OK);

		journal_begin(journal_kit.j, 7);
		for (uint32_t n = before; n < before + 500; n++)
			assert_true(journal_kit_add(n));
		save_kit_limit_files(limit);
		assert_int_equal(journal_write(journal_kit.j), RK_EDISKFULL);
		save_kit_limit_files(RLIM_INFINITY);
		assert_int_equal(journal_kit_read(7, 0, RK_OK), before);
	}
	journal_kit_write(7, 4, 2);
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 6);
	save_kit_limit_files(PAGE);
	assert_int_equal(journal_renew(journal_kit.j, 0), RK_EDISKFULL);
	save_kit_limit_files(RLIM_INFINITY);
	journal_begin(journal_kit.j, 7);
	assert_false(journal_kit_add(0));
	/* In place: what could not be written over stands as it was. */
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 6);
	assert_int_equal(journal_renew(journal_kit.j, 0), RK_OK);
	journal_kit_write(7, 0, 1);
	assert_int_equal(journal_kit_read(7, 0, RK_OK), 1);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, journal_kit_set_up, journal_kit_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILE(rows_come_back_in_order),
		WITH_FILE(nothing_gathered_is_no_record),
		WITH_FILE(reading_stops_where_it_is_told),
		WITH_FILE(opening_says_whose_it_is),
		WITH_FILE(renewing_empties_it_and_sets_its_size),
		WITH_FILE(a_full_file_takes_no_more_and_keeps_what_it_has),
		WITH_FILE(a_full_record_takes_no_more),
		WITH_FILE(on_a_full_disk_nothing_of_a_record_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
