/*
 * verify: every signed thing verifies with the key of whoever must have signed it, and with no other; bulk must match
 * its hashes; a Directory in parts is put together once, from one secretariat's device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "broker/roster.h"
#include "broker/verify.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/strict.h"
#include "tests/unit/fixed_kit.h"

#define ARENA_BYTES (32 * 1024 * 1024)

static struct fixed fixed;
static struct arena *arena;
static struct roster *roster;
static struct verify *verify;

static void fill_roster(void)
{
	uint8_t id[16];

	roster = roster_new();
	assert_non_null(roster);
	roster_set_exchange(roster, fixed.exchange_id);
	for (int i = 0; i < FIXED_ORGS; i++) {
		struct roster_device device = {.active = true};
		struct roster_org org = {.active = true, .roles = i == 0 ? TRUST_ROLE_SECRETARIAT : 0};

		memcpy(device.device_id, fixed.orgs[i].device_id, 16);
		memcpy(device.org_id, fixed.orgs[i].org_id, 16);
		memcpy(device.sign_pk, fixed.orgs[i].device.pk, 32);
		memcpy(device.curve_pk, fixed.orgs[i].curve.pk, 32);
		memcpy(org.org_id, fixed.orgs[i].org_id, 16);
		memcpy(org.org_pk, fixed.orgs[i].org.pk, 32);
		assert_true(roster_put_device(roster, &device));
		assert_true(roster_put_org(roster, &org));
	}
	ids_signer(id, fixed.secretariat.pk);
	assert_true(roster_put_secretariat_key(roster, id, fixed.secretariat.pk));
}

static int setup(void **state)
{
	(void)state;
	fixed_init(&fixed);
	arena = arena_new(ARENA_BYTES);
	assert_non_null(arena);
	fill_roster();
	verify = verify_new(roster, fixed.exchange_id);
	assert_non_null(verify);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	verify_free(verify);
	roster_free(roster);
	arena_free(arena);
	return 0;
}

static int renew(void **state)
{
	(void)state;
	arena_reset(arena, ARENA_BYTES);
	return 0;
}

static Rk__Request *request(Rk__Op op)
{
	Rk__Request *q = fixed_alloc(arena, sizeof(*q));

	rk__request__init(q);
	q->op = op;
	return q;
}

/* The command of an object, from the device of `org`. */
static struct command command(int org, Rk__Request *q, struct bytes object)
{
	struct command c = {.arena = arena, .req = q, .object = object};

	memcpy(c.peer.id, fixed.orgs[org].device_id, 16);
	return c;
}

static struct bytes made(enum object_kind kind, const uint8_t sk[64], const ProtobufCMessage *message)
{
	struct bytes wire;

	assert_int_equal(object_make(kind, fixed.exchange_id, sk, message, arena, &wire), RK_OK);
	return wire;
}

static Rk__Request *put(Rk__ObjectType type, struct bytes wire)
{
	Rk__Request *q = request(RK__OP__OP_PUT_OBJECT);

	q->put_object = fixed_alloc(arena, sizeof(*q->put_object));
	rk__put_object__init(q->put_object);
	q->put_object->type = type;
	q->put_object->oh = fixed_data(arena, 32, "oh");
	q->put_object->total = (uint32_t)wire.len;
	q->object_len = (uint32_t)wire.len;
	return q;
}

static int verified(struct command *c)
{
	assert_true(verify_command(verify, c));
	return c->refusal;
}

/* ---- objects */

