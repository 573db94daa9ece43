/*
 * link_stream: subscriptions.  Control first and alone, until it has caught up; then the mailbox and the channels: no entry that
 * exists by then names a control_seq that we have not reached, so what has to be held is little.  One credit serves all streams.
 */
#include <stdlib.h>

#include <sodium.h>

#include "client/link_internal.h"
#include "proto/strict.h"

#define SUBSCRIBE_WAIT_MS 8000
#define OBJECT_WAIT_MS 8000
#define OBJECT_MAX (4 * 1024 * 1024)
#define STALL_MS 3000
#define HELD_MAX_BYTES (4 * (size_t)LINK_CREDIT_BYTES) /* credit, and what one entry may exceed it by */

void entry_free(struct entry *e)
{
	if (e == NULL)
		return;
	free(e->memory);
	free(e);
}

struct link_stream *streams_find(struct link *l, const struct stream_id *id)
{
	for (size_t i = 0; i < l->stream_count; i++)
		if (memcmp(l->streams[i].id.b, id->b, STREAM_ID_BYTES) == 0)
			return &l->streams[i];
	return NULL;
}

static void drop_entries(struct link *l)
{
	struct entry *next;

	for (struct entry *e = l->first; e != NULL; e = next) {
		next = e->next;
		entry_free(e);
	}
	l->first = NULL;
	l->last = &l->first;
	l->entry_count = 0;
	for (size_t i = 0; i < l->stream_count; i++)
		l->streams[i].received = l->streams[i].cursor;
}

/* The session is gone, and with it subscriptions and credit.  What was not committed comes again. */
void streams_forget(struct link *l)
{
	drop_entries(l);
	for (size_t i = 0; i < l->stream_count; i++) {
		l->streams[i].subscribed = false;
		l->streams[i].tag = 0;
	}
	free(l->object);
	l->object = NULL;
	l->object_tag = 0;
	l->object_len = 0;
	l->credit_entries = 0;
	l->credit_bytes = 0;
	l->credit_tag = 0;
}

/* ---- which streams */

static int add_stream(struct link *l, struct txn *txn, struct stream_id id)
{
	struct link_stream *s;
	struct bytes v;
	int r;

	if (streams_find(l, &id) != NULL || l->stream_count == LINK_STREAMS_MAX)
		return RK_OK;
	s = &l->streams[l->stream_count];
	memset(s, 0, sizeof(*s));
	s->id = id;
	r = env_get(txn, C_CURSOR, bytes_make(id.b, STREAM_ID_BYTES), &v);
	if (r == RK_OK && v.len == 8)
		s->cursor = s->received = get_u64be(v.data);
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	l->stream_count++;
	return RK_OK;
}

static bool is_wanted(struct txn *txn, const struct stream_id *id)
{
	return id->b[0] != RK__STREAM_TYPE__STREAM_CHANNEL || env_has(txn, C_FOLLOW, bytes_make(&id->b[1], 1));
}

/* A channel no longer followed: its entries in memory go too, so that nothing of it is told. */
static void remove_stream(struct link *l, size_t at)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;
	struct entry **at_entry = &l->first;

	while (*at_entry != NULL) {
		struct entry *e = *at_entry;

		if (memcmp(e->d.stream.b, l->streams[at].id.b, STREAM_ID_BYTES) != 0) {
			at_entry = &e->next;
			continue;
		}
		*at_entry = e->next;
		l->entry_count--;
		entry_free(e);
	}
	l->last = at_entry;
	if (l->state == LINK_UP && l->streams[at].subscribed) {
		stream_to_wire(&l->streams[at].id, &id);
		q.op = RK__OP__OP_UNSUBSCRIBE;
		q.tag = link_tag(l);
		q.unsubscribe = &id;
		/* If it does not go out, its deliveries are dropped as those of no stream of ours. */
		(void)wire_request(l->wire, &q, (struct bytes){0});
	}
	l->streams[at] = l->streams[--l->stream_count];
}

int streams_refresh(struct link *l)
{
	struct txn *txn;
	int r;

	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		return r;
	r = add_stream(l, txn, stream_control());
	if (r == RK_OK)
		r = add_stream(l, txn, stream_mailbox(l->c->org_id));
	for (size_t i = l->stream_count; i-- > 0;)
		if (!is_wanted(txn, &l->streams[i].id))
			remove_stream(l, i);
	for (uint8_t ch = RK__CHANNEL__OFFER; ch <= RK__CHANNEL__NOTICE && r == RK_OK; ch++)
		if (env_has(txn, C_FOLLOW, bytes_make(&ch, 1)))
			r = add_stream(l, txn, stream_channel((Rk__Channel)ch));
	env_abort(txn);
	return r;
}

