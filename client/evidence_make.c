/*
 * Assembling: the copies, each with its leaf and proof, and of the device lists those that stood when somebody signed.  The choice is the
 * verifier's rule read backwards (proto/receipt.h); whatever this page gets wrong, receipt_make does not give out.
 */
#include <stdlib.h>

#include <sodium.h>

#include "client/agreement.h"
#include "client/client_internal.h"
#include "client/evidence_internal.h"
#include "client/log.h"
#include "proto/strict.h"

/* One copy, as it goes into the receipt. */
struct piece {
	struct receipt_object o;
	uint64_t index;
	const ProtobufCMessage *message;
	bool is_needed;
};

struct pieces {
	struct piece *list;
	size_t n;
};

struct making {
	struct client *c;
	struct txn *t;
	struct arena *a;
	const Rkl__EvidenceRecord *record;
	struct evidence_lack *lack;
	unsigned lists_left_out, left_out; /* not proven yet, or not by a device that we know */
	unsigned log; /* number of the log that the charter names: all proofs are of this one */
	struct piece charter, directory, terms, object;
	struct pieces devices, acts, pickups, nacks;
	const Rk__EnvelopeHeader *header;
	struct receipt_parts parts;
};

static void *room(struct making *m, size_t len)
{
	arena_raise(m->a, len + 32);
	return arena_alloc(m->a, len + 1);
}

static int lacks(struct making *m, const char *part, enum evidence_why why)
{
	*m->lack = (struct evidence_lack){part, why, 0};
	return RK_ENOTFOUND;
}

/* ---- pieces */

static int load_leaf(struct making *m, const char *part, const uint8_t oh[32], struct piece *p)
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

static int parse_piece(struct making *m, enum object_kind kind, struct bytes wire, struct piece *p)
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
static int load_piece(struct making *m, const char *part, enum object_kind kind, ProtobufCBinaryData oh, struct piece *p)
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
	const struct piece *x = a, *y = b;

	return x->index == y->index ? 0 : x->index < y->index ? -1 : 1;
}

/* All of a list, by index.  left_out (NULL: none may be): how many have no proof yet. */
static int load_pieces(struct making *m, const char *part, enum object_kind kind, const ProtobufCBinaryData *oh, size_t n,
                       unsigned *left_out, struct pieces *out)
{
	int r;

	if ((out->list = room(m, n * sizeof(*out->list))) == NULL)
		return RK_ENOMEM;
	memset(out->list, 0, n * sizeof(*out->list));
	for (size_t i = 0; i < n; i++) {
		struct piece *p = &out->list[out->n];

		memset(p, 0, sizeof(*p));
		r = load_piece(m, part, kind, oh[i], p);
		if (r == RK_ENOTFOUND && left_out) {
			(*left_out)++;
			continue;
		}
		if (r != RK_OK)
			return r;
		out->n++;
	}
	if (out->n > 1)
		qsort(out->list, out->n, sizeof(*out->list), by_index);
	return RK_OK;
}

/* ---- choosing */

/* Did a key sign it that the one directory of the receipt vouches for?  A key that came after the disclosure is not there. */
static bool is_believed(const struct making *m, enum object_kind kind, const struct piece *p, const uint8_t *org_id)
{
	const struct receipt_by_org by = {
		.exchange_id = client_exchange_id(m->c), .org_id = org_id, .directory = (const void *)m->directory.message,
		.directory_index = m->directory.index, .index = p->index, .kind = kind, .payload = p->o.payload, .sig = p->o.sig};

	return receipt_check_by_org(&by) == RK_OK;
}

/* Lists under a later key are left to later receipts: the one before it names the same devices, or the answer is left out. */
static void drop_later_lists(struct making *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->devices.n; i++) {
		const struct piece *list = &m->devices.list[i];

		if (is_believed(m, OBJECT_KIND_ORG_DEVICES, list, ((const Rk__OrgDevices *)(const void *)list->message)->org_id.data))
			m->devices.list[n++] = *list;
	}
	m->devices.n = n;
}

