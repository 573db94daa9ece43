/*
 * feed: posts as they come from the channels, and the epoch keys that open them.
 *
 * A reader trusts the broker with nothing here: signature, sender, exchange, channel, ownership and version are judged again, and
 * the key is the epoch's that the header names, never one that happens to fit.  What fails is dropped and counted, without a
 * word to anybody (CRYPTO 2.8: no answer to a bad post).  A post whose epoch key has not come yet waits in C_WAITING; a
 * tombstone leaves its head's facts, by which later versions are judged.
 */
#include <stdlib.h>

#include <sodium.h>

#include "client/client_internal.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define FEED_WAITING_MAX 4096
#define SEQ_KEY_BYTES 9
#define SEQ_ROW_BYTES (32 + 32 + 16 + 1)
#define SEQ_ARRIVED 1u

/* A row of C_POST_SEQ: what stands at one place of a channel. */
struct seq_row {
	uint8_t env_id[32], post_id[32], sender_org[16];
	uint8_t flags; /* SEQ_ARRIVED: told in C_ARRIVAL, or nothing to tell */
};

struct posting {
	struct client *c;
	struct txn *txn;
	struct arena *arena;
	const struct delivery *d;
	uint8_t channel;
	struct envelope env;
	const Rk__EnvelopeHeader *h;
	uint8_t env_id[32], post_id[32];
	Rkl__PostRecord *rec;   /* NULL: a post not known before */
	bool was_live;          /* before this entry */
};

/* ---- rows */

static void seq_key(uint8_t key[SEQ_KEY_BYTES], uint8_t channel, uint64_t seq)
{
	key[0] = channel;
	put_u64be(key + 1, seq);
}

static int seq_get(struct txn *txn, uint8_t channel, uint64_t seq, struct seq_row *row)
{
	uint8_t key[SEQ_KEY_BYTES];
	struct bytes v;
	int r;

	seq_key(key, channel, seq);
	if ((r = env_get(txn, C_POST_SEQ, BYTES_OF(key), &v)) != RK_OK)
		return r;
	if (v.len != SEQ_ROW_BYTES)
		return RK_ESTORE;
	memcpy(row->env_id, v.data, 32);
	memcpy(row->post_id, v.data + 32, 32);
	memcpy(row->sender_org, v.data + 64, 16);
	row->flags = v.data[80];
	return RK_OK;
}

static int seq_put(struct txn *txn, uint8_t channel, uint64_t seq, const struct seq_row *row)
{
	uint8_t key[SEQ_KEY_BYTES], v[SEQ_ROW_BYTES];

	seq_key(key, channel, seq);
	memcpy(v, row->env_id, 32);
	memcpy(v + 32, row->post_id, 32);
	memcpy(v + 64, row->sender_org, 16);
	v[80] = row->flags;
	return env_put(txn, C_POST_SEQ, BYTES_OF(key), BYTES_OF(v), ENV_PUT);
}

static int arrive(struct txn *txn, uint8_t channel, uint64_t seq, const uint8_t post_id[32])
{
	uint8_t key[8], v[1 + 32 + 8];
	struct env_cursor *cursor;
	struct bytes last, value;
	uint64_t no = 1;
	int r;

	if ((r = env_cursor_open(txn, C_ARRIVAL, &cursor)) != RK_OK)
		return r;
	if (env_cursor_last(cursor, &last, &value) == RK_OK && last.len == 8)
		no = get_u64be(last.data) + 1;
	env_cursor_free(cursor);
	put_u64be(key, no);
	v[0] = channel;
	memcpy(v + 1, post_id, 32);
	put_u64be(v + 33, seq);
	return env_put(txn, C_ARRIVAL, BYTES_OF(key), BYTES_OF(v), ENV_PUT);
}

/* ---- judging one entry */

static bool near(int64_t a, int64_t b)
{
	return a - b <= ENVELOPE_CLOCK_MS && b - a <= ENVELOPE_CLOCK_MS;
}

