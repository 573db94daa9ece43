/*
 * home_kit: a member's home in a throw-away folder, joined to the exchange of fixed_kit as its fourth organisation, with a clock of
 * its own; and a broker's word for everything that is delivered to it: whatever a test makes up, in log order.
 */
#ifndef RENKEI_TESTS_HOME_KIT_H
#define RENKEI_TESTS_HOME_KIT_H

#include "client/agreement.h"
#include "client/mail.h"
#include "tests/unit/fixed_kit.h"

#define HOME_SELF 3 /* organisation of the home; 0..2 are fixed_kit's */

struct home {
	char folder[64];
	struct client *client;
	struct fixed f;
	struct arena *a;          /* for the life of the test */
	uint8_t org_id[16], org_fp[32];
	uint64_t seq, log_index;  /* of the last delivery */
	uint64_t control_seq;     /* what the next ones of the mailbox name; 1 at first */
	int code;                 /* what the last handler said */
};

/** The clock of home and deliveries, ms. */
extern int64_t home_now_ms;

void home_open(struct home *);
void home_close(struct home *);
const uint8_t *home_org(const struct home *, int org);

/** The secretariat expels org: the next directory comes as entry control_seq of the control stream. */
void home_expel(struct home *, int org, uint64_t control_seq);

/** Runs a handler on one delivery, in a transaction that is committed. */
typedef int home_handler(struct client *, struct txn *, const struct delivery *);
void home_deliver(struct home *, home_handler *, struct bytes object, struct bytes wraps, struct bytes body, bool logged);

/* One agreement while a test makes it: mutual, among orgs 1, 2 and the home; proposed by org 1. */
struct deal {
	Rk__NdaTerms terms;
	Rk__NdaCover cover;
	Rk__Party party[3], *parties[3];
	Rk__CoverParty covered[3], *covers[3];
	Rk__Survival survival;
	uint8_t fp[3][32], salt[32], page_salt[3][32], commit[3][32], doc_commit[32], nda_id[32];
	struct bytes cover_bytes, document, terms_bytes, page[3];
};
/** Fields as a proposer would fill them: today to a year from now.  A test bends them, then calls deal_finish. */
void deal_init(struct home *, struct deal *);
/** Document (unless one is set), commitments, terms and nda_id. */
void deal_finish(struct home *, struct deal *);
/** Delivers the terms, the proposer's ACCEPT and the letter with cover and document. */
void deal_propose(struct home *, struct deal *);
/** Everything up to in force: also ACCEPTs of org 2 and of the home. */
void deal_conclude(struct home *, struct deal *);
/** A Signed act of org (1, 2 or HOME_SELF) and its delivery. */
struct bytes deal_act(struct home *, const struct deal *, int org, Rk__ActKind, const char *reason);
void deal_deliver_act(struct home *, struct bytes wire);
/** Loads it with content; in the home's arena. */
struct agreement *deal_load(struct home *, const struct deal *);

/** An envelope from org 1 or 2 (or the home) to the home (or org 1), sealed to both sides. */
struct sent {
	struct envelope_wire wire;
	Rk__EnvelopeHeader *header;
};
Rk__EnvelopeHeader *home_header(struct home *, Rk__Kind, int from, const struct deal *);
void home_seal(struct home *, Rk__EnvelopeHeader *, int from, struct bytes message, struct sent *);
/** As the broker delivers this kind: NDA kinds are heads only. */
void home_deliver_sent(struct home *, const struct sent *);
/** A packed Message with one file; its hash in the message right or not.  In the home's arena. */
struct bytes home_dossier(struct home *, const char *name, const char *data, bool is_hash_right);
/** The broker's answer to the home's own Pickup, with or without a place in the log; what the home makes of it. */
int home_grant(struct home *, const struct deal *, const struct sent *, bool logged);
/** The answer to a FETCH. */
void home_give_bulk(struct home *, const struct sent *, struct bytes wraps, struct bytes body);
/** An entry with the Pickup of org's device, signed with sk. */
void home_deliver_pickup(struct home *, const struct deal *, const struct sent *, int org, const uint8_t sk[64]);
/** Record of an envelope, in the home's arena; NULL if there is none. */
Rkl__EnvelopeRecord *home_record(struct home *, const uint8_t env_id[32]);
/** How often something was counted, and how many inbox entries of a kind there are. */
uint64_t home_count(struct home *, const char *name);
unsigned home_inbox(struct home *, Rkl__InboxKind);
bool home_has_content(struct home *, const uint8_t env_id[32]);

#endif
