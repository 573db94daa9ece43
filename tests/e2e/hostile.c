/*
 * hostile: a member that does not use our client.  It has a real home's keys and speaks the wire directly, trying every gate with
 * requests that librenkei would never send.  Each attempt names the refusal that the broker must give; anything else fails.
 *
 *   hostile HOME form PEER_ORG                every altered request that needs no agreement
 *   hostile HOME gate NDA_ID PEER_ORG CODE [unmarked|reply]    an otherwise perfect NDA envelope: CODE is what the broker must say
 *   hostile HOME pickup NDA_ID ENV_ID CODE    PICKUP of one envelope
 *   hostile HOME fetch ENV_ID CODE            FETCH of one envelope
 *   hostile HOME nda NDA_ID PEER_ORG          altered requests under an agreement in force with PEER_ORG
 *   hostile HOME smuggle NDA_ID PEER_ORG      well sealed notices that hold a dossier, plain words, another type's fields: the broker
 *                                             cannot see that, so it takes them; PEER_ORG's client must not
 *   hostile HOME deaf SECONDS                 says HELLO, subscribes, gives credit, never speaks again; prints deliveries
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/agreement.h"
#include "client/client.h"
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/strict.h"
#include "proto/trust.h"
#include "tests/unit/member.h"

static struct {
	struct client *client;
	struct rawpeer *peer;
	struct arena *arena;
	int64_t now;
	uint64_t directory_serial;
	uint32_t feed_epoch;
	uint8_t writer_epoch[8];
	struct envelope_target targets[64];
	size_t target_count;
	struct bytes message;   /* what seal_with seals, a packed Message; empty: noise */
	unsigned tried, failed;
} h;

static void expect(const char *what, int want, int got)
{
	h.tried++;
	if (want != got)
		h.failed++;
	printf("%s %-58s %s (%d)\n", want == got ? "ok  " : "FAIL", what,
	       got == RAWPEER_NO_REPLY ? "no reply" : errcode_name(got), got);
	if (want != got)
		printf("     expected %s (%d)\n", errcode_name(want), want);
}

static void die(const char *what, int code)
{
	fprintf(stderr, "hostile: %s: %s\n", what, errcode_sentence(code, LANG_EN));
	exit(3);
}

/* ---- making things */

static ProtobufCBinaryData copy(const void *data, size_t len)
{
	return (ProtobufCBinaryData){len, arena_copy(h.arena, data, len)};
}

/* An honest header of a kind, to be spoilt by the caller. */
static Rk__EnvelopeHeader header_of(Rk__Kind kind)
{
	Rk__EnvelopeHeader e = RK__ENVELOPE_HEADER__INIT;
	e.version = 1;
	e.suite = ENVELOPE_SUITE;
	e.kind = kind;
	e.exchange_id = copy(client_exchange_id(h.client), 32);
	e.sender_org = copy(client_org_id(h.client), 16);
	e.sender_device = copy(client_device_id(h.client), 16);
	e.created_at = h.now;
	e.expires_at = h.now + NDA_DAY_MS;
	e.directory_serial = h.directory_serial;
	if (kind == RK__KIND__FEED) {
		e.channel = RK__CHANNEL__OFFER;
		e.feed_epoch = h.feed_epoch;
		e.post_op = RK__POST_OP__NEW;
		e.post_version = 1;
	}
	return e;
}

static void add_recipient(Rk__EnvelopeHeader *e, const uint8_t org_id[16])
{
	Rk__Recipient *r = arena_alloc(h.arena, sizeof(*r));
	Rk__Recipient **list = arena_alloc(h.arena, sizeof(*list));
	rk__recipient__init(r);
	r->org_id = copy(org_id, 16);
	list[0] = r;
	e->recipients = list;
	e->n_recipients = 1;
}

/* Seals by hand, with no rule checked: what envelope_seal would refuse is just what we want to send. */
struct sealed {
	Rk__Signed head;
	struct bytes wraps, body;
};

static struct sealed seal_with(Rk__EnvelopeHeader *e, const uint8_t *sign_sk, const uint8_t *exchange_id)
{
	struct sealed out = {.head = RK__SIGNED__INIT};
	uint8_t nonce16[16], cek[32], nonce[24], plain[1056], sealed_plain[80];
	size_t plain_len = sizeof(plain);
	Rk__EnvelopeHead head = RK__ENVELOPE_HEAD__INIT;

	randombytes_buf(nonce16, 16);
	randombytes_buf(cek, 32);
	randombytes_buf(nonce, 24);
	randombytes_buf(plain, sizeof(plain));
	if (h.message.len > 0) {
		size_t padded;
		memcpy(plain + 32, h.message.data, h.message.len);
		if (sodium_pad(&padded, plain + 32, h.message.len, 512, sizeof(plain) - 32) != 0)
			die("message too long", RK_TOO_LARGE);
		plain_len = 32 + padded;
	}
	e->nonce16 = copy(nonce16, 16);
	uint8_t pc[32];
	ids_hash(pc, "renkei/v1/plain", bytes_make(plain, plain_len));
	e->pc = copy(pc, 32);
	if (e->body_len == 0)
		e->body_len = (uint32_t)plain_len + 16;

