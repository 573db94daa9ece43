/*
 * counts_kit: the broker's path for counting: its steps driven by hand from one thread, one after the other, with real connections (ROUTER,
 * CURVE, ZAP) before it and a real store behind it.  What is left to chance otherwise stands still: how many messages a turn finds, the clock,
 * ids and keys (unit/world's), and which implementation a library chooses for this machine's CPU.
 */
#ifndef RENKEI_TESTS_COUNTS_KIT_H
#define RENKEI_TESTS_COUNTS_KIT_H

#include <pthread.h>

#include "broker/applier.h"
#include "broker/net.h"
#include "broker/verify.h"
#include "broker/zap.h"
#include "tests/unit/world.h"

struct rig {
	struct world w;
	struct config config;
	struct path path;
	struct net net;              /* front, admit, deliver */
	struct applier *applier;
	struct verify_thread verify;
	struct arena *pages_arena;
	struct zap zap;
	pthread_t zap_thread;
	void *router;                /* front's: here only to wait for what has arrived */
	void *client_context, *clients[WORLD_ORGS]; /* of each organisation's first device; NULL: not connected */
};

/** An exchange of all of the world's organisations, the path over its store, nobody connected.  The store has no journal: each batch is committed.
 *  saves: it has one, and each command is a batch of its own, as where they come one by one; rig_apply ends with the commit of what was saved. */
struct rig *rig_open(bool saves);
void rig_close(struct rig *);
/** Connects an organisation's first device; HELLO. */
void rig_connect(struct rig *, int org);
/** From its head on, with all the credit there may be. */
void rig_subscribe(struct rig *, int org, struct stream_id);

/** In one bundle, as a home sends what it has to say.  Returns when front can receive it. */
void rig_send_all(struct rig *, int org, struct command *const *, unsigned n);
void rig_send(struct rig *, int org, const struct command *);
/** The steps of the threads behind net's, here and now, until there is nothing left for them. */
void rig_verify(struct rig *);
void rig_apply(struct rig *);
/** deliver, and what rk-pages does for it (page_load_turn). */
void rig_deliver(struct rig *);
/** Waits for n messages; how many of them are deliveries.  Any reply but RK_OK ends the program. */
unsigned rig_receive(struct rig *, int org, unsigned n);

/** The broker's deadlines go by a clock that stands (path_monotonic_ms): this moves it on. */
void rig_later(int64_t ms);

/** While it is not NULL, what this thread takes by malloc, calloc and realloc (libraries included) is counted here. */
extern __thread uint64_t *rig_allocations;

#endif
