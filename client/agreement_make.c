/*
 * Making proposals.  All is composed and signed while the verb runs (the organisation's key is open only then) and queued in one
 * transaction; sealing happens when the link is up.
 */
#include "client/agreement_internal.h"

#include <stdlib.h>

#include "client/days.h"
#include "client/forms.h"
#include "client/log.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define DAYS_A_MONTH 31

/* What one proposal is made of while it is made; all in one arena. */
struct making {
	struct client *c;
	struct txn *t;
	const struct agreement_new *n;
	struct arena *a;
	enum agreement_fault fault;
	Rk__NdaTerms terms;
	Rk__NdaCover cover;
	Rk__Survival survival;
	Rk__Proposal proposal;
	struct bytes terms_bytes;
	uint8_t nda_id[32];
	int32_t survival_months;
};

static int at_fault(struct making *m, enum agreement_fault fault)
{
	m->fault = fault;
	return RK_EUSAGE;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static bool is_listed(const uint8_t (*list)[16], size_t n, const uint8_t *id)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(list[i], id, 16) == 0)
			return true;
	return false;
}

static void set_direction(const struct agreement_new *n, Rk__Party *party, const uint8_t org_id[16])
{
	int old = n->again != NULL ? nda_party_index(&n->again->row, org_id) : -1;

	party->may_disclose = old >= 0 ? n->again->row.parties[old].may_disclose
	                               : n->disclosers == NULL || is_listed(n->disclosers, n->discloser_count, org_id);
	party->may_receive = old >= 0 ? n->again->row.parties[old].may_receive : n->disclosers == NULL || !party->may_disclose;
}

static int make_party(struct making *m, const uint8_t org_id[16], Rk__Party **party, Rk__CoverParty **cover)
{
	const struct agreement_new *n = m->n;
	uint8_t *fp = agreement_alloc(m->a, 32), *id = agreement_alloc(m->a, 16);
	Rk__Org *org;

	*party = agreement_alloc(m->a, sizeof(**party));
	*cover = agreement_alloc(m->a, sizeof(**cover));
	if (fp == NULL || id == NULL || *party == NULL || *cover == NULL)
		return RK_ENOMEM;
	if (book_org(m->c, m->t, org_id, m->a, &org) != RK_OK || !book_org_active(m->c, m->t, org_id))
		return at_fault(m, AGREEMENT_FAULT_INACTIVE);
	memcpy(id, org_id, 16);
	ids_sha256(fp, bytes_of(org->org_pk));
	rk__party__init(*party);
	(*party)->org_id = pb_of(bytes_make(id, 16));
	(*party)->org_key_fp = pb_of(bytes_make(fp, 32));
	set_direction(n, *party, org_id);
	rk__cover_party__init(*cover);
	(*cover)->org_id = (*party)->org_id;
	(*cover)->legal_name = pb_text(book_org_name(m->c, m->t, org_id, agreement_lang(n->language), m->a));
	return RK_OK;
}

/* Sorted, each once, ourselves among them but not named; a discloser must be a party, and somebody must be left to receive. */
static int make_parties(struct making *m)
{
	const struct agreement_new *n = m->n;
	size_t count = n->other_count + 1;
	uint8_t ids[NDA_PARTIES_MAX][16];
	int r;

	if (n->other_count < 1 || count > NDA_PARTIES_MAX)
		return at_fault(m, AGREEMENT_FAULT_TWICE);
	memcpy(ids[0], client_org_id(m->c), 16);
	for (size_t i = 0; i < n->other_count; i++)
		memcpy(ids[i + 1], n->others[i], 16);
	qsort(ids, count, 16, by_id);
	for (size_t i = 1; i < count; i++)
		if (memcmp(ids[i - 1], ids[i], 16) == 0)
			return at_fault(m, memcmp(ids[i], client_org_id(m->c), 16) == 0 ? AGREEMENT_FAULT_SELF : AGREEMENT_FAULT_TWICE);
	if (n->disclosers != NULL && (n->discloser_count == 0 || n->discloser_count >= count))
		return at_fault(m, AGREEMENT_FAULT_DISCLOSER);
	for (size_t i = 0; i < n->discloser_count; i++)
		if (!is_listed((const uint8_t(*)[16])ids, count, n->disclosers[i]))
			return at_fault(m, AGREEMENT_FAULT_DISCLOSER);
	m->terms.parties = agreement_alloc(m->a, count * sizeof(Rk__Party *));
	m->cover.parties = agreement_alloc(m->a, count * sizeof(Rk__CoverParty *));
	if (m->terms.parties == NULL || m->cover.parties == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < count; i++)
		if ((r = make_party(m, ids[i], &m->terms.parties[i], &m->cover.parties[i])) != RK_OK)
			return r;
	m->terms.n_parties = m->cover.n_parties = count;
	return RK_OK;
}

