/*
 * What holds between the parts of a receipt: one log, its order, who was who, and the same predicate that let the broker pass the
 * disclosure and each pickup, asked again over the acts with lower index.  CRYPTO 2.9, 2.10 ("Order rule"), 2.11.
 */
#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/receipt_internal.h"
#include "proto/strict.h"
#include "proto/trust.h"

/* ---- devices */

static const Rk__OrgDevices *list_at(struct receipt_work *w, size_t i)
{
	return (const Rk__OrgDevices *)receipt_item_at(w, RECEIPT_PART_DEVICES, i)->message;
}

/* The newest list of an organisation that was logged before `index`, or NULL. */
static struct receipt_item *find_list(struct receipt_work *w, const uint8_t *org_id, uint64_t index)
{
	struct receipt_item *newest = NULL;

	for (size_t i = 0; i < w->count[RECEIPT_PART_DEVICES]; i++) {
		struct receipt_item *item = receipt_item_at(w, RECEIPT_PART_DEVICES, i);

		if (memcmp(list_at(w, i)->org_id.data, org_id, 16) != 0 || item->event.index >= index)
			continue;
		if (newest == NULL || item->event.index > newest->event.index)
			newest = item;
	}
	return newest;
}

/* The directory pins the newest list that stood when it was made: after it, an older one no longer counts. */
static bool is_list_current(struct receipt_work *w, const struct receipt_item *item, uint64_t index)
{
	const Rk__OrgDevices *list = (const Rk__OrgDevices *)item->message;
	const Rk__Org *org = trust_find_org(w->out->directory, list->org_id.data);
	const struct receipt_item *directory = receipt_item_at(w, RECEIPT_PART_DIRECTORY, 0);

	return org && (index < directory->event.index || list->serial >= org->min_devices_serial);
}

const Rk__Device *receipt_find_device(struct receipt_work *w, const uint8_t *org_id, const uint8_t *device_id,
                                      const struct receipt_event *event)
{
	struct receipt_item *item = find_list(w, org_id, event->index);
	const Rk__Device *device;

	if (!item || !is_list_current(w, item, event->index))
		return NULL;
	device = trust_find_device((const Rk__OrgDevices *)item->message, device_id);
	if (!device || !trust_device_is_active(device, event->time_ms))
		return NULL;
	item->is_needed = true;
	return device;
}

const Rk__Device *receipt_find_recipient_device(struct receipt_work *w, const uint8_t *device_id, const struct receipt_event *event,
                                                const uint8_t **org_id)
{
	for (size_t i = 0; i < w->count[RECEIPT_PART_DEVICES]; i++) {
		const uint8_t *org = list_at(w, i)->org_id.data;
		const Rk__Device *device = NULL;

		if (w->out->sender_org && memcmp(org, w->out->sender_org, 16) != 0)
			device = receipt_find_device(w, org, device_id, event);
		if (device) {
			*org_id = org;
			return device;
		}
	}
	return NULL;
}

/* ---- one log */

static int check_pair(const struct receipt_item *x, const struct receipt_item *y)
{
	bool is_same_tree = x->checkpoint.size == y->checkpoint.size;

	if (is_same_tree && memcmp(x->checkpoint.root, y->checkpoint.root, 32) != 0)
		return RK_EFORKED;
	if (x->event.index == y->event.index)
		return RK_DUPLICATE;
	if (x->event.index < y->event.index)
		return x->event.time_ms <= y->event.time_ms ? RK_OK : RK_CLOCK;
	return x->event.time_ms >= y->event.time_ms ? RK_OK : RK_CLOCK;
}

static int check_one_log(const struct receipt_work *w, size_t i)
{
	int r = RK_OK;

	for (size_t j = 0; j < i && r == RK_OK; j++)
		r = check_pair(&w->items[j], &w->items[i]);
	return r;
}

int receipt_check_log(struct receipt_work *w)
{
	int r;

	for (size_t i = 0; i < w->item_count; i++) {
		const struct receipt_item *item = &w->items[i];
		const struct receipt_event *e = &item->event;

		if ((r = receipt_noted(w, RECEIPT_LOG, item->name, check_one_log(w, i))) != RK_OK)
			return r;
		if (e->witness_ms == 0)
			continue;
		r = e->time_ms - ENVELOPE_CLOCK_MS <= e->witness_ms ? RK_OK : RK_CLOCK;
		if ((r = receipt_noted(w, RECEIPT_WITNESS, item->name, r)) != RK_OK)
			return r;
	}
	return RK_OK;
}

/* ---- order */

