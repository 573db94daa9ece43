/* parse: one argp for what stands before the noun, one made of a verb's table for what stands after it. */
#include "client/cli/parse.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/out.h"
#include "proto/strict.h"

#define KEY_VERB 1000  /* key of a verb's i-th option: KEY_VERB + i */
#define OPTIONS_MAX 48

enum { KEY_HOME = 500, KEY_LANG, KEY_JSON, KEY_NO_INPUT, KEY_PASS_FILE, KEY_PASS_FD, KEY_VERSION };

struct global {
	struct argp_option argp;
	enum text_id help;
};

static const struct global globals[] = {
	{{"home", KEY_HOME, "DIR", 0, NULL, 0}, TEXT_OPT_HOME},
	{{"lang", KEY_LANG, "ja|en", 0, NULL, 0}, TEXT_OPT_LANG},
	{{"json", KEY_JSON, NULL, 0, NULL, 0}, TEXT_OPT_JSON},
	{{"no-input", KEY_NO_INPUT, NULL, 0, NULL, 0}, TEXT_OPT_NO_INPUT},
	{{"passphrase-file", KEY_PASS_FILE, "FILE", 0, NULL, 0}, TEXT_OPT_PASS_FILE},
	{{"passphrase-fd", KEY_PASS_FD, "N", 0, NULL, 0}, TEXT_OPT_PASS_FD},
	{{"quiet", 'q', NULL, 0, NULL, 0}, TEXT_OPT_QUIET},
	{{"verbose", 'v', NULL, 0, NULL, 0}, TEXT_OPT_VERBOSE},
	{{"help", 'h', NULL, 0, NULL, 0}, TEXT_OPT_HELP},
	{{"version", KEY_VERSION, NULL, 0, NULL, 0}, TEXT_OPT_VERSION},
};
#define GLOBALS (sizeof(globals) / sizeof(globals[0]))

struct parse {
	struct cli *c;
	const struct cli_usage *usage;
	struct cli_args *args;
	unsigned given;      /* bit i: the verb's option i was given */
	bool help, version;
	int next;            /* before the noun: its index */
	int rc;
};

/* ---- values */

static int usage_error(struct parse *p, enum text_id what, const char *which)
{
	p->rc = cli_refuse(p->c, RK_EUSAGE, TEXT_HINT_HELP, what, which);
	return EINVAL;
}

static bool number(const char *text, int64_t max, int64_t *out)
{
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (errno || end == text || *end || v < 0 || v > max || text[0] == '+' || text[0] == ' ')
		return false;
	*out = v;
	return true;
}