	size_t header_len = rk__envelope_header__get_packed_size(e);
	uint8_t *header = arena_alloc(h.arena, header_len);
	rk__envelope_header__pack(e, header);

	unsigned long long body_len;
	uint8_t *body = arena_alloc(h.arena, plain_len + 16);
	crypto_aead_xchacha20poly1305_ietf_encrypt(body, &body_len, plain, plain_len, header, header_len, NULL, nonce, cek);
	out.body = bytes_make(body, (size_t)body_len);

	if (e->kind != RK__KIND__FEED && h.target_count > 0) {
		Rk__WrapList list = RK__WRAP_LIST__INIT;
		Rk__Wrap *wraps = arena_alloc(h.arena, h.target_count * sizeof(*wraps));
		list.wraps = arena_alloc(h.arena, h.target_count * sizeof(*list.wraps));
		memset(sealed_plain, 0, sizeof(sealed_plain));
		memcpy(sealed_plain, "renkei1-cek", 11);
		ids_hash(sealed_plain + 16, "renkei/v1/header", bytes_make(header, header_len));
		memcpy(sealed_plain + 48, cek, 32);
		for (size_t i = 0; i < h.target_count; i++) {
			uint8_t box[128];
			rk__wrap__init(&wraps[i]);
			if (crypto_box_seal(box, sealed_plain, sizeof(sealed_plain), h.targets[i].kx_pk) != 0)
				die("seal", RK_EINTERNAL);
			wraps[i].device_id = copy(h.targets[i].device_id, 16);
			wraps[i].kx_serial = h.targets[i].kx_serial;
			wraps[i].sealed = copy(box, sizeof(box));
			list.wraps[i] = &wraps[i];
		}
		list.n_wraps = h.target_count;
		uint8_t *packed = arena_alloc(h.arena, rk__wrap_list__get_packed_size(&list));
		out.wraps = bytes_make(packed, rk__wrap_list__pack(&list, packed));
	}

	uint8_t body_hash[32], wraps_hash[32], sig[64];
	ids_sha256(body_hash, out.body);
	ids_sha256(wraps_hash, out.wraps);
	head.header = (ProtobufCBinaryData){header_len, header};
	head.nonce = copy(nonce, 24);
	head.body_sha256 = copy(body_hash, 32);
	head.wraps_sha256 = copy(wraps_hash, 32);
	size_t head_len = rk__envelope_head__get_packed_size(&head);
	uint8_t *head_bytes = arena_alloc(h.arena, head_len);
	rk__envelope_head__pack(&head, head_bytes);
	object_sign(OBJECT_KIND_ENVELOPE, exchange_id, sign_sk, bytes_make(head_bytes, head_len), sig);
	out.head.payload = (ProtobufCBinaryData){head_len, head_bytes};
	out.head.sig = copy(sig, 64);
	return out;
}

static struct sealed seal(Rk__EnvelopeHeader *e)
{
	return seal_with(e, keys_sign_sk(h.client, KEY_DEVICE), client_exchange_id(h.client));
}

static int submit_sealed(struct sealed *s)
{
	Rk__Request r = RK__REQUEST__INIT;
	struct bytes frames[2];
	size_t n = 0;

	r.op = RK__OP__OP_SUBMIT;
	r.head = &s->head;
	if (s->wraps.len > 0)
		frames[n++] = s->wraps;
	frames[n++] = s->body;
	return rawpeer_numbered(h.peer, &r, frames, n, NULL);
}

static int submit(Rk__EnvelopeHeader *e)
{
	struct sealed s = seal(e);
	return submit_sealed(&s);
}

static int put_with(Rk__Op op, Rk__ObjectType type, struct bytes object)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__PutObject put = RK__PUT_OBJECT__INIT;
	uint8_t hash[32];

	ids_sha256(hash, object);
	r.op = op;
	r.object_sha256 = copy(hash, 32);
	r.object_len = (uint32_t)object.len;
	if (op == RK__OP__OP_PUT_OBJECT) {
		put.type = type;
		put.oh = copy(hash, 32);
		put.total = (uint32_t)object.len;
		r.put_object = &put;
	}
	return rawpeer_numbered(h.peer, &r, &object, 1, NULL);
}

static int act_of(const uint8_t nda_id[32], const uint8_t org_id[16], Rk__ActKind kind, enum object_kind object_kind,
                  const uint8_t *sk, const uint8_t *device_id)
{
	Rk__NdaAct act = RK__NDA_ACT__INIT;
	struct bytes wire;

	act.version = 1;
	act.nda_id = copy(nda_id, 32);
	act.org_id = copy(org_id, 16);
	if (device_id != NULL)
		act.device_id = copy(device_id, 16);
	act.kind = kind;
	act.signed_at = h.now;
	int code = object_make(object_kind, client_exchange_id(h.client), sk, &act.base, h.arena, &wire);
	if (code != RK_OK)
		die("make act", code);
	return put_with(RK__OP__OP_NDA_ACT, RK__OBJECT_TYPE__OBJECT_NONE, wire);
}

