/*
 * deliver_load: pages that are not in memory.  A reader asks for a load and waits; the others go on.  What comes back goes into memory, where all who
 * wait find it, each in its turn; or learn that there was nothing, or an error.  PATH_LOADS_MAX are out at a time, together at
 * most half of the memory that there is for pages.
 */
#include "broker/deliver_internal.h"

#include "broker/metrics.h"
#include "proto/errcode.h"

/* Too old to be kept for long, but not before the reader it was read for has had a turn. */
#define AGE_WHEN_PUT_MAX_MS 500
#define BUSY_PAUSE_MS 250
/* Who is so little behind is served at once: mail that has just come, and the last of a channel, which were written a moment ago. */
#define NEAR_ENTRIES 4
#define TRIES_MAX 3 /* of one turn: what was loaded is in memory, or there is none */

static bool is_at(const struct page_load *l, const struct stream_id *stream, uint64_t cursor)
{
	return l->cursor == cursor && memcmp(&l->stream, stream, sizeof(*stream)) == 0;
}

static struct page_load *load_of_place(struct deliver *d, const struct stream_id *stream, uint64_t cursor)
{
	for (unsigned i = 0; i < PATH_LOADS_MAX; i++)
		if (d->loads[i].is_out && is_at(&d->loads[i], stream, cursor))
			return &d->loads[i];
	return NULL;
}

/* One to be used.  NULL: all are out, or one is for this device: it has one at a time, whatever it subscribes. */
static struct page_load *unused_load(struct deliver *d, const uint8_t device_id[16])
{
	struct page_load *unused = NULL;

	for (unsigned i = 0; i < PATH_LOADS_MAX; i++) {
		if (!d->loads[i].is_out)
			unused = &d->loads[i];
		else if (memcmp(d->loads[i].device_id, device_id, 16) == 0)
			return NULL;
	}
	return unused;
}

unsigned deliver_load_places(const struct deliver *d)
{
	unsigned places = 0;

	for (unsigned i = 0; i < PATH_LOADS_MAX; i++)
		places += !d->loads[i].is_out;
	return places;
}

bool deliver_may_ask(struct deliver *d, const struct reader *r)
{
	return unused_load(d, r->key.id) != NULL;
}

/* ---- what came back */

static void learn(struct reader *r, const struct page_load *l, int code)
{
	r->load.state = LOAD_BACK;
	r->load.stream = l->stream;
	r->load.cursor = l->cursor;
	r->load.code = code;
	r->load.is_of_all = l->is_of_all;
	r->load.head = l->head;
}

/* Who waits for this place learns what came of it.  It will ask for what follows: who waits to ask is before it then. */
static void tell(struct deliver *d, const struct page_load *l, int code)
{
	struct reader *r, *next;

	for (r = TAILQ_FIRST(readers_list(d->readers, READER_WAITS)); r != NULL; r = next) {
		next = TAILQ_NEXT(r, list);
		if (!r->load.is_awaited || !is_at(l, &r->load.stream, r->load.cursor))
			continue;
		r->load.is_awaited = false;
		learn(r, l, code);
		readers_place(d->readers, r, READER_NOWHERE);
		readers_place(d->readers, r, READER_WAITS);
	}
}

/* The pages go into memory.  What a reader is to know: RK_OK: there are some. */
static int keep(struct deliver *d, struct page_load *l)
{
	/* An error behind the first page is met again when its turn comes. */
	int code = !SLIST_EMPTY(&l->pages) ? RK_OK : l->code != RK_OK ? l->code : RK_ENOTFOUND;
	int64_t read_ms = l->read_ms > d->now_ms - AGE_WHEN_PUT_MAX_MS ? l->read_ms : d->now_ms - AGE_WHEN_PUT_MAX_MS;
	struct loaded_page *p;

	SLIST_FOREACH(p, &l->pages, next)
		pages_put(d->pages, &l->stream, &p->page, read_ms);
	page_load_clear(l);
	return code;
}

static void take(struct deliver *d, struct page_load *l)
{
	int code = keep(d, l);

	l->is_out = false;
	tell(d, l, code);
}

