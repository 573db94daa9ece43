/* secretariat_directory: Directory n+1, whoever asks for it; and what all objects of the secretariat have in common. */
#include "client/secretariat_internal.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/ids.h"
#include "proto/strict.h"

void secretariat_signer_id(struct client *c, uint8_t id[16])
{
	uint8_t pk[32];
	keys_sign_pk(c, KEY_SECRETARIAT, pk);
	ids_signer(id, pk);
}

/* RK_BUSY while the item that a meta key names has no answer. */
int secretariat_must_be_answered(struct txn *txn, const char *key)
{
	struct outcome outcome;
	uint64_t item = meta_u64(txn, key);
	int rc = item ? outbox_outcome(txn, item, &outcome) : RK_OK;
	return rc == RK_BUSY ? RK_BUSY : RK_OK;
}

int secretariat_queue_object(struct client *c, struct txn *txn, enum object_kind kind, struct bytes wire, const char *what,
			struct arena *a, uint64_t *item)
{
	struct object o;
	uint8_t oh[32];
	int rc = object_parse(kind, wire, a, &o);
	if (rc != RK_OK)
		return rc;
	object_oh(oh, &o, client_exchange_id(c));
	struct outbox_request request = {.op = RK__OP__OP_PUT_OBJECT, .what = what, .object = wire,
					 .object_type = object_info(kind)->wire_type, .object_oh = oh};
	return outbox_add(c, txn, &request, item);
}

/* ---- directory */

/* Copies of the rows, so that the book's own stay as they are; min_devices_serial pins the newest list known here. */
static int copy_rows(struct client *c, struct txn *txn, const Rk__Directory *old, struct arena *a, Rk__Org **rows)
{
	for (size_t i = 0; i < old->n_orgs; i++) {
		Rk__OrgDevices *devices;
		uint8_t oh[32];
		Rk__Org *row = arena_alloc(a, sizeof(*row));
		if (!row)
			return RK_ENOMEM;
		*row = *old->orgs[i];
		if (book_org_devices(c, txn, row->org_id.data, a, &devices, oh) == RK_OK &&
		    devices->serial > row->min_devices_serial)
			row->min_devices_serial = devices->serial;
		rows[i] = row;
	}
	return RK_OK;
}

/* Inserts in order of org_id; RK_CONFLICT if it is there. */
static int insert_row(Rk__Org **rows, size_t *n, const Rk__Org *extra)
{
	size_t at = 0;
	while (at < *n && memcmp(rows[at]->org_id.data, extra->org_id.data, ID16_BYTES) < 0)
		at++;
	if (at < *n && memcmp(rows[at]->org_id.data, extra->org_id.data, ID16_BYTES) == 0)
		return RK_CONFLICT;
	memmove(&rows[at + 1], &rows[at], (*n - at) * sizeof(*rows));
	rows[at] = (Rk__Org *)(uintptr_t)extra;
	(*n)++;
	return RK_OK;
}

/* The same row with another key; the lists that it pins are those of now. */
static int replace_row(Rk__Org **rows, size_t n, const Rk__Org *changed)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t pinned = rows[i]->min_devices_serial;
		if (memcmp(rows[i]->org_id.data, changed->org_id.data, ID16_BYTES) != 0)
			continue;
		*rows[i] = *changed;
		rows[i]->min_devices_serial = pinned;
		return RK_OK;
	}
	return RK_UNKNOWN_RECIPIENT;
}

/* since: readers believe the posts of an expelled or suspended member only from before it. */
static int set_row_status(Rk__Org **rows, size_t n, const uint8_t *org_id, Rk__OrgStatus status, int64_t now_ms)
{
	for (size_t i = 0; i < n; i++) {
		if (memcmp(rows[i]->org_id.data, org_id, ID16_BYTES) != 0)
			continue;
		if (rows[i]->status == status || rows[i]->status == RK__ORG_STATUS__EXPELLED)
			return RK_CONFLICT;
		rows[i]->status = status;
		rows[i]->since = now_ms;
		return RK_OK;
	}
	return RK_UNKNOWN_RECIPIENT;
}

