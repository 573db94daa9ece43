/* envelope: every kind seals and opens; what a header may not say; sizes on both sides of each limit; sealed messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/fixed_kit.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define DAY_MS ((int64_t)86400000)
#define TO_2 4u /* org 2, as a bit */

static struct fixed f;
static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	fixed_init(&f);
	arena = arena_new(4 << 20);
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free_wiped(arena);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	arena_reset(arena, 16 << 20);
	return 0;
}

static void every_kind_seals_and_opens(void **state)
{
	static const Rk__Kind kinds[] = {RK__KIND__FEED, RK__KIND__OPEN, RK__KIND__PROPOSAL, RK__KIND__NDA, RK__KIND__NDA_NOTICE};
	struct bytes message = fixed_message("the price is 1,200 a kilogram", arena);
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		bool is_feed = kinds[i] == RK__KIND__FEED;
		Rk__EnvelopeHeader *h = fixed_header(&f, kinds[i], 1, TO_2, arena);
		struct envelope_wire w;
		struct envelope e;
		struct bytes opened;
		Rk__WrapList *wraps;
		uint8_t id[32], cek[32] = {0};

		assert_int_equal(fixed_seal(&f, h, 1, TO_2, message, arena, &w), RK_OK);
		assert_int_equal(envelope_parse(w.head, arena, &e), RK_OK);
		assert_int_equal(envelope_verify(&e, f.exchange_id, f.orgs[1].device.pk), RK_OK);
		envelope_id(id, &e, f.exchange_id);
		assert_memory_equal(id, w.env_id, 32);
		envelope_oh(id, &e, f.exchange_id);
		assert_memory_equal(id, w.oh, 32);
		assert_memory_equal(e.header->pc.data, w.pc, 32);
		assert_int_equal(w.body.len, 32 + 512 + 16);
		assert_int_equal(envelope_check_bulk(&e, w.wraps, w.body, arena, &wraps), RK_OK);
		assert_int_equal(wraps != NULL, !is_feed);
		assert_int_equal(w.wraps.len != 0, !is_feed);
		/* Recipient and, but for FEED, the sender's own device. */
		for (int org = 1; org <= 2; org++) {
			assert_int_equal(envelope_open(&e, wraps, w.body, is_feed ? f.ek : NULL, f.orgs[org].device_id, fixed_lookup,
			                               &f.orgs[org], arena, &opened, cek), RK_OK);
			assert_true(bytes_equal(opened, message));
			assert_false(bytes_is_zero(cek, 32));
		}
		/* Org 0 got nothing. */
		if (!is_feed)
			assert_int_equal(envelope_open(&e, wraps, w.body, NULL, f.orgs[0].device_id, fixed_lookup, &f.orgs[0], arena,
			                               &opened, NULL), RK_NO_RECIPIENT_KEY);
	}
}

static void missing_keys_are_said(void **state)
{
	Rk__EnvelopeHeader *h = fixed_header(&f, RK__KIND__NDA, 1, TO_2, arena);
	struct bytes message = fixed_message("x", arena), opened;
	struct envelope_random random;
	struct envelope_target target = {.kx_serial = 2};
	struct envelope_wire w;
	struct envelope e;
	Rk__WrapList *wraps;
	(void)state;

	fixed_random(&random, "r");
	assert_int_equal(envelope_seal(h, message, NULL, NULL, 0, f.orgs[1].device.sk, &random, arena, &w), RK_NO_RECIPIENT_KEY);
	assert_true(bytes_is_zero(random.cek, 32));
	assert_null(w.head.data);
	/* A key of low order takes no seal. */
	assert_int_equal(envelope_seal(h, message, NULL, &target, 1, f.orgs[1].device.sk, &random, arena, &w),
	                 RK_NO_RECIPIENT_KEY);
	/* The secret of that serial is gone. */
	memcpy(target.device_id, f.orgs[2].device_id, 16);
	memcpy(target.kx_pk, f.orgs[2].kx.pk, 32);
	assert_int_equal(envelope_seal(h, message, NULL, &target, 1, f.orgs[1].device.sk, &random, arena, &w), RK_OK);
	assert_int_equal(envelope_parse(w.head, arena, &e), RK_OK);
	assert_int_equal(envelope_check_bulk(&e, w.wraps, w.body, arena, &wraps), RK_OK);
	assert_int_equal(envelope_open(&e, wraps, w.body, NULL, f.orgs[2].device_id, fixed_lookup, &f.orgs[2], arena, &opened,
	                               NULL), RK_NO_RECIPIENT_KEY);
	assert_null(opened.data);
	/* Twice the same device, too many devices, an epoch key where none belongs, and none where one does. */
	struct envelope_target twice[2] = {target, target}, *many = calloc(513, sizeof(*many));
	assert_int_equal(envelope_seal(h, message, NULL, twice, 2, f.orgs[1].device.sk, &random, arena, &w), RK_MALFORMED);
	assert_int_equal(envelope_seal(h, message, NULL, many, 513, f.orgs[1].device.sk, &random, arena, &w), RK_TOO_LARGE);
	free(many);
	assert_int_equal(envelope_seal(h, message, f.ek, twice, 1, f.orgs[1].device.sk, &random, arena, &w), RK_EINTERNAL);
	h = fixed_header(&f, RK__KIND__FEED, 1, 0, arena);
	assert_int_equal(envelope_seal(h, message, NULL, NULL, 0, f.orgs[1].device.sk, &random, arena, &w), RK_EINTERNAL);
}

