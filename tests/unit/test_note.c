/*
 * Signed notes: the bytes that we write, what we refuse to read, cosignatures, and proofs that stand alone.  Foreign readers (Go's
 * x/mod) are tests/interop's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/note.h"

#define DASH "\xe2\x80\x94 "

static struct {
	struct note_key log, witness;
	uint8_t log_sk[64], witness_sk[64], exchange_id[32];
	struct checkpoint c;
	struct note plain, cosigned;
} k;

static int prepare(void **state)
{
	uint8_t seed[32];

	(void)state;
	memset(k.exchange_id, 0x5f, sizeof(k.exchange_id));
	memset(seed, 1, sizeof(seed));
	crypto_sign_seed_keypair(k.log.pk, k.log_sk, seed);
	memset(seed, 2, sizeof(seed));
	crypto_sign_seed_keypair(k.witness.pk, k.witness_sk, seed);
	k.log.type = NOTE_TYPE_LOG;
	k.witness.type = NOTE_TYPE_WITNESS;
	note_origin(k.log.name, k.exchange_id, 1);
	note_witness_name(k.witness.name, k.exchange_id);
	memcpy(k.c.origin, k.log.name, sizeof(k.c.origin));
	k.c.size = 1237;
	memset(k.c.root, 7, 32);
	note_sign(&k.plain, &k.c, k.log_sk);
	return note_cosign(&k.cosigned, bytes_make(k.plain.text, k.plain.len), &k.witness, k.witness_sk, 1800000000);
}

static struct bytes text_of(const struct note *n)
{
	return bytes_make(n->text, n->len);
}

static void a_checkpoint_is_these_bytes(void **state)
{
	static const char begin[] = "renkei/5f5f5f5f5f5f5f5f/log1\n1237\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n"
				    DASH "renkei/5f5f5f5f5f5f5f5f/log1 ";
	struct note_opened o;

	(void)state;
	assert_memory_equal(k.plain.text, begin, sizeof(begin) - 1);
	assert_int_equal(k.plain.len, sizeof(begin) - 1 + 92 + 1);
	assert_int_equal(note_open(text_of(&k.plain), &k.log, &k.witness, &o), RK_OK);
	assert_int_equal(o.checkpoint.size, 1237);
	assert_memory_equal(o.checkpoint.root, k.c.root, 32);
	assert_string_equal(o.checkpoint.origin, k.log.name);
	assert_false(o.is_cosigned);
	assert_int_equal(note_open(text_of(&k.cosigned), &k.log, &k.witness, &o), RK_OK);
	assert_true(o.is_cosigned);
	assert_int_equal(o.witness_s, 1800000000);
	assert_true(k.cosigned.len <= NOTE_MAX_BYTES);
	/* Who does not know the witness reads the same checkpoint. */
	assert_int_equal(note_open(text_of(&k.cosigned), &k.log, NULL, &o), RK_OK);
	assert_false(o.is_cosigned);
}

/* Every byte of text and of signatures: bent, it is refused, or (in the witness's line) the line counts as nobody's. */
static void a_bent_note_never_says_the_same(void **state)
{
	struct note_opened o;

	(void)state;
	for (size_t i = 0; i < k.cosigned.len * 8; i++) {
		struct note bent = k.cosigned;
		int r;

		bent.text[i / 8] ^= (uint8_t)(1u << i % 8);
		r = note_open(text_of(&bent), &k.log, &k.witness, &o);
		assert_true(r == RK_MALFORMED || r == RK_BAD_SIGNATURE || (r == RK_OK && !o.is_cosigned));
		if (r == RK_OK)
			assert_true(i / 8 >= k.plain.len);
	}
	for (size_t len = 0; len < k.plain.len; len++)
		assert_int_not_equal(note_open(bytes_make(k.plain.text, len), &k.log, NULL, &o), RK_OK);
}

static int open_text(const char *text)
{
	struct note_opened o;

	return note_open(bytes_str(text), &k.log, &k.witness, &o);
}

static void forms_that_are_no_checkpoint(void **state)
{
	static const char *const bodies[] = {
		"%s\n01237\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n",     /* leading zero */
		"%s\n+1237\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n",
		"%s\n\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n",
		"%s\n99999999999999999999\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n",
		"%s\n1237\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd=\n\n",      /* stray bits */
		"%s\n1237\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\n\n",       /* no padding */
		"%s\n1237\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\nx\n\n",   /* an extension line */
		"%s\r\n1237\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n",
		"%s\n1237\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n",
	};
	char text[1024], body[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		snprintf(body, sizeof(body), bodies[i], k.log.name);
		snprintf(text, sizeof(text), "%s%.*s", body, 200, strstr((const char *)k.plain.text, DASH));
		assert_int_equal(open_text(body), RK_MALFORMED);
		assert_int_equal(open_text(text), RK_MALFORMED);
	}
}

