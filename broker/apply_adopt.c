/* The adoption, first act of a store's life.  No peer is involved: the signatures are verified here.  CRYPTO 2.3. */
#include "broker/apply_internal.h"

#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/note.h"

/* The six objects of charter.rk, parsed and proven. */
struct adoption {
	struct arena *arena;
	struct object objects[OBJECT_KIND_FEED_KEY + 1];
	uint8_t oh[OBJECT_KIND_FEED_KEY + 1][32];
	const Rk__Charter *charter;
	const Rk__Directory *directory;
	const Rk__OrgDevices *devices;
	const Rk__DeviceKx *kx;
	const Rk__FeedEpoch *epoch;
	const Rk__FeedKey *key;
};

static int parse_all(struct adoption *f, const Rk__CharterFile *file)
{
	const Rk__Signed *parts[] = {
		[OBJECT_KIND_CHARTER] = file->charter, [OBJECT_KIND_DIRECTORY] = file->directory,
		[OBJECT_KIND_ORG_DEVICES] = file->org_devices, [OBJECT_KIND_DEVICE_KX] = file->device_kx,
		[OBJECT_KIND_FEED_EPOCH] = file->feed_epoch, [OBJECT_KIND_FEED_KEY] = file->feed_key,
	};
	int rc;

	for (unsigned kind = 0; kind <= OBJECT_KIND_FEED_KEY; kind++) {
		if (!parts[kind])
			return RK_MALFORMED;
		arena_raise(f->arena, arena_budget(parts[kind]->payload.len));
		if ((rc = object_parse_signed(kind, parts[kind], f->arena, &f->objects[kind])) != RK_OK)
			return rc;
	}
	f->charter = (const Rk__Charter *)f->objects[OBJECT_KIND_CHARTER].message;
	f->directory = (const Rk__Directory *)f->objects[OBJECT_KIND_DIRECTORY].message;
	f->devices = (const Rk__OrgDevices *)f->objects[OBJECT_KIND_ORG_DEVICES].message;
	f->kx = (const Rk__DeviceKx *)f->objects[OBJECT_KIND_DEVICE_KX].message;
	f->epoch = (const Rk__FeedEpoch *)f->objects[OBJECT_KIND_FEED_EPOCH].message;
	f->key = (const Rk__FeedKey *)f->objects[OBJECT_KIND_FEED_KEY].message;
	return RK_OK;
}

static int check_signature(struct adoption *f, enum object_kind kind, const uint8_t *pk)
{
	if (!pk)
		return RK_NOT_PERMITTED;
	object_oh(f->oh[kind], &f->objects[kind], f->charter->exchange_id.data);
	return object_check(&f->objects[kind], f->charter->exchange_id.data, pk);
}

/* The four that a secretariat key signs, each naming its key. */
static int check_secretariat(struct adoption *f, enum object_kind kind, ProtobufCBinaryData signer_id, int64_t t_ms)
{
	return check_signature(f, kind, trust_secretariat_pk(f->charter, signer_id.data, t_ms));
}

static int check_signatures(struct adoption *f, int64_t t_ms)
{
	int rc;

	if ((rc = check_signature(f, OBJECT_KIND_CHARTER, f->charter->root_pk.data)) != RK_OK ||
	    (rc = check_secretariat(f, OBJECT_KIND_DIRECTORY, f->directory->signer_id, t_ms)) != RK_OK ||
	    (rc = check_secretariat(f, OBJECT_KIND_FEED_EPOCH, f->epoch->signer_id, t_ms)) != RK_OK ||
	    (rc = check_secretariat(f, OBJECT_KIND_FEED_KEY, f->key->signer_id, t_ms)) != RK_OK ||
	    (rc = check_signature(f, OBJECT_KIND_ORG_DEVICES, f->directory->orgs[0]->org_pk.data)) != RK_OK)
		return rc;
	return check_signature(f, OBJECT_KIND_DEVICE_KX, f->devices->devices[0]->sign_pk.data);
}

