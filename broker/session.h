/*
 * session: admit's table of peers.  A device's session is the connection of its newest HELLO; what comes over an older
 * one is `superseded`, what comes over one that never said HELLO (a reconnected client, a restarted broker) is
 * `generation`: say HELLO again.  It also keeps each peer's order while one of its commands is being verified.  Net's
 * thread only.
 */
#ifndef RENKEI_BROKER_SESSION_H
#define RENKEI_BROKER_SESSION_H

#include "broker/idtable.h"
#include "broker/message.h"

#define SESSION_OLD_CONNECTIONS 4

struct session {
	struct idtable_key key;
	uint64_t connection;      /* message_connection of the newest HELLO; 0: none yet */
	uint64_t old[SESSION_OLD_CONNECTIONS]; /* connections that newer ones took over, newest first */
	int64_t seen_ms;
	bool bundles;             /* it takes them: its HELLO said so */
	bool is_busy;             /* one of its commands is being verified */
	struct message_in *queue, **queue_end; /* those that wait for it */
	unsigned queued;
	unsigned in_blobs;        /* of its commands, with the blobs thread */
	unsigned blobs;           /* with it or waiting for their turn */
	int64_t proof_milli;      /* tokens for the leaves of GET_PROOF, 1/1000; below 0: a debt */
	int64_t proof_ms;         /* when they were counted */
};

struct sessions;

/** A peer is about to be forgotten.  False: it must not be just now. */
typedef bool sessions_forget(void *user, const struct peer *);

/** forget may be NULL.  NULL without memory. */
struct sessions *sessions_new(size_t capacity, sessions_forget *forget, void *user);
/** Frees also what waits.  NULL is allowed. */
void sessions_free(struct sessions *);
/** The session of a peer, made if need be; NULL when the table is full of peers that are not idle. */
struct session *session_get(struct sessions *, const struct peer *, int64_t now_ms);
struct session *session_find(struct sessions *, const struct peer *);
size_t sessions_count(const struct sessions *);

/** A HELLO came over the peer's connection: it is the session from now on. */
void session_hello(struct session *, const struct peer *, bool bundles);
/** RK_OK, RK_SUPERSEDED or RK_GENERATION for anything but HELLO. */
int session_check(const struct session *, const struct peer *);
/** The device was cut: should it come back, it must say HELLO again. */
void session_end(struct session *);

/**
 * Takes the tokens of a GET_PROOF's leaves, before any work is done for them: one for each MERKLE_LEAVES_PER_TOKEN.  (The request itself and
 * its bytes are paid for in slots, as every other's.)  Whoever has one may go into debt for the rest.  False: too soon.
 */
bool session_take_proof(struct session *, size_t leaves, int64_t rate_per_s, int64_t burst, int64_t now_ms);

/** Queue of waiting commands; push is false when max wait already. */
bool session_push(struct session *, struct message_in *, unsigned max);
struct message_in *session_pop(struct session *);

#endif
