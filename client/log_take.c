/*
 * Taking in.  Of every leaf that the broker says it wrote we keep what it stands for, and compute its bytes ourselves: the proof that is
 * asked for later (log_ask.c) proves what we were told, not what the broker says then.  A checkpoint that somebody else has seen
 * waits for its proof; only a second root of one size needs none.
 */
#include "client/log_internal.h"

#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"

#define INDEX_MAX ((uint64_t)INT64_MAX) /* a proof has no more (MERKLE_PROOF_MAX) */

/* ---- the next log */

/* An object that was logged twice counts where it stands first. */
static int name_leaf_row(struct txn *t, const uint8_t oh[32], const uint8_t key[LOG_LEAF_KEY_BYTES])
{
	struct bytes named;
	int r = env_get(t, C_LEAF_OH, bytes_make(oh, ID32_BYTES), &named);

	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	if (r == RK_OK && named.len == LOG_LEAF_KEY_BYTES && memcmp(named.data, key, 4) == 0 &&
	    memcmp(named.data, key, LOG_LEAF_KEY_BYTES) < 0)
		return RK_OK;
	return env_put(t, C_LEAF_OH, bytes_make(oh, ID32_BYTES), bytes_make(key, LOG_LEAF_KEY_BYTES), ENV_PUT);
}

static int put_unproven(struct txn *t, unsigned number, const Rkl__LogLeaf *leaf)
{
	static const uint8_t yes = 1;
	uint8_t key[LOG_LEAF_KEY_BYTES];
	int r;

	log_leaf_key(key, number, leaf->index);
	if (leaf->oh.len != ID32_BYTES)
		return RK_ESTORE;
	if ((r = name_leaf_row(t, leaf->oh.data, key)) != RK_OK || (r = log_leaf_put(t, number, leaf)) != RK_OK)
		return r;
	return env_put(t, C_UNPROVEN, BYTES_OF(key), bytes_make(&yes, 1), ENV_PUT);
}

/* The first leaf that we know of a log at or after `index`. */
static int find_leaf_from(struct txn *t, unsigned number, uint64_t *index)
{
	struct env_cursor *cursor = NULL;
	uint8_t from[LOG_LEAF_KEY_BYTES];
	struct bytes key, value;
	int r;

	log_leaf_key(from, number, *index);
	if ((r = env_cursor_open(t, C_LEAF, &cursor)) != RK_OK)
		return r;
	r = env_cursor_seek(cursor, BYTES_OF(from), &key, &value);
	if (r == RK_OK && (key.len != LOG_LEAF_KEY_BYTES || memcmp(key.data, from, 4) != 0))
		r = RK_ENOTFOUND;
	if (r == RK_OK)
		*index = get_u64be(key.data + 4);
	env_cursor_free(cursor);
	return r;
}

/* One leaf of the old log.  What was proven there stays as it is; what was not can only be proven in the next one, or is lost. */
static int carry_leaf(struct client *c, struct txn *t, unsigned from, unsigned to, uint64_t index, bool is_shared, struct arena *a)
{
	uint8_t key[LOG_LEAF_KEY_BYTES];
	Rkl__LogLeaf *leaf;
	bool was_proven;
	int r = log_leaf_get(t, from, index, a, &leaf);

	if (r != RK_OK)
		return r;
	was_proven = leaf->proven_size != 0;
	log_leaf_key(key, from, index);
	if (!was_proven && (r = env_del(t, C_UNPROVEN, BYTES_OF(key))) != RK_OK && r != RK_ENOTFOUND)
		return r;
	if (!is_shared) {
		if (!was_proven)
			client_count(t, "log-lost");
		return env_error(t);
	}
	if (!was_proven && (r = env_del(t, C_LEAF, BYTES_OF(key))) != RK_OK)
		return r;
	if (was_proven)
		leaf->seen_at = client_now(c); /* the next log owes this proof from now on */
	leaf->proven_size = 0;
	leaf->proof = (ProtobufCBinaryData){0};
	return put_unproven(t, to, leaf);
}

