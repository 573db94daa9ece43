/*
 * Leaves that a reply has promised.  The reply to something of ours says where it was logged, and the entry that follows it in our streams
 * brings the leaf that can be proven; until then there is only the broker's word.  A row waits for that entry: one that comes
 * for another place, or another object in this place, is a contradiction, and none within a day is UNPROVEN.  The time
 * that a leaf needs is the entry's alone: a number that is repeated is answered with the time of the repetition.
 */
#include "client/log_internal.h"

#include "proto/strict.h"

struct promise {
	uint8_t key[LOG_PROMISE_KEY_BYTES];
	uint64_t index;
	const uint8_t *oh;           /* in the key */
	int64_t told_at;
	bool is_overdue_told;
};

static int put_promise(struct txn *t, unsigned number, uint64_t index, const uint8_t oh[32], int64_t told_at, bool is_overdue_told)
{
	Rkl__LogPromise row = RKL__LOG_PROMISE__INIT;
	uint8_t key[LOG_PROMISE_KEY_BYTES];

	row.told_at = told_at;
	row.overdue_told = is_overdue_told;
	log_seen_key(key, number, index, oh);
	return record_put(t, C_PROMISED, BYTES_OF(key), &row.base);
}

/* The first after the key that *p has, of this log.  RK_ENOTFOUND. */
static int next_promise(struct txn *t, unsigned number, struct promise *p)
{
	struct arena *a = arena_new(0);
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	Rkl__LogPromise *row;
	int r = RK_ENOMEM;

	if (a == NULL || (r = env_cursor_open(t, C_PROMISED, &cursor)) != RK_OK)
		goto out;
	r = env_cursor_seek(cursor, BYTES_OF(p->key), &key, &value);
	if (r == RK_OK && bytes_equal(key, BYTES_OF(p->key)))
		r = env_cursor_next(cursor, &key, &value);
	if (r != RK_OK)
		goto out;
	r = RK_ESTORE;
	if (key.len != sizeof(p->key))
		goto out;
	r = RK_ENOTFOUND;
	if (get_u32be(key.data) != number)
		goto out;
	r = RK_ESTORE;
	arena_raise(a, arena_budget(value.len));
	if ((row = rkl__log_promise__unpack(arena_allocator(a), value.len, value.data)) == NULL)
		goto out;
	memcpy(p->key, key.data, sizeof(p->key));
	p->index = get_u64be(p->key + 4);
	p->oh = p->key + LOG_LEAF_KEY_BYTES;
	p->told_at = row->told_at;
	p->is_overdue_told = row->overdue_told;
	r = RK_OK;
out:
	env_cursor_free(cursor);
	arena_free(a);
	return r;
}

static void before_all(struct promise *p, unsigned number)
{
	memset(p, 0, sizeof(*p));
	put_u32be(p->key, number);
}

/* What is told here of a leaf, against all that was promised.  *is_kept: it is one of these. */
static int compare(struct client *c, struct txn *t, const struct log_keys *k, uint64_t index, const uint8_t oh[32], bool *is_kept)
{
	struct log_fork other = {.fault = LOG_FAULT_LEAF};
	struct promise p;
	int r = RK_OK;

	*is_kept = false;
	before_all(&p, k->number);
	while (r == RK_OK && (r = next_promise(t, k->number, &p)) == RK_OK) {
		bool is_here = p.index == index, is_same = memcmp(p.oh, oh, ID32_BYTES) == 0;

		*is_kept |= is_here && is_same;
		other.leaf = p.index;
		if (is_here != is_same)
			r = log_fault(c, t, k, &other);
	}
	return r == RK_ENOTFOUND ? RK_OK : r;
}

int log_promise_kept(struct client *c, struct txn *t, const struct log_keys *k, uint64_t index, const uint8_t oh[32])
{
	uint8_t key[LOG_PROMISE_KEY_BYTES];
	bool is_kept;
	int r = compare(c, t, k, index, oh, &is_kept);

	if (r != RK_OK || !is_kept)
		return r;
	log_seen_key(key, k->number, index, oh);
	return env_del(t, C_PROMISED, BYTES_OF(key));
}

/* The entry may have come first: in this log, or in the part that it shares with the one before. */
static int find_entry(struct txn *t, unsigned number, uint64_t index, const uint8_t oh[32], struct arena *a, bool *is_there, bool *is_other)
{
	Rkl__LogLeaf *leaf;
	struct bytes key;
	int r = log_leaf_get(t, number, index, a, &leaf);

	*is_there = r == RK_OK && bytes_equal(bytes_of(leaf->oh), bytes_make(oh, ID32_BYTES));
	*is_other = r == RK_OK && !*is_there;
	if (r != RK_ENOTFOUND)
		return r;
	r = env_get(t, C_LEAF_OH, bytes_make(oh, ID32_BYTES), &key);
	if (r == RK_OK && key.len != LOG_LEAF_KEY_BYTES)
		return RK_ESTORE;
	*is_there = r == RK_OK && get_u64be(key.data + 4) == index;
	*is_other = r == RK_OK && !*is_there && get_u32be(key.data) == number;
	return r == RK_ENOTFOUND ? RK_OK : r;
}

int log_on_promise(struct client *c, struct txn *t, uint64_t index, const uint8_t oh[32])
{
	const struct log_fork other = {.fault = LOG_FAULT_LEAF, .leaf = index};
	struct arena *a = arena_new(LOG_ARENA);
	bool is_there, is_other, is_known;
	struct log_keys k;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = log_follow(c, t, &k)) != RK_OK || (r = find_entry(t, k.number, index, oh, a, &is_there, &is_other)) != RK_OK)
		goto out;
	if (is_other)
		r = log_fault(c, t, &k, &other);
	else if (!is_there && (r = compare(c, t, &k, index, oh, &is_known)) == RK_OK && !is_known)
		r = put_promise(t, k.number, index, oh, client_now(c), false);
out:
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* ---- too late */

/* The first after *p that has waited since `before`, or longer, and was not told. */
static int next_overdue(struct txn *t, unsigned number, int64_t before, struct promise *p)
{
	int r;

	do {
		r = next_promise(t, number, p);
	} while (r == RK_OK && (p->is_overdue_told || p->told_at > before));
	return r;
}

bool log_promise_is_overdue(struct txn *t, unsigned number, int64_t before)
{
	struct promise p;

	before_all(&p, number);
	return next_overdue(t, number, before, &p) == RK_OK;
}

int log_promise_accuse(struct client *c, struct txn *t, const struct log_keys *k, int64_t before)
{
	struct log_fork broken = {.fault = LOG_FAULT_UNPROVEN};
	struct promise p;
	int r = RK_OK;

	before_all(&p, k->number);
	while (r == RK_OK && (r = next_overdue(t, k->number, before, &p)) == RK_OK) {
		broken.leaf = p.index;
		if ((r = log_fault(c, t, k, &broken)) == RK_OK)
			r = put_promise(t, k->number, p.index, p.oh, p.told_at, true);
	}
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* ---- the next log */

int log_promise_carry(struct client *c, struct txn *t, unsigned from, unsigned to, uint64_t shared)
{
	struct promise p;
	int r = RK_OK;

	before_all(&p, from);
	while (r == RK_OK && (r = next_promise(t, from, &p)) == RK_OK) {
		if ((r = env_del(t, C_PROMISED, BYTES_OF(p.key))) != RK_OK)
			break;
		if (p.index < shared)
			r = put_promise(t, to, p.index, p.oh, client_now(c), false);
		else
			client_count(t, "log-lost");
	}
	return r == RK_ENOTFOUND ? RK_OK : r;
}
