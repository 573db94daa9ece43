/*
 * rows: the state rows of the broker's store, one fixed packed format a table, and nothing else knows their bytes.  All
 * integers big-endian, no padding, no pointers; a row of another length is damage (RK_ESTORE), never guessed at.
 * Streams, entries and cursors are store/stream's; T_NDA is a struct nda_row as it stands in memory; T_LOG is LogEntry
 * bytes.  Sizes in parentheses.
 *
 *   T_META      "exchange"  exchange_id 32
 *               "generation" random 16
 *               "time"      time of the last batch that wrote i64
 *               "directory" serial u64 | oh 32 | expires_at i64                                          (48)
 *               "epoch"     n u32 | oh 32 | logged_at i64                                                (44)
 *               "tree"      leaves u64 | root 32: of the log as last committed                           (40)
 *               "fork"      log u32 | leaves u64: a tree under our own signature that is not ours        (12)
 *               "cosigned"  leaves u64 | the witness's time in seconds i64                               (16)
 *   T_OBJECT    type u8 || id 16 (zero where the type has none) || serial u64be -> oh 32 | Signed bytes
 *   T_ORG       org_id -> status u8 | roles u32 | org_pk 32 | SHA-256(org_pk) 32 | invite_id 16
 *               | devices_serial u64 | devices_oh 32 | min_devices_serial u64                            (133)
 *   T_ORG_LINE  org_id -> SHA-256 of a key, newest first (32 each); no row: none but its own counts
 *   T_DEVICE    device_id -> state u8 | org_id 16 | sign_pk 32 | curve_pk 32 | retired_at i64 | kx_serial u32
 *               | kx_not_after i64 | kx_before_not_after i64 (of kx_serial - 1; 0: none) | writer_count u8
 *               | writer_epoch 8                                                                         (118)
 *   T_KEY       public key -> use u8 | owner id 16                                                       (17)
 *   T_INVITE    invite_id -> state u8 | curve_pk 32 | expires_at i64 | org_id 16 | request_sha256 32
 *               | devices_oh 32 | kx_oh 32 | devices_len u32 | kx_len u32                                (161)
 *               then, while an enrolment is pending, Signed OrgDevices | Signed DeviceKx
 *   T_WRITER    device_id || writer_epoch 8 -> last u64
 *               device_id || writer_epoch 8 || part u8 -> at most 32 slots; number n is slot (n - 1) % 32 of part (n - 1) / 32 % 8:
 *               header hash 8 | code u16 | logged u8 | seq u64 | log_index u64                           (27 each)
 *   T_POST      channel u8 || post_seq u64be -> sender_org 16 | version u32 | withdrawn u8 | position u64
 *               | expires_at i64 (0: its bulk is gone) | bulk u32                                        (41)
 *               No row: the first version, whose entry says it all.
 *   T_ENVELOPE  env_id -> kind u8 | reply_only u8 | sender_org 16 | nda_id 32 | position u64 | expires_at i64
 *               | bulk u32 | n u8 (71), then n recipients: org_id 16 | state u8
 *   T_WRAP      env_id || device_id -> kx_serial u32 | marks u8 (1 released, 2 nacked) | log_index u64   (13)
 *   T_PENDING   nda_id or zero || env_id || org_id -> bytes u32 | kind u8                                (5)
 *   T_QUOTA     kind u8 || ids -> u64, never zero
 *   T_NDA_ACT   nda_id || log index u64be -> time i64 | payload_sha256 32 | oh 32 | party u8 | kind u8   (74)
 *               then Signed bytes
 *   T_DUE       time u64be || type u8 || id (0..32 bytes) -> one zero byte
 *   T_TREE      merkle_position u64be -> hash of a complete subtree 32
 *   T_BLOB      SHA-256 -> state u8 | org_id 16 | nda_id 32 | len u64 | opened_at i64 | env_id 32 (zero unless attached or dropped since)  (97)
 *   T_UPLOAD    org_id || SHA-256 -> one zero byte: exactly its rows of T_BLOB that are open or complete
 *   T_ATTACHED  env_id || index u8 -> SHA-256 32 | len u64                                                (40)
 *   T_DESK      device_id -> numbers of its desks, ascending, u32 each; no row: none
 *
 * rows_get_*: RK_OK, RK_ENOTFOUND, or a store failure.  rows_put_*: RK_OK or a store failure.  Thread: that of the
 * transaction.
 */
