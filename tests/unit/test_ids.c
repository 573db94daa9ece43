/* ids: known answers made with other tools, text forms, admission of keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"

static void assert_hex(const uint8_t *data, size_t len, const char *hex)
{
	char text[129];

	ids_hex(text, bytes_make(data, len));
	assert_string_equal(text, hex);
}

static void hash_is_sha256_of_label_nul_and_data(void **state)
{
	uint8_t a[32], b[32];
	(void)state;

	/* printf 'label\0data' | sha256sum */
	ids_hash(a, "label", bytes_str("data"));
	assert_hex(a, 32, "f21cf81d393e4594b4747f00a946349a6f6fc7e829f2b3fc31cd1a4170530620");
	ids_hash_parts(b, "label", (struct bytes[]){bytes_str("da"), bytes_str(""), bytes_str("ta")}, 3);
	assert_memory_equal(a, b, 32);
	/* printf abc | sha256sum */
	ids_sha256(a, bytes_str("abc"));
	assert_hex(a, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	/* No label is the beginning of another. */
	ids_hash(a, "a", bytes_str("bc"));
	ids_hash(b, "ab", bytes_str("c"));
	assert_memory_not_equal(a, b, 32);
}

static void kdf_is_keyed_blake2b(void **state)
{
	uint8_t key[32], out[32];
	(void)state;

	/* python: hashlib.blake2b(b'label\0ctx', digest_size=32, key=bytes(range(32))) */
	for (uint8_t i = 0; i < 32; i++)
		key[i] = i;
	ids_kdf(out, key, "label", bytes_str("ctx"));
	assert_hex(out, 32, "56221aafda49e7dda8f18cd5216208ba44cbd520ff43d004834209e0332e8f10");
	ids_kdf(out, key, "renkei/v1/invite-curve", bytes_str(""));
	assert_hex(out, 32, "589942b368d6fa8432d6c92e223daa1b17472fa06c49f5c1a3ed6edb088241eb");
}

static void identifiers_are_the_documented_hashes(void **state)
{
	uint8_t pk[32], xid[32], id[32];
	(void)state;

	/* Each from SHA-256 over label || 0x00 || data, with pk = 32 x 0x11, made with sha256sum. */
	memset(pk, 0x11, 32);
	ids_exchange(xid, pk);
	assert_hex(xid, 32, "6355ef389cd08426837a7decfbfa2535ebbc34817b32da4c329c18530716ff43");
	ids_device(id, pk);
	assert_hex(id, 16, "dd34c1b6f087d0bb8e181cc28fa470be");
	ids_invite(id, pk);
	assert_hex(id, 16, "3f82c00720621f42f95c0ecbc6bf38ab");
	ids_signer(id, pk);
	assert_hex(id, 16, "92daed5f33b129e79517eb1a93a067e7");
	ids_nda(id, xid, bytes_str("terms"));
	assert_hex(id, 32, "530bb683b5c0cbacac2e34c754bd4284b67920509dbfce05b89b2d3302a548f6");
	ids_env(id, xid, bytes_str("head"));
	assert_hex(id, 32, "0fd730f2e30add3e4aec4c1da1c5fb4b7cac722c82e27f24631687228e033994");
}

static void fingerprints_are_groups_of_eight(void **state)
{
	char org[IDS_ORG_FINGERPRINT_CHARS], root[IDS_ROOT_FINGERPRINT_CHARS];
	uint8_t pk[32];
	(void)state;

	memset(pk, 0x11, 32);
	ids_org_fingerprint(org, pk);
	assert_string_equal(org, "02d449a3-1fbb267c-8f352e99-68a79e3e-5fc95c1b");
	ids_root_fingerprint(root, pk);
	assert_string_equal(root, "11111111-11111111-11111111-11111111-11111111-11111111-11111111-11111111");
}

