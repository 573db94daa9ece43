/* A post as a person wrote it.  What is taken may be sent; what is not has a fault, on a line that the file has. */
#include "client/postfile.h"
#include "proto/errcode.h"
#include "proto/strict.h"
#include "tests/fuzz/fuzz_kit.h"

static unsigned lines_of(struct bytes file)
{
	unsigned n = 1;

	for (size_t i = 0; i < file.len; i++)
		n += file.data[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);
	struct arena *a = fuzz_arena(0);
	struct post_problem problem;
	unsigned topics;
	Rk__Post *post;
	int r = postfile_parse(in, "Asia/Tokyo", a, &post, &topics, &problem);

	MUST(r == RK_OK || r == RK_MALFORMED);
	if (r == RK_OK) {
		struct bytes packed;

		fuzz_accepted++;
		MUST(topics >= post->n_codes && STRICT_PACK(post, a, &packed) == RK_OK);
	} else {
		MUST(post == NULL && problem.fault != POST_FAULT_NONE && problem.fault < POST_FAULT_COUNT);
		/* A body that should begin after the last line is at fault there. */
		MUST(problem.line <= lines_of(in) + 1 && strict_is_utf8(bytes_str(problem.name)));
	}
	arena_free(a);
	return 0;
}
