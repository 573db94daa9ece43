/*
 * NACK: a recipient's device says of one envelope that what came does not open, or that it is not wanted.  It releases
 * nothing, so no gate is asked, and no mark refuses it: the agreement may have ended, the store be full.  Its leaves are
 * bounded by the wraps that stand, one for each.  CRYPTO 2.5, 2.8.
 */
#include "broker/apply_internal.h"

/*
 * The envelope that a Nack names, if it came to this organisation.  What is unknown, not gated, of another agreement or
 * of others answers alike: a Nack asks no questions.
 */
static int find_envelope(struct apply *a, const Rk__Nack *n, const struct member *m, struct rows_envelope *e,
			 int *recipient)
{
	int rc = rows_get_envelope(a->txn, n->env_id.data, e);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_UNKNOWN_OBJECT : rc;
	if ((e->kind != RK__KIND__NDA && e->kind != RK__KIND__NDA_NOTICE) ||
	    memcmp(e->nda_id, n->nda_id.data, 32) != 0)
		return RK_UNKNOWN_OBJECT;
	*recipient = rows_recipient_index(e, m->device.org_id);
	return *recipient >= 0 ? RK_OK : RK_UNKNOWN_OBJECT;
}

static int check_nack(struct apply *a, const struct command *c, const struct member *m, const Rk__Nack *n,
		      struct rows_envelope *e, struct rows_wrap *wrap)
{
	int rc, recipient = -1;

	if (n->reason == RK__NACK_REASON__NACK_NONE)
		return RK_MALFORMED;
	if (memcmp(n->device_id.data, m->device_id, 16) != 0)
		return RK_NOT_PERMITTED;
	if (memcmp(c->object_pk, m->device.sign_pk, 32) != 0)
		return RK_BAD_SIGNATURE;
	if ((rc = apply_check_clock(a, n->time)) != RK_OK || (rc = find_envelope(a, n, m, e, &recipient)) != RK_OK)
		return rc;
	rc = rows_get_wrap(a->txn, n->env_id.data, m->device_id, wrap);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_NO_RECIPIENT_KEY : rc;
	if (wrap->nacked)
		return RK_DUPLICATE;
	/* Waiting means that no device of this organisation has picked it up: there is still something to decline. */
	if (n->reason == RK__NACK_REASON__NACK_DECLINED && e->recipients[recipient].state != RECIPIENT_PENDING)
		return RK_CONFLICT;
	return RK_OK;
}

int apply_nack(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__Nack *n = (const Rk__Nack *)c->signed_object.message;
	struct stream_entry entry = {
	    .kind = RK__ENTRY_KIND__ENTRY_NACK, .flags = STREAM_LOGGED, .object = c->signed_object.wire};
	struct stream_id boxes[2];
	struct rows_envelope e;
	struct rows_wrap wrap;
	int rc;

	if (!n || c->signed_object.kind != OBJECT_KIND_NACK)
		return RK_MALFORMED;
	if ((rc = check_nack(a, c, m, n, &e, &wrap)) != RK_OK)
		return rc;

	wrap.nacked = true;
	if ((rc = rows_put_wrap(apply_w(a), n->env_id.data, m->device_id, &wrap)) != RK_OK ||
	    (rc = apply_batch_log(a, RK__LOG_TYPE__LOG_NACK, c->object_oh, &r->log_index)) != RK_OK)
		return rc;
	r->logged = true;
	entry.log_index = r->log_index;
	boxes[0] = stream_mailbox(m->device.org_id);
	boxes[1] = stream_mailbox(e.sender_org); /* never a recipient: the gate at accept has seen to it */
	if ((rc = apply_batch_entry(a, boxes, 2, &entry, NULL, NULL)) != RK_OK ||
	    n->reason != RK__NACK_REASON__NACK_DECLINED)
		return rc;
	return apply_due_return(a, n->env_id.data, RK__RETURN_REASON__RETURN_DECLINED, m->device.org_id);
}
