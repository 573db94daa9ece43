/*
 * Part by part, each from the key that the parts before it vouch for: form, log entry, proof, signature, its own rules.  What holds
 * between the parts is receipt_steps.c's.  Nothing of a part is used before its proof and signature hold, but what says which key.
 */
#include <assert.h>
#include <sodium.h>

#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/receipt_internal.h"
#include "proto/strict.h"
#include "proto/trust.h"

/* Beside those of the items: the archive, its members, the charter's key, the last act's place, who was who, content and document. */
#define CHECKS_MAX (RECEIPT_ITEM_CHECKS * RECEIPT_ITEMS_MAX + 2 * RECEIPT_ATTACHMENTS_MAX + 16)

int receipt_noted(struct receipt_work *w, enum receipt_step step, const char *member, int code)
{
	assert(w->out->check_count < CHECKS_MAX);
	w->checks[w->out->check_count++] = (struct receipt_check){step, member, code};
	return code;
}

/* ---- form */

static const struct {
	enum object_kind kind;
	Rk__LogType log_type;
} kinds[RECEIPT_PART_COUNT] = {
	[RECEIPT_PART_CHARTER] = {OBJECT_KIND_CHARTER, RK__LOG_TYPE__LOG_CHARTER},
	[RECEIPT_PART_DIRECTORY] = {OBJECT_KIND_DIRECTORY, RK__LOG_TYPE__LOG_DIRECTORY},
	[RECEIPT_PART_DEVICES] = {OBJECT_KIND_ORG_DEVICES, RK__LOG_TYPE__LOG_ORG_DEVICES},
	[RECEIPT_PART_TERMS] = {OBJECT_KIND_COUNT, RK__LOG_TYPE__LOG_NDA_TERMS},
	[RECEIPT_PART_ACT] = {OBJECT_KIND_NDA_ACT, RK__LOG_TYPE__LOG_NDA_ACT},
	[RECEIPT_PART_ENVELOPE] = {OBJECT_KIND_ENVELOPE, RK__LOG_TYPE__LOG_DISCLOSURE},
	[RECEIPT_PART_PICKUP] = {OBJECT_KIND_PICKUP, RK__LOG_TYPE__LOG_PICKUP},
	[RECEIPT_PART_NACK] = {OBJECT_KIND_NACK, RK__LOG_TYPE__LOG_NACK},
	[RECEIPT_PART_DEPOSIT] = {OBJECT_KIND_DEPOSIT, RK__LOG_TYPE__LOG_DEPOSIT},
};

/* tbs = label || 0x00 || exchange_id || payload. */
static bool take_label(struct receipt_item *item, const char *label, const uint8_t **exchange_id)
{
	size_t label_len = strlen(label) + 1;

	if (item->tbs.len < label_len + ID32_BYTES || memcmp(item->tbs.data, label, label_len) != 0)
		return false;
	*exchange_id = item->tbs.data + label_len;
	item->payload = bytes_make(*exchange_id + ID32_BYTES, item->tbs.len - label_len - ID32_BYTES);
	return true;
}

static int parse_envelope(struct receipt_work *w, const Rk__Signed *s, struct receipt_item *item)
{
	struct envelope e;
	int r = envelope_parse_signed(s, w->arena, &e);

	if (r == RK_OK)
		item->message = &e.header->base;
	return r;
}

static int parse_signed(struct receipt_work *w, struct receipt_item *item)
{
	Rk__Signed s = RK__SIGNED__INIT;
	struct object o;
	int r;

	s.payload = pb_of(item->payload);
	s.sig = pb_of(item->sig);
	if (item->kind == OBJECT_KIND_ENVELOPE)
		return parse_envelope(w, &s, item);
	if ((r = object_parse_signed(item->kind, &s, w->arena, &o)) == RK_OK)
		item->message = o.message;
	return r;
}

