/* secretariat_ahead: signing for weeks to come, and what becomes of it. */
#include "client/secretariat_ahead.h"

#include "client/secretariat_internal.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define AHEAD_RETRY_MS ((int64_t)3600000)
#define AHEAD_COMING_MS ((int64_t)86400000)
#define META_AHEAD_TRIED "secretariat/ahead"  /* u64be: when the last one was put, ms */

static int drop_all(struct txn *txn)
{
	struct env_cursor *cur;
	struct bytes key, value;
	int rc = env_cursor_open(txn, C_AHEAD, &cur);
	if (rc != RK_OK)
		return rc;
	while ((rc = env_cursor_seek(cur, bytes_make(NULL, 0), &key, &value)) == RK_OK)
		if ((rc = env_cursor_del(cur)) != RK_OK)
			break;
	env_cursor_free(cur);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

/* ---- signing */

static int put_record(struct txn *txn, const Rk__Directory *m, struct bytes wire, const uint8_t oh[32])
{
	Rkl__AheadRecord record = RKL__AHEAD_RECORD__INIT;
	uint8_t key[8];
	put_u64be(key, m->serial);
	record.wire = pb_of(wire);
	record.oh = pb_of(bytes_make(oh, ID32_BYTES));
	record.prev_oh = m->prev_oh;
	record.serial = m->serial;
	record.issued_at = m->issued_at;
	record.expires_at = m->expires_at;
	return record_put(txn, C_AHEAD, BYTES_OF(key), &record.base);
}

/* Signs and keeps one; oh becomes its hash. */
static int sign_one(struct client *c, struct txn *txn, const Rk__Directory *m, uint8_t oh[32])
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct bytes wire;
	struct object o;
	int rc = a ? object_make(OBJECT_KIND_DIRECTORY, client_exchange_id(c), keys_sign_sk(c, KEY_SECRETARIAT), &m->base, a, &wire)
		   : RK_ENOMEM;
	if (rc == RK_OK)
		rc = object_parse(OBJECT_KIND_DIRECTORY, wire, a, &o);
	if (rc == RK_OK) {
		object_oh(oh, &o, client_exchange_id(c));
		rc = put_record(txn, m, wire, oh);
	}
	arena_free(a);
	return rc;
}

static int sign_until(struct client *c, struct txn *txn, int64_t until_ms, struct arena *a, unsigned *count)
{
	Rk__Directory *newest, m;
	Rk__Charter *charter;
	uint8_t oh[32], prev_oh[32];
	int rc = book_directory(c, txn, a, &newest, prev_oh);
	if (rc == RK_OK)
		rc = book_charter(c, txn, a, &charter);
	if (rc == RK_OK)
		rc = secretariat_fill_directory(c, txn, NULL, NULL, NULL, RK__ORG_STATUS__ORG_STATUS_NONE, a, &m);
	m.prev_oh = pb_of(BYTES_OF(prev_oh));
	for (int64_t at = rc == RK_OK ? newest->issued_at + AHEAD_STEP_MS : 0; rc == RK_OK && at < until_ms; at += AHEAD_STEP_MS) {
		/* The one before must still stand when this one comes: `at` is never in the past by more than what is due. */
		m.issued_at = at;
		m.expires_at = at + charter->directory_max_age_ms;
		if (charter->not_after <= at || !trust_secretariat_pk(charter, m.signer_id.data, at))
			return RK_CHARTER_EXPIRED;
		if ((rc = sign_one(c, txn, &m, oh)) != RK_OK)
			break;
		memcpy(prev_oh, oh, sizeof(prev_oh));
		m.serial++;
		(*count)++;
	}
	return rc;
}

int secretariat_ahead(struct client *c, int64_t until_ms, unsigned *count)
{
	struct txn *txn = NULL;
	*count = 0;
	if (until_ms <= client_now(c) || until_ms > client_now(c) + AHEAD_WEEKS_MAX * AHEAD_STEP_MS)
		return RK_EUSAGE;
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	int rc = a ? secretariat_unlock(c) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = env_begin(client_env(c), true, &txn);
	if (rc == RK_OK)
		rc = secretariat_must_be_answered(txn, META_DIRECTORY_ITEM);
	if (rc == RK_OK)
		rc = drop_all(txn);
	if (rc == RK_OK)
		rc = sign_until(c, txn, until_ms, a, count);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	arena_free(a);
	return rc;
}

/* ---- what is there */

static int first_record(struct txn *txn, struct env_cursor *cur, struct arena *a, Rkl__AheadRecord **out)
{
	struct bytes key, value;
	ProtobufCMessage *m;
	int rc = env_cursor_seek(cur, bytes_make(NULL, 0), &key, &value);
	if (rc == RK_OK) {
		arena_raise(a, 8 * value.len + 65536);
		rc = record_get(txn, C_AHEAD, key, &rkl__ahead_record__descriptor, a, &m);
		*out = (Rkl__AheadRecord *)m;
	}
	return rc;
}

int ahead_view(struct client *c, struct txn *txn, struct ahead_view *v)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct env_cursor *cur = NULL;
	struct bytes key, value;
	Rk__Directory *newest;
	uint8_t oh[32];
	int rc = a ? book_directory(c, txn, a, &newest, oh) : RK_ENOMEM;
	memset(v, 0, sizeof(*v));
	if (rc == RK_OK)
		rc = env_cursor_open(txn, C_AHEAD, &cur);
	for (int step = rc == RK_OK ? env_cursor_seek(cur, bytes_make(NULL, 0), &key, &value) : rc; step == RK_OK;
	     step = env_cursor_next(cur, &key, &value)) {
		Rkl__AheadRecord *r;
		arena_raise(a, 8 * value.len + 65536);
		if (!(r = rkl__ahead_record__unpack(arena_allocator(a), value.len, value.data)))
			return env_cursor_free(cur), arena_free(a), RK_ESTORE;
		if (r->serial <= newest->serial)
			continue;
		if (v->count == 0 && (r->serial != newest->serial + 1 || !bytes_equal(bytes_of(r->prev_oh), BYTES_OF(oh))))
			break;
		if (v->count++ == 0)
			v->next_at = r->issued_at;
		v->covers_until = r->expires_at;
	}
	env_cursor_free(cur);
	arena_free(a);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

