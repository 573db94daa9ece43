/* feed: which channels this organisation follows, and watching what arrives. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/cli/out.h"
#include "client/cli/resume.h"
#include "client/cli/show.h"
#include "proto/strict.h"

#define RETRY_S 5
#define STEP_MS 200
#define TOPIC_KEY_MAX 200
#define TYPE_COLUMNS 10
/* watch: the time of --for is over.  No code of errcode.h. */
#define WATCH_OVER (-2001)

/* ---- follow, unfollow, list */

static int follow(struct cli *c, int argc, char **argv, bool on)
{
	const struct cli_usage usage = {NULL, "TYPE…", 1, 6, on ? TEXT_HELP_FOLLOW : TEXT_NONE};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	for (unsigned i = 0; rc == RK_OK && i < args.count; i++)
		if (cli_channel(args.arg[i]) == RK__CHANNEL__CHANNEL_NONE)
			return cli_refuse(c, RK_EUSAGE, TEXT_HINT_TYPES, TEXT_BAD_TYPE, args.arg[i]);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	for (unsigned i = 0; rc == RK_OK && i < args.count; i++) {
		rc = feed_follow(c->client, cli_channel(args.arg[i]), on);
		if (rc != RK_OK)
			return rc;
		if (!c->json) {
			out_line(c, on ? TEXT_FOLLOWING : TEXT_UNFOLLOWED, cli_word(c, cli_channel_name(cli_channel(args.arg[i]))));
			continue;
		}
		json_t *j = json_object();
		out_set_text(j, "type", cli_channel_name(cli_channel(args.arg[i])));
		out_set_bool(j, "following", on);
		rc = out_json(j);
	}
	return rc;
}

int cmd_feed_follow(struct cli *c, int argc, char **argv)
{
	return follow(c, argc, argv, true);
}

int cmd_feed_unfollow(struct cli *c, int argc, char **argv)
{
	return follow(c, argc, argv, false);
}

struct counting { unsigned live[8]; };

static int count_post(void *user, const struct post_view *v)
{
	struct counting *n = user;
	if (v->record->channel < 8)
		n->live[v->record->channel]++;
	return RK_OK;
}

static int list_feeds(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct counting n = {0};
	const struct post_filter every = {0};
	struct out_table *table = user;
	unsigned mask = post_followed(txn);
	char count[16];
	(void)a;
	int rc = post_each(c->client, txn, &every, count_post, &n);
	for (int channel = RK__CHANNEL__OFFER; rc == RK_OK && channel <= RK__CHANNEL__NOTICE; channel++) {
		bool on = mask & 1u << channel;
		if (c->json) {
			json_t *j = json_object();
			out_set_text(j, "type", cli_channel_name((Rk__Channel)channel));
			out_set_bool(j, "following", on);
			out_set_number(j, "posts", n.live[channel]);
			rc = out_json(j);
			continue;
		}
		snprintf(count, sizeof(count), "%u", n.live[channel]);
		out_table_row(table);
		out_table_cell(table, cli_word(c, cli_channel_name((Rk__Channel)channel)));
		out_table_cell(table, text(on ? TEXT_YES : TEXT_NO, c->lang));
		out_table_cell(table, count);
	}
	return rc;
}

int cmd_feed_list(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_H_TYPE, TEXT_H_FOLLOWED, TEXT_H_POSTS};
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_NONE};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc == RK_OK && (rc = keys_unlock(c->client, KEY_DEVICE)) != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_READ);
	if (rc != RK_OK)
		return rc;
	struct out_table *table = c->json ? NULL : out_table_new(c, 3, headings);
	rc = show_read(c, list_feeds, table);
	out_table_end(table, TEXT_NONE);
	return rc;
}

/* ---- watch */

struct watch {
	struct cli *c;
	struct post_filter filter;
	struct resume resume;                   /* what stdout holds */
	char position_key[TOPIC_KEY_MAX + 32];  /* of C_META: last arrival printed by a watch of this filter */
	uint64_t position;
	int64_t until_ms;                       /* of the monotonic clock; 0: none */
	bool until_idle;
};

