/*
 * A later charter of the exchange that the store holds.  As at the first adoption no peer is involved, and the signature is verified here.
 * The log goes on, or, where the store was put back from a copy, the next one begins over the entries that the copy has: by the
 * new origin nobody takes the shorter tree for a second history of the old one.  A store that is marked read-only takes charters too, so
 * that one can follow the other; the mark goes with the first whose log was not signed yet.  CRYPTO 2.2, 2.10.
 */
#include "broker/apply_internal.h"

#include "proto/ids.h"
#include "proto/note.h"

/* The keys of a charter that may change, with what they are used for. */
#define CHANGEABLE_MAX 9 /* 8 of the secretariat, the witness */
struct changeable {
	size_t n;
	struct {
		uint8_t pk[32];
		enum rows_key_use use;
	} keys[CHANGEABLE_MAX];
};

static int parse(const Rk__CharterFile *file, struct arena *arena, struct object *o)
{
	if (!file->charter || file->directory || file->org_devices || file->device_kx || file->feed_epoch || file->feed_key)
		return RK_MALFORMED;
	arena_raise(arena, arena_budget(file->charter->payload.len));
	return object_parse_signed(OBJECT_KIND_CHARTER, file->charter, arena, o);
}

static int collect_changeable(const Rk__Charter *c, struct changeable *out)
{
	struct note_key witness;
	int rc = note_key_parse(&witness, c->witness_vkey);

	if (rc != RK_OK)
		return rc;
	out->n = 0;
	for (size_t i = 0; i < c->n_secretariat_keys && out->n + 1 < CHANGEABLE_MAX; i++) {
		memcpy(out->keys[out->n].pk, c->secretariat_keys[i]->pk.data, 32);
		out->keys[out->n++].use = KEY_SECRETARIAT;
	}
	memcpy(out->keys[out->n].pk, witness.pk, 32);
	out->keys[out->n++].use = KEY_NOTE;
	return RK_OK;
}

/* A key that is new to the charter is new to the exchange, or was its key for the same purpose before. */
static int check_changeable(struct apply *a, const struct changeable *c)
{
	for (size_t i = 0; i < c->n; i++) {
		enum rows_key_use use;
		int rc = rows_get_key(a->txn, c->keys[i].pk, &use);

		if (rc != RK_OK && rc != RK_ENOTFOUND)
			return rc;
		if (rc == RK_OK && use != c->keys[i].use)
			return RK_CONFLICT;
	}
	return RK_OK;
}

/* Of a charter that has been checked: the name of its log is all that can differ, the key's bytes are the same. */
static unsigned number_of(const Rk__Charter *next)
{
	struct note_key log;

	return note_key_parse(&log, next->log_vkey) == RK_OK ? note_origin_number(log.name, next->exchange_id.data) : 0;
}

static int check(struct apply *a, const struct object *o)
{
	const Rk__Charter *next = (const Rk__Charter *)o->message;
	int rc;

	if ((rc = trust_check_charter(next)) != RK_OK || (rc = trust_check_charter_next(next, a->charter)) != RK_OK ||
	    (rc = object_check(o, a->exchange_id, a->charter->root_pk.data)) != RK_OK)
		return rc;
	return a->now_ms < next->not_after ? RK_OK : RK_CHARTER_EXPIRED;
}

static int write_all(struct apply *a, const struct object *o, const struct changeable *keys, const uint8_t generation[16])
{
	static const uint8_t nobody[16];
	const Rk__Charter *next = (const Rk__Charter *)o->message;
	uint8_t oh[32];
	int rc;

	for (size_t i = 0; i < keys->n; i++)
		if ((rc = rows_put_key(apply_w(a), keys->keys[i].pk, keys->keys[i].use, nobody)) != RK_OK)
			return rc;
	object_oh(oh, o, a->exchange_id);
	rc = apply_trust_publish(a, OBJECT_KIND_CHARTER, NULL, next->serial, oh, o->wire, NULL);
	if (rc != RK_OK || number_of(next) == apply_log_number(a))
		return rc;
	if ((rc = rows_put_meta(apply_w(a), "generation", generation, 16)) != RK_OK)
		return rc;
	if (a->fork.log == 0 || number_of(next) <= a->fork.log)
		return RK_OK;
	return rows_del_fork(apply_w(a));
}

int apply_adopt_next(struct env *env, const Rk__CharterFile *file, const uint8_t generation[16], int64_t time_ms)
{
	struct arena *arena = arena_new(arena_budget(0));
	struct changeable keys;
	struct apply *a = NULL;
	struct object o;
	int rc;

	if (!arena)
		return RK_ENOMEM;
	if ((rc = parse(file, arena, &o)) != RK_OK || (rc = apply_open(env, NULL, NULL, &a)) != RK_OK)
		goto out;
	if (!a->has_exchange) {
		rc = RK_ENOTFOUND;
		goto out;
	}
	if ((rc = apply_begin(a, time_ms)) != RK_OK)
		goto out;
	if ((rc = check(a, &o)) != RK_OK || (rc = collect_changeable((const Rk__Charter *)o.message, &keys)) != RK_OK ||
	    (rc = check_changeable(a, &keys)) != RK_OK || (rc = write_all(a, &o, &keys, generation)) != RK_OK)
		goto out;
	rc = apply_commit(a);
out:
	apply_close(a);
	arena_free(arena);
	return rc;
}
