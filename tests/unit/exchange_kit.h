/*
 * exchange_kit: a whole exchange in one process, for tests of time: the real broker with all its threads on a loopback port, and homes that
 * speak with it through librenkei as the programs do.  Broker and homes read one clock, which stands until a test moves it: days pass in a
 * line.  Homes are run one after the other, from one thread; the broker's threads run beside it.  Broker and homes can be stopped and
 * started again.  What must not fail ends the program with a sentence.
 */
#ifndef RENKEI_TESTS_EXCHANGE_KIT_H
#define RENKEI_TESTS_EXCHANGE_KIT_H

#include "client/client.h"
#include "client/secretariat.h"
#include "client/secretariat_duty.h"
#include "tests/unit/exchange_broker.h"

#define EXCHANGE_HOMES_MAX 64
#define EXCHANGE_SECRETARIAT 0

struct exchange_home {
	char folder[512];
	struct client *client;    /* NULL while it is closed */
	uint8_t org_id[16];
	char anew[32];            /* for what refusal something was sealed anew last */
	unsigned anew_count;
	bool is_locked;           /* nobody is there to type a passphrase */
};

struct exchange {
	char folder[256];
	struct exchange_broker broker;
	struct exchange_home home[EXCHANGE_HOMES_MAX];
	unsigned home_count;
	struct arena *a;          /* for the life of the exchange */
};

/** Broker and secretariat, adopted, running and synced, at start_ms in `zone`. */
void exchange_begin(struct exchange *, int64_t start_ms, const char *zone);
void exchange_end(struct exchange *);

/** A new organisation, invited, enrolled, approved and synced: its index.  `name` also names its folder. */
unsigned exchange_join(struct exchange *, const char *name, Rk__OrgKind);
/** The steps of it: an invite of life_ms and a home that asks with it; asking (what link_enrol says), which may come too late; and letting
 *  in whoever has asked under this name. */
unsigned exchange_prepare(struct exchange *, const char *name, Rk__OrgKind, int64_t life_ms);
int exchange_ask(struct exchange *, unsigned home, int *state);
void exchange_admit(struct exchange *, unsigned home, const char *name);

/** A further machine of the organisation of `home`, which holds its key: added, listed, with a kx key and feed keys, following all.  The
 *  index of its home. */
unsigned exchange_add_device(struct exchange *, unsigned home, const char *name);

void exchange_open(struct exchange *, unsigned home);
void exchange_close(struct exchange *, unsigned home);
/** As after the end of one process and the start of another. */
void exchange_reopen(struct exchange *, unsigned home);
struct client *exchange_client(struct exchange *, unsigned home);

#endif