#ifndef RENKEI_BROKER_ROWS_H
#define RENKEI_BROKER_ROWS_H

#include "proto/bytes.h"
#include "proto/merkle.h"
#include "proto/nda.h"
#include "proto/orgkey.h"
#include "store/env.h"
#include "store/tables.h"

enum rows_org_status { ORG_PENDING = 0, ORG_ACTIVE = 1, ORG_SUSPENDED = 2, ORG_EXPELLED = 3, ORG_REJECTED = 4 };

struct rows_org {
	uint8_t status;
	uint32_t roles;
	uint8_t org_pk[32], key_fp[32];
	uint8_t invite_id[16];          /* zero for the organisation of the adoption */
	uint64_t devices_serial;
	uint8_t devices_oh[32];
	uint64_t min_devices_serial;
};
int rows_get_org(struct txn *, const uint8_t org_id[16], struct rows_org *);
int rows_put_org(struct txn *, const uint8_t org_id[16], const struct rows_org *);
/** Decodes a value met by a cursor; false if it is not a row. */
bool rows_read_org(struct bytes value, struct rows_org *);

/* The keys before its own that still count as an organisation's (proto/orgkey.h), by their hashes, newest first. */
struct rows_line {
	size_t count;
	uint8_t fp[ORGKEY_LINKS_MAX][32];
};
/** RK_OK with count 0 where there is no row. */
int rows_get_line(struct txn *, const uint8_t org_id[16], struct rows_line *);
/** count 0 deletes the row. */
int rows_put_line(struct txn *, const uint8_t org_id[16], const struct rows_line *);

enum rows_device_state { DEVICE_PENDING = 0, DEVICE_LISTED = 1, DEVICE_REMOVED = 2 };

struct rows_device {
	uint8_t state;
	uint8_t org_id[16], sign_pk[32], curve_pk[32];
	int64_t retired_at;             /* 0: not retired */
	uint32_t kx_serial;             /* 0: none yet */
	int64_t kx_not_after, kx_before_not_after;
	uint8_t writer_count;           /* writers ever; 0: no current one */
	uint8_t writer_epoch[8];
};
int rows_get_device(struct txn *, const uint8_t device_id[16], struct rows_device *);
int rows_put_device(struct txn *, const uint8_t device_id[16], const struct rows_device *);
bool rows_read_device(struct bytes value, struct rows_device *);

/** Is the device at this desk?  Desk 0 is the whole organisation: always. */
int rows_is_at_desk(struct txn *, const uint8_t device_id[16], uint32_t desk_id, bool *yes);
/** Its desks from now on; n 0: none. */
int rows_put_desks(struct txn *, const uint8_t device_id[16], const uint32_t *desks, size_t n);

enum rows_key_use {
	KEY_ORG = 1,
	KEY_DEVICE_SIGN,
	KEY_DEVICE_CURVE,
	KEY_KX,
	KEY_INVITE,
	KEY_ROOT,
	KEY_SECRETARIAT,
	KEY_BROKER,
	KEY_NOTE
};
bool rows_has_key(struct txn *, const uint8_t pk[32]);
/** What a key is used for; RK_ENOTFOUND. */
int rows_get_key(struct txn *, const uint8_t pk[32], enum rows_key_use *);
int rows_put_key(struct txn *, const uint8_t pk[32], enum rows_key_use, const uint8_t owner[16]);

enum rows_invite_state {
	INVITE_OPEN = 0,
	INVITE_PENDING = 1,
	INVITE_APPROVED = 2,
	INVITE_REJECTED = 3,
	INVITE_ENDED = 4
};

