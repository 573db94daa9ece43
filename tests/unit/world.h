/*
 * world: an exchange in a throw-away folder for tests of apply: keys, charter, members with devices, and commands made
 * as admit and verify make them (request_parse, verify_command), without sockets and with a clock of its own.  Every
 * function that runs a command runs it as a batch of its own unless it says otherwise, and leaves the reply in
 * w->reply.
 */
#ifndef RENKEI_TESTS_WORLD_H
#define RENKEI_TESTS_WORLD_H

#include "broker/apply.h"
#include "broker/rows.h"
#include "broker/verify.h"
#include "proto/errcode.h"
#include "tests/unit/fixed_kit.h"

#define WORLD_ORGS 6
#define WORLD_DEVICES 3
#define WORLD_COMMANDS_MAX 4096
#define WORLD_BLOB_DROPS 128
#define WORLD_DAY_MS ((int64_t)86400000)

struct world_device {
	uint8_t id[16];
	struct fixed_sign sign;
	struct fixed_box curve, kx[3];
	uint32_t kx_serial;       /* 0: none published */
	uint8_t epoch[8];
	uint64_t number;          /* last one used */
	int64_t retired_at;
	bool is_listed;
	uint32_t desks[2];
	size_t desk_count;
	bool gets_no_wrap;        /* left out of the next envelopes */
};

struct world_org {
	uint8_t id[16];
	struct fixed_sign key;
	struct world_device devices[WORLD_DEVICES];
	uint64_t devices_serial, min_devices_serial;
	uint8_t devices_oh[32];
	Rk__OrgStatus status;     /* NONE: not in the directory */
	uint32_t roles;
	uint8_t seed[32], invite_id[16], invite_pk[32], mac_key[32];
};

struct world_record {
	struct command *command;
	int64_t time_ms;
};

struct world {
	struct fixed f;
	char folder[256];
	struct env *env;
	struct apply_limits limits;
	struct apply *apply;
	struct roster *roster;
	struct verify *verify;
	struct arena *arena;      /* for the whole life of the world */
	int64_t now_ms;
	uint64_t map_bytes;       /* of the store from the next restart on; 0: the kit's */
	uint64_t journal_bytes;   /* the same, of its journal; 0: none */
	bool gathers;             /* batches may be saved in it */
	struct world_org orgs[WORLD_ORGS]; /* 0 is the secretariat, in the directory from the start; sorted by id */
	uint64_t directory_serial;
	uint8_t directory_oh[32];
	int64_t directory_life_ms;
	uint32_t epoch;
	uint8_t epoch_oh[32];
	unsigned names;           /* for nonces that differ */
	size_t message_bytes;     /* text of the next envelopes; 0: a short one */

	struct command **commands;    /* all that were made; freed at the end */
	size_t command_count;
	struct world_record *records; /* every command that reached apply, for replays */
	size_t record_count;

	/* The last reply. */
	const Rk__Reply *reply;
	struct bytes frames[2];
	unsigned frame_count;
	/* The last batch. */
	size_t cut_count;
	uint8_t cuts[64][16];
	size_t stream_count;
	size_t blob_drop_count;
	uint8_t blob_drops[WORLD_BLOB_DROPS][32];
};

/** Ends the program with file and line where a test kit's own step fails. */
#define world_need(fact) world_need_at((fact), #fact, __FILE__, __LINE__)
void world_need_at(bool fact, const char *what, const char *file, int line);
/** Bytes in the world's arena: a copy; or len bytes that nobody had before. */
ProtobufCBinaryData world_copy(struct world *, const void *data, size_t len);
ProtobufCBinaryData world_fresh(struct world *, size_t len);

void world_open(struct world *);
void world_close(struct world *);
/** Opens store and apply anew, as a restart does after a kill. */
void world_restart(struct world *);
/** With other limits. */
void world_limits(struct world *, const struct apply_limits *);

