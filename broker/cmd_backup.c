/*
 * renkeid backup: a copy of the store, beside a broker that runs or not, in one snapshot.  A copy is a long reader, so this is a process of
 * its own, and it does not begin without room for all of it.  Attachments are copied before the store and again after it, so that none that
 * the copy names is missed because it was dropped meanwhile.  Only what was read again from its first record to its last gets a
 * MANIFEST; a folder without one is no backup.  The two secret keys stay where they are unless they are asked for: a copy of the
 * store opens nothing and speaks for nobody, the keys do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "broker/cmd.h"
#include "broker/cmd_blobs.h"
#include "broker/secrets.h"
#include "broker/sequence.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "store/tables.h"

#define SPARE_BYTES ((uint64_t)1 << 20) /* beside the store: small files, and what a file system takes for itself */
#define SMALL_FILE_MAX_BYTES 4096
#define MANIFEST_MAX_BYTES 1024
#define READ_BYTES 65536

static int is_empty(const char *folder, bool *empty)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	if (d == NULL)
		return RK_EIO;
	*empty = true;
	while ((e = readdir(d)) != NULL)
		*empty &= strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(d);
	return RK_OK;
}

static int check_output(const char *output, uint64_t used_bytes)
{
	struct statvfs disk;
	bool empty;

	if (is_empty(output, &empty) != RK_OK)
		return cmd_fail(RK_EIO, "%s cannot be read: %s", output, strerror(errno));
	if (!empty)
		return cmd_fail(RK_EEXISTS, "%s is not empty and was left as it is: name a new folder for each backup", output);
	if (statvfs(output, &disk) != 0)
		return cmd_fail(RK_EIO, "the disk of %s cannot be asked for its room: %s", output, strerror(errno));
	if ((uint64_t)disk.f_bavail * disk.f_frsize < used_bytes + SPARE_BYTES)
		return cmd_fail(RK_EDISKFULL, "the store takes %" PRIu64 " bytes, and the disk of %s has not that much room",
				used_bytes, output);
	return 0;
}

/* A new folder, or an empty one, with room for the whole store. */
static int prepare_output(const char *output, uint64_t used_bytes)
{
	bool is_new = mkdir(output, 0700) == 0;
	int code;

	if (!is_new && errno != EEXIST)
		return cmd_fail(RK_EIO, "%s cannot be made: %s", output, strerror(errno));
	code = check_output(output, used_bytes);
	if (code != 0 && is_new)
		(void)rmdir(output);
	return code;
}

/* ---- small files of the data folder, as they are */
static int read_small(const char *folder, const char *name, uint8_t data[SMALL_FILE_MAX_BYTES + 1], size_t *len)
{
	char path[PATH_MAX];
	FILE *f;
	int r = RK_OK;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return RK_EIO;
	if ((f = fopen(path, "re")) == NULL)
		return errno == ENOENT ? RK_ENOTFOUND : RK_EIO;
	setvbuf(f, NULL, _IONBF, 0); /* no key in a buffer that nobody wipes */
	*len = fread(data, 1, SMALL_FILE_MAX_BYTES + 1, f);
	if (ferror(f) || *len > SMALL_FILE_MAX_BYTES)
		r = RK_EIO;
	fclose(f);
	return r;
}

static int copy_small(const struct cmd_options *o, const char *name)
{
	uint8_t data[SMALL_FILE_MAX_BYTES + 1];
	size_t len = 0;
	int r = read_small(o->data, name, data, &len);

	if (r == RK_OK)
		r = secrets_write_file(o->output, name, data, (uint32_t)len, 0600);
	sodium_memzero(data, sizeof(data));
	return r == RK_OK ? 0 : cmd_fail_code(r, "%s/%s cannot be copied", o->data, name);
}

static int copy_small_files(const struct cmd_options *o)
{
	static const char *const names[] = {"card", "listen", "curve.key", "log.key"};
	size_t n = o->with_keys ? 4 : 2;
	int code = 0;

	for (size_t i = 0; i < n && code == 0; i++)
		code = copy_small(o, names[i]);
	return code;
}

/* ---- what proves the copy */
static int hash_file(const char *path, uint8_t sha256[32], uint64_t *bytes)
{
	crypto_hash_sha256_state state;
	uint8_t part[READ_BYTES];
	FILE *f = fopen(path, "re");
	size_t n;
	int r;

	if (f == NULL)
		return RK_EIO;
	crypto_hash_sha256_init(&state);
	*bytes = 0;
	while ((n = fread(part, 1, sizeof(part), f)) > 0) {
		crypto_hash_sha256_update(&state, part, n);
		*bytes += n;
	}
	crypto_hash_sha256_final(&state, sha256);
	r = ferror(f) ? RK_EIO : RK_OK;
	fclose(f);
	return r;
}

/* Reads the copy as `renkeid check` reads a store: from the file, not from what was in memory when it was written. */
static int walk_copy(const struct cmd_options *o, const struct config *config, struct cmd_walked *w)
{
	struct env *env = NULL;
	int code, r;

	if (!cmd_open_store(o->output, config, CMD_STORE_READ, &env, &code))
		return code;
	r = cmd_walk(env, w);
	env_close(env);
	if (r != RK_OK)
		return cmd_fail_code(r, "the copy in %s cannot be read", o->output);
	if (w->wrong != 0)
		return cmd_fail(RK_EINTEGRITY,
				"%" PRIu64 " records of the copy in %s are damaged, as they are in %s: it gets no MANIFEST",
				w->wrong, o->output, o->data);
	return 0;
}

