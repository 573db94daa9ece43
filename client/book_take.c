/*
 * book_take: objects enter the book only with a proven signature, by their own rules, and never backwards.
 *
 *   serial above the newest    verified, then the newest.  A step of more than one is taken too: a home that joins late, or for
 *                              which older ones are gone, cannot have the chain between; the signature and the pins still hold.
 *                              Charters make no such step, and epochs only one after a restore (trust_may_step)
 *   the same object again      nothing to do: streams are read again from the start after a restore
 *   same serial, other object  both stay: the second as evidence, and an alarm.  Somebody signed two truths
 *   serial below               refused as a rollback, unless it is one that we have, or older than all that we ever had: a home that
 *                              joined late meets those when it reads the control stream from its start
 */
#include <sodium.h>

#include "client/book_internal.h"
#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/strict.h"
#include "proto/trust.h"

static void name_object(struct taking *t)
{
	const ProtobufCMessage *m = t->o.message;

	switch (t->o.kind) {
	case OBJECT_KIND_CHARTER:
		t->serial = ((const Rk__Charter *)m)->serial;
		break;
	case OBJECT_KIND_DIRECTORY:
		t->serial = ((const Rk__Directory *)m)->serial;
		break;
	case OBJECT_KIND_ORG_DEVICES:
		t->serial = ((const Rk__OrgDevices *)m)->serial;
		t->id = ((const Rk__OrgDevices *)m)->org_id.data;
		break;
	case OBJECT_KIND_DEVICE_KX:
		t->serial = ((const Rk__DeviceKx *)m)->serial;
		t->id = ((const Rk__DeviceKx *)m)->device_id.data;
		break;
	default:
		t->serial = ((const Rk__FeedEpoch *)m)->n;
		break;
	}
}

static ProtobufCBinaryData prev_oh_of(const struct object *o)
{
	switch (o->kind) {
	case OBJECT_KIND_DIRECTORY:
		return ((const Rk__Directory *)o->message)->prev_oh;
	case OBJECT_KIND_ORG_DEVICES:
		return ((const Rk__OrgDevices *)o->message)->prev_oh;
	case OBJECT_KIND_FEED_EPOCH:
		return ((const Rk__FeedEpoch *)o->message)->prev_oh;
	default:
		return (ProtobufCBinaryData){0};
	}
}

/* ---- rules */

/* Where the chain is not whole, the object's own prev_oh is taken as its predecessor's name. */
static void step_over(struct taking *t)
{
	ProtobufCBinaryData prev_oh = prev_oh_of(&t->o);

	t->prev.serial = t->serial - 1;
	memset(t->prev.oh, 0, sizeof(t->prev.oh));
	if (prev_oh.len == sizeof(t->prev.oh))
		memcpy(t->prev.oh, prev_oh.data, prev_oh.len);
}

/* Epochs are chained: each key is taken under the commitment of its own place.  What a restored broker has lost nobody can send. */
static int check_epoch_step(struct taking *t)
{
	Rk__Charter *charter;
	Rk__FeedEpoch *newest;
	uint8_t oh[ID32_BYTES];
	int r;

	if ((r = book_charter(t->c, t->txn, t->arena, &charter)) != RK_OK ||
	    (r = book_epoch(t->c, t->txn, 0, t->arena, &newest, oh)) != RK_OK)
		return r;
	return trust_may_step(charter, newest->not_before, newest->n, t->serial) ? RK_OK : RK_CONFLICT;
}

/* A home that joins takes whichever is the newest; from then on charters are chained without exception. */
static int check_charter(struct taking *t, const Rk__Charter *next)
{
	Rk__Charter *held;
	int r = trust_check_charter(next);

	if (r != RK_OK || t->is_first)
		return r;
	if ((r = book_charter(t->c, t->txn, t->arena, &held)) != RK_OK)
		return r;
	return trust_check_charter_next(next, held);
}

