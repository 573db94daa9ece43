/*
 * front: the one thread that owns the ROUTER.  It receives, looks the peer up by User-Id, takes tokens, hands on; and
 * sends.  It never parses, verifies, reads or writes the store: 5 us more a message here are 571 MiB in a flood
 * (HAZARDS Z2).
 */
#ifndef RENKEI_BROKER_FRONT_H
#define RENKEI_BROKER_FRONT_H

#include "broker/path.h"

struct front;

/** Takes over the bound ROUTER; NULL without memory (the socket stays the caller's). */
struct front *front_new(struct path *, void *router);
/** Frees what front_new made; the thread has ended and closed the socket. */
void front_free(struct front *);
/** The thread: runs until path->closing, then sends what is left and closes the socket.  Argument and result: struct
 * front *, NULL. */
void *front_run(void *front);

/** The peer that "dev:<32 hex>" or "inv:<32 hex>" names; false on NULL or anything else.  For tests. */
bool front_parse_user_id(const char *user_id, struct peer *);

#endif
