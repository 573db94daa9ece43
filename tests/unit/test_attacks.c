/*
 * The attacks of CRYPTO 2.5 and 4 on envelopes and signed objects, each against a receiver that does all checks in their
 * order.  An attacker here has everything but the keys that the attack would make needless: often he is a member,
 * sometimes the sender himself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/nda.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "tests/unit/fixed_kit.h"

#define A 1 /* the sender */
#define B 2 /* the recipient */
#define C 0 /* a third member */
#define TO_B 4u

static struct fixed f;
static struct arena *arena;
static struct bytes message;

static int set_up(void **state)
{
	(void)state;
	fixed_init(&f);
	arena = arena_new(4 << 20);
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free_wiped(arena);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	arena_reset(arena, 4 << 20);
	message = fixed_message("the layer is 80 nanometres", arena);
	return 0;
}

/* What a client of org `me` does with an envelope, in the order of CRYPTO 2.5. */
static int receive_from(const struct fixed_org *sender, const struct envelope_wire *w, int me)
{
	struct envelope e;
	struct bytes opened;
	Rk__WrapList *wraps;
	Rk__Message *m;
	int r;

	if ((r = envelope_parse(w->head, arena, &e)) != RK_OK)
		return r;
	if ((r = envelope_verify(&e, f.exchange_id, sender->device.pk)) != RK_OK)
		return r;
	if ((r = envelope_check_bulk(&e, w->wraps, w->body, arena, &wraps)) != RK_OK)
		return r;
	r = envelope_open(&e, wraps, w->body, f.ek, f.orgs[me].device_id, fixed_lookup, &f.orgs[me], arena, &opened, NULL);
	if (r != RK_OK) {
		assert_null(opened.data);
		return r;
	}
	return message_read(opened, arena, &m) == MESSAGE_OK ? RK_OK : RK_MALFORMED;
}

/* The key is that of the device which the header names, in the organisation that it names. */
static int receive(const struct envelope_wire *w, int me)
{
	struct envelope e;
	int r;

	if ((r = envelope_parse(w->head, arena, &e)) != RK_OK)
		return r;
	for (int i = 0; i < FIXED_ORGS; i++)
		if (memcmp(f.orgs[i].device_id, e.header->sender_device.data, 16) == 0 &&
		    memcmp(f.orgs[i].org_id, e.header->sender_org.data, 16) == 0)
			return receive_from(&f.orgs[i], w, me);
	return RK_NOT_ADMITTED;
}

static struct envelope_wire honest(Rk__Kind kind)
{
	struct envelope_wire w;

	assert_int_equal(fixed_seal(&f, fixed_header(&f, kind, A, TO_B, arena), A, TO_B, message, arena, &w), RK_OK);
	assert_int_equal(receive(&w, B), RK_OK);
	return w;
}

/* Head, header and wraps of an envelope, to be changed. */
struct parts {
	Rk__EnvelopeHead *head;
	Rk__EnvelopeHeader *header;
	Rk__WrapList *wraps;
};

static struct parts take_apart(const struct envelope_wire *w)
{
	struct parts p;
	Rk__Signed *s;

	assert_int_equal(STRICT_PARSE(signed, w->head, arena, &s), RK_OK);
	assert_int_equal(STRICT_PARSE(envelope_head, bytes_of(s->payload), arena, &p.head), RK_OK);
	assert_int_equal(STRICT_PARSE(envelope_header, bytes_of(p.head->header), arena, &p.header), RK_OK);
	assert_int_equal(STRICT_PARSE(wrap_list, w->wraps, arena, &p.wraps), RK_OK);
	return p;
}

static ProtobufCBinaryData sha256_of(struct bytes data)
{
	uint8_t hash[32];

	ids_sha256(hash, data);
	return pb_of(bytes_make(arena_copy(arena, hash, 32), 32));
}

/* Puts changed parts together again: right hashes, and a good signature of `signer`. */
static struct envelope_wire put_together(struct parts *p, struct bytes body, const struct fixed_org *signer)
{
	struct envelope_wire w = {.body = body};
	struct bytes header;

