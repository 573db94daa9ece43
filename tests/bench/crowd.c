/*
 * crowd charter DATA FILE          a charter for the broker in DATA, for `renkeid adopt`
 * crowd fill DATA FILE DEVICES     that many devices enter the running broker; FILE is the charter that it adopted
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/bench/crowd_kit.h"
#include "tests/unit/rawpeer.h"

#define SECRETARIAT 0
#define DAY_MS ((int64_t)86400000)
#define OBJECT_FRAME_MAX (256 * 1024)

#define NEW_MESSAGE(var, type, Type) \
	Rk__##Type *var = fixed_alloc(arena, sizeof(*var)); \
	rk__##type##__init(var)

static struct crowd crowd;
static struct arena *arena;
static int64_t now_ms;

static ProtobufCBinaryData keep(const void *data, size_t len)
{
	void *copy = arena_copy(arena, data, len);

	crowd_must(copy == NULL ? RK_ENOMEM : RK_OK, "memory");
	return pb_of(bytes_make(copy, len));
}

static Rk__Signed *sign(enum object_kind kind, const struct fixed_sign *key, const ProtobufCMessage *m, struct bytes *wire)
{
	struct bytes made;
	Rk__Signed *s;

	crowd_must(object_make(kind, crowd.f.exchange_id, key->sk, m, arena, &made), "signing");
	crowd_must(STRICT_PARSE(signed, made, arena, &s), "signed");
	if (wire != NULL)
		*wire = made;
	return s;
}

/* ---- the charter: fixed_kit's, of today and with the broker's own keys */

static Rk__Signed *charter(void)
{
	Rk__Charter *c = fixed_charter(&crowd.f, arena);

	c->endpoints[0] = crowd.card.endpoint;
	c->issued_at = now_ms;
	c->not_after = now_ms + TRUST_CHARTER_AGE_MS;
	c->secretariat_keys[0]->not_before = now_ms;
	c->secretariat_keys[0]->not_after = now_ms + 1000 * DAY_MS;
	return sign(OBJECT_KIND_CHARTER, &crowd.f.root, &c->base, NULL);
}

static Rk__Signed *first_directory(void)
{
	Rk__Directory *d = fixed_directory(&crowd.f, arena);

	d->n_orgs = 1;
	d->issued_at = now_ms;
	d->expires_at = now_ms + TRUST_DIRECTORY_AGE_MS;
	return sign(OBJECT_KIND_DIRECTORY, &crowd.f.secretariat, &d->base, NULL);
}

static Rk__Signed *secretariat_devices(void)
{
	Rk__OrgDevices *d = fixed_org_devices(&crowd.f, SECRETARIAT, arena);

	d->issued_at = now_ms;
	d->valid_until = now_ms + TRUST_DEVICES_AGE_MS;
	return sign(OBJECT_KIND_ORG_DEVICES, &crowd.f.orgs[SECRETARIAT].org, &d->base, NULL);
}

static Rk__Signed *secretariat_kx(void)
{
	Rk__DeviceKx *k = fixed_device_kx(&crowd.f, SECRETARIAT, arena);

	k->not_before = now_ms;
	k->not_after = now_ms + TRUST_KX_AGE_MS;
	return sign(OBJECT_KIND_DEVICE_KX, &crowd.f.orgs[SECRETARIAT].device, &k->base, NULL);
}

static Rk__Signed *first_epoch(void)
{
	Rk__FeedEpoch *e = fixed_feed_epoch(&crowd.f, arena);

	e->not_before = now_ms;
	e->not_after = now_ms + TRUST_EPOCH_DEFAULT_MS;
	return sign(OBJECT_KIND_FEED_EPOCH, &crowd.f.secretariat, &e->base, NULL);
}

static Rk__Signed *secretariat_feed_key(void)
{
	uint8_t sealed[136];

	crowd_must(trust_feed_key_seal(sealed, 1, crowd.f.ek, crowd.f.orgs[SECRETARIAT].kx.pk), "feed key");
	return sign(OBJECT_KIND_FEED_KEY, &crowd.f.secretariat, &fixed_feed_key(&crowd.f, SECRETARIAT, sealed, arena)->base, NULL);
}

static int make_charter(const char *path)
{
	Rk__CharterFile file = RK__CHARTER_FILE__INIT;
	struct bytes packed;

	file.charter = charter();
	file.directory = first_directory();
	file.org_devices = secretariat_devices();
	file.device_kx = secretariat_kx();
	file.feed_epoch = first_epoch();
	file.feed_key = secretariat_feed_key();
	crowd_must(STRICT_PACK(&file, arena, &packed), "charter file");
	FILE *f = fopen(path, "w");
	crowd_must(f != NULL && fwrite(packed.data, packed.len, 1, f) == 1 && fclose(f) == 0 ? RK_OK : RK_EIO, path);
	return 0;
}

/* ---- organisations and devices */

static struct rawpeer *connect_as(const struct fixed_box *curve)
{
	struct rawpeer *p = rawpeer_new(crowd.card.endpoint, crowd.card.curve_pk, curve->pk, curve->sk);

