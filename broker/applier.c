#include "broker/applier.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/apply.h"
#include "broker/blobs.h"
#include "broker/deliver.h"
#include "broker/log.h"
#include "broker/metrics.h"
#include "broker/replies.h"
#include "broker/signer.h"
#include "proto/errcode.h"

#define DUE_LIMIT 256         /* things that are due, done in one batch */
#define IDLE_MS 1000          /* the watchdog is fed at least so often */
#define READERS_CHECK_MS 60000
#define LIVE_MAX_BYTES ((size_t)16 << 20) /* of posts that deliver has yet to take */
#define PREFETCH 2            /* commands or effects before their turn */
#define FULL_PAUSE_MS 1000    /* a full disk is not asked more often, unless a command comes */

struct applier {
	struct path *path;
	struct message_in **batch;   /* of config.batch_commands */
	size_t count, bytes;
	struct replies *replies;
	struct page_builder page;    /* posts of this batch on their way to deliver … */
	struct stream_id page_stream; /* … of this channel */
	bool was_off;                /* the clock, at the last turn: to log changes only */
	int64_t readers_checked_ms;
	uint64_t told_size;          /* of the tree that the signer knows */
	int64_t due_after_ms;        /* after a failed commit, what is due is not tried again before this */
};

struct applier *applier_new(struct path *path)
{
	struct applier *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->path = path;
	a->batch = calloc((size_t)path->config->batch_commands, sizeof(*a->batch));
	a->replies = replies_new(path->apply_front);
	if (a->batch == NULL || a->replies == NULL) {
		applier_free(a);
		return NULL;
	}
	return a;
}

void applier_free(struct applier *a)
{
	if (a == NULL)
		return;
	replies_free(a->replies);
	page_builder_clear(&a->page);
	free(a->batch);
	free(a);
}

/* ---- effects, in order */

static void push_event(struct applier *a, const struct deliver_event *e)
{
	struct deliver_event *copy = malloc(sizeof(*copy));

	/* Without it a subscriber would not learn of an entry, or a cut one would be served: not to be gone on with. */
	if (copy == NULL) {
		path_fail(a->path, RK_ENOMEM);
		return;
	}
	*copy = *e;
	ring_put_wait(a->path->apply_deliver, copy);
}

/* Only to save a read: what does not fit is read from the store when its turn comes. */
static void push_page(struct applier *a, const struct stream_id *stream, struct page *page)
{
	struct deliver_event *event = NULL;

	if (atomic_load(&a->path->live_bytes) + sizeof(*event) + page->bytes <= LIVE_MAX_BYTES)
		event = malloc(sizeof(*event));
	if (event == NULL) {
		page_clear(page);
		return;
	}
	*event = (struct deliver_event){.kind = DELIVER_PAGE, .stream = *stream, .page = *page};
	atomic_fetch_add(&a->path->live_bytes, deliver_event_bytes(event));
	ring_put_wait(a->path->apply_deliver, event);
}

static void close_page(struct applier *a)
{
	struct page page;

	if (page_finish(&a->page, &page) == RK_OK)
		push_page(a, &a->page_stream, &page);
}

/* A post too large to be copied: its body is the frame that came, where one came. */
static void push_lone(struct applier *a, const struct effect *e)
{
	struct message_in *m = e->command->owner;
	unsigned last = e->command->frame_count - 1;
	struct page page;

	if (page_lone(&page, &e->stream, e->seq - 1, e->seq, e->entry, last < m->held ? &m->frames[last] : NULL, NULL) == RK_OK)
		push_page(a, &e->stream, &page);
}

/* Posts of a batch that follow each other in their channel go to their readers in one frame. */
static void gather(struct applier *a, const struct effect *e)
{
	bool follows = memcmp(&a->page_stream, &e->stream, sizeof(e->stream)) == 0 && a->page.last + 1 == e->seq;

	if (!follows || page_is_lone(e->entry))
		close_page(a);
	if (page_is_lone(e->entry)) {
		push_lone(a, e);
		return;
	}
	a->page_stream = e->stream;
	if (page_add(&a->page, &e->stream, e->seq - 1, e->seq, e->entry, NULL) != RK_TOO_LARGE)
		return;
	close_page(a);
	(void)page_add(&a->page, &e->stream, e->seq - 1, e->seq, e->entry, NULL);
}

/* What goes instead, should the bulk find the connection full. */
static bool add_bulk(struct applier *a, struct message_out *o, const struct effect *e)
{
	struct bytes header;

	if (e->is_blob) {
		struct message_in *m = e->command->owner;

		metrics_add(M_BLOB_OUT_BYTES, e->command->blob.bulk.len);
		if (!message_out_share(o, &m->bulk))
			return false;
	}
	for (unsigned i = 0; !e->is_blob && i < e->frame_count; i++)
		if (!message_out_copy(o, e->frames[i]))
			return false;
	return apply_pack_refusal(e->command, RK_BUSY, sequence_time(a->path->sequence), &header) == RK_OK &&
	       message_out_set_fallback(o, header);
}

