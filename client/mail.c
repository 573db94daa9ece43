#include "client/mail_internal.h"

#include <sodium.h>

#include "client/agreement.h"
#include "client/attach.h"
#include "client/evidence.h"
#include "client/log.h"
#include "client/notice.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define HEAD_MAX_BYTES 8192

/* One envelope while it is judged. */
struct letter {
	struct client *c;
	struct txn *t;
	const struct delivery *d;
	struct arena *a;
	struct envelope e;
	const Rk__EnvelopeHeader *h;
	uint8_t env_id[32], oh[32];
	bool outgoing;
	Rkl__EnvelopeRecord record;
};

/* ---- judging */

static bool is_ours(const struct letter *l)
{
	const uint8_t *self = client_org_id(l->c);

	if (l->outgoing)
		return true;
	for (size_t i = 0; i < l->h->n_recipients; i++)
		if (memcmp(l->h->recipients[i]->org_id.data, self, 16) == 0)
			return true;
	return false;
}

/* Up to the signature: whatever fails here names nobody who could be asked about it. */
static int prove(struct letter *l)
{
	const uint8_t *exchange_id = client_exchange_id(l->c);
	Rk__Device *device;
	int r;

	if (l->d->object.len > HEAD_MAX_BYTES)
		return RK_TOO_LARGE;
	if ((r = envelope_parse(l->d->object, l->a, &l->e)) != RK_OK)
		return r;
	l->h = l->e.header;
	if ((r = envelope_check_rules(l->h, exchange_id)) != RK_OK)
		return r;
	if (l->h->kind == RK__KIND__FEED)
		return RK_MALFORMED;
	r = book_device(l->c, l->t, l->h->sender_device.data, l->h->sender_org.data, l->a, &device);
	if (r != RK_OK)
		return r == RK_ESTORE || r == RK_ENOMEM ? r : RK_BAD_SIGNATURE;
	if (device->retired_at != 0 && l->d->time_ms >= device->retired_at)
		return RK_REVOKED;
	/* What was accepted before the expulsion stays good, and may come after it. */
	if (book_org_was_out(l->c, l->t, l->h->sender_org.data, l->d->control_seq))
		return RK_REVOKED;
	if ((r = envelope_verify(&l->e, exchange_id, device->sign_pk.data)) != RK_OK)
		return r;
	envelope_id(l->env_id, &l->e, exchange_id);
	envelope_oh(l->oh, &l->e, exchange_id);
	/* What another device of ours wrote to us came in, as other mail does. */
	l->outgoing = memcmp(l->h->sender_org.data, client_org_id(l->c), 16) == 0 &&
		      (l->h->kind != RK__KIND__INTERNAL || memcmp(l->h->sender_device.data, client_device_id(l->c), 16) == 0);
	return is_ours(l) ? RK_OK : RK_NOT_PERMITTED;
}

/* A letter about an agreement goes from one party to all others, neither more nor fewer. */
static int check_proposal(const struct letter *l, const struct agreement *ag)
{
	if (nda_party_index(&ag->row, l->h->sender_org.data) < 0)
		return RK_NO_NDA;
	if (l->h->n_recipients + 1 != ag->row.party_count)
		return RK_MALFORMED;
	for (size_t i = 0; i < l->h->n_recipients; i++)
		if (nda_party_index(&ag->row, l->h->recipients[i]->org_id.data) < 0)
			return RK_NO_NDA;
	return RK_OK;
}

/* After the signature: time, and what the agreement says of it at its place in the log. */
static int judge(struct letter *l)
{
	struct agreement *ag;
	uint8_t nda_set[32];
	int r;

	if (l->h->created_at > l->d->time_ms + ENVELOPE_CLOCK_MS || l->h->created_at < l->d->time_ms - ENVELOPE_CLOCK_MS)
		return RK_CLOCK;
	if (l->d->time_ms >= l->h->expires_at)
		return RK_ENVELOPE_EXPIRED;
	if (l->h->kind == RK__KIND__OPEN || l->h->kind == RK__KIND__INTERNAL)
		return RK_OK;
	r = agreement_load(l->c, l->t, l->h->nda_id.data, false, l->a, &ag);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_NO_NDA : r;
	if (l->h->kind == RK__KIND__PROPOSAL)
		return check_proposal(l, ag);
	if (!l->d->logged)
		return RK_EINTEGRITY;
	agreement_set_before(ag, l->d->log_index, nda_set);
	if (memcmp(nda_set, l->h->nda_set.data, 32) != 0)
		return RK_STALE_NDA;
	return agreement_gate_then(ag, l->h, l->d->log_index, l->d->time_ms);
}

