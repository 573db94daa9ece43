/*
 * envelope: making and opening the one format of everything that participants send each other.  Head and bulk are
 * separate: the signed head is permanent evidence, WrapList and body are deletable.  CRYPTO 2.5, 2.8, mistakes 1-7 of 4.
 */
#ifndef RENKEI_PROTO_ENVELOPE_H
#define RENKEI_PROTO_ENVELOPE_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "renkei.pb-c.h"

#define ENVELOPE_SUITE 1
#define ENVELOPE_HEADER_MAX_BYTES 4096
#define ENVELOPE_BODY_MAX_BYTES (256 * 1024)
#define ENVELOPE_WRAPS_MAX_BYTES (96 * 1024)
#define ENVELOPE_BLOBS_MAX 32
#define ENVELOPE_SMALL_BODY_MAX_BYTES (16 * 1024)  /* OPEN, NDA_NOTICE, PROPOSAL that carries an ACCEPT */
#define ENVELOPE_SALT_BYTES 32
#define ENVELOPE_PAD_BYTES 512
#define ENVELOPE_SEALED_BYTES 128
#define ENVELOPE_CLOCK_MS (10 * 60 * 1000)          /* created_at against the broker's clock */
#define ENVELOPE_OPEN_RECIPIENTS_MAX 16
/* Largest packed Message: body cap less tag, salt and at least one byte of padding. */
#define ENVELOPE_MESSAGE_MAX_BYTES (ENVELOPE_BODY_MAX_BYTES - 16 - ENVELOPE_SALT_BYTES - ENVELOPE_PAD_BYTES)

/* One device that gets the content key. */
struct envelope_target {
	uint8_t device_id[16];
	uint32_t kx_serial;
	uint8_t kx_pk[32];
};

/* Randomness of one sealing; tests give their own, everybody else calls envelope_random. */
struct envelope_random {
	uint8_t nonce16[16], nonce[24], salt[32], cek[32];
};
void envelope_random(struct envelope_random *);

/* A sealed envelope, in the caller's arena. */
struct envelope_wire {
	struct bytes head;      /* Signed EnvelopeHead */
	struct bytes wraps;     /* WrapList, empty for FEED */
	struct bytes body;
	uint8_t env_id[32], oh[32], pc[32];
};

/**
 * Seals `message` (a packed Message) under header `h`.  The caller has filled h except version, suite, nonce16, pc and
 * body_len, which are set here.  FEED: ek is the epoch key and targets are none; every other kind: ek is NULL and
 * targets are the devices (sorted here).  sign_sk is the device's.  `random` is wiped of its cek.
 * RK_OK; RK_TOO_LARGE; RK_NO_RECIPIENT_KEY (no target where one is needed); what strict_pack and
 * envelope_check_rules say of a wrong header; RK_ENOMEM.
 */
int envelope_seal(Rk__EnvelopeHeader *h, struct bytes message, const uint8_t *ek, struct envelope_target *targets,
                  size_t target_count, const uint8_t sign_sk[64], struct envelope_random *random, struct arena *,
                  struct envelope_wire *out);

/* A parsed envelope; everything lives in the arena or in what was given. */
struct envelope {
	const Rk__EnvelopeHead *head;
	const Rk__EnvelopeHeader *header;
	struct bytes head_bytes;    /* payload of Signed: the exact EnvelopeHead */
	struct bytes sig;
};

/**
 * Strict-parses Signed, head and header, and applies envelope_check_rules.  Verifies nothing: whether the header's
 * exchange is ours is said by envelope_verify, or, where no signature is checked (FEED at the broker), by
 * envelope_check_rules with our exchange_id.
 */
int envelope_parse(struct bytes signed_head, struct arena *, struct envelope *out);
int envelope_parse_signed(const Rk__Signed *, struct arena *, struct envelope *out);

/**
 * What a header of each kind must and must not carry, by itself: exchange, suite (RK_UNSUPPORTED), kind (INTERNAL:
 * RK_UNSUPPORTED), fields of FEED only in FEED, recipients sorted unique and none equal to sender_org, nda fields by
 * kind, post fields by post_op, lifetimes (FEED <= 180 d, else <= 20 d), size by kind (RK_TOO_LARGE), marking by kind.
 * RK_WRONG_EXCHANGE; all else RK_MALFORMED.
 */
int envelope_check_rules(const Rk__EnvelopeHeader *, const uint8_t exchange_id[32]);

/** Exchange and signature of the sending device; RK_WRONG_EXCHANGE, RK_BAD_SIGNATURE. */
int envelope_verify(const struct envelope *, const uint8_t exchange_id[32], const uint8_t sign_pk[32])
	__attribute__((warn_unused_result));

void envelope_id(uint8_t env_id[32], const struct envelope *, const uint8_t exchange_id[32]);
void envelope_oh(uint8_t oh[32], const struct envelope *, const uint8_t exchange_id[32]);

/**
 * Hashes and lengths of WrapList and body against the head; parses the WrapList (sorted, unique devices).
 * *wraps_out is NULL for FEED.  RK_BAD_SIGNATURE when a hash differs (the same code as every failed proof).
 */
int envelope_check_bulk(const struct envelope *, struct bytes wraps, struct bytes body, struct arena *,
                        Rk__WrapList **wraps_out);

/* Finds the secret of (device, kx_serial): returns true and fills sk and pk. */
typedef bool envelope_kx_lookup(void *user, uint32_t kx_serial, uint8_t pk[32], uint8_t sk[32]);

/**
 * Opens body for one device: seal, label and header hash, AEAD with the header bytes as AAD, pc over the plaintext,
 * padding.  *message is the packed Message, in the arena (wipe it: arena_free_wiped).  FEED: ek, wraps NULL.
 * salt_out (may be NULL) gets the 32 bytes before the message: with them body_plain, and so pc, can be made again as evidence.
 * RK_BAD_SIGNATURE for every failed proof; RK_NO_RECIPIENT_KEY if no wrap is for this device or its secret is gone.
 */
int envelope_open(const struct envelope *, const Rk__WrapList *wraps, struct bytes body, const uint8_t *ek,
                  const uint8_t device_id[16], envelope_kx_lookup *, void *user, struct arena *, struct bytes *message,
                  uint8_t *salt_out);

/** body_plain = salt || message, padded; in the arena, whose budget is the caller's, and a secret.  RK_ENOMEM. */
int envelope_plain(struct bytes message, const uint8_t salt[ENVELOPE_SALT_BYTES], struct arena *, uint8_t **plain,
                   size_t *plain_len);

/** H("renkei/v1/plain", body_plain). */
void envelope_pc(uint8_t pc[32], struct bytes body_plain);

/* Result of reading sealed content. */
enum message_status { MESSAGE_OK, MESSAGE_NEWER, MESSAGE_BAD };

/**
 * Reads a packed Message.  MESSAGE_NEWER: an unknown type or an unknown critical extension; keep it sealed and show
 * "needs a newer Renkei" (*out NULL).  MESSAGE_BAD: not a Message.  On OK the part that belongs to the type is present.
 */
enum message_status message_read(struct bytes packed, struct arena *, Rk__Message **out);

#endif
