/*
 * Agreements: proposing, accepting, and every later act; and the one place where the broker asks the gate
 * (proto/nda.h), with the parties' state of the write transaction.  CRYPTO 2.9; the predicate itself is nda_gate,
 * shared with the client.
 */
#include "broker/apply_internal.h"

#include <assert.h>

#include "proto/ids.h"

/* Is the key that the terms name the organisation's own of now, or one that leads to it by its owner's word? */
static int counts_as(struct apply *a, const uint8_t org_id[16], const struct rows_org *org, const uint8_t fp[32], bool *counts)
{
	struct rows_line line;
	int rc;

	*counts = memcmp(org->key_fp, fp, 32) == 0;
	if (*counts)
		return RK_OK;
	if ((rc = rows_get_line(a->txn, org_id, &line)) != RK_OK)
		return rc;
	for (size_t i = 0; i < line.count; i++)
		*counts |= memcmp(line.fp[i], fp, 32) == 0;
	return RK_OK;
}

/* Bit i: party i is ACTIVE, and the key that the terms name still counts as its own. */
static int active_parties(struct apply *a, const struct nda_row *nda, uint16_t *active)
{
	*active = 0;
	for (int i = 0; i < nda->party_count; i++) {
		const struct nda_party *p = &nda->parties[i];
		struct rows_org org;
		bool counts = false;
		int rc = rows_get_org(a->txn, p->org_id, &org);

		if (rc == RK_OK && org.status == ORG_ACTIVE)
			rc = counts_as(a, p->org_id, &org, p->org_key_fp, &counts);
		if (rc != RK_OK && rc != RK_ENOTFOUND)
			return rc;
		if (counts)
			*active = (uint16_t)(*active | 1u << i);
	}
	return RK_OK;
}

int apply_nda_gate(struct apply *a, const struct nda_row *nda, Rk__Kind kind, const uint8_t *sender,
		   const uint8_t *const *recipients, size_t n, bool reply_only)
{
	struct nda_question q = {
	    .sender_org = sender,
	    .recipients = recipients,
	    .recipient_count = n,
	    .reply_only = reply_only,
	    .t_ms = a->now_ms,
	};
	int rc = active_parties(a, nda, &q.active);

	if (rc != RK_OK)
		return rc;
	return kind == RK__KIND__NDA_NOTICE ? nda_gate_notice(nda, &q) : nda_gate(nda, &q);
}

/* An agreement that is not there and one that the asker is no party of answer alike. */
int apply_nda_lookup(struct apply *a, struct bytes nda_id, const uint8_t org_id[16], struct nda_row *nda)
{
	int rc;

	if (nda_id.len != 32)
		return RK_NO_NDA;
	rc = rows_get_nda(a->txn, nda_id.data, nda);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_NO_NDA : rc;
	return nda_party_index(nda, org_id) >= 0 ? RK_OK : RK_NO_NDA;
}

/* ---- checks */
/* A signer's clock may be 10 minutes ahead and an act may have waited 7 days for its sending. */
static int check_signed_at(const struct apply *a, int64_t signed_at)
{
	if (signed_at > a->now_ms + APPLY_CLOCK_MS || signed_at < a->now_ms - APPLY_ACT_AGE_MS)
		return RK_CLOCK;
	return RK_OK;
}

/* Who signed: the organisation by its key of now; a HOLD any of its devices in force. */
static int check_act_signer(struct apply *a, const struct command *c, const struct member *m, const Rk__NdaAct *act)
{
	struct rows_device d;
	int rc;

	if (memcmp(act->org_id.data, m->device.org_id, 16) != 0)
		return RK_NOT_PERMITTED;
	if ((act->kind == RK__ACT_KIND__HOLD) != (c->signed_object.kind == OBJECT_KIND_NDA_HOLD))
		return RK_MALFORMED;
	if (act->kind != RK__ACT_KIND__HOLD)
		return memcmp(c->object_pk, m->org.org_pk, 32) == 0 ? RK_OK : RK_BAD_SIGNATURE;
	rc = rows_get_device(a->txn, act->device_id.data, &d);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_NOT_PERMITTED : rc;
	if (memcmp(d.org_id, m->device.org_id, 16) != 0 || !apply_device_is_active(&d, a->now_ms))
		return RK_NOT_PERMITTED;
	return memcmp(c->object_pk, d.sign_pk, 32) == 0 ? RK_OK : RK_BAD_SIGNATURE;
}

