/* The list of devices: what changes it, and signing the next one. */
#include "client/device.h"

#include <stdlib.h>
#include <strings.h>

#include "client/key_change.h"
#include "client/log.h"
#include "proto/strict.h"

#define META_LIST_ITEM "device/list"  /* u64be: outbox item of the last list */
#define META_DESK "device/desk"       /* u64be: the highest desk number that was ever given out here */
#define LIST_ARENA ((size_t)1024 * 1024)
#define PREFIX_MIN 4

struct listing {
	struct client *c;
	struct txn *txn;
	struct arena *a;
	const struct device_change *change;
	Rk__OrgDevices *old;
	uint8_t old_oh[32];
	Rk__Device *rows[DEVICE_MAX + 1];
	size_t n;
	Rk__Device *changed;
};

/* ---- desks */

/* The number of a name: that of a device in force which has it, else the next free one. */
static int number_of(struct listing *l, const char *name, uint32_t *id)
{
	uint64_t highest = meta_u64(l->txn, META_DESK);
	int r = desk_find(l->c, l->txn, client_org_id(l->c), name, l->a, id);

	if (r != RK_ENOTFOUND)
		return r;
	for (size_t i = 0; i < l->old->n_devices; i++)
		for (size_t j = 0; j < l->old->devices[i]->n_desks; j++)
			if (l->old->devices[i]->desks[j] > highest)
				highest = l->old->devices[i]->desks[j];
	if (highest >= UINT32_MAX - 1)
		return RK_TOO_LARGE;
	*id = (uint32_t)highest + 1;
	return meta_put_u64(l->txn, META_DESK, *id);
}

/* The extension with the names: the one that was there is replaced, others stay. */
static int put_names(struct listing *l, Rk__Device *d, const char **names, size_t n)
{
	Rk__DeskNames m = RK__DESK_NAMES__INIT;
	Rk__Ext **ext = arena_alloc(l->a, (d->n_ext + 1) * sizeof(*ext)), *own = arena_alloc(l->a, sizeof(*own));
	struct bytes packed;
	size_t kept = 0;
	int r;

	if (ext == NULL || own == NULL)
		return RK_ENOMEM;
	m.names = (char **)(uintptr_t)names;
	m.n_names = n;
	rk__ext__init(own);
	own->id = TRUST_EXT_DESK_NAMES;
	/* Ids ascend, and this one is the lowest there is. */
	if (n > 0) {
		if ((r = STRICT_PACK(&m, l->a, &packed)) != RK_OK)
			return r;
		own->value = pb_of(packed);
		ext[kept++] = own;
	}
	for (size_t i = 0; i < d->n_ext; i++)
		if (d->ext[i]->id != TRUST_EXT_DESK_NAMES)
			ext[kept++] = d->ext[i];
	d->ext = ext;
	d->n_ext = kept;
	return kept <= 16 ? RK_OK : RK_TOO_LARGE;
}

static int put_desks(struct listing *l, Rk__Device *d)
{
	size_t count = l->change->desk_count;
	const char **names = arena_alloc(l->a, (count + 1) * sizeof(*names));
	uint32_t *ids = arena_alloc(l->a, (count + 1) * sizeof(*ids));

	if (names == NULL || ids == NULL)
		return RK_ENOMEM;
	if (count > TRUST_DESKS_MAX)
		return RK_TOO_LARGE;
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;
		uint32_t id;
		int r;

		if (!desk_is_name(l->change->desks[i]))
			return RK_EUSAGE;
		for (size_t j = 0; j < i; j++)
			if (desk_same_name(l->change->desks[j], l->change->desks[i]))
				return RK_EUSAGE;
		if ((r = number_of(l, l->change->desks[i], &id)) != RK_OK)
			return r;
		while (at < i && ids[at] < id)
			at++;
		memmove(&ids[at + 1], &ids[at], (i - at) * sizeof(*ids));
		memmove(&names[at + 1], &names[at], (i - at) * sizeof(*names));
		ids[at] = id;
		/* One desk, one name: as it was first written. */
		names[at] = desk_name(l->c, l->txn, client_org_id(l->c), id, l->a);
		if (names[at][0] == '#')
			names[at] = l->change->desks[i];
	}
	d->desks = ids;
	d->n_desks = count;
	return put_names(l, d, names, count);
}

