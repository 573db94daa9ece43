/*
 * deliver: one turn takes what came (requests, events, deliveries given back), then lets each reader that may receive
 * send a few entries.  Invariants:
 * - Nothing is handed to front without credit, and no more than READER_FLIGHT_MAX entries of a reader,
 * PATH_DELIVERIES_MAX in all, are under way; so the ring back never fills.
 * - Front answers for each in order: sent; again (the connection is full: all under way goes back to its key and is
 * tried after a pause); gone (the connection is no more: the reader is dropped, the client comes again with its own
 * cursors). So a reader never sees a gap but one by retention, which the entry after it tells.
 * - The roster is asked before each turn of a reader: one that was cut gets nothing, whatever order the rings had.
 */
#include "broker/deliver.h"

#include <stdlib.h>

#include "broker/apply.h"
#include "broker/log.h"
#include "broker/metrics.h"
#include "broker/pages.h"
#include "broker/proofs.h"
#include "broker/readers.h"
#include "broker/signer.h"
#include "proto/errcode.h"
#include "proto/strict.h"

#define TURN_REQUESTS 256
#define PROOF_COST 4                /* of one GET_PROOF and of each of its leaves, in requests */
#define TURN_ENTRIES 32             /* of one reader, before the next one's turn */
#define PART_BYTES (256 * 1024)     /* of GET_OBJECT */
#define PAUSE_MIN_MS 4
#define PAUSE_MAX_MS 250
#define WAITING_POLL_MS 4
#define IDLE_MS 1000

struct deliver {
	struct path *path;
	struct readers *readers;
	struct pages *pages;
	int64_t now_ms;
	unsigned under_way;         /* deliveries that front has */
};

struct deliver *deliver_new(struct path *path)
{
	struct deliver *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->path = path;
	d->readers = readers_new(2 * (size_t)path->config->connections);
	d->pages = pages_new(path->env, path->config);
	if (d->readers == NULL || d->pages == NULL) {
		deliver_free(d);
		return NULL;
	}
	return d;
}

void deliver_free(struct deliver *d)
{
	if (d == NULL)
		return;
	readers_free(d->readers);
	pages_free(d->pages);
	free(d);
}

static void drop(struct deliver *d, struct reader *r)
{
	metrics_add(M_DELIVER_DROPPED, 1);
	readers_drop(d->readers, r);
}

/* Runs it, unless it waits for its connection. */
static void wake(struct deliver *d, struct reader *r)
{
	if (r->place == READER_NOWHERE && reader_next(r) != NULL)
		readers_place(d->readers, r, READER_RUNS);
}

/* ---- replies */

static void send_reply(struct deliver *d, struct message_out *o)
{
	ring_push_wait(d->path->deliver_front, o);
}

static void refuse(struct deliver *d, struct command *c, int code)
{
	struct message_out *o = message_out_new(MESSAGE_REPLY, &c->peer);
	struct bytes header;

	metrics_refusal(code);
	if (o == NULL || apply_pack_refusal(c, code, sequence_time(d->path->sequence), &header) != RK_OK ||
	    !message_out_copy(o, header)) {
		metrics_add(M_DROP_MEMORY, 1);
		message_out_free(o);
		return;
	}
	o->to_cut = code == RK_REVOKED;
	send_reply(d, o);
}

/* Fills the common fields, packs, and adds `bulk` if there is some.  A refusal goes where memory is short. */
static void reply(struct deliver *d, struct command *c, Rk__Reply *reply_message, struct bytes bulk)
{
	struct message_out *o = message_out_new(MESSAGE_REPLY, &c->peer);
	Rk__Down down = RK__DOWN__INIT;
	struct bytes header, busy;

	reply_message->op = c->req->op;
	reply_message->tag = c->req->tag;
	reply_message->time_ms = sequence_time(d->path->sequence);
	down.protocol = 1;
	down.reply = reply_message;
	arena_raise(c->arena, arena_budget(1024));
	if (o == NULL || STRICT_PACK(&down, c->arena, &header) != RK_OK || !message_out_copy(o, header))
		goto busy;
	if (bulk.len > 0 &&
	    (!message_out_copy(o, bulk) || apply_pack_refusal(c, RK_BUSY, reply_message->time_ms, &busy) != RK_OK ||
	     !message_out_set_fallback(o, busy)))
		goto busy;
	send_reply(d, o);
	return;
busy:
	message_out_free(o);
	refuse(d, c, RK_BUSY);
}

/* ---- requests */

/* The reader of a command's peer: admit has seen that this connection is the device's session.  NULL: refused. */
static struct reader *reader_of(struct deliver *d, struct command *c)
{
	struct reader *r = readers_find(d->readers, c->peer.id);
	struct roster_device device;