/* Days to instants; each must lie where people would expect it. */
static int make_dates(struct making *m)
{
	const struct agreement_new *n = m->n;
	Rk__NdaTerms *t = &m->terms;
	int64_t now = client_now(m->c);
	uint32_t today;

	if (days_of(now, t->zone, &today) != RK_OK)
		return at_fault(m, AGREEMENT_FAULT_ZONE);
	t->first_day = n->first_day != 0 ? n->first_day : today;
	t->last_day = n->last_day;
	if (t->last_day < today)
		return at_fault(m, AGREEMENT_FAULT_PAST);
	if (t->first_day > t->last_day)
		return at_fault(m, AGREEMENT_FAULT_DATES);
	if (days_start(t->first_day, t->zone, &t->not_before) != RK_OK || days_end(t->last_day, t->zone, &t->not_after) != RK_OK)
		return at_fault(m, AGREEMENT_FAULT_DATES);
	if (t->not_after <= now)
		return at_fault(m, AGREEMENT_FAULT_PAST);
	if (n->accept_by_day != 0 && days_end(n->accept_by_day, t->zone, &t->accept_by) != RK_OK)
		return at_fault(m, AGREEMENT_FAULT_ACCEPT_BY);
	if (n->accept_by_day == 0)
		t->accept_by = now + AGREEMENT_ACCEPT_DAYS * NDA_DAY_MS;
	if (t->accept_by > t->not_after)
		t->accept_by = t->not_after;
	return t->accept_by > now ? RK_OK : at_fault(m, AGREEMENT_FAULT_ACCEPT_BY);
}

/* The cover as it was; it says which agreement it makes anew. */
static void repeat_cover(struct making *m)
{
	const struct agreement *old = m->n->again;

	m->cover = *old->cover;
	m->cover.counters = pb_of(bytes_make(old->nda_id, 32));
}

static void make_cover(struct making *m)
{
	const struct agreement_new *n = m->n;
	Rk__NdaCover *c = &m->cover;

	if (n->again != NULL) {
		repeat_cover(m);
		return;
	}
	c->version = 1;
	c->title = pb_text(n->title);
	c->language = pb_text(n->language);
	c->purpose = pb_text(n->purpose);
	if (n->document.len == 0) {
		c->form_id = pb_text(FORMS_PLAIN_ID);
		c->form_version = FORMS_PLAIN_VERSION;
	}
	c->scope_rule = n->marking_required ? RK__SCOPE_RULE__MARKED : RK__SCOPE_RULE__MARKED_OR_CONFIRMED;
	c->oral_days = n->marking_required ? 0 : AGREEMENT_ORAL_DAYS;
	c->receiver_classes = AGREEMENT_CLASSES;
	c->copies = RK__COPIES__COPIES_FREE;
	c->no_reverse_engineering = true;
	c->residuals = RK__RESIDUALS__RESIDUALS_NONE;
	m->survival.basis = RK__SURVIVAL_BASIS__FROM_END;
	m->survival.months = (uint32_t)m->survival_months;
	c->survival = &m->survival;
	c->return_rule = RK__RETURN_RULE__RECEIVER_CHOICE;
	c->on_end = true;
	c->certificate_days = AGREEMENT_CERTIFICATE_DAYS;
	c->backups_exempt = true;
	c->next_step_by = days_add_months(m->terms.first_day, AGREEMENT_NEXT_STEP_MONTHS);
	if (c->next_step_by > m->terms.last_day)
		c->next_step_by = m->terms.last_day;
	c->law = pb_text(n->law != NULL ? n->law : AGREEMENT_LAW);
	c->forum = RK__FORUM__COURT;
	if (n->counters != NULL)
		c->counters = pb_of(bytes_make(n->counters, 32));
}

