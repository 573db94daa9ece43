/* bare_home: see bare_home.h. */
#include "tests/unit/bare_home.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "proto/ids.h"
#include "proto/strict.h"
#include "tests/unit/store_kit.h"

int64_t bare_now_ms = FIXED_TIME_MS;

static void need(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bare_home: %s failed\n", what);
		abort();
	}
}

static int64_t now(void)
{
	return bare_now_ms;
}

static int passphrase(void *user, enum key_role role, bool confirm, bool again, char **out)
{
	struct bare *h = user;

	(void)role;
	(void)confirm;
	(void)again;
	h->passphrase_asked++;
	if (h->passphrase == NULL)
		return RK_EPASSPHRASE;
	*out = sodium_malloc(strlen(h->passphrase) + 1);
	need(*out != NULL, "sodium_malloc");
	memcpy(*out, h->passphrase, strlen(h->passphrase) + 1);
	return RK_OK;
}

static void open_home(struct bare *h, bool create)
{
	struct client_options o = {.home = h->path, .passphrase = passphrase, .user = h, .now_ms = now};

	need((create ? client_create(&o, &h->c) : client_open(&o, &h->c)) == RK_OK, "opening the home");
}

static void copy_key(struct fixed_org *o, struct client *c)
{
	keys_sign_pk(c, KEY_DEVICE, o->device.pk);
	memcpy(o->device.sk, keys_sign_sk(c, KEY_DEVICE), 64);
	ids_device(o->device_id, o->device.pk);
	keys_curve_pk(c, o->curve.pk);
	need(keys_kx(c, 1, o->kx.pk, o->kx.sk), "kx key 1");
}

void bare_begin(struct bare *h, int org)
{
	const struct key_new open_to_all = {.no_passphrase = true};
	static const uint8_t joined = CLIENT_JOINED;
	struct txn *t;

	memset(h, 0, sizeof(*h));
	bare_now_ms = FIXED_TIME_MS;
	need(sodium_init() >= 0, "sodium_init");
	fixed_init(&h->f);
	need((h->a = arena_new(64 * 1024 * 1024)) != NULL, "arena_new");
	store_kit_folder(h->folder);
	snprintf(h->path, sizeof(h->path), "%s/home", h->folder);
	open_home(h, true);
	need(keys_create(h->c, KEY_DEVICE, &open_to_all) == RK_OK, "keys_create");
	copy_key(&h->f.orgs[org], h->c);
	t = bare_write(h);
	need(meta_put(t, META_EXCHANGE, BYTES_OF(h->f.exchange_id)) == RK_OK &&
	     meta_put(t, META_ORG, BYTES_OF(h->f.orgs[org].org_id)) == RK_OK &&
	     meta_put(t, META_DEVICE, BYTES_OF(h->f.orgs[org].device_id)) == RK_OK &&
	     meta_put(t, META_STATE, bytes_make(&joined, 1)) == RK_OK, "meta");
	bare_commit(h);
}

void bare_end(struct bare *h)
{
	env_abort(h->t);
	client_close(h->c);
	arena_free(h->a);
	store_kit_remove(h->folder);
}

void bare_reopen(struct bare *h)
{
	client_close(h->c);
	open_home(h, false);
}

struct txn *bare_write(struct bare *h)
{
	need(h->t == NULL && env_begin(client_env(h->c), true, &h->t) == RK_OK, "begin");
	return h->t;
}

void bare_commit(struct bare *h)
{
	need(env_commit(h->t) == RK_OK, "commit");
	h->t = NULL;
}

/* ---- objects */

struct bytes bare_sign(struct bare *h, enum object_kind kind, const uint8_t sk[64], const ProtobufCMessage *m)
{
	struct bytes wire;

	need(object_make(kind, h->f.exchange_id, sk, m, h->a, &wire) == RK_OK, "object_make");
	return wire;
}

int bare_take(struct bare *h, enum object_kind kind, struct bytes wire)
{
	return book_take(h->c, h->t, kind, wire, FIXED_TIME_MS);
}

int bare_take_directory(struct bare *h, Rk__Directory *d)
{
	return bare_take(h, OBJECT_KIND_DIRECTORY, bare_sign(h, OBJECT_KIND_DIRECTORY, h->f.secretariat.sk, &d->base));
}