static int before(const struct receipt_item *x, const struct receipt_item *y)
{
	return x->event.index < y->event.index ? RK_OK : RK_OUT_OF_ORDER;
}

static int check_before(struct receipt_work *w, const struct receipt_item *x, const struct receipt_item *y)
{
	return receipt_noted(w, RECEIPT_ORDER, x->name, before(x, y));
}

/* Each of a part before the next one of it. */
static int check_ascending(struct receipt_work *w, enum receipt_part part, size_t first)
{
	int r = RK_OK;

	for (size_t i = first; i < w->count[part] && r == RK_OK; i++)
		r = check_before(w, receipt_item_at(w, part, i - 1), receipt_item_at(w, part, i));
	return r;
}

/*
 * The charter may stand anywhere: it counts by the root's word, not by its place.  A renewed one says when each of its keys was in force;
 * and the log that goes on after a restore is named by one that is younger than most of what it holds.
 */
static int check_chain(struct receipt_work *w, const struct receipt_item *last)
{
	int r = check_before(w, receipt_item_at(w, RECEIPT_PART_DIRECTORY, 0), last);

	/* The sender's list stands first, whenever it was made. */
	return r == RK_OK ? check_ascending(w, RECEIPT_PART_DEVICES, 2) : r;
}

static int check_order(struct receipt_work *w)
{
	const struct receipt_item *envelope = receipt_item_at(w, RECEIPT_PART_ENVELOPE, 0), *last = envelope;
	size_t acts = w->count[RECEIPT_PART_ACT];
	int r;

	if ((r = check_chain(w, envelope)) != RK_OK)
		return r;
	if ((r = check_before(w, receipt_item_at(w, RECEIPT_PART_TERMS, 0), receipt_item_at(w, RECEIPT_PART_ACT, 0))) != RK_OK ||
	    (r = check_ascending(w, RECEIPT_PART_ACT, 1)) != RK_OK)
		return r;
	for (enum receipt_part part = RECEIPT_PART_PICKUP; part <= RECEIPT_PART_NACK; part++) {
		if (w->count[part] > 0 && (r = check_before(w, envelope, receipt_item_at(w, part, 0))) != RK_OK)
			return r;
		if ((r = check_ascending(w, part, 1)) != RK_OK)
			return r;
	}
	if (w->count[RECEIPT_PART_PICKUP] > 0)
		last = receipt_item_at(w, RECEIPT_PART_PICKUP, w->count[RECEIPT_PART_PICKUP] - 1);
	/* An act after the last question to the gate changes no answer. */
	return check_before(w, receipt_item_at(w, RECEIPT_PART_ACT, acts - 1), last);
}

/* ---- who was who */

static int check_active(struct receipt_work *w, const uint8_t *org_id)
{
	const Rk__Org *org = trust_find_org(w->out->directory, org_id);

	if (!org)
		return RK_UNKNOWN_RECIPIENT;
	return org->status == RK__ORG_STATUS__ACTIVE ? RK_OK : RK_REVOKED;
}

/* The list of a recipient as it stood at the disclosure; or the one that its answer rests on, which is marked already. */
static int check_recipient(struct receipt_work *w, const uint8_t *org_id)
{
	struct receipt_item *list = find_list(w, org_id, w->out->event.index);
	int r = check_active(w, org_id);

	if (r != RK_OK)
		return r;
	if (list && is_list_current(w, list, w->out->event.index)) {
		list->is_needed = true;
		return RK_OK;
	}
	for (size_t i = 0; i < w->count[RECEIPT_PART_DEVICES]; i++)
		if (memcmp(list_at(w, i)->org_id.data, org_id, 16) == 0 && receipt_item_at(w, RECEIPT_PART_DEVICES, i)->is_needed)
			return RK_OK;
	return RK_NO_RECIPIENT_KEY;
}

static int check_sender(struct receipt_work *w)
{
	bool is_first = memcmp(list_at(w, 0)->org_id.data, w->out->sender_org, 16) == 0;
	int r = check_active(w, w->out->sender_org);

	if (r == RK_OK && !(is_first && receipt_item_at(w, RECEIPT_PART_DEVICES, 0)->is_needed))
		r = RK_OUT_OF_ORDER;
	return receipt_noted(w, RECEIPT_PARTY, "orgdevices-A", r);
}

static int check_recipients(struct receipt_work *w)
{
	const Rk__EnvelopeHeader *h = w->out->header;
	/* Any other directory would tell names and standing of another time. */
	int r = h->directory_serial == w->out->directory->serial ? RK_OK : RK_STALE_DIRECTORY;

	for (size_t i = 0; i < h->n_recipients && r == RK_OK; i++)
		r = check_recipient(w, h->recipients[i]->org_id.data);
	return receipt_noted(w, RECEIPT_PARTY, "envelope", r);
}

