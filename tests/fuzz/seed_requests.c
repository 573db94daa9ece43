/* One legal request of each operation, as fuzz_request reads them. */
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/strict.h"
#include "tests/fuzz/seed_kit.h"

#define SENDER 1
#define INVITE 0x80
#define TO 4u /* organisation 2 */

bool seed_envelope(Rk__Kind kind, const uint8_t *nda_id, struct arena *a, struct envelope_wire *w)
{
	const struct fixed *f = fuzz_exchange();
	Rk__EnvelopeHeader *h;

	if (kind < RK__KIND__FEED || kind > RK__KIND__NDA_NOTICE)
		return false;
	h = fixed_header(f, kind, SENDER, TO, a);
	if (nda_id != NULL)
		h->nda_id = pb_of(bytes_make(nda_id, 32));
	return fixed_seal(f, h, SENDER, TO, fixed_message("the layer is 80 nanometres", a), a, w) == RK_OK;
}

struct bytes seed_enrol(struct arena *a)
{
	const struct fixed *f = fuzz_exchange();
	uint8_t seed[32], pk[32], sk[32], mac[32], id[16];

	fixed_bytes(seed, sizeof(seed), "invite");
	invite_keys(seed, pk, sk, mac, id);
	return fixed_enrol_request(f, fixed_enrol(f, SENDER, a), mac, &f->orgs[SENDER].org, a);
}

/* Adds a request: hash and length of an object, which may be empty, are set here; w may be NULL. */
static void add(struct seed *s, unsigned who, Rk__Request *q, struct bytes object, const struct envelope_wire *w, struct arena *a)
{
	static uint64_t number;
	uint8_t hash[32], epoch[8] = {1};
	struct bytes header;
	bool is_bare = q->op == RK__OP__OP_PING || q->op == RK__OP__OP_ENROL || q->op == RK__OP__OP_GET_OBJECT ||
	               (q->op >= RK__OP__OP_SUBSCRIBE && q->op <= RK__OP__OP_GET_PROOF);

	q->protocol = 1;
	q->tag = 7;
	if (!is_bare)
		q->writer_epoch = pb_of(BYTES_OF(epoch));
	if (!is_bare && q->op != RK__OP__OP_HELLO)
		q->number = ++number;
	if (object.len > 0) {
		ids_sha256(hash, object);
		q->object_sha256 = pb_of(BYTES_OF(hash));
		q->object_len = (uint32_t)object.len;
	}
	if (w != NULL)
		MUST(STRICT_PARSE(signed, w->head, a, &q->head) == RK_OK);
	MUST(STRICT_PACK(q, a, &header) == RK_OK);
	seed_add_u8(s, who);
	seed_add_u8(s, 1u + (object.len > 0) + (w == NULL ? 0 : w->wraps.len > 0 ? 2 : 1));
	seed_add_part(s, header);
	if (object.len > 0)
		seed_add_part(s, object);
	if (w != NULL && w->wraps.len > 0)
		seed_add_part(s, w->wraps);
	if (w != NULL)
		seed_add_part(s, w->body);
}

static const struct bytes nothing;

