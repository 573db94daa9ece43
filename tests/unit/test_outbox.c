/* outbox, sealing and numbers: what is queued is durable and unreadable; what is numbered stays in step with the broker's HELLO. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/link_internal.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/bare_home.h"

#define DAY_MS ((int64_t)86400000)

static const char secret[] = "our offer stands at four million";

static int setup(void **state)
{
	struct bare *h = malloc(sizeof(*h));

	bare_begin(h, 1);
	bare_fill_book(h);
	bare_write(h);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	bare_end(*state);
	free(*state);
	return 0;
}

/* A template as verbs give it: kind, recipients, nothing that sealing fills. */
static Rk__EnvelopeHeader *template(struct bare *h, Rk__Kind kind, unsigned to)
{
	Rk__EnvelopeHeader *t = fixed_header(&h->f, kind, 1, to, h->a);

	t->exchange_id = t->sender_org = t->sender_device = (ProtobufCBinaryData){0};
	t->created_at = t->expires_at = 0;
	t->directory_serial = 0;
	t->feed_epoch = 0;
	return t;
}

static uint64_t add(struct bare *h, Rk__Kind kind, unsigned to)
{
	struct outbox_request q = {.op = RK__OP__OP_SUBMIT, .what = "test", .header = template(h, kind, to), .lifetime_ms = DAY_MS,
				   .message = fixed_message(secret, h->a), .ref = bytes_str("ref")};
	uint64_t id;

	assert_int_equal(outbox_add(h->c, h->t, &q, &id), RK_OK);
	return id;
}

static int seal(struct bare *h, uint64_t id, uint64_t number, Rkl__OutboxItem **item)
{
	static uint8_t writer[8] = {1};

	assert_int_equal(outbox_load(h->t, id, h->a, item), RK_OK);
	(*item)->writer_epoch = pb_of(BYTES_OF(writer));
	return seal_item(h->c, h->t, *item, number, h->a);
}

static void queued(void **state)
{
	struct bare *h = *state;
	struct outcome o;
	unsigned n, sent;
	uint64_t one = add(h, RK__KIND__OPEN, 1u << 2), two = add(h, RK__KIND__OPEN, 1u << 2);

	assert_true(two > one);
	assert_int_equal(outbox_outcome(h->t, one, &o), RK_BUSY);
	assert_int_equal(outbox_outcome(h->t, 999, &o), RK_ENOTFOUND);
	assert_int_equal(outbox_count(h->t, &n, &sent), RK_OK);
	assert_int_equal(n, 2);
	assert_int_equal(sent, 0);
	bare_commit(h);
	assert_false(bare_files_hold(h, bytes_str("four million")));
	bare_reopen(h);
	bare_write(h);
	assert_int_equal(outbox_outcome(h->t, two, &o), RK_BUSY);
}

static void sealed_for_the_wire(void **state)
{
	struct bare *h = *state;
	Rkl__OutboxItem *item;
	struct envelope e;
	struct bytes head, message;
	Rk__WrapList *wraps;
	Rk__Request *q;
	uint8_t env_id[32];
	uint64_t id = add(h, RK__KIND__OPEN, 1u << 2);

	assert_int_equal(seal(h, id, 7, &item), RK_OK);
	assert_int_equal(item->n_frames, 3);
	assert_int_equal(item->sealings, 1);
	assert_int_equal(STRICT_PARSE(request, bytes_of(item->frames[0]), h->a, &q), RK_OK);
	assert_int_equal(q->op, RK__OP__OP_SUBMIT);
	assert_int_equal(q->number, 7);
	assert_int_equal(q->tag, id);
	assert_int_equal(q->writer_epoch.len, 8);
	assert_int_equal(q->object_len, 0);
	assert_int_equal(STRICT_PACK(q->head, h->a, &head), RK_OK);
	assert_int_equal(envelope_parse(head, h->a, &e), RK_OK);
	assert_int_equal(envelope_check_rules(e.header, h->f.exchange_id), RK_OK);
	assert_int_equal(envelope_verify(&e, h->f.exchange_id, h->f.orgs[1].device.pk), RK_OK);
	assert_int_equal(e.header->created_at, FIXED_TIME_MS);
	assert_int_equal(e.header->expires_at, FIXED_TIME_MS + DAY_MS);
	assert_int_equal(e.header->directory_serial, 1);
	envelope_id(env_id, &e, h->f.exchange_id);
	assert_memory_equal(env_id, item->env_id.data, 32);
	/* One wrap for the recipient's device, one for our own; the recipient reads it. */
	assert_int_equal(envelope_check_bulk(&e, bytes_of(item->frames[1]), bytes_of(item->frames[2]), h->a, &wraps), RK_OK);
	assert_int_equal(wraps->n_wraps, 2);
	assert_int_equal(envelope_open(&e, wraps, bytes_of(item->frames[2]), NULL, h->f.orgs[2].device_id, fixed_lookup,
				       &h->f.orgs[2], h->a, &message, NULL), RK_OK);
	assert_true(bytes_equal(message, fixed_message(secret, h->a)));
	/* Sealed again it is another envelope under another number. */
	assert_int_equal(seal(h, id, 8, &item), RK_OK);
	assert_memory_not_equal(env_id, item->env_id.data, 32);
}

