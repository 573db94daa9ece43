/*
 * Encrypt, then sign the ciphertext.  The header H (sender, recipients, agreement, commitment) is bound three times: it
 * is the AAD of the body, its hash is inside every wrap, and the head that carries it is signed.  So a wrap or
 * a body moved under another header does not open, and a head signed by somebody else names somebody else.
 * The AEAD does not commit to a plaintext; pc in H does, and is recomputed before a byte is given out.
 */
#include "proto/envelope.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"

#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define CEK_BYTES crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define WRAPS_MAX 512
#define LABEL_BYTES 16
#define WRAP_PLAIN_BYTES (LABEL_BYTES + 32 + CEK_BYTES)

_Static_assert(WRAP_PLAIN_BYTES + crypto_box_SEALBYTES == ENVELOPE_SEALED_BYTES, "a wrap is 128 bytes");
_Static_assert(sizeof(((struct envelope_random *)0)->nonce) == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");

static const uint8_t wrap_label[LABEL_BYTES] = "renkei1-cek";

void envelope_random(struct envelope_random *r)
{
	randombytes_buf(r, sizeof(*r));
}

void envelope_pc(uint8_t pc[32], struct bytes body_plain)
{
	ids_hash(pc, "renkei/v1/plain", body_plain);
}

static void header_hash(uint8_t out[32], struct bytes header)
{
	ids_hash(out, "renkei/v1/header", header);
}

static void feed_body_key(uint8_t key[CEK_BYTES], const uint8_t ek[32])
{
	ids_kdf(key, ek, "renkei/v1/feed-body", (struct bytes){NULL, 0});
}

/* ---- making */

int envelope_plain(struct bytes message, const uint8_t salt[ENVELOPE_SALT_BYTES], struct arena *a, uint8_t **plain,
                   size_t *plain_len)
{
	size_t room = (message.len / ENVELOPE_PAD_BYTES + 1) * ENVELOPE_PAD_BYTES, padded;
	uint8_t *p = arena_alloc(a, ENVELOPE_SALT_BYTES + room);

	if (!p)
		return RK_ENOMEM;
	memcpy(p, salt, ENVELOPE_SALT_BYTES);
	memcpy(p + ENVELOPE_SALT_BYTES, message.data, message.len);
	if (sodium_pad(&padded, p + ENVELOPE_SALT_BYTES, message.len, ENVELOPE_PAD_BYTES, room) != 0) {
		sodium_memzero(p, ENVELOPE_SALT_BYTES + room);
		return RK_EINTERNAL;
	}
	*plain = p;
	*plain_len = ENVELOPE_SALT_BYTES + padded;
	return RK_OK;
}

/* What the sealing itself decides in the header; the rest was the caller's. */
static int finish_header(Rk__EnvelopeHeader *h, const struct envelope_random *random, const uint8_t pc[32],
                         size_t body_len, struct arena *a, struct bytes *packed)
{
	uint8_t *nonce16 = arena_copy(a, random->nonce16, sizeof(random->nonce16)), *pc_copy = arena_copy(a, pc, 32);
	int r;

	if (!nonce16 || !pc_copy)
		return RK_ENOMEM;
	h->version = 1;
	h->suite = ENVELOPE_SUITE;
	h->nonce16 = pb_of(bytes_make(nonce16, sizeof(random->nonce16)));
	h->pc = pb_of(bytes_make(pc_copy, 32));
	h->body_len = (uint32_t)body_len;
	if ((r = STRICT_PACK(h, a, packed)) != RK_OK)
		return r;
	if (packed->len > ENVELOPE_HEADER_MAX_BYTES)
		return RK_TOO_LARGE;
	return envelope_check_rules(h, h->exchange_id.data);
}

static int by_device(const void *a, const void *b)
{
	const struct envelope_target *x = a, *y = b;

	return memcmp(x->device_id, y->device_id, sizeof(x->device_id));
}

static int seal_one(const struct envelope_target *t, const uint8_t plain[WRAP_PLAIN_BYTES], struct arena *a,
                    Rk__Wrap *wrap)
{
	uint8_t *sealed = arena_alloc(a, ENVELOPE_SEALED_BYTES);
	uint8_t *device_id = arena_copy(a, t->device_id, sizeof(t->device_id));

	if (!sealed || !device_id)
		return RK_ENOMEM;
	/* Fails for a key of low order: whoever published it cannot be sent anything. */
	if (crypto_box_seal(sealed, plain, WRAP_PLAIN_BYTES, t->kx_pk) != 0)
		return RK_NO_RECIPIENT_KEY;
	rk__wrap__init(wrap);
	wrap->device_id = pb_of(bytes_make(device_id, sizeof(t->device_id)));
	wrap->kx_serial = t->kx_serial;
	wrap->sealed = pb_of(bytes_make(sealed, ENVELOPE_SEALED_BYTES));
	return RK_OK;
}

static int seal_wraps(struct envelope_target *targets, size_t count, struct bytes header, const uint8_t cek[CEK_BYTES],
                      struct arena *a, struct bytes *packed)
{
	Rk__WrapList list = RK__WRAP_LIST__INIT;
	uint8_t plain[WRAP_PLAIN_BYTES];
	int r = RK_ENOMEM;

	if (count == 0)
		return RK_NO_RECIPIENT_KEY;
	if (count > WRAPS_MAX)
		return RK_TOO_LARGE;
	qsort(targets, count, sizeof(*targets), by_device);
	memcpy(plain, wrap_label, LABEL_BYTES);
	header_hash(plain + LABEL_BYTES, header);
	memcpy(plain + LABEL_BYTES + 32, cek, CEK_BYTES);
	list.n_wraps = count;
	if (!(list.wraps = arena_alloc(a, count * sizeof(*list.wraps))))
		goto out;
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && by_device(&targets[i - 1], &targets[i]) == 0) {
			r = RK_MALFORMED;
			goto out;
		}
		if (!(list.wraps[i] = arena_alloc(a, sizeof(**list.wraps)))) {
			r = RK_ENOMEM;
			goto out;
		}
		if ((r = seal_one(&targets[i], plain, a, list.wraps[i])) != RK_OK)
			goto out;
	}
	r = STRICT_PACK(&list, a, packed);
	if (r == RK_OK && packed->len > ENVELOPE_WRAPS_MAX_BYTES)
		r = RK_TOO_LARGE;
