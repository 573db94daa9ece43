/*
 * bench_nda ROUNDS: disclosures under an agreement and their pickups through the broker's own steps: strict parse, verify, apply (gate,
 * leaves of the log, commit with fsync) in batches of a hundred, against Ed25519 alone over as many bytes.  A message that reaches its
 * receiver has two signatures to prove: the sender's and, on the pickup, the receiver's.  One line of JSON; times are of the
 * process's CPU, of the median round.  The sockets and the threads between the steps are not in it.  The store lies in TMPDIR.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/request.h"
#include "proto/strict.h"
#include "tests/unit/world.h"

#define COUNT 300              /* of a round: disclosures, and pickups */
#define BATCH 100
#define ROUNDS_MAX 6           /* the world keeps WORLD_COMMANDS_MAX commands */
#define COMMAND_BYTES ((size_t)4 << 20)
#define FROM 1
#define TO 2

static struct world w;
static struct command *disclosures[COUNT], *pickups[COUNT];
static uint8_t env_ids[COUNT][32];

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ed25519 over as many bytes as the commands' signatures are over, under the same keys, as often as the broker does it. */
static double ed25519(struct command **list, const uint8_t pk[32], const uint8_t sk[64])
{
	uint8_t sig[64];
	double began;
	struct bytes signed_bytes;

	signed_bytes = list[0]->envelope.header != NULL ? bytes_of(list[0]->req->head->payload) : list[0]->object;
	crypto_sign_detached(sig, NULL, signed_bytes.data, signed_bytes.len, sk);
	began = now(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < COUNT; i++)
		world_need(crypto_sign_verify_detached(sig, signed_bytes.data, signed_bytes.len, pk) == 0);
	return now(CLOCK_PROCESS_CPUTIME_ID) - began;
}

/* What admit and verify do, once more over the same frames. */
static double prove(struct command **list)
{
	double began = now(CLOCK_PROCESS_CPUTIME_ID);

	for (int i = 0; i < COUNT; i++) {
		arena_reset(list[i]->arena, COMMAND_BYTES);
		world_need(request_parse(list[i]) == RK_OK && request_route(list[i]) == REQUEST_VERIFY && verify_command(w.verify, list[i]) &&
			   list[i]->refusal == RK_OK);
	}
	return now(CLOCK_PROCESS_CPUTIME_ID) - began;
}

static double apply(struct command **list)
{
	int codes[BATCH];
	double began = now(CLOCK_PROCESS_CPUTIME_ID);

	for (int i = 0; i < COUNT; i += BATCH) {
		world_run_batch(&w, list + i, BATCH, codes);
		for (int j = 0; j < BATCH; j++)
			world_need(codes[j] == RK_OK);
	}
	return now(CLOCK_PROCESS_CPUTIME_ID) - began;
}

struct cost {
	double signatures, verify, apply;
};

static void one_round(const uint8_t nda[32], struct cost *c)
{
	const struct fixed_sign *from = &w.orgs[FROM].devices[0].sign, *to = &w.orgs[TO].devices[0].sign;

	for (int i = 0; i < COUNT; i++) {
		disclosures[i] = world_disclose_command(&w, RK__KIND__NDA, FROM, 1u << TO, nda, env_ids[i]);
		w.orgs[FROM].devices[0].number++;
	}
	c->signatures = ed25519(disclosures, from->pk, from->sk);
	c->verify = prove(disclosures);
	c->apply = apply(disclosures);
	for (int i = 0; i < COUNT; i++) {
		pickups[i] = world_pickup_command(&w, TO, 0, nda, (const uint8_t(*)[32])&env_ids[i], 1);
		w.orgs[TO].devices[0].number++;
	}
	c->signatures += ed25519(pickups, to->pk, to->sk);
	c->verify += prove(pickups);
	c->apply += apply(pickups);
}

static double whole(const struct cost *c)
{
	return c->verify + c->apply;
}

static int by_share(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;
	double p = x->signatures / whole(x), q = y->signatures / whole(y);

	return (p > q) - (p < q);
}

int main(int argc, char **argv)
{
	struct cost costs[ROUNDS_MAX];
	int rounds = argc == 2 ? atoi(argv[1]) : 0;
	uint8_t nda[32];

	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_nda ROUNDS (1 to %d)\n", ROUNDS_MAX);
		return 2;
	}
	world_need(sodium_init() >= 0);
	world_open(&w);
	w.message_bytes = 900; /* padded to 1 KiB */
	world_admit(&w, FROM);
	world_admit(&w, TO);
	world_agree(&w, 1u << FROM | 1u << TO, nda);
	for (int i = 0; i < rounds; i++)
		one_round(nda, &costs[i]);
	qsort(costs, (size_t)rounds, sizeof(costs[0]), by_share);
	const struct cost *c = &costs[rounds / 2];
	printf("{\"run\": \"nda\", \"messages\": %d, \"ed25519_us\": %.2f, \"verify_us\": %.2f, \"apply_us\": %.2f, \"per_cpu_second\": %.0f, "
	       "\"share\": %.3f}\n", COUNT * rounds, c->signatures / COUNT * 1e6, c->verify / COUNT * 1e6, c->apply / COUNT * 1e6,
	       COUNT / whole(c), c->signatures / whole(c));
	world_close(&w);
	return 0;
}