/* The nda_set that this home knows; zeros if it knows no such agreement. */
static void nda_set_known(const uint8_t nda_id[32], uint8_t set[32])
{
	struct txn *txn;
	struct agreement *agreement;

	memset(set, 0, 32);
	if (env_begin(client_env(h.client), false, &txn) != RK_OK)
		return;
	if (agreement_load(h.client, txn, nda_id, false, h.arena, &agreement) == RK_OK)
		memcpy(set, agreement->row.nda_set, 32);
	env_abort(txn);
}

static Rk__EnvelopeHeader nda_header(const uint8_t nda_id[32], const uint8_t peer[16])
{
	Rk__EnvelopeHeader e = header_of(RK__KIND__NDA);
	uint8_t set[32];
	nda_set_known(nda_id, set);
	e.nda_id = copy(nda_id, 32);
	e.nda_set = copy(set, 32);
	e.marking = RK__MARKING__CONFIDENTIAL;
	add_recipient(&e, peer);
	return e;
}

/* By device id, as a WrapList must be. */
static void sort_targets(void)
{
	for (size_t i = 1; i < h.target_count; i++)
		for (size_t j = i; j > 0 && memcmp(h.targets[j].device_id, h.targets[j - 1].device_id, 16) < 0; j--) {
			struct envelope_target t = h.targets[j];
			h.targets[j] = h.targets[j - 1];
			h.targets[j - 1] = t;
		}
}

/* ---- what is tried */

static int spoilt(Rk__Kind kind, const uint8_t *peer, void (*spoil)(Rk__EnvelopeHeader *))
{
	Rk__EnvelopeHeader e = header_of(kind);
	if (kind != RK__KIND__FEED)
		add_recipient(&e, peer);
	spoil(&e);
	return submit(&e);
}

static void other_org(Rk__EnvelopeHeader *e) { e->sender_org = copy("0123456789abcdef", 16); }
static void other_device(Rk__EnvelopeHeader *e) { e->sender_device = copy("0123456789abcdef", 16); }
static void other_exchange(Rk__EnvelopeHeader *e) { e->exchange_id = copy("0123456789abcdef0123456789abcdef", 32); }
static void version_2(Rk__EnvelopeHeader *e) { e->version = 2; }
static void suite_2(Rk__EnvelopeHeader *e) { e->suite = 2; }
static void feed_1(Rk__EnvelopeHeader *e) { e->feed_id = 1; }
static void release_later(Rk__EnvelopeHeader *e) { e->release_at = e->created_at + 1; }
static void early(Rk__EnvelopeHeader *e) { e->created_at -= 11 * 60 * 1000; }
static void late(Rk__EnvelopeHeader *e) { e->created_at += 11 * 60 * 1000; }
static void expired(Rk__EnvelopeHeader *e) { e->created_at -= 60000; e->expires_at = e->created_at + 1; }
static void long_lived(Rk__EnvelopeHeader *e) { e->expires_at = e->created_at + 181 * NDA_DAY_MS; }
static void epoch_99(Rk__EnvelopeHeader *e) { e->feed_epoch = 99; }
static void as_notice(Rk__EnvelopeHeader *e) { e->channel = RK__CHANNEL__NOTICE; }
static void as_call(Rk__EnvelopeHeader *e) { e->channel = RK__CHANNEL__CALL; }
static void no_channel(Rk__EnvelopeHeader *e) { e->channel = RK__CHANNEL__CHANNEL_NONE; }
static void revise_nothing(Rk__EnvelopeHeader *e)
{
	e->post_op = RK__POST_OP__REVISE;
	e->post_id = copy("0123456789abcdef0123456789abcdef", 32);
	e->post_seq = 999999;
	e->post_version = 2;
}
static void as_internal(Rk__EnvelopeHeader *e) { e->kind = RK__KIND__INTERNAL; }
static void as_proposal(Rk__EnvelopeHeader *e)
{
	e->kind = RK__KIND__PROPOSAL;
	e->nda_id = copy("0123456789abcdef0123456789abcdef", 32);
}
static void to_nobody(Rk__EnvelopeHeader *e) { e->n_recipients = 0; }
static void to_self(Rk__EnvelopeHeader *e) { add_recipient(e, client_org_id(h.client)); }
static void to_unknown(Rk__EnvelopeHeader *e) { add_recipient(e, (const uint8_t *)"0123456789abcdef"); }
static void old_directory(Rk__EnvelopeHeader *e) { e->directory_serial = 1; }
static void wrong_len(Rk__EnvelopeHeader *e) { e->body_len = 999; }