/* What was asked after an act under a later key rests on that act: such pickups are left out. */
static void drop_later_pickups(struct making *m)
{
	size_t n = 0, first = 0;

	for (; first < m->acts.n; first++) {
		const Rk__NdaAct *act = (const Rk__NdaAct *)(const void *)m->acts.list[first].message;

		if (act->kind != RK__ACT_KIND__HOLD && m->acts.list[first].index > m->object.index &&
		    !is_believed(m, OBJECT_KIND_NDA_ACT, &m->acts.list[first], act->org_id.data))
			break;
	}
	if (first == m->acts.n)
		return;
	for (size_t i = 0; i < m->pickups.n; i++)
		if (m->pickups.list[i].index < m->acts.list[first].index)
			m->pickups.list[n++] = m->pickups.list[i];
		else
			m->left_out++;
	m->pickups.n = n;
}

static const uint8_t *list_org(const struct piece *list)
{
	return ((const Rk__OrgDevices *)(const void *)list->message)->org_id.data;
}

/* Marks the newest list of an organisation before `index`; with a device: only where it names it. */
static bool need_list(struct making *m, const uint8_t *org_id, const uint8_t *device_id, uint64_t index)
{
	struct piece *newest = NULL;

	for (size_t i = 0; i < m->devices.n && m->devices.list[i].index < index; i++)
		if (memcmp(list_org(&m->devices.list[i]), org_id, 16) == 0)
			newest = &m->devices.list[i];
	if (newest == NULL)
		return false;
	for (size_t i = 0; device_id && i < ((const Rk__OrgDevices *)(const void *)newest->message)->n_devices; i++) {
		const Rk__Device *d = ((const Rk__OrgDevices *)(const void *)newest->message)->devices[i];

		if (memcmp(d->device_id.data, device_id, 16) == 0)
			device_id = NULL;
	}
	newest->is_needed |= device_id == NULL;
	return device_id == NULL;
}

/* The recipient whose device it is; false if no list that we have says so. */
static bool need_answer(struct making *m, const uint8_t *device_id, uint64_t index)
{
	for (size_t i = 0; i < m->header->n_recipients; i++)
		if (need_list(m, m->header->recipients[i]->org_id.data, device_id, index))
			return true;
	return false;
}

static const uint8_t *answer_device(const struct piece *answer, bool is_pickup)
{
	const void *message = answer->message;

	return is_pickup ? ((const Rk__Pickup *)message)->device_id.data : ((const Rk__Nack *)message)->device_id.data;
}

/* Answers of devices that our lists do not have are left out: they prove nothing here.  So does a second one of the same device, which it
 * can make by asking for this dossier once more beside another: a receipt has the first. */
static void choose_answers(struct making *m, struct pieces *answers, bool is_pickup)
{
	size_t n = 0;

	for (size_t i = 0; i < answers->n; i++) {
		const uint8_t *device = answer_device(&answers->list[i], is_pickup);
		bool is_first = true;

		for (size_t j = 0; j < n && is_first; j++)
			is_first = memcmp(answer_device(&answers->list[j], is_pickup), device, 16) != 0;
		if (!is_first)
			continue;
		if (n < RECEIPT_PICKUPS_MAX && need_answer(m, device, answers->list[i].index))
			answers->list[n++] = answers->list[i];
		else
			m->left_out++;
	}
	answers->n = n;
}

/* Up to the last question to the gate; and of each hold the list of who held. */
static void choose_acts(struct making *m)
{
	uint64_t last = m->pickups.n > 0 ? m->pickups.list[m->pickups.n - 1].index : m->object.index;

	while (m->acts.n > 0 && m->acts.list[m->acts.n - 1].index > last)
		m->acts.n--;
	for (size_t i = 0; i < m->acts.n; i++) {
		const Rk__NdaAct *act = (const Rk__NdaAct *)(const void *)m->acts.list[i].message;

		if (act->kind == RK__ACT_KIND__HOLD)
			(void)need_list(m, act->org_id.data, act->device_id.data, m->acts.list[i].index);
	}
}