/* With bulk, or the word to a peer that is cut: a message of its own, behind what was answered before. */
static bool reply_alone(struct applier *a, const struct effect *e)
{
	struct message_out *o = message_out_new(MESSAGE_REPLY, &e->command->peer);

	if (o == NULL || !message_out_copy(o, e->header) || (e->frame_count > 0 && !add_bulk(a, o, e))) {
		message_out_free(o);
		return false;
	}
	o->to_cut = e->code == RK_REVOKED;
	replies_flush(a->replies);
	ring_put_wait(a->path->apply_front, o);
	return true;
}

static void reply(struct applier *a, const struct effect *e)
{
	bool ok;

	if (e->code != RK_OK) {
		metrics_add(M_REFUSED, 1);
		metrics_refusal(e->code);
	} else if (e->is_hello) {
		struct deliver_event event = {.kind = DELIVER_HELLO, .peer = e->command->peer};

		push_event(a, &event);
	}
	ok = e->frame_count > 0 || e->code == RK_REVOKED ? reply_alone(a, e) : replies_add(a->replies, &e->command->peer, e->header);
	if (!ok)
		metrics_add(M_SEND_LOST, 1); /* the client asks again and gets the stored outcome */
}

static void cut(struct applier *a, const struct effect *e)
{
	struct deliver_event event = {.kind = DELIVER_CUT};
	struct message_out *o;

	memcpy(event.peer.id, e->device_id, 16);
	o = message_out_new(MESSAGE_CUT, &event.peer);
	if (o == NULL) {
		path_fail(a->path, RK_ENOMEM);
		return;
	}
	replies_flush(a->replies);
	ring_put_wait(a->path->apply_front, o);
	push_event(a, &event);
}

/* Should it not get there, the sweep finds the file: no row names it. */
static void drop_blob(struct applier *a, const struct effect *e)
{
	struct blobs_drop *drop = malloc(sizeof(*drop));

	metrics_add(M_BLOB_ORPHANS, e->is_orphan);
	if (drop != NULL) {
		memcpy(drop->sha256, e->sha256, 32);
		if (ring_put(a->path->apply_blobs, drop))
			return;
		free(drop);
	}
	atomic_store(&a->path->blobs_sweep, true);
}

static void carry_out(struct applier *a)
{
	size_t count;
	const struct effect *effects = apply_effects(a->path->apply, &count);

	for (size_t i = 0; i < count; i++) {
		const struct effect *e = &effects[i];
		struct deliver_event event;

		if (i + PREFETCH < count && effects[i + PREFETCH].command != NULL)
			__builtin_prefetch(&effects[i + PREFETCH].command->peer);
		switch (e->kind) {
		case EFFECT_REPLY:
			reply(a, e);
			break;
		case EFFECT_CUT:
			cut(a, e);
			break;
		case EFFECT_ENTRY:
			gather(a, e);
			break;
		case EFFECT_STREAM:
			close_page(a); /* before readers are told of its entries */
			event = (struct deliver_event){.kind = DELIVER_STREAM, .stream = e->stream, .seq = e->seq};
			push_event(a, &event);
			break;
		case EFFECT_BLOB_DROP:
			drop_blob(a, e);
			break;
		}
	}
	close_page(a);
	replies_flush(a->replies);
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

static int run_batch(struct applier *a, int64_t time_ms)
{
	int64_t began;
	unsigned due;
	int r;

	apply_set_room(a->path->apply, atomic_load(&a->path->blob_room));
	if ((r = apply_begin(a->path->apply, time_ms)) != RK_OK)
		return r;
	for (size_t i = 0; i < a->count; i++) {
		prefetch_next(a, i);
		apply_command(a->path->apply, &a->batch[i]->command);
	}
	due = apply_due(a->path->apply, DUE_LIMIT);
	began = monotonic_us();
	r = apply_commit(a->path->apply);
	metrics_add(M_BATCHES, 1);
	metrics_add(M_COMMANDS, a->count);
	metrics_add(M_DUE_DONE, due);
	metrics_add(M_COMMIT_US, (uint64_t)(monotonic_us() - began));
	metrics_max(M_COMMIT_MAX_US, (uint64_t)(monotonic_us() - began));
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
	if (r != RK_OK)
		a->due_after_ms = path_monotonic_ms() + FULL_PAUSE_MS;
	tell_log(a);
	atomic_fetch_add(&a->path->batches, 1);
	carry_out(a);
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

/* How long nothing will be due: 0 when something is. */
static int idle_ms(struct applier *a)
{
	int64_t next = apply_next_due(a->path->apply), now = sequence_time(a->path->sequence);

	if (a->was_off || next - now > IDLE_MS || path_monotonic_ms() < a->due_after_ms)
		return IDLE_MS;
	return next > now ? (int)(next - now) : 0;
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

/* True if there was something to do. */
static bool turn(struct applier *a)
{
	int64_t time_ms;
	bool ok;

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
	/* Nothing was answered and nothing more may be: wait for the main thread to end the process. */
	while (!ok)
		ring_bell_sleep(a->path->apply_bell, -1);
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
		if (!ring_is_empty(a->path->admit_apply)) {
			ring_bell_disarm(bell);
		} else if (atomic_load(&a->path->stopping)) {
			ring_bell_disarm(bell);
			return NULL;
		} else {
			ring_bell_sleep(bell, idle_ms(a));
		}
	}
}
