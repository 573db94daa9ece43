/*
 * parse: options, by argp, with our own sentences for what is wrong.  The global options are known before the noun and after the verb.
 */
#ifndef RENKEI_CLI_PARSE_H
#define RENKEI_CLI_PARSE_H

#include "client/cli/cli.h"

/** Parses the global options up to the noun; *next is its index in argv (argc: none).  *version: --version was given.
 *  RK_OK, CLI_HELP (--help was given; not printed), RK_EUSAGE (reported). */
int parse_globals(struct cli *, int argc, char **argv, int *next, bool *version);

/** The global options for a help page. */
void parse_print_globals(struct cli *);

#endif
