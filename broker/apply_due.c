/*
 * What happens at a time: agreements end, envelopes and posts expire, devices retire.  Each is a row of T_DUE; the
 * earliest first, a bounded number in a batch.  No right depends on it: the gates judge by the time themselves; here
 * mail goes back and bytes are freed.
 */
#include "broker/apply_internal.h"

#include <assert.h>

#define RETURNED_BYTES_MAX 512

/* ---- returning what was not released */
static int put_returned(struct apply *a, const uint8_t env_id[32], const struct rows_envelope *e,
			Rk__ReturnReason reason, const uint8_t *const *orgs, size_t n)
{
	Rk__Returned msg = RK__RETURNED__INIT;
	ProtobufCBinaryData ids[ROWS_RECIPIENTS_MAX];
	struct stream_id box = stream_mailbox(e->sender_org);
	struct stream_entry entry = {.kind = RK__ENTRY_KIND__ENTRY_RETURNED};
	uint8_t packed[RETURNED_BYTES_MAX];

	for (size_t i = 0; i < n; i++)
		ids[i] = pb_of(bytes_make(orgs[i], 16));
	msg.env_id = pb_of(bytes_make(env_id, 32));
	msg.reason = reason;
	msg.n_orgs = n;
	msg.orgs = ids;
	assert(rk__returned__get_packed_size(&msg) <= sizeof(packed));
	entry.object = bytes_make(packed, rk__returned__pack(&msg, packed));
	return apply_batch_entry(a, &box, 1, &entry, NULL, NULL);
}

/* With it go its attachments: nobody could learn from elsewhere how to open them. */
static int drop_bulk(struct apply *a, const uint8_t env_id[32], struct rows_envelope *e)
{
	int rc;

	if (e->bulk == 0)
		return RK_OK;
	if ((rc = apply_blob_drop_attached(a, env_id)) != RK_OK || (rc = apply_batch_drop_bulk(a, e->position)) != RK_OK ||
	    (rc = apply_batch_add(a, QUOTA_STORED, e->sender_org, NULL, -(int64_t)e->bulk)) != RK_OK)
		return rc;
	e->bulk = 0;
	return RK_OK;
}

/* Takes one recipient's claim away. */
static int drop_pending(struct apply *a, const uint8_t env_id[32], const struct rows_envelope *e,
			const uint8_t org_id[16])
{
	uint8_t key[ROWS_PENDING_KEY_BYTES];
	struct bytes value;
	uint32_t bytes;
	uint8_t kind;
	int rc;

	rows_pending_key(key, e->nda_id, env_id, org_id);
	rc = env_get(a->txn, T_PENDING, BYTES_OF(key), &value);
	if (rc != RK_OK || !rows_read_pending(value, &bytes, &kind))
		return rc != RK_OK && rc != RK_ENOTFOUND ? rc : RK_ESTORE;
	if ((rc = env_del(apply_w(a), T_PENDING, BYTES_OF(key))) != RK_OK)
		return rc;
	return apply_batch_add(a, QUOTA_PENDING, org_id, e->sender_org, -(int64_t)bytes);
}

int apply_due_return(struct apply *a, const uint8_t env_id[32], Rk__ReturnReason reason, const uint8_t *org)
{
	const uint8_t *orgs[ROWS_RECIPIENTS_MAX];
	struct rows_envelope e;
	size_t n = 0;
	bool is_wanted = false;
	int rc = rows_get_envelope(a->txn, env_id, &e);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	for (unsigned i = 0; i < e.recipient_count; i++) {
		uint8_t *id = e.recipients[i].org_id;

		if (e.recipients[i].state == RECIPIENT_PENDING && (!org || memcmp(id, org, 16) == 0)) {
			if ((rc = drop_pending(a, env_id, &e, id)) != RK_OK)
				return rc;
			e.recipients[i].state = RECIPIENT_RETURNED;
			orgs[n++] = id;
		}
		is_wanted |= e.recipients[i].state != RECIPIENT_RETURNED;
	}
	/* When the agreement has ended or the time is over, nobody may fetch it any more, released or not. */
	if ((!org || !is_wanted) && (rc = drop_bulk(a, env_id, &e)) != RK_OK)
		return rc;
	if ((rc = rows_put_envelope(apply_w(a), env_id, &e)) != RK_OK || n == 0)
		return rc;
	return put_returned(a, env_id, &e, reason, orgs, n);
}

/*
 * The next claim at or after `from` that fits: of this agreement and kind, or of this organisation.  Copies its key,
 * since what follows writes.
 */
struct claim {
	const uint8_t *nda_id;  /* NULL: any */
	uint8_t kind;           /* with nda_id */
	const uint8_t *org_id;  /* NULL: any */
	uint8_t key[ROWS_PENDING_KEY_BYTES];
};

static bool does_fit(const struct claim *c, struct bytes key, struct bytes value)
{
	uint32_t bytes;
	uint8_t kind;

	if (!rows_read_pending(value, &bytes, &kind))
		return false;
	if (c->nda_id)
		return kind == c->kind;
	/* Only what is gated goes back: other kinds were delivered whole. */
	return (kind == RK__KIND__NDA || kind == RK__KIND__NDA_NOTICE) && memcmp(key.data + 64, c->org_id, 16) == 0;
}

