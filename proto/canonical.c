/* canonical: one walk over the bytes, beside the descriptor's fields, which ascend as the bytes must. */
#include "proto/canonical.h"

#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_RUN = 2 };

/* A varint in its shortest form; the tenth byte holds one bit. */
static bool take_varint(struct bytes *in, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < in->len && i < 10; i++) {
		uint8_t b = in->data[i];

		v |= (uint64_t)(b & 0x7F) << (7 * i);
		if (b & 0x80)
			continue;
		if ((b == 0 && i > 0) || (i == 9 && b > 1))
			return false;
		*out = v;
		*in = bytes_make(in->data + i + 1, in->len - i - 1);
		return true;
	}
	return false;
}

static bool take_run(struct bytes *in, struct bytes *out)
{
	uint64_t len;

	if (!take_varint(in, &len) || len > in->len)
		return false;
	*out = bytes_make(in->data, (size_t)len);
	*in = bytes_make(in->data + len, in->len - (size_t)len);
	return true;
}

/* Negative numbers of 32 bits are written as those of 64. */
static bool fits(ProtobufCType type, uint64_t v)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return v <= 1;
	case PROTOBUF_C_TYPE_UINT32:
		return v <= UINT32_MAX;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
		return v <= INT32_MAX || v >= UINT64_MAX - INT32_MAX;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return true;
	default:
		return false;
	}
}

static enum wire wire_of(const ProtobufCFieldDescriptor *f)
{
	bool is_run = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES || f->type == PROTOBUF_C_TYPE_MESSAGE;

	return is_run || (f->label == PROTOBUF_C_LABEL_REPEATED && f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) ? WIRE_RUN : WIRE_VARINT;
}

static bool is_packed_run(const ProtobufCFieldDescriptor *f, struct bytes run)
{
	uint64_t v;

	/* An empty one is written as nothing at all. */
	if (run.len == 0)
		return false;
	while (run.len > 0)
		if (!take_varint(&run, &v) || !fits(f->type, v))
			return false;
	return true;
}

/* One value; *is_default: as its absence would read. */
static bool take_value(const ProtobufCFieldDescriptor *f, struct bytes *in, bool *is_default)
{
	struct bytes run;
	uint64_t v;

	*is_default = false;
	if (wire_of(f) == WIRE_VARINT) {
		if (!take_varint(in, &v) || !fits(f->type, v))
			return false;
		*is_default = v == 0;
		return true;
	}
	if (!take_run(in, &run))
		return false;
	*is_default = run.len == 0;
	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return true;
	case PROTOBUF_C_TYPE_STRING:
		/* Read as a C string, it would be written shorter. */
		return run.len == 0 || memchr(run.data, 0, run.len) == NULL;
	case PROTOBUF_C_TYPE_MESSAGE:
		*is_default = false; /* there and empty is not absent */
		return canonical_is(f->descriptor, run);
	default:
		return is_packed_run(f, run);
	}
}

bool canonical_is(const ProtobufCMessageDescriptor *d, struct bytes in)
{
	unsigned i = 0;
	uint64_t tag;

	while (in.len > 0) {
		const ProtobufCFieldDescriptor *f;
		bool is_default, is_repeated;

		if (!take_varint(&in, &tag) || tag > UINT32_MAX)
			return false;
		while (i < d->n_fields && d->fields[i].id < tag >> 3)
			i++;
		if (i == d->n_fields)
			return false;
		f = &d->fields[i];
		is_repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
		if (f->id != tag >> 3 || wire_of(f) != (tag & 7) || !take_value(f, &in, &is_default))
			return false;
		if (is_default && !is_repeated)
			return false;
		/* Another element of the same list may follow; of all else, only what stands behind it. */
		if (!is_repeated || f->flags & PROTOBUF_C_FIELD_FLAG_PACKED)
			i++;
	}
	return true;
}

struct bytes canonical_field(struct bytes in, uint32_t field)
{
	uint64_t tag, v;
	struct bytes run = {NULL, 0};

	/* Fields ascend: beyond it there is nothing to look for. */
	while (in.len > 0 && take_varint(&in, &tag) && tag >> 3 <= field) {
		if ((tag & 7) == WIRE_RUN ? !take_run(&in, &run) : !take_varint(&in, &v))
			break;
		if (tag >> 3 == field && (tag & 7) == WIRE_RUN)
			return run;
	}
	return bytes_make(NULL, 0);
}