static void try_envelopes(const uint8_t peer[16])
{
	static const struct {
		const char *what;
		Rk__Kind kind;
		void (*spoil)(Rk__EnvelopeHeader *);
		int want;
	} rows[] = {
		{"feed: another organisation's name", RK__KIND__FEED, other_org, RK_NOT_PERMITTED},
		{"feed: another device's name", RK__KIND__FEED, other_device, RK_NOT_PERMITTED},
		{"feed: another exchange", RK__KIND__FEED, other_exchange, RK_WRONG_EXCHANGE},
		{"feed: version 2", RK__KIND__FEED, version_2, RK_VERSION},
		{"feed: suite 2", RK__KIND__FEED, suite_2, RK_UNSUPPORTED},
		{"feed: reserved feed_id", RK__KIND__FEED, feed_1, RK_UNSUPPORTED},
		{"feed: reserved release_at", RK__KIND__FEED, release_later, RK_UNSUPPORTED},
		{"feed: made eleven minutes ago", RK__KIND__FEED, early, RK_CLOCK},
		{"feed: made in eleven minutes", RK__KIND__FEED, late, RK_CLOCK},
		{"feed: expired", RK__KIND__FEED, expired, RK_ENVELOPE_EXPIRED},
		{"feed: lives too long", RK__KIND__FEED, long_lived, RK_MALFORMED},
		{"feed: unknown epoch", RK__KIND__FEED, epoch_99, RK_EPOCH_UNKNOWN},
		{"feed: a notice by a member", RK__KIND__FEED, as_notice, RK_NOT_PERMITTED},
		{"feed: a call by a member", RK__KIND__FEED, as_call, RK_NOT_PERMITTED},
		{"feed: no channel", RK__KIND__FEED, no_channel, RK_MALFORMED},
		{"feed: revises nothing", RK__KIND__FEED, revise_nothing, RK_UNKNOWN_OBJECT},
		{"feed: body of another length", RK__KIND__FEED, wrong_len, RK_MALFORMED},
		{"internal: to another organisation", RK__KIND__OPEN, as_internal, RK_MALFORMED},
		{"proposal by SUBMIT", RK__KIND__OPEN, as_proposal, RK_NOT_PERMITTED},
		{"open: to nobody", RK__KIND__OPEN, to_nobody, RK_MALFORMED},
		{"open: to oneself", RK__KIND__OPEN, to_self, RK_MALFORMED},
		{"open: to an unknown organisation", RK__KIND__OPEN, to_unknown, RK_UNKNOWN_RECIPIENT},
		{"open: another organisation's name", RK__KIND__OPEN, other_org, RK_NOT_PERMITTED},
		{"open: old directory", RK__KIND__OPEN, old_directory, RK_STALE_DIRECTORY},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].what, rows[i].want, spoilt(rows[i].kind, peer, rows[i].spoil));
}

static void try_proofs(const uint8_t peer[16])
{
	uint8_t pk[32], sk[64];
	Rk__EnvelopeHeader e;
	struct sealed s;
	size_t all = h.target_count;

	crypto_sign_keypair(pk, sk);
	e = header_of(RK__KIND__OPEN);
	add_recipient(&e, peer);
	s = seal_with(&e, sk, client_exchange_id(h.client));
	expect("open: signed by another key", RK_BAD_SIGNATURE, submit_sealed(&s));

	s = seal_with(&e, keys_sign_sk(h.client, KEY_DEVICE), (const uint8_t *)"0123456789abcdef0123456789abcdef");
	expect("open: signed for another exchange", RK_BAD_SIGNATURE, submit_sealed(&s));

	s = seal(&e);
	((uint8_t *)(uintptr_t)s.body.data)[5] ^= 1;
	expect("open: another body", RK_BAD_SIGNATURE, submit_sealed(&s));

	s = seal(&e);
	struct sealed other = seal(&e);
	s.wraps = other.wraps;
	expect("open: transplanted wraps", RK_BAD_SIGNATURE, submit_sealed(&s));

	h.target_count = 0;
	for (size_t i = 0; i < all; i++)   /* only our own device keeps its wrap */
		if (memcmp(h.targets[i].device_id, client_device_id(h.client), 16) == 0) {
			struct envelope_target own = h.targets[i];
			h.targets[i] = h.targets[0];
			h.targets[0] = own;
			h.target_count = 1;
		}
	expect("open: no wrap for the recipient", RK_NO_RECIPIENT_KEY, submit(&e));
	h.target_count = all;
	sort_targets();

	h.targets[0].kx_serial += 7;
	expect("open: wrap for an unknown kx key", RK_STALE_DIRECTORY, submit(&e));
	h.targets[0].kx_serial -= 7;

	s = seal(&e);
	expect("open: honest, to see that the rest can pass", RK_OK, submit_sealed(&s));
	expect("open: the same envelope again", RK_DUPLICATE, submit_sealed(&s));
}