/* A session: HELLO and all that has neither object nor envelope. */
static void reads(struct seed *s, struct arena *a)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__Hello hello = RK__HELLO__INIT;
	Rk__StreamId stream = RK__STREAM_ID__INIT;
	Rk__Subscribe subscribe = RK__SUBSCRIBE__INIT;
	Rk__Credit credit = RK__CREDIT__INIT;
	Rk__Ack ack = RK__ACK__INIT;
	Rk__Fetch fetch = RK__FETCH__INIT;
	Rk__GetObject get = RK__GET_OBJECT__INIT;
	uint8_t env_id[32] = {5};

	hello.protocol_min = hello.protocol_max = 1;
	q.op = RK__OP__OP_HELLO, q.hello = &hello;
	add(s, SENDER, &q, nothing, NULL, a);
	q = (Rk__Request)RK__REQUEST__INIT;
	stream.type = RK__STREAM_TYPE__STREAM_CONTROL;
	subscribe.stream = ack.stream = &stream;
	q.op = RK__OP__OP_SUBSCRIBE, q.subscribe = &subscribe;
	add(s, SENDER, &q, nothing, NULL, a);
	q.subscribe = NULL, q.op = RK__OP__OP_CREDIT, q.credit = &credit;
	credit.entries = 64, credit.bytes = 1 << 20;
	add(s, SENDER, &q, nothing, NULL, a);
	q.credit = NULL, q.op = RK__OP__OP_ACK, q.ack = &ack;
	ack.seq = 3;
	add(s, SENDER, &q, nothing, NULL, a);
	q.ack = NULL, q.op = RK__OP__OP_FETCH, q.fetch = &fetch;
	fetch.env_id = pb_of(BYTES_OF(env_id));
	add(s, SENDER, &q, nothing, NULL, a);
	q.fetch = NULL, q.op = RK__OP__OP_GET_OBJECT, q.get_object = &get;
	get.type = RK__OBJECT_TYPE__OBJECT_CHARTER;
	add(s, INVITE, &q, nothing, NULL, a);
	q.get_object = NULL, q.op = RK__OP__OP_PING;
	add(s, SENDER, &q, nothing, NULL, a);
	seed_write("request", "reads", s);
}

/* What goes about the log: proofs asked, a checkpoint shown, a cosigned one put. */
static void log_requests(struct seed *s, struct arena *a)
{
	uint64_t indexes[3] = {0, 7, 1236};
	Rk__Request q = RK__REQUEST__INIT;
	Rk__GetProof proof = RK__GET_PROOF__INIT;
	Rk__Hello hello = RK__HELLO__INIT;
	struct note plain, cosigned;

	seed_note(&plain, &cosigned);
	q.op = RK__OP__OP_HELLO, q.hello = &hello;
	hello.protocol_min = hello.protocol_max = 1;
	hello.seen_checkpoint = pb_of(bytes_make(cosigned.text, cosigned.len));
	add(s, SENDER, &q, nothing, NULL, a);
	q = (Rk__Request)RK__REQUEST__INIT;
	q.op = RK__OP__OP_GET_PROOF, q.get_proof = &proof;
	proof.from_size = 7;
	proof.indexes = indexes;
	proof.n_indexes = 3;
	add(s, SENDER, &q, nothing, NULL, a);
	q = (Rk__Request)RK__REQUEST__INIT;
	q.op = RK__OP__OP_PUT_CHECKPOINT;
	add(s, 0, &q, bytes_make(cosigned.text, cosigned.len), NULL, a);
	seed_write("request", "log", s);
}

static void submits(struct seed *s, struct arena *a)
{
	const ProtobufCEnumDescriptor *kinds = &rk__kind__descriptor;
	struct envelope_wire w;
	char name[80] = "submit-";

	for (unsigned i = 0; i < kinds->n_values; i++) {
		Rk__Request q = RK__REQUEST__INIT;

		if (!seed_envelope((Rk__Kind)kinds->values[i].value, NULL, a, &w))
			continue;
		q.op = RK__OP__OP_SUBMIT;
		add(s, SENDER, &q, nothing, &w, a);
		strcpy(name + 7, kinds->values[i].name);
		seed_write("request", name, s);
	}
}

static void put(struct seed *s, unsigned who, enum object_kind kind, uint32_t offset, uint32_t len, struct arena *a)
{
	Rk__Request q = RK__REQUEST__INIT;
	Rk__PutObject put = RK__PUT_OBJECT__INIT;
	struct bytes wire = fuzz_golden(kind, a);
	uint8_t oh[32];

	ids_sha256(oh, wire);
	put.type = object_info(kind)->wire_type;
	put.oh = pb_of(BYTES_OF(oh));
	put.total = (uint32_t)wire.len;
	put.offset = offset;
	q.op = RK__OP__OP_PUT_OBJECT, q.put_object = &put;
	add(s, who, &q, bytes_make(wire.data + offset, len > 0 ? len : wire.len - offset), NULL, a);
}