static int next_claim(struct apply *a, struct claim *c)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int rc;

	if ((rc = env_cursor_open(a->txn, T_PENDING, &cursor)) != RK_OK)
		return rc;
	rc = env_cursor_seek(cursor, BYTES_OF(c->key), &key, &value);
	while (rc == RK_OK) {
		if (key.len != ROWS_PENDING_KEY_BYTES) {
			rc = RK_ESTORE;
			break;
		}
		if (c->nda_id && memcmp(key.data, c->nda_id, 32) != 0) {
			rc = RK_ENOTFOUND;
			break;
		}
		if (does_fit(c, key, value)) {
			memcpy(c->key, key.data, sizeof(c->key));
			break;
		}
		rc = env_cursor_next(cursor, &key, &value);
	}
	env_cursor_free(cursor);
	return rc;
}

static int return_claims(struct apply *a, struct claim *c, Rk__ReturnReason reason, unsigned limit, unsigned *done,
			 bool *left)
{
	int rc;

	*left = false;
	while ((rc = next_claim(a, c)) == RK_OK) {
		uint8_t env_id[32];

		if (*done >= limit) {
			*left = true;
			return RK_OK;
		}
		memcpy(env_id, c->key + 32, 32);
		if ((rc = apply_due_return(a, env_id, reason, c->org_id)) != RK_OK)
			return rc;
		(*done)++;
	}
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

int apply_due_return_nda(struct apply *a, const uint8_t nda_id[32], bool notices, unsigned limit, unsigned *done,
			 bool *left)
{
	struct claim c = {.nda_id = nda_id, .kind = notices ? RK__KIND__NDA_NOTICE : RK__KIND__NDA};

	memcpy(c.key, nda_id, 32);
	return return_claims(a, &c, RK__RETURN_REASON__RETURN_NDA_ENDED, limit, done, left);
}

int apply_due_return_org(struct apply *a, const uint8_t org_id[16], unsigned limit, unsigned *done, bool *left)
{
	struct claim c = {.org_id = org_id};

	return return_claims(a, &c, RK__RETURN_REASON__RETURN_RECIPIENT_LEFT, limit, done, left);
}

static int64_t window_end(const struct nda_row *nda)
{
	int64_t end = nda_end_ms(nda), sum;

	return __builtin_add_overflow(end, (int64_t)nda->notice_window_days * NDA_DAY_MS, &sum) ? INT64_MAX : sum;
}

/* The end of an agreement, when it is now: what waits goes back, a little at once and the rest in later batches. */
int apply_due_end_nda(struct apply *a, const struct nda_row *nda)
{
	unsigned done = 0;
	bool left = false;
	int rc = apply_due_return_nda(a, nda->nda_id, false, APPLY_RETURNS_AT_ONCE, &done, &left);

	if (rc == RK_OK && !left)
		rc = apply_blob_drop_nda(a, nda, APPLY_RETURNS_AT_ONCE, &done, &left);
	if (rc != RK_OK)
		return rc;
	if (left)
		return rows_put_due(apply_w(a), nda_end_ms(nda), DUE_NDA_END, nda->nda_id, 32);
	return rows_put_due(apply_w(a), window_end(nda), DUE_NOTICE_END, nda->nda_id, 32);
}

/* ---- one function a type.  *left: there is more to do; the row stays. */
static int nda_end(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	struct nda_row nda;
	int rc = rows_get_nda(a->txn, due->id, &nda);

	if (rc != RK_OK)
		return rc;
	if ((rc = apply_due_return_nda(a, due->id, false, limit, done, left)) != RK_OK || *left ||
	    (rc = apply_blob_drop_nda(a, &nda, limit, done, left)) != RK_OK || *left)
		return rc;
	return rows_put_due(apply_w(a), window_end(&nda), DUE_NOTICE_END, due->id, 32);
}

static int notice_end(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	return apply_due_return_nda(a, due->id, true, limit, done, left);
}

static int org_left(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	return apply_due_return_org(a, due->id, limit, done, left);
}

static int nda_lapse(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	struct nda_row nda;
	size_t n;
	int rc = rows_get_nda(a->txn, due->id, &nda);

	(void)limit, (void)done, (void)left;
	if (rc == RK_OK)
		rc = rows_get_acts(a->txn, due->id, a->acts, &n);
	if (rc != RK_OK || n == 0 || a->acts[0].party >= nda.party_count)
		return rc;
	return apply_batch_add(a, QUOTA_UNSIGNED, nda.parties[a->acts[0].party].org_id, NULL, -1);
}

static int envelope_expires(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	struct rows_envelope e;
	int rc = rows_get_envelope(a->txn, due->id, &e);

	(void)limit, (void)done, (void)left;
	if (rc != RK_OK)
		return rc;
	if (e.kind == RK__KIND__NDA || e.kind == RK__KIND__NDA_NOTICE) {
		rc = apply_due_return(a, due->id, RK__RETURN_REASON__RETURN_EXPIRED, NULL);
	} else {
		for (unsigned i = 0; i < e.recipient_count && rc == RK_OK; i++)
			rc = drop_pending(a, due->id, &e, e.recipients[i].org_id);
		if (rc == RK_OK && (rc = drop_bulk(a, due->id, &e)) == RK_OK)
			rc = rows_put_envelope(apply_w(a), due->id, &e);
	}
	/* The id is remembered a while longer, against replays. */
	return rc != RK_OK ? rc
			   : rows_put_due(apply_w(a), due->time_ms + APPLY_FORGET_MS, DUE_ENVELOPE_FORGET, due->id, 32);
}

static int envelope_forget(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	struct env_cursor *c = NULL;
	struct bytes key, value;
	int rc;

	(void)limit, (void)done, (void)left;
	if ((rc = env_cursor_open(apply_w(a), T_WRAP, &c)) != RK_OK)
		return rc;
	rc = env_cursor_seek(c, bytes_make(due->id, 32), &key, &value);
	while (rc == RK_OK && key.len == 48 && memcmp(key.data, due->id, 32) == 0)
		if ((rc = env_cursor_del(c)) == RK_OK)
			rc = env_cursor_next(c, &key, &value);
	env_cursor_free(c);
	if (rc != RK_OK && rc != RK_ENOTFOUND)
		return rc;
	return env_del(apply_w(a), T_ENVELOPE, bytes_make(due->id, 32));
}

static int post_expires(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	(void)limit, (void)done, (void)left;
	return apply_post_expires(a, due->id[0], get_u64be(due->id + 1));
}

static int invite_expires(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	struct roster_change change = {.kind = ROSTER_DROP_INVITE};

	(void)limit, (void)done, (void)left;
	memcpy(change.invite.invite_id, due->id, 16);
	return apply_batch_change(a, &change);
}

/* The row was all there was: from now on the clock refuses that deposit. */
static int deposit_forget(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	(void)a, (void)due, (void)limit, (void)done, (void)left;
	return RK_OK;
}

static int blob_orphan(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	(void)limit, (void)done, (void)left;
	return apply_blob_orphan(a, due->id, due->time_ms);
}

static int device_retires(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	struct rows_device d;
	int rc = rows_get_device(a->txn, due->id, &d);

	(void)limit, (void)done, (void)left;
	if (rc != RK_OK)
		return rc;
	if ((rc = stream_cursor_drop_device(apply_w(a), due->id)) != RK_OK || (rc = apply_batch_cut(a, due->id)) != RK_OK)
		return rc;
	return apply_load_changed_device(a, due->id, &d, true);
}

static const struct {
	int (*run)(struct apply *, const struct rows_due *, unsigned limit, unsigned *done, bool *left);
	size_t id_len;
} due_rules[] = {
	[DUE_DEVICE_RETIRES] = {device_retires, 16},
	[DUE_ORG_LEFT] = {org_left, 16},
	[DUE_NDA_END] = {nda_end, 32},
	[DUE_NOTICE_END] = {notice_end, 32},
	[DUE_NDA_LAPSE] = {nda_lapse, 32},
	[DUE_ENVELOPE_EXPIRES] = {envelope_expires, 32},
	[DUE_ENVELOPE_FORGET] = {envelope_forget, 32},
	[DUE_POST_EXPIRES] = {post_expires, 9},
	[DUE_INVITE_EXPIRES] = {invite_expires, 16},
	[DUE_DEPOSIT_FORGET] = {deposit_forget, 32},
	[DUE_BLOB_ORPHAN] = {blob_orphan, 32},
};

/* The earliest row: *left when it is not finished within the limit. */
static int run_one(struct apply *a, const struct rows_due *due, unsigned limit, unsigned *done, bool *left)
{
	unsigned before = *done;
	int rc;

	if (due->type >= sizeof(due_rules) / sizeof(due_rules[0]) || !due_rules[due->type].run ||
	    due->id_len != due_rules[due->type].id_len)
		return RK_ESTORE;
	*left = false;
	rc = due_rules[due->type].run(a, due, limit, done, left);
	/* The thing is gone: nothing is left to be done about it. */
	if (rc == RK_ENOTFOUND)
		rc = RK_OK;
	if (rc != RK_OK || *left)
		return rc;
	if (*done == before)
		(*done)++;
	return rows_del_due(apply_w(a), due->time_ms, due->type, due->id, due->id_len);
}

unsigned apply_due(struct apply *a, unsigned limit)
{
	struct rows_due due;
	unsigned done = 0;
	bool left = false;
	int rc = RK_OK;

	assert(a->in_batch);
	/* Of an older store nothing is returned, dropped or forgotten: its operator may still have the newer one. */
	if (a->fork.log != 0)
		return 0;
	while (a->failed == RK_OK && a->has_exchange && done < limit && !left) {
		rc = rows_first_due(a->txn, &due);
		if (rc == RK_ENOTFOUND || (rc == RK_OK && due.time_ms > a->now_ms))
			break;
		a->is_saving = false;
		if (rc == RK_OK)
			rc = run_one(a, &due, limit, &done, &left);
		if (rc != RK_OK)
			a->failed = rc;
	}
	return done;
}