static void whose_signature_it_is(void **state)
{
	struct note_key other = k.log, other_type = k.log;
	struct note n = k.plain;
	struct note_opened o;
	char text[4096];

	(void)state;
	/* Another log's key of the same name is another key id: its line is nobody's, so nobody has signed. */
	other.pk[0] ^= 1;
	assert_int_equal(note_open(text_of(&k.plain), &other, NULL, &o), RK_BAD_SIGNATURE);
	other_type.type = NOTE_TYPE_WITNESS;
	assert_int_equal(note_open(text_of(&k.plain), &other_type, NULL, &o), RK_BAD_SIGNATURE);
	strcpy(other.name, "somebody/else");
	assert_int_equal(note_open(text_of(&k.plain), &other, NULL, &o), RK_BAD_SIGNATURE);
	/* The same line twice, an unknown one, and too many. */
	n.text[n.len] = '\0';
	snprintf(text, sizeof(text), "%s%s", (char *)n.text, strstr((char *)n.text, DASH));
	assert_int_equal(open_text(text), RK_BAD_SIGNATURE);
	snprintf(text, sizeof(text), "%s" DASH "unknown.example AAAAAAAAAA==\n" DASH "big.example %s\n", (char *)n.text, "AAAA");
	assert_int_equal(open_text(text), RK_OK);
	snprintf(text, sizeof(text), "%s", (char *)n.text);
	for (int i = 0; i < NOTE_SIGNATURES_MAX - 1; i++)
		strcat(text, DASH "unknown.example AAAAAAAAAA==\n");
	assert_int_equal(open_text(text), RK_OK);
	strcat(text, DASH "unknown.example AAAAAAAAAA==\n");
	assert_int_equal(open_text(text), RK_MALFORMED);
	snprintf(text, sizeof(text), "%sno signature line\n", (char *)n.text);
	assert_int_equal(open_text(text), RK_MALFORMED);
}

/* A note that is kept is the one that was verified, whatever lines it came with. */
static void only_known_lines_are_kept(void **state)
{
	char cosigned[NOTE_MAX_BYTES + 1] = {0}, text[4096];
	const char *log, *witness;
	struct note_key other = k.witness;
	struct note n;

	(void)state;
	memcpy(cosigned, k.cosigned.text, k.cosigned.len);
	log = strstr(cosigned, DASH);
	witness = cosigned + k.plain.len;
	snprintf(text, sizeof(text), "%.*s" DASH "unknown.example AAAAAAAAAA==\n%.*s" DASH "odd\n%s", (int)(log - cosigned), cosigned,
	         (int)(witness - log), log, witness);
	assert_int_equal(note_keep(&n, bytes_str(text), &k.log, &k.witness), RK_OK);
	assert_true(bytes_equal(text_of(&n), text_of(&k.cosigned)));
	assert_int_equal(note_keep(&n, bytes_str(text), &k.log, NULL), RK_OK);
	assert_true(bytes_equal(text_of(&n), text_of(&k.plain)));
	other.pk[0] ^= 1; /* of the same name, and not it */
	assert_int_equal(note_keep(&n, bytes_str(text), &k.log, &other), RK_OK);
	assert_true(bytes_equal(text_of(&n), text_of(&k.plain)));
	for (int i = 0; i < 5; i++)
		strcat(text, witness);
	assert_int_equal(note_keep(&n, bytes_str(text), &k.log, &k.witness), RK_TOO_LARGE);
	strcat(text, "no line");
	assert_int_equal(note_keep(&n, bytes_str(text), &k.log, NULL), RK_MALFORMED);
	assert_int_equal(note_keep(&n, bytes_str("no note\n"), &k.log, NULL), RK_MALFORMED);
}

static void origins_are_numbered(void **state)
{
	static const struct { const char *text; unsigned n; } rows[] = {
		{"renkei/5f5f5f5f5f5f5f5f/log1", 1}, {"renkei/5f5f5f5f5f5f5f5f/log27", 27}, {"renkei/5f5f5f5f5f5f5f5f/log9999", 9999},
		{"renkei/5f5f5f5f5f5f5f5f/log", 0}, {"renkei/5f5f5f5f5f5f5f5f/log0", 0}, {"renkei/5f5f5f5f5f5f5f5f/log01", 0},
		{"renkei/5f5f5f5f5f5f5f5f/log10000", 0}, {"renkei/5f5f5f5f5f5f5f5e/log1", 0}, {"renkei/5f5f5f5f5f5f5f5f/log1x", 0},
		{"log1", 0}, {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(note_origin_number(rows[i].text, k.exchange_id), rows[i].n);
}

static void a_proof_stands_alone(void **state)
{
	merkle_hash proof[MERKLE_PROOF_MAX], got[MERKLE_PROOF_MAX];
	uint8_t text[NOTE_PROOF_MAX_BYTES];
	struct bytes note;
	uint64_t index;
	size_t len, n;

	(void)state;
	randombytes_buf_deterministic(proof, sizeof(proof), k.log.pk);
	len = note_proof_write(text, sizeof(text), 42, proof, 11, text_of(&k.cosigned));
	assert_true(len > 0);
	assert_memory_equal(text, "c2sp.org/tlog-proof@v1\nindex 42\n", 32);
	assert_int_equal(note_proof_read(bytes_make(text, len), &index, got, &n, &note), RK_OK);
	assert_int_equal(index, 42);
	assert_int_equal(n, 11);
	assert_memory_equal(proof, got, n * 32);
	assert_true(bytes_equal(note, text_of(&k.cosigned)));
	for (size_t cut = 0; cut < len - k.cosigned.len + 10; cut++)
		assert_int_equal(note_proof_read(bytes_make(text, cut), &index, got, &n, &note), RK_MALFORMED);
	assert_int_equal(note_proof_write(text, len - 1, 42, proof, 11, text_of(&k.cosigned)), 0);
	len = note_proof_write(text, sizeof(text), 0, proof, MERKLE_PROOF_MAX, text_of(&k.plain));
	assert_int_equal(note_proof_read(bytes_make(text, len), &index, got, &n, &note), RK_OK);
	assert_int_equal(n, MERKLE_PROOF_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_checkpoint_is_these_bytes),
		cmocka_unit_test(a_bent_note_never_says_the_same),
		cmocka_unit_test(forms_that_are_no_checkpoint),
		cmocka_unit_test(whose_signature_it_is),
		cmocka_unit_test(only_known_lines_are_kept),
		cmocka_unit_test(origins_are_numbered),
		cmocka_unit_test(a_proof_stands_alone),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, prepare, NULL);
}
