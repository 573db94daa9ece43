/*
 * seal: from an item of the outbox to the frames of one request.  Nothing is sealed before the link has caught up, so recipients'
 * keys, the epoch and the agreement's acts are those of now; and the client asks its own gate once more before it wraps a key
 * for anybody (P2 does not depend on the broker alone).
 */
#include <stdlib.h>

#include <sodium.h>

#include "client/agreement.h"
#include "client/client_internal.h"
#include "client/deposit.h"
#include "client/log.h"
#include "client/notice.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define SEAL_TARGETS_MAX 512
#define SEAL_MARGIN_MS ((int64_t)5 * 60 * 1000)
#define SEAL_REQUEST_MAX 8192

struct sealing {
	struct client *c;
	struct txn *txn;
	struct arena *arena;
	Rkl__OutboxItem *item;
	Rkl__Compose *what;
	struct envelope_wire wire;   /* of the envelope, if the item has one */
	struct bytes object;         /* object frame, empty if there is none */
	Rk__Request request;
	Rk__Signed head;
	Rk__PutObject put_object;
	Rk__Fetch fetch;
	Rk__BlobOpen blob_open;
};

/* ---- the envelope */

/* The newest epoch whose key is here; the one before it while the broker still takes it. */
static int choose_epoch(struct sealing *s, uint32_t *n, uint8_t ek[32])
{
	Rk__FeedEpoch *epoch;
	uint8_t oh[32];
	int r = book_epoch(s->c, s->txn, 0, s->arena, &epoch, oh);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_EPOCH_UNKNOWN : r;
	*n = epoch->n;
	r = book_epoch_key(s->c, s->txn, epoch->n, ek);
	if (r == RK_ENOTFOUND && epoch->n > 1 && client_now(s->c) < epoch->not_before + TRUST_EPOCH_GRACE_MS - SEAL_MARGIN_MS) {
		*n = epoch->n - 1;
		r = book_epoch_key(s->c, s->txn, epoch->n - 1, ek);
	}
	return r == RK_ENOTFOUND ? RK_EPOCH_UNKNOWN : r;
}

/* Who of ours gets a wrap besides.  An agreement binds the whole organisation; all else stays with those who need to know. */
static enum book_side own_side(const Rk__EnvelopeHeader *h)
{
	if (h->kind == RK__KIND__INTERNAL)
		return BOOK_OWN_DEVICE;
	return h->kind == RK__KIND__PROPOSAL ? BOOK_DESK : BOOK_OWN_DESKS;
}

/* Every recipient must be a member now and have a key; our own devices may lack one only if we are all there is. */
static int choose_targets(struct sealing *s, const Rk__EnvelopeHeader *h, struct envelope_target *targets, size_t *count)
{
	int r;

	*count = 0;
	for (size_t i = 0; i < h->n_recipients; i++) {
		const uint8_t *org_id = h->recipients[i]->org_id.data;
		size_t before = *count;

		if (h->recipients[i]->org_id.len != ID16_BYTES)
			return RK_MALFORMED;
		if (!book_org_active(s->c, s->txn, org_id))
			return RK_UNKNOWN_RECIPIENT;
		r = book_targets_at(s->c, s->txn, org_id, BOOK_DESK, h->recipients[i]->desk_id, targets, SEAL_TARGETS_MAX, count);
		if (r != RK_OK)
			return r;
		if (*count == before)
			return RK_NO_RECIPIENT_KEY;
	}
	r = book_targets_at(s->c, s->txn, s->c->org_id, own_side(h), 0, targets, SEAL_TARGETS_MAX, count);
	return r == RK_NO_RECIPIENT_KEY ? RK_OK : r;
}

/* CRYPTO 2.2 and 2.9: under an expired directory nothing confidential is sent, and five minutes before it neither. */
static int check_dates(const struct sealing *s, const Rk__EnvelopeHeader *h, const Rk__Directory *directory)
{
	bool confidential = h->kind == RK__KIND__NDA || h->kind == RK__KIND__PROPOSAL;

	if (confidential && directory->expires_at <= client_now(s->c) + SEAL_MARGIN_MS)
		return RK_DIRECTORY_EXPIRED;
	return RK_OK;
}

