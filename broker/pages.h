/*
 * pages: entries of streams, ready to be sent, shared by all readers at the same place: the frames of a delivery do not
 * depend on who reads.  Filled in short pages, one read transaction each (HAZARDS L9); bounded in bytes and age.
 * Net's thread only.
 */
#ifndef RENKEI_BROKER_PAGES_H
#define RENKEI_BROKER_PAGES_H

#include "broker/config.h"
#include "broker/message.h"

struct pages;

struct page_entry {
	uint64_t seq;
	zmq_msg_t frames[MESSAGE_OUT_FRAMES]; /* header first */
	unsigned frame_count;
	size_t bytes;
};

/** NULL without memory. */
struct pages *pages_new(struct env *, const struct config *);
void pages_free(struct pages *);
/**
 * The first entry after `cursor`: cursor + 1, or a later one where a gap by retention lies between, and then it says
 * so. *out is borrowed until the next call.  RK_ENOTFOUND: none; RK_ENOMEM; RK_ESTORE or RK_EIO: the store cannot be
 * read.
 */
int pages_get(struct pages *, const struct stream_id *, uint64_t cursor, int64_t now_ms, struct page_entry **out);

/** Keeps an entry that was just committed, so that it need not be read; `body` is shared.  Without memory it is read when it is asked for. */
void pages_put(struct pages *, const struct stream_id *, uint64_t seq, const struct stream_entry *, zmq_msg_t *body, int64_t now_ms);

#endif
