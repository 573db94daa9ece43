/* log: what this home has checked of the exchange's log, and the proof of what does not fit. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/shared.h"
#include "client/log.h"

/* ---- view */

static const char *grouped(struct shared *s, uint64_t n)
{
	char digits[24], out[32];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return shared_text(s, "%s", out);
}

static const char *head_text(struct shared *s, int found, const struct log_head *head, int64_t when_ms)
{
	char when[OUT_TIME_CHARS];

	if (found != RK_OK)
		return text(TEXT_LOG_NONE, s->c->lang);
	return shared_fill(s, TEXT_LOG_AT, grouped(s, head->checkpoint.size), out_time(when, when_ms));
}

static const char *fault_text(struct shared *s, const struct log_fork *f)
{
	static const enum text_id texts[] = {
		[LOG_FAULT_NONE] = TEXT_NONE, [LOG_FAULT_FORK] = TEXT_LOG_FAULT_FORK, [LOG_FAULT_ROLLBACK] = TEXT_LOG_FAULT_ROLLBACK,
		[LOG_FAULT_LEAF] = TEXT_LOG_FAULT_LEAF, [LOG_FAULT_UNPROVEN] = TEXT_LOG_FAULT_UNPROVEN,
	};

	/* The sentences without an index leave it. */
	return shared_fill(s, f->stands ? TEXT_LOG_STANDS : TEXT_LOG_PAST, shared_fill(s, texts[f->fault], (unsigned long long)f->leaf));
}

static json_t *head_json(int found, const struct log_head *head)
{
	json_t *o;

	if (found != RK_OK)
		return json_null();
	o = json_object();
	out_set_number(o, "size", (int64_t)head->checkpoint.size);
	out_set_id(o, "root", BYTES_OF(head->checkpoint.root));
	out_set_time(o, "verified_at", head->verified_at);
	out_set_time(o, "cosigned_at", head->witness_ms);
	json_object_set_new(o, "note", json_stringn((const char *)head->note.data, head->note.len));
	return o;
}

static json_t *fork_json(struct shared *s, const struct log_fork *f)
{
	json_t *o = json_object();

	out_set_number(o, "id", (int64_t)f->id);
	out_set_text(o, "fault", log_fault_name(f->fault));
	out_set_bool(o, "stands", f->stands);
	out_set_time(o, "found_at", f->found_at);
	json_object_set_new(o, "from", f->from_org != NULL ? shared_org_json(s, f->from_org) : json_null());
	if (f->theirs.len == 0 && f->fault != LOG_FAULT_ROLLBACK)
		out_set_number(o, "leaf", (int64_t)f->leaf);
	json_object_set_new(o, "ours", json_stringn((const char *)f->ours.data, f->ours.len));
	json_object_set_new(o, "theirs", json_stringn((const char *)f->theirs.data, f->theirs.len));
	return o;
}

static void fork_lines(struct shared *s, const struct log_fork *f)
{
	char when[OUT_TIME_CHARS];

	out_field(s->c, TEXT_F_LOG_FAULT, fault_text(s, f));
	out_field(s->c, TEXT_F_LOG_FOUND, out_time(when, f->found_at));
	out_field(s->c, TEXT_F_LOG_SHOWN_BY, f->from_org != NULL ? shared_name(s, f->from_org) : text(TEXT_LOG_BROKER, s->c->lang));
}

/* Each contradiction there ever was, into the list or onto the page. */
static int each_fork(struct shared *s, json_t *list)
{
	struct log_fork f;
	int r;

	for (uint64_t id = 1; (r = log_fork_at(s->client, s->t, id, s->a, &f)) == RK_OK; id++)
		if (list != NULL)
			json_array_append_new(list, fork_json(s, &f));
		else
			fork_lines(s, &f);
	return r == RK_ENOTFOUND ? RK_OK : r;
}

static int view_json(struct shared *s, int has_newest, const struct log_head *newest, int has_cosigned, const struct log_head *cosigned)
{
	json_t *o = json_object(), *list = json_array();
	int r;

	out_set_text(o, "origin", has_newest == RK_OK ? newest->checkpoint.origin : NULL);
	json_object_set_new(o, "newest", head_json(has_newest, newest));
	json_object_set_new(o, "cosigned", head_json(has_cosigned, cosigned));
	out_set_number(o, "unproven", (int64_t)log_unproven(s->t));
	r = each_fork(s, list);
	json_object_set_new(o, "contradictions", list);
	if (r == RK_OK)
		return out_json(o);
	json_decref(o);
	return r;
}

