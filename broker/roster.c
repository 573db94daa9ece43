/*
 * Sorted arrays and one rwlock: an exchange has some thousands of devices, changes are rare, and a look-up is a binary
 * search. Devices and invites are found a second way, by CURVE key; that index holds ids, so there is one copy of each
 * row.
 */
#include "broker/roster.h"

#include <pthread.h>
#include <stdlib.h>

#include "proto/ids.h"

/* Fixed-size items in the order of their first `key_len` bytes. */
struct table {
	uint8_t *items;
	size_t item_len, key_len, count, room;
};

struct curve_item {
	uint8_t curve_pk[32];
	uint8_t id[16];
	uint8_t is_invite;
};

struct secretariat_item {
	uint8_t signer_id[16];
	uint8_t pk[32];
};

struct roster {
	pthread_rwlock_t lock;
	bool has_exchange;
	uint8_t exchange_id[32];
	struct note_key log, witness;
	struct table devices, orgs, invites, secretariat, curves;
};

static struct table table_of(size_t item_len, size_t key_len)
{
	return (struct table){NULL, item_len, key_len, 0, 0};
}

/* Index of the first item whose key is not below `key`. */
static size_t table_place(const struct table *t, const uint8_t *key)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(t->items + mid * t->item_len, key, t->key_len) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void *table_find(const struct table *t, const uint8_t *key)
{
	size_t i = table_place(t, key);

	if (i == t->count || memcmp(t->items + i * t->item_len, key, t->key_len) != 0)
		return NULL;
	return t->items + i * t->item_len;
}

/* Room for one more item, so that a put of two tables can fail before it changes either. */
static bool table_grow(struct table *t)
{
	size_t room = t->room ? t->room * 2 : 16;
	uint8_t *items;

	if (t->count < t->room)
		return true;
	if (!(items = reallocarray(t->items, room, t->item_len)))
		return false;
	t->items = items;
	t->room = room;
	return true;
}

/* After table_grow. */
static void table_put(struct table *t, const void *item)
{
	size_t i = table_place(t, item);
	uint8_t *at = t->items + i * t->item_len;

	if (i == t->count || memcmp(at, item, t->key_len) != 0) {
		memmove(at + t->item_len, at, (t->count - i) * t->item_len);
		t->count++;
	}
	memcpy(at, item, t->item_len);
}

static void table_drop(struct table *t, const uint8_t *key)
{
	uint8_t *at = table_find(t, key);

	if (!at)
		return;
	t->count--;
	memmove(at, at + t->item_len, (size_t)(t->items + t->count * t->item_len - at));
}

struct roster *roster_new(void)
{
	struct roster *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	if (pthread_rwlock_init(&r->lock, NULL) != 0) {
		free(r);
		return NULL;
	}
	r->devices = table_of(sizeof(struct roster_device), 16);
	r->orgs = table_of(sizeof(struct roster_org), 16);
	r->invites = table_of(sizeof(struct roster_invite), 16);
	r->secretariat = table_of(sizeof(struct secretariat_item), 16);
	r->curves = table_of(sizeof(struct curve_item), 32);
	return r;
}

void roster_free(struct roster *r)
{
	if (!r)
		return;
	pthread_rwlock_destroy(&r->lock);
	free(r->devices.items);
	free(r->orgs.items);
	free(r->invites.items);
	free(r->secretariat.items);
	free(r->curves.items);
	free(r);
}

void roster_set_exchange(struct roster *r, const uint8_t exchange_id[32])
{
	pthread_rwlock_wrlock(&r->lock);
	memcpy(r->exchange_id, exchange_id, 32);
	r->has_exchange = true;
	pthread_rwlock_unlock(&r->lock);
}

void roster_set_note_keys(struct roster *r, const struct note_key *log, const struct note_key *witness)
{
	pthread_rwlock_wrlock(&r->lock);
	r->log = *log;
	r->witness = *witness;
	pthread_rwlock_unlock(&r->lock);
}

void roster_note_keys(struct roster *r, struct note_key *log, struct note_key *witness)
{
	pthread_rwlock_rdlock(&r->lock);
	*log = r->log;
	*witness = r->witness;
	pthread_rwlock_unlock(&r->lock);
}

bool roster_exchange(struct roster *r, uint8_t exchange_id[32])
{
	bool has;

	pthread_rwlock_rdlock(&r->lock);
	has = r->has_exchange;
	if (has)
		memcpy(exchange_id, r->exchange_id, 32);
	pthread_rwlock_unlock(&r->lock);
	return has;
}

