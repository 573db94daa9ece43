#include "tests/bench/load_kit.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SENT_SLOTS 65536       /* more than any window */
#define LATENCY_ROOM ((uint64_t)8 << 20)

double load_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void load_die(const struct load *l, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "load of %s: ", l->system);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* The name in parentheses may have spaces. */
double load_cpu(const struct load *l)
{
	char path[64], line[1024];
	unsigned long user, system;
	const char *after;

	snprintf(path, sizeof(path), "/proc/%d/stat", l->pid);
	FILE *f = fopen(path, "r");
	if (f == NULL || fgets(line, sizeof(line), f) == NULL || (after = strrchr(line, ')')) == NULL ||
	    sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		load_die(l, "no process %d", l->pid);
	fclose(f);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void usage(const char *program)
{
	fprintf(stderr,
		"usage: %s --pid BROKER --endpoint WHERE [--path FILE] [--subscribers N] [--window N] [--seconds S] [--posts MAX]\n"
		"          [--warm-up POSTS] [--rate POSTS_A_SECOND] [--writers N] [--idle N] [--stuck N]\n"
		"          [--life S]\n",
		program);
	exit(2);
}

static const struct option options[] = {
	{"pid", required_argument, NULL, 'p'},     {"endpoint", required_argument, NULL, 'e'}, {"path", required_argument, NULL, 'f'},
	{"subscribers", required_argument, NULL, 's'}, {"window", required_argument, NULL, 'w'}, {"seconds", required_argument, NULL, 't'},
	{"posts", required_argument, NULL, 'n'},   {"warm-up", required_argument, NULL, 'u'},  {"rate", required_argument, NULL, 'r'},
	{"writers", required_argument, NULL, 'W'}, {"idle", required_argument, NULL, 'i'},     {"stuck", required_argument, NULL, 'k'},
	{"life", required_argument, NULL, 'l'},
	{NULL, 0, NULL, 0},
};

void load_options(struct load *l, const char *system, int argc, char **argv)
{
	int c;

	*l = (struct load){.system = system, .subscribers = 1, .window = 1000, .writers = 1, .seconds = 5, .posts = 1000000,
			   .warm_up = 1000, .life = 90 * 86400.0};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p': l->pid = atoi(optarg); break;
		case 'e': l->endpoint = optarg; break;
		case 'f': l->path = optarg; break;
		case 's': l->subscribers = (unsigned)atoi(optarg); break;
		case 'w': l->window = (unsigned)atoi(optarg); break;
		case 't': l->seconds = atof(optarg); break;
		case 'n': l->posts = strtoull(optarg, NULL, 10); break;
		case 'u': l->warm_up = strtoull(optarg, NULL, 10); break;
		case 'r': l->rate = atof(optarg); break;
		case 'W': l->writers = (unsigned)atoi(optarg); break;
		case 'i': l->idle = (unsigned)atoi(optarg); break;
		case 'k': l->stuck = (unsigned)atoi(optarg); break;
		case 'l': l->life = atof(optarg); break;
		default: usage(argv[0]);
		}
	}
	if (optind != argc || l->pid <= 0 || l->endpoint == NULL || l->subscribers < 1 || l->subscribers > LOAD_SUBSCRIBERS_MAX ||
	    l->window < 1 || l->window > SENT_SLOTS || l->warm_up < 1 || l->posts <= l->warm_up || l->writers < 1 || l->life <= 0)
		usage(argv[0]);
	l->sent_slots = SENT_SLOTS;
	l->latency_room = l->rate > 0 ? LATENCY_ROOM : 0;
	l->got = calloc(l->subscribers, sizeof(*l->got));
	l->sent_at = calloc(l->sent_slots, sizeof(*l->sent_at));
	l->latency = l->rate > 0 ? calloc(l->latency_room, sizeof(*l->latency)) : NULL;
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->got == NULL || l->sent_at == NULL || (l->rate > 0 && l->latency == NULL) || l->timer < 0)
		load_die(l, "no memory");
}

void load_free(struct load *l)
{
	free(l->got);
	free(l->sent_at);
	free(l->latency);
	close(l->timer);
}

/* ---- phases */

static void begin_phase(struct load *l)
{
	l->phase_begin = l->sent;
	l->closed = false;
	l->cpu_began = load_cpu(l);
	l->began = load_now();
	if (l->rate > 0) { /* a moment that epoll can wait for: its own time-outs are whole milliseconds */
		long ns = (long)(1e9 / l->rate);
		struct itimerspec every = {{ns / 1000000000, ns % 1000000000}, {0, 1}};
		timerfd_settime(l->timer, 0, &every, NULL);
	}
}

void load_start(struct load *l)
{
	l->at_slowest = l->subscribers;
	begin_phase(l);
}

static bool is_closed(struct load *l, double now)
{
	if (!l->measuring)
		return l->sent >= l->warm_up;
	return l->sent >= l->posts || now - l->began >= l->seconds;
}