static int check_form(struct receipt_work *w, struct receipt_item *item)
{
	const uint8_t *exchange_id;

	if (item->part == RECEIPT_PART_TERMS) {
		if (!take_label(item, RECEIPT_TERMS_LABEL, &exchange_id))
			return RK_MALFORMED;
		if (memcmp(exchange_id, w->exchange_id, ID32_BYTES) != 0)
			return RK_WRONG_EXCHANGE;
		return STRICT_PARSE(nda_terms, item->payload, w->arena, (Rk__NdaTerms **)(uintptr_t)&item->message);
	}
	item->kind = kinds[item->part].kind;
	if (!take_label(item, object_info(item->kind)->label, &exchange_id)) {
		item->kind = OBJECT_KIND_NDA_HOLD;
		if (item->part != RECEIPT_PART_ACT || !take_label(item, object_info(item->kind)->label, &exchange_id))
			return RK_MALFORMED;
	}
	/* The charter says itself of which exchange it is; whether that is ours is a step of its own. */
	if (item->part != RECEIPT_PART_CHARTER && memcmp(exchange_id, w->exchange_id, ID32_BYTES) != 0)
		return RK_WRONG_EXCHANGE;
	return parse_signed(w, item);
}

/* ---- entry and proof */

static int check_entry(struct receipt_work *w, struct receipt_item *item)
{
	crypto_hash_sha256_state s;
	Rk__LogEntry *entry;
	int r;

	if (item->entry.len > RECEIPT_ENTRY_MAX_BYTES)
		return RK_TOO_LARGE;
	if ((r = STRICT_PARSE(log_entry, item->entry, w->arena, &entry)) != RK_OK)
		return r;
	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, item->tbs.data, item->tbs.len);
	crypto_hash_sha256_update(&s, item->sig.data, item->sig.len);
	crypto_hash_sha256_final(&s, item->oh);
	if (entry->type != kinds[item->part].log_type || !bytes_equal(bytes_of(entry->oh), BYTES_OF(item->oh)))
		return RK_BAD_SIGNATURE;
	item->event.time_ms = entry->time_ms;
	return RK_OK;
}

/*
 * Readers of notes ignore lines of keys that they do not know.  A receipt has none: the log's line, then the witness's or nothing, so
 * that each byte of it is signed or is the signature.
 */
static bool has_only_known_lines(struct bytes note, const struct note_opened *o)
{
	size_t lines = 0, wanted = o->is_cosigned ? 6 : 5, name_len = strlen(o->checkpoint.origin);
	const uint8_t *first = NULL;

	for (size_t i = 0; i < note.len; i++) {
		if (note.data[i] != '\n')
			continue;
		if (++lines == 4)
			first = note.data + i + 1;
	}
	/* A line that opened begins with a dash of three bytes and a space. */
	return lines == wanted && first && memcmp(first + 4, o->checkpoint.origin, name_len) == 0 && first[4 + name_len] == ' ';
}

static int check_proof(struct receipt_work *w, struct receipt_item *item)
{
	merkle_hash leaf, path[MERKLE_PROOF_MAX];
	struct note_opened opened;
	struct bytes note;
	size_t n;
	int r;

	if ((r = note_proof_read(item->proof, &item->event.index, path, &n, &note)) != RK_OK ||
	    (r = note_open(note, &w->log, &w->witness, &opened)) != RK_OK)
		return r;
	if (!has_only_known_lines(note, &opened))
		return RK_MALFORMED;
	merkle_leaf(leaf, item->entry);
	r = merkle_check_inclusion(item->event.index, opened.checkpoint.size, leaf, path, n, opened.checkpoint.root);
	if (r != RK_OK)
		return r;
	if (opened.is_cosigned && opened.witness_s == 0)
		return RK_MALFORMED; /* 0 says that there is no time */
	item->checkpoint = opened.checkpoint;
	item->event.witness_ms = opened.is_cosigned ? opened.witness_s * 1000 : 0;
	return RK_OK;
}

/* ---- signatures, by the key that the chain says */

static const uint8_t *device_pk(const Rk__Device *d)
{
	return d ? d->sign_pk.data : NULL;
}

