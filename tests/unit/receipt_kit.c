#include "tests/unit/receipt_kit.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/note.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define LEAVES_MAX 4096
#define HOUR RECEIPT_KIT_HOUR_MS
#define DAY NDA_DAY_MS
#define START RECEIPT_KIT_START_MS

static const char document[] = "Both keep secret what they show each other.\n";

/* Lists and directory of the time, an agreement accepted by both, a disclosure after its first day. */
#define BEGINNING \
	{KIT_CHARTER, 0, 0, 0}, {KIT_DEVICES, 1, 0, HOUR}, {KIT_DEVICES, 2, 0, HOUR}, {KIT_FILLER, 0, 3, HOUR}, \
	{KIT_DIRECTORY, 0, 0, 16 * DAY}, {KIT_TERMS, 1, 0, 17 * DAY}, \
	{KIT_ACT, 1, RK__ACT_KIND__ACCEPT, 17 * DAY}, {KIT_ACT, 2, RK__ACT_KIND__ACCEPT, 18 * DAY}

const struct kit_step receipt_kit_plain[] = {
	BEGINNING,
	{KIT_ENVELOPE, 1, 0, START + HOUR},
	{KIT_FILLER, 0, 2, START + HOUR},
	{KIT_PICKUP, 2, 0, START + 2 * HOUR},
	{KIT_END, 0, 0, 0},
};

const struct kit_step receipt_kit_lodged[] = {
	BEGINNING,
	{KIT_ENVELOPE, 1, 0, START + HOUR},
	{KIT_END, 0, 0, 0},
};

const struct kit_step receipt_kit_held[] = {
	BEGINNING,
	{KIT_ACT, 2, RK__ACT_KIND__HOLD, 19 * DAY},
	{KIT_ACT, 2, RK__ACT_KIND__RESUME, 19 * DAY + HOUR},
	{KIT_ENVELOPE, 1, 0, START + HOUR},
	{KIT_PICKUP, 2, 0, START + 2 * HOUR},
	{KIT_FILLER, 0, 5, START + 3 * HOUR},
	{KIT_END, 0, 0, 0},
};

const struct kit_step receipt_kit_three[] = {
	{KIT_CHARTER, 0, 0, 0},
	{KIT_DEVICES, 0, 0, HOUR},
	{KIT_DEVICES, 1, 0, HOUR},
	{KIT_DEVICES, 2, 0, HOUR},
	{KIT_DIRECTORY, 0, 0, 16 * DAY},
	{KIT_TERMS, 1, 0, 17 * DAY},
	{KIT_ACT, 1, RK__ACT_KIND__ACCEPT, 17 * DAY},
	{KIT_ACT, 0, RK__ACT_KIND__ACCEPT, 17 * DAY},
	{KIT_ACT, 2, RK__ACT_KIND__ACCEPT, 18 * DAY},
	{KIT_ENVELOPE, 1, 0, START + HOUR},
	{KIT_PICKUP, 2, 0, START + 2 * HOUR},
	{KIT_ACT, 0, RK__ACT_KIND__TERMINATE, START + 3 * HOUR}, /* takes effect in 30 days */
	{KIT_PICKUP, 0, 0, START + 4 * HOUR},
	{KIT_NACK, 2, RK__NACK_REASON__NACK_UNOPENED, START + 5 * HOUR},
	{KIT_END, 0, 0, 0},
};

const struct kit_step receipt_kit_deposit[] = {
	{KIT_CHARTER, 0, 0, 0},
	{KIT_DEVICES, 1, 0, HOUR},
	{KIT_DIRECTORY, 0, 0, 16 * DAY},
	{KIT_DEPOSIT, 1, 0, 17 * DAY},
	{KIT_END, 0, 0, 0},
};

static void need(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "receipt_kit: %s failed\n", what);
		abort();
	}
}

static struct bytes kept(struct receipt_kit *k, struct bytes b)
{
	uint8_t *copy = fixed_alloc(k->arena, b.len + 1);

