#include "broker/verify.h"

#include <pthread.h>
#include <stdlib.h>

#include "broker/metrics.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/orgkey.h"
#include "proto/strict.h"

#define ASSEMBLY_MAX_BYTES (4 * 1024 * 1024 + 128) /* the largest Directory, signed */
#define ASSEMBLY_STALE_MS 60000                    /* then another one may begin */

/* The Directory that is coming in parts.  One in all: only a secretariat sends them. */
struct assembly {
	uint8_t device_id[16], oh[32];
	uint32_t total, have;
	int64_t touched_ms;
	uint8_t *data; /* NULL: none */
};

struct verify {
	struct roster *roster;
	uint8_t exchange_id[32];
	pthread_mutex_t lock; /* of the assembly */
	struct assembly assembly;
};

struct verify *verify_new(struct roster *roster, const uint8_t exchange_id[32])
{
	struct verify *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->roster = roster;
	memcpy(v->exchange_id, exchange_id, sizeof(v->exchange_id));
	pthread_mutex_init(&v->lock, NULL);
	return v;
}

void verify_free(struct verify *v)
{
	if (v == NULL)
		return;
	free(v->assembly.data);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

/* ---- keys: by the id in the payload and the session, never from the message */

/* RK_ENOTFOUND when the roster does not know it. */
static int device_pk(struct verify *v, const struct command *c, uint8_t pk[32])
{
	struct roster_device device;

	if (!roster_device(v->roster, c->peer.id, &device))
		return RK_ENOTFOUND;
	memcpy(pk, device.sign_pk, 32);
	return RK_OK;
}

static int org_pk(struct verify *v, const struct command *c, uint8_t pk[32])
{
	struct roster_device device;
	struct roster_org org;

	if (!roster_device(v->roster, c->peer.id, &device) || !roster_org(v->roster, device.org_id, &org))
		return RK_ENOTFOUND;
	memcpy(pk, org.org_pk, 32);
	return RK_OK;
}

static const ProtobufCBinaryData *signer_id(const struct object *o)
{
	switch (o->kind) {
	case OBJECT_KIND_DIRECTORY:
		return &((const Rk__Directory *)o->message)->signer_id;
	case OBJECT_KIND_FEED_EPOCH:
		return &((const Rk__FeedEpoch *)o->message)->signer_id;
	case OBJECT_KIND_FEED_KEY:
		return &((const Rk__FeedKey *)o->message)->signer_id;
	case OBJECT_KIND_INVITE_REG:
		return &((const Rk__InviteReg *)o->message)->signer_id;
	default:
		return NULL;
	}
}

static int object_key(struct verify *v, const struct command *c, const struct object *o, uint8_t pk[32])
{
	const ProtobufCBinaryData *id;

	switch (object_info(o->kind)->signer) {
	case SIGNER_DEVICE:
		return device_pk(v, c, pk);
	case SIGNER_ORG:
		return org_pk(v, c, pk);
	case SIGNER_SECRETARIAT:
		id = signer_id(o);
		if (id == NULL || id->len != 16)
			return RK_MALFORMED;
		/* Charter keys do not change under a running broker: an unknown one is nobody's. */
		return roster_secretariat_pk(v->roster, id->data, pk) ? RK_OK : RK_BAD_SIGNATURE;
	case SIGNER_ROOT:
		break;
	}
	return RK_NOT_PERMITTED;
}

/* ---- what is proven */

static int prove_object(struct verify *v, struct command *c)
{
	int r = object_key(v, c, &c->signed_object, c->object_pk);

	if (r != RK_OK)
		return r;
	if ((r = object_check(&c->signed_object, v->exchange_id, c->object_pk)) != RK_OK)
		return r;
	object_oh(c->object_oh, &c->signed_object, v->exchange_id);
	/* Where there is an envelope too, prove_envelope says who signed the command. */
	memcpy(c->signer_pk, c->object_pk, 32);
	return RK_OK;
}

static int open_object(struct verify *v, struct command *c, enum object_kind kind)
{
	int r = object_parse(kind, c->object, c->arena, &c->signed_object);

	return r != RK_OK ? r : prove_object(v, c);
}

/* Signature of the session's device, then hashes of the bulk, then the ids (CRYPTO 2.8). */
static int prove_envelope(struct verify *v, struct command *c)
{
	Rk__WrapList *wraps;
	int r;

	if (!bytes_equal(bytes_of(c->envelope.header->sender_device), BYTES_OF(c->peer.id)))
		return RK_NOT_PERMITTED;
	if ((r = device_pk(v, c, c->signer_pk)) != RK_OK)
		return r;
	if ((r = envelope_verify(&c->envelope, v->exchange_id, c->signer_pk)) != RK_OK)
		return r;
	if ((r = envelope_check_bulk(&c->envelope, c->wraps, c->body, c->arena, &wraps)) != RK_OK)
		return r;
	c->wrap_list = wraps;
	envelope_id(c->env_id, &c->envelope, v->exchange_id);
	envelope_oh(c->env_oh, &c->envelope, v->exchange_id);
	return RK_OK;
}

/* ---- a Directory in parts */

static bool is_secretariat(struct verify *v, const struct command *c)
{
	struct roster_device device;
	struct roster_org org;

	return roster_device(v->roster, c->peer.id, &device) && device.active &&
	       roster_org(v->roster, device.org_id, &org) && org.active && (org.roles & TRUST_ROLE_SECRETARIAT);
}

static bool belongs(const struct assembly *a, const struct command *c)
{
	const Rk__PutObject *put = c->req->put_object;

	return a->data != NULL && memcmp(a->device_id, c->peer.id, 16) == 0 &&
	       bytes_equal(BYTES_OF(a->oh), bytes_of(put->oh)) && a->total == put->total;
}

static void assembly_end(struct assembly *a)
{
	free(a->data);
	*a = (struct assembly){0};
}

static int assembly_begin(struct assembly *a, const struct command *c)
{
	const Rk__PutObject *put = c->req->put_object;

	if (a->data != NULL && memcmp(a->device_id, c->peer.id, 16) != 0 &&
	    path_monotonic_ms() - a->touched_ms < ASSEMBLY_STALE_MS)
		return RK_BUSY;
	assembly_end(a);
	a->data = malloc(put->total);
	if (a->data == NULL)
		return RK_ENOMEM;
	memcpy(a->device_id, c->peer.id, 16);
	memcpy(a->oh, put->oh.data, 32);
	a->total = put->total;
	return RK_OK;
}

/* Adds one part; a part that is there already (a repeat after a lost reply) changes nothing. */
static int assembly_add(struct assembly *a, const struct command *c)
{
	const Rk__PutObject *put = c->req->put_object;
	int r;

	if (put->offset == 0 && !belongs(a, c) && (r = assembly_begin(a, c)) != RK_OK)
		return r;
	if (!belongs(a, c) || put->offset > a->have)
		return RK_CONFLICT;
	if (put->offset + c->object.len <= a->have)
		return memcmp(a->data + put->offset, c->object.data, c->object.len) == 0 ? RK_OK : RK_CONFLICT;
	if (put->offset != a->have)
		return RK_CONFLICT;
	memcpy(a->data + a->have, c->object.data, c->object.len);
	a->have += (uint32_t)c->object.len;
	a->touched_ms = path_monotonic_ms();
	return RK_OK;
}

/* With the last part c->object becomes the whole object, in the command's arena. */
static int take_part(struct verify *v, struct command *c, bool *whole)
{
	struct assembly *a = &v->assembly;
	void *copy;
	int r;

	*whole = false;
	if (!is_secretariat(v, c))
		return RK_NOT_PERMITTED;
	pthread_mutex_lock(&v->lock);
	r = assembly_add(a, c);
	if (r == RK_OK && a->have == a->total) {
		arena_raise(c->arena, a->total + 64u);
		copy = arena_copy(c->arena, a->data, a->total);
		if (copy == NULL) {
			r = RK_ENOMEM;
		} else {
			c->object = bytes_make(copy, a->total);
			*whole = true;
			assembly_end(a);
		}
	}
	pthread_mutex_unlock(&v->lock);
	return r;
}

/* ---- one function for each operation */

static int verify_put(struct verify *v, struct command *c)
{
	const Rk__PutObject *put = c->req->put_object;
	enum object_kind kind = object_kind_of(put->type);
	bool whole = true;
	int r;

	/* What may not be put at all (a Charter) is apply's to refuse, by the role. */
	if (kind == OBJECT_KIND_COUNT || kind == OBJECT_KIND_CHARTER)
		return RK_OK;
	if (put->total > ASSEMBLY_MAX_BYTES || (uint64_t)put->offset + c->object.len > put->total)
		return RK_MALFORMED;
	if (put->offset != 0 || c->object.len != put->total) {
		if (kind != OBJECT_KIND_DIRECTORY)
			return RK_MALFORMED;
		if ((r = take_part(v, c, &whole)) != RK_OK)
			return r;
	}
	if (!whole)
		return RK_OK;
	if ((r = open_object(v, c, kind)) != RK_OK || kind != OBJECT_KIND_DIRECTORY)
		return r;
	return orgkey_verify((const Rk__Directory *)c->signed_object.message, NULL, v->exchange_id);
}

/* HOLD is signed by a device under a label of its own; every other act by the organisation. */
static int verify_act(struct verify *v, struct command *c)
{
	const Rk__NdaAct *act;
	int r = object_parse(OBJECT_KIND_NDA_ACT, c->object, c->arena, &c->signed_object);

	if (r != RK_OK)
		return r;
	act = (const Rk__NdaAct *)c->signed_object.message;
	if ((act->kind == RK__ACT_KIND__ACCEPT) != (c->envelope.header != NULL))
		return RK_MALFORMED;
	if (act->kind == RK__ACT_KIND__HOLD)
		c->signed_object.kind = OBJECT_KIND_NDA_HOLD;
	if ((r = nda_check_act_form(act)) != RK_OK || (r = prove_object(v, c)) != RK_OK)
		return r;
	return c->envelope.header != NULL ? prove_envelope(v, c) : RK_OK;
}

static int verify_propose(struct verify *v, struct command *c)
{
	const Rk__NdaAct *act;
	Rk__NdaProposal *proposal;
	Rk__NdaTerms *terms;
	int r;

	if ((r = STRICT_PARSE(nda_proposal, c->object, c->arena, &proposal)) != RK_OK)
		return r;
	if (proposal->accept == NULL)
		return RK_MALFORMED;
	c->terms_bytes = bytes_of(proposal->terms);
	if ((r = STRICT_PARSE(nda_terms, c->terms_bytes, c->arena, &terms)) != RK_OK)
		return r;
	if ((r = nda_check_terms(terms, v->exchange_id)) != RK_OK)
		return r;
	c->terms = terms;
	ids_nda(c->nda_id, v->exchange_id, c->terms_bytes);
	if ((r = object_parse_signed(OBJECT_KIND_NDA_ACT, proposal->accept, c->arena, &c->signed_object)) != RK_OK)
		return r;
	act = (const Rk__NdaAct *)c->signed_object.message;
	if (act->kind != RK__ACT_KIND__ACCEPT || !bytes_equal(bytes_of(act->nda_id), BYTES_OF(c->nda_id)))
		return RK_MALFORMED;
	if ((r = nda_check_act_form(act)) != RK_OK || (r = prove_object(v, c)) != RK_OK)
		return r;
	return prove_envelope(v, c);
}

/* The keys are inside, and the invite's tag, which the secretariat checks, vouches for them. */
static int verify_enrol(struct verify *v, struct command *c)
{
	int r = trust_open_enrol(c->object, v->exchange_id, c->arena, &c->enrol);

	if (r != RK_OK)
		return r;
	return bytes_equal(bytes_of(c->enrol.enrol->invite_id), BYTES_OF(c->peer.id)) ? RK_OK : RK_NOT_PERMITTED;
}

/* The checkpoint that a home has seen, of our log or of one that our key has begun after it.  One that is not ours (of a log before
 * this one, or made up) says nothing about us: it is no reason to turn a member away. */
static int verify_hello(struct verify *v, struct command *c)
{
	struct note_key log, witness;

	roster_note_keys(v->roster, &log, &witness);
	if (note_open_later(bytes_of(c->req->hello->seen_checkpoint), &log, v->exchange_id, &c->note) != RK_OK) {
		memset(&c->note, 0, sizeof(c->note));
		metrics_add(M_SEEN_FOREIGN, 1);
	}
	return RK_OK;
}

static int verify_checkpoint(struct verify *v, struct command *c)
{
	struct note_key log, witness;

	if (c->object.len > NOTE_MAX_BYTES)
		return RK_TOO_LARGE;
	roster_note_keys(v->roster, &log, &witness);
	return note_open(c->object, &log, &witness, &c->note);
}

bool verify_command(struct verify *v, struct command *c)
{
	int r;

	switch (c->req->op) {
	case RK__OP__OP_ENROL:
		r = verify_enrol(v, c);
		break;
	case RK__OP__OP_INVITE_REG:
		r = open_object(v, c, OBJECT_KIND_INVITE_REG);
		break;
	case RK__OP__OP_PUT_OBJECT:
		r = verify_put(v, c);
		break;
	case RK__OP__OP_SUBMIT:
		r = prove_envelope(v, c);
		break;
	case RK__OP__OP_NDA_PROPOSE:
		r = verify_propose(v, c);
		break;
	case RK__OP__OP_NDA_ACT:
		r = verify_act(v, c);
		break;
	case RK__OP__OP_PICKUP:
		r = open_object(v, c, OBJECT_KIND_PICKUP);
		break;
	case RK__OP__OP_HELLO:
		r = verify_hello(v, c);
		break;
	case RK__OP__OP_PUT_CHECKPOINT:
		r = verify_checkpoint(v, c);
		break;
	case RK__OP__OP_NACK:
		r = open_object(v, c, OBJECT_KIND_NACK);
		break;
	case RK__OP__OP_DEPOSIT:
		r = open_object(v, c, OBJECT_KIND_DEPOSIT);
		break;
	default:
		r = RK_OK;
		break;
	}
	if (r == RK_ENOTFOUND)
		return false;
	c->refusal = r;
	return true;
}

void *verify_run(void *thread)
{
	struct verify_thread *t = thread;
	struct path *p = t->path;
	struct ring *in = p->admit_verify[t->index], *out = p->verify_admit[t->index];
	struct ring_bell *bell = p->verify_bell[t->index];

	for (;;) {
		struct message_in *m = ring_pop(in);

		if (m != NULL) {
			m->key_unknown = !verify_command(t->verify, &m->command);
			metrics_add(M_VERIFY_DONE, 1);
			metrics_add(M_VERIFY_REFUSED, m->command.refusal != RK_OK);
			ring_push_wait(out, m);
			continue;
		}
		if (atomic_load(&p->stopping))
			return NULL;
		ring_bell_arm(bell);
		if (ring_is_empty(in) && !atomic_load(&p->stopping))
			ring_bell_sleep(bell, -1);
		else
			ring_bell_disarm(bell);
	}
}
