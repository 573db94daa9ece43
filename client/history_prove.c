/*
 * What of a history can be shown to be right before it is believed: copies by their names, a head by its signature, a record by its head.
 * The file comes from another device of ours, which may be somebody else's by now.
 */
#include "client/attach.h"
#include "client/client_internal.h"
#include "client/history_internal.h"
#include "client/mail_internal.h"
#include "proto/envelope.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

/* ---- copies */

int history_prove_object(struct client *c, struct arena *a, const uint8_t id[32], struct bytes object)
{
	uint8_t name[32];
	Rk__Signed *s;

	ids_nda(name, client_exchange_id(c), object);
	if (memcmp(name, id, 32) == 0)
		return RK_OK;
	arena_raise(a, arena_budget(object.len));
	if (STRICT_PARSE(signed, object, a, &s) != RK_OK)
		return RK_EINTEGRITY;
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		object_hash(name, (enum object_kind)kind, client_exchange_id(c), bytes_of(s->payload), bytes_of(s->sig));
		if (memcmp(name, id, 32) == 0)
			return RK_OK;
	}
	return RK_EINTEGRITY;
}

static bool are_names(const ProtobufCBinaryData *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].len != ID32_BYTES)
			return false;
	return true;
}

static bool is_name_or_none(ProtobufCBinaryData b)
{
	return b.len == 0 || b.len == ID32_BYTES;
}

/* Names of copies, each of a name's length: the receipt proves all else. */
int history_check_evidence(struct arena *a, struct bytes packed)
{
	Rkl__EvidenceRecord *r;

	arena_raise(a, arena_budget(packed.len));
	if ((r = rkl__evidence_record__unpack(arena_allocator(a), packed.len, packed.data)) == NULL)
		return RK_EINTEGRITY;
	return is_name_or_none(r->directory) && is_name_or_none(r->terms) && is_name_or_none(r->object) &&
	       are_names(r->devices, r->n_devices) && are_names(r->acts, r->n_acts) && are_names(r->pickups, r->n_pickups) &&
	       are_names(r->nacks, r->n_nacks) ? RK_OK : RK_EINTEGRITY;
}

/* ---- envelopes */

static bool are_marks(const Rkl__EnvelopeRecord *r)
{
	bool right = is_name_or_none(r->ref);

	for (size_t i = 0; i < r->n_pickups; i++)
		right &= r->pickups[i]->org_id.len == ID16_BYTES && r->pickups[i]->device_id.len == ID16_BYTES;
	for (size_t i = 0; i < r->n_nacks; i++)
		right &= r->nacks[i]->org_id.len == ID16_BYTES && r->nacks[i]->device_id.len == ID16_BYTES;
	for (size_t i = 0; i < r->n_returns; i++)
		right &= r->returns[i]->org_id.len == ID16_BYTES;
	return right;
}

static bool are_recipients(const Rkl__EnvelopeRecord *r, const Rk__EnvelopeHeader *h)
{
	if (r->n_recipients != h->n_recipients || r->n_recipient_desks > h->n_recipients)
		return false;
	for (size_t i = 0; i < h->n_recipients; i++)
		if (!bytes_equal(bytes_of(r->recipients[i]), bytes_of(h->recipients[i]->org_id)) ||
		    (i < r->n_recipient_desks ? r->recipient_desks[i] : 0) != h->recipients[i]->desk_id)
			return false;
	return true;
}

/* Is it ours, and does the record say of it what its head says? */
static bool is_record_of(struct client *c, const Rkl__EnvelopeRecord *r, const Rk__EnvelopeHeader *h)
{
	bool own = memcmp(h->sender_org.data, client_org_id(c), ID16_BYTES) == 0, to_us = own;

	for (size_t i = 0; i < h->n_recipients; i++)
		to_us |= memcmp(h->recipients[i]->org_id.data, client_org_id(c), ID16_BYTES) == 0;
	return to_us && h->kind != RK__KIND__FEED && r->kind == (uint32_t)h->kind && (h->kind == RK__KIND__INTERNAL || r->outgoing == own) &&
	       bytes_equal(bytes_of(r->sender_org), bytes_of(h->sender_org)) &&
	       bytes_equal(bytes_of(r->sender_device), bytes_of(h->sender_device)) && bytes_equal(bytes_of(r->nda_id), bytes_of(h->nda_id)) &&
	       bytes_equal(bytes_of(r->thread_id), bytes_of(h->thread_id)) && r->created_at == h->created_at &&
	       r->expires_at == h->expires_at && r->marking == (uint32_t)h->marking && r->reply_only == h->reply_only && are_recipients(r, h);
}

