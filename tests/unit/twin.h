/*
 * twin: beside a world, whose batches may be saved in a journal, a second store that commits each of them.  Replies and effects must be the same at
 * once, and the tables when the world's are asked for: after apply_store, and after a kill (P8).
 */
#ifndef RENKEI_TESTS_TWIN_H
#define RENKEI_TESTS_TWIN_H

#include "tests/unit/world.h"

struct twin {
	struct world *world;
	char folder[256];
	struct env *env;
	struct apply *apply;
	size_t followed;   /* of the world's records */
};

/** Begins with a copy of the world's store.  From then on the world has a journal of so many bytes, and gathers. */
void twin_open(struct twin *, struct world *, uint64_t journal_bytes);
void twin_close(struct twin *);
/** The batch that the world ran last, of these commands: runs it too, and asserts the same effects. */
void twin_follow(struct twin *, struct command *const *, size_t n);
/** The same for a function of the world that runs one command; returns its code. */
int twin_ran(struct twin *, int code);
int twin_run(struct twin *, struct command *);
/** Asserts that all that was answered is in the world's tables, without having been asked for. */
void twin_assert_stored(const struct twin *);
/** Kills the world, starts it again, and asserts the same. */
void twin_kill(struct twin *);

#endif
