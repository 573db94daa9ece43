/*
 * page_load: reading pages from the store, for readers that are behind, by a thread of its own (rk-pages): rk-net, which everybody's messages pass,
 * neither waits for a disk nor copies a year's posts.  deliver asks and goes on; the pages come back by a ring.  A load is one short read transaction (HAZARDS L9).
 * The thread is nice: who is behind waits for a core, not who is there.
 */
#ifndef RENKEI_BROKER_PAGE_LOAD_H
#define RENKEI_BROKER_PAGE_LOAD_H

#include <sys/queue.h>

#include "broker/page.h"
#include "broker/path.h"

/** A page that was loaded. */
struct loaded_page {
	SLIST_ENTRY(loaded_page) next;
	struct page page;
};

struct page_load {
	/* What is asked. */
	struct stream_id stream;
	uint64_t cursor;           /* the first page begins behind it */
	unsigned entries_max;      /* at least 1 */
	size_t bytes_max;          /* it ends with the entry that reaches this */
	uint8_t device_id[16];     /* of the reader for whom */
	/* deliver's own. */
	bool is_out;               /* asked of the thread, and not back yet */
	bool is_of_all;            /* when it was asked for, the tables had all that was answered … */
	uint64_t head;             /* … and this was the stream's head, as far as deliver knew */
	/* The answer.  Pages may be there beside an error: what was read before it is good. */
	SLIST_HEAD(, loaded_page) pages; /* the last one first: what is put into memory last stays longest, and the first one is waited for */
	int64_t read_ms;           /* when the transaction began */
	int code;                  /* RK_OK, also where there is nothing; RK_ENOMEM; RK_BUSY, RK_ESTORE, RK_EINTEGRITY, RK_EIO: the store cannot be read */
};

/** Does it.  Any thread; the arena is for announcements. */
void page_load_run(struct page_load *, struct env *, struct arena *);
/** Frees the pages that are left in it. */
void page_load_clear(struct page_load *);

/** Runs the next load of path->deliver_pages, and gives it back to path->pages_deliver.  False: there is none.  One thread at a time. */
bool page_load_turn(struct path *, struct arena *);
/** The thread that does so until path->stopping. */
void *page_load_thread(void *path);

#endif
