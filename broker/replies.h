/*
 * replies: what a batch answers, those of one connection together in one frame where it takes bundles.  Their order is kept for each connection.
 * Apply's thread only.
 */
#ifndef RENKEI_BROKER_REPLIES_H
#define RENKEI_BROKER_REPLIES_H

#include "broker/message.h"
#include "broker/ring.h"

struct replies;

/** Filled ones go to `out`, which must outlive it.  NULL without memory. */
struct replies *replies_new(struct ring *out);
/** Nothing stands in it; NULL is allowed. */
void replies_free(struct replies *);
/** A reply without bulk.  False without memory: it is lost.  (Without memory at the flush others may be, counted as lost.) */
bool replies_add(struct replies *, const struct peer *, struct bytes header);
/** Hands over all that was added, before anything that must not be overtaken by it, and at the end of the batch. */
void replies_flush(struct replies *);

#endif
