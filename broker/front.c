/*
 * front: the step's turn, what leaves, and what waits to leave; what comes is front_receive's.  Invariants:
 * - Front waits for nobody: rings towards it make others wait; its own drop (requests) or cannot fill (deliveries).
 * - Sending is never blocking (Z11).  A small reply that finds the connection full waits in its slot, bounded; bulk
 *   does not wait, since its release was decided now: a refusal `busy` goes instead and the reader asks again.  A
 *   delivery goes back to deliver, which rewinds to its key.
 * - A cut takes effect in the order of apply's ring: what stands behind it there finds the slot cut.
 */
#include "broker/front_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "broker/log.h"
#include "broker/metrics.h"

#define WAITING_COUNT_MAX 512        /* replies waiting for one peer: twice what it may have unanswered */
#define WAITING_BYTES_MAX (512 * 1024)
#define WAITING_ALL_BYTES_MAX (64 * 1024 * 1024)
#define WAITING_MS 30000             /* after that the peer has asked again, or is gone */
#define RETRY_MS 2
#define IDLE_MS 1000

struct front *front_new(struct path *path, void *router)
{
	const struct config *c = path->config;
	const struct slots_limits limits = {c->burst, c->rate_per_s, c->byte_burst, c->bytes_per_s,
					    c->invite_bytes};
	struct front *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->path = path;
	f->router = router;
	f->slots = slots_new(2 * (size_t)c->connections, &limits);
	if (f->slots == NULL) {
		free(f);
		return NULL;
	}
	return f;
}

void front_free(struct front *f)
{
	if (f == NULL)
		return;
	slots_free(f->slots);
	free(f);
}

/* ---- sending */

/* On MESSAGE_AGAIN the frames are still there; otherwise they are gone. */
static enum message_result send_frames(struct front *f, struct message_out *o)
{
	int flags = ZMQ_DONTWAIT | (o->frame_count > 0 ? ZMQ_SNDMORE : 0);
	unsigned count = o->frame_count;

	while (zmq_send(f->router, o->peer.routing_id, o->peer.routing_id_len, flags) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EAGAIN ? MESSAGE_AGAIN : MESSAGE_GONE;
	}
	o->frame_count = 0;
	for (unsigned i = 0; i < count; i++) {
		flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
		while (zmq_msg_send(&o->frames[i], f->router, flags) < 0) {
			if (errno == EINTR)
				continue;
			/* The first frame was taken, so only an ended context gets here. */
			zmq_msg_close(&o->frames[i]);
			break;
		}
	}
	metrics_add(M_SEND_MESSAGES, 1);
	return MESSAGE_SENT;
}

static void drop_waiting(struct front *f, struct slot *slot, enum metric why)
{
	while (slot->waiting != NULL) {
		struct message_out *o = slot->waiting;

		slot->waiting = o->next;
		message_out_free(o);
		metrics_add(why, 1);
	}
	slot->waiting_end = &slot->waiting;
	f->waiting_bytes -= slot->waiting_bytes;
	slot->waiting_bytes = 0;
	slot->waiting_count = 0;
}

static void keep_waiting(struct front *f, struct slot *slot, struct message_out *o)
{
	if (slot->waiting_count >= WAITING_COUNT_MAX || slot->waiting_bytes + o->bytes > WAITING_BYTES_MAX ||
	    f->waiting_bytes + o->bytes > WAITING_ALL_BYTES_MAX) {
		/* The peer will ask again under the same number and get the stored outcome. */
		metrics_add(M_SEND_LOST, 1);
		message_out_free(o);
		return;
	}
	if (!slot->is_waiting) {
		slot->is_waiting = true;
		slot->waiting_since_ms = f->now_ms;
		slot->waiting_next = f->waiting;
		f->waiting = slot;
	}
	*slot->waiting_end = o;
	slot->waiting_end = &o->next;
	slot->waiting_count++;
	slot->waiting_bytes += o->bytes;
	f->waiting_bytes += o->bytes;
	metrics_add(M_SEND_DEFERRED, 1);
}

/* Sends what waits for a slot, in order.  False when the connection is still full. */
static bool send_waiting(struct front *f, struct slot *slot)
{
	while (slot->waiting != NULL) {
		struct message_out *o = slot->waiting;

		switch (send_frames(f, o)) {
		case MESSAGE_AGAIN:
			if (f->now_ms - slot->waiting_since_ms < WAITING_MS)
				return false;
			drop_waiting(f, slot, M_SEND_LOST);
			return true;
		case MESSAGE_SENT:
		case MESSAGE_GONE:
			break;
		}
		slot->waiting = o->next;
		if (slot->waiting == NULL)
			slot->waiting_end = &slot->waiting;
		slot->waiting_count--;
		slot->waiting_bytes -= o->bytes;
		slot->waiting_since_ms = f->now_ms;
		f->waiting_bytes -= o->bytes;
		message_out_free(o);
	}
	return true;
}

static void retry_waiting(struct front *f)
{
	struct slot **link = &f->waiting;

	if (f->now_ms < f->retry_ms)
		return;
	f->retry_ms = f->now_ms + RETRY_MS;
	while (*link != NULL) {
		struct slot *slot = *link;

		if (!send_waiting(f, slot)) {
			link = &slot->waiting_next;
			continue;
		}
		*link = slot->waiting_next;
		slot->waiting_next = NULL;
		slot->is_waiting = false;
	}
}

