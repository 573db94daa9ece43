/*
 * post: what a member says to the whole exchange: composing and queueing, and reading what came.  The content of every live post
 * stands in the home under the home key; topics are matched here, after decryption (CRYPTO 1).  What arrives is feed.c's.
 */
#ifndef RENKEI_CLIENT_POST_H
#define RENKEI_CLIENT_POST_H

#include "client/client.h"

#define POST_LIFETIME_MS ((int64_t)90 * 86400000)
#define POST_LIFETIME_MAX_MS ((int64_t)180 * 86400000)

/* ---- sending; each within the caller's write transaction */

enum post_queued {
	POST_QUEUED,        /* *item is the outbox item */
	POST_ALREADY,       /* external_id was posted before; *post_id says where */
	POST_WAITING,       /* external_id is queued already, as *item */
};

/**
 * Queues a new post of lifetime_ms (0: POST_LIFETIME_MS).  An external_id makes it once only: a second time nothing is queued, unless
 * the first was refused.  RK_OK with *how; RK_EUSAGE (lifetime too long), what strict_pack says of the post, a store's error.
 */
int post_queue(struct client *, struct txn *, const Rk__Post *, int64_t lifetime_ms, enum post_queued *how, uint64_t *item,
               uint8_t post_id[32]);

/** A new version of one of our own live posts.  RK_NOT_OWNER, RK_CONFLICT (withdrawn or expired), RK_ENOTFOUND. */
int post_revise(struct client *, struct txn *, const uint8_t post_id[32], const Rk__Post *, int64_t lifetime_ms, uint64_t *item);
/** The same content for another lifetime; RK_ENEWER if this home cannot read it. */
int post_renew(struct client *, struct txn *, const uint8_t post_id[32], int64_t lifetime_ms, uint64_t *item);
/** Ends it.  RK_NOT_OWNER, RK_CONFLICT (withdrawn already), RK_ENOTFOUND. */
int post_withdraw(struct client *, struct txn *, const uint8_t post_id[32], uint64_t *item);

/* ---- reading */

/* A post with its newest content.  Everything lives in the arena. */
struct post_view {
	const Rkl__PostRecord *record;
	const Rk__Post *post;       /* NULL: sealed, withdrawn, or needs a newer Renkei */
	Rkl__PostStatus status;     /* as of now: expiry counts */
	bool mine;
};

/** RK_ENOTFOUND. */
int post_load(struct client *, struct txn *, const uint8_t post_id[32], struct arena *, struct post_view *);

struct post_filter {
	Rk__Channel channel;        /* CHANNEL_NONE: every one */
	const char *topic;          /* prefix, or NULL */
	bool mine;
	bool all;                   /* withdrawn and expired ones too */
};
bool post_matches(const struct post_view *, const struct post_filter *);
/** True if a topic of the post starts with prefix (ASCII letters of either case). */
bool post_has_topic(const Rk__Post *, const char *prefix);

/** Calls fn for each matching post, newest first; the arena is reset between calls.  Stops at fn's first non-zero and returns it. */
int post_each(struct client *, struct txn *, const struct post_filter *, int (*fn)(void *, const struct post_view *), void *user);

/* One arrival, as feed watch prints it. */
struct post_arrival {
	uint64_t no;                /* to be remembered once it is printed */
	Rk__Channel channel;
	uint64_t seq;
	uint8_t post_id[32];
};
/** The first arrival after `after`; RK_ENOTFOUND if there is none yet. */
int post_next_arrival(struct txn *, uint64_t after, struct post_arrival *);
/** "new", "revise" (renewals too) or "withdraw": what the entry at seq did, as far as this home can tell. */
const char *post_arrival_op(const struct post_view *, uint64_t seq);

/** The text in `lang` of a post, else its first. */
const Rk__PostText *post_text(const Rk__Post *, const char *lang);

/** Channels followed, as a bit each (1 << channel). */
unsigned post_followed(struct txn *);

#endif
