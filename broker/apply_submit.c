/*
 * SUBMIT: first contact (OPEN), what goes under an agreement (NDA, NDA_NOTICE), and what the devices of one organisation write to each
 * other (INTERNAL); posts (FEED) are apply_post.c's.  The head and mail checks and the storing serve PROPOSAL envelopes too, which enter by
 * apply_nda.c only.  CRYPTO 2.5, 2.8; FIELDS "EnvelopeHeader".
 */
#include "broker/apply_internal.h"

#include <assert.h>

static const uint8_t no_nda[32];

int apply_submit_check_head(struct apply *a, const struct command *c, const struct member *m)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;

	if (!h || !c->req->head)
		return RK_MALFORMED;
	if (memcmp(h->sender_device.data, m->device_id, 16) != 0 ||
	    memcmp(h->sender_org.data, m->device.org_id, 16) != 0)
		return RK_NOT_PERMITTED;
	/* A post's signature is its readers' to check; of every other kind verify has proven one, by this key. */
	if (h->kind != RK__KIND__FEED && memcmp(c->signer_pk, m->device.sign_pk, 32) != 0)
		return RK_BAD_SIGNATURE;
	if (memcmp(h->exchange_id.data, a->exchange_id, 32) != 0)
		return RK_WRONG_EXCHANGE;
	if (apply_check_clock(a, h->created_at) != RK_OK)
		return RK_CLOCK;
	return h->expires_at > a->now_ms ? RK_OK : RK_ENVELOPE_EXPIRED;
}

/* What stays for good when the bulk is gone: an organisation pays for it as long as the exchange lives. */
static uint64_t kept_bytes(const struct command *c)
{
	return c->head.len + c->terms_bytes.len + c->signed_object.wire.len;
}

/* ---- mail */
static int check_recipients(struct apply *a, const Rk__EnvelopeHeader *h)
{
	if (h->n_recipients == 0 || h->n_recipients > ROWS_RECIPIENTS_MAX)
		return RK_TOO_LARGE;
	for (size_t i = 0; i < h->n_recipients; i++) {
		struct rows_org org;
		int rc = rows_get_org(a->txn, h->recipients[i]->org_id.data, &org);

		if (rc != RK_OK && rc != RK_ENOTFOUND)
			return rc;
		if (rc == RK_ENOTFOUND || org.status != ORG_ACTIVE)
			return RK_UNKNOWN_RECIPIENT;
	}
	return RK_OK;
}

static bool is_kx_valid(const struct rows_device *d, uint32_t serial, int64_t t_ms)
{
	if (d->kx_serial == 0 || serial == 0)
		return false;
	if (serial == d->kx_serial)
		return t_ms < d->kx_not_after;
	return serial + 1 == d->kx_serial && t_ms < d->kx_before_not_after;
}

/* Is the wrap one that the header asks for?  *recipient: of which one, n_recipients if it is for the sender's own side. */
static int check_wrap(struct apply *a, const Rk__EnvelopeHeader *h, const Rk__Wrap *w, size_t *recipient)
{
	struct rows_device d;
	size_t r = 0;
	bool is_there;
	int rc = rows_get_device(a->txn, w->device_id.data, &d);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_STALE_DIRECTORY : rc;
	if (!apply_device_is_active(&d, a->now_ms) || !is_kx_valid(&d, w->kx_serial, a->now_ms))
		return RK_STALE_DIRECTORY;
	while (r < h->n_recipients && memcmp(h->recipients[r]->org_id.data, d.org_id, 16) != 0)
		r++;
	*recipient = r;
	if (r == h->n_recipients)
		return memcmp(d.org_id, h->sender_org.data, 16) == 0 ? RK_OK : RK_STALE_DIRECTORY;
	if ((rc = rows_is_at_desk(a->txn, w->device_id.data, h->recipients[r]->desk_id, &is_there)) != RK_OK || is_there)
		return rc;
	/* INTERNAL, to a desk: who wrote it may read it, and counts for no recipient. */
	*recipient = h->n_recipients;
	return memcmp(w->device_id.data, h->sender_device.data, 16) == 0 ? RK_OK : RK_STALE_DIRECTORY;
}

