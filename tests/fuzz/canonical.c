/*
 * What canonical means, word for word and slowly: protobuf-c takes the bytes, keeps no unknown field at any level, and pack() of the message gives
 * the same bytes.  It shares no code with proto/canonical.c, which answers the same question from the bytes alone.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz_kit.h"

static bool has_unknown(const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;

	if (m->n_unknown_fields != 0)
		return true;
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const uint8_t *at = (const uint8_t *)m + f->offset;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			size_t count = *(const size_t *)((const uint8_t *)m + f->quantifier_offset);
			ProtobufCMessage *const *array = *(ProtobufCMessage *const *const *)at;

			for (size_t k = 0; k < count; k++)
				if (has_unknown(array[k]))
					return true;
		} else if (*(ProtobufCMessage *const *)at != NULL && has_unknown(*(ProtobufCMessage *const *)at)) {
			return true;
		}
	}
	return false;
}

bool fuzz_is_canonical(const ProtobufCMessageDescriptor *desc, struct bytes in)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(desc, NULL, in.len, in.data);
	bool same = false;
	uint8_t *packed;
	size_t len;

	if (m == NULL)
		return false;
	len = protobuf_c_message_get_packed_size(m);
	if (!has_unknown(m) && len == in.len) {
		if ((packed = malloc(len + 1)) == NULL)
			abort();
		protobuf_c_message_pack(m, packed);
		same = bytes_equal(bytes_make(packed, len), in);
		free(packed);
	}
	protobuf_c_message_free_unpacked(m, NULL);
	return same;
}
