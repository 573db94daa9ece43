/*
 * request: one table says what each operation carries; the checks walk it.
 */
#include "broker/request.h"

#include <stddef.h>

#include "proto/canonical.h"
#include "proto/checksum.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define REQUEST_HEAD 8 /* the field of Request; test_apply_feed looks at what is stored */

/* Which sub-messages of Request are there. */
enum part {
	PART_HEAD = 1, PART_HELLO = 2, PART_GET = 4, PART_PUT = 8, PART_SUBSCRIBE = 16, PART_CREDIT = 32,
	PART_ACK = 64, PART_FETCH = 128, PART_UNSUBSCRIBE = 256, PART_PROOF = 512, PART_BLOB_OPEN = 1024, PART_BLOB_PUT = 2048,
};

/* Frames after the header. */
enum frames {
	FRAMES_NONE,
	FRAMES_OBJECT,       /* object */
	FRAMES_ENVELOPE,     /* WrapList, body; a FEED post: body */
	FRAMES_BOTH,         /* object, WrapList, body */
	FRAMES_OBJECT_OR_BOTH, /* by whether there is a head */
	FRAMES_PART,         /* bytes of an attachment, or none */
};

enum who { DEVICE = 1, INVITE = 2 };

static const struct operation {
	unsigned who;
	bool numbered;
	unsigned parts;          /* that must be there; PART_HEAD of NDA_ACT may */
	enum frames frames;
	enum request_route route;
} operations[] = {
	[RK__OP__OP_HELLO] = {DEVICE, false, PART_HELLO, FRAMES_NONE, REQUEST_APPLY},
	[RK__OP__OP_PING] = {DEVICE | INVITE, false, 0, FRAMES_NONE, REQUEST_ANSWER},
	[RK__OP__OP_GET_OBJECT] = {DEVICE | INVITE, false, PART_GET, FRAMES_NONE, REQUEST_DELIVER},
	[RK__OP__OP_ENROL] = {INVITE, false, 0, FRAMES_OBJECT, REQUEST_VERIFY},
	[RK__OP__OP_INVITE_REG] = {DEVICE, true, 0, FRAMES_OBJECT, REQUEST_VERIFY},
	[RK__OP__OP_PUT_OBJECT] = {DEVICE, true, PART_PUT, FRAMES_OBJECT, REQUEST_VERIFY},
	[RK__OP__OP_SUBMIT] = {DEVICE, true, PART_HEAD, FRAMES_ENVELOPE, REQUEST_VERIFY},
	[RK__OP__OP_NDA_PROPOSE] = {DEVICE, true, PART_HEAD, FRAMES_BOTH, REQUEST_VERIFY},
	[RK__OP__OP_NDA_ACT] = {DEVICE, true, 0, FRAMES_OBJECT_OR_BOTH, REQUEST_VERIFY},
	[RK__OP__OP_PICKUP] = {DEVICE, true, 0, FRAMES_OBJECT, REQUEST_VERIFY},
	[RK__OP__OP_SUBSCRIBE] = {DEVICE, false, PART_SUBSCRIBE, FRAMES_NONE, REQUEST_DELIVER},
	[RK__OP__OP_CREDIT] = {DEVICE, false, PART_CREDIT, FRAMES_NONE, REQUEST_DELIVER},
	[RK__OP__OP_ACK] = {DEVICE, false, PART_ACK, FRAMES_NONE, REQUEST_APPLY},
	[RK__OP__OP_FETCH] = {DEVICE, false, PART_FETCH, FRAMES_NONE, REQUEST_APPLY},
	[RK__OP__OP_UNSUBSCRIBE] = {DEVICE, false, PART_UNSUBSCRIBE, FRAMES_NONE, REQUEST_DELIVER},
	[RK__OP__OP_GET_PROOF] = {DEVICE, false, PART_PROOF, FRAMES_NONE, REQUEST_DELIVER},
	[RK__OP__OP_PUT_CHECKPOINT] = {DEVICE, true, 0, FRAMES_OBJECT, REQUEST_VERIFY},
	[RK__OP__OP_NACK] = {DEVICE, true, 0, FRAMES_OBJECT, REQUEST_VERIFY},
	[RK__OP__OP_DEPOSIT] = {DEVICE, true, 0, FRAMES_OBJECT, REQUEST_VERIFY},
	[RK__OP__OP_BLOB_OPEN] = {DEVICE, true, PART_BLOB_OPEN, FRAMES_NONE, REQUEST_APPLY},
	[RK__OP__OP_BLOB_PUT] = {DEVICE, false, PART_BLOB_PUT, FRAMES_PART, REQUEST_BLOBS},
};
#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

/* NULL for OP_NONE and what this version does not know. */
static const struct operation *operation_of(const Rk__Request *q)
{
	if (q->op <= RK__OP__OP_NONE || (size_t)q->op >= OPERATION_COUNT || operations[q->op].who == 0)
		return NULL;
	return &operations[q->op];
}

static unsigned parts_of(const Rk__Request *q)
{
	return (q->head ? PART_HEAD : 0u) | (q->hello ? PART_HELLO : 0u) | (q->get_object ? PART_GET : 0u) |
	       (q->put_object ? PART_PUT : 0u) | (q->subscribe ? PART_SUBSCRIBE : 0u) | (q->credit ? PART_CREDIT : 0u) |
	       (q->ack ? PART_ACK : 0u) | (q->fetch ? PART_FETCH : 0u) | (q->unsubscribe ? PART_UNSUBSCRIBE : 0u) |
	       (q->get_proof ? PART_PROOF : 0u) | (q->blob_open ? PART_BLOB_OPEN : 0u) | (q->blob_put ? PART_BLOB_PUT : 0u);
}

