/* receipt_internal: what making and verifying of receipts share: the names of members, and an archive taken apart. */
#ifndef RENKEI_PROTO_RECEIPT_INTERNAL_H
#define RENKEI_PROTO_RECEIPT_INTERNAL_H

#include "proto/note.h"
#include "proto/object.h"
#include "proto/receipt.h"
#include "proto/ustar.h"

#define RECEIPT_README "README.txt"
/* Charter, directory, terms, envelope: one each; a deposit has fewer parts. */
#define RECEIPT_ITEMS_MAX (4 + RECEIPT_DEVICES_MAX + RECEIPT_ACTS_MAX + 2 * RECEIPT_PICKUPS_MAX)
#define RECEIPT_ITEM_MEMBERS 4                   /* .tbs .sig .entry .tlog-proof */
#define RECEIPT_ITEM_CHECKS 12                   /* of one item at most: a pickup has eleven */
#define RECEIPT_NAME_CHARS 32

/* The parts of a receipt that are in the log, in the order in which they stand; a deposit has its own last one. */
enum receipt_part {
	RECEIPT_PART_CHARTER,
	RECEIPT_PART_DIRECTORY,
	RECEIPT_PART_DEVICES,
	RECEIPT_PART_TERMS,
	RECEIPT_PART_ACT,
	RECEIPT_PART_ENVELOPE,
	RECEIPT_PART_PICKUP,
	RECEIPT_PART_NACK,
	RECEIPT_PART_DEPOSIT,
	RECEIPT_PART_COUNT
};

/** "act-002" for the second act. */
void receipt_part_name(char out[RECEIPT_NAME_CHARS], enum receipt_part, size_t i);

/* The files that are not in the log. */
enum receipt_file {
	RECEIPT_FILE_BODY,
	RECEIPT_FILE_COVER,
	RECEIPT_FILE_DOCUMENT,
	RECEIPT_FILE_SALT,
	RECEIPT_FILE_DEPOSIT_PLAIN,
	RECEIPT_FILE_DEPOSIT,
	RECEIPT_FILE_COUNT
};
_Static_assert(1 + RECEIPT_ITEM_MEMBERS * RECEIPT_ITEMS_MAX + RECEIPT_FILE_COUNT + RECEIPT_ATTACHMENTS_MAX <= USTAR_MEMBERS_MAX, "the longest receipt is an archive");

const char *receipt_file_name(enum receipt_file);

/** attachment-01.key, attachment-01.age */
void receipt_attachment_name(char out[RECEIPT_NAME_CHARS], size_t i, const char *suffix);
#define RECEIPT_ATTACHMENT_FIRST "attachment-01.age"
#define RECEIPT_KEY_BYTES 75 /* AGE-SECRET-KEY-1… and a newline */

#define RECEIPT_TERMS_LABEL "renkei/v1/nda-id" /* terms are named, not signed: oh = nda_id = SHA-256(tbs) */

/* One logged part, as far as it has been checked. */
struct receipt_item {
	enum receipt_part part;
	char name[RECEIPT_NAME_CHARS];
	struct bytes tbs, sig, entry, proof; /* as the archive has them; borrowed */
	enum object_kind kind;               /* not of terms */
	struct bytes payload;                /* of tbs */
	const ProtobufCMessage *message;     /* the payload, parsed */
	uint8_t oh[32];
	struct receipt_event event;
	struct checkpoint checkpoint;
	bool is_needed;                      /* device lists: something rests on it */
};

/* A verification on its way. */
struct receipt_work {
	const uint8_t *exchange_id;
	struct arena *arena;
	struct receipt *out;
	struct receipt_check *checks;
	size_t member_count;
	struct bytes files[RECEIPT_FILE_COUNT];      /* data NULL: not there */
	struct ustar_member keys[RECEIPT_ATTACHMENTS_MAX];
	size_t key_count;
	size_t item_count;
	size_t first[RECEIPT_PART_COUNT], count[RECEIPT_PART_COUNT]; /* items of a part stand together */
	struct note_key log, witness;                /* of the charter, once it is verified */
	struct nda_row row;                          /* of the terms, once they are read */
	struct nda_act acts[RECEIPT_ACTS_MAX];
	uint16_t active;                             /* as nda_state_at, by the receipt's directory */
	/* Last, and not cleared: some hundred KiB, of which a receipt fills little and the counts say how much. */
	struct receipt_item items[RECEIPT_ITEMS_MAX];
	struct ustar_member members[USTAR_MEMBERS_MAX];
};

/** The i-th item of a part; it must be there. */
struct receipt_item *receipt_item_at(struct receipt_work *, enum receipt_part, size_t i);

/** Remembers the outcome of one check and returns it. */
int receipt_noted(struct receipt_work *, enum receipt_step, const char *member, int code);

/** Takes the members apart: README, items, files, in this order and no others.  On failure *at is the member. */
int receipt_take_members(struct receipt_work *, const char **at);

/**
 * The device by its organisation's newest list before the event, if it may sign then; else NULL.  The list counts as needed.
 */
const Rk__Device *receipt_find_device(struct receipt_work *, const uint8_t *org_id, const uint8_t *device_id,
                                      const struct receipt_event *);
/** The same among all organisations with lists but the sender's. */
const Rk__Device *receipt_find_recipient_device(struct receipt_work *, const uint8_t *device_id, const struct receipt_event *,
                                                const uint8_t **org_id);

/** By which key of its organisation: a device list, or an act that is no hold (receipt_keys.c). */
int receipt_check_item_by_org(struct receipt_work *, const struct receipt_item *);

/** What holds between the parts: receipt_steps.c, receipt_content.c. */
int receipt_check_log(struct receipt_work *);
int receipt_check_disclosure(struct receipt_work *);
int receipt_check_deposit(struct receipt_work *);
int receipt_check_content(struct receipt_work *);

#endif
