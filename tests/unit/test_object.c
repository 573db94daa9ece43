/* object: the table of kinds, signatures bound to kind and exchange, limits, and what object_parse gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "tests/unit/schema_kit.h"

static uint8_t exchange[32], pk[32], sk[64];

static const struct {
	const char *name, *label;
	enum object_signer signer;
	Rk__LogType log;
	bool control;
	size_t max;
} kinds[OBJECT_KIND_COUNT] = {
	{"charter", "renkei/v1/charter", SIGNER_ROOT, RK__LOG_TYPE__LOG_CHARTER, true, 65536},
	{"directory", "renkei/v1/directory", SIGNER_SECRETARIAT, RK__LOG_TYPE__LOG_DIRECTORY, true, 4194304},
	{"org-devices", "renkei/v1/org-devices", SIGNER_ORG, RK__LOG_TYPE__LOG_ORG_DEVICES, true, 65536},
	{"device-kx", "renkei/v1/device-kx", SIGNER_DEVICE, RK__LOG_TYPE__LOG_NONE, true, 1024},
	{"feed-epoch", "renkei/v1/feed-epoch", SIGNER_SECRETARIAT, RK__LOG_TYPE__LOG_FEED_EPOCH, true, 1024},
	{"feed-key", "renkei/v1/feed-key", SIGNER_SECRETARIAT, RK__LOG_TYPE__LOG_NONE, false, 1024},
	{"invite-reg", "renkei/v1/invite-reg", SIGNER_SECRETARIAT, RK__LOG_TYPE__LOG_NONE, false, 1024},
	{"enrol", "renkei/v1/enrol", SIGNER_ORG, RK__LOG_TYPE__LOG_NONE, false, 32768},
	{"envelope", "renkei/v1/envelope", SIGNER_DEVICE, RK__LOG_TYPE__LOG_DISCLOSURE, false, 6144},
	{"pickup", "renkei/v1/pickup", SIGNER_DEVICE, RK__LOG_TYPE__LOG_PICKUP, false, 4096},
	{"nda-act", "renkei/v1/nda-act", SIGNER_ORG, RK__LOG_TYPE__LOG_NDA_ACT, false, 2048},
	{"nda-hold", "renkei/v1/nda-hold", SIGNER_DEVICE, RK__LOG_TYPE__LOG_NDA_ACT, false, 2048},
	{"nack", "renkei/v1/nack", SIGNER_DEVICE, RK__LOG_TYPE__LOG_NACK, false, 1024},
	{"deposit", "renkei/v1/deposit", SIGNER_DEVICE, RK__LOG_TYPE__LOG_DEPOSIT, false, 1024},
	{"org-key", "renkei/v1/org-key", SIGNER_ORG, RK__LOG_TYPE__LOG_NONE, false, 1024},
};

static void the_table_is_the_documented_one(void **state)
{
	(void)state;
	for (unsigned k = 0; k < OBJECT_KIND_COUNT; k++) {
		const struct object_info *info = object_info((enum object_kind)k);

		assert_string_equal(info->name, kinds[k].name);
		assert_string_equal(info->label, kinds[k].label);
		assert_int_equal(info->signer, kinds[k].signer);
		assert_int_equal(info->log_type, kinds[k].log);
		assert_int_equal(info->control_stream, kinds[k].control);
		assert_int_equal(info->payload_max_bytes, kinds[k].max);
		assert_non_null(info->desc);
		if (info->wire_type != RK__OBJECT_TYPE__OBJECT_NONE)
			assert_int_equal(object_kind_of(info->wire_type), k);
	}
	assert_int_equal(object_kind_of(RK__OBJECT_TYPE__OBJECT_NONE), OBJECT_KIND_COUNT);
	assert_int_equal(object_kind_of((Rk__ObjectType)99), OBJECT_KIND_COUNT);
	for (int t = RK__OBJECT_TYPE__OBJECT_CHARTER; t <= RK__OBJECT_TYPE__OBJECT_FEED_KEY; t++)
		assert_int_not_equal(object_kind_of((Rk__ObjectType)t), OBJECT_KIND_COUNT);
}

static void every_kind_is_made_parsed_and_verified(void **state)
{
	(void)state;
	for (unsigned k = 0; k < OBJECT_KIND_COUNT; k++) {
		enum object_kind kind = (enum object_kind)k;
		struct arena *a = arena_new(0);
		uint8_t oh[32], expected[32];
		struct bytes wire;
		struct object o, again;
		Rk__Signed *s;

		assert_int_equal(object_make(kind, exchange, sk, schema_kit_random(object_info(kind)->desc, a), a, &wire), RK_OK);
		assert_int_equal(object_parse(kind, wire, a, &o), RK_OK);
		assert_int_equal(o.kind, kind);
		assert_true(bytes_equal(o.wire, wire));
		assert_ptr_not_equal(o.wire.data, wire.data);
		assert_int_equal(o.sig.len, 64);
		assert_ptr_equal(o.message->descriptor, object_info(kind)->desc);
		assert_int_equal(object_check(&o, exchange, pk), RK_OK);

		/* oh = SHA-256(label || 0 || exchange || payload || sig) */
		ids_hash_parts(expected, object_info(kind)->label, (struct bytes[]){BYTES_OF(exchange), o.payload, o.sig}, 3);
		object_oh(oh, &o, exchange);
		assert_memory_equal(oh, expected, 32);

		assert_int_equal(STRICT_PARSE(signed, wire, a, &s), RK_OK);
		assert_int_equal(object_parse_signed(kind, s, a, &again), RK_OK);
		assert_true(bytes_equal(again.wire, wire));
		assert_true(bytes_equal(again.payload, o.payload));
		assert_true(bytes_equal(again.sig, o.sig));
		assert_int_equal(object_check(&again, exchange, pk), RK_OK);
		arena_free(a);
	}
}

