/*
 * post import: one JSON object a line.  Good lines are queued in small transactions, then one run of the link sends them all; a line
 * that cannot be posted is named and does not hold up the others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/out.h"
#include "client/cli/post_input.h"
#include "client/jsonl.h"
#include "client/post.h"

#define LINES_A_TXN 32
#define LINES_MAX 100000
#define ALL_ANSWERED (-2002)  /* ends the link; no code of errcode.h */

struct sent { unsigned line; uint64_t item; bool done; };

struct import {
	struct cli *c;
	FILE *file;
	unsigned line, posted, already, failed, queued;
	struct sent *sent;
	size_t sent_count, sent_room, answered, first; /* first: all before it are answered */
	json_t *errors, *notes;
	struct txn *txn;
	unsigned in_txn;
	int64_t lifetime_ms;
	bool shows_progress;
};

/* ---- what is said of a line */

static void clear_progress(struct import *m)
{
	if (m->shows_progress)
		fputs("\r\033[K", stderr);
}

static void note_error(struct import *m, unsigned line, const char *code, const char *message)
{
	m->failed++;
	clear_progress(m);
	out_warn(m->c, TEXT_IMPORT_LINE, line, message);
	if (!m->c->json)
		return;
	json_t *e = json_object();
	out_set_number(e, "line", line);
	out_set_text(e, "code", code);
	out_set_text(e, "message", message);
	json_array_append_new(m->errors, e);
}

static void note_title(struct import *m, const char *title)
{
	out_warn(m->c, TEXT_IMPORT_TITLE, m->line, title);
	if (!m->c->json)
		return;
	json_t *n = json_object();
	out_set_number(n, "line", m->line);
	out_set_text(n, "title_from_summary", title);
	json_array_append_new(m->notes, n);
}

static void note_mended(struct import *m)
{
	out_warn(m->c, TEXT_IMPORT_MENDED, m->line);
	if (!m->c->json)
		return;
	json_t *n = json_object();
	out_set_number(n, "line", m->line);
	out_set_bool(n, "characters_mended", true);
	json_array_append_new(m->notes, n);
}

static void note_topics(struct import *m, unsigned given)
{
	out_warn(m->c, TEXT_IMPORT_TOPICS, m->line, given, POST_TOPICS_MAX);
	if (!m->c->json)
		return;
	json_t *n = json_object();
	out_set_number(n, "line", m->line);
	out_set_number(n, "topics_left_out", (int64_t)given - POST_TOPICS_MAX);
	json_array_append_new(m->notes, n);
}

/* ---- reading and queueing */

static int end_txn(struct import *m)
{
	struct txn *txn = m->txn;
	m->txn = NULL;
	m->in_txn = 0;
	return txn ? env_commit(txn) : RK_OK;
}

static int remember(struct import *m, uint64_t item)
{
	if (m->sent_count == m->sent_room) {
		size_t room = m->sent_room ? 2 * m->sent_room : 256;
		struct sent *grown = reallocarray(m->sent, room, sizeof(*grown));
		if (!grown)
			return RK_ENOMEM;
		m->sent = grown;
		m->sent_room = room;
	}
	m->sent[m->sent_count++] = (struct sent){.line = m->line, .item = item};
	return RK_OK;
}

static int queue_record(struct import *m, const struct jsonl_record *r)
{
	enum post_queued how;
	uint8_t post_id[32];
	uint64_t item;
	int rc = RK_OK;
	if (!m->txn)
		rc = env_begin(client_env(m->c->client), true, &m->txn);
	if (rc == RK_OK)
		rc = post_queue(m->c->client, m->txn, r->post, m->lifetime_ms, &how, &item, post_id);
	if (rc > 0) {
		note_error(m, m->line, errcode_name(rc), errcode_sentence(rc, m->c->lang));
		return RK_OK;
	}
	if (rc != RK_OK)
		return rc;
	if (how == POST_ALREADY) {
		m->already++;
		return RK_OK;
	}
	if (r->title_from_summary)
		note_title(m, r->post->texts[0]->title);
	if (r->mended)
		note_mended(m);
	if (r->topics_given > POST_TOPICS_MAX)
		note_topics(m, r->topics_given);
	m->in_txn++;
	return remember(m, item);
}

static int take_line(struct import *m, struct bytes line, struct arena *a)
{
	struct jsonl_record record;
	struct post_problem problem;
	arena_reset(a, 64 * 1024);
	int rc = jsonl_read(line, out_zone(), a, &record, &problem);
	if (rc == RK_MALFORMED) {
		char *why = post_input_sentence(m->c, &problem);
		note_error(m, m->line, errcode_name(RK_MALFORMED), why ? why : "");
		free(why);
		return RK_OK;
	}
	if (rc == RK_OK)
		rc = queue_record(m, &record);
	return rc == RK_OK && m->in_txn >= LINES_A_TXN ? end_txn(m) : rc;
}

static int read_lines(struct import *m)
{
	struct arena *a = arena_new(64 * 1024);
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int rc = a ? RK_OK : RK_ENOMEM;
	while (rc == RK_OK && !m->c->stop && m->line < LINES_MAX && (len = getline(&line, &room, m->file)) > 0) {
		m->line++;
		size_t start = m->line == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
		size_t blank = strspn(line + start, " \t\r\n");
		if (start + blank == (size_t)len)
			continue;
		rc = take_line(m, bytes_make(line + start, (size_t)len - start), a);
	}
	if (rc == RK_OK && ferror(m->file))
		rc = RK_EIO;
	/* What was queued so far stays queued, also when reading ended early. */
	int committed = end_txn(m);
	free(line);
	arena_free_wiped(a);
	return rc == RK_OK ? committed : rc;
}

