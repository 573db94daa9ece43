/*
 * Asking.  One question at a time, in this order: the newest checkpoint, whose consistency with ours is proven before it takes its place,
 * and once more, with the streams caught up, before an entry that a reply promised a day ago is called missing; leaves of our tree
 * that are not proven; checkpoints that others have seen; leaves that no cosigned tree holds yet.  The newest for leaves that are
 * younger than ours comes last: a broker that never shows them must not keep the others from being asked about.
 */
#include "client/log_internal.h"

#define INDEXES_MAX 64

/* Up to 64 leaves of a table that stand in the tree of `size`. */
static size_t collect(struct txn *t, unsigned table, unsigned number, uint64_t size, uint64_t *indexes)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	uint8_t from[LOG_LEAF_KEY_BYTES];
	size_t n = 0;

	log_leaf_key(from, number, 0);
	if (env_cursor_open(t, table, &cursor) != RK_OK)
		return 0;
	for (int r = env_cursor_seek(cursor, BYTES_OF(from), &key, &value); r == RK_OK && n < INDEXES_MAX;
	     r = env_cursor_next(cursor, &key, &value)) {
		if (key.len != sizeof(from) || get_u32be(key.data) != number || get_u64be(key.data + 4) >= size)
			break;
		indexes[n++] = get_u64be(key.data + 4);
	}
	env_cursor_free(cursor);
	return n;
}

static void ask_newest(struct log_question *q, const struct log_head *ours)
{
	q->from = ours->checkpoint;
	q->from_size = q->from.size;
}

/* Consistency between what somebody else has seen and ours, from the smaller to the larger. */
static void ask_between(struct log_question *q, const struct checkpoint *ours, const struct checkpoint *theirs)
{
	bool is_newer = theirs->size > ours->size;

	q->from = is_newer ? *ours : *theirs;
	q->to = is_newer ? *theirs : *ours;
	q->from_size = q->from.size;
	q->size = q->to.size;
}

static bool next_of(struct client *c, struct txn *t, const struct log_keys *k, const struct log_head *head, struct arena *a,
		    struct log_question *q)
{
	uint8_t key[LOG_SEEN_KEY_BYTES];
	struct checkpoint theirs;
	struct log_head cosigned;

	if (log_promise_is_overdue(t, k->number, client_now(c) - LOG_PROVE_WITHIN_MS)) {
		ask_newest(q, head);
		q->is_last_call = true;
		return true;
	}
	if ((q->index_count = collect(t, C_UNPROVEN, k->number, head->checkpoint.size, q->indexes)) > 0) {
		q->to = head->checkpoint;
		q->size = q->to.size;
		return true;
	}
	if (log_first(t, C_LOG_SEEN, k->number, key, sizeof(key)) == RK_OK) {
		log_seen_checkpoint(k, key, &theirs);
		ask_between(q, &head->checkpoint, &theirs);
		return true;
	}
	if (log_head_load(c, t, k->number, log_cosigned_size(t, k->number), a, &cosigned) == RK_OK &&
	    (q->index_count = collect(t, C_UNCOSIGNED, k->number, cosigned.checkpoint.size, q->indexes)) > 0) {
		q->to = cosigned.checkpoint;
		q->size = q->to.size;
		return true;
	}
	/* All that are left unproven are younger than our newest tree. */
	if (log_first(t, C_UNPROVEN, k->number, key, LOG_LEAF_KEY_BYTES) != RK_OK)
		return false;
	ask_newest(q, head);
	q->wanted_by = get_u64be(key + 4) + 1;
	return true;
}

bool log_next_question(struct client *c, struct txn *t, bool fresh, struct log_question *q)
{
	struct arena *a = arena_new(LOG_ARENA);
	struct log_head head;
	struct log_keys k;
	bool any = false;

	memset(q, 0, sizeof(*q));
	if (a == NULL || log_keys(c, t, &k) != RK_OK)
		goto out;
	if (log_head_load(c, t, k.number, log_head_size(t, k.number), a, &head) != RK_OK) {
		/* The first checkpoint of a home has none before it to be compared with. */
		any = true;
		goto out;
	}
	if (fresh)
		ask_newest(q, &head);
	any = fresh || next_of(c, t, &k, &head, a, q);
out:
	arena_free(a);
	return any;
}
