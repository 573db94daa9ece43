/* key_change: the next key of a role beside the one in use. */
#include "client/key_change.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "client/client_internal.h"
#include "client/device.h"
#include "proto/ids.h"
#include "proto/note.h"
#include "proto/strict.h"
#include "proto/trust.h"

#define META_ORG_NEXT "key/org-next"                 /* public key of org-next.key */
#define META_SECRETARIAT_NEXT "key/secretariat-next" /* of secretariat-next.key */
#define META_OFFICER "key/secretariat"               /* of secretariat.key, where this home made it for a request */
#define ARENA_BYTES ((size_t)1024 * 1024)

static const struct {
	enum key_role next, role;
	const char *meta;
} changes[] = {
	{KEY_ORG_NEXT, KEY_ORG, META_ORG_NEXT},
	{KEY_SECRETARIAT_NEXT, KEY_SECRETARIAT, META_SECRETARIAT_NEXT},
};
#define CHANGES (sizeof(changes) / sizeof(changes[0]))

static bool known_pk(struct txn *t, const char *meta, uint8_t pk[32])
{
	struct bytes v;

	if (meta_get(t, meta, &v) != RK_OK || v.len != KEY_BYTES)
		return false;
	memcpy(pk, v.data, KEY_BYTES);
	return true;
}