/* The newest that we have verified of the log: whoever gets it finds out if it was shown another one. */
static int fill_seen(struct sealing *s, ProtobufCBinaryData *seen)
{
	struct bytes note;
	int r = log_seen(s->c, s->txn, s->arena, &note);

	*seen = pb_of(note);
	return r;
}

static int fill_header(struct sealing *s, Rk__EnvelopeHeader *h)
{
	Rk__Directory *directory;
	int r = book_directory(s->c, s->txn, s->arena, &directory, NULL);

	if (r != RK_OK)
		return r;
	h->exchange_id = pb_of(bytes_make(s->c->exchange_id, ID32_BYTES));
	h->sender_org = pb_of(bytes_make(s->c->org_id, ID16_BYTES));
	h->sender_device = pb_of(bytes_make(s->c->device_id, ID16_BYTES));
	h->created_at = client_now(s->c);
	if (h->expires_at == 0)
		h->expires_at = h->created_at + s->what->lifetime_ms;
	if (h->expires_at <= h->created_at)
		return RK_ENVELOPE_EXPIRED;
	h->directory_serial = directory->serial;
	if ((r = check_dates(s, h, directory)) != RK_OK)
		return r;
	if (h->kind == RK__KIND__PROPOSAL)
		return log_check_send(s->c, s->txn);
	if (h->kind != RK__KIND__NDA && h->kind != RK__KIND__NDA_NOTICE)
		return RK_OK;
	if (h->kind == RK__KIND__NDA_NOTICE && (r = notice_check_seal(s->c, s->txn, h, bytes_of(s->what->message), s->arena)) != RK_OK)
		return r;
	if ((r = agreement_check_send(s->c, s->txn, h, s->arena)) != RK_OK)
		return r;
	return fill_seen(s, &h->seen_checkpoint);
}

static int seal_envelope(struct sealing *s)
{
	struct envelope_target *targets = NULL;
	struct envelope_random random;
	Rk__EnvelopeHeader *h;
	bool is_feed;
	size_t count = 0;
	uint8_t ek[32];
	int r;

	arena_raise(s->arena, 2 * arena_budget(s->what->header.len) + SEAL_TARGETS_MAX * sizeof(*targets));
	h = rk__envelope_header__unpack(arena_allocator(s->arena), s->what->header.len, s->what->header.data);
	if (h == NULL)
		return RK_ESTORE;
	is_feed = h->kind == RK__KIND__FEED;
	if ((r = fill_header(s, h)) != RK_OK)
		return r;
	if (is_feed) {
		r = choose_epoch(s, &h->feed_epoch, ek);
	} else {
		if ((targets = arena_alloc(s->arena, SEAL_TARGETS_MAX * sizeof(*targets))) == NULL)
			return RK_ENOMEM;
		r = choose_targets(s, h, targets, &count);
	}
	if (r == RK_OK) {
		arena_raise(s->arena, 8 * s->what->message.len + 512 * 1024);
		envelope_random(&random);
		r = envelope_seal(h, bytes_of(s->what->message), is_feed ? ek : NULL, targets, count,
				  keys_sign_sk(s->c, KEY_DEVICE), &random, s->arena, &s->wire);
		sodium_memzero(&random, sizeof(random));
	}
	sodium_memzero(ek, sizeof(ek));
	if (r != RK_OK)
		return r;
	arena_raise(s->arena, 64);
	s->item->env_id = pb_of(bytes_make(arena_copy(s->arena, s->wire.env_id, ID32_BYTES), ID32_BYTES));
	return s->item->env_id.data != NULL ? RK_OK : RK_ENOMEM;
}

/* ---- the object */

