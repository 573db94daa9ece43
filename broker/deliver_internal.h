/*
 * deliver_internal: what the parts of deliver share.  All of it belongs to the thread of net.h.
 */
#ifndef RENKEI_BROKER_DELIVER_INTERNAL_H
#define RENKEI_BROKER_DELIVER_INTERNAL_H

#include "broker/deliver.h"
#include "broker/pages.h"
#include "broker/readers.h"

struct deliver {
	struct path *path;
	struct readers *readers;
	struct pages *pages;
	int64_t now_ms;
	struct message_in *waiting; /* a SUBSCRIBE, and what stands behind it in the ring: until the tables have all that was answered */
	uint64_t store_mark;        /* of path_may_read, for it */
	unsigned under_way;         /* deliveries that front has */
};

/** The reader is gone, and what was on its way to it. */
void deliver_drop(struct deliver *, struct reader *);
/** Runs it, unless it waits for its connection. */
void deliver_wake(struct deliver *, struct reader *);

/* ---- deliver_request.c */
/** Answers a request, or refuses it; one without a body says that the session is gone.  The command stays the caller's. */
void deliver_request(struct deliver *, struct command *);

#endif
