/*
 * admit: the thread behind front.  Parses each header, checks the peer's status and session, and sends the command on
 * its way: to verify, to apply, to deliver, or back with a refusal.  It keeps each device's order: while one of its
 * commands is being verified, its later ones wait here.
 */
#ifndef RENKEI_BROKER_ADMIT_H
#define RENKEI_BROKER_ADMIT_H

#include "broker/path.h"

struct admit;

/** NULL without memory. */
struct admit *admit_new(struct path *);
void admit_free(struct admit *);
/** The thread: runs until path->stopping and nothing is left.  Argument: struct admit *. */
void *admit_run(void *admit);

#endif