	assert_int_equal(STRICT_PACK(p->header, arena, &header), RK_OK);
	assert_int_equal(STRICT_PACK(p->wraps, arena, &w.wraps), RK_OK);
	p->head->header = pb_of(header);
	p->head->wraps_sha256 = sha256_of(w.wraps);
	p->head->body_sha256 = sha256_of(body);
	assert_int_equal(object_make(OBJECT_KIND_ENVELOPE, f.exchange_id, signer->device.sk, &p->head->base, arena, &w.head),
	                 RK_OK);
	return w;
}

static void stripped_and_signed_again(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA), stolen;
	struct parts p = take_apart(&w);
	(void)state;

	/* C's signature under A's head: it is A's key that is asked. */
	stolen = put_together(&p, w.body, &f.orgs[C]);
	assert_int_equal(receive(&stolen, B), RK_BAD_SIGNATURE);
	/* C's key under the name of A's organisation. */
	p.header->sender_device = pb_of(BYTES_OF(f.orgs[C].device_id));
	stolen = put_together(&p, w.body, &f.orgs[C]);
	assert_int_equal(receive(&stolen, B), RK_NOT_ADMITTED);
}

static void authorship_is_not_stolen(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA), stolen;
	struct parts p = take_apart(&w);
	(void)state;

	/* C passes A's ciphertext and wraps off as its own: all signatures are good, nothing opens. */
	p.header->sender_org = pb_of(BYTES_OF(f.orgs[C].org_id));
	p.header->sender_device = pb_of(BYTES_OF(f.orgs[C].device_id));
	stolen = put_together(&p, w.body, &f.orgs[C]);
	assert_int_equal(receive(&stolen, B), RK_BAD_SIGNATURE);
}

static void seal_cek(uint8_t sealed[128], const Rk__EnvelopeHead *head, const uint8_t cek[32], const uint8_t pk[32])
{
	uint8_t plain[80] = "renkei1-cek";

	ids_hash(plain + 16, "renkei/v1/header", bytes_of(head->header));
	memcpy(plain + 48, cek, 32);
	assert_int_equal(crypto_box_seal(sealed, plain, sizeof(plain), pk), 0);
}

static void nothing_is_forwarded_as_the_senders_word(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA), forwarded;
	struct parts p = take_apart(&w);
	struct envelope e;
	struct bytes opened;
	uint8_t cek[32], sealed[128];
	(void)state;

	/* B has the key, seals it to C under A's own head: the head commits to another list. */
	assert_int_equal(envelope_parse(w.head, arena, &e), RK_OK);
	assert_int_equal(envelope_open(&e, p.wraps, w.body, NULL, f.orgs[B].device_id, fixed_lookup, &f.orgs[B], arena, &opened,
	                               cek), RK_OK);
	seal_cek(sealed, p.head, cek, f.orgs[C].kx.pk);
	p.wraps->n_wraps = 1;
	p.wraps->wraps[0]->device_id = pb_of(BYTES_OF(f.orgs[C].device_id));
	p.wraps->wraps[0]->sealed = pb_of(BYTES_OF(sealed));
	forwarded = w;
	assert_int_equal(STRICT_PACK(p.wraps, arena, &forwarded.wraps), RK_OK);
	assert_int_equal(receive(&forwarded, C), RK_BAD_SIGNATURE);
	/* With a list of C's own in the head, A's signature is gone. */
	forwarded = put_together(&p, w.body, &f.orgs[B]);
	assert_int_equal(receive(&forwarded, C), RK_BAD_SIGNATURE);
	/* With C among the recipients, the header is another one. */
	p.header->recipients[0]->org_id = pb_of(BYTES_OF(f.orgs[C].org_id));
	forwarded = put_together(&p, w.body, &f.orgs[B]);
	assert_int_equal(receive(&forwarded, C), RK_BAD_SIGNATURE);
}

static void agreement_is_not_swapped(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA), swapped;
	struct parts p = take_apart(&w);
	(void)state;

	p.header->nda_id = fixed_data(arena, 32, "a weaker agreement");
	/* By the broker, and by a sender who thinks better of it afterwards. */
	swapped = put_together(&p, w.body, &f.orgs[C]);
	assert_int_equal(receive(&swapped, B), RK_BAD_SIGNATURE);
	swapped = put_together(&p, w.body, &f.orgs[A]);
	assert_int_equal(receive(&swapped, B), RK_BAD_SIGNATURE);
}

