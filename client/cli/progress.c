#include "client/cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL_MS 100
#define JSON_MS 1000
#define COLUMNS 80

static const struct {
	const char *name;
	enum text_id doing, done;    /* done: NONE says nothing */
} stages[PROGRESS_STAGE_COUNT] = {
	[PROGRESS_ENCRYPTING] = {"encrypting", TEXT_STAGE_ENCRYPTING, TEXT_STAGE_ENCRYPTED},
	[PROGRESS_SENDING] = {"sending", TEXT_STAGE_SENDING, TEXT_NONE},
	[PROGRESS_SENT] = {"verified", TEXT_STAGE_SENT, TEXT_STAGE_SENT},
	[PROGRESS_WAITING] = {"waiting", TEXT_STAGE_WAITING, TEXT_NONE},
	[PROGRESS_PICKED_UP] = {"picked_up", TEXT_STAGE_PICKED_UP, TEXT_STAGE_PICKED_UP},
	[PROGRESS_FETCHING] = {"fetching", TEXT_STAGE_FETCHING, TEXT_STAGE_FETCHED},
	[PROGRESS_VERIFYING] = {"verifying", TEXT_STAGE_VERIFYING, TEXT_STAGE_VERIFIED},
	[PROGRESS_SAVING] = {"saving", TEXT_STAGE_SAVING, TEXT_NONE},
	[PROGRESS_BACKUP] = {"backup", TEXT_STAGE_BACKUP, TEXT_NONE},
	[PROGRESS_RESTORE] = {"restore", TEXT_STAGE_RESTORE, TEXT_NONE},
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *progress_bytes(char buf[PROGRESS_BYTES_CHARS], uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t i = 0;

	while (value >= 1023.95 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		i++;
	}
	snprintf(buf, PROGRESS_BYTES_CHARS, i == 0 ? "%.0f %s" : "%.1f %s", value, units[i]);
	return buf;
}

/* "4s", "3m05s", "1h02m". */
static void put_time(char buf[32], int64_t seconds)
{
	if (seconds < 60)
		snprintf(buf, 32, "%llds", (long long)seconds);
	else if (seconds < 3600)
		snprintf(buf, 32, "%lldm%02llds", (long long)(seconds / 60), (long long)(seconds % 60));
	else
		snprintf(buf, 32, "%lldh%02lldm", (long long)(seconds / 3600), (long long)(seconds / 60 % 60));
}

static unsigned columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : COLUMNS;
}

/* What stands behind the name: figures, as far as there are any. */
static void put_figures(const struct progress *p, char *out, size_t room)
{
	char at[PROGRESS_BYTES_CHARS], total[PROGRESS_BYTES_CHARS], rate[PROGRESS_BYTES_CHARS], left[32] = "-";
	int64_t elapsed = now_ms() - p->began_ms;
	double per_s = elapsed > 0 ? (double)(p->at - p->from) * 1000.0 / (double)elapsed : 0;

	out[0] = '\0';
	if (p->total == 0)
		return;
	if (per_s >= 1)
		put_time(left, (int64_t)((double)(p->total - p->at) / per_s));
	snprintf(out, room, text(TEXT_PROGRESS_FIGURES, p->c->lang), progress_bytes(at, p->at), progress_bytes(total, p->total),
	         (unsigned)(p->at * 100 / p->total), progress_bytes(rate, (uint64_t)per_s), left);
}

