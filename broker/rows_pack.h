/*
 * rows_pack: one walk over the fields of a row, for packing and for unpacking, so that the two cannot differ.  For
 * rows*.c only.
 */
#ifndef RENKEI_BROKER_ROWS_PACK_H
#define RENKEI_BROKER_ROWS_PACK_H

#include <assert.h>

#include "proto/bytes.h"

/* One walk over a row, either way: `out` set when packing, `in` set when unpacking. */
struct pack {
	uint8_t *out;
	const uint8_t *in;
	size_t at;
};

/** Copies len bytes between the row and *value. */
static inline void field(struct pack *p, void *value, size_t len)
{
	if (p->out)
		memcpy(p->out + p->at, value, len);
	else
		memcpy(value, p->in + p->at, len);
	p->at += len;
}

static inline void field_u8(struct pack *p, uint8_t *v)
{
	field(p, v, 1);
}

static inline void field_bool(struct pack *p, bool *v)
{
	uint8_t b = *v;

	field(p, &b, 1);
	*v = b != 0;
}

static inline void field_u32(struct pack *p, uint32_t *v)
{
	uint8_t b[4];

	put_u32be(b, *v);
	field(p, b, 4);
	*v = get_u32be(b);
}

static inline void field_u64(struct pack *p, uint64_t *v)
{
	uint8_t b[8];

	put_u64be(b, *v);
	field(p, b, 8);
	*v = get_u64be(b);
}

static inline void field_i64(struct pack *p, int64_t *v)
{
	uint64_t u = (uint64_t)*v;

	field_u64(p, &u);
	*v = (int64_t)u;
}

#endif
