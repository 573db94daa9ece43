/*
 * link_settle: what the broker answers to the items of the outbox, and how they end.
 *
 * An answer takes its item out of the flight and waits in the link until the next commit writes it down, together with what it means
 * here.  A refusal for something that has gone stale ends nothing: the item is sealed anew, a few times.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/deposit.h"
#include "client/link_internal.h"
#include "client/mail.h"
#include "proto/strict.h"

#define SEALINGS_MAX 3
#define MISSING_MAX 8
#define RESEAL_PAUSE_MS 300

/* ---- the end of an item */

/* A dossier or a notice that its verb no longer waits for: that it will not go must not be silent. */
static int tell_unsent(struct link *l, struct txn *txn, const Rkl__OutboxItem *item)
{
	char detail[96];

	if (item->code == RK_OK || item->id == l->o->until_item || item->key_id.len == 0)
		return RK_OK;
	snprintf(detail, sizeof(detail), INBOX_UNSENT "%s", errcode_name(item->code));
	return inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, bytes_of(item->ref), NULL, client_now(l->c), detail);
}

/* An upload may go on, or will never: then neither will the dossier that waits for it. */
static int settle_open(struct link *l, struct txn *txn, const Rkl__OutboxItem *item, int code, int64_t time_ms)
{
	struct arena *arena = arena_new(0);
	Rkl__OutboxItem *dossier;
	uint64_t waits;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	r = attach_on_opened(l->c, txn, item->id, bytes_of(item->ref), code, &waits);
	if (r == RK_OK && waits != 0 && (r = outbox_load(txn, waits, arena, &dossier)) == RK_OK &&
	    dossier->state != RKL__ITEM_STATE__DONE)
		r = settle_end(l, txn, dossier, code, time_ms);
	arena_free(arena);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* The key goes first: should the commit fail, the frames still stand for what was sent, and what was not sent had failed anyway. */
static int end_item(struct link *l, struct txn *txn, Rkl__OutboxItem *item, int code, int64_t time_ms)
{
	Rkl__ItemState was = item->state;
	int r = outbox_key_destroy(l->c, item);

	if (r != RK_OK)
		return r;
	item->state = RKL__ITEM_STATE__DONE;
	item->code = code;
	item->time_ms = time_ms;
	item->sealed_compose = (ProtobufCBinaryData){0};
	send_clear_frames(item);
	if (item->attachments > 0 && (r = attach_drop(txn, item->id)) != RK_OK)
		return r;
	l->must_sweep |= item->attachments > 0;
	if ((r = outbox_store(txn, item, was)) != RK_OK || item->op != RK__OP__OP_BLOB_OPEN)
		return r;
	return settle_open(l, txn, item, code, time_ms);
}

int settle_end(struct link *l, struct txn *txn, Rkl__OutboxItem *item, int code, int64_t time_ms)
{
	int r = end_item(l, txn, item, code, time_ms);

	return r == RK_OK ? tell_unsent(l, txn, item) : r;
}

int settle_aside(struct link *l, struct txn *txn, Rkl__OutboxItem *item)
{
	char detail[96];
	int r = end_item(l, txn, item, RK_EOTHERHOME, client_now(l->c));

	snprintf(detail, sizeof(detail), INBOX_ASIDE "%.40s #%llu", item->what, (unsigned long long)item->id);
	return r == RK_OK ? inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, bytes_of(item->ref), NULL, client_now(l->c), detail) : r;
}

/* ---- answers */

static bool is_retried(int code)
{
	return code == RK_RATE_LIMITED || code == RK_BUSY || code == RK_MOVING || code == RK_READ_ONLY || code == RK_OUT_OF_ORDER ||
	       code == RK_GENERATION;
}

static bool is_resealed(int code)
{
	return code == RK_STALE_EPOCH || code == RK_STALE_DIRECTORY || code == RK_STALE_NDA || code == RK_CLOCK;
}

