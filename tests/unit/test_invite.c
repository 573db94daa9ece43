/* invite: card and invite texts there and back, and every letter changed; keys and tags; note names and vkeys. */
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
#include "proto/invite.h"
#include "proto/note.h"
#include "tests/unit/fixed_kit.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

static void make_invite(struct invite *inv, const char *endpoint)
{
	memset(inv, 0, sizeof(*inv));
	fixed_bytes(inv->exchange_id, 32, "exchange");
	fixed_bytes(inv->broker_curve_pk, 32, "broker");
	fixed_bytes(inv->seed, 32, "seed");
	inv->expires_at = FIXED_TIME_MS;
	snprintf(inv->endpoint, sizeof(inv->endpoint), "%s", endpoint);
}

static void make_card(struct broker_card *card, const char *endpoint)
{
	memset(card, 0, sizeof(*card));
	fixed_bytes(card->curve_pk, 32, "broker");
	fixed_bytes(card->log_pk, 32, "log");
	snprintf(card->endpoint, sizeof(card->endpoint), "%s", endpoint);
}

static void texts_come_back_as_they_were(void **state)
{
	char longest[ENDPOINT_MAX_CHARS + 1], text[INVITE_TEXT_CHARS];
	const char *endpoints[] = {FIXED_ENDPOINT, "x", longest, "tcp://[2001:db8::1]:7400"};
	struct broker_card card, card2;
	struct invite inv, inv2;
	(void)state;

	memset(longest, 'a', ENDPOINT_MAX_CHARS);
	longest[ENDPOINT_MAX_CHARS] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		make_invite(&inv, endpoints[i]);
		assert_int_equal(invite_text(text, &inv), RK_OK);
		assert_memory_equal(text, "rk-inv:", 7);
		assert_int_equal(invite_parse(&inv2, text), RK_OK);
		assert_memory_equal(&inv, &inv2, sizeof(inv));
		make_card(&card, endpoints[i]);
		assert_int_equal(invite_card_text(text, &card), RK_OK);
		assert_memory_equal(text, "rk-broker:", 10);
		assert_int_equal(invite_card_parse(&card2, text), RK_OK);
		assert_memory_equal(&card, &card2, sizeof(card));
	}
}

static void endpoints_are_plain(void **state)
{
	static const char *const bad[] = {"", "tcp://a b", "tcp://a\n", "tcp://\xe3\x81\x82", "tcp://a\x7f"};
	char text[INVITE_TEXT_CHARS];
	struct broker_card card;
	struct invite inv;
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		make_invite(&inv, bad[i]);
		assert_int_equal(invite_text(text, &inv), RK_MALFORMED);
		make_card(&card, bad[i]);
		assert_int_equal(invite_card_text(text, &card), RK_MALFORMED);
	}
	make_invite(&inv, "x");
	inv.expires_at = 0;
	assert_int_equal(invite_text(text, &inv), RK_MALFORMED);
}

