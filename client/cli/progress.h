/*
 * progress: how far a long piece of work is, on stderr.  On a terminal one line that is written anew, cut to its width: bytes, percent,
 * rate, time left.  Elsewhere one plain line at the end of each stage.  With --json an object a line ({"event":"progress",…}), at most one
 * a second and one at the end of each stage: stdout has the result alone.  Nothing with --quiet.
 */
#ifndef RENKEI_CLI_PROGRESS_H
#define RENKEI_CLI_PROGRESS_H

#include "client/cli/out.h"

enum progress_stage {
	PROGRESS_NONE, PROGRESS_ENCRYPTING, PROGRESS_SENDING, PROGRESS_SENT /* proven by the exchange */, PROGRESS_WAITING, PROGRESS_PICKED_UP,
	PROGRESS_FETCHING, PROGRESS_VERIFYING, PROGRESS_SAVING, PROGRESS_BACKUP, PROGRESS_RESTORE,
	PROGRESS_STAGE_COUNT
};

struct progress {
	struct cli *c;
	enum progress_stage stage;
	char name[256];
	uint64_t total, from, at;    /* from: was there before */
	int64_t began_ms, shown_ms;
	bool is_shown;               /* a line stands on the terminal */
};

/** Begins a stage (and ends the one before); the name is copied.  total 0: nothing is counted. */
void progress_begin(struct progress *, struct cli *, enum progress_stage, const char *name, uint64_t total, uint64_t already);
/** So many bytes of the total are done; the first call of another stage, name or total begins it. */
void progress_at(struct progress *, struct cli *, enum progress_stage, const char *name, uint64_t done, uint64_t total);
/** Ends the stage: done, or broken off. */
void progress_end(struct progress *, bool is_done);

#define PROGRESS_BYTES_CHARS 32
/** "34.0 MiB"; "900 B". */
const char *progress_bytes(char buf[PROGRESS_BYTES_CHARS], uint64_t bytes);

#endif
