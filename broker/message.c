#include "broker/message.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct message_in *message_in_new(const struct peer *peer, zmq_msg_t *frames, unsigned count, struct message_load *load)
{
	struct message_in *m;

	assert(count <= COMMAND_FRAMES_MAX);
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->command.peer = *peer;
	m->command.frame_count = count;
	m->command.owner = m;
	for (unsigned i = 0; i < count; i++) {
		zmq_msg_init(&m->frames[i]);
		zmq_msg_move(&m->frames[i], &frames[i]);
		m->command.frames[i] = bytes_make(zmq_msg_data(&m->frames[i]), zmq_msg_size(&m->frames[i]));
		m->bytes += m->command.frames[i].len;
	}
	m->load = load;
	atomic_fetch_add(&load->count, 1);
	atomic_fetch_add(&load->bytes, m->bytes + sizeof(*m));
	return m;
}

void message_in_free(struct message_in *m)
{
	if (m == NULL)
		return;
	for (unsigned i = 0; i < m->command.frame_count; i++)
		zmq_msg_close(&m->frames[i]);
	arena_free(m->command.arena);
	atomic_fetch_sub(&m->load->bytes, m->bytes + sizeof(*m));
	atomic_fetch_sub(&m->load->count, 1);
	free(m);
}

uint64_t message_connection(const struct peer *peer)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < peer->routing_id_len; i++)
		h = (h ^ peer->routing_id[i]) * 0x100000001b3u;
	return h == 0 ? 1 : h;
}

struct message_out *message_out_new(enum message_out_kind kind, const struct peer *peer)
{
	struct message_out *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->kind = kind;
	if (peer != NULL)
		o->peer = *peer;
	return o;
}

bool message_out_copy(struct message_out *o, struct bytes b)
{
	zmq_msg_t *frame = &o->frames[o->frame_count];

	assert(o->frame_count < MESSAGE_OUT_FRAMES);
	if (zmq_msg_init_size(frame, b.len) != 0)
		return false;
	if (b.len > 0)
		memcpy(zmq_msg_data(frame), b.data, b.len);
	o->frame_count++;
	o->bytes += b.len;
	return true;
}

bool message_out_share(struct message_out *o, zmq_msg_t *from)
{
	zmq_msg_t *frame = &o->frames[o->frame_count];

	assert(o->frame_count < MESSAGE_OUT_FRAMES);
	zmq_msg_init(frame);
	if (zmq_msg_copy(frame, from) != 0) {
		zmq_msg_close(frame);
		return false;
	}
	o->frame_count++;
	o->bytes += zmq_msg_size(from);
	return true;
}

bool message_out_set_fallback(struct message_out *o, struct bytes header)
{
	assert(!o->has_fallback);
	if (zmq_msg_init_size(&o->fallback, header.len) != 0)
		return false;
	memcpy(zmq_msg_data(&o->fallback), header.data, header.len);
	o->has_fallback = true;
	return true;
}

void message_out_free(struct message_out *o)
{
	if (o == NULL)
		return;
	for (unsigned i = 0; i < o->frame_count; i++)
		zmq_msg_close(&o->frames[i]);
	if (o->has_fallback)
		zmq_msg_close(&o->fallback);
	free(o);
}