struct rows_invite {
	uint8_t state;
	uint8_t curve_pk[32];
	int64_t expires_at;             /* 0: ended by the secretariat */
	uint8_t org_id[16], request_sha256[32], devices_oh[32], kx_oh[32];
	struct bytes devices, kx;       /* read: borrowed from the transaction until its next write */
};
int rows_get_invite(struct txn *, const uint8_t invite_id[16], struct rows_invite *);
int rows_put_invite(struct txn *, const uint8_t invite_id[16], const struct rows_invite *);
bool rows_read_invite(struct bytes value, struct rows_invite *);

#define ROWS_WRITER_SLOTS 256u
#define ROWS_SLOT_BYTES 27u

/* Worked on in memory during a batch.  Slots are there in parts, each read when one of its numbers is asked for. */
struct rows_writer {
	uint64_t last;
	uint8_t loaded, dirty;          /* parts, one bit each */
	uint8_t slots[ROWS_WRITER_SLOTS * ROWS_SLOT_BYTES];
};
struct rows_outcome {
	uint8_t header_hash[8];
	uint16_t code;
	bool logged;
	uint64_t seq, log_index;
};
void rows_writer_init(struct rows_writer *);
int rows_get_writer(struct txn *, const uint8_t device_id[16], const uint8_t epoch[8], struct rows_writer *);
bool rows_has_writer(struct txn *, const uint8_t device_id[16], const uint8_t epoch[8]);
/** What has changed since it was read. */
int rows_put_writer(struct txn *, const uint8_t device_id[16], const uint8_t epoch[8], struct rows_writer *);
/** Reads the part that number lies in, unless it is there: before find and push of it. */
int rows_writer_load(struct txn *, const uint8_t device_id[16], const uint8_t epoch[8], struct rows_writer *, uint64_t number);
/** The outcome of a number that is not above last; false when it has left the ring. */
bool rows_writer_find(const struct rows_writer *, uint64_t number, struct rows_outcome *);
/** Takes last + 1. */
void rows_writer_push(struct rows_writer *, const struct rows_outcome *);

struct rows_post {
	uint8_t sender_org[16];
	uint32_t version;
	bool withdrawn;
	uint64_t position;              /* of the newest version's entry */
	int64_t expires_at;             /* when its bulk goes; 0: gone */
	uint32_t bulk;
};
int rows_get_post(struct txn *, uint8_t channel, uint64_t seq, struct rows_post *);
int rows_put_post(struct txn *, uint8_t channel, uint64_t seq, const struct rows_post *);

#define ROWS_RECIPIENTS_MAX 16
enum rows_recipient_state { RECIPIENT_PENDING = 0, RECIPIENT_RELEASED = 1, RECIPIENT_RETURNED = 2 };

struct rows_envelope {
	uint8_t kind;
	bool reply_only;
	uint8_t sender_org[16], nda_id[32];
	uint64_t position;
	int64_t expires_at;
	uint32_t bulk;                  /* bytes counted against the sender; 0: dropped */
	uint8_t recipient_count;
	struct {
		uint8_t org_id[16];
		uint8_t state;
	} recipients[ROWS_RECIPIENTS_MAX];
};
int rows_get_envelope(struct txn *, const uint8_t env_id[32], struct rows_envelope *);
int rows_put_envelope(struct txn *, const uint8_t env_id[32], const struct rows_envelope *);
/** Index of org among the recipients, or -1. */
int rows_recipient_index(const struct rows_envelope *, const uint8_t org_id[16]);

struct rows_wrap {
	uint32_t kx_serial;
	bool released, nacked;          /* by a Pickup; by a NACK of this device */
	uint64_t log_index;             /* of the Pickup */
};
int rows_get_wrap(struct txn *, const uint8_t env_id[32], const uint8_t device_id[16], struct rows_wrap *);
int rows_put_wrap(struct txn *, const uint8_t env_id[32], const uint8_t device_id[16], const struct rows_wrap *);

#define ROWS_PENDING_KEY_BYTES 80
void rows_pending_key(uint8_t out[ROWS_PENDING_KEY_BYTES], const uint8_t nda_id[32], const uint8_t env_id[32],
                      const uint8_t org_id[16]);
