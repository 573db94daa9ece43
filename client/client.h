/*
 * client: one open home, and what the modules of librenkei share.  A home is a folder (0700) of one device: key files, link.lock,
 * and an LMDB store.  The way of a message: compose -> outbox (durable) -> seal -> send -> answered; and back:
 * receive -> verify -> gate again -> open -> store -> cursor.  DESIGN 3, FIELDS "One home, many processes".
 * A struct client belongs to one thread.
 */
#ifndef RENKEI_CLIENT_CLIENT_H
#define RENKEI_CLIENT_CLIENT_H

#include "local.pb-c.h"
#include "proto/arena.h"
#include "proto/bytes.h"
#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/object.h"
#include "renkei.pb-c.h"
#include "store/env.h"
#include "store/stream.h"

#define CLIENT_FORMAT 1

enum client_table {
	C_META,      /* text -> value: see meta keys in home.h */
	C_OBJECT,    /* type u8 || id 16 || serial u64be -> oh || Signed bytes: verified trust objects */
	C_CURSOR,    /* stream id -> last seq taken in */
	C_FOLLOW,    /* channel u8 -> since, i64be */
	C_EPOCH,     /* n u32be -> vault(EK) */
	C_OUTBOX,    /* id u64be -> OutboxItem */
	C_POST,      /* post_id -> PostRecord */
	C_POST_SEQ,  /* channel u8 || seq u64be -> env_id (32) || post_id (32) || sender_org (16) || flag */
	C_ARRIVAL,   /* arrival u64be -> channel u8 || post_id (32) || seq u64be: what feed watch prints, in order */
	C_CONTENT,   /* env_id -> vault(packed rk.Message) */
	C_EXTERNAL,  /* SHA-256(external_id) -> post_id (32) or empty while queued */
	C_ENVELOPE,  /* env_id -> EnvelopeRecord */
	C_NDA,       /* nda_id -> NdaRecord */
	C_ACT,       /* nda_id || log index u64be -> ActRecord */
	C_INBOX,     /* no u64be -> InboxRecord */
	C_ENROLMENT, /* org_id -> EnrolmentRecord (secretariat) */
	C_INVITE,    /* invite_id -> InviteRecord (secretariat) */
	C_WAITING,   /* channel u8 || seq u64be -> Signed head || body of a post that waits for its epoch key */
	C_LEAF,      /* origin number u32be || index u64be -> LogLeaf */
	C_LEAF_OH,   /* oh -> key of C_LEAF */
	C_UNPROVEN,  /* key of C_LEAF -> 1 byte: its proof is still to be asked for */
	C_UNCOSIGNED, /* key of C_LEAF -> 1 byte: proven, but in no tree yet that the witness has cosigned */
	C_PROMISED,  /* origin number u32be || index u64be || oh (32) -> LogPromise: a reply told of it, its entry is still to come */
	C_LOG_NOTE,  /* origin number u32be || size u64be -> LogNote: verified checkpoints that something stands on */
	C_LOG_SEEN,  /* origin number u32be || size u64be || root (32) -> LogSeen: signed, and not yet proven consistent */
	C_LOG_FORK,  /* id u64be -> LogFork: contradictions; never deleted */
	C_DEPOSIT,   /* oh -> DepositRecord */
	C_EVIDENCE,  /* kind u8 || id 32 -> see evidence.h: copies of what was signed, by oh; which of them prove an envelope or deposit */
	C_AHEAD,     /* serial u64be -> AheadRecord (secretariat): directories signed ahead */
	C_UPLOAD,    /* outbox item u64be || index u8 -> UploadRecord: attachments that the item waits for; gone with its end */
	C_BLOB,      /* env_id || index u8 -> BlobRecord: attachments that were sent, or asked for.  Files of HOME/blobs that neither names go */
	CLIENT_TABLE_COUNT
};

extern const char *const client_tables[CLIENT_TABLE_COUNT];