	if (!roster_device(d->path->roster, c->peer.id, &device) || !device.active) {
		refuse(d, c, RK_REVOKED);
		return NULL;
	}
	if (r != NULL && message_connection(&r->peer) != message_connection(&c->peer)) {
		drop(d, r);
		r = NULL;
	}
	if (r == NULL)
		r = readers_add(d->readers, &c->peer, device.org_id);
	if (r == NULL)
		refuse(d, c, RK_BUSY);
	return r;
}

/* Control, channels, and the own organisation's mailbox. */
static int check_stream(const struct reader *r, const Rk__StreamId *wire, struct stream_id *stream)
{
	int code = stream_from_wire(stream, wire);

	if (code != RK_OK)
		return code;
	if (wire->type == RK__STREAM_TYPE__STREAM_MAILBOX &&
	    !bytes_equal(bytes_of(wire->org_id), BYTES_OF(r->org_id)))
		return RK_NOT_PERMITTED;
	return RK_OK;
}

static int read_bounds(struct deliver *d, const struct stream_id *stream, uint64_t *first, uint64_t *head)
{
	struct txn *txn;
	int code = env_begin(d->path->env, false, &txn);

	if (code != RK_OK)
		return code;
	code = stream_bounds(txn, stream, first, head);
	env_abort(txn);
	return code;
}

static int subscribe(struct deliver *d, struct reader *r, const Rk__Subscribe *q, Rk__SubscribeReply *out)
{
	struct stream_id stream;
	int code = check_stream(r, q->stream, &stream);

	if (code != RK_OK)
		return code;
	if (q->generation.len != 0 && !bytes_equal(bytes_of(q->generation), BYTES_OF(d->path->generation)))
		return RK_GENERATION;
	if ((code = read_bounds(d, &stream, &out->first_seq, &out->head_seq)) != RK_OK)
		return code;
	if (q->cursor > out->head_seq)
		return RK_GENERATION;
	return readers_subscribe(d->readers, r, &stream, q->cursor, out->head_seq) ? RK_OK : RK_ENOMEM;
}

static void handle_subscribe(struct deliver *d, struct reader *r, struct command *c)
{
	Rk__Reply message = RK__REPLY__INIT;
	Rk__SubscribeReply out = RK__SUBSCRIBE_REPLY__INIT;
	int code = subscribe(d, r, c->req->subscribe, &out);

	if (code != RK_OK) {
		refuse(d, c, code < 0 ? RK_BUSY : code);
		return;
	}
	out.stream = c->req->subscribe->stream;
	message.subscribe = &out;
	reply(d, c, &message, bytes_make(NULL, 0));
	wake(d, r);
}

static void handle_unsubscribe(struct deliver *d, struct reader *r, struct command *c)
{
	struct stream_id stream;
	int code = check_stream(r, c->req->unsubscribe, &stream);

	if (code == RK_OK)
		readers_unsubscribe(d->readers, r, &stream);
	refuse(d, c, code);
}

static void handle_credit(struct deliver *d, struct reader *r, struct command *c)
{
	reader_credit(r, c->req->credit->entries, c->req->credit->bytes);
	refuse(d, c, RK_OK);
	wake(d, r);
}

static int get_object(struct txn *txn, struct command *c, Rk__ObjectReply *out, struct bytes *part)
{
	const Rk__GetObject *q = c->req->get_object;
	struct bytes oh, wire;
	int code = apply_object(txn, q->type, bytes_of(q->id), q->serial, &out->serial, &oh, &wire);

	if (code != RK_OK)
		return code;
	if (q->oh.len != 0 && !bytes_equal(bytes_of(q->oh), oh))
		return RK_UNKNOWN_OBJECT;
	if (q->offset >= wire.len)
		return RK_MALFORMED;
	*part = bytes_make(wire.data + q->offset, wire.len - q->offset);
	if (part->len > PART_BYTES)
		part->len = PART_BYTES;
	out->type = q->type;
	out->id = q->id;
	out->oh = pb_of(oh);
	out->total = (uint32_t)wire.len;
	out->offset = q->offset;
	return RK_OK;
}

static void handle_get_object(struct deliver *d, struct command *c)
{
	Rk__Reply message = RK__REPLY__INIT;
	Rk__ObjectReply out = RK__OBJECT_REPLY__INIT;
	struct bytes part;
	struct txn *txn;
	int code = env_begin(d->path->env, false, &txn);

	if (code != RK_OK) {
		refuse(d, c, RK_BUSY);
		return;
	}
	code = get_object(txn, c, &out, &part);
	message.object = &out;
	if (code == RK_OK)
		reply(d, c, &message, part);
	else
		refuse(d, c, code < 0 ? RK_BUSY : code);
	env_abort(txn);
}

