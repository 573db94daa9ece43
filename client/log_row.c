/* Rows of the log: notes and heads, notes that wait for their proof, contradictions. */
#include <stdio.h>

#include "client/log_internal.h"
#include "proto/strict.h"

#define META_KEY_CHARS 48

void log_leaf_key(uint8_t key[LOG_LEAF_KEY_BYTES], unsigned number, uint64_t index)
{
	put_u32be(key, number);
	put_u64be(key + 4, index);
}

void log_seen_key(uint8_t key[LOG_SEEN_KEY_BYTES], unsigned number, uint64_t size, const merkle_hash root)
{
	log_leaf_key(key, number, size);
	memcpy(key + LOG_LEAF_KEY_BYTES, root, sizeof(merkle_hash));
}

void log_seen_checkpoint(const struct log_keys *k, const uint8_t key[LOG_SEEN_KEY_BYTES], struct checkpoint *cp)
{
	memcpy(cp->origin, k->log.name, sizeof(cp->origin));
	cp->size = get_u64be(key + 4);
	memcpy(cp->root, key + LOG_LEAF_KEY_BYTES, sizeof(merkle_hash));
}

int log_first(struct txn *t, unsigned table, unsigned number, uint8_t *key, size_t len)
{
	struct env_cursor *cursor = NULL;
	struct bytes found, value;
	uint8_t from[4];
	int r;

	put_u32be(from, number);
	if ((r = env_cursor_open(t, table, &cursor)) != RK_OK)
		return r;
	r = env_cursor_seek(cursor, BYTES_OF(from), &found, &value);
	if (r == RK_OK && found.len != len)
		r = RK_ESTORE;
	if (r == RK_OK && memcmp(found.data, from, sizeof(from)) != 0)
		r = RK_ENOTFOUND;
	if (r == RK_OK)
		memcpy(key, found.data, len);
	env_cursor_free(cursor);
	return r;
}

int log_leaf_get(struct txn *t, unsigned number, uint64_t index, struct arena *a, Rkl__LogLeaf **out)
{
	uint8_t key[LOG_LEAF_KEY_BYTES];

	log_leaf_key(key, number, index);
	return record_get(t, C_LEAF, BYTES_OF(key), &rkl__log_leaf__descriptor, a, (ProtobufCMessage **)out);
}

int log_leaf_put(struct txn *t, unsigned number, const Rkl__LogLeaf *leaf)
{
	uint8_t key[LOG_LEAF_KEY_BYTES];

	log_leaf_key(key, number, leaf->index);
	return record_put(t, C_LEAF, BYTES_OF(key), &leaf->base);
}

/* ---- notes and heads */

int log_note_get(struct txn *t, unsigned number, uint64_t size, struct arena *a, Rkl__LogNote **out)
{
	uint8_t key[LOG_LEAF_KEY_BYTES];
	int r;

	log_leaf_key(key, number, size);
	r = record_get(t, C_LOG_NOTE, BYTES_OF(key), &rkl__log_note__descriptor, a, (ProtobufCMessage **)out);
	return r == RK_OK && (*out)->root.len != sizeof(merkle_hash) ? RK_ESTORE : r;
}

int log_note_put(struct txn *t, unsigned number, uint64_t size, const Rkl__LogNote *note)
{
	uint8_t key[LOG_LEAF_KEY_BYTES];

	log_leaf_key(key, number, size);
	return record_put(t, C_LOG_NOTE, BYTES_OF(key), &note->base);
}

static void head_key(char key[META_KEY_CHARS], const char *which, unsigned number)
{
	snprintf(key, META_KEY_CHARS, "log/%s/%u", which, number);
}

static uint64_t head_of(struct txn *t, const char *which, unsigned number)
{
	char key[META_KEY_CHARS];

	head_key(key, which, number);
	return meta_u64(t, key);
}

uint64_t log_head_size(struct txn *t, unsigned number)
{
	return head_of(t, "head", number);
}

uint64_t log_cosigned_size(struct txn *t, unsigned number)
{
	return head_of(t, "cosigned", number);
}