/* Was the sender a member, with this device, when the broker took the post in? */
static int check_sender(struct posting *p, const Rk__Org *org, const Rk__Device *device)
{
	bool needs_role = p->channel == RK__CHANNEL__NOTICE || p->channel == RK__CHANNEL__CALL;

	if (org->status != RK__ORG_STATUS__ACTIVE && p->d->time_ms >= org->since)
		return RK_REVOKED;
	if (book_org_was_out(p->c, p->txn, p->h->sender_org.data, p->d->control_seq))
		return RK_REVOKED;
	if (!trust_device_is_active(device, p->d->time_ms))
		return RK_REVOKED;
	if (needs_role && !(org->roles & TRUST_ROLE_SECRETARIAT))
		return RK_NOT_PERMITTED;
	return RK_OK;
}

static int judge(struct posting *p)
{
	Rk__WrapList *wraps;
	Rk__Device *device;
	Rk__Org *org;
	int r;

	if ((r = envelope_parse(p->d->object, p->arena, &p->env)) != RK_OK)
		return r;
	p->h = p->env.header;
	if (p->h->kind != RK__KIND__FEED || (uint32_t)p->h->channel != p->channel)
		return RK_MALFORMED;
	if ((r = book_org(p->c, p->txn, p->h->sender_org.data, p->arena, &org)) != RK_OK)
		return r;
	r = book_device(p->c, p->txn, p->h->sender_device.data, p->h->sender_org.data, p->arena, &device);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_REVOKED : r;
	if ((r = envelope_verify(&p->env, p->c->exchange_id, device->sign_pk.data)) != RK_OK)
		return r;
	if (!near(p->h->created_at, p->d->time_ms))
		return RK_CLOCK;
	if ((r = check_sender(p, org, device)) != RK_OK)
		return r;
	envelope_id(p->env_id, &p->env, p->c->exchange_id);
	if (p->h->post_op == RK__POST_OP__NEW)
		memcpy(p->post_id, p->env_id, 32);
	else
		memcpy(p->post_id, p->h->post_id.data, 32);
	if (p->d->bulk_dropped || p->d->body.len == 0)
		return RK_OK;
	return envelope_check_bulk(&p->env, (struct bytes){0}, p->d->body, p->arena, &wraps);
}

