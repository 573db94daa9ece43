/*
 * Attachments in a receipt: shown, they are what the header signs and open to what the message says; swapped, doubled, left out, cut,
 * longer or bent, nothing is proven; fed in pieces of any size, the answer is the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/age.h"
#include "proto/errcode.h"
#include "proto/receipt_tail.h"
#include "proto/strict.h"
#include "tests/unit/receipt_kit.h"

#define BUDGET ((size_t)4 << 20)
#define LAST(out) ((out)->checks[(out)->check_count - 1])

/* Nothing; one chunk and no more; one and a byte; the second and the third have one length, to be swapped. */
static const size_t lens[] = {0, 1000, 1000, AGE_CHUNK_BYTES, AGE_CHUNK_BYTES + 1};
#define COUNT (sizeof(lens) / sizeof(lens[0]))

static struct arena *arena;
static struct receipt_kit kit;
static struct bytes evidence, whole;
static struct receipt made;

static int prepare(void **state)
{
	(void)state;
	if ((arena = arena_new(BUDGET)) == NULL)
		return -1;
	kit = (struct receipt_kit){.steps = receipt_kit_plain, .has_content = true, .attachment_lens = lens, .attachment_count = COUNT};
	receipt_kit_run(&kit, arena);
	if (receipt_make(&kit.parts, arena, &evidence, &made) != RK_OK || !made.has_attachments)
		return -1;
	whole = receipt_kit_tail(&kit, evidence, &made, kit.blobs);
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* In pieces of this size; the result of the end. */
static int verify(struct bytes archive, size_t piece, struct receipt *out)
{
	struct receipt_tail *tail;
	size_t used, n;
	int r = receipt_verify_start(archive, kit.f.exchange_id, arena, out, &used);

	if (r != RK_OK)
		return r;
	assert_non_null(tail = receipt_tail_new(out, arena));
	for (size_t at = used; at < archive.len; at += n) {
		n = archive.len - at < piece ? archive.len - at : piece;
		r = receipt_tail_feed(tail, bytes_make(archive.data + at, n));
		if (r != RK_OK)
			break;
	}
	assert_true(r == RK_OK || r == RK_EINTEGRITY);
	n = (size_t)receipt_tail_end(tail);
	assert_true(r == RK_OK || (int)n == r);
	assert_true(((int)n == RK_OK) == (out->level != RECEIPT_UNPROVEN));
	assert_true(((int)n == RK_OK) == (LAST(out).code == RK_OK));
	return (int)n;
}

static void shown_in_pieces_of_any_size(void **state)
{
	static const size_t pieces[] = {1, 511, 512, 4096, 65536, 65552, 1 << 20};
	struct receipt out;

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		assert_int_equal(verify(whole, pieces[i], &out), RK_OK);
		assert_int_equal(out.level, RECEIPT_OPENED);
		assert_true(out.has_attachments);
		assert_int_equal(out.header->n_blobs, COUNT);
		for (size_t k = 0; k < COUNT; k++)
			assert_int_equal(out.attachments[k]->plain_len, lens[k]);
		assert_string_equal(LAST(&out).member, "attachment-05.age");
		assert_int_equal(LAST(&out).step, RECEIPT_ATTACHMENT);
	}
	assert_int_equal(receipt_verify(whole, kit.f.exchange_id, arena, &out), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
}

/* Named, and not shown: the body is open all the same. */
static void not_shown(void **state)
{
	struct receipt out;
	struct bytes archive;

	(void)state;
	kit.parts.identity_count = 0;
	assert_int_equal(receipt_make(&kit.parts, arena, &archive, &out), RK_OK);
	assert_int_equal(receipt_verify(archive, kit.f.exchange_id, arena, &out), RK_OK);
	assert_int_equal(out.level, RECEIPT_OPENED);
	assert_false(out.has_attachments);
	assert_int_equal(out.attachments[4]->plain_len, lens[4]);
	/* Without the content not even that. */
	kit.parts.body_plain = bytes_make(NULL, 0);
	assert_int_equal(receipt_make(&kit.parts, arena, &archive, &out), RK_OK);
	assert_int_equal(out.level, RECEIPT_PICKED_UP);
	assert_null(out.attachments[4]);
	/* Blobs that no key announces. */
	assert_int_equal(receipt_verify(receipt_kit_tail(&kit, bytes_make(archive.data, archive.len - USTAR_END_BYTES), &made, kit.blobs),
	                                kit.f.exchange_id, arena, &out), RK_EINTEGRITY);
	assert_int_equal(LAST(&out).step, RECEIPT_ARCHIVE);
}

static void need_refused(const char *what, struct bytes archive, enum receipt_step step, const char *member)
{
	struct receipt out;

	if (verify(archive, 5000, &out) != RK_EINTEGRITY)
		fail_msg("%s: not noticed", what);
	if (LAST(&out).step != step || strcmp(LAST(&out).member, member) != 0)
		fail_msg("%s: noticed by %s of '%s'", what, receipt_step_name(LAST(&out).step), LAST(&out).member);
}

static void keys_are_those_of_the_message(void **state)
{
	struct receipt out;
	struct bytes archive;

	(void)state;
	kit.identities[2][5] ^= 1;
	assert_int_equal(receipt_make(&kit.parts, arena, &archive, &out), RK_EINTEGRITY);
	assert_string_equal(LAST(&out).member, "attachment-03.key");
	kit.identities[2][5] ^= 1;
	for (size_t n = 1; n <= COUNT + 1; n++) {
		kit.parts.identity_count = n;
		assert_int_equal(receipt_make(&kit.parts, arena, &archive, &out), n == COUNT ? RK_OK : RK_EINTEGRITY);
		assert_int_equal(LAST(&out).step, n == COUNT ? RECEIPT_DOCUMENT : RECEIPT_ATTACHMENT);
	}
	kit.parts.identity_count = RECEIPT_ATTACHMENTS_MAX + 1;
	assert_int_equal(receipt_make(&kit.parts, arena, &archive, &out), RK_TOO_LARGE);
	kit.parts.identity_count = COUNT;
	kit.parts.body_plain = bytes_make(NULL, 0);
	assert_int_equal(receipt_make(&kit.parts, arena, &archive, &out), RK_EINTEGRITY);
	assert_int_equal(LAST(&out).step, RECEIPT_ATTACHMENT);
}

static void other_blobs(void **state)
{
	struct bytes blobs[COUNT];

	(void)state;
	memcpy(blobs, kit.blobs, sizeof(blobs));
	blobs[1] = kit.blobs[2];
	blobs[2] = kit.blobs[1];
	need_refused("swapped", receipt_kit_tail(&kit, evidence, &made, blobs), RECEIPT_ATTACHMENT, "attachment-02.age");
	blobs[1] = kit.blobs[1];
	need_refused("doubled", receipt_kit_tail(&kit, evidence, &made, blobs), RECEIPT_ATTACHMENT, "attachment-03.age");
}

/* Members taken out, put in twice, after the end; and every length of what is cut. */
static void other_archives(void **state)
{
	size_t second = evidence.len + 2 * USTAR_BLOCK_BYTES, len; /* the first, of nothing, has 200 bytes and a header */
	uint8_t *bent = test_malloc(2 * whole.len);

	(void)state;
	memcpy(bent, whole.data, whole.len);
	memset(bent + whole.len, 0, whole.len);
	need_refused("longer", bytes_make(bent, whole.len + 512), RECEIPT_ARCHIVE, "");
	need_refused("a byte longer", bytes_make(bent, whole.len + 1), RECEIPT_ARCHIVE, "");
	bent[whole.len - 1] = 1;
	need_refused("another end", bytes_make(bent, whole.len), RECEIPT_ARCHIVE, "");
	for (len = evidence.len + USTAR_BLOCK_BYTES; len < whole.len; len += 4001)
		assert_int_equal(verify(bytes_make(whole.data, len), 65536, &(struct receipt){0}), RK_EINTEGRITY);
	need_refused("cut before the end", bytes_make(whole.data, whole.len - USTAR_END_BYTES), RECEIPT_ARCHIVE, "");
	need_refused("half an end", bytes_make(whole.data, whole.len - 512), RECEIPT_ARCHIVE, "");
	need_refused("cut in the last", bytes_make(whole.data, whole.len - USTAR_END_BYTES - 512), RECEIPT_ARCHIVE, "attachment-05.age");
	/* Without its first attachment there is no archive; without the second the third is in its place. */
	memmove(bent + evidence.len, whole.data + second, whole.len - second);
	need_refused("without the first", bytes_make(bent, whole.len - (second - evidence.len)), RECEIPT_MEMBERS, "attachment-02.age");
	memcpy(bent, whole.data, second);
	memcpy(bent + second, whole.data + second + 512 + kit.blobs[1].len + ustar_padding(kit.blobs[1].len), 4096);
	need_refused("without the second", bytes_make(bent, second + 4096), RECEIPT_ATTACHMENT, "attachment-02.age");
	memcpy(bent + evidence.len, whole.data + evidence.len, second - evidence.len);
	memcpy(bent + second, whole.data + evidence.len, whole.len - evidence.len);
	need_refused("the first twice", bytes_make(bent, whole.len + second - evidence.len), RECEIPT_ATTACHMENT, "attachment-02.age");
	memset(bent + evidence.len, 0, USTAR_END_BYTES);
	need_refused("none", bytes_make(bent, evidence.len + USTAR_END_BYTES), RECEIPT_ATTACHMENT, "attachment-01.age");
	test_free(bent);
}

/*
 * One bit of each byte of the first two files whole, that is headers, age headers, tags and paddings; of the others, and of what is
 * between, here and there.  Each costs the whole evidence again.
 */
static size_t bent_step(size_t into)
{
#ifdef __SANITIZE_ADDRESS__
	return into < 6000 ? 31 : 397; /* for the paths, not once more for every byte */
#else
	return into < 3072 ? 1 : into < 6000 ? 7 : 197;
#endif
}

static void bent_bytes(void **state)
{
	uint8_t *bent = memcpy(test_malloc(whole.len), whole.data, whole.len);
	struct receipt out;

	(void)state;
	for (size_t at = evidence.len, n = 0; at < whole.len; at += bent_step(at - evidence.len), n++) {
		arena_reset(arena, BUDGET);
		bent[at] ^= (uint8_t)(1u << n % 8);
		if (verify(bytes_make(bent, whole.len), 65536, &out) != RK_EINTEGRITY)
			fail_msg("byte %zu of %zu", at, whole.len);
		bent[at] ^= (uint8_t)(1u << n % 8);
	}
	test_free(bent);
}

/* The sender's own word that does not hold: the receipt of it proves nothing that it shows. */
static size_t bend_field;

static void bend_message(struct receipt_kit *k, const struct kit_step *s, ProtobufCMessage *m, const uint8_t **sk)
{
	Rk__EnvelopeHeader *h = (Rk__EnvelopeHeader *)m;

	(void)k;
	(void)sk;
	if (s->what != KIT_ENVELOPE)
		return;
	if (bend_field == 0)
		h->blobs[1]->sha256 = fixed_data(k->arena, 32, "another blob");
	else if (bend_field == 1)
		h->blobs[1]->len++;
	else
		h->n_blobs--;
}

static void a_message_and_a_header_that_differ(void **state)
{
	struct receipt out;
	struct bytes archive;

	(void)state;
	for (bend_field = 0; bend_field < 3; bend_field++) {
		arena_reset(arena, BUDGET);
		kit = (struct receipt_kit){.steps = receipt_kit_plain, .has_content = true, .attachment_lens = lens,
		                           .attachment_count = COUNT, .bend = bend_message};
		receipt_kit_run(&kit, arena);
		assert_int_equal(receipt_make(&kit.parts, arena, &archive, &out), RK_EINTEGRITY);
		assert_int_equal(LAST(&out).step, RECEIPT_ATTACHMENT);
		/* What can be shown of it is. */
		kit.parts.identity_count = 0;
		assert_int_equal(receipt_make(&kit.parts, arena, &archive, &out), RK_OK);
		assert_int_equal(out.level, RECEIPT_OPENED);
		assert_true(bend_field == 2 || out.attachments[1] == NULL);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shown_in_pieces_of_any_size),
		TEST(not_shown),
		TEST(keys_are_those_of_the_message),
		TEST(other_blobs),
		TEST(other_archives),
		TEST(bent_bytes),
		TEST(a_message_and_a_header_that_differ),
	};

	return cmocka_run_group_tests_name("attachments of a receipt", tests, NULL, NULL);
}
