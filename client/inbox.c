/*
 * inbox: what people should look at, in the order in which it came.  Never content: that stands behind the id.
 *
 * What the broker can cause as often as it likes stands there once while it is unread: an alert by its reason and organisation, a
 * return by its envelope too.  A repetition only brings time and id up to date; how often it was is among the counters.
 */
#include <stdio.h>

#include "client/client.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define ONCE_KEY_CHARS 200

static bool is_once(const Rkl__InboxRecord *rec)
{
	return rec->kind == RKL__INBOX_KIND__INBOX_ALERT || rec->kind == RKL__INBOX_KIND__INBOX_RETURNED;
}

/* C_META: number of the last record that says the same. */
static void once_key(char key[ONCE_KEY_CHARS], const Rkl__InboxRecord *rec)
{
	bool has_id = rec->kind == RKL__INBOX_KIND__INBOX_RETURNED && rec->id.len == ID32_BYTES;
	char org[2 * ID16_BYTES + 1] = "", id[2 * ID32_BYTES + 1] = "";

	if (rec->from_org.len == ID16_BYTES)
		ids_hex(org, bytes_of(rec->from_org));
	if (has_id)
		ids_hex(id, bytes_of(rec->id));
	snprintf(key, ONCE_KEY_CHARS, "inbox/%d/%s/%s/%.60s", (int)rec->kind, org, id, rec->detail);
}

/* The number of an unread record that says the same, 0 if there is none. */
static int find_unread(struct txn *txn, uint64_t no, uint64_t *found)
{
	struct arena *arena;
	Rkl__InboxRecord *old;
	uint8_t key[8];
	int r;

	*found = 0;
	if (no == 0)
		return RK_OK;
	if ((arena = arena_new(0)) == NULL)
		return RK_ENOMEM;
	put_u64be(key, no);
	r = record_get(txn, C_INBOX, BYTES_OF(key), &rkl__inbox_record__descriptor, arena, (ProtobufCMessage **)&old);
	if (r == RK_OK && !old->read)
		*found = no;
	arena_free(arena);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

int inbox_add(struct txn *txn, Rkl__InboxKind kind, struct bytes id, const uint8_t *from_org, int64_t time_ms, const char *detail)
{
	Rkl__InboxRecord rec = RKL__INBOX_RECORD__INIT;
	char once[ONCE_KEY_CHARS];
	uint8_t key[8];
	int r;

	rec.kind = kind;
	rec.id = (ProtobufCBinaryData){id.len, (uint8_t *)(uintptr_t)id.data};
	if (from_org != NULL)
		rec.from_org = (ProtobufCBinaryData){ID16_BYTES, (uint8_t *)(uintptr_t)from_org};
	rec.time_ms = time_ms;
	rec.detail = pb_text(detail);
	if (is_once(&rec)) {
		once_key(once, &rec);
		if ((r = find_unread(txn, meta_u64(txn, once), &rec.no)) != RK_OK)
			return r;
	}
	if (rec.no == 0) {
		rec.no = meta_next_id(txn);
		if (is_once(&rec) && (r = meta_put_u64(txn, once, rec.no)) != RK_OK)
			return r;
	}
	put_u64be(key, rec.no);
	return record_put(txn, C_INBOX, BYTES_OF(key), &rec.base);
}

/* What asks for something to be done: it is over when that is done, here or elsewhere. */
static bool is_arrival(const Rkl__InboxRecord *rec)
{
	return rec->kind == RKL__INBOX_KIND__INBOX_DOSSIER || rec->kind == RKL__INBOX_KIND__INBOX_NOTICE ||
	       rec->kind == RKL__INBOX_KIND__INBOX_ENROLMENT;
}

/* The unread line of an arrival, 0 if there is none.  Newest first: what people deal with came lately, as a rule. */
static int find_arrival(struct txn *txn, struct bytes id, struct arena *arena, uint64_t *no)
{
	struct env_cursor *cursor;
	struct bytes key, value;
	int r;

	*no = 0;
	if ((r = env_cursor_open(txn, C_INBOX, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_last(cursor, &key, &value); r == RK_OK && *no == 0; r = env_cursor_prev(cursor, &key, &value)) {
		Rkl__InboxRecord *record;

		arena_raise(arena, arena_budget(value.len));
		if ((record = rkl__inbox_record__unpack(arena_allocator(arena), value.len, value.data)) == NULL) {
			r = RK_ESTORE;
			break;
		}
		if (is_arrival(record) && !record->read && bytes_equal(bytes_of(record->id), id))
			*no = record->no;
	}
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

int inbox_settle(struct txn *txn, struct bytes id)
{
	struct arena *arena = arena_new(0);
	Rkl__InboxRecord *record;
	uint8_t key[8];
	uint64_t no;
	int r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = find_arrival(txn, id, arena, &no)) != RK_OK || no == 0)
		goto out;
	put_u64be(key, no);
	r = record_get(txn, C_INBOX, BYTES_OF(key), &rkl__inbox_record__descriptor, arena, (ProtobufCMessage **)&record);
	if (r == RK_OK) {
		record->read = true;
		r = record_put(txn, C_INBOX, BYTES_OF(key), &record->base);
	}
out:
	arena_free(arena);
	return r;
}
