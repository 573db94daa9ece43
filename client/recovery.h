/*
 * recovery: the code that opens a backup.  130 random bits as 26 characters, and two that check them, in seven groups of four:
 * "ABCD-EFGH-…".  No 0, 1, I or O.  Any one or two wrong characters, and any two that changed places, are found; one alone is found by
 * its group.  Exactly this text, with its hyphens, is the passphrase of the age file.
 * Pure but for randombytes; any thread.
 */
#ifndef RENKEI_CLIENT_RECOVERY_H
#define RENKEI_CLIENT_RECOVERY_H

#include "proto/bytes.h"
#include "proto/errcode.h"

#define RECOVERY_CODE_CHARS 35 /* with its NUL: 7 x 4 and 6 hyphens */

void recovery_new(char code[RECOVERY_CODE_CHARS]);

/**
 * What a person typed or a file holds: lower case, missing hyphens, spaces and a line end do not matter.  RK_OK and the code as it is
 * written; RK_MALFORMED: it has not 28 characters of the alphabet; RK_EPASSPHRASE: mistyped, in group *group 1..7 if it is one character,
 * else 0.
 */
int recovery_read(const char *text, char code[RECOVERY_CODE_CHARS], unsigned *group);

#endif
