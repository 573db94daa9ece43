/*
 * Any message of the wire.  First byte: which, then the message.  canonical_is answers as its definition does; what is taken is canonical, packs
 * to what came, keeps the rules and its memory.
 */
#include "proto/canonical.h"
#include "proto/errcode.h"
#include "proto/strict.h"
#include "tests/fuzz/fuzz_kit.h"

#define TYPE(name) &rk__##name##__descriptor,
static const ProtobufCMessageDescriptor *const types[] = {
#include "tests/fuzz/strict_types.inc"
};
#define TYPES (sizeof(types) / sizeof(types[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len), packed;
	const ProtobufCMessageDescriptor *desc = types[fuzz_take_u8(&in) % TYPES];
	struct arena *a = fuzz_arena(0);
	ProtobufCMessage *m;
	int r = strict_parse(desc, in, a, &m);

	MUST(arena_used(a) <= arena_budget(in.len));
	MUST(r == RK_OK || r == RK_MALFORMED || r == RK_VERSION || r == RK_UNSUPPORTED || r == RK_TOO_LARGE);
	MUST((r == RK_OK) == (m != NULL));
	MUST(canonical_is(desc, in) == fuzz_is_canonical(desc, in));
	if (!canonical_is(desc, in))
		MUST(r == RK_MALFORMED);
	if (r == RK_OK) {
		fuzz_accepted++;
		MUST(m->descriptor == desc && strict_check(m) == RK_OK);
		MUST(strict_pack(m, a, &packed) == RK_OK && bytes_equal(packed, in));
	}
	arena_free(a);
	return 0;
}
