/*
 * bench_gate FOLDER RECORDS: the lookup and the decision of the gate, among that many agreements of two parties, a million times, each of them chosen
 * at random.  The store is made in FOLDER.  One line of JSON; time is the process's CPU.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/rows.h"
#include "proto/errcode.h"
#include "store/tables.h"

#define ASKED 1000000
#define BATCH 2000
#define MAP_BYTES ((uint64_t)64 << 30)

static const uint8_t from[16] = {1}, to[16] = {2};

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_gate: %s\n", what);
	exit(1);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void id_of(uint8_t nda_id[32], uint32_t number)
{
	crypto_generichash(nda_id, 32, (const uint8_t *)&number, sizeof(number), NULL, 0);
}

/* In force, for both. */
static struct nda_row row_of(uint32_t number)
{
	struct nda_row row = {.not_before = 1, .not_after = (int64_t)1 << 50, .accept_by = (int64_t)1 << 50, .complete_at = 1, .party_count = 2};

	id_of(row.nda_id, number);
	memcpy(row.parties[0].org_id, from, sizeof(from));
	memcpy(row.parties[1].org_id, to, sizeof(to));
	for (unsigned p = 0; p < 2; p++) {
		row.parties[p].may_disclose = row.parties[p].may_receive = row.parties[p].has_accepted = 1;
		row.parties[p].accepted_at = 1;
	}
	return row;
}

static void fill(struct env *env, uint32_t records)
{
	for (uint32_t i = 0; i < records;) {
		struct txn *t;

		need(env_begin(env, true, &t) == RK_OK, "begin");
		for (uint32_t n = 0; n < BATCH && i < records; n++, i++) {
			struct nda_row row = row_of(i);

			need(rows_put_nda(t, &row) == RK_OK, "put");
		}
		need(env_commit(t) == RK_OK, "commit");
	}
}

/* Microseconds of each. */
static double ask(struct env *env, uint32_t records)
{
	const uint8_t *recipients[1] = {to};
	const struct nda_question q = {.sender_org = from, .recipients = recipients, .recipient_count = 1, .t_ms = 1000, .active = 3};
	uint8_t (*ids)[32] = calloc(ASKED, sizeof(*ids));
	struct txn *t;
	double cpu;

	need(ids != NULL && env_begin(env, false, &t) == RK_OK, "begin to read");
	for (int i = 0; i < ASKED; i++)
		id_of(ids[i], randombytes_uniform(records));
	cpu = cpu_seconds();
	for (int i = 0; i < ASKED; i++) {
		struct nda_row row;

		need(rows_get_nda(t, ids[i], &row) == RK_OK, "get");
		need(nda_gate(&row, &q) == RK_OK, "the gate is shut");
	}
	cpu = cpu_seconds() - cpu;
	env_abort(t);
	free(ids);
	return cpu / ASKED * 1e6;
}

int main(int argc, char **argv)
{
	struct env_options options = {.tables = broker_tables, .table_count = BROKER_TABLE_COUNT, .map_bytes = MAP_BYTES, .format = STORE_FORMAT,
	                              .create = true};
	uint32_t records = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	struct env *env = NULL;

	if (records == 0) {
		fprintf(stderr, "usage: bench_gate FOLDER RECORDS\n");
		return 2;
	}
	options.path = argv[1];
	need(sodium_init() >= 0 && env_open(&options, &env) == RK_OK, "open");
	fill(env, records);
	printf("{\"run\": \"gate\", \"agreements\": %u, \"us\": %.2f}\n", records, ask(env, records));
	env_close(env);
	return 0;
}
