#include "store/held.h"

#include <string.h>

struct held_row *held_find(struct held *h, unsigned table, struct bytes key)
{
	for (unsigned i = 0; i < h->count; i++) {
		struct held_row *r = &h->rows[i];

		if (r->table == table && r->key_len == key.len && memcmp(r->key, key.data, key.len) == 0)
			return r;
	}
	return NULL;
}

static struct held_row *add(struct held *h, unsigned table, struct bytes key)
{
	struct held_row *r;

	if (h->count == HELD_MAX)
		return NULL;
	r = &h->rows[h->count++];
	r->table = table;
	r->key_len = (uint8_t)key.len;
	memcpy(r->key, key.data, key.len);
	return r;
}

static void fill(struct held_row *r, struct bytes value, bool is_clean)
{
	r->value_len = (uint8_t)value.len;
	memcpy(r->value, value.data, value.len);
	r->is_clean = is_clean;
	r->is_saved = false;
}

static bool fits(struct bytes key, struct bytes value)
{
	return key.len > 0 && key.len <= HELD_KEY_MAX_BYTES && value.len > 0 && value.len <= HELD_VALUE_MAX_BYTES;
}

bool held_set(struct held *h, unsigned table, struct bytes key, struct bytes value)
{
	struct held_row *r;

	if (!fits(key, value) || ((r = held_find(h, table, key)) == NULL && (r = add(h, table, key)) == NULL))
		return false;
	fill(r, value, false);
	return true;
}

void held_keep(struct held *h, unsigned table, struct bytes key, struct bytes value)
{
	struct held_row *r;

	if (fits(key, value) && (r = add(h, table, key)) != NULL)
		fill(r, value, true);
}

void held_drop(struct held *h, unsigned table, struct bytes key)
{
	struct held_row *r = held_find(h, table, key);

	if (r != NULL)
		*r = h->rows[--h->count];
}
