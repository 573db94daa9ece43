#include "broker/session.h"

#include <stdlib.h>
#include <string.h>

#include "proto/errcode.h"
#include "proto/merkle.h"

/* A client pings more often.  One that was forgotten is told `generation` and says HELLO again: nothing is lost. */
#define IDLE_MS 600000
#define SWEEP_STEP 256

struct sessions {
	struct idtable *table;
	size_t sweep;
	sessions_forget *forget;
	void *user;
};

struct sessions *sessions_new(size_t capacity, sessions_forget *forget, void *user)
{
	struct sessions *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->forget = forget;
	s->user = user;
	s->table = idtable_new(capacity, sizeof(struct session));
	if (s->table == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void sessions_free(struct sessions *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < idtable_capacity(s->table); i++) {
		struct session *session = idtable_at(s->table, i);
		struct message_in *m;

		while (session != NULL && (m = session_pop(session)) != NULL)
			message_in_free(m);
	}
	idtable_free(s->table);
	free(s);
}

struct session *session_find(struct sessions *s, const struct peer *peer)
{
	return idtable_find(s->table, peer->id, peer->is_invite);
}

static bool may_forget(struct sessions *s, const struct session *session, int64_t now_ms)
{
	struct peer peer = {.is_invite = session->key.is_invite};

	if (now_ms - session->seen_ms <= IDLE_MS || session->is_busy || session->in_blobs > 0 || session->queue != NULL)
		return false;
	memcpy(peer.id, session->key.id, sizeof(peer.id));
	return s->forget == NULL || s->forget(s->user, &peer);
}

static void make_room(struct sessions *s, int64_t now_ms)
{
	for (unsigned i = 0; i < SWEEP_STEP; i++) {
		struct session *session = idtable_at(s->table, s->sweep);

		s->sweep = (s->sweep + 1) % idtable_capacity(s->table);
		if (session != NULL && may_forget(s, session, now_ms))
			idtable_remove(s->table, session);
	}
}

struct session *session_get(struct sessions *s, const struct peer *peer, int64_t now_ms)
{
	struct session *session = session_find(s, peer);

	if (session == NULL) {
		if (idtable_count(s->table) == idtable_capacity(s->table))
			make_room(s, now_ms);
		session = idtable_add(s->table, peer->id, peer->is_invite);
		if (session == NULL)
			return NULL;
		session->queue_end = &session->queue;
	}
	session->seen_ms = now_ms;
	return session;
}

size_t sessions_count(const struct sessions *s)
{
	return idtable_count(s->table);
}

void session_hello(struct session *s, const struct peer *peer, bool bundles)
{
	uint64_t connection = message_connection(peer);
	uint64_t old[SESSION_OLD_CONNECTIONS];
	unsigned n = 0;

	s->bundles = bundles;
	if (s->connection == connection)
		return;
	/* The one taken over goes to the front; the new one is no longer old, should it have been. */
	memset(old, 0, sizeof(old));
	if (s->connection != 0)
		old[n++] = s->connection;
	for (unsigned i = 0; i < SESSION_OLD_CONNECTIONS && n < SESSION_OLD_CONNECTIONS; i++)
		if (s->old[i] != 0 && s->old[i] != connection)
			old[n++] = s->old[i];
	memcpy(s->old, old, sizeof(old));
	s->connection = connection;
}

int session_check(const struct session *s, const struct peer *peer)
{
	uint64_t connection = message_connection(peer);

	if (s->connection == connection)
		return RK_OK;
	for (unsigned i = 0; i < SESSION_OLD_CONNECTIONS; i++)
		if (s->old[i] == connection)
			return RK_SUPERSEDED;
	return RK_GENERATION;
}

void session_end(struct session *s)
{
	s->connection = 0;
	memset(s->old, 0, sizeof(s->old));
}

bool session_take_proof(struct session *s, size_t leaves, int64_t rate_per_s, int64_t burst, int64_t now_ms)
{
	int64_t tokens = (int64_t)((leaves + MERKLE_LEAVES_PER_TOKEN - 1) / MERKLE_LEAVES_PER_TOKEN);
	int64_t elapsed = now_ms - s->proof_ms;

	/* A new session has all of them; by the end of IDLE_MS everybody has. */
	if (s->proof_ms == 0 || elapsed > IDLE_MS)
		s->proof_milli = burst * 1000;
	else
		s->proof_milli += rate_per_s * elapsed;
	if (s->proof_milli > burst * 1000)
		s->proof_milli = burst * 1000;
	s->proof_ms = now_ms;
	if (s->proof_milli < 1000)
		return false;
	s->proof_milli -= 1000 * tokens;
	return true;
}

bool session_push(struct session *s, struct message_in *m, unsigned max)
{
	if (s->queued >= max)
		return false;
	m->next = NULL;
	*s->queue_end = m;
	s->queue_end = &m->next;
	s->queued++;
	return true;
}

struct message_in *session_pop(struct session *s)
{
	struct message_in *m = s->queue;

	if (m == NULL)
		return NULL;
	s->queue = m->next;
	if (s->queue == NULL)
		s->queue_end = &s->queue;
	s->queued--;
	m->next = NULL;
	return m;
}
