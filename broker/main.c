/*
 * renkeid: the broker.  Verbs: init, adopt, run, check, backup, config.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "broker/cmd.h"
#include "proto/errcode.h"

const char *argp_program_version = "renkeid " CMD_VERSION;

enum { KEY_LISTEN = 256, KEY_ADVERTISE, KEY_CONFIG, KEY_ACCEPT_CLOCK, KEY_CHECK, KEY_OUTPUT, KEY_WITH_KEYS, KEY_ATTACHMENTS };

#define OPTION_DATA {"data", 'd', "DIR", 0, "The broker's folder: its keys and its store", 0}
#define OPTION_CONFIG {"config", KEY_CONFIG, "FILE", 0, "Settings; `renkeid config` prints them all", 0}

static const struct argp_option init_options[] = {
	OPTION_DATA,
	{"listen", KEY_LISTEN, "ENDPOINT", 0, "Where to listen: tcp://ADDRESS:PORT", 0},
	{"advertise", KEY_ADVERTISE, "ENDPOINT", 0, "What members connect to, if that is another: tcp://NAME:PORT", 0},
	{0},
};
static const struct argp_option adopt_options[] = {OPTION_DATA, {0}};
static const struct argp_option run_options[] = {
	OPTION_DATA,
	OPTION_CONFIG,
	{"accept-clock", KEY_ACCEPT_CLOCK, NULL, 0, "Start although the clock is behind the store's last entry", 0},
	{0},
};
static const struct argp_option check_options[] = {
	OPTION_DATA,
	{"attachments", KEY_ATTACHMENTS, NULL, 0, "Read every attachment too and compare its hash; else only their lengths", 0},
	{0},
};
static const struct argp_option backup_options[] = {
	OPTION_DATA,
	{"output", KEY_OUTPUT, "DIR", 0, "Where the backup goes: a new folder, or an empty one", 0},
	{"with-keys", KEY_WITH_KEYS, NULL, 0, "Copy curve.key and log.key too: keep such a backup as safe as the keys", 0},
	{0},
};
static const struct argp_option config_options[] = {
	{"check", KEY_CHECK, "FILE", 0, "Check a file of settings and say what is wrong with it", 0},
	{0},
};

static const struct verb {
	const char *name;
	int (*run)(const struct cmd_options *);
	const struct argp_option *options;
	const char *args; /* NULL: none */
	bool needs_data;
	const char *doc;
} verbs[] = {
	{"init", cmd_init, init_options, NULL, true,
	 "Make the broker's keys and print its card, which the secretariat needs."},
	{"adopt", cmd_adopt, adopt_options, "CHARTER-FILE", true,
	 "Take the charter of an exchange that names this broker, or its next charter."},
	{"run", cmd_run, run_options, NULL, true,
	 "Run in the foreground; logs go to stderr.  SIGTERM stops in good order."},
	{"check", cmd_check, check_options, NULL, true, "Read the whole store and check what proves itself."},
	{"backup", cmd_backup, backup_options, NULL, true,
	 "Copy the store, also of a broker that runs, and prove the copy."},
	{"config", cmd_config, config_options, NULL, false, "Print every setting with its default, or check a file."},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

struct parsing {
	const struct verb *verb;
	struct cmd_options *options;
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct parsing *p = state->input;
	struct cmd_options *o = p->options;

	switch (key) {
	case 'd':
		o->data = arg;
		return 0;
	case KEY_LISTEN:
		o->listen = arg;
		return 0;
	case KEY_ADVERTISE:
		o->advertise = arg;
		return 0;
	case KEY_CONFIG:
		o->config = arg;
		return 0;
	case KEY_CHECK:
		o->check = arg;
		return 0;
	case KEY_OUTPUT:
		o->output = arg;
		return 0;
	case KEY_WITH_KEYS:
		o->with_keys = true;
		return 0;
	case KEY_ATTACHMENTS:
		o->attachments = true;
		return 0;
	case KEY_ACCEPT_CLOCK:
		o->accept_clock = true;
		return 0;
	case ARGP_KEY_ARG:
		if (p->verb->args == NULL || o->file != NULL)
			argp_error(state, "'%s' is one argument too many", arg);
		o->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (p->verb->needs_data && o->data == NULL)
			argp_error(state, "--data DIR is missing: the folder of the broker");
		if (p->verb->args != NULL && o->file == NULL)
			argp_error(state, "%s is missing", p->verb->args);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	const struct argp argp = {verb->options, on_option, verb->args, verb->doc, NULL, NULL, NULL};
	struct cmd_options options = {0};
	struct parsing parsing = {verb, &options};
	char name[64];

	snprintf(name, sizeof(name), "renkeid %s", verb->name);
	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &parsing);
	return verb->run(&options);
}

static int usage(FILE *out)
{
	fprintf(out, "Usage: renkeid VERB [OPTION...]\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].doc);
	fprintf(out, "\n`renkeid VERB --help` lists the options of a verb; `renkeid --version` says the version.\n");
	return out == stdout ? 0 : errcode_exit(RK_EUSAGE);
}

int main(int argc, char **argv)
{
	argp_err_exit_status = errcode_exit(RK_EUSAGE);
	if (sodium_init() < 0) {
		fprintf(stderr, "renkeid: the cryptographic library does not start\n");
		return errcode_exit(RK_EINTERNAL);
	}
	if (argc < 2)
		return usage(stderr);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("%s\n", argp_program_version);
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout);
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run_verb(&verbs[i], argc - 1, argv + 1);
	fprintf(stderr, "renkeid: there is no verb '%s'\n", argv[1]);
	return usage(stderr);
}
