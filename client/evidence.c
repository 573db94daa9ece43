/* Taking in: copies by hash, each once, and the record that names them. */
#include <sodium.h>

#include "client/agreement.h"
#include "client/client_internal.h"
#include "client/evidence_internal.h"
#include "client/log.h"
#include "proto/receipt.h"
#include "proto/strict.h"

#define EVIDENCE_ARENA ((size_t)256 * 1024)

void evidence_key(uint8_t key[EVIDENCE_KEY_BYTES], enum evidence_kind kind, const uint8_t id[32])
{
	key[0] = (uint8_t)kind;
	memcpy(key + 1, id, 32);
}

int evidence_load(struct txn *t, const uint8_t id[32], struct arena *a, Rkl__EvidenceRecord **out)
{
	uint8_t key[EVIDENCE_KEY_BYTES];

	evidence_key(key, EVIDENCE_RECORD, id);
	return record_get(t, C_EVIDENCE, BYTES_OF(key), &rkl__evidence_record__descriptor, a, (ProtobufCMessage **)out);
}

/* One record while it is written. */
struct taking {
	struct client *c;
	struct txn *t;
	struct arena *a;
	Rkl__EvidenceRecord *record;
};

static int store(struct taking *k, const uint8_t id[32])
{
	uint8_t key[EVIDENCE_KEY_BYTES];

	evidence_key(key, EVIDENCE_RECORD, id);
	return record_put(k->t, C_EVIDENCE, BYTES_OF(key), &k->record->base);
}

/* Keeps the bytes under their name, if they are not kept yet; *name is a copy of it in the arena. */
static int keep(struct taking *k, const uint8_t oh[32], struct bytes object, ProtobufCBinaryData *name)
{
	uint8_t key[EVIDENCE_KEY_BYTES], *copy;

	arena_raise(k->a, 64);
	if ((copy = arena_copy(k->a, oh, 32)) == NULL)
		return RK_ENOMEM;
	*name = pb_of(bytes_make(copy, 32));
	evidence_key(key, EVIDENCE_OBJECT, oh);
	return env_has(k->t, C_EVIDENCE, BYTES_OF(key)) ? RK_OK : env_put(k->t, C_EVIDENCE, BYTES_OF(key), object, ENV_PUT);
}

/* Keeps the bytes and adds their name to a list of the record, once. */
static int keep_in(struct taking *k, const uint8_t oh[32], struct bytes object, ProtobufCBinaryData **list, size_t *n)
{
	ProtobufCBinaryData *grown;
	int r;

	for (size_t i = 0; i < *n; i++)
		if (memcmp((*list)[i].data, oh, 32) == 0)
			return RK_OK;
	arena_raise(k->a, (*n + 1) * sizeof(*grown) + 32);
	if ((grown = arena_alloc(k->a, (*n + 1) * sizeof(*grown))) == NULL)
		return RK_ENOMEM;
	if ((r = keep(k, oh, object, &grown[*n])) != RK_OK)
		return r;
	if (*n > 0)
		memcpy(grown, *list, *n * sizeof(*grown));
	*list = grown;
	(*n)++;
	return RK_OK;
}

/* The newest of its kind that stood at `log_index`: an entry that comes late finds a book that has gone on. */
static int find_standing(struct taking *k, Rk__ObjectType type, const uint8_t *id, uint64_t log_index, uint8_t oh[32], struct bytes *wire)
{
	uint64_t serial;
	bool is_later = true;
	int r = book_newest(k->t, (unsigned)type, id, &serial, oh, wire);

	while (r == RK_OK && (r = log_is_not_before(k->t, oh, log_index, &is_later)) == RK_OK && is_later)
		r = book_older(k->t, (unsigned)type, id, &serial, oh, wire);
	return r;
}

/* What we never saw proves nothing; the receipt will say what is missing, and this home goes on. */
static int keep_directory(struct taking *k, uint64_t log_index)
{
	struct bytes wire;
	uint8_t oh[32];
	int r = find_standing(k, RK__OBJECT_TYPE__OBJECT_DIRECTORY, NULL, log_index, oh, &wire);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	return keep(k, oh, wire, &k->record->directory);
}