static uint32_t window_days(const struct making *m)
{
	int64_t days = m->n->window_days >= 0 ? m->n->window_days : (int64_t)m->survival_months * DAYS_A_MONTH;

	return days > AGREEMENT_WINDOW_MAX_DAYS ? AGREEMENT_WINDOW_MAX_DAYS : (uint32_t)days;
}

/* Everything of the terms but doc_commit and the lengths, which need the document, which repeats the terms. */
static int make_terms(struct making *m)
{
	Rk__NdaTerms *t = &m->terms;
	Rk__Charter *charter;
	int r;

	if ((r = book_charter(m->c, m->t, m->a, &charter)) != RK_OK)
		return r;
	t->version = 1;
	t->exchange_id = pb_of(bytes_make(client_exchange_id(m->c), 32));
	t->nonce16 = agreement_random(m->a, 16);
	t->zone = charter->time_zone;
	if ((r = make_parties(m)) != RK_OK || (r = make_dates(m)) != RK_OK)
		return r;
	if (m->n->again != NULL) {
		const Rk__NdaTerms *old = m->n->again->terms;

		t->exit_rule = old->exit_rule;
		t->notice_days = old->notice_days;
		t->notice_window_days = old->notice_window_days;
		t->marking_required = old->marking_required;
		return RK_OK;
	}
	t->exit_rule = m->n->no_exit ? RK__EXIT_RULE__EXIT_NONE : RK__EXIT_RULE__END_ALL;
	t->notice_days = m->n->no_exit ? 0 : m->n->notice_days;
	t->notice_window_days = window_days(m);
	t->marking_required = m->n->marking_required;
	return RK_OK;
}

/* The plain form repeats dates and parties, so it is written anew; any other text stays what it was. */
static bool is_own_text(const struct making *m)
{
	return m->n->again != NULL && strcmp(m->cover.form_id, FORMS_PLAIN_ID) != 0;
}

static int make_document(struct making *m)
{
	Rk__NdaTerms *t = &m->terms;
	struct bytes cover, document = m->n->document;
	uint8_t *commit = agreement_alloc(m->a, 32);
	int r;

	if (document.len > AGREEMENT_DOCUMENT_MAX_BYTES)
		return at_fault(m, AGREEMENT_FAULT_DOCUMENT);
	make_cover(m);
	if (is_own_text(m))
		document = bytes_of(m->n->again->proposal->document);
	if (document.len == 0 && (r = forms_write(t, &m->cover, m->a, &document)) != RK_OK)
		return r;
	if ((r = STRICT_PACK(&m->cover, m->a, &cover)) != RK_OK)
		return r;
	m->proposal.cover = pb_of(cover);
	m->proposal.document = pb_of(document);
	m->proposal.doc_salt = agreement_random(m->a, 32);
	m->proposal.document_name = pb_text(m->n->document.len == 0 ? FORMS_DOCUMENT_NAME : m->n->document_name);
	m->proposal.document_type = pb_text(m->n->document.len == 0 ? FORMS_DOCUMENT_TYPE : m->n->document_type);
	if (is_own_text(m)) {
		m->proposal.document_name = m->n->again->proposal->document_name;
		m->proposal.document_type = m->n->again->proposal->document_type;
	}
	if (commit == NULL || m->proposal.doc_salt.len == 0)
		return RK_ENOMEM;
	nda_doc_commit(commit, m->proposal.doc_salt.data, cover, document);
	t->doc_commit = pb_of(bytes_make(commit, 32));
	t->cover_len = (uint32_t)cover.len;
	t->doc_len = (uint32_t)document.len;
	if ((r = STRICT_PACK(t, m->a, &m->terms_bytes)) != RK_OK)
		return r;
	if ((r = nda_check_terms(t, client_exchange_id(m->c))) != RK_OK)
		return r;
	ids_nda(m->nda_id, client_exchange_id(m->c), m->terms_bytes);
	return RK_OK;
}