static void try_numbers(void)
{
	Rk__EnvelopeHeader e = header_of(RK__KIND__FEED);
	struct sealed s = seal(&e);
	Rk__Request r = RK__REQUEST__INIT;
	const Rk__Reply *reply = NULL;

	r.op = RK__OP__OP_SUBMIT;
	r.head = &s.head;
	expect("numbers: honest feed post", RK_OK, rawpeer_numbered(h.peer, &r, &s.body, 1, &reply));
	uint64_t seq = reply == NULL ? 0 : reply->seq;

	/* the very same bytes: pack by hand, so that the tag is the same too */
	uint8_t packed[8192];
	struct bytes frames[2] = {bytes_make(packed, rk__request__pack(&r, packed)), s.body};
	int code = rawpeer_ask(h.peer, frames, 2, &reply);
	expect("numbers: the same bytes again", RK_OK, code);
	expect("numbers: and the same effect", 0, reply == NULL || reply->seq != seq);

	e = header_of(RK__KIND__FEED);
	s = seal(&e);
	r.head = &s.head;
	expect("numbers: used with other bytes", RK_NUMBER_CONFLICT, rawpeer_call(h.peer, &r, &s.body, 1, NULL));
	r.number += 5;
	expect("numbers: out of order", RK_OUT_OF_ORDER, rawpeer_call(h.peer, &r, &s.body, 1, NULL));
	r.number = 1;
	r.writer_epoch = copy("deadbeef", 8);
	expect("numbers: a writer that said no HELLO", RK_GENERATION, rawpeer_call(h.peer, &r, &s.body, 1, NULL));
}

static void try_forms(void)
{
	uint8_t junk[64];
	struct bytes frame = BYTES_OF(junk);
	struct bytes five[6] = {frame, frame, frame, frame, frame, frame};
	static uint8_t large[9000];

	memset(junk, 0xff, sizeof(junk));
	expect("form: bytes that are no request", RK_MALFORMED, rawpeer_ask(h.peer, &frame, 1, NULL));
	memset(large, 0xff, sizeof(large));
	frame = BYTES_OF(large);
	expect("form: header over 8 KiB", RK_TOO_LARGE, rawpeer_ask(h.peer, &frame, 1, NULL));
	rawpeer_timeout(h.peer, 700);
	expect("form: six frames are dropped", RAWPEER_NO_REPLY, rawpeer_ask(h.peer, five, 6, NULL));
	large[0] = 0; /* the mark of a bundle */
	expect("form: a bundle that is none is dropped", RAWPEER_NO_REPLY, rawpeer_ask(h.peer, &frame, 1, NULL));
	rawpeer_timeout(h.peer, 5000);

	Rk__Request r = RK__REQUEST__INIT;
	r.op = RK__OP__OP_PING;
	r.protocol = 2;
	expect("form: protocol 2", RK_VERSION, rawpeer_call(h.peer, &r, NULL, 0, NULL));
	r.protocol = 1;
	r.op = RK__OP__OP_SUBMIT;
	expect("form: SUBMIT without a head", RK_MALFORMED, rawpeer_call(h.peer, &r, NULL, 0, NULL));
	r.op = (Rk__Op)99;
	expect("form: unknown operation", RK_MALFORMED, rawpeer_call(h.peer, &r, NULL, 0, NULL));
	r.op = RK__OP__OP_PING;
	r.object_len = 5;
	r.object_sha256 = copy("0123456789abcdef0123456789abcdef", 32);
	struct bytes object = bytes_str("hello");
	expect("form: an object where none belongs", RK_MALFORMED, rawpeer_call(h.peer, &r, &object, 1, NULL));
}

static void try_streams(const uint8_t peer[16])
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Subscribe sub = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;

	r.op = RK__OP__OP_SUBSCRIBE;
	r.subscribe = &sub;
	sub.stream = &id;
	id.type = RK__STREAM_TYPE__STREAM_MAILBOX;
	id.org_id = copy(peer, 16);
	expect("stream: another organisation's mailbox", RK_NOT_PERMITTED, rawpeer_call(h.peer, &r, NULL, 0, NULL));
	id.org_id = copy(client_org_id(h.client), 16);
	sub.cursor = 1000000;
	expect("stream: a cursor past the head", RK_GENERATION, rawpeer_call(h.peer, &r, NULL, 0, NULL));
	sub.cursor = 0;
	sub.generation = copy("0123456789abcdef", 16);
	expect("stream: another store's generation", RK_GENERATION, rawpeer_call(h.peer, &r, NULL, 0, NULL));
	sub.generation.len = 0;
	id.channel = RK__CHANNEL__OFFER;
	expect("stream: a mailbox with a channel", RK_MALFORMED, rawpeer_call(h.peer, &r, NULL, 0, NULL));

	Rk__GetObject get = RK__GET_OBJECT__INIT;
	Rk__Request g = RK__REQUEST__INIT;
	g.op = RK__OP__OP_GET_OBJECT;
	g.get_object = &get;
	get.type = RK__OBJECT_TYPE__OBJECT_FEED_KEY;
	get.id = copy(client_device_id(h.client), 16);
	expect("object: a feed key is none of the control stream", RK_UNKNOWN_OBJECT, rawpeer_call(h.peer, &g, NULL, 0, NULL));
	get.type = RK__OBJECT_TYPE__OBJECT_ORG_DEVICES;
	get.id = copy("0123456789abcdef", 16);
	expect("object: of nobody", RK_UNKNOWN_OBJECT, rawpeer_call(h.peer, &g, NULL, 0, NULL));
}

