/*
 * down: the two headers that a broker writes by the thousand, a plain reply and a delivery, in the one encoding of their messages.  What protobuf-c would write, byte
 * for byte (test_down), at a tenth of the cost: an eighth of what apply spent on a post was their packing.
 */
#ifndef RENKEI_PROTO_DOWN_H
#define RENKEI_PROTO_DOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "renkei.pb-c.h"

#define DOWN_MAX_BYTES 128 /* of each of them */

/** It has none of the messages that belong to some operations only, and no state of an enrolment. */
bool down_is_plain_reply(const Rk__Reply *);
/** A Down of version 1 with that reply; its length. */
size_t down_pack_reply(uint8_t out[DOWN_MAX_BYTES], const Rk__Reply *);
/** It announces nothing. */
bool down_is_plain_delivery(const Rk__Delivery *);
/** A Down of version 1 with that delivery, whose stream is there; its length. */
size_t down_pack_delivery(uint8_t out[DOWN_MAX_BYTES], const Rk__Delivery *);

#endif
