#include "broker/page_load.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/errcode.h"

struct reading {
	struct page_load *load;
	struct arena *arena;
	uint64_t cursor;     /* the entry before the next one */
	size_t bytes;        /* so far */
	int error;
	struct page_builder open;
};

static int keep(struct reading *r, struct page *page)
{
	struct loaded_page *p = malloc(sizeof(*p));

	if (p == NULL) {
		page_clear(page);
		return RK_ENOMEM;
	}
	p->page = *page; /* libzmq's messages may be moved as they are, as long as only one of the two is used */
	SLIST_INSERT_HEAD(&r->load->pages, p, next);
	return RK_OK;
}

/* What was gathered so far is a page. */
static int close_page(struct reading *r)
{
	struct page page;
	int code = page_finish(&r->open, &page);

	if (code != RK_OK)
		return code == RK_ENOTFOUND ? RK_OK : code;
	return keep(r, &page);
}

static int add_lone(struct reading *r, uint64_t seq, const struct stream_entry *s)
{
	struct page page;
	int code = close_page(r);

	if (code != RK_OK || (code = page_lone(&page, &r->load->stream, r->cursor, seq, s, NULL, r->arena)) != RK_OK)
		return code;
	return keep(r, &page);
}

static int add_entry(struct reading *r, uint64_t seq, const struct stream_entry *s)
{
	int code;

	if (page_is_lone(s))
		return add_lone(r, seq, s);
	code = page_add(&r->open, &r->load->stream, r->cursor, seq, s, r->arena);
	if (code != RK_TOO_LARGE)
		return code;
	/* Full: it begins the next one, where there is room for it. */
	if ((code = close_page(r)) != RK_OK)
		return code;
	return page_add(&r->open, &r->load->stream, r->cursor, seq, s, r->arena);
}

static int on_entry(void *user, uint64_t seq, const struct stream_entry *s)
{
	struct reading *r = user;

	r->error = add_entry(r, seq, s);
	r->cursor = seq;
	r->bytes += s->object.len + s->wraps.len + s->body.len;
	return r->error != RK_OK || r->bytes >= r->load->bytes_max;
}

void page_load_run(struct page_load *load, struct env *env, struct arena *arena)
{
	struct reading r = {.load = load, .arena = arena, .cursor = load->cursor};
	struct txn *txn;
	int code, closed;

	SLIST_INIT(&load->pages);
	load->read_ms = path_monotonic_ms();
	load->code = env_begin(env, false, &txn);
	if (load->code != RK_OK)
		return;
	code = stream_page(txn, &load->stream, load->cursor, load->entries_max, on_entry, &r);
	env_abort(txn);
	closed = close_page(&r);
	if (r.error == RK_OK)
		r.error = closed;
	page_builder_clear(&r.open);
	load->code = r.error != RK_OK ? r.error : code < 0 ? code : RK_OK;
}

void page_load_clear(struct page_load *load)
{
	struct loaded_page *p;

	while ((p = SLIST_FIRST(&load->pages)) != NULL) {
		SLIST_REMOVE_HEAD(&load->pages, next);
		page_clear(&p->page);
		free(p);
	}
}

bool page_load_turn(struct path *p, struct arena *arena)
{
	struct page_load *load = ring_pop(p->deliver_pages);

	if (load == NULL)
		return false;
	page_load_run(load, p->env, arena);
	ring_push_wait(p->pages_deliver, load); /* never full: deliver counts */
	return true;
}

void *page_load_thread(void *path)
{
	struct path *p = path;
	struct arena *arena = arena_new(0);

	if (arena == NULL) {
		path_fail(p, RK_ENOMEM);
		return NULL;
	}
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), BULK_NICE); /* where it may not be set, all is as right */
	while (!atomic_load(&p->stopping)) {
		if (page_load_turn(p, arena))
			continue;
		ring_bell_arm(p->pages_bell);
		if (!ring_is_empty(p->deliver_pages) || atomic_load(&p->stopping))
			ring_bell_disarm(p->pages_bell);
		else
			ring_bell_sleep(p->pages_bell, -1);
	}
	arena_free(arena);
	return NULL;
}
