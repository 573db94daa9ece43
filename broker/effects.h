/*
 * effects: what a batch wants done outside the store, carried out in its order once it is durable: replies and cuts to front, pages and heads of streams
 * to deliver, attachments that nobody wants to blobs.  Apply's thread only.
 */
#ifndef RENKEI_BROKER_EFFECTS_H
#define RENKEI_BROKER_EFFECTS_H

#include "broker/path.h"
#include "store/stream.h"

struct effects;

/** NULL without memory. */
struct effects *effects_new(struct path *);
/** NULL is allowed. */
void effects_free(struct effects *);
/** Those of path->apply's last batch, whose commands must still be there.  Waits while a ring is full; wakes nobody. */
void effects_carry_out(struct effects *);
/** Tells deliver that a stream has entries up to seq. */
void effects_tell_head(struct effects *, const struct stream_id *, uint64_t seq);

#endif
