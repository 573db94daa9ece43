/* The posts of a device that its organisation has struck from its list.  Rare, so all posts are looked at. */
#include <stdlib.h>

#include "client/client_internal.h"
#include "proto/strict.h"

#define DROP_PAGE 256

/* A page of the posts that this device signed last and that can still be read, from `from` on; *from is where the next page begins. */
static int find_page(struct txn *txn, const uint8_t device_id[16], uint8_t from[33], uint8_t (*ids)[32], size_t *n, bool *more)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r;

	*n = 0;
	*more = false;
	if ((r = env_cursor_open(txn, C_POST, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, bytes_make(from, 33), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__PostRecord *record = rkl__post_record__unpack(NULL, value.len, value.data);
		bool is_hit;

		if (record == NULL || key.len != 32) {
			r = RK_ESTORE;
			break;
		}
		is_hit = bytes_equal(bytes_of(record->sender_device), bytes_make(device_id, ID16_BYTES)) &&
			 (record->status == RKL__POST_STATUS__LIVE || record->status == RKL__POST_STATUS__SEALED);
		rkl__post_record__free_unpacked(record, NULL);
		if (is_hit)
			memcpy(ids[(*n)++], key.data, 32);
		if (*n == DROP_PAGE) {
			memcpy(from, key.data, 32);
			*more = true;
			break;
		}
	}
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int withdraw(struct txn *txn, const uint8_t post_id[32])
{
	struct arena *arena = arena_new(0);
	Rkl__PostRecord *record;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	r = record_get(txn, C_POST, bytes_make(post_id, 32), &rkl__post_record__descriptor, arena, (ProtobufCMessage **)&record);
	if (r == RK_OK) {
		record->status = RKL__POST_STATUS__WITHDRAWN;
		r = record_put(txn, C_POST, bytes_make(post_id, 32), &record->base);
	}
	arena_free(arena);
	return r;
}

int feed_on_device_dropped(struct client *c, struct txn *txn, const uint8_t device_id[16])
{
	uint8_t (*ids)[32] = malloc(DROP_PAGE * sizeof(*ids)), from[33] = {0}; /* 33: behind the last key of a page */
	bool more = ids != NULL;
	int r = ids != NULL ? RK_OK : RK_ENOMEM;
	size_t n;

	(void)c;
	while (more && r == RK_OK) {
		r = find_page(txn, device_id, from, ids, &n, &more);
		for (size_t i = 0; i < n && r == RK_OK; i++)
			r = withdraw(txn, ids[i]);
	}
	free(ids);
	return r;
}
