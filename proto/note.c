/*
 * note: text in, text out.  One canonical text for each meaning: numbers without leading zeros, padded base64 without stray bits, LF
 * only.  A parser takes a line at a time off the front and refuses what is left over.
 */
#include "proto/note.h"

#include <assert.h>
#include <stdio.h>

#include <sodium.h>

#include "proto/errcode.h"

#define HASH_CHARS 44                /* base64 of 32 bytes, padded */
#define KEY_ID_BYTES 4
#define SIG_BYTES crypto_sign_BYTES
#define LOG_SIG_BYTES (KEY_ID_BYTES + SIG_BYTES)
#define WITNESS_SIG_BYTES (KEY_ID_BYTES + 8 + SIG_BYTES)
#define SIG_LINE_MAX (4 + NOTE_NAME_CHARS + 112)
#define DASH "\xe2\x80\x94 "         /* em dash and space */
#define PROOF_HEAD "c2sp.org/tlog-proof@v1"
#define COSIGNED_CHARS (NOTE_TEXT_CHARS + 64)

/* ---- pieces of text */

/* Takes the next line, without its LF; false at the end or where the last line has none. */
static bool take_line(struct bytes *rest, struct bytes *line)
{
	const uint8_t *lf = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;

	if (lf == NULL)
		return false;
	*line = bytes_make(rest->data, (size_t)(lf - rest->data));
	*rest = bytes_make(lf + 1, rest->len - line->len - 1);
	return true;
}

/* Canonical base64 of at most cap bytes; false for anything else.  libsodium takes every byte from 0x80 up as a letter. */
static bool take_base64(struct bytes text, uint8_t *out, size_t cap, size_t *len)
{
	char again[128];

	if (text.len == 0 || text.len % 4 != 0 || text.len >= sizeof(again))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] >= 0x80)
			return false;
	if (sodium_base642bin(out, cap, (const char *)text.data, text.len, NULL, len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return false;
	if (sodium_base64_encoded_len(*len, sodium_base64_VARIANT_ORIGINAL) != text.len + 1)
		return false;
	sodium_bin2base64(again, sizeof(again), out, *len, sodium_base64_VARIANT_ORIGINAL);
	return memcmp(again, text.data, text.len) == 0;
}

static bool take_hash(struct bytes line, merkle_hash out)
{
	size_t len;

	return line.len == HASH_CHARS && take_base64(line, out, 32, &len) && len == 32;
}

static bool take_number(struct bytes text, uint64_t *out)
{
	uint64_t n = 0;

	if (text.len == 0 || text.len > 19 || (text.data[0] == '0' && text.len > 1))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text.data[i] - '0');
	}
	*out = n;
	return n <= INT64_MAX;
}

static bool take_name(struct bytes text, char name[NOTE_NAME_CHARS])
{
	if (text.len == 0 || text.len >= NOTE_NAME_CHARS)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= 0x20 || text.data[i] >= 0x7f || text.data[i] == '+')
			return false;
	memcpy(name, text.data, text.len);
	name[text.len] = '\0';
	return true;
}

static bool take_prefix(struct bytes *text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (text->len < len || memcmp(text->data, prefix, len) != 0)
		return false;
	*text = bytes_make(text->data + len, text->len - len);
	return true;
}

/* ---- writing */

size_t note_checkpoint_text(char out[NOTE_TEXT_CHARS], const struct checkpoint *c)
{
	char root[HASH_CHARS + 1];
	int len;

	sodium_bin2base64(root, sizeof(root), c->root, 32, sodium_base64_VARIANT_ORIGINAL);
	len = snprintf(out, NOTE_TEXT_CHARS, "%s\n%llu\n%s\n", c->origin, (unsigned long long)c->size, root);
	assert(len > 0 && len < NOTE_TEXT_CHARS); /* name, 20 digits, 44 letters */
	return (size_t)len;
}

static size_t signature_line(char out[SIG_LINE_MAX], const char *name, const uint8_t *typed, size_t len)
{
	char base64[112];

	sodium_bin2base64(base64, sizeof(base64), typed, len, sodium_base64_VARIANT_ORIGINAL);
	return (size_t)snprintf(out, SIG_LINE_MAX, DASH "%s %s\n", name, base64);
}

void note_sign(struct note *out, const struct checkpoint *c, const uint8_t sk[64])
{
	uint8_t typed[LOG_SIG_BYTES];
	struct note_key key = {.type = NOTE_TYPE_LOG};
	char text[NOTE_TEXT_CHARS], line[SIG_LINE_MAX];
	size_t len = note_checkpoint_text(text, c), line_len;

	memcpy(key.name, c->origin, sizeof(key.name));
	crypto_sign_ed25519_sk_to_pk(key.pk, sk);
	note_key_id(typed, &key);
	crypto_sign_detached(typed + KEY_ID_BYTES, NULL, (const uint8_t *)text, len, sk);
	line_len = signature_line(line, c->origin, typed, sizeof(typed));
	assert(len + 1 + line_len <= sizeof(out->text));
	memcpy(out->text, text, len);
	out->text[len] = '\n';
	memcpy(out->text + len + 1, line, line_len);
	out->len = len + 1 + line_len;
}

