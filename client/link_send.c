/*
 * link_send: the items of the outbox in flight.
 *
 * An item gets its number and its exact frames in one transaction, before the first send; they go out again byte for byte
 * until they are answered.  Everything that leaves in doubt what the broker has (no answer, busy, out-of-order, a refusal that may
 * have consumed no number) ends in the same way: HELLO again, and link_number.c settles what stands.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/deposit.h"
#include "client/link_internal.h"
#include "client/mail.h"
#include "proto/strict.h"

#define ANSWER_WAIT_MS 10000
#define SEAL_BATCH 16
#define SEALINGS_MAX 3
#define RESEAL_PAUSE_MS 300
#define RATE_SHARE 0.8 /* of what HELLO allows: acknowledgements of other processes' items count too */

bool send_token(struct link *l)
{
	int64_t now = monotonic_ms();

	l->tokens += (double)(now - l->tokens_at) / 1000.0 * l->rate * RATE_SHARE;
	l->tokens_at = now;
	if (l->tokens > l->burst / 2)
		l->tokens = l->burst / 2;
	if (l->tokens < 1)
		return false;
	l->tokens -= 1;
	return true;
}

static void answer_free(struct answer *a)
{
	free(a->memory);
	memset(a, 0, sizeof(*a));
}

/* The session is gone: what was in flight is known from the store.  Answers that came stay, they are true. */
void send_forget(struct link *l)
{
	l->flight_count = 0;
	l->scan_from = 0;
}

void send_clear_frames(Rkl__OutboxItem *item)
{
	item->n_frames = 0;
	item->frames = NULL;
}

/* ---- sending */

static int send_stored(struct link *l, struct flying *f)
{
	struct arena *arena = arena_new(0);
	struct bytes frames[WIRE_FRAMES_MAX];
	Rkl__OutboxItem *item;
	struct txn *txn;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		goto out;
	r = outbox_load(txn, f->id, arena, &item);
	env_abort(txn);
	if (r != RK_OK)
		goto out;
	r = RK_ESTORE;
	if (item->n_frames == 0 || item->n_frames > WIRE_FRAMES_MAX)
		goto out;
	for (size_t i = 0; i < item->n_frames; i++)
		frames[i] = bytes_of(item->frames[i]);
	r = wire_send(l->wire, frames, item->n_frames);
	if (r == RK_OK)
		f->sent_at = monotonic_ms();
out:
	arena_free(arena);
	return r;
}

static int send_flight(struct link *l)
{
	int64_t now = monotonic_ms();
	int r;

	for (size_t i = 0; i < l->flight_count; i++) {
		struct flying *f = &l->flight[i];

		if (f->sent_at != 0 && now - f->sent_at > ANSWER_WAIT_MS) {
			link_again(l, 0);
			return RK_OK;
		}
		if (f->sent_at != 0)
			continue;
		if (!send_token(l))
			return RK_OK;
		r = send_stored(l, f);
		if (r != RK_OK)
			return r == RK_BUSY ? RK_OK : r;
	}
	return RK_OK;
}

static struct flying *find_flying(struct link *l, uint64_t id)
{
	for (size_t i = 0; i < l->flight_count; i++)
		if (l->flight[i].id == id)
			return &l->flight[i];
	return NULL;
}

static bool has_numbered(const struct link *l)
{
	for (size_t i = 0; i < l->flight_count; i++)
		if (l->flight[i].number != 0)
			return true;
	return false;
}

static bool is_answered(const struct link *l, uint64_t id)
{
	for (size_t i = 0; i < l->answer_count; i++)
		if (l->answers[i].id == id)
			return true;
	return false;
}

