/* device_text: the card of an organisation and a device's request there and back; every letter changed; what no honest device asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/device_text.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/fixed_kit.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	return (arena = arena_new(1 << 20)) == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static void make_card(struct org_card *card, const char *endpoint)
{
	memset(card, 0, sizeof(*card));
	fixed_bytes(card->exchange_id, 32, "exchange");
	fixed_bytes(card->broker_curve_pk, 32, "broker");
	fixed_bytes(card->org_id, 16, "org");
	snprintf(card->endpoint, sizeof(card->endpoint), "%s", endpoint);
}

/* A device that asks, with the kx key as `bend` leaves it, and its signature by `sign_sk` if that is another. */
struct asker {
	uint8_t sign_pk[32], sign_sk[64], curve_pk[32], kx_pk[32];
	struct device_request q;
};

static void ask(struct asker *k, void (*bend)(struct asker *, Rk__DeviceKx *), bool by_stranger)
{
	uint8_t seed[32], sk[32], device_id[16], stranger_pk[32], stranger_sk[64];
	Rk__DeviceKx kx = RK__DEVICE_KX__INIT;
	struct bytes wire;

	memset(k, 0, sizeof(*k));
	fixed_bytes(seed, 32, "sign");
	crypto_sign_seed_keypair(k->sign_pk, k->sign_sk, seed);
	crypto_box_keypair(k->curve_pk, sk);
	crypto_box_keypair(k->kx_pk, sk);
	crypto_sign_keypair(stranger_pk, stranger_sk);
	ids_device(device_id, k->sign_pk);
	fixed_bytes(k->q.exchange_id, 32, "exchange");
	fixed_bytes(k->q.org_id, 16, "org");
	memcpy(k->q.sign_pk, k->sign_pk, 32);
	memcpy(k->q.curve_pk, k->curve_pk, 32);
	k->q.accepts_max = 1;
	snprintf(k->q.label, sizeof(k->q.label), "研究室 A");
	kx.version = 1;
	kx.device_id = pb_of(bytes_make(arena_copy(arena, device_id, 16), 16));
	kx.serial = 1;
	kx.kx_pk = pb_of(bytes_make(k->kx_pk, 32));
	kx.not_before = FIXED_TIME_MS;
	kx.not_after = FIXED_TIME_MS + TRUST_KX_AGE_MS;
	if (bend != NULL)
		bend(k, &kx);
	assert_int_equal(object_make(OBJECT_KIND_DEVICE_KX, k->q.exchange_id, by_stranger ? stranger_sk : k->sign_sk, &kx.base, arena,
	                             &wire), RK_OK);
	assert_in_range(wire.len, 1, DEVICE_KX_MAX);
	memcpy(k->q.kx, wire.data, wire.len);
	k->q.kx_len = wire.len;
}

static void texts_come_back_as_they_were(void **state)
{
	char longest[ENDPOINT_MAX_CHARS + 1], text[INVITE_TEXT_CHARS];
	const char *endpoints[] = {FIXED_ENDPOINT, "x", longest};
	struct device_request back;
	struct org_card card, card2;
	struct asker k;
	(void)state;

	memset(longest, 'a', ENDPOINT_MAX_CHARS);
	longest[ENDPOINT_MAX_CHARS] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		make_card(&card, endpoints[i]);
		assert_int_equal(org_card_text(text, &card), RK_OK);
		assert_memory_equal(text, "rk-org:", 7);
		assert_int_equal(org_card_parse(&card2, text), RK_OK);
		assert_memory_equal(&card, &card2, sizeof(card));
	}
	make_card(&card, "tcp://a b");
	assert_int_equal(org_card_text(text, &card), RK_MALFORMED);

	ask(&k, NULL, false);
	for (size_t len = 0; len <= DEVICE_LABEL_MAX; len += DEVICE_LABEL_MAX) {
		memset(k.q.label, 0, sizeof(k.q.label));
		memset(k.q.label, 'l', len);
		assert_int_equal(device_request_text(text, &k.q), RK_OK);
		assert_memory_equal(text, "rk-dev:", 7);
		assert_int_equal(device_request_parse(&back, text), RK_OK);
		assert_memory_equal(&k.q, &back, sizeof(back));
	}
	snprintf(k.q.label, sizeof(k.q.label), "a\nb");
	assert_int_equal(device_request_text(text, &k.q), RK_MALFORMED);
}

static void every_slip_of_the_pen_is_noticed(void **state)
{
	char text[INVITE_TEXT_CHARS], card_text[INVITE_TEXT_CHARS], cut[INVITE_TEXT_CHARS];
	struct device_request q;
	struct org_card card;
	struct asker k;
	(void)state;

	make_card(&card, FIXED_ENDPOINT);
	assert_int_equal(org_card_text(card_text, &card), RK_OK);
	ask(&k, NULL, false);
	assert_int_equal(device_request_text(text, &k.q), RK_OK);
	for (char *p = text; *p; p++) {
		char kept = *p;

		*p = kept == 'A' ? 'B' : 'A';
		assert_int_equal(device_request_parse(&q, text), RK_MALFORMED);
		*p = kept;
	}
	for (char *p = card_text; *p; p++) {
		char kept = *p;

		*p = kept == 'A' ? 'B' : 'A';
		assert_int_equal(org_card_parse(&card, card_text), RK_MALFORMED);
		*p = kept;
	}
	memcpy(cut, text, sizeof(text));
	for (size_t len = strlen(text); len-- > 0;) {
		cut[len] = '\0';
		assert_int_equal(device_request_parse(&q, cut), RK_MALFORMED);
	}
	assert_int_equal(device_request_parse(&q, card_text), RK_MALFORMED);
	assert_int_equal(org_card_parse(&card, text), RK_MALFORMED);
}

