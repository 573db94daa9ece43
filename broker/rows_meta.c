/* State rows of the exchange: what is due, signed objects, and the few facts that have a name.  Formats: rows.h. */
#include "broker/rows.h"
#include "broker/rows_pack.h"

/* ---- what is due */
static struct bytes due_key(uint8_t key[41], int64_t time_ms, enum rows_due_type type, const void *id, size_t id_len)
{
	assert(time_ms >= 0 && id_len <= 32);
	put_u64be(key, (uint64_t)time_ms);
	key[8] = (uint8_t)type;
	memcpy(key + 9, id, id_len);
	return bytes_make(key, 9 + id_len);
}

int rows_put_due(struct txn *t, int64_t time_ms, enum rows_due_type type, const void *id, size_t id_len)
{
	static const uint8_t nothing[1] = {0};
	uint8_t key[41];

	return env_put(t, T_DUE, due_key(key, time_ms, type, id, id_len), BYTES_OF(nothing), ENV_PUT);
}

bool rows_has_due(struct txn *t, int64_t time_ms, enum rows_due_type type, const void *id, size_t id_len)
{
	uint8_t key[41];

	return env_has(t, T_DUE, due_key(key, time_ms, type, id, id_len));
}

int rows_del_due(struct txn *t, int64_t time_ms, enum rows_due_type type, const void *id, size_t id_len)
{
	uint8_t key[41];
	int rc = env_del(t, T_DUE, due_key(key, time_ms, type, id, id_len));

	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

int rows_first_due(struct txn *t, struct rows_due *due)
{
	static const uint8_t zero[1] = {0};
	struct env_cursor *c = NULL;
	struct bytes key, value;
	int rc;

	if ((rc = env_cursor_open(t, T_DUE, &c)) != RK_OK)
		return rc;
	rc = env_cursor_seek(c, BYTES_OF(zero), &key, &value);
	if (rc == RK_OK && (key.len < 9 || key.len > 41))
		rc = RK_ESTORE;
	if (rc == RK_OK) {
		memset(due, 0, sizeof(*due));
		due->time_ms = (int64_t)get_u64be(key.data);
		due->type = key.data[8];
		due->id_len = key.len - 9;
		memcpy(due->id, key.data + 9, due->id_len);
	}
	env_cursor_free(c);
	return rc;
}

/* ---- objects */
void rows_object_key(uint8_t out[ROWS_OBJECT_KEY_BYTES], uint8_t type, const uint8_t *id, uint64_t serial)
{
	memset(out, 0, ROWS_OBJECT_KEY_BYTES);
	out[0] = type;
	if (id)
		memcpy(out + 1, id, 16);
	put_u64be(out + 17, serial);
}

int rows_put_object(struct txn *t, uint8_t type, const uint8_t *id, uint64_t serial, const uint8_t oh[32],
		    struct bytes wire)
{
	uint8_t key[ROWS_OBJECT_KEY_BYTES], *room;
	int rc;

	rows_object_key(key, type, id, serial);
	if ((rc = env_reserve(t, T_OBJECT, BYTES_OF(key), 32 + wire.len, ENV_PUT, &room)) != RK_OK)
		return rc;
	memcpy(room, oh, 32);
	memcpy(room + 32, wire.data, wire.len);
	return RK_OK;
}

int rows_get_object(struct txn *t, uint8_t type, const uint8_t *id, uint64_t serial, uint64_t *serial_out,
		    struct bytes *oh, struct bytes *wire)
{
	uint8_t key[ROWS_OBJECT_KEY_BYTES];
	struct bytes found = BYTES_OF(key), value;
	int rc;

	rows_object_key(key, type, id, serial);
	if (serial == 0)
		rc = env_last_with_prefix(t, T_OBJECT, bytes_make(key, 17), &found, &value);
	else
		rc = env_get(t, T_OBJECT, BYTES_OF(key), &value);
	if (rc != RK_OK)
		return rc;
	if (found.len != ROWS_OBJECT_KEY_BYTES || value.len <= 32)
		return RK_ESTORE;
	if (serial_out)
		*serial_out = get_u64be(found.data + 17);
	if (oh)
		*oh = bytes_make(value.data, 32);
	*wire = bytes_make(value.data + 32, value.len - 32);
	return RK_OK;
}

/* ---- the few facts that have a name */
int rows_get_meta(struct txn *t, const char *name, void *out, size_t len)
{
	struct bytes value;
	int rc = env_get(t, T_META, bytes_str(name), &value);

	if (rc != RK_OK)
		return rc;
	if (value.len != len)
		return RK_ESTORE;
	memcpy(out, value.data, len);
	return RK_OK;
}

int rows_put_meta(struct txn *t, const char *name, const void *value, size_t len)
{
	return env_put(t, T_META, bytes_str(name), bytes_make(value, len), ENV_PUT);
}

int rows_get_time(struct txn *t, int64_t *time_ms)
{
	uint8_t b[8];
	int rc = rows_get_meta(t, "time", b, sizeof(b));

	if (rc == RK_OK)
		*time_ms = (int64_t)get_u64be(b);
	return rc;
}

int rows_put_time(struct txn *t, int64_t time_ms)
{
	uint8_t b[8];

	put_u64be(b, (uint64_t)time_ms);
	return rows_put_meta(t, "time", b, sizeof(b));
}

#define DIRECTORY_BYTES 48
#define EPOCH_BYTES 44

static void walk_directory(struct pack *p, struct rows_directory *d)
{
	field_u64(p, &d->serial);
	field(p, d->oh, 32);
	field_i64(p, &d->expires_at);
	assert(p->at == DIRECTORY_BYTES);
}

static void walk_epoch(struct pack *p, struct rows_epoch *e)
{
	field_u32(p, &e->n);
	field(p, e->oh, 32);
	field_i64(p, &e->logged_at);
	assert(p->at == EPOCH_BYTES);
}

int rows_get_directory(struct txn *t, struct rows_directory *d)
{
	uint8_t b[DIRECTORY_BYTES];
	struct pack p = {.in = b};
	int rc = rows_get_meta(t, "directory", b, sizeof(b));

	if (rc == RK_OK)
		walk_directory(&p, d);
	return rc;
}

int rows_put_directory(struct txn *t, const struct rows_directory *d)
{
	uint8_t b[DIRECTORY_BYTES];
	struct rows_directory copy = *d;
	struct pack p = {.out = b};

	walk_directory(&p, &copy);
	return rows_put_meta(t, "directory", b, sizeof(b));
}

int rows_get_epoch(struct txn *t, struct rows_epoch *e)
{
	uint8_t b[EPOCH_BYTES];
	struct pack p = {.in = b};
	int rc = rows_get_meta(t, "epoch", b, sizeof(b));

	if (rc == RK_OK)
		walk_epoch(&p, e);
	return rc;
}

int rows_put_epoch(struct txn *t, const struct rows_epoch *e)
{
	uint8_t b[EPOCH_BYTES];
	struct rows_epoch copy = *e;
	struct pack p = {.out = b};

	walk_epoch(&p, &copy);
	return rows_put_meta(t, "epoch", b, sizeof(b));
}

/* ---- the log and its tree */
#define TREE_BYTES 40
#define FORK_BYTES 12
#define COSIGNED_BYTES 16

static void walk_tree(struct pack *p, struct rows_tree *t)
{
	field_u64(p, &t->size);
	field(p, t->root, 32);
	assert(p->at == TREE_BYTES);
}

static void walk_fork(struct pack *p, struct rows_fork *f)
{
	field_u32(p, &f->log);
	field_u64(p, &f->size);
	assert(p->at == FORK_BYTES);
}

static void walk_cosigned(struct pack *p, struct rows_cosigned *c)
{
	field_u64(p, &c->size);
	field_i64(p, &c->witness_s);
	assert(p->at == COSIGNED_BYTES);
}

int rows_get_tree(struct txn *t, struct rows_tree *tree)
{
	uint8_t b[TREE_BYTES];
	struct pack p = {.in = b};
	int rc = rows_get_meta(t, "tree", b, sizeof(b));

	if (rc == RK_OK)
		walk_tree(&p, tree);
	return rc;
}

int rows_put_tree(struct txn *t, const struct rows_tree *tree)
{
	uint8_t b[TREE_BYTES];
	struct rows_tree copy = *tree;
	struct pack p = {.out = b};

	walk_tree(&p, &copy);
	return rows_put_meta(t, "tree", b, sizeof(b));
}

int rows_get_fork(struct txn *t, struct rows_fork *f)
{
	uint8_t b[FORK_BYTES];
	struct pack p = {.in = b};
	int rc = rows_get_meta(t, "fork", b, sizeof(b));

	if (rc == RK_OK)
		walk_fork(&p, f);
	return rc;
}

int rows_put_fork(struct txn *t, const struct rows_fork *f)
{
	uint8_t b[FORK_BYTES];
	struct rows_fork copy = *f;
	struct pack p = {.out = b};

	walk_fork(&p, &copy);
	return rows_put_meta(t, "fork", b, sizeof(b));
}

int rows_del_fork(struct txn *t)
{
	return env_del(t, T_META, bytes_str("fork"));
}

int rows_get_cosigned(struct txn *t, struct rows_cosigned *c)
{
	uint8_t b[COSIGNED_BYTES];
	struct pack p = {.in = b};
	int rc = rows_get_meta(t, "cosigned", b, sizeof(b));

	if (rc == RK_OK)
		walk_cosigned(&p, c);
	return rc;
}

int rows_put_cosigned(struct txn *t, const struct rows_cosigned *c)
{
	uint8_t b[COSIGNED_BYTES];
	struct rows_cosigned copy = *c;
	struct pack p = {.out = b};

	walk_cosigned(&p, &copy);
	return rows_put_meta(t, "cosigned", b, sizeof(b));
}

bool rows_get_node(void *txn, unsigned level, uint64_t index, merkle_hash out)
{
	struct bytes value;
	uint8_t key[8];

	put_u64be(key, merkle_position(level, index));
	if (env_get(txn, T_TREE, BYTES_OF(key), &value) != RK_OK || value.len != 32)
		return false;
	memcpy(out, value.data, 32);
	return true;
}

bool rows_put_node(void *txn, unsigned level, uint64_t index, const merkle_hash h)
{
	uint8_t key[8];

	put_u64be(key, merkle_position(level, index));
	return env_put(txn, T_TREE, BYTES_OF(key), bytes_make(h, 32), ENV_APPEND) == RK_OK;
}

int rows_log_size(struct txn *t, uint64_t *size)
{
	struct env_cursor *c = NULL;
	struct bytes key, value;
	int rc;

	*size = 0;
	if ((rc = env_cursor_open(t, T_LOG, &c)) != RK_OK)
		return rc;
	rc = env_cursor_last(c, &key, &value);
	if (rc == RK_OK && key.len != 8)
		rc = RK_ESTORE;
	if (rc == RK_OK)
		*size = get_u64be(key.data) + 1;
	env_cursor_free(c);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}
