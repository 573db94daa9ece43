/*
 * secretariat_feed: the directory, feed epochs and their keys.  Which feed keys were issued is remembered in C_META as
 * "fk/N/DEVICE/KX" -> outbox item, so that a key whose request was refused is issued again.
 */
#include "client/secretariat.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/log.h"
#include "proto/ids.h"
#include "proto/strict.h"

#define META_DIRECTORY_ITEM "secretariat/directory"  /* u64be: outbox item of the last directory */
#define META_EPOCH_ITEM "secretariat/epoch"
#define RESIGN_AFTER_MS ((int64_t)7 * 86400000)
#define ROTATE_BEFORE_MS ((int64_t)7 * 86400000)
#define POST_LIFE_MAX_MS ((int64_t)180 * 86400000)
#define BIG_ARENA_BYTES ((size_t)16 * 1024 * 1024)
#define EPOCHS_MAX 4096

static void signer_id_of(struct client *c, uint8_t id[16])
{
	uint8_t pk[32];
	keys_sign_pk(c, KEY_SECRETARIAT, pk);
	ids_signer(id, pk);
}

/* RK_BUSY while the item that a meta key names has no answer. */
static int must_be_answered(struct txn *txn, const char *key)
{
	struct outcome outcome;
	uint64_t item = meta_u64(txn, key);
	int rc = item ? outbox_outcome(txn, item, &outcome) : RK_OK;
	return rc == RK_BUSY ? RK_BUSY : RK_OK;
}

static int queue_object(struct client *c, struct txn *txn, enum object_kind kind, struct bytes wire, const char *what,
			struct arena *a, uint64_t *item)
{
	struct object o;
	uint8_t oh[32];
	int rc = object_parse(kind, wire, a, &o);
	if (rc != RK_OK)
		return rc;
	object_oh(oh, &o, client_exchange_id(c));
	struct outbox_request request = {.op = RK__OP__OP_PUT_OBJECT, .what = what, .object = wire,
					 .object_type = object_info(kind)->wire_type, .object_oh = oh};
	return outbox_add(c, txn, &request, item);
}

/* ---- directory */

/* Copies of the rows, so that the book's own stay as they are; min_devices_serial pins the newest list known here. */
static int copy_rows(struct client *c, struct txn *txn, const Rk__Directory *old, struct arena *a, Rk__Org **rows)
{
	for (size_t i = 0; i < old->n_orgs; i++) {
		Rk__OrgDevices *devices;
		uint8_t oh[32];
		Rk__Org *row = arena_alloc(a, sizeof(*row));
		if (!row)
			return RK_ENOMEM;
		*row = *old->orgs[i];
		if (book_org_devices(c, txn, row->org_id.data, a, &devices, oh) == RK_OK &&
		    devices->serial > row->min_devices_serial)
			row->min_devices_serial = devices->serial;
		rows[i] = row;
	}
	return RK_OK;
}

/* Inserts in order of org_id; RK_CONFLICT if it is there. */
static int insert_row(Rk__Org **rows, size_t *n, const Rk__Org *extra)
{
	size_t at = 0;
	while (at < *n && memcmp(rows[at]->org_id.data, extra->org_id.data, ID16_BYTES) < 0)
		at++;
	if (at < *n && memcmp(rows[at]->org_id.data, extra->org_id.data, ID16_BYTES) == 0)
		return RK_CONFLICT;
	memmove(&rows[at + 1], &rows[at], (*n - at) * sizeof(*rows));
	rows[at] = (Rk__Org *)(uintptr_t)extra;
	(*n)++;
	return RK_OK;
}

/* The same row with another key; the lists that it pins are those of now. */
static int replace_row(Rk__Org **rows, size_t n, const Rk__Org *changed)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t pinned = rows[i]->min_devices_serial;
		if (memcmp(rows[i]->org_id.data, changed->org_id.data, ID16_BYTES) != 0)
			continue;
		*rows[i] = *changed;
		rows[i]->min_devices_serial = pinned;
		return RK_OK;
	}
	return RK_UNKNOWN_RECIPIENT;
}

