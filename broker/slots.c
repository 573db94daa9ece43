#include "broker/slots.h"

#include <stdlib.h>
#include <string.h>

#define IDLE_MS 600000  /* a slot idle for so long has all its tokens back: forgetting it gives nothing away */
#define SWEEP_STEP 256  /* slots looked at when the table is full */
#define ELAPSED_MAX_MS 3600000 /* by then every bucket is full; it keeps products small */
/* Enrolling needs a handful of requests and the parts of the Directory; asking for its state one now and then. */
#define INVITE_BURST 60
#define INVITE_RATE_PER_S 1
#define INVITE_BYTES_PER_S 1024 /* one who waits asks every few seconds, with the whole request */

struct slots {
	struct slots_limits limits;
	struct idtable *table;
	size_t sweep;
};

struct slots *slots_new(size_t capacity, const struct slots_limits *limits)
{
	struct slots *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->limits = *limits;
	s->table = idtable_new(capacity, sizeof(struct slot));
	if (s->table == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void slots_free(struct slots *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < idtable_capacity(s->table); i++) {
		struct slot *slot = idtable_at(s->table, i);

		while (slot != NULL && slot->waiting != NULL) {
			struct message_out *o = slot->waiting;

			slot->waiting = o->next;
			message_out_free(o);
		}
	}
	idtable_free(s->table);
	free(s);
}

struct slot *slots_find(struct slots *s, const uint8_t id[16], bool is_invite)
{
	return idtable_find(s->table, id, is_invite);
}

/* The table is full: look at a few, in turn. */
static void make_room(struct slots *s, int64_t now_ms)
{
	for (unsigned i = 0; i < SWEEP_STEP; i++) {
		struct slot *slot = idtable_at(s->table, s->sweep);

		s->sweep = (s->sweep + 1) % idtable_capacity(s->table);
		if (slot != NULL && now_ms - slot->seen_ms > IDLE_MS && !slot->is_waiting)
			idtable_remove(s->table, slot);
	}
}

struct slot *slots_get(struct slots *s, const uint8_t id[16], bool is_invite, int64_t now_ms)
{
	struct slot *slot = idtable_find(s->table, id, is_invite);

	if (slot != NULL)
		return slot;
	if (idtable_count(s->table) == idtable_capacity(s->table))
		make_room(s, now_ms);
	slot = idtable_add(s->table, id, is_invite);
	if (slot == NULL)
		return NULL;
	slot->seen_ms = now_ms;
	slot->tokens_milli = 1000 * (is_invite ? INVITE_BURST : s->limits.burst);
	slot->byte_tokens = s->limits.byte_burst;
	slot->invite_tokens = s->limits.invite_bytes;
	slot->waiting_end = &slot->waiting;
	return slot;
}

size_t slots_count(const struct slots *s)
{
	return idtable_count(s->table);
}

uint32_t slots_index(const struct slots *s, const struct slot *slot)
{
	return (uint32_t)idtable_index(s->table, slot);
}

static int64_t refill(int64_t have, int64_t more, int64_t cap)
{
	have += more;
	return have > cap ? cap : have;
}

/*
 * Requests are counted because each costs the path a turn, whatever its size.  What is as large as a part of an attachment is paid for by its
 * bytes: with a token for each besides, 100 parts a second would bound an upload at 25 MiB/s, whatever byte_rate says.
 */
#define BYTES_ALONE ((size_t)128 * 1024) /* front bounds what an organisation has of these inside */

enum slots_verdict slots_take(struct slots *s, struct slot *slot, size_t len, int64_t now_ms)
{
	int64_t rate = slot->key.is_invite ? INVITE_RATE_PER_S : s->limits.rate_per_s;
	int64_t burst = slot->key.is_invite ? INVITE_BURST : s->limits.burst;
	int64_t elapsed = now_ms > slot->seen_ms ? now_ms - slot->seen_ms : 0;
	int64_t price_milli = len >= BYTES_ALONE && !slot->key.is_invite ? 0 : 1000;

	if (elapsed > ELAPSED_MAX_MS)
		elapsed = ELAPSED_MAX_MS;
	/* n requests a second are n thousandths of a request a millisecond. */
	slot->tokens_milli = refill(slot->tokens_milli, rate * elapsed, burst * 1000);
	slot->byte_tokens = refill(slot->byte_tokens, s->limits.bytes_per_s * elapsed / 1000, s->limits.byte_burst);
	slot->seen_ms = now_ms;
	slot->invite_tokens = refill(slot->invite_tokens, INVITE_BYTES_PER_S * elapsed / 1000, s->limits.invite_bytes);
	if (slot->key.is_invite && slot->invite_tokens < (int64_t)len)
		return SLOTS_INVITE_BYTES;
	if (slot->tokens_milli < price_milli || slot->byte_tokens < (int64_t)len)
		return SLOTS_RATE;
	if (slot->key.is_invite)
		slot->invite_tokens -= (int64_t)len;
	slot->tokens_milli -= price_milli;
	slot->byte_tokens -= (int64_t)len;
	return SLOTS_PASS;
}

bool slots_take_bulk(struct slot *slot, size_t len)
{
	/* The request that asked for it has just refilled them. */
	if (slot->byte_tokens < (int64_t)len)
		return false;
	slot->byte_tokens -= (int64_t)len;
	return true;
}
