/* enrol: one signed request with the tag that only the holder of the invite can make. */
#include "client/enrol.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/ids.h"
#include "proto/strict.h"

/* Enrol signed by O, then EnrolRequest with its tag. */
static int make_request(struct client *c, const struct invite *invite, const struct own_form *form, const uint8_t org_id[16],
			struct arena *a, struct bytes *out)
{
	uint8_t curve_pk[32], curve_sk[32], mac_key[32], invite_id[16], org_pk[32], tag[32];
	struct bytes devices, kx, wire;
	Rk__Enrol m = RK__ENROL__INIT;
	Rk__EnrolRequest request = RK__ENROL_REQUEST__INIT;
	invite_keys(invite->seed, curve_pk, curve_sk, mac_key, invite_id);
	sodium_memzero(curve_sk, sizeof(curve_sk));
	keys_sign_pk(c, KEY_ORG, org_pk);
	m.version = 1;
	m.org_id = pb_of(bytes_make(org_id, ID16_BYTES));
	m.names = own_names(form, a);
	m.n_names = 1;
	m.kind = form->kind;
	m.country = pb_text(form->country);
	m.region = pb_text(form->region);
	m.corporate_number = pb_text(form->corporate_number);
	m.org_pk = pb_of(BYTES_OF(org_pk));
	m.invite_id = pb_of(BYTES_OF(invite_id));
	int rc = m.names ? own_make_devices(c, invite->exchange_id, org_id, form->device_label, a, &devices) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = own_make_kx(c, invite->exchange_id, a, &kx);
	if (rc == RK_OK)
		rc = STRICT_PARSE(signed, devices, a, &m.org_devices);
	if (rc == RK_OK)
		rc = STRICT_PARSE(signed, kx, a, &m.device_kx);
	if (rc == RK_OK)
		rc = object_make(OBJECT_KIND_ENROL, invite->exchange_id, keys_sign_sk(c, KEY_ORG), &m.base, a, &wire);
	if (rc == RK_OK)
		rc = STRICT_PARSE(signed, wire, a, &request.enrol);
	if (rc == RK_OK) {
		invite_tag(tag, mac_key, invite->exchange_id, bytes_of(request.enrol->payload), bytes_of(request.enrol->sig));
		request.tag = pb_of(BYTES_OF(tag));
		rc = STRICT_PACK(&request, a, out);
	}
	sodium_memzero(mac_key, sizeof(mac_key));
	return rc;
}

static int store_all(struct client *c, struct txn *txn, const struct invite *invite, const uint8_t org_id[16],
		     struct bytes request, struct arena *a)
{
	struct bytes sealed;
	int rc = own_write_meta(c, txn, invite->exchange_id, org_id, invite->endpoint, invite->broker_curve_pk, CLIENT_PENDING);
	if (rc == RK_OK)
		rc = vault_seal(keys_home_key(c), VAULT_INVITE_SEED, bytes_make(NULL, 0), BYTES_OF(invite->seed), a, &sealed);
	if (rc == RK_OK)
		rc = meta_put(txn, META_INVITE_SEED, sealed);
	return rc == RK_OK ? meta_put(txn, META_ENROL, request) : rc;
}

int enrol_create(struct client *c, const struct invite *invite, const struct own_form *form, const struct key_new *new,
		 uint8_t org_id[16], char *fingerprint)
{
	struct key_new org_key = *new;
	struct txn *txn = NULL;
	struct bytes request;
	uint8_t org_pk[32];
	if (invite->expires_at <= client_now(c))
		return RK_INVITE_EXPIRED;
	struct arena *a = arena_new(1024 * 1024);
	/* Only a device may do without a passphrase (CRYPTO 2.13). */
	org_key.no_passphrase = false;
	int rc = a ? keys_create(c, KEY_DEVICE, new) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = keys_create(c, KEY_ORG, &org_key);
	if (rc == RK_OK) {
		randombytes_buf(org_id, ID16_BYTES);
		keys_sign_pk(c, KEY_ORG, org_pk);
		ids_org_fingerprint(fingerprint, org_pk);
		rc = make_request(c, invite, form, org_id, a, &request);
	}
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = store_all(c, txn, invite, org_id, request, a);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free_wiped(a);
	return rc;
}