/* ---- acts */

static int check_act(struct receipt_work *w, size_t i)
{
	const struct receipt_item *item = receipt_item_at(w, RECEIPT_PART_ACT, i);
	const Rk__NdaAct *act = (const Rk__NdaAct *)item->message;
	struct nda_act *a = &w->acts[i];
	int party = nda_party_index(&w->row, act->org_id.data);

	if (memcmp(act->nda_id.data, w->row.nda_id, 32) != 0 || party < 0)
		return RK_NO_NDA;
	a->log_index = item->event.index;
	a->time_ms = item->event.time_ms;
	ids_sha256(a->payload_sha256, item->payload);
	memcpy(a->oh, item->oh, 32);
	a->party = (uint8_t)party;
	a->kind = (uint8_t)act->kind;
	return nda_check_act(&w->row, w->acts, i, a);
}

static int check_acts(struct receipt_work *w)
{
	int r = RK_OK;

	for (size_t i = 0; i < w->count[RECEIPT_PART_ACT] && r == RK_OK; i++)
		r = receipt_noted(w, RECEIPT_ACT, receipt_item_at(w, RECEIPT_PART_ACT, i)->name, check_act(w, i));
	return r;
}

/* ---- the gate, as it stood at an index of the log */

static int ask_gate(struct receipt_work *w, const struct nda_row *row, const struct receipt_event *event,
                    const uint8_t *const *orgs, size_t n)
{
	const Rk__EnvelopeHeader *h = w->out->header;
	struct nda_question q = {
		.sender_org = h->sender_org.data, .recipients = orgs, .recipient_count = n,
		.reply_only = h->reply_only && h->thread_id.len > 0, .t_ms = event->time_ms, .active = w->active};

	if (event->time_ms >= h->expires_at)
		return RK_ENVELOPE_EXPIRED;
	if (h->kind == RK__KIND__NDA_NOTICE)
		return nda_gate_notice(row, &q);
	/* Duties do not wait for the next directory; disclosures do. */
	if (event == &w->out->event && event->time_ms >= w->out->directory->expires_at)
		return RK_DIRECTORY_EXPIRED;
	if (row->marking_required && h->marking == RK__MARKING__UNMARKED)
		return RK_UNMARKED;
	return nda_gate(row, &q);
}

/* The acts before `event`, folded; then what was signed about them, and the predicate. */
static int check_gate(struct receipt_work *w, const char *member, const struct receipt_event *event, ProtobufCBinaryData nda_set,
                      const uint8_t *const *orgs, size_t n)
{
	struct nda_row row = w->row;
	size_t acts = 0;
	int r;

	while (acts < w->count[RECEIPT_PART_ACT] && w->acts[acts].log_index < event->index)
		acts++;
	nda_fold(&row, w->acts, acts);
	r = bytes_equal(bytes_of(nda_set), BYTES_OF(row.nda_set)) ? RK_OK : RK_STALE_NDA;
	if ((r = receipt_noted(w, RECEIPT_NDA_SET, member, r)) != RK_OK)
		return r;
	return receipt_noted(w, RECEIPT_GATE, member, ask_gate(w, &row, event, orgs, n));
}

static int check_disclosure_gate(struct receipt_work *w)
{
	const struct receipt_item *item = receipt_item_at(w, RECEIPT_PART_ENVELOPE, 0);
	const Rk__EnvelopeHeader *h = w->out->header;
	const uint8_t *orgs[NDA_PARTIES_MAX];

	if (!bytes_equal(bytes_of(h->nda_id), BYTES_OF(w->row.nda_id)) || h->n_recipients > NDA_PARTIES_MAX)
		return receipt_noted(w, RECEIPT_GATE, item->name, RK_NO_NDA);
	for (size_t i = 0; i < h->n_recipients; i++)
		orgs[i] = h->recipients[i]->org_id.data;
	return check_gate(w, item->name, &w->out->event, h->nda_set, orgs, h->n_recipients);
}

/* ---- answers */

static bool is_recipient(const struct receipt_work *w, const uint8_t *org_id)
{
	const Rk__EnvelopeHeader *h = w->out->header;

	for (size_t i = 0; i < h->n_recipients; i++)
		if (memcmp(h->recipients[i]->org_id.data, org_id, 16) == 0)
			return true;
	return false;
}

static bool is_named(const struct receipt_work *w, const Rk__Pickup *p)
{
	size_t found = 0;

	for (size_t i = 0; i < p->n_env_ids; i++) {
		if (i > 0 && memcmp(p->env_ids[i - 1].data, p->env_ids[i].data, 32) >= 0)
			return false;
		found += memcmp(p->env_ids[i].data, w->out->id, 32) == 0;
	}
	return found == 1;
}

