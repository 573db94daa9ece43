/*
 * invite: the two texts that travel outside the system, on paper or by mail: the broker's card and the invite.
 * CRYPTO 2.3.  Parsing never trusts lengths; a wrong check sum is RK_MALFORMED.
 */
#ifndef RENKEI_PROTO_INVITE_H
#define RENKEI_PROTO_INVITE_H

#include "proto/bytes.h"

#define ENDPOINT_MAX_CHARS 256
#define INVITE_TEXT_CHARS 1024
#define INVITE_LIFE_MS ((int64_t)7 * 86400000)

struct broker_card {
	uint8_t curve_pk[32];   /* B */
	uint8_t log_pk[32];     /* L */
	char endpoint[ENDPOINT_MAX_CHARS + 1];
};

/** `rk-broker:` base64url(B || L || u16 length || endpoint || 4-byte SHA-256 of all before). */
int invite_card_text(char out[INVITE_TEXT_CHARS], const struct broker_card *);
int invite_card_parse(struct broker_card *, const char *text);

struct invite {
	uint8_t exchange_id[32];
	uint8_t broker_curve_pk[32];
	uint8_t seed[32];       /* a secret: wipe */
	int64_t expires_at;
	char endpoint[ENDPOINT_MAX_CHARS + 1];
};

/** `rk-inv:` base64url(exchange_id || B || seed || expiry u64be || endpoint || 4-byte SHA-256). */
int invite_text(char out[INVITE_TEXT_CHARS], const struct invite *);
int invite_parse(struct invite *, const char *text);

/** The invite's CURVE key pair, its MAC key and its id. */
void invite_keys(const uint8_t seed[32], uint8_t curve_pk[32], uint8_t curve_sk[32], uint8_t mac_key[32], uint8_t id[16]);

/** tag = crypto_auth(label || 0x00 || exchange_id || enrol payload || sig, mac_key). */
void invite_tag(uint8_t tag[32], const uint8_t mac_key[32], const uint8_t exchange_id[32], struct bytes payload, struct bytes sig);
/** RK_OK or RK_BAD_SIGNATURE, in constant time. */
int invite_check_tag(const uint8_t tag[32], const uint8_t mac_key[32], const uint8_t exchange_id[32], struct bytes payload,
                     struct bytes sig) __attribute__((warn_unused_result));

#endif
