/*
 * stream: streams, their heads and their cursors.  entry.c keeps the entries.  Layout: store/DESIGN.md.
 *
 * 1. An entry stands once, at a position that only grows; each of its streams has a row (stream id, seq) -> position,
 *    and the entry counts these rows.  The entry goes with the last of them.
 * 2. The seqs of a stream are dense from `first` to `head`; both stand in its head row, which is never deleted, so
 *    that a seq is never given twice.
 */
#include "store/stream.h"

#include "store/entry.h"
#include "store/tables.h"
#include "store/tag.h"

#define STREAMS_PER_ENTRY_MAX 17
#define STREAM_KEY_BYTES (STREAM_ID_BYTES + 8)
#define CURSOR_KEY_BYTES (ID16_BYTES + STREAM_ID_BYTES)

static const char next_position_key[] = "next-position";

/* ---- stream ids */

struct stream_id stream_control(void)
{
	return (struct stream_id){{RK__STREAM_TYPE__STREAM_CONTROL}};
}

struct stream_id stream_channel(Rk__Channel channel)
{
	return (struct stream_id){{RK__STREAM_TYPE__STREAM_CHANNEL, (uint8_t)channel}};
}

struct stream_id stream_mailbox(const uint8_t org_id[16])
{
	struct stream_id id = {{RK__STREAM_TYPE__STREAM_MAILBOX}};
	memcpy(id.b + 2, org_id, ID16_BYTES);
	return id;
}

int stream_from_wire(struct stream_id *out, const Rk__StreamId *in)
{
	bool has_channel = in->channel != RK__CHANNEL__CHANNEL_NONE, has_org = in->org_id.len != 0;
	switch (in->type) {
	case RK__STREAM_TYPE__STREAM_CONTROL:
		if (has_channel || has_org)
			return RK_MALFORMED;
		*out = stream_control();
		return RK_OK;
	case RK__STREAM_TYPE__STREAM_CHANNEL:
		if (in->channel < RK__CHANNEL__OFFER || in->channel > RK__CHANNEL__NOTICE || has_org)
			return RK_MALFORMED;
		*out = stream_channel(in->channel);
		return RK_OK;
	case RK__STREAM_TYPE__STREAM_MAILBOX:
		if (has_channel || in->org_id.len != ID16_BYTES || bytes_is_zero(in->org_id.data, ID16_BYTES))
			return RK_MALFORMED;
		*out = stream_mailbox(in->org_id.data);
		return RK_OK;
	default:
		return RK_MALFORMED;
	}
}

void stream_to_wire(const struct stream_id *id, Rk__StreamId *out)
{
	rk__stream_id__init(out);
	out->type = (Rk__StreamType)id->b[0];
	out->channel = (Rk__Channel)id->b[1];
	if (out->type == RK__STREAM_TYPE__STREAM_MAILBOX) {
		out->org_id.len = ID16_BYTES;
		out->org_id.data = (uint8_t *)(uintptr_t)(id->b + 2);
	}
}

static void stream_key(uint8_t key[STREAM_KEY_BYTES], const struct stream_id *id, uint64_t seq)
{
	memcpy(key, id->b, STREAM_ID_BYTES);
	put_u64be(key + STREAM_ID_BYTES, seq);
}

/* ---- heads and positions */

