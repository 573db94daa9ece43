/*
 * member: the keys of a real home for a test program that speaks the wire by hand (rawpeer), and FEED posts sealed beforehand.
 */
#ifndef RENKEI_TESTS_MEMBER_H
#define RENKEI_TESTS_MEMBER_H

#include "client/client.h"
#include "tests/unit/rawpeer.h"

struct member {
	struct client *client;
	struct arena *arena;
	char endpoint[300];
	uint8_t broker_pk[32], curve_pk[32];
	uint64_t directory_serial;
	uint32_t epoch;
	uint8_t ek[32];
	uint8_t writer_epoch[8];  /* the home's own: using another would make the home stop (stale-writer) */
};

/** Opens a home with the passphrase in RENKEI_PASSPHRASE_FILE and unlocks its device key; ends the process with a sentence if it cannot. */
void member_open(struct member *, const char *home);
void member_close(struct member *);
/** A connection with the member's device key. */
struct rawpeer *member_connect(const struct member *);

/** One FEED post (channel OFFER, NEW) of about body_bytes, sealed by the rules.  `nonce16` names it. */
struct member_post {
	uint8_t nonce16[16];
	struct bytes head;      /* Signed EnvelopeHead */
	Rk__Signed *signed_head;
	struct bytes body;
};
void member_seal(struct member *, int64_t created_at, size_t body_bytes, struct arena *, struct member_post *out);
/** The same of a post as people read it, which is nothing but its title. */
void member_seal_titled(struct member *, int64_t created_at, const char *title, struct arena *, struct member_post *out);

#endif
