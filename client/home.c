/*
 * home: the folder of one device: opening and making it, its small facts and its records.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <sodium.h>

#include "client/client_internal.h"

#define HOME_MAP_BYTES ((uint64_t)16 << 30) /* sparse: an archive of years */
#define LOG_LINE_MAX 512

const char *const client_tables[CLIENT_TABLE_COUNT] = {
	[C_META] = "meta",
	[C_OBJECT] = "object",
	[C_CURSOR] = "cursor",
	[C_FOLLOW] = "follow",
	[C_EPOCH] = "epoch",
	[C_OUTBOX] = "outbox",
	[C_POST] = "post",
	[C_POST_SEQ] = "post_seq",
	[C_ARRIVAL] = "arrival",
	[C_CONTENT] = "content",
	[C_EXTERNAL] = "external",
	[C_ENVELOPE] = "envelope",
	[C_NDA] = "nda",
	[C_ACT] = "act",
	[C_INBOX] = "inbox",
	[C_ENROLMENT] = "enrolment",
	[C_INVITE] = "invite",
	[C_WAITING] = "waiting",
	[C_LEAF] = "leaf",
	[C_LEAF_OH] = "leaf_oh",
	[C_UNPROVEN] = "unproven",
	[C_UNCOSIGNED] = "uncosigned",
	[C_PROMISED] = "promised",
	[C_LOG_NOTE] = "log_note",
	[C_LOG_SEEN] = "log_seen",
	[C_LOG_FORK] = "log_fork",
	[C_DEPOSIT] = "deposit",
	[C_EVIDENCE] = "evidence",
	[C_UPLOAD] = "upload",
	[C_BLOB] = "blob",
	[C_AHEAD] = "ahead",
};

static int64_t real_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* mkdir -p, each new folder for its owner only. */
static int make_folders(const char *path)
{
	char part[CLIENT_PATH_MAX];

	for (size_t i = 1; path[i - 1] != '\0'; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0700) != 0 && errno != EEXIST && errno != EISDIR)
			return errno == ENOSPC ? RK_EDISKFULL : RK_EIO;
	}
	return RK_OK;
}

static int client_start(const struct client_options *o, bool create, struct client **out)
{
	struct client *c;
	char store[CLIENT_PATH_MAX + 8];
	struct env_options env = {.path = store, .tables = client_tables, .table_count = CLIENT_TABLE_COUNT,
				  .map_bytes = HOME_MAP_BYTES, .format = CLIENT_FORMAT, .create = create};
	struct txn *txn;
	int r;

	*out = NULL;
	if (sodium_init() < 0)
		abort();
	if (o->home == NULL || o->home[0] == '\0' || strlen(o->home) > CLIENT_PATH_MAX - 64)
		return RK_EUSAGE;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return RK_ENOMEM;
	snprintf(c->home, sizeof(c->home), "%s", o->home);
	snprintf(store, sizeof(store), "%s/store", o->home);
	c->passphrase = o->passphrase;
	c->user = o->user;
	c->now_ms = o->now_ms != NULL ? o->now_ms : real_now_ms;
	c->log = o->log;
	if (create && (r = make_folders(c->home)) != RK_OK)
		goto fail;
	if ((r = env_open(&env, &c->env)) != RK_OK) {
		r = r == RK_ENOTFOUND ? RK_ENOTJOINED : r;
		goto fail;
	}
	if ((r = env_begin(c->env, false, &txn)) != RK_OK)
		goto fail;
	home_load_ids(c, txn);
	env_abort(txn);
	*out = c;
	return RK_OK;
fail:
	client_close(c);
	return r;
}

int client_open(const struct client_options *o, struct client **out)
{
	return client_start(o, false, out);
}

int client_create(const struct client_options *o, struct client **out)
{
	char store[CLIENT_PATH_MAX + 8];
	struct stat st;

	*out = NULL;
	if (o->home == NULL)
		return RK_EUSAGE;
	snprintf(store, sizeof(store), "%s/store", o->home);
	if (stat(store, &st) == 0)
		return RK_EEXISTS;
	return client_start(o, true, out);
}

void client_close(struct client *c)
{
	if (c == NULL)
		return;
	link_context_free(c);
	book_cache_free(c->book);
	keys_free(c->keys);
	env_close(c->env);
	free(c);
}

struct env *client_env(struct client *c)
{
	return c->env;
}

