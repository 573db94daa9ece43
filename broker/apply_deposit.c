/*
 * DEPOSIT: an organisation has the hash of something logged, so that it can show later what it had before.  The commitment is salted
 * and of no use to anybody else, so only its own mailbox gets the entry.  CRYPTO 2.11.
 */
#include "broker/apply_internal.h"

#include "proto/ids.h"

/*
 * One payload makes one leaf.  Its time must be near the batch's, so it is enough to remember it until the clock refuses it: the
 * deadline's row is that memory, and nothing stays.
 */
static int64_t forget_at(const Rk__Deposit *d)
{
	return d->time + APPLY_CLOCK_MS + 1;
}

static int check_deposit(struct apply *a, const struct command *c, const struct member *m, const Rk__Deposit *d,
			 const uint8_t payload_sha256[32], uint64_t *today)
{
	int rc;

	if (memcmp(d->org_id.data, m->device.org_id, 16) != 0 || memcmp(d->device_id.data, m->device_id, 16) != 0)
		return RK_NOT_PERMITTED;
	if (memcmp(c->object_pk, m->device.sign_pk, 32) != 0)
		return RK_BAD_SIGNATURE;
	if ((rc = apply_check_clock(a, d->time)) != RK_OK)
		return rc;
	/* Before quota and room: who has lost the reply and makes a new request of it learns that it is there. */
	if (rows_has_due(a->txn, forget_at(d), DUE_DEPOSIT_FORGET, payload_sha256, 32))
		return RK_DUPLICATE;
	if ((rc = apply_check_room(a, MARK_SOFT)) != RK_OK ||
	    (rc = apply_check_stored(a, m->device.org_id, c->signed_object.wire.len)) != RK_OK ||
	    (rc = apply_batch_day_count(a, QUOTA_DEPOSIT_DAY, m->device.org_id, NULL, today)) != RK_OK)
		return rc;
	return *today >= APPLY_DEPOSITS_PER_DAY ? RK_QUOTA : RK_OK;
}

int apply_deposit(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__Deposit *d = (const Rk__Deposit *)c->signed_object.message;
	struct stream_entry e = {
	    .kind = RK__ENTRY_KIND__ENTRY_DEPOSIT, .flags = STREAM_LOGGED, .object = c->signed_object.wire};
	struct stream_id box = stream_mailbox(m->device.org_id);
	uint8_t payload_sha256[32];
	uint64_t today;
	int rc;

	if (!d || c->signed_object.kind != OBJECT_KIND_DEPOSIT)
		return RK_MALFORMED;
	ids_sha256(payload_sha256, c->signed_object.payload);
	if ((rc = check_deposit(a, c, m, d, payload_sha256, &today)) != RK_OK)
		return rc;

	if ((rc = rows_put_due(apply_w(a), forget_at(d), DUE_DEPOSIT_FORGET, payload_sha256, 32)) != RK_OK ||
	    (rc = apply_batch_put_day_count(a, QUOTA_DEPOSIT_DAY, m->device.org_id, NULL, today + 1)) != RK_OK ||
	    (rc = apply_batch_add(a, QUOTA_STORED, m->device.org_id, NULL, (int64_t)c->signed_object.wire.len)) != RK_OK ||
	    (rc = apply_batch_log(a, RK__LOG_TYPE__LOG_DEPOSIT, c->object_oh, &r->log_index)) != RK_OK)
		return rc;
	r->logged = true;
	e.log_index = r->log_index;
	return apply_batch_entry(a, &box, 1, &e, NULL, NULL);
}