	memcpy(copy, b.data, b.len);
	return bytes_make(copy, b.len);
}

static ProtobufCBinaryData pb_kept(struct receipt_kit *k, const uint8_t *data, size_t len)
{
	return pb_of(kept(k, bytes_make(data, len)));
}

/* ---- the log */

static bool put_node(void *user, unsigned level, uint64_t index, const merkle_hash hash)
{
	struct receipt_kit *k = user;

	need(merkle_position(level, index) == k->node_count && k->node_count < 2 * LEAVES_MAX, "order of nodes");
	memcpy(k->nodes[k->node_count++], hash, 32);
	return true;
}

static bool get_node(void *user, unsigned level, uint64_t index, merkle_hash out)
{
	struct receipt_kit *k = user;

	memcpy(out, k->nodes[merkle_position(level, index)], 32);
	return true;
}

static struct bytes log_append(struct receipt_kit *k, unsigned type, int64_t time_ms, const uint8_t oh[32])
{
	uint8_t entry[MERKLE_ENTRY_MAX_BYTES];
	struct bytes packed = bytes_make(entry, merkle_entry(entry, type, time_ms, oh));
	merkle_hash leaf;

	merkle_leaf(leaf, packed);
	k->index = k->edge.size;
	need(merkle_append(&k->edge, leaf, put_node, k) == RK_OK, "merkle_append");
	return kept(k, packed);
}

static void log_object(struct receipt_kit *k, const struct kit_step *s, struct kit_list *list, unsigned type, struct bytes payload,
                       struct bytes sig, const uint8_t oh[32])
{
	struct receipt_object *o = &list->objects[list->count];
	int64_t time_ms = FIXED_TIME_MS + s->at_ms;
	uint8_t logged[32];

	need(list->count < RECEIPT_KIT_OBJECTS, "room for objects");
	memcpy(logged, oh, 32);
	if (k->bend_entry)
		k->bend_entry(k, s, &type, &time_ms, logged);
	o->payload = kept(k, payload);
	o->sig = kept(k, sig);
	o->entry = log_append(k, type, time_ms, logged);
	list->index[list->count++] = k->index;
}

/* Bends, signs and logs. */
static void log_signed(struct receipt_kit *k, const struct kit_step *s, struct kit_list *list, enum object_kind kind,
                       ProtobufCMessage *m, const uint8_t *sk)
{
	uint8_t sig[64], oh[32];
	struct bytes payload;

	if (k->bend)
		k->bend(k, s, m, &sk);
	need(strict_pack(m, k->arena, &payload) == RK_OK, "strict_pack");
	need(object_sign(kind, k->f.exchange_id, sk, payload, sig) == RK_OK, "object_sign");
	object_hash(oh, kind, k->f.exchange_id, payload, BYTES_OF(sig));
	if (list == &k->acts)
		memcpy(k->act_oh[list->count], oh, 32);
	log_object(k, s, list, object_info(kind)->log_type, payload, BYTES_OF(sig), oh);
}

/* ---- steps */

/* Org 0 and all others, as the two of fixed_terms. */
static void set_parties(struct receipt_kit *k, Rk__NdaTerms *t)
{
	Rk__Party **parties = fixed_alloc(k->arena, (size_t)k->party_count * sizeof(*parties));
	uint8_t fp[32];

	for (int i = 0; i < k->party_count; i++) {
		ids_sha256(fp, BYTES_OF(k->f.orgs[i].org.pk));
		parties[i] = fixed_alloc(k->arena, sizeof(**parties));
		*parties[i] = *t->parties[0];
		parties[i]->org_id = pb_kept(k, k->f.orgs[i].org_id, 16);
		parties[i]->org_key_fp = pb_kept(k, fp, 32);
	}
	t->parties = parties;
	t->n_parties = (size_t)k->party_count;
}

