/* backup_internal: what a backup and a restore must agree on. */
#ifndef RENKEI_CLIENT_BACKUP_INTERNAL_H
#define RENKEI_CLIENT_BACKUP_INTERNAL_H

#include "client/backup.h"

#define BACKUP_PATH_MAX 4400
#define BACKUP_HEAD "renkei-backup"   /* the first member: a text */
#define BACKUP_HEAD_MAX_BYTES 4096
#define BACKUP_STORE "store/data.mdb"
#define BACKUP_BLOBS "blobs"
#define BACKUP_BLOB_SUFFIX ".age"

/* Key files, by role; the last one is no key of a role. */
#define BACKUP_KEYS (KEY_ROLE_COUNT + 1)
extern const char *const backup_keys[BACKUP_KEYS];

/** Is it the name of an attachment's file: hex digits, ".age"? */
bool backup_is_blob(const char *name);
/** errno as a code. */
int backup_io(void);

/* The first member. */
struct backup_head {
	int64_t created_at;
	uint8_t exchange_id[32], org_id[16], device_id[16];
	bool without_attachments;
};
size_t backup_head_write(char text[BACKUP_HEAD_MAX_BYTES], const struct backup_head *);
/** RK_MALFORMED; RK_ENEWER: of a later format. */
int backup_head_read(struct bytes text, struct backup_head *);

#endif
