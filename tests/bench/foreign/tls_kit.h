/*
 * tls_kit: many TLS 1.3 connections in one thread, for the load of other brokers.  Sending fills a buffer, which leaves at the end of each
 * turn: as few records and system calls as the load allows, in favour of all brokers alike.  Their protocols are spoken by hand above
 * it, since client libraries of the three differ more in cost than the brokers do.
 */
#ifndef RENKEI_BENCH_TLS_KIT_H
#define RENKEI_BENCH_TLS_KIT_H

#include <stddef.h>
#include <stdint.h>

struct tls;

/** What has arrived and was not yet taken: how many bytes of it are taken now (whole messages). */
typedef size_t tls_fn(void *user, unsigned connection, const uint8_t *data, size_t len);

/** Room for `max` connections; `fd` wakes tls_wait too.  The certificate in `ca` alone is believed.  All of these end the program on failure. */
struct tls *tls_new(unsigned max, int fd, const char *ca, tls_fn *, void *user);
void tls_free(struct tls *);

/** Connects to 127.0.0.1:port: its number.  `greeting` bytes are read in the clear first and dropped up to a line's end (NATS), if it is set. */
unsigned tls_connect(struct tls *, unsigned port, int has_greeting);
void tls_send(struct tls *, unsigned connection, const void *data, size_t len);
/** Sends what was filled in, waits up to ms, hands over what came. */
void tls_wait(struct tls *, int ms);

#endif
