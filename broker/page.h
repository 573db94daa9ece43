/*
 * page: some entries of one stream, one after the other, ready to be sent: what is at most PAGE_ENTRY_MAX_BYTES goes together into one frame (proto/bundle.h), what is
 * larger stands alone in frames of its own, and its bulk is not copied.  A page does not depend on who reads it.  Any thread, one at a time.
 */
#ifndef RENKEI_BROKER_PAGE_H
#define RENKEI_BROKER_PAGE_H

#include "broker/message.h"
#include "proto/bundle.h"

#define PAGE_ENTRY_MAX_BYTES ((size_t)16 * 1024) /* of an entry in a bundle: above, a copy costs more than a frame */

struct page {
	uint64_t cursor, last;  /* it holds the entries after cursor, up to last; a gap by retention may stand before the first */
	unsigned count;         /* of entries */
	size_t bytes;           /* of the entries' frames: what credit counts */
	zmq_msg_t frames[MESSAGE_OUT_FRAMES];
	unsigned frame_count;
	bool is_bundle;         /* of one frame; else the frames of one entry */
};

/* One being filled.  Zeroed: empty. */
struct page_builder {
	struct bundle bundle;
	uint64_t cursor, last;
	size_t bytes;
};

/**
 * Adds the entry `seq`; cursor is the entry before it that the stream still has.  arena is for an announcement, and may be NULL where there is none.
 * RK_OK; RK_TOO_LARGE: it must stand alone, or in the next page; RK_ENOMEM; RK_ESTORE: an announcement that cannot be read.
 */
int page_add(struct page_builder *, const struct stream_id *, uint64_t cursor, uint64_t seq, const struct stream_entry *, struct arena *);
/** The entry is too large for any bundle. */
bool page_is_lone(const struct stream_entry *);
/** A page of one entry; body: shared in place of the entry's own, or NULL. */
int page_lone(struct page *, const struct stream_id *, uint64_t cursor, uint64_t seq, const struct stream_entry *, zmq_msg_t *body, struct arena *);
/** The page that was filled; the builder is empty again.  RK_ENOTFOUND: nothing was added; RK_ENOMEM. */
int page_finish(struct page_builder *, struct page *);
/** Frees what it holds. */
void page_builder_clear(struct page_builder *);
void page_clear(struct page *);

#endif
