/*
 * post_input: what people give to the verbs of post: files, dates, and the sentence for each fault.
 */
#ifndef RENKEI_CLI_POST_INPUT_H
#define RENKEI_CLI_POST_INPUT_H

#include "client/cli/cli.h"
#include "client/postfile.h"

/** Reads and parses a post file ("-": standard input) and says how many topics were left out; errors are reported with the line. */
int post_input_file(struct cli *, const char *path, struct arena *, Rk__Post **out);

/** The sentence for a fault: "line 3: there is no field “Titel”"; malloc'ed, NULL without memory.  line 0 in problem: without one. */
char *post_input_sentence(struct cli *, const struct post_problem *);

/** --until DATE as a lifetime from now: reported if it is no day, past, or more than 180 days away.  NULL: 0. */
int post_input_until(struct cli *, const char *until, int64_t *lifetime_ms);

#endif
