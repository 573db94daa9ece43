/*
 * mail: envelopes of our organisation's mailbox that are no posts: first contact, proposal letters, what is sent under agreements, and what
 * became of it.  The checks stand in the order of CRYPTO 2.5, "Receiver order".  What fails before its signature is proven is
 * dropped and counted; what fails after it is kept as a record with its problem, told in the inbox, and never opened.
 * mail.c judges and opens, mail_record.c keeps, mail_fate.c follows what became of it.
 */
#ifndef RENKEI_CLIENT_MAIL_H
#define RENKEI_CLIENT_MAIL_H

#include "client/client.h"

/* Detail of an INBOX_ALERT about a queued dossier or notice of ours that will not go: this and the code's name.  Its id is the agreement's. */
#define INBOX_UNSENT "unsent:"

/** Record of an envelope; RK_ENOTFOUND. */
int mail_load(struct txn *, const uint8_t env_id[32], struct arena *, Rkl__EnvelopeRecord **out);

/** All records of which `wants` says true, newest first, at most `max` (0: all); in the arena. */
int mail_list(struct txn *, struct arena *, bool (*wants)(const Rkl__EnvelopeRecord *), size_t max, Rkl__EnvelopeRecord ***out,
              size_t *count);

/** Content of an envelope.  RK_ENOTFOUND (not here), RK_ENEWER (kept sealed), RK_EINTEGRITY. */
int mail_message(struct client *, struct txn *, const Rkl__EnvelopeRecord *, struct arena *, Rk__Message **out);

/** The exchange took what we sent under an agreement: keeps our own copy of the content, opened with our own wrap. */
int mail_on_sent(struct client *, struct txn *, struct bytes head, struct bytes wraps, struct bytes body);

/** Marks an incoming envelope as one that is not wanted: it is never picked up here.  RK_CONFLICT if it was opened. */
int mail_decline(struct txn *, const uint8_t env_id[32]);

/** "lodged", "picked_up", "opened", "declined", "returned", "failed", "needs_newer". */
const char *mail_state_name(Rkl__EnvelopeState);
/** "expired", "nda_ended", "recipient_left"; "" for none. */
const char *mail_return_name(uint32_t reason);

#endif