/* ---- commands */
/** A request of this device with op set, and a number where the operation is numbered (not yet used up). */
Rk__Request *world_request(struct world *, int org, int device, Rk__Op);
/** The command as admit and verify leave it.  object may be empty; wraps and body are bulk. */
struct command *world_command(struct world *, int org, int device, Rk__Request *, struct bytes object,
			      struct bytes wraps, struct bytes body);
/** The same, from the invite of org. */
struct command *world_invite_command(struct world *, int org, Rk__Request *, struct bytes object);
/** One batch; the code of the reply. */
int world_run(struct world *, struct command *);
/** One batch of many; codes[n]. */
void world_run_batch(struct world *, struct command **, size_t n, int *codes);
/** A batch without commands, at w->now_ms. */
void world_tick(struct world *);
/** Signed object in the world's arena. */
struct bytes world_sign(struct world *, enum object_kind, const struct fixed_sign *, const ProtobufCMessage *);

int world_hello(struct world *, int org, int device);
int world_ack(struct world *, int org, struct stream_id, uint64_t seq);
/** PUT_OBJECT of a signed object, from this device. */
struct command *world_put_command(struct world *, int org, int device, Rk__ObjectType, struct bytes wire);
int world_put(struct world *, int org, int device, Rk__ObjectType, struct bytes wire);

/* ---- trust: each builds what the next one would be; _put sends it and, on ok, remembers it */
Rk__Directory *world_directory(struct world *);
int world_put_directory(struct world *, Rk__Directory *);
Rk__OrgDevices *world_devices(struct world *, int org);
int world_put_devices(struct world *, int org, int device, Rk__OrgDevices *);
Rk__DeviceKx *world_kx(struct world *, int org, int device);
int world_put_kx(struct world *, int org, int device, Rk__DeviceKx *);
Rk__FeedEpoch *world_epoch(struct world *);
int world_put_epoch(struct world *, Rk__FeedEpoch *);
Rk__FeedKey *world_feed_key(struct world *, int org, int device, uint32_t n);
int world_put_feed_key(struct world *, Rk__FeedKey *);
Rk__InviteReg *world_invite(struct world *, int org);
int world_put_invite(struct world *, Rk__InviteReg *);
struct bytes world_enrol(struct world *, int org);
int world_put_enrol(struct world *, int org, struct bytes request);
/** Invite, enrolment, directory, HELLO: all of them must be ok. */
void world_admit(struct world *, int org);
/** The directory with this organisation's new status. */
int world_set_status(struct world *, int org, Rk__OrgStatus);

/* ---- envelopes */
Rk__EnvelopeHeader *world_header(struct world *, Rk__Kind, int org, int device, unsigned to);
Rk__EnvelopeHeader *world_post_header(struct world *, int org, Rk__Channel, Rk__PostOp, uint64_t post_seq,
				      uint32_t version);
/** Seals to the listed devices with a kx key of `to` (bits) and of the sender; the command of a SUBMIT. */
struct command *world_submit_command(struct world *, int org, int device, Rk__EnvelopeHeader *, unsigned wraps_to);
int world_submit(struct world *, int org, int device, Rk__EnvelopeHeader *, unsigned wraps_to);
int world_post(struct world *, int org, Rk__Channel, Rk__PostOp, uint64_t post_seq, uint32_t version);

/* ---- agreements */
/** Mutual, in force from now on for 100 days, END_ALL without notice, 30 days of notices, no mark required. */
Rk__NdaTerms *world_terms(struct world *, unsigned parties);
struct command *world_propose_command(struct world *, int org, const Rk__NdaTerms *, uint8_t nda_id[32]);
int world_propose(struct world *, int org, const Rk__NdaTerms *, uint8_t nda_id[32]);
Rk__NdaAct *world_act(struct world *, int org, const uint8_t nda_id[32], Rk__ActKind);
/** ACCEPT: with its envelope to the other parties. */
struct command *world_act_command(struct world *, int org, const Rk__NdaAct *);
int world_do_act(struct world *, int org, const uint8_t nda_id[32], Rk__ActKind);
/** A new agreement of these parties that all have accepted. */
void world_agree(struct world *, unsigned parties, uint8_t nda_id[32]);
void world_nda(struct world *, const uint8_t nda_id[32], struct nda_row *);
/** A dossier under an agreement; env_id (may be NULL) is filled. */
struct command *world_disclose_command(struct world *, Rk__Kind, int org, unsigned to, const uint8_t nda_id[32],
				       uint8_t env_id[32]);
