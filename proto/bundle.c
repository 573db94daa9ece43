#include "proto/bundle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errcode.h"

#define MARK 0x00
#define FIRST_BYTES 4096 /* holds the replies of a batch to one peer, or one or two posts */

bool bundle_is(struct bytes frame)
{
	return frame.len > 0 && frame.data[0] == MARK;
}

/* Reads the message at *at and moves it.  False: it is not one. */
static bool read_message(struct bytes frame, size_t *at, struct bundle_message *m)
{
	size_t left = frame.len - *at, lens = *at + 1, head;

	m->frame_count = frame.data[*at];
	head = 1 + 4 * (size_t)m->frame_count;
	if (m->frame_count < 1 || m->frame_count > BUNDLE_FRAMES_MAX || left < head)
		return false;
	left -= head;
	*at += head;
	for (unsigned i = 0; i < m->frame_count; i++) {
		uint32_t len = get_u32be(frame.data + lens + 4 * (size_t)i);

		if (len > left)
			return false;
		m->frames[i] = bytes_make(frame.data + *at, len);
		*at += len;
		left -= len;
	}
	return true;
}

int bundle_check(struct bytes frame, unsigned *count)
{
	struct bundle_message m;
	size_t at = 1;

	*count = 0;
	if (!bundle_is(frame) || frame.len > BUNDLE_MAX_BYTES)
		return RK_MALFORMED;
	while (at < frame.len) {
		if (*count == BUNDLE_MESSAGES_MAX || !read_message(frame, &at, &m) || m.frames[0].len == 0 || bundle_is(m.frames[0]))
			return RK_MALFORMED;
		++*count;
	}
	return *count > 0 ? RK_OK : RK_MALFORMED;
}

bool bundle_next(struct bytes frame, size_t *at, struct bundle_message *m)
{
	bool ok;

	if (*at == 0)
		*at = 1;
	if (*at >= frame.len)
		return false;
	ok = read_message(frame, at, m);
	assert(ok); /* bundle_check said so */
	return ok;
}

/* ---- writing */

size_t bundle_cost(const struct bytes *frames, unsigned frame_count)
{
	size_t cost = 1 + 4 * (size_t)frame_count;

	for (unsigned i = 0; i < frame_count; i++)
		cost += frames[i].len;
	return cost;
}

/* Doubled, so that a small one stays small. */
bool bundle_reserve(struct bundle *b, size_t len)
{
	size_t room = b->room == 0 ? FIRST_BYTES : b->room;
	uint8_t *data;

	while (room < len)
		room *= 2;
	if (room == b->room)
		return true;
	data = realloc(b->data, room);
	if (data == NULL)
		return false;
	b->data = data;
	b->room = room;
	return true;
}

int bundle_add_open(struct bundle *b, const struct bytes *frames, unsigned frame_count, uint8_t **first)
{
	size_t cost = bundle_cost(frames, frame_count), from = b->count == 0 ? 1 : b->len;
	uint8_t *at;

	assert(frame_count >= 1 && frame_count <= BUNDLE_FRAMES_MAX);
	if (b->count == BUNDLE_MESSAGES_MAX || cost > BUNDLE_MAX_BYTES - from)
		return RK_TOO_LARGE;
	if (!bundle_reserve(b, from + cost))
		return RK_ENOMEM;
	b->data[0] = MARK;
	at = b->data + from;
	*at++ = (uint8_t)frame_count;
	for (unsigned i = 0; i < frame_count; i++, at += 4)
		put_u32be(at, (uint32_t)frames[i].len);
	*first = at;
	for (unsigned i = 0; i < frame_count; i++) {
		if (frames[i].data != NULL)
			memcpy(at, frames[i].data, frames[i].len);
		at += frames[i].len;
	}
	b->len = from + cost;
	b->count++;
	return RK_OK;
}

int bundle_add(struct bundle *b, const struct bytes *frames, unsigned frame_count)
{
	uint8_t *first;

	return bundle_add_open(b, frames, frame_count, &first);
}

void bundle_reset(struct bundle *b)
{
	b->len = 0;
	b->count = 0;
}

void bundle_shrink(struct bundle *b)
{
	uint8_t *data = b->len > 0 ? realloc(b->data, b->len) : NULL;

	if (data == NULL)
		return;
	b->data = data;
	b->room = b->len;
}

void bundle_clear(struct bundle *b)
{
	free(b->data);
	*b = (struct bundle){0};
}