/* The secretariat alone, with one device, and everything about that one. */
static int check_rules(const struct adoption *f, int64_t t_ms)
{
	static const struct trust_prev none;
	int rc;

	if ((rc = trust_check_charter(f->charter)) != RK_OK)
		return rc;
	if (t_ms >= f->charter->not_after)
		return RK_CHARTER_EXPIRED;
	if ((rc = trust_check_directory(f->directory, f->charter, none, NULL)) != RK_OK)
		return rc;
	if (t_ms >= f->directory->expires_at)
		return RK_DIRECTORY_EXPIRED;
	if (f->directory->n_orgs != 1 || f->directory->orgs[0]->min_devices_serial != 1)
		return RK_CONFLICT;
	if ((rc = trust_check_org_devices(f->devices, none)) != RK_OK ||
	    (rc = trust_check_device_kx(f->kx, 0)) != RK_OK || (rc = trust_check_feed_epoch(f->epoch, none)) != RK_OK)
		return rc;
	if (f->devices->n_devices != 1 ||
	    memcmp(f->devices->org_id.data, f->directory->orgs[0]->org_id.data, 16) != 0 ||
	    memcmp(f->kx->device_id.data, f->devices->devices[0]->device_id.data, 16) != 0 ||
	    f->epoch->directory_serial != 1 || memcmp(f->key->device_id.data, f->kx->device_id.data, 16) != 0 ||
	    f->key->n != 1 || f->key->kx_serial != 1)
		return RK_CONFLICT;
	return RK_OK;
}

/* ---- writing */
static int put_keys(struct apply *a, const struct adoption *f)
{
	static const uint8_t nobody[16];
	const Rk__Charter *c = f->charter;
	const Rk__Org *org = f->directory->orgs[0];
	const Rk__Device *d = f->devices->devices[0];
	const struct {
		const uint8_t *pk;
		enum rows_key_use use;
		const uint8_t *owner;
	} keys[] = {
		{c->root_pk.data, KEY_ROOT, nobody},          {c->curve_pk.data, KEY_BROKER, nobody},
		{org->org_pk.data, KEY_ORG, org->org_id.data}, {d->sign_pk.data, KEY_DEVICE_SIGN, d->device_id.data},
		{d->curve_pk.data, KEY_DEVICE_CURVE, d->device_id.data}, {f->kx->kx_pk.data, KEY_KX, d->device_id.data},
	};
	const char *notes[] = {c->log_vkey, c->witness_vkey};
	int rc;

	for (size_t i = 0; i < c->n_secretariat_keys; i++)
		if ((rc = rows_put_key(apply_w(a), c->secretariat_keys[i]->pk.data, KEY_SECRETARIAT, nobody)) != RK_OK)
			return rc;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		char name[NOTE_NAME_CHARS];
		uint8_t type, pk[32];

		if ((rc = note_vkey_parse(notes[i], name, &type, pk)) != RK_OK ||
		    (rc = rows_put_key(apply_w(a), pk, KEY_NOTE, nobody)) != RK_OK)
			return rc;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		/* Members' keys and the exchange's are all different. */
		if (rows_has_key(a->txn, keys[i].pk))
			return RK_CONFLICT;
		if ((rc = rows_put_key(apply_w(a), keys[i].pk, keys[i].use, keys[i].owner)) != RK_OK)
			return rc;
	}
	return RK_OK;
}

static int put_secretariat(struct apply *a, const struct adoption *f)
{
	const Rk__Org *o = f->directory->orgs[0];
	const Rk__Device *d = f->devices->devices[0];
	struct rows_org org = {
	    .status = (uint8_t)o->status, .roles = o->roles, .devices_serial = 1, .min_devices_serial = 1};
	struct rows_device device = {.state = DEVICE_LISTED, .kx_serial = 1, .kx_not_after = f->kx->not_after};
	int rc;

	memcpy(org.org_pk, o->org_pk.data, 32);
	ids_sha256(org.key_fp, bytes_of(o->org_pk));
	memcpy(org.devices_oh, f->oh[OBJECT_KIND_ORG_DEVICES], 32);
	memcpy(device.org_id, o->org_id.data, 16);
	memcpy(device.sign_pk, d->sign_pk.data, 32);
	memcpy(device.curve_pk, d->curve_pk.data, 32);
	if ((rc = rows_put_org(apply_w(a), o->org_id.data, &org)) != RK_OK ||
	    (rc = rows_put_desks(apply_w(a), d->device_id.data, d->desks, d->n_desks)) != RK_OK)
		return rc;
	return rows_put_device(apply_w(a), d->device_id.data, &device);
}