/* What a witness signs: time and text. */
static size_t cosigned_text(char out[COSIGNED_CHARS], int64_t time_s, struct bytes text)
{
	int len = snprintf(out, COSIGNED_CHARS, "cosignature/v1\ntime %lld\n", (long long)time_s);

	assert(len > 0 && (size_t)len + text.len <= COSIGNED_CHARS);
	memcpy(out + len, text.data, text.len);
	return (size_t)len + text.len;
}

/* ---- reading */

/* The three lines and the empty one; *text is what is signed, *rest the signature lines. */
static int read_text(struct bytes note, struct checkpoint *c, struct bytes *text, struct bytes *rest)
{
	struct bytes origin, size, root, empty;

	memset(c, 0, sizeof(*c));
	*rest = note;
	if (note.len > NOTE_READ_MAX_BYTES)
		return RK_MALFORMED;
	if (!take_line(rest, &origin) || !take_line(rest, &size) || !take_line(rest, &root) || !take_line(rest, &empty))
		return RK_MALFORMED;
	if (empty.len != 0 || !take_name(origin, c->origin) || !take_number(size, &c->size) || !take_hash(root, c->root))
		return RK_MALFORMED;
	*text = bytes_make(note.data, (size_t)(empty.data - note.data));
	return text->len < NOTE_TEXT_CHARS ? RK_OK : RK_MALFORMED;
}

/* What follows the dash: whose, and its bytes with the key id. */
static bool read_signature(struct bytes line, char name[NOTE_NAME_CHARS], uint8_t typed[WITNESS_SIG_BYTES], size_t *len)
{
	const uint8_t *space;

	if (line.len == 0 || (space = memchr(line.data, ' ', line.len)) == NULL)
		return false;
	if (!take_name(bytes_make(line.data, (size_t)(space - line.data)), name))
		return false;
	line = bytes_make(space + 1, line.len - (size_t)(space + 1 - line.data));
	return take_base64(line, typed, WITNESS_SIG_BYTES, len) && *len > KEY_ID_BYTES;
}

static bool is_by(const struct note_key *key, const char *name, const uint8_t *typed)
{
	uint8_t id[KEY_ID_BYTES];

	if (key == NULL || strcmp(key->name, name) != 0)
		return false;
	note_key_id(id, key);
	return memcmp(id, typed, sizeof(id)) == 0;
}

static bool verify_log(const struct note_key *key, struct bytes text, const uint8_t *typed, size_t len)
{
	return len == LOG_SIG_BYTES &&
	       crypto_sign_verify_detached(typed + KEY_ID_BYTES, text.data, text.len, key->pk) == 0;
}

static bool verify_witness(const struct note_key *key, struct bytes text, const uint8_t *typed, size_t len, int64_t *time_s)
{
	char signed_text[COSIGNED_CHARS];
	uint64_t t;

	if (len != WITNESS_SIG_BYTES || (t = get_u64be(typed + KEY_ID_BYTES)) > INT64_MAX / 1000)
		return false;
	*time_s = (int64_t)t;
	return crypto_sign_verify_detached(typed + KEY_ID_BYTES + 8, (const uint8_t *)signed_text,
	                                   cosigned_text(signed_text, *time_s, text), key->pk) == 0;
}

int note_open(struct bytes note, const struct note_key *log, const struct note_key *witness, struct note_opened *out)
{
	uint8_t typed[WITNESS_SIG_BYTES];
	char name[NOTE_NAME_CHARS];
	struct bytes text, rest, line;
	bool is_logged = false;
	unsigned count = 0;
	size_t len;
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = read_text(note, &out->checkpoint, &text, &rest)) != RK_OK)
		return r;
	if (log->type != NOTE_TYPE_LOG || strcmp(out->checkpoint.origin, log->name) != 0)
		return RK_BAD_SIGNATURE;
	while (rest.len > 0) {
		if (!take_line(&rest, &line) || ++count > NOTE_SIGNATURES_MAX || !take_prefix(&line, DASH))
			return RK_MALFORMED;
		/* A key of another algorithm may sign with other bytes than ours: such a line is somebody else's. */
		if (!read_signature(line, name, typed, &len))
			continue;
		if (is_by(log, name, typed)) {
			if (is_logged || !verify_log(log, text, typed, len))
				return RK_BAD_SIGNATURE;
			is_logged = true;
		} else if (is_by(witness, name, typed)) {
			if (out->is_cosigned || !verify_witness(witness, text, typed, len, &out->witness_s))
				return RK_BAD_SIGNATURE;
			out->is_cosigned = true;
		}
	}
	return is_logged ? RK_OK : RK_BAD_SIGNATURE;
}

