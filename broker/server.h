/*
 * server: starts the threads of the path and stops them in order.  The main thread's, which itself only waits for
 * signals.
 */
#ifndef RENKEI_BROKER_SERVER_H
#define RENKEI_BROKER_SERVER_H

#include "broker/path.h"

struct server;

/**
 * Starts all threads on a filled path.  Takes over both sockets.  Signals must be blocked already (HAZARDS Z18): the
 * threads inherit that. RK_ENOMEM, RK_EINTERNAL: some threads may run already, so the process must end.
 */
int server_start(struct path *, void *router, void *zap_socket, struct server **out);

/* How the stop goes on; each step is asked for again until it says true. */
/** New work is refused `moving`. */
void server_drain(struct server *);
/** True once nothing that was accepted is unanswered. */
bool server_is_drained(struct server *);
/** Ends all threads in the order of the path, sends what is left, closes the sockets, frees.  Only when drained. */
void server_stop(struct server *);

#endif
