/*
 * office_kit: the home of a secretariat as `exchange create` leaves it, with two members of fixed_kit in its directory, a clock of its own,
 * and a test in the broker's place: what the home queues is looked at and answered by hand.
 */
#ifndef RENKEI_TESTS_OFFICE_KIT_H
#define RENKEI_TESTS_OFFICE_KIT_H

#include "client/secretariat_duty.h"
#include "tests/unit/fixed_kit.h"

#define DAY ((int64_t)86400000)
#define MEMBERS 2 /* organisations 1 and 2 of the kit */

struct office {
	struct client *c;
	struct arena *a;     /* for the life of the test */
	struct fixed f;
	int64_t now_ms;      /* begins at FIXED_TIME_MS */
	unsigned asked;      /* passphrases */
	char path[300];
};
extern struct office office;

int office_set_up(void **state);
int office_tear_down(void **state);
/** A new process of the home: only the device key is open. */
void office_reopen(void);

struct txn *office_begin(bool write);
uint64_t office_meta(const char *key);
/** Into the book; signed by sk. */
void office_take(enum object_kind, struct bytes wire);
void office_take_signed(enum object_kind, const uint8_t sk[64], const ProtobufCMessage *);
/** The object of a queued item; and the broker's answer to an item. */
struct bytes office_queued_object(uint64_t item);
void office_answer(uint64_t item, int code);
/** Everything that waits is taken; directories and epochs come back by control.  Returns how many items there were. */
unsigned office_take_all(void);

struct secretariat_duty office_duty(enum secretariat_duty_kind);
struct secretariat_done office_do_now(void);
/** Of the newest directory. */
uint64_t office_serial(void);

#endif
