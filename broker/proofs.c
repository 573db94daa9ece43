#include "broker/proofs.h"

#include "broker/rows.h"
#include "proto/errcode.h"
#include "proto/strict.h"

struct making {
	struct txn *txn;
	uint64_t size;
	merkle_hash root;
	struct arena *arena;
};

static int copy_proof(struct making *m, const merkle_hash *proof, size_t n, ProtobufCBinaryData *out)
{
	void *copy;

	arena_raise(m->arena, n * 32 + 32);
	if ((copy = arena_copy(m->arena, proof, n * 32)) == NULL)
		return RK_ENOMEM;
	*out = pb_of(bytes_make(copy, n * 32));
	return RK_OK;
}

static int add_consistency(struct making *m, uint64_t from, Rk__ProofSet *set)
{
	merkle_hash proof[MERKLE_PROOF_MAX], root;
	size_t n;

	if (merkle_consistency(from, m->size, rows_get_node, m->txn, proof, &n) != RK_OK ||
	    merkle_root(from, rows_get_node, m->txn, root) != RK_OK ||
	    merkle_check_consistency(from, root, m->size, m->root, proof, n) != RK_OK)
		return RK_EINTEGRITY;
	return copy_proof(m, proof, n, &set->consistency);
}

static int add_inclusion(struct making *m, uint64_t index, ProtobufCBinaryData *out)
{
	merkle_hash proof[MERKLE_PROOF_MAX], leaf;
	size_t n;

	if (merkle_inclusion(index, m->size, rows_get_node, m->txn, proof, &n) != RK_OK ||
	    !rows_get_node(m->txn, 0, index, leaf) ||
	    merkle_check_inclusion(index, m->size, leaf, proof, n, m->root) != RK_OK)
		return RK_EINTEGRITY;
	return copy_proof(m, proof, n, out);
}

static int check_question(const Rk__GetProof *q, uint64_t size)
{
	if (q->from_size > size)
		return RK_MALFORMED;
	for (size_t i = 0; i < q->n_indexes; i++)
		if (q->indexes[i] >= size)
			return RK_MALFORMED;
	return RK_OK;
}

int proofs_make(struct txn *txn, const Rk__GetProof *q, uint64_t size, struct arena *arena, struct bytes *out)
{
	struct making m = {.txn = txn, .size = size, .arena = arena};
	Rk__ProofSet set = RK__PROOF_SET__INIT;
	int r = check_question(q, size);

	*out = bytes_make(NULL, 0);
	if (r != RK_OK || (q->from_size == 0 && q->n_indexes == 0))
		return r;
	if (merkle_root(size, rows_get_node, txn, m.root) != RK_OK)
		return RK_EINTEGRITY;
	arena_raise(arena, q->n_indexes * sizeof(*set.inclusion) + 32);
	if ((set.inclusion = arena_alloc(arena, (q->n_indexes + 1) * sizeof(*set.inclusion))) == NULL)
		return RK_ENOMEM;
	if (q->from_size != 0 && (r = add_consistency(&m, q->from_size, &set)) != RK_OK)
		return r;
	for (; set.n_inclusion < q->n_indexes; set.n_inclusion++)
		if ((r = add_inclusion(&m, q->indexes[set.n_inclusion], &set.inclusion[set.n_inclusion])) != RK_OK)
			return r;
	return STRICT_PACK(&set, arena, out);
}
