/*
 * evidence: what proves a disclosure, kept when it happens.  Keys rotate, old directories are not kept, bulk expires: so the record of an
 * envelope takes its copies at once, of everything that was signed: directory and device lists as they stood, terms and acts, head, pickups,
 * refusals.  (Charters are few, and stay in the book.)  A receipt is assembled from them later.  The salt of the content lies under the dossier's own key: destroying that key
 * destroys what could show the content.  CRYPTO 2.11, promise P5.
 * C_EVIDENCE: 'R' || env_id or oh of a deposit -> EvidenceRecord; 'O' || oh -> Signed bytes (nda_id -> terms), each once;
 * 'S' || env_id or oh -> vault(salt, or a deposit's salt and SHA-256).
 */
#ifndef RENKEI_CLIENT_EVIDENCE_H
#define RENKEI_CLIENT_EVIDENCE_H

#include "client/client.h"
#include "proto/receipt.h"

/* Each in the transaction that takes the thing in; what comes twice changes nothing.  RK_OK, or a failure of this home. */

/** A head under an agreement, ours or to us, verified: object is its Signed.  Other kinds are no disclosures: RK_OK. */
int evidence_on_envelope(struct client *, struct txn *, const struct envelope *, struct bytes object, uint64_t log_index);
/** The plaintext was opened: its salt.  May come before the envelope's entry.  The device key must be unlocked. */
int evidence_on_salt(struct client *, struct txn *, const uint8_t env_id[32], const uint8_t salt[32]);
/** A verified Pickup or Nack of one of its recipients; object is its Signed. */
int evidence_on_pickup(struct client *, struct txn *, const uint8_t env_id[32], struct bytes object, uint64_t log_index);
int evidence_on_nack(struct client *, struct txn *, const uint8_t env_id[32], struct bytes object, uint64_t log_index);
/** A Deposit of our organisation that was logged; with what it commits to if this device made it (else NULL, NULL). */
int evidence_on_deposit(struct client *, struct txn *, struct bytes object, uint64_t log_index, const uint8_t *salt,
                        const uint8_t *file_sha256);

/* ---- receipts (evidence_make.c) */

enum evidence_content {
	EVIDENCE_BARE,         /* what was signed */
	EVIDENCE_MESSAGE,      /* and the content, but attachments */
	EVIDENCE_ATTACHMENTS,  /* and these */
};

enum evidence_why {
	EVIDENCE_NONE,
	EVIDENCE_NO_COPY,   /* this home does not have it, or destroyed its key */
	EVIDENCE_NO_LEAF,   /* the exchange has not told its place in the log */
	EVIDENCE_NO_PROOF,  /* not proven yet: catch up and try again */
};

/* What a receipt lacks. */
struct evidence_lack {
	const char *part;   /* "act", "body_plain" …; with RK_ENOTFOUND, "" where there is no record at all */
	enum evidence_why why;
	unsigned left_out;  /* pickups and refusals that are not proven yet, not by a device that we know, or more than a receipt has room for */
	unsigned bad_pickups, bad_nacks; /* that do not prove themselves: left out too */
};

/**
 * Assembles the receipt of an envelope (env_id) or deposit (oh), in the arena, which then holds secrets: wipe it.  With content: the
 * plaintext and the agreement's document, or the deposit's `file`.  The device key must be unlocked for content and for deposits.
 * With attachments out->has_attachments says whether there are any: then the archive is not whole before evidence_write.
 * A pickup or refusal that does not prove itself is left out: of the others each recipient's earliest come first.
 * RK_ENOTFOUND: *lack says what; RK_EINTEGRITY: what we have does not verify, and the last of out->checks says why; RK_ESTORE, RK_ENOMEM,
 * RK_TOO_LARGE.
 */
int evidence_receipt(struct client *, struct txn *, const uint8_t id[32], enum evidence_content, struct bytes file, struct arena *,
                     struct bytes *archive, struct receipt *out, struct evidence_lack *);

/* ---- into a file (evidence_write.c) */

/* The files of HOME/blobs that a receipt shows, open: what is swept meanwhile stays readable. */
struct evidence_blobs {
	int fd[RECEIPT_ATTACHMENTS_MAX];
	size_t count;
};
/** RK_ENOTFOUND: bit i of *missing says that attachment i is not here in full.  Close them either way. */
int evidence_blobs_open(struct client *, const struct receipt *, struct evidence_blobs *, uint32_t *missing);
void evidence_blobs_close(struct evidence_blobs *);

/** Bytes of the whole receipt. */
uint64_t evidence_size(const struct receipt *, struct bytes archive);

/**
 * Writes a new file, as savefile_write; attachments are verified as they stream by, in memory that does not grow.  Needs no
 * transaction.  The arena is that of the receipt.  RK_EINTEGRITY: an attachment here is not the one that was signed (the last of the
 * receipt's checks says which); nothing is left of the file.  Else as savefile_write.
 */
int evidence_write(int dir_fd, const char *name, struct bytes archive, struct receipt *, struct arena *, const struct evidence_blobs *);

#endif
