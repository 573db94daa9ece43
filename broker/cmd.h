/*
 * cmd: the verbs of renkeid.  Each is one function that returns the exit code; sentences go to stderr, results to
 * stdout.
 */
#ifndef RENKEI_BROKER_CMD_H
#define RENKEI_BROKER_CMD_H

#include <stdbool.h>

#include "broker/apply.h"
#include "broker/config.h"
#include "store/env.h"
#include "store/tables.h"

#define CMD_VERSION "0.1.0"
#define CMD_LOCK_NAME "renkeid.lock"
#define CMD_TEXT_MAX_BYTES 1024
#define CMD_BLOBS_NAME "blobs" /* in the data folder: attachments */

struct cmd_options {
	const char *data;       /* --data DIR */
	const char *listen;     /* --listen ENDPOINT */
	const char *advertise;  /* --advertise ENDPOINT */
	const char *config;     /* --config FILE */
	const char *check;      /* config --check FILE */
	const char *file;       /* the one argument */
	const char *output;     /* --output DIR */
	bool accept_clock;
	bool with_keys;
	bool attachments;       /* check: reads them too */
};

int cmd_init(const struct cmd_options *);
int cmd_adopt(const struct cmd_options *);
int cmd_run(const struct cmd_options *);
int cmd_check(const struct cmd_options *);
int cmd_backup(const struct cmd_options *);
int cmd_config(const struct cmd_options *);

/** Prints `renkeid: SENTENCE` on stderr, and the exit code's meaning; returns the exit code of `code`. */
int cmd_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The same, with the table's sentence for the code after the text. */
int cmd_fail_code(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Takes the folder for this process: RK_OK, or an exit code printed and *exit_code set.  *fd is closed to give it
 * back. */
bool cmd_lock(const char *data, int *fd, int *exit_code);
enum cmd_store {
	CMD_STORE_READ,   /* a broker may be running */
	CMD_STORE_WRITE,  /* by who has the lock: what a journal holds is taken up first */
	CMD_STORE_CREATE, /* the same, and it may be new */
};
/** Opens DATA/store; false after the sentence was printed. */
bool cmd_open_store(const char *data, const struct config *, enum cmd_store, struct env **out, int *exit_code);
/** Before a store is read that no broker has open: what one that was killed left in its journal is taken up.  False after the sentence was printed;
 *  true also where a broker is running. */
bool cmd_take_up(const char *data, const struct config *, int *exit_code);
/* What was found in a store that was read whole. */
struct cmd_walked {
	uint8_t exchange_id[32];
	uint64_t rows[BROKER_TABLE_COUNT], bytes, log_size;
	uint8_t log_root[32];   /* of the tree over its leaves */
	uint64_t wrong;         /* records that do not prove themselves, or are not what others make of them */
};
/** Reads every record, and names what is damaged on stderr (the first 20).  RK_OK also then; else why it could not be read.
 * cmd_check.c */
int cmd_walk(struct env *, struct cmd_walked *);
/** Reads a small text file of the data folder, without its line end; false if it is not there or too long. */
bool cmd_read_text(const char *data, const char *name, char out[CMD_TEXT_MAX_BYTES]);
/** No core files, no tracing: secrets stay in memory (CRYPTO 4, mistake 20). */
void cmd_harden(void);

#endif
