/* The key of a feed epoch, sealed to one device: label || feed_id || n || ek_commit || EK. */
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define LABEL_BYTES 16
#define PREFIX_BYTES (LABEL_BYTES + 4 + 4 + 32)
#define PLAIN_BYTES (PREFIX_BYTES + 32)
#define SEALED_BYTES 136

_Static_assert(PLAIN_BYTES + crypto_box_SEALBYTES == SEALED_BYTES, "a sealed feed key is 136 bytes");

static const uint8_t label[LABEL_BYTES] = "renkei1-fek";

void trust_ek_commit(uint8_t out[32], const uint8_t ek[32])
{
	ids_hash(out, "renkei/v1/feed-commit", bytes_make(ek, 32));
}

/* All before the key: what the opener compares. */
static void make_prefix(uint8_t out[PREFIX_BYTES], uint32_t n, const uint8_t commit[32])
{
	memcpy(out, label, LABEL_BYTES);
	put_u32be(out + LABEL_BYTES, 0);
	put_u32be(out + LABEL_BYTES + 4, n);
	memcpy(out + LABEL_BYTES + 8, commit, 32);
}

int trust_feed_key_seal(uint8_t sealed[SEALED_BYTES], uint32_t n, const uint8_t ek[32], const uint8_t kx_pk[32])
{
	uint8_t plain[PLAIN_BYTES], commit[32];
	int r;

	trust_ek_commit(commit, ek);
	make_prefix(plain, n, commit);
	memcpy(plain + PREFIX_BYTES, ek, 32);
	r = crypto_box_seal(sealed, plain, sizeof(plain), kx_pk) == 0 ? RK_OK : RK_NO_RECIPIENT_KEY;
	sodium_memzero(plain, sizeof(plain));
	return r;
}

int trust_feed_key_open(uint8_t ek[32], const Rk__FeedKey *key, const Rk__FeedEpoch *epoch, const uint8_t kx_pk[32],
                        const uint8_t kx_sk[32])
{
	uint8_t plain[PLAIN_BYTES], prefix[PREFIX_BYTES], commit[32];
	int r = RK_BAD_SIGNATURE;

	sodium_memzero(ek, 32);
	if (key->sealed.len != SEALED_BYTES || epoch->ek_commit.len != 32)
		return r;
	if (key->feed_id != 0 || epoch->feed_id != 0 || key->n != epoch->n)
		return r;
	if (crypto_box_seal_open(plain, key->sealed.data, SEALED_BYTES, kx_pk, kx_sk) != 0)
		goto out;
	make_prefix(prefix, epoch->n, epoch->ek_commit.data);
	trust_ek_commit(commit, plain + PREFIX_BYTES);
	if (sodium_memcmp(plain, prefix, PREFIX_BYTES) != 0 || sodium_memcmp(commit, epoch->ek_commit.data, 32) != 0)
		goto out;
	memcpy(ek, plain + PREFIX_BYTES, 32);
	r = RK_OK;
out:
	sodium_memzero(plain, sizeof(plain));
	return r;
}
