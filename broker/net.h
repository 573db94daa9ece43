/*
 * net: the thread that has the ROUTER.  It runs three steps in turns: front (receive, send), admit (parse, check) and deliver (streams to readers).
 * They are modules of their own with rings between them, as towards verify, blobs and apply; that they share a thread saves each message four
 * changes of thread and each delivery two.  What it costs is bounded: admit parses nothing that front has not taken a token for, each turn is
 * short, and none of the three ever waits for another one of the three.
 */
#ifndef RENKEI_BROKER_NET_H
#define RENKEI_BROKER_NET_H

#include "broker/admit.h"
#include "broker/deliver.h"
#include "broker/front.h"

/* Borrowed.  NULL: a test plays that step, at the rings. */
struct net {
	struct path *path;
	struct front *front;
	struct admit *admit;
	struct deliver *deliver;
};

/** The thread: runs until path->closing, then sends what is left and closes the ROUTER.  Argument: struct net *. */
void *net_run(void *net);

#endif
