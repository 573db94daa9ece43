/*
 * Trust objects that touch one thing: invites, enrolments, kx keys, feed epochs and feed keys.  The two that touch
 * many, Directory and OrgDevices, have files of their own.  CRYPTO 2.2, 2.3, 2.6.
 */
#include "broker/apply_internal.h"

#include <assert.h>

#include "proto/ids.h"
#include "proto/invite.h"

#define ANNOUNCE_FROM_BYTES ((size_t)64 << 10)

static uint8_t entry_kind_of(enum object_kind kind)
{
	switch (kind) {
	case OBJECT_KIND_CHARTER:
		return RK__ENTRY_KIND__ENTRY_CHARTER;
	case OBJECT_KIND_DIRECTORY:
		return RK__ENTRY_KIND__ENTRY_DIRECTORY;
	case OBJECT_KIND_ORG_DEVICES:
		return RK__ENTRY_KIND__ENTRY_ORG_DEVICES;
	case OBJECT_KIND_DEVICE_KX:
		return RK__ENTRY_KIND__ENTRY_DEVICE_KX;
	default:
		assert(kind == OBJECT_KIND_FEED_EPOCH);
		return RK__ENTRY_KIND__ENTRY_FEED_EPOCH;
	}
}

int apply_step_over(const struct apply *a, uint64_t serial, ProtobufCBinaryData prev_oh, int64_t newest_ms,
		    struct trust_prev *prev)
{
	if (prev_oh.len != sizeof(prev->oh) || !trust_may_step(a->charter, newest_ms, prev->serial, serial))
		return RK_CONFLICT;
	prev->serial = serial - 1;
	memcpy(prev->oh, prev_oh.data, sizeof(prev->oh));
	return RK_OK;
}

int apply_trust_publish(struct apply *a, enum object_kind kind, const uint8_t *id, uint64_t serial,
			const uint8_t oh[32], struct bytes wire, struct result *r)
{
	const struct object_info *info = object_info(kind);
	struct stream_id control = stream_control();
	struct stream_entry e = {.kind = entry_kind_of(kind), .object = wire};
	Rk__Announce announce = RK__ANNOUNCE__INIT;
	uint8_t packed[128];
	int rc;

	if ((rc = rows_put_object(apply_w(a), (uint8_t)info->wire_type, id, serial, oh, wire)) != RK_OK)
		return rc;
	if (info->log_type != RK__LOG_TYPE__LOG_NONE) {
		if ((rc = apply_batch_log(a, info->log_type, oh, &e.log_index)) != RK_OK)
			return rc;
		e.flags |= STREAM_LOGGED;
		if (r) {
			r->logged = true;
			r->log_index = e.log_index;
		}
	}
	if (wire.len > ANNOUNCE_FROM_BYTES) {
		announce.type = info->wire_type;
		announce.id = pb_of(bytes_make(id, id ? 16 : 0));
		announce.serial = serial;
		announce.oh = pb_of(bytes_make(oh, 32));
		announce.len = (uint32_t)wire.len;
		assert(rk__announce__get_packed_size(&announce) <= sizeof(packed));
		e.object = bytes_make(packed, rk__announce__pack(&announce, packed));
		e.flags |= STREAM_ANNOUNCED;
	}
	return apply_batch_entry(a, &control, 1, &e, NULL, NULL);
}

/* ---- invites */
static int end_invite(struct apply *a, const Rk__InviteReg *reg)
{
	struct roster_change change = {.kind = ROSTER_DROP_INVITE};
	struct rows_invite invite;
	struct rows_org org;
	int rc;

	rc = rows_get_invite(a->txn, reg->invite_id.data, &invite);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_UNKNOWN_OBJECT : rc;
	if (memcmp(invite.curve_pk, reg->curve_pk.data, 32) != 0)
		return RK_CONFLICT;
	if (invite.expires_at != 0 &&
	    (rc = rows_del_due(apply_w(a), invite.expires_at, DUE_INVITE_EXPIRES, reg->invite_id.data, 16)) != RK_OK)
		return rc;
	if (invite.state == INVITE_PENDING) {
		/* Its keys stay known for ever; the organisation makes new ones with a new invite. */
		if ((rc = rows_get_org(a->txn, invite.org_id, &org)) != RK_OK)
			return rc == RK_ENOTFOUND ? RK_ESTORE : rc;
		org.status = ORG_REJECTED;
		if ((rc = rows_put_org(apply_w(a), invite.org_id, &org)) != RK_OK)
			return rc;
		invite.state = INVITE_REJECTED;
	} else if (invite.state == INVITE_OPEN) {
		invite.state = INVITE_ENDED;
	}
	invite.expires_at = 0;
	invite.devices = invite.kx = bytes_make(NULL, 0);
	if ((rc = rows_put_invite(apply_w(a), reg->invite_id.data, &invite)) != RK_OK)
		return rc;
	memcpy(change.invite.invite_id, reg->invite_id.data, 16);
	return apply_batch_change(a, &change);
}