/* Which tree is asked about, and its note where that is the newest one. */
static int choose_tree(struct deliver *d, const Rk__GetProof *q, Rk__ProofReply *out, struct note *note)
{
	struct checkpoint newest;

	if (q->size == 0) {
		if (!signer_newest(d->path->signer, &newest, note))
			return atomic_load(&d->path->read_only) ? RK_READ_ONLY : RK_UNKNOWN_OBJECT;
		out->size = newest.size;
		out->note = pb_of(bytes_make(note->text, note->len));
	} else {
		out->size = q->size;
	}
	/* More than there is: whoever has a checkpoint of that size has it from a broker that had more than we have. */
	return out->size <= signer_size(d->path->signer) && q->from_size <= out->size ? RK_OK : RK_UNKNOWN_OBJECT;
}

static void handle_get_proof(struct deliver *d, struct command *c)
{
	Rk__Reply message = RK__REPLY__INIT;
	Rk__ProofReply out = RK__PROOF_REPLY__INIT;
	struct note note;
	struct bytes set;
	struct txn *txn;
	int code = choose_tree(d, c->req->get_proof, &out, &note);

	if (code == RK_OK && env_begin(d->path->env, false, &txn) != RK_OK)
		code = RK_BUSY;
	if (code != RK_OK) {
		refuse(d, c, code);
		return;
	}
	code = proofs_make(txn, c->req->get_proof, out.size, c->arena, &set);
	env_abort(txn);
	if (code == RK_EINTEGRITY)
		log_error("deliver", "tree-damaged", "size=%llu hint=\"renkeid check says more\"", (unsigned long long)out.size);
	message.proof = &out;
	metrics_add(M_PROOFS, 1 + c->req->get_proof->n_indexes);
	if (code == RK_OK)
		reply(d, c, &message, set);
	else
		refuse(d, c, code < 0 ? RK_BUSY : code);
}

static void handle_request(struct deliver *d, struct command *c)
{
	struct reader *r;

	/* Admit has forgotten the session: should the client still be there, its next ping is answered `generation`, and
	 * it says HELLO and subscribes again. */
	if (c->req == NULL) {
		r = readers_find(d->readers, c->peer.id);
		if (r != NULL)
			drop(d, r);
		return;
	}
	if (c->req->op == RK__OP__OP_GET_OBJECT) {
		handle_get_object(d, c);
		return;
	}
	if (c->req->op == RK__OP__OP_GET_PROOF) {
		handle_get_proof(d, c);
		return;
	}
	r = reader_of(d, c);
	if (r == NULL)
		return;
	switch (c->req->op) {
	case RK__OP__OP_SUBSCRIBE:
		handle_subscribe(d, r, c);
		break;
	case RK__OP__OP_UNSUBSCRIBE:
		handle_unsubscribe(d, r, c);
		break;
	case RK__OP__OP_CREDIT:
		handle_credit(d, r, c);
		break;
	default:
		refuse(d, c, RK_MALFORMED);
		break;
	}
}

/* ---- events of apply */

static void handle_event(struct deliver *d, const struct deliver_event *e)
{
	struct subscription *s;
	struct reader *r;
	struct feed *f;

	switch (e->kind) {
	case DELIVER_STREAM:
		f = readers_feed(d->readers, &e->stream);
		if (f == NULL || e->seq <= f->head)
			return;
		f->head = e->seq;
		LIST_FOREACH(s, &f->subscriptions, of_feed)
			wake(d, s->reader);
		return;
	case DELIVER_HELLO:
	case DELIVER_CUT:
		r = readers_find(d->readers, e->peer.id);
		if (r != NULL)
			drop(d, r);
		return;
	}
}

/* ---- deliveries */

static void handle_result(struct deliver *d, const struct message_out *o)
{
	struct reader *r = readers_find(d->readers, o->peer.id);

	d->under_way--;
	/* Of a reader that is gone, or overtaken by a rewind. */
	if (r == NULL || r->epoch != o->epoch)
		return;
	switch (o->result) {
	case MESSAGE_SENT:
		metrics_add(M_DELIVERED, 1);
		reader_confirm(r);
		r->pause_ms = 0;
		wake(d, r);
		return;
	case MESSAGE_AGAIN:
		metrics_add(M_DELIVER_RETRY, 1);
		reader_rewind(d->readers, r);
		r->pause_ms = r->pause_ms == 0 ? PAUSE_MIN_MS : r->pause_ms * 2;
		if (r->pause_ms > PAUSE_MAX_MS)
			r->pause_ms = PAUSE_MAX_MS;
		r->retry_ms = d->now_ms + r->pause_ms;
		readers_place(d->readers, r, READER_WAITS);
		return;
	case MESSAGE_GONE:
		drop(d, r);
		return;
	}
}

