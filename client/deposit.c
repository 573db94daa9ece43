#include "client/deposit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "client/evidence.h"
#include "proto/ids.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define VAULT_DEPOSIT "renkei/home/deposit" /* DepositRecord.sealed_secret, id oh; under the home key */
#define READ_BYTES ((size_t)64 * 1024)
#define OBJECT_ARENA ((size_t)64 * 1024)
#define FRESH_MS ((int64_t)5 * 60 * 1000) /* half of what the exchange allows between a Deposit's time and its own */

/* ---- making */

static int hash_all(int fd, volatile bool *stop, struct deposit_secret *out)
{
	crypto_hash_sha256_state state;
	uint8_t *part = malloc(READ_BYTES);
	ssize_t n = 1;
	int r = RK_OK;

	if (part == NULL)
		return RK_ENOMEM;
	crypto_hash_sha256_init(&state);
	out->size = 0;
	while (n != 0 && r == RK_OK) {
		n = read(fd, part, READ_BYTES);
		if (stop != NULL && *stop)
			r = RK_EINTERRUPTED;
		else if (n < 0 && errno != EINTR)
			r = RK_EIO;
		else if (n > 0) {
			crypto_hash_sha256_update(&state, part, (size_t)n);
			out->size += (uint64_t)n;
		}
	}
	crypto_hash_sha256_final(&state, out->sha256);
	free(part);
	return r;
}

int deposit_hash(const char *path, volatile bool *stop, struct arena *a, struct deposit_secret *out)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	struct stat st;
	int fd, r;

	memset(out, 0, sizeof(*out));
	out->title = "";
	if (name[0] == '\0' || strlen(name) > DEPOSIT_NAME_MAX || !strict_is_name(bytes_str(name)))
		return RK_EUSAGE;
	arena_raise(a, strlen(name) + 64);
	if ((out->name = arena_copy(a, name, strlen(name))) == NULL)
		return RK_ENOMEM;
	/* Not blocking: a pipe under the name must not hang us. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
		return errno == ENOENT ? RK_ENOTFOUND : RK_EIO;
	if (fstat(fd, &st) != 0)
		r = RK_EIO;
	else
		r = S_ISREG(st.st_mode) ? hash_all(fd, stop, out) : RK_EUSAGE;
	close(fd);
	return r;
}

static int make_object(struct client *c, const struct deposit_secret *secret, struct arena *a, struct object *o)
{
	Rk__Deposit d = RK__DEPOSIT__INIT;
	uint8_t commit[32];
	struct bytes wire;
	int r;

	ids_deposit_commit(commit, secret->salt, secret->sha256);
	d.version = 1;
	d.org_id = pb_of(bytes_make(client_org_id(c), ID16_BYTES));
	d.device_id = pb_of(bytes_make(client_device_id(c), ID16_BYTES));
	d.commit = pb_of(BYTES_OF(commit));
	d.time = client_now(c);
	r = object_make(OBJECT_KIND_DEPOSIT, client_exchange_id(c), keys_sign_sk(c, KEY_DEVICE), &d.base, a, &wire);
	return r == RK_OK ? object_parse(OBJECT_KIND_DEPOSIT, wire, a, o) : r;
}

static int seal_secret(struct client *c, const struct deposit_secret *secret, const uint8_t oh[32], struct arena *a, struct bytes *sealed)
{
	Rkl__DepositSecret s = RKL__DEPOSIT_SECRET__INIT;
	uint8_t *packed;
	size_t len;

	s.salt = pb_of(BYTES_OF(secret->salt));
	s.sha256 = pb_of(BYTES_OF(secret->sha256));
	s.name = pb_text(secret->name);
	s.title = pb_text(secret->title);
	s.size = secret->size;
	len = rkl__deposit_secret__get_packed_size(&s);
	arena_raise(a, len + 64);
	if ((packed = arena_alloc(a, len)) == NULL)
		return RK_ENOMEM;
	rkl__deposit_secret__pack(&s, packed);
	return vault_seal(keys_home_key(c), VAULT_DEPOSIT, bytes_make(oh, ID32_BYTES), bytes_make(packed, len), a, sealed);
}

int deposit_add(struct client *c, struct txn *t, struct deposit_secret *secret, uint8_t oh[32], uint64_t *item)
{
	struct outbox_request request = {.op = RK__OP__OP_DEPOSIT, .what = "deposit", .ref = bytes_make(oh, ID32_BYTES)};
	Rkl__DepositRecord record = RKL__DEPOSIT_RECORD__INIT;
	struct arena *a;
	struct bytes sealed;
	struct object o;
	int r;

	if (strlen(secret->title) > DEPOSIT_TITLE_MAX || (secret->title[0] != '\0' && !strict_is_name(bytes_str(secret->title))))
		return RK_EUSAGE;
	if ((a = arena_new(OBJECT_ARENA)) == NULL)
		return RK_ENOMEM;
	randombytes_buf(secret->salt, sizeof(secret->salt));
	if ((r = make_object(c, secret, a, &o)) != RK_OK)
		goto out;
	object_oh(oh, &o, client_exchange_id(c));
	if ((r = seal_secret(c, secret, oh, a, &sealed)) != RK_OK)
		goto out;
	request.object = o.wire;
	if ((r = outbox_add(c, t, &request, item)) != RK_OK)
		goto out;
	record.oh = pb_of(bytes_make(oh, ID32_BYTES));
	record.wire = pb_of(o.wire);
	record.sealed_secret = pb_of(sealed);
	record.time_ms = client_now(c);
	record.item = *item;
	r = record_put(t, C_DEPOSIT, bytes_make(oh, ID32_BYTES), &record.base);
out:
	arena_free_wiped(a);
	return r;
}

/* ---- reading */

