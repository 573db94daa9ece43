/*
 * link: the one connection of a home, whichever of its processes has it.
 *
 * Who gets link.lock runs the connection; the others look at the store, where everything that the link does is written, and take
 * the lock when it falls free.  The one with the lock looks at the store too: an item that another process has added goes out, a
 * channel that it follows is subscribed to, and a wish to be up to date (META_SYNC_ASKED) is answered (META_SYNC_DONE).
 *
 *   LINK_DOWN   no connection; the next try at retry_at
 *   LINK_HELLO  connected or connecting; HELLO is out, or will be at hello_at
 *   LINK_UP     HELLO is answered and numbers are settled: streams and items move
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "client/link_internal.h"

#define POLL_MS 50
#define STEP_MS 250
#define UNREACHABLE_MS 15000
#define REFUSED_MS 3000        /* nobody listens at all */
#define REFUSED_TRIES 3
#define SETTLE_MS 3000         /* after an item: time for its effects to come back */
#define FINISH_TIMEOUT_MS 120000
#define MESSAGES_MAX 512       /* of one round: the loop also sends, pings and looks at stop */
#define FLOOD_ROUNDS 8         /* full ones in a row: what we ask for and give credit for in a round is less than one */

/* ---- messages */

static int on_reply(struct link *l, const Rk__Reply *reply)
{
	bool is_taken = false;
	int r;

	if ((r = session_check_clock(l, reply->time_ms)) != RK_OK)
		return r;
	if (l->hello_tag != 0 && reply->tag == l->hello_tag)
		return session_on_hello(l, reply);
	r = settle_on_reply(l, reply, &l->in, &is_taken);
	if (r != RK_OK || is_taken)
		return r;
	if ((r = link_session_refusal(l, (int)reply->code)) != RK_OK)
		return r;
	r = streams_on_reply(l, reply, &l->in, &is_taken);
	if (r != RK_OK || is_taken)
		return r;
	r = link_log_on_reply(l, reply, &l->in, &is_taken);
	if (r != RK_OK || is_taken)
		return r;
	r = blob_on_reply(l, reply, &l->in, &is_taken);
	if (r != RK_OK || is_taken)
		return r;
	/* To ACK, PING, UNSUBSCRIBE, or to what was asked in a session before: only an unknown session matters. */
	if (reply->code == RK_GENERATION && reply->tag & LINK_TAG_OWN)
		link_again(l, 50);
	return RK_OK;
}

static int receive_all(struct link *l)
{
	int wait_ms = POLL_MS, r;

	if (l->wire == NULL) {
		struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

		nanosleep(&pause, NULL);
		return RK_OK;
	}
	/* Also while entries wait: among what comes after them is the object that they wait for. */
	for (unsigned i = 0; i < MESSAGES_MAX; i++) {
		r = wire_receive(l->wire, wait_ms, &l->in);
		wait_ms = 0;
		if (r == RK_ETIMEOUT) {
			l->full_rounds = 0;
			return RK_OK;
		}
		if (r == RK_EUNREACHABLE || r == RK_NOT_ADMITTED) {
			l->refused = r == RK_NOT_ADMITTED ? r : l->refused;
			link_drop(l);
			return RK_OK;
		}
		if (r != RK_OK)
			return r;
		l->heard_at = monotonic_ms();
		l->pings = 0;
		r = l->in.down->reply != NULL ? on_reply(l, l->in.down->reply) : streams_on_delivery(l, l->in.down->delivery, &l->in);
		if (r != RK_OK)
			return r;
	}
	/* libzmq keeps without bound what we do not read: a broker that sends more than it was asked for is left. */
	return ++l->full_rounds > FLOOD_ROUNDS ? RK_EUNREACHABLE : RK_OK;
}

/* ---- what other processes want, and whether we are done */

