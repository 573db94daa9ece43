/*
 * apply: the state machine.  apply(state, command, time) is a function (P8): it reads no clock, no random, no environment, and
 * never verifies a signature.  One thread, one write transaction for a batch; what it wants done outside the store (replies,
 * cuts, roster changes) it records as effects, and they are carried out only after the commit.  DESIGN 3.
 */
#ifndef RENKEI_BROKER_APPLY_H
#define RENKEI_BROKER_APPLY_H

#include "broker/command.h"
#include "broker/roster.h"
#include "proto/note.h"
#include "store/env.h"
#include "store/stream.h"

struct apply;

struct apply_limits {
	uint64_t org_stored_bytes;      /* 2 GiB */
	uint64_t pair_pending_bytes;    /* 100 MiB, mailbox and sender */
	uint32_t unsigned_ndas_per_org; /* 20 */
	uint32_t open_per_day;          /* 20, to organisations that never answered */
	uint32_t notices_per_day;       /* 20 a pair */
	uint32_t writers_per_device;    /* 64 */
	uint32_t soft_percent, hard_percent; /* 80, 90 of the map */
	uint32_t rate_per_s, burst;     /* told in HELLO */
	uint64_t org_blob_bytes;        /* 16 GiB of attachments */
	uint64_t blob_reserve_bytes;    /* 1 GiB of the disk that attachments leave free */
};
extern const struct apply_limits apply_default_limits;

/** Opens over a broker store.  roster may be NULL (tests, check); else it is loaded, and updated after each commit. */
int apply_open(struct env *, const struct apply_limits *, struct roster *, struct apply **out);
void apply_close(struct apply *);

/** The first act of a store's life (renkeid adopt): Charter 1, Directory 1, OrgDevices 1, DeviceKx 1, FeedEpoch 1, FeedKey.
 *  All signatures are verified here (no peer is involved).  generation: 16 random bytes.  RK_CONFLICT if there is an exchange. */
int apply_adopt(struct env *, const Rk__CharterFile *, const uint8_t generation[16], int64_t time_ms);

/**
 * The next Charter of the exchange that the store holds (renkeid adopt): a file with nothing but `charter`.  The signature is verified
 * here.  A Charter of the same log goes into log and control stream, and that is all.  One that begins the next log is how a store that
 * was put back goes on: `generation` becomes the store's, and what was noticed about the log before is forgotten.
 * RK_ENOTFOUND if there is no exchange, RK_MALFORMED, RK_CONFLICT and what trust_check_charter_next says.
 */
int apply_adopt_next(struct env *, const Rk__CharterFile *, const uint8_t generation[16], int64_t time_ms);

/** What is free on the disk of the attachments, for the batches that begin from now on; as the marks of the map, an input that a replicated
 *  log must decide before sequencing.  Never called: there is room. */
void apply_set_room(struct apply *, uint64_t bytes);
/** One batch: begin at time_ms (never less than the last), then commands in order, then commit. */
int apply_begin(struct apply *, int64_t time_ms);
/** Runs one command: exactly one reply effect, whatever comes.  The command must live until the effects are done. */
void apply_command(struct apply *, struct command *);
/** Does what is due at the batch's time, at most `limit` items; returns how many were done.  Called once a batch, and by a tick. */
unsigned apply_due(struct apply *, unsigned limit);
/** When the next thing is due (INT64_MAX: never); for the tick.  Outside a batch: as of the last durable batch. */
int64_t apply_next_due(const struct apply *);
/** After begin, before any command: this batch may be saved in the store's journal instead of being committed.  Only posts and acknowledgements
 *  of what was read are; a batch with anything else, or that does not fit, is committed with all that was saved before. */
void apply_gather(struct apply *);
/** It may still be: nothing so far demands a commit. */
bool apply_is_saving(const struct apply *);
/** Durable on RK_OK.  RK_EDISKFULL / RK_STORE_FULL: nothing happened, the effects are turned into refusals `store-full`.
 *  RK_EIO, RK_ESTORE: unknown outcome, stop the process (HAZARDS L8); there are no effects. */
int apply_commit(struct apply *) __attribute__((warn_unused_result));
/** False: batches are saved, and others do not see them in the tables. */
bool apply_is_stored(const struct apply *);
/** Between batches: commits what was saved.  RK_EDISKFULL, RK_STORE_FULL: it is as before, saved; else as apply_commit. */
int apply_store(struct apply *) __attribute__((warn_unused_result));
/** Ends the transaction without storing, by the thread that began it: what was saved stays in the journal. */
void apply_let_go(struct apply *);

/* What to do outside, in order, after a commit. */
enum effect_kind {
	EFFECT_REPLY,   /* send `header` and frames to command->peer */
	EFFECT_CUT,     /* device_id: drop its session and send it nothing more; comes before the reply of the command that caused it */
	EFFECT_ENTRY,   /* a post as it was written, at (stream, seq): whoever sends it next need not read it from the store; comes before its STREAM */
	EFFECT_STREAM,  /* stream has entries up to seq (at most one per stream and batch, last) */
	EFFECT_BLOB_DROP, /* sha256: no row wants this attachment any more, as of this batch */
};
struct effect {
	enum effect_kind kind;
	struct command *command;        /* REPLY; ENTRY: whose last frame is the body */
	struct bytes header;            /* REPLY: packed Down; in apply's memory, until the next begin */
	struct bytes frames[2];         /* REPLY: bulk of FETCH (WrapList, body) */
	unsigned frame_count;
	bool is_blob;                   /* REPLY: the one frame is command->blob.bulk, which the message owns: share it */
	int code;                       /* REPLY: for counters and log */
	bool is_hello;                  /* REPLY: a session has begun */
	uint8_t sha256[32];             /* BLOB_DROP */
	bool is_orphan;                 /* BLOB_DROP: its time was over */
	uint8_t device_id[16];          /* CUT */
	struct stream_id stream;        /* STREAM, ENTRY */
	uint64_t seq;
	const struct stream_entry *entry; /* ENTRY: in apply's memory, until the next begin */
};
const struct effect *apply_effects(const struct apply *, size_t *count);

/** Answers a command that never reaches apply (refused by admit, PING): packs Down{reply} into the command's arena. */
int apply_pack_refusal(struct command *, int code, int64_t time_ms, struct bytes *header);

/** What GET_OBJECT reads: the Signed bytes of (type, id, serial; 0 = newest), borrowed from the transaction.  RK_UNKNOWN_OBJECT. */
int apply_object(struct txn *, Rk__ObjectType, struct bytes id, uint64_t serial, uint64_t *serial_out, struct bytes *oh,
                 struct bytes *wire);

/** Facts for logs, HELLO and tests. */
uint64_t apply_log_size(const struct apply *);
/** The log's tree as of the last durable batch, and so durable: the only thing that may be signed (CRYPTO 2.10). */
void apply_head(const struct apply *, struct checkpoint *);
/** True from the moment when a tree under our own signature was seen that this store does not lead to. */
bool apply_is_read_only(const struct apply *);
/** A batch of its own in which we are shown a checkpoint that verified under our log key: at the start, what this broker itself
 *  signed last.  As HELLO with seen_checkpoint.  What apply_commit says. */
int apply_show_signed(struct apply *, const struct checkpoint *, int64_t time_ms);
/** The newest charter; NULL before the adoption.  Borrowed while apply is open. */
const Rk__Charter *apply_charter(const struct apply *);
bool apply_generation(const struct apply *, uint8_t generation[16]);

#endif
