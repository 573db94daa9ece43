/*
 * deliver: one turn takes what came (requests, events, deliveries given back), then lets each reader that may receive
 * send a few entries.  Invariants:
 * - Nothing is handed to front without credit, and no more than READER_FLIGHT_MAX messages of a reader,
 * PATH_DELIVERIES_MAX in all, are under way; so the ring back never fills.
 * - Front answers for each in order: sent; again (the connection is full: all under way goes back to its key and is
 * tried after a pause); gone (the connection is no more: the reader is dropped, the client comes again with its own
 * cursors). So a reader never sees a gap but one by retention, which the entry after it tells.
 * - The roster is asked before each turn of a reader: one that was cut gets nothing, whatever order the rings had.
 */
#include "broker/deliver_internal.h"

#include <stdlib.h>

#include "broker/log.h"
#include "broker/metrics.h"
#include "proto/errcode.h"

#define TURN_REQUESTS 256
#define PROOF_COST 4                /* of one GET_PROOF and of each of its leaves, in requests */
#define TURN_PAGES 4                /* of one reader, before the next one's turn */
#define PAUSE_MIN_MS 4
#define PAUSE_MAX_MS 250
#define WAITING_POLL_MS 4
#define IDLE_MS 1000
#define STORE_POLL_MS 1             /* should apply's bell not come */

struct deliver *deliver_new(struct path *path)
{
	struct deliver *d = calloc(1, sizeof(*d));
	size_t share;

	if (d == NULL)
		return NULL;
	share = (size_t)path->config->cache_bytes / (2 * PATH_LOADS_MAX);
	d->load_bytes_max = (size_t)path->config->page_bytes < share ? (size_t)path->config->page_bytes : share;
	d->path = path;
	d->readers = readers_new(2 * (size_t)path->config->connections);
	d->pages = pages_new((size_t)path->config->cache_bytes);
	for (unsigned i = 0; i < PATH_LOADS_MAX; i++)
		TAILQ_INIT(&d->waiters[i]);
	d->load_arena = arena_new(0);
	if (d->readers == NULL || d->pages == NULL || d->load_arena == NULL) {
		deliver_free(d);
		return NULL;
	}
	return d;
}

void deliver_free(struct deliver *d)
{
	if (d == NULL)
		return;
	deliver_free_loads(d);
	readers_free(d->readers);
	pages_free(d->pages);
	arena_free(d->load_arena);
	message_in_free(d->waiting);
	free(d);
}

void deliver_drop(struct deliver *d, struct reader *r)
{
	metrics_add(M_DELIVER_DROPPED, 1);
	readers_drop(d->readers, r);
}

void deliver_wake(struct deliver *d, struct reader *r)
{
	if (r->place == READER_NOWHERE && reader_next(r) != NULL)
		readers_place(d->readers, r, READER_RUNS);
}

/* ---- events of apply */

void deliver_event_free(struct deliver_event *e)
{
	if (e->kind == DELIVER_PAGE)
		page_clear(&e->page);
	free(e);
}

static void handle_event(struct deliver *d, struct deliver_event *e)
{
	struct subscription *s;
	struct reader *r;
	struct feed *f;

	switch (e->kind) {
	case DELIVER_PAGE:
		atomic_fetch_sub(&d->path->live_bytes, deliver_event_bytes(e));
		/* What nobody follows is not kept. */
		if (readers_feed(d->readers, &e->stream) != NULL)
			(void)pages_put(d->pages, &e->stream, &e->page, d->now_ms, d->now_ms);
		return;
	case DELIVER_STREAM:
		f = readers_feed(d->readers, &e->stream);
		if (f == NULL || e->seq <= f->head)
			return;
		f->head = e->seq;
		f->grown_ms = d->now_ms;
		LIST_FOREACH(s, &f->subscriptions, of_feed)
			deliver_wake(d, s->reader);
		return;
	case DELIVER_HELLO:
	case DELIVER_CUT:
		r = readers_find(d->readers, e->peer.id);
		if (r != NULL)
			deliver_drop(d, r);
		return;
	}
}

/* ---- deliveries */

