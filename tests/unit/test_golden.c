/*
 * Golden files: every signed object, made from fixed keys, byte for byte as tests/golden/NAME.hex says.  A change here is a
 * change of the wire format, which signed bytes do not survive.  RENKEI_GOLDEN_WRITE=1 writes the files anew;
 * RENKEI_GOLDEN names their folder.  Sealed boxes draw their own randomness: stored ones are opened instead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/nda.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/fixed_kit.h"

#define LINE_BYTES 32
#define FILE_MAX_BYTES 16384
#define WORDS "Chondroitin from salmon heads, 40 kg a month."

static struct fixed f;
static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	fixed_init(&f);
	arena = arena_new(4 << 20);
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static bool is_writing(void)
{
	return getenv("RENKEI_GOLDEN_WRITE") != NULL;
}

static FILE *golden_file(const char *name, const char *mode)
{
	const char *folder = getenv("RENKEI_GOLDEN") ? getenv("RENKEI_GOLDEN") : "tests/golden";
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.hex", folder, name);
	file = fopen(path, mode);
	if (!file)
		fail_msg("%s cannot be opened", path);
	return file;
}

static void golden_write(const char *name, struct bytes data)
{
	FILE *file = golden_file(name, "w");

	for (size_t i = 0; i < data.len; i++)
		fprintf(file, "%02x%s", data.data[i], i % LINE_BYTES == LINE_BYTES - 1 || i == data.len - 1 ? "\n" : "");
	assert_int_equal(fclose(file), 0);
}

static struct bytes golden_read(const char *name)
{
	FILE *file = golden_file(name, "r");
	uint8_t *data = fixed_alloc(arena, FILE_MAX_BYTES);
	char digits[3] = "";
	size_t len = 0;

	while (len < FILE_MAX_BYTES && fscanf(file, " %2[0-9a-f]", digits) == 1)
		assert_true(ids_from_hex(&data[len++], 1, digits));
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	return bytes_make(data, len);
}

static void golden_compare(const char *name, struct bytes made)
{
	struct bytes stored;

	if (is_writing())
		golden_write(name, made);
	stored = golden_read(name);
	if (!bytes_equal(stored, made))
		fail_msg("%s differs from its golden file (%zu bytes made, %zu stored)", name, made.len, stored.len);
}

/* The stored bytes where we may not make them anew. */
static struct bytes golden_fixed(const char *name, struct bytes made)
{
	if (is_writing())
		golden_write(name, made);
	return golden_read(name);
}

/* Made, compared, and taken again from what is stored. */
static void compare_object(enum object_kind kind, const struct fixed_sign *signer, const ProtobufCMessage *m)
{
	struct bytes wire;
	struct object o;

	assert_int_equal(object_make(kind, f.exchange_id, signer->sk, m, arena, &wire), RK_OK);
	golden_compare(object_info(kind)->name, wire);
	assert_int_equal(object_parse(kind, golden_read(object_info(kind)->name), arena, &o), RK_OK);
	assert_int_equal(object_check(&o, f.exchange_id, signer->pk), RK_OK);
}

static void trust_objects_have_not_changed(void **state)
{
	Rk__Charter *charter = fixed_charter(&f, arena);
	uint8_t made[136], ek[32];
	struct bytes sealed;
	Rk__FeedKey *key;
	(void)state;

	assert_int_equal(trust_check_charter(charter), RK_OK);
	compare_object(OBJECT_KIND_CHARTER, &f.root, &charter->base);
	compare_object(OBJECT_KIND_DIRECTORY, &f.secretariat, &fixed_directory(&f, arena)->base);
	compare_object(OBJECT_KIND_ORG_DEVICES, &f.orgs[1].org, &fixed_org_devices(&f, 1, arena)->base);
	compare_object(OBJECT_KIND_DEVICE_KX, &f.orgs[1].device, &fixed_device_kx(&f, 1, arena)->base);
	compare_object(OBJECT_KIND_FEED_EPOCH, &f.secretariat, &fixed_feed_epoch(&f, arena)->base);
	compare_object(OBJECT_KIND_INVITE_REG, &f.secretariat, &fixed_invite_reg(&f, arena)->base);

	assert_int_equal(trust_feed_key_seal(made, 1, f.ek, f.orgs[1].kx.pk), RK_OK);
	sealed = golden_fixed("feed-key-sealed", BYTES_OF(made));
	assert_int_equal(sealed.len, 136);
	key = fixed_feed_key(&f, 1, sealed.data, arena);
	compare_object(OBJECT_KIND_FEED_KEY, &f.secretariat, &key->base);
	assert_int_equal(trust_feed_key_open(ek, key, fixed_feed_epoch(&f, arena), f.orgs[1].kx.pk, f.orgs[1].kx.sk), RK_OK);
	assert_memory_equal(ek, f.ek, 32);
}

static void enrolment_has_not_changed(void **state)
{
	uint8_t seed[32], pk[32], sk[32], mac_key[32], id[16];
	Rk__Enrol *enrol = fixed_enrol(&f, 1, arena);
	struct trust_enrol t;
	struct object o;
	Rk__EnrolRequest *request;
	(void)state;

	fixed_bytes(seed, sizeof(seed), "invite");
	invite_keys(seed, pk, sk, mac_key, id);
	compare_object(OBJECT_KIND_ENROL, &f.orgs[1].org, &enrol->base);
	golden_compare("enrol-request", fixed_enrol_request(&f, enrol, mac_key, &f.orgs[1].org, arena));
	assert_int_equal(trust_open_enrol(golden_read("enrol-request"), f.exchange_id, arena, &t), RK_OK);
	assert_int_equal(STRICT_PARSE(enrol_request, golden_read("enrol-request"), arena, &request), RK_OK);
	assert_int_equal(object_parse_signed(OBJECT_KIND_ENROL, request->enrol, arena, &o), RK_OK);
	assert_int_equal(invite_check_tag(request->tag.data, mac_key, f.exchange_id, o.payload, o.sig), RK_OK);
}

