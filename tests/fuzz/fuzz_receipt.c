/*
 * Receipts.  Kind 0: an archive as it comes.  Else: a genuine receipt, and a list of edits to it {member, where, bytes}: the archive
 * stays well formed, as somebody who holds the file would make it.  Nothing verifies but what the exchange made, fed at once or in pieces.
 */
#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/receipt_tail.h"
#include "tests/fuzz/fuzz_kit.h"
#include "tests/unit/receipt_kit.h"

#define BUDGET ((size_t)1 << 20)
#define SAMPLES 4

static struct {
	struct arena *arena;
	struct ustar_member members[SAMPLES][USTAR_MEMBERS_MAX];
	size_t count[SAMPLES];
} genuine;

/* All within one exchange: that of fuzz_exchange. */
static void make_genuine(void)
{
	const struct kit_step *const steps[SAMPLES] = {receipt_kit_plain, receipt_kit_three, receipt_kit_deposit, receipt_kit_plain};
	static const size_t lens[] = {0, 1000};

	genuine.arena = fuzz_arena(SAMPLES * BUDGET);
	for (int i = 0; i < SAMPLES; i++) {
		struct receipt_kit k = {.steps = steps[i], .is_three = i == 1, .has_content = true, .attachment_lens = lens,
		                        .attachment_count = i == 3 ? 2 : 0};

		MUST(ustar_read(receipt_kit_make(&k, genuine.arena), genuine.members[i], USTAR_MEMBERS_MAX, &genuine.count[i]) == RK_OK);
	}
}

/* Is each of the members one of a genuine receipt?  One that shows less is genuine too. */
static bool is_genuine(const struct ustar_member *members, size_t n, int sample)
{
	size_t found = 0;

	for (size_t i = 0; i < genuine.count[sample] && found < n; i++)
		found += strcmp(genuine.members[sample][i].name, members[found].name) == 0 &&
		         bytes_equal(genuine.members[sample][i].data, members[found].data);
	return found == n;
}

/* As a file is read. */
static int verify_in_pieces(struct bytes archive, size_t piece, struct arena *a, struct receipt *out)
{
	struct receipt_tail *tail;
	size_t at, used;
	int r = receipt_verify_start(archive, fuzz_exchange()->exchange_id, a, out, &used);

	if (r != RK_OK)
		return r;
	MUST((tail = receipt_tail_new(out, a)) != NULL);
	for (at = used; at + piece < archive.len; at += piece)
		(void)receipt_tail_feed(tail, bytes_make(archive.data + at, piece));
	(void)receipt_tail_feed(tail, bytes_make(archive.data + at, archive.len - at));
	return receipt_tail_end(tail);
}

static void verify(struct bytes archive)
{
	static struct ustar_member members[USTAR_MEMBERS_MAX];
	struct arena *a = fuzz_arena(arena_budget(archive.len));
	bool is_known = false;
	struct receipt out, pieces;
	struct bytes again;
	size_t n;
	int r = receipt_verify(archive, fuzz_exchange()->exchange_id, a, &out);

	MUST(r == RK_OK || r == RK_EINTEGRITY);
	MUST(out.check_count > 0 && (r == RK_OK) == (out.checks[out.check_count - 1].code == RK_OK));
	MUST((r == RK_OK) == (out.level != RECEIPT_UNPROVEN));
	MUST(verify_in_pieces(archive, 1 + archive.len % 700, a, &pieces) == r && pieces.check_count == out.check_count);
	MUST(pieces.checks[pieces.check_count - 1].step == out.checks[out.check_count - 1].step);
	if (ustar_read(archive, members, USTAR_MEMBERS_MAX, &n) == RK_OK) {
		MUST(out.checks[0].code == RK_OK);
		MUST(ustar_write(members, n, a, &again) == RK_OK && bytes_equal(archive, again));
		for (int i = 0; i < SAMPLES && r == RK_OK; i++)
			is_known |= is_genuine(members, n, i);
	}
	MUST(r != RK_OK || is_known);
	fuzz_accepted += r == RK_OK;
	arena_free_wiped(a);
}

/* {member u8, what u8, at u16, bytes}: 0 writes over, 1 puts in, 2 takes out, 3 drops the member, 4 swaps it with the next. */
static bool edit(struct ustar_member *members, size_t *n, struct bytes *in, struct arena *a)
{
	size_t m = fuzz_take_u8(in), what = fuzz_take_u8(in) % 5u, at = fuzz_take_u8(in);
	struct bytes with, old;
	uint8_t *data;

	at = at << 8 | fuzz_take_u8(in);
	with = fuzz_take_part(in);
	if (*n == 0 || *n >= USTAR_MEMBERS_MAX)
		return false;
	m %= *n;
	old = members[m].data;
	at %= old.len + 1;
	if (what == 3) {
		memmove(&members[m], &members[m + 1], (*n - m - 1) * sizeof(*members));
		(*n)--;
		return true;
	}
	if (what == 4) {
		struct ustar_member moved = members[m];

		members[m] = members[(m + 1) % *n];
		members[(m + 1) % *n] = moved;
		return true;
	}
	if (what != 1 && with.len > old.len - at)
		with.len = old.len - at;
	arena_raise(a, old.len + with.len + 32);
	MUST((data = arena_alloc(a, old.len + with.len + 1)) != NULL);
	memcpy(data, old.data, at);
	if (what != 2 && with.len > 0)
		memcpy(data + at, with.data, with.len);
	memcpy(data + at + (what == 2 ? 0 : with.len), old.data + at + (what == 1 ? 0 : with.len),
	       old.len - at - (what == 1 ? 0 : with.len));
	members[m].data = bytes_make(data, what == 1 ? old.len + with.len : what == 2 ? old.len - with.len : old.len);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ustar_member members[USTAR_MEMBERS_MAX];
	struct bytes in = bytes_make(data, len), archive;
	unsigned kind = fuzz_take_u8(&in) % (SAMPLES + 1u);
	struct arena *a;
	size_t n;

	if (genuine.arena == NULL)
		make_genuine();
	if (kind == 0) {
		verify(in);
		return 0;
	}
	a = fuzz_arena(BUDGET);
	n = genuine.count[kind - 1];
	memcpy(members, genuine.members[kind - 1], n * sizeof(*members));
	while (in.len > 0 && edit(members, &n, &in, a))
		;
	if (ustar_write(members, n, a, &archive) == RK_OK)
		verify(archive);
	arena_free(a);
	return 0;
}
