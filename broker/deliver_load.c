/*
 * deliver_load: pages that are not in memory.  A reader asks for a load and waits; the others go on.  What comes back goes into memory, where all who
 * wait find it, each in its turn; the one who asked also learns that there was nothing, or an error.  PATH_LOADS_MAX are out at a time, together at
 * most half of the memory that there is for pages.
 */
#include "broker/deliver_internal.h"

#include "broker/metrics.h"
#include "proto/errcode.h"

static bool is_at(const struct page_load *l, const struct stream_id *stream, uint64_t cursor)
{
	return l->cursor == cursor && memcmp(&l->stream, stream, sizeof(*stream)) == 0;
}

/* A load of that place which is out, or one to be used; NULL: all are out. */
static struct page_load *load_of(struct deliver *d, const struct stream_id *stream, uint64_t cursor)
{
	struct page_load *unused = NULL;

	for (unsigned i = 0; i < PATH_LOADS_MAX; i++) {
		struct page_load *l = &d->loads[i];

		if (l->is_out && is_at(l, stream, cursor))
			return l;
		if (!l->is_out)
			unused = l;
	}
	return unused;
}

/* ---- what came back */

/* Everybody who waits for a load looks again. */
static void wake_all(struct deliver *d)
{
	struct reader *r;

	TAILQ_FOREACH(r, readers_list(d->readers, READER_WAITS), list)
		r->load.is_awaited = false;
}

static void take(struct deliver *d, struct page_load *l)
{
	struct reader *r = readers_find(d->readers, l->device_id);
	struct loaded_page *p;
	/* An error behind the first page is met again when its turn comes. */
	int code = !STAILQ_EMPTY(&l->pages) ? RK_OK : l->code != RK_OK ? l->code : RK_ENOTFOUND;

	STAILQ_FOREACH(p, &l->pages, next)
		pages_put(d->pages, &l->stream, &p->page, d->now_ms);
	page_load_clear(l);
	l->is_out = false;
	if (r != NULL && r->load.is_asked && is_at(l, &r->load.stream, r->load.cursor)) {
		r->load.is_back = true;
		r->load.code = code;
	}
}

bool deliver_take_loads(struct deliver *d)
{
	struct page_load *l;
	bool any = false;

	while ((l = ring_pop(d->path->pages_deliver)) != NULL) {
		take(d, l);
		any = true;
	}
	if (any)
		wake_all(d);
	return any;
}

void deliver_free_loads(struct deliver *d)
{
	struct path *p = d->path;
	struct page_load *l;

	/* Those that nobody has begun have no pages. */
	while (ring_pop(p->deliver_pages) != NULL)
		;
	while ((l = ring_pop(p->pages_deliver)) != NULL)
		page_load_clear(l);
}

/* ---- asking */

/* Asks for what follows the reader's cursor, unless somebody did.  False: it has to wait. */
static bool ask(struct deliver *d, struct reader *r, const struct subscription *s, unsigned entries_max)
{
	const struct config *c = d->path->config;
	const struct stream_id *stream = &s->feed->stream;
	struct page_load *l = load_of(d, stream, s->cursor);

	r->load.is_awaited = true;
	if (l == NULL || l->is_out)
		return false;
	r->load.is_asked = true;
	r->load.is_back = false;
	r->load.stream = *stream;
	r->load.cursor = s->cursor;
	*l = (struct page_load){
		.stream = *stream,
		.cursor = s->cursor,
		.entries_max = entries_max < (unsigned)c->page_entries ? entries_max : (unsigned)c->page_entries,
		.bytes_max = (size_t)r->credit_bytes < d->load_bytes_max ? (size_t)r->credit_bytes : d->load_bytes_max,
		.is_out = true,
	};
	memcpy(l->device_id, r->key.id, sizeof(l->device_id));
	metrics_add(M_LOADS, 1);
	if (d->load_arena == NULL) {
		(void)ring_push(d->path->deliver_pages, l); /* never full: there are no more loads than places */
		return false;
	}
	page_load_run(l, d->path->env, d->load_arena);
	take(d, l);
	r->load.is_awaited = false;
	return true;
}

/* The answer that the reader got for this place; RK_OK where there is none, or it has been used. */
static int answer(struct reader *r, const struct subscription *s)
{
	struct reader_load *l = &r->load;
	int code = RK_OK;

	if (!l->is_asked || !l->is_back)
		return RK_OK;
	if (l->cursor == s->cursor && memcmp(&l->stream, &s->feed->stream, sizeof(l->stream)) == 0)
		code = l->code;
	else
		l->is_of_all = false;
	l->is_asked = false;
	return code;
}

int deliver_page(struct deliver *d, struct reader *r, struct subscription *s, unsigned entries_max, struct page **p)
{
	for (;;) {
		int code;

		*p = pages_find(d->pages, &s->feed->stream, s->cursor, d->now_ms);
		if (*p != NULL) {
			r->load.is_of_all = false;
			return RK_OK;
		}
		code = answer(r, s);
		if (code != RK_OK && code != RK_ENOTFOUND)
			return code;
		if (code == RK_ENOTFOUND) {
			/* What is in the tables may be sent whatever is not there yet; who has come to its end waits for the rest, and looks again. */
			if (r->load.is_of_all) {
				r->load.is_of_all = false;
				return RK_ENOTFOUND;
			}
			if (!path_may_read(d->path, &r->store_mark))
				return RK_BUSY;
			r->load.is_of_all = true;
		}
		if (!ask(d, r, s, entries_max))
			return RK_BUSY;
	}
}