static void other_exchange_is_refused(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA), moved;
	struct parts p = take_apart(&w);
	uint8_t other[32] = {1};
	struct envelope e;
	(void)state;

	assert_int_equal(envelope_parse(w.head, arena, &e), RK_OK);
	assert_int_equal(envelope_verify(&e, other, f.orgs[A].device.pk), RK_WRONG_EXCHANGE);
	assert_int_equal(envelope_check_rules(e.header, other), RK_WRONG_EXCHANGE);
	/* The name changed, the signature not made for it. */
	p.header->exchange_id = pb_of(BYTES_OF(other));
	moved = put_together(&p, w.body, &f.orgs[A]);
	assert_int_equal(envelope_parse(moved.head, arena, &e), RK_OK);
	assert_int_equal(envelope_verify(&e, other, f.orgs[A].device.pk), RK_BAD_SIGNATURE);
	assert_int_equal(receive(&moved, B), RK_WRONG_EXCHANGE);
}

static void wraps_are_not_transplanted(void **state)
{
	struct envelope_wire first = honest(RK__KIND__NDA), second, mixed;
	Rk__EnvelopeHeader *h = fixed_header(&f, RK__KIND__NDA, A, TO_B, arena);
	struct parts p, q;
	ProtobufCBinaryData sealed;
	Rk__Wrap *kept;
	(void)state;

	h->created_at++;
	assert_int_equal(fixed_seal(&f, h, A, TO_B, message, arena, &second), RK_OK);
	p = take_apart(&first);
	q = take_apart(&second);
	/* Even by the sender: the same key, the same people, another header. */
	p.wraps = q.wraps;
	mixed = put_together(&p, first.body, &f.orgs[A]);
	assert_int_equal(receive(&mixed, B), RK_BAD_SIGNATURE);
	/* And within one list: the wraps of two devices exchanged. */
	p = take_apart(&first);
	kept = p.wraps->wraps[0];
	sealed = kept->sealed;
	kept->sealed = p.wraps->wraps[1]->sealed;
	p.wraps->wraps[1]->sealed = sealed;
	mixed = put_together(&p, first.body, &f.orgs[A]);
	assert_int_equal(receive(&mixed, B), RK_BAD_SIGNATURE);
	/* The list out of order, or with a device twice. */
	p.wraps->wraps[0] = p.wraps->wraps[1];
	mixed = put_together(&p, first.body, &f.orgs[A]);
	assert_int_equal(receive(&mixed, B), RK_MALFORMED);
	p.wraps->wraps[1] = kept;
	mixed = put_together(&p, first.body, &f.orgs[A]);
	assert_int_equal(receive(&mixed, B), RK_MALFORMED);
}

static void bodies_are_not_exchanged(void **state)
{
	struct envelope_wire first = honest(RK__KIND__NDA), second, mixed;
	struct parts p;
	(void)state;

	assert_int_equal(fixed_seal(&f, fixed_header(&f, RK__KIND__OPEN, A, TO_B, arena), A, TO_B, message, arena, &second), RK_OK);
	mixed = first;
	mixed.body = second.body;
	assert_int_equal(receive(&mixed, B), RK_BAD_SIGNATURE);
	p = take_apart(&first);
	mixed = put_together(&p, second.body, &f.orgs[A]);
	assert_int_equal(receive(&mixed, B), RK_BAD_SIGNATURE);
}

/* A sender who shows B one text and keeps the commitment to another for the court. */
static void content_must_match_its_commitment(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA), forged;
	uint8_t cek[32] = {5}, plain[544] = {0}, sealed[2][128], pc[32], *body = fixed_alloc(arena, sizeof(plain) + 16);
	struct parts p;
	struct bytes header;
	size_t padded;
	(void)state;

	memcpy(plain + 32, message.data, message.len);
	assert_int_equal(sodium_pad(&padded, plain + 32, message.len, 512, 512), 0);
	envelope_pc(pc, BYTES_OF(plain));
	/* Once with the right commitment, to show that the rest is right; once with another. */
	for (int is_wrong = 0; is_wrong <= 1; is_wrong++) {
		p = take_apart(&w);
		pc[0] ^= (uint8_t)is_wrong;
		p.header->pc = pb_of(BYTES_OF(pc));
		assert_int_equal(STRICT_PACK(p.header, arena, &header), RK_OK);
		p.head->header = pb_of(header);
		crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, plain, sizeof(plain), header.data, header.len, NULL,
		                                           p.head->nonce.data, cek);
		for (size_t i = 0; i < 2; i++) {
			bool is_a = memcmp(p.wraps->wraps[i]->device_id.data, f.orgs[A].device_id, 16) == 0;

			seal_cek(sealed[i], p.head, cek, f.orgs[is_a ? A : B].kx.pk);
			p.wraps->wraps[i]->sealed = pb_of(BYTES_OF(sealed[i]));
		}
		forged = put_together(&p, bytes_make(body, sizeof(plain) + 16), &f.orgs[A]);
		assert_int_equal(receive(&forged, B), is_wrong ? RK_BAD_SIGNATURE : RK_OK);
	}
}

