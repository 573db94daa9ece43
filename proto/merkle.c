#include "proto/merkle.h"

#include <assert.h>

#include <sodium.h>

#include "proto/errcode.h"
#include "proto/strict.h"
#include "renkei.pb-c.h"

/* ---- hashes */

void merkle_leaf(merkle_hash out, struct bytes entry)
{
	static const uint8_t prefix = 0x00;
	crypto_hash_sha256_state s;

	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, &prefix, 1);
	crypto_hash_sha256_update(&s, entry.data, entry.len);
	crypto_hash_sha256_final(&s, out);
}

void merkle_node(merkle_hash out, const merkle_hash left, const merkle_hash right)
{
	uint8_t both[1 + 2 * 32] = {0x01};

	memcpy(both + 1, left, 32);
	memcpy(both + 33, right, 32);
	crypto_hash_sha256(out, both, sizeof(both));
}

void merkle_empty(merkle_hash out)
{
	crypto_hash_sha256(out, NULL, 0);
}

/* ---- numbering */

/* Each leaf completes one subtree for itself, and each carry of the binary count one more. */
uint64_t merkle_count(uint64_t size)
{
	return 2 * size - (uint64_t)__builtin_popcountll(size);
}

uint64_t merkle_position(unsigned level, uint64_t index)
{
	/* The last leaf below it completes levels 0 … level, in this order. */
	uint64_t last_leaf = ((index + 1) << level) - 1;

	return merkle_count(last_leaf) + level;
}

/* ---- the edge */

static bool has_level(uint64_t size, unsigned level)
{
	return size >> level & 1;
}

int merkle_edge_load(struct merkle_edge *e, uint64_t size, merkle_get *get, void *user)
{
	uint64_t covered = 0;

	e->size = size;
	for (unsigned level = 64; level-- > 0;) {
		if (!has_level(size, level))
			continue;
		if (!get(user, level, covered >> level, e->peak[level]))
			return RK_ESTORE;
		covered += (uint64_t)1 << level;
	}
	return RK_OK;
}

int merkle_append(struct merkle_edge *e, const merkle_hash leaf, merkle_put *put, void *user)
{
	uint64_t index = e->size;
	unsigned level = 0;
	merkle_hash h;

	assert(e->size < UINT64_MAX >> 1);
	memcpy(h, leaf, 32);
	if (!put(user, 0, index, h))
		return RK_ESTORE;
	while (index & 1) {
		merkle_node(h, e->peak[level], h);
		index >>= 1;
		level++;
		if (!put(user, level, index, h))
			return RK_ESTORE;
	}
	memcpy(e->peak[level], h, 32);
	e->size++;
	return RK_OK;
}

void merkle_edge_root(const struct merkle_edge *e, merkle_hash root)
{
	bool any = false;

	merkle_empty(root);
	for (unsigned level = 0; level < 64; level++) {
		if (!has_level(e->size, level))
			continue;
		if (any)
			merkle_node(root, e->peak[level], root);
		else
			memcpy(root, e->peak[level], 32);
		any = true;
	}
}

/* ---- proofs */

/* Root of leaves [begin, begin + n); begin is a multiple of a power of two that is not below n, as in RFC 6962's recursion. */
static int subtree(uint64_t begin, uint64_t n, merkle_get *get, void *user, merkle_hash out)
{
	struct merkle_edge e = {.size = n};
	uint64_t at = begin;

	for (unsigned level = 64; level-- > 0;) {
		if (!has_level(n, level))
			continue;
		if (!get(user, level, at >> level, e.peak[level]))
			return RK_ESTORE;
		at += (uint64_t)1 << level;
	}
	merkle_edge_root(&e, out);
	return RK_OK;
}

int merkle_root(uint64_t size, merkle_get *get, void *user, merkle_hash root)
{
	return subtree(0, size, get, user, root);
}

/* The largest power of two below n; n >= 2. */
static uint64_t split(uint64_t n)
{
	return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

static void reverse(merkle_hash *proof, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		merkle_hash t;

		memcpy(t, proof[i], 32);
		memcpy(proof[i], proof[n - 1 - i], 32);
		memcpy(proof[n - 1 - i], t, 32);
	}
}

/* The subtree in which a proof stands, and where in it: the leaf, or the size of the earlier tree. */
struct descent {
	uint64_t begin, len, m;
};