/* Wraps go to devices of the recipients, of the desk if one is named, and of the sender, each in force and with a kx key
 * in force; every recipient has one. */
static int check_wraps(struct apply *a, const struct command *c, const Rk__EnvelopeHeader *h)
{
	bool has_wrap[ROWS_RECIPIENTS_MAX + 1] = {false};

	if (!c->wrap_list)
		return RK_MALFORMED;
	for (size_t i = 0; i < c->wrap_list->n_wraps; i++) {
		size_t recipient;
		int rc = check_wrap(a, h, c->wrap_list->wraps[i], &recipient);

		if (rc != RK_OK)
			return rc;
		has_wrap[recipient] = true;
	}
	for (size_t i = 0; i < h->n_recipients; i++)
		if (!has_wrap[i])
			return RK_NO_RECIPIENT_KEY;
	return RK_OK;
}

static int check_pending(struct apply *a, const Rk__EnvelopeHeader *h, uint64_t bulk)
{
	for (size_t i = 0; i < h->n_recipients; i++) {
		uint64_t pending;
		int rc = rows_get_quota(a->txn, QUOTA_PENDING, h->recipients[i]->org_id.data, h->sender_org.data,
					&pending);

		if (rc != RK_OK)
			return rc;
		if (pending + bulk > a->limits.pair_pending_bytes)
			return RK_QUOTA;
	}
	return RK_OK;
}

int apply_submit_check_mail(struct apply *a, const struct command *c, const struct member *m)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	uint64_t bulk = c->wraps.len + c->body.len;
	int rc;

	if ((rc = apply_check_room(a, MARK_SOFT)) != RK_OK)
		return rc;
	if (env_has(a->txn, T_ENVELOPE, bytes_make(c->env_id, 32)))
		return RK_DUPLICATE;
	if ((rc = check_recipients(a, h)) != RK_OK)
		return rc;
	if (h->directory_serial != a->directory.serial)
		return RK_STALE_DIRECTORY;
	if ((rc = check_wraps(a, c, h)) != RK_OK ||
	    (rc = apply_check_stored(a, m->device.org_id, kept_bytes(c) + bulk)) != RK_OK)
		return rc;
	return check_pending(a, h, bulk);
}

static int put_recipient(struct apply *a, const struct command *c, const uint8_t nda_id[32], const uint8_t org_id[16],
			 uint32_t bulk)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	uint8_t key[ROWS_PENDING_KEY_BYTES];
	int rc;

	rows_pending_key(key, nda_id, c->env_id, org_id);
	if ((rc = rows_put_pending(apply_w(a), key, bulk, (uint8_t)h->kind)) != RK_OK ||
	    (rc = apply_batch_add(a, QUOTA_PENDING, org_id, h->sender_org.data, bulk)) != RK_OK)
		return rc;
	return rows_put_quota(apply_w(a), QUOTA_HAS_WRITTEN, h->sender_org.data, org_id, 1);
}

static int put_wraps(struct apply *a, const struct command *c)
{
	for (size_t i = 0; i < c->wrap_list->n_wraps; i++) {
		const Rk__Wrap *w = c->wrap_list->wraps[i];
		struct rows_wrap row = {.kx_serial = w->kx_serial};
		int rc = rows_put_wrap(apply_w(a), c->env_id, w->device_id.data, &row);

		if (rc != RK_OK)
			return rc;
	}
	return RK_OK;
}

