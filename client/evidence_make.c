/*
 * Assembling: the copies, each with its leaf and proof, and of the device lists those that stood when somebody signed, as evidence_choose.c
 * chooses them; whatever these pages get wrong, receipt_make does not give out.
 */
#include <stdlib.h>

#include <sodium.h>

#include "client/agreement.h"
#include "client/client_internal.h"
#include "client/evidence_internal.h"
#include "client/log.h"
#include "proto/strict.h"

struct making {
	struct client *c;
	struct txn *t;
	struct arena *a;
	const Rkl__EvidenceRecord *record;
	struct evidence_lack *lack;
	unsigned lists_left_out, left_out; /* not proven yet */
	bool has_unplaced_act;             /* of which the log has not told its place: where it stood is not known */
	unsigned log;                      /* number of the log that the charter names: all proofs are of this one */
	struct evidence_piece charter, directory, terms, object;
	const uint8_t *sender_org;
	struct evidence_choice choice;
	struct receipt_parts parts;
	struct receipt_object *shown_devices, *shown_acts, *shown_pickups, *shown_nacks; /* room for those that parts shows */
};

static void *room(struct making *m, size_t len)
{
	arena_raise(m->a, len + 32);
	return arena_alloc(m->a, len + 1);
}

static int lacks(struct making *m, const char *part, enum evidence_why why)
{
	*m->lack = (struct evidence_lack){.part = part, .why = why};
	return RK_ENOTFOUND;
}

/* ---- pieces */

static int load_leaf(struct making *m, const char *part, const uint8_t oh[32], struct evidence_piece *p)
{
	uint8_t entry[MERKLE_ENTRY_MAX_BYTES], *copy;
	struct log_leaf leaf;
	int64_t witness_ms;
	size_t len;
	int r = log_leaf_in(m->t, m->log, oh, &leaf);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? lacks(m, part, EVIDENCE_NO_LEAF) : r;
	p->index = leaf.index;
	len = merkle_entry(entry, leaf.type, leaf.time_ms, leaf.oh);
	if ((copy = room(m, len)) == NULL)
		return RK_ENOMEM;
	memcpy(copy, entry, len);
	p->o.entry = bytes_make(copy, len);
	r = log_leaf_proof(m->c, m->t, &leaf, m->a, &p->o.proof, &witness_ms);
	return r == RK_ENOTFOUND ? lacks(m, part, EVIDENCE_NO_PROOF) : r;
}

static int parse_piece(struct making *m, enum object_kind kind, struct bytes wire, struct evidence_piece *p)
{
	struct object o;
	int r = object_parse(kind, wire, m->a, &o);

	if (r != RK_OK)
		return r > 0 ? RK_ESTORE : r;
	p->o.payload = o.payload;
	p->o.sig = o.sig;
	p->message = o.message;
	return RK_OK;
}

/* kind OBJECT_KIND_COUNT: terms, which are no Signed. */
static int load_piece(struct making *m, const char *part, enum object_kind kind, ProtobufCBinaryData oh, struct evidence_piece *p)
{
	uint8_t key[EVIDENCE_KEY_BYTES], *copy;
	struct bytes value;
	int r;

	if (oh.len != 32)
		return lacks(m, part, EVIDENCE_NO_COPY);
	evidence_key(key, EVIDENCE_OBJECT, oh.data);
	if ((r = env_get(m->t, C_EVIDENCE, BYTES_OF(key), &value)) != RK_OK)
		return r == RK_ENOTFOUND ? lacks(m, part, EVIDENCE_NO_COPY) : r;
	if (kind == OBJECT_KIND_COUNT) {
		if ((copy = room(m, value.len)) == NULL)
			return RK_ENOMEM;
		memcpy(copy, value.data, value.len);
		p->o.payload = bytes_make(copy, value.len);
	} else if ((r = parse_piece(m, kind, value, p)) != RK_OK) {
		return r;
	}
	return load_leaf(m, part, oh.data, p);
}

