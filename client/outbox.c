/*
 * outbox: what this home has undertaken to say.  An item is durable with the caller's transaction; the link gives it a number,
 * seals it, and keeps it until it is answered.  A finished item stays as its outcome, without its frames.
 */
#include <sodium.h>

#include "client/client_internal.h"
#include "proto/strict.h"

#define OUTBOX_MAX_OPEN 20000           /* unanswered items: an import of years fits; a loop gone mad does not */
#define OUTBOX_PART_BYTES (256 * 1024)  /* of a Directory, FIELDS "PUT_OBJECT" */
#define OUTBOX_OBJECT_MAX (4 * 1024 * 1024)

static ProtobufCBinaryData pb(const uint8_t *data, size_t len)
{
	return (ProtobufCBinaryData){data != NULL ? len : 0, (uint8_t *)(uintptr_t)data};
}

static int pack_plain(const ProtobufCMessage *m, struct arena *arena, struct bytes *out)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *room;

	arena_raise(arena, len + 64);
	if ((room = arena_alloc(arena, len)) == NULL)
		return RK_ENOMEM;
	protobuf_c_message_pack(m, room);
	*out = bytes_make(room, len);
	return RK_OK;
}

/* Fills a Compose from the request; everything borrowed or in the arena. */
static int compose(Rkl__Compose *out, const struct outbox_request *rq, struct arena *arena)
{
	struct bytes header = {0};
	int r;

	if (rq->header != NULL && (r = pack_plain(&rq->header->base, arena, &header)) != RK_OK)
		return r;
	out->header = pb_of(header);
	out->message = pb_of(rq->message);
	out->object = pb_of(rq->object);
	out->object_type = (uint32_t)rq->object_type;
	out->object_oh = pb(rq->object_oh, ID32_BYTES);
	out->env_id = pb(rq->env_id, ID32_BYTES);
	out->nda_id = pb(rq->nda_id, ID32_BYTES);
	out->lifetime_ms = rq->lifetime_ms;
	out->nack_reason = (uint32_t)rq->nack_reason;
	out->blob_sha256 = pb(rq->blob_sha256, ID32_BYTES);
	out->blob_len = rq->blob_len;
	out->total = (uint32_t)rq->object.len;
	if (rq->env_id_count > 0) {
		out->env_ids = arena_alloc(arena, rq->env_id_count * sizeof(*out->env_ids));
		if (out->env_ids == NULL)
			return RK_ENOMEM;
		for (size_t i = 0; i < rq->env_id_count; i++)
			out->env_ids[i] = pb(rq->env_ids[i], ID32_BYTES);
		out->n_env_ids = rq->env_id_count;
	}
	return RK_OK;
}

/*
 * What is confidential waits under a key of its own, which dies with the item: old pages of the store give nothing back of a dossier
 * whose content was destroyed (CRYPTO 2.13).
 */
static bool has_own_key(const struct outbox_request *rq)
{
	return rq->header != NULL && (rq->header->kind == RK__KIND__NDA || rq->header->kind == RK__KIND__NDA_NOTICE);
}

int outbox_key(struct client *c, const Rkl__OutboxItem *item, bool create, uint8_t key[32])
{
	if (item->key_id.len == ID32_BYTES)
		return keys_dossier(c, item->key_id.data, create, key);
	memcpy(key, keys_home_key(c), 32);
	return RK_OK;
}

