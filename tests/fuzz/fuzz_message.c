/* Content that was sealed.  What is read packs to what came; what is not read leaves nothing behind. */
#include "proto/errcode.h"
#include "proto/strict.h"
#include "tests/fuzz/fuzz_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len), packed;
	struct arena *a = fuzz_arena(0);
	Rk__Message *m;
	enum message_status status = message_read(in, a, &m);

	MUST(arena_used(a) <= arena_budget(in.len));
	MUST((status == MESSAGE_OK) == (m != NULL));
	if (status == MESSAGE_OK) {
		fuzz_accepted++;
		MUST(STRICT_PACK(m, a, &packed) == RK_OK && bytes_equal(packed, in));
	}
	arena_free(a);
	return 0;
}
