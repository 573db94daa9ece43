/*
 * receipt_kit: the history of a small exchange, written step by step into a log of its own, and the receipt that follows from it.
 * A history is a table of steps in log order; a test bends messages, keys and entries as an attacker could who holds those keys.
 */
#ifndef RENKEI_TESTS_RECEIPT_KIT_H
#define RENKEI_TESTS_RECEIPT_KIT_H

#include "proto/arena.h"
#include "proto/note.h"
#include "proto/receipt.h"
#include "tests/unit/fixed_kit.h"

#define RECEIPT_KIT_OBJECTS 300 /* of one kind */
#define RECEIPT_KIT_HOUR_MS ((int64_t)3600000)
#define RECEIPT_KIT_START_MS (INT64_C(1761922800000) - FIXED_TIME_MS) /* first day of fixed_terms */

enum kit_what {
	KIT_END, KIT_CHARTER, KIT_DIRECTORY, KIT_DEVICES, KIT_TERMS, KIT_ACT, KIT_ENVELOPE, KIT_PICKUP, KIT_NACK, KIT_DEPOSIT,
	KIT_FILLER, /* arg leaves of others */
};

struct kit_step {
	enum kit_what what;
	int org;
	int arg;          /* Rk__ActKind, Rk__NackReason, count */
	int64_t at_ms;    /* since FIXED_TIME_MS */
};

struct receipt_kit;
/** Changes a message before it is signed, and may give another key. */
typedef void kit_bend(struct receipt_kit *, const struct kit_step *, ProtobufCMessage *, const uint8_t **sk);
/** Changes what the log writes of it. */
typedef void kit_bend_entry(struct receipt_kit *, const struct kit_step *, unsigned *type, int64_t *time_ms, uint8_t oh[32]);

struct kit_list {
	struct receipt_object *objects;
	uint64_t *index;
	size_t count;
};

struct receipt_kit {
	/* Set before receipt_kit_run; zero is the plain case. */
	const struct kit_step *steps;
	kit_bend *bend;
	kit_bend_entry *bend_entry;
	bool is_three, is_one_way;   /* three parties: org 0 is the third; one way: only org 1 discloses */
	int party_count;             /* more: orgs 0 … party_count - 1 */
	Rk__Kind kind;               /* 0: NDA */
	unsigned to;                 /* recipients of org 1's envelope, a bit each; 0: org 2 */
	bool has_content, is_uncosigned, has_many_checkpoints;
	int64_t witness_ms;          /* 0: an hour after the last step */
	const size_t *attachment_lens; /* lengths of their plaintexts */
	size_t attachment_count;
	uint64_t deep_size;          /* not 0: every proof leads to a tree of about this size */
	/* What comes of it; all in the arena. */
	struct fixed f;
	struct arena *arena;
	struct kit_list charter, directory, devices, terms, envelope, acts, pickups, nacks, deposit;
	struct receipt_parts parts;
	uint8_t nda_id[32], env_id[32];
	uint8_t identities[RECEIPT_ATTACHMENTS_MAX][32];
	struct bytes blobs[RECEIPT_ATTACHMENTS_MAX];
	uint8_t act_oh[NDA_ACTS_MAX][32];
	struct merkle_edge edge;
	merkle_hash *nodes;
	uint64_t node_count;
	uint64_t index;              /* of the last logged object */
};

/* The histories. */
extern const struct kit_step receipt_kit_plain[];    /* two parties, picked up */
extern const struct kit_step receipt_kit_lodged[];   /* the same, not picked up */
extern const struct kit_step receipt_kit_held[];     /* held and resumed before, terminated after the pickup */
extern const struct kit_step receipt_kit_three[];    /* three parties, two pickups, one refusal */
extern const struct kit_step receipt_kit_deposit[];

/** Runs the steps; then kit->parts can be given to receipt_make.  The arena is the caller's. */
void receipt_kit_run(struct receipt_kit *, struct arena *);

/** The same, made: the archive in the arena.  Ends the test if it does not verify. */
struct bytes receipt_kit_make(struct receipt_kit *, struct arena *);

/** receipt_kit_attach.c: makes the attachments, names them in the header, and gives the packed message that has their keys. */
struct bytes receipt_kit_attach(struct receipt_kit *, Rk__EnvelopeHeader *);
/** The archive of receipt_make with what follows of attachments; `blobs` may be others than the kit's. */
struct bytes receipt_kit_tail(struct receipt_kit *, struct bytes archive, const struct receipt *, const struct bytes *blobs);

/** The checkpoint of the first `size` leaves, signed and, unless the kit says otherwise, cosigned. */
struct note receipt_kit_checkpoint(struct receipt_kit *, uint64_t size);
/** As merkle_consistency; returns the number of hashes. */
size_t receipt_kit_consistency(struct receipt_kit *, uint64_t size1, uint64_t size2, merkle_hash proof[MERKLE_PROOF_MAX]);
/** Proves an object anew, as the kit is set now. */
void receipt_kit_prove(struct receipt_kit *, struct receipt_object *, uint64_t index);

#endif