/* ---- asking */

static bool is_synced(const struct link_stream *s)
{
	return s->subscribed && s->tag == 0 && s->cursor >= s->head;
}

bool streams_synced(const struct link *l)
{
	for (size_t i = 0; i < l->stream_count; i++)
		if (!is_synced(&l->streams[i]))
			return false;
	return l->first == NULL;
}

bool streams_may_seal(const struct link *l)
{
	for (size_t i = 0; i < l->stream_count; i++)
		if (l->streams[i].id.b[0] != RK__STREAM_TYPE__STREAM_CHANNEL && !is_synced(&l->streams[i]))
			return false;
	return l->stream_count >= 2;
}

void streams_ask_heads(struct link *l)
{
	for (size_t i = 0; i < l->stream_count; i++) {
		l->streams[i].subscribed = false;
		l->streams[i].tag = 0;
	}
	l->heads_old = false;
}

static void subscribe(struct link *l, struct link_stream *s)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Subscribe sub = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	if (!send_token(l))
		return;
	stream_to_wire(&s->id, &id);
	sub.stream = &id;
	sub.cursor = s->received;
	sub.generation = pb_of(BYTES_OF(l->generation));
	q.op = RK__OP__OP_SUBSCRIBE;
	q.tag = link_tag(l);
	q.subscribe = &sub;
	if (wire_request(l->wire, &q, (struct bytes){0}) != RK_OK)
		return;
	s->tag = q.tag;
	s->asked_at = monotonic_ms();
}

static size_t held_bytes(const struct link *l)
{
	size_t bytes = 0;

	for (const struct entry *e = l->first; e != NULL; e = e->next)
		bytes += e->bytes;
	return bytes;
}

/* Fills the credit up when less than half is left. */
static void give_credit(struct link *l)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Credit credit = RK__CREDIT__INIT;
	int64_t entries = LINK_CREDIT_ENTRIES - l->credit_entries - (int64_t)l->entry_count;
	int64_t bytes = LINK_CREDIT_BYTES - l->credit_bytes - (int64_t)held_bytes(l);

	if (entries < LINK_CREDIT_ENTRIES / 2 && bytes < LINK_CREDIT_BYTES / 2)
		return;
	credit.entries = entries > 0 ? (uint32_t)entries : 0;
	credit.bytes = bytes > 0 ? (uint32_t)bytes : 0;
	if ((credit.entries == 0 && credit.bytes == 0) || l->credit_tag != 0 || !send_token(l))
		return;
	q.op = RK__OP__OP_CREDIT;
	q.tag = link_tag(l);
	q.credit = &credit;
	if (wire_request(l->wire, &q, (struct bytes){0}) != RK_OK)
		return;
	l->credit_tag = q.tag;
	l->credit_at = monotonic_ms();
	l->credit_entries += credit.entries;
	l->credit_bytes += credit.bytes;
}

static void acknowledge(struct link *l, struct link_stream *s)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;
	Rk__Ack ack = RK__ACK__INIT;

	if (!send_token(l))
		return;
	stream_to_wire(&s->id, &id);
	ack.stream = &id;
	ack.seq = s->cursor;
	q.op = RK__OP__OP_ACK;
	q.tag = link_tag(l);
	q.ack = &ack;
	if (wire_request(l->wire, &q, (struct bytes){0}) == RK_OK)
		s->must_ack = false;
}

/* The next part of the object that the first entry of the control stream announces. */
static int fetch_object(struct link *l, const struct entry *e)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__GetObject get = RK__GET_OBJECT__INIT;

	if (e->total == 0 || e->total > OBJECT_MAX)
		return RK_OK;
	if (l->object == NULL && (l->object = malloc(e->total)) == NULL)
		return RK_ENOMEM;
	if (!send_token(l))
		return RK_OK;
	get.type = e->type;
	if (e->has_id)
		get.id = pb_of(BYTES_OF(e->id));
	get.serial = e->serial;
	get.oh = pb_of(BYTES_OF(e->oh));
	get.offset = l->object_len;
	q.op = RK__OP__OP_GET_OBJECT;
	q.tag = link_tag(l);
	q.get_object = &get;
	if (wire_request(l->wire, &q, (struct bytes){0}) == RK_OK) {
		l->object_tag = q.tag;
		l->object_at = monotonic_ms();
	}
	return RK_OK;
}

static const struct entry *first_announced(const struct link *l)
{
	for (const struct entry *e = l->first; e != NULL; e = e->next)
		if (e->announced)
			return e;
	return NULL;
}

/* A directory that is older than ours is passed over: a home that comes late must not fetch megabytes for each one of its past.
 * One that is newer is never skipped for a still newer one: the lists between them are believed by its rows. */