static int make_record(struct letter *l)
{
	Rkl__EnvelopeRecord *r = &l->record;

	rkl__envelope_record__init(r);
	arena_raise(l->a, l->h->n_recipients * (sizeof(*r->recipients) + sizeof(*r->recipient_desks)) + 64);
	if ((r->recipients = arena_alloc(l->a, l->h->n_recipients * sizeof(*r->recipients) + 1)) == NULL ||
	    (r->recipient_desks = arena_alloc(l->a, l->h->n_recipients * sizeof(*r->recipient_desks) + 1)) == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < l->h->n_recipients; i++) {
		r->recipients[r->n_recipients++] = l->h->recipients[i]->org_id;
		r->recipient_desks[i] = l->h->recipients[i]->desk_id;
		r->n_recipient_desks = r->recipient_desks[i] != 0 ? r->n_recipients : r->n_recipient_desks;
	}
	r->env_id = pb_of(BYTES_OF(l->env_id));
	r->oh = pb_of(BYTES_OF(l->oh));
	r->kind = l->h->kind;
	r->outgoing = l->outgoing;
	r->sender_org = l->h->sender_org;
	r->sender_device = l->h->sender_device;
	r->nda_id = l->h->nda_id;
	r->thread_id = l->h->thread_id;
	r->created_at = l->h->created_at;
	r->expires_at = l->h->expires_at;
	r->time_ms = l->d->time_ms;
	r->logged = l->d->logged;
	r->log_index = l->d->log_index;
	r->marking = l->h->marking;
	r->reply_only = l->h->reply_only;
	r->seq = l->d->seq;
	r->state = RKL__ENVELOPE_STATE__LODGED;
	r->head = pb_of(l->d->object);
	r->body_len = l->h->body_len;
	return RK_OK;
}

/*
 * CRYPTO 2.5: what fails after its signature, under an agreement, is refused in writing, once; the peer learns that, and no more.  A
 * full outbox costs the Nack, not the judgement.
 */
static int refuse(struct letter *l)
{
	int r;

	if (l->outgoing || !mail_has_own_key((uint32_t)l->h->kind) || l->record.nack_item != 0)
		return RK_OK;
	r = mail_queue_nack(l->c, l->t, &l->record, RK__NACK_REASON__NACK_UNOPENED, "dossier refuse");
	if (r != RK_QUOTA)
		return r;
	client_count(l->t, "nack-unsent");
	return env_error(l->t);
}

/* The record says what is wrong, and so does the inbox; the content is never looked at. */
static int fail(struct letter *l, int problem)
{
	char id[2 * ID32_BYTES + 1];
	int r;

	ids_hex(id, BYTES_OF(l->env_id));
	client_log(l->c, "mail: envelope %s is refused: %s", id, errcode_name(problem));
	client_count(l->t, "mail-refused");
	l->record.state = RKL__ENVELOPE_STATE__FAILED;
	l->record.problem = problem;
	if ((r = refuse(l)) != RK_OK)
		return r;
	return inbox_add(l->t, RKL__INBOX_KIND__INBOX_ALERT, BYTES_OF(l->env_id), l->h->sender_org.data, l->record.time_ms,
	                 errcode_name(problem));
}

/* ---- content */

/* Sets the outcome of an Interest that was answered: ours by them, or theirs by us. */
static int take_reply(struct letter *l, const Rk__InterestReply *reply)
{
	Rkl__EnvelopeRecord *asked;
	bool is_between = false;

	l->record.ref = reply->in_reply_to;
	l->record.outcome = reply->outcome;
	if (mail_load(l->t, reply->in_reply_to.data, l->a, &asked) != RK_OK)
		return RK_OK;
	/* Only those whom an Interest was sent to may answer it. */
	for (size_t i = 0; i < asked->n_recipients; i++)
		is_between |= bytes_equal(bytes_of(asked->recipients[i]), bytes_of(l->h->sender_org));
	if (asked->kind != RK__KIND__OPEN || asked->message_type != RK__MESSAGE_TYPE__MESSAGE_INTEREST || !is_between)
		return RK_NOT_PERMITTED;
	asked->outcome = reply->outcome;
	return mail_store(l->t, asked);
}