/* The leaves below `shared` are the next log's too, and are to be proven there as well: the receipt of what comes needs them. */
static int carry_leaves(struct client *c, struct txn *t, unsigned from, unsigned to, uint64_t shared)
{
	struct arena *a = arena_new(LOG_ARENA);
	uint64_t index = 0;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	while ((r = find_leaf_from(t, from, &index)) == RK_OK) {
		arena_reset(a, LOG_ARENA);
		if ((r = carry_leaf(c, t, from, to, index, index < shared, a)) != RK_OK)
			break;
		index++;
	}
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* What waits under the old log can be proven by nobody any more.  *largest: of the sizes that waited. */
static int drop_old(struct txn *t, unsigned number, uint64_t *largest)
{
	uint8_t key[LOG_SEEN_KEY_BYTES];
	int r;

	*largest = 0;
	while ((r = log_first(t, C_LOG_SEEN, number, key, LOG_SEEN_KEY_BYTES)) == RK_OK) {
		*largest = get_u64be(key + 4);
		if ((r = env_del(t, C_LOG_SEEN, BYTES_OF(key))) != RK_OK)
			return r;
	}
	if (r != RK_ENOTFOUND)
		return r;
	while ((r = log_first(t, C_UNCOSIGNED, number, key, LOG_LEAF_KEY_BYTES)) == RK_OK)
		if ((r = env_del(t, C_UNCOSIGNED, bytes_make(key, LOG_LEAF_KEY_BYTES))) != RK_OK)
			return r;
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* Does the old log go on where the Charter says that it ended?  A home that has seen more of it tells people: that part is lost. */
static int compare_ends(struct client *c, struct txn *t, unsigned number, const struct checkpoint *end, uint64_t largest, struct arena *a)
{
	struct log_head head;
	uint8_t id[8];
	bool lost;
	int r = log_head_load(c, t, number, log_head_size(t, number), a, &head);

	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	lost = head.checkpoint.size > end->size || largest > end->size ||
	       (head.checkpoint.size == end->size && r == RK_OK && memcmp(head.checkpoint.root, end->root, sizeof(merkle_hash)) != 0);
	if (!lost)
		return RK_OK;
	put_u64be(id, number);
	client_count(t, "log-cut");
	return inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, BYTES_OF(id), NULL, client_now(c), "log-cut");
}

/* shared: how many leaves the next log has of the one before; NULL: as many as its Charter says that one had. */
static int begin_next(struct client *c, struct txn *t, const struct log_keys *k, unsigned before, const uint64_t *shared)
{
	struct arena *a = arena_new(LOG_ARENA);
	struct checkpoint end = {.size = 0};
	uint64_t largest, cut;
	Rk__Charter *charter;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = book_charter(c, t, a, &charter)) != RK_OK)
		goto out;
	/* The root's signature on the Charter stands for it; one that cannot be read leaves nothing of the old log. */
	if (note_read(bytes_of(charter->prev_checkpoint), &end) != RK_OK)
		end.size = 0;
	cut = shared != NULL ? *shared : end.size;
	if ((r = drop_old(t, before, &largest)) == RK_OK && (r = compare_ends(c, t, before, &end, largest, a)) == RK_OK)
		r = carry_leaves(c, t, before, k->number, cut);
	if (r == RK_OK)
		r = log_promise_carry(c, t, before, k->number, cut);
out:
	arena_free(a);
	return r;
}

static int follow(struct client *c, struct txn *t, struct log_keys *k, const uint64_t *shared)
{
	uint64_t before;
	int r;

	if ((r = log_keys(c, t, k)) != RK_OK)
		return r;
	before = meta_u64(t, META_LOG_ORIGIN);
	if (before == k->number)
		return RK_OK;
	if (before != 0 && (r = begin_next(c, t, k, (unsigned)before, shared)) != RK_OK)
		return r;
	return meta_put_u64(t, META_LOG_ORIGIN, k->number);
}

int log_follow(struct client *c, struct txn *t, struct log_keys *k)
{
	return follow(c, t, k, NULL);
}

/* ---- leaves */

static bool is_same_leaf(const Rkl__LogLeaf *leaf, const struct delivery *d, unsigned type, const uint8_t oh[32])
{
	return leaf->index == d->log_index && leaf->type == type && leaf->time_ms == d->time_ms &&
	       bytes_equal(bytes_of(leaf->oh), bytes_make(oh, ID32_BYTES));
}

static int put_leaf(struct client *c, struct txn *t, const struct log_keys *k, const struct delivery *d, unsigned type, const uint8_t oh[32])
{
	Rkl__LogLeaf leaf = RKL__LOG_LEAF__INIT;

	leaf.index = d->log_index;
	leaf.type = type;
	leaf.time_ms = d->time_ms;
	leaf.oh = pb_of(bytes_make(oh, ID32_BYTES));
	leaf.seen_at = client_now(c);
	return put_unproven(t, k->number, &leaf);
}

