/*
 * No byte of a receipt is without meaning: each one bent, each member left out, swapped, doubled, renamed, cut or lengthened, and none of
 * it verifies.  The archive itself is well formed each time where a thief of the file could make it so.
 * Of members of equal form every byte of the first is bent, of the others one in STRIDE; RENKEI_RECEIPT_BYTES=all bends every one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/receipt.h"
#include "proto/ustar.h"
#include "tests/unit/receipt_kit.h"

#define BUDGET (1u << 20)
/* Odd: the bits, of which each byte has one, go round too.  A sanitizer is there for the paths, not once more for every byte. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 61
#else
#define STRIDE 7
#endif

static const struct sample {
	const char *name;
	const struct kit_step *steps;
	bool is_three;
	unsigned bits; /* of each byte that are bent, one after the other */
} samples[] = {
	{"two parties", receipt_kit_plain, false, 1},
	{"three parties", receipt_kit_three, true, 0},
	{"a deposit", receipt_kit_deposit, false, 3},
};

static struct {
	struct arena *made, *arena;
	struct bytes archive;
	uint8_t exchange_id[32];
	struct ustar_member members[USTAR_MEMBERS_MAX];
	size_t count;
} s;

static void make(const struct sample *sample)
{
	struct receipt_kit k = {.steps = sample->steps, .is_three = sample->is_three, .has_content = true};

	arena_reset(s.made, BUDGET);
	s.archive = receipt_kit_make(&k, s.made);
	memcpy(s.exchange_id, k.f.exchange_id, 32);
	assert_int_equal(ustar_read(s.archive, s.members, USTAR_MEMBERS_MAX, &s.count), RK_OK);
}

static bool is_verified(struct bytes archive)
{
	struct receipt out;
	int r;

	arena_reset(s.arena, BUDGET);
	r = receipt_verify(archive, s.exchange_id, s.arena, &out);
	assert_true(r == RK_OK || r == RK_EINTEGRITY);
	assert_true((r == RK_OK) == (out.level != RECEIPT_UNPROVEN));
	assert_true((r == RK_OK) == (out.checks[out.check_count - 1].code == RK_OK));
	return r == RK_OK;
}

/* The archive of other members, well formed by itself. */
static bool is_verified_of(const struct ustar_member *members, size_t n)
{
	struct bytes archive;

	arena_reset(s.arena, BUDGET);
	assert_int_equal(ustar_write(members, n, s.arena, &archive), RK_OK);
	archive.data = memcpy(test_malloc(archive.len), archive.data, archive.len);
	bool ok = is_verified(archive);
	test_free((void *)(uintptr_t)archive.data);
	return ok;
}

/* One parser reads both: all proofs, all entries, all signatures; objects of one kind.  The files outside the log stand alone. */
static bool is_form_equal(const char *a, const char *b)
{
	const char *a_end = strchr(a, '.'), *b_end = strchr(b, '.');

	if (!a_end || !b_end || strcmp(a_end, b_end) != 0)
		return false;
	return strcmp(a_end, ".tbs") != 0 || (strcspn(a, "-.") == strcspn(b, "-.") && strncmp(a, b, strcspn(a, "-.")) == 0);
}

/* Headers and padding always are: they cost nothing. */
static bool is_bent(size_t at)
{
	const uint8_t *byte = s.archive.data + at;

	for (size_t m = 0; m < s.count; m++) {
		if (byte < s.members[m].data.data || byte >= s.members[m].data.data + s.members[m].data.len)
			continue;
		for (size_t i = 0; i < m; i++)
			if (is_form_equal(s.members[i].name, s.members[m].name))
				return (at + m) % STRIDE == 0;
		break;
	}
	return true;
}

static void each_byte(void **state)
{
	const char *wanted = getenv("RENKEI_RECEIPT_BYTES");
	bool is_all = wanted && strcmp(wanted, "all") == 0;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		uint8_t *bent;

		make(&samples[i]);
		bent = memcpy(test_malloc(s.archive.len), s.archive.data, s.archive.len);
		assert_true(is_verified(bytes_make(bent, s.archive.len)));
		for (size_t at = 0; at < s.archive.len; at++) {
			if (!is_all && !is_bent(at))
				continue;
			for (unsigned bit = 0; bit < samples[i].bits; bit++) {
				uint8_t mask = (uint8_t)(1u << (at + bit) % 8);

				bent[at] ^= mask;
				if (is_verified(bytes_make(bent, s.archive.len)))
					fail_msg("%s: byte %zu, mask %02x", samples[i].name, at, mask);
				bent[at] ^= mask;
			}
		}
		test_free(bent);
	}
}