static int look_at_store(struct link *l, bool *changed)
{
	struct env_status status;
	struct outcome outcome;
	struct txn *txn;
	uint64_t asked;
	int r;

	if ((r = env_status(l->c->env, &status)) != RK_OK)
		return r;
	*changed = status.last_txn != l->store_txn;
	if (!*changed)
		return RK_OK;
	l->store_txn = status.last_txn;
	if ((r = streams_refresh(l)) != RK_OK || (r = env_begin(l->c->env, false, &txn)) != RK_OK)
		return r;
	asked = meta_u64(txn, META_SYNC_ASKED);
	if (asked > l->sync_asked) {
		l->sync_asked = asked;
		l->heads_old = true;
	}
	if (l->o->until_item != 0 && !l->item_done) {
		r = outbox_outcome(txn, l->o->until_item, &outcome);
		if (r == RK_OK) {
			l->item_done = true;
			l->item_ok = outcome.code == RK_OK;
			l->item_done_at = monotonic_ms();
			l->heads_old |= outcome.code == RK_OK;
		}
		r = r == RK_BUSY ? RK_OK : r;
	}
	if (r == RK_OK && l->o->until_blobs != NULL) {
		bool any;
		int code;

		r = attach_wanted(txn, l->o->until_blobs, &any, &code);
		l->blobs_done = r == RK_OK && !any;
	}
	env_abort(txn);
	return r;
}

/* Nothing waits to be sent (or nothing is taken), all that was there when we last asked has been taken in, and the log is asked about. */
static int is_synced(struct link *l, bool *yes)
{
	unsigned queued, sent, held = 0;
	struct txn *txn;
	int r;

	*yes = false;
	if (l->state != LINK_UP || !streams_synced(l) || l->answer_count > 0 || !keep_is_done(l))
		return RK_OK;
	if ((r = link_log_settled(l, yes)) != RK_OK || !*yes)
		return r;
	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		return r;
	if ((r = outbox_count(txn, &queued, &sent)) == RK_OK && queued > 0)
		held = attach_held(txn);
	env_abort(txn);
	*yes = r == RK_OK && ((queued <= held && sent == 0) || l->read_only);
	if (*yes && l->heads_old) {
		streams_ask_heads(l);
		*yes = false;
	}
	return r;
}

static int tell_synced(struct link *l)
{
	struct txn *txn;
	int r;

	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	if ((r = meta_put_u64(txn, META_SYNC_DONE, l->sync_asked)) != RK_OK) {
		env_abort(txn);
		return r;
	}
	if ((r = env_commit(txn)) == RK_OK)
		l->sync_done = l->sync_asked;
	return r;
}

/* RK_OK to go on; *done when the link has done what it was run for. */
static int check_done(struct link *l, bool *done)
{
	bool wanted = l->o->until_synced || l->item_done || l->sync_asked > l->sync_done || l->heads_old, synced = false;
	int r;

	*done = false;
	if (wanted && (r = is_synced(l, &synced)) != RK_OK)
		return r;
	if (synced && l->sync_asked > l->sync_done && (r = tell_synced(l)) != RK_OK)
		return r;
	if (l->o->until_item != 0)
		*done = l->item_done && (synced || !l->item_ok || monotonic_ms() - l->item_done_at > SETTLE_MS);
	else if (l->o->until_blobs != NULL)
		*done = l->blobs_done;
	else if (l->o->until_synced && synced && !l->o->without_bulk && !l->read_only)
		return blob_is_idle(l, done);
	else if (l->o->until_synced)
		*done = synced;
	return RK_OK;
}

static int check_limits(struct link *l)
{
	bool finite = l->o->until_synced || l->o->until_item != 0 || l->o->until_blobs != NULL;
	int64_t now = monotonic_ms(), down = now - l->down_since;

	if (l->o->stop != NULL && *l->o->stop)
		return RK_EINTERRUPTED;
	if (l->o->timeout_ms >= 0 && now - l->began_at >= l->o->timeout_ms)
		return RK_ETIMEOUT;
	if (l->refused != RK_OK)
		return l->refused;
	/* The item stays queued; its verb need not wait for an operator. */
	if (l->read_only && ((l->o->until_item != 0 && !l->item_done) || l->o->until_blobs != NULL))
		return RK_READ_ONLY;
	if (l->state == LINK_UP || !finite)
		return RK_OK;
	if (l->state == LINK_DOWN && l->attempts >= REFUSED_TRIES && down > REFUSED_MS && !l->was_up)
		return RK_EUNREACHABLE;
	return down > UNREACHABLE_MS ? RK_EUNREACHABLE : RK_OK;
}

static int step(struct link *l, bool moved)
{
	int64_t now = monotonic_ms();

	if (l->o->step == NULL || (!moved && now - l->stepped_at < STEP_MS))
		return RK_OK;
	l->stepped_at = now;
	return l->o->step(l->c, l->o->user);
}

