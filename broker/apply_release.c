/*
 * Release: a signed Pickup, then FETCH, each through the gate at its own time.  Nothing here trusts that something was
 * allowed before: what was in force when an envelope was accepted, or picked up, may have ended since.  CRYPTO 2.11.
 */
#include "broker/apply_internal.h"

#include <assert.h>

/* One envelope of a Pickup as the check found it. */
struct pick {
	const uint8_t *env_id;
	struct rows_envelope envelope;
	int recipient;
	bool is_new;
};

static bool is_gated(const struct rows_envelope *e)
{
	return e->kind == RK__KIND__NDA || e->kind == RK__KIND__NDA_NOTICE;
}

static int check_pick(struct apply *a, const Rk__Pickup *p, const struct member *m, struct nda_row *nda,
		      struct pick *pick)
{
	const uint8_t *org = m->device.org_id;
	struct rows_wrap wrap;
	int rc = rows_get_envelope(a->txn, pick->env_id, &pick->envelope);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_UNKNOWN_OBJECT : rc;
	if (!is_gated(&pick->envelope) || memcmp(pick->envelope.nda_id, p->nda_id.data, 32) != 0)
		return RK_UNKNOWN_OBJECT;
	pick->recipient = rows_recipient_index(&pick->envelope, org);
	if (pick->recipient < 0)
		return RK_UNKNOWN_OBJECT;
	rc = apply_nda_gate(a, nda, pick->envelope.kind, pick->envelope.sender_org, &org, 1, pick->envelope.reply_only);
	if (rc != RK_OK)
		return rc;
	if (pick->envelope.kind == RK__KIND__NDA && (rc = apply_check_directory(a)) != RK_OK)
		return rc;
	if (pick->envelope.recipients[pick->recipient].state == RECIPIENT_RETURNED)
		return RK_UNKNOWN_OBJECT;
	if (a->now_ms >= pick->envelope.expires_at)
		return RK_ENVELOPE_EXPIRED;
	rc = rows_get_wrap(a->txn, pick->env_id, m->device_id, &wrap);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_NO_RECIPIENT_KEY : rc;
	pick->is_new = !wrap.released;
	return RK_OK;
}

static int check_pickup(struct apply *a, const struct command *c, const struct member *m, const Rk__Pickup *p,
			struct nda_row *nda, struct pick *picks)
{
	int rc;

	if (memcmp(p->device_id.data, m->device_id, 16) != 0)
		return RK_NOT_PERMITTED;
	if (memcmp(c->object_pk, m->device.sign_pk, 32) != 0)
		return RK_BAD_SIGNATURE;
	for (size_t i = 1; i < p->n_env_ids; i++)
		if (memcmp(p->env_ids[i - 1].data, p->env_ids[i].data, 32) >= 0)
			return RK_MALFORMED;
	if ((rc = apply_nda_lookup(a, bytes_of(p->nda_id), m->device.org_id, nda)) != RK_OK ||
	    (rc = apply_check_room(a, MARK_HARD)) != RK_OK)
		return rc;
	for (size_t i = 0; i < p->n_env_ids; i++) {
		picks[i].env_id = p->env_ids[i].data;
		if ((rc = check_pick(a, p, m, nda, &picks[i])) != RK_OK)
			return rc;
	}
	return memcmp(p->nda_set.data, nda->nda_set, 32) == 0 ? RK_OK : RK_STALE_NDA;
}

