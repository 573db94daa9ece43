/*
 * secretariat_feed: feed epochs and their keys.  Which feed keys were issued is remembered in C_META as
 * "fk/N/DEVICE/KX" -> outbox item, so that a key whose request was refused is issued again.
 */
#include "client/secretariat_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/kx.h"
#include "proto/strict.h"

#define POST_LIFE_MAX_MS ((int64_t)180 * 86400000)
#define EPOCHS_MAX 4096
#define META_EPOCH_N "secretariat/epoch-n"            /* u64be: number of the last epoch that was queued */
#define COMING_MS ((int64_t)86400000)

/* ---- epochs and keys */

int secretariat_make_epoch(struct client *c, const uint8_t exchange_id[32], uint32_t n, const struct trust_prev *prev,
			   uint64_t directory_serial, const uint8_t ek[32], struct arena *a, struct bytes *wire)
{
	uint8_t commit[32], signer_id[16];
	Rk__FeedEpoch m = RK__FEED_EPOCH__INIT;
	trust_ek_commit(commit, ek);
	secretariat_signer_id(c, signer_id);
	m.version = 1;
	m.n = n;
	if (prev->serial)
		m.prev_oh = pb_of(BYTES_OF(prev->oh));
	m.directory_serial = directory_serial;
	m.ek_commit = pb_of(BYTES_OF(commit));
	m.not_before = client_now(c);
	m.not_after = m.not_before + TRUST_EPOCH_DEFAULT_MS;
	m.signer_id = pb_of(BYTES_OF(signer_id));
	return object_make(OBJECT_KIND_FEED_EPOCH, exchange_id, keys_sign_sk(c, KEY_SECRETARIAT), &m.base, a, wire);
}

int secretariat_make_feed_key(struct client *c, const uint8_t exchange_id[32], uint32_t n, const uint8_t ek[32],
			      const uint8_t device_id[16], uint32_t kx_serial, const uint8_t kx_pk[32], struct arena *a,
			      struct bytes *wire)
{
	uint8_t sealed[136], signer_id[16];
	Rk__FeedKey m = RK__FEED_KEY__INIT;
	int rc = trust_feed_key_seal(sealed, n, ek, kx_pk);
	if (rc != RK_OK)
		return rc;
	secretariat_signer_id(c, signer_id);
	m.version = 1;
	m.n = n;
	m.device_id = pb_of(bytes_make(device_id, ID16_BYTES));
	m.kx_serial = kx_serial;
	m.sealed = pb_of(BYTES_OF(sealed));
	m.signer_id = pb_of(BYTES_OF(signer_id));
	return object_make(OBJECT_KIND_FEED_KEY, exchange_id, keys_sign_sk(c, KEY_SECRETARIAT), &m.base, a, wire);
}

static void key_mark(char mark[80], uint32_t n, const uint8_t device_id[16], uint32_t kx_serial)
{
	char hex[33];
	ids_hex(hex, bytes_make(device_id, ID16_BYTES));
	snprintf(mark, 80, "fk/%u/%s/%u", n, hex, kx_serial);
}

/* No outbox item has this number. */
int secretariat_mark_issued(struct txn *txn, uint32_t n, const uint8_t device_id[16], uint32_t kx_serial)
{
	char mark[80];
	key_mark(mark, n, device_id, kx_serial);
	return meta_put_u64(txn, mark, UINT64_MAX);
}

/* True unless the key was never issued, or its request was refused; a second one that the broker did not need is as good as the first. */
static bool was_issued(struct txn *txn, uint64_t item)
{
	struct outcome outcome;
	return item && !(outbox_outcome(txn, item, &outcome) == RK_OK && outcome.code != RK_OK && outcome.code != RK_DUPLICATE);
}

struct mark { uint8_t device_id[16]; uint32_t kx_serial; uint64_t item; };

static bool read_mark(struct bytes key, struct bytes value, const char *prefix, struct mark *m)
{
	char text[80], hex[33];
	if (key.len >= sizeof(text) || key.len < strlen(prefix) || memcmp(key.data, prefix, strlen(prefix)) != 0 || value.len != 8)
		return false;
	memcpy(text, key.data, key.len);
	text[key.len] = '\0';
	m->item = get_u64be(value.data);
	return sscanf(text, "fk/%*u/%32[0-9a-f]/%u", hex, &m->kx_serial) == 2 && ids_from_hex(m->device_id, sizeof(m->device_id), hex);
}

