/*
 * keys: the secret keys of a home, each in a file of its own (CRYPTO 2.13).
 *
 *   device.key     seed of D (32) || C secret (32) || HK (32), under the person's passphrase or none
 *   kx.key         packed rkl.KxFile under HK: kx secrets and the keys of stored dossiers.  Rewritten whole: destroying a key is
 *                  writing the file without it, which a store whose freed pages live on cannot do
 *   org.key …      seed (32), always under a passphrase
 */
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

#include "client/keys_internal.h"
#include "proto/keyfile.h"

#define SEED_BYTES 32
#define DEVICE_SECRET_BYTES (SEED_BYTES + 32 + 32)
#define PASSPHRASE_TRIES 3

static const char *const key_files[KEY_ROLE_COUNT] = {
	[KEY_DEVICE] = "device.key", [KEY_ORG] = "org.key", [KEY_SECRETARIAT] = "secretariat.key",
	[KEY_ROOT] = "root.key", [KEY_WITNESS] = "witness.key",
	[KEY_ORG_NEXT] = "org-next.key", [KEY_SECRETARIAT_NEXT] = "secretariat-next.key",
};

void keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	for (unsigned i = 0; i < KEY_ROLE_COUNT; i++)
		sodium_free(k->sign[i].sk);
	sodium_free(k->curve_sk);
	sodium_free(k->hk);
	sodium_free(k->kx);
	free(k);
}

static struct keys *keys_of(struct client *c)
{
	if (c->keys == NULL)
		c->keys = calloc(1, sizeof(*c->keys));
	return c->keys;
}

bool keys_exists(struct client *c, enum key_role role)
{
	char path[KEYS_PATH_MAX];

	keys_path(path, c, key_files[role]);
	return access(path, F_OK) == 0;
}

int keys_promote(struct client *c, enum key_role next, enum key_role role)
{
	struct keys *k = keys_of(c);
	int r = k != NULL ? keys_file_move(c, key_files[next], key_files[role]) : RK_ENOMEM;

	if (r != RK_OK)
		return r;
	sodium_free(k->sign[role].sk);
	k->sign[role] = k->sign[next];
	memset(&k->sign[next], 0, sizeof(k->sign[next]));
	return keys_folder_sync(c);
}

/* ---- making */

static uint32_t cost_from_env(const char *name, uint32_t given, uint32_t fallback)
{
	const char *text = getenv(name);
	unsigned long v;
	char *end;

	if (given != 0)
		return given;
	if (text == NULL || text[0] < '0' || text[0] > '9')
		return fallback;
	v = strtoul(text, &end, 10);
	return *end == '\0' && v <= 4096 ? (uint32_t)v : fallback;
}

static int seal_file(struct client *c, enum key_role role, const struct key_new *how, struct bytes secret)
{
	struct keyfile_params params = keyfile_default;
	uint8_t *file = malloc(secret.len + KEYFILE_OVERHEAD);
	char *passphrase = NULL;
	struct bytes pass = {0};
	int r = RK_ENOMEM;

	if (file == NULL)
		return r;
	if (how->no_passphrase) {
		params = (struct keyfile_params){.kdf = KEYFILE_NONE};
		r = role == KEY_DEVICE ? RK_OK : RK_EUSAGE;
	} else {
		params.mem_mib = cost_from_env("RENKEI_KEY_MEMORY_MIB", how->mem_mib, params.mem_mib);
		params.ops = cost_from_env("RENKEI_KEY_OPS", how->ops, params.ops);
		r = c->passphrase == NULL ? RK_EPASSPHRASE : c->passphrase(c->user, role, true, false, &passphrase);
		if (r == RK_OK)
			pass = bytes_str(passphrase);
	}
	if (r == RK_OK)
		r = keyfile_seal(file, &params, pass, secret);
	if (r == RK_OK)
		r = keys_file_replace(c, key_files[role], bytes_make(file, secret.len + KEYFILE_OVERHEAD));
	sodium_free(passphrase);
	free(file);
	return r;
}

static int sign_set(struct keys *k, enum key_role role, const uint8_t seed[SEED_BYTES])
{
	uint8_t *sk = sodium_malloc(crypto_sign_SECRETKEYBYTES);

	if (sk == NULL)
		return RK_ENOMEM;
	crypto_sign_seed_keypair(k->sign[role].pk, sk, seed);
	sodium_mprotect_readonly(sk);
	sodium_free(k->sign[role].sk);
	k->sign[role].sk = sk;
	return RK_OK;
}

