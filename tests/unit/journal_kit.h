/* journal_kit: one journal in a folder of its own, its file open beside it, and rows of which each follows from its number. */
#ifndef RENKEI_TESTS_JOURNAL_KIT_H
#define RENKEI_TESTS_JOURNAL_KIT_H

#include "store/journal.h"

#define JOURNAL_KIT_VALUE_MAX (300 << 10)
#define JOURNAL_KIT_LARGE (1u << 20) /* rows from this number on have keys and values of any length; those before it, 3 and 9 bytes */

extern const uint8_t journal_kit_id[JOURNAL_STORE_ID_BYTES];
extern struct journal_kit {
	char folder[256];
	struct journal *j;
	int fd;
} journal_kit;

/** Of each test: a journal of 1 MiB; nothing of it. */
int journal_kit_set_up(void **state);
int journal_kit_tear_down(void **state);
/** Closes the journal and opens it again. */
void journal_kit_reopen(void);
void journal_kit_get_file(uint64_t at, uint8_t *to, size_t len);
void journal_kit_set_file(uint64_t at, const uint8_t *from, size_t len);

/** A number that has little to do with n. */
uint32_t journal_kit_scatter(uint32_t n);
struct journal_kit_row {
	unsigned table;
	struct bytes key, value;
};
/** No byte of it is zero.  In one of two rooms, until the next in the same. */
struct journal_kit_row journal_kit_row(uint32_t n, int room);
/** Gathers row n; false: it does not fit. */
bool journal_kit_add(uint32_t n);
/** One record, of rows first .. first + count - 1. */
void journal_kit_write(uint64_t number, uint32_t first, uint32_t count);
/** For journal_read: asserts that it is row n, of uint32_t *user, and counts on. */
int journal_kit_take(void *user, unsigned table, struct bytes key, struct bytes value);
/** For journal_read: counts int *user down, and refuses with RK_STORE_FULL the row at which it is 0. */
int journal_kit_refuse(void *user, unsigned table, struct bytes key, struct bytes value);
/** Opens the file anew and reads, expecting this code and no row but first, first + 1 …; how many there were. */
uint32_t journal_kit_read(uint64_t number, uint32_t first, int code);

#endif
