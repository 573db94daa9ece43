/*
 * Names and keys of C2SP signed notes, as the Charter carries them: "name+xxxxxxxx+base64(type || key)".  The key id
 * binds name, type and key, so a vkey that was put together wrongly does not parse.  Declared in note.h.
 */
#include <sodium.h>
#include <stdio.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/note.h"

#define KEY_ID_BYTES 4
#define TYPED_KEY_BYTES 33
#define TYPED_KEY_CHARS 44 /* base64 of 33 bytes: no padding */
#define ORIGIN_NUMBER_MAX 9999u

static void exchange_name(char out[NOTE_NAME_CHARS], const uint8_t exchange_id[32], const char *last)
{
	char hex[2 * 8 + 1];

	ids_hex(hex, bytes_make(exchange_id, 8));
	snprintf(out, NOTE_NAME_CHARS, "renkei/%s/%s", hex, last);
}

void note_origin(char out[NOTE_NAME_CHARS], const uint8_t exchange_id[32], unsigned n)
{
	char last[16];

	snprintf(last, sizeof(last), "log%u", n);
	exchange_name(out, exchange_id, last);
}

unsigned note_origin_number(const char *origin, const uint8_t exchange_id[32])
{
	char rebuilt[NOTE_NAME_CHARS];
	const char *digits = strrchr(origin, '/');
	unsigned n = 0;

	if (!digits || strncmp(digits, "/log", 4) != 0)
		return 0;
	for (digits += 4; *digits >= '0' && *digits <= '9' && n < ORIGIN_NUMBER_MAX; digits++)
		n = n * 10 + (unsigned)(*digits - '0');
	if (n == 0 || n > ORIGIN_NUMBER_MAX)
		return 0;
	note_origin(rebuilt, exchange_id, n);
	return strcmp(rebuilt, origin) == 0 ? n : 0;
}

void note_witness_name(char out[NOTE_NAME_CHARS], const uint8_t exchange_id[32])
{
	exchange_name(out, exchange_id, "witness");
}

static bool is_note_name(const char *name, size_t len)
{
	if (len == 0 || len >= NOTE_NAME_CHARS)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= 0x20 || name[i] >= 0x7f || name[i] == '+')
			return false;
	return true;
}

static void key_id(uint8_t out[KEY_ID_BYTES], const char *name, uint8_t type, const uint8_t pk[32])
{
	crypto_hash_sha256_state state;
	const uint8_t newline = 0x0a;
	uint8_t hash[32];

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
	crypto_hash_sha256_update(&state, &newline, 1);
	crypto_hash_sha256_update(&state, &type, 1);
	crypto_hash_sha256_update(&state, pk, 32);
	crypto_hash_sha256_final(&state, hash);
	memcpy(out, hash, KEY_ID_BYTES);
}

int note_vkey(char out[NOTE_VKEY_CHARS], const char *name, uint8_t type, const uint8_t pk[32])
{
	char hex[2 * KEY_ID_BYTES + 1], base64[TYPED_KEY_CHARS + 1];
	uint8_t id[KEY_ID_BYTES], typed[TYPED_KEY_BYTES];

	if (!is_note_name(name, strlen(name)))
		return RK_MALFORMED;
	key_id(id, name, type, pk);
	ids_hex(hex, BYTES_OF(id));
	typed[0] = type;
	memcpy(typed + 1, pk, 32);
	sodium_bin2base64(base64, sizeof(base64), typed, sizeof(typed), sodium_base64_VARIANT_ORIGINAL);
	snprintf(out, NOTE_VKEY_CHARS, "%s+%s+%s", name, hex, base64);
	return RK_OK;
}

int note_vkey_parse(const char *vkey, char name[NOTE_NAME_CHARS], uint8_t *type, uint8_t pk[32])
{
	uint8_t typed[TYPED_KEY_BYTES];
	char rebuilt[NOTE_VKEY_CHARS];
	const char *plus = strchr(vkey, '+');
	size_t name_len = plus ? (size_t)(plus - vkey) : 0, len;

	name[0] = '\0';
	if (!plus || !is_note_name(vkey, name_len))
		return RK_MALFORMED;
	if (strlen(plus) != 1 + 2 * KEY_ID_BYTES + 1 + TYPED_KEY_CHARS)
		return RK_MALFORMED;
	if (sodium_base642bin(typed, sizeof(typed), plus + 2 + 2 * KEY_ID_BYTES, TYPED_KEY_CHARS, NULL, &len, NULL,
	                      sodium_base64_VARIANT_ORIGINAL) != 0 || len != sizeof(typed))
		return RK_MALFORMED;
	memcpy(name, vkey, name_len);
	name[name_len] = '\0';
	/* One text for one key: whatever does not come out again in the same letters was never a vkey. */
	if (note_vkey(rebuilt, name, typed[0], typed + 1) != RK_OK || strcmp(rebuilt, vkey) != 0) {
		name[0] = '\0';
		return RK_MALFORMED;
	}
	*type = typed[0];
	memcpy(pk, typed + 1, 32);
	return RK_OK;
}

int note_key_parse(struct note_key *key, const char *vkey)
{
	return note_vkey_parse(vkey, key->name, &key->type, key->pk);
}

void note_key_id(uint8_t out[4], const struct note_key *key)
{
	key_id(out, key->name, key->type, key->pk);
}