static void pass_over(struct link *l)
{
	struct bytes wire;
	struct txn *txn;
	uint8_t oh[32];
	uint64_t newest = 0;

	if (first_announced(l) == NULL || l->object != NULL || env_begin(l->c->env, false, &txn) != RK_OK)
		return;
	if (book_newest(txn, RK__OBJECT_TYPE__OBJECT_DIRECTORY, NULL, &newest, oh, &wire) != RK_OK)
		newest = 0;
	env_abort(txn);
	for (struct entry *e = l->first; e != NULL; e = e->next) {
		bool same = newest != 0 && e->serial == newest && memcmp(e->oh, oh, sizeof(oh)) == 0;

		if (!e->announced || e->type != RK__OBJECT_TYPE__OBJECT_DIRECTORY || (e->serial >= newest && !same))
			continue;
		e->announced = false;
		e->passed_over = true;
	}
}

int streams_tick(struct link *l)
{
	int64_t now = monotonic_ms();
	const struct entry *announced;
	bool control = false;
	int r;

	pass_over(l);
	announced = first_announced(l);
	for (size_t i = 0; i < l->stream_count; i++) {
		struct link_stream *s = &l->streams[i];
		bool is_control = s->id.b[0] == RK__STREAM_TYPE__STREAM_CONTROL;

		if (is_control)
			control = is_synced(s) || (s->subscribed && s->cursor >= s->head);
		if (s->tag != 0 && now - s->asked_at > SUBSCRIBE_WAIT_MS)
			link_again(l, 0);
		if (l->state != LINK_UP)
			return RK_OK;
		if (!s->subscribed && s->tag == 0 && (is_control || control))
			subscribe(l, s);
		if (s->must_ack && s->subscribed)
			acknowledge(l, s);
	}
	give_credit(l);
	if (announced != NULL && l->object_tag == 0 && (r = fetch_object(l, announced)) != RK_OK)
		return r;
	/* An object or the word for a credit that does not come, or held entries that use the credit up while control is behind:
	 * from the start. */
	if ((l->object_tag != 0 && now - l->object_at > OBJECT_WAIT_MS) ||
	    (l->credit_tag != 0 && now - l->credit_at > SUBSCRIBE_WAIT_MS) ||
	    (l->first != NULL && announced == NULL && now - l->entered_at > STALL_MS))
		link_again(l, 0);
	return RK_OK;
}

/* ---- answers */

static int on_subscribed(struct link *l, struct link_stream *s, const Rk__Reply *reply)
{
	s->tag = 0;
	if (reply->code == RK_GENERATION) {
		/* Once may mean that the session is unknown; again, that our cursor is beyond what a restored broker has. */
		if (s->refused++ > 0) {
			client_log(l->c, "link: stream %u starts again from 0", (unsigned)s->id.b[0]);
			s->cursor = s->received = 0;
			s->must_put = true;
			l->cursor_lost = true;
			s->refused = 0;
		}
		link_again(l, 0);
		return RK_OK;
	}
	if (reply->code != RK_OK)
		return reply->code >= 300 && reply->code < 400 ? RK_OK : (int)reply->code;
	if (reply->subscribe == NULL)
		return RK_OK;
	s->refused = 0;
	s->subscribed = true;
	s->head = reply->subscribe->head_seq;
	/* What retention has taken away does not come: the stream goes on behind it. */
	if (s->received == s->cursor && reply->subscribe->first_seq > s->cursor + 1) {
		s->cursor = s->received = reply->subscribe->first_seq - 1;
		s->must_put = true;
	}
	return RK_OK;
}

static int on_object(struct link *l, const Rk__Reply *reply, struct incoming *in)
{
	struct entry *e = (struct entry *)(uintptr_t)first_announced(l);
	struct bytes part = in->frame_count > 0 ? in->frames[0] : (struct bytes){0};

	l->object_tag = 0;
	if (e == NULL || (reply->code >= 300 && reply->code < 400))
		return RK_OK;
	if (reply->code != RK_OK || part.len == 0 || part.len > e->total - l->object_len) {
		/* Gone, since a newer one stands in its place: the entry then says nothing, and the newer one comes by its own. */
		free(l->object);
		l->object = NULL;
		l->object_len = 0;
		e->announced = false;
		return RK_OK;
	}
	memcpy(l->object + l->object_len, part.data, part.len);
	l->object_len += (uint32_t)part.len;
	if (l->object_len < e->total)
		return RK_OK;
	free(e->memory);
	e->memory = l->object;
	e->bytes += l->object_len;
	e->d.object = bytes_make(l->object, l->object_len);
	e->announced = false;
	l->object = NULL;
	l->object_len = 0;
	return RK_OK;
}

