/*
 * link_internal: the parts of the one connection of a home.
 *
 *   link_wire.c      one CURVE connection: frames out, frames in, what libzmq says of it
 *   link.c           the loop: lock or wait, one round, done
 *   link_session.c   connecting, HELLO, pings, refusals of the session
 *   link_send.c      the items of the outbox on their way out
 *   link_settle.c    their answers, and how they end
 *   link_number.c    after HELLO: whose numbers stand
 *   link_stream.c    subscriptions and credit, entries as they come
 *   link_receive.c   entries into the store: one transaction for all that is there
 *   link_log.c       questions about the exchange's log
 *   link_blob.c      attachments: link_upload.c, link_pace.c, link_download.c (link_blob.h)
 *   link_keep.c      kx keys, directories signed ahead
 *   link_enrol.c     the invite connection
 *
 * All of it belongs to the thread that runs link_run.
 */
#ifndef RENKEI_CLIENT_LINK_INTERNAL_H
#define RENKEI_CLIENT_LINK_INTERNAL_H

#include "client/client_internal.h"
#include "client/link_blob.h"
#include "client/log.h"
#include "proto/invite.h"

/* ---- link_wire.c */

#define WIRE_FRAMES_MAX 4            /* header, object, WrapList, body */
#define WIRE_HEADER_MAX (8 * 1024)
#define WIRE_FRAME_MAX (1024 * 1024)

struct wire;

/* One message from the broker.  Frames lie in `memory`; who keeps them takes it over and sets it to NULL. */
struct incoming {
	struct arena *arena;         /* of down; reset by the next receive */
	Rk__Down *down;
	struct bytes frames[WIRE_FRAMES_MAX - 1];
	size_t frame_count;
	uint8_t *memory;
	size_t bytes;                /* of all frames */
};
int incoming_init(struct incoming *);
void incoming_free(struct incoming *);

/** Connects (in the background).  RK_EUNREACHABLE: the endpoint is none; RK_ENOMEM. */
int wire_open(struct client *, const char *endpoint, const uint8_t broker_pk[32], const uint8_t curve_pk[32],
	      const uint8_t curve_sk[32], struct wire **out);
void wire_close(struct wire *);
/**
 * RK_OK, or RK_BUSY: the connection takes nothing more just now.  A small message leaves with the next wire_receive, together with the others of this turn
 * (proto/bundle.h).  RK_ENOMEM.
 */
int wire_send(struct wire *, const struct bytes *frames, size_t n);
/** Sends what was gathered; RK_BUSY: it stays for the next time. */
int wire_flush(struct wire *);
/** Packs a request and sends it, with an object frame if object.len > 0. */
int wire_request(struct wire *, Rk__Request *, struct bytes object);
/** The same with a frame that no signature is about, and whose hash is known elsewhere: a part of an attachment. */
int wire_request_bulk(struct wire *, Rk__Request *, struct bytes bulk);
/**
 * The next message, waiting at most wait_ms.  RK_OK; RK_ETIMEOUT (nothing, or something that is not a message: dropped);
 * RK_EUNREACHABLE (the connection has ended); RK_NOT_ADMITTED (the broker does not know our key).
 */
int wire_receive(struct wire *, int wait_ms, struct incoming *);

int64_t monotonic_ms(void);

/* ---- the link */

#define LINK_FLIGHT_MAX 64
#define LINK_STREAMS_MAX 8
#define LINK_TAG_OWN ((uint64_t)1 << 63) /* tags of the link's own requests; an item's tag is its id */
#define LINK_BATCH_MAX 256
#define LINK_CREDIT_ENTRIES 256
#define LINK_CREDIT_BYTES (8 * 1024 * 1024)
#define LINK_CLOCK_REFUSE_MS ((int64_t)10 * 60 * 1000) /* CRYPTO 2.12 */

enum link_state { LINK_DOWN, LINK_HELLO, LINK_UP };

struct link_stream {
	struct stream_id id;
	uint64_t cursor;             /* taken in, durably */
	uint64_t received;           /* the last one that came */
	uint64_t head;               /* as told by SUBSCRIBE */
	uint64_t tag;                /* of the SUBSCRIBE that is not answered */
	int64_t asked_at;
	bool subscribed;
	bool must_ack, must_put;     /* cursor moved: tell the broker; write it down */
	unsigned refused;            /* SUBSCRIBE answered `generation` */
};

