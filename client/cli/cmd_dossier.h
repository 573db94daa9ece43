/*
 * cmd_dossier: what the verbs of dossiers and of notices have in common: both wait at the exchange until they are signed for.
 */
#ifndef RENKEI_CLI_CMD_DOSSIER_H
#define RENKEI_CLI_CMD_DOSSIER_H

#include "client/cli/shared.h"

/**
 * Brings the content here unless it is: signs for what others sent, then fetches.  *is_signed: a pickup was signed now.  Reports with
 * `cannot`, which takes `given`.
 */
int cmd_dossier_fetch(struct cli *, const uint8_t env_id[32], const char *given, enum text_id cannot, bool *is_signed);

/** The content is sealed to no key of this device, which is not what the code's own sentence says: that is meant for senders. */
int cmd_dossier_sealed_before(struct cli *, const char *given);

#endif
