/*
 * Making: proposals, signatures and acts.  All is composed and signed while the verb runs (the organisation's key is open only then)
 * and queued in one transaction; sealing happens when the link is up.
 */
#include "client/agreement_internal.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "client/days.h"
#include "client/forms.h"
#include "client/log.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define LETTER_LIFETIME_MS ((int64_t)20 * NDA_DAY_MS)
#define DAYS_A_MONTH 31

static ProtobufCBinaryData random_bytes(struct arena *a, size_t len)
{
	uint8_t *p = agreement_alloc(a, len);

	if (p == NULL)
		return (ProtobufCBinaryData){0, NULL};
	randombytes_buf(p, len);
	return (ProtobufCBinaryData){len, p};
}

/* protobuf-c wants char *; nothing is written through it. */
static enum lang lang_of(const char *language)
{
	return strncmp(language, "ja", 2) == 0 ? LANG_JA : LANG_EN;
}

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
	(*party)->may_disclose = n->disclosers == NULL || is_listed(n->disclosers, n->discloser_count, org_id);
	(*party)->may_receive = n->disclosers == NULL || !(*party)->may_disclose;
	rk__cover_party__init(*cover);
	(*cover)->org_id = (*party)->org_id;
	(*cover)->legal_name = pb_text(book_org_name(m->c, m->t, org_id, lang_of(n->language), m->a));
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

