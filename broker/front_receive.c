/*
 * front_receive: receive, count, hand over, or drop what may not go on.  Who sent a message is its User-Id as our ZAP handler gave it, read
 * from the last frame (Z8), and nothing else.
 */
#include "broker/front_internal.h"

#include <errno.h>
#include <string.h>

#include "broker/log.h"
#include "broker/metrics.h"
#include "proto/bundle.h"
#include "proto/errcode.h"
#include "proto/ids.h"

bool front_parse_user_id(const char *user_id, struct peer *peer)
{
	/* Without our handler a peer could name itself (Z8): only exactly what roster_user_id writes is taken. */
	if (user_id == NULL || strlen(user_id) != ROSTER_USER_ID_CHARS - 1)
		return false;
	if (memcmp(user_id, "dev:", 4) == 0)
		peer->is_invite = false;
	else if (memcmp(user_id, "inv:", 4) == 0)
		peer->is_invite = true;
	else
		return false;
	return ids_from_hex(peer->id, sizeof(peer->id), user_id + 4);
}

/* One message of the ROUTER: routing id, then at most COMMAND_FRAMES_MAX frames. */
struct parts {
	zmq_msg_t frame[1 + COMMAND_FRAMES_MAX];
	unsigned count;
	bool too_many;
	size_t bytes;
	struct peer peer;
	bool is_known;  /* peer is filled */
	bool is_large;  /* counted for `org_id` */
	uint8_t org_id[16];
};