Rk__Directory *bare_next_directory(struct bare *h, uint64_t serial)
{
	Rk__Directory *d = fixed_directory(&h->f, h->a), *newest;
	uint8_t *oh = fixed_alloc(h->a, 32);

	need(book_directory(h->c, h->t, h->a, &newest, oh) == RK_OK, "book_directory");
	d->serial = serial;
	d->prev_oh = pb_of(bytes_make(oh, 32));
	d->issued_at = FIXED_TIME_MS + (int64_t)serial;
	return d;
}

Rk__OrgDevices *bare_next_devices(struct bare *h, int org, uint64_t serial)
{
	Rk__OrgDevices *o = fixed_org_devices(&h->f, org, h->a), *newest;
	uint8_t *oh = fixed_alloc(h->a, 32);

	need(book_org_devices(h->c, h->t, h->f.orgs[org].org_id, h->a, &newest, oh) == RK_OK, "book_org_devices");
	o->serial = serial;
	o->prev_oh = pb_of(bytes_make(oh, 32));
	return o;
}

void bare_fill_book(struct bare *h)
{
	const struct fixed *f = &h->f;

	bare_write(h);
	need(bare_take(h, OBJECT_KIND_CHARTER, bare_sign(h, OBJECT_KIND_CHARTER, f->root.sk, &fixed_charter(f, h->a)->base)) == RK_OK,
	     "charter");
	need(bare_take_directory(h, fixed_directory(f, h->a)) == RK_OK, "directory");
	for (int i = 0; i < FIXED_ORGS; i++) {
		need(bare_take(h, OBJECT_KIND_ORG_DEVICES, bare_sign(h, OBJECT_KIND_ORG_DEVICES, f->orgs[i].org.sk,
								      &fixed_org_devices(f, i, h->a)->base)) == RK_OK, "devices");
		need(bare_take(h, OBJECT_KIND_DEVICE_KX, bare_sign(h, OBJECT_KIND_DEVICE_KX, f->orgs[i].device.sk,
								    &fixed_device_kx(f, i, h->a)->base)) == RK_OK, "kx");
	}
	need(bare_take(h, OBJECT_KIND_FEED_EPOCH,
		       bare_sign(h, OBJECT_KIND_FEED_EPOCH, f->secretariat.sk, &fixed_feed_epoch(f, h->a)->base)) == RK_OK, "epoch");
	bare_commit(h);
}

/* ---- looking */

uint64_t bare_counter(struct bare *h, const char *name)
{
	struct txn *t = h->t;
	char key[80];
	uint64_t n;

	snprintf(key, sizeof(key), "count/%s", name);
	if (t == NULL)
		need(env_begin(client_env(h->c), false, &t) == RK_OK, "begin");
	n = meta_u64(t, key);
	if (t != h->t)
		env_abort(t);
	return n;
}

size_t bare_table_count(struct bare *h, unsigned table)
{
	struct env_cursor *cursor;
	struct bytes key, value;
	struct txn *t = h->t;
	size_t n = 0;

	if (t == NULL)
		need(env_begin(client_env(h->c), false, &t) == RK_OK, "begin");
	need(env_cursor_open(t, table, &cursor) == RK_OK, "cursor");
	for (int r = env_cursor_seek(cursor, (struct bytes){0}, &key, &value); r == RK_OK; r = env_cursor_next(cursor, &key, &value))
		n++;
	env_cursor_free(cursor);
	if (t != h->t)
		env_abort(t);
	return n;
}

static bool file_holds(const char *path, struct bytes what)
{
	FILE *file = fopen(path, "rb");
	uint8_t *content = NULL;
	long len = 0;
	bool found;

	if (file == NULL)
		return false;
	need(fseek(file, 0, SEEK_END) == 0 && (len = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0, "seek");
	need((content = malloc((size_t)len + 1)) != NULL && fread(content, 1, (size_t)len, file) == (size_t)len, "read");
	found = memmem(content, (size_t)len, what.data, what.len) != NULL;
	free(content);
	fclose(file);
	return found;
}

bool bare_files_hold(struct bare *h, struct bytes what)
{
	static const char *const files[] = {"store/data.mdb", "device.key", "kx.key", "org.key"};
	char path[400];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", h->path, files[i]);
		if (file_holds(path, what))
			return true;
	}
	return false;
}