static void make_cover(struct making *m)
{
	const struct agreement_new *n = m->n;
	Rk__NdaCover *c = &m->cover;

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
	t->nonce16 = random_bytes(m->a, 16);
	t->zone = charter->time_zone;
	if ((r = make_parties(m)) != RK_OK || (r = make_dates(m)) != RK_OK)
		return r;
	t->exit_rule = m->n->no_exit ? RK__EXIT_RULE__EXIT_NONE : RK__EXIT_RULE__END_ALL;
	t->notice_days = m->n->no_exit ? 0 : m->n->notice_days;
	t->notice_window_days = window_days(m);
	t->marking_required = m->n->marking_required;
	return RK_OK;
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
	if (document.len == 0 && (r = forms_write(t, &m->cover, m->a, &document)) != RK_OK)
		return r;
	if ((r = STRICT_PACK(&m->cover, m->a, &cover)) != RK_OK)
		return r;
	m->proposal.cover = pb_of(cover);
	m->proposal.document = pb_of(document);
	m->proposal.doc_salt = random_bytes(m->a, 32);
	m->proposal.document_name = pb_text(m->n->document.len == 0 ? FORMS_DOCUMENT_NAME : m->n->document_name);
	m->proposal.document_type = pb_text(m->n->document.len == 0 ? FORMS_DOCUMENT_TYPE : m->n->document_type);
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

/* The page, its salt, and the commitment for the ACCEPT. */
static int make_page(struct client *c, struct txn *t, const struct agreement_signatory *s, const char *language, struct bytes cover,
                     struct arena *a, Rk__PageReveal *reveal, uint8_t commit[32])
{
	Rk__SignaturePage page = RK__SIGNATURE_PAGE__INIT;
	struct bytes packed;
	uint8_t digest[32];
	int r;

	ids_sha256(digest, cover);
	page.version = 1;
	page.name = pb_text(s->name != NULL ? s->name : book_org_name(c, t, client_org_id(c), lang_of(language), a));
	page.title = pb_text(s->title);
	page.authority = s->authority;
	page.notice_address = pb_text(s->address);
	page.language_shown = pb_text(language);
	page.cover_sha256 = pb_of(BYTES_OF(digest));
	page.statement = pb_text(forms_statement(lang_of(language)));
	if ((r = STRICT_PACK(&page, a, &packed)) != RK_OK)
		return r;
	reveal->page = pb_of(packed);
	reveal->page_salt = random_bytes(a, 32);
	if (reveal->page_salt.len == 0)
		return RK_ENOMEM;
	nda_page_commit(commit, reveal->page_salt.data, packed);
	return RK_OK;
}

/* Signs an act with the key that its kind asks for. */
static int make_act(struct client *c, const uint8_t nda_id[32], Rk__ActKind kind, const char *reason, const uint8_t *page_commit,
                    struct arena *a, struct bytes *wire)
{
	bool is_hold = kind == RK__ACT_KIND__HOLD;
	Rk__NdaAct act = RK__NDA_ACT__INIT;

	act.version = 1;
	act.nda_id = pb_of(bytes_make(nda_id, 32));
	act.org_id = pb_of(bytes_make(client_org_id(c), 16));
	if (is_hold)
		act.device_id = pb_of(bytes_make(client_device_id(c), 16));
	act.kind = kind;
	act.signed_at = client_now(c);
	act.reason = pb_text(reason);
	if (page_commit != NULL)
		act.sigpage_commit = pb_of(bytes_make(page_commit, 32));
	return object_make(is_hold ? OBJECT_KIND_NDA_HOLD : OBJECT_KIND_NDA_ACT, client_exchange_id(c),
	                   keys_sign_sk(c, is_hold ? KEY_DEVICE : KEY_ORG), &act.base, a, wire);
}

/* Queues a PROPOSAL envelope to all other parties, with the object that the broker reads. */
static int queue_letter(struct client *c, struct txn *t, Rk__Op op, const char *what, const Rk__NdaTerms *terms,
                        const uint8_t nda_id[32], const Rk__Message *message, struct bytes object, struct arena *a, uint64_t *item)
{
	Rk__EnvelopeHeader header = RK__ENVELOPE_HEADER__INIT;
	struct agreement_recipients to;
	uint8_t ids[NDA_PARTIES_MAX][16];
	size_t count = 0;
	struct outbox_request request = {.op = op, .what = what, .header = &header, .lifetime_ms = LETTER_LIFETIME_MS,
	                                 .object = object, .ref = bytes_make(nda_id, 32)};
	int r;

	if ((r = STRICT_PACK(message, a, &request.message)) != RK_OK)
		return r;
	if (request.message.len > ENVELOPE_MESSAGE_MAX_BYTES)
		return RK_TOO_LARGE;
	header.kind = RK__KIND__PROPOSAL;
	header.nda_id = pb_of(bytes_make(nda_id, 32));
	for (size_t i = 0; i < terms->n_parties; i++)
		if (memcmp(terms->parties[i]->org_id.data, client_org_id(c), 16) != 0)
			memcpy(ids[count++], terms->parties[i]->org_id.data, 16);
	if ((r = agreement_address(&header, &to, (const uint8_t(*)[16])ids, NULL, count)) != RK_OK)
		return r;
	return outbox_add(c, t, &request, item);
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

	if ((r = make_page(m->c, m->t, &m->n->signatory, m->n->language, bytes_of(m->proposal.cover), m->a, &reveal, commit)) != RK_OK)
		return r;
	m->proposal.page = reveal.page;
	m->proposal.page_salt = reveal.page_salt;
	if ((r = make_act(m->c, m->nda_id, RK__ACT_KIND__ACCEPT, NULL, commit, m->a, &accept)) != RK_OK)
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
	return queue_letter(m->c, m->t, RK__OP__OP_NDA_PROPOSE, "nda propose", &m->terms, m->nda_id, &message, packed, m->a, item);
}

int agreement_propose(struct client *c, struct txn *t, const struct agreement_new *n, enum agreement_fault *fault,
                      uint8_t nda_id[32], uint64_t *item)
{
	struct making m = {.c = c, .t = t, .n = n, .a = arena_new(AGREEMENT_ARENA), .terms = RK__NDA_TERMS__INIT,
	                   .cover = RK__NDA_COVER__INIT, .survival = RK__SURVIVAL__INIT, .proposal = RK__PROPOSAL__INIT};
	int r;

	*fault = AGREEMENT_FAULT_NONE;
	if (m.a == NULL)
		return RK_ENOMEM;
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

/* ---- signing and acting */

static int check_dates(const Rk__NdaTerms *t)
{
	int64_t not_before, not_after;
	int r;

	if ((r = days_start(t->first_day, t->zone, &not_before)) != RK_OK || (r = days_end(t->last_day, t->zone, &not_after)) != RK_OK)
		return r == RK_EUSAGE ? RK_EINTEGRITY : r;
	return not_before == t->not_before && not_after == t->not_after ? RK_OK : RK_EINTEGRITY;
}

int agreement_check_sign(struct client *c, struct txn *t, const struct agreement *ag, struct arena *a)
{
	int r;

	if (ag->problem != RK_OK)
		return ag->problem;
	if (ag->proposal == NULL)
		return RK_ENOTFOUND;
	if ((r = check_dates(ag->terms)) != RK_OK)
		return r;
	for (int i = 0; i < ag->row.party_count; i++) {
		uint8_t fp[32];
		Rk__Org *org;

		if (book_org(c, t, ag->row.parties[i].org_id, a, &org) != RK_OK)
			return RK_EINTEGRITY;
		ids_sha256(fp, bytes_of(org->org_pk));
		if (memcmp(fp, ag->row.parties[i].org_key_fp, 32) != 0)
			return RK_EINTEGRITY;
	}
	return RK_OK;
}

int agreement_check_act(const struct agreement *ag, Rk__ActKind kind, int64_t now_ms)
{
	struct nda_act act = {.log_index = UINT64_MAX, .time_ms = now_ms, .party = (uint8_t)ag->self, .kind = (uint8_t)kind};

	/* A payload of its own: nothing in the log has it. */
	memset(act.payload_sha256, 0xff, sizeof(act.payload_sha256));
	return nda_check_act(&ag->row, ag->acts, ag->act_count, &act);
}

int agreement_sign(struct client *c, struct txn *t, const struct agreement *ag, const struct agreement_signatory *s, uint64_t *item)
{
	struct arena *a = arena_new(AGREEMENT_ARENA);
	Rk__PageReveal reveal = RK__PAGE_REVEAL__INIT;
	Rk__Message message = RK__MESSAGE__INIT;
	struct bytes wire;
	uint8_t commit[32];
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = log_check_send(c, t)) != RK_OK || (r = agreement_check_sign(c, t, ag, a)) != RK_OK ||
	    (r = agreement_check_act(ag, RK__ACT_KIND__ACCEPT, client_now(c))) != RK_OK)
		goto out;
	if ((r = make_page(c, t, s, ag->cover->language, bytes_of(ag->proposal->cover), a, &reveal, commit)) != RK_OK)
		goto out;
	if ((r = make_act(c, ag->nda_id, RK__ACT_KIND__ACCEPT, NULL, commit, a, &wire)) != RK_OK)
		goto out;
	message.msg_version = 1;
	message.type = RK__MESSAGE_TYPE__MESSAGE_SIGNATURE_PAGE;
	message.signature_page = &reveal;
	r = queue_letter(c, t, RK__OP__OP_NDA_ACT, "nda sign", ag->terms, ag->nda_id, &message, wire, a, item);
out:
	arena_free_wiped(a);
	return r;
}

int agreement_act(struct client *c, struct txn *t, const struct agreement *ag, Rk__ActKind kind, const char *reason, uint64_t *item)
{
	struct arena *a = arena_new(AGREEMENT_ARENA);
	struct outbox_request request = {.op = RK__OP__OP_NDA_ACT, .what = "nda act", .ref = bytes_make(ag->nda_id, 32)};
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	assert(kind != RK__ACT_KIND__ACCEPT);
	if ((r = agreement_check_act(ag, kind, client_now(c))) == RK_OK &&
	    (r = make_act(c, ag->nda_id, kind, reason, NULL, a, &request.object)) == RK_OK)
		r = outbox_add(c, t, &request, item);
	arena_free(a);
	return r;
}
