/*
 * age: both forms there and back at every boundary of a chunk, each byte of a small file changed, every cut; what may not be sealed or
 * opened; and the published vectors (RENKEI_VECTORS/age, default ../shared/vectors): of those that `age` accepts, the ones with exactly
 * one X25519 stanza, and of none of the others more than the chunks before the bad one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "tests/unit/age_kit.h"

#define CODE bytes_str("correct horse")

static uint8_t sk[32], pk[32];

static struct bytes pattern(size_t len)
{
	static const uint8_t seed[randombytes_SEEDBYTES] = {1};
	uint8_t *data = malloc(len + 1);

	randombytes_buf_deterministic(data, len, seed);
	return bytes_make(data, len);
}

static void give_back(struct bytes b)
{
	free((void *)(uintptr_t)b.data);
}

static void lengths_around_a_chunk_come_back(void **state)
{
	static const size_t lengths[] = {0, 1, 65535, 65536, 65537, 131072};
	(void)state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct bytes plain = pattern(lengths[i]), file = age_kit_seal(plain, pk, CODE, 0), back;
		uint64_t plain_len;

		assert_int_equal(file.len, age_x25519_len(plain.len));
		assert_true(age_x25519_plain_len(file.len, &plain_len));
		assert_int_equal(plain_len, plain.len);
		assert_int_equal(age_kit_open(file, sk, CODE, &back), RK_OK);
		assert_true(bytes_equal(back, plain));
		give_back(back);
		give_back(file);
		file = age_kit_seal(plain, NULL, CODE, AGE_KIT_LOG_N);
		assert_int_equal(age_kit_open(file, NULL, CODE, &back), RK_OK);
		assert_true(bytes_equal(back, plain));
		give_back(back);
		give_back(file);
		give_back(plain);
	}
}

static void lengths_that_no_file_has_are_refused(void **state)
{
	uint64_t plain_len;
	(void)state;

	assert_false(age_x25519_plain_len(0, &plain_len));
	assert_false(age_x25519_plain_len(168 + 16 + 15, &plain_len));
	assert_true(age_x25519_plain_len(168 + 16 + 16, &plain_len) && plain_len == 0);
	/* A last chunk that would be empty, or shorter than its tag. */
	for (uint64_t more = 1; more <= AGE_TAG_BYTES; more++)
		assert_false(age_x25519_plain_len(age_x25519_len(65536) + more, &plain_len));
	assert_true(age_x25519_plain_len(age_x25519_len(65536) + AGE_TAG_BYTES + 1, &plain_len) && plain_len == 65537);
	assert_true(age_x25519_plain_len(age_x25519_len(AGE_PLAIN_MAX_BYTES), &plain_len) && plain_len == AGE_PLAIN_MAX_BYTES);
	assert_false(age_x25519_plain_len(age_x25519_len(AGE_PLAIN_MAX_BYTES) + 1, &plain_len));
	assert_false(age_x25519_plain_len(UINT64_MAX, &plain_len));
}

#ifdef __SANITIZE_ADDRESS__
#define STEP 11 /* for the paths, not once more for every bit */
#else
#define STEP 1
#endif

/* Every bit of every byte, and every cut. */
static void check_changes(struct bytes file, const uint8_t *identity)
{
	struct bytes back;
	uint8_t *changed = malloc(file.len);

	assert_non_null(changed);
	for (size_t i = 0; i < file.len * 8; i += STEP) {
		memcpy(changed, file.data, file.len);
		changed[i / 8] = (uint8_t)(changed[i / 8] ^ 1 << i % 8);
		if (age_kit_open(bytes_make(changed, file.len), identity, CODE, &back) == RK_OK || back.len != 0)
			fail_msg("bit %zu of byte %zu does not count", i % 8, i / 8);
		give_back(back);
	}
	for (size_t len = 0; len < file.len; len += STEP) {
		memcpy(changed, file.data, len);
		assert_int_not_equal(age_kit_open(bytes_make(changed, len), identity, CODE, &back), RK_OK);
		assert_int_equal(back.len, 0);
		give_back(back);
	}
	free(changed);
}

static void each_bit_and_each_length_counts(void **state)
{
	struct bytes plain = bytes_str("dossier"), file = age_kit_seal(plain, pk, CODE, 0);
	(void)state;

	check_changes(file, sk);
	give_back(file);
	/* A changed cost of the second form may ask for up to 2^20: so its digit is one that no bit makes large. */
	file = age_kit_seal(plain, NULL, CODE, 1);
	check_changes(file, NULL);
	give_back(file);
}

