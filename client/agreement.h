/*
 * agreement: what this home knows of each confidentiality agreement of its organisation: terms, acts by log index, the sealed cover
 * and document, signature pages; and what it may do next.  Every act is verified here again, whatever the broker did, and the
 * predicate of proto/nda.h is asked again before anything is sealed under an agreement.  CRYPTO 2.9, FIELDS "NdaTerms".
 * agreement.c takes in terms and acts, agreement_letter.c what is sealed to the parties; agreement_load.c loads and answers the gate;
 * agreement_make.c proposes and acts; agreement_view.c answers questions of people.
 */
#ifndef RENKEI_CLIENT_AGREEMENT_H
#define RENKEI_CLIENT_AGREEMENT_H

#include "client/client.h"
#include "proto/nda.h"

/* Defaults of the METI/JPO model agreement, and of ours where the model is silent. */
#define AGREEMENT_FORCE_MONTHS 12
#define AGREEMENT_SURVIVAL_MONTHS 36
#define AGREEMENT_NEXT_STEP_MONTHS 2
#define AGREEMENT_ORAL_DAYS 14
#define AGREEMENT_ACCEPT_DAYS 14
#define AGREEMENT_CERTIFICATE_DAYS 30
#define AGREEMENT_WINDOW_MAX_DAYS 4015
#define AGREEMENT_LAW "JP"
#define AGREEMENT_DOCUMENT_MAX_BYTES (200 * 1024)
#define AGREEMENT_CLASSES (1u | 2u)          /* receivers: own staff, advisers */
/* Sending clients keep this far from the dates (CRYPTO 2.9). */
#define AGREEMENT_MARGIN_MS ((int64_t)5 * 60 * 1000)

/* One act with what people want to read of it. */
struct agreement_act {
	struct bytes wire;          /* Signed NdaAct */
	const Rk__NdaAct *act;
	int64_t time_ms;
	uint64_t log_index;
};

/* One agreement, loaded.  All of it lives in the arena. */
struct agreement {
	uint8_t nda_id[32];
	const Rkl__NdaRecord *record;
	const Rk__NdaTerms *terms;
	struct nda_row row;         /* acts folded in */
	const struct nda_act *acts;
	const struct agreement_act *details; /* as many, same order */
	size_t act_count;
	int self;                   /* index of our organisation; always a party */
	uint16_t active;            /* parties active now, under the key that the terms name */
	enum nda_state state;       /* now */
	const Rk__Proposal *proposal; /* NULL until it came, and where it is not believed */
	const Rk__NdaCover *cover;    /* with proposal */
	int problem;                /* RK_OK, or why it must not be signed: RK_EINTEGRITY, RK_ENEWER, RK_ENOTFOUND (no content yet) */
};

/** Loads one; content: also cover and document.  RK_ENOTFOUND, RK_ESTORE. */
int agreement_load(struct client *, struct txn *, const uint8_t nda_id[32], bool content, struct arena *, struct agreement **out);

/** Ids of all agreements known, in the arena; ordered by id. */
int agreement_ids(struct txn *, struct arena *, const uint8_t (**ids)[32], size_t *count);

/** The signature page of a party and whether its ACCEPT commits to it; RK_ENOTFOUND while it has not come. */
int agreement_page(struct client *, const struct agreement *, const uint8_t org_id[16], struct arena *, Rk__SignaturePage **page,
                   Rk__PageReveal **reveal);

/** nda_set over the acts with a lower log index than `before`. */
void agreement_set_before(const struct agreement *, uint64_t before, uint8_t nda_set[32]);

/**
 * Was the gate open when the log took an envelope in at index `before`, time t_ms?  Acts with lower index only; standing in the
 * directory counts by key alone, since the directory of that time is not kept: the broker and the sender judged by it.
 */
int agreement_gate_then(const struct agreement *, const Rk__EnvelopeHeader *, uint64_t before, int64_t t_ms);

/** Would the broker release an envelope from `sender` to our organisation now?  RK_OK or the refusal. */
int agreement_gate_release(const struct agreement *, Rk__Kind kind, const uint8_t *sender, bool reply_only, int64_t t_ms);

/** A PROPOSAL envelope, opened by mail.c: content of the proposal, or a signature page.  RK_OK, or a problem for its record. */
int agreement_on_letter(struct client *, struct txn *, const uint8_t env_id[32], const Rk__EnvelopeHeader *, const Rk__Message *,
                        struct bytes packed);

/* Whom an envelope under an agreement is for. */
struct agreement_recipients {
	Rk__Recipient rows[NDA_PARTIES_MAX], *list[NDA_PARTIES_MAX];
	uint8_t ids[NDA_PARTIES_MAX][16];
	size_t count;
};
/**
 * Addresses the header, which then borrows from `to`, to these organisations: sorted and each once, as headers require.  A stranger among
 * them is the gate's to refuse.  desks: of each, 0 for the whole organisation; NULL: all are.  RK_NO_NDA: more than any agreement has
 * parties; RK_EUSAGE: one organisation with two desks.
 */
int agreement_address(Rk__EnvelopeHeader *, struct agreement_recipients *to, const uint8_t (*ids)[16], const uint32_t *desks,
                      size_t count);

/* ---- making */
struct agreement_signatory {
	const char *name;           /* NULL: the organisation's name, authority not stated */
	const char *title;          /* may be NULL */
	Rk__Authority authority;
	const char *address;        /* for notices; may be NULL */
};

