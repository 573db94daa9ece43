/*
 * keys_ring: what may be destroyed: kx secrets and the keys of stored dossiers, together in kx.key under HK.  It is rewritten whole.
 * Several processes of a home may change it: each does so under kx.lock and reads the file again first.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "client/keys_internal.h"
#include "proto/keyfile.h"
#include "proto/trust.h"

#define KX_LOCK_TRIES 1000 /* of 10 ms */
#define KX_FILE_MAX (KEYFILE_SECRET_MAX - 4096)

/* ---- the file */

static int kx_write(struct client *c, const Rkl__KxFile *f)
{
	static const struct keyfile_params raw = {.kdf = KEYFILE_RAW};
	struct keys *k = c->keys;
	size_t len = protobuf_c_message_get_packed_size(&f->base);
	uint8_t *plain, *file = NULL;
	int r = RK_ENOMEM;

	if (len > KX_FILE_MAX)
		return RK_QUOTA;
	plain = sodium_malloc(len + 1);
	file = malloc(len + KEYFILE_OVERHEAD);
	if (plain == NULL || file == NULL)
		goto out;
	protobuf_c_message_pack(&f->base, plain);
	r = keyfile_seal(file, &raw, bytes_make(k->hk, 32), bytes_make(plain, len));
	if (r == RK_OK)
		r = keys_file_replace(c, "kx.key", bytes_make(file, len + KEYFILE_OVERHEAD));
	/* The next lookup reads the file anew. */
	memset(&k->kx_stat, 0, sizeof(k->kx_stat));
out:
	sodium_free(plain);
	free(file);
	return r;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Reads kx.key if another process has replaced it since, and parses it into the arena, which holds secrets then. */
static int kx_load(struct client *c, struct arena *arena, Rkl__KxFile **out)
{
	struct keys *k = c->keys;
	char path[KEYS_PATH_MAX];
	struct stat st;
	uint8_t *file, *plain = NULL;
	size_t len = 0, plain_len = 0;
	int r;

	*out = NULL;
	if (k == NULL || k->hk == NULL)
		return RK_ENOTJOINED;
	keys_path(path, c, "kx.key");
	if (stat(path, &st) != 0)
		return errno == ENOENT ? RK_ENOTJOINED : RK_EIO;
	if (k->kx == NULL || !same_file(&st, &k->kx_stat)) {
		if ((r = keys_file_read(c, "kx.key", &file, &len, &st)) != RK_OK)
			return r;
		r = keyfile_open(bytes_make(file, len), bytes_make(k->hk, 32), &plain, &plain_len);
		free(file);
		if (r != RK_OK)
			return r;
		sodium_free(k->kx);
		k->kx = plain;
		k->kx_len = plain_len;
		k->kx_stat = st;
	}
	arena_raise(arena, 2 * arena_budget(k->kx_len));
	*out = rkl__kx_file__unpack(arena_allocator(arena), k->kx_len, k->kx);
	return *out == NULL ? RK_EKEYFILE : RK_OK;
}

static bool kx_find(struct client *c, uint32_t want, uint32_t *serial, uint8_t pk[32], uint8_t *sk)
{
	struct arena *arena = arena_new(0);
	Rkl__KxFile *f;
	const Rkl__KxKey *found = NULL;

	if (arena == NULL)
		return false;
	if (kx_load(c, arena, &f) == RK_OK)
		for (size_t i = 0; i < f->n_kx; i++)
			if (f->kx[i]->pk.len == 32 && f->kx[i]->sk.len == 32 &&
			    (want != 0 ? f->kx[i]->serial == want : found == NULL || f->kx[i]->serial > found->serial))
				found = f->kx[i];
	if (found != NULL) {
		*serial = found->serial;
		memcpy(pk, found->pk.data, 32);
		if (sk != NULL)
			memcpy(sk, found->sk.data, 32);
	}
	arena_free_wiped(arena);
	return found != NULL;
}

bool keys_kx_newest(struct client *c, uint32_t *serial, uint8_t pk[32])
{
	return kx_find(c, 0, serial, pk, NULL);
}

bool keys_kx(struct client *c, uint32_t serial, uint8_t pk[32], uint8_t sk[32])
{
	uint32_t found;

	return serial != 0 && kx_find(c, serial, &found, pk, sk);
}

/* The first kx key of a new device. */
int keys_ring_create(struct client *c)
{
	Rkl__KxFile file = RKL__KX_FILE__INIT;
	Rkl__KxKey key = RKL__KX_KEY__INIT, *keys[1] = {&key};
	uint8_t pk[32], sk[32];
	int r;

	crypto_box_keypair(pk, sk);
	key.serial = 1;
	key.pk = (ProtobufCBinaryData){32, pk};
	key.sk = (ProtobufCBinaryData){32, sk};
	key.not_before = client_now(c);
	key.not_after = key.not_before + TRUST_KX_AGE_MS;
	file.n_kx = 1;
	file.kx = keys;
	r = kx_write(c, &file);
	sodium_memzero(sk, sizeof(sk));
	return r;
}

static int kx_lock(const struct client *c, int *fd)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int r = RK_ELOCKED;

	for (unsigned i = 0; i < KX_LOCK_TRIES && (r = env_lock_folder(c->home, "kx.lock", fd)) == RK_ELOCKED; i++)
		nanosleep(&pause, NULL);
	return r;
}