static void each_member(void **state)
{
	struct ustar_member bent[USTAR_MEMBERS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		make(&samples[i]);
		assert_true(is_verified_of(s.members, s.count));
		for (size_t m = 0; m < s.count; m++) {
			const char *name = s.members[m].name;
			char other[USTAR_NAME_CHARS];

			/* Left out.  What was only shown may be: it is then another receipt, that shows less. */
			memcpy(bent, s.members, m * sizeof(*bent));
			memcpy(bent + m, s.members + m + 1, (s.count - m - 1) * sizeof(*bent));
			if (strcmp(name, "body_plain") != 0 && strcmp(name, "deposit-file") != 0 && is_verified_of(bent, s.count - 1))
				fail_msg("%s: without %s", samples[i].name, name);
			/* Swapped with its neighbour: places, and contents. */
			memcpy(bent, s.members, s.count * sizeof(*bent));
			if (m + 1 < s.count) {
				bent[m] = s.members[m + 1];
				bent[m + 1] = s.members[m];
				if (is_verified_of(bent, s.count))
					fail_msg("%s: %s after the next", samples[i].name, name);
				bent[m].name = name;
				bent[m + 1].name = s.members[m + 1].name;
				if (is_verified_of(bent, s.count))
					fail_msg("%s: %s with the content of the next", samples[i].name, name);
			}
			/* Twice, under another name. */
			memcpy(bent, s.members, (m + 1) * sizeof(*bent));
			memcpy(bent + m + 1, s.members + m, (s.count - m) * sizeof(*bent));
			snprintf(other, sizeof(other), "%s-2", name);
			bent[m + 1].name = other;
			if (is_verified_of(bent, s.count + 1))
				fail_msg("%s: %s twice", samples[i].name, name);
			/* Renamed, cut, lengthened, emptied. */
			memcpy(bent, s.members, s.count * sizeof(*bent));
			bent[m].name = other;
			if (is_verified_of(bent, s.count))
				fail_msg("%s: %s renamed", samples[i].name, name);
			bent[m] = s.members[m];
			bent[m].data.len--;
			if (is_verified_of(bent, s.count))
				fail_msg("%s: %s cut", samples[i].name, name);
			bent[m].data.len = 0;
			if (is_verified_of(bent, s.count))
				fail_msg("%s: %s empty", samples[i].name, name);
			bent[m].data.len = s.members[m].data.len + 1; /* a byte of padding, or of the next header */
			if (is_verified_of(bent, s.count))
				fail_msg("%s: %s lengthened", samples[i].name, name);
		}
	}
}

/* Whole parts: no list, act or pickup can be taken out without notice but those after the last question to the gate. */
static void each_part(void **state)
{
	static const char *const parts[] = {"orgdevices-A.", "orgdevices-B.", "orgdevices-C.", "terms.", "act-001.", "act-002.", "act-003.",
	                                    "act-004.", "envelope.", "charter.", "directory."};
	struct ustar_member bent[USTAR_MEMBERS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		make(&samples[i]);
		for (size_t p = 0; p < sizeof(parts) / sizeof(*parts); p++) {
			size_t n = 0;

			for (size_t m = 0; m < s.count; m++)
				if (strncmp(s.members[m].name, parts[p], strlen(parts[p])) != 0)
					bent[n++] = s.members[m];
			if (n < s.count && is_verified_of(bent, n))
				fail_msg("%s: without %s", samples[i].name, parts[p]);
		}
	}
}

/* Every archive that ends early, and one that goes on. */
static void each_length(void **state)
{
	uint8_t *longer;

	(void)state;
	make(&samples[0]);
	longer = test_calloc(1, s.archive.len + 512);
	memcpy(longer, s.archive.data, s.archive.len);
	for (size_t len = 0; len < s.archive.len; len += len + 1 < s.archive.len ? 61 : 1)
		assert_false(is_verified(bytes_make(longer, len)));
	assert_false(is_verified(bytes_make(longer, s.archive.len + 512)));
	test_free(longer);
}

static int prepare(void **state)
{
	(void)state;
	s.made = arena_new(BUDGET);
	s.arena = arena_new(BUDGET);
	return s.made && s.arena ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	arena_free(s.made);
	arena_free(s.arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte),
		cmocka_unit_test(each_member),
		cmocka_unit_test(each_part),
		cmocka_unit_test(each_length),
	};

	return cmocka_run_group_tests_name("bytes of receipts", tests, prepare, end);
}