static int current_nda_set(struct sealing *s, ProtobufCBinaryData nda_id, ProtobufCBinaryData *nda_set)
{
	struct agreement *ag;
	int r;

	if (nda_id.len != ID32_BYTES)
		return RK_ESTORE;
	if ((r = agreement_load(s->c, s->txn, nda_id.data, false, s->arena, &ag)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_NO_NDA : r;
	*nda_set = pb_of(bytes_make(ag->row.nda_set, ID32_BYTES));
	return RK_OK;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const ProtobufCBinaryData *)a)->data, ((const ProtobufCBinaryData *)b)->data, ID32_BYTES);
}

static int seal_pickup(struct sealing *s)
{
	Rk__Pickup p = RK__PICKUP__INIT;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < s->what->n_env_ids; i++)
		if (s->what->env_ids[i].len != ID32_BYTES)
			return RK_ESTORE;
	qsort(s->what->env_ids, s->what->n_env_ids, sizeof(*s->what->env_ids), by_id);
	for (size_t i = 0; i < s->what->n_env_ids; i++)
		if (n == 0 || by_id(&s->what->env_ids[n - 1], &s->what->env_ids[i]) != 0)
			s->what->env_ids[n++] = s->what->env_ids[i];
	p.version = 1;
	p.n_env_ids = n;
	p.env_ids = s->what->env_ids;
	p.nda_id = s->what->nda_id;
	if ((r = current_nda_set(s, p.nda_id, &p.nda_set)) != RK_OK)
		return r;
	p.device_id = pb_of(bytes_make(s->c->device_id, ID16_BYTES));
	p.time = client_now(s->c);
	if ((r = fill_seen(s, &p.seen_checkpoint)) != RK_OK)
		return r;
	arena_raise(s->arena, 64 * 1024);
	return object_make(OBJECT_KIND_PICKUP, s->c->exchange_id, keys_sign_sk(s->c, KEY_DEVICE), &p.base, s->arena, &s->object);
}

static int seal_nack(struct sealing *s)
{
	Rk__Nack n = RK__NACK__INIT;

	if (s->what->env_id.len != ID32_BYTES || s->what->nda_id.len != ID32_BYTES)
		return RK_ESTORE;
	n.version = 1;
	n.env_id = s->what->env_id;
	n.nda_id = s->what->nda_id;
	n.device_id = pb_of(bytes_make(s->c->device_id, ID16_BYTES));
	n.reason = (Rk__NackReason)s->what->nack_reason;
	n.time = client_now(s->c);
	arena_raise(s->arena, 64 * 1024);
	return object_make(OBJECT_KIND_NACK, s->c->exchange_id, keys_sign_sk(s->c, KEY_DEVICE), &n.base, s->arena, &s->object);
}