static int load_charter(struct making *m, const uint8_t oh[32], struct bytes wire)
{
	struct note_key log;
	int r = parse_piece(m, OBJECT_KIND_CHARTER, wire, &m->charter);

	if (r != RK_OK)
		return r;
	if (note_key_parse(&log, ((const Rk__Charter *)(const void *)m->charter.message)->log_vkey) != RK_OK)
		return RK_ESTORE;
	m->log = note_origin_number(log.name, client_exchange_id(m->c));
	return load_leaf(m, "charter", oh, &m->charter);
}

static int by_index(const void *a, const void *b)
{
	const struct evidence_piece *x = a, *y = b;

	return x->index == y->index ? 0 : x->index < y->index ? -1 : 1;
}

/* All of a list, by index.  left_out: how many have no proof yet.  NULL: all are kept, with what they lack; the place of one is last where
 * the log has not told it. */
static int load_pieces(struct making *m, const char *part, enum object_kind kind, const ProtobufCBinaryData *oh, size_t n,
                       unsigned *left_out, struct evidence_pieces *out)
{
	int r;

	if ((out->list = room(m, n * sizeof(*out->list))) == NULL)
		return RK_ENOMEM;
	memset(out->list, 0, n * sizeof(*out->list));
	for (size_t i = 0; i < n; i++) {
		struct evidence_piece *p = &out->list[out->n];

		memset(p, 0, sizeof(*p));
		r = load_piece(m, part, kind, oh[i], p);
		if (r == RK_ENOTFOUND && left_out) {
			(*left_out)++;
			continue;
		}
		if (r != RK_OK && r != RK_ENOTFOUND)
			return r;
		if (r == RK_ENOTFOUND) {
			p->lack = m->lack->why;
			p->index = p->lack == EVIDENCE_NO_PROOF ? p->index : UINT64_MAX;
		}
		out->n++;
	}
	if (out->n > 1)
		qsort(out->list, out->n, sizeof(*out->list), by_index);
	return RK_OK;
}

/* ---- showing what was chosen */

/* The sender's list as it stood at the event first; then the others that are needed, by index. */
static int put_lists(struct making *m)
{
	const struct evidence_pieces *all = &m->choice.devices;
	const struct evidence_piece *first = evidence_sender_list(&m->choice, m->sender_org);

	if (first == NULL)
		return lacks(m, "orgdevices-A", m->lists_left_out > 0 ? EVIDENCE_NO_PROOF : EVIDENCE_NO_COPY);
	m->shown_devices[0] = first->o;
	m->parts.device_count = 1;
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].is_needed && &all->list[i] != first)
			m->shown_devices[m->parts.device_count++] = all->list[i].o;
	m->parts.devices = m->shown_devices;
	return RK_OK;
}

static int put_acts(struct making *m)
{
	for (size_t i = 0; i < m->choice.shown_acts; i++) {
		if (m->choice.acts.list[i].lack != EVIDENCE_NONE)
			return lacks(m, "act", m->choice.acts.list[i].lack);
		m->shown_acts[i] = m->choice.acts.list[i].o;
	}
	m->parts.acts = m->shown_acts;
	m->parts.act_count = m->choice.shown_acts;
	return RK_OK;
}

static void put_answers(const struct evidence_chosen *from, struct receipt_object *room, const struct receipt_object **list, size_t *n)
{
	for (size_t i = 0; i < from->n; i++)
		room[i] = from->list[i]->o;
	*list = room;
	*n = from->n;
}

static int put_chosen(struct making *m)
{
	int r;

	if (m->record->is_deposit)
		return put_lists(m);
	evidence_choose(&m->choice);
	put_answers(&m->choice.shown_pickups, m->shown_pickups, &m->parts.pickups, &m->parts.pickup_count);
	put_answers(&m->choice.shown_nacks, m->shown_nacks, &m->parts.nacks, &m->parts.nack_count);
	return (r = put_lists(m)) == RK_OK ? put_acts(m) : r;
}