/* since: readers believe the posts of an expelled or suspended member only from before it. */
static int set_row_status(Rk__Org **rows, size_t n, const uint8_t *org_id, Rk__OrgStatus status, int64_t now_ms)
{
	for (size_t i = 0; i < n; i++) {
		if (memcmp(rows[i]->org_id.data, org_id, ID16_BYTES) != 0)
			continue;
		if (rows[i]->status == status || rows[i]->status == RK__ORG_STATUS__EXPELLED)
			return RK_CONFLICT;
		rows[i]->status = status;
		rows[i]->since = now_ms;
		return RK_OK;
	}
	return RK_UNKNOWN_RECIPIENT;
}

static int make_directory(struct client *c, struct txn *txn, const Rk__Org *extra, const Rk__Org *changed, const uint8_t *org_id,
			  Rk__OrgStatus status, struct arena *a, uint64_t *serial, struct bytes *wire)
{
	Rk__Directory *old, m = RK__DIRECTORY__INIT;
	Rk__Charter *charter;
	uint8_t prev_oh[32], signer_id[16];
	int rc = book_directory(c, txn, a, &old, prev_oh);
	if (rc == RK_OK)
		rc = book_charter(c, txn, a, &charter);
	if (rc != RK_OK)
		return rc;
	arena_raise(a, old->n_orgs * 2 * sizeof(Rk__Org) + 65536);
	Rk__Org **rows = arena_alloc(a, (old->n_orgs + 1) * sizeof(*rows));
	size_t n = old->n_orgs;
	if (!rows)
		return RK_ENOMEM;
	rc = copy_rows(c, txn, old, a, rows);
	if (rc == RK_OK && extra)
		rc = insert_row(rows, &n, extra);
	if (rc == RK_OK && changed)
		rc = replace_row(rows, n, changed);
	if (rc == RK_OK && org_id)
		rc = set_row_status(rows, n, org_id, status, client_now(c));
	if (rc != RK_OK)
		return rc;
	signer_id_of(c, signer_id);
	m.version = 1;
	m.serial = *serial = old->serial + 1;
	m.prev_oh = pb_of(BYTES_OF(prev_oh));
	/* Never before the one that it follows, whatever this machine's clock says. */
	m.issued_at = client_now(c) > old->issued_at ? client_now(c) : old->issued_at + 1;
	m.expires_at = m.issued_at + charter->directory_max_age_ms;
	m.signer_id = pb_of(BYTES_OF(signer_id));
	m.orgs = rows;
	m.n_orgs = n;
	return object_make(OBJECT_KIND_DIRECTORY, client_exchange_id(c), keys_sign_sk(c, KEY_SECRETARIAT), &m.base, a, wire);
}

static int queue_directory(struct client *c, struct txn *txn, const Rk__Org *extra, const Rk__Org *changed, const uint8_t *org_id,
			   Rk__OrgStatus status, uint64_t *serial, uint64_t *item)
{
	struct bytes wire;
	int rc = must_be_answered(txn, META_DIRECTORY_ITEM);
	if (rc != RK_OK)
		return rc;
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	if (!a)
		return RK_ENOMEM;
	rc = make_directory(c, txn, extra, changed, org_id, status, a, serial, &wire);
	if (rc == RK_OK)
		rc = queue_object(c, txn, OBJECT_KIND_DIRECTORY, wire, "directory", a, item);
	if (rc == RK_OK)
		rc = meta_put_u64(txn, META_DIRECTORY_ITEM, *item);
	arena_free(a);
	return rc;
}

int secretariat_queue_directory(struct client *c, struct txn *txn, const Rk__Org *extra, const uint8_t *org_id,
				Rk__OrgStatus status, uint64_t *serial, uint64_t *item)
{
	return queue_directory(c, txn, extra, NULL, org_id, status, serial, item);
}

int secretariat_queue_row(struct client *c, struct txn *txn, const Rk__Org *changed, uint64_t *item)
{
	uint64_t serial;
	return queue_directory(c, txn, NULL, changed, NULL, RK__ORG_STATUS__ORG_STATUS_NONE, &serial, item);
}