/* Mistake 9 and 10 of CRYPTO 4: a signature counts for one kind, in one exchange, by one key, over these bytes. */
static void a_signature_is_bound_to_all_that_it_covers(void **state)
{
	uint8_t sig[64], other_exchange[32], other_pk[32], other_sk[64], payload[100], bad[64];
	(void)state;

	randombytes_buf(payload, sizeof(payload));
	randombytes_buf(other_exchange, sizeof(other_exchange));
	crypto_sign_keypair(other_pk, other_sk);
	for (unsigned k = 0; k < OBJECT_KIND_COUNT; k++) {
		enum object_kind kind = (enum object_kind)k;

		assert_int_equal(object_sign(kind, exchange, sk, BYTES_OF(payload), sig), RK_OK);
		for (unsigned other = 0; other < OBJECT_KIND_COUNT; other++)
			assert_int_equal(object_verify((enum object_kind)other, exchange, pk, BYTES_OF(payload), BYTES_OF(sig)),
			                 other == k ? RK_OK : RK_BAD_SIGNATURE);
		assert_int_equal(object_verify(kind, other_exchange, pk, BYTES_OF(payload), BYTES_OF(sig)), RK_BAD_SIGNATURE);
		assert_int_equal(object_verify(kind, exchange, other_pk, BYTES_OF(payload), BYTES_OF(sig)), RK_BAD_SIGNATURE);
		assert_int_equal(object_verify(kind, exchange, pk, bytes_make(payload, 99), BYTES_OF(sig)), RK_BAD_SIGNATURE);
		assert_int_equal(object_verify(kind, exchange, pk, BYTES_OF(payload), bytes_make(sig, 63)), RK_BAD_SIGNATURE);
		assert_int_equal(object_verify(kind, exchange, pk, BYTES_OF(payload), bytes_make(NULL, 0)), RK_BAD_SIGNATURE);
	}
	for (size_t bit = 0; bit < 512; bit += 7) {
		memcpy(bad, sig, 64);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(object_verify(OBJECT_KIND_NDA_HOLD, exchange, pk, BYTES_OF(payload), BYTES_OF(bad)), RK_BAD_SIGNATURE);
	}
	for (size_t bit = 0; bit < 800; bit += 7) {
		payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(object_verify(OBJECT_KIND_NDA_HOLD, exchange, pk, BYTES_OF(payload), BYTES_OF(sig)), RK_BAD_SIGNATURE);
		payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* What OpenSSL and every other tool can check: plain Ed25519 over the TBS bytes, whatever their length. */
static void a_signature_is_plain_ed25519_over_the_tbs(void **state)
{
	static const size_t lengths[] = {0, 1, 8000, 8192, 100000};
	const char *label = "renkei/v1/directory";
	(void)state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t len = lengths[i], before = strlen(label) + 1 + 32;
		uint8_t *tbs = calloc(1, before + len), sig[64];

		assert_non_null(tbs);
		memcpy(tbs, label, strlen(label));
		memcpy(tbs + strlen(label) + 1, exchange, 32);
		randombytes_buf(tbs + before, len);
		assert_int_equal(object_sign(OBJECT_KIND_DIRECTORY, exchange, sk, bytes_make(tbs + before, len), sig), RK_OK);
		assert_int_equal(crypto_sign_verify_detached(sig, tbs, before + len, pk), 0);
		assert_int_equal(object_verify(OBJECT_KIND_DIRECTORY, exchange, pk, bytes_make(tbs + before, len), BYTES_OF(sig)), RK_OK);
		free(tbs);
	}
}

static void limits_are_judged_before_parsing(void **state)
{
	const size_t cap = 1024 + 128;
	struct arena *a = arena_new(0);
	uint8_t *wire = calloc(1, 2 * cap), sig[64] = {0};
	Rk__Signed s = RK__SIGNED__INIT;
	struct bytes packed;
	struct object o;
	(void)state;

	assert_non_null(wire);
	assert_int_equal(object_parse(OBJECT_KIND_DEVICE_KX, bytes_make(wire, cap + 1), a, &o), RK_TOO_LARGE);
	assert_int_equal(arena_used(a), 0);
	assert_int_equal(object_parse(OBJECT_KIND_DEVICE_KX, bytes_make(wire, cap), a, &o), RK_MALFORMED);
	assert_int_equal(object_parse(OBJECT_KIND_DEVICE_KX, bytes_make(NULL, 0), a, &o), RK_MALFORMED);

	s.sig = (ProtobufCBinaryData){64, sig};
	s.payload = (ProtobufCBinaryData){1025, wire};
	assert_int_equal(STRICT_PACK(&s, a, &packed), RK_OK);
	assert_int_equal(object_parse(OBJECT_KIND_DEVICE_KX, packed, a, &o), RK_TOO_LARGE);
	assert_int_equal(object_parse_signed(OBJECT_KIND_DEVICE_KX, &s, a, &o), RK_TOO_LARGE);
	s.payload.len = 1024;
	assert_int_equal(object_parse_signed(OBJECT_KIND_DEVICE_KX, &s, a, &o), RK_MALFORMED);
	assert_null(o.message);
	s.payload.len = 0;
	assert_int_equal(object_parse_signed(OBJECT_KIND_DEVICE_KX, &s, a, &o), RK_MALFORMED);
	s.payload.len = 1;
	s.sig.len = 63;
	assert_int_equal(object_parse_signed(OBJECT_KIND_DEVICE_KX, &s, a, &o), RK_MALFORMED);
	free(wire);
	arena_free(a);
}

static void only_the_kind_s_own_message_is_made(void **state)
{
	struct arena *a = arena_new(0);
	Rk__DeviceKx kx = RK__DEVICE_KX__INIT;
	Rk__OrgDevices *list = (Rk__OrgDevices *)schema_kit_random(&rk__org_devices__descriptor, a);
	struct bytes wire;
	(void)state;

	assert_int_equal(object_make(OBJECT_KIND_FEED_KEY, exchange, sk, &kx.base, a, &wire), RK_EINTERNAL);
	/* Not complete: what every receiver would refuse is not signed. */
	assert_int_equal(object_make(OBJECT_KIND_DEVICE_KX, exchange, sk, &kx.base, a, &wire), RK_VERSION);
	assert_null(wire.data);
	list->version = 2;
	assert_int_equal(object_make(OBJECT_KIND_ORG_DEVICES, exchange, sk, &list->base, a, &wire), RK_VERSION);
	arena_free(a);
}

static void a_payload_of_another_kind_is_no_object(void **state)
{
	struct arena *a = arena_new(0);
	struct bytes wire;
	struct object o;
	(void)state;

	assert_int_equal(object_make(OBJECT_KIND_INVITE_REG, exchange, sk, schema_kit_random(&rk__invite_reg__descriptor, a), a, &wire),
	                 RK_OK);
	assert_int_equal(object_parse(OBJECT_KIND_DEVICE_KX, wire, a, &o), RK_MALFORMED);
	assert_null(o.message);
	assert_null(o.wire.data);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_the_documented_one),
		cmocka_unit_test(every_kind_is_made_parsed_and_verified),
		cmocka_unit_test(a_signature_is_bound_to_all_that_it_covers),
		cmocka_unit_test(a_signature_is_plain_ed25519_over_the_tbs),
		cmocka_unit_test(limits_are_judged_before_parsing),
		cmocka_unit_test(only_the_kind_s_own_message_is_made),
		cmocka_unit_test(a_payload_of_another_kind_is_no_object),
	};
	if (sodium_init() < 0)
		return 1;
	randombytes_buf(exchange, sizeof(exchange));
	crypto_sign_keypair(pk, sk);
	return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
