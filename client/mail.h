/*
 * mail: envelopes of our organisation's mailbox that are no posts: first contact, proposal letters, what is sent under agreements, and what
 * became of it.  The checks stand in the order of CRYPTO 2.5, "Receiver order".  What fails before its signature is proven is
 * dropped and counted; what fails after it is kept as a record with its problem, told in the inbox, and never opened.
 * mail.c judges and opens, mail_record.c keeps, mail_fate.c follows what became of it, mail_signed.c what became of our own signatures.
 */
#ifndef RENKEI_CLIENT_MAIL_H
#define RENKEI_CLIENT_MAIL_H

#include "client/client.h"

/* Detail of an INBOX_ALERT about a queued dossier or notice of ours that will not go: this and the code's name.  Its id is the agreement's. */
#define INBOX_ASIDE "aside:" /* then what, and its number: it waited in a home that is a copy, and is not sent by itself */
#define INBOX_UNSENT "unsent:"
/* Details of an INBOX_ALERT about the exchange: content that came before anybody here signed for it; a pickup without a place in the log. */
#define INBOX_UNASKED "bulk-unasked"
#define INBOX_UNLOGGED "pickup-unlogged"

/** Record of an envelope; RK_ENOTFOUND. */
int mail_load(struct txn *, const uint8_t env_id[32], struct arena *, Rkl__EnvelopeRecord **out);

/** All records of which `wants` says true, newest first, at most `max` (0: all); in the arena. */
int mail_list(struct txn *, struct arena *, bool (*wants)(const Rkl__EnvelopeRecord *), size_t max, Rkl__EnvelopeRecord ***out,
              size_t *count);

/** Content of an envelope.  RK_ENOTFOUND (not here), RK_ENEWER (kept sealed), RK_EINTEGRITY. */
int mail_message(struct client *, struct txn *, const Rkl__EnvelopeRecord *, struct arena *, Rk__Message **out);

/** The exchange took what we sent under an agreement: keeps our own copy of the content, opened with our own wrap. */
int mail_on_sent(struct client *, struct txn *, struct bytes head, struct bytes wraps, struct bytes body);

/**
 * Declines what came and was not signed for: it is never picked up here, and a Nack that says so is queued; *item names it, or is 0 if
 * it is on record already.  RK_CONFLICT: our own, or signed for, or refused before; RK_QUOTA.
 */
int mail_decline(struct client *, struct txn *, const uint8_t env_id[32], uint64_t *item);

/**
 * What was opened is not what its sender has signed after all: an attachment.  Kept as a failure, told in the inbox, and a Nack is queued.
 */
int mail_refuse(struct client *, struct txn *, const uint8_t env_id[32], int problem);
/** The desk of ours that it came to; 0: it came to the whole organisation, or is our own. */
uint32_t mail_own_desk(struct client *, const Rkl__EnvelopeRecord *);
/** Is this device one of those that it came to?  By the desks of the newest list; true of what is our own. */
bool mail_is_for_this_device(struct client *, struct txn *, const Rkl__EnvelopeRecord *);

/* ---- answers to what we signed; `object` is the Signed frame as it was sent */

/**
 * A Pickup was granted.  RK_EINTEGRITY if the broker names no place in its log for what we had not picked up before: that would be a
 * release without a record, so nothing of it is opened (told in the inbox).
 */
int mail_on_pickup_answer(struct client *, struct txn *, struct bytes object, const struct outcome *);
/** A Nack was taken in or refused.  A refused decline leaves the envelope as it was.  RK_EINTEGRITY: taken in, but not logged. */
int mail_on_nack_answer(struct client *, struct txn *, struct bytes object, const struct outcome *);

/* ---- what became of it */

/* At one of those whom it was sent to. */
enum mail_outcome { MAIL_LODGED, MAIL_PICKED_UP, MAIL_REFUSED /* does not open there */, MAIL_DECLINED, MAIL_RETURNED, MAIL_OUTCOME_COUNT };
struct mail_fate {
	enum mail_outcome outcome;
	const Rkl__PickupMark *pickup;   /* the first of its devices; NULL without */
	const Rkl__NackMark *nack;
	const Rkl__ReturnMark *returned;
};
void mail_fate(const Rkl__EnvelopeRecord *, const uint8_t org_id[16], struct mail_fate *);
/** Of all recipients together: picked up by any, else refused by any, else the same of waiting, declined, returned. */
enum mail_outcome mail_outcome(const Rkl__EnvelopeRecord *);

/** Has this device picked it up, or refused it? */
bool mail_has_pickup(const Rkl__EnvelopeRecord *, struct bytes device_id);
bool mail_has_nack(const Rkl__EnvelopeRecord *, struct bytes device_id);

/** "lodged", "picked_up", "refused", "declined", "returned". */
const char *mail_outcome_name(enum mail_outcome);
/**
 * What was sent: the name of its outcome.  What came: "waiting", "picked_up" (by another device), "opened", "declined", "failed",
 * "needs_newer", "destroyed".
 */
const char *mail_state_name(const Rkl__EnvelopeRecord *);
/** "expired", "nda_ended", "recipient_left", "declined"; "" for none. */
const char *mail_return_name(uint32_t reason);
/** "unopened", "declined"; "" for none. */
const char *mail_nack_name(uint32_t reason);

#endif