static void each_object_verifies_with_its_signers_key_only(void **state)
{
	const struct {
		Rk__ObjectType type;
		enum object_kind kind;
		int org; /* whose device sends it */
		const struct fixed_sign *signer;
		const ProtobufCMessage *message;
	} rows[] = {
		{RK__OBJECT_TYPE__OBJECT_DIRECTORY, OBJECT_KIND_DIRECTORY, 0, &fixed.secretariat,
		 &fixed_directory(&fixed, arena)->base},
		{RK__OBJECT_TYPE__OBJECT_FEED_EPOCH, OBJECT_KIND_FEED_EPOCH, 0, &fixed.secretariat,
		 &fixed_feed_epoch(&fixed, arena)->base},
		{RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, OBJECT_KIND_ORG_DEVICES, 1, &fixed.orgs[1].org,
		 &fixed_org_devices(&fixed, 1, arena)->base},
		{RK__OBJECT_TYPE__OBJECT_DEVICE_KX, OBJECT_KIND_DEVICE_KX, 1, &fixed.orgs[1].device,
		 &fixed_device_kx(&fixed, 1, arena)->base},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bytes wire = made(rows[i].kind, rows[i].signer->sk, rows[i].message);
		struct bytes forged = made(rows[i].kind, fixed.orgs[2].org.sk, rows[i].message);
		struct command c = command(rows[i].org, put(rows[i].type, wire), wire);
		uint8_t oh[32];

		assert_int_equal(verified(&c), RK_OK);
		assert_memory_equal(c.signer_pk, rows[i].signer->pk, 32);
		assert_memory_equal(c.object_pk, rows[i].signer->pk, 32);
		object_oh(oh, &c.signed_object, fixed.exchange_id);
		assert_memory_equal(c.object_oh, oh, 32);
		c = command(rows[i].org, put(rows[i].type, forged), forged);
		assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
		/* The key is that of the session's organisation and device, whatever the payload names. */
		if (rows[i].org != 0) {
			c = command(2, put(rows[i].type, wire), wire);
			assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
		}
	}
}

static void one_flipped_bit_anywhere_is_refused(void **state)
{
	struct bytes wire =
		made(OBJECT_KIND_DEVICE_KX, fixed.orgs[1].device.sk, &fixed_device_kx(&fixed, 1, arena)->base);
	uint8_t *copy = arena_copy(arena, wire.data, wire.len);

	(void)state;
	for (size_t i = 0; i < wire.len; i++) {
		struct bytes bent = bytes_make(copy, wire.len);
		struct command c = command(1, put(RK__OBJECT_TYPE__OBJECT_DEVICE_KX, bent), bent);

		copy[i] ^= 1;
		assert_int_not_equal(verified(&c), RK_OK);
		copy[i] ^= 1;
	}
}

static void an_unknown_key_is_asked_for_once_more(void **state)
{
	struct bytes wire =
		made(OBJECT_KIND_DEVICE_KX, fixed.orgs[1].device.sk, &fixed_device_kx(&fixed, 1, arena)->base);
	struct command c = command(1, put(RK__OBJECT_TYPE__OBJECT_DEVICE_KX, wire), wire);

	(void)state;
	roster_drop_device(roster, fixed.orgs[1].device_id);
	assert_false(verify_command(verify, &c));
	roster_free(roster);
	verify_free(verify);
	fill_roster();
	verify = verify_new(roster, fixed.exchange_id);
	assert_int_equal(verified(&c), RK_OK);
}

static void a_charter_is_left_to_apply(void **state)
{
	struct bytes wire = made(OBJECT_KIND_CHARTER, fixed.root.sk, &fixed_charter(&fixed, arena)->base);
	struct command c = command(0, put(RK__OBJECT_TYPE__OBJECT_CHARTER, wire), wire);

	(void)state;
	assert_int_equal(verified(&c), RK_OK);
	assert_null(c.signed_object.message);
}

static void invites_are_the_secretariats(void **state)
{
	const ProtobufCMessage *reg = &fixed_invite_reg(&fixed, arena)->base;
	struct command c =
		command(0, request(RK__OP__OP_INVITE_REG), made(OBJECT_KIND_INVITE_REG, fixed.secretariat.sk, reg));

	(void)state;
	assert_int_equal(verified(&c), RK_OK);
	c = command(0, request(RK__OP__OP_INVITE_REG), made(OBJECT_KIND_INVITE_REG, fixed.orgs[0].org.sk, reg));
	assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
}

static void an_enrolment_must_come_over_its_own_invite(void **state)
{
	Rk__Enrol *enrol = fixed_enrol(&fixed, 1, arena);
	uint8_t mac_key[32] = {5};
	struct bytes wire = fixed_enrol_request(&fixed, enrol, mac_key, &fixed.orgs[1].org, arena);
	struct command c = command(1, request(RK__OP__OP_ENROL), wire);

	(void)state;
	c.peer.is_invite = true;
	assert_int_equal(verified(&c), RK_NOT_PERMITTED);
	memcpy(c.peer.id, enrol->invite_id.data, 16);
	assert_int_equal(verified(&c), RK_OK);
	assert_non_null(c.enrol.enrol);
	c.object = fixed_enrol_request(&fixed, enrol, mac_key, &fixed.orgs[2].org, arena);
	assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
}

