#include "store/entry.h"

#include <stdlib.h>

#include "store/tables.h"
#include "store/tag.h"

#define HEAD_BYTES 40
#define LEAF_PAGE_BYTES 4096    /* on machines with larger ones only less well chosen */
#define LEAF_BYTES (LEAF_PAGE_BYTES - 16)  /* without its head */
#define ROW_BYTES (8 + 8 + 2)   /* a node's head, the key, its place in the page's list */

/* The fixed part in front; then the object, the bulk unless it lies apart, and the tag. */
struct entry_head {
	uint8_t kind, flags, references;
	uint64_t time_ms, control_seq, log_index;
	uint32_t object_len, wraps_len, body_len;
};

enum { /* offsets in the fixed head; byte 3 is 0 */
	AT_KIND = 0, AT_FLAGS = 1, AT_REFERENCES = 2, AT_TIME = 4, AT_CONTROL = 12, AT_LOG = 20,
	AT_OBJECT = 28, AT_WRAPS = 32, AT_BODY = 36,
};

static void head_encode(uint8_t out[HEAD_BYTES], const struct entry_head *h)
{
	memset(out, 0, HEAD_BYTES);
	out[AT_KIND] = h->kind;
	out[AT_FLAGS] = h->flags;
	out[AT_REFERENCES] = h->references;
	put_u64be(out + AT_TIME, h->time_ms);
	put_u64be(out + AT_CONTROL, h->control_seq);
	put_u64be(out + AT_LOG, h->log_index);
	put_u32be(out + AT_OBJECT, h->object_len);
	put_u32be(out + AT_WRAPS, h->wraps_len);
	put_u32be(out + AT_BODY, h->body_len);
}

static void head_decode(struct entry_head *h, const uint8_t in[HEAD_BYTES])
{
	h->kind = in[AT_KIND];
	h->flags = in[AT_FLAGS];
	h->references = in[AT_REFERENCES];
	h->time_ms = get_u64be(in + AT_TIME);
	h->control_seq = get_u64be(in + AT_CONTROL);
	h->log_index = get_u64be(in + AT_LOG);
	h->object_len = get_u32be(in + AT_OBJECT);
	h->wraps_len = get_u32be(in + AT_WRAPS);
	h->body_len = get_u32be(in + AT_BODY);
}

static size_t inline_len(const struct entry_head *h)
{
	size_t bulk = (h->flags & STREAM_BULK_APART) != 0 ? 0 : (size_t)h->wraps_len + h->body_len;
	return HEAD_BYTES + (size_t)h->object_len + bulk;
}

/*
 * What will be read next is asked for while this value is proven: reading a year's posts waits for memory, not for the hash.  LMDB fills a leaf from its
 * end, so a row of about this size that was appended next lies right before this one, or at the end of the next page.  Where it does not, nothing is
 * lost but the asking.
 */
static void prefetch_next(struct bytes value)
{
	const uintptr_t at = (uintptr_t)value.data, leaf = at & ~(uintptr_t)(LEAF_PAGE_BYTES - 1);
	uintptr_t next = at - ROW_BYTES - value.len;

	if (value.len > LEAF_BYTES / 2 - ROW_BYTES)
		return; /* it has pages of its own, and what follows lies anywhere */
	if (next < leaf + ROW_BYTES)
		next = leaf + 2 * LEAF_PAGE_BYTES - value.len;
	for (uintptr_t line = next & ~(uintptr_t)63; line < next + value.len; line += 64)
		__builtin_prefetch((const void *)line);
}

/* The row after the one that was read last needs no search. */
static int column_get(struct txn *t, struct entry_column *c, unsigned table, uint64_t position, struct bytes key, struct bytes *value)
{
	struct bytes found;
	int r = c->cursor != NULL ? RK_OK : env_cursor_open(t, table, &c->cursor);

	if (r != RK_OK)
		return r;
	if (c->position == 0 || c->position + 1 != position)
		r = env_cursor_find(c->cursor, key, value);
	else if ((r = env_cursor_next(c->cursor, &found, value)) == RK_OK && !bytes_equal(found, key))
		r = RK_ENOTFOUND; /* there is a hole: its tag would refuse it too, but the cursor stood elsewhere than is known here */
	c->position = r == RK_OK ? position : 0;
	if (r == RK_OK)
		prefetch_next(*value);
	return r;
}

