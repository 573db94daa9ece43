/*
 * dossier: text and files under an agreement: composing them behind our own gate, and asking for them (Pickup, then FETCH).  Small files
 * stand in the message itself, 200 KiB with the text; larger ones are attachments, which were encrypted before (client/dossier_pack).
 * What was opened is saved by client/dossier_save.  FIELDS "Dossier", CRYPTO 2.7 and 2.11.
 */
#ifndef RENKEI_CLIENT_DOSSIER_H
#define RENKEI_CLIENT_DOSSIER_H

#include "client/client.h"
#include "client/spool.h"

#define DOSSIER_MAX_BYTES (200 * 1024)  /* text and files in the message, together */
#define DOSSIER_FILES_MAX 32

struct dossier_part {
	const char *name;           /* base name */
	const char *media_type;
	struct bytes data;          /* or */
	const struct spooled *blob; /* the file is an attachment; NULL */
};

struct dossier_new {
	const uint8_t *nda_id;
	const uint8_t (*to)[16];    /* recipients; none: all other parties that may receive, or with reply_to its sender's desk */
	const uint32_t *to_desks;   /* of each; NULL: whole organisations */
	size_t to_count;
	const char *title, *text;   /* may be NULL */
	Rk__Marking marking;
	const uint8_t *reply_to;    /* env_id, or NULL */
	bool reply_only;            /* no secret of our own in it: may go against the direction; needs reply_to */
	const struct dossier_part *parts;
	size_t part_count;
};

/**
 * Reads a file to be sent: a regular one, not empty, at most DOSSIER_MAX_BYTES; its base name must be fit to be shown.
 * RK_EIO, RK_TOO_LARGE, RK_EUSAGE (name, or not a regular file), RK_ENOTFOUND.  In the arena.
 */
int dossier_read(const char *path, struct arena *, struct dossier_part *out);

/**
 * Composes (in the arena) and queues, if our own gate is open: its refusals come back as they are.  RK_TOO_LARGE; RK_UNSUPPORTED (attachments with reply_only); RK_EUSAGE (nothing to send, two files of one name, reply_only without reply_to); RK_ENOTFOUND
 * (reply_to is not of this agreement); RK_CONFLICT (its sender's device stands at several desks: `to` must say which, and so it must where
 * `to` names one organisation with two).
 */
int dossier_send(struct client *, struct txn *, const struct dossier_new *, struct arena *, uint64_t *item);

/** Would dossier_send be let through by our own gate now?  Its refusal: what is large is not encrypted for nothing. */
int dossier_check_send(struct client *, struct txn *, const struct dossier_new *, struct arena *);

/** May our organisation still get this one?  The refusal of our own gate; RK_OK. */
int dossier_check_get(struct client *, struct txn *, const Rkl__EnvelopeRecord *);

/** Queues the signed Pickup, and the FETCH that is asked after it was granted. */
int dossier_pickup(struct client *, struct txn *, const Rkl__EnvelopeRecord *, uint64_t *item);
int dossier_fetch(struct client *, struct txn *, const uint8_t env_id[32], uint64_t *item);

/** Same for text/plain and the like; "application/octet-stream" for what we do not know. */
const char *dossier_media_type(const char *name);

#endif