/* ---- envelopes */

static struct command letter(int session, Rk__Kind kind, struct envelope_wire *w)
{
	Rk__EnvelopeHeader *h = fixed_header(&fixed, kind, 1, 1u << 2, arena);
	Rk__Request *q = request(RK__OP__OP_SUBMIT);
	struct command c;

	assert_int_equal(fixed_seal(&fixed, h, 1, 1u << 2, fixed_message("hello", arena), arena, w), RK_OK);
	c = command(session, q, bytes_make(NULL, 0));
	assert_int_equal(STRICT_PARSE(signed, w->head, arena, &q->head), RK_OK);
	assert_int_equal(envelope_parse_signed(q->head, arena, &c.envelope), RK_OK);
	c.wraps = w->wraps;
	c.body = w->body;
	return c;
}

static void an_envelope_is_proven_with_its_bulk(void **state)
{
	struct envelope_wire w;
	struct command c = letter(1, RK__KIND__OPEN, &w);
	uint8_t *body, *wraps;

	(void)state;
	assert_int_equal(verified(&c), RK_OK);
	assert_memory_equal(c.env_id, w.env_id, 32);
	assert_memory_equal(c.env_oh, w.oh, 32);
	assert_memory_equal(c.signer_pk, fixed.orgs[1].device.pk, 32);
	assert_int_equal(c.wrap_list->n_wraps, 2);
	/* Another device's envelope, sent as one's own. */
	c = letter(2, RK__KIND__OPEN, &w);
	assert_int_equal(verified(&c), RK_NOT_PERMITTED);
	c = letter(1, RK__KIND__OPEN, &w);
	body = arena_copy(arena, w.body.data, w.body.len);
	wraps = arena_copy(arena, w.wraps.data, w.wraps.len);
	body[5] ^= 1;
	c.body = bytes_make(body, w.body.len);
	assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
	c = letter(1, RK__KIND__OPEN, &w);
	wraps[w.wraps.len - 1] ^= 1;
	c.wraps = bytes_make(wraps, w.wraps.len);
	assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
	c = letter(1, RK__KIND__OPEN, &w);
	c.body.len--;
	assert_int_not_equal(verified(&c), RK_OK);
}

/* ---- agreements */

static Rk__NdaAct *act_on(const uint8_t nda_id[32], int org, Rk__ActKind kind)
{
	Rk__NdaAct *act = fixed_act(&fixed, org, kind, arena);

	act->nda_id.data = arena_copy(arena, nda_id, 32);
	act->nda_id.len = 32;
	return act;
}

static struct command proposal(const Rk__NdaAct *act, struct bytes terms, const uint8_t sk[64])
{
	Rk__NdaProposal p = RK__NDA_PROPOSAL__INIT;
	struct envelope_wire w;
	struct command c = letter(1, RK__KIND__PROPOSAL, &w);

	((Rk__Request *)(uintptr_t)c.req)->op = RK__OP__OP_NDA_PROPOSE;
	p.terms = pb_of(terms);
	assert_int_equal(STRICT_PARSE(signed, made(OBJECT_KIND_NDA_ACT, sk, &act->base), arena, &p.accept), RK_OK);
	assert_int_equal(STRICT_PACK(&p, arena, &c.object), RK_OK);
	return c;
}

static void a_proposal_is_terms_accept_and_envelope(void **state)
{
	Rk__NdaTerms *terms = fixed_terms(&fixed, arena);
	uint8_t nda_id[32], other[32] = {1};
	struct bytes packed;
	struct command c;

	(void)state;
	assert_int_equal(STRICT_PACK(terms, arena, &packed), RK_OK);
	ids_nda(nda_id, fixed.exchange_id, packed);
	c = proposal(act_on(nda_id, 1, RK__ACT_KIND__ACCEPT), packed, fixed.orgs[1].org.sk);
	assert_int_equal(verified(&c), RK_OK);
	assert_memory_equal(c.nda_id, nda_id, 32);
	assert_memory_equal(c.object_pk, fixed.orgs[1].org.pk, 32);
	assert_memory_equal(c.signer_pk, fixed.orgs[1].device.pk, 32);
	c = proposal(act_on(other, 1, RK__ACT_KIND__ACCEPT), packed, fixed.orgs[1].org.sk);
	assert_int_equal(verified(&c), RK_MALFORMED);
	c = proposal(act_on(nda_id, 1, RK__ACT_KIND__REJECT), packed, fixed.orgs[1].org.sk);
	assert_int_equal(verified(&c), RK_MALFORMED);
	/* Signed by a device in place of the organisation. */
	c = proposal(act_on(nda_id, 1, RK__ACT_KIND__ACCEPT), packed, fixed.orgs[1].device.sk);
	assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
}