int world_disclose(struct world *, Rk__Kind, int org, unsigned to, const uint8_t nda_id[32], uint8_t env_id[32]);
struct command *world_pickup_command(struct world *, int org, int device, const uint8_t nda_id[32],
				     const uint8_t (*env_ids)[32], size_t n);
int world_pickup(struct world *, int org, int device, const uint8_t nda_id[32], const uint8_t env_id[32]);
struct command *world_fetch_command(struct world *, int org, int device, const uint8_t env_id[32]);
int world_fetch(struct world *, int org, int device, const uint8_t env_id[32]);
Rk__Nack *world_nack_of(struct world *, int org, int device, const uint8_t nda_id[32], const uint8_t env_id[32],
			Rk__NackReason);
struct command *world_nack_command(struct world *, int org, int device, const Rk__Nack *);
int world_nack(struct world *, int org, int device, const uint8_t nda_id[32], const uint8_t env_id[32], Rk__NackReason);
/** Of a commitment that nobody had before. */
Rk__Deposit *world_deposit_of(struct world *, int org, int device);
struct command *world_deposit_command(struct world *, int org, int device, const Rk__Deposit *);
int world_deposit(struct world *, int org, int device);

/* ---- attachments: world_blob.c */
/** Its SHA-256 is of bytes that nobody had before; len is what the rows say. */
Rk__BlobRef *world_blob(struct world *, uint64_t len);
struct command *world_blob_open_command(struct world *, int org, const uint8_t nda_id[32], const Rk__BlobRef *);
int world_blob_open(struct world *, int org, const uint8_t nda_id[32], const Rk__BlobRef *);
/** As blobs leaves it, which found that much. */
struct command *world_blob_put_command(struct world *, int org, const Rk__BlobRef *, uint64_t have, bool is_complete);
int world_blob_put(struct world *, int org, const Rk__BlobRef *, uint64_t have, bool is_complete);
/** Opened and complete: must be ok. */
Rk__BlobRef *world_blob_ready(struct world *, int org, const uint8_t nda_id[32], uint64_t len);
/** A dossier with these attachments. */
struct command *world_blob_disclose_command(struct world *, int org, unsigned to, const uint8_t nda_id[32], Rk__BlobRef **, size_t n,
					    uint8_t env_id[32]);
int world_blob_disclose(struct world *, int org, unsigned to, const uint8_t nda_id[32], Rk__BlobRef **, size_t n, uint8_t env_id[32]);
/** FETCH of the blob-th (from 1), as blobs leaves it, which read that many bytes (0: nothing). */
struct command *world_blob_fetch_command(struct world *, int org, int device, const uint8_t env_id[32], uint32_t blob, uint64_t offset,
					 uint32_t len);
int world_blob_fetch(struct world *, int org, int device, const uint8_t env_id[32], uint32_t blob, uint64_t offset, uint32_t len);

/* ---- looking at the store */
/** Head of a stream. */
uint64_t world_head(struct world *, struct stream_id);
/** The entry of a stream at seq; its bytes are copied into the world's arena. */
void world_entry(struct world *, struct stream_id, uint64_t seq, struct stream_entry *);
uint64_t world_quota(struct world *, enum rows_quota_kind, int org, int other);
/** Rows of a table. */
size_t world_count(struct world *, unsigned table);

#endif
