/*
 * ids: the hash, the KDF, and every identifier that is derived from bytes; fingerprints and the text forms of
 * keys for people.  CRYPTO 2.0 and 2.3.  Pure functions, any thread.
 */
#ifndef RENKEI_PROTO_IDS_H
#define RENKEI_PROTO_IDS_H

#include "proto/bytes.h"

/** out = SHA-256(label || 0x00 || x): H of CRYPTO 2.0. */
void ids_hash(uint8_t out[32], const char *label, struct bytes x);

/** As ids_hash over the concatenation of n parts. */
void ids_hash_parts(uint8_t out[32], const char *label, const struct bytes *parts, size_t n);

/** out = SHA-256(x), no label. */
void ids_sha256(uint8_t out[32], struct bytes x);

/** out = crypto_generichash(32, label || 0x00 || ctx, key): KDF of CRYPTO 2.0.  A secret: wipe it. */
void ids_kdf(uint8_t out[32], const uint8_t key[32], const char *label, struct bytes ctx);

void ids_exchange(uint8_t out[32], const uint8_t root_pk[32]);
void ids_device(uint8_t out[16], const uint8_t sign_pk[32]);
void ids_invite(uint8_t out[16], const uint8_t curve_pk[32]);
/** The id by which a payload names its secretariat key: H("renkei/v1/signer-id", pk)[0..15]. */
void ids_signer(uint8_t out[16], const uint8_t pk[32]);
void ids_nda(uint8_t out[32], const uint8_t exchange_id[32], struct bytes terms);
/** head = the exact EnvelopeHead bytes (the payload of its Signed). */
void ids_env(uint8_t out[32], const uint8_t exchange_id[32], struct bytes head);
/** What a Deposit commits to: the hash of a file, hidden by a salt. */
void ids_deposit_commit(uint8_t out[32], const uint8_t salt[32], const uint8_t file_sha256[32]);

/** Fingerprint of an organisation key: first 20 bytes of SHA-256(org_pk) as 5 groups of 8 hex, "xxxxxxxx-…"; 45 chars with NUL. */
#define IDS_ORG_FINGERPRINT_CHARS 45
void ids_org_fingerprint(char out[IDS_ORG_FINGERPRINT_CHARS], const uint8_t org_pk[32]);
/** Of a device, in the same form: over sign_pk || curve_pk. */
void ids_device_fingerprint(char out[IDS_ORG_FINGERPRINT_CHARS], const uint8_t sign_pk[32], const uint8_t curve_pk[32]);
/** Fingerprint of an exchange: exchange_id as 8 groups of 8 hex; 72 chars with NUL. */
#define IDS_ROOT_FINGERPRINT_CHARS 72
void ids_root_fingerprint(char out[IDS_ROOT_FINGERPRINT_CHARS], const uint8_t exchange_id[32]);
/** True if `typed` names the same fingerprint: case, spaces, '-' and ':' do not count; every hex digit does. */
bool ids_fingerprint_matches(const char *typed, const char *fingerprint);

/** Lower-case hex; out has 2 x len + 1 bytes. */
void ids_hex(char *out, struct bytes in);
/** Exactly 2 x len hex digits (either case) into out; false otherwise. */
bool ids_from_hex(uint8_t *out, size_t len, const char *hex);

/* Text forms for people: prefix + base64url without padding, canonical trailing bits required. */
#define IDS_TEXT_BYTES_MAX 1024
/** Writes prefix + base64url(in) + NUL into out[out_len]; RK_TOO_LARGE if it does not fit. */
int ids_text(char *out, size_t out_len, const char *prefix, struct bytes in);
/** Parses text that must start with `prefix`; at most out_max bytes go to out.  RK_MALFORMED on anything else. */
int ids_from_text(uint8_t *out, size_t out_max, size_t *out_len, const char *prefix, const char *text);

/** Admission check of an Ed25519 public key: crypto_core_ed25519_is_valid_point and not all zero. */
bool ids_is_valid_sign_pk(const uint8_t pk[32]);
/** Admission check of an X25519 public key: not all zero, not of low order, and in its one canonical encoding. */
bool ids_is_valid_box_pk(const uint8_t pk[32]);

#endif
