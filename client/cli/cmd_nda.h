/*
 * cmd_nda: an agreement on screen, for the verbs that show it: view, and sign before it asks.
 */
#ifndef RENKEI_CLI_CMD_NDA_H
#define RENKEI_CLI_CMD_NDA_H

#include "client/cli/shared.h"
#include "client/duty.h"

/** The whole agreement as lines; rendered from the bytes of its terms.  facts: what was sent under agreements, for its duties. */
void cmd_nda_show(struct shared *, const struct agreement *, const struct duty_facts *facts);
json_t *cmd_nda_json(struct shared *, const struct agreement *, const struct duty_facts *facts, bool whole);
/** Prints the document; reports if it is not here or not text. */
int cmd_nda_print_document(struct shared *, const struct agreement *);
/** The title, or the purpose, or "". */
const char *cmd_nda_title(const struct agreement *);

#endif