static void sizes_end_where_they_should(void **state)
{
	static const struct {
		Rk__Kind kind;
		size_t message_len;
		int expected;
	} rows[] = {
		{RK__KIND__NDA, 0, RK_MALFORMED},
		{RK__KIND__NDA, 1, RK_OK},
		{RK__KIND__NDA, 511, RK_OK},
		{RK__KIND__NDA, 512, RK_OK},
		{RK__KIND__NDA, ENVELOPE_MESSAGE_MAX_BYTES, RK_OK},
		{RK__KIND__NDA, ENVELOPE_MESSAGE_MAX_BYTES + 1, RK_TOO_LARGE},
		{RK__KIND__FEED, ENVELOPE_MESSAGE_MAX_BYTES, RK_OK},
		{RK__KIND__PROPOSAL, ENVELOPE_MESSAGE_MAX_BYTES, RK_OK},
		/* 48 bytes of salt and tag, 31 blocks of padding, of which one byte is always padding: 16 KiB - 464. */
		{RK__KIND__OPEN, 31 * 512 - 1, RK_OK},
		{RK__KIND__OPEN, 31 * 512, RK_TOO_LARGE},
		{RK__KIND__NDA_NOTICE, 31 * 512 - 1, RK_OK},
		{RK__KIND__NDA_NOTICE, 31 * 512, RK_TOO_LARGE},
	};
	uint8_t *data = calloc(1, ENVELOPE_MESSAGE_MAX_BYTES + 1);
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Rk__EnvelopeHeader *h = fixed_header(&f, rows[i].kind, 1, TO_2, arena);
		struct envelope_wire w;
		int r = fixed_seal(&f, h, 1, TO_2, bytes_make(data, rows[i].message_len), arena, &w);

		if (r != rows[i].expected)
			fail_msg("row %zu: %s", i, errcode_name(r));
		if (r == RK_OK) {
			assert_int_equal(w.body.len, 48 + (rows[i].message_len / 512 + 1) * 512);
			assert_true(w.body.len <= ENVELOPE_BODY_MAX_BYTES);
		}
	}
	free(data);
}

/* What is done to a legal header of a kind, and what each kind then says. */
enum bend {
	B_EXCHANGE, B_SUITE, B_INTERNAL, B_KIND_NONE, B_KIND_7, B_FEED_ID, B_RELEASE, B_CHANNEL, B_NO_CHANNEL, B_EPOCH,
	B_NO_EPOCH, B_POST_OP, B_NO_POST_OP, B_NEW_ID, B_NEW_SEQ, B_NEW_VERSION, B_REVISE, B_REVISE_NO_ID, B_REVISE_NO_SEQ,
	B_REVISE_VERSION_1, B_WITHDRAW, B_RENEW, B_NDA_ID, B_NO_NDA_ID, B_NDA_SET, B_NO_NDA_SET, B_NO_RECIPIENT, B_TO_SELF,
	B_UNSORTED, B_TWICE, B_SEVENTEEN, B_DESK, B_THREAD, B_PREV, B_REPLY, B_REPLY_THREAD, B_MARKED, B_UNMARKED,
	B_MARKING_9, B_EXPIRES_NOW, B_LIFE_20, B_LIFE_20_1, B_LIFE_180, B_LIFE_180_1, B_BODY_16K, B_BODY_16K_1,
	B_BODY_256K, B_BODY_256K_1, B_BLOB, B_BLOBS_32, B_BLOB_TWICE, B_BLOB_REPLY,
};

