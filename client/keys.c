/*
 * keys: the secret keys of a home, each in a file of its own (CRYPTO 2.13).
 *
 *   device.key     seed of D (32) || C secret (32) || HK (32), under the person's passphrase or none
 *   kx.key         packed rkl.KxFile under HK: kx secrets and the keys of stored dossiers.  Rewritten whole: destroying a key is
 *                  writing the file without it, which a store whose freed pages live on cannot do
 *   org.key …      seed (32), always under a passphrase
 *
 * Several processes of a home may change kx.key: each does so under kx.lock and reads the file again first.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "client/client_internal.h"
#include "proto/keyfile.h"
#include "proto/trust.h"

#define SEED_BYTES 32
#define DEVICE_SECRET_BYTES (SEED_BYTES + 32 + 32)
#define PASSPHRASE_TRIES 3
#define KX_LOCK_TRIES 1000 /* of 10 ms */
#define KX_FILE_MAX (KEYFILE_SECRET_MAX - 4096)

static const char *const key_files[KEY_ROLE_COUNT] = {
	[KEY_DEVICE] = "device.key", [KEY_ORG] = "org.key", [KEY_SECRETARIAT] = "secretariat.key",
	[KEY_ROOT] = "root.key", [KEY_WITNESS] = "witness.key",
	[KEY_ORG_NEXT] = "org-next.key", [KEY_SECRETARIAT_NEXT] = "secretariat-next.key",
};

struct keys {
	struct {
		uint8_t *sk; /* sodium_malloc, 64; NULL while locked */
		uint8_t pk[32];
	} sign[KEY_ROLE_COUNT];
	uint8_t *curve_sk;   /* sodium_malloc, 32 */
	uint8_t curve_pk[32];
	uint8_t *hk;         /* sodium_malloc, 32 */
	uint8_t *kx;         /* sodium_malloc: packed KxFile as last read */
	size_t kx_len;
	struct stat kx_stat; /* of the file it was read from */
};

void keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	for (unsigned i = 0; i < KEY_ROLE_COUNT; i++)
		sodium_free(k->sign[i].sk);
	sodium_free(k->curve_sk);
	sodium_free(k->hk);
	sodium_free(k->kx);
	free(k);
}

static struct keys *keys_of(struct client *c)
{
	if (c->keys == NULL)
		c->keys = calloc(1, sizeof(*c->keys));
	return c->keys;
}

static void key_path(char path[PATH_MAX + 64], const struct client *c, const char *name)
{
	snprintf(path, PATH_MAX + 64, "%s/%s", c->home, name);
}

/* ---- files */

static int io_error(void)
{
	return errno == ENOSPC || errno == EDQUOT ? RK_EDISKFULL : RK_EIO;
}