static error_t set_global(struct parse *p, int key, char *arg)
{
	struct cli *c = p->c;
	int64_t fd;
	switch (key) {
	case KEY_HOME: c->home = arg; return 0;
	case KEY_JSON: c->json = true; return 0;
	case KEY_NO_INPUT: c->no_input = true; return 0;
	case KEY_PASS_FILE: c->passphrase_file = arg; return 0;
	case KEY_VERSION: p->version = true; return 0;
	case 'q': c->quiet = true; return 0;
	case 'v': c->verbose++; return 0;
	case 'h': p->help = true; return 0;
	case KEY_LANG:
		if (strcmp(arg, "ja") != 0 && strcmp(arg, "en") != 0)
			return usage_error(p, TEXT_BAD_LANG, arg);
		c->lang = strcmp(arg, "ja") == 0 ? LANG_JA : LANG_EN;
		return 0;
	case KEY_PASS_FD:
		if (!number(arg, 65535, &fd))
			return usage_error(p, TEXT_BAD_NUMBER, "--passphrase-fd");
		c->passphrase_fd = (int)fd;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static int add_list(struct parse *p, const struct cli_option *o, char *arg)
{
	struct cli_list *list = o->target;
	for (char *part = strtok(arg, ","); part; part = strtok(NULL, ",")) {
		if (list->count == CLI_LIST_MAX)
			return usage_error(p, TEXT_TOO_MANY_VALUES, o->name);
		list->item[list->count++] = part;
	}
	return 0;
}

static error_t set_option(struct parse *p, unsigned i, char *arg)
{
	const struct cli_option *o = &p->usage->options[i];
	p->given |= 1u << i;
	if (arg && !strict_is_utf8(bytes_str(arg)))
		return usage_error(p, TEXT_NOT_UTF8, o->name);
	switch (o->kind) {
	case CLI_FLAG: *(bool *)o->target = true; return 0;
	case CLI_TEXT: *(const char **)o->target = arg; return 0;
	case CLI_LIST: return add_list(p, o, arg);
	case CLI_NUMBER:
		return number(arg, 1000000000000, o->target) ? 0 : usage_error(p, TEXT_BAD_NUMBER, o->name);
	}
	return ARGP_ERR_UNKNOWN;
}

/* ---- argp */

static error_t on_verb_key(int key, char *arg, struct argp_state *state)
{
	struct parse *p = state->input;
	if (key == ARGP_KEY_ARG) {
		if (!strict_is_utf8(bytes_str(arg)))
			return usage_error(p, TEXT_NOT_UTF8, p->usage->args);
		if (p->args->count == CLI_ARGS_MAX)
			return usage_error(p, TEXT_TOO_MANY_VALUES, p->usage->args);
		p->args->arg[p->args->count++] = arg;
		return 0;
	}
	if (key >= KEY_VERB && key < KEY_VERB + OPTIONS_MAX)
		return set_option(p, (unsigned)(key - KEY_VERB), arg);
	return set_global(p, key, arg);
}

static error_t on_global_key(int key, char *arg, struct argp_state *state)
{
	struct parse *p = state->input;
	if (key == ARGP_KEY_ARG) {
		p->next = state->next - 1;
		state->next = state->argc;
		return 0;
	}
	return set_global(p, key, arg);
}

/* The option that a long name (up to '=') means: itself, or the only one that it begins; NULL else. */
static const struct argp_option *find_long(const struct argp_option *options, const char *name)
{
	size_t len = strcspn(name, "=");
	const struct argp_option *found = NULL;
	for (; options->name; options++) {
		if (strncmp(options->name, name, len) != 0)
			continue;
		if (strlen(options->name) == len)
			return options;
		if (found)
			return NULL;
		found = options;
	}
	return found;
}

/* What is wrong with a word of the command line, or TEXT_NONE; *takes_next: the word after it is its value. */
static enum text_id fault_of(const struct argp_option *options, const char *word, bool is_last, bool *takes_next)
{
	*takes_next = false;
	if (word[0] != '-' || !word[1])
		return TEXT_NONE;
	if (word[1] != '-')
		return strspn(word + 1, "qvh") == strlen(word + 1) ? TEXT_NONE : TEXT_UNKNOWN_OPTION;
	const struct argp_option *o = find_long(options, word + 2);
	bool has_value = strchr(word, '=') != NULL;
	if (!o)
		return TEXT_UNKNOWN_OPTION;
	if (!o->arg)
		return has_value ? TEXT_OPTION_TAKES_NO_VALUE : TEXT_NONE;
	*takes_next = !has_value;
	return !has_value && is_last ? TEXT_OPTION_NEEDS_VALUE : TEXT_NONE;
}

/* What argp stumbled over, in our words: it says only that there was something. */
static int explain(struct parse *p, const struct argp_option *options, int argc, char **argv)
{
	if (p->rc != RK_OK)
		return p->rc;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		bool takes_next;
		enum text_id what = fault_of(options, argv[i], i + 1 == argc, &takes_next);
		if (what != TEXT_NONE) {
			char shown[80];
			snprintf(shown, sizeof(shown), "%.*s", (int)strcspn(argv[i], "="), argv[i]);
			return cli_refuse(p->c, RK_EUSAGE, TEXT_HINT_HELP, what, shown);
		}
		i += takes_next;
	}
	return RK_EUSAGE;
}

static int run_argp(struct parse *p, const struct argp_option *options, argp_parser_t parser, unsigned flags, int argc,
		    char **argv)
{
	const struct argp argp = {options, parser, NULL, NULL, NULL, NULL, NULL};
	error_t err = argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_EXIT | ARGP_NO_ERRS | flags, NULL, p);
	if (err == ENOMEM)
		return RK_ENOMEM;
	return err ? explain(p, options, argc, argv) : p->rc;
}

