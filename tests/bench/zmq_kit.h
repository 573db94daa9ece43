/*
 * zmq_kit: many DEALER connections with CURVE in one thread and one context, for the load of the floor and of Renkei.  Waiting goes
 * over epoll and ZMQ_FD: zmq_poll would look at a thousand sockets each time.
 */
#ifndef RENKEI_BENCH_ZMQ_KIT_H
#define RENKEI_BENCH_ZMQ_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "proto/bytes.h"

#define PEER_FRAMES_MAX 8

struct peers;

struct peer_message {
	zmq_msg_t frame[PEER_FRAMES_MAX];
	unsigned count;
};

/** Called for each message of a connection, which lives until it returns. */
typedef void peers_fn(void *user, unsigned peer, struct peer_message *);

/** Room for `max` connections; `fd` (or -1) wakes peers_wait too.  Ends the program without memory, as all of these do when libzmq refuses. */
struct peers *peers_new(unsigned max, int fd, peers_fn *, void *user);
void peers_free(struct peers *);

/** Connects, with these keys: its number, 0, 1, 2 ... */
unsigned peers_connect(struct peers *, const char *endpoint, const uint8_t server_pk[32], const uint8_t pk[32], const uint8_t sk[32]);
/** Sends frames; never waits, since nothing bounds its queue. */
void peers_send(struct peers *, unsigned peer, const struct bytes *frames, size_t n);
/** Waits up to ms for anything, then hands over what has arrived. */
void peers_wait(struct peers *, int ms);

#endif