/* ---- at its time */

enum turn { TURN_NONE, TURN_WAIT, TURN_PUT, TURN_TAKEN, TURN_VOID };

/* What the first record's turn is, as things stand. */
static enum turn turn_of(struct client *c, struct txn *txn, const Rkl__AheadRecord *r, const Rk__Directory *newest, const uint8_t oh[32])
{
	struct outcome outcome;
	if (r->serial == newest->serial && bytes_equal(bytes_of(r->oh), bytes_make(oh, ID32_BYTES)))
		return TURN_TAKEN;
	/* A home that was away finds more than one of them taken. */
	if (r->serial < newest->serial && r->item)
		return TURN_TAKEN;
	if (r->serial != newest->serial + 1 || !bytes_equal(bytes_of(r->prev_oh), bytes_make(oh, ID32_BYTES)) ||
	    r->expires_at <= client_now(c))
		return TURN_VOID;
	if (client_now(c) < r->issued_at || secretariat_must_be_answered(txn, META_DIRECTORY_ITEM) != RK_OK)
		return TURN_WAIT;
	if (r->item && outbox_outcome(txn, r->item, &outcome) == RK_OK) {
		if (outcome.code == RK_CONFLICT || outcome.code == RK_NOT_PERMITTED || outcome.code == RK_DIRECTORY_EXPIRED)
			return TURN_VOID;
		/* Taken: its entry follows. */
		if (client_now(c) - (outcome.code == RK_OK ? outcome.time_ms : (int64_t)meta_u64(txn, META_AHEAD_TRIED)) <
		    (outcome.code == RK_OK ? AHEAD_COMING_MS : AHEAD_RETRY_MS))
			return TURN_WAIT;
	}
	return TURN_PUT;
}

static int put_now(struct client *c, struct txn *txn, Rkl__AheadRecord *r, struct arena *a)
{
	uint8_t key[8];
	int rc = secretariat_queue_object(c, txn, OBJECT_KIND_DIRECTORY, bytes_of(r->wire), "directory", a, &r->item);
	put_u64be(key, r->serial);
	if (rc == RK_OK)
		rc = record_put(txn, C_AHEAD, BYTES_OF(key), &r->base);
	if (rc == RK_OK)
		rc = meta_put_u64(txn, META_DIRECTORY_ITEM, r->item);
	return rc == RK_OK ? meta_put_u64(txn, META_AHEAD_TRIED, (uint64_t)client_now(c)) : rc;
}

static int make_void(struct client *c, struct txn *txn)
{
	int rc = drop_all(txn);
	client_count(txn, AHEAD_ALERT);
	return rc == RK_OK ? inbox_add(txn, RKL__INBOX_KIND__INBOX_ALERT, bytes_make(NULL, 0), NULL, client_now(c), AHEAD_ALERT) : rc;
}

/* Looks at the first record and, with `act`, does what its turn is. */
static int take_turn(struct client *c, struct txn *txn, bool act, enum turn *turn)
{
	struct arena *a = arena_new(BIG_ARENA_BYTES);
	struct env_cursor *cur = NULL;
	Rkl__AheadRecord *r;
	Rk__Directory *newest;
	uint8_t oh[32], key[8];
	*turn = TURN_NONE;
	int rc = a ? env_cursor_open(txn, C_AHEAD, &cur) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = first_record(txn, cur, a, &r);
	env_cursor_free(cur);
	if (rc == RK_OK)
		rc = book_directory(c, txn, a, &newest, oh);
	if (rc == RK_OK) {
		*turn = turn_of(c, txn, r, newest, oh);
		put_u64be(key, r->serial);
	}
	if (rc == RK_OK && act)
		rc = *turn == TURN_PUT ? put_now(c, txn, r, a) : *turn == TURN_VOID ? make_void(c, txn)
		     : *turn == TURN_TAKEN ? env_del(txn, C_AHEAD, BYTES_OF(key)) : RK_OK;
	arena_free(a);
	return rc == RK_ENOTFOUND ? RK_OK : rc;
}

int ahead_tick(struct client *c, bool *queued)
{
	enum turn turn;
	*queued = false;
	/* One turn may lead to the next: those that were taken go first. */
	for (unsigned i = 0; i <= AHEAD_WEEKS_MAX; i++) {
		struct txn *txn;
		int rc = env_begin(client_env(c), false, &txn);
		if (rc != RK_OK)
			return rc;
		rc = take_turn(c, txn, false, &turn);
		env_abort(txn);
		if (rc != RK_OK || turn == TURN_NONE || turn == TURN_WAIT)
			return rc;
		if ((rc = env_begin(client_env(c), true, &txn)) != RK_OK)
			return rc;
		if ((rc = take_turn(c, txn, true, &turn)) != RK_OK) {
			env_abort(txn);
			return rc;
		}
		if ((rc = env_commit(txn)) != RK_OK)
			return rc;
		if (turn == TURN_PUT) {
			*queued = true;
			return RK_OK;
		}
	}
	return RK_OK;
}
