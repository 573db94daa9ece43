/* Pieces of known length, one after the other: the bytes of each are gathered, then it is checked as a whole. */
#include "proto/receipt_tail.h"

#include <assert.h>
#include <sodium.h>

#include "proto/age.h"
#include "proto/errcode.h"
#include "proto/receipt_internal.h"
#include "proto/strict.h"

#define START_BYTES (AGE_X25519_HEADER_BYTES + AGE_NONCE_BYTES)
#define CHUNK_BYTES (AGE_CHUNK_BYTES + AGE_TAG_BYTES)

enum piece { PIECE_HEADER, PIECE_START, PIECE_CHUNK, PIECE_PADDING, PIECE_END, PIECE_NONE };

struct receipt_tail {
	struct receipt *x;
	size_t count, i;             /* attachments shown; the one under way */
	enum piece piece;
	size_t have, want;           /* of the piece */
	uint64_t left;               /* of the attachment after the piece */
	int code;
	struct age age;
	crypto_hash_sha256_state blob, plain;
	char names[RECEIPT_ATTACHMENTS_MAX][RECEIPT_NAME_CHARS];
	uint8_t bytes[CHUNK_BYTES], opened[AGE_CHUNK_BYTES];
};

_Static_assert(CHUNK_BYTES >= USTAR_END_BYTES && CHUNK_BYTES >= START_BYTES, "each piece has room");

static const Rk__BlobRef *blob_of(const struct receipt *x, size_t i)
{
	return x->header->blobs[i];
}

/* The step's name and the outcome; verify_start left room in the list for all of ours. */
static int note(struct receipt_tail *t, enum receipt_step step, const char *member, int code)
{
	t->x->checks[t->x->check_count++] = (struct receipt_check){step, member, code};
	if (code != RK_OK)
		t->x->level = RECEIPT_UNPROVEN;
	return t->code = code;
}

static int note_attachment(struct receipt_tail *t, int code)
{
	return note(t, RECEIPT_ATTACHMENT, t->names[t->i], code);
}

static void next(struct receipt_tail *t, enum piece piece, size_t want)
{
	t->piece = piece;
	t->want = want;
	t->have = 0;
}

/* A member, or the end. */
static void next_member(struct receipt_tail *t)
{
	if (t->i < t->count)
		next(t, PIECE_HEADER, USTAR_BLOCK_BYTES);
	else
		next(t, PIECE_END, USTAR_END_BYTES);
}

struct receipt_tail *receipt_tail_new(struct receipt *x, struct arena *a)
{
	struct receipt_tail *t;

	arena_raise(a, sizeof(*t) + 16);
	if ((t = arena_alloc(a, sizeof(*t))) == NULL)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->x = x;
	t->count = x->has_attachments ? x->header->n_blobs : 0;
	for (size_t i = 0; i < t->count; i++)
		receipt_attachment_name(t->names[i], i, ".age");
	next_member(t);
	return t;
}

/* ---- pieces */

static void next_chunk(struct receipt_tail *t)
{
	size_t len = t->left < CHUNK_BYTES ? (size_t)t->left : CHUNK_BYTES;

	t->left -= len;
	next(t, PIECE_CHUNK, len);
}

static int take_header(struct receipt_tail *t)
{
	uint8_t block[USTAR_BLOCK_BYTES];

	receipt_tail_header(block, t->x, t->i);
	if (memcmp(block, t->bytes, sizeof(block)) != 0)
		return note_attachment(t, RK_MALFORMED);
	crypto_hash_sha256_init(&t->blob);
	crypto_hash_sha256_init(&t->plain);
	t->left = blob_of(t->x, t->i)->len - START_BYTES;
	next(t, PIECE_START, START_BYTES);
	return RK_OK;
}

static int take_start(struct receipt_tail *t)
{
	size_t len;
	int r;

	crypto_hash_sha256_update(&t->blob, t->bytes, START_BYTES);
	if ((r = age_open_x25519(&t->age, bytes_make(t->bytes, START_BYTES), t->x->attachments[t->i]->age_identity.data, &len)) != RK_OK)
		return note_attachment(t, r);
	next_chunk(t);
	return RK_OK;
}