static void what_is_wrong_is_told_apart(void **state)
{
	struct bytes file = age_kit_seal(CODE, pk, CODE, 0), under = age_kit_seal(CODE, NULL, CODE, AGE_KIT_LOG_N), back;
	uint8_t other[32] = {9};
	size_t len;
	struct age s;
	(void)state;

	assert_int_equal(age_kit_open(file, other, CODE, &back), RK_EINTEGRITY);
	give_back(back);
	assert_int_equal(age_kit_open(file, NULL, CODE, &back), RK_MALFORMED);
	give_back(back);
	assert_int_equal(age_kit_open(under, sk, CODE, &back), RK_MALFORMED);
	give_back(back);
	assert_int_equal(age_kit_open(under, NULL, bytes_str("correct horsf"), &back), RK_EPASSPHRASE);
	give_back(back);
	assert_int_equal(age_open_scrypt(&s, under, CODE, AGE_KIT_LOG_N - 1, &len), RK_MALFORMED);
	assert_int_equal(age_open_scrypt(&s, under, CODE, AGE_KIT_LOG_N, &len), RK_OK);
	assert_int_equal(len, 22 + 10 + 22 + 1 + 1 + 1 + 44 + 48 + 16);
	give_back(file);
	give_back(under);
}

/* Numbers that would take memory for ever, leading zeros, signs: refused before scrypt. */
static void costs_are_read_strictly(void **state)
{
	static const char *const costs[] = {"0", "04", "31", "99", "100", "+4", "-4", " 4", "4 ", "", "x"};
	struct bytes file = age_kit_seal(CODE, NULL, CODE, AGE_KIT_LOG_N);
	const size_t before = 22 + 10 + 22 + 1;
	char changed[512];
	struct age s;
	(void)state;

	for (size_t i = 0; i < sizeof(costs) / sizeof(*costs); i++) {
		size_t n = strlen(costs[i]), len;

		memcpy(changed, file.data, before);
		memcpy(changed + before, costs[i], n);
		memcpy(changed + before + n, file.data + before + 1, file.len - before - 1);
		assert_int_equal(age_open_scrypt(&s, bytes_make(changed, file.len - 1 + n), CODE, 40, &len), RK_MALFORMED);
		assert_int_equal(len, 0);
	}
	give_back(file);
}

static void an_encryption_goes_from_beginning_to_end_once(void **state)
{
	static uint8_t chunk[AGE_CHUNK_BYTES + 1], out[AGE_CHUNK_BYTES + 1 + AGE_TAG_BYTES], header[AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES];
	struct age_random random;
	struct age s;
	size_t len;
	(void)state;

	age_random(&random);
	assert_int_equal(age_begin_x25519(&s, &random, pk, header, &len), RK_OK);
	assert_int_equal(len, AGE_X25519_HEADER_BYTES + AGE_NONCE_BYTES);
	assert_true(bytes_is_zero((const uint8_t *)&random, sizeof(random)));
	assert_int_equal(age_seal_chunk(&s, bytes_make(chunk, 5), false, out), RK_EINTERNAL);
	assert_int_equal(age_seal_chunk(&s, bytes_make(chunk, AGE_CHUNK_BYTES + 1), true, out), RK_EINTERNAL);
	assert_int_equal(age_seal_chunk(&s, bytes_make(chunk, AGE_CHUNK_BYTES), false, out), RK_OK);
	assert_int_equal(age_seal_chunk(&s, bytes_make(NULL, 0), true, out), RK_EINTERNAL);
	assert_int_equal(age_seal_chunk(&s, bytes_make(chunk, 1), true, out), RK_OK);
	assert_int_equal(age_seal_chunk(&s, bytes_make(chunk, 1), true, out), RK_EINTERNAL);
	age_end(&s);
	assert_true(bytes_is_zero(s.key, sizeof(s.key)));
	assert_int_equal(age_seal_chunk(&s, bytes_make(chunk, 1), true, out), RK_EINTERNAL);
	/* An identity of low order agrees on a secret that everybody knows. */
	age_random(&random);
	assert_int_equal(age_begin_x25519(&s, &random, (const uint8_t[32]){0}, header, &len), RK_EINTERNAL);
	assert_int_equal(age_seal_chunk(&s, bytes_make(chunk, 1), true, out), RK_EINTERNAL);
	age_random(&random);
	assert_int_equal(age_begin_scrypt(&s, &random, CODE, 31, header, &len), RK_EINTERNAL);
}

