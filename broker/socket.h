/*
 * socket: makes the broker's sockets with every option that HAZARDS asks for, set before bind and read back.  Nothing
 * else.
 */
#ifndef RENKEI_BROKER_SOCKET_H
#define RENKEI_BROKER_SOCKET_H

#include <stdint.h>

#include "broker/config.h"

#define SOCKET_ENDPOINT_CHARS 300
#define SOCKET_ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define SOCKET_ZAP_DOMAIN "renkei"
#define SOCKET_FRAME_MAX_BYTES (1024 * 1024) /* of one frame, handshake included (Z5) */

/** The one context of the process.  NULL: no descriptors or memory. */
void *socket_context(void);

/** The ZAP handler's REP, bound.  Call before socket_router (Z6).  NULL on failure, errno says why. */
void *socket_zap(void *context);

/**
 * The ROUTER, bound to `endpoint`; *bound gets the endpoint with the real port.  Returns NULL, and *failed names the
 * step, errno why.
 */
void *socket_router(void *context, const struct config *, const uint8_t curve_sk[32], const char *endpoint,
                    char bound[SOCKET_ENDPOINT_CHARS], const char **failed);

#endif
