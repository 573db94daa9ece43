/*
 * config: every setting of renkeid, in one table: section, name, type, bounds, default, unit, what it does.  The
 * parser, the dump of `renkeid config` and the documentation all follow from the table.  Unknown keys are errors.
 */
#ifndef RENKEI_BROKER_CONFIG_H
#define RENKEI_BROKER_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config {
	/* network */
	int64_t connections;
	int64_t backlog;
	int64_t handshake_ms;
	int64_t keepalive_idle_s, keepalive_interval_s, keepalive_count;
	int64_t send_queue;
	int64_t linger_ms;
	/* limits */
	int64_t burst, rate_per_s;
	int64_t byte_burst, bytes_per_s;
	int64_t invite_bytes;
	int64_t ring_messages, ring_bytes;
	int64_t device_queue;
	int64_t org_stored_bytes, org_blob_bytes, pair_pending_bytes;
	int64_t unsigned_ndas, open_per_day, notices_per_day;
	/* path */
	int64_t verify_threads;
	int64_t batch_commands, batch_bytes;
	int64_t page_entries, page_bytes;
	int64_t cache_bytes;
	int64_t drain_ms;
	/* store */
	int64_t map_bytes;
	int64_t soft_percent, hard_percent;
	int64_t journal_bytes;
	int64_t ahead_bytes;
	int64_t blob_reserve_bytes;
	/* log */
	int64_t log_level; /* enum log_level */
	int64_t log_lines_per_s;
	int64_t metrics_s;
};

/** Every setting at its default. */
void config_defaults(struct config *);

#define CONFIG_ERROR_CHARS 512
/**
 * Reads `path` over the defaults.  RK_OK; else RK_EIO (cannot be read), RK_MALFORMED or RK_ENOMEM, and `error` holds
 * one sentence with the file, the line and what was expected.
 */
int config_read(struct config *, const char *path, char error[CONFIG_ERROR_CHARS]);
/** The same from text, for tests; `path` is only quoted. */
int config_read_text(struct config *, const char *path, const char *text, char error[CONFIG_ERROR_CHARS]);
/** Writes a complete file with comments, each setting at the value it has in the config. */
void config_print(const struct config *, FILE *out);

/** The table, for tests: name, bounds and default of the i-th setting; false past the end. */
struct config_row {
	const char *section, *name;
	int64_t min, max, initial;
};
_Bool config_at(size_t i, struct config_row *out);

#endif
