/* What became of it: pickups and refusals, which are signed, and returns, which are the broker's word. */
#include "client/agreement.h"
#include "client/evidence.h"
#include "client/log.h"
#include "client/mail_internal.h"
#include "proto/strict.h"
#include "proto/trust.h"

/* Which of those that it was sent to the return names first; NULL if none. */
static const uint8_t *who_returned(const Rk__Returned *returned, const Rkl__EnvelopeRecord *record)
{
	for (size_t i = 0; returned->n_orgs > 0 && i < record->n_recipients; i++)
		if (bytes_equal(bytes_of(record->recipients[i]), bytes_of(returned->orgs[0])))
			return record->recipients[i].data;
	return NULL;
}

/* A list of marks with room for one more at its end, and that one, of `size` bytes; NULL without memory. */
static void *longer(struct arena *a, const void *list, size_t n, size_t size, void **mark)
{
	uint8_t *grown;

	arena_raise(a, size + (n + 1) * sizeof(void *) + 64);
	*mark = arena_alloc(a, size);
	grown = arena_alloc(a, (n + 1) * sizeof(void *));
	if (*mark == NULL || grown == NULL)
		return NULL;
	if (n > 0)
		memcpy(grown, list, n * sizeof(void *));
	memcpy(grown + n * sizeof(void *), mark, sizeof(void *));
	return grown;
}

/* ---- returns */

static bool has_declined(const Rkl__EnvelopeRecord *record, const uint8_t *org)
{
	for (size_t i = 0; i < record->n_nacks; i++)
		if (org != NULL && record->nacks[i]->reason == RK__NACK_REASON__NACK_DECLINED &&
		    bytes_equal(bytes_of(record->nacks[i]->org_id), bytes_make(org, 16)))
			return true;
	return false;
}

static int mark_returned(Rkl__EnvelopeRecord *record, const Rk__Returned *returned, ProtobufCBinaryData org, int64_t time_ms,
                         struct arena *a)
{
	void *room, *list;
	Rkl__ReturnMark *mark;

	for (size_t i = 0; i < record->n_returns; i++)
		if (bytes_equal(bytes_of(record->returns[i]->org_id), bytes_of(org)))
			return RK_OK;
	if ((list = longer(a, record->returns, record->n_returns, sizeof(*mark), &room)) == NULL)
		return RK_ENOMEM;
	mark = room;
	rkl__return_mark__init(mark);
	mark->org_id = org;
	mark->time_ms = time_ms;
	mark->reason = returned->reason;
	record->returns = list;
	record->n_returns++;
	return RK_OK;
}

static int mark_all_returned(Rkl__EnvelopeRecord *record, const Rk__Returned *returned, int64_t time_ms, struct arena *a)
{
	int r = RK_OK;

	for (size_t i = 0; i < record->n_recipients && r == RK_OK; i++)
		for (size_t j = 0; j < returned->n_orgs && r == RK_OK; j++)
			if (bytes_equal(bytes_of(record->recipients[i]), bytes_of(returned->orgs[j])))
				r = mark_returned(record, returned, record->recipients[i], time_ms, a);
	return r;
}

int mail_on_returned(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(MAIL_ARENA);
	Rkl__EnvelopeRecord *record;
	Rk__Returned *returned;
	const uint8_t *org;
	int r;

	(void)c;
	if (a == NULL)
		return RK_ENOMEM;
	if (STRICT_PARSE(returned, d->object, a, &returned) != RK_OK ||
	    mail_load(t, returned->env_id.data, a, &record) != RK_OK || !record->outgoing) {
		client_count(t, "returned-unknown");
		r = env_error(t);
		goto out;
	}
	record->return_reason = returned->reason;
	if (record->n_pickups == 0)
		record->state = RKL__ENVELOPE_STATE__RETURNED_HERE;
	org = who_returned(returned, record);
	r = mark_all_returned(record, returned, d->time_ms, a);
	if (r != RK_OK || (r = mail_store(t, record)) != RK_OK)
		goto out;
	/* The recipient's own word was told already; the broker's adds nothing to it. */
	if (returned->reason != RK__RETURN_REASON__RETURN_DECLINED || !has_declined(record, org))
		r = inbox_add(t, RKL__INBOX_KIND__INBOX_RETURNED, bytes_of(record->env_id), org, d->time_ms,
		              mail_return_name(returned->reason));
out:
	arena_free(a);
	return r;
}

/* ---- pickups and refusals */

/* The organisation, among those of the envelope, whose device signed; NULL if none did. */
static const uint8_t *find_signer(struct client *c, struct txn *t, const struct object *o, ProtobufCBinaryData device_id,
                                  const Rkl__EnvelopeRecord *record, int64_t time_ms, struct arena *a)
{
	for (size_t i = 0; i < record->n_recipients; i++) {
		const uint8_t *org = record->recipients[i].data;
		Rk__Device *device;

		if (book_device(c, t, device_id.data, org, a, &device) == RK_OK && trust_device_is_active(device, time_ms) &&
		    object_check(o, client_exchange_id(c), device->sign_pk.data) == RK_OK)
			return org;
	}
	return NULL;
}

