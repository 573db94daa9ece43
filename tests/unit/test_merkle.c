/*
 * The log's tree: every published vector (RENKEI_VECTORS/merkle, default ../shared/vectors), the test tree of RFC 6962's reference
 * implementation, and every proof of every size up to 130 against a naive recursion written from the RFC's definitions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>
#include <jansson.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/merkle.h"

#define LEAVES_MAX 130

/* ---- a stored tree: nodes by merkle_position, as the broker keeps them */

struct tree {
	merkle_hash leaves[LEAVES_MAX];
	merkle_hash nodes[2 * LEAVES_MAX];
	uint64_t node_count;
	struct merkle_edge edge;
};

static bool put(void *user, unsigned level, uint64_t index, const merkle_hash h)
{
	struct tree *t = user;

	/* Nodes come in the order of their numbers: a store only ever appends. */
	assert_int_equal(merkle_position(level, index), t->node_count);
	memcpy(t->nodes[t->node_count++], h, 32);
	return true;
}

static bool get(void *user, unsigned level, uint64_t index, merkle_hash out)
{
	struct tree *t = user;
	uint64_t at = merkle_position(level, index);

	assert_true(at < t->node_count);
	memcpy(out, t->nodes[at], 32);
	return true;
}

static void grow(struct tree *t, struct bytes entry)
{
	uint64_t n = t->edge.size;

	merkle_leaf(t->leaves[n], entry);
	assert_int_equal(merkle_append(&t->edge, t->leaves[n], put, t), RK_OK);
	assert_int_equal(merkle_count(n + 1), t->node_count);
}

static struct tree *made(unsigned n)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	for (unsigned i = 0; i < n; i++) {
		uint8_t entry[4];

		put_u32be(entry, i * 7919);
		grow(t, BYTES_OF(entry));
	}
	return t;
}

/* ---- the definitions of RFC 6962 2.1, word for word */

static void naive_root(merkle_hash out, merkle_hash *d, size_t n)
{
	merkle_hash l, r;
	size_t k = 1;

	if (n == 0) {
		merkle_empty(out);
		return;
	}
	if (n == 1) {
		memcpy(out, d[0], 32);
		return;
	}
	while (2 * k < n)
		k *= 2;
	naive_root(l, d, k);
	naive_root(r, d + k, n - k);
	merkle_node(out, l, r);
}

static size_t naive_path(size_t m, merkle_hash *d, size_t n, merkle_hash *out)
{
	size_t k = 1, len;

	if (n == 1)
		return 0;
	while (2 * k < n)
		k *= 2;
	if (m < k) {
		len = naive_path(m, d, k, out);
		naive_root(out[len], d + k, n - k);
	} else {
		len = naive_path(m - k, d + k, n - k, out);
		naive_root(out[len], d, k);
	}
	return len + 1;
}

static size_t naive_proof(size_t m, merkle_hash *d, size_t n, bool whole, merkle_hash *out)
{
	size_t k = 1, len;

	if (m == n) {
		if (!whole)
			naive_root(out[0], d, m);
		return whole ? 0 : 1;
	}
	while (2 * k < n)
		k *= 2;
	if (m <= k) {
		len = naive_proof(m, d, k, whole, out);
		naive_root(out[len], d + k, n - k);
	} else {
		len = naive_proof(m - k, d + k, n - k, false, out);
		naive_root(out[len], d, k);
	}
	return len + 1;
}

