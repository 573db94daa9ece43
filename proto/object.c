/*
 * object: TBS = label || 0x00 || exchange_id || payload.  One buffer holds it while it is signed or verified, since the
 * multi-part interface of libsodium is Ed25519ph, another scheme that common tools cannot check.
 */
#include "proto/object.h"

#include <stdlib.h>

#include <sodium.h>

#include "proto/errcode.h"
#include "proto/strict.h"

#define SIG_BYTES crypto_sign_BYTES
#define SIGNED_OVERHEAD_BYTES 128        /* what Signed adds to its payload: signature, tags, lengths, and some room */
#define TBS_STACK_BYTES (8 * 1024)       /* no malloc for what a broker verifies all day */

#define KiB ((size_t)1024)

static const struct object_info infos[OBJECT_KIND_COUNT] = {
	[OBJECT_KIND_CHARTER] = {"charter", "renkei/v1/charter", &rk__charter__descriptor, 64 * KiB, SIGNER_ROOT,
	                         RK__OBJECT_TYPE__OBJECT_CHARTER, RK__LOG_TYPE__LOG_CHARTER, true},
	[OBJECT_KIND_DIRECTORY] = {"directory", "renkei/v1/directory", &rk__directory__descriptor, 4096 * KiB,
	                           SIGNER_SECRETARIAT, RK__OBJECT_TYPE__OBJECT_DIRECTORY, RK__LOG_TYPE__LOG_DIRECTORY, true},
	[OBJECT_KIND_ORG_DEVICES] = {"org-devices", "renkei/v1/org-devices", &rk__org_devices__descriptor, 64 * KiB,
	                             SIGNER_ORG, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, RK__LOG_TYPE__LOG_ORG_DEVICES, true},
	[OBJECT_KIND_DEVICE_KX] = {"device-kx", "renkei/v1/device-kx", &rk__device_kx__descriptor, 1 * KiB, SIGNER_DEVICE,
	                           RK__OBJECT_TYPE__OBJECT_DEVICE_KX, RK__LOG_TYPE__LOG_NONE, true},
	[OBJECT_KIND_FEED_EPOCH] = {"feed-epoch", "renkei/v1/feed-epoch", &rk__feed_epoch__descriptor, 1 * KiB,
	                            SIGNER_SECRETARIAT, RK__OBJECT_TYPE__OBJECT_FEED_EPOCH, RK__LOG_TYPE__LOG_FEED_EPOCH, true},
	[OBJECT_KIND_FEED_KEY] = {"feed-key", "renkei/v1/feed-key", &rk__feed_key__descriptor, 1 * KiB, SIGNER_SECRETARIAT,
	                          RK__OBJECT_TYPE__OBJECT_FEED_KEY, RK__LOG_TYPE__LOG_NONE, false},
	[OBJECT_KIND_INVITE_REG] = {"invite-reg", "renkei/v1/invite-reg", &rk__invite_reg__descriptor, 1 * KiB,
	                            SIGNER_SECRETARIAT, RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_NONE, false},
	[OBJECT_KIND_ENROL] = {"enrol", "renkei/v1/enrol", &rk__enrol__descriptor, 32 * KiB, SIGNER_ORG,
	                       RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_NONE, false},
	[OBJECT_KIND_ENVELOPE] = {"envelope", "renkei/v1/envelope", &rk__envelope_head__descriptor, 6 * KiB, SIGNER_DEVICE,
	                          RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_DISCLOSURE, false},
	[OBJECT_KIND_PICKUP] = {"pickup", "renkei/v1/pickup", &rk__pickup__descriptor, 4 * KiB, SIGNER_DEVICE,
	                        RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_PICKUP, false},
	[OBJECT_KIND_NDA_ACT] = {"nda-act", "renkei/v1/nda-act", &rk__nda_act__descriptor, 2 * KiB, SIGNER_ORG,
	                         RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_NDA_ACT, false},
	[OBJECT_KIND_NDA_HOLD] = {"nda-hold", "renkei/v1/nda-hold", &rk__nda_act__descriptor, 2 * KiB, SIGNER_DEVICE,
	                          RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_NDA_ACT, false},
	[OBJECT_KIND_NACK] = {"nack", "renkei/v1/nack", &rk__nack__descriptor, 1 * KiB, SIGNER_DEVICE,
	                      RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_NACK, false},
	[OBJECT_KIND_DEPOSIT] = {"deposit", "renkei/v1/deposit", &rk__deposit__descriptor, 1 * KiB, SIGNER_DEVICE,
	                         RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_DEPOSIT, false},
	[OBJECT_KIND_ORG_KEY] = {"org-key", "renkei/v1/org-key", &rk__org_key__descriptor, 1 * KiB, SIGNER_ORG,
	                         RK__OBJECT_TYPE__OBJECT_NONE, RK__LOG_TYPE__LOG_NONE, false},
};

const struct object_info *object_info(enum object_kind kind)
{
	return &infos[kind];
}

enum object_kind object_kind_of(Rk__ObjectType type)
{
	for (unsigned k = 0; k < OBJECT_KIND_COUNT; k++)
		if (type != RK__OBJECT_TYPE__OBJECT_NONE && infos[k].wire_type == type)
			return (enum object_kind)k;
	return OBJECT_KIND_COUNT;
}

/* What is signed, in one piece: on the stack where it fits. */
struct tbs {
	uint8_t stack[TBS_STACK_BYTES];
	uint8_t *data; /* stack, or from malloc */
	size_t len;
};

