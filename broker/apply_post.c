/*
 * Posts (FEED): new, revised, renewed, withdrawn, expired.  A post has a row of its own from its first change on; until then all that is to be known of
 * it stands in its entry, which costs a look at it when it changes, and nothing when it comes.  CRYPTO 2.5; FIELDS "EnvelopeHeader".
 */
#include "broker/apply_internal.h"

#define WITHDRAWAL_BODY_BYTES 4096 /* of a reason in words; more is content like any other */

static int check_epoch(const struct apply *a, uint32_t n)
{
	if (n == 0 || n > a->epoch.n)
		return RK_EPOCH_UNKNOWN;
	if (n < a->epoch.n && a->now_ms >= a->epoch.logged_at + TRUST_EPOCH_GRACE_MS)
		return RK_STALE_EPOCH;
	return RK_OK;
}

/* From its entry: what stands there was taken when the post was new. */
static int read_first(struct apply *a, uint8_t channel, uint64_t seq, struct rows_post *post)
{
	struct stream_id stream = stream_channel((Rk__Channel)channel);
	struct envelope envelope;
	struct stream_entry e;
	int rc;

	*post = (struct rows_post){0};
	if ((rc = stream_position(a->txn, &stream, seq, &post->position)) != RK_OK || (rc = stream_read(a->txn, post->position, false, &e)) != RK_OK)
		return rc;
	arena_reset(a->scratch, arena_budget(e.object.len));
	/* It passed these rules when it came.  Rules of FEED may be widened, but never made narrower than what stands in stores. */
	rc = envelope_parse(e.object, a->scratch, &envelope);
	if (rc == RK_ENOMEM || rc == RK_EINTERNAL)
		return rc;
	if (rc != RK_OK || envelope.header->kind != RK__KIND__FEED)
		return RK_EINTEGRITY;
	if (envelope.header->post_op != RK__POST_OP__NEW)
		return RK_ENOTFOUND;
	memcpy(post->sender_org, envelope.header->sender_org.data, 16);
	post->version = envelope.header->post_version;
	post->expires_at = envelope.header->expires_at;
	post->bulk = envelope.header->body_len;
	return RK_OK;
}

/* RK_ENOTFOUND also where the store is damaged: a post that cannot be read is no reason to stop the exchange (`renkeid check` finds it). */
static int read_post(struct apply *a, uint8_t channel, uint64_t seq, struct rows_post *post)
{
	int rc = rows_get_post(a->txn, channel, seq, post);

	if (rc == RK_ENOTFOUND)
		rc = read_first(a, channel, seq, post);
	return rc == RK_EINTEGRITY ? RK_ENOTFOUND : rc;
}

/* What an operation on an earlier post asks of it, and what it is. */
static int check_post(struct apply *a, const Rk__EnvelopeHeader *h, struct rows_post *post)
{
	int rc = read_post(a, (uint8_t)h->channel, h->post_seq, post);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_UNKNOWN_OBJECT : rc;
	if (memcmp(post->sender_org, h->sender_org.data, 16) != 0)
		return RK_NOT_OWNER;
	if (post->withdrawn || h->post_version != post->version + 1)
		return RK_CONFLICT;
	return RK_OK;
}

static int check_feed(struct apply *a, const struct command *c, const struct member *m, struct rows_post *post)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	/* A withdrawal takes bulk away in the end: it passes the marks, unless it brings as much. */
	bool frees = h->post_op == RK__POST_OP__WITHDRAW && c->body.len <= WITHDRAWAL_BODY_BYTES;
	int rc;

	if (!frees && (rc = apply_check_room(a, MARK_SOFT)) != RK_OK)
		return rc;
	if (c->body.len != h->body_len || c->wraps.len != 0)
		return RK_MALFORMED;
	if ((rc = check_epoch(a, h->feed_epoch)) != RK_OK)
		return rc;
	if ((h->channel == RK__CHANNEL__CALL || h->channel == RK__CHANNEL__NOTICE) && !apply_is_secretariat(m))
		return RK_NOT_PERMITTED;
	if (h->post_op != RK__POST_OP__NEW && (rc = check_post(a, h, post)) != RK_OK)
		return rc;
	return frees ? RK_OK : apply_check_stored(a, m->device.org_id, c->head.len + c->body.len);
}

/* The version before: its bulk goes, its head stays as a tombstone. */
static int drop_version(struct apply *a, uint8_t channel, uint64_t seq, const struct rows_post *post)
{
	uint8_t id[9];
	int rc;

	if (post->expires_at == 0)
		return RK_OK;
	id[0] = channel;
	put_u64be(id + 1, seq);
	if ((rc = apply_batch_drop_bulk(a, post->position)) != RK_OK ||
	    (rc = rows_del_due(apply_w(a), post->expires_at, DUE_POST_EXPIRES, id, sizeof(id))) != RK_OK)
		return rc;
	return apply_batch_add(a, QUOTA_STORED, post->sender_org, NULL, -(int64_t)post->bulk);
}

/* The hot path: besides the entry one deadline and one counter.  Nothing is hashed, nothing is verified. */
int apply_post_submit(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	struct stream_id channel = stream_channel(h->channel);
	struct stream_entry e = {.kind = RK__ENTRY_KIND__ENTRY_POST, .body = c->body};
	struct rows_post post = {.version = h->post_version,
				 .expires_at = h->expires_at,
				 .bulk = (uint32_t)c->body.len},
			 before = {0};
	uint8_t id[9];
	int rc;

	if ((rc = check_feed(a, c, m, &before)) != RK_OK)
		return rc;

	e.object = c->head;
	if ((rc = apply_batch_entry(a, &channel, 1, &e, &post.position, &r->seq)) != RK_OK)
		return rc;
	if ((rc = apply_batch_live(a, c, &channel, r->seq, &e)) != RK_OK)
		return rc;
	id[0] = (uint8_t)h->channel;
	put_u64be(id + 1, h->post_op == RK__POST_OP__NEW ? r->seq : h->post_seq);
	memcpy(post.sender_org, m->device.org_id, 16);
	post.withdrawn = h->post_op == RK__POST_OP__WITHDRAW;
	if (h->post_op != RK__POST_OP__NEW &&
	    ((rc = drop_version(a, id[0], h->post_seq, &before)) != RK_OK || (rc = rows_put_post(apply_w(a), id[0], h->post_seq, &post)) != RK_OK))
		return rc;
	if ((rc = rows_put_due(apply_w(a), h->expires_at, DUE_POST_EXPIRES, id, sizeof(id))) != RK_OK)
		return rc;
	return apply_batch_add(a, QUOTA_STORED, post.sender_org, NULL, (int64_t)(c->head.len + c->body.len));
}

int apply_post_expires(struct apply *a, uint8_t channel, uint64_t seq)
{
	struct rows_post post;
	int rc = read_post(a, channel, seq, &post);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	if ((rc = apply_batch_drop_bulk(a, post.position)) != RK_OK ||
	    (rc = apply_batch_add(a, QUOTA_STORED, post.sender_org, NULL, -(int64_t)post.bulk)) != RK_OK)
		return rc;
	post.expires_at = 0;
	post.bulk = 0;
	return rows_put_post(apply_w(a), channel, seq, &post);
}