int keys_kx_list(struct client *c, struct keys_kx *out, size_t max, size_t *count)
{
	struct arena *arena = arena_new(0);
	Rkl__KxFile *f;
	int r;

	*count = 0;
	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = kx_load(c, arena, &f)) != RK_OK)
		goto out;
	for (size_t i = 0; i < f->n_kx && *count < max; i++) {
		if (f->kx[i]->pk.len != 32)
			continue;
		out[*count] = (struct keys_kx){.serial = f->kx[i]->serial, .not_before = f->kx[i]->not_before,
					       .not_after = f->kx[i]->not_after};
		memcpy(out[(*count)++].pk, f->kx[i]->pk.data, 32);
	}
out:
	arena_free_wiped(arena);
	return r;
}

/* Drops what `is_gone` says, in place; true if anything was. */
static bool kx_drop(Rkl__KxFile *f, bool (*is_gone)(const Rkl__KxKey *, int64_t), int64_t limit)
{
	size_t n = 0;
	bool any;

	for (size_t i = 0; i < f->n_kx; i++)
		if (!is_gone(f->kx[i], limit))
			f->kx[n++] = f->kx[i];
	any = n < f->n_kx;
	f->n_kx = n;
	return any;
}

static bool is_from_serial(const Rkl__KxKey *k, int64_t serial)
{
	return (int64_t)k->serial >= serial;
}

static bool is_over(const Rkl__KxKey *k, int64_t now_ms)
{
	return k->not_before + TRUST_KX_KEPT_MS <= now_ms;
}

int keys_kx_make(struct client *c, struct keys_kx *out)
{
	Rkl__KxKey key = RKL__KX_KEY__INIT, **list;
	struct arena *arena = arena_new(0);
	Rkl__KxFile *f;
	uint8_t sk[32];
	int fd = -1, r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = kx_lock(c, &fd)) != RK_OK || (r = kx_load(c, arena, &f)) != RK_OK)
		goto out;
	kx_drop(f, is_from_serial, out->serial);
	arena_raise(arena, (f->n_kx + 2) * sizeof(*list));
	r = RK_ENOMEM;
	if ((list = arena_alloc(arena, (f->n_kx + 1) * sizeof(*list))) == NULL)
		goto out;
	if (f->n_kx > 0)
		memcpy(list, f->kx, f->n_kx * sizeof(*list));
	crypto_box_keypair(out->pk, sk);
	key.serial = out->serial;
	key.pk = (ProtobufCBinaryData){32, out->pk};
	key.sk = (ProtobufCBinaryData){32, sk};
	key.not_before = out->not_before;
	key.not_after = out->not_after;
	list[f->n_kx++] = &key;
	f->kx = list;
	r = kx_write(c, f);
	sodium_memzero(sk, sizeof(sk));
out:
	if (fd >= 0)
		close(fd);
	arena_free_wiped(arena);
	return r;
}