/* A version names a post that stands where it says, is the same organisation's, is not withdrawn, and is older than it. */
static int check_target(struct posting *p)
{
	struct seq_row first;
	int r = record_get(p->txn, C_POST, BYTES_OF(p->post_id), &rkl__post_record__descriptor, p->arena,
			   (ProtobufCMessage **)&p->rec);

	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	p->was_live = p->rec != NULL && (p->rec->status == RKL__POST_STATUS__LIVE || p->rec->status == RKL__POST_STATUS__SEALED);
	if (p->h->post_op == RK__POST_OP__NEW)
		return p->rec == NULL || p->rec->first_seq == p->d->seq ? RK_OK : RK_DUPLICATE;
	if (p->rec == NULL)
		return RK_UNKNOWN_OBJECT;
	if ((r = seq_get(p->txn, p->channel, p->h->post_seq, &first)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_UNKNOWN_OBJECT : r;
	if (memcmp(first.env_id, p->post_id, 32) != 0 || memcmp(first.sender_org, p->h->sender_org.data, 16) != 0)
		return RK_NOT_OWNER;
	if (p->rec->status == RKL__POST_STATUS__WITHDRAWN || p->h->post_version <= p->rec->version)
		return RK_CONFLICT;
	return RK_OK;
}

/* ---- content */

/* Opens a post's body into C_CONTENT.  *status says what it is worth; *has_post whether it is one.  RK_ENOTFOUND: no epoch key yet. */
static int open_content(struct client *c, struct txn *txn, struct arena *arena, const struct envelope *env, struct bytes body,
			const uint8_t env_id[32], Rkl__PostStatus *status, bool *has_post)
{
	enum message_status read;
	struct bytes packed;
	Rk__Message *m;
	uint8_t ek[32];
	int r;

	*has_post = false;
	if ((r = book_epoch_key(c, txn, env->header->feed_epoch, ek)) != RK_OK)
		return r;
	arena_raise(arena, 4 * body.len + 64 * 1024);
	r = envelope_open(env, NULL, body, ek, c->device_id, NULL, NULL, arena, &packed, NULL);
	sodium_memzero(ek, sizeof(ek));
	if (r != RK_OK)
		return r;
	read = message_read(packed, arena, &m);
	if (read == MESSAGE_BAD)
		return RK_MALFORMED;
	*status = read == MESSAGE_OK ? RKL__POST_STATUS__LIVE : RKL__POST_STATUS__SEALED;
	if (read == MESSAGE_OK && m->type != RK__MESSAGE_TYPE__MESSAGE_POST)
		return RK_OK;
	if (read == MESSAGE_OK && m->post->type != env->header->channel)
		return RK_MALFORMED;
	*has_post = true;
	return content_put(c, txn, env_id, false, packed);
}

/* A post that cannot be opened yet: head and body stay until its epoch key comes. */
static int wait_for_key(struct posting *p)
{
	uint64_t waiting = meta_u64(p->txn, META_WAITING);
	uint8_t key[SEQ_KEY_BYTES], *room;
	int r;

	if (waiting >= FEED_WAITING_MAX)
		return RK_QUOTA;
	seq_key(key, p->channel, p->d->seq);
	r = env_reserve(p->txn, C_WAITING, BYTES_OF(key), 12 + p->d->object.len + p->d->body.len, ENV_PUT, &room);
	if (r != RK_OK)
		return r;
	put_u64be(room, (uint64_t)p->d->time_ms);
	put_u32be(room + 8, (uint32_t)p->d->object.len);
	memcpy(room + 12, p->d->object.data, p->d->object.len);
	memcpy(room + 12 + p->d->object.len, p->d->body.data, p->d->body.len);
	return meta_put_u64(p->txn, META_WAITING, waiting + 1);
}

/* What this entry makes of the post: its status, and whether its own content is the newest. */
static int read_content(struct posting *p, Rkl__PostStatus *status, bool *is_newest)
{
	bool has_post;
	int r;

	*is_newest = false;
	if (p->h->post_op == RK__POST_OP__WITHDRAW) {
		*status = RKL__POST_STATUS__WITHDRAWN;
		return RK_OK;
	}
	*status = RKL__POST_STATUS__EXPIRED;
	if (p->d->bulk_dropped || p->d->body.len == 0 || p->h->expires_at <= client_now(p->c))
		return RK_OK;
	r = open_content(p->c, p->txn, p->arena, &p->env, p->d->body, p->env_id, status, &has_post);
	if (r == RK_ENOTFOUND) {
		*status = RKL__POST_STATUS__SEALED;
		*is_newest = true;
		return wait_for_key(p);
	}
	/* A renewal may come without the post again: its content is then the version's before it. */
	if (r == RK_OK && !has_post && p->h->post_op != RK__POST_OP__RENEW)
		return RK_MALFORMED;
	*is_newest = has_post;
	return r;
}

/* ---- keeping */

static int store_record(struct posting *p, Rkl__PostStatus status, bool is_newest)
{
	Rkl__PostRecord fresh = RKL__POST_RECORD__INIT, *rec = p->rec != NULL ? p->rec : &fresh;

	if (p->rec == NULL || p->h->post_op == RK__POST_OP__NEW) {
		rec->post_id = pb_of(BYTES_OF(p->post_id));
		rec->channel = p->channel;
		rec->sender_org = p->h->sender_org;
		rec->first_seq = p->d->seq;
		rec->first_time_ms = p->d->time_ms;
		rec->version = 1;
	}
	rec->sender_device = p->h->sender_device;
	if (p->h->post_op != RK__POST_OP__NEW)
		rec->version = p->h->post_version;
	if (is_newest) {
		rec->env_id = pb_of(BYTES_OF(p->env_id));
		rec->feed_epoch = p->h->feed_epoch;
	}
	rec->newest_seq = p->d->seq;
	rec->time_ms = p->d->time_ms;
	rec->expires_at = p->h->expires_at;
	rec->status = status;
	return record_put(p->txn, C_POST, BYTES_OF(p->post_id), &rec->base);
}

/* Is there something to tell?  A tombstone and what has expired are not news; nor is the end of a post never seen. */
static bool is_news(const struct posting *p, Rkl__PostStatus status)
{
	if (status == RKL__POST_STATUS__WITHDRAWN)
		return p->was_live;
	return status == RKL__POST_STATUS__LIVE;
}

/* The same entry again: after a restore of the broker, or our own post that the channel now brings. */
static int take_again(struct posting *p, struct seq_row *row, bool tell)
{
	Rkl__PostRecord *rec;
	int r;

	if (!tell || row->flags & SEQ_ARRIVED)
		return RK_OK;
	r = record_get(p->txn, C_POST, BYTES_OF(row->post_id), &rkl__post_record__descriptor, p->arena, (ProtobufCMessage **)&rec);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	row->flags |= SEQ_ARRIVED;
	if ((r = seq_put(p->txn, p->channel, p->d->seq, row)) != RK_OK)
		return r;
	if (rec->status != RKL__POST_STATUS__LIVE && rec->status != RKL__POST_STATUS__WITHDRAWN)
		return RK_OK;
	return arrive(p->txn, p->channel, p->d->seq, p->post_id);
}

static int take(struct posting *p, bool tell)
{
	struct seq_row row;
	Rkl__PostStatus status;
	bool is_newest, news;
	int r;

	if ((r = judge(p)) != RK_OK)
		return r;
	r = seq_get(p->txn, p->channel, p->d->seq, &row);
	if (r == RK_OK && memcmp(row.env_id, p->env_id, 32) == 0)
		return take_again(p, &row, tell);
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	if ((r = check_target(p)) != RK_OK || (r = read_content(p, &status, &is_newest)) != RK_OK)
		return r;
	if ((r = store_record(p, status, is_newest)) != RK_OK)
		return r;
	news = is_news(p, status);
	memcpy(row.env_id, p->env_id, 32);
	memcpy(row.post_id, p->post_id, 32);
	memcpy(row.sender_org, p->h->sender_org.data, 16);
	/* What waits for its key is told when the key comes. */
	row.flags = tell && status != RKL__POST_STATUS__SEALED ? SEQ_ARRIVED : 0;
	if ((r = seq_put(p->txn, p->channel, p->d->seq, &row)) != RK_OK)
		return r;
	return tell && news ? arrive(p->txn, p->channel, p->d->seq, p->post_id) : RK_OK;
}

static int take_post(struct client *c, struct txn *txn, const struct delivery *d, bool tell)
{
	struct posting p = {.c = c, .txn = txn, .d = d, .channel = d->stream.b[1]};
	int r;

	home_load_ids(c, txn);
	if ((p.arena = arena_new(arena_budget(d->object.len))) == NULL)
		return RK_ENOMEM;
	r = take(&p, tell);
	arena_free_wiped(p.arena);
	if (r > 0) {
		client_count(txn, "bad-post");
		client_log(c, "feed: entry %llu of channel %u dropped: %s", (unsigned long long)d->seq, (unsigned)d->stream.b[1],
			   errcode_name(r));
	}
	return r < 0 ? r : RK_OK;
}

int feed_on_post(struct client *c, struct txn *txn, const struct delivery *d)
{
	return take_post(c, txn, d, true);
}

int feed_on_sent(struct client *c, struct txn *txn, const struct delivery *d)
{
	return take_post(c, txn, d, false);
}

/* ---- epoch keys */

/* One waiting post, now that its key is here.  Superseded or damaged ones are forgotten. */
static int wake(struct client *c, struct txn *txn, const uint8_t key[SEQ_KEY_BYTES], struct bytes value, struct arena *arena,
		const struct envelope *env)
{
	size_t head_len = get_u32be(value.data + 8);
	struct bytes body = bytes_make(value.data + 12 + head_len, value.len - 12 - head_len);
	uint64_t seq = get_u64be(key + 1);
	Rkl__PostRecord *rec;
	struct seq_row row;
	bool has_post;
	int r;

	if ((r = seq_get(txn, key[0], seq, &row)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	r = record_get(txn, C_POST, BYTES_OF(row.post_id), &rkl__post_record__descriptor, arena, (ProtobufCMessage **)&rec);
	if (r != RK_OK || rec->status != RKL__POST_STATUS__SEALED || !bytes_equal(bytes_of(rec->env_id), BYTES_OF(row.env_id)))
		return r == RK_ENOTFOUND ? RK_OK : r;
	r = open_content(c, txn, arena, env, body, row.env_id, &rec->status, &has_post);
	if (r > 0 || (r == RK_OK && !has_post)) {
		client_count(txn, "bad-post");
		return RK_OK;
	}
	if (r != RK_OK)
		return r;
	if (rec->status == RKL__POST_STATUS__LIVE && rec->expires_at <= client_now(c))
		rec->status = RKL__POST_STATUS__EXPIRED;
	row.flags |= SEQ_ARRIVED;
	if ((r = seq_put(txn, key[0], seq, &row)) != RK_OK ||
	    (r = record_put(txn, C_POST, BYTES_OF(row.post_id), &rec->base)) != RK_OK)
		return r;
	return rec->status == RKL__POST_STATUS__LIVE ? arrive(txn, key[0], seq, row.post_id) : RK_OK;
}

/* Copies the value out of the store first: opening writes. */
static int wake_if_of_epoch(struct client *c, struct txn *txn, const uint8_t key[SEQ_KEY_BYTES], uint32_t n)
{
	struct bytes stored, value;
	struct arena *arena;
	struct envelope env;
	int r;

	if ((r = env_get(txn, C_WAITING, bytes_make(key, SEQ_KEY_BYTES), &stored)) != RK_OK)
		return r;
	if (stored.len < 12 || get_u32be(stored.data + 8) > stored.len - 12)
		return RK_ESTORE;
	if ((arena = arena_new(stored.len + arena_budget(stored.len))) == NULL)
		return RK_ENOMEM;
	value = bytes_make(arena_copy(arena, stored.data, stored.len), stored.len);
	r = value.data == NULL ? RK_ENOMEM : envelope_parse(bytes_make(value.data + 12, get_u32be(value.data + 8)), arena, &env);
	if (r == RK_OK && env.header->feed_epoch == n) {
		r = wake(c, txn, key, value, arena, &env);
		if (r == RK_OK)
			r = env_del(txn, C_WAITING, bytes_make(key, SEQ_KEY_BYTES));
		if (r == RK_OK)
			r = meta_put_u64(txn, META_WAITING, meta_u64(txn, META_WAITING) - 1);
	}
	arena_free_wiped(arena);
	return r > 0 ? RK_ESTORE : r;
}

static int wake_all(struct client *c, struct txn *txn, uint32_t n)
{
	uint8_t (*keys)[SEQ_KEY_BYTES] = calloc(FEED_WAITING_MAX, sizeof(*keys));
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	size_t count = 0;
	int r;

	if (keys == NULL)
		return RK_ENOMEM;
	if ((r = env_cursor_open(txn, C_WAITING, &cursor)) != RK_OK)
		goto out;
	for (r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value); r == RK_OK && count < FEED_WAITING_MAX;
	     r = env_cursor_next(cursor, &key, &value))
		if (key.len == SEQ_KEY_BYTES)
			memcpy(keys[count++], key.data, SEQ_KEY_BYTES);
	r = r == RK_ENOTFOUND ? RK_OK : r;
	env_cursor_free(cursor);
	for (size_t i = 0; i < count && r == RK_OK; i++)
		r = wake_if_of_epoch(c, txn, keys[i], n);
out:
	free(keys);
	return r;
}

static int open_key(struct client *c, struct txn *txn, const struct delivery *d, struct arena *arena, uint32_t *n)
{
	const Rk__FeedKey *fk;
	Rk__FeedEpoch *epoch;
	Rk__Charter *charter;
	struct object o;
	const uint8_t *pk;
	uint8_t ek[32], kx_pk[32], kx_sk[32], oh[32];
	int r;

	*n = 0;
	if ((r = object_parse(OBJECT_KIND_FEED_KEY, d->object, arena, &o)) != RK_OK)
		return r;
	fk = (const Rk__FeedKey *)o.message;
	/* The mailbox is the organisation's: most of its keys are for the other devices. */
	if (!bytes_equal(bytes_of(fk->device_id), bytes_make(c->device_id, ID16_BYTES)))
		return RK_OK;
	if ((r = book_charter(c, txn, arena, &charter)) != RK_OK)
		return r;
	if ((pk = trust_secretariat_pk(charter, fk->signer_id.data, d->time_ms)) == NULL)
		return RK_BAD_SIGNATURE;
	if ((r = object_check(&o, c->exchange_id, pk)) != RK_OK)
		return r;
	if ((r = book_epoch(c, txn, fk->n, arena, &epoch, oh)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_EPOCH_UNKNOWN : r;
	if (!keys_kx(c, fk->kx_serial, kx_pk, kx_sk))
		return RK_NO_RECIPIENT_KEY;
	r = trust_feed_key_open(ek, fk, epoch, kx_pk, kx_sk);
	if (r == RK_OK)
		r = book_epoch_key_put(c, txn, fk->n, ek);
	if (r == RK_OK)
		*n = fk->n;
	sodium_memzero(ek, sizeof(ek));
	sodium_memzero(kx_sk, sizeof(kx_sk));
	return r;
}

int feed_on_key(struct client *c, struct txn *txn, const struct delivery *d)
{
	struct arena *arena = arena_new(arena_budget(d->object.len));
	uint32_t n;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	home_load_ids(c, txn);
	r = keys_unlock(c, KEY_DEVICE);
	if (r == RK_OK)
		r = open_key(c, txn, d, arena, &n);
	arena_free(arena);
	if (r == RK_OK && n != 0)
		r = wake_all(c, txn, n);
	if (r > 0) {
		client_count(txn, "bad-feed-key");
		client_log(c, "feed: key of entry %llu dropped: %s", (unsigned long long)d->seq, errcode_name(r));
	}
	return r < 0 ? r : RK_OK;
}

/* ---- following */

int feed_follow(struct client *c, Rk__Channel channel, bool follow)
{
	uint8_t key = (uint8_t)channel, since[8];
	struct txn *txn;
	int r;

	if (channel < RK__CHANNEL__OFFER || channel > RK__CHANNEL__NOTICE)
		return RK_EUSAGE;
	if ((r = env_begin(c->env, true, &txn)) != RK_OK)
		return r;
	put_u64be(since, (uint64_t)client_now(c));
	/* The cursor stays: who follows again goes on where reading stopped. */
	if (follow && !env_has(txn, C_FOLLOW, bytes_make(&key, 1)))
		r = env_put(txn, C_FOLLOW, bytes_make(&key, 1), BYTES_OF(since), ENV_PUT);
	else if (!follow && (r = env_del(txn, C_FOLLOW, bytes_make(&key, 1))) == RK_ENOTFOUND)
		r = RK_OK;
	if (r != RK_OK) {
		env_abort(txn);
		return r;
	}
	return env_commit(txn);
}