int streams_on_reply(struct link *l, const Rk__Reply *reply, struct incoming *in, bool *taken)
{
	*taken = true;
	if (l->object_tag != 0 && reply->tag == l->object_tag)
		return on_object(l, reply, in);
	if (l->credit_tag != 0 && reply->tag == l->credit_tag) {
		l->credit_tag = 0;
		if (reply->code != RK_OK)
			link_again(l, reply->code >= 300 && reply->code < 400 ? 1000 : 0);
		return RK_OK;
	}
	for (size_t i = 0; i < l->stream_count; i++)
		if (l->streams[i].tag != 0 && l->streams[i].tag == reply->tag)
			return on_subscribed(l, &l->streams[i], reply);
	*taken = false;
	return RK_OK;
}

/* ---- entries */

/* Frames of an entry by its kind (PROTOCOL.md, "Delivery"): object, then WrapList and body, or body alone for a post. */
static bool place_frames(struct entry *e, const Rk__Delivery *d, const struct incoming *in)
{
	bool is_post = d->kind == RK__ENTRY_KIND__ENTRY_POST;

	if (e->announced)
		return in->frame_count == 0;
	if (in->frame_count == 0)
		return false;
	e->d.object = in->frames[0];
	if (in->frame_count == 1)
		return true;
	if (is_post) {
		e->d.body = in->frames[1];
		return in->frame_count == 2;
	}
	if (in->frame_count != 3)
		return false;
	e->d.wraps = in->frames[1];
	e->d.body = in->frames[2];
	return true;
}

static struct entry *entry_new(const Rk__Delivery *d, const struct stream_id *id, struct incoming *in)
{
	struct entry *e = calloc(1, sizeof(*e));
	const Rk__Announce *a = d->announce;

	if (e == NULL)
		return NULL;
	e->d = (struct delivery){.stream = *id, .seq = d->seq, .kind = d->kind, .time_ms = d->time_ms,
				 .control_seq = d->control_seq, .logged = d->logged, .bulk_dropped = d->bulk_dropped,
				 .log_index = d->log_index};
	e->bytes = in->bytes;
	if (a != NULL) {
		e->announced = true;
		e->type = a->type;
		e->has_id = a->id.len == sizeof(e->id);
		if (e->has_id)
			memcpy(e->id, a->id.data, sizeof(e->id));
		e->serial = a->serial;
		memcpy(e->oh, a->oh.data, sizeof(e->oh));
		e->total = a->len;
		/* Nothing can be fetched: the entry is empty, and its handler says so.  Only control announces; its entries also stay
		 * until they are taken, while those of a channel may go with it when half of the object is here. */
		if (a->len == 0 || a->len > OBJECT_MAX || id->b[0] != RK__STREAM_TYPE__STREAM_CONTROL)
			e->announced = false;
	}
	return e;
}

int streams_on_delivery(struct link *l, const Rk__Delivery *d, struct incoming *in)
{
	struct link_stream *s;
	struct stream_id id;
	struct entry *e;

	l->credit_entries--;
	l->credit_bytes -= (int64_t)in->bytes;
	if (d->stream == NULL || stream_from_wire(&id, d->stream) != RK_OK || (s = streams_find(l, &id)) == NULL)
		return RK_OK;
	/* From before this session's SUBSCRIBE, or a second time: the broker sends from our cursor again. */
	if ((!s->subscribed && s->tag == 0) || d->seq <= s->received)
		return RK_OK;
	if (d->seq != s->received + 1 && d->gap_to + 1 != d->seq) {
		if (!s->subscribed)
			return RK_OK;
		client_log(l->c, "link: stream %u jumps from %llu to %llu", (unsigned)id.b[0], (unsigned long long)s->received,
			   (unsigned long long)d->seq);
		s->subscribed = false;
		return RK_OK;
	}
	/* More than we gave credit for: the broker does not keep the rules. */
	if (l->entry_count >= 2 * LINK_CREDIT_ENTRIES || held_bytes(l) > HELD_MAX_BYTES)
		return RK_EUNREACHABLE;
	/* What is dated ahead would make an end that has come look like one to come. */
	if (d->time_ms < 0 || d->time_ms > client_now(l->c) + LINK_CLOCK_REFUSE_MS)
		return RK_CLOCK;
	if ((e = entry_new(d, &id, in)) == NULL)
		return RK_ENOMEM;
	if (!place_frames(e, d, in)) {
		e->d.object = e->d.wraps = e->d.body = (struct bytes){0};
		e->announced = false;
	}
	e->memory = in->memory;
	in->memory = NULL;
	if (l->first == NULL)
		l->entered_at = monotonic_ms();
	*l->last = e;
	l->last = &e->next;
	l->entry_count++;
	s->received = d->seq;
	return RK_OK;
}
