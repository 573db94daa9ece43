/* What became of our own signatures: a Pickup that was granted, a Nack that is on record. */
#include "client/mail_internal.h"

#include "proto/strict.h"

int mail_queue_nack(struct client *c, struct txn *t, Rkl__EnvelopeRecord *record, Rk__NackReason reason, const char *what)
{
	struct outbox_request request = {.op = RK__OP__OP_NACK, .what = what, .env_id = record->env_id.data, .nda_id = record->nda_id.data,
	                                 .nack_reason = reason, .ref = bytes_of(record->env_id)};

	return outbox_add(c, t, &request, &record->nack_item);
}

/* An earlier Nack that was not answered yet is the one to wait for; one that was refused is tried again. */
static bool is_queued(struct txn *t, uint64_t item)
{
	struct outcome out;

	return item != 0 && outbox_outcome(t, item, &out) == RK_BUSY;
}

int mail_decline(struct client *c, struct txn *t, const uint8_t env_id[32], uint64_t *item)
{
	struct arena *a = arena_new(MAIL_ARENA);
	Rkl__EnvelopeRecord *record;
	int r;

	*item = 0;
	if (a == NULL)
		return RK_ENOMEM;
	if ((r = mail_load(t, env_id, a, &record)) != RK_OK)
		goto out;
	r = RK_CONFLICT;
	if (record->outgoing || (record->state != RKL__ENVELOPE_STATE__LODGED && record->state != RKL__ENVELOPE_STATE__DECLINED_HERE))
		goto out;
	r = RK_OK;
	if (mail_has_nack(record, bytes_make(client_device_id(c), 16)))
		goto out;
	if (!is_queued(t, record->nack_item) &&
	    (r = mail_queue_nack(c, t, record, RK__NACK_REASON__NACK_DECLINED, "dossier decline")) != RK_OK)
		goto out;
	*item = record->nack_item;
	record->state = RKL__ENVELOPE_STATE__DECLINED_HERE;
	r = mail_store(t, record);
out:
	arena_free(a);
	return r;
}

int mail_refuse(struct client *c, struct txn *t, const uint8_t env_id[32], int problem)
{
	struct arena *a = arena_new(MAIL_ARENA);
	Rkl__EnvelopeRecord *record;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	/* Our own may be damaged here; that is nobody's fault but this disk's. */
	if ((r = mail_load(t, env_id, a, &record)) != RK_OK || record->outgoing)
		goto out;
	client_count(t, "mail-refused");
	record->state = RKL__ENVELOPE_STATE__FAILED;
	record->problem = problem;
	if (!mail_has_nack(record, bytes_make(client_device_id(c), 16)) && !is_queued(t, record->nack_item))
		r = mail_queue_nack(c, t, record, RK__NACK_REASON__NACK_UNOPENED, "dossier refuse");
	/* A full outbox costs the Nack, not the judgement. */
	if (r != RK_OK && r != RK_QUOTA)
		goto out;
	if ((r = mail_store(t, record)) == RK_OK)
		r = inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, bytes_of(record->env_id), record->sender_org.data, client_now(c), errcode_name(problem));
out:
	arena_free(a);
	return r;
}

static struct mail_mark own_mark(struct client *c, const struct outcome *answer)
{
	return (struct mail_mark){client_org_id(c), client_device_id(c), answer->time_ms, answer->log_index, true};
}

/* RK_EINTEGRITY is the judgement on this envelope; the record of it is in the inbox. */
static int grant(struct client *c, struct txn *t, const uint8_t *env_id, const struct outcome *answer, struct arena *a)
{
	struct mail_mark mark = own_mark(c, answer);
	Rkl__EnvelopeRecord *record;
	int r = mail_load(t, env_id, a, &record);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	/* A repetition has nothing new to log. */
	if (mail_has_pickup(record, bytes_make(mark.device_id, 16)))
		return RK_OK;
	/* What is released was disclosed before: another place is none. */
	if (answer->logged && record->logged && answer->log_index > record->log_index)
		return mail_mark_pickup(t, record, &mark, a);
	client_count(t, INBOX_UNLOGGED);
	r = inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, bytes_of(record->env_id), NULL, answer->time_ms, INBOX_UNLOGGED);
	return r == RK_OK ? RK_EINTEGRITY : r;
}

int mail_on_pickup_answer(struct client *c, struct txn *t, struct bytes object, const struct outcome *answer)
{
	struct arena *a = arena_new(MAIL_ARENA);
	bool is_unlogged = false;
	const Rk__Pickup *p;
	struct object o;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = object_parse(OBJECT_KIND_PICKUP, object, a, &o)) != RK_OK) {
		r = RK_ESTORE;
		goto out;
	}
	p = (const Rk__Pickup *)(const void *)o.message;
	for (size_t i = 0; i < p->n_env_ids && r == RK_OK; i++) {
		if ((r = grant(c, t, p->env_ids[i].data, answer, a)) != RK_EINTEGRITY)
			continue;
		is_unlogged = true;
		r = RK_OK;
	}
	if (r == RK_OK && is_unlogged)
		r = RK_EINTEGRITY;
out:
	arena_free(a);
	return r;
}

/* Another device of ours was quicker, or the exchange knows better: it waits here again. */
static int take_back(struct txn *t, Rkl__EnvelopeRecord *record)
{
	if (record->state != RKL__ENVELOPE_STATE__DECLINED_HERE)
		return RK_OK;
	record->state = record->n_pickups > 0 ? RKL__ENVELOPE_STATE__PICKED_UP : RKL__ENVELOPE_STATE__LODGED;
	record->nack_item = 0;
	return mail_store(t, record);
}

int mail_on_nack_answer(struct client *c, struct txn *t, struct bytes object, const struct outcome *answer)
{
	struct arena *a = arena_new(MAIL_ARENA);
	struct mail_mark mark = own_mark(c, answer);
	Rkl__EnvelopeRecord *record;
	const Rk__Nack *n;
	struct object o;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if (object_parse(OBJECT_KIND_NACK, object, a, &o) != RK_OK) {
		r = RK_ESTORE;
		goto out;
	}
	n = (const Rk__Nack *)(const void *)o.message;
	if ((r = mail_load(t, n->env_id.data, a, &record)) != RK_OK) {
		r = r == RK_ENOTFOUND ? RK_OK : r;
	} else if (answer->code != RK_OK) {
		r = take_back(t, record);
	} else if (answer->logged) {
		r = mail_mark_nack(t, record, &mark, n->reason, a);
	} else if (!mail_has_nack(record, bytes_make(mark.device_id, 16))) {
		client_count(t, "nack-unlogged");
		r = (r = env_error(t)) == RK_OK ? RK_EINTEGRITY : r;
	}
out:
	arena_free(a);
	return r;
}