static int seal_deposit(struct sealing *s)
{
	Rkl__DepositRecord *record;
	int r;

	if (s->item->ref.len != ID32_BYTES)
		return RK_ESTORE;
	if ((r = deposit_seal(s->c, s->txn, s->item->ref.data, s->arena, &record)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_ESTORE : r;
	s->object = bytes_of(record->wire);
	s->item->ref = record->oh;
	return RK_OK;
}

/* ---- the request */

static int fill_request(struct sealing *s)
{
	Rk__Request *q = &s->request;
	Rkl__Compose *what = s->what;
	int r = RK_OK;

	s->object = bytes_of(what->object);
	switch (q->op) {
	case RK__OP__OP_SUBMIT:
	case RK__OP__OP_NDA_PROPOSE:
	case RK__OP__OP_NDA_ACT:
	case RK__OP__OP_INVITE_REG:
	case RK__OP__OP_PUT_CHECKPOINT:
		break;
	case RK__OP__OP_DEPOSIT:
		r = seal_deposit(s);
		break;
	case RK__OP__OP_PUT_OBJECT:
		rk__put_object__init(&s->put_object);
		s->put_object.type = (Rk__ObjectType)what->object_type;
		s->put_object.oh = what->object_oh;
		s->put_object.total = what->total;
		s->put_object.offset = what->offset;
		q->put_object = &s->put_object;
		break;
	case RK__OP__OP_PICKUP:
		r = seal_pickup(s);
		break;
	case RK__OP__OP_NACK:
		r = seal_nack(s);
		break;
	case RK__OP__OP_FETCH:
		rk__fetch__init(&s->fetch);
		s->fetch.env_id = what->env_id;
		q->fetch = &s->fetch;
		break;
	case RK__OP__OP_BLOB_OPEN:
		rk__blob_open__init(&s->blob_open);
		s->blob_open.nda_id = what->nda_id;
		s->blob_open.sha256 = what->blob_sha256;
		s->blob_open.len = what->blob_len;
		q->blob_open = &s->blob_open;
		break;
	default:
		return RK_EINTERNAL;
	}
	if (r == RK_OK && what->header.len > 0)
		r = seal_envelope(s);
	return r;
}

static int pack_frames(struct sealing *s, bool has_envelope)
{
	Rk__Request *q = &s->request;
	Rk__Signed *head;
	ProtobufCBinaryData *frames;
	struct bytes header;
	uint8_t *sha;
	size_t n = 0;
	int r;

	arena_raise(s->arena, 2 * SEAL_REQUEST_MAX + 1024);
	frames = arena_alloc(s->arena, 4 * sizeof(*frames));
	sha = arena_alloc(s->arena, ID32_BYTES);
	if (frames == NULL || sha == NULL)
		return RK_ENOMEM;
	if (has_envelope) {
		if ((r = STRICT_PARSE(signed, s->wire.head, s->arena, &head)) != RK_OK)
			return r;
		q->head = head;
	}
	if (s->object.len > 0) {
		ids_sha256(sha, s->object);
		q->object_sha256 = pb_of(bytes_make(sha, ID32_BYTES));
		q->object_len = (uint32_t)s->object.len;
	}
	if ((r = STRICT_PACK(q, s->arena, &header)) != RK_OK)
		return r;
	if (header.len > SEAL_REQUEST_MAX)
		return RK_TOO_LARGE;
	frames[n++] = pb_of(header);
	if (s->object.len > 0)
		frames[n++] = pb_of(s->object);
	if (has_envelope && s->wire.wraps.len > 0)
		frames[n++] = pb_of(s->wire.wraps);
	if (has_envelope)
		frames[n++] = pb_of(s->wire.body);
	s->item->frames = frames;
	s->item->n_frames = n;
	return RK_OK;
}

static int open_compose(struct client *c, const Rkl__OutboxItem *item, struct arena *arena, struct bytes *plain)
{
	uint8_t id[8], key[32];
	int r;

	put_u64be(id, item->id);
	if ((r = outbox_key(c, item, false, key)) == RK_OK)
		r = vault_open(key, VAULT_OUTBOX, BYTES_OF(id), bytes_of(item->sealed_compose), arena, plain);
	sodium_memzero(key, sizeof(key));
	return r;
}

int seal_item(struct client *c, struct txn *txn, Rkl__OutboxItem *item, uint64_t number, struct arena *arena)
{
	struct sealing s = {.c = c, .txn = txn, .arena = arena, .item = item, .request = RK__REQUEST__INIT};
	struct bytes plain;
	int r;

	home_load_ids(c, txn);
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK || (r = open_compose(c, item, arena, &plain)) != RK_OK)
		return r;
	arena_raise(arena, 2 * arena_budget(plain.len));
	if ((s.what = rkl__compose__unpack(arena_allocator(arena), plain.len, plain.data)) == NULL)
		return RK_ESTORE;
	s.request.protocol = 1;
	s.request.op = (Rk__Op)item->op;
	s.request.number = number;
	/* The tag is part of what is sent again byte for byte, so it follows from the item and never meets another one. */
	s.request.tag = item->id;
	if (number != 0)
		s.request.writer_epoch = item->writer_epoch;
	if ((r = fill_request(&s)) != RK_OK)
		return r;
	if ((r = pack_frames(&s, s.what->header.len > 0)) != RK_OK)
		return r;
	item->number = number;
	item->sealings++;
	return RK_OK;
}
