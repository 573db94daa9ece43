/*
 * bench_apply: CPU of apply alone (state machine, gate, leaves and tree, the commit's own work), for posts, disclosures and pickups in batches of a
 * hundred.  Built from two versions and run side by side it says what a change costs each.  The store lies in TMPDIR.
 *
 *   bench_apply          all three, timed
 *   bench_apply KIND     that one through the function `counted`, for valgrind --tool=callgrind --toggle-collect=counted
 */
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "tests/unit/world.h"

#define COUNT 1000
#define BATCH 100

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void all_batches(struct world *w, struct command **commands)
{
	int codes[BATCH];

	for (int i = 0; i < COUNT; i += BATCH) {
		world_run_batch(w, commands + i, BATCH, codes);
		for (int j = 0; j < BATCH; j++)
			world_need(codes[j] == RK_OK);
	}
}

__attribute__((noinline)) static void counted(struct world *w, struct command **commands)
{
	all_batches(w, commands);
}

static const char *wanted;

static void run(struct world *w, const char *what, struct command **commands)
{
	double began = cpu();

	if (wanted != NULL && strcmp(wanted, what) == 0)
		counted(w, commands);
	else
		all_batches(w, commands);
	printf("apply: %-12s %6.2f us CPU each\n", what, (cpu() - began) / COUNT * 1e6);
}

int main(int argc, char **argv)
{
	static struct world w;
	static struct command *posts[COUNT], *disclosures[COUNT], *pickups[COUNT];
	static uint8_t env_ids[COUNT][32];
	uint8_t nda[32];

	wanted = argc > 1 ? argv[1] : NULL;
	world_need(sodium_init() >= 0);
	world_open(&w);
	world_admit(&w, 1);
	world_admit(&w, 2);
	world_agree(&w, 1u << 1 | 1u << 2, nda);
	for (int i = 0; i < COUNT; i++) {
		posts[i] = world_submit_command(&w, 2, 0, world_post_header(&w, 2, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), 0);
		w.orgs[2].devices[0].number++;
	}
	run(&w, "post", posts);
	for (int i = 0; i < COUNT; i++) {
		disclosures[i] = world_disclose_command(&w, RK__KIND__NDA, 1, 1u << 2, nda, env_ids[i]);
		w.orgs[1].devices[0].number++;
	}
	run(&w, "disclosure", disclosures);
	for (int i = 0; i < COUNT; i++) {
		pickups[i] = world_pickup_command(&w, 2, 0, nda, (const uint8_t(*)[32])&env_ids[i], 1);
		w.orgs[2].devices[0].number++;
	}
	run(&w, "pickup", pickups);
	world_close(&w);
	return 0;
}
