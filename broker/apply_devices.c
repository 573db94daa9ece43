/* A new device list of an organisation: which devices come, which retire, which are gone for ever.  CRYPTO 2.2, 2.3. */
#include "broker/apply_internal.h"

#include <assert.h>

int apply_devices_read(struct apply *a, const uint8_t org_id[16], struct arena *arena, Rk__OrgDevices **out)
{
	struct object o;
	struct bytes wire;
	int rc = rows_get_object(a->txn, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, org_id, 0, NULL, NULL, &wire);

	if (rc != RK_OK)
		return rc;
	rc = object_parse(OBJECT_KIND_ORG_DEVICES, wire, arena, &o);
	*out = (Rk__OrgDevices *)o.message;
	return rc > 0 ? RK_ESTORE : rc;
}

/* The row, its cursors and its session go in one transaction; its keys stay known, so that they never come back. */
int apply_devices_drop(struct apply *a, const uint8_t device_id[16], struct rows_device *d)
{
	int rc;

	if (d->retired_at > a->now_ms &&
	    (rc = rows_del_due(apply_w(a), d->retired_at, DUE_DEVICE_RETIRES, device_id, 16)) != RK_OK)
		return rc;
	d->state = DEVICE_REMOVED;
	d->kx_not_after = d->kx_before_not_after = 0;
	if ((rc = rows_put_device(apply_w(a), device_id, d)) != RK_OK ||
	    (rc = rows_put_desks(apply_w(a), device_id, NULL, 0)) != RK_OK ||
	    (rc = stream_cursor_drop_device(apply_w(a), device_id)) != RK_OK ||
	    (rc = apply_batch_cut(a, device_id)) != RK_OK)
		return rc;
	return apply_load_changed_device(a, device_id, d, false);
}

/* One device of the new list against the old one and against all that is known; *adds is set where it is new. */
static int check_device(struct apply *a, const Rk__Device *d, const Rk__OrgDevices *old, bool *adds)
{
	const Rk__Device *before = trust_find_device(old, d->device_id.data);

	if (before) {
		if (memcmp(before->curve_pk.data, d->curve_pk.data, 32) != 0)
			return RK_CONFLICT;
		/* A retirement may be brought forward, never taken back. */
		if (before->retired_at != 0 && (d->retired_at == 0 || d->retired_at > before->retired_at))
			return RK_CONFLICT;
		return RK_OK;
	}
	*adds = true;
	if (env_has(a->txn, T_DEVICE, bytes_of(d->device_id)) || rows_has_key(a->txn, d->sign_pk.data) ||
	    rows_has_key(a->txn, d->curve_pk.data))
		return RK_CONFLICT;
	return RK_OK;
}

static bool removes_one(const Rk__OrgDevices *old, const Rk__OrgDevices *new)
{
	for (size_t i = 0; i < old->n_devices; i++)
		if (!trust_find_device(new, old->devices[i]->device_id.data))
			return true;
	return false;
}

/* Every list is kept for good and goes to every member.  Removals are as rare as what was added before. */
static int check_day(struct apply *a, const struct member *m, const Rk__OrgDevices *old, const Rk__OrgDevices *new,
		     uint64_t *today)
{
	int rc = apply_batch_day_count(a, QUOTA_LISTS_DAY, m->device.org_id, NULL, today);

	if (rc != RK_OK || removes_one(old, new))
		return rc;
	return *today >= APPLY_LISTS_PER_DAY ? RK_QUOTA : RK_OK;
}

