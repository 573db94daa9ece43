/*
 * roster: what the threads before apply may know of the members, in memory: who may shake hands, and which key verifies.
 * Loaded from the store at start, changed by apply's thread after each commit that touches trust.  A cached copy of the
 * state, so it may only refuse early or pick a key; what counts is apply's write transaction (CRYPTO 2.4, 2.8).
 * Every function is safe from any thread (one rwlock; not taken on the FEED path except for the device's status).
 */
#ifndef RENKEI_BROKER_ROSTER_H
#define RENKEI_BROKER_ROSTER_H

#include "proto/bytes.h"
#include "proto/note.h"

struct roster;

struct roster *roster_new(void);
void roster_free(struct roster *);

struct roster_device {
	uint8_t device_id[16], org_id[16];
	uint8_t sign_pk[32], curve_pk[32];
	bool active;              /* device in force and organisation ACTIVE */
};

struct roster_org {
	uint8_t org_id[16];
	uint8_t org_pk[32];
	uint32_t roles;
	bool active;
};

struct roster_invite {
	uint8_t invite_id[16], curve_pk[32];
	int64_t expires_at;       /* 0: ended */
};

void roster_set_exchange(struct roster *, const uint8_t exchange_id[32]);
bool roster_exchange(struct roster *, uint8_t exchange_id[32]);
/** Replace or add; false without memory. */
bool roster_put_device(struct roster *, const struct roster_device *);
void roster_drop_device(struct roster *, const uint8_t device_id[16]);
bool roster_put_org(struct roster *, const struct roster_org *);
bool roster_put_invite(struct roster *, const struct roster_invite *);
void roster_drop_invite(struct roster *, const uint8_t invite_id[16]);
bool roster_put_secretariat_key(struct roster *, const uint8_t signer_id[16], const uint8_t pk[32]);
/** The keys of the charter that sign notes: the log's and the witness's. */
void roster_set_note_keys(struct roster *, const struct note_key *log, const struct note_key *witness);
void roster_note_keys(struct roster *, struct note_key *log, struct note_key *witness);

bool roster_device(struct roster *, const uint8_t device_id[16], struct roster_device *out);
bool roster_org(struct roster *, const uint8_t org_id[16], struct roster_org *out);
bool roster_secretariat_pk(struct roster *, const uint8_t signer_id[16], uint8_t pk[32]);
/** Is this invite still one that may shake hands?  Its connection may be older than its end. */
bool roster_invite_is_open(struct roster *, const uint8_t invite_id[16], int64_t now_ms);
/** For ZAP: "dev:<32 hex>" or "inv:<32 hex>" for a CURVE key that may shake hands at now_ms; false otherwise. */
#define ROSTER_USER_ID_CHARS 37
bool roster_user_id(struct roster *, const uint8_t curve_pk[32], int64_t now_ms, char out[ROSTER_USER_ID_CHARS]);

#endif