static int64_t monotonic_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The line of an arrival, malloc'ed; *line NULL: nothing to print under this filter. */
static int make_line(struct watch *w, struct txn *txn, struct arena *a, const struct post_arrival *arrival, char **line)
{
	struct cli *c = w->c;
	struct post_view v;
	char shown[OUT_ID_CHARS], when[OUT_TIME_CHARS];
	*line = NULL;
	int rc = post_load(c->client, txn, arrival->post_id, a, &v);
	if (rc == RK_ENOTFOUND)
		return RK_OK;
	if (rc != RK_OK || !post_matches(&v, &w->filter))
		return rc;
	const char *op = post_arrival_op(&v, arrival->seq);
	if (c->json) {
		json_t *j = show_post_json(c, txn, &v, a);
		out_set_text(j, "op", op);
		out_set_number(j, "seq", (int64_t)arrival->seq);
		*line = out_json_line(j);
		return *line ? RK_OK : RK_ENOMEM;
	}
	char *title = out_clean(show_post_title(c, &v), false);
	char *author = out_clean(book_org_name(c->client, txn, v.record->sender_org.data, c->lang, a), false);
	const char *type = cli_word(c, cli_channel_name(arrival->channel));
	/* What ended says so in place of its title. */
	bool plain = strcmp(op, "new") == 0 || !v.post;
	int pad = out_width(type) < TYPE_COLUMNS ? (int)(TYPE_COLUMNS - out_width(type)) : 0;
	int n = asprintf(line, "%s  %s%*s  %s  %s%s%s  [%s]\n", out_time(when, v.record->time_ms), type, pad, "",
			 out_short(shown, bytes_of(v.record->post_id)), plain ? "" : cli_word(c, op), plain ? "" : ": ",
			 title ? title : "", author ? author : "");
	free(title);
	free(author);
	return n < 0 ? RK_ENOMEM : RK_OK;
}

/* The position moves only after the line has left this process, so that none is lost; resume.c sees to it that none comes twice. */
static int move_on(struct watch *w, uint64_t no)
{
	struct txn *txn;
	int rc = env_begin(client_env(w->c->client), true, &txn);
	if (rc != RK_OK)
		return rc;
	rc = meta_put_u64(txn, w->position_key, no);
	if (rc == RK_OK)
		rc = resume_remember(&w->resume, txn);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	if (rc == RK_OK)
		w->position = no;
	return rc;
}

static int read_next(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct watch *w = user;
	struct post_arrival arrival;
	int rc = post_next_arrival(txn, w->position, &arrival);
	(void)c;
	if (rc != RK_OK)
		return rc;
	char *line;
	rc = make_line(w, txn, a, &arrival, &line);
	if (rc == RK_OK && line)
		rc = resume_print(&w->resume, line);
	free(line);
	/* Kept aside: the transaction ends before the position is written. */
	if (rc == RK_OK)
		w->position = arrival.no;
	return rc;
}

/* Prints what is there, for budget_ms at most (0: all): each line costs a commit, and the link must go on in between. */
static int print_new(struct watch *w, int64_t budget_ms)
{
	int64_t begun = monotonic_ms();
	while (!w->c->stop && (!budget_ms || monotonic_ms() - begun < budget_ms)) {
		uint64_t before = w->position;
		int rc = show_read(w->c, read_next, w);
		if (rc == RK_ENOTFOUND)
			return RK_OK;
		if (rc == RK_OK)
			rc = move_on(w, w->position);
		if (rc != RK_OK) {
			w->position = before;
			return rc;
		}
	}
	return RK_OK;
}

static int step(struct client *client, void *user)
{
	struct watch *w = user;
	(void)client;
	/* Who reads no more is not kept waiting for the next post. */
	int rc = out_is_cut() ? RK_EIO : print_new(w, STEP_MS);
	if (rc == RK_OK && w->until_ms && monotonic_ms() >= w->until_ms)
		return WATCH_OVER;
	return rc;
}

/* Waits before the next attempt, but not past --for. */
static void pause_before_retry(struct watch *w)
{
	for (int i = 0; i < RETRY_S * 4 && !w->c->stop; i++) {
		struct timespec quarter = {0, 250000000};
		if (w->until_ms && monotonic_ms() >= w->until_ms)
			return;
		nanosleep(&quarter, NULL);
		if (print_new(w, 0) != RK_OK)
			return;
	}
}

