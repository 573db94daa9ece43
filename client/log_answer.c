/*
 * What answers prove.  All that one proves goes into one transaction, heads before the leaves that stand on them.  A signed note that
 * contradicts, or a proof of the right form that does not prove, is a contradiction.  What has no form or no signature says nothing,
 * whoever sent it; but what is refused its proof for a day is told too.
 */
#include "client/log_internal.h"

#include "proto/strict.h"

#define SET_MAX_BYTES (160 * 1024) /* 64 proofs of 64 hashes, one more, and their tags */

/* One answer while it is judged. */
struct judging {
	struct client *c;
	struct txn *t;
	struct arena *a;
	struct log_keys k;
	const struct log_question *q;
	Rk__ProofSet *set;
	struct log_signed s;         /* the note that came with it, if one did */
};

static int malformed(struct judging *j)
{
	client_count(j->t, "log-answer");
	return env_error(j->t) != RK_OK ? env_error(j->t) : RK_MALFORMED;
}

/* Hashes of one proof; false if they are no whole number, or too many. */
static bool take_proof(ProtobufCBinaryData in, merkle_hash *proof, size_t *n)
{
	*n = in.len / sizeof(merkle_hash);
	if (in.len % sizeof(merkle_hash) != 0 || *n > MERKLE_PROOF_MAX)
		return false;
	if (in.len > 0)
		memcpy(proof, in.data, in.len);
	return true;
}

static int accuse(struct judging *j, enum log_fault fault, const struct log_signed *theirs, uint64_t leaf)
{
	const struct log_fork found = {.fault = fault, .theirs = theirs != NULL ? theirs->note : (struct bytes){0}, .leaf = leaf,
				       .from_org = theirs != NULL ? theirs->from_org : NULL};

	return log_fault(j->c, j->t, &j->k, &found);
}

/* The broker's newest, against the newest that we had verified when we asked. */
static int answer_newest(struct judging *j)
{
	const struct checkpoint *from = &j->q->from, *to = &j->s.o.checkpoint;
	merkle_hash proof[MERKLE_PROOF_MAX];
	bool known;
	size_t n;
	int r;

	if (j->s.note.len == 0)
		return malformed(j);
	r = log_compare(j->c, j->t, &j->k, &j->s, &known);
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r == RK_EFORKED ? RK_OK : r;
	/* Only the very first is taken as it is; where there is one by now, the question was too old: asked again, from that one. */
	if (j->q->from_size == 0)
		return log_head_size(j->t, j->k.number) == 0 ? log_proven(j->c, j->t, &j->k, &j->s) : RK_MALFORMED;
	if (to->size < from->size)
		return accuse(j, LOG_FAULT_ROLLBACK, &j->s, 0);
	if (!take_proof(j->set->consistency, proof, &n))
		return malformed(j);
	if (merkle_check_consistency(from->size, from->root, to->size, to->root, (const merkle_hash *)proof, n) != RK_OK)
		return accuse(j, LOG_FAULT_FORK, &j->s, 0);
	return log_proven(j->c, j->t, &j->k, &j->s);
}

/* The row of a checkpoint that waits, and since when; its note is in the arena. */
static int load_waiting(struct judging *j, const struct checkpoint *cp, struct log_signed *out, int64_t *seen_at)
{
	uint8_t key[LOG_SEEN_KEY_BYTES];
	Rkl__LogSeen *seen;
	int r;

	memset(out, 0, sizeof(*out));
	log_seen_key(key, j->k.number, cp->size, cp->root);
	r = record_get(j->t, C_LOG_SEEN, BYTES_OF(key), &rkl__log_seen__descriptor, j->a, (ProtobufCMessage **)&seen);
	if (r != RK_OK)
		return r;
	out->note = bytes_of(seen->note);
	out->from_org = seen->from_org.len == ID16_BYTES ? seen->from_org.data : NULL;
	out->o.checkpoint = *cp;
	out->o.is_cosigned = seen->witness_ms != 0;
	out->o.witness_s = seen->witness_ms / 1000;
	*seen_at = seen->seen_at;
	return RK_OK;
}

