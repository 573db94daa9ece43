/*
 * notice: typed notices between the parties of an agreement, also after its end: confirmations, requests, certificates, next steps.
 * What each type must and may say, and who may send it, is one table, asked before a notice is sent and again when one comes.
 * FIELDS "Notices", CRYPTO 2.5, PROTOCOL "Notices".
 */
#ifndef RENKEI_CLIENT_NOTICE_H
#define RENKEI_CLIENT_NOTICE_H

#include "client/agreement.h"

#define NOTICE_TEXT_MAX 2000        /* bytes of free text with any type */
#define NOTICE_ENVS_MAX 64
/* choice of a RETURN_REQUEST and of a NEXT_STEP */
enum notice_choice { NOTICE_RETURN = 1, NOTICE_DESTROY = 2, NOTICE_EITHER = 3 };
enum notice_step { NOTICE_GO = 1, NOTICE_NO_GO = 2, NOTICE_EXTEND = 3 };

/* Fields of NdaNotice, as bits. */
enum notice_field {
	NOTICE_SCOPE = 1 << 0,      /* env_ids, or all */
	NOTICE_OCCURRED_AT = 1 << 1, NOTICE_PLACE = 1 << 2, NOTICE_DISCLOSER = 1 << 3, NOTICE_PRESENT = 1 << 4, NOTICE_SUMMARY = 1 << 5,
	NOTICE_CHOICE = 1 << 6, NOTICE_DUE = 1 << 7, NOTICE_METHOD = 1 << 8, NOTICE_DONE_AT = 1 << 9, NOTICE_EXCEPTIONS = 1 << 10,
	NOTICE_SIGNER = 1 << 11, NOTICE_TITLE = 1 << 12, NOTICE_ABSTRACT = 1 << 13,
	NOTICE_FIELD_END = 1 << 14,
};

/* Who may send a type, where terms and cover say who does what. */
enum notice_role {
	NOTICE_ANY_PARTY,
	NOTICE_BY_DISCLOSER,        /* a party that may disclose */
	NOTICE_BY_RECEIVER,         /* a party that may receive */
	NOTICE_BY_DECIDER,          /* the cover's next_step_org, if it names one */
};

struct notice_type {
	uint32_t type;              /* Rk__MessageType */
	const char *name;           /* "return-request": in JSON and on the command line */
	unsigned required, optional;
	uint32_t due_choice;        /* due_day stands with this choice and no other; 0: as required and optional say */
	enum notice_role role;
	bool in_force_only;         /* asked of the gate of kind NDA, direction included */
};

/** All types, `count` of them, by number; and one, NULL if it is none. */
const struct notice_type *notice_types(size_t *count);
const struct notice_type *notice_type(uint32_t type);
const struct notice_type *notice_type_named(const char *name);

/* What is wrong with a notice. */
enum notice_fault {
	NOTICE_FAULT_NONE,
	NOTICE_FAULT_MISSING,       /* field */
	NOTICE_FAULT_FOREIGN,       /* field: does not belong to the type */
	NOTICE_FAULT_SCOPE,         /* dossiers and all; not ascending; too many */
	NOTICE_FAULT_DAY,           /* field: no day of the calendar */
	NOTICE_FAULT_FUTURE,        /* field: later than the notice itself */
	NOTICE_FAULT_TEXT,          /* free text is too long */
	NOTICE_FAULT_ROLE,          /* the sender may not send this type: RK_NOT_PERMITTED */
	NOTICE_FAULT_DOSSIER,       /* a dossier that was not sent under this agreement */
	NOTICE_FAULT_PAST,          /* field: a day that is over, or before the agreement's first; of a request or an extension that is sent */
	NOTICE_FAULT_LATE,          /* a confirmation after its days, and not told to send it all the same */
};
struct notice_problem {
	enum notice_fault fault;
	unsigned field;             /* enum notice_field, where the fault has one; else 0 */
};

/**
 * Do the fields fit the type, at t_ms (log time, or now)?  RK_OK, or RK_MALFORMED with *problem.  text is the message's free text.
 */
int notice_check(const struct notice_type *, const Rk__NdaNotice *, const char *text, int64_t t_ms, struct notice_problem *problem);

/** One that came, at its place in the log: RK_OK, RK_MALFORMED, RK_NOT_PERMITTED, or what the gate of kind NDA says. */
int notice_check_received(const struct agreement *, const Rk__EnvelopeHeader *, const Rk__Message *, uint64_t log_index, int64_t time_ms);

struct notice_new {
	const uint8_t *nda_id;
	const uint8_t (*to)[16];    /* recipients; none: all other parties that are active */
	size_t to_count;
	uint32_t type;              /* Rk__MessageType */
	const Rk__NdaNotice *notice; /* env_ids in any order */
	const char *text;           /* may be NULL */
	bool late;                  /* a confirmation goes also after its days */
};

/* What notice_send has made, in the arena: for those who ask before it goes. */
struct notice_made {
	const Rk__NdaNotice *notice; /* as it is sent */
	const uint8_t (*to)[16];
	size_t to_count;
	uint32_t confirm_by;        /* of a confirmation: last day in time, 0 for none */
	bool is_late;
};

/**
 * Composes a notice and queues it, if our own gate is open: its refusals come back as they are.  RK_EUSAGE or RK_NOT_PERMITTED with
 * *problem; RK_MALFORMED (a text is too long or holds control characters).  item NULL: only checks, writes nothing.
 */
int notice_send(struct client *, struct txn *, const struct notice_new *, struct arena *, struct notice_made *, struct notice_problem *,
                uint64_t *item);

/** When a notice that waited is sealed: the gate of kind NDA once more for what goes in force only.  message: packed. */
int notice_check_seal(struct client *, struct txn *, const Rk__EnvelopeHeader *, struct bytes message, struct arena *);

#endif
