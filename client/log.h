/*
 * log: what this home knows of the exchange's log, and never takes on trust.  It keeps the newest checkpoint that it has verified; every
 * other one, from the broker or carried by a peer's envelope, must be proven consistent with it; every leaf that the broker says it
 * wrote must be proven to be in the tree.  What does not prove itself stops confidential sending and is kept: two signed notes
 * that contradict each other are a proof that anybody can check.  CRYPTO 2.10; promise P5.
 */
#ifndef RENKEI_CLIENT_LOG_H
#define RENKEI_CLIENT_LOG_H

#include "client/client.h"
#include "proto/note.h"

#define LOG_PROVE_WITHIN_MS ((int64_t)24 * 3600 * 1000) /* a checkpoint seen must be proven consistent (CRYPTO 2.10) */
#define LOG_COSIGNED_WARN_MS ((int64_t)7 * 86400000)
#define LOG_COSIGN_AFTER_MS ((int64_t)20 * 3600 * 1000)  /* the secretariat cosigns at least daily */

/* ---- what is known.  All in the arena. */

struct log_head {
	struct checkpoint checkpoint;
	struct bytes note;            /* as the broker signed it, with the witness's line where it has one */
	int64_t verified_at;          /* by our clock */
	bool is_cosigned;
	int64_t witness_ms;
};
/** The newest verified checkpoint, and the newest one that the witness has cosigned too.  RK_ENOTFOUND. */
int log_newest(struct client *, struct txn *, struct arena *, struct log_head *);
int log_cosigned(struct client *, struct txn *, struct arena *, struct log_head *);

/* A leaf that the broker told us of with something that it delivered. */
struct log_leaf {
	unsigned origin;              /* number of the log that it is a leaf of */
	uint64_t index;
	unsigned type;                /* Rk__LogType */
	int64_t time_ms;
	uint8_t oh[32];
	bool is_proven, is_cosigned;  /* in a tree that we have verified; in one that the witness has cosigned */
};
/** By what it stands for: oh of an object, nda_id of terms.  RK_ENOTFOUND. */
int log_leaf_of(struct txn *, const uint8_t oh[32], struct log_leaf *);
/** The same as a leaf of the log `origin` (0: of the newest that has it).  What two logs share has one index in both. */
int log_leaf_in(struct txn *, unsigned origin, const uint8_t oh[32], struct log_leaf *);
/** Was it logged elsewhere than before `index` of the log that is followed?  *yes is false too where nothing is known of its leaf. */
int log_is_not_before(struct txn *, const uint8_t oh[32], uint64_t index, bool *yes);
/** The leaf's tlog-proof@v1 text, cosigned if there is such a one.  RK_ENOTFOUND while it is not proven. */
int log_leaf_proof(struct client *, struct txn *, const struct log_leaf *, struct arena *, struct bytes *text, int64_t *witness_ms);
/** How many leaves wait for their proof, or for their entry first. */
uint64_t log_unproven(struct txn *);
/** Is the newest cosigned checkpoint older than LOG_COSIGNED_WARN_MS, or is there none although the exchange is that old? */
bool log_is_unwitnessed(struct client *, struct txn *);
/** Counts it (as "log-unwitnessed", for those who tell people) the first time for each checkpoint that has grown so old. */
int log_tell_unwitnessed(struct client *, struct txn *);

/* ---- contradictions */

enum log_fault { LOG_FAULT_NONE, LOG_FAULT_FORK, LOG_FAULT_ROLLBACK, LOG_FAULT_LEAF, LOG_FAULT_UNPROVEN };
struct log_fork {
	enum log_fault fault;
	int64_t found_at;
	struct bytes ours, theirs;    /* signed notes; theirs empty for LEAF, and where the broker denies `ours` itself */
	uint64_t leaf;                /* index, for LEAF, and for UNPROVEN without `theirs` */
	const uint8_t *from_org;      /* 16, whose envelope carried `theirs`; NULL: the broker */
	uint64_t id;                  /* 1, 2, 3 … */
	bool stands;                  /* of the log that is followed now, and not an UNPROVEN whose proof came after all */
};
/** The first contradiction that was found and stands: RK_OK and *out, or RK_ENOTFOUND. */
int log_fork(struct client *, struct txn *, struct arena *, struct log_fork *out);
/** The contradiction `id`, whether it stands or not.  RK_ENOTFOUND: there are no more. */
int log_fork_at(struct client *, struct txn *, uint64_t id, struct arena *, struct log_fork *out);
/** "none", "fork", "rollback", "leaf", "unproven". */
const char *log_fault_name(enum log_fault);
/** RK_OK, or RK_EFORKED while a contradiction stands: then nothing confidential is sent. */
int log_check_send(struct client *, struct txn *);