int keys_kx_forget(struct client *c, int64_t now_ms, bool *any)
{
	struct arena *arena = arena_new(0);
	Rkl__KxFile *f;
	int fd = -1, r;

	*any = false;
	if (arena == NULL)
		return RK_ENOMEM;
	/* Looked at without the lock first: nearly always nothing is to be done. */
	if ((r = kx_load(c, arena, &f)) != RK_OK || !kx_drop(f, is_over, now_ms))
		goto out;
	if ((r = kx_lock(c, &fd)) != RK_OK || (r = kx_load(c, arena, &f)) != RK_OK)
		goto out;
	*any = kx_drop(f, is_over, now_ms);
	r = *any ? kx_write(c, f) : RK_OK;
out:
	if (fd >= 0)
		close(fd);
	arena_free_wiped(arena);
	return r;
}

/* ---- dossier keys */

static Rkl__DossierKey *dossier_find(const Rkl__KxFile *f, const uint8_t env_id[32], size_t *at)
{
	for (size_t i = 0; i < f->n_dossiers; i++) {
		Rkl__DossierKey *d = f->dossiers[i];

		if (d->env_id.len == ID32_BYTES && d->key.len == 32 && memcmp(d->env_id.data, env_id, ID32_BYTES) == 0) {
			*at = i;
			return d;
		}
	}
	return NULL;
}

static int dossier_add(struct client *c, Rkl__KxFile *f, const uint8_t env_id[32], uint8_t key[32], struct arena *arena)
{
	Rkl__DossierKey fresh = RKL__DOSSIER_KEY__INIT, **list;
	int r;

	arena_raise(arena, (f->n_dossiers + 2) * sizeof(*list));
	if ((list = arena_alloc(arena, (f->n_dossiers + 1) * sizeof(*list))) == NULL)
		return RK_ENOMEM;
	if (f->n_dossiers > 0)
		memcpy(list, f->dossiers, f->n_dossiers * sizeof(*list));
	randombytes_buf(key, 32);
	fresh.env_id = (ProtobufCBinaryData){ID32_BYTES, (uint8_t *)(uintptr_t)env_id};
	fresh.key = (ProtobufCBinaryData){32, key};
	list[f->n_dossiers++] = &fresh;
	f->dossiers = list;
	if ((r = kx_write(c, f)) != RK_OK)
		sodium_memzero(key, 32);
	return r;
}

int keys_dossier(struct client *c, const uint8_t env_id[32], bool create, uint8_t key[32])
{
	struct arena *arena = arena_new(0);
	Rkl__DossierKey *d;
	Rkl__KxFile *f;
	size_t at;
	int fd = -1, r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = kx_load(c, arena, &f)) != RK_OK)
		goto out;
	d = dossier_find(f, env_id, &at);
	r = RK_ENOTFOUND;
	if (d == NULL && create) {
		if ((r = kx_lock(c, &fd)) != RK_OK || (r = kx_load(c, arena, &f)) != RK_OK)
			goto out;
		if ((d = dossier_find(f, env_id, &at)) == NULL)
			r = dossier_add(c, f, env_id, key, arena);
	}
	if (d != NULL) {
		memcpy(key, d->key.data, 32);
		r = RK_OK;
	}
out:
	if (fd >= 0)
		close(fd);
	arena_free_wiped(arena);
	return r;
}

int keys_dossier_destroy(struct client *c, const uint8_t env_id[32])
{
	struct arena *arena = arena_new(0);
	Rkl__KxFile *f;
	size_t at;
	int fd = -1, r;

	if (arena == NULL)
		return RK_ENOMEM;
	if ((r = kx_lock(c, &fd)) != RK_OK || (r = kx_load(c, arena, &f)) != RK_OK)
		goto out;
	r = RK_ENOTFOUND;
	if (dossier_find(f, env_id, &at) != NULL) {
		f->dossiers[at] = f->dossiers[--f->n_dossiers];
		r = kx_write(c, f);
	}
out:
	if (fd >= 0)
		close(fd);
	arena_free_wiped(arena);
	return r;
}