static void body_is_not_cut(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA), cut = w;
	struct parts p = take_apart(&w);
	struct bytes opened;
	struct envelope e;
	(void)state;

	arena_raise(arena, 64 << 20);
	for (cut.body.len = 0; cut.body.len < w.body.len; cut.body.len++) {
		assert_int_equal(receive(&cut, B), RK_BAD_SIGNATURE);
		/* Also behind the back of the hashes. */
		assert_int_equal(envelope_parse(w.head, arena, &e), RK_OK);
		assert_int_equal(envelope_open(&e, p.wraps, cut.body, NULL, f.orgs[B].device_id, fixed_lookup, &f.orgs[B], arena,
		                               &opened, NULL), RK_BAD_SIGNATURE);
	}
}

static size_t flip_all(struct envelope_wire *w, struct bytes *frame)
{
	uint8_t *copy = malloc(frame->len);
	const uint8_t *good = frame->data;
	size_t opened = 0;

	memcpy(copy, good, frame->len);
	frame->data = copy;
	for (size_t i = 0; i < frame->len; i++) {
		for (int bit = 0; bit < 8; bit += 7) {
			copy[i] ^= (uint8_t)(1u << bit);
			arena_raise(arena, 64 * 1024);
			opened += receive(w, B) == RK_OK;
			copy[i] ^= (uint8_t)(1u << bit);
		}
	}
	frame->data = good;
	free(copy);
	return opened;
}

static void no_flipped_bit_opens(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA);
	(void)state;

	arena_raise(arena, 256 << 20);
	assert_int_equal(flip_all(&w, &w.head), 0);
	assert_int_equal(flip_all(&w, &w.wraps), 0);
	assert_int_equal(flip_all(&w, &w.body), 0);
	assert_int_equal(receive(&w, B), RK_OK);
}

static void feed_has_no_second_list_and_one_key(void **state)
{
	struct envelope_wire w = honest(RK__KIND__FEED), bent = w;
	uint8_t ek[32] = {1};
	struct envelope e;
	struct bytes opened;
	Rk__Signed *s;
	Rk__EnvelopeHead *head;
	(void)state;

	assert_int_equal(envelope_parse(w.head, arena, &e), RK_OK);
	assert_int_equal(envelope_open(&e, NULL, w.body, ek, f.orgs[B].device_id, fixed_lookup, &f.orgs[B], arena, &opened,
	                               NULL), RK_BAD_SIGNATURE);
	assert_int_equal(envelope_open(&e, NULL, w.body, NULL, f.orgs[B].device_id, fixed_lookup, &f.orgs[B], arena, &opened,
	                               NULL), RK_NO_RECIPIENT_KEY);
	bent.wraps = bytes_str("a list for the chosen few");
	assert_int_equal(receive(&bent, B), RK_BAD_SIGNATURE);
	/* Signed by the sender with such a list: no FEED at all. */
	assert_int_equal(STRICT_PARSE(signed, w.head, arena, &s), RK_OK);
	assert_int_equal(STRICT_PARSE(envelope_head, bytes_of(s->payload), arena, &head), RK_OK);
	head->wraps_sha256 = sha256_of(bent.wraps);
	assert_int_equal(object_make(OBJECT_KIND_ENVELOPE, f.exchange_id, f.orgs[A].device.sk, &head->base, arena, &bent.head),
	                 RK_OK);
	assert_int_equal(receive(&bent, B), RK_MALFORMED);
}

