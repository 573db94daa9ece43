/*
 * A new Directory: who comes in, who is suspended, who leaves for ever, all in one transaction.  The first pass checks
 * every row against the state; only then does the second change anything.  CRYPTO 2.2, 2.3.
 */
#include "broker/apply_internal.h"

#include <assert.h>

#include "proto/ids.h"

/* The directory that this one follows, parsed into the command's arena. */
static int read_previous(struct apply *a, struct command *c, const Rk__Directory **out)
{
	struct object o;
	struct bytes wire;
	int rc = rows_get_object(a->txn, RK__OBJECT_TYPE__OBJECT_DIRECTORY, NULL, a->directory.serial, NULL, NULL,
				 &wire);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	rc = object_parse(OBJECT_KIND_DIRECTORY, wire, c->arena, &o);
	*out = (const Rk__Directory *)o.message;
	return rc > 0 ? RK_ESTORE : rc;
}

/* A newcomer is the pending enrolment that the secretariat has seen, key and all. */
static int check_newcomer(struct apply *a, const Rk__Org *org, const struct rows_org *row)
{
	struct rows_invite invite;
	int rc;

	if (org->status != RK__ORG_STATUS__ACTIVE || memcmp(org->org_pk.data, row->org_pk, 32) != 0)
		return RK_CONFLICT;
	if ((rc = rows_get_invite(a->txn, row->invite_id, &invite)) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	return invite.state == INVITE_PENDING ? RK_OK : RK_CONFLICT;
}

/*
 * One that a restored store knows nothing of, not even its key: its enrolment was lost with what came after the copy.  Readers
 * remember it, so its row cannot be left out; it can only be out for good, and enrol anew.
 */
static int check_lost(struct apply *a, const Rk__Org *org)
{
	return org->status == RK__ORG_STATUS__EXPELLED && !rows_has_key(a->txn, org->org_pk.data) ? RK_OK : RK_CONFLICT;
}

/* A key that replaces another one was never seen before; what it may follow on, trust_check_directory has said. */
static int check_key(struct apply *a, const Rk__Org *org, const struct rows_org *row)
{
	if (row->status == ORG_PENDING || memcmp(org->org_pk.data, row->org_pk, 32) == 0)
		return RK_OK;
	return row->status != ORG_EXPELLED && !rows_has_key(a->txn, org->org_pk.data) ? RK_OK : RK_CONFLICT;
}

/* is_step: serials were stepped over. */
static int check_rows(struct apply *a, const Rk__Directory *d, bool is_step)
{
	unsigned secretariats = 0;

	for (size_t i = 0; i < d->n_orgs; i++) {
		const Rk__Org *org = d->orgs[i];
		struct rows_org row;
		int rc = rows_get_org(a->txn, org->org_id.data, &row);

		if (rc == RK_ENOTFOUND && is_step && (rc = check_lost(a, org)) == RK_OK)
			continue;
		if (rc == RK_ENOTFOUND || (rc == RK_OK && row.status == ORG_REJECTED))
			return RK_CONFLICT;
		if (rc != RK_OK || (row.status == ORG_PENDING && (rc = check_newcomer(a, org, &row)) != RK_OK))
			return rc;
		if ((rc = check_key(a, org, &row)) != RK_OK)
			return rc;
		/* A list that a restored store has lost is nothing to one that is out: else it could never be put out. */
		if (org->status != RK__ORG_STATUS__EXPELLED && org->min_devices_serial > row.devices_serial)
			return RK_CONFLICT;
		if (org->status == RK__ORG_STATUS__ACTIVE && org->roles & TRUST_ROLE_SECRETARIAT)
			secretariats++;
	}
	return secretariats <= APPLY_SECRETARIATS_MAX ? RK_OK : RK_UNSUPPORTED;
}

static int check_directory(struct apply *a, struct command *c, const Rk__Directory *d)
{
	struct trust_prev prev = {.serial = a->directory.serial};
	bool is_step = d->serial != prev.serial + 1;
	const Rk__Directory *before = NULL;
	int rc;

	memcpy(prev.oh, a->directory.oh, 32);
	if ((rc = apply_check_signer(a, c, d->signer_id)) != RK_OK)
		return rc;
	if (d->serial <= prev.serial)
		return RK_CONFLICT; /* before the dear look at the one before */
	/* One that was signed ahead may come late, never early. */
	if (d->issued_at > a->now_ms + APPLY_CLOCK_MS)
		return RK_CLOCK;
	if (d->expires_at <= a->now_ms)
		return RK_DIRECTORY_EXPIRED;
	if ((rc = read_previous(a, c, &before)) != RK_OK)
		return rc;
	if (d->issued_at < before->issued_at)
		return RK_CLOCK;
	if (is_step && (rc = apply_step_over(a, d->serial, d->prev_oh, before->issued_at, &prev)) != RK_OK)
		return rc;
	if ((rc = trust_check_directory(d, a->charter, prev, before)) != RK_OK)
		return rc;
	return check_rows(a, d, is_step);
}

/* ---- the second pass */
static struct bytes keep(struct arena *arena, struct bytes b, bool *ok)
{
	arena_raise(arena, b.len + 64);
	void *copy = arena_copy(arena, b.data, b.len);

	*ok = *ok && copy;
	return bytes_make(copy, b.len);
}

/* What the Enrol brought takes effect: its devices and kx key become objects of the control stream. */
static int admit_newcomer(struct apply *a, struct command *c, const uint8_t org_id[16], const struct rows_org *row)
{
	struct rows_invite invite;
	struct rows_device device;
	const Rk__Device *listed;
	struct object devices;
	bool ok = true;
	int rc;

	if ((rc = rows_get_invite(a->txn, row->invite_id, &invite)) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	/* The row's wires are borrowed until the next write. */
	invite.devices = keep(c->arena, invite.devices, &ok);
	invite.kx = keep(c->arena, invite.kx, &ok);
	if (!ok)
		return RK_ENOMEM;
	if ((rc = object_parse(OBJECT_KIND_ORG_DEVICES, invite.devices, c->arena, &devices)) != RK_OK)
		return rc > 0 ? RK_ESTORE : rc;
	listed = ((const Rk__OrgDevices *)devices.message)->devices[0];
	if ((rc = rows_get_device(a->txn, listed->device_id.data, &device)) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;

	device.state = DEVICE_LISTED;
	if ((rc = rows_put_device(apply_w(a), listed->device_id.data, &device)) != RK_OK ||
	    (rc = apply_trust_publish(a, OBJECT_KIND_ORG_DEVICES, org_id, row->devices_serial, invite.devices_oh,
				      invite.devices, NULL)) != RK_OK ||
	    (rc = apply_trust_publish(a, OBJECT_KIND_DEVICE_KX, listed->device_id.data, device.kx_serial, invite.kx_oh,
				      invite.kx, NULL)) != RK_OK ||
	    (rc = apply_load_changed_device(a, listed->device_id.data, &device, true)) != RK_OK)
		return rc;
	invite.state = INVITE_APPROVED;
	invite.devices = invite.kx = bytes_make(NULL, 0);
	return rows_put_invite(apply_w(a), row->invite_id, &invite);
}

/* Each device of an organisation whose status has changed. */
static int change_devices(struct apply *a, struct command *c, const uint8_t org_id[16], uint8_t status)
{
	Rk__OrgDevices *list = NULL;
	int rc = apply_devices_read(a, org_id, c->arena, &list);

	for (size_t i = 0; rc == RK_OK && i < list->n_devices; i++) {
		const uint8_t *id = list->devices[i]->device_id.data;
		struct rows_device d;

		if ((rc = rows_get_device(a->txn, id, &d)) != RK_OK)
			return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
		if (status == ORG_EXPELLED) {
			rc = apply_devices_drop(a, id, &d);
			continue;
		}
		if (status == ORG_SUSPENDED)
			rc = apply_batch_cut(a, id);
		if (rc == RK_OK)
			rc = apply_load_changed_device(a, id, &d, status == ORG_ACTIVE);
	}
	return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
}

/* Mail that waits for one who has left goes back to its senders: at once what is little, the rest when it is due. */
static int return_mail(struct apply *a, const uint8_t org_id[16])
{
	unsigned done = 0;
	bool left = false;
	int rc = apply_due_return_org(a, org_id, APPLY_RETURNS_AT_ONCE, &done, &left);

	if (rc == RK_OK && left)
		rc = rows_put_due(apply_w(a), a->now_ms, DUE_ORG_LEFT, org_id, 16);
	return rc;
}

/* A row without devices, so that neither id nor key is ever taken again. */
static int put_lost(struct apply *a, const Rk__Org *org)
{
	struct rows_org row = {.status = ORG_EXPELLED,
			       .roles = org->roles,
			       .devices_serial = org->min_devices_serial,
			       .min_devices_serial = org->min_devices_serial};
	int rc;

	memcpy(row.org_pk, org->org_pk.data, 32);
	ids_sha256(row.key_fp, bytes_of(org->org_pk));
	if ((rc = rows_put_org(apply_w(a), org->org_id.data, &row)) != RK_OK ||
	    (rc = rows_put_key(apply_w(a), org->org_pk.data, KEY_ORG, org->org_id.data)) != RK_OK)
		return rc;
	return apply_load_changed_org(a, org->org_id.data, &row);
}

/* Another key: itself and those that it leads back to are known for ever, and these count as the organisation's. */
static int change_key(struct apply *a, const Rk__Org *org, struct rows_org *row)
{
	struct orgkey_line line;
	struct rows_line fps;
	int rc = orgkey_read(org, &line);

	if (rc != RK_OK)
		return rc > 0 ? RK_EINTERNAL : rc;
	memcpy(row->org_pk, org->org_pk.data, 32);
	ids_sha256(row->key_fp, bytes_of(org->org_pk));
	if ((rc = rows_put_key(apply_w(a), row->org_pk, KEY_ORG, org->org_id.data)) != RK_OK)
		return rc;
	fps.count = line.count;
	for (size_t i = 0; i < line.count; i++) {
		ids_sha256(fps.fp[i], BYTES_OF(line.pk[i]));
		if ((rc = rows_put_key(apply_w(a), line.pk[i], KEY_ORG, org->org_id.data)) != RK_OK)
			return rc;
	}
	return rows_put_line(apply_w(a), org->org_id.data, &fps);
}

static int change_org(struct apply *a, struct command *c, const Rk__Org *org)
{
	const uint8_t *id = org->org_id.data;
	struct rows_org row;
	bool is_same_key;
	uint8_t before;
	int rc = rows_get_org(a->txn, id, &row);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? put_lost(a, org) : rc;
	before = row.status;
	is_same_key = memcmp(row.org_pk, org->org_pk.data, 32) == 0;
	if (before == (uint8_t)org->status && row.roles == org->roles &&
	    row.min_devices_serial == org->min_devices_serial && is_same_key)
		return RK_OK;
	if (!is_same_key && (rc = change_key(a, org, &row)) != RK_OK)
		return rc;
	row.status = (uint8_t)org->status;
	row.roles = org->roles;
	row.min_devices_serial = org->min_devices_serial;
	if ((rc = rows_put_org(apply_w(a), id, &row)) != RK_OK || (rc = apply_load_changed_org(a, id, &row)) != RK_OK)
		return rc;
	if (before == ORG_PENDING)
		return admit_newcomer(a, c, id, &row);
	if (before == row.status)
		return RK_OK;
	if ((rc = change_devices(a, c, id, row.status)) != RK_OK)
		return rc;
	if (row.status != ORG_EXPELLED)
		return RK_OK;
	/* What it was about to send goes with it, now: nothing of it is anybody's yet. */
	return (rc = apply_blob_drop_org(a, id)) != RK_OK ? rc : return_mail(a, id);
}

int apply_directory_put(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__Directory *d = (const Rk__Directory *)c->signed_object.message;
	int rc;

	(void)m;
	if ((rc = check_directory(a, c, d)) != RK_OK)
		return rc;

	a->directory = (struct rows_directory){.serial = d->serial, .expires_at = d->expires_at};
	memcpy(a->directory.oh, c->object_oh, 32);
	if ((rc = rows_put_directory(apply_w(a), &a->directory)) != RK_OK ||
	    (rc = apply_trust_publish(a, OBJECT_KIND_DIRECTORY, NULL, d->serial, c->object_oh, c->signed_object.wire,
				      r)) != RK_OK)
		return rc;
	a->secretariat_count = 0;
	for (size_t i = 0; i < d->n_orgs; i++) {
		const Rk__Org *org = d->orgs[i];

		if (org->status == RK__ORG_STATUS__ACTIVE && org->roles & TRUST_ROLE_SECRETARIAT)
			memcpy(a->secretariats[a->secretariat_count++], org->org_id.data, 16);
		if ((rc = change_org(a, c, org)) != RK_OK)
			return rc;
	}
	return RK_OK;
}
