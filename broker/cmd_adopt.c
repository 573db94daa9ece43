#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "broker/cmd.h"
#include "broker/rows.h"
#include "broker/secrets.h"
#include "broker/sequence.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "proto/invite.h"
#include "proto/note.h"
#include "proto/object.h"
#include "proto/strict.h"

#define FILE_MAX_BYTES (1024 * 1024) /* one organisation, one device: a few KiB */

static int read_file(const char *path, struct arena *arena, struct bytes *out)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;
	uint8_t *data;
	int code = 0;

	if (f == NULL)
		return cmd_fail(errno == ENOENT ? RK_ENOTFOUND : RK_EIO, "%s cannot be opened: %s", path,
				strerror(errno));
	data = arena_alloc(arena, FILE_MAX_BYTES + 1);
	if (data != NULL)
		n = fread(data, 1, FILE_MAX_BYTES + 1, f);
	if (data == NULL)
		code = cmd_fail_code(RK_ENOMEM, "%s", path);
	else if (ferror(f))
		code = cmd_fail(RK_EIO, "%s cannot be read: %s", path, strerror(errno));
	else if (n > FILE_MAX_BYTES)
		code = cmd_fail(RK_TOO_LARGE, "%s is too large for a charter file", path);
	fclose(f);
	*out = bytes_make(data, n);
	return code;
}

/* B and L of the Charter must be this broker's own: no other may speak for the exchange. */
static int check_own(const Rk__Charter *charter, const struct secrets *keys, const char *path)
{
	struct note_key log;
	const char *foreign;

	if (charter->curve_pk.len != 32 || note_key_parse(&log, charter->log_vkey) != RK_OK || log.type != NOTE_TYPE_LOG ||
	    note_origin_number(log.name, charter->exchange_id.data) == 0)
		return cmd_fail_code(RK_MALFORMED, "%s", path);
	foreign = secrets_foreign(keys, charter->curve_pk.data, log.pk);
	if (foreign != NULL)
		return cmd_fail(RK_CONFLICT,
				"%s was made for another broker: the key that it names is not that in %s.  Was another card used?", path,
				foreign);
	return 0;
}

static int parse(const char *path, struct arena *arena, Rk__CharterFile **file, struct object *charter)
{
	struct bytes in;
	int code = read_file(path, arena, &in), r;

	if (code != 0)
		return code;
	r = STRICT_PARSE(charter_file, in, arena, file);
	if (r == RK_OK && (*file)->charter == NULL)
		r = RK_MALFORMED;
	if (r == RK_OK)
		r = object_parse_signed(OBJECT_KIND_CHARTER, (*file)->charter, arena, charter);
	return r == RK_OK ? 0 : cmd_fail_code(r, "%s is not a charter file, or only a part of one", path);
}

/* A file with the charter alone is a later one of an exchange that is here; a whole one founds it. */
static bool is_next(const Rk__CharterFile *file)
{
	return !file->directory && !file->org_devices && !file->device_kx && !file->feed_epoch && !file->feed_key;
}

static int refuse(const struct cmd_options *o, bool next, int r)
{
	if (!next && r == RK_CONFLICT)
		return cmd_fail(
			r,
			"%s holds an exchange already; a broker serves one.  Use another folder for another exchange",
			o->data);
	if (next && r == RK_ENOTFOUND)
		return cmd_fail(RK_ENOTJOINED,
				"%s is a later charter, and %s holds no exchange: restore its store first, or adopt the "
				"first charter",
				o->file, o->data);
	if (next && r == RK_CONFLICT)
		return cmd_fail(r,
				"%s does not follow the charter in %s: the secretariat makes the next one with "
				"`renkei exchange renew`",
				o->file, o->data);
	return cmd_fail_code(r, "%s is refused", o->file);
}

