/*
 * log: one line per event on stderr (the journal when run as a service): `LEVEL subsystem event key=value…`.  Never
 * content, never keys: ids and digests are enough.  Lines above the rate cap are dropped and counted, so that a flood
 * of refusals cannot fill a disk; the next line that passes says how many.  Any thread.
 */
#ifndef RENKEI_BROKER_LOG_H
#define RENKEI_BROKER_LOG_H

#include <stdint.h>

/* error: someone must act.  warning: degraded.  info: lifecycle and decisions.  debug: developers. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** Lines less important than `level` are not written; at most lines_per_s (0: no cap), bursts of ten times that. */
void log_set(enum log_level, uint32_t lines_per_s);

/** format gives `key=value key=value`; "" for none.  Values with blanks are quoted by the caller. */
void log_line(enum log_level, const char *subsystem, const char *event, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/** Text form of a 16-byte id for a log line. */
#define LOG_ID_CHARS 33
const char *log_id(char out[LOG_ID_CHARS], const uint8_t id[16]);

#endif
