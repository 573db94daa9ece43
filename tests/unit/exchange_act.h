/*
 * exchange_act: what the files of exchange_verbs share: one transaction of one home, and waiting for an answer.
 */
#ifndef RENKEI_TESTS_EXCHANGE_ACT_H
#define RENKEI_TESTS_EXCHANGE_ACT_H

#include "tests/unit/exchange_kit.h"

/* One transaction of one home, with an arena for what is read in it. */
struct act {
	struct client *c;
	struct txn *t;
	struct arena *a;
};

struct act act_begin(struct exchange *, unsigned home, bool write);
/** Commits if r is RK_OK. */
int act_end(struct act *, int r);
/** After looking only. */
void act_drop(struct act *);
/** As every verb begins: whoever has no connection goes on with what it knows. */
void act_catch_up(struct exchange *, unsigned home);
/** Waits for the answer to what was queued, unless that failed.  out may be NULL. */
int act_finish(struct exchange *, unsigned home, int queued, uint64_t item, struct outcome *out);

#endif