static int take_leaf(struct client *c, struct txn *t, const struct delivery *d, unsigned type, const uint8_t oh[32])
{
	const struct log_fork other = {.fault = LOG_FAULT_LEAF, .leaf = d->log_index};
	struct arena *a = arena_new(LOG_ARENA);
	struct log_keys k;
	Rkl__LogLeaf *known;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	/* A Charter that begins another log is the next leaf of what the copy had. */
	if ((r = follow(c, t, &k, type == RK__LOG_TYPE__LOG_CHARTER ? &d->log_index : NULL)) != RK_OK) {
		r = r == RK_ENOTFOUND ? RK_OK : r;
		goto out;
	}
	if ((r = log_promise_kept(c, t, &k, d->log_index, oh)) != RK_OK)
		goto out;
	r = log_leaf_get(t, k.number, d->log_index, a, &known);
	if (r == RK_OK)
		r = is_same_leaf(known, d, type, oh) ? RK_OK : log_fault(c, t, &k, &other);
	else if (r == RK_ENOTFOUND)
		r = put_leaf(c, t, &k, d, type, oh);
out:
	arena_free(a);
	return r;
}

static enum object_kind kind_of_entry(Rk__EntryKind kind)
{
	static const struct {
		Rk__EntryKind entry;
		enum object_kind object;
	} rows[] = {
		{RK__ENTRY_KIND__ENTRY_CHARTER, OBJECT_KIND_CHARTER},       {RK__ENTRY_KIND__ENTRY_DIRECTORY, OBJECT_KIND_DIRECTORY},
		{RK__ENTRY_KIND__ENTRY_ORG_DEVICES, OBJECT_KIND_ORG_DEVICES}, {RK__ENTRY_KIND__ENTRY_FEED_EPOCH, OBJECT_KIND_FEED_EPOCH},
		{RK__ENTRY_KIND__ENTRY_NDA_ACT, OBJECT_KIND_NDA_ACT},       {RK__ENTRY_KIND__ENTRY_ENVELOPE, OBJECT_KIND_ENVELOPE},
		{RK__ENTRY_KIND__ENTRY_PICKUP, OBJECT_KIND_PICKUP},         {RK__ENTRY_KIND__ENTRY_NACK, OBJECT_KIND_NACK},
		{RK__ENTRY_KIND__ENTRY_DEPOSIT, OBJECT_KIND_DEPOSIT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].entry == kind)
			return rows[i].object;
	return OBJECT_KIND_COUNT;
}

/* What its leaf stands for.  Not whether it is believed: a forged object that the broker claims to have logged is a leaf to be proven too. */
static int name_leaf(struct client *c, const struct delivery *d, struct arena *a, unsigned *type, uint8_t oh[32])
{
	enum object_kind kind = kind_of_entry(d->kind);
	struct object o;
	int r;

	if (d->kind == RK__ENTRY_KIND__ENTRY_NDA_TERMS) {
		*type = RK__LOG_TYPE__LOG_NDA_TERMS;
		ids_nda(oh, client_exchange_id(c), d->object);
		return d->object.len > 0 ? RK_OK : RK_MALFORMED;
	}
	if (kind == OBJECT_KIND_COUNT)
		return RK_UNSUPPORTED;
	if ((r = object_parse(kind, d->object, a, &o)) != RK_OK)
		return r;
	if (kind == OBJECT_KIND_NDA_ACT && ((const Rk__NdaAct *)(const void *)o.message)->kind == RK__ACT_KIND__HOLD)
		o.kind = OBJECT_KIND_NDA_HOLD;
	*type = (unsigned)object_info(o.kind)->log_type;
	object_oh(oh, &o, client_exchange_id(c));
	return RK_OK;
}

int log_on_entry(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a;
	unsigned type;
	uint8_t oh[32];
	int r;

	if (!d->logged)
		return RK_OK;
	if ((a = arena_new(LOG_ARENA)) == NULL)
		return RK_ENOMEM;
	r = d->log_index > INDEX_MAX ? RK_MALFORMED : name_leaf(c, d, a, &type, oh);
	arena_free(a);
	if (r == RK_OK)
		return take_leaf(c, t, d, type, oh);
	if (r < 0)
		return r;
	client_count(t, "log-unreadable");
	return env_error(t);
}

int log_on_announced(struct client *c, struct txn *t, const struct delivery *d, Rk__ObjectType announced, const uint8_t oh[32])
{
	enum object_kind kind = object_kind_of(announced);
	unsigned type = kind != OBJECT_KIND_COUNT ? (unsigned)object_info(kind)->log_type : RK__LOG_TYPE__LOG_NONE;

	if (!d->logged)
		return RK_OK;
	if (type != RK__LOG_TYPE__LOG_NONE && d->log_index <= INDEX_MAX)
		return take_leaf(c, t, d, type, oh);
	client_count(t, "log-unreadable");
	return env_error(t);
}