bool deliver_take_loads(struct deliver *d)
{
	struct page_load *l;
	bool any = false;

	for (; (l = ring_pop(d->path->pages_deliver)) != NULL; any = true)
		take(d, l);
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

static struct page_load load_for(struct deliver *d, const struct reader *r, const struct subscription *s, unsigned entries_max, bool is_of_all)
{
	const struct config *c = d->path->config;
	struct page_load l = {
		.stream = s->feed->stream,
		.cursor = s->cursor,
		.entries_max = entries_max < (unsigned)c->page_entries ? entries_max : (unsigned)c->page_entries,
		.bytes_max = (size_t)r->credit_bytes < d->load_bytes_max ? (size_t)r->credit_bytes : d->load_bytes_max,
		.is_of_all = is_of_all || path_is_stored(d->path),
		.head = s->feed->head,
	};

	memcpy(l.device_id, r->key.id, sizeof(l.device_id));
	metrics_add(M_LOADS, 1);
	return l;
}

static void load_now(struct deliver *d, struct reader *r, const struct subscription *s, unsigned entries_max, bool is_of_all)
{
	struct page_load l = load_for(d, r, s, entries_max, is_of_all);

	page_load_run(&l, d->path->env, d->load_arena);
	learn(r, &l, keep(d, &l));
}

/* The reader waits for what follows its cursor, which is asked for unless somebody did. */
static void wait_for(struct deliver *d, struct reader *r, const struct subscription *s, unsigned entries_max, bool is_of_all)
{
	struct page_load *l = load_of_place(d, &s->feed->stream, s->cursor);

	if (l == NULL) {
		l = unused_load(d, r->key.id);
		r->load.is_slot_awaited = l == NULL;
		if (l == NULL)
			return;
		*l = load_for(d, r, s, entries_max, is_of_all);
		l->is_out = true;
		(void)ring_push(d->path->deliver_pages, l); /* never full: there are no more loads than places in it */
	}
	r->load.is_awaited = true;
	r->load.state = LOAD_OUT;
	r->load.stream = s->feed->stream;
	r->load.cursor = s->cursor;
}

/* False: the reader has to wait. */
static bool load(struct deliver *d, struct reader *r, const struct subscription *s, unsigned entries_max, bool is_of_all)
{
	bool is_near = s->feed->head - s->cursor <= NEAR_ENTRIES;

	if (is_near || !d->has_pages_thread)
		load_now(d, r, s, entries_max, is_of_all);
	else
		wait_for(d, r, s, entries_max, is_of_all);
	return is_near || !d->has_pages_thread;
}

/* What came of reading this place; RK_OK where nothing did, or it has been used. */
static int answer(struct reader *r, const struct subscription *s)
{
	struct reader_load *l = &r->load;
	bool is_here = l->state == LOAD_BACK && l->cursor == s->cursor && memcmp(&l->stream, &s->feed->stream, sizeof(l->stream)) == 0;

	l->state = LOAD_NONE;
	return is_here ? l->code : RK_OK;
}

/* What is in the tables may be sent whatever is not there yet; who has come to its end waits for the rest, and looks again. */
static bool has_to_look_again(const struct reader *r, int code)
{
	return code == RK_ENOTFOUND && !r->load.is_of_all;
}

int deliver_page(struct deliver *d, struct reader *r, struct subscription *s, unsigned entries_max, struct page **p)
{
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		int code;

		*p = pages_find(d->pages, &s->feed->stream, s->cursor, d->now_ms);
		code = answer(r, s);
		if (*p != NULL)
			return RK_OK;
		if (code == RK_BUSY) {
			r->retry_ms = d->now_ms + BUSY_PAUSE_MS;
			return RK_BUSY;
		}
		if (code != RK_OK && !has_to_look_again(r, code)) {
			/* As of the time of asking: what has come since is looked for. */
			s->empty_at = r->load.head;
			return code;
		}
		if ((code != RK_OK && !path_may_read(d->path, &r->store_mark)) || !load(d, r, s, entries_max, code != RK_OK))
			return RK_BUSY;
	}
	s->empty_at = s->feed->head;
	return RK_ENOMEM;
}