static int keep_devices(struct taking *k, const uint8_t org_id[16], uint64_t log_index)
{
	struct bytes wire;
	uint8_t oh[32];
	int r = find_standing(k, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, org_id, log_index, oh, &wire);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	return keep_in(k, oh, wire, &k->record->devices, &k->record->n_devices);
}

/* An act, and for a hold, which a device signs, the list that it was on. */
static int keep_act(struct taking *k, const struct agreement *ag, size_t i)
{
	const struct nda_act *act = &ag->acts[i];
	int r = keep_in(k, act->oh, ag->details[i].wire, &k->record->acts, &k->record->n_acts);

	if (r != RK_OK || act->kind != RK__ACT_KIND__HOLD)
		return r;
	return keep_devices(k, ag->row.parties[act->party].org_id, act->log_index);
}

/* The agreement as the log had it before `log_index`, and the lists of its parties' devices as they stood. */
static int keep_agreement(struct taking *k, const uint8_t nda_id[32], uint64_t log_index)
{
	struct agreement *ag;
	int r = agreement_load(k->c, k->t, nda_id, false, k->a, &ag);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if ((r = keep(k, nda_id, bytes_of(ag->record->terms), &k->record->terms)) != RK_OK)
		return r;
	for (size_t i = 0; i < ag->act_count && r == RK_OK; i++)
		if (ag->acts[i].log_index < log_index)
			r = keep_act(k, ag, i);
	for (int i = 0; i < ag->row.party_count && r == RK_OK; i++)
		r = keep_devices(k, ag->row.parties[i].org_id, log_index);
	return r;
}

int evidence_on_envelope(struct client *c, struct txn *t, const struct envelope *e, struct bytes object, uint64_t log_index)
{
	Rkl__EvidenceRecord record = RKL__EVIDENCE_RECORD__INIT;
	struct taking k = {c, t, NULL, &record};
	uint8_t id[32], oh[32];
	int r;

	if (e->header->kind != RK__KIND__NDA && e->header->kind != RK__KIND__NDA_NOTICE)
		return RK_OK;
	if ((k.a = arena_new(EVIDENCE_ARENA)) == NULL)
		return RK_ENOMEM;
	envelope_id(id, e, client_exchange_id(c));
	envelope_oh(oh, e, client_exchange_id(c));
	if ((r = keep_directory(&k, log_index)) == RK_OK && (r = keep(&k, oh, object, &record.object)) == RK_OK &&
	    (r = keep_agreement(&k, e->header->nda_id.data, log_index)) == RK_OK)
		r = store(&k, id);
	arena_free(k.a);
	return r;
}

/* A pickup or a refusal of an envelope that has its record. */
static int on_answer(struct client *c, struct txn *t, enum object_kind kind, const uint8_t id[32], struct bytes object,
                     uint64_t log_index)
{
	struct taking k = {c, t, arena_new(EVIDENCE_ARENA), NULL};
	struct object o;
	uint8_t oh[32];
	int r;

	if (k.a == NULL)
		return RK_ENOMEM;
	if ((r = evidence_load(t, id, k.a, &k.record)) != RK_OK) {
		/* An envelope of before this table was kept. */
		r = r == RK_ENOTFOUND ? RK_OK : r;
		goto out;
	}
	if ((r = object_parse(kind, object, k.a, &o)) != RK_OK)
		goto out;
	object_oh(oh, &o, client_exchange_id(c));
	if (kind == OBJECT_KIND_PICKUP)
		r = keep_in(&k, oh, object, &k.record->pickups, &k.record->n_pickups);
	else
		r = keep_in(&k, oh, object, &k.record->nacks, &k.record->n_nacks);
	if (r == RK_OK && k.record->terms.len == 32 && (r = keep_agreement(&k, k.record->terms.data, log_index)) == RK_OK)
		r = store(&k, id);
out:
	arena_free(k.a);
	return r;
}

