/*
 * duty: every date of an agreement and every duty that has one: until when to sign, the next step, what was told and must be confirmed,
 * what must be returned or destroyed, how long notices and the duty of confidence last.  Derived each time from terms, cover, acts and
 * what was sent under the agreement, never stored, so it cannot disagree with them.  Days are those of the zone that the terms name;
 * times are those of the log (CRYPTO 2.9).  duty.c is pure; duty_load.c reads what it needs from the home.
 */
#ifndef RENKEI_CLIENT_DUTY_H
#define RENKEI_CLIENT_DUTY_H

#include "client/agreement.h"

#define DUTY_AHEAD_MS (30 * NDA_DAY_MS)

/* In the order in which they stand where they fall on one instant. */
enum duty_kind {
	DUTY_SIGN,          /* all must have signed */
	DUTY_STARTS,        /* the first day begins */
	DUTY_CONFIRM,       /* confirming in writing what was told: the discloser's */
	DUTY_NEXT_STEP,     /* saying whether there is one */
	DUTY_TERMINATES,    /* a TERMINATE takes effect before the last day is over */
	DUTY_ENDS,          /* the last day is over */
	DUTY_RETURN,        /* certifying the return or destruction of what was received */
	DUTY_NOTICES_END,   /* no more notices */
	DUTY_SURVIVAL,      /* the duty of confidence ends, for all or for one disclosure */
	DUTY_KIND_COUNT,
};

enum duty_whose { DUTY_NOBODY, DUTY_US, DUTY_THEM, DUTY_ALL }; /* DUTY_NOBODY: a date, nothing to do */

struct duty {
	enum duty_kind kind;
	enum duty_whose whose;
	int party;              /* who owes it, index of the terms; -1: no single one */
	uint32_t due_day;       /* last day on which it is in time; of STARTS and TERMINATES the day on which it happens */
	int64_t due_at;         /* first instant at which it is late, or at which it happens */
	bool done;              /* of a date: it has passed */
	bool overdue;           /* not done, and due_at has come */
	bool late;              /* done after due_at */
	const uint8_t *about;   /* env_id of the notice or dossier that it is about; NULL: the whole agreement */
};

/* A notice whose content is here. */
struct duty_notice {
	const uint8_t *nda_id, *env_id, *sender;
	ProtobufCBinaryData *recipients;
	size_t recipient_count;
	uint64_t log_index;
	int64_t time_ms;
	uint32_t type;              /* Rk__MessageType */
	const Rk__NdaNotice *notice;
};

/* A dossier, and who picked it up. */
struct duty_holder {
	const uint8_t *org_id;
	uint64_t log_index;         /* of the pickup */
};
struct duty_dossier {
	const uint8_t *nda_id, *env_id, *sender;
	struct duty_holder *holders;
	size_t holder_count;
	uint64_t log_index;
	int64_t time_ms;
};

/* What was sent under all agreements, notices in log order. */
struct duty_facts {
	struct duty_notice *notices;
	size_t notice_count;
	struct duty_dossier *dossiers;
	size_t dossier_count;
};

/** All of this home, in the arena. */
int duty_load(struct client *, struct txn *, struct arena *, struct duty_facts *);

/** How many rows duty_list may fill for this agreement at most. */
size_t duty_room(const struct agreement *, const struct duty_facts *);

/**
 * Fills out[max] with what the agreement asks for at now_ms, by due_at; returns how many.  The agreement must be loaded with content:
 * what stands in a cover that is not here, and days of a zone that this machine does not know, are left out.
 */
size_t duty_list(const struct agreement *, const struct duty_facts *, int64_t now_ms, struct duty *out, size_t max);

/** The next of them that is not done and still to come; NULL if there is none. */
const struct duty *duty_next(const struct duty *, size_t count, int64_t now_ms);

/**
 * Should people be told now?  What falls due within DUTY_AHEAD_MS, and what is overdue as long as a notice can still be sent: later
 * there is no way left to do it here.
 */
bool duty_is_pressing(const struct agreement *, const struct duty *, int64_t now_ms);

/**
 * The last day on which something told at occurred_at can be confirmed, and the instant at which that day is over.  RK_ENOTFOUND: the
 * agreement sets no such limit, or its cover is not here; RK_UNSUPPORTED: zone unknown here.
 */
int duty_confirm_by(const struct agreement *, int64_t occurred_at, uint32_t *day, int64_t *at_ms);

/** "accept_by", "starts", "confirm", "next_step", "terminates", "ends", "return", "notices_end", "survival_ends": in JSON. */
const char *duty_name(enum duty_kind);
/** "us", "them", "all"; NULL for DUTY_NOBODY. */
const char *duty_whose_name(enum duty_whose);

#endif
