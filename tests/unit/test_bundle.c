/* bundle: what was put in comes out, and nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/bundle.h"
#include "proto/errcode.h"

static uint8_t filler[BUNDLE_MAX_BYTES];

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(filler); i++)
		filler[i] = (uint8_t)(1 + i % 255);
	return 0;
}

static struct bytes whole(const struct bundle *b)
{
	return bytes_make(b->data, b->len);
}

/* Message n: 1 to 4 frames of lengths that depend on n; only the first has to be there. */
static unsigned message(unsigned n, struct bytes frames[BUNDLE_FRAMES_MAX])
{
	unsigned count = 1 + n % BUNDLE_FRAMES_MAX;

	for (unsigned i = 0; i < count; i++)
		frames[i] = bytes_make(filler + n, i == 0 ? 1 + n : n * i % 7);
	return count;
}

static void messages_come_out_as_they_went_in(void **state)
{
	(void)state;
	for (unsigned total = 1; total <= BUNDLE_MESSAGES_MAX; total++) {
		struct bundle b = {0};
		struct bytes frames[BUNDLE_FRAMES_MAX];
		struct bundle_message m;
		size_t at = 0, cost = 1;
		unsigned count;

		for (unsigned n = 0; n < total; n++) {
			unsigned frame_count = message(n, frames);

			cost += bundle_cost(frames, frame_count);
			assert_int_equal(bundle_add(&b, frames, frame_count), RK_OK);
		}
		assert_int_equal(b.len, cost);
		assert_true(bundle_is(whole(&b)));
		assert_int_equal(bundle_check(whole(&b), &count), RK_OK);
		assert_int_equal(count, total);
		for (unsigned n = 0; n < total; n++) {
			unsigned frame_count = message(n, frames);

			assert_true(bundle_next(whole(&b), &at, &m));
			assert_int_equal(m.frame_count, frame_count);
			for (unsigned i = 0; i < frame_count; i++)
				assert_true(bytes_equal(m.frames[i], frames[i]));
		}
		assert_false(bundle_next(whole(&b), &at, &m));
		bundle_clear(&b);
	}
}

/* On the heap, of exactly its length: the sanitizer sees the first byte too far. */
static int check_copy(struct bytes frame)
{
	uint8_t *copy = malloc(frame.len + 1);
	unsigned count;
	int r;

	memcpy(copy, frame.data, frame.len);
	copy = realloc(copy, frame.len > 0 ? frame.len : 1);
	r = bundle_check(bytes_make(copy, frame.len), &count);
	free(copy);
	return r;
}

static void every_truncation_is_refused(void **state)
{
	struct bundle b = {0};
	struct bytes frames[BUNDLE_FRAMES_MAX];
	size_t ends[8], n = 0;

	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(bundle_add(&b, frames, message(i, frames)), RK_OK);
		ends[n++] = b.len;
	}
	for (size_t len = 0, next = 0; len <= b.len; len++) {
		bool is_end = len == ends[next];

		assert_int_equal(check_copy(bytes_make(b.data, len)), is_end ? RK_OK : RK_MALFORMED);
		next += is_end;
	}
	bundle_clear(&b);
}

static void what_is_not_well_formed_is_refused(void **state)
{
	const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"\x00", 1},                                         /* no message */
		{"\x01\x01\x00\x00\x00\x01x", 7},                    /* no mark */
		{"\x00\x00", 2},                                     /* no frames */
		{"\x00\x05\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", 23}, /* five frames */
		{"\x00\x01\x00\x00\x00\x00", 6},                     /* an empty header frame */
		{"\x00\x01\xff\xff\xff\xffx", 7},                    /* a length beyond the end */
		{"\x00\x02\x00\x00\x00\x01\xff\xff\xff\xffx", 11},
		{"\x00\x01\x00\x00\x00\x07\x00\x01\x00\x00\x00\x01x", 13}, /* a bundle in a bundle */
		{"\x00\x01\x00\x00\x00\x01xy", 8},                   /* a rest */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(check_copy(bytes_make((const uint8_t *)bad[i].bytes, bad[i].len)), RK_MALFORMED);
	assert_int_equal(check_copy(bytes_make((const uint8_t *)"\x00\x01\x00\x00\x00\x01x", 7)), RK_OK);
}

static void what_does_not_fit_stays_out(void **state)
{
	struct bundle b = {0};
	struct bytes one = bytes_make(filler, 1), large = bytes_make(filler, BUNDLE_MAX_BYTES - 6), larger = bytes_make(filler, BUNDLE_MAX_BYTES - 5);
	uint8_t *first, frame[1 + 6 * (BUNDLE_MESSAGES_MAX + 1)];
	unsigned count;

	(void)state;
	assert_int_equal(bundle_add(&b, &larger, 1), RK_TOO_LARGE);
	assert_int_equal(b.count, 0);
	assert_int_equal(bundle_add(&b, &large, 1), RK_OK);
	assert_int_equal(b.len, BUNDLE_MAX_BYTES);
	assert_int_equal(bundle_add(&b, &one, 1), RK_TOO_LARGE);
	assert_int_equal(bundle_check(whole(&b), &count), RK_OK);
	bundle_reset(&b);
	for (unsigned i = 0; i < BUNDLE_MESSAGES_MAX; i++)
		assert_int_equal(bundle_add_open(&b, &(struct bytes){NULL, 1}, 1, &first), RK_OK), *first = 7;
	assert_int_equal(bundle_add(&b, &one, 1), RK_TOO_LARGE);
	/* One more than there may be, and bytes beyond what a bundle may have. */
	memcpy(frame, b.data, b.len);
	memcpy(frame + b.len, "\x01\x00\x00\x00\x01x", 6);
	assert_int_equal(check_copy(bytes_make(frame, b.len)), RK_OK);
	assert_int_equal(check_copy(bytes_make(frame, sizeof(frame))), RK_MALFORMED);
	bundle_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_out_as_they_went_in),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(what_is_not_well_formed_is_refused),
		cmocka_unit_test(what_does_not_fit_stays_out),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
