/*
 * Attachments: BLOB_OPEN, BLOB_PUT, what an envelope may name, and what becomes of them.  Their bytes stand in files that only the blobs
 * thread touches; here are their rows, the gate and the quotas.  What that thread found comes with the command, and a file that no row
 * wants any more is an effect.  CRYPTO 2.7, 2.11; store/DESIGN.md, "Attachments".
 */
#include "broker/apply_internal.h"

/* ---- the gate of who sends */
/*
 * May this organisation disclose to at least one other party now?  Recipients are not known yet: SUBMIT asks for each.  Of the answers for
 * the others a state says more than a direction.
 */
static int check_sender(struct apply *a, const uint8_t nda_id[32], const uint8_t org_id[16])
{
	struct nda_row nda;
	int answer = RK_DIRECTION, rc = apply_nda_lookup(a, bytes_make(nda_id, 32), org_id, &nda);

	if (rc != RK_OK)
		return rc;
	for (int i = 0; i < nda.party_count; i++) {
		const uint8_t *other = nda.parties[i].org_id;

		if (memcmp(other, org_id, 16) == 0)
			continue;
		rc = apply_nda_gate(a, &nda, RK__KIND__NDA, org_id, &other, 1, false);
		if (rc <= RK_OK)
			return rc;
		if (rc != RK_DIRECTION)
			answer = rc;
	}
	return answer;
}

/* ---- BLOB_OPEN */
static bool is_same(const struct rows_blob *row, const Rk__BlobOpen *open, const struct member *m)
{
	return memcmp(row->org_id, m->device.org_id, 16) == 0 && memcmp(row->nda_id, open->nda_id.data, 32) == 0 &&
	       row->len == open->len && row->state < BLOB_ATTACHED;
}