static void hold_is_a_devices_and_every_other_act_the_organisations(void **state)
{
	static const Rk__ActKind kinds[] = {RK__ACT_KIND__REJECT, RK__ACT_KIND__WITHDRAW_NDA, RK__ACT_KIND__TERMINATE,
	                                    RK__ACT_KIND__RESUME, RK__ACT_KIND__HOLD};
	uint8_t nda_id[32] = {3};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const ProtobufCMessage *act = &act_on(nda_id, 1, kinds[i])->base;
		bool is_hold = kinds[i] == RK__ACT_KIND__HOLD;
		enum object_kind right = is_hold ? OBJECT_KIND_NDA_HOLD : OBJECT_KIND_NDA_ACT;
		enum object_kind wrong = is_hold ? OBJECT_KIND_NDA_ACT : OBJECT_KIND_NDA_HOLD;
		const uint8_t *sk = is_hold ? fixed.orgs[1].device.sk : fixed.orgs[1].org.sk;
		const uint8_t *not_sk = is_hold ? fixed.orgs[1].org.sk : fixed.orgs[1].device.sk;
		struct command c = command(1, request(RK__OP__OP_NDA_ACT), made(right, sk, act));

		assert_int_equal(verified(&c), RK_OK);
		assert_int_equal(c.signed_object.kind, right);
		c = command(1, request(RK__OP__OP_NDA_ACT), made(right, not_sk, act));
		assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
		c = command(1, request(RK__OP__OP_NDA_ACT), made(wrong, sk, act));
		assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
	}
}

static void accept_brings_its_envelope_and_nothing_else_does(void **state)
{
	uint8_t nda_id[32] = {3};
	struct envelope_wire w;
	struct command c;

	(void)state;
	c = command(1, request(RK__OP__OP_NDA_ACT),
	            made(OBJECT_KIND_NDA_ACT, fixed.orgs[1].org.sk, &act_on(nda_id, 1, RK__ACT_KIND__ACCEPT)->base));
	assert_int_equal(verified(&c), RK_MALFORMED);
	c = letter(1, RK__KIND__PROPOSAL, &w);
	((Rk__Request *)(uintptr_t)c.req)->op = RK__OP__OP_NDA_ACT;
	c.object = made(OBJECT_KIND_NDA_ACT, fixed.orgs[1].org.sk, &act_on(nda_id, 1, RK__ACT_KIND__ACCEPT)->base);
	assert_int_equal(verified(&c), RK_OK);
	assert_memory_equal(c.signer_pk, fixed.orgs[1].device.pk, 32);
	assert_memory_equal(c.object_pk, fixed.orgs[1].org.pk, 32);
	c.object = made(OBJECT_KIND_NDA_ACT, fixed.orgs[1].org.sk, &act_on(nda_id, 1, RK__ACT_KIND__TERMINATE)->base);
	assert_int_equal(verified(&c), RK_MALFORMED);
}

static void a_pickup_is_the_devices(void **state)
{
	const ProtobufCMessage *pickup = &fixed_pickup(&fixed, 2, arena)->base;
	struct command c =
		command(2, request(RK__OP__OP_PICKUP), made(OBJECT_KIND_PICKUP, fixed.orgs[2].device.sk, pickup));

	(void)state;
	assert_int_equal(verified(&c), RK_OK);
	c = command(2, request(RK__OP__OP_PICKUP), made(OBJECT_KIND_PICKUP, fixed.orgs[2].org.sk, pickup));
	assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
}