static int open_invite(struct apply *a, const Rk__InviteReg *reg)
{
	struct roster_change change = {.kind = ROSTER_PUT_INVITE};
	struct rows_invite invite = {.state = INVITE_OPEN, .expires_at = reg->expires_at};
	int rc;

	if (reg->expires_at <= a->now_ms)
		return RK_INVITE_EXPIRED;
	if (reg->expires_at > a->now_ms + INVITE_LIFE_MS + APPLY_CLOCK_MS)
		return RK_CLOCK;
	if (env_has(a->txn, T_INVITE, bytes_of(reg->invite_id)) || rows_has_key(a->txn, reg->curve_pk.data))
		return RK_CONFLICT;

	memcpy(invite.curve_pk, reg->curve_pk.data, 32);
	if ((rc = rows_put_invite(apply_w(a), reg->invite_id.data, &invite)) != RK_OK ||
	    (rc = rows_put_key(apply_w(a), reg->curve_pk.data, KEY_INVITE, reg->invite_id.data)) != RK_OK ||
	    (rc = rows_put_due(apply_w(a), reg->expires_at, DUE_INVITE_EXPIRES, reg->invite_id.data, 16)) != RK_OK)
		return rc;
	memcpy(change.invite.invite_id, reg->invite_id.data, 16);
	memcpy(change.invite.curve_pk, reg->curve_pk.data, 32);
	change.invite.expires_at = reg->expires_at;
	return apply_batch_change(a, &change);
}

int apply_trust_invite(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__InviteReg *reg = (const Rk__InviteReg *)c->signed_object.message;
	uint8_t id[16];
	int rc;

	(void)r;
	if (!apply_is_secretariat(m))
		return RK_NOT_PERMITTED;
	if (!reg || c->signed_object.kind != OBJECT_KIND_INVITE_REG)
		return RK_MALFORMED;
	if ((rc = apply_check_signer(a, c, reg->signer_id)) != RK_OK)
		return rc;
	ids_invite(id, reg->curve_pk.data);
	if (memcmp(id, reg->invite_id.data, 16) != 0 || !ids_is_valid_box_pk(reg->curve_pk.data))
		return RK_MALFORMED;
	if (reg->expires_at == 0)
		return end_invite(a, reg);
	return (rc = apply_check_room(a, MARK_HARD)) != RK_OK ? rc : open_invite(a, reg);
}

/* ---- enrolment */
static Rk__EnrolState enrol_state(const struct rows_invite *i)
{
	switch (i->state) {
	case INVITE_PENDING:
		return RK__ENROL_STATE__ENROL_PENDING;
	case INVITE_APPROVED:
		return RK__ENROL_STATE__ENROL_APPROVED;
	default:
		return RK__ENROL_STATE__ENROL_REJECTED;
	}
}

/* Nothing of a newcomer may be known: not its id, and none of its keys in any use, now or before. */
static int check_enrol_is_new(struct apply *a, const struct trust_enrol *e)
{
	const Rk__Device *d = e->devices->devices[0];

	if (env_has(a->txn, T_ORG, bytes_of(e->enrol->org_id)) || env_has(a->txn, T_DEVICE, bytes_of(d->device_id)))
		return RK_CONFLICT;
	if (rows_has_key(a->txn, e->enrol->org_pk.data) || rows_has_key(a->txn, d->sign_pk.data) ||
	    rows_has_key(a->txn, d->curve_pk.data) || rows_has_key(a->txn, e->kx->kx_pk.data))
		return RK_CONFLICT;
	return RK_OK;
}

