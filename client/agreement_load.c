/*
 * Loading: a record with its terms and acts, folded, and on demand its content, proven anew.  Derived state is not stored, so it cannot
 * disagree with what it derives from.  And the questions of the gate, which need nothing but that.
 */
#include "client/agreement_internal.h"

#include <stdlib.h>

#include "client/log.h"
#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/strict.h"

void *agreement_alloc(struct arena *a, size_t len)
{
	arena_raise(a, len + 32);
	return arena_alloc(a, len == 0 ? 1 : len);
}

void *agreement_copy(struct arena *a, const void *src, size_t len)
{
	arena_raise(a, len + 32);
	return arena_copy(a, src, len);
}

/* Where `id` belongs among the first n, in order. */
static size_t place_of(const struct agreement_recipients *to, size_t n, const uint8_t *id)
{
	size_t at = 0;

	while (at < n && memcmp(to->ids[at], id, ID16_BYTES) < 0)
		at++;
	return at;
}

int agreement_address(Rk__EnvelopeHeader *h, struct agreement_recipients *to, const uint8_t (*ids)[16], const uint32_t *desks,
                      size_t count)
{
	uint32_t desk_of[NDA_PARTIES_MAX];
	size_t n = 0;

	if (count > NDA_PARTIES_MAX)
		return RK_NO_NDA;
	for (size_t i = 0; i < count; i++) {
		size_t at = place_of(to, n, ids[i]);
		uint32_t desk = desks != NULL ? desks[i] : 0;

		if (at < n && memcmp(to->ids[at], ids[i], ID16_BYTES) == 0) {
			if (desk_of[at] != desk)
				return RK_EUSAGE;
			continue;
		}
		memmove(to->ids[at + 1], to->ids[at], (n - at) * ID16_BYTES);
		memmove(&desk_of[at + 1], &desk_of[at], (n - at) * sizeof(*desk_of));
		memcpy(to->ids[at], ids[i], ID16_BYTES);
		desk_of[at] = desk;
		n++;
	}
	for (size_t i = 0; i < n; i++) {
		rk__recipient__init(&to->rows[i]);
		to->rows[i].org_id = pb_of(BYTES_OF(to->ids[i]));
		to->rows[i].desk_id = desk_of[i];
		to->list[i] = &to->rows[i];
	}
	to->count = n;
	h->recipients = to->list;
	h->n_recipients = n;
	return RK_OK;
}

static int load_record(struct txn *t, const uint8_t nda_id[32], struct arena *a, Rkl__NdaRecord **out)
{
	return record_get(t, C_NDA, bytes_make(nda_id, 32), &rkl__nda_record__descriptor, a, (ProtobufCMessage **)out);
}

/* One act of the store into both tables; party is what the row says of its organisation. */
static int load_act(const struct nda_row *row, struct bytes value, struct arena *a, const uint8_t exchange_id[32],
                    struct nda_act *act, struct agreement_act *detail)
{
	Rkl__ActRecord *record;
	struct object o;
	int party;

	arena_raise(a, arena_budget(value.len));
	record = rkl__act_record__unpack(arena_allocator(a), value.len, value.data);
	if (record == NULL || object_parse(OBJECT_KIND_NDA_ACT, bytes_of(record->wire), a, &o) != RK_OK)
		return RK_ESTORE;
	detail->wire = bytes_of(record->wire);
	detail->act = (const Rk__NdaAct *)(const void *)o.message;
	detail->time_ms = record->time_ms;
	detail->log_index = record->log_index;
	if (detail->act->kind == RK__ACT_KIND__HOLD)
		o.kind = OBJECT_KIND_NDA_HOLD;
	if ((party = nda_party_index(row, detail->act->org_id.data)) < 0)
		return RK_ESTORE;
	act->log_index = record->log_index;
	act->time_ms = record->time_ms;
	act->party = (uint8_t)party;
	act->kind = (uint8_t)detail->act->kind;
	ids_sha256(act->payload_sha256, o.payload);
	object_oh(act->oh, &o, exchange_id);
	return RK_OK;
}

