/* show_suspended: why an agreement is suspended, and what to do. */
#ifndef RENKEI_CLI_SHOW_SUSPENDED_H
#define RENKEI_CLI_SHOW_SUSPENDED_H

#include "client/cli/shared.h"

/** A line for each party that keeps it from being in force; nothing in any other state. */
void show_suspended(struct shared *, const struct agreement *);
/** The same as an array of {org_id, name, reason, since}; empty in any other state. */
json_t *show_suspended_json(struct shared *, const struct agreement *);

#endif
