/* A post as another system wrote it: one line of JSON.  What is taken may be sent, and has the id that makes it once only. */
#include "client/jsonl.h"
#include "proto/errcode.h"
#include "proto/strict.h"
#include "tests/fuzz/fuzz_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	struct arena *a = fuzz_arena(0);
	struct post_problem problem;
	struct jsonl_record record;
	int r = jsonl_read(in, "Asia/Tokyo", a, &record, &problem);

	MUST(r == RK_OK || r == RK_MALFORMED);
	if (r == RK_OK) {
		struct bytes packed;

		fuzz_accepted++;
		MUST(record.topics_given >= record.post->n_codes && record.post->external_id[0] != '\0');
		MUST(STRICT_PACK(record.post, a, &packed) == RK_OK);
	} else {
		MUST(problem.fault != POST_FAULT_NONE && problem.fault < POST_FAULT_COUNT);
	}
	arena_free(a);
	return 0;
}
