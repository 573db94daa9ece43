#include "broker/effects.h"

#include <stdlib.h>
#include <string.h>

#include "broker/apply.h"
#include "broker/blobs.h"
#include "broker/deliver.h"
#include "broker/metrics.h"
#include "broker/replies.h"
#include "proto/errcode.h"

#define LIVE_MAX_BYTES ((size_t)16 << 20) /* of posts that deliver has yet to take */
#define PREFETCH 2            /* effects before their turn */

struct effects {
	struct path *path;
	struct replies *replies;
	struct page_builder page;    /* posts of this batch on their way to deliver … */
	struct stream_id page_stream; /* … of this channel */
};

struct effects *effects_new(struct path *path)
{
	struct effects *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->path = path;
	x->replies = replies_new(path->apply_front);
	if (x->replies == NULL) {
		free(x);
		return NULL;
	}
	return x;
}

void effects_free(struct effects *x)
{
	if (x == NULL)
		return;
	replies_free(x->replies);
	page_builder_clear(&x->page);
	free(x);
}

static void push_event(struct effects *x, const struct deliver_event *e)
{
	struct deliver_event *copy = malloc(sizeof(*copy));

	/* Without it a subscriber would not learn of an entry, or a cut one would be served: not to be gone on with. */
	if (copy == NULL) {
		path_fail(x->path, RK_ENOMEM);
		return;
	}
	*copy = *e;
	ring_put_wait(x->path->apply_deliver, copy);
}

/* Only to save a read: what does not fit is read from the store when its turn comes. */
static void push_page(struct effects *x, const struct stream_id *stream, struct page *page)
{
	struct deliver_event *event = NULL;

	if (atomic_load(&x->path->live_bytes) + sizeof(*event) + page->bytes <= LIVE_MAX_BYTES)
		event = malloc(sizeof(*event));
	if (event == NULL) {
		page_clear(page);
		return;
	}
	*event = (struct deliver_event){.kind = DELIVER_PAGE, .stream = *stream, .page = *page};
	atomic_fetch_add(&x->path->live_bytes, deliver_event_bytes(event));
	ring_put_wait(x->path->apply_deliver, event);
}

static void close_page(struct effects *x)
{
	struct page page;

	if (page_finish(&x->page, &page) == RK_OK)
		push_page(x, &x->page_stream, &page);
}

/* A post too large to be copied: its body is the frame that came, where one came. */
static void push_lone(struct effects *x, const struct effect *e)
{
	struct message_in *m = e->command->owner;
	unsigned last = e->command->frame_count - 1;
	struct page page;

	if (page_lone(&page, &e->stream, e->seq - 1, e->seq, e->entry, last < m->held ? &m->frames[last] : NULL, NULL) == RK_OK)
		push_page(x, &e->stream, &page);
}

/* Posts of a batch that follow each other in their channel go to their readers in one frame. */
static void add_to_page(struct effects *x, const struct effect *e)
{
	bool follows = memcmp(&x->page_stream, &e->stream, sizeof(e->stream)) == 0 && x->page.last + 1 == e->seq;

	if (!follows || page_is_lone(e->entry))
		close_page(x);
	if (page_is_lone(e->entry)) {
		push_lone(x, e);
		return;
	}
	x->page_stream = e->stream;
	if (page_add(&x->page, &e->stream, e->seq - 1, e->seq, e->entry, NULL) != RK_TOO_LARGE)
		return;
	close_page(x);
	(void)page_add(&x->page, &e->stream, e->seq - 1, e->seq, e->entry, NULL);
}

/* What goes instead, should the bulk find the connection full. */
static bool add_bulk(struct effects *x, struct message_out *o, const struct effect *e)
{
	struct bytes header;

	if (e->is_blob) {
		struct message_in *m = e->command->owner;

		metrics_add(M_BLOB_OUT_BYTES, e->command->blob.bulk.len);
		if (!message_out_share(o, &m->bulk))
			return false;
	}
	for (unsigned i = 0; !e->is_blob && i < e->frame_count; i++)
		if (!message_out_copy(o, e->frames[i]))
			return false;
	return apply_pack_refusal(e->command, RK_BUSY, sequence_time(x->path->sequence), &header) == RK_OK &&
	       message_out_set_fallback(o, header);
}

/* With bulk, or the word to a peer that is cut: a message of its own, behind what was answered before. */
static bool reply_alone(struct effects *x, const struct effect *e)
{
	struct message_out *o = message_out_new(MESSAGE_REPLY, &e->command->peer);

	if (o == NULL || !message_out_copy(o, e->header) || (e->frame_count > 0 && !add_bulk(x, o, e))) {
		message_out_free(o);
		return false;
	}
	o->to_cut = e->code == RK_REVOKED;
	replies_flush(x->replies);
	ring_put_wait(x->path->apply_front, o);
	return true;
}

static void reply(struct effects *x, const struct effect *e)
{
	bool ok;

	if (e->code != RK_OK) {
		metrics_add(M_REFUSED, 1);
		metrics_refusal(e->code);
	} else if (e->is_hello) {
		struct deliver_event event = {.kind = DELIVER_HELLO, .peer = e->command->peer};

		push_event(x, &event);
	}
	ok = e->frame_count > 0 || e->code == RK_REVOKED ? reply_alone(x, e) : replies_add(x->replies, &e->command->peer, e->header);
	if (!ok)
		metrics_add(M_SEND_LOST, 1); /* the client asks again and gets the stored outcome */
}

static void cut(struct effects *x, const struct effect *e)
{
	struct deliver_event event = {.kind = DELIVER_CUT};
	struct message_out *o;

	memcpy(event.peer.id, e->device_id, 16);
	o = message_out_new(MESSAGE_CUT, &event.peer);
	if (o == NULL) {
		path_fail(x->path, RK_ENOMEM);
		return;
	}
	replies_flush(x->replies);
	ring_put_wait(x->path->apply_front, o);
	push_event(x, &event);
}

/* Should it not get there, the sweep finds the file: no row names it. */
static void drop_blob(struct effects *x, const struct effect *e)
{
	struct blobs_drop *drop = malloc(sizeof(*drop));

	metrics_add(M_BLOB_ORPHANS, e->is_orphan);
	if (drop != NULL) {
		memcpy(drop->sha256, e->sha256, 32);
		if (ring_put(x->path->apply_blobs, drop))
			return;
		free(drop);
	}
	atomic_store(&x->path->blobs_sweep, true);
}

void effects_carry_out(struct effects *x)
{
	size_t count;
	const struct effect *effects = apply_effects(x->path->apply, &count);

	for (size_t i = 0; i < count; i++) {
		const struct effect *e = &effects[i];

		if (i + PREFETCH < count && effects[i + PREFETCH].command != NULL)
			__builtin_prefetch(&effects[i + PREFETCH].command->peer);
		switch (e->kind) {
		case EFFECT_REPLY:
			reply(x, e);
			break;
		case EFFECT_CUT:
			cut(x, e);
			break;
		case EFFECT_ENTRY:
			add_to_page(x, e);
			break;
		case EFFECT_STREAM:
			close_page(x); /* before readers are told of its entries */
			effects_tell_head(x, &e->stream, e->seq);
			break;
		case EFFECT_BLOB_DROP:
			drop_blob(x, e);
			break;
		}
	}
	close_page(x);
	replies_flush(x->replies);
}

void effects_tell_head(struct effects *x, const struct stream_id *stream, uint64_t seq)
{
	const struct deliver_event event = {.kind = DELIVER_STREAM, .stream = *stream, .seq = seq};

	push_event(x, &event);
}
