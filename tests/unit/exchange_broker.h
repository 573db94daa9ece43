/*
 * exchange_broker: the real broker of exchange_kit, with all its threads on a loopback port, and the one clock of the whole exchange.  The
 * clock stands until a test moves it; days pass in a line, since wall and boot clock move together.
 */
#ifndef RENKEI_TESTS_EXCHANGE_BROKER_H
#define RENKEI_TESTS_EXCHANGE_BROKER_H

#include <stdbool.h>

#include "proto/arena.h"
#include "proto/bytes.h"
#include "proto/invite.h"
#include "store/env.h"
#include "store/stream.h"

#define EXCHANGE_DAY_MS ((int64_t)86400000)
#define EXCHANGE_HOUR_MS ((int64_t)3600000)
#define EXCHANGE_START_MS ((int64_t)1798761600000) /* 2027-01-01 09:00 in Tokyo */

/** The clock of everybody, Unix ms: read by any thread, moved by the test's own. */
int64_t exchange_now(void);
void exchange_set_clock(int64_t ms);
void exchange_pass(int64_t ms);

/** Ends the test unless code is RK_OK (or ok is true); says what, and the day of the clock. */
void exchange_must(int code, const char *what);
void exchange_need(bool ok, const char *what);

struct exchange_run;

struct exchange_broker {
	char data[320], endpoint[64];
	uint8_t exchange_id[32];
	struct exchange_run *run;  /* NULL while it is stopped */
};

/** `renkeid init`: a folder in `folder`, keys, a port that is free. */
void exchange_broker_init(struct exchange_broker *, const char *folder, struct broker_card *);
/** `renkeid adopt`: the first charter (next: a later one), while it is stopped.  What apply_adopt says. */
int exchange_broker_adopt(struct exchange_broker *, struct bytes file, bool next);
/** `renkeid run`. */
void exchange_broker_start(struct exchange_broker *);
/** Drained and stopped, as by SIGTERM. */
void exchange_broker_stop(struct exchange_broker *);

/** Reading the store of the running broker beside it: the last seq of a stream; an entry, with bulk if it has any, copied into the arena
 *  (false: it is gone). */
uint64_t exchange_broker_head(struct exchange_broker *, const struct stream_id *);
bool exchange_broker_entry(struct exchange_broker *, const struct stream_id *, uint64_t seq, struct arena *, struct stream_entry *);
/** Does anything of this upload of an organisation remain: a row, or its file once the thread of the files has come to it? */
bool exchange_broker_has_upload(struct exchange_broker *, const uint8_t org_id[16], const uint8_t sha256[32]);

#endif
