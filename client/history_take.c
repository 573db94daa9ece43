/* One member of a history into the home: what is missing is added, what is here stays. */
#include "client/agreement.h"
#include "client/deposit.h"
#include "client/evidence_internal.h"
#include "client/history_internal.h"
#include "client/mail_internal.h"
#include "proto/envelope.h"
#include "proto/ids.h"
#include "proto/strict.h"

#include <sodium.h>

#define TAKE_ARENA ((size_t)512 * 1024)

struct merging {
	struct client *c;
	struct txn *t;
	struct arena *a;
	const uint8_t *id;
	const Rkl__HistoryItem *item;
	bool *taken;
};

/* ---- evidence: copies by hash, and the records that name them */

static int take_evidence(struct merging *m, enum evidence_kind kind)
{
	struct bytes record = bytes_of(m->item->record);
	uint8_t key[EVIDENCE_KEY_BYTES];
	int r;

	evidence_key(key, kind, m->id);
	if (env_has(m->t, C_EVIDENCE, BYTES_OF(key)))
		return RK_OK;
	r = kind == EVIDENCE_OBJECT ? history_prove_object(m->c, m->a, m->id, record) : history_check_evidence(m->a, record);
	if (r != RK_OK)
		return r;
	*m->taken = true;
	return env_put(m->t, C_EVIDENCE, BYTES_OF(key), record, ENV_PUT);
}

/* ---- envelopes */

static int adopt_envelope(struct merging *m, Rkl__EnvelopeRecord *record)
{
	int r = history_prove_envelope(m->c, m->t, m->a, m->id, record);

	if (r != RK_OK)
		return r;
	/* Where the other home saved it, and what it had queued, is its own. */
	record->n_copies = 0;
	record->nack_item = 0;
	*m->taken = true;
	return RK_OK;
}

/* With its salt a content shows that it is what the signed head commits to. */
static int prove_content(struct merging *m, const Rkl__EnvelopeRecord *record)
{
	struct envelope e;
	uint8_t *plain, pc[32];
	size_t len;
	int r;

	if (m->item->secret.len != ENVELOPE_SALT_BYTES || envelope_parse(bytes_of(record->head), m->a, &e) != RK_OK)
		return RK_EINTEGRITY;
	arena_raise(m->a, 2 * m->item->content.len + 4 * ENVELOPE_PAD_BYTES);
	if ((r = envelope_plain(bytes_of(m->item->content), m->item->secret.data, m->a, &plain, &len)) != RK_OK)
		return r;
	envelope_pc(pc, bytes_make(plain, len));
	sodium_memzero(plain, len);
	return bytes_equal(bytes_of(e.header->pc), BYTES_OF(pc)) ? RK_OK : RK_EINTEGRITY;
}

/* A letter about an agreement proves itself against the terms, as it did when it came. */
static int take_letter(struct merging *m, const Rkl__EnvelopeRecord *record)
{
	struct envelope e;
	Rk__Message *message;
	int r;

	if (envelope_parse(bytes_of(record->head), m->a, &e) != RK_OK)
		return RK_EINTEGRITY;
	arena_raise(m->a, 8 * m->item->content.len);
	if (message_read(bytes_of(m->item->content), m->a, &message) != MESSAGE_OK)
		return RK_EINTEGRITY;
	r = agreement_on_letter(m->c, m->t, m->id, e.header, message, bytes_of(m->item->content));
	return r < 0 && r != RK_EINTEGRITY && r != RK_ENEWER ? r : r == RK_OK || r == RK_ENEWER ? RK_OK : RK_EINTEGRITY;
}

static int take_content(struct merging *m, const Rkl__EnvelopeRecord *record)
{
	int r;

	if (record->kind == RK__KIND__PROPOSAL)
		return take_letter(m, record);
	if (!mail_has_own_key(record->kind))
		return content_put(m->c, m->t, m->id, false, bytes_of(m->item->content));
	if ((r = prove_content(m, record)) != RK_OK ||
	    (r = content_put(m->c, m->t, m->id, true, bytes_of(m->item->content))) != RK_OK)
		return r;
	return evidence_on_salt(m->c, m->t, m->id, m->item->secret.data);
}