static void proofs_of_every_size_equal_the_definitions(void **state)
{
	struct tree *t = made(LEAVES_MAX);
	merkle_hash got[MERKLE_PROOF_MAX], want[MERKLE_PROOF_MAX], root, root1;
	size_t n;

	(void)state;
	for (uint64_t size = 1; size <= LEAVES_MAX; size++) {
		naive_root(root, t->leaves, size);
		assert_int_equal(merkle_root(size, get, t, root1), RK_OK);
		assert_memory_equal(root, root1, 32);
		for (uint64_t i = 0; i < size; i++) {
			assert_int_equal(merkle_inclusion(i, size, get, t, got, &n), RK_OK);
			assert_int_equal(n, naive_path(i, t->leaves, size, want));
			assert_memory_equal(got, want, n * 32);
			assert_int_equal(merkle_check_inclusion(i, size, t->leaves[i], got, n, root), RK_OK);
			assert_int_equal(merkle_check_inclusion(i, size, t->leaves[(i + 1) % LEAVES_MAX], got, n, root),
			                 RK_BAD_SIGNATURE);
		}
		for (uint64_t from = 1; from <= size; from++) {
			naive_root(root1, t->leaves, from);
			assert_int_equal(merkle_consistency(from, size, get, t, got, &n), RK_OK);
			assert_int_equal(n, naive_proof(from, t->leaves, size, true, want));
			assert_memory_equal(got, want, n * 32);
			assert_int_equal(merkle_check_consistency(from, root1, size, root, got, n), RK_OK);
			root1[0] ^= 1;
			assert_int_equal(merkle_check_consistency(from, root1, size, root, got, n), RK_BAD_SIGNATURE);
		}
	}
	assert_int_equal(merkle_inclusion(5, 5, get, t, got, &n), RK_MALFORMED);
	assert_int_equal(merkle_consistency(0, 5, get, t, got, &n), RK_MALFORMED);
	assert_int_equal(merkle_consistency(6, 5, get, t, got, &n), RK_MALFORMED);
	free(t);
}

/* One bit of any hash, one hash less, one more: never accepted. */
static void a_bent_proof_is_refused(void **state)
{
	struct tree *t = made(77);
	merkle_hash proof[MERKLE_PROOF_MAX + 1], root1, root2;
	size_t n;

	(void)state;
	merkle_root(77, get, t, root2);
	merkle_root(50, get, t, root1);
	assert_int_equal(merkle_inclusion(33, 77, get, t, proof, &n), RK_OK);
	for (size_t i = 0; i < n * 256; i++) {
		proof[i / 256][i / 8 % 32] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(merkle_check_inclusion(33, 77, t->leaves[33], proof, n, root2), RK_BAD_SIGNATURE);
		proof[i / 256][i / 8 % 32] ^= (uint8_t)(1u << i % 8);
	}
	memset(proof[n], 0, 32);
	assert_int_equal(merkle_check_inclusion(33, 77, t->leaves[33], proof, n + 1, root2), RK_BAD_SIGNATURE);
	assert_int_equal(merkle_check_inclusion(33, 77, t->leaves[33], proof, n - 1, root2), RK_BAD_SIGNATURE);
	assert_int_equal(merkle_consistency(50, 77, get, t, proof, &n), RK_OK);
	for (size_t i = 0; i < n * 256; i++) {
		proof[i / 256][i / 8 % 32] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(merkle_check_consistency(50, root1, 77, root2, proof, n), RK_BAD_SIGNATURE);
		proof[i / 256][i / 8 % 32] ^= (uint8_t)(1u << i % 8);
	}
	memset(proof[n], 0, 32);
	assert_int_equal(merkle_check_consistency(50, root1, 77, root2, proof, n + 1), RK_BAD_SIGNATURE);
	assert_int_equal(merkle_check_consistency(50, root1, 77, root2, proof, n - 1), RK_BAD_SIGNATURE);
	assert_int_equal(merkle_check_consistency(0, root1, 77, root2, proof, 0), RK_BAD_SIGNATURE);
	free(t);
}

static void an_edge_is_read_back_from_the_store(void **state)
{
	struct tree *t = made(LEAVES_MAX);
	struct merkle_edge e;
	merkle_hash a, b;

	(void)state;
	for (uint64_t size = 0; size <= LEAVES_MAX; size++) {
		memset(&e, 0xaa, sizeof(e));
		assert_int_equal(merkle_edge_load(&e, size, get, t), RK_OK);
		merkle_edge_root(&e, a);
		naive_root(b, t->leaves, size);
		assert_memory_equal(a, b, 32);
	}
	free(t);
}

