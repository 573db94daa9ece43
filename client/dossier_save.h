/*
 * dossier_save: what was opened, into a folder of somebody's: all names, the room on the disk and the hashes of everything are looked at
 * before the first byte is written; nothing is overwritten; and of a dossier that does not prove itself nothing stays.
 */
#ifndef RENKEI_CLIENT_DOSSIER_SAVE_H
#define RENKEI_CLIENT_DOSSIER_SAVE_H

#include "client/dossier.h"
#include "client/savefile.h"

#define DOSSIER_SAVED_MAX (2 * (DOSSIER_FILES_MAX + 1)) /* sealed: each with its key */

/* A file as it was saved. */
struct dossier_saved {
	char name[SAVEFILE_NAME_MAX];
	uint64_t len;
};

/* Where the work is: of file `index` of the message, `done` of `total` bytes. */
enum dossier_stage { DOSSIER_PROVING, DOSSIER_WRITING };
typedef int dossier_progress_fn(void *user, enum dossier_stage, const char *name, uint64_t done, uint64_t total);

struct dossier_saving {
	const Rk__Message *message;
	const char *folder;
	int blobs_fd;                /* HOME/blobs; -1: there are no attachments */
	bool sealed;                 /* age files and their identities in place of the files */
	dossier_progress_fn *progress; /* may be NULL; anything but RK_OK ends the work with that code */
	void *user;
};

/**
 * saved[DOSSIER_SAVED_MAX].  RK_EINTEGRITY: it is not what was promised, and *bad is the index of the attachment (among the attachments)
 * whose sealed bytes are not, so that fetching it anew may help; -1: the sender's own word is wrong.  RK_ENOTFOUND: attachment *bad is not
 * here.  RK_EEXISTS with saved[*count] the name that is taken.  RK_EIO, RK_EDISKFULL; progress's code.
 */
int dossier_save(const struct dossier_saving *, struct dossier_saved *saved, size_t *count, int *bad);

/** Names and room alone, as dossier_save would look at them; writes nothing. */
int dossier_save_check(const struct dossier_saving *, struct dossier_saved *saved, size_t *count);
#endif