/* What the other home learned by opening it. */
static void learn(Rkl__EnvelopeRecord *ours, const Rkl__EnvelopeRecord *theirs)
{
	ours->message_type = theirs->message_type;
	ours->ref = theirs->ref;
	ours->outcome = ours->outcome != 0 ? ours->outcome : theirs->outcome;
	ours->problem = RK_OK;
	if (theirs->state == RKL__ENVELOPE_STATE__OPENED || theirs->state == RKL__ENVELOPE_STATE__NEWER)
		ours->state = theirs->state;
}

static int take_envelope(struct merging *m)
{
	Rkl__EnvelopeRecord *theirs, *ours;
	int r;

	arena_raise(m->a, arena_budget(m->item->record.len));
	theirs = rkl__envelope_record__unpack(arena_allocator(m->a), m->item->record.len, m->item->record.data);
	if (theirs == NULL)
		return RK_EINTEGRITY;
	r = mail_load(m->t, m->id, m->a, &ours);
	if (r == RK_ENOTFOUND && (r = adopt_envelope(m, theirs)) == RK_OK)
		ours = theirs;
	if (r != RK_OK)
		return r;
	/* Whether it was destroyed, refused or declined, here or there: what is gone is not brought back. */
	if (m->item->content.len > 0 && ours->destroyed_at == 0 && theirs->destroyed_at == 0 && ours->state != RKL__ENVELOPE_STATE__FAILED &&
	    ours->state != RKL__ENVELOPE_STATE__DECLINED_HERE && !env_has(m->t, C_CONTENT, bytes_make(m->id, 32))) {
		if ((r = history_check_message(m->a, ours, theirs, bytes_of(m->item->content))) != RK_OK || (r = take_content(m, ours)) != RK_OK)
			return r;
		learn(ours, theirs);
		*m->taken = true;
		if ((r = inbox_settle(m->t, bytes_make(m->id, 32))) != RK_OK)
			return r;
	}
	return *m->taken ? mail_store(m->t, ours) : RK_OK;
}

/* ---- posts */

/* A post is signed by nobody any more: it is taken as told, but in no other content's place, and of no other sender than is known here. */
static int check_post(struct merging *m, const Rkl__PostRecord *theirs, const Rkl__PostRecord *ours)
{
	Rk__Message *message;
	enum message_status status;

	if (theirs->env_id.len != 32 || theirs->post_id.len != 32 || memcmp(theirs->post_id.data, m->id, 32) != 0 ||
	    theirs->sender_device.len != 16 || theirs->sender_org.len != 16)
		return RK_EINTEGRITY;
	if (env_has(m->t, C_ENVELOPE, bytes_of(theirs->env_id)) ||
	    (ours != NULL && !bytes_equal(bytes_of(ours->sender_org), bytes_of(theirs->sender_org))))
		return RK_EINTEGRITY;
	arena_raise(m->a, arena_budget(m->item->content.len));
	status = message_read(bytes_of(m->item->content), m->a, &message);
	return status == MESSAGE_BAD || (status == MESSAGE_OK && message->type != RK__MESSAGE_TYPE__MESSAGE_POST) ? RK_EINTEGRITY : RK_OK;
}