/* Layouts that no one of ours makes, with a right sum. */
static void lengths_inside_are_not_believed(void **state)
{
	uint8_t raw[512] = {0}, hash[32];
	static const struct { size_t len; uint8_t accepts, label; int expected; } rows[] = {
		{114 + 3 + 100, 1, 3, RK_OK}, {114 + 3 + 256, 1, 3, RK_OK}, {114 + 3 + 257, 1, 3, RK_MALFORMED},
		{114 + 3, 1, 3, RK_MALFORMED}, {114 + 2, 1, 3, RK_MALFORMED}, {114 + 65 + 100, 1, 65, RK_MALFORMED},
		{114 + 3 + 100, 0, 3, RK_MALFORMED}, {114 + 3 + 100, 1, 255, RK_MALFORMED},
	};
	struct device_request q;
	char text[INVITE_TEXT_CHARS];
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memset(raw, 'a', sizeof(raw));
		raw[112] = rows[i].accepts;
		raw[113] = rows[i].label;
		ids_sha256(hash, bytes_make(raw, rows[i].len));
		memcpy(raw + rows[i].len, hash, 4);
		assert_int_equal(ids_text(text, sizeof(text), "rk-dev:", bytes_make(raw, rows[i].len + 4)), RK_OK);
		if (device_request_parse(&q, text) != rows[i].expected)
			fail_msg("row %zu", i);
	}
}

static void b_serial(struct asker *k, Rk__DeviceKx *kx) { (void)k; kx->serial = 2; }
static void b_other_device(struct asker *k, Rk__DeviceKx *kx) { (void)k; kx->device_id.data[0] ^= 1; }
static void b_long(struct asker *k, Rk__DeviceKx *kx) { (void)k; kx->not_after++; }
static void b_kx_is_curve(struct asker *k, Rk__DeviceKx *kx) { memcpy(kx->kx_pk.data, k->curve_pk, 32); }
static void b_exchange(struct asker *k, Rk__DeviceKx *kx) { (void)kx; k->q.exchange_id[0] ^= 1; }
static void b_sign_zero(struct asker *k, Rk__DeviceKx *kx) { (void)kx; memset(k->q.sign_pk, 0, 32); }
static void b_curve_zero(struct asker *k, Rk__DeviceKx *kx) { (void)kx; memset(k->q.curve_pk, 0, 32); }
static void b_one_key(struct asker *k, Rk__DeviceKx *kx) { (void)kx; memcpy(k->q.curve_pk, k->q.sign_pk, 32); }

static void only_the_device_itself_asks(void **state)
{
	static const struct {
		void (*bend)(struct asker *, Rk__DeviceKx *);
		bool by_stranger;
		int expected;
	} rows[] = {
		{NULL, false, RK_OK}, {NULL, true, RK_BAD_SIGNATURE}, {b_serial, false, RK_MALFORMED}, {b_other_device, false, RK_MALFORMED},
		{b_long, false, RK_MALFORMED}, {b_kx_is_curve, false, RK_MALFORMED}, {b_exchange, false, RK_OK},
		{b_sign_zero, false, RK_MALFORMED}, {b_curve_zero, false, RK_MALFORMED}, {b_one_key, false, RK_MALFORMED},
	};
	uint8_t device_id[16], expected[16];
	Rk__DeviceKx *kx;
	struct asker k;
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r;

		ask(&k, rows[i].bend, rows[i].by_stranger);
		if ((r = device_request_check(&k.q, arena, device_id, &kx)) != rows[i].expected)
			fail_msg("row %zu: %s", i, errcode_name(r));
	}
	/* What was signed for another exchange is no request in this one. */
	ask(&k, NULL, false);
	k.q.exchange_id[0] ^= 1;
	assert_int_equal(device_request_check(&k.q, arena, device_id, &kx), RK_BAD_SIGNATURE);
	ids_device(expected, k.sign_pk);
	assert_memory_equal(device_id, expected, 16);
	k.q.kx_len--;
	assert_int_equal(device_request_check(&k.q, arena, device_id, &kx), RK_MALFORMED);
}

static void fingerprints_are_of_both_keys(void **state)
{
	uint8_t both[64], hash[32];
	char f[IDS_ORG_FINGERPRINT_CHARS], g[IDS_ORG_FINGERPRINT_CHARS], hex[41];
	(void)state;

	fixed_bytes(both, 64, "both");
	crypto_hash_sha256(hash, both, 64);
	ids_hex(hex, bytes_make(hash, 20));
	ids_device_fingerprint(f, both, both + 32);
	assert_true(ids_fingerprint_matches(hex, f));
	both[63] ^= 1;
	ids_device_fingerprint(g, both, both + 32);
	assert_false(ids_fingerprint_matches(f, g));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_come_back_as_they_were),
		cmocka_unit_test(every_slip_of_the_pen_is_noticed),
		cmocka_unit_test(lengths_inside_are_not_believed),
		cmocka_unit_test(only_the_device_itself_asks),
		cmocka_unit_test(fingerprints_are_of_both_keys),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