/* An entry between arrival and commit. */
struct entry {
	struct entry *next;
	struct delivery d;
	bool announced;              /* the object is to be fetched first */
	bool passed_over;            /* it is not: a newer one stands in its place */
	Rk__ObjectType type;
	uint8_t id[16];
	bool has_id;
	uint64_t serial;
	uint8_t oh[32];
	uint32_t total;
	uint8_t *memory;
	size_t bytes;
};

/* An item of the outbox on its way. */
struct flying {
	uint64_t id, number;         /* number 0: FETCH */
	int64_t sent_at;             /* 0: not yet on this session */
};

/* An item's reply, to be written down with the next commit. */
struct answer {
	uint64_t id;
	int code;
	uint64_t seq, log_index;
	bool logged;
	int64_t time_ms;
	struct bytes wraps, body;    /* FETCH */
	uint8_t *memory;
};

/* Questions about the log: one at a time. */
struct link_log {
	struct log_question q;       /* the last one asked */
	uint64_t tag;                /* of the GET_PROOF that is not answered */
	int64_t sent_at, next_at;
	int64_t rest_until;          /* the broker has no answers: not asked before */
	unsigned tries;              /* of q in vain, or without anything new */
	bool answered;               /* q was */
	bool fresh;                  /* the newest checkpoint is to be asked for: after each connecting */
	bool idle;                   /* nothing was to be asked when the store was at looked_txn */
	uint64_t looked_txn;
	struct log_question vain;    /* the last one that got no answer */
	bool is_vain;                /* and is not counted yet */
	int64_t counted_at;
};

struct link {
	struct client *c;
	const struct link_options *o;
	struct incoming in;
	struct wire *wire;
	enum link_state state;
	bool was_up, clock_warned;
	int refused;                 /* RK_NOT_ADMITTED at the handshake */
	unsigned attempts, pings, full_rounds;
	int64_t began_at, down_since, retry_at, hello_at, heard_at, pinged_at, stepped_at;
	uint64_t hello_tag, next_tag;
	bool hello_answered;
	bool read_only;              /* the broker takes nothing: items wait */
	uint64_t broker_last;
	uint8_t broker_generation[16];
	uint8_t writer[8], generation[16];
	uint64_t store_txn;          /* last transaction of the store that was looked at */

	/* link_send.c, link_settle.c */
	struct flying flight[LINK_FLIGHT_MAX];
	size_t flight_count;
	struct answer answers[LINK_FLIGHT_MAX];
	size_t answer_count;
	uint64_t scan_from;          /* no QUEUED item has a lower id */
	int64_t reseal_at;           /* no sealing before: keys that follow an epoch may still be on their way */
	bool cursor_lost;            /* the broker had less than we have taken in: to be told to people */
	bool must_sweep;             /* files of HOME/blobs have lost their records */
	bool must_again;             /* a refusal leaves open whether its number was consumed: HELLO tells */
	double tokens, rate, burst;  /* our share of the broker's patience */
	int64_t tokens_at;

	/* link_stream.c */
	struct link_stream streams[LINK_STREAMS_MAX];
	size_t stream_count;
	struct entry *first, **last;
	size_t entry_count;
	int64_t credit_entries, credit_bytes, entered_at;
	uint64_t credit_tag;         /* CREDIT that is not answered */
	int64_t credit_at;
	uint64_t object_tag;         /* GET_OBJECT that is not answered */
	int64_t object_at;
	uint8_t *object;             /* what has come of it */
	uint32_t object_len;

	/* link_log.c */
	struct link_log log;

	struct link_blob blob;       /* link_blob.h */

	/* done? */
	bool heads_old;              /* something was done since the heads were told: ask again before saying "synced" */
	bool item_done, item_ok, blobs_done;
	int64_t item_done_at;
	uint64_t sync_asked, sync_done;
	int64_t kept_at, forgot_at, pruned_at; /* link_keep.c; 0: not yet on this link */
	bool told_up;                /* META_LINK_UP says that the link is up */
};

