/*
 * bundle: several small messages in one frame.  What a frame costs beyond its bytes (cipher, queues, allocations, on both sides) is paid once
 * for all of them, so that a burst is cheap and a single message is never late: nobody waits to fill one.  PROTOCOL.md, "Bundles".
 *
 *   0x00, then for each message: number of its frames (1..4), the length of each (4 bytes, big endian), then their bytes.
 *
 * A header frame never begins with 0x00, since no protobuf does; so the first byte of a message that is one frame tells which it is.
 */
#ifndef RENKEI_PROTO_BUNDLE_H
#define RENKEI_PROTO_BUNDLE_H

#include <stdbool.h>

#include "proto/bytes.h"

#define BUNDLE_MESSAGES_MAX 64
#define BUNDLE_FRAMES_MAX 4            /* of one message */
#define BUNDLE_MAX_BYTES ((size_t)64 * 1024)

struct bundle_message {
	struct bytes frames[BUNDLE_FRAMES_MAX]; /* borrowed from the bundle */
	unsigned frame_count;
};

/* One being written.  Zeroed: empty. */
struct bundle {
	uint8_t *data;   /* of malloc */
	size_t len, room;
	unsigned count;  /* messages */
};

/** Is this frame, the only one of its message, a bundle? */
bool bundle_is(struct bytes frame);
/** RK_OK: well formed to its end, *count messages; RK_MALFORMED.  Before anything of it is acted upon: all or nothing. */
int bundle_check(struct bytes frame, unsigned *count);
/** The next message of a frame that bundle_check has passed, or that was written here.  *at is 0 at first, and the caller's to keep.  False at the end. */
bool bundle_next(struct bytes frame, size_t *at, struct bundle_message *);

/** What a message takes in a bundle. */
size_t bundle_cost(const struct bytes *frames, unsigned frame_count);
/** Adds a copy.  RK_OK; RK_TOO_LARGE: no room left for it, as things stand; RK_ENOMEM.  In both cases the bundle is as it was. */
int bundle_add(struct bundle *, const struct bytes *frames, unsigned frame_count);
/** The same, but the first frame is left for the caller to fill: *first points to its `len` bytes, valid until the next call.  A frame's data may be NULL only there. */
int bundle_add_open(struct bundle *, const struct bytes *frames, unsigned frame_count, uint8_t **first);
/** Empty again; its memory stays for the next one. */
void bundle_reset(struct bundle *);
/** Room for len bytes in all, so that it need not be moved while it grows.  False without memory. */
bool bundle_reserve(struct bundle *, size_t len);
/** Gives back the memory that it does not use: it will be kept for a while. */
void bundle_shrink(struct bundle *);
/** Frees what it holds; it is empty again. */
void bundle_clear(struct bundle *);

#endif