static int make_rooms(struct making *m)
{
	m->shown_devices = room(m, (m->choice.devices.n + 1) * sizeof(*m->shown_devices));
	m->shown_acts = room(m, (m->choice.acts.n + 1) * sizeof(*m->shown_acts));
	m->shown_pickups = room(m, RECEIPT_PICKUPS_MAX * sizeof(*m->shown_pickups));
	m->shown_nacks = room(m, RECEIPT_PICKUPS_MAX * sizeof(*m->shown_nacks));
	return m->shown_devices && m->shown_acts && m->shown_pickups && m->shown_nacks ? RK_OK : RK_ENOMEM;
}

/* ---- content */

/* The keys of the attachments: they stand in the message. */
static int put_identities(struct making *m, struct bytes packed)
{
	const Rk__EnvelopeHeader *h = m->choice.header;
	uint8_t (*identities)[32] = room(m, RECEIPT_ATTACHMENTS_MAX * sizeof(*identities));
	Rk__Message *message;

	if (identities == NULL)
		return RK_ENOMEM;
	if (message_read(packed, m->a, &message) != MESSAGE_OK)
		return lacks(m, "attachment", EVIDENCE_NO_COPY);
	for (size_t i = 0; i < h->n_blobs; i++) {
		const Rk__DossierFile *f = receipt_find_file(message, h->blobs[i]);

		if (f == NULL)
			return lacks(m, "attachment", EVIDENCE_NO_COPY);
		memcpy(identities[i], f->age_identity.data, 32);
	}
	m->parts.identities = (const uint8_t (*)[32])identities;
	m->parts.identity_count = h->n_blobs;
	return RK_OK;
}

static int put_body(struct making *m, const uint8_t id[32], enum evidence_content content)
{
	struct bytes salt, message;
	uint8_t *plain;
	size_t len;
	int r;

	if ((r = evidence_open_salt(m->c, m->t, id, false, m->a, &salt)) != RK_OK ||
	    (r = content_get(m->c, m->t, id, true, m->a, &message)) != RK_OK)
		return r == RK_ENOTFOUND || r == RK_EINTEGRITY ? lacks(m, "body_plain", EVIDENCE_NO_COPY) : r;
	if (salt.len != ENVELOPE_SALT_BYTES)
		return RK_ESTORE;
	arena_raise(m->a, message.len + 2 * ENVELOPE_PAD_BYTES + ENVELOPE_SALT_BYTES);
	if ((r = envelope_plain(message, salt.data, m->a, &plain, &len)) == RK_OK)
		m->parts.body_plain = bytes_make(plain, len);
	if (r == RK_OK && content == EVIDENCE_ATTACHMENTS && m->choice.header->n_blobs > 0)
		r = put_identities(m, message);
	return r;
}

static int put_document(struct making *m)
{
	struct agreement *ag;
	int r = agreement_load(m->c, m->t, m->choice.header->nda_id.data, true, m->a, &ag);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? lacks(m, "nda-document", EVIDENCE_NO_COPY) : r;
	if (ag->proposal == NULL)
		return lacks(m, "nda-document", EVIDENCE_NO_COPY);
	m->parts.cover = bytes_of(ag->proposal->cover);
	m->parts.document = bytes_of(ag->proposal->document);
	m->parts.doc_salt = bytes_of(ag->proposal->doc_salt);
	return RK_OK;
}

/* ---- the whole */