	crowd_must(p == NULL ? RK_ENOMEM : RK_OK, "connection");
	return p;
}

static void ask(struct rawpeer *p, Rk__Request *q, struct bytes object, bool is_numbered, const char *what)
{
	uint8_t hash[32];

	ids_sha256(hash, object);
	q->object_sha256 = pb_of(BYTES_OF(hash));
	q->object_len = (uint32_t)object.len;
	crowd_must(is_numbered ? rawpeer_numbered(p, q, &object, 1, NULL) : rawpeer_call(p, q, &object, 1, NULL), what);
}

static void put(struct rawpeer *p, enum object_kind kind, Rk__ObjectType type, struct bytes wire, const char *what)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__PutObject o = RK__PUT_OBJECT__INIT;
	struct object parsed;
	uint8_t oh[32];

	crowd_must(object_parse(kind, wire, arena, &parsed), what);
	object_oh(oh, &parsed, crowd.f.exchange_id);
	q.op = RK__OP__OP_PUT_OBJECT;
	o.type = type;
	o.oh = pb_of(BYTES_OF(oh));
	o.total = (uint32_t)wire.len;
	q.put_object = &o;
	crowd_must(wire.len > OBJECT_FRAME_MAX ? RK_TOO_LARGE : RK_OK, what);
	ask(p, &q, wire, true, what);
}

static Rk__OrgName **names(void)
{
	Rk__OrgName **list = fixed_alloc(arena, sizeof(*list));
	NEW_MESSAGE(n, org_name, OrgName);

	n->lang = (char *)keep("en", 3).data;
	n->name = (char *)keep("Member", 7).data;
	list[0] = n;
	return list;
}

static Rk__Device *device_row(unsigned n)
{
	struct crowd_device from;
	NEW_MESSAGE(d, device, Device);

	crowd_device(&from, n);
	d->device_id = keep(from.id, 16);
	d->sign_pk = keep(from.sign.pk, 32);
	d->curve_pk = keep(from.curve.pk, 32);
	d->label = (char *)keep("desk", 5).data;
	d->accepts_max = 1;
	return d;
}

static Rk__OrgDevices *devices_of(unsigned org, uint64_t serial, unsigned count, const uint8_t prev_oh[32])
{
	struct crowd_org o;
	NEW_MESSAGE(list, org_devices, OrgDevices);

	crowd_org(&o, org);
	list->version = 1;
	list->org_id = keep(o.id, 16);
	list->serial = serial;
	if (prev_oh != NULL)
		list->prev_oh = keep(prev_oh, 32);
	list->issued_at = now_ms;
	list->valid_until = now_ms + TRUST_DEVICES_AGE_MS;
	list->devices = fixed_alloc(arena, count * sizeof(*list->devices));
	for (unsigned i = 0; i < count; i++)
		list->devices[list->n_devices++] = device_row(org * CROWD_ORG_DEVICES + i);
	return list;
}

static Rk__Signed *first_devices(unsigned org)
{
	struct crowd_org o;

	crowd_org(&o, org);
	return sign(OBJECT_KIND_ORG_DEVICES, &o.key, &devices_of(org, 1, 1, NULL)->base, NULL);
}

static Rk__Signed *first_kx(unsigned org)
{
	struct crowd_device d;
	NEW_MESSAGE(k, device_kx, DeviceKx);

	crowd_device(&d, org * CROWD_ORG_DEVICES);
	k->version = k->serial = 1;
	k->device_id = keep(d.id, 16);
	k->kx_pk = keep(d.kx.pk, 32);
	k->not_before = now_ms;
	k->not_after = now_ms + TRUST_KX_AGE_MS;
	return sign(OBJECT_KIND_DEVICE_KX, &d.sign, &k->base, NULL);
}

static void enrol(struct rawpeer *office, unsigned org)
{
	uint8_t seed[32], mac_key[32], invite_id[16];
	struct fixed_box invite;
	struct crowd_org o;
	struct bytes wire;
	char name[32];
	Rk__Request q = RK__REQUEST__INIT, q2 = RK__REQUEST__INIT;
	Rk__InviteReg *reg = fixed_invite_reg(&crowd.f, arena);
	NEW_MESSAGE(e, enrol, Enrol);

	crowd_org(&o, org);
	snprintf(name, sizeof(name), "crowd invite %u", org);
	fixed_bytes(seed, sizeof(seed), name);
	invite_keys(seed, invite.pk, invite.sk, mac_key, invite_id);
	reg->invite_id = keep(invite_id, 16);
	reg->curve_pk = keep(invite.pk, 32);
	reg->expires_at = now_ms + INVITE_LIFE_MS;
	sign(OBJECT_KIND_INVITE_REG, &crowd.f.secretariat, &reg->base, &wire);
	q.op = RK__OP__OP_INVITE_REG;
	ask(office, &q, wire, true, "invite");
	e->version = 1;
	e->org_id = keep(o.id, 16);
	e->n_names = 1;
	e->names = names();
	e->kind = RK__ORG_KIND__COMPANY;
	e->country = (char *)keep("JP", 3).data;
	e->org_pk = keep(o.key.pk, 32);
	e->org_devices = first_devices(org);
	e->device_kx = first_kx(org);
	e->invite_id = keep(invite_id, 16);
	struct rawpeer *p = connect_as(&invite);
	q2.op = RK__OP__OP_ENROL;
	ask(p, &q2, fixed_enrol_request(&crowd.f, e, mac_key, &o.key, arena), false, "enrolment");
	rawpeer_free(p);
}