static int check_rules(struct taking *t)
{
	const ProtobufCMessage *m = t->o.message;
	Rk__Directory *older = NULL;
	Rk__Charter *charter;
	int r;

	if (t->serial != t->prev.serial + 1) {
		if (t->o.kind == OBJECT_KIND_FEED_EPOCH && !t->is_first && (r = check_epoch_step(t)) != RK_OK)
			return r;
		step_over(t);
	}
	switch (t->o.kind) {
	case OBJECT_KIND_CHARTER:
		return check_charter(t, (const Rk__Charter *)m);
	case OBJECT_KIND_DIRECTORY:
		if ((r = book_charter(t->c, t->txn, t->arena, &charter)) != RK_OK)
			return r;
		r = book_directory(t->c, t->txn, t->arena, &older, NULL);
		if (r != RK_OK && r != RK_ENOTFOUND)
			return r;
		r = trust_check_directory((const Rk__Directory *)m, charter, t->prev, older);
		return r == RK_OK ? orgkey_verify((const Rk__Directory *)m, older, t->c->exchange_id) : r;
	case OBJECT_KIND_ORG_DEVICES:
		return trust_check_org_devices((const Rk__OrgDevices *)m, t->prev);
	case OBJECT_KIND_DEVICE_KX:
		return trust_check_device_kx((const Rk__DeviceKx *)m, (uint32_t)t->prev.serial);
	default:
		return trust_check_feed_epoch((const Rk__FeedEpoch *)m, t->prev);
	}
}

/* ---- keeping */

static int put_object(struct taking *t, unsigned type)
{
	uint8_t key[BOOK_KEY_BYTES], *room;
	int r;

	book_key(key, type, t->id, t->serial);
	r = env_reserve(t->txn, C_OBJECT, BYTES_OF(key), ID32_BYTES + t->o.wire.len, ENV_PUT, &room);
	if (r != RK_OK)
		return r;
	memcpy(room, t->oh, ID32_BYTES);
	memcpy(room + ID32_BYTES, t->o.wire.data, t->o.wire.len);
	return RK_OK;
}

/* By this a DeviceKx finds the list that its device stands in. */
static int index_devices(struct taking *t)
{
	const Rk__OrgDevices *list = (const Rk__OrgDevices *)t->o.message;
	int r = RK_OK;

	for (size_t i = 0; i < list->n_devices && r == RK_OK; i++) {
		uint8_t key[BOOK_KEY_BYTES];

		book_key(key, BOOK_DEVICE_ORG, list->devices[i]->device_id.data, 0);
		r = env_put(t->txn, C_OBJECT, BYTES_OF(key), bytes_of(list->org_id), ENV_PUT);
	}
	return r;
}

/* From which entry of control on an organisation is out: what names that entry or a later one was accepted after it. */
static int note_expelled(struct taking *t)
{
	const Rk__Directory *d = (const Rk__Directory *)t->o.message;
	int r = RK_OK;

	for (size_t i = 0; i < d->n_orgs && t->control_seq != 0 && r == RK_OK; i++) {
		uint8_t key[BOOK_KEY_BYTES], seq[8];

		if (d->orgs[i]->status != RK__ORG_STATUS__EXPELLED)
			continue;
		book_key(key, BOOK_EXPELLED, d->orgs[i]->org_id.data, 0);
		put_u64be(seq, t->control_seq);
		if (!env_has(t->txn, C_OBJECT, BYTES_OF(key)))
			r = env_put(t->txn, C_OBJECT, BYTES_OF(key), BYTES_OF(seq), ENV_PUT);
	}
	return r;
}

/* A device belongs to one organisation for ever: a list that names another's device is not believed. */
static int check_devices_free(struct taking *t)
{
	const Rk__OrgDevices *list = (const Rk__OrgDevices *)t->o.message;

	for (size_t i = 0; i < list->n_devices; i++) {
		uint8_t key[BOOK_KEY_BYTES];
		struct bytes value;
		int r;

		book_key(key, BOOK_DEVICE_ORG, list->devices[i]->device_id.data, 0);
		r = env_get(t->txn, C_OBJECT, BYTES_OF(key), &value);
		if (r == RK_OK && !bytes_equal(value, bytes_of(list->org_id)))
			return RK_CONFLICT;
		if (r != RK_OK && r != RK_ENOTFOUND)
			return r;
	}
	return RK_OK;
}

/* A second object of the same serial: evidence of two truths.  The first one stays the newest. */
static int keep_evidence(struct taking *t, unsigned type)
{
	uint8_t key[BOOK_KEY_BYTES];
	int r;

	book_key(key, type | BOOK_EVIDENCE, t->id, t->serial);
	if (env_has(t->txn, C_OBJECT, BYTES_OF(key)))
		return RK_CONFLICT;
	if ((r = put_object(t, type | BOOK_EVIDENCE)) != RK_OK)
		return r;
	client_count(t->txn, "two-objects");
	r = inbox_add(t->txn, RKL__INBOX_KIND__INBOX_ALERT, BYTES_OF(t->oh), NULL, t->time_ms, "two-objects");
	return r != RK_OK ? r : RK_CONFLICT;
}