/* Short names, that the table may be read. */
enum { F = RK__KIND__FEED, O = RK__KIND__OPEN, P = RK__KIND__PROPOSAL, N = RK__KIND__NDA, T = RK__KIND__NDA_NOTICE, I = RK__KIND__INTERNAL };
static const struct {
	enum bend bend;
	int by_kind[7]; /* index: kind; 0: unused */
} header_rows[] = {
#define ALL(code) {[F] = code, [O] = code, [P] = code, [N] = code, [T] = code, [I] = code}
#define BAD RK_MALFORMED
#define NEW RK_UNSUPPORTED
	{B_EXCHANGE, ALL(RK_WRONG_EXCHANGE)}, {B_SUITE, ALL(RK_UNSUPPORTED)},
	{B_INTERNAL, {[F] = BAD, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = RK_OK}},
	{B_KIND_NONE, ALL(BAD)}, {B_KIND_7, ALL(BAD)}, {B_FEED_ID, ALL(RK_UNSUPPORTED)}, {B_RELEASE, ALL(RK_UNSUPPORTED)},
	{B_CHANNEL, {[F] = RK_OK, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = BAD}},
	{B_NO_CHANNEL, {[F] = BAD, [O] = RK_OK, [P] = RK_OK, [N] = RK_OK, [T] = RK_OK, [I] = RK_OK}},
	{B_EPOCH, {[F] = RK_OK, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = BAD}},
	{B_NO_EPOCH, {[F] = BAD, [O] = RK_OK, [P] = RK_OK, [N] = RK_OK, [T] = RK_OK, [I] = RK_OK}},
	{B_POST_OP, ALL(BAD)},
	{B_NO_POST_OP, {[F] = BAD, [O] = RK_OK, [P] = RK_OK, [N] = RK_OK, [T] = RK_OK, [I] = RK_OK}},
	{B_NEW_ID, ALL(BAD)}, {B_NEW_SEQ, ALL(BAD)}, {B_NEW_VERSION, ALL(BAD)},
	{B_REVISE, {[F] = RK_OK, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = BAD}},
	{B_REVISE_NO_ID, ALL(BAD)}, {B_REVISE_NO_SEQ, ALL(BAD)}, {B_REVISE_VERSION_1, ALL(BAD)},
	{B_WITHDRAW, {[F] = RK_OK, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = BAD}},
	{B_RENEW, {[F] = RK_OK, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = BAD}},
	{B_NDA_ID, {[F] = BAD, [O] = BAD, [P] = RK_OK, [N] = RK_OK, [T] = RK_OK, [I] = BAD}},
	{B_NO_NDA_ID, {[F] = RK_OK, [O] = RK_OK, [P] = BAD, [N] = BAD, [T] = BAD, [I] = RK_OK}},
	{B_NDA_SET, {[F] = BAD, [O] = BAD, [P] = BAD, [N] = RK_OK, [T] = RK_OK, [I] = BAD}},
	{B_NO_NDA_SET, {[F] = RK_OK, [O] = RK_OK, [P] = RK_OK, [N] = BAD, [T] = BAD, [I] = RK_OK}},
	{B_NO_RECIPIENT, {[F] = RK_OK, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = BAD}},
	{B_TO_SELF, {[F] = BAD, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = RK_OK}},
	{B_UNSORTED, ALL(BAD)}, {B_TWICE, ALL(BAD)},
	{B_SEVENTEEN, {[F] = BAD, [O] = BAD, [P] = RK_OK, [N] = RK_OK, [T] = RK_OK, [I] = BAD}},
	{B_DESK, {[F] = BAD, [O] = RK_OK, [P] = RK_UNSUPPORTED, [N] = RK_OK, [T] = RK_OK, [I] = RK_OK}},
	{B_THREAD, {[F] = BAD, [O] = RK_OK, [P] = RK_OK, [N] = RK_OK, [T] = RK_OK, [I] = RK_OK}},
	{B_PREV, {[F] = BAD, [O] = RK_OK, [P] = RK_OK, [N] = RK_OK, [T] = RK_OK, [I] = RK_OK}},
	{B_REPLY, ALL(BAD)},
	{B_REPLY_THREAD, {[F] = BAD, [O] = BAD, [P] = BAD, [N] = RK_OK, [T] = BAD, [I] = BAD}},
	{B_MARKED, {[F] = BAD, [O] = BAD, [P] = RK_OK, [N] = RK_OK, [T] = RK_OK, [I] = BAD}},
	{B_UNMARKED, ALL(RK_OK)}, {B_MARKING_9, ALL(BAD)}, {B_EXPIRES_NOW, ALL(BAD)}, {B_LIFE_20, ALL(RK_OK)},
	{B_LIFE_20_1, {[F] = RK_OK, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = BAD}},
	{B_LIFE_180, {[F] = RK_OK, [O] = BAD, [P] = BAD, [N] = BAD, [T] = BAD, [I] = BAD}},
	{B_LIFE_180_1, ALL(BAD)}, {B_BODY_16K, ALL(RK_OK)},
	{B_BODY_16K_1, {[F] = RK_OK, [O] = RK_TOO_LARGE, [P] = RK_OK, [N] = RK_OK, [T] = RK_TOO_LARGE, [I] = RK_OK}},
	{B_BODY_256K, {[F] = RK_OK, [O] = RK_TOO_LARGE, [P] = RK_OK, [N] = RK_OK, [T] = RK_TOO_LARGE, [I] = RK_OK}},
	{B_BODY_256K_1, ALL(RK_TOO_LARGE)},
	{B_BLOB, {[F] = NEW, [O] = NEW, [P] = NEW, [N] = RK_OK, [T] = NEW, [I] = NEW}},
	{B_BLOBS_32, {[F] = NEW, [O] = NEW, [P] = NEW, [N] = RK_OK, [T] = NEW, [I] = NEW}},
	{B_BLOB_TWICE, {[F] = NEW, [O] = NEW, [P] = NEW, [N] = BAD, [T] = NEW, [I] = NEW}},
	{B_BLOB_REPLY, ALL(NEW)},
};

