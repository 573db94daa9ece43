/* agent: one a home, seen by the others; and which entries of the inbox it has handed on. */
#include "client/agent.h"

#include <time.h>
#include <unistd.h>

#define LOCK_NAME "agent.lock"
#define LOCK_TRIES 20   /* of 50 ms: `status` holds it for a moment to see whether anybody does */
#define EVENT_ARENA 65536

static int write_facts(struct client *c, bool serves)
{
	struct txn *txn;
	int r = env_begin(client_env(c), true, &txn);

	if (r != RK_OK)
		return r;
	if ((r = meta_put_u64(txn, META_AGENT_SINCE, (uint64_t)client_now(c))) != RK_OK ||
	    (r = meta_put_u64(txn, META_AGENT_SERVES, serves)) != RK_OK || (r = meta_put_u64(txn, META_LINK_UP, 0)) != RK_OK) {
		env_abort(txn);
		return r;
	}
	return env_commit(txn);
}

int agent_begin(struct client *c, bool serves, int *lock)
{
	const struct timespec pause = {.tv_nsec = 50000000};
	int r = RK_ELOCKED;

	*lock = -1;
	for (unsigned i = 0; i < LOCK_TRIES && (r = env_lock_folder(client_home(c), LOCK_NAME, lock)) == RK_ELOCKED; i++)
		nanosleep(&pause, NULL);
	if (r == RK_OK && (r = write_facts(c, serves)) != RK_OK) {
		close(*lock);
		*lock = -1;
	}
	return r;
}

int agent_view(struct client *c, struct txn *txn, struct agent_view *v)
{
	int fd = -1, r;

	memset(v, 0, sizeof(*v));
	r = env_lock_folder(client_home(c), LOCK_NAME, &fd);
	if (r == RK_OK) {
		close(fd);
		return RK_OK;
	}
	if (r != RK_ELOCKED)
		return r;
	v->is_running = true;
	v->since = (int64_t)meta_u64(txn, META_AGENT_SINCE);
	v->serves = meta_u64(txn, META_AGENT_SERVES) != 0;
	v->connected_since = (int64_t)meta_u64(txn, META_LINK_UP);
	return RK_OK;
}

/* ---- events */

static int last_entry(struct txn *txn, uint64_t *no)
{
	struct env_cursor *cursor;
	struct bytes key, value;
	int r = env_cursor_open(txn, C_INBOX, &cursor);

	*no = 0;
	if (r != RK_OK)
		return r;
	if ((r = env_cursor_last(cursor, &key, &value)) == RK_OK && key.len == 8)
		*no = get_u64be(key.data);
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* From `told` on: the first unread entry, how many there are of them, and the last entry looked at. */
static int scan(struct txn *txn, uint64_t told, struct agent_event *e, uint64_t *last)
{
	struct arena *arena = arena_new(EVENT_ARENA);
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	uint8_t from[8];
	int r;

	memset(e, 0, sizeof(*e));
	*last = told;
	if (arena == NULL)
		return RK_ENOMEM;
	put_u64be(from, told + 1);
	if ((r = env_cursor_open(txn, C_INBOX, &cursor)) == RK_OK)
		r = env_cursor_seek(cursor, BYTES_OF(from), &key, &value);
	for (; r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__InboxRecord *rec;

		arena_reset(arena, EVENT_ARENA + arena_budget(value.len));
		if ((rec = rkl__inbox_record__unpack(arena_allocator(arena), value.len, value.data)) == NULL) {
			r = RK_ESTORE;
			break;
		}
		*last = e->no == 0 ? rec->no : *last;
		if (rec->read)
			continue;
		e->unread++;
		if (e->no != 0)
			continue;
		e->no = rec->no;
		e->kind = rec->kind;
		e->id_len = rec->id.len <= sizeof(e->id) ? rec->id.len : 0;
		if (e->id_len > 0)
			memcpy(e->id, rec->id.data, e->id_len);
	}
	env_cursor_free(cursor);
	arena_free(arena);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int look(struct client *c, bool write, struct agent_event *e, bool *changed)
{
	struct bytes value;
	uint64_t told, last;
	struct txn *txn;
	int r = env_begin(client_env(c), write, &txn);

	*changed = false;
	if (r != RK_OK)
		return r;
	if (meta_get(txn, META_AGENT_TOLD, &value) != RK_OK) {
		memset(e, 0, sizeof(*e));
		*changed = true;
		r = last_entry(txn, &last);
	} else {
		told = meta_u64(txn, META_AGENT_TOLD);
		r = scan(txn, told, e, &last);
		*changed = last != told;
	}
	if (r == RK_OK && write && *changed && (r = meta_put_u64(txn, META_AGENT_TOLD, last)) == RK_OK)
		return env_commit(txn);
	env_abort(txn);
	return r;
}

int agent_next_event(struct client *c, struct agent_event *e)
{
	bool changed;
	int r = look(c, false, e, &changed);

	if (r == RK_OK && changed)
		r = look(c, true, e, &changed);
	return r != RK_OK ? r : e->no != 0 ? RK_OK : RK_ENOTFOUND;
}