static void every_slip_of_the_pen_is_noticed(void **state)
{
	char text[INVITE_TEXT_CHARS], card_text[INVITE_TEXT_CHARS], long_text[2 * INVITE_TEXT_CHARS];
	struct broker_card card;
	struct invite inv;
	size_t len;
	(void)state;

	make_invite(&inv, FIXED_ENDPOINT);
	assert_int_equal(invite_text(text, &inv), RK_OK);
	make_card(&card, FIXED_ENDPOINT);
	assert_int_equal(invite_card_text(card_text, &card), RK_OK);
	for (char *p = text; *p; p++) {
		char kept = *p;

		*p = kept == 'A' ? 'B' : 'A';
		assert_int_equal(invite_parse(&inv, text), RK_MALFORMED);
		assert_true(bytes_is_zero(inv.seed, 32));
		*p = kept;
	}
	for (char *p = card_text; *p; p++) {
		char kept = *p;

		*p = kept == 'A' ? 'B' : 'A';
		assert_int_equal(invite_card_parse(&card, card_text), RK_MALFORMED);
		*p = kept;
	}
	/* Cut anywhere; one for the other; something behind it. */
	memcpy(long_text, text, sizeof(text));
	for (len = strlen(text); len-- > 0;) {
		long_text[len] = '\0';
		assert_int_equal(invite_parse(&inv, long_text), RK_MALFORMED);
	}
	assert_int_equal(invite_parse(&inv, card_text), RK_MALFORMED);
	assert_int_equal(invite_card_parse(&card, text), RK_MALFORMED);
	snprintf(long_text, sizeof(long_text), "%s ", text);
	assert_int_equal(invite_parse(&inv, long_text), RK_MALFORMED);
	memset(long_text, 'A', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	memcpy(long_text, "rk-inv:", 7);
	assert_int_equal(invite_parse(&inv, long_text), RK_MALFORMED);
}

/* Layouts that no one of ours makes, with a right check sum. */
static int parse_raw(const char *prefix, uint8_t *raw, size_t len)
{
	char text[INVITE_TEXT_CHARS];
	struct broker_card card;
	struct invite inv;
	uint8_t hash[32];

	ids_sha256(hash, bytes_make(raw, len));
	memcpy(raw + len, hash, 4);
	assert_int_equal(ids_text(text, sizeof(text), prefix, bytes_make(raw, len + 4)), RK_OK);
	return prefix[3] == 'i' ? invite_parse(&inv, text) : invite_card_parse(&card, text);
}

static void lengths_inside_are_not_believed(void **state)
{
	uint8_t raw[512] = {0};
	(void)state;

	memcpy(raw + 104, "tcp://x", 7);
	put_u64be(raw + 96, 1);
	assert_int_equal(parse_raw("rk-inv:", raw, 111), RK_OK);
	assert_int_equal(parse_raw("rk-inv:", raw, 104), RK_MALFORMED);
	put_u64be(raw + 96, UINT64_C(1) << 63);
	memcpy(raw + 104, "tcp://x", 7);
	assert_int_equal(parse_raw("rk-inv:", raw, 111), RK_MALFORMED);
	memset(raw + 104, 'a', 300);
	put_u64be(raw + 96, 1);
	assert_int_equal(parse_raw("rk-inv:", raw, 104 + 257), RK_MALFORMED);

	memcpy(raw + 66, "tcp://x", 7);
	put_u16be(raw + 64, 7);
	assert_int_equal(parse_raw("rk-broker:", raw, 73), RK_OK);
	put_u16be(raw + 64, 6);
	assert_int_equal(parse_raw("rk-broker:", raw, 73), RK_MALFORMED);
	put_u16be(raw + 64, 0xffff);
	assert_int_equal(parse_raw("rk-broker:", raw, 73), RK_MALFORMED);
}

static void keys_follow_from_the_seed(void **state)
{
	uint8_t seed[32] = {1}, pk[32], sk[32], mac[32], id[16], pk2[32], seed2[32], expected[16];
	(void)state;

	invite_keys(seed, pk, sk, mac, id);
	crypto_scalarmult_base(pk2, sk);
	assert_memory_equal(pk, pk2, 32);
	ids_kdf(seed2, seed, "renkei/v1/invite-curve", (struct bytes){NULL, 0});
	assert_int_equal(crypto_box_seed_keypair(pk2, sk, seed2), 0);
	assert_memory_equal(pk, pk2, 32);
	ids_invite(expected, pk);
	assert_memory_equal(id, expected, 16);
	assert_memory_not_equal(mac, seed2, 32);
}

static void tag_covers_every_part(void **state)
{
	uint8_t key[32] = {9}, exchange[32] = {8}, tag[32], whole[15 + 1 + 32 + 7 + 3], expected[32];
	struct bytes payload = bytes_str("payload"), sig = bytes_str("sig");
	(void)state;

	invite_tag(tag, key, exchange, payload, sig);
	/* crypto_auth over the same bytes in one piece */
	memcpy(whole, "renkei/v1/enrol", 16);
	memcpy(whole + 16, exchange, 32);
	memcpy(whole + 48, "payloadsig", 10);
	crypto_auth(expected, whole, sizeof(whole), key);
	assert_memory_equal(tag, expected, 32);
	assert_int_equal(invite_check_tag(tag, key, exchange, payload, sig), RK_OK);
	assert_int_equal(invite_check_tag(tag, key, exchange, bytes_str("paylord"), sig), RK_BAD_SIGNATURE);
	assert_int_equal(invite_check_tag(tag, key, exchange, payload, bytes_str("sik")), RK_BAD_SIGNATURE);
	exchange[0] ^= 1;
	assert_int_equal(invite_check_tag(tag, key, exchange, payload, sig), RK_BAD_SIGNATURE);
	exchange[0] ^= 1;
	key[31] ^= 1;
	assert_int_equal(invite_check_tag(tag, key, exchange, payload, sig), RK_BAD_SIGNATURE);
	key[31] ^= 1;
	for (int i = 0; i < 256; i++) {
		tag[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(invite_check_tag(tag, key, exchange, payload, sig), RK_BAD_SIGNATURE);
		tag[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

/* The example key of the C2SP signed-note specification. */
#define NOTE_EXAMPLE "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

static void vkeys_are_those_of_signed_note(void **state)
{
	char name[NOTE_NAME_CHARS], out[NOTE_VKEY_CHARS], bent[NOTE_VKEY_CHARS + 1];
	uint8_t type, pk[32], exchange[32] = {0x5f, 0x0c, 0x9a, 0x3b, 0xe1, 0xd2, 0x44, 0x77, 0xff};
	(void)state;

	assert_int_equal(note_vkey_parse(NOTE_EXAMPLE, name, &type, pk), RK_OK);
	assert_string_equal(name, "PeterNeumann");
	assert_int_equal(type, 1);
	assert_int_equal(note_vkey(out, name, type, pk), RK_OK);
	assert_string_equal(out, NOTE_EXAMPLE);
	snprintf(bent, sizeof(bent), "%s", NOTE_EXAMPLE);
	for (char *p = bent; *p; p++) {
		char kept = *p;

		*p = kept == 'A' ? 'B' : 'A';
		assert_int_equal(note_vkey_parse(bent, name, &type, pk), RK_MALFORMED);
		assert_string_equal(name, "");
		*p = kept;
	}
	for (size_t len = strlen(bent); len-- > 0;) {
		bent[len] = '\0';
		assert_int_equal(note_vkey_parse(bent, name, &type, pk), RK_MALFORMED);
	}
	assert_int_equal(note_vkey(out, "a b", 1, pk), RK_MALFORMED);
	assert_int_equal(note_vkey(out, "a+b", 1, pk), RK_MALFORMED);
	assert_int_equal(note_vkey(out, "", 1, pk), RK_MALFORMED);
	/* The longest name that has room. */
	memset(name, 'n', NOTE_NAME_CHARS - 1);
	name[NOTE_NAME_CHARS - 1] = '\0';
	assert_int_equal(note_vkey(out, name, 4, pk), RK_OK);
	assert_int_equal(note_vkey_parse(out, name, &type, pk), RK_OK);
	snprintf(bent, sizeof(bent), "n%s", out);
	assert_int_equal(note_vkey_parse(bent, name, &type, pk), RK_MALFORMED);

	note_origin(name, exchange, 1);
	assert_string_equal(name, "renkei/5f0c9a3be1d24477/log1");
	note_witness_name(name, exchange);
	assert_string_equal(name, "renkei/5f0c9a3be1d24477/witness");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_come_back_as_they_were),
		cmocka_unit_test(endpoints_are_plain),
		cmocka_unit_test(every_slip_of_the_pen_is_noticed),
		cmocka_unit_test(lengths_inside_are_not_believed),
		cmocka_unit_test(keys_follow_from_the_seed),
		cmocka_unit_test(tag_covers_every_part),
		cmocka_unit_test(vkeys_are_those_of_signed_note),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
