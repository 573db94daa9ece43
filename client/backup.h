/*
 * backup: a whole home as one file under a recovery code (archive.h): the store as it was at one instant, key files as they are (each
 * still under its own passphrase), attachments.  And back, into a place where there is no home.
 * What was being sent when a backup was made may have been sent since: a restored home is a new writer (FIELDS "Numbers"), and sends
 * nothing of what waited then by itself.
 */
#ifndef RENKEI_CLIENT_BACKUP_H
#define RENKEI_CLIENT_BACKUP_H

#include "client/archive.h"
#include "client/client.h"

#define BACKUP_FORMAT 1
#define BACKUP_MAX_AGE_MS ((int64_t)30 * 86400000)

struct backup_options {
	const char *file;              /* must not exist */
	const char *code;              /* recovery.h */
	bool without_attachments;
	archive_step *step;            /* of the bytes in backup_result.expected; may be NULL */
	void *user;
};

/* What a backup holds; of a restore, what its first member says. */
struct backup_result {
	int64_t created_at;
	uint64_t expected, bytes;      /* of the archive, known before; of the file */
	unsigned members, attachments; /* attachments: of the members */
	bool has_key[KEY_ROLE_COUNT], without_attachments;
	char failed[4400];             /* what failed: a file's name, "" if none */
};

/**
 * Writes it: temporary name beside, fsync, rename without replacing.  RK_EEXISTS, RK_EIO (errno says), RK_EDISKFULL (also: known before
 * the first byte), RK_ELOCKED (another backup of this home runs), RK_TOO_LARGE, step's code.  *result is filled before step is called.
 */
int backup_write(struct client *, const struct backup_options *, struct backup_result *);

/* How this home stands. */
struct backup_state {
	int64_t made_at;               /* of the newest; 0: never */
	bool is_old;                   /* something was sent or arrived since, and BACKUP_MAX_AGE_MS passed; never: the same since we joined */
};
int backup_state_read(struct client *, struct txn *, struct arena *, struct backup_state *);

struct restore_options {
	const char *file, *home;       /* home: no folder, or an empty one */
	const char *code;
	archive_step *step;            /* of the bytes of result.expected, which for a restore is the length of the file */
	void *user;
};
/**
 * Unpacks into HOME.restoring, checks all of it, and only then makes it the home.  RK_EEXISTS: there is something already; RK_MALFORMED:
 * no backup; RK_EPASSPHRASE: the code is wrong; RK_EINTEGRITY: damaged or cut off; RK_ENEWER; RK_EIO, RK_EDISKFULL, RK_ELOCKED.
 */
int restore_home(const struct restore_options *, struct backup_result *);

#define META_BACKUP_AT "backup_at" /* u64be, ms: when the newest backup was made, or the one that this home comes from */
#define META_BACKUP_ID "backup_id" /* u64be: META_NEXT_ID at that time */

#endif
