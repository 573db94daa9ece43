/* backup and restore: the whole home in one file, and back. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/backup.h"
#include "client/cli/code_input.h"
#include "client/cli/out.h"
#include "client/cli/progress.h"
#include "client/cli/show.h"

#define MIB (1024.0 * 1024.0)

/* ---- how far it is */

struct watch {
	struct cli *c;
	enum progress_stage stage;
	const struct backup_result *result;
	struct progress progress;
};

static int step(void *user, uint64_t bytes)
{
	struct watch *w = user;

	if (w->c->stop)
		return RK_EINTERRUPTED;
	progress_at(&w->progress, w->c, w->stage, NULL, bytes, w->result->expected);
	return RK_OK;
}

/* ---- what both print */

static const char *const key_names[KEY_ROLE_COUNT] = {"device", "org", "secretariat", "root", "witness", "org-next", "secretariat-next"};
static const enum text_id key_words[KEY_ROLE_COUNT] = {TEXT_KEY_DEVICE, TEXT_KEY_ORG, TEXT_KEY_SECRETARIAT, TEXT_KEY_ROOT, TEXT_KEY_WITNESS,
	TEXT_KEY_ORG_NEXT_NAME, TEXT_KEY_SECRETARIAT_NEXT_NAME};

static json_t *result_json(const struct backup_result *result)
{
	json_t *j = json_object(), *keys = json_array();

	for (unsigned i = 0; i < KEY_ROLE_COUNT; i++)
		if (result->has_key[i])
			json_array_append_new(keys, json_string(key_names[i]));
	out_set_time(j, "created_at", result->created_at);
	out_set_number(j, "bytes", (int64_t)result->bytes);
	out_set_number(j, "members", result->members);
	if (result->without_attachments)
		json_object_set_new(j, "attachments", json_null());
	else
		out_set_number(j, "attachments", result->attachments);
	json_object_set_new(j, "keys", keys);
	return j;
}

static void result_lines(struct cli *c, const struct backup_result *result)
{
	char keys[256] = "", number[32];
	size_t len = 0;

	for (unsigned i = 0; i < KEY_ROLE_COUNT; i++)
		if (result->has_key[i] && len < sizeof(keys))
			len += (size_t)snprintf(keys + len, sizeof(keys) - len, "%s%s", len > 0 ? text(TEXT_COMMA, c->lang) : "",
			                        text(key_words[i], c->lang));
	snprintf(number, sizeof(number), "%.1f MiB", (double)result->bytes / MIB);
	out_field(c, TEXT_F_BACKUP_SIZE, number);
	out_field(c, TEXT_F_BACKUP_KEYS, keys);
	snprintf(number, sizeof(number), "%u", result->attachments);
	out_field(c, TEXT_F_BACKUP_ATTACHMENTS, result->without_attachments ? text(TEXT_BACKUP_LEFT_OUT, c->lang) : number);
}

/* ---- backup */

static int backup_failed(struct cli *c, int r, const char *file, const struct backup_result *result)
{
	if (r == RK_EEXISTS)
		return cli_refuse(c, r, TEXT_HINT_OTHER_NAME, TEXT_OUT_EXISTS, file);
	return cli_fail(c, r, TEXT_CANNOT_BACKUP, result->failed[0] ? result->failed : file);
}

static int print_backup(struct cli *c, const char *file, const struct backup_result *result)
{
	if (c->json) {
		json_t *j = result_json(result);

		out_set_text(j, "status", "saved");
		out_set_text(j, "file", file);
		return out_json(j);
	}
	out_field(c, TEXT_F_BACKUP, file);
	result_lines(c, result);
	if (result->has_key[KEY_ORG] || result->has_key[KEY_ORG_NEXT])
		out_say(c, TEXT_BACKUP_HOLDS_ORG);
	if (result->has_key[KEY_SECRETARIAT] || result->has_key[KEY_SECRETARIAT_NEXT] || result->has_key[KEY_ROOT] || result->has_key[KEY_WITNESS])
		out_say(c, TEXT_BACKUP_HOLDS_EXCHANGE);
	if (cli_device_key_is_open(c))
		out_say(c, TEXT_BACKUP_OPEN_KEY);
	return RK_OK;
}