static void add_terms(struct receipt_kit *k, const struct kit_step *s)
{
	Rk__NdaTerms *t = fixed_terms(&k->f, k->arena);
	Rk__NdaCover cover = RK__NDA_COVER__INIT;
	struct bytes packed, parts[2];
	uint8_t commit[32];
	Rk__CoverParty *list[FIXED_ORGS_MAX], rows[FIXED_ORGS_MAX];

	if (k->party_count > 0)
		set_parties(k, t);
	cover.version = 1;
	cover.language = "en";
	cover.purpose = "To weigh a joint development.";
	cover.n_parties = t->n_parties;
	cover.parties = list;
	for (size_t i = 0; i < t->n_parties; i++) {
		rk__cover_party__init(&rows[i]);
		rows[i].org_id = t->parties[i]->org_id;
		rows[i].legal_name = "A party";
		list[i] = &rows[i];
		if (k->is_one_way)
			t->parties[i]->may_disclose = memcmp(t->parties[i]->org_id.data, k->f.orgs[1].org_id, 16) == 0;
	}
	need(STRICT_PACK(&cover, k->arena, &packed) == RK_OK, "pack of the cover");
	k->parts.cover = packed;
	k->parts.document = bytes_str(document);
	k->parts.doc_salt = bytes_of(fixed_data(k->arena, 32, "doc salt"));
	nda_doc_commit(commit, k->parts.doc_salt.data, packed, k->parts.document);
	t->doc_commit = pb_kept(k, commit, 32);
	t->cover_len = (uint32_t)packed.len;
	t->doc_len = (uint32_t)k->parts.document.len;
	if (k->bend)
		k->bend(k, s, &t->base, NULL);
	need(STRICT_PACK(t, k->arena, &packed) == RK_OK, "pack of the terms");
	parts[0] = BYTES_OF(k->f.exchange_id);
	parts[1] = packed;
	ids_hash_parts(k->nda_id, "renkei/v1/nda-id", parts, 2);
	log_object(k, s, &k->terms, RK__LOG_TYPE__LOG_NDA_TERMS, packed, bytes_make("", 0), k->nda_id);
}

static ProtobufCBinaryData nda_set(struct receipt_kit *k)
{
	static struct nda_act acts[NDA_ACTS_MAX];
	uint8_t set[32];

	memset(acts, 0, sizeof(acts));
	for (size_t i = 0; i < k->acts.count; i++)
		memcpy(acts[i].oh, k->act_oh[i], 32);
	nda_set_of(set, k->nda_id, acts, k->acts.count);
	return pb_kept(k, set, 32);
}

static void add_act(struct receipt_kit *k, const struct kit_step *s)
{
	Rk__NdaAct *act = fixed_act(&k->f, s->org, (Rk__ActKind)s->arg, k->arena);
	bool is_hold = act->kind == RK__ACT_KIND__HOLD;
	const struct fixed_org *o = &k->f.orgs[s->org];

	act->nda_id = pb_kept(k, k->nda_id, 32);
	act->signed_at = FIXED_TIME_MS + s->at_ms;
	log_signed(k, s, &k->acts, is_hold ? OBJECT_KIND_NDA_HOLD : OBJECT_KIND_NDA_ACT, &act->base,
	           is_hold ? o->device.sk : o->org.sk);
}

static struct bytes body_plain(struct receipt_kit *k, struct bytes message)
{
	size_t room = (message.len / ENVELOPE_PAD_BYTES + 1) * ENVELOPE_PAD_BYTES, padded;
	uint8_t *plain = fixed_alloc(k->arena, ENVELOPE_SALT_BYTES + room);
	struct envelope_random random;

	fixed_random(&random, "envelope");
	memcpy(plain, random.salt, ENVELOPE_SALT_BYTES);
	memcpy(plain + ENVELOPE_SALT_BYTES, message.data, message.len);
	need(sodium_pad(&padded, plain + ENVELOPE_SALT_BYTES, message.len, ENVELOPE_PAD_BYTES, room) == 0, "sodium_pad");
	return bytes_make(plain, ENVELOPE_SALT_BYTES + padded);
}