/* Whichever end of a consistency question is the one that somebody else has seen. */
static int waiting_of(struct judging *j, struct log_signed *out)
{
	int64_t seen_at;
	int r = load_waiting(j, &j->q->from, out, &seen_at);

	return r == RK_ENOTFOUND ? load_waiting(j, &j->q->to, out, &seen_at) : r;
}

/* It is not proven, and will not be: what stands in the contradiction needs not wait any longer. */
static int stop_waiting(struct judging *j, const struct checkpoint *cp)
{
	uint8_t key[LOG_SEEN_KEY_BYTES];

	log_seen_key(key, j->k.number, cp->size, cp->root);
	return env_del(j->t, C_LOG_SEEN, BYTES_OF(key));
}

static int answer_between(struct judging *j)
{
	const struct checkpoint *from = &j->q->from, *to = &j->q->to;
	merkle_hash proof[MERKLE_PROOF_MAX];
	struct log_signed theirs;
	size_t n;
	int r;

	if (!take_proof(j->set->consistency, proof, &n))
		return malformed(j);
	if ((r = waiting_of(j, &theirs)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if (merkle_check_consistency(from->size, from->root, to->size, to->root, (const merkle_hash *)proof, n) == RK_OK)
		return log_proven(j->c, j->t, &j->k, &theirs);
	r = accuse(j, LOG_FAULT_FORK, &theirs, 0);
	return r == RK_OK ? stop_waiting(j, &theirs.o.checkpoint) : r;
}

/* ---- leaves */

static int del_if_there(struct txn *t, unsigned table, struct bytes key)
{
	int r = env_del(t, table, key);

	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* It is in the tree of q->to, which the note of that size signs. */
static int keep_proof(struct judging *j, Rkl__LogLeaf *leaf, ProtobufCBinaryData proof, Rkl__LogNote *note)
{
	static const uint8_t yes = 1;
	uint64_t before = leaf->proven_size;
	uint8_t key[LOG_LEAF_KEY_BYTES];
	Rkl__LogNote *older;
	int r;

	log_leaf_key(key, j->k.number, leaf->index);
	leaf->proof = proof;
	leaf->proven_size = j->q->size;
	if ((r = log_leaf_put(j->t, j->k.number, leaf)) != RK_OK)
		return r;
	if ((r = del_if_there(j->t, C_UNPROVEN, BYTES_OF(key))) != RK_OK)
		return r;
	r = note->witness_ms == 0 ? env_put(j->t, C_UNCOSIGNED, BYTES_OF(key), bytes_make(&yes, 1), ENV_PUT)
				  : del_if_there(j->t, C_UNCOSIGNED, BYTES_OF(key));
	if (r != RK_OK || before == j->q->size)
		return r;
	note->leaves++;
	if (before == 0)
		return log_resolve(j->c, j->t, &j->k, NULL, leaf->index);
	if ((r = log_note_get(j->t, j->k.number, before, j->a, &older)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_ESTORE : r;
	older->leaves -= older->leaves > 0;
	r = log_note_put(j->t, j->k.number, before, older);
	return r == RK_OK ? log_note_release(j->t, j->k.number, before) : r;
}

/* The broker said that it wrote it, and its tree does not have it. */
static int accuse_leaf(struct judging *j, uint64_t index)
{
	uint8_t key[LOG_LEAF_KEY_BYTES];
	int r;

	log_leaf_key(key, j->k.number, index);
	if ((r = del_if_there(j->t, C_UNPROVEN, BYTES_OF(key))) != RK_OK ||
	    (r = del_if_there(j->t, C_UNCOSIGNED, BYTES_OF(key))) != RK_OK)
		return r;
	return accuse(j, LOG_FAULT_LEAF, NULL, index);
}

static int answer_leaf(struct judging *j, uint64_t index, ProtobufCBinaryData answer, Rkl__LogNote *note)
{
	merkle_hash leaf_hash, proof[MERKLE_PROOF_MAX];
	uint8_t entry[MERKLE_ENTRY_MAX_BYTES];
	Rkl__LogLeaf *leaf;
	size_t n;
	int r;

	if ((r = log_leaf_get(j->t, j->k.number, index, j->a, &leaf)) != RK_OK || leaf->oh.len != ID32_BYTES)
		return r == RK_OK || r == RK_ENOTFOUND ? RK_ESTORE : r;
	if (!take_proof(answer, proof, &n))
		return accuse_leaf(j, index);
	merkle_leaf(leaf_hash, bytes_make(entry, merkle_entry(entry, leaf->type, leaf->time_ms, leaf->oh.data)));
	if (merkle_check_inclusion(index, j->q->size, leaf_hash, (const merkle_hash *)proof, n, j->q->to.root) != RK_OK)
		return accuse_leaf(j, index);
	return keep_proof(j, leaf, answer, note);
}

static int answer_leaves(struct judging *j)
{
	Rkl__LogNote *note;
	int r;

	if (j->set->n_inclusion != j->q->index_count)
		return malformed(j);
	/* A newer head has taken its place since we asked, and nothing stood on it: the same is asked again, of that one. */
	if ((r = log_note_get(j->t, j->k.number, j->q->size, j->a, &note)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	for (size_t i = 0; i < j->q->index_count && r == RK_OK; i++)
		r = answer_leaf(j, j->q->indexes[i], j->set->inclusion[i], note);
	return r == RK_OK ? log_note_put(j->t, j->k.number, j->q->size, note) : r;
}

/* ---- too late */

/* The first leaf from index `from` on that has waited since `before`, or longer.  RK_ENOTFOUND. */
static int find_overdue(struct judging *j, uint64_t from, int64_t before, uint64_t *index)
{
	struct arena *a = arena_new(LOG_ARENA);
	struct env_cursor *cursor = NULL;
	uint8_t start[LOG_LEAF_KEY_BYTES];
	struct bytes key, value;
	Rkl__LogLeaf *leaf;
	int r = RK_ENOMEM;

	log_leaf_key(start, j->k.number, from);
	if (a == NULL || (r = env_cursor_open(j->t, C_UNPROVEN, &cursor)) != RK_OK)
		goto out;
	for (r = env_cursor_seek(cursor, BYTES_OF(start), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		r = key.len == sizeof(start) && memcmp(key.data, start, 4) == 0 ? RK_OK : RK_ENOTFOUND;
		if (r != RK_OK)
			break;
		*index = get_u64be(key.data + 4);
		arena_reset(a, LOG_ARENA);
		if ((r = log_leaf_get(j->t, j->k.number, *index, a, &leaf)) != RK_OK) {
			r = r == RK_ENOTFOUND ? RK_ESTORE : r;
			break;
		}
		if (leaf->seen_at <= before)
			break;
	}
out:
	env_cursor_free(cursor);
	arena_free(a);
	return r;
}

static int accuse_unproven(struct judging *j, uint64_t from, int64_t before)
{
	uint64_t index;
	int r;

	/* A broker that never showed a checkpoint is one from before the tree: it has promised no proofs. */
	if (log_head_size(j->t, j->k.number) == 0)
		return RK_OK;
	r = find_overdue(j, from, before, &index);
	return r == RK_OK ? accuse(j, LOG_FAULT_UNPROVEN, NULL, index) : r == RK_ENOTFOUND ? RK_OK : r;
}

/* ---- one answer */

/* A note beside the proof, if there is one: signed, of the size it is said to be of, and of no other tree than ours of that size. */
static int open_beside(struct judging *j, const Rk__ProofReply *reply)
{
	bool known;
	int r;

	j->s.note = bytes_of(reply->note);
	if (j->s.note.len == 0)
		return RK_OK;
	if (note_open(j->s.note, &j->k.log, &j->k.witness, &j->s.o) != RK_OK || j->s.o.checkpoint.size != reply->size || reply->size == 0)
		return malformed(j);
	if (j->q->size == 0)
		return RK_OK;
	r = log_compare(j->c, j->t, &j->k, &j->s, &known);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int judge(struct judging *j, const Rk__ProofReply *reply, struct bytes proof_set)
{
	int r;

	if (reply == NULL || proof_set.len > SET_MAX_BYTES || (j->q->size != 0 && reply->size != j->q->size))
		return malformed(j);
	r = STRICT_PARSE(proof_set, proof_set, j->a, &j->set);
	if (r != RK_OK)
		return r < 0 ? r : malformed(j);
	if ((r = open_beside(j, reply)) != RK_OK)
		return r == RK_EFORKED ? RK_OK : r;
	if (j->q->size == 0)
		return answer_newest(j);
	return j->q->index_count > 0 ? answer_leaves(j) : answer_between(j);
}

int log_on_answer(struct client *c, struct txn *t, const struct log_question *q, const Rk__ProofReply *reply, struct bytes proof_set)
{
	struct judging j = {.c = c, .t = t, .a = arena_new(LOG_ARENA), .q = q};
	int64_t before = client_now(c) - LOG_PROVE_WITHIN_MS;
	int r;

	if (j.a == NULL)
		return RK_ENOMEM;
	r = log_follow(c, t, &j.k);
	/* The Charter has begun another log since we asked: that answer is about what is no more. */
	if (r == RK_OK && q->from_size != 0 && strcmp(q->from.origin, j.k.log.name) != 0)
		goto out;
	if (r == RK_OK && q->size != 0 && strcmp(q->to.origin, j.k.log.name) != 0)
		goto out;
	r = r == RK_ENOTFOUND ? RK_OK : r == RK_OK ? judge(&j, reply, proof_set) : r;
	/* The tree that it shows as its newest may have grown, but not to what it told of a day ago. */
	if (r == RK_OK && q->size == 0)
		r = accuse_unproven(&j, log_head_size(t, j.k.number), before);
	if (r == RK_OK && q->is_last_call)
		r = log_promise_accuse(c, t, &j.k, before);
	if (r == RK_OK)
		r = log_vain_ends(t, j.k.number, q);
out:
	arena_free(j.a);
	return r;
}

/* ---- no answer */

/* The keys of what waits; a cursor does not outlive what is written beside it. */
static int list_waiting(struct judging *j, uint8_t (*keys)[LOG_SEEN_KEY_BYTES], size_t *count)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r;

	*count = 0;
	if ((r = env_cursor_open(j->t, C_LOG_SEEN, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value); r == RK_OK && *count < LOG_SEEN_MAX;
	     r = env_cursor_next(cursor, &key, &value))
		if (key.len == LOG_SEEN_KEY_BYTES)
			memcpy(keys[(*count)++], key.data, LOG_SEEN_KEY_BYTES);
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* What has waited for its proof too long, and is refused it still. */
static int accuse_waiting(struct judging *j, int64_t before)
{
	uint8_t keys[LOG_SEEN_MAX][LOG_SEEN_KEY_BYTES];
	struct log_signed theirs;
	struct checkpoint cp;
	int64_t seen_at;
	size_t n;
	int r = list_waiting(j, keys, &n);

	for (size_t i = 0; i < n && r == RK_OK; i++) {
		log_seen_checkpoint(&j->k, keys[i], &cp);
		if ((r = load_waiting(j, &cp, &theirs, &seen_at)) == RK_OK && seen_at <= before)
			r = accuse(j, LOG_FAULT_UNPROVEN, &theirs, 0);
	}
	return r;
}

/* The broker denies a tree that it has signed, or a leaf of one. */
static int accuse_denial(struct judging *j)
{
	struct log_signed theirs;
	int r;

	if (j->q->index_count > 0)
		return accuse(j, LOG_FAULT_LEAF, NULL, j->q->indexes[0]);
	if (j->q->from_size == 0)
		return RK_OK;
	r = j->q->size != 0 ? waiting_of(j, &theirs) : RK_ENOTFOUND;
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	return accuse(j, LOG_FAULT_ROLLBACK, r == RK_OK ? &theirs : NULL, 0);
}

int log_on_refusal(struct client *c, struct txn *t, const struct log_question *q, int code)
{
	struct judging j = {.c = c, .t = t, .a = arena_new(LOG_ARENA), .q = q};
	int64_t before = client_now(c) - LOG_PROVE_WITHIN_MS;
	int r;

	if (j.a == NULL)
		return RK_ENOMEM;
	if ((r = log_follow(c, t, &j.k)) != RK_OK)
		goto out;
	if (code == RK_UNKNOWN_OBJECT)
		r = accuse_denial(&j);
	if (r == RK_OK)
		r = accuse_waiting(&j, before);
	if (r == RK_OK)
		r = accuse_unproven(&j, 0, before);
	if (r == RK_OK && q->is_last_call)
		r = log_promise_accuse(c, t, &j.k, before);
out:
	arena_free(j.a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}