/* A member that makes itself a directory, an epoch, an invite. */
static void try_trust(void)
{
	struct txn *txn;
	Rk__Directory *dir = NULL;
	uint8_t oh[32], signer[16], pk[32], sk[64];
	struct bytes wire;
	int code;

	crypto_sign_keypair(pk, sk);
	ids_signer(signer, pk);
	if ((code = env_begin(client_env(h.client), false, &txn)) != RK_OK ||
	    (code = book_directory(h.client, txn, h.arena, &dir, oh)) != RK_OK)
		die("directory", code);
	env_abort(txn);
	dir->serial++;
	dir->prev_oh = copy(oh, 32);
	dir->issued_at = h.now;
	dir->expires_at = h.now + NDA_DAY_MS;
	for (size_t i = 0; i < dir->n_orgs; i++)
		if (memcmp(dir->orgs[i]->org_id.data, client_org_id(h.client), 16) == 0)
			dir->orgs[i]->roles |= TRUST_ROLE_SECRETARIAT;
	if ((code = object_make(OBJECT_KIND_DIRECTORY, client_exchange_id(h.client), sk, &dir->base, h.arena, &wire)) != RK_OK)
		die("make directory", code);
	code = put_with(RK__OP__OP_PUT_OBJECT, RK__OBJECT_TYPE__OBJECT_DIRECTORY, wire);
	expect("trust: a directory signed with a member's own key", code == RK_BAD_SIGNATURE ? RK_BAD_SIGNATURE : RK_NOT_PERMITTED,
	       code);

	Rk__InviteReg reg = RK__INVITE_REG__INIT;
	reg.version = 1;
	reg.invite_id = copy("0123456789abcdef", 16);
	reg.curve_pk = copy(pk, 32);
	reg.expires_at = h.now + NDA_DAY_MS;
	reg.signer_id = copy(signer, 16);
	if ((code = object_make(OBJECT_KIND_INVITE_REG, client_exchange_id(h.client), sk, &reg.base, h.arena, &wire)) != RK_OK)
		die("make invite", code);
	code = put_with(RK__OP__OP_INVITE_REG, RK__OBJECT_TYPE__OBJECT_NONE, wire);
	expect("trust: an invite by a member", code == RK_BAD_SIGNATURE ? RK_BAD_SIGNATURE : RK_NOT_PERMITTED, code);
}

static void try_gates_without_agreement(const uint8_t peer[16])
{
	static const uint8_t unknown[32] = {1};
	Rk__EnvelopeHeader e = nda_header(unknown, peer);
	expect("gate: under an agreement that does not exist", RK_NO_NDA, submit(&e));
	e = nda_header(unknown, peer);
	e.kind = RK__KIND__NDA_NOTICE;
	expect("gate: a notice under an agreement that does not exist", RK_NO_NDA, submit(&e));
	e = nda_header(unknown, peer);
	e.nda_id.len = 0;
	expect("gate: an NDA envelope without an agreement", RK_MALFORMED, submit(&e));
	expect("act: HOLD on an unknown agreement", RK_NO_NDA,
	       act_of(unknown, client_org_id(h.client), RK__ACT_KIND__HOLD, OBJECT_KIND_NDA_HOLD,
	              keys_sign_sk(h.client, KEY_DEVICE), client_device_id(h.client)));
}

static int pickup(const uint8_t nda_id[32], const uint8_t env_id[32], const uint8_t *device_id)
{
	Rk__Pickup p = RK__PICKUP__INIT;
	ProtobufCBinaryData id = copy(env_id, 32);
	uint8_t set[32];
	struct bytes wire;

	nda_set_known(nda_id, set);
	p.version = 1;
	p.env_ids = &id;
	p.n_env_ids = 1;
	p.nda_id = copy(nda_id, 32);
	p.nda_set = copy(set, 32);
	p.device_id = copy(device_id, 16);
	p.time = h.now;
	int code = object_make(OBJECT_KIND_PICKUP, client_exchange_id(h.client), keys_sign_sk(h.client, KEY_DEVICE), &p.base,
	                       h.arena, &wire);
	if (code != RK_OK)
		die("make pickup", code);
	return put_with(RK__OP__OP_PICKUP, RK__OBJECT_TYPE__OBJECT_NONE, wire);
}

static int fetch(const uint8_t env_id[32])
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Fetch f = RK__FETCH__INIT;
	r.op = RK__OP__OP_FETCH;
	r.fetch = &f;
	f.env_id = copy(env_id, 32);
	return rawpeer_call(h.peer, &r, NULL, 0, NULL);
}