/* The sender's list as it stood at the event first; then the others that are needed, by index. */
static int put_lists(struct making *m, const uint8_t *sender_org)
{
	struct receipt_object *out = room(m, (m->devices.n + 1) * sizeof(*out));
	struct piece *first = NULL;

	if (out == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < m->devices.n && m->devices.list[i].index < m->object.index; i++)
		if (memcmp(list_org(&m->devices.list[i]), sender_org, 16) == 0)
			first = &m->devices.list[i];
	if (first == NULL)
		return lacks(m, "orgdevices-A", m->lists_left_out > 0 ? EVIDENCE_NO_PROOF : EVIDENCE_NO_COPY);
	out[m->parts.device_count++] = first->o;
	for (size_t i = 0; i < m->devices.n; i++)
		if (m->devices.list[i].is_needed && &m->devices.list[i] != first)
			out[m->parts.device_count++] = m->devices.list[i].o;
	m->parts.devices = out;
	return RK_OK;
}

static int put_objects(struct making *m, const struct pieces *p, const struct receipt_object **list, size_t *n)
{
	struct receipt_object *out = room(m, p->n * sizeof(*out));

	if (out == NULL)
		return RK_ENOMEM;
	for (size_t i = 0; i < p->n; i++)
		out[i] = p->list[i].o;
	*list = out;
	*n = p->n;
	return RK_OK;
}

/* ---- content */

static int put_body(struct making *m, const uint8_t id[32])
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
	return r;
}