int cmd_backup_home(struct cli *c, int argc, char **argv)
{
	const char *code_file = NULL;
	struct backup_options o = {0};
	const struct cli_option options[] = {
		{"code-file", CLI_TEXT, &code_file, "FILE", TEXT_OPT_CODE_FILE_NEW, false},
		{"without-attachments", CLI_FLAG, &o.without_attachments, NULL, TEXT_OPT_BACKUP_WITHOUT_ATTACHMENTS, false},
		{0},
	};
	const struct cli_usage usage = {options, "FILE", 1, 1, TEXT_NOTES_BACKUP};
	char code[RECOVERY_CODE_CHARS] = "";
	struct backup_result result = {0};
	struct watch w = {.c = c, .stage = PROGRESS_BACKUP, .result = &result};
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = cli_open(c)) != RK_OK)
		return r;
	/* Nobody writes down a code for a file that will not be. */
	if (access(args.arg[0], F_OK) == 0)
		return backup_failed(c, RK_EEXISTS, args.arg[0], &result);
	if ((r = code_for_writing(c, code_file, code)) != RK_OK)
		return r;
	o.file = args.arg[0];
	o.code = code;
	o.step = step;
	o.user = &w;
	r = backup_write(c->client, &o, &result);
	sodium_memzero(code, sizeof(code));
	progress_end(&w.progress, r == RK_OK);
	return r == RK_OK ? print_backup(c, o.file, &result) : backup_failed(c, r, o.file, &result);
}

/* ---- restore */

static int restore_failed(struct cli *c, int r, const char *file, const struct backup_result *result)
{
	switch (r) {
	case RK_EEXISTS:
		return cli_refuse(c, r, TEXT_HINT_RESTORE_NOT_EMPTY, TEXT_RESTORE_NOT_EMPTY, c->home);
	case RK_EPASSPHRASE:
		return cli_refuse(c, r, TEXT_HINT_RESTORE_WRONG_CODE, TEXT_RESTORE_WRONG_CODE, file);
	case RK_EINTEGRITY:
		return cli_refuse(c, r, TEXT_HINT_RESTORE_DAMAGED, TEXT_RESTORE_DAMAGED, file);
	case RK_MALFORMED:
		return cli_refuse(c, r, TEXT_HINT_RESTORE_DAMAGED, TEXT_RESTORE_NO_BACKUP, file);
	default:
		return cli_fail(c, r, TEXT_CANNOT_RESTORE, result->failed[0] ? result->failed : file);
	}
}

static int say_aside(void *user, const Rkl__OutboxItem *item)
{
	struct cli *c = user;
	char when[OUT_TIME_CHARS];

	out_warn(c, TEXT_RESTORED_ASIDE, item->what, out_time(when, item->created_at));
	return RK_OK;
}

static int list_aside(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	(void)a;
	(void)user;
	return outbox_each_aside(txn, false, say_aside, c);
}

static int json_aside(void *user, const Rkl__OutboxItem *item)
{
	json_t *j = json_object();

	out_set_text(j, "what", item->what);
	out_set_time(j, "created_at", item->created_at);
	out_set_id(j, "about", bytes_make(item->ref.data, item->ref.len));
	return json_array_append_new(user, j) == 0 ? RK_OK : RK_ENOMEM;
}

static int collect_aside(struct cli *c, struct txn *txn, struct arena *a, void *user)
{
	(void)c;
	(void)a;
	return outbox_each_aside(txn, false, json_aside, user);
}

static int print_restored(struct cli *c, const struct backup_result *result)
{
	char when[OUT_TIME_CHARS];
	int r;

	if (c->json) {
		json_t *j = result_json(result), *aside = json_array();

		r = show_read(c, collect_aside, aside);
		json_object_set_new(j, "not_sent", aside);
		out_set_text(j, "status", "restored");
		out_set_text(j, "home", c->home);
		return r == RK_OK ? out_json(j) : r;
	}
	out_field(c, TEXT_F_RESTORED, c->home);
	out_field(c, TEXT_F_RESTORED_AS_OF, out_time(when, result->created_at));
	result_lines(c, result);
	out_warn(c, TEXT_RESTORED_OTHER);
	out_warn(c, TEXT_RESTORED_DESTROYED);
	if (result->without_attachments)
		out_warn(c, TEXT_RESTORED_NO_ATTACHMENTS);
	r = show_read(c, list_aside, NULL);
	out_say(c, TEXT_RESTORED_NEXT);
	return r;
}

int cmd_restore_home(struct cli *c, int argc, char **argv)
{
	const char *code_file = NULL;
	const struct cli_option options[] = {
		{"code-file", CLI_TEXT, &code_file, "FILE", TEXT_OPT_CODE_FILE, false},
		{0},
	};
	const struct cli_usage usage = {options, "FILE", 1, 1, TEXT_NOTES_RESTORE};
	char code[RECOVERY_CODE_CHARS] = "";
	struct backup_result result = {0};
	struct watch w = {.c = c, .stage = PROGRESS_RESTORE, .result = &result};
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = code_for_reading(c, code_file, code)) != RK_OK)
		return r;
	r = restore_home(&(struct restore_options){args.arg[0], c->home, code, step, &w}, &result);
	sodium_memzero(code, sizeof(code));
	progress_end(&w.progress, r == RK_OK);
	if (r != RK_OK)
		return restore_failed(c, r, args.arg[0], &result);
	return (r = cli_open(c)) == RK_OK ? print_restored(c, &result) : r;
}