/* Is this charter in the store, as the newest or as one before it? */
static bool holds(struct env *env, const struct object *charter)
{
	const Rk__Charter *c = (const Rk__Charter *)charter->message;
	struct bytes oh, wire;
	struct txn *txn;
	uint64_t serial;
	bool yes;

	if (env_begin(env, false, &txn) != RK_OK)
		return false;
	yes = apply_object(txn, RK__OBJECT_TYPE__OBJECT_CHARTER, bytes_make(NULL, 0), c->serial, &serial, &oh, &wire) == RK_OK &&
	      bytes_equal(wire, charter->wire);
	env_abort(txn);
	return yes;
}

/* The charters of a restored exchange come one by one: is the one that ends the read-only state still to come? */
static int still_read_only(struct env *env, bool *yes)
{
	struct rows_fork fork;
	struct txn *txn;
	int r = env_begin(env, false, &txn);

	if (r != RK_OK)
		return r;
	r = rows_get_fork(txn, &fork);
	env_abort(txn);
	*yes = r == RK_OK;
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int adopt(const struct cmd_options *o, const Rk__CharterFile *file, const struct object *object)
{
	const Rk__Charter *charter = (const Rk__Charter *)object->message;
	struct config config;
	struct env *env = NULL;
	struct note_key log;
	uint8_t generation[16];
	char fingerprint[IDS_ROOT_FINGERPRINT_CHARS];
	int64_t now_ms = sequence_system_clock.wall_ms(NULL);
	bool next = is_next(file), read_only = false, is_held;
	int code, r;

	config_defaults(&config);
	if (!cmd_open_store(o->data, &config, next ? CMD_STORE_WRITE : CMD_STORE_CREATE, &env, &code))
		return code;
	randombytes_buf(generation, sizeof(generation));
	r = next ? apply_adopt_next(env, file, generation, now_ms) : apply_adopt(env, file, generation, now_ms);
	is_held = r == RK_CONFLICT && holds(env, object);
	if (r == RK_OK)
		r = still_read_only(env, &read_only);
	env_close(env);
	if (is_held)
		return cmd_fail(r, "%s has this charter (number %" PRIu64 ") already: nothing is to be done, and nothing was changed", o->data,
				charter->serial);
	if (r == RK_OK)
		r = note_key_parse(&log, charter->log_vkey);
	if (r != RK_OK)
		return refuse(o, next, r);
	ids_root_fingerprint(fingerprint, charter->exchange_id.data);
	printf("exchange %s\nroot_fingerprint %s\ncharter %" PRIu64 "\nlog %s\n", charter->name, fingerprint, charter->serial,
	       log.name);
	fprintf(stderr, "Compare the fingerprint with the secretariat's.  ");
	if (read_only)
		fprintf(stderr, "This broker has signed a log that its store does not lead to, and stays read-only until a charter begins the log "
			"after that one: adopt the charters that came later, or a new one (`renkei exchange renew --new-log`).\n");
	else
		fprintf(stderr, "Next: `renkeid run --data %s`.\n", o->data);
	return errcode_exit(fflush(stdout) == 0 ? RK_OK : RK_EIO);
}

int cmd_adopt(const struct cmd_options *o)
{
	struct arena *arena = arena_new(2 * FILE_MAX_BYTES);
	struct object charter;
	Rk__CharterFile *file = NULL;
	const char *failed;
	struct secrets keys = {0};
	int lock = -1, code, r;

	cmd_harden();
	if (arena == NULL)
		return cmd_fail_code(RK_ENOMEM, "adopt");
	r = secrets_load(o->data, &keys, &failed);
	if (r == RK_ENOTFOUND)
		code = cmd_fail(r, "%s has no keys: run `renkeid init --data %s --listen tcp://ADDRESS:PORT` first",
				o->data, o->data);
	else if (r != RK_OK)
		code = cmd_fail_code(r, "%s/%s", o->data, failed);
	else if (cmd_lock(o->data, &lock, &code) && (code = parse(o->file, arena, &file, &charter)) == 0 &&
	         (code = check_own((const Rk__Charter *)charter.message, &keys, o->file)) == 0)
		code = adopt(o, file, &charter);
	secrets_wipe(&keys);
	arena_free(arena);
	if (lock >= 0)
		close(lock);
	return code;
}