/* ---- sending */

static void show_progress(struct import *m)
{
	if (!m->shows_progress)
		return;
	char bar[31];
	size_t filled = m->sent_count ? 30 * m->answered / m->sent_count : 30;
	for (size_t i = 0; i < 30; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[30] = '\0';
	fprintf(stderr, "\r[%s] %zu/%zu", bar, m->answered, m->sent_count);
	fflush(stderr);
}

/* Items are answered in order, mostly; those that were not yet are asked again. */
static int look(struct import *m)
{
	struct txn *txn;
	int rc = env_begin(client_env(m->c->client), false, &txn);
	if (rc != RK_OK)
		return rc;
	while (m->first < m->sent_count && m->sent[m->first].done)
		m->first++;
	for (size_t i = m->first; i < m->sent_count; i++) {
		struct sent *s = &m->sent[i];
		struct outcome o;
		if (s->done || outbox_outcome(txn, s->item, &o) != RK_OK)
			continue;
		s->done = true;
		m->answered++;
		if (o.code == RK_OK)
			m->posted++;
		else
			note_error(m, s->line, errcode_name(o.code), errcode_sentence(o.code, m->c->lang));
	}
	env_abort(txn);
	return RK_OK;
}

static int step(struct client *client, void *user)
{
	struct import *m = user;
	(void)client;
	int rc = look(m);
	show_progress(m);
	return rc == RK_OK && m->answered == m->sent_count ? ALL_ANSWERED : rc;
}

static int send_all(struct import *m)
{
	struct link_options options = {.timeout_ms = -1, .stop = &m->c->stop, .step = step, .user = m,
				       .until_item = m->sent_count ? m->sent[m->sent_count - 1].item : 0};
	int rc = RK_OK;
	m->shows_progress = !m->c->json && !m->c->quiet && isatty(STDERR_FILENO);
	while (rc == RK_OK && m->answered < m->sent_count) {
		rc = link_run(m->c->client, &options);
		int looked = look(m);
		rc = rc == ALL_ANSWERED || rc == RK_OK ? looked : rc;
		options.until_item = 0;
		if (m->c->stop)
			rc = RK_EINTERRUPTED;
	}
	clear_progress(m);
	m->queued = (unsigned)(m->sent_count - m->answered);
	return rc;
}

/* ---- the verb */

static int print_result(struct import *m)
{
	if (!m->c->json) {
		out_line(m->c, TEXT_IMPORT_DONE, m->line, m->posted, m->already, m->failed);
		return RK_OK;
	}
	json_t *j = json_object();
	out_set_number(j, "lines", m->line);
	out_set_number(j, "posted", m->posted);
	out_set_number(j, "already", m->already);
	out_set_number(j, "failed", m->failed);
	out_set_number(j, "queued", m->queued);
	json_object_set(j, "errors", m->errors);
	json_object_set(j, "notes", m->notes);
	return out_json(j);
}

static int import(struct import *m, const char *path)
{
	m->file = fopen(path, "re");
	if (!m->file)
		return cli_refuse(m->c, errno == ENOENT ? RK_ENOTFOUND : RK_EIO, TEXT_HINT_FILE, TEXT_CANNOT_OPEN_FILE, path,
				  strerror(errno));
	int rc = read_lines(m);
	fclose(m->file);
	if (rc != RK_OK)
		return cli_fail(m->c, rc, TEXT_CANNOT_IMPORT, path);
	rc = send_all(m);
	int printed = print_result(m);
	if (rc != RK_OK)
		return cli_fail(m->c, rc, TEXT_IMPORT_QUEUED, m->queued);
	if (m->failed)
		return m->c->json ? CLI_PARTIAL : cli_fail(m->c, CLI_PARTIAL, TEXT_IMPORT_PARTIAL, m->failed);
	return printed;
}

int cmd_post_import(struct cli *c, int argc, char **argv)
{
	const char *until = NULL;
	const struct cli_option options[] = {{"until", CLI_TEXT, &until, "DATE", TEXT_OPT_POST_UNTIL, false}, {0}};
	const struct cli_usage usage = {options, "FILE.jsonl", 1, 1, TEXT_HELP_IMPORT};
	struct cli_args args;
	struct import m = {.c = c};
	int rc = cli_parse(c, &usage, argc, argv, &args);
	if (rc == RK_OK)
		rc = cli_open_joined(c);
	if (rc == RK_OK)
		rc = post_input_until(c, until, &m.lifetime_ms);
	if (rc == RK_OK && (rc = keys_unlock(c->client, KEY_DEVICE)) != RK_OK)
		return cli_fail(c, rc, TEXT_CANNOT_READ);
	if (rc != RK_OK)
		return rc;
	m.errors = json_array();
	m.notes = json_array();
	rc = m.errors && m.notes ? import(&m, args.arg[0]) : RK_ENOMEM;
	json_decref(m.errors);
	json_decref(m.notes);
	free(m.sent);
	return rc;
}
