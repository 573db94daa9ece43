#include "broker/applier.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/apply.h"
#include "broker/effects.h"
#include "broker/log.h"
#include "broker/metrics.h"
#include "broker/signer.h"
#include "proto/errcode.h"

/* Things that are due go with a batch: this many, and as many more as it has commands, so that what ends keeps up with what comes.  They change
 * pages all over the store, and everybody waits for a batch; */
#define DUE_BATCH 32
#define DUE_PAUSE_MS 100      /* … so where they were all done, the next ones gather for so long: batches between may be saved */
#define IDLE_MS 1000          /* the watchdog is fed at least so often */
#define READERS_CHECK_MS 60000
#define PREFETCH 2            /* commands before their turn */
#define FULL_PAUSE_MS 1000    /* a full disk is not asked more often, unless a command comes */
/* A batch is saved in the journal, instead of being committed, if it is no larger than this: LMDB's commit costs more than a write of the rows in a
 * row, but with many posts not so much more that writing them twice would pay. */
#define SAVE_COMMANDS_MAX 64
#define SAVE_BYTES_MAX ((size_t)128 << 10)
#define STORE_EVERY_MS 100   /* what was saved is committed at the latest: seldom costs less, often lets nobody wait long; … */
#define STORE_IDLE_MS 20      /* … or when nothing has come for so long, or when somebody wants to read it … */
#define READ_PAUSE_MS 100     /* … and then nothing is saved for so long: he will read more */

struct applier {
	struct path *path;
	struct message_in **batch;   /* of config.batch_commands */
	size_t count, bytes;
	size_t count_before;         /* of the batch before */
	struct effects *effects;
	bool was_off;                /* the clock, at the last turn: to log changes only */
	int64_t readers_checked_ms;
	uint64_t told_size;          /* of the tree that the signer knows */
	int64_t saved_ms, stored_by_ms; /* the last batch that was saved; when the first of them has to be in the tables */
	int64_t store_after_ms;      /* after a failed one, not before this */
	bool with_due;               /* the batch in hand */
	int64_t due_after_ms;        /* what is due makes no batch one that is committed before this */
};

struct applier *applier_new(struct path *path)
{
	struct applier *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->path = path;
	a->batch = calloc((size_t)path->config->batch_commands, sizeof(*a->batch));
	a->effects = effects_new(path);
	if (a->batch == NULL || a->effects == NULL) {
		applier_free(a);
		return NULL;
	}
	return a;
}

void applier_free(struct applier *a)
{
	if (a == NULL)
		return;
	effects_free(a->effects);
	free(a->batch);
	free(a);
}

/* ---- one batch */

static void collect(struct applier *a)
{
	const struct config *c = a->path->config;
	struct message_in *m;

	a->count = 0;
	a->bytes = 0;
	while (a->count < (size_t)c->batch_commands && a->bytes < (size_t)c->batch_bytes &&
	       (m = ring_pop(a->path->admit_apply)) != NULL) {
		a->batch[a->count++] = m;
		a->bytes += m->bytes;
	}
}

static void release(struct applier *a)
{
	for (size_t i = 0; i < a->count; i++)
		message_in_give_back(a->batch[i]);
	a->count = 0;
}

/* The clock was stepped: what has come so far is answered `busy`, nothing is sequenced. */
static void refuse_all(struct applier *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct command *c = &a->batch[i]->command;
		struct message_out *o = message_out_new(MESSAGE_REPLY, &c->peer);
		struct bytes header;

		metrics_refusal(RK_BUSY);
		if (o != NULL && apply_pack_refusal(c, RK_BUSY, sequence_time(a->path->sequence), &header) == RK_OK &&
		    message_out_copy(o, header))
			ring_put_wait(a->path->apply_front, o);
		else
			message_out_free(o);
	}
	release(a);
}

static int64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* All of a command was written on another core: what apply will read of the next ones is asked for in time, first the command, then what it
 * points to. */