int log_note_release(struct txn *t, unsigned number, uint64_t size)
{
	struct arena *a;
	Rkl__LogNote *note;
	uint8_t key[LOG_LEAF_KEY_BYTES];
	int r;

	if (size == 0 || size == log_head_size(t, number) || size == log_cosigned_size(t, number))
		return RK_OK;
	if ((a = arena_new(LOG_ARENA)) == NULL)
		return RK_ENOMEM;
	log_leaf_key(key, number, size);
	r = log_note_get(t, number, size, a, &note);
	if (r == RK_OK && note->leaves == 0)
		r = env_del(t, C_LOG_NOTE, BYTES_OF(key));
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int move_head(struct txn *t, const char *which, unsigned number, uint64_t size)
{
	char key[META_KEY_CHARS];
	uint64_t before;
	int r;

	head_key(key, which, number);
	before = meta_u64(t, key);
	if (before == size)
		return RK_OK;
	r = meta_put_u64(t, key, size);
	return r == RK_OK ? log_note_release(t, number, before) : r;
}

int log_head_load(struct client *c, struct txn *t, unsigned number, uint64_t size, struct arena *a, struct log_head *out)
{
	Rkl__LogNote *note;
	int r;

	memset(out, 0, sizeof(*out));
	if (size == 0)
		return RK_ENOTFOUND;
	if ((r = log_note_get(t, number, size, a, &note)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_ESTORE : r;
	note_origin(out->checkpoint.origin, client_exchange_id(c), number);
	out->checkpoint.size = size;
	memcpy(out->checkpoint.root, note->root.data, sizeof(merkle_hash));
	out->note = bytes_of(note->note);
	out->verified_at = note->verified_at;
	out->witness_ms = note->witness_ms;
	out->is_cosigned = note->witness_ms != 0;
	return RK_OK;
}

/* ---- signed checkpoints against what we have */

/* One of the same size that waits, with another root. */
static int find_waiting_other(struct txn *t, unsigned number, const struct checkpoint *cp, struct arena *a, Rkl__LogSeen **out)
{
	uint8_t from[LOG_SEEN_KEY_BYTES], own[LOG_SEEN_KEY_BYTES];
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r;

	*out = NULL;
	log_seen_key(own, number, cp->size, cp->root);
	memset(from, 0, sizeof(from));
	memcpy(from, own, LOG_LEAF_KEY_BYTES);
	if ((r = env_cursor_open(t, C_LOG_SEEN, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, BYTES_OF(from), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		if (key.len != sizeof(own) || memcmp(key.data, own, LOG_LEAF_KEY_BYTES) != 0)
			r = RK_ENOTFOUND;
		if (r != RK_OK || memcmp(key.data, own, sizeof(own)) != 0)
			break;
	}
	if (r == RK_OK) {
		arena_raise(a, 2 * arena_budget(value.len));
		*out = rkl__log_seen__unpack(arena_allocator(a), value.len, value.data);
		r = *out == NULL ? RK_ESTORE : RK_OK;
	}
	env_cursor_free(cursor);
	return r;
}

/* Somebody was shown another tree of this size.  Where the broker itself shows the second one, that is ours; the row has done its duty. */
static int clash_with_waiting(struct txn *t, const struct log_keys *k, const struct log_signed *s, struct arena *a, struct log_fork *fork)
{
	uint8_t key[LOG_SEEN_KEY_BYTES];
	struct checkpoint other;
	Rkl__LogSeen *waiting;
	int r = find_waiting_other(t, k->number, &s->o.checkpoint, a, &waiting);

	if (r != RK_OK)
		return r;
	fork->ours = bytes_of(waiting->note);
	if (s->from_org == NULL) {
		fork->ours = s->note;
		fork->theirs = bytes_of(waiting->note);
		fork->from_org = waiting->from_org.len == ID16_BYTES ? waiting->from_org.data : NULL;
	}
	if (note_read(bytes_of(waiting->note), &other) != RK_OK)
		return RK_ESTORE;
	log_seen_key(key, k->number, other.size, other.root);
	return env_del(t, C_LOG_SEEN, BYTES_OF(key));
}

int log_compare(struct client *c, struct txn *t, const struct log_keys *k, const struct log_signed *s, bool *known)
{
	struct log_fork fork = {.fault = LOG_FAULT_FORK, .theirs = s->note, .from_org = s->from_org};
	struct arena *a = arena_new(LOG_ARENA);
	Rkl__LogNote *note;
	int r;

	*known = false;
	if (a == NULL)
		return RK_ENOMEM;
	r = log_note_get(t, k->number, s->o.checkpoint.size, a, &note);
	if (r == RK_OK) {
		*known = memcmp(note->root.data, s->o.checkpoint.root, sizeof(merkle_hash)) == 0;
		fork.ours = bytes_of(note->note);
	} else if (r == RK_ENOTFOUND) {
		r = clash_with_waiting(t, k, s, a, &fork);
	}
	/* Two signatures of the broker under trees of one size: no proof is needed, and none can help. */
	if (r == RK_OK && !*known)
		r = (r = log_fault(c, t, k, &fork)) == RK_OK ? RK_EFORKED : r;
	arena_free(a);
	return r;
}

/* What waited for this proof waits no longer; *note and *witness_ms become its own where it has the witness's line and ours has none. */
static int end_waiting(struct client *c, struct txn *t, const struct log_keys *k, const struct checkpoint *cp, struct arena *a,
		       struct bytes *note, int64_t *witness_ms)
{
	uint8_t key[LOG_SEEN_KEY_BYTES];
	Rkl__LogSeen *seen;
	int r;

	log_seen_key(key, k->number, cp->size, cp->root);
	r = record_get(t, C_LOG_SEEN, BYTES_OF(key), &rkl__log_seen__descriptor, a, (ProtobufCMessage **)&seen);
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	if (seen->witness_ms > *witness_ms) {
		*note = bytes_of(seen->note);
		*witness_ms = seen->witness_ms;
	}
	r = env_del(t, C_LOG_SEEN, BYTES_OF(key));
	return r == RK_OK ? log_resolve(c, t, k, cp, 0) : r;
}

int log_proven(struct client *c, struct txn *t, const struct log_keys *k, const struct log_signed *s)
{
	uint64_t size = s->o.checkpoint.size, head = log_head_size(t, k->number), cosigned = log_cosigned_size(t, k->number);
	int64_t witness_ms = s->o.is_cosigned ? s->o.witness_s * 1000 : 0;
	Rkl__LogNote fresh = RKL__LOG_NOTE__INIT, *row;
	struct arena *a = arena_new(LOG_ARENA);
	struct bytes note = s->note;
	struct note known;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = end_waiting(c, t, k, &s->o.checkpoint, a, &note, &witness_ms)) != RK_OK)
		goto out;
	r = log_note_get(t, k->number, size, a, &row);
	if (r == RK_ENOTFOUND && size <= head && (witness_ms == 0 || size <= cosigned)) {
		r = RK_OK; /* proven, and nothing will ever stand on it */
		goto out;
	}
	if (r == RK_ENOTFOUND)
		row = &fresh;
	else if (r != RK_OK)
		goto out;
	if (row->note.len == 0 || witness_ms > row->witness_ms) {
		/* Whoever carried it may have added lines; we send it along, and not theirs. */
		if ((r = note_keep(&known, note, &k->log, &k->witness)) != RK_OK)
			goto out;
		row->note = pb_of(bytes_make(known.text, known.len));
		row->witness_ms = witness_ms;
	}
	row->root = pb_of(BYTES_OF(s->o.checkpoint.root));
	if (row->verified_at == 0 || s->from_org == NULL)
		row->verified_at = client_now(c);
	r = log_note_put(t, k->number, size, row);
	if (r == RK_OK && size > head)
		r = move_head(t, "head", k->number, size);
	if (r == RK_OK && row->witness_ms != 0 && size >= cosigned)
		r = move_head(t, "cosigned", k->number, size);
out:
	arena_free(a);
	return r;
}

/* ---- contradictions */

static const char *counter_of(enum log_fault fault)
{
	static const char *const counters[] = {
		[LOG_FAULT_NONE] = "", [LOG_FAULT_FORK] = "log-fork", [LOG_FAULT_ROLLBACK] = "log-rollback",
		[LOG_FAULT_LEAF] = "log-leaf", [LOG_FAULT_UNPROVEN] = "log-unproven",
	};

	return counters[fault];
}

static bool is_same_fault(const Rkl__LogFork *f, const struct log_keys *k, const struct log_fork *found)
{
	return f->origin == k->number && f->fault == (uint32_t)found->fault && f->leaf == found->leaf && f->resolved_at == 0 &&
	       bytes_equal(bytes_of(f->theirs), found->theirs);
}

struct faults {
	uint64_t count;
	bool is_there;  /* the one that was found */
	bool any_stand; /* of this log */
};

static int look_through(struct txn *t, const struct log_keys *k, const struct log_fork *found, struct faults *faults)
{
	struct env_cursor *cursor = NULL;
	struct arena *a = arena_new(LOG_ARENA);
	struct bytes key, value;
	int r;

	memset(faults, 0, sizeof(*faults));
	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_cursor_open(t, C_LOG_FORK, &cursor)) != RK_OK)
		goto out;
	for (r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		Rkl__LogFork *f;

		arena_reset(a, 2 * arena_budget(value.len));
		if ((f = rkl__log_fork__unpack(arena_allocator(a), value.len, value.data)) == NULL) {
			r = RK_ESTORE;
			break;
		}
		faults->count++;
		faults->is_there |= is_same_fault(f, k, found);
		faults->any_stand |= f->origin == k->number && f->resolved_at == 0;
	}
	r = r == RK_ENOTFOUND ? RK_OK : r;
out:
	env_cursor_free(cursor);
	arena_free(a);
	return r;
}

static int put_fault(struct client *c, struct txn *t, const struct log_keys *k, const struct log_fork *found, uint64_t id)
{
	Rkl__LogFork f = RKL__LOG_FORK__INIT;
	struct arena *a = arena_new(LOG_ARENA);
	struct log_head head;
	uint8_t key[8];
	int r = RK_OK;

	if (a == NULL)
		return RK_ENOMEM;
	f.ours = pb_of(found->ours);
	if (found->ours.len == 0 && (r = log_head_load(c, t, k->number, log_head_size(t, k->number), a, &head)) == RK_OK)
		f.ours = pb_of(head.note);
	if (r != RK_OK && r != RK_ENOTFOUND)
		goto out;
	f.id = id;
	f.fault = (uint32_t)found->fault;
	f.origin = k->number;
	f.theirs = pb_of(found->theirs);
	f.leaf = found->leaf;
	if (found->from_org != NULL)
		f.from_org = pb_of(bytes_make(found->from_org, ID16_BYTES));
	f.found_at = client_now(c);
	put_u64be(key, id);
	r = record_put(t, C_LOG_FORK, BYTES_OF(key), &f.base);
out:
	arena_free(a);
	return r;
}

int log_fault(struct client *c, struct txn *t, const struct log_keys *k, const struct log_fork *found)
{
	struct faults faults;
	uint8_t id[8];
	int r = look_through(t, k, found, &faults);

	if (r != RK_OK || faults.is_there)
		return r;
	client_log(c, "log: contradiction: %s", counter_of(found->fault));
	client_count(t, counter_of(found->fault));
	/* One that stands is enough to stop; a broker that makes up new ones all day only counts. */
	if ((faults.count < LOG_FORKS_MAX || !faults.any_stand) && (r = put_fault(c, t, k, found, faults.count + 1)) != RK_OK)
		return r;
	put_u64be(id, faults.count + 1);
	return inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, BYTES_OF(id), found->from_org, client_now(c), counter_of(found->fault));
}

