/*
 * keyfile: the container in which secret keys lie on disk.  `RKKEY1\0\0` || kdf u8 || u32be ops || u32be mem_MiB || salt16 ||
 * nonce24 || XChaCha20-Poly1305(secret, AAD = all before).  CRYPTO 2.13.  Works on bytes; reading and writing
 * files is the caller's.
 */
#ifndef RENKEI_PROTO_KEYFILE_H
#define RENKEI_PROTO_KEYFILE_H

#include "proto/bytes.h"

#define KEYFILE_OVERHEAD (8 + 1 + 4 + 4 + 16 + 24 + 16)
#define KEYFILE_SECRET_MAX (1024 * 1024)

enum keyfile_kdf {
	KEYFILE_NONE = 0,     /* no passphrase: key = 32 zero bytes; integrity only.  Broker keys, and --no-passphrase devices */
	KEYFILE_ARGON2ID = 1,
	KEYFILE_RAW = 2,      /* the 32-byte key is given directly (kx.key under the home key) */
};

struct keyfile_params {
	enum keyfile_kdf kdf;
	uint32_t ops;         /* 2..10 */
	uint32_t mem_mib;     /* 64..1024 */
};
/** MODERATE: Argon2id, 3, 256 MiB. */
extern const struct keyfile_params keyfile_default;

/**
 * Wraps secret[len] for `passphrase` (its bytes for ARGON2ID; the 32-byte key for RAW; ignored for NONE).  out has len + KEYFILE_OVERHEAD
 * bytes.  RK_EKEYFILE for parameters out of range, RK_ENOMEM when Argon2id cannot have its memory.
 */
int keyfile_seal(uint8_t *out, const struct keyfile_params *, struct bytes passphrase, struct bytes secret);

/**
 * Unwraps.  *secret is sodium_malloc'ed (free with sodium_free), *secret_len its length.  Parameters are checked
 * before anything is allocated.  RK_EKEYFILE (not a key file, out of range), RK_EPASSPHRASE (does not open), RK_ENOMEM.
 */
int keyfile_open(struct bytes file, struct bytes passphrase, uint8_t **secret, size_t *secret_len);

/** Which kdf a file uses, or RK_EKEYFILE: whether to ask for a passphrase at all. */
int keyfile_kdf_of(struct bytes file);

#endif
