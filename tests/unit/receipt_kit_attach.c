/* Attachments of the kit's disclosure: age files of made-up bytes, and what stands of them at the end of a receipt. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/age.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/receipt_tail.h"
#include "proto/strict.h"
#include "tests/unit/receipt_kit.h"

static void need(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "receipt_kit_attach: %s failed\n", what);
		abort();
	}
}

static uint8_t *kept(struct receipt_kit *k, const void *data, size_t len)
{
	uint8_t *copy;

	arena_raise(k->arena, len + 32);
	need((copy = arena_copy(k->arena, data, len)) != NULL, "arena_copy");
	return copy;
}

/* As an attachment is encrypted, but with randomness that follows from a name: the same bytes each time. */
static struct bytes seal(struct receipt_kit *k, struct bytes plain, const uint8_t identity_pk[32], const char *name)
{
	size_t room = AGE_HEADER_MAX_BYTES + AGE_NONCE_BYTES + plain.len + (plain.len / AGE_CHUNK_BYTES + 1) * AGE_TAG_BYTES, len;
	bool is_last = false;
	struct age_random random;
	uint8_t *file;
	struct age s;

	arena_raise(k->arena, room + 32);
	file = fixed_alloc(k->arena, room);
	fixed_bytes((uint8_t *)&random, sizeof(random), name);
	need(age_begin_x25519(&s, &random, identity_pk, file, &len) == RK_OK, "age_begin_x25519");
	for (size_t at = 0, n; !is_last; at += n) {
		n = plain.len - at < AGE_CHUNK_BYTES ? plain.len - at : AGE_CHUNK_BYTES;
		is_last = at + n == plain.len;
		need(age_seal_chunk(&s, bytes_make(plain.data + at, n), is_last, file + len) == RK_OK, "age_seal_chunk");
		len += n + AGE_TAG_BYTES;
	}
	age_end(&s);
	return bytes_make(file, len);
}

/* One file and its blob. */
static void attach(struct receipt_kit *k, size_t i, Rk__DossierFile *f, Rk__BlobRef *blob)
{
	size_t len = k->attachment_lens[i];
	uint8_t *plain = malloc(len + 1), sha256[32], pk[32];
	char name[32];
	struct bytes sealed;

	need(plain != NULL, "malloc");
	snprintf(name, sizeof(name), "attachment %zu", i + 1);
	fixed_bytes(plain, len, name);
	snprintf(name, sizeof(name), "identity %zu", i + 1);
	fixed_bytes(k->identities[i], 32, name);
	crypto_scalarmult_base(pk, k->identities[i]);
	k->blobs[i] = sealed = seal(k, bytes_make(plain, len), pk, name);
	rk__dossier_file__init(f);
	rk__blob_ref__init(blob);
	snprintf(name, sizeof(name), "film-%zu.bin", i + 1);
	f->name = (char *)kept(k, name, strlen(name));
	f->plain_len = len;
	ids_sha256(sha256, bytes_make(plain, len));
	f->plain_sha256 = pb_of(bytes_make(kept(k, sha256, 32), 32));
	ids_sha256(sha256, sealed);
	f->blob_sha256 = blob->sha256 = pb_of(bytes_make(kept(k, sha256, 32), 32));
	f->blob_len = blob->len = sealed.len;
	f->age_identity = pb_of(BYTES_OF(k->identities[i]));
	free(plain);
}

struct bytes receipt_kit_attach(struct receipt_kit *k, Rk__EnvelopeHeader *h)
{
	size_t n = k->attachment_count;
	Rk__DossierFile *files = fixed_alloc(k->arena, (n + 1) * sizeof(*files)), **list = fixed_alloc(k->arena, (n + 1) * sizeof(*list));
	Rk__BlobRef *blobs = fixed_alloc(k->arena, n * sizeof(*blobs));
	Rk__Message m = RK__MESSAGE__INIT;
	Rk__Dossier d = RK__DOSSIER__INIT;
	uint8_t sha256[32];
	struct bytes packed;

	need(n < RECEIPT_ATTACHMENTS_MAX, "number of attachments");
	h->n_blobs = n;
	h->blobs = fixed_alloc(k->arena, n * sizeof(*h->blobs));
	for (size_t i = 0; i < n; i++) {
		attach(k, i, &files[i], &blobs[i]);
		list[n - i] = &files[i]; /* the message may name them in another order */
		h->blobs[i] = &blobs[i];
	}
	rk__dossier_file__init(&files[n]);
	list[0] = &files[n];
	files[n].name = (char *)kept(k, "kiln.txt", 8);
	files[n].data = pb_of(bytes_str("1240 degrees.\n"));
	files[n].plain_len = files[n].data.len;
	ids_sha256(sha256, bytes_of(files[n].data));
	files[n].plain_sha256 = pb_of(bytes_make(kept(k, sha256, 32), 32));
	d.n_files = n + 1;
	d.files = list;
	d.text = (char *)kept(k, "How hot the kiln must be.", 25);
	m.msg_version = 1;
	m.type = RK__MESSAGE_TYPE__MESSAGE_DOSSIER;
	m.dossier = &d;
	need(STRICT_PACK(&m, k->arena, &packed) == RK_OK, "pack of Message");
	return packed;
}

struct bytes receipt_kit_tail(struct receipt_kit *k, struct bytes archive, const struct receipt *x, const struct bytes *blobs)
{
	size_t n = x->header->n_blobs, len = archive.len + USTAR_END_BYTES;
	uint8_t *whole, *at;

	for (size_t i = 0; i < n; i++)
		len += USTAR_BLOCK_BYTES + blobs[i].len + receipt_tail_padding(x, i);
	arena_raise(k->arena, len + 32);
	whole = at = fixed_alloc(k->arena, len);
	memset(whole, 0, len);
	memcpy(at, archive.data, archive.len);
	at += archive.len;
	for (size_t i = 0; i < n; i++) {
		receipt_tail_header(at, x, i);
		memcpy(at + USTAR_BLOCK_BYTES, blobs[i].data, blobs[i].len);
		at += USTAR_BLOCK_BYTES + blobs[i].len + receipt_tail_padding(x, i);
	}
	return bytes_make(whole, len);
}
