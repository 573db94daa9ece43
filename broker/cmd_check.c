/*
 * renkeid check: reads the whole store, and checks what proves itself: the log is dense and its tree is what its leaves
 * make, every trust object hashes to the name it lies under, every entry can be read, what the gate judges by is what terms and acts of an agreement
 * say.  It changes nothing and may run beside `renkeid run`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/cmd.h"
#include "broker/cmd_blobs.h"
#include "broker/rows.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/object.h"
#include "proto/strict.h"
#include "store/stream.h"
#include "store/tables.h"

#define OBJECT_KEY_BYTES (1 + 16 + 8)

struct check {
	struct arena *arena;
	struct cmd_walked *w;
};

static void complain(struct check *c, unsigned table, struct bytes key, const char *what)
{
	if (c->w->wrong++ < 20) {
		fprintf(stderr, "renkeid: %s: %s%s", broker_tables[table], what, key.len > 0 ? ", key " : "");
		for (size_t i = 0; i < key.len && i < 48; i++)
			fprintf(stderr, "%02x", key.data[i]);
		fputc('\n', stderr);
	}
}

static void check_log(struct check *c, struct bytes key, struct bytes value)
{
	if (key.len != 8 || get_u64be(key.data) != c->w->log_size || value.len == 0)
		complain(c, T_LOG, key, "the log has a gap or an empty entry");
	c->w->log_size = key.len == 8 ? get_u64be(key.data) + 1 : c->w->log_size;
}

/* oh || Signed bytes: the hash names exactly these bytes. */
static void check_object(struct check *c, struct bytes key, struct bytes value)
{
	enum object_kind kind;
	struct object object;
	uint8_t oh[32];

	if (key.len != OBJECT_KEY_BYTES || value.len < 32) {
		complain(c, T_OBJECT, key, "a damaged record");
		return;
	}
	kind = object_kind_of((Rk__ObjectType)key.data[0]);
	arena_reset(c->arena, arena_budget(value.len));
	if (kind == OBJECT_KIND_COUNT ||
	    object_parse(kind, bytes_make(value.data + 32, value.len - 32), c->arena, &object) != RK_OK) {
		complain(c, T_OBJECT, key, "an object that cannot be read");
		return;
	}
	object_oh(oh, &object, c->w->exchange_id);
	if (memcmp(oh, value.data, 32) != 0)
		complain(c, T_OBJECT, key, "an object that is not what its hash says");
}

static int on_row(void *user, unsigned table, struct bytes key, struct bytes value)
{
	struct check *c = user;

	c->w->rows[table]++;
	c->w->bytes += key.len + value.len;
	if (table == T_LOG)
		check_log(c, key, value);
	else if (table == T_OBJECT)
		check_object(c, key, value);
	return 0;
}

