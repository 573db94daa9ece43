#include "tests/unit/journal_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/store_kit.h"

const uint8_t journal_kit_id[JOURNAL_STORE_ID_BYTES] = "this store's own";
struct journal_kit journal_kit = {.fd = -1};

void journal_kit_reopen(void)
{
	journal_close(journal_kit.j);
	assert_int_equal(journal_open(journal_kit.folder, journal_kit_id, &journal_kit.j), RK_OK);
}

int journal_kit_set_up(void **state)
{
	char file[300];

	(void)state;
	store_kit_folder(journal_kit.folder);
	snprintf(file, sizeof(file), "%s/" JOURNAL_NAME, journal_kit.folder);
	journal_kit.j = NULL;
	journal_kit_reopen();
	journal_kit.fd = open(file, O_RDWR);
	return journal_kit.fd < 0 ? -1 : journal_renew(journal_kit.j, 1 << 20);
}

int journal_kit_tear_down(void **state)
{
	(void)state;
	journal_close(journal_kit.j);
	close(journal_kit.fd);
	store_kit_remove(journal_kit.folder);
	return 0;
}

void journal_kit_get_file(uint64_t at, uint8_t *to, size_t len)
{
	assert_int_equal(pread(journal_kit.fd, to, len, (off_t)at), len);
}

void journal_kit_set_file(uint64_t at, const uint8_t *from, size_t len)
{
	assert_int_equal(pwrite(journal_kit.fd, from, len, (off_t)at), len);
}

/* ---- rows: all of one follows from its number */

uint32_t journal_kit_scatter(uint32_t n)
{
	n = (n ^ n >> 15) * 0x2c1b3c6du;
	n = (n ^ n >> 12) * 0x297a2d39u;
	return n ^ n >> 15;
}

/* In one of two rooms, no byte of it zero. */
struct journal_kit_row journal_kit_row(uint32_t n, int which)
{
	static uint8_t room[2][JOURNAL_KIT_VALUE_MAX + 1024];
	uint8_t *at = room[which];
	uint32_t s = journal_kit_scatter(n);
	size_t key_len = 3, value_len = 9;

	if (n >= JOURNAL_KIT_LARGE) {
		key_len = n % 17 == 0 ? 511 : n % 17 == 1 ? 1 : 1 + s % 511;
		value_len = n % 23 == 0 ? JOURNAL_KIT_VALUE_MAX : n % 23 < 4 ? 0 : n % 23 < 7 ? s % JOURNAL_KIT_VALUE_MAX : s % 3000;
	}
	for (size_t i = 0; i < key_len + value_len; i += 4) {
		uint32_t word = journal_kit_scatter(s + (uint32_t)i) | 0x01010101u;

		memcpy(at + i, &word, sizeof(word));
	}
	return (struct journal_kit_row){s >> 16, bytes_make(at, key_len), bytes_make(at + key_len, value_len)};
}

bool journal_kit_add(uint32_t n)
{
	struct journal_kit_row r = journal_kit_row(n, 0);
	uint8_t *room;

	if (!journal_add(journal_kit.j, r.table, r.key, r.value.len, &room))
		return false;
	memcpy(room, r.value.data, r.value.len);
	return true;
}

/* One record of rows first .. first + count - 1. */
void journal_kit_write(uint64_t number, uint32_t first, uint32_t count)
{
	journal_begin(journal_kit.j, number);
	while (count-- > 0)
		assert_true(journal_kit_add(first++));
	assert_int_equal(journal_write(journal_kit.j), RK_OK);
}

int journal_kit_take(void *user, unsigned table, struct bytes key, struct bytes value)
{
	struct journal_kit_row r = journal_kit_row((*(uint32_t *)user)++, 1);

	assert_int_equal(table, r.table);
	assert_true(bytes_equal(key, r.key));
	assert_true(bytes_equal(value, r.value));
	return RK_OK;
}

/* Reads the file anew: rows from `first` on, and no other; how many there were. */
uint32_t journal_kit_read(uint64_t number, uint32_t first, int code)
{
	uint32_t n = first;

	journal_kit_reopen();
	assert_int_equal(journal_read(journal_kit.j, number, journal_kit_take, &n), code);
	if (code == RK_OK)
		assert_int_equal(journal_holds(journal_kit.j, number), n > first);
	assert_false(journal_holds(journal_kit.j, number + 1));
	return n - first;
}

int journal_kit_refuse(void *user, unsigned table, struct bytes key, struct bytes value)
{
	(void)table, (void)key, (void)value;
	return --*(int *)user == 0 ? RK_STORE_FULL : RK_OK;
}

