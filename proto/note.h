/*
 * note: C2SP signed notes, in the three forms that we use: checkpoints of the log (tlog-checkpoint), the witness's cosignature on one
 * (cosignature/v1), and proofs that stand by themselves (tlog-proof@v1).  Their signatures are over text, without label or
 * exchange, so the keys that make them do nothing else.  CRYPTO 2.10; C2SP signed-note, tlog-checkpoint, tlog-cosignature,
 * tlog-proof.  Pure; any thread.
 */
#ifndef RENKEI_PROTO_NOTE_H
#define RENKEI_PROTO_NOTE_H

#include "proto/bytes.h"
#include "proto/merkle.h"

#define NOTE_NAME_CHARS 64
#define NOTE_VKEY_CHARS 200
#define NOTE_TYPE_LOG 0x01
#define NOTE_TYPE_WITNESS 0x04
#define NOTE_TEXT_CHARS 160     /* the three lines that are signed */
#define NOTE_MAX_BYTES 600      /* ours: two signatures */
#define NOTE_READ_MAX_BYTES 4096
#define NOTE_SIGNATURES_MAX 16

/* ---- names and keys (note_name.c) */

/** "renkei/" + first 16 hex of exchange_id + "/log" + n; n is 1 for an exchange's first log. */
void note_origin(char out[NOTE_NAME_CHARS], const uint8_t exchange_id[32], unsigned n);
/** The n of an origin of this exchange, 1..9999; 0 if it is none. */
unsigned note_origin_number(const char *origin, const uint8_t exchange_id[32]);
void note_witness_name(char out[NOTE_NAME_CHARS], const uint8_t exchange_id[32]);

/** The vkey text of C2SP signed-note: name+keyid+base64(type || key). */
int note_vkey(char out[NOTE_VKEY_CHARS], const char *name, uint8_t type, const uint8_t pk[32]);
/** Splits a vkey; RK_MALFORMED unless name, key id and key agree. */
int note_vkey_parse(const char *vkey, char name[NOTE_NAME_CHARS], uint8_t *type, uint8_t pk[32]);

/* A key that may have signed a note. */
struct note_key {
	char name[NOTE_NAME_CHARS];
	uint8_t type;
	uint8_t pk[32];
};
/** From a vkey; RK_MALFORMED. */
int note_key_parse(struct note_key *, const char *vkey);
/** keyid = SHA-256(name || 0x0A || type || pk)[0..3]. */
void note_key_id(uint8_t out[4], const struct note_key *);

/* ---- checkpoints */

struct checkpoint {
	char origin[NOTE_NAME_CHARS];
	uint64_t size;
	merkle_hash root;
};

/* A note as text, with its length; not ended by NUL. */
struct note {
	uint8_t text[NOTE_MAX_BYTES];
	size_t len;
};

/** The signed lines 1-3 of a checkpoint, LF at the end of each.  Returns their length. */
size_t note_checkpoint_text(char out[NOTE_TEXT_CHARS], const struct checkpoint *);

/** The checkpoint signed by the log key, whose name is the origin.  sk is crypto_sign's 64 bytes. */
void note_sign(struct note *, const struct checkpoint *, const uint8_t sk[64]);

/**
 * Adds the witness's cosignature/v1 at time_s (Unix seconds) to a note.  The caller has verified what it cosigns and made it
 * durable before (check and persist, then sign).  RK_MALFORMED if the note is none, RK_TOO_LARGE if it does not fit.
 */
int note_cosign(struct note *, struct bytes signed_note, const struct note_key *witness, const uint8_t sk[64], int64_t time_s);

/* What a note says and who signed it. */
struct note_opened {
	struct checkpoint checkpoint;
	bool is_cosigned;       /* by the witness, at witness_s */
	int64_t witness_s;
};

/**
 * Reads a checkpoint: strict form, no extension lines, at most NOTE_READ_MAX_BYTES and NOTE_SIGNATURES_MAX; the origin is the log
 * key's name and that key has signed.  witness may be NULL.  Lines of unknown keys are ignored; a line of a known key that does not
 * verify rejects all.  RK_OK, RK_MALFORMED, RK_BAD_SIGNATURE.
 */
int note_open(struct bytes note, const struct note_key *log, const struct note_key *witness, struct note_opened *)
	__attribute__((warn_unused_result));

/**
 * The same for a note of this log or of a later one of the exchange: one key signs all of them (a charter cannot replace it), only the
 * name goes on.
 */
int note_open_later(struct bytes note, const struct note_key *log, const uint8_t exchange_id[32], struct note_opened *)
	__attribute__((warn_unused_result));

/**
 * Of a note that note_open took: the text, and the lines of these keys only.  witness may be NULL.  What others have added is no part of
 * what was verified.  RK_MALFORMED if the note is none, RK_TOO_LARGE if it does not fit: one line of each key always does.
 */
int note_keep(struct note *out, struct bytes note, const struct note_key *log, const struct note_key *witness);

/** The same as note_open without any key: form only, so that a note can be shown before its keys are known. */
int note_read(struct bytes note, struct checkpoint *);

/* ---- tlog-proof@v1 */

#define NOTE_PROOF_MAX_BYTES (64 + MERKLE_PROOF_MAX * 45 + NOTE_READ_MAX_BYTES)

/** Writes the proof text; returns its length, or 0 if it does not fit into cap. */
size_t note_proof_write(uint8_t *out, size_t cap, uint64_t index, const merkle_hash *proof, size_t n, struct bytes note);
/** Reads one, without `extra`.  proof has room for MERKLE_PROOF_MAX; *note borrows from text.  RK_MALFORMED. */
int note_proof_read(struct bytes text, uint64_t *index, merkle_hash *proof, size_t *n, struct bytes *note);

#endif