/* Each row of a table, in one read transaction with whatever fn looks up beside it. */
static int each_row(struct env *env, struct check *c, unsigned table, void (*fn)(struct check *, struct txn *, struct bytes key, struct bytes value))
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	struct txn *txn;
	int r = env_begin(env, false, &txn);

	if (r != RK_OK)
		return r;
	if ((r = env_cursor_open(txn, table, &cursor)) == RK_OK)
		for (r = env_cursor_seek(cursor, bytes_make(NULL, 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value))
			fn(c, txn, key, value);
	env_cursor_free(cursor);
	env_abort(txn);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

/* Every entry that a stream refers to must be readable, bulk and all. */
static void check_entry(struct check *c, struct txn *t, struct bytes key, struct bytes value)
{
	struct stream_entry entry;

	(void)value;
	if (key.len != 8 || stream_read(t, get_u64be(key.data), true, &entry) != RK_OK)
		complain(c, T_ENTRY, key, "an entry that cannot be read");
}

/* The tree anew from the leaves: each node must be the one that is stored, and lead to the root that was committed. */
struct regrown {
	struct check *check;
	struct txn *txn;
};

static bool compare_node(void *user, unsigned level, uint64_t index, const merkle_hash h)
{
	struct regrown *r = user;
	merkle_hash stored;
	uint8_t key[8];

	if (rows_get_node(r->txn, level, index, stored) && memcmp(stored, h, 32) == 0)
		return true;
	put_u64be(key, merkle_position(level, index));
	complain(r->check, T_TREE, BYTES_OF(key), "a node that is not what its leaves make");
	return true;
}

static int check_tree(struct env *env, struct check *c)
{
	struct regrown r = {.check = c};
	struct merkle_edge edge = {0};
	struct rows_tree tree = {0};
	struct bytes entry;
	merkle_hash h;
	uint8_t key[8];
	int code = env_begin(env, false, &r.txn);

	if (code != RK_OK)
		return code;
	code = rows_get_tree(r.txn, &tree);
	while (code == RK_OK && edge.size < tree.size) {
		put_u64be(key, edge.size);
		if ((code = env_get(r.txn, T_LOG, BYTES_OF(key), &entry)) != RK_OK)
			break;
		merkle_leaf(h, entry);
		(void)merkle_append(&edge, h, compare_node, &r);
	}
	merkle_edge_root(&edge, h);
	memcpy(c->w->log_root, h, 32);
	if (code == RK_OK && tree.size > 0 && memcmp(h, tree.root, 32) != 0)
		complain(c, T_META, bytes_str("tree"), "the log does not lead to the root that was committed");
	env_abort(r.txn);
	/* No tree yet: an older program wrote this store, and the next start grows it. */
	return code == RK_ENOTFOUND ? RK_OK : code;
}

/* The gate's row, once more from the terms that its name proves and from the acts. */
static bool is_row_of_terms_and_acts(struct txn *t, struct check *c, struct bytes key, struct bytes terms_bytes)
{
	struct nda_row stored, made;
	struct nda_act acts[NDA_ACTS_MAX];
	Rk__NdaTerms *terms;
	uint8_t nda_id[32];
	size_t n;

	arena_reset(c->arena, arena_budget(terms_bytes.len));
	ids_nda(nda_id, c->w->exchange_id, terms_bytes);
	if (!bytes_equal(key, BYTES_OF(nda_id)) || STRICT_PARSE(nda_terms, terms_bytes, c->arena, &terms) != RK_OK ||
	    nda_check_terms(terms, c->w->exchange_id) != RK_OK || rows_get_acts(t, nda_id, acts, &n) != RK_OK || rows_get_nda(t, nda_id, &stored) != RK_OK)
		return false;
	nda_row_init(&made, nda_id, terms);
	nda_fold(&made, acts, n);
	return memcmp(&made, &stored, sizeof(made)) == 0;
}

static void check_agreement(struct check *c, struct txn *t, struct bytes key, struct bytes terms_bytes)
{
	if (!is_row_of_terms_and_acts(t, c, key, terms_bytes))
		complain(c, T_NDA, key, "an agreement that is not what its terms and acts say");
}

static int read_exchange(struct env *env, struct cmd_walked *w)
{
	struct txn *txn;
	int r = env_begin(env, false, &txn);

	if (r != RK_OK)
		return r;
	r = rows_get_meta(txn, "exchange", w->exchange_id, sizeof(w->exchange_id));
	env_abort(txn);
	return r;
}

int cmd_walk(struct env *env, struct cmd_walked *w)
{
	struct check c = {.arena = arena_new(0), .w = w};
	int r;

	memset(w, 0, sizeof(*w));
	if (c.arena == NULL)
		return RK_ENOMEM;
	r = read_exchange(env, w);
	if (r == RK_OK)
		r = env_walk(env, on_row, &c);
	if (r == RK_OK)
		r = each_row(env, &c, T_ENTRY, check_entry);
	if (r == RK_OK)
		r = check_tree(env, &c);
	if (r == RK_OK)
		r = each_row(env, &c, T_NDA_TERMS, check_agreement);
	if (r == RK_OK && w->rows[T_NDA] != w->rows[T_NDA_TERMS])
		complain(&c, T_NDA, bytes_make(NULL, 0), "there are not as many agreements as terms");
	arena_free(c.arena);
	return r;
}

int cmd_check(const struct cmd_options *o)
{
	struct config config;
	struct cmd_walked w;
	struct cmd_blobs blobs = {0};
	struct env *env = NULL;
	int code, r;

	config_defaults(&config);
	if (!cmd_take_up(o->data, &config, &code) || !cmd_open_store(o->data, &config, CMD_STORE_READ, &env, &code))
		return code;
	if ((r = cmd_walk(env, &w)) == RK_OK)
		r = cmd_blobs_check(env, o->data, o->attachments, &blobs);
	env_close(env);
	if (r != RK_OK)
		return cmd_fail_code(r, "the store in %s cannot be read", o->data);
	for (unsigned i = 0; i < BROKER_TABLE_COUNT; i++)
		printf("%-12s %" PRIu64 "\n", broker_tables[i], w.rows[i]);
	printf("bytes        %" PRIu64 "\n", w.bytes);
	printf("attachments  %" PRIu64 " files, %" PRIu64 " bytes, %s; %" PRIu64 " being sent\n", blobs.files, blobs.bytes,
	       o->attachments ? "read" : "not read", blobs.open);
	if (w.wrong != 0)
		return cmd_fail(RK_EINTEGRITY,
				"%" PRIu64 " records are damaged: stop the broker and restore the last backup",
				w.wrong);
	if (blobs.wrong != 0)
		return cmd_fail(RK_EINTEGRITY,
				"%" PRIu64 " attachments are damaged: their dossiers cannot be fetched whole; put the files back from the last "
				"backup, or ask their senders to send them again",
				blobs.wrong);
	printf("the store is whole\n");
	return errcode_exit(fflush(stdout) == 0 ? RK_OK : RK_EIO);
}