out:
	sodium_memzero(plain, sizeof(plain));
	return r;
}

static int sign_head(const Rk__EnvelopeHeader *h, struct bytes header, const uint8_t nonce[24],
                     const uint8_t sign_sk[64], struct arena *a, struct envelope_wire *out)
{
	Rk__EnvelopeHead head = RK__ENVELOPE_HEAD__INIT;
	Rk__Signed wire = RK__SIGNED__INIT;
	uint8_t body_sha256[32], wraps_sha256[32], sig[crypto_sign_BYTES];
	struct bytes head_bytes;
	int r;

	ids_sha256(body_sha256, out->body);
	ids_sha256(wraps_sha256, out->wraps);
	head.header = pb_of(header);
	head.nonce = pb_of(bytes_make(nonce, 24));
	head.body_sha256 = pb_of(BYTES_OF(body_sha256));
	head.wraps_sha256 = pb_of(BYTES_OF(wraps_sha256));
	if ((r = STRICT_PACK(&head, a, &head_bytes)) != RK_OK)
		return r;
	if ((r = object_sign(OBJECT_KIND_ENVELOPE, h->exchange_id.data, sign_sk, head_bytes, sig)) != RK_OK)
		return r;
	wire.payload = pb_of(head_bytes);
	wire.sig = pb_of(BYTES_OF(sig));
	if ((r = STRICT_PACK(&wire, a, &out->head)) != RK_OK)
		return r;
	ids_env(out->env_id, h->exchange_id.data, head_bytes);
	object_hash(out->oh, OBJECT_KIND_ENVELOPE, h->exchange_id.data, head_bytes, BYTES_OF(sig));
	return RK_OK;
}

int envelope_seal(Rk__EnvelopeHeader *h, struct bytes message, const uint8_t *ek, struct envelope_target *targets,
                  size_t target_count, const uint8_t sign_sk[64], struct envelope_random *random, struct arena *a,
                  struct envelope_wire *out)
{
	bool is_feed = h->kind == RK__KIND__FEED;
	uint8_t key[CEK_BYTES] = {0}, *plain = NULL, *body;
	struct envelope_wire wire = {0};
	size_t plain_len = 0;
	struct bytes header;
	int r;

	*out = wire;
	r = RK_EINTERNAL;
	if (is_feed != (ek != NULL) || (is_feed && target_count != 0))
		goto out;
	r = message.len == 0 ? RK_MALFORMED : RK_TOO_LARGE;
	if (message.len == 0 || message.len > ENVELOPE_MESSAGE_MAX_BYTES)
		goto out;
	/* Plaintext, ciphertext, wraps before and after packing, header, head twice. */
	arena_raise(a, 2 * (message.len + 2 * ENVELOPE_PAD_BYTES) + target_count * 512 + 8 * ENVELOPE_HEADER_MAX_BYTES);
	if ((r = envelope_plain(message, random->salt, a, &plain, &plain_len)) != RK_OK)
		goto out;
	envelope_pc(wire.pc, bytes_make(plain, plain_len));
	if ((r = finish_header(h, random, wire.pc, plain_len + TAG_BYTES, a, &header)) != RK_OK)
		goto out;
	if (is_feed)
		feed_body_key(key, ek);
	else
		memcpy(key, random->cek, sizeof(key));
	r = RK_ENOMEM;
	if (!(body = arena_alloc(a, plain_len + TAG_BYTES)))
		goto out;
	crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, plain, plain_len, header.data, header.len, NULL,
	                                           random->nonce, key);
	wire.body = bytes_make(body, plain_len + TAG_BYTES);
	if (!is_feed && (r = seal_wraps(targets, target_count, header, key, a, &wire.wraps)) != RK_OK)
		goto out;
	if ((r = sign_head(h, header, random->nonce, sign_sk, a, &wire)) == RK_OK)
		*out = wire;