static int queue_proposal(struct making *m, uint64_t *item)
{
	Rk__PageReveal reveal = RK__PAGE_REVEAL__INIT;
	Rk__Signed accept_signed = RK__SIGNED__INIT;
	Rk__NdaProposal object = RK__NDA_PROPOSAL__INIT;
	Rk__Message message = RK__MESSAGE__INIT;
	struct bytes accept, packed;
	struct object parsed;
	uint8_t commit[32];
	int r;

	if ((r = agreement_make_page(m->c, m->t, &m->n->signatory, m->n->language, bytes_of(m->proposal.cover), m->a, &reveal, commit)) != RK_OK)
		return r;
	m->proposal.page = reveal.page;
	m->proposal.page_salt = reveal.page_salt;
	if ((r = agreement_make_act(m->c, m->nda_id, RK__ACT_KIND__ACCEPT, NULL, commit, m->a, &accept)) != RK_OK)
		return r;
	if ((r = object_parse(OBJECT_KIND_NDA_ACT, accept, m->a, &parsed)) != RK_OK)
		return r;
	accept_signed.payload = pb_of(parsed.payload);
	accept_signed.sig = pb_of(parsed.sig);
	object.terms = pb_of(m->terms_bytes);
	object.accept = &accept_signed;
	if ((r = STRICT_PACK(&object, m->a, &packed)) != RK_OK)
		return r;
	message.msg_version = 1;
	message.type = RK__MESSAGE_TYPE__MESSAGE_PROPOSAL;
	message.proposal = &m->proposal;
	return agreement_queue_letter(m->c, m->t, RK__OP__OP_NDA_PROPOSE, "nda propose", &m->terms, m->nda_id, &message, packed, m->a, item);
}

/* What an agreement that is made anew takes from the old one. */
static int fill_again(struct agreement_new *n, uint8_t others[NDA_PARTIES_MAX][16])
{
	const struct agreement *old = n->again;

	if (old == NULL)
		return RK_OK;
	if (old->proposal == NULL || old->cover == NULL || old->problem != RK_OK)
		return old->problem != RK_OK ? old->problem : RK_ENOTFOUND;
	n->other_count = 0;
	for (int i = 0; i < old->row.party_count; i++)
		if (i != old->self)
			memcpy(others[n->other_count++], old->row.parties[i].org_id, 16);
	n->others = (const uint8_t(*)[16])others;
	n->purpose = old->cover->purpose;
	n->language = old->cover->language;
	n->last_day = old->terms->last_day;
	n->first_day = 0;
	return RK_OK;
}

int agreement_propose(struct client *c, struct txn *t, const struct agreement_new *asked, enum agreement_fault *fault,
                      uint8_t nda_id[32], uint64_t *item)
{
	uint8_t others[NDA_PARTIES_MAX][16];
	struct agreement_new filled = *asked, *n = &filled;
	struct making m = {.c = c, .t = t, .n = n, .a = arena_new(AGREEMENT_ARENA), .terms = RK__NDA_TERMS__INIT,
	                   .cover = RK__NDA_COVER__INIT, .survival = RK__SURVIVAL__INIT, .proposal = RK__PROPOSAL__INIT};
	int r;

	*fault = AGREEMENT_FAULT_NONE;
	if (m.a == NULL)
		return RK_ENOMEM;
	if ((r = fill_again(n, others)) != RK_OK) {
		arena_free(m.a);
		return r;
	}
	m.survival_months = n->survival_months >= 0 ? n->survival_months : AGREEMENT_SURVIVAL_MONTHS;
	r = n->purpose == NULL || n->purpose[0] == '\0' ? at_fault(&m, AGREEMENT_FAULT_PURPOSE) : log_check_send(c, t);
	if (r == RK_OK)
		r = make_terms(&m);
	if (r == RK_OK)
		r = make_document(&m);
	if (r == RK_OK)
		r = queue_proposal(&m, item);
	if (r == RK_OK)
		memcpy(nda_id, m.nda_id, 32);
	*fault = m.fault;
	arena_free_wiped(m.a);
	return r;
}
