#include "tests/unit/log_kit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "proto/errcode.h"
#include "proto/strict.h"

void log_kit_init(struct log_kit *k, const struct fixed *f, unsigned number)
{
	memset(k, 0, sizeof(*k));
	k->f = f;
	k->number = number;
}

static bool put(void *user, unsigned level, uint64_t index, const merkle_hash h)
{
	struct log_kit *k = user;

	(void)level;
	(void)index;
	assert_true(k->node_count < 2 * LOG_KIT_MAX);
	memcpy(k->nodes[k->node_count++], h, sizeof(merkle_hash));
	return true;
}

static bool get(void *user, unsigned level, uint64_t index, merkle_hash out)
{
	struct log_kit *k = user;

	memcpy(out, k->nodes[merkle_position(level, index)], sizeof(merkle_hash));
	return true;
}

uint64_t log_kit_add(struct log_kit *k, unsigned type, int64_t time_ms, const uint8_t oh[32])
{
	uint8_t entry[MERKLE_ENTRY_MAX_BYTES];
	uint64_t index = k->edge.size;
	merkle_hash leaf;

	merkle_leaf(leaf, bytes_make(entry, merkle_entry(entry, type, time_ms, oh)));
	assert_int_equal(merkle_append(&k->edge, leaf, put, k), RK_OK);
	return index;
}

void log_kit_fill(struct log_kit *k, unsigned n, uint8_t salt)
{
	uint8_t oh[32] = {salt};

	for (unsigned i = 0; i < n; i++)
		log_kit_add(k, RK__LOG_TYPE__LOG_DISCLOSURE, FIXED_TIME_MS, oh);
}

void log_kit_checkpoint(struct log_kit *k, uint64_t size, struct checkpoint *c)
{
	memset(c, 0, sizeof(*c));
	note_origin(c->origin, k->f->exchange_id, k->number);
	c->size = size;
	assert_int_equal(merkle_root(size, get, k, c->root), RK_OK);
}

struct bytes log_kit_note(struct log_kit *k, uint64_t size, int64_t time_s, struct arena *a)
{
	struct note_key witness = {.type = NOTE_TYPE_WITNESS};
	struct note note, cosigned;
	struct checkpoint c;

	log_kit_checkpoint(k, size, &c);
	note_sign(&note, &c, k->f->log.sk);
	if (time_s <= 0)
		return bytes_make(arena_copy(a, note.text, note.len), note.len);
	note_witness_name(witness.name, k->f->exchange_id);
	memcpy(witness.pk, k->f->witness.pk, 32);
	assert_int_equal(note_cosign(&cosigned, bytes_make(note.text, note.len), &witness, k->f->witness.sk, time_s), RK_OK);
	return bytes_make(arena_copy(a, cosigned.text, cosigned.len), cosigned.len);
}

static ProtobufCBinaryData hashes(struct log_kit_answer *out, size_t at, merkle_hash *proof, size_t n)
{
	memcpy(out->proofs[at], proof, n * sizeof(merkle_hash));
	return (ProtobufCBinaryData){n * sizeof(merkle_hash), out->proofs[at]};
}

void log_kit_answer(struct log_kit *k, uint64_t size, uint64_t from_size, const uint64_t *indexes, size_t n, struct arena *a,
                    struct log_kit_answer *out)
{
	uint64_t newest = k->edge.size;
	merkle_hash proof[MERKLE_PROOF_MAX];
	size_t len;

	memset(out, 0, sizeof(*out));
	rk__proof_reply__init(&out->reply);
	rk__proof_set__init(&out->set);
	size = size == 0 ? newest : size;
	out->code = size > newest || from_size > size ? RK_UNKNOWN_OBJECT : RK_OK;
	for (size_t i = 0; i < n; i++)
		out->code = indexes[i] >= size ? RK_UNKNOWN_OBJECT : out->code;
	if (out->code != RK_OK)
		return;
	out->reply.size = size;
	if (size == newest)
		out->reply.note = pb_of(log_kit_note(k, size, 0, a));
	if (from_size != 0 && merkle_consistency(from_size, size, get, k, proof, &len) == RK_OK)
		out->set.consistency = hashes(out, 64, proof, len);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(merkle_inclusion(indexes[i], size, get, k, proof, &len), RK_OK);
		out->inclusion[i] = hashes(out, i, proof, len);
	}
	out->set.inclusion = out->inclusion;
	out->set.n_inclusion = n;
}

struct bytes log_kit_pack(const struct log_kit_answer *answer, struct arena *a)
{
	size_t len = rk__proof_set__get_packed_size(&answer->set);
	uint8_t *room = fixed_alloc(a, len + 1);

	rk__proof_set__pack(&answer->set, room);
	return bytes_make(room, len);
}
