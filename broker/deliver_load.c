/*
 * deliver_load: pages that are not in memory.  A reader asks for a load and waits; the others go on.  What comes back goes into memory, where all who
 * wait for it find it, each in its turn; or they learn that there was nothing, or an error.  PATH_LOADS_MAX are out at a time: together they take half of
 * the memory that there is for pages, and an entry each.
 */
#include "broker/deliver_internal.h"

#include "broker/metrics.h"
#include "proto/errcode.h"

/* Too old to be kept for long, but not before the reader it was read for has had a turn: what is withdrawn meanwhile is served so much longer. */
#define AGE_WHEN_PUT_MAX_MS 500
#define BUSY_PAUSE_MS 250
/* A few entries that were written a moment ago, such as mail, are read at once: no disk has to be waited for. */
#define NEAR_ENTRIES 4
#define NEAR_MS 1000
#define TRIES_MAX 3 /* of one turn: what was loaded is in memory, or there is none */

static struct page_load *load_out(struct deliver *d, const struct stream_id *stream, uint64_t cursor)
{
	for (unsigned i = 0; i < PATH_LOADS_MAX; i++) {
		struct page_load *l = &d->loads[i];

		if (l->is_out && l->cursor == cursor && memcmp(&l->stream, stream, sizeof(*stream)) == 0)
			return l;
	}
	return NULL;
}

static struct reader_list *waiters_of(struct deliver *d, const struct page_load *l)
{
	return &d->waiters[l - d->loads];
}

/* One to be used.  NULL: all are out, or one is for this device: it has one at a time, whatever it subscribes. */
static struct page_load *load_unused(struct deliver *d, const uint8_t device_id[16])
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

static unsigned count_unused(const struct deliver *d)
{
	unsigned count = 0;

	for (unsigned i = 0; i < PATH_LOADS_MAX; i++)
		count += !d->loads[i].is_out;
	return count;
}

void deliver_let_ask(struct deliver *d)
{
	struct reader_list *asks = readers_list(d->readers, READER_ASKS);
	unsigned unused = TAILQ_EMPTY(asks) ? 0 : count_unused(d);
	struct reader *r, *next;

	for (r = TAILQ_FIRST(asks); r != NULL && unused > 0; r = next) {
		next = TAILQ_NEXT(r, list);
		if (load_unused(d, r->key.id) == NULL)
			continue;
		readers_run_first(d->readers, r); /* before those who come just now */
		unused--;
	}
}

/* ---- what came back */

static void learn(struct reader *r, const struct page_load *l, int code)
{
	r->load = (struct reader_load){
		.is_back = true, .stream = l->stream, .cursor = l->cursor, .code = code, .is_of_all = l->is_of_all, .head = l->head};
}

/* The pages go into memory.  What a reader is to know; RK_OK: there are some. */
static int keep(struct deliver *d, struct page_load *l)
{
	/* An error behind the first page is met again when its turn comes. */
	int code = !SLIST_EMPTY(&l->pages) ? RK_OK : l->code != RK_OK ? l->code : RK_ENOTFOUND;
	int64_t read_ms = l->read_ms > d->now_ms - AGE_WHEN_PUT_MAX_MS ? l->read_ms : d->now_ms - AGE_WHEN_PUT_MAX_MS;
	struct loaded_page *p;

	SLIST_FOREACH(p, &l->pages, next) /* the first page comes last */
		if (!pages_put(d->pages, &l->stream, &p->page, read_ms, d->now_ms) && SLIST_NEXT(p, next) == NULL)
			code = RK_ENOMEM;
	page_load_clear(l);
	return code;
}

/* Who waits for this place learns what came of it, and runs. */
static void take(struct deliver *d, struct page_load *l)
{
	struct reader_list *waiters = waiters_of(d, l);
	int code = keep(d, l);
	struct reader *r;

	l->is_out = false;
	while ((r = TAILQ_FIRST(waiters)) != NULL) {
		learn(r, l, code);
		readers_place(d->readers, r, READER_RUNS);
	}
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

/* ---- asking; is_of_all: the tables have just had all that was answered */

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
	struct page_load *l = load_out(d, &s->feed->stream, s->cursor);

	if (l == NULL) {
		l = load_unused(d, r->key.id);
		if (l == NULL) {
			readers_place(d->readers, r, READER_ASKS);
			return;
		}
		*l = load_for(d, r, s, entries_max, is_of_all);
		l->is_out = true;
		metrics_add(M_LOADS, 1);
		(void)ring_push(d->path->deliver_pages, l); /* never full: there are no more loads than places in it */
	}
	readers_wait_for_load(r, waiters_of(d, l));
}

/* False: the reader has to wait. */
static bool load(struct deliver *d, struct reader *r, const struct subscription *s, unsigned entries_max, bool is_of_all)
{
	bool is_near = s->feed->head - s->cursor <= NEAR_ENTRIES && d->now_ms - s->feed->grown_ms < NEAR_MS;

	if (!is_near) {
		wait_for(d, r, s, entries_max, is_of_all);
		return false;
	}
	load_now(d, r, s, entries_max, is_of_all);
	return true;
}

/* What came of reading this place; RK_OK where nothing did, or it has been used. */
static int answer(struct reader *r, const struct subscription *s)
{
	struct reader_load *l = &r->load;
	bool is_here = l->is_back && l->cursor == s->cursor && memcmp(&l->stream, &s->feed->stream, sizeof(l->stream)) == 0;

	l->is_back = false;
	return is_here ? l->code : RK_OK;
}

static int wait_until(struct deliver *d, struct reader *r, int64_t retry_ms)
{
	r->retry_ms = retry_ms;
	readers_place(d->readers, r, READER_WAITS);
	return RK_BUSY;
}

int deliver_page(struct deliver *d, struct reader *r, struct subscription *s, unsigned entries_max, struct page **p)
{
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		bool is_empty;
		int code;

		*p = pages_find(d->pages, &s->feed->stream, s->cursor, d->now_ms);
		code = answer(r, s);
		if (*p != NULL)
			return RK_OK;
		if (code == RK_BUSY)
			return wait_until(d, r, d->now_ms + BUSY_PAUSE_MS);
		is_empty = code == RK_ENOTFOUND;
		if (code != RK_OK && !(is_empty && !r->load.is_of_all)) {
			/* As of the time of asking: what has come since is looked for. */
			s->empty_at = r->load.head;
			return code;
		}
		/* What is in the tables may be sent whatever is not there yet; who has come to its end waits for the rest, and looks again. */
		if (is_empty && !path_may_read(d->path, &r->store_mark))
			return wait_until(d, r, d->now_ms);
		if (!load(d, r, s, entries_max, is_empty))
			return RK_BUSY;
	}
	s->empty_at = s->feed->head;
	return RK_ENOMEM;
}
