/*
 * pages: the pages of streams that are read just now, shared by all readers at the same place: the frames of a delivery do not
 * depend on who reads.  Filled from the batch that was committed, or by loads (page_load.h); bounded in bytes and age.
 * Net's thread only.
 */
#ifndef RENKEI_BROKER_PAGES_H
#define RENKEI_BROKER_PAGES_H

#include "broker/page.h"

struct pages;

/** NULL without memory. */
struct pages *pages_new(size_t bytes_max);
void pages_free(struct pages *);
/**
 * The page after `cursor`: its first entry is cursor + 1, or a later one where a gap by retention lies between, and then it says
 * so.  Borrowed until the next call.  NULL: it is not here.
 */
struct page *pages_find(struct pages *, const struct stream_id *, uint64_t cursor, int64_t now_ms);
/** Keeps a page for a second from read_ms on, when the store had it so; takes it over.  False without memory: it is gone. */
bool pages_put(struct pages *, const struct stream_id *, struct page *, int64_t read_ms, int64_t now_ms);

#endif
