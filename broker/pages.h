/*
 * pages: the pages of streams that are read just now, shared by all readers at the same place: the frames of a delivery do not
 * depend on who reads.  Filled from the batch that was committed, or in short reads, one read transaction each (HAZARDS L9); bounded in bytes and age.
 * Net's thread only.
 */
#ifndef RENKEI_BROKER_PAGES_H
#define RENKEI_BROKER_PAGES_H

#include "broker/config.h"
#include "broker/page.h"

struct pages;

/** NULL without memory. */
struct pages *pages_new(struct env *, const struct config *);
void pages_free(struct pages *);
/**
 * The page after `cursor`: its first entry is cursor + 1, or a later one where a gap by retention lies between, and then it says
 * so.  One that is read for this has no more than entries_max (at least 1), and ends with the entry that reaches bytes_max; one that is there already may have more.  *out is borrowed until the next call.
 * RK_ENOTFOUND: nothing there; RK_ENOMEM; RK_ESTORE or RK_EIO: the store cannot be read.
 */
int pages_get(struct pages *, const struct stream_id *, uint64_t cursor, unsigned entries_max, size_t bytes_max, int64_t now_ms, struct page **out);

/** Keeps a page that was just committed, so that it need not be read; takes it over.  Without memory it is read when it is asked for. */
void pages_put(struct pages *, const struct stream_id *, struct page *, int64_t now_ms);

#endif
