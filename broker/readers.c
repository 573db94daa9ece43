#include "broker/readers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

struct readers {
	struct idtable *table;
	uint64_t epoch;             /* last one given out: they are never reused */
	struct reader_list lists[READER_LISTS];
	LIST_HEAD(feeds, feed) buckets[BUCKETS];
};

struct readers *readers_new(size_t capacity)
{
	struct readers *rs = calloc(1, sizeof(*rs));

	if (rs == NULL)
		return NULL;
	for (unsigned i = 0; i < READER_LISTS; i++)
		TAILQ_INIT(&rs->lists[i]);
	rs->table = idtable_new(capacity, sizeof(struct reader));
	if (rs->table == NULL) {
		free(rs);
		return NULL;
	}
	return rs;
}

void readers_free(struct readers *rs)
{
	if (rs == NULL)
		return;
	for (size_t i = 0; i < idtable_capacity(rs->table); i++) {
		struct reader *r = idtable_at(rs->table, i);

		if (r != NULL)
			readers_drop(rs, r);
	}
	idtable_free(rs->table);
	free(rs);
}

struct reader *readers_find(struct readers *rs, const uint8_t device_id[16])
{
	return idtable_find(rs->table, device_id, false);
}

struct reader *readers_add(struct readers *rs, const struct peer *peer, const uint8_t org_id[16])
{
	struct reader *r = idtable_add(rs->table, peer->id, false);

	if (r == NULL)
		return NULL;
	r->peer = *peer;
	memcpy(r->org_id, org_id, 16);
	r->epoch = ++rs->epoch;
	for (unsigned i = 0; i < READER_SUBSCRIPTIONS_MAX; i++)
		r->subscriptions[i].reader = r;
	return r;
}

/* ---- feeds */

static struct feeds *bucket_of(struct readers *rs, const struct stream_id *stream)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < STREAM_ID_BYTES; i++)
		h = (h ^ stream->b[i]) * 0x100000001b3u;
	return &rs->buckets[(h >> 32) % BUCKETS];
}

struct feed *readers_feed(struct readers *rs, const struct stream_id *stream)
{
	struct feed *f;

	LIST_FOREACH(f, bucket_of(rs, stream), bucket)
		if (memcmp(&f->stream, stream, sizeof(*stream)) == 0)
			return f;
	return NULL;
}

static struct feed *feed_get(struct readers *rs, const struct stream_id *stream)
{
	struct feed *f = readers_feed(rs, stream);

	if (f != NULL)
		return f;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	f->stream = *stream;
	LIST_INIT(&f->subscriptions);
	LIST_INSERT_HEAD(bucket_of(rs, stream), f, bucket);
	return f;
}

static void feed_put(struct feed *f)
{
	if (!LIST_EMPTY(&f->subscriptions))
		return;
	LIST_REMOVE(f, bucket);
	free(f);
}

/* ---- subscriptions */

static unsigned index_of(const struct subscription *s)
{
	return (unsigned)(s - s->reader->subscriptions);
}

static struct subscription *subscription_of(struct reader *r, const struct stream_id *stream)
{
	for (unsigned i = 0; i < READER_SUBSCRIPTIONS_MAX; i++) {
		struct subscription *s = &r->subscriptions[i];

		if (s->feed != NULL && memcmp(&s->feed->stream, stream, sizeof(*stream)) == 0)
			return s;
	}
	return NULL;
}

static struct subscription *unused_subscription(struct reader *r)
{
	for (unsigned i = 0; i < READER_SUBSCRIPTIONS_MAX; i++)
		if (r->subscriptions[i].feed == NULL)
			return &r->subscriptions[i];
	return NULL;
}

/* What is under way for it no longer moves its cursor. */
static void detach_flights(struct subscription *s)
{
	struct reader *r = s->reader;

	for (unsigned i = 0; i < r->flight_count; i++) {
		struct flight *f = &r->flights[(r->flight_first + i) % READER_FLIGHT_MAX];

		if (f->subscription == index_of(s))
			f->subscription = READER_SUBSCRIPTIONS_MAX;
	}
}

static void end_subscription(struct subscription *s)
{
	struct feed *f = s->feed;

	detach_flights(s);
	LIST_REMOVE(s, of_feed);
	s->feed = NULL;
	feed_put(f);
}

bool readers_subscribe(struct readers *rs, struct reader *r, const struct stream_id *stream, uint64_t cursor,
		       uint64_t head)
{
	struct subscription *s = subscription_of(r, stream);

	if (s == NULL) {
		s = unused_subscription(r);
		/* There are no more streams that a device may read than places. */
		assert(s != NULL);
		s->feed = feed_get(rs, stream);
		if (s->feed == NULL)
			return false;
		LIST_INSERT_HEAD(&s->feed->subscriptions, s, of_feed);
	} else {
		detach_flights(s);
	}
	if (head > s->feed->head)
		s->feed->head = head;
	s->cursor = cursor;
	s->empty_at = 0;
	return true;
}

