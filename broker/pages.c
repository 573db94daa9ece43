#include "broker/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

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
	size_t bytes, bytes_max;
	struct ages ages;
	struct bucket buckets[BUCKETS];
};

struct pages *pages_new(size_t bytes_max)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	TAILQ_INIT(&p->ages);
	p->bytes_max = bytes_max;
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

static void drop_stale(struct pages *p, int64_t now_ms)
{
	struct node *n;

	/* Not the newest one for its size: somebody waits for it. */
	while ((n = TAILQ_FIRST(&p->ages)) != NULL &&
	       (now_ms - n->read_ms > AGE_MAX_MS || (p->bytes > p->bytes_max && TAILQ_NEXT(n, age) != NULL)))
		drop(p, n);
}

bool pages_put(struct pages *p, const struct stream_id *stream, struct page *page, int64_t read_ms, int64_t now_ms)
{
	struct node *n = calloc(1, sizeof(*n));

	drop_stale(p, now_ms); /* here too: somebody may post while nobody reads */
	if (n == NULL) {
		page_clear(page);
		return false;
	}
	n->page = *page; /* libzmq's messages may be moved as they are, as long as only one of the two is used */
	page->frame_count = 0;
	n->stream = *stream;
	n->read_ms = read_ms;
	/* Should there be one at this place already, this one is found first, and both go in their time. */
	TAILQ_INSERT_TAIL(&p->ages, n, age);
	LIST_INSERT_HEAD(bucket_of(p, stream, n->page.cursor), n, bucket);
	p->bytes += n->page.bytes + sizeof(*n);
	return true;
}

struct page *pages_find(struct pages *p, const struct stream_id *stream, uint64_t cursor, int64_t now_ms)
{
	struct node *n;

	drop_stale(p, now_ms);
	n = find(p, stream, cursor);
	return n != NULL ? &n->page : NULL;
}
