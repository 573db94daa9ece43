/* What a header of each kind must and must not carry: one row a kind, and the few rules that a row cannot say. */
#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/nda.h"
#include "proto/strict.h"

#define FEED_LIFE_MS (180 * NDA_DAY_MS)
#define LIFE_MS (20 * NDA_DAY_MS)

struct kind_rule {
	uint32_t body_max_bytes;
	uint32_t recipients_min, recipients_max;
	uint32_t nda_id_bytes, nda_set_bytes;
	int64_t life_ms;
	bool is_feed;            /* channel, epoch and post fields; no thread */
	bool may_be_marked;
	bool may_be_reply_only;
	bool has_seen;           /* may carry the sender's newest checkpoint */
	bool has_blobs;          /* may have attachments */
	bool may_name_desk;      /* a recipient may be one desk of its organisation */
};

static const struct kind_rule rules[] = {
	[RK__KIND__FEED] = {ENVELOPE_BODY_MAX_BYTES, 0, 0, 0, 0, FEED_LIFE_MS, true, false, false, false, false, false},
	[RK__KIND__OPEN] = {ENVELOPE_SMALL_BODY_MAX_BYTES, 1, ENVELOPE_OPEN_RECIPIENTS_MAX, 0, 0, LIFE_MS, false, false,
	                    false, false, false, true},
	/* The 16 KiB of a PROPOSAL that carries a later ACCEPT is for whoever sees the act beside it. */
	[RK__KIND__PROPOSAL] = {ENVELOPE_BODY_MAX_BYTES, 1, 64, 32, 0, LIFE_MS, false, true, false, false, false, false},
	[RK__KIND__NDA] = {ENVELOPE_BODY_MAX_BYTES, 1, 64, 32, 32, LIFE_MS, false, true, true, true, true, true},
	[RK__KIND__NDA_NOTICE] = {ENVELOPE_SMALL_BODY_MAX_BYTES, 1, 64, 32, 32, LIFE_MS, false, true, false, true, false, true},
	[RK__KIND__INTERNAL] = {ENVELOPE_BODY_MAX_BYTES, 1, 1, 0, 0, LIFE_MS, false, false, false, false, false, true},
};

static int check_recipients(const Rk__EnvelopeHeader *h, const struct kind_rule *rule)
{
	if (h->n_recipients < rule->recipients_min || h->n_recipients > rule->recipients_max)
		return RK_MALFORMED;
	for (size_t i = 0; i < h->n_recipients; i++) {
		const Rk__Recipient *r = h->recipients[i];

		if ((r->desk_id != 0 && !rule->may_name_desk) || r->home_exchange.len != 0)
			return RK_UNSUPPORTED;
		/* The own organisation's devices get wraps of their own accord: it is the recipient of INTERNAL, and of nothing else. */
		if (r->org_id.len != 16 ||
		    bytes_equal(bytes_of(r->org_id), bytes_of(h->sender_org)) != (h->kind == RK__KIND__INTERNAL))
			return RK_MALFORMED;
		if (i > 0 && memcmp(h->recipients[i - 1]->org_id.data, r->org_id.data, 16) >= 0)
			return RK_MALFORMED;
	}
	return RK_OK;
}

static int check_post(const Rk__EnvelopeHeader *h)
{
	switch (h->post_op) {
	case RK__POST_OP__NEW:
		return h->post_id.len == 0 && h->post_seq == 0 && h->post_version == 1 ? RK_OK : RK_MALFORMED;
	case RK__POST_OP__REVISE:
	case RK__POST_OP__RENEW:
	case RK__POST_OP__WITHDRAW:
		return h->post_id.len == 32 && h->post_seq >= 1 && h->post_version >= 2 ? RK_OK : RK_MALFORMED;
	default:
		return RK_MALFORMED;
	}
}

static int check_feed(const Rk__EnvelopeHeader *h)
{
	if (h->channel < RK__CHANNEL__OFFER || h->channel > RK__CHANNEL__NOTICE || h->feed_epoch == 0)
		return RK_MALFORMED;
	if (h->thread_id.len != 0 || h->n_prev != 0)
		return RK_MALFORMED;
	return check_post(h);
}

static bool is_free_of_feed_fields(const Rk__EnvelopeHeader *h)
{
	return h->channel == RK__CHANNEL__CHANNEL_NONE && h->feed_epoch == 0 && h->post_id.len == 0 &&
	       h->post_op == RK__POST_OP__POST_OP_NONE && h->post_seq == 0 && h->post_version == 0;
}

static int check_fields(const Rk__EnvelopeHeader *h, const struct kind_rule *rule)
{
	if (h->nda_id.len != rule->nda_id_bytes || h->nda_set.len != rule->nda_set_bytes)
		return RK_MALFORMED;
	if (h->marking < RK__MARKING__UNMARKED || h->marking > RK__MARKING__NO_OWN_SECRETS)
		return RK_MALFORMED;
	if (h->marking != RK__MARKING__UNMARKED && !rule->may_be_marked)
		return RK_MALFORMED;
	if (h->reply_only && (!rule->may_be_reply_only || h->thread_id.len == 0))
		return RK_MALFORMED;
	if (rule->is_feed)
		return check_feed(h);
	return is_free_of_feed_fields(h) ? RK_OK : RK_MALFORMED;
}

/* An attachment is the sender's own content: a message without own secrets (reply_only) has none. */
static int check_blobs(const Rk__EnvelopeHeader *h, const struct kind_rule *rule)
{
	if (h->n_blobs != 0 && (!rule->has_blobs || h->reply_only))
		return RK_UNSUPPORTED;
	for (size_t i = 0; i < h->n_blobs; i++)
		for (size_t j = 0; j < i; j++)
			if (bytes_equal(bytes_of(h->blobs[i]->sha256), bytes_of(h->blobs[j]->sha256)))
				return RK_MALFORMED;
	return RK_OK;
}

int envelope_check_rules(const Rk__EnvelopeHeader *h, const uint8_t exchange_id[32])
{
	const struct kind_rule *rule;
	int r;

	if (!bytes_equal(bytes_of(h->exchange_id), bytes_make(exchange_id, 32)))
		return RK_WRONG_EXCHANGE;
	if (h->suite != ENVELOPE_SUITE)
		return RK_UNSUPPORTED;
	if (h->kind < RK__KIND__FEED || h->kind > RK__KIND__INTERNAL)
		return RK_MALFORMED;
	rule = &rules[h->kind];
	if (h->feed_id != 0 || h->release_at != 0 || (h->seen_checkpoint.len != 0 && !rule->has_seen))
		return RK_UNSUPPORTED;
	if ((r = check_blobs(h, rule)) != RK_OK)
		return r;
	if (h->created_at < 1 || h->expires_at <= h->created_at || h->expires_at - h->created_at > rule->life_ms)
		return RK_MALFORMED;
	if ((r = check_recipients(h, rule)) != RK_OK)
		return r;
	if ((r = check_fields(h, rule)) != RK_OK)
		return r;
	return h->body_len > rule->body_max_bytes ? RK_TOO_LARGE : RK_OK;
}
