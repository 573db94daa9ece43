/*
 * admit_judge: the checks, in their order.  Parsing is the first, so that a refusal can name its request; then who was cut hears that, whatever
 * it asked.  What a proof costs is taken last: no refusal has to give it back.
 */
#include "broker/admit_judge.h"

#include "broker/request.h"
#include "proto/errcode.h"

#define PROOFS_MAX 256 /* GET_PROOFs that wait for deliver: others' requests to it wait behind them */

/* Is the member still one? */
static bool is_revoked(struct path *path, const struct peer *peer)
{
	struct roster_device device;

	return !peer->is_invite && (!roster_device(path->roster, peer->id, &device) || !device.active);
}

/* Proofs are work for deliver and little for who asks; PROOFS_MAX keeps them from filling its ring. */
static int take_proof(struct path *path, struct session *s, const Rk__GetProof *q, int64_t now_ms)
{
	const struct config *c = path->config;

	if (atomic_load(&path->proofs) >= PROOFS_MAX ||
	    !session_take_proof(s, q->n_indexes, c->rate_per_s, c->burst, now_ms))
		return RK_BUSY;
	atomic_fetch_add(&path->proofs, 1);
	return RK_OK;
}

int admit_judge(struct path *path, struct session *s, struct command *c, int64_t now_ms)
{
	bool is_ping;
	int r = request_parse(c);

	if (is_revoked(path, &c->peer)) {
		if (s != NULL)
			session_end(s);
		return RK_REVOKED;
	}
	if (r != RK_OK)
		return r;
	if (s == NULL)
		return RK_BUSY;
	if ((r = request_check_peer(c)) != RK_OK)
		return r;
	/* It may still ask what became of its enrolment, but no longer read what the exchange says to members. */
	if (c->peer.is_invite && c->req->op == RK__OP__OP_GET_OBJECT &&
	    !roster_invite_is_open(path->roster, c->peer.id, sequence_time(path->sequence)))
		return RK_INVITE_EXPIRED;
	is_ping = c->req->op == RK__OP__OP_PING;
	if (!is_ping && atomic_load(&path->draining))
		return RK_MOVING;
	if (c->req->op == RK__OP__OP_HELLO)
		session_hello(s, &c->peer, c->req->hello->bundles);
	else if (!c->peer.is_invite && (r = session_check(s, &c->peer)) != RK_OK)
		return r;
	c->peer.bundles = s->bundles;
	/* Nothing is sequenced while the clock is off (CRYPTO 2.12). */
	if (atomic_load(&path->clock_off) && request_route(c) != REQUEST_ANSWER &&
	    request_route(c) != REQUEST_DELIVER)
		return RK_BUSY;
	if (c->req->op == RK__OP__OP_GET_PROOF)
		return take_proof(path, s, c->req->get_proof, now_ms);
	return RK_OK;
}
