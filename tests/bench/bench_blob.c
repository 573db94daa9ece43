/*
 * bench_blob FOLDER MIB [MIB_PER_S]: where the bulk of attachments should stand.  Small durable commits, one every few milliseconds, alone; then
 * while that many MiB flow in as 256 KiB values of the store; then while they flow into files beside it, as the broker does it.  Says what a
 * small commit takes (median, 99 %, longest), how fast the bulk went, and what the disk holds before and after all of it was deleted.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/blob.h"
#include "store/tables.h"

#define PART ((size_t)256 * 1024)
#define PARTS_A_BATCH 16  /* 4 MiB: what is there when several upload at once; a batch may have 16 MiB */
#define SMALL_EVERY_NS 4000000
#define SAMPLES_MAX 100000
#define FILE_BYTES ((uint64_t)64 << 20)

struct bench {
	struct env *env;
	struct blob_folder *folder;
	char store[300];
	uint64_t mib, rate;       /* rate 0: as fast as it goes */
	uint8_t *part;
	atomic_bool over;
	double *samples;
	size_t count;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int r, const char *what)
{
	if (r == RK_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, errcode_name(r));
	exit(1);
}

static void *small_commits(void *bench)
{
	const struct timespec pause = {.tv_nsec = SMALL_EVERY_NS};
	static const uint8_t value[1000];
	struct bench *b = bench;

	for (uint64_t n = 1; !atomic_load(&b->over) && b->count < SAMPLES_MAX; n++, nanosleep(&pause, NULL)) {
		double began = now();
		uint8_t key[8];
		struct txn *t;

		put_u64be(key, n);
		must(env_begin(b->env, true, &t), "begin");
		must(env_put(t, T_LOG, BYTES_OF(key), BYTES_OF(value), ENV_PUT), "put");
		must(env_commit(t), "commit");
		b->samples[b->count++] = now() - began;
	}
	return NULL;
}

static void keep_rate(const struct bench *b, double began, uint64_t bytes)
{
	double ahead = b->rate ? (double)bytes / (double)(b->rate << 20) - (now() - began) : 0;

	if (ahead > 0)
		usleep((useconds_t)(ahead * 1e6));
}

static void flow_into_store(struct bench *b)
{
	uint64_t parts = (b->mib << 20) / PART;
	double began = now();

	for (uint64_t n = 0; n < parts;) {
		struct txn *t;

		must(env_begin(b->env, true, &t), "begin");
		for (unsigned i = 0; i < PARTS_A_BATCH && n < parts; i++) {
			uint8_t key[8];

			put_u64be(key, ++n);
			must(env_put(t, T_BULK, BYTES_OF(key), bytes_make(b->part, PART), ENV_APPEND), "put");
		}
		must(env_commit(t), "commit");
		keep_rate(b, began, n * PART);
	}
}

static void flow_into_files(struct bench *b)
{
	uint64_t files = (b->mib << 20) / FILE_BYTES;
	double began = now();

	for (uint64_t f = 0; f < files; f++) {
		struct blob_part p;
		uint8_t sha256[32] = {(uint8_t)f};

		must(blob_part_open(b->folder, sha256, FILE_BYTES, 0, &p), "open");
		while (p.written < FILE_BYTES) {
			must(blob_part_write(&p, p.written, bytes_make(b->part, PART)), "write");
			if (p.written - p.synced >= (uint64_t)8 << 20)
				must(blob_part_sync(&p), "sync");
			keep_rate(b, began, f * FILE_BYTES + p.written);
		}
		must(blob_part_sync(&p), "sync");
		blob_part_close(&p); /* under the name of a .part: its hash is none */
	}
}

static void rest(struct bench *b)
{
	(void)b;
	sleep(5);
}

static void drop_all(struct bench *b, bool in_store)
{
	struct txn *t;
	bool any;

	for (unsigned f = 0; !in_store && f < (b->mib << 20) / FILE_BYTES; f++) {
		uint8_t sha256[32] = {(uint8_t)f};

		must(blob_drop(b->folder, sha256, &any), "drop");
	}
	for (uint64_t n = 1; in_store && n <= (b->mib << 20) / PART;) {
		must(env_begin(b->env, true, &t), "begin");
		for (unsigned i = 0; i < 256 && n <= (b->mib << 20) / PART; i++, n++) {
			uint8_t key[8];

			put_u64be(key, n);
			must(env_del(t, T_BULK, BYTES_OF(key)), "del");
		}
		must(env_commit(t), "commit");
	}
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

static uint64_t store_mib(const struct bench *b)
{
	struct stat st;

	return stat(b->store, &st) == 0 ? (uint64_t)st.st_blocks * 512 >> 20 : 0;
}

static void measure(struct bench *b, const char *name, void (*flow)(struct bench *))
{
	double began = now(), took;
	pthread_t small;

	b->count = 0;
	atomic_store(&b->over, false);
	pthread_create(&small, NULL, small_commits, b);
	flow(b);
	took = now() - began;
	atomic_store(&b->over, true);
	pthread_join(small, NULL);
	qsort(b->samples, b->count, sizeof(double), by_value);
	printf("%-6s small commits %5zu: median %6.2f ms, p99 %7.2f ms, longest %7.2f ms", name, b->count, b->samples[b->count / 2] * 1e3,
	       b->samples[b->count * 99 / 100] * 1e3, b->samples[b->count - 1] * 1e3);
	if (flow != rest)
		printf("; bulk %4.0f MiB/s", (double)b->mib / took);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct bench b = {.rate = argc > 3 ? strtoull(argv[3], NULL, 10) : 0};
	char path[256], blobs[256];
	struct env_options o = {.path = path, .tables = broker_tables, .table_count = BROKER_TABLE_COUNT, .map_bytes = (uint64_t)64 << 30,
	                        .format = STORE_FORMAT, .create = true};

	if (argc < 3 || sodium_init() < 0) {
		fprintf(stderr, "usage: bench_blob FOLDER MIB [MIB_PER_S]\n");
		return 2;
	}
	b.mib = strtoull(argv[2], NULL, 10);
	snprintf(path, sizeof(path), "%.200s/store", argv[1]);
	snprintf(blobs, sizeof(blobs), "%.200s/blobs", argv[1]);
	snprintf(b.store, sizeof(b.store), "%s/data.mdb", path);
	b.samples = calloc(SAMPLES_MAX, sizeof(double));
	b.part = malloc(PART);
	if (b.samples == NULL || b.part == NULL)
		return 1;
	randombytes_buf(b.part, PART);
	must(env_open(&o, &b.env), "store");
	must(blob_folder_open(blobs, true, &b.folder), "blobs");
	measure(&b, "alone", rest);
	measure(&b, "files", flow_into_files);
	printf("       store %llu MiB", (unsigned long long)store_mib(&b));
	drop_all(&b, false);
	printf(", after deletion %llu MiB, files 0\n", (unsigned long long)store_mib(&b));
	measure(&b, "store", flow_into_store);
	printf("       store %llu MiB", (unsigned long long)store_mib(&b));
	drop_all(&b, true);
	printf(", after deletion %llu MiB\n", (unsigned long long)store_mib(&b));
	blob_folder_close(b.folder);
	env_close(b.env);
	return 0;
}
