/* standing: dates that run out, and the agent. */
#include "client/cli/standing.h"

#include <stdio.h>

#include "client/cli/out.h"

#define DAY_MS ((int64_t)86400000)

/* label: for the line of a status; name: within a sentence. */
static const struct { const char *key; enum text_id label, name; int soon; } dates[STANDING_COUNT] = {
	[STANDING_KX] = {"kx", TEXT_F_LAST_KX, TEXT_DOC_KX, 7},                   /* renewed 10 days before */
	[STANDING_DIRECTORY] = {"directory", TEXT_F_LAST_DIRECTORY, TEXT_DOC_DIRECTORY, 5}, /* 7 days before */
	[STANDING_EPOCH] = {"feed_epoch", TEXT_F_LAST_EPOCH, TEXT_DOC_EPOCH, 3},     /* 7 days before */
	[STANDING_DEVICES] = {"device_list", TEXT_F_LAST_DEVICE_LIST, TEXT_DOC_DEVICE_LIST, 30},
	[STANDING_CHARTER] = {"charter", TEXT_F_LAST_CHARTER, TEXT_DOC_CHARTER, 60},   /* 90 days before */
};

enum text_id standing_name(enum standing_date d)
{
	return dates[d].name;
}

int standing_days_soon(enum standing_date d)
{
	return dates[d].soon;
}

int standing_gather(struct cli *c, struct txn *txn, struct arena *a, struct standing *s)
{
	Rk__OrgDevices *devices;
	Rk__Directory *d;
	Rk__Charter *charter;
	Rk__FeedEpoch *e;
	Rk__DeviceKx *kx;
	uint8_t oh[32];
	memset(s, 0, sizeof(*s));
	if (book_device_kx(c->client, txn, client_device_id(c->client), a, &kx) == RK_OK)
		s->until[STANDING_KX] = kx->not_after;
	if (book_directory(c->client, txn, a, &d, oh) == RK_OK)
		s->until[STANDING_DIRECTORY] = d->expires_at;
	if (book_epoch(c->client, txn, 0, a, &e, oh) == RK_OK)
		s->until[STANDING_EPOCH] = e->not_after;
	if (book_org_devices(c->client, txn, client_org_id(c->client), a, &devices, oh) == RK_OK)
		s->until[STANDING_DEVICES] = devices->valid_until;
	if (book_charter(c->client, txn, a, &charter) == RK_OK)
		s->until[STANDING_CHARTER] = charter->not_after;
	return agent_view(c->client, txn, &s->agent);
}

/* Whole days; below zero once it is over. */
static int64_t days_left(struct cli *c, int64_t until)
{
	int64_t left = until - client_now(c->client);
	return left >= 0 ? left / DAY_MS : -1;
}

void standing_json(struct cli *c, json_t *j, const struct standing *s)
{
	json_t *all = json_object(), *agent = json_object();
	for (size_t i = 0; i < STANDING_COUNT; i++) {
		json_t *one = json_object();
		out_set_time(one, "until", s->until[i]);
		if (s->until[i])
			out_set_number(one, "days_left", days_left(c, s->until[i]));
		json_object_set_new(all, dates[i].key, one);
	}
	json_object_set_new(j, "dates", all);
	out_set_bool(agent, "running", s->agent.is_running);
	out_set_bool(agent, "serves", s->agent.serves);
	out_set_time(agent, "since", s->agent.since);
	out_set_time(agent, "connected_since", s->agent.connected_since);
	json_object_set_new(j, "agent", agent);
}

static void agent_line(struct cli *c, const struct agent_view *v)
{
	char line[300], since[OUT_TIME_CHARS], connected[OUT_TIME_CHARS];
	enum text_id id = !v->is_running ? TEXT_AGENT_NOT_RUNNING : v->connected_since ? TEXT_AGENT_UP : TEXT_AGENT_DOWN;
	snprintf(line, sizeof(line), text(id, c->lang), out_time(since, v->since), out_time(connected, v->connected_since));
	out_field(c, TEXT_F_AGENT, line);
}

void standing_lines(struct cli *c, const struct standing *s)
{
	for (size_t i = 0; i < STANDING_COUNT; i++) {
		char line[200], until[OUT_TIME_CHARS];
		if (!s->until[i])
			continue;
		int64_t left = days_left(c, s->until[i]);
		snprintf(line, sizeof(line), text(left < 0 ? TEXT_STANDING_OVER : TEXT_STANDING_LEFT, c->lang), out_time(until, s->until[i]),
			 (long long)left);
		out_field(c, dates[i].label, line);
	}
	agent_line(c, &s->agent);
}