static int head_get(struct txn *t, const struct stream_id *id, uint64_t *first, uint64_t *head)
{
	uint64_t n[2] = {0, 1};
	int r = tag_row_get_held(t, T_STREAM_HEAD, BYTES_OF(id->b), n, 2);
	*head = r == RK_OK ? n[0] : 0;
	*first = r == RK_OK ? n[1] : 1;
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int head_put(struct txn *t, const struct stream_id *id, uint64_t first, uint64_t head)
{
	return tag_row_put(t, T_STREAM_HEAD, BYTES_OF(id->b), (const uint64_t[]){head, first}, 2, ENV_HOLD);
}

int stream_bounds(struct txn *t, const struct stream_id *id, uint64_t *first, uint64_t *head)
{
	return head_get(t, id, first, head);
}

static int take_position(struct txn *t, uint64_t *position)
{
	*position = 1;
	int r = tag_row_get(t, T_META, bytes_str(next_position_key), position, 1);
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	return tag_row_put(t, T_META, bytes_str(next_position_key), (const uint64_t[]){*position + 1}, 1, ENV_HOLD);
}

int stream_position(struct txn *t, const struct stream_id *id, uint64_t seq, uint64_t *position)
{
	uint8_t key[STREAM_KEY_BYTES];
	*position = 0;
	stream_key(key, id, seq);
	return tag_row_get(t, T_STREAM, BYTES_OF(key), position, 1);
}

int stream_append(struct txn *t, const struct stream_id *streams, size_t n, struct stream_entry *e, uint64_t *position,
                  uint64_t *seqs)
{
	const struct stream_id control = stream_control();
	uint64_t first, head;
	int r;

	*position = 0;
	if (n == 0 || n > STREAMS_PER_ENTRY_MAX || e->object.len > UINT32_MAX || e->wraps.len > UINT32_MAX ||
	    e->body.len > UINT32_MAX)
		return RK_EINTERNAL;
	if ((r = head_get(t, &control, &first, &e->control_seq)) != RK_OK)
		return r;
	for (size_t i = 0; i < n; i++)
		e->control_seq += memcmp(streams[i].b, control.b, STREAM_ID_BYTES) == 0;
	if ((r = take_position(t, position)) != RK_OK || (r = entry_put(t, *position, e, n)) != RK_OK)
		return r;
	for (size_t i = 0; i < n; i++) {
		uint8_t key[STREAM_KEY_BYTES];
		if ((r = head_get(t, &streams[i], &first, &head)) != RK_OK)
			return r;
		seqs[i] = ++head;
		stream_key(key, &streams[i], head);
		if ((r = tag_row_put(t, T_STREAM, BYTES_OF(key), position, 1, ENV_PUT)) != RK_OK ||
		    (r = head_put(t, &streams[i], first, head)) != RK_OK)
			return r;
	}
	return RK_OK;
}

int stream_read(struct txn *t, uint64_t position, bool with_bulk, struct stream_entry *e)
{
	return entry_read(t, position, with_bulk ? ENTRY_BULK_ALWAYS : ENTRY_BULK_NEVER, e);
}

int stream_drop_bulk(struct txn *t, uint64_t position, uint64_t *freed)
{
	return entry_drop_bulk(t, position, freed);
}

int stream_trim(struct txn *t, const struct stream_id *id, uint64_t seq, unsigned limit)
{
	uint64_t first, head, position;
	int r = head_get(t, id, &first, &head);
	uint64_t last = seq < head ? seq : head, from = first;
	for (; r == RK_OK && first <= last && limit > 0; first++, limit--) {
		uint8_t key[STREAM_KEY_BYTES];
		stream_key(key, id, first);
		if ((r = tag_row_get(t, T_STREAM, BYTES_OF(key), &position, 1)) == RK_OK &&
		    (r = entry_release(t, position)) == RK_OK)
			r = env_del(t, T_STREAM, BYTES_OF(key));
	}
	if (r == RK_OK && first != from)
		r = head_put(t, id, first, head);
	return r == RK_ENOTFOUND ? RK_EINTEGRITY : r;
}

/* The entry that the row under the cursor refers to, handed to fn.  *stop: fn wants no more, its answer is the
 * result. */
static int page_entry(struct entry_walk *walk, struct bytes key, struct bytes value, uint64_t seq,
                      int (*fn)(void *, uint64_t seq, const struct stream_entry *), void *user, bool *stop)
{
	struct stream_entry e;
	uint64_t position;
	int r = tag_row_decode(T_STREAM, key, value, &position, 1);
	if (r == RK_OK)
		r = entry_walk_read(walk, position, ENTRY_BULK_DELIVERY, &e);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_EINTEGRITY : r;
	r = fn(user, seq, &e);
	*stop = r != 0;
	return r;
}

int stream_page(struct txn *t, const struct stream_id *id, uint64_t cursor, unsigned limit,
                int (*fn)(void *, uint64_t seq, const struct stream_entry *), void *user)
{
	uint8_t expected[STREAM_KEY_BYTES];
	struct entry_walk walk = {.txn = t};
	struct env_cursor *c = NULL;
	struct bytes key, value;
	uint64_t first, head;
	bool stop = false;
	int r = head_get(t, id, &first, &head);

	if (r != RK_OK || limit == 0 || cursor >= head || first > head)
		return r;
	uint64_t seq = cursor < first ? first : cursor + 1;
	uint64_t last = head - seq < limit ? head : seq + limit - 1;
	if ((r = env_cursor_open(t, T_STREAM, &c)) != RK_OK)
		return r;
	stream_key(expected, id, seq);
	r = env_cursor_seek(c, BYTES_OF(expected), &key, &value);
	while (r == RK_OK) {
		stream_key(expected, id, seq);
		if (!bytes_equal(key, BYTES_OF(expected)))
			r = RK_EINTEGRITY;  /* a hole: seqs are dense */
		else
			r = page_entry(&walk, key, value, seq, fn, user, &stop);
		if (r != RK_OK || seq++ == last)
			break;
		r = env_cursor_next(c, &key, &value);
	}
	entry_walk_end(&walk);
	env_cursor_free(c);
	return r == RK_ENOTFOUND && !stop ? RK_EINTEGRITY : r;
}

/* ---- acknowledged cursors */

static void cursor_key(uint8_t key[CURSOR_KEY_BYTES], const uint8_t device_id[16], const struct stream_id *id)
{
	memcpy(key, device_id, ID16_BYTES);
	memcpy(key + ID16_BYTES, id->b, STREAM_ID_BYTES);
}

int stream_cursor_put(struct txn *t, const uint8_t device_id[16], const struct stream_id *id, uint64_t seq)
{
	uint8_t key[CURSOR_KEY_BYTES];
	cursor_key(key, device_id, id);
	return tag_row_put(t, T_CURSOR, BYTES_OF(key), &seq, 1, ENV_PUT);
}

int stream_cursor_get(struct txn *t, const uint8_t device_id[16], const struct stream_id *id, uint64_t *seq)
{
	uint8_t key[CURSOR_KEY_BYTES];
	*seq = 0;
	cursor_key(key, device_id, id);
	return tag_row_get(t, T_CURSOR, BYTES_OF(key), seq, 1);
}

int stream_cursor_drop_device(struct txn *t, const uint8_t device_id[16])
{
	struct env_cursor *c = NULL;
	struct bytes key, value;
	int r = env_cursor_open(t, T_CURSOR, &c);
	if (r != RK_OK)
		return r;
	r = env_cursor_seek(c, bytes_make(device_id, ID16_BYTES), &key, &value);
	while (r == RK_OK && key.len >= ID16_BYTES && memcmp(key.data, device_id, ID16_BYTES) == 0) {
		if ((r = env_cursor_del(c)) == RK_OK)
			r = env_cursor_next(c, &key, &value);
	}
	env_cursor_free(c);
	return r == RK_ENOTFOUND ? RK_OK : r;
}
