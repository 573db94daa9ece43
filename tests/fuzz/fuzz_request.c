/*
 * What peers send, up to eight requests on one verifier, since a Directory comes in parts.  A request: who (the organisation; bit 7: an
 * invite; bit 6: leave the object's hash in the header as it is, else it is put right), how many frames, and the frames with their lengths before them.
 */
#include "broker/request.h"
#include "broker/roster.h"
#include "broker/verify.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/strict.h"
#include "tests/fuzz/fuzz_kit.h"

#define REQUESTS_MAX 8
#define IS_INVITE 0x80
#define LEAVE_HASH 0x40

static struct roster *members(void)
{
	static struct roster *r;
	const struct fixed *f = fuzz_exchange();
	struct note_key log = {.type = NOTE_TYPE_LOG}, witness = {.type = NOTE_TYPE_WITNESS};
	uint8_t id[16];

	if (r != NULL)
		return r;
	r = roster_new();
	MUST(r != NULL);
	for (int i = 0; i < FIXED_ORGS; i++) {
		const struct fixed_org *o = &f->orgs[i];
		struct roster_device device = {.active = true};
		struct roster_org org = {.active = true, .roles = i == 0 ? TRUST_ROLE_SECRETARIAT : 0};

		memcpy(device.device_id, o->device_id, 16);
		memcpy(device.org_id, o->org_id, 16);
		memcpy(device.sign_pk, o->device.pk, 32);
		memcpy(device.curve_pk, o->curve.pk, 32);
		memcpy(org.org_id, o->org_id, 16);
		memcpy(org.org_pk, o->org.pk, 32);
		MUST(roster_put_device(r, &device) && roster_put_org(r, &org));
	}
	ids_signer(id, f->secretariat.pk);
	MUST(roster_put_secretariat_key(r, id, f->secretariat.pk));
	note_origin(log.name, f->exchange_id, 1);
	note_witness_name(witness.name, f->exchange_id);
	memcpy(log.pk, f->log.pk, 32);
	memcpy(witness.pk, f->witness.pk, 32);
	roster_set_note_keys(r, &log, &witness);
	return r;
}

/* That of fixed_enrol. */
static const uint8_t *invite_id(void)
{
	static uint8_t seed[32], pk[32], sk[32], mac[32], id[16];

	if (bytes_is_zero(id, sizeof(id))) {
		fixed_bytes(seed, sizeof(seed), "invite");
		invite_keys(seed, pk, sk, mac, id);
	}
	return id;
}

/* The header once more, with hash and length of the object frame that came. */
static void mend(struct command *c, uint8_t hash[32])
{
	Rk__Request *q;
	struct bytes packed;

	if (c->frame_count < 2 || c->frames[0].len > REQUEST_HEADER_MAX_BYTES || STRICT_PARSE(request, c->frames[0], c->arena, &q) != RK_OK)
		return;
	if (q->object_sha256.len == 0)
		return;
	ids_sha256(hash, c->frames[1]);
	q->object_sha256 = pb_of(bytes_make(hash, 32));
	q->object_len = (uint32_t)c->frames[1].len;
	if (STRICT_PACK(q, c->arena, &packed) == RK_OK)
		c->frames[0] = packed;
}

static void one_request(struct verify *v, struct bytes *in)
{
	struct command c = {0};
	uint8_t who = fuzz_take_u8(in), hash[32];
	bool is_decided;

	c.peer.is_invite = who & IS_INVITE;
	memcpy(c.peer.id, c.peer.is_invite ? invite_id() : fuzz_exchange()->orgs[who % FIXED_ORGS].device_id, 16);
	c.frame_count = fuzz_take_u8(in) % (COMMAND_FRAMES_MAX + 1);
	for (unsigned i = 0; i < c.frame_count; i++)
		c.frames[i] = fuzz_take_part(in);
	c.arena = fuzz_arena(arena_budget(c.frames[0].len));
	if (!(who & LEAVE_HASH))
		mend(&c, hash);
	if (request_parse(&c) == RK_OK && request_check_peer(&c) == RK_OK && request_route(&c) == REQUEST_VERIFY) {
		is_decided = verify_command(v, &c);
		MUST(is_decided && c.refusal >= RK_OK);
		fuzz_accepted += c.refusal == RK_OK;
	}
	arena_free(c.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	struct verify *v = verify_new(members(), fuzz_exchange()->exchange_id);

	MUST(v != NULL);
	for (int i = 0; i < REQUESTS_MAX && in.len > 0; i++)
		one_request(v, &in);
	verify_free(v);
	return 0;
}