static bool put_one(struct roster *r, struct table *t, const void *item)
{
	bool ok;

	pthread_rwlock_wrlock(&r->lock);
	ok = table_grow(t);
	if (ok)
		table_put(t, item);
	pthread_rwlock_unlock(&r->lock);
	return ok;
}

/* An item and its CURVE key.  A key belongs to one owner for ever (T_KEY), so no entry of the index is ever taken over.
 */
static bool put_with_curve(struct roster *r, struct table *t, const void *item, const uint8_t *curve_pk,
			   const uint8_t *id, bool is_invite)
{
	struct curve_item c = {.is_invite = is_invite};
	bool ok;

	memcpy(c.curve_pk, curve_pk, 32);
	memcpy(c.id, id, 16);
	pthread_rwlock_wrlock(&r->lock);
	ok = table_grow(t) && table_grow(&r->curves);
	if (ok) {
		table_put(t, item);
		table_put(&r->curves, &c);
	}
	pthread_rwlock_unlock(&r->lock);
	return ok;
}

bool roster_put_device(struct roster *r, const struct roster_device *d)
{
	return put_with_curve(r, &r->devices, d, d->curve_pk, d->device_id, false);
}

void roster_drop_device(struct roster *r, const uint8_t device_id[16])
{
	const struct roster_device *d;

	pthread_rwlock_wrlock(&r->lock);
	if ((d = table_find(&r->devices, device_id))) {
		table_drop(&r->curves, d->curve_pk);
		table_drop(&r->devices, device_id);
	}
	pthread_rwlock_unlock(&r->lock);
}

bool roster_put_org(struct roster *r, const struct roster_org *o)
{
	return put_one(r, &r->orgs, o);
}

bool roster_put_invite(struct roster *r, const struct roster_invite *i)
{
	return put_with_curve(r, &r->invites, i, i->curve_pk, i->invite_id, true);
}

void roster_drop_invite(struct roster *r, const uint8_t invite_id[16])
{
	const struct roster_invite *i;

	pthread_rwlock_wrlock(&r->lock);
	if ((i = table_find(&r->invites, invite_id))) {
		table_drop(&r->curves, i->curve_pk);
		table_drop(&r->invites, invite_id);
	}
	pthread_rwlock_unlock(&r->lock);
}

bool roster_put_secretariat_key(struct roster *r, const uint8_t signer_id[16], const uint8_t pk[32])
{
	struct secretariat_item s;

	memcpy(s.signer_id, signer_id, 16);
	memcpy(s.pk, pk, 32);
	return put_one(r, &r->secretariat, &s);
}

static bool copy_out(struct roster *r, const struct table *t, const uint8_t *key, void *out)
{
	const void *item;

	pthread_rwlock_rdlock(&r->lock);
	if ((item = table_find(t, key)))
		memcpy(out, item, t->item_len);
	pthread_rwlock_unlock(&r->lock);
	return item != NULL;
}

bool roster_device(struct roster *r, const uint8_t device_id[16], struct roster_device *out)
{
	return copy_out(r, &r->devices, device_id, out);
}

bool roster_org(struct roster *r, const uint8_t org_id[16], struct roster_org *out)
{
	return copy_out(r, &r->orgs, org_id, out);
}

bool roster_secretariat_pk(struct roster *r, const uint8_t signer_id[16], uint8_t pk[32])
{
	struct secretariat_item s;

	if (!copy_out(r, &r->secretariat, signer_id, &s))
		return false;
	memcpy(pk, s.pk, 32);
	return true;
}

bool roster_invite_is_open(struct roster *r, const uint8_t invite_id[16], int64_t now_ms)
{
	struct roster_invite i;

	return copy_out(r, &r->invites, invite_id, &i) && now_ms < i.expires_at;
}

/* The lock is held. */
static bool may_shake_hands(const struct roster *r, const struct curve_item *c, int64_t now_ms)
{
	const struct roster_invite *i;
	const struct roster_device *d;

	if (c->is_invite)
		return (i = table_find(&r->invites, c->id)) && now_ms < i->expires_at;
	return (d = table_find(&r->devices, c->id)) && d->active;
}

bool roster_user_id(struct roster *r, const uint8_t curve_pk[32], int64_t now_ms, char out[ROSTER_USER_ID_CHARS])
{
	const struct curve_item *c;
	bool ok;

	pthread_rwlock_rdlock(&r->lock);
	c = table_find(&r->curves, curve_pk);
	ok = c && may_shake_hands(r, c, now_ms);
	if (ok) {
		memcpy(out, c->is_invite ? "inv:" : "dev:", 4);
		ids_hex(out + 4, bytes_make(c->id, 16));
	}
	pthread_rwlock_unlock(&r->lock);
	return ok;
}
