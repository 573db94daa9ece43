/*
 * apply_internal: what the parts of apply share.  Rules that hold in all of them:
 *   - A command's function makes every check before its first write; a refusal leaves no trace but its number.  Writes
 * go through apply_w(), which notes it, and apply_command asserts it.
 *   - Functions return RK_OK, a refusal (positive), or a failure (negative) that ends the batch.
 *   - Nothing here reads a clock, a random source or an address into a row: P8.
 */
#ifndef RENKEI_BROKER_APPLY_INTERNAL_H
#define RENKEI_BROKER_APPLY_INTERNAL_H

#include "broker/apply.h"
#include "broker/rows.h"
#include "proto/note.h"
#include "proto/errcode.h"
#include "proto/strict.h"

#define APPLY_SECRETARIATS_MAX 16
#define APPLY_MEMBER_SLOTS 2048u        /* devices of one batch that are kept in memory; a power of two */
#define APPLY_FETCH_BYTES_MAX ((size_t)16 << 20) /* bulk of FETCH replies of one batch; more: busy */
#define APPLY_RETURNS_AT_ONCE 64        /* envelopes returned within the command that ends it all; the rest is due */
#define APPLY_CLOCK_MS ((int64_t)10 * 60 * 1000)
#define APPLY_ACT_AGE_MS ((int64_t)7 * 86400000)
/* What every member receives and the store keeps for good; people change it now and then. */
#define APPLY_LISTS_PER_DAY 100         /* OrgDevices of an organisation; a removal passes always */
#define APPLY_KX_PER_DAY 50             /* DeviceKx of a device */
#define APPLY_DEPOSITS_PER_DAY 100      /* Deposits of an organisation */
#define APPLY_FORGET_MS ((int64_t)30 * 86400000)
#define APPLY_UPLOADS_MAX 64            /* attachments of an organisation that no envelope has yet */
#define APPLY_ORPHAN_MS ((int64_t)86400000) /* then they are dropped, counted from the last BLOB_OPEN */

/* What is known of a session's device, once a batch. */
struct member {
	uint8_t device_id[16];
	uint64_t trust_stamp;           /* apply's when device and organisation were read */
	struct rows_device device;
	struct rows_org org;
	bool is_active;                 /* listed, not retired, organisation ACTIVE */
	bool is_dirty;                  /* writer has numbers that are not in the store */
	struct rows_writer *writer;     /* of device.writer_epoch; NULL before the first use */
	struct member *older;  /* of the batch */
	unsigned at;           /* its place in apply.members */
};

/* What a command did, for its reply and its number. */
struct result {
	uint64_t seq, log_index;
	bool logged;
	bool is_hello;
	uint64_t last_number;           /* HELLO */
	Rk__EnrolState enrol;
	bool is_fetch, is_blob;         /* the reply has a FetchReply; a BlobReply (refusals too) */
	uint64_t total;                 /* FETCH of an attachment: its length */
	struct bytes frames[2];
	unsigned frame_count;
};

enum roster_change_kind {
	ROSTER_PUT_DEVICE,
	ROSTER_DROP_DEVICE,
	ROSTER_PUT_ORG,
	ROSTER_PUT_INVITE,
	ROSTER_DROP_INVITE
};
struct roster_change {
	enum roster_change_kind kind;
	union {
		struct roster_device device;
		struct roster_org org;
		struct roster_invite invite;
	};
};

struct touched {
	struct stream_id stream;
	uint64_t seq;
};

struct block {
	struct block *next;
	size_t len, used;
	_Alignas(16) uint8_t b[];
};

enum mark { MARK_NONE, MARK_SOFT, MARK_HARD };

struct apply {
	struct env *env;
	struct apply_limits limits;
	struct roster *roster;

