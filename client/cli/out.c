/* out: lines, tables, JSON and errors. */
#include "client/cli/out.h"

#include <libsmartcols/libsmartcols.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "client/days.h"
#include "proto/ids.h"
#include "proto/strict.h"

/* ---- sentences */

static void say(FILE *to, struct cli *c, enum text_id id, va_list ap)
{
	vfprintf(to, text(id, c->lang), ap);
	fputc('\n', to);
}

void out_say(struct cli *c, enum text_id id, ...)
{
	if (c->quiet || c->json)
		return;
	va_list ap;
	va_start(ap, id);
	say(stderr, c, id, ap);
	va_end(ap);
}

void out_warn(struct cli *c, enum text_id id, ...)
{
	va_list ap;
	va_start(ap, id);
	say(stderr, c, id, ap);
	va_end(ap);
}

void out_line(struct cli *c, enum text_id id, ...)
{
	va_list ap;
	va_start(ap, id);
	say(stdout, c, id, ap);
	va_end(ap);
}

void out_raw(const char *line)
{
	fputs(line, stdout);
	fputc('\n', stdout);
}

int out_plain(const char *words)
{
	return fputs(words, stdout) < 0 ? RK_EIO : RK_OK;
}

/* ---- JSON */

static int write_json(FILE *to, json_t *object)
{
	if (!object)
		return RK_ENOMEM;
	int rc = json_dumpf(object, to, JSON_COMPACT) != 0 ? RK_EIO : RK_OK;
	json_decref(object);
	if (rc == RK_OK && (fputc('\n', to) == EOF || fflush(to) != 0))
		rc = RK_EIO;
	return rc;
}

bool out_is_cut(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};
	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

int out_json(json_t *object)
{
	return write_json(stdout, object);
}

char *out_json_line(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL, *line = NULL;
	json_decref(object);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

void out_set_text(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, value ? json_string(value) : json_null());
}

void out_set_id(json_t *object, const char *key, struct bytes id)
{
	char hex[OUT_ID_CHARS];
	json_object_set_new(object, key, id.len && id.len <= 32 ? json_string(out_hex(hex, id)) : json_null());
}

void out_set_time(json_t *object, const char *key, int64_t ms)
{
	char utc[OUT_TIME_CHARS];
	json_object_set_new(object, key, ms ? json_string(out_time_utc(utc, ms)) : json_null());
}

void out_set_number(json_t *object, const char *key, int64_t value)
{
	json_object_set_new(object, key, json_integer(value));
}

void out_set_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new(object, key, json_boolean(value));
}

void out_error(struct cli *c, int code, const char *message, const char *hint)
{
	fflush(stdout);
	if (!c->json) {
		fprintf(stderr, "renkei: %s\n", message);
		if (hint && *hint)
			fprintf(stderr, "        %s\n", hint);
		return;
	}
	json_t *inner = json_object(), *outer = json_object();
	out_set_text(inner, "code", code == CLI_PARTIAL ? "partial" : errcode_name(code));
	out_set_text(inner, "message", message);
	out_set_text(inner, "hint", hint ? hint : "");
	json_object_set_new(outer, "error", inner);
	/* There is nowhere left to say that stderr is gone. */
	(void)write_json(stderr, outer);
}

/* ---- tables */

struct out_table {
	struct cli *c;
	struct libscols_table *table;
	struct libscols_line *line;
	unsigned columns, cell, rows;
};

struct out_table *out_table_new(struct cli *c, unsigned columns, const enum text_id *headings)
{
	struct out_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->c = c;
	t->columns = columns;
	t->table = scols_new_table();
	if (!t->table) {
		free(t);
		return NULL;
	}
	/* A pipe gets whole values; on a terminal the last column gives way. */
	if (!isatty(STDOUT_FILENO))
		scols_table_set_termforce(t->table, SCOLS_TERMFORCE_NEVER);
	for (unsigned i = 0; i < columns; i++)
		scols_table_new_column(t->table, text(headings[i], c->lang), i + 1 == columns ? 0.3 : 0,
				       i + 1 == columns ? SCOLS_FL_TRUNC : 0);
	return t;
}

void out_table_row(struct out_table *t)
{
	if (!t)
		return;
	t->line = scols_table_new_line(t->table, NULL);
	t->cell = 0;
	t->rows++;
}

