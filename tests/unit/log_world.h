/*
 * log_world: a home and its broker's log, which it asks about by hand; and another log with the same beginning and another past.
 * What the cases of test_log* have in common.
 */
#ifndef RENKEI_TESTS_LOG_WORLD_H
#define RENKEI_TESTS_LOG_WORLD_H

#include "client/log_internal.h"
#include "tests/unit/home_kit.h"
#include "tests/unit/log_kit.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define DAY_MS (24 * HOUR_MS)

struct world {
	struct home h;
	struct log_kit log, other; /* other: the same beginning, and then another past */
};

/** Both logs have 25 leaves, the first 5 in common; the home knows nothing of them.  Set-up and tear-down of a test. */
int open_world(void **state);
int close_world(void **state);

struct txn *begin(struct world *);
void commit(struct txn *);

/* ---- one question and its answer */

typedef void bend_fn(struct world *, struct log_kit_answer *, const struct log_question *);

bool next(struct world *, bool fresh, struct log_question *);
/** What the home makes of the answer of `log`, bent unless bend is NULL. */
int answer(struct world *, struct log_kit *log, const struct log_question *, bend_fn *bend);
/** Asks and is answered by `log` until nothing is left. */
void settle(struct world *, struct log_kit *log);

/* What more than one program bends. */
bend_fn bent_consistency, unknown, older_version;

/* ---- what the home believes */

/** Of the contradiction that stands, or none; asserts that sending is refused exactly then. */
enum log_fault fault_of(struct world *);
struct log_fork fork_of(struct world *);
/** Of the newest verified checkpoint, and of the newest cosigned one; 0: none. */
uint64_t head_size(struct world *);
uint64_t cosigned_size(struct world *);
uint64_t unproven(struct world *);

/* ---- what comes */

/** The broker logs terms that are `name`, and says so; `told`: what it says of the time.  The index. */
uint64_t deliver_leaf(struct world *, struct log_kit *log, const char *name, int64_t told);
/** A checkpoint that came with something of org's. */
void see(struct world *, struct bytes note, int org);
void deliver_checkpoint(struct world *, struct bytes note);
/** The secretariat's root puts another Charter into force. */
void put_charter(struct world *, uint64_t serial, unsigned number, struct bytes prev, const uint8_t *witness_pk);

#endif
