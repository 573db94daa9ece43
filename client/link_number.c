/*
 * link_number: whose numbers stand.  The answer to HELLO says the last number that the broker has of this writer; that is the
 * truth, and
 *
 *   last > ours           this home was restored from an older copy: a new writer; what is unanswered is sealed anew, but nothing
 *                         confidential, which the other copy may have sent: that ends here, and people are told
 *   number <= last        sent again: the stored outcome comes back
 *   number > last         sent again while numbers follow each other without a hole; from a hole on they were never taken,
 *                         so those items are sealed anew and the numbers go on from the hole
 *
 * A home that was restored from a backup (client/restore.c) has a new writer already, and the broker has nothing of it: what was open in
 * the backup ends here likewise, all of it.
 */
#include <stdlib.h>

#include <sodium.h>

#include "client/link_internal.h"
#include "proto/strict.h"

#define OPEN_MAX 512
#define PRUNE_SCAN 2000
#define PRUNE_BATCH 200
#define PRUNE_AGE_MS ((int64_t)7 * 86400000)

struct open_item {
	uint64_t id, number;
};

static int by_number(const void *a, const void *b)
{
	const struct open_item *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* All items of state SENT, by number. */
static int collect_sent(struct txn *txn, struct open_item *open, size_t *count)
{
	struct arena *arena = arena_new(0);
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r;

	*count = 0;
	if (arena == NULL)
		return RK_ENOMEM;
	if (meta_u64(txn, META_SENT) == 0) {
		arena_free(arena);
		return RK_OK;
	}
	r = env_cursor_open(txn, C_OUTBOX, &cursor);
	if (r == RK_OK)
		r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value);
	for (; r == RK_OK && *count < OPEN_MAX; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__OutboxItem *item;

		arena_reset(arena, 2 * arena_budget(value.len));
		item = rkl__outbox_item__unpack(arena_allocator(arena), value.len, value.data);
		if (item == NULL) {
			r = RK_ESTORE;
			break;
		}
		if (item->state == RKL__ITEM_STATE__SENT)
			open[(*count)++] = (struct open_item){item->id, item->number};
	}
	env_cursor_free(cursor);
	arena_free(arena);
	qsort(open, *count, sizeof(*open), by_number);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int requeue(struct txn *txn, uint64_t id)
{
	struct arena *arena = arena_new(0);
	Rkl__OutboxItem *item;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = outbox_load(txn, id, arena, &item)) == RK_OK) {
		send_clear_frames(item);
		item->number = 0;
		item->sealings = item->sealings > 0 ? item->sealings - 1 : 0;
		item->state = RKL__ITEM_STATE__QUEUED;
		r = outbox_store(txn, item, RKL__ITEM_STATE__SENT);
	}
	arena_free(arena);
	return r;
}

struct aside {
	uint64_t ids[OPEN_MAX];
	size_t count;
};

static int collect_aside(void *user, const Rkl__OutboxItem *item)
{
	struct aside *a = user;

	a->ids[a->count++] = item->id;
	return a->count < OPEN_MAX ? RK_OK : RK_ENOTFOUND; /* that is enough for once */
}

static int end_aside(struct link *l, struct txn *txn, const struct aside *a)
{
	struct arena *arena = arena_new(0);
	Rkl__OutboxItem *item;
	int r = arena == NULL ? RK_ENOMEM : RK_OK;

	for (size_t i = 0; i < a->count && r == RK_OK; i++) {
		arena_reset(arena, 0);
		if ((r = outbox_load(txn, a->ids[i], arena, &item)) == RK_OK)
			r = settle_aside(l, txn, item);
	}
	arena_free(arena);
	return r;
}

/* What another copy of this home may have sent since. */
static int set_aside(struct link *l, struct txn *txn, bool is_older)
{
	struct aside *a = calloc(1, sizeof(*a));
	int r = RK_OK;

	if (a == NULL)
		return RK_ENOMEM;
	do {
		a->count = 0;
		if ((r = outbox_each_aside(txn, is_older, collect_aside, a)) == RK_OK)
			r = end_aside(l, txn, a);
	} while (r == RK_OK && a->count == OPEN_MAX);
	free(a);
	return r == RK_OK && meta_u64(txn, META_ASIDE) != 0 ? meta_put_u64(txn, META_ASIDE, 0) : r;
}

