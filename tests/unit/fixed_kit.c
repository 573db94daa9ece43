#include "tests/unit/fixed_kit.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/note.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define DAY_MS ((int64_t)86400000)

/* A message of this type in the arena, as its init leaves it. */
#define NEW_MESSAGE(var, type, Type, arena) \
	Rk__##Type *var = fixed_alloc((arena), sizeof(*var)); \
	rk__##type##__init(var)

static void need(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "fixed_kit: %s failed\n", what);
		abort();
	}
}

void *fixed_alloc(struct arena *a, size_t len)
{
	void *p = arena_alloc(a, len);

	need(p != NULL, "arena_alloc");
	return p;
}

void fixed_bytes(uint8_t *out, size_t len, const char *name)
{
	uint8_t seed[randombytes_SEEDBYTES];

	ids_hash(seed, "renkei/test", bytes_str(name));
	randombytes_buf_deterministic(out, len, seed);
}

ProtobufCBinaryData fixed_data(struct arena *a, size_t len, const char *name)
{
	uint8_t *p = fixed_alloc(a, len);

	fixed_bytes(p, len, name);
	return pb_of(bytes_make(p, len));
}

static ProtobufCBinaryData copy(struct arena *a, const uint8_t *data, size_t len)
{
	uint8_t *p = arena_copy(a, data, len);

	need(p != NULL, "arena_copy");
	return pb_of(bytes_make(p, len));
}

static char *text(struct arena *a, const char *s)
{
	return (char *)copy(a, (const uint8_t *)s, strlen(s)).data;
}

void fixed_sign_key(struct fixed_sign *k, const char *name)
{
	uint8_t seed[32];

	fixed_bytes(seed, sizeof(seed), name);
	crypto_sign_seed_keypair(k->pk, k->sk, seed);
}

void fixed_box_key(struct fixed_box *k, const char *name)
{
	uint8_t seed[32];

	fixed_bytes(seed, sizeof(seed), name);
	crypto_box_seed_keypair(k->pk, k->sk, seed);
}

void fixed_init(struct fixed *f)
{
	fixed_init_many(f, FIXED_ORGS);
}

void fixed_init_many(struct fixed *f, int n)
{
	char name[32];

	memset(f, 0, sizeof(*f));
	fixed_sign_key(&f->root, "root");
	fixed_sign_key(&f->secretariat, "secretariat");
	fixed_sign_key(&f->log, "log");
	fixed_sign_key(&f->witness, "witness");
	fixed_box_key(&f->broker, "broker");
	fixed_bytes(f->ek, sizeof(f->ek), "ek");
	ids_exchange(f->exchange_id, f->root.pk);
	need(n >= FIXED_ORGS && n <= FIXED_ORGS_MAX, "number of organisations");
	f->org_count = n;
	for (int i = 0; i < n; i++) {
		struct fixed_org *o = &f->orgs[i];

		memset(o->org_id, i < FIXED_ORGS ? 0x10 * (i + 1) : 0x10 * FIXED_ORGS + i, sizeof(o->org_id));
		snprintf(name, sizeof(name), "org %d", i);
		fixed_sign_key(&o->org, name);
		snprintf(name, sizeof(name), "device %d", i);
		fixed_sign_key(&o->device, name);
		ids_device(o->device_id, o->device.pk);
		snprintf(name, sizeof(name), "curve %d", i);
		fixed_box_key(&o->curve, name);
		snprintf(name, sizeof(name), "kx %d", i);
		fixed_box_key(&o->kx, name);
	}
}

/* ---- trust chain */

static ProtobufCBinaryData signer_id(const struct fixed *f, struct arena *a)
{
	uint8_t id[16];

	ids_signer(id, f->secretariat.pk);
	return copy(a, id, sizeof(id));
}

static char *vkey(const struct fixed *f, uint8_t type, const uint8_t pk[32], struct arena *a)
{
	char name[NOTE_NAME_CHARS], key[NOTE_VKEY_CHARS];

	if (type == 1)
		note_origin(name, f->exchange_id, 1);
	else
		note_witness_name(name, f->exchange_id);
	need(note_vkey(key, name, type, pk) == RK_OK, "note_vkey");
	return text(a, key);
}

