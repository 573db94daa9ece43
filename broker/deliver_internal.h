/*
 * deliver_internal: what the parts of deliver share.  All of it belongs to the thread of net.h.
 */
#ifndef RENKEI_BROKER_DELIVER_INTERNAL_H
#define RENKEI_BROKER_DELIVER_INTERNAL_H

#include "broker/deliver.h"
#include "broker/page_load.h"
#include "broker/pages.h"
#include "broker/readers.h"

struct deliver {
	struct path *path;
	struct readers *readers;
	struct pages *pages;
	struct page_load loads[PATH_LOADS_MAX];
	struct reader_list waiters[PATH_LOADS_MAX]; /* for each of them */
	struct arena *load_arena;   /* for the few entries that are read at once */
	size_t load_bytes_max;      /* so that all loads together take half of the memory for pages, and an entry each */
	int64_t now_ms;
	struct message_in *waiting; /* a SUBSCRIBE, and what stands behind it in the ring: until the tables have all that was answered */
	uint64_t store_mark;        /* of path_may_read, for it */
	unsigned under_way;         /* deliveries that front has */
};

/** The reader is gone, and what was on its way to it. */
void deliver_drop(struct deliver *, struct reader *);
/** Runs it, unless it waits for its connection. */
void deliver_wake(struct deliver *, struct reader *);

/* ---- deliver_load.c */
/**
 * The page after a subscription's cursor, from memory, or loaded; borrowed until the next call.  entries_max: for a load.
 * RK_BUSY: not yet; the reader has been put where it waits.  RK_ENOTFOUND: nothing there; RK_ENOMEM; RK_ESTORE, RK_EINTEGRITY or RK_EIO: the
 * store cannot be read; then the subscription rests until its stream has grown.
 */
int deliver_page(struct deliver *, struct reader *, struct subscription *, unsigned entries_max, struct page **);
/** Readers that wait to ask (READER_ASKS) run, as many as there are loads for. */
void deliver_let_ask(struct deliver *);
/** Takes the loads that came back; true if there were any. */
bool deliver_take_loads(struct deliver *);
/** At the end: the pages of loads that nobody took. */
void deliver_free_loads(struct deliver *);

/* ---- deliver_request.c */
/** Answers a request, or refuses it; one without a body says that the session is gone.  The command stays the caller's. */
void deliver_request(struct deliver *, struct command *);

#endif
