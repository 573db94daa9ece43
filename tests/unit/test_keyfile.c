/* keyfile: there and back, wrong passphrases, every byte changed, and numbers that a file may not ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/keyfile.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define HEADER_BYTES (KEYFILE_OVERHEAD - 16)
#define KDF_AT 8
#define OPS_AT 9
#define MEM_AT 13
#define SALT_AT 17
#define NONCE_AT 33

static const struct keyfile_params least = {KEYFILE_ARGON2ID, 2, 64}, raw = {KEYFILE_RAW, 0, 0}, open_to_all = {KEYFILE_NONE, 0, 0};
static const uint8_t secret[100] = "two keys of thirty-two bytes and then some";
static const uint8_t raw_key[32] = {7};

static int try_open(const uint8_t *file, size_t len, struct bytes passphrase)
{
	uint8_t *out;
	size_t out_len;
	int r = keyfile_open(bytes_make(file, len), passphrase, &out, &out_len);

	if (r != RK_OK) {
		assert_null(out);
		assert_int_equal(out_len, 0);
		return r;
	}
	assert_int_equal(out_len, len - KEYFILE_OVERHEAD);
	assert_memory_equal(out, secret, out_len);
	sodium_free(out);
	return r;
}

static void secret_comes_back_for_its_passphrase_only(void **state)
{
	uint8_t file[sizeof(secret) + KEYFILE_OVERHEAD];
	struct bytes right = bytes_str("correct horse"), wrong = bytes_str("correct horsf"), cut = bytes_str("correct hors");
	uint8_t other_key[32] = {8};
	(void)state;

	assert_int_equal(keyfile_seal(file, &least, right, BYTES_OF(secret)), RK_OK);
	assert_int_equal(keyfile_kdf_of(BYTES_OF(file)), KEYFILE_ARGON2ID);
	assert_int_equal(try_open(file, sizeof(file), right), RK_OK);
	assert_int_equal(try_open(file, sizeof(file), wrong), RK_EPASSPHRASE);
	assert_int_equal(try_open(file, sizeof(file), cut), RK_EPASSPHRASE);
	assert_int_equal(try_open(file, sizeof(file), bytes_str("")), RK_EPASSPHRASE);

	assert_int_equal(keyfile_seal(file, &raw, BYTES_OF(raw_key), BYTES_OF(secret)), RK_OK);
	assert_int_equal(keyfile_kdf_of(BYTES_OF(file)), KEYFILE_RAW);
	assert_int_equal(try_open(file, sizeof(file), BYTES_OF(raw_key)), RK_OK);
	assert_int_equal(try_open(file, sizeof(file), BYTES_OF(other_key)), RK_EPASSPHRASE);
	assert_int_equal(try_open(file, sizeof(file), bytes_make(raw_key, 31)), RK_EPASSPHRASE);
	assert_int_equal(keyfile_seal(file, &raw, bytes_make(raw_key, 31), BYTES_OF(secret)), RK_EPASSPHRASE);

	assert_int_equal(keyfile_seal(file, &open_to_all, right, BYTES_OF(secret)), RK_OK);
	assert_int_equal(keyfile_kdf_of(BYTES_OF(file)), KEYFILE_NONE);
	assert_int_equal(try_open(file, sizeof(file), bytes_str("")), RK_OK);
	/* Nothing at all is a secret too. */
	assert_int_equal(keyfile_seal(file, &raw, BYTES_OF(raw_key), (struct bytes){secret, 0}), RK_OK);
	assert_int_equal(try_open(file, KEYFILE_OVERHEAD, BYTES_OF(raw_key)), RK_OK);
}

static void two_files_of_one_secret_differ(void **state)
{
	uint8_t a[sizeof(secret) + KEYFILE_OVERHEAD], b[sizeof(a)];
	(void)state;

	assert_int_equal(keyfile_seal(a, &raw, BYTES_OF(raw_key), BYTES_OF(secret)), RK_OK);
	assert_int_equal(keyfile_seal(b, &raw, BYTES_OF(raw_key), BYTES_OF(secret)), RK_OK);
	assert_memory_equal(a, b, SALT_AT);
	assert_memory_not_equal(a + SALT_AT, b + SALT_AT, 16);
	assert_memory_not_equal(a + NONCE_AT, b + NONCE_AT, 24);
	assert_memory_not_equal(a + HEADER_BYTES, b + HEADER_BYTES, sizeof(secret));
}

static void no_changed_byte_opens(void **state)
{
	uint8_t file[sizeof(secret) + KEYFILE_OVERHEAD];
	struct bytes passphrase = bytes_str("p");
	(void)state;

	assert_int_equal(keyfile_seal(file, &raw, BYTES_OF(raw_key), BYTES_OF(secret)), RK_OK);
	for (size_t i = 0; i < sizeof(file); i++) {
		for (int bit = 0; bit < 8; bit++) {
			/* RAW becomes NONE: a legal header, but not the one that was sealed under. */
			bool is_legal = i >= SALT_AT || (i == KDF_AT && bit == 1);

			file[i] ^= (uint8_t)(1u << bit);
			assert_int_equal(try_open(file, sizeof(file), BYTES_OF(raw_key)), is_legal ? RK_EPASSPHRASE : RK_EKEYFILE);
			file[i] ^= (uint8_t)(1u << bit);
		}
	}
	for (size_t len = 0; len < sizeof(file); len++)
		assert_int_equal(try_open(file, len, BYTES_OF(raw_key)), len < KEYFILE_OVERHEAD ? RK_EKEYFILE : RK_EPASSPHRASE);
	/* With Argon2id each try is dear: one bit a byte of the header. */
	assert_int_equal(keyfile_seal(file, &least, passphrase, BYTES_OF(secret)), RK_OK);
	for (size_t i = 0; i < NONCE_AT + 1; i++) {
		/* ops 2 becomes 3 and 64 MiB become 65: legal numbers, another key.  All else before the salt is refused. */
		bool is_legal = i == OPS_AT + 3 || i == MEM_AT + 3 || i >= SALT_AT;
		uint8_t bit = i == MEM_AT + 2 ? 0x10 : 1;

		file[i] ^= bit;
		assert_int_equal(try_open(file, sizeof(file), passphrase), is_legal ? RK_EPASSPHRASE : RK_EKEYFILE);
		file[i] ^= bit;
	}
}

