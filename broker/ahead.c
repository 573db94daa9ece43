#include "broker/ahead.h"

#include "proto/errcode.h"

#define LOOK_MS 1000
#define QUIET_TXNS_PER_S 5
#define QUIET_BYTES_PER_S ((uint64_t)1 << 20)
#define IDLE_CHUNK_MS 2                      /* 128 MiB/s at most */
#define LOADED_CHUNK_MS 20                   /* 13 MiB/s, as long as … */
#define LOADED_BYTES_PER_S ((uint64_t)4 << 20) /* … the store grows by no more than this, and … */
#define LOADED_AHEAD_BYTES ((uint64_t)16 << 20) /* … no more than this lies ahead: the rest can wait for quiet */

static void look(struct ahead *a, int64_t now_ms, const struct env_ahead *now)
{
	int64_t ms = now_ms - a->looked_ms;

	if (a->looked_ms != 0 && ms < LOOK_MS)
		return;
	/* Nothing is known at the first look: as if there were much to do. */
	if (a->looked_ms == 0)
		a->bytes_per_s = UINT64_MAX;
	else
		a->bytes_per_s = now->used_bytes > a->used_bytes ? (now->used_bytes - a->used_bytes) * 1000 / (uint64_t)ms : 0;
	/* A store may be busy and not grow: what expires makes room for what comes. */
	a->is_quiet = a->bytes_per_s <= QUIET_BYTES_PER_S && (now->last_txn - a->last_txn) * 1000 / (uint64_t)ms <= QUIET_TXNS_PER_S;
	a->looked_ms = now_ms;
	a->used_bytes = now->used_bytes;
	a->last_txn = now->last_txn;
}

/* From three quarters of it to all: chunks come in runs, not one after each commit. */
static bool wants_more(struct ahead *a, uint64_t ahead_bytes)
{
	uint64_t enough = a->target_bytes;

	if (!a->is_quiet && enough > LOADED_AHEAD_BYTES)
		enough = LOADED_AHEAD_BYTES;
	if (a->bytes_per_s > LOADED_BYTES_PER_S || ahead_bytes >= enough)
		return false;
	return a->is_growing || ahead_bytes < enough - enough / 4;
}

int ahead_turn(struct ahead *a, int64_t now_ms)
{
	struct env_ahead now;
	uint64_t written = 0;

	if (now_ms < a->next_ms)
		return (int)(a->next_ms - now_ms);
	if (a->target_bytes > 0 && env_ahead(a->env, &now) == RK_OK) {
		look(a, now_ms, &now);
		a->is_growing = wants_more(a, now.ahead_bytes);
		/* All of the target must have room, or a disk that fills up would be filled by this. */
		if (a->is_growing)
			(void)env_ahead_write(a->env, a->target_bytes, a->reserve_bytes + a->target_bytes, &written);
	}
	if (written == 0)
		a->next_ms = now_ms + LOOK_MS;
	else
		a->next_ms = now_ms + (a->is_quiet ? IDLE_CHUNK_MS : LOADED_CHUNK_MS);
	return (int)(a->next_ms - now_ms);
}