/* Calls fn for each mark that begins so, until it returns non-zero. */
static int each_mark(struct txn *txn, const char *prefix, int (*fn)(struct txn *, const struct mark *, void *), void *user)
{
	struct env_cursor *cur;
	struct bytes key, value;
	struct mark m;
	int rc = env_cursor_open(txn, C_META, &cur);
	if (rc != RK_OK)
		return rc;
	for (rc = env_cursor_seek(cur, bytes_str(prefix), &key, &value); rc == RK_OK && read_mark(key, value, prefix, &m);
	     rc = env_cursor_next(cur, &key, &value))
		if ((rc = fn(txn, &m, user)) != RK_OK)
			break;
	env_cursor_free(cur);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

static int newest_issued(struct txn *txn, const struct mark *m, void *user)
{
	uint32_t *serial = user;
	if (m->kx_serial > *serial && was_issued(txn, m->item))
		*serial = m->kx_serial;
	return RK_OK;
}

/* A device that has always had a valid kx key has read what was sealed to the ones before, the epoch's key among it.  One that was late, or
 * lost a key, may not have. */
static bool has_read(struct client *c, struct txn *txn, const uint8_t device_id[16], uint32_t from, uint32_t to)
{
	struct arena *a = arena_new(65536);
	bool read = a;
	for (uint32_t serial = from; read && serial < to; serial++) {
		Rk__DeviceKx *before, *next;
		arena_reset(a, 65536);
		read = book_device_kx_at(c, txn, device_id, serial, a, &before) == RK_OK &&
		       book_device_kx_at(c, txn, device_id, serial + 1, a, &next) == RK_OK && kx_is_in_turn(before, next);
	}
	arena_free(a);
	return read;
}

static bool lacks_key(struct client *c, struct txn *txn, uint32_t n, const uint8_t device_id[16], uint32_t kx_serial)
{
	char prefix[80], hex[33];
	uint32_t issued = 0;
	ids_hex(hex, bytes_make(device_id, ID16_BYTES));
	snprintf(prefix, sizeof(prefix), "fk/%u/%s/", n, hex);
	if (each_mark(txn, prefix, newest_issued, &issued) != RK_OK)
		return false;
	return issued < kx_serial && (issued == 0 || !has_read(c, txn, device_id, issued, kx_serial));
}

static int queue_key(struct client *c, struct txn *txn, uint32_t n, const uint8_t device_id[16], uint32_t kx_serial,
		     const uint8_t kx_pk[32], unsigned *issued)
{
	char mark[80];
	uint8_t ek[32];
	uint64_t item;
	struct bytes wire;
	key_mark(mark, n, device_id, kx_serial);
	if (!lacks_key(c, txn, n, device_id, kx_serial))
		return RK_OK;
	int rc = book_epoch_key(c, txn, n, ek);
	/* An epoch of another secretariat device whose key is not here: that device issues it. */
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	struct arena *a = arena_new(65536);
	rc = a ? secretariat_make_feed_key(c, client_exchange_id(c), n, ek, device_id, kx_serial, kx_pk, a, &wire) : RK_ENOMEM;
	sodium_memzero(ek, sizeof(ek));
	if (rc == RK_OK)
		rc = secretariat_queue_object(c, txn, OBJECT_KIND_FEED_KEY, wire, "feed key", a, &item);
	if (rc == RK_OK)
		rc = meta_put_u64(txn, mark, item);
	arena_free(a);
	if (rc == RK_OK)
		(*issued)++;
	return rc;
}

/* The oldest epoch in which a post may still live: its successor began less than the longest life of a post ago. */
static uint32_t oldest_live_epoch(struct client *c, struct txn *txn, uint32_t newest, struct arena *a)
{
	uint8_t oh[32];
	Rk__FeedEpoch *e;
	uint32_t n = newest;
	while (n > 1 && newest - n < EPOCHS_MAX) {
		if (book_epoch(c, txn, n, a, &e, oh) != RK_OK || e->not_before + POST_LIFE_MAX_MS <= client_now(c))
			break;
		n--;
	}
	return n;
}

int secretariat_queue_keys(struct client *c, struct txn *txn, const uint8_t device_id[16], uint32_t kx_serial,
			   const uint8_t kx_pk[32], unsigned *issued)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	Rk__FeedEpoch *newest;
	uint8_t oh[32];
	int rc = a ? book_epoch(c, txn, 0, a, &newest, oh) : RK_ENOMEM;
	for (uint32_t n = rc == RK_OK ? oldest_live_epoch(c, txn, newest->n, a) : 1; rc == RK_OK && n <= newest->n; n++)
		rc = queue_key(c, txn, n, device_id, kx_serial, kx_pk, issued);
	arena_free(a);
	return rc;
}

