/*
 * front: the step that owns the ROUTER.  It receives, looks the peer up by User-Id, takes tokens, hands on; and
 * sends.  It never parses, verifies, reads or writes the store: what floods in costs its receiving and a look at its tokens
 * (HAZARDS Z2), and is dropped before anybody else has to do with it.  All but new and free: net's thread.
 */
#ifndef RENKEI_BROKER_FRONT_H
#define RENKEI_BROKER_FRONT_H

#include "broker/path.h"

struct front;

/** Takes over the bound ROUTER; NULL without memory (the socket stays the caller's). */
struct front *front_new(struct path *, void *router);
/** Frees what front_new made; front_finish has closed the socket. */
void front_free(struct front *);
/** Sends what stands in the rings, tries again what waits, receives some and hands it on.  True if there was anything. */
bool front_turn(struct front *);
/** Only the sending; true if there was anything. */
bool front_send(struct front *);
/** Nothing stands in its rings. */
bool front_is_idle(struct front *);
/** How long it may sleep at most. */
int front_sleep_ms(const struct front *);
/** With the bell armed: sleeps until it rings, a message comes or ms are over; disarms. */
void front_sleep(struct front *, int ms);
/** All other threads have ended: sends what is left, bounded in time, and closes the socket. */
void front_finish(struct front *);

/** The peer that "dev:<32 hex>" or "inv:<32 hex>" names; false on NULL or anything else.  For tests. */
bool front_parse_user_id(const char *user_id, struct peer *);

#endif