/* ---- epochs and keys */

int secretariat_make_epoch(struct client *c, const uint8_t exchange_id[32], uint32_t n, const struct trust_prev *prev,
			   uint64_t directory_serial, const uint8_t ek[32], struct arena *a, struct bytes *wire)
{
	uint8_t commit[32], signer_id[16];
	Rk__FeedEpoch m = RK__FEED_EPOCH__INIT;
	trust_ek_commit(commit, ek);
	signer_id_of(c, signer_id);
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
	signer_id_of(c, signer_id);
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

/* True unless the key was never issued, or its request was refused. */
static bool was_issued(struct txn *txn, const char *mark)
{
	struct outcome outcome;
	uint64_t item = meta_u64(txn, mark);
	return item && !(outbox_outcome(txn, item, &outcome) == RK_OK && outcome.code != RK_OK);
}

static int queue_key(struct client *c, struct txn *txn, uint32_t n, const uint8_t device_id[16], uint32_t kx_serial,
		     const uint8_t kx_pk[32], unsigned *issued)
{
	char mark[80];
	uint8_t ek[32];
	uint64_t item;
	struct bytes wire;
	key_mark(mark, n, device_id, kx_serial);
	if (was_issued(txn, mark))
		return RK_OK;
	int rc = book_epoch_key(c, txn, n, ek);
	/* An epoch of another secretariat device whose key is not here: that device issues it. */
	if (rc != RK_OK)
		return rc == RK_ENOTFOUND ? RK_OK : rc;
	struct arena *a = arena_new(65536);
	rc = a ? secretariat_make_feed_key(c, client_exchange_id(c), n, ek, device_id, kx_serial, kx_pk, a, &wire) : RK_ENOMEM;
	sodium_memzero(ek, sizeof(ek));
	if (rc == RK_OK)
		rc = queue_object(c, txn, OBJECT_KIND_FEED_KEY, wire, "feed key", a, &item);
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

static int queue_all_keys(struct client *c, struct txn *txn, uint32_t only, const uint8_t *but_org, unsigned *issued)
{
	struct issuing i = {only, issued};
	return each_target(c, txn, but_org, issue_to, &i);
}

/* A first device that lacks the newest key ends the search. */
static int lacks_newest(struct client *c, struct txn *txn, const struct envelope_target *t, void *user)
{
	char mark[80];
	(void)c;
	key_mark(mark, *(const uint32_t *)user, t->device_id, t->kx_serial);
	return was_issued(txn, mark) ? RK_OK : RK_BUSY;
}

/* A new epoch for all but `but_org`: object, our own copy of the key, then everybody's. */
static int queue_rotation(struct client *c, struct txn *txn, uint64_t directory_serial, const uint8_t *but_org, unsigned *issued)
{
	struct trust_prev prev;
	Rk__FeedEpoch *old;
	struct bytes wire;
	uint8_t ek[32];
	uint64_t item;
	int rc = must_be_answered(txn, META_EPOCH_ITEM);
	if (rc != RK_OK)
		return rc;
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	rc = a ? book_epoch(c, txn, 0, a, &old, prev.oh) : RK_ENOMEM;
	if (rc == RK_OK) {
		prev.serial = old->n;
		randombytes_buf(ek, sizeof(ek));
		rc = secretariat_make_epoch(c, client_exchange_id(c), old->n + 1, &prev, directory_serial, ek, a, &wire);
	}
	if (rc == RK_OK)
		rc = queue_object(c, txn, OBJECT_KIND_FEED_EPOCH, wire, "feed epoch", a, &item);
	if (rc == RK_OK)
		rc = meta_put_u64(txn, META_EPOCH_ITEM, item);
	if (rc == RK_OK)
		rc = book_epoch_key_put(c, txn, old->n + 1, ek);
	if (rc == RK_OK)
		rc = queue_all_keys(c, txn, old->n + 1, but_org, issued);
	sodium_memzero(ek, sizeof(ek));
	arena_free(a);
	return rc;
}

/* ---- what is asked, and what is due */

int secretariat_set_status(struct client *c, const uint8_t org_id[16], Rk__OrgStatus status, uint64_t *item)
{
	struct txn *txn = NULL;
	uint64_t serial;
	unsigned issued = 0;
	if (memcmp(org_id, client_org_id(c), ID16_BYTES) == 0)
		return RK_NOT_PERMITTED;
	int rc = secretariat_unlock(c);
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = secretariat_queue_directory(c, txn, NULL, org_id, status, &serial, item);
	if (rc == RK_OK && status == RK__ORG_STATUS__EXPELLED)
		rc = queue_rotation(c, txn, serial, org_id, &issued);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	return rc;
}

/* What the duties look at.  After a restore both are due at once: the broker may have lost the newest ones, and what is sealed under them
 * does not pass there. */
struct newest {
	Rk__Charter *charter;
	Rk__Directory *directory;
	Rk__FeedEpoch *epoch;
};

static int read_newest(struct client *c, struct txn *txn, struct arena *a, struct newest *n)
{
	uint8_t oh[32];
	int rc = book_charter(c, txn, a, &n->charter);
	if (rc == RK_OK)
		rc = book_directory(c, txn, a, &n->directory, oh);
	return rc == RK_OK ? book_epoch(c, txn, 0, a, &n->epoch, oh) : rc;
}

static bool is_directory_due(struct client *c, const struct newest *n)
{
	/* Signed by somebody who is no officer any more: whoever joins now could not believe it. */
	return n->directory->issued_at + RESIGN_AFTER_MS <= client_now(c) ||
	       !trust_secretariat_pk(n->charter, n->directory->signer_id.data, client_now(c)) ||
	       trust_may_step_over(n->charter, n->directory->issued_at);
}

static bool is_epoch_due(struct client *c, const struct newest *n)
{
	return n->epoch->not_after - ROTATE_BEFORE_MS <= client_now(c) || trust_may_step_over(n->charter, n->epoch->not_before);
}

static int queue_due(struct client *c, struct txn *txn, struct arena *a, struct secretariat_done *done)
{
	struct newest n;
	uint64_t serial;
	int rc = read_newest(c, txn, a, &n);
	if (rc != RK_OK)
		return rc;
	serial = n.directory->serial;
	if (is_directory_due(c, &n)) {
		rc = secretariat_queue_directory(c, txn, NULL, NULL, RK__ORG_STATUS__ORG_STATUS_NONE, &serial,
						 &done->directory_item);
		done->directory = rc == RK_OK;
	}
	if (rc == RK_OK && is_epoch_due(c, &n)) {
		rc = queue_rotation(c, txn, serial, NULL, &done->feed_keys);
		done->epoch = rc == RK_OK;
	}
	return rc == RK_OK ? queue_all_keys(c, txn, 0, NULL, &done->feed_keys) : rc;
}

bool secretariat_is_due(struct client *c)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct txn *txn = NULL;
	struct newest n;
	bool due = false;
	int rc = a ? env_begin(client_env(c), false, &txn) : RK_ENOMEM;
	if (rc == RK_OK && read_newest(c, txn, a, &n) == RK_OK)
		due = is_directory_due(c, &n) || is_epoch_due(c, &n) || log_is_cosign_due(c, txn) ||
		      each_target(c, txn, NULL, lacks_newest, &n.epoch->n) == RK_BUSY;
	env_abort(txn);
	arena_free(a);
	return due;
}

int secretariat_duties(struct client *c, struct secretariat_done *done)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct txn *txn = NULL;
	memset(done, 0, sizeof(*done));
	int rc = a ? secretariat_unlock(c) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = queue_due(c, txn, a, done);
	if (rc == RK_OK && (done->directory || done->epoch || done->feed_keys))
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free(a);
	/* In transactions of its own: what will be signed must be durable before it is. */
	return rc == RK_OK ? log_cosign(c, &done->checkpoint) : rc;
}