Rk__Charter *fixed_charter(const struct fixed *f, struct arena *a)
{
	NEW_MESSAGE(c, charter, Charter, a);
	NEW_MESSAGE(k, secretariat_key, SecretariatKey, a);

	k->pk = copy(a, f->secretariat.pk, 32);
	k->label = text(a, "office");
	k->not_before = FIXED_TIME_MS;
	k->not_after = FIXED_TIME_MS + 1000 * DAY_MS;
	c->version = 1;
	c->serial = 1;
	c->exchange_id = copy(a, f->exchange_id, 32);
	c->name = text(a, "Test exchange");
	c->time_zone = text(a, "Asia/Tokyo");
	c->n_languages = 2;
	c->languages = fixed_alloc(a, 2 * sizeof(*c->languages));
	c->languages[0] = text(a, "ja");
	c->languages[1] = text(a, "en");
	c->root_pk = copy(a, f->root.pk, 32);
	c->n_secretariat_keys = 1;
	c->secretariat_keys = fixed_alloc(a, sizeof(*c->secretariat_keys));
	c->secretariat_keys[0] = k;
	c->witness_vkey = vkey(f, 4, f->witness.pk, a);
	c->log_vkey = vkey(f, 1, f->log.pk, a);
	c->curve_pk = copy(a, f->broker.pk, 32);
	c->n_endpoints = 1;
	c->endpoints = fixed_alloc(a, sizeof(*c->endpoints));
	c->endpoints[0] = text(a, FIXED_ENDPOINT);
	c->min_suite = 1;
	c->directory_max_age_ms = TRUST_DIRECTORY_AGE_MS;
	c->issued_at = FIXED_TIME_MS;
	c->not_after = FIXED_TIME_MS + TRUST_CHARTER_AGE_MS;
	return c;
}

static Rk__OrgName **names(const char *name, struct arena *a)
{
	Rk__OrgName **list = fixed_alloc(a, sizeof(*list));
	NEW_MESSAGE(n, org_name, OrgName, a);

	n->lang = text(a, "en");
	n->name = text(a, name);
	list[0] = n;
	return list;
}

static Rk__Org *org_row(const struct fixed *f, int i, struct arena *a)
{
	static const char *const titles[FIXED_ORGS] = {"Secretariat", "Disc Works", "Harbour University"};
	NEW_MESSAGE(o, org, Org, a);

	o->org_id = copy(a, f->orgs[i].org_id, 16);
	o->n_names = 1;
	o->names = names(i < FIXED_ORGS ? titles[i] : "Another Works", a);
	o->kind = i == 0 ? RK__ORG_KIND__COORDINATOR : RK__ORG_KIND__COMPANY;
	o->roles = i == 0 ? TRUST_ROLE_SECRETARIAT : 0;
	o->country = text(a, "JP");
	o->region = text(a, "JP-01");
	o->org_pk = copy(a, f->orgs[i].org.pk, 32);
	o->status = RK__ORG_STATUS__ACTIVE;
	o->since = FIXED_TIME_MS;
	o->min_devices_serial = 1;
	return o;
}

Rk__Directory *fixed_directory(const struct fixed *f, struct arena *a)
{
	NEW_MESSAGE(d, directory, Directory, a);

	d->version = 1;
	d->serial = 1;
	d->issued_at = FIXED_TIME_MS;
	d->expires_at = FIXED_TIME_MS + TRUST_DIRECTORY_AGE_MS;
	d->signer_id = signer_id(f, a);
	d->n_orgs = (size_t)f->org_count;
	d->orgs = fixed_alloc(a, d->n_orgs * sizeof(*d->orgs));
	for (int i = 0; i < f->org_count; i++)
		d->orgs[i] = org_row(f, i, a);
	return d;
}

Rk__OrgDevices *fixed_org_devices(const struct fixed *f, int org, struct arena *a)
{
	const struct fixed_org *o = &f->orgs[org];
	NEW_MESSAGE(list, org_devices, OrgDevices, a);
	NEW_MESSAGE(d, device, Device, a);

	d->device_id = copy(a, o->device_id, 16);
	d->sign_pk = copy(a, o->device.pk, 32);
	d->curve_pk = copy(a, o->curve.pk, 32);
	d->label = text(a, "desk");
	d->accepts_max = 1;
	list->version = 1;
	list->org_id = copy(a, o->org_id, 16);
	list->serial = 1;
	list->issued_at = FIXED_TIME_MS;
	list->valid_until = FIXED_TIME_MS + TRUST_DEVICES_AGE_MS;
	list->n_devices = 1;
	list->devices = fixed_alloc(a, sizeof(*list->devices));
	list->devices[0] = d;
	return list;
}