/* Is it one that we have?  RK_ENOTFOUND: no object of this serial. */
static int compare_known(struct taking *t, unsigned type, bool *is_same)
{
	uint8_t key[BOOK_KEY_BYTES];
	struct bytes value;
	int r;

	book_key(key, type, t->id, t->serial);
	if ((r = env_get(t->txn, C_OBJECT, BYTES_OF(key), &value)) != RK_OK)
		return r;
	if (value.len <= ID32_BYTES)
		return RK_ESTORE;
	*is_same = memcmp(value.data, t->oh, ID32_BYTES) == 0;
	return RK_OK;
}

/* Is it from before the first object of its kind that this home took in? */
static bool is_before_us(struct taking *t, unsigned type)
{
	uint8_t from[BOOK_KEY_BYTES];
	struct env_cursor *cursor;
	struct bytes key, value;
	bool before;

	if (env_cursor_open(t->txn, C_OBJECT, &cursor) != RK_OK)
		return false;
	book_key(from, type, t->id, 0);
	before = env_cursor_seek(cursor, BYTES_OF(from), &key, &value) == RK_OK && key.len == BOOK_KEY_BYTES &&
		 memcmp(key.data, from, 1 + ID16_BYTES) == 0 && get_u64be(key.data + 1 + ID16_BYTES) > t->serial;
	env_cursor_free(cursor);
	return before;
}

/* A list that nothing can be said of any more, and that no other rests on. */
static bool is_of_the_past(struct taking *t)
{
	Rk__Org *org;

	return t->o.kind == OBJECT_KIND_ORG_DEVICES && t->is_first && book_org(t->c, t->txn, t->id, t->arena, &org) == RK_OK &&
	       t->serial <= org->min_devices_serial;
}

static int take_from(struct client *c, struct txn *txn, enum object_kind kind, struct bytes wire, int64_t time_ms,
		     uint64_t control_seq);

/* The kx keys that waited for this list. */
static int take_waiting(struct taking *t)
{
	const Rk__OrgDevices *list = (const Rk__OrgDevices *)t->o.message;
	int r = RK_OK;

	for (size_t i = 0; i < list->n_devices && r >= RK_OK; i++) {
		struct bytes wire;

		r = book_waiting_kx(t->txn, list->devices[i]->device_id.data, t->arena, &wire);
		if (r == RK_OK)
			r = take_from(t->c, t->txn, OBJECT_KIND_DEVICE_KX, wire, t->time_ms, t->control_seq);
		else if (r == RK_ENOTFOUND)
			r = RK_OK;
	}
	/* One that does not verify after all is dropped: it says nothing about the list. */
	return r > RK_OK ? RK_OK : r;
}

/* A kx key of a device that no list names yet, while the past is read. */
static bool must_wait(struct taking *t)
{
	uint8_t key[BOOK_KEY_BYTES];

	if (t->o.kind != OBJECT_KIND_DEVICE_KX || t->control_seq == 0)
		return false;
	book_key(key, BOOK_DEVICE_ORG, t->id, 0);
	return !env_has(t->txn, C_OBJECT, BYTES_OF(key));
}

/* A row that is dropped takes the posts of its device along: whoever has its key could have written them.  (What retires stays listed
 * for as long as a post can live.) */
static int forget_dropped(struct taking *t, const Rk__OrgDevices *before)
{
	const Rk__OrgDevices *list = (const Rk__OrgDevices *)t->o.message;
	int r = RK_OK;

	for (size_t i = 0; i < before->n_devices && r == RK_OK; i++)
		if (!trust_find_device(list, before->devices[i]->device_id.data))
			r = feed_on_device_dropped(t->c, t->txn, before->devices[i]->device_id.data);
	return r;
}

static int take_devices(struct taking *t, unsigned type)
{
	Rk__OrgDevices *before = NULL;
	int r;

	if ((r = check_devices_free(t)) != RK_OK)
		return r;
	if (!t->is_first && (r = book_org_devices(t->c, t->txn, t->id, t->arena, &before, NULL)) != RK_OK)
		return r;
	if ((r = put_object(t, type)) != RK_OK || (r = index_devices(t)) != RK_OK ||
	    (before != NULL && (r = forget_dropped(t, before)) != RK_OK))
		return r;
	return take_waiting(t);
}