/* One line, cut to the terminal at the name: the figures are what changes. */
static void show_line(struct progress *p)
{
	char figures[160], head[400], *clean = out_clean(p->name, false);
	unsigned wide = columns() - 1, used;
	size_t len = clean != NULL ? strlen(clean) : 0;
	bool is_cut = false;

	put_figures(p, figures, sizeof(figures));
	for (;;) {
		snprintf(head, sizeof(head), "%.*s%s%s%s", (int)len, clean != NULL ? clean : "", is_cut ? "…" : "", p->name[0] != '\0' ? ": " : "",
		         text(stages[p->stage].doing, p->c->lang));
		used = out_width(head) + out_width(figures);
		if (used <= wide || len == 0)
			break;
		is_cut = true;
		do
			len--;
		while (len > 0 && ((unsigned char)clean[len] & 0xC0) == 0x80);
	}
	/* A terminal too narrow even for that gets the figures' beginning: a second line would stay. */
	if (used > wide) {
		len = strlen(figures);
		while (len > 0 && out_width(figures) > wide) {
			do
				len--;
			while (len > 0 && ((unsigned char)figures[len] & 0xC0) == 0x80);
			figures[len] = '\0';
		}
		fprintf(stderr, "\r\033[K%s", figures);
	}
	else
		fprintf(stderr, "\r\033[K%s%s", head, figures);
	fflush(stderr);
	p->is_shown = true;
	free(clean);
}

static void show_json(const struct progress *p)
{
	json_t *o = json_object();
	char *line;

	out_set_text(o, "event", "progress");
	out_set_text(o, "stage", stages[p->stage].name);
	out_set_text(o, "name", p->name[0] != '\0' ? p->name : NULL);
	out_set_number(o, "bytes", (int64_t)p->at);
	out_set_number(o, "total", (int64_t)p->total);
	if ((line = out_json_line(o)) != NULL)
		fputs(line, stderr);
	free(line);
}

static bool is_terminal(const struct progress *p)
{
	return !p->c->json && isatty(STDERR_FILENO);
}

void progress_begin(struct progress *p, struct cli *c, enum progress_stage stage, const char *name, uint64_t total, uint64_t already)
{
	progress_end(p, p->at == p->total);
	*p = (struct progress){.c = c, .stage = stage, .total = total, .from = already, .at = already, .began_ms = now_ms()};
	snprintf(p->name, sizeof(p->name), "%s", name != NULL ? name : "");
	if (c->quiet)
		return;
	if (c->json)
		show_json(p);
	else if (is_terminal(p))
		show_line(p);
	p->shown_ms = p->began_ms;
}

void progress_at(struct progress *p, struct cli *c, enum progress_stage stage, const char *name, uint64_t done, uint64_t total)
{
	int64_t now = now_ms();

	if (p->stage != stage || p->total != total || strncmp(p->name, name != NULL ? name : "", sizeof(p->name) - 1) != 0)
		progress_begin(p, c, stage, name, total, done);
	p->at = done < total ? done : total;
	/* What goes back (a broker that lost some) must not count as less than nothing. */
	p->from = p->from < p->at ? p->from : p->at;
	if (c->quiet || now - p->shown_ms < (c->json ? JSON_MS : TERMINAL_MS))
		return;
	p->shown_ms = now;
	if (c->json)
		show_json(p);
	else if (is_terminal(p))
		show_line(p);
}

void progress_end(struct progress *p, bool is_done)
{
	char total[PROGRESS_BYTES_CHARS];
	enum text_id done = p->stage != PROGRESS_NONE ? stages[p->stage].done : TEXT_NONE;

	if (p->stage == PROGRESS_NONE)
		return;
	if (p->is_shown)
		fputs("\r\033[K", stderr);
	if (!p->c->quiet && p->c->json && is_done) {
		p->at = p->total;
		show_json(p);
	} else if (!p->c->quiet && is_done && done != TEXT_NONE) {
		char *clean = out_clean(p->name, false);

		/* Each stage leaves its line behind. */
		if (p->total > 0 && p->name[0] == '\0')
			out_say(p->c, TEXT_STAGE_LINE_ALONE, text(done, p->c->lang), progress_bytes(total, p->total));
		else if (p->total > 0)
			out_say(p->c, TEXT_STAGE_LINE, clean != NULL ? clean : "", text(done, p->c->lang), progress_bytes(total, p->total));
		else
			out_say(p->c, done);
		free(clean);
	}
	*p = (struct progress){.stage = PROGRESS_NONE};
}
