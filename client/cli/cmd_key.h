/* cmd_key: what verbs about keys of organisations and officers share. */
#ifndef RENKEI_CLI_CMD_KEY_H
#define RENKEI_CLI_CMD_KEY_H

#include "client/cli/cli.h"

/**
 * After catching up: next keys that came into force take their places, and a list of devices that a replaced key has signed is signed anew.
 * RK_OK; CLI_PARTIAL, reported: the organisation's key is locked; a failure, reported.
 */
int key_after_sync(struct cli *);

/** What a known person reads aloud, given by an option or asked for after `ask` (a sentence that takes the name): a whole fingerprint.
 *  Reports. */
int key_heard(struct cli *, const char *given, enum text_id ask, const char *name, char typed[128]);

/** A new file for what the verb makes; RK_EEXISTS, RK_EIO, reported.  key_close writes and closes it; a failure removes it. */
int key_open_out(struct cli *, const char *path, int *fd);
int key_close_out(struct cli *, const char *path, int fd, struct bytes content, int rc);

#endif