int deposit_load(struct txn *t, const uint8_t oh[32], struct arena *a, Rkl__DepositRecord **out)
{
	return record_get(t, C_DEPOSIT, bytes_make(oh, ID32_BYTES), &rkl__deposit_record__descriptor, a, (ProtobufCMessage **)out);
}

static int is_fresh(struct client *c, const Rkl__DepositRecord *record, struct arena *a, bool *yes)
{
	struct object o;
	int64_t age;

	if (object_parse(OBJECT_KIND_DEPOSIT, bytes_of(record->wire), a, &o) != RK_OK)
		return RK_ESTORE;
	age = client_now(c) - ((const Rk__Deposit *)(const void *)o.message)->time;
	*yes = age <= FRESH_MS && age >= -FRESH_MS;
	return RK_OK;
}

int deposit_seal(struct client *c, struct txn *t, const uint8_t oh[32], struct arena *a, Rkl__DepositRecord **out)
{
	struct deposit_secret secret;
	struct object o;
	struct bytes sealed;
	uint8_t *anew;
	bool fresh;
	int r;

	arena_raise(a, OBJECT_ARENA);
	if ((r = deposit_load(t, oh, a, out)) != RK_OK || (r = is_fresh(c, *out, a, &fresh)) != RK_OK || fresh)
		return r;
	if ((anew = arena_alloc(a, ID32_BYTES)) == NULL)
		return RK_ENOMEM;
	if ((r = deposit_open(c, *out, a, &secret)) != RK_OK || (r = make_object(c, &secret, a, &o)) != RK_OK)
		return r;
	object_oh(anew, &o, client_exchange_id(c));
	if ((r = seal_secret(c, &secret, anew, a, &sealed)) != RK_OK || (r = env_del(t, C_DEPOSIT, bytes_make(oh, ID32_BYTES))) != RK_OK)
		return r;
	(*out)->oh = pb_of(bytes_make(anew, ID32_BYTES));
	(*out)->wire = pb_of(o.wire);
	(*out)->sealed_secret = pb_of(sealed);
	(*out)->time_ms = client_now(c);
	return record_put(t, C_DEPOSIT, bytes_of((*out)->oh), &(*out)->base);
}

