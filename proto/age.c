/*
 * C2SP age.md.  The header is made again from the few parts that differ from file to file, and compared: fixed text at fixed offsets.
 * HKDF-SHA-256 is made of libsodium's HMAC by hand; one block of output is all that age asks for.
 */
#include "proto/age.h"

#include <sodium.h>
#include <stdio.h>

#include "proto/errcode.h"

#define FILE_KEY_BYTES 16u
#define WRAP_BYTES (FILE_KEY_BYTES + AGE_TAG_BYTES)
#define SALT_BYTES 16u
#define MAC_BYTES 32u
#define SALT_CHARS 22u  /* base64, unpadded */
#define CHARS32 43u     /* of 32 bytes, likewise */
#define SCRYPT_R 8
#define SCRYPT_LOG_N_MAX 30u /* 2^30 x 1 KiB: whatever the caller allows, no more */

#define LINE_VERSION "age-encryption.org/v1\n"
#define STANZA_X25519 "-> X25519 "
#define STANZA_SCRYPT "-> scrypt "
#define LINE_MAC "---"
#define LABEL_X25519 "age-encryption.org/v1/X25519"
#define LABEL_SCRYPT "age-encryption.org/v1/scrypt"
#define CHARS(text) (sizeof(text) - 1)

_Static_assert(CHARS(LINE_VERSION) + CHARS(STANZA_X25519) + 2 * (CHARS32 + 1) + CHARS(LINE_MAC) + 1 + CHARS32 + 1 == AGE_X25519_HEADER_BYTES,
               "layout");
_Static_assert(sizeof((struct age *)0)->key == MAC_BYTES && crypto_auth_hmacsha256_BYTES == MAC_BYTES, "one block of HKDF is a key");

/* HKDF-SHA-256: info is a text; out is one block. */
static void hkdf(uint8_t out[32], struct bytes ikm, struct bytes salt, const char *info)
{
	crypto_auth_hmacsha256_state h;
	uint8_t prk[32];
	const uint8_t block = 1;

	/* An empty salt has no bytes to point at, and libsodium wants a pointer. */
	crypto_auth_hmacsha256_init(&h, salt.len > 0 ? salt.data : &block, salt.len);
	crypto_auth_hmacsha256_update(&h, ikm.data, ikm.len);
	crypto_auth_hmacsha256_final(&h, prk);
	crypto_auth_hmacsha256_init(&h, prk, sizeof(prk));
	crypto_auth_hmacsha256_update(&h, (const uint8_t *)info, strlen(info));
	crypto_auth_hmacsha256_update(&h, &block, 1);
	crypto_auth_hmacsha256_final(&h, out);
	sodium_memzero(prk, sizeof(prk));
	sodium_memzero(&h, sizeof(h));
}

void age_random(struct age_random *r)
{
	randombytes_buf(r, sizeof(*r));
}

uint64_t age_x25519_len(uint64_t plain_len)
{
	uint64_t chunks = plain_len == 0 ? 1 : (plain_len - 1) / AGE_CHUNK_BYTES + 1;

	return AGE_X25519_HEADER_BYTES + AGE_NONCE_BYTES + plain_len + chunks * AGE_TAG_BYTES;
}

bool age_x25519_plain_len(uint64_t file_len, uint64_t *plain_len)
{
	const uint64_t before = AGE_X25519_HEADER_BYTES + AGE_NONCE_BYTES, whole = AGE_CHUNK_BYTES + AGE_TAG_BYTES;
	uint64_t chunks;

	if (file_len < before + AGE_TAG_BYTES || file_len > age_x25519_len(AGE_PLAIN_MAX_BYTES))
		return false;
	chunks = (file_len - before - 1) / whole + 1;
	if (file_len - before < chunks * AGE_TAG_BYTES)
		return false;
	*plain_len = file_len - before - chunks * AGE_TAG_BYTES;
	return age_x25519_len(*plain_len) == file_len;
}

