#include "broker/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/errcode.h"
#include "proto/strict.h"

#define AGE_MAX_MS 1000       /* then it is read again: its bulk may have been withdrawn */
#define BUCKETS 4096
#define ENTRY_OVERHEAD sizeof(struct node)

struct node {
	struct page_entry entry;
	struct stream_id stream;
	uint64_t cursor;          /* it is the first entry after this */
	int64_t read_ms;
	TAILQ_ENTRY(node) age;    /* oldest first */
	LIST_ENTRY(node) bucket;
};

TAILQ_HEAD(ages, node);
LIST_HEAD(bucket, node);

struct pages {
	struct env *env;
	struct arena *arena;      /* for packing one header */
	size_t bytes, bytes_max, page_bytes;
	unsigned page_entries;
	struct ages ages;
	struct bucket buckets[BUCKETS];
};

struct pages *pages_new(struct env *env, const struct config *c)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	TAILQ_INIT(&p->ages);
	p->env = env;
	p->bytes_max = (size_t)c->cache_bytes;
	p->page_bytes = (size_t)c->page_bytes;
	p->page_entries = (unsigned)c->page_entries;
	p->arena = arena_new(0);
	if (p->arena == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

static void drop(struct pages *p, struct node *n)
{
	TAILQ_REMOVE(&p->ages, n, age);
	LIST_REMOVE(n, bucket);
	p->bytes -= n->entry.bytes + ENTRY_OVERHEAD;
	for (unsigned i = 0; i < n->entry.frame_count; i++)
		zmq_msg_close(&n->entry.frames[i]);
	free(n);
}

void pages_free(struct pages *p)
{
	struct node *n;

	if (p == NULL)
		return;
	while ((n = TAILQ_FIRST(&p->ages)) != NULL)
		drop(p, n);
	arena_free(p->arena);
	free(p);
}

static struct bucket *bucket_of(struct pages *p, const struct stream_id *stream, uint64_t cursor)
{
	uint64_t h = cursor * 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < STREAM_ID_BYTES; i++)
		h = (h ^ stream->b[i]) * 0x100000001b3u;
	return &p->buckets[(h >> 32) % BUCKETS];
}

static struct node *find(struct pages *p, const struct stream_id *stream, uint64_t cursor)
{
	struct node *n;

	LIST_FOREACH(n, bucket_of(p, stream, cursor), bucket)
		if (n->cursor == cursor && memcmp(&n->stream, stream, sizeof(*stream)) == 0)
			return n;
	return NULL;
}

/* ---- reading */

struct reading {
	struct pages *pages;
	const struct stream_id *stream;
	uint64_t cursor;     /* the entry before the next one */
	int64_t now_ms;
	size_t bytes;        /* of this page so far */
	int error;
};

static bool add_frame(struct page_entry *e, struct bytes b)
{
	zmq_msg_t *frame = &e->frames[e->frame_count];

	if (zmq_msg_init_size(frame, b.len) != 0)
		return false;
	memcpy(zmq_msg_data(frame), b.data, b.len);
	e->frame_count++;
	e->bytes += b.len;
	return true;
}

static int add_header(struct reading *r, uint64_t seq, const struct stream_entry *s, struct page_entry *e)
{
	Rk__Down down = RK__DOWN__INIT;
	Rk__Delivery delivery = RK__DELIVERY__INIT;
	Rk__StreamId stream = RK__STREAM_ID__INIT;
	struct arena *arena = r->pages->arena;
	zmq_msg_t *frame = &e->frames[0];
	int code;

	stream_to_wire(r->stream, &stream);
	delivery.stream = &stream;
	delivery.seq = seq;
	delivery.kind = (Rk__EntryKind)s->kind;
	delivery.time_ms = s->time_ms;
	delivery.control_seq = s->control_seq;
	delivery.logged = (s->flags & STREAM_LOGGED) != 0;
	delivery.log_index = delivery.logged ? s->log_index : 0;
	delivery.gap_to = seq > r->cursor + 1 ? seq - 1 : 0;
	delivery.bulk_dropped = (s->flags & STREAM_BULK_DROPPED) != 0;
	if ((s->flags & STREAM_ANNOUNCED) != 0) {
		arena_reset(arena, arena_budget(1024));
		code = STRICT_PARSE(announce, s->object, arena, &delivery.announce);
		if (code != RK_OK)
			return RK_ESTORE;
	}
	down.protocol = 1;
	down.delivery = &delivery;
	/* Into the frame: all of it is ours, or was checked when it was stored. */
	if (zmq_msg_init_size(frame, rk__down__get_packed_size(&down)) != 0)
		return RK_ENOMEM;
	e->bytes = rk__down__pack(&down, zmq_msg_data(frame));
	e->frame_count = 1;
	return RK_OK;
}

