/*
 * Taking in: terms and acts come as entries of our own mailbox, in log order, and each is believed only after the checks of CRYPTO 2.9
 * were made again here.  What fails is dropped, counted and told in the inbox; it never stops the stream.
 */
#include "client/agreement_internal.h"

#include "proto/ids.h"
#include "proto/strict.h"

#define TERMS_MAX_BYTES 16384
#define SIGNED_AHEAD_MS ((int64_t)10 * 60 * 1000)
#define SIGNED_BEHIND_MS ((int64_t)7 * NDA_DAY_MS)

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

static void act_key(uint8_t key[40], const uint8_t nda_id[32], uint64_t log_index)
{
	memcpy(key, nda_id, 32);
	put_u64be(key + 32, log_index);
}

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
	struct arena *a = arena_new(AGREEMENT_ARENA);
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

/*
 * The signature, by the organisation's key of that time; HOLD by any active device of the party.  An ACCEPT binds who was named: its
 * key counts as the one of the terms.  The other acts stop, or open what stays suspended: whoever the organisation is now may do them.
 */
static int verify_act(struct client *c, struct txn *t, struct object *o, const Rk__NdaAct *act, const struct nda_party *party,
                      const struct delivery *d, struct arena *a)
{
	int64_t time_ms = d->time_ms;
	Rk__Device *device;
	uint8_t pk[32];

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
	if (act->kind == RK__ACT_KIND__ACCEPT && !book_key_counts_at(c, t, party->org_id, party->org_key_fp, d->control_seq))
		return RK_BAD_SIGNATURE;
	if (book_org_key_at(c, t, party->org_id, d->control_seq, pk) != RK_OK)
		return RK_BAD_SIGNATURE;
	return object_check(o, client_exchange_id(c), pk);
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

/* Delivered again, as it stands here already. */
static bool is_known(const struct agreement *ag, const struct delivery *d)
{
	for (size_t i = 0; i < ag->act_count; i++)
		if (ag->details[i].log_index == d->log_index)
			return bytes_equal(ag->details[i].wire, d->object);
	return false;
}

int agreement_on_act(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(AGREEMENT_ARENA);
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
	if (ag->act_count > 0 && ag->acts[ag->act_count - 1].log_index >= d->log_index) {
		r = is_known(ag, d) ? RK_OK : refuse(t, "nda-act-out-of-order", ag->nda_id, parsed->org_id.data, d->time_ms);
		goto out;
	}
	if (verify_act(c, t, &o, parsed, &ag->row.parties[party], d, a) != RK_OK) {
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
