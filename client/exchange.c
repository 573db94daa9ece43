/* exchange: six objects, each made by one function, in the order in which they are trusted. */
#include "client/exchange.h"

#include <sodium.h>
#include <stdlib.h>

#include "client/secretariat.h"
#include "proto/ids.h"
#include "proto/note.h"
#include "proto/strict.h"
#include "proto/trust.h"


struct founding {
	struct client *c;
	const struct exchange_form *form;
	struct arena *arena;
	int64_t now;
	uint8_t exchange_id[32], org_id[16], signer_id[16], secretariat_pk[32], root_pk[32];
	uint8_t ek[32], device_id[16];
	uint32_t kx_serial;
	struct bytes charter, directory, devices, kx, epoch, feed_key;
};

static int make_keys(struct client *c, const struct key_new *new)
{
	static const enum key_role roles[] = {KEY_DEVICE, KEY_ORG, KEY_SECRETARIAT, KEY_WITNESS, KEY_ROOT};
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct key_new own = *new;
		/* Only a device may do without a passphrase (CRYPTO 2.13). */
		own.no_passphrase = new->no_passphrase && roles[i] == KEY_DEVICE;
		int rc = keys_create(c, roles[i], &own);
		if (rc != RK_OK)
			return rc;
	}
	return RK_OK;
}

static int make_charter(struct founding *f)
{
	static char ja[] = "ja", en[] = "en";
	char *languages[2] = {ja, en}, *endpoints[1] = {pb_text(f->form->card.endpoint)};
	char origin[NOTE_NAME_CHARS], witness[NOTE_NAME_CHARS], log_vkey[NOTE_VKEY_CHARS], witness_vkey[NOTE_VKEY_CHARS];
	uint8_t witness_pk[32];
	note_origin(origin, f->exchange_id, 1);
	note_witness_name(witness, f->exchange_id);
	keys_sign_pk(f->c, KEY_WITNESS, witness_pk);
	int rc = note_vkey(log_vkey, origin, NOTE_TYPE_LOG, f->form->card.log_pk);
	if (rc == RK_OK)
		rc = note_vkey(witness_vkey, witness, NOTE_TYPE_WITNESS, witness_pk);
	if (rc != RK_OK)
		return rc;
	static char label[] = "1";
	Rk__SecretariatKey key = RK__SECRETARIAT_KEY__INIT, *keys[1] = {&key};
	key.pk = pb_of(BYTES_OF(f->secretariat_pk));
	key.label = label;
	key.not_before = f->now - ENVELOPE_CLOCK_MS;
	key.not_after = f->now + TRUST_CHARTER_AGE_MS;
	Rk__Charter m = RK__CHARTER__INIT;
	m.version = 1;
	m.serial = 1;
	m.exchange_id = pb_of(BYTES_OF(f->exchange_id));
	m.name = pb_text(f->form->name);
	m.time_zone = pb_text(f->form->time_zone);
	m.languages = languages;
	m.n_languages = 2;
	m.root_pk = pb_of(BYTES_OF(f->root_pk));
	m.secretariat_keys = keys;
	m.n_secretariat_keys = 1;
	m.witness_vkey = witness_vkey;
	m.log_vkey = log_vkey;
	m.curve_pk = pb_of(BYTES_OF(f->form->card.curve_pk));
	m.endpoints = endpoints;
	m.n_endpoints = 1;
	m.min_suite = ENVELOPE_SUITE;
	m.directory_max_age_ms = TRUST_DIRECTORY_AGE_MS;
	m.issued_at = f->now;
	m.not_after = f->now + TRUST_CHARTER_AGE_MS;
	return object_make(OBJECT_KIND_CHARTER, f->exchange_id, keys_sign_sk(f->c, KEY_ROOT), &m.base, f->arena, &f->charter);
}

static int make_directory(struct founding *f)
{
	const struct own_form *form = &f->form->org;
	uint8_t org_pk[32];
	keys_sign_pk(f->c, KEY_ORG, org_pk);
	Rk__Org org = RK__ORG__INIT, *orgs[1] = {&org};
	org.org_id = pb_of(BYTES_OF(f->org_id));
	org.names = own_names(form, f->arena);
	org.n_names = 1;
	org.kind = form->kind;
	org.roles = TRUST_ROLE_SECRETARIAT;
	org.country = pb_text(form->country);
	org.region = pb_text(form->region);
	org.corporate_number = pb_text(form->corporate_number);
	org.org_pk = pb_of(BYTES_OF(org_pk));
	org.status = RK__ORG_STATUS__ACTIVE;
	org.since = f->now;
	org.min_devices_serial = 1;
	Rk__Directory m = RK__DIRECTORY__INIT;
	m.version = 1;
	m.serial = 1;
	m.issued_at = f->now;
	m.expires_at = f->now + TRUST_DIRECTORY_AGE_MS;
	m.signer_id = pb_of(BYTES_OF(f->signer_id));
	m.orgs = orgs;
	m.n_orgs = 1;
	if (!org.names)
		return RK_ENOMEM;
	return object_make(OBJECT_KIND_DIRECTORY, f->exchange_id, keys_sign_sk(f->c, KEY_SECRETARIAT), &m.base, f->arena,
			   &f->directory);
}

