/*
 * What apply keeps in memory between batches, read from the store: the facts of the exchange after a lost batch too, and at the start
 * the roster, which afterwards learns what a commit has changed.
 */
#include "broker/apply_internal.h"

#include "proto/ids.h"

static int load_charter(struct apply *a, struct txn *t)
{
	struct object o;
	struct bytes wire;
	int rc;

	if (a->charter)
		return RK_OK; /* a Charter enters by an adoption alone, and none runs beside us */
	if ((rc = rows_get_object(t, RK__OBJECT_TYPE__OBJECT_CHARTER, NULL, 0, NULL, NULL, &wire)) != RK_OK)
		return rc;
	if (!a->charter_arena && !(a->charter_arena = arena_new(arena_budget(wire.len))))
		return RK_ENOMEM;
	if ((rc = object_parse(OBJECT_KIND_CHARTER, wire, a->charter_arena, &o)) != RK_OK)
		return rc < 0 ? rc : RK_ESTORE;
	a->charter = (const Rk__Charter *)o.message;
	return note_key_parse(&a->log_key, a->charter->log_vkey) == RK_OK ? RK_OK : RK_ESTORE;
}

static void fill_device(struct roster_device *out, const uint8_t device_id[16], const struct rows_device *d,
			bool active)
{
	memcpy(out->device_id, device_id, 16);
	memcpy(out->org_id, d->org_id, 16);
	memcpy(out->sign_pk, d->sign_pk, 32);
	memcpy(out->curve_pk, d->curve_pk, 32);
	out->active = active;
}

static void fill_org(struct roster_org *out, const uint8_t org_id[16], const struct rows_org *o)
{
	memcpy(out->org_id, org_id, 16);
	memcpy(out->org_pk, o->org_pk, 32);
	out->roles = o->roles;
	out->active = o->status == ORG_ACTIVE;
}

int apply_load_changed_device(struct apply *a, const uint8_t device_id[16], const struct rows_device *d,
			      bool org_active)
{
	struct roster_change c = {.kind = d->state == DEVICE_LISTED ? ROSTER_PUT_DEVICE : ROSTER_DROP_DEVICE};

	a->trust_stamp++;
	fill_device(&c.device, device_id, d, org_active && apply_device_is_active(d, a->now_ms));
	return apply_batch_change(a, &c);
}

int apply_load_changed_org(struct apply *a, const uint8_t org_id[16], const struct rows_org *o)
{
	struct roster_change c = {.kind = ROSTER_PUT_ORG};

	a->trust_stamp++;
	fill_org(&c.org, org_id, o);
	return apply_batch_change(a, &c);
}

/* Calls fn for every row of a table. */
static int each_row(struct txn *t, unsigned table, int (*fn)(struct apply *, struct txn *, struct bytes, struct bytes),
		    struct apply *a)
{
	static const uint8_t zero[1] = {0};
	struct env_cursor *c = NULL;
	struct bytes key, value;
	int rc;

