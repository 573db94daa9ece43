/* receipt_show: what a receipt says of the attachments of its disclosure, on screen and in JSON. */
#ifndef RENKEI_CLI_RECEIPT_SHOW_H
#define RENKEI_CLI_RECEIPT_SHOW_H

#include "client/cli/out.h"
#include "proto/receipt.h"

/** A line for each, and what is not shown of them.  Of a disclosure only. */
void receipt_show_attachments(struct cli *, const struct receipt *);
/** "attachments": [{name, bytes, plain_sha256 (all null where no content names them), blob_bytes, blob_sha256, shown}]. */
void receipt_show_set_attachments(json_t *, const struct receipt *);

#endif
