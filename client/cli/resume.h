/*
 * resume: lines of a watch on stdout, each once.  A line is written before its place is remembered, so a kill in between would write
 * it a second time; where stdout is a file that goes on growing (>> FILE), what it holds beyond the length remembered tells that the
 * line, or a part of it, is there already.  A pipe cannot be asked: there the last line may come twice, with the same seq.
 */
#ifndef RENKEI_CLI_RESUME_H
#define RENKEI_CLI_RESUME_H

#include "client/client.h"

struct resume {
	char key[300];          /* of C_META: device, inode and length after the last line remembered */
	bool is_file;
	uint64_t device, inode;
	char *tail;             /* what was found beyond that length at the start; NULL: nothing */
};

/** Looks at stdout once; `name` is the watch's own.  resume_end gives back. */
void resume_begin(struct resume *, struct txn *, const char *name);
void resume_end(struct resume *);

/** Writes and flushes a line, or what is missing of it.  RK_OK, RK_EIO. */
int resume_print(struct resume *, const char *line);

/** Remembers stdout's length, in the transaction that remembers the line's place. */
int resume_remember(struct resume *, struct txn *);

#endif