static int put_facts(struct apply *a, const struct adoption *f, const uint8_t generation[16])
{
	struct rows_directory directory = {.serial = 1, .expires_at = f->directory->expires_at};
	struct rows_epoch epoch = {.n = 1, .logged_at = a->now_ms};
	int rc;

	memcpy(directory.oh, f->oh[OBJECT_KIND_DIRECTORY], 32);
	memcpy(epoch.oh, f->oh[OBJECT_KIND_FEED_EPOCH], 32);
	if ((rc = rows_put_meta(apply_w(a), "exchange", f->charter->exchange_id.data, 32)) != RK_OK ||
	    (rc = rows_put_meta(apply_w(a), "generation", generation, 16)) != RK_OK ||
	    (rc = rows_put_time(apply_w(a), a->now_ms)) != RK_OK ||
	    (rc = rows_put_directory(apply_w(a), &directory)) != RK_OK)
		return rc;
	return rows_put_epoch(apply_w(a), &epoch);
}

static int put_objects(struct apply *a, const struct adoption *f)
{
	const uint8_t *org_id = f->devices->org_id.data, *device_id = f->kx->device_id.data;
	const struct {
		enum object_kind kind;
		const uint8_t *id;
	} order[] = {
		{OBJECT_KIND_CHARTER, NULL},         {OBJECT_KIND_DIRECTORY, NULL},  {OBJECT_KIND_ORG_DEVICES, org_id},
		{OBJECT_KIND_DEVICE_KX, device_id}, {OBJECT_KIND_FEED_EPOCH, NULL},
	};
	int rc;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		enum object_kind kind = order[i].kind;

		rc = apply_trust_publish(a, kind, order[i].id, 1, f->oh[kind], f->objects[kind].wire, NULL);
		if (rc != RK_OK)
			return rc;
	}
	return apply_trust_feed_key_entry(a, device_id, org_id, 1, f->oh[OBJECT_KIND_FEED_KEY],
					  f->objects[OBJECT_KIND_FEED_KEY].wire);
}

static int write_all(struct env *env, const struct adoption *f, const uint8_t generation[16], int64_t time_ms)
{
	struct apply *a = NULL;
	int rc;

	if ((rc = apply_open(env, NULL, NULL, &a)) != RK_OK)
		return rc;
	if (a->has_exchange) {
		rc = RK_CONFLICT;
		goto out;
	}
	if ((rc = apply_begin(a, time_ms)) != RK_OK)
		goto out;
	if ((rc = put_keys(a, f)) != RK_OK || (rc = put_secretariat(a, f)) != RK_OK ||
	    (rc = put_facts(a, f, generation)) != RK_OK || (rc = put_objects(a, f)) != RK_OK)
		goto out;
	rc = apply_commit(a);
out:
	apply_close(a);
	return rc;
}

int apply_adopt(struct env *env, const Rk__CharterFile *file, const uint8_t generation[16], int64_t time_ms)
{
	struct adoption f = {0};
	int rc;

	if (!(f.arena = arena_new(arena_budget(0))))
		return RK_ENOMEM;
	if ((rc = parse_all(&f, file)) != RK_OK || (rc = check_rules(&f, time_ms)) != RK_OK ||
	    (rc = check_signatures(&f, time_ms)) != RK_OK)
		goto out;
	rc = write_all(env, &f, generation, time_ms);
out:
	arena_free(f.arena);
	return rc;
}
