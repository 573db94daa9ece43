/*
 * rawpeer: a peer that speaks the wire by hand, for hostile clients and load.  It keeps no promise of librenkei: it sends what it
 * is told, in whatever order.  One thread.
 */
#ifndef RENKEI_TESTS_RAWPEER_H
#define RENKEI_TESTS_RAWPEER_H

#include "proto/arena.h"
#include "proto/bytes.h"
#include "renkei.pb-c.h"

struct rawpeer;

#define RAWPEER_NO_REPLY (-1000)   /* nothing came within the time-out */

/** Connects a DEALER; NULL without memory.  The keys are copied. */
struct rawpeer *rawpeer_new(const char *endpoint, const uint8_t broker_pk[32], const uint8_t curve_pk[32],
                            const uint8_t curve_sk[32]);
void rawpeer_free(struct rawpeer *);

/** How long a call waits for its reply, in ms (5000 at first). */
void rawpeer_timeout(struct rawpeer *, int timeout_ms);

/** Sends frames as they are. */
void rawpeer_send(struct rawpeer *, const struct bytes *frames, size_t n);

/** Sends frames and waits for the next reply (deliveries are counted and dropped): its code, or RAWPEER_NO_REPLY.
 *  *reply (may be NULL) lives until the next call. */
int rawpeer_ask(struct rawpeer *, const struct bytes *frames, size_t n, const Rk__Reply **reply);

/** Packs the request leniently (no rule is checked), adds a tag, and asks. */
int rawpeer_call(struct rawpeer *, Rk__Request *, const struct bytes *more, size_t n, const Rk__Reply **reply);

/** As rawpeer_ask, for a header whose tag is not rawpeer's own. */
int rawpeer_ask_tag(struct rawpeer *, const struct bytes *frames, size_t n, uint64_t tag, const Rk__Reply **reply);

/** HELLO as this writer; *last_number (may be NULL) is what the broker remembers. */
int rawpeer_hello_as(struct rawpeer *, const uint8_t epoch[8], uint64_t *last_number);
/** Called for each delivery, with the frames after its header; NULL: only counted. */
typedef void rawpeer_delivery_fn(void *user, const Rk__Delivery *, const struct bytes *frames, size_t n);
void rawpeer_on_delivery(struct rawpeer *, rawpeer_delivery_fn *, void *user);
/** Called for each reply, whoever waits for it, with the frames after its header. */
typedef void rawpeer_reply_fn(void *user, const Rk__Reply *, const struct bytes *frames, size_t n);
void rawpeer_on_reply(struct rawpeer *, rawpeer_reply_fn *, void *user);
/** Sends a request, packed leniently, without waiting: its tag, which the reply has too. */
uint64_t rawpeer_post(struct rawpeer *, Rk__Request *, const struct bytes *more, size_t n);
/** Reads deliveries and replies for a time. */
void rawpeer_listen(struct rawpeer *, int ms);
/** SUBSCRIBE to a channel from a cursor, then CREDIT. */
int rawpeer_subscribe(struct rawpeer *, Rk__Channel, uint64_t cursor, uint64_t *head);
int rawpeer_credit(struct rawpeer *, uint32_t entries, uint32_t bytes);

/** HELLO with a fresh writer epoch; later numbered calls use it. */
int rawpeer_hello(struct rawpeer *);
/** The epoch of the last HELLO. */
const uint8_t *rawpeer_epoch(const struct rawpeer *);
/** As rawpeer_call, with this epoch and the next number. After a refusal it first asks
 *  the broker whether that number was used up. */
int rawpeer_numbered(struct rawpeer *, Rk__Request *, const struct bytes *more, size_t n, const Rk__Reply **reply);
/** The last number that was used up. */
uint64_t rawpeer_number(const struct rawpeer *);

uint64_t rawpeer_deliveries(const struct rawpeer *);
/** Frames after the header of the last reply. */
size_t rawpeer_reply_frames(const struct rawpeer *, struct bytes *frames, size_t max);

#endif