static int write_manifest(const struct cmd_options *o, const struct cmd_walked *w, const struct cmd_blobs *blobs)
{
	char text[MANIFEST_MAX_BYTES], path[PATH_MAX], when[32], exchange[65], hex[65], root[65];
	time_t now = (time_t)(sequence_system_clock.wall_ms(NULL) / 1000);
	uint8_t sha256[32];
	uint64_t bytes;
	struct tm tm;
	int len, r = RK_EIO;

	if (snprintf(path, sizeof(path), "%s/store/data.mdb", o->output) < (int)sizeof(path))
		r = hash_file(path, sha256, &bytes);
	if (r != RK_OK)
		return cmd_fail_code(r, "the copy in %s cannot be read", o->output);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	ids_hex(exchange, BYTES_OF(w->exchange_id));
	ids_hex(hex, BYTES_OF(sha256));
	ids_hex(root, BYTES_OF(w->log_root));
	len = snprintf(text, sizeof(text),
		       "renkeid %s\nformat %d\ntime %s\nexchange %s\nlog_size %" PRIu64 "\nlog_root %s\nbytes %" PRIu64
		       "\nsha256 %s\nattachments %" PRIu64 " %" PRIu64 "\nkeys %s\n",
		       CMD_VERSION, STORE_FORMAT, when, exchange, w->log_size, root, bytes, hex, blobs->files, blobs->bytes,
		       o->with_keys ? "yes" : "no");
	if ((r = secrets_write_file(o->output, "MANIFEST", text, (uint32_t)len, 0600)) != RK_OK)
		return cmd_fail_code(r, "%s/MANIFEST cannot be written", o->output);
	fputs(text, stdout);
	if (!o->with_keys)
		fprintf(stderr,
			"The keys curve.key and log.key are not in it: keep a copy of them in another place, for without them the "
			"exchange cannot go on.\n");
	return errcode_exit(fflush(stdout) == 0 ? RK_OK : RK_EIO);
}

static int copy_store(const struct cmd_options *o, struct env *env)
{
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/store", o->output) >= (int)sizeof(path))
		return cmd_fail(RK_EUSAGE, "the path of the output folder is too long");
	if ((r = env_copy(env, path)) == RK_OK)
		return 0;
	(void)rmdir(path); /* what was copied in part is gone already */
	return cmd_fail_code(r, "the store in %s cannot be copied to %s", o->data, o->output);
}

/* A new folder with room for all. */
static int prepare(const struct cmd_options *o, struct env *env)
{
	struct env_status status;
	uint64_t attachments;
	int r = env_status(env, &status);

	if (r != RK_OK)
		return cmd_fail_code(r, "the store in %s cannot be read", o->data);
	if ((r = prepare_output(o->output, status.used_bytes)) != 0)
		return r;
	if ((r = cmd_blobs_need(env, o->data, o->output, &attachments)) != RK_OK)
		return cmd_fail_code(r, "the attachments in %s cannot be read", o->data);
	return attachments > 0 ? check_output(o->output, status.used_bytes + attachments) : 0;
}

/* Those that `named` names; `live` says which of them may be missing. */
static int copy_attachments(const struct cmd_options *o, struct env *named, struct env *live, struct cmd_blobs *blobs)
{
	int r = cmd_blobs_copy(named, live, o->data, o->output, blobs);

	if (r != RK_OK)
		return cmd_fail_code(r, "the attachments in %s cannot be copied to %s", o->data, o->output);
	if (blobs->wrong != 0)
		return cmd_fail(RK_EINTEGRITY, "%" PRIu64 " attachments in %s are damaged: `renkeid check` names them; the copy gets no MANIFEST",
				blobs->wrong, o->data);
	return 0;
}

static int copy_attachments_again(const struct cmd_options *o, const struct config *config, struct env *live, struct cmd_blobs *blobs)
{
	struct env *copy = NULL;
	int code;

	if (!cmd_open_store(o->output, config, CMD_STORE_READ, &copy, &code))
		return code;
	code = copy_attachments(o, copy, live, blobs);
	env_close(copy);
	return code;
}

int cmd_backup(const struct cmd_options *o)
{
	struct cmd_walked walked;
	struct cmd_blobs blobs = {0};
	struct config config;
	struct env *env = NULL;
	int code;

	cmd_harden();
	if (o->output == NULL)
		return cmd_fail(RK_EUSAGE, "--output DIR is missing: a new folder for the backup");
	config_defaults(&config);
	if (!cmd_take_up(o->data, &config, &code) || !cmd_open_store(o->data, &config, CMD_STORE_READ, &env, &code))
		return code;
	if ((code = prepare(o, env)) == 0 && (code = copy_attachments(o, env, env, &blobs)) == 0 && (code = copy_store(o, env)) == 0)
		code = copy_attachments_again(o, &config, env, &blobs);
	env_close(env);
	if (code == 0)
		code = copy_small_files(o);
	if (code == 0)
		code = walk_copy(o, &config, &walked);
	return code == 0 ? write_manifest(o, &walked, &blobs) : code;
}
