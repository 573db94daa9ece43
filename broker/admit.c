/*
 * admit: nothing that it refuses consumes a request number.  Its rings to verify and blobs never fill: it counts what is inside
 * each thread.  It waits for room in verify, and never for a disk: what blobs has no room for is refused.  A device has at most one
 * command in verify, or some in blobs: those come back in any order, since each is about bytes of a file and about nothing else; what is
 * not for blobs waits for all of them.  While apply's ring is full it goes on sending (path_put);
 * towards deliver and front, which share its thread, it never waits.
 */
#include "broker/admit.h"

#include <stdlib.h>
#include <time.h>

#include "broker/admit_judge.h"
#include "broker/apply.h"
#include "broker/log.h"
#include "broker/metrics.h"
#include "broker/request.h"
#include "broker/session.h"
#include "proto/errcode.h"

#define TURN_MESSAGES 256
#define VERIFY_MAX 1000     /* commands inside one verify thread; below the capacity of its rings */
#define BLOBS_EACH_MAX 128  /* of one device; all: PATH_BLOBS_MAX */
#define BLOBS_ORG_MAX (PATH_BLOBS_MAX / 4) /* of one organisation, however many devices it has */
#define BLOBS_SHARES 1024
#define QUEUED_MAX 8192     /* commands that wait for others of their device, all devices together; then intake stops */
#define PARKED_POLL_MS 5
#define IDLE_MS 1000

struct admit {
	struct path *path;
	struct sessions *sessions;
	int64_t now_ms;
	unsigned in_verify[PATH_VERIFY_MAX];
	unsigned blobs;                /* commands for the blobs thread, with it or in a session's queue */
	size_t blob_bytes;             /* of those */
	/* The same by organisation; its id is random, so that few share a place. */
	struct blob_share {
		unsigned count;
		size_t bytes;
	} blob_shares[BLOBS_SHARES];
	unsigned queued;               /* in all sessions */
	struct message_in *parked;     /* their key was unknown: one more look after the batch in flight */
};

/* Deliver has a reader for none but those who have a session here, in a table as large as this one: so it has room for
 * whoever has room here.  Behind the device's last command, before its next. */
static bool forget(void *user, const struct peer *peer)
{
	struct admit *a = user;
	struct message_in *m;

	if (peer->is_invite)
		return true;
	m = message_in_new(peer, NULL, 0, &a->path->load);
	if (m != NULL && ring_put(a->path->admit_deliver, m))
		return true;
	message_in_free(m);
	return false;
}

