/* kx: when the next key is due, making it, offering it, and forgetting the old. */
#include "client/kx.h"

#include <sodium.h>

#include "proto/strict.h"
#include "proto/trust.h"

#define KX_RETRY_MS ((int64_t)3600000)     /* after a refusal */
#define KX_COMING_MS ((int64_t)86400000)   /* taken by the broker: its entry follows */
#define KX_SLACK_MS ((int64_t)86400000)
#define KX_ARENA (256 * 1024)

enum kx_due kx_due(const Rk__DeviceKx *published, bool has_secret, const Rk__Charter *charter, int64_t now_ms)
{
	if (published == NULL)
		return KX_FIRST;
	if (now_ms >= published->not_after)
		return KX_LATE;
	if (!has_secret)
		return KX_LOST;
	if (trust_may_step_over(charter, published->not_before))
		return KX_LOG;
	return now_ms >= published->not_before + TRUST_KX_RENEW_MS ? KX_AGE : KX_NOT_DUE;
}

bool kx_is_in_turn(const Rk__DeviceKx *before, const Rk__DeviceKx *next)
{
	return next->not_before + KX_SLACK_MS >= before->not_before + TRUST_KX_RENEW_MS && next->not_before < before->not_after;
}

/* What is known before anything is decided. */
struct standing {
	Rk__DeviceKx *published;             /* NULL: none */
	enum kx_due due;
	uint32_t base;                       /* no serial up to this one is free */
	struct keys_kx ring[KEYS_KX_MAX];
	size_t count;
};

static const struct keys_kx *find(const struct standing *s, uint32_t serial, const uint8_t *pk)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->ring[i].serial == serial && (pk == NULL || memcmp(s->ring[i].pk, pk, 32) == 0))
			return &s->ring[i];
	return NULL;
}

/* Is the one offered last still on its way to the book?  Else *taken: the broker has said that it stands. */
static bool is_under_way(struct client *c, struct txn *txn, uint32_t known, bool *taken)
{
	uint64_t item = meta_u64(txn, META_KX_ITEM), serial = meta_u64(txn, META_KX_SERIAL);
	struct outcome outcome;
	int r;

	*taken = false;
	if (item == 0 || serial <= known)
		return false;
	r = outbox_outcome(txn, item, &outcome);
	if (r == RK_BUSY)
		return true;
	if (r != RK_OK)
		return false;
	*taken = outcome.code == RK_OK;
	if (*taken)
		return client_now(c) - outcome.time_ms < KX_COMING_MS;
	return client_now(c) - (int64_t)meta_u64(txn, META_KX_TRIED) < KX_RETRY_MS;
}

/* A device that stands in no list may offer nothing; RK_ENOTFOUND: nothing is to be done now. */
static int look(struct client *c, struct txn *txn, struct arena *a, struct standing *s)
{
	Rk__Directory *directory;
	Rk__Charter *charter;
	Rk__Device *device;
	bool taken;
	int r;

	if ((r = book_device(c, txn, client_device_id(c), client_org_id(c), a, &device)) != RK_OK)
		return r;
	if (!trust_device_is_active(device, client_now(c)))
		return RK_ENOTFOUND;
	/* Under an expired directory the exchange takes no new keys: it is offered once that is signed anew. */
	if ((r = book_directory(c, txn, a, &directory, NULL)) != RK_OK || directory->expires_at <= client_now(c))
		return r != RK_OK ? r : RK_ENOTFOUND;
	if ((r = book_charter(c, txn, a, &charter)) != RK_OK)
		return r;
	if ((r = book_device_kx(c, txn, client_device_id(c), a, &s->published)) != RK_OK && r != RK_ENOTFOUND)
		return r;
	s->base = s->published != NULL ? s->published->serial : 0;
	if (is_under_way(c, txn, s->base, &taken))
		return RK_ENOTFOUND;
	if ((r = keys_kx_list(c, s->ring, KEYS_KX_MAX, &s->count)) != RK_OK)
		return r;
	s->due = kx_due(s->published, s->published != NULL && find(s, s->published->serial, s->published->kx_pk.data) != NULL, charter,
			client_now(c));
	if (taken)
		s->base = (uint32_t)meta_u64(txn, META_KX_SERIAL);
	return s->due == KX_NOT_DUE ? RK_ENOTFOUND : RK_OK;
}

