#include "broker/page.h"

#include <stdlib.h>
#include <string.h>

#include "proto/down.h"
#include "proto/errcode.h"
#include "proto/strict.h"

/* The header of a delivery.  It points into what it was made of. */
struct header {
	uint8_t packed[DOWN_MAX_BYTES]; /* unless something is announced */
	Rk__Down down;
	Rk__Delivery delivery;
	Rk__StreamId stream;
	size_t len;
};

static int make_header(struct header *h, const struct stream_id *stream, uint64_t cursor, uint64_t seq, const struct stream_entry *s, struct arena *arena)
{
	rk__down__init(&h->down);
	rk__delivery__init(&h->delivery);
	stream_to_wire(stream, &h->stream);
	h->delivery.stream = &h->stream;
	h->delivery.seq = seq;
	h->delivery.kind = (Rk__EntryKind)s->kind;
	h->delivery.time_ms = s->time_ms;
	h->delivery.control_seq = s->control_seq;
	h->delivery.logged = (s->flags & STREAM_LOGGED) != 0;
	h->delivery.log_index = h->delivery.logged ? s->log_index : 0;
	h->delivery.gap_to = seq > cursor + 1 ? seq - 1 : 0;
	h->delivery.bulk_dropped = (s->flags & STREAM_BULK_DROPPED) != 0;
	if ((s->flags & STREAM_ANNOUNCED) != 0) {
		if (arena == NULL)
			return RK_ESTORE;
		arena_reset(arena, arena_budget(1024));
		if (STRICT_PARSE(announce, s->object, arena, &h->delivery.announce) != RK_OK)
			return RK_ESTORE;
	}
	if (down_is_plain_delivery(&h->delivery)) {
		h->len = down_pack_delivery(h->packed, &h->delivery);
		return RK_OK;
	}
	h->down.protocol = 1;
	h->down.delivery = &h->delivery;
	h->len = rk__down__get_packed_size(&h->down);
	return RK_OK;
}

static void write_header(const struct header *h, uint8_t *out)
{
	if (h->delivery.announce != NULL)
		(void)rk__down__pack(&h->down, out);
	else
		memcpy(out, h->packed, h->len);
}

/* Object (unless announced), WrapList, body: what the entry has; frames[0] is left for the header. */
static unsigned frames_of(const struct stream_entry *s, struct bytes frames[MESSAGE_OUT_FRAMES])
{
	const struct bytes none = {NULL, 0};
	const struct bytes all[] = {(s->flags & STREAM_ANNOUNCED) != 0 ? none : s->object, s->wraps, s->body};
	unsigned count = 1;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].len > 0)
			frames[count++] = all[i];
	return count;
}

bool page_is_lone(const struct stream_entry *s)
{
	return s->object.len + s->wraps.len + s->body.len > PAGE_ENTRY_MAX_BYTES;
}

int page_add(struct page_builder *b, const struct stream_id *stream, uint64_t cursor, uint64_t seq, const struct stream_entry *s, struct arena *arena)
{
	struct bytes frames[MESSAGE_OUT_FRAMES];
	unsigned count = frames_of(s, frames);
	struct header h;
	uint8_t *first;
	int r;

	if (page_is_lone(s))
		return RK_TOO_LARGE;
	if ((r = make_header(&h, stream, cursor, seq, s, arena)) != RK_OK)
		return r;
	frames[0] = bytes_make(NULL, h.len);
	/* All the room that a page may take: what it does not use is given back, untouched. */
	if (b->bundle.count == 0 && !bundle_reserve(&b->bundle, BUNDLE_MAX_BYTES))
		return RK_ENOMEM;
	if ((r = bundle_add_open(&b->bundle, frames, count, &first)) != RK_OK)
		return r;
	write_header(&h, first);
	if (b->bundle.count == 1)
		b->cursor = cursor;
	b->last = seq;
	for (unsigned i = 0; i < count; i++)
		b->bytes += frames[i].len;
	return RK_OK;
}

int page_finish(struct page_builder *b, struct page *p)
{
	struct bundle *bundle = &b->bundle;
	int code;

	if (bundle->count == 0)
		return RK_ENOTFOUND;
	bundle_shrink(bundle);
	*p = (struct page){.cursor = b->cursor, .last = b->last, .count = bundle->count, .bytes = b->bytes, .frame_count = 1, .is_bundle = true};
	code = message_frame_take(&p->frames[0], bundle) ? RK_OK : RK_ENOMEM;
	page_builder_clear(b);
	return code;
}

static bool add_frame(struct page *p, struct bytes b)
{
	zmq_msg_t *frame = &p->frames[p->frame_count];

	if (zmq_msg_init_size(frame, b.len) != 0)
		return false;
	if (b.data != NULL)
		memcpy(zmq_msg_data(frame), b.data, b.len);
	p->frame_count++;
	p->bytes += b.len;
	return true;
}

static bool share_frame(struct page *p, zmq_msg_t *from)
{
	zmq_msg_t *frame = &p->frames[p->frame_count];

	zmq_msg_init(frame);
	if (zmq_msg_copy(frame, from) != 0)
		return false;
	p->frame_count++;
	p->bytes += zmq_msg_size(from);
	return true;
}

int page_lone(struct page *p, const struct stream_id *stream, uint64_t cursor, uint64_t seq, const struct stream_entry *s, zmq_msg_t *body, struct arena *arena)
{
	struct bytes frames[MESSAGE_OUT_FRAMES];
	unsigned count = frames_of(s, frames);
	struct header h;
	int r = make_header(&h, stream, cursor, seq, s, arena);
	bool ok = true;

	*p = (struct page){.cursor = cursor, .last = seq, .count = 1};
	if (r != RK_OK)
		return r;
	frames[0] = bytes_make(NULL, h.len);
	for (unsigned i = 0; ok && i < count; i++)
		ok = body != NULL && frames[i].data == s->body.data ? share_frame(p, body) : add_frame(p, frames[i]);
	if (!ok) {
		page_clear(p);
		return RK_ENOMEM;
	}
	write_header(&h, zmq_msg_data(&p->frames[0]));
	return RK_OK;
}

void page_builder_clear(struct page_builder *b)
{
	bundle_clear(&b->bundle);
	*b = (struct page_builder){0};
}

void page_clear(struct page *p)
{
	for (unsigned i = 0; i < p->frame_count; i++)
		zmq_msg_close(&p->frames[i]);
	p->frame_count = 0;
}
