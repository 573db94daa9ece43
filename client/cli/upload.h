/*
 * upload: waiting for a dossier whose attachments are on their way, with progress; for the verbs that send and those that go on.
 */
#ifndef RENKEI_CLI_UPLOAD_H
#define RENKEI_CLI_UPLOAD_H

#include "client/cli/shared.h"

/**
 * Runs the link until the item is answered, showing how far its attachments are.  RK_OK; a refusal or failure, reported with `what`: what
 * has broken off says how to go on.
 */
int upload_finish(struct cli *, uint64_t item, enum text_id what, struct outcome *out);

/** link_sync, showing how far all attachments are that are on their way out. */
int upload_sync(struct cli *);

/** Stays until everybody has picked it up, or will not.  RK_OK; CLI_PARTIAL, RK_EINTERRUPTED: reported. */
int upload_wait(struct cli *, const uint8_t env_id[32]);

/** One dossier on its way. */
struct upload_row {
	uint64_t item;
	uint8_t nda_id[32];
	int64_t created_at, moved_at;
	unsigned files;
	uint64_t bytes, have;
	bool complete;               /* all are there: the envelope is next */
};
#define UPLOAD_ROWS_MAX 256
/** At most UPLOAD_ROWS_MAX, by number. */
int upload_rows(struct shared *, struct upload_row *, size_t *count);

#endif