/* Keys of a home. */
enum key_role { KEY_DEVICE, KEY_ORG, KEY_SECRETARIAT, KEY_ROOT, KEY_WITNESS,
	KEY_ORG_NEXT, KEY_SECRETARIAT_NEXT, /* made, and not in force yet: key_change.h */
	KEY_ROLE_COUNT };

/* How a passphrase is got: *out is sodium_malloc'ed.  again: the last one was wrong (a prompt may ask once more).
 * confirm: a new passphrase, to be typed twice. */
typedef int client_passphrase_fn(void *user, enum key_role, bool confirm, bool again, char **out);

struct client_options {
	const char *home;
	client_passphrase_fn *passphrase;
	void *user;
	int64_t (*now_ms)(void);          /* clock of the program; NULL: the real one */
	void (*log)(void *user, const char *line); /* developers' lines (-v); may be NULL */
};

enum client_state { CLIENT_EMPTY, CLIENT_PENDING /* enrolment not approved */, CLIENT_JOINED };

struct client;

/** Opens an existing home.  RK_ENOTJOINED if there is none.  No key is touched until a verb needs it. */
int client_open(const struct client_options *, struct client **out);
/** Makes the folder and an empty store; RK_EEXISTS if there is a home already. */
int client_create(const struct client_options *, struct client **out);
void client_close(struct client *);

