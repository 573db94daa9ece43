/* Both texts: prefix, base64url of a fixed layout, a check sum against slips of the pen; neither is authentic by itself. */
#include "proto/invite.h"

#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite_internal.h"

#define CARD_PREFIX "rk-broker:"
#define INVITE_PREFIX "rk-inv:"
#define SUM_BYTES INVITE_SUM_BYTES
#define CARD_FIXED_BYTES (32 + 32 + 2)
#define INVITE_FIXED_BYTES (32 + 32 + 32 + 8)
#define RAW_MAX_BYTES (INVITE_FIXED_BYTES + ENDPOINT_MAX_CHARS + SUM_BYTES)

_Static_assert(CARD_FIXED_BYTES <= INVITE_FIXED_BYTES, "RAW_MAX_BYTES holds both");
_Static_assert((RAW_MAX_BYTES * 4 + 2) / 3 + sizeof(CARD_PREFIX) <= INVITE_TEXT_CHARS, "the text fits");

bool invite_is_endpoint(const uint8_t *text, size_t len)
{
	if (len == 0 || len > ENDPOINT_MAX_CHARS)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= 0x20 || text[i] >= 0x7f)
			return false;
	return true;
}

void invite_add_sum(uint8_t *raw, size_t len)
{
	uint8_t hash[32];

	ids_sha256(hash, bytes_make(raw, len));
	memcpy(raw + len, hash, SUM_BYTES);
}

int invite_from_text(uint8_t *raw, size_t room, size_t *len, size_t min_len, const char *prefix, const char *text)
{
	uint8_t hash[32];

	if (strlen(text) >= INVITE_TEXT_CHARS || ids_from_text(raw, room, len, prefix, text) != RK_OK)
		return RK_MALFORMED;
	if (*len < min_len + SUM_BYTES)
		return RK_MALFORMED;
	*len -= SUM_BYTES;
	ids_sha256(hash, bytes_make(raw, *len));
	return memcmp(hash, raw + *len, SUM_BYTES) == 0 ? RK_OK : RK_MALFORMED;
}

int invite_card_text(char out[INVITE_TEXT_CHARS], const struct broker_card *card)
{
	uint8_t raw[RAW_MAX_BYTES];
	size_t len = strnlen(card->endpoint, sizeof(card->endpoint));

	out[0] = '\0';
	if (!invite_is_endpoint((const uint8_t *)card->endpoint, len))
		return RK_MALFORMED;
	memcpy(raw, card->curve_pk, 32);
	memcpy(raw + 32, card->log_pk, 32);
	put_u16be(raw + 64, (uint16_t)len);
	memcpy(raw + CARD_FIXED_BYTES, card->endpoint, len);
	invite_add_sum(raw, CARD_FIXED_BYTES + len);
	return ids_text(out, INVITE_TEXT_CHARS, CARD_PREFIX, bytes_make(raw, CARD_FIXED_BYTES + len + SUM_BYTES));
}

int invite_card_parse(struct broker_card *card, const char *text)
{
	uint8_t raw[RAW_MAX_BYTES];
	size_t len;

	memset(card, 0, sizeof(*card));
	if (invite_from_text(raw, sizeof(raw), &len, CARD_FIXED_BYTES + 1, CARD_PREFIX, text) != RK_OK)
		return RK_MALFORMED;
	len -= CARD_FIXED_BYTES;
	if (get_u16be(raw + 64) != len || !invite_is_endpoint(raw + CARD_FIXED_BYTES, len))
		return RK_MALFORMED;
	memcpy(card->curve_pk, raw, 32);
	memcpy(card->log_pk, raw + 32, 32);
	memcpy(card->endpoint, raw + CARD_FIXED_BYTES, len);
	return RK_OK;
}

