/* What duties are derived from: the notices and dossiers of this home, as far as they are open here. */
#include "client/agreement_internal.h"
#include "client/duty.h"
#include "client/mail.h"

struct loading {
	struct client *c;
	struct txn *t;
	struct arena *a;
	struct duty_facts *facts;
};

static bool is_under_agreement(const Rkl__EnvelopeRecord *record)
{
	return (record->kind == RK__KIND__NDA || record->kind == RK__KIND__NDA_NOTICE) && record->nda_id.len == 32 &&
	       record->state != RKL__ENVELOPE_STATE__FAILED;
}

/* A notice that is still sealed says nothing yet, and one that needs a newer Renkei says nothing to this one. */
static int load_notice(struct loading *l, const Rkl__EnvelopeRecord *record)
{
	Rk__Message *m;
	int r = mail_message(l->c, l->t, record, l->a, &m);

	if (r == RK_ENOTFOUND || r == RK_ENEWER || r == RK_EINTEGRITY)
		return RK_OK;
	if (r != RK_OK || m->notice == NULL)
		return r;
	l->facts->notices[l->facts->notice_count++] = (struct duty_notice){
		.nda_id = record->nda_id.data, .env_id = record->env_id.data, .sender = record->sender_org.data,
		.recipients = record->recipients, .recipient_count = record->n_recipients, .log_index = record->log_index,
		.time_ms = record->time_ms, .type = m->type, .notice = m->notice,
	};
	return RK_OK;
}

/* Who has it: by the signed pickups, and we ourselves by what lies here. */
static int load_dossier(struct loading *l, const Rkl__EnvelopeRecord *record)
{
	bool is_here = !record->outgoing && (record->state == RKL__ENVELOPE_STATE__OPENED || record->state == RKL__ENVELOPE_STATE__NEWER);
	struct duty_dossier *d = &l->facts->dossiers[l->facts->dossier_count];

	*d = (struct duty_dossier){.nda_id = record->nda_id.data, .env_id = record->env_id.data, .sender = record->sender_org.data,
	                           .log_index = record->log_index, .time_ms = record->time_ms};
	if ((d->holders = agreement_alloc(l->a, (record->n_pickups + 1) * sizeof(*d->holders))) == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < record->n_pickups; i++)
		d->holders[d->holder_count++] = (struct duty_holder){record->pickups[i]->org_id.data, record->pickups[i]->log_index};
	if (is_here)
		d->holders[d->holder_count++] = (struct duty_holder){client_org_id(l->c), record->log_index};
	l->facts->dossier_count++;
	return RK_OK;
}

int duty_load(struct client *c, struct txn *t, struct arena *a, struct duty_facts *facts)
{
	struct loading l = {c, t, a, facts};
	Rkl__EnvelopeRecord **list;
	size_t n;
	int r;

	*facts = (struct duty_facts){0};
	if ((r = mail_list(t, a, is_under_agreement, 0, &list, &n)) != RK_OK)
		return r;
	facts->notices = agreement_alloc(a, n * sizeof(*facts->notices));
	facts->dossiers = agreement_alloc(a, n * sizeof(*facts->dossiers));
	if (facts->notices == NULL || facts->dossiers == NULL)
		return RK_ENOMEM;
	/* The list is newest first; the log is not. */
	for (size_t i = n; i-- > 0 && r == RK_OK;)
		r = list[i]->kind == RK__KIND__NDA_NOTICE ? load_notice(&l, list[i]) : load_dossier(&l, list[i]);
	return r;
}
