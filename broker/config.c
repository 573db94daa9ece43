#include "broker/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "broker/log.h"
#include "proto/errcode.h"

#define KIB ((int64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define FILE_MAX_BYTES (64 * 1024)

enum type {
	COUNT,  /* a plain number */
	SIZE,   /* bytes; KiB, MiB, GiB, TiB may follow */
	LEVEL,  /* a name of enum log_level */
};

struct setting {
	const char *section, *name;
	enum type type;
	size_t offset; /* of an int64_t in struct config */
	int64_t min, max, initial;
	const char *unit;
	const char *doc;
};

#define AT(field) offsetof(struct config, field)

/* In the order of the file. */
static const struct setting settings[] = {
	{"network", "connections", COUNT, AT(connections), 16, 100000, 4096, "connections",
	 "Connections expected at once.  renkeid starts only if it may open twice as many descriptors, and 256 more."},
	{"network", "backlog", COUNT, AT(backlog), 16, 65535, 4096, "connections",
	 "Connections the kernel may hold before they are accepted."},
	{"network", "handshake", COUNT, AT(handshake_ms), 100, 120000, 15000, "ms",
	 "A connection that has not shown a known key by then is closed."},
	{"network", "keepalive_idle", COUNT, AT(keepalive_idle_s), 5, 7200, 60, "s",
	 "A silent connection is probed by TCP after this time."},
	{"network", "keepalive_interval", COUNT, AT(keepalive_interval_s), 1, 600, 10, "s",
	 "Time between two such probes."},
	{"network", "keepalive_count", COUNT, AT(keepalive_count), 1, 20, 3, "probes",
	 "A connection is given up after so many unanswered probes."},
	{"network", "send_queue", COUNT, AT(send_queue), 8, 1024, 64, "messages",
	 "Messages that may wait in one connection.  A second fence: what bounds memory is the reader's credit."},
	{"network", "linger", COUNT, AT(linger_ms), 0, 30000, 1000, "ms",
	 "At an orderly stop, how long last replies may take to leave."},

	{"limits", "burst", COUNT, AT(burst), 10, 100000, 500, "requests",
	 "Requests that a device may send at once.  Above: dropped and counted."},
	{"limits", "rate", COUNT, AT(rate_per_s), 1, 100000, 100, "requests/s",
	 "Requests of a device in the long run."},
	{"limits", "byte_burst", SIZE, AT(byte_burst), MIB, 4 * GIB, 64 * MIB, "bytes",
	 "Bytes that a device may send at once."},
	{"limits", "byte_rate", SIZE, AT(bytes_per_s), 64 * KIB, 4 * GIB, 64 * MIB, "bytes/s",
	 "Bytes of a device in the long run.  Attachments are as fast as this at most."},
	{"limits", "invite_bytes", SIZE, AT(invite_bytes), 8 * KIB, MIB, 32 * KIB, "bytes",
	 "Bytes that the holder of an invite may send at once, whatever the connection."},
	{"limits", "ring_messages", COUNT, AT(ring_messages), 64, 1 << 20, 4096, "messages",
	 "Requests that may wait to be looked at.  Above: dropped and counted."},
	{"limits", "ring_bytes", SIZE, AT(ring_bytes), 4 * MIB, 4 * GIB, 64 * MIB, "bytes",
	 "Bytes of all requests inside the broker.  Above: dropped and counted."},
	{"limits", "device_queue", COUNT, AT(device_queue), 16, 4096, 256, "requests",
	 "Requests of one device that may wait for its own earlier ones.  Above: refused `busy`."},
	{"limits", "org_stored", SIZE, AT(org_stored_bytes), MIB, 1024 * GIB, 2 * GIB, "bytes",
	 "What one organisation may have stored."},
	{"limits", "org_blob_bytes", SIZE, AT(org_blob_bytes), MIB, 64 * 1024 * GIB, 16 * GIB, "bytes",
	 "Attachments that one organisation may have here, those that are still being sent included."},
	{"limits", "pair_pending", SIZE, AT(pair_pending_bytes), MIB, 1024 * GIB, 100 * MIB, "bytes",
	 "What one sender may have waiting in one mailbox."},
	{"limits", "unsigned_ndas", COUNT, AT(unsigned_ndas), 1, 10000, 20, "agreements",
	 "Proposals of one organisation that are not yet signed by all."},
	{"limits", "open_per_day", COUNT, AT(open_per_day), 1, 10000, 20, "messages/day",
	 "First contacts to organisations that never answered."},
	{"limits", "notices_per_day", COUNT, AT(notices_per_day), 1, 10000, 20, "messages/day",
	 "Notices under agreements between two organisations."},

	{"path", "verify_threads", COUNT, AT(verify_threads), 1, 16, 2, "threads", "Threads that check signatures."},
	{"path", "batch_commands", COUNT, AT(batch_commands), 1, 10000, 1000, "commands",
	 "Commands made durable by one fsync, at most."},
	{"path", "batch_bytes", SIZE, AT(batch_bytes), MIB, 256 * MIB, 16 * MIB, "bytes",
	 "Bytes of one such batch, at most: it lives in memory until then."},
	{"path", "page_entries", COUNT, AT(page_entries), 1, 4096, 256, "entries",
	 "Entries read from the store at once.  Reads must be short."},
	{"path", "page_bytes", SIZE, AT(page_bytes), 64 * KIB, 64 * MIB, MIB, "bytes",
	 "Bytes read from the store at once."},
	{"path", "cache", SIZE, AT(cache_bytes), MIB, 4 * GIB, 32 * MIB, "bytes",
	 "Entries kept ready for many readers at the same place."},
	{"path", "drain", COUNT, AT(drain_ms), 100, 120000, 10000, "ms",
	 "At SIGTERM, how long accepted requests may take to be answered."},

	{"store", "map", SIZE, AT(map_bytes), 64 * MIB, 1024 * GIB, 64 * GIB, "bytes",
	 "Largest size the store may ever have.  Sparse: costs nothing until used."},
	{"store", "soft_mark", COUNT, AT(soft_percent), 10, 95, 80, "percent of map",
	 "Above it, new content is refused `store-full`."},
	{"store", "hard_mark", COUNT, AT(hard_percent), 10, 95, 90, "percent of map",
	 "Above it, only what frees or ends something passes."},
	{"store", "journal", SIZE, AT(journal_bytes), 0, 64 * MIB, 4 * MIB, "bytes",
	 "Journal: a few posts are durable by one write into it.  A 32nd of map at most; 0: none.  See renkeid(8), FILES."},
	{"store", "ahead", SIZE, AT(ahead_bytes), 0, 64 * GIB, 16 * MIB, "bytes",
	 "Zeros kept written behind the store's end: posts are durable sooner where the file need not grow.  0: none.  See renkeid(8), FILES."},
	{"store", "blob_reserve", SIZE, AT(blob_reserve_bytes), 0, 1024 * GIB, GIB, "bytes",
	 "Room on the disk that attachments, and what is written ahead, leave free for all else that stands on it."},

	{"log", "level", LEVEL, AT(log_level), LOG_LEVEL_ERROR, LOG_LEVEL_DEBUG, LOG_LEVEL_INFO,
	 "error, warning, info or debug",
	 "Less important lines are not written."},
	{"log", "lines", COUNT, AT(log_lines_per_s), 0, 100000, 50, "lines/s",
	 "Lines above this rate are counted instead of written.  0: no limit."},
	{"log", "metrics", COUNT, AT(metrics_s), 0, 86400, 60, "s", "Time between two lines of numbers.  0: none."},
};
#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