static int put_document(struct making *m)
{
	struct agreement *ag;
	int r = agreement_load(m->c, m->t, m->header->nda_id.data, true, m->a, &ag);

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

static int put_disclosure(struct making *m, const uint8_t id[32], bool with_content)
{
	Rk__EnvelopeHead *head = (Rk__EnvelopeHead *)(uintptr_t)m->object.message;
	const Rkl__EvidenceRecord *k = m->record;
	unsigned *left_out = &m->left_out;
	Rk__EnvelopeHeader *header;
	int r;

	if ((r = STRICT_PARSE(envelope_header, bytes_of(head->header), m->a, &header)) != RK_OK)
		return r > 0 ? RK_ESTORE : r;
	m->header = header;
	m->parts.envelope = m->object.o;
	if ((r = load_piece(m, "terms", OBJECT_KIND_COUNT, k->terms, &m->terms)) != RK_OK ||
	    (r = load_pieces(m, "pickup", OBJECT_KIND_PICKUP, k->pickups, k->n_pickups, left_out, &m->pickups)) != RK_OK ||
	    (r = load_pieces(m, "nack", OBJECT_KIND_NACK, k->nacks, k->n_nacks, left_out, &m->nacks)) != RK_OK ||
	    (r = load_pieces(m, "act", OBJECT_KIND_NDA_ACT, k->acts, k->n_acts, NULL, &m->acts)) != RK_OK)
		return r;
	m->parts.terms = m->terms.o;
	drop_later_pickups(m);
	choose_answers(m, &m->pickups, true);
	choose_answers(m, &m->nacks, false);
	choose_acts(m);
	for (size_t i = 0; i < header->n_recipients; i++)
		(void)need_list(m, header->recipients[i]->org_id.data, NULL, m->object.index);
	if ((r = put_lists(m, header->sender_org.data)) != RK_OK ||
	    (r = put_objects(m, &m->acts, &m->parts.acts, &m->parts.act_count)) != RK_OK ||
	    (r = put_objects(m, &m->pickups, &m->parts.pickups, &m->parts.pickup_count)) != RK_OK ||
	    (r = put_objects(m, &m->nacks, &m->parts.nacks, &m->parts.nack_count)) != RK_OK || !with_content)
		return r;
	return (r = put_body(m, id)) == RK_OK ? put_document(m) : r;
}

static int put_deposit(struct making *m, const uint8_t id[32])
{
	int r = evidence_open_salt(m->c, m->t, id, true, m->a, &m->parts.deposit_plain);

	if (r != RK_OK)
		return r == RK_ENOTFOUND ? lacks(m, "deposit_plain", EVIDENCE_NO_COPY) : r;
	m->parts.deposit = m->object.o;
	return put_lists(m, ((const Rk__Deposit *)(const void *)m->object.message)->org_id.data);
}

/* The receipt that follows from one charter, whose log all its proofs are of. */
struct attempt {
	int code;
	struct bytes archive;
	struct receipt out;
	struct evidence_lack lack;
};

static int assemble(struct making *m, const uint8_t charter_oh[32], struct bytes charter, const uint8_t id[32], bool with_content)
{
	const Rkl__EvidenceRecord *k = m->record;
	int r;

	if ((r = load_charter(m, charter_oh, charter)) != RK_OK ||
	    (r = load_piece(m, "directory", OBJECT_KIND_DIRECTORY, k->directory, &m->directory)) != RK_OK ||
	    (r = load_piece(m, k->is_deposit ? "deposit" : "envelope", k->is_deposit ? OBJECT_KIND_DEPOSIT : OBJECT_KIND_ENVELOPE,
	                    k->object, &m->object)) != RK_OK ||
	    (r = load_pieces(m, "orgdevices", OBJECT_KIND_ORG_DEVICES, k->devices, k->n_devices, &m->lists_left_out, &m->devices)) != RK_OK)
		return r;
	drop_later_lists(m);
	m->parts.exchange_id = client_exchange_id(m->c);
	m->parts.charter = m->charter.o;
	m->parts.directory = m->directory.o;
	return k->is_deposit ? put_deposit(m, id) : put_disclosure(m, id, with_content);
}

static bool is_better(const struct attempt *x, const struct attempt *than)
{
	return x->code == RK_OK && (than->code != RK_OK || x->lack.left_out < than->lack.left_out);
}

/*
 * An older charter may be of an older log; after a restore that one may have what the next one lost, and lacks what came since.  So
 * they are tried from the newest on, and the receipt that leaves least out is the one; where there is none, what the newest lacks is told.
 */
int evidence_receipt(struct client *c, struct txn *t, const uint8_t id[32], bool with_content, struct bytes file, struct arena *a,
                     struct bytes *archive, struct receipt *out, struct evidence_lack *lack)
{
	struct attempt best = {.code = RK_ENOTFOUND, .lack = {"", EVIDENCE_NONE, 0}};
	Rkl__EvidenceRecord *record;
	struct bytes charter;
	uint64_t serial;
	uint8_t oh[32];
	int tried = 0, r = evidence_load(t, id, a, &record);

	if (r == RK_OK)
		r = book_newest(t, RK__OBJECT_TYPE__OBJECT_CHARTER, NULL, &serial, oh, &charter);
	while (r == RK_OK && (best.code != RK_OK || best.lack.left_out > 0)) {
		struct attempt x = {.lack = {"", EVIDENCE_NONE, 0}};
		struct making m = {.c = c, .t = t, .a = a, .record = record, .lack = &x.lack};

		if (record->is_deposit && with_content)
			m.parts.file = file;
		x.code = assemble(&m, oh, charter, id, with_content);
		if (x.code == RK_OK) {
			x.lack = (struct evidence_lack){"", EVIDENCE_NONE, m.left_out};
			x.code = receipt_make(&m.parts, a, &x.archive, &x.out);
		}
		if (tried++ == 0 || is_better(&x, &best))
			best = x;
		r = book_older(t, RK__OBJECT_TYPE__OBJECT_CHARTER, NULL, &serial, oh, &charter);
	}
	*archive = best.archive;
	*out = best.out;
	*lack = best.lack;
	return r == RK_OK || r == RK_ENOTFOUND ? best.code : r;
}