Rk__DeviceKx *fixed_device_kx(const struct fixed *f, int org, struct arena *a)
{
	NEW_MESSAGE(kx, device_kx, DeviceKx, a);

	kx->version = 1;
	kx->device_id = copy(a, f->orgs[org].device_id, 16);
	kx->serial = 1;
	kx->kx_pk = copy(a, f->orgs[org].kx.pk, 32);
	kx->not_before = FIXED_TIME_MS;
	kx->not_after = FIXED_TIME_MS + TRUST_KX_AGE_MS;
	return kx;
}

Rk__FeedEpoch *fixed_feed_epoch(const struct fixed *f, struct arena *a)
{
	uint8_t commit[32];
	NEW_MESSAGE(e, feed_epoch, FeedEpoch, a);

	trust_ek_commit(commit, f->ek);
	e->version = 1;
	e->n = 1;
	e->directory_serial = 1;
	e->ek_commit = copy(a, commit, 32);
	e->not_before = FIXED_TIME_MS;
	e->not_after = FIXED_TIME_MS + TRUST_EPOCH_DEFAULT_MS;
	e->signer_id = signer_id(f, a);
	return e;
}

Rk__FeedKey *fixed_feed_key(const struct fixed *f, int org, const uint8_t sealed[136], struct arena *a)
{
	NEW_MESSAGE(k, feed_key, FeedKey, a);

	k->version = 1;
	k->n = 1;
	k->device_id = copy(a, f->orgs[org].device_id, 16);
	k->kx_serial = 1;
	k->sealed = copy(a, sealed, 136);
	k->signer_id = signer_id(f, a);
	return k;
}

Rk__InviteReg *fixed_invite_reg(const struct fixed *f, struct arena *a)
{
	uint8_t seed[32], pk[32], sk[32], mac[32], id[16];
	NEW_MESSAGE(reg, invite_reg, InviteReg, a);

	fixed_bytes(seed, sizeof(seed), "invite");
	invite_keys(seed, pk, sk, mac, id);
	reg->version = 1;
	reg->invite_id = copy(a, id, 16);
	reg->curve_pk = copy(a, pk, 32);
	reg->expires_at = FIXED_TIME_MS + INVITE_LIFE_MS;
	reg->signer_id = signer_id(f, a);
	return reg;
}

/* Signed, as a field of another message. */
static Rk__Signed *sign(const struct fixed *f, enum object_kind kind, const struct fixed_sign *key,
                        const ProtobufCMessage *m, struct arena *a)
{
	struct bytes wire;
	Rk__Signed *s;

	need(object_make(kind, f->exchange_id, key->sk, m, a, &wire) == RK_OK, "object_make");
	need(STRICT_PARSE(signed, wire, a, &s) == RK_OK, "parse of Signed");
	return s;
}

Rk__Enrol *fixed_enrol(const struct fixed *f, int org, struct arena *a)
{
	const struct fixed_org *o = &f->orgs[org];
	NEW_MESSAGE(e, enrol, Enrol, a);

	e->version = 1;
	e->org_id = copy(a, o->org_id, 16);
	e->n_names = 1;
	e->names = names("Disc Works", a);
	e->kind = RK__ORG_KIND__SME;
	e->country = text(a, "JP");
	e->corporate_number = text(a, "1234567890123");
	e->org_pk = copy(a, o->org.pk, 32);
	e->org_devices = sign(f, OBJECT_KIND_ORG_DEVICES, &o->org, &fixed_org_devices(f, org, a)->base, a);
	e->device_kx = sign(f, OBJECT_KIND_DEVICE_KX, &o->device, &fixed_device_kx(f, org, a)->base, a);
	e->invite_id = fixed_invite_reg(f, a)->invite_id;
	return e;
}

