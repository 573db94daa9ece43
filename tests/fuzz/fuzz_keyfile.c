/*
 * A key file.  No Argon2id is run: a file that asks for it must ask within the limits, and that is all that is looked at.
 * The others are opened with a key of zeros, and so is a file made of the input as a secret.  A file that opens does not open with any
 * one byte changed.
 */
#include <sodium.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/keyfile.h"
#include "tests/fuzz/fuzz_kit.h"

static int try_open(struct bytes file, size_t *secret_len)
{
	static const uint8_t key[32];
	uint8_t *secret;
	int r = keyfile_open(file, BYTES_OF(key), &secret, secret_len);

	MUST((r == RK_OK) == (secret != NULL));
	sodium_free(secret);
	return r;
}

/* at: the byte to change. */
static void check_one_byte(struct bytes file, size_t at)
{
	uint8_t *changed = malloc(file.len);
	size_t len;

	MUST(changed != NULL);
	memcpy(changed, file.data, file.len);
	changed[at % file.len] ^= 1;
	if (keyfile_kdf_of(bytes_make(changed, file.len)) != KEYFILE_ARGON2ID)
		MUST(try_open(bytes_make(changed, file.len), &len) != RK_OK);
	free(changed);
}

static void check_as_secret(struct bytes secret)
{
	const struct keyfile_params none = {KEYFILE_NONE, 0, 0};
	size_t len = secret.len + KEYFILE_OVERHEAD, opened;
	uint8_t *file = malloc(len);

	MUST(file != NULL && keyfile_seal(file, &none, bytes_make(NULL, 0), secret) == RK_OK);
	MUST(try_open(bytes_make(file, len), &opened) == RK_OK && opened == secret.len);
	check_one_byte(bytes_make(file, len), secret.len > 0 ? secret.data[0] : 8);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	int kdf = keyfile_kdf_of(in), r;
	size_t secret_len;

	MUST(sodium_init() >= 0);
	check_as_secret(in);
	if (kdf == KEYFILE_ARGON2ID) {
		MUST(len >= KEYFILE_OVERHEAD && get_u32be(data + 9) >= 2 && get_u32be(data + 9) <= 10);
		MUST(get_u32be(data + 13) >= 64 && get_u32be(data + 13) <= 1024);
		return 0;
	}
	r = try_open(in, &secret_len);
	if (kdf == RK_EKEYFILE)
		MUST(r == RK_EKEYFILE);
	if (r != RK_OK)
		return 0;
	fuzz_accepted++;
	MUST(secret_len == len - KEYFILE_OVERHEAD);
	check_one_byte(in, data[len - 1]);
	return 0;
}