int invite_text(char out[INVITE_TEXT_CHARS], const struct invite *inv)
{
	uint8_t raw[RAW_MAX_BYTES];
	size_t len = strnlen(inv->endpoint, sizeof(inv->endpoint));
	int r;

	out[0] = '\0';
	if (!invite_is_endpoint((const uint8_t *)inv->endpoint, len) || inv->expires_at < 1)
		return RK_MALFORMED;
	memcpy(raw, inv->exchange_id, 32);
	memcpy(raw + 32, inv->broker_curve_pk, 32);
	memcpy(raw + 64, inv->seed, 32);
	put_u64be(raw + 96, (uint64_t)inv->expires_at);
	memcpy(raw + INVITE_FIXED_BYTES, inv->endpoint, len);
	invite_add_sum(raw, INVITE_FIXED_BYTES + len);
	r = ids_text(out, INVITE_TEXT_CHARS, INVITE_PREFIX, bytes_make(raw, INVITE_FIXED_BYTES + len + SUM_BYTES));
	sodium_memzero(raw, sizeof(raw));
	return r;
}

int invite_parse(struct invite *inv, const char *text)
{
	uint8_t raw[RAW_MAX_BYTES];
	uint64_t expires_at;
	size_t len;
	int r = RK_MALFORMED;

	memset(inv, 0, sizeof(*inv));
	if (invite_from_text(raw, sizeof(raw), &len, INVITE_FIXED_BYTES + 1, INVITE_PREFIX, text) != RK_OK)
		goto out;
	len -= INVITE_FIXED_BYTES;
	expires_at = get_u64be(raw + 96);
	if (expires_at == 0 || expires_at > INT64_MAX || !invite_is_endpoint(raw + INVITE_FIXED_BYTES, len))
		goto out;
	memcpy(inv->exchange_id, raw, 32);
	memcpy(inv->broker_curve_pk, raw + 32, 32);
	memcpy(inv->seed, raw + 64, 32);
	inv->expires_at = (int64_t)expires_at;
	memcpy(inv->endpoint, raw + INVITE_FIXED_BYTES, len);
	r = RK_OK;
out:
	sodium_memzero(raw, sizeof(raw));
	return r;
}

void invite_keys(const uint8_t seed[32], uint8_t curve_pk[32], uint8_t curve_sk[32], uint8_t mac_key[32],
                 uint8_t id[16])
{
	uint8_t curve_seed[32];

	ids_kdf(curve_seed, seed, "renkei/v1/invite-curve", (struct bytes){NULL, 0});
	crypto_box_seed_keypair(curve_pk, curve_sk, curve_seed);
	sodium_memzero(curve_seed, sizeof(curve_seed));
	ids_kdf(mac_key, seed, "renkei/v1/invite-mac", (struct bytes){NULL, 0});
	ids_invite(id, curve_pk);
}

/* The same bytes that O signed, and the signature: TBS || sig under "renkei/v1/enrol". */
void invite_tag(uint8_t tag[32], const uint8_t mac_key[32], const uint8_t exchange_id[32], struct bytes payload,
                struct bytes sig)
{
	static const char label[] = "renkei/v1/enrol";
	crypto_auth_hmacsha512_state state;
	uint8_t full[crypto_auth_hmacsha512_BYTES];

	/* crypto_auth is HMAC-SHA-512 cut to 32 bytes; in pieces, because a request has no one buffer. */
	_Static_assert(crypto_auth_BYTES == 32, "tag length");
	crypto_auth_hmacsha512_init(&state, mac_key, 32);
	crypto_auth_hmacsha512_update(&state, (const uint8_t *)label, sizeof(label));
	crypto_auth_hmacsha512_update(&state, exchange_id, 32);
	crypto_auth_hmacsha512_update(&state, payload.data, payload.len);
	crypto_auth_hmacsha512_update(&state, sig.data, sig.len);
	crypto_auth_hmacsha512_final(&state, full);
	memcpy(tag, full, 32);
	sodium_memzero(full, sizeof(full));
	sodium_memzero(&state, sizeof(state));
}

int invite_check_tag(const uint8_t tag[32], const uint8_t mac_key[32], const uint8_t exchange_id[32],
                     struct bytes payload, struct bytes sig)
{
	uint8_t expected[32];
	int r;

	invite_tag(expected, mac_key, exchange_id, payload, sig);
	r = sodium_memcmp(expected, tag, sizeof(expected)) == 0 ? RK_OK : RK_BAD_SIGNATURE;
	sodium_memzero(expected, sizeof(expected));
	return r;
}