static void what_is_not_sealed(void **state)
{
	struct bare *h = *state;
	Rk__Directory *d;
	Rkl__OutboxItem *item;
	uint64_t open = add(h, RK__KIND__OPEN, 1u << 2), feed = add(h, RK__KIND__FEED, 0), nda = add(h, RK__KIND__NDA, 1u << 2);
	uint64_t proposal = add(h, RK__KIND__PROPOSAL, 1u << 2);

	/* No epoch key; no such agreement. */
	assert_int_equal(seal(h, feed, 1, &item), RK_EPOCH_UNKNOWN);
	assert_int_equal(item->n_frames, 0);
	assert_int_equal(seal(h, nda, 1, &item), RK_NO_NDA);
	assert_int_equal(book_epoch_key_put(h->c, h->t, 1, h->f.ek), RK_OK);
	assert_int_equal(seal(h, feed, 1, &item), RK_OK);
	assert_int_equal(item->n_frames, 2);
	/* Nobody is sent to who is no member any more. */
	d = bare_next_directory(h, 2);
	d->orgs[2]->status = RK__ORG_STATUS__SUSPENDED;
	assert_int_equal(bare_take_directory(h, d), RK_OK);
	assert_int_equal(seal(h, open, 1, &item), RK_UNKNOWN_RECIPIENT);
	d = bare_next_directory(h, 3);
	assert_int_equal(bare_take_directory(h, d), RK_OK);
	assert_int_equal(seal(h, open, 1, &item), RK_OK);
	/* Five minutes before the directory ends, no proposal; what is open still goes. */
	bare_now_ms = d->expires_at - 5 * 60 * 1000 - 1;
	assert_int_equal(seal(h, proposal, 1, &item), RK_OK);
	bare_now_ms++;
	assert_int_equal(seal(h, proposal, 1, &item), RK_DIRECTORY_EXPIRED);
	assert_int_equal(seal(h, open, 1, &item), RK_OK);
}

static void other_requests(void **state)
{
	struct bare *h = *state;
	uint8_t env_id[32] = {5}, oh[32] = {6};
	struct bytes object = bytes_str("an object");
	struct outbox_request fetch = {.op = RK__OP__OP_FETCH, .env_id = env_id},
			      put = {.op = RK__OP__OP_PUT_OBJECT, .object = object, .object_type = RK__OBJECT_TYPE__OBJECT_FEED_KEY,
				     .object_oh = oh};
	Rkl__OutboxItem *item;
	Rk__Request *q;
	uint8_t sha[32];
	uint64_t id;

	assert_int_equal(outbox_add(h->c, h->t, &fetch, &id), RK_OK);
	assert_int_equal(seal(h, id, 0, &item), RK_OK);
	assert_int_equal(item->n_frames, 1);
	assert_int_equal(STRICT_PARSE(request, bytes_of(item->frames[0]), h->a, &q), RK_OK);
	assert_int_equal(q->number, 0);
	assert_memory_equal(q->fetch->env_id.data, env_id, 32);
	assert_int_equal(outbox_add(h->c, h->t, &put, &id), RK_OK);
	assert_int_equal(seal(h, id, 3, &item), RK_OK);
	assert_int_equal(item->n_frames, 2);
	assert_int_equal(STRICT_PARSE(request, bytes_of(item->frames[0]), h->a, &q), RK_OK);
	ids_sha256(sha, object);
	assert_memory_equal(q->object_sha256.data, sha, 32);
	assert_int_equal(q->object_len, object.len);
	assert_int_equal(q->put_object->total, object.len);
	assert_int_equal(q->put_object->offset, 0);
	assert_memory_equal(q->put_object->oh.data, oh, 32);
}

