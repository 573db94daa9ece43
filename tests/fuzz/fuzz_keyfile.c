/*
 * A key file.  No Argon2id is run: a file that asks for it must ask within the limits, and that is all that is looked at.
 * The others are opened with a key of zeros; a file that opens does not open with any one byte changed.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	int kdf = keyfile_kdf_of(in), r;
	size_t secret_len, at;
	uint8_t *changed;

	MUST(sodium_init() >= 0);
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
	changed = malloc(len);
	MUST(changed != NULL);
	memcpy(changed, data, len);
	at = data[len - 1] % len;
	changed[at] ^= 1;
	if (keyfile_kdf_of(bytes_make(changed, len)) != KEYFILE_ARGON2ID)
		MUST(try_open(bytes_make(changed, len), &secret_len) != RK_OK);
	free(changed);
	return 0;
}
