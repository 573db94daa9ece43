/*
 * proofs: answers of GET_PROOF, from the stored subtrees in one read transaction.  A broker never gives out a proof that it has not
 * checked itself: a damaged node must look like damage here and not like a forged history at the client.  CRYPTO 2.10.
 */
#ifndef RENKEI_BROKER_PROOFS_H
#define RENKEI_BROKER_PROOFS_H

#include "proto/arena.h"
#include "proto/merkle.h"
#include "renkei.pb-c.h"
#include "store/env.h"

/**
 * Consistency from q->from_size (0: not asked) and inclusion of q->indexes, both to the tree of `size` leaves.  *set is a packed
 * ProofSet in the arena, empty where nothing was asked.  RK_MALFORMED (an index or from_size that this tree does not have),
 * RK_EINTEGRITY (damage), RK_ENOMEM.
 */
int proofs_make(struct txn *, const Rk__GetProof *q, uint64_t size, struct arena *, struct bytes *set);

#endif
