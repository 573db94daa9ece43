/*
 * admit: the step behind front.  Parses each header, checks the peer's status and session, and sends the command on
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
/** Takes what came back from verify and blobs, then some of what front received.  True if there was anything. */
bool admit_turn(struct admit *);
/** Nothing stands in its rings that it could take. */
bool admit_is_idle(struct admit *);
/** How long it may sleep at most. */
int admit_sleep_ms(const struct admit *);

#endif