static void signature_serves_one_purpose(void **state)
{
	Rk__NdaAct *act = fixed_act(&f, A, RK__ACT_KIND__HOLD, arena);
	struct bytes payload;
	uint8_t sig[64];
	(void)state;

	assert_int_equal(STRICT_PACK(act, arena, &payload), RK_OK);
	for (int made = 0; made < OBJECT_KIND_COUNT; made++) {
		assert_int_equal(object_sign((enum object_kind)made, f.exchange_id, f.orgs[A].org.sk, payload, sig), RK_OK);
		for (int read = 0; read < OBJECT_KIND_COUNT; read++)
			assert_int_equal(object_verify((enum object_kind)read, f.exchange_id, f.orgs[A].org.pk, payload, BYTES_OF(sig)),
			                 made == read ? RK_OK : RK_BAD_SIGNATURE);
	}
}

static void id_does_not_depend_on_the_signature(void **state)
{
	struct envelope_wire w = honest(RK__KIND__NDA), other;
	struct parts p = take_apart(&w);
	struct envelope e;
	uint8_t id[32], oh[32];
	(void)state;

	other = put_together(&p, w.body, &f.orgs[C]);
	assert_int_equal(envelope_parse(other.head, arena, &e), RK_OK);
	envelope_id(id, &e, f.exchange_id);
	envelope_oh(oh, &e, f.exchange_id);
	assert_memory_equal(id, w.env_id, 32);
	assert_memory_not_equal(oh, w.oh, 32);
}

/* An agreement of A and B for an envelope to B and C, to oneself, and a one-way agreement on the way back. */
static void agreement_covers_its_parties_and_direction_only(void **state)
{
	const uint8_t *b_and_c[] = {f.orgs[B].org_id, f.orgs[C].org_id}, *a_alone[] = {f.orgs[A].org_id};
	struct nda_act acts[2] = {{.time_ms = 1, .payload_sha256 = {1}, .kind = RK__ACT_KIND__ACCEPT},
	                          {.time_ms = 2, .payload_sha256 = {2}, .party = 1, .kind = RK__ACT_KIND__ACCEPT}};
	Rk__NdaTerms *t = fixed_terms(&f, arena);
	uint8_t nda_id[32] = {0};
	struct nda_question q = {f.orgs[A].org_id, b_and_c, 1, false, t->not_before, 3};
	struct nda_row row;
	(void)state;

	t->parties[0]->may_receive = t->parties[1]->may_disclose = 0;
	nda_row_init(&row, nda_id, t);
	nda_fold(&row, acts, 2);
	assert_int_equal(nda_gate(&row, &q), RK_OK);
	q.recipient_count = 2;
	assert_int_equal(nda_gate(&row, &q), RK_NO_NDA);
	q.recipient_count = 1;
	q.recipients = a_alone;
	assert_int_equal(nda_gate(&row, &q), RK_NO_NDA);
	q.sender_org = f.orgs[B].org_id;
	assert_int_equal(nda_gate(&row, &q), RK_DIRECTION);
	q.reply_only = true;
	assert_int_equal(nda_gate(&row, &q), RK_OK);
	/* The stranger hears the same before, while and after. */
	q.sender_org = f.orgs[C].org_id;
	for (q.t_ms = t->not_before - 1; q.t_ms < t->not_after + 2; q.t_ms += (t->not_after - t->not_before) / 2) {
		assert_int_equal(nda_gate(&row, &q), RK_NO_NDA);
		assert_int_equal(nda_gate_notice(&row, &q), RK_NO_NDA);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stripped_and_signed_again, clear),
		cmocka_unit_test_setup(authorship_is_not_stolen, clear),
		cmocka_unit_test_setup(nothing_is_forwarded_as_the_senders_word, clear),
		cmocka_unit_test_setup(agreement_is_not_swapped, clear),
		cmocka_unit_test_setup(other_exchange_is_refused, clear),
		cmocka_unit_test_setup(wraps_are_not_transplanted, clear),
		cmocka_unit_test_setup(bodies_are_not_exchanged, clear),
		cmocka_unit_test_setup(content_must_match_its_commitment, clear),
		cmocka_unit_test_setup(body_is_not_cut, clear),
		cmocka_unit_test_setup(no_flipped_bit_opens, clear),
		cmocka_unit_test_setup(feed_has_no_second_list_and_one_key, clear),
		cmocka_unit_test_setup(signature_serves_one_purpose, clear),
		cmocka_unit_test_setup(id_does_not_depend_on_the_signature, clear),
		cmocka_unit_test_setup(agreement_covers_its_parties_and_direction_only, clear),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
