/*
 * cli: one run of the command line.  main.c parses what stands before the noun, finds the verb in the table of nouns and verbs,
 * and runs it.  A verb parses its own options with cli_parse (argp), opens the home with cli_open, works through librenkei, prints
 * with out.h, and returns a code of errcode.h or CLI_PARTIAL / CLI_HELP; main turns that into the exit code.
 * One thread.
 */
#ifndef RENKEI_CLI_CLI_H
#define RENKEI_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/text.h"
#include "client/client.h"

/* Codes of a verb beside errcode.h's. */
#define CLI_PARTIAL (-1001)  /* some of it was done, the rest was reported: exit code 3 */
#define CLI_HELP (-1002)     /* help was printed: exit code 0 */

struct cli {
	const char *home;             /* folder; made by main, never NULL in a verb */
	enum lang lang;
	bool json, no_input, quiet;
	int verbose;
	const char *passphrase_file;  /* NULL: not given */
	int passphrase_fd;            /* -1: not given */
	volatile bool stop;           /* set by SIGINT and SIGTERM */
	const char *noun, *verb;      /* verb NULL for `renkei status` and the like */
	bool reported;                /* an error was printed already */
	struct client *client;        /* open home, or NULL; closed by main */
	void *pass;                   /* pass.c's own */
};

/* ---- options of a verb */
enum cli_kind {
	CLI_FLAG,    /* bool *: true */
	CLI_TEXT,    /* const char **: the last one given; UTF-8 is checked */
	CLI_NUMBER,  /* int64_t *: 0 .. 10^12 */
	CLI_LIST,    /* struct cli_list *: given again, or several separated by commas */
};

#define CLI_LIST_MAX 64
struct cli_list {
	const char *item[CLI_LIST_MAX];
	unsigned count;
};

struct cli_option {
	const char *name;      /* long name without "--"; NULL ends the list */
	enum cli_kind kind;
	void *target;
	const char *arg;       /* placeholder, "DATE"; NULL for flags */
	enum text_id help;
	bool required;         /* missing: exit 2 with a sentence */
};

struct cli_usage {
	const struct cli_option *options;  /* ended by a row of zeros; may be NULL */
	const char *args;                  /* "ORG", "[ID]", "FILE…"; "" for none */
	unsigned args_min, args_max;
	enum text_id notes;                /* more for --help; TEXT_NONE */
};

#define CLI_ARGS_MAX 256
struct cli_args {
	const char *arg[CLI_ARGS_MAX];
	unsigned count;
};

/**
 * Parses a verb's command line; argv[0] is the verb.  Options may stand anywhere; the global ones are known too; `--` ends them.
 * RK_OK; CLI_HELP (printed); RK_EUSAGE (reported).  Strings are borrowed from argv.
 */
int cli_parse(struct cli *, const struct cli_usage *, int argc, char **argv, struct cli_args *);

/** Opens the home of this run (once).  Reports: no home yet, store damaged … */
int cli_open(struct cli *);
/** As cli_open, and the home must have joined: else reported, RK_ENOTJOINED. */
int cli_open_joined(struct cli *);
/** True if the open home asks to be added to an organisation as a further device. */
bool cli_is_device_request(struct cli *);
/** The options with which main would open the home: for exchange create and join. */
struct client_options cli_client_options(struct cli *);

/**
 * Catches up for a verb that reads: 5 s at most.  An exchange that does not answer, or does not let us in any more, is said on
 * stderr and is RK_OK: what is here can be read.  A key that does not open and an interruption are returned, reported.
 */
int cli_refresh(struct cli *);

/** True if device.key has no passphrase. */
bool cli_device_key_is_open(struct cli *);
/** Says what this home has noticed and nobody was told yet: it was restored, somebody signed two truths …  Once each. */
void cli_tell_alarms(struct cli *);
/* What a counter that has a sentence means to doctor. */
enum cli_alarm {
	CLI_ALARM_WAS,     /* it happened, and nothing is to be done any more */
	CLI_ALARM_BAD,     /* somebody must act */
	CLI_ALARM_JUDGED,  /* how it stands now is known from elsewhere */
};
/** The sentence of a counter "restored" …, or TEXT_NONE if it is only a count. */
enum text_id cli_alarm_sentence(const char *counter, enum cli_alarm *);
/** Takes back what a failed creation left in the home: only for a home that this run made. */
void cli_discard_home(struct cli *);
/** RK_EEXISTS, reported, if there is a home or a key already; else an empty home is made and opened. */
int cli_create_home(struct cli *);

/**
 * Reports an error once and returns `code`: what failed (a sentence of the table with its arguments), why (the code's sentence) and
 * what to do (the code's hint).  code CLI_PARTIAL: only `what`.
 */
int cli_fail(struct cli *, int code, enum text_id what, ...);
/** The same with a hint of the verb's own in place of the code's, and without the code's sentence: `what` says it all. */
int cli_refuse(struct cli *, int code, enum text_id hint, enum text_id what, ...);

/**
 * Waits for the answer to an outbox item: runs the link.  RK_OK; a refusal or a failure, reported with `what`.  An unreachable broker
 * leaves the item queued, and the sentence says so.  *out may be NULL.
 */
int cli_finish(struct cli *, uint64_t item, enum text_id what, struct outcome *out);
/** The report of cli_finish alone, for verbs that look at the refusal first. */
int cli_fail_finish(struct cli *, int code, enum text_id what);

/** Asks on the terminal; false with --no-input or without one, and (stop is set then) if nobody answers.  The answer goes to buf. */
bool cli_ask(struct cli *, char *buf, size_t len, enum text_id question, ...);
/** Yes is RK_OK; else reported: RK_EINTERRUPTED (no, or no answer), RK_EUSAGE (nobody to ask: --yes is needed). */
int cli_confirm(struct cli *, enum text_id question, ...);
/** The same with a hint of its own if there is nobody to ask, where --yes is not what is needed. */
int cli_confirm_or(struct cli *, enum text_id nobody, enum text_id question);

/** pass.c: client_passphrase_fn, user is the struct cli. */
int cli_passphrase(void *user, enum key_role, bool confirm, bool again, char **out);
void cli_passphrase_free(struct cli *);

/* ---- arguments */
/**
 * The id that `text` names: 64 (or 32) hex digits, or a unique prefix of at least 4 of a key of `table`, whose keys are ids of
 * id_len bytes.  RK_ENOTFOUND, RK_CONFLICT (several), RK_EUSAGE (no hex); not reported.
 */
int cli_find_id(struct txn *, unsigned table, const char *text, uint8_t *id, size_t id_len);

/** The word for people for one of the names below, or of any other that JSON shows ("joined", "live" …); in English the name itself. */
const char *cli_word(const struct cli *, const char *name);
/** OFFER … NOTICE from "offer" … or its Japanese word; CHANNEL_NONE if it is none.  And back to the name: never NULL. */
Rk__Channel cli_channel(const char *text);
const char *cli_channel_name(Rk__Channel);
/** "sme" … "government", or the Japanese word, and back to the name. */
Rk__OrgKind cli_org_kind(const char *text);
const char *cli_org_kind_name(Rk__OrgKind);
const char *cli_org_status_name(Rk__OrgStatus);

#endif