static bool tbs_make(struct tbs *t, enum object_kind kind, const uint8_t exchange_id[32], struct bytes payload)
{
	size_t label_len = strlen(infos[kind].label) + 1; /* with its NUL */

	t->len = label_len + ID32_BYTES + payload.len;
	t->data = t->len <= sizeof(t->stack) ? t->stack : malloc(t->len);
	if (t->data == NULL)
		return false;
	memcpy(t->data, infos[kind].label, label_len);
	memcpy(t->data + label_len, exchange_id, ID32_BYTES);
	if (payload.len > 0)
		memcpy(t->data + label_len + ID32_BYTES, payload.data, payload.len);
	return true;
}

static void tbs_end(struct tbs *t)
{
	if (t->data != t->stack)
		free(t->data);
}

int object_sign(enum object_kind kind, const uint8_t exchange_id[32], const uint8_t sk[64], struct bytes payload,
                uint8_t sig[64])
{
	struct tbs tbs;

	if (!tbs_make(&tbs, kind, exchange_id, payload))
		return RK_ENOMEM;
	crypto_sign_detached(sig, NULL, tbs.data, tbs.len, sk);
	tbs_end(&tbs);
	return RK_OK;
}

int object_verify(enum object_kind kind, const uint8_t exchange_id[32], const uint8_t pk[32], struct bytes payload,
                  struct bytes sig)
{
	struct tbs tbs;
	int r;

	if (sig.len != SIG_BYTES)
		return RK_BAD_SIGNATURE;
	if (!tbs_make(&tbs, kind, exchange_id, payload))
		return RK_ENOMEM;
	r = crypto_sign_verify_detached(sig.data, tbs.data, tbs.len, pk) == 0 ? RK_OK : RK_BAD_SIGNATURE;
	tbs_end(&tbs);
	return r;
}

void object_hash(uint8_t oh[32], enum object_kind kind, const uint8_t exchange_id[32], struct bytes payload,
                 struct bytes sig)
{
	const char *label = infos[kind].label;
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)label, strlen(label) + 1);
	crypto_hash_sha256_update(&state, exchange_id, ID32_BYTES);
	crypto_hash_sha256_update(&state, payload.data, payload.len);
	crypto_hash_sha256_update(&state, sig.data, sig.len);
	crypto_hash_sha256_final(&state, oh);
}

/* Packs Signed{payload, sig} into the arena. */
static int pack_signed(struct bytes payload, struct bytes sig, struct arena *arena, struct bytes *out)
{
	Rk__Signed s = RK__SIGNED__INIT;

	s.payload = pb_of(payload);
	s.sig = pb_of(sig);
	return STRICT_PACK(&s, arena, out);
}

int object_make(enum object_kind kind, const uint8_t exchange_id[32], const uint8_t sk[64],
                const ProtobufCMessage *message, struct arena *arena, struct bytes *signed_out)
{
	const struct object_info *info = &infos[kind];
	uint8_t sig[SIG_BYTES];
	struct bytes payload;
	int r;

	*signed_out = bytes_make(NULL, 0);
	if (message->descriptor != info->desc)
		return RK_EINTERNAL;
	if ((r = strict_pack(message, arena, &payload)) != RK_OK)
		return r;
	if (payload.len > info->payload_max_bytes)
		return RK_TOO_LARGE;
	if ((r = object_sign(kind, exchange_id, sk, payload, sig)) != RK_OK)
		return r;
	return pack_signed(payload, BYTES_OF(sig), arena, signed_out);
}

/* wire, payload and sig lie in the arena. */
static int parse_payload(enum object_kind kind, struct bytes wire, struct bytes payload, struct bytes sig,
                         struct arena *arena, struct object *out)
{
	ProtobufCMessage *message;
	int r = strict_parse(infos[kind].desc, payload, arena, &message);

	if (r == RK_OK)
		*out = (struct object){kind, wire, payload, sig, message};
	return r;
}

int object_parse(enum object_kind kind, struct bytes wire, struct arena *arena, struct object *out)
{
	const struct object_info *info = &infos[kind];
	Rk__Signed *s;
	uint8_t *copy;
	int r;

	memset(out, 0, sizeof(*out));
	if (wire.len > info->payload_max_bytes + SIGNED_OVERHEAD_BYTES)
		return RK_TOO_LARGE;
	if ((r = STRICT_PARSE(signed, wire, arena, &s)) != RK_OK)
		return r;
	if (s->payload.len > info->payload_max_bytes)
		return RK_TOO_LARGE;
	arena_raise(arena, wire.len + 32);
	copy = arena_copy(arena, wire.data, wire.len);
	if (copy == NULL)
		return RK_ENOMEM;
	return parse_payload(kind, bytes_make(copy, wire.len), bytes_of(s->payload), bytes_of(s->sig), arena, out);
}

int object_parse_signed(enum object_kind kind, const Rk__Signed *s, struct arena *arena, struct object *out)
{
	const size_t sig_field_bytes = 2 + SIG_BYTES; /* tag, length, signature: the last field */
	struct bytes wire, payload;
	int r;

	memset(out, 0, sizeof(*out));
	if (s->payload.len > infos[kind].payload_max_bytes)
		return RK_TOO_LARGE;
	/* The rules of Signed hold for what is packed, so that the places of payload and signature follow from lengths. */
	if ((r = STRICT_PACK(s, arena, &wire)) != RK_OK)
		return r;
	payload = bytes_make(wire.data + wire.len - sig_field_bytes - s->payload.len, s->payload.len);
	return parse_payload(kind, wire, payload, bytes_make(wire.data + wire.len - SIG_BYTES, SIG_BYTES), arena, out);
}

int object_check(const struct object *o, const uint8_t exchange_id[32], const uint8_t pk[32])
{
	return object_verify(o->kind, exchange_id, pk, o->payload, o->sig);
}

void object_oh(uint8_t oh[32], const struct object *o, const uint8_t exchange_id[32])
{
	object_hash(oh, o->kind, exchange_id, o->payload, o->sig);
}