struct env *client_env(struct client *);
int64_t client_now(const struct client *);
enum client_state client_state(struct client *);
const char *client_home(const struct client *);      /* its folder */
const uint8_t *client_exchange_id(struct client *);  /* 32 */
const uint8_t *client_org_id(struct client *);       /* 16 */
const uint8_t *client_device_id(struct client *);    /* 16 */
/** One line for developers (-v): no content, no key, no seed.  Nothing without a log callback. */
void client_log(const struct client *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- meta: small facts of the home (text keys) */
#define META_EXCHANGE "exchange_id"
#define META_ORG "org_id"
#define META_DEVICE "device_id"
#define META_ENDPOINT "endpoint"
#define META_BROKER_PK "broker_pk"
#define META_STATE "state"             /* 1 byte: enum client_state */
#define META_WRITER "writer_epoch"     /* 8 */
#define META_NUMBER "last_number"      /* u64be: last number given out */
#define META_GENERATION "generation"   /* 16 */
#define META_STALE "stale_writer"      /* 1 byte: a copy of this home is in use */
#define META_READ_ONLY "read_only"     /* u64be: 1 while the broker says that it takes nothing */
#define META_INVITE_SEED "invite_seed" /* vault(seed), while pending */
#define META_ENROL "enrol_request"     /* EnrolRequest bytes, while pending */
#define META_DEVICE_REQUEST "device_request" /* text of a device that asks to be added, until its first kx key is published */
#define META_ENROL_STATE "enrol_state" /* 1 byte: rk.EnrolState as last told; absent before the first answer */
#define META_NEXT_ID "next_id"         /* u64be: outbox and inbox numbering */
#define META_ASIDE "aside"             /* u64be: restored from a backup; what the outbox held then, up to this id, is not sent by itself */
#define META_WATCH "watch"             /* u64be: last arrival printed by feed watch */
#define META_LINK_UP "link_up"         /* u64be: since when (ms) a resident process is connected; 0: it is not */
int meta_get(struct txn *, const char *key, struct bytes *value);
int meta_put(struct txn *, const char *key, struct bytes value);
uint64_t meta_u64(struct txn *, const char *key);
int meta_put_u64(struct txn *, const char *key, uint64_t v);
uint64_t meta_next_id(struct txn *);   /* 1, 2, 3 … */

/* ---- records: plain protobuf in our own store; RK_ENOTFOUND, RK_ESTORE on damage */
int record_get(struct txn *, unsigned table, struct bytes key, const ProtobufCMessageDescriptor *, struct arena *,
               ProtobufCMessage **out);
int record_put(struct txn *, unsigned table, struct bytes key, const ProtobufCMessage *);

/* ---- keys (client/keys.c; kx and dossier keys: client/keys_ring.c) */
struct key_new { bool no_passphrase; uint32_t mem_mib, ops; };  /* zeros: defaults */
/** Makes and writes device.key and kx.key (KEY_DEVICE) or an Ed25519 key file.  Leaves it unlocked. */
int keys_create(struct client *, enum key_role, const struct key_new *);
/** Opens the key file, asking for its passphrase if it has one; RK_EPASSPHRASE, RK_ENOTJOINED (no file).  Idempotent. */
int keys_unlock(struct client *, enum key_role);
bool keys_exists(struct client *, enum key_role);
/** Is it open in this process? */
bool keys_is_open(struct client *, enum key_role);
/** The file of `next` becomes that of `role`, whose key is gone then; at once or not at all.  RK_ENOTFOUND: there is none. */
int keys_promote(struct client *, enum key_role next, enum key_role role);
/** After unlock.  sign keys: every role; curve: device only.  Borrowed until client_close. */
const uint8_t *keys_sign_sk(struct client *, enum key_role);  /* 64 */
void keys_sign_pk(struct client *, enum key_role, uint8_t pk[32]);
const uint8_t *keys_curve_sk(struct client *);                /* 32 */
void keys_curve_pk(struct client *, uint8_t pk[32]);
const uint8_t *keys_home_key(struct client *);                /* HK, 32 */
/** kx secrets: the newest, and by serial.  false if unknown. */
bool keys_kx_newest(struct client *, uint32_t *serial, uint8_t pk[32]);
bool keys_kx(struct client *, uint32_t serial, uint8_t pk[32], uint8_t sk[32]);
/** A kx key without its secret.  Times are those of its DeviceKx. */
struct keys_kx { uint32_t serial; uint8_t pk[32]; int64_t not_before, not_after; };
#define KEYS_KX_MAX 64
/** All whose secrets are here. */
int keys_kx_list(struct client *, struct keys_kx *out, size_t max, size_t *count);
/** Makes the key of out->serial with out's times and fills out->pk; durable when it returns.  Those of that serial and above go: they were
 *  never told to anybody. */
int keys_kx_make(struct client *, struct keys_kx *out);
/** Destroys the secrets to which nothing valid can be sealed any more (60 days from not_before).  *any: there were some. */
int keys_kx_forget(struct client *, int64_t now_ms, bool *any);
/** Key of one stored dossier, made on first use (rewrites kx.key durably); and its destruction. */
int keys_dossier(struct client *, const uint8_t env_id[32], bool create, uint8_t key[32]);
int keys_dossier_destroy(struct client *, const uint8_t env_id[32]);

/* ---- vault (client/vault.c): nonce(24) || XChaCha20-Poly1305(plain, AAD = label || 0x00 || id) */
int vault_seal(const uint8_t key[32], const char *label, struct bytes id, struct bytes plain, struct arena *, struct bytes *out);
int vault_open(const uint8_t key[32], const char *label, struct bytes id, struct bytes sealed, struct arena *, struct bytes *plain);
/* Labels of the vault values that more than one module reads, and their ids; all under the home key. */
#define VAULT_EPOCH "renkei/home/epoch"             /* C_EPOCH, id n u32be; use book_epoch_key_put */
#define VAULT_INVITE_SEED "renkei/home/invite-seed" /* META_INVITE_SEED, id empty */
#define VAULT_OUTBOX "renkei/home/outbox"           /* OutboxItem.sealed_compose, id u64be */
#define VAULT_CONTENT "renkei/home/content"         /* C_CONTENT, id env_id; use content_put */
#define VAULT_SALT "renkei/home/evidence-salt"      /* C_EVIDENCE, id env_id or oh of the deposit; use evidence_on_salt */
/** C_CONTENT with the home key, or the dossier's own key for NDA kinds. */
int content_put(struct client *, struct txn *, const uint8_t env_id[32], bool own_key, struct bytes message);
int content_get(struct client *, struct txn *, const uint8_t env_id[32], bool own_key, struct arena *, struct bytes *message);

/* ---- book (client/book.c): the verified trust objects of this home */
/** Newest objects, parsed; in the arena.  RK_ENOTFOUND. */
int book_charter(struct client *, struct txn *, struct arena *, Rk__Charter **out);
int book_directory(struct client *, struct txn *, struct arena *, Rk__Directory **out, uint8_t oh[32]);
int book_org_devices(struct client *, struct txn *, const uint8_t org_id[16], struct arena *, Rk__OrgDevices **out, uint8_t oh[32]);
int book_device_kx(struct client *, struct txn *, const uint8_t device_id[16], struct arena *, Rk__DeviceKx **out);
/** serial 0 = newest. */
int book_device_kx_at(struct client *, struct txn *, const uint8_t device_id[16], uint32_t serial, struct arena *, Rk__DeviceKx **out);
/** Whose newest list names the device, or named it last; RK_ENOTFOUND. */
int book_org_of_device(struct txn *, const uint8_t device_id[16], uint8_t org_id[16]);
/** n 0 = newest. */
int book_epoch(struct client *, struct txn *, uint32_t n, struct arena *, Rk__FeedEpoch **out, uint8_t oh[32]);
/** RK_ENOTFOUND: it has not come, or what is here is a key that the epoch does not commit to. */
int book_epoch_key(struct client *, struct txn *, uint32_t n, uint8_t ek[32]);
int book_epoch_key_put(struct client *, struct txn *, uint32_t n, const uint8_t ek[32]);
/** The device's row and its organisation, if the device might sign at t_ms (retired_at, status are the caller's to judge). */
int book_device(struct client *, struct txn *, const uint8_t device_id[16], const uint8_t org_id[16], struct arena *, Rk__Device **out);
/** Organisation's row in the newest directory; RK_UNKNOWN_RECIPIENT. */
int book_org(struct client *, struct txn *, const uint8_t org_id[16], struct arena *, Rk__Org **out);
/** Finds an organisation by id (32 hex), a unique prefix of the id, or a unique (part of a) name; RK_ENOTFOUND, RK_CONFLICT if ambiguous. */
int book_find_org(struct client *, struct txn *, const char *text, uint8_t org_id[16]);
/** Name of an organisation in a language, else its first; "(unknown)" — borrowed from the arena. */
const char *book_org_name(struct client *, struct txn *, const uint8_t org_id[16], enum lang, struct arena *);
/** The key of org that stood when control was at control_seq; 0: its key of now.  RK_UNKNOWN_RECIPIENT. */
int book_org_key_at(struct client *, struct txn *, const uint8_t org_id[16], uint64_t control_seq, uint8_t pk[32]);
/** Did the key with this hash count as org's then, as its key or in its line (proto/orgkey.h)? */
bool book_key_counts_at(struct client *, struct txn *, const uint8_t org_id[16], const uint8_t fp[32], uint64_t control_seq);
/** Since when org has a key without the word of the one before, by the clock of that directory; 0: not that we saw. */
int64_t book_key_lost_at(struct client *, struct txn *, const uint8_t org_id[16]);
/** Is org's status ACTIVE; and the active mask of an NDA's parties. */
bool book_org_active(struct client *, struct txn *, const uint8_t org_id[16]);
/** Had org been expelled, by the newest directory and for good, when control stood at control_seq?  False where we do not know. */
bool book_org_was_out(struct client *, struct txn *, const uint8_t org_id[16], uint64_t control_seq);
/** Seal targets: devices active now with a valid kx, of org_id.  Appends to targets[max], returns how many in all. */
int book_targets(struct client *, struct txn *, const uint8_t org_id[16], struct envelope_target *targets, size_t max, size_t *count);
/* Which of them. */
enum book_side {
	BOOK_DESK,        /* those at the desk; 0: all */
	BOOK_OWN_DESKS,   /* of our own: this device and those that share a desk with it; all, if it has none */
	BOOK_OWN_DEVICE,  /* this device alone */
};
/** The same of those, without the ones that are among the targets already. */
int book_targets_at(struct client *, struct txn *, const uint8_t org_id[16], enum book_side, uint32_t desk_id,
                    struct envelope_target *targets, size_t max, size_t *count);
/** Takes in verified objects from charter.rk at creation, or from the invite session at join. */
int book_take(struct client *, struct txn *, enum object_kind, struct bytes wire, int64_t time_ms);

/* ---- deliveries */
struct delivery {
	struct stream_id stream;
	uint64_t seq;
	Rk__EntryKind kind;
	int64_t time_ms;
	uint64_t control_seq;
	bool logged, bulk_dropped;
	uint64_t log_index;
	struct bytes object, wraps, body;
};
/* Each handler runs inside the transaction that also moves the cursor.  It returns RK_OK also for an entry that it refuses to
 * believe (dropped, counted with client_count, shown by doctor); an error only when this home cannot go on. */
int book_on_control(struct client *, struct txn *, const struct delivery *);
int feed_on_post(struct client *, struct txn *, const struct delivery *);
int feed_on_key(struct client *, struct txn *, const struct delivery *);
int mail_on_envelope(struct client *, struct txn *, const struct delivery *);
int mail_on_returned(struct client *, struct txn *, const struct delivery *);
int mail_on_pickup(struct client *, struct txn *, const struct delivery *);
int mail_on_nack(struct client *, struct txn *, const struct delivery *);
int agreement_on_terms(struct client *, struct txn *, const struct delivery *);
int agreement_on_act(struct client *, struct txn *, const struct delivery *);
int secretariat_on_enrolment(struct client *, struct txn *, const struct delivery *);
/** A directory was taken in: who is listed waits for no decision any more, whichever officer let it in. */
int secretariat_on_directory(struct txn *, const Rk__Directory *);
int deposit_on_entry(struct client *, struct txn *, const struct delivery *);
/** FETCH answered: bulk of an envelope that we picked up or sent; any other is not looked at. */
int mail_on_bulk(struct client *, struct txn *, const uint8_t env_id[32], struct bytes wraps, struct bytes body);
/** Counters kept in C_META under "count/NAME"; doctor lists them. */
void client_count(struct txn *, const char *name);

/* ---- inbox */
/** Alerts and returns are not added while the same one is unread: it gets the new time and id. */
int inbox_add(struct txn *, Rkl__InboxKind, struct bytes id, const uint8_t *from_org, int64_t time_ms, const char *detail);
/** Somebody has dealt with it: its unread line, of a dossier or notice for us (by the envelope) or of a request to join (by the organisation),
 * counts as read from now on. */
int inbox_settle(struct txn *, struct bytes id);

/* ---- outbox (client/outbox.c) */
struct outbox_request {
	Rk__Op op;
	const char *what;
	const Rk__EnvelopeHeader *header; /* template: sealing sets version…, times unless set, sender, directory_serial, feed_epoch, nda_set */
	int64_t lifetime_ms;              /* of the envelope */
	struct bytes message;
	struct bytes object;
	Rk__ObjectType object_type;
	const uint8_t *object_oh;         /* 32, PUT_OBJECT */
	const uint8_t *env_id;            /* FETCH, NACK */
	Rk__NackReason nack_reason;       /* NACK, with nda_id */
	const uint8_t (*env_ids)[32]; size_t env_id_count; const uint8_t *nda_id; /* PICKUP */
	struct bytes ref;
	const uint8_t *blob_sha256; uint64_t blob_len; /* BLOB_OPEN, with nda_id */
	unsigned attachments;             /* SUBMIT: of header->blobs, which attach_add puts on record in the same transaction */
};
/** Appends durably within the caller's write transaction; *id names it. */
int outbox_add(struct client *, struct txn *, const struct outbox_request *, uint64_t *id);
struct outcome { int code; uint64_t seq; bool logged; uint64_t log_index; int64_t time_ms; uint8_t env_id[32]; };
/** RK_OK with *out when DONE; RK_ENOTFOUND; RK_BUSY while it is not answered. */
int outbox_outcome(struct txn *, uint64_t id, struct outcome *out);
int outbox_count(struct txn *, unsigned *queued, unsigned *sent);
/** Calls fn for each unanswered item that must not be sent by itself in a home that was restored (META_ASIDE), or of all that are
 *  confidential (is_any).  fn must not write.  Not RK_OK ends it with that code. */
int outbox_each_aside(struct txn *, bool is_any, int (*fn)(void *user, const Rkl__OutboxItem *), void *user);
/** When it was queued; 0 if it is not there. */
int64_t outbox_created_at(struct txn *, uint64_t id);

/* ---- seal (client/seal.c): makes the frames of an item for the wire; the gate is asked once more (agreement_check_send) */
int seal_item(struct client *, struct txn *, Rkl__OutboxItem *, uint64_t number, struct arena *);
/** The client's own gate for a header about to be sealed, with 5 minutes of margin at the dates; fills nda_set. */
int agreement_check_send(struct client *, struct txn *, Rk__EnvelopeHeader *, struct arena *);

/* ---- link (client/link.c): the one connection of a home */
struct link_options {
	int timeout_ms;                   /* in all; -1: none */
	volatile bool *stop;              /* set by a signal handler; may be NULL */
	/* called after each commit of new entries and at least each 250 ms; non-zero ends the link with that code, RK_OK goes on */
	int (*step)(struct client *, void *user);
	void *user;
	bool until_synced;                /* end when outbox is empty (or the broker takes nothing), every stream has reached the head
	                                   * told at subscribe, and nothing is left to ask about the log */
	uint64_t until_item;              /* end when this item is DONE (0: none) */
	bool resident;                    /* it stays: since when it is connected is written down (META_LINK_UP) */
	bool *holds;                      /* true while this process has the link, false while it looks on; may be NULL */
	/* with the link, each minute while control and mailbox are caught up: may queue what is due; non-zero as step's; may be NULL */
	int (*caught_up)(struct client *, void *user);
	const uint8_t *until_blobs;       /* end when nothing of this envelope (32) is to be fetched any more; NULL */
	bool without_bulk;                /* until_synced does not wait for attachments under way */
};
/** Runs the link if the lock is free; else waits on the store for what another process's link does, taking the lock when it falls
 *  free.  RK_OK, RK_EUNREACHABLE, RK_ETIMEOUT, RK_EINTERRUPTED, RK_REVOKED, RK_SUPERSEDED, RK_EOTHERHOME, step's code … */
int link_run(struct client *, const struct link_options *);
/** Runs the link until the item is answered; RK_OK, the refusal, or a failure of the link (the item stays queued). */
int link_finish(struct client *, uint64_t id, volatile bool *stop, struct outcome *out);
/** Catches up and sends what is queued. */
int link_sync(struct client *, volatile bool *stop);
/** While pending: asks by the invite connection; sets CLIENT_JOINED and takes in Charter and Directory when approved. *state = rk.EnrolState. */
int link_enrol(struct client *, volatile bool *stop, int *state);
/** PING without HELLO, for doctor: round trip in ms and the broker's clock. */
int link_probe(struct client *, int timeout_ms, int64_t *rtt_ms, int64_t *broker_time_ms);

/* ---- posts (client/post.c) */
int feed_follow(struct client *, Rk__Channel, bool follow);

#endif