int evidence_on_pickup(struct client *c, struct txn *t, const uint8_t env_id[32], struct bytes object, uint64_t log_index)
{
	return on_answer(c, t, OBJECT_KIND_PICKUP, env_id, object, log_index);
}

int evidence_on_nack(struct client *c, struct txn *t, const uint8_t env_id[32], struct bytes object, uint64_t log_index)
{
	return on_answer(c, t, OBJECT_KIND_NACK, env_id, object, log_index);
}

/* ---- what shows the content */

/* The key of an envelope is its dossier's own; a deposit's salt is this home's secret like any other. */
static int salt_key(struct client *c, const uint8_t id[32], bool is_deposit, bool create, uint8_t key[32])
{
	int r = keys_unlock(c, KEY_DEVICE);

	if (r != RK_OK)
		return r;
	if (!is_deposit)
		return keys_dossier(c, id, create, key);
	memcpy(key, keys_home_key(c), 32);
	return RK_OK;
}

static int seal_salt(struct client *c, struct txn *t, const uint8_t id[32], bool is_deposit, struct bytes plain)
{
	struct arena *a = arena_new(0);
	uint8_t table_key[EVIDENCE_KEY_BYTES], key[32];
	struct bytes sealed;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	evidence_key(table_key, EVIDENCE_SALT, id);
	if ((r = salt_key(c, id, is_deposit, true, key)) == RK_OK &&
	    (r = vault_seal(key, VAULT_SALT, bytes_make(id, 32), plain, a, &sealed)) == RK_OK)
		r = env_put(t, C_EVIDENCE, BYTES_OF(table_key), sealed, ENV_PUT);
	sodium_memzero(key, sizeof(key));
	arena_free(a);
	return r;
}

int evidence_open_salt(struct client *c, struct txn *t, const uint8_t id[32], bool is_deposit, struct arena *a, struct bytes *out)
{
	uint8_t table_key[EVIDENCE_KEY_BYTES], key[32];
	struct bytes sealed;
	int r;

	*out = bytes_make(NULL, 0);
	evidence_key(table_key, EVIDENCE_SALT, id);
	if ((r = env_get(t, C_EVIDENCE, BYTES_OF(table_key), &sealed)) != RK_OK)
		return r;
	if ((r = salt_key(c, id, is_deposit, false, key)) == RK_OK)
		r = vault_open(key, VAULT_SALT, bytes_make(id, 32), sealed, a, out);
	sodium_memzero(key, sizeof(key));
	return r;
}

int evidence_on_salt(struct client *c, struct txn *t, const uint8_t env_id[32], const uint8_t salt[32])
{
	return seal_salt(c, t, env_id, false, bytes_make(salt, 32));
}

int evidence_on_deposit(struct client *c, struct txn *t, struct bytes object, uint64_t log_index, const uint8_t *salt,
                        const uint8_t *file_sha256)
{
	Rkl__EvidenceRecord record = RKL__EVIDENCE_RECORD__INIT;
	struct taking k = {c, t, arena_new(EVIDENCE_ARENA), &record};
	uint8_t oh[32], plain[RECEIPT_DEPOSIT_PLAIN_BYTES];
	struct object o;
	int r;

	if (k.a == NULL)
		return RK_ENOMEM;
	if ((r = object_parse(OBJECT_KIND_DEPOSIT, object, k.a, &o)) != RK_OK)
		goto out;
	object_oh(oh, &o, client_exchange_id(c));
	record.is_deposit = true;
	if ((r = keep_directory(&k, log_index)) != RK_OK || (r = keep(&k, oh, object, &record.object)) != RK_OK ||
	    (r = keep_devices(&k, ((const Rk__Deposit *)(const void *)o.message)->org_id.data, log_index)) != RK_OK ||
	    (r = store(&k, oh)) != RK_OK || salt == NULL || file_sha256 == NULL)
		goto out;
	memcpy(plain, salt, 32);
	memcpy(plain + 32, file_sha256, 32);
	r = seal_salt(c, t, oh, true, BYTES_OF(plain));
	sodium_memzero(plain, sizeof(plain));
out:
	arena_free(k.a);
	return r;
}
