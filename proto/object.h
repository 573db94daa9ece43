/*
 * object: the one table of signed object kinds, the one signing function and the one verifying function.
 * A kind fixes label, message type, size limit and whose key signs.  CRYPTO 2.0, 2.1.
 */
#ifndef RENKEI_PROTO_OBJECT_H
#define RENKEI_PROTO_OBJECT_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "renkei.pb-c.h"

enum object_kind {
	OBJECT_KIND_CHARTER,
	OBJECT_KIND_DIRECTORY,
	OBJECT_KIND_ORG_DEVICES,
	OBJECT_KIND_DEVICE_KX,
	OBJECT_KIND_FEED_EPOCH,
	OBJECT_KIND_FEED_KEY,
	OBJECT_KIND_INVITE_REG,
	OBJECT_KIND_ENROL,
	OBJECT_KIND_ENVELOPE,  /* payload EnvelopeHead */
	OBJECT_KIND_PICKUP,
	OBJECT_KIND_NDA_ACT,   /* signed by the organisation key */
	OBJECT_KIND_NDA_HOLD,  /* payload NdaAct, kind HOLD, signed by a device */
	OBJECT_KIND_NACK,
	OBJECT_KIND_DEPOSIT,
	OBJECT_KIND_ORG_KEY,   /* signed by the organisation key that it replaces */
	OBJECT_KIND_COUNT
};

enum object_signer { SIGNER_ROOT, SIGNER_SECRETARIAT, SIGNER_ORG, SIGNER_DEVICE };

struct object_info {
	const char *name;                        /* "directory" */
	const char *label;                       /* "renkei/v1/directory" */
	const ProtobufCMessageDescriptor *desc;  /* of the payload */
	size_t payload_max_bytes;
	enum object_signer signer;
	Rk__ObjectType wire_type;                /* RK__OBJECT_TYPE__OBJECT_NONE where it has none */
	Rk__LogType log_type;                    /* LOG_NONE where it is not logged */
	bool control_stream;                     /* an entry of the control stream */
};

/** The row of a kind; never NULL for a listed kind. */
const struct object_info *object_info(enum object_kind);

/** The kind of a wire type, or OBJECT_KIND_COUNT. */
enum object_kind object_kind_of(Rk__ObjectType);

/**
 * Signs TBS = label || 0x00 || exchange_id || payload.  sk is crypto_sign's 64-byte secret key.
 * The signature goes to sig.  RK_ENOMEM is the only failure.
 */
int object_sign(enum object_kind, const uint8_t exchange_id[32], const uint8_t sk[64], struct bytes payload,
                uint8_t sig[64]);

/** Packs `message` strictly, signs it, and packs Signed{payload, sig} into the arena. */
int object_make(enum object_kind, const uint8_t exchange_id[32], const uint8_t sk[64], const ProtobufCMessage *message,
                struct arena *, struct bytes *signed_out);

/** RK_OK or RK_BAD_SIGNATURE (RK_ENOMEM for objects over 8 KiB).  A pure function of its arguments; any thread. */
int object_verify(enum object_kind, const uint8_t exchange_id[32], const uint8_t pk[32], struct bytes payload,
                  struct bytes sig) __attribute__((warn_unused_result));

/** oh = SHA-256(TBS || sig): names the object in logs, prev_oh and nda_set.  Never a dedupe id. */
void object_hash(uint8_t oh[32], enum object_kind, const uint8_t exchange_id[32], struct bytes payload, struct bytes sig);

/* A parsed object.  Everything lives in the arena. */
struct object {
	enum object_kind kind;
	struct bytes wire;       /* the exact Signed bytes */
	struct bytes payload;    /* the exact payload bytes */
	struct bytes sig;
	ProtobufCMessage *message; /* of object_info(kind)->desc */
};

/** Strict-parses Signed and its payload as `kind`; checks the size limit first.  Verifies nothing. */
int object_parse(enum object_kind, struct bytes wire, struct arena *, struct object *out);

/** The same from an already parsed Signed (a field of another message). */
int object_parse_signed(enum object_kind, const Rk__Signed *, struct arena *, struct object *out);

/** object_verify and object_hash on a parsed object. */
int object_check(const struct object *, const uint8_t exchange_id[32], const uint8_t pk[32])
	__attribute__((warn_unused_result));
void object_oh(uint8_t oh[32], const struct object *, const uint8_t exchange_id[32]);

#endif
