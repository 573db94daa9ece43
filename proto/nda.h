/*
 * nda: when an agreement is in force, and whom it lets disclose to whom.  The one predicate of broker and
 * client.  It works on `struct nda_row`, a fixed-size summary of NdaTerms and of all acts folded in log order;
 * so the broker's gate costs one lookup, and both sides judge by the same bytes.  CRYPTO 2.9; FIELDS "NdaTerms".
 * Pure: no clock, no I/O; any thread.
 */
#ifndef RENKEI_PROTO_NDA_H
#define RENKEI_PROTO_NDA_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "renkei.pb-c.h"

#define NDA_PARTIES_MAX 16
#define NDA_ACTS_MAX 256      /* acts of one agreement that are kept; more: RK_QUOTA */
#define NDA_DAY_MS ((int64_t)86400000)

/* The first that holds, in this order, is the state (CRYPTO 2.9). */
enum nda_state {
	NDA_SUPERSEDED = 1,
	NDA_DECLINED,
	NDA_WITHDRAWN,
	NDA_LAPSED,
	NDA_PROPOSED,
	NDA_TERMINATED,
	NDA_EXPIRED,
	NDA_SUSPENDED,
	NDA_HELD,
	NDA_PENDING_START,
	NDA_TERMINATING,
	NDA_IN_FORCE,
};

/* One act as the log ordered it. */
struct nda_act {
	uint64_t log_index;
	int64_t time_ms;             /* of the log entry: the time that counts */
	uint8_t payload_sha256[32];  /* a payload counts once, at its lowest index */
	uint8_t oh[32];
	uint8_t party;               /* index in terms.parties */
	uint8_t kind;                /* Rk__ActKind */
};

struct nda_party {
	uint8_t org_id[16];
	uint8_t org_key_fp[32];
	uint8_t may_disclose, may_receive;
	uint8_t has_accepted, has_rejected, has_withdrawn, has_terminated, is_held;
	uint8_t pad;
	int64_t accepted_at, terminated_at; /* log time of the act, 0 without one */
};

/* Fixed size, no pointers: stored as it is by one build on one machine; renkeid check makes it once more from terms and acts, and compares. */
struct nda_row {
	uint8_t nda_id[32];
	uint8_t nda_set[32];       /* over all acts folded in */
	int64_t not_before, not_after, accept_by;
	int64_t complete_at;       /* log time of the last ACCEPT, 0 while one is missing */
	int64_t declined_at, withdrawn_at; /* before completion; 0 without */
	int64_t terminate_effect_at; /* earliest TERMINATE's log time + notice; 0 without */
	uint32_t notice_days, notice_window_days;
	uint8_t exit_rule, marking_required, party_count, pad;
	uint32_t act_count;
	struct nda_party parties[NDA_PARTIES_MAX];
};

/**
 * Checks terms by themselves: kinds, order and uniqueness of parties, at least one discloser with a different
 * receiver, exit and join rule of v1, first_day <= last_day and not_before < not_after.  RK_OK, RK_MALFORMED,
 * RK_UNSUPPORTED, RK_WRONG_EXCHANGE.
 */
int nda_check_terms(const Rk__NdaTerms *, const uint8_t exchange_id[32]);

/** Fills a row from terms, without acts.  Call nda_check_terms first. */
void nda_row_init(struct nda_row *, const uint8_t nda_id[32], const Rk__NdaTerms *);

/** Index of org in the row's parties, or -1. */
int nda_party_index(const struct nda_row *, const uint8_t org_id[16]);