static int load_disclosure(struct making *m, const uint8_t id[32], enum evidence_content content)
{
	Rk__EnvelopeHead *head = (Rk__EnvelopeHead *)(uintptr_t)m->object.message;
	const Rkl__EvidenceRecord *k = m->record;
	struct evidence_choice *all = &m->choice;
	Rk__EnvelopeHeader *header;
	int r;

	if ((r = STRICT_PARSE(envelope_header, bytes_of(head->header), m->a, &header)) != RK_OK)
		return r > 0 ? RK_ESTORE : r;
	all->header = header;
	m->sender_org = header->sender_org.data;
	m->parts.envelope = m->object.o;
	if ((r = load_piece(m, "terms", OBJECT_KIND_COUNT, k->terms, &m->terms)) != RK_OK ||
	    (r = load_pieces(m, "pickup", OBJECT_KIND_PICKUP, k->pickups, k->n_pickups, &m->left_out, &all->pickups)) != RK_OK ||
	    (r = load_pieces(m, "nack", OBJECT_KIND_NACK, k->nacks, k->n_nacks, &m->left_out, &all->nacks)) != RK_OK ||
	    (r = load_pieces(m, "act", OBJECT_KIND_NDA_ACT, k->acts, k->n_acts, NULL, &all->acts)) != RK_OK)
		return r;
	m->has_unplaced_act = all->acts.n > 0 && all->acts.list[all->acts.n - 1].index == UINT64_MAX;
	m->parts.terms = m->terms.o;
	m->left_out += evidence_drop_later_pickups(all, &m->directory, client_exchange_id(m->c));
	if (content == EVIDENCE_BARE)
		return RK_OK;
	return (r = put_body(m, id, content)) == RK_OK ? put_document(m) : r;
}

static int load_deposit(struct making *m, const uint8_t id[32])
{
	int r = evidence_open_salt(m->c, m->t, id, true, m->a, &m->parts.deposit_plain);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? lacks(m, "deposit_plain", EVIDENCE_NO_COPY) : r;
	m->parts.deposit = m->object.o;
	m->sender_org = ((const Rk__Deposit *)(const void *)m->object.message)->org_id.data;
	return RK_OK;
}

/* The receipt that follows from one charter, whose log all its proofs are of. */
struct attempt {
	int code;
	struct bytes archive;
	struct receipt out;
	struct evidence_lack lack;
};

static int load(struct making *m, const uint8_t charter_oh[32], struct bytes charter, const uint8_t id[32], enum evidence_content content)
{
	const Rkl__EvidenceRecord *k = m->record;
	int r;

	if ((r = load_charter(m, charter_oh, charter)) != RK_OK ||
	    (r = load_piece(m, "directory", OBJECT_KIND_DIRECTORY, k->directory, &m->directory)) != RK_OK ||
	    (r = load_piece(m, k->is_deposit ? "deposit" : "envelope", k->is_deposit ? OBJECT_KIND_DEPOSIT : OBJECT_KIND_ENVELOPE,
	                    k->object, &m->object)) != RK_OK ||
	    (r = load_pieces(m, "orgdevices", OBJECT_KIND_ORG_DEVICES, k->devices, k->n_devices, &m->lists_left_out,
	                     &m->choice.devices)) != RK_OK)
		return r;
	evidence_drop_later_lists(&m->choice, &m->directory, client_exchange_id(m->c));
	m->parts.exchange_id = client_exchange_id(m->c);
	m->parts.charter = m->charter.o;
	m->parts.directory = m->directory.o;
	m->choice.index = m->object.index;
	if ((r = k->is_deposit ? load_deposit(m, id) : load_disclosure(m, id, content)) != RK_OK)
		return r;
	return make_rooms(m);
}

/* Does the receipt fail by an answer, or by a list under one?  Then it is made without that. */
static bool is_without(struct making *m, const struct receipt *out)
{
	return !m->record->is_deposit && out->check_count > 0 &&
	       evidence_blame(&m->choice, evidence_sender_list(&m->choice, m->sender_org), out->checks[out->check_count - 1].member);
}

