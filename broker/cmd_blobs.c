/*
 * The files of attachments, for check and backup.  Both may run beside a broker that goes on, so each row is read anew when it is looked at: one
 * that was dropped meanwhile has no file and needs none.
 */
#include "broker/cmd_blobs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/cmd.h"
#include "broker/rows.h"
#include "proto/errcode.h"
#include "proto/ids.h"
#include "store/blob.h"

/* The first row at or after `at` (and behind it if not the first): its hash to `at`.  RK_ENOTFOUND at the end. */
static int next_row(struct env *env, uint8_t at[32], bool is_first, struct rows_blob *row)
{
	struct env_cursor *c = NULL;
	struct bytes key, value;
	struct txn *t;
	int r = env_begin(env, false, &t);

	if (r != RK_OK)
		return r;
	r = env_cursor_open(t, T_BLOB, &c);
	if (r == RK_OK)
		r = env_cursor_seek(c, bytes_make(at, 32), &key, &value);
	if (r == RK_OK && !is_first && bytes_equal(key, bytes_make(at, 32)))
		r = env_cursor_next(c, &key, &value);
	if (r == RK_OK && (key.len != 32 || !rows_read_blob(value, row)))
		r = RK_ESTORE;
	if (r == RK_OK)
		memcpy(at, key.data, 32);
	env_cursor_free(c);
	env_abort(t);
	return r;
}

/* Has a complete one of this name still a row? */
static bool is_wanted(struct env *env, const uint8_t sha256[32])
{
	struct rows_blob row;
	struct txn *t;
	int r;

	if (env_begin(env, false, &t) != RK_OK)
		return true;
	r = rows_get_blob(t, sha256, &row);
	env_abort(t);
	return r != RK_ENOTFOUND && (r != RK_OK || row.state != BLOB_DROPPED);
}

static bool has_file(const struct rows_blob *row)
{
	return row->state == BLOB_COMPLETE || row->state == BLOB_ATTACHED;
}

static int open_folder(const char *data, bool create, struct blob_folder **out)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/" CMD_BLOBS_NAME, data) >= (int)sizeof(path))
		return RK_EIO;
	return blob_folder_open(path, create, out);
}

static void complain(uint64_t *wrong, const uint8_t sha256[32], const char *what)
{
	char hex[65];

	ids_hex(hex, bytes_make(sha256, 32));
	if ((*wrong)++ < 20)
		fprintf(stderr, "renkeid: %s/%.2s/%s: %s\n", CMD_BLOBS_NAME, hex, hex, what);
}

static void check_one(struct env *env, struct blob_folder *folder, const uint8_t sha256[32], const struct rows_blob *row, bool with_hash,
                      struct cmd_blobs *out)
{
	uint64_t len = 0;
	int r = folder != NULL ? blob_length(folder, sha256, &len) : RK_ENOTFOUND;

	if (r == RK_OK && len != row->len)
		r = RK_EINTEGRITY;
	if (r == RK_OK && with_hash)
		r = blob_verify(folder, sha256, row->len);
	out->files++;
	out->bytes += row->len;
	if (r == RK_OK || !is_wanted(env, sha256))
		return;
	complain(&out->wrong, sha256, r == RK_ENOTFOUND ? "an attachment that is not there"
	                              : r == RK_EINTEGRITY ? "an attachment that is not what it was" : "an attachment that cannot be read");
}

int cmd_blobs_check(struct env *env, const char *data, bool with_hash, struct cmd_blobs *out)
{
	struct blob_folder *folder = NULL;
	uint8_t at[32] = {0};
	struct rows_blob row;
	int r = open_folder(data, false, &folder);

	*out = (struct cmd_blobs){0};
	if (r != RK_OK && r != RK_ENOTFOUND) /* none was ever sent: there may be no folder */
		return r;
	for (r = next_row(env, at, true, &row); r == RK_OK; r = next_row(env, at, false, &row)) {
		if (row.state == BLOB_OPEN)
			out->open++;
		else if (row.state != BLOB_DROPPED)
			check_one(env, folder, at, &row, with_hash, out);
	}
	blob_folder_close(folder);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

int cmd_blobs_copy(struct env *env, struct env *live, const char *from_data, const char *to_data, struct cmd_blobs *out)
{
	struct blob_folder *from = NULL, *to = NULL;
	uint8_t at[32] = {0};
	struct rows_blob row;
	bool is_first = true;
	int r;

	*out = (struct cmd_blobs){0};
	while ((r = next_row(env, at, is_first, &row)) == RK_OK) {
		is_first = false;
		if (!has_file(&row))
			continue;
		if (from == NULL && ((r = open_folder(from_data, false, &from)) != RK_OK || (r = open_folder(to_data, true, &to)) != RK_OK))
			break;
		if ((r = blob_copy(from, to, at)) == RK_OK) {
			out->files++;
			out->bytes += row.len;
			continue;
		}
		if (r != RK_ENOTFOUND && r != RK_EINTEGRITY)
			break;
		if (is_wanted(live, at))
			complain(&out->wrong, at, r == RK_ENOTFOUND ? "an attachment that is not there" : "an attachment that is not what it was");
	}
	blob_folder_close(from);
	blob_folder_close(to);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

int cmd_blobs_need(struct env *env, const char *from_data, const char *to_folder, uint64_t *bytes)
{
	char path[PATH_MAX];
	uint8_t at[32] = {0};
	struct rows_blob row;
	struct stat a, b;
	int r;

	*bytes = 0;
	if (snprintf(path, sizeof(path), "%s/" CMD_BLOBS_NAME, from_data) >= (int)sizeof(path))
		return RK_EIO;
	if (stat(path, &a) != 0)
		return errno == ENOENT ? RK_OK : RK_EIO;
	if (stat(to_folder, &b) == 0 && a.st_dev == b.st_dev)
		return RK_OK; /* another name for the same file */
	for (r = next_row(env, at, true, &row); r == RK_OK; r = next_row(env, at, false, &row))
		*bytes += has_file(&row) ? row.len : 0;
	return r == RK_ENOTFOUND ? RK_OK : r;
}
