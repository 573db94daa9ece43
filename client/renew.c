/* renew: the charter held, bent at the few places that change. */
#include "client/renew.h"

#include "client/client_internal.h"
#include "proto/strict.h"
#include "proto/trust.h"

static int held_charter(struct client *c, struct arena *a, Rk__Charter **out)
{
	struct txn *txn = NULL;
	int r = env_begin(client_env(c), false, &txn);

	if (r == RK_OK)
		r = book_charter(c, txn, a, out);
	env_abort(txn);
	return r == RK_ENOTFOUND ? RK_ENOTJOINED : r;
}

static int unlock_root(struct client *c, const Rk__Charter *held)
{
	uint8_t pk[32];
	int r = keys_unlock(c, KEY_ROOT);

	if (r != RK_OK)
		return r;
	keys_sign_pk(c, KEY_ROOT, pk);
	return bytes_equal(BYTES_OF(pk), bytes_of(held->root_pk)) ? RK_OK : RK_NOT_PERMITTED;
}

/* What is over stays over. */
static void prolong(Rk__Charter *next, int64_t now)
{
	next->issued_at = now;
	next->not_after = now + TRUST_CHARTER_AGE_MS;
	for (size_t i = 0; i < next->n_secretariat_keys; i++)
		if (next->secretariat_keys[i]->not_after > now)
			next->secretariat_keys[i]->not_after = next->not_after;
}

/* The same key under the next name, after a checkpoint that it signed under this one. */
static int begin_log(Rk__Charter *next, struct bytes last_checkpoint, struct arena *a)
{
	struct note_opened last;
	char origin[NOTE_NAME_CHARS];
	struct note_key log;
	int r;

	if ((r = note_key_parse(&log, next->log_vkey)) != RK_OK || (r = note_open(last_checkpoint, &log, NULL, &last)) != RK_OK)
		return r;
	if (last_checkpoint.len > NOTE_MAX_BYTES)
		return RK_TOO_LARGE;
	arena_raise(a, NOTE_VKEY_CHARS + 64);
	if (!(next->log_vkey = arena_alloc(a, NOTE_VKEY_CHARS)))
		return RK_ENOMEM;
	note_origin(origin, next->exchange_id.data, note_origin_number(log.name, next->exchange_id.data) + 1);
	next->prev_checkpoint = pb_of(last_checkpoint);
	return note_vkey(next->log_vkey, origin, NOTE_TYPE_LOG, log.pk);
}

static int make_file(struct client *c, const Rk__Charter *next, struct arena *a, struct bytes *out)
{
	Rk__CharterFile file = RK__CHARTER_FILE__INIT;
	struct bytes wire;
	int r = object_make(OBJECT_KIND_CHARTER, next->exchange_id.data, keys_sign_sk(c, KEY_ROOT), &next->base, a, &wire);

	if (r == RK_OK)
		r = STRICT_PARSE(signed, wire, a, &file.charter);
	return r == RK_OK ? STRICT_PACK(&file, a, out) : r;
}

static int begin(struct client *c, struct arena *a, Rk__Charter **held, Rk__Charter **next)
{
	int r;

	if ((r = held_charter(c, a, held)) != RK_OK || (r = held_charter(c, a, next)) != RK_OK ||
	    (r = unlock_root(c, *held)) != RK_OK)
		return r;
	(*next)->serial++;
	(*next)->issued_at = client_now(c);
	return RK_OK;
}

static int finish(struct client *c, const Rk__Charter *held, const Rk__Charter *next, struct arena *a, struct renewal *out)
{
	struct note_key log;
	int r;

	/* What we would not believe ourselves never leaves the house. */
	if ((r = trust_check_charter(next)) != RK_OK || (r = trust_check_charter_next(next, held)) != RK_OK ||
	    (r = note_key_parse(&log, next->log_vkey)) != RK_OK)
		return r;
	memcpy(out->log_origin, log.name, sizeof(out->log_origin));
	out->charter = next;
	return make_file(c, next, a, &out->file);
}

int renew_charter(struct client *c, struct bytes last_checkpoint, struct arena *a, struct renewal *out)
{
	Rk__Charter *held, *next;
	int r = begin(c, a, &held, &next);

	if (r != RK_OK)
		return r;
	prolong(next, next->issued_at);
	if (last_checkpoint.len > 0 && (r = begin_log(next, last_checkpoint, a)) != RK_OK)
		return r;
	return finish(c, held, next, a, out);
}

int renew_with(struct client *c, int (*change)(Rk__Charter *, int64_t, struct arena *, void *), void *user, struct arena *a,
	       struct renewal *out)
{
	Rk__Charter *held, *next;
	int r = begin(c, a, &held, &next);

	if (r != RK_OK || (r = change(next, next->issued_at, a, user)) != RK_OK)
		return r;
	return finish(c, held, next, a, out);
}