struct agreement_new {
	const uint8_t (*others)[16]; /* the other parties */
	size_t other_count;         /* 1..15 */
	const uint8_t (*disclosers)[16]; /* NULL: all disclose and receive; else these disclose, the others receive */
	size_t discloser_count;
	const char *purpose, *title, *language, *law;
	uint32_t first_day, last_day; /* yyyymmdd; first_day 0: today */
	uint32_t accept_by_day;     /* 0: AGREEMENT_ACCEPT_DAYS from now, at most the end */
	bool no_exit, marking_required;
	uint32_t notice_days;
	int32_t window_days;        /* -1: 31 days for each month of survival */
	int32_t survival_months;    /* -1: default; */
	struct bytes document;      /* empty: the plain form writes it */
	const char *document_name, *document_type; /* with document */
	const uint8_t *counters;    /* nda_id that this answers, or NULL */
	const struct agreement *again; /* made anew, word for word, from today to its last day, under the parties' keys of now; with content.
	                                * Of the others only accept_by_day and signatory count then */
	struct agreement_signatory signatory;
};

/** Why agreement_propose refuses what people gave. */
enum agreement_fault {
	AGREEMENT_FAULT_NONE, AGREEMENT_FAULT_SELF, AGREEMENT_FAULT_TWICE, AGREEMENT_FAULT_INACTIVE, AGREEMENT_FAULT_DISCLOSER,
	AGREEMENT_FAULT_DATES, AGREEMENT_FAULT_PAST, AGREEMENT_FAULT_ACCEPT_BY, AGREEMENT_FAULT_DOCUMENT, AGREEMENT_FAULT_PURPOSE,
	AGREEMENT_FAULT_ZONE,
};

/**
 * Makes terms, cover, document, page, the proposer's ACCEPT, and queues them.  The organisation's key must be unlocked.
 * RK_OK; RK_EUSAGE with *fault; RK_TOO_LARGE; RK_UNSUPPORTED (zone unknown here).
 */
int agreement_propose(struct client *, struct txn *, const struct agreement_new *, enum agreement_fault *fault, uint8_t nda_id[32],
                      uint64_t *item);

/** Everything that must hold before our signature: content proven, dates derived from days, parties under their own keys. */
int agreement_check_sign(struct client *, struct txn *, const struct agreement *, struct arena *);

/** ACCEPT with a signature page.  The organisation's key must be unlocked. */
int agreement_sign(struct client *, struct txn *, const struct agreement *, const struct agreement_signatory *, uint64_t *item);

/** Would this act be taken now?  As nda_check_act. */
int agreement_check_act(const struct agreement *, Rk__ActKind, int64_t now_ms);

/** REJECT, WITHDRAW, TERMINATE, RESUME (organisation's key) or HOLD (device's key). */
int agreement_act(struct client *, struct txn *, const struct agreement *, Rk__ActKind, const char *reason, uint64_t *item);

/* ---- questions of people (agreement_view.c) */
enum agreement_may {
	AGREEMENT_MAY_SIGN = 1, AGREEMENT_MAY_DECLINE = 2, AGREEMENT_MAY_WITHDRAW = 4, AGREEMENT_MAY_HOLD = 8, AGREEMENT_MAY_RESUME = 16,
	AGREEMENT_MAY_TERMINATE = 32, AGREEMENT_MAY_SEND = 64,
};
unsigned agreement_may(const struct agreement *);
/** Can a notice go to any of the other parties now?  The gate of its kind: also on hold, and for a while after the end. */
bool agreement_may_notify(const struct agreement *, int64_t now_ms);

/* Where terms, cover or document differ from the defaults. */
enum agreement_difference_kind {
	AGREEMENT_DIFFERS_ONE_WAY, AGREEMENT_DIFFERS_NO_EXIT, AGREEMENT_DIFFERS_NOTICE_DAYS, AGREEMENT_DIFFERS_LENGTH,
	AGREEMENT_DIFFERS_WINDOW, AGREEMENT_DIFFERS_MARKING, AGREEMENT_DIFFERS_SURVIVAL, AGREEMENT_DIFFERS_SURVIVAL_BASIS,
	AGREEMENT_DIFFERS_TRADE_SECRET, AGREEMENT_DIFFERS_SCOPE, AGREEMENT_DIFFERS_ORAL_DAYS, AGREEMENT_DIFFERS_COVERS_FROM,
	AGREEMENT_DIFFERS_EXISTENCE, AGREEMENT_DIFFERS_RECEIVERS, AGREEMENT_DIFFERS_COPIES, AGREEMENT_DIFFERS_REVERSE,
	AGREEMENT_DIFFERS_RESIDUALS, AGREEMENT_DIFFERS_RETURN, AGREEMENT_DIFFERS_CERTIFICATE, AGREEMENT_DIFFERS_BACKUPS,
	AGREEMENT_DIFFERS_NEXT_STEP, AGREEMENT_DIFFERS_LAW, AGREEMENT_DIFFERS_FORUM, AGREEMENT_DIFFERS_PENALTY,
	AGREEMENT_DIFFERS_INSPECTION, AGREEMENT_DIFFERS_IP_RULE, AGREEMENT_DIFFERS_ANNEXES, AGREEMENT_DIFFERS_MANDATE,
	AGREEMENT_DIFFERS_OWN_TEXT, AGREEMENT_DIFFERS_FORM_ALTERED, AGREEMENT_DIFFERS_EXTENSIONS, AGREEMENT_DIFFERENCE_COUNT,
};
struct agreement_difference {
	enum agreement_difference_kind kind;
	int64_t value;              /* number of days, months, or of the rule …; 0 where there is none */
};
/** Fills out[AGREEMENT_DIFFERENCE_COUNT]; returns how many. */
size_t agreement_differences(const struct agreement *, struct agreement_difference *out);

/** "accept", "reject", "withdraw", "terminate", "hold", "resume": of acts, in JSON and inbox lines. */
const char *agreement_act_name(Rk__ActKind);

#endif
