/*
 * shared: what the verbs of agreements, dossiers, interest and inbox have in common: catching up before anything is shown or decided,
 * short transactions with an arena, ids that people give, organisations in lines and JSON.
 */
#ifndef RENKEI_CLI_SHARED_H
#define RENKEI_CLI_SHARED_H

#include "client/agreement.h"
#include "client/cli/out.h"
#include "client/mail.h"

/**
 * Opens the joined home, unlocks the device and catches up with the exchange for a few seconds.  Without the exchange it says so and
 * goes on with what is known here.  Reports its failures.
 */
int shared_open(struct cli *);

/* One transaction and an arena that is wiped at its end. */
struct shared {
	struct cli *c;
	struct client *client;
	struct txn *t;
	struct arena *a;
};
int shared_begin(struct cli *, bool write, struct shared *);
/** Commits what was written if rc is RK_OK, else aborts; returns rc or what the commit said. */
int shared_end(struct shared *, int rc);
/* One row of a long list: what is loaded for it is given back at its end. */
struct shared_row {
	struct arena *whole;
};
int shared_row_begin(struct shared *, struct shared_row *);
void shared_row_end(struct shared *, struct shared_row *);

/* A list of envelopes: which, in what columns, and what is said of an empty or a full one. */
struct shared_list {
	const enum text_id *headings;
	unsigned columns;
	enum text_id help, none, some; /* some: said after a list that is not empty; TEXT_NONE: nothing */
	bool (*wants)(const Rkl__EnvelopeRecord *);
	int (*row)(struct shared *, struct out_table *, const Rkl__EnvelopeRecord *);
};
/** The whole verb: no arguments, a table or one JSON object a line, newest first. */
int shared_list(struct cli *, int argc, char **argv, const struct shared_list *);

/** As cli_find_id, and reports `what` (which takes the text). */
int shared_id(struct shared *, unsigned table, const char *given, uint8_t *id, size_t len, enum text_id what);
/** An agreement by id; `unknown`: the code for one that is not here (RK_NO_NDA where the gate is asked, as at the exchange).  Reports. */
int shared_agreement(struct shared *, const char *given, bool content, int unknown, struct agreement **out);
/** Organisations by id or name; "self" is our own.  Reports. */
int shared_orgs(struct shared *, const struct cli_list *, uint8_t (*ids)[16], size_t max, size_t *count);

/** The same, each perhaps with a desk: ORG or ORG/DESK.  desks: 0 for the whole organisation.  Reports. */
int shared_addressees(struct shared *, const struct cli_list *, uint8_t (*ids)[16], uint32_t *desks, size_t max, size_t *count);
/** A desk of an organisation by its name; one that is not there is reported with those that are. */
int shared_desk(struct shared *, const uint8_t org_id[16], const char *name, uint32_t *desk_id);

/** (cmd_inbox.c) "dossier" …: what an entry of the inbox is, in JSON. */
const char *shared_inbox_kind(Rkl__InboxKind);
const char *shared_name(struct shared *, const uint8_t *org_id);
/** With its desk, if it is not the whole organisation: "ORG/DESK". */
const char *shared_addressee(struct shared *, const uint8_t *org_id, uint32_t desk_id);
/** Of all whom an envelope went to, separated by commas. */
const char *shared_addressed(struct shared *, const Rkl__EnvelopeRecord *);
/** Names, separated by commas; in the arena. */
const char *shared_names(struct shared *, ProtobufCBinaryData *const orgs, size_t n);
json_t *shared_org_json(struct shared *, const uint8_t *org_id);
/** Of what the exchange took: its id as member id_name, the time and the place in the log. */
json_t *shared_outcome_json(const char *id_name, const struct outcome *);
/** A UTF-8 text in the arena, made with printf; "" without memory. */
const char *shared_text(struct shared *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The same of a sentence of the text table, in the user's language: numbers as the table's own format has them. */
const char *shared_fill(struct shared *, enum text_id, ...);

/** cli_fail for what was composed from what people typed: RK_MALFORMED is then a usage error. */
int shared_fail(struct cli *, int code, enum text_id what);
/** Unlocks the organisation's key; reports. */
int shared_org_key(struct cli *);
/** Reads the DATE of an option, named without its dashes; RK_EUSAGE, reported.  NULL leaves *day as it is. */
int shared_day(struct cli *, const char *option, const char *given, uint32_t *day);

/* ---- texts of an agreement, for views and sentences */
enum text_id shared_state_text(enum nda_state);
enum text_id shared_act_text(Rk__ActKind);

#endif