/* What the first try shows to be bad is found in memory that is given back each time; what is given out stands in the caller's. */
static int find_bad(struct making *m)
{
	struct bytes archive;
	struct receipt out;
	int r;

	do {
		struct arena *scratch = arena_new(0);

		if (scratch == NULL)
			return RK_ENOMEM;
		if ((r = put_chosen(m)) == RK_OK)
			r = receipt_make(&m->parts, scratch, &archive, &out);
		if (r == RK_EINTEGRITY && !is_without(m, &out))
			r = RK_OK;
		arena_free_wiped(scratch);
	} while (r == RK_EINTEGRITY);
	return r;
}

static void tell_left_out(const struct making *m, struct evidence_lack *lack)
{
	const struct evidence_choice *k = &m->choice;

	*lack = (struct evidence_lack){.part = "", .left_out = m->left_out + k->left_out};
	/* What seems to know other acts may know one whose place we have not been told. */
	if (m->has_unplaced_act) {
		lack->left_out += k->bad_pickups + k->bad_nacks;
		return;
	}
	lack->bad_pickups = k->bad_pickups;
	lack->bad_nacks = k->bad_nacks;
}

static int assemble(struct making *m, struct attempt *x)
{
	int r = put_chosen(m);

	if (r == RK_OK)
		r = receipt_make(&m->parts, m->a, &x->archive, &x->out);
	if (r == RK_EINTEGRITY && is_without(m, &x->out) && (r = find_bad(m)) == RK_OK)
		r = receipt_make(&m->parts, m->a, &x->archive, &x->out);
	if (r == RK_EINTEGRITY && m->has_unplaced_act && x->out.checks[x->out.check_count - 1].step == RECEIPT_NDA_SET)
		return lacks(m, "act", EVIDENCE_NO_LEAF);
	if (r == RK_OK)
		tell_left_out(m, &x->lack);
	return r;
}

static unsigned all_left_out(const struct evidence_lack *lack)
{
	return lack->left_out + lack->bad_pickups + lack->bad_nacks;
}

static bool is_better(const struct attempt *x, const struct attempt *than)
{
	return x->code == RK_OK && (than->code != RK_OK || all_left_out(&x->lack) < all_left_out(&than->lack));
}

/*
 * An older charter may be of an older log; after a restore that one may have what the next one lost, and lacks what came since.  So
 * they are tried from the newest on, and the receipt that leaves least out is the one; where there is none, what the newest lacks is told.
 */
int evidence_receipt(struct client *c, struct txn *t, const uint8_t id[32], enum evidence_content content, struct bytes file, struct arena *a,
                     struct bytes *archive, struct receipt *out, struct evidence_lack *lack)
{
	struct attempt best = {.code = RK_ENOTFOUND, .lack = {.part = ""}};
	Rkl__EvidenceRecord *record;
	struct bytes charter;
	uint64_t serial;
	uint8_t oh[32];
	int tried = 0, r = evidence_load(t, id, a, &record);

	if (r == RK_OK)
		r = book_newest(t, RK__OBJECT_TYPE__OBJECT_CHARTER, NULL, &serial, oh, &charter);
	while (r == RK_OK && (best.code != RK_OK || all_left_out(&best.lack) > 0)) {
		struct attempt x = {.lack = {.part = ""}};
		struct making m = {.c = c, .t = t, .a = a, .record = record, .lack = &x.lack};

		if (record->is_deposit && content != EVIDENCE_BARE)
			m.parts.file = file;
		if ((x.code = load(&m, oh, charter, id, content)) == RK_OK)
			x.code = assemble(&m, &x);
		if (tried++ == 0 || is_better(&x, &best))
			best = x;
		r = book_older(t, RK__OBJECT_TYPE__OBJECT_CHARTER, NULL, &serial, oh, &charter);
	}
	*archive = best.archive;
	*out = best.out;
	*lack = best.lack;
	return r == RK_OK || r == RK_ENOTFOUND ? best.code : r;
}
