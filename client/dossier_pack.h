/*
 * dossier_pack: from files and folders to the parts of a dossier: what is small goes into the message, the rest is encrypted, once, into
 * HOME/blobs.  The smallest stay in the message, as many as fit with the text (DOSSIER_MAX_BYTES).
 */
#ifndef RENKEI_CLIENT_DOSSIER_PACK_H
#define RENKEI_CLIENT_DOSSIER_PACK_H

#include "client/dossier.h"
#include "client/source.h"

struct dossier_pack {
	struct source *source[DOSSIER_FILES_MAX];
	bool is_blob[DOSSIER_FILES_MAX];
	struct dossier_part parts[DOSSIER_FILES_MAX];
	struct spooled blob[DOSSIER_FILES_MAX]; /* secret identities */
	size_t count, blobs;
	int lock_fd;                 /* held while blobs are there and no record names them; -1 */
};
void dossier_pack_init(struct dossier_pack *);
/** Wipes; what is not on record by now is swept some day. */
void dossier_pack_free(struct dossier_pack *);

/** Adds a file or folder; refusals and problem[SOURCE_PATH_CHARS] as source_open; RK_QUOTA: DOSSIER_FILES_MAX are there. */
int dossier_pack_add(struct dossier_pack *, const char *path, char *problem);

/**
 * Decides what goes where, and looks at the disk of the home before anything is encrypted.  text_len: of the dossier's text.
 * RK_EUSAGE: two of one name (*which); RK_EDISKFULL with *need the bytes that are needed.
 */
int dossier_pack_plan(struct dossier_pack *, struct client *, size_t text_len, size_t *which, uint64_t *need);

/** Called as file `name` is encrypted; anything but RK_OK ends the work with that code. */
typedef int dossier_pack_progress_fn(void *user, const char *name, uint64_t done, uint64_t total);
/** Reads and encrypts; then parts[count] are ready for dossier_send.  *which: the one that failed.  As spool_seal. */
int dossier_pack_read(struct dossier_pack *, struct client *, struct arena *, dossier_pack_progress_fn *, void *user, size_t *which);

#endif
