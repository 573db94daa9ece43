/* Header fields are read and judged before memory is taken for them: a file may ask Argon2id for anything. */
#include "proto/keyfile.h"

#include <sodium.h>

#include "proto/errcode.h"

#define MAGIC_BYTES 8
#define SALT_BYTES crypto_pwhash_SALTBYTES
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEADER_BYTES (MAGIC_BYTES + 1 + 4 + 4 + SALT_BYTES + NONCE_BYTES)
#define FILE_KEY_BYTES 32

#define OPS_MIN 2
#define OPS_MAX 10
#define MEM_MIB_MIN 64
#define MEM_MIB_MAX 1024

_Static_assert(HEADER_BYTES + TAG_BYTES == KEYFILE_OVERHEAD, "layout");

static const uint8_t magic[MAGIC_BYTES] = "RKKEY1";

const struct keyfile_params keyfile_default = {KEYFILE_ARGON2ID, 3, 256};

/* Argon2id within limits; the others use neither number and must carry none. */
static bool are_params_allowed(const struct keyfile_params *p)
{
	switch (p->kdf) {
	case KEYFILE_ARGON2ID:
		return p->ops >= OPS_MIN && p->ops <= OPS_MAX && p->mem_mib >= MEM_MIB_MIN && p->mem_mib <= MEM_MIB_MAX;
	case KEYFILE_NONE:
	case KEYFILE_RAW:
		return p->ops == 0 && p->mem_mib == 0;
	}
	return false;
}

static int derive(uint8_t key[FILE_KEY_BYTES], const struct keyfile_params *p, struct bytes passphrase,
                  const uint8_t salt[SALT_BYTES])
{
	switch (p->kdf) {
	case KEYFILE_NONE:
		memset(key, 0, FILE_KEY_BYTES);
		return RK_OK;
	case KEYFILE_RAW:
		if (passphrase.len != FILE_KEY_BYTES)
			return RK_EPASSPHRASE;
		memcpy(key, passphrase.data, FILE_KEY_BYTES);
		return RK_OK;
	case KEYFILE_ARGON2ID:
		break;
	}
	if (passphrase.len > crypto_pwhash_argon2id_PASSWD_MAX)
		return RK_EPASSPHRASE;
	/* Within the limits above it fails for want of memory only. */
	if (crypto_pwhash(key, FILE_KEY_BYTES, (const char *)passphrase.data, passphrase.len, salt, p->ops,
	                  (size_t)p->mem_mib << 20, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return RK_ENOMEM;
	return RK_OK;
}

int keyfile_seal(uint8_t *out, const struct keyfile_params *params, struct bytes passphrase, struct bytes secret)
{
	struct keyfile_params p = *params;
	uint8_t key[FILE_KEY_BYTES] = {0}, *at = out;
	int r;

	if (p.kdf != KEYFILE_ARGON2ID)
		p.ops = p.mem_mib = 0;
	if (!are_params_allowed(&p) || secret.len > KEYFILE_SECRET_MAX)
		return RK_EKEYFILE;
	memcpy(at, magic, MAGIC_BYTES);
	at += MAGIC_BYTES;
	*at++ = (uint8_t)p.kdf;
	put_u32be(at, p.ops);
	put_u32be(at + 4, p.mem_mib);
	at += 8;
	randombytes_buf(at, SALT_BYTES + NONCE_BYTES);
	if ((r = derive(key, &p, passphrase, at)) != RK_OK)
		goto out;
	at += SALT_BYTES;
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + HEADER_BYTES, NULL, secret.data, secret.len, out, HEADER_BYTES,
	                                           NULL, at, key);
out:
	sodium_memzero(key, sizeof(key));
	return r;
}

static int read_params(struct bytes file, struct keyfile_params *p)
{
	if (file.len < KEYFILE_OVERHEAD || file.len > KEYFILE_OVERHEAD + KEYFILE_SECRET_MAX)
		return RK_EKEYFILE;
	if (memcmp(file.data, magic, MAGIC_BYTES) != 0 || file.data[MAGIC_BYTES] > KEYFILE_RAW)
		return RK_EKEYFILE;
	p->kdf = (enum keyfile_kdf)file.data[MAGIC_BYTES];
	p->ops = get_u32be(file.data + MAGIC_BYTES + 1);
	p->mem_mib = get_u32be(file.data + MAGIC_BYTES + 5);
	return are_params_allowed(p) ? RK_OK : RK_EKEYFILE;
}

int keyfile_open(struct bytes file, struct bytes passphrase, uint8_t **secret, size_t *secret_len)
{
	uint8_t key[FILE_KEY_BYTES] = {0}, *plain = NULL;
	size_t plain_len = file.len - KEYFILE_OVERHEAD;
	const uint8_t *salt, *nonce;
	struct keyfile_params p;
	int r;

	*secret = NULL;
	*secret_len = 0;
	if ((r = read_params(file, &p)) != RK_OK)
		return r;
	salt = file.data + MAGIC_BYTES + 1 + 8;
	nonce = salt + SALT_BYTES;
	if ((r = derive(key, &p, passphrase, salt)) != RK_OK)
		goto out;
	r = RK_ENOMEM;
	if (!(plain = sodium_malloc(plain_len)))
		goto out;
	r = RK_EPASSPHRASE;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, file.data + HEADER_BYTES,
	                                               file.len - HEADER_BYTES, file.data, HEADER_BYTES, nonce, key) != 0)
		goto out;
	*secret = plain;
	*secret_len = plain_len;
	plain = NULL; /* the caller's */
	r = RK_OK;
out:
	sodium_memzero(key, sizeof(key));
	if (plain)
		sodium_free(plain);
	return r;
}

int keyfile_kdf_of(struct bytes file)
{
	struct keyfile_params p;
	int r = read_params(file, &p);

	return r == RK_OK ? (int)p.kdf : r;
}