/* ---- checkpoints */

static int count_waiting(struct txn *t, unsigned *count)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	int r;

	*count = 0;
	if ((r = env_cursor_open(t, C_LOG_SEEN, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value))
		(*count)++;
	env_cursor_free(cursor);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* Signed, of a size that we have not verified: it waits until the broker proves it. */
static int wait_for_proof(struct client *c, struct txn *t, const struct log_keys *k, const struct log_signed *s)
{
	int64_t witness_ms = s->o.is_cosigned ? s->o.witness_s * 1000 : 0;
	Rkl__LogSeen fresh = RKL__LOG_SEEN__INIT, *seen = &fresh;
	struct arena *a = arena_new(LOG_ARENA);
	uint8_t key[LOG_SEEN_KEY_BYTES];
	unsigned count;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	log_seen_key(key, k->number, s->o.checkpoint.size, s->o.checkpoint.root);
	r = record_get(t, C_LOG_SEEN, BYTES_OF(key), &rkl__log_seen__descriptor, a, (ProtobufCMessage **)&seen);
	if (r == RK_ENOTFOUND) {
		seen = &fresh;
		fresh.seen_at = client_now(c);
		if (s->from_org != NULL)
			fresh.from_org = pb_of(bytes_make(s->from_org, ID16_BYTES));
		r = count_waiting(t, &count);
		if (r == RK_OK && count >= LOG_SEEN_MAX) {
			client_count(t, "log-seen-full");
			goto out;
		}
	}
	if (r != RK_OK || (seen->note.len > 0 && witness_ms <= seen->witness_ms))
		goto out;
	seen->note = pb_of(s->note);
	seen->witness_ms = witness_ms;
	r = record_put(t, C_LOG_SEEN, BYTES_OF(key), &seen->base);
out:
	arena_free(a);
	return r;
}

static int take_signed(struct client *c, struct txn *t, const struct log_keys *k, const struct log_signed *s)
{
	bool known;
	int r = log_compare(c, t, k, s, &known);

	if (r == RK_OK && known)
		return log_proven(c, t, k, s);
	if (r == RK_ENOTFOUND)
		return wait_for_proof(c, t, k, s);
	return r == RK_EFORKED ? RK_OK : r;
}

/* RK_OK; RK_WRONG_EXCHANGE: of another log of this exchange, which is no fault; else what is wrong with it. */
static int open_note(struct client *c, const struct log_keys *k, struct log_signed *s)
{
	struct checkpoint cp;
	unsigned number;
	int r;

	if (s->note.len > NOTE_MAX_BYTES)
		return RK_TOO_LARGE;
	if ((r = note_read(s->note, &cp)) != RK_OK)
		return r;
	number = note_origin_number(cp.origin, client_exchange_id(c));
	if (number != 0 && number != k->number)
		return RK_WRONG_EXCHANGE;
	if ((r = note_open(s->note, &k->log, &k->witness, &s->o)) != RK_OK)
		return r;
	return s->o.checkpoint.size > 0 && s->o.checkpoint.size <= INDEX_MAX ? RK_OK : RK_MALFORMED;
}

int log_on_seen(struct client *c, struct txn *t, struct bytes note, const uint8_t from_org[16])
{
	struct log_signed s = {.note = note, .from_org = from_org};
	struct log_keys k;
	int r;

	if (note.len == 0)
		return RK_OK;
	if ((r = log_follow(c, t, &k)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	r = open_note(c, &k, &s);
	if (r == RK_OK)
		return take_signed(c, t, &k, &s);
	if (r == RK_WRONG_EXCHANGE) {
		/* Its sender has not heard of the next log yet, or we have not. */
		client_count(t, "seen-other-log");
		return env_error(t);
	}
	client_count(t, "seen-unproven");
	return inbox_add(t, RKL__INBOX_KIND__INBOX_ALERT, bytes_make(from_org, ID16_BYTES), from_org, client_now(c), "seen-unproven");
}

int log_on_checkpoint(struct client *c, struct txn *t, const struct delivery *d)
{
	struct log_signed s = {.note = d->object};
	struct log_keys k;
	int r;

	if ((r = log_follow(c, t, &k)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_OK : r;
	r = open_note(c, &k, &s);
	if (r == RK_OK && s.o.is_cosigned)
		return take_signed(c, t, &k, &s);
	/* Of the log before this one: streams are read again from their start. */
	if (r != RK_WRONG_EXCHANGE)
		client_count(t, "bad-checkpoint");
	return env_error(t);
}