static void handle_result(struct deliver *d, const struct message_out *o)
{
	struct reader *r = readers_find(d->readers, o->peer.id);

	d->under_way--;
	/* Of a reader that is gone, or overtaken by a rewind. */
	if (r == NULL || r->epoch != o->epoch)
		return;
	switch (o->result) {
	case MESSAGE_SENT:
		metrics_add(M_DELIVERED, o->entries);
		reader_confirm(r);
		r->pause_ms = 0;
		deliver_wake(d, r);
		return;
	case MESSAGE_AGAIN:
		metrics_add(M_DELIVER_RETRY, 1);
		reader_rewind(d->readers, r);
		r->pause_ms = r->pause_ms == 0 ? PAUSE_MIN_MS : r->pause_ms * 2;
		if (r->pause_ms > PAUSE_MAX_MS)
			r->pause_ms = PAUSE_MAX_MS;
		r->retry_ms = d->now_ms + r->pause_ms;
		readers_place(d->readers, r, READER_WAITS);
		return;
	case MESSAGE_GONE:
		deliver_drop(d, r);
		return;
	}
}

/* Hands one message to front, of so many entries up to seq. */
static void hand_over(struct deliver *d, struct reader *r, struct subscription *s, struct message_out *o, uint64_t seq, unsigned entries, size_t bytes)
{
	o->epoch = r->epoch;
	o->seq = seq;
	o->entries = entries;
	reader_sent(r, s, seq, entries, bytes);
	d->under_way++;
	path_put(d->path, d->path->deliver_front, o, false);
}

/* The page as it is: its frames are shared. */
static int send_whole(struct deliver *d, struct reader *r, struct subscription *s, struct page *p)
{
	struct message_out *o = message_out_new(MESSAGE_DELIVERY, &r->peer);

	if (o == NULL)
		return RK_ENOMEM;
	for (unsigned i = 0; i < p->frame_count; i++) {
		if (!message_out_share(o, &p->frames[i])) {
			message_out_free(o);
			return RK_ENOMEM;
		}
	}
	hand_over(d, r, s, o, p->last, p->count, p->bytes);
	return RK_OK;
}

/* Entries of a bundle one by one, as far as credit goes: for who did not ask for bundles, or has less credit than it holds. */
static int send_singly(struct deliver *d, struct reader *r, struct subscription *s, struct page *p)
{
	struct bytes frame = bytes_make(zmq_msg_data(&p->frames[0]), zmq_msg_size(&p->frames[0]));
	uint64_t seq = p->last - p->count; /* dense, but for a gap before the first */
	struct bundle_message m;
	size_t at = 0;

	while (bundle_next(frame, &at, &m)) {
		struct message_out *o;
		size_t bytes;

		if (r->credit_entries < 1 || r->credit_bytes < 1 || r->flight_count == READER_FLIGHT_MAX || d->under_way >= PATH_DELIVERIES_MAX)
			return RK_OK;
		if ((o = message_out_new(MESSAGE_DELIVERY, &r->peer)) == NULL)
			return RK_ENOMEM;
		for (unsigned i = 0; i < m.frame_count; i++) {
			if (!message_out_copy(o, m.frames[i])) {
				message_out_free(o);
				return RK_ENOMEM;
			}
		}
		bytes = o->bytes;
		hand_over(d, r, s, o, ++seq, 1, bytes);
	}
	return RK_OK;
}

/* Sends what follows the subscription's cursor.  RK_ENOTFOUND: nothing there after all; RK_BUSY: not yet. */
static int send_page(struct deliver *d, struct reader *r, struct subscription *s)
{
	/* No more is read than may go now: else the same entries would be read again each time a little credit comes. */
	unsigned entries_max = (unsigned)r->credit_entries, room = READER_FLIGHT_MAX - r->flight_count;
	struct page *p;
	int code;

	if (!r->peer.bundles && entries_max > room)
		entries_max = room;
	if ((code = deliver_page(d, r, s, entries_max, &p)) != RK_OK)
		return code;
	code = p->is_bundle && (!r->peer.bundles || p->count > r->credit_entries) ? send_singly(d, r, s, p) : send_whole(d, r, s, p);
	if (code != RK_OK)
		s->empty_at = s->feed->head;
	return code;
}

/* One reader's turn.  False: it was dropped. */
static bool run_reader(struct deliver *d, struct reader *r)
{
	struct roster_device device;

	if (!roster_device(d->path->roster, r->key.id, &device) || !device.active) {
		deliver_drop(d, r);
		return false;
	}
	for (unsigned i = 0; i < TURN_PAGES && d->under_way < PATH_DELIVERIES_MAX; i++) {
		struct subscription *s = reader_next(r);
		int code;

		if (s == NULL)
			return true;
		code = send_page(d, r, s);
		if (code == RK_OK)
			continue;
		if (code == RK_BUSY) {
			reader_again(s);
			return true;
		}
		/* Trimmed to its end, or unreadable: not tried again before the stream grows (empty_at). */
		if (code != RK_ENOTFOUND)
			log_error("deliver", "read-failed", "code=%s cursor=%llu", errcode_name(code),
			          (unsigned long long)s->cursor);
	}
	return true;
}

