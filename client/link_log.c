/*
 * link_log: questions about the exchange's log, on the connection that is there.  What is asked and what an answer means is log_ask.c's and log_answer.c's;
 * here is when.  The newest checkpoint is asked for after each connecting, before anything is sealed; the rest once the streams have
 * caught up, so that one question proves many leaves.  A broker without answers (of an older version, or one that hides something:
 * log_on_refusal tells them apart) is left alone for a while and holds nothing up; one that ends each session instead is counted (log_on_vain).
 */
#include "client/link_internal.h"
#include "proto/merkle.h"
#include "proto/strict.h"

#define LOG_WAIT_MS 2500
#define LOG_WAITS_MAX 2
#define LOG_PAUSE_MS 300
#define LOG_TRIES_MAX 3
#define LOG_REST_MS ((int64_t)5 * 60 * 1000)
#define LOG_STALE_MS 10000     /* its next checkpoint may be about to be signed */
#define LOG_COUNT_EVERY_MS 60000 /* a broker that breaks every session must not make us write all the time */

/* The last question got no answer: said to the log at the next tick. */
static void get_none(struct link_log *g)
{
	g->vain = g->q;
	g->is_vain = true;
}

void link_log_forget(struct link *l)
{
	if (l->log.tag != 0)
		get_none(&l->log);
	l->log.tag = 0;
	l->log.next_at = 0;
	l->log.fresh = true;
	l->log.answered = false;
}

static bool is_resting(const struct link *l)
{
	return monotonic_ms() < l->log.rest_until;
}

bool link_log_may_seal(const struct link *l)
{
	return !l->log.fresh || is_resting(l);
}

int link_log_settled(struct link *l, bool *yes)
{
	struct env_status status;
	int r = env_status(l->c->env, &status);

	*yes = r == RK_OK && l->log.tag == 0 &&
	       (is_resting(l) || (l->log.idle && !l->log.fresh && status.last_txn == l->log.looked_txn));
	return r;
}

int link_log_told(struct link *l, const Rk__HelloReply *h)
{
	struct arena *a = arena_new(0);
	struct log_head head;
	struct txn *txn;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, false, &txn)) == RK_OK) {
		r = log_newest(l->c, txn, a, &head);
		env_abort(txn);
	}
	if (r == RK_OK && strcmp(h->log_origin, head.checkpoint.origin) == 0 && h->log_size < head.checkpoint.size)
		l->log.rest_until = 0;
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* ---- asking */

static int send_question(struct link *l)
{
	struct link_log *g = &l->log;
	Rk__Request q = RK__REQUEST__INIT;
	Rk__GetProof get = RK__GET_PROOF__INIT;

	if (!send_tokens(l, 1 + (unsigned)((g->q.index_count + MERKLE_LEAVES_PER_TOKEN - 1) / MERKLE_LEAVES_PER_TOKEN)))
		return RK_OK;
	get.size = g->q.size;
	get.from_size = g->q.from_size;
	get.n_indexes = g->q.index_count;
	get.indexes = g->q.indexes;
	q.op = RK__OP__OP_GET_PROOF;
	q.tag = link_tag(l);
	q.get_proof = &get;
	if (wire_request(l->wire, &q, (struct bytes){0}) != RK_OK)
		return RK_OK;
	g->tag = q.tag;
	g->sent_at = monotonic_ms();
	g->answered = false;
	return RK_OK;
}

static void rest(struct link_log *g, int64_t ms)
{
	g->tries = 0;
	g->fresh = false;
	g->rest_until = monotonic_ms() + ms;
}

/* Looks for the next question.  The same one again means that its answer brought nothing new: the broker's newest checkpoint does not
 * reach yet to what it has delivered, or what it sends is no proof. */