int parse_globals(struct cli *c, int argc, char **argv, int *next, bool *version)
{
	struct argp_option options[GLOBALS + 1] = {0};
	for (size_t i = 0; i < GLOBALS; i++)
		options[i] = globals[i].argp;
	struct parse p = {.c = c, .next = argc};
	int rc = run_argp(&p, options, on_global_key, ARGP_IN_ORDER, argc, argv);
	*next = p.next;
	*version = p.version;
	return rc == RK_OK && p.help ? CLI_HELP : rc;
}

/* ---- help */

static void print_option(struct cli *c, const char *name, const char *arg, int key, enum text_id help)
{
	char left[80];
	snprintf(left, sizeof(left), "  %s%c%s--%s%s%s", key > 32 && key < 127 ? "-" : "", key > 32 && key < 127 ? key : ' ',
		 key > 32 && key < 127 ? ", " : "   ", name, arg ? " " : "", arg ? arg : "");
	unsigned width = out_width(left);
	printf("%s%*s%s\n", left, width < 30 ? (int)(30 - width) : 2, "", text(help, c->lang));
}

void parse_print_globals(struct cli *c)
{
	for (size_t i = 0; i < GLOBALS; i++)
		print_option(c, globals[i].argp.name, globals[i].argp.arg, globals[i].argp.key, globals[i].help);
}

static void print_help(struct cli *c, const struct cli_usage *u)
{
	char needed[400] = "";
	size_t len = strlen(strcpy(needed, u->args));
	for (const struct cli_option *o = u->options; o && o->name && len < sizeof(needed) / 2; o++)
		if (o->required)
			len += (size_t)snprintf(needed + len, sizeof(needed) - len, "%s--%s %s", len ? " " : "", o->name, o->arg);
	printf(text(TEXT_USAGE_OF, c->lang), c->noun, c->verb ? " " : "", c->verb ? c->verb : "", *needed ? " " : "", needed);
	printf(u->options != NULL ? "\n\n" : "\n");
	for (const struct cli_option *o = u->options; o && o->name; o++)
		print_option(c, o->name, o->arg, 0, o->help);
	if (u->notes != TEXT_NONE)
		printf("\n%s\n", text(u->notes, c->lang));
	printf("\n%s\n", text(TEXT_GLOBAL_OPTIONS, c->lang));
	parse_print_globals(c);
}

static int check_complete(struct cli *c, const struct cli_usage *u, const struct parse *p, const struct cli_args *args)
{
	for (unsigned i = 0; u->options && u->options[i].name; i++)
		if (u->options[i].required && !(p->given & 1u << i))
			return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_OPTION_MISSING, u->options[i].name);
	if (args->count < u->args_min)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_ARG_MISSING, u->args);
	if (args->count > u->args_max)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_ARG_EXTRA, args->arg[u->args_max]);
	return RK_OK;
}

int cli_parse(struct cli *c, const struct cli_usage *u, int argc, char **argv, struct cli_args *args)
{
	struct argp_option options[OPTIONS_MAX + GLOBALS + 1] = {0};
	unsigned n = 0;
	for (; u->options && u->options[n].name && n < 32; n++)
		options[n] = (struct argp_option){u->options[n].name, KEY_VERB + (int)n, u->options[n].arg, 0, NULL, 0};
	for (size_t i = 0; i < GLOBALS; i++)
		options[n + i] = globals[i].argp;
	memset(args, 0, sizeof(*args));
	struct parse p = {.c = c, .usage = u, .args = args};
	int rc = run_argp(&p, options, on_verb_key, 0, argc, argv);
	if (rc == RK_OK && p.help) {
		print_help(c, u);
		return CLI_HELP;
	}
	return rc == RK_OK ? check_complete(c, u, &p, args) : rc;
}
