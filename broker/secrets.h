/*
 * secrets: the broker's two secrets, curve.key (B, the CURVE server key) and log.key (L, signs checkpoints and nothing
 * else), as key files without a passphrase: an unattended service cannot type one.  Mode 0600, owned by its user.
 * CRYPTO 2.1, 2.13.
 */
#ifndef RENKEI_BROKER_SECRETS_H
#define RENKEI_BROKER_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

struct secrets {
	uint8_t curve_pk[32], *curve_sk; /* secrets: sodium_malloc */
	uint8_t log_pk[32], *log_sk;     /* 64 bytes, as crypto_sign's */
};

/** Draws both and writes them into the folder (temp, fsync, rename).  RK_EEXISTS if there is one already; RK_EIO,
 * RK_EDISKFULL, RK_ENOMEM. */
int secrets_create(const char *folder, struct secrets *out);
/** RK_ENOTFOUND, RK_EKEYFILE, RK_EPASSPHRASE (damaged), RK_EIO, RK_ENOMEM; *failed (may be NULL) names the file. */
int secrets_load(const char *folder, struct secrets *out, const char **failed);
/** The name of the file whose key is not the one that is expected; NULL if both are. */
const char *secrets_foreign(const struct secrets *, const uint8_t curve_pk[32], const uint8_t log_pk[32]);
/** Wipes and frees; an empty struct is allowed. */
void secrets_wipe(struct secrets *);

/** Writes a small file whole or not at all: temp, fsync, rename, fsync of the folder.  RK_EIO, RK_EDISKFULL. */
int secrets_write_file(const char *folder, const char *name, const void *data, uint32_t len, uint32_t mode);

#endif
