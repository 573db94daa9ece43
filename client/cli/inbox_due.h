/*
 * inbox_due: what falls due under all agreements, before it does: rows of the inbox that are derived each time, so nobody reads them away.
 */
#ifndef RENKEI_CLI_INBOX_DUE_H
#define RENKEI_CLI_INBOX_DUE_H

#include "client/cli/shared.h"

/** The rows, by date: into the table (columns of the inbox), or with --json one object a line (table NULL). */
int inbox_due_list(struct shared *, struct out_table *);

#endif