/* Hands one entry to front.  RK_ENOTFOUND: nothing there after all. */
static int send_entry(struct deliver *d, struct reader *r, struct subscription *s)
{
	struct page_entry *e;
	struct message_out *o;
	int code = pages_get(d->pages, &s->feed->stream, s->cursor, d->now_ms, &e);

	if (code != RK_OK)
		return code;
	o = message_out_new(MESSAGE_DELIVERY, &r->peer);
	if (o == NULL)
		return RK_ENOMEM;
	for (unsigned i = 0; i < e->frame_count; i++) {
		if (!message_out_share(o, &e->frames[i])) {
			message_out_free(o);
			return RK_ENOMEM;
		}
	}
	o->epoch = r->epoch;
	o->seq = e->seq;
	reader_sent(r, s, e->seq, e->bytes);
	d->under_way++;
	ring_push_wait(d->path->deliver_front, o);
	return RK_OK;
}

/* One reader's turn.  False: it was dropped. */
static bool run_reader(struct deliver *d, struct reader *r)
{
	struct roster_device device;

	if (!roster_device(d->path->roster, r->key.id, &device) || !device.active) {
		drop(d, r);
		return false;
	}
	for (unsigned i = 0; i < TURN_ENTRIES && d->under_way < PATH_DELIVERIES_MAX; i++) {
		struct subscription *s = reader_next(r);
		int code;

		if (s == NULL)
			return true;
		code = send_entry(d, r, s);
		if (code == RK_OK)
			continue;
		/* Trimmed to its end, or unreadable: not tried again before the stream grows. */
		s->empty_at = s->feed->head;
		if (code != RK_ENOTFOUND)
			log_error("deliver", "read-failed", "code=%s cursor=%llu", errcode_name(code),
			          (unsigned long long)s->cursor);
	}
	return true;
}

static bool run_readers(struct deliver *d)
{
	struct reader_list *run = readers_list(d->readers, READER_RUNS), *wait = readers_list(d->readers, READER_WAITS);
	struct reader *r, *next;
	bool any = false;

	for (r = TAILQ_FIRST(wait); r != NULL; r = next) {
		next = TAILQ_NEXT(r, list);
		if (r->retry_ms <= d->now_ms)
			readers_place(d->readers, r, READER_RUNS);
	}
	for (unsigned i = 0; i < TURN_REQUESTS && d->under_way < PATH_DELIVERIES_MAX; i++) {
		r = TAILQ_FIRST(run);
		if (r == NULL)
			break;
		any = true;
		readers_place(d->readers, r, READER_NOWHERE);
		if (run_reader(d, r))
			wake(d, r);
	}
	return any;
}

/* ---- the loop */

static bool take_some(struct deliver *d)
{
	struct deliver_event *e;
	struct message_out *o;
	struct message_in *m;
	bool any = false;

	while ((o = ring_pop(d->path->front_deliver)) != NULL) {
		handle_result(d, o);
		message_out_free(o);
		any = true;
	}
	while ((e = ring_pop(d->path->apply_deliver)) != NULL) {
		handle_event(d, e);
		free(e);
		any = true;
	}
	for (unsigned cost = 0; cost < TURN_REQUESTS && (m = ring_pop(d->path->admit_deliver)) != NULL; cost++) {
		/* A proof costs more than other answers: a turn has fewer of them, so that deliveries do not wait for hashes. */
		if (m->command.req != NULL && m->command.req->op == RK__OP__OP_GET_PROOF)
			cost += PROOF_COST * (1 + (unsigned)m->command.req->get_proof->n_indexes);
		handle_request(d, &m->command);
		message_in_free(m);
		any = true;
	}
	return any;
}

static bool is_idle(struct deliver *d)
{
	return ring_is_empty(d->path->front_deliver) && ring_is_empty(d->path->apply_deliver) &&
	       ring_is_empty(d->path->admit_deliver);
}

void *deliver_run(void *deliver)
{
	struct deliver *d = deliver;
	struct ring_bell *bell = d->path->deliver_bell;

	for (;;) {
		bool stopping = atomic_load(&d->path->stopping), worked;

		d->now_ms = path_monotonic_ms();
		worked = take_some(d);
		/* At a stop nothing new goes out: readers have their cursors. */
		if (!stopping && run_readers(d))
			worked = true;
		if (worked)
			continue;
		ring_bell_arm(bell);
		if (!is_idle(d)) {
			ring_bell_disarm(bell);
		} else if (stopping && d->under_way == 0) {
			ring_bell_disarm(bell);
			return NULL;
		} else {
			bool waits = !TAILQ_EMPTY(readers_list(d->readers, READER_WAITS));

			ring_bell_sleep(bell, stopping || waits ? WAITING_POLL_MS : IDLE_MS);
		}
	}
}
