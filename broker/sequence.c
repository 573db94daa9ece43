#include "broker/sequence.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "proto/errcode.h"

struct sequence {
	struct sequence_clock clock;
	int64_t wall_start, boot_start;
	_Atomic int64_t last_ms;
};

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t system_wall(void *user)
{
	(void)user;
	return read_clock(CLOCK_REALTIME);
}

static int64_t system_boot(void *user)
{
	(void)user;
	return read_clock(CLOCK_BOOTTIME);
}

const struct sequence_clock sequence_system_clock = {system_wall, system_boot, NULL};

int sequence_new(const struct sequence_clock *clock, int64_t last_ms, bool accept_backward, struct sequence **out)
{
	struct sequence *s;

	*out = NULL;
	/* A forward gap is a broker that stood still; a backward one is a wrong clock, now or then. */
	if (!accept_backward && clock->wall_ms(clock->user) < last_ms - SEQUENCE_STEP_MS)
		return RK_CLOCK;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return RK_ENOMEM;
	s->clock = *clock;
	s->wall_start = clock->wall_ms(clock->user);
	s->boot_start = clock->boot_ms(clock->user);
	atomic_init(&s->last_ms, last_ms);
	*out = s;
	return RK_OK;
}

void sequence_free(struct sequence *s)
{
	free(s);
}

int64_t sequence_drift(const struct sequence *s)
{
	int64_t wall = s->clock.wall_ms(s->clock.user) - s->wall_start;
	int64_t boot = s->clock.boot_ms(s->clock.user) - s->boot_start;

	return wall - boot;
}

int64_t sequence_time(const struct sequence *s)
{
	int64_t now = s->clock.wall_ms(s->clock.user);
	int64_t last = atomic_load(&s->last_ms);

	return now > last ? now : last;
}

bool sequence_next(struct sequence *s, int64_t *time_ms)
{
	int64_t drift = sequence_drift(s);

	if (drift > SEQUENCE_STEP_MS || drift < -SEQUENCE_STEP_MS)
		return false;
	*time_ms = sequence_time(s);
	atomic_store(&s->last_ms, *time_ms);
	return true;
}