/* ---- changes */

static int add(struct listing *l)
{
	const struct device_request *q = l->change->request;
	Rk__Device *d = arena_alloc(l->a, sizeof(*d));
	uint8_t *device_id = arena_alloc(l->a, ID16_BYTES);
	Rk__DeviceKx *kx;
	int r;

	if (d == NULL || device_id == NULL)
		return RK_ENOMEM;
	if (memcmp(q->exchange_id, client_exchange_id(l->c), 32) != 0)
		return RK_WRONG_EXCHANGE;
	if (memcmp(q->org_id, client_org_id(l->c), 16) != 0)
		return RK_NOT_PERMITTED;
	if ((r = device_request_check(q, l->a, device_id, &kx)) != RK_OK)
		return r;
	if (trust_find_device(l->old, device_id))
		return RK_EEXISTS;
	if (l->n >= DEVICE_MAX)
		return RK_TOO_LARGE;
	rk__device__init(d);
	d->device_id = pb_of(bytes_make(device_id, ID16_BYTES));
	d->sign_pk = pb_of(bytes_make(q->sign_pk, KEY_BYTES));
	d->curve_pk = pb_of(bytes_make(q->curve_pk, KEY_BYTES));
	d->label = pb_text(q->label);
	d->accepts_max = q->accepts_max;
	l->rows[l->n++] = d;
	return put_desks(l, d);
}

/* Somebody must be left who can act, and who can see that the removal is on record. */
static int check_leaves_one(const struct listing *l)
{
	if (memcmp(l->changed->device_id.data, client_device_id(l->c), ID16_BYTES) == 0)
		return RK_NOT_PERMITTED;
	for (size_t i = 0; i < l->n; i++)
		if (l->rows[i] != l->changed && l->rows[i]->retired_at == 0)
			return RK_OK;
	return RK_NOT_PERMITTED;
}

static int remove_row(struct listing *l, bool keeps_row)
{
	int r = check_leaves_one(l);

	if (r != RK_OK)
		return r;
	if (keeps_row) {
		if (l->changed->retired_at != 0)
			return RK_CONFLICT;
		l->changed->retired_at = client_now(l->c);
		return RK_OK;
	}
	for (size_t i = 0; i < l->n; i++)
		if (l->rows[i] == l->changed) {
			memmove(&l->rows[i], &l->rows[i + 1], (l->n - i - 1) * sizeof(*l->rows));
			l->n--;
			break;
		}
	return RK_OK;
}

static int make_change(struct listing *l)
{
	switch (l->change->kind) {
	case DEVICE_ADD:
		return add(l);
	case DEVICE_RETIRE:
	case DEVICE_DROP:
		return l->changed != NULL ? remove_row(l, l->change->kind == DEVICE_RETIRE) : RK_ENOTFOUND;
	case DEVICE_DESKS:
		if (l->changed == NULL)
			return RK_ENOTFOUND;
		return l->changed->retired_at != 0 ? RK_CONFLICT : put_desks(l, l->changed);
	default:
		return RK_OK;
	}
}

/* Copies of the rows that stay, so that those of the book are left as they are. */
static int copy_rows(struct listing *l)
{
	for (size_t i = 0; i < l->old->n_devices; i++) {
		const Rk__Device *from = l->old->devices[i];
		Rk__Device *d;

		if (from->retired_at != 0 && from->retired_at + TRUST_RETIRED_KEPT_MS <= client_now(l->c))
			continue;
		if (l->n == DEVICE_MAX || (d = arena_alloc(l->a, sizeof(*d))) == NULL)
			return RK_ENOMEM;
		*d = *from;
		if (l->change->device_id != NULL && memcmp(d->device_id.data, l->change->device_id, ID16_BYTES) == 0)
			l->changed = d;
		l->rows[l->n++] = d;
	}
	return RK_OK;
}

/* ---- signing */