/* A dossier waits under a key of its own: when that is gone, neither the home key nor an old page gives it back. */
static void what_is_confidential_waits_under_its_own_key(void **state)
{
	struct bare *h = *state;
	Rkl__OutboxItem *item;
	uint8_t key[32], at[8];
	struct bytes plain;
	uint64_t id = add(h, RK__KIND__NDA, 2);

	assert_int_equal(outbox_load(h->t, id, h->a, &item), RK_OK);
	put_u64be(at, id);
	assert_int_equal(item->key_id.len, 32);
	assert_int_equal(vault_open(keys_home_key(h->c), VAULT_OUTBOX, BYTES_OF(at), bytes_of(item->sealed_compose), h->a, &plain),
			 RK_EINTEGRITY);
	assert_int_equal(keys_dossier(h->c, item->key_id.data, false, key), RK_OK);
	assert_int_equal(vault_open(key, VAULT_OUTBOX, BYTES_OF(at), bytes_of(item->sealed_compose), h->a, &plain), RK_OK);
	assert_int_equal(outbox_key_destroy(h->c, item), RK_OK);
	assert_int_equal(outbox_key_destroy(h->c, item), RK_OK);
	assert_int_equal(keys_dossier(h->c, item->key_id.data, false, key), RK_ENOTFOUND);
	assert_int_equal(seal(h, id, 1, &item), RK_ENOTFOUND);
	/* First contact lies under the home key, as it does once it was sent. */
	id = add(h, RK__KIND__OPEN, 2);
	assert_int_equal(outbox_load(h->t, id, h->a, &item), RK_OK);
	assert_int_equal(item->key_id.len, 0);
	assert_int_equal(outbox_key_destroy(h->c, item), RK_OK);
}

/* A large directory goes in parts of 256 KiB; the item to wait for is the last. */
static void large_objects(void **state)
{
	struct bare *h = *state;
	const uint32_t part = 256 * 1024, total = 2 * part + 5;
	uint8_t oh[32] = {6};
	struct outbox_request put = {.op = RK__OP__OP_PUT_OBJECT, .object = bytes_make(fixed_alloc(h->a, total), total),
				     .object_type = RK__OBJECT_TYPE__OBJECT_DIRECTORY, .object_oh = oh};
	Rkl__OutboxItem *item;
	Rk__Request *q;
	uint64_t id;

	assert_int_equal(outbox_add(h->c, h->t, &put, &id), RK_OK);
	assert_int_equal(bare_table_count(h, C_OUTBOX), 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(seal(h, id - 2 + i, i + 1, &item), RK_OK);
		assert_int_equal(STRICT_PARSE(request, bytes_of(item->frames[0]), h->a, &q), RK_OK);
		assert_int_equal(q->put_object->offset, i * part);
		assert_int_equal(q->put_object->total, total);
		assert_int_equal(q->object_len, i < 2 ? part : 5);
	}
	put.op = RK__OP__OP_INVITE_REG;
	assert_int_equal(outbox_add(h->c, h->t, &put, &id), RK_TOO_LARGE);
	put.op = RK__OP__OP_PUT_OBJECT;
	put.object.len = 4 * 1024 * 1024 + 1;
	assert_int_equal(outbox_add(h->c, h->t, &put, &id), RK_TOO_LARGE);
}

/* ---- numbers after HELLO */

struct reconciled {
	struct link l;
	struct link_options o;
};

