/*
 * counts: one message after the other through the steps of the broker, for tests/bench/counts.py, which runs it under callgrind and reads what
 * the functions count_* have cost.  See tests/bench/DESIGN.md, "Counts".
 *
 *   counts                 every kind; prints a line for each of those functions: its name, for how many messages, how many allocations
 *   counts posts ROUNDS    posts only, that many batches, nothing printed: what two such runs differ by is the cost of the batches
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/apply_internal.h"
#include "broker/metrics.h"
#include "tests/bench/counts_kit.h"

#define BATCH 20          /* below what a reader may have under way (32) and what a connection's queue takes (64) */
#define WARM_ROUNDS 4
#define ROUND_MS 500      /* of the broker's clock: by the fourth round each drops a page (1 s) for each that it keeps, as a broker does that has run for long */
#define ROUNDS 20
#define POST_BYTES 1000
#define GATE_QUESTIONS 1000
#define WRITER 1
#define READER 2
#define READERS_END WORLD_ORGS /* of the fan: READER up to here */

struct figure {
	const char *name;
	uint64_t messages, allocations;
};

/*
 * One function for each kind and step, so that callgrind tells them apart.  The figure is named in each, and thus no two of them are the same
 * code, which the compiler would make one of.
 */
#define STEPS 5
struct kind {
	void (*front)(struct rig *), (*admit)(struct rig *), (*verify)(struct rig *), (*apply)(struct rig *), (*deliver)(struct rig *);
	struct figure *figures[STEPS];
};

#define COUNTED(name, step, call) \
	static struct figure figure_##name##_##step = {#name "_" #step, 0, 0}; \
	__attribute__((noinline)) static void name##_##step(struct rig *r) \
	{ \
		rig_allocations = &figure_##name##_##step.allocations; \
		call; \
		rig_allocations = NULL; \
	}

