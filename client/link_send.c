/*
 * link_send: the items of the outbox on their way out.
 *
 * An item gets its number and its exact frames in one transaction, before the first send; they go out again byte for byte
 * until they are answered.  Everything that leaves in doubt what the broker has (no answer, busy, out-of-order, a refusal that may
 * have consumed no number) ends in the same way: HELLO again, and link_number.c settles what stands.
 */
#include "client/link_internal.h"
#include "proto/strict.h"

#define ANSWER_WAIT_MS 10000
#define SEAL_BATCH 16
#define RATE_SHARE 0.8 /* of what HELLO allows: acknowledgements of other processes' items count too */

bool send_token(struct link *l)
{
	return send_tokens(l, 1);
}

static void refill(struct link *l)
{
	int64_t now = monotonic_ms();

	l->tokens += (double)(now - l->tokens_at) / 1000.0 * l->rate * RATE_SHARE;
	l->tokens_at = now;
	if (l->tokens > l->burst / 2)
		l->tokens = l->burst / 2;
}

bool send_token_bulk(struct link *l)
{
	refill(l);
	if (l->tokens < 1 + l->burst / 16)
		return false;
	l->tokens -= 1;
	return true;
}

bool send_tokens(struct link *l, unsigned cost)
{
	refill(l);
	if (l->tokens < 1)
		return false;
	l->tokens -= cost;
	return true;
}

/* The session is gone: what was in flight is known from the store.  Answers that came stay, they are true. */
void send_forget(struct link *l)
{
	l->flight_count = 0;
	l->scan_from = 0;
}

void send_clear_frames(Rkl__OutboxItem *item)
{
	item->n_frames = 0;
	item->frames = NULL;
}

/* ---- sending */

static int send_stored(struct link *l, struct flying *f)
{
	struct arena *arena = arena_new(0);
	struct bytes frames[WIRE_FRAMES_MAX];
	Rkl__OutboxItem *item;
	struct txn *txn;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		goto out;
	r = outbox_load(txn, f->id, arena, &item);
	env_abort(txn);
	if (r != RK_OK)
		goto out;
	r = RK_ESTORE;
	if (item->n_frames == 0 || item->n_frames > WIRE_FRAMES_MAX)
		goto out;
	for (size_t i = 0; i < item->n_frames; i++)
		frames[i] = bytes_of(item->frames[i]);
	r = wire_send(l->wire, frames, item->n_frames);
	if (r == RK_OK)
		f->sent_at = monotonic_ms();
out:
	arena_free(arena);
	return r;
}

static int send_flight(struct link *l)
{
	int64_t now = monotonic_ms();
	int r;

	for (size_t i = 0; i < l->flight_count; i++) {
		struct flying *f = &l->flight[i];

		if (f->sent_at != 0 && now - f->sent_at > ANSWER_WAIT_MS) {
			link_again(l, 0);
			return RK_OK;
		}
		if (f->sent_at != 0)
			continue;
		if (!send_token(l))
			return RK_OK;
		r = send_stored(l, f);
		if (r != RK_OK)
			return r == RK_BUSY ? RK_OK : r;
	}
	return RK_OK;
}

struct flying *send_find(struct link *l, uint64_t id)
{
	for (size_t i = 0; i < l->flight_count; i++)
		if (l->flight[i].id == id)
			return &l->flight[i];
	return NULL;
}

static bool has_numbered(const struct link *l)
{
	for (size_t i = 0; i < l->flight_count; i++)
		if (l->flight[i].number != 0)
			return true;
	return false;
}

static bool is_answered(const struct link *l, uint64_t id)
{
	for (size_t i = 0; i < l->answer_count; i++)
		if (l->answers[i].id == id)
			return true;
	return false;
}