/* The next QUEUED items in order: numbered ones, or one FETCH that stands before all of them. */
static int find_queued(struct link *l, struct txn *txn, uint64_t *ids, size_t max, size_t *count, bool *is_fetch)
{
	struct arena *arena = arena_new(0);
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	bool before = true; /* nothing QUEUED was met yet */
	uint8_t from[8];
	int r;

	*count = 0;
	*is_fetch = false;
	if (arena == NULL)
		return RK_ENOMEM;
	put_u64be(from, l->scan_from);
	r = env_cursor_open(txn, C_OUTBOX, &cursor);
	if (r == RK_OK)
		r = env_cursor_seek(cursor, BYTES_OF(from), &key, &value);
	for (; r == RK_OK && *count < max; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__OutboxItem *item;

		arena_reset(arena, 2 * arena_budget(value.len));
		item = rkl__outbox_item__unpack(arena_allocator(arena), value.len, value.data);
		if (item == NULL || key.len != 8) {
			r = RK_ESTORE;
			break;
		}
		if (item->state == RKL__ITEM_STATE__QUEUED)
			before = false;
		if (before)
			l->scan_from = item->id + 1;
		if (item->state != RKL__ITEM_STATE__QUEUED || find_flying(l, item->id) != NULL || is_answered(l, item->id))
			continue;
		if (item->op == RK__OP__OP_FETCH && (*count > 0 || has_numbered(l)))
			break; /* it is about what the ones before it have asked for */
		ids[(*count)++] = item->id;
		*is_fetch = item->op == RK__OP__OP_FETCH;
		if (*is_fetch)
			break;
	}
	env_cursor_free(cursor);
	arena_free(arena);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* A failure of this machine stops the link; anything else is the item's end. */
static bool is_ours(int code)
{
	return code == RK_ENOMEM || code == RK_EIO || code == RK_EDISKFULL || code == RK_EPASSPHRASE || code == RK_EINTERNAL;
}

/* The key goes first: should the commit fail, the frames still stand for what was sent, and what was not sent had failed anyway. */
static int finish(struct link *l, Rkl__OutboxItem *item, int code, int64_t time_ms)
{
	int r = outbox_key_destroy(l->c, item);

	if (r != RK_OK)
		return r;
	item->state = RKL__ITEM_STATE__DONE;
	item->code = code;
	item->time_ms = time_ms;
	item->sealed_compose = (ProtobufCBinaryData){0};
	send_clear_frames(item);
	return RK_OK;
}

/* A dossier or a notice that its verb no longer waits for: that it will not go must not be silent. */
static int tell_unsent(struct link *l, struct txn *txn, const Rkl__OutboxItem *item, int code)
{
	char detail[96];

	if (code == RK_OK || item->id == l->o->until_item || item->key_id.len == 0)
		return RK_OK;
	snprintf(detail, sizeof(detail), INBOX_UNSENT "%s", errcode_name(code));
	return inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, bytes_of(item->ref), NULL, client_now(l->c), detail);
}

/* Gives one item its number and its frames; or its end, if it must not go out. */
static int seal_one(struct link *l, struct txn *txn, uint64_t id, uint64_t number, bool *sealed)
{
	struct arena *arena = arena_new(256 * 1024);
	Rkl__OutboxItem *item;
	int r, code;

	*sealed = false;
	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = outbox_load(txn, id, arena, &item)) != RK_OK)
		goto out;
	item->writer_epoch = pb_of(BYTES_OF(l->writer));
	code = seal_item(l->c, txn, item, number, arena);
	if ((r = env_error(txn)) != RK_OK)
		goto out;
	r = code;
	if (is_ours(code))
		goto out;
	if (code != RK_OK) {
		client_log(l->c, "link: item %llu (%s) not sent: %s", (unsigned long long)id, item->what, errcode_name(code));
		if ((r = finish(l, item, code, client_now(l->c))) != RK_OK)
			goto out;
	} else {
		item->state = RKL__ITEM_STATE__SENT;
		*sealed = true;
	}
	if ((r = outbox_store(txn, item, RKL__ITEM_STATE__QUEUED)) == RK_OK)
		r = tell_unsent(l, txn, item, code);
out:
	arena_free_wiped(arena);
	return r;
}

static int seal_batch(struct link *l, const uint64_t *ids, size_t count)
{
	struct flying fresh[SEAL_BATCH];
	struct txn *txn;
	size_t n = 0;
	uint64_t number;
	int r;

	if ((r = env_begin(l->c->env, true, &txn)) != RK_OK)
		return r;
	number = meta_u64(txn, META_NUMBER);
	for (size_t i = 0; i < count && r == RK_OK; i++) {
		bool sealed;

		r = seal_one(l, txn, ids[i], number + 1, &sealed);
		if (r == RK_OK && sealed)
			fresh[n++] = (struct flying){.id = ids[i], .number = ++number};
	}
	if (r == RK_OK)
		r = meta_put_u64(txn, META_NUMBER, number);
	if (r != RK_OK) {
		env_abort(txn);
		return r;
	}
	if ((r = env_commit(txn)) != RK_OK)
		return r;
	memcpy(l->flight + l->flight_count, fresh, n * sizeof(*fresh));
	l->flight_count += n;
	return RK_OK;
}

