/* Several messages in one frame: what is taken gives the same bytes when its messages are bundled again, so there is one form for each content. */
#include <string.h>

#include "proto/bundle.h"
#include "proto/errcode.h"
#include "tests/fuzz/fuzz_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes frame = bytes_make(data, size);
	struct bundle again = {0};
	struct bundle_message m;
	unsigned count, seen = 0;
	size_t at = 0;

	if (bundle_check(frame, &count) != RK_OK)
		return 0;
	fuzz_accepted++;
	while (bundle_next(frame, &at, &m)) {
		MUST(bundle_add(&again, m.frames, m.frame_count) == RK_OK);
		seen++;
	}
	MUST(seen == count && again.len == size && memcmp(again.data, data, size) == 0);
	bundle_clear(&again);
	return 0;
}
