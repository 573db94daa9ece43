/*
 * Any message of the wire.  First byte: which, then the message.  strict_parse answers as its definition does (definition_kit: protobuf-c's unpack,
 * pack, and the rules on the result), with an equal message, within its memory.
 */
#include "proto/errcode.h"
#include "proto/strict.h"
#include "tests/fuzz/fuzz_kit.h"
#include "tests/unit/definition_kit.h"

#define TYPE(name) &rk__##name##__descriptor,
static const ProtobufCMessageDescriptor *const types[] = {
#include "tests/fuzz/strict_types.inc"
};
#define TYPES (sizeof(types) / sizeof(types[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	const ProtobufCMessageDescriptor *desc = types[fuzz_take_u8(&in) % TYPES];
	const char *differs;
	int r;

	differs = definition_differs(desc, in, &r);
	if (differs != NULL)
		fuzz_broken(differs, desc->name, r);
	MUST(r == RK_OK || r == RK_MALFORMED || r == RK_VERSION || r == RK_UNSUPPORTED || r == RK_TOO_LARGE);
	fuzz_accepted += r == RK_OK;
	return 0;
}
