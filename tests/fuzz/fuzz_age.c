/*
 * An age file of either form, opened with an identity of fives and under a code.  What opens as a whole does not open with any one byte
 * changed, and nothing comes after a chunk that did not open.  The input as a plaintext comes back from both forms.
 */
#include <sodium.h>
#include <stdlib.h>

#include "proto/age.h"
#include "proto/errcode.h"
#include "tests/fuzz/fuzz_kit.h"

#define LOG_N_MAX 4u
#define WHOLE (AGE_CHUNK_BYTES + AGE_TAG_BYTES)

static const uint8_t identity[32] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};

static int open_all(struct bytes file, bool is_x25519, uint8_t *out, size_t *n)
{
	struct age s;
	size_t len;
	int r = is_x25519 ? age_open_x25519(&s, file, identity, &len) : age_open_scrypt(&s, file, bytes_str("code"), LOG_N_MAX, &len);

	*n = 0;
	MUST((r == RK_OK) == (len > 0) && len <= file.len && len <= AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES);
	for (bool is_last = false; r == RK_OK && !is_last;) {
		size_t take = file.len - len < WHOLE ? file.len - len : WHOLE;

		is_last = take == file.len - len;
		if ((r = age_open_chunk(&s, bytes_make(file.data + len, take), is_last, out + *n)) == RK_OK)
			*n += take - AGE_TAG_BYTES;
		len += take;
	}
	MUST(age_open_chunk(&s, bytes_make(file.data, file.len < WHOLE ? file.len : WHOLE), true, out) == RK_EINTEGRITY);
	age_end(&s);
	return r;
}

/* Short plaintexts only: one chunk. */
static void check_as_plaintext(struct bytes plain, bool is_x25519)
{
	size_t room = AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES + AGE_CHUNK_BYTES + AGE_TAG_BYTES, len, n;
	uint8_t *file = malloc(room), *out = malloc(room), pk[32];
	struct age_random random;
	struct age s;

	MUST(file != NULL && out != NULL && crypto_scalarmult_base(pk, identity) == 0);
	memset(&random, 7, sizeof(random));
	MUST((is_x25519 ? age_begin_x25519(&s, &random, pk, file, &len) : age_begin_scrypt(&s, &random, bytes_str("code"), 1, file, &len)) == RK_OK);
	MUST(age_seal_chunk(&s, plain, true, file + len) == RK_OK);
	MUST(open_all(bytes_make(file, len + plain.len + AGE_TAG_BYTES), is_x25519, out, &n) == RK_OK && n == plain.len);
	free(file);
	free(out);
}

/* The first byte says which form, and which byte is changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool is_x25519 = len > 0 && (data[0] & 1) == 0;
	uint8_t *out, *changed;
	struct bytes file;
	size_t n;

	MUST(sodium_init() >= 0);
	if (len < 2)
		return 0;
	file = bytes_make(data + 1, len - 1);
	if (file.len <= AGE_CHUNK_BYTES)
		check_as_plaintext(file, is_x25519);
	out = malloc(file.len + AGE_CHUNK_BYTES);
	changed = malloc(file.len);
	MUST(out != NULL && changed != NULL);
	if (open_all(file, is_x25519, out, &n) == RK_OK) {
		fuzz_accepted++;
		memcpy(changed, file.data, file.len);
		changed[(size_t)data[0] * 7 % file.len] ^= 1;
		MUST(open_all(bytes_make(changed, file.len), is_x25519, out, &n) != RK_OK);
	}
	free(out);
	free(changed);
	return 0;
}