static bool is_act_form(const struct receipt_item *item)
{
	const Rk__NdaAct *act = (const Rk__NdaAct *)item->message;

	return (act->kind == RK__ACT_KIND__HOLD) == (item->kind == OBJECT_KIND_NDA_HOLD) && nda_check_act_form(act) == RK_OK;
}

static const uint8_t *hold_pk(struct receipt_work *w, const struct receipt_item *item)
{
	const Rk__NdaAct *act = (const Rk__NdaAct *)item->message;

	return device_pk(receipt_find_device(w, act->org_id.data, act->device_id.data, &item->event));
}

static const uint8_t *envelope_pk(struct receipt_work *w, const struct receipt_item *item)
{
	const Rk__EnvelopeHeader *h = (const Rk__EnvelopeHeader *)item->message;

	w->out->sender_org = h->sender_org.data;
	w->out->sender_device = receipt_find_device(w, h->sender_org.data, h->sender_device.data, &item->event);
	return device_pk(w->out->sender_device);
}

static const uint8_t *deposit_pk(struct receipt_work *w, const struct receipt_item *item)
{
	const Rk__Deposit *d = (const Rk__Deposit *)item->message;

	w->out->sender_org = d->org_id.data;
	w->out->sender_device = receipt_find_device(w, d->org_id.data, d->device_id.data, &item->event);
	return device_pk(w->out->sender_device);
}

/* Pickups and refusals name a device; whose it is, the lists say. */
static const uint8_t *answer_pk(struct receipt_work *w, const struct receipt_item *item, ProtobufCBinaryData device_id,
                                struct receipt_answer *answer)
{
	answer->event = item->event;
	answer->device = receipt_find_recipient_device(w, device_id.data, &item->event, &answer->org_id);
	return device_pk(answer->device);
}

static const uint8_t *pickup_pk(struct receipt_work *w, const struct receipt_item *item)
{
	return answer_pk(w, item, ((const Rk__Pickup *)item->message)->device_id, &w->out->pickups[w->out->pickup_count++]);
}

static const uint8_t *nack_pk(struct receipt_work *w, const struct receipt_item *item)
{
	const Rk__Nack *nack = (const Rk__Nack *)item->message;
	struct receipt_answer *answer = &w->out->nacks[w->out->nack_count++];

	answer->is_declined = nack->reason == RK__NACK_REASON__NACK_DECLINED;
	return answer_pk(w, item, nack->device_id, answer);
}

static const uint8_t *signer_pk(struct receipt_work *w, const struct receipt_item *item)
{
	switch (item->part) {
	case RECEIPT_PART_CHARTER:
		return w->out->charter->root_pk.data;
	case RECEIPT_PART_DIRECTORY:
		return trust_secretariat_pk(w->out->charter, w->out->directory->signer_id.data, item->event.time_ms);
	case RECEIPT_PART_ACT:
		return hold_pk(w, item);
	case RECEIPT_PART_ENVELOPE:
		return envelope_pk(w, item);
	case RECEIPT_PART_PICKUP:
		return pickup_pk(w, item);
	case RECEIPT_PART_NACK:
		return nack_pk(w, item);
	case RECEIPT_PART_DEPOSIT:
		return deposit_pk(w, item);
	default:
		return NULL;
	}
}

/* Lists, and all acts but holds. */
static bool is_by_org(const struct receipt_item *item)
{
	return item->part == RECEIPT_PART_DEVICES || (item->part == RECEIPT_PART_ACT && item->kind != OBJECT_KIND_NDA_HOLD);
}

static int check_signature(struct receipt_work *w, const struct receipt_item *item)
{
	const uint8_t *pk;

	if (item->part == RECEIPT_PART_ACT && !is_act_form(item))
		return RK_BAD_SIGNATURE;
	if (is_by_org(item))
		return receipt_check_item_by_org(w, item);
	pk = signer_pk(w, item);
	return pk ? object_verify(item->kind, w->exchange_id, pk, item->payload, item->sig) : RK_BAD_SIGNATURE;
}

