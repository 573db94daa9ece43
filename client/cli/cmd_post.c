/* post: publish, list, view, revise, renew, withdraw.  Import is cmd_import.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/out.h"
#include "client/cli/post_input.h"
#include "client/cli/show.h"
#include "proto/strict.h"

#define POST_ARENA_BYTES ((size_t)2 * 1024 * 1024)

/* ---- sending */

/* What was sent, once the exchange has it. */
static int print_sent(struct cli *c, const Rk__Post *post, const uint8_t post_id[32], const struct outcome *o, const char *status,
		      enum text_id sentence)
{
	char hex[OUT_ID_CHARS];
	if (c->json) {
		json_t *j = json_object();
		out_set_id(j, "post_id", bytes_make(post_id, 32));
		if (post) {
			out_set_text(j, "type", cli_channel_name(post->type));
			out_set_text(j, "title", post->texts[0]->title);
			out_set_text(j, "stream", cli_channel_name(post->type));
		}
		if (o && o->seq)
			out_set_number(j, "seq", (int64_t)o->seq);
		out_set_text(j, "status", status);
		return out_json(j);
	}
	out_line(c, sentence, out_hex(hex, bytes_make(post_id, 32)));
	return RK_OK;
}

static int queue_one(struct cli *c, const Rk__Post *post, int64_t lifetime_ms, enum post_queued *how, uint64_t *item,
		     uint8_t post_id[32])
{
	struct txn *txn = NULL;
	int rc = keys_unlock(c->client, KEY_DEVICE);
	if (rc == RK_OK)
		rc = env_begin(client_env(c->client), true, &txn);
	if (rc == RK_OK)
		rc = post_queue(c->client, txn, post, lifetime_ms, how, item, post_id);
	if (rc == RK_OK)
		rc = env_commit(txn);
	else
		env_abort(txn);
	return rc;
}

/* The type of --type and of the file: one of them, or both the same. */
static int settle_type(struct cli *c, const char *type, Rk__Post *post)
{
	Rk__Channel channel = cli_channel(type);
	if (type && channel == RK__CHANNEL__CHANNEL_NONE)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_TYPES, TEXT_BAD_TYPE, type);
	if (channel != RK__CHANNEL__CHANNEL_NONE && post->type != RK__CHANNEL__CHANNEL_NONE && channel != post->type)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_TYPES, TEXT_TYPES_DIFFER, type,
				  cli_word(c, cli_channel_name(post->type)));
	if (channel != RK__CHANNEL__CHANNEL_NONE)
		post->type = channel;
	if (post->type == RK__CHANNEL__CHANNEL_NONE)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_TYPES, TEXT_NO_TYPE);
	return RK_OK;
}

static int publish(struct cli *c, const Rk__Post *post, int64_t lifetime_ms)
{
	enum post_queued how;
	struct outcome o = {0};
	uint8_t post_id[32];
	uint64_t item;
	int rc = queue_one(c, post, lifetime_ms, &how, &item, post_id);
	if (rc != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_POST);
	if (how == POST_ALREADY)
		return print_sent(c, post, post_id, NULL, "already", TEXT_POST_ALREADY);
	if ((rc = cli_finish(c, item, TEXT_CANNOT_POST, &o)) != RK_OK)
		return rc;
	rc = print_sent(c, post, o.env_id, &o, "live", TEXT_POSTED);
	out_say(c, TEXT_FEED_LABEL);
	return rc;
}

int cmd_post_publish(struct cli *c, int argc, char **argv)
{
	const char *type = NULL, *file = NULL, *until = NULL;
	const struct cli_option options[] = {
		{"type", CLI_TEXT, &type, "TYPE", TEXT_OPT_TYPE, false},
		{"file", CLI_TEXT, &file, "FILE", TEXT_OPT_FILE, true},
		{"until", CLI_TEXT, &until, "DATE", TEXT_OPT_POST_UNTIL, false},
		{0},
	};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_POST_FILE};
	struct cli_args args;
	Rk__Post *post;
	int64_t lifetime_ms;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc == RK_OK)
		rc = post_input_until(c, until, &lifetime_ms);
	if (rc != RK_OK)
		return rc;
	struct arena *a = arena_new(POST_ARENA_BYTES);
	rc = a ? post_input_file(c, file, a, &post) : RK_ENOMEM;
	if (rc == RK_OK)
		rc = settle_type(c, type, post);
	if (rc == RK_OK)
		rc = publish(c, post, lifetime_ms);
	arena_free_wiped(a);
	return rc;
}

