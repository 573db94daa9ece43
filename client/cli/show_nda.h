/*
 * show_nda: an agreement on screen and as JSON, for the verbs that show it: list, view, and sign before it asks.  What was agreed is
 * rendered from the signed terms; beside it stand what is unusual, and what comes next.
 */
#ifndef RENKEI_CLI_SHOW_NDA_H
#define RENKEI_CLI_SHOW_NDA_H

#include "client/cli/shared.h"
#include "client/duty.h"

/** The whole agreement as lines.  facts: what was sent under agreements, for its duties. */
void show_nda_lines(struct shared *, const struct agreement *, const struct duty_facts *facts);
json_t *show_nda_json(struct shared *, const struct agreement *, const struct duty_facts *facts, bool whole);
/** Prints the document; reports if it is not here or not text. */
int show_nda_document(struct shared *, const struct agreement *);
/** The next date that matters: "next step by 2027-03-31", or a dash. */
const char *show_nda_next_date(struct shared *, const struct agreement *, const struct duty_facts *);
/** The title, or the purpose, or "". */
const char *show_nda_title(const struct agreement *);

#endif