struct bytes fixed_enrol_request(const struct fixed *f, const Rk__Enrol *enrol, const uint8_t mac_key[32],
                                 const struct fixed_sign *signer, struct arena *a)
{
	Rk__EnrolRequest request = RK__ENROL_REQUEST__INIT;
	struct bytes packed;
	uint8_t tag[32];

	request.enrol = sign(f, OBJECT_KIND_ENROL, signer, &enrol->base, a);
	invite_tag(tag, mac_key, f->exchange_id, bytes_of(request.enrol->payload), bytes_of(request.enrol->sig));
	request.tag = pb_of(BYTES_OF(tag));
	need(STRICT_PACK(&request, a, &packed) == RK_OK, "pack of EnrolRequest");
	return packed;
}

Rk__Pickup *fixed_pickup(const struct fixed *f, int org, struct arena *a)
{
	NEW_MESSAGE(p, pickup, Pickup, a);

	p->version = 1;
	p->n_env_ids = 1;
	p->env_ids = fixed_alloc(a, sizeof(*p->env_ids));
	p->env_ids[0] = fixed_data(a, 32, "env");
	p->nda_id = fixed_data(a, 32, "nda");
	p->nda_set = fixed_data(a, 32, "nda set");
	p->device_id = copy(a, f->orgs[org].device_id, 16);
	p->time = FIXED_TIME_MS;
	return p;
}

Rk__Nack *fixed_nack(const struct fixed *f, int org, Rk__NackReason reason, struct arena *a)
{
	NEW_MESSAGE(n, nack, Nack, a);

	n->version = 1;
	n->env_id = fixed_data(a, 32, "env");
	n->nda_id = fixed_data(a, 32, "nda");
	n->device_id = copy(a, f->orgs[org].device_id, 16);
	n->reason = reason;
	n->time = FIXED_TIME_MS;
	return n;
}

Rk__Deposit *fixed_deposit(const struct fixed *f, int org, struct arena *a)
{
	NEW_MESSAGE(d, deposit, Deposit, a);

	d->version = 1;
	d->org_id = copy(a, f->orgs[org].org_id, 16);
	d->device_id = copy(a, f->orgs[org].device_id, 16);
	d->commit = fixed_data(a, 32, "deposit");
	d->time = FIXED_TIME_MS;
	return d;
}

Rk__OrgKey *fixed_org_key(const struct fixed *f, int org, const struct fixed_sign *next, struct arena *a)
{
	NEW_MESSAGE(k, org_key, OrgKey, a);

	k->version = 1;
	k->org_id = copy(a, f->orgs[org].org_id, 16);
	k->old_pk = copy(a, f->orgs[org].org.pk, 32);
	k->new_pk = copy(a, next->pk, 32);
	k->time = FIXED_TIME_MS;
	return k;
}

/* ---- agreements */

Rk__NdaTerms *fixed_terms(const struct fixed *f, struct arena *a)
{
	NEW_MESSAGE(t, nda_terms, NdaTerms, a);

	t->version = 1;
	t->exchange_id = copy(a, f->exchange_id, 32);
	t->nonce16 = fixed_data(a, 16, "terms nonce");
	t->n_parties = 2;
	t->parties = fixed_alloc(a, 2 * sizeof(*t->parties));
	for (int i = 0; i < 2; i++) {
		NEW_MESSAGE(p, party, Party, a);
		uint8_t fp[32];

		ids_sha256(fp, BYTES_OF(f->orgs[i + 1].org.pk));
		p->org_id = copy(a, f->orgs[i + 1].org_id, 16);
		p->org_key_fp = copy(a, fp, 32);
		p->may_disclose = p->may_receive = 1;
		t->parties[i] = p;
	}
	t->first_day = 20251101;
	t->last_day = 20261031;
	t->zone = text(a, "Asia/Tokyo");
	t->not_before = INT64_C(1761922800000);
	t->not_after = INT64_C(1793458800000);
	t->accept_by = FIXED_TIME_MS + 20 * DAY_MS;
	t->exit_rule = RK__EXIT_RULE__END_ALL;
	t->notice_days = 30;
	t->notice_window_days = 1095;
	t->marking_required = 1;
	t->doc_commit = fixed_data(a, 32, "doc commit");
	t->cover_len = 1000;
	t->doc_len = 2000;
	return t;
}

