/*
 * down: fields in ascending order, each written unless it is zero.  Every nested message stays below 128 bytes, so that its length is one byte, which is
 * filled in behind it: at most 8 numbers of 11 bytes, and a StreamId of 22.
 */
#include "proto/down.h"

#include <string.h>

#define NUMBER(field) ((field) << 3)
#define RUN(field) ((field) << 3 | 2)
#define VERSION 1

static uint8_t *put_varint(uint8_t *at, uint64_t v)
{
	while (v >= 0x80) {
		*at++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*at++ = (uint8_t)v;
	return at;
}

/* Field numbers are below 16, so that a tag is one byte. */
static uint8_t *put_number(uint8_t *at, unsigned field, uint64_t v)
{
	if (v == 0)
		return at;
	*at++ = (uint8_t)NUMBER(field);
	return put_varint(at, v);
}

/* Where a nested message begins; end_nested fills in its length. */
static uint8_t *begin_nested(uint8_t *at, unsigned field)
{
	*at = (uint8_t)RUN(field);
	return at + 2;
}

static void end_nested(uint8_t *begin, const uint8_t *end)
{
	begin[-1] = (uint8_t)(end - begin);
}

/* An enum is written as the 64 bits of its sign-extended value; none of ours is negative. */
static uint64_t of_enum(int v)
{
	return (uint64_t)(int64_t)v;
}

bool down_is_plain_reply(const Rk__Reply *r)
{
	return r->hello == NULL && r->enrol == RK__ENROL_STATE__ENROL_NONE && r->object == NULL && r->subscribe == NULL && r->fetch == NULL && r->proof == NULL &&
	       r->blob == NULL;
}

size_t down_pack_reply(uint8_t out[DOWN_MAX_BYTES], const Rk__Reply *r)
{
	uint8_t *begin = begin_nested(put_number(out, 1, VERSION), 2), *at = begin;

	at = put_number(at, 1, of_enum((int)r->op));
	at = put_number(at, 2, r->number);
	at = put_number(at, 3, r->tag);
	at = put_number(at, 4, r->code);
	at = put_number(at, 5, (uint64_t)r->time_ms);
	at = put_number(at, 6, r->seq);
	at = put_number(at, 7, r->logged != 0);
	at = put_number(at, 8, r->log_index);
	end_nested(begin, at);
	return (size_t)(at - out);
}

bool down_is_plain_delivery(const Rk__Delivery *d)
{
	return d->announce == NULL && d->stream != NULL && d->stream->org_id.len <= 16;
}

static uint8_t *put_stream(uint8_t *at, unsigned field, const Rk__StreamId *s)
{
	uint8_t *begin = begin_nested(at, field);

	at = put_number(begin, 1, of_enum((int)s->type));
	at = put_number(at, 2, of_enum((int)s->channel));
	if (s->org_id.len > 0) {
		*at++ = RUN(3);
		*at++ = (uint8_t)s->org_id.len;
		memcpy(at, s->org_id.data, s->org_id.len);
		at += s->org_id.len;
	}
	end_nested(begin, at);
	return at;
}

size_t down_pack_delivery(uint8_t out[DOWN_MAX_BYTES], const Rk__Delivery *d)
{
	uint8_t *begin = begin_nested(put_number(out, 1, VERSION), 3), *at = put_stream(begin, 1, d->stream);

	at = put_number(at, 2, d->seq);
	at = put_number(at, 3, of_enum((int)d->kind));
	at = put_number(at, 4, (uint64_t)d->time_ms);
	at = put_number(at, 5, d->control_seq);
	at = put_number(at, 6, d->logged != 0);
	at = put_number(at, 7, d->log_index);
	at = put_number(at, 8, d->gap_to);
	at = put_number(at, 9, d->bulk_dropped != 0);
	end_nested(begin, at);
	return (size_t)(at - out);
}