static int make_epoch(struct founding *f)
{
	const struct trust_prev none = {0};
	uint8_t device_pk[32], kx_pk[32];
	randombytes_buf(f->ek, sizeof(f->ek));
	int rc = secretariat_make_epoch(f->c, f->exchange_id, 1, &none, 1, f->ek, f->arena, &f->epoch);
	if (rc != RK_OK)
		return rc;
	keys_sign_pk(f->c, KEY_DEVICE, device_pk);
	ids_device(f->device_id, device_pk);
	if (!keys_kx_newest(f->c, &f->kx_serial, kx_pk))
		return RK_EKEYFILE;
	return secretariat_make_feed_key(f->c, f->exchange_id, 1, f->ek, f->device_id, f->kx_serial, kx_pk, f->arena,
					&f->feed_key);
}

/* All six into the book: what we would not believe ourselves never leaves the house. */
static int take_all(struct founding *f, struct txn *txn)
{
	const struct { enum object_kind kind; struct bytes wire; } objects[] = {
		{OBJECT_KIND_CHARTER, f->charter}, {OBJECT_KIND_DIRECTORY, f->directory},
		{OBJECT_KIND_ORG_DEVICES, f->devices}, {OBJECT_KIND_DEVICE_KX, f->kx}, {OBJECT_KIND_FEED_EPOCH, f->epoch},
	};
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		int rc = book_take(f->c, txn, objects[i].kind, objects[i].wire, f->now);
		if (rc != RK_OK)
			return rc;
	}
	int rc = book_epoch_key_put(f->c, txn, 1, f->ek);
	return rc == RK_OK ? secretariat_mark_issued(txn, 1, f->device_id, f->kx_serial) : rc;
}

static int pack_file(struct founding *f, struct bytes *file)
{
	Rk__CharterFile m = RK__CHARTER_FILE__INIT;
	const struct { Rk__Signed **part; struct bytes wire; } parts[] = {
		{&m.charter, f->charter}, {&m.directory, f->directory}, {&m.org_devices, f->devices},
		{&m.device_kx, f->kx}, {&m.feed_epoch, f->epoch}, {&m.feed_key, f->feed_key},
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int rc = STRICT_PARSE(signed, parts[i].wire, f->arena, parts[i].part);
		if (rc != RK_OK)
			return rc;
	}
	return STRICT_PACK(&m, f->arena, file);
}

static int make_all(struct founding *f, const struct key_new *new)
{
	int rc = make_keys(f->c, new);
	if (rc != RK_OK)
		return rc;
	keys_sign_pk(f->c, KEY_ROOT, f->root_pk);
	keys_sign_pk(f->c, KEY_SECRETARIAT, f->secretariat_pk);
	ids_exchange(f->exchange_id, f->root_pk);
	ids_signer(f->signer_id, f->secretariat_pk);
	randombytes_buf(f->org_id, sizeof(f->org_id));
	if ((rc = make_charter(f)) != RK_OK || (rc = make_directory(f)) != RK_OK)
		return rc;
	rc = own_make_devices(f->c, f->exchange_id, f->org_id, f->form->org.device_label, f->arena, &f->devices);
	if (rc == RK_OK)
		rc = own_make_kx(f->c, f->exchange_id, f->arena, &f->kx);
	return rc == RK_OK ? make_epoch(f) : rc;
}

int exchange_create(struct client *c, const struct exchange_form *form, const struct key_new *new, struct arena *a,
		    struct bytes *file, uint8_t exchange_id[32], uint8_t org_id[16])
{
	struct founding f = {.c = c, .form = form, .arena = a, .now = client_now(c)};
	struct txn *txn = NULL;
	int rc = make_all(&f, new);
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = own_write_meta(c, txn, f.exchange_id, f.org_id, form->card.endpoint, form->card.curve_pk, CLIENT_JOINED);
	if (rc == RK_OK)
		rc = take_all(&f, txn);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	if (rc == RK_OK)
		rc = pack_file(&f, file);
	memcpy(exchange_id, f.exchange_id, sizeof(f.exchange_id));
	memcpy(org_id, f.org_id, sizeof(f.org_id));
	sodium_memzero(f.ek, sizeof(f.ek));
	return rc;
}
