/*
 * keys_internal: what keys.c, keys_file.c and keys_ring.c share: the open keys of a home, and its files.
 */
#ifndef RENKEI_CLIENT_KEYS_INTERNAL_H
#define RENKEI_CLIENT_KEYS_INTERNAL_H

#include <sys/stat.h>

#include "client/client_internal.h"

#define KEYS_PATH_MAX (CLIENT_PATH_MAX + 64)

struct keys {
	struct {
		uint8_t *sk; /* sodium_malloc, 64; NULL while locked */
		uint8_t pk[32];
	} sign[KEY_ROLE_COUNT];
	uint8_t *curve_sk;   /* sodium_malloc, 32 */
	uint8_t curve_pk[32];
	uint8_t *hk;         /* sodium_malloc, 32 */
	uint8_t *kx;         /* sodium_malloc: packed KxFile as last read */
	size_t kx_len;
	struct stat kx_stat; /* of the file it was read from */
};

/* ---- keys_file.c */
void keys_path(char path[KEYS_PATH_MAX], const struct client *, const char *name);
/** The file is wholly the old or wholly the new one, also after a power cut.  RK_EDISKFULL, RK_EIO. */
int keys_file_replace(const struct client *, const char *name, struct bytes content);
/** `from` takes the place of `to`; durable after keys_folder_sync.  RK_ENOTFOUND, RK_EDISKFULL, RK_EIO. */
int keys_file_move(const struct client *, const char *from, const char *to);
int keys_folder_sync(const struct client *);
/** *file is malloc'ed; st may be NULL.  RK_ENOTFOUND, RK_EKEYFILE (no file of keys), RK_EIO. */
int keys_file_read(const struct client *, const char *name, uint8_t **file, size_t *len, struct stat *st);

/* ---- keys_ring.c */
/** Writes kx.key with the first kx key of a new device. */
int keys_ring_create(struct client *);

#endif