static bool receive_frame(struct front *f, zmq_msg_t *frame)
{
	zmq_msg_init(frame);
	while (zmq_msg_recv(frame, f->router, ZMQ_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		zmq_msg_close(frame);
		return false;
	}
	return true;
}

/* Frames beyond the bound are read and forgotten: the parts of one message arrive together or not at all. */
static bool receive_parts(struct front *f, struct parts *p)
{
	zmq_msg_t extra;
	bool more = true;

	p->count = 0;
	p->bytes = 0;
	p->too_many = false;
	p->is_known = p->is_large = false;
	while (more) {
		bool keep = p->count < 1 + COMMAND_FRAMES_MAX;
		zmq_msg_t *frame = keep ? &p->frame[p->count] : &extra;

		if (!receive_frame(f, frame))
			return p->count > 0;
		more = zmq_msg_more(frame);
		p->bytes += zmq_msg_size(frame);
		if (!more)
			p->is_known = front_parse_user_id(zmq_msg_gets(frame, "User-Id"), &p->peer);
		if (keep) {
			p->count++;
		} else {
			p->too_many = true;
			zmq_msg_close(frame);
		}
	}
	return true;
}

static void close_parts(struct parts *p)
{
	for (unsigned i = 0; i < p->count; i++)
		zmq_msg_close(&p->frame[i]);
}

/*
 * Large messages cost no request token, so one member's could fill the broker's memory as fast as it empties, and nobody else would be heard:
 * an organisation has half of it.  A device that is unknown is refused by admit at once and leaves nothing standing.
 */
static bool is_too_much(struct front *f, struct parts *p)
{
	struct roster_device device;

	p->is_large = p->bytes >= MESSAGE_LARGE_BYTES && !p->peer.is_invite && roster_device(f->path->roster, p->peer.id, &device);
	if (!p->is_large)
		return false;
	memcpy(p->org_id, device.org_id, 16);
	return message_large(&f->path->load, p->org_id) + p->bytes > (uint64_t)f->path->config->ring_bytes / 2;
}

/* Why a message goes no further: the counter, or METRIC_COUNT when it may. */
static enum metric judge(struct front *f, struct parts *p, size_t bytes)
{
	const struct config *c = f->path->config;
	struct roster_device device;
	struct slot *slot;

	if (!p->is_known)
		return M_DROP_NO_USER_ID;
	if (p->too_many || p->count < 2)
		return M_DROP_FRAMES;
	slot = slots_get(f->slots, p->peer.id, p->peer.is_invite, f->now_ms);
	if (slot == NULL)
		return M_DROP_SLOTS;
	switch (slots_take(f->slots, slot, bytes, f->now_ms)) {
	case SLOTS_RATE:
		return M_DROP_RATE;
	case SLOTS_INVITE_BYTES:
		return M_DROP_INVITE_BYTES;
	case SLOTS_PASS:
		break;
	}
	/* A cut peer is heard only to be told `revoked`, unless it was taken back since: the roster knows. */
	if (slot->cut && roster_device(f->path->roster, slot->key.id, &device) && device.active)
		slot->cut = false;
	p->peer.slot = slots_index(f->slots, slot);
	if (atomic_load(&f->path->load.bytes) + bytes > (uint64_t)c->ring_bytes || is_too_much(f, p))
		return M_DROP_RING;
	return METRIC_COUNT;
}

/* m: NULL without memory. */
static enum metric push(struct front *f, struct parts *p, struct message_in *m)
{
	if (m == NULL)
		return M_DROP_MEMORY;
	if (p->is_large)
		message_in_count_large(m, p->org_id);
	if (ring_put(f->path->front_admit, m))
		return METRIC_COUNT;
	message_in_free(m);
	return M_DROP_RING;
}

static void count_drop(enum metric why, unsigned frames, size_t bytes)
{
	if (why == METRIC_COUNT)
		return;
	metrics_add(why, 1);
	log_debug("front", "dropped", "reason=%s frames=%u bytes=%zu", metrics_name(why), frames, bytes);
}

static void hand_over(struct front *f, struct parts *p)
{
	enum metric why = judge(f, p, p->bytes);

	metrics_add(M_FRONT_MESSAGES, 1);
	if (why == METRIC_COUNT)
		why = push(f, p, message_in_new(&p->peer, &p->frame[1], p->count - 1, &f->path->load));
	count_drop(why, p->count, p->bytes);
}

/* Each message of a bundle is taken as if it had come alone: tokens, limits, order.  How many there were. */
static unsigned hand_over_bundle(struct front *f, struct parts *p, struct bytes frame)
{
	struct bundle_message m;
	unsigned count;
	size_t at = 0;

	if (bundle_check(frame, &count) != RK_OK) {
		enum metric why = judge(f, p, p->bytes); /* it costs what a message costs */

		metrics_add(M_FRONT_MESSAGES, 1);
		count_drop(why == METRIC_COUNT ? M_DROP_FRAMES : why, p->count, p->bytes);
		return 1;
	}
	while (bundle_next(frame, &at, &m)) {
		size_t bytes = bundle_cost(m.frames, m.frame_count);
		enum metric why = judge(f, p, bytes);

		metrics_add(M_FRONT_MESSAGES, 1);
		if (why == METRIC_COUNT)
			why = push(f, p, message_in_copy(&p->peer, m.frames, m.frame_count, &f->path->load));
		count_drop(why, m.frame_count, bytes);
	}
	return count;
}

/* How many messages it was. */
static unsigned take(struct front *f, struct parts *p)
{
	struct bytes first = {0};
	unsigned count = 1;

	metrics_add(M_FRONT_BYTES, p->bytes);
	p->peer.routing_id_len = 0;
	p->peer.bundles = false;
	if (zmq_msg_size(&p->frame[0]) <= ROUTING_ID_MAX_BYTES) {
		p->peer.routing_id_len = (uint8_t)zmq_msg_size(&p->frame[0]);
		memcpy(p->peer.routing_id, zmq_msg_data(&p->frame[0]), p->peer.routing_id_len);
	}
	if (p->count == 2)
		first = bytes_make(zmq_msg_data(&p->frame[1]), zmq_msg_size(&p->frame[1]));
	if (bundle_is(first) && p->is_known)
		count = hand_over_bundle(f, p, first);
	else
		hand_over(f, p);
	close_parts(p);
	return count;
}

bool front_receive_some(struct front *f)
{
	struct parts p;
	unsigned taken = 0;

	while (taken < FRONT_TURN_MESSAGES && receive_parts(f, &p))
		taken += take(f, &p);
	return taken > 0;
}
