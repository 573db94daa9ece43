#include "broker/message.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ring.h"

/* Under AddressSanitizer nothing is used twice: what is touched after its end shall be seen. */
#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define IS_USED_AGAIN false
#else
#define IS_USED_AGAIN true
#endif
#define UNUSED_MAX 1024u /* a batch; each of at most ROOM_BYTES and one block of its arena */
#define ROOM_BYTES 4096  /* of a message that may be used again */

static void drop(struct message_in *m)
{
	arena_free(m->command.arena);
	free(m);
}

static void keep_unused(struct message_in *m)
{
	struct message_load *load = m->load;

	if (load->unused_count >= UNUSED_MAX) {
		drop(m);
		return;
	}
	if (m->command.arena != NULL)
		arena_reset(m->command.arena, 0);
	m->next = load->unused;
	load->unused = m;
	load->unused_count++;
}

static struct message_in *take_unused(struct message_load *load)
{
	struct message_in *m = load->unused;

	if (m == NULL)
		return ring_pop(load->spent);
	load->unused = m->next;
	load->unused_count--;
	return m;
}

/* Each line that it touches was apply's a moment ago: no more than must be. */
static void clear(struct message_in *m, const struct peer *peer)
{
	struct peer *to = &m->command.peer;
	const size_t from = offsetof(struct message_in, command.frames);

	memset((uint8_t *)m + from, 0, offsetof(struct message_in, frames) - from);
	memcpy(to->id, peer->id, sizeof(to->id));
	to->is_invite = peer->is_invite;
	to->bundles = peer->bundles;
	to->slot = peer->slot;
	to->routing_id_len = peer->routing_id_len;
	memcpy(to->routing_id, peer->routing_id, peer->routing_id_len);
}

/* With room for `room` bytes behind it. */
static struct message_in *make(const struct peer *peer, unsigned count, size_t room, struct message_load *load)
{
	struct arena *arena = NULL;
	struct message_in *m = NULL;

	assert(count <= COMMAND_FRAMES_MAX);
	if (IS_USED_AGAIN && load->spent != NULL && room <= ROOM_BYTES) {
		room = ROOM_BYTES;
		m = take_unused(load);
	}
	if (m != NULL)
		arena = m->command.arena;
	else
		m = malloc(sizeof(*m) + room);
	if (m == NULL)
		return NULL;
	clear(m, peer);
	m->load = load;
	m->room = room;
	m->command.arena = arena;
	m->command.frame_count = count;
	m->command.owner = m;
	return m;
}

static void count_in(struct message_in *m)
{
	atomic_fetch_add(&m->load->count, 1);
	atomic_fetch_add(&m->load->bytes, m->bytes + sizeof(*m) + m->room);
}

struct message_in *message_in_new(const struct peer *peer, zmq_msg_t *frames, unsigned count, struct message_load *load)
{
	struct message_in *m = make(peer, count, 0, load);

	if (m == NULL)
		return NULL;
	m->held = count;
	for (unsigned i = 0; i < count; i++) {
		zmq_msg_init(&m->frames[i]);
		zmq_msg_move(&m->frames[i], &frames[i]);
		m->command.frames[i] = bytes_make(zmq_msg_data(&m->frames[i]), zmq_msg_size(&m->frames[i]));
		m->bytes += m->command.frames[i].len;
	}
	count_in(m);
	return m;
}

struct message_in *message_in_copy(const struct peer *peer, const struct bytes *frames, unsigned count, struct message_load *load)
{
	struct message_in *m;
	size_t room = 0;

	for (unsigned i = 0; i < count; i++)
		room += frames[i].len;
	m = make(peer, count, room, load);
	if (m == NULL)
		return NULL;
	for (unsigned i = 0; i < count; i++) {
		memcpy(m->copied + m->bytes, frames[i].data, frames[i].len);
		m->command.frames[i] = bytes_make(m->copied + m->bytes, frames[i].len);
		m->bytes += frames[i].len;
	}
	count_in(m);
	return m;
}