static Rk__Org *org_row(unsigned org)
{
	struct crowd_org from;
	NEW_MESSAGE(o, org, Org);

	crowd_org(&from, org);
	o->org_id = keep(from.id, 16);
	o->n_names = 1;
	o->names = names();
	o->kind = RK__ORG_KIND__COMPANY;
	o->country = (char *)keep("JP", 3).data;
	o->org_pk = keep(from.key.pk, 32);
	o->status = RK__ORG_STATUS__ACTIVE;
	o->since = now_ms;
	o->min_devices_serial = 1;
	return o;
}

static Rk__CharterFile *read_charter(const char *path)
{
	uint8_t *data = fixed_alloc(arena, 65536);
	Rk__CharterFile *file;
	FILE *f = fopen(path, "r");

	crowd_must(f == NULL ? RK_ENOTFOUND : RK_OK, path);
	size_t n = fread(data, 1, 65536, f);
	fclose(f);
	crowd_must(STRICT_PARSE(charter_file, bytes_make(data, n), arena, &file), path);
	return file;
}

static void second_directory(struct rawpeer *office, const Rk__Signed *first, unsigned orgs)
{
	Rk__Directory *d = fixed_directory(&crowd.f, arena);
	Rk__Org **rows = fixed_alloc(arena, (orgs + 1) * sizeof(*rows));
	uint8_t oh[32];
	struct bytes wire;

	object_hash(oh, OBJECT_KIND_DIRECTORY, crowd.f.exchange_id, bytes_of(first->payload), bytes_of(first->sig));
	rows[0] = d->orgs[0];
	for (unsigned i = 0; i < orgs; i++)
		rows[i + 1] = org_row(i);
	d->orgs = rows;
	d->n_orgs = orgs + 1;
	d->serial = CROWD_DIRECTORY_SERIAL;
	d->prev_oh = keep(oh, 32);
	d->issued_at = now_ms;
	d->expires_at = now_ms + TRUST_DIRECTORY_AGE_MS;
	sign(OBJECT_KIND_DIRECTORY, &crowd.f.secretariat, &d->base, &wire);
	put(office, OBJECT_KIND_DIRECTORY, RK__OBJECT_TYPE__OBJECT_DIRECTORY, wire, "directory");
}

/* The first device of an organisation lists all of them. */
static void list_devices(unsigned org)
{
	struct crowd_device d;
	struct crowd_org o;
	uint8_t oh[32];
	struct bytes wire;
	const Rk__Signed *first = first_devices(org);

	crowd_org(&o, org);
	crowd_device(&d, org * CROWD_ORG_DEVICES);
	object_hash(oh, OBJECT_KIND_ORG_DEVICES, crowd.f.exchange_id, bytes_of(first->payload), bytes_of(first->sig));
	sign(OBJECT_KIND_ORG_DEVICES, &o.key, &devices_of(org, 2, CROWD_ORG_DEVICES, oh)->base, &wire);
	struct rawpeer *p = connect_as(&d.curve);
	crowd_must(rawpeer_hello(p), "HELLO");
	put(p, OBJECT_KIND_ORG_DEVICES, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, wire, "list of devices");
	rawpeer_free(p);
}

static int fill(const char *path, unsigned devices)
{
	const Rk__CharterFile *file = read_charter(path);
	struct rawpeer *office = connect_as(&crowd.f.orgs[SECRETARIAT].curve);
	unsigned orgs = (devices + CROWD_ORG_DEVICES - 1) / CROWD_ORG_DEVICES;

	crowd_must(rawpeer_hello(office), "HELLO of the secretariat");
	for (unsigned i = 0; i < orgs; i++)
		enrol(office, i);
	second_directory(office, file->directory, orgs);
	for (unsigned i = 0; i < orgs; i++)
		list_devices(i);
	rawpeer_free(office);
	return 0;
}

int main(int argc, char **argv)
{
	struct timespec t;

	if (!(argc == 4 && strcmp(argv[1], "charter") == 0) && !(argc == 5 && strcmp(argv[1], "fill") == 0)) {
		fprintf(stderr, "usage: crowd charter DATA FILE | crowd fill DATA FILE DEVICES\n");
		return 2;
	}
	clock_gettime(CLOCK_REALTIME, &t);
	now_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	crowd_open(&crowd, argv[2]);
	crowd_must((arena = arena_new((size_t)256 << 20)) == NULL ? RK_ENOMEM : RK_OK, "memory");
	return argc == 4 ? make_charter(argv[3]) : fill(argv[3], (unsigned)strtoul(argv[4], NULL, 10));
}