/* The tree of the reference implementation's tests: eight leaves, a root for each size. */
static void the_test_tree_of_rfc_6962(void **state)
{
	static const struct { const char *data, *root; } rows[] = {
		{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	};
	struct tree *t = calloc(1, sizeof(*t));
	merkle_hash root;
	char hex[65];

	(void)state;
	merkle_edge_root(&t->edge, root);
	ids_hex(hex, BYTES_OF(root));
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t entry[16];
		size_t len = strlen(rows[i].data) / 2;

		assert_true(ids_from_hex(entry, len, rows[i].data));
		grow(t, bytes_make(entry, len));
		merkle_edge_root(&t->edge, root);
		ids_hex(hex, BYTES_OF(root));
		assert_string_equal(hex, rows[i].root);
	}
	free(t);
}

/* ---- published vectors */

static unsigned seen_good, seen_bad;

/* A hash of another length cannot be given to our functions: that is their refusal. */
static bool read_hash(const json_t *value, merkle_hash out)
{
	const char *text = json_string_value(value);
	size_t len;

	return text != NULL && sodium_base642bin(out, 32, text, strlen(text), NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       len == 32;
}

static bool read_proof(const json_t *list, merkle_hash *out, size_t *n)
{
	*n = json_array_size(list);
	for (size_t i = 0; i < *n; i++)
		if (i >= MERKLE_PROOF_MAX || !read_hash(json_array_get(list, i), out[i]))
			return false;
	return true;
}

static uint64_t number(const json_t *v, const char *key)
{
	double n = json_number_value(json_object_get(v, key));

	/* Some are 2^64 - 1, or more than a double has places for: only in proofs that must be refused. */
	return n >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)n;
}

static bool holds(const json_t *v)
{
	merkle_hash proof[MERKLE_PROOF_MAX], a, b;
	size_t n;

	if (!read_proof(json_object_get(v, "proof"), proof, &n))
		return false;
	if (json_object_get(v, "leafIdx") != NULL)
		return read_hash(json_object_get(v, "leafHash"), a) && read_hash(json_object_get(v, "root"), b) &&
		       merkle_check_inclusion(number(v, "leafIdx"), number(v, "treeSize"), a, proof, n, b) == RK_OK;
	if (!read_hash(json_object_get(v, "root1"), a) || !read_hash(json_object_get(v, "root2"), b)) {
		/* "Do not care" roots of another length: equal texts of equal sizes are what the file means by consistent. */
		return number(v, "size1") == number(v, "size2") && number(v, "size1") > 0 && n == 0 &&
		       json_equal(json_object_get(v, "root1"), json_object_get(v, "root2"));
	}
	return merkle_check_consistency(number(v, "size1"), a, number(v, "size2"), b, proof, n) == RK_OK;
}

static int one_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	bool want_error;
	json_t *v;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	v = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(v);
	want_error = json_is_true(json_object_get(v, "wantErr"));
	if (holds(v) == want_error)
		fail_msg("%s: %s", path, want_error ? "accepted" : "refused");
	seen_good += !want_error;
	seen_bad += want_error;
	json_decref(v);
	return 0;
}

static void published_vectors(void **state)
{
	const char *folder = getenv("RENKEI_VECTORS"), *kinds[] = {"inclusion", "consistency"};
	char path[4096];

	(void)state;
	if (folder == NULL || folder[0] == '\0')
		folder = "../shared/vectors";
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/merkle/%s", folder, kinds[i]);
		if (access(path, R_OK) != 0) {
			printf("skipped: no vectors at %s\n", path);
			skip();
		}
		assert_int_equal(nftw(path, one_file, 16, FTW_PHYS), 0);
	}
	printf("%u accepted, %u refused\n", seen_good, seen_bad);
	assert_int_equal(seen_good + seen_bad, 196);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(the_test_tree_of_rfc_6962),
		cmocka_unit_test(proofs_of_every_size_equal_the_definitions),
		cmocka_unit_test(a_bent_proof_is_refused),
		cmocka_unit_test(an_edge_is_read_back_from_the_store),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
