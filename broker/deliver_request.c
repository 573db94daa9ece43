/* deliver_request: what clients ask of deliver itself: streams, credit, objects and proofs, each answered at once. */
#include "broker/deliver_internal.h"

#include "broker/apply.h"
#include "broker/log.h"
#include "broker/metrics.h"
#include "broker/proofs.h"
#include "broker/signer.h"
#include "proto/errcode.h"
#include "proto/strict.h"

#define PART_BYTES (256 * 1024)     /* of GET_OBJECT */

/* ---- replies */

static void send_reply(struct deliver *d, struct message_out *o)
{
	path_put(d->path, d->path->deliver_front, o, false);
}

static void refuse(struct deliver *d, struct command *c, int code)
{
	struct message_out *o = message_out_new(MESSAGE_REPLY, &c->peer);
	struct bytes header;

	metrics_refusal(code);
	if (o == NULL || apply_pack_refusal(c, code, sequence_time(d->path->sequence), &header) != RK_OK ||
	    !message_out_copy(o, header)) {
		metrics_add(M_DROP_MEMORY, 1);
		message_out_free(o);
		return;
	}
	o->to_cut = code == RK_REVOKED;
	send_reply(d, o);
}

/* Fills the common fields, packs, and adds `bulk` if there is some.  A refusal goes where memory is short. */
static void reply(struct deliver *d, struct command *c, Rk__Reply *reply_message, struct bytes bulk)
{
	struct message_out *o = message_out_new(MESSAGE_REPLY, &c->peer);
	Rk__Down down = RK__DOWN__INIT;
	struct bytes header, busy;

	reply_message->op = c->req->op;
	reply_message->tag = c->req->tag;
	reply_message->time_ms = sequence_time(d->path->sequence);
	down.protocol = 1;
	down.reply = reply_message;
	arena_raise(c->arena, arena_budget(1024));
	if (o == NULL || STRICT_PACK(&down, c->arena, &header) != RK_OK || !message_out_copy(o, header))
		goto busy;
	if (bulk.len > 0 &&
	    (!message_out_copy(o, bulk) || apply_pack_refusal(c, RK_BUSY, reply_message->time_ms, &busy) != RK_OK ||
	     !message_out_set_fallback(o, busy)))
		goto busy;
	send_reply(d, o);
	return;
busy:
	message_out_free(o);
	refuse(d, c, RK_BUSY);
}

/* ---- requests */

/* The reader of a command's peer: admit has seen that this connection is the device's session.  NULL: refused. */
static struct reader *reader_of(struct deliver *d, struct command *c)
{
	struct reader *r = readers_find(d->readers, c->peer.id);
	struct roster_device device;

	if (!roster_device(d->path->roster, c->peer.id, &device) || !device.active) {
		refuse(d, c, RK_REVOKED);
		return NULL;
	}
	if (r != NULL && message_connection(&r->peer) != message_connection(&c->peer)) {
		deliver_drop(d, r);
		r = NULL;
	}
	if (r == NULL)
		r = readers_add(d->readers, &c->peer, device.org_id);
	if (r == NULL)
		refuse(d, c, RK_BUSY);
	return r;
}

/* Control, channels, and the own organisation's mailbox. */
static int check_stream(const struct reader *r, const Rk__StreamId *wire, struct stream_id *stream)
{
	int code = stream_from_wire(stream, wire);

	if (code != RK_OK)
		return code;
	if (wire->type == RK__STREAM_TYPE__STREAM_MAILBOX &&
	    !bytes_equal(bytes_of(wire->org_id), BYTES_OF(r->org_id)))
		return RK_NOT_PERMITTED;
	return RK_OK;
}

static int read_bounds(struct deliver *d, const struct stream_id *stream, uint64_t *first, uint64_t *head)
{
	struct txn *txn;
	int code = env_begin(d->path->env, false, &txn);

	if (code != RK_OK)
		return code;
	code = stream_bounds(txn, stream, first, head);
	env_abort(txn);
	return code;
}

static int subscribe(struct deliver *d, struct reader *r, const Rk__Subscribe *q, Rk__SubscribeReply *out)
{
	struct stream_id stream;
	int code = check_stream(r, q->stream, &stream);

	if (code != RK_OK)
		return code;
	if (q->generation.len != 0 && !bytes_equal(bytes_of(q->generation), BYTES_OF(d->path->generation)))
		return RK_GENERATION;
	if ((code = read_bounds(d, &stream, &out->first_seq, &out->head_seq)) != RK_OK)
		return code;
	/* Where the tables cannot have what was answered, nobody shall think that it is gone. */
	if (q->cursor > out->head_seq)
		return atomic_load(&d->path->store_stuck) ? RK_BUSY : RK_GENERATION;
	return readers_subscribe(d->readers, r, &stream, q->cursor, out->head_seq) ? RK_OK : RK_ENOMEM;
}

static void handle_subscribe(struct deliver *d, struct reader *r, struct command *c)
{
	Rk__Reply message = RK__REPLY__INIT;
	Rk__SubscribeReply out = RK__SUBSCRIBE_REPLY__INIT;
	int code = subscribe(d, r, c->req->subscribe, &out);

	if (code != RK_OK) {
		refuse(d, c, code < 0 ? RK_BUSY : code);
		return;
	}
	out.stream = c->req->subscribe->stream;
	message.subscribe = &out;
	reply(d, c, &message, bytes_make(NULL, 0));
	deliver_wake(d, r);
}

