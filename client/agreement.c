/*
 * Taking in: terms, acts and proposal letters come as entries of our own mailbox, in log order, and each is believed only after the
 * checks of CRYPTO 2.9 were made again here.  What fails is dropped, counted and told in the inbox; it never stops the stream.
 * Derived state is not stored: the row is folded from terms and acts at each use, so it cannot disagree with them.
 */
#include "client/agreement.h"

#include <assert.h>
#include <sodium.h>

#include "proto/ids.h"
#include "proto/strict.h"

#define TERMS_MAX_BYTES 16384
#define SIGNED_AHEAD_MS ((int64_t)10 * 60 * 1000)
#define SIGNED_BEHIND_MS ((int64_t)7 * NDA_DAY_MS)
#define PAGE_LABEL "nda-page"
#define ARENA_BUDGET ((size_t)256 * 1024)

static void *take(struct arena *a, size_t len)
{
	arena_raise(a, len + 32);
	return arena_alloc(a, len == 0 ? 1 : len);
}

static void *take_copy(struct arena *a, const void *src, size_t len)
{
	arena_raise(a, len + 32);
	return arena_copy(a, src, len);
}

const char *agreement_act_name(Rk__ActKind kind)
{
	switch (kind) {
	case RK__ACT_KIND__ACCEPT:
		return "accept";
	case RK__ACT_KIND__REJECT:
		return "reject";
	case RK__ACT_KIND__WITHDRAW_NDA:
		return "withdraw";
	case RK__ACT_KIND__TERMINATE:
		return "terminate";
	case RK__ACT_KIND__HOLD:
		return "hold";
	case RK__ACT_KIND__RESUME:
		return "resume";
	default:
		return "unknown";
	}
}

/* ---- loading */

static int load_record(struct txn *t, const uint8_t nda_id[32], struct arena *a, Rkl__NdaRecord **out)
{
	return record_get(t, C_NDA, bytes_make(nda_id, 32), &rkl__nda_record__descriptor, a, (ProtobufCMessage **)out);
}

static void act_key(uint8_t key[40], const uint8_t nda_id[32], uint64_t log_index)
{
	memcpy(key, nda_id, 32);
	put_u64be(key + 32, log_index);
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
	struct nda_act *acts = take(a, NDA_ACTS_MAX * sizeof(*acts));
	struct agreement_act *details = take(a, NDA_ACTS_MAX * sizeof(*details));
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

/* Is the key that the directory names now the one to which the terms bind this party? */
static bool has_terms_key(struct client *c, struct txn *t, const struct nda_party *p, struct arena *a, Rk__Org **org_out)
{
	uint8_t fp[32];
	Rk__Org *org;

	if (book_org(c, t, p->org_id, a, &org) != RK_OK)
		return false;
	ids_sha256(fp, bytes_of(org->org_pk));
	if (org_out != NULL)
		*org_out = org;
	return memcmp(fp, p->org_key_fp, 32) == 0;
}

static uint16_t active_mask(struct client *c, struct txn *t, const struct nda_row *row, struct arena *a)
{
	uint16_t active = 0;

	for (int i = 0; i < row->party_count; i++)
		if (book_org_active(c, t, row->parties[i].org_id) && has_terms_key(c, t, &row->parties[i], a, NULL))
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

/* Parses and proves cover and document of a proposal against the terms. */
static int prove_proposal(const Rk__NdaTerms *terms, const Rk__Proposal *p, struct arena *a, Rk__NdaCover **cover)
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
	r = prove_proposal(ag->terms, message->proposal, a, &cover);
	if (r == RK_OK || r == RK_ENEWER) {
		ag->proposal = message->proposal;
		ag->cover = cover;
	}
	return r;
}

int agreement_load(struct client *c, struct txn *t, const uint8_t nda_id[32], bool content, struct arena *a,
                   struct agreement **out)
{
	struct agreement *ag = take(a, sizeof(*ag));
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
			uint8_t(*grown)[32] = take(a, more * 32);

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
	h->nda_set.data = take_copy(a, ag->row.nda_set, 32);
	h->nda_set.len = 32;
	return h->nda_set.data != NULL ? RK_OK : RK_ENOMEM;
}

/* ---- taking in */

/* Something came that must not be: counted for doctor, told in the inbox, nothing else. */
static int refuse(struct txn *t, const char *counter, const uint8_t nda_id[32], const uint8_t *org, int64_t time_ms)
{
	client_count(t, counter);
	if (nda_id == NULL)
		return env_error(t);
	return inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, bytes_make(nda_id, 32), org, time_ms, counter);
}

int agreement_on_terms(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(ARENA_BUDGET);
	Rkl__NdaRecord record = RKL__NDA_RECORD__INIT;
	Rk__NdaTerms *terms;
	struct nda_row row;
	uint8_t nda_id[32];
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if (d->object.len > TERMS_MAX_BYTES || !d->logged || STRICT_PARSE(nda_terms, d->object, a, &terms) != RK_OK ||
	    nda_check_terms(terms, client_exchange_id(c)) != RK_OK) {
		r = refuse(t, "nda-terms-refused", NULL, NULL, d->time_ms);
		goto out;
	}
	ids_nda(nda_id, client_exchange_id(c), d->object);
	nda_row_init(&row, nda_id, terms);
	if (nda_party_index(&row, client_org_id(c)) < 0) {
		r = refuse(t, "nda-not-ours", NULL, NULL, d->time_ms);
		goto out;
	}
	r = RK_OK;
	if (env_has(t, C_NDA, BYTES_OF(nda_id)))
		goto out;
	record.nda_id = pb_of(BYTES_OF(nda_id));
	record.terms = pb_of(d->object);
	record.time_ms = d->time_ms;
	record.log_index = d->log_index;
	r = record_put(t, C_NDA, BYTES_OF(nda_id), &record.base);
out:
	arena_free(a);
	return r;
}

