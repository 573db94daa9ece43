/*
 * The rules of terms, acts and documents by themselves, before any of them meets a log: what nda.h declares and the
 * predicate of nda.c then takes for granted.
 */
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/strict.h"

/* A real day of the proleptic Gregorian calendar, as yyyymmdd. */
static bool is_day(uint32_t day)
{
	static const uint8_t days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint32_t y = day / 10000, m = day / 100 % 100, d = day % 100;
	bool is_leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);

	if (y < 1970 || y > 9999 || m < 1 || m > 12 || d < 1)
		return false;
	return d <= days_of[m - 1] + (m == 2 && is_leap ? 1u : 0u);
}

static bool is_some_disclosure_possible(const Rk__NdaTerms *t)
{
	for (size_t i = 0; i < t->n_parties; i++)
		for (size_t j = 0; j < t->n_parties; j++)
			if (i != j && t->parties[i]->may_disclose && t->parties[j]->may_receive)
				return true;
	return false;
}

/* Sorted, each once, and no two under one key: an agreement with oneself protects nothing. */
static int check_parties(const Rk__NdaTerms *t)
{
	if (t->n_parties < 2 || t->n_parties > NDA_PARTIES_MAX)
		return RK_MALFORMED;
	for (size_t i = 0; i < t->n_parties; i++) {
		const Rk__Party *p = t->parties[i];

		if (p->org_id.len != 16 || p->org_key_fp.len != 32)
			return RK_MALFORMED;
		if (p->desk_id != 0 || p->home_exchange.len != 0)
			return RK_UNSUPPORTED;
		if (i > 0 && memcmp(t->parties[i - 1]->org_id.data, p->org_id.data, 16) >= 0)
			return RK_MALFORMED;
		for (size_t j = 0; j < i; j++)
			if (memcmp(t->parties[j]->org_key_fp.data, p->org_key_fp.data, 32) == 0)
				return RK_MALFORMED;
	}
	return is_some_disclosure_possible(t) ? RK_OK : RK_MALFORMED;
}

int nda_check_terms(const Rk__NdaTerms *t, const uint8_t exchange_id[32])
{
	int r;

	if (!bytes_equal(bytes_of(t->exchange_id), bytes_make(exchange_id, 32)))
		return RK_WRONG_EXCHANGE;
	if (t->join_rule != 0 || t->supersedes.len != 0)
		return RK_UNSUPPORTED;
	if (t->exit_rule != RK__EXIT_RULE__EXIT_NONE && t->exit_rule != RK__EXIT_RULE__END_ALL)
		return RK_UNSUPPORTED;
	if ((r = check_parties(t)) != RK_OK)
		return r;
	if (!is_day(t->first_day) || !is_day(t->last_day) || t->first_day > t->last_day)
		return RK_MALFORMED;
	return t->not_before < t->not_after ? RK_OK : RK_MALFORMED;
}

int nda_check_act_form(const Rk__NdaAct *act)
{
	bool is_hold = act->kind == RK__ACT_KIND__HOLD, is_accept = act->kind == RK__ACT_KIND__ACCEPT;

	if (act->kind < RK__ACT_KIND__ACCEPT || act->kind > RK__ACT_KIND__RESUME)
		return RK_MALFORMED;
	if (act->nda_id.len != 32 || act->org_id.len != 16)
		return RK_MALFORMED;
	if (act->device_id.len != (is_hold ? 16u : 0u) || act->sigpage_commit.len != (is_accept ? 32u : 0u))
		return RK_MALFORMED;
	return RK_OK;
}

void nda_doc_commit(uint8_t out[32], const uint8_t salt[32], struct bytes cover, struct bytes document)
{
	uint8_t cover_hash[32], document_hash[32];
	struct bytes parts[3] = {bytes_make(salt, 32), BYTES_OF(cover_hash), BYTES_OF(document_hash)};

	ids_sha256(cover_hash, cover);
	ids_sha256(document_hash, document);
	ids_hash_parts(out, "renkei/v1/nda-doc", parts, 3);
}

void nda_page_commit(uint8_t out[32], const uint8_t salt[32], struct bytes page)
{
	uint8_t page_hash[32];
	struct bytes parts[2] = {bytes_make(salt, 32), BYTES_OF(page_hash)};

	ids_sha256(page_hash, page);
	ids_hash_parts(out, "renkei/v1/nda-sigpage", parts, 2);
}

/* As many, and each of the terms' parties among them: they are unique there, so the two sets are the same. */
static bool has_same_parties(const Rk__NdaTerms *terms, const Rk__NdaCover *cover)
{
	if (cover->n_parties != terms->n_parties)
		return false;
	for (size_t i = 0; i < terms->n_parties; i++) {
		bool found = false;

		for (size_t j = 0; j < cover->n_parties; j++)
			found |= bytes_equal(bytes_of(terms->parties[i]->org_id), bytes_of(cover->parties[j]->org_id));
		if (!found)
			return false;
	}
	return true;
}

int nda_check_document(const Rk__NdaTerms *terms, const Rk__NdaCover *cover, struct bytes cover_bytes,
                       struct bytes document, const uint8_t doc_salt[32])
{
	uint8_t commit[32];

	if (!has_same_parties(terms, cover))
		return RK_EINTEGRITY;
	if (cover_bytes.len != terms->cover_len || document.len != terms->doc_len || terms->doc_commit.len != 32)
		return RK_EINTEGRITY;
	nda_doc_commit(commit, doc_salt, cover_bytes, document);
	return sodium_memcmp(commit, terms->doc_commit.data, 32) == 0 ? RK_OK : RK_EINTEGRITY;
}
