/* What is known of the log: heads, leaves, contradictions. */
#include "client/log_internal.h"

#include "proto/strict.h"

int log_keys(struct client *c, struct txn *t, struct log_keys *k)
{
	struct arena *a = arena_new(LOG_ARENA);
	Rk__Charter *charter;
	int r;

	memset(k, 0, sizeof(*k));
	if (a == NULL)
		return RK_ENOMEM;
	if ((r = book_charter(c, t, a, &charter)) != RK_OK)
		goto out;
	/* The book took it: its keys have their form. */
	r = RK_ESTORE;
	if (note_key_parse(&k->log, charter->log_vkey) != RK_OK || note_key_parse(&k->witness, charter->witness_vkey) != RK_OK)
		goto out;
	k->number = note_origin_number(k->log.name, client_exchange_id(c));
	k->issued_at = charter->issued_at;
	r = k->number != 0 ? RK_OK : RK_ESTORE;
out:
	arena_free(a);
	return r;
}

/* ---- heads */

int log_newest(struct client *c, struct txn *t, struct arena *a, struct log_head *out)
{
	struct log_keys k;
	int r = log_keys(c, t, &k);

	return r == RK_OK ? log_head_load(c, t, k.number, log_head_size(t, k.number), a, out) : r;
}

int log_cosigned(struct client *c, struct txn *t, struct arena *a, struct log_head *out)
{
	struct log_keys k;
	int r = log_keys(c, t, &k);

	return r == RK_OK ? log_head_load(c, t, k.number, log_cosigned_size(t, k.number), a, out) : r;
}

int log_seen(struct client *c, struct txn *t, struct arena *a, struct bytes *note)
{
	struct log_head head;
	int r = log_newest(c, t, a, &head);

	*note = r == RK_OK ? head.note : (struct bytes){0};
	return r == RK_ENOTFOUND ? RK_OK : r;
}

bool log_is_unwitnessed(struct client *c, struct txn *t)
{
	struct arena *a = arena_new(LOG_ARENA);
	int64_t now = client_now(c);
	struct log_head head;
	struct log_keys k;
	bool late = false;

	if (a != NULL && log_keys(c, t, &k) == RK_OK && now - k.issued_at > LOG_COSIGNED_WARN_MS)
		late = log_cosigned(c, t, a, &head) != RK_OK || now - head.witness_ms > LOG_COSIGNED_WARN_MS;
	arena_free(a);
	return late;
}

int log_tell_unwitnessed(struct client *c, struct txn *t)
{
	struct log_keys k;
	uint64_t mark;
	int r = log_keys(c, t, &k);

	if (r != RK_OK || !log_is_unwitnessed(c, t))
		return r == RK_ENOTFOUND ? RK_OK : r;
	mark = log_cosigned_size(t, k.number) + 1;
	if (meta_u64(t, META_LOG_STALE_TOLD) == mark)
		return RK_OK;
	client_count(t, "log-unwitnessed");
	return meta_put_u64(t, META_LOG_STALE_TOLD, mark);
}

/* ---- leaves */

int log_leaf_in(struct txn *t, unsigned origin, const uint8_t oh[32], struct log_leaf *out)
{
	struct arena *a = arena_new(LOG_ARENA);
	Rkl__LogLeaf *leaf;
	Rkl__LogNote *note;
	struct bytes key;
	int r;

	memset(out, 0, sizeof(*out));
	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_get(t, C_LEAF_OH, bytes_make(oh, ID32_BYTES), &key)) != RK_OK)
		goto out;
	r = RK_ESTORE;
	if (key.len != LOG_LEAF_KEY_BYTES)
		goto out;
	out->origin = origin != 0 ? origin : get_u32be(key.data);
	if ((r = log_leaf_get(t, out->origin, get_u64be(key.data + 4), a, &leaf)) != RK_OK)
		goto out;
	r = RK_ENOTFOUND;
	if (!bytes_equal(bytes_of(leaf->oh), bytes_make(oh, ID32_BYTES)))
		goto out;
	r = RK_OK;
	out->index = leaf->index;
	out->type = leaf->type;
	out->time_ms = leaf->time_ms;
	memcpy(out->oh, oh, sizeof(out->oh));
	out->is_proven = leaf->proven_size != 0;
	if (out->is_proven && (r = log_note_get(t, out->origin, leaf->proven_size, a, &note)) == RK_OK)
		out->is_cosigned = note->witness_ms != 0;
out:
	arena_free(a);
	return r;
}

int log_leaf_of(struct txn *t, const uint8_t oh[32], struct log_leaf *out)
{
	return log_leaf_in(t, 0, oh, out);
}