static void add_envelope(struct receipt_kit *k, const struct kit_step *s)
{
	unsigned to = k->to ? k->to : k->party_count > 0 ? ((1u << k->party_count) - 1) & ~2u : 4u;
	Rk__EnvelopeHeader *h = fixed_header(&k->f, k->kind ? k->kind : RK__KIND__NDA, s->org, to, k->arena);
	struct bytes message = k->attachment_count > 0 ? receipt_kit_attach(k, h) : fixed_message("How hot the kiln must be.", k->arena);
	struct fixed_sign own = k->f.orgs[s->org].device;
	const uint8_t *sk = own.sk;
	struct envelope_wire wire;
	struct envelope e;

	h->nda_id = pb_kept(k, k->nda_id, 32);
	h->nda_set = nda_set(k);
	h->created_at = FIXED_TIME_MS + s->at_ms;
	h->expires_at = h->created_at + 10 * DAY;
	if (k->bend)
		k->bend(k, s, &h->base, &sk);
	memcpy(k->f.orgs[s->org].device.sk, sk, 64);
	need(fixed_seal(&k->f, h, s->org, to, message, k->arena, &wire) == RK_OK, "fixed_seal");
	k->f.orgs[s->org].device = own;
	need(envelope_parse(wire.head, k->arena, &e) == RK_OK, "envelope_parse");
	memcpy(k->env_id, wire.env_id, 32);
	k->parts.body_plain = body_plain(k, message);
	log_object(k, s, &k->envelope, RK__LOG_TYPE__LOG_DISCLOSURE, e.head_bytes, e.sig, wire.oh);
}

static void add_pickup(struct receipt_kit *k, const struct kit_step *s)
{
	Rk__Pickup *p = fixed_pickup(&k->f, s->org, k->arena);

	p->env_ids[0] = pb_kept(k, k->env_id, 32);
	p->nda_id = pb_kept(k, k->nda_id, 32);
	p->nda_set = nda_set(k);
	p->time = FIXED_TIME_MS + s->at_ms;
	log_signed(k, s, &k->pickups, OBJECT_KIND_PICKUP, &p->base, k->f.orgs[s->org].device.sk);
}

static void add_nack(struct receipt_kit *k, const struct kit_step *s)
{
	Rk__Nack *n = fixed_nack(&k->f, s->org, (Rk__NackReason)s->arg, k->arena);

	n->env_id = pb_kept(k, k->env_id, 32);
	n->nda_id = pb_kept(k, k->nda_id, 32);
	log_signed(k, s, &k->nacks, OBJECT_KIND_NACK, &n->base, k->f.orgs[s->org].device.sk);
}

static void add_deposit(struct receipt_kit *k, const struct kit_step *s)
{
	Rk__Deposit *d = fixed_deposit(&k->f, s->org, k->arena);
	uint8_t *plain = fixed_alloc(k->arena, RECEIPT_DEPOSIT_PLAIN_BYTES), commit[32];

	k->parts.file = bytes_str("What we had before.\n");
	fixed_bytes(plain, 32, "deposit salt");
	ids_sha256(plain + 32, k->parts.file);
	k->parts.deposit_plain = bytes_make(plain, RECEIPT_DEPOSIT_PLAIN_BYTES);
	receipt_deposit_commit(commit, plain, plain + 32);
	d->commit = pb_kept(k, commit, 32);
	log_signed(k, s, &k->deposit, OBJECT_KIND_DEPOSIT, &d->base, k->f.orgs[s->org].device.sk);
}

static void add_directory(struct receipt_kit *k, const struct kit_step *s)
{
	Rk__Directory *d = fixed_directory(&k->f, k->arena);

	d->issued_at = FIXED_TIME_MS + s->at_ms;
	d->expires_at = d->issued_at + TRUST_DIRECTORY_AGE_MS;
	log_signed(k, s, &k->directory, OBJECT_KIND_DIRECTORY, &d->base, k->f.secretariat.sk);
}

static void add_filler(struct receipt_kit *k, const struct kit_step *s)
{
	uint8_t oh[32];

	for (int i = 0; i < s->arg; i++) {
		fixed_bytes(oh, sizeof(oh), "others");
		log_append(k, RK__LOG_TYPE__LOG_DISCLOSURE, FIXED_TIME_MS + s->at_ms, oh);
	}
}