static int run_watch(struct watch *w)
{
	bool said = false;
	for (;;) {
		struct link_options options = {.timeout_ms = -1, .stop = &w->c->stop, .step = step, .user = w,
					       .until_synced = w->until_idle, .without_bulk = true};
		int rc = print_new(w, 0);
		if (rc == RK_OK)
			rc = link_run(w->c->client, &options);
		if (rc == RK_OK)
			rc = print_new(w, 0);
		if (rc == WATCH_OVER || (rc == RK_OK && w->until_idle))
			return RK_OK;
		if (w->c->stop)
			return RK_EINTERRUPTED;
		if (rc == RK_EIO && out_is_cut())
			return rc;
		bool again = rc == RK_OK || rc == RK_EUNREACHABLE || rc == RK_ETIMEOUT || rc == RK_MOVING || rc == RK_BUSY;
		if (!again || w->until_idle)
			return cli_fail(w->c, rc, TEXT_CANNOT_WATCH);
		if (rc != RK_OK && !said)
			out_warn(w->c, TEXT_WATCH_RETRIES, errcode_sentence(rc, w->c->lang));
		said = said || rc != RK_OK;
		if (w->until_ms && monotonic_ms() >= w->until_ms)
			return RK_OK;
		pause_before_retry(w);
	}
}

/* Each filter has its own place, so that a watch for one topic does not swallow what another was to print. */
static int find_position(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct watch *w = user;
	(void)a;
	snprintf(w->position_key, sizeof(w->position_key), "%s%s%s%s%s", META_WATCH, w->filter.channel ? "/" : "",
		 w->filter.channel ? cli_channel_name(w->filter.channel) : "", w->filter.topic ? "/topic/" : "",
		 w->filter.topic ? w->filter.topic : "");
	w->position = meta_u64(txn, w->position_key);
	resume_begin(&w->resume, txn, w->position_key);
	if (!post_followed(txn))
		return cli_refuse(c, RK_ENOTFOUND, TEXT_HINT_FOLLOW, TEXT_FOLLOWS_NOTHING);
	if (w->filter.channel && !(post_followed(txn) & 1u << w->filter.channel))
		return cli_refuse(c, RK_ENOTFOUND, TEXT_HINT_FOLLOW, TEXT_NOT_FOLLOWED,
				  cli_word(c, cli_channel_name(w->filter.channel)));
	return RK_OK;
}

int cmd_feed_watch(struct cli *c, int argc, char **argv)
{
	const char *type = NULL, *topic = NULL;
	int64_t seconds = -1;
	bool all = false;
	struct watch w = {.c = c, .filter.all = true};
	const struct cli_option options[] = {
		{"type", CLI_TEXT, &type, "TYPE", TEXT_OPT_WATCH_TYPE, false},
		{"topic", CLI_TEXT, &topic, "PREFIX", TEXT_OPT_TOPIC, false},
		{"all", CLI_FLAG, &all, NULL, TEXT_OPT_WATCH_ALL, false},
		{"for", CLI_NUMBER, &seconds, "SECONDS", TEXT_OPT_WATCH_FOR, false},
		{"until-idle", CLI_FLAG, &w.until_idle, NULL, TEXT_OPT_UNTIL_IDLE, false},
		{0},
	};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_WATCH};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc != RK_OK)
		return rc;
	if (type && (w.filter.channel = cli_channel(type)) == RK__CHANNEL__CHANNEL_NONE)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_TYPES, TEXT_BAD_TYPE, type);
	if (topic && (!*topic || strlen(topic) > TOPIC_KEY_MAX - 20))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_BAD_FIELD, "--topic");
	w.filter.topic = topic;
	if ((rc = cli_open_joined(c)) != RK_OK || (rc = show_read(c, find_position, &w)) != RK_OK)
		return rc;
	if ((rc = keys_unlock(c->client, KEY_DEVICE)) != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_READ);
	if (all && (rc = move_on(&w, 0)) != RK_OK)
		return rc;
	w.until_ms = seconds >= 0 ? monotonic_ms() + seconds * 1000 : 0;
	rc = run_watch(&w);
	resume_end(&w.resume);
	return rc;
}
