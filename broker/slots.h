/*
 * slots: what front keeps of each peer, by User-Id: tokens, whether it was cut, and what waits to be sent to it.  A
 * bounded table; when it is full, a slot that has long been idle makes room.  Net's thread only.
 */
#ifndef RENKEI_BROKER_SLOTS_H
#define RENKEI_BROKER_SLOTS_H

#include "broker/idtable.h"
#include "broker/message.h"

struct slots;

struct slot {
	struct idtable_key key;
	bool cut;                      /* nothing more is sent to it, until the roster says that it is active again */
	int64_t seen_ms;               /* last message from it */
	int64_t tokens_milli;          /* 1/1000 request */
	int64_t byte_tokens;
	int64_t invite_tokens;         /* bytes that an invite may still send, over whatever connections */
	uint64_t blocked_epoch;        /* deliveries of this epoch are given back unsent */
	/* Front's: replies that found the connection full, and the list of slots that have some. */
	struct message_out *waiting, **waiting_end;
	unsigned waiting_count;
	size_t waiting_bytes;
	int64_t waiting_since_ms;
	bool is_waiting;
	struct slot *waiting_next;
};

struct slots_limits {
	int64_t burst, rate_per_s;
	int64_t byte_burst, bytes_per_s;
	int64_t invite_bytes;          /* at once; they come back slowly */
};

/** capacity: peers at once.  NULL without memory. */
struct slots *slots_new(size_t capacity, const struct slots_limits *);
/** Frees also what waits.  NULL is allowed. */
void slots_free(struct slots *);

/** The slot of a peer, or NULL. */
struct slot *slots_find(struct slots *, const uint8_t id[16], bool is_invite);
/** The same, made if need be; NULL when the table is full of peers that are not idle. */
struct slot *slots_get(struct slots *, const uint8_t id[16], bool is_invite, int64_t now_ms);
size_t slots_count(const struct slots *);
uint32_t slots_index(const struct slots *, const struct slot *);

enum slots_verdict { SLOTS_PASS, SLOTS_RATE, SLOTS_INVITE_BYTES };
/** Takes tokens for one message of len bytes, whatever connection it came over. */
enum slots_verdict slots_take(struct slots *, struct slot *, size_t len, int64_t now_ms);
/** Takes byte tokens for bulk that it asked for: else whoever asks and does not read could fill memory, connection by
 * connection. */
bool slots_take_bulk(struct slot *, size_t len);

#endif