int secretariat_missing_epochs(struct client *c, unsigned *missing)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct txn *txn = NULL;
	Rk__FeedEpoch *newest;
	uint8_t oh[32], ek[32];
	*missing = 0;
	int rc = a ? env_begin(client_env(c), false, &txn) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = book_epoch(c, txn, 0, a, &newest, oh);
	for (uint32_t n = rc == RK_OK ? oldest_live_epoch(c, txn, newest->n, a) : 1; rc == RK_OK && n <= newest->n; n++) {
		rc = book_epoch_key(c, txn, n, ek);
		if (rc == RK_ENOTFOUND) {
			(*missing)++;
			rc = RK_OK;
		}
	}
	sodium_memzero(ek, sizeof(ek));
	env_abort(txn);
	arena_free(a);
	return rc;
}

/* Calls fn for each active device of an active organisation other than but_org. */
static int each_target(struct client *c, struct txn *txn, const uint8_t *but_org,
		       int (*fn)(struct client *, struct txn *, const struct envelope_target *, void *), void *user)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	Rk__Directory *d;
	uint8_t oh[32];
	int rc = a ? book_directory(c, txn, a, &d, oh) : RK_ENOMEM;
	for (size_t i = 0; rc == RK_OK && i < d->n_orgs; i++) {
		struct envelope_target targets[32];
		size_t count = 0;
		const uint8_t *org_id = d->orgs[i]->org_id.data;
		if (d->orgs[i]->status != RK__ORG_STATUS__ACTIVE || (but_org && memcmp(org_id, but_org, ID16_BYTES) == 0))
			continue;
		rc = book_targets(c, txn, org_id, targets, 32, &count);
		/* An organisation without a device that can open anything now: its next sync brings a key. */
		if (rc == RK_NO_RECIPIENT_KEY || rc == RK_ENOTFOUND)
			rc = RK_OK;
		for (size_t j = 0; rc == RK_OK && j < count && j < 32; j++)
			rc = fn(c, txn, &targets[j], user);
	}
	arena_free(a);
	return rc;
}

/* only: that epoch alone, of which the book does not know yet; 0: all live ones. */
struct issuing { uint32_t only; unsigned *issued; };

static int issue_to(struct client *c, struct txn *txn, const struct envelope_target *t, void *user)
{
	const struct issuing *i = user;
	if (i->only)
		return queue_key(c, txn, i->only, t->device_id, t->kx_serial, t->kx_pk, i->issued);
	return secretariat_queue_keys(c, txn, t->device_id, t->kx_serial, t->kx_pk, i->issued);
}

/* As many as the outbox takes: the others are missing as before, and go when it has room.  Devices that members add by the dozen must not
 * keep the directory, or an expulsion, from being signed. */
static int issue_all(struct client *c, struct txn *txn, const uint8_t *but_org, struct issuing *i)
{
	int rc = each_target(c, txn, but_org, issue_to, i);
	return rc == RK_QUOTA ? RK_OK : rc;
}

int secretariat_queue_all_keys(struct client *c, struct txn *txn, unsigned *issued)
{
	struct issuing i = {0, issued};
	return issue_all(c, txn, NULL, &i);
}

struct missing { uint32_t n; int (*fn)(void *, const uint8_t *); void *user; };

static int look_for_key(struct client *c, struct txn *txn, const struct envelope_target *t, void *user)
{
	const struct missing *m = user;
	return lacks_key(c, txn, m->n, t->device_id, t->kx_serial) ? m->fn(m->user, t->device_id) : RK_OK;
}