static void add_step(struct receipt_kit *k, const struct kit_step *s)
{
	switch (s->what) {
	case KIT_CHARTER:
		log_signed(k, s, &k->charter, OBJECT_KIND_CHARTER, &fixed_charter(&k->f, k->arena)->base, k->f.root.sk);
		break;
	case KIT_DEVICES:
		log_signed(k, s, &k->devices, OBJECT_KIND_ORG_DEVICES, &fixed_org_devices(&k->f, s->org, k->arena)->base,
		           k->f.orgs[s->org].org.sk);
		break;
	case KIT_DIRECTORY: add_directory(k, s); break;
	case KIT_TERMS: add_terms(k, s); break;
	case KIT_ACT: add_act(k, s); break;
	case KIT_ENVELOPE: add_envelope(k, s); break;
	case KIT_PICKUP: add_pickup(k, s); break;
	case KIT_NACK: add_nack(k, s); break;
	case KIT_DEPOSIT: add_deposit(k, s); break;
	case KIT_FILLER: add_filler(k, s); break;
	case KIT_END: break;
	}
}

/* ---- proofs */

/* A way up to a tree of that size that has this leaf: what stands beside it is made up, so the root is its own. */
static void deep_path(uint64_t index, uint64_t size, const uint8_t *entry, size_t len, merkle_hash *path, size_t *n, merkle_hash root)
{
	uint64_t fn = index, sn = size - 1;

	merkle_leaf(root, bytes_make(entry, len));
	for (*n = 0; sn > 0; fn >>= 1, sn >>= 1) {
		if (fn % 2 == 0 && fn == sn)
			continue;
		fixed_bytes(path[*n], 32, "beside");
		if (fn % 2 == 1)
			merkle_node(root, path[*n], root);
		else
			merkle_node(root, root, path[*n]);
		(*n)++;
	}
}

static struct note sign_tree(struct receipt_kit *k, struct checkpoint *c)
{
	struct note_key witness = {.type = NOTE_TYPE_WITNESS};
	struct note note;

	note_origin(c->origin, k->f.exchange_id, 1);
	note_witness_name(witness.name, k->f.exchange_id);
	memcpy(witness.pk, k->f.witness.pk, 32);
	note_sign(&note, c, k->f.log.sk);
	if (!k->is_uncosigned)
		need(note_cosign(&note, bytes_make(note.text, note.len), &witness, k->f.witness.sk, k->witness_ms / 1000) == RK_OK,
		     "note_cosign");
	return note;
}

struct note receipt_kit_checkpoint(struct receipt_kit *k, uint64_t size)
{
	struct checkpoint c = {.size = size};

	need(merkle_root(size, get_node, k, c.root) == RK_OK, "merkle_root");
	return sign_tree(k, &c);
}

size_t receipt_kit_consistency(struct receipt_kit *k, uint64_t size1, uint64_t size2, merkle_hash proof[MERKLE_PROOF_MAX])
{
	size_t n;

	need(merkle_consistency(size1, size2, get_node, k, proof, &n) == RK_OK, "merkle_consistency");
	return n;
}

void receipt_kit_prove(struct receipt_kit *k, struct receipt_object *o, uint64_t index)
{
	struct checkpoint c = {.size = k->has_many_checkpoints ? index + 1 : k->edge.size};
	merkle_hash path[MERKLE_PROOF_MAX];
	uint8_t text[NOTE_PROOF_MAX_BYTES];
	struct note note;
	size_t n = 0;

	if (k->deep_size) {
		c.size = k->deep_size + index;
		deep_path(index, c.size, o->entry.data, o->entry.len, path, &n, c.root);
	} else {
		need(merkle_root(c.size, get_node, k, c.root) == RK_OK, "merkle_root");
		need(merkle_inclusion(index, c.size, get_node, k, path, &n) == RK_OK, "merkle_inclusion");
	}
	note = sign_tree(k, &c);
	o->proof = kept(k, bytes_make(text, note_proof_write(text, sizeof(text), index, path, n, bytes_make(note.text, note.len))));
}