/* The value at a position, proven.  column: of a walk, NULL for a single look. */
static int value_get(struct txn *t, struct entry_column *column, unsigned table, uint64_t position, struct bytes *value)
{
	uint8_t key[8];
	int r;

	put_u64be(key, position);
	r = column != NULL ? column_get(t, column, table, position, BYTES_OF(key), value) : env_get(t, table, BYTES_OF(key), value);
	return r == RK_OK ? tag_check(table, position, value) : r;
}

/* *rest is what follows the fixed head. */
static int entry_get(struct txn *t, struct entry_column *column, uint64_t position, struct entry_head *h, struct bytes *rest)
{
	struct bytes value;
	int r = value_get(t, column, T_ENTRY, position, &value);
	if (r != RK_OK)
		return r;
	if (value.len < HEAD_BYTES)
		return RK_EINTEGRITY;
	head_decode(h, value.data);
	if (value.len != inline_len(h))
		return RK_EINTEGRITY;
	*rest = bytes_make(value.data + HEAD_BYTES, value.len - HEAD_BYTES);
	return RK_OK;
}

static uint8_t *append_bytes(uint8_t *to, struct bytes b)
{
	if (b.len > 0)
		memcpy(to, b.data, b.len);
	return to + b.len;
}

/* Writes the parts behind each other, and the tag. */
static int put_tagged(struct txn *t, unsigned table, uint64_t position, const struct bytes parts[4],
                      enum env_put_flag flag)
{
	uint8_t key[8], *room, *at;
	size_t len = parts[0].len + parts[1].len + parts[2].len + parts[3].len;
	put_u64be(key, position);
	int r = env_reserve(t, table, BYTES_OF(key), len + TAG_BYTES, flag, &room);
	if (r != RK_OK)
		return r;
	at = room;
	for (size_t i = 0; i < 4; i++)
		at = append_bytes(at, parts[i]);
	tag_make(at, table, position, bytes_make(room, len));
	return RK_OK;
}

/* Rows of one size fill a leaf by whole numbers, and the rest of it is nobody's: three of 1,300 bytes, two of 1,400. */
static size_t place_of(size_t value_len)
{
	return LEAF_BYTES / (LEAF_BYTES / (ROW_BYTES + value_len + value_len % 2));
}

/* Two rows cost more work than one: only where a leaf could not hold both, or where they save a tenth of the place. */
static bool is_better_apart(const struct entry_head *h)
{
	size_t bulk = (size_t)h->wraps_len + h->body_len, object = HEAD_BYTES + (size_t)h->object_len + TAG_BYTES;

	if (bulk == 0)
		return false;
	if (object + bulk > STREAM_INLINE_MAX_BYTES)
		return true;
	return 10 * (place_of(object) + place_of(bulk + TAG_BYTES)) < 9 * place_of(object + bulk);
}

int entry_put(struct txn *t, uint64_t position, const struct stream_entry *e, size_t references)
{
	uint8_t head[HEAD_BYTES];
	struct entry_head h = {
		.kind = e->kind,
		.flags = e->flags & (uint8_t)~(STREAM_BULK_APART | STREAM_BULK_DROPPED),
		.references = (uint8_t)references,
		.time_ms = (uint64_t)e->time_ms,
		.control_seq = e->control_seq,
		.log_index = e->log_index,
		.object_len = (uint32_t)e->object.len,
		.wraps_len = (uint32_t)e->wraps.len,
		.body_len = (uint32_t)e->body.len,
	};
	const struct bytes none = {NULL, 0};
	if (is_better_apart(&h))
		h.flags |= STREAM_BULK_APART;
	head_encode(head, &h);
	if ((h.flags & STREAM_BULK_APART) == 0)
		return put_tagged(t, T_ENTRY, position, (struct bytes[]){BYTES_OF(head), e->object, e->wraps, e->body},
		                  ENV_APPEND);
	int r = put_tagged(t, T_ENTRY, position, (struct bytes[]){BYTES_OF(head), e->object, none, none}, ENV_APPEND);
	if (r == RK_OK)
		r = put_tagged(t, T_BULK, position, (struct bytes[]){e->wraps, e->body, none, none}, ENV_APPEND);
	return r;
}

/* Writes an entry anew with another head; `rest` is borrowed from the store, so it is copied before the page moves. */
static int entry_put_again(struct txn *t, uint64_t position, const struct entry_head *h, struct bytes rest)
{
	uint8_t head[HEAD_BYTES];
	const struct bytes none = {NULL, 0};
	uint8_t *copy = malloc(rest.len + 1);
	if (copy == NULL)
		return RK_ENOMEM;
	append_bytes(copy, rest);
	head_encode(head, h);
	struct bytes parts[] = {BYTES_OF(head), bytes_make(copy, rest.len), none, none};
	int r = put_tagged(t, T_ENTRY, position, parts, ENV_PUT);
	free(copy);
	return r;
}