static void numbers_out_of_range_take_no_memory(void **state)
{
	static const struct {
		uint8_t kdf;
		uint32_t ops, mem_mib;
		int kdf_of;
	} rows[] = {
		{KEYFILE_ARGON2ID, 2, 64, KEYFILE_ARGON2ID}, {KEYFILE_ARGON2ID, 10, 1024, KEYFILE_ARGON2ID},
		{KEYFILE_ARGON2ID, 1, 64, RK_EKEYFILE}, {KEYFILE_ARGON2ID, 11, 64, RK_EKEYFILE},
		{KEYFILE_ARGON2ID, 0, 64, RK_EKEYFILE}, {KEYFILE_ARGON2ID, UINT32_MAX, 64, RK_EKEYFILE},
		{KEYFILE_ARGON2ID, 2, 63, RK_EKEYFILE}, {KEYFILE_ARGON2ID, 2, 1025, RK_EKEYFILE},
		{KEYFILE_ARGON2ID, 2, 0, RK_EKEYFILE}, {KEYFILE_ARGON2ID, 2, UINT32_MAX, RK_EKEYFILE},
		{KEYFILE_NONE, 0, 0, KEYFILE_NONE}, {KEYFILE_NONE, 2, 64, RK_EKEYFILE},
		{KEYFILE_RAW, 0, 0, KEYFILE_RAW}, {KEYFILE_RAW, 0, 64, RK_EKEYFILE}, {KEYFILE_RAW, 2, 0, RK_EKEYFILE},
		{3, 0, 0, RK_EKEYFILE}, {255, 2, 64, RK_EKEYFILE},
	};
	uint8_t file[sizeof(secret) + KEYFILE_OVERHEAD], *large;
	(void)state;

	assert_int_equal(keyfile_seal(file, &raw, BYTES_OF(raw_key), BYTES_OF(secret)), RK_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct keyfile_params p = {(enum keyfile_kdf)rows[i].kdf, rows[i].ops, rows[i].mem_mib};
		struct rusage before, after;

		file[KDF_AT] = rows[i].kdf;
		put_u32be(file + OPS_AT, rows[i].ops);
		put_u32be(file + MEM_AT, rows[i].mem_mib);
		assert_int_equal(keyfile_kdf_of(BYTES_OF(file)), rows[i].kdf_of);
		if (rows[i].kdf_of != RK_EKEYFILE)
			continue;
		getrusage(RUSAGE_SELF, &before);
		assert_int_equal(try_open(file, sizeof(file), BYTES_OF(raw_key)), RK_EKEYFILE);
		getrusage(RUSAGE_SELF, &after);
		assert_true(after.ru_maxrss - before.ru_maxrss < 8 * 1024);
		/* Nor is such a file written. */
		if (p.kdf == KEYFILE_ARGON2ID || p.kdf > KEYFILE_RAW)
			assert_int_equal(keyfile_seal(file, &p, BYTES_OF(raw_key), BYTES_OF(secret)), RK_EKEYFILE);
	}
	large = malloc(KEYFILE_SECRET_MAX + 1 + KEYFILE_OVERHEAD);
	assert_int_equal(keyfile_seal(large, &raw, BYTES_OF(raw_key), bytes_make(large, KEYFILE_SECRET_MAX + 1)), RK_EKEYFILE);
	memcpy(large, "RKKEY1\0\0", 8);
	memset(large + 8, 0, 9);
	assert_int_equal(keyfile_kdf_of(bytes_make(large, KEYFILE_SECRET_MAX + KEYFILE_OVERHEAD)), KEYFILE_NONE);
	assert_int_equal(keyfile_kdf_of(bytes_make(large, KEYFILE_SECRET_MAX + 1 + KEYFILE_OVERHEAD)), RK_EKEYFILE);
	free(large);
	assert_int_equal(keyfile_default.kdf, KEYFILE_ARGON2ID);
	assert_int_equal(keyfile_default.ops, crypto_pwhash_argon2id_OPSLIMIT_MODERATE);
	assert_int_equal(keyfile_default.mem_mib, crypto_pwhash_argon2id_MEMLIMIT_MODERATE >> 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, while little memory has been used: it looks at the peak. */
		cmocka_unit_test(numbers_out_of_range_take_no_memory),
		cmocka_unit_test(secret_comes_back_for_its_passphrase_only),
		cmocka_unit_test(two_files_of_one_secret_differ),
		cmocka_unit_test(no_changed_byte_opens),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