static const char *const level_names[] = {"error", "warning", "info", "debug"};
#define LEVEL_COUNT (sizeof(level_names) / sizeof(level_names[0]))

static const struct {
	const char *name;
	int64_t factor;
} size_units[] = {{"TiB", 1024 * GIB}, {"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}};
#define SIZE_UNIT_COUNT (sizeof(size_units) / sizeof(size_units[0]))

static int64_t *field(struct config *c, const struct setting *s)
{
	return (int64_t *)(void *)((char *)c + s->offset);
}

static int64_t value_of(const struct config *c, const struct setting *s)
{
	int64_t v;

	memcpy(&v, (const char *)c + s->offset, sizeof(v));
	return v;
}

void config_defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < SETTING_COUNT; i++)
		*field(c, &settings[i]) = settings[i].initial;
}

bool config_at(size_t i, struct config_row *out)
{
	if (i >= SETTING_COUNT)
		return false;
	*out = (struct config_row){settings[i].section, settings[i].name, settings[i].min, settings[i].max,
	                           settings[i].initial};
	return true;
}

/* Digits only, then for sizes an optional unit.  False on anything else, and on overflow. */
static bool parse_number(enum type type, const char *text, int64_t *out)
{
	int64_t factor = 1;
	char *end;
	long long v;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno != 0)
		return false;
	while (*end == ' ')
		end++;
	for (size_t i = 0; type == SIZE && i < SIZE_UNIT_COUNT; i++) {
		if (strcmp(end, size_units[i].name) != 0)
			continue;
		factor = size_units[i].factor;
		end += strlen(end);
	}
	if (*end != '\0')
		return false;
	return !__builtin_mul_overflow((int64_t)v, factor, out);
}

static bool parse_value(const struct setting *s, const char *text, int64_t *out)
{
	if (s->type != LEVEL)
		return parse_number(s->type, text, out);
	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*out = (int64_t)i;
			return true;
		}
	}
	return false;
}

static void print_value(char *out, size_t len, const struct setting *s, int64_t v)
{
	if (s->type == LEVEL) {
		snprintf(out, len, "%s", level_names[v]);
		return;
	}
	for (size_t i = 0; s->type == SIZE && i < SIZE_UNIT_COUNT; i++) {
		if (v == 0 || v % size_units[i].factor != 0)
			continue;
		snprintf(out, len, "%" PRId64 " %s", v / size_units[i].factor, size_units[i].name);
		return;
	}
	snprintf(out, len, "%" PRId64, v);
}