static void prove_all(struct receipt_kit *k, struct kit_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		receipt_kit_prove(k, &list->objects[i], list->index[i]);
}

static void make_room(struct receipt_kit *k, struct kit_list *list)
{
	list->objects = fixed_alloc(k->arena, RECEIPT_KIT_OBJECTS * sizeof(*list->objects));
	list->index = fixed_alloc(k->arena, RECEIPT_KIT_OBJECTS * sizeof(*list->index));
	memset(list->objects, 0, RECEIPT_KIT_OBJECTS * sizeof(*list->objects));
	list->count = 0;
}

/* The sender's list first. */
static void sort_devices(struct receipt_kit *k)
{
	for (size_t i = 1; i < k->devices.count; i++) {
		Rk__OrgDevices *list;
		struct receipt_object moved = k->devices.objects[i];

		need(STRICT_PARSE(org_devices, moved.payload, k->arena, &list) == RK_OK, "parse of a list");
		if (memcmp(list->org_id.data, k->f.orgs[1].org_id, 16) != 0)
			continue;
		memmove(&k->devices.objects[1], &k->devices.objects[0], i * sizeof(moved));
		k->devices.objects[0] = moved;
	}
}

void receipt_kit_run(struct receipt_kit *k, struct arena *a)
{
	struct kit_list *lists[] = {&k->charter, &k->directory, &k->devices, &k->terms, &k->envelope,
	                            &k->acts, &k->pickups, &k->nacks, &k->deposit};
	struct receipt_parts *p = &k->parts;
	int64_t last_ms = 0;

	k->arena = a;
	k->party_count = k->is_three ? 3 : k->party_count;
	fixed_init_many(&k->f, k->party_count > FIXED_ORGS ? k->party_count : FIXED_ORGS);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		make_room(k, lists[i]);
	k->nodes = fixed_alloc(a, 2 * LEAVES_MAX * sizeof(*k->nodes));
	for (const struct kit_step *s = k->steps; s->what != KIT_END; s++) {
		add_step(k, s);
		last_ms = FIXED_TIME_MS + s->at_ms;
	}
	if (!k->witness_ms)
		k->witness_ms = last_ms + HOUR;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		prove_all(k, lists[i]);
	sort_devices(k);
	p->exchange_id = k->f.exchange_id;
	p->charter = k->charter.objects[0];
	p->directory = k->directory.objects[0];
	p->devices = k->devices.objects;
	p->device_count = k->devices.count;
	p->terms = k->terms.objects[0];
	p->envelope = k->envelope.objects[0];
	p->acts = k->acts.objects;
	p->act_count = k->acts.count;
	p->pickups = k->pickups.objects;
	p->pickup_count = k->pickups.count;
	p->nacks = k->nacks.objects;
	p->nack_count = k->nacks.count;
	p->deposit = k->deposit.objects[0];
	if (k->has_content) {
		p->identities = (const uint8_t (*)[32])k->identities;
		p->identity_count = k->attachment_count;
		return;
	}
	p->body_plain = p->cover = p->document = p->doc_salt = p->file = bytes_make(NULL, 0);
}

struct bytes receipt_kit_make(struct receipt_kit *k, struct arena *a)
{
	struct receipt out;
	struct bytes archive;
	int r;

	receipt_kit_run(k, a);
	if ((r = receipt_make(&k->parts, a, &archive, &out)) != RK_OK) {
		const struct receipt_check *last = out.check_count ? &out.checks[out.check_count - 1] : NULL;

		fprintf(stderr, "receipt_kit: %d, %s of %s: %s\n", r, last ? receipt_step_name(last->step) : "parts",
		        last ? last->member : "", errcode_name(last ? last->code : r));
		abort();
	}
	return out.has_attachments ? receipt_kit_tail(k, archive, &out, k->blobs) : archive;
}
