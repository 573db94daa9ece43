#include "tests/unit/age_kit.h"

#include <ctype.h>
#include <sodium.h>
#include <stdlib.h>

#include "proto/errcode.h"

/* The way back is the way forth with every check: age_identity_text of the result must be the text. */
bool age_kit_identity(const char *text, uint8_t sk[32])
{
	static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
	char again[75], upper[75];

	if (strlen(text) != 74)
		return false;
	memset(sk, 0, 32);
	for (unsigned i = 0; i < 52; i++) {
		const char *at = strchr(alphabet, tolower((unsigned char)text[16 + i]));

		if (at == NULL)
			return false;
		for (unsigned k = 0; k < 5 && i * 5 + k < 256; k++)
			sk[(i * 5 + k) / 8] = (uint8_t)(sk[(i * 5 + k) / 8] | ((at - alphabet) >> (4 - k) & 1) << (7 - (i * 5 + k) % 8));
	}
	for (unsigned i = 0; i < 75; i++)
		upper[i] = (char)toupper((unsigned char)text[i]);
	age_identity_text(again, sk);
	return strcmp(again, upper) == 0;
}

struct bytes age_kit_seal(struct bytes plain, const uint8_t *identity_pk, struct bytes code, unsigned log_n)
{
	uint8_t *file = malloc(AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES + plain.len + (plain.len / AGE_CHUNK_BYTES + 1) * AGE_TAG_BYTES);
	struct age_random random;
	struct age s;
	size_t len;
	int r;

	age_random(&random);
	r = identity_pk ? age_begin_x25519(&s, &random, identity_pk, file, &len) : age_begin_scrypt(&s, &random, code, log_n, file, &len);
	if (r != RK_OK)
		abort();
	for (bool is_last = false; !is_last;) {
		size_t n = plain.len < AGE_CHUNK_BYTES ? plain.len : AGE_CHUNK_BYTES;

		is_last = n == plain.len;
		if (age_seal_chunk(&s, bytes_make(plain.data, n), is_last, file + len) != RK_OK)
			abort();
		len += n + AGE_TAG_BYTES;
		plain = n > 0 ? bytes_make(plain.data + n, plain.len - n) : plain;
	}
	age_end(&s);
	return bytes_make(file, len);
}

int age_kit_open(struct bytes file, const uint8_t *identity_sk, struct bytes code, struct bytes *plain)
{
	const size_t whole = AGE_CHUNK_BYTES + AGE_TAG_BYTES;
	uint8_t *out = malloc(file.len + 1);
	struct age s;
	size_t len, n = 0;
	int r = identity_sk ? age_open_x25519(&s, file, identity_sk, &len) : age_open_scrypt(&s, file, code, 20, &len);

	for (bool is_last = false; r == RK_OK && !is_last;) {
		size_t take = file.len - len < whole ? file.len - len : whole;

		is_last = take == file.len - len;
		if ((r = age_open_chunk(&s, bytes_make(file.data + len, take), is_last, out + n)) == RK_OK)
			n += take - AGE_TAG_BYTES;
		len += take;
	}
	age_end(&s);
	*plain = bytes_make(out, n);
	return r;
}
