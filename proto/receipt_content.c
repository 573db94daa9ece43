/* The plaintext of a receipt against what was committed to: the message, the agreement's document, a deposited file. */
#include <sodium.h>

#include "proto/age.h"
#include "proto/envelope.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/receipt_internal.h"
#include "proto/strict.h"

#define AEAD_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define SALT_BYTES 32

void receipt_deposit_commit(uint8_t commit[32], const uint8_t salt[32], const uint8_t file_sha256[32])
{
	struct bytes parts[2] = {bytes_make(salt, SALT_BYTES), bytes_make(file_sha256, 32)};

	ids_hash_parts(commit, "renkei/v1/deposit-commit", parts, 2);
}

/* A message that only a newer version can read is still the one that was committed to. */
static int check_body(struct receipt_work *w)
{
	struct bytes plain = w->files[RECEIPT_FILE_BODY];
	const Rk__EnvelopeHeader *h = w->out->header;
	enum message_status status;
	uint8_t pc[32], *copy;
	Rk__Message *message;
	size_t len;

	if (plain.len < ENVELOPE_SALT_BYTES + ENVELOPE_PAD_BYTES || plain.len > ENVELOPE_BODY_MAX_BYTES ||
	    (plain.len - ENVELOPE_SALT_BYTES) % ENVELOPE_PAD_BYTES != 0 || plain.len + AEAD_BYTES != h->body_len)
		return RK_BAD_SIGNATURE;
	envelope_pc(pc, plain);
	if (!bytes_equal(bytes_of(h->pc), BYTES_OF(pc)))
		return RK_BAD_SIGNATURE;
	if (sodium_unpad(&len, plain.data + ENVELOPE_SALT_BYTES, plain.len - ENVELOPE_SALT_BYTES, ENVELOPE_PAD_BYTES) != 0)
		return RK_MALFORMED;
	arena_raise(w->arena, len + 32);
	if ((copy = arena_copy(w->arena, plain.data + ENVELOPE_SALT_BYTES, len)) == NULL)
		return RK_ENOMEM;
	if ((status = message_read(bytes_make(copy, len), w->arena, &message)) == MESSAGE_BAD)
		return RK_MALFORMED;
	w->out->message = message;
	return RK_OK;
}

const Rk__DossierFile *receipt_find_file(const Rk__Message *m, const Rk__BlobRef *blob)
{
	uint64_t plain_len;

	for (size_t i = 0; m && m->dossier && i < m->dossier->n_files; i++) {
		const Rk__DossierFile *f = m->dossier->files[i];

		if (f->age_identity.len == 32 && f->blob_len == blob->len && bytes_equal(bytes_of(f->blob_sha256), bytes_of(blob->sha256)) &&
		    age_x25519_plain_len(blob->len, &plain_len) && plain_len == f->plain_len)
			return f;
	}
	return NULL;
}

/* The key is in the plaintext too; here it stands as `age` reads it. */
static int check_key(const struct receipt_work *w, size_t i)
{
	const Rk__DossierFile *f = w->out->attachments[i];
	char text[RECEIPT_KEY_BYTES + 1];

	if (f == NULL)
		return RK_UNKNOWN_OBJECT;
	age_identity_text(text, f->age_identity.data);
	text[RECEIPT_KEY_BYTES - 1] = '\n';
	return bytes_equal(w->keys[i].data, bytes_make(text, RECEIPT_KEY_BYTES)) ? RK_OK : RK_BAD_SIGNATURE;
}

/* All attachments of the header, or none of them. */
static int check_attachments(struct receipt_work *w)
{
	const Rk__EnvelopeHeader *h = w->out->header;
	int r = RK_OK;

	for (size_t i = 0; i < h->n_blobs; i++)
		w->out->attachments[i] = receipt_find_file(w->out->message, h->blobs[i]);
	if (w->key_count == 0)
		return RK_OK;
	for (size_t i = 0; i < w->key_count && i < h->n_blobs && r == RK_OK; i++)
		r = receipt_noted(w, RECEIPT_ATTACHMENT, w->keys[i].name, check_key(w, i));
	if (r == RK_OK && w->key_count != h->n_blobs)
		r = receipt_noted(w, RECEIPT_ATTACHMENT, w->keys[w->key_count - 1].name, RK_MALFORMED);
	w->out->has_attachments = r == RK_OK;
	return r;
}

