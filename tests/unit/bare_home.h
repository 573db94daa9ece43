/*
 * bare_home: a home in a throw-away folder, for tests of keys, book, outbox and feed without a broker.  It is one of the members of
 * fixed_kit: the keys of its device take the place of that member's.  Its book is empty until bare_fill_book.
 */
#ifndef RENKEI_TESTS_BARE_HOME_H
#define RENKEI_TESTS_BARE_HOME_H

#include "client/client.h"
#include "tests/unit/fixed_kit.h"

struct bare {
	char folder[256], path[300];
	struct client *c;
	struct fixed f;
	struct arena *a;          /* for the life of the home */
	struct txn *t;            /* write transaction of bare_write */
	unsigned passphrase_asked;
	const char *passphrase;   /* what the callback gives */
};

/* The clock of the home, ms; begins at FIXED_TIME_MS. */
extern int64_t bare_now_ms;

/** A home of member `org` with a device key without passphrase; nothing in its book. */
void bare_begin(struct bare *, int org);
void bare_end(struct bare *);
/** Closes and opens the client again: a new process. */
void bare_reopen(struct bare *);
/** Takes Charter 1, Directory 1, every OrgDevices 1 and DeviceKx 1, and FeedEpoch 1. */
void bare_fill_book(struct bare *);

/** Begins and commits the one write transaction. */
struct txn *bare_write(struct bare *);
void bare_commit(struct bare *);

/** Signs any object with a key of the kit. */
struct bytes bare_sign(struct bare *, enum object_kind, const uint8_t sk[64], const ProtobufCMessage *);
/** book_take in the open transaction at FIXED_TIME_MS. */
int bare_take(struct bare *, enum object_kind, struct bytes wire);
/** Signs a directory as the secretariat, and takes it. */
int bare_take_directory(struct bare *, Rk__Directory *);
/** Directory `serial` and OrgDevices `serial` over the newest ones; in the open transaction. */
Rk__Directory *bare_next_directory(struct bare *, uint64_t serial);
Rk__OrgDevices *bare_next_devices(struct bare *, int org, uint64_t serial);

uint64_t bare_counter(struct bare *, const char *name);
size_t bare_table_count(struct bare *, unsigned table);
/** True if these bytes stand in a file of the home's folder. */
bool bare_files_hold(struct bare *, struct bytes);

#endif