/* A proof goes from the root down, a sibling at each step; it is the reverse of what is met. */
static int descend(struct descent *d, uint64_t k, bool is_left, merkle_get *get, void *user, merkle_hash sibling)
{
	int r = is_left ? subtree(d->begin + k, d->len - k, get, user, sibling) : subtree(d->begin, k, get, user, sibling);

	if (r != RK_OK)
		return r;
	if (is_left) {
		d->len = k;
	} else {
		d->begin += k;
		d->len -= k;
		d->m -= k;
	}
	return RK_OK;
}

int merkle_inclusion(uint64_t index, uint64_t size, merkle_get *get, void *user, merkle_hash *proof, size_t *n)
{
	struct descent d = {.len = size, .m = index};
	int r;

	*n = 0;
	if (index >= size)
		return RK_MALFORMED;
	while (d.len > 1) {
		uint64_t k = split(d.len);

		if ((r = descend(&d, k, d.m < k, get, user, proof[*n])) != RK_OK)
			return r;
		(*n)++;
	}
	reverse(proof, *n);
	return RK_OK;
}

int merkle_consistency(uint64_t size1, uint64_t size2, merkle_get *get, void *user, merkle_hash *proof, size_t *n)
{
	struct descent d = {.len = size2, .m = size1};
	bool is_whole = true; /* the first tree is one complete subtree so far: its root needs no mention */
	int r;

	*n = 0;
	if (size1 == 0 || size1 > size2)
		return RK_MALFORMED;
	while (d.m != d.len) {
		uint64_t k = split(d.len);
		bool is_left = d.m <= k;

		if ((r = descend(&d, k, is_left, get, user, proof[*n])) != RK_OK)
			return r;
		(*n)++;
		is_whole = is_whole && is_left;
	}
	if (!is_whole) {
		if ((r = subtree(d.begin, d.len, get, user, proof[*n])) != RK_OK)
			return r;
		(*n)++;
	}
	reverse(proof, *n);
	return RK_OK;
}

/* ---- verification: RFC 9162 2.1.3.2 and 2.1.4.2 */

int merkle_check_inclusion(uint64_t index, uint64_t size, const merkle_hash leaf, const merkle_hash *proof, size_t n,
                           const merkle_hash root)
{
	uint64_t fn = index, sn = size - 1;
	merkle_hash r;

	if (index >= size || n > MERKLE_PROOF_MAX)
		return RK_BAD_SIGNATURE;
	memcpy(r, leaf, 32);
	for (size_t i = 0; i < n; i++) {
		if (sn == 0)
			return RK_BAD_SIGNATURE;
		if (fn & 1 || fn == sn) {
			merkle_node(r, proof[i], r);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(r, r, proof[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && memcmp(r, root, 32) == 0 ? RK_OK : RK_BAD_SIGNATURE;
}

int merkle_check_consistency(uint64_t size1, const merkle_hash root1, uint64_t size2, const merkle_hash root2,
                             const merkle_hash *proof, size_t n)
{
	uint64_t fn = size1 - 1, sn = size2 - 1;
	/* A first tree that is one complete subtree stands in the proof by its root. */
	bool is_whole = (size1 & (size1 - 1)) == 0;
	merkle_hash fr, sr;
	size_t i = 0;

	if (size1 == 0 || size1 > size2 || n > MERKLE_PROOF_MAX)
		return RK_BAD_SIGNATURE;
	if (size1 == size2)
		return n == 0 && memcmp(root1, root2, 32) == 0 ? RK_OK : RK_BAD_SIGNATURE;
	if (n == 0)
		return RK_BAD_SIGNATURE;
	while (fn & 1) {
		fn >>= 1;
		sn >>= 1;
	}
	memcpy(fr, is_whole ? root1 : proof[i++], 32);
	memcpy(sr, fr, 32);
	for (; i < n; i++) {
		if (sn == 0)
			return RK_BAD_SIGNATURE;
		if (fn & 1 || fn == sn) {
			merkle_node(fr, proof[i], fr);
			merkle_node(sr, proof[i], sr);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(sr, sr, proof[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && memcmp(fr, root1, 32) == 0 && memcmp(sr, root2, 32) == 0 ? RK_OK : RK_BAD_SIGNATURE;
}

/* ---- entries of our log */

size_t merkle_entry(uint8_t out[MERKLE_ENTRY_MAX_BYTES], unsigned log_type, int64_t time_ms, const uint8_t oh[32])
{
	Rk__LogEntry e = RK__LOG_ENTRY__INIT;

	e.version = 1;
	e.type = (Rk__LogType)log_type;
	e.time_ms = time_ms;
	e.oh = pb_of(bytes_make(oh, 32));
	assert(rk__log_entry__get_packed_size(&e) <= MERKLE_ENTRY_MAX_BYTES);
	return rk__log_entry__pack(&e, out);
}