static int load_acts(struct client *c, struct txn *t, struct agreement *ag, struct arena *a)
{
	struct nda_act *acts = agreement_alloc(a, NDA_ACTS_MAX * sizeof(*acts));
	struct agreement_act *details = agreement_alloc(a, NDA_ACTS_MAX * sizeof(*details));
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r;

	if (acts == NULL || details == NULL)
		return RK_ENOMEM;
	if ((r = env_cursor_open(t, C_ACT, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, bytes_make(ag->nda_id, 32), &key, &value); r == RK_OK;
	     r = env_cursor_next(cursor, &key, &value)) {
		if (key.len != 40 || memcmp(key.data, ag->nda_id, 32) != 0)
			break;
		if (ag->act_count == NDA_ACTS_MAX) {
			r = RK_ESTORE;
			break;
		}
		memset(&acts[ag->act_count], 0, sizeof(acts[0]));
		if ((r = load_act(&ag->row, value, a, client_exchange_id(c), &acts[ag->act_count],
		                  &details[ag->act_count])) != RK_OK)
			break;
		ag->act_count++;
	}
	env_cursor_free(cursor);
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	ag->acts = acts;
	ag->details = details;
	nda_fold(&ag->row, acts, ag->act_count);
	return RK_OK;
}

bool agreement_has_key(struct client *c, struct txn *t, const struct nda_party *p, struct arena *a)
{
	Rk__Org *org;

	return book_org(c, t, p->org_id, a, &org) == RK_OK && orgkey_counts(org, p->org_key_fp);
}

static uint16_t active_mask(struct client *c, struct txn *t, const struct nda_row *row, struct arena *a)
{
	uint16_t active = 0;

	for (int i = 0; i < row->party_count; i++)
		if (book_org_active(c, t, row->parties[i].org_id) && agreement_has_key(c, t, &row->parties[i], a))
			active = (uint16_t)(active | 1u << i);
	return active;
}

static bool has_critical_ext(const Rk__NdaCover *cover)
{
	for (size_t i = 0; i < cover->n_ext; i++)
		if (cover->ext[i]->critical)
			return true;
	return false;
}

int agreement_prove(const Rk__NdaTerms *terms, const Rk__Proposal *p, struct arena *a, Rk__NdaCover **cover)
{
	int r = STRICT_PARSE(nda_cover, bytes_of(p->cover), a, cover);

	if (r != RK_OK)
		return r == RK_VERSION || r == RK_UNSUPPORTED ? RK_ENEWER : RK_EINTEGRITY;
	r = nda_check_document(terms, *cover, bytes_of(p->cover), bytes_of(p->document), p->doc_salt.data);
	if (r == RK_OK && has_critical_ext(*cover))
		return RK_ENEWER;
	return r;
}

/* The proof is made at each load: what lies in the store is believed as little as what came by the wire. */
static int load_content(struct client *c, struct txn *t, struct agreement *ag, struct arena *a)
{
	struct bytes packed;
	Rk__Message *message;
	Rk__NdaCover *cover;
	int r;

	if (ag->record->proposal_env.len != 32)
		return RK_ENOTFOUND;
	if ((r = content_get(c, t, ag->record->proposal_env.data, false, a, &packed)) != RK_OK)
		return r;
	if (message_read(packed, a, &message) != MESSAGE_OK || message->proposal == NULL)
		return RK_EINTEGRITY;
	r = agreement_prove(ag->terms, message->proposal, a, &cover);
	if (r == RK_OK || r == RK_ENEWER) {
		ag->proposal = message->proposal;
		ag->cover = cover;
	}
	return r;
}

int agreement_load(struct client *c, struct txn *t, const uint8_t nda_id[32], bool content, struct arena *a,
                   struct agreement **out)
{
	struct agreement *ag = agreement_alloc(a, sizeof(*ag));
	Rkl__NdaRecord *record;
	Rk__NdaTerms *terms;
	int r;

	*out = NULL;
	if (ag == NULL)
		return RK_ENOMEM;
	memset(ag, 0, sizeof(*ag));
	memcpy(ag->nda_id, nda_id, 32);
	if ((r = load_record(t, nda_id, a, &record)) != RK_OK)
		return r;
	if (STRICT_PARSE(nda_terms, bytes_of(record->terms), a, &terms) != RK_OK)
		return RK_ESTORE;
	ag->record = record;
	ag->terms = terms;
	nda_row_init(&ag->row, nda_id, terms);
	if ((r = load_acts(c, t, ag, a)) != RK_OK)
		return r;
	if ((ag->self = nda_party_index(&ag->row, client_org_id(c))) < 0)
		return RK_ESTORE;
	ag->active = active_mask(c, t, &ag->row, a);
	ag->state = nda_state_at(&ag->row, ag->active, client_now(c));
	ag->problem = record->problem;
	if (content && ag->problem == RK_OK) {
		r = load_content(c, t, ag, a);
		if (r != RK_OK && r != RK_ENOTFOUND && r != RK_EINTEGRITY && r != RK_ENEWER)
			return r;
		ag->problem = r;
	}
	if (ag->problem == RK_OK && record->needs_newer)
		ag->problem = RK_ENEWER;
	*out = ag;
	return RK_OK;
}

int agreement_ids(struct txn *t, struct arena *a, const uint8_t (**ids)[32], size_t *count)
{
	struct env_cursor *cursor = NULL;
	uint8_t(*list)[32] = NULL;
	size_t n = 0, room = 0;
	struct bytes key, value;
	int r;

	if ((r = env_cursor_open(t, C_NDA, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, bytes_make("", 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		if (n == room) {
			size_t more = room == 0 ? 32 : room * 2;
			uint8_t(*grown)[32] = agreement_alloc(a, more * 32);

			if (grown == NULL) {
				r = RK_ENOMEM;
				break;
			}
			if (n > 0)
				memcpy(grown, list, n * 32);
			list = grown;
			room = more;
		}
		if (key.len == 32)
			memcpy(list[n++], key.data, 32);
	}
	env_cursor_free(cursor);
	*ids = (const uint8_t(*)[32])list;
	*count = n;
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* ---- questions of the gate */

void agreement_set_before(const struct agreement *ag, uint64_t before, uint8_t nda_set[32])
{
	size_t n = 0;

	while (n < ag->act_count && ag->acts[n].log_index < before)
		n++;
	nda_set_of(nda_set, ag->nda_id, ag->acts, n);
}

static int ask(const struct nda_row *row, Rk__Kind kind, const Rk__EnvelopeHeader *h, uint16_t active, int64_t t_ms)
{
	const uint8_t *recipients[64];
	struct nda_question q = {.sender_org = h->sender_org.data, .recipients = recipients, .active = active, .t_ms = t_ms};

	for (size_t i = 0; i < h->n_recipients && i < 64; i++)
		recipients[q.recipient_count++] = h->recipients[i]->org_id.data;
	q.reply_only = h->reply_only && h->thread_id.len == 16;
	return kind == RK__KIND__NDA_NOTICE ? nda_gate_notice(row, &q) : nda_gate(row, &q);
}

int agreement_gate_then(const struct agreement *ag, const Rk__EnvelopeHeader *h, uint64_t before, int64_t t_ms)
{
	struct nda_row row = ag->row;
	size_t n = 0;
	int r;

	while (n < ag->act_count && ag->acts[n].log_index < before)
		n++;
	nda_fold(&row, ag->acts, n);
	if ((r = ask(&row, h->kind, h, UINT16_MAX, t_ms)) != RK_OK)
		return r;
	if (h->kind == RK__KIND__NDA && row.marking_required && h->marking == RK__MARKING__UNMARKED)
		return RK_UNMARKED;
	return RK_OK;
}

int agreement_gate_release(const struct agreement *ag, Rk__Kind kind, const uint8_t *sender, bool reply_only, int64_t t_ms)
{
	const uint8_t *self = ag->row.parties[ag->self].org_id;
	struct nda_question q = {.sender_org = sender, .recipients = &self, .recipient_count = 1, .reply_only = reply_only,
	                         .t_ms = t_ms, .active = ag->active};

	return kind == RK__KIND__NDA_NOTICE ? nda_gate_notice(&ag->row, &q) : nda_gate(&ag->row, &q);
}

static int check_directory(struct client *c, struct txn *t, struct arena *a, int64_t now_ms)
{
	Rk__Directory *directory;
	uint8_t oh[32];
	int r = book_directory(c, t, a, &directory, oh);

	if (r != RK_OK)
		return r;
	return now_ms + AGREEMENT_MARGIN_MS < directory->expires_at ? RK_OK : RK_DIRECTORY_EXPIRED;
}

/* The gate now, and with the margin on both sides: nothing is sealed that the broker's clock might find too early or too late. */
int agreement_check_send(struct client *c, struct txn *t, Rk__EnvelopeHeader *h, struct arena *a)
{
	int64_t now = client_now(c);
	struct agreement *ag;
	int r;

	if (h->kind != RK__KIND__NDA && h->kind != RK__KIND__NDA_NOTICE)
		return RK_OK;
	if (h->nda_id.len != 32)
		return RK_NO_NDA;
	/* Notices too: in a log that shows two pasts, whose keys they are sealed to is not known either. */
	if ((r = log_check_send(c, t)) != RK_OK)
		return r;
	r = agreement_load(c, t, h->nda_id.data, false, a, &ag);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_NO_NDA : r;
	if ((r = ask(&ag->row, h->kind, h, ag->active, now)) != RK_OK)
		return r;
	if ((r = ask(&ag->row, h->kind, h, ag->active, now + AGREEMENT_MARGIN_MS)) != RK_OK)
		return r;
	if (now - AGREEMENT_MARGIN_MS < ag->row.not_before)
		return RK_NDA_NOT_YET;
	if (h->kind == RK__KIND__NDA && ag->row.marking_required && h->marking == RK__MARKING__UNMARKED)
		return RK_UNMARKED;
	if (h->kind == RK__KIND__NDA && (r = check_directory(c, t, a, now)) != RK_OK)
		return r;
	h->nda_set.data = agreement_copy(a, ag->row.nda_set, 32);
	h->nda_set.len = 32;
	return h->nda_set.data != NULL ? RK_OK : RK_ENOMEM;
}
