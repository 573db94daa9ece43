#include "broker/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/errcode.h"

#define AGE_MAX_MS 1000       /* then it is read again: its bulk may have been withdrawn */
#define BUCKETS 4096

struct node {
	struct page page;
	struct stream_id stream;
	int64_t read_ms;
	TAILQ_ENTRY(node) age;    /* oldest first */
	LIST_ENTRY(node) bucket;
};

TAILQ_HEAD(ages, node);
LIST_HEAD(bucket, node);

struct pages {
	struct env *env;
	struct arena *arena;      /* for an announcement */
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
	p->bytes -= n->page.bytes + sizeof(*n);
	page_clear(&n->page);
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
		if (n->page.cursor == cursor && memcmp(&n->stream, stream, sizeof(*stream)) == 0)
			return n;
	return NULL;
}

/* ---- reading */

static void drop_stale(struct pages *p, int64_t now_ms)
{
	struct node *n;

	while ((n = TAILQ_FIRST(&p->ages)) != NULL && (now_ms - n->read_ms > AGE_MAX_MS || p->bytes > p->bytes_max))
		drop(p, n);
}

void pages_put(struct pages *p, const struct stream_id *stream, struct page *page, int64_t now_ms)
{
	struct node *n = calloc(1, sizeof(*n));

	drop_stale(p, now_ms); /* here too: somebody may post while nobody reads */
	if (n == NULL) {
		page_clear(page);
		return;
	}
	n->page = *page; /* libzmq's messages may be moved as they are, as long as only one of the two is used */
	page->frame_count = 0;
	n->stream = *stream;
	n->read_ms = now_ms;
	/* Should there be one at this place already, this one is found first, and both go in their time. */
	TAILQ_INSERT_TAIL(&p->ages, n, age);
	LIST_INSERT_HEAD(bucket_of(p, stream, n->page.cursor), n, bucket);
	p->bytes += n->page.bytes + sizeof(*n);
}

struct reading {
	struct pages *pages;
	const struct stream_id *stream;
	uint64_t cursor;     /* the entry before the next one */
	int64_t now_ms;
	size_t bytes, bytes_max; /* read so far, and enough */
	int error;
	struct page_builder open;
};

/* What was gathered so far is a page. */
static int close_page(struct reading *r)
{
	struct page page;
	int code = page_finish(&r->open, &page);

	if (code != RK_OK)
		return code == RK_ENOTFOUND ? RK_OK : code;
	pages_put(r->pages, r->stream, &page, r->now_ms);
	return RK_OK;
}

static int add_lone(struct reading *r, uint64_t seq, const struct stream_entry *s)
{
	struct page page;
	int code = close_page(r);

	if (code != RK_OK || (code = page_lone(&page, r->stream, r->cursor, seq, s, NULL, r->pages->arena)) != RK_OK)
		return code;
	pages_put(r->pages, r->stream, &page, r->now_ms);
	return RK_OK;
}

static int add_entry(struct reading *r, uint64_t seq, const struct stream_entry *s)
{
	int code;

	if (page_is_lone(s))
		return add_lone(r, seq, s);
	code = page_add(&r->open, r->stream, r->cursor, seq, s, r->pages->arena);
	if (code != RK_TOO_LARGE)
		return code;
	/* Full: it begins the next one, where there is room for it. */
	if ((code = close_page(r)) != RK_OK)
		return code;
	return page_add(&r->open, r->stream, r->cursor, seq, s, r->pages->arena);
}

static int on_entry(void *user, uint64_t seq, const struct stream_entry *s)
{
	struct reading *r = user;

	r->error = add_entry(r, seq, s);
	r->cursor = seq;
	r->bytes += s->object.len + s->wraps.len + s->body.len;
	return r->error != RK_OK || r->bytes >= r->bytes_max;
}

static int read_pages(struct pages *p, const struct stream_id *stream, uint64_t cursor, unsigned entries, size_t bytes, int64_t now_ms)
{
	struct reading r = {.pages = p, .stream = stream, .cursor = cursor, .now_ms = now_ms, .bytes_max = bytes};
	struct txn *txn;
	int code = env_begin(p->env, false, &txn), closed;

	if (code != RK_OK)
		return code;
	code = stream_page(txn, stream, cursor, entries, on_entry, &r);
	env_abort(txn);
	/* What was read before an error is good. */
	closed = close_page(&r);
	if (r.error == RK_OK)
		r.error = closed;
	page_builder_clear(&r.open);
	return r.error != RK_OK ? r.error : code < 0 ? code : RK_OK;
}

int pages_get(struct pages *p, const struct stream_id *stream, uint64_t cursor, unsigned entries_max, size_t bytes_max, int64_t now_ms, struct page **out)
{
	struct node *n;
	int code;

	*out = NULL;
	drop_stale(p, now_ms);
	n = find(p, stream, cursor);
	if (n == NULL) {
		code = read_pages(p, stream, cursor, entries_max < p->page_entries ? entries_max : p->page_entries,
		                  bytes_max < p->page_bytes ? bytes_max : p->page_bytes, now_ms);
		n = find(p, stream, cursor);
		/* An error behind the first page is met again when its turn comes. */
		if (n == NULL && code != RK_OK)
			return code;
	}
	if (n == NULL)
		return RK_ENOTFOUND;
	*out = &n->page;
	return RK_OK;
}
