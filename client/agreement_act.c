/* Making signatures and acts, as agreement_make.c makes proposals; pages, letters and what else both are made of. */
#include "client/agreement_internal.h"

#include <assert.h>
#include <sodium.h>

#include "client/days.h"
#include "client/forms.h"
#include "client/log.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define LETTER_LIFETIME_MS ((int64_t)20 * NDA_DAY_MS)

ProtobufCBinaryData agreement_random(struct arena *a, size_t len)
{
	uint8_t *p = agreement_alloc(a, len);

	if (p == NULL)
		return (ProtobufCBinaryData){0, NULL};
	randombytes_buf(p, len);
	return (ProtobufCBinaryData){len, p};
}

enum lang agreement_lang(const char *language)
{
	return strncmp(language, "ja", 2) == 0 ? LANG_JA : LANG_EN;
}

int agreement_make_page(struct client *c, struct txn *t, const struct agreement_signatory *s, const char *language, struct bytes cover,
                     struct arena *a, Rk__PageReveal *reveal, uint8_t commit[32])
{
	Rk__SignaturePage page = RK__SIGNATURE_PAGE__INIT;
	struct bytes packed;
	uint8_t digest[32];
	int r;

	ids_sha256(digest, cover);
	page.version = 1;
	page.name = pb_text(s->name != NULL ? s->name : book_org_name(c, t, client_org_id(c), agreement_lang(language), a));
	page.title = pb_text(s->title);
	page.authority = s->authority;
	page.notice_address = pb_text(s->address);
	page.language_shown = pb_text(language);
	page.cover_sha256 = pb_of(BYTES_OF(digest));
	page.statement = pb_text(forms_statement(agreement_lang(language)));
	if ((r = STRICT_PACK(&page, a, &packed)) != RK_OK)
		return r;
	reveal->page = pb_of(packed);
	reveal->page_salt = agreement_random(a, 32);
	if (reveal->page_salt.len == 0)
		return RK_ENOMEM;
	nda_page_commit(commit, reveal->page_salt.data, packed);
	return RK_OK;
}

int agreement_make_act(struct client *c, const uint8_t nda_id[32], Rk__ActKind kind, const char *reason, const uint8_t *page_commit,
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

int agreement_queue_letter(struct client *c, struct txn *t, Rk__Op op, const char *what, const Rk__NdaTerms *terms,
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
		Rk__Org *org;

		if (book_org(c, t, ag->row.parties[i].org_id, a, &org) != RK_OK)
			return RK_EINTEGRITY;
		if (!agreement_has_key(c, t, &ag->row.parties[i], a))
			return RK_NDA_SUSPENDED;
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
	if ((r = agreement_make_page(c, t, s, ag->cover->language, bytes_of(ag->proposal->cover), a, &reveal, commit)) != RK_OK)
		goto out;
	if ((r = agreement_make_act(c, ag->nda_id, RK__ACT_KIND__ACCEPT, NULL, commit, a, &wire)) != RK_OK)
		goto out;
	message.msg_version = 1;
	message.type = RK__MESSAGE_TYPE__MESSAGE_SIGNATURE_PAGE;
	message.signature_page = &reveal;
	r = agreement_queue_letter(c, t, RK__OP__OP_NDA_ACT, "nda sign", ag->terms, ag->nda_id, &message, wire, a, item);
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
	    (r = agreement_make_act(c, ag->nda_id, kind, reason, NULL, a, &request.object)) == RK_OK)
		r = outbox_add(c, t, &request, item);
	arena_free(a);
	return r;
}