/* Under an agreement in force with peer. */
static void try_nda(const uint8_t nda_id[32], const uint8_t peer[16])
{
	static const uint8_t stranger[16] = "0123456789abcde";
	Rk__EnvelopeHeader e = nda_header(nda_id, peer);
	uint8_t env_id[32];

	struct sealed s = seal(&e);
	expect("nda: honest, to see that the rest can pass", RK_OK, submit_sealed(&s));
	ids_env(env_id, client_exchange_id(h.client), bytes_of(s.head.payload));
	expect("nda: the same envelope again", RK_DUPLICATE, submit_sealed(&s));

	e = nda_header(nda_id, stranger);
	expect("nda: to a stranger", RK_NO_NDA, submit(&e));
	e = nda_header(nda_id, peer);
	e.nda_set.data[0] ^= 1;
	expect("nda: another nda_set", RK_STALE_NDA, submit(&e));
	e = nda_header(nda_id, peer);
	e.sender_org = copy(peer, 16);
	expect("nda: in the other party's name", RK_MALFORMED, submit(&e));
	e = nda_header(nda_id, peer);
	e.reply_only = 1;
	expect("nda: reply_only without a thread", RK_MALFORMED, submit(&e));
	expect("nda: act in the other party's name", RK_NOT_PERMITTED,
	       act_of(nda_id, peer, RK__ACT_KIND__TERMINATE, OBJECT_KIND_NDA_ACT, keys_sign_sk(h.client, KEY_ORG), NULL));
	expect("nda: TERMINATE signed by the device", RK_BAD_SIGNATURE,
	       act_of(nda_id, client_org_id(h.client), RK__ACT_KIND__TERMINATE, OBJECT_KIND_NDA_ACT,
	              keys_sign_sk(h.client, KEY_DEVICE), NULL));
	expect("nda: REJECT after the last signature", RK_CONFLICT,
	       act_of(nda_id, client_org_id(h.client), RK__ACT_KIND__REJECT, OBJECT_KIND_NDA_ACT, keys_sign_sk(h.client, KEY_ORG),
	              NULL));
	expect("nda: RESUME without a hold", RK_CONFLICT,
	       act_of(nda_id, client_org_id(h.client), RK__ACT_KIND__RESUME, OBJECT_KIND_NDA_ACT, keys_sign_sk(h.client, KEY_ORG),
	              NULL));
	expect("nda: pickup of one's own dossier", RK_UNKNOWN_OBJECT, pickup(nda_id, env_id, client_device_id(h.client)));
	expect("nda: pickup by another device's name", RK_NOT_PERMITTED, pickup(nda_id, env_id, stranger));
	expect("nda: fetch of one's own dossier, through the same gate", RK_OK, fetch(env_id));
	expect("nda: fetch of what does not exist", RK_UNKNOWN_OBJECT, fetch((const uint8_t *)"0123456789abcdef0123456789abcdef"));
}

static void smuggle(const char *what, const uint8_t nda_id[32], const uint8_t peer[16], Rk__Message *m)
{
	Rk__EnvelopeHeader e = nda_header(nda_id, peer);

	m->msg_version = 1;
	e.kind = RK__KIND__NDA_NOTICE;
	if (STRICT_PACK(m, h.arena, &h.message) != RK_OK)
		die("pack", RK_EINTERNAL);
	expect(what, RK_OK, submit(&e));
	h.message = bytes_make(NULL, 0);
}

/* What the broker cannot see: it is a notice by its header, and something else inside. */
static void try_smuggling(const uint8_t nda_id[32], const uint8_t peer[16])
{
	Rk__Message m = RK__MESSAGE__INIT;
	Rk__Dossier dossier = RK__DOSSIER__INIT;
	Rk__NdaNotice notice = RK__NDA_NOTICE__INIT;

	dossier.text = (char *)"smuggled dossier";
	m.type = RK__MESSAGE_TYPE__MESSAGE_DOSSIER;
	m.dossier = &dossier;
	smuggle("smuggle: a dossier in a notice", nda_id, peer, &m);
	m.type = RK__MESSAGE_TYPE__MESSAGE_TEXT;
	m.dossier = NULL;
	m.text = (char *)"smuggled words";
	smuggle("smuggle: plain words in a notice", nda_id, peer, &m);
	m.type = RK__MESSAGE_TYPE__MESSAGE_CONSENT;
	m.text = (char *)"";
	m.notice = &notice;
	notice.summary = (char *)"smuggled consent";
	notice.abstract = (char *)"smuggled abstract";
	smuggle("smuggle: another type's fields in a consent", nda_id, peer, &m);
}

static void deaf(int seconds)
{
	Rk__Request r = RK__REQUEST__INIT;
	Rk__Subscribe sub = RK__SUBSCRIBE__INIT;
	Rk__StreamId id = RK__STREAM_ID__INIT;
	Rk__Credit credit = RK__CREDIT__INIT;

	id.type = RK__STREAM_TYPE__STREAM_CHANNEL;
	id.channel = RK__CHANNEL__OFFER;
	sub.stream = &id;
	r.op = RK__OP__OP_SUBSCRIBE;
	r.subscribe = &sub;
	if (rawpeer_call(h.peer, &r, NULL, 0, NULL) != RK_OK)
		die("subscribe", RK_EINTERNAL);
	Rk__Request c = RK__REQUEST__INIT;
	credit.entries = 4096;
	credit.bytes = 67108864;
	c.op = RK__OP__OP_CREDIT;
	c.credit = &credit;
	rawpeer_call(h.peer, &c, NULL, 0, NULL);
	printf("listening\n");
	fflush(stdout);
	rawpeer_timeout(h.peer, seconds * 1000);
	rawpeer_ask(h.peer, NULL, 0, NULL);
	printf("deliveries %llu\n", (unsigned long long)rawpeer_deliveries(h.peer));
}