int apply_submit_store(struct apply *a, const struct command *c, const struct member *m, bool logged,
		       uint64_t log_index)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	bool is_gated = h->kind == RK__KIND__NDA || h->kind == RK__KIND__NDA_NOTICE;
	struct rows_envelope row = {
	    .kind = (uint8_t)h->kind, .reply_only = h->reply_only != 0, .expires_at = h->expires_at};
	struct stream_entry e = {
	    .kind = RK__ENTRY_KIND__ENTRY_ENVELOPE, .wraps = c->wraps, .body = c->body, .log_index = log_index};
	const uint8_t *nda_id = is_gated ? h->nda_id.data : no_nda;
	struct stream_id boxes[ROWS_RECIPIENTS_MAX + 1];
	size_t box_count = 0;
	int rc;

	assert(h->n_recipients <= ROWS_RECIPIENTS_MAX);
	row.bulk = (uint32_t)(c->wraps.len + c->body.len);
	memcpy(row.sender_org, m->device.org_id, 16);
	memcpy(row.nda_id, nda_id, 32);
	row.recipient_count = (uint8_t)h->n_recipients;
	e.object = c->head;
	e.flags = (uint8_t)((logged ? STREAM_LOGGED : 0) | (is_gated ? STREAM_HEAD_ONLY : 0));
	/* INTERNAL: the one recipient is the sender's own organisation, whose mailbox takes it once. */
	if (h->kind != RK__KIND__INTERNAL)
		boxes[box_count++] = stream_mailbox(row.sender_org);
	for (size_t i = 0; i < h->n_recipients; i++) {
		const uint8_t *org_id = h->recipients[i]->org_id.data;

		memcpy(row.recipients[i].org_id, org_id, 16);
		boxes[box_count++] = stream_mailbox(org_id);
		if ((rc = put_recipient(a, c, nda_id, org_id, row.bulk)) != RK_OK)
			return rc;
	}
	if ((rc = apply_batch_entry(a, boxes, box_count, &e, &row.position, NULL)) != RK_OK ||
	    (rc = rows_put_envelope(apply_w(a), c->env_id, &row)) != RK_OK ||
	    (rc = rows_put_due(apply_w(a), h->expires_at, DUE_ENVELOPE_EXPIRES, c->env_id, 32)) != RK_OK ||
	    (rc = apply_batch_add(a, QUOTA_STORED, row.sender_org, NULL, (int64_t)(kept_bytes(c) + row.bulk))) != RK_OK)
		return rc;
	return is_gated ? put_wraps(a, c) : RK_OK;
}

/* ---- first contact */
static int submit_open(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	uint64_t strangers = 0, sent;
	int rc;

	(void)r;
	if ((rc = apply_submit_check_mail(a, c, m)) != RK_OK)
		return rc;
	for (size_t i = 0; i < h->n_recipients; i++) {
		uint64_t has_written;

		rc = rows_get_quota(a->txn, QUOTA_HAS_WRITTEN, h->recipients[i]->org_id.data, m->device.org_id,
				    &has_written);
		if (rc != RK_OK)
			return rc;
		strangers += has_written == 0;
	}
	if ((rc = apply_batch_day_count(a, QUOTA_OPEN_DAY, m->device.org_id, NULL, &sent)) != RK_OK)
		return rc;
	if (strangers > 0 && sent + strangers > a->limits.open_per_day)
		return RK_QUOTA;

	if (strangers > 0 && (rc = apply_batch_put_day_count(a, QUOTA_OPEN_DAY, m->device.org_id, NULL, sent + strangers)) != RK_OK)
		return rc;
	return apply_submit_store(a, c, m, false, 0);
}

/* ---- between the devices of one organisation: delivered whole, never logged, of no concern to anybody else */
static int submit_internal(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	int rc = apply_submit_check_mail(a, c, m);

	(void)r;
	return rc != RK_OK ? rc : apply_submit_store(a, c, m, false, 0);
}

/* ---- under an agreement */
static int check_notices(struct apply *a, const Rk__EnvelopeHeader *h)
{
	for (size_t i = 0; i < h->n_recipients; i++) {
		uint64_t sent;
		int rc = apply_batch_day_count(a, QUOTA_NOTICE_DAY, h->sender_org.data, h->recipients[i]->org_id.data, &sent);

		if (rc != RK_OK)
			return rc;
		if (sent >= a->limits.notices_per_day)
			return RK_QUOTA;
	}
	return RK_OK;
}

