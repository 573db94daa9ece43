/*
 * years_kit: the exchange of the tests of years: a secretariat, two companies, a university and a member that is mostly away.  All but the
 * last are at work every few days; whenever they have been, nothing may be left that somebody would have to do by hand.
 */
#ifndef RENKEI_TESTS_YEARS_KIT_H
#define RENKEI_TESTS_YEARS_KIT_H

#include "tests/unit/exchange_verbs.h"

enum { YEARS_SECRETARIAT, YEARS_A, YEARS_B, YEARS_U, YEARS_M };

#define YEARS_DISCLOSURES 40
struct years {
	struct exchange x;
	int64_t step_ms;          /* RENKEI_YEARS_STEP_DAYS */
	bool is_asleep;           /* the secretariat is not there */
	unsigned sleeps;          /* for more than the 7 days after which an unwitnessed log is told of */
	bool is_strict;           /* nothing may be amiss (else a test looks on itself) */
	uint8_t nda[32];          /* of the two companies, now; zero: none */
	int64_t next_dossier_ms;
	unsigned steps, broker_starts;
	/* Every dossier from A to B, with its title. */
	struct years_disclosure { uint8_t env_id[32]; char title[24]; int64_t sent_ms; bool is_opened; } sent[YEARS_DISCLOSURES];
	unsigned sent_count;
};

#define YEARS_DOSSIER_BYTES 3000

void years_begin(struct years *);
void years_end(struct years *);

/** Lives on until `ms`, in steps, and at the end stands at exactly that instant. */
void years_live_until(struct years *, int64_t ms);
/** One visit of everybody who is there, now; then everything is looked at. */
void years_visit(struct years *);
/** The check by itself: of one home that has just synced. */
void years_check_home(struct years *, unsigned home);

/** Newest objects of a home: times that tests wait for. */
int64_t years_directory_end(struct years *, unsigned home);
Rk__FeedEpoch years_epoch(struct years *, unsigned home, bool *has_key);
/** The newest kx of `of` as `home` knows it; serial 0: none. */
Rk__DeviceKx years_kx(struct years *, unsigned home, unsigned of);
unsigned years_kx_secrets(struct years *, unsigned home, int64_t *oldest_not_before);
int64_t years_list_end(struct years *, unsigned home, unsigned of);

#endif