static int look(struct link *l)
{
	struct link_log *g = &l->log;
	struct log_question next;
	struct env_status status;
	struct txn *txn;
	bool same, again;
	int r;

	if ((r = env_status(l->c->env, &status)) != RK_OK || (g->idle && !g->fresh && status.last_txn == g->looked_txn))
		return r;
	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		return r;
	g->idle = !log_next_question(l->c, txn, g->fresh, &next);
	env_abort(txn);
	g->looked_txn = status.last_txn;
	if (g->idle) {
		/* No Charter yet: there is no log to ask about. */
		g->fresh = false;
		return RK_OK;
	}
	same = memcmp(&next, &g->q, sizeof(next)) == 0;
	again = same && g->answered;
	g->tries = same ? g->tries + again : 0;
	g->q = next;
	if (g->tries >= LOG_TRIES_MAX) {
		rest(g, LOG_STALE_MS);
		return RK_OK;
	}
	if (again) {
		g->answered = false;
		g->next_at = monotonic_ms() + LOG_PAUSE_MS;
		return RK_OK;
	}
	return send_question(l);
}

/* ---- answers */

/* Also what was counted of an answer that says nothing; a failure of this home takes all of it back. */
static int commit(struct link *l, struct txn *txn, int r)
{
	int told = r >= RK_OK ? log_tell_unwitnessed(l->c, txn) : r, done;

	if (told < RK_OK) {
		env_abort(txn);
		return told;
	}
	done = env_commit(txn);
	return done == RK_OK ? r : done;
}

/* Denied for good, or for too long. */
static int give_up(struct link *l, int code)
{
	struct txn *txn;
	int r;

	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	if ((r = commit(l, txn, log_on_refusal(l->c, txn, &l->log.q, code))) != RK_OK)
		return r;
	client_log(l->c, "log: no proof: %s", errcode_name(code));
	rest(&l->log, LOG_REST_MS);
	return RK_OK;
}

static int count_vain(struct link *l)
{
	struct link_log *g = &l->log;
	struct txn *txn;
	int r;

	g->is_vain = false;
	if (g->counted_at != 0 && monotonic_ms() - g->counted_at < LOG_COUNT_EVERY_MS)
		return RK_OK;
	g->counted_at = monotonic_ms();
	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	return commit(l, txn, log_on_vain(l->c, txn, &g->vain));
}

static int in_vain(struct link *l, int code)
{
	struct link_log *g = &l->log;

	g->tag = 0;
	if (++g->tries >= (code == RK_ETIMEOUT ? LOG_WAITS_MAX : LOG_TRIES_MAX))
		return give_up(l, code);
	get_none(g);
	g->next_at = monotonic_ms() + LOG_PAUSE_MS;
	return RK_OK;
}

int link_log_tick(struct link *l)
{
	struct link_log *g = &l->log;
	int64_t now = monotonic_ms();
	int r;

	if (g->is_vain && (r = count_vain(l)) != RK_OK)
		return r;
	if (g->tag != 0)
		return now - g->sent_at > LOG_WAIT_MS ? in_vain(l, RK_ETIMEOUT) : RK_OK;
	if (l->state != LINK_UP || is_resting(l) || now < g->next_at || (!g->fresh && !streams_may_seal(l)))
		return RK_OK;
	return look(l);
}

static int on_answer(struct link *l, const Rk__Reply *reply, const struct incoming *in)
{
	struct link_log *g = &l->log;
	struct txn *txn;
	int r;

	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	r = commit(l, txn, log_on_answer(l->c, txn, &g->q, reply->proof, in->frame_count == 1 ? in->frames[0] : (struct bytes){0}));
	if (r < RK_OK)
		return r;
	if (r != RK_OK)
		return in_vain(l, r);
	g->answered = true;
	if (g->q.size == 0)
		g->fresh = false;
	return RK_OK;
}

int link_log_on_reply(struct link *l, const Rk__Reply *reply, struct incoming *in, bool *taken)
{
	int code = (int)reply->code;

	*taken = l->log.tag != 0 && reply->tag == l->log.tag;
	if (!*taken)
		return RK_OK;
	l->log.tag = 0;
	if (code == RK_OK)
		return on_answer(l, reply, in);
	if (code == RK_GENERATION) {
		get_none(&l->log);
		link_again(l, 50);
		return RK_OK;
	}
	return code >= 300 && code < 400 ? in_vain(l, code) : give_up(l, code);
}