/* Items with these numbers are SENT, META_NUMBER is `last`; the broker's HELLO says `broker_last`. */
static void reconcile(struct bare *h, struct reconciled *r, const uint64_t *numbers, size_t n, uint64_t last, uint64_t broker_last,
		      uint64_t *ids)
{
	static const uint8_t writer[8] = {1};

	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < n; i++) {
		Rkl__OutboxItem *item;

		ids[i] = add(h, RK__KIND__OPEN, 1u << 2);
		assert_int_equal(seal(h, ids[i], numbers[i], &item), RK_OK);
		item->state = RKL__ITEM_STATE__SENT;
		assert_int_equal(outbox_store(h->t, item, RKL__ITEM_STATE__QUEUED), RK_OK);
	}
	assert_int_equal(meta_put_u64(h->t, META_NUMBER, last), RK_OK);
	assert_int_equal(meta_put(h->t, META_WRITER, BYTES_OF(writer)), RK_OK);
	bare_commit(h);
	r->l.c = h->c;
	r->l.o = &r->o;
	r->l.last = &r->l.first;
	r->l.state = LINK_UP;
	memcpy(r->l.writer, writer, sizeof(writer));
	r->l.broker_last = broker_last;
	assert_int_equal(send_reconcile(&r->l), RK_OK);
	bare_write(h);
}

static Rkl__ItemState state_of(struct bare *h, uint64_t id, size_t *frames)
{
	Rkl__OutboxItem *item;

	assert_int_equal(outbox_load(h->t, id, h->a, &item), RK_OK);
	*frames = item->n_frames;
	return item->state;
}

static void sent_again_in_order(void **state)
{
	struct bare *h = *state;
	const uint64_t numbers[3] = {5, 4, 6}; /* an item that was sealed anew has a lower id than its number says */
	struct reconciled r;
	uint64_t ids[3];

	reconcile(h, &r, numbers, 3, 6, 4, ids);
	assert_int_equal(r.l.state, LINK_UP);
	assert_int_equal(r.l.flight_count, 3);
	assert_int_equal(r.l.flight[0].number, 4);
	assert_int_equal(r.l.flight[0].id, ids[1]);
	assert_int_equal(r.l.flight[1].number, 5);
	assert_int_equal(r.l.flight[2].number, 6);
	assert_int_equal(meta_u64(h->t, META_NUMBER), 6);
}

/* Number 5 was refused before it was taken: 6 would be out of order for ever. */
static void a_hole(void **state)
{
	struct bare *h = *state;
	const uint64_t numbers[2] = {4, 6};
	struct reconciled r;
	unsigned queued_n, sent;
	uint64_t ids[2];
	size_t frames;

	reconcile(h, &r, numbers, 2, 6, 3, ids);
	assert_int_equal(r.l.flight_count, 1);
	assert_int_equal(r.l.flight[0].number, 4);
	assert_int_equal(meta_u64(h->t, META_NUMBER), 4);
	assert_int_equal(state_of(h, ids[0], &frames), RKL__ITEM_STATE__SENT);
	assert_int_equal(frames, 3);
	assert_int_equal(state_of(h, ids[1], &frames), RKL__ITEM_STATE__QUEUED);
	assert_int_equal(frames, 0);
	assert_int_equal(outbox_count(h->t, &queued_n, &sent), RK_OK);
	assert_int_equal(queued_n, 1);
	assert_int_equal(sent, 1);
}

static void refused_without_consuming(void **state)
{
	struct bare *h = *state;
	struct reconciled r;

	/* Nothing is open; the last number given out was never taken: it is given out again. */
	reconcile(h, &r, NULL, 0, 9, 8, NULL);
	assert_int_equal(meta_u64(h->t, META_NUMBER), 8);
	assert_int_equal(bare_counter(h, "restored"), 0);
}