static _Atomic uint64_t *share_of(struct message_load *load, const uint8_t org_id[16])
{
	return &load->large[(org_id[0] | (unsigned)org_id[1] << 8) % MESSAGE_SHARES];
}

uint64_t message_large(struct message_load *load, const uint8_t org_id[16])
{
	return atomic_load(share_of(load, org_id));
}

void message_in_count_large(struct message_in *m, const uint8_t org_id[16])
{
	assert(m->share == NULL);
	m->share = share_of(m->load, org_id);
	atomic_fetch_add(m->share, m->bytes);
}

/* In front of the bytes, so that the one pointer that libzmq hands back says all. */
struct held_bulk {
	struct message_held *held;
	uint64_t len;
	unsigned slot;
	_Alignas(16) uint8_t data[];
};

/* Any thread: libzmq's too. */
static void let_go(void *data, void *hint)
{
	struct held_bulk *b = hint;

	(void)data;
	atomic_fetch_sub(&b->held->all, b->len);
	atomic_fetch_sub(&b->held->of[b->slot], b->len);
	free(b);
}

uint8_t *message_in_bulk(struct message_in *m, size_t len, struct message_held *held, const uint8_t org_id[16], uint64_t each, uint64_t all)
{
	unsigned slot = (org_id[0] | (unsigned)org_id[1] << 8) % MESSAGE_HELD_SLOTS;
	struct held_bulk *b;

	assert(!m->has_bulk);
	/* Only one thread adds; that others take away meanwhile does no harm. */
	if (atomic_load(&held->of[slot]) + len > each || atomic_load(&held->all) + len > all)
		return NULL;
	if ((b = malloc(sizeof(*b) + len)) == NULL)
		return NULL;
	*b = (struct held_bulk){.held = held, .len = len, .slot = slot};
	if (zmq_msg_init_data(&m->bulk, b->data, len, let_go, b) != 0) {
		free(b);
		return NULL;
	}
	atomic_fetch_add(&held->all, len);
	atomic_fetch_add(&held->of[slot], len);
	m->has_bulk = true;
	return b->data;
}

void message_in_drop_frame(struct message_in *m, unsigned i)
{
	size_t len = m->command.frames[i].len;

	if (i >= m->held)
		return;
	zmq_msg_close(&m->frames[i]);
	zmq_msg_init(&m->frames[i]);
	m->command.frames[i] = bytes_make(NULL, 0);
	m->bytes -= len;
	atomic_fetch_sub(&m->load->bytes, len);
	if (m->share != NULL)
		atomic_fetch_sub(m->share, len);
}

/* What it held goes, and what it counted; the struct and its arena stay. */
static void empty(struct message_in *m)
{
	if (m->has_bulk)
		zmq_msg_close(&m->bulk);
	for (unsigned i = 0; i < m->held; i++)
		zmq_msg_close(&m->frames[i]);
	if (m->share != NULL)
		atomic_fetch_sub(m->share, m->bytes);
	atomic_fetch_sub(&m->load->bytes, m->bytes + sizeof(*m) + m->room);
	atomic_fetch_sub(&m->load->count, 1);
}

static bool may_be_used_again(const struct message_in *m)
{
	return IS_USED_AGAIN && m->load->spent != NULL && m->room == ROOM_BYTES;
}

void message_in_free(struct message_in *m)
{
	if (m == NULL)
		return;
	empty(m);
	if (may_be_used_again(m))
		keep_unused(m);
	else
		drop(m);
}

void message_in_give_back(struct message_in *m)
{
	empty(m);
	if (m->command.arena != NULL)
		arena_reset(m->command.arena, 0);
	if (!may_be_used_again(m) || !ring_put(m->load->spent, m))
		drop(m);
}

void message_load_clear(struct message_load *load)
{
	struct message_in *m;

	while (load->spent != NULL && (m = take_unused(load)) != NULL)
		drop(m);
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

static void free_data(void *data, void *hint)
{
	(void)hint;
	free(data);
}

bool message_frame_take(zmq_msg_t *frame, struct bundle *b)
{
	if (zmq_msg_init_data(frame, b->data, b->len, free_data, NULL) != 0)
		return false;
	*b = (struct bundle){0};
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