	/* As of the last commit, or of this batch while it runs; apply_load() rebuilds all of it from the store. */
	bool has_exchange;
	uint8_t exchange_id[32], generation[16];
	struct arena *charter_arena;
	struct arena *scratch;          /* of one operation */
	const Rk__Charter *charter;     /* the newest */
	struct rows_directory directory;
	struct rows_epoch epoch;
	struct note_key log_key;        /* of the charter: its name is the log's origin */
	struct merkle_edge edge;        /* of the log's tree; edge.size is the next leaf's index */
	struct rows_fork fork;          /* log 0: none.  Else nothing is taken and nothing released: read-only */
	struct rows_cosigned cosigned;
	uint8_t secretariats[APPLY_SECRETARIATS_MAX][16];
	unsigned secretariat_count;
	struct rows_tree head;          /* the tree as of the last commit */
	int64_t last_time_ms;
	int64_t next_due_ms;

	struct txn *txn;                /* NULL: none; between batches, what was saved and not stored is in it */
	bool has_saved;                 /* batches of it are in the journal, durable */
	enum mark mark;                 /* how full the map was when it began: as of the last commit, and batches that are saved make none */

	/* The batch. */
	bool in_batch;
	bool is_saving;                 /* gathered, and nothing so far demands a commit */
	int64_t now_ms;
	struct rows_tree next_head;     /* what head becomes with the commit */
	uint64_t room;                  /* on the disk of the attachments */
	int failed;                     /* first failure; the batch is lost */
	bool batch_wrote, command_wrote;
	uint64_t trust_stamp;           /* goes up with every change of a device's or organisation's row */
	size_t fetched_bytes;
	struct block *blocks;
	struct member *members[APPLY_MEMBER_SLOTS];
	struct member *newest_member; /* of the batch; the others follow by `older` */
	unsigned member_count;
	struct effect *effects;
	size_t effect_count, effect_room;
	struct roster_change *changes;
	size_t change_count, change_room;
	struct touched *touched;
	size_t touched_count, touched_room;
	struct nda_act acts[NDA_ACTS_MAX + 1]; /* work room of the agreement functions */
};

/** The transaction, to write to. */
static inline struct txn *apply_w(struct apply *a)
{
	a->batch_wrote = a->command_wrote = true;
	return a->txn;
}

/* ---- apply_load.c: what is kept between batches */
/** Everything, from the store; the roster only at the start. */
int apply_load(struct apply *, bool with_roster);
/** When something is due next, by this transaction. */
int apply_load_next_due(struct apply *, struct txn *);
/** A row of trust has changed: the roster learns it after the commit, and what was read of members is old. */
int apply_load_changed_device(struct apply *, const uint8_t device_id[16], const struct rows_device *, bool org_active);
int apply_load_changed_org(struct apply *, const uint8_t org_id[16], const struct rows_org *);

/* ---- apply_batch.c: memory, effects, log, streams */
/** Batch memory, 16-byte aligned, until the next begin; NULL without memory. */
void *apply_batch_alloc(struct apply *, size_t len);
void apply_batch_reset(struct apply *);
void apply_batch_free(struct apply *);
int apply_batch_reply(struct apply *, struct command *, int code, const struct result *);
int apply_batch_cut(struct apply *, const uint8_t device_id[16]);
int apply_batch_drop_blob(struct apply *, const uint8_t sha256[32], bool is_orphan);
int apply_batch_change(struct apply *, const struct roster_change *);
/** Makes the recorded changes in the roster and the EFFECT_STREAMs; after the commit. RK_ENOMEM. */
int apply_batch_finish(struct apply *);
/** Turns the replies of a batch that did not happen into refusals. */
int apply_batch_refuse_all(struct apply *, int code);
/** Appends a leaf. */
int apply_batch_log(struct apply *, Rk__LogType, const uint8_t oh[32], uint64_t *index);
/** Appends an entry at the batch's time; seqs may be NULL. */
/** The entry just appended goes to readers as it is, from the command's own frames. */
int apply_batch_live(struct apply *, struct command *, const struct stream_id *, uint64_t seq, const struct stream_entry *);
int apply_batch_entry(struct apply *, const struct stream_id *, size_t n, struct stream_entry *, uint64_t *position,
		      uint64_t *seqs);
int apply_batch_add(struct apply *, enum rows_quota_kind, const uint8_t a[16], const uint8_t *b, int64_t delta);
/** How often something was done today (by the batch's time, UTC); y may be NULL. */
int apply_batch_day_count(struct apply *, enum rows_quota_kind, const uint8_t x[16], const uint8_t *y, uint64_t *count);
int apply_batch_put_day_count(struct apply *, enum rows_quota_kind, const uint8_t x[16], const uint8_t *y,
			      uint64_t count);