/* ---- set-up */

static void bring_up(const char *home)
{
	static struct member m;

	member_open(&m, home);
	h.client = m.client;
	h.arena = m.arena;
	arena_raise(h.arena, (size_t)256 << 20);
	int code = keys_unlock(h.client, KEY_ORG);
	if (code != RK_OK)
		die("organisation key", code);
	h.now = client_now(h.client);
	h.directory_serial = m.directory_serial;
	h.feed_epoch = m.epoch;
	memcpy(h.writer_epoch, m.writer_epoch, 8);
	h.peer = member_connect(&m);
}

static void add_targets(const uint8_t org_id[16])
{
	struct txn *txn;
	size_t count = 0;
	if (env_begin(client_env(h.client), false, &txn) != RK_OK)
		die("store", RK_ESTORE);
	int code = book_targets(h.client, txn, org_id, h.targets + h.target_count, 64 - h.target_count, &count);
	env_abort(txn);
	if (code != RK_OK)
		die("targets", code);
	h.target_count += count;
	sort_targets();
}

static void parse_id(uint8_t *out, size_t len, const char *text)
{
	if (text == NULL || !ids_from_hex(out, len, text)) {
		fprintf(stderr, "hostile: bad id\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	uint8_t nda_id[32], env_id[32], peer[16];

	if (argc < 4)
		return 2;
	const char *mode = argv[2];
	bring_up(argv[1]);
	if (strcmp(mode, "form") == 0) {
		parse_id(peer, 16, argv[3]);
		add_targets(peer);
		add_targets(client_org_id(h.client));
		Rk__EnvelopeHeader e = header_of(RK__KIND__FEED);
		expect("session: a post before HELLO", RK_GENERATION, submit(&e));
		expect("session: HELLO", RK_OK, rawpeer_hello_as(h.peer, h.writer_epoch, NULL));
		try_forms();
		try_envelopes(peer);
		try_proofs(peer);
		try_streams(peer);
		try_trust();
		try_gates_without_agreement(peer);
		try_numbers();
	} else if (strcmp(mode, "gate") == 0 && argc >= 6) {
		parse_id(nda_id, 32, argv[3]);
		parse_id(peer, 16, argv[4]);
		add_targets(peer);
		add_targets(client_org_id(h.client));
		expect("session: HELLO", RK_OK, rawpeer_hello_as(h.peer, h.writer_epoch, NULL));
		Rk__EnvelopeHeader e = nda_header(nda_id, peer);
		if (argc > 6 && strcmp(argv[6], "unmarked") == 0)
			e.marking = RK__MARKING__UNMARKED;
		if (argc > 6 && strcmp(argv[6], "reply") == 0) {
			e.reply_only = 1;
			e.thread_id = copy("0123456789abcdef", 16);
		}
		expect("gate: an NDA envelope", atoi(argv[5]), submit(&e));
	} else if (strcmp(mode, "nda") == 0 && argc >= 5) {
		parse_id(nda_id, 32, argv[3]);
		parse_id(peer, 16, argv[4]);
		add_targets(peer);
		add_targets(client_org_id(h.client));
		expect("session: HELLO", RK_OK, rawpeer_hello_as(h.peer, h.writer_epoch, NULL));
		try_nda(nda_id, peer);
	} else if (strcmp(mode, "smuggle") == 0 && argc >= 5) {
		parse_id(nda_id, 32, argv[3]);
		parse_id(peer, 16, argv[4]);
		add_targets(peer);
		add_targets(client_org_id(h.client));
		expect("session: HELLO", RK_OK, rawpeer_hello_as(h.peer, h.writer_epoch, NULL));
		try_smuggling(nda_id, peer);
	} else if (strcmp(mode, "pickup") == 0 && argc >= 6) {
		parse_id(nda_id, 32, argv[3]);
		parse_id(env_id, 32, argv[4]);
		expect("session: HELLO", RK_OK, rawpeer_hello_as(h.peer, h.writer_epoch, NULL));
		expect("pickup", atoi(argv[5]), pickup(nda_id, env_id, client_device_id(h.client)));
	} else if (strcmp(mode, "fetch") == 0 && argc >= 5) {
		parse_id(env_id, 32, argv[3]);
		expect("session: HELLO", RK_OK, rawpeer_hello_as(h.peer, h.writer_epoch, NULL));
		expect("fetch", atoi(argv[4]), fetch(env_id));
	} else if (strcmp(mode, "deaf") == 0) {
		expect("session: HELLO", RK_OK, rawpeer_hello_as(h.peer, h.writer_epoch, NULL));
		deaf(atoi(argv[3]));
	} else {
		return 2;
	}
	printf("hostile: %u tried, %u not as expected\n", h.tried, h.failed);
	rawpeer_free(h.peer);
	client_close(h.client);
	arena_free_wiped(h.arena);
	return h.failed == 0 ? 0 : 1;
}