static int tell(struct letter *l, Rkl__InboxKind kind, const char *detail)
{
	if (l->outgoing)
		return RK_OK;
	return inbox_add(l->t, kind, BYTES_OF(l->env_id), l->h->sender_org.data, l->record.time_ms, detail);
}

/* First contact.  Anything but interest, its answer and plain words would be a disclosure without an agreement. */
static int take_open(struct letter *l, const Rk__Message *m, struct bytes packed)
{
	int r;

	switch (m->type) {
	case RK__MESSAGE_TYPE__MESSAGE_INTEREST:
		l->record.ref = m->interest->post_id;
		r = tell(l, RKL__INBOX_KIND__INBOX_INTEREST, "");
		break;
	case RK__MESSAGE_TYPE__MESSAGE_INTEREST_REPLY:
		if ((r = take_reply(l, m->interest_reply)) == RK_OK)
			r = tell(l, RKL__INBOX_KIND__INBOX_INTEREST_REPLY,
			         m->interest_reply->outcome == RK__INTEREST_OUTCOME__ACCEPTED ? "accepted" : "declined");
		break;
	case RK__MESSAGE_TYPE__MESSAGE_TEXT:
		r = tell(l, RKL__INBOX_KIND__INBOX_INTEREST, "text");
		break;
	default:
		return RK_NOT_PERMITTED;
	}
	return r != RK_OK ? r : content_put(l->c, l->t, l->env_id, false, packed);
}

/* Between our own devices: plain words. */
static int take_internal(struct letter *l, const Rk__Message *m, struct bytes packed)
{
	int r = m->type == RK__MESSAGE_TYPE__MESSAGE_TEXT ? tell(l, RKL__INBOX_KIND__INBOX_INTERNAL, "") : RK_NOT_PERMITTED;

	return r != RK_OK ? r : content_put(l->c, l->t, l->env_id, false, packed);
}

static int take_confidential(struct letter *l, const Rk__Message *m, struct bytes packed)
{
	struct agreement *ag;
	int r;

	if (l->h->kind == RK__KIND__NDA_NOTICE) {
		if ((r = agreement_load(l->c, l->t, l->h->nda_id.data, true, l->a, &ag)) != RK_OK)
			return r == RK_ENOTFOUND ? RK_NO_NDA : r;
		if ((r = notice_check_received(ag, l->h, m, l->record.log_index, l->record.time_ms)) != RK_OK)
			return r;
	} else if (m->type != RK__MESSAGE_TYPE__MESSAGE_DOSSIER && m->type != RK__MESSAGE_TYPE__MESSAGE_TEXT) {
		return RK_NOT_PERMITTED;
	}
	if ((r = attach_check(l->h, m)) != RK_OK)
		return r;
	return content_put(l->c, l->t, l->env_id, true, packed);
}

/* A plaintext that matched pc.  RK_OK, a problem, or a failure of this home. */
static int take_message(struct letter *l, struct bytes packed)
{
	Rk__Message *m;

	switch (message_read(packed, l->a, &m)) {
	case MESSAGE_NEWER:
		l->record.state = RKL__ENVELOPE_STATE__NEWER;
		return content_put(l->c, l->t, l->env_id, mail_has_own_key((uint32_t)l->h->kind), packed);
	case MESSAGE_BAD:
		return RK_MALFORMED;
	default:
		break;
	}
	l->record.message_type = m->type;
	if (!l->outgoing)
		l->record.state = RKL__ENVELOPE_STATE__OPENED;
	switch (l->h->kind) {
	case RK__KIND__OPEN:
		return take_open(l, m, packed);
	case RK__KIND__INTERNAL:
		return take_internal(l, m, packed);
	case RK__KIND__PROPOSAL:
		return agreement_on_letter(l->c, l->t, l->env_id, l->h, m, packed);
	default:
		return take_confidential(l, m, packed);
	}
}

static bool find_kx(void *user, uint32_t serial, uint8_t pk[32], uint8_t sk[32])
{
	return keys_kx(user, serial, pk, sk);
}