static int sign_list(struct listing *l, struct bytes *wire, uint8_t oh[32])
{
	Rk__OrgDevices list = RK__ORG_DEVICES__INIT;
	struct object o;
	int r;

	list.version = 1;
	list.org_id = pb_of(bytes_make(client_org_id(l->c), ID16_BYTES));
	list.serial = l->old->serial + 1;
	list.prev_oh = pb_of(BYTES_OF(l->old_oh));
	/* Never before the one that it follows, whatever this machine's clock says. */
	list.issued_at = client_now(l->c) > l->old->issued_at ? client_now(l->c) : l->old->issued_at + 1;
	list.valid_until = list.issued_at + TRUST_DEVICES_AGE_MS;
	list.devices = l->rows;
	list.n_devices = l->n;
	r = object_make(OBJECT_KIND_ORG_DEVICES, client_exchange_id(l->c), keys_sign_sk(l->c, KEY_ORG), &list.base, l->a, wire);
	if (r == RK_OK)
		r = object_parse(OBJECT_KIND_ORG_DEVICES, *wire, l->a, &o);
	if (r == RK_OK)
		object_oh(oh, &o, client_exchange_id(l->c));
	return r;
}

bool device_list_is_on_its_way(struct txn *txn)
{
	struct outcome outcome;
	uint64_t last = meta_u64(txn, META_LIST_ITEM);

	return last != 0 && outbox_outcome(txn, last, &outcome) == RK_BUSY;
}

static int queue_list(struct listing *l, uint8_t oh[32], uint64_t *item)
{
	struct outbox_request request = {.op = RK__OP__OP_PUT_OBJECT, .what = "device list",
					 .object_type = RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, .object_oh = oh};
	int r;

	if (device_list_is_on_its_way(l->txn))
		return RK_BUSY;
	if ((r = book_org_devices(l->c, l->txn, client_org_id(l->c), l->a, &l->old, l->old_oh)) != RK_OK ||
	    (r = copy_rows(l)) != RK_OK || (r = make_change(l)) != RK_OK || (r = sign_list(l, &request.object, oh)) != RK_OK ||
	    (r = outbox_add(l->c, l->txn, &request, item)) != RK_OK)
		return r;
	return meta_put_u64(l->txn, META_LIST_ITEM, *item);
}

int device_change(struct client *c, const struct device_change *change, uint8_t oh[32], uint64_t *item)
{
	struct listing l = {.c = c, .a = arena_new(LIST_ARENA), .change = change};
	int r = l.a != NULL ? key_change_unlock_org(c) : RK_ENOMEM;

	*item = 0;
	if (r == RK_OK)
		r = env_begin(client_env(c), true, &l.txn);
	if (r == RK_OK)
		r = queue_list(&l, oh, item);
	if (r == RK_OK)
		r = env_commit(l.txn);
	else
		env_abort(l.txn);
	arena_free(l.a);
	return r;
}

/* ---- looking */

bool device_list_is_due(struct client *c, struct txn *txn)
{
	struct arena *a = arena_new(LIST_ARENA);
	Rk__OrgDevices *list;
	bool due = a != NULL && book_org_devices(c, txn, client_org_id(c), a, &list, NULL) == RK_OK &&
		   list->valid_until - DEVICE_RENEW_MS <= client_now(c);

	arena_free(a);
	return due;
}

bool device_is_proven(struct client *c, const uint8_t oh[32])
{
	struct log_leaf leaf;
	struct txn *txn;
	bool yes;

	if (env_begin(client_env(c), false, &txn) != RK_OK)
		return false;
	yes = log_leaf_of(txn, oh, &leaf) == RK_OK && leaf.is_proven;
	env_abort(txn);
	return yes;
}

int device_find(struct client *c, struct txn *txn, const char *text, struct arena *a, Rk__Device **out)
{
	size_t len = strlen(text), hits = 0;
	bool is_hex = len >= PREFIX_MIN && len <= 2 * ID16_BYTES && strspn(text, "0123456789abcdefABCDEF") == len;
	Rk__OrgDevices *list;
	int r = book_org_devices(c, txn, client_org_id(c), a, &list, NULL);

	*out = NULL;
	for (size_t i = 0; r == RK_OK && i < list->n_devices; i++) {
		char hex[2 * ID16_BYTES + 1];

		ids_hex(hex, bytes_of(list->devices[i]->device_id));
		if (!(is_hex && strncasecmp(hex, text, len) == 0) && !(len > 0 && desk_same_name(list->devices[i]->label, text)))
			continue;
		hits++;
		*out = list->devices[i];
	}
	if (r != RK_OK)
		return r;
	return hits == 0 ? RK_ENOTFOUND : hits == 1 ? RK_OK : RK_CONFLICT;
}