/* ---- the parts of a header */

static char *put(char *at, struct bytes text)
{
	memcpy(at, text.data, text.len);
	return at + text.len;
}

/* Unpadded base64; no NUL stays. */
static char *put_base64(char *at, struct bytes data)
{
	size_t chars = sodium_base64_encoded_len(data.len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) - 1;
	char text[CHARS32 + 1];

	sodium_bin2base64(text, sizeof(text), data.data, data.len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	return put(at, bytes_make(text, chars));
}

/* Canonical: what comes out must make the same text again.  libsodium takes every byte from 0x80 up as a letter. */
static bool take_base64(struct bytes *rest, size_t chars, uint8_t *out, size_t len)
{
	char again[CHARS32];
	size_t got;

	if (rest->len < chars || sodium_base642bin(out, len, (const char *)rest->data, chars, NULL, &got, NULL,
	                                           sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0 || got != len)
		return false;
	if (put_base64(again, bytes_make(out, len)) != again + chars || memcmp(again, rest->data, chars) != 0)
		return false;
	*rest = bytes_make(rest->data + chars, rest->len - chars);
	return true;
}

static bool take(struct bytes *rest, const char *text)
{
	size_t len = strlen(text);

	if (rest->len < len || memcmp(rest->data, text, len) != 0)
		return false;
	*rest = bytes_make(rest->data + len, rest->len - len);
	return true;
}

/* The file key under a key that is used once, hence nonce zero. */
static void wrap(uint8_t out[WRAP_BYTES], const uint8_t file_key[FILE_KEY_BYTES], const uint8_t key[32])
{
	static const uint8_t zero[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, file_key, FILE_KEY_BYTES, NULL, 0, NULL, zero, key);
}

static bool unwrap(uint8_t file_key[FILE_KEY_BYTES], const uint8_t wrapped[WRAP_BYTES], const uint8_t key[32])
{
	static const uint8_t zero[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	return crypto_aead_chacha20poly1305_ietf_decrypt(file_key, NULL, NULL, wrapped, WRAP_BYTES, NULL, 0, zero, key) == 0;
}

/* Of everything before it and its own three dashes. */
static void make_mac(uint8_t mac[MAC_BYTES], struct bytes header, const uint8_t file_key[FILE_KEY_BYTES])
{
	uint8_t key[32];

	hkdf(key, bytes_make(file_key, FILE_KEY_BYTES), bytes_str(""), "header");
	crypto_auth_hmacsha256(mac, header.data, header.len, key);
	sodium_memzero(key, sizeof(key));
}

static void start(struct age *s, const uint8_t file_key[FILE_KEY_BYTES], const uint8_t nonce[AGE_NONCE_BYTES])
{
	*s = (struct age){.ended = false};
	hkdf(s->key, bytes_make(file_key, FILE_KEY_BYTES), bytes_make(nonce, AGE_NONCE_BYTES), "payload");
}

/* ---- writing */

/* Stanza body, MAC and nonce behind the stanza's line, which ends at `at`; all of r is used up then. */
static void finish_header(struct age *s, struct age_random *r, const uint8_t wrap_key[32], uint8_t *out, char *at, size_t *len)
{
	uint8_t wrapped[WRAP_BYTES], mac[MAC_BYTES];

	wrap(wrapped, r->file_key, wrap_key);
	at = put_base64(at, BYTES_OF(wrapped));
	*at++ = '\n';
	at = put(at, bytes_str(LINE_MAC));
	make_mac(mac, bytes_make(out, (size_t)((uint8_t *)at - out)), r->file_key);
	*at++ = ' ';
	at = put_base64(at, BYTES_OF(mac));
	*at++ = '\n';
	at = put(at, BYTES_OF(r->nonce));
	*len = (size_t)((uint8_t *)at - out);
	start(s, r->file_key, r->nonce);
}

/* The key that wraps the file key between this share and this identity; one of the secret keys is ours.  False: a key of low order. */
static bool x25519_wrap_key(uint8_t key[32], const uint8_t sk[32], const uint8_t pk[32], const uint8_t share[32], const uint8_t identity_pk[32])
{
	uint8_t shared[32], salt[64];
	bool is_ok = crypto_scalarmult(shared, sk, pk) == 0; /* refuses an all-zero result */

	memcpy(salt, share, 32);
	memcpy(salt + 32, identity_pk, 32);
	if (is_ok)
		hkdf(key, BYTES_OF(shared), BYTES_OF(salt), LABEL_X25519);
	sodium_memzero(shared, sizeof(shared));
	return is_ok;
}

int age_begin_x25519(struct age *s, struct age_random *r, const uint8_t identity_pk[32], uint8_t *out, size_t *len)
{
	uint8_t share[32], key[32] = {0};
	char *at = (char *)out;
	int result = RK_EINTERNAL;

	*len = 0;
	*s = (struct age){.ended = true};
	if (crypto_scalarmult_base(share, r->ephemeral_sk) == 0 && x25519_wrap_key(key, r->ephemeral_sk, identity_pk, share, identity_pk)) {
		at = put(at, bytes_str(LINE_VERSION STANZA_X25519));
		at = put_base64(at, BYTES_OF(share));
		*at++ = '\n';
		finish_header(s, r, key, out, at, len);
		result = RK_OK;
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(r, sizeof(*r));
	return result;
}

/* RK_ENOMEM: within these numbers it fails for want of memory only. */
static int scrypt_wrap_key(uint8_t key[32], struct bytes code, const uint8_t salt[SALT_BYTES], unsigned log_n)
{
	uint8_t labelled[CHARS(LABEL_SCRYPT) + SALT_BYTES];

	memcpy(labelled, LABEL_SCRYPT, CHARS(LABEL_SCRYPT));
	memcpy(labelled + CHARS(LABEL_SCRYPT), salt, SALT_BYTES);
	return crypto_pwhash_scryptsalsa208sha256_ll(code.data, code.len, labelled, sizeof(labelled), (uint64_t)1 << log_n, SCRYPT_R, 1, key,
	                                             32) == 0 ? RK_OK : RK_ENOMEM;
}

int age_begin_scrypt(struct age *s, struct age_random *r, struct bytes code, unsigned log_n, uint8_t *out, size_t *len)
{
	uint8_t key[32] = {0};
	char *at = (char *)out, number[16];
	int result = RK_EINTERNAL;

	*len = 0;
	*s = (struct age){.ended = true};
	if (log_n >= 1 && log_n <= SCRYPT_LOG_N_MAX && (result = scrypt_wrap_key(key, code, r->salt, log_n)) == RK_OK) {
		at = put(at, bytes_str(LINE_VERSION STANZA_SCRYPT));
		at = put_base64(at, BYTES_OF(r->salt));
		snprintf(number, sizeof(number), " %u\n", log_n);
		at = put(at, bytes_str(number));
		finish_header(s, r, key, out, at, len);
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(r, sizeof(*r));
	return result;
}

/* ---- reading */

/* A header, taken apart; nothing in it is believed yet. */
struct parsed {
	uint8_t wrapped[WRAP_BYTES], mac[MAC_BYTES];
	struct bytes under_mac;
	const uint8_t *nonce;
	size_t len;              /* with the nonce */
};

/* What stands behind the stanza's line. */
static bool take_end(struct bytes file, struct bytes rest, struct parsed *p)
{
	if (!take_base64(&rest, CHARS32, p->wrapped, sizeof(p->wrapped)) || !take(&rest, "\n" LINE_MAC))
		return false;
	p->under_mac = bytes_make(file.data, file.len - rest.len);
	if (!take(&rest, " ") || !take_base64(&rest, CHARS32, p->mac, sizeof(p->mac)) || !take(&rest, "\n") || rest.len < AGE_NONCE_BYTES)
		return false;
	p->nonce = rest.data;
	p->len = file.len - rest.len + AGE_NONCE_BYTES;
	return true;
}

/* With the key of the stanza: refused is what a wrap that does not open means. */
static int open_header(struct age *s, const struct parsed *p, const uint8_t wrap_key[32], int refused, size_t *len)
{
	uint8_t file_key[FILE_KEY_BYTES] = {0}, mac[MAC_BYTES];
	int r = refused;

	if (unwrap(file_key, p->wrapped, wrap_key)) {
		make_mac(mac, p->under_mac, file_key);
		r = sodium_memcmp(mac, p->mac, sizeof(mac)) == 0 ? RK_OK : RK_EINTEGRITY;
	}
	if (r == RK_OK) {
		start(s, file_key, p->nonce);
		*len = p->len;
	}
	sodium_memzero(file_key, sizeof(file_key));
	return r;
}

int age_open_x25519(struct age *s, struct bytes file, const uint8_t identity_sk[32], size_t *len)
{
	uint8_t share[32], identity_pk[32], key[32] = {0};
	struct bytes rest = file;
	struct parsed p;
	int r = RK_EINTEGRITY;

	*len = 0;
	*s = (struct age){.ended = true};
	if (!take(&rest, LINE_VERSION STANZA_X25519) || !take_base64(&rest, CHARS32, share, sizeof(share)) || !take(&rest, "\n") ||
	    !take_end(file, rest, &p))
		return RK_MALFORMED;
	if (crypto_scalarmult_base(identity_pk, identity_sk) == 0 && x25519_wrap_key(key, identity_sk, share, share, identity_pk))
		r = open_header(s, &p, key, RK_EINTEGRITY, len);
	sodium_memzero(key, sizeof(key));
	return r;
}

/* One or two digits without a leading zero. */
static bool take_log_n(struct bytes *rest, unsigned *log_n)
{
	unsigned digits = 0;

	*log_n = 0;
	while (digits < 2 && digits < rest->len && rest->data[digits] >= '0' && rest->data[digits] <= '9')
		*log_n = *log_n * 10 + (unsigned)(rest->data[digits++] - '0');
	if (digits == 0 || rest->data[0] == '0')
		return false;
	*rest = bytes_make(rest->data + digits, rest->len - digits);
	return true;
}

int age_open_scrypt(struct age *s, struct bytes file, struct bytes code, unsigned log_n_max, size_t *len)
{
	uint8_t salt[SALT_BYTES], key[32] = {0};
	struct bytes rest = file;
	struct parsed p;
	unsigned log_n;
	int r;

	*len = 0;
	*s = (struct age){.ended = true};
	if (!take(&rest, LINE_VERSION STANZA_SCRYPT) || !take_base64(&rest, SALT_CHARS, salt, sizeof(salt)) || !take(&rest, " ") ||
	    !take_log_n(&rest, &log_n) || log_n > log_n_max || log_n > SCRYPT_LOG_N_MAX || !take(&rest, "\n") || !take_end(file, rest, &p))
		return RK_MALFORMED;
	if ((r = scrypt_wrap_key(key, code, salt, log_n)) == RK_OK)
		r = open_header(s, &p, key, RK_EPASSPHRASE, len);
	sodium_memzero(key, sizeof(key));
	return r;
}

/* ---- the payload */

static void make_nonce(uint8_t nonce[12], uint64_t chunk, bool is_last)
{
	memset(nonce, 0, 12);
	put_u64be(nonce + 3, chunk);
	nonce[11] = is_last;
}

/* Whole chunks, then one that is not empty unless it is the only one. */
static bool is_chunk_len(const struct age *s, size_t plain_len, bool is_last)
{
	if (s->ended || plain_len > AGE_CHUNK_BYTES)
		return false;
	return is_last ? plain_len > 0 || s->chunk == 0 : plain_len == AGE_CHUNK_BYTES;
}

int age_seal_chunk(struct age *s, struct bytes plain, bool is_last, uint8_t *out)
{
	uint8_t nonce[12];

	if (!is_chunk_len(s, plain.len, is_last))
		return RK_EINTERNAL;
	make_nonce(nonce, s->chunk++, is_last);
	s->ended = is_last;
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain.data, plain.len, NULL, 0, NULL, nonce, s->key);
	return RK_OK;
}

int age_open_chunk(struct age *s, struct bytes sealed, bool is_last, uint8_t *out)
{
	uint8_t nonce[12];

	if (sealed.len < AGE_TAG_BYTES || !is_chunk_len(s, sealed.len - AGE_TAG_BYTES, is_last)) {
		s->ended = true; /* nothing that follows is opened */
		return RK_EINTEGRITY;
	}
	make_nonce(nonce, s->chunk++, is_last);
	s->ended = is_last;
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.data, sealed.len, NULL, 0, nonce, s->key) == 0)
		return RK_OK;
	s->ended = true;
	return RK_EINTEGRITY;
}

void age_end(struct age *s)
{
	sodium_memzero(s, sizeof(*s));
	s->ended = true;
}

/* ---- bech32 (BIP 173) of one text */

#define IDENTITY_PREFIX "AGE-SECRET-KEY-"
#define IDENTITY_GROUPS 52u /* of 5 bits, for 32 bytes */
#define CHECK_GROUPS 6u

static uint32_t bech32_step(uint32_t state, uint8_t group)
{
	static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = state >> 25;

	state = (state & 0x1ffffff) << 5 ^ group;
	for (int i = 0; i < 5; i++)
		state ^= generator[i] & (0u - (top >> i & 1)); /* no branch: the groups are secret */
	return state;
}

/* "QPZRY9X8…" without a table: which line of memory is touched must not depend on the secret. */
static char bech32_char(uint8_t group)
{
	static const char alphabet[] = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
	unsigned c = 0;

	for (unsigned i = 0; i < 32; i++)
		c |= (unsigned)alphabet[i] & (0u - (unsigned)((i ^ group) == 0));
	return (char)c;
}

void age_identity_text(char out[75], const uint8_t identity_sk[32])
{
	uint8_t groups[IDENTITY_GROUPS + CHECK_GROUPS] = {0};
	uint32_t check = 1;
	char *at = put(out, bytes_str(IDENTITY_PREFIX "1"));

	for (unsigned bit = 0; bit < 256; bit++)
		groups[bit / 5] = (uint8_t)(groups[bit / 5] | (identity_sk[bit / 8] >> (7 - bit % 8) & 1) << (4 - bit % 5));
	/* The prefix, in lower case: high bits, zero, low bits; then the data and six zeros. */
	for (unsigned i = 0; i < CHARS(IDENTITY_PREFIX); i++)
		check = bech32_step(check, IDENTITY_PREFIX[i] == '-' ? '-' >> 5 : 3);
	check = bech32_step(check, 0);
	for (unsigned i = 0; i < CHARS(IDENTITY_PREFIX); i++)
		check = bech32_step(check, IDENTITY_PREFIX[i] & 31);
	for (unsigned i = 0; i < IDENTITY_GROUPS + CHECK_GROUPS; i++)
		check = bech32_step(check, groups[i]);
	check ^= 1;
	for (unsigned i = 0; i < CHECK_GROUPS; i++)
		groups[IDENTITY_GROUPS + i] = (uint8_t)(check >> 5 * (5 - i) & 31);
	for (unsigned i = 0; i < IDENTITY_GROUPS + CHECK_GROUPS; i++)
		*at++ = bech32_char(groups[i]);
	*at = 0;
	sodium_memzero(groups, sizeof(groups));
}