static int oldest_first(const void *a, const void *b)
{
	const Rkl__DepositRecord *x = *(Rkl__DepositRecord *const *)a, *y = *(Rkl__DepositRecord *const *)b;

	return x->time_ms == y->time_ms ? memcmp(x->oh.data, y->oh.data, ID32_BYTES) : x->time_ms < y->time_ms ? -1 : 1;
}

/* Room for one more in a list that doubles. */
static int make_room(struct arena *a, Rkl__DepositRecord ***list, size_t n, size_t *room)
{
	Rkl__DepositRecord **grown;

	if (n < *room)
		return RK_OK;
	*room = *room == 0 ? 64 : *room * 2;
	arena_raise(a, *room * sizeof(**list) + 32);
	if ((grown = arena_alloc(a, *room * sizeof(**list))) == NULL)
		return RK_ENOMEM;
	if (n > 0)
		memcpy(grown, *list, n * sizeof(**list));
	*list = grown;
	return RK_OK;
}

int deposit_list(struct txn *t, struct arena *a, Rkl__DepositRecord ***out, size_t *count)
{
	struct env_cursor *cursor = NULL;
	struct bytes key, value;
	size_t n = 0, room = 0;
	int r;

	*out = NULL;
	*count = 0;
	if ((r = env_cursor_open(t, C_DEPOSIT, &cursor)) != RK_OK)
		return r;
	for (r = env_cursor_seek(cursor, bytes_make("", 0), &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value)) {
		if ((r = make_room(a, out, n, &room)) != RK_OK)
			break;
		arena_raise(a, arena_budget(value.len));
		if (((*out)[n] = rkl__deposit_record__unpack(arena_allocator(a), value.len, value.data)) == NULL) {
			r = RK_ESTORE;
			break;
		}
		n++;
	}
	env_cursor_free(cursor);
	if (r != RK_ENOTFOUND)
		return r;
	if (n > 1)
		qsort(*out, n, sizeof(**out), oldest_first);
	*count = n;
	return RK_OK;
}

int deposit_open(struct client *c, const Rkl__DepositRecord *record, struct arena *a, struct deposit_secret *out)
{
	Rkl__DepositSecret *s;
	struct bytes plain;
	int r;

	memset(out, 0, sizeof(*out));
	if (record->sealed_secret.len == 0)
		return RK_ENOTFOUND;
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
		return r;
	r = vault_open(keys_home_key(c), VAULT_DEPOSIT, bytes_of(record->oh), bytes_of(record->sealed_secret), a, &plain);
	if (r != RK_OK)
		return r;
	arena_raise(a, arena_budget(plain.len));
	s = rkl__deposit_secret__unpack(arena_allocator(a), plain.len, plain.data);
	if (s == NULL || s->salt.len != sizeof(out->salt) || s->sha256.len != sizeof(out->sha256))
		return RK_ESTORE;
	memcpy(out->salt, s->salt.data, sizeof(out->salt));
	memcpy(out->sha256, s->sha256.data, sizeof(out->sha256));
	out->name = s->name;
	out->title = s->title;
	out->size = s->size;
	return RK_OK;
}

int deposit_take_secret(struct client *c, struct txn *t, Rkl__DepositRecord *record, const struct deposit_secret *secret, struct arena *a)
{
	struct bytes sealed;
	int r = seal_secret(c, secret, record->oh.data, a, &sealed);

	if (r != RK_OK)
		return r;
	record->sealed_secret = pb_of(sealed);
	if ((r = record_put(t, C_DEPOSIT, bytes_of(record->oh), &record->base)) != RK_OK || !record->logged)
		return r;
	return evidence_on_deposit(c, t, bytes_of(record->wire), record->log_index, secret->salt, secret->sha256);
}