int outbox_key_destroy(struct client *c, const Rkl__OutboxItem *item)
{
	int r;

	if (item->key_id.len != ID32_BYTES)
		return RK_OK;
	r = keys_dossier_destroy(c, item->key_id.data);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int seal_compose(struct client *c, Rkl__OutboxItem *item, struct bytes plain, struct arena *arena)
{
	struct bytes sealed;
	uint8_t id[8], key[32];
	int r;

	put_u64be(id, item->id);
	if ((r = outbox_key(c, item, true, key)) == RK_OK)
		r = vault_seal(key, VAULT_OUTBOX, BYTES_OF(id), plain, arena, &sealed);
	sodium_memzero(key, sizeof(key));
	if (r == RK_OK)
		item->sealed_compose = pb_of(sealed);
	return r;
}

static int put_item(struct client *c, struct txn *txn, const struct outbox_request *rq, const Rkl__Compose *what,
		    struct arena *arena, uint64_t *id)
{
	Rkl__OutboxItem item = RKL__OUTBOX_ITEM__INIT;
	uint8_t key_id[ID32_BYTES];
	struct bytes plain;
	int r;

	item.id = meta_next_id(txn);
	if (has_own_key(rq)) {
		randombytes_buf(key_id, sizeof(key_id));
		item.key_id = pb_of(BYTES_OF(key_id));
	}
	if ((r = pack_plain(&what->base, arena, &plain)) != RK_OK || (r = seal_compose(c, &item, plain, arena)) != RK_OK)
		return r;
	item.state = RKL__ITEM_STATE__QUEUED;
	item.op = (uint32_t)rq->op;
	item.created_at = client_now(c);
	item.what = pb_text(rq->what);
	item.ref = pb_of(rq->ref);
	item.attachments = rq->attachments;
	item.env_id = pb(rq->env_id, ID32_BYTES); /* FETCH, NACK; an envelope's own comes with its sealing */
	*id = item.id;
	return outbox_store(txn, &item, RKL__ITEM_STATE__ITEM_NONE);
}

int outbox_add(struct client *c, struct txn *txn, const struct outbox_request *rq, uint64_t *id)
{
	struct arena *arena;
	Rkl__Compose what = RKL__COMPOSE__INIT;
	unsigned queued, sent;
	int r;

	*id = 0;
	if (rq->object.len > OUTBOX_OBJECT_MAX || rq->env_id_count > 64 || rq->message.len > ENVELOPE_MESSAGE_MAX_BYTES)
		return RK_TOO_LARGE;
	if (rq->object.len > OUTBOX_PART_BYTES && rq->op != RK__OP__OP_PUT_OBJECT)
		return RK_TOO_LARGE;
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
		return r;
	if ((r = outbox_count(txn, &queued, &sent)) != RK_OK)
		return r;
	if (queued + sent >= OUTBOX_MAX_OPEN)
		return RK_QUOTA;
	if ((arena = arena_new(256 * 1024)) == NULL)
		return RK_ENOMEM;
	r = compose(&what, rq, arena);
	/* A large object is several numbered requests; the last one has the effect, so its item is the one to wait for. */
	while (r == RK_OK && what.total - what.offset > OUTBOX_PART_BYTES) {
		what.object = pb(rq->object.data + what.offset, OUTBOX_PART_BYTES);
		r = put_item(c, txn, rq, &what, arena, id);
		what.offset += OUTBOX_PART_BYTES;
	}
	if (r == RK_OK) {
		what.object = pb(rq->object.data + what.offset, what.total - what.offset);
		r = put_item(c, txn, rq, &what, arena, id);
	}
	arena_free_wiped(arena);
	return r;
}

int outbox_outcome(struct txn *txn, uint64_t id, struct outcome *out)
{
	struct arena *arena = arena_new(0);
	Rkl__OutboxItem *item;
	int r;

	memset(out, 0, sizeof(*out));
	if (arena == NULL)
		return RK_ENOMEM;
	r = outbox_load(txn, id, arena, &item);
	if (r == RK_OK && item->state != RKL__ITEM_STATE__DONE)
		r = RK_BUSY;
	if (r == RK_OK) {
		out->code = item->code;
		out->seq = item->seq;
		out->logged = item->logged;
		out->log_index = item->log_index;
		out->time_ms = item->time_ms;
		if (item->env_id.len == ID32_BYTES)
			memcpy(out->env_id, item->env_id.data, ID32_BYTES);
	}
	arena_free(arena);
	return r;
}

int64_t outbox_created_at(struct txn *txn, uint64_t id)
{
	struct arena *arena = arena_new(0);
	Rkl__OutboxItem *item;
	int64_t at = 0;

	if (arena != NULL && outbox_load(txn, id, arena, &item) == RK_OK)
		at = item->created_at;
	arena_free(arena);
	return at;
}

/* Counted beside the items, so that nobody reads every frame in the outbox to know how full it is. */
static const char *counter_of(Rkl__ItemState state)
{
	return state == RKL__ITEM_STATE__QUEUED ? META_QUEUED : state == RKL__ITEM_STATE__SENT ? META_SENT : NULL;
}

void outbox_moved(struct txn *txn, Rkl__ItemState from, Rkl__ItemState to)
{
	const char *less = counter_of(from), *more = counter_of(to);

	if (from == to)
		return;
	if (less != NULL)
		(void)meta_put_u64(txn, less, meta_u64(txn, less) - 1);
	if (more != NULL)
		(void)meta_put_u64(txn, more, meta_u64(txn, more) + 1);
}

int outbox_store(struct txn *txn, const Rkl__OutboxItem *item, Rkl__ItemState was)
{
	uint8_t key[8];

	put_u64be(key, item->id);
	outbox_moved(txn, was, item->state);
	return record_put(txn, C_OUTBOX, BYTES_OF(key), &item->base);
}

int outbox_load(struct txn *txn, uint64_t id, struct arena *arena, Rkl__OutboxItem **item)
{
	uint8_t key[8];

	put_u64be(key, id);
	return record_get(txn, C_OUTBOX, BYTES_OF(key), &rkl__outbox_item__descriptor, arena, (ProtobufCMessage **)item);
}

int outbox_count(struct txn *txn, unsigned *queued, unsigned *sent)
{
	*queued = (unsigned)meta_u64(txn, META_QUEUED);
	*sent = (unsigned)meta_u64(txn, META_SENT);
	return env_error(txn);
}

/*
 * A home that comes from a copy does not know what the other one has sent since.  From a backup: whatever was open then.  From a copy that
 * only its number betrays: at least nothing confidential goes twice.  A fetch says nothing to anybody.
 */
int outbox_each_aside(struct txn *txn, bool is_any, int (*fn)(void *user, const Rkl__OutboxItem *), void *user)
{
	uint64_t last = meta_u64(txn, META_ASIDE);
	struct arena *arena = arena_new(0);
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	r = last == 0 && !is_any ? RK_ENOTFOUND : env_cursor_open(txn, C_OUTBOX, &cursor);
	if (r == RK_OK)
		r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value);
	for (; r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__OutboxItem *item;

		arena_reset(arena, 2 * arena_budget(value.len));
		item = rkl__outbox_item__unpack(arena_allocator(arena), value.len, value.data);
		if (item == NULL)
			r = RK_ESTORE;
		else if (item->state != RKL__ITEM_STATE__DONE && item->op != RK__OP__OP_FETCH &&
			 (item->id <= last || (is_any && item->key_id.len > 0)))
			r = fn(user, item);
		if (r != RK_OK)
			break;
	}
	env_cursor_free(cursor);
	arena_free(arena);
	return r == RK_ENOTFOUND ? RK_OK : r;
}
