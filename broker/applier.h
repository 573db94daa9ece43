/*
 * applier: the apply thread.  Group commit: all that arrived while the last fsync ran becomes one batch, gets one time,
 * and is applied and committed; only then do replies, cuts and stream heads leave.  It alone changes the store.
 */
#ifndef RENKEI_BROKER_APPLIER_H
#define RENKEI_BROKER_APPLIER_H

#include "broker/path.h"

struct applier;

/** NULL without memory. */
struct applier *applier_new(struct path *);
void applier_free(struct applier *);
/** The thread: runs until path->stopping and its ring is empty.  Argument: struct applier *. */
void *applier_run(void *applier);

#endif
