/* officer: the one list that changes between two charters. */
#include "client/officer.h"

#include <stdlib.h>

#include "proto/ids.h"
#include "proto/strict.h"

#define OFFICERS_MAX 8
#define CHECK_BYTES 4

int officer_text(char out[OFFICER_TEXT_CHARS], const uint8_t pk[32])
{
	uint8_t b[KEY_BYTES + CHECK_BYTES], hash[32];

	ids_sha256(hash, bytes_make(pk, KEY_BYTES));
	memcpy(b, pk, KEY_BYTES);
	memcpy(b + KEY_BYTES, hash, CHECK_BYTES);
	return ids_text(out, OFFICER_TEXT_CHARS, OFFICER_TEXT_PREFIX, BYTES_OF(b));
}

int officer_parse(const char *text, uint8_t pk[32])
{
	uint8_t b[KEY_BYTES + CHECK_BYTES], hash[32];
	size_t len;

	if (ids_from_text(b, sizeof(b), &len, OFFICER_TEXT_PREFIX, text) != RK_OK || len != sizeof(b))
		return RK_MALFORMED;
	ids_sha256(hash, bytes_make(b, KEY_BYTES));
	if (memcmp(hash, b + KEY_BYTES, CHECK_BYTES) != 0 || !ids_is_valid_sign_pk(b))
		return RK_MALFORMED;
	memcpy(pk, b, KEY_BYTES);
	return RK_OK;
}

bool officer_is_in_force(const Rk__SecretariatKey *k, int64_t t_ms)
{
	return t_ms >= k->not_before && t_ms < k->not_after;
}

const Rk__SecretariatKey *officer_find(const Rk__Charter *charter, const char *label, int64_t t_ms)
{
	for (size_t i = 0; i < charter->n_secretariat_keys; i++)
		if (officer_is_in_force(charter->secretariat_keys[i], t_ms) && strcmp(charter->secretariat_keys[i]->label, label) == 0)
			return charter->secretariat_keys[i];
	return NULL;
}

/* What one charter does to the list of the one before. */
struct change {
	const uint8_t *pk; /* NULL: nobody comes */
	const char *label, *ends;
};

static int end_key(Rk__Charter *next, const char *label, int64_t now)
{
	Rk__SecretariatKey *k = (Rk__SecretariatKey *)(uintptr_t)officer_find(next, label, now);

	if (k == NULL)
		return RK_ENOTFOUND;
	/* A window is never empty. */
	k->not_after = now > k->not_before ? now : k->not_before + 1;
	return RK_OK;
}

/* Room for one more: of the keys that are over the one that ended first goes; older charters still name it. */
static int make_room(Rk__Charter *next, int64_t now)
{
	size_t oldest = OFFICERS_MAX, n = next->n_secretariat_keys;

	if (n < OFFICERS_MAX)
		return RK_OK;
	for (size_t i = 0; i < n; i++) {
		const Rk__SecretariatKey *k = next->secretariat_keys[i];

		if (k->not_after <= now && (oldest == OFFICERS_MAX || k->not_after < next->secretariat_keys[oldest]->not_after))
			oldest = i;
	}
	if (oldest == OFFICERS_MAX)
		return RK_QUOTA;
	memmove(&next->secretariat_keys[oldest], &next->secretariat_keys[oldest + 1],
		(n - oldest - 1) * sizeof(*next->secretariat_keys));
	next->n_secretariat_keys--;
	return RK_OK;
}

static int add_key(Rk__Charter *next, const uint8_t *pk, const char *label, int64_t now, struct arena *a)
{
	Rk__SecretariatKey **list, *fresh;
	int r;

	for (size_t i = 0; i < next->n_secretariat_keys; i++)
		if (memcmp(next->secretariat_keys[i]->pk.data, pk, KEY_BYTES) == 0)
			return RK_EEXISTS;
	if (officer_find(next, label, now))
		return RK_EEXISTS;
	if ((r = make_room(next, now)) != RK_OK)
		return r;
	arena_raise(a, (OFFICERS_MAX + 1) * sizeof(*list) + sizeof(*fresh) + 128);
	list = arena_alloc(a, (OFFICERS_MAX + 1) * sizeof(*list));
	fresh = arena_alloc(a, sizeof(*fresh));
	if (list == NULL || fresh == NULL)
		return RK_ENOMEM;
	rk__secretariat_key__init(fresh);
	fresh->pk = pb_of(bytes_make(pk, KEY_BYTES));
	fresh->label = pb_text(label);
	fresh->not_before = now;
	fresh->not_after = next->not_after;
	memcpy(list, next->secretariat_keys, next->n_secretariat_keys * sizeof(*list));
	list[next->n_secretariat_keys++] = fresh;
	next->secretariat_keys = list;
	return RK_OK;
}

static int apply_change(Rk__Charter *next, int64_t now, struct arena *a, void *user)
{
	const struct change *x = user;
	int r = x->ends ? end_key(next, x->ends, now) : RK_OK;

	if (r == RK_OK && x->pk)
		r = add_key(next, x->pk, x->label, now, a);
	if (r != RK_OK)
		return r;
	for (size_t i = 0; i < next->n_secretariat_keys; i++)
		if (next->secretariat_keys[i]->not_after > now)
			return RK_OK;
	return RK_CONFLICT;
}

int officer_add(struct client *c, const uint8_t pk[32], const char *label, const char *replaces, struct arena *a, struct renewal *out)
{
	struct change x = {.pk = pk, .label = label, .ends = replaces};

	return renew_with(c, apply_change, &x, a, out);
}

int officer_remove(struct client *c, const char *label, struct arena *a, struct renewal *out)
{
	struct change x = {.ends = label};

	return renew_with(c, apply_change, &x, a, out);
}