/* ---- link_session.c */
struct link_place {
	char endpoint[ENDPOINT_MAX_CHARS + 1];
	uint8_t broker_pk[32];
};
/** Where the broker is; RK_ENOTJOINED. */
int link_place(struct client *, struct link_place *);
int session_tick(struct link *);
int session_on_hello(struct link *, const Rk__Reply *);
/** HELLO is answered: generation and numbers are settled, and the link is up. */
int session_come_up(struct link *);
/** RK_CLOCK if the broker's time is more than 10 minutes off ours. */
int session_check_clock(struct link *, int64_t time_ms);
/** Ends the connection; another try after a jittered pause. */
void link_drop(struct link *);
/** Says HELLO again on this connection, after delay_ms; everything unanswered is then sent again. */
void link_again(struct link *, int64_t delay_ms);
uint64_t link_tag(struct link *);
/** A refusal that concerns the session, whatever it answers: RK_OK if it is none of those, else what ends the link. */
int link_session_refusal(struct link *, int code);

/* ---- link_send.c */
void send_clear_frames(Rkl__OutboxItem *);
/** After HELLO (link_number.c): whose numbers stand, which items are sent again, which are sealed anew. */
int send_reconcile(struct link *);
int send_tick(struct link *);
/** The item in flight with this id, or NULL; valid until the flight changes. */
struct flying *send_find(struct link *, uint64_t id);
void send_forget(struct link *);
/** May a request go out now, by the broker's rate? */
bool send_token(struct link *);
/** The same for a request that counts as `cost` of them: whoever has one may go into debt, as at the broker. */
bool send_tokens(struct link *, unsigned cost);
/** The same for a part of an attachment: some are left for everything else. */
bool send_token_bulk(struct link *l);
/** (link_number.c) Deletes outcomes older than a week, some at a time. */
int send_prune(struct client *);

/* ---- link_settle.c */
/** Returns what ends the link, or RK_OK; *taken if the reply was an item's. */
int settle_on_reply(struct link *, const Rk__Reply *, struct incoming *, bool *taken);
/** Writes the answers down; ids of finished items count for link_options.until_item. */
int settle_answers(struct link *, struct txn *);
/** After a commit of settle_answers. */
void settle_done(struct link *);
/** The item is over with this code: its key and frames go, it is stored, and people are told if nobody waits for it. */
int settle_end(struct link *, struct txn *, Rkl__OutboxItem *, int code, int64_t time_ms);
/** The same for one that another copy of this home may have sent: RK_EOTHERHOME, and people are told of it. */
int settle_aside(struct link *, struct txn *, Rkl__OutboxItem *);

/* ---- link_stream.c */
int streams_refresh(struct link *);
int streams_tick(struct link *);
void streams_forget(struct link *);
struct link_stream *streams_find(struct link *, const struct stream_id *);
/** Returns what ends the link, or RK_OK; *taken if the reply was to SUBSCRIBE or GET_OBJECT. */
int streams_on_reply(struct link *, const Rk__Reply *, struct incoming *, bool *taken);
int streams_on_delivery(struct link *, const Rk__Delivery *, struct incoming *);
/** Everything told at SUBSCRIBE has been taken in. */
bool streams_synced(const struct link *);
/** Are control and mailbox at the heads told?  Before that nothing is sealed. */
bool streams_may_seal(const struct link *);
/** Asks for all heads anew. */
void streams_ask_heads(struct link *);
void entry_free(struct entry *);

/* ---- link_log.c */
/** The connection is gone: its question is forgotten, and the newest checkpoint is asked for on the next one. */
void link_log_forget(struct link *);
/** The broker told the size of its log: smaller than what it has signed is not believed, but asked about at once. */
int link_log_told(struct link *, const Rk__HelloReply *);
int link_log_tick(struct link *);
/** Returns what ends the link, or RK_OK; *taken if the reply was to GET_PROOF. */
int link_log_on_reply(struct link *, const Rk__Reply *, struct incoming *, bool *taken);
/** Has the newest checkpoint been compared with ours on this connection, or has the broker no answer?  Before that nothing is sealed. */
bool link_log_may_seal(const struct link *);
/** Nothing is left to be asked, or the broker has no answers now. */
int link_log_settled(struct link *, bool *yes);

/* ---- link_keep.c */
/** This process has the link from here on. */
void keep_begin(struct link *);
int keep_tick(struct link *);
/** The connection is over: so it is written down, if it was that it stands. */
void keep_end(struct link *);
/** Was everything looked at on this link? */
bool keep_is_done(const struct link *);

/* ---- link_receive.c */
/** Takes in what is there and writes answers down: at most one transaction.  *moved: the store has changed. */
int receive_commit(struct link *, bool *moved);

#endif
