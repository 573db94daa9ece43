/*
 * The witness.  What is to be signed is made durable before it is signed, and never steps back: so a crash at any point, or a broker that
 * shows another tree afterwards, finds the decision written down, and no second tree of one size ever gets the signature.
 */
#include "client/log_internal.h"

#include "proto/strict.h"

static int load_witnessed(struct txn *t, struct arena *a, Rkl__LogWitnessed **out)
{
	return record_get(t, C_META, bytes_str(META_LOG_WITNESSED), &rkl__log_witnessed__descriptor, a, (ProtobufCMessage **)out);
}

/* The last one is on its way, or was taken less than a day ago and has not come back to us yet. */
static bool is_under_way(struct client *c, struct txn *t, const Rkl__LogWitnessed *w, unsigned number)
{
	struct outcome outcome;
	int r;

	if (w->origin != number || w->item == 0)
		return false;
	r = outbox_outcome(t, w->item, &outcome);
	return r == RK_BUSY || (r == RK_OK && outcome.code == RK_OK && client_now(c) - w->at < LOG_COSIGN_AFTER_MS);
}

bool log_is_cosign_due(struct client *c, struct txn *t)
{
	struct arena *a = arena_new(LOG_ARENA);
	struct log_head newest, cosigned;
	Rkl__LogWitnessed *w;
	struct log_keys k;
	bool due = false;

	if (a == NULL || !keys_exists(c, KEY_WITNESS) || log_keys(c, t, &k) != RK_OK || log_check_send(c, t) != RK_OK)
		goto out;
	if (log_newest(c, t, a, &newest) != RK_OK)
		goto out;
	if (load_witnessed(t, a, &w) == RK_OK && is_under_way(c, t, w, k.number))
		goto out;
	due = log_cosigned(c, t, a, &cosigned) != RK_OK || client_now(c) - cosigned.witness_ms >= LOG_COSIGN_AFTER_MS;
out:
	arena_free(a);
	return due;
}

/* Both are heads of one chain, each proven consistent with the one before it (log_internal.h): only size and root remain to be compared. */
static bool contradicts(const Rkl__LogWitnessed *w, const struct log_keys *k, const struct checkpoint *cp)
{
	if (w->origin != k->number)
		return w->origin > k->number;
	if (w->size != cp->size)
		return w->size > cp->size;
	return !bytes_equal(bytes_of(w->root), BYTES_OF(cp->root));
}

static int decide(struct client *c, struct txn *t, struct arena *a, struct log_keys *k, struct log_head *head)
{
	Rkl__LogWitnessed fresh = RKL__LOG_WITNESSED__INIT, *w;
	int r;

	if (!log_is_cosign_due(c, t))
		return RK_ENOTFOUND;
	if ((r = log_follow(c, t, k)) != RK_OK || (r = log_newest(c, t, a, head)) != RK_OK)
		return r;
	r = load_witnessed(t, a, &w);
	if (r == RK_OK && contradicts(w, k, &head->checkpoint))
		return RK_EFORKED;
	if (r != RK_OK && r != RK_ENOTFOUND)
		return r;
	fresh.origin = k->number;
	fresh.size = head->checkpoint.size;
	fresh.root = pb_of(BYTES_OF(head->checkpoint.root));
	fresh.at = client_now(c);
	return record_put(t, C_META, bytes_str(META_LOG_WITNESSED), &fresh.base);
}

int log_witness_commit(struct client *c, struct arena *a, struct log_keys *k, struct log_head *head)
{
	struct txn *t;
	uint8_t *note;
	int r;

	if ((r = env_begin(client_env(c), true, &t)) != RK_OK)
		return r;
	if ((r = decide(c, t, a, k, head)) != RK_OK) {
		env_abort(t);
		return r;
	}
	arena_raise(a, head->note.len + 64);
	if ((note = arena_copy(a, head->note.data, head->note.len)) == NULL) {
		env_abort(t);
		return RK_ENOMEM;
	}
	head->note = bytes_make(note, head->note.len);
	return env_commit(t);
}

static int queue(struct client *c, const struct note *note, uint64_t *item)
{
	const struct outbox_request request = {.op = RK__OP__OP_PUT_CHECKPOINT, .what = "checkpoint",
					       .object = bytes_make(note->text, note->len)};
	struct arena *a = arena_new(LOG_ARENA);
	Rkl__LogWitnessed *w;
	struct txn *t = NULL;
	int r;

	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(client_env(c), true, &t)) != RK_OK || (r = load_witnessed(t, a, &w)) != RK_OK)
		goto out;
	if ((r = outbox_add(c, t, &request, item)) != RK_OK)
		goto out;
	w->item = *item;
	if ((r = record_put(t, C_META, bytes_str(META_LOG_WITNESSED), &w->base)) != RK_OK)
		goto out;
	r = env_commit(t);
	t = NULL;
out:
	env_abort(t);
	arena_free(a);
	return r;
}

int log_cosign(struct client *c, bool *queued)
{
	struct arena *a = arena_new(LOG_ARENA);
	struct note bare, cosigned;
	struct log_head head;
	struct log_keys k;
	uint8_t pk[32];
	uint64_t item;
	struct txn *t;
	bool due;
	int r;

	*queued = false;
	if (a == NULL)
		return RK_ENOMEM;
	if ((r = env_begin(client_env(c), false, &t)) != RK_OK)
		goto out;
	due = log_is_cosign_due(c, t);
	r = due ? log_keys(c, t, &k) : RK_ENOTFOUND;
	env_abort(t);
	/* The key first: nothing is written down for a signature that cannot be made. */
	if (r != RK_OK || (r = keys_unlock(c, KEY_WITNESS)) != RK_OK)
		goto out;
	keys_sign_pk(c, KEY_WITNESS, pk);
	r = RK_NOT_PERMITTED;
	if (memcmp(pk, k.witness.pk, sizeof(pk)) != 0)
		goto out;
	if ((r = log_witness_commit(c, a, &k, &head)) != RK_OK)
		goto out;
	/* A witness line of an earlier day gives way to today's. */
	if ((r = note_keep(&bare, head.note, &k.log, NULL)) != RK_OK)
		goto out;
	r = note_cosign(&cosigned, bytes_make(bare.text, bare.len), &k.witness, keys_sign_sk(c, KEY_WITNESS), client_now(c) / 1000);
	if (r == RK_OK && (r = queue(c, &cosigned, &item)) == RK_OK)
		*queued = true;
out:
	arena_free(a);
	return r == RK_ENOTFOUND ? RK_OK : r;
}