	if ((rc = env_cursor_open(t, table, &c)) != RK_OK)
		return rc;
	for (rc = env_cursor_seek(c, BYTES_OF(zero), &key, &value); rc == RK_OK; rc = env_cursor_next(c, &key, &value))
		if ((rc = fn(a, t, key, value)) != RK_OK)
			break;
	env_cursor_free(c);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

static int load_org(struct apply *a, struct txn *t, struct bytes key, struct bytes value)
{
	struct rows_org o;
	struct roster_org r;

	(void)t;
	if (key.len != 16 || !rows_read_org(value, &o))
		return RK_ESTORE;
	if (o.status == ORG_ACTIVE && o.roles & TRUST_ROLE_SECRETARIAT && a->secretariat_count < APPLY_SECRETARIATS_MAX)
		memcpy(a->secretariats[a->secretariat_count++], key.data, 16);
	if (!a->roster || o.status == ORG_PENDING || o.status == ORG_REJECTED)
		return RK_OK;
	fill_org(&r, key.data, &o);
	return roster_put_org(a->roster, &r) ? RK_OK : RK_ENOMEM;
}

static int load_device(struct apply *a, struct txn *t, struct bytes key, struct bytes value)
{
	struct rows_device d;
	struct rows_org o;
	struct roster_device r;
	int rc;

	if (key.len != 16 || !rows_read_device(value, &d))
		return RK_ESTORE;
	if (d.state != DEVICE_LISTED)
		return RK_OK;
	if ((rc = rows_get_org(t, d.org_id, &o)) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	fill_device(&r, key.data, &d, o.status == ORG_ACTIVE && apply_device_is_active(&d, a->last_time_ms));
	return roster_put_device(a->roster, &r) ? RK_OK : RK_ENOMEM;
}

static int load_invite(struct apply *a, struct txn *t, struct bytes key, struct bytes value)
{
	struct rows_invite i;
	struct roster_invite r;

	(void)t;
	if (key.len != 16 || !rows_read_invite(value, &i))
		return RK_ESTORE;
	if (i.expires_at == 0 || i.expires_at <= a->last_time_ms)
		return RK_OK;
	memcpy(r.invite_id, key.data, 16);
	memcpy(r.curve_pk, i.curve_pk, 32);
	r.expires_at = i.expires_at;
	return roster_put_invite(a->roster, &r) ? RK_OK : RK_ENOMEM;
}

static int load_roster(struct apply *a, struct txn *t)
{
	struct note_key witness;
	uint8_t id[16];
	int rc;

	roster_set_exchange(a->roster, a->exchange_id);
	if (note_key_parse(&witness, a->charter->witness_vkey) != RK_OK)
		return RK_ESTORE;
	roster_set_note_keys(a->roster, &a->log_key, &witness);
	for (size_t i = 0; i < a->charter->n_secretariat_keys; i++) {
		const uint8_t *pk = a->charter->secretariat_keys[i]->pk.data;

		ids_signer(id, pk);
		if (!roster_put_secretariat_key(a->roster, id, pk))
			return RK_ENOMEM;
	}
	if ((rc = each_row(t, T_DEVICE, load_device, a)) != RK_OK)
		return rc;
	return each_row(t, T_INVITE, load_invite, a);
}

int apply_load_next_due(struct apply *a, struct txn *t)
{
	struct rows_due due;
	int rc = rows_first_due(t, &due);

	a->next_due_ms = rc == RK_OK && a->fork.log == 0 ? due.time_ms : INT64_MAX;
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

static int load_facts(struct apply *a, struct txn *t)
{
	int rc = rows_get_meta(t, "exchange", a->exchange_id, sizeof(a->exchange_id));

	a->has_exchange = rc == RK_OK;
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	if ((rc = rows_get_meta(t, "generation", a->generation, sizeof(a->generation))) != RK_OK ||
	    (rc = rows_get_time(t, &a->last_time_ms)) != RK_OK ||
	    (rc = rows_get_directory(t, &a->directory)) != RK_OK ||
	    (rc = rows_get_epoch(t, &a->epoch)) != RK_OK ||
	    (rc = load_charter(a, t)) != RK_OK)
		return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
	if ((rc = apply_log_load(a, t)) != RK_OK)
		return rc;
	a->secretariat_count = 0;
	if ((rc = each_row(t, T_ORG, load_org, a)) != RK_OK)
		return rc;
	return apply_load_next_due(a, t);
}

int apply_load(struct apply *a, bool with_roster)
{
	struct txn *t = a->txn;
	int rc;

	if (!t && (rc = env_begin(a->env, false, &t)) != RK_OK)
		return rc;
	a->next_due_ms = INT64_MAX;
	rc = load_facts(a, t);
	if (rc == RK_OK && with_roster && a->roster && a->has_exchange)
		rc = load_roster(a, t);
	if (t != a->txn)
		env_abort(t);
	return rc;
}