static void fingerprints_are_compared_as_people_type_them(void **state)
{
	static const char fp[] = "0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-00112233";
	static const struct {
		const char *name, *typed;
		bool matches;
	} rows[] = {
		{"same", "0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-00112233", true},
		{"upper case", "0A1B2C3D-4E5F6071-8293A4B5-C6D7E8F9-00112233", true},
		{"blanks", " 0a1b2c3d 4e5f6071 8293a4b5 c6d7e8f9 00112233\n", true},
		{"colons", "0a:1b:2c:3d:4e:5f:60:71:82:93:a4:b5:c6:d7:e8:f9:00:11:22:33", true},
		{"one digit differs", "0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-00112234", false},
		{"first group only", "0a1b2c3d", false},
		{"last digit missing", "0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-0011223", false},
		{"one digit more", "0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-001122333", false},
		{"not hex", "oa1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-00112233", false},
		{"other separator", "0a1b2c3d_4e5f6071_8293a4b5_c6d7e8f9_00112233", false},
		{"nothing", "", false},
		{"separators only", " - ", false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ids_fingerprint_matches(rows[i].typed, fp) != rows[i].matches)
			fail_msg("row: %s", rows[i].name);
	assert_false(ids_fingerprint_matches("", ""));
}

static void hex_is_exact(void **state)
{
	uint8_t out[2];
	(void)state;

	assert_true(ids_from_hex(out, 2, "aB09"));
	assert_hex(out, 2, "ab09");
	assert_false(ids_from_hex(out, 2, "aB0"));
	assert_false(ids_from_hex(out, 2, "aB091"));
	assert_false(ids_from_hex(out, 2, "aB0g"));
	assert_false(ids_from_hex(out, 2, ""));
	assert_true(ids_from_hex(out, 0, ""));
}

static void text_forms_round_trip(void **state)
{
	uint8_t data[IDS_TEXT_BYTES_MAX + 1], back[IDS_TEXT_BYTES_MAX];
	char text[2048];
	size_t len;
	(void)state;

	randombytes_buf(data, sizeof(data));
	for (size_t n = 0; n <= 70; n++) {
		assert_int_equal(ids_text(text, sizeof(text), "rk-org:", bytes_make(data, n)), RK_OK);
		assert_int_equal(ids_from_text(back, sizeof(back), &len, "rk-org:", text), RK_OK);
		assert_int_equal(len, n);
		assert_memory_equal(back, data, n);
		assert_int_equal(ids_from_text(back, sizeof(back), &len, "rk-dev:", text), RK_MALFORMED);
		if (n > 0)
			assert_int_equal(ids_from_text(back, n - 1, &len, "rk-org:", text), RK_MALFORMED);
	}
	assert_int_equal(ids_text(text, sizeof(text), "rk-org:", bytes_make(data, IDS_TEXT_BYTES_MAX)), RK_OK);
	assert_int_equal(ids_text(text, sizeof(text), "rk-org:", bytes_make(data, IDS_TEXT_BYTES_MAX + 1)), RK_TOO_LARGE);
	/* 7 + 43 characters and a NUL. */
	assert_int_equal(ids_text(text, 51, "rk-org:", bytes_make(data, 32)), RK_OK);
	assert_int_equal(ids_text(text, 50, "rk-org:", bytes_make(data, 32)), RK_TOO_LARGE);
}

static void text_forms_are_canonical(void **state)
{
	static const struct {
		const char *name, *text;
		int result;
	} rows[] = {
		{"good", "rk-org:_-8A", RK_OK},
		{"two bytes", "rk-org:_-8", RK_OK},
		{"stray trailing bits", "rk-org:_-9", RK_MALFORMED},
		{"stray trailing bits, one byte", "rk-org:_x", RK_MALFORMED},
		{"one character left", "rk-org:_-8A_", RK_MALFORMED},
		{"padding", "rk-org:_-8=", RK_MALFORMED},
		{"standard alphabet", "rk-org:/+8A", RK_MALFORMED},
		{"blank inside", "rk-org:_- 8A", RK_MALFORMED},
		{"bytes above 0x7f", "rk-org:\xc6\x86\xa0\xbe", RK_MALFORMED},
		{"newline at the end", "rk-org:_-8A\n", RK_MALFORMED},
		{"blank before", " rk-org:_-8A", RK_MALFORMED},
		{"upper case prefix", "RK-ORG:_-8A", RK_MALFORMED},
		{"half a prefix", "rk-o", RK_MALFORMED},
		{"nothing", "", RK_MALFORMED},
	};
	uint8_t out[64];
	size_t len;
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ids_from_text(out, sizeof(out), &len, "rk-org:", rows[i].text) != rows[i].result ||
		    (rows[i].result != RK_OK && len != 0))
			fail_msg("row: %s", rows[i].name);
}

/* Every encoding, canonical or not, of the points of low order of Curve25519 and its twist. */
static void box_keys_of_low_order_are_refused(void **state)
{
	static const struct {
		const char *name, *hex;
	} rows[] = {
		{"0", "0000000000000000000000000000000000000000000000000000000000000000"},
		{"1", "0100000000000000000000000000000000000000000000000000000000000000"},
		{"order 8", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"},
		{"order 8, other", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"},
		{"p - 1", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"p + 1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"2^255 - 1", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"9 with the top bit", "0900000000000000000000000000000000000000000000000000000000000080"},
		{"9 + p", "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	};
	uint8_t pk[32], sk[32];
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(ids_from_hex(pk, 32, rows[i].hex));
		if (ids_is_valid_box_pk(pk))
			fail_msg("row: %s", rows[i].name);
		/* With the top bit set they are the same points. */
		pk[31] |= 0x80;
		if (ids_is_valid_box_pk(pk))
			fail_msg("row with top bit: %s", rows[i].name);
	}
	for (int i = 0; i < 20; i++) {
		crypto_box_keypair(pk, sk);
		assert_true(ids_is_valid_box_pk(pk));
	}
	memset(pk, 0, 32);
	pk[0] = 9;
	assert_true(ids_is_valid_box_pk(pk));
}

static void signing_keys_off_the_prime_group_are_refused(void **state)
{
	static const struct {
		const char *name, *hex;
	} rows[] = {
		{"zero", "0000000000000000000000000000000000000000000000000000000000000000"},
		{"identity", "0100000000000000000000000000000000000000000000000000000000000000"},
		{"order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"},
		{"not canonical", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"not on the curve", "0200000000000000000000000000000000000000000000000000000000000000"},
		{"all ones", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
	};
	uint8_t pk[32], sk[64];
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(ids_from_hex(pk, 32, rows[i].hex));
		if (ids_is_valid_sign_pk(pk))
			fail_msg("row: %s", rows[i].name);
	}
	for (int i = 0; i < 20; i++) {
		crypto_sign_keypair(pk, sk);
		assert_true(ids_is_valid_sign_pk(pk));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_is_sha256_of_label_nul_and_data),
		cmocka_unit_test(kdf_is_keyed_blake2b),
		cmocka_unit_test(identifiers_are_the_documented_hashes),
		cmocka_unit_test(fingerprints_are_groups_of_eight),
		cmocka_unit_test(fingerprints_are_compared_as_people_type_them),
		cmocka_unit_test(hex_is_exact),
		cmocka_unit_test(text_forms_round_trip),
		cmocka_unit_test(text_forms_are_canonical),
		cmocka_unit_test(box_keys_of_low_order_are_refused),
		cmocka_unit_test(signing_keys_off_the_prime_group_are_refused),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