static void nothing_opens_after_a_chunk_that_did_not(void **state)
{
	struct bytes plain = pattern(3 * AGE_CHUNK_BYTES), file = age_kit_seal(plain, pk, CODE, 0), back;
	const size_t before = AGE_X25519_HEADER_BYTES + AGE_NONCE_BYTES, whole = AGE_CHUNK_BYTES + AGE_TAG_BYTES;
	uint8_t *bent = malloc(file.len), *out = malloc(AGE_CHUNK_BYTES);
	struct age s;
	size_t len;
	(void)state;

	memcpy(bent, file.data, file.len);
	bent[before + whole + 7] ^= 1;
	assert_int_equal(age_kit_open(bytes_make(bent, file.len), sk, CODE, &back), RK_EINTEGRITY);
	assert_int_equal(back.len, AGE_CHUNK_BYTES);
	assert_memory_equal(back.data, plain.data, back.len);
	assert_int_equal(age_open_x25519(&s, bytes_make(bent, file.len), sk, &len), RK_OK);
	assert_int_equal(age_open_chunk(&s, bytes_make(bent + len, whole), false, out), RK_OK);
	assert_int_equal(age_open_chunk(&s, bytes_make(bent + len + whole, whole), false, out), RK_EINTEGRITY);
	assert_int_equal(age_open_chunk(&s, bytes_make(file.data + len + whole, whole), false, out), RK_EINTEGRITY);
	assert_int_equal(age_open_chunk(&s, bytes_make(bent + len + 2 * whole, whole), true, out), RK_EINTEGRITY);
	free(bent);
	free(out);
	give_back(back);
	give_back(file);
	give_back(plain);
}

/* The first identity of the specification's own implementation, and the all-zero one. */
static void identities_are_texts(void **state)
{
	static const char known[] = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";
	char text[75];
	uint8_t key[32];
	(void)state;

	assert_true(age_kit_identity(known, key));
	age_identity_text(text, key);
	assert_string_equal(text, known);
	strcpy(text, known);
	text[30] = 'Q';
	assert_false(age_kit_identity(text, key));
}

/* ---- the published vectors */

struct vector {
	char expect[40], identity[80];
	uint8_t payload[32];
	bool has_payload;
	struct bytes file;
};

/* Inflated by python3: the files are the only thing here that needs zlib. */
static struct bytes read_vector(const char *path)
{
	static const char program[] = "import sys, zlib; h, s, b = open(sys.argv[1], \"rb\").read().partition(b\"\\n\\n\"); "
	                              "sys.stdout.buffer.write(h + s + (zlib.decompress(b) if b\"compressed: zlib\" in h else b))";
	const size_t room = 32u << 20;
	char command[1024];
	uint8_t *data = malloc(room);
	size_t len;
	FILE *f;

	assert_true(snprintf(command, sizeof(command), "exec python3 -c '%s' '%s'", program, path) < (int)sizeof(command));
	f = popen(command, "re");
	assert_non_null(f);
	len = fread(data, 1, room, f);
	assert_int_equal(pclose(f), 0);
	assert_true(len > 0 && len < room);
	return bytes_make(data, len);
}

static void parse_vector(struct bytes whole, struct vector *v)
{
	const char *at = (const char *)whole.data, *end = at + whole.len;
	char line[200];

	*v = (struct vector){.has_payload = false};
	for (;;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		assert_non_null(stop);
		assert_true((size_t)(stop - at) < sizeof(line));
		memcpy(line, at, (size_t)(stop - at));
		line[stop - at] = 0;
		at = stop + 1;
		if (line[0] == 0)
			break;
		if (strncmp(line, "payload: ", 9) == 0)
			v->has_payload = sodium_hex2bin(v->payload, 32, line + 9, strlen(line + 9), NULL, NULL, NULL) == 0;
		sscanf(line, "expect: %39[^\n]", v->expect);
		sscanf(line, "identity: %79s", v->identity);
	}
	v->file = bytes_make(at, (size_t)(end - at));
}