/* One round.  *done as check_done. */
static int round_of(struct link *l, bool *done)
{
	bool moved, changed;
	int r;

	*done = false;
	if ((r = check_limits(l)) != RK_OK || (r = session_tick(l)) != RK_OK || (r = keep_tick(l)) != RK_OK)
		return r;
	if (l->state == LINK_UP && (r = streams_tick(l)) != RK_OK)
		return r;
	if (l->state == LINK_UP && ((r = link_log_tick(l)) != RK_OK || (r = send_tick(l)) != RK_OK || (r = blob_tick(l)) != RK_OK))
		return r;
	/* This round may be the last: what the ticks have said goes out before the connection ends. */
	if (l->wire != NULL)
		(void)wire_flush(l->wire);
	/* What the ticks have found settled need not wait for a message that nobody owes us. */
	if ((r = check_done(l, done)) != RK_OK || *done)
		return r;
	if ((r = receive_all(l)) != RK_OK)
		return r;
	if ((r = receive_commit(l, &moved)) != RK_OK)
		return r;
	if (l->state == LINK_HELLO && l->hello_answered && (r = session_come_up(l)) != RK_OK)
		return r;
	if ((r = look_at_store(l, &changed)) != RK_OK || (r = step(l, moved || changed)) != RK_OK)
		return r;
	return check_done(l, done);
}

/* ---- with the lock */

static int load_session(struct link *l)
{
	struct bytes v;
	struct txn *txn;
	int r;

	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	home_load_ids(l->c, txn);
	if (meta_get(txn, META_GENERATION, &v) == RK_OK && v.len == sizeof(l->generation))
		memcpy(l->generation, v.data, v.len);
	l->sync_done = meta_u64(txn, META_SYNC_DONE);
	l->sync_asked = l->sync_done;
	if (meta_get(txn, META_WRITER, &v) == RK_OK && v.len == sizeof(l->writer)) {
		memcpy(l->writer, v.data, v.len);
		env_abort(txn);
		return RK_OK;
	}
	randombytes_buf(l->writer, sizeof(l->writer));
	if ((r = meta_put(txn, META_WRITER, BYTES_OF(l->writer))) != RK_OK || (r = meta_put_u64(txn, META_NUMBER, 0)) != RK_OK) {
		env_abort(txn);
		return r;
	}
	return env_commit(txn);
}

static void link_end(struct link *l)
{
	keep_end(l);
	streams_forget(l);
	blob_end(&l->blob);
	for (size_t i = 0; i < l->answer_count; i++)
		free(l->answers[i].memory);
	wire_close(l->wire);
	incoming_free(&l->in);
	free(l);
}

static int hold(struct client *c, const struct link_options *o, int64_t began_at)
{
	struct link *l = calloc(1, sizeof(*l));
	bool done = false;
	int r;

	if (l == NULL)
		return RK_ENOMEM;
	l->c = c;
	l->o = o;
	l->last = &l->first;
	l->log.fresh = true;
	blob_init(&l->blob);
	spool_sweep(c);
	l->began_at = began_at;
	l->down_since = l->heard_at = l->tokens_at = monotonic_ms();
	l->rate = 100;
	l->tokens = l->burst = 50;
	if ((r = incoming_init(&l->in)) != RK_OK || (r = load_session(l)) != RK_OK || (r = send_prune(c)) != RK_OK)
		goto out;
	keep_begin(l);
	while (!done && (r = round_of(l, &done)) == RK_OK)
		;
out:
	link_end(l);
	return r;
}

/* ---- without it */

struct waiting {
	uint64_t store_txn;
	uint64_t wish;          /* META_SYNC_ASKED that is ours; 0: none */
	int64_t wished_at, stepped_at;
	bool item_done;
};

static int make_wish(struct client *c, struct waiting *w)
{
	struct txn *txn;
	int r;

	if ((r = env_begin(c->env, true, &txn)) != RK_OK)
		return r;
	w->wish = meta_u64(txn, META_SYNC_ASKED) + 1;
	if ((r = meta_put_u64(txn, META_SYNC_ASKED, w->wish)) != RK_OK) {
		env_abort(txn);
		return r;
	}
	w->wished_at = monotonic_ms();
	return env_commit(txn);
}

