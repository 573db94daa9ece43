#include "broker/net.h"

#define IDLE_MS 1000

/* A ring that this thread fills is full.  What this thread empties is emptied; and where it waits for apply, also what apply may wait with. */
static void yield_turn(void *user, bool for_apply)
{
	struct net *n = user;

	if (n->front != NULL)
		(void)front_send(n->front);
	if (for_apply && n->deliver != NULL)
		(void)deliver_take_events(n->deliver);
}

static bool turn(struct net *n)
{
	bool worked = false;

	if (n->front != NULL && front_turn(n->front))
		worked = true;
	if (n->admit != NULL && admit_turn(n->admit))
		worked = true;
	if (n->deliver != NULL && deliver_turn(n->deliver))
		worked = true;
	return worked;
}

static bool is_idle(struct net *n)
{
	return (n->front == NULL || front_is_idle(n->front)) && (n->admit == NULL || admit_is_idle(n->admit)) &&
	       (n->deliver == NULL || deliver_is_idle(n->deliver));
}

/* The least that any of them asks for. */
static int sleep_ms(struct net *n)
{
	int ms = IDLE_MS, wanted;

	if (n->front != NULL && (wanted = front_sleep_ms(n->front)) < ms)
		ms = wanted;
	if (n->admit != NULL && (wanted = admit_sleep_ms(n->admit)) < ms)
		ms = wanted;
	if (n->deliver != NULL && (wanted = deliver_sleep_ms(n->deliver)) < ms)
		ms = wanted;
	return ms;
}

static void sleep_until_work(struct net *n)
{
	struct ring_bell *bell = n->path->net_bell;

	ring_bell_arm(bell);
	if (!is_idle(n) || atomic_load(&n->path->closing))
		ring_bell_disarm(bell);
	else if (n->front != NULL)
		front_sleep(n->front, sleep_ms(n));
	else
		ring_bell_sleep(bell, sleep_ms(n));
}

void *net_run(void *net)
{
	struct net *n = net;

	n->path->yield = yield_turn;
	n->path->yield_user = n;
	while (!atomic_load(&n->path->closing))
		if (!turn(n))
			sleep_until_work(n);
	/* All other threads have ended. */
	while (turn(n))
		;
	if (n->front != NULL)
		front_finish(n->front);
	return NULL;
}