/* Bulk that cannot leave at once was released for now only: a refusal takes its place. */
static void use_fallback(struct message_out *o)
{
	for (unsigned i = 0; i < o->frame_count; i++)
		zmq_msg_close(&o->frames[i]);
	zmq_msg_init(&o->frames[0]);
	zmq_msg_move(&o->frames[0], &o->fallback);
	zmq_msg_close(&o->fallback);
	o->frame_count = 1;
	o->bytes = zmq_msg_size(&o->frames[0]);
	o->has_fallback = false;
}

static void send_reply(struct front *f, struct slot *slot, struct message_out *o)
{
	enum message_result result = MESSAGE_AGAIN;

	if (o->has_fallback && !slots_take_bulk(slot, o->bytes))
		use_fallback(o);
	/* Order of small replies is kept; bulk may overtake them, since it may not wait. */
	if (slot->waiting == NULL || o->has_fallback)
		result = send_frames(f, o);
	if (result == MESSAGE_AGAIN) {
		if (o->has_fallback)
			use_fallback(o);
		keep_waiting(f, slot, o);
		return;
	}
	if (result == MESSAGE_GONE)
		metrics_add(M_SEND_GONE, 1);
	message_out_free(o);
}

/* Deliver counts what is under way, so the ring back to it has room. */
static void give_back(struct front *f, struct message_out *o, enum message_result result)
{
	bool had_room;

	for (unsigned i = 0; i < o->frame_count; i++)
		zmq_msg_close(&o->frames[i]);
	o->frame_count = 0;
	o->result = result;
	had_room = ring_put(f->path->front_deliver, o);
	assert(had_room);
	(void)had_room;
}

static void send_delivery(struct front *f, struct slot *slot, struct message_out *o)
{
	enum message_result result;

	/* One that did not fit holds back all that stand behind it: no gap may arise.  Replies go first. */
	if (o->epoch == slot->blocked_epoch || slot->waiting != NULL)
		result = MESSAGE_AGAIN;
	else
		result = send_frames(f, o);
	if (result != MESSAGE_SENT)
		slot->blocked_epoch = o->epoch;
	give_back(f, o, result);
}

static void cut(struct front *f, struct message_out *o)
{
	struct slot *slot = slots_get(f->slots, o->peer.id, false, f->now_ms);
	char id[LOG_ID_CHARS];

	metrics_add(M_CUTS, 1);
	log_info("front", "cut", "device=%s", log_id(id, o->peer.id));
	message_out_free(o);
	/* Without a slot it has not been heard for long: admit and deliver ask the roster. */
	if (slot == NULL)
		return;
	slot->cut = true;
	drop_waiting(f, slot, M_SEND_CUT);
}

static void send_out(struct front *f, struct message_out *o)
{
	struct slot *slot;

	if (o->kind == MESSAGE_CUT) {
		cut(f, o);
		return;
	}
	slot = slots_get(f->slots, o->peer.id, o->peer.is_invite, f->now_ms);
	if (slot == NULL || (slot->cut && !o->to_cut)) {
		metrics_add(M_SEND_CUT, 1);
		if (o->kind == MESSAGE_DELIVERY)
			give_back(f, o, MESSAGE_GONE);
		else
			message_out_free(o);
		return;
	}
	if (o->kind == MESSAGE_DELIVERY)
		send_delivery(f, slot, o);
	else
		send_reply(f, slot, o);
}

/* Apply's ring first and to its end: its order is that of commits, and a cut in it holds for all sent after. */
static bool send_some(struct front *f)
{
	struct ring *const rings[] = {f->path->apply_front, f->path->admit_front, f->path->deliver_front};
	bool any = false;

	for (size_t r = 0; r < sizeof(rings) / sizeof(rings[0]); r++) {
		struct message_out *o;

		for (unsigned i = 0; (r == 0 || i < FRONT_TURN_MESSAGES) && (o = ring_pop(rings[r])) != NULL; i++) {
			send_out(f, o);
			any = true;
		}
	}
	return any;
}

/* ---- the loop */

bool front_is_idle(struct front *f)
{
	return ring_is_empty(f->path->apply_front) && ring_is_empty(f->path->admit_front) &&
	       ring_is_empty(f->path->deliver_front);
}

int front_sleep_ms(const struct front *f)
{
	return f->waiting != NULL ? RETRY_MS : IDLE_MS;
}

void front_sleep(struct front *f, int ms)
{
	zmq_pollitem_t items[2] = {
		{.fd = ring_bell_fd(f->path->net_bell), .events = ZMQ_POLLIN},
		{.socket = f->router, .events = ZMQ_POLLIN},
	};

	(void)zmq_poll(items, atomic_load(&f->path->deaf) ? 1 : 2, ms);
	ring_bell_disarm(f->path->net_bell);
}

bool front_send(struct front *f)
{
	f->now_ms = path_monotonic_ms();
	return send_some(f);
}

bool front_turn(struct front *f)
{
	bool worked = front_send(f);

	retry_waiting(f);
	if (atomic_load(&f->path->deaf))
		atomic_store(&f->path->is_deaf, true);
	else if (front_receive_some(f))
		worked = true;
	metrics_set(M_SLOTS, slots_count(f->slots));
	return worked;
}

/* What was left is sent, and libzmq gets a bounded time to put it on the wire (Z17). */
void front_finish(struct front *f)
{
	int64_t deadline = path_monotonic_ms() + f->path->config->linger_ms;
	int linger_ms = (int)f->path->config->linger_ms;

	while (front_send(f) || (f->waiting != NULL && f->now_ms < deadline)) {
		retry_waiting(f);
		(void)zmq_poll(NULL, 0, f->waiting != NULL ? RETRY_MS : 0);
	}
	zmq_setsockopt(f->router, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
	zmq_close(f->router);
}