/* The signature, by the key that the terms bind; HOLD by any active device of the party. */
static int verify_act(struct client *c, struct txn *t, struct object *o, const Rk__NdaAct *act, const struct nda_party *party,
                      int64_t time_ms, struct arena *a)
{
	Rk__Device *device;
	Rk__Org *org;

	if (nda_check_act_form(act) != RK_OK)
		return RK_MALFORMED;
	if (act->signed_at > time_ms + SIGNED_AHEAD_MS || act->signed_at < time_ms - SIGNED_BEHIND_MS)
		return RK_CLOCK;
	if (act->kind == RK__ACT_KIND__HOLD) {
		o->kind = OBJECT_KIND_NDA_HOLD;
		if (book_device(c, t, act->device_id.data, act->org_id.data, a, &device) != RK_OK)
			return RK_BAD_SIGNATURE;
		if (device->retired_at != 0 && time_ms >= device->retired_at)
			return RK_BAD_SIGNATURE;
		return object_check(o, client_exchange_id(c), device->sign_pk.data);
	}
	if (!has_terms_key(c, t, party, a, &org))
		return RK_BAD_SIGNATURE;
	return object_check(o, client_exchange_id(c), org->org_pk.data);
}

static int store_act(struct txn *t, const struct agreement *ag, const struct nda_act *act, struct bytes wire)
{
	Rkl__ActRecord record = RKL__ACT_RECORD__INIT;
	uint8_t key[40];

	act_key(key, ag->nda_id, act->log_index);
	record.wire = pb_of(wire);
	record.time_ms = act->time_ms;
	record.log_index = act->log_index;
	return record_put(t, C_ACT, BYTES_OF(key), &record.base);
}

/* A verified and legal act: stored, told to people unless it is our own. */
static int take_act(struct client *c, struct txn *t, const struct agreement *ag, const struct nda_act *act, struct bytes wire)
{
	const uint8_t *org = ag->row.parties[act->party].org_id;
	bool is_own = memcmp(org, client_org_id(c), 16) == 0, is_proposal = ag->act_count == 0 && act->kind == RK__ACT_KIND__ACCEPT;
	int r = store_act(t, ag, act, wire);

	if (r == RK_OK && is_proposal) {
		Rkl__NdaRecord changed = *ag->record;

		changed.proposer_org = pb_of(bytes_make(org, 16));
		r = record_put(t, C_NDA, bytes_make(ag->nda_id, 32), &changed.base);
	}
	if (r != RK_OK || is_own)
		return r;
	return inbox_add(t, is_proposal ? RKL__INBOX_KIND__INBOX_NDA_PROPOSED : RKL__INBOX_KIND__INBOX_NDA_ACT,
	                 bytes_make(ag->nda_id, 32), org, act->time_ms, agreement_act_name((Rk__ActKind)act->kind));
}

int agreement_on_act(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(ARENA_BUDGET);
	struct nda_act act = {.log_index = d->log_index, .time_ms = d->time_ms};
	const Rk__NdaAct *parsed;
	struct agreement *ag;
	struct object o;
	int r, party;

	if (a == NULL)
		return RK_ENOMEM;
	if (!d->logged || object_parse(OBJECT_KIND_NDA_ACT, d->object, a, &o) != RK_OK) {
		r = refuse(t, "nda-act-refused", NULL, NULL, d->time_ms);
		goto out;
	}
	parsed = (const Rk__NdaAct *)(const void *)o.message;
	r = agreement_load(c, t, parsed->nda_id.data, false, a, &ag);
	if (r != RK_OK || (party = nda_party_index(&ag->row, parsed->org_id.data)) < 0) {
		if (r == RK_OK || r == RK_ENOTFOUND)
			r = refuse(t, "nda-act-of-stranger", NULL, NULL, d->time_ms);
		goto out;
	}
	/* Delivered again: known already. */
	if (ag->act_count > 0 && ag->acts[ag->act_count - 1].log_index >= d->log_index)
		goto out;
	if (verify_act(c, t, &o, parsed, &ag->row.parties[party], d->time_ms, a) != RK_OK) {
		r = refuse(t, "nda-act-bad-signature", ag->nda_id, parsed->org_id.data, d->time_ms);
		goto out;
	}
	act.party = (uint8_t)party;
	act.kind = (uint8_t)parsed->kind;
	ids_sha256(act.payload_sha256, o.payload);
	object_oh(act.oh, &o, client_exchange_id(c));
	if (nda_check_act(&ag->row, ag->acts, ag->act_count, &act) != RK_OK) {
		r = refuse(t, "nda-act-not-legal", ag->nda_id, parsed->org_id.data, d->time_ms);
		goto out;
	}
	r = take_act(c, t, ag, &act, d->object);
out:
	arena_free(a);
	return r;
}

/* ---- proposal letters */

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
	row = take(a, sizeof(*row));
	rows = take(a, (record->n_pages + 1) * sizeof(*rows));
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
	r = prove_proposal(ag->terms, p, a, &cover);
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
	struct arena *a = arena_new(ARENA_BUDGET);
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