static void a_nack_and_a_deposit_are_the_devices(void **state)
{
	const struct {
		Rk__Op op;
		enum object_kind kind;
		const ProtobufCMessage *message;
	} rows[] = {
		{RK__OP__OP_NACK, OBJECT_KIND_NACK, &fixed_nack(&fixed, 2, RK__NACK_REASON__NACK_UNOPENED, arena)->base},
		{RK__OP__OP_DEPOSIT, OBJECT_KIND_DEPOSIT, &fixed_deposit(&fixed, 2, arena)->base},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct command c = command(2, request(rows[i].op),
					   made(rows[i].kind, fixed.orgs[2].device.sk, rows[i].message));

		assert_int_equal(verified(&c), RK_OK);
		assert_memory_equal(c.object_pk, fixed.orgs[2].device.pk, 32);
		c = command(2, request(rows[i].op), made(rows[i].kind, fixed.orgs[2].org.sk, rows[i].message));
		assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
		/* A device of another member's, over this session. */
		c = command(1, request(rows[i].op), made(rows[i].kind, fixed.orgs[2].device.sk, rows[i].message));
		assert_int_equal(verified(&c), RK_BAD_SIGNATURE);
	}
}

/* ---- a Directory in parts */

static struct command part(int org, struct bytes wire, uint32_t offset, size_t len)
{
	Rk__Request *q = put(RK__OBJECT_TYPE__OBJECT_DIRECTORY, wire);

	q->put_object->offset = offset;
	q->object_len = (uint32_t)len;
	return command(org, q, bytes_make(wire.data + offset, len));
}

static void a_directory_comes_in_parts(void **state)
{
	struct bytes wire = made(OBJECT_KIND_DIRECTORY, fixed.secretariat.sk, &fixed_directory(&fixed, arena)->base);
	size_t third = wire.len / 3;
	struct command c;

	(void)state;
	/* The last part first: there is nothing that it ends. */
	c = part(0, wire, (uint32_t)(2 * third), wire.len - 2 * third);
	assert_int_equal(verified(&c), RK_CONFLICT);
	c = part(0, wire, 0, third);
	assert_int_equal(verified(&c), RK_OK);
	assert_null(c.signed_object.message);
	/* A part that was sent again; one that leaves a hole; one of nobody's business. */
	c = part(0, wire, 0, third);
	assert_int_equal(verified(&c), RK_OK);
	c = part(0, wire, (uint32_t)(2 * third), wire.len - 2 * third);
	assert_int_equal(verified(&c), RK_CONFLICT);
	c = part(1, wire, (uint32_t)third, third);
	assert_int_equal(verified(&c), RK_NOT_PERMITTED);
	c = part(0, wire, (uint32_t)third, third);
	assert_int_equal(verified(&c), RK_OK);
	c = part(0, wire, (uint32_t)(2 * third), wire.len - 2 * third);
	assert_int_equal(verified(&c), RK_OK);
	assert_non_null(c.signed_object.message);
	assert_true(bytes_equal(c.object, wire));
	/* It is spent. */
	c = part(0, wire, (uint32_t)(2 * third), wire.len - 2 * third);
	assert_int_equal(verified(&c), RK_CONFLICT);
	/* Beyond the end. */
	c = part(0, wire, (uint32_t)(2 * third), third);
	c.object.len = wire.len;
	assert_int_equal(verified(&c), RK_MALFORMED);
	/* Nothing else comes in parts. */
	c = part(0, wire, 0, third);
	c.req->put_object->type = RK__OBJECT_TYPE__OBJECT_FEED_EPOCH;
	assert_int_equal(verified(&c), RK_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_object_verifies_with_its_signers_key_only, renew),
		cmocka_unit_test_setup(one_flipped_bit_anywhere_is_refused, renew),
		cmocka_unit_test_setup(an_unknown_key_is_asked_for_once_more, renew),
		cmocka_unit_test_setup(a_charter_is_left_to_apply, renew),
		cmocka_unit_test_setup(invites_are_the_secretariats, renew),
		cmocka_unit_test_setup(an_enrolment_must_come_over_its_own_invite, renew),
		cmocka_unit_test_setup(an_envelope_is_proven_with_its_bulk, renew),
		cmocka_unit_test_setup(a_proposal_is_terms_accept_and_envelope, renew),
		cmocka_unit_test_setup(hold_is_a_devices_and_every_other_act_the_organisations, renew),
		cmocka_unit_test_setup(accept_brings_its_envelope_and_nothing_else_does, renew),
		cmocka_unit_test_setup(a_pickup_is_the_devices, renew),
		cmocka_unit_test_setup(a_nack_and_a_deposit_are_the_devices, renew),
		cmocka_unit_test_setup(a_directory_comes_in_parts, renew),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
