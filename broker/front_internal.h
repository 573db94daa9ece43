/*
 * front_internal: what the two sides of front share.  All of it belongs to the thread of net.h.
 */
#ifndef RENKEI_BROKER_FRONT_INTERNAL_H
#define RENKEI_BROKER_FRONT_INTERNAL_H

#include "broker/front.h"
#include "broker/slots.h"

#define FRONT_TURN_MESSAGES 256      /* received (as many as admit takes: more would fill its ring) or sent in one turn, so that neither side starves the other */

struct front {
	struct path *path;
	void *router;
	struct slots *slots;
	int64_t now_ms;              /* as of this turn */
	/* The sending side's alone. */
	int64_t retry_ms;            /* next look at what waits */
	struct slot *waiting;        /* slots with waiting replies */
	size_t waiting_bytes;        /* of all slots */
};

/* ---- front_receive.c */
/** Takes some of what the ROUTER has: each message goes to admit, or is dropped and counted.  True if there was anything. */
bool front_receive_some(struct front *);

#endif