int secretariat_each_missing(struct client *c, struct txn *txn, int (*fn)(void *, const uint8_t device_id[16]), void *user)
{
	struct arena *a = arena_new(65536);
	struct missing m = {.fn = fn, .user = user};
	Rk__FeedEpoch *newest;
	uint8_t oh[32];
	int rc = a ? book_epoch(c, txn, 0, a, &newest, oh) : RK_ENOMEM;
	if (rc == RK_OK) {
		m.n = newest->n;
		rc = each_target(c, txn, NULL, look_for_key, &m);
	}
	arena_free(a);
	return rc;
}

/* ---- who has a key and should have no more */

struct leaving { struct client *c; struct secretariat_leavers *found; };

static int judge_holder(struct txn *txn, const struct mark *m, void *user)
{
	struct leaving *l = user;
	struct arena *a = arena_new(65536);
	uint8_t org_id[16];
	Rk__Device *device;
	Rk__Org *org;
	int rc = a ? RK_OK : RK_ENOMEM;
	if (rc == RK_OK && was_issued(txn, m->item) && book_org_of_device(txn, m->device_id, org_id) == RK_OK &&
	    book_org(l->c, txn, org_id, a, &org) == RK_OK) {
		if (org->status == RK__ORG_STATUS__EXPELLED)
			l->found->expelled = true;
		/* One that is suspended may come back; until then the broker sends it nothing. */
		else if (org->status == RK__ORG_STATUS__ACTIVE &&
			 (book_device(l->c, txn, m->device_id, org_id, a, &device) != RK_OK ||
			  !trust_device_is_active(device, client_now(l->c))))
			l->found->removed = true;
	}
	arena_free(a);
	return rc;
}

int secretariat_find_leavers(struct client *c, struct txn *txn, uint32_t n, struct secretariat_leavers *found)
{
	struct leaving l = {c, found};
	char prefix[80];
	memset(found, 0, sizeof(*found));
	snprintf(prefix, sizeof(prefix), "fk/%u/", n);
	return each_mark(txn, prefix, judge_holder, &l);
}

/* ---- rotation */

/* The last one was taken and has not come back to us yet: another key under its number would take its key's place here. */
static bool is_coming(struct client *c, struct txn *txn, uint32_t newest)
{
	struct outcome outcome;
	uint64_t item = meta_u64(txn, META_EPOCH_ITEM);
	return item && meta_u64(txn, META_EPOCH_N) > newest && outbox_outcome(txn, item, &outcome) == RK_OK && outcome.code == RK_OK &&
	       client_now(c) - outcome.time_ms < COMING_MS;
}

int secretariat_rotate(struct client *c, struct txn *txn, uint64_t directory_serial, const uint8_t *but_org, unsigned *issued)
{
	struct issuing i = {.issued = issued};
	struct trust_prev prev;
	Rk__FeedEpoch *old;
	struct bytes wire;
	uint8_t ek[32];
	uint64_t item;
	int rc = secretariat_must_be_answered(txn, META_EPOCH_ITEM);
	if (rc != RK_OK)
		return rc;
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	rc = a ? book_epoch(c, txn, 0, a, &old, prev.oh) : RK_ENOMEM;
	if (rc == RK_OK && is_coming(c, txn, old->n))
		rc = RK_BUSY;
	if (rc == RK_OK) {
		prev.serial = old->n;
		randombytes_buf(ek, sizeof(ek));
		rc = secretariat_make_epoch(c, client_exchange_id(c), old->n + 1, &prev, directory_serial, ek, a, &wire);
	}
	if (rc == RK_OK)
		rc = secretariat_queue_object(c, txn, OBJECT_KIND_FEED_EPOCH, wire, "feed epoch", a, &item);
	if (rc == RK_OK)
		rc = meta_put_u64(txn, META_EPOCH_ITEM, item);
	if (rc == RK_OK)
		rc = meta_put_u64(txn, META_EPOCH_N, old->n + 1);
	if (rc == RK_OK)
		rc = book_epoch_key_put(c, txn, old->n + 1, ek);
	if (rc == RK_OK) {
		i.only = old->n + 1;
		rc = issue_all(c, txn, but_org, &i);
	}
	sodium_memzero(ek, sizeof(ek));
	arena_free(a);
	return rc;
}
