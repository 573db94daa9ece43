/*
 * secretariat_ahead: directories signed for weeks to come, so that an exchange outlives its secretariat's holidays.  They stand in the home
 * (C_AHEAD), each issued one week after the one before, and whichever process of that home has the link puts each at its time with the
 * device key alone.  They say what the newest directory said: who is to be let in or put out needs the key, and any directory signed in
 * between makes the rest void, for it is another predecessor.  A thief of the machine can publish what was signed, and nothing else.
 */
#ifndef RENKEI_CLIENT_SECRETARIAT_AHEAD_H
#define RENKEI_CLIENT_SECRETARIAT_AHEAD_H

#include "client/client.h"

#define AHEAD_WEEKS_MAX 8
#define AHEAD_STEP_MS ((int64_t)7 * 86400000)
#define AHEAD_ALERT "ahead-void"  /* detail of the inbox entry, and counter */

/**
 * Signs what is needed until until_ms, in place of what was signed ahead before; unlocks S.  *count: 0 if the newest one lasts until then.
 * RK_EUSAGE: in the past, or more than AHEAD_WEEKS_MAX weeks away; RK_CHARTER_EXPIRED: the charter or this key ends before; RK_BUSY: a
 * directory is not answered yet.  The caller has caught up, and has done what is due.
 */
int secretariat_ahead(struct client *, int64_t until_ms, unsigned *count);

struct ahead_view {
	unsigned count;         /* that still follow the newest directory */
	int64_t next_at;        /* 0: none */
	int64_t covers_until;   /* the last one's expiry; 0: none */
};
int ahead_view(struct client *, struct txn *, struct ahead_view *);

/** Queues the next one if its time has come, forgets those that were taken, and drops all that follow nothing any more (AHEAD_ALERT).
 *  *queued: there is an item of the outbox now.  Needs the device key. */
int ahead_tick(struct client *, bool *queued);

#endif