static int count_uploads(struct apply *a, const uint8_t org_id[16], unsigned *n)
{
	uint8_t at[32];
	int rc = rows_next_upload(a->txn, org_id, NULL, at);

	for (*n = 0; rc == RK_OK && *n < APPLY_UPLOADS_MAX; (*n)++)
		rc = rows_next_upload(a->txn, org_id, at, at);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

/* What a new one takes: a place, bytes of the quota, and room on the disk that nothing else needs. */
static int check_new(struct apply *a, const Rk__BlobOpen *open, const uint8_t org_id[16])
{
	uint64_t bytes;
	unsigned uploads;
	int rc = count_uploads(a, org_id, &uploads);

	if (rc != RK_OK || (rc = rows_get_quota(a->txn, QUOTA_BLOB, org_id, NULL, &bytes)) != RK_OK)
		return rc;
	if (uploads >= APPLY_UPLOADS_MAX || bytes + open->len > a->limits.org_blob_bytes)
		return RK_QUOTA;
	if (a->room < a->limits.blob_reserve_bytes || a->room - a->limits.blob_reserve_bytes < open->len)
		return RK_STORE_FULL;
	return RK_OK;
}

static int check_open(struct apply *a, const Rk__BlobOpen *open, const struct member *m, struct rows_blob *row, bool *is_new)
{
	int rc;

	if ((rc = apply_check_directory(a)) != RK_OK ||
	    (rc = check_sender(a, open->nda_id.data, m->device.org_id)) != RK_OK ||
	    (rc = apply_check_room(a, MARK_SOFT)) != RK_OK)
		return rc;
	rc = rows_get_blob(a->txn, open->sha256.data, row);
	*is_new = rc == RK_ENOTFOUND;
	if (rc == RK_OK)
		return is_same(row, open, m) ? RK_OK : RK_CONFLICT;
	return *is_new ? check_new(a, open, m->device.org_id) : rc;
}

static int put_new(struct apply *a, const Rk__BlobOpen *open, const struct member *m, struct rows_blob *row)
{
	int rc;

	*row = (struct rows_blob){.state = BLOB_OPEN, .len = open->len};
	memcpy(row->org_id, m->device.org_id, 16);
	memcpy(row->nda_id, open->nda_id.data, 32);
	if ((rc = rows_put_upload(apply_w(a), row->org_id, open->sha256.data)) != RK_OK)
		return rc;
	return apply_batch_add(a, QUOTA_BLOB, row->org_id, NULL, (int64_t)row->len);
}

int apply_blob_open(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__BlobOpen *open = c->req->blob_open;
	struct rows_blob row;
	bool is_new;
	int rc;

	(void)r;
	if (!open || open->nda_id.len != 32 || open->sha256.len != 32)
		return RK_MALFORMED;
	if ((rc = check_open(a, open, m, &row, &is_new)) != RK_OK)
		return rc;

	if (is_new)
		rc = put_new(a, open, m, &row);
	else
		rc = rows_del_due(apply_w(a), row.opened_at + APPLY_ORPHAN_MS, DUE_BLOB_ORPHAN, open->sha256.data, 32);
	if (rc != RK_OK)
		return rc;
	row.opened_at = a->now_ms;
	if ((rc = rows_put_blob(apply_w(a), open->sha256.data, &row)) != RK_OK)
		return rc;
	return rows_put_due(apply_w(a), row.opened_at + APPLY_ORPHAN_MS, DUE_BLOB_ORPHAN, open->sha256.data, 32);
}

/* ---- BLOB_PUT */
int apply_blob_put(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__BlobPut *put = c->req->blob_put;
	struct rows_blob row;
	int rc;

	if (!put || put->sha256.len != 32)
		return RK_MALFORMED;
	rc = rows_get_blob(a->txn, put->sha256.data, &row);
	if (rc == RK_ENOTFOUND || (rc == RK_OK && (row.state == BLOB_DROPPED || memcmp(row.org_id, m->device.org_id, 16) != 0)))
		return RK_UNKNOWN_OBJECT;
	if (rc != RK_OK || (rc = check_sender(a, row.nda_id, m->device.org_id)) != RK_OK)
		return rc;
	/* The row may be younger than what was found: dropped and opened again between the two looks. */
	if (c->blob.code == RK_UNKNOWN_OBJECT || c->blob.have > row.len)
		return RK_BUSY;
	r->is_blob = true;
	if (c->blob.code != RK_OK)
		return c->blob.code;
	if (!c->blob.is_complete || c->blob.have != row.len || row.state != BLOB_OPEN)
		return RK_OK;
	row.state = BLOB_COMPLETE;
	return rows_put_blob(apply_w(a), put->sha256.data, &row);
}

/* ---- attaching */
int apply_blob_check(struct apply *a, const Rk__EnvelopeHeader *h, const uint8_t org_id[16])
{
	for (size_t i = 0; i < h->n_blobs; i++) {
		struct rows_blob row;
		int rc = rows_get_blob(a->txn, h->blobs[i]->sha256.data, &row);

		if (rc != RK_OK && rc != RK_ENOTFOUND)
			return rc;
		if (rc != RK_OK || row.state != BLOB_COMPLETE || row.len != h->blobs[i]->len ||
		    memcmp(row.org_id, org_id, 16) != 0 || memcmp(row.nda_id, h->nda_id.data, 32) != 0)
			return RK_UNKNOWN_OBJECT;
	}
	return RK_OK;
}

int apply_blob_attach(struct apply *a, const Rk__EnvelopeHeader *h, const uint8_t env_id[32])
{
	for (size_t i = 0; i < h->n_blobs; i++) {
		const uint8_t *sha256 = h->blobs[i]->sha256.data;
		struct rows_attached attached = {.len = h->blobs[i]->len};
		struct rows_blob row;
		int rc = rows_get_blob(a->txn, sha256, &row);

		if (rc != RK_OK)
			return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
		row.state = BLOB_ATTACHED;
		memcpy(row.env_id, env_id, 32);
		memcpy(attached.sha256, sha256, 32);
		if ((rc = rows_put_blob(apply_w(a), sha256, &row)) != RK_OK ||
		    (rc = rows_put_attached(apply_w(a), env_id, (uint8_t)i, &attached)) != RK_OK ||
		    (rc = rows_del_upload(apply_w(a), row.org_id, sha256)) != RK_OK ||
		    (rc = rows_del_due(apply_w(a), row.opened_at + APPLY_ORPHAN_MS, DUE_BLOB_ORPHAN, sha256, 32)) != RK_OK)
			return rc;
	}
	return RK_OK;
}

/* ---- FETCH */
int apply_blob_fetch(struct apply *a, const struct command *c, struct result *r)
{
	const Rk__Fetch *f = c->req->fetch;
	struct rows_attached attached;
	int rc = rows_get_attached(a->txn, f->env_id.data, (uint8_t)(f->blob - 1), &attached);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_UNKNOWN_OBJECT : rc;
	if (f->offset >= attached.len)
		return RK_MALFORMED;
	if (c->blob.code != RK_OK)
		return c->blob.code;
	/* When it looked there was no right to it yet (a Pickup of this very batch): it looks again. */
	if (!c->blob.is_read)
		return RK_BUSY;
	r->frames[0] = c->blob.bulk;
	r->frame_count = 1;
	r->is_fetch = true;
	r->total = attached.len;
	return RK_OK;
}

/* ---- dropping */
static int drop(struct apply *a, const uint8_t sha256[32], const struct rows_blob *row, bool is_orphan)
{
	int rc;

	if ((rc = rows_del_blob(apply_w(a), sha256)) != RK_OK ||
	    (rc = rows_del_upload(apply_w(a), row->org_id, sha256)) != RK_OK ||
	    (rc = rows_del_due(apply_w(a), row->opened_at + APPLY_ORPHAN_MS, DUE_BLOB_ORPHAN, sha256, 32)) != RK_OK ||
	    (rc = apply_batch_add(a, QUOTA_BLOB, row->org_id, NULL, -(int64_t)row->len)) != RK_OK)
		return rc;
	return apply_batch_drop_blob(a, sha256, is_orphan);
}

/*
 * Its hash and length stand in a head that its recipients have, and its file is there until the blobs thread has looked.  Were its row gone
 * already, a recipient could open an upload of that name under another agreement, find it whole, and read after the end what no end stops.
 * So the row stays for a day and lets nobody have it.
 */
static int drop_known(struct apply *a, const uint8_t sha256[32], struct rows_blob *row)
{
	int rc;

	row->state = BLOB_DROPPED;
	row->opened_at = a->now_ms;
	if ((rc = rows_put_blob(apply_w(a), sha256, row)) != RK_OK ||
	    (rc = rows_put_due(apply_w(a), a->now_ms + APPLY_ORPHAN_MS, DUE_BLOB_ORPHAN, sha256, 32)) != RK_OK ||
	    (rc = apply_batch_add(a, QUOTA_BLOB, row->org_id, NULL, -(int64_t)row->len)) != RK_OK)
		return rc;
	return apply_batch_drop_blob(a, sha256, false);
}

int apply_blob_drop_attached(struct apply *a, const uint8_t env_id[32])
{
	for (unsigned i = 0; i < ENVELOPE_BLOBS_MAX; i++) {
		struct rows_attached attached;
		struct rows_blob row;
		int rc = rows_get_attached(a->txn, env_id, (uint8_t)i, &attached);

		if (rc != RK_OK)
			return rc == RK_ENOTFOUND ? RK_OK : rc;
		if ((rc = rows_get_blob(a->txn, attached.sha256, &row)) != RK_OK)
			return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
		if ((rc = rows_del_attached(apply_w(a), env_id, (uint8_t)i)) != RK_OK ||
		    (rc = drop_known(a, attached.sha256, &row)) != RK_OK)
			return rc;
	}
	return RK_OK;
}

/* nda_id NULL: under whatever agreement. */
static int drop_uploads(struct apply *a, const uint8_t org_id[16], const uint8_t *nda_id, unsigned limit, unsigned *done, bool *left)
{
	uint8_t at[32];
	int rc = rows_next_upload(a->txn, org_id, NULL, at);

	for (; rc == RK_OK; rc = rows_next_upload(a->txn, org_id, at, at)) {
		struct rows_blob row;

		if ((rc = rows_get_blob(a->txn, at, &row)) != RK_OK)
			return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
		if (nda_id && memcmp(row.nda_id, nda_id, 32) != 0)
			continue;
		if (*done >= limit) {
			*left = true;
			return RK_OK;
		}
		if ((rc = drop(a, at, &row, false)) != RK_OK)
			return rc;
		(*done)++;
	}
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

int apply_blob_drop_org(struct apply *a, const uint8_t org_id[16])
{
	unsigned done = 0;
	bool left = false;

	return drop_uploads(a, org_id, NULL, APPLY_UPLOADS_MAX, &done, &left);
}

int apply_blob_drop_nda(struct apply *a, const struct nda_row *nda, unsigned limit, unsigned *done, bool *left)
{
	int rc = RK_OK;

	*left = false;
	for (int i = 0; i < nda->party_count && rc == RK_OK && !*left; i++)
		rc = drop_uploads(a, nda->parties[i].org_id, nda->nda_id, limit, done, left);
	return rc;
}

int apply_blob_orphan(struct apply *a, const uint8_t sha256[32], int64_t due_ms)
{
	struct rows_blob row;
	int rc = rows_get_blob(a->txn, sha256, &row);

	if (rc != RK_OK)
		return rc;
	if (row.state == BLOB_ATTACHED || row.opened_at + APPLY_ORPHAN_MS != due_ms)
		return RK_OK;
	if (row.state == BLOB_DROPPED)
		return rows_del_blob(apply_w(a), sha256);
	return drop(a, sha256, &row, true);
}