static void objects(struct seed *s, struct arena *a)
{
	static const enum object_kind of_secretariat[] = {OBJECT_KIND_DIRECTORY, OBJECT_KIND_FEED_EPOCH, OBJECT_KIND_FEED_KEY};
	Rk__Request q = RK__REQUEST__INIT;

	for (int i = 0; i < 3; i++) {
		put(s, 0, of_secretariat[i], 0, 0, a);
		seed_write("request", object_info(of_secretariat[i])->name, s);
	}
	put(s, SENDER, OBJECT_KIND_ORG_DEVICES, 0, 0, a);
	put(s, SENDER, OBJECT_KIND_DEVICE_KX, 0, 0, a);
	seed_write("request", "devices", s);
	/* A repeat of the first part changes nothing. */
	put(s, 0, OBJECT_KIND_DIRECTORY, 0, 100, a);
	put(s, 0, OBJECT_KIND_DIRECTORY, 0, 100, a);
	put(s, 0, OBJECT_KIND_DIRECTORY, 100, 100, a);
	put(s, 0, OBJECT_KIND_DIRECTORY, 200, 0, a);
	seed_write("request", "directory-in-parts", s);
	q.op = RK__OP__OP_INVITE_REG;
	add(s, 0, &q, fuzz_golden(OBJECT_KIND_INVITE_REG, a), NULL, a);
	q = (Rk__Request)RK__REQUEST__INIT;
	q.op = RK__OP__OP_ENROL;
	add(s, INVITE, &q, seed_enrol(a), NULL, a);
	seed_write("request", "invite-and-enrol", s);
	q = (Rk__Request)RK__REQUEST__INIT;
	q.op = RK__OP__OP_PICKUP;
	add(s, SENDER, &q, fuzz_golden(OBJECT_KIND_PICKUP, a), NULL, a);
	seed_write("request", "pickup", s);
	q = (Rk__Request)RK__REQUEST__INIT;
	q.op = RK__OP__OP_NACK;
	add(s, SENDER, &q, fuzz_golden(OBJECT_KIND_NACK, a), NULL, a);
	seed_write("request", "nack", s);
	q = (Rk__Request)RK__REQUEST__INIT;
	q.op = RK__OP__OP_DEPOSIT;
	add(s, SENDER, &q, fuzz_golden(OBJECT_KIND_DEPOSIT, a), NULL, a);
	seed_write("request", "deposit", s);
}

static void agreements(struct seed *s, struct arena *a)
{
	const struct fixed *f = fuzz_exchange();
	Rk__NdaAct *accept = fixed_act(f, SENDER, RK__ACT_KIND__ACCEPT, a);
	Rk__NdaProposal proposal = RK__NDA_PROPOSAL__INIT;
	Rk__Request q = RK__REQUEST__INIT;
	struct bytes terms, wire, packed;
	struct envelope_wire w;
	uint8_t nda_id[32];

	MUST(STRICT_PACK(fixed_terms(f, a), a, &terms) == RK_OK);
	ids_nda(nda_id, f->exchange_id, terms);
	accept->nda_id = pb_of(BYTES_OF(nda_id));
	MUST(object_make(OBJECT_KIND_NDA_ACT, f->exchange_id, f->orgs[SENDER].org.sk, &accept->base, a, &wire) == RK_OK);
	MUST(STRICT_PARSE(signed, wire, a, &proposal.accept) == RK_OK);
	proposal.terms = pb_of(terms);
	MUST(STRICT_PACK(&proposal, a, &packed) == RK_OK && seed_envelope(RK__KIND__PROPOSAL, nda_id, a, &w));
	q.op = RK__OP__OP_NDA_PROPOSE;
	add(s, SENDER, &q, packed, &w, a);
	seed_write("request", "propose", s);
	q = (Rk__Request)RK__REQUEST__INIT;
	q.op = RK__OP__OP_NDA_ACT;
	add(s, SENDER, &q, wire, &w, a);
	seed_write("request", "accept", s);
	q = (Rk__Request)RK__REQUEST__INIT;
	q.op = RK__OP__OP_NDA_ACT;
	add(s, SENDER, &q, fuzz_golden(OBJECT_KIND_NDA_HOLD, a), NULL, a);
	seed_write("request", "hold", s);
}

void seed_requests(struct seed *s, struct arena *a)
{
	reads(s, a);
	submits(s, a);
	log_requests(s, a);
	objects(s, a);
	agreements(s, a);
}
