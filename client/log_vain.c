/*
 * Questions in vain.  A broker that will not prove need not refuse: it can answer each question as one of another session, be busy, or let
 * the line break, and the next connecting begins anew.  So it is kept with what is waited for since when it was asked for in
 * vain, and how often; an answer ends that.  After a day of it the broker has refused.
 */
#include <stdio.h>

#include "client/log_internal.h"

#define VAIN_MIN 3 /* lines do break, and brokers start again: so often, and never an answer in between */
#define META_KEY_CHARS 48

struct vain {
	int64_t since;
	uint64_t count;
};

static void count_one(struct vain *v, int64_t now)
{
	/* Also where our clock was set back. */
	if (v->count == 0 || v->since > now)
		v->since = now;
	v->count++;
}

static bool is_refusal(const struct vain *v, int64_t now)
{
	return v->count >= VAIN_MIN && now - v->since >= LOG_PROVE_WITHIN_MS;
}

/* Questions of one kind are asked in one order: the one that is not answered comes again. */
static void meta_key(char key[META_KEY_CHARS], unsigned number, const struct log_question *q)
{
	snprintf(key, META_KEY_CHARS, "log/vain/%s/%u", q->is_last_call ? "call" : q->size == 0 ? "newest" : "leaves", number);
}

static bool is_between(const struct log_question *q)
{
	return q->size != 0 && q->index_count == 0;
}

static int load(struct txn *t, const char *key, struct vain *v)
{
	struct bytes value;
	int r = meta_get(t, key, &value);

	*v = (struct vain){0};
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if (value.len != 16)
		return RK_ESTORE;
	v->since = (int64_t)get_u64be(value.data);
	v->count = get_u64be(value.data + 8);
	return RK_OK;
}

static int store(struct txn *t, const char *key, const struct vain *v)
{
	uint8_t value[16];

	put_u64be(value, (uint64_t)v->since);
	put_u64be(value + 8, v->count);
	return meta_put(t, key, BYTES_OF(value));
}

static int count_kind(struct txn *t, unsigned number, const struct log_question *q, int64_t now, struct vain *v)
{
	char key[META_KEY_CHARS];
	int r;

	meta_key(key, number, q);
	if ((r = load(t, key, v)) != RK_OK)
		return r;
	count_one(v, now);
	return store(t, key, v);
}

/* With the note that waits: its row goes when it is proven, and with it the count.  RK_ENOTFOUND. */
static int count_row(struct txn *t, unsigned number, const struct checkpoint *cp, int64_t now, struct vain *v)
{
	struct arena *a = arena_new(LOG_ARENA);
	uint8_t key[LOG_SEEN_KEY_BYTES];
	Rkl__LogSeen *seen;
	int r = RK_ENOMEM;

	if (a == NULL)
		return r;
	log_seen_key(key, number, cp->size, cp->root);
	if ((r = record_get(t, C_LOG_SEEN, BYTES_OF(key), &rkl__log_seen__descriptor, a, (ProtobufCMessage **)&seen)) == RK_OK) {
		*v = (struct vain){seen->vain_since, seen->vain_count};
		count_one(v, now);
		seen->vain_since = v->since;
		seen->vain_count = v->count;
		r = record_put(t, C_LOG_SEEN, BYTES_OF(key), &seen->base);
	}
	arena_free(a);
	return r;
}

int log_on_vain(struct client *c, struct txn *t, const struct log_question *q)
{
	int64_t now = client_now(c);
	struct vain v = {0};
	struct log_keys k;
	int r = log_follow(c, t, &k);

	/* A question about a log that is no more counts for nothing. */
	if (r != RK_OK || (q->from_size != 0 && strcmp(q->from.origin, k.log.name) != 0))
		return r == RK_ENOTFOUND ? RK_OK : r;
	if (!is_between(q))
		r = count_kind(t, k.number, q, now, &v);
	else if ((r = count_row(t, k.number, &q->from, now, &v)) == RK_ENOTFOUND)
		r = count_row(t, k.number, &q->to, now, &v);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	return is_refusal(&v, now) ? log_on_refusal(c, t, q, RK_ETIMEOUT) : RK_OK;
}

int log_vain_ends(struct txn *t, unsigned number, const struct log_question *q)
{
	char key[META_KEY_CHARS];
	struct vain v;
	int r;

	if (is_between(q))
		return RK_OK;
	meta_key(key, number, q);
	if ((r = load(t, key, &v)) != RK_OK || v.count == 0)
		return r;
	return store(t, key, &(struct vain){0});
}