/* This home is an older copy of itself: it may not reuse numbers that the broker knows with other content. */
static int restored(struct link *l, struct txn *txn, const struct open_item *open, size_t count)
{
	int r = RK_OK;

	for (size_t i = 0; i < count && r == RK_OK; i++)
		r = requeue(txn, open[i].id);
	if (r != RK_OK)
		return r;
	randombytes_buf(l->writer, sizeof(l->writer));
	client_count(txn, "restored");
	if ((r = meta_put(txn, META_WRITER, BYTES_OF(l->writer))) != RK_OK || (r = meta_put_u64(txn, META_NUMBER, 0)) != RK_OK)
		return r;
	return inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, (struct bytes){0}, NULL, client_now(l->c), "restored");
}

/* Which numbers stand; the rest is sealed anew. */
static int settle_numbers(struct link *l, struct txn *txn, const struct open_item *open, size_t count)
{
	uint64_t next = l->broker_last + 1;
	int r = RK_OK;

	for (size_t i = 0; i < count && r == RK_OK; i++) {
		if (open[i].number == next)
			next++;
		else if (open[i].number > next) {
			r = requeue(txn, open[i].id);
			continue;
		}
		if (l->flight_count < LINK_FLIGHT_MAX)
			l->flight[l->flight_count++] = (struct flying){.id = open[i].id, .number = open[i].number};
	}
	return r == RK_OK ? meta_put_u64(txn, META_NUMBER, next - 1) : r;
}

int send_reconcile(struct link *l)
{
	struct open_item *open = calloc(OPEN_MAX, sizeof(*open));
	struct txn *txn = NULL;
	bool is_older = false;
	size_t count;
	int r;

	if (open == NULL)
		return RK_ENOMEM;
	send_forget(l);
	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		goto out;
	is_older = l->broker_last > meta_u64(txn, META_NUMBER);
	if ((r = set_aside(l, txn, is_older)) != RK_OK || (r = collect_sent(txn, open, &count)) != RK_OK)
		goto out;
	r = is_older ? restored(l, txn, open, count) : settle_numbers(l, txn, open, count);
	if (r == RK_OK) {
		r = env_commit(txn);
		txn = NULL;
	}
out:
	env_abort(txn);
	free(open);
	/* The new writer introduces itself before it says anything. */
	if (r == RK_OK && is_older)
		link_again(l, 0);
	return r;
}

/* ---- outcomes of long ago */

int send_prune(struct client *c)
{
	struct arena *arena = arena_new(0);
	struct env_cursor *cursor = NULL;
	int64_t before = client_now(c) - PRUNE_AGE_MS;
	struct bytes key, value;
	struct txn *txn = NULL;
	unsigned seen = 0, deleted = 0;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(c->env, true, &txn)) != RK_OK || (r = env_cursor_open(txn, C_OUTBOX, &cursor)) != RK_OK)
		goto out;
	r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value);
	for (; r == RK_OK && seen < PRUNE_SCAN && deleted < PRUNE_BATCH; r = env_cursor_next(cursor, &key, &value), seen++) {
		Rkl__OutboxItem *item;

		arena_reset(arena, 2 * arena_budget(value.len));
		item = rkl__outbox_item__unpack(arena_allocator(arena), value.len, value.data);
		if (item == NULL || item->created_at >= before)
			break;
		if (item->state == RKL__ITEM_STATE__DONE && env_cursor_del(cursor) == RK_OK)
			deleted++;
	}
	env_cursor_free(cursor);
	r = RK_OK;
	if (deleted > 0) {
		r = env_commit(txn);
		txn = NULL;
	}
out:
	env_abort(txn);
	arena_free(arena);
	return r;
}