/* Failures of this home end the transaction; everything else is a judgement on the envelope. */
static bool is_failure(int r)
{
	return r == RK_ENOMEM || r == RK_ESTORE || r == RK_EIO || r == RK_EDISKFULL || r == RK_EINTERNAL || r == RK_EPASSPHRASE ||
	       r == RK_EKEYFILE;
}

/* What was sent under an agreement keeps its salt too: with it the plaintext can be shown to be what was committed to. */
static int open_bulk(struct letter *l, struct bytes wraps, struct bytes body, struct bytes *packed)
{
	uint8_t salt[ENVELOPE_SALT_BYTES];
	Rk__WrapList *list = NULL;
	int r;

	if (wraps.len > ENVELOPE_WRAPS_MAX_BYTES || body.len > ENVELOPE_BODY_MAX_BYTES)
		return RK_TOO_LARGE;
	if ((r = keys_unlock(l->c, KEY_DEVICE)) != RK_OK)
		return r;
	arena_raise(l->a, 4 * body.len + MAIL_ARENA);
	if ((r = envelope_check_bulk(&l->e, wraps, body, l->a, &list)) != RK_OK)
		return r;
	r = envelope_open(&l->e, list, body, NULL, client_device_id(l->c), find_kx, l->c, l->a, packed, salt);
	if (r == RK_OK && mail_has_own_key((uint32_t)l->e.header->kind))
		r = evidence_on_salt(l->c, l->t, l->env_id, salt);
	sodium_memzero(salt, sizeof(salt));
	return r;
}

/* Sealed before this machine had its first key: what it reads of its organisation's past alarms nobody. */
static bool is_before_this_device(struct letter *l)
{
	struct keys_kx kx[KEYS_KX_MAX];
	int64_t first_ms = INT64_MAX;
	size_t n;

	if (keys_kx_list(l->c, kx, KEYS_KX_MAX, &n) != RK_OK)
		return false;
	for (size_t i = 0; i < n && i < KEYS_KX_MAX; i++)
		if (kx[i].not_before < first_ms)
			first_ms = kx[i].not_before;
	return l->record.time_ms < first_ms;
}

/* The envelope has reached its record; now its content, if it came along.  Leaves state and problem in the record. */
static int open_into_record(struct letter *l, struct bytes wraps, struct bytes body)
{
	struct bytes packed;
	int r = open_bulk(l, wraps, body, &packed);

	if (r == RK_OK)
		r = take_message(l, packed);
	if (r == RK_OK || is_failure(r))
		return r;
	if (r == RK_NO_RECIPIENT_KEY) {
		/* A device that joined later, or is at another desk, or whose secret is gone: nobody's fault, and no other device's loss. */
		l->record.problem = r;
		if (l->outgoing || mail_own_desk(l->c, &l->record) != 0 || is_before_this_device(l))
			return RK_OK;
		return tell(l, RKL__INBOX_KIND__INBOX_ALERT, errcode_name(r));
	}
	return fail(l, r);
}

/* Content that nobody here has signed for: to open it would be to receive without a record of it. */
static int tell_unasked(struct letter *l)
{
	client_count(l->t, INBOX_UNASKED);
	return inbox_add(l->t, RKL__INBOX_KIND__INBOX_ALERT, BYTES_OF(l->env_id), NULL, client_now(l->c), INBOX_UNASKED);
}

/* Something waits that this device may get: not at another desk, and not so late that a device which reads its past could not get it. */
static int tell_waiting(struct letter *l, Rkl__InboxKind kind)
{
	if (client_now(l->c) >= l->h->expires_at || !mail_is_for_this_device(l->c, l->t, &l->record))
		return RK_OK;
	return tell(l, kind, "");
}

static int take_in(struct letter *l)
{
	int r = judge(l);

	if (is_failure(r))
		return r;
	if (r != RK_OK)
		return fail(l, r);
	if (mail_has_own_key((uint32_t)l->h->kind) && (l->d->wraps.len > 0 || l->d->body.len > 0) && (r = tell_unasked(l)) != RK_OK)
		return r;
	if (l->h->kind == RK__KIND__NDA)
		return tell_waiting(l, RKL__INBOX_KIND__INBOX_DOSSIER);
	if (l->h->kind == RK__KIND__NDA_NOTICE)
		return tell_waiting(l, RKL__INBOX_KIND__INBOX_NOTICE);
	if (l->d->bulk_dropped || l->d->body.len == 0) {
		l->record.problem = RK_ENVELOPE_EXPIRED;
		return RK_OK;
	}
	return open_into_record(l, l->d->wraps, l->d->body);
}