/* The whole attachment has come: is it the one of the header, and its plaintext that of the message? */
static int check_hashes(struct receipt_tail *t)
{
	uint8_t blob[32], plain[32];

	crypto_hash_sha256_final(&t->blob, blob);
	crypto_hash_sha256_final(&t->plain, plain);
	return bytes_equal(bytes_of(blob_of(t->x, t->i)->sha256), BYTES_OF(blob)) &&
	       bytes_equal(bytes_of(t->x->attachments[t->i]->plain_sha256), BYTES_OF(plain)) ? RK_OK : RK_BAD_SIGNATURE;
}

static int take_chunk(struct receipt_tail *t)
{
	int r;

	crypto_hash_sha256_update(&t->blob, t->bytes, t->want);
	if ((r = age_open_chunk(&t->age, bytes_make(t->bytes, t->want), t->left == 0, t->opened)) != RK_OK)
		return note_attachment(t, r);
	crypto_hash_sha256_update(&t->plain, t->opened, t->want - AGE_TAG_BYTES);
	if (t->left > 0) {
		next_chunk(t);
		return RK_OK;
	}
	if ((r = note_attachment(t, check_hashes(t))) == RK_OK)
		next(t, PIECE_PADDING, receipt_tail_padding(t->x, t->i));
	return r;
}

static int take_padding(struct receipt_tail *t)
{
	if (!bytes_is_zero(t->bytes, t->want))
		return note_attachment(t, RK_MALFORMED);
	t->i++;
	next_member(t);
	return RK_OK;
}

static int take_piece(struct receipt_tail *t)
{
	switch (t->piece) {
	case PIECE_HEADER:
		return take_header(t);
	case PIECE_START:
		return take_start(t);
	case PIECE_CHUNK:
		return take_chunk(t);
	case PIECE_PADDING:
		return take_padding(t);
	default:
		if (!bytes_is_zero(t->bytes, t->want))
			return note(t, RECEIPT_ARCHIVE, "", RK_MALFORMED);
		next(t, PIECE_NONE, 0);
		return RK_OK;
	}
}

int receipt_tail_feed(struct receipt_tail *t, struct bytes in)
{
	while (t->code == RK_OK) {
		size_t n = in.len < t->want - t->have ? in.len : t->want - t->have;

		if (n > 0)
			memcpy(t->bytes + t->have, in.data, n);
		t->have += n;
		in = bytes_make(in.data + n, in.len - n);
		if (t->have < t->want || (t->piece == PIECE_NONE && in.len == 0))
			break;
		if (t->piece == PIECE_NONE)
			note(t, RECEIPT_ARCHIVE, "", RK_MALFORMED);
		else
			(void)take_piece(t);
	}
	return t->code == RK_OK ? RK_OK : RK_EINTEGRITY;
}

int receipt_tail_end(struct receipt_tail *t)
{
	int r;

	if (t->code == RK_OK && t->piece != PIECE_NONE)
		note(t, RECEIPT_ARCHIVE, t->i < t->count ? t->names[t->i] : "", RK_MALFORMED);
	r = t->code == RK_OK ? RK_OK : RK_EINTEGRITY;
	age_end(&t->age);
	sodium_memzero(t->bytes, sizeof(t->bytes));
	sodium_memzero(t->opened, sizeof(t->opened));
	return r;
}

/* ---- all of it in memory */

int receipt_verify(struct bytes archive, const uint8_t exchange_id[32], struct arena *a, struct receipt *out)
{
	struct receipt_tail *tail;
	size_t used;
	int r = receipt_verify_start(archive, exchange_id, a, out, &used);

	if (r != RK_OK)
		return r;
	if ((tail = receipt_tail_new(out, a)) == NULL)
		return RK_ENOMEM;
	receipt_tail_feed(tail, bytes_make(archive.data + used, archive.len - used));
	return receipt_tail_end(tail);
}

/* ---- making */

void receipt_tail_header(uint8_t block[USTAR_BLOCK_BYTES], const struct receipt *x, size_t i)
{
	char name[RECEIPT_NAME_CHARS];
	int r;

	receipt_attachment_name(name, i, ".age");
	r = ustar_header_write(block, name, blob_of(x, i)->len);
	assert(r == RK_OK); /* the name is one of ours */
}

size_t receipt_tail_padding(const struct receipt *x, size_t i)
{
	return ustar_padding(blob_of(x, i)->len);
}