const char *deposit_state_name(struct txn *t, const Rkl__DepositRecord *record)
{
	struct outcome out;

	if (record->logged)
		return "logged";
	return outbox_outcome(t, record->item, &out) == RK_OK && out.code != RK_OK ? "refused" : "queued";
}

/* ---- what the exchange says of it */

static int set_logged(struct txn *t, Rkl__DepositRecord *record, int64_t time_ms, uint64_t log_index)
{
	record->logged = true;
	record->log_index = log_index;
	record->time_ms = time_ms;
	return record_put(t, C_DEPOSIT, bytes_of(record->oh), &record->base);
}

int deposit_on_answer(struct client *c, struct txn *t, struct bytes object, const struct outcome *answer)
{
	struct arena *a = arena_new(OBJECT_ARENA);
	Rkl__DepositRecord *record;
	struct object o;
	uint8_t oh[32];
	int r = RK_ESTORE;

	if (a == NULL)
		return RK_ENOMEM;
	if (object_parse(OBJECT_KIND_DEPOSIT, object, a, &o) != RK_OK)
		goto out;
	object_oh(oh, &o, client_exchange_id(c));
	if ((r = deposit_load(t, oh, a, &record)) != RK_OK) {
		r = r == RK_ENOTFOUND ? RK_OK : r;
	} else if (record->logged) {
		r = RK_OK; /* by its entry, or this is a repetition, whose time is its own */
	} else if (answer->logged) {
		r = set_logged(t, record, answer->time_ms, answer->log_index);
	} else {
		client_count(t, "deposit-unlogged");
		r = (r = env_error(t)) == RK_OK ? RK_EINTEGRITY : r;
	}
out:
	arena_free(a);
	return r;
}

/* Signed by a device of ours that was one then? */
static bool is_own(struct client *c, struct txn *t, const struct object *o, int64_t time_ms, struct arena *a)
{
	const Rk__Deposit *d = (const Rk__Deposit *)(const void *)o->message;
	Rk__Device *device;

	return bytes_equal(bytes_of(d->org_id), bytes_make(client_org_id(c), ID16_BYTES)) &&
	       book_device(c, t, d->device_id.data, d->org_id.data, a, &device) == RK_OK && trust_device_is_active(device, time_ms) &&
	       object_check(o, client_exchange_id(c), device->sign_pk.data) == RK_OK;
}

/* What a receipt will need; of another device's deposit nobody here has the salt. */
static int keep_evidence(struct client *c, struct txn *t, const Rkl__DepositRecord *record, const struct delivery *d, struct arena *a)
{
	struct deposit_secret secret;
	int r = deposit_open(c, record, a, &secret);

	if (r == RK_OK)
		return evidence_on_deposit(c, t, d->object, d->log_index, secret.salt, secret.sha256);
	return r == RK_ENOTFOUND ? evidence_on_deposit(c, t, d->object, d->log_index, NULL, NULL) : r;
}

int deposit_on_entry(struct client *c, struct txn *t, const struct delivery *d)
{
	struct arena *a = arena_new(OBJECT_ARENA);
	Rkl__DepositRecord fresh = RKL__DEPOSIT_RECORD__INIT, *record = &fresh;
	struct object o;
	uint8_t oh[32];
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if (!d->logged || object_parse(OBJECT_KIND_DEPOSIT, d->object, a, &o) != RK_OK || !is_own(c, t, &o, d->time_ms, a)) {
		client_count(t, "deposit-unproven");
		r = env_error(t);
		goto out;
	}
	object_oh(oh, &o, client_exchange_id(c));
	r = deposit_load(t, oh, a, &record);
	if (r == RK_ENOTFOUND) {
		record = &fresh;
		fresh.oh = pb_of(BYTES_OF(oh));
		fresh.wire = pb_of(d->object);
	} else if (r != RK_OK) {
		goto out;
	}
	if ((r = set_logged(t, record, d->time_ms, d->log_index)) == RK_OK)
		r = keep_evidence(c, t, record, d, a);
out:
	arena_free_wiped(a);
	return r;
}