/* ---- the rules of each kind */

/* What a snapshot says of the one before it is taken as it stands: that one is not here. */
static struct trust_prev before(uint64_t serial, ProtobufCBinaryData prev_oh)
{
	struct trust_prev prev = {.serial = serial - 1};

	if (serial > 1 && prev_oh.len == sizeof(prev.oh))
		memcpy(prev.oh, prev_oh.data, sizeof(prev.oh));
	return prev;
}

/* Of two lists of one organisation the later one is the newer one: else there would be a choice. */
static int check_devices(struct receipt_work *w, const struct receipt_item *item)
{
	const Rk__OrgDevices *list = (const Rk__OrgDevices *)item->message;

	for (size_t i = 0; i < w->count[RECEIPT_PART_DEVICES]; i++) {
		const struct receipt_item *other = receipt_item_at(w, RECEIPT_PART_DEVICES, i);
		const Rk__OrgDevices *old = (const Rk__OrgDevices *)other->message;

		if (other == item)
			break;
		if (bytes_equal(bytes_of(old->org_id), bytes_of(list->org_id)) &&
		    (old->serial < list->serial) != (other->event.index < item->event.index))
			return RK_CONFLICT;
	}
	return trust_check_org_devices(list, before(list->serial, list->prev_oh));
}

static int check_terms(struct receipt_work *w, const struct receipt_item *item)
{
	const Rk__NdaTerms *terms = (const Rk__NdaTerms *)item->message;
	int r = nda_check_terms(terms, w->exchange_id);

	if (r != RK_OK)
		return r;
	nda_row_init(&w->row, item->oh, terms);
	w->out->terms = terms;
	for (int i = 0; i < w->row.party_count; i++) {
		const Rk__Org *org = trust_find_org(w->out->directory, w->row.parties[i].org_id);

		if (org && org->status == RK__ORG_STATUS__ACTIVE && orgkey_counts(org, w->row.parties[i].org_key_fp))
			w->active = (uint16_t)(w->active | 1u << i);
	}
	return RK_OK;
}

static int check_envelope(struct receipt_work *w, const struct receipt_item *item)
{
	const Rk__EnvelopeHeader *h = (const Rk__EnvelopeHeader *)item->message;

	if (h->kind != RK__KIND__NDA && h->kind != RK__KIND__NDA_NOTICE)
		return RK_UNSUPPORTED;
	w->out->header = h;
	ids_env(w->out->id, w->exchange_id, item->payload);
	w->out->event = item->event;
	return RK_OK;
}

static int check_rules(struct receipt_work *w, const struct receipt_item *item)
{
	const Rk__Directory *d = w->out->directory;
	int r;

	switch (item->part) {
	case RECEIPT_PART_CHARTER:
		return trust_check_charter(w->out->charter);
	case RECEIPT_PART_DIRECTORY:
		r = trust_check_directory(d, w->out->charter, before(d->serial, d->prev_oh), NULL);
		return r == RK_OK ? orgkey_verify(d, NULL, w->exchange_id) : r;
	case RECEIPT_PART_DEVICES:
		return check_devices(w, item);
	case RECEIPT_PART_TERMS:
		return check_terms(w, item);
	case RECEIPT_PART_ENVELOPE:
		return check_envelope(w, item);
	case RECEIPT_PART_DEPOSIT:
		memcpy(w->out->id, item->oh, sizeof(w->out->id));
		w->out->event = item->event;
		return RK_OK;
	default:
		return RK_OK; /* acts, pickups, refusals: receipt_steps.c */
	}
}

/* ---- the whole */

/* The fingerprint is the first link: nothing of the charter counts before it. */
static int check_exchange(struct receipt_work *w, struct receipt_item *item)
{
	const Rk__Charter *c = (const Rk__Charter *)item->message;
	uint8_t exchange_id[32];

	ids_exchange(exchange_id, c->root_pk.data);
	if (memcmp(exchange_id, w->exchange_id, 32) != 0 || memcmp(item->payload.data - ID32_BYTES, exchange_id, 32) != 0)
		return RK_WRONG_EXCHANGE;
	w->out->charter = c;
	return RK_OK;
}