int secretariat_fill_directory(struct client *c, struct txn *txn, const Rk__Org *extra, const Rk__Org *changed, const uint8_t *org_id,
			       Rk__OrgStatus status, struct arena *a, Rk__Directory *out)
{
	Rk__Directory *old;
	Rk__Charter *charter;
	uint8_t oh[32], signer_id[16];
	int rc = book_directory(c, txn, a, &old, oh);
	if (rc == RK_OK)
		rc = book_charter(c, txn, a, &charter);
	if (rc != RK_OK)
		return rc;
	arena_raise(a, old->n_orgs * 2 * sizeof(Rk__Org) + 65536);
	Rk__Org **rows = arena_alloc(a, (old->n_orgs + 1) * sizeof(*rows));
	size_t n = old->n_orgs;
	if (!rows)
		return RK_ENOMEM;
	rc = copy_rows(c, txn, old, a, rows);
	if (rc == RK_OK && extra)
		rc = insert_row(rows, &n, extra);
	if (rc == RK_OK && changed)
		rc = replace_row(rows, n, changed);
	if (rc == RK_OK && org_id)
		rc = set_row_status(rows, n, org_id, status, client_now(c));
	if (rc != RK_OK)
		return rc;
	secretariat_signer_id(c, signer_id);
	rk__directory__init(out);
	out->version = 1;
	out->serial = old->serial + 1;
	out->prev_oh = pb_of(bytes_make(arena_copy(a, oh, sizeof(oh)), sizeof(oh)));
	/* Never before the one that it follows, whatever this machine's clock says. */
	out->issued_at = client_now(c) > old->issued_at ? client_now(c) : old->issued_at + 1;
	out->expires_at = out->issued_at + charter->directory_max_age_ms;
	out->signer_id = pb_of(bytes_make(arena_copy(a, signer_id, sizeof(signer_id)), sizeof(signer_id)));
	out->orgs = rows;
	out->n_orgs = n;
	return out->prev_oh.data && out->signer_id.data ? RK_OK : RK_ENOMEM;
}

static int queue_directory(struct client *c, struct txn *txn, const Rk__Org *extra, const Rk__Org *changed, const uint8_t *org_id,
			   Rk__OrgStatus status, uint64_t *serial, uint64_t *item)
{
	Rk__Directory m;
	struct bytes wire;
	int rc = secretariat_must_be_answered(txn, META_DIRECTORY_ITEM);
	if (rc != RK_OK)
		return rc;
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	if (!a)
		return RK_ENOMEM;
	rc = secretariat_fill_directory(c, txn, extra, changed, org_id, status, a, &m);
	if (rc == RK_OK)
		rc = object_make(OBJECT_KIND_DIRECTORY, client_exchange_id(c), keys_sign_sk(c, KEY_SECRETARIAT), &m.base, a, &wire);
	if (rc == RK_OK)
		*serial = m.serial;
	if (rc == RK_OK)
		rc = secretariat_queue_object(c, txn, OBJECT_KIND_DIRECTORY, wire, "directory", a, item);
	if (rc == RK_OK)
		rc = meta_put_u64(txn, META_DIRECTORY_ITEM, *item);
	arena_free(a);
	return rc;
}

int secretariat_queue_directory(struct client *c, struct txn *txn, const Rk__Org *extra, const uint8_t *org_id,
				Rk__OrgStatus status, uint64_t *serial, uint64_t *item)
{
	return queue_directory(c, txn, extra, NULL, org_id, status, serial, item);
}

int secretariat_queue_row(struct client *c, struct txn *txn, const Rk__Org *changed, uint64_t *item)
{
	uint64_t serial;
	return queue_directory(c, txn, NULL, changed, NULL, RK__ORG_STATUS__ORG_STATUS_NONE, &serial, item);
}

int secretariat_set_status(struct client *c, const uint8_t org_id[16], Rk__OrgStatus status, uint64_t *item)
{
	struct txn *txn = NULL;
	uint64_t serial;
	unsigned issued = 0;
	if (memcmp(org_id, client_org_id(c), ID16_BYTES) == 0)
		return RK_NOT_PERMITTED;
	int rc = secretariat_unlock(c);
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = secretariat_queue_directory(c, txn, NULL, org_id, status, &serial, item);
	if (rc == RK_OK && status == RK__ORG_STATUS__EXPELLED)
		rc = secretariat_rotate(c, txn, serial, org_id, &issued);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	return rc;
}
