/*
 * notify: runs the user's command for each new entry of the inbox: by /bin/sh, in a process group of its own, with one line on standard
 * input and nothing else that is of the entry:
 *
 *   KIND COUNT ID\n      kind as `inbox list --json` says it; how many entries are unread since the last one told; 12 hex digits of the
 *                        id, or "-"
 *
 * Never a title, a name or a text.  Never two at a time; one that takes longer than its limit is killed with all it has started.  The
 * variables of the environment that begin with RENKEI_ are not passed on (among them are the places of passphrases), nor those by which the
 * service manager speaks with the agent.
 */
#ifndef RENKEI_CLI_NOTIFY_H
#define RENKEI_CLI_NOTIFY_H

#include "client/agent.h"

#define NOTIFY_LIMIT_MS 30000

struct notifier;

enum notify_fault { NOTIFY_STARTED, NOTIFY_FAILED /* value: exit status, or 128 + signal */, NOTIFY_TOO_LONG, NOTIFY_NOT_RUN /* value: errno */ };
typedef void notify_tell(void *user, enum notify_fault, const struct agent_event *, int value);

/** command is borrowed.  NULL without memory. */
struct notifier *notify_new(const char *command, int limit_ms, notify_tell *, void *user);
/** Call it often: takes note of a command that has ended, and starts the next one.  Never waits. */
int notify_tick(struct notifier *, struct client *);
bool notify_is_running(const struct notifier *);
/** Ends a command that runs.  NULL does nothing. */
void notify_free(struct notifier *);

/** The line for one event; returned.  Pure. */
#define NOTIFY_LINE_CHARS 64
const char *notify_line(char line[NOTIFY_LINE_CHARS], const struct agent_event *);

#endif
