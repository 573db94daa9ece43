/* secretariat_invite: whom we invite, and whom no more. */
#include "client/secretariat_internal.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/ids.h"
#include "proto/strict.h"

/* ---- invites */

/* Signs and queues an InviteReg; expires_at 0 ends the invite. */
static int queue_invite_reg(struct client *c, struct txn *txn, const uint8_t seed[32], int64_t expires_at, const char *what,
			    uint64_t *item)
{
	uint8_t curve_pk[32], curve_sk[32], mac_key[32], invite_id[16], signer_id[16];
	invite_keys(seed, curve_pk, curve_sk, mac_key, invite_id);
	sodium_memzero(curve_sk, sizeof(curve_sk));
	sodium_memzero(mac_key, sizeof(mac_key));
	secretariat_signer_id(c, signer_id);
	Rk__InviteReg reg = RK__INVITE_REG__INIT;
	reg.version = 1;
	reg.invite_id = pb_of(BYTES_OF(invite_id));
	reg.curve_pk = pb_of(BYTES_OF(curve_pk));
	reg.expires_at = expires_at;
	reg.signer_id = pb_of(BYTES_OF(signer_id));
	struct arena *a = arena_new(65536);
	struct bytes wire;
	int rc = a ? object_make(OBJECT_KIND_INVITE_REG, client_exchange_id(c), keys_sign_sk(c, KEY_SECRETARIAT), &reg.base, a, &wire)
		   : RK_ENOMEM;
	if (rc == RK_OK) {
		struct outbox_request request = {.op = RK__OP__OP_INVITE_REG, .what = what, .object = wire,
						 .ref = BYTES_OF(invite_id)};
		rc = outbox_add(c, txn, &request, item);
	}
	arena_free(a);
	return rc;
}

/* Keeps the seed, sealed under the home key. */
static int store_invite(struct client *c, struct txn *txn, const struct invite *invite, const char *note)
{
	uint8_t curve_pk[32], curve_sk[32], mac_key[32], invite_id[16];
	invite_keys(invite->seed, curve_pk, curve_sk, mac_key, invite_id);
	sodium_memzero(curve_sk, sizeof(curve_sk));
	sodium_memzero(mac_key, sizeof(mac_key));
	struct arena *a = arena_new(65536);
	struct bytes sealed;
	int rc = a ? vault_seal(keys_home_key(c), VAULT_INVITE, BYTES_OF(invite_id), BYTES_OF(invite->seed), a, &sealed) : RK_ENOMEM;
	if (rc == RK_OK) {
		Rkl__InviteRecord record = RKL__INVITE_RECORD__INIT;
		record.invite_id = pb_of(BYTES_OF(invite_id));
		record.sealed_seed = pb_of(sealed);
		record.expires_at = invite->expires_at;
		record.note = pb_text(note);
		rc = record_put(txn, C_INVITE, BYTES_OF(invite_id), &record.base);
	}
	arena_free(a);
	return rc;
}

static int fill_invite(struct client *c, struct txn *txn, struct invite *invite)
{
	struct bytes value;
	memcpy(invite->exchange_id, client_exchange_id(c), 32);
	if (meta_get(txn, META_BROKER_PK, &value) != RK_OK || value.len != 32)
		return RK_ESTORE;
	memcpy(invite->broker_curve_pk, value.data, 32);
	if (meta_get(txn, META_ENDPOINT, &value) != RK_OK || value.len > ENDPOINT_MAX_CHARS)
		return RK_ESTORE;
	memcpy(invite->endpoint, value.data, value.len);
	invite->endpoint[value.len] = '\0';
	randombytes_buf(invite->seed, sizeof(invite->seed));
	return RK_OK;
}

int secretariat_invite(struct client *c, const char *note, int64_t expires_at, char text[INVITE_TEXT_CHARS], uint64_t *item)
{
	struct invite invite = {.expires_at = expires_at};
	struct txn *txn = NULL;
	int rc = secretariat_unlock(c);
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = fill_invite(c, txn, &invite);
	if (rc == RK_OK)
		rc = invite_text(text, &invite);
	if (rc == RK_OK)
		rc = store_invite(c, txn, &invite, note);
	if (rc == RK_OK)
		rc = queue_invite_reg(c, txn, invite.seed, expires_at, "member invite", item);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	sodium_memzero(invite.seed, sizeof(invite.seed));
	return rc;
}

int secretariat_get_invite(struct txn *txn, const uint8_t *invite_id, struct arena *a, Rkl__InviteRecord **out)
{
	ProtobufCMessage *m;
	int rc = record_get(txn, C_INVITE, bytes_make(invite_id, ID16_BYTES), &rkl__invite_record__descriptor, a, &m);
	*out = (Rkl__InviteRecord *)m;
	return rc;
}

/* Ends the invite at the broker, and with it a request that came by it. */
int secretariat_queue_end(struct client *c, struct txn *txn, const uint8_t *invite_id, struct arena *a, uint64_t *item)
{
	Rkl__InviteRecord *invite;
	struct bytes seed;
	int rc = secretariat_get_invite(txn, invite_id, a, &invite);
	if (rc != RK_OK)
		return rc;
	rc = vault_open(keys_home_key(c), VAULT_INVITE, bytes_of(invite->invite_id), bytes_of(invite->sealed_seed), a, &seed);
	if (rc == RK_OK && seed.len != 32)
		rc = RK_ESTORE;
	if (rc == RK_OK)
		rc = queue_invite_reg(c, txn, seed.data, 0, "member reject", item);
	if (rc != RK_OK)
		return rc;
	invite->ended = true;
	return record_put(txn, C_INVITE, bytes_of(invite->invite_id), &invite->base);
}

int secretariat_end_invite(struct client *c, const uint8_t invite_id[16], uint64_t *item)
{
	struct txn *txn = NULL;
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	int rc = a ? secretariat_unlock(c) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = secretariat_queue_end(c, txn, invite_id, a, item);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free_wiped(a);
	return rc;
}

int secretariat_each_invite(struct client *c, struct txn *txn, int (*fn)(void *, const Rkl__InviteRecord *), void *user)
{
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	struct env_cursor *cur = NULL;
	struct bytes key, value;
	int rc = a ? env_cursor_open(txn, C_INVITE, &cur) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = env_cursor_seek(cur, bytes_make(NULL, 0), &key, &value);
	while (rc == RK_OK) {
		Rkl__InviteRecord *invite;
		arena_reset(a, REQUEST_ARENA_BYTES);
		rc = key.len == ID16_BYTES ? secretariat_get_invite(txn, key.data, a, &invite) : RK_ESTORE;
		if (rc == RK_OK && !invite->ended && !invite->used_by.len && invite->expires_at > client_now(c))
			rc = fn(user, invite);
		if (rc == RK_OK)
			rc = env_cursor_next(cur, &key, &value);
	}
	env_cursor_free(cur);
	arena_free(a);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}