static int check_charter(struct receipt_work *w, struct receipt_item *item)
{
	int r;

	if ((r = receipt_noted(w, RECEIPT_EXCHANGE, item->name, check_exchange(w, item))) != RK_OK ||
	    (r = receipt_noted(w, RECEIPT_SIGNATURE, item->name, check_signature(w, item))) != RK_OK ||
	    (r = receipt_noted(w, RECEIPT_RULES, item->name, check_rules(w, item))) != RK_OK)
		return r;
	/* Its rules say that both parse. */
	if ((r = note_key_parse(&w->log, w->out->charter->log_vkey)) != RK_OK)
		return r;
	return note_key_parse(&w->witness, w->out->charter->witness_vkey);
}

static int check_item(struct receipt_work *w, struct receipt_item *item)
{
	bool is_charter = item->part == RECEIPT_PART_CHARTER, is_signed = item->part != RECEIPT_PART_TERMS;
	int r;

	if ((r = receipt_noted(w, RECEIPT_FORM, item->name, check_form(w, item))) != RK_OK)
		return r;
	if (is_charter && (r = check_charter(w, item)) != RK_OK)
		return r;
	if (item->part == RECEIPT_PART_DIRECTORY)
		w->out->directory = (const Rk__Directory *)item->message;
	if ((r = receipt_noted(w, RECEIPT_ENTRY, item->name, check_entry(w, item))) != RK_OK ||
	    (r = receipt_noted(w, RECEIPT_PROOF, item->name, check_proof(w, item))) != RK_OK)
		return r;
	if (is_charter)
		return RK_OK;
	if (is_signed && (r = receipt_noted(w, RECEIPT_SIGNATURE, item->name, check_signature(w, item))) != RK_OK)
		return r;
	return receipt_noted(w, RECEIPT_RULES, item->name, check_rules(w, item));
}

static int check_all(struct receipt_work *w, struct bytes start, size_t *used)
{
	const char *at = "";
	int r = ustar_read_start(start, RECEIPT_ATTACHMENT_FIRST, w->members, USTAR_MEMBERS_MAX, &w->member_count, used);

	if ((r = receipt_noted(w, RECEIPT_ARCHIVE, "", r)) != RK_OK)
		return r;
	r = receipt_take_members(w, &at);
	if ((r = receipt_noted(w, RECEIPT_MEMBERS, r == RK_OK ? "" : at, r)) != RK_OK)
		return r;
	for (size_t i = 0; i < w->item_count; i++)
		if ((r = check_item(w, &w->items[i])) != RK_OK)
			return r;
	if ((r = receipt_check_log(w)) != RK_OK)
		return r;
	r = w->out->is_deposit ? receipt_check_deposit(w) : receipt_check_disclosure(w);
	return r == RK_OK ? receipt_check_content(w) : r;
}

int receipt_verify_start(struct bytes start, const uint8_t exchange_id[32], struct arena *a, struct receipt *out, size_t *used)
{
	struct receipt_work *w;
	int r;

	*used = 0;
	memset(out, 0, sizeof(*out));
	arena_raise(a, sizeof(*w) + CHECKS_MAX * sizeof(*w->checks) + 64);
	if ((w = arena_alloc(a, sizeof(*w))) == NULL)
		return RK_ENOMEM;
	memset(w, 0, offsetof(struct receipt_work, items));
	w->exchange_id = exchange_id;
	w->arena = a;
	w->out = out;
	if ((w->checks = arena_alloc(a, CHECKS_MAX * sizeof(*w->checks))) == NULL)
		return RK_ENOMEM;
	out->checks = w->checks;
	r = check_all(w, start, used);
	if (r == RK_OK)
		return RK_OK;
	out->level = RECEIPT_UNPROVEN;
	return r == RK_ENOMEM ? RK_ENOMEM : RK_EINTEGRITY;
}
