/*
 * merkle: the RFC 6962 tree of the log: hashes, growing, proofs and their verification.  Only complete subtrees are
 * stored; node (level, index) covers leaves [index << level, (index + 1) << level).  Roots and proofs of any size are
 * made from them on demand, in O(log n).  RFC 6962 2.1, RFC 9162 2.1.3 and 2.1.4; CRYPTO 2.10, mistake 17.
 * Pure; any thread.
 */
#ifndef RENKEI_PROTO_MERKLE_H
#define RENKEI_PROTO_MERKLE_H

#include "proto/bytes.h"

#define MERKLE_PROOF_MAX 64 /* hashes; a tree of 2^63 leaves needs no more */
#define MERKLE_LEAVES_PER_TOKEN 4 /* so many leaves of a GET_PROOF count as one more request, at the broker and in the client */

typedef uint8_t merkle_hash[32];

/** SHA-256(0x00 || entry), SHA-256(0x01 || left || right), SHA-256(""). */
void merkle_leaf(merkle_hash out, struct bytes entry);
void merkle_node(merkle_hash out, const merkle_hash left, const merkle_hash right);
void merkle_empty(merkle_hash out);

/** Reads the stored hash of a complete subtree; false if it is not there (damage). */
typedef bool merkle_get(void *user, unsigned level, uint64_t index, merkle_hash out);
/** Stores one; false stops the append. */
typedef bool merkle_put(void *user, unsigned level, uint64_t index, const merkle_hash hash);

/**
 * Where a complete subtree stands when all are numbered in the order in which they become complete: 0, 1, 2 …  A tree
 * of `size` leaves has merkle_count(size) of them.  So a store can append nodes and never insert one.
 */
uint64_t merkle_position(unsigned level, uint64_t index);
uint64_t merkle_count(uint64_t size);

/* The right edge of a tree: peak[l] is the complete subtree of 2^l leaves that bit l of size stands for. */
struct merkle_edge {
	uint64_t size;
	merkle_hash peak[64];
};

/** Reads the edge of a stored tree.  RK_ESTORE if a node is missing. */
int merkle_edge_load(struct merkle_edge *, uint64_t size, merkle_get *, void *user);
/** Adds one leaf and stores each subtree that it completes, in the order of merkle_position; reads nothing.
 *  RK_ESTORE if put failed: the edge is as before. */
int merkle_append(struct merkle_edge *, const merkle_hash leaf, merkle_put *, void *user);
void merkle_edge_root(const struct merkle_edge *, merkle_hash root);

/** Root of the first `size` leaves of a stored tree.  RK_ESTORE. */
int merkle_root(uint64_t size, merkle_get *, void *user, merkle_hash root);

/**
 * Audit path of leaf `index` in the tree of the first `size` leaves, and the consistency proof of two sizes,
 * 0 < size1 <= size2.  proof has room for MERKLE_PROOF_MAX.  RK_MALFORMED: no such leaf or sizes.  RK_ESTORE.
 */
int merkle_inclusion(uint64_t index, uint64_t size, merkle_get *, void *user, merkle_hash *proof, size_t *n);
int merkle_consistency(uint64_t size1, uint64_t size2, merkle_get *, void *user, merkle_hash *proof, size_t *n);

/** RK_OK or RK_BAD_SIGNATURE, for whatever is wrong.  Equal sizes need equal roots and an empty proof.  size1 = 0 proves
 *  nothing and is refused. */
int merkle_check_inclusion(uint64_t index, uint64_t size, const merkle_hash leaf, const merkle_hash *proof, size_t n,
                           const merkle_hash root) __attribute__((warn_unused_result));
int merkle_check_consistency(uint64_t size1, const merkle_hash root1, uint64_t size2, const merkle_hash root2,
                             const merkle_hash *proof, size_t n) __attribute__((warn_unused_result));

/** A leaf of our log: the packed LogEntry (PROTOCOL.md, "Log").  Returns its length; its leaf hash is merkle_leaf of it. */
#define MERKLE_ENTRY_MAX_BYTES 64
size_t merkle_entry(uint8_t out[MERKLE_ENTRY_MAX_BYTES], unsigned log_type, int64_t time_ms, const uint8_t oh[32]);

#endif
