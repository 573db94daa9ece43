/* code_input: where recovery codes come from: --code-file, or the terminal. */
#ifndef RENKEI_CLI_CODE_INPUT_H
#define RENKEI_CLI_CODE_INPUT_H

#include "client/cli/cli.h"
#include "client/recovery.h"

/**
 * The code that a file is to be written under.  From the file, if there is one of that name; else a new one, which the file gets (and then is
 * said).  file NULL: an earlier one that is typed, or a new one, shown once and typed back.  Reported: RK_EUSAGE (nobody to ask), RK_EINTERRUPTED …
 */
int code_for_writing(struct cli *, const char *file, char code[RECOVERY_CODE_CHARS]);
/** The code that opens one. */
int code_for_reading(struct cli *, const char *file, char code[RECOVERY_CODE_CHARS]);

#endif
