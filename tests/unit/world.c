#include "tests/unit/world.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/request.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/nda.h"
#include "proto/strict.h"
#include "tests/unit/store_kit.h"

#define ARENA_BYTES ((size_t)512 << 20)
#define COMMAND_BYTES ((size_t)4 << 20)

#define NEW_MESSAGE(var, type, Type, arena) \
	Rk__##Type *var = fixed_alloc((arena), sizeof(*var)); \
	rk__##type##__init(var)

#define need world_need

void world_need_at(bool fact, const char *what, const char *file, int line)
{
	if (fact)
		return;
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

static ProtobufCBinaryData copy(struct world *w, const uint8_t *data, size_t len)
{
	uint8_t *p = arena_copy(w->arena, data, len);

	need(p != NULL);
	return pb_of(bytes_make(p, len));
}

static char *text(struct world *w, const char *s)
{
	return (char *)copy(w, (const uint8_t *)s, strlen(s)).data;
}

ProtobufCBinaryData world_fresh(struct world *w, size_t len)
{
	char name[32];

	snprintf(name, sizeof(name), "world %u", w->names++);
	return fixed_data(w->arena, len, name);
}

ProtobufCBinaryData world_copy(struct world *w, const void *data, size_t len)
{
	return copy(w, data, len);
}

struct bytes world_sign(struct world *w, enum object_kind kind, const struct fixed_sign *key, const ProtobufCMessage *m)
{
	struct bytes wire;

	need(object_make(kind, w->f.exchange_id, key->sk, m, w->arena, &wire) == RK_OK);
	return wire;
}

static Rk__Signed *sign(struct world *w, enum object_kind kind, const struct fixed_sign *key, const ProtobufCMessage *m)
{
	Rk__Signed *s;

	need(STRICT_PARSE(signed, world_sign(w, kind, key, m), w->arena, &s) == RK_OK);
	return s;
}

static ProtobufCBinaryData signer_id(struct world *w)
{
	uint8_t id[16];

	ids_signer(id, w->f.secretariat.pk);
	return copy(w, id, sizeof(id));
}

/* ---- keys and the adoption */
static void make_device(struct world_device *d, int org, int i)
{
	char name[64];

	snprintf(name, sizeof(name), "world device %d %d", org, i);
	fixed_sign_key(&d->sign, name);
	ids_device(d->id, d->sign.pk);
	snprintf(name, sizeof(name), "world curve %d %d", org, i);
	fixed_box_key(&d->curve, name);
	for (int k = 0; k < 3; k++) {
		snprintf(name, sizeof(name), "world kx %d %d %d", org, i, k);
		fixed_box_key(&d->kx[k], name);
	}
	snprintf(name, sizeof(name), "world epoch %d %d", org, i);
	fixed_bytes(d->epoch, sizeof(d->epoch), name);
}

static void make_org(struct world *w, int i)
{
	struct world_org *o = &w->orgs[i];
	uint8_t sk[32];
	char name[64];

	memset(o->id, 0x10 * (i + 1), sizeof(o->id));
	snprintf(name, sizeof(name), "world org %d", i);
	fixed_sign_key(&o->key, name);
	o->min_devices_serial = 1;
	o->roles = i == 0 ? TRUST_ROLE_SECRETARIAT : 0;
	for (int d = 0; d < WORLD_DEVICES; d++)
		make_device(&o->devices[d], i, d);
	snprintf(name, sizeof(name), "world invite %d", i);
	fixed_bytes(o->seed, sizeof(o->seed), name);
	invite_keys(o->seed, o->invite_pk, sk, o->mac_key, o->invite_id);
}

static void adopt(struct world *w)
{
	Rk__CharterFile file = RK__CHARTER_FILE__INIT;
	uint8_t generation[16];
	struct world_org *o = &w->orgs[0];

	o->status = RK__ORG_STATUS__ACTIVE;
	o->devices[0].is_listed = true;
	file.charter = sign(w, OBJECT_KIND_CHARTER, &w->f.root, &fixed_charter(&w->f, w->arena)->base);
	file.directory = sign(w, OBJECT_KIND_DIRECTORY, &w->f.secretariat, &world_directory(w)->base);
	file.org_devices = sign(w, OBJECT_KIND_ORG_DEVICES, &o->key, &world_devices(w, 0)->base);
	file.device_kx = sign(w, OBJECT_KIND_DEVICE_KX, &o->devices[0].sign, &world_kx(w, 0, 0)->base);
	o->devices[0].kx_serial = 1;
	file.feed_epoch = sign(w, OBJECT_KIND_FEED_EPOCH, &w->f.secretariat, &world_epoch(w)->base);
	file.feed_key = sign(w, OBJECT_KIND_FEED_KEY, &w->f.secretariat, &world_feed_key(w, 0, 0, 1)->base);
	fixed_bytes(generation, sizeof(generation), "generation");
	need(apply_adopt(w->env, &file, generation, w->now_ms) == RK_OK);
	need(apply_adopt(w->env, &file, generation, w->now_ms) == RK_CONFLICT);

	struct bytes payload = bytes_of(file.directory->payload), sig = bytes_of(file.directory->sig);

	object_hash(w->directory_oh, OBJECT_KIND_DIRECTORY, w->f.exchange_id, payload, sig);
	object_hash(w->epoch_oh, OBJECT_KIND_FEED_EPOCH, w->f.exchange_id, bytes_of(file.feed_epoch->payload),
	            bytes_of(file.feed_epoch->sig));
	object_hash(o->devices_oh, OBJECT_KIND_ORG_DEVICES, w->f.exchange_id, bytes_of(file.org_devices->payload),
	            bytes_of(file.org_devices->sig));
	w->directory_serial = w->epoch = 1;
	o->devices_serial = 1;
}

static void open_apply(struct world *w)
{
	need((w->roster = roster_new()) != NULL);
	need(apply_open(w->env, &w->limits, w->roster, &w->apply) == RK_OK);
	need((w->verify = verify_new(w->roster, w->f.exchange_id)) != NULL);
}

static void close_apply(struct world *w)
{
	verify_free(w->verify);
	apply_close(w->apply);
	roster_free(w->roster);
}

void world_open(struct world *w)
{
	need(sodium_init() >= 0);
	memset(w, 0, sizeof(*w));
	fixed_init(&w->f);
	need((w->arena = arena_new(ARENA_BYTES)) != NULL);
	need((w->commands = calloc(WORLD_COMMANDS_MAX, sizeof(struct command *))) != NULL);
	need((w->records = calloc(WORLD_COMMANDS_MAX, sizeof(*w->records))) != NULL);
	w->now_ms = FIXED_TIME_MS + 1000;
	w->directory_life_ms = TRUST_DIRECTORY_AGE_MS;
	w->limits = apply_default_limits;
	for (int i = 0; i < WORLD_ORGS; i++)
		make_org(w, i);
	store_kit_folder(w->folder);
	w->env = store_kit_open(w->folder, 0);
	adopt(w);
	open_apply(w);
	need(world_hello(w, 0, 0) == RK_OK);
}

void world_close(struct world *w)
{
	close_apply(w);
	env_close(w->env);
	store_kit_remove(w->folder);
	for (size_t i = 0; i < w->command_count; i++)
		arena_free(w->commands[i]->arena);
	free(w->commands);
	free(w->records);
	arena_free(w->arena);
}

void world_restart(struct world *w)
{
	close_apply(w);
	env_close(w->env);
	w->env = w->journal_bytes > 0 ? store_kit_open_writer(w->folder, w->map_bytes, w->journal_bytes) : store_kit_open(w->folder, w->map_bytes);
	open_apply(w);
}

void world_limits(struct world *w, const struct apply_limits *limits)
{
	w->limits = *limits;
	close_apply(w);
	open_apply(w);
}

/* ---- commands */
static bool is_numbered(Rk__Op op)
{
	switch (op) {
	case RK__OP__OP_INVITE_REG:
	case RK__OP__OP_PUT_OBJECT:
	case RK__OP__OP_SUBMIT:
	case RK__OP__OP_NDA_PROPOSE:
	case RK__OP__OP_NDA_ACT:
	case RK__OP__OP_PICKUP:
	case RK__OP__OP_PUT_CHECKPOINT:
	case RK__OP__OP_NACK:
	case RK__OP__OP_DEPOSIT:
	case RK__OP__OP_BLOB_OPEN:
		return true;
	default:
		return false;
	}
}

Rk__Request *world_request(struct world *w, int org, int device, Rk__Op op)
{
	struct world_device *d = &w->orgs[org].devices[device];
	NEW_MESSAGE(req, request, Request, w->arena);

	req->protocol = 1;
	req->op = op;
	req->tag = 7;
	if (is_numbered(op))
		req->number = d->number + 1;
	if (is_numbered(op) || op == RK__OP__OP_HELLO)
		req->writer_epoch = copy(w, d->epoch, 8);
	return req;
}

static struct command *new_command(struct world *w, const uint8_t peer_id[16], bool is_invite, Rk__Request *req,
				   struct bytes object, struct bytes wraps, struct bytes body)
{
	struct command *c = fixed_alloc(w->arena, sizeof(*c));
	uint8_t hash[32];

	memset(c, 0, sizeof(*c));
	memcpy(c->peer.id, peer_id, 16);
	c->peer.is_invite = is_invite;
	need((c->arena = arena_new(COMMAND_BYTES)) != NULL && w->command_count < WORLD_COMMANDS_MAX);
	w->commands[w->command_count++] = c;
	if (object.len > 0) {
		ids_sha256(hash, object);
		req->object_sha256 = copy(w, hash, 32);
		req->object_len = (uint32_t)object.len;
	}
	need(STRICT_PACK(req, w->arena, &c->frames[0]) == RK_OK);
	c->frame_count = 1;
	if (object.len > 0)
		c->frames[c->frame_count++] = object;
	if (wraps.len > 0)
		c->frames[c->frame_count++] = wraps;
	if (body.len > 0)
		c->frames[c->frame_count++] = body;
	request_hash(c->header_hash, c->frames[0]);
	c->refusal = request_parse(c);
	if (c->refusal == RK_OK && request_route(c) == REQUEST_VERIFY && !verify_command(w->verify, c))
		c->refusal = RK_BAD_SIGNATURE;
	return c;
}

struct command *world_command(struct world *w, int org, int device, Rk__Request *req, struct bytes object,
			      struct bytes wraps, struct bytes body)
{
	return new_command(w, w->orgs[org].devices[device].id, false, req, object, wraps, body);
}

struct command *world_invite_command(struct world *w, int org, Rk__Request *req, struct bytes object)
{
	return new_command(w, w->orgs[org].invite_id, true, req, object, bytes_make(NULL, 0), bytes_make(NULL, 0));
}

static struct world_device *device_of(struct world *w, const struct command *c)
{
	for (int o = 0; o < WORLD_ORGS; o++)
		for (int d = 0; d < WORLD_DEVICES; d++)
			if (memcmp(w->orgs[o].devices[d].id, c->peer.id, 16) == 0)
				return &w->orgs[o].devices[d];
	return NULL;
}

static void read_reply(struct world *w, const struct effect *e)
{
	Rk__Down *down;
	int rc = STRICT_PARSE(down, e->header, w->arena, &down);

	if (rc != RK_OK)
		fprintf(stderr, "world: a reply that no client would take: %s\n", errcode_name(rc));
	need(rc == RK_OK && down->reply && (int)down->reply->code == e->code);
	w->reply = down->reply;
	w->frame_count = e->frame_count;
	for (unsigned i = 0; i < e->frame_count; i++)
		w->frames[i] = bytes_of(copy(w, e->frames[i].data, e->frames[i].len));
}

/* Numbers move on as a client's do: when apply has taken them. */
static void take_number(struct world *w, const struct command *c, int code)
{
	struct world_device *d = device_of(w, c);

	if (!d || !c->req || !is_numbered(c->req->op) || code == RK_OUT_OF_ORDER || code == RK_NUMBER_CONFLICT ||
	    code == RK_STALE_WRITER || code == RK_GENERATION || code == RK_REVOKED || code == RK_BUSY)
		return;
	if (c->req->number == d->number + 1)
		d->number++;
}

static void read_effects(struct world *w, struct command **commands, size_t n, int *codes)
{
	size_t count, replies = 0;
	const struct effect *e = apply_effects(w->apply, &count);

	w->cut_count = w->stream_count = w->blob_drop_count = 0;
	for (size_t i = 0; i < count; i++) {
		switch (e[i].kind) {
		case EFFECT_REPLY:
			need(replies < n && e[i].command == commands[replies]);
			read_reply(w, &e[i]);
			codes[replies++] = e[i].code;
			break;
		case EFFECT_CUT:
			need(w->cut_count < 64);
			memcpy(w->cuts[w->cut_count++], e[i].device_id, 16);
			break;
		case EFFECT_ENTRY:
			break; /* a STREAM follows */
		case EFFECT_STREAM:
			w->stream_count++;
			break;
		case EFFECT_BLOB_DROP:
			need(w->blob_drop_count < WORLD_BLOB_DROPS);
			memcpy(w->blob_drops[w->blob_drop_count++], e[i].sha256, 32);
			break;
		}
	}
	need(replies == n); /* exactly one reply a command */
}

void world_run_batch(struct world *w, struct command **commands, size_t n, int *codes)
{
	int rc;

	need(apply_begin(w->apply, w->now_ms) == RK_OK);
	if (w->gathers)
		apply_gather(w->apply);
	apply_due(w->apply, 1000);
	for (size_t i = 0; i < n; i++)
		apply_command(w->apply, commands[i]);
	rc = apply_commit(w->apply);
	if (rc != RK_OK)
		fprintf(stderr, "world: commit: %s\n", errcode_name(rc));
	need(rc == RK_OK);
	read_effects(w, commands, n, codes);
	for (size_t i = 0; i < n; i++) {
		take_number(w, commands[i], codes[i]);
		need(w->record_count < WORLD_COMMANDS_MAX);
		w->records[w->record_count++] = (struct world_record){commands[i], w->now_ms};
	}
}

int world_run(struct world *w, struct command *c)
{
	int code;

	world_run_batch(w, &c, 1, &code);
	return code;
}

void world_tick(struct world *w)
{
	world_run_batch(w, NULL, 0, NULL);
}

static const struct bytes nothing = {NULL, 0};

int world_hello(struct world *w, int org, int device)
{
	Rk__Request *req = world_request(w, org, device, RK__OP__OP_HELLO);
	NEW_MESSAGE(hello, hello, Hello, w->arena);

	hello->protocol_min = hello->protocol_max = 1;
	hello->software = text(w, "world");
	req->hello = hello;
	return world_run(w, world_command(w, org, device, req, nothing, nothing, nothing));
}

int world_ack(struct world *w, int org, struct stream_id s, uint64_t seq)
{
	Rk__Request *req = world_request(w, org, 0, RK__OP__OP_ACK);
	NEW_MESSAGE(ack, ack, Ack, w->arena);
	NEW_MESSAGE(stream, stream_id, StreamId, w->arena);
	struct stream_id *kept = arena_copy(w->arena, &s, sizeof(s));

	need(kept != NULL);
	stream_to_wire(kept, stream);
	ack->stream = stream;
	ack->seq = seq;
	req->ack = ack;
	return world_run(w, world_command(w, org, 0, req, nothing, nothing, nothing));
}

struct command *world_put_command(struct world *w, int org, int device, Rk__ObjectType type, struct bytes wire)
{
	Rk__Request *req = world_request(w, org, device, RK__OP__OP_PUT_OBJECT);
	NEW_MESSAGE(put, put_object, PutObject, w->arena);
	struct object o;
	uint8_t oh[32] = {0};

	put->type = type;
	if (object_kind_of(type) != OBJECT_KIND_COUNT &&
	    object_parse(object_kind_of(type), wire, w->arena, &o) == RK_OK)
		object_oh(oh, &o, w->f.exchange_id);
	put->oh = copy(w, oh, 32);
	put->total = (uint32_t)wire.len;
	req->put_object = put;
	return world_command(w, org, device, req, wire, nothing, nothing);
}

int world_put(struct world *w, int org, int device, Rk__ObjectType type, struct bytes wire)
{
	return world_run(w, world_put_command(w, org, device, type, wire));
}

static void remember(struct world *w, enum object_kind kind, struct bytes wire, uint8_t oh[32])
{
	struct object o;

	need(object_parse(kind, wire, w->arena, &o) == RK_OK);
	object_oh(oh, &o, w->f.exchange_id);
}

/* ---- trust objects */
static Rk__OrgName **names(struct world *w, const char *name)
{
	Rk__OrgName **list = fixed_alloc(w->arena, sizeof(*list));
	NEW_MESSAGE(n, org_name, OrgName, w->arena);

	n->lang = text(w, "en");
	n->name = text(w, name);
	list[0] = n;
	return list;
}

static Rk__Org *org_row(struct world *w, int i)
{
	struct world_org *from = &w->orgs[i];
	NEW_MESSAGE(o, org, Org, w->arena);

	o->org_id = copy(w, from->id, 16);
	o->n_names = 1;
	o->names = names(w, "Disc Works");
	o->kind = RK__ORG_KIND__COMPANY;
	o->roles = from->roles;
	o->country = text(w, "JP");
	o->org_pk = copy(w, from->key.pk, 32);
	o->status = from->status;
	o->since = FIXED_TIME_MS;
	o->min_devices_serial = from->min_devices_serial;
	return o;
}

Rk__Directory *world_directory(struct world *w)
{
	NEW_MESSAGE(d, directory, Directory, w->arena);

	d->version = 1;
	d->serial = w->directory_serial + 1;
	if (w->directory_serial > 0)
		d->prev_oh = copy(w, w->directory_oh, 32);
	d->issued_at = w->now_ms;
	d->expires_at = w->now_ms + w->directory_life_ms;
	d->signer_id = signer_id(w);
	d->orgs = fixed_alloc(w->arena, WORLD_ORGS * sizeof(*d->orgs));
	for (int i = 0; i < WORLD_ORGS; i++)
		if (w->orgs[i].status != RK__ORG_STATUS__ORG_STATUS_NONE)
			d->orgs[d->n_orgs++] = org_row(w, i);
	return d;
}

int world_put_directory(struct world *w, Rk__Directory *d)
{
	struct bytes wire = world_sign(w, OBJECT_KIND_DIRECTORY, &w->f.secretariat, &d->base);
	int code = world_put(w, 0, 0, RK__OBJECT_TYPE__OBJECT_DIRECTORY, wire);

	if (code == RK_OK) {
		w->directory_serial = d->serial;
		remember(w, OBJECT_KIND_DIRECTORY, wire, w->directory_oh);
	}
	return code;
}

Rk__OrgDevices *world_devices(struct world *w, int org)
{
	struct world_org *o = &w->orgs[org];
	NEW_MESSAGE(list, org_devices, OrgDevices, w->arena);

	list->version = 1;
	list->org_id = copy(w, o->id, 16);
	list->serial = o->devices_serial + 1;
	if (o->devices_serial > 0)
		list->prev_oh = copy(w, o->devices_oh, 32);
	list->issued_at = w->now_ms;
	list->valid_until = w->now_ms + TRUST_DEVICES_AGE_MS;
	list->devices = fixed_alloc(w->arena, WORLD_DEVICES * sizeof(*list->devices));
	for (int i = 0; i < WORLD_DEVICES; i++) {
		struct world_device *from = &o->devices[i];

		if (!from->is_listed)
			continue;
		NEW_MESSAGE(d, device, Device, w->arena);
		d->device_id = copy(w, from->id, 16);
		d->sign_pk = copy(w, from->sign.pk, 32);
		d->curve_pk = copy(w, from->curve.pk, 32);
		d->label = text(w, "desk");
		d->accepts_max = 1;
		d->retired_at = from->retired_at;
		d->desks = (uint32_t *)(void *)world_copy(w, from->desks, sizeof(from->desks)).data;
		d->n_desks = from->desk_count;
		list->devices[list->n_devices++] = d;
	}
	return list;
}

int world_put_devices(struct world *w, int org, int device, Rk__OrgDevices *list)
{
	struct world_org *o = &w->orgs[org];
	struct bytes wire = world_sign(w, OBJECT_KIND_ORG_DEVICES, &o->key, &list->base);
	int code = world_put(w, org, device, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, wire);

	if (code == RK_OK) {
		o->devices_serial = list->serial;
		remember(w, OBJECT_KIND_ORG_DEVICES, wire, o->devices_oh);
	}
	return code;
}

Rk__DeviceKx *world_kx(struct world *w, int org, int device)
{
	struct world_device *d = &w->orgs[org].devices[device];
	NEW_MESSAGE(kx, device_kx, DeviceKx, w->arena);

	kx->version = 1;
	kx->device_id = copy(w, d->id, 16);
	kx->serial = d->kx_serial + 1;
	kx->kx_pk = copy(w, d->kx[d->kx_serial % 3].pk, 32);
	kx->not_before = w->now_ms;
	kx->not_after = w->now_ms + TRUST_KX_AGE_MS;
	return kx;
}

int world_put_kx(struct world *w, int org, int device, Rk__DeviceKx *kx)
{
	struct world_device *d = &w->orgs[org].devices[device];
	int code = world_put(w, org, device, RK__OBJECT_TYPE__OBJECT_DEVICE_KX,
			     world_sign(w, OBJECT_KIND_DEVICE_KX, &d->sign, &kx->base));

	if (code == RK_OK)
		d->kx_serial = kx->serial;
	return code;
}

Rk__FeedEpoch *world_epoch(struct world *w)
{
	uint8_t commit[32];
	NEW_MESSAGE(e, feed_epoch, FeedEpoch, w->arena);

	trust_ek_commit(commit, w->f.ek);
	e->version = 1;
	e->n = w->epoch + 1;
	if (w->epoch > 0)
		e->prev_oh = copy(w, w->epoch_oh, 32);
	e->directory_serial = w->directory_serial ? w->directory_serial : 1;
	e->ek_commit = copy(w, commit, 32);
	e->not_before = w->now_ms;
	e->not_after = w->now_ms + TRUST_EPOCH_DEFAULT_MS;
	e->signer_id = signer_id(w);
	return e;
}

int world_put_epoch(struct world *w, Rk__FeedEpoch *e)
{
	struct bytes wire = world_sign(w, OBJECT_KIND_FEED_EPOCH, &w->f.secretariat, &e->base);
	int code = world_put(w, 0, 0, RK__OBJECT_TYPE__OBJECT_FEED_EPOCH, wire);

	if (code == RK_OK) {
		w->epoch = e->n;
		remember(w, OBJECT_KIND_FEED_EPOCH, wire, w->epoch_oh);
	}
	return code;
}

Rk__FeedKey *world_feed_key(struct world *w, int org, int device, uint32_t n)
{
	struct world_device *d = &w->orgs[org].devices[device];
	uint8_t sealed[136];
	NEW_MESSAGE(k, feed_key, FeedKey, w->arena);

	need(trust_feed_key_seal(sealed, n, w->f.ek, d->kx[(d->kx_serial + 2) % 3].pk) == RK_OK);
	k->version = 1;
	k->n = n;
	k->device_id = copy(w, d->id, 16);
	k->kx_serial = d->kx_serial ? d->kx_serial : 1;
	k->sealed = copy(w, sealed, sizeof(sealed));
	k->signer_id = signer_id(w);
	return k;
}

int world_put_feed_key(struct world *w, Rk__FeedKey *k)
{
	return world_put(w, 0, 0, RK__OBJECT_TYPE__OBJECT_FEED_KEY,
			 world_sign(w, OBJECT_KIND_FEED_KEY, &w->f.secretariat, &k->base));
}

Rk__InviteReg *world_invite(struct world *w, int org)
{
	NEW_MESSAGE(reg, invite_reg, InviteReg, w->arena);

	reg->version = 1;
	reg->invite_id = copy(w, w->orgs[org].invite_id, 16);
	reg->curve_pk = copy(w, w->orgs[org].invite_pk, 32);
	reg->expires_at = w->now_ms + INVITE_LIFE_MS;
	reg->signer_id = signer_id(w);
	return reg;
}

int world_put_invite(struct world *w, Rk__InviteReg *reg)
{
	Rk__Request *req = world_request(w, 0, 0, RK__OP__OP_INVITE_REG);
	struct bytes wire = world_sign(w, OBJECT_KIND_INVITE_REG, &w->f.secretariat, &reg->base);

	return world_run(w, world_command(w, 0, 0, req, wire, nothing, nothing));
}

struct bytes world_enrol(struct world *w, int org)
{
	struct world_org *o = &w->orgs[org];
	bool was_listed = o->devices[0].is_listed;
	NEW_MESSAGE(e, enrol, Enrol, w->arena);

	o->devices[0].is_listed = true;
	e->version = 1;
	e->org_id = copy(w, o->id, 16);
	e->n_names = 1;
	e->names = names(w, "Disc Works");
	e->kind = RK__ORG_KIND__COMPANY;
	e->country = text(w, "JP");
	e->org_pk = copy(w, o->key.pk, 32);
	e->org_devices = sign(w, OBJECT_KIND_ORG_DEVICES, &o->key, &world_devices(w, org)->base);
	e->device_kx = sign(w, OBJECT_KIND_DEVICE_KX, &o->devices[0].sign, &world_kx(w, org, 0)->base);
	e->invite_id = copy(w, o->invite_id, 16);
	o->devices[0].is_listed = was_listed;
	object_hash(o->devices_oh, OBJECT_KIND_ORG_DEVICES, w->f.exchange_id, bytes_of(e->org_devices->payload),
	            bytes_of(e->org_devices->sig));
	return fixed_enrol_request(&w->f, e, o->mac_key, &o->key, w->arena);
}

int world_put_enrol(struct world *w, int org, struct bytes request)
{
	return world_run(w, world_invite_command(w, org, world_request(w, org, 0, RK__OP__OP_ENROL), request));
}

int world_set_status(struct world *w, int org, Rk__OrgStatus status)
{
	Rk__OrgStatus before = w->orgs[org].status;
	int code;

	w->orgs[org].status = status;
	if ((code = world_put_directory(w, world_directory(w))) != RK_OK)
		w->orgs[org].status = before;
	return code;
}

void world_admit(struct world *w, int org)
{
	struct world_org *o = &w->orgs[org];

	need(world_put_invite(w, world_invite(w, org)) == RK_OK);
	need(world_put_enrol(w, org, world_enrol(w, org)) == RK_OK);
	need(w->reply->enrol == RK__ENROL_STATE__ENROL_PENDING);
	o->devices_serial = 1;
	o->devices[0].is_listed = true;
	o->devices[0].kx_serial = 1;
	need(world_set_status(w, org, RK__ORG_STATUS__ACTIVE) == RK_OK);
	need(world_hello(w, org, 0) == RK_OK);
}