static Rkl__PickupMark *find_pickup(const Rkl__EnvelopeRecord *record, struct bytes device_id)
{
	for (size_t i = 0; i < record->n_pickups; i++)
		if (bytes_equal(bytes_of(record->pickups[i]->device_id), device_id))
			return record->pickups[i];
	return NULL;
}

static Rkl__NackMark *find_nack(const Rkl__EnvelopeRecord *record, struct bytes device_id)
{
	for (size_t i = 0; i < record->n_nacks; i++)
		if (bytes_equal(bytes_of(record->nacks[i]->device_id), device_id))
			return record->nacks[i];
	return NULL;
}

bool mail_has_pickup(const Rkl__EnvelopeRecord *record, struct bytes device_id)
{
	return find_pickup(record, device_id) != NULL;
}

bool mail_has_nack(const Rkl__EnvelopeRecord *record, struct bytes device_id)
{
	return find_nack(record, device_id) != NULL;
}

/* The entry, where there was only the reply: these are the fields of a mark. */
static bool overwrites(const struct mail_mark *what, protobuf_c_boolean *by_reply, int64_t *time_ms, uint64_t *log_index)
{
	if (!*by_reply || what->by_reply)
		return false;
	*by_reply = false;
	*time_ms = what->time_ms;
	*log_index = what->log_index;
	return true;
}

int mail_mark_pickup(struct txn *t, Rkl__EnvelopeRecord *record, const struct mail_mark *what, struct arena *a)
{
	void *room, *list;
	Rkl__PickupMark *mark;
	int r;

	if ((mark = find_pickup(record, bytes_make(what->device_id, 16))) != NULL)
		return overwrites(what, &mark->by_reply, &mark->time_ms, &mark->log_index) ? mail_store(t, record) : RK_OK;
	if ((list = longer(a, record->pickups, record->n_pickups, sizeof(*mark), &room)) == NULL)
		return RK_ENOMEM;
	mark = room;
	rkl__pickup_mark__init(mark);
	mark->org_id = pb_of(bytes_make(what->org_id, 16));
	mark->device_id = pb_of(bytes_make(what->device_id, 16));
	mark->time_ms = what->time_ms;
	mark->log_index = what->log_index;
	mark->by_reply = what->by_reply;
	record->pickups = list;
	record->n_pickups++;
	if (record->state == RKL__ENVELOPE_STATE__LODGED)
		record->state = RKL__ENVELOPE_STATE__PICKED_UP;
	if ((r = mail_store(t, record)) != RK_OK || !record->outgoing)
		return r;
	return inbox_add(t, RKL__INBOX_KIND__INBOX_PICKED_UP, bytes_of(record->env_id), what->org_id, what->time_ms, "");
}

int mail_mark_nack(struct txn *t, Rkl__EnvelopeRecord *record, const struct mail_mark *what, Rk__NackReason reason, struct arena *a)
{
	void *room, *list;
	Rkl__NackMark *mark;
	int r;

	if ((mark = find_nack(record, bytes_make(what->device_id, 16))) != NULL)
		return overwrites(what, &mark->by_reply, &mark->time_ms, &mark->log_index) ? mail_store(t, record) : RK_OK;
	if ((list = longer(a, record->nacks, record->n_nacks, sizeof(*mark), &room)) == NULL)
		return RK_ENOMEM;
	mark = room;
	rkl__nack_mark__init(mark);
	mark->org_id = pb_of(bytes_make(what->org_id, 16));
	mark->device_id = pb_of(bytes_make(what->device_id, 16));
	mark->time_ms = what->time_ms;
	mark->log_index = what->log_index;
	mark->by_reply = what->by_reply;
	mark->reason = reason;
	record->nacks = list;
	record->n_nacks++;
	if ((r = mail_store(t, record)) != RK_OK || !record->outgoing)
		return r;
	return inbox_add(t, RKL__INBOX_KIND__INBOX_REFUSED, bytes_of(record->env_id), what->org_id, what->time_ms,
	                 mail_nack_name(reason));
}

