/*
 * readers: deliver's tables: who reads (a device's session), which streams (subscriptions), and which streams are read
 * at all (feeds, with their heads).  No I/O.  Net's thread only.
 */
#ifndef RENKEI_BROKER_READERS_H
#define RENKEI_BROKER_READERS_H

#include <sys/queue.h>

#include "broker/idtable.h"
#include "broker/message.h"

#define READER_SUBSCRIPTIONS_MAX 8 /* control, six channels, one mailbox: all there are for a device */
#define READER_FLIGHT_MAX 32       /* messages handed to front and not yet given back */
#define READER_CREDIT_ENTRIES_MAX 4096
#define READER_CREDIT_BYTES_MAX ((int64_t)64 * 1024 * 1024)

struct reader;

/* A stream that somebody reads. */
struct feed {
	LIST_ENTRY(feed) bucket;
	struct stream_id stream;
	uint64_t head;
	int64_t grown_ms;          /* when an event of apply last raised it */
	LIST_HEAD(subscriptions, subscription) subscriptions;
};

struct subscription {
	LIST_ENTRY(subscription) of_feed;
	struct reader *reader;
	struct feed *feed;         /* NULL: unused */
	uint64_t cursor;           /* last entry handed to front */
	uint64_t empty_at;         /* nothing was found after cursor when the head was this */
};

/* One message under way, of one entry or of a page of them. */
struct flight {
	unsigned subscription;     /* READER_SUBSCRIPTIONS_MAX: its subscription has been replaced since */
	unsigned entries;
	uint64_t cursor_before;
	size_t bytes;
};

/* What came of reading a place that was not in memory (deliver_load.c). */
struct reader_load {
	bool is_back;              /* … and has not been used */
	struct stream_id stream;
	uint64_t cursor;
	int code;                  /* RK_ENOTFOUND: nothing there */
	bool is_of_all;            /* this and the next as in page_load.h */
	uint64_t head;
};

/* RUNS: has something to send.  WAITS: for a time, or for the tables.  ASKS: for one of the loads to be free.  LOADS: for one that is out, in its list; the places
 * between the first and this one have a list each. */
enum reader_place { READER_NOWHERE, READER_RUNS, READER_WAITS, READER_ASKS, READER_LISTS, READER_LOADS = READER_LISTS };

TAILQ_HEAD(reader_list, reader);

struct reader {
	struct idtable_key key;
	struct peer peer;
	uint8_t org_id[16];
	struct subscription subscriptions[READER_SUBSCRIPTIONS_MAX];
	unsigned turn;             /* the subscription to look at first */
	int64_t credit_entries, credit_bytes;
	struct flight flights[READER_FLIGHT_MAX];
	unsigned flight_first, flight_count;
	uint64_t epoch;            /* of the deliveries under way; a rewind takes a new one */
	int64_t retry_ms, pause_ms;
	uint64_t store_mark;       /* of path_may_read; with retry_ms, what READER_WAITS is for */
	struct reader_load load;
	enum reader_place place;
	struct reader_list *in;    /* the list of its place */
	TAILQ_ENTRY(reader) list;
};

struct readers;

/** NULL without memory. */
struct readers *readers_new(size_t capacity);
void readers_free(struct readers *);

struct reader *readers_find(struct readers *, const uint8_t device_id[16]);
/** A new one without subscriptions and credit; NULL when the table is full.  The device must have none. */
struct reader *readers_add(struct readers *, const struct peer *, const uint8_t org_id[16]);
/** Removes it with its subscriptions, from whatever list it is in. */
void readers_drop(struct readers *, struct reader *);

/** Subscribes, or sets the cursor of a subscription there is; false without memory. */
bool readers_subscribe(struct readers *, struct reader *, const struct stream_id *, uint64_t cursor, uint64_t head);
void readers_unsubscribe(struct readers *, struct reader *, const struct stream_id *);
/** The feed of a stream that somebody reads, or NULL. */
struct feed *readers_feed(struct readers *, const struct stream_id *);

/** Where a reader stands: at the end of the list of that place; all but READER_LOADS. */
void readers_place(struct readers *, struct reader *, enum reader_place);
/** READER_LOADS: at the end of the list of those who wait for one load, which outlives the stay in it. */
void readers_wait_for_load(struct reader *, struct reader_list *load);
/** It runs next. */
void readers_run_first(struct readers *, struct reader *);
/** Those at a place, of RUNS, WAITS and ASKS. */
struct reader_list *readers_list(struct readers *, enum reader_place);

/** The next subscription with something to send, in turn; NULL if none or no credit. */
struct subscription *reader_next(struct reader *);
/** Its next turn begins with this one again. */
void reader_again(struct subscription *);
void reader_credit(struct reader *, uint32_t entries, uint32_t bytes);
/** Entries up to `seq` were handed to front in one message: takes credit, moves the cursor. */
void reader_sent(struct reader *, struct subscription *, uint64_t seq, unsigned entries, size_t bytes);
/** Front sent the oldest one. */
void reader_confirm(struct reader *);
/** Front could not: everything under way goes back to its key, under a new epoch. */
void reader_rewind(struct readers *, struct reader *);

#endif