/* The broker has more from us than we remember: this home is an older copy of itself. */
static void an_older_copy(void **state)
{
	struct bare *h = *state;
	const uint64_t numbers[2] = {2, 3};
	static const uint8_t old[8] = {1};
	struct reconciled r;
	struct bytes writer;
	uint64_t ids[2];
	size_t frames;

	reconcile(h, &r, numbers, 2, 3, 9, ids);
	assert_int_equal(r.l.state, LINK_HELLO);
	assert_int_equal(r.l.flight_count, 0);
	assert_int_equal(meta_u64(h->t, META_NUMBER), 0);
	assert_int_equal(meta_get(h->t, META_WRITER, &writer), RK_OK);
	assert_false(bytes_equal(writer, BYTES_OF(old)));
	assert_memory_equal(writer.data, r.l.writer, 8);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(state_of(h, ids[i], &frames), RKL__ITEM_STATE__QUEUED);
		assert_int_equal(frames, 0);
	}
	assert_int_equal(bare_counter(h, "restored"), 1);
	assert_int_equal(bare_table_count(h, C_INBOX), 1);
}

/* What the other copy of this home may have sent since: nothing confidential goes twice, and that is told. */
static void an_older_copy_sends_nothing_confidential_twice(void **state)
{
	struct bare *h = *state;
	const uint64_t numbers[1] = {3};
	uint64_t dossier = add(h, RK__KIND__NDA, 2), ids[1];
	struct reconciled r;
	Rkl__OutboxItem *item;
	uint8_t key_id[32], key[32];
	unsigned queued_n, sent;
	size_t frames;

	assert_int_equal(outbox_load(h->t, dossier, h->a, &item), RK_OK);
	memcpy(key_id, item->key_id.data, 32);
	reconcile(h, &r, numbers, 1, 3, 9, ids);
	assert_int_equal(state_of(h, dossier, &frames), RKL__ITEM_STATE__DONE);
	assert_int_equal(outbox_load(h->t, dossier, h->a, &item), RK_OK);
	assert_int_equal(item->code, RK_EOTHERHOME);
	assert_int_equal(item->sealed_compose.len, 0);
	assert_int_equal(keys_dossier(h->c, key_id, false, key), RK_ENOTFOUND);
	assert_int_equal(state_of(h, ids[0], &frames), RKL__ITEM_STATE__QUEUED);
	assert_int_equal(bare_table_count(h, C_INBOX), 2);
	assert_int_equal(outbox_count(h->t, &queued_n, &sent), RK_OK);
	assert_int_equal(queued_n, 1);
	assert_int_equal(sent, 0);
}

/* A home from a backup: all that was open then ends here, what came since goes, and so does a fetch. */
static void what_waited_in_a_backup_is_not_sent(void **state)
{
	struct bare *h = *state;
	const uint8_t env_id[32] = {4};
	const struct outbox_request fetch = {.op = RK__OP__OP_FETCH, .what = "fetch", .env_id = env_id};
	const uint64_t numbers[1] = {1};
	uint64_t ids[1], fetched, later, waiting = add(h, RK__KIND__OPEN, 2);
	struct reconciled r;
	size_t frames;

	assert_int_equal(outbox_add(h->c, h->t, &fetch, &fetched), RK_OK);
	assert_int_equal(meta_put_u64(h->t, META_ASIDE, meta_u64(h->t, META_NEXT_ID)), RK_OK);
	later = add(h, RK__KIND__NDA, 2);
	reconcile(h, &r, numbers, 1, 1, 0, ids);
	assert_int_equal(state_of(h, waiting, &frames), RKL__ITEM_STATE__DONE);
	assert_int_equal(state_of(h, fetched, &frames), RKL__ITEM_STATE__QUEUED);
	assert_int_equal(state_of(h, later, &frames), RKL__ITEM_STATE__QUEUED);
	assert_int_equal(state_of(h, ids[0], &frames), RKL__ITEM_STATE__SENT);
	assert_int_equal(meta_u64(h->t, META_ASIDE), 0);
	assert_int_equal(bare_table_count(h, C_INBOX), 1);
	assert_int_equal(bare_counter(h, "restored"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(queued), TEST(sealed_for_the_wire), TEST(what_is_not_sealed), TEST(other_requests), TEST(what_is_confidential_waits_under_its_own_key), TEST(large_objects),
		TEST(sent_again_in_order), TEST(a_hole), TEST(refused_without_consuming), TEST(an_older_copy),
		TEST(an_older_copy_sends_nothing_confidential_twice), TEST(what_waited_in_a_backup_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