static int count_notices(struct apply *a, const Rk__EnvelopeHeader *h)
{
	for (size_t i = 0; i < h->n_recipients; i++) {
		const uint8_t *to = h->recipients[i]->org_id.data;
		uint64_t sent;
		int rc = apply_batch_day_count(a, QUOTA_NOTICE_DAY, h->sender_org.data, to, &sent);

		if (rc == RK_OK)
			rc = apply_batch_put_day_count(a, QUOTA_NOTICE_DAY, h->sender_org.data, to, sent + 1);
		if (rc != RK_OK)
			return rc;
	}
	return RK_OK;
}

/* The gate before anything that could tell a stranger whether an agreement exists. */
static int check_gate(struct apply *a, const struct command *c, const struct member *m)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	const uint8_t *recipients[ROWS_RECIPIENTS_MAX];
	struct nda_row nda;
	int rc;

	if (h->n_recipients == 0 || h->n_recipients > ROWS_RECIPIENTS_MAX)
		return RK_NO_NDA; /* an agreement has no more parties: one of these is none */
	for (size_t i = 0; i < h->n_recipients; i++)
		recipients[i] = h->recipients[i]->org_id.data;
	if ((rc = apply_nda_lookup(a, bytes_of(h->nda_id), m->device.org_id, &nda)) != RK_OK ||
	    (rc = apply_nda_gate(a, &nda, h->kind, m->device.org_id, recipients, h->n_recipients,
				 h->reply_only != 0)) != RK_OK)
		return rc;
	if (h->nda_set.len != 32 || memcmp(h->nda_set.data, nda.nda_set, 32) != 0)
		return RK_STALE_NDA;
	if (h->kind == RK__KIND__NDA && nda.marking_required && h->marking == RK__MARKING__UNMARKED)
		return RK_UNMARKED;
	return RK_OK;
}

static int submit_gated(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	bool is_notice = h->kind == RK__KIND__NDA_NOTICE;
	int rc;

	/* Duties under an agreement do not wait for the secretariat's next directory; disclosures do. */
	if (!is_notice && (rc = apply_check_directory(a)) != RK_OK)
		return rc;
	if ((rc = check_gate(a, c, m)) != RK_OK || (rc = apply_submit_check_mail(a, c, m)) != RK_OK ||
	    (is_notice && (rc = check_notices(a, h)) != RK_OK) || (rc = apply_blob_check(a, h, m->device.org_id)) != RK_OK)
		return rc;

	if ((is_notice && (rc = count_notices(a, h)) != RK_OK) ||
	    (rc = apply_batch_log(a, RK__LOG_TYPE__LOG_DISCLOSURE, c->env_oh, &r->log_index)) != RK_OK)
		return rc;
	r->logged = true;
	if ((rc = apply_submit_store(a, c, m, true, r->log_index)) != RK_OK)
		return rc;
	return apply_blob_attach(a, h, c->env_id);
}

int apply_submit(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	int rc;

	if ((rc = apply_submit_check_head(a, c, m)) != RK_OK)
		return rc;
	a->is_saving = a->is_saving && c->envelope.header->kind == RK__KIND__FEED;
	switch (c->envelope.header->kind) {
	case RK__KIND__FEED:
		return apply_post_submit(a, c, m, r);
	case RK__KIND__OPEN:
		return submit_open(a, c, m, r);
	case RK__KIND__NDA:
	case RK__KIND__NDA_NOTICE:
		return submit_gated(a, c, m, r);
	case RK__KIND__INTERNAL:
		return submit_internal(a, c, m, r);
	case RK__KIND__PROPOSAL:
		return RK_NOT_PERMITTED; /* with its terms or act only */
	default:
		return RK_UNSUPPORTED;
	}
}
