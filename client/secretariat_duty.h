/*
 * secretariat_duty: what the secretariat owes its exchange, when, and why: one list, looked at and worked off by `sync`, by
 * `secretariat duty` and by `secretariat serve`.  CRYPTO 2.2 (directory), 2.6 (epochs and their keys), 2.10 (cosigning).
 */
#ifndef RENKEI_CLIENT_SECRETARIAT_DUTY_H
#define RENKEI_CLIENT_SECRETARIAT_DUTY_H

#include "client/secretariat.h"

enum secretariat_duty_kind {
	OFFICE_DIRECTORY,   /* signed anew each week */
	OFFICE_COSIGN,      /* the log's newest checkpoint, each day */
	OFFICE_EPOCH,       /* a new feed epoch */
	OFFICE_FEED_KEYS,   /* devices that lack the newest epoch's key: count */
	OFFICE_CHARTER,     /* ends: by the root key, `exchange renew` */
	OFFICE_ENROLMENTS,  /* requests that wait: count */
	OFFICE_INVITES,     /* that may still be used: count; never due */
	OFFICE_AHEAD,       /* directories signed ahead: count; never due */
	OFFICE_COUNT
};

enum secretariat_why { OFFICE_WHY_NONE, OFFICE_WHY_AGE, OFFICE_WHY_EXPELLED, OFFICE_WHY_REMOVED, OFFICE_WHY_LOG,
	OFFICE_WHY_OFFICER /* the key that signed it has ended */ };

struct secretariat_duty {
	enum secretariat_duty_kind kind;
	bool is_due;
	bool by_hand;        /* a person decides, or another key is needed: not done by secretariat_duties */
	int64_t due_at;      /* 0: no date */
	int64_t until;       /* when it is too late: what it concerns ends; 0: no date */
	enum secretariat_why why;
	unsigned count;
};

/* All that the rules look at. */
struct secretariat_facts {
	int64_t now_ms;
	const Rk__Charter *charter;
	const Rk__Directory *directory;
	const Rk__FeedEpoch *epoch;
	bool has_expelled, has_removed;   /* among those who were given the newest epoch's key */
	bool cosign_due;
	int64_t cosigned_at;              /* 0: never */
	unsigned keys_missing, waiting, invites;
	unsigned ahead;                   /* directories signed ahead that still follow */
	int64_t ahead_until;              /* when the last of them expires */
};

/** Pure. */
void secretariat_judge(const struct secretariat_facts *, struct secretariat_duty out[OFFICE_COUNT]);

/** Needs no key. */
int secretariat_list(struct client *, struct txn *, struct secretariat_duty out[OFFICE_COUNT]);
/** "directory" … "ahead"; "age", "expelled", "device-removed", "log", "officer", "". */
const char *secretariat_duty_name(enum secretariat_duty_kind);
const char *secretariat_why_name(enum secretariat_why);

struct secretariat_done { bool directory, epoch, checkpoint; unsigned feed_keys; uint64_t directory_item; };
/** Does what is due and not by hand: directory, epoch and keys queued in one transaction; then the checkpoint cosigned (log_cosign).  The
 *  caller has caught up, and runs the link afterwards.  RK_BUSY: an earlier change is not answered yet. */
int secretariat_duties(struct client *, struct secretariat_done *);
/** Is there anything for it?  Needs no key, so that nobody is asked for a passphrase in vain. */
bool secretariat_is_due(struct client *);

#endif
