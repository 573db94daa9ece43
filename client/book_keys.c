/*
 * book_keys: which key of an organisation stood when.  Each entry is judged by the directory of its time: an act that the old key signed
 * stays what it was, and one that it signs after its replacement counts nowhere.  Also the kx keys of devices whose list this home could
 * not believe yet: it was signed by a key that was replaced before we came, and the next list names the devices again.
 */
#include <stdlib.h>

#include "client/client_internal.h"
#include "proto/ids.h"
#include "proto/orgkey.h"
#include "proto/strict.h"

#define WAITING_KX_MAX 8192
#define META_WAITING_KX "waiting_kx" /* u64be: rows of BOOK_WAITING_KX */
#define REPLACED_BYTES (KEY_BYTES + 1 + 8)

/* One replaced key, in the order in which they were. */
struct replaced {
	uint64_t until_seq;
	const uint8_t *pk;
	bool is_linked;
	int64_t time_ms;
};

/* Calls fn for each until it returns true. */
static bool each_replaced(struct txn *txn, const uint8_t org_id[16], bool (*fn)(const struct replaced *, void *), void *user)
{
	struct env_cursor *cursor = NULL;
	uint8_t from[BOOK_KEY_BYTES];
	struct bytes key, value;
	bool done = false;
	int r;

	book_key(from, BOOK_REPLACED_KEY, org_id, 0);
	if (env_cursor_open(txn, C_OBJECT, &cursor) != RK_OK)
		return false;
	for (r = env_cursor_seek(cursor, BYTES_OF(from), &key, &value); r == RK_OK && !done; r = env_cursor_next(cursor, &key, &value)) {
		struct replaced k;

		if (key.len != BOOK_KEY_BYTES || memcmp(key.data, from, 1 + ID16_BYTES) != 0 || value.len != REPLACED_BYTES)
			break;
		k = (struct replaced){get_u64be(key.data + 1 + ID16_BYTES), value.data, value.data[KEY_BYTES] != 0,
				      (int64_t)get_u64be(value.data + KEY_BYTES + 1)};
		done = fn(&k, user);
	}
	env_cursor_free(cursor);
	return done;
}

static int put_replaced(struct txn *txn, const Rk__Org *old, const Rk__Org *now, uint64_t control_seq, int64_t time_ms)
{
	uint8_t key[BOOK_KEY_BYTES], value[REPLACED_BYTES], fp[32];

	ids_sha256(fp, bytes_of(old->org_pk));
	book_key(key, BOOK_REPLACED_KEY, old->org_id.data, control_seq);
	memcpy(value, old->org_pk.data, KEY_BYTES);
	value[KEY_BYTES] = orgkey_counts(now, fp);
	put_u64be(value + KEY_BYTES + 1, (uint64_t)time_ms);
	return env_put(txn, C_OBJECT, BYTES_OF(key), BYTES_OF(value), ENV_PUT);
}

int book_note_replaced(struct client *c, struct txn *txn, const Rk__Directory *now, uint64_t control_seq)
{
	int r = RK_OK;

	/* Without its place in control there is nothing to date it by: the first directory of a home. */
	for (size_t i = 0; control_seq != 0 && i < now->n_orgs && r == RK_OK; i++) {
		Rk__Org *old;

		if (book_org(c, txn, now->orgs[i]->org_id.data, NULL, &old) == RK_OK &&
		    !bytes_equal(bytes_of(old->org_pk), bytes_of(now->orgs[i]->org_pk)))
			r = put_replaced(txn, old, now->orgs[i], control_seq, now->issued_at);
	}
	return r;
}

static bool is_any(const struct replaced *k, void *user)
{
	(void)k;
	(void)user;
	return true;
}

bool book_knows_replaced(struct txn *txn, const uint8_t org_id[16])
{
	return each_replaced(txn, org_id, is_any, NULL);
}

struct key_at {
	uint64_t control_seq;
	uint8_t *pk;
};

static bool stood(const struct replaced *k, void *user)
{
	struct key_at *at = user;

	if (at->control_seq >= k->until_seq)
		return false;
	memcpy(at->pk, k->pk, KEY_BYTES);
	return true;
}