/* ---- changing what was sent */

enum change { CHANGE_REVISE, CHANGE_RENEW, CHANGE_WITHDRAW };

struct changing {
	enum change change;
	const char *wanted, *file, *until;
	Rk__Post *post;
	int64_t lifetime_ms;
	uint8_t post_id[32];
	Rk__Channel channel;
	int64_t expires_at;
};

static int find_own(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct changing *g = user;
	struct post_view v;
	int rc = show_find_post(c, txn, g->wanted, g->post_id);
	if (rc == RK_OK)
		rc = post_load(c->client, txn, g->post_id, a, &v);
	if (rc == RK_OK && !v.mine)
		return cli_refuse(c, RK_NOT_OWNER, TEXT_HINT_MINE, TEXT_NOT_MINE, g->wanted);
	if (rc == RK_OK) {
		g->channel = (Rk__Channel)v.record->channel;
		g->expires_at = v.record->expires_at;
	}
	return rc;
}

static int queue_change(struct cli *c, struct changing *g, uint64_t *item)
{
	struct txn *txn = NULL;
	int rc = env_begin(client_env(c->client), true, &txn);
	if (rc != RK_OK)
		return rc;
	switch (g->change) {
	case CHANGE_REVISE: rc = post_revise(c->client, txn, g->post_id, g->post, g->lifetime_ms, item); break;
	case CHANGE_RENEW: rc = post_renew(c->client, txn, g->post_id, g->lifetime_ms, item); break;
	case CHANGE_WITHDRAW: rc = post_withdraw(c->client, txn, g->post_id, item); break;
	}
	if (rc == RK_OK)
		return env_commit(txn);
	env_abort(txn);
	return rc;
}

static int run_change(struct cli *c, struct changing *g, struct arena *a, enum text_id failed, enum text_id done)
{
	struct outcome o;
	uint64_t item;
	int rc = keys_unlock(c->client, KEY_DEVICE);
	if (rc != RK_OK)
		return cli_fail(c, rc, failed);
	if ((rc = show_read(c, find_own, g)) != RK_OK || (rc = post_input_until(c, g->until, &g->lifetime_ms)) != RK_OK)
		return rc;
	if (g->change == CHANGE_REVISE) {
		if ((rc = post_input_file(c, g->file, a, &g->post)) != RK_OK ||
		    (rc = settle_type(c, cli_channel_name(g->channel), g->post)) != RK_OK)
			return rc;
		/* A correction does not prolong. */
		if (!g->lifetime_ms && g->expires_at > client_now(c->client))
			g->lifetime_ms = g->expires_at - client_now(c->client);
	}
	rc = queue_change(c, g, &item);
	if (rc == RK_CONFLICT)
		return cli_refuse(c, rc, TEXT_HINT_PUBLISH_ANEW, TEXT_POST_ENDED, g->wanted);
	if (rc != RK_OK)
		return cli_fail(c, rc, failed);
	if ((rc = cli_finish(c, item, failed, &o)) != RK_OK)
		return rc;
	return print_sent(c, g->post, g->post_id, &o, g->change == CHANGE_WITHDRAW ? "withdrawn" : "live", done);
}

static int change(struct cli *c, int argc, char **argv, const struct cli_usage *usage, struct changing *g, enum text_id failed,
		  enum text_id done)
{
	struct cli_args args;
	int rc = cli_parse(c, usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc != RK_OK)
		return rc;
	struct arena *a = arena_new(POST_ARENA_BYTES);
	g->wanted = args.arg[0];
	rc = a ? run_change(c, g, a, failed, done) : RK_ENOMEM;
	arena_free_wiped(a);
	return rc;
}

int cmd_post_revise(struct cli *c, int argc, char **argv)
{
	struct changing g = {.change = CHANGE_REVISE};
	const struct cli_option options[] = {
		{"file", CLI_TEXT, &g.file, "FILE", TEXT_OPT_FILE, true},
		{"until", CLI_TEXT, &g.until, "DATE", TEXT_OPT_POST_UNTIL, false},
		{0},
	};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_HELP_POST_FILE};
	return change(c, argc, argv, &usage, &g, TEXT_CANNOT_REVISE, TEXT_REVISED);
}