int mail_on_envelope(struct client *c, struct txn *t, const struct delivery *d)
{
	struct letter l = {.c = c, .t = t, .d = d, .a = arena_new(MAIL_ARENA)};
	int r;

	if (l.a == NULL)
		return RK_ENOMEM;
	if ((r = prove(&l)) != RK_OK) {
		if (is_failure(r))
			goto out;
		client_count(t, "mail-unproven");
		r = env_error(t);
		goto out;
	}
	/* Seen before: a replay, or our own cursor that was set back. */
	if (env_has(t, C_ENVELOPE, BYTES_OF(l.env_id)))
		goto out;
	/* Whatever becomes of the letter, its sender has signed what it saw of the log. */
	if (!l.outgoing && (r = log_on_seen(c, t, bytes_of(l.h->seen_checkpoint), l.h->sender_org.data)) != RK_OK)
		goto out;
	if ((r = make_record(&l)) == RK_OK && (r = take_in(&l)) == RK_OK && (r = mail_store(t, &l.record)) == RK_OK)
		r = evidence_on_envelope(c, t, &l.e, d->object, d->log_index);
out:
	arena_free_wiped(l.a);
	return r;
}

/* What came under an agreement is opened only once our signature for it is in the log, and not after its key was destroyed. */
static bool may_open(const struct letter *l)
{
	if (l->record.destroyed_at != 0)
		return false;
	return l->outgoing || !mail_has_own_key(l->record.kind) || mail_has_pickup(&l->record, bytes_make(client_device_id(l->c), 16));
}

int mail_on_bulk(struct client *c, struct txn *t, const uint8_t env_id[32], struct bytes wraps, struct bytes body)
{
	struct letter l = {.c = c, .t = t, .a = arena_new(MAIL_ARENA)};
	Rkl__EnvelopeRecord *record;
	int r;

	if (l.a == NULL)
		return RK_ENOMEM;
	if ((r = mail_load(t, env_id, l.a, &record)) != RK_OK) {
		r = r == RK_ENOTFOUND ? RK_OK : r;
		goto out;
	}
	if (record->state == RKL__ENVELOPE_STATE__FAILED || env_has(t, C_CONTENT, bytes_make(env_id, 32)))
		goto out;
	if ((r = envelope_parse(bytes_of(record->head), l.a, &l.e)) != RK_OK) {
		r = RK_ESTORE;
		goto out;
	}
	l.h = l.e.header;
	l.outgoing = record->outgoing;
	l.record = *record;
	l.record.problem = RK_OK;
	memcpy(l.env_id, env_id, 32);
	if (!may_open(&l)) {
		r = tell_unasked(&l);
		goto out;
	}
	if ((r = open_into_record(&l, wraps, body)) == RK_OK)
		r = mail_store(t, &l.record);
out:
	arena_free_wiped(l.a);
	return r;
}

int mail_on_sent(struct client *c, struct txn *t, struct bytes head, struct bytes wraps, struct bytes body)
{
	struct letter l = {.c = c, .t = t, .a = arena_new(MAIL_ARENA)};
	struct bytes packed;
	int r;

	if (l.a == NULL)
		return RK_ENOMEM;
	r = envelope_parse(head, l.a, &l.e);
	if (r != RK_OK || !mail_has_own_key((uint32_t)l.e.header->kind)) {
		/* What we sealed ourselves parses; the other kinds come back whole with our mailbox. */
		r = RK_OK;
		goto out;
	}
	envelope_id(l.env_id, &l.e, client_exchange_id(c));
	r = open_bulk(&l, wraps, body, &packed);
	if (r == RK_OK && !env_has(t, C_CONTENT, BYTES_OF(l.env_id)))
		r = content_put(c, t, l.env_id, true, packed);
	/* A device without a kx key of its own wraps nothing for itself: it has to fetch what it sent. */
	if (!is_failure(r))
		r = RK_OK;
out:
	arena_free_wiped(l.a);
	return r;
}
