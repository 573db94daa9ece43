/*
 * The log as a tree: each leaf is hashed into it in the transaction that writes the leaf, and the root stands in the store with the
 * commit that made it.  Nothing is signed here; what was committed is what may be signed.  CRYPTO 2.10.
 *
 * Read-only.  A tree under our own signature that this store does not lead to means that the store is older than what this broker has
 * said: it was restored from a copy, or another broker runs with its keys.  Whatever it took or released now might contradict
 * what is signed already, and a termination may be among the lost: so it takes and releases nothing, for good, until a charter comes
 * (adoption) with a log after the one that was signed.  The mark is a row: a restart does not forget it.
 */
#include "broker/apply_internal.h"

#define CATCH_UP_LEAVES 50000        /* of one transaction */
#define COSIGN_PAUSE_S 60            /* between two cosigned checkpoints, so that the control stream stays small */

/* ---- between batches */

static int optional(int rc)
{
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

/* One flipped bit in a node would make an honest broker sign a tree that it never had: the root says whether the edge is whole. */
static int load_edge(struct apply *a, struct txn *t)
{
	struct rows_tree tree = {0};
	merkle_hash root;
	int rc = optional(rows_get_tree(t, &tree));

	if (rc != RK_OK)
		return rc;
	if ((rc = merkle_edge_load(&a->edge, tree.size, rows_get_node, t)) != RK_OK)
		return rc;
	merkle_edge_root(&a->edge, root);
	if (tree.size == 0)
		memcpy(tree.root, root, sizeof(root));
	a->head = tree;
	return memcmp(root, tree.root, 32) == 0 ? RK_OK : RK_ESTORE;
}

int apply_log_load(struct apply *a, struct txn *t)
{
	int rc = load_edge(a, t);

	if (rc != RK_OK)
		return rc;
	memset(&a->fork, 0, sizeof(a->fork));
	memset(&a->cosigned, 0, sizeof(a->cosigned));
	if ((rc = optional(rows_get_fork(t, &a->fork))) != RK_OK)
		return rc;
	return optional(rows_get_cosigned(t, &a->cosigned));
}

static int put_head(struct txn *t, const struct merkle_edge *edge, struct rows_tree *head)
{
	head->size = edge->size;
	merkle_edge_root(edge, head->root);
	return rows_put_tree(t, head);
}

/* At most CATCH_UP_LEAVES more leaves into the tree; *more: T_LOG has others. */
static int catch_up_some(struct txn *t, struct merkle_edge *edge, uint64_t size, struct rows_tree *head, bool *more)
{
	int rc = RK_OK;

	for (unsigned i = 0; i < CATCH_UP_LEAVES && edge->size < size && rc == RK_OK; i++) {
		struct bytes entry;
		merkle_hash leaf;
		uint8_t key[8];

		put_u64be(key, edge->size);
		if ((rc = env_get(t, T_LOG, BYTES_OF(key), &entry)) != RK_OK)
			return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
		merkle_leaf(leaf, entry);
		rc = merkle_append(edge, leaf, rows_put_node, t);
	}
	*more = edge->size < size;
	return rc == RK_OK ? put_head(t, edge, head) : rc;
}

/* Each transaction leaves a whole tree of as many leaves as its root says: a kill in between costs nothing. */
int apply_log_catch_up(struct apply *a)
{
	bool more = true;
	int rc = RK_OK;

	while (more && rc == RK_OK) {
		struct merkle_edge edge = a->edge;
		struct rows_tree head;
		struct txn *t = NULL;
		uint64_t size;

		if ((rc = env_begin(a->env, true, &t)) != RK_OK)
			return rc;
		rc = rows_log_size(t, &size);
		if (rc == RK_OK && size < edge.size)
			rc = RK_ESTORE;
		if (rc != RK_OK || size == edge.size) {
			env_abort(t);
			return rc;
		}
		if ((rc = catch_up_some(t, &edge, size, &head, &more)) != RK_OK) {
			int sticky = env_error(t);

			env_abort(t);
			return sticky != RK_OK ? sticky : rc;
		}
		if ((rc = env_commit(t)) == RK_OK) {
			a->edge = edge;
			a->head = head;
		}
	}
	return rc;
}

/* ---- in a batch */

int apply_log_grow(struct apply *a, struct bytes entry)
{
	merkle_hash leaf;

	merkle_leaf(leaf, entry);
	return merkle_append(&a->edge, leaf, rows_put_node, apply_w(a));
}

int apply_log_flush(struct apply *a)
{
	/* Not apply_w: the root is no trace of one command. */
	return a->edge.size == a->head.size ? RK_OK : put_head(a->txn, &a->edge, &a->next_head);
}

/* Does our tree, as it stands in this batch, lead to this one? */
static int is_ours(struct apply *a, const struct checkpoint *seen, bool *ours)
{
	merkle_hash root;
	int rc = RK_OK;

	*ours = false;
	if (seen->size > a->edge.size)
		return RK_OK;
	if (seen->size == a->edge.size)
		merkle_edge_root(&a->edge, root);
	else
		rc = merkle_root(seen->size, rows_get_node, a->txn, root);
	*ours = rc == RK_OK && memcmp(root, seen->root, 32) == 0;
	return rc;
}

unsigned apply_log_number(const struct apply *a)
{
	return note_origin_number(a->log_key.name, a->exchange_id);
}

int apply_log_seen(struct apply *a, const struct checkpoint *seen)
{
	unsigned number = note_origin_number(seen->origin, a->exchange_id), own = apply_log_number(a);
	bool ours = false;
	int rc;

	/* Of a log before this one there is nothing to say: the charter that began this one has closed it.  And a mark is raised, never
	 * lowered: it says which log was the last. */
	if (seen->size == 0 || number < own || number <= a->fork.log)
		return RK_OK;
	if (number == own && ((rc = is_ours(a, seen, &ours)) != RK_OK || ours))
		return rc;
	a->fork = (struct rows_fork){.log = number, .size = seen->size};
	return rows_put_fork(apply_w(a), &a->fork);
}

/* ---- PUT_CHECKPOINT: the witness has cosigned one of ours; all members get it */

static int check_cosigned(struct apply *a, const struct note_opened *n)
{
	bool ours;
	int rc;

	if (!n->is_cosigned || n->checkpoint.size == 0)
		return RK_MALFORMED;
	if (apply_check_clock(a, n->witness_s * 1000) != RK_OK)
		return RK_CLOCK;
	/* A witness never goes back, neither in the tree nor in time; and it need not speak every second. */
	if (n->checkpoint.size < a->cosigned.size || n->witness_s <= a->cosigned.witness_s)
		return RK_CONFLICT;
	if (n->witness_s < a->cosigned.witness_s + COSIGN_PAUSE_S)
		return RK_DUPLICATE;
	if ((rc = is_ours(a, &n->checkpoint, &ours)) != RK_OK)
		return rc;
	return ours ? RK_OK : RK_CONFLICT;
}

int apply_log_put_checkpoint(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	struct stream_id control = stream_control();
	struct stream_entry e = {.kind = RK__ENTRY_KIND__ENTRY_CHECKPOINT, .object = c->object};
	int rc;

	(void)r;
	if (!apply_is_secretariat(m))
		return RK_NOT_PERMITTED;
	if ((rc = check_cosigned(a, &c->note)) != RK_OK || (rc = apply_check_room(a, MARK_HARD)) != RK_OK)
		return rc;

	a->cosigned = (struct rows_cosigned){c->note.checkpoint.size, c->note.witness_s};
	if ((rc = rows_put_cosigned(apply_w(a), &a->cosigned)) != RK_OK)
		return rc;
	return apply_batch_entry(a, &control, 1, &e, NULL, NULL);
}
