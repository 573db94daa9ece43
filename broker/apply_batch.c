/* A batch's memory and what it records: effects, leaves of the log, entries of streams, changes of the roster. */
#include "broker/apply_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/down.h"

#define BLOCK_BYTES ((size_t)256 << 10)
#define PROTOCOL 1
#define MAX_UNANSWERED 256

/* ---- memory */
void *apply_batch_alloc(struct apply *a, size_t len)
{
	struct block *b = a->blocks;
	size_t need = (len + 15) & ~(size_t)15;
	void *at;

	if (!b || b->len - b->used < need) {
		size_t room = need > BLOCK_BYTES ? need : BLOCK_BYTES;

		if (!(b = malloc(sizeof(*b) + room)))
			return NULL;
		*b = (struct block){.next = a->blocks, .len = room};
		a->blocks = b;
	}
	at = b->b + b->used;
	b->used += need;
	return at;
}

/* Keeps the block that was made first, so that small batches never allocate. */
void apply_batch_reset(struct apply *a)
{
	apply_writer_forget(a); /* while they are still there */
	while (a->blocks && a->blocks->next) {
		struct block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	if (a->blocks)
		a->blocks->used = 0;
	a->effect_count = a->change_count = a->touched_count = 0;
	a->fetched_bytes = 0;
	a->failed = RK_OK;
	a->batch_wrote = a->command_wrote = false;
}

void apply_batch_free(struct apply *a)
{
	apply_batch_reset(a);
	free(a->blocks);
	free(a->effects);
	free(a->changes);
	free(a->touched);
}

/* The array with room for one more item, or NULL without memory (then the old one stands). */
static void *grown(void *items, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *bigger;

	if (count < *room)
		return items;
	if ((bigger = reallocarray(items, more, size)))
		*room = more;
	return bigger;
}

/* ---- replies */
static void fill_hello(Rk__HelloReply *h, const struct apply *a, const struct result *r)
{
	rk__hello_reply__init(h);
	h->protocol_min = h->protocol_max = PROTOCOL;
	h->exchange_id = pb_of(BYTES_OF(a->exchange_id));
	h->generation = pb_of(BYTES_OF(a->generation));
	h->log_origin = pb_text(a->log_key.name);
	h->last_number = r->last_number;
	h->max_unanswered = MAX_UNANSWERED;
	h->max_body_bytes = ENVELOPE_BODY_MAX_BYTES;
	h->rate_per_s = a->limits.rate_per_s;
	h->burst = a->limits.burst;
	h->log_size = a->edge.size;
	h->read_only = a->fork.log != 0;
}

size_t apply_batch_pack(const struct command *c, int code, int64_t time_ms, const struct result *r,
			const struct apply *a, uint8_t *out)
{
	Rk__Down down = RK__DOWN__INIT;
	Rk__Reply reply = RK__REPLY__INIT;
	Rk__HelloReply hello;
	Rk__FetchReply fetch = RK__FETCH_REPLY__INIT;
	Rk__BlobReply blob = RK__BLOB_REPLY__INIT;

	down.protocol = PROTOCOL;
	down.reply = &reply;
	if (c->req) {
		reply.op = c->req->op;
		reply.number = c->req->number;
		reply.tag = c->req->tag;
	}
	reply.code = (uint32_t)code;
	reply.time_ms = time_ms;
	if (r && (code == RK_OK || r->logged)) {
		reply.seq = r->seq;
		reply.logged = r->logged;
		reply.log_index = r->log_index;
	}
	if (r && code == RK_OK) {
		reply.enrol = r->enrol;
		if (r->is_hello) {
			fill_hello(&hello, a, r);
			reply.hello = &hello;
		}
		if (r->is_fetch) {
			fetch.env_id = c->req->fetch->env_id;
			fetch.parts = c->req->fetch->blob == 0;
			fetch.blob = c->req->fetch->blob;
			fetch.offset = c->req->fetch->offset;
			fetch.total = r->total;
			reply.fetch = &fetch;
		}
	}
	if (r && r->is_blob) {
		blob.sha256 = c->req->blob_put->sha256;
		blob.have = c->blob.have;
		blob.complete = c->blob.is_complete;
		reply.blob = &blob;
	}
	if (down_is_plain_reply(&reply))
		return out ? down_pack_reply(out, &reply) : DOWN_MAX_BYTES;
	return out ? rk__down__pack(&down, out) : rk__down__get_packed_size(&down);
}

static int add_effect(struct apply *a, const struct effect *e)
{
	struct effect *effects = grown(a->effects, a->effect_count, &a->effect_room, sizeof(*e));

	if (!effects)
		return RK_ENOMEM;
	a->effects = effects;
	a->effects[a->effect_count++] = *e;
	return RK_OK;
}

static int pack_reply(struct apply *a, const struct command *c, int code, const struct result *r, struct bytes *header)
{
	size_t len = apply_batch_pack(c, code, a->now_ms, r, a, NULL);
	uint8_t *b = apply_batch_alloc(a, len);

	if (!b)
		return RK_ENOMEM;
	*header = bytes_make(b, apply_batch_pack(c, code, a->now_ms, r, a, b));
	return RK_OK;
}

int apply_batch_reply(struct apply *a, struct command *c, int code, const struct result *r)
{
	struct effect e = {.kind = EFFECT_REPLY, .command = c, .code = code};
	int rc;

	assert(code >= RK_OK);
	if ((rc = pack_reply(a, c, code, r, &e.header)) != RK_OK)
		return rc;
	e.is_hello = code == RK_OK && r->is_hello;
	if (code == RK_OK && r->frame_count > 0) {
		memcpy(e.frames, r->frames, sizeof(e.frames));
		e.frame_count = r->frame_count;
		e.is_blob = r->is_fetch && c->blob.is_read;
	}
	return add_effect(a, &e);
}

int apply_batch_drop_blob(struct apply *a, const uint8_t sha256[32], bool is_orphan)
{
	struct effect e = {.kind = EFFECT_BLOB_DROP, .is_orphan = is_orphan};

	memcpy(e.sha256, sha256, 32);
	return add_effect(a, &e);
}

int apply_batch_cut(struct apply *a, const uint8_t device_id[16])
{
	struct effect e = {.kind = EFFECT_CUT};

	memcpy(e.device_id, device_id, 16);
	return add_effect(a, &e);
}

int apply_batch_refuse_all(struct apply *a, int code)
{
	size_t kept = 0;
	int rc;

	for (size_t i = 0; i < a->effect_count; i++) {
		struct effect e = {.kind = EFFECT_REPLY, .command = a->effects[i].command, .code = code};

		if (a->effects[i].kind != EFFECT_REPLY)
			continue;
		if ((rc = pack_reply(a, e.command, code, NULL, &e.header)) != RK_OK)
			return rc;
		a->effects[kept++] = e;
	}
	a->effect_count = kept;
	return RK_OK;
}

/* ---- after the commit */
int apply_batch_change(struct apply *a, const struct roster_change *c)
{
	struct roster_change *changes;

	if (!a->roster)
		return RK_OK;
	if (!(changes = grown(a->changes, a->change_count, &a->change_room, sizeof(*c))))
		return RK_ENOMEM;
	a->changes = changes;
	a->changes[a->change_count++] = *c;
	return RK_OK;
}

static bool make_change(struct roster *r, const struct roster_change *c)
{
	switch (c->kind) {
	case ROSTER_PUT_DEVICE:
		return roster_put_device(r, &c->device);
	case ROSTER_DROP_DEVICE:
		roster_drop_device(r, c->device.device_id);
		return true;
	case ROSTER_PUT_ORG:
		return roster_put_org(r, &c->org);
	case ROSTER_PUT_INVITE:
		return roster_put_invite(r, &c->invite);
	case ROSTER_DROP_INVITE:
		roster_drop_invite(r, c->invite.invite_id);
		return true;
	}
	return true;
}

static int by_stream(const void *x, const void *y)
{
	const struct touched *a = x, *b = y;
	int order = memcmp(a->stream.b, b->stream.b, STREAM_ID_BYTES);

	if (order != 0)
		return order;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

int apply_batch_finish(struct apply *a)
{
	for (size_t i = 0; i < a->change_count; i++)
		if (!make_change(a->roster, &a->changes[i]))
			return RK_ENOMEM;
	if (a->touched_count > 1)
		qsort(a->touched, a->touched_count, sizeof(*a->touched), by_stream);
	for (size_t i = 0; i < a->touched_count; i++) {
		struct effect e = {.kind = EFFECT_STREAM, .stream = a->touched[i].stream, .seq = a->touched[i].seq};
		int rc;

		/* The last of a run of one stream has its head. */
		if (i + 1 < a->touched_count &&
		    memcmp(a->touched[i].stream.b, a->touched[i + 1].stream.b, STREAM_ID_BYTES) == 0)
			continue;
		if ((rc = add_effect(a, &e)) != RK_OK)
			return rc;
	}
	return RK_OK;
}

/* ---- log and streams */
int apply_batch_log(struct apply *a, Rk__LogType type, const uint8_t oh[32], uint64_t *index)
{
	uint8_t key[8], packed[MERKLE_ENTRY_MAX_BYTES];
	struct bytes entry = bytes_make(packed, merkle_entry(packed, type, a->now_ms, oh));
	int rc;

	*index = a->edge.size;
	put_u64be(key, *index);
	if ((rc = env_put(apply_w(a), T_LOG, BYTES_OF(key), entry, ENV_APPEND)) != RK_OK)
		return rc;
	return apply_log_grow(a, entry);
}

static int touch(struct apply *a, const struct stream_id *stream, uint64_t seq)
{
	struct touched *touched;

	/* Posts come in runs of one channel: the last few catch nearly all repetition. */
	for (size_t i = a->touched_count, back = 0; i > 0 && back < 8; i--, back++)
		if (memcmp(a->touched[i - 1].stream.b, stream->b, STREAM_ID_BYTES) == 0) {
			a->touched[i - 1].seq = seq;
			return RK_OK;
		}
	if (!(touched = grown(a->touched, a->touched_count, &a->touched_room, sizeof(*touched))))
		return RK_ENOMEM;
	a->touched = touched;
	a->touched[a->touched_count++] = (struct touched){*stream, seq};
	return RK_OK;
}

int apply_batch_entry(struct apply *a, const struct stream_id *streams, size_t n, struct stream_entry *e,
		      uint64_t *position, uint64_t *seqs)
{
	uint64_t pos, own_seqs[NDA_PARTIES_MAX + 2];
	int rc;

	assert(n >= 1 && n <= sizeof(own_seqs) / sizeof(own_seqs[0]));
	e->time_ms = a->now_ms;
	if ((rc = stream_append(apply_w(a), streams, n, e, &pos, own_seqs)) != RK_OK)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if ((rc = touch(a, &streams[i], own_seqs[i])) != RK_OK)
			return rc;
		if (seqs)
			seqs[i] = own_seqs[i];
	}
	if (position)
		*position = pos;
	return RK_OK;
}

int apply_batch_live(struct apply *a, struct command *c, const struct stream_id *stream, uint64_t seq, const struct stream_entry *entry)
{
	struct effect e = {.kind = EFFECT_ENTRY, .command = c, .stream = *stream, .seq = seq};
	struct stream_entry *copy = apply_batch_alloc(a, sizeof(*copy));

	if (!copy)
		return RK_ENOMEM;
	*copy = *entry;
	e.entry = copy;
	return add_effect(a, &e);
}

int apply_batch_add(struct apply *a, enum rows_quota_kind kind, const uint8_t x[16], const uint8_t *y, int64_t delta)
{
	uint64_t value;
	int rc = rows_get_quota(a->txn, kind, x, y, &value);

	if (rc != RK_OK)
		return rc;
	/* A counter bounds, it permits nothing: a wrong one is no reason to stop the exchange. */
	if (delta < 0 && value < (uint64_t)-delta)
		delta = -(int64_t)value;
	return rows_put_quota(apply_w(a), kind, x, y, value + (uint64_t)delta);
}

/* Counters of a day: the day in the upper half, so that yesterday's needs no deletion. */
static uint64_t today(const struct apply *a)
{
	return (uint64_t)(a->now_ms / NDA_DAY_MS);
}

int apply_batch_day_count(struct apply *a, enum rows_quota_kind kind, const uint8_t x[16], const uint8_t *y,
			  uint64_t *count)
{
	uint64_t value;
	int rc = rows_get_quota(a->txn, kind, x, y, &value);

	*count = value >> 32 == today(a) ? (uint32_t)value : 0;
	return rc;
}

int apply_batch_put_day_count(struct apply *a, enum rows_quota_kind kind, const uint8_t x[16], const uint8_t *y,
			      uint64_t count)
{
	return rows_put_quota(apply_w(a), kind, x, y, count ? today(a) << 32 | count : 0);
}

int apply_batch_drop_bulk(struct apply *a, uint64_t position)
{
	uint64_t freed;
	int rc = stream_drop_bulk(apply_w(a), position, &freed);

	/* A damaged or missing record has nothing to give back, and the deadline must not come for ever. */
	if ((rc == RK_EINTEGRITY || rc == RK_ENOTFOUND) && env_error(a->txn) == RK_OK)
		return RK_OK;
	return rc;
}