static int write_all(int fd, struct bytes b)
{
	while (b.len > 0) {
		ssize_t n = write(fd, b.data, b.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return io_error();
		b.data += n;
		b.len -= (size_t)n;
	}
	return RK_OK;
}

static int folder_sync(const struct client *c)
{
	int dir = open(c->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 || fsync(dir) != 0 ? io_error() : RK_OK;

	if (dir >= 0)
		close(dir);
	return r;
}

/* Temp file, fsync, rename, fsync of the folder: the file is wholly the old or wholly the new one, also after a power cut. */
static int file_replace(const struct client *c, const char *name, struct bytes content)
{
	char path[PATH_MAX + 64], temp[PATH_MAX + 96];
	int fd, r;

	key_path(path, c, name);
	snprintf(temp, sizeof(temp), "%s.%ld.tmp", path, (long)getpid());
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return io_error();
	r = write_all(fd, content);
	if (r == RK_OK && fsync(fd) != 0)
		r = io_error();
	if (close(fd) != 0 && r == RK_OK)
		r = io_error();
	if (r == RK_OK && rename(temp, path) != 0)
		r = io_error();
	if (r != RK_OK) {
		unlink(temp);
		return r;
	}
	return folder_sync(c);
}

/* *file is malloc'ed.  st may be NULL. */
static int file_read(const struct client *c, const char *name, uint8_t **file, size_t *len, struct stat *st_out)
{
	char path[PATH_MAX + 64];
	struct stat st;
	size_t got = 0;
	int fd, r = RK_EIO;

	*file = NULL;
	key_path(path, c, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? RK_ENOTFOUND : RK_EIO;
	if (fstat(fd, &st) != 0)
		goto out;
	r = RK_EKEYFILE;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > KEYFILE_SECRET_MAX + KEYFILE_OVERHEAD)
		goto out;
	*len = (size_t)st.st_size;
	r = RK_ENOMEM;
	if ((*file = malloc(*len)) == NULL)
		goto out;
	while (got < *len) {
		ssize_t n = read(fd, *file + got, *len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	r = got == *len ? RK_OK : RK_EIO;
	if (st_out != NULL)
		*st_out = st;
out:
	close(fd);
	if (r != RK_OK) {
		free(*file);
		*file = NULL;
	}
	return r;
}

bool keys_exists(struct client *c, enum key_role role)
{
	char path[PATH_MAX + 64];

	key_path(path, c, key_files[role]);
	return access(path, F_OK) == 0;
}

int keys_promote(struct client *c, enum key_role next, enum key_role role)
{
	char from[PATH_MAX + 64], to[PATH_MAX + 64];
	struct keys *k = keys_of(c);

	key_path(from, c, key_files[next]);
	key_path(to, c, key_files[role]);
	if (k == NULL)
		return RK_ENOMEM;
	if (rename(from, to) != 0)
		return errno == ENOENT ? RK_ENOTFOUND : io_error();
	sodium_free(k->sign[role].sk);
	k->sign[role] = k->sign[next];
	memset(&k->sign[next], 0, sizeof(k->sign[next]));
	return folder_sync(c);
}

/* ---- making */

static uint32_t cost_from_env(const char *name, uint32_t given, uint32_t fallback)
{
	const char *text = getenv(name);
	unsigned long v;
	char *end;

	if (given != 0)
		return given;
	if (text == NULL || text[0] < '0' || text[0] > '9')
		return fallback;
	v = strtoul(text, &end, 10);
	return *end == '\0' && v <= 4096 ? (uint32_t)v : fallback;
}

static int seal_file(struct client *c, enum key_role role, const struct key_new *how, struct bytes secret)
{
	struct keyfile_params params = keyfile_default;
	uint8_t *file = malloc(secret.len + KEYFILE_OVERHEAD);
	char *passphrase = NULL;
	struct bytes pass = {0};
	int r = RK_ENOMEM;

	if (file == NULL)
		return r;
	if (how->no_passphrase) {
		params = (struct keyfile_params){.kdf = KEYFILE_NONE};
		r = role == KEY_DEVICE ? RK_OK : RK_EUSAGE;
	} else {
		params.mem_mib = cost_from_env("RENKEI_KEY_MEMORY_MIB", how->mem_mib, params.mem_mib);
		params.ops = cost_from_env("RENKEI_KEY_OPS", how->ops, params.ops);
		r = c->passphrase == NULL ? RK_EPASSPHRASE : c->passphrase(c->user, role, true, false, &passphrase);
		if (r == RK_OK)
			pass = bytes_str(passphrase);
	}
	if (r == RK_OK)
		r = keyfile_seal(file, &params, pass, secret);
	if (r == RK_OK)
		r = file_replace(c, key_files[role], bytes_make(file, secret.len + KEYFILE_OVERHEAD));
	sodium_free(passphrase);
	free(file);
	return r;
}

static int sign_set(struct keys *k, enum key_role role, const uint8_t seed[SEED_BYTES])
{
	uint8_t *sk = sodium_malloc(crypto_sign_SECRETKEYBYTES);

	if (sk == NULL)
		return RK_ENOMEM;
	crypto_sign_seed_keypair(k->sign[role].pk, sk, seed);
	sodium_mprotect_readonly(sk);
	sodium_free(k->sign[role].sk);
	k->sign[role].sk = sk;
	return RK_OK;
}

static int device_set(struct keys *k, const uint8_t secret[DEVICE_SECRET_BYTES])
{
	int r = sign_set(k, KEY_DEVICE, secret);

	if (r != RK_OK)
		return r;
	sodium_free(k->curve_sk);
	sodium_free(k->hk);
	k->curve_sk = sodium_malloc(32);
	k->hk = sodium_malloc(32);
	if (k->curve_sk == NULL || k->hk == NULL)
		return RK_ENOMEM;
	memcpy(k->curve_sk, secret + SEED_BYTES, 32);
	memcpy(k->hk, secret + SEED_BYTES + 32, 32);
	if (crypto_scalarmult_base(k->curve_pk, k->curve_sk) != 0)
		return RK_EKEYFILE;
	return RK_OK;
}

static int kx_write(struct client *c, const Rkl__KxFile *f);

/* The first kx key of a new device. */
static int kx_create(struct client *c)
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

int keys_create(struct client *c, enum key_role role, const struct key_new *how)
{
	static const struct key_new defaults;
	struct keys *k = keys_of(c);
	size_t len = role == KEY_DEVICE ? DEVICE_SECRET_BYTES : SEED_BYTES;
	uint8_t *secret;
	int r;

	if (k == NULL)
		return RK_ENOMEM;
	if (keys_exists(c, role))
		return RK_EEXISTS;
	secret = sodium_malloc(len);
	if (secret == NULL)
		return RK_ENOMEM;
	randombytes_buf(secret, len);
	if (role == KEY_DEVICE) {
		/* kx.key first: a device.key then always has its kx.key beside it. */
		if ((r = device_set(k, secret)) == RK_OK)
			r = kx_create(c);
	} else {
		r = sign_set(k, role, secret);
	}
	if (r == RK_OK)
		r = seal_file(c, role, how != NULL ? how : &defaults, bytes_make(secret, len));
	if (r != RK_OK) {
		sodium_free(k->sign[role].sk);
		k->sign[role].sk = NULL;
	}
	sodium_free(secret);
	return r;
}

/* ---- opening */

static int open_file(struct client *c, enum key_role role, struct bytes file, uint8_t **secret, size_t *len)
{
	char *passphrase;
	int kdf = keyfile_kdf_of(file), r;

	if (kdf == KEYFILE_NONE)
		return role == KEY_DEVICE ? keyfile_open(file, (struct bytes){0}, secret, len) : RK_EKEYFILE;
	if (kdf != KEYFILE_ARGON2ID)
		return RK_EKEYFILE;
	if (c->passphrase == NULL)
		return RK_EPASSPHRASE;
	for (unsigned i = 0; i < PASSPHRASE_TRIES; i++) {
		passphrase = NULL;
		if ((r = c->passphrase(c->user, role, false, i > 0, &passphrase)) != RK_OK)
			return r;
		r = keyfile_open(file, bytes_str(passphrase), secret, len);
		sodium_free(passphrase);
		if (r != RK_EPASSPHRASE)
			return r;
	}
	return RK_EPASSPHRASE;
}

int keys_unlock(struct client *c, enum key_role role)
{
	struct keys *k = keys_of(c);
	uint8_t *file, *secret = NULL;
	size_t file_len = 0, len = 0;
	int r;

	if (k == NULL)
		return RK_ENOMEM;
	if (k->sign[role].sk != NULL)
		return RK_OK;
	if ((r = file_read(c, key_files[role], &file, &file_len, NULL)) != RK_OK)
		return r == RK_ENOTFOUND ? RK_ENOTJOINED : r;
	r = open_file(c, role, bytes_make(file, file_len), &secret, &len);
	free(file);
	if (r != RK_OK)
		return r;
	if (len != (role == KEY_DEVICE ? DEVICE_SECRET_BYTES : SEED_BYTES))
		r = RK_EKEYFILE;
	else
		r = role == KEY_DEVICE ? device_set(k, secret) : sign_set(k, role, secret);
	sodium_free(secret);
	return r;
}

const uint8_t *keys_sign_sk(struct client *c, enum key_role role)
{
	return c->keys->sign[role].sk;
}

void keys_sign_pk(struct client *c, enum key_role role, uint8_t pk[32])
{
	memcpy(pk, c->keys->sign[role].pk, 32);
}

const uint8_t *keys_curve_sk(struct client *c)
{
	return c->keys->curve_sk;
}

void keys_curve_pk(struct client *c, uint8_t pk[32])
{
	memcpy(pk, c->keys->curve_pk, 32);
}

const uint8_t *keys_home_key(struct client *c)
{
	return c->keys->hk;
}

/* ---- kx.key */

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
		r = file_replace(c, "kx.key", bytes_make(file, len + KEYFILE_OVERHEAD));
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
	char path[PATH_MAX + 64];
	struct stat st;
	uint8_t *file, *plain = NULL;
	size_t len = 0, plain_len = 0;
	int r;

	*out = NULL;
	if (k == NULL || k->hk == NULL)
		return RK_ENOTJOINED;
	key_path(path, c, "kx.key");
	if (stat(path, &st) != 0)
		return errno == ENOENT ? RK_ENOTJOINED : RK_EIO;
	if (k->kx == NULL || !same_file(&st, &k->kx_stat)) {
		if ((r = file_read(c, "kx.key", &file, &len, &st)) != RK_OK)
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

static int kx_lock(const struct client *c, int *fd)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int r = RK_ELOCKED;

	for (unsigned i = 0; i < KX_LOCK_TRIES && (r = env_lock_folder(c->home, "kx.lock", fd)) == RK_ELOCKED; i++)
		nanosleep(&pause, NULL);
	return r;
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