static bool run_readers(struct deliver *d)
{
	struct reader_list *run = readers_list(d->readers, READER_RUNS), *wait = readers_list(d->readers, READER_WAITS);
	struct reader *r, *next;
	bool any = false;

	for (r = TAILQ_FIRST(wait); r != NULL; r = next) {
		next = TAILQ_NEXT(r, list);
		if (r->retry_ms <= d->now_ms && (r->store_mark == 0 || path_may_read(d->path, &r->store_mark)))
			readers_place(d->readers, r, READER_RUNS);
	}
	deliver_let_ask(d);
	for (unsigned i = 0; i < TURN_REQUESTS && d->under_way < PATH_DELIVERIES_MAX; i++) {
		r = TAILQ_FIRST(run);
		if (r == NULL)
			break;
		any = true;
		readers_place(d->readers, r, READER_NOWHERE);
		if (run_reader(d, r))
			deliver_wake(d, r);
	}
	return any;
}

/* ---- the loop */

bool deliver_take_events(struct deliver *d)
{
	struct deliver_event *e;
	bool any = false;

	while ((e = ring_pop(d->path->apply_deliver)) != NULL) {
		handle_event(d, e);
		deliver_event_free(e);
		any = true;
	}
	return any;
}

/* It is answered with the stream's head, which must count all posts that were answered.  Objects and proofs are of batches that are never saved. */
static bool needs_stored(const struct message_in *m)
{
	return m->command.req != NULL && m->command.req->op == RK__OP__OP_SUBSCRIBE;
}

/* In their order: what stands behind one that waits, waits too. */
static struct message_in *next_request(struct deliver *d)
{
	struct message_in *m = d->waiting != NULL ? d->waiting : ring_pop(d->path->admit_deliver);

	d->waiting = NULL;
	if (m == NULL || !needs_stored(m))
		return m;
	/* Where there is no room for more, what is in the tables has to do (subscribe, in deliver_request.c). */
	if (atomic_load(&d->path->store_stuck)) {
		d->store_mark = 0;
		return m;
	}
	if (path_may_read(d->path, &d->store_mark))
		return m;
	d->waiting = m;
	return NULL;
}

static bool take_some(struct deliver *d)
{
	struct message_out *o;
	struct message_in *m;
	bool any = false;

	while ((o = ring_pop(d->path->front_deliver)) != NULL) {
		handle_result(d, o);
		message_out_free(o);
		any = true;
	}
	if (deliver_take_events(d))
		any = true;
	if (deliver_take_loads(d))
		any = true;
	for (unsigned cost = 0; cost < TURN_REQUESTS && (m = next_request(d)) != NULL; cost++) {
		/* A proof costs more than other answers: a turn has fewer of them, so that deliveries do not wait for hashes. */
		if (m->command.req != NULL && m->command.req->op == RK__OP__OP_GET_PROOF) {
			cost += PROOF_COST * (1 + (unsigned)m->command.req->get_proof->n_indexes);
			atomic_fetch_sub(&d->path->proofs, 1);
		}
		deliver_request(d, &m->command);
		message_in_free(m);
		any = true;
	}
	return any;
}

bool deliver_is_idle(struct deliver *d)
{
	return ring_is_empty(d->path->front_deliver) && ring_is_empty(d->path->apply_deliver) && ring_is_empty(d->path->pages_deliver) &&
	       (d->waiting != NULL || ring_is_empty(d->path->admit_deliver));
}

int deliver_sleep_ms(struct deliver *d)
{
	if (d->waiting != NULL)
		return STORE_POLL_MS;
	return TAILQ_EMPTY(readers_list(d->readers, READER_WAITS)) ? IDLE_MS : WAITING_POLL_MS;
}

bool deliver_turn(struct deliver *d)
{
	bool worked;

	d->now_ms = path_monotonic_ms();
	worked = take_some(d);
	/* At a stop nothing new goes out: readers have their cursors. */
	if (!atomic_load(&d->path->stopping) && run_readers(d))
		worked = true;
	return worked;
}