#define KIND(name) \
	COUNTED(name, front, front_turn(r->net.front)) \
	COUNTED(name, admit, admit_turn(r->net.admit)) \
	COUNTED(name, verify, rig_verify(r)) \
	COUNTED(name, apply, rig_apply(r)) \
	COUNTED(name, deliver, rig_deliver(r)) \
	static const struct kind name = {name##_front, name##_admit, name##_verify, name##_apply, name##_deliver, \
		{&figure_##name##_front, &figure_##name##_admit, &figure_##name##_verify, &figure_##name##_apply, \
		&figure_##name##_deliver}};

KIND(warm)
KIND(count_post)
KIND(count_fan)
KIND(count_disclosure)
KIND(count_saved) /* of which only apply is another than a post's */

/* ---- one batch, in the order in which the threads have it */

static void round_of(struct rig *r, const struct kind *k, struct command *const *commands)
{
	rig_send_all(r, WRITER, commands, BATCH);
	k->front(r);
	/* Verify has one command of a device at a time. */
	k->admit(r);
	while (!ring_is_empty(r->path.admit_verify[0])) {
		k->verify(r);
		k->admit(r);
	}
	k->apply(r);
	k->front(r);   /* replies */
	k->deliver(r);
	k->front(r);   /* deliveries */
	k->deliver(r); /* what became of them */
	for (int s = 0; s < STEPS; s++)
		k->figures[s]->messages += BATCH;
}

static void receive_round(struct rig *r, int readers_end)
{
	world_need(rig_receive(r, WRITER, BATCH) == 0);
	for (int org = READER; org < readers_end; org++)
		world_need(rig_receive(r, org, BATCH) == BATCH);
}

static void rounds(struct rig *r, const struct kind *k, unsigned n, struct command *(*make)(struct rig *), int readers_end)
{
	for (unsigned i = 0; i < n; i++) {
		struct command *commands[BATCH];

		for (int j = 0; j < BATCH; j++) {
			commands[j] = make(r);
			r->w.orgs[WRITER].devices[0].number++;
		}
		rig_later(ROUND_MS);
		round_of(r, k, commands);
		receive_round(r, readers_end);
	}
}

static void run(struct rig *r, const struct kind *k, struct command *(*make)(struct rig *), int readers_end)
{
	rounds(r, &warm, WARM_ROUNDS, make, readers_end);
	rounds(r, k, ROUNDS, make, readers_end);
}

/* ---- what is sent */

static uint8_t nda_id[32];

static struct command *make_post(struct rig *r)
{
	struct world *w = &r->w;

	w->message_bytes = POST_BYTES;
	return world_submit_command(w, WRITER, 0, world_post_header(w, WRITER, RK__CHANNEL__OFFER, RK__POST_OP__NEW, 0, 1), 0);
}

static struct command *make_disclosure(struct rig *r)
{
	r->w.message_bytes = POST_BYTES;
	return world_disclose_command(&r->w, RK__KIND__NDA, WRITER, 1u << READER, nda_id, NULL);
}

/* ---- the gate by itself: the row, the parties' state, the decision */

static struct figure figure_gate = {"count_gate", 0, 0};

__attribute__((noinline)) static int count_gate(struct rig *r)
{
	const uint8_t *to[1] = {r->w.orgs[READER].id};
	struct nda_row row;
	int rc;

	rig_allocations = &figure_gate.allocations;
	rc = rows_get_nda(r->w.apply->txn, nda_id, &row);
	if (rc == RK_OK)
		rc = apply_nda_gate(r->w.apply, &row, RK__KIND__NDA, r->w.orgs[WRITER].id, to, 1, false);
	rig_allocations = NULL;
	figure_gate.messages++;
	return rc;
}

static void ask_the_gate(struct rig *r)
{
	world_need(apply_begin(r->w.apply, r->w.now_ms) == RK_OK);
	for (int i = 0; i < GATE_QUESTIONS; i++)
		world_need(count_gate(r) == RK_OK);
	world_need(apply_commit(r->w.apply) == RK_OK);
}

/* ---- posts that come one by one: each is a batch and saved, and all of a round are stored behind the last of them */

static void run_saved_posts(void)
{
	struct rig *r = rig_open(true);

	rig_connect(r, WRITER);
	rig_connect(r, READER);
	rig_subscribe(r, READER, stream_channel(RK__CHANNEL__OFFER));
	run(r, &count_saved, make_post, READER + 1);
	/* Of all that this process did, these alone. */
	world_need(metrics_get(M_SAVED) == (WARM_ROUNDS + ROUNDS) * BATCH && metrics_get(M_STORES) == WARM_ROUNDS + ROUNDS);
	rig_close(r);
}

static void print(const struct figure *f)
{
	printf("%s %llu %llu\n", f->name, (unsigned long long)f->messages, (unsigned long long)f->allocations);
}

static void print_kind(const struct kind *k)
{
	for (int s = 0; s < STEPS; s++)
		print(k->figures[s]);
}

/* One reader, then all of them, then mail. */
static void run_all(struct rig *r)
{
	run(r, &count_post, make_post, READER + 1);
	for (int org = READER + 1; org < READERS_END; org++)
		rig_subscribe(r, org, stream_channel(RK__CHANNEL__OFFER));
	run(r, &count_fan, make_post, READERS_END);
	rig_subscribe(r, READER, stream_mailbox(r->w.orgs[READER].id));
	run(r, &count_disclosure, make_disclosure, READER + 1);
	ask_the_gate(r);
}

static void print_all(void)
{
	print_kind(&count_post);
	print_kind(&count_fan);
	print_kind(&count_disclosure);
	print(&figure_gate);
	print(&figure_count_saved_apply);
}

/* Its argument: how many batches of posts; NULL for every kind. */
static void *run_thread(void *rounds_only)
{
	const unsigned *n = rounds_only;
	struct rig *r = rig_open(false);

	world_agree(&r->w, 1u << WRITER | 1u << READER, nda_id);
	for (int org = WRITER; org < READERS_END; org++)
		rig_connect(r, org);
	rig_subscribe(r, READER, stream_channel(RK__CHANNEL__OFFER));
	if (n != NULL)
		rounds(r, &warm, *n, make_post, READER + 1);
	else
		run_all(r);
	rig_close(r);
	if (n == NULL) {
		run_saved_posts();
		print_all();
	}
	return NULL;
}

/* In a thread, as in the broker: where main's stack begins depends on the environment's length, and a copy's cost on how it is aligned. */
int main(int argc, char **argv)
{
	bool only_posts = argc == 3 && strcmp(argv[1], "posts") == 0;
	unsigned n = only_posts ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	pthread_t thread;

	if (argc != 1 && !only_posts) {
		fprintf(stderr, "usage: counts | counts posts ROUNDS\n");
		return 2;
	}
	world_need(pthread_create(&thread, NULL, run_thread, only_posts ? &n : NULL) == 0);
	pthread_join(thread, NULL);
	return 0;
}
