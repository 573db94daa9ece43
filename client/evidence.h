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
 * Assembles the receipt of an envelope (env_id) or deposit (oh), in the arena, which then holds secrets: wipe it.  with_content: the
 * plaintext and the agreement's document, or the deposit's `file`.  The device key must be unlocked for content and for deposits.
 * A pickup or refusal that does not prove itself is left out: of the others each recipient's earliest come first.
 * RK_ENOTFOUND: *lack says what; RK_EINTEGRITY: what we have does not verify, and the last of out->checks says why; RK_ESTORE, RK_ENOMEM,
 * RK_TOO_LARGE.
 */
int evidence_receipt(struct client *, struct txn *, const uint8_t id[32], bool with_content, struct bytes file, struct arena *,
                     struct bytes *archive, struct receipt *out, struct evidence_lack *);

#endif