static int check_fields(const struct operation *op, const Rk__Request *q)
{
	unsigned parts = parts_of(q);

	if (op->frames == FRAMES_OBJECT_OR_BOTH)
		parts &= ~(unsigned)PART_HEAD;
	if (parts != op->parts)
		return RK_MALFORMED;
	if (op->numbered != (q->number != 0))
		return RK_MALFORMED;
	if ((op->numbered || q->op == RK__OP__OP_HELLO) && q->writer_epoch.len != 8)
		return RK_MALFORMED;
	/* A stream, where one is named, is named by a part that must be there. */
	if ((q->subscribe && !q->subscribe->stream) || (q->ack && !q->ack->stream))
		return RK_MALFORMED;
	return RK_OK;
}

static int take_part(struct command *c)
{
	if (c->frame_count > 2)
		return RK_MALFORMED;
	if (c->frame_count == 2)
		c->body = c->frames[1];
	return c->body.len <= REQUEST_PART_MAX_BYTES ? RK_OK : RK_TOO_LARGE;
}

/* Names the frames after the header.  A FEED post has no WrapList. */
static int take_frames(const struct operation *op, const Rk__Request *q, struct command *c)
{
	bool is_feed =
		c->envelope.header && c->envelope.header->kind == RK__KIND__FEED && op->frames == FRAMES_ENVELOPE;
	bool has_object =
		op->frames == FRAMES_OBJECT || op->frames == FRAMES_BOTH || op->frames == FRAMES_OBJECT_OR_BOTH;
	bool has_bulk = op->frames == FRAMES_ENVELOPE || op->frames == FRAMES_BOTH ||
	                (op->frames == FRAMES_OBJECT_OR_BOTH && q->head);
	unsigned want = 1 + has_object + (has_bulk ? (is_feed ? 1u : 2u) : 0u), next = 1;

	if (op->frames == FRAMES_PART)
		return take_part(c);
	if (c->frame_count != want)
		return RK_MALFORMED;
	if (has_object)
		c->object = c->frames[next++];
	if (has_bulk && !is_feed)
		c->wraps = c->frames[next++];
	if (has_bulk)
		c->body = c->frames[next++];
	if (c->object.len > REQUEST_OBJECT_MAX_BYTES || c->wraps.len > ENVELOPE_WRAPS_MAX_BYTES ||
	    c->body.len > ENVELOPE_BODY_MAX_BYTES)
		return RK_TOO_LARGE;
	return RK_OK;
}

/* The header speaks for the object frame by hash and length: both or neither. */
static int check_object(const Rk__Request *q, const struct command *c)
{
	uint8_t hash[32];

	if (c->object.len == 0)
		return q->object_sha256.len == 0 && q->object_len == 0 && c->object.data == NULL ? RK_OK : RK_MALFORMED;
	if (q->object_sha256.len != 32 || q->object_len != c->object.len)
		return RK_MALFORMED;
	ids_sha256(hash, c->object);
	return memcmp(hash, q->object_sha256.data, sizeof(hash)) == 0 ? RK_OK : RK_MALFORMED;
}

void request_hash(uint8_t hash[8], struct bytes header)
{
	put_u64be(hash, checksum(header, 0));
}

int request_parse(struct command *c)
{
	const struct operation *op;
	Rk__Request *q;
	int r;

	if (c->frame_count == 0)
		return RK_MALFORMED;
	if (c->frames[0].len > REQUEST_HEADER_MAX_BYTES)
		return RK_TOO_LARGE;
	if ((r = STRICT_PARSE(request, c->frames[0], c->arena, &q)) != RK_OK)
		return r;
	c->req = q;
	op = operation_of(q);
	if (op == NULL)
		return RK_MALFORMED;
	if ((r = check_fields(op, q)) != RK_OK)
		return r;
	if (q->head && (r = envelope_parse_signed(q->head, c->arena, &c->envelope)) != RK_OK)
		return r;
	if (q->head)
		c->head = canonical_field(c->frames[0], REQUEST_HEAD);
	if ((r = take_frames(op, q, c)) != RK_OK)
		return r;
	/* The length of a FEED body is all that the broker compares; hashes are its readers'.  Other bodies: verify. */
	if (c->envelope.header && c->envelope.header->kind == RK__KIND__FEED &&
	    c->body.len != c->envelope.header->body_len)
		return RK_MALFORMED;
	if ((r = check_object(q, c)) != RK_OK)
		return r;
	request_hash(c->header_hash, c->frames[0]);
	return RK_OK;
}

enum request_route request_route(const struct command *c)
{
	const struct operation *op = operation_of(c->req);

	if (c->req->op == RK__OP__OP_SUBMIT && c->envelope.header->kind == RK__KIND__FEED)
		return REQUEST_APPLY;
	if (c->req->op == RK__OP__OP_HELLO && c->req->hello->seen_checkpoint.len > 0)
		return REQUEST_VERIFY;
	if (c->req->op == RK__OP__OP_FETCH && c->req->fetch->blob != 0)
		return REQUEST_BLOBS;
	return op->route;
}

int request_check_peer(const struct command *c)
{
	const struct operation *op = operation_of(c->req);
	const Rk__GetObject *get = c->req->get_object;

	if (!(op->who & (c->peer.is_invite ? INVITE : DEVICE)))
		return RK_NOT_PERMITTED;
	if (c->peer.is_invite && get && get->type != RK__OBJECT_TYPE__OBJECT_CHARTER &&
	    get->type != RK__OBJECT_TYPE__OBJECT_DIRECTORY)
		return RK_NOT_PERMITTED;
	return RK_OK;
}