static int put_enrol_keys(struct apply *a, const struct trust_enrol *e)
{
	const Rk__Device *d = e->devices->devices[0];
	int rc;

	if ((rc = rows_put_key(apply_w(a), e->enrol->org_pk.data, KEY_ORG, e->enrol->org_id.data)) != RK_OK ||
	    (rc = rows_put_key(apply_w(a), d->sign_pk.data, KEY_DEVICE_SIGN, d->device_id.data)) != RK_OK ||
	    (rc = rows_put_key(apply_w(a), d->curve_pk.data, KEY_DEVICE_CURVE, d->device_id.data)) != RK_OK)
		return rc;
	return rows_put_key(apply_w(a), e->kx->kx_pk.data, KEY_KX, d->device_id.data);
}

static int put_enrol_rows(struct apply *a, const struct trust_enrol *e)
{
	const Rk__Device *d = e->devices->devices[0];
	struct rows_org org = {.status = ORG_PENDING, .devices_serial = e->devices->serial};
	struct rows_device device = {
	    .state = DEVICE_PENDING, .kx_serial = e->kx->serial, .kx_not_after = e->kx->not_after};
	int rc;

	memcpy(org.org_pk, e->enrol->org_pk.data, 32);
	ids_sha256(org.key_fp, bytes_of(e->enrol->org_pk));
	memcpy(org.invite_id, e->enrol->invite_id.data, 16);
	memcpy(org.devices_oh, e->devices_oh, 32);
	memcpy(device.org_id, e->enrol->org_id.data, 16);
	memcpy(device.sign_pk, d->sign_pk.data, 32);
	memcpy(device.curve_pk, d->curve_pk.data, 32);
	device.retired_at = d->retired_at;
	if ((rc = rows_put_org(apply_w(a), e->enrol->org_id.data, &org)) != RK_OK ||
	    (rc = rows_put_desks(apply_w(a), d->device_id.data, d->desks, d->n_desks)) != RK_OK)
		return rc;
	return rows_put_device(apply_w(a), d->device_id.data, &device);
}

static int announce_enrol(struct apply *a, const struct command *c)
{
	struct stream_id boxes[APPLY_SECRETARIATS_MAX];
	struct stream_entry e = {.kind = RK__ENTRY_KIND__ENTRY_ENROLMENT, .object = c->object};

	for (unsigned i = 0; i < a->secretariat_count; i++)
		boxes[i] = stream_mailbox(a->secretariats[i]);
	return a->secretariat_count ? apply_batch_entry(a, boxes, a->secretariat_count, &e, NULL, NULL) : RK_OK;
}

int apply_trust_enrol(struct apply *a, struct command *c, struct result *r)
{
	const struct trust_enrol *e = &c->enrol;
	struct rows_invite invite;
	int rc;

	if (!e->enrol || c->req->object_sha256.len != 32)
		return RK_MALFORMED;
	if (memcmp(e->enrol->invite_id.data, c->peer.id, 16) != 0)
		return RK_NOT_PERMITTED;
	rc = rows_get_invite(a->txn, c->peer.id, &invite);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_NOT_ADMITTED : rc;
	if (invite.state == INVITE_PENDING || invite.state == INVITE_APPROVED || invite.state == INVITE_REJECTED) {
		if (memcmp(invite.request_sha256, c->req->object_sha256.data, 32) != 0)
			return RK_INVITE_USED;
		r->enrol = enrol_state(&invite);
		return RK_OK;
	}
	if (invite.state == INVITE_ENDED || a->now_ms >= invite.expires_at)
		return RK_INVITE_EXPIRED;
	if ((rc = apply_check_room(a, MARK_HARD)) != RK_OK || (rc = check_enrol_is_new(a, e)) != RK_OK)
		return rc;
	if (e->kx->not_after <= a->now_ms || e->devices->valid_until <= a->now_ms)
		return RK_CLOCK;

	if ((rc = put_enrol_keys(a, e)) != RK_OK || (rc = put_enrol_rows(a, e)) != RK_OK ||
	    (rc = announce_enrol(a, c)) != RK_OK)
		return rc;
	invite.state = INVITE_PENDING;
	memcpy(invite.org_id, e->enrol->org_id.data, 16);
	memcpy(invite.request_sha256, c->req->object_sha256.data, 32);
	memcpy(invite.devices_oh, e->devices_oh, 32);
	memcpy(invite.kx_oh, e->kx_oh, 32);
	invite.devices = e->devices_wire;
	invite.kx = e->kx_wire;
	r->enrol = RK__ENROL_STATE__ENROL_PENDING;
	return rows_put_invite(apply_w(a), c->peer.id, &invite);
}