static int view_lines(struct shared *s, int has_newest, const struct log_head *newest, int has_cosigned, const struct log_head *cosigned)
{
	if (has_newest == RK_OK)
		out_field(s->c, TEXT_F_LOG_ORIGIN, newest->checkpoint.origin);
	out_field(s->c, TEXT_F_LOG_VERIFIED, head_text(s, has_newest, newest, newest->verified_at));
	out_field(s->c, TEXT_F_LOG_COSIGNED, head_text(s, has_cosigned, cosigned, cosigned->witness_ms));
	out_field(s->c, TEXT_F_LOG_UNPROVEN, grouped(s, log_unproven(s->t)));
	return each_fork(s, NULL);
}

static int view(struct shared *s)
{
	struct log_head newest, cosigned;
	struct log_fork fork;
	int has_newest = log_newest(s->client, s->t, s->a, &newest), has_cosigned = log_cosigned(s->client, s->t, s->a, &cosigned), r;

	r = s->c->json ? view_json(s, has_newest, &newest, has_cosigned, &cosigned)
		       : view_lines(s, has_newest, &newest, has_cosigned, &cosigned);
	if (r != RK_OK || s->c->json)
		return r;
	if (log_fork(s->client, s->t, s->a, &fork) == RK_OK)
		out_warn(s->c, TEXT_LOG_FORKED);
	else if (log_is_unwitnessed(s->client, s->t))
		out_warn(s->c, TEXT_LOG_UNWITNESSED);
	return RK_OK;
}

int cmd_log_view(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "", 0, 0, TEXT_HELP_LOG_VIEW};
	struct cli_args args;
	struct shared s;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = shared_open(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	r = shared_end(&s, view(&s));
	return r == RK_OK ? r : cli_fail(c, r, TEXT_LOG_CANNOT_VIEW);
}

/* ---- export */

static bool put(FILE *f, struct bytes note)
{
	return note.len == 0 || fwrite(note.data, 1, note.len, f) == note.len;
}

/* Both notes of what stands, an empty line between them; else the newest checkpoint. */
static int write_notes(struct shared *s, const char *path)
{
	struct log_head newest;
	struct log_fork fork;
	FILE *f;
	int fd, r = log_fork(s->client, s->t, s->a, &fork);
	bool written;

	if (r == RK_ENOTFOUND && (r = log_newest(s->client, s->t, s->a, &newest)) == RK_OK)
		fork = (struct log_fork){.ours = newest.note};
	if (r != RK_OK)
		return r == RK_ENOTFOUND ? cli_refuse(s->c, r, TEXT_HINT_SYNC, TEXT_LOG_NOTHING) : r;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return cli_refuse(s->c, RK_EEXISTS, TEXT_HINT_FILE, TEXT_OUT_EXISTS, path);
	if (fd < 0 || (f = fdopen(fd, "w")) == NULL) {
		if (fd >= 0)
			close(fd);
		return cli_fail(s->c, RK_EIO, TEXT_CANNOT_WRITE, path);
	}
	written = put(f, fork.ours) && (fork.ours.len == 0 || fork.theirs.len == 0 || fputc('\n', f) == '\n') && put(f, fork.theirs);
	written = fclose(f) == 0 && written;
	if (!written) {
		/* Half a proof would be read as a whole one. */
		(void)unlink(path);
		return cli_fail(s->c, RK_EIO, TEXT_CANNOT_WRITE, path);
	}
	out_say(s->c, TEXT_LOG_EXPORTED, path);
	return RK_OK;
}

int cmd_log_export(struct cli *c, int argc, char **argv)
{
	const struct cli_usage usage = {NULL, "FILE", 1, 1, TEXT_HELP_LOG_EXPORT};
	struct cli_args args;
	struct shared s;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK)
		return r;
	if ((r = cli_open_joined(c)) != RK_OK || (r = shared_begin(c, false, &s)) != RK_OK)
		return r;
	r = shared_end(&s, write_notes(&s, args.arg[0]));
	return r == RK_OK ? r : cli_fail(c, r, TEXT_LOG_CANNOT_VIEW);
}
