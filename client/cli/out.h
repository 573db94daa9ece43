/*
 * out: everything that is printed.  Results go to stdout, for people as lines and tables (kanji align), with --json as one object or
 * NDJSON; all else goes to stderr.  Text from other members is shown without control characters.
 */
#ifndef RENKEI_CLI_OUT_H
#define RENKEI_CLI_OUT_H

#include <jansson.h>

#include "client/cli/cli.h"

/** A sentence on stderr: progress and what to do next.  Silent with --quiet; silent with --json. */
void out_say(struct cli *, enum text_id, ...);
/** A sentence on stderr that is never left out: warnings, lines that were skipped. */
void out_warn(struct cli *, enum text_id, ...);
/** A line of a result on stdout, for people (callers branch on cli->json). */
void out_line(struct cli *, enum text_id, ...);
/** Raw text on stdout, with a newline: an invite, a post's body. */
void out_raw(const char *text);
/** Text on stdout as it is, line ends included.  RK_EIO (stdout is gone). */
int out_plain(const char *text);

/** One JSON object as one line on stdout; takes the reference.  RK_OK, RK_EIO (stdout is gone), RK_ENOMEM (NULL given). */
int out_json(json_t *);
/** The same line, with its newline, as text; malloc'ed, NULL without memory.  Takes the reference. */
char *out_json_line(json_t *);
/** True if nobody reads stdout any more: the other end of the pipe is closed, as by head. */
bool out_is_cut(void);
/** Adds a member; text that is not UTF-8 is left out.  Times are RFC 3339 UTC, 0 is null; ids are lower-case hex, empty is null. */
void out_set_text(json_t *, const char *key, const char *value);
void out_set_id(json_t *, const char *key, struct bytes id);
void out_set_time(json_t *, const char *key, int64_t ms);
void out_set_number(json_t *, const char *key, int64_t value);
void out_set_bool(json_t *, const char *key, bool value);

/** Error object on stderr with --json: {"error":{code,message,hint}}. */
void out_error(struct cli *, int code, const char *message, const char *hint);

/* ---- tables for people */
struct out_table;
/** Columns by heading; the count of headings is `columns`. */
struct out_table *out_table_new(struct cli *, unsigned columns, const enum text_id *headings);
/** Starts a row; then a cell each, left to right.  Text is copied and cleaned of control characters. */
void out_table_row(struct out_table *);
void out_table_cell(struct out_table *, const char *text);
/** Prints and frees; `empty` is said on stderr when there is no row. */
void out_table_end(struct out_table *, enum text_id empty);
/** "name: value" lines of a view, aligned. */
void out_field(struct cli *, enum text_id name, const char *value);

/* ---- texts of values; each into the caller's buffer, returned */
/** The exchange's time zone, for all dates that people read and type; cli_open sets it.  "UTC" before. */
void out_set_zone(const char *zone);
const char *out_zone(void);

#define OUT_ID_CHARS 65
#define OUT_TIME_CHARS 40
/** 12 hex digits, what people copy; accepted as a prefix everywhere. */
const char *out_short(char buf[OUT_ID_CHARS], struct bytes id);
const char *out_hex(char buf[OUT_ID_CHARS], struct bytes id);
/** RFC 3339 UTC. */
const char *out_time_utc(char buf[OUT_TIME_CHARS], int64_t ms);
/** "2026-11-22 20:39" and "2026-11-22" in the exchange's time zone; "—" for 0. */
const char *out_time(char buf[OUT_TIME_CHARS], int64_t ms);
const char *out_day(char buf[OUT_TIME_CHARS], int64_t ms);
/** The day before an instant that is a day's end: "until" dates. */
const char *out_last_day(char buf[OUT_TIME_CHARS], int64_t end_ms);

/** Columns that the text takes on a terminal; kanji take two. */
unsigned out_width(const char *text);

/** A copy without control characters and bidi overrides (replaced by U+FFFD); malloc'ed, NULL without memory. */
char *out_clean(const char *text, bool keep_newlines);

#endif