/* ---- kx keys */
/* What a restored store has lost is stepped over once, as with directories and lists: not_after says when the newest one here was made. */
static uint32_t kx_before(const struct apply *a, const struct rows_device *d, uint32_t serial)
{
	bool may_step = trust_may_step(a->charter, d->kx_not_after - TRUST_KX_AGE_MS, d->kx_serial, serial);

	return may_step ? serial - 1 : d->kx_serial;
}

static int put_kx(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__DeviceKx *kx = (const Rk__DeviceKx *)c->signed_object.message;
	struct rows_device d = m->device;
	uint64_t today;
	int rc;

	if (memcmp(kx->device_id.data, m->device_id, 16) != 0)
		return RK_NOT_PERMITTED;
	if (memcmp(c->object_pk, d.sign_pk, 32) != 0)
		return RK_BAD_SIGNATURE;
	if ((rc = apply_check_directory(a)) != RK_OK || (rc = apply_check_room(a, MARK_HARD)) != RK_OK ||
	    (rc = trust_check_device_kx(kx, kx_before(a, &d, kx->serial))) != RK_OK)
		return rc;
	if (kx->not_after <= a->now_ms || kx->not_before > a->now_ms + APPLY_CLOCK_MS)
		return RK_CLOCK;
	if (rows_has_key(a->txn, kx->kx_pk.data))
		return RK_CONFLICT;
	if ((rc = apply_batch_day_count(a, QUOTA_KX_DAY, m->device_id, NULL, &today)) != RK_OK)
		return rc;
	if (today >= APPLY_KX_PER_DAY)
		return RK_QUOTA;

	d.kx_before_not_after = d.kx_serial != 0 && kx->serial == d.kx_serial + 1 ? d.kx_not_after : 0;
	d.kx_serial = kx->serial;
	d.kx_not_after = kx->not_after;
	m->device = d;
	if ((rc = rows_put_device(apply_w(a), m->device_id, &d)) != RK_OK ||
	    (rc = rows_put_key(apply_w(a), kx->kx_pk.data, KEY_KX, m->device_id)) != RK_OK ||
	    (rc = apply_batch_put_day_count(a, QUOTA_KX_DAY, m->device_id, NULL, today + 1)) != RK_OK)
		return rc;
	return apply_trust_publish(a, OBJECT_KIND_DEVICE_KX, m->device_id, kx->serial, c->object_oh,
				   c->signed_object.wire, r);
}

/* ---- feed epochs and keys */
static int put_epoch(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__FeedEpoch *e = (const Rk__FeedEpoch *)c->signed_object.message;
	struct trust_prev prev = {.serial = a->epoch.n};
	int rc;

	(void)m;
	memcpy(prev.oh, a->epoch.oh, 32);
	if ((rc = apply_check_signer(a, c, e->signer_id)) != RK_OK || (rc = apply_check_room(a, MARK_HARD)) != RK_OK)
		return rc;
	if (e->n != prev.serial + 1 && (rc = apply_step_over(a, e->n, e->prev_oh, a->epoch.logged_at, &prev)) != RK_OK)
		return rc;
	if ((rc = trust_check_feed_epoch(e, prev)) != RK_OK)
		return rc;
	if (e->directory_serial != a->directory.serial)
		return RK_STALE_DIRECTORY;
	if (apply_check_clock(a, e->not_before) != RK_OK)
		return RK_CLOCK;

	a->epoch = (struct rows_epoch){.n = e->n, .logged_at = a->now_ms};
	memcpy(a->epoch.oh, c->object_oh, 32);
	if ((rc = rows_put_epoch(apply_w(a), &a->epoch)) != RK_OK)
		return rc;
	return apply_trust_publish(a, OBJECT_KIND_FEED_EPOCH, NULL, e->n, c->object_oh, c->signed_object.wire, r);
}

int apply_trust_feed_key_entry(struct apply *a, const uint8_t device_id[16], const uint8_t org_id[16], uint32_t n,
                               const uint8_t oh[32], struct bytes wire)
{
	struct stream_id box = stream_mailbox(org_id);
	struct stream_entry e = {.kind = RK__ENTRY_KIND__ENTRY_FEED_KEY, .object = wire};
	int rc = rows_put_object(apply_w(a), RK__OBJECT_TYPE__OBJECT_FEED_KEY, device_id, n, oh, wire);

	return rc != RK_OK ? rc : apply_batch_entry(a, &box, 1, &e, NULL, NULL);
}

