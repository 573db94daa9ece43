/*
 * message: what travels through the broker's rings.  A message_in is a command with the frames it came in; a
 * message_out is what front shall send.  Both are owned by whoever popped them last.  Frames are zmq_msg_t: bulk is
 * never copied on its way.
 */
#ifndef RENKEI_BROKER_MESSAGE_H
#define RENKEI_BROKER_MESSAGE_H

#include <zmq.h>

#include "broker/command.h"
#include "proto/bundle.h"
#include "store/stream.h"

/* All commands inside the broker, of all threads: what bounds memory between front and commit. */
#define MESSAGE_LARGE_BYTES ((size_t)128 * 1024) /* what slots lets pass for its bytes alone */
#define MESSAGE_SHARES 1024
struct message_in;
struct ring;
struct message_load {
	_Atomic uint64_t count, bytes;
	_Atomic uint64_t large[MESSAGE_SHARES]; /* bytes of large messages, by organisation's id (random, so that few share a counter) */
	/* Small messages that are done with, to be used again with their arenas: memory taken in one thread and given back in another costs more than what is
	 * done with it. */
	struct ring *spent;              /* from apply's thread; NULL: nothing is kept */
	struct message_in *unused;       /* net's */
	unsigned unused_count;
};

/*
 * Memory of bulk that was read ahead, wherever it is now: with its command, with front, or in libzmq's queue of a connection that is not
 * read.  Counted until the last of them lets go of it; `of` is by an organisation's id (random, so that few share a counter):
 * were it by device, the devices of one member could hold all there is.
 */
#define MESSAGE_HELD_SLOTS 1024
struct message_held {
	_Atomic uint64_t all, of[MESSAGE_HELD_SLOTS];
};

struct message_in {
	struct command command;      /* first: the command is the message */
	unsigned held;               /* of `frames`: of what came in a bundle none, its bytes stand behind this struct */
	size_t bytes;                /* of all frames */
	size_t room;                 /* for copied frames, behind this struct */
	struct message_load *load;
	_Atomic uint64_t *share;     /* of load->large, where it is counted too */
	bool has_bulk;
	size_t blob_bytes;           /* admit: what it counted of a part of an attachment … */
	unsigned blob_share;         /* … and for whom */
	struct message_in *next;     /* admit's queue of its device; of load->unused */
	uint64_t seen_batch;         /* admit: key unknown as of this batch */
	bool looked_twice;           /* admit: the second look at an unknown key */
	bool key_unknown;            /* verify's answer to admit */
	/* What nobody reads unless it is counted above; a new message does not clear it. */
	zmq_msg_t frames[COMMAND_FRAMES_MAX];
	zmq_msg_t bulk;              /* command.blob.bulk, if has_bulk */
	uint8_t copied[];
};

/** Takes over (moves) the first `count` of frames; NULL without memory, the frames stay the caller's.  Adds to the
 * load.  The command may have an arena already, empty and without a budget: whoever uses it resets it. */
struct message_in *message_in_new(const struct peer *, zmq_msg_t *frames, unsigned count, struct message_load *);
/** The same of copies: a message of a bundle must not keep the whole of it in memory. */
struct message_in *message_in_copy(const struct peer *, const struct bytes *frames, unsigned count, struct message_load *);
/** What large messages of an organisation take now. */
uint64_t message_large(struct message_load *, const uint8_t org_id[16]);
/** Counts this one among them until it is freed. */
void message_in_count_large(struct message_in *, const uint8_t org_id[16]);
/** Room for len bytes read ahead for this message, which then owns them; NULL without memory, or when the organisation would hold more than `each`
 *  or all of them more than `all`.  held must outlive libzmq's context. */
uint8_t *message_in_bulk(struct message_in *, size_t len, struct message_held *, const uint8_t org_id[16], uint64_t each, uint64_t all);
/** Lets go of the i-th frame, which has been taken care of; the load becomes less.  (What was copied stays until all goes.) */
void message_in_drop_frame(struct message_in *, unsigned i);
/** Closes frames, empties the arena, takes from the load; net's thread, which alone makes them.  NULL is allowed. */
void message_in_free(struct message_in *);
/** The same, on apply's thread. */
void message_in_give_back(struct message_in *);
/** Frees those kept for use.  No other thread runs. */
void message_load_clear(struct message_load *);

/** Tells connections of one authenticated peer apart (a hash of the routing id); nothing else may hang on it.  Never 0.
 */
uint64_t message_connection(const struct peer *);

#define MESSAGE_OUT_FRAMES 4

enum message_out_kind {
	MESSAGE_REPLY,    /* one for each request */
	MESSAGE_DELIVERY, /* an entry of a stream; front gives it back with its result */
	MESSAGE_CUT,      /* peer.id: forget it, send it nothing more */
};

enum message_result { MESSAGE_SENT, MESSAGE_AGAIN, MESSAGE_GONE };

struct message_out {
	enum message_out_kind kind;
	struct peer peer;
	zmq_msg_t frames[MESSAGE_OUT_FRAMES];
	unsigned frame_count;
	size_t bytes;
	bool to_cut;                 /* REPLY: the one thing a cut peer may still hear: that it is cut */
	/* REPLY with bulk: it never waits, since its release was decided now; `fallback` (a refusal `busy`) goes
	 * instead. */
	bool has_fallback;
	zmq_msg_t fallback;
	struct message_out *next;    /* front's queue of what waits for its peer */
	/* DELIVERY */
	uint64_t epoch;              /* of deliver's session: what was overtaken by a rewind is recognised by it */
	unsigned subscription;
	uint64_t seq;                /* of its last entry */
	unsigned entries;
	enum message_result result;  /* set by front */
};

/** A frame of what a bundle holds: takes its memory over, and the bundle is empty.  False without memory: it stays as it was. */
bool message_frame_take(zmq_msg_t *frame, struct bundle *);

/** Without frames; NULL without memory. */
struct message_out *message_out_new(enum message_out_kind, const struct peer *);
/** Adds a frame with a copy; false without memory. */
bool message_out_copy(struct message_out *, struct bytes);
/** Adds a frame that shares the memory of `frame`, which stays valid; false without memory. */
bool message_out_share(struct message_out *, zmq_msg_t *frame);
/** Sets what is sent in place of bulk that cannot leave at once. */
bool message_out_set_fallback(struct message_out *, struct bytes header);
/** NULL is allowed. */
void message_out_free(struct message_out *);

#endif