int settle_on_reply(struct link *l, const Rk__Reply *reply, struct incoming *in, bool *taken)
{
	struct flying *f = (reply->tag & LINK_TAG_OWN) == 0 ? send_find(l, reply->tag) : NULL;
	struct answer *a;
	int code = (int)reply->code, r;

	*taken = f != NULL && f->number == reply->number;
	if (!*taken)
		return RK_OK;
	if ((r = link_session_refusal(l, code)) != RK_OK)
		return r;
	/* Under our number stands something else: two homes have written as one. */
	if (code == RK_NUMBER_CONFLICT)
		return RK_EOTHERHOME;
	if (is_retried(code)) {
		link_again(l, code == RK_OUT_OF_ORDER || code == RK_GENERATION ? 50 : 1000);
		return RK_OK;
	}
	if (l->answer_count == LINK_FLIGHT_MAX)
		return RK_EINTERNAL;
	a = &l->answers[l->answer_count++];
	*a = (struct answer){.id = f->id, .code = code, .seq = reply->seq, .log_index = reply->log_index, .logged = reply->logged,
			     .time_ms = reply->time_ms, .memory = in->memory};
	if (in->frame_count == 2) {
		a->wraps = in->frames[0];
		a->body = in->frames[1];
	} else if (in->frame_count == 1) {
		a->body = in->frames[0];
	}
	in->memory = NULL;
	/* What admit refuses consumes no number, what apply refuses does; the code alone does not say who spoke. */
	if (f->number != 0 && code != RK_OK && (code < 400 || code >= 700))
		l->must_again = true;
	if (is_resealed(code))
		l->reseal_at = monotonic_ms() + RESEAL_PAUSE_MS;
	memmove(f, f + 1, (size_t)(l->flight + l->flight_count - (f + 1)) * sizeof(*f));
	l->flight_count--;
	return RK_OK;
}

/* ---- what they mean */

/* Our own post stands in the feed now: this home knows it, followed or not.  So does it know what it sent under an agreement. */
static int remember_sent(struct link *l, struct txn *txn, const Rkl__OutboxItem *item, const struct answer *a, struct arena *arena)
{
	struct delivery d = {.kind = RK__ENTRY_KIND__ENTRY_POST, .seq = a->seq, .time_ms = a->time_ms};
	struct envelope env;
	Rk__Request *q;

	if (item->op != RK__OP__OP_SUBMIT || item->n_frames < 2)
		return RK_OK;
	arena_raise(arena, 64 * 1024);
	if (STRICT_PARSE(request, bytes_of(item->frames[0]), arena, &q) != RK_OK || q->head == NULL ||
	    STRICT_PACK(q->head, arena, &d.object) != RK_OK || envelope_parse(d.object, arena, &env) != RK_OK)
		return RK_OK;
	if (env.header->kind != RK__KIND__FEED)
		return item->n_frames != 3 ? RK_OK : mail_on_sent(l->c, txn, d.object, bytes_of(item->frames[1]), bytes_of(item->frames[2]));
	d.stream = stream_channel(env.header->channel);
	d.body = bytes_of(item->frames[1]);
	return feed_on_sent(l->c, txn, &d);
}

/*
 * What the answer to an object of ours means here; *code is the item's.  A judgement on the answer takes the answer's place; an error
 * of this home is returned.
 */
static int settle_object(struct link *l, struct txn *txn, const Rkl__OutboxItem *item, const struct answer *a, int *code)
{
	struct outcome out = {.code = a->code, .seq = a->seq, .logged = a->logged, .log_index = a->log_index, .time_ms = a->time_ms};
	struct bytes object;
	int r = RK_OK;

	if (item->n_frames < 2)
		return RK_OK;
	object = bytes_of(item->frames[1]);
	if (item->op == RK__OP__OP_PICKUP && a->code == RK_OK)
		r = mail_on_pickup_answer(l->c, txn, object, &out);
	else if (item->op == RK__OP__OP_NACK)
		r = mail_on_nack_answer(l->c, txn, object, &out);
	else if (item->op == RK__OP__OP_DEPOSIT && a->code == RK_OK)
		r = deposit_on_answer(l->c, txn, object, &out);
	if (r != RK_EINTEGRITY)
		return r;
	*code = r;
	return RK_OK;
}

/* The object that was logged, whose hash is the leaf's; RK_ENOTFOUND: what was asked for is never logged. */
static int logged_object(const Rkl__OutboxItem *item, const Rk__Request *q, struct arena *arena, struct object *o)
{
	struct bytes frame = bytes_of(item->frames[1]), head;
	Rk__NdaProposal *proposal;
	int r;

	switch (item->op) {
	case RK__OP__OP_SUBMIT:
		r = q->head == NULL ? RK_ENOTFOUND : STRICT_PACK(q->head, arena, &head);
		return r == RK_OK ? object_parse(OBJECT_KIND_ENVELOPE, head, arena, o) : r;
	case RK__OP__OP_PICKUP:
		return object_parse(OBJECT_KIND_PICKUP, frame, arena, o);
	case RK__OP__OP_NACK:
		return object_parse(OBJECT_KIND_NACK, frame, arena, o);
	case RK__OP__OP_DEPOSIT:
		return object_parse(OBJECT_KIND_DEPOSIT, frame, arena, o);
	case RK__OP__OP_NDA_PROPOSE:
		r = STRICT_PARSE(nda_proposal, frame, arena, &proposal);
		return r == RK_OK ? object_parse_signed(OBJECT_KIND_NDA_ACT, proposal->accept, arena, o) : r;
	case RK__OP__OP_NDA_ACT:
		r = object_parse(OBJECT_KIND_NDA_ACT, frame, arena, o);
		if (r == RK_OK && ((const Rk__NdaAct *)(const void *)o->message)->kind == RK__ACT_KIND__HOLD)
			o->kind = OBJECT_KIND_NDA_HOLD;
		return r;
	default:
		return RK_ENOTFOUND;
	}
}

