/*
 * zap: answers libzmq's question "may this CURVE key shake hands?" (ZeroMQ RFC 27) from the roster, in memory: no
 * store, no signature, since handshakes stand in one line behind it (HAZARDS Z7).  It gives the User-Id by which the
 * rest of the broker knows a peer.
 */
#ifndef RENKEI_BROKER_ZAP_H
#define RENKEI_BROKER_ZAP_H

#include "broker/path.h"

/* Borrowed by the thread; the socket is closed by it. */
struct zap {
	struct path *path;
	void *socket; /* socket_zap's */
};

/** The thread: runs until path->closing.  Should it end otherwise, the process must: path_fail.  Argument: struct zap
 * *. */
void *zap_run(void *zap);

#endif