static int check_list(struct apply *a, struct command *c, struct member *m, const Rk__OrgDevices *new,
		      Rk__OrgDevices **old, uint64_t *today)
{
	struct trust_prev prev = {.serial = m->org.devices_serial};
	bool adds = false;
	int rc;

	memcpy(prev.oh, m->org.devices_oh, 32);
	if (memcmp(new->org_id.data, m->device.org_id, 16) != 0)
		return RK_NOT_PERMITTED;
	if (memcmp(c->object_pk, m->org.org_pk, 32) != 0)
		return RK_BAD_SIGNATURE;
	if (new->serial <= prev.serial)
		return RK_CONFLICT; /* before the dear look at the one before */
	if ((rc = apply_devices_read(a, m->device.org_id, c->arena, old)) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	if (new->serial != prev.serial + 1 &&
	    (rc = apply_step_over(a, new->serial, new->prev_oh, (*old)->issued_at, &prev)) != RK_OK)
		return rc;
	if ((rc = trust_check_org_devices(new, prev)) != RK_OK || (rc = apply_check_clock(a, new->issued_at)) != RK_OK)
		return rc;
	if (new->valid_until <= a->now_ms)
		return RK_CLOCK;
	for (size_t i = 0; i < new->n_devices; i++)
		if ((rc = check_device(a, new->devices[i], *old, &adds)) != RK_OK)
			return rc;
	/* New keys wait for a directory in force; a removal never does. */
	if ((rc = check_day(a, m, *old, new, today)) != RK_OK || !adds)
		return rc;
	return (rc = apply_check_directory(a)) != RK_OK ? rc : apply_check_room(a, MARK_HARD);
}

static int add_device(struct apply *a, const uint8_t org_id[16], const Rk__Device *d)
{
	struct rows_device row = {.state = DEVICE_LISTED, .retired_at = d->retired_at};
	const uint8_t *id = d->device_id.data;
	int rc;

	memcpy(row.org_id, org_id, 16);
	memcpy(row.sign_pk, d->sign_pk.data, 32);
	memcpy(row.curve_pk, d->curve_pk.data, 32);
	if (row.retired_at > a->now_ms &&
	    (rc = rows_put_due(apply_w(a), row.retired_at, DUE_DEVICE_RETIRES, id, 16)) != RK_OK)
		return rc;
	if ((rc = rows_put_device(apply_w(a), id, &row)) != RK_OK ||
	    (rc = rows_put_desks(apply_w(a), id, d->desks, d->n_desks)) != RK_OK ||
	    (rc = rows_put_key(apply_w(a), row.sign_pk, KEY_DEVICE_SIGN, id)) != RK_OK ||
	    (rc = rows_put_key(apply_w(a), row.curve_pk, KEY_DEVICE_CURVE, id)) != RK_OK)
		return rc;
	return apply_load_changed_device(a, id, &row, true);
}

static int retire_device(struct apply *a, const uint8_t id[16], struct rows_device *row, int64_t retired_at)
{
	int rc;

	if (row->retired_at > a->now_ms &&
	    (rc = rows_del_due(apply_w(a), row->retired_at, DUE_DEVICE_RETIRES, id, 16)) != RK_OK)
		return rc;
	row->retired_at = retired_at;
	if ((rc = rows_put_device(apply_w(a), id, row)) != RK_OK)
		return rc;
	if (retired_at > a->now_ms)
		rc = rows_put_due(apply_w(a), retired_at, DUE_DEVICE_RETIRES, id, 16);
	else if ((rc = stream_cursor_drop_device(apply_w(a), id)) == RK_OK)
		rc = apply_batch_cut(a, id);
	return rc != RK_OK ? rc : apply_load_changed_device(a, id, row, true);
}

static bool has_same_desks(const Rk__Device *before, const Rk__Device *d)
{
	return before->n_desks == d->n_desks &&
	       (d->n_desks == 0 || memcmp(before->desks, d->desks, d->n_desks * sizeof(*d->desks)) == 0);
}

static int keep_device(struct apply *a, const Rk__Device *before, const Rk__Device *d)
{
	struct rows_device row;
	int rc = rows_get_device(a->txn, d->device_id.data, &row);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	if (!has_same_desks(before, d) &&
	    (rc = rows_put_desks(apply_w(a), d->device_id.data, d->desks, d->n_desks)) != RK_OK)
		return rc;
	return row.retired_at == d->retired_at ? RK_OK : retire_device(a, d->device_id.data, &row, d->retired_at);
}

static int remove_device(struct apply *a, const uint8_t id[16])
{
	struct rows_device row;
	int rc = rows_get_device(a->txn, id, &row);

	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	return apply_devices_drop(a, id, &row);
}

int apply_devices_put(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__OrgDevices *new = (const Rk__OrgDevices *)c->signed_object.message;
	struct rows_org org = m->org;
	uint8_t org_id[16];
	Rk__OrgDevices *old = NULL;
	uint64_t today;
	int rc;

	if ((rc = check_list(a, c, m, new, &old, &today)) != RK_OK)
		return rc;

	memcpy(org_id, m->device.org_id, 16);
	org.devices_serial = new->serial;
	memcpy(org.devices_oh, c->object_oh, 32);
	if ((rc = rows_put_org(apply_w(a), org_id, &org)) != RK_OK ||
	    (rc = apply_batch_put_day_count(a, QUOTA_LISTS_DAY, org_id, NULL, today + 1)) != RK_OK ||
	    (rc = apply_load_changed_org(a, org_id, &org)) != RK_OK ||
	    (rc = apply_trust_publish(a, OBJECT_KIND_ORG_DEVICES, org_id, new->serial, c->object_oh,
				      c->signed_object.wire, r)) != RK_OK)
		return rc;
	for (size_t i = 0; i < old->n_devices; i++)
		if (!trust_find_device(new, old->devices[i]->device_id.data) &&
		    (rc = remove_device(a, old->devices[i]->device_id.data)) != RK_OK)
			return rc;
	for (size_t i = 0; i < new->n_devices; i++) {
		const Rk__Device *d = new->devices[i], *before = trust_find_device(old, d->device_id.data);

		rc = before ? keep_device(a, before, d) : add_device(a, org_id, d);
		if (rc != RK_OK)
			return rc;
	}
	return RK_OK;
}
