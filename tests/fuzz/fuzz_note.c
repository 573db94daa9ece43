/*
 * Signed notes and proofs that stand alone, as brokers, peers and receipts bring them.  First byte: bit 0 a proof, else a note.  Nobody but
 * our fixed keys signs: whatever opens says what they have signed, and one text is one meaning.
 */
#include "proto/errcode.h"
#include "proto/note.h"
#include "tests/fuzz/fuzz_kit.h"

static void keys_of(const struct fixed *f, struct note_key *log, struct note_key *witness)
{
	note_origin(log->name, f->exchange_id, 1);
	note_witness_name(witness->name, f->exchange_id);
	log->type = NOTE_TYPE_LOG;
	witness->type = NOTE_TYPE_WITNESS;
	memcpy(log->pk, f->log.pk, 32);
	memcpy(witness->pk, f->witness.pk, 32);
}

static bool contains(struct bytes whole, const uint8_t *part, size_t len)
{
	return memmem(whole.data, whole.len, part, len) != NULL;
}

static void take_note(struct bytes in)
{
	const struct fixed *f = fuzz_exchange();
	struct note_key log = {0}, witness = {0};
	struct note_opened o;
	struct checkpoint read;
	struct note again, cosigned;
	size_t line;

	keys_of(f, &log, &witness);
	if (note_open(in, &log, &witness, &o) != RK_OK)
		return;
	fuzz_accepted++;
	MUST(note_read(in, &read) == RK_OK && memcmp(&read, &o.checkpoint, sizeof(read)) == 0);
	note_sign(&again, &o.checkpoint, f->log.sk);
	/* The text, and the log's own line somewhere behind it. */
	line = (size_t)((uint8_t *)memmem(again.text, again.len, "\n\n", 2) - again.text) + 2;
	MUST(in.len >= again.len && memcmp(in.data, again.text, line) == 0 && contains(in, again.text + line, again.len - line));
	if (!o.is_cosigned)
		return;
	MUST(note_cosign(&cosigned, bytes_make(again.text, again.len), &witness, f->witness.sk, o.witness_s) == RK_OK);
	MUST(contains(in, cosigned.text + again.len, cosigned.len - again.len));
}

static void take_proof(struct bytes in)
{
	static uint8_t again[NOTE_PROOF_MAX_BYTES];
	merkle_hash proof[MERKLE_PROOF_MAX];
	struct bytes note;
	uint64_t index;
	size_t n, len;

	if (note_proof_read(in, &index, proof, &n, &note) != RK_OK)
		return;
	fuzz_accepted++;
	len = note_proof_write(again, sizeof(again), index, proof, n, note);
	MUST(bytes_equal(bytes_make(again, len), in));
	take_note(note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = bytes_make(data, len);

	if (fuzz_take_u8(&in) & 1)
		take_proof(in);
	else
		take_note(in);
	return 0;
}