static void handle_unsubscribe(struct deliver *d, struct reader *r, struct command *c)
{
	struct stream_id stream;
	int code = check_stream(r, c->req->unsubscribe, &stream);

	if (code == RK_OK)
		readers_unsubscribe(d->readers, r, &stream);
	refuse(d, c, code);
}

static void handle_credit(struct deliver *d, struct reader *r, struct command *c)
{
	reader_credit(r, c->req->credit->entries, c->req->credit->bytes);
	refuse(d, c, RK_OK);
	deliver_wake(d, r);
}

static int get_object(struct txn *txn, struct command *c, Rk__ObjectReply *out, struct bytes *part)
{
	const Rk__GetObject *q = c->req->get_object;
	struct bytes oh, wire;
	int code = apply_object(txn, q->type, bytes_of(q->id), q->serial, &out->serial, &oh, &wire);

	if (code != RK_OK)
		return code;
	if (q->oh.len != 0 && !bytes_equal(bytes_of(q->oh), oh))
		return RK_UNKNOWN_OBJECT;
	if (q->offset >= wire.len)
		return RK_MALFORMED;
	*part = bytes_make(wire.data + q->offset, wire.len - q->offset);
	if (part->len > PART_BYTES)
		part->len = PART_BYTES;
	out->type = q->type;
	out->id = q->id;
	out->oh = pb_of(oh);
	out->total = (uint32_t)wire.len;
	out->offset = q->offset;
	return RK_OK;
}

static void handle_get_object(struct deliver *d, struct command *c)
{
	Rk__Reply message = RK__REPLY__INIT;
	Rk__ObjectReply out = RK__OBJECT_REPLY__INIT;
	struct bytes part;
	struct txn *txn;
	int code = env_begin(d->path->env, false, &txn);

	if (code != RK_OK) {
		refuse(d, c, RK_BUSY);
		return;
	}
	code = get_object(txn, c, &out, &part);
	message.object = &out;
	if (code == RK_OK)
		reply(d, c, &message, part);
	else
		refuse(d, c, code < 0 ? RK_BUSY : code);
	env_abort(txn);
}

/* Which tree is asked about, and its note where that is the newest one. */
static int choose_tree(struct deliver *d, const Rk__GetProof *q, Rk__ProofReply *out, struct note *note)
{
	struct checkpoint newest;

	if (q->size == 0) {
		if (!signer_newest(d->path->signer, &newest, note))
			return atomic_load(&d->path->read_only) ? RK_READ_ONLY : RK_UNKNOWN_OBJECT;
		out->size = newest.size;
		out->note = pb_of(bytes_make(note->text, note->len));
	} else {
		out->size = q->size;
	}
	/* More than there is: whoever has a checkpoint of that size has it from a broker that had more than we have. */
	return out->size <= signer_size(d->path->signer) && q->from_size <= out->size ? RK_OK : RK_UNKNOWN_OBJECT;
}

static void handle_get_proof(struct deliver *d, struct command *c)
{
	Rk__Reply message = RK__REPLY__INIT;
	Rk__ProofReply out = RK__PROOF_REPLY__INIT;
	struct note note;
	struct bytes set;
	struct txn *txn;
	int code = choose_tree(d, c->req->get_proof, &out, &note);

	if (code == RK_OK && env_begin(d->path->env, false, &txn) != RK_OK)
		code = RK_BUSY;
	if (code != RK_OK) {
		refuse(d, c, code);
		return;
	}
	code = proofs_make(txn, c->req->get_proof, out.size, c->arena, &set);
	env_abort(txn);
	if (code == RK_EINTEGRITY)
		log_error("deliver", "tree-damaged", "size=%llu hint=\"renkeid check says more\"", (unsigned long long)out.size);
	message.proof = &out;
	metrics_add(M_PROOFS, 1 + c->req->get_proof->n_indexes);
	if (code == RK_OK)
		reply(d, c, &message, set);
	else
		refuse(d, c, code < 0 ? RK_BUSY : code);
}

void deliver_request(struct deliver *d, struct command *c)
{
	struct reader *r;

	/* Admit has forgotten the session: should the client still be there, its next ping is answered `generation`, and
	 * it says HELLO and subscribes again. */
	if (c->req == NULL) {
		r = readers_find(d->readers, c->peer.id);
		if (r != NULL)
			deliver_drop(d, r);
		return;
	}
	if (c->req->op == RK__OP__OP_GET_OBJECT) {
		handle_get_object(d, c);
		return;
	}
	if (c->req->op == RK__OP__OP_GET_PROOF) {
		handle_get_proof(d, c);
		return;
	}
	r = reader_of(d, c);
	if (r == NULL)
		return;
	switch (c->req->op) {
	case RK__OP__OP_SUBSCRIBE:
		handle_subscribe(d, r, c);
		break;
	case RK__OP__OP_UNSUBSCRIBE:
		handle_unsubscribe(d, r, c);
		break;
	case RK__OP__OP_CREDIT:
		handle_credit(d, r, c);
		break;
	default:
		refuse(d, c, RK_MALFORMED);
		break;
	}
}