int cmd_post_renew(struct cli *c, int argc, char **argv)
{
	struct changing g = {.change = CHANGE_RENEW};
	const struct cli_option options[] = {{"until", CLI_TEXT, &g.until, "DATE", TEXT_OPT_POST_UNTIL, false}, {0}};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_NONE};
	return change(c, argc, argv, &usage, &g, TEXT_CANNOT_RENEW, TEXT_RENEWED);
}

int cmd_post_withdraw(struct cli *c, int argc, char **argv)
{
	struct changing g = {.change = CHANGE_WITHDRAW};
	const struct cli_usage usage = {NULL, "ID", 1, 1, TEXT_NONE};
	return change(c, argc, argv, &usage, &g, TEXT_CANNOT_WITHDRAW, TEXT_WITHDRAWN);
}

/* ---- list */

struct listing {
	struct cli *c;
	struct txn *txn;
	struct arena *arena;
	struct out_table *table;
	struct post_filter filter;
};

static int list_row(void *user, const struct post_view *v)
{
	struct listing *l = user;
	char shown[OUT_ID_CHARS], day[OUT_TIME_CHARS];
	if (l->c->json)
		return out_json(show_post_json(l->c, l->txn, v, l->arena));
	out_table_row(l->table);
	out_table_cell(l->table, out_short(shown, bytes_make(v->record->post_id.data, v->record->post_id.len)));
	out_table_cell(l->table, cli_word(l->c, cli_channel_name((Rk__Channel)v->record->channel)));
	out_table_cell(l->table, cli_word(l->c, show_post_status(v->status)));
	out_table_cell(l->table, out_day(day, v->record->time_ms));
	out_table_cell(l->table, book_org_name(l->c->client, l->txn, v->record->sender_org.data, l->c->lang, l->arena));
	out_table_cell(l->table, show_post_title(l->c, v));
	return RK_OK;
}

static int list_all(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	struct listing *l = user;
	l->txn = txn;
	l->arena = a;
	return post_each(c->client, txn, &l->filter, list_row, l);
}

int cmd_post_list(struct cli *c, int argc, char **argv)
{
	static const enum text_id headings[] = {TEXT_H_ID, TEXT_H_TYPE, TEXT_H_STATUS, TEXT_H_DATE, TEXT_H_AUTHOR, TEXT_H_TITLE};
	const char *type = NULL;
	bool offline = false;
	struct listing l = {.c = c};
	const struct cli_option options[] = {
		{"type", CLI_TEXT, &type, "TYPE", TEXT_OPT_LIST_TYPE, false},
		{"topic", CLI_TEXT, &l.filter.topic, "PREFIX", TEXT_OPT_TOPIC, false},
		{"mine", CLI_FLAG, &l.filter.mine, NULL, TEXT_OPT_MINE, false},
		{"all", CLI_FLAG, &l.filter.all, NULL, TEXT_OPT_LIST_ALL, false},
		{"offline", CLI_FLAG, &offline, NULL, TEXT_OPT_OFFLINE, false},
		{0},
	};
	const struct cli_usage usage = {options, "", 0, 0, TEXT_HELP_POST_LIST};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc != RK_OK)
		return rc;
	if (type && (l.filter.channel = cli_channel(type)) == RK__CHANNEL__CHANNEL_NONE)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_TYPES, TEXT_BAD_TYPE, type);
	if ((rc = cli_open_joined(c)) != RK_OK || (!offline && (rc = cli_refresh(c)) != RK_OK))
		return rc;
	if ((rc = keys_unlock(c->client, KEY_DEVICE)) != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_READ);
	l.table = c->json ? NULL : out_table_new(c, 6, headings);
	rc = show_read(c, list_all, &l);
	out_table_end(l.table, TEXT_NO_POSTS);
	return rc;
}

/* ---- view */