static const Rk__NdaAct *act_of(const struct command *c)
{
	if (c->signed_object.kind != OBJECT_KIND_NDA_ACT && c->signed_object.kind != OBJECT_KIND_NDA_HOLD)
		return NULL;
	return (const Rk__NdaAct *)c->signed_object.message;
}

/* The envelope that rides with a proposal or an ACCEPT: of this agreement, to all other parties and nobody else. */
static int check_party_envelope(const struct command *c, const struct member *m, const struct nda_row *nda)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	size_t found = 0;

	if (h->kind != RK__KIND__PROPOSAL || h->nda_id.len != 32 || memcmp(h->nda_id.data, nda->nda_id, 32) != 0 ||
	    h->nda_set.len != 0)
		return RK_MALFORMED;
	for (int i = 0; i < nda->party_count; i++) {
		if (memcmp(nda->parties[i].org_id, m->device.org_id, 16) == 0)
			continue;
		/* Both lists are sorted. */
		if (found >= h->n_recipients ||
		    memcmp(h->recipients[found]->org_id.data, nda->parties[i].org_id, 16) != 0)
			return RK_MALFORMED;
		found++;
	}
	return found == h->n_recipients ? RK_OK : RK_MALFORMED;
}

/* ---- writing */
static struct nda_act new_act(const struct apply *a, const struct command *c, const Rk__NdaAct *act, int party)
{
	struct nda_act out = {
	    .time_ms = a->now_ms, .log_index = a->edge.size, .party = (uint8_t)party, .kind = (uint8_t)act->kind};

	ids_sha256(out.payload_sha256, c->signed_object.payload);
	memcpy(out.oh, c->object_oh, 32);
	return out;
}

static size_t party_boxes(const struct nda_row *nda, struct stream_id boxes[NDA_PARTIES_MAX])
{
	for (int i = 0; i < nda->party_count; i++)
		boxes[i] = stream_mailbox(nda->parties[i].org_id);
	return nda->party_count;
}

/* One act: its leaf, its row, its entry in all parties' mailboxes, and the agreement's row folded anew. */
static int put_act(struct apply *a, const struct command *c, struct nda_row *nda, struct nda_act *act, size_t n_before,
                   struct result *r)
{
	struct stream_id boxes[NDA_PARTIES_MAX];
	struct stream_entry e = {
	    .kind = RK__ENTRY_KIND__ENTRY_NDA_ACT, .flags = STREAM_LOGGED, .object = c->signed_object.wire};
	size_t n = party_boxes(nda, boxes);
	int rc;

	if ((rc = apply_batch_log(a, RK__LOG_TYPE__LOG_NDA_ACT, act->oh, &act->log_index)) != RK_OK)
		return rc;
	e.log_index = act->log_index;
	a->acts[n_before] = *act;
	nda_fold(nda, a->acts, n_before + 1);
	r->logged = true;
	r->log_index = act->log_index;
	if ((rc = rows_put_act(apply_w(a), nda->nda_id, act, c->signed_object.wire)) != RK_OK ||
	    (rc = rows_put_nda(apply_w(a), nda)) != RK_OK)
		return rc;
	return apply_batch_entry(a, boxes, n, &e, NULL, NULL);
}

/* A proposal stops counting against its proposer when all have accepted, one has refused, or it lapses. */
static int settle_proposal(struct apply *a, const struct nda_row *nda)
{
	const uint8_t *proposer = nda->parties[a->acts[0].party].org_id;
	int rc = rows_del_due(apply_w(a), nda->accept_by, DUE_NDA_LAPSE, nda->nda_id, 32);

	return rc != RK_OK ? rc : apply_batch_add(a, QUOTA_UNSIGNED, proposer, NULL, -1);
}

/* What follows from an act for deadlines and waiting mail; before = the row without it. */
static int follow_act(struct apply *a, const struct nda_row *before, const struct nda_row *nda)
{
	bool was_open = !before->complete_at && !before->declined_at && !before->withdrawn_at;
	bool is_open = !nda->complete_at && !nda->declined_at && !nda->withdrawn_at;
	int64_t end = nda_end_ms(nda);
	int rc;

	if (was_open && !is_open && (rc = settle_proposal(a, nda)) != RK_OK)
		return rc;
	if (!before->complete_at && nda->complete_at)
		return rows_put_due(apply_w(a), end, DUE_NDA_END, nda->nda_id, 32);
	if (!nda->complete_at || end == nda_end_ms(before))
		return RK_OK;
	/* A termination has brought the end forward. */
	if ((rc = rows_del_due(apply_w(a), nda_end_ms(before), DUE_NDA_END, nda->nda_id, 32)) != RK_OK)
		return rc;
	if (end > a->now_ms)
		return rows_put_due(apply_w(a), end, DUE_NDA_END, nda->nda_id, 32);
	return apply_due_end_nda(a, nda);
}

