/*
 * Proposal letters: cover and document from the proposer, signature pages from everybody who signs.  Kept only if they are what the
 * signed terms and acts commit to.
 */
#include "client/agreement_internal.h"

#include <sodium.h>

#include "proto/ids.h"
#include "proto/strict.h"

#define PAGE_LABEL "nda-page"

/* The ACCEPT of a party, or NULL. */
static const Rk__NdaAct *accept_of(const struct agreement *ag, int party)
{
	for (size_t i = 0; i < ag->act_count; i++)
		if (ag->acts[i].party == party && ag->acts[i].kind == RK__ACT_KIND__ACCEPT)
			return ag->details[i].act;
	return NULL;
}

/* Is this the page to which the party's ACCEPT commits, for the cover that we hold? */
static bool is_committed_page(const struct agreement *ag, int party, struct bytes page, struct bytes salt, struct bytes cover,
                              struct arena *a)
{
	const Rk__NdaAct *accept = accept_of(ag, party);
	Rk__SignaturePage *parsed;
	uint8_t commit[32], digest[32];

	if (accept == NULL || salt.len != 32)
		return false;
	nda_page_commit(commit, salt.data, page);
	if (sodium_memcmp(commit, accept->sigpage_commit.data, 32) != 0)
		return false;
	if (STRICT_PARSE(signature_page, page, a, &parsed) != RK_OK)
		return false;
	ids_sha256(digest, cover);
	return cover.len == 0 || memcmp(digest, parsed->cover_sha256.data, 32) == 0;
}

static void page_id(uint8_t id[48], const uint8_t nda_id[32], const uint8_t *org_id)
{
	memcpy(id, nda_id, 32);
	memcpy(id + 32, org_id, 16);
}

/* Adds a page to the record; the first of a party counts. */
static int add_page(struct client *c, struct agreement *ag, Rkl__NdaRecord *record, int party, struct bytes page, struct bytes salt,
                    struct bytes cover, struct arena *a)
{
	const uint8_t *org = ag->row.parties[party].org_id;
	Rk__PageReveal reveal = RK__PAGE_REVEAL__INIT;
	Rkl__PageRecord *row, **rows;
	struct bytes packed, sealed;
	uint8_t id[48];
	int r;

	for (size_t i = 0; i < record->n_pages; i++)
		if (memcmp(record->pages[i]->org_id.data, org, 16) == 0)
			return RK_OK;
	row = agreement_alloc(a, sizeof(*row));
	rows = agreement_alloc(a, (record->n_pages + 1) * sizeof(*rows));
	if (row == NULL || rows == NULL)
		return RK_ENOMEM;
	rkl__page_record__init(row);
	row->org_id = pb_of(bytes_make(org, 16));
	row->matches = is_committed_page(ag, party, page, salt, cover, a);
	if (row->matches) {
		reveal.page = pb_of(page);
		reveal.page_salt = pb_of(salt);
		page_id(id, ag->nda_id, org);
		if ((r = STRICT_PACK(&reveal, a, &packed)) != RK_OK)
			return r;
		if ((r = vault_seal(keys_home_key(c), PAGE_LABEL, BYTES_OF(id), packed, a, &sealed)) != RK_OK)
			return r;
		row->sealed_page = pb_of(sealed);
	}
	if (record->n_pages > 0)
		memcpy(rows, record->pages, record->n_pages * sizeof(*rows));
	rows[record->n_pages] = row;
	record->pages = rows;
	record->n_pages++;
	return row->matches ? RK_OK : RK_EINTEGRITY;
}