static void agreement_objects_have_not_changed(void **state)
{
	Rk__NdaTerms *terms = fixed_terms(&f, arena);
	struct fixed_sign next;
	struct bytes packed;
	(void)state;

	assert_int_equal(nda_check_terms(terms, f.exchange_id), RK_OK);
	assert_int_equal(STRICT_PACK(terms, arena, &packed), RK_OK);
	golden_compare("nda-terms", packed);
	compare_object(OBJECT_KIND_NDA_ACT, &f.orgs[1].org, &fixed_act(&f, 1, RK__ACT_KIND__ACCEPT, arena)->base);
	compare_object(OBJECT_KIND_NDA_HOLD, &f.orgs[1].device, &fixed_act(&f, 1, RK__ACT_KIND__HOLD, arena)->base);
	compare_object(OBJECT_KIND_PICKUP, &f.orgs[2].device, &fixed_pickup(&f, 2, arena)->base);
	compare_object(OBJECT_KIND_NACK, &f.orgs[2].device, &fixed_nack(&f, 2, RK__NACK_REASON__NACK_UNOPENED, arena)->base);
	fixed_sign_key(&next, "another key");
	compare_object(OBJECT_KIND_ORG_KEY, &f.orgs[1].org, &fixed_org_key(&f, 1, &next, arena)->base);
	compare_object(OBJECT_KIND_DEPOSIT, &f.orgs[1].device, &fixed_deposit(&f, 1, arena)->base);
}

/* A FEED envelope holds no sealed box: it is made anew, whole. */
static void feed_envelope_has_not_changed(void **state)
{
	struct bytes message = fixed_message(WORDS, arena), opened;
	struct envelope_wire w;
	struct envelope e;
	struct object o;
	(void)state;

	assert_int_equal(fixed_seal(&f, fixed_header(&f, RK__KIND__FEED, 1, 0, arena), 1, 0, message, arena, &w), RK_OK);
	golden_compare("message", message);
	golden_compare("envelope", w.head);
	golden_compare("envelope-body", w.body);
	assert_int_equal(object_parse(OBJECT_KIND_ENVELOPE, golden_read("envelope"), arena, &o), RK_OK);
	assert_int_equal(object_check(&o, f.exchange_id, f.orgs[1].device.pk), RK_OK);
	assert_int_equal(envelope_parse(golden_read("envelope"), arena, &e), RK_OK);
	assert_int_equal(envelope_open(&e, NULL, golden_read("envelope-body"), f.ek, f.orgs[2].device_id, fixed_lookup,
	                               &f.orgs[2], arena, &opened, NULL), RK_OK);
	assert_true(bytes_equal(opened, message));
}

/* Under an agreement the wraps are as once stored; header and body are made anew, and the stored envelope opens. */
static void sealed_envelope_still_opens(void **state)
{
	struct bytes message = fixed_message(WORDS, arena), head, wraps, body, opened;
	struct envelope_wire w;
	struct envelope e, made;
	Rk__WrapList *list;
	uint8_t ids[3][32];
	(void)state;

	assert_int_equal(fixed_seal(&f, fixed_header(&f, RK__KIND__NDA, 1, 4, arena), 1, 4, message, arena, &w), RK_OK);
	head = golden_fixed("nda-envelope", w.head);
	wraps = golden_fixed("nda-wraps", w.wraps);
	golden_compare("nda-body", w.body);
	body = golden_read("nda-body");
	assert_int_equal(envelope_parse(head, arena, &e), RK_OK);
	assert_int_equal(envelope_parse(w.head, arena, &made), RK_OK);
	assert_true(bytes_equal(bytes_of(e.head->header), bytes_of(made.head->header)));
	assert_int_equal(envelope_verify(&e, f.exchange_id, f.orgs[1].device.pk), RK_OK);
	assert_int_equal(envelope_check_bulk(&e, wraps, body, arena, &list), RK_OK);
	for (int org = 1; org <= 2; org++) {
		assert_int_equal(envelope_open(&e, list, body, NULL, f.orgs[org].device_id, fixed_lookup, &f.orgs[org], arena,
		                               &opened, NULL), RK_OK);
		assert_true(bytes_equal(opened, message));
	}
	/* Its names: env_id, oh, pc. */
	envelope_id(ids[0], &e, f.exchange_id);
	envelope_oh(ids[1], &e, f.exchange_id);
	memcpy(ids[2], e.header->pc.data, 32);
	golden_compare("nda-envelope-ids", BYTES_OF(ids));
}

static void every_kind_has_its_file(void **state)
{
	struct object o;
	(void)state;

	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		struct bytes wire = golden_read(object_info((enum object_kind)kind)->name);

		assert_int_equal(object_parse((enum object_kind)kind, wire, arena, &o), RK_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trust_objects_have_not_changed),
		cmocka_unit_test(enrolment_has_not_changed),
		cmocka_unit_test(agreement_objects_have_not_changed),
		cmocka_unit_test(feed_envelope_has_not_changed),
		cmocka_unit_test(sealed_envelope_still_opens),
		cmocka_unit_test(every_kind_has_its_file),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