/** stream_drop_bulk, for which a damaged or missing record is nothing to do. */
int apply_batch_drop_bulk(struct apply *, uint64_t position);
/** Packs a reply (Down) into out, and tells its length; out is NULL: how much room is enough. */
size_t apply_batch_pack(const struct command *, int code, int64_t time_ms, const struct result *, const struct apply *,
			uint8_t *out);

/* ---- apply_log.c: the tree over the log's leaves */
/** What is kept between batches.  RK_ESTORE: the tree does not lead to the root that was committed with it. */
int apply_log_load(struct apply *, struct txn *);
/** Leaves that an older program wrote without the tree; in transactions of its own, before the first batch. */
int apply_log_catch_up(struct apply *);
/** One leaf more; its entry stands in T_LOG already. */
int apply_log_grow(struct apply *, struct bytes entry);
/** Writes root and size of the batch, if it grew the log. */
int apply_log_flush(struct apply *);
/** The n of our origin. */
unsigned apply_log_number(const struct apply *);
/** A checkpoint under our own signature that somebody shows: one that our tree does not lead to, or of a later log than ours, makes us
 * read-only. */
int apply_log_seen(struct apply *, const struct checkpoint *);
int apply_log_put_checkpoint(struct apply *, struct command *, struct member *, struct result *);

/* ---- apply_writer.c */
int apply_writer_member(struct apply *, const uint8_t device_id[16], struct member **);
/** Writes every changed writer row. */
int apply_writer_flush(struct apply *);
/** No member is known any more: their memory is the batch's. */
void apply_writer_forget(struct apply *);
int apply_writer_hello(struct apply *, struct command *, struct member *, struct result *);
/** RK_OK and *repeated: the stored outcome is in *code and *r. RK_OK: run it.  Refusals consume nothing. */
int apply_writer_check(struct apply *, struct command *, struct member *, bool *repeated, int *code, struct result *);
void apply_writer_done(struct command *, struct member *, int code, const struct result *);

/* ---- the operations */
int apply_trust_enrol(struct apply *, struct command *, struct result *);
int apply_trust_invite(struct apply *, struct command *, struct member *, struct result *);
int apply_trust_put(struct apply *, struct command *, struct member *, struct result *);
int apply_directory_put(struct apply *, struct command *, struct member *, struct result *);
int apply_devices_put(struct apply *, struct command *, struct member *, struct result *);
int apply_submit(struct apply *, struct command *, struct member *, struct result *);
/** A FEED envelope whose head has been checked. */
int apply_post_submit(struct apply *, struct command *, struct member *, struct result *);
/** The bulk of its newest version goes; RK_OK also if there is none. */
int apply_post_expires(struct apply *, uint8_t channel, uint64_t seq);
int apply_nda_propose(struct apply *, struct command *, struct member *, struct result *);
int apply_nda_act(struct apply *, struct command *, struct member *, struct result *);
int apply_release_pickup(struct apply *, struct command *, struct member *, struct result *);
int apply_release_fetch(struct apply *, struct command *, struct member *, struct result *);
int apply_nack(struct apply *, struct command *, struct member *, struct result *);
int apply_deposit(struct apply *, struct command *, struct member *, struct result *);
int apply_blob_open(struct apply *, struct command *, struct member *, struct result *);
int apply_blob_put(struct apply *, struct command *, struct member *, struct result *);

/* ---- shared between operations */
/** Refusals that many operations share. */
int apply_check_charter(const struct apply *);
int apply_check_directory(const struct apply *);
int apply_check_room(const struct apply *, enum mark refused_from);
/** May this organisation make the broker keep that many bytes more? RK_QUOTA. */
int apply_check_stored(struct apply *, const uint8_t org_id[16], uint64_t more);
bool apply_is_secretariat(const struct member *);
/** Is the payload's claimed time within the window of the batch? RK_CLOCK. */
int apply_check_clock(const struct apply *, int64_t t_ms);
/** object_pk is the charter's key `signer_id` at this time: RK_NOT_PERMITTED, RK_BAD_SIGNATURE. */
int apply_check_signer(const struct apply *, const struct command *, ProtobufCBinaryData signer_id);

