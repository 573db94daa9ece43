#include "store/tag.h"

#include <assert.h>

#include "proto/checksum.h"

_Static_assert(TAG_BYTES == sizeof(uint64_t), "the tag is one checksum");

void tag_make(uint8_t tag[TAG_BYTES], unsigned table, uint64_t position, struct bytes data)
{
	/* Positions stay below 2^56: two places never have the same seed. */
	put_u64be(tag, checksum(data, position ^ (uint64_t)table << 56));
}

int tag_check(unsigned table, uint64_t position, struct bytes *value)
{
	uint8_t tag[TAG_BYTES];
	if (value->len < TAG_BYTES)
		return RK_EINTEGRITY;
	value->len -= TAG_BYTES;
	tag_make(tag, table, position, *value);
	return memcmp(tag, value->data + value->len, TAG_BYTES) == 0 ? RK_OK : RK_EINTEGRITY;
}

int tag_row_put(struct txn *t, unsigned table, struct bytes key, const uint64_t *numbers, size_t n, enum env_put_flag flag)
{
	uint8_t row[TAG_ROW_BYTES_MAX + TAG_BYTES];
	size_t len = key.len + 8 * n;
	assert(len <= TAG_ROW_BYTES_MAX);
	memcpy(row, key.data, key.len);
	for (size_t i = 0; i < n; i++)
		put_u64be(row + key.len + 8 * i, numbers[i]);
	tag_make(row + len, table, 0, bytes_make(row, len));
	return env_put(t, table, key, bytes_make(row + key.len, 8 * n + TAG_BYTES), flag);
}

int tag_row_decode(unsigned table, struct bytes key, struct bytes value, uint64_t *numbers, size_t n)
{
	uint8_t row[TAG_ROW_BYTES_MAX], tag[TAG_BYTES];
	assert(key.len + 8 * n <= TAG_ROW_BYTES_MAX);
	if (value.len != 8 * n + TAG_BYTES)
		return RK_EINTEGRITY;
	memcpy(row, key.data, key.len);
	memcpy(row + key.len, value.data, 8 * n);
	tag_make(tag, table, 0, bytes_make(row, key.len + 8 * n));
	if (memcmp(tag, value.data + 8 * n, TAG_BYTES) != 0)
		return RK_EINTEGRITY;
	for (size_t i = 0; i < n; i++)
		numbers[i] = get_u64be(value.data + 8 * i);
	return RK_OK;
}

int tag_row_get(struct txn *t, unsigned table, struct bytes key, uint64_t *numbers, size_t n)
{
	struct bytes value;
	int r = env_get(t, table, key, &value);
	return r != RK_OK ? r : tag_row_decode(table, key, value, numbers, n);
}

int tag_row_get_held(struct txn *t, unsigned table, struct bytes key, uint64_t *numbers, size_t n)
{
	struct bytes value;
	int r = env_get_held(t, table, key, &value);
	return r != RK_OK ? r : tag_row_decode(table, key, value, numbers, n);
}