/* Of the vectors that `age` opens: those with another stanza beside ours, which is not our form. */
static bool is_another_form(const char *name)
{
	static const char *const names[] = {"stanza_empty_body", "stanza_empty_last_line", "stanza_valid_characters", "x25519_grease",
	                                    "x25519_multiple_recipients"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Whole chunks as long as one opens, as the last or not: all that any reader may output.  Malloc'ed. */
static struct bytes open_what_opens(struct bytes file, const uint8_t key[32])
{
	uint8_t *out = malloc(file.len + 1);
	size_t len, n = 0;
	struct age s;
	int r = age_open_x25519(&s, file, key, &len);

	while (r == RK_OK && len < file.len) {
		size_t take = file.len - len < AGE_CHUNK_BYTES + AGE_TAG_BYTES ? file.len - len : AGE_CHUNK_BYTES + AGE_TAG_BYTES;
		struct age before = s;

		if ((r = age_open_chunk(&s, bytes_make(file.data + len, take), false, out + n)) != RK_OK) {
			s = before;
			r = age_open_chunk(&s, bytes_make(file.data + len, take), true, out + n);
		}
		n += r == RK_OK ? take - AGE_TAG_BYTES : 0;
		len += take;
	}
	return bytes_make(out, n);
}

static bool check_vector(const char *name, const struct vector *v)
{
	bool is_ours = strcmp(v->expect, "success") == 0 && !is_another_form(name);
	uint8_t key[32] = {0}, hash[32];
	struct bytes plain, most;
	int r;

	if (!age_kit_identity(v->identity, key) && v->identity[0] != 0) /* the empty file names none */
		fail_msg("%s: identity", name);
	r = age_kit_open(v->file, key, CODE, &plain);
	most = open_what_opens(v->file, key);
	crypto_hash_sha256(hash, most.data, most.len);
	if ((r == RK_OK) != is_ours)
		fail_msg("%s: %s, although \"%s\"", name, errcode_name(r), v->expect);
	/* A failing file gives the hash of what may be output before the failure.  We may output less: a chunk that is marked as the last but
	 * is not, we do not open. */
	if ((most.len > 0 || is_ours) && (!v->has_payload || memcmp(hash, v->payload, 32) != 0))
		fail_msg("%s: %zu bytes open that are not in it", name, most.len);
	if (plain.len > most.len || memcmp(plain.data, most.data, plain.len) != 0 || (is_ours && plain.len != most.len))
		fail_msg("%s: %zu bytes of %zu", name, plain.len, most.len);
	give_back(most);
	give_back(plain);
	return is_ours;
}

static void published_vectors(void **state)
{
	const char *folder = getenv("RENKEI_VECTORS");
	unsigned accepted = 0, refused = 0;
	struct dirent *e;
	char path[512];
	DIR *d;
	(void)state;

	snprintf(path, sizeof(path), "%s/age", folder ? folder : "../shared/vectors");
	if (!(d = opendir(path))) {
		print_message("skipped: no vectors at %s\n", path);
		skip();
	}
	while ((e = readdir(d)) != NULL) {
		struct bytes whole;
		struct vector v;

		if (e->d_name[0] == '.' || strncmp(e->d_name, "README", 6) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/age/%s", folder ? folder : "../shared/vectors", e->d_name);
		whole = read_vector(path);
		parse_vector(whole, &v);
		if (check_vector(e->d_name, &v))
			accepted++;
		else
			refused++;
		give_back(whole);
	}
	closedir(d);
	print_message("%u vectors accepted, %u refused\n", accepted, refused);
	assert_true(accepted >= 9 && refused >= 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_around_a_chunk_come_back),
		cmocka_unit_test(lengths_that_no_file_has_are_refused),
		cmocka_unit_test(each_bit_and_each_length_counts),
		cmocka_unit_test(what_is_wrong_is_told_apart),
		cmocka_unit_test(costs_are_read_strictly),
		cmocka_unit_test(an_encryption_goes_from_beginning_to_end_once),
		cmocka_unit_test(nothing_opens_after_a_chunk_that_did_not),
		cmocka_unit_test(identities_are_texts),
		cmocka_unit_test(published_vectors),
	};

	if (sodium_init() < 0)
		return 1;
	memset(sk, 5, sizeof(sk));
	crypto_scalarmult_base(pk, sk);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