/* One envelope of a pickup: by whom, and was it their right at that place of the log?  *seen: what the signer saw of it is taken in. */
static int take_pickup(struct client *c, struct txn *t, const struct object *o, const Rk__Pickup *p, const uint8_t *env_id,
                       const struct delivery *d, struct arena *a, bool *seen)
{
	Rkl__EnvelopeRecord *record;
	struct agreement *ag;
	uint8_t nda_set[32];
	const uint8_t *org;
	int r;

	if ((r = mail_load(t, env_id, a, &record)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if (!bytes_equal(bytes_of(record->nda_id), bytes_of(p->nda_id)) || (org = find_signer(c, t, o, p->device_id, record, d->time_ms, a)) == NULL) {
		client_count(t, "pickup-unproven");
		return env_error(t);
	}
	if (!*seen && memcmp(org, client_org_id(c), 16) != 0 && (r = log_on_seen(c, t, bytes_of(p->seen_checkpoint), org)) != RK_OK)
		return r;
	*seen = true;
	if ((r = agreement_load(c, t, p->nda_id.data, false, a, &ag)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	agreement_set_before(ag, d->log_index, nda_set);
	if (memcmp(nda_set, p->nda_set.data, 32) != 0) {
		client_count(t, "pickup-stale-nda");
		r = inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, bytes_make(env_id, 32), org, d->time_ms, errcode_name(RK_STALE_NDA));
		if (r != RK_OK)
			return r;
	}
	r = mail_mark_pickup(t, record, &(struct mail_mark){org, p->device_id.data, d->time_ms, d->log_index, false}, a);
	return r == RK_OK ? evidence_on_pickup(c, t, env_id, d->object, d->log_index) : r;
}

int mail_on_pickup(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(MAIL_ARENA);
	const Rk__Pickup *p;
	struct object o;
	bool seen = false;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if (!d->logged || object_parse(OBJECT_KIND_PICKUP, d->object, a, &o) != RK_OK) {
		client_count(t, "pickup-unproven");
		r = env_error(t);
		goto out;
	}
	p = (const Rk__Pickup *)(const void *)o.message;
	r = RK_OK;
	for (size_t i = 0; i < p->n_env_ids && r == RK_OK; i++)
		r = take_pickup(c, t, &o, p, p->env_ids[i].data, d, a, &seen);
out:
	arena_free(a);
	return r;
}

static int take_nack(struct client *c, struct txn *t, const struct object *o, const struct delivery *d, struct arena *a)
{
	const Rk__Nack *n = (const Rk__Nack *)(const void *)o->message;
	Rkl__EnvelopeRecord *record;
	const uint8_t *org;
	int r;

	if ((r = mail_load(t, n->env_id.data, a, &record)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if (n->reason == RK__NACK_REASON__NACK_NONE || !bytes_equal(bytes_of(record->nda_id), bytes_of(n->nda_id)) ||
	    (org = find_signer(c, t, o, n->device_id, record, d->time_ms, a)) == NULL) {
		client_count(t, "nack-unproven");
		return env_error(t);
	}
	r = mail_mark_nack(t, record, &(struct mail_mark){org, n->device_id.data, d->time_ms, d->log_index, false}, n->reason, a);
	return r == RK_OK ? evidence_on_nack(c, t, record->env_id.data, d->object, d->log_index) : r;
}

int mail_on_nack(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(MAIL_ARENA);
	struct object o;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if (!d->logged || object_parse(OBJECT_KIND_NACK, d->object, a, &o) != RK_OK) {
		client_count(t, "nack-unproven");
		r = env_error(t);
	} else {
		r = take_nack(c, t, &o, d, a);
	}
	arena_free(a);
	return r;
}

/* ---- questions */

static bool is_of(ProtobufCBinaryData org, const uint8_t *org_id)
{
	return bytes_equal(bytes_of(org), bytes_make(org_id, 16));
}

/* What is known for certain outweighs what another device of the same organisation could not do. */
static enum mail_outcome outcome_of(const Rkl__EnvelopeRecord *record, const struct mail_fate *f, bool any_kept)
{
	if (any_kept)
		return MAIL_PICKED_UP;
	if (f->nack != NULL)
		return f->nack->reason == RK__NACK_REASON__NACK_DECLINED ? MAIL_DECLINED : MAIL_REFUSED;
	/* Records of the first release name no organisation with a return. */
	if (f->returned != NULL || (record->n_returns == 0 && record->state == RKL__ENVELOPE_STATE__RETURNED_HERE))
		return MAIL_RETURNED;
	return MAIL_LODGED;
}

void mail_fate(const Rkl__EnvelopeRecord *record, const uint8_t org_id[16], struct mail_fate *out)
{
	bool any_kept = false;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < record->n_pickups; i++) {
		const Rkl__PickupMark *mark = record->pickups[i];

		if (!is_of(mark->org_id, org_id))
			continue;
		any_kept |= !mail_has_nack(record, bytes_of(mark->device_id));
		if (out->pickup == NULL)
			out->pickup = mark;
	}
	for (size_t i = 0; i < record->n_nacks; i++)
		if (out->nack == NULL && is_of(record->nacks[i]->org_id, org_id))
			out->nack = record->nacks[i];
	for (size_t i = 0; i < record->n_returns; i++)
		if (is_of(record->returns[i]->org_id, org_id))
			out->returned = record->returns[i];
	out->outcome = outcome_of(record, out, any_kept);
}

enum mail_outcome mail_outcome(const Rkl__EnvelopeRecord *record)
{
	/* The first of these that is true of anybody. */
	static const enum mail_outcome order[] = {MAIL_PICKED_UP, MAIL_REFUSED, MAIL_LODGED, MAIL_DECLINED, MAIL_RETURNED};
	bool found[MAIL_OUTCOME_COUNT] = {false};

	for (size_t i = 0; i < record->n_recipients; i++) {
		struct mail_fate f;

		mail_fate(record, record->recipients[i].data, &f);
		found[f.outcome] = true;
	}
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (found[order[i]])
			return order[i];
	return MAIL_LODGED;
}