static void bend_post(Rk__EnvelopeHeader *h, enum bend bend)
{
	h->post_op = bend == B_WITHDRAW ? RK__POST_OP__WITHDRAW : bend == B_RENEW ? RK__POST_OP__RENEW : RK__POST_OP__REVISE;
	if (bend != B_REVISE_NO_ID)
		h->post_id = fixed_data(arena, 32, "post");
	h->post_seq = bend == B_REVISE_NO_SEQ ? 0 : 1;
	h->post_version = bend == B_REVISE_VERSION_1 ? 1 : 2;
}

/* Seventeen recipients, none of them the sender. */
static Rk__Recipient **make_recipients(void)
{
	Rk__Recipient **list = fixed_alloc(arena, 17 * sizeof(*list));

	for (int k = 0; k < 17; k++) {
		list[k] = fixed_alloc(arena, sizeof(**list));
		rk__recipient__init(list[k]);
		list[k]->org_id = fixed_data(arena, 16, "r");
		list[k]->org_id.data[0] = (uint8_t)(0x80 + k);
	}
	return list;
}

static void add_blobs(Rk__EnvelopeHeader *h, size_t n, bool are_alike)
{
	h->blobs = fixed_alloc(arena, n * sizeof(*h->blobs));
	for (h->n_blobs = 0; h->n_blobs < n; h->n_blobs++) {
		Rk__BlobRef *b = fixed_alloc(arena, sizeof(*b));

		rk__blob_ref__init(b);
		b->sha256 = fixed_data(arena, 32, "blob");
		b->sha256.data[0] = are_alike ? 0 : (uint8_t)h->n_blobs;
		b->len = 1000;
		h->blobs[h->n_blobs] = b;
	}
}