/* A device that comes a second time in one list proves nothing more. */
static bool is_device_new(const struct receipt_answer *answers, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (memcmp(answers[j].device->device_id.data, answers[i].device->device_id.data, 16) == 0)
			return false;
	return true;
}

static bool has_declined(const struct receipt *out, const struct receipt_answer *pickup)
{
	for (size_t i = 0; i < out->nack_count; i++)
		if (out->nacks[i].is_declined && out->nacks[i].event.index < pickup->event.index &&
		    memcmp(out->nacks[i].org_id, pickup->org_id, 16) == 0)
			return true;
	return false;
}

static int check_pickup(struct receipt_work *w, size_t i)
{
	const struct receipt_item *item = receipt_item_at(w, RECEIPT_PART_PICKUP, i);
	const Rk__Pickup *p = (const Rk__Pickup *)item->message;
	const struct receipt_answer *answer = &w->out->pickups[i];

	if (!is_recipient(w, answer->org_id) || !is_device_new(w->out->pickups, i))
		return RK_NOT_PERMITTED;
	if (memcmp(p->nda_id.data, w->row.nda_id, 32) != 0 || !is_named(w, p))
		return RK_UNKNOWN_OBJECT;
	return has_declined(w->out, answer) ? RK_CONFLICT : RK_OK;
}

static int check_nack(struct receipt_work *w, size_t i)
{
	const Rk__Nack *n = (const Rk__Nack *)receipt_item_at(w, RECEIPT_PART_NACK, i)->message;

	if (n->reason != RK__NACK_REASON__NACK_UNOPENED && n->reason != RK__NACK_REASON__NACK_DECLINED)
		return RK_MALFORMED;
	if (!is_recipient(w, w->out->nacks[i].org_id) || !is_device_new(w->out->nacks, i))
		return RK_NOT_PERMITTED;
	if (memcmp(n->nda_id.data, w->row.nda_id, 32) != 0 || memcmp(n->env_id.data, w->out->id, 32) != 0)
		return RK_UNKNOWN_OBJECT;
	return RK_OK;
}

static int check_answers(struct receipt_work *w)
{
	int r = RK_OK;

	for (size_t i = 0; i < w->out->pickup_count && r == RK_OK; i++) {
		const struct receipt_item *item = receipt_item_at(w, RECEIPT_PART_PICKUP, i);
		const struct receipt_answer *answer = &w->out->pickups[i];

		if ((r = receipt_noted(w, RECEIPT_PICKUP, item->name, check_pickup(w, i))) == RK_OK)
			r = check_gate(w, item->name, &answer->event, ((const Rk__Pickup *)item->message)->nda_set, &answer->org_id, 1);
	}
	for (size_t i = 0; i < w->out->nack_count && r == RK_OK; i++)
		r = receipt_noted(w, RECEIPT_NACK, receipt_item_at(w, RECEIPT_PART_NACK, i)->name, check_nack(w, i));
	return r;
}

/* ---- the whole */

static int check_needed(struct receipt_work *w)
{
	int r = RK_OK;

	for (size_t i = 0; i < w->count[RECEIPT_PART_DEVICES] && r == RK_OK; i++) {
		const struct receipt_item *item = receipt_item_at(w, RECEIPT_PART_DEVICES, i);

		r = receipt_noted(w, RECEIPT_NEEDED, item->name, item->is_needed ? RK_OK : RK_DUPLICATE);
	}
	return r;
}

int receipt_check_disclosure(struct receipt_work *w)
{
	int r;

	if ((r = check_order(w)) != RK_OK || (r = check_sender(w)) != RK_OK || (r = check_recipients(w)) != RK_OK ||
	    (r = check_acts(w)) != RK_OK || (r = check_disclosure_gate(w)) != RK_OK || (r = check_answers(w)) != RK_OK ||
	    (r = check_needed(w)) != RK_OK)
		return r;
	w->out->level = w->out->pickup_count > 0 ? RECEIPT_PICKED_UP : RECEIPT_LODGED;
	return RK_OK;
}

int receipt_check_deposit(struct receipt_work *w)
{
	int r;

	if ((r = check_chain(w, receipt_item_at(w, RECEIPT_PART_DEPOSIT, 0))) != RK_OK || (r = check_sender(w)) != RK_OK ||
	    (r = check_needed(w)) != RK_OK)
		return r;
	w->out->level = RECEIPT_LODGED;
	return RK_OK;
}