/* ---- NDA_PROPOSE */
/* Every party is a member now, bound by a key that counts as its own; else the proposer's directory is not ours. */
static int check_parties(struct apply *a, const struct nda_row *nda)
{
	for (int i = 0; i < nda->party_count; i++) {
		const struct nda_party *p = &nda->parties[i];
		struct rows_org org;
		bool counts = false;
		int rc = rows_get_org(a->txn, p->org_id, &org);

		if (rc != RK_OK && rc != RK_ENOTFOUND)
			return rc;
		if (rc == RK_ENOTFOUND || org.status != ORG_ACTIVE)
			return RK_UNKNOWN_RECIPIENT;
		if ((rc = counts_as(a, p->org_id, &org, p->org_key_fp, &counts)) != RK_OK)
			return rc;
		if (!counts)
			return RK_STALE_DIRECTORY;
	}
	return RK_OK;
}

static int check_terms(struct apply *a, const struct command *c, const struct member *m, struct nda_row *nda)
{
	uint64_t unsigned_count;
	int rc;

	if ((rc = nda_check_terms(c->terms, a->exchange_id)) != RK_OK)
		return rc;
	nda_row_init(nda, c->nda_id, c->terms);
	if (nda_party_index(nda, m->device.org_id) < 0)
		return RK_NOT_PERMITTED;
	if (env_has(a->txn, T_NDA, bytes_make(c->nda_id, 32)))
		return RK_DUPLICATE;
	if (a->now_ms >= nda->not_after)
		return RK_NDA_EXPIRED;
	if ((rc = check_parties(a, nda)) != RK_OK ||
	    (rc = rows_get_quota(a->txn, QUOTA_UNSIGNED, m->device.org_id, NULL, &unsigned_count)) != RK_OK)
		return rc;
	return unsigned_count >= a->limits.unsigned_ndas_per_org ? RK_QUOTA : RK_OK;
}

static int check_proposal(struct apply *a, const struct command *c, const struct member *m, struct nda_row *nda,
			  struct nda_act *act)
{
	const Rk__NdaAct *accept = act_of(c);
	int rc;

	if (!accept || !c->terms || accept->kind != RK__ACT_KIND__ACCEPT ||
	    memcmp(accept->nda_id.data, c->nda_id, 32) != 0)
		return RK_MALFORMED;
	if ((rc = apply_submit_check_head(a, c, m)) != RK_OK || (rc = apply_check_directory(a)) != RK_OK ||
	    (rc = nda_check_act_form(accept)) != RK_OK || (rc = check_act_signer(a, c, m, accept)) != RK_OK ||
	    (rc = check_signed_at(a, accept->signed_at)) != RK_OK || (rc = check_terms(a, c, m, nda)) != RK_OK)
		return rc;
	*act = new_act(a, c, accept, nda_party_index(nda, m->device.org_id));
	if ((rc = nda_check_act(nda, a->acts, 0, act)) != RK_OK || (rc = check_party_envelope(c, m, nda)) != RK_OK)
		return rc;
	return apply_submit_check_mail(a, c, m);
}

static int put_terms(struct apply *a, const struct command *c, const struct nda_row *nda)
{
	struct stream_id boxes[NDA_PARTIES_MAX];
	struct stream_entry e = {
	    .kind = RK__ENTRY_KIND__ENTRY_NDA_TERMS, .flags = STREAM_LOGGED, .object = c->terms_bytes};
	size_t n = party_boxes(nda, boxes);
	int rc;

	if ((rc = apply_batch_log(a, RK__LOG_TYPE__LOG_NDA_TERMS, nda->nda_id, &e.log_index)) != RK_OK ||
	    (rc = env_put(apply_w(a), T_NDA_TERMS, bytes_make(nda->nda_id, 32), c->terms_bytes, ENV_NEW)) != RK_OK)
		return rc;
	return apply_batch_entry(a, boxes, n, &e, NULL, NULL);
}

int apply_nda_propose(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	struct nda_row nda;
	struct nda_act act;
	int rc;

	if ((rc = check_proposal(a, c, m, &nda, &act)) != RK_OK)
		return rc;

	if ((rc = put_terms(a, c, &nda)) != RK_OK || (rc = put_act(a, c, &nda, &act, 0, r)) != RK_OK ||
	    (rc = rows_put_due(apply_w(a), nda.accept_by, DUE_NDA_LAPSE, nda.nda_id, 32)) != RK_OK ||
	    (rc = apply_batch_add(a, QUOTA_UNSIGNED, m->device.org_id, NULL, 1)) != RK_OK)
		return rc;
	return apply_submit_store(a, c, m, false, 0);
}

