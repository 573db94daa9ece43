/*
 * age: age v1 files (C2SP age.md) of the two forms that Renkei writes and reads, each with exactly one recipient stanza:
 *   - X25519, to a one-time identity: attachments (CRYPTO 2.7).  The header is always 168 bytes.
 *   - scrypt, under a recovery code: backups of a home, and the history that a new device gets.  `age -d` asks for the code.
 * This is no general age parser: fixed text stands at fixed places, all else is refused.  Streaming: one chunk of 64 KiB at a time,
 * no I/O, no allocation.  A file key is used for one file, from beginning to end, once: there is no way to go on with an encryption.
 */
#ifndef RENKEI_PROTO_AGE_H
#define RENKEI_PROTO_AGE_H

#include "proto/bytes.h"

#define AGE_CHUNK_BYTES 65536u
#define AGE_TAG_BYTES 16u
#define AGE_NONCE_BYTES 16u
#define AGE_X25519_HEADER_BYTES 168u
#define AGE_HEADER_MAX_BYTES 256u            /* of either form */
#define AGE_PLAIN_MAX_BYTES ((uint64_t)1 << 31) /* of an attachment */

enum age_form { AGE_X25519, AGE_SCRYPT };

/* One file being written or read.  Holds secrets: wipe it with age_end. */
struct age {
	uint8_t key[32];      /* of the payload */
	uint64_t chunk;       /* the next one */
	bool ended;           /* the last chunk was sealed or opened */
};

/* Randomness of one file, from randombytes_buf; wiped by age_begin. */
struct age_random {
	uint8_t file_key[16], ephemeral_sk[32] /* X25519 */, salt[16] /* scrypt */, nonce[AGE_NONCE_BYTES];
};
void age_random(struct age_random *);

/** Length of the whole file for a plaintext length, of the X25519 form; and back: false if no attachment has this length. */
uint64_t age_x25519_len(uint64_t plain_len);
bool age_x25519_plain_len(uint64_t file_len, uint64_t *plain_len);

/** Begins a file: header and nonce go to out[AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES], their length to *len.  RK_EINTERNAL. */
int age_begin_x25519(struct age *, struct age_random *, const uint8_t identity_pk[32], uint8_t *out, size_t *len);
/** log_n: 2^log_n is scrypt's work, 128 bytes x 8 of memory each; RK_ENOMEM. */
int age_begin_scrypt(struct age *, struct age_random *, struct bytes code, unsigned log_n, uint8_t *out, size_t *len);

/** Reads header and nonce from the start of a file (at most AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES are looked at); *len is how long they
 *  were.  RK_MALFORMED: no file of this form; RK_EPASSPHRASE: the code is wrong; RK_EINTEGRITY: another identity's, or damaged. */
int age_open_x25519(struct age *, struct bytes start, const uint8_t identity_sk[32], size_t *len);
int age_open_scrypt(struct age *, struct bytes start, struct bytes code, unsigned log_n_max, size_t *len);

/** Seals the next chunk: AGE_CHUNK_BYTES, or fewer if is_last; empty only as the one chunk of an empty file.  out: plain.len + AGE_TAG_BYTES;
 *  must not overlap.  RK_EINTERNAL on any other use. */
int age_seal_chunk(struct age *, struct bytes plain, bool is_last, uint8_t *out);
/** Opens the next chunk, tag included.  RK_EINTEGRITY; nothing is in `out` then. */
int age_open_chunk(struct age *, struct bytes sealed, bool is_last, uint8_t *out);

/** An identity as `age` writes and reads it: AGE-SECRET-KEY-1…, 74 characters and NUL. */
void age_identity_text(char out[75], const uint8_t identity_sk[32]);

void age_end(struct age *);

#endif