static json_t *view_json(struct cli *c, struct txn *txn, const struct post_view *v, struct arena *a)
{
	json_t *j = show_post_json(c, txn, v, a);
	if (!j || !v->post)
		return j;
	const Rk__PostText *t = post_text(v->post, show_lang(c));
	out_set_text(j, "body", t->body);
	out_set_text(j, "stage", v->post->stage);
	out_set_text(j, "region", v->post->region);
	out_set_text(j, "country", v->post->country);
	out_set_text(j, "advantages", t->advantages);
	out_set_text(j, "applications", t->applications);
	out_set_text(j, "how_to_answer", v->post->how_to_answer);
	if (v->post->n_ext)
		out_set_number(j, "unknown_extensions", (int64_t)v->post->n_ext);
	return j;
}

static void view_topics(struct cli *c, const Rk__Post *post)
{
	char line[POST_TOPICS_MAX * 132];
	size_t len = 0;
	line[0] = '\0';
	for (size_t i = 0; i < post->n_codes && i < POST_TOPICS_MAX; i++)
		if (post->codes[i]->scheme == RK__CODE_SCHEME__TOPIC)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", len ? ", " : "", post->codes[i]->value);
	if (len)
		out_field(c, TEXT_F_TOPICS, line);
}

static void view_content(struct cli *c, const Rk__Post *post)
{
	const Rk__PostText *t = post_text(post, show_lang(c));
	char day[OUT_TIME_CHARS], count[32];
	const struct { enum text_id name; const char *value; } fields[] = {
		{TEXT_F_SUMMARY, t->summary}, {TEXT_F_ADVANTAGES, t->advantages}, {TEXT_F_APPLICATIONS, t->applications},
		{TEXT_F_STAGE, post->stage}, {TEXT_F_REGION, post->region},
		{TEXT_F_DEADLINE, post->closes_at ? out_last_day(day, post->closes_at) : post->deadline_note},
		{TEXT_F_SOURCE, post->source_url}, {TEXT_F_LICENCE, post->source_licence},
		{TEXT_F_HOW_TO_ANSWER, post->how_to_answer}, {TEXT_F_EXTERNAL_ID, post->external_id},
	};
	view_topics(c, post);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (*fields[i].value)
			out_field(c, fields[i].name, fields[i].value);
	if (post->n_ext) {
		snprintf(count, sizeof(count), "%zu", post->n_ext);
		out_field(c, TEXT_F_UNKNOWN, count);
	}
	char *body = out_clean(t->body, true);
	if (body && *body)
		printf("\n%s\n", body);
	free(body);
}

static int view(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	uint8_t post_id[32];
	struct post_view v;
	char hex[OUT_ID_CHARS], day[OUT_TIME_CHARS];
	int rc = show_find_post(c, txn, user, post_id);
	if (rc == RK_OK)
		rc = post_load(c->client, txn, post_id, a, &v);
	if (rc != RK_OK)
		return rc;
	if (c->json)
		return out_json(view_json(c, txn, &v, a));
	out_field(c, TEXT_F_POST_TITLE, show_post_title(c, &v));
	out_field(c, TEXT_F_POST_ID, out_hex(hex, BYTES_OF(post_id)));
	out_field(c, TEXT_F_TYPE, cli_word(c, cli_channel_name((Rk__Channel)v.record->channel)));
	out_field(c, TEXT_F_STATUS, cli_word(c, show_post_status(v.status)));
	out_field(c, TEXT_F_AUTHOR, book_org_name(c->client, txn, v.record->sender_org.data, c->lang, a));
	out_field(c, TEXT_F_POSTED, out_time(day, v.record->time_ms));
	out_field(c, TEXT_F_UNTIL, out_last_day(day, v.record->expires_at));
	if (v.post)
		view_content(c, v.post);
	out_say(c, TEXT_FEED_LABEL);
	return RK_OK;
}

int cmd_post_view(struct cli *c, int argc, char **argv)
{
	bool offline = false;
	const struct cli_option options[] = {{"offline", CLI_FLAG, &offline, NULL, TEXT_OPT_OFFLINE, false}, {0}};
	const struct cli_usage usage = {options, "ID", 1, 1, TEXT_NONE};
	struct cli_args args;
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc == RK_OK && !offline)
		rc = cli_refresh(c);
	if (rc == RK_OK && (rc = keys_unlock(c->client, KEY_DEVICE)) != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_READ);
	return rc == RK_OK ? show_read(c, view, (void *)(uintptr_t)args.arg[0]) : rc;
}