int64_t client_now(const struct client *c)
{
	return c->now_ms();
}

void client_log(const struct client *c, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	if (c->log == NULL)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	c->log(c->user, line);
}

static void load_id(struct txn *txn, const char *key, uint8_t *id, size_t len)
{
	struct bytes v;

	if (bytes_is_zero(id, len) && meta_get(txn, key, &v) == RK_OK && v.len == len)
		memcpy(id, v.data, len);
}

void home_load_ids(struct client *c, struct txn *txn)
{
	load_id(txn, META_EXCHANGE, c->exchange_id, sizeof(c->exchange_id));
	load_id(txn, META_ORG, c->org_id, sizeof(c->org_id));
	load_id(txn, META_DEVICE, c->device_id, sizeof(c->device_id));
}

/* A verb may have written an id after the client was opened. */
static const uint8_t *loaded(struct client *c, uint8_t *id, size_t len)
{
	struct txn *txn;

	if (bytes_is_zero(id, len) && env_begin(c->env, false, &txn) == RK_OK) {
		home_load_ids(c, txn);
		env_abort(txn);
	}
	return id;
}

const uint8_t *client_exchange_id(struct client *c)
{
	return loaded(c, c->exchange_id, sizeof(c->exchange_id));
}

const char *client_home(const struct client *c)
{
	return c->home;
}

const uint8_t *client_org_id(struct client *c)
{
	return loaded(c, c->org_id, sizeof(c->org_id));
}

const uint8_t *client_device_id(struct client *c)
{
	return loaded(c, c->device_id, sizeof(c->device_id));
}

enum client_state client_state(struct client *c)
{
	enum client_state state = CLIENT_EMPTY;
	struct bytes v;
	struct txn *txn;

	if (env_begin(c->env, false, &txn) != RK_OK)
		return state;
	if (meta_get(txn, META_STATE, &v) == RK_OK && v.len == 1 && v.data[0] <= CLIENT_JOINED)
		state = (enum client_state)v.data[0];
	env_abort(txn);
	return state;
}

/* ---- meta */

int meta_get(struct txn *txn, const char *key, struct bytes *value)
{
	return env_get(txn, C_META, bytes_str(key), value);
}

int meta_put(struct txn *txn, const char *key, struct bytes value)
{
	return env_put(txn, C_META, bytes_str(key), value, ENV_PUT);
}

uint64_t meta_u64(struct txn *txn, const char *key)
{
	struct bytes v;

	return meta_get(txn, key, &v) == RK_OK && v.len == 8 ? get_u64be(v.data) : 0;
}

int meta_put_u64(struct txn *txn, const char *key, uint64_t v)
{
	uint8_t b[8];

	put_u64be(b, v);
	return meta_put(txn, key, BYTES_OF(b));
}

uint64_t meta_next_id(struct txn *txn)
{
	uint64_t id = meta_u64(txn, META_NEXT_ID) + 1;

	/* A failure is the transaction's sticky error: nothing that used this id will be committed. */
	(void)meta_put_u64(txn, META_NEXT_ID, id);
	return id;
}

void client_count(struct txn *txn, const char *name)
{
	char key[80];

	snprintf(key, sizeof(key), "count/%s", name);
	(void)meta_put_u64(txn, key, meta_u64(txn, key) + 1);
}

/* ---- records */

int record_get(struct txn *txn, unsigned table, struct bytes key, const ProtobufCMessageDescriptor *desc, struct arena *arena,
	       ProtobufCMessage **out)
{
	struct bytes value;
	int r;

	*out = NULL;
	if ((r = env_get(txn, table, key, &value)) != RK_OK)
		return r;
	/* Our own records: no peer chose their shape, but unpacking still costs more than their length. */
	arena_raise(arena, 2 * arena_budget(value.len));
	*out = protobuf_c_message_unpack(desc, arena_allocator(arena), value.len, value.data);
	return *out == NULL ? RK_ESTORE : RK_OK;
}

int record_put(struct txn *txn, unsigned table, struct bytes key, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *packed = malloc(len + 1);
	int r;

	/* Packed aside first: fields may still borrow from pages that the put itself moves. */
	if (packed == NULL)
		return RK_ENOMEM;
	protobuf_c_message_pack(m, packed);
	r = env_put(txn, table, key, bytes_make(packed, len), ENV_PUT);
	free(packed);
	return r;
}