static int bulk_get(struct txn *t, struct entry_column *column, uint64_t position, const struct entry_head *h, struct bytes *bulk)
{
	int r = value_get(t, column, T_BULK, position, bulk);
	if (r == RK_ENOTFOUND || (r == RK_OK && bulk->len != (size_t)h->wraps_len + h->body_len))
		r = RK_EINTEGRITY;  /* the head says that it is there */
	return r;
}

/* walk: NULL for a single one. */
static int read_entry(struct txn *t, struct entry_walk *walk, uint64_t position, enum entry_bulk mode, struct stream_entry *e)
{
	struct entry_head h;
	struct bytes rest, bulk = {NULL, 0};
	memset(e, 0, sizeof(*e));
	int r = entry_get(t, walk != NULL ? &walk->entries : NULL, position, &h, &rest);
	if (r != RK_OK)
		return r;
	e->kind = h.kind;
	e->flags = h.flags;
	e->time_ms = (int64_t)h.time_ms;
	e->control_seq = h.control_seq;
	e->log_index = h.log_index;
	e->object = bytes_make(rest.data, h.object_len);
	if (mode == ENTRY_BULK_NEVER || (mode == ENTRY_BULK_DELIVERY && (h.flags & STREAM_HEAD_ONLY) != 0))
		return RK_OK;
	if ((h.flags & STREAM_BULK_APART) != 0)
		r = bulk_get(t, walk != NULL ? &walk->bulk : NULL, position, &h, &bulk);
	else
		bulk = bytes_make(rest.data + h.object_len, rest.len - h.object_len);
	if (r == RK_OK && bulk.len > 0) {
		e->wraps = bytes_make(bulk.data, h.wraps_len);
		e->body = bytes_make(bulk.data + h.wraps_len, h.body_len);
	}
	return r;
}

int entry_read(struct txn *t, uint64_t position, enum entry_bulk mode, struct stream_entry *e)
{
	return read_entry(t, NULL, position, mode, e);
}

int entry_walk_read(struct entry_walk *w, uint64_t position, enum entry_bulk mode, struct stream_entry *e)
{
	return read_entry(w->txn, w, position, mode, e);
}

void entry_walk_end(struct entry_walk *w)
{
	env_cursor_free(w->entries.cursor);
	env_cursor_free(w->bulk.cursor);
}

static int del_at(struct txn *t, unsigned table, uint64_t position)
{
	uint8_t key[8];
	put_u64be(key, position);
	return env_del(t, table, BYTES_OF(key));
}

int entry_drop_bulk(struct txn *t, uint64_t position, uint64_t *freed)
{
	struct entry_head h;
	struct bytes rest;
	*freed = 0;
	int r = entry_get(t, NULL, position, &h, &rest);
	if (r == RK_ENOTFOUND || (r == RK_OK && h.wraps_len == 0 && h.body_len == 0))
		return RK_OK;
	if (r != RK_OK)
		return r;
	uint64_t len = (uint64_t)h.wraps_len + h.body_len;
	bool apart = (h.flags & STREAM_BULK_APART) != 0;
	h.flags = (uint8_t)((h.flags & ~STREAM_BULK_APART) | STREAM_BULK_DROPPED);
	h.wraps_len = h.body_len = 0;
	r = entry_put_again(t, position, &h, bytes_make(rest.data, h.object_len));
	if (r == RK_OK && apart)
		r = del_at(t, T_BULK, position);
	if (r == RK_OK)
		*freed = len;
	return r == RK_ENOTFOUND ? RK_EINTEGRITY : r;
}

int entry_release(struct txn *t, uint64_t position)
{
	struct entry_head h;
	struct bytes rest;
	int r = entry_get(t, NULL, position, &h, &rest);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_EINTEGRITY : r;
	if (h.references > 1) {
		h.references--;
		return entry_put_again(t, position, &h, rest);
	}
	r = del_at(t, T_ENTRY, position);
	if (r == RK_OK && (h.flags & STREAM_BULK_APART) != 0)
		r = del_at(t, T_BULK, position);
	return r == RK_ENOTFOUND ? RK_EINTEGRITY : r;
}
