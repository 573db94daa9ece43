/*
 * bench_tree FOLDER LEAVES: the log's tree as the broker keeps it, grown to that many leaves; what a leaf costs, what the tree takes on disk, and
 * size and time of proofs at that size.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/proofs.h"
#include "broker/rows.h"
#include "proto/strict.h"

#define LEAVES_A_COMMIT 50000
#define ASKED 20000

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int grow(struct env *env, struct merkle_edge *edge, uint64_t leaves)
{
	struct txn *t = NULL;
	int r = RK_OK;

	while (edge->size < leaves && r == RK_OK) {
		if ((r = env_begin(env, true, &t)) != RK_OK)
			return r;
		for (unsigned i = 0; i < LEAVES_A_COMMIT && edge->size < leaves && r == RK_OK; i++) {
			uint8_t entry[MERKLE_ENTRY_MAX_BYTES], oh[32], key[8];
			merkle_hash leaf;
			size_t len;

			put_u64be(key, edge->size);
			crypto_generichash(oh, 32, key, sizeof(key), NULL, 0);
			len = merkle_entry(entry, RK__LOG_TYPE__LOG_PICKUP, 1800000000000, oh);
			if ((r = env_put(t, T_LOG, BYTES_OF(key), bytes_make(entry, len), ENV_APPEND)) != RK_OK)
				break;
			merkle_leaf(leaf, bytes_make(entry, len));
			r = merkle_append(edge, leaf, rows_put_node, t);
		}
		r = r == RK_OK ? env_commit(t) : r;
	}
	return r;
}

/* One question at a time, as deliver answers it: checked before it is given out. */
static int ask(struct env *env, struct arena *arena, uint64_t size, size_t indexes, bool consistency, size_t *bytes)
{
	uint64_t list[64];
	Rk__GetProof q = RK__GET_PROOF__INIT;
	struct bytes set;
	struct txn *t;
	int r = env_begin(env, false, &t);

	if (r != RK_OK)
		return r;
	q.indexes = list;
	for (q.n_indexes = 0; q.n_indexes < indexes; q.n_indexes++)
		list[q.n_indexes] = ((uint64_t)randombytes_random() << 16 | randombytes_random() >> 16) % size;
	if (consistency)
		q.from_size = 1 + ((uint64_t)randombytes_random() << 16) % size;
	arena_reset(arena, arena_budget(1024));
	r = proofs_make(t, &q, size, arena, &set);
	env_abort(t);
	*bytes += set.len;
	return r;
}

static int measure(struct env *env, uint64_t size, const char *what, size_t indexes, bool consistency)
{
	struct arena *arena = arena_new(0);
	size_t bytes = 0, n = ASKED / (indexes > 1 ? indexes : 1);
	double began = cpu();
	int r = RK_OK;

	for (size_t i = 0; i < n && r == RK_OK; i++)
		r = ask(env, arena, size, indexes, consistency, &bytes);
	printf("tree: %-24s %8.1f us CPU, %6.0f bytes each\n", what, (cpu() - began) / (double)n * 1e6, (double)bytes / (double)n);
	arena_free(arena);
	return r;
}

int main(int argc, char **argv)
{
	struct env_options options = {.tables = broker_tables, .table_count = BROKER_TABLE_COUNT, .map_bytes = (uint64_t)64 << 30,
	                              .format = STORE_FORMAT, .create = true};
	struct merkle_edge edge = {0};
	struct env_status status;
	uint64_t leaves = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	struct env *env;
	double began;

	if (leaves == 0 || sodium_init() < 0) {
		fprintf(stderr, "usage: bench_tree FOLDER LEAVES\n");
		return 2;
	}
	options.path = argv[1];
	if (env_open(&options, &env) != RK_OK)
		return 1;
	began = cpu();
	if (grow(env, &edge, leaves) != RK_OK || env_status(env, &status) != RK_OK)
		return 1;
	printf("tree: %llu leaves, %.2f us CPU a leaf, %.1f bytes a leaf on disk (entry and nodes)\n", (unsigned long long)leaves,
	       (cpu() - began) / (double)leaves * 1e6, (double)status.used_bytes / (double)leaves);
	if (measure(env, leaves, "inclusion", 1, false) != RK_OK || measure(env, leaves, "inclusion of 64", 64, false) != RK_OK ||
	    measure(env, leaves, "consistency", 0, true) != RK_OK)
		return 1;
	env_close(env);
	return 0;
}
