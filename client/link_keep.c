/*
 * link_keep: what whoever has the link keeps in order without being asked: this device's kx keys, and the directories that were signed
 * ahead.  Once on every link, as soon as control and mailbox are caught up, and then each minute.  What cannot be done now is tried again;
 * nobody's verb fails for it.
 */
#include "client/kx.h"
#include "client/link_internal.h"
#include "client/secretariat_ahead.h"

#define KEEP_MS 60000
#define PRUNE_MS 3600000

/* Only on a link that is up: the broker's clock is within ten minutes of ours then.  A machine that wakes up years ahead must not destroy what
 * still opens its mail. */
static int forget(struct link *l)
{
	int64_t now = monotonic_ms();
	int r;

	if (l->forgot_at != 0 && now - l->forgot_at < KEEP_MS)
		return RK_OK;
	l->forgot_at = now;
	r = kx_forget(l->c);
	/* A full disk keeps an old secret, not the whole home from its exchange. */
	if (r != RK_OK)
		client_log(l->c, "link: old kx secrets stay: %s", errcode_name(r));
	return r == RK_ENOMEM ? r : RK_OK;
}

void keep_begin(struct link *l)
{
	if (l->o->holds != NULL)
		*l->o->holds = true;
	l->pruned_at = monotonic_ms();
}

/* For `status` of other processes; only of a link that stays. */
static int tell_up(struct link *l, bool up)
{
	struct txn *txn;
	int r;

	if (!l->o->resident || l->told_up == up)
		return RK_OK;
	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	if ((r = meta_put_u64(txn, META_LINK_UP, up ? (uint64_t)client_now(l->c) : 0)) != RK_OK) {
		env_abort(txn);
		return r;
	}
	if ((r = env_commit(txn)) == RK_OK)
		l->told_up = up;
	return r;
}

void keep_end(struct link *l)
{
	(void)!tell_up(l, false);
	if (l->o->holds != NULL)
		*l->o->holds = false;
}

int keep_tick(struct link *l)
{
	int64_t now = monotonic_ms();
	bool kx = false, ahead = false;
	int r;

	/* A HELLO that is said again on the same connection is no news. */
	if (l->state != LINK_HELLO && (r = tell_up(l, l->state == LINK_UP)) != RK_OK)
		return r;
	/* Before anything is taken in: what comes late is not opened with a secret that should be gone. */
	if (l->state == LINK_UP && (r = forget(l)) != RK_OK)
		return r;
	if (l->state != LINK_UP || l->read_only || !streams_may_seal(l) || (l->kept_at != 0 && now - l->kept_at < KEEP_MS))
		return RK_OK;
	/* Of a link that stays for months; a new one begins with it. */
	if (now - l->pruned_at >= PRUNE_MS) {
		l->pruned_at = now;
		if ((r = send_prune(l->c)) != RK_OK)
			return r;
	}
	l->kept_at = now;
	if ((r = kx_tick(l->c, &kx)) == RK_OK)
		r = ahead_tick(l->c, &ahead);
	if (r != RK_OK)
		client_log(l->c, "link: keys are not kept in order: %s", errcode_name(r));
	if (r == RK_ENOMEM)
		return r;
	return l->o->caught_up != NULL ? l->o->caught_up(l->c, l->o->user) : RK_OK;
}

bool keep_is_done(const struct link *l)
{
	return l->read_only || l->kept_at != 0;
}