static int take_new(struct taking *t, unsigned type)
{
	int r;

	if ((r = check_rules(t)) != RK_OK)
		return r;
	if (t->o.kind == OBJECT_KIND_ORG_DEVICES)
		return take_devices(t, type);
	if (t->o.kind == OBJECT_KIND_DIRECTORY &&
	    (r = book_note_replaced(t->c, t->txn, (const Rk__Directory *)t->o.message, t->control_seq)) != RK_OK)
		return r;
	if ((r = put_object(t, type)) != RK_OK)
		return r;
	if (t->o.kind != OBJECT_KIND_DIRECTORY || (r = note_expelled(t)) != RK_OK)
		return r;
	return secretariat_on_directory(t->txn, (const Rk__Directory *)t->o.message);
}

static int take(struct taking *t)
{
	unsigned type = (unsigned)object_info(t->o.kind)->wire_type;
	const uint8_t *exchange_id = t->c->exchange_id;
	bool is_same = false;
	struct bytes wire;
	int r;

	name_object(t);
	object_oh(t->oh, &t->o, exchange_id);
	if (t->o.kind == OBJECT_KIND_CHARTER &&
	    !bytes_equal(bytes_of(((const Rk__Charter *)t->o.message)->exchange_id), bytes_make(exchange_id, ID32_BYTES)))
		return RK_WRONG_EXCHANGE;
	r = compare_known(t, type, &is_same);
	if (r == RK_OK && is_same)
		return RK_OK;
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	if (must_wait(t))
		return book_keep_kx(t->txn, (const Rk__DeviceKx *)t->o.message, t->o.wire);
	r = book_newest(t->txn, type, t->id, &t->prev.serial, t->prev.oh, &wire);
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	t->is_first = r == RK_ENOTFOUND;
	if ((r = book_check_signature(t)) != RK_OK)
		return r == RK_BAD_SIGNATURE && is_of_the_past(t) ? RK_OK : r;
	if (t->is_first)
		memset(&t->prev, 0, sizeof(t->prev));
	if (t->serial > t->prev.serial)
		return take_new(t, type);
	r = compare_known(t, type, &is_same);
	if (r == RK_ENOTFOUND)
		return is_before_us(t, type) ? RK_OK : RK_CONFLICT;
	return r == RK_OK ? keep_evidence(t, type) : r;
}

static int take_from(struct client *c, struct txn *txn, enum object_kind kind, struct bytes wire, int64_t time_ms,
		     uint64_t control_seq)
{
	struct taking t = {.c = c, .txn = txn, .time_ms = time_ms, .control_seq = control_seq};
	int r;

	if (!object_info(kind)->control_stream)
		return RK_EINTERNAL;
	home_load_ids(c, txn);
	if ((t.arena = arena_new(0)) == NULL)
		return RK_ENOMEM;
	r = object_parse(kind, wire, t.arena, &t.o);
	if (r == RK_OK)
		r = take(&t);
	arena_free(t.arena);
	return r;
}

int book_take(struct client *c, struct txn *txn, enum object_kind kind, struct bytes wire, int64_t time_ms)
{
	return take_from(c, txn, kind, wire, time_ms, 0);
}

/* ---- the control stream */

int book_on_control(struct client *c, struct txn *txn, const struct delivery *d)
{
	static const struct {
		Rk__EntryKind entry;
		enum object_kind object;
	} kinds[] = {
		{RK__ENTRY_KIND__ENTRY_CHARTER, OBJECT_KIND_CHARTER},
		{RK__ENTRY_KIND__ENTRY_DIRECTORY, OBJECT_KIND_DIRECTORY},
		{RK__ENTRY_KIND__ENTRY_ORG_DEVICES, OBJECT_KIND_ORG_DEVICES},
		{RK__ENTRY_KIND__ENTRY_DEVICE_KX, OBJECT_KIND_DEVICE_KX},
		{RK__ENTRY_KIND__ENTRY_FEED_EPOCH, OBJECT_KIND_FEED_EPOCH},
	};
	int r = RK_MALFORMED;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].entry == d->kind)
			r = take_from(c, txn, kinds[i].object, d->object, d->time_ms, d->seq);
	if (r < 0)
		return r;
	if (r != RK_OK)
		client_count(txn, r == RK_CONFLICT ? "refused-object" : "bad-object");
	if (r != RK_OK)
		client_log(c, "book: control entry %llu of kind %d not taken: %s", (unsigned long long)d->seq, (int)d->kind,
			   errcode_name(r));
	return RK_OK;
}