bool load_may_send(struct load *l)
{
	uint64_t ready = l->acked < l->slowest ? l->acked : l->slowest;
	double now, due;

	if (l->closed || l->sent - ready >= l->window)
		return false;
	now = load_now();
	if (is_closed(l, now)) {
		l->closed = true;
		return false;
	}
	if (l->rate == 0)
		return true;
	due = l->began + (double)(l->sent - l->phase_begin) / l->rate;
	if (now < due)
		return false;
	if (l->measuring && now - due > l->late)
		l->late = now - due;
	return true;
}

void load_sent(struct load *l)
{
	l->sent_at[l->sent % l->sent_slots] = load_now();
	l->sent++;
}

void load_acked(struct load *l, uint64_t n)
{
	l->acked += n;
	if (l->acked > l->sent)
		load_die(l, "%llu acknowledged of %llu posts", (unsigned long long)l->acked, (unsigned long long)l->sent);
	if (l->acked == l->sent)
		l->acked_at = load_now();
}

/* The slowest subscriber has one post more; how many others have no more than that? */
static void raise_slowest(struct load *l)
{
	l->slowest++;
	for (unsigned i = 0; i < l->subscribers; i++)
		l->at_slowest += l->got[i] == l->slowest;
}

void load_delivered(struct load *l, unsigned subscriber, uint64_t post)
{
	if (post != l->got[subscriber] || post >= l->sent)
		load_die(l, "subscriber %u got post %llu after %llu, of %llu sent: lost or doubled", subscriber, (unsigned long long)post,
			 (unsigned long long)l->got[subscriber], (unsigned long long)l->sent);
	l->delivered++;
	if (l->measuring && l->latency_count < l->latency_room)
		l->latency[l->latency_count++] = (float)(load_now() - l->sent_at[post % l->sent_slots]);
	if (l->got[subscriber]++ == l->slowest && --l->at_slowest == 0)
		raise_slowest(l);
}

bool load_is_done(struct load *l)
{
	uint64_t unread;

	if (l->rate > 0 && read(l->timer, &unread, sizeof(unread)) < 0) {
		/* Not due yet, or read already: either is fine. */
	}
	if (!l->closed && is_closed(l, load_now()))
		l->closed = true;
	if (!l->closed || l->acked < l->sent || l->slowest < l->sent)
		return false;
	if (l->measuring) {
		l->ended = load_now();
		l->cpu_ended = load_cpu(l);
		return true;
	}
	l->measuring = true;
	begin_phase(l);
	return false;
}

/* ---- the result */

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double percentile_ms(const struct load *l, double p)
{
	return 1e3 * (double)l->latency[(uint64_t)(p * (double)(l->latency_count - 1))];
}

/* In steps that a plot of the distribution needs: what the slowest 1 in 10, 100, 1,000 take. */
static void report_latency(struct load *l)
{
	static const double steps[] = {0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 1};

	qsort(l->latency, l->latency_count, sizeof(*l->latency), compare);
	printf(", \"p50_ms\": %.4f, \"p90_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f, \"sent_late_ms\": %.3f, \"latency_ms\": [",
	       percentile_ms(l, 0.5), percentile_ms(l, 0.9), percentile_ms(l, 0.99), percentile_ms(l, 1), l->late * 1e3);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		printf("%s[%g, %.4f]", i > 0 ? ", " : "", steps[i], percentile_ms(l, steps[i]));
	printf("]");
}

void load_report(struct load *l)
{
	double posts = (double)(l->sent - l->phase_begin), deliveries = posts * l->subscribers;
	double cpu = l->cpu_ended - l->cpu_began;

	printf("{\"system\": \"%s\", \"subscribers\": %u, \"window\": %u, \"rate\": %g, \"idle\": %u, \"stuck\": %u, \"posts\": %.0f, "
	       "\"seconds\": %.3f, \"cpu_seconds\": %.2f, \"cpu_us_per_delivery\": %.3f, \"deliveries_per_s\": %.0f, "
	       "\"acknowledged_per_s\": %.0f",
	       l->system, l->subscribers, l->window, l->rate, l->idle, l->stuck, posts, l->ended - l->began, cpu, cpu / deliveries * 1e6,
	       deliveries / (l->ended - l->began), posts / (l->acked_at - l->began));
	if (l->rate > 0 && l->latency_count > 0)
		report_latency(l);
	printf("}\n");
}

/* ---- payloads that are not sealed */

void load_payload(uint8_t out[LOAD_PAYLOAD_BYTES], uint64_t post)
{
	static uint8_t noise[LOAD_PAYLOAD_BYTES];
	static bool made;

	/* Bytes that no compression makes small; the same in all posts, so that making them costs the load nothing. */
	for (uint32_t i = 0, x = 2463534242u; !made && i < sizeof(noise); i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		noise[i] = (uint8_t)x;
	}
	made = true;
	memcpy(out, noise, sizeof(noise));
	memcpy(out, &post, sizeof(post));
}

uint64_t load_payload_post(const uint8_t *payload)
{
	uint64_t post;

	memcpy(&post, payload, sizeof(post));
	return post;
}