struct admit *admit_new(struct path *path)
{
	struct admit *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->path = path;
	a->sessions = sessions_new(2 * (size_t)path->config->connections, forget, a);
	if (a->sessions == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

void admit_free(struct admit *a)
{
	if (a == NULL)
		return;
	sessions_free(a->sessions);
	free(a);
}

/* ---- answers */

/* Frees the command.  Without memory there is no answer: the client asks again. */
static void answer(struct admit *a, struct message_in *m, int code)
{
	struct message_out *o = message_out_new(MESSAGE_REPLY, &m->command.peer);
	struct bytes header;

	if (code != RK_OK) {
		char id[LOG_ID_CHARS];

		metrics_add(M_ADMIT_REFUSED, 1);
		metrics_refusal(code);
		log_debug("admit", "refused", "peer=%s op=%d code=%s", log_id(id, m->command.peer.id),
		          m->command.req != NULL ? (int)m->command.req->op : 0, errcode_name(code));
	}
	if (o == NULL || apply_pack_refusal(&m->command, code, sequence_time(a->path->sequence), &header) != RK_OK ||
	    !message_out_copy(o, header)) {
		metrics_add(M_DROP_MEMORY, 1);
		message_out_free(o);
	} else {
		o->to_cut = code == RK_REVOKED;
		path_put(a->path, a->path->admit_front, o, false);
	}
	message_in_free(m);
}

/* ---- verify, and the order of a device's commands */

static int pick_thread(const struct admit *a)
{
	int best = -1;

	for (int i = 0; i < (int)a->path->config->verify_threads; i++)
		if (a->in_verify[i] < VERIFY_MAX && (best < 0 || a->in_verify[i] < a->in_verify[best]))
			best = i;
	return best;
}

/* Once a turn, whatever it held, and before it waits. */
static void wake(struct admit *a)
{
	for (unsigned i = 0; i < (unsigned)a->path->config->verify_threads; i++)
		ring_wake(a->path->admit_verify[i]);
	ring_wake(a->path->admit_blobs);
	ring_wake(a->path->admit_apply);
}

static bool take_verified(struct admit *a);

static void send_to_verify(struct admit *a, struct session *s, struct message_in *m)
{
	const struct timespec pause = {.tv_nsec = 50000};
	int thread;

	s->is_busy = true;
	/* What comes back makes room, and sends at most as much as it made room for.  Only what waited in a queue gets here without room. */
	while ((thread = pick_thread(a)) < 0) {
		wake(a);
		path_yield(a->path, false);
		if (!take_verified(a))
			nanosleep(&pause, NULL);
	}
	a->in_verify[thread]++;
	if (!ring_put(a->path->admit_verify[thread], m))
		abort(); /* counted above: only a mistake of this file gets here */
}

/*
 * A disk may be as slow as it likes: admit does not wait for it, and what waits for it leaves half of the broker's memory to requests that need
 * no disk; of that half, and of the places, an organisation has a quarter.  False: `busy`; the client asks how far it is and goes on.
 */
static bool count_blobs(struct admit *a, struct session *s, struct message_in *m)
{
	size_t all = (size_t)a->path->config->ring_bytes / 2;
	struct roster_device device;
	struct blob_share *share;

	/* Removed a moment ago: blobs finds no row of it, and it needs no place for that. */
	if (!roster_device(a->path->roster, m->command.peer.id, &device))
		return false;
	m->blob_share = (device.org_id[0] | (unsigned)device.org_id[1] << 8) % BLOBS_SHARES;
	share = &a->blob_shares[m->blob_share];
	if (a->blobs >= PATH_BLOBS_MAX || s->blobs >= BLOBS_EACH_MAX || share->count >= BLOBS_ORG_MAX || a->blob_bytes + m->bytes > all ||
	    share->bytes + m->bytes > all / 4)
		return false;
	m->blob_bytes = m->bytes;
	a->blobs++;
	s->blobs++;
	share->count++;
	a->blob_bytes += m->blob_bytes;
	share->bytes += m->blob_bytes;
	return true;
}

static void uncount_blobs(struct admit *a, struct session *s, const struct message_in *m)
{
	struct blob_share *share = &a->blob_shares[m->blob_share];

	a->blobs--;
	s->blobs--;
	share->count--;
	a->blob_bytes -= m->blob_bytes;
	share->bytes -= m->blob_bytes;
}

static void send_to_blobs(struct admit *a, struct session *s, struct message_in *m)
{
	s->in_blobs++;
	if (!ring_put(a->path->admit_blobs, m))
		abort(); /* counted above: only a mistake of this file gets here */
}

/* May it go now, as far as earlier ones of its device are concerned? */
static bool may_go(const struct session *s, const struct message_in *m)
{
	return !s->is_busy && (s->in_blobs == 0 || request_route(&m->command) == REQUEST_BLOBS);
}

static void send_on(struct admit *a, struct session *s, struct message_in *m)
{
	switch (request_route(&m->command)) {
	case REQUEST_VERIFY:
		send_to_verify(a, s, m);
		break;
	case REQUEST_BLOBS:
		send_to_blobs(a, s, m);
		break;
	default:
		path_put(a->path, a->path->admit_apply, m, true);
	}
}

/* Those that waited, up to the next that must wait again. */
static void send_queued(struct admit *a, struct session *s)
{
	while (s->queue != NULL && may_go(s, s->queue)) {
		a->queued--;
		send_on(a, s, session_pop(s));
	}
}

/* The command has been verified: on with it, then with those that waited for it, up to the next that needs
 * verification. */
static void finish_verified(struct admit *a, struct session *s, struct message_in *m)
{
	s->is_busy = false;
	if (m->command.refusal < 0)
		answer(a, m, RK_BUSY); /* no memory: nothing was found, no number is consumed */
	else
		path_put(a->path, a->path->admit_apply, m, true);
	send_queued(a, s);
}

static bool take_from_blobs(struct admit *a)
{
	struct message_in *m;
	bool any = false;

	while ((m = ring_pop(a->path->blobs_admit)) != NULL) {
		struct session *s = session_find(a->sessions, &m->command.peer);

		any = true;
		s->in_blobs--;
		uncount_blobs(a, s, m);
		path_put(a->path, a->path->admit_apply, m, true);
		send_queued(a, s);
	}
	return any;
}

static bool take_verified(struct admit *a)
{
	bool any = false;

	for (unsigned i = 0; i < (unsigned)a->path->config->verify_threads; i++) {
		struct message_in *m;

		while ((m = ring_pop(a->path->verify_admit[i])) != NULL) {
			struct session *s = session_find(a->sessions, &m->command.peer);

			any = true;
			a->in_verify[i]--;
			if (m->key_unknown && !m->looked_twice) {
				m->seen_batch = atomic_load(&a->path->batches);
				m->next = a->parked;
				a->parked = m;
				continue;
			}
			if (m->key_unknown)
				m->command.refusal = RK_BAD_SIGNATURE;
			finish_verified(a, s, m);
		}
	}
	return any;
}

/* A key that came with the batch in flight is in the roster once that batch is through. */
static bool look_again(struct admit *a)
{
	struct message_in **link = &a->parked;
	bool any = false;

	while (*link != NULL) {
		struct message_in *m = *link;

		if (atomic_load(&a->path->in_batch) && atomic_load(&a->path->batches) == m->seen_batch) {
			link = &m->next;
			continue;
		}
		*link = m->next;
		m->next = NULL;
		m->looked_twice = true;
		send_to_verify(a, session_find(a->sessions, &m->command.peer), m);
		any = true;
	}
	return any;
}

/* ---- intake */

/* Deliver has more to do than it gets done.  A message for it carries nothing that was taken but a proof's place. */
static void refuse_deliver(struct admit *a, struct message_in *m)
{
	if (m->command.req->op == RK__OP__OP_GET_PROOF)
		atomic_fetch_sub(&a->path->proofs, 1);
	answer(a, m, RK_BUSY);
}

static void take(struct admit *a, struct message_in *m)
{
	struct command *c = &m->command;
	struct session *s = session_get(a->sessions, &c->peer, a->now_ms);
	bool is_blob;
	int r;

	if (c->arena != NULL)
		arena_reset(c->arena, arena_budget(c->frames[0].len));
	else
		c->arena = arena_new(arena_budget(c->frames[0].len));
	if (c->arena == NULL) {
		metrics_add(M_DROP_MEMORY, 1);
		message_in_free(m);
		return;
	}
	r = admit_judge(a->path, s, c, a->now_ms);
	if (r < 0)
		r = RK_BUSY;
	if (r != RK_OK || request_route(c) == REQUEST_ANSWER) {
		answer(a, m, r);
		return;
	}
	if (request_route(c) == REQUEST_DELIVER) {
		if (!ring_put(a->path->admit_deliver, m))
			refuse_deliver(a, m);
		return;
	}
	is_blob = request_route(c) == REQUEST_BLOBS;
	if (is_blob && !count_blobs(a, s, m)) {
		answer(a, m, RK_BUSY);
		return;
	}
	if (s->queue == NULL && may_go(s, m)) {
		send_on(a, s, m);
		return;
	}
	/* What waits for a disk must not fill the sum at which intake stops. */
	if ((s->blobs > 0 && a->queued >= QUEUED_MAX / 2) || !session_push(s, m, (unsigned)a->path->config->device_queue)) {
		if (is_blob)
			uncount_blobs(a, s, m);
		answer(a, m, RK_BUSY);
		return;
	}
	a->queued++;
}

/* Is there room for whatever comes next?  If not, intake stops: what comes back makes room, and until then this thread has others to serve. */
static bool may_take(const struct admit *a)
{
	return a->queued < QUEUED_MAX && pick_thread(a) >= 0;
}

static bool take_some(struct admit *a)
{
	struct message_in *m;
	bool any = false;

	for (unsigned i = 0; i < TURN_MESSAGES && may_take(a); i++) {
		if ((m = ring_pop(a->path->front_admit)) == NULL)
			break;
		take(a, m);
		any = true;
	}
	return any;
}

bool admit_is_idle(struct admit *a)
{
	if (may_take(a) && !ring_is_empty(a->path->front_admit))
		return false;
	for (unsigned i = 0; i < (unsigned)a->path->config->verify_threads; i++)
		if (!ring_is_empty(a->path->verify_admit[i]))
			return false;
	return ring_is_empty(a->path->blobs_admit);
}

int admit_sleep_ms(const struct admit *a)
{
	return a->parked != NULL ? PARKED_POLL_MS : IDLE_MS;
}

bool admit_turn(struct admit *a)
{
	bool worked;

	a->now_ms = path_monotonic_ms();
	worked = take_verified(a);
	if (take_from_blobs(a))
		worked = true;
	if (a->parked != NULL && look_again(a))
		worked = true;
	if (take_some(a))
		worked = true;
	wake(a);
	if (!worked)
		metrics_set(M_SESSIONS, sessions_count(a->sessions));
	return worked;
}