/* The next QUEUED items in order: numbered ones, or one FETCH that stands before all of them. */
static int find_queued(struct link *l, struct txn *txn, uint64_t *ids, size_t max, size_t *count, bool *is_fetch)
{
	struct arena *arena = arena_new(0);
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	bool before = true; /* nothing QUEUED was met yet */
	uint8_t from[8];
	int r;

	*count = 0;
	*is_fetch = false;
	if (arena == NULL)
		return RK_ENOMEM;
	put_u64be(from, l->scan_from);
	r = env_cursor_open(txn, C_OUTBOX, &cursor);
	if (r == RK_OK)
		r = env_cursor_seek(cursor, BYTES_OF(from), &key, &value);
	for (; r == RK_OK && *count < max; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__OutboxItem *item;

		arena_reset(arena, 2 * arena_budget(value.len));
		item = rkl__outbox_item__unpack(arena_allocator(arena), value.len, value.data);
		if (item == NULL || key.len != 8) {
			r = RK_ESTORE;
			break;
		}
		if (item->state == RKL__ITEM_STATE__QUEUED)
			before = false;
		if (before)
			l->scan_from = item->id + 1;
		if (item->state != RKL__ITEM_STATE__QUEUED || send_find(l, item->id) != NULL || is_answered(l, item->id))
			continue;
		/* Its attachments are still on their way: others pass it. */
		if (item->attachments > 0 && attach_is_held(txn, item->id))
			continue;
		if (item->op == RK__OP__OP_FETCH && (*count > 0 || has_numbered(l)))
			break; /* it is about what the ones before it have asked for */
		ids[(*count)++] = item->id;
		*is_fetch = item->op == RK__OP__OP_FETCH;
		if (*is_fetch)
			break;
	}
	env_cursor_free(cursor);
	arena_free(arena);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* A failure of this machine stops the link; anything else is the item's end. */
static bool is_ours(int code)
{
	return code == RK_ENOMEM || code == RK_EIO || code == RK_EDISKFULL || code == RK_EPASSPHRASE || code == RK_EINTERNAL;
}

/* Gives one item its number and its frames; or its end, if it must not go out. */
static int seal_one(struct link *l, struct txn *txn, uint64_t id, uint64_t number, bool *sealed)
{
	struct arena *arena = arena_new(256 * 1024);
	Rkl__OutboxItem *item;
	int r, code;

	*sealed = false;
	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = outbox_load(txn, id, arena, &item)) != RK_OK)
		goto out;
	item->writer_epoch = pb_of(BYTES_OF(l->writer));
	code = seal_item(l->c, txn, item, number, arena);
	if ((r = env_error(txn)) != RK_OK)
		goto out;
	r = code;
	if (is_ours(code))
		goto out;
	if (code != RK_OK) {
		client_log(l->c, "link: item %llu (%s) not sent: %s", (unsigned long long)id, item->what, errcode_name(code));
		r = settle_end(l, txn, item, code, client_now(l->c));
	} else {
		item->state = RKL__ITEM_STATE__SENT;
		r = outbox_store(txn, item, RKL__ITEM_STATE__QUEUED);
		*sealed = true;
	}
out:
	arena_free_wiped(arena);
	return r;
}

static int seal_batch(struct link *l, const uint64_t *ids, size_t count)
{
	struct flying fresh[SEAL_BATCH];
	struct txn *txn;
	size_t n = 0;
	uint64_t number;
	int r;

	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	number = meta_u64(txn, META_NUMBER);
	for (size_t i = 0; i < count && r == RK_OK; i++) {
		bool sealed;

		r = seal_one(l, txn, ids[i], number + 1, &sealed);
		if (r == RK_OK && sealed)
			fresh[n++] = (struct flying){.id = ids[i], .number = ++number};
	}
	if (r == RK_OK)
		r = meta_put_u64(txn, META_NUMBER, number);
	if (r != RK_OK) {
		env_abort(txn);
		return r;
	}
	if ((r = env_commit(txn)) != RK_OK)
		return r;
	memcpy(l->flight + l->flight_count, fresh, n * sizeof(*fresh));
	l->flight_count += n;
	return RK_OK;
}

/* FETCH has no number and nothing to keep: it is made and sent in one go. */
static int send_fetch(struct link *l, uint64_t id)
{
	struct arena *arena = arena_new(64 * 1024);
	struct bytes header;
	Rkl__OutboxItem *item;
	struct txn *txn;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		goto out;
	if ((r = outbox_load(txn, id, arena, &item)) == RK_OK)
		r = seal_item(l->c, txn, item, 0, arena);
	env_abort(txn);
	if (r != RK_OK)
		goto out;
	header = bytes_of(item->frames[0]);
	if ((r = wire_send(l->wire, &header, 1)) == RK_OK)
		l->flight[l->flight_count++] = (struct flying){.id = id, .sent_at = monotonic_ms()};
	r = r == RK_BUSY ? RK_OK : r;
out:
	arena_free_wiped(arena);
	return r;
}

int send_tick(struct link *l)
{
	uint64_t ids[SEAL_BATCH];
	size_t room = LINK_FLIGHT_MAX - l->flight_count, count = 0;
	bool is_fetch = false;
	struct txn *txn;
	int r;

	if (l->read_only)
		return RK_OK;
	r = send_flight(l);
	if (r != RK_OK || l->state != LINK_UP || room == 0 || l->answer_count > 0)
		return r;
	if (l->must_again || !streams_may_seal(l) || !link_log_may_seal(l) || monotonic_ms() < l->reseal_at)
		return RK_OK;
	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		return r;
	if (meta_u64(txn, META_QUEUED) > 0 && (l->blob.scanned_txn != l->store_txn || l->flight_count > 0))
		r = find_queued(l, txn, ids, room < SEAL_BATCH ? room : SEAL_BATCH, &count, &is_fetch);
	env_abort(txn);
	/* While attachments are on their way there are many rounds, and nothing new to be sealed in most of them. */
	if (r == RK_OK && count == 0 && l->flight_count == 0)
		l->blob.scanned_txn = l->store_txn;
	if (r != RK_OK || count == 0)
		return r;
	if (is_fetch)
		return send_token(l) ? send_fetch(l, ids[0]) : RK_OK;
	if ((r = seal_batch(l, ids, count)) != RK_OK)
		return r;
	return send_flight(l);
}
