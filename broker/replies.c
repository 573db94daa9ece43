#include "broker/replies.h"

#include <stdlib.h>
#include <string.h>

#include "broker/metrics.h"
#include "proto/bundle.h"
#include "proto/errcode.h"

#define PLACES 256 /* connections that answers are gathered for at once; where two meet, the first one's leave */

/* The first reply stands alone in its message; the bundle begins with the second. */
struct place {
	struct message_out *o;   /* NULL: nothing */
	struct bundle bundle;
	bool is_listed;          /* in `used` */
};

struct replies {
	struct ring *out;
	struct place places[PLACES];
	uint16_t used[PLACES];   /* indices of those that were used since the last flush, in that order */
	unsigned used_count;
};

struct replies *replies_new(struct ring *out)
{
	struct replies *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->out = out;
	return r;
}

void replies_free(struct replies *r)
{
	free(r);
}

/* What was gathered is the message's one frame. */
static void close_bundle(struct place *p)
{
	struct message_out *o = p->o;
	zmq_msg_t frame;

	if (p->bundle.count == 0)
		return;
	if (!message_frame_take(&frame, &p->bundle)) {
		/* The first one goes; the others' numbers will be asked for again. */
		metrics_add(M_SEND_LOST, p->bundle.count - 1);
		bundle_clear(&p->bundle);
		return;
	}
	zmq_msg_close(&o->frames[0]);
	o->frames[0] = frame;
	o->bytes = zmq_msg_size(&o->frames[0]);
}

static void put(struct replies *r, struct place *p)
{
	close_bundle(p);
	ring_put_wait(r->out, p->o);
	p->o = NULL;
}

void replies_flush(struct replies *r)
{
	for (unsigned i = 0; i < r->used_count; i++) {
		struct place *p = &r->places[r->used[i]];

		if (p->o != NULL)
			put(r, p);
		p->is_listed = false;
	}
	r->used_count = 0;
}

static bool is_of(const struct message_out *o, const struct peer *peer)
{
	return memcmp(o->peer.id, peer->id, sizeof(peer->id)) == 0 && o->peer.routing_id_len == peer->routing_id_len && memcmp(o->peer.routing_id, peer->routing_id, peer->routing_id_len) == 0;
}

/* Another reply of the same connection.  False: there is no room for it in this message. */
static bool append(struct place *p, struct bytes header)
{
	struct bytes first = bytes_make(zmq_msg_data(&p->o->frames[0]), zmq_msg_size(&p->o->frames[0]));

	if (p->bundle.count == 0 && bundle_add(&p->bundle, &first, 1) != RK_OK)
		return false;
	return bundle_add(&p->bundle, &header, 1) == RK_OK;
}

static bool begin(struct place *p, const struct peer *peer, struct bytes header)
{
	p->o = message_out_new(MESSAGE_REPLY, peer);
	if (p->o != NULL && message_out_copy(p->o, header))
		return true;
	message_out_free(p->o);
	p->o = NULL;
	return false;
}

bool replies_add(struct replies *r, const struct peer *peer, struct bytes header)
{
	unsigned at = peer->slot % PLACES;
	struct place *p = &r->places[at];

	if (p->o != NULL && peer->bundles && is_of(p->o, peer) && append(p, header))
		return true;
	if (p->o != NULL)
		put(r, p);
	else if (!p->is_listed)
		r->used[r->used_count++] = (uint16_t)at;
	p->is_listed = true;
	return begin(p, peer, header);
}
