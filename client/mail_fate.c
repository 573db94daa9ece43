/* What became of it: pickups, which are signed, and returns, which are the broker's word. */
#include "client/agreement.h"
#include "client/evidence.h"
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

int mail_on_returned(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(MAIL_ARENA);
	Rkl__EnvelopeRecord *record;
	Rk__Returned *returned;
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
	if ((r = mail_store(t, record)) == RK_OK)
		r = inbox_add(t, RKL__INBOX_KIND__INBOX_RETURNED, bytes_of(record->env_id),
		              who_returned(returned, record), d->time_ms, mail_return_name(returned->reason));
out:
	arena_free(a);
	return r;
}

/* The organisation, among those of the envelope, whose device signed; NULL if none did. */
static const uint8_t *find_signer(struct client *c, struct txn *t, const struct object *o, const Rk__Pickup *p,
                                  const Rkl__EnvelopeRecord *record, int64_t time_ms, struct arena *a)
{
	for (size_t i = 0; i < record->n_recipients; i++) {
		const uint8_t *org = record->recipients[i].data;
		Rk__Device *device;

		if (book_device(c, t, p->device_id.data, org, a, &device) == RK_OK && trust_device_is_active(device, time_ms) &&
		    object_check(o, client_exchange_id(c), device->sign_pk.data) == RK_OK)
			return org;
	}
	return NULL;
}

static int mark_picked_up(struct client *c, struct txn *t, Rkl__EnvelopeRecord *record, const Rk__Pickup *p, const uint8_t *org,
                          const struct delivery *d, struct arena *a)
{
	Rkl__PickupMark *mark, **marks;
	int r;

	for (size_t i = 0; i < record->n_pickups; i++)
		if (bytes_equal(bytes_of(record->pickups[i]->device_id), bytes_of(p->device_id)))
			return RK_OK;
	arena_raise(a, sizeof(*mark) + (record->n_pickups + 1) * sizeof(*marks) + 64);
	mark = arena_alloc(a, sizeof(*mark));
	marks = arena_alloc(a, (record->n_pickups + 1) * sizeof(*marks));
	if (mark == NULL || marks == NULL)
		return RK_ENOMEM;
	rkl__pickup_mark__init(mark);
	mark->org_id = pb_of(bytes_make(org, 16));
	mark->device_id = p->device_id;
	mark->time_ms = d->time_ms;
	mark->log_index = d->log_index;
	if (record->n_pickups > 0)
		memcpy(marks, record->pickups, record->n_pickups * sizeof(*marks));
	marks[record->n_pickups++] = mark;
	record->pickups = marks;
	if (record->state == RKL__ENVELOPE_STATE__LODGED)
		record->state = RKL__ENVELOPE_STATE__PICKED_UP;
	if ((r = mail_store(t, record)) != RK_OK ||
	    (r = evidence_on_pickup(c, t, record->env_id.data, d->object, d->log_index)) != RK_OK || !record->outgoing)
		return r;
	return inbox_add(t, RKL__INBOX_KIND__INBOX_PICKED_UP, bytes_of(record->env_id), org, d->time_ms, "");
}

/* One envelope of a pickup: by whom, and was it their right at that place of the log? */
static int take_pickup(struct client *c, struct txn *t, const struct object *o, const Rk__Pickup *p, const uint8_t *env_id,
                       const struct delivery *d, struct arena *a)
{
	Rkl__EnvelopeRecord *record;
	struct agreement *ag;
	uint8_t nda_set[32];
	const uint8_t *org;
	int r;

	if ((r = mail_load(t, env_id, a, &record)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if (!bytes_equal(bytes_of(record->nda_id), bytes_of(p->nda_id)) || (org = find_signer(c, t, o, p, record, d->time_ms, a)) == NULL) {
		client_count(t, "pickup-unproven");
		return env_error(t);
	}
	if ((r = agreement_load(c, t, p->nda_id.data, false, a, &ag)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	agreement_set_before(ag, d->log_index, nda_set);
	if (memcmp(nda_set, p->nda_set.data, 32) != 0) {
		client_count(t, "pickup-stale-nda");
		r = inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, bytes_make(env_id, 32), org, d->time_ms, errcode_name(RK_STALE_NDA));
		if (r != RK_OK)
			return r;
	}
	return mark_picked_up(c, t, record, p, org, d, a);
}

int mail_on_pickup(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(MAIL_ARENA);
	const Rk__Pickup *p;
	struct object o;
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
		r = take_pickup(c, t, &o, p, p->env_ids[i].data, d, a);
out:
	arena_free(a);
	return r;
}
