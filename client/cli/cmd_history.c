/* device export and import: what was sealed to one machine, for another of the same organisation. */
#include "client/cli/code_input.h"
#include "client/cli/out.h"
#include "client/history.h"

#include <unistd.h>

#include <sodium.h>

static int print_result(struct cli *c, const char *file, const struct history_result *result, bool is_import)
{
	json_t *o;

	if (!c->json) {
		out_line(c, is_import ? TEXT_HISTORY_TAKEN : TEXT_HISTORY_WRITTEN, file, result->envelopes, result->posts, result->deposits);
		if (is_import)
			out_line(c, TEXT_HISTORY_NEW, result->taken);
		if (result->refused > 0)
			out_warn(c, TEXT_HISTORY_REFUSED, result->refused);
		return result->refused > 0 ? CLI_PARTIAL : RK_OK;
	}
	o = json_object();
	out_set_text(o, "file", file);
	out_set_number(o, "envelopes", result->envelopes);
	out_set_number(o, "posts", result->posts);
	out_set_number(o, "deposits", result->deposits);
	if (is_import) {
		out_set_number(o, "taken", result->taken);
		out_set_number(o, "refused", result->refused);
	} else {
		out_set_number(o, "bytes", (int64_t)result->bytes);
	}
	return out_json(o) != RK_OK ? RK_EIO : result->refused > 0 ? CLI_PARTIAL : RK_OK;
}

int cmd_device_export(struct cli *c, int argc, char **argv)
{
	const char *code_file = NULL;
	const struct cli_option options[] = {{"code-file", CLI_TEXT, &code_file, "FILE", TEXT_OPT_CODE_FILE_NEW, false}, {0}};
	const struct cli_usage usage = {options, "FILE", 1, 1, TEXT_HELP_DEVICE_EXPORT};
	char code[RECOVERY_CODE_CHARS] = "";
	struct history_result result;
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = cli_open_joined(c)) != RK_OK)
		return r;
	/* Nobody writes down a code for a file that will not be. */
	if (access(args.arg[0], F_OK) == 0)
		return cli_refuse(c, RK_EEXISTS, TEXT_HINT_OTHER_NAME, TEXT_OUT_EXISTS, args.arg[0]);
	if ((r = code_for_writing(c, code_file, code)) != RK_OK)
		return r;
	r = history_export(c->client, args.arg[0], code, &result);
	sodium_memzero(code, sizeof(code));
	if (r == RK_EEXISTS)
		return cli_refuse(c, r, TEXT_HINT_OTHER_NAME, TEXT_OUT_EXISTS, args.arg[0]);
	return r == RK_OK ? print_result(c, args.arg[0], &result, false) : cli_fail(c, r, TEXT_CANNOT_EXPORT_HISTORY, args.arg[0]);
}

static int import_failed(struct cli *c, int r, const char *file)
{
	switch (r) {
	case RK_EPASSPHRASE:
		return cli_refuse(c, r, TEXT_HINT_HISTORY_CODE, TEXT_HISTORY_WRONG_CODE, file);
	case RK_EINTEGRITY:
		return cli_refuse(c, r, TEXT_HINT_HISTORY_DAMAGED, TEXT_HISTORY_DAMAGED, file);
	case RK_MALFORMED:
		return cli_refuse(c, r, TEXT_HINT_HISTORY_NONE, TEXT_HISTORY_IS_NONE, file);
	case RK_WRONG_EXCHANGE:
	case RK_NOT_PERMITTED:
		return cli_refuse(c, r, TEXT_NONE, TEXT_HISTORY_OF_OTHERS, file);
	default:
		return cli_fail(c, r, TEXT_CANNOT_IMPORT_HISTORY, file);
	}
}

int cmd_device_import(struct cli *c, int argc, char **argv)
{
	const char *code_file = NULL;
	const struct cli_option options[] = {{"code-file", CLI_TEXT, &code_file, "FILE", TEXT_OPT_CODE_FILE, false}, {0}};
	const struct cli_usage usage = {options, "FILE", 1, 1, TEXT_HELP_DEVICE_IMPORT};
	char code[RECOVERY_CODE_CHARS] = "";
	struct history_result result;
	struct cli_args args;
	int r;

	if ((r = cli_parse(c, &usage, argc, argv, &args)) != RK_OK || (r = cli_open_joined(c)) != RK_OK ||
	    (r = code_for_reading(c, code_file, code)) != RK_OK)
		return r;
	r = history_import(c->client, args.arg[0], code, &result);
	sodium_memzero(code, sizeof(code));
	return r == RK_OK ? print_result(c, args.arg[0], &result, true) : import_failed(c, r, args.arg[0]);
}