void readers_unsubscribe(struct readers *rs, struct reader *r, const struct stream_id *stream)
{
	struct subscription *s = subscription_of(r, stream);

	(void)rs;
	if (s != NULL)
		end_subscription(s);
}

void readers_drop(struct readers *rs, struct reader *r)
{
	for (unsigned i = 0; i < READER_SUBSCRIPTIONS_MAX; i++)
		if (r->subscriptions[i].feed != NULL)
			end_subscription(&r->subscriptions[i]);
	readers_place(rs, r, READER_NOWHERE);
	idtable_remove(rs->table, r);
}

/* ---- lists */

struct reader_list *readers_list(struct readers *rs, enum reader_place place)
{
	assert(place != READER_NOWHERE && place < READER_LISTS);
	return &rs->lists[place];
}

static void leave(struct reader *r)
{
	if (r->place != READER_NOWHERE)
		TAILQ_REMOVE(r->in, r, list);
	r->place = READER_NOWHERE;
}

static void enter(struct reader *r, enum reader_place place, struct reader_list *in)
{
	leave(r);
	r->place = place;
	r->in = in;
	TAILQ_INSERT_TAIL(in, r, list);
}

void readers_place(struct readers *rs, struct reader *r, enum reader_place place)
{
	if (place == READER_NOWHERE)
		leave(r);
	else if (r->place != place)
		enter(r, place, readers_list(rs, place));
}

void readers_wait_for_load(struct reader *r, struct reader_list *load)
{
	enter(r, READER_LOADS, load);
}

void readers_run_first(struct readers *rs, struct reader *r)
{
	leave(r);
	r->place = READER_RUNS;
	r->in = readers_list(rs, READER_RUNS);
	TAILQ_INSERT_HEAD(r->in, r, list);
}

/* ---- credit and flight */

struct subscription *reader_next(struct reader *r)
{
	/* One entry may overdraw the bytes: else an entry larger than what is left would never go. */
	if (r->credit_entries < 1 || r->credit_bytes < 1 || r->flight_count == READER_FLIGHT_MAX)
		return NULL;
	for (unsigned i = 0; i < READER_SUBSCRIPTIONS_MAX; i++) {
		struct subscription *s = &r->subscriptions[(r->turn + i) % READER_SUBSCRIPTIONS_MAX];

		if (s->feed == NULL || s->cursor >= s->feed->head || s->empty_at == s->feed->head)
			continue;
		r->turn = (index_of(s) + 1) % READER_SUBSCRIPTIONS_MAX;
		return s;
	}
	return NULL;
}

void reader_again(struct subscription *s)
{
	s->reader->turn = index_of(s);
}

void reader_credit(struct reader *r, uint32_t entries, uint32_t bytes)
{
	r->credit_entries += entries;
	if (r->credit_entries > READER_CREDIT_ENTRIES_MAX)
		r->credit_entries = READER_CREDIT_ENTRIES_MAX;
	r->credit_bytes += bytes;
	if (r->credit_bytes > READER_CREDIT_BYTES_MAX)
		r->credit_bytes = READER_CREDIT_BYTES_MAX;
}

void reader_sent(struct reader *r, struct subscription *s, uint64_t seq, unsigned entries, size_t bytes)
{
	assert(r->flight_count < READER_FLIGHT_MAX);
	r->flights[(r->flight_first + r->flight_count++) % READER_FLIGHT_MAX] =
		(struct flight){index_of(s), entries, s->cursor, bytes};
	s->cursor = seq;
	r->credit_entries -= entries;
	r->credit_bytes -= (int64_t)bytes;
}

void reader_confirm(struct reader *r)
{
	assert(r->flight_count > 0);
	r->flight_first = (r->flight_first + 1) % READER_FLIGHT_MAX;
	r->flight_count--;
}

void reader_rewind(struct readers *rs, struct reader *r)
{
	/* Newest first, so that each cursor ends at the oldest entry that did not go. */
	while (r->flight_count > 0) {
		struct flight *f = &r->flights[(r->flight_first + --r->flight_count) % READER_FLIGHT_MAX];

		if (f->subscription < READER_SUBSCRIPTIONS_MAX)
			r->subscriptions[f->subscription].cursor = f->cursor_before;
		r->credit_entries += f->entries;
		r->credit_bytes += (int64_t)f->bytes;
	}
	r->epoch = ++rs->epoch;
}
