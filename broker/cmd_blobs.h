/*
 * cmd_blobs: the files of attachments as check and backup see them: those of complete rows.  What is still being sent is nobody's concern but
 * its sender's.
 */
#ifndef RENKEI_BROKER_CMD_BLOBS_H
#define RENKEI_BROKER_CMD_BLOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/env.h"

struct cmd_blobs {
	uint64_t files, bytes;  /* of complete ones */
	uint64_t open;          /* rows of those that are being sent */
	uint64_t wrong;         /* files that are missing, short, or (where they were read) another than their name says */
};

/** Is each there, with the right length; with_hash: are its bytes right, which reads all of them.  Names what is wrong on stderr, the first 20.
 *  RK_OK also then; else why it could not be found out. */
int cmd_blobs_check(struct env *, const char *data, bool with_hash, struct cmd_blobs *);
/** Copies those that `env` names from one data folder to the other; links them where that is possible.  What is missing counts as wrong only if
 *  `live` still names it. */
int cmd_blobs_copy(struct env *env, struct env *live, const char *from_data, const char *to_data, struct cmd_blobs *);
/** Bytes that copying will take: none on one disk. */
int cmd_blobs_need(struct env *, const char *from_data, const char *to_folder, uint64_t *bytes);

#endif