static int check_document(struct receipt_work *w)
{
	struct bytes cover_bytes = w->files[RECEIPT_FILE_COVER], salt = w->files[RECEIPT_FILE_SALT];
	Rk__NdaCover *cover;
	int r;

	if (salt.len != SALT_BYTES || cover_bytes.len > ENVELOPE_BODY_MAX_BYTES)
		return RK_MALFORMED;
	if ((r = STRICT_PARSE(nda_cover, cover_bytes, w->arena, &cover)) != RK_OK)
		return r;
	return nda_check_document(w->out->terms, cover, cover_bytes, w->files[RECEIPT_FILE_DOCUMENT], salt.data);
}

static int check_deposit_plain(struct receipt_work *w)
{
	const Rk__Deposit *d = (const Rk__Deposit *)receipt_item_at(w, RECEIPT_PART_DEPOSIT, 0)->message;
	struct bytes plain = w->files[RECEIPT_FILE_DEPOSIT_PLAIN];
	uint8_t commit[32];

	if (plain.len != RECEIPT_DEPOSIT_PLAIN_BYTES)
		return RK_MALFORMED;
	memcpy(w->out->file_sha256, plain.data + SALT_BYTES, 32);
	receipt_deposit_commit(commit, plain.data, w->out->file_sha256);
	return bytes_equal(bytes_of(d->commit), BYTES_OF(commit)) ? RK_OK : RK_BAD_SIGNATURE;
}

static int check_file(struct receipt_work *w)
{
	uint8_t hash[32];

	ids_sha256(hash, w->files[RECEIPT_FILE_DEPOSIT]);
	return memcmp(hash, w->out->file_sha256, 32) == 0 ? RK_OK : RK_BAD_SIGNATURE;
}

static int check_deposit(struct receipt_work *w)
{
	int r = receipt_noted(w, RECEIPT_CONTENT, receipt_file_name(RECEIPT_FILE_DEPOSIT_PLAIN), check_deposit_plain(w));

	if (r != RK_OK || !w->files[RECEIPT_FILE_DEPOSIT].data)
		return r;
	if ((r = receipt_noted(w, RECEIPT_FILE, receipt_file_name(RECEIPT_FILE_DEPOSIT), check_file(w))) == RK_OK)
		w->out->level = RECEIPT_OPENED;
	return r;
}

/* Some device signed for it and did not say that it could not open it. */
static bool is_opened(const struct receipt *out)
{
	for (size_t i = 0; i < out->pickup_count; i++) {
		bool is_refused = false;

		for (size_t j = 0; j < out->nack_count; j++)
			is_refused |= memcmp(out->nacks[j].device->device_id.data, out->pickups[i].device->device_id.data, 16) == 0;
		if (!is_refused)
			return true;
	}
	return false;
}

int receipt_check_content(struct receipt_work *w)
{
	int r = RK_OK;

	if (w->out->is_deposit)
		return check_deposit(w);
	if (w->files[RECEIPT_FILE_BODY].data) {
		if ((r = receipt_noted(w, RECEIPT_CONTENT, receipt_file_name(RECEIPT_FILE_BODY), check_body(w))) != RK_OK)
			return r;
		if (is_opened(w->out))
			w->out->level = RECEIPT_OPENED;
	}
	if ((r = check_attachments(w)) != RK_OK)
		return r;
	if (w->files[RECEIPT_FILE_DOCUMENT].data)
		r = receipt_noted(w, RECEIPT_DOCUMENT, receipt_file_name(RECEIPT_FILE_DOCUMENT), check_document(w));
	return r;
}