static void prefetch_next(const struct applier *a, size_t i)
{
	if (i + 2 * PREFETCH < a->count) {
		const struct command *c = &a->batch[i + 2 * PREFETCH]->command;

		__builtin_prefetch(&c->peer);
		for (const uint8_t *at = (const uint8_t *)c->frames; at < (const uint8_t *)c->env_id; at += 64)
			__builtin_prefetch(at);
	}
	if (i + PREFETCH < a->count) {
		const struct command *c = &a->batch[i + PREFETCH]->command;

		if (c->req != NULL)
			for (size_t at = 0; at < 128; at += 64)
				__builtin_prefetch((const uint8_t *)c->req + at);
		if (c->envelope.header != NULL)
			for (size_t at = 0; at < sizeof(*c->envelope.header); at += 64)
				__builtin_prefetch((const uint8_t *)c->envelope.header + at);
		for (size_t at = 0; at < c->frames[0].len && at < 512; at += 64)
			__builtin_prefetch(c->frames[0].data + at);
		for (size_t at = 0; at < c->body.len && at < 1024; at += 64)
			__builtin_prefetch(c->body.data + at);
	}
}

/* While somebody waits for the tables, each saved batch would be committed for him at once; and a small one right behind a large one is no sign of
 * little to do. */
static bool is_to_be_saved(const struct applier *a)
{
	return a->count_before <= SAVE_COMMANDS_MAX && a->path->config->journal_bytes > 0 && a->count > 0 && a->count <= SAVE_COMMANDS_MAX &&
	       a->bytes <= SAVE_BYTES_MAX && path_monotonic_ms() - atomic_load(&a->path->read_ms) >= READ_PAUSE_MS;
}

static void count_commit(enum metric count, enum metric sum_us, int64_t began_us)
{
	uint64_t us = (uint64_t)(monotonic_us() - began_us);

	metrics_add(count, 1);
	metrics_add(sum_us, us);
	metrics_max(M_COMMIT_MAX_US, us);
}

/* How long nothing will be due: 0 when something is. */
static int idle_ms(const struct applier *a)
{
	int64_t next = apply_next_due(a->path->apply), now = sequence_time(a->path->sequence), pause = a->due_after_ms - path_monotonic_ms(), ms;

	if (a->was_off || atomic_load(&a->path->stopping) || next - now > IDLE_MS)
		return IDLE_MS;
	ms = next - now > pause ? next - now : pause;
	return ms > 0 ? (int)(ms < IDLE_MS ? ms : IDLE_MS) : 0;
}

static bool is_due(const struct applier *a)
{
	return idle_ms(a) == 0;
}

static void run_due(struct applier *a)
{
	unsigned limit = DUE_BATCH + (unsigned)a->count, done = apply_due(a->path->apply, limit);

	if (done < limit)
		a->due_after_ms = path_monotonic_ms() + DUE_PAUSE_MS;
	metrics_add(M_DUE_DONE, done);
}

static int run_batch(struct applier *a, int64_t time_ms)
{
	int64_t began;
	int r;

	a->with_due = is_due(a);
	apply_set_room(a->path->apply, atomic_load(&a->path->blob_room));
	if ((r = apply_begin(a->path->apply, time_ms)) != RK_OK)
		return r;
	if (!a->with_due && is_to_be_saved(a))
		apply_gather(a->path->apply);
	a->count_before = a->count;
	for (size_t i = 0; i < a->count; i++) {
		prefetch_next(a, i);
		apply_command(a->path->apply, &a->batch[i]->command);
	}
	/* A batch that is committed takes along what is due, whether it is time or not. */
	a->with_due = a->with_due || !apply_is_saving(a->path->apply);
	if (a->with_due)
		run_due(a);
	began = monotonic_us();
	r = apply_commit(a->path->apply);
	count_commit(M_BATCHES, M_COMMIT_US, began);
	metrics_add(M_COMMANDS, a->count);
	metrics_max(M_BATCH_MAX, a->count);
	return r;
}