static void bend_header(Rk__EnvelopeHeader *h, enum bend bend)
{
	Rk__Recipient **list = make_recipients(), *first = list[0];
	ProtobufCBinaryData *prev = fixed_alloc(arena, sizeof(*prev));

	switch (bend) {
	case B_EXCHANGE: h->exchange_id.data[31] ^= 1; break;
	case B_SUITE: h->suite = 2; break;
	case B_INTERNAL: h->kind = RK__KIND__INTERNAL; break;
	case B_KIND_NONE: h->kind = RK__KIND__KIND_NONE; break;
	case B_KIND_7: h->kind = (Rk__Kind)7; break;
	case B_FEED_ID: h->feed_id = 1; break;
	case B_RELEASE: h->release_at = FIXED_TIME_MS; break;
	case B_CHANNEL: h->channel = RK__CHANNEL__NOTICE; break;
	case B_NO_CHANNEL: h->channel = RK__CHANNEL__CHANNEL_NONE; break;
	case B_EPOCH: h->feed_epoch = 9; break;
	case B_NO_EPOCH: h->feed_epoch = 0; break;
	case B_POST_OP: h->post_op = (Rk__PostOp)5; break;
	case B_NO_POST_OP: h->post_op = RK__POST_OP__POST_OP_NONE; break;
	case B_NEW_ID: h->post_id = fixed_data(arena, 32, "post"); break;
	case B_NEW_SEQ: h->post_seq = 1; break;
	case B_NEW_VERSION: h->post_version = 2; break;
	case B_REVISE: case B_REVISE_NO_ID: case B_REVISE_NO_SEQ: case B_REVISE_VERSION_1: case B_WITHDRAW: case B_RENEW:
		bend_post(h, bend);
		break;
	case B_NDA_ID: h->nda_id = fixed_data(arena, 32, "n"); break;
	case B_NO_NDA_ID: h->nda_id.len = 0; break;
	case B_NDA_SET: h->nda_set = fixed_data(arena, 32, "s"); break;
	case B_NO_NDA_SET: h->nda_set.len = 0; break;
	case B_NO_RECIPIENT: h->n_recipients = 0; break;
	case B_TO_SELF: h->recipients = list; h->n_recipients = 1; first->org_id = h->sender_org; break;
	case B_UNSORTED: h->recipients = list; h->n_recipients = 2; list[0] = list[1]; list[1] = first; break;
	case B_TWICE: h->recipients = list; h->n_recipients = 2; list[1] = first; break;
	case B_SEVENTEEN: h->recipients = list; h->n_recipients = 17; break;
	case B_DESK:
		if (h->n_recipients == 0) {
			h->recipients = list;
			h->n_recipients = 1;
		}
		h->recipients[0]->desk_id = 1;
		break;
	case B_THREAD: h->thread_id = fixed_data(arena, 16, "t"); break;
	case B_PREV: h->prev = prev; prev[0] = fixed_data(arena, 32, "p"); h->n_prev = 1; break;
	case B_REPLY: h->reply_only = 1; break;
	case B_REPLY_THREAD: h->reply_only = 1; h->thread_id = fixed_data(arena, 16, "t"); break;
	case B_MARKED: h->marking = RK__MARKING__STRICT; break;
	case B_UNMARKED: h->marking = RK__MARKING__UNMARKED; break;
	case B_MARKING_9: h->marking = (Rk__Marking)9; break;
	case B_EXPIRES_NOW: h->expires_at = h->created_at; break;
	case B_LIFE_20: h->expires_at = h->created_at + 20 * DAY_MS; break;
	case B_LIFE_20_1: h->expires_at = h->created_at + 20 * DAY_MS + 1; break;
	case B_LIFE_180: h->expires_at = h->created_at + 180 * DAY_MS; break;
	case B_LIFE_180_1: h->expires_at = h->created_at + 180 * DAY_MS + 1; break;
	case B_BODY_16K: h->body_len = 16 * 1024; break;
	case B_BODY_16K_1: h->body_len = 16 * 1024 + 1; break;
	case B_BODY_256K: h->body_len = 256 * 1024; break;
	case B_BODY_256K_1: h->body_len = 256 * 1024 + 1; break;
	case B_BLOB: add_blobs(h, 1, false); break;
	case B_BLOBS_32: add_blobs(h, 32, false); break;
	case B_BLOB_TWICE: add_blobs(h, 2, true); break;
	case B_BLOB_REPLY: add_blobs(h, 1, false); h->reply_only = 1; h->thread_id = fixed_data(arena, 16, "t"); break;
	}
}

static void headers_say_only_what_their_kind_allows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(header_rows); i++) {
		for (int kind = F; kind <= I; kind++) {
			Rk__EnvelopeHeader *h = fixed_header(&f, (Rk__Kind)kind, 1, kind == I ? 2u : 1u | TO_2, arena);
			int r, expected = header_rows[i].by_kind[kind];

			h->suite = 1;
			h->body_len = 560;
			bend_header(h, header_rows[i].bend);
			r = envelope_check_rules(h, f.exchange_id);
			if (r != expected)
				fail_msg("row %zu, kind %d: %s, expected %s", i, kind, errcode_name(r), errcode_name(expected));
		}
	}
}