/** For a serial that is not the next one: RK_CONFLICT, or, after a restore (trust_may_step), *prev becomes what the object itself
 * says came before it. */
int apply_step_over(const struct apply *, uint64_t serial, ProtobufCBinaryData prev_oh, int64_t newest_ms,
		    struct trust_prev *prev);

/** Stores a trust object, logs it where its kind is, and puts it in the control stream.  id NULL, where the kind has
 * none; result (may be NULL) gets the index of its leaf. */
int apply_trust_publish(struct apply *, enum object_kind, const uint8_t *id, uint64_t serial, const uint8_t oh[32],
			struct bytes wire, struct result *);
int apply_trust_feed_key_entry(struct apply *, const uint8_t device_id[16], const uint8_t org_id[16], uint32_t n,
			       const uint8_t oh[32], struct bytes wire);
/** The parsed current device list of an organisation, in the arena; RK_ENOTFOUND. */
int apply_devices_read(struct apply *, const uint8_t org_id[16], struct arena *, Rk__OrgDevices **);
/** Removes a device for ever: its row, cursors, kx keys and session. */
int apply_devices_drop(struct apply *, const uint8_t device_id[16], struct rows_device *);

/** Checks of an envelope that all kinds share: session, exchange, signer, clock, expiry. */
int apply_submit_check_head(struct apply *, const struct command *, const struct member *);
/** Directory serial, recipients, wraps, quotas and dedupe of every kind but FEED. */
int apply_submit_check_mail(struct apply *, const struct command *, const struct member *);
/** Stores an envelope and its entry in all mailboxes. logged: its DISCLOSURE leaf has log_index. */
int apply_submit_store(struct apply *, const struct command *, const struct member *, bool logged, uint64_t log_index);
bool apply_device_is_active(const struct rows_device *, int64_t t_ms);

/** The gate of an envelope kind over a row: nda_gate or nda_gate_notice, with the parties' state of now. */
int apply_nda_gate(struct apply *, const struct nda_row *, Rk__Kind, const uint8_t *sender,
		   const uint8_t *const *recipients, size_t n, bool reply_only);
int apply_nda_lookup(struct apply *, struct bytes nda_id, const uint8_t org_id[16], struct nda_row *);

/* ---- apply_blob.c: attachments */
/** May this envelope have the attachments that its header names?  RK_UNKNOWN_OBJECT. */
int apply_blob_check(struct apply *, const Rk__EnvelopeHeader *, const uint8_t org_id[16]);
/** From now on they are this envelope's. */
int apply_blob_attach(struct apply *, const Rk__EnvelopeHeader *, const uint8_t env_id[32]);
/** FETCH, when all about the envelope is decided: the part that was read ahead. */
int apply_blob_fetch(struct apply *, const struct command *, struct result *);
/** An envelope's attachments, with its bulk. */
int apply_blob_drop_attached(struct apply *, const uint8_t env_id[32]);
/** Uploads of an organisation that no envelope has: all of them. */
int apply_blob_drop_org(struct apply *, const uint8_t org_id[16]);
/** The same of all parties of an agreement, under that agreement, at most `limit`; as apply_due_return_nda. */
int apply_blob_drop_nda(struct apply *, const struct nda_row *, unsigned limit, unsigned *done, bool *left);
/** One of which nothing became in time. */
int apply_blob_orphan(struct apply *, const uint8_t sha256[32], int64_t due_ms);

/** Returns what is still unreleased of one envelope, to `org` alone if not NULL; drops bulk that nobody may have any
 * more. */
int apply_due_return(struct apply *, const uint8_t env_id[32], Rk__ReturnReason, const uint8_t *org);
/** Returns NDA mail of an agreement that has ended, at most `limit` envelopes; *left is set when there is more. */
int apply_due_return_nda(struct apply *, const uint8_t nda_id[32], bool notices, unsigned limit, unsigned *done,
			 bool *left);
int apply_due_return_org(struct apply *, const uint8_t org_id[16], unsigned limit, unsigned *done, bool *left);
int apply_due_end_nda(struct apply *, const struct nda_row *);

#endif