out:
	sodium_memzero(key, sizeof(key));
	sodium_memzero(random->cek, sizeof(random->cek));
	if (plain)
		sodium_memzero(plain, plain_len);
	return r;
}

/* ---- reading */

/* A FEED envelope has no wraps, and says so: otherwise a head could commit to a list that nobody ever sees. */
static bool has_right_wraps_hash(const Rk__EnvelopeHead *head, const Rk__EnvelopeHeader *h)
{
	/* SHA-256 of nothing */
	static const uint8_t none[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	                                 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

	if (h->kind != RK__KIND__FEED)
		return true;
	return bytes_equal(bytes_of(head->wraps_sha256), BYTES_OF(none));
}

static int parse_head(const struct object *o, struct arena *a, struct envelope *out)
{
	const Rk__EnvelopeHead *head = (const Rk__EnvelopeHead *)o->message;
	Rk__EnvelopeHeader *h;
	int r;

	if (head->header.len > ENVELOPE_HEADER_MAX_BYTES)
		return RK_TOO_LARGE;
	if ((r = STRICT_PARSE(envelope_header, bytes_of(head->header), a, &h)) != RK_OK)
		return r;
	if ((r = envelope_check_rules(h, h->exchange_id.data)) != RK_OK)
		return r;
	if (!has_right_wraps_hash(head, h))
		return RK_MALFORMED;
	*out = (struct envelope){head, h, o->payload, o->sig};
	return RK_OK;
}

int envelope_parse(struct bytes signed_head, struct arena *a, struct envelope *out)
{
	struct object o;
	int r;

	*out = (struct envelope){0};
	if ((r = object_parse(OBJECT_KIND_ENVELOPE, signed_head, a, &o)) != RK_OK)
		return r;
	return parse_head(&o, a, out);
}

int envelope_parse_signed(const Rk__Signed *signed_head, struct arena *a, struct envelope *out)
{
	struct object o;
	int r;

	*out = (struct envelope){0};
	if ((r = object_parse_signed(OBJECT_KIND_ENVELOPE, signed_head, a, &o)) != RK_OK)
		return r;
	return parse_head(&o, a, out);
}

int envelope_verify(const struct envelope *e, const uint8_t exchange_id[32], const uint8_t sign_pk[32])
{
	if (!bytes_equal(bytes_of(e->header->exchange_id), bytes_make(exchange_id, 32)))
		return RK_WRONG_EXCHANGE;
	return object_verify(OBJECT_KIND_ENVELOPE, exchange_id, sign_pk, e->head_bytes, e->sig);
}

void envelope_id(uint8_t env_id[32], const struct envelope *e, const uint8_t exchange_id[32])
{
	ids_env(env_id, exchange_id, e->head_bytes);
}

void envelope_oh(uint8_t oh[32], const struct envelope *e, const uint8_t exchange_id[32])
{
	object_hash(oh, OBJECT_KIND_ENVELOPE, exchange_id, e->head_bytes, e->sig);
}

static bool has_hash(struct bytes data, ProtobufCBinaryData expected)
{
	uint8_t hash[32];

	ids_sha256(hash, data);
	return bytes_equal(bytes_of(expected), BYTES_OF(hash));
}

int envelope_check_bulk(const struct envelope *e, struct bytes wraps, struct bytes body, struct arena *a,
                        Rk__WrapList **wraps_out)
{
	Rk__WrapList *list;
	int r;

	*wraps_out = NULL;
	if (wraps.len > ENVELOPE_WRAPS_MAX_BYTES || body.len > ENVELOPE_BODY_MAX_BYTES)
		return RK_TOO_LARGE;
	if (body.len != e->header->body_len)
		return RK_BAD_SIGNATURE;
	if (!has_hash(body, e->head->body_sha256) || !has_hash(wraps, e->head->wraps_sha256))
		return RK_BAD_SIGNATURE;
	if (e->header->kind == RK__KIND__FEED)
		return RK_OK;
	if ((r = STRICT_PARSE(wrap_list, wraps, a, &list)) != RK_OK)
		return r;
	for (size_t i = 1; i < list->n_wraps; i++)
		if (memcmp(list->wraps[i - 1]->device_id.data, list->wraps[i]->device_id.data, 16) >= 0)
			return RK_MALFORMED;
	*wraps_out = list;
	return RK_OK;
}

static const Rk__Wrap *find_wrap(const Rk__WrapList *wraps, const uint8_t device_id[16])
{
	for (size_t i = 0; wraps && i < wraps->n_wraps; i++)
		if (memcmp(wraps->wraps[i]->device_id.data, device_id, 16) == 0)
			return wraps->wraps[i];
	return NULL;
}

/* The seal is anonymous and proves nothing; this header's hash in it is what ties the key to this envelope. */
static int open_wrap(const Rk__Wrap *wrap, struct bytes header, envelope_kx_lookup *lookup, void *user,
                     uint8_t cek[CEK_BYTES])
{
	uint8_t pk[32] = {0}, sk[32] = {0}, plain[WRAP_PLAIN_BYTES], hash[32];
	int r = RK_NO_RECIPIENT_KEY;

	if (!lookup(user, wrap->kx_serial, pk, sk))
		goto out;
	r = RK_BAD_SIGNATURE;
	if (crypto_box_seal_open(plain, wrap->sealed.data, wrap->sealed.len, pk, sk) != 0)
		goto out;
	header_hash(hash, header);
	if (sodium_memcmp(plain, wrap_label, LABEL_BYTES) != 0 || sodium_memcmp(plain + LABEL_BYTES, hash, 32) != 0)
		goto out;
	memcpy(cek, plain + LABEL_BYTES + 32, CEK_BYTES);
	r = RK_OK;
out:
	sodium_memzero(sk, sizeof(sk));
	sodium_memzero(plain, sizeof(plain));
	return r;
}

/* AEAD, commitment and padding, in this order; nothing of the plaintext leaves unless all three hold. */
static int open_body(const struct envelope *e, struct bytes body, const uint8_t key[CEK_BYTES], struct arena *a,
                     struct bytes *message)
{
	const Rk__EnvelopeHead *head = e->head;
	size_t plain_len, message_len;
	uint8_t *plain, pc[32];
	int r = RK_BAD_SIGNATURE;

	if (body.len != e->header->body_len || body.len < TAG_BYTES + ENVELOPE_SALT_BYTES + ENVELOPE_PAD_BYTES)
		return RK_BAD_SIGNATURE;
	plain_len = body.len - TAG_BYTES;
	if ((plain_len - ENVELOPE_SALT_BYTES) % ENVELOPE_PAD_BYTES != 0)
		return RK_BAD_SIGNATURE;
	arena_raise(a, plain_len + 64);
	if (!(plain = arena_alloc(a, plain_len)))
		return RK_ENOMEM;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, body.data, body.len, head->header.data,
	                                               head->header.len, head->nonce.data, key) != 0)
		goto out;
	envelope_pc(pc, bytes_make(plain, plain_len));
	if (sodium_memcmp(pc, e->header->pc.data, sizeof(pc)) != 0)
		goto out;
	if (sodium_unpad(&message_len, plain + ENVELOPE_SALT_BYTES, plain_len - ENVELOPE_SALT_BYTES,
	                 ENVELOPE_PAD_BYTES) != 0)
		goto out;
	*message = bytes_make(plain + ENVELOPE_SALT_BYTES, message_len);
	r = RK_OK;
