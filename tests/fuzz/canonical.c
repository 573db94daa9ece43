/*
 * A slow decoder of one question, from the format of protobuf and from PROTOCOL.md: fields ascend, none is unknown, none is given twice,
 * none stands at its default, every varint is as short as it can be.  It shares no code with strict.c or protobuf-c.
 */
#include "tests/fuzz/fuzz_kit.h"

static bool take_varint(struct bytes *in, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 10 && i < in->len; i++) {
		uint8_t b = in->data[i];

		if (i == 9 && b > 1)
			return false;
		v |= (uint64_t)(b & 0x7f) << 7 * i;
		if (b & 0x80)
			continue;
		if (i > 0 && b == 0)
			return false;
		*in = bytes_make(in->data + i + 1, in->len - i - 1);
		*out = v;
		return true;
	}
	return false;
}

static bool is_run(const ProtobufCFieldDescriptor *f)
{
	return f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES || f->type == PROTOBUF_C_TYPE_MESSAGE;
}

/* A length and what it spans.  Only a message, or an element of a list, may be empty. */
static bool take_run(const ProtobufCFieldDescriptor *f, struct bytes *in)
{
	struct bytes run;
	uint64_t len;

	if (!take_varint(in, &len) || len > in->len)
		return false;
	run = fuzz_take(in, (size_t)len);
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return fuzz_is_canonical(f->descriptor, run);
	return len > 0 || f->label == PROTOBUF_C_LABEL_REPEATED;
}

static bool take_number(const ProtobufCFieldDescriptor *f, struct bytes *in)
{
	uint64_t v;

	/* The one list of numbers in the schema is reserved: it must be empty. */
	if (f->label == PROTOBUF_C_LABEL_REPEATED || !take_varint(in, &v) || v == 0)
		return false;
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL: return v == 1;
	case PROTOBUF_C_TYPE_UINT32: return v <= UINT32_MAX;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM: return v <= INT32_MAX || v >= (uint64_t)INT32_MIN;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64: return true;
	default: break;
	}
	fuzz_broken("a type of the schema", f->name, (int)f->type);
}

bool fuzz_is_canonical(const ProtobufCMessageDescriptor *desc, struct bytes in)
{
	uint64_t tag, last = 0;

	while (in.len > 0) {
		const ProtobufCFieldDescriptor *f;

		if (!take_varint(&in, &tag) || tag >> 3 > UINT32_MAX)
			return false;
		f = protobuf_c_message_descriptor_get_field(desc, (unsigned)(tag >> 3));
		if (f == NULL || (tag & 7) != (is_run(f) ? 2 : 0))
			return false;
		if (tag >> 3 < last || (tag >> 3 == last && f->label != PROTOBUF_C_LABEL_REPEATED))
			return false;
		last = tag >> 3;
		if (!(is_run(f) ? take_run(f, &in) : take_number(f, &in)))
			return false;
	}
	return true;
}
