/*
 * vault: what came sealed stays sealed on disk.  A value is nonce || AEAD; label and id are authenticated, so a value cannot
 * be moved to another place of the store.
 */
#include <sodium.h>

#include "client/client.h"

#define VAULT_NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define VAULT_TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define VAULT_AAD_MAX 128

static int vault_aad(uint8_t aad[VAULT_AAD_MAX], size_t *aad_len, const char *label, struct bytes id)
{
	size_t n = strlen(label);

	if (n + 1 + id.len > VAULT_AAD_MAX)
		return RK_EINTERNAL;
	memcpy(aad, label, n);
	aad[n] = 0;
	if (id.len > 0)
		memcpy(aad + n + 1, id.data, id.len);
	*aad_len = n + 1 + id.len;
	return RK_OK;
}

int vault_seal(const uint8_t key[32], const char *label, struct bytes id, struct bytes plain, struct arena *arena,
	       struct bytes *out)
{
	uint8_t aad[VAULT_AAD_MAX], *sealed;
	unsigned long long sealed_len;
	size_t aad_len, room = VAULT_NONCE_BYTES + plain.len + VAULT_TAG_BYTES;
	int r;

	*out = (struct bytes){0};
	if ((r = vault_aad(aad, &aad_len, label, id)) != RK_OK)
		return r;
	arena_raise(arena, room + 64);
	if ((sealed = arena_alloc(arena, room)) == NULL)
		return RK_ENOMEM;
	randombytes_buf(sealed, VAULT_NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + VAULT_NONCE_BYTES, &sealed_len, plain.data, plain.len, aad, aad_len,
						   NULL, sealed, key);
	*out = bytes_make(sealed, VAULT_NONCE_BYTES + (size_t)sealed_len);
	return RK_OK;
}

int vault_open(const uint8_t key[32], const char *label, struct bytes id, struct bytes sealed, struct arena *arena,
	       struct bytes *plain)
{
	uint8_t aad[VAULT_AAD_MAX], *room;
	unsigned long long len;
	size_t aad_len;
	int r;

	*plain = (struct bytes){0};
	if (sealed.len < VAULT_NONCE_BYTES + VAULT_TAG_BYTES)
		return RK_EINTEGRITY;
	if ((r = vault_aad(aad, &aad_len, label, id)) != RK_OK)
		return r;
	arena_raise(arena, sealed.len + 64);
	if ((room = arena_alloc(arena, sealed.len)) == NULL)
		return RK_ENOMEM;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(room, &len, NULL, sealed.data + VAULT_NONCE_BYTES,
						       sealed.len - VAULT_NONCE_BYTES, aad, aad_len, sealed.data, key) != 0)
		return RK_EINTEGRITY;
	*plain = bytes_make(room, (size_t)len);
	return RK_OK;
}

/* The home key, or a copy of the dossier's own key; HK is copied too, so that there is one thing to wipe. */
static int content_key(struct client *c, const uint8_t env_id[32], bool own_key, bool create, uint8_t key[32])
{
	int r = keys_unlock(c, KEY_DEVICE);

	if (r != RK_OK)
		return r;
	if (own_key)
		return keys_dossier(c, env_id, create, key);
	memcpy(key, keys_home_key(c), 32);
	return RK_OK;
}

int content_put(struct client *c, struct txn *txn, const uint8_t env_id[32], bool own_key, struct bytes message)
{
	struct arena *arena = arena_new(0);
	struct bytes id = bytes_make(env_id, ID32_BYTES), sealed;
	uint8_t key[32];
	int r = RK_ENOMEM;

	if (arena == NULL)
		return r;
	if ((r = content_key(c, env_id, own_key, true, key)) == RK_OK &&
	    (r = vault_seal(key, VAULT_CONTENT, id, message, arena, &sealed)) == RK_OK)
		r = env_put(txn, C_CONTENT, id, sealed, ENV_PUT);
	sodium_memzero(key, sizeof(key));
	arena_free(arena);
	return r;
}

int content_get(struct client *c, struct txn *txn, const uint8_t env_id[32], bool own_key, struct arena *arena,
		struct bytes *message)
{
	struct bytes id = bytes_make(env_id, ID32_BYTES), sealed;
	uint8_t key[32];
	int r;

	*message = (struct bytes){0};
	if ((r = env_get(txn, C_CONTENT, id, &sealed)) != RK_OK)
		return r;
	if ((r = content_key(c, env_id, own_key, false, key)) == RK_OK)
		r = vault_open(key, VAULT_CONTENT, id, sealed, arena, message);
	sodium_memzero(key, sizeof(key));
	return r;
}
