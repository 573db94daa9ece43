/*
 * rig: deliver alone, between rings that the test fills and empties, over a store with entries of a channel.  One device reads; what is
 * delivered to it is asserted to follow its cursor without a gap.
 */
#ifndef RENKEI_TESTS_RIG_H
#define RENKEI_TESTS_RIG_H

#include "broker/deliver.h"
#include "broker/signer.h"

#define RIG_LARGE_BODY 100000
#define RIG_REPLIES_MAX 128

struct rig {
	char folder[256];
	struct config config;
	struct path path;
	struct env *env;
	struct deliver *deliver;
	struct arena *arena;
	bool test_plays_pages; /* the test is the thread of pages; else rig_turn is */
	struct roster_device device;
	struct peer peer;  /* who asks: the device, unless the test says otherwise */
	Rk__Channel channel; /* that is written, told of and subscribed: of offers, unless the test says otherwise */
	uint64_t seq;      /* of the last entry that came */
	unsigned entries;  /* since the last look */
	unsigned messages, bundles;
	unsigned others;   /* entries for another device */
	Rk__Op replies[RIG_REPLIES_MAX];
	unsigned reply_count;
	uint64_t head;     /* as the last reply to a SUBSCRIBE told it */
};

/** What all entries are made of. */
extern uint8_t rig_filler[RIG_LARGE_BODY];

/** As cmocka calls them. */
int rig_set_up(void **state);
int rig_set_up_with_loads(void **state); /* test_plays_pages: what deliver asks for stands in path.deliver_pages */
int rig_tear_down(void **state);
/** Entries in the store, with bodies of so many bytes. */
void rig_append(struct rig *, unsigned count, size_t body);
/** Events of apply: the channel's head; a page of entries as a batch made them. */
void rig_tell(struct rig *, uint64_t head);
void rig_page(struct rig *, uint64_t first, unsigned count);
void rig_ask(struct rig *, Rk__Request *);
void rig_subscribe(struct rig *, uint64_t cursor);
void rig_credit(struct rig *, uint32_t entries, uint32_t bytes);
/** A turn of deliver, with what the thread of pages does for it, unless the test plays that; true if there was anything to do. */
bool rig_turn(struct rig *);
/** Turns until nothing moves; what is for front is taken, and given back as sent.  How many entries came; the first one tells of a gap. */
unsigned rig_run(struct rig *, uint64_t gap_to);

#endif
