/*
 * deliver: the step that has the readers (net.h: its thread is that of front and admit).  It answers SUBSCRIBE, UNSUBSCRIBE, CREDIT and GET_OBJECT, and sends the entries of
 * streams to those who subscribed, against credit only.  Reads are short pages from a cursor key; a reader that gives
 * no credit, or whose connection is full, costs its cursors and nothing else.
 */
#ifndef RENKEI_BROKER_DELIVER_H
#define RENKEI_BROKER_DELIVER_H

#include "broker/page.h"
#include "broker/path.h"

struct deliver;

/* From apply's thread, after a commit, in its order. */
enum deliver_event_kind {
	DELIVER_PAGE,   /* entries of stream, as they were committed; a DELIVER_STREAM follows */
	DELIVER_STREAM, /* stream has entries up to seq */
	DELIVER_HELLO,  /* peer said HELLO: its former subscriptions and credit are gone */
	DELIVER_CUT,    /* peer.id is cut: drop its session */
};
struct deliver_event {
	enum deliver_event_kind kind;
	struct stream_id stream;
	uint64_t seq;
	struct peer peer;
	struct page page;      /* PAGE; what it takes counts in path->live_bytes until the event is taken */
};

/** What a PAGE takes while it waits. */
static inline size_t deliver_event_bytes(const struct deliver_event *e)
{
	return sizeof(*e) + e->page.bytes;
}
/** Any kind: closes what a PAGE holds. */
void deliver_event_free(struct deliver_event *);

/** NULL without memory.  For readers that are behind somebody has to run page_load_thread, or page_load_turn. */
struct deliver *deliver_new(struct path *);
void deliver_free(struct deliver *);
/** Takes what came, then lets readers go on.  True if there was anything. */
bool deliver_turn(struct deliver *);
/** Takes the events of apply, and does nothing more about them; true if there were any. */
bool deliver_take_events(struct deliver *);
/** Nothing stands in its rings. */
bool deliver_is_idle(struct deliver *);
/** How long it may sleep at most. */
int deliver_sleep_ms(struct deliver *);

#endif