int log_is_not_before(struct txn *t, const uint8_t oh[32], uint64_t index, bool *yes)
{
	struct log_leaf leaf;
	int r = log_leaf_of(t, oh, &leaf);

	*yes = r == RK_OK && (leaf.index >= index || leaf.origin != meta_u64(t, META_LOG_ORIGIN));
	return r == RK_ENOTFOUND ? RK_OK : r;
}

int log_leaf_proof(struct client *c, struct txn *t, const struct log_leaf *leaf, struct arena *a, struct bytes *text, int64_t *witness_ms)
{
	merkle_hash proof[MERKLE_PROOF_MAX];
	Rkl__LogLeaf *record;
	Rkl__LogNote *note;
	uint8_t *room;
	size_t n;
	int r;

	(void)c;
	*text = (struct bytes){0};
	*witness_ms = 0;
	if ((r = log_leaf_get(t, leaf->origin, leaf->index, a, &record)) != RK_OK)
		return r;
	if (record->proven_size == 0)
		return RK_ENOTFOUND;
	if ((r = log_note_get(t, leaf->origin, record->proven_size, a, &note)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_ESTORE : r;
	n = record->proof.len / sizeof(merkle_hash);
	if (n > MERKLE_PROOF_MAX)
		return RK_ESTORE;
	if (n > 0)
		memcpy(proof, record->proof.data, n * sizeof(merkle_hash));
	arena_raise(a, NOTE_PROOF_MAX_BYTES + 64);
	if ((room = arena_alloc(a, NOTE_PROOF_MAX_BYTES)) == NULL)
		return RK_ENOMEM;
	*text = bytes_make(room, note_proof_write(room, NOTE_PROOF_MAX_BYTES, leaf->index, proof, n, bytes_of(note->note)));
	*witness_ms = note->witness_ms;
	return text->len > 0 ? RK_OK : RK_ESTORE;
}

static uint64_t count_rows(struct txn *t, unsigned table)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	uint64_t count = 0;

	if (env_cursor_open(t, table, &cursor) != RK_OK)
		return 0;
	for (int r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value))
		count++;
	env_cursor_free(cursor);
	return count;
}

uint64_t log_unproven(struct txn *t)
{
	return count_rows(t, C_UNPROVEN) + count_rows(t, C_PROMISED);
}

/* ---- contradictions */

const char *log_fault_name(enum log_fault fault)
{
	static const char *const names[] = {
		[LOG_FAULT_NONE] = "none", [LOG_FAULT_FORK] = "fork", [LOG_FAULT_ROLLBACK] = "rollback",
		[LOG_FAULT_LEAF] = "leaf", [LOG_FAULT_UNPROVEN] = "unproven",
	};

	return (size_t)fault < sizeof(names) / sizeof(names[0]) ? names[fault] : names[0];
}

int log_fork_at(struct client *c, struct txn *t, uint64_t id, struct arena *a, struct log_fork *out)
{
	struct log_keys k;
	Rkl__LogFork *f;
	uint8_t key[8];
	int r;

	memset(out, 0, sizeof(*out));
	put_u64be(key, id);
	r = record_get(t, C_LOG_FORK, BYTES_OF(key), &rkl__log_fork__descriptor, a, (ProtobufCMessage **)&f);
	if (r != RK_OK || (r = log_keys(c, t, &k)) != RK_OK)
		return r;
	if (f->fault > LOG_FAULT_UNPROVEN)
		return RK_ESTORE;
	out->id = id;
	out->fault = (enum log_fault)f->fault;
	out->found_at = f->found_at;
	out->ours = bytes_of(f->ours);
	out->theirs = bytes_of(f->theirs);
	out->leaf = f->leaf;
	out->from_org = f->from_org.len == ID16_BYTES ? f->from_org.data : NULL;
	/* The root has put another log in this one's place: what was wrong with it is known, and dealt with. */
	out->stands = f->origin == k.number && f->resolved_at == 0;
	return RK_OK;
}

int log_fork(struct client *c, struct txn *t, struct arena *a, struct log_fork *out)
{
	int r = RK_OK;

	for (uint64_t id = 1; r == RK_OK; id++) {
		r = log_fork_at(c, t, id, a, out);
		if (r == RK_OK && out->stands)
			return RK_OK;
	}
	return r;
}

int log_check_send(struct client *c, struct txn *t)
{
	struct arena *a = arena_new(LOG_ARENA);
	struct log_fork fork;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	r = log_fork(c, t, a, &fork);
	arena_free(a);
	return r == RK_OK ? RK_EFORKED : r == RK_ENOTFOUND ? RK_OK : r;
}