static int forget(struct txn *t, const char *meta)
{
	int r = env_del(t, C_META, bytes_str(meta));

	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int remember(struct client *c, const char *meta, const uint8_t pk[32])
{
	struct txn *t = NULL;
	int r = env_begin(c->env, true, &t);

	if (r == RK_OK)
		r = meta_put(t, meta, bytes_make(pk, KEY_BYTES));
	if (r == RK_OK)
		return env_commit(t);
	env_abort(t);
	return r;
}

static int own_pk(struct client *c, uint8_t pk[32])
{
	struct txn *t = NULL;
	int r = env_begin(c->env, false, &t);

	if (r == RK_OK)
		r = book_org_key_at(c, t, client_org_id(c), 0, pk);
	env_abort(t);
	return r;
}

int key_change_unlock_org(struct client *c)
{
	uint8_t pk[32], own[32];
	unsigned changed;
	int r = key_change_settle(c, &changed);

	if (r != RK_OK || (r = keys_unlock(c, KEY_ORG)) != RK_OK)
		return r;
	keys_sign_pk(c, KEY_ORG, pk);
	if ((r = own_pk(c, own)) != RK_OK)
		return r;
	return memcmp(pk, own, sizeof(pk)) == 0 ? RK_OK : RK_NOT_PERMITTED;
}

/* Makes the file of a role or opens the one that a run before this one has made; its public key is remembered. */
static int make_key(struct client *c, enum key_role role, const char *meta, const struct key_new *how, uint8_t pk[32])
{
	int r = keys_exists(c, role) ? keys_unlock(c, role) : keys_create(c, role, how);

	if (r != RK_OK)
		return r;
	keys_sign_pk(c, role, pk);
	return remember(c, meta, pk);
}

int key_change_begin(struct client *c, bool lost, const struct key_new *how, char text[ORGKEY_TEXT_CHARS], uint8_t new_pk[32])
{
	Rk__OrgKey m = RK__ORG_KEY__INIT;
	struct arena *a;
	uint8_t pk[32];
	int r = own_pk(c, pk);

	if (r == RK_OK && !lost)
		r = keys_exists(c, KEY_ORG) ? key_change_unlock_org(c) : RK_ENOTJOINED;
	if (r != RK_OK || (r = make_key(c, KEY_ORG_NEXT, META_ORG_NEXT, how, new_pk)) != RK_OK)
		return r;
	if ((a = arena_new(ARENA_BYTES)) == NULL)
		return RK_ENOMEM;
	m.version = 1;
	m.org_id = pb_of(bytes_make(client_org_id(c), ID16_BYTES));
	m.old_pk = pb_of(BYTES_OF(pk));
	m.new_pk = pb_of(bytes_make(new_pk, KEY_BYTES));
	m.time = client_now(c);
	r = orgkey_request_make(&m, client_exchange_id(c), keys_sign_sk(c, KEY_ORG_NEXT), lost ? NULL : keys_sign_sk(c, KEY_ORG), a,
				text);
	arena_free(a);
	return r;
}

/* Was secretariat.key made here for a request that no charter has answered yet? */
static bool is_asked_for(struct client *c)
{
	struct txn *t = NULL;
	uint8_t pk[32];
	bool is = env_begin(c->env, false, &t) == RK_OK && known_pk(t, META_OFFICER, pk);

	env_abort(t);
	return is;
}

int key_change_officer(struct client *c, const struct key_new *how, uint8_t pk[32])
{
	unsigned changed;
	int r = key_change_settle(c, &changed);

	if (r != RK_OK)
		return r;
	if (!keys_exists(c, KEY_SECRETARIAT) || is_asked_for(c))
		return make_key(c, KEY_SECRETARIAT, META_OFFICER, how, pk);
	return make_key(c, KEY_SECRETARIAT_NEXT, META_SECRETARIAT_NEXT, how, pk);
}

/* ---- coming into force */

static const Rk__SecretariatKey *find_officer(const Rk__Charter *charter, const uint8_t pk[32])
{
	for (size_t i = 0; i < charter->n_secretariat_keys; i++)
		if (memcmp(charter->secretariat_keys[i]->pk.data, pk, KEY_BYTES) == 0)
			return charter->secretariat_keys[i];
	return NULL;
}

static bool is_in_force(struct client *c, struct txn *t, enum key_role role, const uint8_t pk[32], struct arena *a)
{
	Rk__Charter *charter;
	uint8_t own[32];

	if (role == KEY_ORG)
		return book_org_key_at(c, t, client_org_id(c), 0, own) == RK_OK && memcmp(own, pk, sizeof(own)) == 0;
	return book_charter(c, t, a, &charter) == RK_OK && find_officer(charter, pk);
}

/*
 * The file first, then the note of it: whatever happens between them, the next run finds the file moved and forgets the note.
 */
static int settle(struct client *c, size_t i)
{
	struct txn *t = NULL;
	int r = keys_promote(c, changes[i].next, changes[i].role);

	if ((r != RK_OK && r != RK_ENOTFOUND) || (r = env_begin(c->env, true, &t)) != RK_OK)
		return r;
	if ((r = forget(t, changes[i].meta)) == RK_OK && changes[i].role == KEY_SECRETARIAT)
		r = forget(t, META_OFFICER);
	if (r == RK_OK)
		return env_commit(t);
	env_abort(t);
	return r;
}

int key_change_settle(struct client *c, unsigned *changed)
{
	struct arena *a = arena_new(ARENA_BYTES);
	bool is_due[CHANGES] = {false};
	struct txn *t = NULL;
	uint8_t pk[32];
	int r = a ? env_begin(c->env, false, &t) : RK_ENOMEM;

	*changed = 0;
	for (size_t i = 0; r == RK_OK && i < CHANGES; i++)
		is_due[i] = known_pk(t, changes[i].meta, pk) && is_in_force(c, t, changes[i].role, pk, a);
	env_abort(t);
	arena_free(a);
	for (size_t i = 0; i < CHANGES && r == RK_OK; i++)
		if (is_due[i] && (r = settle(c, i)) == RK_OK)
			*changed |= 1u << changes[i].role;
	return r;
}

/* ---- the list that follows */

bool key_change_is_list_due(struct client *c, struct txn *t)
{
	struct arena *a = arena_new(ARENA_BYTES);
	uint8_t pk[32], oh[32];
	struct object o;
	struct bytes wire;
	uint64_t serial;
	bool is_due = false;

	if (a != NULL && keys_exists(c, KEY_ORG) && !device_list_is_on_its_way(t) &&
	    book_org_key_at(c, t, client_org_id(c), 0, pk) == RK_OK &&
	    book_newest(t, RK__OBJECT_TYPE__OBJECT_ORG_DEVICES, client_org_id(c), &serial, oh, &wire) == RK_OK &&
	    object_parse(OBJECT_KIND_ORG_DEVICES, wire, a, &o) == RK_OK)
		is_due = object_check(&o, client_exchange_id(c), pk) == RK_BAD_SIGNATURE;
	arena_free(a);
	return is_due;
}

/* The list as it is, under the key of now: whatever else changes a list is not answered yet, it would be the same serial. */
int key_change_queue_list(struct client *c, uint64_t *item)
{
	const struct device_change renew = {.kind = DEVICE_RENEW};
	uint8_t oh[32];
	int r = keys_unlock(c, KEY_DEVICE);

	return r == RK_OK ? device_change(c, &renew, oh, item) : r;
}

/* ---- for people */

/* When the file of a role was written; 0: there is none. */
static int64_t written_at(const struct client *c, const char *name)
{
	char path[PATH_MAX + 64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", c->home, name);
	return stat(path, &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000 : 0;
}

static void set_pk(struct key_facts *f, const uint8_t *pk, bool is_current)
{
	memcpy(f->pk, pk, KEY_BYTES);
	f->has_pk = true;
	f->is_current = is_current;
}

static void device_facts(struct client *c, struct txn *t, struct arena *a, struct key_facts *f)
{
	Rk__Device *d;
	Rk__DeviceKx *kx;

	if (book_device(c, t, client_device_id(c), client_org_id(c), a, &d) == RK_OK)
		set_pk(f, d->sign_pk.data, true);
	if (book_device_kx(c, t, client_device_id(c), a, &kx) == RK_OK)
		f->until = kx->not_after;
}

/* Which of the charter's keys a secretariat.key is, is known where this home made it for a request, and where there is but one. */
static void officer_facts(const Rk__Charter *charter, struct txn *t, const char *meta, struct key_facts *f)
{
	const Rk__SecretariatKey *k = NULL;
	uint8_t pk[32];

	if (known_pk(t, meta, pk)) {
		set_pk(f, pk, (k = find_officer(charter, pk)) != NULL);
	} else if (f->role == KEY_SECRETARIAT && charter->n_secretariat_keys == 1) {
		k = charter->secretariat_keys[0];
		set_pk(f, k->pk.data, true);
	}
	f->until = k ? k->not_after : 0;
}

static void fill_facts(struct client *c, struct txn *t, const Rk__Charter *charter, struct arena *a, struct key_facts *f)
{
	struct note_key witness;
	uint8_t pk[32];

	if (f->role == KEY_DEVICE)
		device_facts(c, t, a, f);
	else if (f->role == KEY_ORG && book_org_key_at(c, t, client_org_id(c), 0, pk) == RK_OK)
		set_pk(f, pk, true);
	else if (f->role == KEY_ORG_NEXT && known_pk(t, META_ORG_NEXT, pk))
		set_pk(f, pk, false);
	else if (charter && (f->role == KEY_SECRETARIAT || f->role == KEY_SECRETARIAT_NEXT))
		officer_facts(charter, t, f->role == KEY_SECRETARIAT ? META_OFFICER : META_SECRETARIAT_NEXT, f);
	else if (charter && f->role == KEY_ROOT)
		set_pk(f, charter->root_pk.data, true);
	else if (charter && f->role == KEY_WITNESS && note_key_parse(&witness, charter->witness_vkey) == RK_OK)
		set_pk(f, witness.pk, true);
	if (charter && f->until == 0 && (f->role == KEY_ROOT || f->role == KEY_WITNESS))
		f->until = charter->not_after;
}

int key_change_facts(struct client *c, struct txn *t, struct key_facts out[KEY_FACTS_MAX], size_t *count)
{
	static const struct {
		enum key_role role;
		const char *file;
	} files[] = {{KEY_DEVICE, "device.key"}, {KEY_ORG, "org.key"}, {KEY_ORG_NEXT, "org-next.key"},
		     {KEY_SECRETARIAT, "secretariat.key"}, {KEY_SECRETARIAT_NEXT, "secretariat-next.key"},
		     {KEY_WITNESS, "witness.key"}, {KEY_ROOT, "root.key"}};
	struct arena *a = arena_new(ARENA_BYTES);
	Rk__Charter *charter = NULL;

	*count = 0;
	if (a == NULL)
		return RK_ENOMEM;
	if (book_charter(c, t, a, &charter) != RK_OK)
		charter = NULL;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct key_facts *f = &out[*count];

		if (!keys_exists(c, files[i].role))
			continue;
		*f = (struct key_facts){.role = files[i].role, .made_at = written_at(c, files[i].file)};
		fill_facts(c, t, charter, a, f);
		(*count)++;
	}
	arena_free(a);
	return RK_OK;
}
