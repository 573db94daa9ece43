#include "broker/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/bytes.h"
#include "proto/ids.h"

#define LINE_MAX_BYTES 1024
#define BURST_SECONDS 10

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_level max_level = LOG_LEVEL_INFO;
static uint32_t cap_per_s;
static double tokens;       /* lines that may be written now */
static int64_t tokens_at_ms;
static uint64_t suppressed; /* since the last line that passed */

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void log_set(enum log_level level, uint32_t lines_per_s)
{
	pthread_mutex_lock(&lock);
	max_level = level;
	cap_per_s = lines_per_s;
	tokens = (double)lines_per_s * BURST_SECONDS;
	tokens_at_ms = monotonic_ms();
	pthread_mutex_unlock(&lock);
}

/* Takes one token.  Errors always pass: they are few, since the process ends or degrades with them. */
static bool may_write(enum log_level level)
{
	int64_t now = monotonic_ms();

	if (level > max_level)
		return false;
	if (cap_per_s == 0 || level == LOG_LEVEL_ERROR)
		return true;
	tokens += (double)(now - tokens_at_ms) * cap_per_s / 1000;
	tokens_at_ms = now;
	if (tokens > (double)cap_per_s * BURST_SECONDS)
		tokens = (double)cap_per_s * BURST_SECONDS;
	if (tokens < 1) {
		suppressed++;
		return false;
	}
	tokens -= 1;
	return true;
}

/* Values may hold foreign text: nothing of it may end a line or colour a terminal. */
static void make_printable(char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
}

void log_line(enum log_level level, const char *subsystem, const char *event, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t len;
	va_list ap;
	int n;

	pthread_mutex_lock(&lock);
	if (!may_write(level))
		goto out;
	n = snprintf(line, sizeof(line) - 64, "%s %s %s ", level_names[level], subsystem, event);
	len = n < 0 ? 0 : (size_t)n;
	va_start(ap, format);
	n = vsnprintf(line + len, sizeof(line) - 64 - len, format, ap);
	va_end(ap);
	len = strnlen(line, sizeof(line) - 64);
	while (len > 0 && line[len - 1] == ' ')
		len--;
	make_printable(line, len);
	if (suppressed != 0) {
		len += (size_t)snprintf(line + len, 48, " suppressed=%llu", (unsigned long long)suppressed);
		suppressed = 0;
	}
	line[len++] = '\n';
	/* One write, so that lines of several threads and processes do not mix; a full pipe loses the line, not the
	 * broker. */
	if (write(STDERR_FILENO, line, len) < 0)
		suppressed++;
out:
	pthread_mutex_unlock(&lock);
}

const char *log_id(char out[LOG_ID_CHARS], const uint8_t id[16])
{
	ids_hex(out, bytes_make(id, 16));
	return out;
}