/* By what it says, not by its bytes: the witness's line may have been added since. */
static bool is_about(const Rkl__LogFork *f, const struct log_keys *k, const struct checkpoint *theirs, uint64_t leaf)
{
	struct checkpoint cp;

	if (f->origin != k->number || f->fault != LOG_FAULT_UNPROVEN || f->resolved_at != 0)
		return false;
	if (theirs == NULL)
		return f->theirs.len == 0 && f->leaf == leaf;
	return f->theirs.len > 0 && note_read(bytes_of(f->theirs), &cp) == RK_OK && cp.size == theirs->size &&
	       memcmp(cp.root, theirs->root, sizeof(merkle_hash)) == 0;
}

int log_resolve(struct client *c, struct txn *t, const struct log_keys *k, const struct checkpoint *theirs, uint64_t leaf)
{
	struct arena *a = arena_new(LOG_ARENA);
	uint8_t key[8];
	int r = RK_OK;

	if (a == NULL)
		return RK_ENOMEM;
	for (uint64_t id = 1; r == RK_OK; id++) {
		Rkl__LogFork *f;

		put_u64be(key, id);
		arena_reset(a, LOG_ARENA);
		r = record_get(t, C_LOG_FORK, BYTES_OF(key), &rkl__log_fork__descriptor, a, (ProtobufCMessage **)&f);
		if (r != RK_OK || !is_about(f, k, theirs, leaf))
			continue;
		f->resolved_at = client_now(c);
		r = record_put(t, C_LOG_FORK, BYTES_OF(key), &f->base);
	}
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}