void out_table_cell(struct out_table *t, const char *value)
{
	if (!t || !t->line || t->cell >= t->columns)
		return;
	char *clean = out_clean(value ? value : "", false);
	if (clean && scols_line_refer_data(t->line, t->cell, clean) != 0)
		free(clean);
	t->cell++;
}

void out_table_end(struct out_table *t, enum text_id empty)
{
	if (!t)
		return;
	if (t->rows)
		scols_print_table(t->table);
	else
		out_say(t->c, empty);
	scols_unref_table(t->table);
	free(t);
}

unsigned out_width(const char *s)
{
	wchar_t wide[512];
	size_t n = mbstowcs(wide, s, 512);
	if (n == (size_t)-1 || n >= 512)
		return (unsigned)strlen(s);
	int width = wcswidth(wide, n);
	return width < 0 ? (unsigned)n : (unsigned)width;
}

#define FIELD_COLUMNS 20 /* of a name; values stand behind it */

/* Every line of a value stands below the first, so that no text of a stranger looks like a field of ours. */
void out_field(struct cli *c, enum text_id name, const char *value)
{
	const char *label = text(name, c->lang);
	unsigned width = out_width(label);
	char *clean = out_clean(value ? value : "", true), *line = clean, *end;
	printf("%s%*s", label, width < FIELD_COLUMNS ? (int)(FIELD_COLUMNS - width) : 1, "");
	for (; line && (end = strchr(line, '\n')); line = end + 1)
		printf("%.*s\n%*s", (int)(end - line), line, FIELD_COLUMNS, "");
	printf("%s\n", line ? line : "");
	free(clean);
}

/* ---- values */

const char *out_hex(char buf[OUT_ID_CHARS], struct bytes id)
{
	ids_hex(buf, bytes_make(id.data, id.len <= 32 ? id.len : 32));
	return buf;
}

const char *out_short(char buf[OUT_ID_CHARS], struct bytes id)
{
	ids_hex(buf, bytes_make(id.data, id.len <= 6 ? id.len : 6));
	return buf;
}

/* The exchange's time zone; set once the home is open. */
static char zone[64] = "UTC";

void out_set_zone(const char *name)
{
	snprintf(zone, sizeof(zone), "%s", name);
}

const char *out_zone(void)
{
	return zone;
}

const char *out_time_utc(char buf[OUT_TIME_CHARS], int64_t ms)
{
	struct tm tm;
	time_t t = (time_t)(ms / 1000);
	if (ms == 0 || !gmtime_r(&t, &tm) || strftime(buf, OUT_TIME_CHARS, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, OUT_TIME_CHARS, "—");
	return buf;
}

const char *out_time(char buf[OUT_TIME_CHARS], int64_t ms)
{
	if (ms == 0)
		snprintf(buf, OUT_TIME_CHARS, "—");
	else
		days_clock_text(buf, ms, zone);
	return buf;
}

const char *out_day(char buf[OUT_TIME_CHARS], int64_t ms)
{
	uint32_t day;
	if (ms == 0 || days_of(ms, days_knows_zone(zone) ? zone : "UTC", &day) != RK_OK)
		snprintf(buf, OUT_TIME_CHARS, "—");
	else
		days_text(buf, day);
	return buf;
}

const char *out_last_day(char buf[OUT_TIME_CHARS], int64_t end_ms)
{
	return out_day(buf, end_ms ? end_ms - 1 : 0);
}

/* Length of the UTF-8 sequence at p if it is a control character or a bidi override (U+202A-E, U+2066-9, U+200E-F), else 0. */
static size_t unsafe_at(const unsigned char *p, bool keep_newlines)
{
	if (p[0] < 0x20)
		return keep_newlines && (p[0] == '\n' || p[0] == '\t') ? 0 : 1;
	if (p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
		return 2;
	if (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xaa && p[2] <= 0xae)))
		return 3;
	if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)
		return 3;
	return 0;
}

char *out_clean(const char *value, bool keep_newlines)
{
	const unsigned char *p = (const unsigned char *)value;
	char *copy = malloc(strlen(value) * 3 + 1), *to = copy;
	if (!copy)
		return NULL;
	while (*p) {
		size_t bad = unsafe_at(p, keep_newlines);
		if (bad) {
			/* A line break inside one line is shown as a space, everything else as the replacement character. */
			const char *shown = p[0] == '\n' || p[0] == '\t' ? " " : "\xef\xbf\xbd";
			to = stpcpy(to, shown);
			p += bad;
		} else {
			*to++ = (char)*p++;
		}
	}
	*to = '\0';
	return copy;
}