static int take_post(struct merging *m)
{
	Rkl__PostRecord *theirs, *ours;
	Rk__Device *device;
	int r;

	arena_raise(m->a, arena_budget(m->item->record.len));
	theirs = rkl__post_record__unpack(arena_allocator(m->a), m->item->record.len, m->item->record.data);
	if (theirs == NULL)
		return RK_EINTEGRITY;
	r = record_get(m->t, C_POST, bytes_make(m->id, 32), &rkl__post_record__descriptor, m->a, (ProtobufCMessage **)&ours);
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	if (check_post(m, theirs, r == RK_OK ? ours : NULL) != RK_OK)
		return RK_EINTEGRITY;
	/* A newer version, a withdrawal, or content that is here: nothing is missing. */
	if (r == RK_OK && (ours->version > theirs->version || ours->status == RKL__POST_STATUS__WITHDRAWN ||
	                   (ours->env_id.len == 32 && env_has(m->t, C_CONTENT, bytes_of(ours->env_id)))))
		return RK_OK;
	/* Struck since: as for everybody else. */
	if (theirs->status != RKL__POST_STATUS__WITHDRAWN &&
	    book_device(m->c, m->t, theirs->sender_device.data, theirs->sender_org.data, m->a, &device) == RK_ENOTFOUND)
		theirs->status = RKL__POST_STATUS__WITHDRAWN;
	*m->taken = true;
	/* What lies under that name already stays. */
	if (!env_has(m->t, C_CONTENT, bytes_of(theirs->env_id)) &&
	    (r = content_put(m->c, m->t, theirs->env_id.data, false, bytes_of(m->item->content))) != RK_OK)
		return r;
	return record_put(m->t, C_POST, bytes_make(m->id, 32), &theirs->base);
}

/* ---- deposits */

static int read_secret(struct merging *m, struct deposit_secret *out)
{
	Rkl__DepositSecret *s;

	arena_raise(m->a, arena_budget(m->item->secret.len));
	s = rkl__deposit_secret__unpack(arena_allocator(m->a), m->item->secret.len, m->item->secret.data);
	if (s == NULL || s->salt.len != sizeof(out->salt) || s->sha256.len != sizeof(out->sha256))
		return RK_EINTEGRITY;
	*out = (struct deposit_secret){.name = s->name, .title = s->title, .size = s->size};
	memcpy(out->salt, s->salt.data, sizeof(out->salt));
	memcpy(out->sha256, s->sha256.data, sizeof(out->sha256));
	return RK_OK;
}

/* The signed Deposit names what its secret must be. */
static int prove_deposit(struct merging *m, const Rkl__DepositRecord *record, const struct deposit_secret *secret)
{
	uint8_t commit[32];

	ids_deposit_commit(commit, secret->salt, secret->sha256);
	return history_prove_deposit(m->c, m->t, m->a, m->id, bytes_of(record->wire), commit);
}

static int take_deposit(struct merging *m)
{
	Rkl__DepositRecord *theirs, *ours;
	struct deposit_secret secret;
	int r;

	arena_raise(m->a, arena_budget(m->item->record.len));
	theirs = rkl__deposit_record__unpack(arena_allocator(m->a), m->item->record.len, m->item->record.data);
	if (theirs == NULL || !bytes_equal(bytes_of(theirs->oh), bytes_make(m->id, 32)))
		return RK_EINTEGRITY;
	r = deposit_load(m->t, m->id, m->a, &ours);
	if (r == RK_ENOTFOUND)
		ours = theirs;
	else if (r != RK_OK || ours->sealed_secret.len > 0)
		return r;
	if ((r = read_secret(m, &secret)) == RK_OK && (r = prove_deposit(m, ours, &secret)) == RK_OK) {
		ours->item = 0;
		*m->taken = true;
		r = deposit_take_secret(m->c, m->t, ours, &secret, m->a);
	}
	sodium_memzero(&secret, sizeof(secret));
	return r;
}

int history_take(struct client *c, struct txn *t, enum history_kind kind, const uint8_t id[32], const Rkl__HistoryItem *item, bool *taken)
{
	struct merging m = {c, t, arena_new(TAKE_ARENA), id, item, taken};
	int r;

	*taken = false;
	if (m.a == NULL)
		return RK_ENOMEM;
	switch (kind) {
	case HISTORY_OBJECT:
		r = take_evidence(&m, EVIDENCE_OBJECT);
		break;
	case HISTORY_EVIDENCE:
		r = take_evidence(&m, EVIDENCE_RECORD);
		break;
	case HISTORY_ENVELOPE:
		r = take_envelope(&m);
		break;
	case HISTORY_POST:
		r = take_post(&m);
		break;
	default:
		r = take_deposit(&m);
		break;
	}
	*taken &= r == RK_OK;
	arena_free_wiped(m.a);
	return r;
}
