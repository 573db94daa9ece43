/*
 * receipt: the proof of one disclosure (or of one deposit) that stands by itself: what was signed, the leaf of the log that each of it
 * became, and the way from each leaf to a root that the log has signed.  Whoever has the exchange's fingerprint on paper can check it
 * offline, with these functions or with openssl, sha256sum and a page of Python (proto/RECEIPT.md, which is the format).
 * CRYPTO 2.11; promise P5.  Pure; any thread.
 */
#ifndef RENKEI_PROTO_RECEIPT_H
#define RENKEI_PROTO_RECEIPT_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "proto/merkle.h"
#include "proto/nda.h"
#include "proto/object.h"
#include "renkei.pb-c.h"

/* No agreement is too long for a receipt: else a party could end its partners' evidence by acting often. */
#define RECEIPT_ACTS_MAX NDA_ACTS_MAX       /* act-001 … act-256 */
#define RECEIPT_PICKUPS_MAX NDA_PARTIES_MAX /* pickup-1 … pickup-16; nack-1 … nack-16: one of each recipient at least */
/* A list of each party, of each device that answered, and of each that held: orgdevices-A … -Z, -AA … */
#define RECEIPT_DEVICES_MAX (NDA_PARTIES_MAX + RECEIPT_ACTS_MAX + 2 * RECEIPT_PICKUPS_MAX)
#define RECEIPT_ATTACHMENTS_MAX 32          /* attachment-01 … attachment-32 */
#define RECEIPT_ENTRY_MAX_BYTES MERKLE_ENTRY_MAX_BYTES
#define RECEIPT_DEPOSIT_PLAIN_BYTES 64

/** The fixed text of README.txt: Japanese and English, without its NUL. */
struct bytes receipt_readme(void);

/** commit of a Deposit: H("renkei/v1/deposit-commit", salt || SHA-256(file)). */
void receipt_deposit_commit(uint8_t commit[32], const uint8_t salt[32], const uint8_t file_sha256[32]);

/* ---- making */

/* One thing that was logged, as exact bytes, all borrowed. */
struct receipt_object {
	struct bytes payload, sig;  /* of its Signed; sig is empty for terms */
	struct bytes entry;         /* its LogEntry */
	struct bytes proof;         /* its tlog-proof@v1 */
};

/* What a receipt is made of.  Content may be left out: data NULL. */
struct receipt_parts {
	const uint8_t *exchange_id;              /* 32 */
	struct receipt_object charter, directory;
	const struct receipt_object *devices;    /* the sender's list first, then the others by log index */
	size_t device_count;
	/* A disclosure: */
	struct receipt_object terms, envelope;
	const struct receipt_object *acts, *pickups, *nacks; /* by log index */
	size_t act_count, pickup_count, nack_count;
	struct bytes body_plain;                 /* salt || padded Message */
	struct bytes cover, document, doc_salt;  /* all three or none */
	const uint8_t (*identities)[32];         /* with body_plain: of each attachment, in the header's order; their bytes follow by receipt_tail.h */
	size_t identity_count;                   /* 0: attachments are not shown */
	/* or a deposit: */
	struct receipt_object deposit;           /* payload empty: a disclosure */
	struct bytes deposit_plain;              /* salt || SHA-256(file) */
	struct bytes file;
};

/** The file of the message that is this attachment of its header, if the message says of it what can be; else NULL. */
const Rk__DossierFile *receipt_find_file(const Rk__Message *, const Rk__BlobRef *);

/* ---- verifying */

/* Something that an organisation signed, a device list or an act, and where it stands; all borrowed. */
struct receipt_by_org {
	const uint8_t *exchange_id, *org_id;
	const Rk__Directory *directory;      /* of the receipt; its links are verified */
	uint64_t directory_index, index;     /* in the log */
	const uint8_t *first_fp;             /* acts: the key that the terms name, or one that came after it; NULL: any that counts */
	enum object_kind kind;
	struct bytes payload, sig;
};
/** Did a key sign it that the directory vouches for?  RK_OK, RK_BAD_SIGNATURE, RK_ENOMEM. */
int receipt_check_by_org(const struct receipt_by_org *);

