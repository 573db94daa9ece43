/*
 * link_receive: entries into the store.  One transaction for all that is there: handlers, cursors, and the answers of our own
 * requests; after its commit the broker is told (ACK) and given credit.  A cursor therefore never stands behind what was taken
 * in, and a crash costs only that the same entries come again.
 *
 * An entry is held, and with it all later ones of its stream, until control has reached its control_seq: no mail is judged by
 * yesterday's keys (FIELDS "Delivery").
 */
#include <stdlib.h>

#include "client/link_internal.h"
#include "proto/object.h"

typedef int handler_fn(struct client *, struct txn *, const struct delivery *);

static handler_fn *handler_of(const struct delivery *d)
{
	static const struct {
		Rk__EntryKind kind;
		Rk__StreamType stream;
		handler_fn *fn;
	} rows[] = {
		{RK__ENTRY_KIND__ENTRY_CHARTER, RK__STREAM_TYPE__STREAM_CONTROL, book_on_control},
		{RK__ENTRY_KIND__ENTRY_DIRECTORY, RK__STREAM_TYPE__STREAM_CONTROL, book_on_control},
		{RK__ENTRY_KIND__ENTRY_ORG_DEVICES, RK__STREAM_TYPE__STREAM_CONTROL, book_on_control},
		{RK__ENTRY_KIND__ENTRY_DEVICE_KX, RK__STREAM_TYPE__STREAM_CONTROL, book_on_control},
		{RK__ENTRY_KIND__ENTRY_FEED_EPOCH, RK__STREAM_TYPE__STREAM_CONTROL, book_on_control},
		{RK__ENTRY_KIND__ENTRY_CHECKPOINT, RK__STREAM_TYPE__STREAM_CONTROL, log_on_checkpoint},
		{RK__ENTRY_KIND__ENTRY_POST, RK__STREAM_TYPE__STREAM_CHANNEL, feed_on_post},
		{RK__ENTRY_KIND__ENTRY_NDA_TERMS, RK__STREAM_TYPE__STREAM_MAILBOX, agreement_on_terms},
		{RK__ENTRY_KIND__ENTRY_NDA_ACT, RK__STREAM_TYPE__STREAM_MAILBOX, agreement_on_act},
		{RK__ENTRY_KIND__ENTRY_ENVELOPE, RK__STREAM_TYPE__STREAM_MAILBOX, mail_on_envelope},
		{RK__ENTRY_KIND__ENTRY_FEED_KEY, RK__STREAM_TYPE__STREAM_MAILBOX, feed_on_key},
		{RK__ENTRY_KIND__ENTRY_RETURNED, RK__STREAM_TYPE__STREAM_MAILBOX, mail_on_returned},
		{RK__ENTRY_KIND__ENTRY_ENROLMENT, RK__STREAM_TYPE__STREAM_MAILBOX, secretariat_on_enrolment},
		{RK__ENTRY_KIND__ENTRY_PICKUP, RK__STREAM_TYPE__STREAM_MAILBOX, mail_on_pickup},
		{RK__ENTRY_KIND__ENTRY_NACK, RK__STREAM_TYPE__STREAM_MAILBOX, mail_on_nack},
		{RK__ENTRY_KIND__ENTRY_DEPOSIT, RK__STREAM_TYPE__STREAM_MAILBOX, deposit_on_entry},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].kind == d->kind && rows[i].stream == (Rk__StreamType)d->stream.b[0])
			return rows[i].fn;
	return NULL;
}

/* Is what was fetched the object that was announced?  Every other object came with its entry. */
static bool is_announced(struct link *l, const struct entry *e)
{
	enum object_kind kind = object_kind_of(e->type);
	struct arena *arena;
	struct object o;
	uint8_t oh[32];
	bool same = false;

	if (e->total == 0)
		return true;
	if (kind == OBJECT_KIND_COUNT || (arena = arena_new(0)) == NULL)
		return false;
	if (object_parse(kind, e->d.object, arena, &o) == RK_OK) {
		object_oh(oh, &o, l->c->exchange_id);
		same = memcmp(oh, e->oh, sizeof(oh)) == 0;
	}
	arena_free(arena);
	return same;
}

/* What the broker says it has logged, whether we believe the entry or not.  After the entry: a Charter may begin another log. */
static int take_leaf(struct link *l, struct txn *txn, const struct entry *e)
{
	if (e->total != 0)
		return log_on_announced(l->c, txn, &e->d, e->type, e->oh);
	return log_on_entry(l->c, txn, &e->d);
}

static int take_entry(struct link *l, struct txn *txn, const struct entry *e)
{
	handler_fn *fn = handler_of(&e->d);
	int r = RK_OK;

	if (!e->passed_over && (fn == NULL || e->d.object.len == 0 || !is_announced(l, e)))
		client_count(txn, "bad-entry");
	else if (!e->passed_over)
		r = fn(l->c, txn, &e->d);
	return r == RK_OK ? take_leaf(l, txn, e) : r;
}

static int put_cursor(struct txn *txn, const struct link_stream *s)
{
	uint8_t v[8];

	put_u64be(v, s->cursor);
	return env_put(txn, C_CURSOR, bytes_make(s->id.b, STREAM_ID_BYTES), BYTES_OF(v), ENV_PUT);
}