out:
	if (r != RK_OK)
		sodium_memzero(plain, plain_len);
	return r;
}

int envelope_open(const struct envelope *e, const Rk__WrapList *wraps, struct bytes body, const uint8_t *ek,
                  const uint8_t device_id[16], envelope_kx_lookup *lookup, void *user, struct arena *a,
                  struct bytes *message, uint8_t *salt_out)
{
	uint8_t key[CEK_BYTES] = {0};
	const Rk__Wrap *wrap;
	int r;

	*message = (struct bytes){NULL, 0};
	if (e->header->kind == RK__KIND__FEED) {
		r = RK_NO_RECIPIENT_KEY;
		if (!ek)
			goto out;
		feed_body_key(key, ek);
	} else {
		r = RK_NO_RECIPIENT_KEY;
		if (!(wrap = find_wrap(wraps, device_id)))
			goto out;
		if ((r = open_wrap(wrap, bytes_of(e->head->header), lookup, user, key)) != RK_OK)
			goto out;
	}
	/* The salt stands before the message in the same memory. */
	if ((r = open_body(e, body, key, a, message)) == RK_OK && salt_out)
		memcpy(salt_out, message->data - ENVELOPE_SALT_BYTES, ENVELOPE_SALT_BYTES);
out:
	sodium_memzero(key, sizeof(key));
	return r;
}
