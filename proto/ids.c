/* ids: thin uses of libsodium; every label of an identifier stands here and nowhere else. */
#include "proto/ids.h"

#include <assert.h>

#include <sodium.h>

#include "proto/errcode.h"

static_assert(crypto_hash_sha256_BYTES == ID32_BYTES, "ids are SHA-256");

void ids_hash_parts(uint8_t out[32], const char *label, const struct bytes *parts, size_t n)
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	/* The NUL that ends the label is hashed too: no label is the beginning of another. */
	crypto_hash_sha256_update(&state, (const uint8_t *)label, strlen(label) + 1);
	for (size_t i = 0; i < n; i++)
		crypto_hash_sha256_update(&state, parts[i].data, parts[i].len);
	crypto_hash_sha256_final(&state, out);
	/* Some hashed parts are salts of commitments, secret until they are revealed. */
	sodium_memzero(&state, sizeof(state));
}

void ids_hash(uint8_t out[32], const char *label, struct bytes x)
{
	ids_hash_parts(out, label, &x, 1);
}

void ids_sha256(uint8_t out[32], struct bytes x)
{
	crypto_hash_sha256(out, x.data, x.len);
}

void ids_kdf(uint8_t out[32], const uint8_t key[32], const char *label, struct bytes ctx)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, key, 32, 32);
	crypto_generichash_update(&state, (const uint8_t *)label, strlen(label) + 1);
	crypto_generichash_update(&state, ctx.data, ctx.len);
	crypto_generichash_final(&state, out, 32);
	sodium_memzero(&state, sizeof(state));
}

/* The first 16 bytes of a labelled hash of a public key. */
static void short_id(uint8_t out[16], const char *label, const uint8_t pk[32])
{
	uint8_t hash[32];

	ids_hash(hash, label, bytes_make(pk, KEY_BYTES));
	memcpy(out, hash, ID16_BYTES);
}

void ids_exchange(uint8_t out[32], const uint8_t root_pk[32])
{
	ids_hash(out, "renkei/v1/exchange-id", bytes_make(root_pk, KEY_BYTES));
}

void ids_device(uint8_t out[16], const uint8_t sign_pk[32])
{
	short_id(out, "renkei/v1/device-id", sign_pk);
}

void ids_invite(uint8_t out[16], const uint8_t curve_pk[32])
{
	short_id(out, "renkei/v1/invite-id", curve_pk);
}

void ids_signer(uint8_t out[16], const uint8_t pk[32])
{
	short_id(out, "renkei/v1/signer-id", pk);
}

void ids_nda(uint8_t out[32], const uint8_t exchange_id[32], struct bytes terms)
{
	ids_hash_parts(out, "renkei/v1/nda-id", (struct bytes[]){bytes_make(exchange_id, ID32_BYTES), terms}, 2);
}

void ids_env(uint8_t out[32], const uint8_t exchange_id[32], struct bytes head)
{
	ids_hash_parts(out, "renkei/v1/env-id", (struct bytes[]){bytes_make(exchange_id, ID32_BYTES), head}, 2);
}

void ids_deposit_commit(uint8_t out[32], const uint8_t salt[32], const uint8_t file_sha256[32])
{
	ids_hash_parts(out, "renkei/v1/deposit-commit", (struct bytes[]){bytes_make(salt, 32), bytes_make(file_sha256, 32)}, 2);
}

/* Groups of 8 hex digits joined by '-'; len is a multiple of 4. */
static void write_groups(char *out, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i += 4) {
		ids_hex(out, bytes_make(data + i, 4));
		out[8] = i + 4 < len ? '-' : '\0';
		out += 9;
	}
}

void ids_org_fingerprint(char out[IDS_ORG_FINGERPRINT_CHARS], const uint8_t org_pk[32])
{
	uint8_t hash[32];

	ids_sha256(hash, bytes_make(org_pk, KEY_BYTES));
	write_groups(out, hash, 20);
}