int rows_put_pending(struct txn *, const uint8_t key[ROWS_PENDING_KEY_BYTES], uint32_t bytes, uint8_t kind);
bool rows_read_pending(struct bytes value, uint32_t *bytes, uint8_t *kind);

enum rows_quota_kind {
	QUOTA_STORED = 1,       /* org: bytes it made the broker keep: heads for good, bulk until it is dropped */
	QUOTA_PENDING = 2,      /* mailbox org, sender org: bytes not yet released */
	QUOTA_OPEN_DAY = 3,     /* org: day u32, count u32 */
	QUOTA_NOTICE_DAY = 4,   /* sender, recipient: day u32, count u32 */
	QUOTA_UNSIGNED = 5,     /* org: proposals of its own that wait */
	QUOTA_HAS_WRITTEN = 6,  /* from, to: 1 */
	QUOTA_LISTS_DAY = 7,    /* org: day u32, count u32 of its OrgDevices */
	QUOTA_KX_DAY = 8,       /* device: day u32, count u32 of its DeviceKx */
	QUOTA_DEPOSIT_DAY = 9,  /* org: day u32, count u32 of its deposits */
	QUOTA_BLOB = 10,        /* org: bytes of its attachments, from their opening until they are dropped */
};
/** b may be NULL.  A counter that is not there is 0; putting 0 deletes it. */
int rows_get_quota(struct txn *, enum rows_quota_kind, const uint8_t a[16], const uint8_t *b, uint64_t *value);
int rows_put_quota(struct txn *, enum rows_quota_kind, const uint8_t a[16], const uint8_t *b, uint64_t value);

/** RK_ENOTFOUND; RK_ESTORE: another length, too many parties, or another agreement's. */
int rows_get_nda(struct txn *, const uint8_t nda_id[32], struct nda_row *);
int rows_put_nda(struct txn *, const struct nda_row *);
/** All acts in log order, at most NDA_ACTS_MAX. */
int rows_get_acts(struct txn *, const uint8_t nda_id[32], struct nda_act *acts, size_t *n);
int rows_put_act(struct txn *, const uint8_t nda_id[32], const struct nda_act *, struct bytes signed_act);

enum rows_due_type {
	DUE_DEVICE_RETIRES = 1, /* device_id */
	DUE_ORG_LEFT = 2,       /* org_id: return what waits for it */
	DUE_NDA_END = 3,        /* nda_id: return its NDA envelopes */
	DUE_NOTICE_END = 4,     /* nda_id: return its notices */
	DUE_NDA_LAPSE = 5,      /* nda_id; there exactly while the proposal counts against its proposer */
	DUE_ENVELOPE_EXPIRES = 6,
	DUE_ENVELOPE_FORGET = 7,
	DUE_POST_EXPIRES = 8,   /* channel u8 || post_seq u64be */
	DUE_INVITE_EXPIRES = 9,
	DUE_DEPOSIT_FORGET = 10, /* SHA-256 of a Deposit's payload; there exactly while its time could pass again */
	DUE_BLOB_ORPHAN = 11,   /* SHA-256 of an attachment; there exactly while no envelope has it, or its name rests */
};
struct rows_due {
	int64_t time_ms;
	uint8_t type;
	uint8_t id[32];
	size_t id_len;
};
int rows_put_due(struct txn *, int64_t time_ms, enum rows_due_type, const void *id, size_t id_len);
bool rows_has_due(struct txn *, int64_t time_ms, enum rows_due_type, const void *id, size_t id_len);
/** Deleting what is not there is RK_OK. */
int rows_del_due(struct txn *, int64_t time_ms, enum rows_due_type, const void *id, size_t id_len);
/** The earliest; RK_ENOTFOUND. */
int rows_first_due(struct txn *, struct rows_due *);

enum rows_blob_state {
	BLOB_OPEN = 0,
	BLOB_COMPLETE = 1,
	BLOB_ATTACHED = 2,
	BLOB_DROPPED = 3,               /* was attached: its name is not to be had for a day, so that its file is nobody's */
};

