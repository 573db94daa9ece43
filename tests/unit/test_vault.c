/* vault: sealed values open only with their key, at their place, unaltered; nothing of them is in the files of a home. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/strict.h"
#include "tests/unit/bare_home.h"

static const uint8_t key[32] = {1, 2, 3};
static const uint8_t secret[] = "the yield of line 3 is forty-one per cent";

static void there_and_back(void **state)
{
	struct arena *a = arena_new(65536);
	struct bytes sealed, plain;

	(void)state;
	for (size_t len = 0; len <= sizeof(secret); len++) {
		assert_int_equal(vault_seal(key, "label", bytes_str("id"), bytes_make(secret, len), a, &sealed), RK_OK);
		assert_int_equal(sealed.len, len + 24 + 16);
		assert_int_equal(vault_open(key, "label", bytes_str("id"), sealed, a, &plain), RK_OK);
		assert_true(bytes_equal(plain, bytes_make(secret, len)));
	}
	arena_free(a);
}

static void another_place_or_key(void **state)
{
	static const uint8_t other[32] = {9};
	struct arena *a = arena_new(65536);
	struct bytes sealed, plain;

	(void)state;
	assert_int_equal(vault_seal(key, "label", bytes_str("id"), BYTES_OF(secret), a, &sealed), RK_OK);
	assert_int_equal(vault_open(other, "label", bytes_str("id"), sealed, a, &plain), RK_EINTEGRITY);
	assert_int_equal(vault_open(key, "labe", bytes_str("lid"), sealed, a, &plain), RK_EINTEGRITY);
	assert_int_equal(vault_open(key, "label", bytes_str("ie"), sealed, a, &plain), RK_EINTEGRITY);
	assert_int_equal(plain.len, 0);
	arena_free(a);
}

static void every_byte_counts(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	struct bytes sealed, plain;
	uint8_t *copy;

	(void)state;
	assert_int_equal(vault_seal(key, "label", bytes_str("id"), BYTES_OF(secret), a, &sealed), RK_OK);
	copy = arena_copy(a, sealed.data, sealed.len);
	for (size_t i = 0; i < sealed.len; i++) {
		copy[i] ^= 0x40;
		assert_int_equal(vault_open(key, "label", bytes_str("id"), bytes_make(copy, sealed.len), a, &plain), RK_EINTEGRITY);
		copy[i] ^= 0x40;
		assert_int_equal(vault_open(key, "label", bytes_str("id"), bytes_make(copy, i), a, &plain), RK_EINTEGRITY);
	}
	arena_free(a);
}

static void content_is_not_in_the_files(void **state)
{
	uint8_t mine[32] = {1}, dossier[32] = {2};
	struct bytes plain;
	struct bare h;

	(void)state;
	bare_begin(&h, 1);
	bare_write(&h);
	assert_int_equal(content_put(h.c, h.t, mine, false, BYTES_OF(secret)), RK_OK);
	assert_int_equal(content_put(h.c, h.t, dossier, true, BYTES_OF(secret)), RK_OK);
	bare_commit(&h);
	assert_false(bare_files_hold(&h, bytes_make(secret, 20)));
	bare_reopen(&h);
	bare_write(&h);
	assert_int_equal(content_get(h.c, h.t, mine, false, h.a, &plain), RK_OK);
	assert_true(bytes_equal(plain, BYTES_OF(secret)));
	assert_int_equal(content_get(h.c, h.t, dossier, true, h.a, &plain), RK_OK);
	assert_true(bytes_equal(plain, BYTES_OF(secret)));
	/* Under the other kind of key it does not open, and once its key is destroyed not at all. */
	assert_int_equal(content_get(h.c, h.t, dossier, false, h.a, &plain), RK_EINTEGRITY);
	assert_int_equal(keys_dossier_destroy(h.c, dossier), RK_OK);
	assert_int_equal(content_get(h.c, h.t, dossier, true, h.a, &plain), RK_ENOTFOUND);
	assert_int_equal(content_get(h.c, h.t, mine, false, h.a, &plain), RK_OK);
	bare_end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(another_place_or_key),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(content_is_not_in_the_files),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