/* After the commit, before anything leaves: what may be signed from now on, or that nothing may. */
static void tell_log(struct applier *a)
{
	struct checkpoint head;

	apply_head(a->path->apply, &head);
	if (head.size != a->told_size) {
		signer_commit(a->path->signer, &head);
		a->told_size = head.size;
	}
	if (apply_is_read_only(a->path->apply) && !atomic_exchange(&a->path->read_only, true)) {
		signer_stop(a->path->signer);
		log_error("apply", "read-only", "log_size=%llu hint=\"a member has shown a checkpoint under this broker's own signature "
		          "that this store does not have: it is an older copy; see RESTORE in renkeid(8)\"",
		          (unsigned long long)head.size);
	}
}

/* Who subscribed while the store was stuck was told a head without what was saved. */
static void tell_heads(struct applier *a)
{
	struct txn *t;

	if (env_begin(a->path->env, false, &t) != RK_OK)
		return; /* the next post tells */
	for (int channel = RK__CHANNEL__OFFER; channel <= RK__CHANNEL__NOTICE; channel++) {
		struct stream_id stream = stream_channel((Rk__Channel)channel);
		uint64_t first, head;

		if (stream_bounds(t, &stream, &first, &head) == RK_OK)
			effects_tell_head(a->effects, &stream, head);
	}
	env_abort(t);
	ring_wake(a->path->apply_deliver);
}

/* All batches are in the tables. */
static void tell_stored(struct applier *a)
{
	atomic_store(&a->path->stored, atomic_load(&a->path->batches));
	if (atomic_exchange(&a->path->store_stuck, false)) {
		log_info("apply", "store-again", "batches=%llu", (unsigned long long)atomic_load(&a->path->batches));
		tell_heads(a);
	}
	if (atomic_exchange(&a->path->store_wanted, false))
		ring_bell_ring(a->path->net_bell);
}

static void note_saved(struct applier *a)
{
	a->saved_ms = path_monotonic_ms();
	if (atomic_load(&a->path->stored) + 1 == atomic_load(&a->path->batches))
		a->stored_by_ms = a->saved_ms + STORE_EVERY_MS;
	metrics_add(M_SAVED, 1);
}

static bool is_store_due(const struct applier *a)
{
	int64_t now_ms = path_monotonic_ms();

	if (now_ms < a->store_after_ms)
		return false;
	return atomic_load(&a->path->store_wanted) ||
	       (!apply_is_stored(a->path->apply) && (now_ms >= a->stored_by_ms || now_ms - a->saved_ms >= STORE_IDLE_MS));
}

/* There is no room: it is tried again, and said once. */
static void note_stuck(struct applier *a, int code)
{
	a->store_after_ms = path_monotonic_ms() + FULL_PAUSE_MS;
	if (!atomic_exchange(&a->path->store_stuck, true))
		log_error("apply", "store-stuck", "code=%s hint=\"what was answered is safe in the journal; free disk space or raise [store] map\"", errcode_name(code));
	ring_bell_ring(a->path->net_bell);
}

/* What was saved goes into the tables.  False: the outcome is unknown. */
static bool store_saved(struct applier *a)
{
	int64_t began = monotonic_us();
	bool is_needed = !apply_is_stored(a->path->apply);
	int r = apply_store(a->path->apply);

	if (is_needed)
		count_commit(M_STORES, M_STORE_US, began);
	if (r == RK_OK) {
		tell_stored(a);
		return true;
	}
	metrics_add(M_COMMIT_FAILED, 1);
	if (r == RK_EDISKFULL || r == RK_STORE_FULL) {
		note_stuck(a, r);
		return true;
	}
	log_error("apply", "store-failed", "code=%s", errcode_name(r));
	path_fail(a->path, r);
	return false;
}