/* The key of a device, by the newest list of its organisation that names it: it may be struck by now.  RK_EINTEGRITY: none does. */
static int find_signer(struct txn *t, struct arena *a, const uint8_t *org_id, const uint8_t *device_id, uint8_t pk[32])
{
	struct bytes wire;
	uint64_t serial;
	uint8_t oh[32];
	int r = book_newest(t, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, org_id, &serial, oh, &wire);

	for (; r == RK_OK; r = book_older(t, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, org_id, &serial, oh, &wire)) {
		const Rk__Device *d;
		struct object o;

		arena_raise(a, arena_budget(wire.len));
		if ((r = object_parse(OBJECT_KIND_ORG_DEVICES, wire, a, &o)) != RK_OK)
			return r > 0 ? RK_ESTORE : r;
		if ((d = trust_find_device((const Rk__OrgDevices *)(const void *)o.message, device_id)) == NULL)
			continue;
		memcpy(pk, d->sign_pk.data, 32);
		return RK_OK;
	}
	return r == RK_ENOTFOUND ? RK_EINTEGRITY : r;
}

static int verify(struct client *c, struct txn *t, struct arena *a, const struct envelope *e)
{
	uint8_t pk[32];
	int r = find_signer(t, a, e->header->sender_org.data, e->header->sender_device.data, pk);

	if (r != RK_OK)
		return r;
	return envelope_verify(e, client_exchange_id(c), pk) == RK_OK ? RK_OK : RK_EINTEGRITY;
}

int history_prove_envelope(struct client *c, struct txn *t, struct arena *a, const uint8_t id[32], const Rkl__EnvelopeRecord *record)
{
	const uint8_t *exchange_id = client_exchange_id(c);
	uint8_t name[32];
	struct envelope e;

	if (envelope_parse(bytes_of(record->head), a, &e) != RK_OK || envelope_check_rules(e.header, exchange_id) != RK_OK)
		return RK_EINTEGRITY;
	envelope_id(name, &e, exchange_id);
	if (memcmp(name, id, 32) != 0 || !bytes_equal(bytes_of(record->env_id), BYTES_OF(name)))
		return RK_EINTEGRITY;
	envelope_oh(name, &e, exchange_id);
	if (!bytes_equal(bytes_of(record->oh), BYTES_OF(name)) || !is_record_of(c, record, e.header) || !are_marks(record))
		return RK_EINTEGRITY;
	return verify(c, t, a, &e);
}

int history_check_message(struct arena *a, const Rkl__EnvelopeRecord *head_of, const Rkl__EnvelopeRecord *told, struct bytes packed)
{
	struct envelope e;
	Rk__Message *m;

	if (!is_name_or_none(told->ref) || envelope_parse(bytes_of(head_of->head), a, &e) != RK_OK)
		return RK_EINTEGRITY;
	arena_raise(a, arena_budget(packed.len));
	switch (message_read(packed, a, &m)) {
	case MESSAGE_OK:
		/* What a device has sent itself it need not have opened: then its record does not say. */
		return (told->message_type == 0 || told->message_type == (uint32_t)m->type) &&
		       (m->dossier == NULL || attach_check(e.header, m) == RK_OK) ? RK_OK : RK_EINTEGRITY;
	case MESSAGE_NEWER:
		return told->state == RKL__ENVELOPE_STATE__NEWER ? RK_OK : RK_EINTEGRITY;
	default:
		return RK_EINTEGRITY;
	}
}

/* ---- deposits */

int history_prove_deposit(struct client *c, struct txn *t, struct arena *a, const uint8_t id[32], struct bytes wire, const uint8_t commit[32])
{
	const Rk__Deposit *d;
	uint8_t oh[32], pk[32];
	struct object o;
	int r;

	if (object_parse(OBJECT_KIND_DEPOSIT, wire, a, &o) != RK_OK)
		return RK_EINTEGRITY;
	d = (const Rk__Deposit *)(const void *)o.message;
	object_oh(oh, &o, client_exchange_id(c));
	if (memcmp(oh, id, 32) != 0 || !bytes_equal(bytes_of(d->commit), bytes_make(commit, 32)) ||
	    !bytes_equal(bytes_of(d->org_id), bytes_make(client_org_id(c), ID16_BYTES)))
		return RK_EINTEGRITY;
	if ((r = find_signer(t, a, d->org_id.data, d->device_id.data, pk)) != RK_OK)
		return r;
	return object_check(&o, client_exchange_id(c), pk) == RK_OK ? RK_OK : RK_EINTEGRITY;
}