/**
 * Would this act be legal now, as the next one of the log?  act->log_index and time_ms are what it would get; acts are those
 * already logged, by index.  Each refusal of CRYPTO 2.9: RK_DUPLICATE (same payload, or a second ACCEPT, REJECT,
 * WITHDRAW, TERMINATE of this party), RK_CONFLICT (REJECT or WITHDRAW after the last ACCEPT, TERMINATE, HOLD or RESUME before
 * it, any but notices after the end, RESUME without HOLD, HOLD while held), RK_NOT_PERMITTED (TERMINATE under EXIT_NONE),
 * RK_NDA_LAPSED (ACCEPT at or after accept_by), RK_NDA_DECLINED / RK_NDA_WITHDRAWN (ACCEPT after one),
 * RK_QUOTA (NDA_ACTS_MAX).  RK_OK otherwise.  A proposal that is over (declined, withdrawn, lapsed) refuses REJECT and
 * WITHDRAW with the same code as ACCEPT.  act->party must be one of the row's (else RK_NO_NDA); n <= NDA_ACTS_MAX.
 */
int nda_check_act(const struct nda_row *, const struct nda_act *acts, size_t n, const struct nda_act *act);

/**
 * Rebuilds the derived part of the row from all acts in log order; later copies of a payload do not count.
 * n <= NDA_ACTS_MAX: nda_check_act refuses more, in broker and client.
 */
void nda_fold(struct nda_row *, const struct nda_act *acts, size_t n);

/** nda_set = H("renkei/v1/nda-set", nda_id || sorted oh of the acts). */
void nda_set_of(uint8_t out[32], const uint8_t nda_id[32], const struct nda_act *acts, size_t n);

/**
 * The state at time t_ms.  active: bit i is set iff party i is ACTIVE in the directory and its current org_pk
 * hashes to org_key_fp.
 */
enum nda_state nda_state_at(const struct nda_row *, uint16_t active, int64_t t_ms);

/** "in_force" …, as in JSON; and a word for people. */
const char *nda_state_name(enum nda_state);

/** The refusal of a state: RK_OK for IN_FORCE and TERMINATING. */
int nda_state_refusal(enum nda_state);

/* What the gate is asked about. */
struct nda_question {
	const uint8_t *sender_org;            /* 16 bytes */
	const uint8_t *const *recipients;     /* each 16 bytes */
	size_t recipient_count;
	bool reply_only;                      /* header.reply_only with a thread_id */
	int64_t t_ms;
	uint16_t active;                      /* as nda_state_at */
};

/**
 * The gate of kind NDA.  Order: RK_NO_NDA (sender or a recipient is no party, or the sender is a recipient), RK_DIRECTION, then the
 * state's refusal.  At accept: all recipients.  At release: sender and the one fetching organisation; the sender's own
 * devices pass the same gate with recipients = the envelope's.
 */
int nda_gate(const struct nda_row *, const struct nda_question *);

/**
 * The gate of kind NDA_NOTICE: parties, all had accepted, not_before has come, t < end + window (end = the earlier of
 * not_after and terminate_effect_at), sender and recipients ACTIVE.  No direction; hold and suspension do not count.
 */
int nda_gate_notice(const struct nda_row *, const struct nda_question *);

/** When what was accepted at t_ms stops being releasable for good: the earlier of not_after and terminate_effect_at. */
int64_t nda_end_ms(const struct nda_row *);

/** doc_commit and sigpage_commit of CRYPTO 2.9 / FIELDS. */
void nda_doc_commit(uint8_t out[32], const uint8_t salt[32], struct bytes cover, struct bytes document);
void nda_page_commit(uint8_t out[32], const uint8_t salt[32], struct bytes page);

/**
 * The client's check before it shows or signs: the cover's parties are the terms' parties, and doc_commit, cover_len,
 * doc_len match.  RK_EINTEGRITY otherwise.
 */
int nda_check_document(const Rk__NdaTerms *, const Rk__NdaCover *, struct bytes cover, struct bytes document,
                       const uint8_t doc_salt[32]);

/** Form rules of one act by itself (device_id only for HOLD, sigpage_commit only for ACCEPT).  RK_MALFORMED. */
int nda_check_act_form(const Rk__NdaAct *);

#endif
