/*
 * ahead: when the store's file is written ahead of its use (store/env_ahead.c says how, and why commits are faster for it).  In idle time as fast as
 * the disk is quick; beside some load slowly; beside much not at all, for each byte would be written twice.  One thread.
 */
#ifndef RENKEI_BROKER_AHEAD_H
#define RENKEI_BROKER_AHEAD_H

#include "store/env.h"

struct ahead {
	struct env *env;
	uint64_t target_bytes;   /* ahead when all is well; 0: never */
	uint64_t reserve_bytes;  /* of the disk, left alone */
	int64_t next_ms, looked_ms;
	uint64_t used_bytes, bytes_per_s; /* the store's, and its growth, at the last look … */
	uint64_t last_txn;
	bool is_quiet;           /* … and whether hardly anything was committed */
	bool is_growing;
};

/** A chunk, if it is time for one.  Milliseconds until the next turn.  Failures only put it off: the commit that needs the bytes meets them itself. */
int ahead_turn(struct ahead *, int64_t now_ms);

#endif