/* What a parse run knows: inih calls back once a line and remembers the number of the first line that was refused. */
struct run {
	struct config *config;
	bool seen[SETTING_COUNT];
	char reason[CONFIG_ERROR_CHARS / 2]; /* of the first refusal */
};

static int refuse(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct run *r, const char *format, ...)
{
	va_list ap;

	if (r->reason[0] != '\0')
		return 0;
	va_start(ap, format);
	vsnprintf(r->reason, sizeof(r->reason), format, ap);
	va_end(ap);
	return 0;
}

static int on_line(void *user, const char *section, const char *name, const char *value)
{
	struct run *r = user;
	char low[64], high[64];
	int64_t v;

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *s = &settings[i];

		if (strcmp(s->section, section) != 0 || strcmp(s->name, name) != 0)
			continue;
		if (r->seen[i])
			return refuse(r, "%.40s is set twice", name);
		r->seen[i] = true;
		print_value(low, sizeof(low), s, s->min);
		print_value(high, sizeof(high), s, s->max);
		if (!parse_value(s, value, &v) && s->type == LEVEL)
			return refuse(r, "%s must be error, warning, info or debug, not '%.40s'", name, value);
		if (!parse_value(s, value, &v))
			return refuse(r, "%s must be a number from %s to %s (%s), not '%.40s'", name, low, high,
			              s->unit, value);
		if (v < s->min || v > s->max)
			return refuse(r, "%s must be from %s to %s (%s), not '%.40s'", name, low, high, s->unit, value);
		*field(r->config, s) = v;
		return 1;
	}
	return refuse(r, "there is no setting '%.40s' in section [%.40s]; `renkeid config` lists them all", name,
	              section);
}

/* Rules between settings. */
static bool check_whole(const struct config *c, char error[CONFIG_ERROR_CHARS], const char *path)
{
	if (c->soft_percent < c->hard_percent)
		return true;
	snprintf(error, CONFIG_ERROR_CHARS, "%s: [store] soft_mark (%" PRId64 ") must be below hard_mark (%" PRId64 ")",
	         path, c->soft_percent, c->hard_percent);
	return false;
}

int config_read_text(struct config *c, const char *path, const char *text, char error[CONFIG_ERROR_CHARS])
{
	struct run r = {.config = c};
	int line;

	error[0] = '\0';
	config_defaults(c);
	line = ini_parse_string(text, on_line, &r);
	if (line < 0)
		return RK_ENOMEM;
	if (line > 0) {
		snprintf(error, CONFIG_ERROR_CHARS, "%s:%d: %s", path, line,
		         r.reason[0] != '\0' ? r.reason : "expected [section], name = value, or a comment");
		return RK_MALFORMED;
	}
	return check_whole(c, error, path) ? RK_OK : RK_MALFORMED;
}

int config_read(struct config *c, const char *path, char error[CONFIG_ERROR_CHARS])
{
	char *text = NULL;
	FILE *f = NULL;
	size_t n;
	int r = RK_EIO;

	config_defaults(c);
	f = fopen(path, "re");
	if (f == NULL) {
		snprintf(error, CONFIG_ERROR_CHARS, "%s: cannot be opened: %s", path, strerror(errno));
		goto out;
	}
	text = calloc(1, FILE_MAX_BYTES + 1);
	if (text == NULL) {
		r = RK_ENOMEM;
		goto out;
	}
	n = fread(text, 1, FILE_MAX_BYTES + 1, f);
	if (ferror(f)) {
		snprintf(error, CONFIG_ERROR_CHARS, "%s: cannot be read: %s", path, strerror(errno));
		goto out;
	}
	r = RK_MALFORMED;
	if (n > FILE_MAX_BYTES || memchr(text, '\0', n) != NULL) {
		snprintf(error, CONFIG_ERROR_CHARS, "%s: is not a configuration file: larger than 64 KiB, or binary",
		         path);
		goto out;
	}
	r = config_read_text(c, path, text, error);
out:
	if (f != NULL)
		fclose(f);
	free(text);
	return r;
}

void config_print(const struct config *c, FILE *out)
{
	const char *section = "";
	char value[64], low[64], high[64], initial[64];

	fprintf(out, "# Settings of renkeid.  Every line may be left out.\n"
	             "# What is written here is checked by `renkeid config --check FILE`.\n");
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *s = &settings[i];

		if (strcmp(section, s->section) != 0) {
			section = s->section;
			fprintf(out, "\n[%s]\n", section);
		}
		print_value(value, sizeof(value), s, value_of(c, s));
		print_value(low, sizeof(low), s, s->min);
		print_value(high, sizeof(high), s, s->max);
		print_value(initial, sizeof(initial), s, s->initial);
		if (s->type == LEVEL)
			fprintf(out, "# %s  (%s; default %s)\n", s->doc, s->unit, initial);
		else
			fprintf(out, "# %s  (%s, %s to %s; default %s)\n", s->doc, s->unit, low, high, initial);
		fprintf(out, "%s = %s\n", s->name, value);
	}
}
