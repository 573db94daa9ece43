/* evidence_internal: the records that taking in and assembling share. */
#ifndef RENKEI_CLIENT_EVIDENCE_INTERNAL_H
#define RENKEI_CLIENT_EVIDENCE_INTERNAL_H

#include "client/evidence.h"

enum evidence_kind { EVIDENCE_RECORD = 'R', EVIDENCE_OBJECT = 'O', EVIDENCE_SALT = 'S' };

#define EVIDENCE_KEY_BYTES 33
void evidence_key(uint8_t key[EVIDENCE_KEY_BYTES], enum evidence_kind, const uint8_t id[32]);

/** RK_ENOTFOUND. */
int evidence_load(struct txn *, const uint8_t id[32], struct arena *, Rkl__EvidenceRecord **out);

/** Opens what evidence_on_salt or evidence_on_deposit sealed.  RK_ENOTFOUND (not here, or its key was destroyed), RK_EINTEGRITY. */
int evidence_open_salt(struct client *, struct txn *, const uint8_t id[32], bool is_deposit, struct arena *, struct bytes *out);

/* ---- assembling: evidence_make.c loads, evidence_choose.c chooses */

/* One copy, as it goes into the receipt. */
struct evidence_piece {
	struct receipt_object o;
	uint64_t index;
	const ProtobufCMessage *message;
	enum evidence_why lack;  /* EVIDENCE_NONE; acts are kept without leaf or proof: perhaps they are not needed */
	bool is_needed;          /* device lists: something rests on it */
	bool is_bad;             /* the verifier refused it: what rests on it is left out */
	bool is_again;           /* answers: the same device has an earlier one */
	const uint8_t *org_id;   /* answers: whose device it was; NULL: no list that we have says it */
};

struct evidence_pieces {
	struct evidence_piece *list;
	size_t n;
};

/* Answers as the receipt shows them. */
struct evidence_chosen {
	struct evidence_piece *list[RECEIPT_PICKUPS_MAX];
	size_t n;
};

struct evidence_choice {
	const Rk__EnvelopeHeader *header;
	struct evidence_pieces devices, acts, pickups, nacks; /* all that there are, by index */
	uint64_t index;                              /* of the envelope or the deposit */
	struct evidence_chosen shown_pickups, shown_nacks;
	size_t shown_acts;                           /* the first of them */
	unsigned left_out;                           /* answers of no device that we know, or more than there is room for */
	unsigned bad_pickups, bad_nacks;             /* left out because they do not prove themselves */
};

/**
 * Before anything is chosen: lists under a key that came after the disclosure, for which the one directory of the receipt does not vouch,
 * are left to later receipts; and so are pickups that were asked for after an act under such a key.  How many of these.
 */
void evidence_drop_later_lists(struct evidence_choice *, const struct evidence_piece *directory, const uint8_t exchange_id[32]);
unsigned evidence_drop_later_pickups(struct evidence_choice *, const struct evidence_piece *directory, const uint8_t exchange_id[32]);
/** Chooses answers, acts and lists, anew each time: what is_bad is not there. */
void evidence_choose(struct evidence_choice *);
/** Of a deposit there are only lists. */
struct evidence_piece *evidence_sender_list(struct evidence_choice *, const uint8_t sender_org[16]);
/** The verifier refused the receipt at this member: an answer, or a list under answers, is bad from now on.  False: neither is it. */
bool evidence_blame(struct evidence_choice *, const struct evidence_piece *sender_list, const char *member);

#endif