/* A device gets an epoch's key once for each of its kx keys: a second seal to the same key would only be noise in its mailbox.  But of each
 * officer: of two who rotated at once one was refused, and what it had sealed behind its epoch opens to nothing. */
static int check_feed_key_is_new(struct apply *a, struct command *c, const Rk__FeedKey *k)
{
	struct object old;
	struct bytes wire;
	int rc = rows_get_object(a->txn, RK__OBJECT_TYPE__OBJECT_FEED_KEY, k->device_id.data, k->n, NULL, NULL, &wire);

	if (rc == RK_ENOTFOUND)
		return RK_OK;
	if (rc != RK_OK)
		return rc;
	if ((rc = object_parse(OBJECT_KIND_FEED_KEY, wire, c->arena, &old)) != RK_OK)
		return rc < 0 ? rc : RK_ESTORE;
	if (!bytes_equal(bytes_of(((const Rk__FeedKey *)old.message)->signer_id), bytes_of(k->signer_id)))
		return RK_OK;
	return ((const Rk__FeedKey *)old.message)->kx_serial >= k->kx_serial ? RK_DUPLICATE : RK_OK;
}

static int put_feed_key(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__FeedKey *k = (const Rk__FeedKey *)c->signed_object.message;
	struct rows_device d;
	struct rows_org o;
	int rc;

	(void)m;
	(void)r;
	if ((rc = apply_check_signer(a, c, k->signer_id)) != RK_OK || (rc = apply_check_room(a, MARK_HARD)) != RK_OK)
		return rc;
	if (k->n == 0 || k->n > a->epoch.n)
		return RK_EPOCH_UNKNOWN;
	rc = rows_get_device(a->txn, k->device_id.data, &d);
	if (rc == RK_OK)
		rc = rows_get_org(a->txn, d.org_id, &o);
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_UNKNOWN_RECIPIENT : rc;
	if (!apply_device_is_active(&d, a->now_ms) || o.status != ORG_ACTIVE)
		return RK_UNKNOWN_RECIPIENT;
	if (d.kx_serial == 0 || k->kx_serial > d.kx_serial)
		return RK_NO_RECIPIENT_KEY;
	if ((rc = check_feed_key_is_new(a, c, k)) != RK_OK)
		return rc;

	return apply_trust_feed_key_entry(a, k->device_id.data, d.org_id, k->n, c->object_oh, c->signed_object.wire);
}

/* ---- PUT_OBJECT */
int apply_trust_put(struct apply *a, struct command *c, struct member *m, struct result *r)
{
	const Rk__PutObject *put = c->req->put_object;
	bool is_part;

	if (!put)
		return RK_MALFORMED;
	switch (put->type) {
	case RK__OBJECT_TYPE__OBJECT_DIRECTORY:
	case RK__OBJECT_TYPE__OBJECT_FEED_EPOCH:
	case RK__OBJECT_TYPE__OBJECT_FEED_KEY:
		if (!apply_is_secretariat(m))
			return RK_NOT_PERMITTED;
		break;
	case RK__OBJECT_TYPE__OBJECT_ORG_DEVICES:
	case RK__OBJECT_TYPE__OBJECT_DEVICE_KX:
		break;
	default:
		return RK_NOT_PERMITTED; /* a Charter enters by an adoption alone */
	}
	/* A part that is not the last one: verify keeps its bytes, its number is used up, nothing else happens. */
	is_part = put->type == RK__OBJECT_TYPE__OBJECT_DIRECTORY &&
		  (uint64_t)put->offset + c->req->object_len < put->total;
	if (is_part)
		return RK_OK;
	if (!c->signed_object.message || c->signed_object.kind != object_kind_of(put->type) || put->oh.len != 32 ||
	    memcmp(put->oh.data, c->object_oh, 32) != 0)
		return RK_MALFORMED;
	switch (put->type) {
	case RK__OBJECT_TYPE__OBJECT_DIRECTORY:
		return apply_directory_put(a, c, m, r);
	case RK__OBJECT_TYPE__OBJECT_ORG_DEVICES:
		return apply_devices_put(a, c, m, r);
	case RK__OBJECT_TYPE__OBJECT_DEVICE_KX:
		return put_kx(a, c, m, r);
	case RK__OBJECT_TYPE__OBJECT_FEED_EPOCH:
		return put_epoch(a, c, m, r);
	default:
		return put_feed_key(a, c, m, r);
	}
}
