/*
 * secretariat: the duties of the organisation that keeps the exchange: invites, enrolments, the directory, feed epochs and their keys.
 * It is an ordinary client with one key more (S).  The seed of an invite stays in the home that made it: only there can the request
 * be approved (CRYPTO 2.3).  secretariat.c: enrolments; secretariat_invite.c: invites; secretariat_directory.c, secretariat_feed.c: what it
 * signs; secretariat_duty.h: what it owes; secretariat_ahead.h: signing ahead.
 *
 * Every change of the directory is a full snapshot over the newest one known here; so callers sync first, and a second change waits
 * until the first is answered.
 */
#ifndef RENKEI_CLIENT_SECRETARIAT_H
#define RENKEI_CLIENT_SECRETARIAT_H

#include "client/client.h"
#include "proto/invite.h"
#include "proto/trust.h"

/** Is this organisation's role SECRETARIAT in the newest directory, and is the key here?  RK_OK, RK_NOT_PERMITTED; unlocks S. */
int secretariat_unlock(struct client *);
bool secretariat_is_here(struct client *);

/* ---- invites */

/** Makes an invite that ends at expires_at, registers it (queued as *item) and writes its text. */
int secretariat_invite(struct client *, const char *note, int64_t expires_at, char text[INVITE_TEXT_CHARS], uint64_t *item);

/** Calls fn for each invite that may still be used; stops at the first non-zero. */
int secretariat_each_invite(struct client *, struct txn *, int (*fn)(void *, const Rkl__InviteRecord *), void *user);
/** Ends an invite that nobody has used.  RK_ENOTFOUND: not made in this home. */
int secretariat_end_invite(struct client *, const uint8_t invite_id[16], uint64_t *item);

/* ---- enrolments */

struct secretariat_request {
	Rkl__EnrolmentRecord *record;
	struct trust_enrol enrol;
	char fingerprint[64];       /* to be compared with what is read aloud */
	const char *note;           /* of the invite; "" */
	int problem;                /* RK_OK, or why it cannot be approved here: RK_BAD_SIGNATURE (tag), RK_ENOTFOUND (the invite was
	                             * made elsewhere), RK_INVITE_USED (a second request of one invite) */
};
/** The request of org_id; everything in the arena.  RK_ENOTFOUND. */
int secretariat_open(struct client *, struct txn *, const uint8_t org_id[16], struct arena *, struct secretariat_request *);
/** Finds a waiting request by id prefix or (part of a) name: RK_ENOTFOUND, RK_CONFLICT (several). */
int secretariat_find(struct client *, struct txn *, const char *text, uint8_t org_id[16]);
/** Calls fn for each request in state `state`; stops at the first non-zero. */
int secretariat_each(struct client *, struct txn *, Rkl__EnrolmentState, int (*fn)(void *, const struct secretariat_request *),
                     void *user);

/**
 * Approves: queues Directory n+1 with the organisation, then its feed keys.  `fingerprint` is what was read aloud.  *item = the
 * directory's.  RK_EINTEGRITY: the fingerprint differs; request.problem's codes; RK_BUSY: an earlier change is not answered yet.
 */
int secretariat_approve(struct client *, const uint8_t org_id[16], const char *fingerprint, uint64_t *item);
/** Ends the invite and with it the request. */
int secretariat_reject(struct client *, const uint8_t org_id[16], uint64_t *item);
/** What to remember when the broker has taken it. */
int secretariat_settle(struct client *, const uint8_t org_id[16], Rkl__EnrolmentState);

/**
 * Another key for a member (secretariat_rekey.c): queues Directory n+1.  fingerprint is of the new key, as it was read aloud.
 * RK_EINTEGRITY: it differs; RK_UNKNOWN_RECIPIENT; RK_NOT_PERMITTED: it is expelled; RK_CONFLICT: the request is not about its key of now;
 * RK_BUSY.
 */
struct orgkey_request;
int secretariat_rekey(struct client *, const uint8_t org_id[16], const struct orgkey_request *, const char *fingerprint,
                      uint64_t *item);
/** How many epochs with posts that may still live have no key in this home: their keys are issued elsewhere. */
int secretariat_missing_epochs(struct client *, unsigned *missing);

/* ---- directory, epochs, keys */

/** A new directory in which org_id has this status.  EXPELLED also begins a new epoch and queues keys for all that remain.
 *  RK_NOT_PERMITTED (our own organisation), RK_CONFLICT (it has that status, or was expelled), RK_BUSY. */
int secretariat_set_status(struct client *, const uint8_t org_id[16], Rk__OrgStatus, uint64_t *item);

/* Pieces, for exchange.c and between the two files. */
int secretariat_make_epoch(struct client *, const uint8_t exchange_id[32], uint32_t n, const struct trust_prev *prev,
                           uint64_t directory_serial, const uint8_t ek[32], struct arena *, struct bytes *wire);
int secretariat_make_feed_key(struct client *, const uint8_t exchange_id[32], uint32_t n, const uint8_t ek[32],
                              const uint8_t device_id[16], uint32_t kx_serial, const uint8_t kx_pk[32], struct arena *,
                              struct bytes *wire);
/** Remembers that this device has the key of epoch n by another way than the outbox: in charter.rk. */
int secretariat_mark_issued(struct txn *, uint32_t n, const uint8_t device_id[16], uint32_t kx_serial);
/** Queues Directory n+1: the newest one with `extra` added (NULL: none) and, where org_id is given, that row's status set. */
int secretariat_queue_directory(struct client *, struct txn *, const Rk__Org *extra, const uint8_t *org_id, Rk__OrgStatus,
                                uint64_t *serial, uint64_t *item);
/** Queues Directory n+1 in which this row stands in place of the one of its organisation, but for the lists that it pins. */
int secretariat_queue_row(struct client *, struct txn *, const Rk__Org *changed, uint64_t *item);
/** Calls fn for each active device that lacks the newest epoch's key, or may not have been able to read it; stops at the first non-zero. */
int secretariat_each_missing(struct client *, struct txn *, int (*fn)(void *, const uint8_t device_id[16]), void *user);
/** Queues feed keys of one device for every epoch that may still have a live post.  *issued grows. */
int secretariat_queue_keys(struct client *, struct txn *, const uint8_t device_id[16], uint32_t kx_serial,
                           const uint8_t kx_pk[32], unsigned *issued);

#endif
