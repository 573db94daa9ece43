/* The gate's row of an agreement: the same again when it is read, and refused where it is not a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "broker/rows.h"
#include "proto/errcode.h"
#include "tests/unit/store_kit.h"

struct fixture {
	char folder[256];
	struct env *env;
	struct txn *txn;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	store_kit_folder(f->folder);
	f->env = store_kit_open(f->folder, 0);
	assert_int_equal(env_begin(f->env, true, &f->txn), RK_OK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	env_abort(f->txn);
	env_close(f->env);
	store_kit_remove(f->folder);
	free(f);
	return 0;
}

/* Random in every byte, padding too, but the count. */
static struct nda_row row_of(uint8_t party_count)
{
	struct nda_row row;

	randombytes_buf_deterministic(&row, sizeof(row), (const uint8_t[randombytes_SEEDBYTES]){party_count});
	row.party_count = party_count;
	return row;
}

static void a_row_is_read_as_it_was_written(void **state)
{
	struct fixture *f = *state;

	for (uint8_t n = 0; n <= NDA_PARTIES_MAX; n++) {
		const struct nda_row row = row_of(n);
		struct nda_row got;

		memset(&got, 0xff, sizeof(got));
		assert_int_equal(rows_put_nda(f->txn, &row), RK_OK);
		assert_int_equal(rows_get_nda(f->txn, row.nda_id, &got), RK_OK);
		assert_memory_equal(&got, &row, sizeof(got));
	}
	assert_int_equal(rows_get_nda(f->txn, (const uint8_t[32]){1}, &(struct nda_row){0}), RK_ENOTFOUND);
}

static void no_other_length_is_a_row(void **state)
{
	struct fixture *f = *state;
	struct nda_row row = row_of(3), got;
	uint8_t bytes[sizeof(row) + 1] = {0};

	memcpy(bytes, &row, sizeof(row));
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		assert_int_equal(env_put(f->txn, T_NDA, BYTES_OF(row.nda_id), bytes_make(bytes, len), ENV_PUT), RK_OK);
		assert_int_equal(rows_get_nda(f->txn, row.nda_id, &got), len == sizeof(row) ? RK_OK : RK_ESTORE);
	}
	row.party_count = NDA_PARTIES_MAX + 1;
	assert_int_equal(env_put(f->txn, T_NDA, BYTES_OF(row.nda_id), bytes_make(&row, sizeof(row)), ENV_PUT), RK_OK);
	assert_int_equal(rows_get_nda(f->txn, row.nda_id, &got), RK_ESTORE);
}

static void a_row_at_another_place_is_none(void **state)
{
	struct fixture *f = *state;
	const struct nda_row row = row_of(2);
	const uint8_t other[32] = {7};
	struct nda_row got;

	assert_int_equal(env_put(f->txn, T_NDA, BYTES_OF(other), bytes_make(&row, sizeof(row)), ENV_PUT), RK_OK);
	assert_int_equal(rows_get_nda(f->txn, other, &got), RK_ESTORE);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(a_row_is_read_as_it_was_written),
		WITH_STORE(no_other_length_is_a_row),
		WITH_STORE(a_row_at_another_place_is_none),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("rows_nda", tests, NULL, NULL);
}