/* The broker names a place in the log: the entry that brings the leaf must follow, for each of these comes into our own streams too. */
static int expect_leaf(struct link *l, struct txn *txn, const Rkl__OutboxItem *item, const struct answer *a, struct arena *arena)
{
	struct object o;
	uint8_t oh[32];
	Rk__Request *q;
	int r;

	if (!a->logged || item->n_frames < 2)
		return RK_OK;
	arena_raise(arena, 512 * 1024);
	if (STRICT_PARSE(request, bytes_of(item->frames[0]), arena, &q) != RK_OK)
		return RK_ESTORE;
	if (item->op == RK__OP__OP_PUT_OBJECT && q->put_object != NULL && q->put_object->oh.len == sizeof(oh))
		return log_on_promise(l->c, txn, a->log_index, q->put_object->oh.data);
	if ((r = logged_object(item, q, arena, &o)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r < 0 ? r : RK_ESTORE;
	object_oh(oh, &o, client_exchange_id(l->c));
	return log_on_promise(l->c, txn, a->log_index, oh);
}

static int seal_later(struct link *l, struct txn *txn, Rkl__OutboxItem *item, int code)
{
	Rkl__ItemState was = item->state;

	client_log(l->c, "link: item %llu is sealed anew: %s", (unsigned long long)item->id, errcode_name(code));
	send_clear_frames(item);
	item->number = 0;
	item->state = RKL__ITEM_STATE__QUEUED;
	return outbox_store(txn, item, was);
}

static int settle_one(struct link *l, struct txn *txn, const struct answer *a)
{
	struct arena *arena = arena_new(0);
	Rkl__OutboxItem *item;
	int r, code = a->code;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = outbox_load(txn, a->id, arena, &item)) != RK_OK || item->state == RKL__ITEM_STATE__DONE) {
		r = r == RK_ENOTFOUND ? RK_OK : r;
		goto out;
	}
	if (is_resealed(code) && item->sealings < SEALINGS_MAX) {
		r = seal_later(l, txn, item, code);
		goto out;
	}
	/* Complete there once, and not any more: its orphans were collected, or its store is an older one.  From the beginning. */
	if (code == RK_UNKNOWN_OBJECT && item->attachments > 0 && item->sealings < MISSING_MAX) {
		r = attach_on_missing(txn, item->id);
		if (r == RK_OK)
			r = seal_later(l, txn, item, code);
		goto out;
	}
	if (code == RK_OK && item->op == RK__OP__OP_FETCH)
		r = item->env_id.len != ID32_BYTES ? RK_ESTORE : mail_on_bulk(l->c, txn, item->env_id.data, a->wraps, a->body);
	else if (code == RK_OK)
		r = remember_sent(l, txn, item, a, arena);
	if (r == RK_OK && code == RK_OK && item->attachments > 0 && item->env_id.len == ID32_BYTES)
		r = attach_on_sent(txn, item->id, item->env_id.data);
	if (r == RK_OK && code == RK_OK)
		r = expect_leaf(l, txn, item, a, arena);
	if (r == RK_OK)
		r = settle_object(l, txn, item, a, &code);
	if (r < 0)
		goto out;
	item->seq = a->seq;
	item->logged = a->logged;
	item->log_index = a->log_index;
	r = settle_end(l, txn, item, r > 0 ? r : code, a->time_ms);
out:
	arena_free(arena);
	return r;
}

int settle_answers(struct link *l, struct txn *txn)
{
	int r = RK_OK;

	for (size_t i = 0; i < l->answer_count && r == RK_OK; i++)
		r = settle_one(l, txn, &l->answers[i]);
	return r;
}

static void answer_free(struct answer *a)
{
	free(a->memory);
	memset(a, 0, sizeof(*a));
}

void settle_done(struct link *l)
{
	bool any_ok = false, any_stale = false;

	for (size_t i = 0; i < l->answer_count; i++) {
		any_ok |= l->answers[i].code == RK_OK;
		any_stale |= is_resealed(l->answers[i].code);
		if (l->answers[i].id < l->scan_from)
			l->scan_from = l->answers[i].id;
		answer_free(&l->answers[i]);
	}
	l->answer_count = 0;
	l->heads_old |= any_ok;
	/* What made it stale is in control or in the mailbox: nothing is sealed before both are at their heads of now. */
	if (any_stale)
		streams_ask_heads(l);
	if (l->must_again)
		link_again(l, 0);
	l->must_again = false;
}