/* FETCH has no number and nothing to keep: it is made and sent in one go. */
static int send_fetch(struct link *l, uint64_t id)
{
	struct arena *arena = arena_new(64 * 1024);
	struct bytes header;
	Rkl__OutboxItem *item;
	struct txn *txn;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		goto out;
	if ((r = outbox_load(txn, id, arena, &item)) == RK_OK)
		r = seal_item(l->c, txn, item, 0, arena);
	env_abort(txn);
	if (r != RK_OK)
		goto out;
	header = bytes_of(item->frames[0]);
	if ((r = wire_send(l->wire, &header, 1)) == RK_OK)
		l->flight[l->flight_count++] = (struct flying){.id = id, .sent_at = monotonic_ms()};
	r = r == RK_BUSY ? RK_OK : r;
out:
	arena_free_wiped(arena);
	return r;
}

int send_tick(struct link *l)
{
	uint64_t ids[SEAL_BATCH];
	size_t room = LINK_FLIGHT_MAX - l->flight_count, count = 0;
	bool is_fetch = false;
	struct txn *txn;
	int r;

	if (l->read_only)
		return RK_OK;
	r = send_flight(l);
	if (r != RK_OK || l->state != LINK_UP || room == 0 || l->answer_count > 0)
		return r;
	if (l->must_again || !streams_may_seal(l) || !link_log_may_seal(l) || monotonic_ms() < l->reseal_at)
		return RK_OK;
	if ((r = env_begin(l->c->env, false, &txn)) != RK_OK)
		return r;
	if (meta_u64(txn, META_QUEUED) > 0)
		r = find_queued(l, txn, ids, room < SEAL_BATCH ? room : SEAL_BATCH, &count, &is_fetch);
	env_abort(txn);
	if (r != RK_OK || count == 0)
		return r;
	if (is_fetch)
		return send_token(l) ? send_fetch(l, ids[0]) : RK_OK;
	if ((r = seal_batch(l, ids, count)) != RK_OK)
		return r;
	return send_flight(l);
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

int send_on_reply(struct link *l, const Rk__Reply *reply, struct incoming *in, bool *taken)
{
	struct flying *f = (reply->tag & LINK_TAG_OWN) == 0 ? find_flying(l, reply->tag) : NULL;
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

static int settle_one(struct link *l, struct txn *txn, const struct answer *a)
{
	struct arena *arena = arena_new(0);
	Rkl__OutboxItem *item;
	Rkl__ItemState was;
	int r, code = a->code;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = outbox_load(txn, a->id, arena, &item)) != RK_OK || item->state == RKL__ITEM_STATE__DONE) {
		r = r == RK_ENOTFOUND ? RK_OK : r;
		goto out;
	}
	was = item->state;
	if (is_resealed(code) && item->sealings < SEALINGS_MAX) {
		client_log(l->c, "link: item %llu is sealed anew: %s", (unsigned long long)a->id, errcode_name(code));
		send_clear_frames(item);
		item->number = 0;
		item->state = RKL__ITEM_STATE__QUEUED;
		r = outbox_store(txn, item, was);
		goto out;
	}
	if (code == RK_OK && item->op == RK__OP__OP_FETCH)
		r = item->env_id.len != ID32_BYTES ? RK_ESTORE : mail_on_bulk(l->c, txn, item->env_id.data, a->wraps, a->body);
	else if (code == RK_OK)
		r = remember_sent(l, txn, item, a, arena);
	if (r == RK_OK)
		r = settle_object(l, txn, item, a, &code);
	if (r < 0)
		goto out;
	item->seq = a->seq;
	item->logged = a->logged;
	item->log_index = a->log_index;
	if ((r = finish(l, item, r > 0 ? r : code, a->time_ms)) != RK_OK)
		goto out;
	if ((r = outbox_store(txn, item, was)) == RK_OK)
		r = tell_unsent(l, txn, item, item->code);
out:
	arena_free(arena);
	return r;
}

int send_settle(struct link *l, struct txn *txn)
{
	int r = RK_OK;

	for (size_t i = 0; i < l->answer_count && r == RK_OK; i++)
		r = settle_one(l, txn, &l->answers[i]);
	return r;
}

void send_settled(struct link *l)
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
