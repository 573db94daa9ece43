#include "tests/unit/store_kit.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/tables.h"

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

void store_kit_folder(char path[256])
{
	const char *base = getenv("TMPDIR");
	must(snprintf(path, 256, "%s/renkei-store-XXXXXX", base != NULL ? base : "/tmp") < 256, "TMPDIR");
	must(mkdtemp(path) != NULL, path);
}

void store_kit_remove(const char *path)
{
	DIR *d = opendir(path);
	if (d == NULL)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char file[512];
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		must(snprintf(file, sizeof(file), "%s/%s", path, e->d_name) < (int)sizeof(file), path);
		if (unlink(file) != 0)
			store_kit_remove(file);
	}
	closedir(d);
	(void)rmdir(path);
}

struct env_options store_kit_options(const char *folder, char path[256])
{
	must(snprintf(path, 256, "%s/store", folder) < 256, folder);
	return (struct env_options){.path = path, .tables = broker_tables, .table_count = BROKER_TABLE_COUNT,
	                            .map_bytes = STORE_KIT_MAP_BYTES, .format = STORE_FORMAT, .create = true};
}

static struct env *open_store(struct env_options *o, uint64_t map_bytes)
{
	struct env *env;
	if (map_bytes != 0)
		o->map_bytes = map_bytes;
	must(sodium_init() >= 0, "sodium");
	int r = env_open(o, &env);
	if (r != RK_OK)
		fprintf(stderr, "env_open: code %d\n", r);
	must(r == RK_OK, o->path);
	return env;
}

struct env *store_kit_open(const char *folder, uint64_t map_bytes)
{
	char path[256];
	struct env_options o = store_kit_options(folder, path);

	return open_store(&o, map_bytes);
}

struct env *store_kit_open_writer(const char *folder, uint64_t map_bytes, uint64_t journal_bytes)
{
	char path[256];
	struct env_options o = store_kit_options(folder, path);

	o.is_writer = true;
	o.journal_bytes = journal_bytes;
	return open_store(&o, map_bytes);
}

uint64_t store_kit_file_bytes(const char *folder)
{
	char file[300];
	struct stat st;
	snprintf(file, sizeof(file), "%s/store/data.mdb", folder);
	must(stat(file, &st) == 0, file);
	return (uint64_t)st.st_size;
}

/* Everything of a store folded into one hash, with lengths so that nothing can shift. */
static int hash_row(void *user, unsigned table, struct bytes key, struct bytes value)
{
	uint64_t lens[3] = {table, key.len, value.len};
	crypto_generichash_update(user, (const uint8_t *)lens, sizeof(lens));
	crypto_generichash_update(user, key.data, key.len);
	crypto_generichash_update(user, value.data, value.len);
	return 0;
}

static void hash_store(struct env *env, uint8_t out[32])
{
	crypto_generichash_state h;
	crypto_generichash_init(&h, NULL, 0, 32);
	must(env_walk(env, hash_row, &h) == RK_OK, "env_walk");
	crypto_generichash_final(&h, out, 32);
}

bool store_kit_equal(struct env *a, struct env *b)
{
	uint8_t ha[32], hb[32];
	hash_store(a, ha);
	hash_store(b, hb);
	return memcmp(ha, hb, 32) == 0;
}