/* ---- NDA_ACT */
/* Acts that end or stop, and refusals, need nothing but the agreement: neither charter, nor directory, nor room. */
static int check_circumstances(struct apply *a, const Rk__NdaAct *act)
{
	int rc;

	if (act->kind == RK__ACT_KIND__TERMINATE || act->kind == RK__ACT_KIND__HOLD)
		return RK_OK;
	if ((rc = apply_check_charter(a)) != RK_OK || act->kind != RK__ACT_KIND__ACCEPT)
		return rc;
	return (rc = apply_check_directory(a)) != RK_OK ? rc : apply_check_room(a, MARK_HARD);
}

/*
 * HOLD and RESUME may be repeated, so each party has a share of the record of its own: nobody can fill it so that another
 * could no longer hold, or terminate.  The last place of a share is for a HOLD.
 */
static int check_act_room(const struct apply *a, const struct nda_row *nda, size_t n, const struct nda_act *act)
{
	size_t share = (NDA_ACTS_MAX - 2 * NDA_PARTIES_MAX) / nda->party_count, used = 0;

	if (act->kind != RK__ACT_KIND__HOLD && act->kind != RK__ACT_KIND__RESUME)
		return RK_OK;
	for (size_t i = 0; i < n; i++)
		used += a->acts[i].party == act->party &&
			(a->acts[i].kind == RK__ACT_KIND__HOLD || a->acts[i].kind == RK__ACT_KIND__RESUME);
	used += act->kind == RK__ACT_KIND__RESUME;
	return used >= share ? RK_QUOTA : RK_OK;
}

static int check_accept(struct apply *a, const struct command *c, const struct member *m, const struct nda_row *nda,
			int party)
{
	const Rk__EnvelopeHeader *h = c->envelope.header;
	bool counts;
	int rc = counts_as(a, m->device.org_id, &m->org, nda->parties[party].org_key_fp, &counts);

	/* In force needs the ACCEPT of who was bound: by the key that the terms name, or by one that it has named. */
	if (rc != RK_OK || !counts)
		return rc != RK_OK ? rc : RK_NDA_SUSPENDED;
	if ((rc = apply_submit_check_head(a, c, m)) != RK_OK || (rc = check_party_envelope(c, m, nda)) != RK_OK)
		return rc;
	if (h->body_len > ENVELOPE_SMALL_BODY_MAX_BYTES)
		return RK_TOO_LARGE;
	return apply_submit_check_mail(a, c, m);
}

static int check_act(struct apply *a, const struct command *c, const struct member *m, struct nda_row *nda, size_t *n,
                     struct nda_act *out)
{
	const Rk__NdaAct *act = act_of(c);
	int rc, party;

	if (!act)
		return RK_MALFORMED;
	if ((rc = nda_check_act_form(act)) != RK_OK || (rc = check_act_signer(a, c, m, act)) != RK_OK ||
	    (rc = apply_nda_lookup(a, bytes_of(act->nda_id), m->device.org_id, nda)) != RK_OK ||
	    (rc = check_circumstances(a, act)) != RK_OK || (rc = check_signed_at(a, act->signed_at)) != RK_OK ||
	    (rc = rows_get_acts(a->txn, nda->nda_id, a->acts, n)) != RK_OK)
		return rc;
	party = nda_party_index(nda, m->device.org_id);
	*out = new_act(a, c, act, party);
	if ((rc = nda_check_act(nda, a->acts, *n, out)) != RK_OK || (rc = check_act_room(a, nda, *n, out)) != RK_OK)
		return rc;
	if (act->kind == RK__ACT_KIND__ACCEPT)
		return check_accept(a, c, m, nda, party);
	return c->req->head ? RK_MALFORMED : RK_OK;
}

int apply_nda_act(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	struct nda_row nda, before;
	struct nda_act act;
	size_t n = 0;
	int rc;

	if ((rc = check_act(a, c, m, &nda, &n, &act)) != RK_OK)
		return rc;

	before = nda;
	if ((rc = put_act(a, c, &nda, &act, n, r)) != RK_OK)
		return rc;
	if (act.kind == RK__ACT_KIND__ACCEPT && (rc = apply_submit_store(a, c, m, false, 0)) != RK_OK)
		return rc;
	return follow_act(a, &before, &nda);
}