/* False: the outcome is unknown, the process must end and read its store again (HAZARDS L8). */
static bool process_batch(struct applier *a, int64_t time_ms)
{
	int r = run_batch(a, time_ms);

	if (r != RK_OK) {
		metrics_add(M_COMMIT_FAILED, 1);
		log_error("apply", "commit-failed", "code=%s commands=%zu", errcode_name(r), a->count);
	}
	if (r != RK_OK && r != RK_EDISKFULL && r != RK_STORE_FULL) {
		path_fail(a->path, r);
		return false;
	}
	if (r != RK_OK && a->with_due)
		a->due_after_ms = path_monotonic_ms() + FULL_PAUSE_MS;
	tell_log(a);
	/* Before any answer leaves: who was answered and asks at once must find this batch counted (path_may_read). */
	atomic_fetch_add(&a->path->batches, 1);
	if (apply_is_stored(a->path->apply))
		tell_stored(a);
	else if (r == RK_OK)
		note_saved(a);
	effects_carry_out(a->effects);
	release(a);
	return true;
}

/* ---- the loop */

static bool check_clock(struct applier *a, int64_t *time_ms)
{
	bool ok = sequence_next(a->path->sequence, time_ms);

	if (!ok && !a->was_off)
		log_error("sequence", "clock-stepped",
			  "drift_ms=%lld hint=\"set the clock right, or restart with --accept-clock\"",
			  (long long)sequence_drift(a->path->sequence));
	if (ok && a->was_off)
		log_info("sequence", "clock-right", "drift_ms=%lld", (long long)sequence_drift(a->path->sequence));
	a->was_off = !ok;
	atomic_store(&a->path->clock_off, !ok);
	return ok;
}

static void check_readers(struct applier *a, int64_t now_ms)
{
	if (now_ms - a->readers_checked_ms < READERS_CHECK_MS)
		return;
	a->readers_checked_ms = now_ms;
	(void)env_check_readers(
		a->path->env); /* stale slots only keep pages longer (L10): the next minute tries again */
}

/* Once a batch, whatever it held. */
static void wake(struct applier *a)
{
	ring_wake(a->path->apply_front);
	ring_wake(a->path->apply_deliver);
	ring_wake(a->path->apply_blobs);
}

/* Nothing was answered and nothing more may be: waits for the main thread to end the process. */
static void stay(struct applier *a)
{
	for (;;)
		ring_bell_sleep(a->path->apply_bell, -1);
}

/* How long this thread may sleep. */
static int sleep_ms(struct applier *a)
{
	int ms = idle_ms(a);

	return !apply_is_stored(a->path->apply) && ms > STORE_IDLE_MS ? STORE_IDLE_MS : ms;
}

/* True if there was something to do. */
static bool turn(struct applier *a)
{
	int64_t time_ms;
	bool ok;

	/* What is due makes the next batch one that is committed: with all that was saved. */
	if (is_store_due(a) && !is_due(a) && !store_saved(a))
		stay(a);
	collect(a);
	if (a->count == 0 && idle_ms(a) > 0)
		return false;
	if (!check_clock(a, &time_ms)) {
		bool any = a->count > 0;

		refuse_all(a);
		wake(a);
		return any;
	}
	atomic_store(&a->path->in_batch, true);
	ok = process_batch(a, time_ms);
	atomic_store(&a->path->in_batch, false);
	wake(a);
	if (!ok)
		stay(a);
	return true;
}

void *applier_run(void *applier)
{
	struct applier *a = applier;
	struct ring_bell *bell = a->path->apply_bell;

	for (;;) {
		int64_t now_ms = path_monotonic_ms(), time_ms;

		atomic_store(&a->path->apply_alive_ms, now_ms);
		check_readers(a, now_ms);
		if (turn(a))
			continue;
		(void)check_clock(a, &time_ms);
		ring_bell_arm(bell);
		if (!ring_is_empty(a->path->admit_apply) || is_store_due(a)) {
			ring_bell_disarm(bell);
		} else if (atomic_load(&a->path->stopping)) {
			ring_bell_disarm(bell);
			if (!store_saved(a))
				stay(a);
			apply_let_go(a->path->apply);
			return NULL;
		} else {
			ring_bell_sleep(bell, sleep_ms(a));
		}
	}
}