static int release(struct apply *a, const struct member *m, struct pick *pick, uint64_t log_index)
{
	struct rows_envelope *e = &pick->envelope;
	const uint8_t *org = m->device.org_id;
	uint8_t key[ROWS_PENDING_KEY_BYTES];
	struct rows_wrap wrap;
	int rc = rows_get_wrap(a->txn, pick->env_id, m->device_id, &wrap);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	wrap.released = true;
	wrap.log_index = log_index;
	if ((rc = rows_put_wrap(apply_w(a), pick->env_id, m->device_id, &wrap)) != RK_OK)
		return rc;
	if (e->recipients[pick->recipient].state != RECIPIENT_PENDING)
		return RK_OK;
	e->recipients[pick->recipient].state = RECIPIENT_RELEASED;
	rows_pending_key(key, e->nda_id, pick->env_id, org);
	if ((rc = env_del(apply_w(a), T_PENDING, BYTES_OF(key))) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	if ((rc = apply_batch_add(a, QUOTA_PENDING, org, e->sender_org, -(int64_t)e->bulk)) != RK_OK)
		return rc;
	return rows_put_envelope(apply_w(a), pick->env_id, e);
}

/* The fetching organisation's mailbox, and each sender's once. */
static size_t pickup_boxes(const struct member *m, const struct pick *picks, size_t n,
			   struct stream_id boxes[NDA_PARTIES_MAX])
{
	size_t count = 0;

	boxes[count++] = stream_mailbox(m->device.org_id);
	for (size_t i = 0; i < n; i++) {
		struct stream_id box = stream_mailbox(picks[i].envelope.sender_org);
		size_t j = 0;

		while (j < count && memcmp(boxes[j].b, box.b, STREAM_ID_BYTES) != 0)
			j++;
		if (!picks[i].is_new || j < count)
			continue;
		assert(count < NDA_PARTIES_MAX); /* all are parties of one agreement */
		boxes[count++] = box;
	}
	return count;
}

int apply_release_pickup(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__Pickup *p = (const Rk__Pickup *)c->signed_object.message;
	struct stream_entry e = {
	    .kind = RK__ENTRY_KIND__ENTRY_PICKUP, .flags = STREAM_LOGGED, .object = c->signed_object.wire};
	struct stream_id boxes[NDA_PARTIES_MAX];
	struct nda_row nda;
	struct pick *picks;
	bool any = false;
	int rc;

	if (!p || c->signed_object.kind != OBJECT_KIND_PICKUP || p->n_env_ids == 0)
		return RK_MALFORMED;
	if (!(picks = apply_batch_alloc(a, p->n_env_ids * sizeof(*picks))))
		return RK_ENOMEM;
	if ((rc = check_pickup(a, c, m, p, &nda, picks)) != RK_OK)
		return rc;
	for (size_t i = 0; i < p->n_env_ids; i++)
		any |= picks[i].is_new;
	if (!any)
		return RK_OK; /* nothing new is released: nothing to prove */

	if ((rc = apply_batch_log(a, RK__LOG_TYPE__LOG_PICKUP, c->object_oh, &r->log_index)) != RK_OK)
		return rc;
	r->logged = true;
	e.log_index = r->log_index;
	for (size_t i = 0; i < p->n_env_ids; i++)
		if (picks[i].is_new && (rc = release(a, m, &picks[i], r->log_index)) != RK_OK)
			return rc;
	return apply_batch_entry(a, boxes, pickup_boxes(m, picks, p->n_env_ids, boxes), &e, NULL, NULL);
}

/* ---- FETCH */
static int check_release(struct apply *a, const struct member *m, const uint8_t *env_id, const struct rows_envelope *e,
			 int recipient)
{
	const uint8_t *org = m->device.org_id;
	const uint8_t *recipients[ROWS_RECIPIENTS_MAX];
	struct nda_row nda;
	struct rows_wrap wrap;
	size_t n = 0;
	int rc;

	if (recipient >= 0)
		recipients[n++] = org;
	else
		while (n < e->recipient_count) {
			recipients[n] = e->recipients[n].org_id;
			n++;
		}
	if ((rc = apply_nda_lookup(a, BYTES_OF(e->nda_id), org, &nda)) != RK_OK ||
	    (rc = apply_nda_gate(a, &nda, e->kind, e->sender_org, recipients, n, e->reply_only)) != RK_OK)
		return rc;
	if (recipient < 0)
		return RK_OK; /* the sender's own devices need no Pickup */
	rc = rows_get_wrap(a->txn, env_id, m->device_id, &wrap);
	if (rc != RK_OK && rc != RK_ENOTFOUND)
		return rc;
	return rc == RK_OK && wrap.released ? RK_OK : RK_NOT_PERMITTED;
}

static int copy_bulk(struct apply *a, const struct rows_envelope *row, struct result *r)
{
	struct stream_entry e;
	size_t len;
	uint8_t *b;
	int rc = stream_read(a->txn, row->position, true, &e);

	/* A record that does not prove itself is refused, and the broker lives on (HAZARDS L3). */
	if (rc != RK_OK && env_error(a->txn) == RK_OK)
		return RK_UNKNOWN_OBJECT;
	if (rc != RK_OK)
		return rc;
	len = e.wraps.len + e.body.len;
	if (a->fetched_bytes + len > APPLY_FETCH_BYTES_MAX)
		return RK_BUSY;
	if (!(b = apply_batch_alloc(a, len)))
		return RK_BUSY;
	a->fetched_bytes += len;
	if (e.wraps.len > 0)
		memcpy(b, e.wraps.data, e.wraps.len);
	if (e.body.len > 0)
		memcpy(b + e.wraps.len, e.body.data, e.body.len);
	r->frames[0] = bytes_make(b, e.wraps.len);
	r->frames[1] = bytes_make(b + e.wraps.len, e.body.len);
	r->frame_count = 2;
	r->is_fetch = true;
	return RK_OK;
}

int apply_release_fetch(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__Fetch *f = c->req->fetch;
	struct rows_envelope e;
	int rc, recipient;

	if (!f || f->env_id.len != 32)
		return RK_MALFORMED;
	if ((rc = rows_get_envelope(a->txn, f->env_id.data, &e)) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_UNKNOWN_OBJECT : rc;
	recipient = rows_recipient_index(&e, m->device.org_id);
	if (recipient < 0 && memcmp(e.sender_org, m->device.org_id, 16) != 0)
		return RK_UNKNOWN_OBJECT;
	if (f->part != 0)
		return RK_UNKNOWN_OBJECT;
	if (f->blob == 0 ? f->offset != 0 || f->len != 0 : f->len == 0)
		return RK_MALFORMED;
	if (is_gated(&e) && (rc = check_release(a, m, f->env_id.data, &e, recipient)) != RK_OK)
		return rc;
	if (a->now_ms >= e.expires_at)
		return RK_ENVELOPE_EXPIRED;
	if (e.bulk == 0)
		return RK_UNKNOWN_OBJECT;
	return f->blob != 0 ? apply_blob_fetch(a, c, r) : copy_bulk(a, &e, r);
}
