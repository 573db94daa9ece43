/* The gate's row of an agreement: as long as its parties, the same again when it is read, and refused where it is not a row. */
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

#define HEAD_BYTES 136
#define PARTY_BYTES 72

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

/* All bytes of it are something, and behind the last party nothing. */
static struct nda_row row_of(uint8_t party_count)
{
	struct nda_row row;
	const size_t used = HEAD_BYTES + party_count * (size_t)PARTY_BYTES;

	randombytes_buf_deterministic(&row, sizeof(row), (const uint8_t[randombytes_SEEDBYTES]){party_count});
	row.party_count = party_count;
	memset((uint8_t *)&row + used, 0, sizeof(row) - used);
	return row;
}

static void put_bytes(struct txn *t, const struct nda_row *row, size_t len)
{
	assert_int_equal(env_put(t, T_NDA, BYTES_OF(row->nda_id), bytes_make(row, len), ENV_PUT), RK_OK);
}

static void expect_row(struct txn *t, const struct nda_row *row)
{
	struct nda_row got;

	memset(&got, 0xff, sizeof(got));
	assert_int_equal(rows_get_nda(t, row->nda_id, &got), RK_OK);
	assert_memory_equal(&got, row, sizeof(got));
}

static void a_row_is_as_long_as_its_parties(void **state)
{
	struct fixture *f = *state;

	for (uint8_t n = 0; n <= NDA_PARTIES_MAX; n++) {
		const struct nda_row row = row_of(n);
		struct bytes value;

		assert_int_equal(rows_put_nda(f->txn, &row), RK_OK);
		assert_int_equal(env_get(f->txn, T_NDA, BYTES_OF(row.nda_id), &value), RK_OK);
		assert_int_equal(value.len, HEAD_BYTES + n * (size_t)PARTY_BYTES);
		expect_row(f->txn, &row);
	}
	assert_int_equal(rows_get_nda(f->txn, (const uint8_t[32]){1}, &(struct nda_row){0}), RK_ENOTFOUND);
}

static void a_row_with_room_for_all_parties_is_read_too(void **state)
{
	struct fixture *f = *state;
	const struct nda_row row = row_of(2);

	put_bytes(f->txn, &row, sizeof(row));
	expect_row(f->txn, &row);
}

static void no_other_length_is_a_row(void **state)
{
	struct fixture *f = *state;
	struct nda_row row = row_of(3), got;
	const size_t whole = HEAD_BYTES + 3 * PARTY_BYTES;
	uint8_t longer[sizeof(row) + 1];

	for (size_t len = 0; len < whole; len++) {
		put_bytes(f->txn, &row, len);
		assert_int_equal(rows_get_nda(f->txn, row.nda_id, &got), RK_ESTORE);
	}
	memcpy(longer, &row, sizeof(row));
	longer[sizeof(row)] = 0;
	assert_int_equal(env_put(f->txn, T_NDA, BYTES_OF(row.nda_id), BYTES_OF(longer), ENV_PUT), RK_OK);
	assert_int_equal(rows_get_nda(f->txn, row.nda_id, &got), RK_ESTORE);
	row.party_count = NDA_PARTIES_MAX + 1;
	put_bytes(f->txn, &row, sizeof(row));
	assert_int_equal(rows_get_nda(f->txn, row.nda_id, &got), RK_ESTORE);
}

static void a_row_at_another_place_is_none(void **state)
{
	struct fixture *f = *state;
	const struct nda_row row = row_of(2);
	const uint8_t other[32] = {7};
	struct nda_row got;

	assert_int_equal(env_put(f->txn, T_NDA, BYTES_OF(other), bytes_make(&row, HEAD_BYTES + 2 * PARTY_BYTES), ENV_PUT), RK_OK);
	assert_int_equal(rows_get_nda(f->txn, other, &got), RK_ESTORE);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(a_row_is_as_long_as_its_parties),
		WITH_STORE(a_row_with_room_for_all_parties_is_read_too),
		WITH_STORE(no_other_length_is_a_row),
		WITH_STORE(a_row_at_another_place_is_none),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("rows_nda", tests, NULL, NULL);
}