/* Header, object (unless announced), WrapList, body: what the entry has. */
static int fill(struct reading *r, uint64_t seq, const struct stream_entry *s, struct page_entry *e)
{
	const struct bytes none = {NULL, 0};
	const struct bytes frames[] = {(s->flags & STREAM_ANNOUNCED) != 0 ? none : s->object, s->wraps, s->body};
	int code = add_header(r, seq, s, e);

	if (code != RK_OK)
		return code;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		if (frames[i].len > 0 && !add_frame(e, frames[i]))
			return RK_ENOMEM;
	e->seq = seq;
	return RK_OK;
}

static bool share_frame(struct page_entry *e, zmq_msg_t *from)
{
	zmq_msg_t *frame = &e->frames[e->frame_count];

	zmq_msg_init(frame);
	if (zmq_msg_copy(frame, from) != 0)
		return false;
	e->frame_count++;
	e->bytes += zmq_msg_size(from);
	return true;
}

/* body: instead of that of `s`, or NULL. */
static int keep(struct reading *r, uint64_t seq, const struct stream_entry *s, zmq_msg_t *body)
{
	struct pages *p = r->pages;
	struct node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return RK_ENOMEM;
	r->error = fill(r, seq, s, &n->entry);
	if (r->error == RK_OK && body != NULL && !share_frame(&n->entry, body))
		r->error = RK_ENOMEM;
	n->stream = *r->stream;
	n->cursor = r->cursor;
	n->read_ms = r->now_ms;
	TAILQ_INSERT_TAIL(&p->ages, n, age);
	LIST_INSERT_HEAD(bucket_of(p, r->stream, r->cursor), n, bucket);
	p->bytes += n->entry.bytes + ENTRY_OVERHEAD;
	if (r->error != RK_OK) {
		drop(p, n);
		return r->error;
	}
	r->cursor = seq;
	r->bytes += n->entry.bytes;
	return RK_OK;
}

static int on_entry(void *user, uint64_t seq, const struct stream_entry *s)
{
	struct reading *r = user;

	r->error = keep(r, seq, s, NULL);
	return r->error != RK_OK || r->bytes >= r->pages->page_bytes;
}

void pages_put(struct pages *p, const struct stream_id *stream, uint64_t seq, const struct stream_entry *s, zmq_msg_t *body, int64_t now_ms)
{
	struct reading r = {.pages = p, .stream = stream, .cursor = seq - 1, .now_ms = now_ms};

	/* Should it have been read already, this one is found first, and both go in their time. */
	(void)keep(&r, seq, s, body);
}

static int read_page(struct pages *p, const struct stream_id *stream, uint64_t cursor, int64_t now_ms)
{
	struct reading r = {.pages = p, .stream = stream, .cursor = cursor, .now_ms = now_ms};
	struct txn *txn;
	int code = env_begin(p->env, false, &txn);

	if (code != RK_OK)
		return code;
	code = stream_page(txn, stream, cursor, p->page_entries, on_entry, &r);
	env_abort(txn);
	return r.error != RK_OK ? r.error : code < 0 ? code : RK_OK;
}

int pages_get(struct pages *p, const struct stream_id *stream, uint64_t cursor, int64_t now_ms, struct page_entry **out)
{
	struct node *n, *stale;
	int code;

	*out = NULL;
	while ((stale = TAILQ_FIRST(&p->ages)) != NULL &&
	       (now_ms - stale->read_ms > AGE_MAX_MS || p->bytes > p->bytes_max))
		drop(p, stale);
	n = find(p, stream, cursor);
	if (n == NULL) {
		code = read_page(p, stream, cursor, now_ms);
		if (code != RK_OK && code != RK_ENOTFOUND)
			return code;
		n = find(p, stream, cursor);
	}
	if (n == NULL)
		return RK_ENOTFOUND;
	*out = &n->entry;
	return RK_OK;
}