/* Cover and document: only the proposer's first letter, and only what the terms commit to, is kept. */
static int take_proposal(struct client *c, struct txn *t, struct agreement *ag, Rkl__NdaRecord *record, int party,
                         const uint8_t env_id[32], const Rk__Proposal *p, struct bytes packed, struct arena *a)
{
	Rk__NdaCover *cover = NULL;
	int r;

	if (record->proposal_env.len != 0 || record->proposer_org.len != 16 ||
	    memcmp(record->proposer_org.data, ag->row.parties[party].org_id, 16) != 0)
		return RK_NOT_PERMITTED;
	r = agreement_prove(ag->terms, p, a, &cover);
	if (r == RK_ENEWER)
		record->needs_newer = true;
	else if (r == RK_OK)
		r = add_page(c, ag, record, party, bytes_of(p->page), bytes_of(p->page_salt), bytes_of(p->cover), a);
	if (r == RK_ENOMEM || r == RK_ESTORE)
		return r;
	if (r != RK_OK && r != RK_ENEWER) {
		record->problem = r;
		return r;
	}
	record->proposal_env = pb_of(bytes_make(env_id, 32));
	r = content_put(c, t, env_id, false, packed);
	return r;
}

int agreement_on_letter(struct client *c, struct txn *t, const uint8_t env_id[32], const Rk__EnvelopeHeader *h,
                        const Rk__Message *m, struct bytes packed)
{
	struct arena *a = arena_new(AGREEMENT_ARENA);
	Rkl__NdaRecord record;
	struct agreement *ag;
	int r, s, party;

	if (a == NULL)
		return RK_ENOMEM;
	r = agreement_load(c, t, h->nda_id.data, true, a, &ag);
	if (r != RK_OK || (party = nda_party_index(&ag->row, h->sender_org.data)) < 0) {
		r = r == RK_OK || r == RK_ENOTFOUND ? RK_NO_NDA : r;
		goto out;
	}
	record = *ag->record;
	if (m->proposal != NULL && m->type == RK__MESSAGE_TYPE__MESSAGE_PROPOSAL)
		r = take_proposal(c, t, ag, &record, party, env_id, m->proposal, packed, a);
	else if (m->signature_page != NULL && m->type == RK__MESSAGE_TYPE__MESSAGE_SIGNATURE_PAGE)
		r = add_page(c, ag, &record, party, bytes_of(m->signature_page->page), bytes_of(m->signature_page->page_salt),
		             ag->proposal != NULL ? bytes_of(ag->proposal->cover) : (struct bytes){NULL, 0}, a);
	else
		r = RK_NOT_PERMITTED;
	if (r == RK_ENOMEM || r == RK_ESTORE || r == RK_NOT_PERMITTED)
		goto out;
	s = record_put(t, C_NDA, bytes_make(ag->nda_id, 32), &record.base);
	/* The letter of a page stays too: a machine that comes later gets it as it came (client/history). */
	if (s == RK_OK && r == RK_OK && m->signature_page != NULL)
		s = content_put(c, t, env_id, false, packed);
	r = s != RK_OK ? s : r;
out:
	arena_free_wiped(a);
	return r;
}

int agreement_page(struct client *c, const struct agreement *ag, const uint8_t org_id[16], struct arena *a,
                   Rk__SignaturePage **page, Rk__PageReveal **reveal)
{
	for (size_t i = 0; i < ag->record->n_pages; i++) {
		const Rkl__PageRecord *row = ag->record->pages[i];
		struct bytes packed;
		uint8_t id[48];
		int r;

		if (memcmp(row->org_id.data, org_id, 16) != 0)
			continue;
		if (!row->matches)
			return RK_EINTEGRITY;
		if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
			return r;
		page_id(id, ag->nda_id, org_id);
		if (vault_open(keys_home_key(c), PAGE_LABEL, BYTES_OF(id), bytes_of(row->sealed_page), a, &packed) != RK_OK ||
		    STRICT_PARSE(page_reveal, packed, a, reveal) != RK_OK ||
		    STRICT_PARSE(signature_page, bytes_of((*reveal)->page), a, page) != RK_OK)
			return RK_EINTEGRITY;
		return RK_OK;
	}
	return RK_ENOTFOUND;
}