void ids_device_fingerprint(char out[IDS_ORG_FINGERPRINT_CHARS], const uint8_t sign_pk[32], const uint8_t curve_pk[32])
{
	uint8_t both[2 * KEY_BYTES], hash[32];

	memcpy(both, sign_pk, KEY_BYTES);
	memcpy(both + KEY_BYTES, curve_pk, KEY_BYTES);
	ids_sha256(hash, BYTES_OF(both));
	write_groups(out, hash, 20);
}

void ids_root_fingerprint(char out[IDS_ROOT_FINGERPRINT_CHARS], const uint8_t exchange_id[32])
{
	write_groups(out, exchange_id, ID32_BYTES);
}

/* The value of a hex digit, or -1. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Skips what people put between groups. */
static const char *skip_separators(const char *text)
{
	return text + strspn(text, " \t\r\n-:");
}

bool ids_fingerprint_matches(const char *typed, const char *fingerprint)
{
	size_t digits = 0;

	for (;; digits++) {
		typed = skip_separators(typed);
		fingerprint = skip_separators(fingerprint);
		if (*typed == '\0' || *fingerprint == '\0')
			break;
		if (hex_digit(*typed) < 0 || hex_digit(*typed++) != hex_digit(*fingerprint++))
			return false;
	}
	return digits > 0 && *typed == '\0' && *fingerprint == '\0';
}

void ids_hex(char *out, struct bytes in)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < in.len; i++) {
		*out++ = digits[in.data[i] >> 4];
		*out++ = digits[in.data[i] & 15];
	}
	*out = '\0';
}

bool ids_from_hex(uint8_t *out, size_t len, const char *hex)
{
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(hex[2 * i]);
		int low = high < 0 ? -1 : hex_digit(hex[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return hex[2 * len] == '\0';
}

int ids_text(char *out, size_t out_len, const char *prefix, struct bytes in)
{
	size_t before = strlen(prefix);

	if (in.len > IDS_TEXT_BYTES_MAX ||
	    out_len < before + sodium_base64_ENCODED_LEN(in.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING))
		return RK_TOO_LARGE;
	memcpy(out, prefix, before);
	sodium_bin2base64(out + before, out_len - before, in.data, in.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return RK_OK;
}

int ids_from_text(uint8_t *out, size_t out_max, size_t *out_len, const char *prefix, const char *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t before = strlen(prefix);

	*out_len = 0;
	if (strncmp(text, prefix, before) != 0)
		return RK_MALFORMED;
	text += before;
	/* libsodium 1.0.18 takes every byte above 0x7f for a letter. */
	if (strspn(text, alphabet) != strlen(text))
		return RK_MALFORMED;
	/* Without an end pointer, base642bin insists on the whole text; it refuses white space and stray trailing bits. */
	if (sodium_base642bin(out, out_max, text, strlen(text), NULL, out_len, NULL,
	                      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
		*out_len = 0;
		return RK_MALFORMED;
	}
	return RK_OK;
}

bool ids_is_valid_sign_pk(const uint8_t pk[32])
{
	return !bytes_is_zero(pk, KEY_BYTES) && crypto_core_ed25519_is_valid_point(pk) == 1;
}

/* True if the little-endian number is below p = 2^255 - 19, so that no other 32 bytes mean the same key. */
static bool is_canonical_box_pk(const uint8_t pk[32])
{
	if (pk[31] != 0x7F)
		return pk[31] < 0x7F;
	for (int i = 30; i > 0; i--)
		if (pk[i] != 0xFF)
			return true;
	return pk[0] < 0xED;
}

bool ids_is_valid_box_pk(const uint8_t pk[32])
{
	/*
	 * A point of low order (order 1, 2, 4 or 8, on the curve or its twist) times any clamped scalar, which is a
	 * multiple of 8, is zero, and libsodium then answers -1.  So one multiplication by a fixed scalar finds all of
	 * them.  Such a key would make the shared secret known to everybody.
	 */
	static const uint8_t scalar[32] = {[0] = 8, [31] = 64};
	uint8_t product[32];

	return is_canonical_box_pk(pk) && !bytes_is_zero(pk, KEY_BYTES) && crypto_scalarmult(product, scalar, pk) == 0;
}