/* ---- taking in; each in the caller's write transaction */

/** Every logged entry as it is delivered: remembers its leaf, to be proven.  A second leaf at one index is a fault. */
int log_on_entry(struct client *, struct txn *, const struct delivery *);
/** The same for an entry whose object was announced, fetched or not: its oh is told. */
int log_on_announced(struct client *, struct txn *, const struct delivery *, Rk__ObjectType, const uint8_t oh[32]);
/** The reply to something of ours said that its leaf is at this index: then its entry must come, to us too, and say the same. */
int log_on_promise(struct client *, struct txn *, uint64_t index, const uint8_t oh[32]);
/** An entry of the control stream with a checkpoint that the witness has cosigned. */
int log_on_checkpoint(struct client *, struct txn *, const struct delivery *);
/** The checkpoint that a peer's verified header or pickup carries; from_org 16.  A note that does not verify is counted and told in the
 *  inbox; what carried it stands on its own signature. */
int log_on_seen(struct client *, struct txn *, struct bytes note, const uint8_t from_org[16]);
/** Our newest note, for HELLO, headers and pickups; empty if there is none.  In the arena. */
int log_seen(struct client *, struct txn *, struct arena *, struct bytes *note);

/* ---- asking the broker: one question at a time, made by the link */

struct log_question {
	uint64_t size, from_size;     /* of GetProof */
	uint64_t indexes[64];
	size_t index_count;
	struct checkpoint from;       /* what from_size's root must be */
	struct checkpoint to;         /* with size != 0: the checkpoint proven against */
	bool is_last_call;            /* asked because an entry is a day late: log_promise.c */
	uint64_t wanted_by;           /* 1 + index of the first leaf that the newest checkpoint did not reach; another one is another question */
};
/** The next thing to ask; false if nothing is.  `fresh`: the newest checkpoint, before anything else. */
bool log_next_question(struct client *, struct txn *, bool fresh, struct log_question *);
/** The answer.  RK_OK also where it was a lie: then a contradiction stands from now on; so it does where the newest checkpoint, proven or
 *  not, falls short of a leaf that was told more than LOG_PROVE_WITHIN_MS ago.  RK_MALFORMED: it says nothing; ask again, and after
 *  some tries call log_on_refusal with that code. */
int log_on_answer(struct client *, struct txn *, const struct log_question *, const Rk__ProofReply *, struct bytes proof_set);
/** The broker refused, or did not answer: code of errcode.h.  RK_UNKNOWN_OBJECT to a size that it once signed is a rollback; any other code
 *  is none by itself, but what has waited for its proof for more than LOG_PROVE_WITHIN_MS is UNPROVEN from now on. */
int log_on_refusal(struct client *, struct txn *, const struct log_question *, int code);
/** Neither: the session or the line ended, or the broker was busy.  Counted over sessions and lasting until an answer comes; some of them,
 *  the first more than LOG_PROVE_WITHIN_MS ago, are a refusal. */
int log_on_vain(struct client *, struct txn *, const struct log_question *);

/* ---- the witness (a secretariat's home with witness.key) */

/** Is the newest verified checkpoint to be cosigned?  Needs no key. */
bool log_is_cosign_due(struct client *, struct txn *);
/** Persists what will be signed (durable before the signature), then signs and queues it.  *queued: there was something to do.
 *  RK_NOT_PERMITTED: the witness key here is not the Charter's; RK_EFORKED: the tree contradicts what was cosigned before. */
int log_cosign(struct client *, bool *queued);

#endif