static int device_set(struct keys *k, const uint8_t secret[DEVICE_SECRET_BYTES])
{
	int r = sign_set(k, KEY_DEVICE, secret);

	if (r != RK_OK)
		return r;
	sodium_free(k->curve_sk);
	sodium_free(k->hk);
	k->curve_sk = sodium_malloc(32);
	k->hk = sodium_malloc(32);
	if (k->curve_sk == NULL || k->hk == NULL)
		return RK_ENOMEM;
	memcpy(k->curve_sk, secret + SEED_BYTES, 32);
	memcpy(k->hk, secret + SEED_BYTES + 32, 32);
	if (crypto_scalarmult_base(k->curve_pk, k->curve_sk) != 0)
		return RK_EKEYFILE;
	return RK_OK;
}

int keys_create(struct client *c, enum key_role role, const struct key_new *how)
{
	static const struct key_new defaults;
	struct keys *k = keys_of(c);
	size_t len = role == KEY_DEVICE ? DEVICE_SECRET_BYTES : SEED_BYTES;
	uint8_t *secret;
	int r;

	if (k == NULL)
		return RK_ENOMEM;
	if (keys_exists(c, role))
		return RK_EEXISTS;
	secret = sodium_malloc(len);
	if (secret == NULL)
		return RK_ENOMEM;
	randombytes_buf(secret, len);
	if (role == KEY_DEVICE) {
		/* kx.key first: a device.key then always has its kx.key beside it. */
		if ((r = device_set(k, secret)) == RK_OK)
			r = keys_ring_create(c);
	} else {
		r = sign_set(k, role, secret);
	}
	if (r == RK_OK)
		r = seal_file(c, role, how != NULL ? how : &defaults, bytes_make(secret, len));
	if (r != RK_OK) {
		sodium_free(k->sign[role].sk);
		k->sign[role].sk = NULL;
	}
	sodium_free(secret);
	return r;
}

/* ---- opening */

static int open_file(struct client *c, enum key_role role, struct bytes file, uint8_t **secret, size_t *len)
{
	char *passphrase;
	int kdf = keyfile_kdf_of(file), r;

	if (kdf == KEYFILE_NONE)
		return role == KEY_DEVICE ? keyfile_open(file, (struct bytes){0}, secret, len) : RK_EKEYFILE;
	if (kdf != KEYFILE_ARGON2ID)
		return RK_EKEYFILE;
	if (c->passphrase == NULL)
		return RK_EPASSPHRASE;
	for (unsigned i = 0; i < PASSPHRASE_TRIES; i++) {
		passphrase = NULL;
		if ((r = c->passphrase(c->user, role, false, i > 0, &passphrase)) != RK_OK)
			return r;
		r = keyfile_open(file, bytes_str(passphrase), secret, len);
		sodium_free(passphrase);
		if (r != RK_EPASSPHRASE)
			return r;
	}
	return RK_EPASSPHRASE;
}

int keys_unlock(struct client *c, enum key_role role)
{
	struct keys *k = keys_of(c);
	uint8_t *file, *secret = NULL;
	size_t file_len = 0, len = 0;
	int r;

	if (k == NULL)
		return RK_ENOMEM;
	if (k->sign[role].sk != NULL)
		return RK_OK;
	if ((r = keys_file_read(c, key_files[role], &file, &file_len, NULL)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_ENOTJOINED : r;
	r = open_file(c, role, bytes_make(file, file_len), &secret, &len);
	free(file);
	if (r != RK_OK)
		return r;
	if (len != (role == KEY_DEVICE ? DEVICE_SECRET_BYTES : SEED_BYTES))
		r = RK_EKEYFILE;
	else
		r = role == KEY_DEVICE ? device_set(k, secret) : sign_set(k, role, secret);
	sodium_free(secret);
	return r;
}

bool keys_is_open(struct client *c, enum key_role role)
{
	return c->keys != NULL && c->keys->sign[role].sk != NULL;
}

const uint8_t *keys_sign_sk(struct client *c, enum key_role role)
{
	return c->keys->sign[role].sk;
}

void keys_sign_pk(struct client *c, enum key_role role, uint8_t pk[32])
{
	memcpy(pk, c->keys->sign[role].pk, 32);
}

const uint8_t *keys_curve_sk(struct client *c)
{
	return c->keys->curve_sk;
}

void keys_curve_pk(struct client *c, uint8_t pk[32])
{
	memcpy(pk, c->keys->curve_pk, 32);
}

const uint8_t *keys_home_key(struct client *c)
{
	return c->keys->hk;
}