Rk__NdaAct *fixed_act(const struct fixed *f, int org, Rk__ActKind kind, struct arena *a)
{
	NEW_MESSAGE(act, nda_act, NdaAct, a);

	act->version = 1;
	act->nda_id = fixed_data(a, 32, "nda");
	act->org_id = copy(a, f->orgs[org].org_id, 16);
	act->kind = kind;
	act->signed_at = FIXED_TIME_MS;
	if (kind == RK__ACT_KIND__HOLD)
		act->device_id = copy(a, f->orgs[org].device_id, 16);
	if (kind == RK__ACT_KIND__ACCEPT)
		act->sigpage_commit = fixed_data(a, 32, "sigpage");
	return act;
}

/* ---- envelopes */

static void set_recipients(const struct fixed *f, Rk__EnvelopeHeader *h, unsigned to, struct arena *a)
{
	h->recipients = fixed_alloc(a, FIXED_ORGS_MAX * sizeof(*h->recipients));
	for (int i = 0; i < f->org_count; i++) {
		if (!(to >> i & 1))
			continue;
		NEW_MESSAGE(r, recipient, Recipient, a);
		r->org_id = copy(a, f->orgs[i].org_id, 16);
		h->recipients[h->n_recipients++] = r;
	}
}

Rk__EnvelopeHeader *fixed_header(const struct fixed *f, Rk__Kind kind, int sender, unsigned to, struct arena *a)
{
	NEW_MESSAGE(h, envelope_header, EnvelopeHeader, a);

	h->kind = kind;
	h->exchange_id = copy(a, f->exchange_id, 32);
	h->sender_org = copy(a, f->orgs[sender].org_id, 16);
	h->sender_device = copy(a, f->orgs[sender].device_id, 16);
	h->created_at = FIXED_TIME_MS;
	h->expires_at = FIXED_TIME_MS + 20 * DAY_MS;
	h->directory_serial = 1;
	if (kind == RK__KIND__FEED) {
		h->channel = RK__CHANNEL__OFFER;
		h->feed_epoch = 1;
		h->post_op = RK__POST_OP__NEW;
		h->post_version = 1;
		return h;
	}
	set_recipients(f, h, to, a);
	if (kind == RK__KIND__OPEN || kind == RK__KIND__INTERNAL)
		return h;
	h->marking = RK__MARKING__CONFIDENTIAL;
	h->nda_id = fixed_data(a, 32, "nda");
	if (kind != RK__KIND__PROPOSAL)
		h->nda_set = fixed_data(a, 32, "nda set");
	return h;
}

struct bytes fixed_message(const char *words, struct arena *a)
{
	Rk__Message m = RK__MESSAGE__INIT;
	struct bytes packed;

	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
	m.text = text(a, words);
	need(STRICT_PACK(&m, a, &packed) == RK_OK, "pack of Message");
	return packed;
}

void fixed_random(struct envelope_random *r, const char *name)
{
	fixed_bytes((uint8_t *)r, sizeof(*r), name);
}

int fixed_seal(const struct fixed *f, Rk__EnvelopeHeader *h, int sender, unsigned to, struct bytes message,
               struct arena *a, struct envelope_wire *out)
{
	bool is_feed = h->kind == RK__KIND__FEED;
	struct envelope_target targets[FIXED_ORGS_MAX];
	struct envelope_random random;
	size_t n = 0;

	for (int i = 0; i < f->org_count && !is_feed; i++) {
		if (i != sender && !(to >> i & 1))
			continue;
		memcpy(targets[n].device_id, f->orgs[i].device_id, 16);
		memcpy(targets[n].kx_pk, f->orgs[i].kx.pk, 32);
		targets[n++].kx_serial = 1;
	}
	fixed_random(&random, "envelope");
	return envelope_seal(h, message, is_feed ? f->ek : NULL, targets, n, f->orgs[sender].device.sk, &random, a, out);
}

bool fixed_lookup(void *user, uint32_t kx_serial, uint8_t pk[32], uint8_t sk[32])
{
	const struct fixed_org *o = user;

	if (kx_serial != 1)
		return false;
	memcpy(pk, o->kx.pk, 32);
	memcpy(sk, o->kx.sk, 32);
	return true;
}