/* What the process with the link has done for us so far. */
static int look_on(struct client *c, const struct link_options *o, struct waiting *w, bool *done)
{
	struct outcome outcome;
	struct txn *txn;
	struct bytes stale;
	bool fulfilled, wants_wish = o->until_synced && w->wish == 0;
	int r;

	if ((r = env_begin(c->env, false, &txn)) != RK_OK)
		return r;
	fulfilled = w->wish != 0 && meta_u64(txn, META_SYNC_DONE) >= w->wish;
	if (o->until_item != 0 && !w->item_done) {
		r = outbox_outcome(txn, o->until_item, &outcome);
		w->item_done = r == RK_OK;
		wants_wish = w->item_done && outcome.code == RK_OK;
		*done = w->item_done && outcome.code != RK_OK;
		r = r == RK_BUSY ? RK_OK : r;
	}
	if (r == RK_OK && o->until_blobs != NULL) {
		bool any;
		int code;

		r = attach_wanted(txn, o->until_blobs, &any, &code);
		*done = r == RK_OK && !any;
	}
	if (r == RK_OK && meta_get(txn, META_STALE, &stale) == RK_OK)
		r = RK_EOTHERHOME;
	env_abort(txn);
	if (r == RK_OK && wants_wish)
		return make_wish(c, w);
	if (fulfilled || (w->item_done && w->wish != 0 && monotonic_ms() - w->wished_at > SETTLE_MS))
		*done = true;
	return r;
}

static int wait_round(struct client *c, const struct link_options *o, struct waiting *w, bool *done)
{
	struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	int64_t now = monotonic_ms();
	struct env_status status;
	int r;

	*done = false;
	if ((r = env_status(c->env, &status)) != RK_OK)
		return r;
	if (status.last_txn != w->store_txn || now - w->stepped_at > STEP_MS) {
		w->store_txn = status.last_txn;
		w->stepped_at = now;
		if (o->step != NULL && (r = o->step(c, o->user)) != RK_OK)
			return r;
		if ((r = look_on(c, o, w, done)) != RK_OK || *done)
			return r;
	}
	nanosleep(&pause, NULL);
	return RK_OK;
}

static int check_home(struct client *c)
{
	struct bytes v;
	struct txn *txn;
	int r;

	if (client_state(c) != CLIENT_JOINED)
		return RK_ENOTJOINED;
	if ((r = env_begin(c->env, false, &txn)) != RK_OK)
		return r;
	r = meta_get(txn, META_STALE, &v) == RK_OK ? RK_EOTHERHOME : RK_OK;
	env_abort(txn);
	return r;
}

int link_run(struct client *c, const struct link_options *o)
{
	struct waiting w = {0};
	int64_t began_at = monotonic_ms();
	bool done = false;
	int fd = -1, r;

	if ((r = check_home(c)) != RK_OK || (r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
		return r;
	while (!done) {
		r = env_lock_folder(c->home, "link.lock", &fd);
		if (r == RK_OK) {
			r = hold(c, o, began_at);
			close(fd);
			return r;
		}
		if (r != RK_ELOCKED)
			return r;
		if (o->stop != NULL && *o->stop)
			return RK_EINTERRUPTED;
		if (o->timeout_ms >= 0 && monotonic_ms() - began_at >= o->timeout_ms)
			return RK_ETIMEOUT;
		if ((r = wait_round(c, o, &w, &done)) != RK_OK)
			return r;
	}
	return RK_OK;
}

int link_finish(struct client *c, uint64_t id, volatile bool *stop, struct outcome *out)
{
	struct link_options o = {.timeout_ms = FINISH_TIMEOUT_MS, .stop = stop, .until_item = id};
	struct txn *txn;
	int r = link_run(c, &o), found;

	memset(out, 0, sizeof(*out));
	if ((found = env_begin(c->env, false, &txn)) != RK_OK)
		return r != RK_OK ? r : found;
	found = outbox_outcome(txn, id, out);
	env_abort(txn);
	/* The link may end badly just after the answer was written down: the answer is what counts. */
	if (found == RK_OK)
		return out->code;
	return r != RK_OK ? r : found;
}

int link_sync(struct client *c, volatile bool *stop)
{
	struct link_options o = {.timeout_ms = -1, .stop = stop, .until_synced = true};

	return link_run(c, &o);
}
