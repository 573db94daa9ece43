/*
 * played: what a home says to a broker that a test plays: its messages one by one, whether they came alone or in a bundle.
 */
#ifndef RENKEI_TESTS_PLAYED_H
#define RENKEI_TESTS_PLAYED_H

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "proto/bundle.h"
#include "proto/errcode.h"

#define PLAYED_FRAME_MAX ((size_t)1024 * 1024)

struct played {
	uint8_t *frame, *object; /* of malloc */
	size_t frame_len, at;    /* at: in a bundle, where its next message stands; 0: there is none */
};

static inline void played_free(struct played *p)
{
	free(p->frame);
	free(p->object);
}

/** Waits up to wait_ms.  *header and *last (the last frame behind it, or empty) are valid until the next call.  False: nothing came, or something that is no message. */
static inline bool played_next(struct played *p, void *router, int wait_ms, void *peer, size_t peer_room, int *peer_len, struct bytes *header, struct bytes *last)
{
	zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
	struct bundle_message m;
	size_t size = sizeof(int);
	unsigned count;
	int n, more = 0, len = 0;

	if (p->frame == NULL) {
		p->frame = malloc(PLAYED_FRAME_MAX);
		p->object = malloc(PLAYED_FRAME_MAX);
	}
	if (p->at == 0) {
		if (zmq_poll(&item, 1, wait_ms) <= 0)
			return false;
		*peer_len = zmq_recv(router, peer, peer_room, 0);
		if ((n = zmq_recv(router, p->frame, PLAYED_FRAME_MAX, 0)) < 0)
			return false;
		p->frame_len = (size_t)n;
		while (zmq_getsockopt(router, ZMQ_RCVMORE, &more, &size) == 0 && more)
			len = zmq_recv(router, p->object, PLAYED_FRAME_MAX, 0);
		*header = bytes_make(p->frame, p->frame_len);
		*last = bytes_make(p->object, len > 0 ? (size_t)len : 0);
		if (!bundle_is(*header))
			return true;
		if (bundle_check(*header, &count) != RK_OK)
			return false;
	}
	if (!bundle_next(bytes_make(p->frame, p->frame_len), &p->at, &m)) {
		p->at = 0;
		return false;
	}
	*header = m.frames[0];
	*last = m.frame_count > 1 ? m.frames[m.frame_count - 1] : bytes_make(p->object, 0); /* empty, but somewhere */
	return true;
}

#endif
