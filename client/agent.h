/*
 * agent: a process of a home that stays: there is one of them at most, others can see it, and it hears of each new entry of the inbox once.
 * What it does with that, and everything people read, is the program's.
 */
#ifndef RENKEI_CLIENT_AGENT_H
#define RENKEI_CLIENT_AGENT_H

#include "client/client.h"

#define META_AGENT_SINCE "agent/since"  /* u64be: when the last agent began, ms */
#define META_AGENT_SERVES "agent/serves" /* u64be: 1: it also does the secretariat's duties */
#define META_AGENT_TOLD "agent/told"    /* u64be: number of the last inbox entry that was handed on */

/** Makes this process the agent of its home: *lock is closed by the caller, at the end.  RK_ELOCKED: there is one. */
int agent_begin(struct client *, bool serves, int *lock);

struct agent_view {
	bool is_running, serves;
	int64_t since;            /* 0 if it is not running */
	int64_t connected_since;  /* 0: not connected */
};
int agent_view(struct client *, struct txn *, struct agent_view *);

/* One new entry of the inbox, without anything of what it says. */
struct agent_event { uint64_t no; Rkl__InboxKind kind; uint8_t id[32]; size_t id_len; unsigned unread; };
/**
 * The next entry that is unread and was not handed on; it counts as handed on, durably, when this returns: whoever is killed after it
 * misses one rather than telling it twice.  What was there before the first call ever is never told.  RK_ENOTFOUND: none.
 */
int agent_next_event(struct client *, struct agent_event *);

#endif