/* What one check was about.  A stable name each (receipt_step_name); people's words are the caller's. */
enum receipt_step {
	RECEIPT_ARCHIVE,     /* a ustar archive of the one form */
	RECEIPT_MEMBERS,     /* these members, in this order, README.txt as it must be */
	RECEIPT_FORM,        /* the signed bytes parse strictly, for this exchange */
	RECEIPT_EXCHANGE,    /* the charter's root key is the one of the fingerprint */
	RECEIPT_ENTRY,       /* the log entry is of the right type and names these signed bytes */
	RECEIPT_PROOF,       /* the entry is in a tree that the log's key has signed */
	RECEIPT_SIGNATURE,   /* by the key that the chain says */
	RECEIPT_RULES,       /* the object keeps the rules of its kind */
	RECEIPT_LOG,         /* all proofs are of one log: no two roots of one size, no index twice, times never fall */
	RECEIPT_WITNESS,     /* no entry is dated after the witness had seen it */
	RECEIPT_ORDER,       /* what had to be there before was logged before */
	RECEIPT_PARTY,       /* the organisation is listed and active, and its key is the one that the terms name */
	RECEIPT_ACT,         /* the act was legal as the next one of its agreement */
	RECEIPT_NDA_SET,     /* sender or recipient knew of exactly these acts */
	RECEIPT_GATE,        /* the agreement permitted it at that time */
	RECEIPT_PICKUP,      /* names this envelope and agreement, by a recipient who had not declined */
	RECEIPT_NACK,        /* the same of a refusal */
	RECEIPT_NEEDED,      /* nothing is there that proves nothing */
	RECEIPT_CONTENT,     /* the plaintext is the one committed to */
	RECEIPT_ATTACHMENT,  /* the key is the plaintext's; the bytes are the header's, and open to what the plaintext says */
	RECEIPT_DOCUMENT,    /* the document is the one that the terms commit to */
	RECEIPT_FILE,        /* the deposited file is the one committed to */
	RECEIPT_STEP_COUNT
};

/** "archive", "proof" … */
const char *receipt_step_name(enum receipt_step);

enum receipt_level {
	RECEIPT_UNPROVEN,
	RECEIPT_LODGED,      /* sent, and logged by the broker */
	RECEIPT_PICKED_UP,   /* and a device of a recipient signed for it before release */
	RECEIPT_OPENED,      /* and the plaintext is here and is what was committed to; a deposit: its file is */
};
const char *receipt_level_name(enum receipt_level);

struct receipt_check {
	enum receipt_step step;
	const char *member;  /* "act-002", "charter"; "" for the archive */
	int code;            /* RK_OK, or why not */
};

/* When something was logged: the index orders, the time dates, the witness bounds (0: its tree was not cosigned). */
struct receipt_event {
	uint64_t index;
	int64_t time_ms, witness_ms;
};

/* A pickup or a refusal. */
struct receipt_answer {
	const uint8_t *org_id;
	const Rk__Device *device;
	struct receipt_event event;
	bool is_declined;    /* a refusal before pickup; else what came did not open */
};

/* What a receipt says.  All in the arena or in the archive. */
struct receipt {
	enum receipt_level level;
	struct receipt_check *checks;       /* in the order made; the last one failed unless all passed.  A caller's own may follow: room for 4 */
	size_t check_count;
	const Rk__Charter *charter;
	const Rk__Directory *directory;
	bool is_deposit;
	uint8_t id[32];                      /* env_id, or the oh of the deposit */
	const uint8_t *sender_org;           /* 16 */
	const Rk__Device *sender_device;
	struct receipt_event event;          /* of the disclosure or the deposit */
	/* of a disclosure: */
	const Rk__EnvelopeHeader *header;
	const Rk__NdaTerms *terms;
	struct receipt_answer pickups[RECEIPT_PICKUPS_MAX], nacks[RECEIPT_PICKUPS_MAX];
	size_t pickup_count, nack_count;
	const Rk__Message *message;          /* with content that this version can read */
	const Rk__DossierFile *attachments[RECEIPT_ATTACHMENTS_MAX]; /* for each of header->blobs, where the message names it */
	bool has_attachments;                /* shown, not only named.  OPENED is said of the message, with or without them */
	/* of a deposit: */
	uint8_t file_sha256[32];
};

/**
 * Checks everything, in a fixed order, and stops at the first thing that is not so: then out->level is RECEIPT_UNPROVEN and the last
 * of out->checks says what.  exchange_id is what the verifier trusts, from paper, never from the archive.  The archive
 * is borrowed by *out; the arena's budget is raised as its length asks.
 * RK_OK; RK_EINTEGRITY: a check failed; RK_ENOMEM.
 */
int receipt_verify(struct bytes archive, const uint8_t exchange_id[32], struct arena *, struct receipt *out)
	__attribute__((warn_unused_result));

/**
 * The same of a receipt that may be too large for memory: `start` is its first USTAR_MAX_BYTES, or all of it.  Everything but
 * attachments and the archive's end is checked, and NOTHING is proven before the bytes from *used on have gone through receipt_tail.h too.
 */
int receipt_verify_start(struct bytes start, const uint8_t exchange_id[32], struct arena *, struct receipt *out, size_t *used)
	__attribute__((warn_unused_result));

/**
 * Writes the archive into the arena and verifies it: what does not verify is not given out, and *out says which step failed.  With
 * attachments it is the archive as far as receipt_verify_start reads it: header, bytes and padding of each attachment, and the end, follow.
 * RK_OK, RK_EINTEGRITY, RK_TOO_LARGE (more than an archive holds), RK_MALFORMED (parts that no receipt has), RK_ENOMEM.
 */
int receipt_make(const struct receipt_parts *, struct arena *, struct bytes *archive, struct receipt *out);

#endif