/* ---- messages */

static enum message_status read_packed(const Rk__Message *m)
{
	size_t len = rk__message__get_packed_size(m);
	uint8_t *data = fixed_alloc(arena, len);
	Rk__Message *out;
	enum message_status s;

	rk__message__pack(m, data);
	s = message_read(bytes_make(data, len), arena, &out);
	assert_int_equal(out != NULL, s == MESSAGE_OK);
	return s;
}

static void message_carries_the_part_of_its_type(void **state)
{
	Rk__Message m = RK__MESSAGE__INIT;
	Rk__Interest interest = RK__INTEREST__INIT;
	Rk__NdaNotice notice = RK__NDA_NOTICE__INIT;
	(void)state;

	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
	assert_int_equal(read_packed(&m), MESSAGE_BAD);
	m.text = (char *)"words";
	assert_int_equal(read_packed(&m), MESSAGE_OK);
	m.interest = &interest;
	assert_int_equal(read_packed(&m), MESSAGE_BAD);
	m.type = RK__MESSAGE_TYPE__MESSAGE_INTEREST;
	assert_int_equal(read_packed(&m), MESSAGE_OK);
	m.notice = &notice;
	assert_int_equal(read_packed(&m), MESSAGE_BAD);
	m.interest = NULL;
	for (uint32_t type = 1; type <= 7; type++) {
		m.type = type;
		assert_int_equal(read_packed(&m), MESSAGE_BAD);
	}
	for (uint32_t type = 20; type <= 28; type++) {
		m.type = type;
		assert_int_equal(read_packed(&m), MESSAGE_OK);
	}
	m.notice = NULL;
	assert_int_equal(read_packed(&m), MESSAGE_BAD);
}

static void newer_messages_are_kept_not_refused(void **state)
{
	/* type 99, then field 50 that this version does not know */
	static const uint8_t unknown_type[] = {0x08, 1, 0x10, 99, 0x92, 0x03, 2, 'h', 'i'};
	/* a known type with a field that is unknown is no message at all: what is sealed grows by ext */
	static const uint8_t unknown_field[] = {0x08, 1, 0x10, 7, 0x5a, 1, 'x', 0x92, 0x03, 2, 'h', 'i'};
	static const uint8_t cut[] = {0x08, 1, 0x10, 99, 0x92, 0x03, 3, 'h', 'i'};
	static const uint8_t no_type[] = {0x08, 1}, group[] = {0x08, 1, 0x10, 99, 0x0b};
	static const struct {
		struct bytes packed;
		enum message_status expected;
	} rows[] = {
		{{unknown_type, sizeof(unknown_type)}, MESSAGE_NEWER},
		{{unknown_field, sizeof(unknown_field)}, MESSAGE_BAD},
		{{cut, sizeof(cut)}, MESSAGE_BAD},
		{{no_type, sizeof(no_type)}, MESSAGE_BAD},
		{{group, sizeof(group)}, MESSAGE_BAD},
		{{NULL, 0}, MESSAGE_BAD},
	};
	Rk__Message m = RK__MESSAGE__INIT, *out;
	Rk__Ext a = RK__EXT__INIT, b = RK__EXT__INIT, *ext[2] = {&a, &b};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(message_read(rows[i].packed, arena, &out), rows[i].expected);
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
	m.text = (char *)"words";
	m.ext = ext;
	m.n_ext = 2;
	a.id = 1;
	b.id = 2;
	assert_int_equal(read_packed(&m), MESSAGE_OK);
	b.critical = 1;
	assert_int_equal(read_packed(&m), MESSAGE_NEWER);
	a.id = 2;
	assert_int_equal(read_packed(&m), MESSAGE_BAD);
	m.n_ext = 0;
	m.msg_version = 2;
	assert_int_equal(read_packed(&m), MESSAGE_NEWER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_kind_seals_and_opens, clear),
		cmocka_unit_test_setup(missing_keys_are_said, clear),
		cmocka_unit_test_setup(sizes_end_where_they_should, clear),
		cmocka_unit_test_setup(headers_say_only_what_their_kind_allows, clear),
		cmocka_unit_test_setup(message_carries_the_part_of_its_type, clear),
		cmocka_unit_test_setup(newer_messages_are_kept_not_refused, clear),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
