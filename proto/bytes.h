/*
 * bytes: a borrowed run of bytes, and big-endian integers.  Everything that Renkei hashes, signs or uses as
 * a key is handled as exact bytes; this is the one type that carries them.  Header only.
 */
#ifndef RENKEI_PROTO_BYTES_H
#define RENKEI_PROTO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ID16_BYTES 16   /* org_id, device_id, invite_id, signer_id, thread_id */
#define ID32_BYTES 32   /* exchange_id, nda_id, env_id, post_id, oh, pc and every SHA-256 */
#define KEY_BYTES 32    /* public keys of both curves */

/* Borrowed: who owns the memory is said where a struct bytes is handed over.  {NULL, 0} is empty. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

#define BYTES_OF(array) ((struct bytes){(const uint8_t *)(array), sizeof(array)})

static inline struct bytes bytes_make(const void *data, size_t len)
{
	return (struct bytes){data, len};
}

static inline struct bytes bytes_str(const char *text)
{
	return (struct bytes){(const uint8_t *)text, strlen(text)};
}

/* Public data only: not constant time.  Secrets and MACs go through sodium_memcmp. */
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool bytes_is_zero(const uint8_t *data, size_t len)
{
	uint8_t any = 0;
	for (size_t i = 0; i < len; i++)
		any |= data[i];
	return any == 0;
}

static inline void put_u16be(uint8_t out[2], uint16_t v)
{
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
}

static inline void put_u32be(uint8_t out[4], uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void put_u64be(uint8_t out[8], uint64_t v)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static inline uint16_t get_u16be(const uint8_t in[2])
{
	return (uint16_t)((uint16_t)in[0] << 8 | in[1]);
}

static inline uint32_t get_u32be(const uint8_t in[4])
{
	uint32_t v = 0;
	for (int i = 0; i < 4; i++)
		v = v << 8 | in[i];
	return v;
}

static inline uint64_t get_u64be(const uint8_t in[8])
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | in[i];
	return v;
}

#endif
