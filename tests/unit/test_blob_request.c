/* What BLOB_OPEN, BLOB_PUT and FETCH of an attachment must be as requests, and which tokens they take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "broker/request.h"
#include "broker/slots.h"
#include "proto/errcode.h"
#include "proto/strict.h"

#define PART (256u * 1024)

static struct arena *arena;
static uint8_t bytes32[32] = {1}, epoch[8] = {2}, part[PART + 1];

static int parse(Rk__Request *q, const struct bytes *more, unsigned n, struct command *c)
{
	static uint8_t header[REQUEST_HEADER_MAX_BYTES];
	size_t len = rk__request__pack(q, header);

	memset(c, 0, sizeof(*c));
	c->frames[0] = bytes_make(header, len);
	for (unsigned i = 0; i < n; i++)
		c->frames[i + 1] = more[i];
	c->frame_count = 1 + n;
	arena_reset(arena, arena_budget(len));
	c->arena = arena;
	return request_parse(c);
}

static void opening_is_numbered_and_has_a_header_only(void **state)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__BlobOpen open = RK__BLOB_OPEN__INIT;
	struct bytes more = BYTES_OF(bytes32);
	struct command c;

	(void)state;
	q.protocol = 1;
	q.op = RK__OP__OP_BLOB_OPEN;
	q.number = 1;
	q.writer_epoch = pb_of(BYTES_OF(epoch));
	q.blob_open = &open;
	open.nda_id = open.sha256 = pb_of(BYTES_OF(bytes32));
	open.len = 200;
	assert_int_equal(parse(&q, NULL, 0, &c), RK_OK);
	assert_int_equal(request_route(&c), REQUEST_APPLY);
	assert_int_equal(request_check_peer(&c), RK_OK);
	c.peer.is_invite = true;
	assert_int_equal(request_check_peer(&c), RK_NOT_PERMITTED);
	assert_int_equal(parse(&q, &more, 1, &c), RK_MALFORMED);
	/* Both sides of its length: the smallest age file, the largest. */
	open.len = 199;
	assert_int_not_equal(parse(&q, NULL, 0, &c), RK_OK);
	open.len = 2148008120;
	assert_int_equal(parse(&q, NULL, 0, &c), RK_OK);
	open.len = 2148008121;
	assert_int_not_equal(parse(&q, NULL, 0, &c), RK_OK);
	open.len = 200;
	q.number = 0;
	assert_int_equal(parse(&q, NULL, 0, &c), RK_MALFORMED);
	q.number = 1;
	q.blob_open = NULL;
	assert_int_equal(parse(&q, NULL, 0, &c), RK_MALFORMED);
}

static void a_part_has_one_frame_of_256_kib_at_most_or_none(void **state)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__BlobPut put = RK__BLOB_PUT__INIT;
	struct bytes more[2] = {bytes_make(part, PART), bytes_make(part, 1)};
	struct command c;

	(void)state;
	q.protocol = 1;
	q.op = RK__OP__OP_BLOB_PUT;
	q.blob_put = &put;
	put.sha256 = pb_of(BYTES_OF(bytes32));
	assert_int_equal(parse(&q, NULL, 0, &c), RK_OK);
	assert_int_equal(c.body.len, 0);
	assert_int_equal(request_route(&c), REQUEST_BLOBS);
	assert_int_equal(request_check_peer(&c), RK_OK);
	assert_int_equal(parse(&q, more, 1, &c), RK_OK);
	assert_int_equal(c.body.len, PART);
	more[0].len++;
	assert_int_equal(parse(&q, more, 1, &c), RK_TOO_LARGE);
	more[0].len = 0;
	assert_int_equal(parse(&q, more, 1, &c), RK_OK);
	assert_int_equal(parse(&q, more, 2, &c), RK_MALFORMED);
	q.number = 1;
	assert_int_equal(parse(&q, NULL, 0, &c), RK_MALFORMED);
}

static void only_a_fetch_of_an_attachment_goes_to_the_files(void **state)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Fetch fetch = RK__FETCH__INIT;
	struct command c;

	(void)state;
	q.protocol = 1;
	q.op = RK__OP__OP_FETCH;
	q.fetch = &fetch;
	fetch.env_id = pb_of(BYTES_OF(bytes32));
	assert_int_equal(parse(&q, NULL, 0, &c), RK_OK);
	assert_int_equal(request_route(&c), REQUEST_APPLY);
	fetch.blob = 32;
	fetch.len = 786432;
	assert_int_equal(parse(&q, NULL, 0, &c), RK_OK);
	assert_int_equal(request_route(&c), REQUEST_BLOBS);
	fetch.blob = 33;
	assert_int_not_equal(parse(&q, NULL, 0, &c), RK_OK);
	fetch.blob = 1;
	fetch.len = 786433;
	assert_int_not_equal(parse(&q, NULL, 0, &c), RK_OK);
}

/* Else 100 requests a second would bound an upload, whatever the bytes may do. */
static void large_messages_pay_with_their_bytes_alone(void **state)
{
	const struct slots_limits limits = {1, 1, 1 << 20, 1, 1 << 20};
	struct slots *table = slots_new(16, &limits);
	uint8_t id[16] = {1}, invite[16] = {2};
	struct slot *s = slots_get(table, id, false, 1000), *i = slots_get(table, invite, true, 1000);

	(void)state;
	assert_int_equal(slots_take(table, s, 131071, 1000), SLOTS_PASS); /* takes the only one */
	assert_int_equal(slots_take(table, s, 131071, 1000), SLOTS_RATE);
	for (int n = 0; n < 7; n++)
		assert_int_equal(slots_take(table, s, 131072, 1000), SLOTS_PASS);
	assert_int_equal(slots_take(table, s, 131072, 1000), SLOTS_RATE); /* no bytes */
	/* An invite's are counted, whatever their size. */
	for (int n = 0; n < 60; n++)
		assert_int_equal(slots_take(table, i, 1, 1000), SLOTS_PASS);
	assert_int_equal(slots_take(table, i, 131072, 1000), SLOTS_RATE);
	slots_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_is_numbered_and_has_a_header_only),
		cmocka_unit_test(a_part_has_one_frame_of_256_kib_at_most_or_none),
		cmocka_unit_test(only_a_fetch_of_an_attachment_goes_to_the_files),
		cmocka_unit_test(large_messages_pay_with_their_bytes_alone),
	};
	int r;

	if (sodium_init() < 0 || (arena = arena_new(arena_budget(REQUEST_HEADER_MAX_BYTES))) == NULL)
		return 1;
	r = cmocka_run_group_tests_name("attachments as requests", tests, NULL, NULL);
	arena_free(arena);
	return r;
}
