/*
 * Wycheproof: Ed25519, X25519 and XChaCha20-Poly1305 as this libsodium does them, through the calls that Renkei uses, and
 * our admission of X25519 keys.  Files: RENKEI_VECTORS/wycheproof (default ../shared/vectors).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "proto/ids.h"

#define FIELD_MAX 2048

struct field {
	uint8_t data[FIELD_MAX];
	size_t len;
};

static void get(const json_t *test, const char *name, struct field *out)
{
	const char *hex = json_string_value(json_object_get(test, name));

	assert_non_null(hex);
	out->len = strlen(hex) / 2;
	assert_true(out->len <= FIELD_MAX);
	assert_true(ids_from_hex(out->data, out->len, hex));
}

static bool has_flag(const json_t *test, const char *flag)
{
	size_t i;
	json_t *value;

	json_array_foreach(json_object_get(test, "flags"), i, value)
		if (strcmp(json_string_value(value), flag) == 0)
			return true;
	return false;
}

static bool is_result(const json_t *test, const char *result)
{
	return strcmp(json_string_value(json_object_get(test, "result")), result) == 0;
}

static int tc_id(const json_t *test)
{
	return (int)json_integer_value(json_object_get(test, "tcId"));
}

/* Calls check on every test of a file; says so and skips where the file is absent. */
static void each_test(const char *file, void (*check)(const json_t *group, const json_t *test))
{
	const char *folder = getenv("RENKEI_VECTORS");
	char path[4096];
	json_error_t error;
	json_t *root, *group, *test;
	size_t g, t, seen = 0;

	if (folder == NULL || folder[0] == '\0')
		folder = "../shared/vectors";
	snprintf(path, sizeof(path), "%s/wycheproof/%s", folder, file);
	if (access(path, R_OK) != 0) {
		printf("skipped: no vectors at %s\n", path);
		fflush(stdout);
		skip();
	}
	root = json_load_file(path, 0, &error);
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "testGroups"), g, group)
		json_array_foreach(json_object_get(group, "tests"), t, test) {
			check(group, test);
			seen++;
		}
	assert_int_equal(seen, json_integer_value(json_object_get(root, "numberOfTests")));
	json_decref(root);
}

static void check_ed25519(const json_t *group, const json_t *test)
{
	static struct field pk, msg, sig;
	bool accepted;

	get(json_object_get(group, "publicKey"), "pk", &pk);
	get(test, "msg", &msg);
	get(test, "sig", &sig);
	assert_int_equal(pk.len, crypto_sign_PUBLICKEYBYTES);
	accepted = sig.len == crypto_sign_BYTES && crypto_sign_verify_detached(sig.data, msg.data, msg.len, pk.data) == 0;
	if (accepted != is_result(test, "valid"))
		fail_msg("ed25519 tcId %d", tc_id(test));
	if (accepted && !ids_is_valid_sign_pk(pk.data))
		fail_msg("ed25519 tcId %d: key not admitted", tc_id(test));
}

static void check_x25519(const json_t *group, const json_t *test)
{
	static struct field pk, sk, shared;
	uint8_t out[32];
	bool is_zero;
	(void)group;

	get(test, "public", &pk);
	get(test, "private", &sk);
	get(test, "shared", &shared);
	is_zero = bytes_is_zero(shared.data, shared.len);
	/* A shared secret of zero is refused; every other is the listed one. */
	if (crypto_scalarmult(out, sk.data, pk.data) != (is_zero ? -1 : 0))
		fail_msg("x25519 tcId %d", tc_id(test));
	if (!is_zero && memcmp(out, shared.data, 32) != 0)
		fail_msg("x25519 tcId %d: shared secret", tc_id(test));
	if (ids_is_valid_box_pk(pk.data) != (!has_flag(test, "LowOrderPublic") && !has_flag(test, "NonCanonicalPublic")))
		fail_msg("x25519 tcId %d: admission", tc_id(test));
}

static void check_xchacha(const json_t *group, const json_t *test)
{
	static struct field key, iv, aad, msg, ct, tag;
	static uint8_t sealed[FIELD_MAX + 16], opened[FIELD_MAX];
	unsigned long long len;
	bool is_valid = is_result(test, "valid");
	int r;
	(void)group;

	get(test, "key", &key);
	get(test, "iv", &iv);
	get(test, "aad", &aad);
	get(test, "msg", &msg);
	get(test, "ct", &ct);
	get(test, "tag", &tag);
	/* A nonce of another size cannot be given to this interface at all. */
	if (iv.len != crypto_aead_xchacha20poly1305_ietf_NPUBBYTES) {
		assert_false(is_valid);
		return;
	}
	assert_int_equal(key.len, 32);
	memcpy(sealed, ct.data, ct.len);
	memcpy(sealed + ct.len, tag.data, tag.len);
	r = crypto_aead_xchacha20poly1305_ietf_decrypt(opened, &len, NULL, sealed, ct.len + tag.len, aad.data, aad.len, iv.data,
	                                               key.data);
	if ((r == 0) != is_valid)
		fail_msg("xchacha20-poly1305 tcId %d", tc_id(test));
	if (!is_valid)
		return;
	assert_int_equal(len, msg.len);
	assert_memory_equal(opened, msg.data, msg.len);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, &len, msg.data, msg.len, aad.data, aad.len, NULL, iv.data, key.data);
	assert_int_equal(len, ct.len + tag.len);
	assert_memory_equal(sealed, ct.data, ct.len);
	assert_memory_equal(sealed + ct.len, tag.data, tag.len);
}

static void ed25519(void **state)
{
	(void)state;
	each_test("ed25519_test.json", check_ed25519);
}

static void x25519(void **state)
{
	(void)state;
	each_test("x25519_test.json", check_x25519);
}

static void xchacha20_poly1305(void **state)
{
	(void)state;
	each_test("xchacha20_poly1305_test.json", check_xchacha);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ed25519),
		cmocka_unit_test(x25519),
		cmocka_unit_test(xchacha20_poly1305),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("wycheproof", tests, NULL, NULL);
}
