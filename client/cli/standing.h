/*
 * standing: how long things still hold, and who is at work in this home: what `status` and `doctor` both say.
 */
#ifndef RENKEI_CLI_STANDING_H
#define RENKEI_CLI_STANDING_H

#include <jansson.h>

#include "client/agent.h"
#include "client/cli/cli.h"

enum standing_date { STANDING_KX, STANDING_DIRECTORY, STANDING_EPOCH, STANDING_DEVICES, STANDING_CHARTER, STANDING_COUNT };

struct standing {
	int64_t until[STANDING_COUNT];  /* 0: not known here */
	struct agent_view agent;
};

/** What each is called, and how many days before its end somebody should look: after it would have been renewed in the normal course. */
enum text_id standing_name(enum standing_date);
int standing_days_soon(enum standing_date);

int standing_gather(struct cli *, struct txn *, struct arena *, struct standing *);
/** "dates": {"kx": {until, days_left} …} and "agent": {running …} as members of a status. */
void standing_json(struct cli *, json_t *, const struct standing *);
void standing_lines(struct cli *, const struct standing *);

#endif