struct rows_blob {
	uint8_t state;
	uint8_t org_id[16], nda_id[32];
	uint64_t len;
	int64_t opened_at;              /* the last BLOB_OPEN; DROPPED: when it was */
	uint8_t env_id[32];             /* ATTACHED, DROPPED */
};
int rows_get_blob(struct txn *, const uint8_t sha256[32], struct rows_blob *);
int rows_put_blob(struct txn *, const uint8_t sha256[32], const struct rows_blob *);
int rows_del_blob(struct txn *, const uint8_t sha256[32]);
bool rows_read_blob(struct bytes value, struct rows_blob *);
int rows_put_upload(struct txn *, const uint8_t org_id[16], const uint8_t sha256[32]);
/** Deleting what is not there is RK_OK. */
int rows_del_upload(struct txn *, const uint8_t org_id[16], const uint8_t sha256[32]);
/** The first upload of an organisation after `after` (NULL: at all); RK_ENOTFOUND. */
int rows_next_upload(struct txn *, const uint8_t org_id[16], const uint8_t *after, uint8_t sha256[32]);

struct rows_attached {
	uint8_t sha256[32];
	uint64_t len;
};
/** index counts from 0. */
int rows_get_attached(struct txn *, const uint8_t env_id[32], uint8_t index, struct rows_attached *);
int rows_put_attached(struct txn *, const uint8_t env_id[32], uint8_t index, const struct rows_attached *);
int rows_del_attached(struct txn *, const uint8_t env_id[32], uint8_t index);

#define ROWS_OBJECT_KEY_BYTES 25
/** id NULL: the type has none. */
void rows_object_key(uint8_t out[ROWS_OBJECT_KEY_BYTES], uint8_t type, const uint8_t *id, uint64_t serial);
int rows_put_object(struct txn *, uint8_t type, const uint8_t *id, uint64_t serial, const uint8_t oh[32],
		    struct bytes wire);
/** serial 0: the newest.  oh and wire are borrowed. */
int rows_get_object(struct txn *, uint8_t type, const uint8_t *id, uint64_t serial, uint64_t *serial_out,
		    struct bytes *oh, struct bytes *wire);

/* T_META. */
struct rows_directory {
	uint64_t serial;
	uint8_t oh[32];
	int64_t expires_at;
};
struct rows_epoch {
	uint32_t n;
	uint8_t oh[32];
	int64_t logged_at;
};
int rows_get_meta(struct txn *, const char *name, void *out, size_t len);
int rows_put_meta(struct txn *, const char *name, const void *value, size_t len);
int rows_get_time(struct txn *, int64_t *time_ms);
int rows_put_time(struct txn *, int64_t time_ms);
int rows_get_directory(struct txn *, struct rows_directory *);
int rows_put_directory(struct txn *, const struct rows_directory *);
int rows_get_epoch(struct txn *, struct rows_epoch *);
int rows_put_epoch(struct txn *, const struct rows_epoch *);

/* A tree of the log: how many leaves, and its root. */
struct rows_tree {
	uint64_t size;
	uint8_t root[32];
};
/* A tree that our log key has signed and this store does not lead to: of which log, and how large.  log 0: none. */
struct rows_fork {
	uint32_t log;
	uint64_t size;
};
struct rows_cosigned {
	uint64_t size;
	int64_t witness_s;
};
int rows_get_tree(struct txn *, struct rows_tree *);
int rows_put_tree(struct txn *, const struct rows_tree *);
int rows_get_fork(struct txn *, struct rows_fork *);
int rows_put_fork(struct txn *, const struct rows_fork *);
int rows_del_fork(struct txn *);
int rows_get_cosigned(struct txn *, struct rows_cosigned *);
int rows_put_cosigned(struct txn *, const struct rows_cosigned *);

/** merkle_get and merkle_put of T_TREE; user is the struct txn.  A node is proved by the roots that it leads to. */
bool rows_get_node(void *txn, unsigned level, uint64_t index, merkle_hash out);
bool rows_put_node(void *txn, unsigned level, uint64_t index, const merkle_hash);
/** Leaves of T_LOG: index of the last one + 1. */
int rows_log_size(struct txn *, uint64_t *size);

#endif