/* What the commit will make true; the link's own copy changes only after it. */
struct taking {
	uint64_t cursors[LINK_STREAMS_MAX];
	bool blocked[LINK_STREAMS_MAX];
	struct entry *taken;
	size_t count;
};

static uint64_t control_cursor(const struct link *l, const struct taking *t)
{
	for (size_t i = 0; i < l->stream_count; i++)
		if (l->streams[i].id.b[0] == RK__STREAM_TYPE__STREAM_CONTROL)
			return t->cursors[i];
	return 0;
}

static bool may_take(const struct link *l, const struct taking *t, const struct entry *e, size_t stream)
{
	if (t->blocked[stream] || e->announced)
		return false;
	return e->d.stream.b[0] == RK__STREAM_TYPE__STREAM_CONTROL || e->d.control_seq <= control_cursor(l, t);
}

/* One pass over what is there, in order of arrival; taken entries move to t->taken, held ones stay. */
static int take_pass(struct link *l, struct txn *txn, struct taking *t, bool *any)
{
	struct entry **at = &l->first;
	int r = RK_OK;

	*any = false;
	memset(t->blocked, 0, sizeof(t->blocked));
	while (*at != NULL && t->count < LINK_BATCH_MAX && r == RK_OK) {
		struct entry *e = *at;
		struct link_stream *s = streams_find(l, &e->d.stream);
		size_t i = s != NULL ? (size_t)(s - l->streams) : 0;

		if (s == NULL || !may_take(l, t, e, i)) {
			t->blocked[i] = true;
			at = &e->next;
			continue;
		}
		if ((r = take_entry(l, txn, e)) != RK_OK)
			break;
		t->cursors[i] = e->d.seq;
		*at = e->next;
		e->next = t->taken;
		t->taken = e;
		t->count++;
		*any = true;
	}
	l->last = &l->first;
	while (*l->last != NULL)
		l->last = &(*l->last)->next;
	return r;
}

static int take_all(struct link *l, struct txn *txn, struct taking *t)
{
	bool any;
	int r;

	/* Again while control moves: it may have let go what was held before it in the list. */
	do {
		uint64_t before = control_cursor(l, t);

		r = take_pass(l, txn, t, &any);
		any = any && control_cursor(l, t) != before;
	} while (r == RK_OK && any && t->count < LINK_BATCH_MAX);
	for (size_t i = 0; i < l->stream_count && r == RK_OK; i++) {
		struct link_stream moved = l->streams[i];

		if (t->cursors[i] == moved.cursor && !moved.must_put)
			continue;
		moved.cursor = t->cursors[i];
		r = put_cursor(txn, &moved);
	}
	return r == RK_OK ? env_error(txn) : r;
}

/* The broker's store is older than what we read from it: somebody should know, even if nothing here is lost. */
static int tell_lost(struct link *l, struct txn *txn)
{
	if (!l->cursor_lost)
		return RK_OK;
	client_count(txn, "cursor-lost");
	return inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, BYTES_OF(l->generation), NULL, client_now(l->c), "generation");
}

static void taken(struct link *l, struct taking *t)
{
	struct entry *next;

	for (size_t i = 0; i < l->stream_count; i++) {
		struct link_stream *s = &l->streams[i];

		s->must_ack |= t->cursors[i] > s->cursor;
		s->cursor = t->cursors[i];
		s->must_put = false;
	}
	for (struct entry *e = t->taken; e != NULL; e = next) {
		next = e->next;
		entry_free(e);
	}
	l->entry_count -= t->count;
	if (t->count > 0)
		l->entered_at = monotonic_ms();
}

static bool has_work(const struct link *l)
{
	if (l->answer_count > 0)
		return true;
	for (size_t i = 0; i < l->stream_count; i++)
		if (l->streams[i].must_put)
			return true;
	return false;
}

/* Is there an entry that can be taken now?  So that a held one does not cost a transaction each time round. */
static bool has_entries(const struct link *l)
{
	struct taking t = {0};

	for (size_t i = 0; i < l->stream_count; i++)
		t.cursors[i] = l->streams[i].cursor;
	for (const struct entry *e = l->first; e != NULL; e = e->next) {
		const struct link_stream *s = streams_find((struct link *)(uintptr_t)l, &e->d.stream);
		size_t i = s != NULL ? (size_t)(s - l->streams) : 0;

		if (s != NULL && may_take(l, &t, e, i))
			return true;
		t.blocked[i] = true;
	}
	return false;
}

int receive_commit(struct link *l, bool *moved)
{
	struct taking t = {0};
	struct txn *txn;
	int r;

	*moved = false;
	if (!has_work(l) && !has_entries(l))
		return RK_OK;
	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	for (size_t i = 0; i < l->stream_count; i++)
		t.cursors[i] = l->streams[i].cursor;
	r = settle_answers(l, txn);
	if (r == RK_OK)
		r = tell_lost(l, txn);
	if (r == RK_OK)
		r = take_all(l, txn, &t);
	if (r != RK_OK) {
		env_abort(txn);
		/* What was taken goes back with the rest: the link ends, and they come again. */
		while (t.taken != NULL) {
			struct entry *e = t.taken;

			t.taken = e->next;
			entry_free(e);
			l->entry_count--;
		}
		return r;
	}
	if ((r = env_commit(txn)) != RK_OK) {
		taken(l, &t);
		return r;
	}
	taken(l, &t);
	l->cursor_lost = false;
	settle_done(l);
	*moved = true;
	return RK_OK;
}