int book_org_key_at(struct client *c, struct txn *txn, const uint8_t org_id[16], uint64_t control_seq, uint8_t pk[32])
{
	struct key_at at = {control_seq, pk};
	Rk__Org *org;
	int r = book_org(c, txn, org_id, NULL, &org);

	if (r != RK_OK || (control_seq != 0 && each_replaced(txn, org_id, stood, &at)))
		return r;
	memcpy(pk, org->org_pk.data, KEY_BYTES);
	return RK_OK;
}

struct counting {
	uint64_t control_seq;
	const uint8_t *fp;
	bool counts;
};

/* Walks the keys to the one that stood then; counts: the hash is of that one or leads to it by links alone. */
static bool count_to(const struct replaced *k, void *user)
{
	struct counting *x = user;
	uint8_t fp[32];

	ids_sha256(fp, bytes_make(k->pk, KEY_BYTES));
	x->counts |= memcmp(fp, x->fp, sizeof(fp)) == 0;
	if (x->control_seq < k->until_seq)
		return true;
	x->counts &= k->is_linked;
	return false;
}

bool book_key_counts_at(struct client *c, struct txn *txn, const uint8_t org_id[16], const uint8_t fp[32], uint64_t control_seq)
{
	struct counting x = {control_seq, fp, false};
	Rk__Org *org;

	if (control_seq != 0 && each_replaced(txn, org_id, count_to, &x))
		return x.counts;
	return book_org(c, txn, org_id, NULL, &org) == RK_OK && orgkey_counts(org, fp);
}

static bool note_lost(const struct replaced *k, void *user)
{
	if (!k->is_linked)
		*(int64_t *)user = k->time_ms;
	return false;
}

int64_t book_key_lost_at(struct client *c, struct txn *txn, const uint8_t org_id[16])
{
	int64_t at = 0;

	(void)c;
	(void)each_replaced(txn, org_id, note_lost, &at);
	return at;
}

/* ---- kx keys that wait */

static int read_kx(struct txn *txn, const uint8_t device_id[16], struct arena *a, struct object *o)
{
	uint8_t key[BOOK_KEY_BYTES];
	struct bytes value;
	int r;

	book_key(key, BOOK_WAITING_KX, device_id, 0);
	if ((r = env_get(txn, C_OBJECT, BYTES_OF(key), &value)) != RK_OK)
		return r;
	arena_raise(a, arena_budget(value.len));
	r = object_parse(OBJECT_KIND_DEVICE_KX, value, a, o);
	return r > 0 ? RK_ESTORE : r;
}

int book_keep_kx(struct txn *txn, const Rk__DeviceKx *kx, struct bytes wire)
{
	uint64_t waiting = meta_u64(txn, META_WAITING_KX);
	struct arena *a = arena_new(0);
	uint8_t key[BOOK_KEY_BYTES];
	struct object held;
	int r = a ? read_kx(txn, kx->device_id.data, a, &held) : RK_ENOMEM;
	bool is_new = r == RK_ENOTFOUND;

	/* Nobody has proven anything of it: only so many. */
	if ((r == RK_OK && ((const Rk__DeviceKx *)(const void *)held.message)->serial >= kx->serial) ||
	    (is_new && waiting >= WAITING_KX_MAX)) {
		arena_free(a);
		return RK_OK;
	}
	if (r == RK_OK || is_new) {
		book_key(key, BOOK_WAITING_KX, kx->device_id.data, 0);
		r = env_put(txn, C_OBJECT, BYTES_OF(key), wire, ENV_PUT);
	}
	if (r == RK_OK && is_new)
		r = meta_put_u64(txn, META_WAITING_KX, waiting + 1);
	arena_free(a);
	return r;
}

int book_waiting_kx(struct txn *txn, const uint8_t device_id[16], struct arena *a, struct bytes *wire)
{
	uint64_t waiting = meta_u64(txn, META_WAITING_KX);
	uint8_t key[BOOK_KEY_BYTES];
	struct object o;
	int r = read_kx(txn, device_id, a, &o);

	if (r != RK_OK)
		return r;
	*wire = o.wire;
	book_key(key, BOOK_WAITING_KX, device_id, 0);
	if ((r = env_del(txn, C_OBJECT, BYTES_OF(key))) == RK_OK && waiting > 0)
		r = meta_put_u64(txn, META_WAITING_KX, waiting - 1);
	return r;
}