/* The one that was made and never got out, unless it has grown old over it; else a new one. */
static int choose(struct client *c, const struct standing *s, struct keys_kx *key)
{
	const struct keys_kx *made = find(s, s->base + 1, NULL);

	if (made != NULL && client_now(c) < made->not_before + TRUST_KX_RENEW_MS) {
		*key = *made;
		return RK_OK;
	}
	key->serial = s->base + 1;
	/* Valid a little before now: the broker's clock and others' may be behind ours. */
	key->not_before = client_now(c) - ENVELOPE_CLOCK_MS;
	key->not_after = key->not_before + TRUST_KX_AGE_MS;
	return keys_kx_make(c, key);
}

static int sign(struct client *c, const struct keys_kx *key, struct arena *a, struct bytes *wire, uint8_t oh[32])
{
	Rk__DeviceKx m = RK__DEVICE_KX__INIT;
	struct object o;
	int r;

	m.version = 1;
	m.device_id = pb_of(bytes_make(client_device_id(c), ID16_BYTES));
	m.serial = key->serial;
	m.kx_pk = pb_of(BYTES_OF(key->pk));
	m.not_before = key->not_before;
	m.not_after = key->not_after;
	r = object_make(OBJECT_KIND_DEVICE_KX, client_exchange_id(c), keys_sign_sk(c, KEY_DEVICE), &m.base, a, wire);
	if (r == RK_OK)
		r = object_parse(OBJECT_KIND_DEVICE_KX, *wire, a, &o);
	if (r == RK_OK)
		object_oh(oh, &o, client_exchange_id(c));
	return r;
}

static int offer(struct client *c, struct txn *txn, const struct standing *s, struct arena *a)
{
	struct outbox_request request = {.op = RK__OP__OP_PUT_OBJECT, .what = "device kx",
					 .object_type = RK__OBJECT_TYPE__OBJECT_DEVICE_KX};
	struct keys_kx key = {0};
	uint8_t oh[32];
	uint64_t item;
	int r;

	if ((r = choose(c, s, &key)) != RK_OK || (r = sign(c, &key, a, &request.object, oh)) != RK_OK)
		return r;
	request.object_oh = oh;
	if ((r = outbox_add(c, txn, &request, &item)) != RK_OK || (r = meta_put_u64(txn, META_KX_ITEM, item)) != RK_OK ||
	    (r = meta_put_u64(txn, META_KX_SERIAL, key.serial)) != RK_OK ||
	    (r = meta_put_u64(txn, META_KX_TRIED, (uint64_t)client_now(c))) != RK_OK)
		return r;
	client_log(c, "kx: key %u is offered", key.serial);
	if (s->due != KX_LATE && s->due != KX_LOST)
		return RK_OK;
	client_count(txn, KX_ALERT);
	return inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, (struct bytes){0}, NULL, client_now(c), KX_ALERT);
}

static int decide(struct client *c, bool write, bool *queued)
{
	struct arena *a = arena_new(KX_ARENA);
	struct standing s = {0};
	struct txn *txn = NULL;
	int r = a != NULL ? env_begin(client_env(c), write, &txn) : RK_ENOMEM;

	if (r == RK_OK)
		r = look(c, txn, a, &s);
	*queued = r == RK_OK;
	if (r == RK_OK && write && (r = offer(c, txn, &s, a)) == RK_OK) {
		r = env_commit(txn);
		txn = NULL;
	}
	env_abort(txn);
	arena_free(a);
	return r == RK_ENOTFOUND || r == RK_UNKNOWN_RECIPIENT ? RK_OK : r;
}

int kx_tick(struct client *c, bool *queued)
{
	int r;

	*queued = false;
	if ((r = keys_unlock(c, KEY_DEVICE)) != RK_OK)
		return r;
	/* Nearly always nothing is due: no write transaction for that. */
	if ((r = decide(c, false, queued)) == RK_OK && *queued)
		r = decide(c, true, queued);
	if (r != RK_OK)
		*queued = false;
	return r;
}

int kx_forget(struct client *c)
{
	bool any;
	int r = keys_unlock(c, KEY_DEVICE);

	if (r == RK_OK)
		r = keys_kx_forget(c, client_now(c), &any);
	if (r == RK_OK && any)
		client_log(c, "kx: secrets of keys that are over are destroyed");
	return r;
}