int note_open_later(struct bytes note, const struct note_key *log, const uint8_t exchange_id[32], struct note_opened *out)
{
	struct note_key key = *log;
	int r = note_read(note, &out->checkpoint);

	if (r == RK_OK && note_origin_number(out->checkpoint.origin, exchange_id) > note_origin_number(log->name, exchange_id))
		memcpy(key.name, out->checkpoint.origin, sizeof(key.name));
	return note_open(note, &key, NULL, out);
}

static int append(struct note *out, const uint8_t *data, size_t len)
{
	if (len > sizeof(out->text) - out->len)
		return RK_TOO_LARGE;
	memcpy(out->text + out->len, data, len);
	out->len += len;
	return RK_OK;
}

int note_keep(struct note *out, struct bytes note, const struct note_key *log, const struct note_key *witness)
{
	uint8_t typed[WITNESS_SIG_BYTES];
	char name[NOTE_NAME_CHARS];
	struct bytes text, rest, line;
	struct checkpoint c;
	size_t len;
	int r;

	out->len = 0;
	if ((r = read_text(note, &c, &text, &rest)) != RK_OK)
		return r;
	r = append(out, note.data, (size_t)(rest.data - note.data));
	while (rest.len > 0 && r == RK_OK) {
		const uint8_t *start = rest.data;

		if (!take_line(&rest, &line) || !take_prefix(&line, DASH))
			return RK_MALFORMED;
		if (read_signature(line, name, typed, &len) && (is_by(log, name, typed) || is_by(witness, name, typed)))
			r = append(out, start, (size_t)(rest.data - start));
	}
	return r;
}

int note_read(struct bytes note, struct checkpoint *out)
{
	struct bytes text, rest;

	return read_text(note, out, &text, &rest);
}

int note_cosign(struct note *out, struct bytes signed_note, const struct note_key *witness, const uint8_t sk[64],
                int64_t time_s)
{
	uint8_t typed[WITNESS_SIG_BYTES];
	char signed_text[COSIGNED_CHARS], line[SIG_LINE_MAX];
	struct bytes text, rest;
	struct checkpoint c;
	size_t len;
	int r = read_text(signed_note, &c, &text, &rest);

	if (r != RK_OK)
		return r;
	if (rest.len == 0 || rest.data[rest.len - 1] != '\n' || witness->type != NOTE_TYPE_WITNESS || time_s < 0)
		return RK_MALFORMED;
	note_key_id(typed, witness);
	put_u64be(typed + KEY_ID_BYTES, (uint64_t)time_s);
	crypto_sign_detached(typed + KEY_ID_BYTES + 8, NULL, (const uint8_t *)signed_text,
	                     cosigned_text(signed_text, time_s, text), sk);
	len = signature_line(line, witness->name, typed, sizeof(typed));
	if (signed_note.len + len > sizeof(out->text))
		return RK_TOO_LARGE;
	memmove(out->text, signed_note.data, signed_note.len);
	memcpy(out->text + signed_note.len, line, len);
	out->len = signed_note.len + len;
	return RK_OK;
}

/* ---- tlog-proof@v1 */

size_t note_proof_write(uint8_t *out, size_t cap, uint64_t index, const merkle_hash *proof, size_t n, struct bytes note)
{
	char head[64], hash[HASH_CHARS + 1];
	size_t len = (size_t)snprintf(head, sizeof(head), PROOF_HEAD "\nindex %llu\n", (unsigned long long)index);
	size_t total = len + n * (HASH_CHARS + 1) + 1 + note.len;

	if (n > MERKLE_PROOF_MAX || total > cap)
		return 0;
	memcpy(out, head, len);
	for (size_t i = 0; i < n; i++) {
		sodium_bin2base64(hash, sizeof(hash), proof[i], 32, sodium_base64_VARIANT_ORIGINAL);
		hash[HASH_CHARS] = '\n';
		memcpy(out + len, hash, HASH_CHARS + 1);
		len += HASH_CHARS + 1;
	}
	out[len++] = '\n';
	memcpy(out + len, note.data, note.len);
	return total;
}

int note_proof_read(struct bytes text, uint64_t *index, merkle_hash *proof, size_t *n, struct bytes *note)
{
	struct bytes rest = text, line;
	struct checkpoint c;

	*n = 0;
	if (text.len > NOTE_PROOF_MAX_BYTES || !take_line(&rest, &line) || !bytes_equal(line, bytes_str(PROOF_HEAD)))
		return RK_MALFORMED;
	if (!take_line(&rest, &line) || !take_prefix(&line, "index ") || !take_number(line, index))
		return RK_MALFORMED;
	for (;;) {
		if (!take_line(&rest, &line))
			return RK_MALFORMED;
		if (line.len == 0)
			break;
		if (*n == MERKLE_PROOF_MAX || !take_hash(line, proof[*n]))
			return RK_MALFORMED;
		(*n)++;
	}
	*note = rest;
	return note_read(rest, &c);
}
