/* blob_internal: what blob.c and blob_whole.c share, and nobody else. */
#ifndef RENKEI_STORE_BLOB_INTERNAL_H
#define RENKEI_STORE_BLOB_INTERNAL_H

#include "store/blob.h"

#define BLOB_NAME_CHARS 80 /* "ab/", 64 hex digits, ".part" */

struct blob_folder {
	int dir;
};

/** Of errno. */
int blob_code(void);
void blob_name(char out[BLOB_NAME_CHARS], const uint8_t sha256[32], bool is_part);
/** Makes the names in the part of the folder that holds sha256 durable. */
int blob_sync_names(struct blob_folder *, const uint8_t sha256[32]);

#endif
